"""Functions of time on one step, and the generators that they make.

They are polynomials with bounded remainders (`fsp.solvers.clocks`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF
from fsp.model.taylor import Parts
from fsp.solvers.clocks import Clock, chebyshev_nodes, clock_on

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.derived import RateChangeBounds
    from fsp.inference.timed import Timed
    from fsp.model.tree import Expression

STAGES = 12  # p of the STL1 model up to 1e-12 takes 150 steps and 0.6 s, with 9 stages 246 and 1.0 s
# Of a function of time by which parameters change rates: what its polynomial may miss on an interval of many steps,
# where states are known to 1e-6 of themselves; how many steps that is long at most; and the rounding of coefficients
# about another middle, of the sum of 14 moduli, each with a power and three products.  The first two are chosen, and so
# is the part of the length that would just do, and how many steps an interval must be long to be worth it.
CLOCK_ERROR, MOST_STEPS_LONG, SHIFTED = 1e-10, 8.0, 64.0 * UNIT_ROUNDOFF
JUST_DOES, WORTH_AN_INTERVAL = 0.8, 1.5
CLOCK_DEGREE = 13  # of polynomials in place of functions of time: what they miss is of the order of the stages


@dataclass(frozen=True, slots=True, eq=False)
class OnStep:
    """Functions of time on a step."""

    clocks: list[Clock]
    changing: list[Clock]
    t: float
    h: float
    _courses: list[tuple[Timed, RateChangeBounds]] = field(default_factory=list)  # what holds on it, once it is known

    @classmethod
    def of(cls, timed: Timed, t: float, h: float, parts: Parts | None = None, *, fitted: bool = True) -> OnStep:
        """Look at all functions on the step from t that is h long.

        `parts` is filled with what is known of their parts; without `fitted`, those without a bound stay unknown.
        """
        clocks = clocks_on((*timed.clocks, *timed.changing), t, h, parts, fitted=fitted)
        return cls(clocks[: len(timed.clocks)], clocks[len(timed.clocks) :], t, h)

    @property
    def degree(self) -> int:
        """The highest degree of a polynomial."""
        return max(int(np.flatnonzero(clock.change).max(initial=0)) for clock in (*self.clocks, *self.changing))

    @property
    def tau(self) -> FloatArray:
        """Chebyshev points by which a residual is known, (N,), as shares of the step."""
        return 0.5 * (1.0 + chebyshev_nodes(STAGES + self.degree + 1).z)

    @property
    def certified(self) -> bool:
        """Whether all remainders are bounds."""
        return all(clock.certified for clock in (*self.clocks, *self.changing))

    def products(self, timed: Timed, tau: FloatArray, u: FloatArray) -> FloatArray:
        """Return A(τ_i) u_i, (n, N, m)."""
        n = len(u)
        flat, total = u.reshape(n, -1), np.zeros_like(u)
        for clock, part in zip(self.clocks, timed.parts, strict=True):
            total += (part @ flat).reshape(u.shape) * self._at(clock, tau)[:, None]
        return total

    def forced(self, timed: Timed, tau: FloatArray, p: FloatArray) -> FloatArray:
        """Return (∂_k A(τ_i)) p_i, (n, N, q), of p (n, N)."""
        n, q = len(p), timed.sizes.shape[1]
        total = np.zeros((n, len(tau), q))
        for clock, (active, change) in zip(self.changing, timed.changes, strict=True):
            values = self._at(clock, tau)
            if len(active) and values.any():
                moved = (change @ p * values).reshape(len(active), n, len(tau))
                for k, part in zip(active.tolist(), moved, strict=True):
                    total[:, :, k] += part
        return total

    def missed(self, timed: Timed, part: str) -> FloatArray:
        """Return Σ_l (remainder of g_l) (exit rate of A_l), (n,)."""
        errors: FloatArray = np.array([getattr(clock, part) for clock in self.clocks]) @ timed.exits
        return errors

    def changed(self, timed: Timed, part: str) -> FloatArray:
        """Return Σ_c (remainder of b_c) (size of B_kc), (q, n)."""
        sizes: FloatArray = np.tensordot(np.array([getattr(clock, part) for clock in self.changing]), timed.sizes, 1)
        return sizes

    def course(self, timed: Timed) -> RateChangeBounds:
        """Return what holds on the step."""
        if self._courses and self._courses[0][0] is timed:
            return self._courses[0][1]
        heights, changing = (
            np.array([height(clock, self.h) for clock in group]) for group in (self.clocks, self.changing)
        )
        course = timed.course(heights, changing)
        if len(course.sizes):
            least = np.array([lowest(clock, self.h) for clock in self.clocks])
            course.exposures = timed.exposures(course.sizes, heights, least, self.h)
        self._courses[:] = [(timed, course)]
        return course

    def exits(self, timed: Timed) -> FloatArray:
        """Return the exit rates at most, (n,)."""
        rates: FloatArray = np.array([height(clock, self.h) for clock in self.clocks]) @ timed.exits
        return rates

    def at(self, tau: FloatArray) -> FloatArray:
        """Return g(τ_i), (n_clocks, N)."""
        return np.array([self._at(clock, tau) for clock in self.clocks])

    def _at(self, clock: Clock, tau: FloatArray) -> FloatArray:
        x = (tau - 0.5) * self.h
        return np.asarray(clock.middle + np.polynomial.polynomial.polyval(x, clock.change), dtype=np.float64)


class Ahead:
    """Functions of time on steps back to a time, from intervals that hold several of these.

    Expanded on each step they take a sixth of the time of an adjoint.  Let |g(m + x) - Σ c_k x^k| <= R on the interval,
    but for its ends, of which the mean distance is Q at most.  On a step in it, of the middle m + d and the length 2 r,

    (1)  |g(m + d + x) - Σ_j b_j x^j|  <=  R + (length of the interval / 2 r) Q,    b_j = Σ_k (k over j) d^(k - j) c_k ,

    and the rounding of the b_j is some tens of roundings of ``Σ_k |c_k| (|d| + r)^k``.
    """

    def __init__(self, trees: Sequence[Expression]) -> None:
        self._trees, self._length = trees, 0.0  # of an interval on which they would be known
        self._held: tuple[float, float, list[Clock]] = (0.0, -1.0, [])  # where it begins and ends
        self._closed = math.nan  # a time up to which they were not known, as of a switch

    def on(self, t: float, h: float, last: float, parts: Parts, *, fitted: bool) -> list[Clock]:
        """Return the functions on a step; `parts` is what is known there, and later steps end at `last`.

        `fitted` as for `OnStep.of`.
        """
        start, end, clocks = self._held
        if start <= t and t + h <= end:
            return [_restricted(clock, start, end, t, h) for clock in clocks]
        first = max(t + h - self._length, 0.5 * (t + last) if self._closed == last else last)
        length = t + h - first
        if self._length > WORTH_AN_INTERVAL * h and length > WORTH_AN_INTERVAL * h:
            clocks = self._looked_at(first, length, Parts())
            if self._length > JUST_DOES * length and t + h <= first + length:
                self._held = first, first + length, clocks
                return [_restricted(clock, first, first + length, t, h) for clock in clocks]
            self._closed = last if first == last else self._closed
        clocks = self._looked_at(t, h, parts)
        known = not fitted or all(clock.certified for clock in clocks)
        return clocks if known else clocks_on(self._trees, t, h, parts)

    def _looked_at(self, t: float, h: float, parts: Parts) -> list[Clock]:
        """Return the functions on an interval, and keep how long the next one may be."""
        clocks = clocks_on(self._trees, t, h, parts, fitted=False)
        shares = (clock.remainder / max(height(clock, h), 1e-300) if clock.certified else 1.0 for clock in clocks)
        missed = max(shares, default=0.0)
        self._length = h * min(
            MOST_STEPS_LONG, max(0.1, JUST_DOES * (CLOCK_ERROR / max(missed, 1e-300)) ** (1.0 / (CLOCK_DEGREE + 1)))
        )
        return clocks


def _restricted(clock: Clock, start: float, end: float, t: float, h: float) -> Clock:
    """Return a function on a step in an interval on which it is known, (1) of `Ahead`."""
    d, half, degree = t + 0.5 * h - 0.5 * (start + end), 0.5 * h, len(clock.change) - 1
    c = clock.change.copy()
    c[0] += clock.middle
    k = np.arange(degree + 1)
    b = (_binomials(degree) * d ** np.maximum(k - k[:, None], 0)) @ c
    size = float(np.abs(c) @ (abs(d) + half) ** k)
    rounding = clock.rounding * (end - start) / h * SLIGHTLY_UP + SHIFTED * size
    middle = max(float(b[0]), 0.0)
    b[0] -= middle
    return Clock(middle, b, clock.missed + rounding, clock.certified, rounding)


@lru_cache
def _binomials(degree: int) -> FloatArray:
    """Return (k over j), (j, k)."""
    return np.array([[float(math.comb(k, j)) for k in range(degree + 1)] for j in range(degree + 1)])


def clocks_on(
    trees: Sequence[Expression], t: float, h: float, parts: Parts | None = None, *, fitted: bool = True
) -> list[Clock]:
    """Return functions of time, which have common parts, on a step; `parts` and `fitted` as for `OnStep.of`."""
    known = Parts() if parts is None else parts
    return [clock_on(tree, t, t + h, CLOCK_DEGREE, known, fitted=fitted) for tree in trees]


def height(clock: Clock, h: float) -> float:
    """Bound the modulus of a function on a step."""
    powers = (0.5 * h) ** np.arange(len(clock.change))
    return float(abs(clock.middle) + np.abs(clock.change) @ powers + clock.remainder) * SLIGHTLY_UP


def lowest(clock: Clock, h: float) -> float:
    """Return a number that a function, which may be negative, is not below on a step."""
    powers = (0.5 * h) ** np.arange(len(clock.change))
    return float(clock.middle - np.abs(clock.change) @ powers - clock.remainder)
