"""Choose a solver by name, by value, or by estimated work."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING

from fsp.errors import ArgumentError
from fsp.generator.operator import RowOperator
from fsp.solvers.chebyshev import Chebyshev
from fsp.solvers.implicit import Implicit
from fsp.solvers.krylov import Krylov
from fsp.solvers.magnus import Magnus
from fsp.solvers.uniformization import Uniformization

if TYPE_CHECKING:
    from fsp.generator import Generator
    from fsp.solvers.base import Solver

SOLVERS: dict[str, type[Uniformization] | type[Krylov] | type[Chebyshev] | type[Implicit] | type[Magnus]] = {
    "uniformization": Uniformization,
    "krylov": Krylov,
    "chebyshev": Chebyshev,
    "implicit": Implicit,
    "magnus": Magnus,
}

# Work in units of one multiply-add of a product on runs, about 0.25 ns, fitted to measured runs.
PRODUCTS = {"krylov": 0.35, "chebyshev": 0.3}  # per Λt, until a run has shown its own
STARTING_PRODUCTS = {"krylov": 50.0, "chebyshev": 120.0}  # short steps at first
# Per state and product: what is done to vectors besides; for Krylov orthogonalisation and the final combination.
VECTOR_WORK = {"uniformization": 1.5, "chebyshev": 2.0, "krylov": 10.0}
ROW_WORK = 4.0  # of a multiply-add of the assembled form
KRYLOV_BYTES = 2**32  # of a basis, beyond which it is not chosen
CLEAR_GAIN = 1.5
LEAST_WORK = 1e8  # below, a change of solver cannot pay
IMPLICIT_STEPS = 600.0
IMPLICIT_STEP_WORK = 30.0  # per n^1.25, of the triangular solves and products of one step
IMPLICIT_FACTOR_WORK = 1600.0  # per n^1.5, of the factorisations of all step lengths
IMPLICIT_STATES = 60_000
# With rates that depend on time, each step looks at the residual in a dozen points and factorises more often.
TIMED_IMPLICIT_STATES = 300
TIMED_IMPLICIT_STATES_PLANAR = 1_000
IMPLICIT_STATES_PLANAR = 400_000  # at most 5 entries a row: fill-in grows slowly


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver and why it was taken."""

    solver: Solver
    reason: str


class Chooser:
    """Choose the solver for each generator of a run: the one asked for, or the one with the least estimated work.

    Parameters
    ----------
    solver
        ``"auto"``, a name of `SOLVERS`, or a solver value.
    tol
        Tolerance of a solver that is made here.

    Raises
    ------
    ArgumentError
        If the name is not known, or the value is no solver.
    """

    def __init__(self, solver: str | Solver, tol: float) -> None:
        self._asked = _as_solver(solver, tol)
        self._tol = tol
        self._products = dict(PRODUCTS)

    @property
    def tol(self) -> float:
        """Tolerance of the solver asked for, or of those made here."""
        return self._tol if self._asked is None else self._asked.tol

    def choose(
        self, generator: Generator, duration: float, current: Choice | None = None, *, growing: bool = False
    ) -> Choice:
        """Return the solver for `duration` units of time on `generator`; leave `current` only for a clear gain.

        `growing` says that steps will be cut short where probability leaves the space.
        """
        if self._asked is not None:
            return Choice(self._asked, "asked for")
        if generator.model.is_time_dependent:
            return self._timed(generator)
        work = self._work(generator, duration)
        if growing:  # an expansion that loses too much is thrown away as a whole
            work.pop("chebyshev")
        name = min(work, key=work.__getitem__)
        if current is not None:
            now = next((key for key, kind in SOLVERS.items() if isinstance(current.solver, kind)), name)
            if work.get(now, inf) < max(LEAST_WORK, CLEAR_GAIN * work[name]):
                return current
        estimates = ", ".join(f"{other} {amount:.0e}" for other, amount in work.items())
        return Choice(SOLVERS[name](tol=self._tol), f"auto: least of the estimated operations {estimates}")

    def _timed(self, generator: Generator) -> Choice:
        """Return the solver for propensities that depend on time."""
        if not generator.is_scalable:
            return Choice(Implicit(self._tol), "auto: propensities depend on time, which does not factor out")
        planar = generator.work <= 5.5 * len(generator)
        if len(generator) <= (TIMED_IMPLICIT_STATES_PLANAR if planar else TIMED_IMPLICIT_STATES):
            return Choice(Implicit(self._tol), "auto: propensities depend on time, and factorisations are cheap")
        return Choice(Magnus(self._tol), "auto: propensities depend on time")

    def learn(self, solver: Solver, n_matvec: int, jumps: float) -> None:
        """Take note of how many products a solver used for `jumps` = Λt."""
        for name in self._products:
            if isinstance(solver, SOLVERS[name]) and n_matvec >= 4 * STARTING_PRODUCTS[name]:
                self._products[name] = n_matvec / jumps

    def _work(self, generator: Generator, duration: float) -> dict[str, float]:
        n, nnz = len(generator), generator.work
        jumps = generator.largest_exit_rate * duration  # Λt
        product = nnz * (ROW_WORK if isinstance(generator.operator, RowOperator) else 1.0)
        products = {name: share * jumps + STARTING_PRODUCTS[name] for name, share in self._products.items()}
        products["uniformization"] = jumps + 5.0 * sqrt(jumps) + 10.0
        if 8 * n * (Krylov().dimension + 1) > KRYLOV_BYTES:
            products.pop("krylov")
        work = {name: number * (product + VECTOR_WORK[name] * n) for name, number in products.items()}
        if n <= (IMPLICIT_STATES_PLANAR if nnz <= 5.5 * n else IMPLICIT_STATES):
            steps = IMPLICIT_STEPS * (20.0 * nnz + IMPLICIT_STEP_WORK * n**1.25 + 2e6)
            work["implicit"] = steps + IMPLICIT_FACTOR_WORK * n**1.5
        return work


def _as_solver(solver: str | Solver, tol: float) -> Solver | None:
    """Return the solver that a name or a value stands for, None for ``"auto"``."""
    if not isinstance(solver, str):
        if isinstance(solver, type) or not hasattr(solver, "open"):
            raise ArgumentError(
                f"`solver` must be a name ({', '.join(['auto', *SOLVERS])}) or a solver value, but is {solver!r}."
            )
        return solver
    if solver == "auto":
        return None
    if solver not in SOLVERS:
        raise ArgumentError(f"`solver` must be one of {', '.join(['auto', *SOLVERS])}, but is '{solver}'.")
    return SOLVERS[solver](tol=tol)
