"""Solve the shifted systems ``(I - σ A) x = b`` of an implicit method.

Small and banded generators are factorised (SuperLU); where a factorisation would not fit, an incomplete one
preconditions GMRES.  How well a system was solved is not trusted: the residual of the step contains it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse

DIRECT_STATES = 3_000
DIRECT_STATES_PLANAR = 400_000  # with at most 5 entries a row: birth-death chains and two-species networks


class ShiftedSystem:
    """Solver of ``(I - σ A) x = b`` for one complex or real σ."""

    def __init__(self, matrix: Any, shift: complex) -> None:
        from scipy.sparse import linalg  # here, as its import costs as much as a small explicit solve

        self._solve: Callable[[np.ndarray], np.ndarray]
        n = matrix.shape[0]
        entries = matrix.nnz / max(n, 1)
        limit = DIRECT_STATES_PLANAR if entries <= 5.5 else DIRECT_STATES
        self._matrix = (sparse.eye_array(n, format="csr") - shift * matrix).tocsc()
        if n <= limit:
            # Diagonally dominant by columns as Re σ > 0: no pivoting is needed, and a symmetric ordering has less
            # fill-in.
            self._solve = linalg.splu(
                self._matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
            ).solve
        else:
            # Coarser than usual: the systems are dominated by their diagonal, and each serves few steps.
            self._preconditioner = linalg.spilu(
                self._matrix,
                drop_tol=1e-2,
                fill_factor=4.0,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            self._solve = self._iterate

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Return x for a right-hand side (n,)."""
        real = self._matrix.dtype.kind == "f"  # a real eigenvalue: its right-hand side is real too
        x: np.ndarray = self._solve(np.ascontiguousarray(b.real if real else b))
        return x

    def _iterate(self, b: np.ndarray) -> np.ndarray:
        from scipy.sparse import linalg

        preconditioner = linalg.LinearOperator(self._matrix.shape, self._preconditioner.solve, dtype=self._matrix.dtype)
        x, _ = linalg.gmres(self._matrix, b, rtol=1e-13, atol=0.0, restart=40, maxiter=5, M=preconditioner)
        return np.asarray(x)
