"""`fsp relaxation`."""

from __future__ import annotations

import click

import fsp
from fsp import defaults
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import JSON, PROGRESS, SOURCE, Source, takes, with_options
from fsp.command.progress import reporting
from fsp.command.wording import saying


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--modes", type=int, help=f"Number of modes; {defaults.MODES} without, or as many as there are.")
@click.option(
    "--tol",
    default=defaults.RELAXATION_TOL,
    show_default=True,
    help="Error of the stationary distribution below the modes.",
)
@JSON
@with_options(*PROGRESS)
@guarded
@takes(source=Source)
def relaxation(source: Source, modes: int | None, tol: float, as_json: bool, quiet: bool, progress: bool) -> int:
    """Print the slowest eigenvalues and relaxation times of the model in MODEL, or its rate of extinction."""
    from fsp.output.records import to_json

    with saying(n_modes="--modes"), reporting(quiet, progress) as report:
        answer = fsp.relaxation(source.load(), modes, tol, progress=report)
    record = {
        "fsp": fsp.__version__,
        "n_states": answer.n_states,
        "eigenvalues": [[value.real, value.imag] for value in answer.eigenvalues.tolist()],
        "times": answer.times.tolist(),
        "residuals": answer.residuals.tolist(),
        "errors": None if answer.errors is None else answer.errors.tolist(),
        "confirmed": [] if answer.confirmed is None else answer.confirmed.tolist(),
        "rates": [rate.record() for rate in answer.rates],
        "absorbed": answer.quasi_stationary is not None,
        "notes": list(answer.notes),
    }
    click.echo(to_json(record) if as_json else str(answer))
    return 0
