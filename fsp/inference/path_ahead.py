"""The forward path as a pass back meets it: what it holds at most, and its steps at the time of a step back."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.timed_steps import VectorOnStep


class PathAhead:
    """Steps of y, in the order of time, which a pass back goes through once."""

    def __init__(self, pieces: Sequence[VectorOnStep], alone: FloatArray, n_changing: int = 0) -> None:
        """Take the steps; `alone` bounds y where there are none, (n,)."""
        self._pieces, self._starts = pieces, [piece.start for piece in pieces]
        # Rounded up also for the ends of a step, which may be off by rounding.
        self._tops = [((1.0 + p.off.relative) * p.largest + p.off.absolute) * ROUNDED_UP for p in pieces] or [alone]
        self._last = len(pieces) - 1  # number of the last step that is not later than the step back
        self.weights = np.zeros((len(pieces), n_changing))  # H times functions of time on each step, at most
        self._met: dict[int, float] = {}  # by number of a step: the largest ĝ before it was met

    def above(self, first: float, last: float) -> FloatArray:
        """Bound y of each state from a time to another, (n,)."""
        low = max(bisect_right(self._starts, first) - 1, 0)
        return np.asarray(reduce(np.maximum, self._tops[low : max(bisect_left(self._starts, last), low + 1)]))

    def meet(self, back: VectorOnStep, largest: float) -> None:
        """Go on to a step back, up to which ĝ is at most so large."""
        while self._last > 0 and self._starts[self._last] >= back.start + back.length:
            self._last -= 1
        for j, _ in self.common(back):
            self._met.setdefault(j, largest)

    def common(self, back: VectorOnStep) -> Iterator[tuple[int, tuple[float, float]]]:
        """Yield the numbers of steps, and the time that each has in common with a step back."""
        for j in range(self._last, -1, -1):
            piece = self._pieces[j]
            if piece.start + piece.length <= back.start:
                return
            first, last = max(back.start, piece.start), min(back.start + back.length, piece.start + piece.length)
            if last > first:
                yield j, (first, last)

    def weigh(self, j: int, weights: FloatArray) -> None:
        """Take in what H times functions of time are on a part of a step, (n_changing,)."""
        self.weights[j] = np.maximum(self.weights[j], weights)

    def lately(self, j: int, largest: float) -> float:
        """Return what ĝ has grown by since a step was met, where it is at most so large now."""
        return largest - self._met[j]
