"""Compiled kernels that find the slices of an operator, see `fsp.generator.slices`."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import I8, kernel
from fsp.generator.kernels import (
    BLOCK,
    FAR,
    PLAIN,
    Plan,
    Slices,
    begin_of,
    first_source,
    read_coordinates,
    read_places,
    read_scales,
)


@kernel()
def _find_block(sources, keys, shift, block, n, source, position, run):
    """Write for n runs which run a change leads from (-1: none), where it begins, and which run is written."""
    for j in range(n):
        i = np.uint64(block + j)
        q = np.int64(first_source(sources[i]))
        source[j] = q
        run[j] = block + j if q >= 0 else -1
        # Where there is no source the key read is another's, and does not count.
        position[j] = keys[np.uint64(max(q, 0))] + shift - keys[i]


@kernel()
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


@kernel()
def find(plan: Plan, slices: Slices):
    """Fill in all but the further slices."""
    keys, starts, shifts, tables, sources = plan.keys, plan.starts, plan.shifts, plan.tables, plan.sources
    groups, group_range, offsets, own = plan.groups, plan.group_range, plan.offsets, plan.own
    products, scales, factors = plan.products, plan.scales, plan.factors
    n_changes, last = len(shifts), keys.shape[1] - 1
    n_loss = slices.loss_places.shape[1]
    coordinates = np.zeros((len(plan.fields) + len(plan.dependents) + 1, BLOCK), np.int64)
    integers = np.zeros((11, BLOCK), np.int64)
    position, run, source, nowhere, size = integers[0], integers[1], integers[2], integers[3], integers[4]
    origin, begins, ends, place, low, high = (
        integers[5],
        integers[6],
        integers[7],
        integers[8],
        integers[9],
        integers[10],
    )
    scale = np.zeros(BLOCK)
    for block in range(0, len(keys), BLOCK):
        n = min(BLOCK, len(keys) - block)
        read_coordinates(keys, plan.fields, plan.dependents, block, n, coordinates)
        for j in range(n):
            run[j] = block + j
            size[j] = starts[block + j + 1] - starts[block + j]
            low[j], high[j] = 0, size[j]
        k = 0
        for g in range(group_range[n_changes], len(groups)):
            plain = groups[g, 2] == PLAIN
            read_scales(groups, products, scales, factors, tables, g, coordinates, run, n, scale)
            read_places(groups, offsets, g, coordinates, run, nowhere, n, place)
            for j in range(n):
                slices.loss_scales[block + j, n_loss if plain else k] = scale[j]
                if not plain:
                    slices.loss_places[block + j, k] = place[j]
            k += not plain
        for c in range(n_changes):
            _find_block(sources[c], keys[:, last], shifts[c, last], block, n, source, position, run)
            _find_slices(starts, source, position, size, block, n, origin, begins, ends, low, high)
            whose, begin = (run, nowhere) if own else (source, position)
            for g in range(group_range[c], group_range[c + 1]):
                slot = groups[g, 6]
                plain = groups[g, 2] == PLAIN
                read_scales(groups, products, scales, factors, tables, g, coordinates, whose, n, scale)
                read_places(groups, offsets, g, coordinates, whose, begin, n, place)
                for j in range(n):
                    r = block + j
                    slices.scales[r, slot], slices.origins[r, slot] = scale[j], origin[j]
                    slices.begins[r, slot], slices.ends[r, slot] = begins[j], ends[j]
                    slices.places[r, slot] = 0 if plain else place[j]
        for j in range(n):
            slices.low[block + j], slices.high[block + j] = low[j], high[j]


@kernel()
def count_joined(plan: Plan, longest: I8):
    """Return how many runs there are once `fsp.generator.expanded_kernels.join` has joined them."""
    keys, starts, shifts, sources = plan.keys, plan.starts, plan.shifts, plan.sources
    n_changes, last, start, count = len(shifts), keys.shape[1] - 1, 0, 0
    distance, known = np.empty(n_changes, np.int64), np.empty(n_changes, np.int64)  # to what is read; FAR: to nothing
    for r in range(len(keys)):
        joins = count > 0 and starts[r + 1] - start <= longest
        for c in range(n_changes):
            q = first_source(sources[c, r])
            position = keys[max(q, 0), last] + shifts[c, last] - keys[r, last]
            distance[c] = FAR if q < 0 else starts[q] - position - starts[r]
            joins = joins and (distance[c] == FAR or known[c] == FAR or distance[c] == known[c])
        if not joins:
            count, start = count + 1, starts[r]
        for c in range(n_changes):
            if not joins or known[c] == FAR:
                known[c] = distance[c]
    return count


@kernel()
def count_more(plan: Plan):
    """Return the number of further slices: one for each group of each source run after the first."""
    keys, starts, shifts = plan.keys, plan.starts, plan.shifts
    last, count = keys.shape[1] - 1, 0
    for c in range(len(shifts)):
        n_groups = plan.group_range[c + 1] - plan.group_range[c]
        for r in range(len(keys)):
            if plan.sources[c, r] < -1:
                q = first_source(plan.sources[c, r]) + 1
                while q < len(keys) and begin_of(keys, shifts, c, q, r, last) < starts[r + 1] - starts[r]:
                    count += n_groups
                    q += 1
    return count


@kernel()
def find_more(plan: Plan, slices: Slices):
    """Fill in the further slices of runs into which one change leads from several runs."""
    keys, starts, shifts, groups = plan.keys, plan.starts, plan.shifts, plan.groups
    last, count = keys.shape[1] - 1, 0
    coordinates = np.zeros((len(plan.fields) + len(plan.dependents) + 1, 1), np.int64)
    run, position, place, scale = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1)
    for r in range(len(keys)):
        slices.more_from[r] = count
        length, known = starts[r + 1] - starts[r], False
        for c in range(len(shifts)):
            if plan.sources[c, r] >= -1:
                continue
            if not known:
                read_coordinates(keys, plan.fields, plan.dependents, r, 1, coordinates)
                known = True
            q = first_source(plan.sources[c, r]) + 1
            while q < len(keys):
                d = begin_of(keys, shifts, c, q, r, last)
                if d >= length:
                    break
                run[0], position[0] = (r, 0) if plan.own else (q, d)
                for g in range(plan.group_range[c], plan.group_range[c + 1]):
                    read_scales(
                        groups, plan.products, plan.scales, plan.factors, plan.tables, g, coordinates, run, 1, scale
                    )
                    read_places(groups, plan.offsets, g, coordinates, run, position, 1, place)
                    more = slices.more[count]
                    more[0], more[1], more[2] = groups[g, 6], starts[q] - d, d
                    more[3] = min(length, d + starts[q + 1] - starts[q])
                    more[4] = 0 if groups[g, 2] == PLAIN else place[0]
                    slices.more_scales[count] = scale[0]
                    count += 1
                q += 1
    slices.more_from[len(keys)] = count
