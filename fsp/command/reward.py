"""`fsp reward`."""

from __future__ import annotations

import click

from fsp import defaults
from fsp.command.endings import Ending
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import ENDING, SOURCE, Source, takes, with_options
from fsp.command.printing import print_answer
from fsp.command.progress import status_of_answer
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--of", "observable", metavar="FORMULA", help="A condition to spend time in, or a cost per unit of time.")
@click.option("--firings", metavar="REACTION", help="Count how often this reaction takes place.")
@click.option("--times", multiple=True, metavar="TIMES", help="1,2,5 or FROM:TO:NUMBER; may be left out with --until.")
@click.option("--stationary", is_flag=True, help="In a unit of time, in the average over a long time.")
@click.option("--until", metavar="CONDITION", help="What ends it before the time, such as 'V > U'.")
@click.option("--tol", default=defaults.TOL, show_default=True, help="Error of each mean, relative to 1 + its size.")
@with_options(*ENDING)
@guarded
@takes(source=Source, ending=Ending)
def reward(
    source: Source,
    observable: str | None,
    firings: str | None,
    times: tuple[str, ...],
    stationary: bool,
    until: str | None,
    tol: float,
    ending: Ending,
) -> int:
    """Find what the model in MODEL accumulates up to times or a passage: time in a condition, cost, or firings."""
    import fsp

    if (observable is None) == (firings is None):
        raise ArgumentError("One of `--of` and `--firings` must be given, but there are none or both.")
    if stationary and (times or until is not None):
        raise ArgumentError("`--stationary` must come without --times and --until: it is of a long time.")
    if not (times or stationary) and until is None:
        raise ArgumentError("`--times` must be given without --until: all of a time without an end is not finite.")
    grid = points(",".join(times), "--times") if times else None
    network = source.load()
    with saying(formula="--of" if until is None else "--of or --until"), ending.reporting() as report:
        what, fires = observable or firings or "", firings is not None
        answer: fsp.Reward | fsp.AverageReward
        if stationary:
            answer = fsp.average_reward(
                network, what, firings=fires, tol=tol, max_states=ending.max_states, progress=report
            )
        else:
            answer = fsp.reward(
                network, what, grid, firings=fires, until=until, tol=tol, max_states=ending.max_states, progress=report
            )
    print_answer(answer, ending.as_json)
    return status_of_answer(certified=answer.mean.certified)
