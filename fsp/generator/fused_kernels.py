"""Compiled kernels that add all slices of a run in one pass, some neighbouring states at once.

Where a register reaches beyond what a slice reaches, its lanes there are zero; what it writes behind a run is
overwritten by the next one.  States where it would read or write outside of an array are added one by one.
"""

from __future__ import annotations

from fsp.compilation.kernel import kernel
from fsp.compilation.lanes import LANES, LINE, entries, load, prefetch, store, within

ADDED = {"contract", "nsz"}  # sums keep the order in which they are written
# Slices without and with a table, for each number of which a loop is compiled that keeps what it knows of the slots in
# registers: with one table of the exit rate, or none, for which the zeros that the pool begins with are read.
MOST_PLAIN, MOST_TABLE = 6, 2
# States ahead, of the slice that leads and of what is written, that are brought into the nearest caches; measured on
# three species and 2.7 million states: 256 to 1024 are as good, and without it products take 1.3 times as long.
AHEAD_READ, AHEAD_WRITTEN = 512, 256

# Arrays are rows of entries (`fsp.compilation.lanes`): those of a run's slots begin at q, tables of its exit rate at t,
# and scalars of its exit rate at s.


@kernel(forceinline=True)
def _ranges(n_plain, n_slots, n_loss, q, t, start, low, high, n, n_tables, room, origins, places, losses):
    """Return the last origin, the states that registers may hold, and those of them that all slices reach."""
    first = last = start
    for k in range(q, q + n_slots):
        first, last = min(first, origins[k]), max(last, origins[k])
    lowest = highest = 0
    for k in range(q + n_plain, q + n_slots):
        lowest, highest = min(lowest, places[k]), max(highest, places[k])
    for k in range(t, t + n_loss):
        lowest, highest = min(lowest, losses[k]), max(highest, losses[k])
    begin, end = max(-first, -lowest, 0), min(n - last, n_tables - highest, room)
    return last, begin, end, max(low, begin), min(high, end)


@kernel(fastmath=ADDED)
def _write_singly(i, stop, n_plain, n_slots, n_loss, q, t, s, out, at, v, start, tables, origins, begins, ends, places,
                  scales, losses, rates):  # fmt: skip
    """Write the gain less the loss of the states i..stop of a run."""
    for j in range(i, stop):
        kept = -rates[s + n_loss]
        for k in range(n_loss):
            kept = -rates[s + k] * tables[losses[t + k] + j] + kept
        total = v[start + j] * kept
        for k in range(q, q + n_slots):
            if begins[k] <= j < ends[k]:
                rate = scales[k]
                if k >= q + n_plain:
                    rate = rate * tables[places[k] + j]
                total = rate * v[origins[k] + j] + total
        out[at + j] = total


# ---- any number of slots ------------------------------------------------------------------------------------


@kernel(fastmath=ADDED, forceinline=True)
def _sum_any(n_plain, n_slots, n_loss, q, t, s, i, v, start, tables, origins, begins, ends, places, scales, losses,
             rates):  # fmt: skip
    """Return the gain less the loss of the states i, i + 1, … of a run."""
    kept = 0.0 * load(v, start + i) + -rates[s + n_loss]
    for k in range(n_loss):
        kept = -rates[s + k] * load(tables, losses[t + k] + i) + kept
    total = load(v, start + i) * kept
    for k in range(q, q + n_plain):
        total = scales[k] * within(load(v, origins[k] + i), i, begins[k], ends[k]) + total
    for k in range(q + n_plain, q + n_slots):
        x = within(load(v, origins[k] + i), i, begins[k], ends[k])
        total = scales[k] * load(tables, places[k] + i) * x + total
    return total


@kernel(fastmath=ADDED, forceinline=True)
def _write_four(n_plain, n_slots, n_loss, q, t, s, i, out, at, v, start, tables, origins, begins, ends, places, scales,
                losses, rates):  # fmt: skip
    """Write the gain less the loss of four registers of states, from i on, which all slices reach."""
    i1, i2, i3 = i + LANES, i + 2 * LANES, i + 3 * LANES
    x0, x1, x2, x3 = load(v, start + i), load(v, start + i1), load(v, start + i2), load(v, start + i3)
    rate = -rates[s + n_loss]
    y0, y1, y2, y3 = 0.0 * x0 + rate, 0.0 * x1 + rate, 0.0 * x2 + rate, 0.0 * x3 + rate
    for k in range(n_loss):
        rate, f = -rates[s + k], losses[t + k]
        y0, y1 = rate * load(tables, f + i) + y0, rate * load(tables, f + i1) + y1
        y2, y3 = rate * load(tables, f + i2) + y2, rate * load(tables, f + i3) + y3
    x0, x1, x2, x3 = x0 * y0, x1 * y1, x2 * y2, x3 * y3
    for k in range(q, q + n_plain):
        rate, e = scales[k], origins[k]
        x0, x1 = rate * load(v, e + i) + x0, rate * load(v, e + i1) + x1
        x2, x3 = rate * load(v, e + i2) + x2, rate * load(v, e + i3) + x3
    for k in range(q + n_plain, q + n_slots):
        rate, e, f = scales[k], origins[k], places[k]
        y0, y1 = rate * load(tables, f + i), rate * load(tables, f + i1)
        y2, y3 = rate * load(tables, f + i2), rate * load(tables, f + i3)
        x0, x1 = y0 * load(v, e + i) + x0, y1 * load(v, e + i1) + x1
        x2, x3 = y2 * load(v, e + i2) + x2, y3 * load(v, e + i3) + x3
    store(out, at + i, x0)
    store(out, at + i1, x1)
    store(out, at + i2, x2)
    store(out, at + i3, x3)


@kernel(fastmath=ADDED, forceinline=True)
def _write_any(n_plain, n_slots, n_loss, first, end, out, at, v, n, starts, lows, highs, tables, n_tables, origins,
               begins, ends, places, scales, losses, rates):  # fmt: skip
    """Write the gain less the loss of the runs first..end."""
    top = at + starts[end] - starts[first]
    for r in range(first, end):
        start, length, q, t, s = starts[r], starts[r + 1] - starts[r], r * n_slots, r * n_loss, r * (n_loss + 1)
        last, begin, stop, low, high = _ranges(
            n_plain, n_slots, n_loss, q, t, start, lows[r], highs[r], n, n_tables, top - at, origins, places, losses
        )
        rest = (n_plain, n_slots, n_loss, q, t, s)
        slices = (v, start, tables, origins, begins, ends, places, scales, losses, rates)
        i = 0
        while i < length:
            for j in range(i, i + 4 * LANES, LINE):
                prefetch(v, last + j + AHEAD_READ)
                prefetch(out, at + j + AHEAD_WRITTEN)
            if low <= i and i + 4 * LANES <= high:
                _write_four(*rest, i, out, at, *slices)
                i += 4 * LANES
            elif begin <= i and i + LANES <= stop:
                store(out, at + i, _sum_any(*rest, i, *slices))
                i += LANES
            else:
                _write_singly(i, min(i + LANES, length), *rest, out, at, *slices)
                i += LANES
        at += length


# ---- few slots ----------------------------------------------------------------------------------------------


@kernel(fastmath=ADDED, forceinline=True)
def _add(masked, k, n_plain, n_slots, q, i, total, v, tables, begins, ends, scale, origin, place):
    """Return the sum with the slice of slot k."""
    if k >= n_slots:
        return total
    x = load(v, origin + i)
    if masked:
        x = within(x, i, begins[q + k], ends[q + k])
    if k < n_plain:
        return scale * x + total
    return scale * load(tables, place + i) * x + total


@kernel(fastmath=ADDED, forceinline=True)
def _sum(masked, n_plain, n_slots, q, i, v, start, tables, begins, ends, kept, d, e, s0, p0, s1, p1, s2, p2, s3, p3,
         s4, p4, s5, p5, s6, p6, s7, p7, t0, t1):  # fmt: skip
    """Return the gain less the loss of the states i, i + 1, … of a run."""
    x = load(v, start + i) * (d * load(tables, e + i) + kept)
    x = _add(masked, 0, n_plain, n_slots, q, i, x, v, tables, begins, ends, s0, p0, t0 if n_plain == 0 else t1)
    x = _add(masked, 1, n_plain, n_slots, q, i, x, v, tables, begins, ends, s1, p1, t0 if n_plain == 1 else t1)
    x = _add(masked, 2, n_plain, n_slots, q, i, x, v, tables, begins, ends, s2, p2, t0 if n_plain == 2 else t1)
    x = _add(masked, 3, n_plain, n_slots, q, i, x, v, tables, begins, ends, s3, p3, t0 if n_plain == 3 else t1)
    x = _add(masked, 4, n_plain, n_slots, q, i, x, v, tables, begins, ends, s4, p4, t0 if n_plain == 4 else t1)
    x = _add(masked, 5, n_plain, n_slots, q, i, x, v, tables, begins, ends, s5, p5, t0 if n_plain == 5 else t1)
    x = _add(masked, 6, n_plain, n_slots, q, i, x, v, tables, begins, ends, s6, p6, t0 if n_plain == 6 else t1)
    return _add(masked, 7, n_plain, n_slots, q, i, x, v, tables, begins, ends, s7, p7, t1)


@kernel(fastmath=ADDED, forceinline=True)
def _write_few(n_plain, n_table, n_loss, first, end, out, at, v, n, starts, lows, highs, tables, n_tables, origins,
               begins, ends, places, scales, losses, rates):  # fmt: skip
    """Write the gain less the loss of the runs first..end."""
    top, n_slots = at + starts[end] - starts[first], n_plain + n_table
    # Of slots beyond the last something is read, and does not count.
    k1, k2, k3, k4 = min(1, n_slots - 1), min(2, n_slots - 1), min(3, n_slots - 1), min(4, n_slots - 1)
    k5, k6, k7 = min(5, n_slots - 1), min(6, n_slots - 1), n_slots - 1
    for r in range(first, end):
        start, length, q, t, s = starts[r], starts[r + 1] - starts[r], r * n_slots, r * n_loss, r * (n_loss + 1)
        last, begin, stop, low, high = _ranges(
            n_plain, n_slots, n_loss, q, t, start, lows[r], highs[r], n, n_tables, top - at, origins, places, losses
        )
        rest = (
            v, start, tables, begins, ends, -rates[s + n_loss], -rates[s] if n_loss > 0 else 0.0,
            losses[t] if n_loss > 0 else 0, scales[q], origins[q], scales[q + k1], origins[q + k1],
            scales[q + k2], origins[q + k2], scales[q + k3], origins[q + k3], scales[q + k4], origins[q + k4],
            scales[q + k5], origins[q + k5], scales[q + k6], origins[q + k6], scales[q + k7], origins[q + k7],
            places[q + n_plain], places[q + k7],
        )  # fmt: skip
        i = 0
        while i < length:
            if begin <= i and i + LANES <= stop and (i < low or i + LANES > high):
                store(out, at + i, _sum(True, n_plain, n_slots, q, i, *rest))
                i += LANES
            elif i < low or i + LANES > high:
                _write_singly(i, min(i + LANES, length), n_plain, n_slots, n_loss, q, t, s, out, at, v, start, tables,
                              origins, begins, ends, places, scales, losses, rates)  # fmt: skip
                i += LANES
            while i >= low and i + LANES <= high:
                prefetch(v, last + i + AHEAD_READ)
                prefetch(out, at + i + AHEAD_WRITTEN)
                store(out, at + i, _sum(False, n_plain, n_slots, q, i, *rest))
                i += LANES
        at += length


@kernel(forceinline=True)
def _with_tables(n_plain, n_table, rest):
    if n_table == 1:
        _write_few(n_plain, 1, *rest)
    else:
        _write_few(n_plain, 2, *rest)


@kernel(forceinline=True)
def write_fused(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``, further slices left out."""
    n_plain, n_slots, n_loss = A.n_plain, A.scales.shape[1], A.loss_places.shape[1]
    rest = (
        n_loss, first, end, entries(out), at, entries(v), len(v), entries(A.starts), entries(A.low), entries(A.high),
        entries(A.tables), len(A.tables), entries(A.origins), entries(A.begins), entries(A.ends), entries(A.places),
        entries(A.scales), entries(A.loss_places), entries(A.loss_scales),
    )  # fmt: skip
    n_table = n_slots - n_plain
    if n_plain > MOST_PLAIN or not 0 < n_table <= MOST_TABLE or n_loss > 1:
        _write_any(n_plain, n_slots, *rest)
    elif n_plain == 0:
        _with_tables(0, n_table, rest)
    elif n_plain == 1:
        _with_tables(1, n_table, rest)
    elif n_plain == 2:
        _with_tables(2, n_table, rest)
    elif n_plain == 3:
        _with_tables(3, n_table, rest)
    elif n_plain == 4:
        _with_tables(4, n_table, rest)
    elif n_plain == 5:
        _with_tables(5, n_table, rest)
    else:
        _with_tables(6, n_table, rest)
