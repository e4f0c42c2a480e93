"""The smallest error of each rate constant that the tests of a verification find with a given probability.

With a parameter changed the model is solved again.  For each test the probability that it rejects by itself, at the
level that Holm's procedure gives the smallest p-value, is computed under the changed law: of a mean from its normal
law, of cells from the binomial laws of the splits.  The largest of these is a lower estimate of the probability that
any test rejects.  Between the model and a change, laws are interpolated, which is exact to first order; the change is
solved anew where the answer lies elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, sqrt
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, special

from fsp.doors import transient
from fsp.errors import FSPError, ModelError
from fsp.verification import p_values, variants
from fsp.verification.samples import Planned, Runs, Summary
from fsp.verification.verdict import Detectable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Solution
    from fsp.model import Model
    from fsp.verification.battery import Battery
    from fsp.verification.expected import BoundedMean, Expected
    from fsp.verification.samples import Samples

VARIANT_TOL = 1e-7  # of the models with another parameter
FIRST_CHANGE = 0.1  # relative change that is looked at first
LARGEST_INCREASE, LARGEST_DECREASE = 10.0, 0.99  # relative changes beyond which nothing is looked for; chosen
_PROBE = 1.1234567  # a factor that leaves no whole number whole
CLOSE_RATIO = 1.3  # ratio of the change that was solved to the one that is found
MOST_SOLVED = 4  # changes of one parameter in one direction
MUCH_WORK = 3e8  # products times states: above, one change is solved for each parameter, and extrapolated
_COUNT_QUANTILES = (np.arange(40) + 0.5) / 40  # quantiles of a binomial count, to average over it
_TESTS_LOOKED_AT = 3  # tests of a kind whose power is computed


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """What the tests see of a law: all are linear in the probabilities."""

    moments: FloatArray  # (n_moments, 2) mean, and mean of the square, of each number of a run that is tested
    cells: tuple[FloatArray, ...]  # (n_splits, 2) for each set of cells

    def towards(self, other: Features, share: float) -> Features:
        """Return the features of a mixture, or beyond `other` where `share` is above one."""
        mixed = tuple(np.maximum(a + share * (b - a), 0.0) for a, b in zip(self.cells, other.cells, strict=True))
        return Features(self.moments + share * (other.moments - self.moments), mixed)

    def is_near(self, other: Features) -> bool:
        """Tell whether two laws are the same to the tests, within what is known of one of them."""
        gaps = [np.abs(self.moments - other.moments)]
        gaps += [np.abs(a - b) for a, b in zip(self.cells, other.cells, strict=True)]
        return max(float(gap.max(initial=0.0)) for gap in gaps) < 10 * VARIANT_TOL


class Power:
    """The power of a battery of tests."""

    def __init__(self, battery: Battery, samples: Samples | Planned, level: float) -> None:
        self.n = samples.n
        self.level = level
        self._moments: list[tuple[int, str, str, BoundedMean]] = []
        self._cells: list[tuple[int, tuple[str, ...], str, Expected]] = []
        cells = not isinstance(samples, Summary)
        for k in range(len(battery.reference)):
            if isinstance(samples, Runs | Planned) and len(samples.species) > 1:
                self._add_cells(k, samples.species, "joint", battery.joint(k, samples.species))
            for name in samples.species:
                expected = battery.marginal(k, name)
                for kind, moment in zip(("mean", "variance"), expected.moments, strict=True):
                    if len(moment.upper.values) > 1:
                        self._moments.append((k, name, kind, moment))
                if cells:
                    self._add_cells(k, (name,), "marginal", expected)
        self._critical: dict[int, tuple[float, float]] = {}
        self.exact = self.features(battery.reference)

    def _add_cells(self, k: int, names: tuple[str, ...], kind: str, expected: Expected) -> None:
        if expected.cells.splits:
            self._cells.append((k, names, kind, expected))

    def features(self, law: Sequence[Distribution]) -> Features:
        """Return what the tests see of a law, a distribution for each time."""
        marginals: dict[tuple[int, tuple[str, ...]], Distribution] = {}

        def of(k: int, names: tuple[str, ...]) -> Distribution:
            if (k, names) not in marginals:
                marginals[k, names] = law[k].marginal(*names)
            return marginals[k, names]

        moments = np.zeros((len(self._moments), 2))
        for row, (k, name, _, moment) in enumerate(self._moments):
            dist = of(k, (name,))
            numbers, weights = moment.of(dist.states[:, 0]), dist.probabilities / dist.mass
            moments[row] = weights @ numbers, weights @ np.square(numbers)
        cells = []
        for k, names, _, expected in self._cells:
            dist = of(k, names)
            cells.append(expected.cells.masses(dist.states, dist.probabilities))
        return Features(moments, tuple(cells))

    def of(self, other: Features) -> tuple[float, str]:
        """Return the probability that the best single test rejects under a law, and what kind of test that is."""
        changes = [(0.0, "")]
        changes += list(self._of_moments(other))
        changes += list(self._of_cells(other))
        return max(changes)

    def share(self, other: Features, power: float, within: tuple[float, float], way: float = 1.0) -> tuple[float, str]:
        """Return the share of the way to a law, or with `way` -1 from it, at which a power is reached, and by what.

        `within`: the least and the largest share that are looked at; infinite, by nothing, where the last is too small.
        """

        def at(log_share: float) -> tuple[float, str]:
            return self.of(self.exact.towards(other, way * float(np.exp(log_share))))

        low, high = np.log(within)
        if at(high)[0] < power:
            return inf, ""
        root = low if at(low)[0] > power else float(optimize.brentq(lambda x: at(x)[0] - power, low, high, xtol=0.01))
        return float(np.exp(root)), at(root)[1]

    def _of_moments(self, other: Features) -> Iterator[tuple[float, str]]:
        spread = np.sqrt(np.maximum(other.moments[:, 1] - np.square(other.moments[:, 0]), 1e-300))
        deviations = np.sqrt(np.maximum(self.exact.moments[:, 1] - np.square(self.exact.moments[:, 0]), 1e-300))
        shift = np.abs(other.moments[:, 0] - self.exact.moments[:, 0]) / (spread + deviations)
        for row in np.argsort(-shift)[:_TESTS_LOOKED_AT]:
            low, high = self._ends(int(row), float(self.exact.moments[row, 0]), float(deviations[row]))
            error = spread[row] / sqrt(self.n)
            mean = other.moments[row, 0]
            yield float(special.ndtr((mean - high) / error) + special.ndtr((low - mean) / error)), self._moments[row][2]

    def _ends(self, row: int, centre: float, spread: float) -> tuple[float, float]:
        """Return the means below and above which the test rejects."""
        if row not in self._critical:
            moment = self._moments[row][3]
            step = spread / sqrt(self.n)

            def end(law: Callable[[float], float]) -> float:
                def excess(z: float) -> float:
                    return float(np.log(max(2 * law(z), 1e-290)) - np.log(self.level))

                ceiling = 4.0
                while excess(ceiling) > 0 and ceiling < 1e4:
                    ceiling *= 1.5
                return float(optimize.brentq(excess, 0.0, ceiling, xtol=1e-3)) if excess(ceiling) <= 0 else inf

            above = end(lambda z: p_values.mean_at_least(moment.upper, self.n, centre + z * step))
            below = end(lambda z: p_values.mean_at_least(moment.lower, self.n, -centre + z * step))
            self._critical[row] = centre - below * step, centre + above * step
        return self._critical[row]

    def _of_cells(self, other: Features) -> Iterator[tuple[float, str]]:
        distance = []
        for mine, cells in zip(self.exact.cells, other.cells, strict=True):
            share = mine / np.maximum(mine.sum(axis=1, keepdims=True), 1e-300)
            gaps = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1e-300) - share
            noncentral = mine.sum(axis=1) * np.square(gaps[:, 0]) / (share[:, 0] * share[:, 1])
            distance.append(float(np.nansum(noncentral)) / sqrt(2 * len(mine)))
        for place in np.argsort(-np.array(distance))[:_TESTS_LOOKED_AT] if distance else []:
            _, _, kind, expected = self._cells[place]
            yield self._of_splits(expected, other.cells[place]), kind

    def _of_splits(self, expected: Expected, cells: FloatArray) -> float:
        """Return the power of Fisher's combination, taken as normal with the means and variances of its terms."""
        total = np.round(self.n * cells.sum(axis=1))[:, None]  # (splits, 1)
        share = (cells[:, 0] / np.maximum(cells.sum(axis=1), 1e-300))[:, None]
        spread = np.sqrt(total * share * (1 - share))
        near = np.round(total * share + spread * special.ndtri(_COUNT_QUANTILES))  # (splits, levels)
        counts = np.clip(near, 0, total)
        low, high = expected.slack.interval(expected.masses)
        least, upper = low[:, 0] / (low[:, 0] + high[:, 1]), high[:, 0] / (high[:, 0] + low[:, 1])
        shape = counts.shape
        p = p_values.binomial(
            counts,
            np.broadcast_to(total, shape),
            np.broadcast_to(least[:, None], shape),
            np.broadcast_to(upper[:, None], shape),
        )
        terms = -2 * np.log(np.maximum(p, p_values.SMALLEST_P))
        mean, variance = terms.mean(axis=1).sum(), terms.var(axis=1).sum()
        critical = float(special.chdtri(2 * len(cells), self.level))
        return float(special.ndtr((mean - critical) / sqrt(max(variance, 1e-12))))


def detectable(
    model: Model,
    solution: Solution,
    battery: Battery,
    samples: Samples | Planned,
    *,
    alpha: float,
    tests: int,
    power: float,
) -> tuple[Detectable, ...]:
    """Return the smallest detectable error of each parameter, or of each reaction that has none.

    Where no changed value of a parameter leads to a model that can be solved, nothing is known of it.
    """
    looker = Power(battery, samples, alpha / tests)
    little = solution.n_matvec * len(solution[-1]) > MUCH_WORK
    changes = []
    for name, value, changed in knobs(model):
        search = _ChangeSearch(looker, solution.times, changed, power, 1 if little else MOST_SOLVED)
        up, by = search.smallest(+1.0)
        down, other = search.smallest(-1.0)
        if search.matters and search.solved:
            changes.append(Detectable(name, value, up, down, power, by or other))
    return tuple(changes)


def knobs(model: Model) -> Iterator[tuple[str, float, Callable[[float], Model]]]:
    """Yield name, value and the model with that value multiplied, of all that is a number.

    That is each parameter on which a rate depends, and the rate of each reaction that depends on none.
    """
    covered: set[int] = set()
    for name, value in model.parameters.items():
        changed = partial(_with_parameter, _begun(model, name, value), name, value)
        rates = zip(model.rate_expressions, changed(_PROBE).rate_expressions, strict=True) if value else ()
        touched = {k for k, (rate, other) in enumerate(rates) if rate is None or rate != other}
        covered |= touched
        if touched:
            yield name, value, changed
    for k, reaction in enumerate(model.reactions):
        if k not in covered:
            yield f"rate of {reaction.name}", 1.0, partial(_with_rate, model, k)


def _begun(model: Model, name: str, value: float) -> Model:
    """Return the model, with its initial counts as numbers where another value of a parameter makes them not whole.

    So the size of a compartment, whose change would begin with 1.1 molecules, is changed in the rates alone.
    """
    try:
        _with_parameter(model, name, value, _PROBE)
    except ModelError:
        return model.with_initial(dict(zip(model.species, model.initial_states[0].tolist(), strict=True)))
    return model


def _with_parameter(model: Model, name: str, value: float, factor: float) -> Model:
    return model.with_parameters({name: value * factor})


def _with_rate(model: Model, k: int, factor: float) -> Model:
    return variants.scaled(model, {k: factor})


class _ChangeSearch:
    """The search for the smallest change of one number."""

    def __init__(
        self, looker: Power, times: FloatArray, changed: Callable[[float], Model], power: float, max_solved: int
    ) -> None:
        self.looker, self.times, self.changed, self.power, self.max_solved = looker, times, changed, power, max_solved
        self.matters, self.solved = True, False
        self._first: dict[float, Features] = {}

    def smallest(self, sign: float) -> tuple[float, str]:
        """Return the smallest change of this sign that is found, infinite if none is, and by what kind of test."""
        largest = LARGEST_INCREASE if sign > 0 else LARGEST_DECREASE
        tried = FIRST_CHANGE
        for _ in range(self.max_solved):
            features, side = self._at(sign * tried)
            if features is None:
                return inf, ""
            change, by = self._crossing(features, side * tried, sign, largest)
            if tried == largest or (change < inf and max(change / tried, tried / change) < CLOSE_RATIO):
                break
            tried = float(np.clip(change, tried / 30, min(largest, tried * 30)))
        return (change, by) if by else (inf, "")

    def _at(self, change: float) -> tuple[Features | None, float]:
        """Return the features at a change, None where it cannot be solved; the only one serves both signs."""
        if self.max_solved == 1 and self._first:
            ((old, features),) = self._first.items()
            return features, float(np.sign(old))
        try:
            features = self.looker.features(tuple(transient(self.changed(1 + change), self.times, tol=VARIANT_TOL)))
        except FSPError:
            return None, 1.0
        self.solved = True
        self._first[change] = features
        return features, float(np.sign(change))

    def _crossing(self, other: Features, at: float, sign: float, largest: float) -> tuple[float, str]:
        """Return the change at which the power is reached, on the line through the model and `other`."""
        exact = self.looker.exact
        if exact.is_near(other):
            self.matters = False
            return inf, ""
        reach = min(largest, 30 * abs(at))
        way = sign * float(np.sign(at))
        share, by = self.looker.share(other, self.power, (1 / 1000, reach / abs(at)), way)
        if not by:
            return inf if reach == largest and abs(at) == largest else reach, ""
        return share * abs(at), by
