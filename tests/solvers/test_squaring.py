"""Squaring of transition matrices, held against high precision and closed forms, over times beyond other solvers."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import stats
from written_networks import network

import fsp
from fsp.arithmetic import span
from fsp.solvers import LossLimit
from fsp.solvers.squaring import _ExponentialPowers

DIGITS = 50


def chain(model, keep=None):
    """The generator on all reachable states, or on some of them, and the initial vector."""
    space = fsp.StateSpace.reachable(model)
    if keep is not None:
        space = space.restrict(keep)
    generator = fsp.Generator(model, space)
    p = np.zeros(len(space))
    p[space.index(model.initial_states)] = model.initial_probabilities
    return generator, p


def flow(generator, p, t):
    """States and sinks after `t`, in high precision; the diagonal is what the rates make it, not what was rounded."""
    rates = generator.with_sinks.toarray()
    n = len(rates)
    with mpmath.workdps(DIGITS):
        A = mpmath.matrix(rates.tolist())
        for j in range(n):
            A[j, j] = -mpmath.fsum(A[i, j] for i in range(n) if i != j)
        halvings = max(0, math.ceil(math.log2(max(float(mpmath.mnorm(A, 1)) * t, 1e-9))) + 4)
        X = A * (mpmath.mpf(t) / 2**halvings)
        power = term = mpmath.eye(n)
        for k in range(1, 30):
            term = term * X / k
            power = power + term
        for _ in range(halvings):
            power = power * power
        z = mpmath.matrix([*p.tolist(), *[0.0] * (n - len(p))])
        return power * z


def true_error(step, exact):
    got = [*step.p.tolist(), *step.lost.tolist()]
    with mpmath.workdps(DIGITS):
        return float(mpmath.fsum(abs(x - y) for x, y in zip(got, exact, strict=True)))


def random_chain(seed):
    """Conversions whose rates span 13 decades, closed or with states cut off."""
    rng = np.random.default_rng(seed)
    reactions = []
    for _ in range(rng.integers(2, 6)):
        source, target = rng.choice(["A", "B", "C"], 2, replace=False)
        text = f"{source} -> {target}" if rng.random() < 0.7 else f"2 {source} -> {source} + {target}"
        reactions.append((text, "mass_action", float(10.0 ** rng.uniform(-8, 5))))
    model = network({"A": int(rng.integers(1, 3)), "B": 1, "C": 0}, *reactions)
    n = len(fsp.StateSpace.reachable(model))
    keep = rng.random(n) < 0.8
    keep[fsp.StateSpace.reachable(model).index(model.initial_states)] = True
    return *chain(model, keep if seed % 2 else None), float(10.0 ** rng.uniform(-2, 9))


@pytest.mark.parametrize("seed", range(16))
def test_bounds_hold_and_are_close_where_rates_span_many_decades(seed):
    generator, p, t = random_chain(seed)
    with fsp.Squaring().open(generator) as propagator:
        step = propagator.advance(p, 0.0, t)
    assert step.t == t
    assert true_error(step, flow(generator, p, t)) <= step.rounding + step.error <= 1e-9


@pytest.mark.parametrize("t", [1e4, 1e8, 1e13, 1e30])
def test_the_error_does_not_grow_with_time_where_the_chain_forgets(t):
    model = network({"A": 0}, ("0 -> A", "mass_action", 4.0), ("A -> 0", "mass_action", 1.0))
    d = fsp.transient(model, [t], 1e-9)[-1]
    assert d.error.certified
    exact = stats.poisson.pmf(d.states[:, 0], 4.0)
    assert np.abs(exact - d.probabilities).sum() <= d.error.total <= 1e-9


def test_what_leaves_hardly_ever_is_known_to_many_digits():
    """Two states that exchange fast, and a leak of 1e-30 from the rarer one."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "mass_action", 1e6),
        ("B -> C", "mass_action", 1e-30),
    )
    generator, p = chain(model)
    with fsp.Squaring().open(generator) as propagator:
        step = propagator.advance(p, 0.0, 1e9)
    gone = step.p[generator.space.index(np.array([[0, 0, 1]]))[0]]
    assert gone == pytest.approx(1e-27 / (1.0 + 1e6), rel=1e-8)
    assert step.rounding <= 1e-9


def test_a_chain_that_forgets_in_parts_pays_for_the_jumps_between_them():
    """Two wells that exchange at 1e-9: the 1e9 jumps within them do not count."""
    model = network(
        {"A": 1, "B": 0, "C": 0, "D": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "mass_action", 1.0),
        ("C -> D", "mass_action", 1.0),
        ("D -> C", "mass_action", 1.0),
        ("B -> C", "mass_action", 2e-9),
        ("C -> B", "mass_action", 1e-9),
    )
    generator, p = chain(model)
    with fsp.Squaring().open(generator) as propagator:
        early, late = propagator.advance(p, 0.0, 1e7), propagator.advance(p, 0.0, 1e13)
    for step, t in ((early, 1e7), (late, 1e13)):
        assert true_error(step, flow(generator, p, t)) <= step.rounding <= 1e-9


def test_the_time_at_which_the_loss_limit_is_met_is_found_by_bisection():
    """Two states that exchange fast and one that is cut off: half is lost after a million jumps."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "mass_action", 1.0),
        ("B -> C", "mass_action", 1e-6),
    )
    generator, p = chain(model, fsp.StateSpace.reachable(model).states[:, 2] == 0)
    assert generator.n_sinks == 1
    with fsp.Squaring().open(generator) as propagator:
        step = propagator.advance(p, 0.0, 1e9, limit=LossLimit(0.5, 0.0))
        beyond = propagator.advance(step.p, step.t, step.t + propagator._first)
    assert step.lost[0] <= 0.5 < step.lost[0] + beyond.lost[0]
    assert 1.0 - step.rejected.sum() > 0.5
    assert step.t == pytest.approx(math.log(2.0) / 0.5e-6, rel=1e-4)


@pytest.mark.parametrize("alike", [0.0, 0.9, 1.0])
def test_a_square_is_off_by_no_more_than_its_factor_makes_it(alike):
    """A factor that is off by much more than rounding: the bound of the square holds, and is not much too large."""
    generator, _ = chain(network({"A": 11, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 2.0)))
    rng = np.random.default_rng(0)
    n = len(generator)
    with fsp.Squaring().open(generator) as propagator:
        for _ in range(20):
            T = (1.0 - alike) * rng.random((n, n)) ** 8 + alike * rng.random((n, 1))
            T /= T.sum(axis=0)
            E = 1e-6 * T * rng.choice([-1.0, 1.0], (n, n))
            E -= T * E.sum(axis=0)
            square = propagator._squared(_ExponentialPowers(T + E, np.abs(E)))
            gap = np.abs((T + E) @ (T + E) - T @ T)
            assert (gap <= square.off + 1e-14).all()
            assert square.off.sum() <= 4.0 * np.abs(E).sum() + 1e-10


def test_too_many_states_are_refused():
    model = network({"A": 0}, ("0 -> A", "mass_action", 1.0))
    generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"A": 1000}))
    with (
        pytest.raises(fsp.BackendError, match=r"at most 400 states.*solver='rational'"),
        fsp.Squaring().open(generator),
    ):
        pass


def test_progress_is_told_while_powers_are_made():
    model = network({"A": 30, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 2.0))
    generator, p = chain(model)
    told = []
    with fsp.Squaring().open(generator) as propagator:
        propagator.advance(p, 2.0, 1e6, pulse=told.append)
        assert told == [2.0] * (len(propagator._powers) - 1)


def test_it_goes_no_farther_than_asked():
    """The distance of two times may round up: what is beyond the target was not asked for, and what is left is paid."""
    generator, p = chain(network({"A": 30, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1e7)))
    t0, t1 = 1e-4, 1e4
    distance = Fraction(t1) - Fraction(t0)
    assert t1 - t0 > distance
    with fsp.Squaring().open(generator) as propagator:
        step = propagator.advance(p, t0, t1)
    assert step.t == t1
    flow = 2.0 * 30.0  # 30 jumps per unit of time to B, and as many back
    assert step.rounding >= 2.0 * float(distance - Fraction(span(t0, t1))) * 0.9 * flow
