"""Conditions that end a passage, and the network that stays where one of them holds.

In the network whose propensities are zero where a target holds, a run that has come to one stays there: the probability
of the target at t is that of a passage up to t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fsp.distribution.formulas import read_formula
from fsp.errors import ArgumentError, BackendError, ModelError
from fsp.model.arguments import require_unmoved
from fsp.model.comparisons import decided
from fsp.model.expression import (
    Expression,
    Number,
    Symbol,
    call,
    depends_on_time,
    evaluate,
    substitute,
    symbols,
    to_text,
)
from fsp.model.formula import parse
from fsp.model.reaction import takes_time

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Event, Model
    from fsp.model.definition import Law

Condition: TypeAlias = "str | Callable[..., Any]"


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Conditions by name; no state fulfils two of them."""

    names: tuple[str, ...]
    conditions: tuple[Law, ...]  # trees of species, or functions of counts by name
    species: tuple[str, ...]
    argument: str = "`target`"  # what the caller calls them

    @classmethod
    def read(cls, model: Model, target: Condition | Mapping[str, Condition], argument: str = "`target`") -> Targets:
        """Read a condition, or several by name; an ArgumentError says what cannot be one."""
        given = target if isinstance(target, Mapping) else {_name_of(target): target}
        if not given:
            raise ArgumentError("`target` must be a condition, or several by name, but there is none.")
        conditions = tuple(_read(model, condition, argument) for condition in given.values())
        names = tuple(map(str, given))
        if not all(name.strip() for name in names) or len(set(names)) < len(names):
            raise ArgumentError(f"{argument} must be conditions by different names, but these are {names}; name each.")
        return cls(names, conditions, model.species, argument)

    def hold(self, states: IntArray) -> BoolArray:
        """Tell which targets hold in states (m, d): (n_targets, m)."""
        columns = self._columns(states)
        values = np.stack([self._values(k, columns, len(states)) for k in range(len(self.names))])
        twice = np.flatnonzero(values.sum(axis=0) > 1)
        if len(twice):
            both = [self.names[k] for k in np.flatnonzero(values[:, twice[0]])[:2]]
            state = ", ".join(f"{name} = {x}" for name, x in zip(self.species, states[twice[0]].tolist(), strict=True))
            raise ArgumentError(
                f"{self.argument} must have conditions that exclude each other, but '{both[0]}' and '{both[1]}' both "
                f"hold at {state}; add what tells them apart."
            )
        return values

    def holds(self, k: int, states: IntArray) -> BoolArray:
        """Tell whether one target holds in states (m, d), whatever others do: (m,)."""
        return self._values(k, self._columns(states), len(states))

    def _columns(self, states: IntArray) -> dict[str, Any]:
        return {name: states[:, i].astype(np.float64) for i, name in enumerate(self.species)}

    def _values(self, k: int, columns: Mapping[str, Any], n: int) -> BoolArray:
        condition = self.conditions[k]
        values = np.asarray(
            self._decided(condition, columns) if isinstance(condition, Expression) else condition(columns)
        )
        if values.dtype != np.bool_:
            raise ArgumentError(
                f"{self.argument} must be a condition on counts, such as 'X >= 10', but '{self.names[k]}' is a number; "
                f"compare a count."
            )
        return np.broadcast_to(values, n)

    def _decided(self, condition: Expression, columns: Mapping[str, Any]) -> Any:
        try:
            return decided(condition, columns, 0.0, self.argument, agree=True)
        except ModelError as error:
            raise ArgumentError(str(error)) from error

    @property
    def trees(self) -> list[Expression | None]:
        """The targets as formulas; None for functions."""
        return [condition if isinstance(condition, Expression) else None for condition in self.conditions]

    @property
    def tree(self) -> Expression | None:
        """That one of the targets holds, as a formula; None where one of them is a function."""
        trees = [tree for tree in self.trees if tree is not None]
        return reduce(lambda a, b: call("||", a, b), trees) if len(trees) == len(self.conditions) else None

    def stopping(self, model: Model) -> Model:
        """Return the network that stays where a target holds."""
        laws = {k: self._stopped(model.law(k)) for k in range(model.n_reactions)}
        timed = model.has_timed_events
        return (model.with_events([*map(self._unmoved, model.events)]) if timed else model).with_laws(laws)

    def _stopped(self, law: Law) -> Law:
        tree = self.tree
        if isinstance(law, Expression) and tree is not None:
            if depends_on_time(law):  # a factor of time stays one
                return call("*", call("piecewise", Number(0.0), tree, Number(1.0)), law)
            return call("piecewise", Number(0.0), tree, law)
        if isinstance(law, Expression) and not depends_on_time(law):
            return lambda counts: np.where(self._held(counts), 0.0, evaluate(law, counts, 0.0))
        if isinstance(law, Expression):
            return lambda counts, t: np.where(self._held(counts), 0.0, evaluate(law, counts, t))
        if takes_time(law):
            return lambda counts, t: np.where(self._held(counts), 0.0, law(counts, t))
        return lambda counts: np.where(self._held(counts), 0.0, law(counts))

    def _held(self, counts: Mapping[str, Any]) -> BoolArray:
        states = np.stack([np.asarray(counts[name]) for name in self.species], axis=1)  # (n, d)
        return np.asarray(self.hold(states).any(axis=0))

    def _unmoved(self, event: Event) -> Event:
        """Return an event that leaves alone what has come to a target."""
        moved = [name for name in event.assignments if name in self.species]
        if not moved:
            return event
        tree = self.tree
        if tree is None or event.draws:
            raise BackendError(
                f"Event '{event.name}' must assign formulas, and `target` must be one, where a passage is asked for, "
                f"but one of them is a function or random; write it as a formula."
            )
        formulas = {
            name: call("piecewise", Symbol(name), tree, formula) if name in moved else formula
            for name, formula in event.formulas.items()
        }
        return replace(event, assignments=formulas)

    def inflow(self, model: Model) -> str:
        """Return the rate at which a state is left for a target, as a formula; empty where a function is in the way."""
        tree, laws = self.tree, model.rate_expressions
        if tree is None or model.has_timed_events or None in laws:
            return ""
        terms: list[Expression] = []
        for law, change in zip(laws, model.change.tolist(), strict=True):
            moved = {
                name: call("+", Symbol(name), Number(float(n))) for name, n in zip(self.species, change, strict=True)
            }
            terms.append(call("piecewise", law or Number(0.0), substitute(tree, moved), Number(0.0)))
        return to_text(call("piecewise", Number(0.0), tree, call("+", *terms)))


def _name_of(target: object) -> str:
    return target if isinstance(target, str) else getattr(target, "__name__", "target")


def _read(model: Model, condition: object, argument: str) -> Law:
    if isinstance(condition, str):
        tree = read_formula(condition, model.species, model.observables, 0.0)
        require_unmoved(model, symbols(parse(condition, what=argument)), argument)
        if depends_on_time(tree):
            raise ArgumentError(
                f"{argument} must be a condition on counts, but '{condition}' depends on time; compare counts, and ask "
                f"for the law at the time."
            )
        return tree
    if callable(condition):
        return condition
    raise ArgumentError(
        f"{argument} must be a formula such as 'X >= 10', or a function of counts, but is {condition!r}."
    )
