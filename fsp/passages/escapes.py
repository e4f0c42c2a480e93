"""What never comes to a target, since there is no way or it runs away: bounds for states that are not stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.model.ranges import enclosure, last_count
from fsp.projection.escape import escape, returning_ratio

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.passages.targets import Targets

TARGET_DISTANCES = 4  # of a species that are tried, each twice as far from the targets; chosen


class Escapes:
    """Tell how likely a target is from states with high counts: at most ``θ^(n - m)``, see `fsp.projection.escape`.

    That is looked for where counts `may_escape`.  A target that needs more molecules than there can be is impossible.
    """

    def __init__(self, model: Model, targets: Targets, *, may_escape: bool) -> None:
        self._model, self._tree = model, targets.tree
        largest = {name: (0.0, float(n)) for name, n in zip(model.species, model.species_bounds, strict=True)}
        self._impossible = self._tree is not None and enclosure(self._tree, largest) == (0.0, 0.0)
        self._ratios: list[tuple[int, int, float]] = []  # species i, level m, θ
        endless = np.flatnonzero(np.isinf(model.species_bounds)).tolist()
        for i in endless if may_escape and not model.events else ():
            self._ratios += self._along(i)

    def _along(self, i: int) -> list[tuple[int, int, float]]:
        last = None if self._tree is None else last_count(self._tree, self._model.species[i])
        if last is None:
            return []
        levels = [max(last, 0) + 1 + (2**k - 1) for k in range(TARGET_DISTANCES)]
        ratios = [(i, m, returning_ratio(self._model, i, m)) for m in levels]
        return [(i, m, ratio) for i, m, ratio in ratios if ratio is not None]

    def returning(self, states: IntArray) -> FloatArray:
        """Bound the probability of ever coming to a target from states (k, d), (k,)."""
        least = np.full(len(states), 0.0 if self._impossible else 1.0)
        for i, m, ratio in self._ratios:
            above = np.maximum(states[:, i] - m, 0).astype(np.float64)
            least = np.minimum(least, ratio**above * (1.0 + 1e-12 * (1.0 + above)))
        bounded: FloatArray = np.minimum(least, 1.0)
        return bounded

    def takes_forever(self, states: IntArray) -> bool:
        """Tell whether it is proved that the mean time to a target is infinite from one of some states (k, d)."""
        if self._tree is None or not len(states):
            return False
        highest = states[np.unique(states.argmax(axis=0))]
        escapes = (escape(self._model, state) for state in highest)
        return any(
            way is not None and enclosure(self._tree, {way.species: (float(way.level), np.inf)}) == (0.0, 0.0)
            for way in escapes
        )
