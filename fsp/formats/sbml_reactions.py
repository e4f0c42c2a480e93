"""The reactions of an SBML model: whole stoichiometries, and kinetic laws with their local parameters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from fsp.errors import ModelError
from fsp.formats.sbml_parts import Element, SbmlParts, each, read_number
from fsp.formats.units import extent_in
from fsp.model.definition import resolve
from fsp.model.kept_values import kept_value
from fsp.model.reaction import Reaction, Stoichiometry, net_change
from fsp.model.tree import Expression, Number, Symbol, call, depends_on_time, substitute, symbols
from fsp.model.values import nearest_whole

NEAR_UNIT = 1e-3  # relative: a conversion factor is a unit within Avogadro's number as files write it, 6.022e23


class _SpeciesReference(NamedTuple):
    """A species on one side of a reaction."""

    species: str
    name: str  # the id of the reference; empty where it has none
    consumed: bool
    many: Expression


class _Species(NamedTuple):
    """What the stoichiometry of a species depends on."""

    factor: str  # the parameter by which extent is multiplied; empty where there is none
    is_unit: bool  # whether the factor is the unit of extent in that of the species
    boundary: bool
    constant: bool


class WrittenReactions(NamedTuple):
    """The reactions of a model as written: what each consumes and makes, and its law."""

    elements: list[Element]
    sides: list[list[_SpeciesReference]]
    laws: list[Expression]


def read_laws(parts: SbmlParts, model: Element) -> WrittenReactions:
    """Read laws and stoichiometries, before the formulas that may use them by id."""
    elements = list(each(model, "Reaction"))
    for element in elements:
        if element.getFast():
            raise ModelError(
                f"Reaction '{element.getId()}' must take place at its own rate, but is fast; "
                'give it a kinetic law and fast="false".'
            )
    names = [element.getId() for element in elements]
    sides = [_sides(parts, element, name) for element, name in zip(elements, names, strict=True)]
    laws = [_kinetic_law(parts, element, name) for element, name in zip(elements, names, strict=True)]
    parts.named.update({side.name: side.many for both in sides for side in both if side.name})
    parts.named.update(zip(names, laws, strict=True))
    for tree in (*parts.named.values(), *parts.species.values()):
        parts.take_named(tree)
    return WrittenReactions(elements, sides, laws)


class ReadReactions(NamedTuple):
    """The reactions of a model in molecules, their laws, and what was made of their units, a line each."""

    reactions: list[Reaction]
    laws: list[Expression]
    steps: tuple[str, ...]


def read_reactions(parts: SbmlParts, model: Element, read: WrittenReactions) -> ReadReactions:
    """Make reactions of what was read, once the values that stoichiometries use are known.

    A conversion factor that is the unit of extent in that of the species, 1000 of moles and millimoles, changes no
    stoichiometry: it multiplies the law, which is the same change of means, and molecules come and go by the reaction.
    """
    constants = resolve(parts.parameters, without=parts.changed)
    species = {s.getId(): _species(model, s, constants) for s in each(model, "Species")}
    without_factors = {name: of._replace(factor="") for name, of in species.items()}
    reactions, laws, units = [], [], set()
    for element, both, written in zip(*read, strict=True):
        name, law = element.getId(), written
        unit = _unit_of_extent(species, both)
        if unit:
            law = call("*", written, Symbol(unit))
            units.add(unit)
            parts.kept += kept_value("The unit of extent in that of the species", Symbol(unit), constants)
        counted = _stoichiometry(name, parts, without_factors if unit else species, both, constants)
        reactions.append(Reaction(counted, rate=law, name=name, reversible=bool(element.getReversible())))
        laws.append(law)
    steps = (f"'{unit}' is the unit of extent in that of the species: it multiplies laws" for unit in sorted(units))
    return ReadReactions(reactions, laws, tuple(steps))


def _species(model: Element, species: Element, constants: Mapping[str, Expression]) -> _Species:
    factor = species.getConversionFactor() or model.getConversionFactor()
    value, unit = constants.get(factor), extent_in(model, species)
    is_unit = isinstance(value, Number) and unit not in (None, 1.0) and abs(value.value / unit - 1.0) < NEAR_UNIT
    return _Species(factor, is_unit, species.getBoundaryCondition(), species.getConstant())


def _unit_of_extent(species: Mapping[str, _Species], both: Iterable[_SpeciesReference]) -> str:
    """Return the one conversion factor of all that a reaction changes, where it is a unit; empty elsewhere."""
    changed = [species[side.species] for side in both if side.species in species]
    factors = {(s.factor, s.is_unit) for s in changed if not (s.boundary or s.constant)}
    ((factor, is_unit),) = factors if len(factors) == 1 else {("", False)}
    return factor if is_unit else ""


def _kinetic_law(parts: SbmlParts, reaction: Element, name: str) -> Expression:
    law = reaction.getKineticLaw()
    if law is None:
        raise ModelError(f"Reaction '{name}' must have a kinetic law, but has none.")
    many = law.getNumLocalParameters() if law.getLevel() > 2 else law.getNumParameters()
    local: dict[str, Expression] = {}
    for k in range(many):
        parameter = law.getLocalParameter(k) if law.getLevel() > 2 else law.getParameter(k)
        full = f"{name}.{parameter.getId()}"
        local[parameter.getId()] = Symbol(full)
        read_number(parts, full, parameter, "Value", "Local parameter")
    return parts.read_math(law.getMath(), f"Kinetic law of '{name}'", local)


def _sides(parts: SbmlParts, reaction: Element, name: str) -> list[_SpeciesReference]:
    """Return what a reaction consumes and what it makes."""
    return [
        _SpeciesReference(reference.getSpecies(), reference.getId(), kind == "Reactant", _many(parts, name, reference))
        for kind in ("Reactant", "Product")
        for reference in each(reaction, kind)
    ]


def _many(parts: SbmlParts, reaction: str, reference: Element) -> Expression:
    """Return a stoichiometry as a formula."""
    name = reference.getId()
    what = f"Stoichiometry of '{reference.getSpecies()}' in reaction '{reaction}'"
    if reference.isSetStoichiometryMath():
        return parts.read_math(reference.getStoichiometryMath().getMath(), what)
    if name and name in parts.written.rules:
        return parts.read_math(parts.written.rules[name], what)
    if name and name in parts.written.assignments:
        return parts.read_math(parts.written.assignments[name], what)
    if reference.getLevel() > 2 and not reference.isSetStoichiometry():
        raise ModelError(f"{what} must be given, but is not.")
    return Number(reference.getStoichiometry())


def _stoichiometry(
    reaction: str,
    parts: SbmlParts,
    species: Mapping[str, _Species],
    both: Iterable[_SpeciesReference],
    constants: Mapping[str, Expression],
) -> Stoichiometry:
    """Return both sides in molecules, and the net change of the species that reactions may change."""
    sums: dict[tuple[str, bool], Expression] = {}
    for side in both:
        _check_changeable(reaction, side.species, species.get(side.species), parts)
        factor, before = species[side.species].factor, sums.get((side.species, side.consumed))
        tree = call("*", side.many, Symbol(factor)) if factor else side.many
        sums[side.species, side.consumed] = tree if before is None else call("+", before, tree)
    consumed: dict[str, int] = {}
    made: dict[str, int] = {}
    for (name, is_consumed), tree in sums.items():
        count = _integer(substitute(tree, constants), reaction, name)
        parts.kept += kept_value(f"Stoichiometry of '{name}' in reaction '{reaction}'", tree, constants)
        target = consumed if is_consumed == (count >= 0) else made
        if count and name in parts.species:
            target[name] = target.get(name, 0) + abs(count)
    change = net_change(consumed, made)
    return Stoichiometry(consumed, made, {s: n for s, n in change.items() if not species[s].boundary})


def _check_changeable(reaction: str, name: str, species: _Species | None, parts: SbmlParts) -> None:
    what = f"Reaction '{reaction}'"
    if species is None:
        raise ModelError(f"{what} must be between species of the model, but has '{name}'.")
    if species.boundary:
        return
    if name in parts.written.rules:
        raise ModelError(f"{what} must not change '{name}', which an assignment rule determines, but does.")
    if species.constant:
        raise ModelError(f"{what} must not change '{name}', which is constant, but does.")


def _integer(tree: Expression, reaction: str, species: str) -> int:
    value = tree.value if isinstance(tree, Number) else float("nan")
    if value.is_integer():
        return int(value)
    count = float(nearest_whole(np.array(value)))
    if math.isnan(count):
        varies = "" if isinstance(tree, Number) else ", which is no constant; write a reaction for each number of them"
        names = [*sorted(symbols(tree)), *(["time"] if depends_on_time(tree) else [])]
        given = f"{value:g}" if isinstance(tree, Number) else f"a formula of {', '.join(names)}"
        raise ModelError(
            f"Stoichiometry of '{species}' in reaction '{reaction}' must be a whole number, but is {given}{varies}."
        )
    return int(count)
