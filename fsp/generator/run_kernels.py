"""Compiled products of the closed chain on runs of states.

``y = A v`` is, run by run of y, a sum of slices of v, each times a scalar times a slice of a table.  Targets gather, so
ranges of runs may be computed by several threads.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, kernel
from fsp.generator.expanded_kernels import write_expanded
from fsp.generator.fused_kernels import write_fused
from fsp.generator.kernels import DOTS, EXPANDED, PRODUCT, RECURRENCE, REORDERED, STEP, Slices
from fsp.generator.row_kernels import product_rows

BATCH = 4096  # states


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


@kernel(fastmath=REORDERED, forceinline=True)
def _add_further(A, first, end, v, out, at):
    """Add the further slices of the runs first..end."""
    starts, tables, n_plain, more_from, more, scales = A.starts, A.tables, A.n_plain, A.more_from, A.more, A.more_scales
    for r in range(first, end):
        to = at + starts[r] - starts[first]
        for m in range(more_from[r], more_from[r + 1]):
            if more[m, 0] < n_plain:
                _add_plain(out, to, v, more[m, 1], more[m, 2], more[m, 3], scales[m])
            else:
                _add(out, to, v, more[m, 1], more[m, 2], more[m, 3], scales[m], tables, more[m, 4])


@kernel(forceinline=True)  # a call with all slices costs as much as 100 states
def write_runs(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``."""
    if A.mode == EXPANDED:
        write_expanded(A, first, end, v, out, at)
    else:
        write_fused(A, first, end, v, out, at)
    if A.more_from[first] < A.more_from[end]:
        _add_further(A, first, end, v, out, at)


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
