"""Linear systems of a chain that ends where it leaves some states: ``M = -A`` there, with bounds of their solutions.

M⁻¹ has no negative entry: ``(M⁻¹ b)(x)`` is the mean of the integral of b over the time before the chain that starts in
x ends.  An elimination without a subtraction bounds its relative error beforehand (`fsp.chains.hitting_times`).  Where
that takes too long, a factorisation gives some v, and with τ for which ``M τ >= η > 0``, checked with all roundings,

(1) |v - M⁻¹ b| <= M⁻¹ |M v - b| <= max(|M v - b| / (M τ)) τ;

so too for the transpose, whose solutions are mean times spent in each state.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy.sparse import linalg

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.hitting_times import REFINEMENTS, ExitTimes
from fsp.errors import ConvergenceError
from fsp.solvers.scipy_extensions import WITHOUT_PIVOTING

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray

REFINED_ENOUGH = 0.1  # of what is charged for rounding: a residual that adds no more need not be refined; chosen
RIGHT = 64.0 * UNIT_ROUNDOFF  # relative rounding of a right-hand side, far more than a few sums of products have


class ExitSystem(Protocol):
    """The equations of a chain that ends where it leaves its states."""

    def bounds(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (m,) lower and upper bounds of M⁻¹ b for b = `right` (m,) >= 0, right but for rates and `RIGHT`."""
        ...

    def occupation(self, start: FloatArray) -> FloatArray:
        """Return about the mean time spent in each state, (m,), from a distribution `start` (m,)."""
        ...

    def occupation_bounds(self, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (m,) bounds of the mean time spent in each state, for `start` (m,) >= 0 as `right` of `bounds`."""
        ...


def exit_system(matrix: Any, exits: FloatArray, roundings: float) -> ExitSystem:
    """Return the equations of a generator `matrix` (m, m) CSR that leaves its states at the rates `exits` (m,).

    Rates have relative errors of `roundings`; every state leads out.
    """
    try:
        return _EliminatedBounds(ExitTimes(matrix, exits, roundings), roundings)
    except RuntimeError:  # too long, or products of rates that are no normal numbers
        return _FactorisedBounds(matrix, roundings)


class _EliminatedBounds:
    def __init__(self, system: ExitTimes, roundings: float) -> None:
        self._system = system
        self._off = (system.relative + roundings + RIGHT) * (1.0 + system.relative)

    def bounds(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._around(self._system.solve_adjoint(right), right)

    def occupation(self, start: FloatArray) -> FloatArray:
        return self._system.solve(start)

    def occupation_bounds(self, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._around(self._system.solve(start), start)

    def _around(self, v: FloatArray, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        tiny = self._system.tiny if right.any() else 0.0
        told = np.isfinite(v)  # others are too long for a double
        low: FloatArray = np.maximum(np.where(told, v * (1.0 - self._off) - tiny, 0.0), 0.0)
        return low, np.where(told, v * (1.0 + 2.0 * self._off) + tiny, np.inf)


class _FactorisedBounds:
    def __init__(self, matrix: Any, roundings: float) -> None:
        self._matrix = (-matrix).tocsr()
        self._roundings = roundings + RIGHT
        try:
            self._factors: Any = linalg.splu(self._matrix.tocsc(), options=WITHOUT_PIVOTING)
        except RuntimeError as failure:
            raise ConvergenceError(
                f"States must be left in a time that double precision can tell, but the equations for it cannot be "
                f"solved: {failure}."
            ) from None
        self._integrals = _CertifiedEquations(self._matrix.T.tocsr(), self._factors, "T", self._roundings)

    @cached_property
    def _occupations(self) -> _CertifiedEquations:
        return _CertifiedEquations(self._matrix, self._factors, "N", self._roundings)

    def bounds(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._integrals.bounds(right)

    def occupation(self, start: FloatArray) -> FloatArray:
        return np.maximum(_refined(self._factors, self._matrix, start, "N"), 0.0)

    def occupation_bounds(self, start: FloatArray) -> tuple[FloatArray, FloatArray]:
        return self._occupations.bounds(start)


class _CertifiedEquations:
    """The equations with `matrix`, which stands for M in (1), or for its transpose."""

    def __init__(self, matrix: Any, factors: Any, side: str, roundings: float) -> None:
        self._matrix, self._factors, self._side = matrix, factors, side
        self._size, self._roundings = abs(matrix), roundings
        ones = np.ones(matrix.shape[0])
        self._times = np.maximum(self._solved(ones), 0.0)  # τ
        self._held = matrix @ self._times - self._charge(self._times)  # M τ, rounded down
        if not (self._held > 0.0).all():
            raise ConvergenceError(
                "States must be left in a time that double precision can tell, but rounding hides how they are left; "
                "ask for a target that is reached sooner."
            )

    def bounds(self, right: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (m,) lower and upper bounds of the solution for `right` (m,)."""
        v = np.maximum(self._solved(right), 0.0)
        left = np.abs(right - self._matrix @ v) + self._charge(v) + self._roundings * right
        error = float((left / self._held).max()) * self._times * (1.0 + RIGHT)  # (1)
        low: FloatArray = np.maximum(v - error, 0.0)
        return low, v + error

    def _solved(self, right: FloatArray) -> FloatArray:
        return _refined(self._factors, self._matrix, right, self._side, self._charge)

    def _charge(self, v: FloatArray) -> FloatArray:
        charge: FloatArray = self._roundings * (self._size @ v)
        return charge


def _refined(
    factors: Any, matrix: Any, right: FloatArray, side: str, charge: Callable[[FloatArray], FloatArray] | None = None
) -> FloatArray:
    """Solve, and refine until what is left is far below the `charge` (m,) for rounding, where there is one."""
    solved: FloatArray = factors.solve(right, side)
    for _ in range(REFINEMENTS):
        left = right - matrix @ solved
        if charge is not None and (np.abs(left) <= REFINED_ENOUGH * charge(np.abs(solved))).all():
            break
        solved = solved + factors.solve(left, side)
    return solved
