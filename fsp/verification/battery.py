"""The tests of one set of samples against one reference, a distribution for each time.

For each time: states that the reference holds to be next to impossible (`support`); and the joint distribution of all
species in merged cells (`joint`).  For each species there: its distribution in cells (`marginal`), the distribution
function (`band`), the mean (`mean`) and the mean squared distance from the exact mean (`variance`).  Over runs, whether
they are independent; see `fsp.verification.independence`.

Every p-value holds for each number of runs; `statistics.holm` makes one verdict of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from fsp.verification import statistics
from fsp.verification.independence import independence_tests
from fsp.verification.law import ScalarLaw, Slack
from fsp.verification.outcome import Test
from fsp.verification.samples import Runs, Summary
from fsp.verification.tree import Tree, grow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution
    from fsp.verification.samples import Histograms, Samples

JOINT_CELLS = 64
MARGINAL_CELLS = 32
RARE = 0.01  # expected runs in states that are called next to impossible


@dataclass(frozen=True, eq=False)
class Moment:
    """What the mean of a number of each run may be: the number is cut off where it is next to impossible.

    Parameters
    ----------
    low, high
        The number is that of ``clip(x, low, high)``.
    centre
        None for the count itself; else it is the square of its distance from here.
    upper, lower
        The largest admissible law of the number, and that of its negative.
    beyond
        Probability that a run is cut off.
    """

    low: int
    high: int
    centre: float | None
    upper: ScalarLaw
    lower: ScalarLaw
    beyond: float

    def of(self, values: IntArray | FloatArray) -> FloatArray:
        """Return the number for each count."""
        cut = np.clip(values, self.low, self.high).astype(float)
        return cut if self.centre is None else np.square(cut - self.centre)

    def p_value(self, n: int, mean: float) -> float:
        """Return the two-sided p-value of the mean over `n` runs."""
        above = statistics.mean_at_least(self.upper, n, mean)
        below = statistics.mean_at_least(self.lower, n, -mean)
        return min(1.0, 2 * min(above, below))


@dataclass(frozen=True, eq=False)
class Expected:
    """The reference for one species at one time, or for all of them, prepared for a number of runs.

    Parameters
    ----------
    states, probabilities
        (m, d) and (m,), of the reference.
    slack
        What it leaves open.
    n
        Number of runs.
    names
        (d,) species.
    """

    states: IntArray
    probabilities: FloatArray
    slack: Slack
    n: int
    names: tuple[str, ...]

    @cached_property
    def tree(self) -> Tree:
        """Cells for this number of runs."""
        cells = JOINT_CELLS if len(self.names) > 1 else MARGINAL_CELLS
        return grow(self.states, self.probabilities, self.n, cells)

    @cached_property
    def masses(self) -> FloatArray:
        """Probabilities of the two sides of each split."""
        return self.tree.masses(self.states, self.probabilities)

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
        found = np.full(int(place.max()) + 1, self.slack.up)
        found[place.reshape(-1)[: len(self.states)]] = self.ranks
        return found[place.reshape(-1)[len(self.states) :]]

    @cached_property
    def mean(self) -> float:
        """Mean of the only species."""
        return float(self.probabilities @ self.states[:, 0]) / float(self.probabilities.sum())

    def moment(self, centre: float | None, cut: float) -> Moment:
        """Return the law of a count, or of its squared distance from `centre`, cut off where `cut` is beyond."""
        values = self.states[:, 0]
        below = np.cumsum(self.probabilities)
        above = np.cumsum(self.probabilities[::-1])[::-1]
        low = int(values[int(np.argmax(below > cut))])
        high = int(values[len(values) - 1 - int(np.argmax(above[::-1] > cut))])
        outside = (values < low) | (values > high)
        beyond = float(self.probabilities[outside].sum()) + self.slack.up
        empty = ScalarLaw(np.zeros(1), np.ones(1))
        moment = Moment(low, high, centre, empty, empty, beyond)
        numbers = moment.of(values)
        upper = ScalarLaw.largest(numbers, self.probabilities, self.slack)
        if centre is not None:  # states that are not stored may lie at either end of the cut
            ends = moment.of(np.array([low, high]))
            padded = np.append(numbers, ends), np.append(self.probabilities, [0.0, 0.0])
            upper = ScalarLaw.largest(*padded, self.slack)
            nearest = moment.of(np.array([np.clip(round(centre), low, high)]))
            numbers = np.append(numbers, nearest)
            lower = ScalarLaw.largest(-numbers, np.append(self.probabilities, 0.0), self.slack)
        else:
            lower = ScalarLaw.largest(-numbers, self.probabilities, self.slack)
        return replace(moment, upper=upper, lower=lower)

    @cached_property
    def moments(self) -> tuple[Moment, Moment]:
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
class Battery:
    """All tests for one reference and one number of runs.

    Parameters
    ----------
    reference
        A distribution for each time.
    n
        Number of runs.
    """

    reference: Sequence[Distribution]
    n: int
    _marginals: dict[tuple[int, str], Expected] = field(default_factory=dict)
    _joints: dict[int, Expected] = field(default_factory=dict)

    def marginal(self, k: int, species: str) -> Expected:
        """Return what is expected of a species at time number `k`."""
        if (k, species) not in self._marginals:
            found = self.reference[k].marginal(species)
            parts = found.states, found.probabilities, Slack.of(found), self.n, (species,)
            self._marginals[k, species] = Expected(*parts)
        return self._marginals[k, species]

    def joint(self, k: int, species: tuple[str, ...]) -> Expected:
        """Return what is expected of all species at time number `k`."""
        if k not in self._joints:
            one = self.reference[k]
            found = one if one.species == species else one.marginal(*species)
            self._joints[k] = Expected(found.states, found.probabilities, Slack.of(found), self.n, species)
        return self._joints[k]

    def run(self, samples: Samples, more: Sequence[Test] = ()) -> tuple[Test, ...]:
        """Return all tests of these samples, and `more`, with adjusted p-values of all."""
        found = self._of_summary(samples) if isinstance(samples, Summary) else self._of_counts(samples)
        return adjusted([*found, *more])

    def _of_counts(self, samples: Runs | Histograms) -> Iterator[Test]:
        for k, t in enumerate(samples.times.tolist()):
            if isinstance(samples, Runs):
                yield from _joint_tests(self.joint(k, samples.species), t, *samples.joint(k))
            for name in samples.species:
                expected = self.marginal(k, name)
                values, multiplicity = samples.of(k, name)
                if not isinstance(samples, Runs):
                    yield _support(expected, t, values[:, None], multiplicity)
                yield from _marginal_tests(expected, t, values, multiplicity)
        if isinstance(samples, Runs):
            whole = set(samples.species) == set(self.reference[0].species)
            yield from independence_tests(samples, self, markov=whole)

    def _of_summary(self, samples: Summary) -> Iterator[Test]:
        """Test means and spreads; where a run may have been cut off, that is added to the p-value."""
        n = samples.n
        for k, t in enumerate(samples.times.tolist()):
            for i, name in enumerate(samples.species):
                expected = self.marginal(k, name)
                mean, std = float(samples.mean[k, i]), float(samples.std[k, i])
                square = (n - 1) / n * std**2 + (mean - expected.mean) ** 2
                cut = expected.slack.up
                for kind, centre, seen in (("mean", None, mean), ("variance", expected.mean, square)):
                    moment = expected.moment(centre, cut)
                    if moment.low == moment.high and seen == float(moment.of(np.array([moment.low]))[0]):
                        p = 1.0
                    else:
                        p = min(1.0, moment.p_value(n, seen) + n * moment.beyond)
                    yield _moment_test(kind, t, expected, mean, std, p)


def adjusted(tests: Sequence[Test]) -> tuple[Test, ...]:
    """Return the tests with the p-values that Holm's procedure makes of theirs."""
    p = statistics.holm(np.array([test.p for test in tests]))
    return tuple(replace(test, adjusted=float(value)) for test, value in zip(tests, p, strict=True))


def _joint_tests(expected: Expected, t: float, states: IntArray, multiplicity: FloatArray) -> Iterator[Test]:
    yield _support(expected, t, states, multiplicity)
    if len(expected.names) > 1:
        yield cells_test("joint", expected, t, states, multiplicity)


def _support(expected: Expected, t: float, states: IntArray, multiplicity: FloatArray) -> Test:
    """Count the runs in states that have next to no probability, and look at the most improbable state."""
    n, ranks = expected.n, expected.rank_of(states)
    limit = RARE / n + expected.slack.up
    count = float(multiplicity[ranks <= limit].sum())
    least = int(np.argmin(ranks))
    p = 2 * np.minimum(statistics.at_least(count, n, limit), statistics.at_least(1, n, ranks[least]))
    where = ""
    if count:
        names = ", ".join(f"{name} = {x}" for name, x in zip(expected.names, states[least].tolist(), strict=True))
        where = f"{count:,.0f} runs in states of probability below {limit:.1e}; {names} of {ranks[least]:.1e} or less"
    species = expected.names if len(expected.names) == 1 else ()
    return Test("support", t, species, count, min(1.0, float(p)), where=where)


def cells_test(kind: str, expected: Expected, t: float, states: IntArray, multiplicity: FloatArray) -> Test:
    """Test the counts of all cells.

    Parameters
    ----------
    kind
        Of the test.
    expected
        The reference.
    t
        The time.
    states, multiplicity
        Distinct states of the runs, and how many are in each.
    """
    seen = expected.tree.masses(states, multiplicity)
    p = expected.tree.p_values(expected.masses, expected.slack, seen)
    where = ""
    if len(p):
        worst = int(np.argmin(p))
        share = expected.masses[worst, 0] / expected.masses[worst].sum()
        total = seen[worst].sum()
        where = (
            f"{expected.tree.describe(worst, expected.names)}: {seen[worst, 0]:,.0f} of {total:,.0f} runs, expected "
            f"{share * total:,.1f}"
        )
    statistic = float(-2 * np.log(np.maximum(p, statistics.SMALLEST)).sum())
    species = expected.names if kind == "marginal" else ()
    return Test(kind, t, species, statistic, statistics.fisher(p), where=where, cells=len(p) + 1)


def _marginal_tests(expected: Expected, t: float, values: IntArray, multiplicity: FloatArray) -> Iterator[Test]:
    n = expected.n
    yield cells_test("marginal", expected, t, values[:, None], multiplicity)
    yield _band(expected, t, values, multiplicity)
    mean = float(multiplicity @ values) / n
    std = float(np.sqrt(multiplicity @ np.square(values - mean) / max(n - 1, 1)))
    for kind, moment in zip(("mean", "variance"), expected.moments, strict=True):
        p = moment.p_value(n, float(multiplicity @ moment.of(values)) / n)
        yield _moment_test(kind, t, expected, mean, std, p)


def _band(expected: Expected, t: float, values: IntArray, multiplicity: FloatArray) -> Test:
    """Compare the distribution functions."""
    own = expected.states[:, 0]
    grid = np.union1d(own, values)
    exact = statistics.weighted_cdf(own, expected.probabilities, grid)
    seen = statistics.weighted_cdf(values, multiplicity / expected.n, grid)
    low, high = expected.slack.interval(exact)
    gaps = np.maximum(seen - high, low - seen)
    worst = int(np.argmax(gaps))
    distance = max(0.0, float(gaps[worst]))
    where = f"{expected.names[0]} <= {grid[worst]}: {seen[worst]:.4f} of the runs, expected {exact[worst]:.4f}"
    return Test("band", t, expected.names, distance, statistics.band(expected.n, distance), where=where)


def _moment_test(kind: str, t: float, expected: Expected, mean: float, std: float, p: float) -> Test:
    """Pack the test of a mean or a spread, with the suite's statistic Z or Y."""
    sigma, _ = expected.spread
    n, name = expected.n, expected.names[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind == "mean":
            statistic = float(np.sqrt(n) * np.float64(mean - expected.mean) / sigma)
            where = f"{name}: mean {mean:.6g}, expected {expected.mean:.6g}"
        else:
            statistic = float(np.sqrt(n / 2) * (np.float64(std**2) / sigma**2 - 1))
            where = f"{name}: standard deviation {std:.5g}, expected {sigma:.5g}"
    return Test(kind, t, (name,), statistic if np.isfinite(statistic) else 0.0, p, where=where)
