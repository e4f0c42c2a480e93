"""The joint distribution of a species at two times, from the solver that gives the distribution at one.

At the first time t the states are cut in two at the median of the species.  Each half, divided by its probability, is
a start from which the model is solved to the second time u; the chain does not expand the 1-norm, so what is then
known of (half at t, count at u) is off by the error at t and by those of the two solutions, weighted.  A simulator that
samples each time by itself, or with the wrong memory, has the right distribution at both times and the wrong one here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.distribution import Distribution, ErrorLedger
from fsp.doors import transient
from fsp.verification.battery import cells_test
from fsp.verification.expected import Expected
from fsp.verification.slack import Slack
from fsp.verification.tallies import tally

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import BoolArray
    from fsp.distribution import Solution
    from fsp.model import Model
    from fsp.verification.samples import Runs
    from fsp.verification.test import Test

MOST_PAIRS, MOST_TESTED_SPECIES = 2, 3  # that are tested, two solutions each; chosen
HALF_TOL = 1e-9  # of the solution from each half, little beside the spread of 10⁶ runs
# Of probabilities that are divided by their sum, which is multiplied with in the end.
NORMALISED_ROUNDING = 4.0 * UNIT_ROUNDOFF


def two_time_tests(model: Model, solution: Solution, runs: Runs) -> Iterator[Test]:
    """Return tests of pairs of neighbouring times, the first and the last."""
    last = len(runs.times) - 2
    for k in sorted({0, last})[-MOST_PAIRS:] if last >= 0 else []:
        for name in runs.species[:MOST_TESTED_SPECIES]:
            expected = _expected(model, solution[k], float(runs.times[k + 1]), name, runs.n)
            if expected is not None:
                column = runs.species.index(name)
                above = runs.counts[:, k, column] > expected[1]
                states = np.stack([above, runs.counts[:, k + 1, column]], axis=1).astype(np.int64)
                test = cells_test("two-time", expected[0], float(runs.times[k + 1]), *tally(states))
                yield replace(test, species=(name,), where=_in_words(test.where, expected[0].names[0]))


def _in_words(where: str, above: str) -> str:
    """Return what was seen with the half of the first time as a condition: ``[X > 7 at t = 1] <= 0`` is no language."""
    below = above.strip("[]").replace(" > ", " <= ", 1)
    return where.replace(f"{above} <= 0", below).replace(f"{above} > 0", above.strip("[]"))


def _expected(model: Model, first: Distribution, t: float, name: str, n: int) -> tuple[Expected, int] | None:
    """Return the law of (above the median at the first time, count at `t`), and the median; None if nothing varies."""
    counts = first.states[:, first.species.index(name)]
    order = np.argsort(counts, kind="stable")
    sums = np.cumsum(first.probabilities[order])
    median = int(counts[order][int(np.searchsorted(sums, sums[-1] / 2))])
    median = min(median, int(counts.max()) - 1)
    above: BoolArray = counts > median
    if not 0.01 < float(first.probabilities[above].sum()) < 0.99:
        return None
    states, probabilities, error = [], [], first.error.total
    for half in (False, True):
        later, mass = _half(model, first, above == half, t)
        marginal = later.marginal(name)
        states.append(np.stack([np.full(len(marginal), half), marginal.states[:, 0]], axis=1).astype(np.int64))
        probabilities.append(mass * marginal.probabilities)
        error += mass * marginal.error.total
    held = np.concatenate(probabilities)
    slack = Slack.within(error, float(held.sum()), len(held))
    names = (f"[{name} > {median} at t = {first.t:.6g}]", name)
    return Expected(np.concatenate(states), held, slack, n, names), median


def _half(model: Model, first: Distribution, kept: BoolArray, t: float) -> tuple[Distribution, float]:
    """Return what becomes of some of the states by time `t`, as a distribution, and their probability."""
    mass = float(first.probabilities[kept].sum())
    start = Distribution(
        first.states[kept],
        first.probabilities[kept] / mass,
        first.species,
        t=first.t,
        error=ErrorLedger(rounding=NORMALISED_ROUNDING),
        model_hash=first.model_hash,
    )
    return transient(model, [t], tol=HALF_TOL, start=start)[0], mass
