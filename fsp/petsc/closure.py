"""Breadth-first closure of a set of states whose keys are spread over ranks.

Each rank maps its part of the frontier on, keeps the new keys of its own range, and sends the others to their owners,
where those that are known drop out.  Ranges are moved when they have become uneven, so they follow the set as it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.petsc.key_ranges import Ranges, balanced_counts, send_runs
from fsp.space.closure import Closure, sort_keys
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.model import Model
    from fsp.petsc.comm import Communicator
    from fsp.space.constraints import Constraint
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit

UNEVEN = 1.2  # times the mean that a rank may have more states
SPREAD_FROM = 256  # states for each rank from which on they are spread
REGROWN = 1.5  # times the number of states at the last move, from which on they are moved again


class SpreadClosure(Closure):
    """A set of states that grows by reactions, on each rank the states of its range."""

    _comm: Communicator

    def __init__(
        self,
        comm: Communicator,
        ranges: Ranges,
        model: Model,
        encoding: Encoding,
        constraints: Sequence[Constraint],
        runs: KeyRuns,
        frontier: IntArray,
        limit: Limit,
    ) -> None:
        super().__init__(comm, model, encoding, constraints, runs, frontier, limit)
        self._ranges = ranges
        self._moved_at = 0  # number of states

    def _owned(self, new: IntArray) -> IntArray:
        """Send new keys to their owners; return those of this rank that nobody has entered before, sorted."""
        if self._comm.size == 1:
            return new
        counts = self._ranges.counts_of(new)
        first = int(counts[: self._comm.rank].sum())
        local = new[first : first + int(counts[self._comm.rank])]
        away = np.ones(len(new), dtype=np.bool_)
        away[first : first + len(local)] = False
        counts[self._comm.rank] = 0
        received, _ = self._comm.exchange(new[away], counts)
        if not len(received):
            return local
        unmoved = np.zeros((1, received.shape[1]), dtype=np.int64)
        entered = self._visited.expand(received, np.ones((1, len(received)), dtype=np.bool_), unmoved)
        return sort_keys(np.concatenate([local, entered]))

    def _balance(self, total: int) -> None:
        comm = self._comm
        largest = comm.max(self._size) if comm.size > 1 else self._size
        spread = comm.size > 1 and total >= SPREAD_FROM * comm.size and total >= REGROWN * self._moved_at
        if spread and largest * comm.size > UNEVEN * total:
            self._move()
            self._moved_at = total

    def _move(self) -> None:
        """Make all ranks own equally many states."""
        self._merge()
        frontier = KeyRuns.of_keys(self._frontier)
        starts = self._comm.starts(len(self.runs))
        self.runs = send_runs(self._comm, self.runs, balanced_counts(self._comm, starts))
        self._size = len(self.runs)
        self._ranges = Ranges.of(self._comm, self.runs)
        self._start_from(send_runs(self._comm, frontier, self._ranges.cuts_of(frontier)).expand())
