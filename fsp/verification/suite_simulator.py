"""Simulators against the SBML stochastic test suite: by its own criterion, and by one whose false alarms are bounded.

The suite's criterion, for n runs and the mean μ and the standard deviation σ of its table, is that at every time::

    Z = √n (mean - μ)/σ  in (-3, 3),      Y = √(n/2) (S²/σ² - 1)  in (-5, 5),      S² = Σ (X - μ)²/n

An exact simulator leaves the range of Z at one of 370 times, and that of Y more often where counts are not normal: the
criterion says nothing about how probable a false alarm is.  `fsp.verify` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.formulas import values_on
from fsp.distribution.text import table
from fsp.model.arguments import require_unmoved
from fsp.output.summaries import csv_text
from fsp.verification.cases import Case, chosen_cases
from fsp.verification.suite import FAILED, NO_CME, attempted, formula_of, in_turn
from fsp.verification.verify import verify

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.sampling.simulators import Adapter

PASS, FAIL, UNDECIDED = "pass", "fail", "undecided"


@dataclass(frozen=True, slots=True)
class SimulatorRow:
    """What came of a case."""

    name: str  # number of the case, and name of its model
    model: str
    verdict: str  # that of `fsp.verify`, or why there is none: ``"no CME"``, ``"failed"``
    # how many values of Z, and how many of Y, lie outside the suite's ranges, of how many each
    outside: tuple[int, int, int] | None = None
    p: float | None = None  # the smallest adjusted p-value
    rejected: tuple[str, ...] = ()  # what the tests that reject say, the worst first
    explained: tuple[str, ...] = ()  # what may be wrong, the likeliest first
    seconds: float = 0.0  # wall time, of which `sampling` for the simulator
    sampling: float = 0.0
    reason: str = ""  # why there is no verdict

    @property
    def suite_verdict(self) -> str:
        """By the suite's criterion."""
        if self.outside is None:
            return ""
        return FAIL if self.outside[0] or self.outside[1] else PASS


@dataclass(frozen=True, slots=True)
class SimulatorReport:
    """What came of all cases."""

    simulator: str  # its name
    runs: int
    alpha: float  # the largest probability with which an exact simulator fails any case
    rows: tuple[SimulatorRow, ...]
    seconds: float = field(default=0.0)

    @property
    def exit_status(self) -> int:
        """0 where all cases pass `fsp.verify`, 1 where one fails, 2 where one has no verdict."""
        verdicts = {row.verdict for row in self.rows}
        if FAIL in verdicts:
            return 1
        return 2 if verdicts & {UNDECIDED, FAILED} or PASS not in verdicts else 0

    def __str__(self) -> str:
        """Return a table, what it means, and what is wrong where something is."""
        header = ("case", "model", "Z outside", "Y outside", "suite", "smallest adjusted p", "s", "verdict")
        shown = [row for row in self.rows if row.verdict != NO_CME]
        lines = table(header, [_cells(row) for row in shown])
        counts = [(v, sum(row.verdict == v for row in self.rows)) for v in (PASS, FAIL, UNDECIDED, NO_CME, FAILED)]
        said = ", ".join(f"{n} {verdict}" for verdict, n in counts if n)
        lines.append(f"{self.simulator}: {len(self.rows)} cases of {self.runs:,} runs in {self.seconds:.3g} s: {said}")
        lines.append(
            f"verdict: an exact simulator fails any case with probability ≤ {self.alpha:g}; "
            f"suite: its criterion, which exact simulators fail at times"
        )
        folded = [row.name for row in self.rows if row.verdict == NO_CME]
        lines += [f"{NO_CME}: {len(folded)} cases: {', '.join(folded)}"] if folded else []
        for row in shown:
            lines += [f"{row.verdict}: {row.name}: {text}" for text in (*row.rejected[:3], row.reason) if text]
            lines += [f"{row.verdict}: {row.name}: what fits: {text}" for text in row.explained[:2]]
            if row.verdict == FAIL and not row.explained:
                lines.append(f"{row.verdict}: {row.name}: nothing that was tried fits; fsp verify says what is near")
        return "\n".join(lines)

    def to_csv(self) -> str:
        """Return a table with a line for each case."""
        joined = ("rejected", "explained")
        records = [_record(row) | {name: "; ".join(getattr(row, name)) for name in joined} for row in self.rows]
        return csv_text(list(records[0]), (list(record.values()) for record in records))

    def record(self) -> dict[str, Any]:
        """Return all of it as plain dictionaries and lists."""
        cases = [_record(row) for row in self.rows]
        record = {"simulator": self.simulator, "runs": self.runs, "alpha": self.alpha, "seconds": self.seconds}
        return {**record, "exit_status": self.exit_status, "cases": cases}


def _cells(row: SimulatorRow) -> list[str]:
    z = y = "-"
    if row.outside is not None:
        z, y = (f"{count} of {row.outside[2]}" for count in row.outside[:2])
    p = "-" if row.p is None else f"{row.p:.2g}"
    return [row.name, row.model or "-", z, y, row.suite_verdict or "-", p, f"{row.seconds:.3g}", row.verdict]


def _record(row: SimulatorRow) -> dict[str, Any]:
    z, y, of = row.outside or (None, None, None)
    counted = {"z_outside": z, "y_outside": y, "of": of, "suite_verdict": row.suite_verdict or None}
    record = {"case": row.name, "model": row.model, "verdict": row.verdict, **counted, "p": row.p}
    return {
        **record,
        "rejected": list(row.rejected),
        "explained": list(row.explained),
        "seconds": row.seconds,
        "sampling": row.sampling,
        "reason": row.reason,
    }


def run_simulator(
    folder: Path,
    simulator: Adapter,
    runs: int,
    *,
    seed: int = 1,
    alpha: float = 1e-3,
    level: str | None = None,
    only: tuple[str, ...] = (),
    tell: Callable[[int, int, str], None] = lambda done, total, name: None,
) -> SimulatorReport:
    """Ask a simulator for runs of the cases of a folder, and test them."""
    folders = chosen_cases(folder, only)
    started = perf_counter()

    def test(case: Case, model: Model, begun: float) -> SimulatorRow:
        return _tested(case, model, begun, simulator, (runs, seed), alpha / len(folders))

    rows = in_turn(folders, lambda path: attempted(path, level, SimulatorRow, test), tell)
    return SimulatorReport(simulator.name, runs, alpha, rows, perf_counter() - started)


def _tested(
    case: Case, model: Model, started: float, simulator: Adapter, asked: tuple[int, int], alpha: float
) -> SimulatorRow:
    """Test one case with as many runs as `asked`, from a seed."""
    sampled = simulator.sample(case.path, case.times, *asked)
    sampling = perf_counter() - started
    report = verify(model, sampled, case.times, alpha=alpha, power=None, simulator=simulator.name, file=case.path)
    return SimulatorRow(
        case.name,
        model.name,
        report.verdict,
        suite_criterion(case, model, sampled),
        min(test.adjusted for test in report.tests),
        tuple(f"{test.name}: {test.where}" for test in report.rejected),
        tuple(map(str, report.explanations)),
        perf_counter() - started,
        sampling,
        report.undecided,
    )


def suite_criterion(case: Case, model: Model, sampled: IntArray) -> tuple[int, int, int]:
    """Return how many values of Z, and of Y, are outside the suite's ranges, and of how many."""
    z, y = map(np.concatenate, zip(*_statistics(case, model, sampled), strict=True))
    (z_low, z_high), (y_low, y_high) = case.mean_range, case.sd_range
    return int(((z <= z_low) | (z >= z_high)).sum()), int(((y <= y_low) | (y >= y_high)).sum()), len(z)


def _statistics(case: Case, model: Model, sampled: IntArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield Z and Y of each variable at all times; 0 where nothing varies and nothing does in the samples."""
    n, n_times, d = sampled.shape
    for variable in case.variables:
        mu, sigma = case.table.get((variable, "mean")), case.table.get((variable, "sd"))
        if mu is None or sigma is None:
            continue
        require_unmoved(model, [variable], f"Variable '{variable}' of case {case.name}")
        formula = formula_of(case, model, variable)
        states = sampled.reshape(-1, d)
        values = np.full(n * n_times, formula) if isinstance(formula, float) else values_on(
            states, formula, model.species, model.observables, None
        )  # fmt: skip
        gaps = values.reshape(n, n_times) - mu
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.sqrt(n) * gaps.mean(axis=0) / sigma
            y = np.sqrt(n / 2) * (np.square(gaps).mean(axis=0) / np.square(sigma) - 1)
        still = (sigma == 0) & (np.abs(gaps).max(axis=0) <= 1e-9 * np.maximum(1.0, np.abs(mu)))
        yield np.where(still, 0.0, z), np.where(still, 0.0, y)
