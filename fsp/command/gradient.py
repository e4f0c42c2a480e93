"""`fsp gradient`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp import defaults
from fsp.command.exits import ABOVE_TOLERANCE, EPILOG, guarded
from fsp.command.options import ENDING, SOURCE, Source, takes_source, with_options
from fsp.command.progress import reporting
from fsp.command.sensitivity import LINEAR, PARAMETERS, START, TIMES, names_in
from fsp.quantities import points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fsp.distribution import Interval


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--of", "formula", required=True, metavar="FORMULA", help="A condition, 'U > V', or a number, 'U + 2*V'.")
@PARAMETERS
@TIMES
@LINEAR
@START
@click.option("--tol", default=defaults.TOL, show_default=True, help="Half of the width of each interval.")
@with_options(*ENDING)
@guarded
@takes_source
def gradient(
    source: Source,
    formula: str,
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
    """Print how a probability or a mean of MODEL, a file, changes with its parameters, as intervals."""
    from fsp.output.records import to_json

    asked, names = points(times, "--times"), names_in(parameters)
    network = source.load()
    with reporting(quiet, progress) as report:
        slopes = [
            fsp.gradient(
                network,
                formula,
                t,
                names,
                log=not linear,
                tol=tol,
                start=start,
                max_states=max_states,
                progress=report,
            )
            for t in asked
        ]
    if as_json:
        click.echo(to_json(_record(formula, asked, slopes, tol, log=not linear)))
    else:
        click.echo("\n".join(_lines(formula, asked, slopes, log=not linear)))
    intervals = [interval for of_time in slopes for interval in of_time.values()]
    met = all(interval.certified and interval.width <= 2.0 * tol for interval in intervals)
    return 0 if met else ABOVE_TOLERANCE


def _lines(formula: str, times: Sequence[float], slopes: Sequence[Mapping[str, Interval]], *, log: bool) -> list[str]:
    by = "log " if log else ""
    lines = []
    for t, of_time in zip(times, slopes, strict=True):
        lines.append(f"t = {t:g}: derivatives of {formula}")
        lines += [f"  ∂/∂{by}{name}: {interval}" for name, interval in of_time.items()]
    return lines


def _record(
    formula: str, times: Sequence[float], slopes: Sequence[Mapping[str, Interval]], tol: float, *, log: bool
) -> dict[str, Any]:
    return {
        "fsp": fsp.__version__,
        "of": formula,
        "tol": tol,
        "log": log,
        "times": [
            {"t": t, "gradient": {name: interval.record() for name, interval in of_time.items()}}
            for t, of_time in zip(times, slopes, strict=True)
        ],
    }
