"""Sums, times and halves of sums are held against rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fsp
from fsp.arithmetic import (
    MOST_EXACT,
    SUM_ROUNDING,
    dot,
    half_sums,
    missing_from,
    row_rounding,
    span,
    sum_down,
    sum_error,
    sum_up,
)
from fsp.solvers.base import landed, short, step_to

times = st.floats(0.0, 1e12, allow_subnormal=True)
lengths = st.floats(0.0, 1e13, exclude_min=True)


@given(st.floats(-1e200, 1e200), st.floats(-1e200, 1e200))
def test_the_error_of_a_sum_is_exact(a, b):
    assert Fraction(a) + Fraction(b) == Fraction(a + b) + Fraction(sum_error(a, b))


@given(st.lists(st.floats(-1e200, 1e200), min_size=1, max_size=6))
def test_sums_are_rounded_away_from_what_they_bound(numbers):
    exact, size = sum(map(Fraction, numbers)), sum(map(abs, map(Fraction, numbers)))
    assert exact <= Fraction(sum_up(*numbers)) <= exact + len(numbers) * size / 2**52
    assert exact - len(numbers) * size / 2**52 <= Fraction(sum_down(*numbers)) <= exact


def test_sums_that_are_exact_stay_so_and_infinite_ones_are_infinite():
    assert sum_up(1.0, 2.0**-52) == sum_down(1.0, 2.0**-52) == 1.0 + 2.0**-52
    assert sum_up(1.0, 2.0**-60) == math.nextafter(1.0, 2.0)
    assert sum_down(1.0, -(2.0**-60)) == math.nextafter(1.0, 0.0)
    assert sum_up(1.0, math.inf) == math.inf
    assert sum_down(1.0, -math.inf) == -math.inf
    assert math.copysign(1.0, sum_down(1.0, -1.0)) == 1.0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("value", [0.1, 0.7, 1.0 / 3.0])
def test_products_of_many_equal_numbers_are_summed_in_pairs(value, order):
    n = 100_000  # BLAS adds thousands of these in a row, with an error of a thousand roundings
    a = np.full((2, n), value, order=order)
    exact = n * Fraction(value)
    for computed in (float(dot(a[0], np.ones(n))), *dot(a, np.ones(n)).tolist()):
        assert abs(Fraction(computed) - exact) <= Fraction(SUM_ROUNDING) * exact
    assert abs(Fraction(float(a[0] @ np.ones(n))) - exact) <= Fraction(row_rounding(n)) * exact


@given(times, times)
def test_a_span_does_not_reach_beyond_its_end(a, b):
    start, end = sorted((a, b))
    length = span(start, end)
    assert (
        Fraction(start) + Fraction(length)
        <= Fraction(end)
        < Fraction(start) + Fraction(math.nextafter(length, math.inf))
    )


@given(times, lengths, times)
def test_times_add_up_or_what_they_miss_is_known(t, h, t1):
    if not t < t1:
        return
    try:
        s = step_to(t, h, t1)
    except fsp.ConvergenceError:
        assert t + h == t
        return
    end, past = landed(t, s, t1)
    assert t < end <= t1
    assert Fraction(end) - Fraction(t) - Fraction(s) <= Fraction(past) <= 1.001 * math.ulp(end)
    assert Fraction(past) >= 0
    # A step that is cut short ends at the first float from there on; the target is reached by all of the way alone.
    for share in (0.3, 1.0 - 1e-13):
        cut = share * s
        end, past = landed(t, cut, t1)
        assert Fraction(end) - Fraction(t) - Fraction(cut) <= Fraction(past)
        assert end == t or Fraction(math.nextafter(end, -math.inf)) < Fraction(t) + Fraction(cut) <= Fraction(end)


@given(st.floats(1e-290, 1e290))
def test_short_lengths_add_up(h):
    length = short(h)
    assert h * (1.0 - 2.0**-22) <= length <= h
    assert all(Fraction(k * length) == k * Fraction(length) for k in (3, 1001, 2**28 + 1))


@pytest.mark.parametrize("length", [math.inf, 0.0])
def test_short_keeps_what_is_no_length(length):
    assert short(length) == length


@given(st.floats(0.0, 3.0), st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40))
def test_half_sums_are_rounded_outwards(error, numbers):
    y = np.array(numbers)
    above, below = half_sums(error, *missing_from(y))
    missing = 1 - sum(Fraction(one) for one in numbers)
    if abs(missing) <= error:  # else there is no such error
        assert (Fraction(error) + missing) / 2 <= Fraction(above)
        assert (Fraction(error) - missing) / 2 <= Fraction(below)
    size = max(1.0, error, abs(float(missing)))
    assert (
        above + below <= max(error, abs(float(missing))) + 2.0 * SUM_ROUNDING * max(1.0, float(y.sum())) + 1e-15 * size
    )


@pytest.mark.parametrize("seed", range(8))
def test_half_sums_hold_where_the_sum_rounds(seed):
    y = np.random.default_rng(seed).random(3000)
    y /= y.sum()
    missing = 1 - sum(map(Fraction, y.tolist()))
    error = math.nextafter(abs(float(missing)), 1.0)
    masses = (float(y.sum()), float(np.bincount(y > 0, y)[1]))
    summed = [half_sums(error, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0)) for mass in masses]
    for above, below in (half_sums(error, *missing_from(y)), *summed):
        assert (Fraction(error) + missing) / 2 <= Fraction(above) <= 1e-13
        assert (Fraction(error) - missing) / 2 <= Fraction(below) <= 1e-13


def test_what_many_probabilities_lack_is_known_but_for_the_rounding_of_their_sum(rng):
    y = rng.random(MOST_EXACT + 1)
    for share in (1.0, 0.7, 1.0 + 1e-9):
        p = share * y / y.sum()
        missing, off = missing_from(p, 1e-14)
        exact = 1.0 - math.fsum(p)
        assert abs(missing - exact) <= off <= 1e-13


def test_what_a_certain_state_lacks_is_nothing():
    assert half_sums(0.0, *missing_from(np.ones(1))) == (0.0, 0.0)
