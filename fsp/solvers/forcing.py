"""What changes in a step of `Magnus`, the forcing that stands for it, and the past that it is extrapolated from.

The forcing is held against what it stands for, ``Σ_l θ_l A_l y``, in nodes; between them interpolation is bounded by
the Taylor terms of the small exponential.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np

from fsp.solvers import magnus_kernels, small_exponential_kernels
from fsp.solvers.augmented import Forcing
from fsp.solvers.clocks import DEGREE, Clock, Nodes, chebyshev_nodes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.augmented import AugmentedBasis, Space
    from fsp.solvers.base import History

EXTRAPOLATED = 4  # degree, beyond the past: higher modes are noise that grows
NODES = (5, 9, 13)  # numbers of them that are tried
AT_ONCE = 2  # nodes whose values are held
INTERPOLATION_SHARE = 0.2  # of the tolerance of a step, see `fsp.solvers.magnus`
HOPELESS = 100.0  # times what interpolation may miss


class TooLong(Exception):  # noqa: N818 - control flow of `Magnus`
    """The step must be shorter: `h`."""

    def __init__(self, h: float) -> None:
        self.h = h


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What changes in a step: θ_l."""

    clocks: list[Clock]  # the functions of time, about the middle of the step
    start: float  # of the step, as distance from that middle

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
            small_exponential_kernels.shifted(clock.change, self.start + 0.5 * s, 0.5 * s, row)
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


@dataclass(frozen=True, slots=True, eq=False)
class ForcingFit:
    """How much of a step polynomials through the nodes describe."""

    length: float
    missed: float  # per unit of time
    u: FloatArray  # the small exponential at the nodes, (count, size)


class ChangingParts:
    """The parts A_l of a generator that change, and what is known of ``A_l y``; `products` counts all with them.

    Attributes
    ----------
    exits, largest
        Exit rates of each part, (L, n), and the largest of each.
    """

    def __init__(self, generator: BaseGenerator, counts: list[int]) -> None:
        self._operator = generator.operator
        parts = [generator.part(k) for k in range(1, len(generator.clocks))]
        self._operators = [part.operator for part in parts]
        n, size = self._operator.n, self._operator.size
        self.exits = np.array([self._operator.enter(part.exit_rates)[:n] for part in parts]).reshape(len(parts), n)
        self.largest = [part.largest_exit_rate for part in parts]
        self._counts, self._level = counts, 0  # of nodes, and which of them
        self._changes = np.empty((len(parts), counts[-1], size))  # A_l y at the nodes
        self._forcing = np.empty((counts[-1], size))
        self._values = np.empty((AT_ONCE, size))  # y at some nodes
        self._past: Past | None = None
        self._told: History | None = None
        self.products = 0

    def tell(self, history: History | None) -> None:
        """Go on from a solution, in place of what is known."""
        self._told, self._past = history, None

    @property
    def nodes(self) -> Nodes:
        """The nodes of a step."""
        return chebyshev_nodes(self._counts[self._level])

    def forced(self, change: Change, z: FloatArray, t: float, h: float, negligible: float) -> Forcing:
        """Return the forcing of a step, from what is known of ``A_l y``, without modes that are negligible."""
        nodes = self.nodes
        count = len(nodes.z)
        if not self._operators:
            return Forcing(self._forcing[:0], np.empty(0), np.empty((0, 0)), h)
        past = self._past = self._past or self._known(z, t)
        at = t + 0.5 * h * (1.0 + nodes.z)
        carry = past.carried(at)  # (count, past.count)
        theta = change.at(h, nodes.z)  # (L, count)
        W = self._forcing[:count]
        W[:] = 0.0
        for k in range(len(self._operators)):
            coefficients = nodes.to_modes @ (theta[k][:, None] * carry)
            magnus_kernels.add_mixed(self._changes[k, : past.count], coefficients, W)
        sizes = self._operator.added(np.abs(W).sum(axis=1))  # ‖W_k‖₁
        p, dropped = count, 0.0
        while p > 1 and dropped + sizes[p - 1] <= negligible:
            p -= 1
            dropped += float(sizes[p])
        return Forcing(W[:p], sizes[:p], nodes.slopes[:p, :p] / h, h)

    def interpolated(
        self, space: Space, basis: AugmentedBasis, change: Change, s: float, tol_rate: float, f: Forcing
    ) -> ForcingFit:
        """Return how much of a step of length s polynomials describe; choose the number of nodes."""
        allowed = INTERPOLATION_SHARE * tol_rate
        shortest = 0.1 * s
        while s > shortest:
            fit = self._fit(space, basis, change, s, f, allowed)
            if fit.missed <= allowed:
                return self._with_fewer_nodes(fit, space, basis, change, f, allowed)
            if self._level + 1 < len(self._counts):
                self._level += 1
            else:
                factor = max(0.2, min(0.8, (allowed / fit.missed) ** (1.0 / self._counts[self._level])))
                s = small_exponential_kernels.whole(factor * s, space.tick)
        raise TooLong(max(s, 0.25 * f.h))  # functions of time are known better on a shorter step

    def _with_fewer_nodes(
        self, fit: ForcingFit, space: Space, basis: AugmentedBasis, change: Change, f: Forcing, allowed: float
    ) -> ForcingFit:
        """Return the fit with the next smaller number of nodes where that is likely to do, and does."""
        fewer = self._counts[max(self._level - 1, 0)]
        if fit.missed > 1e-3 * allowed or not len(f.W) <= fewer < len(self.nodes.z):
            return fit
        self._level -= 1
        smaller = self._fit(space, basis, change, fit.length, f, allowed)
        if smaller.missed <= allowed:
            return smaller
        self._level += 1
        return fit

    def _fit(
        self, space: Space, basis: AugmentedBasis, change: Change, s: float, f: Forcing, allowed: float
    ) -> ForcingFit:
        """Bound, per unit of time, what interpolation misses of ``Σ_l θ_l A_l y``, and of the forcing's polynomials.

        What the polynomials in time miss of the clocks is included.
        """
        nodes, m = self.nodes, space.size
        count, p = len(nodes.z), len(f.W)
        u = np.empty((count, m))
        small_exponential_kernels.at_nodes(space.H, m, space.depth, 0.5 * s * (1.0 + nodes.z), u)
        factors = change.factors(s)
        values = change.at(s, nodes.z)[:, :, None] * u[None]  # (L, count, m)
        interpolants = np.ascontiguousarray(np.einsum("ki,lij->ljk", nodes.to_powers, values))
        weights = 2.0 * space.norms[1:, :m]
        outputs = np.ascontiguousarray(space.scale * basis.polynomials(space, p).T) / space.unit
        # T_k on the step of the forcing, in powers of z on this one
        targets = np.empty((p, max(p, 1)))
        for k in range(p):
            small_exponential_kernels.shifted(nodes.modes[k, :p].copy(), s / f.h - 1.0, s / f.h, targets[k])
        missed = small_exponential_kernels.interpolation_error(
            space.H,
            m,
            space.depth,
            s,
            np.concatenate([factors, change.remainders()]),
            np.concatenate([interpolants, np.zeros_like(interpolants)]),
            np.concatenate([weights, weights]),
            outputs,
            np.pad(targets, ((0, 0), (0, count - p))),
            f.sizes,
            HOPELESS * allowed,
        )
        return ForcingFit(s, float(missed), u)

    def residual(
        self, space: Space, basis: AugmentedBasis, change: Change, f: Forcing, t: float, fit: ForcingFit
    ) -> float:
        """Find ``A_l y`` at the nodes; return a bound on the integral of ``‖Σ_l θ_l A_l y - f‖₁``."""
        if not self._operators:
            return 0.0
        nodes, s = self.nodes, fit.length
        count = len(nodes.z)
        for first in range(0, count, AT_ONCE):
            u = space.scale * fit.u[first : first + AT_ONCE]
            np.matmul(u, basis.V[: space.size, : self._operator.size], out=self._values[: len(u)])
            for i, y in enumerate(self._values[: len(u)]):
                self._differentiate(y, first + i)
        self._past = Past(t, s, count)
        modes = np.polynomial.chebyshev.chebvander((1.0 + nodes.z) * s / f.h - 1.0, len(f.W) - 1)  # (count, p)
        modes = np.ascontiguousarray(modes)
        norms = np.empty(count)
        magnus_kernels.residual_norms(self._changes, change.at(s, nodes.z), f.W, modes, norms)
        return s * float(self._operator.added(norms) @ nodes.integrals)

    def _known(self, z: FloatArray, t: float) -> Past:
        """Find ``A_l y`` where y is known: at the start, or where a solution that is told of reaches it."""
        told, self._told = self._told, None
        if told is None or not told.start <= t <= nextafter(told.start + told.s, inf):
            self._differentiate(z, 0)
            return Past(t, 0.0, 1)
        for i, value in enumerate(told.values):
            self._differentiate(self._operator.enter(value), i)
        return Past(told.start, told.s, len(told.values))

    def _differentiate(self, y: FloatArray, node: int) -> None:
        """Write ``A_l y`` at a node."""
        for k, operator in enumerate(self._operators):
            operator.product(y, self._changes[k, node])
            self.products += 1
