"""Breadth-first closure of a set of states under the reactions.

One level at a time: the propensities of all states of the frontier are evaluated at once, the targets of the
enabled jumps go into a hash set of keys, and those that are new and fulfil the constraints are the next
frontier.  Where a rate that depends on time counts as enabled is said in `fsp.model.firing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ModelError, StateSpaceError
from fsp.model import firing
from fsp.space import kernels
from fsp.space.fields import margins
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Model
    from fsp.space.communicator import Processes
    from fsp.space.constraints import Constraint
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit

# Times that a reaction is tried from one state: close together at first, then as far as tables of counts go.
PUMPED_COUNTS = np.array(sorted({*range(1, 65), *(2**k for k in range(21))}))

# Jumps that are entered at once: the table is made for as many new keys, most of which may be known.
JUMPS_AT_ONCE = 2**20


class FieldOverflowError(Exception):
    """A count left its bit field: the closure is to be repeated with a wider encoding."""


class KeySet:
    """A growing hash set of keys."""

    def __init__(self, n_words: int) -> None:
        self.count = 0
        self._table = np.full((1 << 10, n_words), -1, dtype=np.int64)

    def add(self, keys: IntArray) -> None:
        """Enter `keys` (n, n_words)."""
        self._reserve(len(keys))
        self.count += int(kernels.insert_all(self._table, keys))

    def expand(self, frontier: IntArray, enabled: BoolArray, shifts: IntArray) -> IntArray:
        """Enter the targets of the enabled jumps (n_reactions, len(frontier)); return the new ones."""
        width = max(1, JUMPS_AT_ONCE // max(1, len(shifts)))
        blocks = range(0, len(frontier), width)
        blocks_found = [self._expand(frontier[i : i + width], enabled[:, i : i + width], shifts) for i in blocks]
        return np.concatenate(blocks_found) if blocks_found else frontier[:0]

    def _expand(self, frontier: IntArray, enabled: BoolArray, shifts: IntArray) -> IntArray:
        candidates = int(np.count_nonzero(enabled))
        self._reserve(candidates)
        fresh = np.empty((candidates, self._table.shape[1]), dtype=np.int64)
        if shifts.shape[1] == 1:  # the usual case, compiled on its own
            flat = [array.reshape(-1) for array in (self._table, frontier, shifts, fresh)]
            n = int(kernels.expand_words(flat[0], flat[1], np.ascontiguousarray(enabled), flat[2], flat[3]))
        else:
            n = int(kernels.expand(self._table, frontier, np.ascontiguousarray(enabled), shifts, fresh))
        self.count += n
        return fresh[:n]

    def _reserve(self, n: int) -> None:
        needed = 2 * (self.count + n)
        if needed > len(self._table):
            old = self._table
            self._table = np.full((1 << needed.bit_length(), old.shape[1]), -1, dtype=np.int64)
            kernels.insert_all(self._table, old)


class Closure:
    """A set of states, `runs` of which are this process's own, that grows by reactions.

    `frontier` (m, n_words) are the keys of own states that are to be mapped on, sorted; states that break one of the
    `constraints` are not entered.
    """

    def __init__(
        self,
        comm: Processes,
        model: Model,
        encoding: Encoding,
        constraints: Sequence[Constraint],
        runs: KeyRuns,
        frontier: IntArray,
        limit: Limit,
    ) -> None:
        self._comm, self._model, self._encoding = comm, model, encoding
        self._constraints, self._limit = constraints, limit
        self.runs = runs
        self._size = len(runs)  # with the fresh levels
        self._shifts = np.array([encoding.shift_of(change) for change in model.change])  # (n_reactions, n_words)
        self._fresh: list[IntArray] = []  # levels that are not among the runs yet
        self._start_from(frontier)

    def _start_from(self, frontier: IntArray) -> None:
        """Map these keys on, and forget which others have been met."""
        self._frontier, self._states = frontier, self._encoding.decode(frontier)
        self._visited = KeySet(self._encoding.n_words)
        self._visited.add(frontier)

    def follow(self, steps: int | None) -> None:
        """Add what up to `steps` reactions reach from the frontier; None for the whole closure.

        A FieldOverflowError says that a count does not fit its bit field.
        """
        infinite = steps is None and not self._constraints and not self._model.is_finite
        pump = Pump(self._model) if infinite else None
        level, going = 0, self._comm.any(len(self._frontier) > 0)
        while going and (steps is None or level < steps):
            level += 1
            going = self._advance(pump, level)
        self._merge()

    def _advance(self, pump: Pump | None, level: int) -> bool:
        """Map the frontier on; tell whether there is a new one."""
        new = self._frontier[:0]
        with self._comm.agree():
            enabled = enabled_jumps(self._model, self._states)  # (n_reactions, n_frontier)
            if pump is not None:
                pump.test(self._states, enabled)
            # Sorted, so that neighbours are looked up one after the other.
            new = sort_keys(self._visited.expand(self._frontier, enabled, self._shifts))
        new_here = self._owned(new)
        new_here = new_here[self.runs.locate(new_here) < 0]
        states = self._encoding.decode(new_here)
        overflows = bool((states > self._encoding.capacity - margins(self._model)).any())
        with self._comm.agree():
            if self._constraints and not overflows:
                new_here, states = fulfilling(new_here, states, self._constraints)
        self._frontier, self._states = new_here, states
        self._fresh.append(new_here)
        self._size += len(new_here)
        total, n_frontier, n_overflows = self._comm.sum(np.array([self._size, len(new_here), overflows])).tolist()
        if n_overflows:
            raise FieldOverflowError
        self._limit.require(total, f"{level} reaction steps reach more than that")
        self._balance(total)
        return bool(n_frontier)

    def _owned(self, new: IntArray) -> IntArray:
        """Return which of the new keys of all processes are for this one, sorted."""
        return new

    def _balance(self, total: int) -> None:
        """Move states between processes where they have become uneven."""

    def _merge(self) -> None:
        """Enter the fresh levels into the runs."""
        keys = np.concatenate([self._frontier[:0], *self._fresh])
        self.runs = self.runs.union(KeyRuns.of_keys(sort_keys(keys)))
        self._fresh = []


def sort_keys(keys: IntArray) -> IntArray:
    """Return `keys` (n, n_words) in ascending order."""
    if keys.shape[1] == 1:
        return np.sort(keys[:, 0])[:, None]
    return keys[np.lexsort(keys.T[::-1])]


def sorted_unique(keys: IntArray) -> IntArray:
    """Return `keys` (n, n_words) in ascending order, each once."""
    ordered = sort_keys(keys)
    fresh = np.ones(len(ordered), dtype=np.bool_)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return ordered[fresh]


def enabled_jumps(model: Model, states: IntArray) -> BoolArray:
    """Tell which reactions can happen in which states, (n_reactions, n)."""
    enabled = [firing.enabled(model, k, states) for k in range(model.n_reactions)]
    return np.array(enabled, dtype=np.bool_).reshape(model.n_reactions, len(states))


def fulfilling(keys: IntArray, states: IntArray, constraints: Sequence[Constraint]) -> tuple[IntArray, IntArray]:
    """Return the keys and states that fulfil all constraints."""
    kept = np.ones(len(keys), dtype=np.bool_)
    for constraint in constraints:
        kept &= constraint.holds(states)
    return keys[kept], states[kept]


class Pump:
    """Recognise reactions that can fire without end, so that no closure is finite."""

    def __init__(self, model: Model) -> None:
        self._model = model
        change = model.change
        adding = np.flatnonzero((change >= 0).all(axis=1) & (change > 0).any(axis=1))
        self._untested = {int(k) for k in adding}

    def test(self, states: IntArray, enabled: BoolArray) -> None:
        """Raise a StateSpaceError if a reaction enabled in one of `states` stays enabled for ever."""
        for k in sorted(self._untested):
            sources = np.flatnonzero(enabled[k])
            if not len(sources):
                continue
            self._untested.discard(k)
            start = states[sources[0]]
            ray = start + PUMPED_COUNTS[:, None] * self._model.change[k]
            if self._fires(k, ray):
                raise StateSpaceError(self._message(k, start))

    def _fires(self, k: int, ray: IntArray) -> bool:
        try:
            return bool(firing.enabled(self._model, k, ray).all())
        except ModelError:  # a rate that is not defined so far out may stop the reaction before
            return False

    def _message(self, k: int, start: IntArray) -> str:
        species = self._model.species
        grown = species[int(np.argmax(self._model.change[k]))]
        at = ", ".join(f"{name}={count}" for name, count in zip(species, start, strict=True))
        return (
            f"The reachable set must be finite, but reaction '{self._model.reactions[k].name}' can fire without end "
            f"from state ({at}); give constraints such as '{grown} <= 200', or let fsp.transient choose the states."
        )
