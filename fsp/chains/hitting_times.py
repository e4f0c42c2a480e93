"""Linear systems of a chain that ends where it meets a state z, or leaves the space: ``-A``, without z if there is one.

`Factorised` solves them fast, with an error that its caller has to see from residuals.  `Eliminated` solves them by
eliminations without a subtraction, with relative errors that are bounded beforehand, whatever the rates:

By the matrix tree theorem, mean times before the chain ends, and the stationary vector of the chain that goes back to z
wherever it leaves the space, are ratios of sums of products of rates in which each state has at most one factor.  So a
relative change δ of rates out of one state changes them by at most 2δ.  In the elimination, rates from j into k are
passed on to where k leads: that changes the rates out of j only, with roundings of at most (c + 3)u for c ways out of
k.  Errors add up to ``2u Σ_k c_k (c_k + 3)``, and as much for right-hand sides; those of the rates themselves, n of
them in each product, to ``2 n ρ``; substitution adds its roundings along the elimination tree.

References
----------
C. A. O'Cinneide, Entrywise perturbation theory and error analysis for Markov chains, Numer. Math. 65 (1993) 109,
doi:10.1007/BF01385743.
M. I. Freidlin, A. D. Wentzell, Random Perturbations of Dynamical Systems, Springer 1984, ch. 6.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import sparse

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains import elimination_kernels as kernels
from fsp.chains.chain import Chain, led_back
from fsp.chains.elimination import analyse, factorised

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

REFINEMENTS = 2  # the second gains what the first rounds; answers are checked
WORK = 1e9  # multiply-adds of an elimination: about a second
UNDERFLOW = 1e-305  # more than a product that underflows, and its roundings, is off
NORMAL_PRODUCTS = 1e-150  # products of two numbers above do not underflow


class StoppedChain(Protocol):
    """The equations of a chain that ends at z."""

    # Bound of the relative error of every entry of a solution with a right-hand side that is not negative; infinite
    # where there is none.
    relative: float
    tiny: float  # an error that it may have beyond that, of numbers near the smallest that a double holds

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the (n,) occupation from sources `right` (n,), zero at z."""

    def solve_adjoint(self, right: FloatArray) -> FloatArray:
        """Return the (n,) mean of the integral of `right` (n,) over the time before the chain ends, zero at z."""


class Factorised:
    """Solutions by a sparse factorisation, with refinement, for a generator `matrix` (n, n) CSR and a state `z`."""

    relative = np.inf
    tiny = 0.0

    def __init__(self, matrix: Any, z: int) -> None:
        self._keep = np.flatnonzero(np.arange(matrix.shape[0]) != z)
        self._matrix = (-matrix[self._keep][:, self._keep]).tocsc()
        self._factors: Any = factorised(self._matrix)

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the (n,) occupation from sources `right` (n,), zero at z."""
        return self._refined(self._matrix, right, "N")

    def solve_adjoint(self, right: FloatArray) -> FloatArray:
        """Return the (n,) mean of the integral of `right` (n,) over the time before the chain ends, zero at z."""
        return self._refined(self._matrix.T, right, "T")

    def _refined(self, matrix: Any, right: FloatArray, side: str) -> FloatArray:
        inner = right[self._keep]
        solution = self._factors.solve(inner, side)
        for _ in range(REFINEMENTS):
            solution = solution + self._factors.solve(inner - matrix @ solution, side)
        padded = np.zeros(len(right))
        padded[self._keep] = np.maximum(solution, 0.0)
        return padded


class Eliminated:
    """Solutions without a subtraction, for a generator whose rates have relative errors of `roundings`.

    A RuntimeError says that a state does not lead to z or out of the space, an elimination takes too long, rounding
    leaves no digits, or rates are so far apart that products of them are not normal numbers.
    """

    def __init__(self, matrix: Any, leak_rates: FloatArray, z: int, roundings: float) -> None:
        n = matrix.shape[0]
        chain = Chain.of_generator(led_back(matrix, leak_rates, z))
        plan = analyse(chain.indptr, chain.indices, last=z)
        if plan.work > WORK:
            raise RuntimeError("the elimination takes too long")
        self._order, self._factors = plan.order, plan.factorise(chain.rates)
        exits = self._factors.exits[:-1]
        if not (exits > 0.0).all():
            raise RuntimeError("a state does not lead to z")
        for numbers in (self._factors.values, self._factors.shares, exits):
            if not ((numbers == 0.0) | ((numbers > NORMAL_PRODUCTS) & (numbers < 1.0 / NORMAL_PRODUCTS))).all():
                raise RuntimeError("rates are too far apart")
        self.tiny = n * UNDERFLOW * float(exits.max(initial=1.0)) / float(exits.min(initial=1.0))
        counts = plan.counts.astype(np.float64)
        path = kernels.longest_path(plan.parent, 2.0 * counts + 4.0)
        steps = 3.0 * float((counts * (counts + 4.0)).sum()) + path
        off = 1.01 * (UNIT_ROUNDOFF * steps + 2.0 * n * roundings)
        if not off < 1.0:
            raise RuntimeError("rounding leaves no digits")
        self.relative = float(np.expm1(off))

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the (n,) occupation from sources `right` (n,), zero at z."""
        return self._in_order(kernels.occupation, right)

    def solve_adjoint(self, right: FloatArray) -> FloatArray:
        """Return the (n,) mean of the integral of `right` (n,) over the time before the chain ends, zero at z."""
        return self._in_order(kernels.mean_integral, right)

    def _in_order(self, kernel: Any, right: FloatArray) -> FloatArray:
        ordered = right[self._order].astype(np.float64)
        ordered[-1] = 0.0
        kernel(*self._factors, ordered)
        solution = np.empty(len(ordered))
        solution[self._order] = ordered
        return solution


class ExitTimes:
    """Solutions without a subtraction where the chain ends only as it leaves the space: see `Eliminated`."""

    def __init__(self, matrix: Any, leak_rates: FloatArray, roundings: float) -> None:
        closed = sparse.block_diag([matrix, sparse.csr_array((1, 1))], format="csr")  # the outside is a state, met once
        self._system = Eliminated(closed, np.append(leak_rates, 0.0), len(leak_rates), roundings)
        self.relative, self.tiny = self._system.relative, self._system.tiny

    def solve(self, right: FloatArray) -> FloatArray:
        """Return the (n,) occupation from sources `right` (n,)."""
        return self._system.solve(np.append(right, 0.0))[:-1]

    def solve_adjoint(self, right: FloatArray) -> FloatArray:
        """Return the (n,) mean of the integral of `right` (n,) over the time before the chain ends."""
        return self._system.solve_adjoint(np.append(right, 0.0))[:-1]
