"""Integrals along the runs of a chain on a space, by uniformization: first and second moments of what is accumulated.

Let y(x) be the probability of having stayed in S and being at x, R what was accumulated while in S, at a rate c(x), or
one for each firing of a reaction with rates a(x) and jumps B, and z(x) = E[R; stayed, at x].  On S

    y' = A y,   z' = A z + c y  or  A z + B y,   (E R)' = Σ c y  or  Σ a y,   (E R²)' = 2 Σ c z  or  Σ a y + 2 Σ a z,

one linear system w' = K w without a negative entry beside the diagonal.  So all powers of P = I + K/Λ add, for Λ above
all exit rates, and what is computed is the mean over those runs up to leaving S whose ticks, of a clock of rate Λ, are
in the windows of the Poisson laws, but for a relative rounding:

(1) Λ is WIDENED times the largest exit rate, so that an entry of the diagonal of P is a third at least, and has at most
    AMPLIFIED times the relative rounding of a rate;
(2) n products leave a relative error of n times that of one, and of the additions and weights of a sum of n terms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, diags_array

from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF, dot
from fsp.equilibrium.certificate import roundings
from fsp.errors import ConvergenceError
from fsp.solvers.poisson import AMPLIFIED, WIDENED, poisson_window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

OF_SUMS = 8.0  # roundings of a term: its weight, from the mode on and normalised, and what is added to it; (2)
POISSON_TAIL = 1e-18  # of the Poisson law, left out on either side; below the rounding
MOST_WORK = 3e10  # multiply-adds, about a minute; chosen


@dataclass(frozen=True, slots=True)
class Accumulated:
    """What is known at one time of runs up to their leaving the space."""

    mass: float  # probability of those that stayed, Σ y
    mean: float  # E R
    square: float  # E R²
    relative: float  # rounding of all of them


def accumulate(
    generator: Generator, start: FloatArray, times: FloatArray, rates: FloatArray, jumps: Any | None
) -> Iterator[Accumulated]:
    """Yield what is accumulated up to increasing times from `start` (n,), with `rates` (n,) c or a, and B (n, n)."""
    last = float(times[-1])
    Λ = max(WIDENED * generator.largest_exit_rate, 1.0 / last if last else 1.0)
    work = Λ * last * (2.0 * generator.nnz + 8.0 * len(generator))
    if work > MOST_WORK:
        raise ConvergenceError(
            f"A reward must be reached with {MOST_WORK:.0e} multiply-adds, but {work:.1e} are needed up to t = "
            f"{times[-1]:.6g} at rates of up to {generator.largest_exit_rate:.3g}; ask for earlier times."
        )
    system = _PoissonPowers(generator, Λ, rates, jumps)
    rounding = AMPLIFIED * (roundings(generator) + 4.0 * UNIT_ROUNDOFF) + OF_SUMS * UNIT_ROUNDOFF  # (1), (2)
    w, sums, t, relative = np.stack([start, np.zeros(len(start))], axis=1), np.zeros(2), 0.0, SUM_ROUNDING
    for end in times.tolist():
        if end > t:
            w, sums, n = system.advanced(w, sums, (end - t) * Λ)
            relative += n * rounding
        t = end
        yield Accumulated(float(w[:, 0].sum()), float(sums[0]), float(sums[1]), relative)


class _PoissonPowers:
    """The powers of P on (y, z), and on both means."""

    def __init__(self, generator: Generator, Λ: float, rates: FloatArray, jumps: Any | None) -> None:
        scale = 1.0 / Λ
        self._rates, self._counts = rates * scale, jumps is not None
        self._P = csr_array(generator.to_csr() * scale + diags_array(np.ones(len(generator))))
        self._Q = csr_array(jumps * scale) if jumps is not None else None

    def advanced(self, w: FloatArray, sums: FloatArray, mean: float) -> tuple[FloatArray, FloatArray, int]:
        """Return (y, z) (n, 2) and the sums (2,) after a time in which the clock ticks `mean` times, and the products.

        Each sum is one of powers with the weights of the Poisson law.
        """
        first, weights = poisson_window(mean, POISSON_TAIL)
        total, all_sums = np.zeros_like(w), np.zeros(2)
        for k in range(first + len(weights)):
            if k >= first:
                total += weights[k - first] * w
                all_sums += weights[k - first] * sums
            gained, above = (float(dot(self._rates, w[:, k])) for k in (0, 1))  # Σ c y, Σ c z
            sums = sums + np.array([gained, 2.0 * above + (gained if self._counts else 0.0)])
            added = self._Q @ w[:, 0] if self._Q is not None else self._rates * w[:, 0]  # (n,)
            w = self._P @ w
            w[:, 1] += added
        return total, all_sums, first + len(weights)
