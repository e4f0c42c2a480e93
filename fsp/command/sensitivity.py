"""`fsp sensitivity`."""

from __future__ import annotations

import click

import fsp
from fsp import defaults
from fsp.command.endings import LINEAR, PARAMETERS, START_OPTION, TIMES, DerivativeOptions, KeptEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import KEPT_ENDING, SOURCE, Source, takes, with_options
from fsp.quantities import points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@PARAMETERS
@TIMES
@LINEAR
@START_OPTION
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of each derivative, in the 1-norm.")
@with_options(*KEPT_ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=KeptEnding)
def sensitivity(source: Source, times: str, slopes: DerivativeOptions, ending: KeptEnding) -> int:
    """Print derivatives of means of the model in MODEL by its parameters, and the errors of all derivatives."""
    asked = points(times, "--times")
    ending.check("sensitivity", source.model)
    with ending.reporting() as report:
        derivatives = fsp.sensitivity(
            source.load(), asked, slopes.names, **slopes.how, max_states=ending.max_states, progress=report
        )
    met = derivatives.certified and all(error.total <= slopes.tol for error in derivatives[-1].errors)
    return ending.end(derivatives, met=met, tol=slopes.tol)
