"""Solve the jobs of a manifest into a folder, one file each.

A job that fails is noted, and the others go on.  A job whose complete file is there, of the same model, times and
tolerance, can be skipped; files come into being whole, so none that was begun reads as complete.

Whoever solves a job claims it first, by making a file in the folder ``.begun``, which only one can.  What is claimed
and did not end is left there by a batch that was killed: such jobs come last when it is resumed, so that a job that
kills its processes does not keep the others from being solved.

A folder belongs to one batch at a time, which holds a lock on it.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import fsp
from fsp.crew import Crew
from fsp.distribution import ErrorLedger, Solution
from fsp.distribution.text import round_up, table
from fsp.errors import ArgumentError, FSPError, Interrupted, ToleranceWarning
from fsp.jobs.manifest import Job, Source, read_manifest
from fsp.jobs.stopping import Keeper, Stop, transient_from
from fsp.output import files
from fsp.output.locks import locked, not_writable
from fsp.output.replace import Output, require_outputs, require_replaceable
from fsp.output.storage import Head, kept, read_head
from fsp.output.summaries import csv_text

if TYPE_CHECKING:
    from fsp.model import Model

SUMMARY = "summary.csv"
BEGUN = ".begun"
STATES = SOLVED, ALREADY_THERE, FAILED, STOPPED, PENDING = "solved", "kept", "failed", "stopped", "to come"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class JobRow:
    """What became of a job."""

    job: Job
    # ``"solved"``, ``"kept"`` from an earlier batch, ``"failed"``, ``"stopped"``, or ``"to come"``
    status: str = PENDING
    n_states: int | None = None  # of its solution, at the last time, as is the error
    error: ErrorLedger | None = None
    n_matvec: int | None = None
    mean: Mapping[str, float] = field(default_factory=dict)  # of each species, at the last time
    std: Mapping[str, float] = field(default_factory=dict)
    seconds: float | None = None  # wall time that it took now
    reason: str = ""

    @property
    def meets_tolerance(self) -> bool:
        """Whether a bound is there and not above the tolerance."""
        return self.error is not None and self.error.certified and self.error.total <= self.job.tol

    def with_answer(self, status: str, answer: Solution | Head, seconds: float | None = None) -> JobRow:
        """Return the row of a job that has an answer."""
        n_states = answer.n_states if isinstance(answer, Head) else len(answer[-1])
        mean, std = (answer.mean, answer.std) if isinstance(answer, Head) else (answer[-1].mean(), answer[-1].std())
        fields: dict[str, Any] = {"error": answer.error, "n_matvec": answer.n_matvec, "seconds": seconds}
        return replace(self, status=status, n_states=n_states, mean=mean, std=std, **fields)

    def failed(self, error: Exception, seconds: float | None = None) -> JobRow:
        """Return the row of a job that ended in an error."""
        text = str(error) or type(error).__name__
        known = isinstance(error, FSPError | OSError | MemoryError)
        return replace(
            self, status=FAILED, reason=text if known else f"{type(error).__name__}: {text}", seconds=seconds
        )

    def __str__(self) -> str:
        """Return a line for the log."""
        if self.n_states is None or self.error is None:
            return f"{self.job.name}: {self.status}{f': {self.reason}' if self.reason else ''}"
        took = "" if self.seconds is None else f", {self.seconds:.3g} s"
        return f"{self.job.name}: {self.status}, {self.n_states:,} states, {self.error.summary}{took}"


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of all jobs."""

    rows: tuple[JobRow, ...]  # in the order of the manifest
    signal: int | None = None  # what stopped the batch before its end

    @property
    def failures(self) -> tuple[JobRow, ...]:
        """The jobs that failed."""
        return tuple(row for row in self.rows if row.status == FAILED)

    @property
    def meets_tolerances(self) -> bool:
        """Whether every answer that is there has a bound within its tolerance."""
        return all(row.meets_tolerance for row in self.rows if row.status in (SOLVED, ALREADY_THERE))

    def __str__(self) -> str:
        """Return a table, a line of counts, and why jobs failed."""
        lines = table(("job", "states", "error", "products", "s", "status"), [_cells(row) for row in self.rows])
        counts = [(status, sum(row.status == status for row in self.rows)) for status in STATES]
        lines.append(f"{len(self.rows)} jobs: {', '.join(f'{n} {status}' for status, n in counts if n)}")
        return "\n".join([*lines, *(f"failed: {row.job.name}: {row.reason}" for row in self.failures)])

    def to_csv(self) -> str:
        """Return a table for programs: what was asked for, and what came of it."""
        names = list(dict.fromkeys(name for row in self.rows for name in row.job.values))
        head = ["job", "status", "file", "model", *(f"set.{name}" for name in names), "times", "tol"]
        species = list(dict.fromkeys(name for row in self.rows for name in row.mean))
        moments = [f"{what}.{name}" for name in species for what in ("mean", "std")]
        lines = []
        for row in self.rows:
            job, error = row.job, row.error
            asked = [*map(job.values.get, names), " ".join(map(repr, job.times)), job.tol]
            bound = [None, None] if error is None else [error.total, error.certified]
            file = job.file if row.status in (SOLVED, ALREADY_THERE) else ""
            cells = [row.n_states, *bound, row.n_matvec, row.seconds, row.reason]
            values = [of.get(name) for name in species for of in (row.mean, row.std)]
            lines.append([job.name, row.status, file, job.model, *asked, *cells, *values])
        return csv_text([*head, "states", "error", "certified", "products", "seconds", "reason", *moments], lines)


def _cells(row: JobRow) -> list[str]:
    error = "-" if row.error is None else f"{row.error.sign} {round_up(row.error.total)}"
    seconds = "-" if row.seconds is None else f"{row.seconds:.3g}"
    counts = ["-" if n is None else f"{n:,}" for n in (row.n_states, row.n_matvec)]
    return [row.job.name, counts[0], error, counts[1], seconds, row.status]


# ---- before


@dataclass(slots=True)
class BatchPlan:
    """What is to be done."""

    folder: Path
    rows: list[JobRow]  # one for each job
    models: dict[Source, Model] = field(default_factory=dict)  # the networks, as their files have them
    # numbers of the jobs that are to be solved, in the order in which they are begun
    order: list[int] = field(default_factory=list)

    def model(self, number: int) -> Model:
        """Return the network of a job, with its values."""
        job = self.rows[number].job
        return self.models[job.source].with_values(job.values)

    def claims(self) -> Iterator[int]:
        """Give the numbers of the jobs that nobody has begun, each as it is claimed for the caller."""
        for number in self.order:
            if _claim(self.folder / BEGUN / self.rows[number].job.name):
                yield number

    def end(self, number: int, row: JobRow) -> None:
        """Enter what became of a job."""
        self.rows[number] = row
        (self.folder / BEGUN / row.job.name).write_text(row.status)

    def finish(self, signal: int | None = None) -> Batch:
        """Write the summary, and return what became of all jobs."""
        batch = Batch(tuple(self.rows), signal)
        files.write(self.folder / SUMMARY, batch.to_csv())
        shutil.rmtree(self.folder / BEGUN, ignore_errors=True)
        return batch


def prepare(manifest: Path, folder: Path, *, resume: bool, overwrite: bool = False) -> BatchPlan:
    """Read a manifest and its models, and find out what is to be done."""
    jobs = read_manifest(manifest)
    plan = BatchPlan(folder, [JobRow(job) for job in jobs])
    broken = _load(plan, jobs)
    killed = _begun_and_not_ended(folder)
    require_outputs(Output("--out", folder / SUMMARY), inputs=[manifest], overwrite=overwrite)
    for number, job in enumerate(jobs):
        row = plan.rows[number]
        try:
            if job.source in broken:
                raise broken[job.source]
            place = folder / job.file
            require_replaceable(place, "--out", inputs=[manifest, job.model], overwrite=overwrite, is_own=_is_solution)
            plan.rows[number] = _kept(plan, number) if resume else row
            plan.model(number)
        except Exception as error:
            plan.rows[number] = row.failed(error)
    todo = [number for number, row in enumerate(plan.rows) if row.status == PENDING]
    plan.order = sorted(todo, key=lambda number: jobs[number].name in killed)
    return plan


def _load(plan: BatchPlan, jobs: Sequence[Job]) -> dict[Source, Exception]:
    """Read the models; return why some cannot be."""
    broken: dict[Source, Exception] = {}
    for job in jobs:
        if job.source not in plan.models and job.source not in broken:
            try:
                plan.models[job.source] = fsp.load(job.model, **dict(job.reading))
            except Exception as error:  # whatever it is, the other models go on
                broken[job.source] = error
        if job.source in plan.models:
            _check_names(job, plan.models[job.source])
    return broken


def _check_names(job: Job, model: Model) -> None:
    known = [*model.parameters, *model.species]
    for name in job.values:
        if name not in known:
            raise ArgumentError(
                f"`set` and `sweep` must be of {', '.join(known)} for '{job.model}', but are of '{name}' in the job "
                f"'{job.name}'."
            )


def _kept(plan: BatchPlan, number: int) -> JobRow:
    """Return the row of a job: what is complete is taken over."""
    row = plan.rows[number]
    head = read_head(plan.folder / row.job.file)
    if head is not None and head.complete and head.asked == row.job.asked(plan.model(number)):
        return row.with_answer(ALREADY_THERE, head)
    return row


def _is_solution(path: Path) -> bool:
    there = kept(path)
    return there is not None and there.kind in ("", "solution")


def _begun_and_not_ended(folder: Path) -> set[str]:
    """Make the folders; return the names of the jobs in which an earlier batch was killed."""
    begun = folder / BEGUN
    try:
        begun.mkdir(parents=True, exist_ok=True)
        claims = list(begun.iterdir())
        killed = {file.name for file in claims if not file.stat().st_size}
        for file in claims:
            file.unlink()
    except OSError as error:
        raise not_writable(folder, error) from None
    return killed


def _claim(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    return True


# ---- the work


def solve_batch(
    manifest: Path,
    folder: Path,
    *,
    processes: int = 1,
    resume: bool = False,
    overwrite: bool = False,
    tell: Tell = lambda line: None,
) -> Batch:
    """Solve the jobs of a manifest, in this process or in several, which take the next one when they are free."""
    with locked(folder):
        plan = prepare(manifest, folder, resume=resume, overwrite=overwrite)
        tell_all(plan.rows, tell)
        workers = min(processes, len(plan.order))
        with Stop() as stop:
            for number, row in _in_workers(plan, workers, stop, resume) if workers > 1 else _here(plan, stop, resume):
                plan.end(number, row)
                tell(str(row))
        return plan.finish(stop.signal)


def _here(plan: BatchPlan, stop: Stop, resume: bool) -> Iterator[tuple[int, JobRow]]:
    """Solve one job after the other in this process."""
    for number in plan.claims():
        row = solve_here(plan, number, Keeper(stop, None, None, None), resume=resume)
        yield number, row
        if row.status == STOPPED or stop.signal is not None:
            break


def _in_workers(plan: BatchPlan, workers: int, stop: Stop, resume: bool) -> Iterator[tuple[int, JobRow]]:
    """Solve jobs in processes; after a signal these save what they have reached, and no more are begun."""
    crew = Crew(_Jobs(plan, resume), workers)
    ending = False

    def tick() -> None:
        nonlocal ending
        if stop.signal is not None and not ending:
            ending = True
            crew.wind_down()

    for outcome in crew.solve(([(number, number)] for number in plan.claims()), tick):
        if outcome.error is None:
            yield outcome.index, outcome.value
        elif stop.signal is None:  # else the signal came before the job had begun
            yield outcome.index, plan.rows[outcome.index].failed(outcome.error)


@dataclass(frozen=True, slots=True)
class _Jobs:
    """Solves jobs of a plan in a worker, which SIGTERM stops at a clean point."""

    plan: BatchPlan
    resume: bool

    def __call__(self, number: int, first: bool) -> JobRow:
        with Stop(tell=False) as stop:
            return solve_here(self.plan, number, Keeper(stop, None, None, None), resume=self.resume)


def tell_all(rows: Sequence[JobRow], tell: Tell) -> None:
    """Say what is known before anything is solved."""
    n_kept = sum(row.status == ALREADY_THERE for row in rows)
    if n_kept:
        tell(f"{n_kept} of {len(rows)} jobs are kept")
    for row in rows:
        if row.status == FAILED:
            tell(str(row))


def solve_here(plan: BatchPlan, number: int, progress: Keeper | None, *, resume: bool) -> JobRow:
    """Solve a job in this process, and write its file; what is raised becomes part of the row."""
    row, model = plan.rows[number], plan.model(number)
    path = plan.folder / row.job.file

    def solve() -> Solution:
        head = read_head(path) if resume else None
        begun = head is not None and head.asked == row.job.asked(model)
        earlier: Any = fsp.read(path) if begun else None
        return transient_from(earlier, model, row.job.times, row.job.tol, progress=progress, **row.job.options)

    return tried(row, path, solve)


def tried(row: JobRow, path: Path, solve: Callable[[], Solution]) -> JobRow:
    """Solve a job, and write its file; return what became of it."""
    started = perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ToleranceWarning)  # the summary says so
            solution = solve()
        solution.save(path)
    except Interrupted as stop:
        if stop.solution is not None:
            stop.solution.save(path)
        return replace(row, status=STOPPED)
    except Exception as error:  # whatever it is, the other jobs go on
        return row.failed(error, perf_counter() - started)
    return row.with_answer(SOLVED, solution, perf_counter() - started)
