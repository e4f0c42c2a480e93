"""What events make of states and of probabilities at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.errors import ModelError
from fsp.model.draws import LAWS
from fsp.model.event import Event
from fsp.model.event_execution import Rules
from fsp.model.tree import symbols
from fsp.model.triggers import TimePoint

MOST_OUTCOMES = 10_000_000  # of random numbers over all states: 100 bytes each while they are mapped
START = TimePoint(0.0)  # chains begin at time zero


def started(
    rules: Rules, values: Sequence[float], states: IntArray, probabilities: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return what events that fire at the start make of the initial distribution.

    `states`, `probabilities`: the initial distribution, (m, d) and (m,).
    """
    return Firing(rules, None, START, tuple(values)).mapped(states, probabilities)[:2]


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
    unit = longest * float(np.finfo(np.longdouble).eps) + 2.0 * UNIT_ROUNDOFF
    return different, sums.astype(float), unit * float(probabilities.sum())


@dataclass(frozen=True, slots=True, eq=False)
class Firing:
    """What events make of states at one moment."""

    rules: Rules
    before: TimePoint | None  # the moment before, whose triggers are compared with; None for the start
    now: TimePoint
    values: tuple[float, ...]  # of the variables, before

    def mapped(self, states: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray, float]:
        """Return the distribution (n, d), (n,) after the events, and a bound of what rounding and tails took of it.

        Where events draw random numbers, each state goes to all of their outcomes.
        """
        values, p = self._columns(states.astype(np.float64)), probabilities
        for name in self.rules.draws:
            values, p = self._spread(name, values, p)
        lost = max(0.0, float(probabilities.sum()) - float(p.sum())) if self.rules.draws else 0.0
        after, sums, rounding = gathered(self._counts(self._settled(values)), p)
        return after, sums, rounding + lost

    def sampled(self, states: IntArray, rng: np.random.Generator) -> IntArray:
        """Return a state after the events for each of some (n, d)."""
        values = self._columns(states.astype(np.float64))
        for j, (name, (e, draw)) in enumerate(self.rules.draws.items(), len(self.rules.species) + len(self.values)):
            rows = np.flatnonzero(self._rising(values)[e])
            if len(rows):
                arguments = self.rules.arguments(name, values[rows], self.now.t)
                values[rows, j] = LAWS[draw.law].sample(rng, *arguments.T)
        return self._counts(self._settled(values))

    def ways(self, states: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
        """Return where states (n, d) go: the states after the events (N, d), those before, and probabilities (N,)."""
        values = np.column_stack([self._columns(states.astype(np.float64)), np.arange(len(states))])
        p = np.ones(len(states))
        for name in self.rules.draws:
            values, p = self._spread(name, values, p)
        return self._counts(self._settled(values)), values[:, -1].astype(np.int64), p

    def apply(self, states: IntArray) -> IntArray:
        """Return the states (n, d) after events that draw no random numbers."""
        return self._counts(self._settled(self._columns(states.astype(np.float64))))

    def _counts(self, values: FloatArray) -> IntArray:
        return values[:, : len(self.rules.species)].astype(np.int64)

    def _columns(self, counts: FloatArray) -> FloatArray:
        """Return counts, values of the variables, and NaN for what is not drawn, (n, n_columns)."""
        known = np.tile(np.array(self.values), (len(counts), 1))
        return np.concatenate([counts, known, np.full((len(counts), len(self.rules.draws)), np.nan)], axis=1)

    def _rising(self, values: FloatArray) -> BoolArray:
        rising: BoolArray = self.rules.truth(values, self.now) & ~self._was(values)
        return rising

    def _spread(self, name: str, values: FloatArray, p: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return values (n, n_columns) and probabilities (n,) with a row for each outcome of a draw."""
        e, draw = self.rules.draws[name]
        what = f"Random number of event '{self.rules.events[e].name}'"
        drawn = self._rising(values)[e]
        if not drawn.any():
            return values, p
        arguments = self.rules.arguments(name, values[drawn], self.now.t)
        different, kind = np.unique(arguments, axis=0, return_inverse=True)
        laws = [draw.at(tuple(row), what) for row in different.tolist()]
        sizes = np.array([len(law.counts) for law in laws])[kind.reshape(-1)]
        if sizes.sum() > MOST_OUTCOMES:
            raise ModelError(
                f"{what} must lead to at most {MOST_OUTCOMES:,} outcomes over all states, but '{draw}' has "
                f"{sizes.sum():,}; use a larger `tol`, or smaller counts."
            )
        spread = np.repeat(values[drawn], sizes, axis=0)
        chosen = [laws[k] for k in kind.reshape(-1)]
        spread[:, self.rules.names.index(name)] = np.concatenate([law.counts for law in chosen])
        weights = np.repeat(p[drawn], sizes) * np.concatenate([law.probabilities for law in chosen])
        return np.concatenate([values[~drawn], spread]), np.concatenate([p[~drawn], weights])

    @property
    def values_after(self) -> tuple[float, ...]:
        """Values of the variables after the events: those that assign them hold no species."""
        changing = [event for event in self.rules.events if set(event.assignments) & set(self.rules.variables)]
        alone = [
            replace(e, assignments={n: e.formulas[n] for n in e.formulas if n in self.rules.variables})
            for e in changing
        ]
        firing = replace(self, rules=self.rules.chosen(alone))
        after = firing._settled(firing._columns(np.zeros((1, len(self.rules.species)))))
        first = len(self.rules.species)
        return tuple(after[0, first : first + len(self.values)].tolist())

    def lands_on(self) -> IntArray | None:
        """Return the state (d,) that all states are mapped to, wherever they are; None where there is none."""
        species = set(self.rules.species)
        if any(symbols(event.condition) & species for event in self.rules.events):
            return None
        fired = [event for e, event in enumerate(self.rules.events) if self._fires_anywhere(e)]
        assigned = {name for event in fired for name in event.assignments}
        chained = [event for event in self.rules.events if symbols(event.condition) & assigned]
        random = species | self.rules.draws.keys()
        depends = any(symbols(tree) & random for event in [*fired, *chained] for tree in event.formulas.values())
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
        ways = [
            event
            for e, event in enumerate(self.rules.events)
            if symbols(event.condition) & species or self._fires_anywhere(e)
        ]
        while True:
            assigned = {name for event in ways for name in event.assignments}
            more = [e for e in self.rules.events if e not in ways and symbols(e.condition) & assigned]
            if not more:
                return ways
            ways += more

    def _fires_anywhere(self, e: int) -> bool:
        chosen = self.rules.chosen([self.rules.events[e]])
        firing = replace(self, rules=chosen)
        return bool(firing._rising(firing._columns(np.zeros((1, len(self.rules.species))))).any())

    def _was(self, values: FloatArray) -> BoolArray:
        if self.before is not None:
            return self.rules.truth(values, self.before)
        flags = np.array([event.initial_value for event in self.rules.events], dtype=np.bool_)
        return np.repeat(flags[:, None], len(values), axis=1)

    def _settled(self, values: FloatArray) -> FloatArray:
        return self.rules.settle(values, self._was(values), self.now)
