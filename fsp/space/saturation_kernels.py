"""Compiled kernel that closes a set of runs under jumps, interval by interval: see `fsp.space.saturation`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fsp.compilation.kernel import I8, Ints, Ints2, kernel

KEY, HEAD, WAITING = 0, 1, 2  # of a fiber: its key, its first cell, whether it is on the stack
LOW, HIGH, NEXT, DONE_LOW, DONE_HIGH = 0, 1, 2, 3, 4  # of a cell
NODES, CELLS, STACKED, SIZE, WALKED = 0, 1, 2, 3, 4  # of counts: fibers, cells, the stack, states, cells looked at
MOST_STEPS = 10_000_000  # cells looked at, beside 50 for every part that is mapped on: fibers with many holes take more


class Ways(NamedTuple):
    """The ways in which the reactions of a network fire."""

    shift: Ints  # (n_coordinates,) of the fields of the keys' coordinates, the last one lowest
    bits: Ints
    changes: Ints2  # (n, n_coordinates) of each way of firing
    starts: Ints  # (n + 1,) its inequalities are the rows starts[t] to starts[t + 1]
    weights: Ints2
    bounds: Ints
    limits: Ints2  # inequalities that every state fulfils
    limit_bounds: Ints


@kernel(forceinline=True)
def _interval(weights, bounds, first, end, counts):
    """Return the last coordinate's interval in which rows first..end hold, the others being `counts`."""
    n = len(counts) - 1
    low, high = np.int64(0), np.int64(2**62)
    for row in range(first, end):
        slack = bounds[row]
        for k in range(n):
            slack -= weights[row, k] * counts[k]
        w = weights[row, n]
        if w > 0:
            high = min(high, slack // w)
        elif w < 0:
            low = max(low, -(slack // -w))
        elif slack < 0:
            return np.int64(1), np.int64(0)
    return low, high


@kernel()
def _grown(array, size):
    """Return the rows of an array and room for more, `size` in all."""
    larger = np.empty((size, array.shape[1]), dtype=np.int64)
    for i in range(len(array)):
        for k in range(array.shape[1]):
            larger[i, k] = array[i, k]
    return larger


@kernel()
def _table_of(nodes, n_nodes, size):
    """Return the hash table of the fibers."""
    table = np.empty(size, dtype=np.int64)
    for i in range(size):
        table[i] = -1
    for m in range(n_nodes):
        table[_slot_of(table, nodes, nodes[m, KEY])] = m
    return table


@kernel()
def _slot_of(table, nodes, key):
    """Return the slot of a fiber in the hash table: that of its node, or an empty one."""
    mask = np.uint64(len(table) - 1)
    h = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = (h ^ (h >> np.uint64(29))) & mask
    while table[slot] >= 0 and nodes[table[slot], KEY] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel()
def _follow(a, b, counts, changes, starts, weights, bounds, floor, ceiling):
    """Follow the jumps by ±1 along a fiber from its interval [a, b] to their end, within floor..ceiling."""
    n = len(counts)
    moving = True
    while moving:
        moving = False
        for s in range(len(changes)):
            step = changes[s, n - 1]
            along = step == 1 or step == -1
            for k in range(n - 1):
                along = along and changes[s, k] == 0
            if along:
                c, d = _interval(weights, bounds, starts[s], starts[s + 1], counts)
                if max(a, c) <= min(b, d):
                    if step == 1 and min(d + 1, ceiling) > b:
                        b, moving = min(d + 1, ceiling), True
                    if step == -1 and max(c - 1, floor) < a:
                        a, moving = max(c - 1, floor), True
    return a, b


@kernel()
def _unite(cells, n_cells, nodes, node, a, b):
    """Enter the interval [a, b] into a fiber: return how many states are new, and how many cells were looked at."""
    walked = 1
    before, cell = -1, nodes[node, HEAD]
    while cell >= 0 and cells[cell, HIGH] < a - 1:
        before, cell = cell, cells[cell, NEXT]
        walked += 1
    if cell >= 0 and cells[cell, LOW] <= a and b <= cells[cell, HIGH]:
        return 0, walked
    fresh = b - a + 1
    known_low, known_high = 0, -1
    while cell >= 0 and cells[cell, LOW] <= b + 1:
        fresh -= max(0, min(b, cells[cell, HIGH]) - max(a, cells[cell, LOW]) + 1)
        if cells[cell, DONE_HIGH] - cells[cell, DONE_LOW] > known_high - known_low:
            known_low, known_high = cells[cell, DONE_LOW], cells[cell, DONE_HIGH]
        a, b = min(a, cells[cell, LOW]), max(b, cells[cell, HIGH])
        cell = cells[cell, NEXT]
        walked += 1
    cells[n_cells, LOW], cells[n_cells, HIGH], cells[n_cells, NEXT] = a, b, cell
    cells[n_cells, DONE_LOW], cells[n_cells, DONE_HIGH] = known_low, known_high
    if before < 0:
        nodes[node, HEAD] = n_cells
    else:
        cells[before, NEXT] = n_cells
    return fresh, walked


@kernel()
def _take_part(cells, cell):
    """Mark a part of a cell that was not mapped on as done; return it."""
    low, high = cells[cell, LOW], cells[cell, HIGH]
    done_low, done_high = cells[cell, DONE_LOW], cells[cell, DONE_HIGH]
    if done_low > done_high:
        cells[cell, DONE_LOW], cells[cell, DONE_HIGH] = low, high
    elif done_low > low:
        high = done_low - 1
        cells[cell, DONE_LOW] = low
    else:
        low = done_high + 1
        cells[cell, DONE_HIGH] = high
    return low, high


@kernel()
def _room(table, nodes, cells, stack, counts, more):
    """Return the arrays with room for `more` fibers and cells."""
    if counts[NODES] + more > len(nodes):
        size = max(2 * len(nodes), counts[NODES] + more)
        nodes, stack = _grown(nodes, size), _grown(stack, size)
    if 2 * (counts[NODES] + more) > len(table):
        size = len(table)
        while size < 2 * (counts[NODES] + more):
            size *= 2
        table = _table_of(nodes, counts[NODES], size)
    if counts[CELLS] + more > len(cells):
        cells = _grown(cells, max(2 * len(cells), counts[CELLS] + more))
    return table, nodes, cells, stack


@kernel(forceinline=True)
def _node_of(table, nodes, counts, key):
    """Return the node of a fiber, a new one where it has none."""
    slot = _slot_of(table, nodes, key)
    if table[slot] < 0:
        table[slot] = counts[NODES]
        nodes[counts[NODES], KEY], nodes[counts[NODES], HEAD], nodes[counts[NODES], WAITING] = key, -1, 0
        counts[NODES] += 1
    return table[slot]


@kernel(forceinline=True)
def _enter(table, nodes, cells, stack, counts, node, key, a, b, own, done):
    """Enter the interval [a, b] into a fiber, and let it wait where it is this rank's `own`, and not `done`.

    `node` is the one that is mapped on at the moment, to which one comes back anyway.
    """
    reached = _node_of(table, nodes, counts, key)
    cell = counts[CELLS]
    fresh, steps = _unite(cells, cell, nodes, reached, a, b)
    counts[WALKED] += steps
    if fresh == 0:
        return
    counts[CELLS] += 1
    if done:
        cells[cell, DONE_LOW], cells[cell, DONE_HIGH] = a, b
    if own:
        counts[SIZE] += fresh
        if not done and not nodes[reached, WAITING] and reached != node:
            stack[counts[STACKED], 0] = reached
            counts[STACKED] += 1
            nodes[reached, WAITING] = 1


@kernel(forceinline=True)
def _open_cell(nodes, cells, node):
    """Return a cell of a fiber of which not all is mapped on, -1 for none."""
    cell = nodes[node, HEAD]
    while cell >= 0 and cells[cell, DONE_LOW] == cells[cell, LOW] and cells[cell, DONE_HIGH] == cells[cell, HIGH]:
        cell = cells[cell, NEXT]
    return cell


@kernel(forceinline=True)
def _decode(key, shift, bits, counts):
    """Write the coordinates of a key."""
    for k in range(len(shift)):
        counts[k] = (key >> shift[k]) & ((1 << bits[k]) - 1)


@kernel(forceinline=True)
def _fiber_of(shift, counts):
    """Return the key of a fiber: that of its state whose last coordinate is 0."""
    key = np.int64(0)
    for k in range(len(shift) - 1):
        key += counts[k] << shift[k]
    return key


@kernel()
def _runs_of(nodes, cells, counts):
    """Return the first keys and the lengths of all intervals."""
    keys, lengths = np.empty(counts[CELLS], np.int64), np.empty(counts[CELLS], np.int64)
    n = 0
    for m in range(counts[NODES]):
        cell = nodes[m, HEAD]
        while cell >= 0:
            keys[n] = nodes[m, KEY] + cells[cell, LOW]
            lengths[n] = cells[cell, HIGH] - cells[cell, LOW] + 1
            n += 1
            cell = cells[cell, NEXT]
    return keys[:n], lengths[:n]


@kernel()
def saturate(keys: Ints, lengths: Ints, n_done: I8, first: I8, end: I8, ways: Ways, max_states: I8):
    """Close a set of runs, (n,) keys and lengths, under jumps, interval by interval.

    A fiber is a node of a hash table; its states are a list of intervals (cells), each with the part of it that was
    mapped on by every jump already.  Nodes with more than that wait on a stack, so that what is added meanwhile is
    mapped on at once.  Jumps by ±1 along the fiber are followed to their end before.

    The first `n_done` runs are mapped on already and have no image outside.  Fibers in first..end are mapped on; runs
    outside are found, but not followed.  `ways` are `Ways`.

    Returns whether all were found, keys and lengths of the runs, not sorted, and the number of states in the range.
    All are found unless a fiber falls into too many intervals, or more than `max_states` in the range end the search.
    """
    # Read once: each look into the tuple would count a reference.
    shift, bits, changes, starts, weights, bounds = (
        ways.shift,
        ways.bits,
        ways.changes,
        ways.starts,
        ways.weights,
        ways.bounds,
    )
    limits, limit_bounds = ways.limits, ways.limit_bounds
    n = len(shift)
    counts = np.zeros(5, np.int64)
    nodes, cells = np.empty((1 << 10, 3), dtype=np.int64), np.empty((1 << 10, 5), dtype=np.int64)
    stack = np.empty((1 << 10, 1), dtype=np.int64)
    table = _table_of(nodes, 0, 1 << 12)
    source, target = np.zeros(n, np.int64), np.zeros(n, np.int64)
    for given in range(len(keys)):
        table, nodes, cells, stack = _room(table, nodes, cells, stack, counts, 1)
        _decode(keys[given], shift, bits, target)
        floor, ceiling = _interval(limits, limit_bounds, 0, len(limits), target)
        a, b = max(target[n - 1], floor), min(target[n - 1] + lengths[given] - 1, ceiling)
        key, done = _fiber_of(shift, target), given < n_done
        own = first <= key < end
        if own and not done and a <= b:
            a, b = _follow(a, b, target, changes, starts, weights, bounds, floor, ceiling)
        if a <= b:
            _enter(table, nodes, cells, stack, counts, -1, key, a, b, own, done)
    fired, found = 0, counts[SIZE] <= max_states
    while found and counts[STACKED] > 0:
        counts[STACKED] -= 1
        node = stack[counts[STACKED], 0]
        nodes[node, WAITING] = 0
        _decode(nodes[node, KEY], shift, bits, source)
        cell = _open_cell(nodes, cells, node)
        while found and cell >= 0:
            low, high = _take_part(cells, cell)
            fired += 1
            table, nodes, cells, stack = _room(table, nodes, cells, stack, counts, len(changes))
            for t in range(len(changes)):
                a, b = _interval(weights, bounds, starts[t], starts[t + 1], source)
                a, b = max(a, low) + changes[t, n - 1], min(b, high) + changes[t, n - 1]
                if a > b:
                    continue
                for k in range(n):
                    target[k] = source[k] + changes[t, k]
                floor, ceiling = _interval(limits, limit_bounds, 0, len(limits), target)
                a, b = max(a, floor), min(b, ceiling)
                if a > b:
                    continue
                key = _fiber_of(shift, target)
                own = first <= key < end
                if own:
                    a, b = _follow(a, b, target, changes, starts, weights, bounds, floor, ceiling)
                _enter(table, nodes, cells, stack, counts, node, key, a, b, own, False)
            found = counts[SIZE] <= max_states and counts[WALKED] <= MOST_STEPS + 50 * fired
            cell = _open_cell(nodes, cells, node)
    run_keys, run_lengths = _runs_of(nodes, cells, counts)
    return found, run_keys, run_lengths, counts[SIZE]
