"""Compile a tree once to nested closures over numpy, so that evaluating it costs numpy's time only.

Numbers are collected in products, powers with small whole exponents become multiplications, and
truth values become 1 and 0 only where arithmetic reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from fsp.model.functions import FUNCTIONS, Function
from fsp.model.roundoff import LARGEST_PRODUCT_POWER
from fsp.model.tree import Call, Expression, Number, Symbol, Time

Values = Mapping[str, Any]
Program = Callable[[Values, float], Any]


def evaluate(expr: Expression, values: Values, t: float = 0.0) -> Any:
    """Evaluate a tree on numbers or on whole arrays.

    `values`: a float, or an array of shape (n,), for each symbol.
    """
    with np.errstate(all="ignore"):
        return compiled(expr)(values, np.float64(t))


@lru_cache(maxsize=4096)
def compiled(expr: Expression) -> Program:
    """Return a function (values, t) -> value of a tree; numpy's warnings are the caller's to silence."""
    if isinstance(expr, Number):
        constant = np.float64(expr.value)
        return lambda values, t: constant
    if isinstance(expr, Symbol):
        name = expr.name
        return lambda values, t: values[name]
    if isinstance(expr, Time):
        return lambda values, t: t
    return _call(expr)


def _call(node: Call) -> Program:
    if node.function == "*":
        return _product(node.arguments)
    if node.function == "^" and isinstance(node.arguments[1], Number):
        return _power(node.arguments[0], node.arguments[1].value)
    function = FUNCTIONS[node.function]
    programs = [_argument(function, node, k) for k in range(len(node.arguments))]
    return _applied(function.kernel, programs)


def _applied(kernel: Callable[..., Any], programs: list[Program]) -> Program:
    """Return the closure that applies a kernel; the usual numbers of arguments skip the list."""
    if len(programs) == 1:
        (only,) = programs
        return lambda values, t: kernel(only(values, t))
    if len(programs) == 2:
        first, second = programs
        return lambda values, t: kernel(first(values, t), second(values, t))
    return lambda values, t: kernel(*[program(values, t) for program in programs])


def _argument(function: Function, node: Call, k: int) -> Program:
    condition = function.logical or (node.function == "piecewise" and k % 2 == 1)
    return _truth(node.arguments[k]) if condition else _numeric(node.arguments[k])


def is_truth(expr: Expression) -> bool:
    """Return whether the value of a tree is a truth value."""
    return isinstance(expr, Call) and FUNCTIONS[expr.function].truth


def _numeric(expr: Expression) -> Program:
    """Return a program whose value is a number: numpy adds two bools to a bool, not to 2."""
    program = compiled(expr)
    return (lambda values, t: program(values, t) * 1.0) if is_truth(expr) else program


def _truth(expr: Expression) -> Program:
    program = compiled(expr)
    return program if is_truth(expr) else (lambda values, t: program(values, t) != 0)


def _product(arguments: tuple[Expression, ...]) -> Program:
    """Multiply the numbers first, then the rest from left to right."""
    scalar = np.float64(np.prod([a.value for a in arguments if isinstance(a, Number)]))
    programs = [_numeric(a) for a in arguments if not isinstance(a, Number)]
    if scalar != 1.0 and programs:
        first, *programs = programs
        programs = [lambda values, t: scalar * first(values, t), *programs]
    if len(programs) == 1:
        return programs[0]
    return _applied(FUNCTIONS["*"].kernel, programs) if len(programs) != 2 else _applied(np.multiply, programs)


def _power(base: Expression, exponent: float) -> Program:
    program = _numeric(base)
    if exponent == 0.5:
        return lambda values, t: np.sqrt(program(values, t))
    if exponent != int(exponent) or not 2 <= abs(exponent) <= LARGEST_PRODUCT_POWER:
        return lambda values, t: np.power(program(values, t), exponent)
    if exponent < 0:
        positive = _power(base, -exponent)
        return lambda values, t: 1.0 / positive(values, t)
    return lambda values, t: _whole_power(program(values, t), int(exponent))


def _whole_power(x: Any, n: int) -> Any:
    """Return xⁿ by repeated squaring; exact as long as xⁿ is a whole number below 2⁵³."""
    if n == 1:
        return x
    half = _whole_power(x, n // 2)
    square = half * half
    return square * x if n % 2 else square
