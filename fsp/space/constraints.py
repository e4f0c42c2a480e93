"""Constraints on states: conditions given as text or as vectorised callables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsp.arrays import BoolArray, IntArray
from fsp.errors import StateSpaceError
from fsp.model.comparisons import condition_in_whole_numbers, decided
from fsp.model.expression import symbols
from fsp.model.formula import parse
from fsp.space.inequalities import Inequality, inequalities

ConstraintLike = str | Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A condition that every state of a space fulfils."""

    label: str  # text of the condition: names the boundary through which probability leaves
    holds: Callable[[IntArray], BoolArray]  # map states (n, n_species) to bool (n,)
    linear: tuple[Inequality, ...] | None = None  # the same as linear inequalities, None where it is no such condition


def as_constraints(
    conditions: ConstraintLike | Sequence[ConstraintLike], species: Sequence[str]
) -> tuple[Constraint, ...]:
    """Return the conditions, each text or a callable, as constraints on states of these species."""
    if isinstance(conditions, str) or callable(conditions):
        conditions = [conditions]
    return tuple(_as_constraint(c, tuple(species)) for c in conditions)


def upper_bound(species: Sequence[str], index: int, bound: int) -> Constraint:
    """Return the constraint ``species[index] <= bound``."""
    return Constraint(f"{species[index]} <= {bound}", lambda states: states[:, index] <= bound)


def lower_bound(species: Sequence[str], index: int, bound: int) -> Constraint:
    """Return the constraint ``species[index] >= bound``."""
    return Constraint(f"{species[index]} >= {bound}", lambda states: states[:, index] >= bound)


def _as_constraint(condition: ConstraintLike | Constraint, species: tuple[str, ...]) -> Constraint:
    if isinstance(condition, Constraint):
        return condition
    if isinstance(condition, str):
        return _from_text(condition, species)
    if callable(condition):
        return Constraint(getattr(condition, "__name__", "constraint"), _from_callable(condition, species))
    raise StateSpaceError(f"A constraint must be text such as 'U + V <= 300' or a callable, but is {condition!r}.")


def _from_text(text: str, species: tuple[str, ...]) -> Constraint:
    tree = condition_in_whole_numbers(parse(text, what=f"constraint '{text}'"))
    unknown = sorted(symbols(tree) - set(species))
    if unknown:
        raise StateSpaceError(
            f"A constraint must be about species ({', '.join(species)}), but '{text}' names '{unknown[0]}'."
        )

    def holds(states: IntArray) -> BoolArray:
        values = decided(tree, _columns(states, species), 0.0, f"Constraint '{text}'")
        return np.broadcast_to(np.asarray(values) != 0, len(states))

    return Constraint(text, holds, inequalities(tree, species))


def _from_callable(
    condition: Callable[[Mapping[str, Any]], Any], species: tuple[str, ...]
) -> Callable[[IntArray], BoolArray]:
    def holds(states: IntArray) -> BoolArray:
        values = np.asarray(condition(_columns(states, species)))
        if values.shape not in ((), (len(states),)):
            raise StateSpaceError(
                f"A constraint must return one bool for each state, shape ({len(states)},), but "
                f"'{getattr(condition, '__name__', condition)}' returned shape {values.shape}."
            )
        return np.broadcast_to(values.astype(bool), len(states))

    return holds


def _columns(states: IntArray, species: Sequence[str]) -> dict[str, Any]:
    return {name: states[:, k].astype(np.float64) for k, name in enumerate(species)}
