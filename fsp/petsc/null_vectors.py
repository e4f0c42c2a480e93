"""Null vectors of irreducible generators that are spread over ranks.

A vector x is corrected by ``d`` with ``A d = -A x`` until its residual is that of rounding or small enough: the
systems are solved with a factorisation of A - σ (``"direct"``: this is inverse iteration), or by GMRES with incomplete
factors (``"iterative"``).  With ``"eigen"`` the first x is that of SLEPc.
No convergence flag is trusted.  What counts is the residual ‖A p‖₁ of the non-negative vector of mass one, and what it
hides: the error is about ‖A⁺‖ times that, and ‖A⁺‖, about the inverse of the spectral gap, is estimated by power steps
``z ← A⁺ z`` from a vector that is far from rest in the slow directions.

References
----------
G. H. Golub, C. D. Meyer, SIAM J. Algebr. Discrete Methods 7 (1986) 273, doi:10.1137/0607031.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.null_vectors import NullVector, best_of
from fsp.errors import ConvergenceError
from fsp.petsc.eigensolver import MOST_DIRECT_STATES, eigensolver
from fsp.petsc.systems import DIRECT_STATES, LOOSE, diagonal, solver, vectors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.petsc.comm import Communicator
    from fsp.petsc.options import Options
    from fsp.petsc.systems import LinearSolver

CORRECTIONS = 8  # corrections: each gains six digits or more, or the spectrum forbids it; chosen, not measured
LOOSEST = 0.1  # that the residual of a correction may be of its right side
POWER_STEPS = 2  # the start is rich in slow directions; `INVERSE_SAFETY` covers what is missing
POWER_RTOL = 1e-3  # of their residuals: an estimate needs no more
INVERSE_SAFETY = 10.0  # over the estimate of ‖A⁺‖: far out it is larger, by the logarithm of the distance
RESIDUAL_ROUNDING = 2.0 * UNIT_ROUNDOFF  # relative, of the product of a rate and of the sums in and out
AT_REST = 4.0  # times the noise that a residual of rounding alone may be
ESTIMABLE = 1e-8  # residual, relative to the flow, from which on ‖A⁺‖ can be estimated
METHODS = ("direct", "iterative", "eigen")
MOST_NEGATIVE = 1e-6  # sum of the negative entries of a vector that is taken for a distribution


@dataclass(frozen=True, slots=True, eq=False)
class NullVectorProblem:
    """An irreducible chain whose stationary vector is wanted."""

    comm: Communicator
    matrix: Any  # its generator, a PETSc matrix whose columns sum to zero
    place: FloatArray  # a function of the state that tells slow directions apart, (n_local,)
    target: float  # error from which on nothing need be improved
    options: Options  # what the user asks of PETSc

    @property
    def n(self) -> int:
        """Number of states of all ranks."""
        return int(self.matrix.getSize()[0])


def null_vector(problem: NullVectorProblem, method: str = "auto", guess: FloatArray | None = None) -> NullVector:
    """Return the stationary vector by the first solver whose answer stands the checks; else the best one.

    `method` is one of `METHODS` or ``"auto"``; `guess` (n_local,) is this rank's part of a vector to begin with.
    """
    if problem.n == 1:
        return NullVector(np.ones(problem.matrix.getLocalSize()[0]), 0.0, 0.0, True, "direct", "one state")
    names, why = (_order(problem.n), f"{problem.n:,} states") if method == "auto" else ((method,), "asked for")
    return best_of(names, why, lambda name: _solved(problem, name, guess), problem.target)


def _order(n: int) -> tuple[str, ...]:
    if n <= DIRECT_STATES:
        return "direct", "iterative"
    return ("iterative", "direct") if n <= MOST_DIRECT_STATES else ("iterative",)


def _solved(problem: NullVectorProblem, name: str, guess: FloatArray | None) -> NullVector:
    """Return the vector by one of the solvers."""
    matrix, inner = problem.matrix, name
    if name == "eigen":
        inner = "direct" if problem.n <= MOST_DIRECT_STATES else "iterative"
        x = _eigenvector(problem, inner)
    else:  # not symmetric, so that it holds something of every slow direction
        x = 1.0 + problem.place if guess is None else np.array(guess)
    with (
        vectors(matrix, 2) as work,
        solver(problem.comm, matrix, problem.options, inner, singular=True) as system,
    ):
        return _corrected(_SpreadChain(problem, system, work), x)


class _SpreadChain:
    """A chain with a solver of its systems; vectors are this rank's parts, (n_local,)."""

    def __init__(self, problem: NullVectorProblem, system: LinearSolver, work: tuple[Any, ...]) -> None:
        self._problem, self._system, self._work = problem, system, work
        self._exit_rates = np.abs(diagonal(problem.matrix))
        self.target = problem.target

    def product(self, x: FloatArray) -> FloatArray:
        """Return A x."""
        source, result = self._work
        source.array[:] = x
        self._problem.matrix.mult(source, result)
        return np.array(result.array)

    def solve(self, b: FloatArray, rtol: float = LOOSE) -> FloatArray:
        """Return d with A d = b, roughly."""
        return self._system.solve(b, rtol)

    def norm(self, x: FloatArray) -> float:
        """Return ‖x‖₁."""
        return self.sum(np.abs(x))

    def sum(self, x: FloatArray) -> float:
        """Return the sum over all states."""
        return float(self._problem.comm.sum(float(x.sum())))

    def normalised(self, x: FloatArray) -> FloatArray:
        """Return `x` divided by its sum; raise a ConvergenceError if it has none to speak of."""
        total, size = self.sum(x), self.norm(x)
        if not 1e-3 * size < abs(total) < inf:
            raise ConvergenceError(f"a vector of 1-norm {size:.1e} has the sum {total:.1e}")
        return x / total

    def noise(self, x: FloatArray) -> float:
        """Return what rounding leaves of a residual: about half a unit in the last place of what flows in and out."""
        return RESIDUAL_ROUNDING * self.sum(self._exit_rates * np.abs(x))

    def hidden(self, x: FloatArray) -> float:
        """Return an estimate of ‖A⁺‖, from below, by power steps that start from `x` times the place of a state."""
        place = self._problem.place
        z = x * (place - self.sum(x * place))
        gain = 1.0 / float(self._problem.comm.max(float(self._exit_rates.max(initial=0.0))))  # at least
        for _ in range(POWER_STEPS):
            y = self.solve(z - x * self.sum(z), POWER_RTOL)
            y -= x * self.sum(y)
            gain = max(gain, self.norm(y) / max(self.norm(z), 1e-300))
            z = y / max(self.norm(y), 1e-300)
        return gain


def _corrected(chain: _SpreadChain, x: FloatArray) -> NullVector:
    """Correct a vector until it is at rest."""
    x = chain.normalised(x)
    r = chain.product(x)
    hidden, last, rtol = inf, inf, LOOSE
    for _ in range(CORRECTIONS):
        size, noise = chain.norm(r), chain.noise(x)
        if size <= ESTIMABLE / RESIDUAL_ROUNDING * noise:
            hidden = chain.hidden(x) if hidden == inf else hidden
            if INVERSE_SAFETY * hidden * (size + noise) <= chain.target or size <= noise or size > 0.5 * last:
                break
            needed = chain.target / (2.0 * INVERSE_SAFETY * hidden)
            rtol = min(max(needed / size, LOOSE), LOOSEST)
        last = size
        x = chain.normalised(x - chain.solve(r, rtol))
        r = chain.product(x)
    return _checked(chain, x, hidden)


def _checked(chain: _SpreadChain, x: FloatArray, hidden: float) -> NullVector:
    """Return the distribution that a vector is but for little; raise a ConvergenceError if it is not one."""
    negative = -chain.sum(np.minimum(x, 0.0))
    if not negative <= MOST_NEGATIVE:
        raise ConvergenceError(f"negative entries sum to {negative:.1e}")
    p = chain.normalised(np.maximum(x, 0.0))
    residual, noise = chain.norm(chain.product(p)), chain.noise(p)
    error = INVERSE_SAFETY * hidden * (residual + noise) if hidden < inf else 2.0
    if not error < 1.0:
        flow = noise / RESIDUAL_ROUNDING
        raise ConvergenceError(f"the residual is {residual:.1e} of {flow:.1e} that flows, an error of {error:.1e}")
    return NullVector(p, residual, error, residual <= AT_REST * noise)


def _eigenvector(problem: NullVectorProblem, inner: str) -> FloatArray:
    """Return the eigenvector to the eigenvalue nearest to zero that SLEPc finds, of any size and sign."""
    with (
        eigensolver(problem.comm, problem.matrix, problem.options, 1, inner) as eps,
        vectors(problem.matrix, 2) as pair,
    ):
        if eps.getConverged() < 1:
            raise ConvergenceError(f"SLEPc's solver ended with reason {eps.getConvergedReason()} of EPSConvergedReason")
        eps.getEigenpair(0, *pair)
        return np.array(pair[0].array)
