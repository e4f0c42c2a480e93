"""`fsp transient`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fsp.command.completion import SolverOption
from fsp.command.exits import EPILOG, guarded
from fsp.command.law_texts import EXTRINSIC, extrinsic_in
from fsp.command.options import BACKEND, SWEEP, CommandRequest, PassesOptions, shared_options, with_options
from fsp.command.solve import run, run_on_ranks
from fsp.command.sweeps import refuse_without_sweep, swept
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import points


@click.command(epilog=EPILOG, cls=PassesOptions)
@shared_options
@click.option(
    "--times",
    multiple=True,
    metavar="TIMES",
    help="1,2,5 or FROM:TO:NUMBER, with both ends; an archive (.omex, .sedml) may give its own.",
)
@click.option("--solver", cls=SolverOption, default="auto", show_default=True)
@with_options(*SWEEP)
@EXTRINSIC
@click.option("--max-work", type=float, help="Limit on the multiply-adds that lie ahead, 5e13 where none is given.")
@click.option("--resume", is_flag=True, help="Go on from --out, if that was begun; --times may have got longer.")
@click.option("--start", type=click.Path(path_type=Path), help="Start where this file of fsp ends, or: stationary.")
@click.option("--save-every", type=click.FloatRange(0), metavar="SECONDS", help="Save to --out while it runs.")
@BACKEND
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="With --backend petsc: where --save-every (a minute) saves, and --resume goes on, on any number of ranks.",
)
@guarded
def transient(
    times: tuple[str, ...],
    solver: str,
    sweeps: tuple[str, ...],
    pairs: bool,
    processes: int | None,
    extrinsic: tuple[str, ...],
    backend: str,
    checkpoint: Path | None,
    start: Path | None,
    **shared: Any,
) -> int:
    """Solve the model in MODEL from its initial state up to some times.

    Options that name one thing, like --times or --set, may be given several times.
    """
    request = CommandRequest.of(shared)
    if laws := extrinsic_in(extrinsic):
        rest: dict[str, Any] = {"start": "stationary"} if str(start) == "stationary" else {}
        given = {} if rest else {"start": start}
        _refuse_beside_laws(request, sweeps=sweeps, backend=backend, solver=solver, checkpoint=checkpoint, **given)
        refuse_without_sweep(pairs, processes)
        return run(request, "mixture", extrinsic=laws, times=_times(times, request), **rest)
    if backend != "serial":

        def asked() -> dict[str, Any]:
            return _asked_of_ranks(request, backend, checkpoint, sweeps) | {
                "times": _times(times, request),
                "solver": solver,
                **_started(start),
            }

        return run_on_ranks(request, "transient", backend, asked)
    if checkpoint is not None:
        raise ArgumentError("`--checkpoint` must come with --backend petsc; --save-every writes to --out in serial.")
    if request.files.out is None and (request.files.resume or request.files.save_every is not None):
        raise ArgumentError("`--out` must name the file for --resume and --save-every, but is missing.")
    options: dict[str, Any] = {"times": _times(times, request), "solver": solver, **_started(start)}
    if not sweeps:
        refuse_without_sweep(pairs, processes)
        return run(request, "transient", **options)
    values = swept(request, sweeps, pairs)
    return run(request, "sweep", values=values, pairs=pairs, processes=processes, errors="keep", **options)


def _times(times: Sequence[str], request: CommandRequest) -> list[float]:
    """Return the times that are asked for, on the command line or by the file."""
    if times:
        return points(",".join(times), "--times")
    from fsp.formats import time_course

    course = time_course(request.source.model)
    if not course:
        raise ArgumentError("Missing option '--times': MODEL is no archive that asks for a time course.")
    return course


def _refuse_beside_laws(request: CommandRequest, **given: Any) -> None:
    """Refuse what cells that differ are not solved with."""
    files = request.files
    given |= {"resume": files.resume or None, "save-every": files.save_every}
    wrong = [name for name, value in given.items() if value not in (None, (), "serial", "auto")]
    if wrong:
        raise ArgumentError(
            f"`--{wrong[0].rstrip('s')}` must come without --extrinsic, which solves at all nodes anew."
        )


def _started(start: Path | None) -> dict[str, Any]:
    """Return the answer to start from, or the word for rest, as an option; nothing without --start."""
    import fsp

    if start is None or str(start) == "stationary":
        return {} if start is None else {"start": "stationary"}
    if not start.is_file():
        raise ArgumentError(f"`--start` must be a file of fsp, or 'stationary', but '{start}' is not there.")
    with saying(path="--start"):
        there = fsp.read(start)
    if not isinstance(there, fsp.Solution | fsp.Distribution):
        kind = type(there).__name__.lower()
        raise ArgumentError(f"`--start` must be a file of a solution or a distribution, but '{start}' holds a {kind}.")
    return {"start": there}


def _asked_of_ranks(
    request: CommandRequest, backend: str, checkpoint: Path | None, sweeps: Sequence[str]
) -> dict[str, Any]:
    """Return what a transient on ranks is told of its checkpoints."""
    if sweeps:
        raise ArgumentError(f"`--sweep` must come with --backend serial, but that is '{backend}'.")
    if checkpoint is not None:
        return {"checkpoint": checkpoint, "resume": request.files.resume, "save_every": request.files.save_every}
    if request.files.resume or request.files.save_every is not None:
        raise ArgumentError(f"`--checkpoint` must name a folder for --resume and --save-every with '{backend}'.")
    return {}
