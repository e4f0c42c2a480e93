"""What a pass is worth: whether runs that repeat, or an event that is missing, would have been found, and which errors.

A block of k runs that repeats an earlier one is found where k equal pairs of n/2, at the best lag, are improbable
enough for the test of repeats; two right runs are alike with a probability of at most κ (`independence`), which is near
one where outputs are coarse.  A missing event is found where the best single test rejects under the law without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.distribution.text import counted
from fsp.doors import transient
from fsp.errors import FSPError
from fsp.verification import p_values
from fsp.verification.independence import FEWEST, coincidence
from fsp.verification.power import VARIANT_TOL, Power
from fsp.verification.samples import Planned, Runs
from fsp.verification.verdict import Sought, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.model import Model
    from fsp.verification.battery import Battery
    from fsp.verification.report import Report
    from fsp.verification.samples import Samples

WEAK = 0.5  # relative error of a rate constant, above which a pass is called weak; chosen
MOST_EVENTS = 6  # that are left out in turn; chosen


def sought(
    model: Model, samples: Samples | Planned, battery: Battery, *, level: float, power: float
) -> tuple[Sought, ...]:
    """Return what tests at a level, each, would find beside errors of rate constants, with a probability."""
    checks = [_repeats(samples, battery, level)] if isinstance(samples, Runs | Planned) else []
    return (*checks, *_events(model, samples, battery, level, power))


def _repeats(runs: Runs | Planned, battery: Battery, level: float) -> Sought:
    half = runs.n // 2
    chance = min(coincidence(battery.joint(k, runs.species)) for k in range(len(runs.times)))
    counts = np.arange(half + 1)
    p = p_values.at_least(counts, half, chance) * 2 * max(runs.n - 1, 1)
    enough = np.flatnonzero(p <= level)
    if runs.n < FEWEST or not len(enough):
        why = (
            f"two right runs are alike with probability up to {chance:.2g}"
            if runs.n >= FEWEST
            else f"there {'is' if runs.n == 1 else 'are'} {counted(runs.n, 'run')} only"
        )
        return Sought("repeats", f"runs that repeat would not be found: {why}", found=False)
    return Sought("repeats", f"{enough[0]:,} runs that repeat others would be found", found=True)


def _events(model: Model, samples: Samples | Planned, battery: Battery, level: float, power: float) -> Iterator[Sought]:
    if not model.events:
        return
    looker = Power(battery, samples, level)
    for event, wrong in without_events(model):
        try:
            law = tuple(transient(wrong, samples.times, tol=VARIANT_TOL))
        except FSPError:
            continue
        detected = looker.of(looker.features(law))[0] >= power
        yield Sought("event", f"event '{event}' missing would {'' if detected else 'not '}be found", found=detected)


def without_events(model: Model) -> Iterator[tuple[str, Model]]:
    """Yield the name of each event, and the model without it."""
    for event in model.events[:MOST_EVENTS]:
        yield str(event.name), model.with_events([other for other in model.events if other.name != event.name])


def held_to(report: Report, require: float | None) -> Report:
    """Return a report whose pass is undecided where errors of the size required would not have been found."""
    reached = report.reached
    worst = max(report.detectable, key=lambda change: change.relative, default=None)
    what = "no rate constant is known to be seen" if worst is None else (
        f"errors of {'no size that was tried' if np.isinf(reached) else percent(reached)} of "
        f"'{worst.parameter}' are found"
    )  # fmt: skip
    if require is not None and reached > require:
        return replace(report, undecided=f"{what}, not of {percent(require)}; give more runs, or other times")
    if reached > WEAK and report.verdict == "pass":
        return replace(report, notes=(*report.notes, f"This pass says little: {what} with these runs and times."))
    return report
