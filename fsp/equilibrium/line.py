"""Chains on a line: all reactions change the state by v or by -v, so that states are x + k v."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.model.accuracy import structural
from fsp.model.ranges import enclosure
from fsp.model.spans import ANYTHING

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.model.spans import Range


class Line:
    """States ``origin + k step``, k = 0, 1, …, up to n_most."""

    def __init__(self, model: Model, step: IntArray) -> None:
        self.model, self.step = model, step
        start = model.initial_states[0]
        down = step > 0
        back = int((start[down] // step[down]).min())
        self._origin = start - back * step
        self.starts = ((model.initial_states - self._origin)[:, down] // step[down])[:, 0]
        up = step < 0
        self.n_most = float((self._origin[up] // -step[up]).min()) if up.any() else np.inf

    @classmethod
    def of(cls, model: Model) -> Line | None:
        """Return the line of a network; None where its states are on none."""
        moves = np.unique(model.change[model.change.any(axis=1)], axis=0)
        if len(moves) != 2 or (moves[0] != -moves[1]).any():
            return None
        step = moves[0] if (moves[0] >= 0).all() else moves[1]
        line = cls(model, step)
        return line if (line.states(line.starts) == model.initial_states).all() else None

    def states(self, k: IntArray) -> IntArray:
        """Return the states (n, d) at some places (n,)."""
        states: IntArray = self._origin + k[:, None] * self.step
        return states

    def place(self, states: IntArray) -> int:
        """Return the largest k of some states (m, d) that are on the line; -1 where none is."""
        i = int(np.argmax(self.step > 0))
        k = (states[:, i] - self._origin[i]) // self.step[i]
        return int(k[(self.states(k) == states).all(axis=1)].max(initial=-1))

    def rates(self, states: IntArray, sign: int) -> tuple[FloatArray, FloatArray]:
        """Return the rate of moving up (sign 1) or down (-1) from each state, (n,), and its relative error, (n,)."""
        chosen = self._moves(sign)
        rates = self.model.propensities(states)[chosen].sum(axis=0)
        error = self.model.propensity_errors(states)[chosen].sum(axis=0)
        off = np.divide(error, rates, out=np.where(error > 0.0, np.inf, 0.0), where=rates > 0.0)
        return rates, off / (1.0 - np.minimum(off, 0.5)) + (int(chosen.sum()) - 1) * UNIT_ROUNDOFF

    def enclosed_rate(self, first: int, last: int, sign: int) -> Range:
        """Enclose the rate of moving up or down at the places first to last; anything where it is not known."""
        low, high = np.sort(self.states(np.array([first, last], dtype=np.int64)), axis=0)
        box = {name: (float(a), float(b)) for name, a, b in zip(self.model.species, low, high, strict=True)}
        least, greatest = 0.0, 0.0
        for law, moves in zip(self.model.rate_expressions, self._moves(sign), strict=True):
            if not moves:
                continue
            off = None if law is None else structural(law, max(1.0, float(high.max())))
            if law is None or off is None:
                return ANYTHING
            a, b = enclosure(law, box)
            off += 4.0 * UNIT_ROUNDOFF  # of the two lines below
            least += a * (1.0 - off) if a > 0.0 else a * (1.0 + off)
            greatest += b * (1.0 + off)
        return least, greatest

    def _moves(self, sign: int) -> BoolArray:
        """Tell which reactions (R,) move up or down."""
        moves: BoolArray = (self.model.change == sign * self.step).all(axis=1)
        return moves
