"""How far two laws are apart, with the range that their own errors leave.

With p, q within ε_p, ε_q of the laws that are stored, y and z, in the 1-norm,

    | ‖p - q‖₁ - ‖y - z‖₁ | <= ε_p + ε_q
    | W(p, q) - W(y, z) |   <= Σ over both:  N ε + E (X - N)⁺,      W = Σ_k |F(k) - G(k)|

N being the largest count that is stored, beyond which only the moments of the model bound what there may be.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from fsp.distribution import Distribution, ErrorLedger, Interval
from fsp.distribution.bounds import ESTIMATED

FAR = 9.0  # standard deviations beyond which a normal law has nothing


def l1(first: Distribution, second: Distribution) -> Interval:
    """Return the 1-norm distance of two laws over the same species, at most 2.

    Parameters
    ----------
    first, second
        The laws.

    Returns
    -------
    Interval
        Certified where the errors of both are.
    """
    value, off = min(2.0, first.distance(second)), first.error.total + second.error.total
    certified = first.error.certified and second.error.certified
    return Interval(max(0.0, value - off), min(2.0, value + off), value, certified, "" if certified else ESTIMATED)


def wasserstein(first: Distribution, second: Distribution, off: float | None = None) -> Interval:
    """Return the Wasserstein distance of two laws of one species, in molecules.

    Parameters
    ----------
    first, second
        The laws.
    off
        What the second is off by in this distance, an estimate; what its 1-norm error says by default.

    Returns
    -------
    Interval
        Certified where the errors of both are, and moments bound what may lie beyond the stored states.
    """
    value, slack, reasons = first.distance(second, "wasserstein"), off or 0.0, [] if off is None else [ESTIMATED]
    for law in (first, second) if off is None else (first,):
        if law.error.total == 0.0:
            continue
        top = int(law.states[:, 0].max())
        beyond = law.expectation(f"max({law.species[0]} - {top}, 0)")
        slack += top * law.error.total + (beyond.upper if np.isfinite(beyond.upper) else 0.0)
        if not beyond.certified:
            reasons.append(beyond.reason)
    return Interval(max(0.0, value - slack), value + slack, value, not reasons, reasons[0] if reasons else "")


def normal_law(mean: float, variance: float, species: str, t: float | None) -> Distribution:
    """Return a normal law on whole counts: that of the nearest count, what lies below zero at zero.

    Parameters
    ----------
    mean, variance
        Of the law.
    species, t
        Whose count, and when.

    Returns
    -------
    Distribution
        It has no error.
    """
    sd = float(np.sqrt(max(variance, 0.0)))
    low, high = max(0, int(mean - FAR * sd) - 1), max(1, int(mean + FAR * sd) + 2)
    counts = np.arange(low, high + 1)
    below = norm.cdf(counts + 0.5, mean, sd) if sd > 0.0 else (counts + 0.5 > mean).astype(float)
    below[-1] = 1.0
    p = np.maximum(np.diff(below, prepend=0.0), 0.0)
    return Distribution(counts[:, None], p / max(1.0, p.sum()), (species,), t=t, error=ErrorLedger())
