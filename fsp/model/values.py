"""Values as they are given: numbers, formulas as text, trees."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, as_double
from fsp.arrays import FloatArray
from fsp.errors import ModelError
from fsp.model.formula import FunctionDefinition, parse
from fsp.model.tree import Expression, Number

Value = float | str | Expression

LARGEST_COUNT = 2**53  # propensities are computed in doubles, which hold whole numbers up to this
_DIGITS = 1e-9  # relative: of values that a file gives with ten digits
_PART = 1e-6  # of a molecule: more than that is a part of one, and no rounding of many


def nearest_whole(values: FloatArray) -> FloatArray:
    """Return the whole number that each value is within rounding of, NaN where there is none; only 0 itself is 0."""
    rounded = np.round(values)
    size = np.abs(rounded)
    with np.errstate(invalid="ignore"):
        close = np.abs(values - rounded) <= np.minimum(_DIGITS * size, _PART + 16 * UNIT_ROUNDOFF * size)
    return np.where(close, rounded, np.nan)


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
    if not math.isfinite(as_double(value)):
        raise ModelError(f"{what} must be finite, but is {value!r}.")
    return Number(float(value))
