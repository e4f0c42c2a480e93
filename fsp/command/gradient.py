"""`fsp gradient`."""

from __future__ import annotations

import click

import fsp
from fsp import defaults
from fsp.command.endings import LINEAR, PARAMETERS, START_OPTION, TIMES, DerivativeOptions, KeptEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import KEPT_ENDING, SOURCE, Source, takes, with_options
from fsp.command.wording import saying
from fsp.quantities import points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--of", "formula", required=True, metavar="FORMULA", help="A condition, 'U > V', or a number, 'U + 2*V'.")
@PARAMETERS
@TIMES
@LINEAR
@START_OPTION
@click.option("--tol", default=defaults.TOL, show_default=True, help="Half of the width of each interval.")
@with_options(*KEPT_ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=KeptEnding)
def gradient(source: Source, formula: str, times: str, slopes: DerivativeOptions, ending: KeptEnding) -> int:
    """Print derivatives of a probability or a mean of the model in MODEL by its parameters, as intervals."""
    import numpy as np

    from fsp.distribution.gradients import Gradients

    ending.check("gradient", source.model)
    asked, network = points(times, "--times"), source.load()
    with saying(time="--times"), ending.reporting() as report:
        answers = tuple(
            fsp.gradient(network, formula, t, slopes.names, **slopes.how, max_states=ending.max_states, progress=report)
            for t in asked
        )
    gradients = Gradients(formula, np.array(asked, dtype=np.float64), answers, not slopes.linear, slopes.tol)
    return ending.end(gradients, met=gradients.is_met)
