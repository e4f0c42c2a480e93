"""An operator as slices: what a product needs to know of every run, found once.

For every run and every group of the gain: which states of the run are reached, from where in the vector, with which
scalar and which part of a table; and for the exit rate its scalars and parts of tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit

from fsp.generator.kernels import (
    BLOCK,
    PLAIN,
    begin_of,
    first_source,
    read_coordinates,
    read_places,
    read_scales,
)

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.kernels import Plan

PLACES_32 = 2**31 - 2**16  # entries of a vector, and of the tables, whose places fit 32 bits


class Slices(NamedTuple):
    """One operator of the closed chain, ready for products.

    Parameters
    ----------
    shape
        () for a pass over each slice, or three tuples whose lengths say how many slots the pass over all slices has.
    starts
        First index of each run, (n_runs + 1,).
    origins
        Place in the vector of what is added to the first state of a run, were it reached, (n_runs, n_slots).
    begins, ends
        The states of a run that a slice reaches, (n_runs, n_slots).
    places
        Place in `tables` of the first state of a run, (n_runs, n_slots).
    scales
        Scalars, (n_runs, n_slots).
    low, high
        The states of a run that all its slices reach, (n_runs,).
    loss_places, loss_scales
        The same for the exit rate: (n_runs, n_loss), and (n_runs, n_loss + 1), the last scalar of what has no table.
    more_from
        First of the further slices of each run, into which one change leads from several runs, (n_runs + 1,).
    more
        Slot, origin, begin, end, place of the further slices, (n_more, 5).
    more_scales
        Their scalars, (n_more,).
    tables
        Pool of all tables.
    n_plain
        Number of slots without a table, which come first.
    sink_starts, sink_indices, sink_rates
        Rates into the sinks, as CSR arrays.
    """

    shape: Any
    starts: Any
    origins: Any
    begins: Any
    ends: Any
    places: Any
    scales: Any
    low: Any
    high: Any
    loss_places: Any
    loss_scales: Any
    more_from: Any
    more: Any
    more_scales: Any
    tables: Any
    n_plain: int
    sink_starts: Any
    sink_indices: Any
    sink_rates: Any


def slices_of(plan: Plan, shape: tuple[Any, ...], sinks: Any = None) -> Slices:
    """Return the slices of a plan; `sinks` are the rates into each sink, (n_sinks, n) CSR, None for none."""
    n_runs, n_slots = len(plan.keys), int(plan.group_range[-2])
    n_loss = int((plan.groups[n_slots:, 2] != PLAIN).sum())
    index = np.int32 if max(plan.starts[-1], len(plan.tables)) < PLACES_32 else np.int64
    n_more = int(_count_more(plan))
    slices = Slices(
        shape=shape,
        starts=plan.starts,
        origins=np.empty((n_runs, n_slots), index),
        begins=np.empty((n_runs, n_slots), np.int16),
        ends=np.empty((n_runs, n_slots), np.int16),
        places=np.empty((n_runs, n_slots), index),
        scales=np.empty((n_runs, n_slots)),
        low=np.empty(n_runs, np.int16),
        high=np.empty(n_runs, np.int16),
        loss_places=np.empty((n_runs, n_loss), index),
        loss_scales=np.zeros((n_runs, n_loss + 1)),
        more_from=np.empty(n_runs + 1, np.int64 if n_more >= PLACES_32 else np.int32),
        more=np.empty((n_more, 5), np.int64),
        more_scales=np.empty(n_more),
        tables=plan.tables,
        n_plain=plan.n_plain,
        sink_starts=np.zeros(1, np.int32),
        sink_indices=np.zeros(0, np.int32),
        sink_rates=np.zeros(0),
    )
    _find(plan, slices)
    _find_more(plan, slices)
    return _with_sinks(slices, sinks)


def scaled(parts: list[Slices], weights: FloatArray, sinks: Any = None) -> Slices:
    """Return ``Σ_l weights[l] parts[l]`` of operators that differ by their scalars alone, with other sinks."""
    if len(parts) == 1 and weights[0] == 1.0:
        return _with_sinks(parts[0], sinks)
    sums = {}
    for name in ("scales", "loss_scales", "more_scales"):
        total = weights[0] * getattr(parts[0], name)
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            total += weight * getattr(part, name)
        sums[name] = total
    return _with_sinks(parts[0]._replace(**sums), sinks)


def _with_sinks(slices: Slices, sinks: Any) -> Slices:
    """Return the slices with these rates into each sink, (n_sinks, n) CSR; None for none."""
    if sinks is None:
        return slices
    return slices._replace(sink_starts=sinks.indptr, sink_indices=sinks.indices, sink_rates=sinks.data)


def moved(slices: Slices, by: int) -> Slices:
    """Return the slices of states that are numbered from `by` instead of 0."""
    more = slices.more.copy()
    more[:, 1] += by
    return slices._replace(starts=slices.starts + by, origins=slices.origins + slices.origins.dtype.type(by), more=more)


def nbytes(slices: Slices) -> int:
    """Return the bytes that the arrays take."""
    return sum(part.nbytes for part in slices if isinstance(part, np.ndarray))


@njit(cache=True)
def _find_block(sources, keys, shift, block, n, source, position, run):
    """Write for n runs which run a change leads from (-1: none), where it begins, and which run is written."""
    for j in range(n):
        i = np.uint64(block + j)
        q = np.int64(first_source(sources[i]))
        source[j] = q
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
def _find(plan, slices):
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


@njit(cache=True)
def _count_more(plan):
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


@njit(cache=True)
def _find_more(plan, slices):
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
