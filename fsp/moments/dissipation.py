"""Bounds of single moments where a propensity of high degree raises the function and one of higher degree lowers it.

For V = (w·x)^q the polynomial ``A V`` is bounded by coefficients: numbers λ_j >= 0 are sought such that

    a V + b - A V - Σ_j λ_j x^(β_j) (x_i - m_j) (x_i - m_j - 1)

has no negative coefficient in falling powers.  The subtracted terms are not negative, since
no whole number lies between m_j and m_j + 1; hence ``A V <= a V + b``.
The λ come from a linear programme, the inequality is then checked in rationals.

References
----------
J. Kuntz, P. Thomas, G.-B. Stan, M. Barahona, Bounding the stationary distributions of the chemical master equation
via mathematical programming, J. Chem. Phys. 151 (2019) 034109, doi:10.1063/1.5100670.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.arrays import FloatArray
from fsp.linear_programmes import LinearProgramme
from fsp.moments.drift import FOLDED, ORDERS, Weights
from fsp.moments.initial import InitialMoments
from fsp.moments.polynomial import Exponents, Polynomial, collect, degree, linear, plus, power, scaled, shifted, times
from fsp.moments.rates import Rate, reduced
from fsp.time_limit import check_time_limit

# How far the programme keeps coefficients from zero, relative to the largest; above its own tolerance.
_FROM_ZERO = 1e-6
_MOST_COLUMNS = 1000  # of a linear programme, beyond which no factors are looked for; chosen, not measured


@dataclass(frozen=True, eq=False)
class OrderBound:
    """The moment of order q of u = w·x, by ``A u^q <= a u^q + b``."""

    weights: Weights  # (d,) w
    order: int  # q
    rate: float  # rate, source: a and b, 1/time
    source: float

    def norms(self, t: float, initial: InitialMoments) -> FloatArray:
        """Bound (E u(t)^q)^(1/q) as `PowerBound.norms` does; infinite at other orders."""
        weights = np.array([float(w) for w in self.weights])
        start = float(initial.powers(weights, np.array([self.order]), 1.0)[0])
        norms = np.full(ORDERS, np.inf)
        if math.isinf(t):
            if self.rate < 0:
                norms[self.order - 1] = (self.source / -self.rate) ** (1 / self.order) * SLIGHTLY_UP
            return norms
        if self.rate * t < 600 and math.isfinite(start):
            gathered = math.expm1(self.rate * t) / self.rate if self.rate else t
            moment = (math.exp(self.rate * t) * start + gathered * self.source) * SLIGHTLY_UP
            norms[self.order - 1] = moment ** (1 / self.order) * SLIGHTLY_UP
        return norms


def order_bound(
    weights: Weights, order: int, rates: Sequence[Rate], growth: float, largest: FloatArray
) -> OrderBound | None:
    """Find b such that ``A (w·x)^q <= growth (w·x)^q + b``.

    `weights`: (d,) w; `growth`: a, 1/time; `largest`: (d,) largest counts, infinite where there are none.
    """
    function = power(linear(weights), order, len(weights))
    above = image_above(function, weights, rates)
    if above is None:
        return None
    excess = without_bounded(plus(above, scaled(function, -Fraction(growth))), largest)
    source = highest(excess, len(weights))
    return None if source is None else OrderBound(weights, order, growth, source)


def image_above(function: Polynomial, weights: Weights, rates: Sequence[Rate]) -> Polynomial | None:
    """Bound the generator's image of an increasing function of w·x from above.

    `weights`: (d,) w.
    """
    parts = []
    for rate in rates:
        step = sum((w * n for w, n in zip(weights, rate.change, strict=True)), Fraction(0))
        if not step:
            continue
        law = rate.exact if rate.exact is not None else _bound_for(step, rate)
        if law is None:
            return None
        difference = plus(shifted(function, rate.change), scaled(function, Fraction(-1)))
        side = 1 if step > 0 else -1
        parts.append(scaled(times(law, difference), 1 + side * Fraction(FOLDED)))
    return plus(*parts)


def _bound_for(step: Fraction, rate: Rate) -> Polynomial | None:
    """Return the bound of a rate that makes the image larger; 0 below where that might fail to, at w·x + step < 0."""
    if step > 0:
        return rate.upper
    return rate.lower if all(c >= 0 for c in rate.lower.values()) else {}


def highest(polynomial: Polynomial, width: int) -> float | None:
    """Bound a polynomial from above on all states."""
    gains = [sum(alpha) for alpha, c in polynomial.items() if c > 0 and any(alpha)]
    if not gains:
        return _up(max(Fraction(0), polynomial.get((0,) * width, Fraction(0))))
    if not any(c < 0 and sum(alpha) > max(gains) for alpha, c in polynomial.items()):
        return None
    scale = _scale(polynomial)
    columns = _squares(polynomial, width, scale)
    if not columns:
        return None
    weights = _programme(polynomial, columns, width, scale)
    if weights is None:
        return None
    used = [(Fraction(float(c)), column) for c, column in zip(weights, columns, strict=True) if c > 0]
    rest = plus(polynomial, *(scaled(column, c) for c, column in used))
    if any(c > 0 and sum(alpha) for alpha, c in rest.items()):
        return None
    return _up(max(Fraction(0), rest.get((0,) * width, Fraction(0))))


def _programme(polynomial: Polynomial, columns: Sequence[Polynomial], width: int, scale: float) -> FloatArray | None:
    """Minimise the constant coefficient of polynomial + Σ λ column, all others being at most zero."""
    rows = sorted({alpha for part in (polynomial, *columns) for alpha in part}, key=lambda alpha: (sum(alpha), alpha))
    place = {alpha: k for k, alpha in enumerate(rows)}
    table = np.zeros((len(rows), len(columns)))
    for j, column in enumerate(columns):
        for alpha, c in column.items():
            table[place[alpha], j] = float(c) * scale ** sum(alpha)
    row = np.array([float(polynomial.get(alpha, Fraction(0))) * scale ** sum(alpha) for alpha in rows])
    if not np.isfinite(row).all():  # beyond doubles
        return None
    sizes = np.abs(table).max(axis=0)  # (columns,)
    table = table / sizes
    row = row / np.abs(row).max()
    margin = np.where(row != 0.0, _FROM_ZERO, 0.0) * (np.abs(table).max(axis=1) > 0)
    limits = [(0.0, None)] * len(columns)
    best = LinearProgramme(limits, above=table[1:], below=-row[1:] - margin[1:]).minimum(table[0])
    if best is None:
        return None
    unscaled = max(abs(float(c)) * scale ** sum(alpha) for alpha, c in polynomial.items())
    return np.asarray(best.x * unscaled / sizes)


def _squares(polynomial: Polynomial, width: int, scale: float) -> list[Polynomial]:
    """Return the polynomials x^(β) (x_i - m) (x_i - m - 1) of no higher degree, in the variables that gain."""
    used = [i for i in range(width) if any(c > 0 and alpha[i] > 0 for alpha, c in polynomial.items())]
    top = degree(polynomial) - 2
    places = sorted({*range(1, 4), *(round(x) for x in np.geomspace(1.0, max(4.0, 4.0 * scale), 48))})
    factors = [
        tuple(chosen.count(i) for i in range(width))
        for n in range(top + 1)
        for chosen in combinations_with_replacement(used, n)
    ]
    if len(factors) * len(used) * len(places) > _MOST_COLUMNS:
        return []
    return [_square(beta, i, m) for beta in factors for i in used for m in places]


def _square(beta: Exponents, i: int, m: int) -> Polynomial:
    """Return x^(β) (x_i - m) (x_i - m - 1), by x^(b) x = x^(b+1) + b x^(b)."""
    b = beta[i]
    raised = [tuple(n + k * (j == i) for j, n in enumerate(beta)) for k in range(3)]
    coefficients = (b * (b - 1) - 2 * m * b + m * (m + 1), 2 * b - 2 * m, 1)
    return {alpha: Fraction(c) for alpha, c in zip(raised, coefficients, strict=True) if c}


def without_bounded(polynomial: Polynomial, largest: FloatArray) -> Polynomial:
    """Bound a polynomial from above by one in which species with a largest count do not occur.

    `largest`: (d,) largest counts; infinite where there are none.
    """
    bounded = [i for i, n in enumerate(largest) if math.isfinite(n)]
    kept = []
    for alpha, c in polynomial.items():
        if not any(alpha[i] for i in bounded):
            kept.append((alpha, c))
        elif c > 0:
            kept.append(reduced(alpha, c, largest, keep_one=False))
    return collect(kept)


def _scale(polynomial: Polynomial) -> float:
    """Return the count at which the falling terms take over."""
    losses = [(sum(alpha), -float(c)) for alpha, c in polynomial.items() if c < 0]
    scale = 1.0
    for alpha, c in polynomial.items():
        check_time_limit()
        n = sum(alpha)
        crossings = [(float(c) / loss) ** (1.0 / (k - n)) for k, loss in losses if k > n and c > 0]
        scale = max(scale, min(crossings, default=1.0))
    return min(scale, 1e6)


def _up(x: Fraction) -> float:
    return float(x) * SLIGHTLY_UP
