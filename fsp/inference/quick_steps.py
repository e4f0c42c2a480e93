"""Steps of p and its derivatives by Radau IIA collocation, whose errors are estimated and not bounded.

Stages of a step from z obey ``U = z + h W (A U + F)`` at the nodes, F the sources of derivatives; they are iterated
with the generator of the middle of the step.  What the polynomial u through them misses is seen by its residual at
the start of the step, where no stage lies, and by what fast states make of it,

(1)  e  =  (1 - h γ A)⁻¹ h γ_0 (u' - A u - F)(0),        γ the real eigenvalue of W ,

whose 1-norm chooses the steps [1, IV.8].

References
----------
[1] E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp.errors import ConvergenceError
from fsp.inference.stages import halves
from fsp.solvers.collocation import radau
from fsp.solvers.linear import ShiftedSystem

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.rates_in_time import RatesInTime

STAGES = 7  # of p and 13 derivatives of the STL1 model to 1e-6 in the gradient: 5 and 9 take a fifth longer
QUICK_ITERATIONS = 12  # of the stages, beyond which a shorter step is cheaper; chosen
STAGE_ERROR = 0.02  # of what is allowed, for the last change of the stages
SLOW = 0.7  # of the change before: iterations that gain less are given up
GAMMA_AT_START = 0.1  # γ_0: of the step, for what a residual at its start says of all of it; chosen
SAFETY, LEAST_CHANGE, MOST_CHANGE = 0.9, 0.2, 4.0  # by how much steps change
MOST_QUICK_STEPS = 20_000  # minutes of a small network; beyond, a search is not worth it
SWITCH_SPACINGS = 4  # spacings of floats, by which a step keeps to the side of a switch that it lies on


class _Systems(NamedTuple):
    """Systems of a step, one of each pair of conjugate eigenvalues of W."""

    solvers: list[ShiftedSystem]
    steady: bool  # whether rates do not change: then the first correction of the stages solves their equations


class QuickSteps:
    """Goes through time with a block (1 + q, n): p and its derivatives."""

    def __init__(self, rates: RatesInTime, tols: FloatArray, length: float) -> None:
        self._rates, self._tols, self._length = rates, tols, length
        self._table = radau(STAGES)
        self._systems: tuple[float, Any, list[ShiftedSystem]] | None = None
        self.count = 0  # of steps, those in vain among them
        self.lost = 0.0  # of probability that has left the states

    def go(self, block: FloatArray, t: float, target: float) -> FloatArray:
        """Return the block at a later time, between which and t no rate switches."""
        while t < target:
            self.count += 1
            if self.count > MOST_QUICK_STEPS:
                raise ConvergenceError(
                    f"Derivatives must be within reach of {MOST_QUICK_STEPS:,} steps, but at t = {t:.6g} these are "
                    f"spent. Narrow the bounds of the parameters."
                )
            left = target - t
            last = self._length >= (1.0 - 1e-6) * left
            h = left if last else min(self._length, max(0.5 * left, 0.1 * self._length))
            after, error = self._tried(block, t, h)
            factor = min(MOST_CHANGE, max(LEAST_CHANGE, SAFETY * max(error, 1e-12) ** (-1.0 / (STAGES + 1))))
            if error > 1.0:
                self._length = h * factor
                continue
            self._length = max(self._length, h * factor) if h < self._length else h * factor
            block, t = after, target if last else t + h
        return block

    def _tried(self, block: FloatArray, t: float, h: float) -> tuple[FloatArray, float]:
        """Return the block after a step, and its error over what is allowed; infinite where stages do not converge."""
        times = np.minimum(t + h * self._table.nodes, t + h - SWITCH_SPACINGS * np.spacing(t + h))
        begun = min(t + SWITCH_SPACINGS * np.spacing(t), t + 0.5 * h)
        *generators, middle, first = self._rates.at(np.array([*times, t + 0.5 * h, begun]))
        steady = all(np.array_equal(A.data, middle.data) for A in generators)
        systems = _Systems(self._factors(middle, h), steady)
        p, error = self._part(slice(0, 1), block, h, generators, first, None, None, systems)
        if not error <= 1.0:
            return block, error
        flow = self._table.weights[-1] @ np.maximum(p[:, 0], 0.0) @ self._rates.outflow(t + 0.5 * h)
        if self._rates.q:
            forced = self._rates.forced(times, p[:, 0])  # (s, q, n)
            forced_first = self._rates.forced(np.array([begun]), block[:1])[0]
            slopes, more = self._part(slice(1, None), block, h, generators, first, forced, forced_first, systems)
            if not more <= 1.0:
                return block, more
            error, p = max(error, more), np.concatenate([p, slopes], axis=1)
        self.lost += h * float(flow)
        return p[-1], error

    def _part(
        self,
        rows: slice,
        block: FloatArray,
        h: float,
        generators: list[Any],
        first: Any,
        forced: FloatArray | None,
        forced_first: FloatArray | None,
        systems: _Systems,
    ) -> tuple[FloatArray, float]:
        """Return the stages (s, m, n) of some rows of the block, and their error over what is allowed, (1)."""
        z, tols = block[rows], self._tols[rows]
        stages = self._solved(z, h, generators, forced, systems, tols)
        if stages is None:
            return block[None, rows], np.inf
        rise = (stages - z).reshape(STAGES, -1)
        residual = (_slope_at_start() @ rise).reshape(z.shape) / h - _product(first, z)
        if forced_first is not None:
            residual -= forced_first
        real = systems.solvers[_real()]
        seen = np.array([real.solve(row) for row in GAMMA_AT_START * h * residual])
        return stages, float((np.abs(seen).sum(axis=1) / tols).max())

    def _solved(
        self,
        z: FloatArray,
        h: float,
        generators: list[Any],
        forced: FloatArray | None,
        systems: _Systems,
        tols: FloatArray,
    ) -> FloatArray | None:
        """Return the stages (s, m, n); None where they do not converge."""
        stages, before = np.repeat(z[None], STAGES, axis=0), np.inf
        for _ in range(QUICK_ITERATIONS):
            slopes = np.stack([_product(A, u) for A, u in zip(generators, stages, strict=True)])
            if forced is not None:
                slopes += forced
            defect = z - stages + h * (self._table.weights @ slopes.reshape(STAGES, -1)).reshape(stages.shape)
            change = self._correction(defect, systems)
            stages += change
            if systems.steady:
                return stages
            size = float((np.abs(change).sum(axis=2).max(axis=0) / tols).max())
            if size <= STAGE_ERROR:
                return stages
            if not size <= SLOW * before:
                return None
            before = size
        return None

    def _correction(self, defect: FloatArray, systems: _Systems) -> FloatArray:
        """Solve ``D - h (W ⊗ A) D = defect`` (s, m, n), A that of the systems."""
        table, (chosen, times) = self._table, halves(STAGES)
        transformed = (table.inverse[chosen] @ defect.reshape(STAGES, -1)).reshape(len(chosen), *defect.shape[1:])
        solved = np.empty_like(transformed)
        for of_system, rows, system in zip(solved, transformed, systems.solvers, strict=True):
            for place, row in zip(of_system, rows, strict=True):
                place[:] = system.solve(row)
        back, flat = table.vectors[:, chosen] * times, solved.reshape(len(chosen), -1)
        correction: FloatArray = (back.real @ flat.real - back.imag @ flat.imag).reshape(defect.shape)
        return correction

    def _factors(self, matrix: Any, h: float) -> list[ShiftedSystem]:
        """Return the systems of the eigenvalues of W, one of each conjugate pair."""
        if self._systems is not None:
            length, data, systems = self._systems
            if length == h and np.array_equal(data, matrix.data):
                return systems
        chosen, _ = halves(STAGES)
        values = self._table.eigenvalues[chosen]
        systems = [
            ShiftedSystem(matrix, h * (mu.real if k == _real() else mu), self._rates.jumps.band)
            for k, mu in enumerate(values)
        ]
        self._systems = h, matrix.data, systems
        return systems


def _product(matrix: Any, rows: FloatArray) -> FloatArray:
    """Return the products of a matrix with rows (m, n)."""
    product: FloatArray = (matrix @ np.ascontiguousarray(rows.T)).T
    return product


@lru_cache
def _real() -> int:
    """Return which of those is real: an odd number of stages has one."""
    chosen, _ = halves(STAGES)
    return int(np.argmin(np.abs(radau(STAGES).eigenvalues[chosen].imag)))


@lru_cache
def _slope_at_start() -> FloatArray:
    """Return what gives u' at the start of a step from the rises of the stages, (s,)."""
    _, slope = radau(STAGES).interpolate(np.zeros(1))
    weights: FloatArray = slope[0, 1:]
    return weights
