"""Compiled kernels of expanded slices: the rate of every state and slice is kept, in the order in which it is read.

A joined run of n states has ``1 + n_slots`` rows of rates, that of the loss first, each padded with zeros to a whole
number of vector registers.  One pass adds them all, without scalars, and without a rest after the last full register:
what it writes behind a run is overwritten by the next one, and what it reads there counts as zero.

Neighbouring runs are joined where every slice that reaches both reads on, in the second, where it ended in the first:
without scalars and tables it does not matter that a species jumps between them.  So the states of a plane that has one
count of the last species only, which are runs of one state each, are read along the one before.
"""

from __future__ import annotations

from fsp.compilation.kernel import I8, Ints, kernel
from fsp.compilation.lanes import LANES, entries, load, store
from fsp.generator.fused_kernels import ADDED
from fsp.generator.kernels import Slices

MOST_SLOTS = 8  # slices in one pass; more take several.  Chosen: a loop is compiled for each number


@kernel(fastmath=ADDED, forceinline=True)
def _sum(n_slots, gains, i, row, kept, here, v, rates, e, p0, p1, p2, p3, p4, p5, p6, p7):
    """Return what a pass makes of the states i, i + 1, … of a run."""
    x = load(kept, here + i) if gains else load(rates, e - row + i) * load(v, here + i)
    if n_slots > 0:
        x = load(rates, e + i) * load(v, p0 + i) + x
    if n_slots > 1:
        x = load(rates, e + row + i) * load(v, p1 + i) + x
    if n_slots > 2:
        x = load(rates, e + 2 * row + i) * load(v, p2 + i) + x
    if n_slots > 3:
        x = load(rates, e + 3 * row + i) * load(v, p3 + i) + x
    if n_slots > 4:
        x = load(rates, e + 4 * row + i) * load(v, p4 + i) + x
    if n_slots > 5:
        x = load(rates, e + 5 * row + i) * load(v, p5 + i) + x
    if n_slots > 6:
        x = load(rates, e + 6 * row + i) * load(v, p6 + i) + x
    if n_slots > 7:
        x = load(rates, e + 7 * row + i) * load(v, p7 + i) + x
    return x


@kernel(fastmath=ADDED, forceinline=True)
def _write_rest(i, stop, n_slots, out, at, v, start, rates, first, row, origins, q):
    """Write the states i..stop of a run one by one."""
    for j in range(i, stop):
        total = rates[first + j] * v[start + j]
        for k in range(n_slots):
            total = rates[first + (k + 1) * row + j] * v[origins[q + k] + j] + total
        out[at + j] = total


@kernel(forceinline=True)
def _pass(n_slots, gains, stop, row, out, at, v, start, rates, e, origins, q):
    """Add so many slices of the first states of a run, in whole registers, behind what a pass before made of them."""
    # Of slots beyond the last nothing is read.
    p0, p1 = origins[q], origins[q + min(1, n_slots - 1)]
    p2, p3 = origins[q + min(2, n_slots - 1)], origins[q + min(3, n_slots - 1)]
    p4, p5 = origins[q + min(4, n_slots - 1)], origins[q + min(5, n_slots - 1)]
    p6, p7 = origins[q + min(6, n_slots - 1)], origins[q + min(7, n_slots - 1)]
    kept, here = (out, at) if gains else (v, start)
    i = 0
    while i < stop:
        store(out, at + i, _sum(n_slots, gains, i, row, kept, here, v, rates, e, p0, p1, p2, p3, p4, p5, p6, p7))
        i += LANES


@kernel(forceinline=True)
def _add_slots(n_slots, rest):
    """Add so many slices in one pass; a loop is compiled for each number."""
    if n_slots == 1:
        _pass(1, True, *rest)
    elif n_slots == 2:
        _pass(2, True, *rest)
    elif n_slots == 3:
        _pass(3, True, *rest)
    elif n_slots == 4:
        _pass(4, True, *rest)
    elif n_slots == 5:
        _pass(5, True, *rest)
    elif n_slots == 6:
        _pass(6, True, *rest)
    elif n_slots == 7:
        _pass(7, True, *rest)
    else:
        _pass(8, True, *rest)


@kernel(inline="always")
def padded(length):
    """Return a number of states, rounded up to a whole number of registers."""
    return (length + LANES - 1) // LANES * LANES


@kernel(forceinline=True)
def _write(at_once, first, end, n_slots, out, at, v, starts, highs, origins, places, rates):
    """Write the runs first..end, the first `at_once` slices in one pass."""
    for r in range(first, end):
        start, length, e, q = starts[r], starts[r + 1] - starts[r], places[r], r * n_slots
        row = padded(length)
        high = highs[r] if start + highs[r] <= starts[end] else length  # what follows the range is not to be written
        stop = high // LANES * LANES
        _pass(at_once, False, stop, row, out, at, v, start, rates, e + row, origins, q)
        if at_once == MOST_SLOTS:
            for k in range(MOST_SLOTS, n_slots, MOST_SLOTS):
                rest = (stop, row, out, at, v, start, rates, e + (k + 1) * row, origins, q + k)
                _add_slots(min(MOST_SLOTS, n_slots - k), rest)
        if stop < high:
            _write_rest(stop, high, n_slots, out, at, v, start, rates, e, row, origins, q)
        at += length


@kernel(forceinline=True)
def write_expanded(A, first, end, v, out, at):
    """Write ``A v`` for the states of runs first..end to ``out[at:]``, further slices left out."""
    n_slots = A.origins.shape[1]
    rest = (
        first, end, n_slots, entries(out), at, entries(v), entries(A.starts), entries(A.high), entries(A.origins),
        entries(A.loss_places), entries(A.tables),
    )  # fmt: skip
    if n_slots == 1:
        _write(1, *rest)
    elif n_slots == 2:
        _write(2, *rest)
    elif n_slots == 3:
        _write(3, *rest)
    elif n_slots == 4:
        _write(4, *rest)
    elif n_slots == 5:
        _write(5, *rest)
    elif n_slots == 6:
        _write(6, *rest)
    elif n_slots == 7:
        _write(7, *rest)
    else:
        _write(MOST_SLOTS, *rest)


# ---- what is written out ------------------------------------------------------------------------------------


@kernel()
def join(A: Slices, longest: I8, firsts: Ints, joined: Slices):
    """Join neighbouring runs up to `longest` states; return how many there are then.

    Their first runs, (n_runs + 1,), go to `firsts`, and where their slices begin, end and read to `joined`.
    """
    starts, origins, begins, ends = A.starts, A.origins, A.begins, A.ends
    n_runs, n_slots = origins.shape
    n = 0
    for r in range(n_runs):
        g = n - 1
        offset = starts[r] - starts[firsts[g]] if n > 0 else 0
        fits = n > 0 and offset + starts[r + 1] - starts[r] <= longest
        for k in range(n_slots):
            if fits and begins[r, k] < ends[r, k] and joined.begins[g, k] < joined.ends[g, k]:
                fits = origins[r, k] - offset == joined.origins[g, k]
        if not fits:
            firsts[n], g, offset = r, n, 0
            n += 1
            for k in range(n_slots):
                joined.origins[g, k] = origins[r, k]
                joined.begins[g, k], joined.ends[g, k] = begins[r, k], ends[r, k]
            continue
        for k in range(n_slots):
            if begins[r, k] < ends[r, k]:
                if joined.begins[g, k] == joined.ends[g, k]:
                    joined.origins[g, k], joined.begins[g, k] = origins[r, k] - offset, begins[r, k] + offset
                joined.ends[g, k] = ends[r, k] + offset
    firsts[n] = n_runs
    return n


@kernel()
def expand(A: Slices, firsts: Ints, top: I8, first: I8, out: Slices):
    """Write the rates of the slices of A to `out`: its tables from `first` on, where each run's begin, `high`.

    `firsts` are the first runs of A of those of `out`.  Each run is written beyond its end where no slice is then read
    beyond the states up to `top`.
    """
    n_slots, n_loss = A.scales.shape[1], A.loss_places.shape[1]
    rates = out.tables
    for g in range(len(firsts) - 1):
        start = out.starts[g]
        length = out.starts[g + 1] - start
        row = padded(length)
        out.loss_places[g, 0] = first
        for r in range(firsts[g], firsts[g + 1]):
            e = first + A.starts[r] - start
            for i in range(A.starts[r + 1] - A.starts[r]):
                loss = A.loss_scales[r, n_loss]
                for k in range(n_loss):
                    loss += A.loss_scales[r, k] * A.tables[A.loss_places[r, k] + i]
                rates[e + i] = -loss
            for k in range(n_slots):
                e, scale, place = e + row, A.scales[r, k], A.places[r, k]
                for i in range(A.begins[r, k], A.ends[r, k]):
                    rates[e + i] = scale if k < A.n_plain else scale * A.tables[place + i]
        fits = start + row <= top
        for k in range(n_slots):
            fits = fits and out.origins[g, k] + row <= top
        out.high[g] = row if fits else length
        first += (n_slots + 1) * row
