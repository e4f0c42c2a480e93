"""What advancing with a solver of PETSc has in common: steps that end where too much probability would leave."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.solvers import kernels
from fsp.solvers.base import step_to
from fsp.solvers.stepping import Propagator, Step

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.solvers.base import LossLimit

REPORTED_STRIDE = 1e4  # Λ times a step after which progress is reported; chosen, not measured

Pairs = tuple[tuple[str, str], ...]


def pairs(options: Mapping[str, Any] | Pairs) -> Pairs:
    """Return options of PETSc as pairs of texts, which a frozen value can hold."""
    named = options.items() if isinstance(options, Mapping) else options
    return tuple(sorted((str(name), str(value)) for name, value in named))


class Stepper(Propagator):
    """A propagator whose steps an integrator of PETSc or SLEPc takes; `generator` is distributed."""

    @abstractmethod
    def integrate(self, z: FloatArray, t: float, h: float, tol: float) -> Step:
        """Return the step to t + h for a vector of the closed chain, with an error of about `tol`."""

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take the integrator's step, with half of the error for what is clipped; see `Propagator.step`."""
        h = step_to(t, (REPORTED_STRIDE if limit.offset == inf else self.stride) / self.rate, t1)
        step = self.integrate(z, t, h, 0.5 * tol_rate * h)
        error = step.error + self.added(kernels.clip(step.z))
        jumps, mass = 2.0 * self.rate * h, self.added(float(step.z.sum()))
        rounding = UNIT_ROUNDOFF * (jumps * self.roundings + step.n_matvec) * mass
        return self.kept(replace(step, error=error, rounding=rounding), z, t, t1, limit)
