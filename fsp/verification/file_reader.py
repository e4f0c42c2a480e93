"""Whether a simulator that fails reads the file wrongly, by what it does with the same network as it is written here.

The simulator is asked for as many runs of the network with numbers in place of parameters, amounts, and one compartment
of size 1.  Where those pass the tests, and are told apart from the runs of the file, the reader of the file is wrong.
Of the mistakes that fit, those of a reader then come first.  Where those fail too, a rule may be missed that
what is written needs as well: events, stoichiometries.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fsp.errors import FSPError
from fsp.verification.diagnosis import SampleLikelihood
from fsp.verification.misreadings import MISREADINGS, OTHERS
from fsp.verification.verdict import Finding

if TYPE_CHECKING:
    from fsp.verification.report import Report
    from fsp.verification.run_source import RunSource
    from fsp.verification.samples import Runs

WRITTEN = "the same network as fsp writes it (numbers in place of parameters, amounts, one compartment of size 1)"

NOT_THE_READER = "what is wrong is not, or not only, how parameters, rules, units and volumes are read"


def with_reader_judged(report: Report, runs: Runs, asked: RunSource, level: float) -> Report:
    """Return the report of runs that fail, with what is to be said of the reader of the file."""
    try:
        again = asked.runs(report.n, rewritten=True)
    except FSPError as error:
        return _noted(report, f"The network as fsp writes it could not be tried, to judge the reader: {error}")
    if min(test.adjusted for test in report.battery.run(again)) <= level:
        return _noted(report, f"Given {WRITTEN}, it fails too: {NOT_THE_READER}.")
    if not _differ(report, runs, again, level):
        return _noted(report, f"Given {WRITTEN}, it passes, but {report.n:,} runs do not tell that from the file's.")
    text = f"the file is misread: given {WRITTEN}, the simulator passes"
    others = sorted(
        report.findings, key=lambda finding: (not finding.fits, finding.name not in (*MISREADINGS, *OTHERS))
    )
    return replace(report, findings=(Finding("reader", text, 0.0, True), *others))


def _differ(report: Report, runs: Runs, again: Runs, level: float) -> bool:
    """Return whether runs of the file and of what is written have different laws."""
    likelihood, other = (SampleLikelihood.of(report.battery, runs_given) for runs_given in (runs, again))
    shares = [seen / again.n for _, _, _, seen in other.cells]
    return likelihood.same(shares, again.n) <= level


def _noted(report: Report, text: str) -> Report:
    return replace(report, notes=(*report.notes, text))
