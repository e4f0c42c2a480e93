"""Compiled kernels of the GTH elimination on a sparse chain.

States are numbered in the order in which they are eliminated; a column holds the rates out of its state.
"""

from __future__ import annotations

import math

import numpy as np

from fsp.compilation.kernel import Floats, Int32s, Ints, kernel


@kernel()
def column_counts(indptr: Ints, indices: Int32s, parent: Ints, counts: Ints):
    """Write the elimination tree of a symmetric pattern, and the entries below the diagonal of each column."""
    n = len(parent)
    ancestor = np.full(n, -1, np.int64)
    for i in range(n):
        parent[i] = -1
        for q in range(indptr[i], indptr[i + 1]):
            k = indices[q]
            while k != -1 and k < i:
                above = ancestor[k]
                ancestor[k] = i  # path compression
                if above == -1:
                    parent[k] = i
                k = above
    mark = np.full(n, -1, np.int64)
    for i in range(n):
        counts[i] = 0
        mark[i] = i
        for q in range(indptr[i], indptr[i + 1]):
            k = indices[q]
            while k < i and mark[k] != i:
                counts[k] += 1
                mark[k] = i
                k = parent[k]


@kernel()
def fill_pattern(indptr: Ints, indices: Int32s, parent: Ints, starts: Ints, rows: Int32s):
    """Write the rows of the entries below the diagonal, ascending in each column."""
    n = len(parent)
    end = starts[:-1].copy()
    mark = np.full(n, -1, np.int64)
    for i in range(n):
        mark[i] = i
        for q in range(indptr[i], indptr[i + 1]):
            k = indices[q]
            while k < i and mark[k] != i:
                rows[end[k]] = i
                end[k] += 1
                mark[k] = i
                k = parent[k]


@kernel()
def _earlier(indptr, indices, parent, j, mark, path, found):
    """Write the states eliminated before j that reach it, descendants first, to the end of `found`; return where."""
    top = len(found)
    mark[j] = j
    for q in range(indptr[j], indptr[j + 1]):
        k = indices[q]
        length = 0
        while k < j and mark[k] != j:
            path[length] = k
            length += 1
            mark[k] = j
            k = parent[k]
        while length > 0:
            length -= 1
            top -= 1
            found[top] = path[length]
    return top


@kernel(error_model="numpy")
def eliminate(
    indptr: Ints,
    indices: Int32s,
    columns: Ints,
    targets: Int32s,
    rates: Floats,
    parent: Ints,
    starts: Ints,
    rows: Int32s,
    shares: Floats,
):
    """Eliminate state after state, column by column, without a subtraction.

    Write `shares`, for which ``p_k = Σ_j share_kj p_j`` over the later states j.  Return their columns' starts and
    rows, the rates at which states are left for later ones, and the sums of these.
    """
    n = len(parent)
    x = np.zeros(n)
    values = np.empty(len(rows))
    exits = np.empty(n)
    mark = np.full(n, -1, np.int64)
    path, found = np.empty(n, np.int64), np.empty(n, np.int64)
    ends, above = np.zeros(n + 1, np.int64), np.empty(len(rows), np.int32)
    u = 0
    for j in range(n):
        top = _earlier(indptr, indices, parent, j, mark, path, found)
        for q in range(columns[j], columns[j + 1]):
            x[targets[q]] += rates[q]
        for s in range(top, n):
            k = found[s]
            share = x[k] / exits[k]  # rate from j to k over the rate at which k is left for later states
            x[k] = 0.0
            above[u] = k
            shares[u] = share
            u += 1
            if share > 0.0:
                for q in range(starts[k], starts[k + 1]):
                    x[rows[q]] += values[q] * share
        ends[j + 1] = u
        x[j] = 0.0  # what comes back to j is no jump
        total = 0.0
        for q in range(starts[j], starts[j + 1]):
            i = rows[q]
            values[q] = x[i]
            total += x[i]
            x[i] = 0.0
        exits[j] = total
    return ends, above, values, exits


@kernel()
def substitute(ends: Ints, above: Int32s, shares: Floats, mantissa: Floats, exponent: Ints):
    """Write p, as mantissa · 2**exponent, of the chain whose last state has p = 1: its range exceeds that of a double.

    A state's p is complete when the states after it have passed theirs on.
    """
    n = len(mantissa)
    mantissa[:] = 0.0
    exponent[:] = 0
    mantissa[n - 1] = 1.0
    for j in range(n - 1, -1, -1):
        m, shift = math.frexp(mantissa[j])
        e = exponent[j] + shift
        mantissa[j], exponent[j] = m, e
        if m == 0.0:
            continue
        for q in range(ends[j], ends[j + 1]):
            k = above[q]
            term = m * shares[q]
            if mantissa[k] == 0.0:
                mantissa[k], exponent[k] = math.frexp(term)
                exponent[k] += e
            elif abs(exponent[k] - e) < 400:
                mantissa[k] += math.ldexp(term, e - exponent[k])
                if mantissa[k] > 1e100:
                    mantissa[k], shift = math.frexp(mantissa[k])
                    exponent[k] += shift
            elif e > exponent[k]:
                small = math.ldexp(mantissa[k], max(exponent[k] - e, -2000))
                mantissa[k], shift = math.frexp(term + small)
                exponent[k] = e + shift
            else:
                mantissa[k] += math.ldexp(term, max(e - exponent[k], -2000))


@kernel()
def occupation(
    starts: Ints, rows: Int32s, ends: Ints, above: Int32s, values: Floats, exits: Floats, shares: Floats, b: Floats
):
    """Turn sources b (n,) into the mean times spent in each state before the last one is met; b[-1] is ignored."""
    n = len(b)
    for k in range(n - 1):
        b[k] /= exits[k]
        for q in range(starts[k], starts[k + 1]):
            b[rows[q]] += values[q] * b[k]
    b[n - 1] = 0.0
    for j in range(n - 1, -1, -1):
        for q in range(ends[j], ends[j + 1]):
            b[above[q]] += shares[q] * b[j]


@kernel()
def mean_integral(
    starts: Ints, rows: Int32s, ends: Ints, above: Int32s, values: Floats, exits: Floats, shares: Floats, b: Floats
):
    """Turn rates of a cost b (n,) into what it comes to before the last state is met, from each state; b[-1] = 0."""
    n = len(b)
    for j in range(n - 1):
        for q in range(ends[j], ends[j + 1]):
            b[j] += shares[q] * b[above[q]]
    b[n - 1] = 0.0
    for k in range(n - 2, -1, -1):
        total = b[k]
        for q in range(starts[k], starts[k + 1]):
            total += values[q] * b[rows[q]]
        b[k] = total / exits[k]


@kernel()
def longest_path(parent: Ints, weights: Floats):
    """Return the largest sum of weights (n,) along a way up the elimination tree."""
    n = len(parent)
    total = np.empty(n)
    most = 0.0
    for k in range(n - 1, -1, -1):
        total[k] = weights[k] + (total[parent[k]] if parent[k] >= 0 else 0.0)
        most = max(most, total[k])
    return most
