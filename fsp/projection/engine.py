"""What advances the probability: the generator of the present space, and the solver that is open on it."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, TypeAlias

from fsp.solvers.choice import Choice, Chooser
from fsp.solvers.clocks import constants_on

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from fsp.arrays import FloatArray
    from fsp.errors import ConvergenceError
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.projection.backend import Backend
    from fsp.projection.budget import Budget
    from fsp.projection.pacing import Pacing
    from fsp.solvers.base import Advance, Memory
    from fsp.solvers.stepping import Propagator, Solver
    from fsp.space.base import BaseSpace

    Carry: TypeAlias = "Callable[[FloatArray], FloatArray]"


class Engine:
    """Bind, choose, open and change solvers; `stack` holds the one that is open."""

    generator: BaseGenerator
    propagator: Propagator
    """The solver that is open, on this generator."""
    _choice: Choice
    _report: float  # products after which it should return, to say how far it is

    def __init__(
        self, model: Model, solver: str | Solver, budget: Budget, pacing: Pacing, backend: Backend, stack: ExitStack
    ) -> None:
        self._model, self._backend, self._pacing, self._stack = model, backend, pacing, stack
        self._chooser = Chooser(
            solver, budget.integration, backend.solvers, backend.automatic, budget.rounding, pacing.duration
        )
        self._memories: dict[type, Memory] = {}  # of the solvers that were left
        self._held: FloatArray | None = None  # values of functions of time that are constant for the time being
        self._held_until = -inf

    @property
    def growing(self) -> bool:
        """Whether the space may grow."""
        return self._pacing.adapts and self.generator.n_sinks > 0

    @property
    def solver(self) -> Solver:
        """The solver that is open."""
        return self._choice.solver

    @property
    def text(self) -> str:
        """The solver that is open, and why."""
        return f"{self.solver} ({self._choice.reason})"

    # ---- the generator

    def bind(self, space: BaseSpace, t: float, carry: Carry | None = None) -> None:
        """Build the generator of a space and open a solver on it; `carry` takes vectors of the last space there."""
        generator = self._backend.generator(self._model, space, t)
        self.generator = generator if self._held is None else generator.held(self._held)
        self._chooser.bound(anew=True)
        if carry is not None:
            self._memories = {kind: memory.carried(carry) for kind, memory in self._memories.items()}
        self._open(self._chosen(t))

    def hold(self, t: float, target: float) -> None:
        """Take functions of time that are constant up to `target` for numbers, which every solver can treat."""
        if self._held_until >= target or not (self._model.is_time_dependent and self.generator.is_scalable):
            return
        before, self._held = self._held, constants_on(self.generator.clocks, t, target)
        if self._held is not None:
            self._held_until = target
        if self._held is not None or before is not None:
            self.leave()
            self.bind(self.generator.space, t)

    def release(self, t: float) -> None:
        """Hold nothing beyond time `t`, at which functions of time may switch."""
        self._held_until = t

    # ---- the solver

    @property
    def tol(self) -> float:
        """Tolerance of the solver asked for, or of those that are chosen from."""
        return self._chooser.tol

    @property
    def max_products(self) -> float:
        """Products until it is time to look at the space, or to say how far the solver is."""
        return min(self._until_check - self._pacing.unchecked, self._report)

    @property
    def _until_check(self) -> float:
        return self._pacing.products_until_check(self.solver) if self.growing else inf

    def give_way(self, t: float, failure: ConvergenceError) -> None:
        """Change a solver that failed, unless it was asked for."""
        self._chooser.give_way(self.solver, t, failure)
        self._change_to(self._chosen(t))

    def learn(self, step: Advance, start: float, target: float) -> float:
        """Take note of what an advance from `start` towards `target` took, and return it, in multiply-adds."""
        # An advance that came back only to report goes on with the space that it has.
        reporting = step.t < target and self._report <= step.n_matvec
        self._pacing.advanced(step.n_matvec, self._until_check, reporting=reporting)
        return self._chooser.advanced(self.solver, self.generator, step, step.t - start)

    def reconsider(self, t: float) -> None:
        """Change the solver where another one now promises much less work."""
        if self._pacing.remaining(t) <= 0.0:
            return
        choice = self._chosen(t, self._choice)
        if choice is not self._choice and choice.solver != self.solver:
            self.leave()
            self._change_to(choice)

    def saving(self, share: float, span: float) -> float:
        """Return the work saved in `span` units of time by a space that lacks a share of its states."""
        return share * self._chooser.least_work(self.generator, span)

    def work_of_change(self) -> float:
        """Return the work that the solver has with another space before its steps are as long again."""
        return self._chooser.work_of_change(self.solver, self.generator)

    def leave(self) -> None:
        """Let go of the solver, whose vectors may take more memory than the answer; keep what it remembers."""
        self._memories[type(self.solver)] = self.propagator.memory
        self._stack.close()
        del self.propagator

    def _chosen(self, t: float, current: Choice | None = None) -> Choice:
        growing = self.growing
        horizon = self._pacing.horizon(t, growing=growing)
        return self._chooser.choose(self.generator, horizon, current, growing=growing)

    def _change_to(self, choice: Choice) -> None:
        self._chooser.bound(anew=False)
        self._open(choice)

    def _open(self, choice: Choice) -> None:
        self._choice = choice
        self._report = self._chooser.products_of_a_report(choice.solver, self.generator)
        self._stack.close()
        self.propagator = self._stack.enter_context(choice.solver.open(self.generator))
        memory = self._memories.get(type(choice.solver))
        if memory is not None:  # the solution is as smooth as it was: no need to feel the way again
            self.propagator.memory = memory
