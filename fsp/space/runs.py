"""Sorted sets of keys as runs of neighbours along the last species.

Fix all species of a state but the last that the encoding keeps: what remains is a fiber.  Its states have
consecutive keys, so a fiber without holes is one run, and a set of states is a short list of runs.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.space import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, eq=False)
class KeyRuns:
    """A sorted set of keys."""

    keys: IntArray  # key of the first state of each run, (n_runs, n_words)
    starts: IntArray  # index of the first state of each run, and the number of states, (n_runs + 1,)

    @classmethod
    def of_keys(cls, keys: IntArray) -> KeyRuns:
        """Return the runs of sorted, distinct keys (n, n_words)."""
        first = np.ones(len(keys), dtype=np.bool_)
        first[1:] = keys[1:, -1] != keys[:-1, -1] + 1
        for word in range(keys.shape[1] - 1):
            first[1:] |= keys[1:, word] != keys[:-1, word]
        starts = np.append(np.flatnonzero(first), len(keys))
        return cls(np.ascontiguousarray(keys[starts[:-1]]), starts)

    @classmethod
    def of_lengths(cls, keys: IntArray, lengths: IntArray) -> KeyRuns:
        """Return the runs with these first keys (n_runs, n_words) and lengths (n_runs,)."""
        return cls(keys, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        """Return the number of states."""
        return int(self.starts[-1])

    @property
    def lengths(self) -> IntArray:
        """Number of states of each run, (n_runs,)."""
        return np.diff(self.starts)

    def last_keys(self) -> IntArray:
        """Return the key of the last state of each run, (n_runs, n_words)."""
        keys = self.keys.copy()
        keys[:, -1] += self.lengths - 1
        return keys

    def ends(self) -> IntArray:
        """Return the keys of the first and last states: along a run every count is monotone, so they hold extremes."""
        return np.concatenate([self.keys, self.last_keys()])

    def expand(self) -> IntArray:
        """Return all keys, (n, n_words)."""
        keys = np.empty((len(self), self.keys.shape[1]), dtype=np.int64)
        kernels.expand_runs(self.keys, self.starts, keys)
        return keys

    def take(self, indices: IntArray) -> IntArray:
        """Return the keys of the states at `indices`, (m, n_words)."""
        run = np.searchsorted(self.starts, indices, side="right") - 1
        keys = self.keys[run]
        keys[:, -1] += indices - self.starts[run]
        return keys

    def locate(self, queries: IntArray) -> IntArray:
        """Return the index of each of `queries` (m, n_words), -1 where absent."""
        indices = np.empty(len(queries), dtype=np.int64)
        kernels.locate(self.keys, self.starts, np.ascontiguousarray(queries), indices)
        return indices

    def select(self, kept: BoolArray) -> KeyRuns:
        """Return the states where `kept` (n,) is true."""
        keys, lengths = kernels.select(self.keys, self.starts, kept)
        return KeyRuns.of_lengths(keys, lengths)

    def part(self, first: int, end: int) -> KeyRuns:
        """Return the states first..end."""
        if first >= end:
            return KeyRuns(self.keys[:0], np.zeros(1, dtype=np.int64))
        low = int(np.searchsorted(self.starts, first, side="right")) - 1
        high = int(np.searchsorted(self.starts, end, side="left"))
        keys = self.keys[low:high].copy()
        keys[0, -1] += first - self.starts[low]
        starts = np.clip(self.starts[low : high + 1], first, end) - first
        return KeyRuns(keys, starts)

    def below(self, key: Sequence[int]) -> int:
        """Return the number of states whose keys are smaller than `key` (n_words,)."""
        target = tuple(key)
        run = bisect_right(range(len(self.keys)), target, key=lambda r: tuple(self.keys[r].tolist())) - 1
        if run < 0:
            return 0
        first = tuple(self.keys[run].tolist())
        length = int(self.starts[run + 1] - self.starts[run])
        reached = min(target[-1] - first[-1], length) if target[:-1] == first[:-1] else length
        return int(self.starts[run]) + reached

    def union(self, other: KeyRuns) -> KeyRuns:
        """Return the states of either set."""
        keys, lengths = kernels.unite(self.keys, self.starts, other.keys, other.starts)
        return KeyRuns.of_lengths(keys.copy(), lengths)

    def carry(self, values: FloatArray, other: KeyRuns) -> FloatArray:
        """Return on the states of `other` the values (n,) that belong to the states of this set, 0 elsewhere."""
        carried = np.zeros(len(other))
        kernels.carry(self.keys, self.starts, values, other.keys, other.starts, carried)
        return carried


def precede(keys: IntArray, key: IntArray) -> BoolArray:
    """Tell which of `keys` (m, n_words) are smaller than `key` (n_words,)."""
    below, equal = np.zeros(len(keys), dtype=np.bool_), np.ones(len(keys), dtype=np.bool_)
    for word, value in zip(keys.T, key, strict=True):
        below |= equal & (word < value)
        equal &= word == value
    return below
