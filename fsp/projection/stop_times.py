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
    """Return the times, ascending, at which a computation stops: no step passes one at which rates jump or bend.

    The times that are `requested` lie from `begin` on; `until` is a stop unless it is infinite.
    """
    fixed = requested if math.isinf(until) else np.union1d(requested, [until])
    if not model.is_time_dependent or not len(fixed):
        return fixed
    last = float(fixed[-1])
    switches = switch_times(model.rate_expressions, last)
    gaps = np.abs(switches[:, None] - fixed).min(axis=1)
    return np.union1d(fixed, switches[(gaps > RESOLUTION * last) & (switches > begin)])
