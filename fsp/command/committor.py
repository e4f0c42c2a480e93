"""`fsp committor`."""

from __future__ import annotations

import click

from fsp import defaults
from fsp.command.endings import DrawnEnding
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import SOURCE, Source, drawn_ending, named, takes, with_options
from fsp.command.printing import json_of
from fsp.command.progress import status_of_answer
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import number


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--from", "first", required=True, metavar="CONDITION", help="The set A that ways begin in.")
@click.option("--to", "second", required=True, metavar="CONDITION", help="The set B that they end in.")
@click.option("--at", "places", multiple=True, metavar="STATE", help="Print committors there: U=3,V=4.")
@click.option("--tol", default=defaults.TOL, show_default=True, help="Relative error of the rate.")
@with_options(*drawn_ending("the current of two species"))
@guarded
@takes(source=Source, ending=DrawnEnding)
def committor(
    source: Source,
    first: str,
    second: str,
    places: tuple[str, ...],
    tol: float,
    ending: DrawnEnding,
) -> int:
    """Find reactive paths of the model in MODEL at rest, between two sets of states: rate, committors, current."""
    import fsp

    ending.check(source.model)
    network = source.load()
    states = [_state(text) for text in places]
    with saying(formula="--from or --to"), ending.reporting() as report:
        ways = fsp.committor(network, first, second, tol=tol, max_states=ending.max_states, progress=report)
    with saying(state="--at"):
        both = [(state, ways.forward(state), ways.backward(state)) for state in states]
    if ending.as_json:
        named_bounds = [
            {"state": state, "forward": forward.record(), "backward": backward.record()}
            for state, forward, backward in both
        ]
        click.echo(json_of(ways, at=named_bounds))
    else:
        click.echo(str(ways))
        for state, forward, backward in both:
            where = ", ".join(f"{name}={count}" for name, count in state.items())
            click.echo(f"  q at {where}: {forward}, backward {backward}")
    with saying(species="--plot"):
        ending.draw(ways)
    return status_of_answer(certified=ways.forward.certified and ways.rate.certified)


def _state(text: str) -> dict[str, int]:
    given = {name: number(value, f"--at {name}") for name, value in named(text.split(","), "--at", "NAME=COUNT,...")}
    for name, count in given.items():
        if not (count >= 0.0 and count.is_integer()):
            raise ArgumentError(f"`--at {name}` must be a whole number of 0 or more, but is {count:g}.")
    return {name: int(count) for name, count in given.items()}
