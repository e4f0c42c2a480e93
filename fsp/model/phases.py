"""The phases of a network, between which events take place.

In a phase no comparison of the time with a constant switches, and parameters keep their values: the chain is that of
an ordinary network, whose reactions know of the events that the state triggers (`triggered_reactions`).  Between two
phases the distribution is mapped, state by state.  What happens to parameters does not depend on the state, so that
the phases are known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model.event import Event
from fsp.model.event_execution import Rules
from fsp.model.event_maps import START, Firing
from fsp.model.tree import Expression, Number, symbols
from fsp.model.triggers import TimePoint, same_time


class Phased(Protocol):
    """A network whose events at known times make phases."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """Value of each parameter that is constant."""
        ...

    @property
    def has_timed_events(self) -> bool:
        """Whether an event takes place at a known time, or changes a parameter."""
        ...

    def in_phase(
        self, values: Mapping[str, float], events: Sequence[Event], states: IntArray, probabilities: FloatArray
    ) -> Self:
        """Return the network of a phase between events."""
        ...


N = TypeVar("N", bound=Phased)


def split_at_events(requested: FloatArray, until: float, *, included: bool) -> tuple[FloatArray, FloatArray, float]:
    """Split times at the end of a stretch of time."""
    close = requested[same_time(requested, until)]
    until = float(close[0]) if len(close) else until
    count = int(np.searchsorted(requested, until, side="right" if included else "left"))
    return requested[:count], requested[count:], until


class Phase(NamedTuple, Generic[N]):
    """A stretch of time in which the chain is that of an ordinary network."""

    network: N  # of the whole time
    values: Mapping[str, float]  # values of the parameters that events assign
    events: tuple[Event, ...]  # the events that the state triggers
    until: float = math.inf  # when it ends; infinite for the last one
    firing: Firing | None = None  # what events make of the states then
    output_first: bool = False  # whether they do so right after that time, so that the state at it is the one before

    def model(self, states: IntArray, probabilities: FloatArray) -> N:
        """Return the network of the phase, which begins in a distribution, (n, d) and (n,)."""
        if not self.network.has_timed_events:
            return self.network
        return self.network.in_phase(self.values, self.events, states, probabilities)


def phases(model: N, rules: Rules | None, begin: float, end: float) -> Iterator[Phase[N]]:
    """Yield the phases from one time to another."""
    if rules is None:
        yield Phase(model, {}, ())
        return
    values = tuple(model.parameters[name] for name in rules.variables)
    clock = _PhaseClock(rules, values)
    clock.go_to(begin)
    while True:
        phase_list = clock.events()
        now = dict(zip(rules.variables, clock.values, strict=True))
        firing = clock.next_firing(end)
        if firing is None:
            yield Phase(model, now, phase_list)
            return
        yield Phase(model, now, phase_list, firing.now.t, firing, firing.now.after)


class _PhaseClock:
    """Time, and the values of the parameters that events assign; what is done at its moment is done."""

    def __init__(self, rules: Rules, values: tuple[float, ...]) -> None:
        self._rules = rules
        self.values = Firing(rules, None, START, values).values_after
        self.moment = START

    def go_to(self, begin: float) -> None:
        """Pass what lies before a time, and what is done at it."""
        while not same_time(self.moment.t, begin):
            if not self.moment.after:
                self._pass(TimePoint(self.moment.t, after=True))
            root = self._next(begin)
            if root is None:
                return
            self._pass(TimePoint(root))

    def events(self) -> tuple[Event, ...]:
        """Return the events that the state triggers from now on, until the next switch."""
        return self._conditions(self.values, self.moment)[1]

    def next_firing(self, end: float) -> Firing | None:
        """Go to the next moment at which events do anything, and return what they do; None where there is none."""
        while True:
            moment: TimePoint | None = TimePoint(self.moment.t, after=True)
            if self.moment.after:
                root = self._next(end)
                moment = None if root is None else TimePoint(root)
            if moment is None:
                return None
            firing = self._fired(moment)
            if firing is not None:
                return firing

    def _next(self, end: float) -> float | None:
        """Return the first time after now, and not after `end`, at which a comparison switches."""
        columns = dict(zip(self._rules.variables, self.values, strict=True))
        roots = [float(root) for formulas in self._rules.roots(columns) for root in formulas.values()]
        later = [r for r in roots if math.isfinite(r) and r > self.moment.t and not same_time(self.moment.t, r)]
        root = min(later, default=math.inf)
        return root if root <= end or same_time(root, end) else None

    def _pass(self, now: TimePoint) -> Firing:
        firing = Firing(self._rules, self.moment, now, self.values)
        self.values, self.moment = firing.values_after, now
        return firing

    def _fired(self, now: TimePoint) -> Firing | None:
        """Pass to a moment; return what events do then, None where they do nothing and go on as before."""
        before = self._conditions(self.values, self.moment)
        firing = self._pass(now)
        then = self._conditions(firing.values, now)
        quiet = all(new in (old, Number(0.0)) for old, new in zip(before[0], then[0], strict=True))
        return None if quiet and before[1] == then[1] else firing

    def _conditions(self, values: Sequence[float], moment: TimePoint) -> tuple[list[Expression], tuple[Event, ...]]:
        """Return the triggers as conditions on the state, and the events of which they can become true."""
        columns = dict(zip(self._rules.variables, values, strict=True))
        numbers: dict[str, Expression] = {name: Number(value) for name, value in columns.items()}
        roots = self._rules.roots(columns)
        trees = [
            trigger.between({name: float(root) for name, root in formulas.items()}, moment, numbers)
            for trigger, formulas in zip(self._rules.triggers, roots, strict=True)
        ]
        events = [
            replace(event.with_values(numbers), trigger=tree)
            for event, tree in zip(self._rules.events, trees, strict=True)
            if symbols(tree)
        ]
        return trees, tuple(events)
