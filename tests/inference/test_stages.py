"""Compiled stages of collocation steps against the formulas that they stand for."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.generator import Generator
from fsp.inference.collocation import _moduli
from fsp.inference.on_step import STAGES, OnStep
from fsp.inference.parameters import derivatives
from fsp.inference.stages import Stages
from fsp.inference.timed import Timed
from fsp.solvers.collocation import in_nodes, radau

H, T = 0.3, 0.4


def network(clock, *more):
    return fsp.Model(
        species={"X": 0, "Y": 0},
        parameters={"k": 3.0, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> X", rate=f"k*{clock}"),
            fsp.Reaction("X -> Y", mass_action="g"),
            fsp.Reaction("Y -> 0", mass_action=0.7),
            *more,
        ],
    )


def of(model, upper):
    """Return a step on a box, its systems, and stages (n, s, 1 + q) of p and two derivatives, at random."""
    space = fsp.StateSpace.box(model, upper=upper)
    timed = Timed.of(Generator(model, space), derivatives(model, ["k", "g"], log=True), [])
    step, stages = OnStep.of(timed, T, H), Stages(timed)
    rng = np.random.default_rng(1)
    z = rng.normal(size=(len(space), 1, 3))
    return timed, step, stages, z, z + 0.1 * rng.normal(size=(len(space), STAGES, 3))


FAR = fsp.Reaction("2 X -> 3 Y", mass_action=0.1)
SMALL, LARGE = {"X": 11, "Y": 4}, {"X": 40, "Y": 38}  # systems in a band, and by SuperLU
CASES = [(network("(2 + sin(time))"), SMALL), (network("(2 + sin(time))", FAR), LARGE)]


@pytest.mark.parametrize(("model", "upper"), CASES)
@pytest.mark.parametrize("m", [1, 3])
def test_a_defect_is_what_the_equations_of_the_stages_leave(model, upper, m):
    timed, step, stages, z, values = of(model, upper)
    z, values = z[:, :, :m], values[:, :, :m].copy()
    forced = np.random.default_rng(2).normal(size=values.shape) if m > 1 else None
    defect, sizes = stages.defect(step, z, values, forced, H)()
    table = radau(STAGES)
    slopes = step.products(timed, table.nodes, values) + (0.0 if forced is None else forced)
    exact = z + H * np.matmul(table.weights, slopes) - values
    rounding = 1e-14 * (1.0 + H * np.abs(slopes).max())
    np.testing.assert_allclose(defect, exact, rtol=0.0, atol=rounding)
    left = np.abs(np.matmul(table.weights_inverse, exact)).sum(axis=0)
    np.testing.assert_allclose(sizes, left, rtol=1e-9)


@pytest.mark.parametrize(("model", "upper"), [(network("2"), SMALL), (network("2", FAR), LARGE)])
@pytest.mark.parametrize("m", [1, 3])
def test_one_correction_solves_stages_of_constant_rates(model, upper, m):
    _, step, stages, z, values = of(model, upper)
    z, values = z[:, :, :m], values[:, :, :m].copy()
    defects, systems = stages.defect(step, z, values, None, H), stages.factors(step, H)
    before = np.abs(defects()[0]).max()
    stages.correct(values, defects()[0], systems)
    assert np.abs(defects()[0]).max() < 1e-6 * before  # eigenvectors of twelve stages lose eight digits


@pytest.mark.parametrize(("model", "upper"), CASES)
def test_residuals_are_those_of_the_interpolating_polynomial(model, upper):
    timed, step, stages, z, values = of(model, upper)
    rest, p, sums = stages.rest(step, z, values, H)
    tau = step.tau
    at, slope = in_nodes(STAGES, len(tau))
    points = np.concatenate([z, values], axis=1)
    u = np.matmul(at, points)
    exact = np.matmul(slope, points) / H - step.products(timed, tau, u)
    exact[:, :, 1:] -= step.forced(timed, tau, u[:, :, 0])
    scale = np.abs(slope).max() * np.abs(points).max() / H
    np.testing.assert_allclose(rest, exact[:, :, 0], rtol=0.0, atol=1e-12 * scale)
    np.testing.assert_allclose(p, np.abs(u[:, :, 0]), rtol=0.0, atol=1e-12 * np.abs(at).max())
    np.testing.assert_allclose(sums[0], np.abs(exact).sum(axis=0), rtol=1e-9)
    for which, part in enumerate(("missed", "rounding"), 1):
        np.testing.assert_allclose(sums[which], np.tensordot(step.missed(timed, part), np.abs(u), (0, 0)), rtol=1e-9)


@pytest.mark.parametrize("text", ["(2 + sin(g*time))", "exp(-k*time)"])
def test_what_parameters_change_is_the_difference_of_generators(text):
    """(∂_k A) p against differences of A p, at a place in time."""
    model = network(text)
    timed, step, _, z, _ = of(model, SMALL)
    tau, p, small = np.array([0.25]), np.abs(z[:, :, 0]), 1e-5
    forced = step.forced(timed, tau, p)[:, 0]
    space = timed.generator.space
    for k, name in enumerate(("k", "g")):
        sides = []
        for sign in (1.0, -1.0):
            moved = model.with_parameters({name: model.parameters[name] * np.exp(sign * small)})
            other = Timed.of(Generator(moved, space), derivatives(moved, ["k"], log=True), [])
            sides.append(OnStep.of(other, T, H).products(other, tau, p[:, :, None])[:, 0, 0])
        difference = (sides[0] - sides[1]) / (2.0 * small)
        np.testing.assert_allclose(forced[:, k], difference, rtol=0.0, atol=1e-7 * np.abs(difference).max() + 1e-8)


@pytest.mark.parametrize("n_stages", [3, STAGES])
def test_moduli_of_lagrange_polynomials_are_integrated(n_stages):
    values, _ = radau(n_stages).interpolate(np.linspace(0.0, 1.0, 20_001))
    means = np.abs(0.5 * (values[1:] + values[:-1])).mean(axis=0)
    assert _moduli(n_stages) == pytest.approx(means, rel=1e-4)
