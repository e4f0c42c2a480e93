"""Measure how often wrong samplers fail `fsp.verify`, beside the power that it prints, and what it names.

The sampler is the direct method for all runs at once, written here; each mistake is made in it, and not in the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy import stats

import fsp
from fsp.verification.battery import Battery
from fsp.verification.planning import number_of_tests
from fsp.verification.power import Power
from fsp.verification.samples import Planned

Law = tuple[fsp.Distribution, ...]  # for each time
TIMES = np.array([0.3, 0.6, 1.0])
SIZES = (0.01, 0.03, 0.1)
RUNS, SETS, RIGHT = 4_000, 20, 100
ALPHA = 1e-3
TOO_FEW = 1e-4  # probability of so few failures, or fewer, at the printed power, below which this section fails
START, MAKE, PAIR, LOSE = 12, 25.0, 0.06, 0.8

NOTE = f"""\
Wrong samplers of a network (births, pairs that join, loss of pairs), {SETS} sets of {RUNS:,} runs each, beside the \
power of the best single test, which is what reports print and a lower estimate.
Fewer failures than that power allows, a failure of one of {RIGHT} sets of the right sampler, or a wrong name would \
make this section fail.
Named is what fits best for one set of runs at the largest size, where that is found at all; no hypothesis \
says that some waits are zero."""


def network(make: float = MAKE, pair: float = PAIR, lose: float = LOSE, squares: float = 0.0) -> fsp.Model:
    """Return the network; `squares`: share of P² in place of P (P - 1)."""
    pairs = f"piecewise({pair!r}*(P*(P - 1) + {squares!r}*P)/2, P > 1, 0)"
    return fsp.Model(
        name="joining",
        species={"P": START, "D": 0},
        reactions=[
            fsp.Reaction("0 -> P", rate=make, name="making"),
            fsp.Reaction("2 P -> D", rate=pairs, name="joining"),
            fsp.Reaction("D -> 0", rate=f"{lose!r}*D", name="losing"),
        ],
    )


@dataclass(frozen=True)
class Sampler:
    """The direct method with its mistakes, none by default."""

    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of the rates
    squares: float = 0.0  # share of P² in place of P (P - 1)
    left_out: float = 0.0  # probability that a pair that is chosen does not join
    at_once: float = 0.0  # probability that a wait is zero
    late: float = 0.0  # relative error of the output times
    repeated: float = 0.0  # share of the runs that repeat earlier ones

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return counts, (n, times, 2)."""
        times = TIMES * (1 + self.late)
        p, d, clock = np.full(n, START), np.zeros(n, dtype=int), np.zeros(n)
        counts = np.zeros((n, len(times), 2), dtype=int)
        active = np.arange(n)
        while len(active):
            a, b = p[active], d[active]
            make = np.full(len(active), MAKE * self.factors[0])
            join = PAIR * self.factors[1] * (a > 1) * (a * (a - 1) + self.squares * a) / 2
            total = make + join + LOSE * self.factors[2] * b
            wait = rng.exponential(size=len(active)) / total * (rng.uniform(size=len(active)) >= self.at_once)
            later = clock[active] + wait
            for k, t in enumerate(times):
                passed = (clock[active] <= t) & (t < later)
                counts[active[passed], k] = np.stack([a, b], axis=1)[passed]
            u = rng.uniform(size=len(active)) * total
            made, joined = u < make, (u >= make) & (u < make + join)
            lost = ~(made | joined)
            joined &= rng.uniform(size=len(active)) >= self.left_out
            p[active] += made.astype(int) - 2 * joined
            d[active] += joined.astype(int) - lost
            clock[active] = later
            active = active[later <= times[-1]]
        again = int(self.repeated * n)
        counts[n - again :] = counts[:again]
        return counts


@dataclass(frozen=True)
class Mistake:
    """A mistake by its size."""

    text: str
    sampler: Callable[[float], Sampler]
    law: Callable[[float], Law] | None  # that its samples have; None where no model has it
    names: set[str] = field(default_factory=set)  # keys of findings that name it; none where no hypothesis is quite it
    of: str = ""  # what the sentence must hold


def solved(model: fsp.Model, times: np.ndarray = TIMES) -> Law:
    """Return the law of a network."""
    return tuple(fsp.transient(model, times, tol=1e-8))


MISTAKES = (
    Mistake("births too frequent", lambda e: Sampler(factors=(1 + e, 1, 1)),
            lambda e: solved(network(make=MAKE * (1 + e))), {"rate"}, "'making'"),
    Mistake("pairs join too seldom", lambda e: Sampler(factors=(1, 1 - e, 1)),
            lambda e: solved(network(pair=PAIR * (1 - e))), {"rate"}, "'joining'"),
    Mistake("loss too frequent", lambda e: Sampler(factors=(1, 1, 1 + e)),
            lambda e: solved(network(lose=LOSE * (1 + e))), {"rate"}, "'losing'"),
    Mistake("waits too long", lambda e: Sampler(factors=(1 - e,) * 3),
            lambda e: solved(network(MAKE * (1 - e), PAIR * (1 - e), LOSE * (1 - e))), {"time-scale"}),
    Mistake("P² in place of P (P - 1), in a share", lambda e: Sampler(squares=e),
            lambda e: solved(network(squares=e)), {"rate", "square"}, "'joining'"),
    Mistake("pairs that join are left out, with a probability", lambda e: Sampler(left_out=e),
            lambda e: solved(network(pair=PAIR * (1 - e))), {"rate"}, "'joining'"),
    Mistake("output times too late", lambda e: Sampler(late=e),
            lambda e: solved(network(), TIMES * (1 + e)), {"time-scale"}),
    Mistake("waits of zero, with a probability", lambda e: Sampler(at_once=e), None),
    Mistake("runs that repeat earlier ones, a share", lambda e: Sampler(repeated=e), None, {"seeds"}),
)  # fmt: skip


def wrong_samplers() -> str:
    """Return the table; raise SystemExit where something is not as promised."""
    rng, wrong, rows = np.random.default_rng(1), [], []
    reference = tuple(fsp.transient(network(), TIMES, tol=1e-10))
    battery = Battery(reference, RUNS)
    planned = Planned(RUNS, TIMES, reference[0].species)
    looker = Power(battery, planned, ALPHA / number_of_tests(planned))

    def fails(sampler: Sampler) -> bool:
        runs = fsp.Runs(sampler.sample(RUNS, rng), TIMES, reference[0].species)
        return min(test.adjusted for test in battery.run(runs)) <= ALPHA

    for mistake in MISTAKES:
        for size in SIZES:
            power = looker.of(looker.features(mistake.law(size)))[0] if mistake.law else None
            failed = sum(fails(mistake.sampler(size)) for _ in range(SETS))
            if power is not None and stats.binom.cdf(failed, SETS, power) < TOO_FEW:
                wrong.append(f"{mistake.text}, {size:.0%}: {failed} of {SETS} sets fail, at a power of {power:.3f}")
            seen = size == SIZES[-1] and (power is None or power > 0.5)
            name = named(mistake, size, rng, wrong) if seen else ""
            shown = "" if power is None else f"{power:.2g}"
            rows.append(f"| {mistake.text} | {100 * size:g} % | {shown} | {failed} of {SETS} | {name} |")
    false = sum(fails(Sampler()) for _ in range(RIGHT))
    rows.append(f"| none | | | {false} of {RIGHT} | |")
    if false:
        wrong.append(f"{false} of {RIGHT} sets of the right sampler fail")
    if wrong:
        raise SystemExit("\n".join([*rows, *wrong]))
    head = "| mistake | size | power | sets that fail | named |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])


def named(mistake: Mistake, size: float, rng: np.random.Generator, wrong: list[str]) -> str:
    """Return what is named first for one set of runs, and note it where that is wrong."""
    counts = mistake.sampler(size).sample(RUNS, rng)
    report = fsp.verify(network(), counts, TIMES, power=None)
    causes = report.explanations
    if mistake.names and (not causes or causes[0].name not in mistake.names or mistake.of not in causes[0].text):
        wrong.append(f"{mistake.text}, {size:.0%}: {report.verdict}, named {causes[0].text if causes else 'nothing'}")
    return causes[0].text.split(", which is no")[0] if causes else "nothing"
