"""Events that set parameters at known times, written into the rates: ``k`` becomes ``piecewise(k, time < t*, value)``.

The chain is the same, and a value that an event sets, or the time at which it does, is a parameter of the rates like
others: derivatives by them are those of rates that switch (`fsp.inference.moving`).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import TYPE_CHECKING

from fsp.errors import BackendError
from fsp.model.definition import resolve
from fsp.model.expression import evaluate
from fsp.model.model import Model
from fsp.model.tree import Call, Expression, Symbol, Time, call, depends_on_time, substitute, symbols

if TYPE_CHECKING:
    from fsp.model import Event

LATER = {">": 0, ">=": 0, "<": 1, "<=": 1}  # which argument of a comparison is the time, where it holds from then on


def written_into_rates(model: Model) -> Model:
    """Return the network without events; refuse those that do more than set parameters at known times."""
    if not model.events:
        return model
    definition = model.definition
    constants = resolve(definition.parameters)
    assigned = {name for event in definition.events for name in event.assignments}
    for event in definition.events:
        _require_settings(model, event)
    following = _following(definition.parameters, assigned | definition.held)
    times = {event.name: _time_of(event, assigned | set(following)) for event in definition.events}
    moments = {name: float(evaluate(substitute(tree, constants), {})) for name, tree in times.items()}
    if min(moments.values()) <= 0.0 or len(set(moments.values())) < len(moments):
        first = min(moments, key=lambda name: moments[name])
        raise BackendError(
            f"Events must set parameters at different times above 0 where derivatives or likelihoods are asked for, "
            f"but that of '{first}' is {moments[first]:g}; write several settings of one time into one event, and what "
            f"holds from the start on into the parameters."
        )
    current: dict[str, Expression] = {name: Symbol(name) for name in assigned}  # as functions of time
    values = dict(current)  # after the last event
    for event in sorted(definition.events, key=lambda event: moments[event.name]):
        before = call("<", Time(), times[event.name])
        after = {name: substitute(substitute(tree, following), values) for name, tree in event.formulas.items()}
        current |= {name: call("piecewise", current[name], before, tree) for name, tree in after.items()}
        values |= after
    return Model.of_definition(
        replace(
            definition,
            laws=tuple(substitute(law, current) if isinstance(law, Expression) else law for law in definition.laws),
            parameters={
                name: tree if name in assigned or name in definition.held else substitute(tree, current)
                for name, tree in definition.parameters.items()
            },
            events=(),
        )
    )


def _following(parameters: Mapping[str, Expression], fixed: Set[str]) -> dict[str, Expression]:
    """Return the parameters that are formulas of those that are `fixed`, as formulas of numbers and of these."""
    formulas = {name: tree for name, tree in parameters.items() if name not in fixed and symbols(tree)}
    resolved = resolve(formulas)
    return {name: tree for name, tree in resolved.items() if symbols(tree) & fixed}


def _require_settings(model: Model, event: Event) -> None:
    """Refuse an event whose effect is not that of parameters which switch at a known time."""
    counts = [name for name in event.assignments if name in model.species]
    trees = [event.condition, *event.formulas.values()]
    depends = {name for tree in trees for name in symbols(tree)} & set(model.species)
    if counts or depends or event.draws:
        what = f"sets the count of '{counts[0]}'" if counts else "depends on counts"
        raise BackendError(
            f"Events must set parameters at known times where derivatives or likelihoods are asked for, but "
            f"'{event.name}' {what}: a whole number has no derivative. `fsp.transient` goes through it; a dose may be "
            f"a reaction of a rate that is fast for a while, as in piecewise(100, time > 5 && time < 6, 0)."
        )
    if event.priority is not None or any(depends_on_time(tree) for tree in event.formulas.values()):
        raise BackendError(
            f"Events must set parameters to constants where derivatives or likelihoods are asked for, but "
            f"'{event.name}' has a priority or a formula of time; write it into the rates, as in "
            f"piecewise(k, time < 5, 0)."
        )


def _time_of(event: Event, assigned: set[str]) -> Expression:
    """Return the time at which an event takes place; refuse triggers that are no comparison of the time with one."""
    trigger = event.condition
    if isinstance(trigger, Call) and trigger.function in LATER and len(trigger.arguments) == 2:
        place = LATER[trigger.function]
        moment = trigger.arguments[1 - place]
        if (
            isinstance(trigger.arguments[place], Time)
            and not depends_on_time(moment)
            and not symbols(moment) & assigned
        ):
            return moment
    raise BackendError(
        f"Triggers of events must be 'time >= t' where derivatives or likelihoods are asked for, with a constant t, "
        f"but that of '{event.name}' is another condition; write it so, or what it does into the rates."
    )
