"""How far the computed rate of a law may be from the exact one, on all counts that are used.

Most laws are sums, products, quotients and powers of counts and positive numbers: their relative error follows from the
tree alone.  Where terms may cancel, or another function occurs, the rules of `fsp.model.roundoff` run on the counts.  A
condition that lies within its rounding is decided by fractions, where that can be.

The exact rate is that of the decimals which the numbers of a law print as.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray
from fsp.model import roundoff
from fsp.model.factors import split_number
from fsp.model.functions import ALL_COMPARISONS, COMPARISONS
from fsp.model.program import is_truth
from fsp.model.roundoff import LARGEST_PRODUCT_POWER, LARGEST_WHOLE, Pair
from fsp.model.tree import (
    ERRORS_ROUND,
    Call,
    Expression,
    Number,
    Symbol,
    Time,
    decimal,
    depends_on_time,
    exactly,
    is_condition,
)

# Of the largest value, down to which the relative error is taken; what is below counts by its size.
RELATIVE_DOWN_TO = 1.0 / 16.0
MOST_FRACTIONS = 2000  # conditions that are decided one by one
ORDINARY = 64.0 * UNIT_ROUNDOFF  # relative error up to which it stands for some more rounded operations
NORMAL_SIZE = 1e250  # sizes within which no step of a formula leaves the normal numbers


class Accuracy(NamedTuple):
    """Bounds of ``|computed - exact|`` for the values of a law, or of a factor of it."""

    relative: float = 0.0  # times the size of the value, plus `absolute`, is a bound at all counts; at most `ORDINARY`
    absolute: float = 0.0
    worst: float = 0.0  # largest relative error of a single value; infinite where one is zero and may be another
    largest: float = 1.0  # value

    def times(self, other: Accuracy) -> Accuracy:
        """Return the accuracy of a product, but for the rounding of the product itself."""
        largest, others = self.largest * (1.0 + self.relative), other.largest * (1.0 + other.relative)
        return Accuracy(
            self.relative + other.relative + self.relative * other.relative,
            _times(largest, other.absolute) + _times(others, self.absolute) + _times(self.absolute, other.absolute),
            self.worst + other.worst + _times(self.worst, other.worst),
            self.largest * other.largest,
        )

    @classmethod
    def of_relative(cls, error: float, largest: float) -> Accuracy:
        """Return the accuracy of values that have one relative error."""
        return cls(min(error, ORDINARY), _times(largest, max(0.0, error - ORDINARY)), error, largest)


EXACT = Accuracy()


def _times(size: float, error: float) -> float:
    return size * error if size and error else 0.0


def of_product(factors: Sequence[Accuracy]) -> Accuracy:
    """Return the accuracy of a product, but for the rounding of its multiplications."""
    relative = worst = 0.0
    largest = 1.0
    for factor in factors:
        if factor.absolute:
            return reduce(Accuracy.times, factors)
        relative, worst, largest = relative + factor.relative, worst + factor.worst, largest * factor.largest
    return Accuracy(relative / (1.0 - relative), 0.0, worst / (1.0 - worst), largest)


def of_scale(scalar: Expression) -> Accuracy:
    """Return the accuracy of the number that `split_number` takes out of a tree without species."""
    if not depends_on_time(scalar):
        value, error = errors(scalar, {}, 0.0)
        return of_values(np.atleast_1d(value), np.atleast_1d(error))
    if not isinstance(scalar, Call) or scalar.function not in ("*", "/"):
        return EXACT
    parts = [of_scale(a) for a in scalar.arguments]
    relative = sum(part.worst for part in parts) + len(parts) * UNIT_ROUNDOFF
    if not relative < 0.5 and scalar.function == "*":  # such as a number that is zero but for its error
        return of_product(parts)
    relative = relative / (1.0 - relative) if relative < 0.5 else math.inf
    return Accuracy.of_relative(relative, abs(split_number(scalar)[0]))


def of_columns(law: Expression, blocks: Iterable[Mapping[str, Any]], top: float, t: float) -> Accuracy:
    """Return the accuracy of a law on columns of counts, block by block; no count is above `top`."""
    relative = structural(law, max(1.0, top))
    if relative is not None:
        return Accuracy.of_relative(relative, 1.0)  # it is no factor, so that its largest value is not asked for
    block_errors = [of_values(*map(np.atleast_1d, np.broadcast_arrays(*errors(law, block, t)))) for block in blocks]
    return Accuracy(*(max(parts) for parts in zip(*block_errors, strict=True))) if block_errors else EXACT


def of_values(value: FloatArray, error: FloatArray) -> Accuracy:
    """Sum up errors (n,) of values (n,); what is no number is no rate either, and refused where it is met."""
    known = np.isfinite(value)
    size, error = np.abs(value[known]), error[known]
    if not len(size):
        return EXACT
    with np.errstate(all="ignore"):
        ratio = np.where(error > 0.0, error / size, 0.0)
        largest = float(size.max())
        relative = min(float(ratio[size >= RELATIVE_DOWN_TO * largest].max()), ORDINARY)
        absolute = float(np.maximum(error - relative * (1.0 + 1e-9) * size, 0.0).max())
    return Accuracy(relative * ERRORS_ROUND, absolute * ERRORS_ROUND, float(ratio.max()) * ERRORS_ROUND, largest)


# ---- errors on arrays -----------------------------------------------------------------------------------------


def errors(tree: Expression, values: Mapping[str, Any], t: float) -> Pair:
    """Return what a tree comes to, as `fsp.model.program.evaluate` computes it, and a bound of its error.

    `values`: counts by name, (n,) each, exact, as the time is; returns arrays (n,) or numbers.
    """
    with np.errstate(all="ignore"):
        value, error = _number(tree, values, np.float64(t))
        return value, error * ERRORS_ROUND


def _number(tree: Expression, values: Mapping[str, Any], t: Any) -> Pair:
    pair = _pair(tree, values, t)
    return roundoff.as_number(pair) if is_truth(tree) else pair


def _truth(tree: Expression, values: Mapping[str, Any], t: Any) -> Pair:
    pair = _pair(tree, values, t)
    return pair if is_truth(tree) else roundoff.as_truth(pair)


def _pair(tree: Expression, values: Mapping[str, Any], t: Any) -> Pair:
    if isinstance(tree, Number):
        return np.float64(tree.value), tree.inexact
    if isinstance(tree, Symbol):
        return values[tree.name], 0.0
    if isinstance(tree, Time):
        return t, 0.0
    return _of_call(tree, values, t)


def _of_call(tree: Call, values: Mapping[str, Any], t: Any) -> Pair:
    arguments = list(tree.arguments)
    if tree.function == "*":  # numbers first, as it is computed
        arguments.sort(key=lambda a: not isinstance(a, Number))
    pairs = [(_truth if is_condition(tree.function, k) else _number)(a, values, t) for k, a in enumerate(arguments)]
    pair = roundoff.applied(tree.function, pairs)
    if tree.function in ALL_COMPARISONS and len(arguments) == 2 and np.any(pair[1]):
        return _decided(tree, values, pair)
    return pair


def _decided(tree: Call, values: Mapping[str, Any], pair: Pair) -> Pair:
    """Settle by fractions where a condition lies within its rounding."""
    if np.count_nonzero(pair[1]) > MOST_FRACTIONS:
        return pair
    holds, exact, unsettled = settled(tree, values, pair)
    return holds, unsettled | (holds != exact)


class ExactComparison(NamedTuple):
    """A comparison on states: as it is computed, as it is, and where even fractions do not tell; all (n,)."""

    computed: BoolArray
    exact: BoolArray
    unsettled: BoolArray


def settled(tree: Call, values: Mapping[str, Any], pair: Pair) -> ExactComparison:
    """Decide a comparison by fractions where `pair`, what it is computed as, lies within its rounding."""
    computed, unsettled = (np.array(a) for a in np.broadcast_arrays(*pair, *values.values())[:2])
    exact = computed.copy()
    columns = dict(zip(values, np.broadcast_arrays(*values.values(), computed)[:-1], strict=True))
    for place in map(tuple, np.argwhere(unsettled).tolist()):
        counts = {name: decimal(column[place]) for name, column in columns.items()}
        left, right = (_fraction(a, counts) for a in tree.arguments)
        if left is not None and right is not None:
            exact[place] = ALL_COMPARISONS[tree.function]((left > right) - (left < right), 0)
            unsettled[place] = False
    return ExactComparison(computed, exact, unsettled)


def of_comparison(tree: Call, values: Mapping[str, Any], t: float) -> Pair:
    """Return what a comparison of two formulas is computed as, and where it lies within its rounding."""
    with np.errstate(all="ignore"):
        return roundoff.applied(tree.function, [_number(a, values, np.float64(t)) for a in tree.arguments])


def _fraction(tree: Expression, counts: Mapping[str, Fraction]) -> Fraction | float | None:
    """Return the exact value of a tree, which is infinite after a division by zero; None where it is not short."""
    if isinstance(tree, Number):
        return tree.fraction
    if isinstance(tree, Symbol):
        return counts[tree.name]
    if isinstance(tree, Time):
        return None
    parts = [_fraction(a, counts) for a in tree.arguments]
    known = [part for part in parts if isinstance(part, Fraction)]
    if len(known) < len(parts):
        return None
    if tree.function == "/" and known[0] and not known[1]:
        return math.copysign(math.inf, known[0])
    return exactly(tree.function, known)


# ---- errors from the tree alone -------------------------------------------------------------------------------


class _Shape(NamedTuple):
    """What is known of a part at all counts: its relative error, sign, and the sizes it may have where it is not 0."""

    error: float
    positive: bool  # or zero
    is_whole: bool
    smallest: float
    largest: float


class _NoErrorBound(Exception):  # noqa: N818 - control flow inside this module only
    """The relative error does not follow from the tree."""


def structural(tree: Expression, top: float) -> float | None:
    """Return a bound of the relative error at all counts up to `top` that follows from the form of a tree.

    None where terms may cancel, a part may be anything, or a number that was folded has lost digits.
    """
    try:
        error = _shape(tree, top).error * ERRORS_ROUND
    except (_NoErrorBound, OverflowError, ZeroDivisionError):
        return None
    return error if error <= ORDINARY else None


def _shape(tree: Expression, top: float) -> _Shape:
    if isinstance(tree, Symbol):
        return _Shape(0.0, True, True, 1.0, top)
    if isinstance(tree, Number) and tree.value:
        size = abs(tree.value)
        is_whole = size.is_integer() and not tree.inexact
        return _Shape(tree.inexact / size, tree.value > 0.0, is_whole, size, size)
    if isinstance(tree, Call) and tree.function == "^":
        return _raised(_shape(tree.arguments[0], top), tree.arguments[1])
    if isinstance(tree, Call) and tree.function in COMPARISONS:
        return _compared(tree, top)
    if not isinstance(tree, Call) or tree.function not in _SHAPES:
        raise _NoErrorBound
    parts = [_shape(a, top) for a in tree.arguments]
    if tree.function == "*":
        parts.sort(key=lambda part: not part.is_whole)
    shape = parts[0] if parts else _EXACT_ONE
    for part in parts[1:]:
        shape = _near(_SHAPES[tree.function](shape, part))
    return shape


def _compared(tree: Call, top: float) -> _Shape:
    """Return what is known of a comparison: nothing is rounded where whole numbers are compared."""
    parts = [_shape(a, top) for a in tree.arguments if not (isinstance(a, Number) and not a.value and not a.error)]
    if not all(part.is_whole and part.largest <= LARGEST_WHOLE for part in parts):
        raise _NoErrorBound
    return _EXACT_ONE


def _near(shape: _Shape) -> _Shape:
    if not 1.0 / NORMAL_SIZE < shape.smallest <= shape.largest < NORMAL_SIZE:
        raise _NoErrorBound
    return shape


_EXACT_ONE = _Shape(0.0, True, True, 1.0, 1.0)  # exact, positive and whole


def _sum(a: _Shape, b: _Shape) -> _Shape:
    is_whole = a.is_whole and b.is_whole and a.largest + b.largest <= LARGEST_WHOLE
    if is_whole:
        return _Shape(0.0, a.positive and b.positive, True, 1.0, a.largest + b.largest)
    if not (a.positive and b.positive):
        raise _NoErrorBound
    error = max(a.error, b.error)
    return _Shape(
        error + UNIT_ROUNDOFF * (1.0 + error), True, False, min(a.smallest, b.smallest), a.largest + b.largest
    )


def _difference(a: _Shape, b: _Shape) -> _Shape:
    if not (a.is_whole and b.is_whole and a.largest + b.largest <= LARGEST_WHOLE):
        raise _NoErrorBound
    return _Shape(0.0, False, True, 1.0, a.largest + b.largest)


def _product(a: _Shape, b: _Shape) -> _Shape:
    positive, least, greatest = a.positive and b.positive, a.smallest * b.smallest, a.largest * b.largest
    if a.is_whole and b.is_whole and greatest <= LARGEST_WHOLE:
        return _Shape(0.0, positive, True, least, greatest)
    error = a.error + b.error + a.error * b.error
    return _Shape(error + UNIT_ROUNDOFF * (1.0 + error), positive, False, least, greatest)


def _quotient(a: _Shape, b: _Shape) -> _Shape:
    error = (a.error + b.error) / (1.0 - b.error)
    error += UNIT_ROUNDOFF * (1.0 + error)
    return _Shape(error, a.positive and b.positive, False, a.smallest / b.largest, a.largest / b.smallest)


def _raised(a: _Shape, exponent: Expression) -> _Shape:
    if not isinstance(exponent, Number) or exponent.error or not exponent.value:
        raise _NoErrorBound
    p = exponent.value
    if p == int(p) and 2 <= abs(p) <= LARGEST_PRODUCT_POWER:
        power = a
        for _ in range(int(abs(p)) - 1):  # repeated squaring doubles errors instead, which comes to the same
            power = _near(_product(power, a))
        return power if p > 0 else _quotient(_EXACT_ONE, power)
    if not a.positive:
        raise _NoErrorBound
    off = abs(p) * -math.log1p(-a.error) + exponent.inexact * max(abs(math.log(a.smallest)), abs(math.log(a.largest)))
    units = 1.0 if p == 0.5 else roundoff.FUNCTION_UNITS
    ends = a.smallest**p, a.largest**p
    return _near(_Shape(math.expm1(off) + units * UNIT_ROUNDOFF * (1.0 + off), True, False, min(ends), max(ends)))


_SHAPES: dict[str, Callable[[_Shape, _Shape], _Shape]] = {
    "+": _sum,
    "-": _difference,
    "*": _product,
    "/": _quotient,
}
