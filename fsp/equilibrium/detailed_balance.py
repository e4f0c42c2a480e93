"""Stationary distributions of chains on a line: detailed balance, whatever the rates.

Where all reactions change the state by v or by -v, states are x + k v, and what goes up from k comes down from k + 1::

    π(k) up(k) = π(k + 1) down(k + 1)

so that π is a product of ratios of rates, whose relative error is known state by state, however deep a valley between
two modes.  With a drift condition ``A g <= -γ`` beyond m, where g grows with k, the sum of ``π(k) A g(k)`` over
m < k <= K telescopes to at least ``-π(m) up(m) (g(m + 1) - g(m))`` for every K.  Hence

(1) π(k > m)  <=  π(m) up(m) (g(m + 1) - g(m)) / γ,

and down(k) > 0 there, as otherwise ``A g(k) >= 0``.  With e the largest error of the logarithm of a weight, a share of
computed weights is that of the exact ones but for a factor of at most

(2) exp(2 e), where the weight above and those below it are off to opposite sides.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF
from fsp.equilibrium.bounded import FLUSHED, Bounded, ExactPart, joined_parts
from fsp.equilibrium.line import Line
from fsp.equilibrium.tails import tail
from fsp.errors import ModelError
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.projection.growth import Growth

# Relative error of a ratio of rates and of the product with it, but for that of the rates.
RATIO_ROUNDING = 16.0 * UNIT_ROUNDOFF
LARGEST_LOG_ERROR = 0.1  # of the logarithm of a probability, beyond which nothing is said here
FACTORS_AT_ONCE = 500  # factors between 1/2 and 1 whose product is a normal number
FIRST_STATES = 256  # states
SHORT_LINE = 2**16  # places of a line up to which all of them may be stored; chosen: some hundredths of a second
END_SHARES = 0.25, 0.1  # of the tolerance, for what lies beyond the window and for each end cut off from it; chosen
BALANCE_NOTE = "detailed balance: the chain moves on a line, and stored probabilities are exact but for rounding"


def detailed_balance(model: Model, growth: Growth, tol: float) -> Bounded | None:
    """Return the stationary distribution of a chain on a line; None where it is not one, or nothing is proved."""
    line = Line.of(model)
    if line is None:
        return None
    condition, n = None, FIRST_STATES
    try:
        part = _around_mode(line, growth.limit, tol) if SHORT_LINE < line.n_most < np.inf else None
        part = part or _stored(line, n, None, tol)  # enough where the line ends
        if part is None and not model.is_finite:
            condition = drift_condition(model)
            n = max(n, 2 * line.place(condition.states))
        while part is None and n <= min(growth.limit, 2 * line.n_most + 2):
            part = _stored(line, n, condition, tol)
            n *= 2
    except (NoDriftCondition, ModelError):
        return None
    return None if part is None else joined_parts(model, [(part, 1.0)], BALANCE_NOTE)


def _stored(line: Line, n: int, condition: DriftCondition | None, tol: float) -> ExactPart | None:
    """Return what holds all but `tol` of the probability; None where n states do not."""
    states = line.states(np.arange(min(n, line.n_most + 1), dtype=np.int64))
    if line.starts.max() >= len(states):
        return None
    up, off_up = line.rates(states, 1)
    down, off_down = line.rates(states, -1)
    first, last = _ends(line, up, down)
    within = slice(first, last + 1)
    if (up[first:last] <= 0.0).any() or (down[first + 1 : last + 1] <= 0.0).any():
        raise NoDriftCondition("some states are left for good, and more of them would be")
    weight, mode = _products(up[first:last] / down[first + 1 : last + 1])
    off = _logarithm_off(off_up[first:last] + off_down[first + 1 : last + 1], mode)
    if not np.isfinite([off[-1], off_up[last], off_down[first]]).all():
        raise NoDriftCondition("a rate that is computed as zero may be another")
    if up[last] == 0.0:
        return _part(line, states[within], weight, off, 0.0, float(off.max()))
    if condition is None:
        return None
    rise = np.diff(condition.values(line.states(np.arange(first, last + 2))))
    size = np.abs(condition.values(line.states(np.arange(first + 1, last + 2)))) * 4.0 * condition.precision
    beyond = weight * up[within] * (1.0 + off_up[within]) * (rise + size) / condition.elsewhere * ROUNDED_UP  # (1)
    stored = np.cumsum(weight)
    allowed = np.arange(first, last + 1) >= max(line.place(condition.states), first + mode)
    enough = np.flatnonzero(allowed & (beyond <= 0.5 * tol * stored))
    if not len(enough):
        return None
    m = int(enough[0])
    kept, missing = slice(m + 1), float(beyond[m] / stored[m])
    return _part(line, states[within][kept], weight[kept], off[kept], missing, float(off[kept].max()))


def _around_mode(line: Line, limit: int, tol: float) -> ExactPart | None:
    """Return the states around the mode that hold all but `tol` of the probability of a long line; None where unproved.

    The rest is bounded by `tail` on either side, which also shows that every place leads back to those states.
    """
    top, reach = int(line.n_most), FIRST_STATES
    mode = _mode(line, top)
    while 2 * reach < limit:
        first, last = max(0, mode - reach), min(top, mode + reach)
        states = line.states(np.arange(first, last + 1, dtype=np.int64))
        up, off_up = line.rates(states[:-1], 1)
        down, off_down = line.rates(states[1:], -1)
        if not (up > 0.0).all() or not (down > 0.0).all():
            return None
        weight, peak = _products(up / down)
        total = float(weight.sum())
        outside = [tail(line, first, 0, mode - first), tail(line, last, top, last - mode)]
        missing = (outside[0] * float(weight[0]) + outside[1] * float(weight[-1])) / total
        if missing <= END_SHARES[0] * tol:
            least = END_SHARES[1] * tol * total
            kept = (np.cumsum(weight) > least) & (np.cumsum(weight[::-1])[::-1] > least)
            off = _logarithm_off(off_up + off_down, peak)
            dropped = float(weight[~kept].sum()) / float(weight[kept].sum())
            left_out = missing * total / float(weight[kept].sum()) + dropped
            return _part(line, states[kept], weight[kept], off[kept], left_out, float(off.max()))
        reach *= 2
    return None


def _mode(line: Line, top: int) -> int:
    """Return a place from where neither neighbour is likelier, by halving."""
    low, high = 0, top
    while low < high:
        middle = (low + high) // 2
        states = line.states(np.array([middle, middle + 1], dtype=np.int64))
        rises = float(line.rates(states[:1], 1)[0][0]) >= float(line.rates(states[1:], -1)[0][0])
        low, high = (middle + 1, high) if rises else (low, middle)
    return low


def _logarithm_off(off: FloatArray, mode: int) -> FloatArray:
    """Return the error of the logarithm of each weight (n + 1,) from those of the ratios (n,), relative to a mode."""
    total = np.concatenate([[0.0], np.cumsum(off + RATIO_ROUNDING)])
    relative: FloatArray = np.abs(total - total[mode]) + 4.0 * RATIO_ROUNDING
    return relative


def _ends(line: Line, up: FloatArray, down: FloatArray) -> tuple[int, int]:
    """Return the first and the last state that can be come to."""
    low, high = int(line.starts.min()), int(line.starts.max())
    blocked = np.flatnonzero(down[: low + 1] <= 0.0)
    stopped = np.flatnonzero(up[high:] <= 0.0)
    return (int(blocked[-1]) if len(blocked) else 0), (high + int(stopped[0]) if len(stopped) else len(up) - 1)


def _part(
    line: Line, states: IntArray, weight: FloatArray, log_off: FloatArray, missing: float, worst: float
) -> ExactPart:
    """Return the stored part; `missing` is a share of computed weights whose logarithms are off by at most `worst`."""
    if not worst < LARGEST_LOG_ERROR:
        raise NoDriftCondition("rates are not known well enough")
    missing *= math.exp(2.0 * worst) * ROUNDED_UP  # (2)
    weight = np.where(weight < FLUSHED, 0.0, weight)
    off = np.expm1(log_off)
    space = StateSpace.from_states(line.model.species, states)
    order = space.index(states)
    p = np.empty(len(weight))
    p[order] = weight / (weight.sum() * (1.0 + missing))
    return ExactPart(space, p, missing, off[np.argsort(order)])


def _products(ratios: FloatArray) -> tuple[FloatArray, int]:
    """Return the products of the first k ratios, k = 0, 1, …, over the largest of them, (n + 1,), and its index."""
    mantissa, exponent = np.frexp(ratios)
    product, power = np.ones(len(ratios) + 1), np.zeros(len(ratios) + 1, dtype=np.int64)
    last, next_exponent = 1.0, 0
    for first in range(0, len(ratios), FACTORS_AT_ONCE):
        chosen = slice(first, first + FACTORS_AT_ONCE)
        block, shift = np.frexp(last * np.cumprod(mantissa[chosen]))
        product[1:][chosen], power[1:][chosen] = block, next_exponent + np.cumsum(exponent[chosen]) + shift
        last, next_exponent = float(block[-1]), int(power[1:][chosen][-1])
    mode = int(np.lexsort((product, power))[-1])
    return np.ldexp(product / product[mode], np.maximum(power - power[mode], -2000).astype(np.int32)), mode
