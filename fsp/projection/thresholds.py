"""Thresholds of values that are spread over ranks: how much, and how many, lie below.

Sorting would bring all values together.  They are counted by size instead, in steps of one percent,
which is as fine as a choice of states needs; the counts of all ranks add up, and do not depend on who has what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.space.communicator import Processes

LEVEL_STEPS = 64  # of a level, to a factor of two: one percent
SMALLEST = 2.0**-300  # smaller numbers, and zero, count as that; levels of all down to 5e-324 took 1.6 times as long
LOWEST = -300 * LEVEL_STEPS  # the level of the smallest number
# Relative: of logarithms up to 1024, whose roundings let a number lie below the level that it is counted at; ten times.
LEVEL_ROUNDING = 1e-12


class Thresholds:
    """Non-negative values, of which this process has some, (n,), counted by size.

    `numbers` and `masses` (m,) say how many values lie below each level, and their sum.
    """

    def __init__(self, values: FloatArray, comm: Processes) -> None:
        place = np.floor(LEVEL_STEPS * np.log2(np.maximum(values, SMALLEST))).astype(np.int64)
        ends = np.array([-place.min(), place.max()]) if len(place) else np.array([LOWEST, LOWEST])
        below, highest = comm.max(ends).tolist()
        place += below
        n = highest + below + 1
        # Numbers of one type on all ranks: of nothing numpy counts in integers.
        local = np.array([np.bincount(place, minlength=n), np.bincount(place, values, n)], dtype=np.float64)
        counts, sums = comm.sum(local)
        self._lowest = -below
        self._place = place
        self._places = np.flatnonzero(counts)  # levels lie at the lower ends of these
        self.numbers = np.concatenate([[0.0], np.cumsum(counts[self._places])])
        self.masses = np.concatenate([[0.0], np.cumsum(sums[self._places])])

    def highest(self, mass: float) -> int:
        """Return the number of the highest level with at most `mass` below it, and one value at least above."""
        return max(min(int(np.searchsorted(self.masses, mass, side="right")) - 1, len(self._places) - 1), 0)

    def between(self, low: int, high: int) -> int:
        """Return the level, above `low` and up to `high`, that halves the values between them best."""
        middle = int(np.searchsorted(self.numbers, 0.5 * (self.numbers[low] + self.numbers[high])))
        return min(max(middle, low + 1), high)

    def above(self, level: int) -> BoolArray:
        """Tell which of this rank's values do not lie below a level, (n,)."""
        above: BoolArray = self._place >= self._places[level]
        return above

    def value(self, level: int) -> float:
        """Return a number that values do not lie below where they are not below a level."""
        return float(np.exp2((self._places[level] + self._lowest) / LEVEL_STEPS)) * (1.0 - LEVEL_ROUNDING)
