"""The option `--extrinsic`: laws of parameters that differ among cells, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

import fsp
from fsp.command.options import named
from fsp.errors import ArgumentError

EXTRINSIC = click.option(
    "--extrinsic",
    multiple=True,
    metavar="NAME=LAW",
    help="The law of a parameter among cells: gamma(10,0.3), lognormal(10,0.3), by mean and coefficient of variation.",
)
LAWS = {"gamma": "Gamma", "lognormal": "LogNormal"}  # what has its numbers is imported when it is used


def laws_in(texts: Sequence[str]) -> dict[str, Any] | None:
    """Read the option, given any number of times; None where it is not."""
    return {name: _law(text) for name, text in named(texts, "--extrinsic", "NAME=LAW")} or None


def _law(text: str) -> Any:
    word, _, rest = text.strip().partition("(")
    kind, arguments = LAWS.get(word.strip().lower()), [part.strip() for part in rest.removesuffix(")").split(",")]
    if kind is None or not rest.endswith(")") or len(arguments) != 2 or not all(arguments):
        raise ArgumentError(
            f"`--extrinsic` must be NAME=LAW, with a law such as gamma(10,0.3) or lognormal(10,0.3), by mean and "
            f"coefficient of variation, but is '{text}'."
        )
    return getattr(fsp, kind)(*map(_number, arguments))


def _number(text: str) -> float | str:
    """Return a number, or the name of a parameter."""
    try:
        return float(text)
    except ValueError:
        return text
