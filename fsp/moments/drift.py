"""Bounds of all moments of a weighted sum of the species, from a linear drift condition.

For u(x) = w·x, w >= 0, let every reaction either not raise u, or have a propensity below an affine function of x
(`rates`), so that on all reachable states

    A u <= a u + b,        Σ_k max(δ_k^j, 0) a_k(x) <= A_j u + B_j,        δ_k = w·ν_k,  j >= 2,

with sums over the second kind of reaction.  Then m_q = E u^q obeys

    m_q' <= q (a m_q + b m_{q-1}) + Σ_{j=2}^q C(q, j) (A_j m_{q-j+1} + B_j m_{q-j}),

a triangular system M without negative entries off the diagonal, whose solution is an upper bound of every moment:
with c(s) = e^{(t-s) Mᵀ} e_q >= 0 the process Σ_j c_j(s) u^j, 0 <= s <= t, is a non-negative supermartingale.
The weights come from a linear programme; what is claimed about them is then computed in rationals.

References
----------
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
A. Gupta, C. Briat, M. Khammash, A scalable computational framework for establishing long-term behavior of stochastic
reaction networks, PLoS Comput. Biol. 10 (2014) e1003669, doi:10.1371/journal.pcbi.1003669.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from fsp.arrays import FloatArray
from fsp.linear_programmes import LinearProgramme
from fsp.model.draws import ORDER
from fsp.model.echelon import echelon
from fsp.moments.exponential import exponential
from fsp.moments.initial import InitialMoments
from fsp.moments.rates import FOLDING, Rate, affine_parts
from fsp.time_limit import check_time_limit

ORDERS = ORDER
"""Highest order of the moments that are bounded; tails of a start that is drawn are cut for it."""

SECOND_ODD = 3  # the first odd order whose spread is made: 2 and 3 are those of all even and odd ones
_SAME = 1e-9  # relative: weights and changes below this are meant to be zero
FOLDED = float(FOLDING)  # for the sums below, too
Weights = tuple[Fraction, ...]


@dataclass(frozen=True, eq=False)
class PowerBound:
    """Moments of u = w·x by the triangular system."""

    weights: Weights  # (d,) w
    rate: Fraction  # rate, source: a, in 1/time, and b of ``A u <= a u + b``
    source: Fraction
    spreads: tuple[tuple[Fraction, Fraction], ...]  # (A_j, B_j) for j = 2, 3, …, 1/time

    def norms(self, t: float, initial: InitialMoments) -> FloatArray:
        """Bound (E u(t)^q)^(1/q).

        Returns (ORDERS,) for q = 1, 2, …; infinite where rounding hides the bound.
        """
        if math.isinf(t):
            return self.norms(0.0, initial) if self._rises_nowhere else self._limits()
        weights = np.array([float(w) for w in self.weights])
        orders = np.arange(len(self.spreads) + 2)  # 0, 1, …
        size = float(initial.powers(weights, np.array([1]), 1.0)[0])
        if not math.isfinite(size):
            return np.full(len(orders) - 1, np.inf)
        unit = 2.0 ** round(math.log2(max(1.0, size, float(self.source) * t)))
        start = initial.powers(weights, orders, unit)  # (orders,)
        try:
            propagator, error = exponential(_matrix(self, unit), t)
        except OverflowError:  # of a power of a very long jump
            error = 1.0
        if error > 0.1:
            return np.full(len(orders) - 1, np.inf)
        with np.errstate(invalid="ignore", over="ignore"):
            moments = (propagator @ start)[1:] * (1.0 + error + FOLDED) + 1e-290
        bounded = unit * moments ** (1.0 / orders[1:]) * (1.0 + FOLDED)
        return np.where(np.isnan(bounded), np.inf, bounded)

    @property
    def _rises_nowhere(self) -> bool:
        """Whether nothing is added to any moment, so that each is at all times at most what it is at first."""
        return self.rate == 0 and not self.source and not any(map(any, self.spreads))

    def _limits(self) -> FloatArray:
        """Return the limits for t → ∞: with a < 0 the triangular system forgets its start."""
        orders = np.arange(len(self.spreads) + 2)
        if self.rate >= 0:
            return np.full(len(orders) - 1, np.inf)
        unit = 2.0 ** round(math.log2(max(1.0, float(self.source / -self.rate))))
        matrix, moments = _matrix(self, unit), np.ones(len(orders))
        with np.errstate(over="ignore"):
            for q in orders[1:]:
                moments[q] = float(matrix[q, :q] @ moments[:q]) / -matrix[q, q] + 1e-290
            bounded = unit * moments[1:] ** (1.0 / orders[1:]) * (1.0 + 2.0 * FOLDED)
        return np.where(np.isnan(bounded), np.inf, bounded)

    def matrix(self) -> FloatArray:
        """Return the matrix of the triangular system for u^q, q = 0, 1, …: (orders, orders), 1/time."""
        return _matrix(self, 1.0)

    def mean(self, t: float, initial: InitialMoments) -> float:
        """Bound E u(t) without a margin, to tell which of several bounds are worth their computation."""
        if math.isinf(t):
            return float(self.source / -self.rate) if self.rate < 0 else math.inf
        start = float(initial.powers(np.array([float(w) for w in self.weights]), np.array([1]), 1.0)[0])
        a, b = min(float(self.rate) * t, 600.0), float(self.source) * t
        return math.exp(a) * start + b * (math.expm1(a) / a if a else 1.0)


@lru_cache(maxsize=256)
def _matrix(bound: PowerBound, unit: float) -> FloatArray:
    """Return the (orders, orders) matrix of the triangular system for u in multiples of `unit`."""
    n = len(bound.spreads) + 2
    matrix = np.zeros((n, n))
    exponent = math.frexp(unit)[1] - 1
    spreads = [
        (math.ldexp(float(slope), -exponent * (j - 1)), math.ldexp(float(constant), -exponent * j))
        for j, (slope, constant) in enumerate(bound.spreads, start=2)
    ]
    rate, source = float(bound.rate), float(bound.source) / unit
    for q in range(1, n):
        matrix[q, q] += q * rate
        matrix[q, q - 1] += q * source
        for j, (slope, constant) in enumerate(spreads[: q - 1], start=2):
            matrix[q, q - j + 1] += math.comb(q, j) * slope
            matrix[q, q - j] += math.comb(q, j) * constant
    return matrix


def linear_weights(
    rates: Sequence[Rate],
    target: int | Sequence[int],
    growth: float,
    horizon: float,
    start: FloatArray,
    largest: FloatArray,
) -> FloatArray | None:
    """Find weights with ``A (w·x) <= growth w·x + b`` by a linear programme.

    `growth`: a, 1/time; `start`: (d,) initial means; `largest`: (d,) largest counts, infinite where there are none;
    returns (d,) weights; None where there are none.
    """
    check_time_limit()
    if len(start) == 1 and not any(rate.superlinear for rate in rates):
        return _alone(rates, growth, largest)
    programme = _Programme(rates, growth, horizon, largest)
    cost, bounds = programme.objective(start, target)
    above, equal = programme.above, programme.equal
    best = LinearProgramme(bounds, above, np.zeros(len(above)), equal, np.zeros(len(equal))).minimum(cost)
    return None if best is None else best.x[: len(start)]


def _alone(rates: Sequence[Rate], growth: float, largest: FloatArray) -> FloatArray | None:
    """Return the weight of a species that is alone, one, if A x <= growth x + b holds for some b."""
    slopes = []
    for rate in rates:
        (step,) = rate.change
        _, (linear,) = affine_parts((rate.upper if step > 0 else rate.lower) or {}, 1)
        slopes.append(step * float(linear))
    slack = _SAME * max(map(abs, slopes), default=0.0)
    return np.ones(1) if sum(slopes) <= growth + slack or math.isfinite(largest[0]) else None


class _Programme:
    """Rows of the programme; unknowns w (d,), p and n (K,) with p - n = w·ν, s (d,) of bounded species, and b."""

    def __init__(self, rates: Sequence[Rate], growth: float, horizon: float, largest: FloatArray) -> None:
        self.d, self.horizon, self.growth = len(largest), horizon, growth * horizon
        self.largest = largest
        slow = [rate for rate in rates if not rate.superlinear]
        fast = [rate for rate in rates if rate.superlinear]
        self.k = len(slow)
        self.equal = np.zeros((self.k, 2 * self.d + 2 * self.k + 1))
        self.above = np.zeros((self.d + 1 + len(fast), self.equal.shape[1]))
        for row, rate in enumerate(slow):
            self._add(row, rate)
        for row, rate in enumerate(fast, start=self.d + 1):  # w·ν <= 0
            self.above[row, : self.d] = rate.change
        self._close()

    def _add(self, row: int, rate: Rate) -> None:
        p, n = self.d + row, self.d + self.k + row
        self.equal[row, : self.d] = [-float(c) for c in rate.change]
        self.equal[row, [p, n]] = 1.0, -1.0
        for column, bound, sign in ((p, rate.upper, 1.0), (n, rate.lower, -1.0)):
            constant, linear = affine_parts(bound or {}, self.d)
            self.above[: self.d, column] = [sign * float(c) * self.horizon for c in linear]
            self.above[self.d, column] = sign * float(constant) * self.horizon

    def _close(self) -> None:
        d, s = self.d, self.d + 2 * self.k
        bounded = np.isfinite(self.largest)
        self.above[range(d), range(d)] -= self.growth
        self.above[range(d), range(s, s + d)] = -1.0 * bounded
        self.above[d, s : s + d] = np.where(bounded, self.largest, 0.0)
        self.above[d, -1] = -1.0

    def objective(
        self, start: FloatArray, target: int | Sequence[int]
    ) -> tuple[FloatArray, list[tuple[float, float | None]]]:
        """Minimise e^{aT} w·x0 + b (e^{aT} - 1)/(aT), with times in units of the horizon T."""
        cost = np.zeros(self.equal.shape[1])
        a = min(self.growth, 200.0)
        grown = math.exp(a)
        gathered = math.expm1(a) / a if a else 1.0
        cost[: self.d] = grown * start / max(grown, gathered)
        cost[-1] = gathered / max(grown, gathered)
        bounds: list[tuple[float, float | None]] = [(0.0, None)] * len(cost)
        for i in np.atleast_1d(target):
            bounds[i] = (1.0, None)
        return cost, bounds


def exact_weights(weights: FloatArray, rates: Sequence[Rate], target: int) -> Weights | None:
    """Turn weights into rationals that keep exactly what they keep to rounding.

    `weights`: (d,) floating point weights; returns (d,) weights; None where there are none.
    """
    size = float(np.abs(weights).max())
    unit = np.eye(len(weights), dtype=int)
    rows = [tuple(unit[i].tolist()) for i in range(len(weights)) if weights[i] <= _SAME * size]
    rows += [r.change for r in rates if r.superlinear and abs(weights @ np.array(r.change)) <= _SAME * size]
    matrix, pivots = echelon(dict.fromkeys(rows), len(weights))
    exact = [Fraction(float(w)) for w in weights]
    free = [i for i in range(len(weights)) if i not in pivots]
    for row, pivot in zip(matrix, pivots, strict=True):
        exact[pivot] = -sum((row[i] * exact[i] for i in free), Fraction(0))
    if min(exact) < 0 or exact[target] <= 0:
        return None
    return tuple(w / exact[target] for w in exact)


def power_bound(weights: Weights, rates: Sequence[Rate], growth: float, largest: FloatArray) -> PowerBound | None:
    """Compute a, b and the A_j, B_j of weights, exactly.

    `weights`: (d,) rational weights; `growth`: a lower limit of a, 1/time; `largest`: (d,) largest counts.
    """
    steps = [sum((w * n for w, n in zip(weights, rate.change, strict=True)), Fraction(0)) for rate in rates]
    if any(rate.superlinear and step > 0 for rate, step in zip(rates, steps, strict=True)):
        return None
    pairs = [(rate, step) for rate, step in zip(rates, steps, strict=True) if not rate.superlinear and step]
    drift = [(rate, step) if step > 0 else (_below(rate), step) for rate, step in pairs]
    first = _affine_bound(drift, weights, largest, Fraction(growth))
    spreads: list[tuple[Fraction, Fraction] | None] = []
    alike = all(abs(step) == 1 for _, step in pairs)  # then only those that raise u count for odd j, and all for even
    for j in range(2, ORDERS + 1):
        if alike and j > SECOND_ODD:
            spreads.append(spreads[j - 4])
            continue
        raised = [(rate, abs(step) ** j) for rate, step in pairs if step > 0 or j % 2 == 0]
        spreads.append(_affine_bound(raised, weights, largest, Fraction(0)))
    known = [spread for spread in spreads if spread is not None]
    if first is None:
        return None
    if len(known) < len(spreads):
        known = []
    return PowerBound(weights, _up(first[0]), _up(first[1]), tuple((_up(a), _up(b)) for a, b in known))


def _below(rate: Rate) -> Rate:
    """Return a reaction whose `upper` is a lower bound of its rate, for use with a negative step."""
    return Rate(rate.name, rate.change, rate.lower, rate.lower, rate.exact)


def _affine_bound(
    terms: Sequence[tuple[Rate, Fraction]], weights: Weights, largest: FloatArray, least: Fraction
) -> tuple[Fraction, Fraction] | None:
    """Return (A, B), A >= `least`, B >= 0, with ``Σ step upper(x) <= A w·x + B`` for affine upper bounds."""
    d = len(weights)
    constant, linear = Fraction(0), [Fraction(0)] * d
    for rate, step in terms:
        for alpha, c in (rate.upper or {}).items():
            if sum(alpha):
                linear[alpha.index(1)] += step * c
            else:
                constant += step * c
    free = [i for i in range(d) if not math.isfinite(largest[i])]
    if any(linear[i] > 0 and not weights[i] for i in free):
        return None
    slope = max([linear[i] / weights[i] for i in free if weights[i]] + [least])
    for i in set(range(d)) - set(free):
        constant += max(Fraction(0), linear[i] - slope * weights[i]) * int(largest[i])
    return slope, max(constant, Fraction(0))


def _up(x: Fraction) -> Fraction:
    return x + abs(x) * Fraction(FOLDED)
