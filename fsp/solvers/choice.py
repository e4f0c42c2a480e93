"""Choose a solver by name, by value, or by estimated work."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log2, sqrt
from typing import TYPE_CHECKING

from fsp.errors import ArgumentError
from fsp.solvers.chebyshev import Chebyshev
from fsp.solvers.implicit import Implicit
from fsp.solvers.krylov import Krylov
from fsp.solvers.linear import WIDEST_BAND
from fsp.solvers.magnus import Magnus
from fsp.solvers.rational import Rational
from fsp.solvers.uniformization import Uniformization

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fsp.generator import Generator
    from fsp.solvers.base import Solver

SOLVERS: dict[
    str, type[Uniformization] | type[Krylov] | type[Chebyshev] | type[Rational] | type[Implicit] | type[Magnus]
] = {
    "uniformization": Uniformization,
    "krylov": Krylov,
    "chebyshev": Chebyshev,
    "rational": Rational,
    "implicit": Implicit,
    "magnus": Magnus,
}

# Work in units of one multiply-add of a product on runs, about 0.25 ns, fitted to measured runs.
VECTOR_WORK = {"uniformization": 1.5, "chebyshev": 2.0, "krylov": 10.0, "rational": 55.0}  # per state and product
CALL_WORK = {"uniformization": 1e3, "chebyshev": 1e4, "krylov": 2e4, "rational": 4.5e5}  # per product
KRYLOV_BYTES = 2**32  # of a basis, beyond which it is not chosen
STEP_VECTORS = 25.0  # solves of one rational step
FACTOR_SHARE = 0.5  # factorisations per rational step
STEPS_AN_OCTAVE = 0.4  # rational steps while time doubles
SHORT_STEPS = 2.0  # rational steps that a change of the space costs
REJECTED_STEPS = 2.0  # times the products of uniformization where steps are cut short by the loss
CLEAR_GAIN = 1.5
LEAST_WORK = 1e8  # below, a change of solver cannot pay
FORGETTING = 0.9  # power that what was learnt of a solver is raised to while another one works
LARGEST_FACTOR = 64.0  # by which a solver may need more, or fewer, products than expected
DIRECT_WORK = 1e11  # of a factorisation that is still considered
# With rates that depend on time, each step looks at the residual in a dozen points and factorises more often.
TIMED_IMPLICIT_STATES = 300
TIMED_IMPLICIT_STATES_PLANAR = 1_000


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
    solvers
        Those that there are, by name.
    automatic
        The names of those that are chosen by the work that they promise.

    Raises
    ------
    ArgumentError
        If the name is not known, or the value is no solver.
    """

    def __init__(
        self,
        solver: str | Solver,
        tol: float,
        solvers: Mapping[str, type] = SOLVERS,
        automatic: Collection[str] = tuple(VECTOR_WORK),
    ) -> None:
        self._asked = _as_solver(solver, tol, solvers)
        self._solvers = solvers
        self._tol = tol
        self._factor = dict.fromkeys(automatic, 1.0)  # products used, over those expected
        self._jumps_of_a_step = inf  # of the rational solver

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
        if not generator.is_constant:
            return self._timed(generator)
        work = self._work(generator, duration)
        if growing:  # an expansion that loses too much is thrown away as a whole
            work.pop("chebyshev")
            work["uniformization"] *= REJECTED_STEPS
            if "rational" in work:
                work["rational"] += _work_of_short_steps(generator)
        name = min(work, key=work.__getitem__)
        if current is not None:
            now = _name_of(current.solver)
            if work.get(now, inf) < max(LEAST_WORK, CLEAR_GAIN * work[name]):
                return current
        estimates = ", ".join(f"{other} {amount:.0e}" for other, amount in work.items())
        return Choice(SOLVERS[name](tol=self._tol), f"auto: least of the estimated operations {estimates}")

    def learn(self, solver: Solver, n_matvec: int, jumps: float, steps: float) -> None:
        """Take note of how many products a solver used for `jumps` = Λt; what is known of others fades.

        `steps` is the number of steps, of the length that the solver now takes, in that time; 0 if it has none.
        """
        used = _name_of(solver)
        if used == "rational" and steps > 0.0:
            self._jumps_of_a_step = jumps / steps
        for name in self._factor:
            if name != used:
                self._factor[name] **= FORGETTING
            elif n_matvec:
                factor = n_matvec / self._expected_products(name, jumps)
                self._factor[name] = min(max(factor, 1.0 / LARGEST_FACTOR), LARGEST_FACTOR)

    def least_work(self, generator: Generator, duration: float) -> float:
        """Return the least work that is expected for `duration` units of time on `generator`."""
        return min(self._work(generator, duration).values())

    def work_of_change(self, solver: Solver, generator: Generator) -> float:
        """Return the work that a solver has with another space of this size, before its steps are as long again."""
        return _work_of_short_steps(generator) if _name_of(solver) == "rational" else 0.0

    def _timed(self, generator: Generator) -> Choice:
        """Return the solver for propensities that depend on time."""
        if "implicit" not in self._solvers:
            return Choice(Magnus(self._tol), "auto: propensities depend on time")
        if not generator.is_scalable:
            return Choice(Implicit(self._tol), "auto: propensities depend on time, which does not factor out")
        planar = generator.work <= 5.5 * len(generator)
        if len(generator) <= (TIMED_IMPLICIT_STATES_PLANAR if planar else TIMED_IMPLICIT_STATES):
            return Choice(Implicit(self._tol), "auto: propensities depend on time, and factorisations are cheap")
        return Choice(Magnus(self._tol), "auto: propensities depend on time")

    def _work(self, generator: Generator, duration: float) -> dict[str, float]:
        """Return the expected work of every solver, in multiply-adds."""
        n = len(generator)
        jumps = generator.largest_exit_rate * duration  # Λt
        units = {name: _unit_work(name, generator) for name in self._factor}
        work = {name: self._factor[name] * self._expected_products(name, jumps) * unit for name, unit in units.items()}
        if units.get("rational") == inf:
            del work["rational"]
        if 8 * n * (Krylov().dimension + 1) > KRYLOV_BYTES:
            work.pop("krylov", None)
        return work

    def _expected_products(self, name: str, jumps: float) -> float:
        """Return the number of products that a solver needs for `jumps` = Λt, by what runs have shown."""
        if name == "uniformization":
            return jumps + 5.0 * sqrt(jumps) + 10.0
        if name == "krylov":
            return 0.35 * jumps + 25.0
        if name == "chebyshev":
            return 0.3 * jumps + 120.0
        steps = STEPS_AN_OCTAVE * log2(1.0 + jumps)  # rational: steps grow with time
        if self._jumps_of_a_step < inf:
            steps = min(steps, jumps / self._jumps_of_a_step)
        return STEP_VECTORS * (1.0 + steps)


def _name_of(solver: Solver) -> str:
    return next((name for name, kind in SOLVERS.items() if isinstance(solver, kind)), "")


def _unit_work(name: str, generator: Generator) -> float:
    """Return the work of one product, or solve, and of what a solver does with it, in multiply-adds; inf: too much."""
    n = len(generator)
    work = generator.work * generator.operator.work + VECTOR_WORK[name] * n + CALL_WORK[name]
    if name == "rational":
        factorisation, solve = _direct_work(generator)
        work += solve + FACTOR_SHARE / STEP_VECTORS * factorisation if factorisation <= DIRECT_WORK else inf
    return work


def _work_of_short_steps(generator: Generator) -> float:
    """Return the work of the first steps of the rational solver on another space."""
    return SHORT_STEPS * STEP_VECTORS * _unit_work("rational", generator)


def _direct_work(generator: Generator) -> tuple[float, float]:
    """Return the work of factorising a shifted generator, and of one solve, by the fill-in to expect."""
    n = float(len(generator))
    per_row = generator.work / n
    extent = generator.space.top - generator.space.bottom
    # States that a jump passes in the best order: those that differ in the species with fewest counts.
    width = 1.0 if per_row <= 3.5 else 1.0 + float(extent[extent > 0].min(initial=WIDEST_BAND))
    if per_row <= 5.5 and width <= WIDEST_BAND:  # a chain, or two species
        return (300.0 + 5.0 * width**2) * n, (10.0 + 2.2 * width) * n
    if per_row <= 5.5:
        return 90.0 * n**1.5 + 1e6, 60.0 * n
    return 16.0 * n * n + 1e6, 10.0 * n ** (4.0 / 3.0)


def _as_solver(solver: str | Solver, tol: float, solvers: Mapping[str, type]) -> Solver | None:
    """Return the solver that a name or a value stands for, None for ``"auto"``."""
    names = ", ".join(["auto", *solvers])
    if not isinstance(solver, str):
        if isinstance(solver, type) or not hasattr(solver, "open"):
            raise ArgumentError(f"`solver` must be a name ({names}) or a solver value, but is {solver!r}.")
        return solver
    if solver == "auto":
        return None
    if solver not in solvers:
        raise ArgumentError(f"`solver` must be one of {names}, but is '{solver}'.")
    made: Solver = solvers[solver](tol=tol)
    return made
