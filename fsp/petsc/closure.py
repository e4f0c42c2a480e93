"""Breadth-first closure of a set of states whose keys are spread over ranks.

One level at a time, as in `fsp.space.closure`: each rank maps its part of the frontier on, keeps the new keys of its
own range, and sends the others to their owners, where those that are known drop out.  Ranges are moved when they have
become uneven, so they follow the set as it grows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import StateSpaceError
from fsp.petsc.ranges import Ranges, balanced_counts, send_runs
from fsp.space.closure import FieldOverflowError, KeySet, Pump, enabled_jumps, fulfilling, sort_keys
from fsp.space.runs import Runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.model import Model
    from fsp.petsc.comm import Communicator
    from fsp.space.constraints import Constraint
    from fsp.space.encoding import Encoding

UNEVEN = 1.2  # times the mean that a rank may have more states
SPREAD_FROM = 256  # states for each rank from which on they are spread
REGROWN = 1.5  # times the number of states at the last move, from which on they are moved again


class Closure:
    """A set of states that grows by reactions.

    Parameters
    ----------
    comm, model, encoding, constraints
        As of the space.
    present
        This rank's states, all of which are in the set.
    frontier
        Keys of the own states that are to be mapped on, sorted, (m, n_words).
    ranges
        The range of each rank.
    limit
        Largest number of states, and what the caller calls it.
    """

    def __init__(
        self,
        comm: Communicator,
        model: Model,
        encoding: Encoding,
        constraints: Sequence[Constraint],
        present: Runs,
        frontier: IntArray,
        ranges: Ranges,
        limit: tuple[int, str],
    ) -> None:
        self._comm, self._model, self._encoding, self._constraints = comm, model, encoding, constraints
        self._limit = limit
        self.runs = present
        self.ranges = ranges
        self._frontier = frontier
        self._states = encoding.decode(frontier)
        self._shifts = np.array([encoding.shift_of(change) for change in model.change])  # (n_reactions, n_words)
        self._margins = np.abs(model.change).max(axis=0)
        self._visited = KeySet(encoding.n_words)
        self._visited.add(frontier)
        self._fresh: list[IntArray] = []  # of the levels since states were moved last
        self._moved_at = 0

    def follow(self, steps: int | None) -> None:
        """Add what up to `steps` reactions reach from the frontier; None for the whole closure.

        Raises
        ------
        StateSpaceError
            If the closure is seen to be infinite, or passes the limit.
        FieldOverflowError
            If a count does not fit its bit field.
        """
        infinite = steps is None and not self._constraints and not self._model.is_finite
        pump = Pump(self._model) if infinite else None
        level, going = 0, True
        while going and (steps is None or level < steps):
            level += 1
            going = self._advance(pump, level)
        self._merge()

    def _advance(self, pump: Pump | None, level: int) -> bool:
        """Map the frontier on; return whether there is a new one."""
        new = self._frontier[:0]
        with self._comm.agree():
            enabled = enabled_jumps(self._model, self._states)  # (n_reactions, n_frontier)
            if pump is not None:
                pump.test(self._states, enabled)
            new = sort_keys(self._visited.expand(self._frontier, enabled, self._shifts))
        own = self._received(new)
        own = own[self.runs.locate(own) < 0]
        states = self._encoding.decode(own)
        overflows = bool((states > self._encoding.capacity - self._margins).any())
        with self._comm.agree():
            if self._constraints and not overflows:
                own, states = fulfilling(own, states, self._constraints)
        self._frontier, self._states = own, states
        self._fresh.append(own)
        return self._look(overflows, level)

    def _received(self, new: IntArray) -> IntArray:
        """Send new keys to their owners; return those of this rank that nobody has entered before, sorted."""
        if self._comm.size == 1:
            return new
        counts = self.ranges.counts_of(new)
        first = int(counts[: self._comm.rank].sum())
        own = new[first : first + int(counts[self._comm.rank])]
        away = np.ones(len(new), dtype=np.bool_)
        away[first : first + len(own)] = False
        counts[self._comm.rank] = 0
        received, _ = self._comm.exchange(new[away], counts)
        if not len(received):
            return own
        unmoved = np.zeros((1, received.shape[1]), dtype=np.int64)
        entered = self._visited.expand(received, np.ones((1, len(received)), dtype=np.bool_), unmoved)
        return sort_keys(np.concatenate([own, entered]))

    def _look(self, overflows: bool, level: int) -> bool:
        """Tell whether to go on, after a look at the sizes of all ranks."""
        size = len(self.runs) + sum(map(len, self._fresh))
        total, n_frontier, n_overflows = self._comm.sum(np.array([size, len(self._frontier), overflows])).tolist()
        if n_overflows:
            raise FieldOverflowError
        if total > self._limit[0]:
            raise StateSpaceError(
                f"The number of states must be at most {self._limit[0]:,} (`{self._limit[1]}`), but {level} reaction "
                f"steps reach more than that; raise the limit or add constraints."
            )
        largest = self._comm.max(size) if self._comm.size > 1 else size
        spread = self._comm.size > 1 and total >= SPREAD_FROM * self._comm.size and total >= REGROWN * self._moved_at
        if spread and largest * self._comm.size > UNEVEN * total:
            self._move()
            self._moved_at = total
        return bool(n_frontier)

    def _merge(self) -> None:
        """Enter the levels into the set."""
        keys = np.concatenate([self._frontier[:0], *self._fresh])
        self.runs = self.runs.union(Runs.of_keys(sort_keys(keys)))
        self._fresh = []

    def _move(self) -> None:
        """Make all ranks own equally many states."""
        self._merge()
        frontier = Runs.of_keys(self._frontier)
        starts = self._comm.starts(len(self.runs))
        self.runs = send_runs(self._comm, self.runs, balanced_counts(self._comm, starts))
        self.ranges = Ranges.of(self._comm, self.runs)
        self._frontier = send_runs(self._comm, frontier, self.ranges.cuts_of(frontier)).expand()
        self._states = self._encoding.decode(self._frontier)
        self._visited = KeySet(self._encoding.n_words)
        self._visited.add(self._frontier)
