"""Rate laws as immutable trees: numbers, symbols, time, and calls of the functions in `FUNCTIONS`.

Every propensity that is not a Python callable is such a tree, whatever its source (a rate string,
MathML, mass action), so that one piece of code evaluates it on whole arrays of states, finds the
species and the time in it, and factorises it.  `call` builds a node and folds constants; it keeps
`a + b + c` flat and leaves every other order of operations as it was written.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from operator import is_

import numpy as np

from fsp.model import roundoff
from fsp.model.functions import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: float  # stands for the decimal that it prints as
    # how far that may be from the value of the formula that was folded; numbers that print alike are equal
    error: float = field(default=0.0, compare=False)
    exact: Fraction | None = field(default=None, compare=False)  # that value, where it is a short fraction and `error`

    @property
    def fraction(self) -> Fraction | None:
        """The exact value; None where it is no short fraction."""
        return self.exact if self.error else decimal(self.value)

    @property
    def inexact(self) -> float:
        """How far the value that is computed with may be from the exact one."""
        return self.error + _off_decimal(self.value)


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
ERRORS_ROUND = 1.0 + 1e-6  # more than the rounding of the bounds themselves
_ASSOCIATIVE = ("+", "*", "&&", "||")  # (a + b) + c is written and computed as a + b + c


def walk(expr: Expression) -> Iterator[Expression]:
    """Yield every node of a tree, parents before children."""
    pending = [expr]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, Call):
            pending.extend(reversed(node.arguments))


def symbols(expr: Expression) -> frozenset[str]:
    """Return the names of the species and parameters in a tree."""
    names, pending = set(), [expr]  # no `walk`: this is asked of every law many times
    while pending:
        node = pending.pop()
        if isinstance(node, Call):
            pending.extend(node.arguments)
        elif isinstance(node, Symbol):
            names.add(node.name)
    return frozenset(names)


def depends_on_time(expr: Expression) -> bool:
    """Return whether the time occurs in a tree."""
    pending = [expr]
    while pending:
        node = pending.pop()
        if isinstance(node, Call):
            pending.extend(node.arguments)
        elif isinstance(node, Time):
            return True
    return False


def call(function: str, *arguments: Expression) -> Expression:
    """Return the tree of a function applied to trees, with constants folded."""
    if function in _ASSOCIATIVE and arguments:
        head = arguments[0]
        if isinstance(head, Call) and head.function == function:
            arguments = (*head.arguments, *arguments[1:])
    if all(isinstance(a, Number) for a in arguments):
        return _folded(Call(function, arguments))
    return _without_neutral(function, arguments)


def is_condition(function: str, k: int) -> bool:
    """Return whether the argument k of a function is read as a truth value."""
    return FUNCTIONS[function].logical or (function == "piecewise" and k % 2 == 1)


def joined(function: str, groups: Sequence[Sequence[Expression]]) -> Expression:
    """Return what `call` makes of a sum, of that and more terms, of that and more, in one go."""
    total = call(function, *groups[0])
    for k, group in enumerate(groups[1:], 1):
        if isinstance(total, Call) and total.function == function:
            return call(function, total, *(argument for more in groups[k:] for argument in more))
        total = call(function, total, *group)
    return total


def _folded(node: Call) -> Expression:
    numbers = [a for a in node.arguments if isinstance(a, Number)]
    pairs: list[roundoff.Pair] = [(np.float64(a.value), a.inexact) for a in numbers]
    given = [roundoff.as_truth(a) if is_condition(node.function, k) else a for k, a in enumerate(pairs)]
    with np.errstate(all="ignore"):
        pair = roundoff.applied(node.function, given)
        value, error = map(float, roundoff.as_number(pair) if FUNCTIONS[node.function].truth else pair)
        value = float(FUNCTIONS[node.function].kernel(*(a for a, _ in given))) + 0.0
    if not math.isfinite(value):  # it stays a call, so that it is met, and refused, where it is evaluated
        return node
    fractions = [a.fraction for a in numbers]
    known = [fraction for fraction in fractions if fraction is not None]
    exact = exactly(node.function, known) if len(known) == len(fractions) else None
    if exact is not None:
        return Number(value, _above(abs(exact - decimal(value))), exact)
    return Number(value, error * ERRORS_ROUND + _off_decimal(value) if error else 0.0)


def decimal(value: float) -> Fraction:
    """Return the decimal that a number prints as."""
    return Fraction(repr(float(value)))


@lru_cache(maxsize=4096)
def _off_decimal(value: float) -> float:
    """Return how far a number is from the decimal that it prints as."""
    return _above(abs(decimal(value) - Fraction(value))) if math.isfinite(value) else 0.0


def _above(size: Fraction) -> float:
    return math.nextafter(float(size), math.inf) if size else 0.0


def exactly(function: str, numbers: list[Fraction]) -> Fraction | None:
    """Return what a function makes of exact numbers; None where that is not a short fraction."""
    rule = FUNCTIONS[function].exact
    return None if rule is None else rule(numbers)


def _without_neutral(function: str, arguments: tuple[Expression, ...]) -> Expression:
    """Drop x + 0, x - 0, x*1, x/1 and x^1, all of which are exact."""
    if function in ("+", "*"):
        neutral = ZERO if function == "+" else ONE
        kept = tuple([a for a in arguments if not _is_exactly(a, neutral)])
        return kept[0] if len(kept) == 1 else Call(function, kept)
    if len(arguments) == 2 and function in "-/^" and _is_exactly(arguments[1], ZERO if function == "-" else ONE):
        return arguments[0]
    return Call(function, arguments)


def _is_exactly(expr: Expression, number: Number) -> bool:
    """Return whether a tree is a number, and not one that was folded to it with an error."""
    return isinstance(expr, Number) and expr == number and not expr.error


def folding_errors(expr: Expression) -> tuple[float, ...]:
    """Return the errors of the numbers in a tree, in which trees that are equal may differ."""
    return tuple(node.error for node in walk(expr) if isinstance(node, Number))


def substitute(expr: Expression, replacements: Mapping[str, Expression]) -> Expression:
    """Return a tree with symbols replaced by trees, and constants folded."""
    if isinstance(expr, Symbol):
        return replacements.get(expr.name, expr)
    if not isinstance(expr, Call):
        return expr
    arguments = [substitute(a, replacements) for a in expr.arguments]
    same = all(map(is_, arguments, expr.arguments))
    return expr if same else call(expr.function, *arguments)


def at_time(expr: Expression, t: float) -> Expression:
    """Return a tree with the time replaced by a number."""
    if isinstance(expr, Time):
        return Number(float(t))
    if isinstance(expr, Call):
        return call(expr.function, *(at_time(a, t) for a in expr.arguments))
    return expr
