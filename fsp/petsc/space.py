"""Finite sets of states that are spread over ranks.

Each rank owns a contiguous range of the sorted keys, and holds it as a space of its own (`fsp.space.StateSpace`), so
that the states of all ranks, one rank after the other, are those of the serial space in its order.  Every method is
collective: all ranks call it, each with what belongs to its own states.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import StateSpaceError
from fsp.petsc import environment
from fsp.petsc.closure import SpreadClosure
from fsp.petsc.comm import Communicator
from fsp.petsc.key_ranges import Ranges, balanced_counts, send_runs, sort_to_ranks
from fsp.petsc.saturation import saturate
from fsp.space import StateSpace as LocalSpace
from fsp.space.base import BaseSpace
from fsp.space.closure import sorted_unique
from fsp.space.encoding import build_encoding
from fsp.space.fields import encoding_of_reachable, margins
from fsp.space.limits import check_size, state_limit
from fsp.space.runs import KeyRuns
from fsp.space.space import box_constraints, checked_box, conditions_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.space.constraints import Constraint, ConstraintLike
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit


class StateSpace(BaseSpace):
    """A finite set of states, sorted lexicographically, a contiguous part of it on each rank.

    Make one with `box`, `reachable` or `from_states`.

    Attributes
    ----------
    comm : Communicator
        The ranks.
    local : fsp.StateSpace
        The states of this rank.
    ranges : Ranges
        Which keys each rank owns.
    """

    def __init__(
        self,
        comm: Communicator,
        species: Sequence[str],
        encoding: Encoding,
        runs: KeyRuns,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        ranges = Ranges.of(comm, runs)
        check_indices(int(ranges.starts[-1]))
        if not ranges.is_balanced:
            runs = send_runs(comm, runs, balanced_counts(comm, ranges.starts))
            ranges = Ranges.of(comm, runs)
        self.comm: Communicator = comm
        self.ranges = ranges
        self._local = LocalSpace(species, encoding, runs, constraints)
        self.species, self.constraints = self._local.species, self._local.constraints
        self.encoding, self.runs = encoding, runs

    # ---- making one ---------------------------------------------------------------------------------------

    @classmethod
    def box(
        cls,
        model: Model,
        upper: Mapping[str, int] | Sequence[int] | int,
        lower: Mapping[str, int] | Sequence[int] | int = 0,
        *,
        comm: Any = None,
        max_states: int | None = None,
        max_memory: int | None = None,
    ) -> StateSpace:
        """Return all states with ``lower <= x <= upper``; see `fsp.StateSpace.box`.  `max_memory` is of all ranks."""
        comm = Communicator.of(comm)
        with comm.agree():
            bottom, top = checked_box(model, lower, upper)
            extents = [int(t) - int(b) + 1 for t, b in zip(top, bottom, strict=True)]
            n = prod(extents)
            limit = environment.load().largest_index if max_states is None else max_states
            check_size(f"The box of {' x '.join(map(str, extents))} states", n, model, limit, max_memory)
            check_indices(n)
            encoding = build_encoding(top.astype(np.float64), margins(model))
            encoding.require(top[None], model.species)
            first, end = comm.rank * n // comm.size, (comm.rank + 1) * n // comm.size
            runs = _box_runs(encoding, bottom, extents, first, end)
        return cls(comm, model.species, encoding, runs, box_constraints(model, bottom, top))

    @classmethod
    def reachable(
        cls,
        model: Model,
        constraints: ConstraintLike | Sequence[ConstraintLike] = (),
        *,
        steps: int | None = None,
        comm: Any = None,
        max_states: int | None = None,
        max_memory: int | None = None,
    ) -> StateSpace:
        """Return the states that the network reaches from its initial ones; see `fsp.StateSpace.reachable`.

        Without `max_states` the limit is what PETSc's indices can count.
        """
        comm = Communicator.of(comm)
        with comm.agree():
            conditions = conditions_on(model, constraints)
            encoding = encoding_of_reachable(model)
            initial = encoding.encode(model.initial_states if comm.rank == 0 else model.initial_states[:0])
        start = cls(comm, model.species, encoding, sort_to_ranks(comm, initial), conditions)
        limit = state_limit(model, max_states, max_memory, environment.load().largest_index)
        closed = None
        if steps is None:
            closed = saturate(comm, model, encoding, start.runs, conditions, limit)
        return start._grown(model, steps, None, limit) if closed is None else start._with(closed)

    @classmethod
    def from_states(cls, species: Sequence[str], states: IntArray, *, comm: Any = None) -> StateSpace:
        """Return the space of the `states` (m, n_species) of all ranks, in any order, repeats merged."""
        comm = Communicator.of(comm)
        with comm.agree():
            local = LocalSpace.from_states(species, states)
        top = comm.max(local.top)
        encoding = build_encoding(np.asarray(top, dtype=np.float64), np.ones(len(species), dtype=np.int64))
        return cls(comm, species, encoding, sort_to_ranks(comm, encoding.encode(local.states)))

    # ---- looking ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Return the number of states of all ranks."""
        return int(self.ranges.starts[-1])

    def __repr__(self) -> str:
        return f"StateSpace({len(self):,} states of {', '.join(self.species)} on {self.comm.size} ranks)"

    @property
    def local(self) -> LocalSpace:
        """The states of this rank."""
        return self._local

    @property
    def n_local(self) -> int:
        """Number of states of this rank."""
        return len(self.local)

    @property
    def first(self) -> int:
        """Index of the first state of this rank."""
        return int(self.ranges.starts[self.comm.rank])

    @property
    def states(self) -> IntArray:
        """The states of this rank, (n_local, n_species)."""
        return self.local.states

    @cached_property
    def top(self) -> IntArray:
        """Largest count of each species, (n_species,)."""
        return np.asarray(self.comm.max(self.local.top))

    @cached_property
    def bottom(self) -> IntArray:
        """Smallest count of each species, (n_species,)."""
        nothing = np.full(len(self.species), np.iinfo(np.int64).max)
        return np.asarray(self.comm.min(self.local.bottom if self.n_local else nothing))

    def index(self, states: IntArray) -> IntArray:
        """Return the index in the whole space of each of `states` (m, n_species), -1 outside; m differs by rank."""
        with self.comm.agree():
            rows = np.asarray(states, dtype=np.int64).reshape(-1, len(self.species))
            indices = np.full(len(rows), -1, dtype=np.int64)
            inside = np.flatnonzero(self.encoding.holds(rows))
            keys = self.encoding.encode(rows[inside])
            order = np.lexsort(keys.T[::-1])
        indices[inside[order]] = locate(self, keys[order])
        return indices

    # ---- changing -----------------------------------------------------------------------------------------

    def restrict(self, condition: ConstraintLike | BoolArray) -> StateSpace:
        """Return the states that fulfil a condition: a mask of this rank's states (n_local,), text, or a callable."""
        with self.comm.agree():
            kept = self.local.restrict(condition).runs
        return self._with(kept)

    def carry(self, values: FloatArray, other: StateSpace) -> FloatArray:
        """Return on this rank's states of another space the values (n_local,) of this one's, 0 elsewhere."""
        local, carried = self.local, np.zeros(other.n_local)
        if local.encoding is not other.encoding:
            inside = other.encoding.holds(local.states)
            local, values = local.restrict(inside).encoded(other.encoding), values[inside]
        counts = other.ranges.cuts_of(local.runs)
        runs = send_runs(self.comm, local.runs, counts)
        received, _ = self.comm.exchange(values, counts)
        carried += runs.carry(received, other.runs)
        return carried

    # ---- growth, see `fsp.space.base` ---------------------------------------------------------------------

    def _with(self, runs: KeyRuns, encoding: Encoding | None = None) -> StateSpace:
        return StateSpace(self.comm, self.species, encoding or self.encoding, runs, self.constraints)

    def _default_limit(self) -> int:
        return environment.load().largest_index

    def _closure(self, model: Model, frontier: IntArray, limit: Limit) -> SpreadClosure:
        rest = (model, self.encoding, self.constraints, self.runs, frontier, limit)
        return SpreadClosure(self.comm, self.ranges, *rest)

    def _owned(self, keys: IntArray) -> IntArray:
        received, _ = self.comm.exchange(keys, self.ranges.counts_of(keys))
        return sorted_unique(received)

    def _moved(self, runs: KeyRuns) -> KeyRuns:
        return send_runs(self.comm, runs, self.ranges.cuts_of(runs))


def locate(space: StateSpace, keys: IntArray) -> IntArray:
    """Return the index in the whole space of each of this rank's sorted `keys` (m, n_words), -1 outside."""
    comm = space.comm
    asked, counts = comm.exchange(keys, space.ranges.counts_of(keys))
    places = space.runs.locate(asked)
    answers, _ = comm.exchange(np.where(places >= 0, places + space.first, -1), counts)
    return np.asarray(answers)


def check_indices(n: int) -> None:
    """Raise a StateSpaceError if PETSc cannot number `n` states."""
    limit = environment.load().largest_index
    if n > limit:
        raise StateSpaceError(
            f"The number of states must be at most {limit:,}, the largest index of this PETSc, but is {n:,}; use a "
            f"PETSc with 64-bit indices (on Debian: python3-petsc4py-64-real)."
        )


def _box_runs(encoding: Encoding, bottom: IntArray, extents: Sequence[int], first: int, end: int) -> KeyRuns:
    """Return the states first..end of a box, whose fibers are numbered one after the other."""
    length = extents[-1]
    if first >= end:
        return KeyRuns.of_keys(np.empty((0, encoding.n_words), dtype=np.int64))
    low, high = first // length, -(-end // length)
    fibers = np.unravel_index(np.arange(low, high), extents[:-1]) if len(extents) > 1 else ()
    starts = np.stack([*fibers, np.zeros(high - low, dtype=np.int64)], axis=1).astype(np.int64) + bottom
    runs = KeyRuns.of_lengths(encoding.encode(starts), np.full(high - low, length))
    return runs.part(first - low * length, end - low * length)
