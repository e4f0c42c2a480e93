"""Compiled kernels of the multilevel method: parts of a chain, pairing, rates between cells, Gauss–Seidel.

Chains are rows of off-diagonal rates (targets gather) and exit rates.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import B1, I8, Floats, Int32s, Ints, kernel

FLOOR = 1e-250  # of a vector of mass about 1: cells keep conditional probabilities where these would underflow
WEAK = 0.02  # share of the strongest flow into a state


@kernel()
def part_of(indptr: Ints, indices: Int32s, values: Floats, number: Int32s, n_part: I8):
    """Return rows and exit rates of the states whose `number` in the part is not negative; other jumps are left out."""
    nnz = 0
    for i in range(len(number)):
        if number[i] >= 0:
            for q in range(indptr[i], indptr[i + 1]):
                j = indices[q]
                nnz += j != i and number[j] >= 0 and values[q] > 0.0
    starts, columns, rates = np.zeros(n_part + 1, np.int64), np.empty(nnz, np.int32), np.empty(nnz)
    exits = np.zeros(n_part)
    end = 0
    for i in range(len(number)):
        if number[i] < 0:
            continue
        for q in range(indptr[i], indptr[i + 1]):
            j = indices[q]
            if j != i and number[j] >= 0 and values[q] > 0.0:
                columns[end] = number[j]
                rates[end] = values[q]
                exits[number[j]] += values[q]
                end += 1
        starts[number[i] + 1] = end
    return starts, columns, rates, exits


@kernel()
def pair(indptr: Ints, indices: Int32s, rates: Floats, p: Floats, cell: Int32s):
    """Join each state with the free neighbour from which most probability flows to it; return how many cells.

    A neighbour from which little flows beside another is none: a cell across a weak link would hide it from the levels
    above, which are there to balance what is weakly linked.
    """
    n = len(p)
    cell[:] = -1
    n_cells = 0
    for i in range(n):
        if cell[i] >= 0:
            continue
        best, strongest, most = -1, 0.0, 0.0
        for q in range(indptr[i], indptr[i + 1]):
            j = indices[q]
            flow = rates[q] * p[j]
            most = max(most, flow)
            if cell[j] < 0 and flow > strongest and j != i:
                best, strongest = j, flow
        cell[i] = n_cells
        if best >= 0 and strongest >= WEAK * most:
            cell[best] = n_cells
        n_cells += 1
    return n_cells


@kernel()
def coarse_pattern(indptr: Ints, indices: Int32s, cell: Int32s, n_cells: I8):
    """Return the rows of the chain of cells, and where each entry of the fine chain goes in them (-1 inside a cell)."""
    n, nnz = len(cell), len(indices)
    first = np.zeros(n_cells + 1, np.int64)
    for i in range(n):
        first[cell[i] + 1] += 1
    for c in range(n_cells):
        first[c + 1] += first[c]
    free = first[:-1].copy()
    members = np.empty(n, np.int32)
    for i in range(n):
        members[free[cell[i]]] = i
        free[cell[i]] += 1
    at = np.empty(nnz, np.int32)
    starts = np.zeros(n_cells + 1, np.int64)
    columns = np.empty(nnz, np.int32)
    place = np.full(n_cells, -1, np.int64)
    end = 0
    for c in range(n_cells):
        begin = end
        for m in range(first[c], first[c + 1]):
            i = members[m]
            for q in range(indptr[i], indptr[i + 1]):
                d = cell[indices[q]]
                if d == c:
                    at[q] = -1
                    continue
                if place[d] < begin:
                    place[d] = end
                    columns[end] = d
                    end += 1
                at[q] = place[d]
        starts[c + 1] = end
    return starts, columns[:end].copy(), at


@kernel()
def aggregate(
    indptr: Ints,
    indices: Int32s,
    rates: Floats,
    at: Int32s,
    cell: Int32s,
    p: Floats,
    mass: Floats,
    columns: Int32s,
    coarse: Floats,
    exits: Floats,
):
    """Write the mass of each cell and the rates between cells, whose states have the conditional probabilities of p."""
    mass[:] = 0.0
    coarse[:] = 0.0
    exits[:] = 0.0
    for i in range(len(p)):
        mass[cell[i]] += p[i]
    for i in range(len(p)):
        for q in range(indptr[i], indptr[i + 1]):
            if at[q] >= 0:
                coarse[at[q]] += rates[q] * p[indices[q]]
    for q in range(len(coarse)):
        c = columns[q]
        if mass[c] > 0.0:
            coarse[q] /= mass[c]
            exits[c] += coarse[q]


@kernel()
def disaggregate(cell: Int32s, p: Floats, before: Floats, after: Floats):
    """Give each cell the mass `after` in place of `before`."""
    for i in range(len(p)):
        c = cell[i]
        if before[c] > 0.0:
            p[i] *= after[c] / before[c]


@kernel()
def sweep(indptr: Ints, indices: Int32s, rates: Floats, exits: Floats, p: Floats, forward: B1):
    """Balance state after state: p_i = Σ_j a_ij p_j / exits_i."""
    n = len(p)
    for s in range(n):
        i = s if forward else n - 1 - s
        inflow = 0.0
        for q in range(indptr[i], indptr[i + 1]):
            inflow += rates[q] * p[indices[q]]
        if exits[i] > 0.0:
            p[i] = max(inflow / exits[i], FLOOR)


@kernel()
def residual(indptr: Ints, indices: Int32s, rates: Floats, exits: Floats, p: Floats, r: Floats):
    """Write A p and return its 1-norm."""
    norm = 0.0
    for i in range(len(p)):
        balance = -exits[i] * p[i]
        for q in range(indptr[i], indptr[i + 1]):
            balance += rates[q] * p[indices[q]]
        r[i] = balance
        norm += abs(balance)
    return norm
