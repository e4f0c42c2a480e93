"""Rates that are accumulated: values within their errors, and polynomials above propensities."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.passages.gain import Gain


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("exp(0.5*X) - 0.999999", lambda x: mpmath.exp(mpmath.mpf(0.5) * x) - mpmath.mpf(0.999999)),
        ("1.1*X", lambda x: mpmath.mpf(1.1) * x),
        ("sqrt(X) + 1/(1 + X)", lambda x: mpmath.sqrt(x) + mpmath.mpf(1) / (1 + x)),
    ],
)
def test_values_at_all_states_are_within_the_error(text, exact):
    model = network({"X": 3}, ("0 -> X", "mass_action", 4.0), ("X -> 0", "mass_action", 1.0))
    space = fsp.StateSpace.box(model, {"X": 60})
    values, off = Gain.of_formula(model, text).rates(model, space)
    with mpmath.workdps(40):
        missed = [abs(mpmath.mpf(value) - exact(x)) for x, value in enumerate(values.tolist())]
    assert max(missed) <= off
    assert off >= 0.5 * UNIT_ROUNDOFF * values.max()  # of the largest one, which is not a number that a double holds


@pytest.mark.parametrize("rate", ["3*X - 0.05*X^2", "20*X/(5 + X)", "X*(X - 1)*0.3"])
def test_polynomials_lie_above_propensities(rate):
    model = network({"X": 3}, ("0 -> X", "rate", "10"), ("X -> 0", "rate", rate)).with_initial({"X": 2})
    gain = Gain.of_reaction(model, model.reactions[1].name)
    space = fsp.StateSpace.box(model, {"X": 60})
    (above,) = gain.costs(model)
    assert gain.cost(model) == above
    for x, value in enumerate(model.propensity(1, space.states[:60])):
        bound = sum(Fraction(c) * math.prod(x - k for k in range(n)) for (n,), c in above.items())
        assert Fraction(value) * (1 - Fraction(1e-14)) <= bound
    assert np.isfinite([float(c) for c in above.values()]).all()
