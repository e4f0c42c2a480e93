"""Compiled kernels that fill a CSR matrix from gain and loss terms.

Sources of one row, taken over the jumps in falling lexicographic order of their changes, have rising indices; the
diagonal belongs where the change is zero.  So every row comes out sorted, without a sort.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def count_entries(target, rate, keep_zeros):
    """Return the number of entries that one jump contributes."""
    count = 0
    for i in range(len(target)):
        if target[i] >= 0 and (keep_zeros or rate[i] > 0.0):
            count += 1
    return count


@njit(cache=True)
def fill_rows(targets, rates, keep_zeros, exit_rates, n_above, indptr, indices, values):
    """Fill the rows of the generator in one pass: targets and rates (n_jumps, n), both read in order.

    As a shift keeps the order of states, the targets of a jump rise, and one cursor for each jump finds the
    source of every row.  The first `n_above` jumps come before the diagonal.
    """
    n_jumps, n = targets.shape
    cursor = np.zeros(n_jumps, dtype=np.int64)
    position = indptr[0]
    for row in range(n):
        for g in range(n_jumps + 1):
            if g == n_above:
                indices[position] = row
                values[position] = -exit_rates[row]
                position += 1
            if g == n_jumps:
                break
            i = cursor[g]
            while i < n and targets[g, i] < row:
                i += 1
            cursor[g] = i
            if i < n and targets[g, i] == row and (keep_zeros[g] or rates[g, i] > 0.0):
                indices[position] = i
                values[position] = rates[g, i]
                position += 1
        indptr[row + 1] = position
