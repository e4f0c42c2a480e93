"""What the certificate charges: each part of an integrator's error and rounding, seen from inside."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fsp import Chebyshev, Generator, Implicit, Krylov, Model, Reaction, StateSpace, Uniformization
from fsp.distribution import ErrorLedger
from fsp.projection.growth import Growth
from fsp.solvers import LossLimit, implicit, kernels
from fsp.solvers.collocation import radau


def bimolecular():
    model = Model(
        species={"A": 9, "B": 0},
        reactions=[
            Reaction("2 A -> B", mass_action=0.3),
            Reaction("B -> 2 A", mass_action=1.0),
            Reaction("0 -> A", mass_action=2.0),
        ],
    )
    return Generator(model, StateSpace.box(model, [14, 7]))


def start(generator):
    p = np.zeros(len(generator))
    p[generator.space.index(generator.model.initial_states)] = 1.0
    return p


def integral_of_residual(generator, stages, values, z, h):
    """∫ ‖u′ − A u‖₁ over one step, by Gauss–Legendre between the nodes."""
    table = radau(stages)
    whole = np.vstack([z, values])
    x, w = np.polynomial.legendre.leggauss(30)
    total = 0.0
    for a, b in pairwise([0.0, *table.nodes]):
        at, slope = table.interpolate(0.5 * (a + b) + 0.5 * (b - a) * x)
        residual = slope @ whole / h - (generator.with_sinks @ (at @ whole).T).T
        total += 0.5 * h * (b - a) * float(w @ np.abs(residual).sum(axis=1))
    return total


@pytest.mark.parametrize("allowed", [1e-2, 1e-9])
@pytest.mark.parametrize("h", [0.05, 0.2, 1.0])
def test_error_of_an_implicit_step_is_the_integral_of_its_residual(h, allowed):
    generator = bimolecular()
    propagator = implicit._ImplicitPropagator(generator, Implicit(stages=4))
    step = propagator._step(start(generator), 0.0, h, allowed)
    z = np.concatenate([start(generator), np.zeros(generator.n_sinks)])
    exact = integral_of_residual(generator, 4, step.values, z, h)
    assert exact * (1.0 - 1e-6) <= step.error <= 2.0 * exact
    # stages that are not solved count as well
    monkey = pytest.MonkeyPatch()
    monkey.setattr(implicit, "STAGE_ITERATIONS", 0)
    rough = propagator._step(start(generator), 0.0, h, allowed)
    monkey.undo()
    exact = integral_of_residual(generator, 4, rough.values, z, h)
    assert exact * (1.0 - 1e-6) <= rough.error <= 5.0 * exact


def test_what_an_implicit_step_clips_is_in_its_error(monkeypatch):
    generator, clip = bimolecular(), implicit._clip
    with Implicit(1e-6).open(generator) as propagator:
        honest = propagator.advance(start(generator), 0.0, 0.1)
    monkeypatch.setattr(implicit, "_clip", lambda values, n: (*clip(values, n)[:2], clip(values, n)[2] + 0.25))
    with Implicit(1e-6).open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 0.1)
    assert step.error >= honest.error + 0.25


def test_what_a_krylov_step_clips_is_in_its_error(monkeypatch):
    generator, combine = bimolecular(), kernels.combine
    monkeypatch.setattr(kernels, "combine", lambda V, c, out: combine(V, c, out) + 0.25)
    with Krylov(1e-6).open(generator) as propagator:
        assert propagator.advance(start(generator), 0.0, 0.1).error >= 0.25


def test_what_a_krylov_step_clips_before_it_breaks_the_limit_is_in_its_error(monkeypatch):
    generator, combine = bimolecular(), kernels.combine_both
    monkeypatch.setattr(kernels, "combine_both", lambda V, c, out, d, other: combine(V, c, out, d, other) + 0.25)
    with Krylov(1e-6).open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 5.0, limit=LossLimit(1e-6, 0.0))
    assert step.rejected is not None
    assert step.error >= 0.25


def test_what_a_chebyshev_step_clips_is_in_its_error(monkeypatch):
    generator, clip = bimolecular(), kernels.clip
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    with Chebyshev(1e-6).open(generator) as propagator:
        assert propagator.advance(start(generator), 0.0, 0.1).error >= 0.25


@pytest.mark.parametrize(
    "solver",
    [Uniformization(1e-8), Krylov(1e-8), Chebyshev(1e-8), Implicit(1e-8)],
    ids=["uniformization", "krylov", "chebyshev", "implicit"],
)
def test_every_product_may_round(solver):
    """No vector of mass 1 passes through a product without an error of the order of the unit roundoff."""
    generator = bimolecular()
    with solver.open(generator) as propagator:
        step = propagator.advance(start(generator), 0.0, 0.5)
    assert step.t == 0.5
    jumps = 0.5 * float(generator.exit_rates @ start(generator))
    assert step.rounding >= 2.0**-53 * min(step.n_matvec, jumps)


def test_growth_follows_the_flux():
    model = Model(
        species={"A": 0, "B": 0},
        reactions=[Reaction(e, mass_action=1.0) for e in ("0 -> A", "0 -> B", "A -> 0", "B -> 0")],
    )
    space = StateSpace.from_states(("A", "B"), StateSpace.box(model, 10).states)
    weight = np.zeros(len(space))
    weight[space.index([10, 3])] = 1.0
    grown = Growth(model, 10**6, None).grow(space, Generator(model, space), weight, 0.0, ErrorLedger())
    assert [11, 3] in grown
    assert [3, 11] not in grown
    assert [11, 9] not in grown
