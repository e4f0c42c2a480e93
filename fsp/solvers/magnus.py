"""Krylov exponentials for rates that depend on time, with the 1-norm of the residual as error bound.

On a step, ``A(t) = Σ_l g_l(t) A_l`` is split at its middle into a constant part and what changes::

    A(t) = B + Σ_l θ_l(t) A_l,      B = A(middle),  θ_l = g_l - g_l(middle)

The exponential of B is the first one of the Magnus series.  What it lacks is a forcing, a polynomial f in time that
interpolates ``Σ_l θ_l A_l ỹ`` in Chebyshev points, ỹ being the solution of the last step, extrapolated::

    y' = B y + f,      f(s) ≈ Σ_l θ_l(s) A_l ỹ(s)

It is solved in one Krylov space of B augmented by that polynomial.  The residual is that of the Krylov space, and
``Σ_l θ_l A_l y - f``, which is small of second order, in θ and in ``y - ỹ``; where it does not fit, y takes the place
of ỹ and the step is repeated.  As the chain with its sinks does not expand the 1-norm, the error is at most the
integral of the residual's, all of whose parts are bounded: a polynomial with vectors as coefficients by its values in
the nodes, ``∫‖r‖₁ <= Σ_i ‖r(s_i)‖₁ ∫|ℓ_i|``; interpolation by the Taylor terms of the small exponential; g_l by
interval arithmetic (`fsp.model.taylor`).

References
----------
W. Magnus, Comm. Pure Appl. Math. 7 (1954) 649, doi:10.1002/cpa.3160070404; S. Blanes, F. Casas, J. A. Oteo, J. Ros,
Phys. Rep. 470 (2009) 151, doi:10.1016/j.physrep.2008.11.001; A. H. Al-Mohy, N. J. Higham, SIAM J. Sci. Comput. 33
(2011) 488, doi:10.1137/100788860 (the augmented matrix); M. A. Botchev, V. Grimm, M. Hochbruck, SIAM J. Sci. Comput. 35
(2013) A1376, doi:10.1137/110820191 (the residual).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ArgumentError, BackendError, ConvergenceError
from fsp.solvers import kernels, magnus_kernels
from fsp.solvers.base import (
    NO_LIMIT,
    REPORT_WORK,
    UNIT_ROUNDOFF,
    Advance,
    Heart,
    LossLimit,
    Pulse,
    check_tol,
)
from fsp.solvers.clocks import DEGREE, Clock, Nodes, chebyshev_nodes, clock_on, reach

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator
    from fsp.generator.operator import Operator

BYTES = 5 * 2**26  # of a basis and the vectors at the nodes
NODES = (6, 9, 13)  # numbers of them that are tried
MOST_PASSES = 6
UNIT = 0.03  # of the polynomials beside the state: large ones spoil the incomplete orthogonalisation
SLOWEST_GAIN = 0.5  # of a pass
EXTRAPOLATED = 4  # degree
# Shares of the tolerance of a step.
KRYLOV_SHARE = 0.4
INTERPOLATION_SHARE = 0.2
CLOCK_SHARE = 0.05
TIME_ROUNDING = 1e-10  # of the time: the place of a switch is not known better
LOSS_SAFETY = 0.98  # of the loss limit, kept by the uncorrected step
SMALLEST_STEP = 1e-13  # of the time asked for


@dataclass(frozen=True, slots=True)
class Magnus:
    """Step by exponentials of the generator in the middle of a step, with what changes around it as forcing.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    dimension
        Largest size of a Krylov space.
    orthogonalization
        Number of preceding basis vectors that a new one is orthogonalised against.
    """

    tol: float = 1e-10
    dimension: int = 50
    orthogonalization: int = 6

    def __post_init__(self) -> None:
        check_tol(self.tol)
        if self.dimension < 10 or self.orthogonalization < 2:
            raise ArgumentError(
                f"`dimension` must be at least 10 and `orthogonalization` at least 2, but are {self.dimension} and "
                f"{self.orthogonalization}."
            )

    @property
    def certified(self) -> bool:
        """The reported error is a bound, where `Advance.certified` says so."""
        return True

    @contextmanager
    def open(self, generator: Generator) -> Iterator[_MagnusPropagator]:
        """Bind to `generator`, whose propensities must be sums of functions of time times functions of the state."""
        if not generator.is_scalable:
            raise BackendError(
                "Magnus must have propensities that are sums of products of a function of time and functions of single "
                "species, but this network has others; use solver='implicit'."
            )
        yield _MagnusPropagator(generator, self)


@dataclass(frozen=True, slots=True, eq=False)
class _Change:
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


def _carried(past: _Past, at: FloatArray) -> FloatArray:
    """Return the matrix that takes values at nodes of the past to times `at`: (len(at), past.count)."""
    if past.count == 1:
        return np.ones((len(at), 1))
    basis = np.polynomial.chebyshev
    z = 2.0 * (at - past.start) / past.s - 1.0
    inside = float(np.abs(z).max()) <= 1.2
    modes = chebyshev_nodes(past.count).to_modes
    degree = past.count - 1 if inside else min(EXTRAPOLATED, past.count - 1)
    # Beyond the past, high modes are noise that grows: those kept are what their sum is at its points.
    return np.asarray(basis.chebvander(z, degree) @ modes[: degree + 1])


@dataclass(slots=True, eq=False)
class _Space:
    """A Krylov space: ``y(s) = scale Σ_j u_j(s) V_j``, u(s) = exp(sH) e_1.

    Parameters
    ----------
    H, size
        The projected matrix, and the number of basis vectors.
    scale
        Norm of the start vector.
    norms
        ``scale ‖V_j‖₁``, and in every further row the same weighted by the exit rates of one A_l, (1 + L, size + 1).
    unit
        Scale of the forcing's polynomials in an augmented vector.
    """

    H: FloatArray
    size: int
    scale: float
    norms: FloatArray
    unit: float

    @property
    def residual_norm(self) -> float:
        return float(self.H[self.size, self.size - 1] * self.norms[0, self.size])


class _TooLong(Exception):  # noqa: N818 - control flow of this module
    """The step must be shorter."""

    def __init__(self, h: float) -> None:
        self.h = h


@dataclass(slots=True, eq=False)
class _Past:
    """Where ``A_l y`` is known at nodes: on a step from `start` of length `s`, with `count` nodes."""

    start: float
    s: float
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    """How far the small exponential was followed: to what the tolerance allows, and to what the loss limit does."""

    reached: float
    u_reached: FloatArray
    kept: float
    u_kept: FloatArray
    growth: float  # largest Σ|u_j| ‖V_j‖₁
    error: float  # at `kept`


@dataclass(frozen=True, slots=True, eq=False)
class _Forcing:
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


class _MagnusPropagator:
    def __init__(self, generator: Generator, solver: Magnus) -> None:
        self._generator = generator
        self._tol = solver.tol
        operator = generator.operator
        self._n, self._all, self._comm = operator.n, operator.size, generator.space.comm
        self._enter, self._leave, self._added = operator.enter, operator.leave, operator.added
        self._roundings = generator.roundings
        self._most = max(1.0, REPORT_WORK / generator.work)  # products
        self._heart = Heart(generator.work)
        self._trees = generator.clocks[1:]
        parts = [generator.part(k + 1) for k in range(len(self._trees))]
        self._parts = [part.operator for part in parts]
        self._exits = np.array([operator.enter(part.exit_rates)[: self._n] for part in parts])
        self._exits = self._exits.reshape(len(parts), self._n)
        self._largest = [part.largest_exit_rate for part in parts]
        affordable = int(BYTES / (8 * self._comm.max(self._all))) - 5  # vectors
        held = len(parts) + 1  # for each node
        self._counts = [count for count in NODES if held * count + solver.dimension <= affordable] or [NODES[0]]
        most = self._counts[-1]
        self._size = max(12, min(solver.dimension, affordable - held * most))
        self._level = 0  # of the number of nodes
        self._depth = solver.orthogonalization
        self._basis = np.empty((self._size + 1, self._all + most))
        self._changes = np.empty((len(parts), most, self._all))  # A_l y at the nodes
        self._forcing = np.empty((most, self._all))
        self._past: _Past | None = None
        self.step_length = np.inf

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
        self._heart.pulse = pulse
        tol_rate = (self._tol if tol is None else tol) / (t1 - t0)
        z = self._enter(p)
        lost = np.zeros(len(z) - self._n)
        t, error, rounding, n_matvec, certified = t0, 0.0, 0.0, 0, True
        rejected = None
        while t < t1 and rejected is None and n_matvec < min(most, self._most):
            h = min(self.step_length, t1 - t)
            if h < SMALLEST_STEP * max(t1 - t0, abs(t0)):
                raise ConvergenceError(
                    f"Magnus took no step at t = {t:.6g}: no step has an error below {tol_rate:.1e} per unit of time. "
                    f"Loosen `tol`, raise `dimension` ({self._size}), or use solver='implicit'."
                )
            end = t1 if h >= (t1 - t) * (1.0 - 1e-12) else t + h
            self._products = 0
            try:
                step = self._step(z, t, end, tol_rate, LossLimit(limit.at(t - t0) - lost.sum(), limit.rate))
            except _TooLong as too_long:
                self.step_length = too_long.h
                n_matvec += self._products
                continue
            n_matvec += self._products
            rejected, certified = step.rejected, certified and step.certified
            z, lost = step.p, lost + step.lost
            error, rounding = error + step.error, rounding + step.rounding
            t = t1 if step.t >= (t1 - t) * (1.0 - 1e-13) else t + step.t
        if rejected is not None:
            rejected = self._leave(rejected)
        return Advance(self._leave(z), lost, error, n_matvec, t, rounding, rejected, certified)

    @property
    def _nodes(self) -> Nodes:
        return chebyshev_nodes(self._counts[self._level])

    def _step(self, z: FloatArray, t: float, end: float, tol_rate: float, limit: LossLimit) -> Advance:
        """Take one step to at most `end`; its `p` is a vector of the closed chain, its `t` the step's length."""
        no_sinks = np.zeros(len(z) - self._n)
        z = np.concatenate([z[: self._n], no_sinks])
        end = min((reach(tree, t, end) for tree in self._trees), default=end)
        h = end - t
        clocks = self._clocks_on(t, end)
        self._check_clocks(z, clocks, h, tol_rate)
        if not self._comm.any(bool(z.any())):
            return Advance(z, no_sinks, 0.0, 0, h, 0.0)
        change = _Change(clocks, -0.5 * h)
        self._frozen = self._generator.with_clocks(np.array([1.0, *(clock.middle for clock in clocks)]))
        before = np.inf
        for self._passes in range(1, MOST_PASSES + 1):
            f = self._forced(change, z, t, h, CLOCK_SHARE * tol_rate)
            space = self._expand(self._frozen.operator, z, f, t)
            leak = space.scale * self._added(self._basis[: space.size, self._n : self._all].sum(axis=1))
            flow = self._flow(space, h, KRYLOV_SHARE * tol_rate, leak, limit)
            if flow.kept == 0.0 and flow.reached > 0.0:
                return Advance(z, no_sinks, 0.0, 0, 0.0, 0.0, self._combined(space, flow.u_reached)[0])
            length, missed = self._interpolable(space, change, flow.kept, tol_rate, f)
            rejected = self._combined(space, flow.u_reached)[0] if length == flow.kept < flow.reached else None
            if length < flow.kept:
                flow = self._flow(space, length, KRYLOV_SHARE * tol_rate, np.zeros(space.size), NO_LIMIT)
                if flow.kept < length:  # only where rounding decides
                    raise _TooLong(0.25 * h)
            y, cut = self._combined(space, flow.u_kept)
            left = self._look(space, change, f, t, length)
            error = flow.error + length * missed + left + cut
            if error <= tol_rate * length:
                self._plan_step(length, h)
                rounding = self._rounding(flow.growth, length, z, clocks, space.size)
                lost = self._added(y[self._n :].copy())
                return Advance(y, lost, error, 0, length, rounding, rejected, change.certified)
            if left / length > SLOWEST_GAIN * before:
                break
            before = left / length
            h = min(h, 1.05 * length)
        raise _TooLong(0.5 * length)

    def _rounding(self, growth: float, length: float, z: FloatArray, clocks: list[Clock], size: int) -> float:
        """Bound the rounding of a step by the model: that of the products, and that of the functions of time."""
        products = 2 * self._frozen.largest_exit_rate * length * self._roundings
        of_clocks = sum(clock.rounding * rate for clock, rate in zip(clocks, self._largest, strict=True))
        return UNIT_ROUNDOFF * growth * (products + size + 2) + 2.0 * length * of_clocks * self._added(float(z.sum()))

    def _combined(self, space: _Space, u: FloatArray) -> tuple[FloatArray, float]:
        """Return the vector of the closed chain that u stands for, and what was clipped."""
        y = np.empty(self._all)
        cut = kernels.combine(self._basis[: space.size, : self._all], space.scale * u, y)
        return y, float(self._added(cut))

    def _clocks_on(self, t: float, end: float) -> list[Clock]:
        """Return the functions of time on a step."""
        clocks = [clock_on(tree, t, end) for tree in self._trees]
        if end - t <= TIME_ROUNDING * abs(t):  # beside a switch: which side holds is a matter of rounding
            return [replace(clock, rounding=clock.remainder) for clock in clocks]
        return clocks

    def _check_clocks(self, z: FloatArray, clocks: list[Clock], h: float, tol_rate: float) -> None:
        """Shorten the step before it costs anything, where polynomials in time would miss too much of its start."""
        flux = self._added(self._exits @ z[: self._n])  # (L,)
        missed = sum(2.0 * clock.missed * float(f) for clock, f in zip(clocks, flux, strict=True))
        if missed > CLOCK_SHARE * tol_rate:
            raise _TooLong(h * max(0.1, 0.8 * (CLOCK_SHARE * tol_rate / missed) ** (1.0 / (DEGREE + 1))))

    def _flow(self, space: _Space, horizon: float, error_rate: float, leak: FloatArray, limit: LossLimit) -> _Flow:
        """Follow the small exponential as far as the tolerance allows."""
        s, u, _, growth, s_kept, u_kept, error = kernels.flow(
            space.H,
            space.size,
            self._depth_used,
            horizon,
            space.norms[0],
            leak,
            space.residual_norm,
            error_rate,
            limit.offset * LOSS_SAFETY,
            limit.rate * LOSS_SAFETY,
            magnus_kernels.STRIDE,
        )
        return _Flow(float(s), u, float(s_kept), u_kept, float(growth), float(error))

    # ---- Krylov spaces ------------------------------------------------------------------------------------

    def _expand(self, B: Operator, z: FloatArray, f: _Forcing, t: float) -> _Space:
        """Build the Krylov space of B, augmented by the forcing, from a start vector.

        Of the polynomials beside the state every rank has its own, which drive its own states.
        """
        V, n_all, p = self._basis, self._all, len(f.W)
        J = self._nodes.slopes[:p, :p] / f.h
        width = n_all + p
        H = np.zeros((self._size + 1, self._size))
        # In proportion to the state: the forcing is divided by it, and nothing drowns in rounding.
        unit = UNIT * sqrt(self._added(float(z @ z))) / sqrt(max(p, 1))
        V[0, :n_all], V[0, n_all:width] = z, unit * (-1.0) ** np.arange(p)
        scale = sqrt(self._added(float(V[0, :width] @ V[0, :width])))
        V[0, :width] /= scale
        W = f.W
        nothing = np.zeros(width)
        of_all = self._added(width)
        most = min(self._size, of_all)
        size = most
        depth = most if most == of_all else self._depth
        for j in range(most):
            v, w = V[j, :width], V[j + 1, :width]
            u = V[j - 1, :width] if j > 0 else nothing
            B.product(v[:n_all], w[:n_all])
            dots = self._added(magnus_kernels.force(W, J, 1.0 / unit, n_all, v, u, w))
            self._products += 1
            self._heart.beat(t, 0.0, 0.0)
            if not kernels.next_vector(B, V[:, :width], H, j, depth, dots, nothing):
                size = j + 1
                break
        self._depth_used = depth
        norms = np.zeros((1 + len(self._exits), size + 1))
        rows = size + 1 if H[size, size - 1] > 0.0 else size
        magnus_kernels.weighted_norms(V[:rows], self._n, self._exits, norms[:, :rows])
        norms[0, :rows] += np.abs(V[:rows, self._n : n_all]).sum(axis=1)
        return _Space(H, size, scale, scale * self._added(norms), unit)

    # ---- correction ---------------------------------------------------------------------------------------

    def _interpolable(
        self, space: _Space, change: _Change, s: float, tol_rate: float, f: _Forcing
    ) -> tuple[float, float]:
        """Return how much of the step polynomials through the nodes describe, and what they miss per unit of time.

        Chooses the number of nodes.
        """
        allowed = INTERPOLATION_SHARE * tol_rate
        shortest = 0.1 * s
        while s > shortest:
            missed = self._missed(space, s, change, f)
            if missed <= allowed:
                fewer = self._counts[max(self._level - 1, 0)]
                if missed <= 1e-3 * allowed and len(f.W) <= fewer < len(self._nodes.z):
                    self._level -= 1
                    fewer_missed = self._missed(space, s, change, f)
                    if fewer_missed <= allowed:
                        return s, fewer_missed
                    self._level += 1
                    missed = self._missed(space, s, change, f)
                return s, missed
            if self._level + 1 < len(self._counts):
                self._level += 1
            else:
                s *= max(0.2, min(0.8, (allowed / missed) ** (1.0 / self._counts[self._level])))
        raise _TooLong(max(s, 0.25 * f.h))  # functions of time are known better on a shorter step

    def _missed(self, space: _Space, s: float, change: _Change, f: _Forcing) -> float:
        missed, of_forcing = self._interpolate(space, s, change, f)
        return missed + float(f.sizes @ of_forcing)

    def _plan_step(self, s: float, h: float) -> None:
        """Choose the longest next step; a last, shorter step says nothing."""
        cut = s < h * (1.0 - 1e-12)  # by the Krylov space: it will hardly reach farther
        factor = {1: 1.2 if cut else 2.0, 2: 1.1}.get(self._passes, 0.8)
        if factor < 1.0 or s < h * (1.0 - 1e-12) or h >= 0.9 * self.step_length:  # times round where steps are tiny
            self.step_length = factor * s

    # ---- forcing ------------------------------------------------------------------------------------------

    def _forced(self, change: _Change, z: FloatArray, t: float, h: float, negligible: float) -> _Forcing:
        """Return the forcing of a step, from what is known of ``A_l y``, without modes that are negligible."""
        nodes = self._nodes
        count = len(nodes.z)
        if not self._parts:
            return _Forcing(self._forcing[:0], np.empty(0), h)
        if self._past is None:
            for k, part in enumerate(self._parts):
                part.product(z, self._changes[k, 0])
                self._products += 1
            self._past = _Past(t, 0.0, 1)
        past = self._past
        at = t + 0.5 * h * (1.0 + nodes.z)
        carry = _carried(past, at)  # (count, past.count)
        theta = change.at(h, nodes.z)  # (L, count)
        W = self._forcing[:count]
        W[:] = 0.0
        for k in range(len(self._parts)):
            magnus_kernels.add_mixed(self._changes[k], nodes.to_modes @ (theta[k][:, None] * carry), W)
        sizes = self._added(np.abs(W).sum(axis=1))  # ‖W_k‖₁
        p, dropped = count, 0.0
        while p > 1 and dropped + sizes[p - 1] <= negligible:
            p -= 1
            dropped += float(sizes[p])
        return _Forcing(W[:p], sizes[:p], h)

    def _look(self, space: _Space, change: _Change, f: _Forcing, t: float, s: float) -> float:
        """Find ``A_l y`` at the nodes; return a bound on the integral of ``‖Σ_l θ_l A_l y - f‖₁``.

        `_interpolate` has left u at the nodes.
        """
        if not self._parts:
            return 0.0
        nodes = self._nodes
        count = len(nodes.z)
        values = np.empty((count, self._all)) if len(self._parts) > 1 else self._changes[0, :count]
        magnus_kernels.mix(self._basis, space.scale * self._u, values)
        theta = change.at(s, nodes.z)  # (L, count)
        modes = np.polynomial.chebyshev.chebvander((1.0 + nodes.z) * s / f.h - 1.0, len(f.W) - 1)  # (count, p)
        residual, image = np.empty((1, self._all)), np.empty(self._all)
        total = 0.0
        for i in range(count):
            residual[:] = 0.0
            magnus_kernels.add_mixed(f.W, -modes[i : i + 1], residual)
            y = values[i].copy() if len(self._parts) == 1 else values[i]
            for k, part in enumerate(self._parts):
                image = self._changes[k, i]
                part.product(y, image)
                kernels.add_scaled(residual[0], theta[k, i], image)
                self._products += 1
            total += float(np.abs(residual).sum()) * nodes.integrals[i]
        self._past = _Past(t, s, count)
        return s * float(self._added(total))

    def _interpolate(self, space: _Space, s: float, change: _Change, f: _Forcing) -> tuple[float, FloatArray]:
        """Bound, per unit of time, what interpolation misses of ``Σ_l θ_l A_l y``, and of the forcing's polynomials.

        What the polynomials in time miss of the clocks is included.  Leaves u at the nodes.
        """
        nodes, m = self._nodes, space.size
        count = len(nodes.z)
        self._u = np.empty((count, m))
        magnus_kernels.at_nodes(space.H, m, self._depth_used, 0.5 * s * (1.0 + nodes.z), self._u)
        factors = change.factors(s)
        values = change.at(s, nodes.z)[:, :, None] * self._u[None]  # (L, count, m)
        interpolants = np.einsum("ki,lij->ljk", nodes.to_powers, values)
        weights = 2.0 * space.norms[1:, :m]
        p = len(f.W)
        outputs = np.ascontiguousarray(space.scale * self._basis[:m, self._all : self._all + p].T) / space.unit
        errors = np.zeros(p)
        # T_k on the step of the forcing, in powers of z on this one
        targets = np.empty((p, max(p, 1)))
        for k in range(p):
            magnus_kernels.shifted(nodes.modes[k, :p].copy(), s / f.h - 1.0, s / f.h, targets[k])
        missed = magnus_kernels.interpolation_error(
            space.H,
            m,
            self._depth_used,
            s,
            np.concatenate([factors, change.remainders()]),
            np.concatenate([interpolants, np.zeros_like(interpolants)]),
            np.concatenate([weights, weights]),
            outputs,
            np.pad(targets, ((0, 0), (0, count - p))),
            errors,
        )
        return float(missed), errors
