"""Foresee whether a run gets to its end within the work that it may take.

Work is counted, not timed.  The pace is that of the latter half of all work so far, and it counts only where it was no
slower in the half before, since steps that still lengthen say nothing.  It is believed in three cases:

- The space has not changed for that half, so that nothing but the solver decides, and a five hundredth of the work
  allowed is done.  Another solver is then tried, unless this one was asked for.
- The space moves.  Then what is left is not only time, of which more and more is passed once all is at rest, but a way:
  from the mean now to the mean at the end, of which `fsp.moments` knows bounds where rates are affine.  The lesser of
  what the time and what the way would take must be more than is allowed.
- Rates depend on time, and will be far faster on the way than now even at the states that are stored now.  Then nothing
  comes to rest, and what the time would take counts alone, as many times as the rates are faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ConvergenceError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.moments import MomentBounds, PendingBounds

MOST_WORK = 5e13  # multiply-adds ahead of a run on one core, of which measured runs do 1e9 to 4e9 a second
FIRST_LOOK = 1e9  # multiply-adds; then each time that they have doubled
# of the work allowed, after which the pace on a space that stays as it is is believed: 5 to 10 s by default, less where
# it is far too slow
UNCHANGED_SHARE = 0.0004
RISING = 10.0  # times faster in the mean of the time ahead: then nothing comes to rest; chosen
LENGTHENING = 1.5  # times faster than in the half before: beyond, steps still lengthen


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where a run was when its work had last doubled: work, time, mean of each species, and its pace to there."""

    work: float
    t: float
    mean: FloatArray
    pace: float


class Forecast:
    """What is left of a run from `t` to `end`, which may take `limit` multiply-adds.

    `way_out`: what may help where rates rise.
    """

    def __init__(self, t: float, end: float, limit: float, way_out: str = "") -> None:
        self.end, self._way_out = end, way_out or "end earlier"
        self._max_work = limit
        self._work = 0.0
        self._products = 0
        self._mark = _Mark(0.0, t, np.zeros(0), 0.0)
        self.unchanged = False  # whether the space stayed as it was between the last two looks
        self.rising = False  # whether rates will be far faster

    def worked(self, work: float, products: int) -> bool:
        """Take note of work in multiply-adds, and of the products in it; return whether it is time to look ahead."""
        self._work += work if work < inf else 0.0
        self._products += products
        return self._work >= max(FIRST_LOOK, 2.0 * self._mark.work)

    def look(
        self, t: float, mean: FloatArray, changed: float, known: PendingBounds | None, rising: float = 1.0
    ) -> float:
        """Return the work that is foreseen beyond time `t`, 0.0 where it is allowed or nobody can say.

        `mean`: of each species there, (n_species,); `changed`: when the space changed last; `known`: bounds of the
        moments at the end, None where there are none; `rising`: mean exit rates ahead, over those now.
        """
        before, pace = self._mark, (t - self._mark.t) / (self._work - self._mark.work)
        self._mark = _Mark(self._work, t, mean, pace)
        self.unchanged = changed <= before.t
        self.rising = rising >= RISING
        ahead = (self.end - t) / pace * (rising if self.rising else 1.0) if pace > 0.0 else inf
        if pace > LENGTHENING * before.pace or ahead <= self._max_work:
            return 0.0
        if self.unchanged:  # the less hope, the sooner
            return ahead if self._work * ahead >= UNCHANGED_SHARE * self._max_work**2 else 0.0
        if self.rising:
            return ahead
        way = 0.0 if known is None else _way(mean, known.bounds)
        moved = float(np.abs(mean - before.mean).sum())
        if not way * (self._work - before.work) > self._max_work * moved:
            return 0.0
        return min(ahead, way * (self._work - before.work) / moved if moved else inf)

    def refusal(self, t: float, ahead: float, solver: str) -> ConvergenceError:
        """Return the error that says what was reached and what is left."""
        way_out = self._way_out if self.rising else "use solver='auto'" if self.unchanged else "end earlier"
        pace = "as its rates rise" if self.rising else "at its pace"
        products = self._products * ahead / self._work
        left = f"is {ahead:.0e} away, {products:.0e} products" if ahead < inf else "is out of reach"
        return ConvergenceError(
            f"The run must end within {self._max_work:.0e} multiply-adds (`max_work`), but {solver} was at t = {t:.6g} "
            f"after {self._work:.0e}, and {pace} t = {self.end:.6g} {left}; {way_out}, or raise `max_work` (a second "
            f"of one core is 1e9 to 4e9)."
        )


def _way(mean: FloatArray, bounds: MomentBounds) -> float:
    """Return how many counts the mean is away from where it is at the end, at least, over all species."""
    means = dict(zip(map(tuple, bounds.monomials.tolist()), bounds.means.tolist(), strict=True))
    way = 0.0
    for species, unit in enumerate(np.eye(len(mean), dtype=int).tolist()):
        low, high = means.get(tuple(unit), (0.0, inf))
        way += max(low - mean[species], mean[species] - high, 0.0)
    return way
