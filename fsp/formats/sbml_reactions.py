"""The reactions of an SBML model: whole stoichiometries, and kinetic laws with their local parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from fsp.errors import ModelError
from fsp.formats.sbml_parts import Element, Parts, each, read_number
from fsp.model.definition import resolve
from fsp.model.reaction import Reaction, Stoichiometry, net_change
from fsp.model.tree import Expression, Number, Symbol, call, substitute, symbols
from fsp.model.values import nearest_whole


def read_reactions(parts: Parts, model: Element) -> tuple[list[Reaction], list[Expression]]:
    """Read the reactions of a model whose species and values are read."""
    elements = list(each(model, "Reaction"))
    for element in elements:
        if element.getFast():
            raise ModelError(
                f"Reaction '{element.getId()}' must take place at its own rate, but is fast; "
                'give it a kinetic law and fast="false".'
            )
    references = _references(parts, elements)
    laws = [_kinetic_law(parts, element) for element in elements]
    _add_named_values(parts, references, {e.getId(): law for e, law in zip(elements, laws, strict=True)})
    constants = resolve({name: tree for name, tree in parts.parameters.items() if name not in parts.changed})
    reactions = []
    for element, law in zip(elements, laws, strict=True):
        sides = _stoichiometry(element, parts, model, references, constants)
        reversible = bool(element.getReversible())
        reactions.append(Reaction(sides, rate=law, name=element.getId(), reversible=reversible))
    return reactions, laws


def _kinetic_law(parts: Parts, reaction: Element) -> Expression:
    name, law = reaction.getId(), reaction.getKineticLaw()
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


def _references(parts: Parts, reactions: list[Element]) -> dict[str, Expression]:
    """Return the stoichiometry of each species reference, by the key that `_key` gives it."""
    return {
        _key(reaction, side, k): _stoichiometry_tree(parts, reaction, reference)
        for reaction in reactions
        for side in ("Reactant", "Product")
        for k, reference in enumerate(each(reaction, side))
    }


def _key(reaction: Element, side: str, k: int) -> str:
    """Return the id of a species reference, or a text that is no id where it has none."""
    return str(getattr(reaction, f"get{side}")(k).getId() or f"{reaction.getId()} {side} {k}")


def _stoichiometry_tree(parts: Parts, reaction: Element, reference: Element) -> Expression:
    name = reference.getId()
    what = f"Stoichiometry of '{reference.getSpecies()}' in reaction '{reaction.getId()}'"
    if reference.isSetStoichiometryMath():
        return parts.read_math(reference.getStoichiometryMath().getMath(), what)
    if name and name in parts.rules:
        return parts.read_math(parts.rules[name], what)
    if name and name in parts.assignments:
        return parts.read_math(parts.assignments[name], what)
    if reference.getLevel() > 2 and not reference.isSetStoichiometry():
        raise ModelError(f"{what} must be given, but is not.")
    return Number(reference.getStoichiometry())


def _add_named_values(parts: Parts, references: Mapping[str, Expression], laws: Mapping[str, Expression]) -> None:
    """Add what formulas may use beside parameters: stoichiometries and rates of reactions, by id."""
    named = {**references, **laws}
    pending = [*laws.values(), *parts.parameters.values(), *references.values()]
    unread = named.keys() - parts.parameters.keys() - parts.species.keys()
    while pending:
        used = symbols(pending.pop()) & unread
        unread -= used
        for name in sorted(used):
            parts.parameters[name] = named[name]
            pending.append(named[name])


def _stoichiometry(
    reaction: Element,
    parts: Parts,
    model: Element,
    references: Mapping[str, Expression],
    constants: Mapping[str, Expression],
) -> Stoichiometry:
    """Return both sides in molecules, and the net change of the species that reactions may change."""
    sides: dict[str, dict[str, int]] = {"Reactant": {}, "Product": {}}
    for side, other in (("Reactant", "Product"), ("Product", "Reactant")):
        for k, reference in enumerate(each(reaction, side)):
            species = model.getSpecies(reference.getSpecies())
            _check_changeable(reaction, reference, species, parts)
            factor = species.getConversionFactor() or model.getConversionFactor()
            tree = references[_key(reaction, side, k)]
            tree = call("*", tree, Symbol(factor)) if factor else tree
            count = _whole(substitute(tree, constants), reaction, reference)
            target = sides[side if count >= 0 else other]
            if count and species.getId() in parts.species:
                target[species.getId()] = target.get(species.getId(), 0) + abs(count)
    change = net_change(sides["Reactant"], sides["Product"])
    free = {s: n for s, n in change.items() if not model.getSpecies(s).getBoundaryCondition()}
    return Stoichiometry(sides["Reactant"], sides["Product"], free)


def _check_changeable(reaction: Element, reference: Element, species: Any, parts: Parts) -> None:
    name = reference.getSpecies()
    what = f"Reaction '{reaction.getId()}'"
    if species is None:
        raise ModelError(f"{what} must be between species of the model, but has '{name}'.")
    if species.getBoundaryCondition():
        return
    if name in parts.rules:
        raise ModelError(f"{what} must not change '{name}', which an assignment rule determines, but does.")
    if species.getConstant():
        raise ModelError(f"{what} must not change '{name}', which is constant, but does.")


def _whole(tree: Expression, reaction: Element, reference: Element) -> int:
    value = tree.value if isinstance(tree, Number) else float("nan")
    count = float(nearest_whole(np.array(value)))
    if math.isnan(count):
        varies = "" if isinstance(tree, Number) else ", which is no constant"
        given = f"{value:g}" if isinstance(tree, Number) else f"a formula of {', '.join(sorted(symbols(tree)))}"
        raise ModelError(
            f"Stoichiometry of '{reference.getSpecies()}' in reaction '{reaction.getId()}' must be a whole "
            f"number, but is {given}{varies}."
        )
    return int(count)
