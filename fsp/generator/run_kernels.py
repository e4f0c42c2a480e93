"""Compiled products of the closed chain on runs of states.

``y = A v`` is, run by run of y, a sum of slices of v, each times a scalar times a slice of a table.  Where most states
of a run are reached by all slices, these are added in one pass (`_fused`); else one after the other.  Targets gather,
so ranges of runs may be computed by several threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

from fsp.compilation import njit
from fsp.generator.kernels import DOTS, PRODUCT, RECURRENCE, REORDERED, STEP
from fsp.generator.row_kernels import product_rows

SHORTEST_FUSED = 8  # states of a run that are worth setting up a pass over all its sources
BATCH = 4096  # states


def _fused(
    shape, out, at, v, r, low, high, length, starts, origins, begins, ends, places, scales, losses, rates, tables
):
    """Write the gain less the loss of run r, all slots at once: numba knows it by `_fused_pass`."""
    raise NotImplementedError


@overload(_fused, jit_options={"fastmath": REORDERED}, inline="always")
def _fused_pass(
    shape, out, at, v, r, low, high, length, starts, origins, begins, ends, places, scales, losses, rates, tables
):
    """Generate the pass for ``shape = (plain slots, slots with a table, tables of the exit rate)``.

    Compiled code needs the number of slots as a constant to keep scalars in registers and add all slices at once:
    that is 2 to 3 times as fast as a pass for each where runs are long.  All slices reach low..high; before and after,
    each is asked.  `losses` and `rates` are places and scalars of the exit rate.
    """
    n_plain, n_table, n_loss = (len(part) for part in shape) if len(shape) else (0, 0, 0)
    head = [f"loss, a, b = rates[r, {n_loss}], uint64(at), uint64(starts[r])"]
    terms = []
    for k in range(n_plain + n_table):
        head.append(f"s{k}, p{k} = scales[r, {k}], uint64(origins[r, {k}])")
        if k >= n_plain:
            head.append(f"t{k} = uint64(places[r, {k}])")
        terms.append(f"s{k} * v[p{k} + i]" if k < n_plain else f"s{k} * tables[t{k} + i] * v[p{k} + i]")
    rate = ["loss"]
    for k in range(n_loss):
        head.append(f"d{k}, e{k} = rates[r, {k}], uint64(losses[r, {k}])")
        rate.append(f"d{k} * tables[e{k} + i]")
    lost = f"v[b + i] * -({' + '.join(rate)})"
    # Unsigned indices need no check for negative ones, which would keep the loop from vector registers.
    lines = [*head, "for i in range(uint64(low), uint64(high)):", f"    out[a + i] = {' + '.join([*terms, lost])}"]
    for first, end in (("0", "low"), ("high", "length")):
        lines += [f"for i in range(uint64({first}), uint64({end})):", f"    total = {lost}"]
        for k, term in enumerate(terms):
            lines += [f"    if begins[r, {k}] <= i < ends[r, {k}]:", f"        total += {term}"]
        lines.append("    out[a + i] = total")
    namespace: dict[str, Any] = {"uint64": np.uint64}
    arguments = (
        "shape, out, at, v, r, low, high, length, starts, origins, begins, ends, places, scales, losses, rates, tables"
    )
    exec(f"def fused({arguments}):\n    " + "\n    ".join(lines), namespace)
    return namespace["fused"]


@njit(cache=True, fastmath=REORDERED, inline="always")
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
    for k in range(2, n_loss):
        scale, t = rates[r, k], np.uint64(losses[r, k])
        for i in range(n):
            out[a + i] -= scale * tables[t + i] * v[b + i]


@njit(cache=True, fastmath=REORDERED, inline="always")
def _add_plain(out, at, v, origin, begin, end, scale):
    """Add ``scale * v`` for the states begin..end of a run."""
    a, b = np.uint64(at), np.uint64(origin)
    for i in range(np.uint64(begin), np.uint64(end)):
        out[a + i] += scale * v[b + i]


@njit(cache=True, fastmath=REORDERED, inline="always")
def _add(out, at, v, origin, begin, end, scale, tables, place):
    """Add ``scale * table * v`` for the states begin..end of a run."""
    a, b, t = np.uint64(at), np.uint64(origin), np.uint64(place)
    for i in range(np.uint64(begin), np.uint64(end)):
        out[a + i] += scale * tables[t + i] * v[b + i]


@njit(cache=True, fastmath=REORDERED, forceinline=True)
def write_runs(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``."""
    # Read once: each look into the tuple would count a reference.
    shape, starts, lows, highs, tables, n_plain = A.shape, A.starts, A.low, A.high, A.tables, A.n_plain
    origins, begins, ends, places, scales = A.origins, A.begins, A.ends, A.places, A.scales
    losses, rates, more_from, more, more_scales = A.loss_places, A.loss_scales, A.more_from, A.more, A.more_scales
    for r in range(first, end):
        start, length, low, high = starts[r], starts[r + 1] - starts[r], lows[r], highs[r]
        if len(shape) > 0 and high - low >= max(SHORTEST_FUSED, length // 2):
            _fused(
                shape,
                out,
                at,
                v,
                r,
                low,
                high,
                length,
                starts,
                origins,
                begins,
                ends,
                places,
                scales,
                losses,
                rates,
                tables,
            )
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


@njit(cache=True)
def next_batch(starts, first, end):
    """Return the end of a batch of runs whose states stay in the nearest caches while a solver works on them."""
    stop = first + 1
    while stop < end and starts[stop + 1] - starts[first] <= BATCH:
        stop += 1
    return stop


@njit(cache=True, fastmath=REORDERED, forceinline=True)
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


@njit(cache=True, fastmath=REORDERED, forceinline=True)
def dots(v, u, w, first, end):
    """Return the dot products of w with v, u and w on entries first..end."""
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        dot_v += w[i] * v[i]
        dot_u += w[i] * u[i]
        dot_w += w[i] * w[i]
    return dot_v, dot_u, dot_w


@njit(cache=True, fastmath=REORDERED, forceinline=True)
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


@njit(cache=True, nogil=True, forceinline=True)
def product_runs(A, first, end, form, x, v, u, w, total, alpha, beta, gamma, weight_v, weight_w, start):
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
    image = np.empty(0 if direct else BATCH)
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


@njit(cache=True, nogil=True)
def product_sinks(A, n, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
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
