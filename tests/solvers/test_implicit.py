"""The implicit solver on stiff chains and on rates that depend on time, against closed forms."""

from __future__ import annotations

import math

import exact
import mpmath
import numpy as np
import pytest
from solver_cases import box, reachable
from solver_contract import advance
from written_networks import network

import fsp
from fsp.projection.growth import starting_vector


@pytest.mark.parametrize("fast", [1e3, 1e6])
def test_stiff_switch(fast):
    """A ⇌ B at rates 1 and `fast`: two time scales, one closed form."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", fast))
    space = reachable(model)
    with fsp.Implicit(tol=1e-10).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 100.0)
    b = -math.expm1(-(1.0 + fast) * 100.0) / (1.0 + fast)
    found = dict(zip(map(tuple, space.states.tolist()), step.p, strict=True))
    assert abs(found[0, 1] - b) + abs(found[1, 0] - (1.0 - b)) <= step.error + step.rounding
    assert step.error <= 1.5e-10
    assert step.n_matvec < 5000  # explicit methods need 100 * fast


def test_implicit_meets_slow_and_fast_in_one_chain():
    """A ⇌ B fast, B → C slow: C fills at the slow rate times the share of B."""
    fast, slow = 1e5, 1.0
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", fast),
        ("B -> A", "mass_action", fast),
        ("B -> C", "mass_action", slow),
    )
    space = reachable(model)
    with fsp.Implicit(tol=1e-9).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 2.0)
    with mpmath.workdps(40):
        A = mpmath.matrix([[-fast, fast, 0], [fast, -fast - slow, 0], [0, slow, 0]])
        truth = mpmath.expm(A * 2) * mpmath.matrix([1, 0, 0])
    gap = sum(abs(float(truth[int(np.argmax(s))]) - q) for s, q in zip(space.states, step.p, strict=True))
    assert gap <= step.error + step.rounding


def test_a_tolerance_below_rounding_is_charged_and_not_crawled_to():
    """Rounding of A u, at 1e7 per unit of time, hides residuals below 1e-9: what can be seen is charged, soon."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1e7), ("B -> A", "mass_action", 2e7))
    space = reachable(model)
    with fsp.Implicit(tol=1e-13).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 10.0)
    assert step.n_matvec < 10_000
    found = dict(zip(space.states[:, 0].tolist(), step.p, strict=True))
    assert abs(found[1] - 2.0 / 3.0) + abs(found[0] - 1.0 / 3.0) <= step.error + step.rounding
    assert 1e-13 < step.error + step.rounding < 1e-5


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
@pytest.mark.parametrize("t", [0.7, 4.0])
def test_inhomogeneous_immigration_is_poisson(tol, t):
    """0 → X at k(t) = 3 (1 + sin 2t), X → 0 at rate 1: Poisson, mean m' = k − m, for any k."""
    model = network({"X": 0}, ("0 -> X", "rate", "3*(1 + sin(2*time))"), ("X -> 0", "mass_action", 1.0))
    space = box(model, upper={"X": 40})
    with fsp.Implicit(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, t)
    mean = 3 * (-math.expm1(-t)) + 3 * (math.sin(2 * t) - 2 * math.cos(2 * t) + 2 * math.exp(-t)) / 5
    gap = np.abs(step.p - exact.poisson(np.arange(41), mean)).sum()
    assert gap <= 10.0 * tol  # the error is sampled, not bounded
    assert step.error <= 1.5 * tol


def test_inhomogeneous_switch():
    """A → B at 1 + cos t, B → A at 1 − cos t: a' = 1 − cos t − 2a."""
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", "A*(1 + cos(time))"), ("B -> A", "rate", "B*(1 - cos(time))"))
    space = reachable(model)
    with fsp.Implicit(tol=1e-9).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 3.0)
    a = 0.5 - (2 * math.cos(3.0) + math.sin(3.0)) / 5 + 0.9 * math.exp(-6.0)
    found = dict(zip(map(tuple, space.states.tolist()), step.p, strict=True))
    assert abs(found[1, 0] - a) + abs(found[0, 1] - 1 + a) <= 1e-8


@pytest.mark.parametrize("width", [1e-4, 1e-6])
def test_a_step_whose_stages_overflow_is_shortened(width):
    """Over a pulse in time: taken at once it overflows, and no warning of numpy tells so."""
    pulse = ("A -> B", "rate", f"A*exp(-((time-0.5)/{width})^2)/{width}")
    model = network({"A": 1, "B": 0, "C": 0}, pulse, ("B -> C", "mass_action", 5.0))
    d = fsp.transient(model, [1.0], solver="implicit")[0]
    stays, truth = d.probability({"A": 1}), math.exp(-math.sqrt(math.pi))
    assert stays.lower <= truth <= stays.upper
    assert d.error.total <= 1e-7


def test_the_clock_of_a_rate_starts_where_the_advance_does():
    """A → B at 2t from t = 1 to 2: exp(−(4 − 1))."""
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", "2*time*A"))
    space = reachable(model)
    with fsp.Implicit(tol=1e-10).open(fsp.Generator(model, space, 1.0)) as propagator:
        step = advance(propagator, starting_vector(model, space), 1.0, 2.0)
    assert step.p[space.index([1, 0])] == pytest.approx(math.exp(-3.0), abs=1e-9)
