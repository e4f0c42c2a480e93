"""What a reference, a distribution for each time, expects of a number of runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fsp.verification import p_values
from fsp.verification.binning import Cells, grow
from fsp.verification.slack import ScalarLaw, Slack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution

JOINT_CELLS, MARGINAL_CELLS = 64, 32  # the most: more cells dilute the power of Fisher's combination; chosen
RARE = 0.01  # expected runs in states that are called next to impossible


@dataclass(frozen=True, eq=False)
class BoundedMean:
    """What the mean of a number of each run may be: the number is cut off where it is next to impossible."""

    low: int  # the number is that of ``clip(x, low, high)``
    high: int
    centre: float | None  # None for the count itself; else it is the square of its distance from here
    upper: ScalarLaw  # the largest admissible law of the number, and that of its negative
    lower: ScalarLaw
    beyond: float  # probability that a run is cut off

    def of(self, values: IntArray | FloatArray) -> FloatArray:
        """Return the number for each count."""
        cut = np.clip(values, self.low, self.high).astype(float)
        return cut if self.centre is None else np.square(cut - self.centre)

    def p_value(self, n: int, mean: float) -> float:
        """Return the two-sided p-value of the mean over `n` runs."""
        above = p_values.mean_at_least(self.upper, n, mean)
        below = p_values.mean_at_least(self.lower, n, -mean)
        return min(1.0, 2 * min(above, below))


@dataclass(frozen=True, eq=False)
class Expected:
    """The reference for one species at one time, or for all of them, prepared for a number of runs."""

    states: IntArray  # (m, d) and (m,), of the reference
    probabilities: FloatArray
    slack: Slack  # what it leaves open
    n: int
    names: tuple[str, ...]  # (d,) species

    @cached_property
    def cells(self) -> Cells:
        """Cells for this number of runs."""
        limit = JOINT_CELLS if len(self.names) > 1 else MARGINAL_CELLS
        return grow(self.states, self.probabilities, self.n, limit)

    @cached_property
    def masses(self) -> FloatArray:
        """Probabilities of the two sides of each split."""
        return self.cells.masses(self.states, self.probabilities)

    @cached_property
    def ranks(self) -> FloatArray:
        """Bound of the probability of all states that are as improbable as each one, or more, (m,)."""
        order = np.argsort(self.probabilities, kind="stable")
        ranks = np.empty(len(order))
        ranks[order] = np.cumsum(self.probabilities[order])
        return np.minimum(1.0, ranks + self.slack.up)

    def rank_of(self, states: IntArray) -> FloatArray:
        """Return the (k,) ranks of states; one that the reference does not store has the least."""
        _, place = np.unique(np.concatenate([self.states, states]), axis=0, return_inverse=True)
        ranks = np.full(int(place.max()) + 1, self.slack.up)
        ranks[place.reshape(-1)[: len(self.states)]] = self.ranks
        return ranks[place.reshape(-1)[len(self.states) :]]

    @cached_property
    def mean(self) -> float:
        """Mean of the only species."""
        return float(self.probabilities @ self.states[:, 0]) / float(self.probabilities.sum())

    def moment(self, centre: float | None, cut: float) -> BoundedMean:
        """Return the law of a count, or of its squared distance from `centre`, cut off where `cut` is beyond."""
        values = self.states[:, 0]
        below = np.cumsum(self.probabilities)
        above = np.cumsum(self.probabilities[::-1])[::-1]
        low = int(values[int(np.argmax(below > cut))])
        high = int(values[len(values) - 1 - int(np.argmax(above[::-1] > cut))])
        outside = (values < low) | (values > high)
        beyond = float(self.probabilities[outside].sum()) + self.slack.up
        empty = ScalarLaw(np.zeros(1), np.ones(1))
        moment = BoundedMean(low, high, centre, empty, empty, beyond)
        numbers = moment.of(values)
        upper = ScalarLaw.largest(numbers, self.probabilities, self.slack)
        masses = self.probabilities
        if centre is not None:  # a state that is not stored may lie nearer; farther ones are at the ends of the cut
            nearest = moment.of(np.array([np.clip(round(centre), low, high)]))
            numbers, masses = np.append(numbers, nearest), np.append(masses, 0.0)
        return replace(moment, upper=upper, lower=ScalarLaw.largest(-numbers, masses, self.slack))

    @cached_property
    def moments(self) -> tuple[BoundedMean, BoundedMean]:
        """The laws of the count and of its squared distance from the mean, cut where runs are not expected."""
        cut = RARE / self.n
        return self.moment(None, cut), self.moment(self.mean, cut)

    @cached_property
    def spread(self) -> tuple[float, float]:
        """Standard deviation and kurtosis of the only species."""
        gaps = self.states[:, 0] - self.mean
        weights = self.probabilities / self.probabilities.sum()
        variance = float(weights @ np.square(gaps))
        kurtosis = float(weights @ gaps.astype(float) ** 4) / variance**2 if variance > 0 else np.nan
        return float(np.sqrt(variance)), kurtosis


@dataclass(frozen=True, eq=False)
class Reference:
    """A distribution for each time, prepared for a number of runs."""

    reference: Sequence[Distribution]
    n: int
    _marginals: dict[tuple[int, str], Expected] = field(default_factory=dict)
    _joints: dict[int, Expected] = field(default_factory=dict)

    def marginal(self, k: int, species: str) -> Expected:
        """Return what is expected of a species at time number `k`."""
        if (k, species) not in self._marginals:
            marginal = self.reference[k].marginal(species)
            parts = marginal.states, marginal.probabilities, Slack.of(marginal), self.n, (species,)
            self._marginals[k, species] = Expected(*parts)
        return self._marginals[k, species]

    def joint(self, k: int, species: tuple[str, ...]) -> Expected:
        """Return what is expected of all species at time number `k`."""
        if k not in self._joints:
            distribution = self.reference[k]
            marginal = distribution if distribution.species == species else distribution.marginal(*species)
            self._joints[k] = Expected(marginal.states, marginal.probabilities, Slack.of(marginal), self.n, species)
        return self._joints[k]
