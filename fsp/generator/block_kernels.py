"""Compiled products with panels: eight vectors or four that are kept state by state, so that values of a state touch.

What a state takes, rates and scalars, is read once for all of them, and the loop over these fills vector registers
whatever the length of a run.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, Indices, Ints, kernel
from fsp.compilation.lanes import entries, load, load_halves, load_line, prefetch, store, stream
from fsp.generator.fused_kernels import AHEAD_READ, AHEAD_WRITTEN
from fsp.generator.kernels import REORDERED, Slices

# Slices without and with a table in the pass that writes, as in `fsp.generator.fused_kernels`; of each kind in a pass
# that adds what is left.
MOST_PLAIN, MOST_TABLE, MOST_ADDED = 6, 2, 4
WIDE, NARROW = 8, 4  # vectors of a panel: a line of the caches, and half of one
# How a panel is written: into the caches, or in memory, with what is read and written prefetched, or past the caches,
# which spares reading what is overwritten, but must not touch it twice: up to a sixth faster; measured.
CACHED, PREFETCHED, STREAMED = 0, 1, 2
NEAR = 2**18  # numbers of a wide panel beyond which it is prefetched: 2 MiB; in the second cache that costs a fifth


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _loop(load, stride, n_plain, n_table, writes, n, out, a, v, b, way, lead, tables, stay, d, e, s0, p0, s1, p1, s2,
          p2, s3, p3, s4, p4, s5, p5, s6, p6, t6, s7, p7, t7):  # fmt: skip
    # Unsigned indices need no check for negative ones, which would keep the loop from vector registers.
    values, results = entries(v), entries(out)
    for i in range(n):
        x = i * np.uint64(stride)
        if writes and way != CACHED:
            prefetch(values, lead + x + np.uint64(AHEAD_READ))
        if writes and way == PREFETCHED:
            prefetch(results, a + x + np.uint64(AHEAD_WRITTEN))
        kept = stay - d * tables[e + i] if writes else 0.0
        c6 = s6 * tables[t6 + i] if n_table > 0 else 0.0
        c7 = s7 * tables[t7 + i] if n_table > 1 else 0.0
        total = kept * load(values, b + x) if writes else load(results, a + x)
        if n_plain > 0:
            total = total + s0 * load(values, p0 + x)
        if n_plain > 1:
            total = total + s1 * load(values, p1 + x)
        if n_plain > 2:
            total = total + s2 * load(values, p2 + x)
        if n_plain > 3:
            total = total + s3 * load(values, p3 + x)
        if n_plain > 4:
            total = total + s4 * load(values, p4 + x)
        if n_plain > 5:
            total = total + s5 * load(values, p5 + x)
        if n_table > 0:
            total = total + c6 * load(values, p6 + x)
        if n_table > 1:
            total = total + c7 * load(values, p7 + x)
        if writes and way == STREAMED:
            stream(results, a + x, total)
        else:
            store(results, a + x, total)


@kernel(forceinline=True)
def _loop_of_tables(load, stride, n_plain, n_table, rest):
    if n_table == 0:
        _loop(load, stride, n_plain, 0, True, *rest)
    elif n_table == 1:
        _loop(load, stride, n_plain, 1, True, *rest)
    else:
        _loop(load, stride, n_plain, 2, True, *rest)


@kernel(forceinline=True)
def _write(load, stride, n_plain, n_table, rest):
    """Write what stays and the gain by so many slices; a loop is compiled for each number."""
    if n_plain == 0:
        _loop_of_tables(load, stride, 0, n_table, rest)
    elif n_plain == 1:
        _loop_of_tables(load, stride, 1, n_table, rest)
    elif n_plain == 2:
        _loop_of_tables(load, stride, 2, n_table, rest)
    elif n_plain == 3:
        _loop_of_tables(load, stride, 3, n_table, rest)
    elif n_plain == 4:
        _loop_of_tables(load, stride, 4, n_table, rest)
    elif n_plain == 5:
        _loop_of_tables(load, stride, 5, n_table, rest)
    else:
        _loop_of_tables(load, stride, 6, n_table, rest)


@kernel(forceinline=True)
def _add(load, stride, n_plain, n_table, rest):
    """Add the gain by so many slices to what is there: all without a table, or all with one."""
    if n_table == 2:
        _loop(load, stride, 0, 2, False, *rest)
    elif n_table == 1:
        _loop(load, stride, 0, 1, False, *rest)
    elif n_plain == 4:
        _loop(load, stride, 4, 0, False, *rest)
    elif n_plain == 3:
        _loop(load, stride, 3, 0, False, *rest)
    elif n_plain == 2:
        _loop(load, stride, 2, 0, False, *rest)
    else:
        _loop(load, stride, 1, 0, False, *rest)


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _add_state(width, stride, out, to, v, source, factor):
    """Add `factor` times the values of one state to those of another."""
    a, b = np.uint64(to) * np.uint64(stride), np.uint64(source) * np.uint64(stride)
    for j in range(np.uint64(width)):
        out[a + j] += factor * v[b + j]


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _write_state(load, stride, out, v, start, i, kept, r, alpha, A):
    """Write state i of run r, of which each slice is asked whether it reaches it: in registers, without a branch."""
    n_plain, origins, begins, ends, places, scales, _, _, tables = A
    x, y, lanes = entries(v), entries(out), np.uint64(stride)
    here = np.uint64(start + i) * lanes
    total = kept * load(x, here)
    for k in range(scales.shape[1]):
        inside = begins[r, k] <= i < ends[r, k]
        # Of a slice that does not reach it something is read that is there, and does not count.
        rate = alpha * scales[r, k] if inside else 0.0
        if k >= n_plain:
            rate *= tables[places[r, k] + i if inside else 0]
        there = np.uint64(origins[r, k] + i if inside else start + i) * lanes
        total = total + rate * load(x, there)
    store(y, here, total)


@kernel(forceinline=True)
def _write_run(load, width, stride, way, out, v, start, length, low, high, r, alpha, beta, A):
    """Write run r, whose states low..high all slices reach; of others, each is asked."""
    lanes = np.uint64(stride)
    n_plain, origins, _, _, places, scales, losses, rates, tables = A
    last, n_loss = scales.shape[1] - 1, losses.shape[1]
    stay = beta - alpha * rates[r, n_loss]
    # Without a table of the loss zeros are read, with which the pool begins.
    d, e = (alpha * rates[r, 0], losses[r, 0] + low) if n_loss > 0 else (0.0, 0)
    lead = start
    if way != CACHED:
        for k in range(last + 1):
            lead = max(lead, origins[r, k])
    p, t, written = 0, n_plain, False
    while not written or p < n_plain or t <= last:
        plain, table = min(MOST_ADDED if written else MOST_PLAIN, n_plain - p), min(MOST_TABLE, last + 1 - t)
        if written and plain > 0:
            table = 0
        # Of slots beyond the last something is read, and does not count.
        p0, p1, p2, p3 = min(p, last), min(p + 1, last), min(p + 2, last), min(p + 3, last)
        p4, p5 = min(p + 4, last), min(p + 5, last)
        t0, t1 = min(t, last), min(t + 1, last)
        first = np.uint64(start + low) * lanes
        rest = (
            np.uint64(high - low), out, first, v, first, way, np.uint64(lead + low) * lanes, tables, stay, d,
            np.uint64(e),
            alpha * scales[r, p0], np.uint64(origins[r, p0] + low) * lanes,
            alpha * scales[r, p1], np.uint64(origins[r, p1] + low) * lanes,
            alpha * scales[r, p2], np.uint64(origins[r, p2] + low) * lanes,
            alpha * scales[r, p3], np.uint64(origins[r, p3] + low) * lanes,
            alpha * scales[r, p4], np.uint64(origins[r, p4] + low) * lanes,
            alpha * scales[r, p5], np.uint64(origins[r, p5] + low) * lanes,
            alpha * scales[r, t0], np.uint64(origins[r, t0] + low) * lanes, np.uint64(places[r, t0] + low),
            alpha * scales[r, t1], np.uint64(origins[r, t1] + low) * lanes, np.uint64(places[r, t1] + low),
        )  # fmt: skip
        if written:
            _add(load, stride, plain, table, rest)
        else:
            _write(load, stride, plain, table, rest)
        p, t, written = p + plain, t + table, True
    for j in range(low + length - high):
        i = j if j < low else high + j - low
        _write_state(
            load, stride, out, v, start, i, stay - (d * tables[losses[r, 0] + i] if n_loss > 0 else 0.0), r, alpha, A
        )
    for k in range(1, n_loss):
        for i in range(length):
            _add_state(width, stride, out, start + i, v, start + i, -alpha * rates[r, k] * tables[losses[r, k] + i])


@kernel(forceinline=True)
def _write_runs(load, width, stride, way, A, first, end, v, out, alpha, beta):
    # Read once: each look into the tuple would count a reference.
    starts, lows, highs, tables, n_plain = A.starts, A.low, A.high, A.tables, A.n_plain
    more_from, more, more_scales = A.more_from, A.more, A.more_scales
    rates = (n_plain, A.origins, A.begins, A.ends, A.places, A.scales, A.loss_places, A.loss_scales, tables)
    for r in range(first, end):
        start, length, low = starts[r], starts[r + 1] - starts[r], lows[r]
        _write_run(load, width, stride, way, out, v, start, length, low, max(low, highs[r]), r, alpha, beta, rates)
        for m in range(more_from[r], more_from[r + 1]):
            for i in range(more[m, 2], more[m, 3]):
                rate = alpha * more_scales[m] * (1.0 if more[m, 0] < n_plain else tables[more[m, 4] + i])
                _add_state(width, stride, out, start + i, v, more[m, 1] + i, rate)


@kernel(nogil=True)
def write_panel(
    A: Slices, first: I8, end: I8, width: I8, stride: I8, way: I8, v: Floats, out: Floats, alpha: F8, beta: F8
):
    """Write ``alpha A v + beta v`` for the states of runs first..end of a panel, whose states lie `stride` apart.

    A narrow one is CACHED, and one that is STREAMED has no gaps and begins at a line of the caches.
    """
    if way == STREAMED:
        _write_runs(load_halves, WIDE, WIDE, STREAMED, A, first, end, v, out, alpha, beta)
    elif way == PREFETCHED:
        _write_runs(load_halves, WIDE, stride, PREFETCHED, A, first, end, v, out, alpha, beta)
    elif width == WIDE:
        _write_runs(load_line, WIDE, stride, CACHED, A, first, end, v, out, alpha, beta)
    else:
        _write_runs(load, NARROW, stride, CACHED, A, first, end, v, out, alpha, beta)


@kernel(fastmath=REORDERED, nogil=True)
def add_products(
    indptr: Ints,
    indices: Indices,
    values: Floats,
    scale: F8,
    x: Floats,
    out: Floats,
    places: Ints,
    steps: Ints,
):
    """Add `scale` times CSR matrices (n, n), one below the other, times x to vectors of a block.

    The values of vector k lie at ``places[k] + i steps[k]``.
    """
    n = len(x)
    for k in range(len(places)):
        place, step = np.uint64(places[k]), np.uint64(steps[k])
        for i in range(np.uint64(n)):
            row = np.uint64(k * n) + i
            total = 0.0
            for e in range(np.uint64(indptr[row]), np.uint64(indptr[row + np.uint64(1)])):
                total += values[e] * x[np.uint64(indices[e])]
            out[place + i * step] += scale * total
