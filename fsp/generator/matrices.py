"""Matrices of a generator, made from its plan; those of several times are sums of parts of one pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp.generator import entry_kernels, kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.generator.kernels import Plan


def n_pairs(plan: Plan, first: int, end: int) -> int:
    """Return the number of jumps within the space whose targets are states of the runs first..end."""
    return sum(
        int(kernels.overlap(plan.keys, plan.starts, plan.shifts, c, first, end)) for c in range(len(plan.shifts))
    )


class Rows(NamedTuple):
    """Rows of a matrix as CSR arrays, without scipy, whose import costs as much as a small explicit solve."""

    data: FloatArray  # (nnz,)
    indices: NDArray[Any]  # (nnz,), ascending in each row
    indptr: NDArray[Any]  # (n_rows + 1,)
    shape: tuple[int, int]

    @classmethod
    def of(cls, row: IntArray, column: IntArray, data: FloatArray, shape: tuple[int, int]) -> Rows:
        """Return the rows of entries in any order, (nnz,) each; those of one place are added."""
        if not len(data):
            return cls(data, column, np.zeros(shape[0] + 1, np.int64), shape)
        place = row.astype(np.int64) * shape[1] + column
        if (place[1:] < place[:-1]).any():
            order = np.argsort(place, kind="stable")  # one key: twice as fast as two
            row, column, data, place = row[order], column[order], data[order], place[order]
        first = np.flatnonzero(np.diff(place, prepend=-1))
        indptr = np.searchsorted(row[first], np.arange(shape[0] + 1))
        return cls(np.add.reduceat(data, first), column[first], indptr, shape)

    def places(self) -> NDArray[Any]:
        """Return the row of each entry, (nnz,)."""
        return np.repeat(np.arange(self.shape[0], dtype=self.indices.dtype), np.diff(self.indptr))

    def __matmul__(self, x: FloatArray) -> FloatArray:
        """Return the product with a vector (n_columns,)."""
        product: FloatArray = np.bincount(self.places(), self.data * x[self.indices], minlength=self.shape[0])  # type: ignore[assignment]
        return product

    def csr(self) -> Any:
        """Return the scipy CSR array."""
        from scipy import sparse  # here, as its import is slow

        matrix = sparse.csr_array((self.data, self.indices, self.indptr), shape=self.shape)
        matrix.has_sorted_indices = True
        return matrix


def assemble(plan: Plan, keep_zeros: BoolArray, n_above: int, exits: FloatArray) -> Rows:
    """Return the rows (n, n) of a plan; entries of rate zero stay where the jump is one of `keep_zeros`."""
    n = len(exits)
    n_entries = n + n_pairs(plan, 0, len(plan.keys))
    dtype = np.int32 if n_entries < 2**31 else np.int64
    indptr, indices, values = np.zeros(n + 1, dtype), np.empty(n_entries, dtype), np.empty(n_entries)
    nnz = int(entry_kernels.fill_rows(plan, keep_zeros, n_above, exits, indptr, indices, values))
    return Rows(values[:nnz], indices[:nnz], indptr, (n, n))


def without_zeros(rows: Rows) -> Rows:
    """Return rows without the entries that are zero."""
    kept = rows.data != 0.0
    before = np.concatenate([[0], np.cumsum(kept)])
    indptr = before[rows.indptr].astype(rows.indptr.dtype)
    return rows._replace(data=rows.data[kept], indices=rows.indices[kept], indptr=indptr)
