"""Refuse arrays that are not a distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.distribution.ledger import ErrorLedger
from fsp.errors import ArgumentError

_MASS_SLACK = 1e-6
"""How far above one the mass may be, beyond the error, before it is taken for a mistake."""


def check(states: IntArray, probabilities: FloatArray, species: Sequence[str], error: ErrorLedger) -> None:
    """Check that arrays fit together and hold probabilities of copy numbers.

    `states`: (n, d) copy numbers. `probabilities`: (n,) probabilities. `species`: (d,) names.
    """
    shape = (len(probabilities), len(species))
    if len(set(species)) < len(species):
        raise ArgumentError(f"`species` must be different names, but are {', '.join(species)}.")
    if not all(species):
        raise ArgumentError("`species` must be names, but one is empty.")
    if probabilities.ndim != 1 or states.shape != shape or not all(shape):
        raise ArgumentError(f"`states` must have the shape {shape} and a row, but has {states.shape}.")
    if states.dtype.kind not in "iu" or states.min() < 0:
        kind = f"{states.dtype} from {states.min()}"
        raise ArgumentError(f"`states` must be non-negative integers, but are {kind}.")
    if not np.isfinite(probabilities).all() or probabilities.min() < 0:
        least = probabilities.min()
        raise ArgumentError(f"`probabilities` must be finite and non-negative, but go down to {least}.")
    mass = probabilities.sum()
    if not 0 < mass <= 1 + error.total + _MASS_SLACK:
        raise ArgumentError(f"`probabilities` must have a sum in (0, 1], but it is {mass:.12g}.")


def check_time(t: float | None) -> float | None:
    """Return a time as a float; refuse one that is not finite."""
    if t is not None and not math.isfinite(t):
        raise ArgumentError(f"`t` must be finite, or None for a stationary distribution, but is {t}.")
    return None if t is None else float(t)


def check_bounds(bounds: FloatArray | None, states: IntArray, probabilities: FloatArray) -> None:
    """Check bounds of single states, which must come in the order in which states are kept.

    `bounds`: (2, n) lower and upper ones, or None.
    """
    if bounds is None:
        return
    if np.shape(bounds) != (2, len(probabilities)):
        raise ArgumentError(
            f"`state_bounds` must have the shape (2, {len(probabilities)}), but has {np.shape(bounds)}."
        )
    if not (bounds[0] <= bounds[1]).all():
        raise ArgumentError("`state_bounds` must have lower bounds that are at most the upper ones, but they are not.")
    if (np.lexsort(states.T[::-1]) != np.arange(len(states))).any():
        raise ArgumentError("`states` must be sorted where `state_bounds` are given, but are not.")


def read_only(array: Any) -> Any:
    """Return a view that cannot be written to; the owner of the memory keeps its rights."""
    view = array.view()
    view.flags.writeable = False
    return view
