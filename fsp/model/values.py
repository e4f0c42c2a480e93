"""Values as they are given: numbers, formulas as text, trees."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from fsp.errors import ModelError
from fsp.model.formula import FunctionDefinition, parse
from fsp.model.tree import Expression, Number

Value = float | str | Expression


def read_value(
    value: object, what: str, functions: Mapping[str, FunctionDefinition], names: Collection[str]
) -> Expression:
    """Return the tree of a number, a formula or a tree."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, str):
        return parse(value, what=what, functions=functions, names=names)
    if isinstance(value, bool) or not hasattr(value, "__float__") or np.ndim(value) != 0:  # type: ignore[arg-type]
        raise ModelError(f"{what} must be a number or a formula, but is {value!r}.")
    if not math.isfinite(float(value)):
        raise ModelError(f"{what} must be finite, but is {value!r}.")
    return Number(float(value))
