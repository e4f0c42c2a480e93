"""Polynomials below and above a formula on all states of non-negative counts.

A sum of terms c x^α with real exponents α >= 0 encloses each part of the tree from below and above:
sums, products and powers of polynomials are exact; a quotient N/D of polynomials without negative coefficients
is bounded by comparing coefficients,

    Σ c_α x^α / Σ d_β x^β <= max_α c_α / d_α         if every α of N occurs in D,

and by c_α/d_β x^(α-β) with the largest β <= α of D where one does not: a Hill function lies below a
constant; below, such a quotient is at least min_β c_β/d_β.  Time lies between 0 and the horizon.  Since counts are
whole, x^a <= x^b for 0 < a <= b.  With the variables x - m the bounds hold on x >= m alone, where a condition such as
X > 0 may be settled and a saturating rate be bounded from below.
Functions that are not treated have no bound (None), which is not an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from fsp.model.expression import Call, Expression, Number, Symbol, Time
from fsp.moments import polynomial as falling

Powers = tuple[Fraction, ...]
Terms = dict[Powers, Fraction]

_MOST_TERMS = 400
_LARGEST_POWER = 8
_WIDENED = Fraction(1, 10**13)  # relative; values of exp and of broken powers are correct to about 1e-16
KNOWN = 2.0**-50  # relative error of a folded number up to which it is one number, as margins of those who ask cover
_UNIT_RANGE = {"sin", "cos", "tanh"}
_COMPARED = {"<", "<=", ">", ">="}
_TRUTHS = {"<", "<=", ">", ">=", "==", "!=", "&&", "||", "xor", "!", "implies"}


@dataclass(frozen=True, slots=True)
class Envelope:
    """Polynomials with real powers below and above a formula; None where there is none."""

    lower: Terms | None
    upper: Terms | None

    @property
    def exact(self) -> bool:
        """Whether the formula is the polynomial."""
        return self.lower is not None and self.lower == self.upper

    @property
    def polynomial(self) -> dict[falling.Exponents, Fraction] | None:
        """The formula in falling powers; None where it is not known to be a polynomial."""
        if self.upper is None or not self.exact or any(p.denominator != 1 for powers in self.upper for p in powers):
            return None
        return in_falling_powers(self.upper, upper=True)


NOTHING = Envelope(None, None)


def envelope(
    expr: Expression, species: Sequence[str], horizon: float = 0.0, lowest: Sequence[int] | None = None
) -> Envelope:
    """Enclose a formula between polynomials.

    `species`: (d,) names of the variables; `lowest`: (d,) counts m; by default zero.
    """
    return _Enclosing(species, horizon, lowest).of(expr)


class _Enclosing:
    """Walk a tree and enclose its parts."""

    def __init__(self, species: Sequence[str], horizon: float, lowest: Sequence[int] | None) -> None:
        self._one: Powers = (Fraction(0),) * len(species)
        self._place = {name: i for i, name in enumerate(species)}
        self._lowest = lowest or (0,) * len(species)
        self._time = Envelope({}, self._constant(Fraction(horizon)))

    def of(self, expr: Expression) -> Envelope:
        if isinstance(expr, Number):
            return self._folded(expr)
        if isinstance(expr, Symbol):
            return _exact(self._variable(self._place[expr.name])) if expr.name in self._place else NOTHING
        if isinstance(expr, Time):
            return self._time
        return self._call(expr)

    def _variable(self, i: int) -> Terms:
        """Return x - m + m for a species; made where it occurs, as a law holds few of many species."""
        unit = (*self._one[:i], Fraction(1), *self._one[i + 1 :])
        return {unit: Fraction(1)} | self._constant(Fraction(int(self._lowest[i])))

    def _call(self, expr: Call) -> Envelope:
        name = expr.function
        if name in _TRUTHS:
            truth = self._truth(expr)
            return Envelope({}, self._constant(Fraction(1))) if truth is None else self._number(float(truth))
        if name == "piecewise":
            return self._among([self.of(a) for a in self._branches(expr)])
        parts = [self.of(a) for a in expr.arguments]
        if name in _UNIT_RANGE:
            lowest = 0 if name == "tanh" and _not_negative(parts[0].lower) else -1
            return Envelope(self._constant(Fraction(lowest)), self._constant(Fraction(1)))
        rule = self._rules.get(name)
        return rule(self, parts) if rule is not None else NOTHING

    # ---- conditions

    def _branches(self, expr: Call) -> list[Expression]:
        """Return the values that a choice may have."""
        values, conditions = expr.arguments[::2], expr.arguments[1::2]
        possible = []
        for k, value in enumerate(values):
            truth = self._truth(conditions[k]) if k < len(conditions) else True
            if truth is not False:
                possible.append(value)
            if truth:
                break
        return possible or list(values)

    def _truth(self, condition: Expression) -> bool | None:
        """Return what a comparison of two numbers comes to on all states, None where it varies or is not known."""
        if not isinstance(condition, Call) or condition.function not in _COMPARED or len(condition.arguments) != 2:
            return None
        left, right = (self.of(a) for a in condition.arguments)
        opposite = condition.function in ("<", "<=")
        gap = self._difference([right, left] if opposite else [left, right])
        below = _scale(gap.upper, Fraction(-1))
        if condition.function in ("<", ">"):
            return True if self._positive(gap.lower) else False if _not_negative(below) else None
        return True if _not_negative(gap.lower) else False if self._positive(below) else None

    def _positive(self, terms: Terms | None) -> bool:
        """Return whether a polynomial is seen to be > 0 on all counts."""
        return terms is not None and terms.get(self._one, Fraction(0)) > 0 and _not_negative(terms)

    # ---- numbers

    def _number(self, value: float) -> Envelope:
        return _exact(self._constant(Fraction(value))) if math.isfinite(value) else NOTHING

    def _folded(self, number: Number) -> Envelope:
        """Return a number; one that lost digits when it was folded is only known to lie in an interval."""
        if not number.error > KNOWN * abs(number.value):
            return self._number(number.value)
        middle, off = Fraction(number.value), Fraction(number.inexact) if math.isfinite(number.inexact) else None
        return NOTHING if off is None else self._interval(middle - off, middle + off)

    def _constant(self, value: Fraction) -> Terms:
        return {self._one: value} if value else {}

    def _as_number(self, terms: Terms | None) -> Fraction | None:
        """Return the value of a constant polynomial, else None."""
        if terms is None or any(powers != self._one for powers in terms):
            return None
        return terms.get(self._one, Fraction(0))

    def _interval(self, low: Fraction | None, high: Fraction | None) -> Envelope:
        lower = None if low is None else self._constant(low)
        return Envelope(lower, None if high is None else self._constant(high))

    # ---- arithmetic

    def _sum(self, parts: Sequence[Envelope]) -> Envelope:
        return Envelope(_add([p.lower for p in parts]), _add([p.upper for p in parts]))

    def _negated(self, parts: Sequence[Envelope]) -> Envelope:
        return Envelope(_scale(parts[0].upper, Fraction(-1)), _scale(parts[0].lower, Fraction(-1)))

    def _difference(self, parts: Sequence[Envelope]) -> Envelope:
        return self._sum([parts[0], self._negated(parts[1:])])

    def _product(self, parts: Sequence[Envelope]) -> Envelope:
        total = self._number(1.0)
        for part in sorted(parts, key=lambda part: not part.exact):  # x (x - 1) before what is only bounded
            total = self._times(total, part)
        return total

    def _times(self, left: Envelope, right: Envelope) -> Envelope:
        if left.exact and right.exact:
            return _exact(_multiply(left.upper, right.upper))
        for one, other in ((left, right), (right, left)):
            factor = self._as_number(one.upper) if one.exact else None
            if factor is not None:
                bounds = _scale(other.lower, factor), _scale(other.upper, factor)
                return Envelope(*(bounds if factor >= 0 else bounds[::-1]))
            if one.exact and _not_negative(one.upper):
                return Envelope(_multiply(one.upper, other.lower), _multiply(one.upper, other.upper))
        if _not_negative(left.lower) and _not_negative(right.lower):
            return Envelope(_multiply(left.lower, right.lower), _multiply(left.upper, right.upper))
        ends = [self._as_number(t) for t in (left.lower, left.upper, right.lower, right.upper)]
        a, b, c, d = ends
        if a is None or b is None or c is None or d is None:
            return NOTHING
        corners = [a * c, a * d, b * c, b * d]
        return self._interval(min(corners), max(corners))

    def _quotient(self, parts: Sequence[Envelope]) -> Envelope:
        top, bottom = parts
        low, high = self._as_number(bottom.lower), self._as_number(bottom.upper)
        if low is not None and high is not None and (low > 0 or high < 0):
            return self._times(top, self._interval(1 / high, 1 / low))
        if not _not_negative(top.lower) or not _positive_terms(bottom.lower):
            return NOTHING
        return Envelope(self._least_ratio(top.lower, bottom.upper), self._ratio(top.upper, bottom.lower))

    def _least_ratio(self, top: Terms | None, bottom: Terms | None) -> Terms:
        """Bound N/D from below by a number."""
        if top is None or bottom is None or any(c < 0 for c in top.values()):
            return {}
        return self._constant(min(top.get(powers, Fraction(0)) / c for powers, c in bottom.items() if c > 0))

    def _ratio(self, top: Terms | None, bottom: Terms | None) -> Terms | None:
        """Bound N/D from above, D without negative coefficients."""
        if top is None or not bottom:
            return None
        shared = [c / bottom[powers] for powers, c in top.items() if c > 0 and powers in bottom]
        bound = self._constant(max(shared, default=Fraction(0)))
        for powers, c in top.items():
            if c <= 0 or powers in bottom:
                continue
            below = [b for b in bottom if all(x <= y for x, y in zip(b, powers, strict=True))]
            if not below:
                return None
            best = max(below, key=sum)
            rest = tuple(y - x for x, y in zip(best, powers, strict=True))
            bound = _sum_of(bound, {rest: c / bottom[best]})
        return bound

    def _power(self, parts: Sequence[Envelope]) -> Envelope:
        base, exponent = parts
        n = self._as_number(exponent.upper) if exponent.exact else None
        if n is None:
            return NOTHING
        if n < 0:
            return self._quotient([self._number(1.0), self._raised(base, -n)])
        return self._raised(base, n)

    def _raised(self, base: Envelope, n: Fraction) -> Envelope:
        """Return base^n, n >= 0."""
        if base.exact and n.denominator == 1 and n <= _LARGEST_POWER:
            return self._product([base] * int(n))
        if not _not_negative(base.lower) or base.upper is None:
            return NOTHING
        if base.exact and len(base.upper) == 1:
            ((powers, c),) = base.upper.items()
            low, high = _number_power(c, n, -1), _number_power(c, n, +1)
            raised = tuple(n * p for p in powers)
            return Envelope({raised: low}, {raised: high})
        least, top = self._as_number(base.lower), self._as_number(base.upper)
        lower = self._constant(_number_power(least, n, -1)) if least else {}
        if top is not None:
            return Envelope(lower, self._constant(_number_power(top, n, +1)))
        if n > _LARGEST_POWER:
            return Envelope(lower, None)
        # f^n <= 1 + f^m for m >= n, f >= 0
        whole = self._product([Envelope(base.upper, base.upper)] * math.ceil(n))
        return Envelope(lower, _add([self._constant(Fraction(1)), whole.upper]))

    # ---- other functions

    def _root(self, parts: Sequence[Envelope]) -> Envelope:
        return self._raised(parts[0], Fraction(1, 2))

    def _exponential(self, parts: Sequence[Envelope]) -> Envelope:
        low, high = self._as_number(parts[0].lower), self._as_number(parts[0].upper)
        if high is None and _not_negative(_scale(parts[0].upper, Fraction(-1))):
            high = Fraction(0)
        return self._interval(_exp(low, -1) or Fraction(0), _exp(high, +1))

    def _absolute(self, parts: Sequence[Envelope]) -> Envelope:
        (part,) = parts
        if _not_negative(part.lower):
            return part
        opposite = _scale(part.lower, Fraction(-1))
        return Envelope({}, _add([_gains(part.upper), _gains(opposite)]))

    def _floor(self, parts: Sequence[Envelope]) -> Envelope:
        below = {} if _not_negative(parts[0].lower) else _add([parts[0].lower, self._constant(Fraction(-1))])
        return Envelope(below, parts[0].upper)

    def _ceiling(self, parts: Sequence[Envelope]) -> Envelope:
        return Envelope(parts[0].lower, _add([parts[0].upper, self._constant(Fraction(1))]))

    def _least(self, parts: Sequence[Envelope]) -> Envelope:
        above = [p.upper for p in parts if p.upper is not None]
        return Envelope(self._among(parts).lower, min(above, key=_degree, default=None))

    def _largest(self, parts: Sequence[Envelope]) -> Envelope:
        below = [p.lower for p in parts if p.lower is not None]
        known = [terms for terms in below if _not_negative(terms)]
        return Envelope(next(iter(known or below), None), self._among(parts).upper)

    def _among(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose a value that is one of several."""
        lowers, uppers = [p.lower for p in parts], [p.upper for p in parts]
        lows, highs = [self._as_number(t) for t in lowers], [self._as_number(t) for t in uppers]
        lower = None if None in lows else self._constant(min(low for low in lows if low is not None))
        if lower is None and all(map(_not_negative, lowers)):
            lower = {}
        if None not in highs:
            return Envelope(lower, self._constant(max(high for high in highs if high is not None)))
        return Envelope(lower, _add([_gains(t) for t in uppers]))

    _rules: Mapping[str, Callable[[_Enclosing, Sequence[Envelope]], Envelope]] = {
        "+": _sum, "neg": _negated, "-": _difference, "*": _product, "/": _quotient, "^": _power,
        "sqrt": _root, "exp": _exponential, "abs": _absolute, "floor": _floor, "ceil": _ceiling,
        "min": _least, "max": _largest,
    }  # fmt: skip


# ---- terms


def _exact(terms: Terms | None) -> Envelope:
    return Envelope(terms, terms)


def _add(parts: Sequence[Terms | None]) -> Terms | None:
    total: Terms = {}
    for part in parts:
        if part is None:
            return None
        total = _sum_of(total, part)
    return total


def _sum_of(left: Terms, right: Terms) -> Terms:
    total = dict(left)
    for powers, c in right.items():
        total[powers] = total.get(powers, Fraction(0)) + c
    return {powers: c for powers, c in total.items() if c}


def _scale(terms: Terms | None, factor: Fraction) -> Terms | None:
    if terms is None:
        return None
    return {powers: factor * c for powers, c in terms.items()} if factor else {}


def _multiply(left: Terms | None, right: Terms | None) -> Terms | None:
    if left is None or right is None or len(left) * len(right) > _MOST_TERMS:
        return None
    total: Terms = {}
    for alpha, a in left.items():
        for beta, b in right.items():
            powers = tuple(x + y for x, y in zip(alpha, beta, strict=True))
            total[powers] = total.get(powers, Fraction(0)) + a * b
    return {powers: c for powers, c in total.items() if c}


def _gains(terms: Terms | None) -> Terms | None:
    """Drop the terms that are negative."""
    return None if terms is None else {powers: c for powers, c in terms.items() if c > 0}


def _degree(terms: Terms) -> Fraction:
    return max((sum(powers, Fraction(0)) for powers in terms), default=Fraction(0))


def _positive_terms(terms: Terms | None) -> bool:
    return terms is not None and bool(terms) and all(c > 0 for c in terms.values())


def _not_negative(terms: Terms | None) -> bool:
    """Return whether a polynomial is seen to be >= 0 on all counts: x (x - 1) is."""
    if terms is None:
        return False
    if all(c >= 0 for c in terms.values()):
        return True
    if any(p.denominator != 1 for powers in terms for p in powers):
        return False
    return all(c >= 0 for c in in_falling_powers(terms, upper=False).values())


def in_falling_powers(terms: Terms, *, upper: bool) -> dict[falling.Exponents, Fraction]:
    """Return a bound in whole falling powers."""
    total: list[tuple[falling.Exponents, Fraction]] = []
    for powers, c in terms.items():
        whole = _whole_powers(powers, raise_them=(c > 0) == upper)
        if whole is not None:
            total += [(alpha, c * weight) for alpha, weight in falling.from_power(whole).items()]
    return falling.collect(total)


def _whole_powers(powers: Powers, *, raise_them: bool) -> falling.Exponents | None:
    """Round powers up, or down; None where nothing is left of a power below one: x^p >= 0 then."""
    if raise_them:
        return tuple(math.ceil(p) for p in powers)
    if any(0 < p < 1 for p in powers):
        return None
    return tuple(math.floor(p) for p in powers)


def _number_power(base: Fraction | None, n: Fraction, side: int) -> Fraction:
    """Return base^n, rounded to one side."""
    if not base or base == 1:
        return Fraction(base or 0) if n else Fraction(1)
    try:
        raised = Fraction(math.pow(base, n))
    except OverflowError:
        return base ** (math.ceil(n) if side > 0 else math.floor(n))
    if not raised:
        return Fraction(side > 0, 10**300)  # underflow
    return raised * (1 + side * _WIDENED) if n.denominator != 1 or raised != base**n else raised


def _exp(x: Fraction | None, side: int) -> Fraction | None:
    if x is None or x > 700:
        return None
    if not x:
        return Fraction(1)  # exactly: 1 - exp(-k time) is then not negative
    return Fraction(math.exp(x)) * (1 + side * _WIDENED) + (side > 0) * Fraction(1, 10**300)
