"""The exponential of a matrix without negative entries off its diagonal, with a relative error bound of each entry.

With λ the smallest diagonal entry, M - λI >= 0, so that

    e^{tM} = (e^{λh} Σ_k (M - λI)^k h^k / k!)^(2^s),    h = t / 2^s,

sums and multiplies numbers that are not negative, so every entry keeps its relative accuracy: a product of
n-by-n matrices adds n + 1 roundings, and a squaring doubles what there was.
"""

from __future__ import annotations

import math

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import FloatArray

_TERMS = 18  # of the Taylor series at a norm of at most 1/2: the remainder is below u/4 of the first entry it has


def exponential(matrix: FloatArray, t: float) -> tuple[FloatArray, float]:
    """Compute the exponential of a matrix whose entries off the diagonal are not negative.

    `matrix`: (n, n), 1/time; each entry within a relative unit roundoff of the one meant; returns (n, n),
    >= 0, and a bound on the relative error of every entry.
    """
    n = len(matrix)
    shift = float(matrix.diagonal().min(initial=0.0))
    positive = (matrix - shift * np.eye(n)) * t  # (n, n), >= 0
    norm = float(positive.sum(axis=0).max(initial=0.0)) + abs(shift) * t
    squarings = max(0, math.ceil(math.log2(max(norm, 1e-300))) + 1) if norm > 0 else 0
    small = positive / 2.0**squarings
    term, total = np.eye(n), np.eye(n)
    for k in range(1, _TERMS + n):  # an entry may be zero up to the n-th power
        term = term @ small / k
        total += term
    total *= math.exp(shift * t / 2.0**squarings)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for _ in range(squarings):
            total = total @ total
    # a path of up to n steps costs (n + 2) u a step; entries of M, its shift and the exponential add a few u
    steps = float(n + 4) ** 2
    return np.where(np.isnan(total), np.inf, total), min(1.0, 4.0 * UNIT_ROUNDOFF * 2.0**squarings * steps)
