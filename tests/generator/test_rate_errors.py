"""What rates may be off moves probability into a state and out of another: the charge is twice its integral."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy import integrate

from fsp.generator.rate_errors import RateErrors
from fsp.model.expression import ONE, evaluate
from fsp.model.formula import parse

clock = partial(parse, what="function of time")


@pytest.mark.parametrize("error", [1e-9, 1e-3])
@pytest.mark.parametrize(("start", "end"), [(0.0, 0.1), (5.0, 5.5)])
def test_two_chains_whose_rates_differ_are_within_the_charge(error, start, end):
    """A → B at rate k or k + ε: ``2 (exp(-k t) - exp(-(k + ε) t))`` in the 1-norm."""
    k, t = 1e-2, end - start
    charge = RateErrors(0.0, np.array([error]), math.inf, 0).charge([ONE], None, start, end)
    gap = 2.0 * math.exp(-k * t) * -math.expm1(-error * t)
    assert gap <= charge * (1 + 1e-12)
    assert charge <= 1.01 * gap


@pytest.mark.parametrize("text", ["2 + sin(time)", "exp(-time)", "1/(1 + time)"])
def test_errors_of_clocked_rates_are_charged_with_their_clock(text):
    tree, error = clock(text), 1e-4
    errors = RateErrors(0.0, np.array([2e-5, error]), math.inf, 0)
    exact = integrate.quad(lambda t: float(evaluate(tree, {}, t)), 0.5, 0.8)[0]
    charge = errors.charge([ONE, tree], None, 0.5, 0.8)
    least = 2.0 * (2e-5 * (0.8 - 0.5) + error * exact)
    assert least <= charge <= 1.5 * least
    held = errors.charge([ONE, tree], np.array([1.0, 7.0]), 0.5, 0.8)
    assert held == pytest.approx(2.0 * (2e-5 + 7.0 * error) * (0.8 - 0.5))


def test_a_clock_without_a_bound_is_charged_without_end():
    assert (
        RateErrors(0.0, np.array([0.0, 1e-9]), math.inf, 0).charge([ONE, clock("1/time")], None, 0.0, 1.0) == math.inf
    )


@pytest.mark.parametrize(("worst", "lost"), [(0.0, 0.0), (1e-16, 0.0), (0.3, 0.3), (math.inf, 2.0)])
def test_what_is_lost_is_an_error_of_probabilities(worst, lost):
    assert RateErrors(0.0, np.zeros(1), worst, 0).lost == lost
