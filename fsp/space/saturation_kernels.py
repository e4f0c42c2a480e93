"""Compiled kernel that closes a set of runs under jumps, interval by interval: see `fsp.space.saturation`."""

from __future__ import annotations

import numpy as np

from fsp.compilation import njit

KEY, HEAD, WAITING = 0, 1, 2  # of a fiber: its key, its first cell, whether it is on the stack
LOW, HIGH, NEXT, DONE_LOW, DONE_HIGH = 0, 1, 2, 3, 4  # of a cell
MOST_STEPS = 10_000_000  # cells looked at, beside 50 for every part that is mapped on: fibers with many holes take more


@njit(cache=True)
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


@njit(cache=True)
def _grown(array):
    larger = np.empty((2 * len(array), array.shape[1]), dtype=np.int64)
    for i in range(len(array)):
        for k in range(array.shape[1]):
            larger[i, k] = array[i, k]
    return larger


@njit(cache=True)
def _empty_table(size):
    table = np.empty(size, dtype=np.int64)
    for i in range(size):
        table[i] = -1
    return table


@njit(cache=True)
def _slot_of(table, nodes, key):
    """Return the slot of a fiber in the hash table: that of its node, or an empty one."""
    mask = np.uint64(len(table) - 1)
    h = np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)
    slot = (h ^ (h >> np.uint64(29))) & mask
    while table[slot] >= 0 and nodes[table[slot], KEY] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
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


@njit(cache=True)
def saturate(
    keys,
    lengths,
    n_done,
    first,
    end,
    shift,
    bits,
    changes,
    starts,
    weights,
    bounds,
    limits,
    limit_bounds,
    max_states,
):
    """Close a set of runs under jumps, interval by interval.

    A fiber is a node of a hash table; its states are a list of intervals (cells), each with the part of it that was
    mapped on by every jump already.  Nodes with more than that wait on a stack, so that what is added meanwhile is
    mapped on at once.  Jumps by ±1 along the fiber are followed to their end before.

    Parameters
    ----------
    keys, lengths
        The runs to start from.
    n_done
        How many of them, the first ones, are mapped on already and have no image outside.
    first, end
        Range of the fibers that are mapped on; runs outside are found, but not followed.
    shift, bits
        Fields of the keys' coordinates, the last one lowest.
    changes
        Of each way of firing, (n, n_coordinates).
    starts, weights, bounds
        Its inequalities are rows starts[t] to starts[t + 1].
    limits, limit_bounds
        Inequalities that every state fulfils.

    Returns
    -------
    found, keys, lengths, size
        The runs, not sorted.  All are found unless a fiber falls into too many intervals, or `size`, the number of
        states in the range, passes `max_states`, where the search is ended.
    """
    n = len(shift)
    table = _empty_table(1 << 12)
    nodes, cells = np.empty((1 << 10, 3), dtype=np.int64), np.empty((1 << 10, 5), dtype=np.int64)
    stack = np.empty((1 << 10, 1), dtype=np.int64)
    n_nodes, n_cells, n_waiting, size, walked, fired = 0, 0, 0, 0, 0, 0
    source, target = np.zeros(n, np.int64), np.zeros(n, np.int64)
    given, t, entry_low, entry_high = 0, len(changes), 0, 0
    node = -1  # a part of which is mapped on
    found = True
    while found:
        # The next interval to enter: a given run, or the image of a part of a fiber under firing t.
        done = given < n_done
        if given < len(keys):
            for k in range(n):
                target[k] = (keys[given] >> shift[k]) & ((1 << bits[k]) - 1)
            a, b = target[n - 1], target[n - 1] + lengths[given] - 1
            given += 1
        elif t == len(changes):
            cell = nodes[node, HEAD] if node >= 0 else -1
            while (
                cell >= 0 and cells[cell, DONE_LOW] == cells[cell, LOW] and cells[cell, DONE_HIGH] == cells[cell, HIGH]
            ):
                cell = cells[cell, NEXT]
            if cell >= 0:
                entry_low, entry_high = _take_part(cells, cell)
                t = 0
                fired += 1
            elif n_waiting == 0:
                break
            else:
                n_waiting -= 1
                node = stack[n_waiting, 0]
                nodes[node, WAITING] = 0
                for k in range(n):
                    source[k] = (nodes[node, KEY] >> shift[k]) & ((1 << bits[k]) - 1)
            continue
        else:
            a, b = _interval(weights, bounds, starts[t], starts[t + 1], source)
            a, b = max(a, entry_low) + changes[t, n - 1], min(b, entry_high) + changes[t, n - 1]
            for k in range(n):
                target[k] = source[k] + changes[t, k]
            t += 1
            if a > b:
                continue
        floor, ceiling = _interval(limits, limit_bounds, 0, len(limits), target)
        a, b = max(a, floor), min(b, ceiling)
        if a > b:
            continue
        key = np.int64(0)
        for k in range(n - 1):
            key += target[k] << shift[k]
        own = first <= key < end
        if own and not done:
            a, b = _follow(a, b, target, changes, starts, weights, bounds, floor, ceiling)
        slot = _slot_of(table, nodes, key)
        if table[slot] < 0:
            if n_nodes == len(nodes):
                nodes, stack = _grown(nodes), _grown(stack)
            nodes[n_nodes, KEY], nodes[n_nodes, HEAD], nodes[n_nodes, WAITING] = key, -1, 0
            table[slot] = n_nodes
            n_nodes += 1
            if 2 * n_nodes > len(table):
                table = _empty_table(2 * len(table))
                for m in range(n_nodes):
                    table[_slot_of(table, nodes, nodes[m, KEY])] = m
        reached = table[_slot_of(table, nodes, key)]
        if n_cells == len(cells):
            cells = _grown(cells)
        fresh, steps = _unite(cells, n_cells, nodes, reached, a, b)
        walked += steps
        if fresh > 0:
            if done:
                cells[n_cells, DONE_LOW], cells[n_cells, DONE_HIGH] = a, b
            n_cells += 1
            size += fresh if own else 0
            if own and not done and not nodes[reached, WAITING] and reached != node:
                stack[n_waiting, 0] = reached
                n_waiting += 1
                nodes[reached, WAITING] = 1
        found = size <= max_states and walked <= MOST_STEPS + 50 * fired
    run_keys, run_lengths = np.empty(n_cells, np.int64), np.empty(n_cells, np.int64)
    n_runs = 0
    for m in range(n_nodes):
        cell = nodes[m, HEAD]
        while cell >= 0:
            run_keys[n_runs] = nodes[m, KEY] + cells[cell, LOW]
            run_lengths[n_runs] = cells[cell, HIGH] - cells[cell, LOW] + 1
            n_runs += 1
            cell = cells[cell, NEXT]
    return found, run_keys[:n_runs], run_lengths[:n_runs], size
