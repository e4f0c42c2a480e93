"""The seam between the FSP loop and the integrators.

A solver is a frozen value; `open` binds it to one generator; the propagator that comes back advances a
probability vector and reports a bound on what it did wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import frexp, inf, ldexp, nextafter
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span, sum_error
from fsp.errors import ArgumentError, BackendError, ConvergenceError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

REPORT_WORK = 2e9  # multiply-adds after which an advance returns, or a long step says how far it is
CRUMB = 1e-9  # of a step: what would be left of the way after it is taken with it
CLOSED_NOISE = 5.0  # times the rounding of products that is charged
OPEN_NOISE = 0.1  # the same: an error that adds no more to the charge is as good as none
STEP_BITS = 24  # of a step length that shall add up without rounding


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


def check_count(name: str, value: object, least: int, most: float = inf) -> None:
    """Raise an ArgumentError unless an option of a solver is a whole number in a range."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or not least <= value <= most:
        allowed = f"at least {least}" if most == inf else f"{least} to {most}"
        raise ArgumentError(f"`{name}` must be {allowed}, but is {value!r}.")


def require_constant_rates(generator: Generator, name: str) -> None:
    """Raise a BackendError if propensities depend on time, for a solver that cannot treat that."""
    if not generator.is_constant:
        raise BackendError(
            f"{name} must have propensities that do not depend on time, but this network's do; use solver='magnus' or "
            f"solver='implicit'."
        )


def step_to(t: float, h: float, t1: float) -> float:
    """Return the length of a step of about `h` from `t` towards `t1`, at the end of which is a float.

    Raises
    ------
    ConvergenceError
        If there is no float so near.
    """
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
    what is seen is charged.

    Parameters
    ----------
    rate
        Largest exit rate.
    roundings
        Behind an entry of a product.
    mass
        1-norm of the vector that the basis begins with.
    vectors
        Of the basis where it is closed, else 0.
    """
    times = CLOSED_NOISE if vectors else OPEN_NOISE
    return times * UNIT_ROUNDOFF * 2.0 * rate * (roundings + vectors) * mass


class Heart:
    """Calls a pulse now and then: after every REPORT_WORK of products.

    Parameters
    ----------
    work
        Multiply-adds of one product.
    """

    def __init__(self, work: float) -> None:
        self._work = work
        self._done = 0.0
        self.pulse: Pulse | None = None

    def beat(self, t: float, h: float, share: float) -> None:
        """Take note of a product, `share` of the way into the step from `t` to ``t + h``."""
        self._done += self._work
        if self._done >= REPORT_WORK and self.pulse is not None:
            self._done = 0.0
            self.pulse(t + min(share, 1.0) * h)


@dataclass(frozen=True, slots=True)
class Advance:
    """What one call of `Propagator.advance` did.

    Parameters
    ----------
    p
        Non-negative probability vector at time `t`, (n,).
    lost
        Probability that went into each sink, (n_sinks,).
    error
        Bound (estimate, where the solver is not certified) on the 1-norm of what integration added to the error.
    n_matvec
        Number of products with the generator.
    t
        Time reached: before the time asked for if the loss limit was met or the solver wants to report progress.
    rounding
        Bound on the rounding error, by the model in docs/certificate.md.
    rejected
        The state that broke the loss limit, (n,): where its probability sits, the space must grow.
    certified
        Whether the error is a bound, where the solver's are.
    """

    p: FloatArray
    lost: FloatArray
    error: float
    n_matvec: int
    t: float
    rounding: float
    rejected: FloatArray | None = field(default=None)
    certified: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A solution on the last step, by its values in Chebyshev points.

    Parameters
    ----------
    start, s
        Of the step: its start and length.
    values
        In the order of the space, (count, n).
    """

    start: float
    s: float
    values: FloatArray

    def carried(self, carry: Callable[[FloatArray], FloatArray]) -> History:
        """Return the history on another space, onto which `carry` takes values."""
        return History(self.start, self.s, np.stack([carry(value) for value in self.values]))


class Propagator(Protocol):
    """A solver bound to one generator.

    Attributes
    ----------
    step_length
        Length of the next step; 0 where the solver finds it anew each time.  It may be set, as where the solution goes
        on in another space and is as smooth as it was.
    history
        Solution of the last step, where the next one is extrapolated from it; None for other solvers.  It may be set
        as well.
    """

    step_length: float
    history: History | None

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
        """Advance `p` from `t0` towards `t1`, with an error of at most `tol` in proportion to the time covered.

        A solver whose steps take long calls `pulse` with about the time that it has reached, and it returns at the
        first point after `most` products.
        """
        ...


class Solver(Protocol):
    """Numerical parameters of an integrator."""

    @property
    def tol(self) -> float:
        """Allowed 1-norm error of one advance."""
        ...

    @property
    def certified(self) -> bool:
        """Whether the reported error is a bound."""
        ...

    def open(self, generator: Generator) -> AbstractContextManager[Propagator]:
        """Bind to `generator`."""
        ...
