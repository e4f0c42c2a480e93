"""Lyapunov functions: their drifts are what the conditions say, and quadratic forms bound as linear ones do."""

from __future__ import annotations

from fractions import Fraction

import exact
import numpy as np
import pytest
from references import MODELS
from stationary_cases import ESCAPING
from written_networks import network

import fsp
from fsp.moments import lyapunov, quadratic
from fsp.moments.lyapunov import NoDriftCondition, drift_condition


@pytest.mark.parametrize("name", ["toggle_hill", "schloegl", "repressilator", "toggle2", "phage_lambda", "pap_pili"])
def test_drifts_are_what_the_condition_says(name):
    """At random states near and far: at most -γ, or listed with a bound."""
    model = fsp.load(MODELS / f"{name}.ant")
    condition = drift_condition(model)
    generator = np.random.default_rng(1)
    scale = 10.0 ** generator.uniform(0, 5, (20000, 1))
    states = (generator.exponential(1.0, (20000, model.n_species)) * scale).astype(np.int64)
    bounded = np.isfinite(model.species_bounds)
    states[:, bounded] = np.minimum(states[:, bounded], model.species_bounds[bounded].astype(np.int64))
    for law in model.conservation_laws:
        states = states[(states @ law) == model.initial_states[0] @ law]
    assert len(states) > 50
    drift = np.zeros(len(states))
    for own, change in zip(model.propensities(states), model.change, strict=True):
        drift += own * (condition.values(states + change) - condition.values(states)) * (own > 0)
    listed = dict(zip(map(tuple, condition.states.tolist()), condition.drifts.tolist(), strict=True))
    most = np.array([listed.get(tuple(x), -condition.elsewhere) for x in states.tolist()])
    assert (drift <= most + 1e-9 * np.abs(drift)).all()


@pytest.mark.parametrize("name", ESCAPING)
def test_chains_that_escape_have_no_drift_condition(name):
    with pytest.raises(NoDriftCondition):
        drift_condition(ESCAPING[name])


@pytest.fixture
def quadratic_forms(monkeypatch):
    """Quadratic forms are tried whatever the number of excepted states."""
    monkeypatch.setattr(lyapunov, "_MANY_EXCEPTED", -1)
    monkeypatch.setattr(lyapunov._LyapunovSearch, "candidates", lambda self: [])


def cascade():
    return network(
        {"M": 0, "P": 0},
        ("0 -> M", "mass_action", 3.0),
        ("M -> M + P", "mass_action", 2.0),
        ("M -> 0", "mass_action", 0.5),
        ("P -> 0", "mass_action", 0.4),
    )


def test_quadratic_forms_bound_as_linear_functions_do(quadratic_forms):
    model = cascade()
    condition = drift_condition(model)
    assert condition.centre.tolist() == [6, 30]
    d = fsp.stationary(model, 1e-7)
    assert d.error.certified
    assert d.error.total <= 1e-7
    marginal = d.marginal("M")
    law = exact.poisson(marginal.states[:, 0], 6.0)
    assert np.abs(marginal.probabilities - law).sum() <= d.error.total
    p = d.marginal("P")
    assert p.mean()["P"] == pytest.approx(30.0, abs=1e-4)
    assert p.variance()["P"] == pytest.approx(30.0 * (1.0 + 2.0 / 0.9), rel=1e-4)


def test_drifts_of_quadratic_forms_are_what_the_condition_says(quadratic_forms):
    model = cascade()
    condition = drift_condition(model)
    sides = np.meshgrid(np.arange(60), np.arange(0, 400), indexing="ij")
    states = np.stack([side.ravel() for side in sides], axis=1)
    drift = np.zeros(len(states))
    for own, change in zip(model.propensities(states), model.change, strict=True):
        below = (states + change).min(axis=1) < 0
        drift += np.where(below, 0.0, own * (condition.values(states + change) - condition.values(states)))
    listed = dict(zip(map(tuple, condition.states.tolist()), condition.drifts.tolist(), strict=True))
    most = np.array([listed.get(tuple(x), -condition.elsewhere) for x in states.tolist()])
    assert (drift <= most + 1e-9 * (1.0 + np.abs(drift))).all()
    assert len(listed) < 1000


@pytest.mark.parametrize(
    ("matrix", "sign"),
    [
        ([[1, 0], [0, 1]], True),
        ([[1, 2], [2, 4]], True),
        ([[1, 2], [2, 3]], False),
        ([[-1, 0], [0, 1]], False),
        ([[0, 1], [1, 1]], False),
        ([[2, 1, 1], [1, 2, 1], [1, 1, 0]], False),
    ],
)
def test_forms_that_take_negative_values_are_seen(matrix, sign):
    assert quadratic._not_negative([[Fraction(x) for x in row] for row in matrix]) is sign
