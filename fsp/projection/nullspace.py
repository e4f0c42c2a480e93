"""Null vectors of irreducible generators.

Three ways: GTH elimination (dense, no subtraction, full relative accuracy), inverse iteration
``x ← σ (σ - A)⁻¹ x`` with one sparse factorisation (the resolvent of a chain keeps x non-negative and of mass 1 and
shrinks what is not stationary by σ/(σ + gap)), and GMRES with an incomplete factorisation for large spaces.
The error is an estimate: the last change, and the residual over the spectral gap that the iteration shows.

References
----------
W. K. Grassmann, M. I. Taksar, D. P. Heyman, Oper. Res. 33 (1985) 1107, doi:10.1287/opre.33.5.1107.
W. J. Stewart, Introduction to the Numerical Solution of Markov Chains, Princeton 1994, ch. 2 and 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from fsp.errors import ArgumentError, ConvergenceError
from fsp.projection import kernels

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

GTH_STATES = 400
DIRECT_STATES = 100_000
DIRECT_STATES_PLANAR = 1_500_000  # with at most 5 entries a row
RELATIVE_SHIFT = 1e-10
ITERATIVE_SHIFT = 1e-8
ITERATIONS = 60


@dataclass(frozen=True, slots=True, eq=False)
class NullVector:
    """A stationary vector.

    Parameters
    ----------
    p
        Non-negative, of sum 1, (n,).
    residual
        ‖A p‖₁, 1/time.
    error
        Estimated 1-norm error.
    """

    p: FloatArray
    residual: float
    error: float


def null_vector(matrix: Any, method: str, guess: FloatArray | None = None) -> NullVector:
    """Return the stationary vector of an irreducible generator (CSR, columns sum to zero).

    Raises
    ------
    ArgumentError
        If `method` is not known.
    ConvergenceError
        If the vector that comes back is not a distribution or does not converge.
    """
    if method not in ("auto", *METHODS):
        raise ArgumentError(f"`method` must be one of {', '.join(['auto', *METHODS])}, but is '{method}'.")
    n = matrix.shape[0]
    if n == 1:
        return NullVector(np.ones(1), 0.0, 0.0)
    found = METHODS[_by_size(matrix) if method == "auto" else method](matrix, guess)
    if not np.isfinite(found.p).all() or found.p.min() < 0.0 or abs(found.p.sum() - 1.0) > 1e-9:
        raise ConvergenceError(
            f"The stationary vector must be a distribution, but has sum {found.p.sum():.3g} and least entry "
            f"{found.p.min():.3g}; try another `method` ({', '.join(METHODS)})."
        )
    return found


def _by_size(matrix: Any) -> str:
    n = matrix.shape[0]
    if n <= GTH_STATES:
        return "gth"
    planar = matrix.nnz <= 5.5 * n
    return "direct" if n <= (DIRECT_STATES_PLANAR if planar else DIRECT_STATES) else "iterative"


def _gth(matrix: Any, guess: FloatArray | None) -> NullVector:
    rates = np.asfortranarray(matrix.toarray())
    np.fill_diagonal(rates, 0.0)
    p = kernels.eliminate(np.ascontiguousarray(rates))
    p /= p.sum()
    n = len(p)
    return NullVector(p, float(np.abs(matrix @ p).sum()), 4.0 * n * n * 2.0**-53)


def _direct(matrix: Any, guess: FloatArray | None) -> NullVector:
    n = matrix.shape[0]
    shift = RELATIVE_SHIFT * float(np.abs(matrix.diagonal()).max())
    p = np.full(n, 1.0 / n) if guess is None else guess
    for _ in range(4):
        lu = _resolvent(matrix, shift)
        p, change, ratio = _iterate_inverse(lu, p)
        gap = shift * (1.0 / ratio - 1.0) if ratio < 1.0 else 0.0
        if change < 1e-9 and gap > 0.0:
            residual = float(np.abs(matrix @ p).sum())
            return NullVector(p, residual, change + residual / gap)
        shift *= 1e-2
    raise ConvergenceError(
        f"Inverse iteration must settle, but its last change is {change:.1e}: the chain is nearly decomposable "
        f"(spectral gap below {shift:.1e}). Try method='gth' on a small space."
    )


def _resolvent(matrix: Any, shift: float) -> Any:
    # Diagonally dominant by columns: no pivoting is needed, and a symmetric ordering has less fill-in.
    shifted = (shift * sparse.eye_array(matrix.shape[0]) - matrix).tocsc()
    return linalg.splu(shifted, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})


def _iterate_inverse(lu: Any, p: FloatArray) -> tuple[FloatArray, float, float]:
    """Apply the resolvent until it settles; return the vector, its last change and the contraction."""
    change, ratio = 1.0, 0.0
    for k in range(ITERATIONS):
        following = np.maximum(lu.solve(p), 0.0)
        following /= following.sum()
        previous, change = change, float(np.abs(following - p).sum())
        p = following
        if k > 0:
            if previous > 1e-10:
                ratio = max(ratio, min(change / previous, 1.0))
            if change <= 1e-14 or change >= 0.5 * previous:
                break
    return p, change, max(ratio, 1e-12)


def _iterative(matrix: Any, guess: FloatArray | None) -> NullVector:
    """Inverse iteration as in `_direct`, its systems solved by GMRES for the correction ``(σ - A) d = A x``."""
    n = matrix.shape[0]
    shifted = (ITERATIVE_SHIFT * float(np.abs(matrix.diagonal()).max()) * sparse.eye_array(n) - matrix).tocsc()
    incomplete = linalg.spilu(shifted, drop_tol=1e-3, fill_factor=10.0, permc_spec="MMD_AT_PLUS_A")
    preconditioner = linalg.LinearOperator(matrix.shape, incomplete.solve)
    p = np.full(n, 1.0 / n) if guess is None else guess
    changes = [2.0]
    for _ in range(ITERATIONS):
        correction, _ = linalg.gmres(shifted, matrix @ p, rtol=1e-3, restart=60, maxiter=1, M=preconditioner)
        following = np.maximum(p + correction, 0.0)
        following /= following.sum()
        changes.append(float(np.abs(following - p).sum()))
        p = following
        if changes[-1] < 1e-13 or (changes[-1] < 1e-8 and changes[-1] > 0.7 * changes[-2]):
            break
    else:
        raise ConvergenceError(
            f"GMRES must settle within {ITERATIONS} cycles, but its last change is {changes[-1]:.1e}; "
            f"use method='direct' if memory allows."
        )
    ratio = min(changes[-1] / changes[-2], 0.9)
    return NullVector(p, float(np.abs(matrix @ p).sum()), changes[-1] / (1.0 - ratio))


METHODS: dict[str, Callable[[Any, FloatArray | None], NullVector]] = {
    "gth": _gth,
    "direct": _direct,
    "iterative": _iterative,
}
