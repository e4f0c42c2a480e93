"""Put a solution and its continuation together."""

from __future__ import annotations

from collections.abc import Mapping

from fsp.distribution.solution import Solution
from fsp.errors import ArgumentError


def joined(first: Solution, later: Solution) -> Solution:
    """Return two solutions of one model, the second a continuation of the first, as one.

    Parameters
    ----------
    first
        The earlier one; where it is not complete, its last distribution is kept only if it was asked for.
    later
        The continuation.

    Returns
    -------
    Solution
        All times of both.

    Raises
    ------
    ArgumentError
        If models differ, or `later` begins before `first` ends.
    """
    if (first.species, first.model_hash) != (later.species, later.model_hash):
        raise ArgumentError("`later` must be of the same model, but is of another one, or of other parameters.")
    end, begin = float(first.times[-1]), float(later.times[0])
    if begin < end:
        raise ArgumentError(f"`later` must begin where the other ends, t = {end:.12g}, but has t = {begin:.12g}.")
    kept = [one for one in first if one.t in first.asked and one.t != begin]
    asked = {t for t in first.asked if t <= end} | set(later.asked)
    return Solution(
        [*kept, *later],
        tol=later.tol,
        solver=later.solver,
        model_text=later.model_text or first.model_text,
        options=later.options,
        statistics=together(first.statistics, later.statistics),
        asked=sorted(asked),
    )


def together(first: Mapping[str, float], later: Mapping[str, float]) -> dict[str, float]:
    """Add what two computations took; of their largest spaces, take the larger."""
    both = {**first, **later}
    for name in first.keys() & later.keys():
        pair = first[name], later[name]
        both[name] = max(pair) if name.startswith("largest") else sum(pair)
    return both
