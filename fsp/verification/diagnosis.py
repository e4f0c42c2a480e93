"""Which mistakes explain samples that failed.

Each hypothesis has a law; the log-likelihood of the samples, merged to the cells of the tests, is compared with that
under the right law, less half the logarithm of the number of runs for each number that was fitted (Schwarz), and that
for each time, since a run counts at each.  A hypothesis fits where the samples pass the same tests, at the same level,
against its law.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import log
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize, stats

from fsp.doors import transient
from fsp.errors import FSPError
from fsp.verification.battery import Battery
from fsp.verification.hypotheses import LAW_TOL, Hypothesis, families, hypotheses, without_repeats
from fsp.verification.independence import first_repeat
from fsp.verification.samples import Runs, Summary
from fsp.verification.verdict import MOST_APART, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution
    from fsp.model import Model
    from fsp.verification.expected import Expected
    from fsp.verification.hypotheses import MistakeFamily
    from fsp.verification.samples import Histograms, Samples
    from fsp.verification.test import Test

OF_RUNS = ("repeats", "memory", "serial")  # tests that no law of single times explains
CELL_FLOOR = 1e-9  # of the probability of a cell, so that one run does not make a likelihood zero
# relative changes of a number that is fitted, at first and near the end: a line through laws 10 % apart leads to half a
# per cent off (measured)
FIT_STEP, FINE_STEP = 0.1, 0.01
FIT_PRECISION = 1e-3  # relative change at which a number is fitted; chosen
LEAST_GAIN = 0.5  # nats, below which a hypothesis has next to the law of the model; chosen
CORRELATED = 4.0  # standard deviations of the correlation of runs with the next ones, above which they depend; chosen
NEWTON_ROUNDS = 6  # of fitting a number: steps of Gauss and Newton, which converge in three or four; chosen
MOST_FINDINGS = 6  # the likeliest hypotheses, whose fit is tested
_RANGE = 1e-3, 1e3  # of a fitted number


@dataclass(frozen=True, slots=True, eq=False)
class SampleLikelihood:
    """The likelihood of samples, merged to the cells of a battery."""

    # for each set of cells: the time number, the species, what is expected, and (n_splits, 2) numbers of runs
    cells: tuple[tuple[int, tuple[str, ...], Expected, FloatArray], ...]

    @classmethod
    def of(cls, battery: Battery, samples: Runs | Histograms, joint: bool = True) -> SampleLikelihood:
        """Prepare it: of the joint distribution at each time, or of each species where that is all there is."""
        masses = []
        for k in range(len(samples.times)):
            if isinstance(samples, Runs) and joint:
                expected = battery.joint(k, samples.species)
                masses.append((k, samples.species, expected, expected.cells.masses(*samples.joint(k))))
                continue
            for name in samples.species:
                expected = battery.marginal(k, name)
                values, multiplicity = samples.of(k, name)
                masses.append((k, (name,), expected, expected.cells.masses(values[:, None], multiplicity)))
        return cls(tuple(masses))

    def masses(self, law: Sequence[Distribution]) -> list[FloatArray]:
        """Return the probabilities of all cells under a law."""
        masses = []
        for k, names, expected, _ in self.cells:
            distribution = law[k] if law[k].species == names else law[k].marginal(*names)
            masses.append(expected.cells.masses(distribution.states, distribution.probabilities))
        return masses

    def __call__(self, masses: Sequence[FloatArray]) -> float:
        """Return the log-likelihood under these probabilities."""
        total = 0.0
        for (_, _, _, seen), mass in zip(self.cells, masses, strict=True):
            floored = np.maximum(mass, CELL_FLOOR)
            total += float((seen * np.log(floored / floored.sum(axis=1, keepdims=True))).sum())
        return total

    def expecting(self, masses: Sequence[FloatArray]) -> SampleLikelihood:
        """Return the likelihood of what a law expects of as many runs as there are."""
        totals = [float(seen[0].sum()) if len(seen) else 0.0 for _, _, _, seen in self.cells]
        rows = zip(self.cells, masses, totals, strict=True)
        return SampleLikelihood(tuple((k, names, expected, n * mass) for (k, names, expected, _), mass, n in rows))

    def runs_between(self, first: Sequence[FloatArray], other: Sequence[FloatArray], *, alpha: float) -> int | None:
        """Return about how many runs would tell two laws apart: the likelihood ratio is then 1/alpha on average.

        Of all cells the best time counts, by the relative entropy of a run; None where more than `MOST_APART` would.
        """
        entropies = []
        for a, b in zip(first, other, strict=True):
            p, q = np.maximum(a, CELL_FLOOR), np.maximum(b, CELL_FLOOR)
            share, theirs = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
            entropies.append(float((a * np.log(share / theirs)).sum()))
        best = max(entropies, default=0.0)
        return int(np.ceil(log(1 / alpha) / best)) if best * MOST_APART > log(1 / alpha) else None

    def same(self, masses: Sequence[FloatArray], runs: int) -> float:
        """Return the p-value of a χ² test that the samples, and as many runs as say, have one law (not exact)."""
        p = [1.0]
        for (_, _, _, seen), mass in zip(self.cells, masses, strict=True):
            for split, share in zip(seen, mass, strict=True):
                table = np.array([split, runs * share])
                if (table.sum(axis=0) > 0).all() and (table.sum(axis=1) > 0).all():
                    p.append(float(stats.chi2_contingency(table, correction=True).pvalue))
        return min(1.0, len(p) * min(p))


def diagnose(
    model: Model,
    samples: Samples,
    battery: Battery,
    tests: Sequence[Test],
    *,
    alpha: float,
    text: str | None = None,
) -> tuple[Finding, ...]:
    """Return hypotheses of what is wrong with samples that failed; `text`: the SBML that the simulator has read."""
    if isinstance(samples, Summary):
        return ()
    findings = list(_of_runs(samples, battery, tests, alpha))
    rejected = {test.kind for test in tests if test.adjusted <= alpha} - set(OF_RUNS)
    if rejected == {"two-time"}:
        text = "each time has the right distribution, but the times of a run do not belong together"
        findings.append(Finding("two-time", text, 0.0, True))
    elif rejected:
        # many species have few cells each in the joint distribution, which may not see what a marginal does
        joint = "joint" in rejected or "marginal" not in rejected
        findings += _of_laws(model, samples, battery, alpha, text, joint=joint)
    return tuple(sorted(findings, key=lambda finding: (not finding.fits, -finding.log_likelihood)))


def _of_runs(samples: Runs | Histograms, battery: Battery, tests: Sequence[Test], alpha: float) -> Iterator[Finding]:
    if not isinstance(samples, Runs) or all(test.adjusted > alpha for test in tests if test.kind in OF_RUNS):
        return
    distinct = without_repeats(samples)
    only = all(test.adjusted > alpha for test in tests if test.kind not in OF_RUNS)
    repeats = any(test.adjusted <= alpha for test in tests if test.kind in ("repeats", "memory"))
    if distinct is not None and repeats:
        text = f"runs repeat, as with a seed that is used again: {distinct.n:,} of {samples.n:,} are distinct"
        lag = first_repeat(samples, battery, alpha)
        if lag is not None and lag >= distinct.n:  # fewer first runs than are distinct would pass for being few
            distinct = Runs(samples.counts[:lag], samples.times, samples.species)
        yield Finding("seeds", text, 0.0, only or _right(distinct, battery, alpha))
    elif only or _correlated(samples):
        yield Finding("dependence", "runs depend on those before them", 0.0, only)


def _right(runs: Runs, battery: Battery, alpha: float) -> bool:
    """Return whether runs pass the tests."""
    return min(test.adjusted for test in Battery(battery.reference, runs.n).run(runs)) > alpha


def _correlated(samples: Runs) -> bool:
    """Return whether runs go with the next ones, whatever their mean is: a wrong mean alone makes no dependence."""
    last = samples.counts[:, -1].astype(float)  # (runs, species)
    h = last - last.mean(axis=0)
    squares = np.maximum((h * h).sum(axis=0), CELL_FLOOR)
    return bool((abs((h[:-1] * h[1:]).sum(axis=0)) / squares * np.sqrt(samples.n) > CORRELATED).any())


def _of_laws(
    model: Model, samples: Runs | Histograms, battery: Battery, alpha: float, text: str | None, joint: bool
) -> list[Finding]:
    likelihood = SampleLikelihood.of(battery, samples, joint)
    base = likelihood(likelihood.masses(battery.reference))
    explanations: list[tuple[float, Hypothesis, Sequence[Distribution], list[FloatArray]]] = []
    tried: list[Hypothesis] = list(hypotheses(model, samples, battery.reference, text))
    origins: dict[Hypothesis, MistakeFamily] = {}
    for family in families(model, text):
        if (made := _fitted(family, samples.times, likelihood)) is not None:
            origins[made] = family
    tried += origins
    for hypothesis in tried:
        try:
            law = hypothesis.law()
            masses = likelihood.masses(law)
            gain = likelihood(masses) - base - hypothesis.free * len(samples.times) * log(samples.n) / 2
            if gain > LEAST_GAIN:
                explanations.append((gain, hypothesis, law, masses))
        except FSPError:  # the mistaken model has no solution to compare with
            continue
    explanations.sort(key=lambda likely: -likely[0])
    likeliest = explanations[:MOST_FINDINGS]
    fits = [_fits(likely, law, masses, samples, likelihood, alpha) for _, likely, law, masses in likeliest]
    fitting = [(likely, masses) for (_, likely, _, masses), fit in zip(likeliest, fits, strict=True) if fit]
    apart = _apart(fitting, origins, samples.times, likelihood, alpha) if len(fitting) > 1 else None
    return [
        Finding(hypothesis.name, hypothesis.text, gain, fit, apart if fit else None)
        for (gain, hypothesis, _, _), fit in zip(likeliest, fits, strict=True)
    ]


def _fits(
    hypothesis: Hypothesis,
    law: Sequence[Distribution],
    masses: Sequence[FloatArray],
    samples: Runs | Histograms,
    likelihood: SampleLikelihood,
    alpha: float,
) -> bool:
    """Return whether samples pass against the law of a hypothesis."""
    if hypothesis.sampled:
        return likelihood.same(masses, hypothesis.sampled) > alpha
    return _passes(law, samples, alpha)


def _passes(law: Sequence[Distribution], samples: Runs | Histograms, alpha: float) -> bool:
    tests = Battery(tuple(law), samples.n).run(samples)
    return min(test.adjusted for test in tests if test.kind not in OF_RUNS) > alpha


def _fitted(family: MistakeFamily, times: FloatArray, likelihood: SampleLikelihood) -> Hypothesis | None:
    """Return the member of a family under which the samples are most likely."""
    value, best, width = 1.0, None, FIT_STEP
    try:
        law = tuple(transient(family.model(value), times, tol=LAW_TOL))
        for _ in range(NEWTON_ROUNDS):
            here = likelihood.masses(law)
            near = likelihood.masses(tuple(transient(family.model(value * (1 + width)), times, tol=LAW_TOL)))
            new = float(np.clip(value * (1 + width * _best_step(likelihood, here, near)), *_RANGE))
            trial = tuple(transient(family.model(new), times, tol=LAW_TOL))
            moved, better = abs(new / value - 1), likelihood(likelihood.masses(trial)) > likelihood(here)
            if better:
                value, law, best = new, trial, new
            if moved < FIT_PRECISION or (not better and width == FINE_STEP):
                break
            width = float(np.clip(moved, FINE_STEP, FIT_STEP)) if better else FINE_STEP
    except FSPError:
        return None
    if best is None:
        return None
    return Hypothesis(family.name, family.text.format(value) + family.meaning(value), partial(tuple, law), free=1)


def _apart(
    ranked: Sequence[tuple[Hypothesis, list[FloatArray]]],
    origins: Mapping[Hypothesis, MistakeFamily],
    times: FloatArray,
    likelihood: SampleLikelihood,
    alpha: float,
) -> int | None:
    """Return about how many runs tell the best two laws that fit apart, where each number to fit is free in both."""
    (first, here), (second, there) = ranked[:2]
    numbers = []
    for other, law, wrong in ((second, here, there), (first, there, here)):
        family = origins.get(other)
        refitted = None if family is None else _fitted(family, times, likelihood.expecting(law))
        nearest = wrong if refitted is None else likelihood.masses(refitted.law())
        numbers.append(likelihood.runs_between(law, nearest, alpha=alpha))
    return None if None in numbers else max(number for number in numbers if number is not None)


def _best_step(likelihood: SampleLikelihood, here: Sequence[FloatArray], near: Sequence[FloatArray]) -> float:
    """Return how far to go from `here` through `near`, at which 1 is, for the largest likelihood."""

    def loss(step: float) -> float:
        return -likelihood([np.maximum(a + step * (b - a), 0.0) for a, b in zip(here, near, strict=True)])

    return float(optimize.minimize_scalar(loss, bounds=(-8.0, 10.0), method="bounded").x)
