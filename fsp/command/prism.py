"""`fsp prism`."""

from __future__ import annotations

from pathlib import Path

import click

from fsp.command.exits import EPILOG, guarded
from fsp.command.options import OVERWRITE, SOURCE, Source, named, takes, with_options
from fsp.errors import ArgumentError
from fsp.quantities import number, points


@click.command(epilog=EPILOG)
@with_options(*SOURCE)
@click.option("--upper", multiple=True, metavar="NAME=COUNT", help="The largest count of a species.")
@click.option("--out", type=click.Path(path_type=Path), help="The model's file, such as model.sm; else it is printed.")
@click.option("--to", "condition", metavar="CONDITION", help="Ask for the passage to it, such as 'V > U'.")
@click.option("--times", multiple=True, metavar="TIMES", help="Of the law that is asked for: 1,2,5 or FROM:TO:NUMBER.")
@click.option("--properties", type=click.Path(path_type=Path), help="The file of the questions, such as model.props.")
@OVERWRITE
@guarded
@takes(source=Source)
def prism(
    source: Source,
    upper: tuple[str, ...],
    out: Path | None,
    condition: str | None,
    times: tuple[str, ...],
    properties: Path | None,
    overwrite: bool,
) -> int:
    """Write the model in MODEL, and questions of a passage, for the model checkers PRISM and Storm."""
    from fsp.formats.prism import write_properties
    from fsp.output.files import write
    from fsp.output.replace import Output, require_outputs

    if (condition is None) != (properties is None):
        raise ArgumentError("`--to` and `--properties` must come together, but one of them is missing.")
    if times and condition is None:
        raise ArgumentError("`--times` must come with --to, the passage whose law is asked for, but there is none.")
    outputs = [("--out", out), ("--properties", properties)]
    asked = [Output(option, path, is_own=lambda _: False) for option, path in outputs]
    require_outputs(*asked, inputs=[source.model], overwrite=overwrite)
    largest = {name: _count(text, f"--upper {name}") for name, text in named(upper, "--upper", "NAME=COUNT")}
    network = source.load()
    grid = points(",".join(times), "--times") if times else ()
    questions = None if condition is None else write_properties(network, condition, list(grid))
    text = network.to_prism(out, upper=largest)
    if properties is not None:
        write(properties, f"{questions}\n")
    if out is None:
        click.echo(text)
    return 0


def _count(text: str, option: str) -> int:
    value = number(text, option)
    if not float(value).is_integer():
        raise ArgumentError(f"`{option}` must be a whole number, but is {text}.")
    return int(value)
