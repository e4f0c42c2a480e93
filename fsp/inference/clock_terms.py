"""Derivatives of rates as sums of functions of time times functions of the state."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from fsp.errors import BackendError
from fsp.model.expression import ONE
from fsp.model.factors import factorise, split_number
from fsp.model.tree import ZERO, Call, Expression, Number, call, depends_on_time

if TYPE_CHECKING:
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.model.factors import Product

Term = tuple[Expression, Expression]  # a function of time, and one of the state


def terms_of(model: Model, tree: Expression) -> list[Term]:
    """Write the derivative of a law as such a sum."""
    if tree == ZERO:
        return []
    if not depends_on_time(tree):
        return [(ONE, tree)]
    terms = factorise(tree, model.species)
    summands = _summands(tree) if terms is None else []
    if len(summands) > 1:
        return [term for summand in summands for term in terms_of(model, summand)]
    if terms is None:
        raise BackendError(
            f"Rates that depend on time must have derivatives in which time is a factor, but those of '{model.name}' "
            f"have none; write them as functions of time times functions of the state."
        )
    return [split(term) for term in terms]


def _summands(tree: Expression) -> list[Expression]:
    """Multiply a derivative out where the time is; its terms may have any sign, unlike those of a rate."""
    if not isinstance(tree, Call) or not depends_on_time(tree):
        return [tree]
    parts = [_summands(argument) for argument in tree.arguments]
    if tree.function == "+":
        return [summand for part in parts for summand in part]
    if tree.function == "*":
        return [call("*", *factors) for factors in product(*parts)]
    if tree.function == "/" and len(parts[1]) == 1:
        return [call("/", summand, tree.arguments[1]) for summand in parts[0]]
    return [tree]


def split(term: Product) -> Term:
    """Return the function of time of a product, and the rest."""
    number, clock = split_number(term.scalar)
    return clock, call("*", Number(number), *term.factors.values())


def changing_of(model: Model, slopes: Derivatives) -> tuple[Expression, ...]:
    """Return the different functions of time in the derivatives of all laws."""
    trees = dict.fromkeys(tree for row in slopes.trees for tree in row)
    return tuple(dict.fromkeys(clock for tree in trees for clock, _ in terms_of(model, tree))) or (ONE,)
