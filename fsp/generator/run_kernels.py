"""Compiled products of the closed chain on runs of states.

``y = A v`` is, run by run of y, a sum of slices of v, each times a scalar times a slice of a table.  Where most states
of a run are reached by all slices, several are added in one pass (`_pass`); else one after the other.  Targets gather,
so ranges of runs may be computed by several threads.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, kernel
from fsp.generator.expanded_kernels import write_expanded
from fsp.generator.kernels import DOTS, EXPANDED, FUSED, PRODUCT, RECURRENCE, REORDERED, STEP, Slices
from fsp.generator.row_kernels import product_rows

SHORTEST_FUSED = 8  # states of a run that are worth setting up a pass over all its sources
BATCH = 4096  # states
MOST_PLAIN, MOST_TABLE, MOST_LOSS = 4, 2, 1  # slices without and with a table, and tables of the exit rate, in one pass


@kernel(fastmath=REORDERED, inline="always")
def _lose_more(out, at, v, start, length, r, losses, rates, tables, first):
    """Take off what is lost by the tables of the exit rate from `first` on."""
    a, b, n = np.uint64(at), np.uint64(start), np.uint64(length)
    for k in range(first, losses.shape[1]):
        scale, t = rates[r, k], np.uint64(losses[r, k])
        for i in range(n):
            out[a + i] -= scale * tables[t + i] * v[b + i]


@kernel(fastmath=REORDERED, inline="always")
def _lose(out, at, v, start, length, r, losses, rates, tables):
    """Write ``-exit rate * v`` for the states of run r."""
    n_loss = losses.shape[1]
    a, b, n = np.uint64(at), np.uint64(start), np.uint64(length)
    rest = rates[r, n_loss]
    if n_loss == 0:
        for i in range(n):
            out[a + i] = -rest * v[b + i]
    elif n_loss == 1:
        scale, t = rates[r, 0], np.uint64(losses[r, 0])
        for i in range(n):
            out[a + i] = v[b + i] * -(rest + scale * tables[t + i])
    else:
        scale, t, other, s = rates[r, 0], np.uint64(losses[r, 0]), rates[r, 1], np.uint64(losses[r, 1])
        for i in range(n):
            out[a + i] = v[b + i] * -(rest + scale * tables[t + i] + other * tables[s + i])
    _lose_more(out, at, v, start, length, r, losses, rates, tables, 2)


@kernel(fastmath=REORDERED, inline="always")
def _add_plain(out, at, v, origin, begin, end, scale):
    """Add ``scale * v`` for the states begin..end of a run."""
    a, b = np.uint64(at), np.uint64(origin)
    for i in range(np.uint64(begin), np.uint64(end)):
        out[a + i] += scale * v[b + i]


@kernel(fastmath=REORDERED, inline="always")
def _add(out, at, v, origin, begin, end, scale, tables, place):
    """Add ``scale * table * v`` for the states begin..end of a run."""
    a, b, t = np.uint64(at), np.uint64(origin), np.uint64(place)
    for i in range(np.uint64(begin), np.uint64(end)):
        out[a + i] += scale * tables[t + i] * v[b + i]


@kernel()
def next_batch(starts, first, end):
    """Return the end of a batch of runs whose states stay in the nearest caches while a solver works on them."""
    stop = first + 1
    while stop < end and starts[stop + 1] - starts[first] <= BATCH:
        stop += 1
    return stop


# ---- passes that add several slices -------------------------------------------------------------------------
#
# Compiled code needs the number of slices as a constant to keep scalars in registers and add them all at once: that is
# 2 to 3 times as fast as a pass for each where runs are long.  So a loop is compiled for each number of slices up to
# `MOST_PLAIN` and `MOST_TABLE`; more take several passes.  All are part of the loop over runs: a call of its own, with
# two dozen scalars, cost a fifth on runs of 60 states; and that what is written overlaps nothing that is read is said
# (`noalias`), not asked for each run: another tenth.


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _loop(n_plain, n_table, n_loss, n, out, a, v, b, tables, loss, d, e, s0, p0, s1, p1, s2, p2, s3, p3, s4, p4, t4,
          s5, p5, t5):  # fmt: skip
    # Unsigned indices need no check for negative ones, which would keep the loop from vector registers.
    for i in range(n):
        if n_loss < 0:
            total = out[a + i]
        elif n_loss == 0:
            total = v[b + i] * -loss
        else:
            total = v[b + i] * -(loss + d * tables[e + i])
        if n_plain > 0:
            total += s0 * v[p0 + i]
        if n_plain > 1:
            total += s1 * v[p1 + i]
        if n_plain > 2:
            total += s2 * v[p2 + i]
        if n_plain > 3:
            total += s3 * v[p3 + i]
        if n_table > 0:
            total += s4 * tables[t4 + i] * v[p4 + i]
        if n_table > 1:
            total += s5 * tables[t5 + i] * v[p5 + i]
        out[a + i] = total


@kernel(forceinline=True)
def _loop_of_loss(n_plain, n_table, n_loss, rest):
    if n_loss == 0:
        _loop(n_plain, n_table, 0, *rest)
    else:
        _loop(n_plain, n_table, 1, *rest)


@kernel(forceinline=True)
def _loop_of_tables(n_plain, n_table, n_loss, rest):
    if n_table == 0:
        _loop_of_loss(n_plain, 0, n_loss, rest)
    elif n_table == 1:
        _loop_of_loss(n_plain, 1, n_loss, rest)
    else:
        _loop_of_loss(n_plain, 2, n_loss, rest)


@kernel(forceinline=True)
def _write_several(n_plain, n_table, n_loss, rest):
    """Write the gain by so many slices less the loss."""
    if n_plain == 0:
        _loop_of_tables(0, n_table, n_loss, rest)
    elif n_plain == 1:
        _loop_of_tables(1, n_table, n_loss, rest)
    elif n_plain == 2:
        _loop_of_tables(2, n_table, n_loss, rest)
    elif n_plain == 3:
        _loop_of_tables(3, n_table, n_loss, rest)
    else:
        _loop_of_tables(4, n_table, n_loss, rest)


@kernel(forceinline=True)
def _add_several(n_plain, n_table, rest):
    """Add the gain by so many slices to what is there: all without a table, or all with one."""
    if n_table == 2:
        _loop(0, 2, -1, *rest)
    elif n_table == 1:
        _loop(0, 1, -1, *rest)
    elif n_plain == 4:
        _loop(4, 0, -1, *rest)
    elif n_plain == 3:
        _loop(3, 0, -1, *rest)
    elif n_plain == 2:
        _loop(2, 0, -1, *rest)
    else:
        _loop(1, 0, -1, *rest)


@kernel(fastmath=REORDERED, inline="always")
def _add_wide(out, at, v, r, start, length, low, high, n_plain, origins, begins, ends, places, scales, losses, rates,
              tables):  # fmt: skip
    """Write the gain less the loss of run r, whose states low..high all slices reach; of others, each is asked."""
    last, n_loss = scales.shape[1] - 1, min(MOST_LOSS, losses.shape[1])
    loss = rates[r, losses.shape[1]]
    d, e = (rates[r, 0], losses[r, 0] + low) if n_loss > 0 else (0.0, 0)
    p, t, written = 0, n_plain, False
    while not written or p < n_plain or t <= last:
        plain, table = min(MOST_PLAIN, n_plain - p), min(MOST_TABLE, last + 1 - t)
        if written and plain > 0:
            table = 0
        # Of slots beyond the last something is read, and does not count.
        p0, p1, p2, p3 = min(p, last), min(p + 1, last), min(p + 2, last), min(p + 3, last)
        t0, t1 = min(t, last), min(t + 1, last)
        rest = (
            np.uint64(high - low), out, np.uint64(at + low), v, np.uint64(start + low), tables, loss, d, np.uint64(e),
            scales[r, p0], np.uint64(origins[r, p0] + low), scales[r, p1], np.uint64(origins[r, p1] + low),
            scales[r, p2], np.uint64(origins[r, p2] + low), scales[r, p3], np.uint64(origins[r, p3] + low),
            scales[r, t0], np.uint64(origins[r, t0] + low), np.uint64(places[r, t0] + low),
            scales[r, t1], np.uint64(origins[r, t1] + low), np.uint64(places[r, t1] + low),
        )  # fmt: skip
        if written:
            _add_several(plain, table, rest)
        else:
            _write_several(plain, table, n_loss, rest)
        p, t, written = p + plain, t + table, True
    for j in range(low + length - high):
        i = j if j < low else high + j - low
        rate = loss
        for k in range(n_loss):
            rate += rates[r, k] * tables[losses[r, k] + i]
        total = -rate * v[start + i]
        for k in range(last + 1):
            if begins[r, k] <= i < ends[r, k]:
                gain = scales[r, k] * v[origins[r, k] + i]
                total += gain if k < n_plain else tables[places[r, k] + i] * gain
        out[at + i] = total


@kernel(fastmath=REORDERED, forceinline=True)  # a call with all slices costs as much as 100 states
def write_runs(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``."""
    # Read once: each look into the tuple would count a reference.
    fused, expanded = A.mode == FUSED and A.scales.shape[1] > 0, A.mode == EXPANDED
    starts, lows, highs, tables, n_plain = A.starts, A.low, A.high, A.tables, A.n_plain
    origins, begins, ends, places, scales = A.origins, A.begins, A.ends, A.places, A.scales
    losses, rates, more_from, more, more_scales = A.loss_places, A.loss_scales, A.more_from, A.more, A.more_scales
    for r in range(first, end):
        start, length, low, high = starts[r], starts[r + 1] - starts[r], lows[r], highs[r]
        if expanded:  # what follows the range is not to be written
            high = high if start + high <= starts[end] else length
            write_expanded(out, at, v, r, start, length, high, origins, losses[r, 0], tables)
        elif fused and high - low >= max(SHORTEST_FUSED, length // 2):
            _add_wide(
                out, at, v, r, start, length, low, high, n_plain, origins, begins, ends, places, scales, losses, rates,
                tables,
            )  # fmt: skip
            _lose_more(out, at, v, start, length, r, losses, rates, tables, MOST_LOSS)
        else:
            _lose(out, at, v, start, length, r, losses, rates, tables)
            for k in range(n_plain):
                _add_plain(out, at, v, origins[r, k], begins[r, k], ends[r, k], scales[r, k])
            for k in range(n_plain, scales.shape[1]):
                _add(out, at, v, origins[r, k], begins[r, k], ends[r, k], scales[r, k], tables, places[r, k])
        for m in range(more_from[r], more_from[r + 1]):
            if more[m, 0] < n_plain:
                _add_plain(out, at, v, more[m, 1], more[m, 2], more[m, 3], more_scales[m])
            else:
                _add(out, at, v, more[m, 1], more[m, 2], more[m, 3], more_scales[m], tables, more[m, 4])
        at += length


@kernel(fastmath=REORDERED, forceinline=True)
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


@kernel(fastmath=REORDERED, forceinline=True)
def dots(v, u, w, first, end):
    """Return the dot products of w with v, u and w on entries first..end."""
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        dot_v += w[i] * v[i]
        dot_u += w[i] * u[i]
        dot_w += w[i] * w[i]
    return dot_v, dot_u, dot_w


@kernel(fastmath=REORDERED, forceinline=True)
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


@kernel(nogil=True)
def product_runs(
    A: Slices,
    first: I8,
    end: I8,
    form: I8,
    x: Floats,
    v: Floats,
    u: Floats,
    w: Floats,
    total: Floats,
    alpha: F8,
    beta: F8,
    gamma: F8,
    weight_v: F8,
    weight_w: F8,
    start: I8,
):
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
    starts = A.starts
    direct = form in (PRODUCT, DOTS)
    image = np.empty(0 if direct else min(BATCH, starts[end] - starts[first]))
    first_sum, second_sum, third_sum = 0.0, 0.0, 0.0
    r = first
    while r < end:
        stop = end if form == PRODUCT else next_batch(starts, r, end)
        low, high = starts[r] - start, starts[stop] - start
        write_runs(A, r, stop, x, w if direct else image, low if direct else 0)
        if form == STEP:
            first_sum += step(image, v, w, total, low, high, alpha, weight_v)
        elif form == DOTS:
            a, b, c = dots(v, u, w, low, high)
            first_sum, second_sum, third_sum = first_sum + a, second_sum + b, third_sum + c
        elif form == RECURRENCE:
            first_sum += recur(image, v, w, total, low, high, alpha, beta, gamma, weight_v, weight_w)
        r = stop
    return first_sum, second_sum, third_sum


@kernel(nogil=True)
def product_sinks(
    A: Slices,
    n: I8,
    form: I8,
    v: Floats,
    u: Floats,
    w: Floats,
    total: Floats,
    alpha: F8,
    beta: F8,
    gamma: F8,
    weight_v: F8,
    weight_w: F8,
):
    """Compute the sinks' part of ``A v``, where they follow n states, and what a form makes of it."""
    n_sinks = len(A.sink_starts) - 1
    return product_rows(
        A.sink_starts,
        A.sink_indices,
        A.sink_rates,
        0,
        n_sinks,
        form,
        v,
        v[n:],
        u[n:],
        w[n:],
        total[n:],
        alpha,
        beta,
        gamma,
        weight_v,
        weight_w,
    )
