"""`fsp gradient`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

import fsp
from fsp import defaults
from fsp.command.endings import LINEAR, PARAMETERS, START_OPTION, TIMES, DerivativeOptions, Ending
from fsp.command.exits import EPILOG, guarded
from fsp.command.options import ENDING, SOURCE, Source, takes, with_options
from fsp.command.wording import saying
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
@START_OPTION
@click.option("--tol", default=defaults.TOL, show_default=True, help="Half of the width of each interval.")
@with_options(*ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=Ending)
def gradient(source: Source, formula: str, times: str, slopes: DerivativeOptions, ending: Ending) -> int:
    """Print derivatives of a probability or a mean of the model in MODEL by its parameters, as intervals."""
    asked, network = points(times, "--times"), source.load()
    with saying(time="--times"), ending.reporting() as report:
        answers = [
            fsp.gradient(network, formula, t, slopes.names, **slopes.how, max_states=ending.max_states, progress=report)
            for t in asked
        ]
    intervals = [interval for of_time in answers for interval in of_time.values()]
    met = all(interval.certified and interval.width <= 2.0 * slopes.tol for interval in intervals)
    text = "\n".join(_lines(formula, asked, answers, log=not slopes.linear))
    record = partial(_record, formula, asked, answers, slopes.tol, log=not slopes.linear)
    return ending.show(text, record, met=met)


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
