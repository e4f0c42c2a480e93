"""What steps by collocation know of each probability: up to a part of itself, and an absolute rest.

Let u be the path of a step, ``u' = A u + ρ``, with |ρ| <= λ(s) r in each state, and ``0 <= m <= u`` on all of the step.
For ε >= 0 let ``η = max(r - ε m, 0)``, so that |ρ| <= λ (ε u + η).  If ``(1 - E) u - g <= p <= (1 + E) u + g + q`` at
its beginning, the same holds at its end, by comparison, A having no negative entries but in its diagonal, with

(1)  E  ->  E + ε ∫λ  (of the upper bound ``exp(E) - 1 <= 2 E``),
(2)  Σ g  ->  Σ g + ∫λ Σ η ,

and q, on all states, what has left the space, was dropped, or was lacking at the beginning, times 1 + 2 E at most.
For instance ``v = (1 - E) u - g`` with ``E' = λ ε`` and ``g' = A g + λ η`` obeys ``v' <= A v``.

ε is the least number beyond which states of a total m of `weight` W are left, those that are known up to (2).  That
makes ε + Σ η / W as small as it can be, as its derivative by ε is 1 less their total over W.
Where η of a state counts w times, so does m.  m is the least Bernstein coefficient of u, which is a polynomial of time.

References
----------
M. H. Protter, H. F. Weinberger, Maximum Principles in Differential Equations, 1967 (comparison);
R. T. Farouki, The Bernstein polynomial basis, Comput. Aided Geom. Des. 29 (2012) 379, doi:10.1016/j.cagd.2012.03.001.
"""

from __future__ import annotations

from functools import lru_cache
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers.collocation import radau

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

RELATIVE = 1e-7  # of each probability, for all steps: 1e-3 nats of 10,000 cells; chosen
# Probability of all states that are not known as a part of themselves: in units of what p may be off, with which the
# log-likelihood of thousands of cells loses as little by ε as by η; and at least and most.  Lighter ones would show the
# rounding of stages, 1e-16 of all.  Chosen.
HEAVIER, WEIGHTS = 1e6, (1e-13, 1e-3)
INVERTED = 1e-13  # of Bernstein coefficients, of the moduli of their terms: of degree 7 and 12 4e-15, measured
# Of Lagrange polynomials of twelve stages and their slopes, of the largest: 11 by 50 digits; and of 13 terms.
TABLES = 32.0 * UNIT_ROUNDOFF


def weight_of(loss: float) -> float:
    """Return the probability of all states that are not known as a part of themselves, where p may lose so much."""
    return float(np.clip(HEAVIER * loss, *WEIGHTS))


class Known(NamedTuple):
    """What is known of each probability: E and Σ g, or what a step adds to them."""

    relative: float
    absolute: float
    largest: float = 0.0  # η of a single state, where that is asked for

    def cost(self, weight: float) -> float:
        """Return both as one number: what `split` makes as small as it can be."""
        return self.relative + self.absolute / weight


class Range(NamedTuple):
    """Bounds of a path on a step, (n,) each."""

    least: FloatArray  # at least zero
    largest: FloatArray  # of the modulus


def range_of(points: FloatArray) -> Range:
    """Return bounds of a path, (n, 1 + s) at its start and stages."""
    table = _bernstein(points.shape[1] - 1)
    coefficients = table @ points.T  # (1 + s, n)
    off = INVERTED * (np.abs(table) @ np.abs(points).T).max(axis=0)
    least = np.maximum(coefficients.min(axis=0) - off, 0.0)
    return Range(least, np.abs(coefficients).max(axis=0) + off)


def split(r: FloatArray, least: FloatArray, weight: float, by: FloatArray | None = None) -> Known:
    """Return ε, Σ w η and max η of residuals that are at most r, (n,); `by` is w, (n,), else one."""
    held = least if by is None else by * least
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what is subnormal has no ratio: in η
        ratio = np.where(least > 0.0, r / least, np.where(r > 0.0, np.inf, 0.0))
    order = np.argsort(ratio)
    beyond = np.cumsum(held[order][::-1])[::-1] - held[order]  # what lies in states of larger ratios
    below = np.isfinite(ratio[order]) & (beyond <= weight)
    known = below.any() and held.sum() > weight
    epsilon = float(ratio[order[int(np.argmax(below))]]) if known else 0.0
    rest = np.maximum(r - epsilon * least, 0.0)
    return Known(epsilon, float(rest.sum() if by is None else by @ rest), float(rest.max(initial=0.0)))


def off_by_table(points: FloatArray, table: FloatArray) -> FloatArray:
    """Return the rounding, (n,), of what a table (N, 1 + s) makes of what a path (n, 1 + s) rises by."""
    size = np.abs(table[:, 1:]).max(axis=0)  # (s,)
    z, values = points[:, :1], points[:, 1:]
    off = TABLES * np.abs(values - z) + 2.0 * UNIT_ROUNDOFF * (np.abs(values) + np.abs(z))
    return np.asarray(off @ size, dtype=np.float64)


@lru_cache
def _bernstein(degree: int) -> FloatArray:
    """Return what gives Bernstein coefficients of values in 0 and the nodes of Radau IIA, (1 + s, 1 + s)."""
    tau = np.concatenate([[0.0], radau(degree).nodes])
    basis = [comb(degree, k) * tau**k * (1.0 - tau) ** (degree - k) for k in range(degree + 1)]
    return np.asarray(np.linalg.inv(np.array(basis).T), dtype=np.float64)
