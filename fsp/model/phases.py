"""A network with events: what its events make of the start, and its phases, between which events take place.

In a phase no comparison of the time with a constant switches, and parameters keep their values: the chain is that of
an ordinary network, whose reactions know of the events that the state triggers (`landings`).  Between two phases the
distribution is mapped, state by state.  What happens to parameters does not depend on the state, so that the phases
are known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model.definition import Definition, Law, resolve
from fsp.model.event import Event, check_events, is_timed
from fsp.model.firing import Rules
from fsp.model.landings import Landing, find_landings
from fsp.model.reaction import Reaction, Stoichiometry
from fsp.model.tree import Expression, Number, call, symbols
from fsp.model.triggers import Moment, same_time

if TYPE_CHECKING:
    from fsp.model.model import Model

START = Moment(0.0)


def rules_of(definition: Definition, resolved: Mapping[str, Expression]) -> Rules:
    """Return the events of a model, ready to be fired.

    Parameters
    ----------
    definition
        The model.
    resolved
        Its parameters as trees of species and time.

    Raises
    ------
    ModelError
        If one of them cannot be carried by a Markov chain on counts, or is malformed.
    """
    assigned = {name for event in definition.events for name in event.assignments}
    variables = [name for name in definition.parameters if name in assigned]
    constants = resolve({name: tree for name, tree in definition.parameters.items() if name not in assigned})
    events = [event.with_values(constants) for event in definition.events]
    free = {name for name, tree in definition.parameters.items() if isinstance(tree, Number)} | definition.held
    formulas = [n for n in variables if n not in free or not isinstance(resolved[n], Number)]
    check_events(events, list(definition.species), definition.parameters, formulas)
    return Rules(events, list(definition.species), variables)


def are_timed(rules: Rules) -> bool:
    """Return whether events take place at known times, or change parameters."""
    return is_timed(rules.events, rules.variables)


def started(
    rules: Rules, values: Sequence[float], states: IntArray, probabilities: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return what events that fire at the start make of the initial distribution.

    Parameters
    ----------
    rules, values
        The events, and the values of the variables.
    states, probabilities
        The initial distribution, (m, d) and (m,).

    Returns
    -------
    ndarray, ndarray
        States in order, and their probabilities.
    """
    firing = Firing(rules, None, START, tuple(values))
    return gathered(firing.apply(states), probabilities)[:2]


def gathered(states: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray, float]:
    """Add up the probabilities of equal states.

    Returns
    -------
    states, probabilities, rounding
        Different states in order, their probabilities, and a bound on the rounding of the sums.
    """
    if not len(states):
        return states, probabilities, 0.0
    different, place = np.unique(states, axis=0, return_inverse=True)
    if len(different) == len(states):
        return different, probabilities[np.argsort(place.reshape(-1))], 0.0
    order = np.argsort(place.reshape(-1), kind="stable")
    edges = np.searchsorted(place.reshape(-1)[order], np.arange(len(different)))
    sums = np.add.reduceat(probabilities[order].astype(np.longdouble), edges)
    longest = int(np.diff(edges, append=len(states)).max())
    unit = longest * float(np.finfo(np.longdouble).eps) + float(np.finfo(float).eps)
    return different, sums.astype(float), unit * float(probabilities.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Firing:
    """What events make of states at one moment.

    Parameters
    ----------
    rules
        The events.
    before
        The moment before, whose triggers are compared with; None for the start.
    now
        The moment.
    values
        Values of the variables before.
    """

    rules: Rules
    before: Moment | None
    now: Moment
    values: tuple[float, ...]

    def apply(self, states: IntArray) -> IntArray:
        """Return the states (n, d) after the events.

        Raises
        ------
        ModelError
            If a count becomes no whole number, or the events do not settle.
        """
        after = self._settled(states.astype(np.float64))
        return after[:, : len(self.rules.species)].astype(np.int64)

    @property
    def values_after(self) -> tuple[float, ...]:
        """Values of the variables after the events: those that assign them hold no species."""
        own = [event for event in self.rules.events if set(event.assignments) & set(self.rules.variables)]
        alone = [
            replace(e, assignments={n: e.formulas[n] for n in e.formulas if n in self.rules.variables}) for e in own
        ]
        firing = replace(self, rules=self.rules.chosen(alone))
        after = firing._settled(np.zeros((1, len(self.rules.species))))
        return tuple(after[0, len(self.rules.species) :].tolist())

    def lands_on(self) -> IntArray | None:
        """Return the state (d,) that all states are mapped to, wherever they are; None where there is none."""
        species = set(self.rules.species)
        if any(symbols(event.condition) & species for event in self.rules.events):
            return None
        fired = [event for e, event in enumerate(self.rules.events) if self._fires_anywhere(e)]
        assigned = {name for event in fired for name in event.assignments}
        chained = [event for event in self.rules.events if symbols(event.condition) & assigned]
        depends = any(symbols(tree) & species for event in [*fired, *chained] for tree in event.formulas.values())
        if depends or not species <= assigned:
            return None
        state: IntArray = self.apply(np.zeros((1, len(species)), dtype=np.int64))[0]
        return state

    @property
    def numbers(self) -> dict[str, float]:
        """Values of the variables before, by name."""
        return dict(zip(self.rules.variables, self.values, strict=True))

    def possible(self) -> list[Event]:
        """Return the events that may be executed, in some state: those that switch, and what they may trigger."""
        species = set(self.rules.species)
        found = [
            event
            for e, event in enumerate(self.rules.events)
            if symbols(event.condition) & species or self._fires_anywhere(e)
        ]
        while True:
            assigned = {name for event in found for name in event.assignments}
            more = [e for e in self.rules.events if e not in found and symbols(e.condition) & assigned]
            if not more:
                return found
            found += more

    def _fires_anywhere(self, e: int) -> bool:
        one = self.rules.chosen([self.rules.events[e]])
        start = np.array([[0.0] * len(self.rules.species) + list(self.values)])
        return bool((one.truth(start, self.now) & ~replace(self, rules=one)._was(start)).any())

    def _was(self, values: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        if self.before is not None:
            return self.rules.truth(values, self.before)
        flags = np.array([event.initial_value for event in self.rules.events], dtype=np.bool_)
        return np.repeat(flags[:, None], len(values), axis=1)

    def _settled(self, counts: FloatArray) -> FloatArray:
        values = np.concatenate([counts, np.tile(np.array(self.values), (len(counts), 1))], axis=1)
        return self.rules.settle(values, self._was(values), self.now)


# ---- phases


def split_at_events(requested: FloatArray, until: float, *, included: bool) -> tuple[FloatArray, FloatArray, float]:
    """Split times at the end of a stretch of time.

    Parameters
    ----------
    requested
        Ascending times.
    until
        The end.
    included
        Whether the end itself belongs to the stretch.

    Returns
    -------
    before, after, until
        Both parts, and the end: the time asked for itself where one is meant to be the same.
    """
    close = requested[same_time(requested, until)]
    until = float(close[0]) if len(close) else until
    count = int(np.searchsorted(requested, until, side="right" if included else "left"))
    return requested[:count], requested[count:], until


class Phase(NamedTuple):
    """A stretch of time in which the chain is that of an ordinary network.

    Parameters
    ----------
    network
        The whole model.
    values
        Values of the parameters that events assign.
    events
        The events that the state triggers.
    until
        When it ends; infinite for the last one.
    firing
        What events make of the states then.
    output_first
        Whether they do so right after that time, so that the state at it is the one before.
    """

    network: Model
    values: Mapping[str, float]
    events: tuple[Event, ...]
    until: float = math.inf
    firing: Firing | None = None
    output_first: bool = False

    def model(self, states: IntArray, probabilities: FloatArray) -> Model:
        """Return the network of the phase, which begins in a distribution, (n, d) and (n,)."""
        if not self.network.has_timed_events:
            return self.network
        return self.network.in_phase(self.values, self.events, states, probabilities)


def phases(model: Model, rules: Rules | None, begin: float, end: float) -> Iterator[Phase]:
    """Yield the phases from one time to another.

    Parameters
    ----------
    model
        The network.
    rules
        Its events; None where it has none at known times.
    begin, end
        The times.  At `begin`, what events do at that very time is done already, and what they do right after is not.
    """
    if rules is None:
        yield Phase(model, {}, ())
        return
    values = tuple(model.parameters[name] for name in rules.variables)
    clock = _Clock(rules, values)
    clock.go_to(begin)
    while True:
        found = clock.events()
        now = dict(zip(rules.variables, clock.values, strict=True))
        firing = clock.next_firing(end)
        if firing is None:
            yield Phase(model, now, found)
            return
        yield Phase(model, now, found, firing.now.t, firing, firing.now.after)


class _Clock:
    """Time, and the values of the parameters that events assign; what is done at its moment is done."""

    def __init__(self, rules: Rules, values: tuple[float, ...]) -> None:
        self._rules = rules
        self.values = Firing(rules, None, START, values).values_after
        self.moment = START

    def go_to(self, begin: float) -> None:
        """Pass what lies before a time, and what is done at it."""
        while not same_time(self.moment.t, begin):
            if not self.moment.after:
                self._pass(Moment(self.moment.t, after=True))
            root = self._next(begin)
            if root is None:
                return
            self._pass(Moment(root))

    def events(self) -> tuple[Event, ...]:
        """Return the events that the state triggers from now on, until the next switch."""
        return self._conditions(self.values, self.moment)[1]

    def next_firing(self, end: float) -> Firing | None:
        """Go to the next moment at which events do anything, and return what they do; None where there is none."""
        while True:
            moment: Moment | None = Moment(self.moment.t, after=True)
            if self.moment.after:
                root = self._next(end)
                moment = None if root is None else Moment(root)
            if moment is None:
                return None
            firing = self._fired(moment)
            if firing is not None:
                return firing

    def _next(self, end: float) -> float | None:
        """Return the first time after now, and not after `end`, at which a comparison switches."""
        columns = dict(zip(self._rules.variables, self.values, strict=True))
        roots = [float(root) for own in self._rules.roots(columns) for root in own.values()]
        later = [r for r in roots if math.isfinite(r) and r > self.moment.t and not same_time(self.moment.t, r)]
        root = min(later, default=math.inf)
        return root if root <= end or same_time(root, end) else None

    def _pass(self, now: Moment) -> Firing:
        firing = Firing(self._rules, self.moment, now, self.values)
        self.values, self.moment = firing.values_after, now
        return firing

    def _fired(self, now: Moment) -> Firing | None:
        """Pass to a moment; return what events do then, None where they do nothing and go on as before."""
        before = self._conditions(self.values, self.moment)
        firing = self._pass(now)
        then = self._conditions(firing.values, now)
        quiet = all(new in (old, Number(0.0)) for old, new in zip(before[0], then[0], strict=True))
        return None if quiet and before[1] == then[1] else firing

    def _conditions(self, values: Sequence[float], moment: Moment) -> tuple[list[Expression], tuple[Event, ...]]:
        """Return the triggers as conditions on the state, and the events of which they can become true."""
        columns = dict(zip(self._rules.variables, values, strict=True))
        numbers: dict[str, Expression] = {name: Number(value) for name, value in columns.items()}
        roots = self._rules.roots(columns)
        trees = [
            trigger.between({name: float(root) for name, root in own.items()}, moment, numbers)
            for trigger, own in zip(self._rules.triggers, roots, strict=True)
        ]
        events = [
            replace(event.with_values(numbers), trigger=tree)
            for event, tree in zip(self._rules.events, trees, strict=True)
            if symbols(tree)
        ]
        return trees, tuple(events)


# ---- an ordinary network


def with_landings(
    definition: Definition, rules: Rules, laws: Sequence[Law], change: IntArray, states: IntArray
) -> tuple[Definition, FloatArray]:
    """Return a model in which the events that the state triggers are reactions.

    Parameters
    ----------
    definition
        The model.
    rules
        Its events.
    laws
        Propensities with parameters put in.
    change
        (n_reactions, d) net changes.
    states
        (m, d) initial states.

    Returns
    -------
    Definition, ndarray
        The model, and the largest count of each species that the events see to, (d,).
    """
    found = find_landings(rules, change, laws, states)
    parts = [part for part in found.parts if not part.events or any(part.change)]
    names: list[str] = []
    reactions: list[Reaction] = []
    guarded: list[Law] = []
    for part in parts:
        reaction, law = definition.reactions[part.reaction], definition.laws[part.reaction]
        names.append(_name(str(reaction.name), part, names))
        if part.guard == Number(1.0) or callable(law):
            reactions.append(reaction)
            guarded.append(law)
            continue
        net = {s: n for s, n in zip(definition.species, part.change, strict=True) if n}
        sides = Stoichiometry(reaction.reactants, reaction.products, reaction.change)
        sides = Stoichiometry(None, None, net) if part.events else sides
        rate = call("*", law, part.guard)
        reactions.append(Reaction.of_sides(sides, rate, name=names[-1], reversible=reaction.reversible))
        guarded.append(rate)
    return replace(definition, reactions=tuple(reactions), laws=tuple(guarded)), found.largest


def _name(reaction: str, part: Landing, taken: Sequence[str]) -> str:
    name = f"{reaction} with {part.events}" if part.events else reaction
    same = sum(other == name or other.startswith(f"{name} (") for other in taken)
    return f"{name} ({same + 1})" if same else name
