"""Times asked for, and the times between them at which a computation stops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ArgumentError
from fsp.model.switches import RESOLUTION, switch_times

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model import Model


def checked_times(times: Sequence[float] | FloatArray | float) -> FloatArray:
    """Return `times` as an array (n,), or raise an ArgumentError unless they increase from zero or later."""
    try:
        values = np.atleast_1d(np.asarray(times, dtype=np.float64))
    except (TypeError, ValueError):
        raise ArgumentError(f"`times` must be numbers, but are {times!r}.") from None
    if values.ndim != 1 or not len(values):
        raise ArgumentError(f"`times` must be a list of at least one time, but has shape {values.shape}.")
    if not np.isfinite(values).all() or values[0] < 0.0:
        raise ArgumentError(f"`times` must be finite and not negative, but are {values.tolist()}.")
    if (np.diff(values) <= 0.0).any():
        k = int(np.argmax(np.diff(values) <= 0.0))
        raise ArgumentError(f"`times` must increase, but {values[k]} is followed by {values[k + 1]}.")
    return values


def stops(model: Model, requested: FloatArray, begin: float, until: float) -> FloatArray:
    """Return the times at which a computation stops: no step goes over a time at which rates jump or bend.

    Parameters
    ----------
    model
        The network.
    requested
        Times asked for, from `begin` on.
    begin, until
        The stretch of time; `until` is a stop unless it is infinite.

    Returns
    -------
    ndarray
        Ascending times.
    """
    fixed = requested if math.isinf(until) else np.union1d(requested, [until])
    if not model.is_time_dependent or not len(fixed):
        return fixed
    last = float(fixed[-1])
    switches = switch_times(model.rate_expressions, last)
    gaps = np.abs(switches[:, None] - fixed).min(axis=1)
    return np.union1d(fixed, switches[(gaps > RESOLUTION * last) & (switches > begin)])


def split_at(requested: FloatArray, until: float, *, included: bool) -> tuple[FloatArray, FloatArray, float]:
    """Split times at the end of a stretch of time.

    Parameters
    ----------
    requested
        Ascending times.
    until
        The end.
    included
        Whether the end itself belongs to the stretch.

    Returns
    -------
    before, after, until
        Both parts, and the end: the time asked for itself where one is meant to be the same.
    """
    close = requested[np.abs(requested - until) <= RESOLUTION * np.maximum(1.0, np.abs(requested))]
    until = float(close[0]) if len(close) else until
    count = int(np.searchsorted(requested, until, side="right" if included else "left"))
    return requested[:count], requested[count:], until
