"""Say where a printed mean would mislead: far from what the bounds of the moments allow, or not bounded at all."""

from __future__ import annotations

from collections.abc import Mapping

from fsp.distribution.ledger import Interval

_NOTED_SHARE = 0.05
"""Share of the mean by which a printed mean may be off without a remark."""
_MOLECULES = 1e-3
"""Differences below this are not worth a remark."""


def mean_notes(means: Mapping[str, float], intervals: Mapping[str, Interval]) -> list[str]:
    """Compare the printed means of a distribution with their intervals."""
    open_ended = [name for name, interval in intervals.items() if not interval.certified]
    lines = []
    for name, interval in intervals.items():
        off = max(interval.upper - means[name], means[name] - interval.lower)
        if name not in open_ended and off > max(_MOLECULES, _NOTED_SHARE * means[name]):
            known = "is only known to lie in" if means[name] in interval else "as printed is wrong: it lies in"
            lines.append(f"mean of {name} {known} {interval}")
    if open_ended:
        plural = "means of {} are" if len(open_ended) > 1 else "mean of {} is"
        names = ", ".join(open_ended)
        lines.append(f"{plural.format(names)} not certified: {intervals[open_ended[0]].reason}")
    return lines
