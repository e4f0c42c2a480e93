"""Evaluate a formula of species and observables on every stored state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fsp.arrays import IntArray
from fsp.errors import ArgumentError, ModelError
from fsp.model.expression import Expression, depends_on_time, evaluate, substitute, symbols
from fsp.model.formula import parse
from fsp.model.size import bounded


def values_on(
    states: IntArray,
    formula: str,
    species: Sequence[str],
    observables: Mapping[str, str],
    t: float | None,
) -> NDArray[Any]:
    """Evaluate a formula on states.

    Parameters
    ----------
    formula
        Infix text of species, observables and `time`.
    states
        (n, d) copy numbers.
    species
        (d,) names.
    observables
        Formulas that may be used by name.
    t
        The value of `time`, or None where there is none.

    Returns
    -------
    ndarray
        (n,) values: booleans where the formula is a condition, else floats.

    Raises
    ------
    ArgumentError
        If the formula cannot be read, names something else, or uses `time` where there is none.
    """
    expression = read_formula(formula, species, observables, t)
    columns = {name: states[:, i].astype(float) for i, name in enumerate(species)}
    values = np.asarray(evaluate(expression, columns, 0.0 if t is None else t))
    dtype = np.bool_ if values.dtype == np.bool_ else np.float64
    return np.broadcast_to(values, len(states)).astype(dtype)


def read_formula(formula: str, species: Sequence[str], observables: Mapping[str, str], t: float | None) -> Expression:
    """Read a formula.

    Parameters
    ----------
    formula
        Infix text of species, observables and `time`.
    species
        (d,) names.
    observables
        Formulas that may be used by name.
    t
        The value of `time`, or None where there is none.

    Returns
    -------
    Expression
        A tree of the species and the time.

    Raises
    ------
    ArgumentError
        If the formula cannot be read, names something else, or uses `time` where there is none.
    """
    try:
        expression = parse(formula, what="formula")
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
    return expression
