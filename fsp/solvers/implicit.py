"""Radau IIA collocation with the 1-norm of its residual as error bound, for stiff and time-dependent networks.

One step solves ``U = 1⊗p + h (weights ⊗ A) U`` for s stage values.  The eigenvectors of the Butcher matrix
decouple it into s/2 complex systems ``(I - h μ A) x = b``, factorised once for every step length; step lengths are
halved and doubled so that factorisations serve many steps.  The sinks are integrated along with the stages.
For constant A the residual of the collocation polynomial is known in full and its 1-norm integral is the
error (see `fsp.solvers.collocation`).  Where A depends on time the stages are iterated on a generator frozen near the
middle of the step.  With polynomials in place of the functions of time the residual is one too, and is bounded by its
values in as many points as its degree asks for; where time does not factor out it is sampled: an estimate.

Chosen over BDF and SDIRK because it is L-stable at any order, so that 1e-10 takes few steps, and because a
multistep method has no residual polynomial that is known without sampling.

References
----------
E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., IV.8, doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import floor, log2
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, span
from fsp.generator.generator import in_one_process
from fsp.solvers import costs, kernels
from fsp.solvers.base import SMALLEST_STEP, LossLimit, check_count, check_tol, landed, short, step_to
from fsp.solvers.clocks import chebyshev_nodes, clock_on, reach
from fsp.solvers.collocation import RESIDUAL_NOISE, Collocation, in_nodes, radau
from fsp.solvers.costs import Cost
from fsp.solvers.linear import SERVED_CHANGE, Band, ShiftedSystem
from fsp.solvers.rational import Rational
from fsp.solvers.stepping import MatrixPropagator, Solver, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.generator.operator import Operator
    from fsp.solvers.costs import Stretch

PASSED = 16.0  # times that, or the last digit of the time, to pass a jump: it lies within eight times (`_factor`)
APART = 1e3  # lengths that lie between two such jumps at least: no crawl through a function that jumps everywhere
# Work beside a solve, in multiply-adds: of each state, and of the call; fitted to measured runs.
STATE_WORK, CALL_WORK = 100.0, 1e5
TIMES_RATIONAL = 4.0  # the work expected of `Rational`, for constant rates
# States up to which it is chosen over `Magnus` where rates depend on time, as each step looks at the residual in a
# dozen points and factorises more often: of any network, and of chains and networks of two species.
TIMED_STATES, TIMED_STATES_PLANAR = 300, 1_000
STAGE_ITERATIONS = 25  # beyond, a shorter step is cheaper; chosen, not measured
KEPT_FACTORS = 2  # of the present step and of a last, shorter one
CLOCK_DEGREE = 8  # of the polynomials that stand for functions of time: what they miss is of the order of the stages
SOLVE_WORK = 20.0  # of a stage's triangular solves, over that of its product


@dataclass(frozen=True, slots=True)
class Implicit(Solver):
    """Integrate by Radau IIA collocation, in adaptive steps.

    Parameters
    ----------
    tol
        Allowed 1-norm error of one advance.
    stages
        Number of stages s: order 2 s - 1, L-stable.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.transient(model, [1.0], solver=fsp.Implicit(tol=1e-9))[-1].mean()['X']:.6f}")  # 9 exp(-1)
    3.310915
    """

    tol: float = 1e-10
    stages: int = 7
    is_resort = True

    def __post_init__(self) -> None:
        check_tol(self.tol)
        check_count("stages", self.stages, 2, 11)

    def cost(self, generator: BaseGenerator, stretch: Stretch) -> Cost:
        """Expect more than `Rational` would, for constant rates, or little for few states; see `Solver.cost`."""
        solves = costs.of_solves(generator, stretch, STATE_WORK, CALL_WORK)
        cost = Cost(0.0, solves.unit, solves.unit)
        if not stretch.is_timed:
            rational = Rational(self.tol).cost(generator, stretch)
            # Its rounding is that of what flows, which nobody knows beforehand.
            return replace(cost, other=TIMES_RATIONAL * rational.work(1.0, False), may_stall=True)
        n = len(generator)
        few = TIMED_STATES_PLANAR if generator.work <= 5.5 * n else TIMED_STATES
        if not generator.is_scalable:
            return replace(cost, reason="propensities depend on time, which does not factor out")
        return replace(cost, other=n * n / few, reason="propensities depend on time, and factorisations are cheap")

    def check(self, generator: BaseGenerator) -> None:
        """Accept all generators."""

    def bind(self, generator: BaseGenerator) -> _ImplicitPropagator:
        """Return the propagator of a generator."""
        return _ImplicitPropagator(generator, self)


class _ImplicitPropagator(MatrixPropagator):
    def __init__(self, generator: BaseGenerator, solver: Implicit) -> None:
        super().__init__(generator, solver)
        self._table = radau(solver.stages)
        self._n = len(generator)
        self._shortest = 1.0 / max(generator.largest_exit_rate, 1e-300)
        self._passed = -np.inf  # the time until which the solution was last held
        self._systems: dict[float, tuple[BaseGenerator, list[ShiftedSystem]]] = {}
        self._course: type[_GeneratorOnStep] = _GeneratorOnStep
        self._parts: list[Operator] = []  # A_l, where A(t) is a sum of functions of time times these
        if not generator.is_constant:
            self._course = _PolynomialCourse if generator.is_scalable else _SampledCourse
            if generator.is_scalable:
                self._parts = [generator.part(index).operator for index in range(len(generator.clocks))]

    @property
    def products_of_a_report(self) -> float:
        """Products of stages after which an advance returns."""
        return super().products_of_a_report / SOLVE_WORK

    def step(self, z: FloatArray, t: float, t1: float, tol_rate: float, limit: LossLimit) -> Step:
        """Take a step up to the last stage that keeps to the loss limit; see `Propagator.step`."""
        p, lost = z[: self._n], z[self._n :]
        h = self._within_switches(t, self._step_length(p, t, t1))
        smallest = SMALLEST_STEP * min(t1 - t, self._shortest)
        if self.step_length < smallest or h <= 0.0:
            return self._past_jump(z, t, t1, tol_rate, smallest)
        # Below the noise of the products no step has an error that can be seen: what is seen is charged.
        noise = RESIDUAL_NOISE * self._noise(p, h)
        allowed = max(tol_rate * h, noise)
        with np.errstate(over="ignore", invalid="ignore"):  # in steps that are far too long, which fail
            stages = self._step(p, t, h, allowed, t1)
        if not stages.error <= allowed:
            self.step_length = h * self._factor(stages.error, allowed)
            return Step(z, 0.0, n_matvec=stages.n_matvec, tries_again=True)
        self._grow_step(h, max(stages.shape_error - noise, 0.0), allowed)
        kept = self._kept(stages, float(lost.sum()), limit, h)
        rejected = None if kept == len(stages.values) else np.maximum(stages.values[-1], 0.0)
        if not kept:
            return Step(z, 0.0, n_matvec=stages.n_matvec, rejected=rejected)
        end = stages.values[kept - 1].copy()
        cut = kernels.clip(end)
        end[self._n :] += lost
        length, error = h * float(self._table.nodes[kept - 1]), stages.error + cut
        return Step(end, length, error, stages.rounding, stages.n_matvec, rejected, certified=stages.certified)

    def _past_jump(self, z: FloatArray, t: float, t1: float, tol_rate: float, smallest: float) -> Step:
        """Hold the solution for the moment in which a callable jumps, whose switches are not known.

        The solution moves by at most twice what flows, which is sampled before the jump and after it: an estimate.
        """
        h = step_to(t, PASSED * max(smallest, float(np.spacing(t))), t1)
        if self._course is not _SampledCourse or t - self._passed < APART * h:
            return Step(z, 0.0)
        end, _ = landed(t, h, t1)
        error = 2.0 * h * max(self._flow(z, t), self._flow(z, end))
        if not error <= tol_rate * (t1 - t):
            return Step(z, 0.0)
        self._passed, self.step_length = end, 0.0
        return Step(z, h, error, certified=False)

    def _noise(self, p: FloatArray, h: float) -> float:
        """Return the rounding of one step: of its products, roundoff × operations × what flows, and of its values."""
        flow = 2.0 * h * float(self.generator.exit_rates @ p)
        return UNIT_ROUNDOFF * (flow * self.generator.roundings + float(p.sum()))

    def _step_length(self, p: FloatArray, t: float, t1: float) -> float:
        """Return the length of the next step: the current one, or an equal part of what is left."""
        if self.step_length == 0.0:
            outflow = float(self.generator.exit_rates @ p) / max(float(p.sum()), 1e-300)
            self.step_length = 0.5 / outflow if outflow > 0.0 else t1 - t
        self.step_length = short(self.step_length)  # factorisations serve steps of the same length
        return step_to(t, self.step_length, t1)

    def _within_switches(self, t: float, h: float) -> float:
        """Shorten a step that goes over a time at which a rate may jump or bend."""
        if self.generator.is_constant:
            return h
        end = min(reach(tree, t, t + h) for tree in self.generator.clocks)
        return h if end == t + h else span(t, end)

    def _grow_step(self, h: float, error: float, allowed: float) -> None:
        """Lengthen the step where the error would still fit; a last, shorter step says nothing."""
        if h >= 0.9 * self.step_length:  # times round where steps are tiny
            self.step_length = max(self.step_length, h * self._factor(error, allowed))

    def _factor(self, error: float, allowed: float) -> float:
        """Return by how much the step may change: its error over its length is of order s.

        Powers of two where the factorisations of a step length serve many steps.
        """
        ratio = 0.0 if not error < np.inf else allowed / error if error > 0.0 else np.inf  # it may have overflowed
        factor: float = min(8.0, max(0.125, 0.8 * ratio ** (1.0 / self._table.n_stages)))
        return factor if not self.generator.is_scalable else 2.0 ** floor(log2(factor))

    def _kept(self, stages: _RadauStages, lost: float, limit: LossLimit, h: float) -> int:
        """Return up to which stage the probability lost keeps to the limit."""
        gone = lost + stages.values[:, self._n :].sum(axis=1)  # (s,)
        within = gone <= limit.offset + limit.rate * h * self._table.nodes
        return int(len(within) if within.all() else np.argmin(within))

    def _step(self, p: FloatArray, t: float, h: float, allowed: float, t1: float = 0.0) -> _RadauStages:
        table = self._table
        frozen = self.generator.at(t + 0.5 * h)
        systems = self._factors(frozen, h)
        z = np.concatenate([p, np.zeros(self.generator.n_sinks)])
        course = self._course(self.generator, t, h, self._parts, t1)
        products = [course.product(c) for c in table.nodes]
        values = np.tile(z, (table.n_stages, 1))  # (s, n + n_sinks)
        n_matvec = 0
        best = np.inf
        for iteration in range(STAGE_ITERATIONS + 1):
            images = np.array([A(U) for A, U in zip(products, values, strict=True)])
            n_matvec += table.n_stages
            defect = z + h * (table.weights @ images) - values  # (s, n + n_sinks)
            residuals = table.weights_inverse @ defect / -h  # ρ_i
            size = h * float(np.abs(residuals).sum(axis=1) @ table.lagrange_integrals)
            if size <= 0.02 * allowed or size > 0.5 * best or iteration == STAGE_ITERATIONS:
                break
            best = size
            values += self._correction(defect, systems, frozen, h)
        stage_error = h * float(np.abs(residuals).sum(axis=1) @ table.lagrange_integrals)
        shape = course.error(table, z, values)
        shape_error = shape.error if course.sees_shape_only else max(shape.error - stage_error, 0.0)
        if size > 0.02 * allowed and iteration < STAGE_ITERATIONS:
            self._systems.clear()  # of another time, they may have served too long
        flow = max(self._noise(np.abs(U[: self._n]), h) for U in values)
        rounding = flow + 8.0 * UNIT_ROUNDOFF * table.n_stages + shape.rounding
        return _RadauStages(values, stage_error, shape_error, rounding, n_matvec, shape.certified)

    def _correction(
        self, defect: FloatArray, systems: list[ShiftedSystem], frozen: BaseGenerator, h: float
    ) -> FloatArray:
        """Solve ``D - h (weights ⊗ A) D = defect``: states by the decoupled systems, sinks by quadrature."""
        table = self._table
        transformed = table.inverse @ defect[:, : self._n]
        solved = np.empty_like(transformed)
        done: dict[int, np.ndarray] = {}
        for i, mu in enumerate(table.eigenvalues):
            partner = int(np.argmin(np.abs(table.eigenvalues - mu.conjugate())))
            if partner in done and partner != i:
                solved[i] = done[partner].conj()
            else:
                done[i] = solved[i] = systems[i].solve(transformed[i])
        states = (table.vectors @ solved).real
        sinks = defect[:, self._n :] + h * (table.weights @ (frozen.sinks @ states.T).T)
        return np.concatenate([states, sinks], axis=1)

    def _factors(self, frozen: BaseGenerator, h: float) -> list[ShiftedSystem]:
        key = h
        if key in self._systems and not frozen.is_near(self._systems[key][0], SERVED_CHANGE):
            self._systems.pop(key)
        if key not in self._systems:
            while len(self._systems) >= KEPT_FACTORS:
                self._systems.pop(next(iter(self._systems)))
            square = in_one_process(frozen).to_csr()
            band = Band.of(square)
            systems: list[ShiftedSystem] = []
            for i, mu in enumerate(self._table.eigenvalues):
                partner = int(np.argmin(np.abs(self._table.eigenvalues - mu.conjugate())))
                real = abs(mu.imag) < 1e-14 * abs(mu)
                if partner < i:
                    systems.append(systems[partner])
                else:
                    systems.append(ShiftedSystem(square, h * (mu.real if real else mu), band))
            self._systems[key] = frozen, systems
        return self._systems[key][1]


@dataclass(frozen=True, slots=True)
class _RadauStages:
    values: FloatArray  # (s, n + n_sinks)
    stage_error: float  # of the residuals at the nodes
    shape_error: float  # of the residual between them, which falls with the step
    rounding: float
    n_matvec: int
    certified: bool

    @property
    def error(self) -> float:
        return self.stage_error + self.shape_error


@dataclass(frozen=True, slots=True)
class _Residual:
    error: float  # integral of its 1-norm
    rounding: float = 0.0  # the part that does not fall with the step
    certified: bool = True


class _GeneratorOnStep:
    """The generator in the course of one step: one that does not change.

    What the error is taken of must be what the stages are solved with, to the last bit of time: it may jump at the end.
    """

    sees_shape_only = True  # not the residuals at the nodes

    def __init__(self, generator: BaseGenerator, t: float, h: float, parts: list[Operator], last: float) -> None:
        self._generator, self._t, self._h, self._parts = generator, t, h, parts

    def product(self, tau: float) -> Callable[[FloatArray], FloatArray]:
        """Return the product with the generator at the share `tau` of the step."""
        return self._generator.operator.apply

    def error(self, table: Collocation, z: FloatArray, values: FloatArray) -> _Residual:
        """Return the integral of the 1-norm of the residual's part that vanishes at the nodes."""
        leading = table.leading[1:] @ (values - z)  # the weights sum to zero: taken so, little cancels
        return _Residual(self._h * float(np.abs(self._generator.operator.apply(leading)).sum()) * table.node_integral)


class _PolynomialCourse(_GeneratorOnStep):
    """One whose functions of time are replaced by polynomials; what these miss is added to the error."""

    sees_shape_only = False

    def __init__(self, generator: BaseGenerator, t: float, h: float, parts: list[Operator], last: float) -> None:
        super().__init__(generator, t, h, parts, last)
        self._clocks = [clock_on(tree, t, t + h, CLOCK_DEGREE, last=last) for tree in generator.clocks]

    def product(self, tau: float) -> Callable[[FloatArray], FloatArray]:
        # By the parts: a matrix for each of many points would take far longer to make than it serves.
        x = (tau - 0.5) * self._h
        values = [clock.at(x) for clock in self._clocks]

        def apply(y: FloatArray) -> FloatArray:
            image = values[0] * self._parts[0].apply(y)
            for value, part in zip(values[1:], self._parts[1:], strict=True):
                image += value * part.apply(y)
            return image

        return apply

    def error(self, table: Collocation, z: FloatArray, values: FloatArray) -> _Residual:
        """Bound the integral of the residual's 1-norm by its values in as many points as its degree asks for.

        What the polynomials miss at the ends of the step is known for its integral only: it counts where most flows,
        which exceeds the largest value in the points by no more than the Lebesgue constant.
        """
        nodes = chebyshev_nodes(table.n_stages + CLOCK_DEGREE + 1)
        tau = 0.5 * (1.0 + nodes.z)
        at, slope = in_nodes(table.n_stages, len(tau))
        rise = values - z  # the slopes of a constant are zero: taken so, little cancels
        missing = self._exit_rates([clock.missed for clock in self._clocks])
        at_ends = self._exit_rates([clock.rounding for clock in self._clocks])
        total, greatest = 0.0, 0.0
        for k, point in enumerate(tau):
            y = z + at[k, 1:] @ rise
            residual = float(np.abs(slope[k, 1:] @ rise / self._h - self.product(point)(y)).sum())
            sizes = np.abs(y[: len(missing)])
            total += (residual + 2.0 * float(missing @ sizes)) * nodes.integrals[k]
            greatest = max(greatest, 2.0 * float(at_ends @ sizes))
        certified = all(clock.certified for clock in self._clocks)
        return _Residual(self._h * total, self._h * greatest * nodes.lebesgue, certified)

    def _exit_rates(self, clocks: list[float]) -> FloatArray:
        """Return ``Σ_l clocks[l] c_l(x)``."""
        return self._generator.with_clocks(np.array(clocks)).exit_rates


class _SampledCourse(_GeneratorOnStep):
    """One whose rates are no sums of products of functions of time and of the state."""

    sees_shape_only = False

    def product(self, tau: float) -> Callable[[FloatArray], FloatArray]:
        # The end of a step may be where a rate jumps: what holds before it counts.
        end = self._t + self._h
        return self._generator.at(min(self._t + tau * self._h, end - 4.0 * np.spacing(end))).operator.apply

    def error(self, table: Collocation, z: FloatArray, values: FloatArray) -> _Residual:
        """Estimate the integral of the residual's 1-norm from samples halfway between the nodes, and at the start.

        Where a rate bends right after the start, all the others are of what holds later.
        """
        edges = np.concatenate([[0.0], table.nodes])
        tau = np.concatenate([[0.0], 0.5 * (edges[1:] + edges[:-1])])
        lengths = np.diff(edges)[[0, *range(len(table.nodes))]]
        at, slope = table.interpolate(tau)
        rise = values - z  # the slopes of a constant are zero: taken so, little cancels
        total = 0.0
        for k, point in enumerate(tau):
            product = self.product(point)(z + at[k, 1:] @ rise)
            total += float(np.abs(slope[k, 1:] @ rise / self._h - product).sum()) * lengths[k]
        return _Residual(self._h * total, certified=False)
