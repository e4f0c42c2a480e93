"""Krylov approximation of the exponential, with the 1-norm of its residual as error bound.

Arnoldi with incomplete orthogonalisation gives ``A V_m = V_m H_m + h v_{m+1} e_mᵀ`` exactly, whatever the depth.
Then ``y(s) = β V_m u(s)``, ``u(s) = exp(s H_m) e_1``, has the residual ``y' - A y = -β h u_m(s) v_{m+1}``, and as
the chain with its sinks does not expand the 1-norm::

    ‖exp(sA) p - y(s)‖₁  <=  β h ‖v_{m+1}‖₁ ∫₀ˢ |u_m|

The small exponential is followed by Taylor steps whose terms bound that integral; the step ends where the bound
would pass its share of the tolerance, so no step is ever tried twice.

References
----------
Y. Saad, SIAM J. Numer. Anal. 29 (1992) 209, doi:10.1137/0729014; M. A. Botchev, V. Grimm, M. Hochbruck, Residual,
restarting, and Richardson iteration for the matrix exponential, SIAM J. Sci. Comput. 35 (2013) A1376,
doi:10.1137/110820191; S. Gaudreault, G. Rainwater, M. Tokman, KIOPS, J. Comput. Phys. 372 (2018) 236.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from math import inf, sqrt, ulp
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
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
    noise_of_products,
    require_constant_rates,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

FIRST_LOOK, LOOK = 16, 8  # vectors after which it is seen whether the step is long enough
ENOUGH = 1.3
LOOK_WORK = 1e5  # multiply-adds of a product that are worth it


@dataclass(frozen=True, slots=True)
class Krylov:
    """Approximate ``exp(tA) p`` in Krylov subspaces, in adaptive steps.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    dimension
        Size of a subspace.
    orthogonalization
        Number of preceding basis vectors that a new one is orthogonalised against.
    """

    tol: float = 1e-10
    dimension: int = 50
    orthogonalization: int = 2

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("dimension", self.dimension, 2)
        check_count("orthogonalization", self.orthogonalization, 2)

    @property
    def certified(self) -> bool:
        """The reported error is a bound."""
        return True

    @contextmanager
    def open(self, generator: Generator) -> Iterator[_KrylovPropagator]:
        """Bind to `generator`, whose propensities must not depend on time."""
        require_constant_rates(generator, "Krylov")
        yield _KrylovPropagator(generator, self)


class _KrylovPropagator:
    step_length = 0.0
    history: History | None = None

    def __init__(self, generator: Generator, solver: Krylov) -> None:
        self._tol = solver.tol
        self._operator = generator.operator
        self._n = self._operator.n
        self._rate = generator.largest_exit_rate
        self._roundings = generator.roundings
        self._most = max(1.0, REPORT_WORK / generator.work)  # products
        self._heart = Heart(generator.work)
        self._n_all = self._operator.added(self._operator.size)
        self._size = min(solver.dimension, self._n_all)
        # A basis of the whole space must be orthogonal, or it would not be closed.
        self._depth = self._size if self._size == self._n_all else solver.orthogonalization
        looks = range(FIRST_LOOK, self._size, LOOK) if generator.work >= LOOK_WORK else ()
        self._stops = (*looks, self._size)
        self._basis = np.empty((self._size + 1, self._operator.size))

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
        self._heart.pulse = pulse
        tol_rate = (self._tol if tol is None else tol) / (t1 - t0)
        z = self._operator.enter(p)
        lost = np.zeros(len(z) - self._n)
        t, error, rounding, n_matvec = t0, 0.0, 0.0, 0
        rejected = None
        self._tick = ulp(t1)
        while t < t1 and rejected is None and n_matvec < min(most, self._most):
            slack = limit.at(t - t0) - lost.sum()
            step = self._step(z, t, span(t, t1), tol_rate, LossLimit(slack, limit.rate))
            n_matvec += step.n_matvec
            rejected = step.rejected
            if step.t == 0.0 and rejected is None:
                raise ConvergenceError(
                    f"Krylov took no step at t = {t:.6g}: no step has an error below {tol_rate:.1e} per unit of time. "
                    f"Loosen `tol`, raise `dimension` ({self._size}), or use solver='implicit'."
                )
            z, lost = step.p, lost + step.lost
            t, held = landed(t, step.t, t1)
            error, rounding = error + step.error, rounding + step.rounding
            rounding += 2.0 * self._rate * held * self._operator.added(float(z.sum()))
        if rejected is not None:
            rejected = self._operator.leave(rejected)
        return Advance(self._operator.leave(z), lost, error, n_matvec, t, rounding, rejected)

    def _step(self, z: FloatArray, t: float, horizon: float, tol_rate: float, limit: LossLimit) -> Advance:
        """Take one step of at most `horizon`; its `p` is a vector of the closed chain, its `t` the step's length."""
        V = self._basis
        H = np.zeros((self._size + 1, self._size))
        V[0], V[0, self._n :] = z, 0.0
        added = self._operator.added
        beta = sqrt(added(float(V[0] @ V[0])))
        if beta == 0.0:  # squares of the smallest numbers are zero
            left = 2.0 * added(float(V[0].sum()))
            return Advance(z, np.zeros(len(z) - self._n), left, 0, horizon, 0.0)
        V[0] /= beta
        norms, m = np.zeros(self._size + 1), 0
        while True:
            first, stop = m, next(stop for stop in self._stops if stop > m)
            m = self._expand(V, H, m, stop, t)
            new = slice(first + (first > 0), m + 1)
            kernels.one_norms(V, new.start, new.stop, norms)
            norms[new] = added(norms[new])
            leak = beta * added(V[:m, self._n :].sum(axis=1))
            residual_norm = H[m, m - 1] * beta * norms[m]
            is_closed = m < stop or m == self._n_all
            noise = noise_of_products(self._rate, self._roundings, beta * norms[0], m if is_closed else 0)
            s, u, substeps, growth, s_kept, u_kept, error = kernels.flow(
                H,
                m,
                self._depth,
                horizon,
                self._tick,
                beta * norms,
                leak,
                residual_norm,
                max(tol_rate, noise),
                limit.offset,
                limit.rate,
            )
            # More vectors would only lead farther than the step goes.
            if m == self._size or residual_norm == 0.0 or s >= horizon or leak @ u > ENOUGH * limit.at(s):
                break
        end = np.empty(V.shape[1])
        rejected = np.empty(V.shape[1]) if s_kept < s else None
        if rejected is None:
            cut = kernels.combine(V[:m], beta * u_kept, end)
        else:
            cut = kernels.combine_both(V[:m], beta * u_kept, end, beta * u, rejected)
        error += added(cut)
        products = 2 * self._rate * s_kept * self._roundings
        rounding = UNIT_ROUNDOFF * growth * (products + kernels.SUBSTEP_ROUNDINGS * substeps + m + 2)
        return Advance(end, added(end[self._n :].copy()), error, m, s_kept, rounding, rejected)

    def _expand(self, V: FloatArray, H: FloatArray, first: int, size: int, t: float) -> int:
        """Extend the basis from `first` to `size` vectors, at time t; return their number, smaller if it is closed.

        It is closed where what is left of a vector may be rounding.
        """
        operator = self._operator
        A = operator.compiled
        if A is not None:
            return int(kernels.arnoldi(A, V, H, self._depth, first, size))
        nothing = np.zeros(V.shape[1])
        for j in range(first, size):
            before_last = V[j - 1] if j > 0 else nothing
            dots = operator.product_and_dots(V[j], before_last, V[j + 1])
            self._heart.beat(t, 0.0, 0.0)
            if not kernels.next_vector(operator, V, H, j, self._depth, dots, nothing):
                return j + 1
        return size
