"""`fsp design`."""

from __future__ import annotations

import click

import fsp
from fsp.command.endings import PARAMETERS, TIMES, DerivativeOptions, KeptEnding, names_in
from fsp.command.exits import EPILOG, guarded
from fsp.command.fisher import OBSERVED
from fsp.command.law_texts import instruments_in
from fsp.command.options import KEPT_ENDING, SOURCE, Source, named, takes, with_options
from fsp.command.wording import saying
from fsp.errors import ArgumentError
from fsp.quantities import number, points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@PARAMETERS
@TIMES
@click.option("--cells", default=1000, show_default=True, help="Number of all cells.")
@click.option("--criterion", default="D", show_default=True, help="D, Ds, A or E.")
@click.option("--interest", metavar="NAMES", help="Parameters of interest, of Ds: k.")
@click.option("--condition", multiple=True, metavar="LABEL:NAME=VALUE,...", help="What a condition sets.")
@with_options(*OBSERVED)
@with_options(*KEPT_ENDING)
@guarded
@takes(source=Source, slopes=DerivativeOptions, ending=KeptEnding)
def design(
    source: Source,
    times: str,
    cells: int,
    criterion: str,
    interest: str | None,
    condition: tuple[str, ...],
    observe: tuple[str, ...],
    instrument: tuple[str, ...],
    slopes: DerivativeOptions,
    ending: KeptEnding,
) -> int:
    """Choose how many cells to observe at each time, for the most information on parameters of the model in MODEL."""
    ending.check("design", source.model)
    conditions, network = dict(map(_condition, condition)), source.load()
    with ending.reporting() as report, saying(formula="--observe", conditions="--condition"):
        plan = fsp.design(
            network,
            points(times, "--times"),
            slopes.names,
            cells=cells,
            criterion=criterion,
            interest=names_in(interest) if interest else None,
            conditions=conditions or None,
            observe=observe or None,
            instrument=instruments_in(instrument),
            **slopes.how,
            max_states=ending.max_states,
            progress=report,
        )
    return ending.end(plan, met=plan.information.certified)


def _condition(text: str) -> tuple[str, dict[str, float]]:
    label, colon, rest = text.partition(":")
    if not colon or not label.strip():
        raise ArgumentError(f"`--condition` must be LABEL:NAME=VALUE,..., such as low:S=1, but is '{text}'.")
    parts = [part for part in rest.split(",") if part.strip()]
    settings = named(parts, "--condition", "LABEL:NAME=VALUE,...")
    return label.strip(), {name: number(value, f"--condition {name}") for name, value in settings}
