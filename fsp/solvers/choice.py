"""Choose a solver by name, by value, or by the work that each one expects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil, inf, log10
from typing import TYPE_CHECKING, Any

from fsp.errors import ArgumentError, ConvergenceError
from fsp.solvers.base import REPORT_WORK
from fsp.solvers.costs import Stretch
from fsp.solvers.stepping import END_EARLIER, FASTER_UNIT, Solver

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from fsp.generator.base import BaseGenerator
    from fsp.solvers.base import Advance
    from fsp.solvers.costs import Cost

CLEAR_GAIN = 1.5  # times less work: an estimate is not better than that
LEAST_WORK = 1e8  # below, a change of solver cannot pay
FORGETTING = 0.9  # power that what was learnt of a solver is raised to while another one works
LARGEST_FACTOR = 64.0  # by which a solver may need more, or fewer, products than expected
TIMES_BEHIND = 2.0  # times the work that another solver promises for all of it, which one may take and be behind
DISTRUST = 10.0  # times the work expected of a solver for each time that it gave way


@dataclass(frozen=True, slots=True)
class Choice:
    """A solver and why it was taken."""

    solver: Solver
    reason: str


@dataclass(slots=True)
class _Effort:
    """What a solver did since it was bound to its generator, in multiply-adds."""

    work: float = 0.0
    covered: float = 0.0  # time that it served for
    pace: float = 0.0  # work per unit of time, in the last advance
    rounding: float = 0.0  # the same of the charge for rounding


class Chooser:
    """Choose the solver for each generator of a run: the one asked for, or the one with the least expected work.

    Solvers whose rounding would miss what is allowed, in a time span, come after those whose does not.  Those that gave
    way, because they failed or stalled, are not taken again on the same generator, and on others they have to promise
    more.  Where `automatic` is None all may be chosen.
    """

    def __init__(
        self,
        solver: str | Solver,
        tol: float,
        solvers: Mapping[str, type[Solver]],
        automatic: Collection[str] | None = None,
        rounding: float = inf,
        span: float = 1.0,
    ) -> None:
        self._asked = _as_solver(solver, tol, solvers)
        self._tol = tol
        self._solvers = {name: _made(solvers[name], tol) for name in (solvers if automatic is None else automatic)}
        self._factor = dict.fromkeys(self._solvers, 1.0)  # products used, over those expected
        self._strides: dict[str, float] = {}  # Λ times the steps that each one took last
        self._allowed, self._span = rounding, span
        self._effort = _Effort()
        self._gave_way: dict[str, str] = {}  # what each of them came to on this generator
        self._distrust: dict[str, float] = {}  # factors of their work on others

    @property
    def tol(self) -> float:
        """Tolerance of the solver asked for, or of those made here."""
        return self._tol if self._asked is None else self._asked.tol

    def choose(
        self, generator: BaseGenerator, duration: float, current: Choice | None = None, *, growing: bool = False
    ) -> Choice:
        """Return the solver for `duration` units of time on `generator`; leave `current` only for a clear gain.

        `growing` says that steps will be cut short where probability leaves the space.
        """
        if self._asked is not None:
            return Choice(self._asked, "asked for")
        stretch = Stretch(duration, growing, not generator.is_constant, self._span)
        if current is not None and self._stalls(current.solver, generator, stretch):
            self._leave(current.solver, "stalled")
            current = None
        costs = self._costs(generator, stretch)
        self._check_left(costs, generator)
        work = {name: self._work(name, cost, growing) for name, cost in costs.items()}
        miss = {name: self._miss(cost) for name, cost in costs.items()}
        best = min(work, key=lambda name: (miss[name], work[name]))
        if current is not None:
            now = current.solver.name()
            if miss.get(now, inf) <= miss[best] and work[now] < max(LEAST_WORK, CLEAR_GAIN * work[best]):
                return current
        reason = costs[best].reason or _reason(work, miss, miss[best])
        return Choice(self._solvers[best], f"auto: {reason}")

    def give_way(self, solver: Solver, t: float, failure: ConvergenceError) -> None:
        """Take note that a solver failed at time `t`: others are left to choose from, unless it was asked for."""
        if self._asked is not None:
            raise failure
        self._leave(solver, f"stopped at t = {t:.6g} ({failure})")

    def _leave(self, solver: Solver, came_to: str) -> None:
        name = solver.name()
        self._gave_way[name] = came_to
        self._distrust[name] = DISTRUST * self._distrust.get(name, 1.0)

    def bound(self, *, anew: bool) -> None:
        """Take note that a solver is bound to a generator, `anew` if to another one."""
        self._effort = _Effort()
        if anew:
            self._gave_way.clear()

    def advanced(self, solver: Solver, generator: BaseGenerator, step: Advance, covered: float) -> float:
        """Take note of what an advance took, and return it, in multiply-adds; what is known of others fades."""
        used = solver.name()
        stride = generator.largest_exit_rate * step.step_length  # 0 where no jump can happen, or no step is known
        if covered > 0.0 and stride > 0.0:
            self._strides[used] = stride
        cost = solver.cost(generator, Stretch(covered, span=self._span, stride=self._strides.get(used, inf)))
        if covered > 0.0:
            self._learn(used, step.n_matvec, cost.products)
        work = step.n_matvec * cost.unit + step.beside
        pace = work / covered if covered > 0.0 else inf
        rounding = step.rounding / covered if covered > 0.0 else 0.0
        self._effort = _Effort(self._effort.work + work, self._effort.covered + covered, pace, rounding)
        return work

    def _learn(self, used: str, n_matvec: int, expected: float) -> None:
        """Take note of how many products a solver used, and of how many were expected."""
        for name in self._factor:
            if name != used:
                self._factor[name] **= FORGETTING
            elif n_matvec and 0.0 < expected < inf:
                self._factor[name] = min(max(n_matvec / expected, 1.0 / LARGEST_FACTOR), LARGEST_FACTOR)

    def products_of_a_report(self, solver: Solver, generator: BaseGenerator) -> float:
        """Return after how many products a solver should return, to say how far it is; it counts what is not a call."""
        unseen = solver.cost(generator, Stretch(0.0)).unseen
        return max(1.0, REPORT_WORK / unseen) if unseen else inf

    def least_work(self, generator: BaseGenerator, duration: float) -> float:
        """Return the least work that is expected for `duration` units of time on `generator`, if rates stay."""
        costs = self._costs(generator, Stretch(duration, span=self._span))
        return min((self._work(name, cost, False) for name, cost in costs.items()), default=0.0)

    def work_of_change(self, solver: Solver, generator: BaseGenerator) -> float:
        """Return the work that a solver has with another space of this size, before its steps are as long again."""
        return solver.cost(generator, Stretch(0.0)).restart

    def _check_left(self, left: Mapping[str, Cost], generator: BaseGenerator) -> None:
        """Raise a ConvergenceError that says what each solver came to, if none is left."""
        if not left:
            came_to = "; ".join(f"{name} {reached}" for name, reached in self._gave_way.items())
            if not came_to and all(solver.is_too_fast(generator) for solver in self._solvers.values()):
                came_to = f"exit rates of up to {generator.largest_exit_rate:.3g} are too large; {FASTER_UNIT}"
            came_to = came_to or f"jumps until then are too many to be counted; {END_EARLIER}"
            raise ConvergenceError(f"A solver must get to the end, but none did: {came_to}.")

    def _stalls(self, solver: Solver, generator: BaseGenerator, stretch: Stretch) -> bool:
        """Return whether a solver took more work than another promises from its start on, and is no closer to the end.

        The pace decides, or the rounding that it will come to, if the other one's keeps to what is allowed.
        """
        may_stall = solver.cost(generator, stretch).may_stall
        if not may_stall or self._effort.work < TIMES_BEHIND * LEAST_WORK:
            return False
        name, growing = solver.name(), stretch.growing
        from_start = replace(stretch, duration=self._effort.covered + stretch.duration)
        switched = self._costs(generator, from_start, instead_of=name)
        others = self._costs(generator, stretch, instead_of=name)
        miss = {other: self._miss(cost) for other, cost in others.items()}
        best = min(switched, key=lambda other: (miss[other], self._work(other, switched[other], growing)), default=None)
        if best is None or self._effort.work < TIMES_BEHIND * self._work(best, switched[best], growing):
            return False
        rounds = self._effort.rounding * self._span > self._allowed and not miss[best]
        left = self._work(best, others[best], growing)
        return rounds or self._effort.pace * stretch.duration > left

    def _work(self, name: str, cost: Cost, growing: bool) -> float:
        return cost.work(self._factor[name], growing) * self._distrust.get(name, 1.0)

    def _miss(self, cost: Cost) -> float:
        """Return by how many decades a run would miss the rounding that is allowed; 0 if it would not."""
        decades = log10(cost.rounding / self._allowed) if cost.rounding > self._allowed else 0.0
        return ceil(decades) if decades < inf else inf  # rates may be infinite at one time

    def _costs(self, generator: BaseGenerator, stretch: Stretch, instead_of: str = "") -> dict[str, Cost]:
        """Return what every solver expects that can do it, and that did not give way; without `instead_of`.

        Where that is asked for, or some gave way, those are among them that are a last resort.
        """
        costs = {}
        for name, solver in self._solvers.items():
            is_open = stretch.is_timed or not solver.is_resort or instead_of or self._distrust
            if is_open and name != instead_of and name not in self._gave_way:
                known = name in self._strides
                cost = solver.cost(generator, replace(stretch, stride=self._strides[name]) if known else stretch)
                if cost.work(1.0, stretch.growing) < inf and not solver.is_too_fast(generator):
                    costs[name] = cost
        return costs


def _reason(work: Mapping[str, float], miss: Mapping[str, float], least: float) -> str:
    """Say why a solver was taken whose rounding misses what is allowed by as few decades as any."""
    estimates = ", ".join(f"{name} {amount:.0e}" for name, amount in work.items() if miss[name] == least)
    rough = ", ".join(name for name in work if miss[name] > least)
    return f"least of the estimated operations {estimates}" + (f"; too much rounding: {rough}" if rough else "")


def _as_solver(solver: str | Solver, tol: float, solvers: Mapping[str, type[Solver]]) -> Solver | None:
    """Return the solver that a name or a value stands for, None for ``"auto"``."""
    names = ", ".join(["auto", *solvers])
    if not isinstance(solver, str):
        if not isinstance(solver, Solver):
            raise ArgumentError(f"`solver` must be a name ({names}) or a solver value, but is {solver!r}.")
        return solver
    if solver == "auto":
        return None
    if solver not in solvers:
        raise ArgumentError(f"`solver` must be one of {names}, but is '{solver}'.")
    return _made(solvers[solver], tol)


def _made(kind: type[Solver], tol: float) -> Solver:
    made: Solver = _MADE(kind, tol)
    return made


def _make(kind: Any, tol: float) -> Any:
    return kind(tol=tol)  # a dataclass, whose first field is the tolerance


_MADE: Any = lru_cache(maxsize=64)(_make)  # values of a tolerance, which runs on many spaces and models ask for again
