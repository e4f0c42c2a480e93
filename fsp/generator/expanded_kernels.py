"""Compiled kernels of expanded slices: the rate of every state and slice is kept, in the order in which it is read.

A run of n states has ``1 + n_slots`` rows of rates, that of the loss first, each padded with zeros to a whole number of
vector registers.  One pass adds them all, without scalars, and without a rest after the last full register: what it
writes behind a run is overwritten by the next one, and what it reads there counts as zero.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import I8, kernel
from fsp.generator.kernels import REORDERED, Slices

LANES = 4  # states in a vector register; where it holds two (x86-64-v2) rows are whole registers as well
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


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def _write_each(out, at, v, r, start, length, origins, begins, ends, first, rates):
    """Write the gain less the loss of run r one slice after the other, and read what they reach alone."""
    row = padded(length)
    for i in range(length):
        out[at + i] = rates[first + i] * v[start + i]
    for k in range(origins.shape[1]):
        e, origin = first + (k + 1) * row, origins[r, k]
        for i in range(begins[r, k], ends[r, k]):
            out[at + i] += rates[e + i] * v[origin + i]


@kernel(forceinline=True)
def write_expanded(out, at, v, r, start, length, high, origins, begins, ends, first, rates):
    """Write the gain less the loss of the states of run r to ``out[at:]``, of `high` >= length states at once.

    Where `high` is 0, a slice would be read outside of the vector.
    """
    n_slots = origins.shape[1]
    if high == 0 or n_slots == 0:
        _write_each(out, at, v, r, start, length, origins, begins, ends, first, rates)
        return
    last, row, k, written = n_slots - 1, padded(length), 0, False
    while not written or k < n_slots:
        # Of slots beyond the last nothing is read.
        p0, p1, p2, p3 = min(k, last), min(k + 1, last), min(k + 2, last), min(k + 3, last)
        p4, p5, p6, p7 = min(k + 4, last), min(k + 5, last), min(k + 6, last), min(k + 7, last)
        rest = (
            np.uint64(high), out, np.uint64(at), v, np.uint64(start), rates, np.uint64(first + (k + 1) * row),
            np.uint64(row), np.uint64(origins[r, p0]), np.uint64(origins[r, p1]), np.uint64(origins[r, p2]),
            np.uint64(origins[r, p3]), np.uint64(origins[r, p4]), np.uint64(origins[r, p5]), np.uint64(origins[r, p6]),
            np.uint64(origins[r, p7]),
        )  # fmt: skip
        if written:
            _add_slots(min(MOST_SLOTS, n_slots - k), True, rest)
        else:
            _add_slots(min(MOST_SLOTS, n_slots - k), False, rest)
        k, written = k + MOST_SLOTS, True


@kernel()
def expand(A: Slices, bottom: I8, top: I8, first: I8, out: Slices):
    """Write the rates of the slices of A to `out`: its tables from `first` on, where each run's begin, `high`.

    Each run is written as far as no slice is read outside of the states bottom..top, beyond its end if that may be.
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
        beyond, inside = starts[r] + row <= top, True
        for k in range(n_slots):
            e, scale, place, origin = first + (k + 1) * row, A.scales[r, k], A.places[r, k], A.origins[r, k]
            for i in range(A.begins[r, k], A.ends[r, k]):
                rates[e + i] = scale if k < A.n_plain else scale * A.tables[place + i]
            beyond = beyond and origin + row <= top
            inside = inside and origin >= bottom and origin + length <= top
        out.high[r] = 0 if not inside else row if beyond else length
        first += (n_slots + 1) * row
