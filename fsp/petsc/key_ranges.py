"""Which rank owns which keys: each a contiguous range of the sorted keys, in the order of the ranks."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.space.closure import sorted_unique
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray
    from fsp.petsc.comm import Communicator

NO_KEY = np.iinfo(np.int64).max  # above all keys: where a rank has none
TOLERATED = 0.02  # relative difference from the mean at which states are not moved between ranks
SAMPLES = 128  # keys of each rank that splitters are chosen from


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """The range of keys of each rank."""

    # first key of each rank, (size, n_words); that of the first rank is not looked at, since all lower keys are its
    # own. An empty range begins where the next one does
    firsts: IntArray
    starts: IntArray  # index of the first state of each rank, and the number of states, (size + 1,)

    @classmethod
    def of(cls, comm: Communicator, runs: KeyRuns) -> Ranges:
        """Return the ranges where each rank owns `runs`."""
        n_words = runs.keys.shape[1]
        local = runs.keys[0] if len(runs) else np.full(n_words, NO_KEY)
        gathered = np.empty((comm.size, n_words + 1), dtype=np.int64)
        comm.mpi.Allgather(np.append(local, len(runs)), gathered)
        firsts, counts = np.ascontiguousarray(gathered[:, :-1]), gathered[:, -1]
        for rank in range(comm.size - 2, -1, -1):
            if counts[rank] == 0:
                firsts[rank] = firsts[rank + 1]
        return cls(firsts, np.concatenate([[0], np.cumsum(counts)]))

    @property
    def is_balanced(self) -> bool:
        """Whether the numbers of states differ little enough to be left as they are."""
        counts = np.diff(self.starts)
        return bool(np.abs(counts - counts.mean()).max() <= TOLERATED * counts.mean())

    def counts_of(self, keys: IntArray) -> IntArray:
        """Return how many of sorted `keys` (m, n_words) belong to each rank, (size,)."""
        if keys.shape[1] == 1:
            begins = np.searchsorted(keys[:, 0], self.firsts[1:, 0])
        else:
            begins = np.array([place_of(keys, first) for first in self.firsts[1:].tolist()], dtype=np.int64)
        return np.diff(np.concatenate([[0], begins, [len(keys)]]))

    def cuts_of(self, runs: KeyRuns) -> IntArray:
        """Return how many of the states of `runs` belong to each rank, (size,)."""
        return np.diff(np.array([0, *(runs.below(first) for first in self.firsts[1:].tolist()), len(runs)]))


def place_of(keys: IntArray, key: Sequence[int]) -> int:
    """Return the number of sorted `keys` (m, n_words) that are smaller than `key` (n_words,)."""
    return bisect_left(range(len(keys)), tuple(key), key=lambda i: tuple(keys[i].tolist()))


def send_runs(comm: Communicator, runs: KeyRuns, counts: IntArray) -> KeyRuns:
    """Send `counts` (size,) states, in their order, to each rank; return the set of what has come."""
    ends = np.cumsum(counts)
    parts = [runs.part(int(end - n), int(end)) for n, end in zip(counts, ends, strict=True) if n]
    rows = np.concatenate([np.empty((0, runs.keys.shape[1] + 1), dtype=np.int64), *map(_rows_of, parts)])
    of_rank = np.zeros(comm.size, dtype=np.int64)
    of_rank[counts > 0] = [len(part.keys) for part in parts]
    received, _ = comm.exchange(rows, of_rank)
    received = received[np.lexsort(received[:, -2::-1].T)]
    # The union joins runs that were cut or have come from several ranks.
    return KeyRuns.of_lengths(np.ascontiguousarray(received[:, :-1]), received[:, -1]).union(runs.part(0, 0))


def balanced_counts(comm: Communicator, starts: IntArray) -> IntArray:
    """Return how many of this rank's states each rank must get so that all own equally many, (size,)."""
    n, first, end = int(starts[-1]), int(starts[comm.rank]), int(starts[comm.rank + 1])
    bounds = np.array([rank * n // comm.size for rank in range(comm.size + 1)])
    counts: IntArray = np.diff(np.clip(bounds, first, end))
    return counts


def sort_to_ranks(comm: Communicator, keys: IntArray) -> KeyRuns:
    """Return this rank's part of the set of `keys` (m, n_words) of all ranks: repeats merged, ranges about equal.

    Splitters are chosen from samples of each rank's keys.
    """
    local = sorted_unique(keys)
    chosen = local[np.linspace(0, len(local) - 1, min(SAMPLES, len(local))).astype(np.int64)]
    sample = sorted_unique(np.concatenate(comm.mpi.allgather(chosen)))
    if not len(sample):
        return KeyRuns.of_keys(local)
    firsts = sample[[rank * len(sample) // comm.size for rank in range(comm.size)]]
    splitters = Ranges(firsts, np.zeros(comm.size + 1, dtype=np.int64))
    received, _ = comm.exchange(local, splitters.counts_of(local))
    return KeyRuns.of_keys(sorted_unique(received))


def _rows_of(runs: KeyRuns) -> IntArray:
    return np.concatenate([runs.keys, runs.lengths[:, None]], axis=1)
