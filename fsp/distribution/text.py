"""Write numbers as text so that a printed bound still holds.

A bound is rounded up and an interval outwards: `error ≤ 1.3e-08` stays true of a bound of 1.24e-08.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

_DECIMALS = 12
"""Intervals that need more decimals than this are written with exponents."""


def round_up(value: float, digits: int = 2) -> str:
    """Write a non-negative number with few digits, never smaller than it is."""
    return _significant(value, digits, ROUND_CEILING)


def interval(lower: float, upper: float) -> str:
    """Write an interval, rounded outwards to two digits of its width."""
    width = upper - lower
    if width == 0 or not math.isfinite(width):
        return f"[{lower:.12g}, {upper:.12g}]"
    decimals = max(0, 1 - math.floor(math.log10(width)))
    if decimals > _DECIMALS and max(abs(lower), abs(upper)) < 1e-4:
        return f"[{_significant(lower, 3, ROUND_FLOOR)}, {_significant(upper, 3, ROUND_CEILING)}]"
    step = Decimal(1).scaleb(-min(decimals, 17))
    wide = Context(prec=400)
    low = _decimal(lower).quantize(step, rounding=ROUND_FLOOR, context=wide)
    high = _decimal(upper).quantize(step, rounding=ROUND_CEILING, context=wide)
    return f"[{low:f}, {high:f}]"


def _decimal(value: float) -> Decimal:
    """Take the shortest decimal that reads back as this float, so that 1e-9 is not a little more."""
    return Decimal(repr(float(value)))


def _significant(value: float, digits: int, rounding: str) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = Context(prec=digits, rounding=rounding).plus(_decimal(value))
    return f"{float(rounded):.{digits - 1}e}"


def spread(mean: float, std: float) -> str:
    """Write a mean and a standard deviation as ``31.2 ± 5.6``, with four digits of the latter."""
    return f"{mean:.6g} ± {std:.4g}"


def when(t: float | None, time_unit: str = "") -> str:
    """Write a time as ``t = 10 s``, and the lack of one as ``stationary``."""
    return "stationary" if t is None else f"t = {t:.8g} {time_unit}".rstrip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay cells out in columns that are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, *rows]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
