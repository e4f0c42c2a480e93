"""Compiled kernels of the generator on runs of states.

A jump maps a run of states to a run, so ``y = A v`` is, run by run of y, a sum of slices of v, each times a scalar
times a slice of a table.  Where every jump into a run comes from one run only, all slices are added in one pass
(`_fused`); else one after the other.  Targets gather, so ranges of runs may be computed by several threads.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import overload

REORDERED = {"reassoc", "contract", "nsz"}  # lets sums use vector registers; infinities and NaNs keep their meaning
SHORTEST_FUSED = 8  # states of a run that are worth setting up a pass over all its sources
BLOCK = 64  # runs whose sources and scalars are found together
BATCH = 4096  # states
FAR = 2**61  # distance of runs whose keys differ in a leading word

PRODUCT, STEP, DOTS, RECURRENCE = 0, 1, 2, 3  # forms of a product, see `product`
PLAIN, TABLE, STORED = 0, 1, 2  # kinds of groups: no table, a table by count, a table with an offset for each run


class Plan(NamedTuple):
    """One operator as flat arrays.

    A group is a coefficient ``(Σ products) × table``; the groups of change c are `group_range[c]` to
    `group_range[c + 1]`, those of the exit rate come last.

    Parameters
    ----------
    keys, starts
        Pieces of runs: first keys (n_runs, n_words) and first indices (n_runs + 1,).
    shifts
        Distance from the key of a source to that of its target, (n_changes, n_words).
    fields
        Word, shift and mask of each coordinate that is a bit field, (n_fields, 3).
    dependents
        Constant, divisor and weights of each coordinate that is an affine function of the fields.
    tables
        Pool of all tables; it begins with as many zeros as a run has states at most.
    scales, products
        Scale of each product, and the range of its factors (n_products, 2).
    factors
        Coordinate (-1: number of the source run) and place of the table of each factor, (n_factors, 2).
    groups
        First and last product, kind, coordinate or row of offsets, sign of the coordinate, place of the table,
        slot in the fused pass, (n_groups, 7).
    group_range
        (n_changes + 2,).
    n_plain
        Number of slots without a table, which come first.
    sources
        The run that each change leads from into each run, see `find_sources`, (n_changes, n_runs).
    offsets
        Place in `tables` of the first state of each run, (n_rows, n_runs).
    own
        1 where a coefficient belongs to the run that is written (the adjoint), 0 where to the one that is read.
    """

    keys: Any
    starts: Any
    shifts: Any
    fields: Any
    dependents: Any
    tables: Any
    scales: Any
    products: Any
    factors: Any
    groups: Any
    group_range: Any
    n_plain: int
    sources: Any
    offsets: Any
    own: int


@njit(cache=True, inline="always")
def begin_of(keys, shifts, c, q, r, last):
    """Return where run q begins once shifted by change c, counted from the start of run r."""
    for w in range(last):
        difference = keys[q, w] + shifts[c, w] - keys[r, w]
        if difference != 0:
            return FAR if difference > 0 else -FAR
    return keys[q, last] + shifts[c, last] - keys[r, last]


@njit(cache=True)
def overlap(keys, starts, shifts, c, first, end):
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


@njit(cache=True)
def find_sources(keys, starts, shifts, sources):
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


@njit(cache=True, inline="always")
def first_source(source):
    """Return the run that an entry of `find_sources` names first, -1 for none."""
    return -2 - source if source < -1 else source


@njit(cache=True)
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


@njit(cache=True, fastmath=REORDERED)
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


@njit(cache=True)
def read_places(groups, offsets, g, coordinates, run, position, n, place):
    """Write where in the pool group g's table begins for n runs; a table with offsets is that of `run`."""
    kind, row, sign, base = groups[g, 2], groups[g, 3], groups[g, 4], groups[g, 5]
    if kind == TABLE:
        for j in range(n):
            place[j] = base + sign * coordinates[row, j] if run[j] >= 0 else 0
    elif kind == STORED:
        for j in range(n):
            place[j] = offsets[row, run[j]] - position[j] if run[j] >= 0 else 0


# ---- products -----------------------------------------------------------------------------------------------


def _fused(
    shape, out, at, low, high, length, v, start, tables, origin, place, begins, ends, scale, loss_place, loss_scale, j
):
    """Write ``A v`` for run j of a block, all terms at once: numba knows it by `_fused_pass`."""
    raise NotImplementedError


@overload(_fused, jit_options={"fastmath": REORDERED})
def _fused_pass(
    shape, out, at, low, high, length, v, start, tables, origin, place, begins, ends, scale, loss_place, loss_scale, j
):
    """Generate the pass for ``shape = (plain slots, slots with a table, tables of the exit rate)``.

    Compiled code needs the number of slots as a constant to keep scalars in registers and add all slices at once:
    that is 2 to 3 times as fast as a pass for each.  All slices reach low..high; before and after, each is asked.
    """
    n_plain, n_table, n_loss = (len(part) for part in shape) if len(shape) else (0, 0, 0)
    head = [f"loss, a, b = loss_scale[{n_loss}, j], uint64(at), uint64(start)"]
    terms = []
    for k in range(n_plain + n_table):
        head.append(f"s{k}, p{k} = scale[{k}, j], uint64(origin[{k}, j])")
        if k >= n_plain:
            head.append(f"t{k} = uint64(place[{k}, j])")
        terms.append(f"s{k} * v[p{k} + i]" if k < n_plain else f"s{k} * tables[t{k} + i] * v[p{k} + i]")
    rate = ["loss"]
    for k in range(n_loss):
        head.append(f"d{k}, e{k} = loss_scale[{k}, j], uint64(loss_place[{k}, j])")
        rate.append(f"d{k} * tables[e{k} + i]")
    lost = f"v[b + i] * -({' + '.join(rate)})"
    # Unsigned indices need no check for negative ones, which would keep the loop from vector registers.
    lines = [*head, "for i in range(uint64(low), uint64(high)):", f"    out[a + i] = {' + '.join([*terms, lost])}"]
    for first, end in (("0", "low"), ("high", "length")):
        lines += [f"for i in range(uint64({first}), uint64({end})):", f"    total = {lost}"]
        for k, term in enumerate(terms):
            lines += [f"    if begins[{k}, j] <= i < ends[{k}, j]:", f"        total += {term}"]
        lines.append("    out[a + i] = total")
    arguments = (
        "shape, out, at, low, high, length, v, start, tables, origin, place, begins, ends, scale, loss_place, "
        "loss_scale, j"
    )
    namespace: dict[str, Any] = {"uint64": np.uint64}
    exec(f"def fused({arguments}):\n    " + "\n    ".join(lines), namespace)
    return namespace["fused"]


@njit(cache=True, fastmath=REORDERED)
def _lose(out, at, v, start, n, tables, loss_scale, loss_place, j, n_loss):
    """Write ``-exit rate * v`` for n states of run j of a block; the last scale is of what has no table."""
    a, b = np.uint64(at), np.uint64(start)
    rest = loss_scale[n_loss, j]
    for i in range(np.uint64(n)):
        out[a + i] = -rest * v[b + i]
    for k in range(n_loss):
        scale, t = loss_scale[k, j], np.uint64(loss_place[k, j])
        for i in range(np.uint64(n)):
            out[a + i] -= scale * tables[t + i] * v[b + i]


@njit(cache=True, fastmath=REORDERED)
def _add(out, at, v, start, low, high, scale, tables, place, plain):
    """Add ``scale * table * v`` for the states low..high of a run: what is `plain` has no table."""
    a, b, t = np.uint64(at), np.uint64(start), np.uint64(place)
    if plain:
        for i in range(np.uint64(low), np.uint64(high)):
            out[a + i] += scale * v[b + i]
    else:
        for i in range(np.uint64(low), np.uint64(high)):
            out[a + i] += scale * tables[t + i] * v[b + i]


@njit(cache=True)
def _add_sources(plan, r, j, coordinates, v, out, at):
    """Add, source by source, what comes into run r, the j-th of its block, if several runs reach it by one change."""
    keys, starts, shifts = plan.keys, plan.starts, plan.shifts
    last = keys.shape[1] - 1
    length = starts[r + 1] - starts[r]
    own = np.empty((len(coordinates), 1), np.int64)
    for k in range(len(coordinates)):
        own[k, 0] = coordinates[k, j]
    run, position, place = np.empty(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64)
    scale = np.zeros(1)
    for c in range(len(shifts)):
        q = first_source(plan.sources[c, r])
        while 0 <= q < len(keys):
            d = begin_of(keys, shifts, c, q, r, last)
            if d >= length:
                break
            low, high = max(0, d), min(length, d + starts[q + 1] - starts[q])
            run[0] = r if plan.own else q
            position[0] = 0 if plan.own else d
            for g in range(plan.group_range[c], plan.group_range[c + 1]):
                read_scales(plan.groups, plan.products, plan.scales, plan.factors, plan.tables, g, own, run, 1, scale)
                read_places(plan.groups, plan.offsets, g, own, run, position, 1, place)
                plain = plan.groups[g, 2] == PLAIN
                _add(out, at, v, starts[q] - d, low, high, scale[0], plan.tables, place[0], plain)
            q += 1


@njit(cache=True)
def n_rows(plan):
    """Return how many rows the working arrays of `write_runs` need."""
    return max(len(plan.groups), len(plan.fields) + len(plan.dependents), 5) + 1


@njit(cache=True)
def next_batch(starts, first, end):
    """Return the end of a batch of runs whose states stay in the nearest caches while a solver works on them."""
    stop = first + 1
    while stop < end and starts[stop + 1] - starts[first] <= BATCH:
        stop += 1
    return stop


@njit(cache=True)
def _find_block(sources, keys, shift, block, n, source, position, run, many):
    """Write for n runs which run a change leads from (-1: none), where it begins, and which run is written."""
    for j in range(n):
        i = np.uint64(block + j)
        q = np.int64(sources[i])
        many[j] |= q < -1
        source[j] = max(q, -1)
        run[j] = block + j if q >= 0 else -1
        # Where there is no source the key read is another's, and does not count.
        position[j] = keys[np.uint64(max(q, 0))] + shift - keys[i]


@njit(cache=True)
def _find_slices(starts, source, position, size, block, n, origin, begins, ends, low, high):
    """Write for n runs which part of the source reaches which states, and narrow down what all slices reach."""
    for j in range(n):
        q, d = np.uint64(max(source[j], 0)), position[j]
        begin, end = max(d, 0), min(size[j], d + starts[q + np.uint64(1)] - starts[q])
        none = source[j] < 0
        # The pass over all slices reads something that is there, and times 0.
        origin[j] = starts[np.uint64(block + j)] if none else starts[q] - d
        begins[j], ends[j] = (0, 0) if none else (begin, end)
        low[j], high[j] = (low[j], high[j]) if none else (max(low[j], begin), min(high[j], end))


@njit(cache=True)
def write_runs(plan, shape, first, end, integers, reals, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``.

    shape is () for a pass over each slice, or three tuples whose lengths say how many slots the pass over all
    slices has; integers (8, rows, BLOCK) and reals (2, rows, BLOCK) are room for as many rows as `n_rows` says.
    """
    keys, starts, shifts, tables, sources = plan.keys, plan.starts, plan.shifts, plan.tables, plan.sources
    groups, group_range, offsets, own, n_plain = plan.groups, plan.group_range, plan.offsets, plan.own, plan.n_plain
    products, scales, factors = plan.products, plan.scales, plan.factors
    n_changes, last = len(shifts), keys.shape[1] - 1
    n_gain = group_range[n_changes]
    n_loss = len(groups) - n_gain
    if n_loss > 0 and groups[n_gain, 2] == PLAIN:
        n_loss -= 1
    coordinates, position, many, run, source, nowhere = (
        integers[0],
        integers[1, 0],
        integers[1, 1],
        integers[1, 2],
        integers[1, 3],
        integers[1, 4],
    )
    origin, place, loss_place, begins, ends = integers[2], integers[3], integers[4], integers[5], integers[6]
    low, high, size = integers[7, 0], integers[7, 1], integers[7, 2]
    scale, loss_scale = reals[0], reals[1]
    for j in range(BLOCK):
        nowhere[j] = 0
        loss_scale[n_loss, j] = 0.0
    for block in range(first, end, BLOCK):
        n = min(BLOCK, end - block)
        read_coordinates(keys, plan.fields, plan.dependents, block, n, coordinates)
        for j in range(n):
            many[j] = 0
            run[j] = block + j
            size[j] = starts[block + j + 1] - starts[block + j]
            low[j], high[j] = 0, size[j]
        k = 0
        for g in range(n_gain, len(groups)):
            row = n_loss if groups[g, 2] == PLAIN else k
            read_scales(groups, products, scales, factors, tables, g, coordinates, run, n, loss_scale[row])
            read_places(groups, offsets, g, coordinates, run, nowhere, n, loss_place[row])
            k += groups[g, 2] != PLAIN
        for c in range(n_changes):
            _find_block(sources[c], keys[:, last], shifts[c, last], block, n, source, position, run, many)
            whose, begin = (run, nowhere) if own else (source, position)
            for g in range(group_range[c], group_range[c + 1]):
                slot = groups[g, 6]
                read_scales(groups, products, scales, factors, tables, g, coordinates, whose, n, scale[slot])
                read_places(groups, offsets, g, coordinates, whose, begin, n, place[slot])
                _find_slices(
                    starts, source, position, size, block, n, origin[slot], begins[slot], ends[slot], low, high
                )
        for j in range(n):
            start, length = starts[block + j], size[j]
            if len(shape) > 0 and many[j] == 0 and high[j] - low[j] >= max(SHORTEST_FUSED, length // 2):
                _fused(
                    shape,
                    out,
                    at,
                    low[j],
                    high[j],
                    length,
                    v,
                    start,
                    tables,
                    origin,
                    place,
                    begins,
                    ends,
                    scale,
                    loss_place,
                    loss_scale,
                    j,
                )
            else:
                _lose(out, at, v, start, length, tables, loss_scale, loss_place, j, n_loss)
                if many[j] == 1:
                    _add_sources(plan, block + j, j, coordinates, v, out, at)
                else:
                    for slot in range(n_gain):
                        b, h, o, t = begins[slot, j], ends[slot, j], origin[slot, j], place[slot, j]
                        _add(out, at, v, o, b, h, scale[slot, j], tables, t, slot < n_plain)
            at += length


@njit(cache=True, fastmath=REORDERED)
def step(image, v, w, total, first, end, scale, weight):
    """Write ``w = v + scale image`` and add ``weight v`` to the total; return the 1-norm of the difference."""
    change = 0.0
    start = np.uint64(first)
    for i in range(np.uint64(end - first)):
        difference = scale * image[i]
        w[start + i] = v[start + i] + difference
        change += abs(difference)
    if weight > 0.0:
        for i in range(start, np.uint64(end)):
            total[i] += weight * v[i]
    return change


@njit(cache=True, fastmath=REORDERED)
def dots(v, u, w, first, end):
    """Return the dot products of w with v, u and w on entries first..end."""
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        dot_v += w[i] * v[i]
        dot_u += w[i] * u[i]
        dot_w += w[i] * w[i]
    return dot_v, dot_u, dot_w


@njit(cache=True, fastmath=REORDERED)
def recur(image, v, w, total, first, end, alpha, beta, gamma, weight_v, weight_w):
    """Write ``w = alpha image + beta v + gamma w``, add ``weight_v v + weight_w w`` to the total; return ``‖w‖₁``."""
    norm = 0.0
    start = np.uint64(first)
    for i in range(np.uint64(end - first)):
        x = alpha * image[i] + beta * v[start + i] + gamma * w[start + i]
        w[start + i] = x
        norm += abs(x)
    if weight_v != 0.0 or weight_w != 0.0:
        for i in range(start, np.uint64(end)):
            total[i] += weight_v * v[i] + weight_w * w[i]
    return norm


@njit(cache=True, nogil=True)
def product(plan, shape, first, end, form, x, v, u, w, total, alpha, beta, gamma, weight_v, weight_w, start):
    """Compute ``A x`` for the runs first..end, and what a form makes of it while it is in cache.

    v, u, w and total begin at state `start` of the plan: v is x itself, or its part that is this rank's own.

    PRODUCT
        ``w = A v``.
    STEP
        ``w = v + alpha A v``, ``total += weight_v v``; returns ``‖w - v‖₁``.
    DOTS
        ``w = A v``; returns the dot products of w with v, u and w.
    RECURRENCE
        ``w = alpha A v + beta v + gamma w``, ``total += weight_v v + weight_w w``; returns ``‖w‖₁``.
    """
    starts = plan.starts
    integers, reals = np.empty((8, n_rows(plan), BLOCK), np.int64), np.empty((2, n_rows(plan), BLOCK))
    direct = form in (PRODUCT, DOTS)
    image = np.empty(0 if direct else BATCH)
    first_sum, second_sum, third_sum = 0.0, 0.0, 0.0
    r = first
    while r < end:
        stop = end if form == PRODUCT else next_batch(starts, r, end)
        low, high = starts[r] - start, starts[stop] - start
        write_runs(plan, shape, r, stop, integers, reals, x, w if direct else image, low if direct else 0)
        if form == STEP:
            first_sum += step(image, v, w, total, low, high, alpha, weight_v)
        elif form == DOTS:
            a, b, c = dots(v, u, w, low, high)
            first_sum, second_sum, third_sum = first_sum + a, second_sum + b, third_sum + c
        elif form == RECURRENCE:
            first_sum += recur(image, v, w, total, low, high, alpha, beta, gamma, weight_v, weight_w)
        r = stop
    return first_sum, second_sum, third_sum
