"""Write numbers as text so that a printed bound still holds.

A bound is rounded up and an interval outwards: `error ≤ 1.3e-08` stays true of a bound of 1.24e-08.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from fsp.arithmetic import UNIT_ROUNDOFF

_DECIMALS = 12
"""Intervals that need more decimals than this are written with exponents."""
_SAME_TIME = 1e-12  # of the larger time; chosen: thousands of roundings, and no time that anyone would tell apart
_CONSTANT = 16.0 * UNIT_ROUNDOFF
"""A standard deviation of so small a share of the mean is the rounding of the mean that was taken from the counts."""


def counted(number: int, word: str) -> str:
    """Write how many of something there are: `1 cell`, `1,200 cells`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def round_up(value: float, digits: int = 2) -> str:
    """Write a non-negative number with few digits, never smaller than it is."""
    return _significant(value, digits, ROUND_CEILING)


def interval(lower: float, upper: float) -> str:
    """Write an interval, rounded outwards to two digits of its width."""
    width = upper - lower
    if width == 0 or not math.isfinite(width):
        return f"[{_short(lower, ROUND_FLOOR)}, {_short(upper, ROUND_CEILING)}]"
    decimals = max(0, 1 - math.floor(math.log10(width)))
    if decimals > _DECIMALS and max(abs(lower), abs(upper)) < 1e-4:
        digits = min(17, 2 + math.ceil(math.log10(max(10.0, abs(lower) / width))))
        return f"[{_significant(lower, digits, ROUND_FLOOR)}, {_significant(upper, digits, ROUND_CEILING)}]"
    step = Decimal(1).scaleb(-min(decimals, 17))
    wide = Context(prec=400)
    low = _decimal(lower).quantize(step, rounding=ROUND_FLOOR, context=wide)
    high = _decimal(upper).quantize(step, rounding=ROUND_CEILING, context=wide)
    return f"[{low:f}, {high:f}]"


def _short(value: float, rounding: str) -> str:
    """Write a number with as many digits as it has, up to twelve."""
    return f"{float(Context(prec=12, rounding=rounding).plus(_decimal(value))) if math.isfinite(value) else value:.12g}"


def _decimal(value: float) -> Decimal:
    """Take the shortest decimal that reads back as this float, so that 1e-9 is not a little more."""
    return Decimal(repr(float(value)))


def _significant(value: float, digits: int, rounding: str) -> str:
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = Context(prec=digits, rounding=rounding).plus(_decimal(value))
    return f"{float(rounded):.{digits - 1}e}"


def spread(mean: float, std: float) -> str:
    """Write a mean and a standard deviation as ``31.2 ± 5.6``, with four digits of the latter; a constant alone."""
    if std <= _CONSTANT * max(1.0, abs(mean)):
        return f"{mean:.6g}"
    return f"{mean:.6g} ± {std:.4g}"


def is_same_time(t: float, other: float) -> bool:
    """Tell whether two times are the same, so that ``3 * 0.1`` finds ``0.3``."""
    return math.isclose(t, other, rel_tol=_SAME_TIME)


def when(t: float | None, time_unit: str = "") -> str:
    """Write a time as ``t = 10 s``, and the lack of one as ``stationary``."""
    return "stationary" if t is None else f"t = {t:.8g} {time_unit}".rstrip()


def index_text(value: float | None) -> str:
    """Write what a row is called by: a time, none where it is stationary, or the value of a parameter."""
    return "stationary" if value is None else f"{value:.8g}"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay cells out in columns that are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, *rows]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def tables(header: Sequence[str], rows: Sequence[Sequence[str]], width: int, fixed: int = 1) -> list[list[str]]:
    """Lay cells out in as many tables as columns need that fit into a width; each begins with the `fixed` columns."""
    widths = [max(map(len, column)) + 2 for column in zip(header, *rows, strict=True)]
    room, groups = width + 2 - sum(widths[:fixed]), [[]]  # type: tuple[int, list[list[int]]]
    for k in range(fixed, len(header)):
        if groups[-1] and sum(widths[j] for j in groups[-1]) + widths[k] > room:
            groups.append([])
        groups[-1].append(k)
    columns = [[*range(fixed), *group] for group in groups]
    return [table([header[k] for k in kept], [[row[k] for k in kept] for row in rows]) for kept in columns]
