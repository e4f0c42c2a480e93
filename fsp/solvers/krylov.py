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

from dataclasses import dataclass
from math import inf, sqrt, ulp
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.memory import Room, affords
from fsp.solvers import costs, kernels, small_exponential_kernels
from fsp.solvers.base import LossLimit, check_count, check_tol, noise_of_products
from fsp.solvers.stepping import Propagator, Solver, Step

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.costs import Cost, Stretch

FIRST_LOOK, LOOK = 16, 8  # vectors after which it is seen whether the step is long enough
ENOUGH = 1.3  # times the loss limit, passed by a step that need not go farther; chosen, not measured
# Work beside a product, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 10.0, 2e4
BASIS_BYTES = 2**32  # of a basis, beyond which it is not chosen
LOOK_WORK = 1e5  # multiply-adds of a product that are worth it


@dataclass(frozen=True, slots=True)
class Krylov(Solver):
    """Approximate ``exp(tA) p`` in Krylov subspaces, in adaptive steps.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    dimension
        Size of a subspace.
    orthogonalization
        Number of preceding basis vectors that a new one is orthogonalised against.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Krylov(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    dimension: int = 50
    orthogonalization: int = 2
    on_ranks = True
    is_reproducible = False  # its basis hangs on the last digits of sums, which depend on the number of ranks

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("dimension", self.dimension, 2)
        check_count("orthogonalization", self.orthogonalization, 2)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect fewer products than jumps, if there is memory for a basis; see `Solver.cost`."""
        basis = 8 * len(generator) * (self.dimension + 1)
        fits = basis <= BASIS_BYTES and affords(basis, len(generator))
        products = 0.35 * costs.jumps(generator, stretch) + 25.0 if fits else inf
        return costs.of_products(generator, stretch, products, STATE_WORK, CALL_WORK, may_stall=True)

    def bind(self, generator: BaseGenerator) -> _KrylovPropagator:
        """Return the propagator of a generator."""
        return _KrylovPropagator(generator, self)


class _KrylovPropagator(Propagator):
    way_out = "raise `dimension`, or use solver='implicit'"

    def __init__(self, generator: BaseGenerator, solver: Krylov) -> None:
        super().__init__(generator, solver)
        self._operator = generator.operator
        self._n = self._operator.n
        self._n_all = self._operator.added(self._operator.size)
        self._size = min(solver.dimension, self._n_all)
        # A basis of the whole space must be orthogonal, or it would not be closed.
        self._depth = self._size if self._size == self._n_all else solver.orthogonalization
        looks = range(FIRST_LOOK, self._size, LOOK) if generator.work >= LOOK_WORK else ()
        self._stops = (*looks, self._size)
        n_bytes = 8 * (self._size + 1) * self._n_all
        self._room = Room(f"A basis of {self._size + 1} vectors", n_bytes, self._n_all, "lower `dimension`")
        self._basis = np.empty((self._size + 1, self._operator.size))

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take a step as long as the error and the loss allow; see `Propagator.step`."""
        V, horizon = self._basis, span(t, t1)
        H = np.zeros((self._size + 1, self._size))
        V[0], V[0, self._n :] = z, 0.0
        added = self._operator.added
        beta = sqrt(added(float(V[0] @ V[0])))
        if beta == 0.0:  # squares of the smallest numbers are zero
            return Step(z, horizon, 2.0 * added(float(V[0].sum())))
        V[0] /= beta
        offset = limit.offset - added(float(z[self._n :].sum()))
        norms, squares, m = np.zeros(self._size + 1), np.ones(self._size + 1), 0
        while True:
            first, stop = m, next(stop for stop in self._stops if stop > m)
            m = self._expand(V, H, squares, m, stop, t)
            new = slice(first + (first > 0), m + 1)
            kernels.one_norms(V, new.start, new.stop, norms)
            norms[new] = added(norms[new])
            leak = beta * added(V[:m, self._n :].sum(axis=1))
            residual_norm = H[m, m - 1] * beta * norms[m]
            is_closed = m < stop or m == self._n_all
            noise = noise_of_products(self.rate, self.roundings, beta * norms[0], m if is_closed else 0)
            s, u, substeps, growth, s_kept, u_kept, error = small_exponential_kernels.flow(
                H,
                m,
                self._depth,
                horizon,
                ulp(t1),
                beta * norms,
                leak,
                residual_norm,
                max(tol_rate, noise),
                offset,
                limit.rate,
            )
            # More vectors would only lead farther than the step goes.
            if m == self._size or residual_norm == 0.0 or s >= horizon or leak @ u > ENOUGH * (offset + limit.rate * s):
                break
        end = np.empty(V.shape[1])
        rejected = np.empty(V.shape[1]) if s_kept < s else None
        if rejected is None:
            cut = kernels.combine(V[:m], beta * u_kept, end)
        else:
            cut = kernels.combine_both(V[:m], beta * u_kept, end, beta * u, rejected)
        end[self._n :] += z[self._n :]
        error += added(cut)
        products = 2 * self.rate * s_kept * self.roundings
        rounding = UNIT_ROUNDOFF * growth * (products + small_exponential_kernels.SUBSTEP_ROUNDINGS * substeps + m + 2)
        return Step(end, s_kept, error, rounding, m, rejected)

    def _expand(self, V: FloatArray, H: FloatArray, squares: FloatArray, first: int, size: int, t: float) -> int:
        """Extend the basis from `first` to `size` vectors, at time t; return their number, smaller if it is closed.

        It is closed where what is left of a vector may be rounding.
        """
        operator = self._operator
        A = operator.compiled
        if A is not None:
            return int(kernels.arnoldi(A, V, H, squares, self._depth, first, size))
        nothing = np.zeros(V.shape[1])
        for j in range(first, size):
            before_last = V[j - 1] if j > 0 else nothing
            dots = operator.product_and_dots(V[j], before_last, V[j + 1])
            self.heart.beat(t, 0.0, 0.0)
            if not kernels.next_vector(operator, V, H, j, self._depth, dots, squares, nothing):
                return j + 1
        return size
