"""Events that set counts, in an adjoint with bounds: heights from before them, and derivatives by their times.

Where t* moves with θ_k, as ``λ⁻ = Mᵀ λ⁺`` and with ``φ(p, λ) = Σ_x p_x Σ_r a_r(x) (λ(x + ν_r) - λ(x))``,

(1)  ∂_k E  has the term  ∂_k t* (φ(p⁻, λ⁻) - φ(p⁺, λ⁺)) ,

each φ known up to ``Σ y Σ_r a_r (Ψ(x + ν_r) + Ψ(x)) + Σ m Σ_r a_r (H(x + ν_r) + H(x))``.  The rest is that of
`fsp.inference.adjoint` and `fsp.inference.stored_maps`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, dot
from fsp.inference.count_maps import asked_at
from fsp.inference.discontinuities import require_between
from fsp.inference.stored_maps import StoredMap

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.adjoint_truncation import AdjointTruncation
    from fsp.inference.backward import UniformizedChain
    from fsp.inference.count_maps import CountMap
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model

RIGHT_AT, ASKED, RIGHT_AFTER = 0, 1, 2  # in the order in which they take place at one time


class AdjointEvents:
    """Times that are asked for, and those of events that set counts before the last of them, in order."""

    def __init__(
        self,
        model: Model,
        slopes: Derivatives,
        bounds: Bounds,
        chain: UniformizedChain,
        truncation: AdjointTruncation,
        times: Sequence[float],
    ) -> None:
        self._model, self.chain, self.truncation = model, chain, truncation
        self.n_parameters = len(slopes.names)
        require_between(slopes.maps, slopes.names, np.array(times))
        order = _ordered(times, slopes.maps)
        self.times = [t for t, _, _ in order]
        self.asked = {number: i for number, (_, place, i) in enumerate(order) if place == ASKED}  # by number of a time
        self.numbers = sorted(self.asked, key=self.asked.__getitem__)  # of the times that are asked for
        space = truncation.generator.space
        self.maps = {
            number: StoredMap(slopes.maps[e], space, bounds, model.species)
            for number, (_, place, e) in enumerate(order)
            if place != ASKED
        }
        self.ends: dict[int, tuple[FloatArray, FloatArray]] = {}  # y before and after each event, (n,)

    @property
    def relative(self) -> float:
        """Rounding of products with all maps, forward and back."""
        return sum(stored.relative for stored in self.maps.values())

    def mapped(self, number: int, y: FloatArray) -> FloatArray:
        """Return what an event makes of y (n + 1,), and follow what is lost; y itself at other times."""
        if number not in self.maps:
            return y
        self.truncation.map(number, self.maps[number], y[:-1])
        after = self.maps[number].mapped(y)
        self.ends[number] = y[:-1], after[:-1]
        return after

    def heights(self, asked: Sequence[FloatArray], nothing: FloatArray) -> FloatArray:
        """Return H of what is asked at each time or later, from all states before it, (n_times, 1 + n_gauges)."""
        rows: list[FloatArray] = []
        height, events = nothing, sorted(self.maps)
        for number in reversed(range(len(self.times))):
            if number in self.maps:
                earlier = [self.times[event] for event in events if event < number]
                since = nextafter(self.times[number] - max(earlier, default=0.0), inf)
                height = self.maps[number].height_before(height, since)
            else:
                height = height + asked[self.asked[number]]
            rows.append(height)
        return np.array(rows[::-1])

    def flow(self, y: FloatArray, v: FloatArray, rho: float) -> tuple[float, float]:
        """Return φ(y, l), (1), and what Ψ and rounding make of it; v are l and Ψ, (n + 1, 2)."""
        flow = self._model.propensities(self.truncation.generator.space.states) * y  # (R, n)
        l, psi = v.T  # noqa: E741 - as in (2) of `fsp.inference.adjoint`
        led = self.chain.targets[self.chain.change_of]  # (R, n)
        value = float(dot(flow, l[led] - l[:-1]).sum())
        off = (flow * ((1.0 + rho) * (psi[led] + psi[:-1]) + rho * (l[led] + l[:-1]))).sum()
        return value, float(off)


class TimeShifts:
    """What times of events that move with parameters add to a gradient on the way back, (1)."""

    def __init__(self, events: AdjointEvents, later: FloatArray, relative: float, *, signed: bool) -> None:
        """`later` are heights, (n_times, 1 + n_gauges); `signed` says whether λ may be negative somewhere."""
        self._events, self._later, self._rho = events, later, 2.0 * relative + SUM_ROUNDING
        self._of_constant = 1.0 if signed else 0.5  # |λ(x + ν) - λ(x)| <= G, where λ is between 0 and G
        self.values, self.off = np.zeros(events.n_parameters), np.zeros(events.n_parameters)

    def before(self, number: int, v: FloatArray) -> FloatArray:
        """Return l and Ψ, (n + 1, 2), before an event; v itself at other times."""
        if number not in self._events.maps:
            return v
        stored, truncation, heights = self._events.maps[number], self._events.truncation, self._later
        outside = float(heights[number] @ truncation.highest[1])
        before = stored.back(v, heights[number + 1], outside)
        speeds, moved = stored.event.speeds, stored.event.speeds != 0.0
        if moved.any():
            vectors, beyond = (before, v), truncation.flows[number]
            for i, (y, sign) in enumerate(zip(self._events.ends[number], (1.0, -1.0), strict=True)):
                flow, off = self._events.flow(y, vectors[i], self._rho)
                off += self._beyond(beyond[i], heights[number + i])
                self.values += sign * speeds * flow
                self.off[moved] += np.abs(speeds[moved]) * off * ROUNDED_UP
        return before

    def _beyond(self, flow: FloatArray, height: FloatArray) -> float:
        """Bound what φ lacks since y does, and since rates are off, for a height (1 + n_gauges,)."""
        highest = np.maximum(*self._events.truncation.highest)
        used = height != 0.0
        charge = float(flow[used] @ (height * [self._of_constant, *[1.0] * (len(height) - 1)])[used])
        return charge + self._events.truncation.generator.misjudged(0.0, 1.0) * float(height @ highest)


def _ordered(times: Sequence[float], maps: Sequence[CountMap]) -> list[tuple[float, int, int]]:
    """Return times that are asked for and times of events up to the last of them, each with its kind and number."""
    exact = asked_at(maps, np.array(times)).tolist()
    asked = [(t, ASKED, i) for i, t in enumerate(exact)]
    events = [(event.t, RIGHT_AFTER if event.later else RIGHT_AT, e) for e, event in enumerate(maps)]
    order = sorted([*asked, *events])
    return order[: order.index(asked[-1]) + 1]
