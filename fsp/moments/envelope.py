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
from collections.abc import Sequence
from fractions import Fraction

from fsp.model.expression import FUNCTIONS, Call, Expression, Number, Symbol, Time
from fsp.model.functions import ALL_COMPARISONS
from fsp.moments.envelope_rules import NO_BOUNDS, RULES, Arithmetic, Envelope, difference, exact
from fsp.moments.terms import Terms, not_negative, scale

# Relative error of a folded number up to which it is one number, as margins of those who ask cover.
FOLDED_ERROR = 2.0**-50
_UNIT_RANGE = {"sin", "cos", "tanh"}


def envelope(
    expr: Expression, species: Sequence[str], horizon: float = 0.0, lowest: Sequence[int] | None = None
) -> Envelope:
    """Enclose a formula between polynomials.

    `species`: (d,) names of the variables; `lowest`: (d,) counts m; by default zero.
    """
    return _Walk(species, horizon, lowest).of(expr)


class _Walk:
    """Walk a tree and enclose its parts; numbers `as_written` are the decimals that they stand for."""

    def __init__(
        self, species: Sequence[str], horizon: float, lowest: Sequence[int] | None, *, as_written: bool = False
    ) -> None:
        self._of_numbers = self if as_written else _Walk(species, horizon, lowest, as_written=True)
        self._rules = Arithmetic((Fraction(0),) * len(species))
        self._place = {name: i for i, name in enumerate(species)}
        self._lowest = lowest or (0,) * len(species)
        self._time = Envelope({}, self._rules.constant(Fraction(horizon)))

    def of(self, expr: Expression) -> Envelope:
        if isinstance(expr, Number):
            return self._folded(expr)
        if isinstance(expr, Symbol):
            return exact(self._variable(self._place[expr.name])) if expr.name in self._place else NO_BOUNDS
        if isinstance(expr, Time):
            return self._time
        return self._call(expr)

    def _variable(self, i: int) -> Terms:
        """Return x - m + m for a species; made where it occurs, as a law holds few of many species."""
        unit = (*self._rules.unit[:i], Fraction(1), *self._rules.unit[i + 1 :])
        return {unit: Fraction(1)} | self._rules.constant(Fraction(int(self._lowest[i])))

    def _call(self, expr: Call) -> Envelope:
        name = expr.function
        if FUNCTIONS[name].truth:
            truth = self._truth(expr)
            unknown = self._rules.interval(Fraction(0), Fraction(1))
            return unknown if truth is None else self._rules.number(float(truth))
        if name == "piecewise":
            return self._rules.among([self.of(a) for a in self._branches(expr)])
        parts = [self.of(a) for a in expr.arguments]
        if name in _UNIT_RANGE:
            lowest = 0 if name == "tanh" and not_negative(parts[0].lower) else -1
            return self._rules.interval(Fraction(lowest), Fraction(1))
        rule = RULES.get(name)
        return rule(self._rules, parts) if rule is not None else NO_BOUNDS

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
        """Return what a condition comes to on all states, None where it varies or is not known."""
        if not isinstance(condition, Call):
            return None
        name, arguments = condition.function, condition.arguments
        if name in ("&&", "||"):
            truths = [self._truth(a) for a in arguments]
            settled = name == "||"  # what one of them that holds, or does not, makes of all
            return settled if settled in truths else None if None in truths else not settled
        if name == "!":
            truth = self._truth(arguments[0])
            return None if truth is None else not truth
        return self._compared(name, arguments) if name in ALL_COMPARISONS and len(arguments) == 2 else None

    def _compared(self, name: str, arguments: Sequence[Expression]) -> bool | None:
        """Return what a comparison of two numbers comes to on all states; margins that rates have do not cover it."""
        left, right = (self._of_numbers.of(a) for a in arguments)
        gap = difference([right, left] if name in ("<", "<=") else [left, right])
        below = scale(gap.upper, Fraction(-1))
        if name in ("==", "!="):
            apart = self._positive(gap.lower) or self._positive(below)
            same = gap.exact and not gap.lower
            return (name == "!=") == apart if apart or same else None
        if name in ("<", ">"):
            return True if self._positive(gap.lower) else False if not_negative(below) else None
        return True if not_negative(gap.lower) else False if self._positive(below) else None

    def _positive(self, terms: Terms | None) -> bool:
        """Return whether a polynomial is seen to be > 0 on all counts."""
        return terms is not None and terms.get(self._rules.unit, Fraction(0)) > 0 and not_negative(terms)

    def _folded(self, number: Number) -> Envelope:
        """Return a number; one that lost digits when it was folded is only known to lie in an interval."""
        if self._of_numbers is self and number.fraction is not None:
            return exact(self._rules.constant(number.fraction))
        if self._of_numbers is not self and not number.error > FOLDED_ERROR * abs(number.value):
            return self._rules.number(number.value)
        middle, off = Fraction(number.value), Fraction(number.inexact) if math.isfinite(number.inexact) else None
        return NO_BOUNDS if off is None else self._rules.interval(middle - off, middle + off)
