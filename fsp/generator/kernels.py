"""The plan of an operator on runs of states, and compiled kernels that read it.

A jump maps a run of states to a run, so ``y = A v`` is, run by run of y, a sum of slices of v, each times a scalar
times a slice of a table.  `fsp.generator.slices` finds them, `fsp.generator.run_kernels` adds them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fsp.compilation.kernel import (
    I8,
    Floats,
    Floats2,
    Indices,
    Indices2,
    Int32s2,
    Ints,
    Ints2,
    Shorts,
    Shorts2,
    kernel,
)

REORDERED = {"reassoc", "contract", "nsz"}  # lets sums use vector registers; infinities and NaNs keep their meaning
# What is compiled holds a copy of each kernel that it calls, and a process runs the copy that came first.  Copies of
# reordered sums differ in their last digits, so kernels that others call, and that reorder, are inlined: `forceinline`.
BLOCK = 64  # runs whose sources and scalars are found together
FAR = 2**61  # distance of runs whose keys differ in a leading word

PRODUCT, STEP, DOTS, RECURRENCE = 0, 1, 2, 3  # forms of a product, see `fsp.generator.run_kernels.product_runs`
# Where the rates of a run are: in scalars and tables (`fsp.generator.fused_kernels`), or written out for each state
# (`fsp.generator.expanded_kernels`).
FUSED, EXPANDED = 0, 1
PLAIN, TABLE, STORED = 0, 1, 2  # kinds of groups: no table, a table by count, a table with an offset for each run


class Plan(NamedTuple):
    """One operator as flat arrays.

    A group is a coefficient ``(Σ products) × table``; the groups of change c are `group_range[c]` to
    `group_range[c + 1]`, those of the exit rate come last.
    """

    keys: Ints2  # first keys of pieces of runs, (n_runs, n_words)
    starts: Ints  # their first indices, (n_runs + 1,)
    shifts: Ints2  # distance from the key of a source to that of its target, (n_changes, n_words)
    fields: Ints2  # word, shift and mask of each coordinate that is a bit field, (n_fields, 3)
    dependents: Ints2  # constant, divisor and weights of each coordinate that is an affine function of the fields
    tables: Floats  # pool of all tables; it begins with as many zeros as a run has states at most
    scales: Floats  # scale of each product, (n_products,)
    products: Ints2  # the range of its factors, (n_products, 2)
    factors: Ints2  # coordinate (-1: number of the source run) and place of the table of each factor, (n_factors, 2)
    # first and last product, kind, coordinate or row of offsets, sign of the coordinate, place of the table, slot in
    # the fused pass, (n_groups, 7)
    groups: Ints2
    group_range: Ints  # (n_changes + 2,)
    n_plain: I8  # number of slots without a table, which come first
    sources: Int32s2  # the run that each change leads from into each run, see `find_sources`, (n_changes, n_runs)
    offsets: Ints2  # place in `tables` of the first state of each run, (n_rows, n_runs)
    own: I8  # 1 where a coefficient belongs to the run that is written (the adjoint), 0 where to the one that is read


class Slices(NamedTuple):
    """One operator of the closed chain, ready for products."""

    mode: I8  # FUSED or EXPANDED; of expanded slices ranges, `places` and scalars are empty
    starts: Ints  # first index of each run, (n_runs + 1,)
    origins: (
        Indices2  # place in the vector of what is added to the first state of a run, were it reached, (n_runs, n_slots)
    )
    begins: Shorts2  # the first state of a run that a slice reaches, (n_runs, n_slots)
    ends: Shorts2  # and the first after them
    places: Indices2  # place in `tables` of the first state of a run, (n_runs, n_slots)
    scales: Floats2  # scalars, (n_runs, n_slots)
    low: Shorts  # the same of what all slices of a run reach, (n_runs,)
    high: Shorts  # of expanded slices: how many states are written in one pass
    # the same for the exit rate: (n_runs, n_loss), and (n_runs, n_loss + 1), the last scalar of what has no table
    loss_places: Indices2  # of expanded slices: where the rates of a run begin, (n_runs, 1)
    loss_scales: Floats2
    # first of the further slices of each run, into which one change leads from several runs, (n_runs + 1,)
    more_from: Ints
    more: Ints2  # slot, origin, begin, end, place of the further slices, (n_more, 5)
    more_scales: Floats  # their scalars, (n_more,)
    tables: Floats  # pool of all tables
    n_plain: I8  # number of slots without a table, which come first
    sink_starts: Ints  # rates into the sinks, as CSR arrays: indptr
    sink_indices: Indices
    sink_rates: Floats


@kernel(inline="always")
def begin_of(keys, shifts, c, q, r, last):
    """Return where run q begins once shifted by change c, counted from the start of run r."""
    for w in range(last):
        difference = keys[q, w] + shifts[c, w] - keys[r, w]
        if difference != 0:
            return FAR if difference > 0 else -FAR
    return keys[q, last] + shifts[c, last] - keys[r, last]


@kernel()
def overlap(keys: Ints2, starts: Ints, shifts: Ints2, c: I8, first: I8, end: I8):
    """Return the number of states in the runs first..end that are another state's key, shifted by shifts[c]."""
    last = keys.shape[1] - 1
    count, q = 0, 0
    for r in range(first, end):
        length = starts[r + 1] - starts[r]
        while q < len(keys) and begin_of(keys, shifts, c, q, r, last) + starts[q + 1] - starts[q] <= 0:
            q += 1
        k = q
        while k < len(keys):
            d = begin_of(keys, shifts, c, k, r, last)
            if d >= length:
                break
            count += min(length, d + starts[k + 1] - starts[k]) - max(0, d)
            k += 1
    return count


# ---- blocks of runs -----------------------------------------------------------------------------------------
#
# What a run needs to know is found for a block of runs at once, so that the loops over runs are innermost.


@kernel()
def find_sources(keys: Ints2, starts: Ints, shifts: Ints2, sources: Int32s2):
    """Write the first run that reaches each run by each change, (n_changes, n_runs).

    -1 where there is none, ``-2 - run`` where further runs reach it as well.
    """
    last = keys.shape[1] - 1
    for c in range(len(shifts)):
        q, d = 0, 0
        for r in range(len(keys)):
            length = starts[r + 1] - starts[r]
            while q < len(keys):
                d = begin_of(keys, shifts, c, q, r, last)
                if d + starts[q + 1] - starts[q] > 0:
                    break
                q += 1
            sources[c, r] = q if q < len(keys) and d < length else -1
            ends_inside = sources[c, r] >= 0 and d + starts[q + 1] - starts[q] < length and q + 1 < len(keys)
            if ends_inside and begin_of(keys, shifts, c, q + 1, r, last) < length:
                sources[c, r] = -2 - q


@kernel(inline="always")
def first_source(source):
    """Return the run that an entry of `find_sources` names first, -1 for none."""
    return -2 - source if source < -1 else source


@kernel()
def read_coordinates(keys, fields, dependents, first, n, coordinates):
    """Write the coordinates of the first states of n runs, (n_coordinates, n)."""
    for k in range(len(fields)):
        word, shift, mask = fields[k, 0], fields[k, 1], fields[k, 2]
        for j in range(n):
            coordinates[k, j] = (keys[first + j, word] >> shift) & mask
    for k in range(len(dependents)):
        for j in range(n):
            total = dependents[k, 0]
            for i in range(len(fields)):
                total += dependents[k, 2 + i] * coordinates[i, j]
            coordinates[len(fields) + k, j] = total // dependents[k, 1]


@kernel(fastmath=REORDERED, forceinline=True)
def read_scales(groups, products, scales, factors, tables, g, coordinates, run, n, scale):
    """Write the scalar of group g on n runs; what is tabulated by run is read for `run` (n,), -1: no run, scalar 0."""
    for j in range(n):
        scale[j] = 0.0
    top = len(tables) - 1
    for k in range(groups[g, 0], groups[g, 1]):
        first, constant = products[k, 0], scales[k]
        n_factors = products[k, 1] - first
        # Without a run a place may lie outside the pool: what is read there does not count.
        if n_factors == 0:
            for j in range(n):
                scale[j] += constant if run[j] >= 0 else 0.0
        elif n_factors == 1:
            place, index = factors[first, 1], run if factors[first, 0] < 0 else coordinates[factors[first, 0]]
            for j in range(n):
                value = constant * tables[np.uint64(min(max(place + index[j], 0), top))]
                scale[j] += value if run[j] >= 0 else 0.0
        else:
            for j in range(n):
                value = constant
                for f in range(first, first + n_factors):
                    index = run if factors[f, 0] < 0 else coordinates[factors[f, 0]]
                    value *= tables[np.uint64(min(max(factors[f, 1] + index[j], 0), top))]
                scale[j] += value if run[j] >= 0 else 0.0


@kernel()
def read_places(groups, offsets, g, coordinates, run, position, n, place):
    """Write where in the pool group g's table begins for n runs; a table with offsets is that of `run`."""
    kind, row, sign, base = groups[g, 2], groups[g, 3], groups[g, 4], groups[g, 5]
    if kind == TABLE:
        for j in range(n):
            place[j] = base + sign * coordinates[row, j] if run[j] >= 0 else 0
    elif kind == STORED:
        for j in range(n):
            place[j] = offsets[row, run[j]] - position[j] if run[j] >= 0 else 0
