"""`fsp correlation`."""

from __future__ import annotations

import click

from fsp import defaults
from fsp.command.endings import DrawnEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import SOURCE, Source, drawn_ending, takes, with_options
from fsp.command.printing import json_of
from fsp.command.progress import status_of_answer
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import points

AT = 1e-3  # of the tolerance for the law at the time of --at: a second moment magnifies its error; chosen


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--of", "observable", required=True, metavar="FORMULA", help="What is looked at first, such as U.")
@click.option("--with", "with_", metavar="FORMULA", help="What is looked at later; by default the same.")
@click.option("--lags", multiple=True, required=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER.")
@click.option("--spectrum", multiple=True, metavar="FREQUENCIES", help="Angular frequencies of the spectrum.")
@click.option("--at", type=float, help="Look first at this time after the start, and not at rest.")
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of correlation coefficients.")
@with_options(*drawn_ending("the correlation"))
@guarded
@takes(source=Source, ending=DrawnEnding)
def correlation(
    source: Source,
    observable: str,
    with_: str | None,
    lags: tuple[str, ...],
    spectrum: tuple[str, ...],
    at: float | None,
    tol: float,
    ending: DrawnEnding,
) -> int:
    """Bound correlations of an observable of the model in MODEL with itself, or with another one, at later times.

    The model is at rest, or with --at, a time, on its way from its start.
    """
    import fsp

    ending.check(source.model)
    times = points(",".join(lags), "--lags")
    frequencies = points(",".join(spectrum), "--spectrum") if spectrum else []
    if frequencies and at is not None:
        raise ArgumentError("`--spectrum` must come without --at: it is that of a network at rest.")
    network = source.load()
    with saying(times="--at"):
        start = None if not at else fsp.transient(network, at, AT * tol, max_states=ending.max_states)
    formulas = "--of" if with_ is None else "--of or --with"
    with saying(lags="--lags", formula=formulas), ending.reporting() as report:
        answer = fsp.correlation(
            network,
            observable,
            times,
            with_=with_,
            start="stationary" if at is None else start,
            tol=tol,
            max_states=ending.max_states,
            progress=report,
        )
    powers = answer.spectrum(frequencies) if len(frequencies) else None
    if ending.as_json:
        rows = [] if powers is None else powers.record()
        click.echo(json_of(answer, spectrum=rows))
    else:
        click.echo(str(answer))
        if powers is not None:
            click.echo(str(powers))
    ending.draw(answer)
    return status_of_answer(certified=answer.covariance.certified)
