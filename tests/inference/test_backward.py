"""Forward and backward passes of a uniformized chain: each is the transpose of the other."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from written_networks import network

import fsp
from fsp.inference import backward as passes

MODEL = network(
    {"X": 3}, ("0 -> X", "mass_action", 4.0), ("X -> 0", "mass_action", 1.0), ("2 X -> X", "mass_action", 0.2)
)
TIMES = (0.0, 0.4, 2.0)
TAIL = 1e-14


@pytest.fixture(params=[4_000_000, 400])
def passed(request, monkeypatch):
    """Give a chain of 13 states, its start, its path, in one stretch between two times or in several, and exp(tA)."""
    monkeypatch.setattr(passes, "HELD", request.param)
    monkeypatch.setattr(passes, "SHORTEST_STRETCH", 4.0)
    generator = fsp.Generator(MODEL, fsp.StateSpace.box(MODEL, {"X": 12}))
    chain = passes.UniformizedChain.of(generator)
    start = np.zeros(14)
    start[3] = 1.0
    path = passes.forward(chain, start, TIMES, TAIL)
    A = chain.rate * (chain.P.toarray() - np.eye(14))
    return chain, start, path, [expm(t * A) for t in TIMES]


def test_passes_are_transposes(passed):
    chain, start, path, flows = passed
    random = np.random.default_rng(5)
    asked = random.random((len(TIMES), 14, 2))
    for y, flow in zip(path.at, flows, strict=True):
        np.testing.assert_allclose(y, flow @ start, rtol=1e-11, atol=1e-13)
    first = passes.backward(chain, path, lambda i: asked[i], lambda stretch: 0.0).first
    exact = sum(flow.T @ weights for flow, weights in zip(flows, asked, strict=True))
    np.testing.assert_allclose(first, exact, rtol=1e-11)


def test_what_comes_in_at_the_beginning_of_a_stretch_is_added(passed):
    """One for each stretch: a mean of ones is one."""
    chain, _, path, _ = passed
    none = np.zeros((14, 1))
    first = passes.backward(chain, path, lambda i: none, lambda stretch: np.ones((14, 1))).first
    np.testing.assert_allclose(first, len(path.stretches), rtol=1e-11)
    assert sum(stretch.length for stretch in path.stretches) == pytest.approx(TIMES[-1], rel=1e-15)
    assert len(path.stretches) == 2 or passes.HELD == 400
    assert path.products == sum(len(stretch.weights) - 1 for stretch in path.stretches)


def test_integrals_of_products_are_those_of_exponentials(passed):
    """(2), by Gauss–Legendre over the last way."""
    chain, start, path, _ = passed
    weights = np.random.default_rng(6).random((14, 1))
    found = passes.backward(chain, path, lambda i: weights * (i == len(TIMES) - 1), lambda stretch: 0.0)
    A = chain.rate * (chain.P.toarray() - np.eye(14))
    x, w = np.polynomial.legendre.leggauss(40)
    moved, stayed = np.zeros_like(found.moved[:, :, 0]), np.zeros(13)
    for s, weight in zip(x + 1.0, w, strict=True):  # from 0 to 2
        y, later = (expm(s * A) @ start)[:13], expm((2.0 - s) * A).T @ weights[:, 0]
        moved += weight * y * later[chain.targets]
        stayed += weight * y * later[:13]
    np.testing.assert_allclose(found.moved[:, :, 0], moved, rtol=1e-10)
    np.testing.assert_allclose(found.stayed[:, 0], stayed, rtol=1e-10)


def test_the_relative_rounding_counts_products_and_what_is_behind_an_entry(passed):
    _, _, path, _ = passed
    for operations in (1.0, 10.0):
        least = (path.products + len(path.stretches)) * (passes.AMPLIFIED * operations + 2.0) * 2.0**-53
        assert least <= passes.relative_error(path, operations) <= 20.0 * least + 1e-13
