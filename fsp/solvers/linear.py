"""Solve the shifted systems ``(I - σ A) x = b`` of an implicit method.

Generators whose entries can be brought near the diagonal are factorised in place, other small or planar ones by
SuperLU; where a factorisation would not fit, an incomplete one preconditions GMRES.  How well a system was solved is
not trusted: the residual of the step contains it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arrays import rows_of
from fsp.generator.matrices import Rows
from fsp.memory import Room, affords
from fsp.solvers import band_kernels
from fsp.solvers.scipy_extensions import WITHOUT_PIVOTING, factorise

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import IntArray
    from fsp.generator.base import BaseGenerator

DIRECT_STATES = 3_000  # beyond, the fill-in of networks of many species takes too much memory; chosen, not measured
DIRECT_STATES_PLANAR = 400_000  # with at most 5 entries a row: birth-death chains and two-species networks
WIDEST_BAND = 16  # on either side of the diagonal: beyond, SuperLU solves faster
PLANAR_FILL = 60.0  # entries of the factors of a planar matrix, for each state
FILL = 10.0  # times n^(4/3), those of others
INCOMPLETE_FILL = 4.0  # of incomplete factors, over the matrix
RESTART = 40  # vectors of GMRES
SERVED_CHANGE = 0.03  # relative change of rates over which a factorisation still serves stages that are iterated
DIRECT_WORK = 1e11  # of a factorisation that is still considered: half a minute


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """An order of the states in which all jumps are short."""

    order: IntArray  # its states, (n,)
    rows: IntArray  # the place of every entry of the matrix in that order, (nnz,)
    columns: IntArray
    width: int  # the largest distance from the diagonal, at least 1

    @classmethod
    def of(cls, matrix: Any) -> Band | None:
        """Return the order that states have already, or that of Cuthill and McKee; None where jumps are long in it.

        The matrix is one of scipy's CSR arrays, or `fsp.generator.matrices.Rows`.
        """
        n = matrix.shape[0]
        rows, columns = _places(matrix), matrix.indices
        band = cls(np.arange(n), rows, columns, _width(rows, columns))
        if band.width > WIDEST_BAND and _is_planar(matrix):
            order = _in_order(matrix)
            place = np.empty(n, dtype=np.int64)
            place[order] = np.arange(n)
            rows, columns = place[rows], place[columns]
            band = cls(order, rows, columns, _width(rows, columns))
        return band if band.width <= WIDEST_BAND else None


class ShiftedSystem:
    """Solver of ``(I - σ A) x = b`` for one complex or real σ; `band` is `Band.of` the matrix."""

    def __init__(self, matrix: Any, shift: complex, band: Band | None) -> None:
        self.is_real = not isinstance(shift, complex)
        self._solve: Callable[[np.ndarray], np.ndarray]
        n, size = matrix.shape[0], 8 if self.is_real else 16
        needed = n * (2 * band.width + 1) * size if band is not None else _bytes_of_factors(matrix, size)
        self._room = Room("Factors of a shifted generator", needed, n, "take solver='uniformization'")
        self.takes_columns = band is None and _is_direct(matrix)  # several right-hand sides at once
        self.factors: np.ndarray | None = None  # in a band, see `fsp.solvers.band_kernels`
        if band is not None:
            self.factors = _band_factors(matrix, shift, band)
            self._solve = _in_band(self.factors, band)
        elif _is_direct(matrix):
            columns = _shifted(matrix, shift)
            self._solve = factorise(columns.data, columns.indices, columns.indptr)
        else:
            self._solve = _preconditioned(_shifted(matrix, shift))

    def solve_columns(self, b: np.ndarray) -> np.ndarray:
        """Return x for right-hand sides (n, m)."""
        return self.solve(b) if self.takes_columns else np.stack([self.solve(column) for column in b.T], axis=1)

    def solve(self, b: np.ndarray) -> np.ndarray:
        """Return x for a right-hand side (n,)."""
        # A real eigenvalue: its right-hand side is real too.
        x: np.ndarray = self._solve(np.ascontiguousarray(b.real if self.is_real else b))
        return x


def _width(rows: IntArray, columns: IntArray) -> int:
    return int(np.abs(rows - columns).max(initial=1))


def _is_planar(matrix: Any) -> bool:
    return bool(len(matrix.data) <= 5.5 * matrix.shape[0])


def _in_order(matrix: Any) -> IntArray:
    """Return the order of Cuthill and McKee of CSR arrays, (n,)."""
    columns = _transposed(matrix, matrix.data)
    degrees = np.diff(matrix.indptr).astype(np.int64) + np.diff(columns.indptr)
    by_degree = np.argsort(degrees, kind="stable")
    order: IntArray = band_kernels.cuthill_mckee(*rows_of(matrix), *rows_of(columns), by_degree, degrees)
    return order


def _places(matrix: Any) -> IntArray:
    """Return the row of each entry of CSR arrays, (nnz,)."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _is_direct(matrix: Any) -> bool:
    return bool(matrix.shape[0] <= (DIRECT_STATES_PLANAR if _is_planar(matrix) else DIRECT_STATES))


def _bytes_of_factors(matrix: Any, size: int) -> float:
    """Return what complete factors take, with numbers of so many bytes, or incomplete ones and the vectors of GMRES."""
    n, nnz = float(matrix.shape[0]), float(len(matrix.data))
    if _is_direct(matrix):
        return (size + 4) * entries_of_factors(n, planar=_is_planar(matrix))
    return (size + 4) * INCOMPLETE_FILL * nnz + size * RESTART * n


def entries_of_factors(n: float, *, planar: bool) -> float:
    """Return how many entries the factors of n states have: about, as measured."""
    return PLANAR_FILL * n if planar else FILL * n ** (4.0 / 3.0)


def _shifted(matrix: Any, shift: complex) -> Rows:
    """Return the columns of ``I - σA``: the rows of its transpose."""
    values, diagonal = -shift * matrix.data, matrix.indices == _places(matrix)
    values[diagonal] += 1.0
    lacking = np.ones(matrix.shape[0], dtype=bool)
    lacking[matrix.indices[diagonal]] = False
    columns = _transposed(matrix, values)
    if not lacking.any():
        return columns
    states = np.flatnonzero(lacking)
    places = np.concatenate([columns.places(), states]), np.concatenate([columns.indices, states])
    return Rows.of(*places, np.concatenate([columns.data, np.ones(len(states))]), matrix.shape)


def _transposed(matrix: Any, data: np.ndarray) -> Rows:
    """Return the rows of the transpose of CSR arrays with these entries."""
    n = matrix.shape[0]
    keys = matrix.indices.astype(np.uint16) if n <= 2**16 else matrix.indices  # numbers of 16 bits are sorted fastest
    order = np.argsort(keys, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(matrix.indices, minlength=n))])
    return Rows(data[order], _places(matrix)[order], indptr, matrix.shape)


def _band_factors(matrix: Any, shift: complex, band: Band) -> np.ndarray:
    n, b = matrix.shape[0], band.width
    values = np.zeros((n, 2 * b + 1), dtype=type(shift))
    values[:, b] = 1.0
    values[band.rows, b + band.columns - band.rows] -= shift * matrix.data
    band_kernels.factorise(values)
    return values


def _in_band(values: np.ndarray, band: Band) -> Callable[[np.ndarray], np.ndarray]:
    n, b = len(values), band.width
    padded = np.empty(n + 2 * b, dtype=values.dtype)

    def solve(rhs: np.ndarray) -> np.ndarray:
        x = np.empty(n, dtype=values.dtype)
        band_kernels.substitute(values, band.order, rhs, padded, x)
        return x

    return solve


def _preconditioned(columns: Rows) -> Callable[[np.ndarray], np.ndarray]:
    from scipy import sparse  # here, as its import costs as much as a small explicit solve
    from scipy.sparse import linalg

    matrix = sparse.csc_array((columns.data, columns.indices, columns.indptr), shape=columns.shape)
    # Coarser than usual: the systems are dominated by their diagonal, and each serves few steps.
    incomplete = linalg.spilu(matrix, drop_tol=1e-2, fill_factor=INCOMPLETE_FILL, options=WITHOUT_PIVOTING)
    preconditioner = linalg.LinearOperator(matrix.shape, incomplete.solve, dtype=matrix.dtype)
    gmres = partial(linalg.gmres, matrix, rtol=1e-13, atol=0.0, restart=RESTART, maxiter=5, M=preconditioner)
    return lambda b: np.asarray(gmres(b)[0])


def direct_work(generator: BaseGenerator) -> tuple[float, float]:
    """Return the work of factorising a shifted generator, and of one solve, by the fill-in to expect; inf: too much."""
    n = float(len(generator))
    per_row = generator.work / n
    extent = generator.space.top - generator.space.bottom
    # States that a jump passes in the best order: those that differ in the species with fewest counts.
    width = 1.0 if per_row <= 3.5 else 1.0 + float(extent[extent > 0].min(initial=WIDEST_BAND))
    if per_row <= 5.5 and width <= WIDEST_BAND:  # a chain, or two species
        factorisation, solve = (300.0 + 5.0 * width**2) * n, (10.0 + 2.2 * width) * n
    elif per_row <= 5.5:
        factorisation, solve = 90.0 * n**1.5 + 1e6, entries_of_factors(n, planar=True)
    else:
        factorisation, solve = 16.0 * n * n + 1e6, entries_of_factors(n, planar=False)
    fits = factorisation <= DIRECT_WORK and affords(12.0 * solve, len(generator))
    return factorisation if fits else inf, solve
