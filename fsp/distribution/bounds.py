"""Turn a 1-norm error into the range of one number.

Let y be the stored probabilities, p the exact ones, e >= ||p - y||_1 and delta = 1 - sum(y) = sum(p - y).
The positive part of p - y weighs at most G = (e + delta) / 2, the negative part at most L = (e - delta) / 2:

    -L <= p(E) - y(E) <= G                                             for any event E,
    -L (F - f) + delta f <= sum (p - y) g <= G (F - f) + delta f       for any function f <= g <= F

where f <= g <= F holds wherever p or y lives.  Sums carry the rounding error of pairwise summation.

Where some probability may live on states that are not stored, -h <= f <= g with polynomials g and h whose moments the
model bounds (`fsp.moments`), and, since the positive part of p - y is at most p,

    sum_x y f - H - L max f  <=  sum_x p f  <=  sum_x y f + K + L max (-f),

where K and H are Hölder's bounds of g and h over a part of p that weighs G, and the maxima are over stored states.

Arrays are (n,), over the stored states.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, SUM_ROUNDING, UNIT_ROUNDOFF, half_sums, missing_from, sum_down, sum_up
from fsp.arrays import BoolArray, FloatArray
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.moments.envelope_rules import Envelope
from fsp.moments.polynomial import Polynomial
from fsp.moments.terms import Terms, in_falling_powers

if TYPE_CHECKING:
    from fsp.moments import MomentBounds

Points: TypeAlias = tuple[FloatArray, FloatArray]  # probabilities and values of a function, (n,) each
ESTIMATED = "the error is an estimate, not a bound"
ESTIMATED_START = "the error of the start is an estimate"
UNBOUNDED = "a 1-norm error does not bound the tail of the function on states that are not stored"
UNBOUNDED_FORMULA = "no polynomial is known to bound the formula on states that are not stored"


def event(probabilities: FloatArray, mask: BoolArray, error: ErrorLedger) -> Interval:
    """Bound the probability of an event."""
    inside = float(probabilities[mask].sum())
    gained, lost = half_sums(error.total, *missing_from(probabilities, SUM_ROUNDING))
    slack = SUM_ROUNDING * inside
    lower = max(0.0, math.nextafter(inside - (lost + slack), -math.inf))
    upper = min(1.0, math.nextafter(inside + (gained + slack), math.inf))
    value = min(max(inside, lower), upper)
    return Interval(lower, upper, value, error.certified, "" if error.certified else ESTIMATED)


def single_states(probabilities: FloatArray, mass: float, error: ErrorLedger) -> tuple[FloatArray, FloatArray]:
    """Bound the probability of each stored state by the 1-norm error.

    Returns (n,) lower and (n,) upper bounds; `mass` is the sum of all that are stored, `probabilities` may be some.
    """
    gained, lost = half_sums(error.total, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0))
    lower, upper = np.nextafter(probabilities - lost, -np.inf), np.nextafter(probabilities + gained, np.inf)
    return np.maximum(lower, 0.0), np.minimum(upper, 1.0)


def quantile(points: Points, level: float, value: int, error: ErrorLedger) -> Interval:
    """Bound the smallest count c with F(c) >= level, where L(c) <= F(c) <= U(c).

    (1) U(c) < level: the quantile is above c;  (2) L(c) >= level: it is at most c.
    `points`: probabilities of all stored counts and these counts, which ascend; `value`: the quantile of those.
    """
    probabilities, counts = points
    gained, lost = half_sums(error.total, *missing_from(probabilities, SUM_ROUNDING))
    cumulated = np.cumsum(probabilities)  # (n,)
    slack = 2.0 * len(counts) * UNIT_ROUNDOFF
    above = int(np.searchsorted(cumulated + (gained + slack), level))  # stored counts of (1)
    enough = int(np.searchsorted(cumulated - (lost + slack), level))  # the first one of (2)
    # F may be U = gained below all stored counts; at the last one U >= Σy + δ = 1
    lower = 0.0 if gained + slack >= level else float(counts[above])
    upper = float(counts[enough]) if enough < len(counts) else math.inf
    upper = max(lower, upper)
    certified = error.certified
    return Interval(lower, upper, min(max(value, lower), upper), certified, "" if certified else ESTIMATED)


def half_width(mass: float, error: ErrorLedger) -> float:
    """Return by how much two stored probabilities may differ at most where the exact ones are equal."""
    return sum_up(*half_sums(error.total, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0)))


def single_state(lower: float, upper: float, value: float, error: ErrorLedger) -> Interval:
    """Return what is known of the probability of one stored state."""
    upper = max(lower, upper)
    return Interval(lower, upper, min(max(value, lower), upper), error.certified, "" if error.certified else ESTIMATED)


def closed_mean(probabilities: FloatArray, values: FloatArray, error: ErrorLedger) -> Interval:
    """Bound the mean of a function where every state that has probability is stored."""
    least, greatest = float(values.min()), float(values.max())
    mass = float(probabilities.sum())
    gained, lost = half_sums(error.total, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0))
    weighted = probabilities * values  # (n,)
    centre = float(weighted.sum()) + (1.0 - mass) * least
    slack = 2.0 * SUM_ROUNDING * (float(np.abs(weighted).sum()) + 4 * max(abs(least), abs(greatest)))
    spread = (greatest - least) * (1.0 + 4.0 * UNIT_ROUNDOFF)  # with the rounding of its products
    lower = min(max(least, sum_down(centre, -lost * spread, -slack)), greatest)
    upper = max(min(greatest, sum_up(centre, gained * spread, slack)), lower)
    value = min(max(stored_mean(probabilities, values), lower), upper)
    return Interval(lower, upper, value, error.certified, "" if error.certified else ESTIMATED)


def unbounded_mean(probabilities: FloatArray, values: FloatArray) -> Interval:
    """Estimate the mean of a function of which nothing is known on the states that are not stored."""
    return Interval(-np.inf, np.inf, stored_mean(probabilities, values), certified=False, reason=UNBOUNDED)


def tail_mean(
    probabilities: FloatArray,
    values: FloatArray,
    error: ErrorLedger,
    enclosing: Envelope,
    moments: MomentBounds,
    off: float,
) -> Interval:
    """Bound the mean of a function that polynomials enclose, by the moments that the model allows."""
    gained, lost = half_sums(error.total, *missing_from(probabilities, off))
    above, below = _gains(enclosing.upper, 1), _gains(enclosing.lower, -1)
    value = stored_mean(probabilities, values)
    if above is None or below is None:
        return Interval(-np.inf, np.inf, value, certified=False, reason=UNBOUNDED_FORMULA)
    weighted = probabilities * values  # (n,)
    centre, size = float(weighted.sum()), float(np.abs(weighted).sum())
    slack = 2.0 * SUM_ROUNDING * (size + 4.0 * lost * float(np.abs(values).max()))
    lower = sum_down(centre, -_tail(below, moments, gained), -lost * max(0.0, float(values.max())), -slack)
    upper = sum_up(centre, _tail(above, moments, gained), lost * max(0.0, -float(values.min())), slack)
    lower = max(lower, 0.0 - _tail(below, moments, 1.0))  # what holds without the stored probabilities
    upper = max(lower, min(upper, _tail(above, moments, 1.0)))
    bounded = math.isfinite(lower) and math.isfinite(upper)
    reason = "" if bounded and error.certified else (ESTIMATED if bounded else moments.reason)
    return Interval(lower, upper, min(max(value, lower), upper), bounded and error.certified, reason)


def between(below: Interval, above: Interval) -> Interval:
    """Return what is known of the mean of a function by the means of one that is below it, and of one above it."""
    value = 0.5 * (below.value + above.value)
    certified = below.certified and above.certified
    return Interval(below.lower, above.upper, min(max(value, below.lower), above.upper), certified, below.reason)


def with_equations(interval: Interval, enclosing: Envelope, moments: MomentBounds) -> Interval:
    """Narrow an interval by the moment equations, where they give the mean of the function."""
    polynomial = enclosing.polynomial
    exact = None if polynomial is None else moments.mean(polynomial)
    if exact is None:
        return interval
    lower, upper = exact
    if interval.certified and max(lower, interval.lower) <= min(upper, interval.upper):
        lower, upper = max(lower, interval.lower), min(upper, interval.upper)
    return Interval(lower, upper, min(max(interval.value, lower), upper), certified=True)


def variance(mean: Interval, square: Interval, centre: float, value: float) -> Interval:
    """Bound a variance by ``E (X - c)² - (E X - c)²``."""
    shifts = [end - centre for end in mean]
    nearest = 0.0 if shifts[0] <= 0.0 <= shifts[1] else min(map(abs, shifts))
    farthest = max(map(abs, shifts))
    slack = 16.0 * UNIT_ROUNDOFF * (abs(square.upper) + farthest * farthest)  # infinite where the square is too large
    if not math.isfinite(slack):
        return Interval(0.0, np.inf, value, certified=False, reason=mean.reason or square.reason)
    lower = max(0.0, square.lower - max(shift**2 for shift in shifts) - slack)
    upper = max(lower, square.upper - nearest**2 + slack)
    certified = mean.certified and square.certified
    reason = "" if certified else mean.reason or square.reason
    return Interval(lower, upper, min(max(value, lower), upper), certified, reason)


def _gains(terms: Terms | None, sign: int) -> Polynomial | None:
    """Return a polynomial above the positive part of ``sign * terms``; its coefficients are positive."""
    if terms is None:
        return None
    side = in_falling_powers({powers: sign * c for powers, c in terms.items()}, upper=True)
    return {alpha: c for alpha, c in side.items() if c > 0}


def _tail(polynomial: Polynomial, moments: MomentBounds, weight: float) -> float:
    total = math.fsum(float(c) * moments.tail(alpha, weight) for alpha, c in polynomial.items())
    rounded = len(polynomial) > 1 or any(c != 1 for c in polynomial.values())
    return total * SLIGHTLY_UP if rounded else total


def stored_mean(probabilities: FloatArray, values: FloatArray) -> float:
    """Average a function over the stored probability."""
    return float((probabilities * values).sum() / probabilities.sum())
