"""Models of GillesPy2, whose propensities are read as its stochastic solvers evaluate them.

Mass action is k x (x − 1)/vol of two equal reactants there, without a half, k x y/vol of different ones, and k vol of
none; a customized propensity is the propensity itself, in Python.

References
----------
S. Matthew et al., Letters in Biomathematics 10 (2023) 87, doi:10.30707/LiB10.1.1681913305.338812.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fsp.errors import ModelError
from fsp.formats.foreign_formulas import FUNCTIONS, as_ours
from fsp.formats.sbml import Finish, as_it_stands
from fsp.formats.units import COUNTED
from fsp.model.definition import read_definition
from fsp.model.event import Event
from fsp.model.model import Model
from fsp.model.reaction import Reaction, Stoichiometry, net_change

_VOLUME = "vol"  # GillesPy2's name for it in formulas


def read_gillespy2(model: Any, finish: Finish = as_it_stands) -> Model:
    """Read a GillesPy2 model; `finish` makes the model of what it says."""
    _refuse(model)
    names = [_VOLUME, *model.listOfParameters, *model.listOfSpecies]
    rules = {_name(rule.variable): rule.formula for rule in model.listOfAssignmentRules.values()}
    given = {_VOLUME: model.volume, **{name: p.expression for name, p in model.listOfParameters.items()}, **rules}
    held = {name for name, item in model.listOfSpecies.items() if item.constant or item.boundary_condition}
    definition = read_definition(
        {name: item.initial_value for name, item in model.listOfSpecies.items() if name not in rules},
        [_reaction(item, names, held) for item in model.listOfReactions.values()],
        {name: as_ours(str(value), names) for name, value in given.items()},
        None,
        {**FUNCTIONS, **_functions(model)},
        [_event(item, names) for item in model.listOfEvents.values()],
        model.name,
        "",
    )
    return finish(definition, COUNTED)


def _refuse(model: Any) -> None:
    for rule in model.listOfRateRules.values():
        raise ModelError(
            f"Model must change by reactions only, but rate rule '{rule.name}' changes {_name(rule.variable)} "
            "continuously, which a jump process does not."
        )
    for name, species in model.listOfSpecies.items():
        if species.mode == "continuous":
            raise ModelError(f"Species '{name}' must be counted, but its mode is continuous; make it 'discrete'.")


def _name(variable: Any) -> str:
    """Return the name of what a rule or a reaction refers to, by name or as an object."""
    return variable if isinstance(variable, str) else str(variable.name)


def _functions(model: Any) -> dict[str, str]:
    return {
        f"{function.name}({', '.join(function.args)})": as_ours(function.function_string, function.args)
        for function in model.listOfFunctionDefinitions.values()
    }


def _reaction(reaction: Any, names: Collection[str], held: Collection[str]) -> Reaction:
    reactants, products = (dict(_side(side.items(), reaction)) for side in (reaction.reactants, reaction.products))
    change = {name: n for name, n in net_change(reactants, products).items() if name not in held}
    rate = as_ours(reaction.propensity_function, names)
    return Reaction(Stoichiometry(reactants, products, change), rate=rate, name=reaction.name)


def _side(side: Iterable[tuple[Any, Any]], reaction: Any) -> Iterator[tuple[str, int]]:
    for species, count in side:
        if int(count) != count:
            raise ModelError(
                f"Stoichiometry of '{_name(species)}' in reaction '{reaction.name}' must be a whole number, "
                f"but is {count}."
            )
        if count:
            yield _name(species), int(count)


def _event(event: Any, names: Collection[str]) -> Event:
    if event.delay not in (None, "0", "0.0", 0, 0.0):
        raise ModelError(
            f"Event '{event.name}' must take place at once, but has the delay {event.delay}; of an event at a known "
            "time, make it a later time."
        )
    return Event(
        as_ours(event.trigger.expression, names),
        {_name(assignment.variable): as_ours(str(assignment.expression), names) for assignment in event.assignments},
        name=event.name,
        priority=as_ours(str(event.priority), names) if event.priority is not None else None,
        persistent=bool(event.trigger.persistent),
        initial_value=bool(event.trigger.value),
        use_trigger_values=bool(event.use_values_from_trigger_time),
    )
