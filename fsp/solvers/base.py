"""What solvers take and return (`fsp.solvers.stepping`): limits, advances, memories, and the lengths of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import frexp, inf, ldexp, nextafter
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span, sum_error
from fsp.errors import ArgumentError, ConvergenceError
from fsp.solvers.small_exponential_kernels import CRUMB

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

REPORT_WORK = 2e9  # multiply-adds after which an advance returns, or a long step says how far it is
CLOSED_NOISE = 5.0  # times the rounding of products that is charged
OPEN_NOISE = 0.1  # the same: an error that adds no more to the charge is as good as none
SMALLEST_STEP = 1e-13  # of the time asked for, or of the shortest mean waiting time
STEP_BITS = 24  # of a step length that shall add up without rounding
LARGEST_RATE = 2.0**500  # 1/time: squares of sums of some millions of them are doubles


@dataclass(frozen=True, slots=True)
class LossLimit:
    """How much probability may have left the space after `s` units of time: ``offset + rate * s``."""

    offset: float = inf
    rate: float = 0.0

    def at(self, s: float) -> float:
        """Return the limit after `s` units of time."""
        return self.offset + self.rate * s


NO_LIMIT = LossLimit()
Pulse = Callable[[float], None]


def check_tol(tol: object) -> None:
    """Raise an ArgumentError unless the tolerance of a solver is positive."""
    if not isinstance(tol, int | float | np.number) or not tol > 0.0:
        raise ArgumentError(f"`tol` must be positive, but is {tol!r}.")


def check_count(name: str, value: object, least: int, greatest: float = inf) -> None:
    """Raise an ArgumentError unless an option of a solver is a whole number in a range."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= greatest:
        allowed = f"at least {least}" if greatest == inf else f"{least} to {greatest}"
        raise ArgumentError(f"`{name}` must be {allowed}, but is {value!r}.")


def step_to(t: float, h: float, t1: float) -> float:
    """Return the length of a step of about `h` from `t` towards `t1`, at the end of which is a float."""
    end = t1 if t1 - t <= h * (1.0 + CRUMB) else t + h
    if end <= t:
        raise ConvergenceError(
            f"A step must reach beyond t = {t:.17g}, but one of {h:.1e} is below the last digit of that time. Ask for "
            f"an earlier time, or for `fsp.stationary`."
        )
    return span(t, end)


def landed(t: float, s: float, t1: float) -> tuple[float, float]:
    """Return the first float from ``t + s`` on, and how far that is; t1 where s is all of the way.

    The solution y is held for that long, which is an error of at most so much times ``‖A y‖₁``: solvers charge it.
    Lengths are chosen so that it is zero but where the time has fewer digits after a step than before.
    """
    end = t1 if s >= span(t, t1) else t + s
    past = (end - (t + s)) - sum_error(t, s)
    if past < 0.0:
        following = nextafter(end, inf)
        end, past = following, past + (following - end)
    return end, nextafter(past, inf) if past > 0.0 else 0.0


def short(h: float) -> float:
    """Return a length, rounded down to so few digits that times add up without rounding."""
    if h == inf:
        return h
    mantissa, exponent = frexp(h)
    return ldexp(float(int(ldexp(mantissa, STEP_BITS))), exponent - STEP_BITS)


def noise_of_products(rate: float, roundings: float, mass: float, vectors: int = 0) -> float:
    """Return, per unit of time, what the residual of a Krylov basis may show for rounding.

    The residual of a closed basis shows it all, and more vectors would not make it smaller: the step is accepted, and
    what is seen is charged.  `rate` is the largest exit rate, `roundings` are those behind an entry of a product, and
    `mass` is the 1-norm of the vector that the basis begins with; its `vectors` count where it is closed.
    """
    times = CLOSED_NOISE if vectors else OPEN_NOISE
    return times * UNIT_ROUNDOFF * 2.0 * rate * (roundings + vectors) * mass


@dataclass(frozen=True, slots=True)
class Advance:
    """What one call of `Propagator.advance` did."""

    p: FloatArray  # non-negative probability vector at time `t`, (n,)
    lost: FloatArray  # probability that went into each sink, (n_sinks,)
    error: float  # bound (estimate, where the solver is not certified) on the 1-norm of what integration added
    n_matvec: int  # products with the generator, or solves
    t: float  # reached: before the time asked for if the loss limit was met or the solver wants to report progress
    rounding: float  # bound on the rounding error, by the model in docs/certificate.md
    rejected: FloatArray | None = field(default=None)  # the state that broke the limit, (n,): where the space must grow
    certified: bool = True  # whether the error is a bound, where the solver's are
    step_length: float = 0.0  # of the next step; 0 where the method has none
    beside: float = 0.0  # multiply-adds beside the products, where they may be far more


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A solution on the last step, by its values in Chebyshev points."""

    start: float  # of the step
    s: float  # its length
    values: FloatArray  # in the order of the space, (count, n)

    def carried(self, carry: Callable[[FloatArray], FloatArray]) -> History:
        """Return the history on another space, onto which `carry` takes values."""
        return History(self.start, self.s, np.stack([carry(value) for value in self.values]))


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What a propagator knows that serves another one of its solver: where it goes on, in this space or in another."""

    step_length: float = 0.0  # 0: unknown
    history: History | None = None

    def carried(self, carry: Callable[[FloatArray], FloatArray]) -> Memory:
        """Return the memory on another space, onto which `carry` takes values."""
        return Memory(self.step_length, None if self.history is None else self.history.carried(carry))
