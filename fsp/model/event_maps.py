"""What events make of states and of probabilities at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model.event import Event
from fsp.model.event_execution import Rules
from fsp.model.tree import symbols
from fsp.model.triggers import Moment

START = Moment(0.0)  # chains begin at time zero


def started(
    rules: Rules, values: Sequence[float], states: IntArray, probabilities: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return what events that fire at the start make of the initial distribution.

    `states`, `probabilities`: the initial distribution, (m, d) and (m,).
    """
    firing = Firing(rules, None, START, tuple(values))
    return gathered(firing.apply(states), probabilities)[:2]


def gathered(states: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray, float]:
    """Add up the probabilities of equal states."""
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
    """What events make of states at one moment."""

    rules: Rules
    before: Moment | None  # the moment before, whose triggers are compared with; None for the start
    now: Moment
    values: tuple[float, ...]  # of the variables, before

    def apply(self, states: IntArray) -> IntArray:
        """Return the states (n, d) after the events."""
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
