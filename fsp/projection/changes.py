"""Keep a space from flapping: when it changed, how long it is likely to serve, and when to look at it again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsp.solvers import Solver

CAUTION = 2.0  # times the work of a new space that must be saved by it; doubled where growth followed soon


class Changes:
    """What one computation remembers of the changes of its space.

    Attributes
    ----------
    last
        Time of the last change.
    caution
        Times the work of a new space that a pruning of its own must save; raised where growth followed soon.
    """

    def __init__(self, begin: float) -> None:
        self.last = -inf
        self.caution = CAUTION
        self._begin = begin
        self._grown = -inf
        self._interval = inf
        self._between = inf
        self._pruned = -inf
        self._checks = 1.0

    def likely_interval(self, t: float) -> float:
        """Return how long the space is likely to serve from time `t` on: twice as long as last time."""
        return max(2.0 * self._interval, t - self.last) if self._interval < inf else inf

    def until_growth(self, t: float) -> float:
        """Return how long it is likely to take from time `t` on until the space must grow: then it is pruned anyway.

        As long as it took last time and, where that has passed, as long as it has been waited for already.
        """
        waited = t - self._grown
        return max(self._between - waited, waited) if self._between < inf else inf

    def products_until_check(self, solver: Solver) -> float:
        """Return after how many products it should be seen whether states can be dropped; more, where none could."""
        return self._checks * solver.look

    def grown(self, t: float) -> None:
        """Take note of a growth at time `t`."""
        if t > self.last:
            if self._pruned == self.last:  # what was dropped was needed soon
                self.caution *= 2.0
            self._interval = t - max(self.last, self._begin)
            self._between = t - max(self._grown, self._begin)
        self.last = self._grown = t
        self._checks = 1.0

    def checked(self, t: float, pruned: bool) -> None:
        """Take note of a look at time `t`, and of whether states were dropped."""
        if pruned:
            self.last = self._pruned = t
        self.caution = max(CAUTION, 0.7 * self.caution)
        self._checks = 1.0 if pruned else 2.0 * self._checks
