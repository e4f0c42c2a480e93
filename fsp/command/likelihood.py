"""`fsp likelihood`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import fsp
from fsp import defaults
from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, guarded
from fsp.command.options import JSON, SOURCE, Source, named, takes_source, with_options
from fsp.command.progress import warnings_as_lines
from fsp.command.sensitivity import START, names_in

DATA = (
    click.option("--data", required=True, type=click.Path(path_type=Path), help="Table with a row for each cell."),
    click.option("--observe", multiple=True, required=True, metavar="NAME=COLUMN", help="The column of each species."),
    click.option("--time", default="time", show_default=True, help="The column of the times."),
    click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows that count."),
)


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@with_options(*DATA)
@click.option("--gradient", metavar="NAMES", help="Parameters of the gradient: k,g.")
@click.option("--width", default=defaults.LIKELIHOOD_WIDTH, show_default=True, help="Width of the interval, in nats.")
@START
@click.option("--max-states", type=int, help="Limit on the number of states.")
@JSON
@guarded
@takes_source
def likelihood(
    source: Source,
    data: Path,
    observe: tuple[str, ...],
    time: str,
    where: tuple[str, ...],
    gradient: str | None,
    width: float,
    start: str | None,
    max_states: int | None,
    as_json: bool,
) -> int:
    """Print the log-likelihood of counted molecules under MODEL, a file, as an interval."""
    from fsp.output.records import to_json

    counts = fsp.read_counts(
        data,
        counts=dict(named(observe, "--observe", "NAME=COLUMN")),
        time=time,
        where={name: _value(text) for name, text in named(where, "--where", "COLUMN=VALUE")},
    )
    with warnings_as_lines():
        found = fsp.likelihood(source.load(), counts, width=width, start=start, max_states=max_states)
        slopes = found.gradient(names_in(gradient)) if gradient else {}
    if as_json:
        click.echo(to_json(_record(found, slopes)))
    else:
        lines = [str(counts), str(found), *(f"∂/∂log {name}: {own}" for name, own in slopes.items())]
        click.echo("\n".join(lines))
    certified = all(own.certified for own in slopes.values())
    return 0 if certified and not found.impossible and found.value.width <= width else ABOVE_TOLERANCE


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def _record(found: fsp.Likelihood, slopes: dict[str, fsp.Interval]) -> dict[str, Any]:

    times = zip(found.counts.times.tolist(), found.by_time, found.counts.cells, strict=True)
    return {
        "fsp": fsp.__version__,
        "log_likelihood": found.value.record(),
        "cells": found.counts.n_cells,
        "times": [{"t": t, "cells": int(n.sum()), **own.record()} for t, own, n in times],
        "impossible": list(found.impossible),
        "gradient": {name: own.record() for name, own in slopes.items()},
    }
