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

from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, log
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ConvergenceError
from fsp.solvers import kernels
from fsp.solvers.base import (
    NO_LIMIT,
    REPORT_WORK,
    Advance,
    Heart,
    History,
    LossLimit,
    Pulse,
    check_count,
    check_tol,
    landed,
    require_constant_rates,
    step_to,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

FIRST_STRIDE = 16.0  # Λ times the first step
SHORTEST_STRIDE = 0.5
LARGEST_SPREAD = 1e3  # of Σ|weight_k| ‖φ_k‖₁ over the mass: beyond, cancellation costs more digits than a step is worth
WANTED_SPREAD = 10.0
NEGLIGIBLE = 1e-18  # weight of a term that is not summed


@dataclass(frozen=True, slots=True)
class Chebyshev:
    """Expand ``exp(tA) p`` in Chebyshev polynomials, in adaptive steps.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    degree
        Largest degree of an expansion.
    """

    tol: float = 1e-10
    degree: int = 2000

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("degree", self.degree, 20)

    @property
    def certified(self) -> bool:
        """The reported error is a bound."""
        return True

    @contextmanager
    def open(self, generator: Generator) -> Iterator[_ChebyshevPropagator]:
        """Bind to `generator`, whose propensities must not depend on time."""
        require_constant_rates(generator, "Chebyshev")
        yield _ChebyshevPropagator(generator, self)


@dataclass(frozen=True, slots=True, eq=False)
class _Expansion:
    """One step that was tried.

    Parameters
    ----------
    z
        Its result, (size,); None where the terms grew too much.
    error, rounding
        Bounds.
    n_matvec
        Number of products.
    spread
        ``Σ|weight_k| ‖φ_k‖₁`` over the mass.
    """

    z: FloatArray | None
    error: float
    rounding: float
    n_matvec: int
    spread: float


class _ChebyshevPropagator:
    step_length = 0.0
    history: History | None = None

    def __init__(self, generator: Generator, solver: Chebyshev) -> None:
        self._tol = solver.tol
        self._degree = solver.degree
        self._operator = generator.operator
        self._n = self._operator.n
        self._rate = generator.largest_exit_rate  # Λ
        self._roundings = generator.roundings
        self._most = max(1.0, REPORT_WORK / generator.work)  # products
        self._heart = Heart(generator.work)
        self._stride = FIRST_STRIDE
        self._vectors = [np.empty(self._operator.size) for _ in range(3)]

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
        n, added = self._n, self._operator.added
        if self._rate == 0.0:
            return Advance(p.copy(), np.zeros(self._operator.size - n), 0.0, 0, t1, 0.0)
        self._heart.pulse = pulse
        tol_rate = (self._tol if tol is None else tol) / (t1 - t0)
        z = self._operator.enter(p)
        t, error, rounding, n_matvec = t0, 0.0, 0.0, 0
        rejected = None
        while t < t1 and n_matvec < min(most, self._most) and (rejected is None or t == t0):
            if self._stride < SHORTEST_STRIDE:
                if rejected is not None:
                    self._stride = FIRST_STRIDE
                    break
                raise ConvergenceError(
                    f"Chebyshev found no step at t = {t:.6g} whose error is below {tol_rate:.1e} per unit of time. "
                    f"Loosen `tol`, or use solver='uniformization'."
                )
            h = step_to(t, self._stride / self._rate, t1)
            step = self._expand(z, t, h, tol_rate * h)
            n_matvec += step.n_matvec
            if step.z is None:
                self._shorten(self._rate * h, step.spread)
                continue
            end, held = landed(t, h, t1)
            if added(float(step.z[n:].sum())) > limit.at(end - t0):
                rejected = self._operator.leave(step.z).copy() if rejected is None else rejected
                self._vectors[2] = step.z
                self._stride = 0.5 * self._rate * h
                continue
            self._vectors[2], z, t = z, step.z, end
            error, rounding = error + step.error, rounding + step.rounding
            rounding += 2.0 * self._rate * held * added(float(z.sum()))
            self._lengthen(self._rate * h, step.spread)
        return Advance(self._operator.leave(z), added(z[n:].copy()), error, n_matvec, t, rounding, rejected)

    def _shorten(self, x: float, spread: float) -> None:
        """Shorten the step after terms grew: by the logarithm of the spread, which is proportional to x."""
        factor = log(WANTED_SPREAD) / log(spread) if np.isfinite(spread) and spread > 1.0 else 0.25
        self._stride = x * min(0.5, max(0.1, factor))

    def _lengthen(self, x: float, spread: float) -> None:
        """Choose the next step; a last, shorter one says nothing."""
        if x > 0.99 * self._stride:
            self._stride = x * min(2.0, max(0.5, log(WANTED_SPREAD) / log(max(spread, 1.0 + 1e-3))))

    def _expand(self, z: FloatArray, t: float, h: float, tol: float) -> _Expansion:
        """Return exp(hA) z, from time t on, with an error of at most `tol`."""
        x = self._rate * h
        weights, hit = _weights(x, self._degree)
        v, w, total = self._vectors
        mass = self._operator.added(float(z.sum()))
        norms = np.zeros(len(weights) + 1)
        norms[0] = mass
        scale = 1.0 / self._rate
        w[:] = z
        np.multiply(z, weights[0], out=total)
        # φ_1 = P z; from then on v holds φ_k, and w, which holds φ_{k-1}, becomes φ_{k+1}.
        v[:] = 0.0
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
            self._heart.beat(t, h, m / len(weights))
            error, spread = kernels.chebyshev_error(weights, hit, x, norms, m)
        # Where m is even φ_m was not added: the bound holds with it and without.
        if not error <= tol:
            return _Expansion(None, np.inf, 0.0, m, max(spread / max(mass, 1e-300), 10.0 * WANTED_SPREAD))
        error += self._operator.added(kernels.clip(total))
        # φ_k rounds in each of its k products; the recurrence makes up to k - j + 1 times it of what was rounded at j.
        k = np.arange(m + 1.0)
        terms = weights[: m + 1] * 0.5 * (k + 1.0) * (k + 2.0) * np.maximum.accumulate(norms[: m + 1])
        rounding = UNIT_ROUNDOFF * (self._roundings + 6) * float(terms.sum())
        return _Expansion(total, error, rounding, m, spread / max(mass, 1e-300))


def _weights(x: float, degree: int) -> tuple[FloatArray, FloatArray]:
    """Return ``e^{-x} (2 - δ_{k0}) I_k(x)`` and h_k(x), for k up to `degree` or where they are negligible.

    By Miller's backward recurrence ``I_{k-1} = I_{k+1} + (2k/x) I_k``, normalised by ``e^{-x} (I_0 + 2 Σ I_k) = 1``:
    all terms are positive, so every digit is right.
    """
    last = int(12.0 * np.sqrt(x) + 60.0)
    values = np.zeros(last + 2)
    values[last] = 1e-300
    for k in range(last, 0, -1):
        values[k - 1] = values[k + 1] + (2.0 * k / x) * values[k]
        if values[k - 1] > 1e250:
            values[k - 1 :] *= 1e-300
    values /= values[0] + 2.0 * values[1:].sum()
    above = np.concatenate([np.cumsum(values[::-1])[::-1][1:], [0.0]])
    hit = values + 2.0 * above
    weights = 2.0 * values
    weights[0] = values[0]
    n = min(int(np.count_nonzero(hit > NEGLIGIBLE)) + 2, degree + 1, last)
    return weights[:n], hit[: n + 1]
