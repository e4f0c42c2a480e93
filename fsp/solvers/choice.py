"""Choose a solver by name, by value, or by estimated work."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, log2, log10, sqrt
from typing import TYPE_CHECKING

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.errors import ArgumentError, ConvergenceError
from fsp.solvers.base import REPORT_WORK
from fsp.solvers.chebyshev import Chebyshev
from fsp.solvers.implicit import Implicit
from fsp.solvers.krylov import Krylov
from fsp.solvers.linear import WIDEST_BAND
from fsp.solvers.magnus import Magnus
from fsp.solvers.rational import Rational
from fsp.solvers.squaring import FEWEST_JUMPS, MOST_STATES, Squaring
from fsp.solvers.uniformization import Uniformization

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fsp.generator import Generator
    from fsp.solvers.base import Advance, Solver

SOLVERS: dict[
    str,
    type[Uniformization]
    | type[Krylov]
    | type[Chebyshev]
    | type[Rational]
    | type[Squaring]
    | type[Implicit]
    | type[Magnus],
] = {
    "uniformization": Uniformization,
    "krylov": Krylov,
    "chebyshev": Chebyshev,
    "rational": Rational,
    "squaring": Squaring,
    "implicit": Implicit,
    "magnus": Magnus,
}

AUTOMATIC = ("uniformization", "chebyshev", "krylov", "rational", "squaring")  # chosen by the work that they promise
# Work in units of one multiply-add of a product on runs, about 0.25 ns, fitted to measured runs.
VECTOR_WORK = {  # per state and product
    "uniformization": 1.5,
    "chebyshev": 2.0,
    "krylov": 10.0,
    "rational": 55.0,
    "implicit": 100.0,
    "magnus": 20.0,
}
CALL_WORK = {  # per product
    "uniformization": 1e3,
    "chebyshev": 1e4,
    "krylov": 2e4,
    "rational": 4.5e5,
    "implicit": 1e5,
    "magnus": 1e5,
}
SQUARING_WORK = 2e6, 5e5, 3.5  # of binding, of each level, and of that for each of n³
FIRST_LEVELS = 3.0  # levels that the first power and the last, short one cost
SQUARING_BYTES = 2**30  # of all powers, beyond which it is not chosen
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
IMPLICIT_WORK = 4.0  # of the implicit solver, over that expected of the rational one
STALLED = 2.0  # times the work that another solver promises for all of it, which one may take and be behind
DISTRUST = 10.0  # times the work expected of a solver for each time that it gave way
STEPPED = ("krylov", "chebyshev", "rational", "implicit")  # whose work can be far more than expected
FACTORISING = ("rational", "implicit")
RATIONAL_ROUNDING = 4e-13  # of a step
# With rates that depend on time, each step looks at the residual in a dozen points and factorises more often.
TIMED_IMPLICIT_STATES = 300
TIMED_IMPLICIT_STATES_PLANAR = 1_000


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver and why it was taken."""

    solver: Solver
    reason: str


@dataclass(slots=True)
class _Effort:
    """What a solver did since it was bound to its generator, in multiply-adds.

    Parameters
    ----------
    work, covered
        All of it, and the time that it served for.
    pace, rounding
        Work and charge for rounding per unit of time, in the last advance.
    """

    work: float = 0.0
    covered: float = 0.0
    pace: float = 0.0
    rounding: float = 0.0


class Chooser:
    """Choose the solver for each generator of a run: the one asked for, or the one with the least estimated work.

    Solvers whose rounding would miss what is allowed come after those whose does not.  Those that gave way, because
    they failed or stalled, are not taken again on the same generator, and on others they have to promise more.

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
    rounding, span
        Rounding that may be charged, in how much time.

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
        automatic: Collection[str] = AUTOMATIC,
        rounding: float = inf,
        span: float = 1.0,
    ) -> None:
        self._asked = _as_solver(solver, tol, solvers)
        self._solvers = solvers
        self._tol = tol
        self._factor = dict.fromkeys(automatic, 1.0)  # products used, over those expected
        self._jumps_of_a_step = inf  # of the rational solver
        self._allowed, self._span = rounding, span
        self._effort = _Effort()
        self._gave_way: dict[str, str] = {}  # what each of them came to on this generator
        self._distrust: dict[str, float] = {}  # factors of their work on others

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
        if current is not None and self._stalls(current.solver, generator, duration, growing):
            self._leave(current.solver, "stalled")
            current = None
        work = self._work(generator, duration, growing)
        if not work:
            raise self._none_left()
        miss = {name: self._miss(name, generator, duration) for name in work}
        name = min(work, key=lambda name: (miss[name], work[name]))
        if current is not None:
            now = _name_of(current.solver)
            if miss.get(now, inf) <= miss[name] and work[now] < max(LEAST_WORK, CLEAR_GAIN * work[name]):
                return current
        return Choice(SOLVERS[name](tol=self._tol), _reason(work, miss, miss[name]))

    def give_way(self, solver: Solver, t: float, failure: ConvergenceError) -> None:
        """Take note that a solver failed at time `t`: others are left to choose from, unless it was asked for."""
        if self._asked is not None:
            raise failure
        self._leave(solver, f"stopped at t = {t:.6g} ({failure})")

    def _leave(self, solver: Solver, came_to: str) -> None:
        name = _name_of(solver)
        self._gave_way[name] = came_to
        self._distrust[name] = DISTRUST * self._distrust.get(name, 1.0)

    def bound(self, *, anew: bool) -> None:
        """Take note that a solver is bound to a generator, `anew` if to another one."""
        self._effort = _Effort()
        if anew:
            self._gave_way.clear()

    def advanced(self, solver: Solver, generator: Generator, step: Advance, covered: float) -> float:
        """Take note of what an advance took, and return it, in multiply-adds."""
        work = step.n_matvec * _unit_work(_name_of(solver), generator)
        pace = work / covered if covered > 0.0 else inf
        rounding = step.rounding / covered if covered > 0.0 else 0.0
        self._effort = _Effort(self._effort.work + work, self._effort.covered + covered, pace, rounding)
        return work

    def products_of_a_report(self, solver: Solver, generator: Generator) -> float:
        """Return after how many products a solver should return, to say how far it is; it counts what is not a call."""
        name = _name_of(solver)
        work = _unit_work(name, generator) if name in FACTORISING else CALL_WORK.get(name, 0.0)
        return max(1.0, REPORT_WORK / work) if work else inf

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
            elif n_matvec and name in VECTOR_WORK:
                factor = n_matvec / self._expected_products(name, jumps)
                self._factor[name] = min(max(factor, 1.0 / LARGEST_FACTOR), LARGEST_FACTOR)

    def least_work(self, generator: Generator, duration: float) -> float:
        """Return the least work that is expected for `duration` units of time on `generator`."""
        return min(self._work(generator, duration, growing=False).values())

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
        few = len(generator) <= (TIMED_IMPLICIT_STATES_PLANAR if planar else TIMED_IMPLICIT_STATES)
        if (few or "magnus" in self._gave_way) and "implicit" not in self._gave_way:
            return Choice(Implicit(self._tol), "auto: propensities depend on time, and factorisations are cheap")
        if "magnus" in self._gave_way:
            raise self._none_left()
        return Choice(Magnus(self._tol), "auto: propensities depend on time")

    def _none_left(self) -> ConvergenceError:
        """Return the error that says what each solver came to."""
        came_to = "; ".join(f"{name} {reached}" for name, reached in self._gave_way.items())
        return ConvergenceError(f"A solver must get to the end, but none did: {came_to}.")

    def _stalls(self, solver: Solver, generator: Generator, duration: float, growing: bool) -> bool:
        """Return whether a solver took more work than another promises from its start on, and is no closer to the end.

        The pace decides, or the rounding that it will come to, if the other one's keeps to what is allowed.
        """
        name = _name_of(solver)
        if name not in STEPPED or self._effort.work < STALLED * LEAST_WORK:
            return False
        whole = self._work(generator, self._effort.covered + duration, growing, instead_of=name)
        best = min(whole, key=lambda name: (self._miss(name, generator, duration), whole[name]))
        if self._effort.work < STALLED * whole[best]:
            return False
        rounds = self._effort.rounding * self._span > self._allowed and not self._miss(best, generator, duration)
        left = self._work(generator, duration, growing, instead_of=name)[best]
        return rounds or self._effort.pace * duration > left

    def _miss(self, name: str, generator: Generator, duration: float) -> int:
        """Return by how many decades a run with a solver would miss the rounding that is allowed; 0 if it would not."""
        jumps = generator.largest_exit_rate * duration
        if name == "rational":
            expected = RATIONAL_ROUNDING * STEPS_AN_OCTAVE * log2(2.0 + jumps)
        elif name == "squaring":
            expected = 40.0 * UNIT_ROUNDOFF * len(generator) * (1.0 + _levels(generator, duration))
        elif name == "implicit":
            expected = 0.0  # it is that of what flows, which nobody knows beforehand
        else:  # in proportion to time
            expected = UNIT_ROUNDOFF * generator.roundings * generator.largest_exit_rate * self._span
        return ceil(log10(expected / self._allowed)) if expected > self._allowed else 0

    def _work(self, generator: Generator, duration: float, growing: bool, instead_of: str = "") -> dict[str, float]:
        """Return the expected work of every solver that did not give way, in multiply-adds.

        Of those that there are `instead_of` one, and where some gave way, the implicit one is one.
        """
        n = len(generator)
        jumps = generator.largest_exit_rate * duration  # Λt
        names = [name for name in self._factor if name in VECTOR_WORK]
        units = {name: _unit_work(name, generator) for name in names}
        work = {name: self._factor[name] * self._expected_products(name, jumps) * unit for name, unit in units.items()}
        if (self._distrust or instead_of) and "implicit" in self._solvers:
            work["implicit"] = IMPLICIT_WORK * self._expected_products("rational", jumps) * units["rational"]
        if "squaring" in self._factor:
            work["squaring"] = _work_of_squaring(generator, duration)
        if 8 * n * (Krylov().dimension + 1) > KRYLOV_BYTES:
            work.pop("krylov", None)
        if growing:  # an expansion that loses too much is thrown away as a whole
            work.pop("chebyshev", None)
            work["uniformization"] *= REJECTED_STEPS
            if "rational" in work:
                work["rational"] += _work_of_short_steps(generator)
        return {
            name: amount * self._distrust.get(name, 1.0)
            for name, amount in work.items()
            if amount < inf and name != instead_of and name not in self._gave_way
        }

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


def _reason(work: Mapping[str, float], miss: Mapping[str, int], least: int) -> str:
    """Say why a solver was taken whose rounding misses what is allowed by as few decades as any."""
    estimates = ", ".join(f"{name} {amount:.0e}" for name, amount in work.items() if miss[name] == least)
    rough = ", ".join(name for name in work if miss[name] > least)
    return f"auto: least of the estimated operations {estimates}" + (f"; too much rounding: {rough}" if rough else "")


def _levels(generator: Generator, duration: float) -> float:
    """Return how often a transition matrix is squared."""
    jumps = 2.0 * generator.largest_exit_rate * duration
    return log2(max(1.0, jumps / max(FEWEST_JUMPS, len(generator))))


def _work_of_squaring(generator: Generator, duration: float) -> float:
    """Return the work of squaring transition matrices, in multiply-adds; inf: too much, or too many states."""
    n, levels = len(generator), _levels(generator, duration) + FIRST_LEVELS
    if n > MOST_STATES or 16 * n * n * levels > SQUARING_BYTES:
        return inf
    binding, level, product = SQUARING_WORK
    return binding + levels * (level + product * n**3)


def _unit_work(name: str, generator: Generator) -> float:
    """Return the work of one product, or solve, and of what a solver does with it, in multiply-adds; inf: too much."""
    if name not in VECTOR_WORK:
        return 0.0
    n = len(generator)
    work = generator.work * generator.operator.work + VECTOR_WORK[name] * n + CALL_WORK[name]
    if name in FACTORISING:
        factorisation, solve = _direct_work(generator)
        work += CALL_WORK[name] * max(0.0, STEP_VECTORS / (n + generator.n_sinks) - 1.0)  # steps of fewer vectors
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
