"""`fsp fisher`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp import defaults
from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, guarded
from fsp.command.instruments import INSTRUMENT, instruments_in
from fsp.command.options import ENDING, SOURCE, Source, takes_source, with_options
from fsp.command.progress import reporting
from fsp.command.sensitivity import LINEAR, PARAMETERS, START, TIMES, names_in
from fsp.quantities import points

if TYPE_CHECKING:
    from fsp.distribution.information import FisherInformation


OBSERVED = (  # what `fsp fisher` and `fsp design` take of what is seen, and how its derivatives are made
    click.option("--observe", multiple=True, metavar="FORMULA", help="What is seen of a cell, such as A+B; else all."),
    INSTRUMENT,
    LINEAR,
    START,
    click.option(
        "--tol", default=defaults.FISHER_TOL, show_default=True, help="Error of each derivative, in the 1-norm."
    ),
)


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@PARAMETERS
@TIMES
@click.option("--cells", default="1", show_default=True, help="Cells at each time: 1000, or 500,200,300.")
@with_options(*OBSERVED)
@with_options(*ENDING)
@guarded
@takes_source
def fisher(
    source: Source,
    parameters: str,
    times: str,
    cells: str,
    observe: tuple[str, ...],
    instrument: tuple[str, ...],
    linear: bool,
    start: str | None,
    tol: float,
    max_states: int | None,
    as_json: bool,
    quiet: bool,
    progress: bool,
) -> int:
    """Print the Fisher information of cells of MODEL, a file, about its parameters, as intervals."""
    from fsp.output.records import to_json

    counts = points(cells, "--cells")
    with reporting(quiet, progress) as report:
        information = fsp.fisher(
            source.load(),
            points(times, "--times"),
            names_in(parameters),
            cells=counts[0] if len(counts) == 1 else counts,
            observe=observe or None,
            instrument=instruments_in(instrument),
            log=not linear,
            tol=tol,
            start=start,
            max_states=max_states,
            progress=report,
        )
    click.echo(to_json(_record(information)) if as_json else str(information))
    return 0 if information.certified else ABOVE_TOLERANCE


def _record(information: FisherInformation) -> dict[str, Any]:
    return {
        "fsp": fsp.__version__,
        "parameters": list(information.parameters),
        "log": information.log,
        "certified": information.certified,
        "matrix": information.matrix.tolist(),
        "lower": information.lower.tolist(),
        "upper": information.upper.tolist(),
        "eigenvalues": [interval.record() for interval in information.eigenvalues()],
        "hidden": information.hidden,
        "determinant": information.determinant().record(),
        "trace": information.trace().record(),
    }
