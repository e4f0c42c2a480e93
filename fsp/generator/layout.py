"""How the states of a space lie in the vectors of an operator: as runs along one species.

The runs are those of the space, or, where another species makes them much longer, those along that species; the
vectors are permuted then.  Long runs are cut into pieces that stay in the nearest cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fsp.generator import kernels
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.space import StateSpace
    from fsp.space.encoding import Encoding

PIECE = 4096  # states
SHORT_RUN = 16.0  # mean length of a run below which another species is tried; 8 to 32 differ by less than noise
LONGEST_TABLE = 2**17, 4  # counts of a species, and for each state, beyond which few of them are in the space
LONGER = 2.0  # times the mean length that another species must promise


@dataclass(frozen=True, eq=False)
class Layout:
    """KeyRuns of a space, ready for an operator."""

    space: StateSpace  # the space, in fields with room for the network's changes
    encoding: Encoding  # keys of the runs
    runs: KeyRuns  # the pieces of runs
    order: IntArray | None = None  # index in the space of the state at each place, (n,); None where they are the same

    @property
    def mean_length(self) -> float:
        """Mean length of a piece."""
        return len(self.runs) / len(self.runs.keys)

    @cached_property
    def counts(self) -> IntArray:
        """Counts of the first state of each piece, (n_pieces, n_species)."""
        return self.encoding.decode(self.runs.keys)

    @property
    def origin(self) -> IntArray:
        """Count of the species that varies, in the first state of each piece, (n_pieces,)."""
        kept = self.encoding.kept
        return self.counts[:, kept[-1]] if kept else np.zeros(len(self.runs.keys), dtype=np.int64)

    @cached_property
    def stride(self) -> IntArray:
        """Change of each species from one state of a run to the next, (n_species,)."""
        return self.encoding.stride(self.encoding.kept[-1]) if self.encoding.kept else 0 * self.space.top

    @cached_property
    def extremes(self) -> tuple[list[int], list[int]]:
        """Smallest and largest count of each species."""
        return self.space.bottom.tolist(), self.space.top.tolist()

    @cached_property
    def scattered(self) -> frozenset[str]:
        """The species of whose counts, from the smallest to the largest, few are in the space."""
        shortest, per_state = LONGEST_TABLE
        longest = max(shortest, per_state * len(self.space))
        counts = zip(self.space.species, *self.extremes, strict=True)
        return frozenset(name for name, bottom, top in counts if top - bottom > longest)

    def rates(self, model: Model, k: int, t: float) -> FloatArray:
        """Return the propensity of a reaction in every state, (n,), checked."""
        rates = model.propensity(k, self.space.states, t)
        return rates if self.order is None else rates[self.order]

    def check_low_counts(self, model: Model, k: int, t: float) -> None:
        """Raise a ModelError where a reaction would make a count negative."""
        for s, change in enumerate(model.change[k].tolist()):
            if self.space.bottom[s] < -change:
                states = self.space.states
                model.propensity(k, states[states[:, s] < -change], t)


def natural(space: StateSpace) -> Layout:
    """Return the layout in the order of the space."""
    return Layout(space, space.encoding, _pieces(space.runs))


def longest_runs(space: StateSpace) -> Layout:
    """Return the layout along the species that makes runs longest, if that is worth a permutation."""
    layout = natural(space)
    kept = space.encoding.kept
    if len(kept) < 2 or layout.mean_length >= SHORT_RUN:
        return layout
    n = len(space)
    best, fewest = kept[-1], len(space.runs.keys)
    for s in kept[:-1]:
        unit = np.zeros(space.encoding.n_species, dtype=np.int64)
        unit[s] = 1
        keys = space.runs.keys
        pairs = kernels.overlap(keys, space.runs.starts, space.encoding.shift_of(unit)[None], 0, 0, len(keys))
        if n - pairs < fewest:
            best, fewest = s, n - pairs
    if fewest * LONGER > len(space.runs.keys):
        return layout
    return turned(space, best)


def turned(space: StateSpace, species: int) -> Layout:
    """Return the layout along `species`, which the space's encoding must keep."""
    encoding = space.encoding.with_last(species)
    keys = encoding.encode(space.states)
    order = np.argsort(keys[:, 0], kind="stable") if encoding.n_words == 1 else np.lexsort(keys.T[::-1])
    return Layout(space, encoding, _pieces(KeyRuns.of_keys(keys[order])), order)


def _pieces(runs: KeyRuns) -> KeyRuns:
    """Cut runs into pieces of at most PIECE states."""
    lengths = runs.lengths
    if lengths.max() <= PIECE:
        return runs
    n_pieces = -(-lengths // PIECE)
    run = np.repeat(np.arange(len(lengths)), n_pieces)
    offset = (np.arange(len(run)) - (np.cumsum(n_pieces) - n_pieces)[run]) * PIECE
    keys = runs.keys[run]
    keys[:, -1] += offset
    return KeyRuns(keys, np.append(runs.starts[run] + offset, len(runs)))
