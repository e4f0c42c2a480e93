"""Values of rate laws at complex parameters: sets of numbers by their moduli and angles.

A sector holds z with l <= |z| <= h and |arg z| <= α.  With constants that are not negative,

(1)  |z w| = |z| |w|,  arg(z w) = arg z + arg w;  quotients and powers with a real exponent likewise, the latter
     analytic where α < π;
(2)  of a sum with all α_i <= α < π/2, which make a convex cone:  Σ l_i cos α_i <= |Σ z_i| <= Σ h_i,  |arg| <= α;
(3)  |a| - Re a  <=  2 h sin²(α/2) for α <= π.

What divides by a set that may hold zero, or takes a power where α >= π, is unbounded: h = ∞.  Whether it is depends on
α alone for numbers other than zero, and α is largest on the edge of an ellipse: a law that is bounded on all of the
edge is analytic within.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.model.expression import evaluate
from fsp.model.tree import Call, Expression, Symbol, depends_on_time, symbols

if TYPE_CHECKING:
    from fsp.arrays import FloatArray


class Sector(NamedTuple):
    """Sets of complex numbers; arrays that broadcast."""

    least: FloatArray
    largest: FloatArray
    angle: FloatArray

    @classmethod
    def real(cls, low: FloatArray, high: FloatArray) -> Sector:
        """Return numbers between two that are not negative."""
        return cls(low, high, np.zeros(1))

    def missed(self) -> FloatArray:
        """Bound |a| - Re a, (3)."""
        half = np.sin(0.5 * np.minimum(self.angle, np.pi))
        with np.errstate(invalid="ignore"):
            missed = 2.0 * self.largest * half**2
        return np.where(np.isfinite(self.largest), missed, np.inf)


def is_enclosed(tree: Expression, moved: frozenset[str]) -> bool:
    """Tell whether `sector` has the rules of a law, in which parameters that are moved are symbols."""
    if not symbols(tree) & moved:
        return not depends_on_time(tree)
    if isinstance(tree, Symbol):
        return True
    if not isinstance(tree, Call) or tree.function not in _RULES:
        return False
    if tree.function == "^" and symbols(tree.arguments[1]):
        return False
    return all(is_enclosed(argument, moved) for argument in tree.arguments)


def steepness(tree: Expression, name: str) -> float:
    """Bound the modulus of ``∂ log a/∂ log θ`` of such a law at positive numbers: no term of a sum is negative."""
    return max(map(abs, _elasticity(tree, name)))


def _elasticity(tree: Expression, name: str) -> tuple[float, float]:
    """Enclose ``∂ log a/∂ log θ``, of a sum a mean of those of its terms."""
    if name not in symbols(tree):
        return 0.0, 0.0
    if not isinstance(tree, Call):
        return 1.0, 1.0
    lows, highs = zip(*(_elasticity(argument, name) for argument in tree.arguments), strict=True)
    if tree.function == "^":
        n = float(evaluate(tree.arguments[1], {}))
        return min(n * lows[0], n * highs[0]), max(n * lows[0], n * highs[0])
    if tree.function == "/":
        return lows[0] - highs[1], highs[0] - lows[1]
    return (min(lows), max(highs)) if tree.function == "+" else (sum(lows), sum(highs))


def sector(tree: Expression, moved: Mapping[str, Sector], columns: Mapping[str, FloatArray]) -> Sector:
    """Enclose a law at sets of parameters, and counts in columns; unbounded where a part is negative."""
    if not symbols(tree) & moved.keys():
        values = np.asarray(evaluate(tree, dict(columns)), dtype=np.float64)
        return Sector.real(values, np.where(values >= 0.0, values, np.inf))
    if isinstance(tree, Symbol):
        return moved[tree.name]
    if not isinstance(tree, Call):
        raise ValueError("a law must be one that is enclosed")
    if tree.function == "^":
        return _power(sector(tree.arguments[0], moved, columns), float(evaluate(tree.arguments[1], {})))
    return reduce(_RULES[tree.function], (sector(argument, moved, columns) for argument in tree.arguments))


def _product(left: Sector, right: Sector) -> Sector:
    with np.errstate(invalid="ignore"):  # zero of what is unbounded
        largest = np.nan_to_num(left.largest * right.largest, nan=np.inf, posinf=np.inf)
    return Sector(left.least * right.least, largest, left.angle + right.angle)


def _quotient(left: Sector, right: Sector) -> Sector:
    with np.errstate(divide="ignore", invalid="ignore"):
        least, largest = left.least / right.largest, left.largest / right.least
    apart = np.where(np.isfinite(left.largest) & (right.least > 0.0), largest, np.inf)
    return Sector(np.nan_to_num(least, nan=0.0, posinf=0.0), apart, left.angle + right.angle)


def _sum(left: Sector, right: Sector) -> Sector:
    angle = np.maximum(left.angle, right.angle)
    cone = angle < 0.5 * np.pi
    least = np.where(cone, left.least * np.cos(left.angle) + right.least * np.cos(right.angle), 0.0)
    return Sector(least, left.largest + right.largest, np.where(cone, angle, np.pi))


def _power(base: Sector, n: float) -> Sector:
    with np.errstate(divide="ignore"):
        ends = base.least**n, base.largest**n
    largest = np.where(base.angle < np.pi, np.maximum(*ends), np.inf)
    return Sector(np.minimum(*ends), largest, abs(n) * base.angle)


_RULES: dict[str, Callable[[Sector, Sector], Sector]] = {
    "+": _sum,
    "*": _product,
    "/": _quotient,
    "^": lambda base, exponent: base,  # whose exponent is a number, which `sector` treats apart
}
