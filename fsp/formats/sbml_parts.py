"""The species, parameters and formulas of an SBML model, with symbols that stand for counts.

A species that has only substance units stands for its count x in a formula, any other for its
concentration x/V with the size V of its compartment.  Formulas stay formulas, so that a model with other
parameter values recomputes them; an initial assignment that depends on species or time is held at its
value at time 0.
"""

from __future__ import annotations

import graphlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from fsp.errors import ModelError
from fsp.formats.rate_rules import Trajectory, course
from fsp.model.definition import resolve
from fsp.model.draws import Draw, read_draw
from fsp.model.event import Event
from fsp.model.formula import FunctionDefinition, from_ast
from fsp.model.initial import at_start, reached, varies
from fsp.model.kept_values import KeptValue
from fsp.model.tree import Expression, Number, Symbol, call, substitute, symbols
from fsp.model.values import nearest_whole

Element = Any  # libsbml has no types


class NoValue(NamedTuple):
    """An element without a value that formulas could use."""

    kind: str
    has: str = "none"  # or a value that is not finite, or a size that is not above 0


class Written(NamedTuple):
    """Formulas as the file has them."""

    functions: Mapping[str, FunctionDefinition]  # function definitions
    # mathML of each assignment rule, rate rule and initial assignment, by what it determines
    rules: dict[str, Element]
    rates: dict[str, Element]
    assignments: dict[str, Element]


@dataclass(slots=True)
class SbmlParts:
    """What has been read of a model so far."""

    written: Written
    changed: set[str] = field(default_factory=set)  # what events assign
    draws: dict[str, Draw] = field(default_factory=dict)  # laws of initial counts
    courses: dict[str, Trajectory] = field(default_factory=dict)  # closed forms of what has a rate rule
    species: dict[str, Expression] = field(default_factory=dict)  # initial count of each species of the state
    # value of everything else that has one: parameters, compartments, species under a rule
    parameters: dict[str, Expression] = field(default_factory=dict)
    # formulas of the parameters that take their values from the start
    at_start: dict[str, Expression] = field(default_factory=dict)
    # what the symbol of a species in concentration stands for
    scale: dict[str, Expression] = field(default_factory=dict)
    # kind of each element that has an id and no finite value, and what it has
    missing: dict[str, NoValue] = field(default_factory=dict)
    # stoichiometries and rates of reactions, by id; those that a formula uses are parameters
    named: dict[str, Expression] = field(default_factory=dict)
    kept: list[KeptValue] = field(default_factory=list)  # values of parameters on which it depends what is read

    def holder(self, name: str) -> str:
        """Return the parameter that holds a value that is assigned: that at time zero where a rate rule changes it."""
        return self.courses[name].start if name in self.courses else name

    def read_math(self, ast: Element, what: str, local: Mapping[str, Expression] | None = None) -> Expression:
        """Return MathML as a tree in which species stand for counts."""
        if ast is None:
            raise ModelError(f"{what} must have math, but has none.")
        tree = substitute(from_ast(ast, what=what, functions=self.written.functions), {**self.scale, **(local or {})})
        self.take_named(tree)
        return tree

    def take_named(self, tree: Expression) -> None:
        """Make parameters of the stoichiometries and rates of reactions that a formula uses."""
        pending = [tree] if self.named else []
        while pending:
            for name in sorted(
                symbols(pending.pop()) & self.named.keys() - self.parameters.keys() - self.species.keys()
            ):
                self.parameters[name] = self.named[name]
                pending.append(self.named[name])


def each(parent: Element, kind: str) -> Iterator[Element]:
    """Yield the elements that libsbml counts with getNum<kind>s."""
    many = {"Species": "Species"}.get(kind, f"{kind}s")
    for k in range(getattr(parent, f"getNum{many}")()):
        yield getattr(parent, f"get{kind}")(k)


def read_values(parts: SbmlParts, model: Element) -> None:
    """Read the sizes of compartments and the values of parameters that are numbers."""
    for kind, value in (("Compartment", "Size"), ("Parameter", "Value")):
        for element in each(model, kind):
            name = element.getId()
            if name in parts.written.rules or name in parts.written.assignments:
                parts.parameters[name] = Number(0.0)  # holds the place; `read_formulas` fills it
            else:
                read_number(parts, name, element, value, kind)


def read_number(parts: SbmlParts, name: str, element: Element, attribute: str, kind: str) -> None:
    """Read the value of an element; what has none, or none that it may be, is missed only where it is used."""
    value = getattr(element, f"get{attribute}")() if getattr(element, f"isSet{attribute}")() else math.nan
    if math.isfinite(value) and (value > 0.0 or kind != "Compartment"):
        parts.parameters[name] = Number(value)
    else:
        parts.missing[name] = NoValue(kind, "none" if math.isnan(value) else f"{value:g}")


def _required_number(value: float, what: str) -> Number:
    if not abs(value) < float("inf"):
        raise ModelError(f"{what} must have a finite value, but has {value}.")
    return Number(value)


def read_formulas(parts: SbmlParts, model: Element) -> None:
    """Read assignment rules and initial assignments of all that is not a species of the state."""
    determined = [n for n in parts.written.rules if n in parts.parameters]
    for name in determined:
        parts.parameters[name] = parts.read_math(parts.written.rules[name], f"Assignment rule of '{name}'")
    for name in _in_order(parts):
        _solve(parts, name)
    assigned = [n for n in parts.written.assignments if n in parts.parameters and n not in parts.written.rules]
    held = {name: parts.holder(name) for name in assigned}
    for given, name in held.items():
        parts.parameters[name] = parts.read_math(parts.written.assignments[given], f"Initial assignment of '{given}'")
    for name in held.values():
        if name not in parts.species:
            _hold(parts, name, parts.parameters[name])
    _refuse_growth(parts, model)
    _hold_fixed(parts, model)


def _in_order(parts: SbmlParts) -> list[str]:
    """Return what has a rate rule and a value, each after those that its rate depends on."""
    names = [name for name in parts.written.rates if name in parts.parameters]
    trees = {name: parts.read_math(parts.written.rates[name], f"Rate rule of '{name}'") for name in names}
    order = graphlib.TopologicalSorter(
        {
            name: reached(tree, parts.species, parts.parameters).keys() & set(names) - {name}
            for name, tree in trees.items()
        }
    )
    try:
        return list(order.static_order())
    except graphlib.CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ModelError(f"Rate rules must not depend on each other in a circle, but {circle} is one.") from None


def _solve(parts: SbmlParts, name: str) -> None:
    """Give what has a rate rule its closed form; the value at time zero is a parameter of its own."""
    rate = parts.read_math(parts.written.rates[name], f"Rate rule of '{name}'")
    known = reached(rate, parts.species, parts.parameters)
    random = sorted(known.keys() & (parts.species.keys() | parts.changed) - {name})
    if random:
        raise ModelError(
            f"rateRule for '{name}' must depend on time and constants alone, but depends on '{random[0]}'; a value "
            f"that changes with the state is a species that reactions change."
        )
    formulas = {n: value for n, value in known.items() if n in parts.written.rules or n in parts.courses}
    constants = {
        n: value for n, value in known.items() if isinstance(value, Number) and n not in parts.written.assignments
    }
    solution = course(name, substitute(rate, resolve(formulas)), {n: c for n, c in constants.items() if n != name})
    parts.courses[name] = solution
    parts.kept += [KeptValue(f"A part of the rate rule of '{name}'", tree, 0.0) for tree in solution.zeros]
    parts.parameters[solution.start] = parts.parameters[name]
    parts.parameters[name] = solution.value
    if name in parts.changed:
        parts.changed.add(solution.start)


def _hold(parts: SbmlParts, name: str, tree: Expression) -> None:
    """Give a parameter the value of a formula at time 0: later changes of species do not change it."""
    if varies(tree, parts.species, parts.parameters):
        parts.at_start[name] = tree
        tree = at_start(tree, parts.species, parts.parameters)
    parts.parameters[name] = tree


def refuse_missing(parts: SbmlParts, laws: list[Expression], events: Iterable[Event]) -> None:
    """Refuse formulas that use an element without a value."""
    trees = [*laws, *parts.parameters.values(), *parts.species.values()]
    trees += [tree for event in events for tree in (event.condition, *event.formulas.values())]
    used = sorted(frozenset().union(*map(symbols, trees)) & set(parts.missing))
    if used:
        kind, has = parts.missing[used[0]]
        what = {"Compartment": "size above 0", "Species": "number"}.get(kind, "value")
        raise ModelError(
            f"{kind} '{used[0]}' must have a {what}, because a formula uses it, but has {has}; write it into the file."
        )


# ---------------------------------------------------------------------- species


def read_species(parts: SbmlParts, model: Element) -> None:
    """Sort species into those of the state and those that a rule determines."""
    for species in each(model, "Species"):
        name = species.getId()
        if name in parts.written.rules:
            parts.parameters[name] = Number(0.0)
        elif is_concentration(species, model):
            parts.scale[name] = call("/", Symbol(name), Symbol(species.getCompartment()))
    for species in each(model, "Species"):
        if species.getId() in parts.written.rules:
            continue
        if _is_held(species) and not _has_count(parts, species):
            parts.missing[species.getId()] = NoValue("Species", "none")
        else:
            parts.species[species.getId()] = _initial_count(parts, species, model)


def is_concentration(species: Element, model: Element) -> bool:
    """Return whether the symbol of a species stands for its concentration.

    Compartments without dimensions have no size in Level 2, and amounts in them (L2V4, 4.7.5); in Level 3
    they are as others, where they have a size.
    """
    compartment = model.getCompartment(species.getCompartment())
    if compartment is None:
        raise ModelError(
            f"Species '{species.getId()}' must be in a compartment of the model, "
            f"but is in '{species.getCompartment()}'."
        )
    is_point = compartment.getSpatialDimensionsAsDouble() == 0
    return not (species.getHasOnlySubstanceUnits() or (is_point and not _has_size(compartment, model)))


def _has_size(compartment: Element, model: Element) -> bool:
    name = compartment.getId()
    is_determined = model.getInitialAssignmentBySymbol(name) or model.getAssignmentRuleByVariable(name)
    return bool(model.getLevel() > 2 and (compartment.isSetSize() or is_determined is not None))


def _is_held(species: Element) -> bool:
    """Return whether no reaction changes a species."""
    return bool(species.getConstant() or species.getBoundaryCondition())


def _has_count(parts: SbmlParts, species: Element) -> bool:
    """Return whether a file says how much there is of a species, at the start or from an event on."""
    given = species.isSetInitialAmount() or species.isSetInitialConcentration()
    return given or species.getId() in parts.written.assignments or species.getId() in parts.changed


def _initial_count(parts: SbmlParts, species: Element, model: Element) -> Expression:
    name, size = species.getId(), Symbol(species.getCompartment())
    if name in parts.written.assignments:
        draw = read_draw(
            parts.written.assignments[name], f"Initial assignment of '{name}'", parts.written.functions, ()
        )
        if draw is not None:
            parts.draws[name] = draw.with_values(parts.scale)
            return Number(0.0)
        value = parts.read_math(parts.written.assignments[name], f"Initial assignment of '{name}'")
        return call("*", value, size) if is_concentration(species, model) else value
    if species.isSetInitialAmount():
        return _required_number(species.getInitialAmount(), f"Species '{name}'")
    if species.isSetInitialConcentration():
        return call("*", _required_number(species.getInitialConcentration(), f"Species '{name}'"), size)
    raise ModelError(f"Species '{name}' must have an initial amount or concentration, but has none.")


def _refuse_growth(parts: SbmlParts, model: Element) -> None:
    """Refuse concentrations in a compartment whose size varies."""
    for species in each(model, "Species"):
        compartment = species.getCompartment()
        if species.getId() in parts.scale and varies(Symbol(compartment), parts.species, parts.parameters):
            raise ModelError(
                f"Species '{species.getId()}' must be in amounts (hasOnlySubstanceUnits), "
                f"because compartment '{compartment}' varies, but is in concentrations."
            )


def _hold_fixed(parts: SbmlParts, model: Element) -> None:
    """Make parameters of the species that no reaction changes and whose amount is not whole."""
    for species in each(model, "Species"):
        name = species.getId()
        if name not in parts.species or not _is_held(species):
            continue
        amount = at_start(parts.species[name], parts.species, parts.parameters)
        value = substitute(amount, resolve(parts.parameters))
        if isinstance(value, Number) and np.isnan(nearest_whole(np.array(value.value))):
            _hold(parts, name, parts.species.pop(name))
