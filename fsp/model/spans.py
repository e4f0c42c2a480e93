"""Where the computed value of a function lies, for arguments that lie between two numbers each.

Every operation is enclosed by the values at the ends, in the same floating point in which it is evaluated at a point;
rounding is monotone, so no point is missed, and nothing is widened but powers, whose rounding may not be.  What is not
treated may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

Range = tuple[float, float]
SpanRule = Callable[[Sequence[Range]], Range]

ANYTHING: Range = (-math.inf, math.inf)  # of a number
POWERS_OFF = 1e-13  # relative, far above the error of a power, or of the few products that it is computed by
UNKNOWN: Range = (0.0, 1.0)  # of a truth value


def of_sum(parts: Sequence[Range]) -> Range:
    """Enclose a sum."""
    return reduce(lambda a, b: (a[0] + b[0], a[1] + b[1]), parts, (0.0, 0.0))


def of_difference(parts: Sequence[Range]) -> Range:
    """Enclose a difference."""
    (a, b), (c, d) = parts
    return a - d, b - c


def of_product(parts: Sequence[Range]) -> Range:
    """Enclose a product; nothing times anything is nothing."""

    def times(left: Range, right: Range) -> Range:
        corners = [0.0 if 0.0 in (x, y) else x * y for x in left for y in right]
        return min(corners), max(corners)

    return reduce(times, parts, (1.0, 1.0))


def of_quotient(parts: Sequence[Range]) -> Range:
    """Enclose a quotient; anything where the divisor may be zero."""
    top, bottom = parts
    if bottom[0] <= 0.0 <= bottom[1]:
        return ANYTHING
    corners = [0.0 if math.isinf(y) else x / y for x in top for y in bottom]  # also ∞/∞: the other corner is infinite
    return min(corners), max(corners)


def of_power(parts: Sequence[Range]) -> Range:
    """Enclose a power of what is not negative, by one exponent; anything elsewhere."""
    (low, high), (p, other) = parts
    if p != other or not (low >= 0.0 if p > 0.0 else low > 0.0):
        return ANYTHING
    try:
        least, greatest = sorted((low**p, high**p))
    except OverflowError:
        return ANYTHING
    tiny = math.ulp(0.0) if high else 0.0  # where a power comes to nothing, another way of computing it may not
    return max(0.0, least * (1.0 - POWERS_OFF) - tiny), greatest * (1.0 + POWERS_OFF) + tiny


def of_non_negative(parts: Sequence[Range]) -> Range:
    """Enclose what is never negative, whatever its argument."""
    return 0.0, math.inf


def of_rounding(function: Callable[[float], int]) -> SpanRule:
    """Return the rule of floor or ceil."""
    return lambda parts: tuple(x if math.isinf(x) else float(function(x)) for x in parts[0])  # type: ignore[return-value]


def of_absolute(parts: Sequence[Range]) -> Range:
    """Enclose a size."""
    ((low, high),) = parts
    least = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def of_comparison(compare: Callable[[float, float], Any]) -> SpanRule:
    """Return the rule of a chain of <, <=, > or >=, which holds where it does at the ends that are worst for it."""
    rising = bool(compare(0.0, 1.0))  # a < b: worst where a is large

    def compared(parts: Sequence[Range]) -> Range:
        pairs = [(a, b) if rising else (a[::-1], b[::-1]) for a, b in pairwise(parts)]
        if any(not compare(a[0], b[1]) for a, b in pairs):
            return 0.0, 0.0
        return (1.0, 1.0) if all(compare(a[1], b[0]) for a, b in pairs) else UNKNOWN

    return compared


def of_equality(wanted: bool) -> SpanRule:
    """Return the rule of ==, or of != where it is not `wanted`."""

    def compared(parts: Sequence[Range]) -> Range:
        pairs = list(pairwise(parts))
        same = [a[0] == a[1] == b[0] == b[1] for a, b in pairs]
        apart = [a[1] < b[0] or b[1] < a[0] for a, b in pairs]
        never, always = (apart, same) if wanted else (same, apart)
        if any(never):
            return 0.0, 0.0
        return (1.0, 1.0) if all(always) else UNKNOWN

    return compared


def _truth(part: Range) -> Range:
    if part == (0.0, 0.0):
        return 0.0, 0.0
    return (1.0, 1.0) if part[0] > 0.0 or part[1] < 0.0 else UNKNOWN


def of_all(parts: Sequence[Range]) -> Range:
    """Enclose whether all hold."""
    truths = [_truth(p) for p in parts]
    return min((t[0] for t in truths), default=1.0), min((t[1] for t in truths), default=1.0)


def of_any(parts: Sequence[Range]) -> Range:
    """Enclose whether one holds."""
    truths = [_truth(p) for p in parts]
    return max((t[0] for t in truths), default=0.0), max((t[1] for t in truths), default=0.0)


def of_not(parts: Sequence[Range]) -> Range:
    """Enclose whether it does not hold."""
    low, high = _truth(parts[0])
    return 1.0 - high, 1.0 - low


def of_pieces(parts: Sequence[Range]) -> Range:
    """Enclose the value before the first condition that holds, else the last one of an odd number."""
    possible = []
    for value, condition in zip(parts[::2], parts[1::2], strict=False):
        never, always = (_truth(condition) == truth for truth in ((0.0, 0.0), (1.0, 1.0)))
        if not never:
            possible.append(value)
        if always:
            break
    else:
        possible.append(parts[-1] if len(parts) % 2 else ANYTHING)
    return min(low for low, _ in possible), max(high for _, high in possible)
