"""Uniformization counts its products, lies below the truth and stops where powers have settled."""

from __future__ import annotations

import math

import exact
import numpy as np
import pytest
from solver_cases import bind, reachable
from solver_contract import advance
from written_networks import network

import fsp
from fsp.projection.growth import starting_vector


def test_uniformization_needs_about_as_many_products_as_jumps():
    bound = bind("gene")
    jumps = float(bound.generator.exit_rates.max()) * bound.t
    with fsp.Uniformization(tol=1e-8).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t)
    assert jumps <= step.n_matvec <= jumps + 8.0 * math.sqrt(jumps) + 20.0


def test_uniformization_lies_below_the_truth():
    bound = bind("gene")
    with fsp.Uniformization(tol=1e-5).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t)
    gap = bound.flow(bound.p, bound.t)[: len(bound.p)] - step.p
    assert gap.min() >= -step.rounding - bound.slack(bound.t)
    assert 0.0 < gap.sum() <= step.error + step.rounding + bound.slack(bound.t)


def test_uniformization_stops_where_the_powers_have_settled():
    """A ⇌ B of 20 molecules for 1e5 relaxation times: binomial, after few of the 2 million products."""
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 0.6), ("B -> A", "mass_action", 0.4))
    space = reachable(model)
    generator = fsp.Generator(model, space)
    with fsp.Uniformization(tol=1e-9).open(generator) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 1e5)
    assert step.t == 1e5
    assert step.n_matvec < 0.01 * generator.exit_rates.max() * 1e5
    truth = exact.isomerization(space.states[:, 1], np.inf, forward=0.6, backward=0.4, start_a=20)
    assert np.abs(step.p - truth).sum() <= step.error + step.rounding + 1e-14
    assert step.error <= 1.5e-9


@pytest.mark.parametrize(("t", "tol"), [(10.0, 0.5), (20.0, 1e-2), (30.0, 1e-6)])
def test_settling_before_the_first_weight_is_paid_for(t, tol):
    """One jump at rate 1 into an absorbing state: the powers settle at once, but e^(−t) have not jumped."""
    model = network({"X": 1}, ("X -> 0", "mass_action", 1.0))
    space = reachable(model)
    with fsp.Uniformization(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, t)
    found = dict(zip(space.states[:, 0].tolist(), step.p, strict=True))
    gap = abs(found[1] - math.exp(-t)) + abs(found[0] + math.expm1(-t))
    assert gap <= step.error + step.rounding + 1e-16


@pytest.mark.parametrize("t", [3.0, 20.0, 400.0])
def test_compiled_sums_are_those_of_single_products(t):
    """The end and its error, where all weights are summed, and where powers have settled before."""
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 0.6), ("B -> A", "mass_action", 0.4))
    space, steps = reachable(model), []
    for compiled in (True, False):
        generator = fsp.Generator(model, space)
        assert generator.operator.compiled is not None
        generator.operator.compiled = generator.operator.compiled if compiled else None
        with fsp.Uniformization(tol=1e-2).open(generator) as propagator:
            steps.append(advance(propagator, starting_vector(model, space), 0.0, t))
    looped, single = steps
    np.testing.assert_allclose(looped.p, single.p, rtol=1e-12, atol=1e-15)
    assert looped.n_matvec == single.n_matvec
    assert looped.error == pytest.approx(single.error, rel=1e-9, abs=1e-15)
