"""When the space of a computation changes: how long it is likely to serve, and when to look at it again."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fsp.solvers import Solver

CAUTION = 2.0  # times the work of a new space that must be saved by it; doubled where growth followed soon
FORGOTTEN = 0.7  # of that caution stays after each look; chosen, not measured
FEWEST_PRUNED = 400  # states of a space that is worth pruning
NEW_SPACE = 3e7, 500.0  # work of a new space and its generator: in multiply-adds, and for each state
LEAST_SHARE = 0.1  # of the states that must go to be worth a new space of their own


class Pacing:
    """What one computation, from `begin` to `end`, remembers of the changes of its space, if it `adapts` it."""

    def __init__(self, begin: float, end: float = inf, *, adapts: bool = True) -> None:
        self.adapts = adapts
        self.last = -inf  # time of the last change
        self.unchecked = 0  # products since it was last seen whether states can be dropped
        self._begin, self._end = begin, end
        self._caution = CAUTION
        self._grown = self._pruned = -inf  # times of the last ones
        self._interval = self._between = inf  # between the last change, or the last growth, and the growth after it
        self._checks = 1.0

    @property
    def duration(self) -> float:
        """The time of the whole computation."""
        return max(self._end - self._begin, 1e-300)

    def remaining(self, t: float) -> float:
        """Return how much time is left at `t`."""
        return self._end - t

    def horizon(self, t: float, *, growing: bool) -> float:
        """Return how long the space is likely to serve from `t` on: twice as long as last time, where it may grow."""
        likely = max(2.0 * self._interval, t - self.last) if growing and self._interval < inf else inf
        return min(self.remaining(t), likely)

    def until_growth(self, t: float) -> float:
        """Return how long it is likely to take from time `t` on until the space must grow: then it is pruned anyway.

        As long as it took last time and, where that has passed, as long as it has been waited for already.
        """
        waited = t - self._grown
        return max(self._between - waited, waited) if self._between < inf else inf

    def products_until_check(self, solver: Solver) -> float:
        """Return after how many products it should be seen whether states can be dropped; more, where none could."""
        return self._checks * solver.look

    def advanced(self, n_matvec: int, until_check: float, *, reporting: bool) -> None:
        """Take note of an advance; unless it came back only to report, it is time for a look."""
        self.unchecked += n_matvec
        if not reporting or self.unchecked >= until_check:
            self.unchecked = 0

    def is_worth_a_look(self, n_states: int, t: float) -> bool:
        """Tell whether it should be seen now whether states can be dropped."""
        return not self.unchecked and n_states >= FEWEST_PRUNED and t < self._end

    def pays(self, share: float, saved: float, n_states: int, work_of_change: float) -> bool:
        """Tell whether a space that lacks a share of the states, and saves so much work, is worth making."""
        return share > LEAST_SHARE and saved > self._caution * (NEW_SPACE[0] + NEW_SPACE[1] * n_states + work_of_change)

    def grown(self, t: float) -> None:
        """Take note of a growth at time `t`."""
        if t > self.last:
            if self._pruned == self.last:  # what was dropped was needed soon
                self._caution *= 2.0
            self._interval = t - max(self.last, self._begin)
            self._between = t - max(self._grown, self._begin)
        self.last = self._grown = t
        self._checks = 1.0

    def checked(self, t: float, pruned: bool) -> None:
        """Take note of a look at time `t`, and of whether states were dropped."""
        if pruned:
            self.last = self._pruned = t
        self._caution = max(CAUTION, FORGOTTEN * self._caution)
        self._checks = 1.0 if pruned else 2.0 * self._checks
