"""What the commands that solve have in common: read the model, solve, print, write, judge."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp.command.exits import ABOVE_TOLERANCE, STOPPED, code_of, error_line, printing_if
from fsp.command.options import CommandRequest
from fsp.command.printing import print_of
from fsp.command.progress import reporting
from fsp.command.wording import in_options, options_of_command, saying
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.command.printing import Answer
    from fsp.command.progress import Report
    from fsp.jobs.stopping import Stop
    from fsp.model import Model
    from fsp.petsc.comm import Communicator

ANSWER_KINDS = {"transient": "solution", "mixture": "solution", "sweep": "sweep", "stationary": "distribution"}
"""What a file holds of each task."""


@contextmanager
def ranks_of(backend: str) -> Iterator[Communicator]:
    """Give the ranks of a backend; where one of them fails, all end with one message, in the words of the options."""
    from fsp.doors import ranks_named

    def described(error: BaseException) -> str:
        if isinstance(error, KeyboardInterrupt):
            return STOPPED
        return in_options(error_line(error), options_of_command())

    comm = ranks_named(backend).comm
    with redirect_stderr(sys.__stderr__), comm.guard(described, code_of):
        yield comm


def run_on_ranks(request: CommandRequest, task: str, backend: str, asked: Callable[[], dict[str, Any]]) -> int:
    """Do what `run` does, on all ranks, with the options that `asked` returns; the first one prints."""
    with ranks_of(backend) as comm:
        from fsp.petsc.options import Options

        options = {**asked(), "backend": backend, "comm": comm}
        Options(comm)  # refuses what the command line asks of PETSc by a wrong name
        model = comm.share(lambda: _checked_model(request, task))
        request = replace(request, files=replace(request.files, resume=False, save_every=None))
        with printing_if(comm.rank == 0):
            return run(request, task, model, **options)


def run(request: CommandRequest, task: str, model: Model | None = None, **options: Any) -> int:
    """Solve, print the answer, write the files, return the exit status."""
    options |= request.limits.given()
    model = _checked_model(request, task) if model is None else model
    printing = request.printing
    printing.check(tuple(model.species), model.observables, timed="times" in options)
    request.drawing.check(tuple(model.species), None if request.files.plot is None else "--plot", ANSWER_KINDS[task])
    started = time.perf_counter()
    with saying(values="--sweep"), reporting(printing.quiet, printing.progress) as report:
        answer = _solve(request, task, model, options | {"tol": request.tol}, report)
    seconds = time.perf_counter() - started
    with saying(formula="--expect"):
        click.echo(print_of(answer, printing, seconds, model.constraints))
    _write(answer, request)
    return _judge(answer, request.tol)


def _solve(request: CommandRequest, task: str, model: Model, options: dict[str, Any], report: Report | None) -> Answer:
    """Solve, from where --resume says; where a signal comes, save what was reached and leave."""
    if task in ("stationary", "mixture"):
        solved: Answer = getattr(fsp, task)(model, progress=report, **options)
        return solved
    from fsp.jobs.stopping import Keeper, Stop, transient_from

    earlier = _earlier(request, task)
    solve: Callable[..., Answer]
    # One or the other: what a sweep imports, workers among it, takes longer than a small network.
    solve = partial(transient_from, earlier) if task == "transient" else partial(fsp.sweep, resume=earlier)
    with Stop() as stop:
        try:
            return solve(model, progress=Keeper(stop, report, request.files.out, request.files.save_every), **options)
        except KeyboardInterrupt as error:
            keep(error, request.files.out, checkpoint=options.get("checkpoint"))
            raise SystemExit(128 + signal_of(stop, options.get("comm"))) from None


def signal_of(stop: Stop, comm: Communicator | None) -> int:
    """Return the signal that stopped a run; where it came to some of the ranks, the same on all.  Collective."""
    number = int(stop.signal or 0)
    return (number if comm is None else int(comm.max(number))) or signal.SIGINT


def _earlier(request: CommandRequest, task: str) -> Any:
    """Return what --resume goes on from, None where nothing was begun."""
    if not request.files.resume or request.files.out is None or not request.files.out.exists():
        return None
    earlier = fsp.read(request.files.out)
    kind = ANSWER_KINDS[task]
    there = type(earlier).__name__.lower()
    if there != kind:
        raise ArgumentError(f"`--resume` must find a {kind} in --out, but '{request.files.out}' holds a {there}.")
    return earlier


def keep(
    error: KeyboardInterrupt,
    out: Path | None,
    reached: str = "what was reached is",
    checkpoint: Path | None = None,
) -> None:
    """Save what was reached, and say so."""
    solution = getattr(error, "solution", None)
    kept = "nothing was saved"
    if solution is not None and out is not None:
        solution.save(out)
        kept = f"{reached} in {out}, and the same command with --resume goes on from there"
    elif solution is not None and checkpoint is not None:
        kept = f"{reached} in {checkpoint}, and the same command with --resume goes on from there"
    elif solution is not None:
        kept += ", since there is no --out"
    click.echo(f"fsp: {error or 'stopped'}; {kept}", err=True)


def _write(answer: Answer, request: CommandRequest) -> None:
    if request.files.out:
        answer.save(request.files.out)
    if request.files.plot:
        from fsp.output import drawing, pictures

        asked = request.drawing
        pictures.write(drawing.draw(answer, asked.species, **asked.options()), request.files.plot)


def _judge(answer: Answer, tol: float) -> int:
    """Return the exit status; a stationary answer has an estimate and no more."""
    from fsp.distribution import Distribution, Sweep

    if isinstance(answer, Sweep) and answer.failures:
        click.echo(f"fsp: error: {len(answer.failures)} of {len(answer)} points failed", err=True)
        return 1
    if not isinstance(answer, Distribution) and not answer.error.certified:
        click.echo("fsp: warning: this error is an estimate, not a bound", err=True)
        return ABOVE_TOLERANCE
    return 0 if answer.error.total <= tol else ABOVE_TOLERANCE


def _checked_model(request: CommandRequest, task: str) -> Model:
    """Return the model, once it is known that the answer can be written, and what it may replace."""
    from fsp.output.pictures import SUFFIXES
    from fsp.output.replace import Output, require_outputs

    files = request.files
    outputs = Output("--plot", files.plot, SUFFIXES), Output("--out", files.out, is_own=is_answer)
    require_outputs(*outputs, inputs=[request.source.model], overwrite=files.overwrite)
    require_hdf5_name(files.out)
    if files.out is not None and not (files.resume or files.overwrite):
        require_no_loss(files.out, ANSWER_KINDS[task])
    return request.source.load()


def require_hdf5_name(out: Path | None) -> None:
    """Refuse to write an answer under the name of a file of another kind, which other programs would open as one."""
    from fsp.output import exports, pictures

    ending = "" if out is None else out.suffix.lower()
    tables = "then fsp export writes tables of distributions, and fsp show --json prints"
    ways = {
        **dict.fromkeys((*exports.SUFFIXES, ".tsv", ".xlsx"), tables),
        **dict.fromkeys(pictures.SUFFIXES, "then fsp plot draws distributions, and fsp view writes a page of"),
        **dict.fromkeys((".html", ".htm"), "then fsp view writes a page of"),
    }
    if out is not None and ending in ways:
        raise ArgumentError(
            f"`--out` must not end in {ending}, since it is HDF5, but is '{out}'. Give --out "
            f"{shlex.quote(str(out.with_suffix('.h5')))}; {ways[ending]} what it holds."
        )


def is_answer(path: Path) -> bool:
    """Tell whether a file is one of results."""
    from fsp.output.storage import kept

    return kept(path) is not None


def require_no_loss(out: Path, kind: str) -> None:
    """Refuse to replace an answer by one of another kind, or one that --resume goes on from."""
    from fsp.output.storage import kept

    there = kept(out) if out.exists() else None
    if there is None or not there.kind:
        return
    if there.kind != kind:
        raise ArgumentError(
            f"`--out` must be a new file, or one of a {kind}, but '{out}' holds a {there.kind}. Choose another name, "
            f"or replace it with --overwrite."
        )
    if kind == "sweep" or not there.complete:
        holds = "a sweep" if kind == "sweep" else "what was reached by a run that was stopped"
        raise ArgumentError(
            f"`--out` must not hold what would have to be computed again, but '{out}' holds {holds}. Go on from it "
            f"with --resume, or replace it with --overwrite."
        )
