"""What a reference with a certified error says about the law of one run.

The exact law p lies within ``error`` of the reference q >= 0 in the 1-norm, and q lacks the probability d.  So for
every event E

    q(E) - down <= p(E) <= q(E) + up,    up = (error + d)/2,    down = (error - d)/2

(`fsp.arithmetic.half_sums`), and for every function g with values up to b the law with
``P(g > v) = min(1, q(g > v) + up)`` below b is stochastically larger than the exact one.  A test against that law, or
against the largest or smallest admissible probability, holds for the exact one: nothing that the reference leaves open
can cause a false alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, half_sums

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution


@dataclass(frozen=True, slots=True)
class Slack:
    """How far the probability of any event may lie above and below that of the reference."""

    up: float = 0.0
    down: float = 0.0

    @classmethod
    def of(cls, reference: Distribution) -> Slack:
        """Return the slack of a distribution, by its error and the probability that it lacks."""
        return cls.within(reference.error.total, reference.mass, len(reference))

    @classmethod
    def within(cls, error: float, mass: float, n: int) -> Slack:
        """Return the slack of n probabilities, by their error in the 1-norm and their sum.

        It covers the rounding of the sums that are made of them, in whatever order.
        """
        sums = n * UNIT_ROUNDOFF * max(mass, 1.0)
        up, down = half_sums(error, 1.0 - mass, SUM_ROUNDING * max(mass, 1.0))
        return cls(min(1.0, up + sums), min(1.0, down + sums))

    def interval(self, mass: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the smallest and the largest probability of events whose reference probabilities are `mass`."""
        return np.maximum(mass - self.down, 0.0), np.minimum(mass + self.up, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class ScalarLaw:
    """The law of a bounded number that each run has."""

    values: FloatArray  # (m,) increasing values
    weights: FloatArray  # (m,) probabilities, which sum to one

    @classmethod
    def largest(cls, values: FloatArray, masses: FloatArray, slack: Slack) -> ScalarLaw:
        """Return the stochastically largest law that the reference admits.

        `values`: (n,) the number in each state of the reference; no run has a larger one. `masses`: (n,) probabilities
        of these states.
        """
        grid, places = np.unique(values, return_inverse=True)
        weights = np.bincount(places.reshape(-1), weights=masses, minlength=len(grid))  # (m,)
        above = np.minimum(1.0, np.cumsum(weights[::-1])[::-1] + slack.up)  # (m,), P(g >= value)
        above[0] = 1.0
        return cls(grid, above - np.append(above[1:], 0.0))

    @property
    def mean(self) -> float:
        """The mean."""
        return float(self.weights @ self.values)

    @property
    def variance(self) -> float:
        """The variance."""
        return float(self.weights @ np.square(self.values - self.mean))
