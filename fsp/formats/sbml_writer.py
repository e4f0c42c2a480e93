"""Write a model as SBML that simulators read as the same jump process.

Species are in items (`hasOnlySubstanceUnits`) in one compartment of size 1, and each kinetic law is the propensity
with its parameters put in, so that no unit, volume or stoichiometric convention can change it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from fsp.errors import ModelError
from fsp.model.formula import is_name
from fsp.model.functions import FUNCTIONS
from fsp.model.infix import to_text
from fsp.model.libraries import one_at_a_time
from fsp.model.reaction import net_change
from fsp.model.tree import Call, symbols, walk

if TYPE_CHECKING:
    from fsp.model.model import Model
    from fsp.model.reaction import Reaction
    from fsp.model.tree import Expression


@one_at_a_time
def write_sbml(model: Model) -> str:
    """Return a model as SBML Level 3 text.

    Parameters
    ----------
    model
        The network; events that its state triggers are written as reactions.

    Returns
    -------
    str
        The document, of Version 1 unless a rate needs a function of Version 2.

    Raises
    ------
    ModelError
        If a rate is a callable, events happen at known times, or the start is a distribution.
    """
    import libsbml

    model.require_untimed("What is written as SBML")
    if len(model.initial_states) != 1:
        raise ModelError(f"'{model.name}' must start in one state to be written as SBML, but starts in a distribution.")
    laws = [_law(model, k) for k in range(model.n_reactions)]
    version = max((FUNCTIONS[n.function].version for law in laws for n in walk(law) if isinstance(n, Call)), default=1)
    document = libsbml.SBMLDocument(3, version)
    made = document.createModel()
    made.setId(re.sub(r"\W", "_", model.name, flags=re.ASCII) if is_name(model.name[:1]) else "model")
    for units, unit in (("Substance", "item"), ("Extent", "item"), ("Time", "second"), ("Volume", "litre")):
        getattr(made, f"set{units}Units")(unit)
    place = _free("compartment", model.species)
    _compartment(made, place)
    for name, count in zip(model.species, model.initial_states[0].tolist(), strict=True):
        _species(made, name, count, place)
    taken = [*model.species, place]
    for k, (reaction, law) in enumerate(zip(model.reactions, laws, strict=True)):
        given = str(reaction.name)
        name = _free(given if is_name(given) else f"r{k + 1}", taken)
        taken.append(name)
        _reaction(made, reaction, name, law, model)
    return str(libsbml.writeSBMLToString(document))


def _law(model: Model, k: int) -> Expression:
    law = model.rate_expressions[k]
    if law is None:
        raise ModelError(
            f"Rate of '{model.reactions[k].name}' must be a formula to be written as SBML, but is a callable."
        )
    return law


def _free(name: str, taken: Any) -> str:
    while name in taken:
        name += "_"
    return name


def _compartment(made: Any, name: str) -> None:
    compartment = made.createCompartment()
    compartment.setId(name)
    compartment.setConstant(True)
    compartment.setSize(1.0)
    compartment.setSpatialDimensions(3)
    compartment.setUnits("litre")


def _species(made: Any, name: str, count: int, place: str) -> None:
    species = made.createSpecies()
    species.setId(name)
    species.setCompartment(place)
    species.setInitialAmount(float(count))
    species.setSubstanceUnits("item")
    species.setHasOnlySubstanceUnits(True)
    species.setBoundaryCondition(False)
    species.setConstant(False)


def _reaction(made: Any, reaction: Reaction, name: str, law: Expression, model: Model) -> None:
    element = made.createReaction()
    element.setId(name)
    element.setName(str(reaction.name))
    element.setReversible(False)
    if made.getVersion() == 1:
        element.setFast(False)
    reactants, products = _sides(reaction)
    for side, create in ((reactants, element.createReactant), (products, element.createProduct)):
        for species, n in side.items():
            reference = create()
            reference.setSpecies(species)
            reference.setStoichiometry(float(n))
            reference.setConstant(True)
    for species in model.species:
        if species in symbols(law) and species not in reactants and species not in products:
            element.createModifier().setSpecies(species)
    element.createKineticLaw().setMath(_math(law, made))


def _sides(reaction: Reaction) -> tuple[dict[str, int], dict[str, int]]:
    """Return both sides, or, where the net change is not their difference, its parts."""
    change = reaction.change
    if reaction.reactants is not None and reaction.products is not None:
        reactants, products = dict(reaction.reactants), dict(reaction.products)
        if net_change(reactants, products) == change:
            return reactants, products
    return {s: -n for s, n in change.items() if n < 0}, {s: n for s, n in change.items() if n > 0}


def _math(law: Expression, made: Any) -> Any:
    import libsbml

    settings = libsbml.L3ParserSettings()
    settings.setComparisonCaseSensitivity(True)
    settings.setParseUnits(False)
    settings.setModel(made)  # its names come before constants
    return libsbml.parseL3FormulaWithSettings(to_text(law), settings)
