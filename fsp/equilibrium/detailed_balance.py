"""Stationary distributions of chains on a line: detailed balance, whatever the rates.

Where all reactions change the state by v or by -v, states are x + k v, and what goes up from k comes down from k + 1::

    π(k) up(k) = π(k + 1) down(k + 1)

so that π is a product of ratios of rates, whose relative error is known state by state, however deep a valley between
two modes.  With a drift condition ``A g <= -γ`` beyond m, where g grows with k, the sum of ``π(k) A g(k)`` over
m < k <= K telescopes to at least ``-π(m) up(m) (g(m + 1) - g(m))`` for every K.  Hence

    π(k > m)  <=  π(m) up(m) (g(m + 1) - g(m)) / γ,

and down(k) > 0 there, as otherwise ``A g(k) >= 0``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.equilibrium.bounded import FLUSHED, Bounded, ExactPart, joined_parts
from fsp.errors import ModelError
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.projection.growth import Growth

OFF = 16.0 * UNIT_ROUNDOFF  # relative error of a ratio of rates and of the product with it, but for that of the rates
LARGEST_LOG_ERROR = 0.1  # of the logarithm of a probability, beyond which nothing is said here
BLOCK = 500  # factors between 1/2 and 1 whose product is a normal number
FIRST = 256  # states
NOTE = "detailed balance: the chain moves on a line, and stored probabilities are exact but for rounding"


def detailed_balance(model: Model, growth: Growth, tol: float) -> Bounded | None:
    """Return the stationary distribution of a chain on a line; None where it is not one, or nothing is proved."""
    line = _Line.of(model)
    if line is None:
        return None
    condition, n = None, FIRST
    try:
        part = line.stored(n, None, tol)  # enough where the line ends
        if part is None and not model.is_finite:
            condition = drift_condition(model)
            n = max(n, 2 * line.place(condition.states))
        while part is None and n <= min(growth.limit, 2 * line.n_most + 2):
            part = line.stored(n, condition, tol)
            n *= 2
    except (NoDriftCondition, ModelError):
        return None
    return None if part is None else joined_parts(model, [(part, 1.0)], NOTE)


class _Line:
    """States ``origin + k step``, k = 0, 1, …, up to n_most."""

    def __init__(self, model: Model, step: IntArray) -> None:
        self._model, self._step = model, step
        start = model.initial_states[0]
        down = step > 0
        back = int((start[down] // step[down]).min())
        self._origin = start - back * step
        self._starts = ((model.initial_states - self._origin)[:, down] // step[down])[:, 0]
        up = step < 0
        self.n_most = float((self._origin[up] // -step[up]).min()) if up.any() else np.inf

    @classmethod
    def of(cls, model: Model) -> _Line | None:
        """Return the line of a network; None where its states are on none."""
        moves = np.unique(model.change[model.change.any(axis=1)], axis=0)
        if len(moves) != 2 or (moves[0] != -moves[1]).any():
            return None
        step = moves[0] if (moves[0] >= 0).all() else moves[1]
        found = cls(model, step)
        return found if (found._states(found._starts) == model.initial_states).all() else None

    def _states(self, k: IntArray) -> IntArray:
        states: IntArray = self._origin + k[:, None] * self._step
        return states

    def place(self, states: IntArray) -> int:
        """Return the largest k of some states (m, d) that are on the line; -1 where none is."""
        i = int(np.argmax(self._step > 0))
        k = (states[:, i] - self._origin[i]) // self._step[i]
        return int(k[(self._states(k) == states).all(axis=1)].max(initial=-1))

    def stored(self, n: int, condition: DriftCondition | None, tol: float) -> ExactPart | None:
        """Return what holds all but `tol` of the probability; None where n states do not, or some are transient."""
        states = self._states(np.arange(min(n, self.n_most + 1), dtype=np.int64))
        if self._starts.max() >= len(states):
            return None
        up, off_up = self._rates(states, self._step)
        down, off_down = self._rates(states, -self._step)
        first, last = self._ends(up, down)
        within = slice(first, last + 1)
        if (up[first:last] <= 0.0).any() or (down[first + 1 : last + 1] <= 0.0).any():
            return None
        weight, mode = _products(up[first:last] / down[first + 1 : last + 1])
        off = np.concatenate([[0.0], np.cumsum(off_up[first:last] + off_down[first + 1 : last + 1] + OFF)])
        off = np.abs(off - off[mode]) + 4.0 * OFF
        if not np.isfinite([off[-1], off_up[last], off_down[first]]).all():
            raise NoDriftCondition("a rate that is computed as zero may be another")
        if up[last] == 0.0:
            return self._part(states[within], weight, off, 0.0)
        if condition is None:
            return None
        rise = np.diff(condition.values(self._states(np.arange(first, last + 2))))
        size = np.abs(condition.values(self._states(np.arange(first + 1, last + 2)))) * 4.0 * condition.precision
        beyond = weight * up[within] * (1.0 + off_up[within]) * (rise + size) / condition.elsewhere * (1.0 + 1e-9)
        stored = np.cumsum(weight)
        allowed = np.arange(first, last + 1) >= max(self.place(condition.states), first + mode)
        enough = np.flatnonzero(allowed & (beyond <= 0.5 * tol * stored))
        if not len(enough):
            return None
        m = int(enough[0])
        return self._part(states[first : first + m + 1], weight[: m + 1], off[: m + 1], float(beyond[m] / stored[m]))

    def _rates(self, states: IntArray, step: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the rate of moving by `step` from each state, (n,), and its relative error, (n,)."""
        chosen = (self._model.change == step).all(axis=1)
        rates = self._model.propensities(states)[chosen].sum(axis=0)
        error = self._model.propensity_errors(states)[chosen].sum(axis=0)
        off = np.divide(error, rates, out=np.where(error > 0.0, np.inf, 0.0), where=rates > 0.0)
        return rates, off / (1.0 - np.minimum(off, 0.5)) + (int(chosen.sum()) - 1) * UNIT_ROUNDOFF

    def _ends(self, up: FloatArray, down: FloatArray) -> tuple[int, int]:
        """Return the first and the last state that can be come to."""
        low, high = int(self._starts.min()), int(self._starts.max())
        blocked = np.flatnonzero(down[: low + 1] <= 0.0)
        stopped = np.flatnonzero(up[high:] <= 0.0)
        return (int(blocked[-1]) if len(blocked) else 0), (high + int(stopped[0]) if len(stopped) else len(up) - 1)

    def _part(self, states: IntArray, weight: FloatArray, log_off: FloatArray, missing: float) -> ExactPart:
        missing *= 1.0 + 1e-9
        weight = np.where(weight < FLUSHED, 0.0, weight)
        if not log_off.max() < LARGEST_LOG_ERROR:
            raise NoDriftCondition("rates are not known well enough")
        off = np.expm1(log_off)
        space = StateSpace.from_states(self._model.species, states)
        order = space.index(states)
        p = np.empty(len(weight))
        p[order] = weight / (weight.sum() * (1.0 + missing))
        return ExactPart(space, p, missing, off[np.argsort(order)])


def _products(ratios: FloatArray) -> tuple[FloatArray, int]:
    """Return the products of the first k ratios, k = 0, 1, …, over the largest of them, (n + 1,), and its index."""
    mantissa, exponent = np.frexp(ratios)
    product, power = np.ones(len(ratios) + 1), np.zeros(len(ratios) + 1, dtype=np.int64)
    last, own = 1.0, 0
    for first in range(0, len(ratios), BLOCK):
        chosen = slice(first, first + BLOCK)
        block, shift = np.frexp(last * np.cumprod(mantissa[chosen]))
        product[1:][chosen], power[1:][chosen] = block, own + np.cumsum(exponent[chosen]) + shift
        last, own = float(block[-1]), int(power[1:][chosen][-1])
    mode = int(np.lexsort((product, power))[-1])
    return np.ldexp(product / product[mode], np.maximum(power - power[mode], -2000).astype(np.int32)), mode
