"""The tests of a verification, and the verdict that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fsp.verification.battery import Battery
from fsp.verification.samples import Runs
from fsp.verification.tallies import first_of, numbered
from fsp.verification.test import Test

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.verification.samples import Samples

MOST_APART = (
    1_000_000  # runs: beyond, fitted numbers are not precise enough to say how many tell two laws apart; chosen
)
EXIT_CODES = {"pass": 0, "fail": 1, "undecided": 2}  # as docs/command_line.md says


@dataclass(frozen=True, slots=True)
class Detectable:
    """The smallest change of a rate constant that these tests find.

    Parameters
    ----------
    parameter
        Its name.
    value
        The model's value.
    increase, decrease
        The smallest relative changes upwards and downwards that are found with probability `power`; infinite where
        no change that was looked at would be.
    power
        The probability.
    by
        The test that finds them.
    """

    parameter: str
    value: float
    increase: float
    decrease: float
    power: float
    by: str

    @property
    def relative(self) -> float:
        """The larger of both."""
        return max(self.increase, self.decrease)

    @property
    def changes(self) -> tuple[str, str]:
        """The change upwards and the one downwards, in words."""
        pairs = (self.increase, "+", "upwards"), (self.decrease, "-", "downwards")
        return tuple(  # type: ignore[return-value]  # of two
            f"{sign}{percent(size)}" if math.isfinite(size) else f"none {way}" for size, sign, way in pairs
        )

    def __str__(self) -> str:
        return f"{self.parameter} = {self.value:.6g}: {', '.join(self.changes)}"


def percent(size: float) -> str:
    """Write a relative size with two digits, and no exponent: ``2.8 %``, ``1,500 %``."""
    return f"{float(f'{100 * size:.2g}'):,.12g} %"


@dataclass(frozen=True, slots=True)
class Sought:
    """Something that these tests would find, or not, beside errors of rate constants."""

    name: str  # a key
    text: str  # a sentence
    found: bool

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Finding:
    """A hypothesis of what is wrong, and how well it fits.

    Parameters
    ----------
    name, text
        A key, and a sentence.
    log_likelihood
        Of the samples, merged to cells, more than under the model, in nats.
    fits
        Whether the samples pass the tests against the law of the hypothesis.
    runs
        Where several fit: about how many runs would tell the best two apart; None where more than `MOST_APART` would.
    """

    name: str
    text: str
    log_likelihood: float
    fits: bool
    runs: int | None = None

    def __str__(self) -> str:
        gain = f", log-likelihood {self.log_likelihood:+,.1f}" if self.log_likelihood else ""  # 0: it has no law
        return f"{self.text} ({'fits' if self.fits else 'does not fit'}{gain})"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Subject:
    """What was compared with what."""

    model_name: str
    model_hash: str
    n: int  # number of runs
    times: tuple[float, ...]
    species: tuple[str, ...]
    simulator: str = ""
    given: str = ""  # to the simulator: its file, or what was written in its place
    origin: Mapping[str, str] = field(default_factory=dict)  # seed, command, date, machine and versions, by name
    battery: Battery = field(default_factory=lambda: Battery((), 0))  # what was compared, for pictures
    samples: Samples | None = None  # the same


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Verdict(Subject):
    """What a verification found, and what follows from it."""

    alpha: float  # largest probability with which the samples of an exact simulator fail
    tests: tuple[Test, ...]  # with adjusted p-values
    error: float  # of the reference, the largest in the 1-norm
    certified: bool = True  # whether `error` is a bound; without, nothing fails
    detectable: tuple[Detectable, ...] = ()  # the smallest errors of rate constants that would be found
    sought: tuple[Sought, ...] = ()  # what else would be found, or not: runs that repeat, a missing event
    findings: tuple[Finding, ...] = ()  # hypotheses of what is wrong, best first
    notes: tuple[str, ...] = ()
    undecided: str = ""  # why there is no verdict although no test rejects; empty where there is one
    level: float | None = None  # of adjusted p-values, where not `alpha`: at one of several looks

    def rejects(self, test: Test) -> bool:
        """Return whether a test rejects."""
        return test.adjusted <= (self.alpha if self.level is None else self.level)

    @property
    def rejected(self) -> tuple[Test, ...]:
        """Tests whose adjusted p-value is at most the level, the smallest first."""
        return tuple(sorted(filter(self.rejects, self.tests), key=lambda test: test.p))

    @property
    def verdict(self) -> str:
        """``"pass"``, ``"fail"`` or ``"undecided"``."""
        if self.rejected:
            return "fail" if self.certified else "undecided"
        return "undecided" if self.undecided else "pass"

    @property
    def passed(self) -> bool:
        """Whether the verdict is a pass."""
        return self.verdict == "pass"

    @property
    def exit_code(self) -> int:
        """0 for a pass, 1 for a fail, 2 for neither."""
        return EXIT_CODES[self.verdict]

    @property
    def reached(self) -> float:
        """The relative error that is found in every rate constant; infinite where that is known of none."""
        return max((change.relative for change in self.detectable), default=math.inf)

    @property
    def repeated(self) -> list[tuple[int, int]]:
        """Runs, from 0 on, that are alike at all times, the earlier one first, where tests of repeats reject."""
        kinds = {test.kind for test in self.rejected}
        if not isinstance(self.samples, Runs) or not kinds & {"repeats", "memory"}:
            return []
        numbers = numbered(self.samples.counts.reshape(self.samples.n, -1))
        earlier = first_of(numbers)[numbers].tolist()
        return [(run, later) for later, run in enumerate(earlier) if run != later]

    @property
    def smallest(self) -> Test:
        """The test with the smallest p-value."""
        return min(self.tests, key=lambda test: test.p)

    @property
    def explanations(self) -> tuple[Finding, ...]:
        """The findings that fit."""
        return tuple(finding for finding in self.findings if finding.fits)

    @property
    def apart(self) -> str:
        """How many runs tell the best two laws that fit apart, in words; empty where no two fit."""
        laws = [law for law in self.explanations if law.log_likelihood > 0]  # findings on runs and readers have 0
        if len(laws) < 2:
            return ""
        if laws[0].runs is None:
            return f"more than {MOST_APART:,} runs tell the best two apart at these times; others may with fewer"
        return f"about {laws[0].runs:,} runs tell the best two apart"


def p_is(p: float) -> str:
    """Write what a p-value is: ``p = 0.02``, or ``p < 1e-300``."""
    return f"p = {number(p)}".replace("= <", "<")


def number(p: float) -> str:
    """Write a p-value with two digits."""
    return f"{p:.2g}" if p >= 1e-300 or np.isnan(p) else "< 1e-300"
