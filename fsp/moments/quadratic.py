"""Quadratic functions with negative drift, for networks whose propensities are affine.

With J x + b the mean rate of change of x and D(x) = Σ_k a_k(x) ν_k ν_kᵀ, let μ = -J⁻¹ b, J Σ + Σ Jᵀ + D(μ) = 0 and
P = Σ⁻¹.  For g(x) = (x - m)ᵀ P (x - m), m whole and close to μ,

    A g(x) = 2 (x - m)ᵀ P (J x + b) + tr(P D(x))

is positive in about one standard deviation around μ and negative farther out, where a linear function only sees half
of the space.  That it is at most -γ where g > ℓ is proved by

    -A g(x) - γ - λ (g(x) - ℓ) >= 0  for all real x,

a quadratic polynomial, whose matrix is positive semidefinite if no pivot of its elimination in rationals is negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import FloatArray, IntArray
from fsp.moments.polynomial import Polynomial, degree, from_power, plus, scaled
from fsp.moments.rates import Rate, affine_parts

_GAMMA = 0.1  # of the largest drift upwards
_LARGEST_SHARES = (0.2, 0.4, 0.6, 0.8)  # of the largest λ
_WORST = 1e6  # condition number of P in units of standard deviations, beyond which nothing is tried

Matrix = list[list[Fraction]]


@dataclass(frozen=True, slots=True)
class Box:
    """Where g <= ℓ, outside which its drift is at most -γ."""

    lower: IntArray  # lower, upper: (d,) ends
    upper: IntArray
    elsewhere: Fraction  # γ
    precision: float  # relative error of g, computed from x - m in floating point


def propose(rates: Sequence[Rate]) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Return μ (d,), Σ (d, d) and P (d, d); None where a propensity is not affine or nothing is stable."""
    if any(rate.exact is None or degree(rate.exact) > 1 for rate in rates):
        return None
    d = len(rates[0].change)
    change = np.array([rate.change for rate in rates], dtype=float)  # (R, d)
    parts = [affine_parts(rate.exact or {}, d) for rate in rates]
    constant = np.array([float(c) for c, _ in parts])  # (R,)
    slopes = np.array([[float(c) for c in linear] for _, linear in parts])  # (R, d)
    J = change.T @ slopes
    if not np.linalg.eigvals(J).real.max() < 0.0:
        return None
    from scipy.linalg import solve_continuous_lyapunov  # here, as its import is slow

    mean = -np.linalg.solve(J, change.T @ constant)
    noise = (change.T * (constant + slopes @ mean)) @ change
    covariance = solve_continuous_lyapunov(J, -noise)
    covariance = 0.5 * (covariance + covariance.T)
    scale = np.sqrt(np.diag(covariance))
    if not (scale > 0.0).all() or not np.linalg.cond(covariance / np.outer(scale, scale)) < _WORST:
        return None
    return mean, covariance, np.asarray(np.linalg.inv(covariance), dtype=np.float64)


def form(P: FloatArray, centre: IntArray) -> Polynomial:
    """Return (x - centre)ᵀ P (x - centre) in falling powers, P (d, d) taken as exact rationals."""
    d = len(centre)
    parts: list[Polynomial] = []
    for i in range(d):
        for j in range(d):
            p, a, b = Fraction(float(P[i, j])), int(centre[i]), int(centre[j])
            terms = [((i, j), p), ((i,), -p * b), ((j,), -p * a), ((), p * a * b)]
            for used, c in terms:
                parts.append(scaled(from_power(tuple(used.count(k) for k in range(d))), c))
    return plus(*parts)


def enclose(
    function: Polynomial, image: Polynomial, P: FloatArray, centre: IntArray, covariance: FloatArray
) -> Box | None:
    """Prove that the drift of g is at most -γ outside a box.

    `P`: (d, d) the matrix of g; `centre`: (d,) m; `covariance`: (d, d) about the inverse of P.
    """
    if degree(image) > 2 or not _not_negative(_bordered(function, len(centre))):
        return None
    d = len(centre)
    q, g = (np.array([[float(c) for c in row] for row in _bordered(f, d)]) for f in (image, function))
    top = _highest(q)
    if top is None or top <= 0.0:
        return None
    gamma = Fraction(_GAMMA * top)
    steepest = float(np.linalg.eigvals(-q[1:, 1:] @ np.linalg.inv(g[1:, 1:])).real.min())
    options = []
    for rate in (share * steepest for share in _LARGEST_SHARES if steepest > 0.0):
        sup = _highest(q + rate * g)
        if sup is not None:
            options.append(((sup + float(gamma)) / rate, rate))
    if not options:
        return None
    level, share = map(Fraction, min(options))
    level *= 1 + Fraction(1, 10**6)
    rest = plus(scaled(image, Fraction(-1)), scaled(function, -share), {(0,) * d: share * level - gamma})
    if not _not_negative(_bordered(rest, d)):
        return None
    reach = np.sqrt(float(level) * np.diag(covariance)) * (1.0 + 1e-3) + 1.0
    scale = np.sqrt(np.diag(covariance))
    sizes = np.abs(P) * np.outer(scale, scale)
    least = float(np.linalg.eigvalsh(P * np.outer(scale, scale)).min())
    precision = 16.0 * d * d * UNIT_ROUNDOFF * float(np.linalg.norm(sizes)) / least
    lower = np.maximum(np.floor(centre - reach), 0).astype(np.int64)
    upper = np.ceil(centre + reach).astype(np.int64)
    return Box(lower, upper, gamma, precision)


def _bordered(polynomial: Polynomial, d: int) -> Matrix:
    """Return the (d + 1, d + 1) matrix of a quadratic polynomial of (1, x)."""
    matrix = [[Fraction(0)] * (d + 1) for _ in range(d + 1)]
    for alpha, c in polynomial.items():
        used = [i + 1 for i, n in enumerate(alpha) for _ in range(n)]
        if len(used) == 2 and used[0] == used[1]:  # x (x - 1)
            matrix[0][used[0]] -= c / 2
            matrix[used[0]][0] -= c / 2
        i, j = [0, 0, *used][-2:]
        matrix[i][j] += c / 2
        matrix[j][i] += c / 2
    return matrix


def _not_negative(matrix: Matrix) -> bool:
    """Return whether a symmetric matrix is seen to be positive semidefinite: symmetric elimination in rationals."""
    rows = [list(row) for row in reversed([list(reversed(row)) for row in matrix])]  # the constant last
    n = len(rows)
    for k in range(n):
        if rows[k][k] < 0 or (rows[k][k] == 0 and any(rows[k][k:])):
            return False
        for i in range(k + 1, n):
            if rows[k][k]:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [x - factor * y for x, y in zip(rows[i], rows[k], strict=True)]
    return True


def _highest(bordered: FloatArray) -> float | None:
    """Return the largest value of a concave quadratic polynomial, in floating point."""
    curved, slope, constant = bordered[1:, 1:], bordered[1:, 0], float(bordered[0, 0])
    if not np.linalg.eigvalsh(curved).max() < 0.0:
        return None
    return constant - float(slope @ np.linalg.solve(curved, slope))
