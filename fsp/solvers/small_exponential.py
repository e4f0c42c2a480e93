"""The exponential of a small, stiff matrix, and bounds on integrals of its entries.

With a Hessenberg matrix H, ``G = (I - H⁻¹)/γ``, ``u(s) = exp(sG) e_1`` and ``g(s) = H⁻¹ u(s)``, u is followed on a grid
whose steps double, from the fastest mode of G to the whole step.  It is taken in the Schur form of H, where slow modes
are not spoilt by the rounding of fast ones: squaring exp(sG) itself would lose as many digits as ‖sG‖ has.

``∫|g_k|`` is bounded, not sampled: on a cell of length d at s by that of the square, which is a Gramian's::

    ∫ |g_k| <= (d ∫ |g_k|²)^½ = d^½ ‖R_d u(s)‖,      R_dᴴ R_d = ∫₀^d exp(τG)ᴴ r rᴴ exp(τG) dτ,  rᴴ = e_kᵀ H⁻¹

The Gramian of a doubled cell is that of its halves, ``R_2d = qr([R_d; R_d exp(dG)])``.
"""

from __future__ import annotations

from math import ceil, exp, inf, log2, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ConvergenceError
from fsp.solvers import scipy_extensions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import ComplexArray, FloatArray, IntArray

TAYLOR_TERMS = 14  # for a matrix of norm 1/2: 0.5^15 / 15! < 1e-16
PER_OCTAVE = 8  # points of the grid while s doubles
SMALLEST_BALANCE = 1e-8  # of two parts of the residual
SMALLEST_SHARE = 0.1  # of the mean, which an entry of the residual is given
SLOPE_SHARE = 0.125  # by which the squares of what is constant on the first cell are raised
FACTOR_BLOCK = 8  # of a factorisation


class SchurForm:
    """The Schur form of H: ``H = Q T Qᴴ``, ``G = (I - T⁻¹)/γ``, and e_1 in its basis; T and G are triangular."""

    def __init__(self, H: FloatArray, gamma: float) -> None:
        try:
            _, self.inverse, self.Q = scipy_extensions.schur(H)
        except (np.linalg.LinAlgError, ValueError):
            raise ConvergenceError(
                f"A rational Krylov space must have numbers that doubles hold, but with a pole of {gamma:.1e} it has "
                f"not; end earlier, or ask for `fsp.stationary`."
            ) from None
        self.G = (np.eye(len(H)) - self.inverse) / gamma
        self.start = self.Q[0].conj()


def doublings(G: ComplexArray, h: float) -> list[ComplexArray]:
    """Return ``exp(h 2^{i-J} G)`` for i from 0 to J of a triangular G, the first one so short that its series settles.

    Diagonals are not squared but taken anew each time, so that slow modes keep their digits.
    """
    x = float(np.abs(G).sum(axis=0).max()) * h
    if not np.isfinite(x):
        return [np.full_like(G, np.inf)]
    J = max(ceil(log2(max(x, 1.0))) + 1, 5)
    scaled = G * (h * 2.0**-J)
    power = np.eye(len(G)) + scaled / TAYLOR_TERMS
    for k in range(TAYLOR_TERMS - 1, 0, -1):
        power = np.eye(len(G)) + (scaled @ power) / k
    powers = [power]
    diagonal = np.arange(len(G))
    with np.errstate(all="ignore"):
        for i in range(1, J + 1):
            power = powers[-1] @ powers[-1]
            power[diagonal, diagonal] = np.exp(h * 2.0 ** (i - J) * np.diag(G))
            powers.append(power)
    return powers


def follow(powers: list[ComplexArray], start: ComplexArray, h: float) -> tuple[FloatArray, ComplexArray]:
    """Return a grid on [0, h] whose steps double, (m,), and ``exp(s G) start`` on it, (size, m)."""
    s = h * 2.0 ** (1 - len(powers))
    u = powers[0] @ start
    times, path = [0.0, s], [start, u]
    with np.errstate(all="ignore"):
        for i in range(len(powers) - 1):
            parts = min(2**i, PER_OCTAVE)
            power = powers[i - parts.bit_length() + 1]
            for part in range(1, parts + 1):
                u = power @ u
                times.append(s * (1.0 + part / parts))
                path.append(u)
            s *= 2.0
    times[-1] = h
    values = np.array(path).T
    return np.array(times), np.where(np.isfinite(values), values, 1e200)


def residual_integrals(
    modes: SchurForm, powers: list[ComplexArray], path: ComplexArray, times: FloatArray, weights: FloatArray
) -> FloatArray:
    """Bound ``∫₀ˢ Σ_j w_j |g_j|`` at every point of the grid of `follow`, (m,).

    The last entry of g, which is small at first, is kept apart from the others.  They are weighted by what they come
    to, so that a large one with a small weight does not count with the weight of another:
    ``(Σ_{j<k} w_j |g_j|)² <= Σ_{j<k} (w_j |g_j|)² / m_j`` for any m_j > 0 whose sum is 1.
    Then ``a + b <= ((1 + ε) a² + (1 + 1/ε) b²)^½`` for any ε > 0.  `weights` are w, (size,); path and times are what
    `follow` made of the powers.
    """
    rows = weights[:, None] * (modes.Q @ modes.inverse)
    steps = np.diff(times)
    sampled = np.abs(rows @ path[:, 1:]) @ steps
    of_last, of_others = max(float(sampled[-1]), 1e-300), max(float(sampled[:-1].sum()), 1e-300)
    balance = min(max(of_others / of_last, SMALLEST_BALANCE), 1.0 / SMALLEST_BALANCE)
    shares = np.maximum(sampled[:-1] / of_others, SMALLEST_SHARE / len(weights))
    factors = np.sqrt((1.0 + 1.0 / balance) * shares.sum() / shares)
    slope = float((factors * weights[:-1]).max(initial=0.0)) * (modes.inverse @ modes.G)
    parts = sqrt(1.0 + balance) * rows[-1], factors[:, None] * rows[:-1], slope
    bounds = np.full(len(steps), inf)
    levels = cell_levels(len(powers))
    with np.errstate(all="ignore"):
        for level, factor in enumerate(gramian_factors(modes.G, powers[: levels[-1]], steps[0], *parts)):
            cells = np.flatnonzero(levels == level)
            bounds[cells] = np.sqrt(steps[cells]) * np.linalg.norm(factor @ path[:, cells], axis=0)
    bounds[~np.isfinite(bounds)] = inf
    return np.concatenate([[0.0], np.cumsum(bounds)])


def cell_levels(n_powers: int) -> IntArray:
    """Return of which of the doublings each cell of the grid of `follow` is one step, (m - 1,)."""
    levels = [0]
    for i in range(n_powers - 1):
        parts = min(2**i, PER_OCTAVE)
        levels += [i - parts.bit_length() + 1] * parts
    return np.array(levels)


def gramian_factors(
    G: ComplexArray, powers: list[ComplexArray], d: float, row: ComplexArray, rows: ComplexArray, slope: ComplexArray
) -> Iterator[ComplexArray]:
    """Yield a triangular R for a cell of length d and, by each of `powers`, for one twice as long.

    ``‖R x‖² >= ∫₀^d |row y|² + ‖rows y‖² dτ`` with ``y(τ) = exp(τG) x``, for any x.  On the first cell the series of
    `row` is integrated exactly, and of the other rows ``‖rows (y - x)‖ <= τ exp(τ‖G‖) ‖slope x‖``, which is nothing
    where x is a slow mode.  On a doubled cell the integral is that of its halves, the second of which starts from
    ``exp(dG) x``.  Factors, and no Gramians: their squares would lose half of the digits.  G (n, n) and `slope` (n, n)
    are triangular and commute, with ``‖rows G x‖ <= ‖slope x‖``, and powers are ``exp(2^i d G)``.
    """
    lapack, n = scipy_extensions.lapack(), len(G)
    terms = [row]
    for k in range(1, TAYLOR_TERMS + 1):
        terms.append((terms[-1] @ G) * (d / k))
    x, w = np.polynomial.legendre.leggauss(TAYLOR_TERMS + 1)
    series = np.sqrt(0.5 * d * w)[:, None] * (np.vander(0.5 * (x + 1.0), TAYLOR_TERMS + 1, increasing=True) @ terms)
    size = np.abs(G)
    growth = exp(d * float(np.sqrt(size.sum(axis=0).max() * size.sum(axis=1).max())))  # ‖G‖₂² <= ‖G‖₁ ‖G‖_∞
    # (a + b)² <= (1 + δ) a² + (1 + 1/δ) b², and ∫₀^d τ² dτ = d³/3
    constant = sqrt((1.0 + SLOPE_SHARE) * d) * rows
    sloping = sqrt((1.0 + 1.0 / SLOPE_SHARE) * d**3 / 3.0) * growth * slope
    factor = lapack.ztpqrt(0, min(n, FACTOR_BLOCK), sloping, np.concatenate([constant, series]))[0]
    yield factor
    for power in powers:
        factor = lapack.ztpqrt(n, min(n, FACTOR_BLOCK), factor, factor @ power)[0]
        yield factor


def integrals(values: FloatArray, times: FloatArray) -> FloatArray:
    """Return the integrals from 0 to each of `times` (m,), by the largest value at the ends of each cell and the next.

    The ends alone would miss a residual that changes its sign twice within a cell, as that of an oscillation does.
    """
    ends = np.maximum(values[1:], values[:-1])
    largest = ends.copy()
    largest[1:] = np.maximum(largest[1:], ends[:-1])
    largest[:-1] = np.maximum(largest[:-1], ends[1:])
    return np.concatenate([[0.0], np.cumsum(largest * np.diff(times))])
