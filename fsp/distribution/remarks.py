"""Say where a printed mean would mislead: far from what the bounds of the moments allow, or not bounded at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsp.distribution.distribution import Distribution

_VISIBLE = 0.05
"""Share of the mean by which a printed mean may be off without a remark."""
_MOLECULES = 1e-3
"""Differences below this are not worth a remark."""


def remarks(distribution: Distribution) -> list[str]:
    """Compare the printed means of a distribution with their intervals.

    Parameters
    ----------
    distribution
        What is printed.

    Returns
    -------
    list of str
        A line for each mean that misleads, and one for all that are not bounded; none where the error is an estimate,
        which the printed ``≈`` says.
    """
    if distribution.moments is None or not distribution.error.certified:
        return []
    means, intervals = distribution.mean(), distribution.mean_interval()
    open_ended = [name for name, interval in intervals.items() if not interval.certified]
    lines = []
    for name, interval in intervals.items():
        off = max(interval.upper - means[name], means[name] - interval.lower)
        if name not in open_ended and off > max(_MOLECULES, _VISIBLE * means[name]):
            known = "is only known to lie in" if means[name] in interval else "as printed is wrong: it lies in"
            lines.append(f"mean of {name} {known} {interval}")
    if open_ended:
        plural = "means of {} are" if len(open_ended) > 1 else "mean of {} is"
        names = ", ".join(open_ended)
        lines.append(f"{plural.format(names)} not certified: {intervals[open_ended[0]].reason}")
    return lines
