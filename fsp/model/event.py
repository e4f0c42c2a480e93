"""One event: a condition that becomes true, and what is assigned then."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace

from fsp.errors import ModelError
from fsp.model.comparisons import condition_in_whole_numbers
from fsp.model.draws import Draw, read_draw
from fsp.model.formula import FunctionDefinition, is_name
from fsp.model.size import bounded
from fsp.model.tree import Expression, Number, Symbol, depends_on_time, substitute, symbols
from fsp.model.values import Value, read_value


@dataclass(frozen=True, slots=True)
class Event:
    """An assignment that takes place, without delay, when a condition becomes true.

    Parameters
    ----------
    trigger
        The condition, a formula of species, parameters and ``time``, such as ``"time >= 25"`` or ``"X >= 30"``; the
        time may be compared with constants only.
    assignments
        Formula by name of a species, which must come out as a whole number, or of a parameter, which may be assigned
        where the trigger holds no species.
    name
        Name for messages; a model gives ``e1``, ``e2``, … to those without.
    priority
        Of events that are triggered at once, the one of highest priority is executed first: a number, or a formula of
        constants.  Events without one, or of equal ones, must lead to the same state in any order.
    persistent
        Whether the event is executed even if another one makes its trigger false before its turn.
    initial_value
        What the trigger was before the start: one that is true at t = 0 fires there if this is False.
    use_trigger_values
        Whether formulas are computed when the event is triggered, and not when its turn comes.
    draws
        Random numbers that assignments hold by name; found in texts such as ``{"X": "binomial(X, 0.5)"}``.

    Examples
    --------
    >>> model = fsp.Model(
    ...     species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)],
    ...     events=[fsp.Event("time >= 1", {"X": "X + 10"})],
    ... )
    >>> print(f"{fsp.transient(model, [2.0])[-1].mean()['X']:.4f}")  # (9 exp(-1) + 10) exp(-1)
    4.8968
    """

    trigger: str | Expression
    assignments: Mapping[str, Value] = field(hash=False)
    _: KW_ONLY
    name: str | None = None
    priority: Value | None = None
    persistent: bool = True
    initial_value: bool = True
    use_trigger_values: bool = True
    draws: Mapping[str, Draw] = field(default_factory=dict, repr=False, hash=False)

    @property
    def condition(self) -> Expression:
        """The trigger of an event that was read, as a tree."""
        return _tree(self.trigger)

    @property
    def formulas(self) -> dict[str, Expression]:
        """The assignments of an event that was read, as trees."""
        return {name: _tree(value) for name, value in self.assignments.items()}

    @property
    def rank(self) -> float | None:
        """The priority of an event that was read."""
        return self.priority.value if isinstance(self.priority, Number) else None

    def read(self, functions: Mapping[str, FunctionDefinition], names: Collection[str]) -> Event:
        """Return the event with trees in place of texts."""
        label = f"Event '{self.name}'"
        if not isinstance(self.assignments, Mapping) or not all(map(is_name, self.assignments)):
            given = self.assignments
            raise ModelError(f"{label} must have assignments by name, such as {{'X': 0}}, but has {given!r}.")
        labels = {name: f"Assignment of '{name}' by event '{self.name}'" for name in self.assignments}
        drawn = {name: read_draw(value, labels[name], functions, names) for name, value in self.assignments.items()}
        draws, symbols_of = named_draws({name: draw for name, draw in drawn.items() if draw is not None})
        values = {
            name: symbols_of[name] if name in symbols_of else read_value(value, labels[name], functions, names)
            for name, value in self.assignments.items()
        }
        trigger = read_value(self.trigger, f"Trigger of event '{self.name}'", functions, names)
        priority = self.priority
        if priority is not None:
            priority = read_value(priority, f"Priority of event '{self.name}'", functions, names)
        return replace(self, trigger=trigger, assignments=values, priority=priority, draws={**self.draws, **draws})

    def with_values(self, values: Mapping[str, Expression]) -> Event:
        """Return an event that was read with symbols replaced by trees; its priority must become a number."""
        priority = None if self.priority is None else substitute(_tree(self.priority), values)
        if priority is not None and not isinstance(priority, Number):
            held = ", ".join(sorted(symbols(priority))) or "time"
            raise ModelError(f"Priority of event '{self.name}' must be constant, but depends on {held}.")
        return replace(
            self,
            trigger=condition_in_whole_numbers(
                bounded(substitute(self.condition, values), f"Trigger of event '{self.name}'")
            ),
            assignments={
                name: bounded(substitute(tree, values), f"Assignment of '{name}' by event '{self.name}'")
                for name, tree in self.formulas.items()
            },
            priority=priority,
            draws={name: draw.with_values(values) for name, draw in self.draws.items()},
        )


def named_draws(draws: Mapping[str, Draw]) -> tuple[dict[str, Draw], dict[str, Symbol]]:
    """Return draws by the names that stand for them in formulas, and these by what is assigned."""
    names = {assigned: f"{assigned} ~ {draw}" for assigned, draw in draws.items()}
    return {names[variable]: draw for variable, draw in draws.items()}, {
        variable: Symbol(name) for variable, name in names.items()
    }


def _tree(value: object) -> Expression:
    if not isinstance(value, Expression):
        raise TypeError(f"an event must be read before it is used, but holds {value!r}")
    return value


def read_events(
    events: Collection[Event], functions: Mapping[str, FunctionDefinition], names: Collection[str]
) -> tuple[Event, ...]:
    """Return events with names, and trees in place of texts."""
    named = []
    for k, event in enumerate(events, 1):
        if not isinstance(event, Event):
            raise ModelError(f"`events` must hold Event values, but holds {event!r}.")
        named.append(replace(event, name=event.name or f"e{k}").read(functions, names))
    given = [event.name for event in named]
    twice = {name for name in given if given.count(name) > 1}
    if twice:
        raise ModelError(f"Event names must differ, but '{min(map(str, twice))}' is given twice.")
    return tuple(named)


def check_events(
    events: Collection[Event], species: Collection[str], parameters: Mapping[str, Expression], formulas: Collection[str]
) -> None:
    """Raise a `ModelError` if events use unknown names, or assign what they may not."""
    known = {*species, *parameters}
    for event in events:
        trees = [event.condition, *event.formulas.values()]
        used = frozenset().union(*map(symbols, trees), *(draw.symbols for draw in event.draws.values()))
        unknown = sorted(used.union(event.assignments) - known - event.draws.keys())
        if unknown:
            raise ModelError(
                f"Event '{event.name}' must use species and parameters of the model, but uses '{unknown[0]}'; known "
                f"are {', '.join([*species, *parameters])}."
            )
        for name, tree in event.formulas.items():
            if name in formulas:
                raise ModelError(
                    f"Event '{event.name}' must assign species and parameters that have values, but assigns '{name}', "
                    f"which is a formula."
                )
            if name in parameters:
                _check_parameter(event, name, tree, species)
        if event.draws:
            _check_draws(event, species)


def _check_draws(event: Event, species: Collection[str]) -> None:
    held = sorted(symbols(event.condition) & set(species))
    if held or not event.use_trigger_values:
        why = f"is triggered by '{held[0]}'" if held else "uses values of its turn"
        raise ModelError(
            f"Event '{event.name}' must take place at a known time, with values of its trigger, to draw random "
            f"numbers, but {why}; write reactions, one for each outcome, at the rate of the trigger."
        )


def _check_parameter(event: Event, name: str, tree: Expression, species: Collection[str]) -> None:
    held = sorted((symbols(event.condition) | symbols(tree)) & {*species, *event.draws})
    if held:
        raise ModelError(
            f"Event '{event.name}' must not assign the parameter '{name}' by a trigger or a formula that depends on "
            f"'{held[0]}', because its value would then be random; make '{name}' a species."
        )


def is_timed(events: Collection[Event], parameters: Collection[str]) -> bool:
    """Return whether events take place at known times, or change parameters."""
    return any(depends_on_time(event.condition) or set(event.assignments) & set(parameters) for event in events)
