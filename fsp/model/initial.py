"""Where a model starts: its initial counts, their law, and parameters that take their values from them.

An initial assignment `K = 3 X` of a parameter holds at the start only: `parameters` has what it is there, and
`at_start` its formula, so that it is computed anew where the model starts elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from fsp.errors import ModelError
from fsp.model.definition import Definition, in_order, replaced, resolve, whole_count
from fsp.model.draws import product_of, read_draw
from fsp.model.size import bounded
from fsp.model.tree import Expression, Number, Symbol, at_time, depends_on_time, substitute, symbols
from fsp.model.values import Value


def initial_amounts(definition: Definition) -> dict[str, float]:
    """Return the initial amount of each species, which need not be whole; NaN where it has none."""
    amounts = _initial(definition.species, resolve(definition.parameters))
    return {name: tree.value if isinstance(tree, Number) else math.nan for name, tree in amounts.items()}


def initial_counts(species: Mapping[str, Expression], resolved: Mapping[str, Expression]) -> tuple[int, ...]:
    """Return the initial count of each species."""
    counts = _initial(species, resolved)
    return tuple(whole_count(counts[name], f"Initial count of '{name}'") for name in species)


def _initial(species: Mapping[str, Expression], resolved: Mapping[str, Expression]) -> dict[str, Expression]:
    trees = {name: at_time(substitute(tree, resolved), 0.0) for name, tree in species.items()}
    counts: dict[str, Expression] = {}
    for name in in_order(trees, "Initial counts"):
        counts[name] = bounded(substitute(trees[name], counts), f"Initial count of '{name}'")
    return {name: counts[name] for name in species}


def start_distribution(
    definition: Definition, resolved: Mapping[str, Expression]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the initial states in order, shape (m, n_species), and their probabilities, shape (m,)."""
    initial, draws = definition.initial
    if initial is None and draws:
        fixed = {name: tree for name, tree in definition.species.items() if name not in draws}
        laws = {name: draw.with_values(resolved).law_of_numbers for name, draw in draws.items()}
        counts = dict(zip(fixed, initial_counts(fixed, resolved), strict=True))
        return product_of(laws, counts, tuple(definition.species))
    if initial is None:
        initial = {initial_counts(definition.species, resolved): 1.0}
    states = sorted(initial)
    return np.array(states, dtype=np.int64), np.array([initial[state] for state in states])


# ---------------------------------------------------------------------- other starts


def restarted(definition: Definition, given: Mapping[str, Value]) -> Definition:
    """Return a definition with some initial counts replaced, by numbers, formulas or laws."""
    names = [*definition.species, *definition.parameters]
    drawn = {name: read_draw(value, f"Initial count of '{name}'", {}, names) for name, value in given.items()}
    random = {name: draw for name, draw in drawn.items() if draw is not None}
    counts = {name: 0.0 if name in random else value for name, value in given.items()}
    species = replaced(definition.species, counts, "Species", "Initial count of", definition.parameters)
    left = {name: draw for name, draw in definition.initial.draws.items() if name not in given}
    started = replace(definition, species=species, initial=definition.initial._replace(draws={**left, **random}))
    if started.initial.draws:
        _check_fixed(started)
    return held_at_start(started)


def with_constants(definition: Definition, given: Mapping[str, Value]) -> Definition:
    """Return a definition with other values of some parameters, those of initial assignments among them."""
    parameters = replaced(definition.parameters, given, "Parameter", "Parameter", definition.species)
    left = {name: tree for name, tree in definition.at_start.items() if name not in given}
    return held_at_start(replace(definition, parameters=parameters, at_start=left))


def held_at_start(definition: Definition) -> Definition:
    """Return a definition in which parameters that take their values from the start have those of this one."""
    if not definition.at_start:
        return definition
    parameters = {**definition.parameters, **definition.at_start}
    held = {name: at_start(tree, definition.species, parameters) for name, tree in definition.at_start.items()}
    return replace(definition, parameters={**parameters, **held})


def at_start(tree: Expression, species: Mapping[str, Expression], parameters: Mapping[str, Expression]) -> Expression:
    """Return what a formula is at time 0: a formula of what does not vary."""
    known = reached(tree, species, parameters)
    varying = {name: value for name, value in known.items() if varies(Symbol(name), species, parameters)}
    return at_time(substitute(tree, resolve(varying)), 0.0)


def varies(tree: Expression, species: Mapping[str, Expression], parameters: Mapping[str, Expression]) -> bool:
    """Return whether a tree depends on species or time, also by way of parameters."""
    known = reached(tree, species, parameters)
    return not known.keys().isdisjoint(species) or any(map(depends_on_time, [tree, *known.values()]))


def reached(
    tree: Expression, species: Mapping[str, Expression], parameters: Mapping[str, Expression]
) -> dict[str, Expression]:
    """Return what has a value and a tree depends on, also by way of others, with its formula."""
    known: dict[str, Expression] = {}
    pending = [tree]
    while pending:
        for name in symbols(pending.pop()) - known.keys():
            formula = species.get(name, parameters.get(name))
            if formula is not None:
                known[name] = formula
                pending.append(formula)
    return known


def _check_fixed(definition: Definition) -> None:
    """Raise a `ModelError` where a value at the start depends on a count that is drawn."""
    parameters, draws = {**definition.parameters, **definition.at_start}, definition.initial.draws
    counts = {name: tree for name, tree in definition.species.items() if name not in draws}
    for kind, trees in (("count", counts), ("value", definition.at_start)):
        for name, tree in trees.items():
            drawn = sorted(reached(tree, definition.species, parameters).keys() & draws.keys())
            if drawn:
                raise ModelError(
                    f"Initial {kind} of '{name}' must be a number, but depends on '{drawn[0]}', which is drawn from "
                    f"{draws[drawn[0]]}; give '{name}' a value as well (--set {name}=...)."
                )
