"""Rate laws as immutable trees: numbers, symbols, time, and calls of the functions in `FUNCTIONS`.

Every propensity that is not a Python callable is such a tree, whatever its source (a rate string,
MathML, mass action), so that one piece of code evaluates it on whole arrays of states, finds the
species and the time in it, and factorises it.  `call` builds a node and folds constants; it keeps
`a + b + c` flat and leaves every other order of operations as it was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fsp.model.functions import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float


@dataclass(frozen=True, slots=True)
class Symbol:
    """A species or a parameter, by name."""

    name: str


@dataclass(frozen=True, slots=True)
class Time:
    """The time t."""


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `FUNCTIONS` applied to arguments."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Number | Symbol | Time | Call

ZERO, ONE = Number(0.0), Number(1.0)
_ASSOCIATIVE = ("+", "*", "&&", "||")  # (a + b) + c is written and computed as a + b + c


def walk(expr: Expression) -> Iterator[Expression]:
    """Yield every node of a tree, parents before children.

    Parameters
    ----------
    expr
        The tree.

    Yields
    ------
    Expression
        A node.
    """
    pending = [expr]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, Call):
            pending.extend(reversed(node.arguments))


def symbols(expr: Expression) -> frozenset[str]:
    """Return the names of the species and parameters in a tree."""
    return frozenset(node.name for node in walk(expr) if isinstance(node, Symbol))


def depends_on_time(expr: Expression) -> bool:
    """Return whether the time occurs in a tree."""
    return any(isinstance(node, Time) for node in walk(expr))


def call(function: str, *arguments: Expression) -> Expression:
    """Return the tree of a function applied to trees, with constants folded.

    Parameters
    ----------
    function
        A name in `FUNCTIONS`.
    *arguments
        The arguments; their number is taken to fit the function.

    Returns
    -------
    Expression
        A number where all arguments are numbers and the value is finite, the other operand where one
        is a neutral element, else a `Call`.
    """
    if function in _ASSOCIATIVE and arguments:
        head = arguments[0]
        if isinstance(head, Call) and head.function == function:
            arguments = (*head.arguments, *arguments[1:])
    if all(isinstance(a, Number) for a in arguments):
        return _folded(Call(function, arguments))
    return _without_neutral(function, arguments)


def joined(function: str, groups: Sequence[Sequence[Expression]]) -> Expression:
    """Return what `call` makes of a sum, of that and more terms, of that and more, in one go.

    Parameters
    ----------
    function
        A name in `FUNCTIONS`; an associative one.
    groups
        The arguments of the innermost call, and what each further call adds to it.

    Returns
    -------
    Expression
        The tree.
    """
    total = call(function, *groups[0])
    for k, group in enumerate(groups[1:], 1):
        if isinstance(total, Call) and total.function == function:
            return call(function, total, *(argument for more in groups[k:] for argument in more))
        total = call(function, total, *group)
    return total


def _folded(node: Call) -> Expression:
    function = FUNCTIONS[node.function]
    values = [a.value for a in node.arguments if isinstance(a, Number)]
    given: list[Any] = [v != 0 for v in values] if function.logical else [np.float64(v) for v in values]
    if node.function == "piecewise":
        given = [bool(v) if k % 2 else v for k, v in enumerate(given)]
    with np.errstate(all="ignore"):
        value = float(function.kernel(*given))
    # a value that is not finite stays a call, so that it is met, and refused, where it is evaluated
    return Number(value + 0.0) if math.isfinite(value) else node


def _without_neutral(function: str, arguments: tuple[Expression, ...]) -> Expression:
    """Drop x + 0, x - 0, x*1, x/1 and x^1, all of which are exact."""
    if function in ("+", "*"):
        neutral = ZERO if function == "+" else ONE
        kept = tuple(a for a in arguments if a != neutral)
        return kept[0] if len(kept) == 1 else Call(function, kept)
    if len(arguments) == 2 and arguments[1] == (ZERO if function == "-" else ONE) and function in "-/^":
        return arguments[0]
    return Call(function, arguments)


def substitute(expr: Expression, replacements: Mapping[str, Expression]) -> Expression:
    """Return a tree with symbols replaced by trees, and constants folded.

    Parameters
    ----------
    expr
        The tree.
    replacements
        The tree that takes the place of each symbol; all at once, so replacements are not searched again.

    Returns
    -------
    Expression
        The new tree.
    """
    if isinstance(expr, Symbol):
        return replacements.get(expr.name, expr)
    if isinstance(expr, Call):
        return call(expr.function, *(substitute(a, replacements) for a in expr.arguments))
    return expr


def at_time(expr: Expression, t: float) -> Expression:
    """Return a tree with the time replaced by a number."""
    if isinstance(expr, Time):
        return Number(float(t))
    if isinstance(expr, Call):
        return call(expr.function, *(at_time(a, t) for a in expr.arguments))
    return expr
