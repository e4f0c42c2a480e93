"""Functions of time on one step: polynomials with bounded remainders, and interpolation in Chebyshev points."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from math import nextafter
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.expression import evaluate
from fsp.model.taylor import SWITCH_ZONE, ULPS, Parts, Polynomial, constant, constant_inside, polynomial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model.tree import Expression

DEGREE = 5  # of the polynomials that stand for functions of time
SHORTEST_REACH = 1e-6  # of a step, over which a function must have a bound for a switch to be looked for, or of that
# Of the time: the place of a switch may not be known better, and a function whose slope is infinite there changes by
# its own size, whatever the step; what is missed on such a step is charged as it is.
TIME_ROUNDING = 1e-10
BISECTIONS = 60  # more than the digits of a float: the place of a switch is known to the last one


@dataclass(frozen=True, slots=True, eq=False)
class Nodes:
    """Interpolation in Chebyshev points of [-1, 1], which stand for a step."""

    z: FloatArray  # the points, from -1 to 1, (N,)
    integrals: FloatArray  # ∫|ℓ_i|, as shares of the step, (N,)
    to_powers: FloatArray  # ``to_powers @ values`` are the coefficients in powers of z, (N, N)
    to_modes: FloatArray  # ``to_modes @ values`` are those in Chebyshev polynomials T_k, (N, N)
    modes: FloatArray  # coefficients in powers of z of each T_k, (N, N)
    slopes: FloatArray  # ``T_k' = Σ_i slopes[k, i] T_i``, by the share of the step, (N, N)

    @property
    def lebesgue(self) -> float:
        """A bound on ``Σ_i |ℓ_i|`` at any place."""
        return 1.0 + 2.0 / np.pi * math.log(len(self.z))


@lru_cache
def chebyshev_nodes(n: int) -> Nodes:
    """Return interpolation in n points."""
    z = -np.cos(np.pi * np.arange(n) / (n - 1))
    powers = np.linalg.inv(np.vander(z, increasing=True))
    basis = np.polynomial.chebyshev
    modes = np.zeros((n, n))
    slopes = np.zeros((n, n))
    for k in range(n):
        unit = np.eye(n)[k]
        polynomial = basis.cheb2poly(unit[: k + 1])
        modes[k, : len(polynomial)] = polynomial
        slope = 2.0 * basis.chebder(unit)
        slopes[k, : len(slope)] = slope
    to_modes = np.linalg.inv(np.array([np.polynomial.Chebyshev.basis(k)(z) for k in range(n)]).T)
    x, w = np.polynomial.legendre.leggauss(n)
    integrals = np.zeros(n)
    for a, b in pairwise(z):  # no ℓ_i changes sign between two points
        at = a + 0.5 * (b - a) * (x + 1.0)
        integrals += np.abs(0.25 * (b - a) * w @ (np.vander(at, n, increasing=True) @ powers))
    return Nodes(z, integrals, powers, to_modes, modes, slopes)


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """A function of time on one step."""

    middle: float  # its value in the middle
    change: FloatArray  # coefficients of ``g - g(middle)`` in powers of the distance from the middle
    remainder: float  # bound on the error of that; see `fsp.model.taylor.Polynomial`
    certified: bool  # whether the remainder is a bound
    rounding: float = 0.0  # the part of the remainder that does not fall with the step, and holds for its mean only

    @property
    def missed(self) -> float:
        """The part of the remainder that falls with the step."""
        return max(self.remainder - self.rounding, 0.0)

    def at(self, x: float) -> float:
        """Return its polynomial at the distance x from the middle."""
        return self.middle + float(np.polynomial.polynomial.polyval(x, self.change))


def clock_on(
    tree: Expression,
    start: float,
    end: float,
    limit: int = DEGREE,
    parts: Parts | None = None,
    last: float = 0.0,
    *,
    fitted: bool = True,
) -> Clock:
    """Return a function of time on a step, of the degree `limit`, or lower where that has no bound.

    `parts` is for several that have common parts, on the same step; `last` is the time that steps lead to.  Where it
    has no bound it is `fitted`, or stays unknown, which takes less time where a shorter step will be tried anyway.
    """
    best: Polynomial | None = None
    for degree in (limit, 2, 1, 0):
        best = polynomial(tree, start, end, degree, parts=parts)
        if best is not None:
            break
    if best is None or best.remainder > abs(best.coefficients[0]):
        # over a switch, or beside an infinite slope: on a short step any value will do
        best = min(filter(None, (best, constant(tree, start, end))), key=lambda p: p.remainder, default=None)
    certified = best is not None
    if best is None:
        best = _fitted(tree, start, end) if fitted else Polynomial(0.5 * (start + end), (0.0,), math.inf)
    if end - start <= TIME_ROUNDING * max(abs(end), abs(last)):  # no shorter step is worth its time
        best = replace(best, rounding=best.remainder)
    change = np.array(best.coefficients)
    middle = max(float(change[0]), 0.0)
    change[0] -= middle
    return Clock(
        middle, np.pad(change, (0, max(limit, DEGREE) + 1 - len(change))), best.remainder, certified, best.rounding
    )


def constants_on(trees: Sequence[Expression], start: float, end: float) -> FloatArray | None:
    """Return the values of functions of time that are constant from `start` to `end`, None where one is not.

    A switch at an end does not count, but one beside it does: its place is known to the last digits of the time.
    """
    last = nextafter(end, start)
    values = np.empty(len(trees))
    for k, tree in enumerate(trees):
        for first in (0.5 * (start + last), start):  # most are seen to change by half of it, which takes less time
            value = constant_inside(tree, first, last)
            if value is None:
                return None
            values[k] = value
    return values


def reach(tree: Expression, start: float, end: float) -> float:
    """Return how far from `start` a function of time has a bound: up to a switch that lies inside the step.

    Functions for which there is no bound right after `start` have none: then the end of the step is returned.
    """
    if polynomial(tree, start, end, 0) is not None:
        return end
    least = start + SWITCH_ZONE * ULPS * math.ulp(end)
    low = high = end
    while polynomial(tree, start, low, 0, near=True) is None:
        if low <= least:
            return end
        low, high = max(start + SHORTEST_REACH * (low - start), least), low
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if polynomial(tree, start, middle, 0, near=True) is None else (middle, high)
    return low


def _fitted(tree: Expression, start: float, end: float) -> Polynomial:
    """Return an interpolant in Chebyshev points, with an estimate of its error."""
    middle, half = 0.5 * (start + end), 0.5 * (end - start)
    x = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
    values = np.array([float(evaluate(tree, {}, middle + half * at)) for at in x])
    coefficients = np.linalg.solve(np.vander(x, increasing=True), values) / half ** np.arange(DEGREE + 1.0)
    fit = Polynomial(middle, tuple(coefficients.tolist()), 0.0)
    between = np.linspace(start, end, 34)[1:-1]
    missed = max(abs(fit.at(t) - float(evaluate(tree, {}, t))) for t in between)
    return Polynomial(middle, fit.coefficients, 2.0 * missed)
