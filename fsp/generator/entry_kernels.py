"""Compiled kernels that read single rates off a plan: exit rates, entries of the matrix, jumps out of the space."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import B1, I8, Bools, Floats, Indices, Ints, kernel
from fsp.generator.kernels import BLOCK, PLAIN, Plan, begin_of, first_source, read_coordinates, read_places, read_scales

STATES = 4096  # of the rows that are filled together


@kernel()
def longest_run(starts):
    """Return the number of states of the longest run."""
    longest = 0
    for r in range(len(starts) - 1):
        longest = max(longest, starts[r + 1] - starts[r])
    return longest


@kernel(forceinline=True)
def _read_block(plan, first, end, block, n, coordinates, integers, scale, place):
    """Write scalars and places of tables, (n_groups, BLOCK), of groups first..end as they belong to n runs themselves.

    Coordinates (n_coordinates + 1, BLOCK) and integers (2, BLOCK), the second row zero, are room to work in.
    """
    run, nowhere = integers[0], integers[1]
    for j in range(n):
        run[j] = block + j
    read_coordinates(plan.keys, plan.fields, plan.dependents, block, n, coordinates)
    for k in range(end - first):
        g = first + k
        read_scales(
            plan.groups, plan.products, plan.scales, plan.factors, plan.tables, g, coordinates, run, n, scale[k]
        )
        read_places(plan.groups, plan.offsets, g, coordinates, run, nowhere, n, place[k])


@kernel()
def _sum_groups(groups, tables, first, end, scale, place, j, low, high, rates):
    """Write the sum of the coefficients of groups first..end for the states low..high of run j of a block."""
    for i in range(low, high):
        rates[i] = 0.0
    for k in range(end - first):
        factor, t = scale[k, j], place[k, j]
        if groups[first + k, 2] == PLAIN:
            for i in range(low, high):
                rates[i] += factor
        else:
            for i in range(np.uint64(low), np.uint64(high)):
                rates[i] += factor * tables[np.uint64(t) + i]


@kernel()
def exit_rates(plan: Plan, out: Floats):
    """Write the exit rates to `out`, and return the largest; where `out` is empty only that."""
    starts, groups, tables = plan.starts, plan.groups, plan.tables
    first, end = plan.group_range[-2], plan.group_range[-1]
    coordinates = np.zeros((len(plan.fields) + len(plan.dependents) + 1, BLOCK), dtype=np.int64)
    integers = np.zeros((2, BLOCK), dtype=np.int64)
    scale, place = np.zeros((end - first, BLOCK)), np.zeros((end - first, BLOCK), dtype=np.int64)
    rates = np.empty(longest_run(starts))
    n_runs, largest = len(starts) - 1, 0.0
    for block in range(0, n_runs, BLOCK):
        n = min(BLOCK, n_runs - block)
        _read_block(plan, first, end, block, n, coordinates, integers, scale, place)
        for j in range(n):
            start, length = starts[block + j], starts[block + j + 1] - starts[block + j]
            _sum_groups(groups, tables, first, end, scale, place, j, 0, length, rates)
            for i in range(length):
                largest = max(largest, rates[i])
            if len(out) > 0:
                for i in range(length):
                    out[start + i] = rates[i]
    return largest


@kernel()
def _sources_of_block(plan, c, block, n, coordinates, states, pairs, of_pairs):
    """Find the states that change c leads from into each state of n runs, -1 for none, and the pairs of such runs.

    A column of `pairs` (5, m) holds where the run entered begins in the block, which of its states are entered (first
    and end), the run whose coefficients count, and where that one begins; one of `of_pairs` the coordinates of the run
    entered.  Returns the number of pairs, or -1 where there are more than m.
    """
    keys, starts, shifts = plan.keys, plan.starts, plan.shifts
    base, last, count = starts[block], keys.shape[1] - 1, 0
    for i in range(starts[block + n] - base):
        states[i] = -1
    for j in range(n):
        r = block + j
        source = plan.sources[c, r]
        q, length, start = first_source(source), starts[r + 1] - starts[r], starts[r] - base
        while 0 <= q < len(keys):
            d = begin_of(keys, shifts, c, q, r, last)
            if d >= length:
                break
            if count == pairs.shape[1]:
                return -1
            begin, end = max(0, d), min(length, d + starts[q + 1] - starts[q])
            for i in range(begin, end):
                states[start + i] = starts[q] - d + i
            pairs[0, count], pairs[1, count], pairs[2, count] = start, begin, end
            pairs[3, count], pairs[4, count] = (r, 0) if plan.own else (q, d)
            for k in range(len(coordinates)):
                of_pairs[k, count] = coordinates[k, j]
            count += 1
            if source >= -1:  # the only one
                break
            q += 1
    return count


@kernel(forceinline=True)
def _rates_of_block(plan, c, size, count, pairs, of_pairs, scale, place, rates):
    """Write the rates at which change c enters each of `size` states of a block, by its pairs of runs."""
    groups, tables = plan.groups, plan.tables
    run, position = pairs[3], pairs[4]
    for i in range(size):
        rates[i] = 0.0
    for g in range(plan.group_range[c], plan.group_range[c + 1]):
        read_scales(groups, plan.products, plan.scales, plan.factors, tables, g, of_pairs, run, count, scale)
        read_places(groups, plan.offsets, g, of_pairs, run, position, count, place)
        for k in range(count):
            start, factor, t = pairs[0, k], scale[k], place[k]
            if groups[g, 2] == PLAIN:
                for i in range(pairs[1, k], pairs[2, k]):
                    rates[start + i] += factor
            else:
                for i in range(pairs[1, k], pairs[2, k]):
                    rates[start + i] += factor * tables[t + i]


@kernel()
def _room_for_pairs(n_coordinates, m):
    """Return arrays for m pairs of runs: pairs, coordinates, scalars and places."""
    coordinates = np.empty((n_coordinates + 1, m), dtype=np.int64)
    return np.empty((5, m), dtype=np.int64), coordinates, np.zeros(m), np.zeros(m, dtype=np.int64)


@kernel()
def fill_rows(
    plan: Plan, keep_zeros: Bools, n_above: I8, exits: Floats, indptr: Indices, indices: Indices, values: Floats
):
    """Fill the rows of a CSR matrix; return the number of entries.

    Changes are in falling lexicographic order, so the sources of one row have rising indices; the
    diagonal belongs after the first `n_above`.  So every row comes out sorted, without a sort.
    """
    starts, n_changes = plan.starts, len(plan.shifts)
    n_runs, n_coordinates = len(starts) - 1, len(plan.fields) + len(plan.dependents)
    width = max(longest_run(starts), STATES)
    coordinates = np.zeros((n_coordinates + 1, BLOCK), dtype=np.int64)
    rates = np.empty((n_changes, width))
    states = np.empty((n_changes, width), dtype=np.int64)
    pairs, of_pairs, scale, place = _room_for_pairs(n_coordinates, 2 * BLOCK)
    block, position = 0, 0
    indptr[0] = 0
    while block < n_runs:
        n = 1
        while n < min(BLOCK, n_runs - block) and starts[block + n + 1] - starts[block] <= width:
            n += 1
        base = starts[block]
        size = starts[block + n] - base
        read_coordinates(plan.keys, plan.fields, plan.dependents, block, n, coordinates)
        for c in range(n_changes):
            count = _sources_of_block(plan, c, block, n, coordinates, states[c], pairs, of_pairs)
            while count < 0:
                pairs, of_pairs, scale, place = _room_for_pairs(n_coordinates, 2 * pairs.shape[1])
                count = _sources_of_block(plan, c, block, n, coordinates, states[c], pairs, of_pairs)
            _rates_of_block(plan, c, size, count, pairs, of_pairs, scale, place, rates[c])
        for i in range(size):
            for c in range(n_changes + 1):
                if c == n_above:
                    indices[position], values[position] = base + i, -exits[base + i]
                    position += 1
                if c < n_changes and states[c, i] >= 0 and (keep_zeros[c] or rates[c, i] > 0.0):
                    indices[position], values[position] = states[c, i], rates[c, i]
                    position += 1
            indptr[base + i + 1] = position
        block += n
    return position


@kernel()
def leaving(plan: Plan, c: I8, keep_zeros: B1, states: Ints, rates: Floats):
    """Find the states from which change c leads out of the set, and its rates; return their number.

    `plan` is the adjoint's: what a run reads there is where its jumps lead.  Where `states` is empty, only count,
    states of zero rate included.
    """
    keys, starts, shifts, sources = plan.keys, plan.starts, plan.shifts, plan.sources
    groups, tables = plan.groups, plan.tables
    first, end = plan.group_range[c], plan.group_range[c + 1]
    last, counting = keys.shape[1] - 1, len(states) == 0
    coordinates = np.zeros((len(plan.fields) + len(plan.dependents) + 1, BLOCK), dtype=np.int64)
    integers = np.zeros((2, BLOCK), dtype=np.int64)
    scale, place = np.zeros((end - first, BLOCK)), np.zeros((end - first, BLOCK), dtype=np.int64)
    of_run = np.empty(longest_run(starts))
    count = 0
    for block in range(0, len(keys), BLOCK):
        n = min(BLOCK, len(keys) - block)
        if not counting:
            _read_block(plan, first, end, block, n, coordinates, integers, scale, place)
        for j in range(n):
            r = block + j
            length = starts[r + 1] - starts[r]
            q, covered = first_source(sources[c, r]), 0
            while covered < length:
                begin, stop = length, length
                if 0 <= q < len(keys):
                    d = begin_of(keys, shifts, c, q, r, last)
                    if d < length:
                        begin, stop = max(covered, d), min(length, d + starts[q + 1] - starts[q])
                if counting:
                    count += max(0, begin - covered)
                elif begin > covered:
                    _sum_groups(groups, tables, first, end, scale, place, j, covered, begin, of_run)
                    for i in range(covered, begin):
                        if keep_zeros or of_run[i] > 0.0:
                            states[count], rates[count] = starts[r] + i, of_run[i]
                            count += 1
                covered = max(covered, stop)
                q = q + 1 if q >= 0 else q
    return count
