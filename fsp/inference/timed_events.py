"""Events at known times, taken apart: what they set of parameters goes into the rates, what of counts stays a map.

Where an event sets ``k``, that becomes ``piecewise(k, time < t*, value)``.  The chain is the same, and a value that an
event sets, or the time at which it does, is a parameter of the rates like others: derivatives by them are those of
rates that switch (`fsp.inference.moving`).  What an event makes of counts is a `Setting`, which
`fsp.inference.count_maps` reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fsp.errors import BackendError
from fsp.model.definition import resolve
from fsp.model.expression import evaluate
from fsp.model.model import Model
from fsp.model.tree import Call, Expression, Symbol, Time, call, depends_on_time, substitute, symbols
from fsp.model.triggers import same_time

if TYPE_CHECKING:
    from fsp.model import Event
    from fsp.model.draws import Draw

LATER = {">": 0, ">=": 0, "<": 1, "<=": 1}  # which argument of a comparison is the time, where it holds from then on


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """What an event makes of counts at a known time."""

    name: str
    time: Expression  # of parameters
    moment: float  # its value
    later: bool  # whether it takes place right after that time, so that the state at it is the one before
    assignments: dict[str, Expression]  # of species and parameters, by species
    draws: dict[str, Draw]  # random numbers that they hold

    def at(self, model: Model) -> Setting:
        """Return it with its time at the values of a model."""
        time = substitute(self.time, resolve(model.definition.parameters))
        return replace(self, moment=float(evaluate(time, {})))


def written_into_rates(model: Model) -> Model:
    """Return the network without events; refuse those that do more than set parameters at known times."""
    plain, settings = taken_apart(model)
    if settings:
        raise BackendError(
            f"Events must set parameters alone where parameters differ among cells, but '{settings[0].name}' sets the "
            f"count of '{next(iter(settings[0].assignments))}'. Without `extrinsic` cells go through it; a dose may be "
            f"a reaction of a rate that is fast for a while, as in piecewise(100, time > 5 && time < 6, 0)."
        )
    return plain


def taken_apart(model: Model) -> tuple[Model, tuple[Setting, ...]]:
    """Return the network without events, with what these set of parameters, and what they make of counts, in order."""
    if not model.events:
        return model, ()
    definition = model.definition
    constants = resolve(definition.parameters)
    species = set(model.species)
    assigned = {name for event in definition.events for name in event.assignments} - species
    for event in definition.events:
        _require_settings(event, symbols(substitute(event.condition, constants)) & species)
    following = _following(definition.parameters, assigned | definition.held)
    times = _times_of(model, assigned | set(following))
    moments = {name: float(evaluate(substitute(tree, constants), {})) for name, (tree, _) in times.items()}
    first = min(moments, key=lambda name: moments[name])
    if moments[first] <= 0.0:
        raise BackendError(
            f"Events must take place at times above 0 where derivatives or likelihoods are asked for, but that of "
            f"'{first}' is {moments[first]:g}; write what holds from the start on into the parameters and initial "
            f"counts."
        )
    in_order = sorted(definition.events, key=lambda event: moments[str(event.name)])
    current: dict[str, Expression] = {name: Symbol(name) for name in assigned}  # as functions of time
    values = dict(current)  # after the last event
    settings = []
    for event, name_of_time in _joined(in_order, times, moments, following):
        time, later = times[name_of_time]
        after = {name: substitute(substitute(tree, following), values) for name, tree in event.formulas.items()}
        draws = {name: draw.with_values(following).with_values(values) for name, draw in event.draws.items()}
        of_counts = {name: tree for name, tree in after.items() if name in species}
        if of_counts:
            settings.append(Setting(str(event.name), time, moments[name_of_time], later, of_counts, draws))
        of_parameters = {name: tree for name, tree in after.items() if name not in species}
        before = call("<", Time(), time)
        current |= {name: call("piecewise", current[name], before, tree) for name, tree in of_parameters.items()}
        values |= of_parameters
    plain = Model.of_definition(
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
    return plain, tuple(settings)


def _joined(
    in_order: Sequence[Event],
    times: Mapping[str, tuple[Expression, bool]],
    moments: Mapping[str, float],
    following: Mapping[str, Expression],
) -> list[tuple[Event, str]]:
    """Return events of different times, each with the name of one of its time; those of one time become one.

    Times that differ by the rounding of formulas are one, as they are where the chain is solved.
    """
    joined: list[tuple[Event, str]] = []
    for event in in_order:
        name = str(event.name)
        if not joined or not same_time(moments[joined[-1][1]], moments[name]):
            joined.append((event, name))
            continue
        earlier, of_time = joined[-1]
        (time, later), (other, later_too) = times[of_time], times[name]
        together = later == later_too and (time == other or not symbols(time) | symbols(other))
        if not together or meet(earlier, event, following):
            raise BackendError(
                f"Events that set or read the same must take place at different times where derivatives or likelihoods "
                f"are asked for, and others of one time must have the same trigger, but '{earlier.name}' and '{name}' "
                f"both take place at {moments[name]:g}; write what they set into one event."
            )
        both = replace(
            earlier,
            name=f"{earlier.name} and {name}",
            assignments={**earlier.assignments, **event.assignments},
            draws={**earlier.draws, **event.draws},
        )
        joined[-1] = (both, of_time)
    return joined


def meet(first: Event, second: Event, following: Mapping[str, Expression] | None = None) -> bool:
    """Tell whether it matters which of two events comes first: whether one sets what the other sets or reads.

    `following` are formulas of what is set.
    """

    def touched(event: Event) -> set[str]:
        formulas = (substitute(tree, following or {}) for tree in event.formulas.values())
        arguments = (
            symbols(substitute(tree, following or {})) for draw in event.draws.values() for tree in draw.arguments
        )
        return set(event.assignments).union(*map(symbols, formulas), *arguments)

    return not touched(first).isdisjoint(second.assignments) or not touched(second).isdisjoint(first.assignments)


def times_of(model: Model) -> dict[str, Expression]:
    """Return the times of all events that `taken_apart` takes, by name, as formulas of parameters."""
    definition = model.definition
    assigned = {name for event in definition.events for name in event.assignments} - set(model.species)
    following = _following(definition.parameters, assigned | definition.held)
    return {name: tree for name, (tree, _) in _times_of(model, assigned | set(following)).items()}


def _times_of(model: Model, changed: Set[str]) -> dict[str, tuple[Expression, bool]]:
    """Return the time of each event, and whether it takes place right after it; `changed` are set by events."""
    return {str(event.name): _time_of(event, changed) for event in model.definition.events}


def _following(parameters: Mapping[str, Expression], fixed: Set[str]) -> dict[str, Expression]:
    """Return the parameters that are formulas of those that are `fixed`, as formulas of numbers and of these."""
    formulas = {name: tree for name, tree in parameters.items() if name not in fixed and symbols(tree)}
    resolved = resolve(formulas)
    return {name: tree for name, tree in resolved.items() if symbols(tree) & fixed}


def _require_settings(event: Event, held: Set[str]) -> None:
    """Refuse an event whose effect is not one at a known time; `held` are the species in its trigger."""
    if held:
        raise BackendError(
            f"Events must take place at known times where derivatives or likelihoods are asked for, but '{event.name}' "
            f"is triggered by the count of '{min(held)}'. `fsp.transient` goes through it; write it as reactions "
            f"whose rates hold the condition, as in piecewise(100, {min(held)} > 5, 0)."
        )
    if event.priority is not None or any(depends_on_time(tree) for tree in event.formulas.values()):
        raise BackendError(
            f"Events must set constants, or functions of counts, where derivatives or likelihoods are asked for, but "
            f"'{event.name}' has a priority or a formula of time; write it into the rates, as in "
            f"piecewise(k, time < 5, 0)."
        )


def _time_of(event: Event, assigned: Set[str]) -> tuple[Expression, bool]:
    """Return the time of an event, and whether it takes place right after it; refuse other triggers."""
    trigger = event.condition
    if isinstance(trigger, Call) and trigger.function in LATER and len(trigger.arguments) == 2:
        place = LATER[trigger.function]
        moment = trigger.arguments[1 - place]
        if (
            isinstance(trigger.arguments[place], Time)
            and not depends_on_time(moment)
            and not symbols(moment) & assigned
        ):
            return moment, trigger.function in (">", "<")
    raise BackendError(
        f"Triggers of events must be 'time >= t' where derivatives or likelihoods are asked for, with a constant t, "
        f"but that of '{event.name}' is another condition; write it so, or what it does into the rates."
    )
