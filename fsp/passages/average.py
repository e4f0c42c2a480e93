"""Means over the start of what is bounded from each state, where the start may be known but for an error.

Let y >= 0 be the stored probabilities of the start p, ‖p - y‖₁ <= ε and δ = 1 - Σ y.  The negative part of p - y weighs
at most L = (ε - δ)/2, the positive one G = (ε + δ)/2.  For 0 <= low(x) <= h(x) <= high(x) at stored states, and h(x)
below a polynomial H with coefficients >= 0 elsewhere,

(1) Σ y low - L max low <= Σ p h <= Σ y high + Σ_x H(x) r(x)

where 0 <= r <= p weighs at most G: Hölder's inequality bounds its moments (`fsp.moments.bounds`).
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from fsp.arithmetic import SLIGHTLY_UP, SUM_ROUNDING, dot, half_sums, missing_from

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.moments.polynomial import Polynomial
    from fsp.projection.start import Start


class Average:
    """Means over one start."""

    def __init__(self, begin: Start) -> None:
        self._begin, self._y = begin, begin.model.initial_probabilities  # (k,)
        self._has = self._y > 0.0
        self._gained, self._lost = half_sums(begin.error.total, *missing_from(self._y, SUM_ROUNDING))
        self.is_stored = begin.exact and not begin.model.start_lacks  # whether there is no other state

    def bounds(self, values: FloatArray, upper: float, above: Polynomial | None = None) -> tuple[float, float]:
        """Bound the mean of what lies between `values` (2, k) at the stored states of the start: (1).

        Elsewhere it is at most `upper`, or the polynomial `above` where there is one.
        """
        low = float(dot(self._y, values[0])) * (1.0 - SUM_ROUNDING) - self._lost * float(values[0].max(initial=0.0))
        high = float(dot(self._y[self._has], values[1, self._has])) * (1.0 + SUM_ROUNDING)
        if self.is_stored:
            upper = float(values[1].max(initial=0.0))
        elif above is not None:
            return max(low, 0.0), high + self._tail(above)
        return max(low, 0.0), high + (self._gained * upper if self._gained else 0.0)

    def _tail(self, polynomial: Polynomial) -> float:
        moments = self._begin.moments(self._begin.t)
        if moments is None:
            return inf if self._gained else 0.0
        terms = [float(c) * moments.bounds.tail(alpha, self._gained) for alpha, c in polynomial.items() if c > 0]
        return sum(terms) * SLIGHTLY_UP
