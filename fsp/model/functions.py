"""The functions that rate laws may use, as numpy kernels on whole arrays.

One table, `FUNCTIONS`, gives each function its kernel, the number of its arguments and whether its
value is a truth value.  Truth values are arrays of bool; arithmetic reads them as 1 and 0, and a
number counts as true where it is not 0.  Names are those of libsbml's Level 3 formula language.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

_FACTORIALS = np.array([float(math.factorial(n)) for n in range(171)])  # 171! overflows a double


@dataclass(frozen=True, slots=True)
class Function:
    """How one function of a rate law is computed."""

    # takes the arguments as floats or float64 arrays; takes truth values where `logical` is set
    kernel: Callable[..., Any]
    least: int  # number of arguments
    most: int = sys.maxsize
    truth: bool = False  # whether the value is a truth value
    logical: bool = False  # whether the arguments are truth values


def _chain(compare: Callable[..., Any]) -> Callable[..., Any]:
    """Return the comparison of each argument with the next, all of which must hold."""

    def holds(*arguments: Any) -> Any:
        return reduce(np.logical_and, (compare(a, b) for a, b in pairwise(arguments)))

    return holds


def _factorial(x: Any) -> Any:
    index = np.clip(np.nan_to_num(x), 0, 170).astype(np.int64)
    table = np.where(x > 170, np.inf, _FACTORIALS[index])
    return np.where((x < 0) | (x != np.floor(x)), np.nan, table)


def _piecewise(*arguments: Any) -> Any:
    """Return the value before the first condition that holds, else the last odd argument, else NaN."""
    value = arguments[-1] if len(arguments) % 2 else np.float64(np.nan)
    last = len(arguments) - len(arguments) % 2
    for k in range(last - 2, -1, -2):
        value = np.where(arguments[k + 1], arguments[k], value)
    return value


def _log(base: Any, x: Any) -> Any:
    return np.log(x) / np.log(base)


def _root(degree: Any, x: Any) -> Any:
    return np.cbrt(x) if np.ndim(degree) == 0 and degree == 3 else np.power(x, 1.0 / degree)


def _inverted(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Return x -> kernel(1/x), the inverse of the reciprocal of a trigonometric function."""
    return lambda x: kernel(1.0 / x)


def _reciprocal(kernel: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x: 1.0 / kernel(x)


def _trigonometric() -> dict[str, Function]:
    """Return the 24 circular and hyperbolic functions and their inverses."""
    direct = {name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
    inverse = {f"arc{name}": getattr(np, f"arc{name}") for name in direct}
    partner = {"sec": "cos", "csc": "sin", "cot": "tan", "sech": "cosh", "csch": "sinh", "coth": "tanh"}
    kernels = direct | inverse
    kernels |= {name: _reciprocal(direct[of]) for name, of in partner.items()}
    kernels |= {f"arc{name}": _inverted(inverse[f"arc{of}"]) for name, of in partner.items()}
    return {name: Function(kernel, 1, 1) for name, kernel in kernels.items()}


COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
}  # fmt: skip

FUNCTIONS: dict[str, Function] = {
    "+": Function(lambda *a: reduce(np.add, a, np.float64(0)) if len(a) != 2 else a[0] + a[1], 0),
    "*": Function(lambda *a: reduce(np.multiply, a) if a else np.float64(1), 0),
    "-": Function(np.subtract, 2, 2),
    "neg": Function(np.negative, 1, 1),
    "/": Function(np.divide, 2, 2),
    "^": Function(np.power, 2, 2),
    "abs": Function(np.abs, 1, 1),
    "exp": Function(np.exp, 1, 1),
    "ln": Function(np.log, 1, 1),
    "log10": Function(np.log10, 1, 1),
    "log": Function(_log, 2, 2),
    "sqrt": Function(np.sqrt, 1, 1),
    "root": Function(_root, 2, 2),
    "floor": Function(np.floor, 1, 1),
    "ceil": Function(np.ceil, 1, 1),
    "factorial": Function(_factorial, 1, 1),
    "min": Function(lambda *a: reduce(np.minimum, a), 1),
    "max": Function(lambda *a: reduce(np.maximum, a), 1),
    "quotient": Function(lambda a, b: np.trunc(a / b), 2, 2),
    "rem": Function(np.fmod, 2, 2),
    "piecewise": Function(_piecewise, 1),
    **{name: Function(_chain(kernel), 2, truth=True) for name, kernel in COMPARISONS.items()},
    "!=": Function(np.not_equal, 2, 2, truth=True),
    "&&": Function(lambda *a: reduce(np.logical_and, a, np.True_), 0, truth=True, logical=True),
    "||": Function(lambda *a: reduce(np.logical_or, a, np.False_), 0, truth=True, logical=True),
    "xor": Function(lambda *a: reduce(np.logical_xor, a, np.False_), 0, truth=True, logical=True),
    "!": Function(np.logical_not, 1, 1, truth=True, logical=True),
    "implies": Function(lambda a, b: np.logical_not(a) | b, 2, 2, truth=True, logical=True),
    **_trigonometric(),
}
