"""Evaluate rate formulas without the package: in 60 digits at one state, or in extended precision on arrays."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import mpmath
import numpy as np

DIGITS = 60

BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
LOGIC: dict[type, Callable[[Any, Any], Any]] = {ast.And: operator.and_, ast.Or: operator.or_}
IN_DIGITS: dict[str, Callable[..., Any]] = {
    "exp": mpmath.exp,
    "ln": mpmath.log,
    "sqrt": mpmath.sqrt,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tanh": mpmath.tanh,
    "floor": mpmath.floor,
    "abs": abs,
    "min": min,
    "max": max,
    "piecewise": lambda then, condition, other: then if condition else other,
}
ON_ARRAYS: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "ln": np.log,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "floor": np.floor,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "piecewise": lambda then, condition, other: np.where(condition, then, other),
}


def parse(text: str) -> ast.expr:
    """Read a formula of the language of rate laws."""
    written = text.replace("^", "**").replace("&&", " and ").replace("||", " or ")
    return ast.parse(written.strip(), mode="eval").body


def names(tree: ast.expr) -> set[str]:
    """Return the species, parameters and `time` of a formula."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and id(node) not in called}


def in_digits(tree: ast.expr, values: Mapping[str, Any]) -> Any:
    """Return the value at one state, as a number of mpmath."""
    with mpmath.workdps(DIGITS):
        return _value(tree, {name: mpmath.mpf(value) for name, value in values.items()}, IN_DIGITS, mpmath.mpf)


def on_arrays(tree: ast.expr, values: Mapping[str, Any]) -> Any:
    """Return the values at many states in extended precision; cancellation is not looked after."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # of branches that are not taken
        return _value(tree, values, ON_ARRAYS, np.longdouble)


def extended(value: Any) -> np.longdouble:
    """Round a number of mpmath to extended precision."""
    with mpmath.workdps(DIGITS):
        high = float(value)
        return np.longdouble(high) + np.longdouble(float(value - high))


def _value(tree: ast.expr, values: Mapping[str, Any], functions: Mapping[str, Any], number: Any) -> Any:
    def of(node: Any) -> Any:
        return kinds[type(node)](node)

    kinds: dict[type, Callable[[Any], Any]] = {
        ast.Constant: lambda node: number(node.value),
        ast.Name: lambda node: values[node.id],
        ast.BinOp: lambda node: BINARY[type(node.op)](of(node.left), of(node.right)),
        ast.UnaryOp: lambda node: -of(node.operand),
        ast.Compare: lambda node: COMPARISONS[type(node.ops[0])](of(node.left), of(node.comparators[0])),
        ast.BoolOp: lambda node: reduce(LOGIC[type(node.op)], map(of, node.values)),
        ast.Call: lambda node: functions[node.func.id](*map(of, node.args)),
    }
    return of(tree)
