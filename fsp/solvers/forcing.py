"""What changes in a step of `Magnus`, the forcing that stands for it, and the past that it is extrapolated from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.solvers import magnus_kernels
from fsp.solvers.clocks import DEGREE, Clock, chebyshev_nodes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

EXTRAPOLATED = 4  # degree


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What changes in a step: θ_l.

    Parameters
    ----------
    clocks
        The functions of time, about the middle of the step.
    start
        Of the step, as distance from that middle.
    """

    clocks: list[Clock]
    start: float

    @property
    def certified(self) -> bool:
        """Whether all remainders are bounds."""
        return all(clock.certified for clock in self.clocks)

    @property
    def length(self) -> float:
        """Length of the step that the functions of time were taken on."""
        return -2.0 * self.start

    def factors(self, s: float) -> FloatArray:
        """Return the coefficients of each θ_l in powers of z, from -1 to 1 on a step of length s, (L, DEGREE + 1)."""
        out = np.empty((len(self.clocks), DEGREE + 1))
        for row, clock in zip(out, self.clocks, strict=True):
            magnus_kernels.shifted(clock.change, self.start + 0.5 * s, 0.5 * s, row)
        return out

    def at(self, s: float, z: FloatArray) -> FloatArray:
        """Return each θ_l at the places z of a step of length s, (L, len(z))."""
        return np.asarray(self.factors(s) @ np.vander(z, DEGREE + 1, increasing=True).T)

    def remainders(self) -> FloatArray:
        """Return the bounds on what the polynomials miss, but for rounding, of degree zero, (L, DEGREE + 1)."""
        out = np.zeros((len(self.clocks), DEGREE + 1))
        out[:, 0] = [clock.missed for clock in self.clocks]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Forcing:
    """A polynomial ``f = Σ_k W_k T_k`` on a step of length h.

    Parameters
    ----------
    W
        (p, size).
    sizes
        ‖W_k‖₁, (p,).
    h
        Length of the step.
    """

    W: FloatArray
    sizes: FloatArray
    h: float


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """Where ``A_l y`` is known at nodes: on a step from `start` of length `s`, with `count` nodes."""

    start: float
    s: float
    count: int

    def carried(self, at: FloatArray) -> FloatArray:
        """Return the matrix that takes values at the nodes to times `at`: (len(at), count)."""
        if self.count == 1:
            return np.ones((len(at), 1))
        z = 2.0 * (at - self.start) / self.s - 1.0
        inside = float(np.abs(z).max()) <= 1.2
        modes = chebyshev_nodes(self.count).to_modes
        degree = self.count - 1 if inside else min(EXTRAPOLATED, self.count - 1)
        # Beyond the past, high modes are noise that grows: those kept are what their sum is at its points.
        return np.asarray(np.polynomial.chebyshev.chebvander(z, degree) @ modes[: degree + 1])
