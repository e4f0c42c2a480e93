"""Finite sets of copy-number vectors and their indices.

A space is a sorted set of keys (see `fsp.space.encoding`), held as runs of neighbours along the last species (see
`fsp.space.runs`); the index of a state is the rank of its key.  Growing, restricting and uniting spaces are
operations on sorted runs, and what does not change is not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError, StateSpaceError
from fsp.space.base import BaseSpace
from fsp.space.closure import Closure, sorted_unique
from fsp.space.communicator import SINGLE_PROCESS
from fsp.space.constraints import Constraint, ConstraintLike, as_constraints, lower_bound, upper_bound
from fsp.space.encoding import Encoding, build_encoding
from fsp.space.fields import encoding_of_reachable, margins
from fsp.space.limits import Limit, bounds, check_size, state_limit
from fsp.space.runs import KeyRuns
from fsp.space.saturation import saturate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model

MAX_STATES = 20_000_000  # of a set that is enumerated state by state
MAX_RUN_STATES = 1_000_000_000  # of a set that is known run by run


class StateSpace(BaseSpace):
    """A finite set of states, sorted lexicographically, the last species fastest.

    Make one with `box`, `reachable` or `from_states`.

    Attributes
    ----------
    species : tuple of str
        Names of the columns of `states`.
    runs : KeyRuns
        Sorted keys of the states.
    encoding : Encoding
        Map between states and keys.
    constraints : tuple of Constraint
        Conditions that all states fulfil, and that growth respects.

    Examples
    --------
    >>> model = fsp.Model(species={"A": 2, "B": 0}, reactions=[fsp.Reaction("A -> B", mass_action=1.0)])
    >>> space = fsp.StateSpace.reachable(model)
    >>> space.states, space.index([[1, 1], [5, 0]])  # -1 outside
    (array([[0, 2],
           [1, 1],
           [2, 0]]), array([ 1, -1]))
    """

    comm = SINGLE_PROCESS  # where it is spread over ranks, their communicator; `local` is what this rank owns

    def __init__(
        self,
        species: Sequence[str],
        encoding: Encoding,
        runs: KeyRuns,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self.species = tuple(species)
        self.encoding = encoding
        self.runs = runs
        self.constraints = tuple(constraints)

    @property
    def local(self) -> StateSpace:
        """The states that this process owns: all."""
        return self

    # ---- making one ---------------------------------------------------------------------------------------

    @classmethod
    def box(
        cls,
        model: Model,
        upper: Mapping[str, int] | Sequence[int] | int,
        lower: Mapping[str, int] | Sequence[int] | int = 0,
        *,
        max_states: int = MAX_RUN_STATES,
        max_memory: int | None = None,
    ) -> StateSpace:
        """Return all states with ``lower <= x <= upper``, both inclusive.

        Parameters
        ----------
        model
            Gives the species, their order, and the initial states, which must lie inside.
        upper, lower
            Bounds by species name, in model order, or one for all.  A species that is left out of a mapping
            takes the bound that the network's conservation laws give it (0 for `lower`).
        max_states, max_memory
            Limits on the number of states and on bytes, checked before anything is allocated.

        Raises
        ------
        StateSpaceError
            If a bound is missing or not a non-negative integer, the box is empty or larger than a limit, or
            an initial state lies outside.
        """
        model.require_untimed("A state space")
        bottom, top = checked_box(model, lower, upper)
        extents = [int(t) - int(b) + 1 for t, b in zip(top, bottom, strict=True)]
        check_size(f"The box of {' x '.join(map(str, extents))} states", prod(extents), model, max_states, max_memory)
        encoding = build_encoding(top.astype(np.float64), margins(model))
        encoding.require(top[None], model.species)
        constraints = box_constraints(model, bottom, top)
        keys = _box_keys(encoding, bottom, [*extents[:-1], 1])
        return cls(model.species, encoding, KeyRuns.of_lengths(keys, np.full(len(keys), extents[-1])), constraints)

    @classmethod
    def reachable(
        cls,
        model: Model,
        constraints: ConstraintLike | Sequence[ConstraintLike] = (),
        *,
        steps: int | None = None,
        max_states: int | None = None,
        max_memory: int | None = None,
    ) -> StateSpace:
        """Return the states that the network reaches from its initial states.

        Parameters
        ----------
        constraints
            Conditions that states must fulfil, as text (``"U + V <= 300"``) or as callables that take a
            mapping of species to arrays and return a bool for each state.
        steps
            Number of reactions; None for the whole closure, which must then be finite.
        max_states, max_memory
            Limits on the number of states and on bytes; without one, 20 million states where they are found one by
            one, and a billion where they are found by whole runs: with rates that factorise and linear constraints.

        Raises
        ------
        ArgumentError
            If `steps` is negative.
        StateSpaceError
            If the closure is infinite or larger than a limit, or an initial state breaks a constraint.
        """
        model.require_untimed("A state space")
        if steps is not None and not steps >= 0:
            raise ArgumentError(f"`steps` must be a number of reactions, 0 or more, but is {steps!r}.")
        conditions = conditions_on(model, constraints)
        encoding = encoding_of_reachable(model)
        initial = KeyRuns.of_keys(sorted_unique(encoding.encode(model.initial_states)))
        start = cls(model.species, encoding, initial, conditions)
        if steps is None:
            limit = state_limit(model, max_states, max_memory, MAX_RUN_STATES)
            closure = saturate(model, encoding, initial, conditions, limit)
            if closure is not None:
                return cls(model.species, encoding, closure, conditions)
        return start._grown(model, steps, None, state_limit(model, max_states, max_memory, MAX_STATES))

    @classmethod
    def from_states(cls, species: Sequence[str], states: ArrayLike) -> StateSpace:
        """Return the space of the given states (n, n_species), in any order, repeats merged.

        Raises
        ------
        ArgumentError
            If `species` are not names.
        StateSpaceError
            If `states` are not counts of so many species.
        """
        if not isinstance(species, Sequence) or not all(isinstance(name, str) for name in species):
            raise ArgumentError(f"`species` must be a list of names, such as model.species, but is {species!r:.60}.")
        rows = np.asarray(states)
        if rows.ndim != 2 or rows.shape[1] != len(species) or not np.issubdtype(rows.dtype, np.integer):
            raise StateSpaceError(
                f"`states` must be an integer array of shape (n, {len(species)}), but is {rows.dtype} of shape "
                f"{rows.shape}."
            )
        if rows.size and rows.min() < 0:
            raise StateSpaceError(f"`states` must not be negative, but holds {rows.min()}.")
        top = rows.max(axis=0) if len(rows) else np.zeros(len(species))
        encoding = build_encoding(np.asarray(top, dtype=np.float64), np.ones(len(species), dtype=np.int64))
        encoding.require(rows.astype(np.int64), species)
        return cls(species, encoding, KeyRuns.of_keys(sorted_unique(encoding.encode(rows.astype(np.int64)))))

    # ---- looking ------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        return f"StateSpace({len(self):,} states of {', '.join(self.species)})"

    @cached_property
    def states(self) -> IntArray:
        """The states (n, n_species), sorted lexicographically, the last species fastest."""
        states = self.encoding.decode(self.runs.expand())
        states.setflags(write=False)
        return states

    def index(self, states: ArrayLike) -> Any:
        """Return the index of each of `states`, -1 for a state outside.

        Parameters
        ----------
        states
            Integer array (m, n_species), or one state (n_species,).

        Returns
        -------
        (m,) int array, or an int for one state.

        Raises
        ------
        StateSpaceError
            If there is not a column for each species.
        """
        queries = np.asarray(states)
        rows = np.atleast_2d(queries)
        if rows.ndim != 2 or rows.shape[1] != len(self.species):
            raise StateSpaceError(
                f"`states` must have {len(self.species)} columns ({', '.join(self.species)}), but has shape "
                f"{queries.shape}."
            )
        if rows.dtype.kind != "i":
            rows = np.where((rows == np.floor(rows)) & (rows >= 0) & (rows < 2**62), rows, -1).astype(np.int64)
        indices = np.full(len(rows), -1, dtype=np.int64)
        inside = self.encoding.holds(rows)
        indices[inside] = self.runs.locate(self.encoding.encode(rows[inside]))
        return indices if queries.ndim == 2 else int(indices[0])

    def __contains__(self, state: object) -> bool:
        return bool(self.index(np.asarray(state)) >= 0)

    # ---- changing -----------------------------------------------------------------------------------------

    def restrict(self, condition: ConstraintLike | BoolArray) -> StateSpace:
        """Return the states that fulfil a condition.

        Parameters
        ----------
        condition
            A mask (n,); a text such as ``"U + V <= 300"``; or a callable, as for `reachable`.

        Returns
        -------
        StateSpace
            Those states.

        Raises
        ------
        StateSpaceError
            If the condition is none, or a mask does not fit.
        """
        if isinstance(condition, np.ndarray):
            kept = condition
        else:
            kept = as_constraints([condition], self.species)[0].holds(self.states)
        if kept.shape != (len(self),) or kept.dtype != np.bool_:
            raise StateSpaceError(
                f"A mask must be bool of shape ({len(self)},), but is {kept.dtype} of shape {kept.shape}."
            )
        return self._with(self.runs.select(kept))

    def union(self, other: StateSpace) -> StateSpace:
        """Return the states of either space, without constraints, which need not hold for both.

        Parameters
        ----------
        other
            A space of the same species.

        Returns
        -------
        StateSpace
            Their union.

        Raises
        ------
        StateSpaceError
            If species differ.
        """
        if self.species != other.species:
            raise StateSpaceError(f"Spaces must have the same species, but have {self.species} and {other.species}.")
        return StateSpace.from_states(self.species, np.concatenate([self.states, other.states]))

    __or__ = union

    def carry(self, values: FloatArray, other: StateSpace) -> FloatArray:
        """Return values (n,) on these states as values on another space of the same species, 0 on its other states."""
        if self.encoding is other.encoding:
            return self.runs.carry(values, other.runs)
        inside = other.encoding.holds(self.states)  # a state that does not fit would get the key of another one
        return KeyRuns.of_keys(other.encoding.encode(self.states[inside])).carry(values[inside], other.runs)

    @cached_property
    def top(self) -> IntArray:
        """Largest count of each species, (n_species,)."""
        return np.asarray(self.encoding.decode(self.runs.ends()).max(axis=0, initial=0))

    @cached_property
    def bottom(self) -> IntArray:
        """Smallest count of each species, (n_species,)."""
        return np.asarray(self.encoding.decode(self.runs.ends()).min(axis=0))

    def _with(self, runs: KeyRuns, encoding: Encoding | None = None) -> StateSpace:
        return StateSpace(self.species, encoding or self.encoding, runs, self.constraints)

    def _default_limit(self) -> int:
        return MAX_STATES

    def _closure(self, model: Model, frontier: IntArray, limit: Limit) -> Closure:
        return Closure(self.comm, model, self.encoding, self.constraints, self.runs, frontier, limit)

    def _owned(self, keys: IntArray) -> IntArray:
        return keys

    def _moved(self, runs: KeyRuns) -> KeyRuns:
        return runs


def successors(space: StateSpace, changes: IntArray) -> IntArray:
    """Return the index of each state after each of some changes (m, n_species), (m, n); -1 outside of the space."""
    states = space.states
    index = [space.index(states + change) for change in changes]
    return np.array(index, dtype=np.int64).reshape(len(changes), len(space))


def _box_keys(encoding: Encoding, bottom: IntArray, extents: list[int]) -> IntArray:
    keys = np.zeros((*extents, encoding.n_words), dtype=np.int64)
    for s, word, shift in zip(encoding.kept, encoding.word, encoding.shift, strict=True):
        axis = (int(bottom[s]) + np.arange(extents[s], dtype=np.int64)) << shift
        keys[..., word] += axis.reshape([-1 if k == s else 1 for k in range(len(extents))])
    return keys.reshape(-1, encoding.n_words)


def checked_box(
    model: Model, lower: Mapping[str, int] | Sequence[int] | int, upper: Mapping[str, int] | Sequence[int] | int
) -> tuple[IntArray, IntArray]:
    """Return the smallest and largest counts of a box that holds the initial states, (n_species,) each."""
    top = bounds(model, upper, model.species_bounds, "upper")
    bottom = bounds(model, lower, np.zeros(model.n_species), "lower")
    if (bottom > top).any():
        s = int(np.argmax(bottom > top))
        raise StateSpaceError(
            f"`lower` must be at most `upper`, but is {bottom[s]} > {top[s]} for '{model.species[s]}'."
        )
    outside = (model.initial_states > top) | (model.initial_states < bottom)
    if outside.any():
        row, s = np.argwhere(outside)[0]
        raise StateSpaceError(
            f"The box must contain the initial state, but {model.species[s]} = {model.initial_states[row, s]} "
            f"lies outside {bottom[s]}..{top[s]}; widen the bounds of '{model.species[s]}'."
        )
    return bottom, top


def box_constraints(model: Model, bottom: IntArray, top: IntArray) -> list[Constraint]:
    """Return the constraints that the states of a box fulfil."""
    constraints = [upper_bound(model.species, s, int(b)) for s, b in enumerate(top)]
    return constraints + [lower_bound(model.species, s, int(b)) for s, b in enumerate(bottom) if b > 0]


def conditions_on(model: Model, constraints: ConstraintLike | Sequence[ConstraintLike]) -> tuple[Constraint, ...]:
    """Return constraints on the states of a network, whose initial states must fulfil them."""
    conditions = as_constraints(constraints, model.species)
    for constraint in conditions:
        broken = ~constraint.holds(model.initial_states)
        if broken.any():
            raise StateSpaceError(
                f"Every initial state must fulfil the constraints, but {model.initial_states[broken][0].tolist()} "
                f"breaks '{constraint.label}'."
            )
    return conditions
