"""Chebyshev expansion of the exponential: four vectors, whatever the degree, and the 1-norm of its residual as bound.

With ``P = I + A/Λ``, Λ the largest exit rate, and ``φ_k = T_k(P) p`` from ``φ_{k+1} = 2 P φ_k - φ_{k-1}``::

    y_m(s) = e^{-Λs} Σ_{k<=m} (2 - δ_{k0}) I_k(Λs) φ_k
    y_m' - A y_m = Λ e^{-Λs} (I_{m+1}(Λs) φ_m - I_m(Λs) φ_{m+1})

``e^{-x} I_k(x)`` is the probability that a walk with jumps ±1 at rate 1/2 each is at k at time x, so by reflection its
integral over [0, x] is at most x times ``h_k(x) = e^{-x} (I_k + 2 Σ_{j>k} I_j)``, the probability of having been there,
and as the chain with its sinks does not expand the 1-norm::

    ‖exp(sA) p - y_m(s)‖₁  <=  x (h_{m+1}(x) ‖φ_m‖₁ + h_m(x) ‖φ_{m+1}‖₁),   x = Λs

The degree rises with √x where the spectrum of A is close to the real axis; where drift dominates, the φ_k grow, and
steps are kept so short that the terms do not cancel: ``Σ |weight_k| ‖φ_k‖₁`` is watched.

References
----------
H. Tal-Ezer, R. Kosloff, J. Chem. Phys. 81 (1984) 3967, doi:10.1063/1.448136; L. Bergamaschi, M. Vianello, Numer. Linear
Algebra Appl. 7 (2000) 27; residual and certificate: this package, docs/certificate.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, log
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers import costs, kernels
from fsp.solvers.base import LossLimit, check_count, check_tol, step_to
from fsp.solvers.stepping import Propagator, Solver, Step

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.costs import Cost, Stretch

# Λ times the first step, and the shortest one; chosen, not measured.
FIRST_STRIDE, SHORTEST_STRIDE = 16.0, 0.5
LARGEST_SPREAD = 1e3  # of Σ|weight_k| ‖φ_k‖₁ over the mass: beyond, cancellation costs more digits than a step is worth
WANTED_SPREAD = 10.0  # a step is chosen so that cancellation costs one digit
# Work beside a product, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 2.0, 1e4
NEGLIGIBLE_WEIGHT = 1e-18  # weight of a term that is not summed


@dataclass(frozen=True, slots=True)
class Chebyshev(Solver):
    """Expand ``exp(tA) p`` in Chebyshev polynomials, in adaptive steps.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    degree
        Largest degree of an expansion.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Chebyshev(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    degree: int = 2000
    on_ranks = True

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("degree", self.degree, 20)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect fewer products than jumps, unless steps are cut short: then whole ones are lost; see `Solver.cost`."""
        products = inf if stretch.growing else 0.3 * costs.jumps(generator, stretch) + 120.0
        return costs.of_products(generator, stretch, products, STATE_WORK, CALL_WORK, may_stall=True)

    def bind(self, generator: BaseGenerator) -> _ChebyshevPropagator:
        """Return the propagator of a generator."""
        return _ChebyshevPropagator(generator, self)


class _ChebyshevPropagator(Propagator):
    first, shortest = FIRST_STRIDE, SHORTEST_STRIDE

    def __init__(self, generator: BaseGenerator, solver: Chebyshev) -> None:
        super().__init__(generator, solver)
        self._degree = solver.degree
        self._operator = generator.operator
        self._spread = 0.0  # of the last expansion: Σ|weight_k| ‖φ_k‖₁ over the mass

    def _shorten(self, x: float) -> None:
        """Shorten the step after terms grew: by the logarithm of the spread, which is proportional to x."""
        spread = self._spread
        factor = log(WANTED_SPREAD) / log(spread) if np.isfinite(spread) and spread > 1.0 else 0.25
        self.stride = x * min(0.5, max(0.1, factor))

    def lengthen(self, x: float) -> None:
        """Choose the next step; a last, shorter one says nothing."""
        if x > 0.99 * self.stride:
            self.stride = x * min(2.0, max(0.5, log(WANTED_SPREAD) / log(max(self._spread, 1.0 + 1e-3))))

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take the step of the expansion, unless the last ones have become too short; see `Propagator.step`."""
        if self.stride < self.shortest:
            self.stride = self.first
            return Step(z, 0.0)
        h = step_to(t, self.stride / self.rate, t1)
        x, tol, scale = self.rate * h, tol_rate * h, 1.0 / self.rate
        weights, hit = _weights(x, self._degree)
        v, w, total = self.vectors
        mass = self._operator.added(float(z.sum()))
        norms = np.zeros(len(weights) + 1)
        norms[0] = mass
        # φ_1 = P z; from then on v holds φ_k, and w, which holds φ_{k-1}, becomes φ_{k+1}.
        v[:], w[:] = 0.0, z
        np.multiply(z, weights[0], out=total)
        norms[1] = self._operator.recur(w, v, total, (scale, 1.0, 0.0), (0.0, weights[1]))
        m = 1
        A = self._operator.compiled
        if A is not None:
            m = kernels.chebyshev(A, scale, v, w, total, weights, hit, x, tol, LARGEST_SPREAD, norms)
            v, w = (v, w) if m % 2 else (w, v)
        error, spread = kernels.chebyshev_error(weights, hit, x, norms, m)
        while not error <= tol and spread <= LARGEST_SPREAD * mass and m + 1 < len(weights):
            pair = (weights[m], weights[m + 1]) if m % 2 == 0 else (0.0, 0.0)
            norms[m + 1] = self._operator.recur(v, w, total, (2.0 * scale, 2.0, -1.0), pair)
            v, w = w, v
            m += 1
            self.heart.beat(t, h, m / len(weights))
            error, spread = kernels.chebyshev_error(weights, hit, x, norms, m)
        # Where m is even φ_m was not added: the bound holds with it and without.
        if not error <= tol:
            self._spread = max(spread / max(mass, 1e-300), 10.0 * WANTED_SPREAD)
            self._shorten(x)
            return Step(z, 0.0, n_matvec=m, tries_again=True)
        error += self._operator.added(kernels.clip(total))
        # φ_k rounds in each of its k products; the recurrence makes up to k - j + 1 times it of what was rounded at j.
        k = np.arange(m + 1.0)
        terms = weights[: m + 1] * 0.5 * (k + 1.0) * (k + 2.0) * np.maximum.accumulate(norms[: m + 1])
        rounding = UNIT_ROUNDOFF * (self.roundings + 6) * float(terms.sum())
        self._spread = spread / max(mass, 1e-300)
        step = self.kept(Step(total, h, error, rounding, m), z, t, t1, limit)
        return step if step.rejected is None else replace(step, rejected=step.rejected.copy())


def _weights(x: float, degree: int) -> tuple[FloatArray, FloatArray]:
    """Return ``e^{-x} (2 - δ_{k0}) I_k(x)`` and h_k(x), for k up to `degree` or where they are negligible.

    By Miller's backward recurrence of the ratios ``r_k = I_k / I_{k-1}``, ``r_k = 1 / (2k/x + r_{k+1})``, which do not
    overflow; normalised by ``e^{-x} (I_0 + 2 Σ I_k) = 1``: all terms are positive, so every digit is right.
    """
    last = int(12.0 * np.sqrt(x) + 60.0)
    values = np.ones(last + 1)
    r = 0.0
    for k in range(last, 0, -1):
        r = 1.0 / (2.0 * k / x + r)
        values[k] = r
    np.cumprod(values, out=values)
    values /= values[0] + 2.0 * values[1:].sum()
    above = np.concatenate([np.cumsum(values[::-1])[::-1][1:], [0.0]])
    hit = values + 2.0 * above
    weights = 2.0 * values
    weights[0] = values[0]
    n = min(int(np.count_nonzero(hit > NEGLIGIBLE_WEIGHT)) + 2, degree + 1, last)
    return weights[:n], hit[: n + 1]
