"""How far a computed value of a formula may be from the exact one: one rule for each function of `FUNCTIONS`.

A number comes with a bound e >= |computed - exact|, an array of the same shape, a truth value with a mask of the places
where the other one may hold.  Each rule repeats the operations of the kernel in its order, carries the errors of the
arguments through by what the function can do within them, and adds the rounding of the operation itself: that of a sum
is known exactly, products and quotients of whole numbers below 2⁵³ have none, others u = 2⁻⁵³ of the result, and the
functions of numpy's libraries a few units in the last place.

References
----------
N. J. Higham, Accuracy and Stability of Numerical Algorithms, SIAM 2002, sections 3.3 and 4.3,
doi:10.1137/1.9780898718027.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, sum_error
from fsp.model.functions import COMPARISONS, FUNCTIONS, PARTNER

Pair = tuple[Any, Any]  # value and error, or truth value and whether it is uncertain
RoundingRule = Callable[..., Pair]

FUNCTION_UNITS = 8.0  # of a value of numpy's exp, log, pow, sin, …, whose libraries promise 4 units in the last place
LARGEST_WHOLE = 2.0**53  # whole numbers up to it are floats, so sums and products of them are exact
LEAST_NORMAL = 2.3e-308  # above the least float with all its digits, 2**-1022; below it a relative error says nothing
TINY = 5e-324  # the least positive float, 2**-1074: what an operation on numbers that small may miss
LARGEST_PRODUCT_POWER = 8  # up to it whole powers are computed as products; beyond, np.power is as fast


# ---- arithmetic -----------------------------------------------------------------------------------------------


def _are_integers(*numbers: Any) -> Any:
    """Tell where all numbers are whole and can be counted."""
    return reduce(np.logical_and, [(a == np.rint(a)) & (np.abs(a) <= LARGEST_WHOLE) for a in numbers])


def _rounded(value: Any, units: float = 1.0) -> Any:
    """Return the rounding of a result, that of numbers too small for all digits included."""
    size = np.abs(value)
    return units * UNIT_ROUNDOFF * size + np.where(size < LEAST_NORMAL, TINY, 0.0)


def added(left: Pair, right: Pair) -> Pair:
    """Return a sum; its own rounding is known."""
    (a, e), (b, f) = left, right
    return a + b, e + f + np.abs(sum_error(a, b))


def multiplied(left: Pair, right: Pair) -> Pair:
    """Return a product."""
    (a, e), (b, f) = left, right
    value = a * b
    nothing = ((a == 0.0) & (e == 0.0)) | ((b == 0.0) & (f == 0.0))
    known = _are_integers(a, b, value) & (e == 0.0) & (f == 0.0)
    error = np.abs(a) * f + np.abs(b) * e + e * f + _rounded(value)
    return value, np.where(nothing | known, 0.0, error)


def divided(above: Pair, below: Pair) -> Pair:
    """Return a quotient: ``|a/b - x/y| <= (e + |a/b| f)/(|b| - f)``."""
    (a, e), (b, f) = above, below
    value = a / b
    nothing = (a == 0.0) & (e == 0.0) & (np.abs(b) > f)
    known = _are_integers(value, b, value * b) & (value * b == a) & (e == 0.0) & (f == 0.0)
    left = np.abs(b) - f
    error = np.where(left > 0.0, (e + np.abs(value) * f) / left, np.inf) + _rounded(value)
    return value, np.where(nothing | known, 0.0, error)


def negated(only: Pair) -> Pair:
    """Return a number with the other sign."""
    return -only[0], only[1]


def power(base: Pair, exponent: Pair) -> Pair:
    """Return a power, computed as `fsp.model.program` does: whole ones as products, else by numpy."""
    p = exponent[0]
    if np.ndim(p) == 0 and not np.any(exponent[1]):
        if p == 0.5:
            return FUNCTION_RULES["sqrt"](base)
        if p == int(p) and 2 <= abs(p) <= LARGEST_PRODUCT_POWER:
            power_of_base = _whole_power(base, int(abs(p)))
            return power_of_base if p > 0 else divided((np.float64(1.0), 0.0), power_of_base)
    return _general_power(base, exponent)


def _whole_power(base: Pair, n: int) -> Pair:
    if n == 1:
        return base
    half = _whole_power(base, n // 2)
    square = multiplied(half, half)
    return multiplied(square, base) if n % 2 else square


def _general_power(base: Pair, exponent: Pair) -> Pair:
    """Return aᵖ by numpy: its logarithm is off by p times that of a, and log a times that of p."""
    (a, e), (p, f) = base, exponent
    value = np.power(a, p)
    size = np.abs(a)
    of_log = np.where(e > 0.0, -np.log1p(-e / size), 0.0)
    off = np.abs(p) * of_log + np.where(f > 0.0, f * (np.abs(np.log(size)) + of_log), 0.0)
    error = np.abs(value) * np.expm1(off)
    low = np.where((p > 0.0) & (f == 0.0), np.maximum(np.power(size + e, p), np.abs(value)), np.inf)  # a may be zero
    error = np.where((e > 0.0) & (e >= size), low, error)
    exact = ((size == 0.0) | (size == 1.0) | (p == 0.0) | (p == 1.0)) & (e == 0.0) & (f == 0.0)
    exact |= ((a == 1.0) | ((a == 0.0) & (p > f))) & (e == 0.0)  # whatever the exponent
    return value, np.where(exact, 0.0, error + _rounded(value, FUNCTION_UNITS))


def _least(left: Pair, right: Pair) -> Pair:
    (a, e), (b, f) = left, right
    apart = np.abs(a - b) > e + f
    return np.minimum(a, b), np.where(apart, np.where(a < b, e, f), np.maximum(e, f))


def _largest(left: Pair, right: Pair) -> Pair:
    return negated(_least(negated(left), negated(right)))


def _stepped(kernel: Callable[[Any], Any], only: Pair) -> Pair:
    """Return a number rounded to a whole one: it is uncertain where the error reaches over a step."""
    a, e = only
    value = kernel(a)
    reach = e * (1.0 + 4.0 * UNIT_ROUNDOFF) + np.where(e > 0.0, np.abs(a) * UNIT_ROUNDOFF, 0.0)
    return value, np.maximum(kernel(a + reach) - value, value - kernel(a - reach))


def _remainder(left: Pair, right: Pair) -> Pair:
    """Return ``a - b trunc(a/b)``, which numpy computes exactly."""
    (a, e), (b, f) = left, right
    times, uncertain = _stepped(np.trunc, divided(left, right))
    known = e + np.abs(times) * f
    exact = (e == 0.0) & (f == 0.0)
    return np.fmod(a, b), np.where(exact, 0.0, np.where(uncertain > 0.0, np.abs(b) + known, known))


def _factorial(only: Pair) -> Pair:
    a, e = only
    value = FUNCTIONS["factorial"].kernel(a)
    return value, np.where(e > 0.0, np.inf, np.where(value <= LARGEST_WHOLE, 0.0, UNIT_ROUNDOFF * value))


# ---- functions ------------------------------------------------------------------------------------------------


def _exact(a: Any, value: Any) -> Any:
    """Tell where a function has no rounding: exp 0, cos 0, ln 1, …, and roots of squares."""
    ends = ((a == 0.0) | (a == 1.0)) & ((value == 0.0) | (value == 1.0))
    return ends | (_are_integers(value, a) & (value * value == a))


def _moved(
    kernel: Callable[[Any], Any], moves: Callable[[Any, Any, Any], Any], units: float = FUNCTION_UNITS
) -> RoundingRule:
    """Return the rule of a function: `moves` (argument, its error, value) bounds its change within the error."""

    def rule(only: Pair) -> Pair:
        a, e = only
        value = kernel(a)
        rounding = np.where(_exact(a, value), 0.0, _rounded(value, units))
        return value, np.where(e > 0.0, moves(a, e, value), 0.0) + rounding

    return rule


def _monotone(kernel: Callable[[Any], Any]) -> RoundingRule:
    """Return the rule of a monotone function: it lies between its values at the ends."""

    def moves(a: Any, e: Any, value: Any) -> Any:
        ends = [kernel(np.nextafter(a + sign * e, sign * np.inf)) for sign in (-1.0, 1.0)]
        return reduce(np.maximum, [np.abs(end - value) + _rounded(end, FUNCTION_UNITS) for end in ends])

    return _moved(kernel, moves)


def _of_logarithm(a: Any, e: Any, value: Any) -> Any:
    return np.where(e < a, -np.log1p(-e / a), np.inf)


def _of_tangent(a: Any, e: Any, value: Any) -> Any:
    """Bound the change of tan: ``|sin(a - x)| / |cos a cos x|``."""
    cosine = np.abs(np.cos(a)) - FUNCTION_UNITS * UNIT_ROUNDOFF
    return np.where(cosine > e, e / (cosine * (cosine - e)), np.inf)


_DIRECT: dict[str, RoundingRule] = {
    "sin": _moved(np.sin, lambda a, e, value: np.minimum(e, 2.0)),
    "cos": _moved(np.cos, lambda a, e, value: np.minimum(e, 2.0)),
    "tan": _moved(np.tan, _of_tangent),
    "sinh": _moved(np.sinh, lambda a, e, value: e * np.cosh(np.abs(a) + e) * 1.001),
    "cosh": _moved(np.cosh, lambda a, e, value: e * np.sinh(np.abs(a) + e) * 1.001),
    "tanh": _moved(np.tanh, lambda a, e, value: np.minimum(e, 2.0)),
    "arcsin": _monotone(np.arcsin), "arccos": _monotone(np.arccos),
    "arctan": _moved(np.arctan, lambda a, e, value: e),
    "arcsinh": _moved(np.arcsinh, lambda a, e, value: e),
    "arccosh": _monotone(np.arccosh), "arctanh": _monotone(np.arctanh),
}  # fmt: skip
_ONE_EXACTLY: Pair = (np.float64(1.0), 0.0)  # exact


def _reciprocal(rule: RoundingRule) -> RoundingRule:
    return lambda only: divided(_ONE_EXACTLY, rule(only))


def _inverted(rule: RoundingRule) -> RoundingRule:
    return lambda only: rule(divided(_ONE_EXACTLY, only))


def _root(degree: Pair, x: Pair) -> Pair:
    if np.ndim(degree[0]) == 0 and degree[0] == 3.0 and not np.any(degree[1]):
        return _monotone(np.cbrt)(x)
    return _general_power(x, divided(_ONE_EXACTLY, degree))


# Of exp, ``|exp(a + e) - exp(a)| ≤ exp(a) expm1(|e|)``; of a root, the smaller of ``e/√a`` and √e.
FUNCTION_RULES: dict[str, RoundingRule] = {
    "exp": _moved(np.exp, lambda a, e, value: value * np.expm1(e)),
    "ln": _moved(np.log, _of_logarithm),
    "log10": _moved(np.log10, _of_logarithm),  # which is less than half of that
    "sqrt": _moved(
        np.sqrt, lambda a, e, value: np.fmin(e / np.abs(value), np.sqrt(e)), 1.0
    ),  # the root is rounded correctly
    **_DIRECT,
    **{name: _reciprocal(_DIRECT[of]) for name, of in PARTNER.items()},
    **{f"arc{name}": _inverted(_DIRECT[f"arc{of}"]) for name, of in PARTNER.items()},
}


# ---- truth ----------------------------------------------------------------------------------------------------


def as_truth(number: Pair) -> Pair:
    """Return whether a number is not zero."""
    a, e = number
    return a != 0.0, (e > 0.0) & (np.abs(a) <= e)


def as_number(truth: Pair) -> Pair:
    """Return one or zero."""
    value, uncertain = truth
    return value * 1.0, uncertain * 1.0


def _compared(name: str) -> RoundingRule:
    kernel = COMPARISONS.get(name, np.not_equal)

    def rule(*arguments: Pair) -> Pair:
        pairs = list(pairwise(arguments))
        holds = [kernel(a, b) for (a, _), (b, _) in pairs]
        open_ = [(e + f > 0.0) & (np.abs(a - b) <= (e + f) * (1.0 + 4.0 * UNIT_ROUNDOFF)) for (a, e), (b, f) in pairs]
        return reduce(np.logical_and, holds), reduce(np.logical_or, open_)

    return rule


def _logical(name: str) -> RoundingRule:
    kernel = FUNCTIONS[name].kernel

    def rule(*arguments: Pair) -> Pair:
        uncertain = reduce(np.logical_or, (mask for _, mask in arguments), np.False_)
        return kernel(*(value for value, _ in arguments)), uncertain

    return rule


def _piecewise(*arguments: Pair) -> Pair:
    """Return the value of the first condition that holds; where one is uncertain, any later value may be the one."""
    last = len(arguments) - len(arguments) % 2
    value, error = arguments[-1] if len(arguments) % 2 else (np.float64(np.nan), 0.0)
    for k in range(last - 2, -1, -2):
        (branch, e), (holds, uncertain) = arguments[k], arguments[k + 1]
        either = np.abs(branch - value) + np.maximum(e, error)
        either = np.where(np.isnan(either), np.inf, either)
        error = np.where(uncertain, either, np.where(holds, e, error))
        value = np.where(holds, branch, value)
    return value, error


RULES: dict[str, RoundingRule] = {
    "+": lambda *a: reduce(added, a) if a else (np.float64(0.0), 0.0),
    "*": lambda *a: reduce(multiplied, a) if a else _ONE_EXACTLY,
    "-": lambda a, b: added(a, negated(b)),
    "neg": negated,
    "/": divided,
    "^": power,
    "abs": lambda a: (np.abs(a[0]), a[1]),
    "log": lambda base, x: divided(FUNCTION_RULES["ln"](x), FUNCTION_RULES["ln"](base)),
    "root": _root,
    "floor": lambda a: _stepped(np.floor, a),
    "ceil": lambda a: _stepped(np.ceil, a),
    "factorial": _factorial,
    "min": lambda *a: reduce(_least, a),
    "max": lambda *a: reduce(_largest, a),
    "quotient": lambda a, b: _stepped(np.trunc, divided(a, b)),
    "rem": _remainder,
    "piecewise": _piecewise,
    **{name: _compared(name) for name in (*COMPARISONS, "!=")},
    **{name: _logical(name) for name in ("&&", "||", "xor", "!", "implies")},
    **FUNCTION_RULES,
}  # fmt: skip


def applied(name: str, arguments: Sequence[Pair]) -> Pair:
    """Return a function of numbers or truth values with its error; infinite where nothing is known.

    `arguments`: value and error, or truth value and uncertainty, of each, as the kernel takes them.
    """
    value, error = RULES[name](*arguments)
    if FUNCTIONS[name].truth:
        return value, error
    return value, np.where(np.isnan(error), np.inf, error)
