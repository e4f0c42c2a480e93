"""Uniformization: ``exp(tA) p = Σ_k e^{-Λt} (Λt)^k / k!  P^k p``, ``P = I + A/Λ``, Λ the largest exit rate.

P is a stochastic matrix once the sinks are states of their own, so only non-negative terms are added:
the sum lies below the exact distribution of the truncated chain, and the mass that it lacks is its error.
Where the powers have settled the rest of the series is one vector; what that costs is added to the error.

References
----------
A. Jensen, Markoff chains as an aid in the study of Markoff processes, Skand. Aktuarietidskr. 36 (1953) 87.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, sum_rounding
from fsp.solvers import kernels
from fsp.solvers.base import (
    NO_LIMIT,
    REPORT_WORK,
    Advance,
    Heart,
    History,
    LossLimit,
    Pulse,
    check_tol,
    landed,
    require_constant_rates,
    step_to,
)
from fsp.solvers.poisson import poisson_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

FIRST_STRIDE = 64.0  # Λ times the first step, where probability may leave
SHORTEST_STRIDE = 1.0  # Λ times the shortest step tried before the space must grow
LONGEST_STRIDE = 1e6  # Λ times the longest step, where probability may leave
SHORTEST_REPORT = 1e4  # Λ times a step, where none may: a shorter one has a large share of tail


@dataclass(frozen=True, slots=True)
class Uniformization:
    """Sum the powers of the uniformized chain, weighted by the Poisson law.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    """

    tol: float = 1e-10

    def __post_init__(self) -> None:
        check_tol(self.tol)

    @property
    def certified(self) -> bool:
        """The reported error is a bound."""
        return True

    @contextmanager
    def open(self, generator: Generator) -> Iterator[_Uniformized]:
        """Bind to `generator`, whose propensities must not depend on time."""
        require_constant_rates(generator, "Uniformization")
        yield _Uniformized(generator, self.tol)


class _Uniformized:
    step_length = 0.0
    history: History | None = None

    def __init__(self, generator: Generator, tol: float) -> None:
        self._tol = tol
        self._operator = generator.operator
        self._n, self._all = self._operator.n, self._operator.added(self._operator.size)
        self._rate = generator.largest_exit_rate * (1.0 + 1e-12)  # Λ
        self._roundings = generator.roundings
        self._most = max(1.0, REPORT_WORK / generator.work)  # products
        self._heart = Heart(generator.work)
        self._vectors = [np.empty(self._operator.size) for _ in range(3)]
        self._stride = FIRST_STRIDE

    def advance(
        self,
        p: FloatArray,
        t0: float,
        t1: float,
        *,
        tol: float | None = None,
        limit: LossLimit = NO_LIMIT,
        pulse: Pulse | None = None,
        most: float = inf,
    ) -> Advance:
        """Advance `p` from `t0` towards `t1`; see `fsp.solvers.base.Propagator`."""
        n_sinks, added = self._operator.size - self._n, self._operator.added
        if self._rate == 0.0:
            return Advance(p.copy(), np.zeros(n_sinks), 0.0, 0, t1, 0.0)
        self._heart.pulse = pulse
        tol_rate = (self._tol if tol is None else tol) / (t1 - t0)
        z = self._operator.enter(p)
        mass = added(float(z.sum()))
        t, error, rounding, n_matvec = t0, 0.0, 0.0, 0
        rejected = None
        while t < t1 and n_matvec < min(most, self._most) and (rejected is None or t == t0):
            longest = max(SHORTEST_REPORT, self._most) if limit.offset == np.inf or not n_sinks else self._stride
            h = step_to(t, longest / self._rate, t1)
            end, held = landed(t, h, t1)
            following, settled, products = self._step(z, t, h, tol_rate * h)
            n_matvec += products
            settled += added(kernels.clip(following))  # of the smallest numbers, which round to either side of zero
            if added(float(following[self._n :].sum())) > limit.at(end - t0):
                rejected = self._operator.leave(following) if rejected is None else rejected
                self._stride = 0.5 * self._rate * h
                if self._stride < SHORTEST_STRIDE:
                    self._stride = FIRST_STRIDE
                    break
                continue
            self._stride = min(LONGEST_STRIDE, 2.0 * self._stride)
            self._vectors[2] = z
            z, t = following, end
            error += settled
            rounding += (products * self._roundings * UNIT_ROUNDOFF + 2.0 * self._rate * held) * mass
        # y <= p: what is missing is the error; each of the two sums may be off.
        error += max(0.0, mass - added(float(z.sum())))
        rounding += 2.0 * sum_rounding(self._all) * mass
        return Advance(self._operator.leave(z), added(z[self._n :]), error, n_matvec, t, rounding, rejected)

    def _step(self, z: FloatArray, t: float, h: float, tol: float) -> tuple[FloatArray, float, int]:
        """Return exp(hA) z, the error of stopping early, and the number of products."""
        mean = self._rate * h
        tail = min(0.5, 0.5 * tol)
        first, weights = poisson_window(mean, tail)
        settled = np.zeros((2, len(weights)))
        settled[0, :-1] = weights[:0:-1].cumsum()[::-1]  # Σ_{j>k} weight_j
        settled[1] = settled[0, ::-1].cumsum()[::-1]  # Σ_{j>k} (j-k) weight_j = Σ_{j>=k} Σ_{i>j} weight_i
        v, w, total = self._vectors
        v[:], total[:] = z, 0.0
        scale, steady = 1.0 / self._rate, 0.5 * tol
        k, k_end, change = 0, first + len(weights), np.inf
        A = self._operator.compiled
        if A is not None:
            k, change = kernels.weighted_powers(A, scale, v, w, total, weights, first, mean, k_end, steady, settled)
            v = v if k % 2 == 0 else w
        while k < k_end and not (k and change * kernels.moment_above(settled, first, mean, k - 1) <= steady):
            change = self._operator.step(v, w, total, scale, weights[k - first] if k >= first else 0.0)
            v, w = w, v
            k += 1
            self._heart.beat(t, h, k / k_end)
        if k == k_end:
            return total, 0.0, k
        kernels.add_scaled(total, settled[0, k - 1 - first] if k > first else 1.0 - tail, v)
        return total, change * kernels.moment_above(settled, first, mean, k - 1), k
