"""One series of p, its derivatives and scores: within its charges of dense exponentials, however much is left out."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

import fsp
from fsp.inference.derived import Derived
from fsp.inference.expansion import expand
from fsp.inference.parameters import derivatives

ENDS = [0.02, 0.3, 0.31, 1.2]
NAMES = ["k", "g", "slow"]


@pytest.fixture(scope="module")
def derived():
    """Immigration and two kinds of death, of which one changes next to nothing."""
    model = fsp.Model(
        species={"X": 3},
        parameters={"k": 4.0, "g": 1.0, "slow": 1e-6},
        reactions=[
            fsp.Reaction("0 -> X", rate="k"),
            fsp.Reaction("X -> 0", mass_action="g"),
            fsp.Reaction("2 X -> 0", mass_action="slow"),
        ],
    )
    generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"X": 9}))
    return Derived(generator, derivatives(model, NAMES, log=True), (), scores=True)


@pytest.fixture(scope="module")
def dense(derived):
    """Return the generator of all vectors together, by what it makes of each unit vector."""
    size = 7 * len(derived.generator)
    image, columns = derived.room(), []
    for unit in np.eye(size).reshape(size, 7, -1):
        derived.step(derived.enter(unit), image)
        columns.append((derived.leave(image) - unit).ravel() * derived.rate)
    return np.array(columns).T


def begun(derived):
    """Return p in a state, with no derivatives yet, and a block in which all vectors are some."""
    point = np.zeros((7, len(derived.generator)))
    point[0, 3] = 1.0
    drawn = np.random.default_rng(5).normal(0.0, 0.1, point.shape)
    drawn[0] = np.abs(drawn[0])
    return {"a point": point, "a spread": drawn}


@pytest.mark.parametrize("tail", [1e-2, 1e-5, 1e-18])
@pytest.mark.parametrize("name", ["a point", "a spread"])
def test_what_is_left_out_is_charged(derived, dense, name, tail):
    """Each vector, at each end, is within what has been charged so far."""
    block, charged = begun(derived)[name], np.zeros(7)
    for h, step in zip(ENDS, expand(derived, block, ENDS, tail), strict=True):
        charged += step.integration + step.rounding
        exact = (expm(h * dense) @ block.ravel()).reshape(block.shape)
        off = np.abs(step.end - exact).sum(axis=1)
        assert (off <= charged + 1e-14 * np.abs(exact).sum(axis=1)).all()
        assert tail < 1e-6 or off[0] > 0.1 * tail * block[0].sum()  # something is left out


@pytest.mark.parametrize("tail", [1e-2, 1e-18])
@pytest.mark.parametrize("name", ["a point", "a spread"])
def test_occupations_are_integrals_of_moduli(derived, dense, name, tail):
    """From each end to the next one, by Gauss-Legendre quadrature where no entry changes its sign."""
    block, before = begun(derived)[name], 0.0
    nodes, weights = np.polynomial.legendre.leggauss(20)
    for h, step in zip(ENDS, expand(derived, block, ENDS, tail), strict=True):
        middle, half = 0.5 * (before + h), 0.5 * (h - before)
        path = np.array([(expm((middle + half * x) * dense) @ block.ravel()).reshape(block.shape) for x in nodes])
        below = half * np.abs(np.tensordot(weights, path, 1))  # at most the integral of the modulus
        assert (step.occupation >= below * (1.0 - 1e-12) - 1e-15).all()
        above = half * np.tensordot(weights, np.abs(path), 1).sum(axis=1)
        assert (step.occupation.sum(axis=1) <= 20.0 * above + 200.0 * tail).all()
        before = h


@pytest.mark.parametrize("tail", [1e-4, 1e-18])
def test_a_series_to_many_times_costs_one_to_the_last(derived, tail):
    block = begun(derived)["a spread"]
    many, (last,) = list(expand(derived, block, ENDS, tail)), expand(derived, block, ENDS[-1:], tail)
    assert sum(step.products for step in many) == last.products > 0
    np.testing.assert_allclose(sum(step.integration for step in many), last.integration, rtol=1e-12)
    np.testing.assert_allclose(sum(step.rounding for step in many), last.rounding, rtol=1e-12)
    np.testing.assert_allclose(many[-1].end, last.end, rtol=1e-12, atol=1e-16)
