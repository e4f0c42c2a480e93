"""Sums of terms c x^α with real exponents α >= 0 and rational coefficients: what encloses a rate law from a side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from fsp.moments import polynomial as falling

Powers = tuple[Fraction, ...]
Terms = dict[Powers, Fraction]

_MOST_TERMS = 400  # of a product before it is added up, beyond which there is no bound; chosen, not measured
_POWER_MARGIN = Fraction(1, 10**13)  # relative; values of exp and of broken powers are correct to about 1e-16


def add(parts: Sequence[Terms | None]) -> Terms | None:
    """Return a sum; None where a part is not known."""
    known = [part for part in parts if part is not None]
    return falling.plus(*known) if len(known) == len(parts) else None


def scale(terms: Terms | None, factor: Fraction) -> Terms | None:
    """Return a multiple."""
    return None if terms is None else falling.scaled(terms, factor)


def multiply(left: Terms | None, right: Terms | None) -> Terms | None:
    """Return a product; None where it has too many terms."""
    if left is None or right is None or len(left) * len(right) > _MOST_TERMS:
        return None
    return falling.collect(
        (tuple(x + y for x, y in zip(alpha, beta, strict=True)), a * b)
        for alpha, a in left.items()
        for beta, b in right.items()
    )


def as_number(terms: Terms | None) -> Fraction | None:
    """Return the value of a constant polynomial, else None."""
    if terms is None or any(map(any, terms)):
        return None
    return next(iter(terms.values()), Fraction(0))


def gains(terms: Terms | None) -> Terms | None:
    """Drop the terms that are negative."""
    return None if terms is None else {powers: c for powers, c in terms.items() if c > 0}


def degree(terms: Terms) -> Fraction:
    """Return the largest sum of exponents; 0 of nothing."""
    return max((sum(powers, Fraction(0)) for powers in terms), default=Fraction(0))


def positive(terms: Terms | None) -> bool:
    """Return whether all coefficients are > 0, and there are some."""
    return terms is not None and bool(terms) and all(c > 0 for c in terms.values())


def not_negative(terms: Terms | None) -> bool:
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
        polynomial = _whole_powers(powers, raise_them=(c > 0) == upper)
        if polynomial is not None:
            total += [(alpha, c * weight) for alpha, weight in falling.from_power(polynomial).items()]
    return falling.collect(total)


def _whole_powers(powers: Powers, *, raise_them: bool) -> falling.Exponents | None:
    """Round powers up, or down; None where nothing is left of a power below one: x^p >= 0 then."""
    if raise_them:
        return tuple(math.ceil(p) for p in powers)
    if any(0 < p < 1 for p in powers):
        return None
    return tuple(math.floor(p) for p in powers)


def number_power(base: Fraction | None, n: Fraction, side: int) -> Fraction:
    """Return base^n, rounded to one side."""
    if not base or base == 1:
        return Fraction(base or 0) if n else Fraction(1)
    try:
        raised = Fraction(math.pow(base, n))
    except OverflowError:
        return base ** (math.ceil(n) if side > 0 else math.floor(n))
    if not raised:
        return Fraction(side > 0, 10**300)  # underflow
    return raised * (1 + side * _POWER_MARGIN) if n.denominator != 1 or raised != base**n else raised


def exponential(x: Fraction | None, side: int) -> Fraction | None:
    """Return exp x, rounded to one side; None where it is not finite."""
    if x is None or x > 700:
        return None
    if not x:
        return Fraction(1)  # exactly: 1 - exp(-k time) is then not negative
    return Fraction(math.exp(x)) * (1 + side * _POWER_MARGIN) + (side > 0) * Fraction(1, 10**300)
