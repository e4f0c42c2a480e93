"""Bounds of the stationary probability of a line beyond the stored states, from enclosures of the rates.

Let π(k) up(k) = π(k + 1) down(k + 1), and θ be at least up(k)/down(k + 1) for s <= k < t.  Then

    (1)  π(s + 1) + … + π(t)  <=  π(s) (θ + θ² + … + θ^(t - s)),
    (2)  π(t)  <=  π(s) θ^(t - s),

and the next segment begins with what (2) bounds.  θ is the largest up over the least down, both enclosed over the
segment, so that a line of 10⁹ states takes some tens of segments.  Where the least down is above zero on all of them,
every place beyond leads back.  Below the stored states up and down change roles.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from fsp.arithmetic import UNIT_ROUNDOFF

if TYPE_CHECKING:
    from fsp.equilibrium.line import Line

SEGMENTS = 1000  # tried, some tenths of a second, before the tail is left unbounded; any number is right
FINE = 8  # segments of the first length up to twice the distance from the mode; chosen, not measured
LOG_NEGLIGIBLE = -700.0  # logarithm of a probability relative to a stored one, below which it is bounded by e^-700, and
# beyond whose inverse nothing is bounded; any number within the range of a double is right
LOG_SAFETY = 1.0 + 1e-9  # rounding of logarithms below 700 and of sums of SEGMENTS terms, 1e-13 each at most


def tail(line: Line, start: int, end: int, scale: int) -> float:
    """Bound π(start ± 1) + … + π(end) over π(start); infinity where nothing is proved.

    `scale` is a length over which the rates change by a small share, the length of the first segments.
    """
    sign = 1 if end >= start else -1
    place, length = start, max(1, scale // FINE)
    total, log_weight = 0.0, 0.0  # of (1), and of (2)
    for _ in range(SEGMENTS):
        if place == end:
            return total * LOG_SAFETY
        length = min(length, abs(end - place))
        theta = _ratio(line, place, place + sign * length, sign)
        if theta >= 1.0 and length > 1:
            length = max(1, length // 2)
            continue
        if not math.isfinite(theta) or log_weight > -LOG_NEGLIGIBLE:
            break
        log_theta = math.log(theta) if theta > 0.0 else -math.inf
        sum_ = theta / (1.0 - theta) if theta < 1.0 else theta  # length is 1 in the second case
        total += math.exp(max(log_weight, LOG_NEGLIGIBLE)) * sum_  # (1)
        log_weight += length * log_theta  # (2)
        place += sign * length
        length *= 2
    return math.inf


def _ratio(line: Line, place: int, end: int, sign: int) -> float:
    """Bound the rate away from the stored states over the rate back from the next place; infinity where unknown."""
    away = line.enclosed_rate(min(place, end - sign), max(place, end - sign), sign)[1]
    back = line.enclosed_rate(min(place + sign, end), max(place + sign, end), -sign)[0]
    if not (math.isfinite(away) and back > 0.0):
        return math.inf
    return away / back * (1.0 + 8.0 * UNIT_ROUNDOFF)
