"""Floating-point arithmetic with its rounding: one home of the unit roundoff, of sums, and of the slack of an event."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

UNIT_ROUNDOFF = 2.0**-53  # u of doubles: an operation is rounded by at most u times its result
ROUNDED_UP = 1.0 + 1e-9  # times a bound of sums and products: above nine million roundings
SLIGHTLY_UP = 1.0 + 1e-12  # times a bound of a few operations: above nine thousand roundings


def as_double(number: Any) -> float:
    """Return a number as a double, infinite where it is beyond them, as 10**400 is."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def sum_rounding(n: int) -> float:
    """Bound the relative rounding of a sum of n numbers >= 0, as numpy adds, on up to 2¹⁰ ranks.

    It adds blocks of 128 in 8 lanes, then pairs: 20 + log2(n) additions in a row.
    """
    return (30 + n.bit_length()) * UNIT_ROUNDOFF


def row_rounding(n: int) -> float:
    """Bound the relative rounding of a sum of n numbers >= 0, in whatever order: of BLAS, of bins, of rows."""
    return (n + 4) * UNIT_ROUNDOFF


SUM_ROUNDING = sum_rounding(2**61)  # of any sum
MOST_EXACT = 2**17  # numbers that are added exactly: 2 ms


def dot(a: Any, b: Any) -> Any:
    """Return Σ a b over the last axis, added as `sum_rounding` counts: BLAS adds thousands of products in a row."""
    return np.multiply(a, b, order="C").sum(axis=-1)


def sum_error(a: Any, b: Any) -> Any:
    """Return ``a + b``, of numbers or of arrays, less what it is rounded to; exact (Knuth's two-sum)."""
    total = a + b
    of_b = total - a
    return (a - (total - of_b)) + (b - of_b)


def sum_up(first: float, *others: float) -> float:
    """Return a sum of numbers, each addition rounded up: a sum of bounds is a bound; what is exact stays so."""
    total = first
    for other in others:
        missed = sum_error(total, other)
        total += other
        if missed > 0.0:
            total = math.nextafter(total, math.inf)
    return total


def sum_down(first: float, *others: float) -> float:
    """Return a sum of numbers, each addition rounded down."""
    return 0.0 - sum_up(-first, *(-other for other in others))  # no -0.0


def span(start: float, end: float) -> float:
    """Return ``end - start``, rounded down."""
    length = end - start
    return math.nextafter(length, -math.inf) if sum_error(end, -start) < 0.0 else length


def missing_from(probabilities: FloatArray, off: float = 0.0) -> tuple[float, float]:
    """Return 1 - Σ y of probabilities y (n,), and what that may be off; each y has a relative error of `off` itself."""
    if len(probabilities) > MOST_EXACT:
        mass = float(probabilities.sum())
        return 1.0 - mass, (off + sum_rounding(len(probabilities))) * max(mass, 1.0)
    missing = math.fsum([1.0, *(-probabilities).tolist()])  # rounded once
    return missing, UNIT_ROUNDOFF * abs(missing) + 2.0 * off


def half_sums(error: float, missing: float, off: float) -> tuple[float, float]:
    """Bound the weights of the positive and the negative part of p - y, rounded outwards.

    With ``ε >= ‖p - y‖₁`` and ``δ = 1 - Σ y = Σ (p - y)``, `missing` up to `off`, they are at most (ε + δ)/2 and
    (ε - δ)/2: so far the probability of any event may lie above and below its stored part.
    """
    total = max(error, abs(missing))  # less than |δ| only by rounding
    above, below = 0.5 * (total + missing + off), 0.5 * (total - missing + off)
    return _beyond(above), _beyond(below)


def _beyond(size: float) -> float:
    """Round a sum outwards; what is exactly zero stays."""
    return math.nextafter(size * (1.0 + 2.0 * UNIT_ROUNDOFF), math.inf) if size else 0.0
