"""The distribution of a chain on fixed states where rates depend on time or the start on parameters, for searches.

Probabilities and their derivatives are computed to a tolerance that is estimated and not bounded: what a search takes
steps by needs no certificate, which `fsp.likelihood` makes where the search ends.  What leaves the states is counted,
so that a space that does not do is seen.

The stationary start obeys ``A π = 0``, and its derivatives ``A s = -(∂A) π`` with Σ s = 0: they are made by resolvents
``(ε - A)⁻¹`` of a small ε, whose part along π is taken out by the sum.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.chains.classes import closed_classes
from fsp.chains.null_vectors import null_vector
from fsp.errors import ModelError
from fsp.inference.beginning import of_model
from fsp.inference.count_maps import names_in
from fsp.inference.fixed_space import Transients
from fsp.inference.maps_on_states import MappedEvent, MapsOnStates, asked_among
from fsp.inference.moving import Moving
from fsp.inference.parameters import Derivatives, derivatives
from fsp.inference.quick_steps import QuickSteps
from fsp.inference.rates_in_time import JumpPattern, RatesInTime
from fsp.model.switches import switch_times
from fsp.solvers.linear import ShiftedSystem

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.timed_events import Setting
    from fsp.model import Model
    from fsp.space import StateSpace

# 1-norms that a step of p, and of each derivative, may be off: far from an optimum, and near it.  Of the STL1 model
# the log-likelihood is then off by 5e-6 and by 1e-8 nats, its gradient by 1e-3 and 2e-5.
FAR_ERRORS, NEAR_ERRORS = (1e-4, 1e-3), (1e-6, 1e-5)
FIRST_STEP_JUMPS = 0.5  # jumps in the first step, on average
RESOLVENT = 1e-10  # ε over the smallest exit rate: what it changes of the derivatives, about


@dataclass(frozen=True, slots=True)
class TimedLaws:
    """Which parameters are free, where cells begin, and which events set counts.

    That is what there is to know beside laws that are read at each value.
    """

    names: tuple[str, ...]
    start: str | None
    settings: tuple[Setting, ...] = ()


class TimedSpace:
    """The chain of a network on fixed states, for any values of its free parameters."""

    def __init__(self, model: Model, laws: TimedLaws, space: StateSpace) -> None:
        self.space, self._model, self._laws = space, model, laws
        self._jumps = JumpPattern(model, space)
        self._maps = MapsOnStates(model, laws.settings, space)

    def __len__(self) -> int:
        return len(self.space)

    def at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities and derivatives at one parameter vector (q,); `tail` is infinite far from an optimum."""
        return self._solved(theta, times, tail, derived=True)

    def values_at(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at one parameter vector (q,)."""
        return self._solved(theta, times, tail, derived=False)

    def at_many(self, theta: FloatArray, times: Sequence[float], tail: float, max_work: float) -> Transients:
        """Return probabilities at many parameter vectors (P, q)."""
        each = [self.values_at(row, times, tail, max_work) for row in theta]
        return Transients(
            np.concatenate([part.probabilities for part in each]), np.concatenate([part.lacking for part in each]), 0.0
        )

    def _solved(self, theta: FloatArray, times: Sequence[float], tail: float, *, derived: bool) -> Transients:
        model = self._model.with_parameters(dict(zip(self._laws.names, theta.tolist(), strict=True)))
        slopes = self._slopes(model) if derived and len(theta) else None
        rates = RatesInTime(self._jumps, model, slopes)
        end = float(times[-1])
        moving = Moving.of(model, slopes, end) if slopes is not None else None
        stops = switch_times(model.rate_expressions, end) if moving is None else moving.times
        block, lacks = self._begun(model, slopes, rates)
        of_p, of_slopes = NEAR_ERRORS if math.isfinite(tail) else FAR_ERRORS
        flow = float(np.abs(rates.at(np.zeros(1))[0].diagonal()) @ block[0])
        tols = np.array([of_p, *[of_slopes] * rates.q])
        maps = [event for event in self._maps.at(model, slopes.names if slopes else ()) if event.event.t <= end]
        steps = QuickSteps(rates, tols, FIRST_STEP_JUMPS / max(flow, 1e-300))
        at_rest = self._laws.start is not None and not model.is_time_dependent
        rests = maps[0].event.t if at_rest and maps else end * at_rest
        segments = _SegmentedSteps(self.space, rates, steps, moving, maps, rests)
        blocks, lost = segments.through(block, stops, asked_among(maps, times))
        values = np.array(blocks)  # (n_times, 1 + q, n)
        probabilities = np.maximum(values[:, 0], 0.0)
        changed = np.moveaxis(values[:, 1:], 1, 0) if derived else None
        return Transients(probabilities[None], lacks + np.array(lost)[None], 0.0, changed)

    def _slopes(self, model: Model) -> Derivatives:
        names, settings = self._laws.names, self._laws.settings
        return derivatives(model, names, log=True, elsewhere=names_in(model, settings, names))

    # ---- where cells begin

    def _begun(self, model: Model, slopes: Derivatives | None, rates: RatesInTime) -> tuple[FloatArray, float]:
        """Return p and its derivatives at time zero, (1 + q, n), and what p lacks."""
        if self._laws.start is not None:
            return self._at_rest(rates)
        block, lacks = np.zeros((1 + rates.q, len(self))), float(model.start_lacks)
        index = self.space.index(model.initial_states)
        inside = index >= 0
        np.add.at(block[0], index[inside], model.initial_probabilities[inside])
        if slopes is not None and slopes.start:
            begun = of_model(model, slopes)
            for row, h in zip(block[1:], begun.derivatives, strict=True):
                np.add.at(row, index[inside], h[inside])
        return block, lacks + float(model.initial_probabilities[~inside].sum())

    def _at_rest(self, rates: RatesInTime) -> tuple[FloatArray, float]:
        """Return the stationary distribution of the rates at time zero, its derivatives, and about what lies beyond."""
        (matrix,) = rates.at(np.zeros(1))
        p, exits = _null_vector(matrix.copy()), -matrix.diagonal()
        slowest = float(exits[exits > 0.0].min(initial=math.inf))
        lacks = float(rates.outflow(0.0) @ p) / slowest if math.isfinite(slowest) else 0.0
        if not rates.q or not math.isfinite(slowest):
            return np.concatenate([p[None], np.zeros((rates.q, len(p)))]), lacks
        epsilon = RESOLVENT * slowest
        system = ShiftedSystem(matrix, 1.0 / epsilon, self._jumps.band)
        forced = rates.forced(np.zeros(1), p[None])[0]  # (q, n)
        slopes = np.array([system.solve(row / epsilon) for row in forced])
        return np.concatenate([p[None], slopes - np.outer(slopes.sum(axis=1), p)]), lacks


@dataclass(frozen=True, slots=True, eq=False)
class _SegmentedSteps:
    """What a block (1 + q, n) meets on its way: steps, rates that switch, and events that set counts."""

    space: StateSpace
    rates: RatesInTime
    steps: QuickSteps
    moving: Moving | None
    maps: Sequence[MappedEvent]
    rests: float  # time up to which nothing changes

    def through(self, block: FloatArray, stops: FloatArray, times: Sequence[float]) -> tuple[list[FloatArray], ...]:
        """Return the block at each time that is asked for, and what has left the states by then."""
        blocks, lost, t, gone = list[Any](), list[Any](), 0.0, 0.0

        def note() -> None:
            blocks.append(block)
            lost.append(self.steps.lost + gone)

        events = {event.event.t: event for event in self.maps}
        for target in np.unique([*stops[stops > 0.0].tolist(), *events, *times]).tolist():
            block = self.steps.go(block, t, target) if target > self.rests else block
            t = target
            if self.moving is not None:
                self.moving.move(t, self.space, block)
            event, asked = events.get(t), t in times
            if asked and event is not None and event.event.later:
                note()
            if event is not None:
                held = float(block[0].sum())
                block = event.moved(block, self.rates, self.moving)
                gone += max(held - float(block[0].sum()), 0.0)
            if asked and (event is None or not event.event.later):
                note()
        return blocks, lost


def _null_vector(matrix: Any) -> FloatArray:
    """Return the stationary vector of the states that jumps do not leave for good, (n,)."""
    matrix.eliminate_zeros()  # jumps of the rate zero lead nowhere
    members = closed_classes(matrix).members
    if len(members) != 1:
        raise ModelError(f"The stationary distribution must be one, but {len(members)} sets of states are never left.")
    (kept,) = members
    p = np.zeros(matrix.shape[0])
    p[kept] = null_vector(matrix[kept][:, kept].tocsr()).p
    return p
