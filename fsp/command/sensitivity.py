"""`fsp sensitivity`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp import defaults
from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, guarded
from fsp.command.options import ENDING, SOURCE, Source, takes_source, with_options
from fsp.command.progress import reporting
from fsp.quantities import points

if TYPE_CHECKING:
    from fsp.distribution.sensitivity import Sensitivities, Sensitivity

PARAMETERS = click.option("--parameters", required=True, metavar="NAMES", help="Names of the parameters: k,g.")
TIMES = click.option("--times", required=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER, with both ends.")
LINEAR = click.option("--linear", is_flag=True, help="By the parameters themselves, not by their logarithms.")

START = click.option("--start", metavar="LAW", help="stationary: from the stationary law of the rates at time zero.")


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@PARAMETERS
@TIMES
@LINEAR
@START
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of each derivative, in the 1-norm.")
@with_options(*ENDING)
@guarded
@takes_source
def sensitivity(
    source: Source,
    parameters: str,
    times: str,
    linear: bool,
    start: str | None,
    tol: float,
    max_states: int | None,
    as_json: bool,
    quiet: bool,
    progress: bool,
) -> int:
    """Print how means of MODEL, a file, change with its parameters, and the errors of all derivatives."""
    from fsp.output.records import to_json

    asked = points(times, "--times")
    with reporting(quiet, progress) as report:
        derivatives = fsp.sensitivity(
            source.load(),
            asked,
            names_in(parameters),
            log=not linear,
            tol=tol,
            start=start,
            max_states=max_states,
            progress=report,
        )
    click.echo(to_json(_record(derivatives, tol)) if as_json else str(derivatives))
    met = derivatives.certified and all(error.total <= tol for error in derivatives[-1].errors)
    return 0 if met else ABOVE_TOLERANCE


def names_in(text: str) -> list[str]:
    """Return names that are given with commas between them."""
    return [name.strip() for name in text.split(",")]


def _record(derivatives: Sensitivities, tol: float) -> dict[str, Any]:
    return {
        "fsp": fsp.__version__,
        "tol": tol,
        "log": derivatives[-1].log,
        "parameters": list(derivatives.parameters),
        "statistics": derivatives.statistics,
        "times": [_of_time(value) for value in derivatives],
    }


def _of_time(value: Sensitivity) -> dict[str, Any]:

    means = {name: value.mean(name) for name in value.species}
    return {
        "t": value.t,
        "n_states": len(value.states),
        "errors": {
            name: {**error.terms, "total": error.total, "certified": error.certified}
            for name, error in zip(value.parameters, value.errors, strict=True)
        },
        "means": {
            name: {parameter: interval.record() for parameter, interval in intervals.items()}
            for name, intervals in means.items()
        },
    }
