"""What the spaces of one process and of many ranks have in common: growth, and fields that are wide enough for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fsp.space.closure import FieldOverflowError, sorted_unique
from fsp.space.fields import encoding_with_room, widest_encoding
from fsp.space.limits import state_limit
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.space.closure import Closure
    from fsp.space.communicator import Processes
    from fsp.space.constraints import Constraint, ConstraintLike
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit


class BaseSpace(ABC):
    """A sorted set of states, of which this process owns `runs`; every method is for all processes to call."""

    comm: Processes
    species: tuple[str, ...]
    encoding: Encoding
    runs: KeyRuns
    constraints: tuple[Constraint, ...]

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of all states."""

    @property
    @abstractmethod
    def states(self) -> IntArray:
        """The own states, (n, n_species)."""

    @property
    @abstractmethod
    def top(self) -> IntArray:
        """Largest count of each species in all states, (n_species,)."""

    @property
    @abstractmethod
    def bottom(self) -> IntArray:
        """Smallest count of each species in all states, (n_species,)."""

    @property
    @abstractmethod
    def local(self) -> BaseSpace:
        """The own states as a space of one process."""

    @abstractmethod
    def index(self, states: IntArray) -> Any:
        """Return the index in all states of each of `states` (m, n_species), -1 outside."""

    def states_at(self, indices: IntArray) -> IntArray:
        """Return the own states at `indices` (m,), (m, n_species), without making all others."""
        return self.encoding.decode(self.runs.take(indices))

    # ---- changing -----------------------------------------------------------------------------------------

    def grow(
        self, model: Model, steps: int | None = 1, *, seeds: IntArray | None = None, max_states: int | None = None
    ) -> Self:
        """Return the space with all states that up to `steps` reactions reach, within the constraints.

        Parameters
        ----------
        steps
            Number of reactions; None for the whole closure.
        seeds
            Indices of the own states to start from; all if None.
        max_states
            Limit on the number of states.

        Raises
        ------
        StateSpaceError
            If the closure is infinite or passes `max_states`.
        """
        return self._grown(model, steps, seeds, state_limit(model, max_states, None, self._default_limit()))

    def _grown(self, model: Model, steps: int | None, seeds: IntArray | None, limit: Limit) -> Self:
        if self.encoding.carries(model.change, self.top):
            frontier = self.runs.expand() if seeds is None else self.runs.take(np.sort(seeds))
            closure = self._closure(model, frontier, limit)
            try:
                closure.follow(steps)
                return self._with(closure.runs)
            except FieldOverflowError:  # again in wider fields
                pass
        return self._wider(model)._grown(model, steps, seeds, limit)

    def extend(self, model: Model, states: IntArray, steps: int = 1, *, max_states: int | None = None) -> Self:
        """Return the space with `states` (m, n_species) and all that up to `steps` reactions reach from those.

        Raises
        ------
        StateSpaceError
            If it would have more than `max_states` states, or a state is negative or breaks a conservation law
            of the space.
        """
        if self.comm.any(bool((states > self.encoding.capacity).any())):
            return self._wider(model).extend(model, states, steps, max_states=max_states)
        with self.comm.agree():
            self.encoding.require(states, self.species)
            keys = self.encoding.encode(states)
        keys = self._owned(sorted_unique(keys))
        new = KeyRuns.of_keys(keys[self.runs.locate(keys) < 0])
        joined = self._with(self.runs.union(new))
        seeds = joined.runs.locate(joined._moved(new).expand())
        return joined.grow(model, steps, seeds=seeds, max_states=max_states)

    def encoded(self, encoding: Encoding) -> Self:
        """Return the same states in another encoding, which keeps their order."""
        return self._with(KeyRuns.of_keys(encoding.encode(self.states)), encoding)

    def fitted(self, model: Model) -> Self:
        """Return the same states in fields with room for the changes of `model`, such as an operator needs."""
        encoding = encoding_with_room(self.encoding, model, self.top)
        return self if encoding is self.encoding else self.encoded(encoding)

    def _wider(self, model: Model) -> Self:
        """Return the same states in the widest fields, with room for the changes of `model`."""
        return self.encoded(widest_encoding(self.encoding, model, self.top, self.species))

    @abstractmethod
    def restrict(self, condition: ConstraintLike | BoolArray) -> Self:
        """Return the states that fulfil a condition: a mask of the own states (n,), text, or a callable."""

    @abstractmethod
    def carry(self, values: FloatArray, other: Self) -> FloatArray:
        """Return values (n,) on the own states as values on those of another space of the species, 0 on its others."""

    # ---- what processes do differently --------------------------------------------------------------------

    @abstractmethod
    def _with(self, runs: KeyRuns, encoding: Encoding | None = None) -> Self:
        """Return the space of these runs with the constraints of this one."""

    @abstractmethod
    def _default_limit(self) -> int:
        """Return the largest number of states where the caller gives none."""

    @abstractmethod
    def _closure(self, model: Model, frontier: IntArray, limit: Limit) -> Closure:
        """Return the set that grows from own keys `frontier`, (m, n_words)."""

    @abstractmethod
    def _owned(self, keys: IntArray) -> IntArray:
        """Return which of the sorted keys of all processes are for this one, each once, sorted."""

    @abstractmethod
    def _moved(self, runs: KeyRuns) -> KeyRuns:
        """Return which of the states that processes owned before are this one's now."""
