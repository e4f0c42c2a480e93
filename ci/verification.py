"""Measure how often exact samplers fail: `fsp.verify`'s tests on many sets of runs of each of several models.

The samplers know nothing of the package's solvers: molecules that change independently are binomial counts, births are
Poisson, and a network with pairs is sampled by the direct method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

import fsp
from fsp.verification.battery import Battery

TIMES = np.array([0.5, 1.0, 2.0])
LEVELS = (1e-3, 1e-2, 1e-1)
REPEATS = {100: 500, 1_000: 300, 10_000: 80, 100_000: 12}

NOTE = f"""\
Sets of runs of exact samplers at {len(TIMES)} times, each verified against the certified solution, and how many of \
them fail at a level.
A level is the probability of failure that is promised for all tests of a set together; failures beyond it, by more \
than their binomial error allows, would make this section fail.
Far fewer fail than may: counts are discrete, and the tests of one set depend on each other."""


@dataclass(frozen=True)
class Exact:
    """A model and a sampler that needs no solution of it."""

    model: fsp.Model
    sample: Callable[[int, np.random.Generator], np.ndarray]


def isomerization() -> Exact:
    """Molecules that change back and forth, independently."""
    forth, back, total = 1.0, 0.5, 30

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        a, earlier, rate, counts = np.full(n, total), 0.0, forth + back, []
        for t in TIMES:
            gone = -np.expm1(-rate * (t - earlier))
            a = rng.binomial(a, 1 - forth / rate * gone) + rng.binomial(total - a, back / rate * gone)
            counts.append(np.stack([a, total - a], axis=1))
            earlier = t
        return np.stack(counts, axis=1)

    reactions = [fsp.Reaction("A -> B", mass_action=forth), fsp.Reaction("B -> A", mass_action=back)]
    return Exact(fsp.Model(name="isomerization", species={"A": total, "B": 0}, reactions=reactions), sample)


def births_and_deaths() -> Exact:
    """Births at a constant rate, independent deaths."""
    birth, death, start = 20.0, 1.0, 5

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        x, earlier, counts = np.full(n, start), 0.0, []
        for t in TIMES:
            kept = np.exp(-death * (t - earlier))
            x = rng.binomial(x, kept) + rng.poisson(birth / death * (1 - kept), n)
            counts.append(x[:, None])
            earlier = t
        return np.stack(counts, axis=1)

    reactions = [fsp.Reaction("0 -> X", rate=birth), fsp.Reaction("X -> 0", mass_action=death)]
    return Exact(fsp.Model(name="births and deaths", species={"X": start}, reactions=reactions), sample)


def dimers() -> Exact:
    """Pairs that join and part, by the direct method for all runs at once."""
    model = fsp.Model(
        name="dimers",
        species={"M": 12, "D": 0},
        reactions=[fsp.Reaction("2 M -> D", mass_action=0.1), fsp.Reaction("D -> 2 M", mass_action=0.5)],
    )

    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        joined, clock, counts = np.zeros(n, dtype=int), np.zeros(n), np.zeros((n, len(TIMES), 2), dtype=int)
        active = np.arange(n)
        while len(active):
            d = joined[active]
            m = 12 - 2 * d
            join, part = 0.1 * m * (m - 1) / 2, 0.5 * d
            later = clock[active] + rng.exponential(size=len(active)) / (join + part)
            for k, t in enumerate(TIMES):
                passed = (clock[active] <= t) & (t < later)
                counts[active[passed], k] = np.stack([m, d], axis=1)[passed]
            joined[active] += np.where(rng.uniform(size=len(active)) * (join + part) < join, 1, -1)
            clock[active] = later
            active = active[later <= TIMES[-1]]
        return counts

    return Exact(model, sample)


def false_alarms() -> str:
    """Return the table of failures; raise SystemExit where there are more than may be."""
    rng, rows, failed = np.random.default_rng(1), [], []
    totals, sets = np.zeros(len(LEVELS), dtype=int), 0
    for exact in (isomerization(), births_and_deaths(), dimers()):
        for n, repeats in REPEATS.items():
            reference = tuple(fsp.transient(exact.model, TIMES, tol=1e-10))
            battery = Battery(reference, n)
            smallest = np.ones(repeats)
            for i in range(repeats):
                tests = battery.run(fsp.Runs(exact.sample(n, rng), TIMES, exact.model.species))
                smallest[i] = min(test.adjusted for test in tests)
            failures = [(smallest <= level).sum() for level in LEVELS]
            totals, sets = totals + failures, sets + repeats
            rows.append(f"| {exact.model.name} | {n:,} | {repeats} | {' | '.join(map(str, failures))} |")
    for level, total in zip(LEVELS, totals, strict=True):
        if total > stats.binom.isf(1e-4, sets, level):
            failed.append(f"{total} of {sets} exact samplers fail at level {level}")
    if failed:
        raise SystemExit("\n".join(failed))
    allowed = " | ".join(f"{level * sets:.1f}" for level in LEVELS)
    head = " | ".join(f"fail at {level:g}" for level in LEVELS)
    return "\n".join(
        [
            f"| model | runs | sets | {head} |",
            f"|---|---|---|{'---|' * len(LEVELS)}",
            *rows,
            f"| all |  | {sets:,} | {' | '.join(map(str, totals))} |",
            f"| promised at most, on average |  |  | {allowed} |",
        ]
    )
