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

from dataclasses import dataclass, replace
from math import inf, ulp
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.errors import BackendError
from fsp.solvers import costs, small_exponential_kernels
from fsp.solvers.augmented import AugmentedBasis
from fsp.solvers.base import SMALLEST_STEP, LossLimit, check_count, check_tol, landed, noise_of_products, step_to
from fsp.solvers.clocks import DEGREE, clock_on, reach
from fsp.solvers.forcing import AT_ONCE, NODES, Change, ChangingParts, TooLong
from fsp.solvers.stepping import Propagator, Solver, Step

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.solvers.augmented import Flow, Forcing, Space
    from fsp.solvers.base import History
    from fsp.solvers.costs import Cost, Stretch

# Work beside a product, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 20.0, 1e5
SUBSTEP_WORK = 8e3  # of the small exponential, with what remembers it: 1 to 3 µs, whatever its size; measured
BYTES = 11 * 2**24  # of a basis and all other vectors: no more than the generator and Krylov's basis of such a space
MOST_PASSES = 6  # each repeats the step with a better forcing; chosen, not measured
FIRST_STEP = 200.0  # times the largest exit rate
SLOWEST_GAIN = 0.5  # of a pass
# Shares of the tolerance of a step; what is left is that of the residual's values in the nodes.  Chosen, not measured.
KRYLOV_SHARE = 0.4  # of the Krylov space
CLOCK_SHARE = 0.05  # of polynomials in time, at the start of a step
MODE_SHARE = 0.2  # of modes of the forcing that are left out
VALUES = 10.0 * UNIT_ROUNDOFF  # of a step: below, its error is that of its values


@dataclass(frozen=True, slots=True)
class Magnus(Solver):
    """Step by exponentials of the generator in the middle of a step, with its changes during the step as forcing.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    dimension
        Largest size of a Krylov space.
    orthogonalization
        Number of preceding basis vectors that a new one is orthogonalised against; more where there are few states.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", rate="X*time")])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Magnus(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1/2)
    5.458776
    """

    tol: float = 1e-10
    dimension: int = 40
    orthogonalization: int = 2
    on_ranks = True

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("dimension", self.dimension, 10)
        check_count("orthogonalization", self.orthogonalization, 2)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect work in proportion to the states where rates depend on time, in units of `Implicit`'s."""
        cost = costs.of_products(generator, stretch, inf, STATE_WORK, CALL_WORK)
        if not stretch.is_timed:
            return cost
        states = float(len(generator)) if generator.is_scalable else inf  # others are refused
        return replace(cost, products=0.0, other=states, reason="propensities depend on time")

    def check(self, generator: BaseGenerator) -> None:
        """Raise a BackendError unless propensities are sums of functions of time times functions of the state."""
        if not generator.is_scalable:
            raise BackendError(
                "Magnus must have propensities that are sums of products of a function of time and functions of single "
                "species, but this network has others; use solver='implicit'."
            )

    def bind(self, generator: BaseGenerator) -> _MagnusPropagator:
        """Return the propagator of a generator."""
        return _MagnusPropagator(generator, self)


class _MagnusPropagator(Propagator):
    way_out = "raise `dimension`, or use solver='implicit'"

    def __init__(self, generator: BaseGenerator, solver: Magnus) -> None:
        super().__init__(generator, solver)
        self._n = generator.operator.n
        vectors = int(BYTES / (8 * generator.space.comm.max(generator.operator.size))) - AT_ONCE - 4
        held = len(generator.clocks)  # for each node: its changes and its part of the forcing
        counts = [count for count in NODES if held * count + solver.dimension <= vectors] or [NODES[0]]
        self._parts = ChangingParts(generator, counts)
        size = max(12, min(solver.dimension, vectors - held * counts[-1]))
        self._basis = AugmentedBasis(
            generator, self._parts.exits, size, solver.orthogonalization, counts[-1], self.heart
        )
        self._told: History | None = None
        self._substeps = 0  # of small exponentials
        self.step_length = FIRST_STEP / self.rate if self.rate > 0.0 else inf

    @property
    def history(self) -> History | None:
        """The solution on the last step, as far as it was followed."""
        return self._basis.history() or self._told

    @history.setter
    def history(self, history: History | None) -> None:
        self._told = history
        self._parts.tell(history)
        self._basis.forget()

    @property
    def _products(self) -> int:
        return self._basis.products + self._parts.products

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take a step as long as the error and the loss allow; see `Propagator.step`."""
        if self.step_length < SMALLEST_STEP * max(t1 - t, abs(t)):
            return Step(z, 0.0)
        end, _ = landed(t, step_to(t, self.step_length, t1), t1)
        before, lost, substeps = self._products, z[self._n :].copy(), self._substeps
        limit = LossLimit(limit.offset - self.added(float(lost.sum())), limit.rate)
        try:
            step = self._step(z, t, end, t1, tol_rate, limit)
        except TooLong as too_long:
            self.step_length = too_long.h
            step = Step(z, 0.0, tries_again=True)
        if step.length > 0.0:
            step.z[self._n :] += lost
        beside = SUBSTEP_WORK * (self._substeps - substeps)
        return replace(step, n_matvec=self._products - before, beside=beside)

    def _step(self, z: FloatArray, t: float, end: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take one step to at most `end`, from empty sinks, whose length is a whole number of roundings of `t1`."""
        tick = ulp(t1)
        z = np.concatenate([z[: self._n], np.zeros(len(z) - self._n)])
        trees = self.generator.clocks[1:]
        end = min((reach(tree, t, end) for tree in trees), default=end)
        h = span(t, end)
        change = Change([clock_on(tree, t, end, last=t1) for tree in trees], -0.5 * h)
        frozen = self.generator.with_clocks(np.array([1.0, *(clock.middle for clock in change.clocks)]))
        mass = float(self.added(float(z.sum())))
        # Below the noise of products and values no error can be seen: what is seen is charged.
        noise = noise_of_products(frozen.largest_exit_rate, self.roundings, mass) + VALUES * mass / h
        tol_rate = max(tol_rate, noise)
        self._check_clocks(z, change, h, tol_rate)
        if self.added(float(z @ z)) == 0.0:  # as are squares of the smallest numbers
            return Step(z, h, 2.0 * mass)
        before = np.inf
        for passes in range(1, MOST_PASSES + 1):
            f = self._parts.forced(change, z, t, h, MODE_SHARE * tol_rate)
            space, flow = self._basis.solve(z, f, frozen, t, tick, KRYLOV_SHARE * tol_rate, limit)
            self._substeps += space.substeps
            if flow.kept < flow.reached:
                self._basis.remember(space, t, flow.reached)
            if flow.kept == 0.0 and flow.reached > 0.0:
                return Step(z, 0.0, rejected=self._basis.combined(space, flow.u_reached)[0])
            step = self._checked(space, flow, change, f, z, t, tol_rate)
            if step.error <= (tol_rate + space.noise) * step.length:
                if step.rejected is None:
                    self._plan_step(step.length, h, passes)
                    self._basis.remember(space, t, step.length)
                return step
            if step.error / step.length > SLOWEST_GAIN * before:
                break
            before = step.error / step.length
            h = min(h, small_exponential_kernels.whole(1.05 * step.length, tick))
        raise TooLong(0.5 * step.length)

    def _check_clocks(self, z: FloatArray, change: Change, h: float, tol_rate: float) -> None:
        """Shorten the step before it costs anything, where polynomials in time would miss too much of its start."""
        flux = self.added(self._parts.exits @ z[: self._n])  # (L,)
        missed = sum(2.0 * clock.missed * float(f) for clock, f in zip(change.clocks, flux, strict=True))
        if missed > CLOCK_SHARE * tol_rate:
            raise TooLong(h * max(0.1, 0.8 * (CLOCK_SHARE * tol_rate / missed) ** (1.0 / (DEGREE + 1))))

    def _checked(
        self, space: Space, flow: Flow, change: Change, f: Forcing, z: FloatArray, t: float, tol_rate: float
    ) -> Step:
        """Return the step that a Krylov space makes, as far as polynomials describe it, with its error."""
        basis, parts = self._basis, self._parts
        fit = parts.interpolated(space, basis, change, flow.kept, tol_rate, f)
        rejected = basis.combined(space, flow.u_reached)[0] if fit.length == flow.kept < flow.reached else None
        if fit.length < flow.kept:
            flow = basis.flow(space, fit.length, KRYLOV_SHARE * tol_rate)
            if flow.kept < fit.length:  # only where rounding decides
                raise TooLong(0.25 * f.h)
        y, cut = basis.combined(space, flow.u_kept)
        error = flow.error + fit.length * fit.missed + parts.residual(space, basis, change, f, t, fit) + cut
        rounding = self._rounding(space, flow, fit.length, z, change)
        rounding += fit.length * basis.rounding_of_forcing(space, f, fit.u)
        return Step(y, fit.length, error, rounding, rejected=rejected, certified=change.certified)

    def _rounding(self, space: Space, flow: Flow, length: float, z: FloatArray, change: Change) -> float:
        """Bound the rounding of a step by the model: that of the products, and that of the functions of time.

        The latter is known as the mean over the step that the functions were taken on: a cut step may hold all of it.
        """
        products = 2 * space.frozen.largest_exit_rate * length * self.roundings
        of_clocks = sum(clock.rounding * rate for clock, rate in zip(change.clocks, self._parts.largest, strict=True))
        mass: float = self.added(float(z.sum()))
        products += small_exponential_kernels.SUBSTEP_ROUNDINGS * flow.substeps
        return UNIT_ROUNDOFF * flow.growth * (products + space.size + 2) + 2.0 * change.length * of_clocks * mass

    def _plan_step(self, s: float, h: float, passes: int) -> None:
        """Choose the longest next step; a last, shorter step says nothing."""
        factor = {1: 2.0, 2: 1.1}.get(passes, 0.8)
        if factor < 1.0 or s < h * (1.0 - 1e-12) or h >= 0.9 * self.step_length:  # times round where steps are tiny
            self.step_length = factor * s
