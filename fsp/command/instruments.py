"""The option `--instrument`: what is made of a count on its way into the data, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

import fsp
from fsp.command.options import named
from fsp.errors import ArgumentError

INSTRUMENT = click.option(
    "--instrument",
    multiple=True,
    metavar="NAME=LAW",
    help="What is seen of a count: binomial(0.3), poisson(2), normal(1.5), bins(0,5,10).",
)
LAWS: dict[str, Callable[..., Any]] = {
    "binomial": lambda capture: fsp.Binomial(_number(capture)),
    "poisson": lambda background: fsp.Poisson(_number(background)),
    "normal": lambda deviation: fsp.Normal(_number(deviation)),
    "bins": lambda *edges: fsp.Bins([int(edge) for edge in edges]),
}


def instruments_in(texts: Sequence[str]) -> dict[str, Any] | None:
    """Read the option, given any number of times; None where it is not."""
    return {name: _law(text) for name, text in named(texts, "--instrument", "NAME=LAW")} or None


def _law(text: str) -> Any:
    word, _, rest = text.strip().partition("(")
    make, arguments = (
        LAWS.get(word.strip().lower()),
        [argument.strip() for argument in rest.removesuffix(")").split(",")],
    )
    if make is None or not rest.endswith(")"):
        raise ArgumentError(
            f"`--instrument` must be NAME=LAW, with a law such as binomial(0.3), poisson(2), normal(1.5) or "
            f"bins(0,5,10), but is '{text}'."
        )
    try:
        return make(*arguments)
    except ArgumentError:
        raise
    except (TypeError, ValueError):
        raise ArgumentError(
            f"`--instrument` must have numbers in its law, one but for bins, but is '{text}'."
        ) from None


def _number(text: str) -> Any:
    """Return a number, or the name of a parameter, which `fsp.Binomial` takes."""
    try:
        return float(text)
    except ValueError:
        return text
