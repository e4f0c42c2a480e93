"""How many eigenvalues of a symmetric matrix lie below a number, by the signs of pivots; discs around all eigenvalues.

Where L D Lᵀ = B - σ + E with a unit triangular L, B - σ + E has as many negative eigenvalues as D has negative entries
(Sylvester), and none of them is off by more than ‖E‖₂ <= ‖E‖ = (max row sum of |E|) from that of B - σ (Weyl).  So, of
the eigenvalues of B,

(1) at most n₋ lie below σ - ‖E‖, and at least n₋ below σ + ‖E‖.

E is computed, with its rounding, so that nothing depends on how good the factors are.

A matrix that is not symmetric is made nearly diagonal: with about eigenvectors V, about their inverse W, a diagonal D,
and ‖1 - W V‖∞ <= η < 1, A is similar to D + (W V)⁻¹ C with C = W (A V - V D), and ‖(W V)⁻¹ - 1‖∞ <= η/(1 - η), so that

(2) disc i of radius Σ_j (|C_ij| + η/(1 - η) max_l |C_lj|) around D_ii holds one eigenvalue where it meets no other disc
    (Gerschgorin).

References
----------
R. A. Horn, C. R. Johnson, Matrix Analysis, 2nd ed., Cambridge 2013, theorems 4.5.8, 4.3.1 and 6.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg as dense
from scipy import sparse
from scipy.sparse import linalg

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.solvers.scipy_extensions import WITHOUT_PIVOTING

if TYPE_CHECKING:
    from fsp.arrays import ComplexArray, FloatArray

LEAST_PIVOT = 1e-300  # in place of a pivot that is zero where all entries are


def negative_pivots(matrix: Any, sigma: float, charge: float) -> tuple[int, float] | None:
    """Return n₋ and a bound of ‖E‖ for a symmetric `matrix` (n, n) CSR; None where a pivot fails.

    Row sums of what the entries of the matrix may be off by are at most `charge`.
    """
    n = matrix.shape[0]
    rows = sparse.coo_array(matrix)
    if (np.abs(rows.row - rows.col) <= 1).all():
        return _of_tridiagonal(matrix.diagonal(), matrix.diagonal(1), sigma, charge)
    shifted = (matrix - sparse.diags_array(np.full(n, sigma))).tocsc()
    try:
        factors: Any = linalg.splu(shifted, options=WITHOUT_PIVOTING)
    except RuntimeError:  # a pivot is zero
        return None
    pivots = factors.U.diagonal()
    if not (np.isfinite(pivots).all() and pivots.all() and (factors.perm_r == factors.perm_c).all()):
        return None
    L = sparse.csr_array(factors.L)
    order = np.argsort(factors.perm_r)
    rest = L @ sparse.diags_array(pivots) @ L.T - sparse.csr_array(shifted)[order][:, order]
    terms = int(np.diff(L.indptr).max()) + 6  # of a sum of products of three, and of the difference
    size = abs(L) @ (np.abs(pivots) * (abs(L).T @ np.ones(n)))  # (n,)
    rounding = terms * UNIT_ROUNDOFF * (size + abs(shifted) @ np.ones(n) + abs(sigma))
    sums = np.maximum(abs(rest) @ np.ones(n), abs(rest).T @ np.ones(n)) + rounding
    return int(np.count_nonzero(pivots < 0.0)), float(sums.max()) * (1.0 + SUM_ROUNDING) + charge


def _of_tridiagonal(a: FloatArray, b: FloatArray, sigma: float, charge: float) -> tuple[int, float]:
    """Return the same of a matrix with diagonal `a` (n,) and entries `b` (n - 1,) beside it, by Sturm's sequence.

    However small a pivot is, signs are those of a matrix whose entries beside the diagonal are off by 2.5 roundings
    each (J. W. Demmel, Applied Numerical Linear Algebra, SIAM 1997, lemma 5.3); a zero is taken for a small number.
    """
    beside = np.concatenate([[0.0], np.abs(b)])
    size = float((np.abs(a) + abs(sigma) + beside + np.append(beside[1:], 0.0)).max())
    count, pivot, least = 0, 1.0, max(UNIT_ROUNDOFF * size, LEAST_PIVOT)
    for here, square in zip((a - sigma).tolist(), (beside * beside).tolist(), strict=True):
        pivot = here - square / pivot
        pivot = pivot if pivot != 0.0 else least
        count += pivot < 0.0
    return count, 8.0 * max(UNIT_ROUNDOFF * size, LEAST_PIVOT) + charge


def all_eigenvalues(matrix: FloatArray, off: float) -> tuple[ComplexArray, FloatArray] | None:
    """Return all eigenvalues (n,) of a matrix (n, n), with the radii of (2), infinite where discs meet.

    Entries of the matrix have relative errors of `off`.  None where the vectors are nearly dependent.
    """
    n = len(matrix)
    values, V = dense.eig(matrix)
    try:
        W = np.linalg.inv(V)
    except np.linalg.LinAlgError:
        return None
    gamma = 4.0 * (n + 4) * UNIT_ROUNDOFF  # of a complex product of matrices
    aV, aW = np.abs(V), np.abs(W)
    apart = np.abs(np.eye(n) - W @ V) + gamma * (aW @ aV + np.eye(n))
    eta = float(apart.sum(axis=1).max()) * (1.0 + SUM_ROUNDING)
    if not eta < 0.5:  # chosen: beyond, radii only grow
        return None
    left = np.abs(matrix @ V - V * values) + (gamma + off) * (np.abs(matrix) @ aV) + gamma * aV * np.abs(values)
    C = (aW @ left) * (1.0 + gamma)
    radii = (C.sum(axis=1) + eta / (1.0 - eta) * C.max(axis=0).sum()) * (1.0 + gamma)
    distance = np.abs(values[:, None] - values[None, :])
    meets = distance <= (radii[:, None] + radii[None, :]) * (1.0 + gamma)
    np.fill_diagonal(meets, val=False)
    return values, np.where(meets.any(axis=1), np.inf, radii)
