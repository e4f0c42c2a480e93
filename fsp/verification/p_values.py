"""p-values that hold for every number of runs: P(p <= a) <= a under every law that the reference admits.

Binomial tails are exact.  A multinomial count is split in two again and again; given the count that is split, each
part is binomial, so the p-values of the splits are valid one given the others, and Fisher's -2 Σ ln p is
stochastically at most χ² with 2m degrees of freedom.  The band on a distribution function is Massart's, which holds
for discrete laws.  The tail of a mean of n independent numbers with a known law is that of the exponentially tilted
law (Bahadur and Rao), with the theorem of Berry and Esseen for what is not normal in it:

    P(mean >= m) <= exp(-n I(m)) (exp(c²/2) Φ(-c) + 2 · 0.4748 ρ/(s³ √n)),    c = θ s √n,

where θ maximises I(m) = θ m - ln E exp(θ g), and s, ρ are the tilted law's standard deviation and absolute third
moment about m.

References
----------
P. Massart, Ann. Probab. 18 (1990) 1269, doi:10.1214/aop/1176990746.  R. R. Bahadur, R. Ranga Rao, Ann. Math. Stat. 31
(1960) 1015, doi:10.1214/aoms/1177705674.  I. Shevtsova, arXiv:1111.6554 (the constant 0.4748).  S. Holm, Scand. J.
Stat. 6 (1979) 65.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize, special

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.verification.slack import ScalarLaw

BERRY_ESSEEN = 0.4748  # a proof hangs on it: Shevtsova's constant, for identical laws
SMALLEST_P = 1e-300  # p-values below are written as this
_ROUNDING = 1 + 1e-9  # of the functions of scipy and the sums here, as a factor of a p-value


def binomial(count: Any, n: Any, low: Any, high: Any) -> FloatArray:
    """Return p-values of counts whose success probabilities lie between `low` and `high`."""
    return np.asarray(np.minimum(1.0, 2 * np.minimum(at_most(count, n, low), at_least(count, n, high))))


def at_most(count: Any, n: Any, probability: Any) -> FloatArray:
    """Return P(Binomial(n, probability) <= count), which falls as the probability rises."""
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    p = np.clip(np.asarray(probability, dtype=float), 0.0, 1.0)
    tail = special.betainc(np.maximum(n - count, 0.5), count + 1, 1 - p)
    return np.minimum(np.where(count >= n, 1.0, tail) * _ROUNDING, 1.0)


def at_least(count: Any, n: Any, probability: Any) -> FloatArray:
    """Return P(Binomial(n, probability) >= count), which rises with the probability."""
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    p = np.clip(np.asarray(probability, dtype=float), 0.0, 1.0)
    tail = special.betainc(np.maximum(count, 0.5), n - count + 1, p)
    return np.minimum(np.where(count <= 0, 1.0, tail) * _ROUNDING, 1.0)


def fisher(p: FloatArray) -> float:
    """Combine p-values of which each is valid given those before it."""
    if len(p) == 0:
        return 1.0
    statistic = -2 * np.log(np.maximum(p, SMALLEST_P)).sum()
    return float(special.chdtrc(2 * len(p), statistic))


def band(n: int, distance: float) -> float:
    """Return the p-value of the largest distance between an empirical and the exact distribution function."""
    return min(1.0, 2 * exp(-2 * n * max(distance, 0.0) ** 2))


def mean_at_least(law: ScalarLaw, n: int, mean: float) -> float:
    """Bound the probability that the mean of `n` independent numbers of this law is at least `mean`."""
    held = law.weights > 0
    values, weights = law.values[held], law.weights[held]
    top = float(values[-1])
    if mean > top + 1e-12 * max(1.0, abs(top)):
        return 0.0
    if mean <= law.mean:
        return 1.0
    if mean >= top:
        return min(1.0, float(weights[-1]) ** n * _ROUNDING)
    scale = sqrt(law.variance)
    gaps = (values - mean) / scale  # (m,)

    def slope(theta: float) -> float:
        return float(_tilted(gaps, weights, theta)[0] @ gaps)

    ceiling = 1.0
    while slope(ceiling) < 0 and ceiling < 1e6:
        ceiling *= 2
    theta = optimize.brentq(slope, 0.0, ceiling, xtol=1e-12) if slope(ceiling) >= 0 else ceiling
    tilted, log_mass = _tilted(gaps, weights, theta)  # any θ gives a bound, only the factor needs the best
    if abs(float(tilted @ gaps)) > 1e-9:
        return min(1.0, exp(max(n * log_mass, -690.0)))
    deviation = sqrt(float(tilted @ np.square(gaps)))
    skew = float(tilted @ np.abs(gaps) ** 3) / deviation**3
    c = theta * deviation * sqrt(n)
    factor = 0.5 * float(special.erfcx(c / sqrt(2))) + 2 * BERRY_ESSEEN * skew / sqrt(n)
    return min(1.0, factor) * exp(max(n * log_mass, -690.0)) * _ROUNDING


def _tilted(gaps: FloatArray, weights: FloatArray, theta: float) -> tuple[FloatArray, float]:
    """Return the tilted weights, and the logarithm of their sum before they were divided by it."""
    exponents = theta * gaps
    shift = float(exponents.max())
    tilted = weights * np.exp(exponents - shift)
    total = float(tilted.sum())
    return tilted / total, shift + float(np.log(total))


def holm(p: FloatArray) -> FloatArray:
    """Adjust p-values so that the chance of any false one at level a is at most a, however they depend on each other.

    `p`: (m,) p-values. Returns (m,) adjusted p-values, in the same order.
    """
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def weighted_cdf(values: IntArray, weights: FloatArray, grid: IntArray) -> FloatArray:
    """Return the sum of the weights of values up to each point of `grid`; values increase."""
    sums = np.concatenate([[0.0], np.cumsum(weights)])
    return np.asarray(sums[np.searchsorted(values, grid, side="right")])
