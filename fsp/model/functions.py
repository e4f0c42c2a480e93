"""The functions that rate laws may use: one row each says how one is computed, enclosed, read and written.

`FUNCTIONS` is read by what evaluates trees on whole arrays (`program`), folds them (`tree`), encloses values at counts
(`ranges`) and Taylor series in time (`taylor`), reads libsbml's trees (`formula`) and writes text (`infix`).
Others are in their rooms: rounding (`roundoff`), polynomials around a law (`fsp.moments.envelope_rules`),
derivatives (`fsp.model.derivatives`), code of the reference sampler (`fsp.sampling.programs`), and what PRISM
can write (`fsp.formats.prism`).  CONTRIBUTING.md goes through them.
Truth values are arrays of bool; arithmetic reads them as 1 and 0, and a number counts as true where it is not 0.  Names
are those of libsbml's Level 3 formula language.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from fsp.model import intervals, spans

# how tightly each kind of text binds, as in libsbml's grammar, where "and" binds no tighter than "or"
LOGICAL, COMPARISON, SUM, PRODUCT, SIGN, POWER, ATOM = range(7)
LARGEST_EXACT_POWER = 32  # of fractions, whose digits grow with it; larger ones are bounded by rounding
PARTNER = {"sec": "cos", "csc": "sin", "cot": "tan", "sech": "cosh", "csch": "sinh", "coth": "tanh"}  # reciprocals
_FACTORIALS = np.array([float(math.factorial(n)) for n in range(171)])  # 171! overflows a double


@dataclass(frozen=True, slots=True)
class Function:
    """One function of rate laws: how it is computed, enclosed, read and written."""

    # takes the arguments as floats or float64 arrays; takes truth values where `logical` is set
    kernel: Callable[..., Any]
    fewest: int  # number of arguments
    limit: int = sys.maxsize
    truth: bool = False  # whether the value is a truth value
    ast: tuple[str, ...] = ()  # libsbml's names of its node, without AST_
    sign: str = ""  # that stands before its argument, or between them
    level: int = ATOM  # how tightly the text of a call binds
    named: str = ""  # how it is called where its sign does not do; its own name by default
    version: int = 1  # of SBML Level 3 that has it first
    exact: Callable[[list[Fraction]], Fraction | None] | None = None  # of fractions; None where that is not short
    span: spans.SpanRule | None = None  # of values that are computed from ranges of arguments
    series: Callable[..., intervals.Series] | None = None  # of truncated Taylor series of one or two arguments

    @property
    def logical(self) -> bool:
        """Whether the arguments are truth values."""
        return self.truth and self.level != COMPARISON


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
    kernels = direct | inverse
    kernels |= {name: _reciprocal(direct[of]) for name, of in PARTNER.items()}
    kernels |= {f"arc{name}": _inverted(inverse[f"arc{of}"]) for name, of in PARTNER.items()}
    series: dict[str, Callable[..., intervals.Series]] = {
        "sin": lambda a: intervals.sine_and_cosine(a)[0],
        "cos": lambda a: intervals.sine_and_cosine(a)[1],
        "tan": intervals.tangent,
        "sinh": intervals.hyperbolic(-1.0),
        "cosh": intervals.hyperbolic(1.0),
        "tanh": intervals.hyperbolic_tangent,
    }
    return {
        name: Function(kernel, 1, 1, ast=(f"FUNCTION_{name.upper()}",), series=series.get(name))
        for name, kernel in kernels.items()
    }


def _ratio(numbers: list[Fraction]) -> Fraction | None:
    return numbers[0] / numbers[1] if numbers[1] else None


def _whole_power(numbers: list[Fraction]) -> Fraction | None:
    base, exponent = numbers
    short = exponent.denominator == 1 and abs(exponent) <= LARGEST_EXACT_POWER and (base or exponent > 0)
    return base ** int(exponent) if short else None


COMPARISONS = {
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal,
}  # fmt: skip
ALL_COMPARISONS = {**COMPARISONS, "!=": np.not_equal}


def _comparison(name: str, named: str) -> Function:
    span = spans.of_equality(True) if name == "==" else spans.of_comparison(COMPARISONS[name])
    ast = (f"RELATIONAL_{named.upper()}",)
    sign = f" {name} "
    return Function(
        _chain(COMPARISONS[name]), 2, truth=True, ast=ast, sign=sign, level=COMPARISON, named=named, span=span
    )


FUNCTIONS: dict[str, Function] = {  # one row each; rounding has its own, in `fsp.model.roundoff`
    "+": Function(
        lambda *a: reduce(np.add, a, np.float64(0)) if len(a) != 2 else a[0] + a[1], 0, ast=("PLUS",),
        sign=" + ", level=SUM, named="plus",
        exact=lambda a: sum(a, Fraction(0)), span=spans.of_sum, series=intervals.added,
    ),
    "*": Function(
        lambda *a: reduce(np.multiply, a) if a else np.float64(1), 0, ast=("TIMES",),
        sign="*", level=PRODUCT, named="times",
        exact=lambda a: math.prod(a, start=Fraction(1)), span=spans.of_product, series=intervals.multiplied,
    ),
    "-": Function(
        np.subtract, 2, 2, ast=("MINUS",), sign=" - ", level=SUM,
        exact=lambda a: a[0] - a[1], span=spans.of_difference, series=intervals.subtracted,
    ),
    "neg": Function(
        np.negative, 1, 1, sign="-", level=SIGN,
        exact=lambda a: -a[0], span=lambda parts: (-parts[0][1], -parts[0][0]), series=intervals.negated,
    ),
    "/": Function(
        np.divide, 2, 2, ast=("DIVIDE",), sign="/", level=PRODUCT,
        exact=_ratio, span=spans.of_quotient, series=intervals.divided,
    ),
    "^": Function(
        np.power, 2, 2, ast=("POWER", "FUNCTION_POWER"), sign="^", level=POWER, exact=_whole_power, span=spans.of_power
    ),
    "abs": Function(
        np.abs, 1, 1, ast=("FUNCTION_ABS",), exact=lambda a: abs(a[0]), span=spans.of_absolute
    ),
    "exp": Function(np.exp, 1, 1, ast=("FUNCTION_EXP",), span=spans.of_non_negative, series=intervals.exponential),
    "ln": Function(np.log, 1, 1, ast=("FUNCTION_LN",), series=intervals.logarithm),
    "log10": Function(np.log10, 1, 1, series=intervals.common_logarithm),
    "log": Function(_log, 2, 2, ast=("FUNCTION_LOG",)),
    "sqrt": Function(np.sqrt, 1, 1, span=spans.of_non_negative, series=lambda a: intervals.power(a, 0.5)),
    "root": Function(_root, 2, 2, ast=("FUNCTION_ROOT",)),
    "floor": Function(
        np.floor, 1, 1, ast=("FUNCTION_FLOOR",), span=spans.of_rounding(math.floor),
        exact=lambda a: Fraction(math.floor(a[0])),
    ),
    "ceil": Function(
        np.ceil, 1, 1, ast=("FUNCTION_CEILING",), span=spans.of_rounding(math.ceil),
        exact=lambda a: Fraction(math.ceil(a[0])),
    ),
    "factorial": Function(_factorial, 1, 1, ast=("FUNCTION_FACTORIAL",)),
    "min": Function(
        lambda *a: reduce(np.minimum, a), 1, ast=("FUNCTION_MIN",), version=2, exact=min,
        span=lambda parts: (min(p[0] for p in parts), min(p[1] for p in parts)),
    ),
    "max": Function(
        lambda *a: reduce(np.maximum, a), 1, ast=("FUNCTION_MAX",), version=2, exact=max,
        span=lambda parts: (max(p[0] for p in parts), max(p[1] for p in parts)),
    ),
    "quotient": Function(lambda a, b: np.trunc(a / b), 2, 2, ast=("FUNCTION_QUOTIENT",), version=2),
    "rem": Function(np.fmod, 2, 2, ast=("FUNCTION_REM",), version=2),
    "piecewise": Function(_piecewise, 1, ast=("FUNCTION_PIECEWISE",), span=spans.of_pieces),
    "<": _comparison("<", "lt"),
    "<=": _comparison("<=", "leq"),
    ">": _comparison(">", "gt"),
    ">=": _comparison(">=", "geq"),
    "==": _comparison("==", "eq"),
    "!=": Function(
        np.not_equal, 2, 2, True, ast=("RELATIONAL_NEQ",), sign=" != ", level=COMPARISON, named="neq",
        span=spans.of_equality(False),
    ),
    "&&": Function(
        lambda *a: reduce(np.logical_and, a, np.True_), 0, truth=True, ast=("LOGICAL_AND",),
        sign=" && ", level=LOGICAL, named="and", span=spans.of_all,
    ),
    "||": Function(
        lambda *a: reduce(np.logical_or, a, np.False_), 0, truth=True, ast=("LOGICAL_OR",),
        sign=" || ", level=LOGICAL, named="or", span=spans.of_any,
    ),
    "xor": Function(
        lambda *a: reduce(np.logical_xor, a, np.False_), 0, truth=True, ast=("LOGICAL_XOR",)
    ),
    "!": Function(
        np.logical_not, 1, 1, True, ast=("LOGICAL_NOT",), sign="!", level=SIGN, span=spans.of_not
    ),
    "implies": Function(
        lambda a, b: np.logical_not(a) | b, 2, 2, True, ast=("LOGICAL_IMPLIES",), version=2
    ),
    **_trigonometric(),
}  # fmt: skip
