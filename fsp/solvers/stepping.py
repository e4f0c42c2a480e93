"""Solvers, and the one stepping loop of their propagators, which adds up what steps did.

A solver is a frozen value; `open` binds it to one generator; the propagator that comes back advances a probability
vector and reports a bound on what it did wrong.  Its step is that of uniformization; other methods have a subclass with
a step of their own.

Vectors are those of the closed chain, (size,): the states, and after them the sinks, which hold what an advance lost.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, sum_rounding, sum_up
from fsp.errors import BackendError, ConvergenceError
from fsp.solvers import base, kernels
from fsp.solvers.base import LARGEST_RATE, NO_LIMIT, Advance, LossLimit, Memory, Pulse, landed, step_to
from fsp.solvers.costs import Cost, Stretch
from fsp.solvers.poisson import poisson_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.solvers.base import History

# Λ times a step, where probability may leave; chosen, not measured.
FIRST_STRIDE = 64.0
SHORTEST_STRIDE = 1.0  # a jump: below, growing the space costs less than more steps
LONGEST_STRIDE = 1e6  # one that is rejected is lost as a whole
SHORTEST_REPORT = 1e4  # the same, where none may leave: a shorter one has a large share of tail
MORE_THAN_ROUNDING = 1e-12  # of Λ: P = I + A/Λ must have no negative entry
FASTER_UNIT = "measure time in a smaller unit: divide all rates by a number, and multiply the times by it"
END_EARLIER = "end earlier, or ask for `fsp.stationary`"
LEAST_WORK = 100.0  # multiply-adds that would pass while a product with a few states is called, 30 ns; measured


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one step did, or why it did nothing."""

    z: FloatArray  # at its end, non-negative, (size,); its sinks hold what they held before, and what the step lost
    length: float  # 0: it was not taken
    error: float = 0.0
    rounding: float = 0.0
    n_matvec: int = 0
    rejected: FloatArray | None = None  # with more than the limit in the sinks, (size,); see `Propagator.leave`
    tries_again: bool = False  # where it was not taken: whether a shorter one may be
    certified: bool = True
    beside: float = 0.0  # multiply-adds that it took beside its products, where they may be far more


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


class Propagator:
    """A solver bound to one generator: the loop of all methods, and the step of uniformization.

    Attributes
    ----------
    step_length
        Of the next step; 0 where the method finds it anew each time.
    history
        Solution of the last step, where the next one is extrapolated from it.
    stride
        Λ times the length of the next step, where steps are halved that would lose more than the limit.
    first, shortest
        Its first value, and the last one tried before the space must grow.
    """

    history: History | None = None
    way_out = "use solver='uniformization'"  # where no step is found
    first = FIRST_STRIDE
    shortest = SHORTEST_STRIDE

    def __init__(self, generator: BaseGenerator, solver: Solver) -> None:
        self.generator = generator
        self.solver = solver
        self.rate = generator.largest_exit_rate  # Λ
        self.roundings = generator.roundings
        self.step_length = 0.0
        self.stride = self.first
        self.heart = Heart(generator.work)

    @cached_property
    def vectors(self) -> list[FloatArray]:
        """Room for three vectors, (size,) each; a step that ends in the last one leaves there what it began with."""
        return [np.empty(self.generator.operator.size) for _ in range(3)]

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
        max_products: float = inf,
    ) -> Advance:
        """Advance `p` from `t0` towards `t1`, with an error of at most `tol` in proportion to the time covered.

        Ends at `t1`, where more than the limit would be lost, or at the first step's end after `max_products`.  Where
        no time at all has been covered yet, methods that halve their steps try again.  Steps that take long call
        `pulse` with about the time that they have reached.
        """
        self.heart.pulse = pulse
        tol_rate = (self.solver.tol if tol is None else tol) / (t1 - t0)
        max_products = min(max_products, self.products_of_a_report)
        z, n = self.enter(p), len(p)
        t, error, rounding, n_matvec, beside, certified = t0, 0.0, 0.0, 0, 0.0, self.solver.certified
        rejected: FloatArray | None = None
        if self.rate == 0.0 and self.generator.is_constant:
            return Advance(p.copy(), np.zeros(len(z) - n), 0.0, 0, t1, 0.0, certified=certified)
        while t < t1 and n_matvec < max_products and beside < base.REPORT_WORK:
            step = self.step(z, t, t1, tol_rate, LossLimit(limit.at(t - t0), limit.rate))
            n_matvec, beside = n_matvec + step.n_matvec, beside + step.beside
            if step.rejected is not None and rejected is None and self._is_finite(step.rejected):
                rejected = self.leave(step.rejected)
            if step.length > 0.0:
                z, certified = step.z, certified and step.certified
                t, held = landed(t, step.length, t1)
                error, rounding = sum_up(error, step.error), sum_up(rounding, step.rounding)
                if held > 0.0:
                    rounding = sum_up(rounding, 2.0 * held * self._flow(z, t))
            elif rejected is None and not step.tries_again:
                self._raise_no_step(t, tol_rate)
            if rejected is not None and (t > t0 or not step.tries_again):
                break
        lost = self.added(z[n:].copy())
        done = Advance(self.leave(z), lost, error, n_matvec, t, rounding, rejected, certified, self.step_length)
        return replace(done, beside=beside)

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take a step from `t` towards `t1`, with an error of at most `tol_rate` per unit of time.

        The sinks may hold ``limit.at(s)`` after s of it.  `z` may be overwritten.  Methods replace this one, which is
        exp(hA) z by the sum over powers; see `fsp.solvers.uniformization`.
        """
        A, rate = self.generator.operator, self.rate * (1.0 + MORE_THAN_ROUNDING)
        may_leave = limit.offset < inf and self.generator.n_sinks > 0
        # Where nothing may leave, a step is as long as is worth a report.
        h = step_to(t, (self.stride if may_leave else max(SHORTEST_REPORT, self.products_of_a_report)) / rate, t1)
        mean, tol = rate * h, tol_rate * h
        tail, steady = min(0.5, 0.5 * tol), 0.5 * tol
        first, weights = poisson_window(mean, tail)
        settled = np.zeros((2, len(weights)))
        settled[0, :-1] = weights[:0:-1].cumsum()[::-1]  # Σ_{j>k} weight_j
        settled[1] = settled[0, ::-1].cumsum()[::-1]  # Σ_{j>k} (j-k) weight_j = Σ_{j>=k} Σ_{i>j} weight_i
        v, w, total = self.vectors
        v[:], total[:] = z, 0.0
        k, k_end, change = 0, first + len(weights), np.inf
        if A.compiled is not None:
            k, change = kernels.weighted_powers(
                A.compiled, 1.0 / rate, v, w, total, weights, first, mean, k_end, steady, settled
            )
            v = v if k % 2 == 0 else w
        while k < k_end and not (k and change * kernels.moment_above(settled, first, mean, k - 1) <= steady):
            change = A.step(v, w, total, 1.0 / rate, weights[k - first] if k >= first else 0.0)
            v, w = w, v
            k += 1
            self.heart.beat(t, h, k / k_end)
        error = 0.0
        if k < k_end:  # what is left of the series is one vector
            kernels.add_scaled(total, settled[0, k - 1 - first] if k > first else 1.0 - tail, v)
            error = change * kernels.moment_above(settled, first, mean, k - 1)
        # The smallest numbers round to either side of zero.  y <= p: what is missing is the error.
        clipped, before, after = self.added(np.array([kernels.clip(total), z.sum(), total.sum()])).tolist()
        of_sums = 2.0 * sum_rounding(len(self.generator) + len(z)) * before
        rounding = k * self.roundings * UNIT_ROUNDOFF * before + of_sums
        step = Step(total, h, error + clipped + max(0.0, before - after), rounding, k)
        return self.kept(step, z, t, t1, limit)

    def kept(self, step: Step, z: FloatArray, t: float, t1: float, limit: LossLimit) -> Step:
        """Return a step of `stride` from z, or where more than the limit would be lost none; choose the next stride."""
        end, _ = landed(t, step.length, t1)
        if self.added(float(step.z[self.generator.operator.n :].sum())) > limit.at(end - t):
            self.stride = 0.5 * self.rate * step.length
            tries_again = self.stride >= self.shortest
            if not tries_again:
                self.stride = self.first
            return Step(z, 0.0, n_matvec=step.n_matvec, rejected=step.z, tries_again=tries_again)
        if step.z is self.vectors[2]:
            self.vectors[2] = z
        self.lengthen(self.rate * step.length)
        return step

    def lengthen(self, x: float) -> None:
        """Choose the next stride after a step of stride `x`."""
        self.stride = min(LONGEST_STRIDE, 2.0 * self.stride)

    def _is_finite(self, z: FloatArray) -> bool:
        """Tell whether a vector has no entry that a rate without bound has spoilt."""
        return isfinite(self.added(float(z.sum())))

    def _flow(self, z: FloatArray, t: float) -> float:
        """Return the probability that jumps per unit of time."""
        flow: float = self.added(float(self.generator.at(t).exit_rates @ self.leave(z)))
        return flow

    def _raise_no_step(self, t: float, tol_rate: float) -> None:
        way_out = way_out_of_callables(self.generator.model) or self.way_out
        raise ConvergenceError(
            f"{type(self.solver).__name__} found no step at t = {t:.6g} whose error is below {tol_rate:.1e} per unit "
            f"of time, however short. Loosen `tol`, or {way_out}."
        )


def way_out_of_callables(model: Model) -> str:
    """Return what may help where a rate in time is a callable, "" where none is."""
    hidden = [k for k, law in enumerate(model.rate_expressions) if law is None and model.time_dependent[k]]
    if not hidden:
        return ""
    name = model.reactions[hidden[0]].name
    return f"write the rate of '{name}' as a formula if it jumps there: no switch of a callable is known"


class MatrixPropagator(Propagator):
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


class Solver:
    """Numerical parameters of an integrator, a frozen value; `open` binds it to a generator.

    A method is a subclass, with a row in `fsp.solvers`.

    Attributes
    ----------
    on_ranks
        Whether it works on vectors that are spread over ranks.
    is_reproducible
        Whether its steps are the same for any number of ranks, up to the last digits.
    certified
        Whether the reported error is a bound, where `Advance.certified` says so.
    look
        Products, or solves, after which it is seen whether states can be dropped.
    largest_rate
        Exit rate, 1/time, beyond which what it computes with rates may be no double.
    is_resort
        Whether it is to be chosen, for constant rates, only where another one gave way.
    """

    __slots__ = ()
    on_ranks: ClassVar[bool] = False
    is_reproducible: ClassVar[bool] = True
    is_resort: ClassVar[bool] = False
    certified: ClassVar[bool] = True
    look: ClassVar[float] = 200.0  # a look takes about as long as ten products
    largest_rate: ClassVar[float] = LARGEST_RATE

    if TYPE_CHECKING:
        tol: float  # allowed 1-norm error of one advance, a field of every solver

    @classmethod
    def name(cls) -> str:
        """Return what it is asked for by."""
        return cls.__name__.lower()

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Return what a stretch of time is expected to take; by default it is never chosen but by name."""
        return Cost()

    def check(self, generator: BaseGenerator) -> None:
        """Raise a BackendError where it cannot treat a generator: by default, where rates depend on time."""
        if not generator.is_constant:
            raise BackendError(
                f"{type(self).__name__} must have propensities that do not depend on time, but this network's do; use "
                f"solver='magnus' or solver='implicit'."
            )

    def is_too_fast(self, generator: BaseGenerator) -> bool:
        """Tell whether constant rates are too large for doubles; those in time may be infinite at single times."""
        return generator.is_constant and not generator.largest_exit_rate <= self.largest_rate

    def bind(self, generator: BaseGenerator) -> Propagator:
        """Return the propagator of a generator; by default that of uniformization."""
        return Propagator(generator, self)

    @contextmanager
    def open(self, generator: BaseGenerator) -> Iterator[Propagator]:
        """Bind to `generator` for as long as the block.

        Raises
        ------
        BackendError
            If the solver cannot treat it.
        ConvergenceError
            If exit rates are beyond `largest_rate`.
        """
        self.check(generator)
        if self.is_too_fast(generator):
            others = "" if self.largest_rate > LARGEST_RATE else "use solver='squaring', for few states, or "
            raise ConvergenceError(
                f"Exit rates must be at most {self.largest_rate:.0e} for {type(self).__name__}, but one is "
                f"{generator.largest_exit_rate:.3g}; {others}{FASTER_UNIT}."
            )
        yield self.bind(generator)
