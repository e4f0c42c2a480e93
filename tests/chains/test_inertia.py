"""Counts of eigenvalues by pivots, and discs around all eigenvalues, against matrices whose eigenvalues are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from fsp.chains.inertia import all_eigenvalues, negative_pivots


@pytest.mark.parametrize("two_dimensional", [False, True])
def test_pivots_count_the_eigenvalues_of_a_grid(two_dimensional):
    """Second differences with fixed ends: 4 sin²(kπ/(2n + 2)); on a square their sums."""
    n = 9
    line = sparse.diags_array([-np.ones(n - 1), 2.0 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1])
    exact = 4.0 * np.sin(np.arange(1, n + 1) * np.pi / (2 * n + 2)) ** 2
    matrix = line.tocsr()
    if two_dimensional:
        one = sparse.eye_array(n)
        matrix = (sparse.kron(line, one) + sparse.kron(one, line)).tocsr()
        exact = np.add.outer(exact, exact).ravel()
    for sigma in np.linspace(0.01, 7.9, 41):
        count, off = negative_pivots(matrix, sigma, 1e-9)
        assert 1e-9 <= off < 1e-6
        assert np.count_nonzero(exact < sigma - off) <= count <= np.count_nonzero(exact < sigma + off)
    assert negative_pivots(sparse.csr_array((3, 3)), 0.0, 0.0)[0] in range(4)
    assert negative_pivots(matrix, 9.0, 0.0)[0] == len(exact)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 12), st.integers(0, 10**6), st.floats(-3.0, 3.0))
def test_counts_of_random_matrices_hold_up_to_the_bound(n, seed, sigma):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n, n)) * (rng.random((n, n)) < 0.5)
    matrix = half + half.T
    found = negative_pivots(sparse.csr_array(matrix), sigma, 0.0)
    if found is None:
        return
    count, off = found
    exact = np.linalg.eigvalsh(matrix)
    slack = off + 1e-13
    assert np.count_nonzero(exact < sigma - slack) <= count <= np.count_nonzero(exact < sigma + slack)


def test_a_tridiagonal_count_does_not_mind_a_tiny_pivot():
    """Where the leading part has σ for an eigenvalue, a pivot is nearly zero, and the count is as sharp as ever."""
    matrix = sparse.csr_array(np.array([[1.0, 1e-3, 0.0], [1e-3, 2.0, 1.0], [0.0, 1.0, 5.0]]))
    for sigma in (1.0, np.nextafter(1.0, 2.0)):
        count, off = negative_pivots(matrix, sigma, 0.0)
        assert off < 1e-13
        assert count == np.count_nonzero(np.linalg.eigvalsh(matrix.toarray()) < sigma) == 1


def test_discs_hold_the_eigenvalues_of_a_turning_ring():
    """A ring of n states with one direction: exp(2πik/n) - 1, to the bound; what is defective has no bound."""
    n = 12
    ring = np.roll(np.eye(n), 1, axis=0) - np.eye(n)
    values, around = all_eigenvalues(ring, 1e-14)
    exact = np.exp(2j * np.pi * np.arange(n) / n) - 1.0
    nearest = np.abs(exact[:, None] - values[None, :])
    assert (nearest.min(axis=1) <= around[nearest.argmin(axis=1)]).all()
    assert (around < 1e-10).all()
    assert (around > 1e-14).all()
    jordan = np.diag(np.full(n, -1.0)) + np.diag(np.ones(n - 1), -1)
    found = all_eigenvalues(jordan, 0.0)
    assert found is None or np.isinf(found[1]).all()
    twice = all_eigenvalues(np.diag([0.0, -1.0, -1.0]), 1e-15)
    assert np.isinf(twice[1][1:]).all()
