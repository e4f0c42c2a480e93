"""The tests of one set of samples against one reference, a distribution for each time.

For each time: states that the reference holds to be next to impossible (`support`); and the joint distribution of all
species in merged cells (`joint`).  For each species there: its distribution in cells (`marginal`), the distribution
function (`band`), the mean (`mean`) and the mean squared distance from the exact mean (`variance`).  Over runs, whether
they are independent; see `fsp.verification.independence`.

Every p-value holds for each number of runs; `statistics.holm` makes one verdict of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.verification import p_values
from fsp.verification.expected import RARE, Expected, Reference
from fsp.verification.independence import independence_tests
from fsp.verification.samples import Runs, Summary
from fsp.verification.test import Test

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.verification.samples import Histograms, Samples


@dataclass(frozen=True, eq=False)
class Battery(Reference):
    """All tests for one reference and one number of runs; see `Reference`."""

    def run(self, samples: Samples, more: Sequence[Test] = ()) -> tuple[Test, ...]:
        """Return all tests of these samples, and `more`, with adjusted p-values of all."""
        tests = self._of_summary(samples) if isinstance(samples, Summary) else self._of_counts(samples)
        return adjusted([*tests, *more])

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
            all_species = set(samples.species) == set(self.reference[0].species)
            yield from independence_tests(samples, self, markov=all_species)

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
    p = p_values.holm(np.array([test.p for test in tests]))
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
    p = 2 * np.minimum(p_values.at_least(count, n, limit), p_values.at_least(1, n, ranks[least]))
    where = ""
    if count:
        names = ", ".join(f"{name} = {x}" for name, x in zip(expected.names, states[least].tolist(), strict=True))
        where = f"{count:,.0f} runs in states of probability below {limit:.1e}; {names} of {ranks[least]:.1e} or less"
    species = expected.names if len(expected.names) == 1 else ()
    return Test("support", t, species, count, min(1.0, float(p)), where=where)


def cells_test(kind: str, expected: Expected, t: float, states: IntArray, multiplicity: FloatArray) -> Test:
    """Test the counts of all cells."""
    seen = expected.cells.masses(states, multiplicity)
    p = expected.cells.p_values(expected.masses, expected.slack, seen)
    where = ""
    if len(p):
        worst = int(np.argmin(p))
        share = expected.masses[worst, 0] / expected.masses[worst].sum()
        total = seen[worst].sum()
        where = (
            f"{expected.cells.describe(worst, expected.names)}: {seen[worst, 0]:,.0f} of {total:,.0f} runs, expected "
            f"{share * total:,.1f}"
        )
    statistic = float(-2 * np.log(np.maximum(p, p_values.SMALLEST_P)).sum())
    species = expected.names if kind == "marginal" else ()
    return Test(kind, t, species, statistic, p_values.fisher(p), where=where, cells=len(p) + 1)


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
    counts = expected.states[:, 0]
    grid = np.union1d(counts, values)
    exact = p_values.weighted_cdf(counts, expected.probabilities, grid)
    seen = p_values.weighted_cdf(values, multiplicity / expected.n, grid)
    low, high = expected.slack.interval(exact)
    gaps = np.maximum(seen - high, low - seen)
    worst = int(np.argmax(gaps))
    distance = max(0.0, float(gaps[worst]))
    where = f"{expected.names[0]} <= {grid[worst]}: {seen[worst]:.4f} of the runs, expected {exact[worst]:.4f}"
    return Test("band", t, expected.names, distance, p_values.band(expected.n, distance), where=where)


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
