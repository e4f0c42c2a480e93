"""Advances of solvers whose rates depend on time: laws in closed form on a box, whose sinks hold what leaves it."""

from __future__ import annotations

import math
from itertools import pairwise

import exact
import numpy as np
import pytest
from scipy import stats
from solver_cases import box
from solver_contract import advance
from written_networks import network

import fsp
from fsp.projection.growth import starting_vector
from fsp.solvers import LossLimit, implicit

solvers = pytest.mark.parametrize("make", [fsp.Magnus, fsp.Implicit], ids=lambda make: make.__name__)


def opened(model, top, solver):
    space = box(model, {"X": top})
    return solver.open(fsp.Generator(model, space)), starting_vector(model, space)


@solvers
@pytest.mark.parametrize("begin", [0.0, 3.0])
@pytest.mark.parametrize("limit", [LossLimit(1e-4, 0.0), LossLimit(1e-6, 1e-4)], ids=str)
def test_the_loss_limit_is_kept_over_many_steps(make, begin, limit):
    model = network({"X": 0}, ("0 -> X", "rate", "9 + 8*sin(4*time)"), ("X -> 0", "rate", "X*(1 + 0.5*cos(9*time))"))
    context, p = opened(model, 24, make(1e-8))
    with context as propagator:
        step = propagator.advance(p, begin, begin + 20.0, limit=limit)
    assert begin < step.t < begin + 20.0
    assert step.rejected is not None
    assert 0.0 < step.lost.sum() <= limit.at(step.t - begin) + step.error + step.rounding
    assert abs(step.p.sum() + step.lost.sum() - 1.0) <= step.error + step.rounding


@solvers
@pytest.mark.parametrize("switches", [(0.31, 0.74), (0.74, 0.31), (0.5, 0.5 + 1e-9)])
def test_each_of_several_switches_ends_a_step(make, switches):
    """Counts stay Poisson, with a mean that turns at either time."""
    rates = [(8.0, 2.0), (1.0, 6.0)]
    births = [
        ("0 -> X", "rate", f"piecewise({before}, time < {switch}, {after})")
        for switch, (before, after) in zip(switches, rates, strict=True)
    ]
    model = network({"X": 0}, *births, ("X -> 0", "mass_action", 1.0))
    context, p = opened(model, 40, make(1e-9))
    with context as propagator:
        step = advance(propagator, p, 0.0, 2.0)
    mean = 0.0
    for switch, (before, after) in zip(switches, rates, strict=True):
        mean += before * (math.exp(switch - 2.0) - math.exp(-2.0)) + after * (1.0 - math.exp(switch - 2.0))
    missed = np.abs(step.p - exact.poisson(np.arange(41), mean)).sum()
    assert missed <= step.error + step.rounding + step.lost.sum() + 1e-13
    assert step.certified
    assert 2.0**-53 <= step.rounding < 1e-11
    assert step.error <= 1.1e-9


@pytest.mark.parametrize(
    ("make", "begin"), [(fsp.Magnus, 0.0), (fsp.Magnus, 1e3), *((fsp.Implicit, t) for t in (0.0, 1e9, 2.0**40))]
)
def test_late_times_have_few_digits_which_is_charged(make, begin):
    """Counts are Poisson; at 10⁹ functions of time are known to 10⁻⁷."""
    model = network({"X": 0}, ("0 -> X", "rate", "5 + 4*sin(time)"), ("X -> 0", "mass_action", 1.0))
    context, p = opened(model, 40, make(1e-9))
    with context as propagator:
        step = advance(propagator, p, begin, begin + 2.0)
    turned = np.exp(1j * begin) * (np.exp(2j) - math.exp(-2.0)) / (1.0 + 1j)
    mean = 5.0 * (1.0 - math.exp(-2.0)) + 4.0 * turned.imag
    missed = np.abs(step.p - exact.poisson(np.arange(41), mean)).sum()
    assert missed <= step.error + step.rounding + step.lost.sum() + 1e-13
    assert step.rounding >= 2.0**-53 * (1.0 + begin)


@pytest.mark.parametrize("h", [0.5, 1.0, 2.0, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("text", ["5 + 4*sin(2*time)", "3 + 2*tanh(3*time - 4)"])
def test_what_polynomials_of_time_miss_is_in_the_error_of_a_step(text, h):
    """∫ ‖u′ − A(t) u‖₁ by Gauss–Legendre, with the rates themselves."""
    model = network({"X": 2}, ("0 -> X", "rate", text), ("X -> 0", "mass_action", 0.02))
    space = box(model, {"X": 9})
    generator, p = fsp.Generator(model, space), starting_vector(model, space)
    propagator = implicit._ImplicitPropagator(generator, fsp.Implicit(stages=11))
    step = propagator._step(p, 0.25, h, 1e-12)
    whole = np.vstack([np.concatenate([p, np.zeros(generator.n_sinks)]), step.values])
    x, w = np.polynomial.legendre.leggauss(24)
    total = 0.0
    for a, b in pairwise(np.linspace(0.0, 1.0, 21)):
        tau = 0.5 * (a + b) + 0.5 * (b - a) * x
        at, slope = propagator._table.interpolate(tau)
        for u, du, share, weight in zip(at @ whole, slope @ whole / h, tau, w, strict=True):
            image = generator.at(0.25 + share * h).with_sinks @ u
            total += 0.5 * h * (b - a) * weight * float(np.abs(du - image).sum())
    assert total <= (step.error + step.rounding) * (1.0 + 1e-6)


@pytest.mark.parametrize("solver", ["magnus", "implicit"])
@pytest.mark.parametrize(
    ("rate", "mean"),
    [
        ("2*time^0.1", 2.0 * 0.5**1.1 / 1.1),
        ("2*abs(time - 0.3)^0.5", 4.0 / 3.0 * (0.3**1.5 + 0.2**1.5)),
    ],
)
def test_rates_with_an_infinite_slope_are_bounded(solver, rate, mean):
    """At the start, or at a time in between: steps shrink towards it and grow from it, and one is charged as it is."""
    model = network({"X": 0}, ("0 -> X", "rate", rate))
    dist = fsp.transient(model, [0.5], 1e-4, solver=solver)[-1]
    law = stats.poisson.pmf(dist.states[:, 0], mean)
    true = float(np.abs(law - dist.probabilities).sum() + 1.0 - law.sum())
    assert true <= dist.error.total <= 1e-4
    assert dist.error.certified
    assert dist.error.rounding <= 1e-9
