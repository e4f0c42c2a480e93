"""`fsp fisher`."""

from __future__ import annotations

import click

import fsp
from fsp import defaults
from fsp.command.endings import LINEAR, PARAMETERS, START_OPTION, TIMES, DerivativeOptions, KeptEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.law_texts import INSTRUMENT, instruments_in
from fsp.command.options import KEPT_ENDING, SOURCE, Source, takes, with_options
from fsp.command.wording import saying
from fsp.quantities import points

OBSERVED = (  # what `fsp fisher` and `fsp design` take of what is seen, and how its derivatives are made
    click.option("--observe", multiple=True, metavar="FORMULA", help="What is seen of a cell, such as A+B; else all."),
    INSTRUMENT,
    LINEAR,
    START_OPTION,
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
@with_options(*KEPT_ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=KeptEnding)
def fisher(
    source: Source,
    times: str,
    cells: str,
    observe: tuple[str, ...],
    instrument: tuple[str, ...],
    slopes: DerivativeOptions,
    ending: KeptEnding,
) -> int:
    """Print the Fisher information of cells about parameters of the model in MODEL, as intervals."""
    ending.check("Fisher matrix", source.model)
    counts, network = points(cells, "--cells"), source.load()
    with ending.reporting() as report, saying(formula="--observe"):
        information = fsp.fisher(
            network,
            points(times, "--times"),
            slopes.names,
            cells=counts[0] if len(counts) == 1 else counts,
            observe=observe or None,
            instrument=instruments_in(instrument),
            **slopes.how,
            max_states=ending.max_states,
            progress=report,
        )
    return ending.end(information, met=information.certified)
