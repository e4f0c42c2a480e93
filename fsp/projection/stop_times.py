"""The times at which a computation stops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.switches import RESOLUTION, switch_times

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model


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
