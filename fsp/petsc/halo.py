"""The states of other ranks that the jumps into and out of a rank's own states concern, and the exchange of values.

The *extended* states of a rank are those before its own, its own, and those after: sorted, so the serial plan of runs
serves for them, and a rank computes the runs that are its own.  Which states are needed is found once for each space.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.petsc.space import StateSpace, locate
from fsp.space import StateSpace as LocalSpace
from fsp.space.closure import sorted_unique
from fsp.space.runs import KeyRuns, precede

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray

TAG = 4711  # of messages with values


class Halo:
    """The extended states of one rank, and the messages that bring their values.

    `space` has fields with room for the `changes` (n_changes, n_species).  `extended` are the states before the own
    ones, `first` of them, the own ones, and those after; `global_index` (n_extended,) are their indices in the space.
    """

    def __init__(self, space: StateSpace, changes: IntArray) -> None:
        self.comm = space.comm
        self.n = space.n_local
        keys, index = _neighbours(space, changes)
        n_before = int(np.searchsorted(index, space.first))
        before, after = KeyRuns.of_keys(keys[:n_before]), KeyRuns.of_keys(keys[n_before:])
        own_index = np.arange(space.first, space.first + self.n)
        self.global_index = np.concatenate([index[:n_before], own_index, index[n_before:]])
        if not self.n:  # a plan needs a state; nothing comes of it
            before, n_before = _any_state(space), 1
            self.global_index = np.zeros(1, dtype=np.int64)
        self.first = n_before
        runs = _joined(before, space.runs, after)
        self.extended = LocalSpace(space.species, space.encoding, runs, space.constraints)
        self._values = np.zeros(len(runs))
        self._incoming, self._outgoing = self._messages(space, index)
        self.keeps_sinks = self.comm.rank == 0
        self._under_way: list[Any] = []
        self._sent: list[FloatArray] = []

    @property
    def owned(self) -> tuple[int, int]:
        """The range of the own states among the extended ones."""
        return self.first, self.first + self.n

    @property
    def n_received(self) -> int:
        """Number of values that one exchange brings."""
        return sum(len(part) for _, part in self._incoming)

    def begin(self, v: FloatArray) -> None:
        """Start to send and to receive values, where `v` begins with those of the own states.  Collective."""
        mpi = self.comm.mpi
        self._under_way = [mpi.Irecv(part, rank, TAG) for rank, part in self._incoming]
        self._sent = [np.ascontiguousarray(v[chosen]) for _, chosen in self._outgoing]
        self._under_way += [
            mpi.Isend(part, rank, TAG) for (rank, _), part in zip(self._outgoing, self._sent, strict=True)
        ]

    def finish(self, v: FloatArray, head: int, tail: int) -> FloatArray:
        """Return the values of the extended states, (n_extended,), when those of other ranks are there.

        Of the own ones, those before `head` and from `tail` on are written.  The array is the same every time.
        """
        first = self.first
        self._values[first : first + head] = v[:head]
        self._values[first + tail : first + self.n] = v[tail : self.n]
        for request in self._under_way:
            request.Wait()
        return self._values

    def added(self, value: Any) -> Any:
        """Return the sum over all ranks, of a number or of an array entry by entry."""
        return self.comm.sum(value)

    def _messages(self, space: StateSpace, index: IntArray) -> tuple[list[Any], list[Any]]:
        """Return what comes from which rank, as parts of the values, and what goes to which, as own indices."""
        cuts = np.searchsorted(index, space.ranges.starts)
        wanted, counts = self.comm.exchange(index, np.diff(cuts))
        ends = np.cumsum(counts)
        outgoing = [
            (rank, _compact(wanted[end - count : end] - space.first))
            for rank, (count, end) in enumerate(zip(counts.tolist(), ends.tolist(), strict=True))
            if count
        ]
        incoming = []
        for rank, (low, high) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
            if high > low:
                shift = self.n if rank > self.comm.rank else 0
                incoming.append((rank, self._values[low + shift : high + shift]))
        return incoming, outgoing


def _neighbours(space: StateSpace, changes: IntArray) -> tuple[IntArray, IntArray]:
    """Return the states of other ranks that a jump leads to or comes from: keys (m, n_words) and indices, sorted."""
    shifts = [sign * space.encoding.shift_of(change) for change in changes for sign in (1, -1)]
    keys = sorted_unique(np.concatenate([_shifted_away(space, shift) for shift in shifts]))
    index = locate(space, keys)
    return keys[index >= 0], index[index >= 0]


def _shifted_away(space: StateSpace, shift: IntArray) -> IntArray:
    """Return the keys of the own states, shifted, that lie in the ranges of other ranks, (m, n_words)."""
    runs, rank, size = space.runs, space.comm.rank, space.comm.size
    nothing = np.empty((0, runs.keys.shape[1]), dtype=np.int64)
    if size == 1 or not len(runs):
        return nothing
    moved = KeyRuns(runs.keys + shift, runs.starts)
    away = np.zeros(len(moved.keys), dtype=np.bool_)
    last = moved.last_keys()
    begin = space.ranges.firsts[rank] if rank else None
    end = space.ranges.firsts[rank + 1] if rank + 1 < size else None
    if begin is not None:
        away |= precede(moved.keys, begin)
    if end is not None:
        away |= ~precede(last, end)
    some = KeyRuns.of_lengths(moved.keys[away], moved.lengths[away]).expand() if away.any() else nothing
    outside = np.zeros(len(some), dtype=np.bool_)
    if begin is not None:
        outside |= precede(some, begin)
    if end is not None:
        outside |= ~precede(some, end)
    return some[outside]


def _any_state(space: StateSpace) -> KeyRuns:
    """Return one state of the space."""
    owner = int(np.argmax(np.diff(space.ranges.starts) > 0))
    return KeyRuns.of_keys(space.ranges.firsts[owner][None].copy())


def _joined(*parts: KeyRuns) -> KeyRuns:
    """Return the states of sorted sets one after the other; runs that touch stay apart."""
    keys = np.concatenate([part.keys for part in parts])
    return KeyRuns.of_lengths(keys, np.concatenate([part.lengths for part in parts]))


def _compact(indices: IntArray) -> Any:
    """Return indices as a slice where they are one."""
    first, last = int(indices[0]), int(indices[-1])
    return slice(first, last + 1) if last - first + 1 == len(indices) else indices
