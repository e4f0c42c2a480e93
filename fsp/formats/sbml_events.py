"""The events of an SBML model, with assignments that count molecules.

What Level 2 does not say is as in its specification: triggers are true before the start, events persist and have no
priority.
"""

from __future__ import annotations

from fsp.errors import ModelError
from fsp.formats.sbml_parts import Element, SbmlParts, each, is_concentration
from fsp.model.draws import Draw, read_draw
from fsp.model.event import Event, named_draws
from fsp.model.tree import Expression, Number, Symbol, call


def assigned_by_events(model: Element) -> set[str]:
    """Return the ids that events assign."""
    return {assignment.getVariable() for event in each(model, "Event") for assignment in each(event, "EventAssignment")}


def read_events(parts: SbmlParts, model: Element) -> tuple[Event, ...]:
    """Read the events of a model whose species and values are read."""
    names: list[str] = []
    events = []
    for k, element in enumerate(each(model, "Event"), 1):
        name = element.getId() or element.getName() or f"event {k}"
        name = f"{name} ({k})" if name in names else name
        names.append(name)
        events.append(_event(parts, model, element, name))
    return tuple(event for event in events if event.assignments)


def _event(parts: SbmlParts, model: Element, element: Element, name: str) -> Event:
    what = f"event '{name}'"
    if element.isSetDelay() and parts.read_math(element.getDelay().getMath(), f"Delay of {what}") != Number(0.0):
        raise ModelError(
            f"Event '{name}' must take place when it is triggered, but has a delay: what happens would depend on more "
            f"than the state. Put a delay after a known time into the trigger."
        )
    trigger = element.getTrigger()
    if trigger is None:
        raise ModelError(f"Event '{name}' must have a trigger, but has none.")
    new = model.getLevel() > 2
    priority = element.getPriority() if new else None
    assignments, draws = _assignments(parts, model, element, name)
    return Event(
        name=name,
        trigger=parts.read_math(trigger.getMath(), f"Trigger of {what}"),
        assignments=assignments,
        draws=draws,
        priority=None if priority is None else parts.read_math(priority.getMath(), f"Priority of {what}"),
        persistent=bool(trigger.getPersistent()) if new and trigger.isSetPersistent() else True,
        initial_value=bool(trigger.getInitialValue()) if new and trigger.isSetInitialValue() else True,
        use_trigger_values=_uses_trigger_values(element),
    )


def _uses_trigger_values(element: Element) -> bool:
    return bool(element.getUseValuesFromTriggerTime()) if element.isSetUseValuesFromTriggerTime() else True


def _assignments(
    parts: SbmlParts, model: Element, element: Element, name: str
) -> tuple[dict[str, Expression], dict[str, Draw]]:
    """Return what an event assigns, and the random numbers in it by the names that stand for them."""
    assigned: dict[str, Expression] = {}
    draws: dict[str, Draw] = {}
    for assignment in each(element, "EventAssignment"):
        variable = assignment.getVariable()
        if assignment.getMath() is None:
            continue  # of Level 3 Version 2: no assignment
        known = any(find(variable) for find in (model.getSpecies, model.getParameter, model.getCompartment))
        if not known or variable in parts.written.rules or variable in parts.missing:
            _refuse(parts, name, variable)
        what = f"Assignment of '{variable}' by event '{name}'"
        draw = read_draw(assignment.getMath(), what, parts.written.functions, ())
        if draw is None:
            tree: Expression = parts.read_math(assignment.getMath(), what)
        else:
            drawn, symbols_of = named_draws({variable: draw.with_values(parts.scale)})
            tree, draws = symbols_of[variable], draws | drawn
        species = model.getSpecies(variable)
        if species is not None and is_concentration(species, model):
            tree = call("*", tree, Symbol(species.getCompartment()))
        assigned[variable] = tree
    for variable in assigned:
        species = model.getSpecies(variable)
        if species is not None and variable in parts.scale and species.getCompartment() in assigned:
            raise ModelError(
                f"Event '{name}' must not assign the concentration of '{variable}' and the size of its compartment "
                f"'{species.getCompartment()}' at once; give '{variable}' hasOnlySubstanceUnits."
            )
    held = {parts.holder(v): parts.courses[v].start_for(t) if v in parts.courses else t for v, t in assigned.items()}
    return held, draws


def _refuse(parts: SbmlParts, name: str, variable: str) -> None:
    if variable in parts.missing:
        kind, has = parts.missing[variable]
        raise ModelError(f"{kind} '{variable}' must have a value before event '{name}' assigns one, but has {has}.")
    why = (
        "which a rule determines"
        if variable in parts.written.rules
        else "which is no species, parameter or compartment"
    )
    raise ModelError(f"Event '{name}' must assign what may change, but assigns '{variable}', {why}.")
