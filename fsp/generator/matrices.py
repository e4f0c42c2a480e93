"""Matrices of a generator, made from its plan; those of several times are sums of parts of one pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.generator import entry_kernels, kernels

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.generator.kernels import Plan


def n_pairs(plan: Plan, first: int, end: int) -> int:
    """Return the number of jumps within the space whose targets are states of the runs first..end."""
    return sum(
        int(kernels.overlap(plan.keys, plan.starts, plan.shifts, c, first, end)) for c in range(len(plan.shifts))
    )


def assemble(plan: Plan, keep_zeros: BoolArray, n_above: int, exits: FloatArray) -> Any:
    """Return the CSR array (n, n) of a plan; entries of rate zero stay where the jump is one of `keep_zeros`."""
    n = len(exits)
    n_entries = n + n_pairs(plan, 0, len(plan.keys))
    dtype = np.int32 if n_entries < 2**31 else np.int64
    indptr, indices, values = np.zeros(n + 1, dtype), np.empty(n_entries, dtype), np.empty(n_entries)
    nnz = int(entry_kernels.fill_rows(plan, keep_zeros, n_above, exits, indptr, indices, values))
    return csr(values[:nnz], indices[:nnz], indptr, (n, n))


def without_zeros(matrix: Any) -> Any:
    """Return a CSR array without the entries that are zero."""
    kept = matrix.data != 0.0
    before = np.concatenate([[0], np.cumsum(kept)])
    indptr = before[matrix.indptr].astype(matrix.indptr.dtype)
    return csr(matrix.data[kept], matrix.indices[kept], indptr, matrix.shape)


def csr(data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> Any:
    """Return a CSR array whose indices are sorted."""
    matrix = sparse.csr_array((data, indices, indptr), shape=shape)
    matrix.has_sorted_indices = True
    return matrix
