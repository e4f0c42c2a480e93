"""Arithmetic of envelopes: what functions of parts that lie between polynomials lie between themselves."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

from fsp.moments import polynomial as falling
from fsp.moments.terms import (
    Powers,
    Terms,
    add,
    as_number,
    degree,
    exponential,
    gains,
    in_falling_powers,
    multiply,
    not_negative,
    number_power,
    positive,
    scale,
)

# Whole powers up to it are multiplied out; above, x^n <= 1 + x^m would have too many terms to help.
_LARGEST_EXPANDED_POWER = 8


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


NO_BOUNDS = Envelope(None, None)


def exact(terms: Terms | None) -> Envelope:
    """Return the envelope of a formula that is a polynomial itself."""
    return Envelope(terms, terms)


def total(parts: Sequence[Envelope]) -> Envelope:
    """Enclose a sum."""
    return Envelope(add([p.lower for p in parts]), add([p.upper for p in parts]))


def negated(parts: Sequence[Envelope]) -> Envelope:
    """Enclose a number with the other sign."""
    return Envelope(scale(parts[0].upper, Fraction(-1)), scale(parts[0].lower, Fraction(-1)))


def difference(parts: Sequence[Envelope]) -> Envelope:
    """Enclose the first of two less the second."""
    return total([parts[0], negated(parts[1:])])


def absolute(parts: Sequence[Envelope]) -> Envelope:
    """Enclose a size."""
    (part,) = parts
    if not_negative(part.lower):
        return part
    opposite = scale(part.lower, Fraction(-1))
    return Envelope({}, add([gains(part.upper), gains(opposite)]))


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The rules that make constants, `unit` the powers of which are all zero."""

    unit: Powers

    def number(self, value: float) -> Envelope:
        """Return a number, as a constant."""
        return exact(self.constant(Fraction(value))) if math.isfinite(value) else NO_BOUNDS

    def constant(self, value: Fraction) -> Terms:
        """Return the polynomial of a constant."""
        return {self.unit: value} if value else {}

    def interval(self, low: Fraction | None, high: Fraction | None) -> Envelope:
        """Return what lies between two numbers; None is no end."""
        lower = None if low is None else self.constant(low)
        return Envelope(lower, None if high is None else self.constant(high))

    def product(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose a product."""
        envelope = self.number(1.0)
        for part in sorted(parts, key=lambda part: not part.exact):  # x (x - 1) before what is only bounded
            envelope = self.times(envelope, part)
        return envelope

    def times(self, left: Envelope, right: Envelope) -> Envelope:
        """Enclose a product of two."""
        if left.exact and right.exact:
            return exact(multiply(left.upper, right.upper))
        for side, other in ((left, right), (right, left)):
            factor = as_number(side.upper) if side.exact else None
            if factor is not None:
                bounds = scale(other.lower, factor), scale(other.upper, factor)
                return Envelope(*(bounds if factor >= 0 else bounds[::-1]))
            if side.exact and not_negative(side.upper):
                return Envelope(multiply(side.upper, other.lower), multiply(side.upper, other.upper))
        if not_negative(left.lower) and not_negative(right.lower):
            return Envelope(multiply(left.lower, right.lower), multiply(left.upper, right.upper))
        ends = [as_number(t) for t in (left.lower, left.upper, right.lower, right.upper)]
        a, b, c, d = ends
        if a is None or b is None or c is None or d is None:
            return NO_BOUNDS
        corners = [a * c, a * d, b * c, b * d]
        return self.interval(min(corners), max(corners))

    def quotient(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose a quotient by comparing coefficients."""
        top, bottom = parts
        low, high = as_number(bottom.lower), as_number(bottom.upper)
        if low is not None and high is not None and (low > 0 or high < 0):
            return self.times(top, self.interval(1 / high, 1 / low))
        if not not_negative(top.lower) or not positive(bottom.lower):
            return NO_BOUNDS
        return Envelope(self.least_ratio(top.lower, bottom.upper), self.ratio(top.upper, bottom.lower))

    def least_ratio(self, top: Terms | None, bottom: Terms | None) -> Terms:
        """Bound N/D from below by a number."""
        if top is None or bottom is None or any(c < 0 for c in top.values()):
            return {}
        return self.constant(min(top.get(powers, Fraction(0)) / c for powers, c in bottom.items() if c > 0))

    def ratio(self, top: Terms | None, bottom: Terms | None) -> Terms | None:
        """Bound N/D from above, D without negative coefficients."""
        if top is None or not bottom:
            return None
        shared = [c / bottom[powers] for powers, c in top.items() if c > 0 and powers in bottom]
        bound = self.constant(max(shared, default=Fraction(0)))
        for powers, c in top.items():
            if c <= 0 or powers in bottom:
                continue
            below = [b for b in bottom if all(x <= y for x, y in zip(b, powers, strict=True))]
            if not below:
                return None
            best = max(below, key=sum)
            rest = tuple(y - x for x, y in zip(best, powers, strict=True))
            bound = falling.plus(bound, {rest: c / bottom[best]})
        return bound

    def power(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose a power with a constant exponent."""
        base, exponent = parts
        n = as_number(exponent.upper) if exponent.exact else None
        if n is None:
            return NO_BOUNDS
        if n < 0:
            return self.quotient([self.number(1.0), self.raised(base, -n)])
        return self.raised(base, n)

    def raised(self, base: Envelope, n: Fraction) -> Envelope:
        """Return base^n, n >= 0."""
        if base.exact and n.denominator == 1 and n <= _LARGEST_EXPANDED_POWER:
            return self.product([base] * int(n))
        if not not_negative(base.lower) or base.upper is None:
            return NO_BOUNDS
        if base.exact and len(base.upper) == 1:
            ((powers, c),) = base.upper.items()
            low, high = number_power(c, n, -1), number_power(c, n, +1)
            raised = tuple(n * p for p in powers)
            return Envelope({raised: low}, {raised: high})
        least, top = as_number(base.lower), as_number(base.upper)
        lower = self.constant(number_power(least, n, -1)) if least else {}
        if top is not None:
            return Envelope(lower, self.constant(number_power(top, n, +1)))
        if n > _LARGEST_EXPANDED_POWER:
            return Envelope(lower, None)
        # f^n <= 1 + f^m for m >= n, f >= 0
        raised_whole = self.product([Envelope(base.upper, base.upper)] * math.ceil(n))
        return Envelope(lower, add([self.constant(Fraction(1)), raised_whole.upper]))

    def of_exponential(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose an exponential between numbers."""
        low, high = as_number(parts[0].lower), as_number(parts[0].upper)
        if high is None and not_negative(scale(parts[0].upper, Fraction(-1))):
            high = Fraction(0)
        return self.interval(exponential(low, -1) or Fraction(0), exponential(high, +1))

    def floor(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose the next whole number below."""
        below = {} if not_negative(parts[0].lower) else add([parts[0].lower, self.constant(Fraction(-1))])
        return Envelope(below, parts[0].upper)

    def ceiling(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose the next whole number above."""
        return Envelope(parts[0].lower, add([parts[0].upper, self.constant(Fraction(1))]))

    def least(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose the least of several."""
        above = [p.upper for p in parts if p.upper is not None]
        return Envelope(self.among(parts).lower, min(above, key=degree, default=None))

    def largest(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose the largest of several."""
        below = [p.lower for p in parts if p.lower is not None]
        known = [terms for terms in below if not_negative(terms)]
        return Envelope(next(iter(known or below), None), self.among(parts).upper)

    def among(self, parts: Sequence[Envelope]) -> Envelope:
        """Enclose a value that is one of several, by the least and the largest coefficient of each power."""
        lowers = [p.lower for p in parts]
        lower = _of_each_power(min, lowers)
        if any(c < 0 for c in (lower or {}).values()) and len(parts) > 1 and all(map(not_negative, lowers)):
            lower = {}
        return Envelope(lower, _of_each_power(max, [p.upper for p in parts]))


def _of_each_power(chosen: Callable[[list[Fraction]], Fraction], several: Sequence[Terms | None]) -> Terms | None:
    known = [terms for terms in several if terms is not None]
    if len(known) < len(several):
        return None
    terms = {powers: chosen([t.get(powers, Fraction(0)) for t in known]) for powers in {}.fromkeys(chain(*known))}
    return {powers: c for powers, c in terms.items() if c}


EnvelopeRule = Callable[[Arithmetic, Sequence[Envelope]], Envelope]
RULES: Mapping[str, EnvelopeRule] = {
    "+": lambda _, parts: total(parts),
    "-": lambda _, parts: difference(parts),
    "neg": lambda _, parts: negated(parts),
    "abs": lambda _, parts: absolute(parts),
    "*": Arithmetic.product,
    "/": Arithmetic.quotient,
    "^": Arithmetic.power,
    "sqrt": lambda rules, parts: rules.raised(parts[0], Fraction(1, 2)),
    "exp": Arithmetic.of_exponential,
    "floor": Arithmetic.floor,
    "ceil": Arithmetic.ceiling,
    "min": Arithmetic.least,
    "max": Arithmetic.largest,
}
