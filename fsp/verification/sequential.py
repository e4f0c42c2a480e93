"""Ask a simulator for runs until there is a verdict.

The number of runs doubles from look to look.  Look k is made at the level alpha / (k (k + 1)), which sums to alpha over
all looks, so the chance that an exact simulator ever fails is at most alpha, however many looks there are.  The
simulator passes where no test rejects and the smallest detectable error of every rate constant is small enough, and is
undecided where the runs are used up before.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ArgumentError
from fsp.verification.samples import Runs
from fsp.verification.verdict import percent

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.verification.report import Report

FIRST_RUNS, MOST_SEQUENTIAL_RUNS = 1000, 1_000_000  # of the first look, and at the most: defaults of `fsp.verify`


def until_detectable(
    look: Callable[[Runs, float], Report],
    batch: Callable[[int, int], Runs],
    *,
    alpha: float,
    target: float,
    first: int = FIRST_RUNS,
    limit: int = MOST_SEQUENTIAL_RUNS,
    tell: Callable[[str], None] | None = None,
) -> Report:
    """Take runs until fail, pass, or the limit."""
    if not target > 0 or not 1 <= first <= limit:
        raise ArgumentError(
            f"`until_detectable` must be positive and `runs` at most `max_runs`, but they are {target}, {first} and "
            f"{limit}."
        )
    counts, number = None, 0
    while True:
        number += 1
        done = 0 if counts is None else len(counts)
        new = batch(min(first if counts is None else done, limit - done), done)
        counts = new.counts if counts is None else np.concatenate([counts, new.counts])
        report = look(Runs(counts, new.times, new.species), alpha / (number * (number + 1)))
        report = replace(report, alpha=alpha, level=alpha / (number * (number + 1)))
        reached = report.reached
        if tell is not None:
            told = "" if report.rejected else f", errors of {percent(reached)} are detectable"
            tell(f"look {number}, {len(counts):,} runs: {len(report.rejected)} tests reject{told}")
        if report.rejected or reached <= target:
            return report
        if not report.detectable:
            return replace(report, undecided="no rate constant is known to be seen, however many runs there are")
        if len(counts) >= limit:
            return replace(
                report,
                undecided=f"with {limit:,} runs errors of {percent(reached)} of a rate constant are detectable, "
                f"not of {percent(target)}",
            )
