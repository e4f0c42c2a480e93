"""What advancing with a solver of PETSc has in common: steps that end where too much probability would leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers import kernels
from fsp.solvers.base import NO_LIMIT, REPORT_WORK, Advance, History, LossLimit, Pulse, landed, step_to

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.petsc.generator import Generator

FIRST_STRIDE = 64.0  # Λ times the first step, where probability may leave
SHORTEST_STRIDE = 1.0  # Λ times the shortest step tried before the space must grow
LONGEST_STRIDE = 1e6  # Λ times the longest step, where probability may leave
REPORTED_STRIDE = 1e4  # Λ times a step after which progress is reported

Pairs = tuple[tuple[str, str], ...]


def pairs(options: Mapping[str, Any] | Pairs) -> Pairs:
    """Return options of PETSc as pairs of texts, which a frozen value can hold."""
    named = options.items() if isinstance(options, Mapping) else options
    return tuple(sorted((str(name), str(value)) for name, value in named))


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One step.

    Parameters
    ----------
    z
        Vector of the closed chain, (size,).
    error
        Estimate of the 1-norm of its error.
    n_matvec
        Number of products.
    """

    z: FloatArray
    error: float
    n_matvec: int


class Integrator(Protocol):
    """Takes steps on vectors of the closed chain."""

    def step(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return the vector at t + h, with an error of about `tol`."""
        ...


class Stepper:
    """A propagator (`fsp.solvers.base.Propagator`) that takes the steps of an integrator.

    Parameters
    ----------
    generator
        The generator.
    tol
        Error allowed for an advance that says none.
    integrator
        Takes the steps.
    """

    step_length = 0.0
    history: History | None = None

    def __init__(self, generator: Generator, tol: float, integrator: Integrator) -> None:
        self._tol, self._integrator = tol, integrator
        self._operator = generator.operator
        self._rate = generator.largest_exit_rate  # Λ
        self._roundings = generator.roundings
        self._most = max(1.0, REPORT_WORK / generator.work)  # products
        self._stride = FIRST_STRIDE

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
        """Advance `p` from `t0` towards `t1`; see `fsp.solvers.base.Propagator`."""
        added, n = self._operator.added, self._operator.n
        z = self._operator.enter(p)
        if self._rate == 0.0:
            return Advance(p.copy(), np.zeros(len(z) - n), 0.0, 0, t1, 0.0)
        tol_rate = (self._tol if tol is None else tol) / (t1 - t0)
        t, error, rounding, n_matvec = t0, 0.0, 0.0, 0
        rejected = None
        while t < t1 and n_matvec < min(most, self._most) and (rejected is None or t == t0):
            stride = REPORTED_STRIDE if limit.offset == inf else self._stride
            h = step_to(t, stride / self._rate, t1)
            end, held = landed(t, h, t1)
            step = self._integrator.step(z, t, h, 0.5 * tol_rate * h)
            n_matvec += step.n_matvec
            cut = added(kernels.clip(step.z))
            if added(float(step.z[n:].sum())) > limit.at(end - t0):
                rejected = self._operator.leave(step.z) if rejected is None else rejected
                self._stride = 0.5 * self._rate * h
                if self._stride < SHORTEST_STRIDE:
                    self._stride = FIRST_STRIDE
                    break
                continue
            self._stride = min(LONGEST_STRIDE, 2.0 * self._stride)
            z, t = step.z, end
            error += step.error + cut
            jumps, mass = 2.0 * self._rate * h, added(float(z.sum()))
            rounding += (UNIT_ROUNDOFF * (jumps * self._roundings + step.n_matvec) + 2.0 * self._rate * held) * mass
        return Advance(self._operator.leave(z), added(z[n:].copy()), error, n_matvec, t, rounding, rejected, False)
