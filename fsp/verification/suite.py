"""The SBML stochastic test suite, solved: means and standard deviations against its tables, with proof.

Each number of a table is compared with an interval that certainly holds the exact one.  They agree where the whole
interval lies within what the tables are accurate to, and differ where all of it lies outside; else the case is solved
again with a smaller tolerance.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fsp.distribution import Interval
from fsp.distribution import bounds as bounds_of
from fsp.distribution.text import round_up, table
from fsp.doors import transient
from fsp.errors import FSPError, ModelError, ToleranceWarning
from fsp.formats import load
from fsp.formats.sbml_parts import is_concentration
from fsp.model.arguments import require_unmoved
from fsp.output.summaries import csv_text
from fsp.verification.cases import STATISTICS, Case, chosen_cases, read_case

if TYPE_CHECKING:
    from fsp.distribution import Distribution, ErrorLedger, Solution
    from fsp.model import Model

R = TypeVar("R")  # a row
RELATIVE = {"mean": 1e-6, "sd": 2e-6}  # what the tables are accurate to
ABSOLUTE = 2.5e-5  # the same of small numbers
TOLERANCES = (1e-8, 1e-10, 1e-12)  # tried in turn until every number is decided
VERDICTS = AGREES, DIFFERS, OPEN, NO_CME, FAILED = "agrees", "differs", "not decided", "no CME", "failed"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, compared."""

    variable: str
    statistic: str
    verdict: str  # ``"agrees"``, ``"differs"`` or ``"not decided"``
    gap: float  # the largest distance that an exact number may have from the table, in units of what is allowed
    t: float  # where that is, and what the table has there
    expected: float
    interval: Interval

    def __str__(self) -> str:
        return (
            f"{self.variable}-{self.statistic} at t = {self.t:g}: table {self.expected:.10g}, here {self.interval}, "
            f"{self.gap:.2g} of what is allowed"
        )


@dataclass(frozen=True, slots=True)
class CaseRow:
    """What came of a case."""

    name: str  # number of the case, and name of its model
    model: str
    verdict: str
    columns: tuple[Column, ...] = ()
    n_states: int | None = None  # of the solution: largest space, error, tolerance
    error: ErrorLedger | None = None
    tol: float | None = None
    seconds: float = 0.0
    reason: str = ""  # why it is no CME, or failed

    @property
    def worst(self) -> Column | None:
        """The column with the largest gap."""
        return max(self.columns, key=lambda column: column.gap, default=None)


@dataclass(frozen=True, slots=True)
class SuiteReport:
    """What came of all cases."""

    rows: tuple[CaseRow, ...]
    seconds: float = field(default=0.0)

    @property
    def exit_status(self) -> int:
        """0 where all cases that are CMEs agree, 1 where one differs, 2 where one is not decided or failed."""
        verdicts = {row.verdict for row in self.rows}
        if DIFFERS in verdicts:
            return 1
        return 2 if verdicts & {OPEN, FAILED} or AGREES not in verdicts else 0

    def __str__(self) -> str:
        """Return a table, a line of counts, and what is to be said about single cases."""
        lines = table(("case", "model", "states", "error", "gap", "s", "verdict"), [_cells(row) for row in self.rows])
        counts = [(verdict, sum(row.verdict == verdict for row in self.rows)) for verdict in VERDICTS]
        said = ", ".join(f"{n} {verdict}" for verdict, n in counts if n)
        lines += [f"{len(self.rows)} cases in {self.seconds:.3g} s: {said}"]
        lines += ["gap: the largest distance from the table that is possible, in units of what is allowed"]
        for row in self.rows:
            if row.reason:
                lines.append(f"{row.verdict}: {row.name}: {row.reason}")
            elif row.verdict in (DIFFERS, OPEN):
                lines += [f"{row.verdict}: {row.name}: {column}" for column in row.columns if column.verdict != AGREES]
        return "\n".join(lines)

    def to_csv(self) -> str:
        """Return a table with a line for each column that was compared, and for each case without one."""
        header = ["case", "model", "verdict", "variable", "statistic", "column verdict", "gap", "t", "expected",
                  "lower", "upper", "certified", "states", "error", "tol", "seconds", "reason"]  # fmt: skip
        lines = []
        for row in self.rows:
            tail = [row.n_states, None if row.error is None else row.error.total, row.tol, row.seconds, row.reason]
            for column in row.columns or (None,):
                lines.append([row.name, row.model, row.verdict, *_compared(column).values(), *tail])
        return csv_text(header, lines)

    def record(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries and lists."""
        cases = [
            {
                "case": row.name,
                "model": row.model,
                "verdict": row.verdict,
                "states": row.n_states,
                "error": None if row.error is None else row.error.total,
                "tol": row.tol,
                "seconds": row.seconds,
                "reason": row.reason,
                "columns": [_compared(column) for column in row.columns],
            }
            for row in self.rows
        ]
        allowed = {"mean": RELATIVE["mean"], "sd": RELATIVE["sd"], "absolute": ABSOLUTE}
        return {"allowed": allowed, "seconds": self.seconds, "exit_status": self.exit_status, "cases": cases}


def _cells(row: CaseRow) -> list[str]:
    states = "-" if row.n_states is None else f"{row.n_states:,}"
    error = "-" if row.error is None else f"{row.error.sign} {round_up(row.error.total)}"
    gap = "-" if row.worst is None else f"{row.worst.gap:.2g}"
    return [row.name, row.model or "-", states, error, gap, f"{row.seconds:.3g}", row.verdict]


def _compared(column: Column | None) -> dict[str, Any]:
    names = ("variable", "statistic", "verdict", "gap", "t", "expected", "lower", "upper", "certified")
    if column is None:
        return dict.fromkeys(names)
    ends = (column.interval.lower, column.interval.upper, column.interval.certified)
    return dict(zip(names, (*(getattr(column, name) for name in names[:6]), *ends), strict=True))


# ---- the work


def run_suite(
    folder: Path,
    *,
    level: str | None = None,
    only: tuple[str, ...] = (),
    tell: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> SuiteReport:
    """Solve the cases of a folder, and compare them with their tables."""
    started = perf_counter()
    rows = in_turn(chosen_cases(folder, only), lambda path: run_case(path, level), tell)
    return SuiteReport(rows, perf_counter() - started)


def run_case(folder: Path, level: str | None = None) -> CaseRow:
    """Solve one case, and compare it with its table; what goes wrong becomes the reason of its row."""
    return attempted(folder, level, CaseRow, _solved)


def in_turn(folders: Sequence[Path], run: Callable[[Path], R], tell: Callable[[int, int, str], None]) -> tuple[R, ...]:
    """Run cases one after the other, and tell of each before."""
    rows = []
    for k, path in enumerate(folders):
        tell(k, len(folders), path.resolve().name)
        rows.append(run(path))
    return tuple(rows)


def attempted(folder: Path, level: str | None, row: Callable[..., R], work: Callable[[Case, Model, float], R]) -> R:
    """Read a case and work on it, which began at a time; what goes wrong becomes the reason of its row."""
    started, name = perf_counter(), folder.resolve().name
    try:
        case = read_case(folder, level)
        try:
            model = load(case.path)
        except ModelError as error:
            return row(name, "", NO_CME, reason=str(error), seconds=perf_counter() - started)
        return work(case, model, started)
    except (FSPError, MemoryError) as error:
        return row(name, "", FAILED, reason=str(error) or type(error).__name__, seconds=perf_counter() - started)


def _solved(case: Case, model: Model, started: float) -> CaseRow:
    """Solve with smaller tolerances until every number is decided."""
    formulas = {variable: formula_of(case, model, variable) for variable in case.variables}
    row = CaseRow(case.name, model.name, OPEN)
    for tol in TOLERANCES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)  # the intervals say what was reached
            solution = transient(model, case.times, tol)
        columns = tuple(_columns(case, solution, formulas))
        verdicts = {column.verdict for column in columns}
        verdict = DIFFERS if DIFFERS in verdicts else OPEN if OPEN in verdicts else AGREES
        states = int(solution.statistics["largest_space"])
        row = CaseRow(case.name, model.name, verdict, columns, states, solution.error, tol, perf_counter() - started)
        if verdict != OPEN:
            return row
    return row


def formula_of(case: Case, model: Model, variable: str) -> str | float:
    """Return a variable of the table as a formula of the state, or its value where it has one."""
    known: str | float = variable
    if variable in model.parameters:
        require_unmoved(model, [variable], f"Variable '{variable}' of case {case.name}")
        known = model.parameters[variable]
    elif variable not in model.species and variable not in model.observables:
        raise ModelError(f"Variable '{variable}' of case {case.name} must be in the model, but is not.")
    size, is_concentration_here = _place(case, model, variable)
    if is_concentration_here == (variable in case.concentrations):
        return known
    factor = size if is_concentration_here else 1.0 / size
    return known * factor if isinstance(known, float) else f"({known}){'*' if is_concentration_here else '/'}{size!r}"


def _place(case: Case, model: Model, variable: str) -> tuple[float, bool]:
    """Return the size of a species' compartment, and whether its symbol in the model stands for a concentration.

    A species that a rule determines is a formula with the value that its symbol has in the file; others are counts.
    """
    import libsbml

    document = libsbml.readSBMLFromFile(str(case.path))  # species are freed with it
    written = document.getModel()
    species = written.getSpecies(variable)
    if species is None:
        return 1.0, False
    compartment = species.getCompartment()
    size = model.parameters.get(compartment)
    in_file = written.getAssignmentRuleByVariable(variable) is not None and is_concentration(species, written)
    if size is None and (in_file or variable in case.concentrations):
        raise ModelError(
            f"Compartment '{compartment}' must have a size, because case {case.name} has a concentration "
            f"in it, but has none."
        )
    if in_file or variable in case.concentrations:
        require_unmoved(model, [compartment], f"The concentration '{variable}' of case {case.name}")
    return (1.0 if size is None else float(size)), in_file


def _columns(case: Case, solution: Solution, formulas: dict[str, str | float]) -> Iterator[Column]:
    for variable, formula in formulas.items():
        intervals = [_mean_and_deviation(dist, formula) for dist in solution]
        for statistic, interval in zip(STATISTICS, zip(*intervals, strict=True), strict=True):
            expected = case.table.get((variable, statistic))
            if expected is not None:
                yield _column(variable, statistic, case, expected.tolist(), interval)


def _column(
    variable: str, statistic: str, case: Case, expected: list[float], intervals: tuple[Interval, ...]
) -> Column:
    """Return the verdict on a column, with the place of its largest gap."""
    allowed = [max(RELATIVE[statistic] * abs(value), ABSOLUTE) for value in expected]
    farthest, nearest = [], []
    for value, interval, unit in zip(expected, intervals, allowed, strict=True):
        farthest.append(max(abs(interval.upper - value), abs(interval.lower - value)) / unit)
        nearest.append(max(interval.lower - value, value - interval.upper, 0.0) / unit)
    certified = all(interval.certified for interval in intervals)
    if certified and max(farthest) <= 1.0:
        verdict, k = AGREES, int(np.argmax(farthest))
    elif max((gap for gap, interval in zip(nearest, intervals, strict=True) if interval.certified), default=0.0) > 1.0:
        verdict, k = DIFFERS, int(np.argmax(nearest))
    else:
        verdict, k = OPEN, int(np.argmax(farthest))
    return Column(variable, statistic, verdict, float(farthest[k]), float(case.times[k]), expected[k], intervals[k])


def _mean_and_deviation(dist: Distribution, formula: str | float) -> tuple[Interval, Interval]:
    """Return intervals of the mean and the standard deviation of a formula."""
    if isinstance(formula, float):
        return Interval(formula, formula, formula, certified=True), Interval(0.0, 0.0, 0.0, certified=True)
    mean = dist.expectation(formula)
    centre = float(round(mean.value))
    square = dist.expectation(f"({formula} - {centre!r})^2")
    estimate = max(0.0, square.value - (mean.value - centre) ** 2)
    variance = dist.variance_interval()[formula] if formula in dist.species else bounds_of.variance(
        mean, square, centre, estimate
    )  # fmt: skip
    ends = [math.sqrt(max(0.0, end)) for end in (variance.lower, variance.value, variance.upper)]
    lower, value, upper = ends[0] * (1 - 1e-15), ends[1], ends[2] * (1 + 1e-15)
    return mean, Interval(lower, upper, value, variance.certified, variance.reason)
