"""Normal laws on whole counts, for methods that say means and covariances.

A marginal has at each count the probability of the nearest one, what lies below zero at zero.  A joint law has at each
count the density there, over the sum of these on all counts that are not negative and obey the conservation laws; on
what reactions change, the covariance must have an inverse.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from fsp.distribution import Distribution, ErrorLedger

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model

TAIL_DEVIATIONS = 9.0  # standard deviations beyond which a normal law has nothing
REACH = 6.5  # standard deviations to which a joint law is stored: the density is 1e-9 of the largest there
MOST_CELLS = 4_000_000  # counts in the box of a joint law: 100 MB for three species
SINGULAR = 1e-7  # of the largest eigenvalue of a covariance: less is what integration leaves of closures


def normal_law(mean: float, variance: float, species: str, t: float | None) -> Distribution:
    """Return the normal law of one species."""
    sd = float(np.sqrt(max(variance, 0.0)))
    low, high = max(0, int(mean - TAIL_DEVIATIONS * sd) - 1), max(1, int(mean + TAIL_DEVIATIONS * sd) + 2)
    counts = np.arange(low, high + 1)
    below = norm.cdf(counts + 0.5, mean, sd) if sd > 0.0 else (counts + 0.5 > mean).astype(float)
    below[-1] = 1.0
    p = np.maximum(np.diff(below, prepend=0.0), 0.0)
    return Distribution(counts[:, None], p / max(1.0, p.sum()), (species,), t=t, error=ErrorLedger())


def joint_normal_law(mean: FloatArray, covariance: FloatArray, model: Model, t: float | None) -> Distribution | None:
    """Return the joint normal law; None where it has no density on the counts of the model, or too many of them."""
    spread, axes = np.linalg.eigh(covariance) if np.isfinite(covariance).all() else (np.array([-1.0]), np.eye(1))
    laws, largest = model.conservation_laws, float(spread.max())
    wide = spread > SINGULAR * largest
    if largest == 0.0:
        box = [np.array([round(m)]) for m in mean.tolist()]  # nothing has happened
    elif largest < 0.0 or spread.min() < -SINGULAR * largest or wide.sum() != len(mean) - len(laws):
        return None
    else:
        reach = REACH * np.sqrt(np.diag(covariance).clip(0.0)) + 1.0
        box = [
            np.arange(max(0, math.floor(low)), math.ceil(high) + 1)
            for low, high in zip(mean - reach, mean + reach, strict=True)
        ]
    if math.prod(len(counts) for counts in box) > MOST_CELLS:
        return None
    states = np.stack(np.meshgrid(*box, indexing="ij"), axis=-1).reshape(-1, len(mean))  # (n, d)
    states = states[(states @ laws.T == model.initial_states[0] @ laws.T).all(axis=1)]
    along = (states - mean) @ axes[:, wide] / np.sqrt(spread[wide])  # (n, rank)
    p = np.exp(-0.5 * (along**2).sum(axis=1))
    if not p.sum() > 0.0:
        return None
    return Distribution(states, p / p.sum(), model.species, t=t, error=ErrorLedger())
