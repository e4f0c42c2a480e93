"""Derivatives by parameters of the initial law: closed forms, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

import fsp

X = np.arange(160)


def started(law, **parameters):
    """Return immigration and death of rates 3 and 1 from a law."""
    return fsp.Model(
        species={"X": law},
        parameters=parameters,
        reactions=[fsp.Reaction("0 -> X", rate="3"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )


def spread(found, name):
    full = np.zeros(len(X))
    full[found.states[:, 0]] = found.derivative(name)
    return full


def test_a_poisson_start_has_the_derivative_of_a_poisson_law():
    for found in fsp.sensitivity(started("poisson(2*mu)", mu=2.5), [0.0, 0.7], ["mu"], log=False):
        mean, slope = 5.0 * math.exp(-found.t) + 3.0 * -math.expm1(-found.t), 2.0 * math.exp(-found.t)
        exact = stats.poisson.pmf(X, mean) * (X / mean - 1.0) * slope
        error = found.error("mu")
        assert error.certified
        assert np.abs(spread(found, "mu") - exact).sum() <= error.total <= 1e-6
        assert slope in found.mean("X")["mu"]


@pytest.mark.parametrize(
    ("law", "p", "exact"),
    [
        ("binomial(12, p)", 0.3, lambda p: stats.binom.pmf(X, 12, p)),
        ("bernoulli(p)", 0.3, lambda p: stats.binom.pmf(X, 1, p)),
        ("geometric(p)", 1.4, lambda p: stats.geom.pmf(X + 1, 1.0 / (1.0 + p))),
    ],
)
def test_other_laws_have_the_derivatives_of_their_differences(law, p, exact):
    (found,) = fsp.sensitivity(started(law, p=p), [0.0], ["p"], log=False)
    h = 1e-3
    near, far = ((exact(p + d * h) - exact(p - d * h)) / (2.0 * d * h) for d in (1.0, 2.0))
    slope = (4.0 * near - far) / 3.0
    assert np.abs(spread(found, "p") - slope).sum() <= found.error("p").total + 1e-8
    assert found.error("p").certified


def test_information_holds_that_of_the_start():
    found = fsp.fisher(started("poisson(mu)", mu=5.0), [0.0, 0.7], ["mu"], log=False)
    mean = 5.0 * math.exp(-0.7) + 3.0 * -math.expm1(-0.7)
    assert found.certified
    assert found.lower[0, 0] <= 0.2 + math.exp(-1.4) / mean <= found.upper[0, 0]
    assert found.upper[0, 0] - found.lower[0, 0] < 1e-6


def test_gradients_know_the_mean_of_the_start():
    seen = np.array([2, 4, 5, 9])
    counts = fsp.read_counts({"time": np.zeros(4), "n": seen}, counts={"X": "n"})
    slope = fsp.likelihood(started("poisson(mu)", mu=5.0), counts).gradient(["mu"])["mu"]
    assert slope.certified
    assert float((seen - 5.0).sum()) in slope


@pytest.mark.parametrize("law", ["n", "binomial(n, 0.5)", "choice(n - 7.5, 8.5 - n)"])
def test_starts_that_change_in_steps_are_refused(law):
    with pytest.raises(fsp.ArgumentError, match="initial count of 'X' depends on 'n'"):
        fsp.sensitivity(started(law, n=8.0), [1.0], ["n"])


def test_laws_at_the_end_of_their_range_are_refused():
    with pytest.raises(fsp.ModelError, match="end of its range"):
        fsp.sensitivity(started("bernoulli(p)", p=1.0), [1.0], ["p"])
