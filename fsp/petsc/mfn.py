"""SLEPc's Krylov exponential (MFN) of the closed chain.

SLEPc estimates the 2-norm of its local errors and proves nothing, so the error is an estimate: what it was asked for,
as a 1-norm, and the mass that it made or lost.  A vector of another mass than it was given is refused, whatever SLEPc
says of it: its type `krylov` has reported convergence and returned one of mass zero over long times.

References
----------
V. Hernandez, J. E. Roman, V. Vidal, SLEPc, ACM Trans. Math. Softw. 31 (2005) 351, doi:10.1145/1089014.1089019;
R. B. Sidje, Expokit, ACM Trans. Math. Softw. 24 (1998) 130, doi:10.1145/285861.285868.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError, ConvergenceError
from fsp.petsc.environment import load
from fsp.petsc.generator import require_ranks
from fsp.petsc.matrices import values_of
from fsp.petsc.options import Options
from fsp.petsc.stepping import Pairs, Stepper, pairs
from fsp.petsc.systems import petsc_errors
from fsp.solvers.base import check_count, check_tol
from fsp.solvers.stepping import Solver, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.petsc.generator import Generator

SMALLEST_TOL = 1e-15  # that SLEPc is asked for: below, its steps do not end
EXPOKIT_FACTOR = 1.2  # by which expokit passes its tolerance
MASS_FACTOR = 10.0  # times the estimate, by which the mass may be off
MASS_ROUNDING = 1e-11  # of the mass


@dataclass(frozen=True, slots=True)
class MFN(Solver):
    """Approximate ``exp(tA) p`` with SLEPc.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance; an estimate.
    kind
        ``"expokit"``, in steps, or ``"krylov"``, restarted over the whole time.
    dimension
        Size of a subspace.
    options
        Options of SLEPc by name, such as ``{"mfn_type": "krylov"}``.
    """

    tol: float = 1e-10
    kind: str = "expokit"
    dimension: int = 30
    options: Mapping[str, Any] | Pairs = ()
    on_ranks = True
    certified = False  # the reported error is an estimate

    def __post_init__(self) -> None:
        check_tol(self.tol)
        if self.kind not in ("expokit", "krylov"):
            raise ArgumentError(f"`kind` must be one of expokit, krylov, but is {self.kind!r}.")
        check_count("dimension", self.dimension, 2)
        object.__setattr__(self, "options", pairs(self.options))

    @contextmanager
    def open(self, generator: Any) -> Iterator[Stepper]:
        """Bind to a distributed `generator`, whose propensities must not depend on time."""
        require_ranks(generator, "MFN")
        self.check(generator.local)
        with ExitStack() as stack:
            yield _Exponential(generator, self, stack)


class _Closed:
    """What SLEPc calls to apply the closed chain; counts how often."""

    def __init__(self, generator: Generator) -> None:
        self._operator = generator.operator
        self._norm = 2.0 * generator.largest_exit_rate
        self.count = 0

    def norm(self, matrix: Any, kind: Any) -> float:
        """Return the 1-norm, from which SLEPc takes the length of its first step."""
        return self._norm

    def mult(self, matrix: Any, x: Any, y: Any) -> None:
        """Write A x to y."""
        self.count += 1
        self._operator.product(values_of(x), y.getArray())


class _Exponential(Stepper):
    """Takes steps with SLEPc."""

    def __init__(self, generator: Generator, solver: MFN, stack: ExitStack) -> None:
        super().__init__(generator, solver)
        environment = load()
        self._operator, self._closed, self._dimension = generator.operator, _Closed(generator), solver.dimension
        size = self._operator.size
        of_all = int(generator.comm.sum(size))
        self._root = sqrt(of_all)
        sizes = ((size, of_all), (size, of_all))
        matrix = environment.PETSc.Mat().createPython(sizes, self._closed, comm=generator.comm.mpi)
        stack.callback(matrix.destroy)
        matrix.setUp()
        self._x, self._y = matrix.createVecs()
        stack.callback(self._x.destroy)
        stack.callback(self._y.destroy)
        self._mfn = environment.SLEPc.MFN().create(comm=generator.comm.mpi)
        stack.callback(self._mfn.destroy)
        self._mfn.setOperator(matrix)
        self._mfn.setType(solver.kind)
        self._mfn.setDimensions(min(solver.dimension, of_all))
        self._options = Options(generator.comm, dict(pairs(solver.options)))

    def integrate(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return exp(hA) z; see `Stepper.integrate`."""
        before, mass = self._closed.count, self._operator.added(float(z.sum()))
        if mass == 0.0:
            return Step(z.copy(), h)
        asked = max(tol / (EXPOKIT_FACTOR * self._root * h), SMALLEST_TOL)
        function = self._mfn.getFN()
        function.setType("exp")
        function.setScale(h, 1.0)
        self._mfn.setTolerances(asked)
        self._x.getArray()[:] = z
        with petsc_errors():
            with self._options.over() as prefix:
                self._mfn.setOptionsPrefix(prefix)
                self._mfn.setFromOptions()
            self._mfn.solve(self._x, self._y)
        reason = int(self._mfn.getConvergedReason())
        if reason < 0:
            raise ConvergenceError(
                f"MFN stopped at t = {t:.6g} for SLEPc's reason {reason} (-1: too many steps, -2: breakdown). Loosen "
                f"`tol`, raise `dimension` ({self._dimension}), or use solver='chebyshev'."
            )
        y = np.array(values_of(self._y))
        error = EXPOKIT_FACTOR * self._root * h * asked
        off = abs(self._operator.added(float(y.sum())) - mass)
        if not off <= MASS_FACTOR * error + MASS_ROUNDING * mass:
            raise ConvergenceError(
                f"MFN must keep the mass {mass:.6g} at t = {t:.6g}, but returned one that is off by {off:.1e}, though "
                f"SLEPc reports convergence. Use kind='expokit', shorter times, or solver='chebyshev'."
            )
        return Step(y, h, error + off, n_matvec=self._closed.count - before)
