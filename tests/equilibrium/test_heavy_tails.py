"""Laws at rest whose probabilities have no sum, no mean or no variance, and walks that no state holds."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fsp
from fsp.equilibrium.heavy_tails import slowest_fall


def line(up, down, **others):
    reactions = [fsp.Reaction("0 -> X", rate=up), fsp.Reaction("X -> 0", rate=down)]
    reactions += [fsp.Reaction(text, rate=rate) for text, rate in others.items()]
    return fsp.Model(species={"X": 0} | dict.fromkeys("Y" * bool(others), 0), reactions=reactions)


@pytest.mark.parametrize("s", [0.5, 1.0, 1.5, 2.0, 3.5])
def test_probabilities_fall_by_the_power_of_their_rates(s):
    species, fall = slowest_fall(line(f"((X + 1)/(X + 2))^{s}", "X > 0"))  # π(n) = c (n + 1)^-s
    assert species == "X"
    assert fall == pytest.approx(s, rel=1e-5)


@pytest.mark.parametrize(
    ("up", "down"),
    [
        ("(X + 1)/(X + 2)", "X > 0"),
        ("X + 1", "X + 1 - (X < 1)"),
        ("piecewise(0.001, X < 20, 2)", "piecewise(X, X <= 20, 2)"),
        ("piecewise(1, X < 40, 2)", "piecewise(X, X <= 40, 2)"),
    ],
)
def test_sums_that_are_infinite_are_no_matter_of_limits(up, down):
    with pytest.raises(
        fsp.StateSpaceError, match=r"must exist.*(a larger limit does not help|after an infinite mean time only)"
    ):
        fsp.stationary(line(up, down), max_states=3000)
    model = line(up, down)
    space = fsp.StateSpace.box(model, upper={"X": 60})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        dist = fsp.stationary(model, space=space)  # the way out
    assert dist.probabilities.sum() == pytest.approx(1.0)


def test_a_critical_walk_beyond_what_is_stored_is_refused_beside_another_species():
    model = line("piecewise(1, X < 40, 2)", "piecewise(X, X <= 40, 2)", **{"0 -> Y": "1", "Y -> 0": "Y"})
    with pytest.raises(fsp.StateSpaceError, match="after an infinite mean time only"):
        fsp.stationary(model)


def test_moments_that_are_infinite_are_named():
    text = str(fsp.stationary(line("((X + 1)/(X + 2))^2.5", "X > 0"), tol=1e-4))
    assert "≈" in text
    assert "n^-2.5: its variance is infinite" in text


@pytest.mark.parametrize(("up", "down"), [("3", "X"), ("2", "3*(X > 0)"), ("(X + 1)/(X + 2)", "1.1*(X > 0)")])
def test_other_laws_are_not_refused(up, down):
    dist = fsp.stationary(line(up, down), tol=1e-5)
    assert "infinite" not in str(dist)
    assert dist.probabilities.sum() == pytest.approx(1.0, abs=1e-4)


def test_an_error_as_large_as_any_is_no_answer():
    with pytest.raises(fsp.ConvergenceError, match=r"no correct digits.*Give a `space`"):
        fsp.stationary(line("exp(-X)", "1e-300*(X > 0)"))


def test_deaths_that_hardly_happen_need_no_list_of_states():
    model = line("exp(-X)", "1e-30*X")
    dist = fsp.stationary(model)
    n = np.arange(200)
    logs = np.concatenate([[0.0], np.cumsum(-n[:-1] - np.log(1e-30 * n[1:]))])
    exact = np.exp(logs - logs.max())
    exact /= exact.sum()
    gap = np.abs(exact[dist.states[:, 0]] - dist.probabilities).sum() + 1.0 - exact[dist.states[:, 0]].sum()
    assert gap <= dist.error.total + 1e-12
    assert dist.error.total < 1e-6
