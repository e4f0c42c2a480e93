"""Taylor polynomials of functions of time, with a bound on the remainder.

A function of time is evaluated in interval arithmetic on truncated Taylor series: every coefficient is an interval that
holds ``f^(k)(τ)/k!`` for all τ of a step.  The last one bounds the remainder of the polynomial about the middle m::

    |f(m + x) - Σ_{k<=d} c_k x^k|  <=  max |f^(d+1)/(d+1)!| (h/2)^(d+1)  +  Σ_k |half the width of c_k| (h/2)^k

The arithmetic is that of `fsp.model.intervals`.  A comparison, `min`, `max`,
`abs` or `floor` is resolved where the interval of its argument, or of its derivative, shows that it does not switch
inside the step; where that is not seen, and for functions that are not covered, the answer is that there is no bound.

Where a switch is, is known to rounding only, so that the ends of a step do not belong to its inside.  An interval for
all that the function may be there, whichever side of its switches holds, bounds what the polynomial misses at the ends.

References
----------
R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to Interval Analysis, SIAM 2009, doi:10.1137/1.9780898717716.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from itertools import pairwise

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF
from fsp.model.accuracy import errors
from fsp.model.functions import COMPARISON, FUNCTIONS, PARTNER
from fsp.model.intervals import (
    ONE_EXACTLY,
    ZERO_EXACTLY,
    Interval,
    NoBound,
    Series,
    at_first,
    constant_series,
    lessened_exponential,
    negated,
    power,
    series_of,
)
from fsp.model.program import evaluate
from fsp.model.tree import ONE, Call, Expression, Number, Time, call, walk

ULPS = 16.0  # of the end of a step: so well is the place of a switch known
SWITCH_ZONE = 4.0  # times that: a step may start where a switch is neither inside nor surely at its end
# Of a step: where that is not enough, it is looked for so near.
SWITCH_SHARES = (1e-13, 1e-12, 1e-11, 1e-10, 1e-7, 1e-5)
SWITCH_ERROR = 1e-11  # of a function: what it may be wrong by because of a switch that near


@dataclass(frozen=True, slots=True)
class Polynomial:
    """A function of time on a step, as a polynomial in the distance from its middle."""

    middle: float  # middle of the step
    coefficients: tuple[float, ...]  # c_0 … c_d
    remainder: float  # bound on the distance from the function: in all of the step, but for its ends
    # the part of it that does not fall with the step: the rounding of the coefficients, and the integral of the
    # distance at the ends of the step, over its length
    rounding: float = 0.0

    def at(self, t: float) -> float:
        """Return the polynomial at time `t`."""
        return reduce(lambda total, c: total * (t - self.middle) + c, reversed(self.coefficients), 0.0)


class Parts:
    """What is known of the parts of several trees on one step, with common parts (`fsp.model.common_parts`)."""

    def __init__(self) -> None:
        self.sides: dict[tuple[int, float, float, float], tuple[Expression, bool | None]] = {}  # of conditions
        self._evaluations: dict[tuple[float, float, float, float, float, bool], _Evaluation] = {}
        self._fixed: dict[int, tuple[Expression, bool]] = {}

    def on(
        self, low: float, high: float, start: float, end: float, inset: float = 0.0, *, hull: bool = False
    ) -> _Evaluation:
        """Return the series of functions at all times low..high."""
        key = low, high, start, end, inset, hull
        if key not in self._evaluations:
            self._evaluations[key] = _Evaluation(self, *key[:5], hull=hull)
        return self._evaluations[key]

    def is_fixed(self, tree: Expression) -> bool:
        """Tell whether a tree is made of numbers alone."""
        if not isinstance(tree, Call):
            return isinstance(tree, Number)
        if id(tree) not in self._fixed:  # with the tree, so that no other one takes its place in memory
            self._fixed[id(tree)] = tree, all(map(self.is_fixed, tree.arguments))
        return self._fixed[id(tree)][1]


def polynomial(
    tree: Expression, start: float, end: float, degree: int, *, near: bool = False, parts: Parts | None = None
) -> Polynomial | None:
    """Return the Taylor polynomial of a function of time about the middle of a step; None where no bound is found.

    `parts` is for trees that have common parts.
    """
    parts = parts or Parts()
    if not has_switches(tree):
        return _tried(tree, start, end, degree, 0.0, parts)
    for inset, certain in _insets(start, end, near):
        polynomial = _tried(tree, start, end, degree, inset, parts)
        if polynomial is None:
            continue
        distance = _distance_at_ends(tree, polynomial, start, end, inset, parts)
        missed = inset / (end - start) * distance
        if certain or missed <= SWITCH_ERROR * (abs(polynomial.coefficients[0]) + distance):
            polynomial = replace(
                polynomial, remainder=polynomial.remainder + missed, rounding=polynomial.rounding + missed
            )
            return polynomial if math.isfinite(missed) else None
    return None


def _insets(start: float, end: float, near: bool) -> Iterator[tuple[float, bool]]:
    """Yield lengths of the ends of a step, and whether they are taken whatever they cost."""
    least = ULPS * math.ulp(end)
    yield least, True
    if not near:
        yield SWITCH_ZONE * least, True
        yield from (
            (share * (end - start), False) for share in SWITCH_SHARES if share * (end - start) > SWITCH_ZONE * least
        )


def has_switches(tree: Expression) -> bool:
    """Tell whether a tree holds a function that may jump or bend, such as a comparison."""
    return any(isinstance(node, Call) and node.function in _JUMPING for node in walk(tree))


def _tried(tree: Expression, start: float, end: float, degree: int, inset: float, parts: Parts) -> Polynomial | None:
    try:
        polynomial = _polynomial(tree, start, end, degree, inset, parts)
    except _FAILURES:
        return None
    return polynomial if math.isfinite(polynomial.remainder) else None


def _distance_at_ends(
    tree: Expression, polynomial: Polynomial, start: float, end: float, inset: float, parts: Parts
) -> float:
    """Return the sum of the largest distances from a function at either end of its step."""
    half = 0.5 * (end - start)
    slope = sum(k * abs(c) * half ** (k - 1) for k, c in enumerate(polynomial.coefficients[1:], 1))
    total = 0.0
    for low, high in ((start, start + inset), (end - inset, end)):
        try:
            least, greatest = at_first(parts.on(low, high, low, high, hull=True).series(tree, 1))
        except _FAILURES:
            return math.inf
        at = polynomial.at(low)
        total += max(greatest - at, at - least) + slope * (high - low)
    return total * SLIGHTLY_UP


def _polynomial(tree: Expression, start: float, end: float, degree: int, inset: float, parts: Parts) -> Polynomial:
    middle, half = 0.5 * (start + end), 0.5 * (end - start)
    wide = parts.on(start, end, start, end, inset).series(tree, degree + 2)[degree + 1].tolist()
    narrow = parts.on(middle, middle, start, end, inset).series(tree, degree + 1).tolist()
    missed = max(abs(wide[0]), abs(wide[1])) * half ** (degree + 1)
    widths = [0.5 * (high - low) + UNIT_ROUNDOFF * (abs(low) + abs(high)) * (low < high) for low, high in narrow]
    rounding = sum(width * half**k for k, width in enumerate(widths))
    remainder = (missed + rounding) * SLIGHTLY_UP
    return Polynomial(middle, tuple(0.5 * (low + high) for low, high in narrow), remainder, rounding)


def constant(tree: Expression, start: float, end: float) -> Polynomial | None:
    """Return the constant in the middle of all values of a function on a step, whichever side of its switches holds."""
    try:
        low, high = at_first(Parts().on(start, end, start, end, hull=True).series(tree, 1))
    except _FAILURES:
        return None
    value = 0.5 * (low + high)
    remainder = max(high - value, value - low) * SLIGHTLY_UP
    return Polynomial(0.5 * (start + end), (value,), remainder) if math.isfinite(remainder) else None


def constant_inside(tree: Expression, start: float, end: float) -> float | None:
    """Return the value of a function that is constant inside a step and has that value at its ends; None for others.

    A switch nearer to an end than its place is known is seen by the value at the end alone.
    """
    polynomial = _tried(tree, start, end, 0, ULPS * math.ulp(end), Parts())
    if polynomial is None or polynomial.remainder > 0.0:
        return None
    value = polynomial.coefficients[0]
    return value if all(float(evaluate(tree, {}, t)) == value for t in (start, end)) else None


class _Evaluation:
    """Series of functions at all times low..high; switches are resolved on the step start..end that holds them.

    With `hull`, values of functions whose switches are not resolved are those of both sides.
    """

    def __init__(
        self, parts: Parts, low: float, high: float, start: float, end: float, inset: float, *, hull: bool
    ) -> None:
        self._parts, self._hull = parts, hull
        self.low, self.high = float(low), float(high)
        self.start, self.end, self.inset = float(start), float(end), inset
        self._known: dict[tuple[int, int], tuple[Expression, Series]] = {}  # laws have the same parts many times

    def series(self, tree: Expression, n: int) -> Series:
        """Return the first n Taylor coefficients."""
        key = id(tree), n
        if key not in self._known:  # with the tree, so that no other one takes its place in memory
            self._known[key] = tree, self._series(tree, n)
        return self._known[key][1]

    def _series(self, tree: Expression, n: int) -> Series:
        if isinstance(tree, Number):
            return constant_series(tree.value, n, tree.error)
        if isinstance(tree, Time):
            return series_of((self.low, self.high), n, ONE_EXACTLY)
        if not isinstance(tree, Call):
            raise NoBound
        if self._parts.is_fixed(tree):
            value, error = errors(tree, {}, 0.0)
            return constant_series(float(value), n, float(error))
        return self._call(tree, n)

    def _call(self, tree: Call, n: int) -> Series:
        name, arguments = tree.function, tree.arguments
        if name in _SWITCHING:
            return self._switching(tree, n)
        if name == "^" and isinstance(arguments[1], Number) and arguments[1].error <= math.ulp(arguments[1].value):
            return power(self.series(arguments[0], n), arguments[1].value)
        if name == "-" and arguments[0] == ONE and isinstance(arguments[1], Call) and arguments[1].function == "exp":
            return negated(lessened_exponential(self.series(arguments[1].arguments[0], n)))
        if name in _REWRITTEN:
            return self.series(_REWRITTEN[name](*arguments), n)
        rule = FUNCTIONS[name].series
        if rule is None:
            raise NoBound
        parts = [self.series(a, n) for a in arguments]
        return reduce(rule, parts) if FUNCTIONS[name].limit > 1 else rule(*parts)

    # ---- switches -----------------------------------------------------------------------------------------

    def _switching(self, tree: Call, n: int) -> Series:
        try:
            if tree.function in ("floor", "ceil"):
                return self._rounded(tree, n)
            branch = self._branch(tree)
        except NoBound:
            if self._hull and n == 1:
                return series_of(self._of_both_sides(tree), 1)
            raise
        return self.series(branch, n)

    def _of_both_sides(self, tree: Call) -> Interval:
        """Return an interval that holds all values that a function with switches may have."""
        name = tree.function
        if FUNCTIONS[name].truth:
            return ZERO_EXACTLY[0], ONE_EXACTLY[1]
        values = self._possible(tree) if name == "piecewise" else tree.arguments
        ranges = [self._range(value) for value in values]
        lows, highs = zip(*ranges, strict=True)
        if name == "abs":
            return 0.0, max(-lows[0], highs[0])
        if name in ("floor", "ceil"):
            rounded = math.floor if name == "floor" else math.ceil
            return float(rounded(lows[0])), float(rounded(highs[0]))
        return (max if name == "max" else min)(lows), (min if name == "min" else max)(highs)

    def _possible(self, tree: Call) -> Iterator[Expression]:
        """Yield the branches of a piecewise function that may hold somewhere."""
        for value, condition in zip(tree.arguments[::2], tree.arguments[1::2], strict=False):
            try:
                holds = self._holds(condition)
            except NoBound:
                yield value
                continue
            if holds:
                yield value
                return
        if len(tree.arguments) % 2:
            yield tree.arguments[-1]

    def _range(self, tree: Expression) -> Interval:
        """Return an interval that holds all values: the natural one, or, where narrower, that about the middle."""
        low, high = at_first(self.series(tree, 1))
        try:
            slope = self.series(tree, 2)[1].tolist()
        except _FAILURES:
            return low, high
        middle = 0.5 * (self.low + self.high)
        reach = max(self.high - middle, middle - self.low) * max(-slope[0], slope[1]) * (1.0 + 1e-15)
        least, greatest = at_first(self._parts.on(middle, middle, self.start, self.end, hull=True).series(tree, 1))
        return max(low, least - reach), min(high, greatest + reach)

    def _branch(self, tree: Call) -> Expression:
        """Return the argument that holds throughout the inside of the step."""
        arguments = tree.arguments
        if tree.function == "abs":
            return arguments[0] if self._sign(arguments[0]) >= 0 else Call("neg", arguments)
        if tree.function in ("min", "max"):
            better = -1 if tree.function == "min" else 1
            return reduce(lambda a, b: a if self._sign(Call("-", (a, b))) * better >= 0 else b, arguments)
        if tree.function == "piecewise":
            for value, condition in zip(arguments[::2], arguments[1::2], strict=False):
                if self._holds(condition):
                    return value
            if len(arguments) % 2:
                return arguments[-1]
            raise NoBound
        return Number(float(self._holds(tree)))

    def _holds(self, tree: Expression) -> bool:
        """Return whether a condition is true throughout the inside of the step."""
        key = id(tree), self.start, self.end, self.inset
        if key not in self._parts.sides:  # with the tree, so that no other one takes its place in memory
            try:
                self._parts.sides[key] = tree, self._resolved(tree)
            except NoBound:
                self._parts.sides[key] = tree, None
        side = self._parts.sides[key][1]
        if side is None:
            raise NoBound
        return side

    def _resolved(self, tree: Expression) -> bool:
        if not isinstance(tree, Call) or not FUNCTIONS[tree.function].truth:
            return self._sign(tree) != 0
        row = FUNCTIONS[tree.function]
        if row.level == COMPARISON:
            return all(bool(row.kernel(self._sign(Call("-", pair)), 0)) for pair in pairwise(tree.arguments))
        return bool(row.kernel(*map(self._holds, tree.arguments)))

    def _sign(self, tree: Expression) -> int:
        """Return the sign of a function throughout the inside of the step."""
        if self._parts.is_fixed(tree):
            value, error = map(float, errors(tree, {}, 0.0))
            if 0.0 < error >= abs(value):
                raise NoBound
            return (value > 0) - (value < 0)
        if 0.0 < self.end - self.start <= 2.0 * self.inset:
            raise NoBound
        return _sign_on(tree, self.start + self.inset, self.end - self.inset, 12, self._parts)

    def _rounded(self, tree: Call, n: int) -> Series:
        """Return floor or ceil of a function that passes no whole number inside the step."""
        middle = 0.5 * (self.start + self.end)
        value = float(evaluate(tree, {}, middle))
        below, above = (value, value + 1.0) if tree.function == "floor" else (value - 1.0, value)
        over = self._sign(Call("-", (tree.arguments[0], Number(below))))
        under = self._sign(Call("-", (tree.arguments[0], Number(above))))
        if over < 0 or under > 0:
            raise NoBound
        return constant_series(value, n)


def _sign_on(tree: Expression, low: float, high: float, depth: int, parts: Parts) -> int:
    """Return the sign of a function on an interval: from its values, its slope, or those of the halves."""
    coefficients: list[Interval] = [(row[0], row[1]) for row in parts.on(low, high, low, high).series(tree, 2).tolist()]
    value, slope = coefficients
    if value[0] > 0.0 or value[1] < 0.0 or value == ZERO_EXACTLY:
        return (value[0] > 0.0) - (value[1] < 0.0)
    if slope[0] >= 0.0 or slope[1] <= 0.0:
        ends = [at_first(parts.on(t, t, t, t).series(tree, 1)) for t in (low, high)]
        signs = {(a > 0.0) - (b < 0.0) for a, b in ends}
        if len(signs) == 1 and 0 not in signs:
            return signs.pop()
    elif depth > 0:
        middle = 0.5 * (low + high)
        left = _sign_on(tree, low, middle, depth - 1, parts)
        if left == _sign_on(tree, middle, high, depth - 1, parts):
            return left
    raise NoBound


_FAILURES = (NoBound, OverflowError, ZeroDivisionError, ValueError)
_SWITCHING = {"abs", "min", "max", "piecewise", "floor", "ceil", *(name for name, f in FUNCTIONS.items() if f.truth)}
_JUMPING = {*_SWITCHING, "quotient", "rem"}


def _as_quotient(a: Expression, b: Expression) -> Expression:
    ratio = Call("/", (a, b))
    return Call("piecewise", (Call("floor", (ratio,)), Call(">=", (ratio, Number(0.0))), Call("ceil", (ratio,))))


_REWRITTEN: dict[str, Callable[..., Expression]] = {
    "^": lambda a, b: Call("exp", (Call("*", (b, Call("ln", (a,)))),)),
    "log": lambda base, a: Call("/", (Call("ln", (a,)), Call("ln", (base,)))),
    "root": lambda degree, a: Call("^", (a, call("/", ONE, degree))),
    "quotient": _as_quotient,
    "rem": lambda a, b: Call("-", (a, Call("*", (b, _as_quotient(a, b))))),
    **{name: lambda a, of=of: Call("/", (ONE, Call(of, (a,)))) for name, of in PARTNER.items()},
}
