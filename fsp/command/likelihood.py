"""`fsp likelihood`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

import fsp
from fsp import defaults
from fsp.command.endings import START_OPTION, KeptEnding, names_in
from fsp.command.exits import EPILOG, guarded
from fsp.command.law_texts import EXTRINSIC, INSTRUMENT, extrinsic_in, instruments_in
from fsp.command.options import KEPT_ENDING, SOURCE, Source, named, takes, with_options
from fsp.command.wording import saying

DATA = (
    click.option("--data", required=True, type=click.Path(path_type=Path), help="Table with a row for each cell."),
    click.option("--observe", multiple=True, required=True, metavar="NAME=COLUMN", help="The column of each species."),
    click.option("--time", default="time", show_default=True, help="The column of the times."),
    click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Rows that count."),
    click.option("--condition", multiple=True, metavar="COLUMN=NAME", help="A column with values of a parameter."),
    click.option("--replicate", metavar="COLUMN", help="A column whose cells are counted apart in print."),
    click.option("--missing", default="refuse", show_default=True, help="Rows without a count: refuse, drop, unseen."),
    click.option("--time-unit", default="", metavar="UNIT", help="Unit of the times, to compare with the model's."),
)


@dataclass(frozen=True, slots=True)
class Data:
    """The table of cells, and how it is read."""

    data: Path
    observe: tuple[str, ...]
    time: str
    where: tuple[str, ...]
    condition: tuple[str, ...]
    replicate: str | None
    missing: str
    time_unit: str

    def read(self) -> fsp.Counts:
        """Read the table."""
        with saying(source="--data", counts="--observe", conditions="--condition"):
            return fsp.read_counts(
                self.data,
                counts=dict(named(self.observe, "--observe", "NAME=COLUMN")),
                time=self.time,
                where={name: _value(text) for name, text in named(self.where, "--where", "COLUMN=VALUE")},
                conditions=dict(named(self.condition, "--condition", "COLUMN=NAME")),
                replicate=self.replicate,
                missing=self.missing,
                time_unit=self.time_unit,
            )


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@with_options(*DATA)
@INSTRUMENT
@EXTRINSIC
@click.option("--gradient", metavar="NAMES", help="Parameters of the gradient: k,g.")
@click.option("--width", default=defaults.LIKELIHOOD_WIDTH, show_default=True, help="Width of the interval, in nats.")
@START_OPTION
@click.option("--processes", type=click.IntRange(1), help="Conditions that are computed at a time.")
@with_options(*KEPT_ENDING)
@guarded
@takes(source=Source, data=Data, ending=KeptEnding)
def likelihood(
    source: Source,
    data: Data,
    instrument: tuple[str, ...],
    extrinsic: tuple[str, ...],
    gradient: str | None,
    width: float,
    start: str | None,
    processes: int | None,
    ending: KeptEnding,
) -> int:
    """Print the log-likelihood of counted molecules under the model in MODEL, as an interval."""
    ending.check("likelihood", source.model, data.data)
    counts, network = data.read(), source.load()
    named_so = {"counts": "--data", "parameters": "--gradient", "conditions": "--condition", "formula": "--observe"}
    with ending.reporting() as report, saying(**named_so):
        answer = fsp.likelihood(
            network,
            counts,
            width=width,
            instrument=instruments_in(instrument),
            extrinsic=extrinsic_in(extrinsic),
            start=start,
            processes=processes,
            max_states=ending.max_states,
            progress=report,
        )
        slopes = answer.gradient(names_in(gradient), processes=processes, progress=report) if gradient else {}
    lines = [str(counts), str(answer), *(f"∂/∂log {name}: {interval}" for name, interval in slopes.items())]
    certified = all(interval.certified for interval in (answer.value, *slopes.values()))
    met = certified and not answer.impossible and answer.value.width <= width
    gradient_record = {name: interval.record() for name, interval in slopes.items()}
    return ending.end(answer, "\n".join(lines), met=met, gradient=gradient_record)


def _value(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip()
