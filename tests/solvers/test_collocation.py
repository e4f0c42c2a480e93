"""Radau IIA: tables, order conditions, stability, and the residual of the collocation polynomial."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy import integrate
from solver_cases import random_generator

from fsp.solvers.collocation import radau

stages = pytest.mark.parametrize("s", [2, 3, 5, 7, 11])


def stability(table, z):
    """R(z) = 1 + z bᵀ (I − z W)⁻¹ 1; the last row of W is b."""
    s = table.n_stages
    return 1.0 + z * table.weights[-1] @ np.linalg.solve(np.eye(s) - z * table.weights, np.ones(s))


@stages
def test_radau_tables_are_exact_to_rounding(s):
    """The weights that a step uses are the integrals of the basis on its nodes: the residual would not see an error."""
    table = radau(s)
    with mpmath.workdps(40):
        nodes = [mpmath.mpf(float(c)) for c in table.nodes]
        for j in range(s):
            others = [c for i, c in enumerate(nodes) if i != j]
            basis = [mpmath.mpf(1)]  # coefficients, the constant first
            for c in others:
                basis = [a - c * b for a, b in zip([0, *basis], [*basis, 0], strict=True)]
            scale = mpmath.fprod(nodes[j] - c for c in others)
            for i, c in enumerate(nodes):
                truth = mpmath.fsum(b * c ** (k + 1) / (k + 1) for k, b in enumerate(basis)) / scale
                assert float(table.weights[i, j]) == pytest.approx(float(truth), abs=1e-15)
            assert float(table.leading[j + 1]) == pytest.approx(float(1 / (scale * nodes[j])), rel=1e-13)


@stages
def test_radau_order_conditions(s):
    table = radau(s)
    c, W = table.nodes, table.weights
    assert table.n_stages == s
    assert c[-1] == 1.0
    assert (np.diff(c) > 0.0).all()
    assert c[0] > 0.0
    for k in range(1, 2 * s):  # quadrature of order 2s − 1
        assert W[-1] @ c ** (k - 1) == pytest.approx(1.0 / k, abs=1e-11)
    for k in range(1, s + 1):  # stages of order s
        np.testing.assert_allclose(W @ c ** (k - 1), c**k / k, atol=1e-11)
    decoupled = table.vectors @ np.diag(table.eigenvalues) @ table.inverse
    np.testing.assert_allclose(decoupled, W, atol=1e-10)


@pytest.mark.parametrize(("s", "nodes"), [(2, [1 / 3, 1]), (3, [(4 - 6**0.5) / 10, (4 + 6**0.5) / 10, 1])])
def test_radau_nodes_are_those_of_the_book(s, nodes):
    np.testing.assert_allclose(radau(s).nodes, nodes, rtol=1e-14)


@stages
def test_radau_is_l_stable(s):
    table = radau(s)
    assert 1.0 - table.weights[-1] @ np.linalg.solve(table.weights, np.ones(s)) == pytest.approx(0.0, abs=1e-9)
    assert (table.eigenvalues.real > 0.0).all()
    axis = np.concatenate([-1j * np.logspace(-2, 4, 60), 1j * np.logspace(-2, 4, 60)])
    assert max(abs(stability(table, z)) for z in axis) <= 1.0 + 1e-9
    assert abs(stability(table, -1e8)) < 1e-6


@stages
def test_radau_approximates_the_exponential_to_its_order(s):
    z = -1.0 - 0.5j
    constant = math.factorial(s) * math.factorial(s - 1) / (2 * math.factorial(2 * s - 1) * math.factorial(2 * s))
    for scale in (1.0, 0.5):
        gap = abs(stability(radau(s), scale * z) - np.exp(scale * z))
        assert gap <= 8.0 * constant * abs(scale * z) ** (2 * s) + 1e-13


@stages
def test_radau_integrals_of_the_basis(s):
    table = radau(s)
    c = table.nodes

    def modulus(others, scale):
        edges = np.concatenate([[0.0], np.sort(others), [1.0]])
        parts = [
            integrate.quad(lambda x: abs(np.prod(x - others)) / scale, a, b, epsabs=1e-14)[0]
            for a, b in pairwise(edges)
        ]
        return sum(parts)

    for j in range(s):
        others = np.delete(c, j)
        found = modulus(others, abs(np.prod(c[j] - others)))
        assert table.lagrange_integrals[j] == pytest.approx(found, abs=1e-9)
    assert table.node_integral == pytest.approx(modulus(c, 1.0), rel=1e-6, abs=1e-14)


@stages
def test_radau_interpolation_is_exact_for_polynomials(s):
    table = radau(s)
    points = np.concatenate([[0.0], table.nodes])
    tau = np.linspace(0.0, 1.0, 9)
    values, slopes = table.interpolate(tau)
    for k in range(s + 1):
        np.testing.assert_allclose(values @ points**k, tau**k, atol=1e-9)
        np.testing.assert_allclose(slopes @ points**k, k * tau ** max(k - 1, 0), atol=1e-8)
        assert table.leading @ points**k == pytest.approx(float(k == s), abs=1e-7)


@pytest.mark.parametrize("noise", [0.0, 1e-4], ids=["stages solved", "stages perturbed"])
@pytest.mark.parametrize("s", [2, 3, 5, 7])
def test_residual_of_the_collocation_polynomial(rng, s, noise):
    """The integral of ‖u′/h − A u‖₁ is what the tables say: equal where the stages are solved, a bound where not."""
    table, n, h = radau(s), 9, 0.8
    A = random_generator(rng, n).toarray()
    p = rng.random(n)
    p /= p.sum()
    system = np.eye(s * n) - h * np.kron(table.weights, A)
    U = np.linalg.solve(system, np.tile(p, s)).reshape(s, n)
    U += noise * rng.normal(size=U.shape)
    values = np.vstack([p, U])  # (s + 1, n)
    at, slope = table.interpolate(table.nodes)
    rho = slope @ values / h - at @ values @ A.T  # (s, n)
    norms = np.abs(rho).sum(axis=1)
    assert (norms.max() < 1e-9) == (noise == 0.0)
    bound = h * (norms @ table.lagrange_integrals + np.abs(A @ (table.leading @ values)).sum() * table.node_integral)
    edges = np.concatenate([[0.0], table.nodes])
    x, w = np.polynomial.legendre.leggauss(40)
    integral = 0.0
    for a, b in pairwise(edges):
        at, slope = table.interpolate(0.5 * (a + b) + 0.5 * (b - a) * x)
        residual = slope @ values / h - at @ values @ A.T
        integral += h * 0.5 * (b - a) * float(w @ np.abs(residual).sum(axis=1))
    assert integral <= bound * (1.0 + 1e-6) + 1e-12
    if noise == 0.0:
        assert integral == pytest.approx(bound, rel=1e-3, abs=1e-9)
    else:
        assert bound <= 5.0 * integral
