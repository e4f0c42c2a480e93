"""Polynomials bounded from above on whole numbers, and the moments that follow, in rationals."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.moments.dissipation import OrderBound, _square, highest


def value(polynomial, x):
    """Return a polynomial in falling powers at x, in rationals."""
    return sum(
        Fraction(c) * math.prod(n - k for n, order in zip(x, alpha, strict=True) for k in range(order))
        for alpha, c in polynomial.items()
    )


@pytest.mark.parametrize("beta", list(product(range(4), range(3))))
@pytest.mark.parametrize("m", [0, 1, 2, 5, 17])
def test_what_is_subtracted_is_a_product_of_neighbours(beta, m):
    """x^(β) (x_i - m) (x_i - m - 1), which no whole number makes negative."""
    for i in (0, 1):
        square = _square(beta, i, m)
        for x in product((0, 1, 2, 3, 7, 18, 30), (0, 1, 4, 6)):
            assert value(square, x) == value({beta: 1}, x) * (x[i] - m) * (x[i] - m - 1)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_the_highest_value_is_at_no_state_exceeded(width, seed):
    """Low powers that raise a polynomial, and a higher one that ends it; or none."""
    random = np.random.default_rng(seed)
    low = [alpha for alpha in product(range(3), repeat=width) if sum(alpha) <= 2]
    polynomial = {alpha: Fraction(float(random.normal() * 10.0 ** random.uniform(-1, 1))) for alpha in low}
    for i in range(width):
        top = tuple(3 * (j == i) for j in range(width))
        polynomial[top] = -Fraction(float(10.0 ** random.uniform(-3, 0)))
    if random.random() < 0.3:
        polynomial = {alpha: -abs(c) if any(alpha) else c for alpha, c in polynomial.items()}
    bound = highest(polynomial, width)
    if bound is not None:
        for x in product(range(60 if width == 1 else 25), repeat=width):
            assert value(polynomial, x) <= Fraction(bound)


def test_constants_are_their_own_bounds():
    assert highest({(0,): Fraction(5)}, 1) >= 5.0
    assert highest({(0,): Fraction(5), (1,): Fraction(-1)}, 1) >= 5.0
    assert highest({(1,): Fraction(1)}, 1) is None


class Begun:
    """A start at three molecules."""

    def powers(self, weights, orders, scale):
        return 3.0 ** orders.astype(float)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("t", [0.0, 0.5, 4.0, math.inf])
@pytest.mark.parametrize("rate", [-1.5, 0.0, 0.25])
def test_a_moment_is_bounded_in_its_order_and_in_no_other(order, t, rate):
    """By the solution of E' = a E + b."""
    norms = OrderBound((Fraction(1),), order, rate, 2.0).norms(t, Begun())
    others = np.delete(norms, order - 1)
    assert np.isinf(others).all()
    if math.isinf(t):
        exact = 2.0 / 1.5 if rate < 0.0 else math.inf
    else:
        exact = math.exp(rate * t) * 3.0**order + 2.0 * (math.expm1(rate * t) / rate if rate else t)
    assert exact ** (1.0 / order) <= norms[order - 1]
    assert norms[order - 1] <= exact ** (1.0 / order) * (1.0 + 1e-11)


def test_polynomials_beyond_doubles_have_no_bound():
    """Terms at counts of a million, where the falling ones take over, are larger than doubles are."""
    large = {(0, 1): Fraction(6.7e300), (0, 2): Fraction(6.7e300), (1, 1): Fraction(-1, 4), (1, 2): Fraction(-9)}
    assert highest(large, 2) is None
