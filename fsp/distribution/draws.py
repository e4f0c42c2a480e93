"""Parameters drawn from a posterior, with weights or as chains, and the errors of their means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.checks import check_level
from fsp.distribution.display import Displayed
from fsp.distribution.ledger import Interval
from fsp.distribution.text import table

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

SAMPLED = "an estimate from draws: its ends are two standard errors away"
TWO = 2.0  # standard errors to either side


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Draws(Displayed):
    """Draws from a posterior, as `Posterior.sample` and `Posterior.integrate` return them.

    Parameters
    ----------
    names
        Names of the q parameters.
    values
        (n_sets, n, q) parameters: chains of walkers, or independent sets of points.
    log_density
        (n_sets, n) log density of their logarithms.
    weights
        (n_sets, n) weights, which add up to one.
    effective
        (q,) effective sample sizes of the means.
    independent
        Whether sets are independent of each other, so that their spread tells the error; chains of walkers are not.

    Examples
    --------
    >>> draws = posterior.sample(2000)  # doctest: +SKIP
    >>> draws.mean()["k"], draws.interval(0.9)["k"]  # doctest: +SKIP
    """

    names: tuple[str, ...]
    values: FloatArray
    log_density: FloatArray
    weights: FloatArray
    effective: FloatArray
    independent: bool

    @classmethod
    def of_chains(cls, names: tuple[str, ...], chain: FloatArray, density: FloatArray, tau: FloatArray) -> Draws:
        """Make draws of chains (n_steps, n_walkers, q) of logarithms, with times of autocorrelation (q,)."""
        values = np.exp(np.moveaxis(chain, 0, 1))
        n = values.shape[0] * values.shape[1]
        return cls(names, values, density.T, np.full(density.T.shape, 1.0 / n), n / np.maximum(tau, 1.0), False)

    @classmethod
    def of_weights(cls, names: tuple[str, ...], u: FloatArray, density: FloatArray, logarithms: FloatArray) -> Draws:
        """Make draws of points (n_sets, n, q) of logarithms, with log densities and log weights (n_sets, n)."""
        with np.errstate(invalid="ignore"):
            weights = np.exp(logarithms - logarithms.max())
        weights = np.where(np.isfinite(logarithms), weights, 0.0)
        weights = weights / weights.sum()
        effective = np.full(len(names), 1.0 / float((weights**2).sum()))
        return cls(names, np.exp(u), density, weights, effective, True)

    def mean(self, *, log: bool = False) -> dict[str, Interval]:
        """Return the mean of each parameter, or of its logarithm, within two standard errors.

        Returns
        -------
        dict
            An `Interval` for each name; `certified` is false, since draws prove nothing.
        """
        values = np.log(self.values) if log else self.values
        means = np.einsum("sn,snq->q", self.weights, values)
        if self.independent:
            shares = self.weights.sum(axis=1)
            of_sets = np.einsum("sn,snq->sq", self.weights, values) / shares[:, None]
            errors = of_sets.std(axis=0, ddof=1) / math.sqrt(len(of_sets))
        else:
            errors = self._spread(values, means) / np.sqrt(self.effective)
        return {
            name: Interval(mean - TWO * error, mean + TWO * error, mean, False, SAMPLED)
            for name, mean, error in zip(self.names, means.tolist(), errors.tolist(), strict=True)
        }

    def std(self, *, log: bool = False) -> dict[str, float]:
        """Return the standard deviation of each parameter, or of its logarithm."""
        values = np.log(self.values) if log else self.values
        spread = self._spread(values, np.einsum("sn,snq->q", self.weights, values))
        return dict(zip(self.names, spread.tolist(), strict=True))

    def _spread(self, values: FloatArray, means: FloatArray) -> FloatArray:
        errors: FloatArray = np.sqrt(np.einsum("sn,snq->q", self.weights, (values - means) ** 2))
        return errors

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return the range of each parameter between two quantiles that leave out as much on either side.

        Parameters
        ----------
        level
            Probability of the range.

        Raises
        ------
        ArgumentError
            If it is no probability.
        """
        check_level(level)
        flat, weights = self.values.reshape(-1, len(self.names)), self.weights.reshape(-1)
        intervals = {}
        for k, name in enumerate(self.names):
            order = np.argsort(flat[:, k])
            below = np.cumsum(weights[order])
            ends = np.searchsorted(below, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
            low, high = flat[order[np.minimum(ends, len(order) - 1)], k].tolist()
            intervals[name] = low, high
        return intervals

    def __str__(self) -> str:
        """Return a row for each parameter: mean with its error, standard deviation, range of 95 %."""
        means, spreads, ranges = self.mean(), self.std(), self.interval()
        rows = [
            [
                name,
                f"{means[name].value:.4g} ± {0.5 * means[name].width / TWO:.1g}",
                f"{spreads[name]:.3g}",
                f"{ranges[name][0]:.4g} … {ranges[name][1]:.4g}",
            ]
            for name in self.names
        ]
        n = self.weights.size
        head = f"{n:,} draws, worth {self.effective.min():,.0f} independent ones"
        return "\n".join([head, *table(["", "mean", "std", "95 %"], rows)])
