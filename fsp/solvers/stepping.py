"""The one stepping loop: a method supplies a step, and the loop adds up what steps did.

Vectors are those of the closed chain, (size,): the states, and after them the sinks, which hold what an advance lost.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ConvergenceError
from fsp.solvers import base
from fsp.solvers.base import NO_LIMIT, Advance, LossLimit, Memory, Pulse, landed, step_to

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.protocol import AnyGenerator
    from fsp.solvers.base import History, Solver

# Λ times a step, where probability may leave; chosen, not measured.
FIRST_STRIDE = 64.0
SHORTEST_STRIDE = 1.0  # a jump: below, growing the space costs less than more steps
LONGEST_STRIDE = 1e6  # one that is rejected is lost as a whole
LEAST_WORK = 100.0  # multiply-adds that would pass while a product with a few states is called, 30 ns; measured


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one step did, or why it did nothing."""

    z: FloatArray  # at its end, non-negative, (size,); its sinks hold what they held before, and what the step lost
    length: float  # 0: it was not taken
    error: float = 0.0
    rounding: float = 0.0
    n_matvec: int = 0
    rejected: FloatArray | None = None  # where more than the limit would be in the sinks, (size,); see `Stepping.leave`
    tries_again: bool = False  # where it was not taken: whether a shorter one may be
    certified: bool = True


class Heart:
    """Calls a pulse now and then: after every REPORT_WORK of products, each of which takes `work`."""

    def __init__(self, work: float) -> None:
        self._work = work
        self._done = 0.0
        self.pulse: Pulse | None = None

    def beat(self, t: float, h: float, share: float) -> None:
        """Take note of a product, `share` of the way into the step from `t` to ``t + h``."""
        self._done += self._work
        if self._done >= base.REPORT_WORK:
            self._done = 0.0
            self.tell(t + min(share, 1.0) * h)

    def tell(self, t: float) -> None:
        """Call the pulse, with about the time that was reached."""
        if self.pulse is not None:
            self.pulse(t)


class Stepping:
    """A propagator (`fsp.solvers.base.Propagator`) that takes the steps of a method.

    Attributes
    ----------
    step_length
        Of the next step; 0 where the method finds it anew each time.
    history
        Solution of the last step, where the next one is extrapolated from it.
    """

    history: History | None = None
    way_out = "use solver='uniformization'"  # where no step is found

    def __init__(self, generator: AnyGenerator, solver: Solver) -> None:
        self.generator = generator
        self.solver = solver
        self.rate = generator.largest_exit_rate  # Λ
        self.roundings = generator.roundings
        self.step_length = 0.0
        self.heart = Heart(generator.work)

    @abstractmethod
    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take a step from `t` towards `t1`, with an error of at most `tol_rate` per unit of time.

        The sinks may hold ``limit.at(s)`` after s of it.  `z` may be overwritten.
        """

    def enter(self, p: FloatArray) -> FloatArray:
        """Return the vector of the closed chain for probabilities in the order of the space."""
        return self.generator.operator.enter(p)

    def leave(self, z: FloatArray) -> FloatArray:
        """Return the states' part in the order of the space, (n,); it may share memory with `z`.

        So a rejected vector may be overwritten by the step that is tried next: a space then grows where that one is.
        """
        return self.generator.operator.leave(z)

    def added(self, value: Any) -> Any:
        """Return the sum over all ranks of a number or an array."""
        return self.generator.operator.added(value)

    @property
    def products_of_a_report(self) -> float:
        """Products after which an advance returns at the end of a step, to say how far it is."""
        return max(1.0, base.REPORT_WORK / max(LEAST_WORK, self.generator.work))

    @property
    def memory(self) -> Memory:
        """What serves a propagator of this solver that goes on from here."""
        return Memory(self.step_length, self.history)

    @memory.setter
    def memory(self, memory: Memory) -> None:
        self.step_length = memory.step_length or self.step_length
        if memory.history is not None:
            self.history = memory.history

    def advance(
        self,
        p: FloatArray,
        t0: float,
        t1: float,
        *,
        tol: float | None = None,
        limit: LossLimit = NO_LIMIT,
        pulse: Pulse | None = None,
        most: float = inf,
    ) -> Advance:
        """Advance `p` from `t0` towards `t1`; see `fsp.solvers.base.Propagator`.

        Ends at `t1`, where more than the limit would be lost, or at the first step's end after `most` products.  Where
        no time at all has been covered yet, methods that halve their steps try again.
        """
        self.heart.pulse = pulse
        tol_rate = (self.solver.tol if tol is None else tol) / (t1 - t0)
        most = min(most, self.products_of_a_report)
        z, n = self.enter(p), len(p)
        t, error, rounding, n_matvec, certified = t0, 0.0, 0.0, 0, self.solver.certified
        rejected: FloatArray | None = None
        if self.rate == 0.0 and self.generator.is_constant:
            return Advance(p.copy(), np.zeros(len(z) - n), 0.0, 0, t1, 0.0, certified=certified)
        while t < t1 and n_matvec < most:
            step = self.step(z, t, t1, tol_rate, LossLimit(limit.at(t - t0), limit.rate))
            n_matvec += step.n_matvec
            if step.rejected is not None and rejected is None and self._is_finite(step.rejected):
                rejected = self.leave(step.rejected)
            if step.length > 0.0:
                z, certified = step.z, certified and step.certified
                t, held = landed(t, step.length, t1)
                error, rounding = error + step.error, rounding + step.rounding
                if held > 0.0:
                    rounding += 2.0 * held * self._flow(z, t)
            elif rejected is None and not step.tries_again:
                self._raise_no_step(t, tol_rate)
            if rejected is not None and (t > t0 or not step.tries_again):
                break
        lost = self.added(z[n:].copy())
        return Advance(self.leave(z), lost, error, n_matvec, t, rounding, rejected, certified, self.step_length)

    def _is_finite(self, z: FloatArray) -> bool:
        """Tell whether a vector has no entry that a rate without bound has spoilt."""
        return isfinite(self.added(float(z.sum())))

    def _flow(self, z: FloatArray, t: float) -> float:
        """Return the probability that jumps per unit of time."""
        flow: float = self.added(float(self.generator.at(t).exit_rates @ self.leave(z)))
        return flow

    def _raise_no_step(self, t: float, tol_rate: float) -> None:
        model = self.generator.model
        hidden = [k for k, law in enumerate(model.rate_expressions) if law is None and model.time_dependent[k]]
        way_out = self.way_out
        if hidden:
            name = model.reactions[hidden[0]].name
            way_out = f"write the rate of '{name}' as a formula if it jumps there: no switch of a callable is known"
        raise ConvergenceError(
            f"{type(self.solver).__name__} found no step at t = {t:.6g} whose error is below {tol_rate:.1e} per unit "
            f"of time, however short. Loosen `tol`, or {way_out}."
        )


class MatrixPropagator(Stepping):
    """One that works on matrices of one process, which are in the order of the space."""

    def enter(self, p: FloatArray) -> FloatArray:
        """Return p and empty sinks."""
        return np.concatenate([p, np.zeros(self.generator.n_sinks)])

    def leave(self, z: FloatArray) -> FloatArray:
        """Return the states' part."""
        return z[: len(self.generator)]

    def added(self, value: Any) -> Any:
        """Return the value: there is one process."""
        return value


class StridingPropagator(Stepping):
    """One whose steps are tried: halved where more than the limit would be lost, longer where not.

    Attributes
    ----------
    stride
        Λ times the length of the next step.
    first, shortest
        Its first value, and the last one tried before the space must grow.
    spare
        Room for the result of a step, (size,); once that is accepted, what it began with is.
    """

    first = FIRST_STRIDE
    shortest = SHORTEST_STRIDE

    def __init__(self, generator: AnyGenerator, solver: Solver) -> None:
        super().__init__(generator, solver)
        self.stride = self.first
        self.spare = np.empty(generator.operator.size)

    @abstractmethod
    def tried(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return the step from `t` to ``t + h``, of length 0 where its error is larger than `tol`."""

    def longest(self, limit: LossLimit) -> float:
        """Return Λ times the length of the next step."""
        return self.stride

    def lengthen(self, x: float) -> None:
        """Choose the next stride after a step of stride `x`."""
        self.stride = min(LONGEST_STRIDE, 2.0 * self.stride)

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Try one step; see `Stepping.step`."""
        h = step_to(t, self.longest(limit) / self.rate, t1)
        step = self.tried(z, t, h, tol_rate * h)
        if step.length == 0.0:
            return step
        end, _ = landed(t, h, t1)
        if self.added(float(step.z[self.generator.operator.n :].sum())) > limit.at(end - t):
            self.stride = 0.5 * self.rate * h
            tries_again = self.stride >= self.shortest
            if not tries_again:
                self.stride = self.first
            return Step(z, 0.0, n_matvec=step.n_matvec, rejected=step.z, tries_again=tries_again)
        self.spare = z
        self.lengthen(self.rate * h)
        return step
