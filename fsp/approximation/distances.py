"""How far two laws are apart, with the range that their own errors leave.

With p, q within ε_p, ε_q of the laws that are stored, y and z, in the 1-norm,

    | ‖p - q‖₁ - ‖y - z‖₁ | <= ε_p + ε_q
    | W(p, q) - W(y, z) |   <= Σ over both:  N ε + E (X - N)⁺,      W = Σ_k |F(k) - G(k)|

N being the largest count that is stored, beyond which only the moments of the model bound what there may be.

The Wasserstein distance of joint laws is a linear programme of as many variables as there are pairs of states; its
largest projection, which is one of one species, bounds it from below.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import wasserstein_distance

from fsp import analysis
from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, sum_down, sum_up
from fsp.distribution import Distribution, Interval
from fsp.distribution.bounds import ESTIMATED

DIFFERENCE_ROUNDING = 2.0 * SUM_ROUNDING  # of a sum of differences, and what is made of it
SLICES = 16  # directions of projections of joint laws, of 40,000 states each in 0.4 s
DIRECTION_SEED = 1  # of these directions, so that a distance is the same again


def l1(first: Distribution, second: Distribution) -> Interval:
    """Return the 1-norm distance of two laws over the same species, at most 2; certified where both errors are."""
    value = min(2.0, first.distance(second))
    off = (first.error.total + second.error.total) * (1.0 + DIFFERENCE_ROUNDING) + DIFFERENCE_ROUNDING * value
    certified = first.error.certified and second.error.certified
    ends = max(0.0, sum_down(value, -off)), min(2.0, sum_up(value, off))
    return Interval(*ends, value, certified, "" if certified else ESTIMATED)


def wasserstein(first: Distribution, second: Distribution, off: float | None = None) -> Interval:
    """Return the Wasserstein distance of two laws of one species, in molecules.

    It is certified where both errors are, and moments bound what may lie beyond the stored states.  `off` estimates by
    how much the second law is off in this distance; None for what its 1-norm error says.
    """
    value, slack, reasons = first.distance(second, "wasserstein"), off or 0.0, [] if off is None else [ESTIMATED]
    slack = sum_up(slack, _rounding(first, second))
    for law in (first, second) if off is None else (first,):
        if law.error.total == 0.0:
            continue
        top = int(law.states[:, 0].max())
        beyond = law.expectation(f"max({law.species[0]} - {top}, 0)")
        slack += (top * law.error.total + (beyond.upper if np.isfinite(beyond.upper) else 0.0)) * (
            1.0 + DIFFERENCE_ROUNDING
        )
        if not beyond.certified:
            reasons.append(beyond.reason)
    ends = max(0.0, sum_down(value, -slack)), sum_up(value, slack)
    return Interval(*ends, value, not reasons, reasons[0] if reasons else "")


def _rounding(first: Distribution, second: Distribution) -> float:
    """Bound the rounding of a Wasserstein distance: of sums of probabilities one by one, at each count."""
    count = len(first.states) + len(second.states)
    top = max(float(first.states.max()), float(second.states.max()))
    return 4.0 * (count + 4.0) * UNIT_ROUNDOFF * top


def sliced(first: Distribution, second: Distribution) -> float:
    """Return the largest Wasserstein distance of projections of two joint laws: at most theirs, in Euclidean distance.

    Projections, each law with its own mass, are on `SLICES` directions, the axes, and the line between the means.
    """
    d = first.states.shape[1]
    between = analysis.mean(second.states, second.probabilities) - analysis.mean(first.states, first.probabilities)
    random = np.random.default_rng(DIRECTION_SEED).standard_normal((SLICES, d))
    directions = np.concatenate([np.eye(d), between[None, :] if between.any() else random[:1], random])
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    return max(
        float(wasserstein_distance(first.states @ n, second.states @ n, first.probabilities, second.probabilities))
        for n in directions
    )
