"""Drift conditions hold far out, and what they say of tails."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moment_cases import far_out, load
from random_networks import as_model, networks
from written_networks import network

from fsp.moments import MomentBounds, moment_bounds
from fsp.moments.bounds import _certificates
from fsp.moments.dissipation import OrderBound, order_bound
from fsp.moments.drift import PowerBound, power_bound
from fsp.moments.rates import rates


def certificates(model, t):
    return _certificates(model, t, model.species_bounds, model.initial_probabilities @ model.initial_states)


def image(model, states, function, t=0.0):
    """Σ_k a_k(x) (f(x + ν_k) - f(x)), in floating point, and the sum of its absolute terms."""
    a = model.propensities(states, t)  # (R, n)
    terms = [a[k] * (function(states + model.change[k]) - function(states)) for k in range(model.n_reactions)]
    sizes = [a[k] * (function(states + model.change[k]) + function(states)) for k in range(model.n_reactions)]
    return np.sum(terms, axis=0), np.sum(sizes, axis=0)


# ---- drift conditions


def check_conditions(model, t, rng):
    """Try the inequalities that the certificates state at states far out; return how many were tried."""
    states = far_out(rng, model.species_bounds)
    found = certificates(model, t)
    tried = 0
    for condition in (c for own in found.drift for c in own):
        w = np.array([float(x) for x in condition.weights])
        orders = [condition.order] if isinstance(condition, OrderBound) else [1, 2, 3, 5]
        for q in orders:
            if isinstance(condition, PowerBound) and q > 1 + len(condition.spreads):
                continue
            left, size = image(model, states, lambda x, w=w, q=q: (x @ w) ** q, t)
            right = claimed(condition, q, states @ w)
            assert (left <= right + 1e-11 * (size + np.abs(right)) + 1e-12).all(), (model.describe(), condition, q)
            tried += 1
    return tried


def claimed(condition, q, u):
    """What a certificate says that A u^q is at most."""
    rate, source = float(condition.rate), float(condition.source)
    if isinstance(condition, OrderBound):
        return rate * u**q + source
    total = q * (rate * u**q + source * u ** (q - 1))
    for j, (slope, constant) in enumerate(condition.spreads[: q - 1], start=2):
        total = total + comb(q, j) * (float(slope) * u ** (q - j + 1) + float(constant) * u ** (q - j))
    return total


@settings(max_examples=40)
@given(networks(), st.integers(0, 10**6))
def test_drift_conditions_hold_far_out(drawn, seed):
    model = as_model(drawn)
    open_ended = np.isinf(model.species_bounds).any()
    tried = check_conditions(model, 2.0, np.random.default_rng(seed))
    assert (tried > 0) == open_ended  # every open network here has a bound


@pytest.mark.parametrize(
    "name", ["toggle_hill", "toggle2", "goutsias", "lotka_volterra", "schloegl", "phage_lambda", "repressilator"]
)
def test_drift_conditions_of_known_models_hold(name, rng):
    assert check_conditions(load(name), 10.0, rng) > 0


@pytest.mark.parametrize("t", [0.0, 1.0, 8.0])
def test_drift_conditions_hold_at_every_time(t, rng):
    model = network(
        {"X": 0, "Y": 0},
        ("0 -> X", "rate", "3*(1 + sin(time))"),
        ("X -> X + Y", "rate", "X*exp(-time/5)"),
        ("X -> 0", "mass_action", 1.0),
        ("Y -> 0", "rate", "Y*(0.2 + 0.1*cos(time))"),
    )
    found = certificates(model, 8.0)
    states = far_out(rng, model.species_bounds)
    assert all(found.drift)
    for condition in (c for own in found.drift for c in own):
        w = np.array([float(x) for x in condition.weights])
        left, size = image(model, states, lambda x, w=w: x @ w, t)
        assert (left <= claimed(condition, 1, states @ w) + 1e-11 * size).all()


def test_drift_conditions_hold_where_losses_saturate(rng):
    model = network(
        {"X": 4, "Y": 0},
        ("0 -> X", "mass_action", 5.0),
        ("X -> Y", "rate", "10*X/(5 + X)"),
        ("Y -> 0", "rate", "Y - Y/(2 + Y)"),
        ("X + Y -> X", "rate", "0.1*X*Y/(1 + Y)"),
    )
    assert check_conditions(model, 2.0, rng) > 0
    assert check_conditions(model, 50.0, rng) > 0


COMPETING = {
    "gain of degree two behind a loss of degree three": network(
        {"X": 5, "Y": 0, "Z": 0},
        ("2 X -> 3 X", "mass_action", 0.1),
        ("3 X -> 2 X", "mass_action", 0.05),
        ("X -> X + Y", "mass_action", 1.0),
        ("Y -> 2 Z", "mass_action", 4.0),
        ("Z -> 0", "mass_action", 1.0),
        ("X -> 0", "mass_action", 0.5),
    ),
    "logistic": network(
        {"X": 5, "Y": 1},
        ("X -> 2 X", "mass_action", 1.0),
        ("2 X -> X", "mass_action", 0.05),
        ("X + Y -> 2 Y", "mass_action", 0.1),
        ("Y -> 0", "mass_action", 1.0),
    ),
    "mutual": network(
        {"X": 5, "Y": 1},
        ("X + Y -> X + 2 Y", "mass_action", 0.1),
        ("3 Y -> Y", "mass_action", 0.3),
        ("3 X -> X", "mass_action", 0.3),
        ("0 -> X", "mass_action", 1.0),
    ),
}


@pytest.mark.parametrize("name", COMPETING)
def test_gains_of_high_degree_are_bounded_by_losses_of_higher(name, rng):
    model = COMPETING[name]
    assert check_conditions(model, 20.0, rng) > 0
    known = moment_bounds(model, 20.0).bounds
    assert not known.reason
    assert (known.norms[:, 1] < 200.0).all()  # e^20 without the losses


def test_weights_that_a_fast_reaction_raises_have_no_bound():
    model = network({"X": 2}, ("2 X -> 3 X", "mass_action", 0.1), ("X -> 0", "mass_action", 1.0))
    found = rates(model, 1.0, model.species_bounds)
    assert power_bound((Fraction(1),), found, 0.0, model.species_bounds) is None
    lowered = network({"X": 2}, ("2 X -> X", "mass_action", 0.1), ("0 -> X", "mass_action", 1.0))
    assert power_bound((Fraction(1),), rates(lowered, 1.0, lowered.species_bounds), 0.0, np.array([np.inf]))


def test_a_loss_of_high_degree_bounds_a_gain():
    """2X -> 3X is faster than linear: only 3X -> 2X keeps it down."""
    model = load("schloegl")
    found = rates(model, 4.0, model.species_bounds)
    one = order_bound((Fraction(1),), 2, found, -1.0, model.species_bounds)
    assert one is not None
    x = np.arange(3000)[:, None]
    left, size = image(model, x, lambda x: x[:, 0].astype(float) ** 2)
    right = claimed(one, 2, x[:, 0].astype(float))
    assert (left <= right + 1e-12 * size).all()
    assert (right - left).min() <= 0.15 * one.source  # and not by much


# ---- Hölder


@given(st.integers(0, 10**6), st.floats(1e-9, 1.0), st.sampled_from([(1, 0), (2, 0), (1, 1), (2, 1)]))
def test_a_part_of_a_distribution_has_no_more_than_the_tail_bound(seed, weight, alpha):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 200, (60, 2)).astype(float)
    p = rng.dirichlet(np.full(60, 0.3))
    norms = np.array([[float(p @ x[:, i] ** q) ** (1 / q) for q in range(1, 25)] for i in range(2)])
    known = MomentBounds(("U", "V"), np.full(2, np.inf), norms, np.zeros((0, 2), int), np.zeros((0, 2)))
    values = x[:, 0] ** alpha[0] * x[:, 1] ** alpha[1]
    order = np.argsort(-values)  # the worst part: the largest values first
    part = np.diff(np.minimum(np.cumsum(p[order]), weight), prepend=0.0)
    assert part @ values[order] <= known.tail(alpha, weight) * (1 + 1e-12)
    boxed = MomentBounds(("U", "V"), np.array([np.inf, 199.0]), norms, np.zeros((0, 2), int), np.zeros((0, 2)))
    assert part @ values[order] <= boxed.tail(alpha, weight) * (1 + 1e-12)


@pytest.mark.parametrize("jump", [1, 3])
def test_a_species_alone_is_bounded_as_beside_one_that_is_idle(jump):
    """The weight of a species alone needs no linear programme, and orders share what jumps by one make of them."""
    ways = (
        ("0 -> X" if jump == 1 else f"0 -> {jump} X", "rate", 4.0),
        ("X -> 0", "mass_action", 0.5),
        ("X -> 2 X", "rate", "0.2*X"),
    )
    alone = moment_bounds(network({"X": 3}, *ways), 2.0).bounds
    beside = moment_bounds(network({"X": 3, "Y": 1}, *ways, ("Y -> 0", "mass_action", 1.0)), 2.0).bounds
    assert np.isfinite(alone.norms).all()
    assert alone.norms[0] == pytest.approx(beside.norms[0], rel=1e-9)
    bound = min((own for own in certificates(network({"X": 3}, *ways), 2.0).drift[0]), key=lambda own: own.rate)
    for j, (slope, constant) in enumerate(
        bound.spreads, start=2
    ):  # Σ max(δ^j, 0) a = 4 jump^j + 0.2 x, and 0.5 x if even
        assert float(slope) == pytest.approx(0.2 + 0.5 * (j % 2 == 0), rel=1e-9)
        assert float(constant) == pytest.approx(4.0 * jump**j, rel=1e-9)
