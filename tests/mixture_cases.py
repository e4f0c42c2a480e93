"""Laws of parameters that differ among cells, as scipy has them, and means over them."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import gamma, lognorm, nbinom

import fsp

LAWS = (
    fsp.Gamma(10.0, 0.3),
    fsp.Gamma(10.0, 1.0),
    fsp.Gamma(0.2, 1.8),
    fsp.LogNormal(10.0, 0.3),
    fsp.LogNormal(3.0, 1.2),
)


def frozen(law):
    """Return the law as scipy has it."""
    mean, cv = law.numbers
    if isinstance(law, fsp.Gamma):
        return gamma(1.0 / cv**2, scale=mean * cv**2)
    variance = math.log1p(cv**2)
    return lognorm(math.sqrt(variance), scale=mean * math.exp(-0.5 * variance))


def negative_binomial(mean, cv):
    """Return the Poisson law mixed over a gamma law of its mean."""
    return nbinom(1.0 / cv**2, 1.0 / (1.0 + mean * cv**2))


def averaged(law, values, points=4000):
    """Return the mean of values (n, x) of points (n,) over a law, by a sum over many quantiles in the logarithm."""
    own = frozen(law)
    x = np.linspace(*np.log(own.ppf([1e-13, 1.0 - 1e-13])), points)
    return ((own.pdf(np.exp(x)) * np.exp(x))[:, None] * values(np.exp(x))).sum(axis=0) * (x[1] - x[0])
