"""Means of products of two observables at two times: E a(X(0)) b(X(τ)), with bounds.

Let S be stored states, p about the law at time 0, a and b centred, and for s = + or - w_s = max(s a, 0) p on S, with
the sum m_s.  From w_s/m_s a transient on S gives y_s(τ), with an error ε_s in the 1-norm that holds what has left S.

(1) |Σ_{x, z in S} a(x) (p - p̂)(x) P_τ(x, z) b(z)| <= max_S |b| Σ_S |a| |p - p̂|, with p̂ the exact law;
(2) each of the parts m_s Σ_S b y_s is off by at most m_s times what ε_s allows (`fsp.arithmetic.half_sums`), times the
    largest b or -b in S;
(3) |E[a b; X(τ) not in S]| <= (E a² E[b²; not in S])^½, and |E[a b; X(0) not in S]| <= (E[a²; not in S] E b²)^½, by the
    inequality of Cauchy and Schwarz, where the law at τ is again p̂: at rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, dot, half_sums, missing_from
from fsp.distribution import Interval
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Solution
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True, eq=False)
class ObservedLaw:
    """What is known of the law at one time on stored states, and of an observable under it."""

    values: FloatArray  # (n,) of the observable, centred
    p: FloatArray  # (n,) about the probabilities
    lower: FloatArray  # (n,) bounds of them
    upper: FloatArray
    beyond: float  # bound of the mean of the square over states that are not stored
    outside: float  # bound of their probability

    @property
    def square(self) -> tuple[float, float]:
        """Bounds of the mean of the square."""
        squares = self.values**2
        return float(dot(self.lower, squares)) * (1.0 - SUM_ROUNDING), self.square_above

    @property
    def square_above(self) -> float:
        """Bound of the mean of the square."""
        return float(dot(self.upper, self.values**2)) * (1.0 + SUM_ROUNDING) + self.beyond

    @property
    def mean(self) -> tuple[float, float]:
        """Bounds of the mean."""
        above, below = np.maximum(self.values, 0.0), np.maximum(-self.values, 0.0)
        besides = sqrt(self.beyond * self.outside) if self.beyond < inf else inf
        size = SUM_ROUNDING * float(dot(self.upper, np.abs(self.values))) + besides
        low = float(dot(self.lower, above)) - float(dot(self.upper, below))
        high = float(dot(self.upper, above)) - float(dot(self.lower, below))
        return low - size, high + size

    @property
    def gap(self) -> float:
        """Bound of Σ |a| |p - p̂| over stored states, in (1)."""
        apart = np.maximum(self.upper - self.p, self.p - self.lower)
        return float(dot(np.abs(self.values), apart)) * (1.0 + SUM_ROUNDING)


def around(first: ObservedLaw, second: ObservedLaw) -> float:
    """Bound the error of the mean of the product at any lag: (1) and (3)."""
    inner = first.gap * float(np.abs(second.values).max(initial=0.0))
    outer = sqrt(first.square_above * second.beyond) + sqrt(first.beyond * second.square_above)
    return inner + outer if outer < inf else inf


def part(solution: Solution, space: StateSpace, values: FloatArray, weight: float) -> FloatArray:
    """Return value and bounds of ``weight Σ b y`` at each time, (3, n_times): (2); `values` (n,) are those of b."""
    ends = np.zeros((3, len(solution)))
    high, low = float(values.max(initial=0.0)), float(-values.min(initial=0.0))
    for k, law in enumerate(solution):
        weighted = law.probabilities * values[places(space, law.states)]
        mean = float(weighted.sum())
        gained, lost = half_sums(law.error.total, *missing_from(law.probabilities, SUM_ROUNDING))
        slack = SUM_ROUNDING * float(np.abs(weighted).sum())
        ends[:, k] = mean, mean - lost * high - gained * low - slack, mean + gained * high + lost * low + slack
    scaled: FloatArray = weight * ends
    return scaled


def quotient(above: Interval, first: Interval, second: Interval) -> Interval:
    """Return a covariance divided by the roots of two variances, within [-1, 1]."""
    low, high = sqrt(max(first.lower, 0.0) * max(second.lower, 0.0)), sqrt(first.upper * second.upper)
    known = above.certified and first.certified and second.certified and low > 0.0
    reason = above.reason or first.reason or second.reason or ("" if known else "a variance may be zero")
    if not (low > 0.0 and isfinite(above.width)):
        return Interval(-1.0, 1.0, 0.0, certified=False, reason=reason)
    corners = [end / root for end in above for root in (low, high)]
    ends = max(-1.0, float(np.nextafter(min(corners), -inf))), min(1.0, float(np.nextafter(max(corners), inf)))
    middle = above.value / sqrt(first.value * second.value)
    ends = min(ends), max(ends)
    return Interval(*ends, min(max(middle, ends[0]), ends[1]), known, reason)
