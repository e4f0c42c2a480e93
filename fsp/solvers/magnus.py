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
from dataclasses import dataclass
from math import inf, sqrt, ulp
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.errors import BackendError, ConvergenceError
from fsp.solvers import kernels, magnus_kernels
from fsp.solvers.base import (
    NO_LIMIT,
    REPORT_WORK,
    Advance,
    Heart,
    History,
    LossLimit,
    Pulse,
    check_count,
    check_tol,
    landed,
    noise_of_products,
    step_to,
)
from fsp.solvers.clocks import DEGREE, Clock, Nodes, chebyshev_nodes, clock_on, reach
from fsp.solvers.forcing import Change, Forcing, Past

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray
    from fsp.generator import Generator

BYTES = 11 * 2**24  # of a basis and all other vectors
NODES = (5, 9, 13)  # numbers of them that are tried
AT_ONCE = 2  # nodes whose values are held
MOST_PASSES = 6
# Vectors of many states are made orthogonal to few others.  That holds while the polynomials beside the state are so
# small that they do not count; to more of them, and with larger polynomials, it holds on stiff networks as well.
MANY_STATES = 10_000
DEPTH = 12  # with fewer states
UNIT = 0.03  # of the polynomials, with fewer states
SMALL_UNIT = 1e-6
CHECKED_SIZE = 12  # vectors after which it is seen whether a Krylov space is large enough
FIRST_STEP = 200.0  # times the largest exit rate
HOPELESS = 100.0  # times what interpolation may miss
SLOWEST_GAIN = 0.5  # of a pass
# Shares of the tolerance of a step.
KRYLOV_SHARE = 0.4
INTERPOLATION_SHARE = 0.2
CLOCK_SHARE = 0.05
MODE_SHARE = 0.2  # of modes of the forcing that are left out
LOSS_SAFETY = 0.98  # of the loss limit, kept by the uncorrected step
VALUES = 10.0 * UNIT_ROUNDOFF  # of a step: below, its error is that of its values
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
        Number of preceding basis vectors that a new one is orthogonalised against; more where there are few states.
    """

    tol: float = 1e-10
    dimension: int = 40
    orthogonalization: int = 2

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("dimension", self.dimension, 10)
        check_count("orthogonalization", self.orthogonalization, 2)

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


@dataclass(slots=True, eq=False)
class _Space:
    """A Krylov space: ``y(s) = scale Σ_j u_j(s) V_j``, u(s) = exp(sH) e_1.

    Parameters
    ----------
    H, size
        The projected matrix, and the number of basis vectors.
    width
        Length of the vectors, of all ranks.
    depth
        Number of preceding vectors that each one is orthogonal to.
    scale
        Norm of the start vector.
    norms
        ``scale ‖V_j‖₁``, and in every further row the same weighted by the exit rates of one A_l, (1 + L, size + 1).
    unit
        Scale of the forcing's polynomials in an augmented vector.
    noise
        Per unit of time, what the residual may show for rounding where the basis is closed.
    """

    H: FloatArray
    size: int
    width: int
    depth: int
    scale: float
    norms: FloatArray
    unit: float
    noise: float = 0.0

    @property
    def residual_norm(self) -> float:
        return float(self.H[self.size, self.size - 1] * self.norms[0, self.size])


class _TooLong(Exception):  # noqa: N818 - control flow of this module
    """The step must be shorter."""

    def __init__(self, h: float) -> None:
        self.h = h


@dataclass(frozen=True, slots=True, eq=False)
class _Flow:
    """How far the small exponential was followed: to what the tolerance allows, and to what the loss limit does."""

    reached: float
    u_reached: FloatArray
    kept: float
    u_kept: FloatArray
    growth: float  # largest Σ|u_j| ‖V_j‖₁
    error: float  # at `kept`
    substeps: int


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
        affordable = int(BYTES / (8 * self._comm.max(self._all))) - AT_ONCE - 4  # vectors
        held = len(parts) + 1  # for each node: its changes and its part of the forcing
        self._counts = [count for count in NODES if held * count + solver.dimension <= affordable] or [NODES[0]]
        most = self._counts[-1]
        self._size = max(12, min(solver.dimension, affordable - held * most))
        self._level = 0  # of the number of nodes
        many = len(generator) >= MANY_STATES
        self._depth = solver.orthogonalization if many else max(DEPTH, solver.orthogonalization)
        self._unit = SMALL_UNIT if many else UNIT
        self._basis = np.empty((self._size + 1, self._all + most))
        self._values = np.empty((AT_ONCE, self._all))  # y at some nodes
        self._changes = np.empty((len(parts), most, self._all))  # A_l y at the nodes
        self._forcing = np.empty((most, self._all))
        self._past: Past | None = None
        self._told: History | None = None
        self._recent: tuple[float, float, FloatArray] | None = None  # start, length, coefficients of the basis at nodes
        rate = generator.largest_exit_rate
        self.step_length = FIRST_STEP / rate if rate > 0.0 else inf

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
        self._tick = ulp(t1)
        while t < t1 and rejected is None and n_matvec < min(most, self._most):
            if self.step_length < SMALLEST_STEP * max(t1 - t0, abs(t0)):
                raise ConvergenceError(
                    f"Magnus took no step at t = {t:.6g}: no step has an error below {tol_rate:.1e} per unit of time. "
                    f"Loosen `tol`, raise `dimension` ({self._size}), or use solver='implicit'."
                )
            end, _ = landed(t, step_to(t, self.step_length, t1), t1)
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
            t, held = landed(t, step.t, t1)
            error, rounding = error + step.error, rounding + step.rounding
            if held > 0.0:
                rounding += 2.0 * self._generator.at(t).largest_exit_rate * held * self._added(float(z.sum()))
        if rejected is not None:
            rejected = self._leave(rejected)
        return Advance(self._leave(z), lost, error, n_matvec, t, rounding, rejected, certified)

    @property
    def history(self) -> History | None:
        """The solution on the last step, as far as it was followed."""
        if self._recent is None:
            return self._told
        start, s, u = self._recent
        values = u @ self._basis[: u.shape[1], : self._all]
        for value in values:  # in place: they take much memory
            value[: self._n] = self._leave(value)
        return History(start, s, values[:, : self._n])

    @history.setter
    def history(self, history: History | None) -> None:
        self._told, self._recent, self._past = history, None, None

    @property
    def _nodes(self) -> Nodes:
        return chebyshev_nodes(self._counts[self._level])

    def _step(self, z: FloatArray, t: float, end: float, tol_rate: float, limit: LossLimit) -> Advance:
        """Take one step to at most `end`; its `p` is a vector of the closed chain, its `t` the step's length."""
        no_sinks = np.zeros(len(z) - self._n)
        z = np.concatenate([z[: self._n], no_sinks])
        end = min((reach(tree, t, end) for tree in self._trees), default=end)
        h = span(t, end)
        clocks = [clock_on(tree, t, end) for tree in self._trees]
        self._frozen = self._generator.with_clocks(np.array([1.0, *(clock.middle for clock in clocks)]))
        mass = float(self._added(float(z.sum())))
        # Below the noise of products and values no error can be seen: what is seen is charged.
        noise = noise_of_products(self._frozen.largest_exit_rate, self._roundings, mass) + VALUES * mass / h
        tol_rate = max(tol_rate, noise)
        self._check_clocks(z, clocks, h, tol_rate)
        if self._added(float(z @ z)) == 0.0:  # as are squares of the smallest numbers
            return Advance(z, no_sinks, 2.0 * mass, 0, h, 0.0)
        change = Change(clocks, -0.5 * h)
        before = np.inf
        for self._passes in range(1, MOST_PASSES + 1):
            f = self._forced(change, z, t, h, MODE_SHARE * tol_rate)
            space, flow = self._solve(z, f, t, KRYLOV_SHARE * tol_rate, limit)
            if flow.kept < flow.reached:
                self._remember(space, t, flow.reached)
            if flow.kept == 0.0 and flow.reached > 0.0:
                return Advance(z, no_sinks, 0.0, 0, 0.0, 0.0, self._combined(space, flow.u_reached)[0])
            step = self._checked(space, flow, change, f, z, t, tol_rate)
            if step.error <= (tol_rate + space.noise) * step.t:
                if step.rejected is None:
                    self._plan_step(step.t, h)
                    self._remember(space, t, step.t)
                return step
            if step.error / step.t > SLOWEST_GAIN * before:
                break
            before = step.error / step.t
            h = min(h, kernels.whole(1.05 * step.t, self._tick))
        raise _TooLong(0.5 * step.t)

    def _checked(
        self, space: _Space, flow: _Flow, change: Change, f: Forcing, z: FloatArray, t: float, tol_rate: float
    ) -> Advance:
        """Return the step that a Krylov space makes, as far as polynomials describe it, with its error."""
        length, missed = self._interpolable(space, change, flow.kept, tol_rate, f)
        rejected = self._combined(space, flow.u_reached)[0] if length == flow.kept < flow.reached else None
        if length < flow.kept:
            flow = self._flow(space, length, KRYLOV_SHARE * tol_rate, NO_LIMIT)
            if flow.kept < length:  # only where rounding decides
                raise _TooLong(0.25 * f.h)
        y, cut = self._combined(space, flow.u_kept)
        error = flow.error + length * missed + self._look(space, change, f, t, length) + cut
        rounding = self._rounding(flow, length, z, change, space.size)
        rounding += length * self._rounding_of_forcing(space, f)
        lost = self._added(y[self._n :].copy())
        return Advance(y, lost, error, 0, length, rounding, rejected, change.certified)

    def _rounding(self, flow: _Flow, length: float, z: FloatArray, change: Change, size: int) -> float:
        """Bound the rounding of a step by the model: that of the products, and that of the functions of time.

        The latter is known as the mean over the step that the functions were taken on: a cut step may hold all of it.
        """
        products = 2 * self._frozen.largest_exit_rate * length * self._roundings
        of_clocks = sum(clock.rounding * rate for clock, rate in zip(change.clocks, self._largest, strict=True))
        mass: float = self._added(float(z.sum()))
        products += kernels.SUBSTEP_ROUNDINGS * flow.substeps
        return UNIT_ROUNDOFF * flow.growth * (products + size + 2) + 2.0 * change.length * of_clocks * mass

    def _rounding_of_forcing(self, space: _Space, f: Forcing) -> float:
        """Bound, per unit of time, the rounding of the forcing that is added to each product, by the model."""
        p = len(f.W)
        of_vectors = np.abs(self._basis[: space.size, self._all : self._all + p]) @ f.sizes  # (size,)
        largest = float((np.abs(self._u) @ of_vectors).max(initial=0.0))
        return UNIT_ROUNDOFF * (p + 2) * space.scale / space.unit * largest

    def _combined(self, space: _Space, u: FloatArray) -> tuple[FloatArray, float]:
        """Return the vector of the closed chain that u stands for, and what was clipped."""
        y = np.empty(self._all)
        cut = kernels.combine(self._basis[: space.size, : self._all], space.scale * u, y)
        return y, float(self._added(cut))

    def _check_clocks(self, z: FloatArray, clocks: list[Clock], h: float, tol_rate: float) -> None:
        """Shorten the step before it costs anything, where polynomials in time would miss too much of its start."""
        flux = self._added(self._exits @ z[: self._n])  # (L,)
        missed = sum(2.0 * clock.missed * float(f) for clock, f in zip(clocks, flux, strict=True))
        if missed > CLOCK_SHARE * tol_rate:
            raise _TooLong(h * max(0.1, 0.8 * (CLOCK_SHARE * tol_rate / missed) ** (1.0 / (DEGREE + 1))))

    # ---- Krylov spaces ------------------------------------------------------------------------------------

    def _solve(self, z: FloatArray, f: Forcing, t: float, error_rate: float, limit: LossLimit) -> tuple[_Space, _Flow]:
        """Build a Krylov space that reaches the end of the step or the loss limit, or as large a one as may be."""
        space = self._begin(z, f)
        most = min(self._size, space.width)
        while True:
            self._extend(space, f, t, min(most, space.size + CHECKED_SIZE))
            flow = self._flow(space, f.h, error_rate, limit)
            if space.size == most or space.residual_norm == 0.0 or flow.reached >= f.h or flow.kept < flow.reached:
                return space, flow

    def _flow(self, space: _Space, horizon: float, error_rate: float, limit: LossLimit) -> _Flow:
        """Follow the small exponential as far as the tolerance allows."""
        s, u, substeps, growth, s_kept, u_kept, error = kernels.flow(
            space.H,
            space.size,
            space.depth,
            horizon,
            self._tick,
            space.norms[0],
            space.scale * self._added(self._basis[: space.size, self._n : self._all].sum(axis=1)),
            space.residual_norm,
            max(error_rate, space.noise),
            limit.offset * LOSS_SAFETY,
            limit.rate * LOSS_SAFETY,
            magnus_kernels.STRIDE,
        )
        return _Flow(float(s), u, float(s_kept), u_kept, float(growth), float(error), int(substeps))

    def _begin(self, z: FloatArray, f: Forcing) -> _Space:
        """Return the space of one vector: the state, and beside it the polynomials of the forcing.

        Every rank has polynomials of its own, which drive its own states.
        """
        n_all, p = self._all, len(f.W)
        width = self._added(n_all + p)
        self._recent = None
        full = self._size >= width  # a basis of all there is must be orthogonal, or it would not be closed
        # In proportion to the state: the forcing is divided by it, and nothing drowns in rounding.
        unit = self._unit * sqrt(self._added(float(z @ z))) / sqrt(max(p, 1))
        start = self._basis[0, : n_all + p]
        start[:n_all], start[n_all:] = z, unit * (-1.0) ** np.arange(p)
        scale = sqrt(self._added(float(start @ start)))
        start /= scale
        H = np.zeros((self._size + 1, self._size))
        norms = np.zeros((1 + len(self._exits), self._size + 1))
        return _Space(H, 0, width, width if full else self._depth, scale, norms, unit)

    def _extend(self, space: _Space, f: Forcing, t: float, size: int) -> None:
        """Extend a Krylov space of B, augmented by the forcing, to `size` vectors, or until it is closed."""
        n_all, p, first = self._all, len(f.W), space.size
        V, B = self._basis[:, : n_all + p], self._frozen.operator
        J = self._nodes.slopes[:p, :p] / f.h
        nothing = np.zeros(n_all + p)
        is_closed = False
        while space.size < size:
            j = space.size
            v, w = V[j], V[j + 1]
            u = V[j - 1] if j > 0 else nothing
            B.product(v[:n_all], w[:n_all])
            dots = self._added(magnus_kernels.force(f.W, J, 1.0 / space.unit, n_all, v, u, w))
            self._products += 1
            self._heart.beat(t, 0.0, 0.0)
            space.size += 1
            is_closed = not kernels.next_vector(B, V, space.H, j, space.depth, dots, nothing)
            if is_closed:
                break
        rows = slice(first + (first > 0), space.size + 1)
        norms = np.empty((len(space.norms), rows.stop - rows.start))
        magnus_kernels.weighted_norms(self._basis[rows], self._n, self._exits, norms)
        norms[0] += np.abs(V[rows, self._n : n_all]).sum(axis=1)
        space.norms[:, rows] = space.scale * self._added(norms)
        is_closed = is_closed or space.size == space.width
        rate, mass = self._frozen.largest_exit_rate, float(space.norms[0, 0])
        space.noise = noise_of_products(rate, self._roundings, mass, space.size) if is_closed else 0.0

    # ---- correction ---------------------------------------------------------------------------------------

    def _interpolable(
        self, space: _Space, change: Change, s: float, tol_rate: float, f: Forcing
    ) -> tuple[float, float]:
        """Return how much of the step polynomials through the nodes describe, and what they miss per unit of time.

        Chooses the number of nodes.
        """
        allowed = INTERPOLATION_SHARE * tol_rate
        shortest = 0.1 * s
        while s > shortest:
            missed = self._missed(space, s, change, f, allowed)
            if missed <= allowed:
                fewer = self._counts[max(self._level - 1, 0)]
                if missed <= 1e-3 * allowed and len(f.W) <= fewer < len(self._nodes.z):
                    self._level -= 1
                    fewer_missed = self._missed(space, s, change, f, allowed)
                    if fewer_missed <= allowed:
                        return s, fewer_missed
                    self._level += 1
                    missed = self._missed(space, s, change, f, allowed)
                return s, missed
            if self._level + 1 < len(self._counts):
                self._level += 1
            else:
                factor = max(0.2, min(0.8, (allowed / missed) ** (1.0 / self._counts[self._level])))
                s = kernels.whole(factor * s, self._tick)
        raise _TooLong(max(s, 0.25 * f.h))  # functions of time are known better on a shorter step

    def _plan_step(self, s: float, h: float) -> None:
        """Choose the longest next step; a last, shorter step says nothing."""
        factor = {1: 2.0, 2: 1.1}.get(self._passes, 0.8)
        if factor < 1.0 or s < h * (1.0 - 1e-12) or h >= 0.9 * self.step_length:  # times round where steps are tiny
            self.step_length = factor * s

    # ---- forcing ------------------------------------------------------------------------------------------

    def _forced(self, change: Change, z: FloatArray, t: float, h: float, negligible: float) -> Forcing:
        """Return the forcing of a step, from what is known of ``A_l y``, without modes that are negligible."""
        nodes = self._nodes
        count = len(nodes.z)
        if not self._parts:
            return Forcing(self._forcing[:0], np.empty(0), h)
        past = self._past = self._past or self._known(z, t)
        at = t + 0.5 * h * (1.0 + nodes.z)
        carry = past.carried(at)  # (count, past.count)
        theta = change.at(h, nodes.z)  # (L, count)
        W = self._forcing[:count]
        W[:] = 0.0
        for k in range(len(self._parts)):
            coefficients = nodes.to_modes @ (theta[k][:, None] * carry)
            magnus_kernels.add_mixed(self._changes[k, : past.count], coefficients, W)
        sizes = self._added(np.abs(W).sum(axis=1))  # ‖W_k‖₁
        p, dropped = count, 0.0
        while p > 1 and dropped + sizes[p - 1] <= negligible:
            p -= 1
            dropped += float(sizes[p])
        return Forcing(W[:p], sizes[:p], h)

    def _known(self, z: FloatArray, t: float) -> Past:
        """Find ``A_l y`` where y is known: at the start, or where the solution comes from another space."""
        if self._told is None:
            self._differentiate(z, 0)
            return Past(t, 0.0, 1)
        told, self._told = self._told, None
        for i, value in enumerate(told.values):
            self._differentiate(self._enter(value), i)
        return Past(told.start, told.s, len(told.values))

    def _differentiate(self, y: FloatArray, node: int) -> None:
        """Write ``A_l y`` at a node."""
        for k, part in enumerate(self._parts):
            part.product(y, self._changes[k, node])
            self._products += 1

    def _remember(self, space: _Space, t: float, s: float) -> None:
        """Keep what is needed of the solution from t to t + s, for a solver on another space to go on from."""
        nodes = chebyshev_nodes(NODES[0])  # which every solver has room for
        u = np.empty((len(nodes.z), space.size))
        magnus_kernels.at_nodes(space.H, space.size, space.depth, 0.5 * s * (1.0 + nodes.z), u)
        self._recent = t, s, space.scale * u

    def _look(self, space: _Space, change: Change, f: Forcing, t: float, s: float) -> float:
        """Find ``A_l y`` at the nodes; return a bound on the integral of ``‖Σ_l θ_l A_l y - f‖₁``.

        `_missed` has left u at the nodes.
        """
        if not self._parts:
            return 0.0
        nodes = self._nodes
        count = len(nodes.z)
        for first in range(0, count, AT_ONCE):
            u = space.scale * self._u[first : first + AT_ONCE]
            np.matmul(u, self._basis[: space.size, : self._all], out=self._values[: len(u)])
            for i, y in enumerate(self._values[: len(u)]):
                self._differentiate(y, first + i)
        self._past = Past(t, s, count)
        modes = np.polynomial.chebyshev.chebvander((1.0 + nodes.z) * s / f.h - 1.0, len(f.W) - 1)  # (count, p)
        norms = np.empty(count)
        magnus_kernels.residual_norms(self._changes[:, :count], change.at(s, nodes.z), f.W, modes, norms)
        return s * float(self._added(norms) @ nodes.integrals)

    def _missed(self, space: _Space, s: float, change: Change, f: Forcing, allowed: float) -> float:
        """Bound, per unit of time, what interpolation misses of ``Σ_l θ_l A_l y``, and of the forcing's polynomials.

        What the polynomials in time miss of the clocks is included.  Leaves u at the nodes.
        """
        nodes, m = self._nodes, space.size
        count = len(nodes.z)
        self._u = np.empty((count, m))
        magnus_kernels.at_nodes(space.H, m, space.depth, 0.5 * s * (1.0 + nodes.z), self._u)
        factors = change.factors(s)
        values = change.at(s, nodes.z)[:, :, None] * self._u[None]  # (L, count, m)
        interpolants = np.einsum("ki,lij->ljk", nodes.to_powers, values)
        weights = 2.0 * space.norms[1:, :m]
        p = len(f.W)
        outputs = np.ascontiguousarray(space.scale * self._basis[:m, self._all : self._all + p].T) / space.unit
        # T_k on the step of the forcing, in powers of z on this one
        targets = np.empty((p, max(p, 1)))
        for k in range(p):
            magnus_kernels.shifted(nodes.modes[k, :p].copy(), s / f.h - 1.0, s / f.h, targets[k])
        missed = magnus_kernels.interpolation_error(
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
        return float(missed)
