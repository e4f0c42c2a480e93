"""PETSc's time steppers (TS) on the closed chain: implicit, so that fast reactions need no short steps.

PETSc controls the local error of each step.  The error is an estimate: the local errors that were allowed, added up.

References
----------
S. Abhyankar et al., PETSc/TS: a modern scalable ODE/DAE solver library, arXiv:1806.01437.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import check_choice
from fsp.errors import ConvergenceError
from fsp.petsc.environment import load
from fsp.petsc.generator import require_ranks
from fsp.petsc.matrices import values_of
from fsp.petsc.options import Options
from fsp.petsc.stepping import Pairs, Stepper, pairs
from fsp.solvers.base import check_tol
from fsp.solvers.stepping import Solver, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.petsc.generator import Generator

TS_KINDS = ("arkimex", "rosw", "bdf")
FIRST_SHARE = 0.01  # of the tolerance, for the local error of one step
LARGEST_SHARE = 0.1  # the same, where steps are few; chosen, not measured
SHORTEST_STEP = 1e-3  # first one of a solve, of the shortest mean waiting time
TRIALS = 4  # of a time, each with a smaller local error
LINEAR_TOL = 1e-11  # of the linear systems, relative
MOST_TS_STEPS = 1_000_000  # hours of small systems: PETSc's own limit is none


@dataclass(frozen=True, slots=True)
class TS(Solver):
    """Integrate ``dp/dt = A p`` with PETSc's implicit time steppers.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance; an estimate.
    kind
        ``"arkimex"``, ``"rosw"`` or ``"bdf"``.
    options
        Options of PETSc by name, such as ``{"ts_type": "bdf", "ksp_type": "bcgs", "pc_type": "asm"}``.
    """

    tol: float = 1e-8
    kind: str = "arkimex"
    options: Mapping[str, Any] | Pairs = ()
    on_ranks = True
    certified = False  # the reported error is an estimate

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_choice("kind", self.kind, TS_KINDS)
        object.__setattr__(self, "options", pairs(self.options))

    @contextmanager
    def open(self, generator: Any) -> Iterator[Stepper]:
        """Bind to a distributed `generator`."""
        require_ranks(generator, "TS")
        with ExitStack() as stack:
            yield _Stepping(generator, self, stack)


class _Stepping(Stepper):
    """Takes steps with PETSc, on vectors in which every rank has sinks of its own for its own states."""

    def __init__(self, generator: Generator, solver: TS, stack: ExitStack) -> None:
        super().__init__(generator, solver)
        self._PETSc, self._kind, self._comm = load().PETSc, solver.kind, generator.comm
        self._operator = generator.operator
        self._system = _TSProblem(generator, stack)
        self._share = FIRST_SHARE
        self._shortest = 1.0 / max(generator.largest_exit_rate, 1e-300)
        self._length = self._shortest
        self._options = Options(generator.comm, dict(pairs(solver.options)))
        self._ts = stack.enter_context(self._made())

    @contextmanager
    def _made(self) -> Iterator[Any]:
        ts, system = self._PETSc.TS().create(comm=self._comm.mpi), self._system
        try:
            ts.setProblemType(ts.ProblemType.LINEAR)
            ts.setEquationType(ts.EquationType.IMPLICIT)
            ts.setType(self._kind)
            ts.setIFunction(system.residual, system.f)
            ts.setIJacobian(system.jacobian_of, system.jacobian)
            ts.setExactFinalTime(ts.ExactFinalTime.MATCHSTEP)
            ts.setMaxSteps(MOST_TS_STEPS)
            snes = ts.getSNES()
            snes.setType("ksponly")
            snes.getKSP().setTolerances(rtol=LINEAR_TOL, atol=0.0, max_it=1000)
            if self._kind == "arkimex":
                ts.setARKIMEXFullyImplicit(True)
            yield ts
        finally:
            ts.destroy()

    def integrate(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return the vector at t + h; see `Stepper.integrate`."""
        before, added, n = self._system.n_products, self._operator.added, self._operator.n
        mass = added(float(z.sum()))
        if mass == 0.0:
            return Step(z.copy(), h)
        for _ in range(TRIALS):
            self._system.u.getArray()[:] = z
            n_steps = self._solve(t, h, self._share * tol)
            spent = n_steps * self._share
            self._share = min(LARGEST_SHARE, 0.5 / n_steps)
            if spent <= 1.0:
                break
        y = np.array(values_of(self._system.u))
        y[n:] = (1.0 if self._comm.rank == 0 else 0.0) * added(y[n:].copy())  # the first rank keeps what sinks hold
        off = abs(added(float(y.sum())) - mass)
        if not off < inf:
            raise ConvergenceError(
                f"TS must return finite numbers at t = {t:.6g}, but does not, though PETSc reports convergence. Loosen "
                f"`tol` or choose another `kind`."
            )
        return Step(y, h, spent * tol + off, n_matvec=self._system.n_products - before)

    def _solve(self, t: float, h: float, local_error: float) -> int:
        """Integrate over a time, in steps whose local errors are at most `local_error` in the 1-norm; count them."""
        ts = self._ts
        ts.setTolerances(rtol=0.0, atol=local_error / int(self._system.u.getSize()))
        self._system.begin(t)
        ts.setTime(0.0)  # late times have few digits
        ts.setStepNumber(0)
        ts.setMaxTime(h)
        ts.setTimeStep(min(self._length, h))
        try:
            with self._options.over() as prefix:
                ts.setOptionsPrefix(prefix)
                ts.setFromOptions()
            ts.solve(self._system.u)
            reason = int(ts.getConvergedReason())
        except self._PETSc.Error as error:
            raise ConvergenceError(
                f"TS stopped at t = {t:.6g} with PETSc's error {error.ierr}. Loosen `tol` or choose another "
                f"preconditioner in `options`."
            ) from error
        if reason < 0:
            raise ConvergenceError(
                f"TS stopped at t = {t:.6g} for PETSc's reason {reason} (-1: a linear system was not solved, -2: step "
                f"rejected too often). Loosen `tol` or choose another preconditioner in `options`."
            )
        self._length = max(float(ts.getTimeStep()), SHORTEST_STEP * self._shortest)
        return int(ts.getStepNumber())


class _TSProblem:
    """``u' - A(t) u = 0`` as PETSc calls it; counts products."""

    def __init__(self, generator: Generator, stack: ExitStack) -> None:
        self._generator, self._timed = generator, not generator.is_constant
        self._same, self._different = (getattr(load().PETSc.Mat.Structure, name) for name in ("SAME", "DIFFERENT"))
        self._matrix = stack.enter_context(generator.closed_aij())
        self.jacobian = self._matrix.duplicate(copy=True)
        self.u, self.f = self._matrix.createVecs()
        for part in (self.jacobian, self.u, self.f):
            stack.callback(part.destroy)
        self._start, self._at = 0.0, -1.0  # time from which PETSc counts, and time of the matrix
        self._shift: tuple[float, float] | None = None
        self.n_products = 0

    def begin(self, t: float) -> None:
        """Count time from t."""
        self._start = t

    def _at_time(self, since: float) -> Any:
        """Return the matrix at a time after the start."""
        t = self._start + since
        if self._timed and t != self._at:
            with self._generator.at(t).closed_aij() as current:
                current.copy(self._matrix, structure=self._different)
            self._at = t
        return self._matrix

    def residual(self, ts: Any, t: float, u: Any, slope: Any, f: Any) -> None:
        """Write ``u' - A u`` to f."""
        self.n_products += 1
        self._at_time(t).mult(u, f)
        f.aypx(-1.0, slope)

    def jacobian_of(self, ts: Any, t: float, u: Any, slope: Any, shift: float, J: Any, P: Any) -> None:
        """Write ``shift I - A`` to P."""
        now = (shift, self._start + t if self._timed else 0.0)
        if self._shift == now:
            return
        self._at_time(t).copy(P, structure=self._same)
        P.scale(-1.0)
        P.shift(shift)
        self._shift = now
