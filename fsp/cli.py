"""The `fsp` command: read a model, solve it, print the answer with its error, write files and pictures.

Tables and JSON go to standard output; progress, warnings and errors to standard error.  The exit status tells
a batch script what happened; `fsp --help` lists the codes.
"""

from __future__ import annotations

import functools
import io
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

import fsp
from fsp.approximation.command import approximations
from fsp.errors import ArgumentError, BackendError, ConvergenceError, FSPError, ModelError, StateSpaceError
from fsp.options import JSON, OVERWRITE, SET, Request, SolverOption, named, shared_options, with_settings
from fsp.quantities import points
from fsp.ranks import n_ranks_started, rank_started
from fsp.verification.command import EPILOG as VERIFY_EPILOG
from fsp.verification.command import verify

if TYPE_CHECKING:
    from fsp.distribution import Distribution, Solution, Sweep
    from fsp.model import Model
    from fsp.projection import Progress, SweepProgress
    from fsp.projection.batch import Batch

    Answer: TypeAlias = Solution | Distribution | Sweep
    Report: TypeAlias = Callable[[Progress | SweepProgress], None]

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (ModelError, 3),
    (StateSpaceError, 4),
    (MemoryError, 4),
    (ConvergenceError, 5),
    (BackendError, 6),
    (ArgumentError, 2),
)
_ABOVE_TOLERANCE = 7
_EPILOG = """\b
Exit status:
  0  solved; the error bound (stationary: or the estimate) meets the tolerance
  1  a file could not be written, or another failure
  2  wrong usage
  3  the model, or its file, is wrong
  4  a limit on states or memory was reached before the tolerance
  5  no convergence
  6  a backend is missing, or cannot treat the model
  7  solved, but the error is above the tolerance, or is not a bound
  130, 143  stopped by SIGINT (Ctrl-C) or SIGTERM; with --out, what was reached is saved
"""
_SECONDS_BETWEEN_LINES = 5.0
_KINDS = {"transient": "solution", "sweep": "sweep", "stationary": "distribution"}
"""What a file holds of each task."""


# ---- commands


def _guarded(command: Callable[..., int], other: int = 1) -> Callable[..., None]:
    """Give `command` the option --debug; turn its errors into a line and an exit status, `other` where it has none."""

    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(command)
    def guarded(*, debug: bool, **options: Any) -> None:
        try:
            _refuse_ranks(command.__name__, options)
            code = command(**options)
        except (FSPError, OSError, MemoryError) as error:
            if debug:
                raise
            click.echo(_error_line(error), err=True)
            code = _code_of(error, other)
        except KeyboardInterrupt:
            click.echo("fsp: stopped", err=True)
            code = 128 + signal.SIGINT
        raise SystemExit(code)

    return guarded


def _refuse_ranks(command: str, options: Mapping[str, Any]) -> None:
    """Refuse a command of which every rank would do the whole, and write the same files."""
    if command == "batch" or options.get("backend", "serial") != "serial" or n_ranks_started() == 1:
        return
    if rank_started():
        raise SystemExit(0)  # the first rank says it, and its status is that of mpirun
    way = "give --backend petsc, or " if "backend" in options else ""
    raise ArgumentError(
        f"`fsp {command}` must be started once, but {n_ranks_started()} ranks were, each of which would do all of it; "
        f"{way}start it without mpirun or srun."
    )


def _error_line(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "fsp: error: memory is exhausted; --max-memory and --max-states stop before it is"
    return f"fsp: error: {str(error) or type(error).__name__}"


_judged = functools.partial(_guarded, other=2)  # where 1 is a verdict


def _code_of(error: BaseException, other: int = 1) -> int:
    return next((code for kind, code in _CODES if isinstance(error, kind)), other)


class _Commands(click.Group):
    """The commands; where many ranks are started with wrong words, one of them says so."""

    def main(self, *args: Any, **more: Any) -> Any:
        """Read the words and run what they say."""
        with _only(rank_started() == 0 or not any(word.endswith("petsc") for word in sys.argv)):
            return super().main(*args, **more)


@click.group(cls=_Commands, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(fsp.__version__, prog_name="fsp")
def main() -> None:
    """Solve the chemical master equation, with a bound on the total error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that lacks ≤ shows a question mark


_BACKEND = click.option(
    "--backend", default="serial", show_default=True, help="serial, or petsc: on the ranks that mpirun started."
)


class _PassesOptions(click.Command):
    """A command that leaves -fsp_... to PETSc, which is told of them where its objects are made."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read all other arguments."""
        if {"petsc", "--backend=petsc"} & set(args) and any(argument.startswith("-fsp_") for argument in args):
            from fsp.petsc.options import without_options

            args = without_options(args)
        return super().parse_args(ctx, args)


@main.command(epilog=_EPILOG, cls=_PassesOptions)
@shared_options
@click.option(
    "--times",
    multiple=True,
    required=True,
    metavar="TIMES",
    help="1,2,5 or FROM:TO:NUMBER, with both ends.",
)
@click.option("--solver", cls=SolverOption, default="auto", show_default=True)
@click.option(
    "--sweep",
    "sweeps",
    multiple=True,
    metavar="NAME=VALUES",
    help="Solve at all these values, 1,2,5 or FROM:TO:NUMBER, of a parameter or an initial count.",
)
@click.option("--pairs", is_flag=True, help="Take the values of several --sweep in pairs, not in all combinations.")
@click.option("--jobs", type=click.IntRange(1), help="Number of processes of a sweep; as many as processors.")
@click.option("--resume", is_flag=True, help="Go on from --out, if that was begun.")
@click.option("--save-every", type=click.FloatRange(0), metavar="SECONDS", help="Save to --out while it runs.")
@_BACKEND
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --backend petsc: where --save-every (a minute) saves, and --resume goes on, on any number of ranks.",
)
@_guarded
def transient(
    times: tuple[str, ...],
    solver: str,
    sweeps: tuple[str, ...],
    pairs: bool,
    jobs: int | None,
    backend: str,
    checkpoint: Path | None,
    **shared: Any,
) -> int:
    """Solve MODEL (SBML or Antimony) from its initial state up to some times.

    Options that name one thing, like --times or --set, may be given several times.
    """
    request = Request(**shared)
    if backend != "serial":

        def asked() -> dict[str, Any]:
            return _asked_of_ranks(request, backend, checkpoint, sweeps) | {
                "times": points(",".join(times), "--times"),
                "solver": solver,
            }

        return _run_on_ranks(request, "transient", backend, asked)
    if checkpoint is not None:
        raise ArgumentError("`--checkpoint` must come with --backend petsc; --save-every writes to --out in serial.")
    if request.out is None and (request.resume or request.save_every is not None):
        raise ArgumentError("`--out` must name the file for --resume and --save-every, but is missing.")
    options: dict[str, Any] = {"times": points(",".join(times), "--times"), "solver": solver}
    if not sweeps:
        _refuse_without_sweep(pairs, jobs)
        return _run(request, "transient", **options)
    if request.plot is not None:
        raise ArgumentError("`--plot` must have one solution to draw, but --sweep makes several.")
    values = _swept(request, sweeps)
    return _run(request, "sweep", values=values, pairs=pairs, processes=jobs, errors="keep", **options)


@main.command(epilog=_EPILOG, cls=_PassesOptions)
@shared_options
@click.option(
    "--method",
    default="auto",
    show_default=True,
    help="auto, gth, direct, iterative, multilevel, local; with --backend petsc auto, direct, iterative, eigen.",
)
@click.option(
    "--lyapunov", metavar="FORMULA", help="Polynomial whose mean drift is negative far out, such as 'U^2 + 3*V'."
)
@_BACKEND
@_guarded
def stationary(method: str, lyapunov: str | None, backend: str, **shared: Any) -> int:
    """Find the stationary distribution of MODEL (SBML or Antimony)."""
    request = Request(**shared)
    options: dict[str, Any] = {"method": method, "lyapunov": lyapunov}
    if backend != "serial":
        return _run_on_ranks(request, "stationary", backend, lambda: options)
    return _run(request, "stationary", **options)


@main.command(epilog=_EPILOG)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the files and the summary.")
@click.option("--jobs", type=click.IntRange(1), help="Jobs that are solved at a time; as many as processors.")
@click.option("--ranks-per-job", type=click.IntRange(1), help="Under mpirun: ranks that solve a job together; one.")
@click.option("--resume", is_flag=True, help="Skip the jobs whose files in --out are complete.")
@OVERWRITE
@click.option("--quiet", is_flag=True, help="No line for each job.")
@_guarded
def batch(
    manifest: Path,
    out: Path,
    jobs: int | None,
    ranks_per_job: int | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Solve all jobs of MANIFEST, a TOML file, each into a file of its own.

    A job that fails does not end the others; what became of each is in summary.csv.
    """
    from fsp.generator.threads import n_processors
    from fsp.projection.batch import solve_batch
    from fsp.projection.manifest import read_manifest

    def tell(line: str) -> None:
        if not quiet:
            click.echo(f"fsp: {line}", err=True)

    many = n_ranks_started() > 1 or ranks_per_job is not None
    if not many and all(job.backend != "petsc" for job in read_manifest(manifest)):
        found = solve_batch(
            manifest, out, processes=jobs or n_processors(), resume=resume, overwrite=overwrite, tell=tell
        )
        return _end_of_batch(found)
    if jobs is not None:
        raise ArgumentError(f"`--jobs` must be left out on ranks, which share the jobs, but is {jobs}.")
    from fsp.petsc.batch import solve_in_groups
    from fsp.petsc.comm import Communicator

    comm = Communicator()
    with comm.guard(_error_line, _code_of):
        asked = {"resume": resume, "overwrite": overwrite}
        found = solve_in_groups(manifest, out, ranks_per_job or 1, **asked, tell=tell, comm=comm)
    code = _end_of_batch(found, quiet=comm.rank > 0)
    comm.mpi.Barrier()  # mpirun ends all ranks when one has failed: not before the table is out
    return code


@main.command(epilog=_EPILOG)
@click.argument("model")
@SET
@click.option("--modes", default=3, show_default=True, help="Number of modes.")
@click.option("--tol", default=1e-10, show_default=True, help="Error of the stationary distribution below the modes.")
@JSON
@_guarded
def relaxation(model: str, settings: tuple[str, ...], modes: int, tol: float, as_json: bool) -> int:
    """Print the slowest eigenvalues and relaxation times of MODEL (SBML or Antimony), or its rate of extinction."""
    from fsp.distribution.records import to_json

    found = fsp.relaxation(_model(model, settings), modes, tol)
    record = {
        "fsp": fsp.__version__,
        "n_states": found.n_states,
        "eigenvalues": [[value.real, value.imag] for value in found.eigenvalues.tolist()],
        "times": found.times.tolist(),
        "residuals": found.residuals.tolist(),
        "errors": None if found.errors is None else found.errors.tolist(),
        "confirmed": [] if found.confirmed is None else found.confirmed.tolist(),
        "absorbed": found.quasi_stationary is not None,
        "notes": list(found.notes),
    }
    click.echo(to_json(record) if as_json else str(found))
    return 0


@main.command(epilog=_EPILOG)
@click.argument("model")
@SET
@JSON
@_guarded
def info(model: str, settings: tuple[str, ...], as_json: bool) -> int:
    """Print species, reactions, propensities and conservation laws of MODEL."""
    network = _model(model, settings)
    from fsp.moments.complexes import structure_text

    click.echo(_model_json(network) if as_json else f"{network.describe()}\n{structure_text(network)}")
    return 0


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--case", "only", multiple=True, metavar="NUMBER", help="Only this case; may be given several times.")
@click.option("--level", metavar="LxVy", help="SBML level and version of the model files, l3v1; the newest.")
@click.option("--simulator", metavar="NAME", help="Test this simulator: roadrunner, gillespy2, copasi, ...")
@click.option("--command", metavar="TEXT", help="Test a program: 'mysim {model} {seed} {out}' writes CSV to {out}.")
@click.option("--runs", type=click.IntRange(2), default=10_000, show_default=True, help="Its runs of each case.")
@click.option("--seed", default=1, show_default=True, help="Seed of the simulator.")
@click.option("--alpha", default=1e-3, show_default=True, help="Largest probability of a false alarm, over all cases.")
@click.option("--out", multiple=True, type=click.Path(path_type=Path), help="Write a file: .csv or .json.")
@OVERWRITE
@JSON
@click.option("--quiet", is_flag=True, help="No progress.")
@_judged
def suite(folder: Path, out: tuple[Path, ...], overwrite: bool, as_json: bool, quiet: bool, **options: Any) -> int:
    """Compare the SBML stochastic test suite in DIR with certified solutions, or test a simulator on it.

    Exit status: 0 where all cases that are chemical master equations agree with their tables, or with the simulator; 1
    where one differs; 2 where one is not decided or cannot be read.
    """
    from fsp.distribution.records import to_json
    from fsp.output import files
    from fsp.output.replace import is_marked, require_outputs
    from fsp.projection import SweepProgress

    for path in out:
        if path.suffix not in (".csv", ".json"):
            raise ArgumentError(f"`--out` must be a .csv or .json file, but is '{path}'.")
    require_outputs([("--out", path, is_marked) for path in out], inputs=[], overwrite=overwrite)
    run = _suite_run(**options)
    with _progress(quiet) as report:

        def tell(done: int, total: int, name: str) -> None:
            if report is not None:
                report(SweepProgress(done, total, 0, 0, 0.0, name, kind="cases"))

        found = run(folder, tell=tell)
    record = to_json({"fsp": fsp.__version__, **found.record()})
    click.echo(record if as_json else str(found))
    for path in out:
        files.write(path, found.to_csv() if path.suffix == ".csv" else record)
    return int(found.exit_status)


def _suite_run(
    simulator: str | None, command: str | None, runs: int, seed: int, alpha: float, **options: Any
) -> Callable[..., Any]:
    """Return what goes through the suite: a simulator, or the solver."""
    if simulator and command:
        raise ArgumentError("One of `--simulator` and `--command` must be given, but both are.")
    if not (simulator or command):
        from fsp.verification.suite import run_suite

        return functools.partial(run_suite, **options)
    from fsp.verification.simulators import open_simulator
    from fsp.verification.suite_simulator import run_simulator

    opened = open_simulator(simulator or command or "")
    return functools.partial(run_simulator, simulator=opened, runs=runs, seed=seed, alpha=alpha, **options)


main.command(name="approximations", epilog=_EPILOG)(_guarded(approximations))
main.command(name="verify", epilog=VERIFY_EPILOG)(_judged(verify))


def _refuse_without_sweep(pairs: bool, jobs: int | None) -> None:
    for name, given in (("pairs", pairs), ("jobs", jobs is not None)):
        if given:
            raise ArgumentError(f"`--{name}` must come with --sweep, but there is none.")


def _swept(request: Request, sweeps: Sequence[str]) -> dict[str, list[float]]:
    """Return the values of --sweep by name."""
    values = {name: points(text, f"--sweep {name}") for name, text in named(sweeps, "--sweep", "NAME=VALUES")}
    twice = [name for name, _ in named(request.settings, "--set", "NAME=VALUE") if name in values]
    if twice:
        raise ArgumentError(f"`--set` and `--sweep` must not give the same name, but both give '{twice[0]}'.")
    return values


def _asked_of_ranks(request: Request, backend: str, checkpoint: Path | None, sweeps: Sequence[str]) -> dict[str, Any]:
    """Return what a transient on ranks is told of its checkpoints."""
    if sweeps:
        raise ArgumentError(f"`--sweep` must come with --backend serial, but that is '{backend}'.")
    if checkpoint is not None:
        return {"checkpoint": checkpoint, "resume": request.resume, "save_every": request.save_every}
    if request.resume or request.save_every is not None:
        raise ArgumentError(f"`--checkpoint` must name a folder for --resume and --save-every with '{backend}'.")
    return {}


def _run_on_ranks(request: Request, task: str, backend: str, asked: Callable[[], dict[str, Any]]) -> int:
    """Do what `_run` does, on all ranks, with the options that `asked` returns; the first one prints."""
    from fsp.projection.backend import backend_named

    comm = backend_named(backend).comm
    from fsp.petsc.options import Options

    with redirect_stderr(sys.__stderr__), comm.guard(_error_line, _code_of):
        options = {**asked(), "backend": backend, "comm": comm}
        Options(comm)  # refuses what the command line asks of PETSc by a wrong name
        model = comm.share(lambda: _checked_model(request, task))
        request = replace(request, resume=False, save_every=None)
        with _only(comm.rank == 0):
            return _run(request, task, model, **options)


@contextmanager
def _only(prints: bool) -> Iterator[None]:
    """Print nothing unless this process is the one that `prints`."""
    if prints:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield


def _run(request: Request, task: str, model: Model | None = None, **options: Any) -> int:
    """Solve, print the answer, write the files, return the exit status."""
    options |= request.limits()
    model = _checked_model(request, task) if model is None else model
    unknown = [name for name in request.marginal if name not in model.species]
    if unknown:
        raise ArgumentError(f"`--marginal` must be one of {', '.join(model.species)}, but is '{unknown[0]}'.")
    started = time.perf_counter()
    with _warnings_as_lines(), _progress(request.quiet) as report:
        answer = _solve(request, task, model, options | {"tol": request.tol}, report)
    seconds = time.perf_counter() - started
    click.echo((_json if request.as_json else _text)(answer, request, seconds))
    _write(answer, request)
    return _judge(answer, request.tol)


def _solve(request: Request, task: str, model: Model, options: dict[str, Any], report: Report | None) -> Answer:
    """Solve, from where --resume says; where a signal comes, save what was reached and leave."""
    if task == "stationary":
        return fsp.stationary(model, progress=report, **options)
    from fsp.projection.stopping import Keeper, Stop, go_on

    solve: Callable[..., Answer] = getattr(fsp, task)
    earlier = _earlier(request, task)
    if earlier is not None and task == "transient":
        solve, options = go_on, options | {"earlier": earlier}
    elif earlier is not None:
        options = options | {"resume": earlier}
    with Stop() as stop:
        try:
            return solve(model, progress=Keeper(stop, report, request.out, request.save_every), **options)
        except KeyboardInterrupt as error:
            _keep(error, request)
            raise SystemExit(128 + (stop.signal or signal.SIGINT)) from None


def _earlier(request: Request, task: str) -> Any:
    """Return what --resume goes on from, None where nothing was begun."""
    if not request.resume or request.out is None or not request.out.exists():
        return None
    earlier = fsp.read(request.out)
    kind = _KINDS[task]
    if type(earlier).__name__.lower() != kind:
        raise ArgumentError(
            f"`--resume` must find a {kind} in --out, but '{request.out}' holds a {type(earlier).__name__.lower()}."
        )
    return earlier


def _keep(error: KeyboardInterrupt, request: Request) -> None:
    """Save what was reached, and say so."""
    solution = getattr(error, "solution", None)
    kept = "nothing was saved"
    if solution is not None and request.out is not None:
        solution.save(request.out)
        kept = f"what was reached is in {request.out}, and the same command with --resume goes on from there"
    elif solution is not None:
        kept += ", since there is no --out"
    click.echo(f"fsp: {error or 'stopped'}; {kept}", err=True)


def _write(answer: Answer, request: Request) -> None:
    if request.out:
        answer.save(request.out)
    if request.plot:
        from fsp import plot

        plot.write(plot.overview(answer), request.plot)  # type: ignore[arg-type]  # a sweep has none


def _judge(answer: Answer, tol: float) -> int:
    """Return the exit status; a stationary answer has an estimate and no more."""
    from fsp.distribution import Distribution, Sweep

    if isinstance(answer, Sweep) and answer.failures:
        click.echo(f"fsp: error: {len(answer.failures)} of {len(answer)} points failed", err=True)
        return 1
    if not isinstance(answer, Distribution) and not answer.error.certified:
        click.echo("fsp: warning: this error is an estimate, not a bound", err=True)
        return _ABOVE_TOLERANCE
    return 0 if answer.error.total <= tol else _ABOVE_TOLERANCE


def _end_of_batch(found: Batch, *, quiet: bool = False) -> int:
    """Print what became of the jobs; return the exit status."""
    if not quiet:
        click.echo(str(found))
    if found.signal is not None:
        return 128 + found.signal
    if found.failures:
        return 1
    return 0 if found.meets_tolerances else _ABOVE_TOLERANCE


# ---- what was asked for


def _model(path: str, settings: Sequence[str]) -> Model:
    return with_settings(fsp.load(path), settings)


def _checked_model(request: Request, task: str) -> Model:
    """Return the model, once it is known that the answer can be written, and what it may replace."""
    from fsp.output.replace import is_marked, require_outputs

    if request.plot is not None:
        from fsp.plot import SUFFIXES

        if request.plot.suffix.lower() not in SUFFIXES:
            kinds = ", ".join(SUFFIXES)
            raise ArgumentError(f"`--plot` must end in one of {kinds}, but is '{request.plot}'.")
    asked = [("--out", request.out, _is_answer), ("--plot", request.plot, is_marked)]
    outputs = [(option, path, is_own) for option, path, is_own in asked if path is not None]
    require_outputs(outputs, inputs=[request.model], overwrite=request.overwrite)
    if request.out is not None and not (request.resume or request.overwrite):
        _require_no_loss(request.out, _KINDS[task])
    return _model(request.model, request.settings)


def _is_answer(path: Path) -> bool:
    from fsp.distribution.storage import kept

    return kept(path) is not None


def _require_no_loss(out: Path, kind: str) -> None:
    """Refuse to replace an answer by one of another kind, or one that --resume goes on from."""
    from fsp.distribution.storage import kept

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


# ---- while it runs


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            yield
        finally:
            for warning in caught:
                click.echo(f"fsp: warning: {warning.message}", err=True)


@contextmanager
def _progress(quiet: bool) -> Iterator[Report | None]:
    """Give a callback: a bar on a terminal, a line every few seconds elsewhere, None when quiet."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich import console, progress

        columns = (
            progress.SpinnerColumn(),
            progress.BarColumn(24),
            progress.TextColumn("{task.description}", markup=False),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)

            def report(moment: Progress | SweepProgress) -> None:
                reached, end = _share(moment)
                bar.update(task, completed=reached, total=end, description=_status(moment))

            yield report


class _Lines:
    """Print progress as plain lines, at most one every few seconds."""

    def __init__(self) -> None:
        self.start = self.last = time.monotonic()

    def __call__(self, progress: Progress | SweepProgress) -> None:
        now = time.monotonic()
        if now - self.last >= _SECONDS_BETWEEN_LINES:
            self.last = now
            click.echo(f"fsp: {_status(progress)}, {now - self.start:.0f} s", err=True)


def _share(progress: Progress | SweepProgress) -> tuple[float, float | None]:
    """Return how far it is, and how far it goes."""
    from fsp.projection import Progress

    if isinstance(progress, Progress):
        return progress.t or 0.0, progress.t_end
    return progress.done, progress.total


def _status(progress: Progress | SweepProgress) -> str:
    from fsp.projection import SweepProgress

    if isinstance(progress, SweepProgress):
        failed = f" ({progress.failed} failed)" if progress.failed else ""
        last = f", last {progress.message}" if progress.message else ""
        head = f"{progress.done} of {progress.total} {progress.kind}{failed}{last}"
        if not progress.n_states:
            return head
        return f"{head}, up to {progress.n_states:,} states, error {progress.error:.1e}"
    reached = "" if progress.t is None else f"t = {progress.t:.4g} of {progress.t_end:.4g}, "
    message = f", {progress.message}" if progress.message else ""
    return f"{reached}{progress.n_states:,} states, error {progress.error:.1e}{message}"


# ---- the answer


def _text(answer: Answer, request: Request, seconds: float) -> str:
    from fsp.distribution import Solution, Sweep
    from fsp.distribution.records import marginal_text

    width = shutil.get_terminal_size((120, 24)).columns
    if isinstance(answer, Sweep):
        return _sweep_text(answer, request, seconds, width)
    if isinstance(answer, Solution):
        work = f"{answer.solver}: {answer.n_matvec:,} products, {seconds:.3g} s"
        lines = [answer.table(width), work, *(f"note: {note}" for note in answer.remarks())]
    else:
        lines = [str(answer), f"{seconds:.3g} s"]
    tables = [f"\n{marginal_text(answer, name, width)}" for name in request.marginal]
    return "\n".join(lines + tables)


def _sweep_text(answer: Sweep, request: Request, seconds: float, width: int) -> str:
    from fsp.distribution.records import marginal_text

    lines = [str(answer), f"{answer.n_matvec:,} products, {seconds:.3g} s"]
    for name in request.marginal:
        lines += [f"\n{answer.label(i)}\n{marginal_text(answer[i], name, width)}" for i in answer.solved]
    return "\n".join(lines)


def _json(answer: Answer, request: Request, seconds: float) -> str:
    from fsp.distribution import Sweep
    from fsp.distribution.records import answer_record, sweep_record, to_json

    head = {"fsp": fsp.__version__, "tol": request.tol, "seconds": seconds}
    if isinstance(answer, Sweep):
        return to_json({**head, **sweep_record(answer, request.marginal)})
    return to_json({**head, **answer_record(answer, request.marginal)})


def _model_json(model: Model) -> str:
    from fsp.distribution.records import to_json
    from fsp.model.expression import to_text
    from fsp.moments.complexes import structure_record

    rates = [None if rate is None else to_text(rate) for rate in model.rate_expressions]
    reactions = [
        {
            "name": reaction.name,
            "equation": reaction.equation,
            "order": reaction.order,
            "change": dict(reaction.change),
            "propensity": rate,
            "time_dependent": bool(timed),
        }
        for reaction, rate, timed in zip(model.reactions, rates, model.time_dependent, strict=True)
    ]
    record = {
        "name": model.name,
        "hash": model.hash,
        "time_unit": model.time_unit,
        "species": list(model.species),
        "initial_states": model.initial_states.tolist(),
        "initial_probabilities": model.initial_probabilities.tolist(),
        "parameters": dict(model.parameters),
        "reactions": reactions,
        "conservation_laws": model.conservation_laws.tolist(),
        "mass_action": structure_record(model),
        "finite": bool(model.is_finite),
        "bounds": dict(zip(model.species, model.species_bounds.tolist(), strict=True)),
    }
    return to_json(record)
