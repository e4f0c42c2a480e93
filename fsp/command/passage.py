"""`fsp passage`."""

from __future__ import annotations

import click

from fsp import defaults
from fsp.command.endings import DrawnEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import SOURCE, Source, drawn_ending, named, takes, with_options
from fsp.command.printing import print_answer
from fsp.command.progress import status_of_answer
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--to", "target", metavar="CONDITION", help="What is to be fulfilled, such as 'V > U'.")
@click.option("--or", "others", multiple=True, metavar="NAME=CONDITION", help="One of several: which is reached first.")
@click.option("--times", multiple=True, metavar="TIMES", help="For the law: 1,2,5 or FROM:TO:NUMBER, since the start.")
@click.option("--stationary", is_flag=True, help="Start from the stationary distribution.")
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of probabilities; relative, of moments.")
@with_options(*drawn_ending("the law"))
@guarded
@takes(source=Source, ending=DrawnEnding)
def passage(
    source: Source,
    target: str | None,
    others: tuple[str, ...],
    times: tuple[str, ...],
    stationary: bool,
    tol: float,
    ending: DrawnEnding,
) -> int:
    """Find when the model in MODEL first fulfils a condition, or which of several it fulfils first."""
    import fsp

    if (target is None) == (not others):
        raise ArgumentError("`--to` must be one condition, or `--or` several with names, but there are none or both.")
    ending.check(source.model)
    if ending.plot is not None and not times:
        raise ArgumentError("`--times` must be given for `--plot`, which draws the law, but are missing.")
    conditions = target if target is not None else dict(named(others, "--or", "NAME=CONDITION"))
    network = source.load()
    with saying(formula="--or" if target is None else "--to"), ending.reporting() as report:
        answer = fsp.passage(
            network,
            conditions,
            points(",".join(times), "--times") if times else None,
            start="stationary" if stationary else None,
            tol=tol,
            max_states=ending.max_states,
            progress=report,
        )
    print_answer(answer, ending.as_json)
    ending.draw(answer)
    unproved = bool(answer.moments) and not all(chance.certified for chance in answer.reached)
    return status_of_answer(certified=not unproved and (answer.law is None or answer.law.cdf.certified))
