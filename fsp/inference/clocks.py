"""Derivatives of rates as sums of functions of time times functions of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsp.errors import BackendError
from fsp.model.expression import ONE
from fsp.model.factors import factorise, split_number
from fsp.model.tree import ZERO, Expression, Number, call, depends_on_time

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
    if terms is None:
        raise BackendError(
            f"Rates that depend on time must have derivatives in which time is a factor, but those of '{model.name}' "
            f"have none; write them as functions of time times functions of the state."
        )
    return [split(product) for product in terms]


def split(product: Product) -> Term:
    """Return the function of time of a product, and the rest."""
    number, clock = split_number(product.scalar)
    return clock, call("*", Number(number), *product.factors.values())


def changing_of(model: Model, slopes: Derivatives) -> tuple[Expression, ...]:
    """Return the different functions of time in the derivatives of all laws."""
    trees = dict.fromkeys(tree for row in slopes.trees for tree in row)
    return tuple(dict.fromkeys(clock for tree in trees for clock, _ in terms_of(model, tree))) or (ONE,)
