"""Krylov: the relation of Arnoldi, the flow of the small exponential, and what is clipped."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import integrate, linalg, sparse
from solver_cases import box, random_generator
from written_networks import network

import fsp
from fsp.generator.slices import of_rows
from fsp.projection.growth import starting_vector
from fsp.solvers import NO_LIMIT, LossLimit, kernels, krylov, small_exponential_kernels


@pytest.mark.parametrize("limit", [NO_LIMIT, LossLimit(1e-5, 0.0)])
def test_a_krylov_basis_ends_where_the_step_does(limit, monkeypatch):
    model = network({"X": 0, "Y": 0}, ("0 -> X", "mass_action", 8.0), ("X -> Y", "mass_action", 1.0))
    generator = fsp.Generator(model, box(model, upper=(8, 8)))
    p = starting_vector(model, generator.space)
    steps = []
    for work in (np.inf, 0.0):
        monkeypatch.setattr(krylov, "LOOK_WORK", work)
        with fsp.Krylov(1e-9).open(generator) as propagator:
            steps.append(propagator.advance(p, 0.0, 0.25, limit=limit))
    whole, looked = steps
    assert looked.n_matvec <= 0.7 * whole.n_matvec
    assert (looked.rejected is None) == (limit is NO_LIMIT)
    truth = linalg.expm(looked.t * generator.with_sinks.toarray())[: len(p), : len(p)] @ p
    assert np.abs(looked.p - truth).sum() <= looked.error + looked.rounding
    assert looked.lost.sum() <= limit.at(looked.t)


@pytest.mark.parametrize("depth", [2, 4, 12])
def test_arnoldi_relation_holds_for_any_depth(rng, depth):
    n, m = 60, 12
    A = random_generator(rng, n)
    V, H = np.empty((m + 1, n)), np.zeros((m + 1, m))
    V[0] = rng.random(n)
    V[0] /= np.linalg.norm(V[0])
    assert kernels.arnoldi(of_rows(A), V, H, np.ones(m + 1), depth, 0, m) == m
    scale = np.abs(A.toarray()).sum(axis=0).max()
    np.testing.assert_allclose(A @ V[:m].T, V.T @ H, atol=1e-13 * scale)
    np.testing.assert_allclose(np.linalg.norm(V, axis=1), 1.0, rtol=1e-13)
    assert not np.tril(H, -2).any()
    overlap = V @ V.T - np.eye(m + 1)
    near = np.abs(np.subtract.outer(np.arange(m + 1), np.arange(m + 1))) < depth
    assert np.abs(overlap[near]).max() < 1e-10


def test_vectors_of_a_long_basis_keep_their_norm(rng):
    n, m = 400, 120
    A = sparse.diags_array([np.full(n - 1, 40.0), -40.0 - np.arange(n), np.arange(1.0, n)], offsets=[-1, 0, 1]).tocsr()
    V, H, squares = np.empty((m + 1, n)), np.zeros((m + 1, m)), np.ones(m + 1)
    V[0] = rng.random(n)
    V[0] /= np.linalg.norm(V[0])
    assert kernels.arnoldi(of_rows(A), V, H, squares, 2, 0, m) == m
    np.testing.assert_allclose(A @ V[:m].T, V.T @ H, atol=1e-13 * np.abs(A).sum(axis=0).max())
    np.testing.assert_allclose((V**2).sum(axis=1), squares, rtol=1e-13)
    np.testing.assert_allclose(squares, 1.0, rtol=1e-11)


def test_arnoldi_stops_at_an_invariant_subspace():
    A = sparse.csr_array(np.array([[-1.0, 0.0, 0.0], [1.0, -2.0, 0.0], [0.0, 2.0, 0.0]]))
    for start, size in [([0.0, 0.0, 1.0], 1), ([0.0, 1.0, 0.0], 2), ([1.0, 0.0, 0.0], 3)]:
        V, H = np.zeros((4, 3)), np.zeros((4, 3))
        V[0] = start
        m = kernels.arnoldi(of_rows(A), V, H, np.ones(4), 3, 0, 3)
        assert m == size
        assert H[m, m - 1] == 0.0


@pytest.mark.parametrize("horizon", [0.01, 1.0, 15.0])
def test_flow_follows_the_small_exponential(rng, horizon):
    m = 8
    H = np.zeros((m + 1, m))
    H[:m] = np.triu(rng.normal(size=(m, m)), -1) - 4.0 * np.eye(m)
    far, norms, leak = 1e300, np.ones(m + 1), np.zeros(m)
    followed = small_exponential_kernels.flow(H, m, m, horizon, math.ulp(9.0), norms, leak, 1.0, far, far, 0.0)
    s, u, substeps, growth, s_kept, kept, error = followed
    assert s == s_kept == horizon
    truth = linalg.expm(horizon * H[:m])[:, 0]
    np.testing.assert_allclose(u, truth, atol=small_exponential_kernels.ROUGHEST * substeps * growth)
    np.testing.assert_array_equal(u, kept)
    exact = small_exponential_kernels.flow(H, m, m, horizon, math.ulp(9.0), norms, leak, 0.0, 1e-30, far, 0.0)
    np.testing.assert_allclose(exact[1], truth, atol=1e-13 * growth)
    assert substeps == max(
        1, math.ceil(horizon * np.abs(H).sum(axis=0).max() / small_exponential_kernels.SUBSTEP * (1.0 - 1e-9))
    )
    modulus, _ = integrate.quad(lambda r: abs(linalg.expm(r * H[:m])[m - 1, 0]), 0.0, horizon, limit=200)
    assert modulus * (1.0 - 1e-6) <= error
    assert error <= 10.0 * modulus + small_exponential_kernels.ROUGHEST * substeps * growth


def test_flow_ends_before_the_error_or_the_loss_is_too_large():
    m = 4
    H = np.zeros((m + 1, m))
    H[:m] = np.diag(np.full(m, -1.0)) + np.diag(np.full(m - 1, 1.0), -1)  # u_j(s) = e^(−s) s^j / j!
    norms, leak = np.ones(m + 1), np.array([0.0, 0.0, 1.0, 0.0])
    s, *_, error = small_exponential_kernels.flow(H, m, m, 50.0, math.ulp(50.0), norms, leak, 1.0, 1e-6, 1e300, 0.0)
    assert 0.0 < s < 50.0
    assert 0.0 < error <= 1e-6 * s
    s, _, _, _, s_kept, kept, _ = small_exponential_kernels.flow(
        H, m, m, 50.0, math.ulp(50.0), norms, leak, 0.0, 1e-6, 1e-3, 0.0
    )
    assert s_kept < s
    assert leak @ kept <= 1e-3
    np.testing.assert_allclose(kept, [math.exp(-s_kept) * s_kept**j / math.factorial(j) for j in range(m)], atol=1e-13)


def test_combine_cuts_negative_entries_and_says_how_much(rng):
    V, c = rng.normal(size=(3, 5000)), np.array([1.0, -0.5, 0.25])
    out = np.empty(5000)
    cut = kernels.combine(V, c, out)
    np.testing.assert_allclose(out, np.maximum(c @ V, 0.0), atol=1e-14)
    assert cut == pytest.approx(np.maximum(-(c @ V), 0.0).sum(), rel=1e-12)
    d, both, other = np.array([-0.5, 0.5, 2.0]), np.empty(5000), np.empty(5000)
    assert kernels.combine_both(V, c, both, d, other) == pytest.approx(cut, rel=1e-12)
    np.testing.assert_allclose(both, out, atol=1e-14)
    np.testing.assert_allclose(other, np.maximum(d @ V, 0.0), atol=1e-14)
