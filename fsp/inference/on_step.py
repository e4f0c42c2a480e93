"""Functions of time on one step, and the generators that they make.

They are polynomials with bounded remainders (`fsp.solvers.clocks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.taylor import Parts
from fsp.solvers.clocks import Clock, chebyshev_nodes, clock_on

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.derived import RateChangeBounds
    from fsp.inference.timed import Timed
    from fsp.model.tree import Expression

STAGES = 12  # p of the STL1 model up to 1e-12 takes 150 steps and 0.6 s, with 9 stages 246 and 1.0 s
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

    def completed(self, timed: Timed, parts: Parts) -> OnStep:
        """Return the same with the functions by which parameters change rates."""
        return replace(self, changing=clocks_on(timed.changing, self.t, self.h, parts)) if timed.changing else self

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


def clocks_on(
    trees: Sequence[Expression], t: float, h: float, parts: Parts | None = None, *, fitted: bool = True
) -> list[Clock]:
    """Return functions of time, which have common parts, on a step; `parts` and `fitted` as for `OnStep.of`."""
    known = Parts() if parts is None else parts
    return [clock_on(tree, t, t + h, CLOCK_DEGREE, known, fitted=fitted) for tree in trees]


def height(clock: Clock, h: float) -> float:
    """Bound the modulus of a function on a step."""
    powers = (0.5 * h) ** np.arange(len(clock.change))
    return float(abs(clock.middle) + np.abs(clock.change) @ powers + clock.remainder) * (1.0 + 1e-12)


def lowest(clock: Clock, h: float) -> float:
    """Return a number that a function, which may be negative, is not below on a step."""
    powers = (0.5 * h) ** np.arange(len(clock.change))
    return float(clock.middle - np.abs(clock.change) @ powers - clock.remainder)
