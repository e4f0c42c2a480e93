"""Poisson weights lie below the law and lack no more than they say."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from fsp.solvers.poisson import poisson_window

UNIT = 2.0**-53


@pytest.mark.parametrize("tail", [1e-3, 1e-16])
@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0, 1e3, 1e5])
def test_poisson_weights_are_exact_and_lie_below_the_law(mean, tail):
    first, weights = poisson_window(mean, tail)
    rounding = 4 * UNIT * (len(weights) + 10)
    assert weights.sum() == pytest.approx(1.0 - tail, rel=rounding)
    with mpmath.workdps(40):
        for j in np.unique(np.linspace(0, len(weights) - 1, 40).astype(int)):
            k = first + int(j)
            truth = mpmath.exp(-mpmath.mpf(mean) + k * mpmath.log(mpmath.mpf(mean)) - mpmath.loggamma(k + 1))
            ratio = float(mpmath.mpf(float(weights[j])) / truth) if truth > 1e-300 else 1.0
            assert 1.0 - tail - rounding <= ratio <= 1.0 + rounding


@pytest.mark.parametrize("tail", [1e-6, 1e-16])
@pytest.mark.parametrize("mean", [0.0, 1e-12, 0.1, 745.0, 1e4, 1e7])
def test_poisson_weights_do_not_overflow(mean, tail):
    first, weights = poisson_window(mean, tail)
    assert np.isfinite(weights).all()
    assert (weights >= 0.0).all()
    assert weights.sum() == pytest.approx(1.0 - tail, abs=1e-12)
    assert first <= mean <= first + len(weights)
    assert len(weights) <= 25.0 * math.sqrt(mean) + 60.0


@settings(max_examples=200)
@given(st.floats(-2.0, 2.0), st.floats(-12.0, -0.5))
def test_the_window_lacks_no_more_than_the_tail(log_mean, log_tail):
    """So no weight is above the law, however few the window has."""
    mean, tail = 10.0**log_mean, 10.0**log_tail
    first, weights = poisson_window(mean, tail)
    last = first + len(weights) - 1
    below = special.gammaincc(first, mean) if first > 0 else 0.0  # P(N < first)
    assert below + special.gammainc(last + 1, mean) <= tail  # and P(N > last)
    law = np.exp(
        special.xlogy(np.arange(first, last + 1), mean) - mean - special.gammaln(np.arange(first, last + 1) + 1)
    )
    assert (weights <= law * (1.0 + 1e-12)).all()
