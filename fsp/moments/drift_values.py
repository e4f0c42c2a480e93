"""Drifts of a function at given states, with their rounding."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from types import MappingProxyType

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.memory import affords
from fsp.model import Model
from fsp.moments.polynomial import Polynomial, plus, scaled, shifted

REGION = 20_000_000  # states in which drifts are computed: some seconds, and a few GB; chosen, not measured
_DIFFERENCE_ROUNDING = 64 * UNIT_ROUNDOFF  # relative error of a rate times a difference, far more than it has


NO_COST: Polynomial = MappingProxyType({})  # the cost of a drift condition without one


class Drifts:
    """Drifts A g at states of a network, or A g + c with a `cost` c."""

    def __init__(self, model: Model, cost: Polynomial = NO_COST) -> None:
        self._model, self._cost = model, cost

    def allowed(self, states: IntArray) -> BoolArray:
        """Tell which states keep the conservation laws; where several values are started from, all may."""
        allowed = np.ones(len(states), dtype=np.bool_)
        for law in self._model.conservation_laws:
            kept = np.unique(self._model.initial_states @ law)
            allowed &= np.isin(states @ law, kept)
        return allowed

    def at(self, function: Polynomial, states: IntArray) -> FloatArray:
        """Bound A g + c from above by its value and the rounding of it, (n,)."""
        propensities = self._model.propensities(states)  # (R, n)
        errors = self._model.propensity_errors(states)  # (R, n)
        total = evaluate(self._cost, states) * (1.0 + _DIFFERENCE_ROUNDING)
        for rate, error, change in zip(propensities, errors, self._model.change.tolist(), strict=True):
            difference = plus(shifted(function, change), scaled(function, Fraction(-1)))
            size = evaluate({alpha: abs(c) for alpha, c in difference.items()}, states)
            total += rate * evaluate(difference, states)
            total += (rate * _DIFFERENCE_ROUNDING * (1 + len(propensities)) + error) * size
        return total


def evaluate(polynomial: Polynomial, states: IntArray) -> FloatArray:
    """Evaluate a polynomial in falling powers on many states.

    `states`: (n, d) counts; returns (n,) values; relative to the sum of the sizes of the terms the error is a few
    roundings for each term.
    """
    total = np.zeros(len(states))
    for alpha, c in polynomial.items():
        factors = [(states[:, i] - k).astype(np.float64) for i, n in enumerate(alpha) for k in range(n)]
        total += reduce(np.multiply, factors, np.full(len(states), float(c)))
    return total


def is_listable(n: float, n_numbers: int) -> bool:
    """Tell whether so many states, with some numbers for each, are few enough for a list of them."""
    return bool(n <= REGION and affords(8.0 * n_numbers * n, 0))


def lattice(caps: Sequence[int], slopes: Sequence[float], limit: float) -> IntArray | None:
    """Return all counts up to `caps` with ``slopes·x <= limit``, (n, d); None where they are too many."""
    states = np.zeros((1, 0), dtype=np.int64)
    used = np.zeros(1)
    for cap, slope in zip(caps, slopes, strict=True):
        last = np.full(len(states), float(cap))
        if slope > 0.0:
            last = np.minimum(last, np.floor((limit - used) / slope + 1e-9))
        if not is_listable(float(last.sum()) + len(last), 2 * len(caps) + 6):  # floats: there may be 10³⁰
            return None
        count = last.astype(np.int64) + 1
        row = np.repeat(np.arange(len(states)), count)
        counts = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        states = np.concatenate([states[row], counts[:, None]], axis=1)
        used = used[row] + max(slope, 0.0) * counts
    return states
