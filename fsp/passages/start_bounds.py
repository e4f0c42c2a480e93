"""What bounds from every state come to for a start."""

from __future__ import annotations

from math import inf, isfinite, nextafter
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution import Interval
from fsp.distribution.bounds import ESTIMATED_START
from fsp.passages.average import Average

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.passages.certificate import PassageBounds
    from fsp.passages.targets import Targets
    from fsp.projection.start import Start


OF_THE_START = "no moments of the start are known"


class StartBounds:
    """The questions that one space answers; `reason` says why there is no bound of moments."""

    def __init__(self, bounds: PassageBounds, targets: Targets, begin: Start, reason: str) -> None:
        self._of_states, self._reason = bounds, reason
        self._average, self._certified = Average(begin), begin.error.certified
        states = begin.model.initial_states
        self._held = targets.hold(states)  # (n_targets, k)
        stored = bounds.generator.space.index(states)
        place = np.full(len(bounds.generator), -1)
        place[bounds.stage.inside] = np.arange(len(bounds.stage))
        self._place = place[stored]  # (k,) in the stage, -1 for others
        self._trapped = np.isin(stored, bounds.stage.trapped)

    @property
    def leaving(self) -> float:
        """Bound the probability that the space is left before a target is reached."""
        return self._bounds(self._of_states.leaving, 1.0)[1]

    @property
    def facts(self) -> dict[str, Any]:
        """What a `Passage` says apart from the law."""
        moments = [self._moment(k) for k in range(len(self._of_states.moments))]
        finite = isfinite(moments[0].upper)
        low, high = self._bounds(self._of_states.never, 1.0, of_trapped=(1.0, 1.0))
        never = self._interval(low, 0.0 if finite else min(1.0, high))
        if never.lower > 0.0:
            moments = [Interval(inf, inf, inf, self._certified) for _ in moments]
        surely = len(self._held) == 1 and never.upper == 0.0
        reached = [self._interval(1.0, 1.0)] if surely else [self._reached(j) for j in range(len(self._held))]
        parts = moments[:1] if surely else [self._conditional(j, bounds) for j, bounds in enumerate(reached)]
        return {
            "reached": tuple(reached),
            "never": never,
            "moments": tuple(moments),
            "conditional": tuple(parts),
        }

    def _bounds(
        self,
        values: FloatArray,
        greatest: float,
        *,
        of_target: Any = 0.0,
        of_trapped: tuple[float, float] = (0.0, 0.0),
        above: Any = None,
    ) -> tuple[float, float]:
        """Bound the mean over the start of `values` (2, m) before a target, and of others elsewhere."""
        of_places = np.empty((2, len(self._place)))  # (2, k)
        of_places[:] = of_target
        before = self._place >= 0
        of_places[:, before] = values[:, self._place[before]]
        of_places[:, self._trapped] = np.array(of_trapped)[:, None]
        return self._average.bounds(of_places, greatest, above)

    def _reached(self, j: int) -> Interval:
        low, high = self._bounds(self._of_states.hits[:, j], 1.0, of_target=self._held[j].astype(np.float64))
        return self._interval(low, min(1.0, high))

    def _moment(self, k: int) -> Interval:
        over = self._of_states.above[k]
        above = None if over is None else over.polynomial
        low, high = self._bounds(self._of_states.moments[k], inf, of_trapped=(0.0, inf), above=above)
        return self._estimated(low, high, self._of_states.moments[k])

    def _conditional(self, j: int, reached: Interval) -> Interval:
        """Bound E[T | target j first], a quotient."""
        over = self._of_states.above[0]
        above = None if over is None else over.polynomial
        low, high = self._bounds(self._of_states.conditional[:, j], inf, above=above)
        if not reached.upper > 0.0:
            return Interval(0.0, inf, inf, certified=False, reason="the target is never reached first")
        low = nextafter(low / reached.upper, 0.0)
        high = nextafter(high / reached.lower, inf) if reached.lower > 0.0 else inf
        return self._estimated(low, high, self._of_states.conditional[:, j])

    def _estimated(self, low: float, high: float, from_each: FloatArray) -> Interval:
        if isfinite(high):
            return self._interval(low, high)
        known = bool(np.isfinite(from_each).all())
        reason = self._reason or (OF_THE_START if known else "the space is too small for a bound")
        return Interval(low, inf, low, certified=False, reason=reason)

    def _interval(self, low: float, high: float) -> Interval:
        high = max(low, high)
        reason = "" if self._certified else ESTIMATED_START
        return Interval(low, high, 0.5 * (low + high), self._certified, reason)
