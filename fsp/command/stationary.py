"""`fsp stationary`."""

from __future__ import annotations

from typing import Any

import click

from fsp.command.exits import EPILOG, guarded
from fsp.command.options import BACKEND, SWEEP, CommandRequest, PassesOptions, shared_options, with_options
from fsp.command.solve import run, run_on_ranks
from fsp.command.sweeps import refuse_without_sweep, swept
from fsp.errors import ArgumentError


@click.command(epilog=EPILOG, cls=PassesOptions)
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
@with_options(*SWEEP)
@click.option("--resume", is_flag=True, help="Go on with the sweep in --out, if that was begun.")
@BACKEND
@guarded
def stationary(
    method: str,
    lyapunov: str | None,
    sweeps: tuple[str, ...],
    pairs: bool,
    processes: int | None,
    backend: str,
    **shared: Any,
) -> int:
    """Find the stationary distribution of the model in MODEL."""
    request = CommandRequest.of(shared)
    options: dict[str, Any] = {"method": method, "lyapunov": lyapunov}
    if sweeps and backend != "serial":
        raise ArgumentError(f"`--sweep` must come with --backend serial, but that is '{backend}'.")
    if not sweeps:
        refuse_without_sweep(pairs, processes)
        if request.files.resume:
            raise ArgumentError("`--resume` must come with --sweep, but there is none.")
    if backend != "serial":
        return run_on_ranks(request, "stationary", backend, lambda: options)
    if not sweeps:
        return run(request, "stationary", **options)
    if request.files.resume and request.files.out is None:
        raise ArgumentError("`--out` must name the file for --resume, but is missing.")
    values = swept(request, sweeps, pairs)
    return run(request, "sweep", values=values, pairs=pairs, processes=processes, errors="keep", **options)
