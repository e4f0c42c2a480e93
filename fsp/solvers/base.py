"""The seam between the FSP loop and the integrators.

A solver is a frozen value; `open` binds it to one generator; the propagator that comes back advances a
probability vector and reports a bound on what it did wrong.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

UNIT_ROUNDOFF = 2.0**-53
REPORT_WORK = 5e8  # multiply-adds after which an advance returns, so that the caller can report progress


@dataclass(frozen=True, slots=True)
class LossLimit:
    """How much probability may have left the space after `s` units of time: ``offset + rate * s``."""

    offset: float = inf
    rate: float = 0.0

    def at(self, s: float) -> float:
        """Return the limit after `s` units of time."""
        return self.offset + self.rate * s


NO_LIMIT = LossLimit()


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
    """

    p: FloatArray
    lost: FloatArray
    error: float
    n_matvec: int
    t: float
    rounding: float
    rejected: FloatArray | None = field(default=None)


class Propagator(Protocol):
    """A solver bound to one generator."""

    def advance(
        self, p: FloatArray, t0: float, t1: float, *, tol: float | None = None, limit: LossLimit = NO_LIMIT
    ) -> Advance:
        """Advance `p` from `t0` towards `t1`, with an error of at most `tol` in proportion to the time covered."""
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
