"""Evaluate a formula of species and observables on every stored state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsp.arrays import FloatArray, IntArray
from fsp.errors import ArgumentError, ModelError
from fsp.model.accuracy import errors
from fsp.model.comparisons import decided, in_whole_numbers
from fsp.model.expression import Expression, at_time, depends_on_time, evaluate, substitute, symbols
from fsp.model.formula import parse
from fsp.model.program import is_truth
from fsp.model.size import bounded

UNKNOWN_ROUNDING = 1e300  # rounding of a value of which none is known: more than the value itself may be


def values_on(
    states: IntArray,
    formula: str,
    species: Sequence[str],
    observables: Mapping[str, str],
    t: float | None,
) -> NDArray[Any]:
    """Evaluate a formula on states.

    `t` is the value of `time`, None where there is none.  Returns (n,) values: booleans where the formula is a
    condition, else floats.
    """
    expression = read_formula(formula, species, observables, t)
    columns = {name: states[:, i].astype(float) for i, name in enumerate(species)}
    values = np.asarray(_evaluated(expression, columns, 0.0 if t is None else t, formula))
    dtype = np.bool_ if values.dtype == np.bool_ else np.float64
    return np.broadcast_to(values, len(states)).astype(dtype)


def _evaluated(expression: Expression, columns: Mapping[str, FloatArray], t: float, formula: str) -> Any:
    if not is_truth(expression):
        return evaluate(expression, columns, t)
    try:
        return decided(in_whole_numbers(at_time(expression, t)), columns, t, f"`{formula}`")
    except ModelError as error:
        raise ArgumentError(str(error)) from error


def rounding_on(states: IntArray, tree: Expression, species: Sequence[str], t: float | None) -> FloatArray:
    """Return how far the values of a formula, as computed on states, may be from the exact ones, (n,)."""
    columns = {name: states[:, i].astype(float) for i, name in enumerate(species)}
    error = np.asarray(errors(tree, columns, 0.0 if t is None else t)[1], dtype=np.float64)
    return np.minimum(np.nan_to_num(np.broadcast_to(error, len(states)), nan=UNKNOWN_ROUNDING), UNKNOWN_ROUNDING)


def read_formula(formula: str, species: Sequence[str], observables: Mapping[str, str], t: float | None) -> Expression:
    """Read infix text of species, observables and `time`; what names something else is an ArgumentError."""
    try:
        expression = parse(formula, what="`formula`")
        used = sorted(symbols(expression) & observables.keys())
        definitions = {name: parse(observables[name], what=f"observable '{name}'") for name in used}
        expression = bounded(substitute(expression, definitions), "formula")
    except ModelError as error:
        raise ArgumentError(str(error)) from error
    unknown = sorted(symbols(expression) - set(species))
    if unknown:
        known = ", ".join([*species, *observables])
        raise ArgumentError(f"`formula` must use only {known}, but '{formula}' needs '{unknown[0]}'.")
    if t is None and depends_on_time(expression):
        raise ArgumentError(f"`formula` must not use time in a stationary distribution, but is '{formula}'.")
    return in_whole_numbers(expression)
