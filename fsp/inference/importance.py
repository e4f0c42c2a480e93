"""Student laws that are fitted to a density by points with weights, and quasi-random points of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaln, ndtri
from scipy.stats import chi2, qmc

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

FREEDOM = 6.0  # degrees of freedom: tails heavier than those of posteriors, so that weights are bounded; chosen
LEAST_EFFECTIVE_SHARE = 0.1  # of the points that must count after smoothing, while the law is still far; chosen
RIDGE = 1e-10  # of a variance, which keeps the factorisation from failing


@dataclass(frozen=True, slots=True, eq=False)
class StudentLaw:
    """A multivariate Student law, by its centre (q,) and the Cholesky factor of its scale (q, q)."""

    centre: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, centre: FloatArray, covariance: FloatArray) -> StudentLaw:
        """Return the law about a centre with a covariance, but for its heavier tails."""
        ridge = RIDGE * np.diag(np.diag(covariance) + 1e-300)
        return cls(centre, np.linalg.cholesky(np.asarray(covariance + ridge, dtype=np.float64)))

    def points(self, n: int, seed: int) -> FloatArray:
        """Return n points (n, q) of scrambled Sobol sequences, n a power of two."""
        q = len(self.centre)
        uniform = qmc.Sobol(q + 1, seed=np.random.default_rng(seed)).random(n)
        uniform = np.clip(uniform, 1e-15, 1.0 - 1e-15)
        radius = np.sqrt(FREEDOM / chi2.ppf(uniform[:, -1:], FREEDOM))  # (n, 1)
        sample: FloatArray = self.centre + (ndtri(uniform[:, :-1]) * radius) @ self.factor.T
        return sample

    def log_density(self, u: FloatArray) -> FloatArray:
        """Return the log density at points (n, q), (n,)."""
        q = len(self.centre)
        z = np.linalg.solve(self.factor, (u - self.centre).T)  # (q, n)
        constant = gammaln(0.5 * (FREEDOM + q)) - gammaln(0.5 * FREEDOM) - 0.5 * q * np.log(FREEDOM * np.pi)
        constant -= np.log(np.diag(self.factor)).sum()
        values: FloatArray = constant - 0.5 * (FREEDOM + q) * np.log1p((z * z).sum(axis=0) / FREEDOM)
        return values

    def fitted(self, u: FloatArray, weights: FloatArray) -> StudentLaw:
        """Return the law with the mean and the covariance of points (n, q) with weights (n,) that add up to one."""
        centre = weights @ u
        apart = u - centre
        return StudentLaw.of(centre, (weights * apart.T) @ apart)


def weighted(logarithms: FloatArray, *, smooth: bool = False) -> FloatArray:
    """Return weights (n,) that add up to one; smoothed by a power until enough points count."""
    power = 1.0
    while True:
        with np.errstate(invalid="ignore"):
            shifted = power * (logarithms - logarithms.max())
        weights = np.exp(np.where(np.isfinite(logarithms), shifted, -np.inf))
        weights = np.asarray(weights / weights.sum(), dtype=np.float64)
        share = 1.0 / (len(weights) * float((weights**2).sum()))
        if not smooth or share >= LEAST_EFFECTIVE_SHARE or power < 1e-3:
            return weights
        power *= 0.7
