"""Proofs that a chain runs away hold where the law is known, and are not made where nothing runs away."""

from __future__ import annotations

import math

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.projection.escape import escape


def queue(arrival):
    return network({"X": 0}, ("0 -> X", "mass_action", arrival), ("X -> 0", "rate", "piecewise(1, X > 0, 0)"))


def explosive(death):
    return network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2"), ("X -> 0", "mass_action", death))


def brusselator(volume):
    return network(
        {"X": 0, "Y": 0},
        ("0 -> X", "mass_action", volume),
        ("X -> 0", "mass_action", 1.0),
        ("2 X + Y -> 3 X", "mass_action", 2.0 / volume**2),
        ("X -> Y", "mass_action", 2.5),
    )


def schnakenberg(volume):
    return network(
        {"X": 0, "Y": 0},
        ("0 -> X", "mass_action", 0.5 * volume),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "mass_action", 0.5 * volume),
        ("2 X + Y -> 3 X", "mass_action", 2.0 / volume**2),
    )


def lotka_volterra():
    return network(
        {"X": 4, "Y": 4},
        ("0 -> X", "mass_action", 1.0),
        ("0 -> Y", "mass_action", 4.0),
        ("X -> 2 X", "mass_action", 1.0),
        ("X + Y -> 2 Y", "mass_action", 0.2),
        ("Y -> 0", "mass_action", 1.0),
    )


def ruin(birth, death, n, m, most=4000):
    """P(a birth-death chain at n ever falls to m - 1): Σ_{k >= n} ρ_k / Σ_{k >= m - 1} ρ_k, ρ_k = Π death/birth."""
    k = np.arange(m, most)
    log_rho = np.concatenate([[0.0], np.cumsum(np.log(death(k)) - np.log(birth(k)))])  # from m - 1 on
    rho = np.exp(log_rho - log_rho.max())
    return rho[n - m + 1 :].sum() / rho.sum()


@pytest.mark.parametrize("n", [30, 60, 300])
@pytest.mark.parametrize(
    ("model", "birth", "death"),
    [
        (queue(1.3), lambda k: 1.3 + 0.0 * k, lambda k: 1.0 + 0.0 * k),
        (explosive(6.0), lambda k: 0.5 * k**2, lambda k: 6.0 * k),
    ],
)
def test_what_leaves_does_so_with_the_probability_claimed(model, birth, death, n):
    found = escape(model, np.array([n]))
    if found is None or not found.leaves:
        assert ruin(birth, death, n, max(n // 4, 2)) > 0.0
        assert n < 60
        return
    assert 1.0 - ruin(birth, death, n, found.level) >= 0.75


@pytest.mark.parametrize("n", [20, 100, 1000])
@pytest.mark.parametrize("remaining", [1e-4, 1e-2, 1.0])
def test_an_explosion_is_called_one_where_it_happens_in_time(n, remaining):
    """Pure birth at 0.5 n²: the mean time to explosion is 2 Σ_{k >= n} 1/k², and by Markov P(ζ > s) <= mean/s."""
    found = escape(network({"X": 1}, ("X -> 2 X", "rate", "0.5*X^2")), np.array([n]), 0.0, remaining)
    mean = 2.0 * sum(1.0 / k**2 for k in range(n, 10**5)) + 2e-5
    assert found.leaves
    if found.explodes:
        assert remaining >= 0.3 * mean  # the median of a time that is nearly certain is close to its mean
    if remaining >= 20.0 * mean:
        assert found.explodes


GATED = network({"G": 1, "X": 3}, ("G -> 0", "mass_action", 1.0), ("2 X + G -> 3 X + G", "mass_action", 1.0))


@pytest.mark.parametrize("n", [0, 1, 5, 20, 100, 1000, 10**6])
@pytest.mark.parametrize("remaining", [1e-4, 1e-2, 1.0, 1e3, math.inf])
@pytest.mark.parametrize("model", [explosive(6.0), explosive(1e-3), queue(1.3), GATED, schnakenberg(10.0)])
def test_explosions_alone_are_those_that_are_found_otherwise(model, n, remaining):
    state = np.full(model.n_species, n)
    every = escape(model, state, 0.0, remaining)
    alone = escape(model, state, 0.0, remaining, explosions=True)
    assert (alone is not None and alone.explodes) == (every is not None and every.explodes)


def test_a_queue_at_its_capacity_comes_back_after_an_infinite_mean_time():
    found = escape(queue(1.0), np.array([100]))
    assert (found.explodes, found.leaves, found.level) == (False, False, 25)


UNPROVED = {
    "Brusselator": brusselator(10.0),
    "Schnakenberg": schnakenberg(10.0),
    "Lotka-Volterra": lotka_volterra(),
    "queue just below its capacity": queue(0.999),
    "cubic loss": network({"X": 1}, ("2 X -> 3 X", "mass_action", 1.0), ("3 X -> 2 X", "mass_action", 0.01)),
    "saturating": network({"X": 1}, ("0 -> X", "rate", "100*X^4/(1 + X^4)"), ("X -> 0", "mass_action", 1.0)),
    "only as long as a gate is open": GATED,
    "a gate makes, and closes": network(
        {"G": 1, "X": 0}, ("G -> 0", "mass_action", 1.0), ("G -> G + X", "mass_action", 5.0)
    ),
    "callable": network({"X": 1}, ("X -> 2 X", "rate", lambda x: 0.5 * x["X"] ** 2)),
}


@pytest.mark.parametrize("name", UNPROVED)
def test_nothing_is_claimed_without_a_proof(name):
    model = UNPROVED[name]
    for n in (0, 1, 50, 10**4, 10**9):
        assert escape(model, np.full(model.n_species, n), 10.0, 10.0) is None


def test_the_brusselator_is_followed_to_its_cycle():
    """From nothing, over more growths than make a network suspect; a box gives the same."""
    model = brusselator(10.0)
    d = fsp.transient(model, [4.0], 1e-3)[0]
    assert d.error.total <= 1e-3
    assert d.error.certified
    box = fsp.StateSpace.box(model, upper={"X": 90, "Y": 120})
    other = fsp.transient(model, [4.0], 1e-3, space=box)[0]
    assert d.distance(other) <= d.error.total + other.error.total


@pytest.mark.parametrize("model", [brusselator(5.0), schnakenberg(6.0)])
def test_oscillators_come_to_rest(model):
    """What goes in comes out by X -> 0: its mean is the rate of all that is made."""
    d = fsp.stationary(model, 1e-5)
    made = sum(float(model.propensity(k, np.zeros((1, 2), dtype=np.int64))[0]) for k in range(4))
    assert d.mean()["X"] == pytest.approx(made, rel=1e-3)
    assert d.error.total <= 1e-5


def test_a_limit_is_said_where_nothing_is_proved():
    with pytest.raises(fsp.StateSpaceError, match=r"at most 400 states \(`max_states`\)"):
        fsp.transient(GATED, [10.0], 1e-6, max_states=400)


def test_proofs_hold_for_rates_that_depend_on_time():
    model = network({"X": 1}, ("2 X -> 3 X", "rate", "0.1*(2 + sin(time))*X^2"), ("X -> 0", "mass_action", 1.0))
    assert escape(model, np.array([4000]), 10.0, 10.0).explodes
    off = network({"X": 1}, ("2 X -> 3 X", "rate", "0.1*(1 + sin(time))*X^2"), ("X -> 0", "mass_action", 1.0))
    assert escape(off, np.array([4000]), 10.0, 10.0) is None
    assert math.isinf(off.species_bounds[0])
