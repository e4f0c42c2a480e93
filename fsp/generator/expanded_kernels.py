"""Compiled kernels of expanded slices: the rate of every state and slice is kept, in the order in which it is read.

A run of n states has ``1 + n_slots`` rows of rates, that of the loss first, each padded with zeros to a whole number of
vector registers.  One pass adds them all, without scalars, and without a rest after the last full register: what it
writes behind a run is overwritten by the next one, and what it reads there counts as zero.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import I8, kernel
from fsp.compilation.lanes import LANES
from fsp.generator.kernels import REORDERED, Slices

MOST_SLOTS = 8  # slices in one pass; more take several.  Chosen: a loop is compiled for each number


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _loop(n_slots, gains, n, out, a, v, b, rates, e, row, p0, p1, p2, p3, p4, p5, p6, p7):
    # Unsigned indices need no check for negative ones, which would keep the loop from vector registers.
    for i in range(n):
        total = out[a + i] if gains else rates[e - row + i] * v[b + i]
        if n_slots > 0:
            total += rates[e + i] * v[p0 + i]
        if n_slots > 1:
            total += rates[e + row + i] * v[p1 + i]
        if n_slots > 2:
            total += rates[e + np.uint64(2) * row + i] * v[p2 + i]
        if n_slots > 3:
            total += rates[e + np.uint64(3) * row + i] * v[p3 + i]
        if n_slots > 4:
            total += rates[e + np.uint64(4) * row + i] * v[p4 + i]
        if n_slots > 5:
            total += rates[e + np.uint64(5) * row + i] * v[p5 + i]
        if n_slots > 6:
            total += rates[e + np.uint64(6) * row + i] * v[p6 + i]
        if n_slots > 7:
            total += rates[e + np.uint64(7) * row + i] * v[p7 + i]
        out[a + i] = total


@kernel(forceinline=True)
def _add_slots(n_slots, gains, rest):
    """Add so many slices at once; a loop is compiled for each number."""
    if n_slots == 8:
        _loop(8, gains, *rest)
    elif n_slots == 7:
        _loop(7, gains, *rest)
    elif n_slots == 6:
        _loop(6, gains, *rest)
    elif n_slots == 5:
        _loop(5, gains, *rest)
    elif n_slots == 4:
        _loop(4, gains, *rest)
    elif n_slots == 3:
        _loop(3, gains, *rest)
    elif n_slots == 2:
        _loop(2, gains, *rest)
    elif n_slots == 1:
        _loop(1, gains, *rest)
    elif not gains:
        _loop(0, False, *rest)


@kernel(inline="always")
def padded(length):
    """Return a number of states, rounded up to a whole number of registers."""
    return (length + LANES - 1) // LANES * LANES


@kernel(inline="always")
def _pass(gains, k, out, at, v, r, start, length, high, origins, first, rates):
    """Add the slices k, k + 1, … of a run, as many as one pass does."""
    last, row, q = np.uint64(origins.shape[1] - 1), np.uint64(padded(length)), np.uint64(k)
    run, one = np.uint64(r), np.uint64(1)
    # Of slots beyond the last nothing is read.
    p1 = min(q + one, last)
    p2 = min(q + np.uint64(2), last)
    p3 = min(q + np.uint64(3), last)
    p4 = min(q + np.uint64(4), last)
    p5 = min(q + np.uint64(5), last)
    p6 = min(q + np.uint64(6), last)
    p7 = min(q + np.uint64(7), last)
    rest = (
        np.uint64(high), out, np.uint64(at), v, np.uint64(start), rates, np.uint64(first) + (q + one) * row, row,
        np.uint64(origins[run, q]), np.uint64(origins[run, p1]), np.uint64(origins[run, p2]),
        np.uint64(origins[run, p3]), np.uint64(origins[run, p4]), np.uint64(origins[run, p5]),
        np.uint64(origins[run, p6]), np.uint64(origins[run, p7]),
    )  # fmt: skip
    _add_slots(min(MOST_SLOTS, origins.shape[1] - k), gains, rest)


@kernel(forceinline=True)
def write_expanded(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``, further slices left out."""
    starts, highs, origins, places, rates = A.starts, A.high, A.origins, A.loss_places, A.tables
    for r in range(first, end):
        start, length = starts[r], starts[r + 1] - starts[r]
        high = highs[r] if start + highs[r] <= starts[end] else length  # what follows the range is not to be written
        _pass(False, 0, out, at, v, r, start, length, high, origins, places[r, 0], rates)
        for k in range(MOST_SLOTS, origins.shape[1], MOST_SLOTS):
            _pass(True, k, out, at, v, r, start, length, high, origins, places[r, 0], rates)
        at += length


@kernel()
def expand(A: Slices, top: I8, first: I8, out: Slices):
    """Write the rates of the slices of A to `out`: its tables from `first` on, where each run's begin, `high`.

    Each run is written beyond its end where no slice is then read beyond the states up to `top`.
    """
    starts, n_runs, n_slots, n_loss = A.starts, len(A.starts) - 1, A.scales.shape[1], A.loss_places.shape[1]
    rates = out.tables
    for r in range(n_runs):
        length = starts[r + 1] - starts[r]
        row = padded(length)
        out.loss_places[r, 0] = first
        for i in range(length):
            loss = A.loss_scales[r, n_loss]
            for k in range(n_loss):
                loss += A.loss_scales[r, k] * A.tables[A.loss_places[r, k] + i]
            rates[first + i] = -loss
        fits = starts[r] + row <= top
        for k in range(n_slots):
            e, scale, place = first + (k + 1) * row, A.scales[r, k], A.places[r, k]
            for i in range(A.begins[r, k], A.ends[r, k]):
                rates[e + i] = scale if k < A.n_plain else scale * A.tables[place + i]
            fits = fits and out.origins[r, k] + row <= top
        out.high[r] = row if fits else length
        first += (n_slots + 1) * row
