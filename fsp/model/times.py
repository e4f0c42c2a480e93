"""Times that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import as_numbers
from fsp.errors import ArgumentError
from fsp.quantities import MOST_NUMBERS

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray

SAME_WRITTEN = 1e-9  # relative difference of times that are the same, since programs write them with ten digits or more
SHORTEST_TIME = float(np.finfo(np.float64).tiny)  # smallest time but zero: below, numbers lose digits
LATEST_TIME = 1e300  # latest time: beyond, few times as much is no double
SUMMED = 1e-15  # of the last time: what adding up steps may leave at zero


def checked_times(times: Sequence[float] | FloatArray | float, name: str = "times") -> FloatArray:
    """Return times, an argument called `name`, as an array (n,); refuse them unless they increase from 0 or later."""
    many = len(times) if isinstance(times, Sequence) else np.size(times)
    if many > MOST_NUMBERS:  # before they take memory
        raise ArgumentError(f"`{name}` must be at most {MOST_NUMBERS:,}, but are {many:,}.")
    values = np.atleast_1d(as_numbers(f"`{name}`", times))
    if values.ndim != 1 or not len(values):
        raise ArgumentError(f"`{name}` must be a list of at least one number, but has shape {values.shape}.")
    first, last, increases = float(values[0]), float(values[-1]), bool((values[1:] > values[:-1]).all())
    if increases and (first or float(values[1:2].sum()) or SHORTEST_TIME) >= SHORTEST_TIME and last <= LATEST_TIME:
        return values
    if not np.isfinite(values).all() or values[0] < 0.0:
        raise ArgumentError(f"`{name}` must be finite and not negative, but are {values.tolist()[:10]}.")
    if last > LATEST_TIME:
        raise ArgumentError(f"`{name}` must be at most {LATEST_TIME:g}, but are up to {last:g}.")
    if ((values > 0.0) & (values < SHORTEST_TIME)).any():
        raise ArgumentError(f"`{name}` must be 0 or at least {SHORTEST_TIME:.3g}, but are {values.tolist()[:3]}.")
    if (np.diff(values) <= 0.0).any():
        k = int(np.argmax(np.diff(values) <= 0.0))
        raise ArgumentError(f"`{name}` must increase, but {values[k]} is followed by {values[k + 1]}.")
    return values


def is_near(times: FloatArray, t: FloatArray | float, largest: float) -> BoolArray:
    """Tell which times that a program wrote are meant to be `t`, among times up to `largest`."""
    off = SAME_WRITTEN * np.maximum(np.abs(times), np.abs(t)) + SUMMED * largest
    return np.asarray(np.abs(times - t) <= off)
