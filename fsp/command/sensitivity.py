"""`fsp sensitivity`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp import defaults
from fsp.command.endings import LINEAR, PARAMETERS, START_OPTION, TIMES, DerivativeOptions, Ending
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import ENDING, SOURCE, Source, takes, with_options
from fsp.quantities import points

if TYPE_CHECKING:
    from fsp.distribution.sensitivity import Sensitivities, Sensitivity


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@PARAMETERS
@TIMES
@LINEAR
@START_OPTION
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of each derivative, in the 1-norm.")
@with_options(*ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=Ending)
def sensitivity(source: Source, times: str, slopes: DerivativeOptions, ending: Ending) -> int:
    """Print derivatives of means of the model in MODEL by its parameters, and the errors of all derivatives."""
    asked = points(times, "--times")
    with ending.reporting() as report:
        derivatives = fsp.sensitivity(
            source.load(), asked, slopes.names, **slopes.how, max_states=ending.max_states, progress=report
        )
    met = derivatives.certified and all(error.total <= slopes.tol for error in derivatives[-1].errors)
    return ending.show(str(derivatives), partial(_record, derivatives, slopes.tol), met=met)


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
