"""Polynomials in falling powers are a ring."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from fsp.moments import polynomial
from fsp.moments.dissipation import highest

POLYNOMIALS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(-5, 5).map(Fraction), min_size=1, max_size=4
)

COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9))


@given(POLYNOMIALS, POLYNOMIALS, COUNTS, st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_polynomials_in_falling_powers_are_a_ring(f, g, x, step):
    at = polynomial.value
    assert at(polynomial.times(f, g), x) == at(f, x) * at(g, x)
    assert at(polynomial.plus(f, g), x) == at(f, x) + at(g, x)
    moved = tuple(a + b for a, b in zip(x, step, strict=True))
    if min(moved) >= 0:
        assert at(polynomial.shifted(f, step), x) == at(f, moved)
    assert at(polynomial.from_power((3, 2)), x) == x[0] ** 3 * x[1] ** 2


@given(POLYNOMIALS)
def test_the_highest_value_of_a_polynomial_is_not_exceeded(f):
    top = highest(f, 2)
    if top is not None:
        assert all(polynomial.value(f, (x, y)) <= top for x in range(0, 200, 7) for y in range(0, 200, 7))
        assert all(polynomial.value(f, (x, y)) <= top for x in range(8) for y in range(8))
