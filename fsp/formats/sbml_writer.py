"""Write a model as SBML that simulators read as the same jump process.

Species are in items (`hasOnlySubstanceUnits`) in one compartment of size 1, and each kinetic law is the propensity
with its parameters put in, so that no unit, volume or stoichiometric convention can change it.  Events at known times
are written as events, with the parameters that they assign; events that the state triggers as reactions.

Truth values and numbers are kept apart, as MathML in SBML has them.  What is written is read back: libsbml must find
nothing wrong with it, and starts, events and rates, in states that the network reaches, must be those of the model.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fsp.errors import ModelError
from fsp.formats.equivalence import difference
from fsp.formats.sbml import read_sbml
from fsp.model.formula import is_name
from fsp.model.functions import FUNCTIONS
from fsp.model.infix import to_text
from fsp.model.libraries import one_at_a_time
from fsp.model.reaction import net_change
from fsp.model.tree import ZERO, Call, Expression, Number, is_condition, symbols, walk

if TYPE_CHECKING:
    from fsp.model.event import Event
    from fsp.model.model import Model
    from fsp.model.reaction import Reaction

LONGEST_COMPARED = 1e9  # of the time in which events are compared that may go on for ever; chosen


@one_at_a_time
def write_sbml(model: Model) -> str:
    """Return a model as SBML Level 3 text.

    Parameters
    ----------
    model
        The network; events that its state triggers alone are written as reactions.

    Returns
    -------
    str
        The document, of Version 1 unless a rate needs a function of Version 2.

    Raises
    ------
    ModelError
        If a rate is a callable, events draw random numbers, or the start is a distribution; or if what is written
        would not be read as this network.
    """
    text = _written(model)
    ends = [phase.until for phase in model.phases(0.0, LONGEST_COMPARED) if phase.firing is not None]
    differing = difference(
        read_sbml(text, "what is written"), model, min(2.0 * max(ends, default=0.5), LONGEST_COMPARED)
    )
    if differing:
        raise ModelError(f"'{model.name}' must be the same network when it is read back from SBML, but {differing}.")
    return text


def _written(model: Model) -> str:
    import libsbml

    if len(model.initial_states) != 1:
        raise ModelError(f"'{model.name}' must start in one state to be written as SBML, but starts in a distribution.")
    laws = [_law(model, k) for k in range(model.n_reactions)]
    events = _events(model)
    trees = [*laws, *(tree for event in events for tree in (event.condition, *event.formulas.values()))]
    version = max((FUNCTIONS[n.function].version for t in trees for n in walk(t) if isinstance(n, Call)), default=1)
    document = libsbml.SBMLDocument(3, version)
    made = document.createModel()
    made.setId(re.sub(r"\W", "_", model.name, flags=re.ASCII) if is_name(model.name[:1]) else "model")
    for units, unit in (("Substance", "item"), ("Extent", "item"), ("Time", "second"), ("Volume", "litre")):
        getattr(made, f"set{units}Units")(unit)
    place = _free("compartment", [*model.species, *model.parameters])
    _compartment(made, place)
    for name, count in zip(model.species, model.initial_states[0].tolist(), strict=True):
        _species(made, name, count, place)
    values = next(model.phases(0.0, 0.0)).values  # of the parameters that events assign
    for name, value in values.items():
        _parameter(made, name, value)
    taken = [*model.species, *values, place]
    for k, (reaction, law) in enumerate(zip(model.reactions, laws, strict=True)):
        given = str(reaction.name)
        name = _free(given if is_name(given) else f"r{k + 1}", taken)
        taken.append(name)
        _reaction(made, reaction, name, law, model)
    for k, event in enumerate(events, 1):
        _event(made, event, _free(f"event_{k}", taken))
    return str(libsbml.writeSBMLToString(document))


def _law(model: Model, k: int) -> Expression:
    law = model.law(k)
    if not isinstance(law, Expression):
        raise ModelError(
            f"Rate of '{model.reactions[k].name}' must be a formula to be written as SBML, but is a callable."
        )
    return _typed(law, truth=False)


def _events(model: Model) -> list[Event]:
    """Return the events with constants put in; none where the state alone triggers them, as they are reactions then."""
    if model.rules is None or not model.has_timed_events:
        return []
    if model.rules.draws:
        raise ModelError(f"Events of '{model.name}' must draw no random numbers to be written as SBML, but one does.")
    return [
        replace(
            event,
            trigger=_typed(event.condition, truth=True),
            assignments={name: _typed(tree, truth=False) for name, tree in event.formulas.items()},
        )
        for event in model.rules.events
    ]


def _typed(tree: Expression, *, truth: bool) -> Expression:
    """Return a tree in which truth values stand where conditions are, and numbers everywhere else."""
    is_truth = False
    if isinstance(tree, Call):
        parts = [_typed(part, truth=is_condition(tree.function, k)) for k, part in enumerate(tree.arguments)]
        tree, is_truth = Call(tree.function, tuple(parts)), FUNCTIONS[tree.function].truth
    if is_truth == truth:
        return tree
    if truth:
        return Call("!=", (tree, ZERO))
    return Call("piecewise", (Number(1.0), tree, ZERO))


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


def _parameter(made: Any, name: str, value: float) -> None:
    parameter = made.createParameter()
    parameter.setId(name)
    parameter.setValue(value)
    parameter.setConstant(False)


def _event(made: Any, event: Event, name: str) -> None:
    """Write an event; what fires at the start is done in the state and the values that are written."""
    element = made.createEvent()
    element.setId(name)
    element.setName(str(event.name))
    element.setUseValuesFromTriggerTime(event.use_trigger_values)
    trigger = element.createTrigger()
    trigger.setInitialValue(True)
    trigger.setPersistent(event.persistent)
    trigger.setMath(_math(event.condition, made))
    if event.rank is not None:
        element.createPriority().setMath(_math(Number(event.rank), made))
    for variable, tree in event.formulas.items():
        assignment = element.createEventAssignment()
        assignment.setVariable(variable)
        assignment.setMath(_math(tree, made))


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
