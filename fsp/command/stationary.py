"""`fsp stationary`."""

from __future__ import annotations

from typing import Any

import click

from fsp.command.exits import EPILOG, guarded
from fsp.command.options import BACKEND, PassesOptions, Request, shared_options
from fsp.command.solve import run, run_on_ranks


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
@BACKEND
@guarded
def stationary(method: str, lyapunov: str | None, backend: str, **shared: Any) -> int:
    """Find the stationary distribution of MODEL, a file."""
    request = Request.of(shared)
    options: dict[str, Any] = {"method": method, "lyapunov": lyapunov}
    if backend != "serial":
        return run_on_ranks(request, "stationary", backend, lambda: options)
    return run(request, "stationary", **options)
