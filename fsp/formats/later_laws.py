"""Rate laws at values that come later: at other times, after events, and with constants that are zero for now.

A law that is zero at the start says nothing of its form: `k*A^2` with k = 0 is that of concentrations as soon as an
event, the time or a user gives k a value.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from fsp.arrays import IntArray
from fsp.errors import ModelError
from fsp.model.definition import Definition, resolve
from fsp.model.initial import reached
from fsp.model.similar import CompiledLaws
from fsp.model.tree import ONE, ZERO, Expression, Number, at_time, depends_on_time, substitute, walk

GRID = (1e-2, 1.0, 1e2, 1e4)  # times at which a law is looked at where its formula holds none; chosen
BESIDE_SWITCH = 1e-3  # relative: beside each number of a formula, on which side of a switch the law may differ
MOST_NUMBERS = 16  # of a formula, that are looked at; laws that switch with time hold one or two


class Later(NamedTuple):
    """A law at later values."""

    reaction: int
    law: Expression  # of species alone
    when: str  # as a message says it


def later_laws(
    definition: Definition, resolved: Mapping[str, Expression], reactions: Iterable[int], states: IntArray
) -> Iterator[Later]:
    """Yield the laws of some reactions at later values; `resolved`: parameters as trees of species and time."""
    known = {k: law for k in reactions if isinstance(law := definition.laws[k], Expression)}
    trees = {k: substitute(law, resolved) for k, law in known.items()}
    for k, tree in trees.items():
        if depends_on_time(tree):
            yield from (Later(k, at_time(tree, t), f" at time {t:.6g}") for t in _times(tree))
    if not known:
        return
    used = {k: reached(law, definition.species, definition.parameters).keys() for k, law in known.items()}
    for event in definition.events:
        given = {name: substitute(tree, resolved) for name, tree in event.formulas.items()}
        numbers = {name: tree for name, tree in given.items() if name in resolved and isinstance(tree, Number)}
        yield from _with(definition, known, used, numbers, f" once event '{event.name}' has set ")
    silent = CompiledLaws(trees.values(), list(definition.species))(states)  # (n, n_states)
    never = {k: law for (k, law), values in zip(known.items(), silent, strict=True) if not values.any()}
    yield from _with(definition, never, used, _zeros(definition), " with a value other than 0 of ")


def without_zeros(definition: Definition, resolved: Mapping[str, Expression]) -> Mapping[str, Expression]:
    """Return parameters as trees of species and time, where constants that are 0 are 1: the form of laws shows then."""
    zeros = _zeros(definition)
    return _resolved(definition, zeros) or resolved if zeros else resolved


def _zeros(definition: Definition) -> dict[str, Expression]:
    return {name: ONE for name, tree in definition.parameters.items() if tree == ZERO}


def _resolved(definition: Definition, given: Mapping[str, Expression]) -> Mapping[str, Expression] | None:
    """Return parameters as trees of species and time, with other values of some; None where one is not defined then."""
    try:
        return resolve({**definition.parameters, **given})
    except ModelError:
        return None


def _with(
    definition: Definition,
    laws: Mapping[int, Expression],
    used: Mapping[int, Iterable[str]],
    given: Mapping[str, Expression],
    when: str,
) -> Iterator[Later]:
    """Yield laws that use parameters of which other values are given, with these."""
    names = {k: [name for name in used[k] if name in given] for k in laws}
    if not any(names.values()):
        return
    values = _resolved(definition, given)
    for k, place in names.items():
        if place and values is not None:
            yield Later(k, at_time(substitute(laws[k], values), 0.0), when + ", ".join(place))


def _times(tree: Expression) -> Iterator[float]:
    """Yield times at which a law may be another function of the state than at time zero."""
    numbers = sorted({n.value for n in walk(tree) if isinstance(n, Number) and 0.0 < n.value < math.inf})
    for number in numbers[:MOST_NUMBERS]:
        yield from (number * (1.0 - BESIDE_SWITCH), number, number * (1.0 + BESIDE_SWITCH))
    yield from GRID
