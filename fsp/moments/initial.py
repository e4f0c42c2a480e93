"""Moments of the distribution that a chain begins with: those of a known distribution, or bounds of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model import Model
from fsp.model.structure import species_bounds
from fsp.moments.polynomial import Exponents, falling

OVER_LACKING = 3.0  # times what is lacking: a probability is at most (1 + r)/(1 − r) of its lower bound, r its error


class InitialMoments(Protocol):
    """What is known of the distribution at the beginning."""

    def largest(self, model: Model) -> FloatArray:
        """Return the largest count of each species that a model leads to from here, (d,)."""

    def means(self) -> FloatArray:
        """Return the means, (d,), or what is known of them: they guide a search and prove nothing."""

    def powers(self, weights: FloatArray, orders: IntArray, unit: float) -> FloatArray:
        """Return upper bounds of E (w·x/unit)^q for some orders q, (n_orders,)."""

    def falling(self, alpha: Exponents) -> tuple[float, float]:
        """Return bounds of the mean of a falling monomial."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownDistribution:
    """A known distribution: (n, d) states and (n,) probabilities.

    Where it is drawn from laws, probabilities are lower bounds that lack `lacking` to one, and any count may be above
    those that are kept: these have less than `LEFT_OUT_OF_MOMENTS` of each moment up to `ORDER` at the largest state
    that is kept, hundreds of times less than what is lacking, so that all that is lacking there has more than the tails
    have.
    """

    states: IntArray
    probabilities: FloatArray
    lacking: float = 0.0

    def largest(self, model: Model) -> FloatArray:
        """Return the largest counts by stoichiometry."""
        if self.lacking:
            return np.full(self.states.shape[1], np.inf)
        usual = np.array_equal(self.states, model.initial_states)
        return model.species_bounds if usual else species_bounds(model.change, self.states)

    def means(self) -> FloatArray:
        """Return the means."""
        means: FloatArray = self.probabilities @ self.states
        return means

    def powers(self, weights: FloatArray, orders: IntArray, unit: float) -> FloatArray:
        """Return E (w·x/unit)^q."""
        u = self.states @ weights / unit  # (n,)
        values = u[:, None] ** orders  # (n, n_orders)
        moments: FloatArray = values.T @ self.probabilities
        moments += OVER_LACKING * self.lacking * (moments + values.max(axis=0))
        return moments

    def falling(self, alpha: Exponents) -> tuple[float, float]:
        """Return the mean of a falling monomial, twice where it is known exactly."""
        values = [np.prod([float(falling(int(x), n)) for x, n in zip(row, alpha, strict=True)]) for row in self.states]
        mean = float(np.dot(values, self.probabilities))
        return mean, mean + OVER_LACKING * self.lacking * (mean + float(max(values)))
