"""Profile likelihoods: the largest likelihood for each value of one parameter, the others chosen anew.

With r(ψ) = sign(ψ - ψ̂) √(2 (l(ψ̂) - l(ψ))), l the profile, the values at which |r| is below the quantile of the normal
law are a confidence interval (Wilks).  r is nearly linear in the logarithm of the parameter, so that its roots are
found by secants, and what lies between computed values by monotone cubic interpolation.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from fsp.inference.ascent import Evaluate, Summit, polish

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

ROOT_REACHED = 2e-2  # of r, to the root: shifts the level of 95 % by a tenth of a per cent
LARGEST_CHANGE = 3.0  # most that the logarithm of a parameter changes between two values of a profile; chosen
MOST_POINTS = 12  # on each side; a parameter that is not found by then is taken not to be bounded by the data
BELOW = 1e-9  # of a bound, where the profile is taken to have reached it


def profile(
    evaluate: Evaluate, top: Summit, k: int, low: FloatArray, high: FloatArray, width: float, root: float
) -> FloatArray:
    """Return logarithms of parameter k and the value of the profile there, (2, m), increasing, to |r| = `root`."""
    sides = [_side(evaluate, top, k, low, high, width, sign * root) for sign in (-1.0, 1.0)]
    table = np.array([*sides[0][::-1], (float(top.u[k]), top.point.value), *sides[1]])
    return np.ascontiguousarray(table.T)


def _side(
    evaluate: Evaluate, top: Summit, k: int, low: FloatArray, high: FloatArray, width: float, root: float
) -> list[tuple[float, float]]:
    """Return (logarithm, value) on one side, away from the summit."""
    bound = float(high[k] if root > 0.0 else low[k])
    inside, outside, slope = (float(top.u[k]), 0.0), None, _slope(top, k)  # (logarithm, r)
    u, rows = top.u, list[tuple[float, float]]()
    direction: FloatArray = _direction(top, k)
    for _ in range(MOST_POINTS):
        if outside is not None:
            slope = (outside[1] - inside[1]) / (outside[0] - inside[0])
        length = math.copysign(min(abs(root - inside[1]) / max(slope, 1e-12), LARGEST_CHANGE), root)
        at = min(inside[0] + length, bound) if root > 0.0 else max(inside[0] + length, bound)
        if abs(at - inside[0]) <= BELOW:
            break
        start = np.clip(u + direction * (at - inside[0]), low, high)
        start[k] = at
        summit = polish(evaluate, start, low, high, width, k, top.lacking)
        value = min(summit.point.value, top.point.value)
        r = math.copysign(math.sqrt(2.0 * (top.point.value - value)), root)
        rows.append((at, value))
        if abs(r - root) <= ROOT_REACHED:
            break
        if abs(r) > abs(root):
            outside = at, r
            continue
        slope = max((r - inside[1]) / (at - inside[0]), 1e-12)
        direction = np.asarray((summit.u - u) / (at - inside[0]), dtype=np.float64)
        inside, u = (at, r), summit.u
    return sorted(rows, reverse=root < 0.0)


def _slope(top: Summit, k: int) -> float:
    """Return ∂r/∂ψ at the summit: the root of the information about parameter k, the others unknown."""
    covariance = np.linalg.pinv(top.point.information, hermitian=True)
    return 1.0 / math.sqrt(max(float(covariance[k, k]), 1e-12))


def _direction(top: Summit, k: int) -> FloatArray:
    """Return how all parameters change with parameter k along the profile, (q,)."""
    covariance = np.linalg.pinv(top.point.information, hermitian=True)
    return np.clip(covariance[:, k] / max(float(covariance[k, k]), 1e-12), -LARGEST_CHANGE, LARGEST_CHANGE)
