"""Floating-point arithmetic with its rounding: one home of the unit roundoff, of sums, and of the slack of an event."""

from __future__ import annotations

import math

UNIT_ROUNDOFF = 2.0**-53


def sum_rounding(n: int) -> float:
    """Bound the relative rounding of a sum of n numbers >= 0, as numpy adds, on up to 2¹⁰ ranks.

    It adds blocks of 128 in 8 lanes, then pairs: 20 + log2(n) additions in a row.
    """
    return (30 + n.bit_length()) * UNIT_ROUNDOFF


SUM_ROUNDING = sum_rounding(2**61)  # of any sum


def sum_error(a: float, b: float) -> float:
    """Return ``a + b`` less what it is rounded to; exact (Knuth's two-sum)."""
    total = a + b
    of_b = total - a
    return (a - (total - of_b)) + (b - of_b)


def span(start: float, end: float) -> float:
    """Return ``end - start``, rounded down."""
    length = end - start
    return math.nextafter(length, -math.inf) if sum_error(end, -start) < 0.0 else length


def half_sums(error: float, mass: float) -> tuple[float, float]:
    """Bound the weights of the positive and the negative part of p - y.

    With ``ε >= ‖p - y‖₁`` and ``δ = 1 - Σ y = Σ (p - y)`` they are at most (ε + δ)/2 and (ε - δ)/2: so far the
    probability of any event may lie above and below its stored part.

    Parameters
    ----------
    error
        ε.
    mass
        Σ y, as numpy adds.

    Returns
    -------
    tuple
        Both, rounded outwards, with what the sum may be off.
    """
    missing = 1.0 - mass
    total = max(error, abs(missing))  # less than |δ| only by rounding
    slack = 0.5 * SUM_ROUNDING * max(mass, 1.0)
    above, below = 0.5 * (total + missing) + slack, 0.5 * (total - missing) + slack
    return math.nextafter(above, math.inf), math.nextafter(below, math.inf)
