"""Uniformization: ``exp(tA) p = Σ_k e^{-Λt} (Λt)^k / k!  P^k p``, ``P = I + A/Λ``, Λ the largest exit rate.

P is a stochastic matrix once the sinks are states of their own, so only non-negative terms are added:
the sum lies below the exact distribution of the truncated chain, and the mass that it lacks is its error.
Where the powers have settled the rest of the series is one vector; what that costs is added to the error.

References
----------
A. Jensen, Markoff chains as an aid in the study of Markoff processes, Skand. Aktuarietidskr. 36 (1953) 87.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, sum_rounding
from fsp.solvers import costs, kernels
from fsp.solvers.base import Advance, LossLimit, Solver, check_tol
from fsp.solvers.poisson import poisson_window
from fsp.solvers.stepping import Step, StridingPropagator

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.protocol import AnyGenerator
    from fsp.solvers.costs import Cost, Stretch

# Work beside a product, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 1.5, 1e3
REJECTED_STEPS = 2.0  # times the products where steps are cut short by the loss
SHORTEST_REPORT = 1e4  # Λ times a step, where none may: a shorter one has a large share of tail


@dataclass(frozen=True, slots=True)
class Uniformization(Solver):
    """Sum the powers of the uniformized chain, weighted by the Poisson law.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    """

    tol: float = 1e-10
    on_ranks = True

    def __post_init__(self) -> None:
        check_tol(self.tol)

    def cost(self, generator: AnyGenerator, stretch: Stretch) -> Cost:
        """Expect as many products as jumps; see `Solver.cost`."""
        x = costs.jumps(generator, stretch)
        rejected = REJECTED_STEPS if stretch.growing else 1.0
        return costs.of_products(generator, stretch, rejected * (x + 5.0 * sqrt(x) + 10.0), STATE_WORK, CALL_WORK)

    def bind(self, generator: AnyGenerator) -> _Uniformized:
        """Return the propagator of a generator."""
        return _Uniformized(generator, self)


class _Uniformized(StridingPropagator):
    def __init__(self, generator: AnyGenerator, solver: Uniformization) -> None:
        super().__init__(generator, solver)
        self._operator = generator.operator
        self.rate *= 1.0 + 1e-12  # more than its rounding: P has no negative entry
        self._mass = 0.0  # at the start of an advance
        self._vectors = [np.empty(self._operator.size) for _ in range(2)]

    def advance(self, p: FloatArray, t0: float, t1: float, **options: Any) -> Advance:
        """Advance as all do; the mass that the sum lacks is its error."""
        self._mass = self.added(float(p.sum()))
        step = super().advance(p, t0, t1, **options)
        if self.rate == 0.0:
            return step
        # y <= p: what is missing is the error; each of the two sums may be off.
        missing = max(0.0, self._mass - self.added(float(step.p.sum())) - float(step.lost.sum()))
        of_sums = 2.0 * sum_rounding(self.added(self._operator.size)) * self._mass
        return replace(step, error=step.error + missing, rounding=step.rounding + of_sums)

    def longest(self, limit: LossLimit) -> float:
        """Return Λ times the length of the next step: where nothing may leave, as much as is worth a report."""
        may_leave = limit.offset < inf and self.generator.n_sinks > 0
        return self.stride if may_leave else max(SHORTEST_REPORT, self.products_of_a_report)

    def tried(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return exp(hA) z but for the error of stopping early; see `StridingPropagator.tried`."""
        end, settled, products = self._sum(z, t, h, tol)
        settled += self.added(kernels.clip(end))  # of the smallest numbers, which round to either side of zero
        return Step(end, h, settled, products * self.roundings * UNIT_ROUNDOFF * self._mass, products)

    def _sum(self, z: FloatArray, t: float, h: float, tol: float) -> tuple[FloatArray, float, int]:
        """Return exp(hA) z, the error of stopping early, and the number of products."""
        mean = self.rate * h
        tail = min(0.5, 0.5 * tol)
        first, weights = poisson_window(mean, tail)
        settled = np.zeros((2, len(weights)))
        settled[0, :-1] = weights[:0:-1].cumsum()[::-1]  # Σ_{j>k} weight_j
        settled[1] = settled[0, ::-1].cumsum()[::-1]  # Σ_{j>k} (j-k) weight_j = Σ_{j>=k} Σ_{i>j} weight_i
        (v, w), total = self._vectors, self.spare
        v[:], total[:] = z, 0.0
        scale, steady = 1.0 / self.rate, 0.5 * tol
        k, k_end, change = 0, first + len(weights), np.inf
        A = self._operator.compiled
        if A is not None:
            k, change = kernels.weighted_powers(A, scale, v, w, total, weights, first, mean, k_end, steady, settled)
            v = v if k % 2 == 0 else w
        while k < k_end and not (k and change * kernels.moment_above(settled, first, mean, k - 1) <= steady):
            change = self._operator.step(v, w, total, scale, weights[k - first] if k >= first else 0.0)
            v, w = w, v
            k += 1
            self.heart.beat(t, h, k / k_end)
        if k == k_end:
            return total, 0.0, k
        kernels.add_scaled(total, settled[0, k - 1 - first] if k > first else 1.0 - tail, v)
        return total, change * kernels.moment_above(settled, first, mean, k - 1), k
