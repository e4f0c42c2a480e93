"""Conditions on states as linear inequalities with whole coefficients, ``weights · x <= bound``."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.expression import Call, Expression, Number, Symbol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import IntArray

LARGEST_COEFFICIENT = 2**31  # of a coefficient or bound: sums over states stay exact


@dataclass(frozen=True, slots=True, eq=False)
class Inequality:
    """``weights · x <= bound``."""

    weights: IntArray  # one for each species, (n_species,)
    bound: int  # the bound


class _NotLinearError(Exception):
    """The condition is not a conjunction of linear inequalities with whole coefficients."""


def inequalities(condition: Expression, species: Sequence[str]) -> tuple[Inequality, ...] | None:
    """Return the inequalities that together are the condition, None where there are no such."""
    try:
        return tuple(_conjunction(condition, tuple(species)))
    except _NotLinearError:
        return None


def _conjunction(tree: Expression, species: tuple[str, ...]) -> list[Inequality]:
    if not isinstance(tree, Call):
        raise _NotLinearError
    if tree.function == "&&":
        return [condition for part in tree.arguments for condition in _conjunction(part, species)]
    if tree.function not in ("<=", "<", ">=", ">", "=="):
        raise _NotLinearError
    conditions = []
    for left, right in pairwise(tree.arguments):
        difference = _form(left, species) - _form(right, species)  # (n_species + 1,), the constant last
        if tree.function in ("<=", "<", "=="):
            conditions.append(_inequality(difference, strict=tree.function == "<"))
        if tree.function in (">=", ">", "=="):
            conditions.append(_inequality(-difference, strict=tree.function == ">"))
    return conditions


def _inequality(difference: IntArray, *, strict: bool) -> Inequality:
    return Inequality(difference[:-1], -int(difference[-1]) - strict)


def _form(tree: Expression, species: tuple[str, ...]) -> IntArray:
    """Return the coefficients of a linear form, the constant last."""
    form = np.zeros(len(species) + 1, dtype=np.int64)
    if (
        isinstance(tree, Number)
        and tree.value.is_integer()
        and not tree.error
        and abs(tree.value) < LARGEST_COEFFICIENT
    ):
        form[-1] = int(tree.value)
        return form
    if isinstance(tree, Symbol) and tree.name in species:
        form[species.index(tree.name)] = 1
        return form
    if not isinstance(tree, Call):
        raise _NotLinearError
    parts = [_form(argument, species) for argument in tree.arguments]
    if tree.function == "+":
        return _checked(sum(parts, form))
    if tree.function in ("-", "neg"):
        return _checked(parts[0] - parts[1] if len(parts) == 2 else -parts[0])
    if tree.function == "*":
        return _product(parts)
    raise _NotLinearError


def _product(parts: list[IntArray]) -> IntArray:
    """Return the product of forms, all but one of which must be numbers."""
    first, *rest = sorted(parts, key=lambda part: not part[:-1].any())  # a form that is no number comes first
    for part in rest:
        if part[:-1].any():
            raise _NotLinearError
        first = _checked(first * int(part[-1]))
    return first


def _checked(form: IntArray) -> IntArray:
    if np.abs(form).max() >= LARGEST_COEFFICIENT:
        raise _NotLinearError
    return form
