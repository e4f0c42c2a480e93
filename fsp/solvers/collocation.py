"""Radau IIA collocation: tables, and the exact residual of a collocation polynomial.

The polynomial u of degree s through p and the stage values U_i at the Radau nodes c_i fulfils ``u' = A u`` at
the nodes, up to the stage residuals ρ_i.  For constant A the residual over the step is therefore known in full::

    u'(τ)/h - A u(τ) = Σ_i ρ_i ℓ_i(τ)  -  A u_s Π_i (τ - c_i),      u_s the leading coefficient of u

and the integral of its 1-norm is at most ``h (Σ_i ‖ρ_i‖₁ ∫|ℓ_i| + ‖A u_s‖₁ ∫|Π|)``, whose integrals are numbers.

References
----------
E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., IV.5 and IV.8,
doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.solvers.clocks import chebyshev_nodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray

RESIDUAL_NOISE = 30.0  # how many times the rounding of the products the residual of a step may show


@dataclass(frozen=True, slots=True, eq=False)
class Collocation:
    """Tables of the s-stage Radau IIA method on [0, 1]."""

    nodes: FloatArray  # c, (s,), the last one is 1
    weights: FloatArray  # Butcher matrix, ``weights[i, j] = ∫₀^{c_i} ℓ_j``, (s, s)
    weights_inverse: FloatArray
    eigenvalues: np.ndarray  # ``weights = vectors @ diag(eigenvalues) @ inverse``; complex pairs are neighbours
    vectors: np.ndarray
    inverse: np.ndarray
    leading: FloatArray  # of the polynomial through (0, p), (c_i, U_i): ``leading[0] p + leading[1:] @ U`` at degree s
    lagrange_integrals: FloatArray  # ∫₀¹ |ℓ_i|, (s,)
    node_integral: float  # ∫₀¹ |Π_i (τ - c_i)|

    @property
    def n_stages(self) -> int:
        """Number of stages s."""
        return len(self.nodes)

    def interpolate(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the matrices (len(tau), s + 1) that give u and u' (per step) at `tau` from (p, U_1 … U_s)."""
        points = np.concatenate([[0.0], self.nodes])
        columns = range(len(points))
        values = np.column_stack([_lagrange(points, j, tau) for j in columns])
        slopes = np.column_stack([_lagrange_slope(points, j, tau) for j in columns])
        return values, slopes


@lru_cache
def radau(n_stages: int) -> Collocation:
    """Return the tables of the Radau IIA method with `n_stages` stages, order 2 n_stages - 1."""
    from scipy.special import roots_jacobi  # here, as only the implicit solver needs it

    inner, _ = roots_jacobi(n_stages - 1, 1.0, 0.0) if n_stages > 1 else (np.empty(0), None)
    nodes = np.concatenate([(inner + 1.0) / 2.0, [1.0]])
    basis = [partial(_lagrange, nodes, j) for j in range(n_stages)]
    weights = np.array([[_integral(b, 0.0, c) for b in basis] for c in nodes])
    eigenvalues, vectors = np.linalg.eig(weights)
    points = np.concatenate([[0.0], nodes])
    leading = np.array([1.0 / np.prod(points[j] - np.delete(points, j)) for j in range(n_stages + 1)])
    edges = np.concatenate([[0.0], nodes])  # between which neither Π nor any ℓ_i changes sign
    return Collocation(
        nodes=nodes,
        weights=weights,
        weights_inverse=np.linalg.inv(weights),
        eigenvalues=eigenvalues,
        vectors=vectors,
        inverse=np.linalg.inv(vectors),
        leading=leading,
        lagrange_integrals=np.array([_of_modulus(b, edges) for b in basis]),
        node_integral=_of_modulus(lambda x: np.prod(x[:, None] - nodes, axis=1), edges),
    )


@lru_cache
def in_nodes(n_stages: int, count: int) -> tuple[FloatArray, FloatArray]:
    """Return what gives u and u' in Chebyshev points of a step, see `Collocation.interpolate`."""
    return radau(n_stages).interpolate(0.5 * (1.0 + chebyshev_nodes(count).z))


def _lagrange(points: FloatArray, j: int, x: FloatArray) -> FloatArray:
    """Return ℓ_j at `x`: products, which lose no digits where coefficients would."""
    others = np.delete(points, j)
    return np.asarray(np.prod((x[:, None] - others) / (points[j] - others), axis=1))


def _lagrange_slope(points: FloatArray, j: int, x: FloatArray) -> FloatArray:
    """Return ℓ_j' at `x`."""
    others = np.delete(points, j)
    slope = np.zeros_like(x)
    for k in range(len(others)):
        rest = np.delete(others, k)
        slope += np.prod((x[:, None] - rest) / (points[j] - rest), axis=1) / (points[j] - others[k])
    return slope


def _integral(f: Callable[[FloatArray], FloatArray], a: float, b: float) -> float:
    """Return ∫_a^b f by Gauss–Legendre quadrature, exact for polynomials of degree 31."""
    x, w = np.polynomial.legendre.leggauss(16)
    return float(0.5 * (b - a) * (w @ f(a + 0.5 * (b - a) * (x + 1.0))))


def _of_modulus(f: Callable[[FloatArray], FloatArray], edges: FloatArray) -> float:
    return sum(abs(_integral(f, a, b)) for a, b in pairwise(edges))
