"""Events that set counts, on fixed states and for any values of the free parameters, without a bound.

Where an event sets counts at t*, which moves with θ_k, a block of p and its derivatives s_k goes to M p and

    M s_k + ∂_k t* (M A - A M) p ,

A the generator after all of a switch at t* (`fsp.inference.discontinuities`).  M does not depend on the free
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from fsp.errors import ArgumentError
from fsp.inference.count_maps import asked_at, count_maps
from fsp.inference.timed_events import meet, times_of
from fsp.model.definition import resolve
from fsp.model.expression import evaluate
from fsp.model.tree import call, substitute, symbols

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.count_maps import CountMap
    from fsp.inference.moving import Moving
    from fsp.inference.rates_in_time import RatesInTime
    from fsp.inference.timed_events import Setting
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.space import StateSpace


class MappedEvent(NamedTuple):
    """An event at some values of the parameters, with what it does on fixed states."""

    event: CountMap
    matrix: Any  # M, (n, n) CSR; columns lack what leaves the states

    def moved(self, block: FloatArray, rates: RatesInTime, moving: Moving | None) -> FloatArray:
        """Return a block (1 + q, n) after the event."""
        after: FloatArray = (self.matrix @ block.T).T
        if moving is not None and self.event.speeds.any():
            (A,) = rates.at(np.array([moving.passed(self.event.t)]))
            after[1:] += np.outer(self.event.speeds, self.matrix @ (A @ block[0]) - A @ after[0])
        return after


class MapsOnStates:
    """What events make of counts on the states of a space."""

    def __init__(self, model: Model, settings: Sequence[Setting], space: StateSpace) -> None:
        self._settings, n = settings, len(space)
        self._matrices = dict[str, Any]()
        for event in count_maps(model, settings, ()):
            after, sources, weights = event.firing.ways(space.states)
            index = space.index(after)
            there = index >= 0
            entries = weights[there], (index[there], sources[there])
            self._matrices[event.name] = csr_array(entries, shape=(n, n))

    def at(self, model: Model, names: Sequence[str]) -> list[MappedEvent]:
        """Return them at the values of a model, in the order of their times, with derivatives by some parameters."""
        maps = count_maps(model, [setting.at(model) for setting in self._settings], names)
        return [MappedEvent(event, self._matrices[event.name]) for event in sorted(maps, key=lambda event: event.t)]


def asked_among(events: Sequence[MappedEvent], times: Sequence[float]) -> list[float]:
    """Return times that are asked for, those that are meant to be times of events being these."""
    asked: list[float] = asked_at([event.event for event in events], np.array(times)).tolist()
    return asked


# ---- what free parameters may move


def require_order(model: Model, ranges: Mapping[str, tuple[float, float]], times: FloatArray) -> None:
    """Refuse free parameters that move an event that sets counts past a time of cells, or change the order of events.

    `ranges` are the bounds of free parameters; times of events are looked at where all of these are at their bounds.
    """
    constants = resolve(model.definition.parameters, without=list(ranges))
    events = {str(event.name): event for event in model.definition.events}
    moments = {name: substitute(tree, constants) for name, tree in times_of(model).items()}
    for name, moment in moments.items():
        values = _at_bounds(moment, ranges)
        low, high = values.min(), values.max()
        if low <= 0.0:
            raise ArgumentError(f"Free parameters must keep events after the start, but '{name}' may be at {low:g}.")
        sets_counts = not set(model.species).isdisjoint(events[name].assignments)
        passed = times[(low <= times) & (times <= high)] if sets_counts and low < high else []
        if len(passed):
            raise ArgumentError(
                f"Free parameters must not move an event that sets counts past a time of cells, where the likelihood "
                f"jumps, but '{name}' takes place between {low:g} and {high:g}, and cells were observed at t = "
                f"{passed[0]:g}. Give bounds that do not hold that time."
            )
    for name, other in combinations(moments, 2):
        apart = _at_bounds(call("-", moments[other], moments[name]), ranges)
        if apart.min() <= 0.0 <= apart.max() and meet(events[name], events[other]):
            raise ArgumentError(
                f"Free parameters must not change the order of events that set or read the same, but '{name}' and "
                f"'{other}' may take place at one time. Give bounds that keep them apart."
            )


def _at_bounds(tree: Expression, ranges: Mapping[str, tuple[float, float]]) -> FloatArray:
    """Return the values of a formula where each of its free parameters is at a bound."""
    names = sorted(symbols(tree))
    corners = product(*(ranges[name] for name in names))
    return np.array([float(evaluate(tree, dict(zip(names, corner, strict=True)))) for corner in corners])
