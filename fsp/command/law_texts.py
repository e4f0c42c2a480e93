"""Laws in words, such as ``poisson(2)``: `--instrument`, of what is seen, and `--extrinsic`, of parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import click

import fsp
from fsp.command.options import named
from fsp.errors import ArgumentError

Laws: TypeAlias = Mapping[str, Callable[..., Any]]

INSTRUMENT = click.option(
    "--instrument",
    multiple=True,
    metavar="NAME=LAW",
    help="What is seen of a count: binomial(0.3), poisson(2), normal(1.5), bins(0,5,10).",
)
INSTRUMENTS: Laws = {
    "binomial": lambda capture: fsp.Binomial(_number(capture)),
    "poisson": lambda background: fsp.Poisson(_number(background)),
    "normal": lambda deviation: fsp.Normal(_number(deviation)),
    "bins": lambda *edges: fsp.Bins([int(edge) for edge in edges]),
}
EXTRINSIC = click.option(
    "--extrinsic",
    multiple=True,
    metavar="NAME=LAW",
    help="The law of a parameter among cells: gamma(10,0.3), lognormal(10,0.3), by mean and coefficient of variation.",
)
AMONG_CELLS: Laws = {
    "gamma": lambda mean, variation: fsp.Gamma(_number(mean), _number(variation)),
    "lognormal": lambda mean, variation: fsp.LogNormal(_number(mean), _number(variation)),
}


def instruments_in(texts: Sequence[str]) -> dict[str, Any] | None:
    """Read `--instrument`, given any number of times; None where it is not."""
    return _laws_in(texts, "--instrument", INSTRUMENTS, "binomial(0.3), poisson(2), normal(1.5) or bins(0,5,10)")


def extrinsic_in(texts: Sequence[str]) -> dict[str, Any] | None:
    """Read `--extrinsic`, given any number of times; None where it is not."""
    examples = "gamma(10,0.3) or lognormal(10,0.3), by mean and coefficient of variation"
    return _laws_in(texts, "--extrinsic", AMONG_CELLS, examples)


def _laws_in(texts: Sequence[str], option: str, laws: Laws, examples: str) -> dict[str, Any] | None:
    return {name: _law(text, option, laws, examples) for name, text in named(texts, option, "NAME=LAW")} or None


def _law(text: str, option: str, laws: Laws, examples: str) -> Any:
    word, _, rest = text.strip().partition("(")
    make, arguments = laws.get(word.strip().lower()), [part.strip() for part in rest.removesuffix(")").split(",")]
    if make is not None and rest.endswith(")") and all(arguments):
        try:
            return make(*arguments)
        except ArgumentError as error:
            raise ArgumentError(f"`{option}`: {error}") from None
        except (TypeError, ValueError):
            raise ArgumentError(
                f"`{option}` must have as many numbers in its law as in {examples}, but is '{text}'."
            ) from None
    raise ArgumentError(f"`{option}` must be NAME=LAW, with a law such as {examples}, but is '{text}'.")


def _number(text: str) -> Any:
    """Return a number, or the name of a parameter."""
    try:
        return float(text)
    except ValueError:
        return text
