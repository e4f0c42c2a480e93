"""Poisson weights that neither overflow nor lose digits.

Ratios of neighbouring weights are exact rationals, so the weights follow from the mode outwards with a relative
error of one unit roundoff a step; dividing by their sum normalises them.  The window is cut by Chernoff's bound
``P(N >= λ + x), P(N <= λ - x) <= exp(-λ h(±x/λ))``, ``h(y) = (1 + y) log(1 + y) - y``.

References
----------
B. L. Fox, P. W. Glynn, Computing Poisson probabilities, Comm. ACM 31 (1988) 440, doi:10.1145/42404.42409.
"""

from __future__ import annotations

from math import exp, floor, log1p, sqrt
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

# Λ over the largest exit rate, where bounds of each entry need powers of P = I + A/Λ that only add: what stays in a
# state is at least a third of what is there, 1 - 2/3 with a sum of relative error 2/3 + 1, over 1/3.  So an entry of P
# has at most 5 times the roundings of its terms.
WIDENED, AMPLIFIED = 1.5, 5.0


def poisson_window(mean: float, tail: float) -> tuple[int, FloatArray]:
    """Return the first index and the weights of the Poisson law of mean λ >= 0 with all but `tail` of its mass.

    ``weights[j] <= P(N = first + j)`` up to rounding; their sum is 1 - tail.
    """
    first = _left_edge(mean, tail / 2)
    last = _right_edge(mean, tail / 2)
    mode = min(max(floor(mean), first), last)
    upward = np.cumprod(mean / np.arange(mode + 1, last + 1))
    downward = np.cumprod(np.arange(mode, first, -1) / mean) if mode > first else np.empty(0)
    weights = np.concatenate([downward[::-1], [1.0], upward])
    return first, weights * ((1.0 - tail) / weights.sum())


def _right_edge(mean: float, tail: float) -> int:
    """Smallest k found with P(N > k) <= tail."""
    low, high = mean, mean + 40.0 * (sqrt(mean) + 20.0)
    while high - low > 1.0:
        middle = 0.5 * (low + high)
        low, high = (low, middle) if _tail_at(mean, middle) <= tail else (middle, high)
    return floor(high) + 1


def _left_edge(mean: float, tail: float) -> int:
    """Largest k found with P(N < k) <= tail."""
    if exp(-mean) > tail:
        return 0
    low, high = 0.0, mean
    while high - low > 1.0:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _tail_at(mean, middle) <= tail else (low, middle)
    return max(0, floor(low))


def _tail_at(mean: float, k: float) -> float:
    """Return Chernoff's bound of the mass from k on, away from the mean."""
    if mean == 0.0:
        return 0.0
    y = k / mean - 1.0
    return exp(-mean * ((1.0 + y) * log1p(y) - y)) if y > -1.0 else exp(-mean)
