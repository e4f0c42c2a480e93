"""Reachable sets by whole runs, spread over ranks.

Each rank owns a range of fibers and closes what it owns under all jumps (see `fsp.space.saturation`); images in the
ranges of other ranks are collected, and sent when nothing is left to do.  That goes on until no rank gets anything new:
a few rounds where a search by levels has thousands.  A rank that finds too many states stops early, and the fibers
are spread anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.petsc.key_ranges import NO_KEY, Ranges, send_runs
from fsp.space.runs import KeyRuns
from fsp.space.saturation import EVERY_FIBER, MORE, Firings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.model import Model
    from fsp.petsc.comm import Communicator
    from fsp.space.constraints import Constraint
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit

FIRST_STATES = 100_000  # that a rank may find before fibers are spread
REGROWN = 2  # times the states of the rank with most that one may have found until they are spread anew


def saturate(
    comm: Communicator,
    model: Model,
    encoding: Encoding,
    initial: KeyRuns,
    constraints: Sequence[Constraint],
    limit: Limit,
) -> KeyRuns | None:
    """Return this rank's part of the closure of `initial`, None on all ranks where that needs a search by levels."""
    firings = None
    with comm.agree():
        firings = Firings.of(model, encoding, constraints)
    if firings is None:  # on all ranks: nothing here depends on the rank
        return None
    return _Saturation(comm, firings, int(encoding.bits[-1]), limit).close(initial)


class _Saturation:
    """A set that is closed, on each rank the fibers of its range: keys without the last `bits`."""

    def __init__(self, comm: Communicator, firings: Firings, bits: int, limit: Limit) -> None:
        self._comm, self._firings, self._limit = comm, firings, limit
        self._last_field = (1 << bits) - 1
        self._max_states = min(FIRST_STATES, limit.states) if comm.size > 1 else limit.states
        self._take(np.full(comm.size, NO_KEY))

    def _take(self, firsts: IntArray) -> None:
        """Let ranks own the fibers from `firsts` (size,) on; all below belong to the first rank."""
        rank = self._comm.rank
        self._ranges = Ranges(firsts[:, None], np.zeros(self._comm.size + 1, dtype=np.int64))
        self._first = 0 if rank == 0 else min(int(firsts[rank]), EVERY_FIBER)
        self._end = EVERY_FIBER if rank + 1 == self._comm.size else min(int(firsts[rank + 1]), EVERY_FIBER)

    def close(self, initial: KeyRuns) -> KeyRuns | None:
        """Return this rank's fibers of the closure, None on all ranks where a fiber falls into too many intervals."""
        nothing = initial.part(0, 0)
        known, fresh = nothing, initial
        going = True
        while going:
            rows = [np.concatenate(pair) for pair in ((known.keys, fresh.keys), (known.lengths, fresh.lengths))]
            marks, runs, size = self._firings.close(
                KeyRuns.of_lengths(*rows), self._max_states, n_done=len(known.keys), first=self._first, end=self._end
            )
            stopped = size > self._max_states
            lost = not marks and not stopped
            total, n_stopped, n_lost = self._comm.sum(np.array([size, stopped, lost])).tolist()
            if n_lost:
                return None
            self._limit.require(total, MORE)
            local, received = self._sent_away(runs)
            if n_stopped:
                known, fresh = nothing, self._spread(local.union(received))
            else:
                known, fresh = local, received
                going = self._comm.any(len(local.union(received)) > len(local))
        return known

    def _sent_away(self, runs: KeyRuns) -> tuple[KeyRuns, KeyRuns]:
        """Send the runs in the ranges of other ranks to them; return those of this one, and what has come."""
        counts = self._ranges.cuts_of(runs)
        before = int(counts[: self._comm.rank].sum())
        local = runs.part(before, before + int(counts[self._comm.rank]))
        away = runs.part(0, before), runs.part(before + len(local), len(runs))
        counts[self._comm.rank] = 0
        return local, send_runs(self._comm, away[0].union(away[1]), counts)

    def _spread(self, runs: KeyRuns) -> KeyRuns:
        """Let ranks own about equally many states; return the runs of this one."""
        starts = self._comm.starts(len(runs))
        bounds = np.array([rank * int(starts[-1]) // self._comm.size for rank in range(self._comm.size)])
        inside = np.flatnonzero((bounds >= starts[self._comm.rank]) & (bounds < starts[self._comm.rank + 1]))
        firsts = np.zeros(self._comm.size, dtype=np.int64)
        firsts[inside] = runs.take(bounds[inside] - starts[self._comm.rank])[:, 0] & ~self._last_field
        self._take(self._comm.max(firsts))
        local = send_runs(self._comm, runs, self._ranges.cuts_of(runs))
        self._max_states = min(max(FIRST_STATES, REGROWN * self._comm.max(len(local))), self._limit.states)
        return local
