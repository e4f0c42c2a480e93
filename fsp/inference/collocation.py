"""Steps of p and its derivatives together by Radau IIA collocation, where rates depend on time.

On a step functions of time are polynomials with bounded remainders (`fsp.solvers.clocks`).  The collocation polynomials
u_0 of p and u_k of the derivatives then have residuals

(1)  ρ_0 = u_0' - A u_0,        ρ_k = u_k' - A u_k - (∂_k A) u_0,

which are polynomials, and remainders.  By interpolation in so many Chebyshev points as their degree asks for,

(2)  ∫ ‖ρ‖₁  <=  h Σ_i ‖ρ(τ_i)‖₁ ∫|ℓ_i|  +  h max ‖remainder‖₁ ,

however well the equations of the stages were solved; what p is off goes on to the derivatives as what p lacks does
(`fsp.inference.account`).  With |u(τ)| <= Σ_j |u(c_j)| |ℓ_j(τ)|,

(3)  ∫ |u(x)|  <=  h Σ_j |u(c_j, x)| ∫|ℓ_j| ,

the occupation.  Of each probability, as a part of itself and an absolute rest,

(4)  |ρ_0(x)|  <=  λ(τ) ( max_i |ρ_0(τ_i, x)|  +  Σ_l |remainder of g_l| (|A_l| |u|)(x)  +  rounding )

with ``λ = Σ_i |ℓ_i| >= 1`` goes into `fsp.inference.statewise`.

References
----------
E. Hairer, G. Wanner, Solving Ordinary Differential Equations II, 2nd ed., IV.8, doi:10.1007/978-3-642-05221-7.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF, span
from fsp.errors import ConvergenceError
from fsp.inference.expansion import Expansion
from fsp.inference.on_step import STAGES, OnStep
from fsp.inference.stages import Stages, residuals
from fsp.inference.statewise import RELATIVE, Known, range_of, split, weight_of
from fsp.solvers.base import short, step_to
from fsp.solvers.clocks import chebyshev_nodes, reach
from fsp.solvers.collocation import RESIDUAL_NOISE, radau
from fsp.solvers.linear import ShiftedSystem

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator import Generator
    from fsp.inference.derived import RateChangeBounds
    from fsp.inference.timed import Timed

STAGE_ITERATIONS = 20  # of the stages, beyond which a shorter step is cheaper; chosen, not measured
STAGE_ERROR = 0.02  # of what is allowed, for the stages
ALONE = 1e-6  # of that, where each probability counts: iterated until nothing is gained
# Times a bound of the rounding: what a step shows of it at most, about; of 0.05 to 2 it takes least work.
ROUNDING_SHOWN = 0.25
ROUNDING_ADDED = 2.0  # times a bound of the rounding: what a step may add to what is known of each probability
# Of probability that may come into empty states in a step: all that is known of them is an absolute rest, with the
# rounding of slopes, 2e-12 of it.  Chosen.
GAINED = 1e-4
SMALLEST_STEP = 1e-13  # of the time ahead
GROWTH, CALM = 2.0, 3  # of steps, from the third after one in vain: what they show below rounding says nothing
# Of the error that earlier steps were allowed and did not make, what a step may make beside its own; and of all, what a
# run may begin with.  What comes into new states takes it, for which steps would be tried in vain.  Chosen.
LENT, SAVED = 0.1, 0.1
# After a step in vain, of its length: how much nearer to it each accepted one may come.  Chosen.
NEARER, CLOSER = 0.6, 1.1
# Of the error of steps that begin where a function of time bends, or are far too long; and how much shorter a step
# becomes at most.  Chosen: with the order of the stages, steps from such times are tried 13 times in vain.
LEAST_ORDER, MOST_SHORTENED = 3.0, 1.0 / 64.0
FIRST_JUMPS = 0.5  # in the first step, on average


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A step."""

    length: float
    expansion: Expansion
    course: RateChangeBounds
    ratio: float  # its error over what was allowed
    seen: float  # the same of what is above the rounding


class Marching:
    """Steps of p and its derivatives on one space, where rates depend on time."""

    def __init__(self, timed: Timed, rates: FloatArray, stops: FloatArray, duration: float) -> None:
        self._collocated = Collocated(timed, duration, float(rates[0]) * duration)
        self._rates = rates  # of error that p and its derivatives may have, (1 + q,) 1/time
        self._stops = stops  # times at which rates jump or bend
        self._length = 0.0
        self._saved = SAVED * duration  # for how long steps may be off, beyond what they were
        self._since = CALM  # accepted steps since one was tried in vain
        self._vain = (0.0, 1.0)  # its length, and its error over what was allowed

    @property
    def generator(self) -> Generator:
        """The generator of p at time zero."""
        return self._collocated.timed.generator

    @property
    def course(self) -> RateChangeBounds:
        """What holds on the last step."""
        return self._collocated.course

    def work(self, left: float, rows: int) -> tuple[float, float]:
        """Return nothing: how many steps lie ahead is not known."""
        return 0.0, 0.0

    def steps(
        self, block: FloatArray, t: float, times: FloatArray
    ) -> Iterator[tuple[float, Expansion, RateChangeBounds]]:
        """Take a step towards the next of some times, or to where a rate jumps or bends."""
        later = self._stops[self._stops > t]
        target = min([float(times[times > t][0]), *later[:1].tolist()])
        if self._length == 0.0:
            self._length = min(span(t, target), FIRST_JUMPS / max(self._collocated.flow(block), 1e-300))
        before = -1.0
        while True:
            asked = step_to(t, short(self._length), target)
            h = self._collocated.within(t, asked, min(asked, 4.0 * SMALLEST_STEP * target))
            if asked <= SMALLEST_STEP * target and asked < 0.5 * span(t, target):
                raise ConvergenceError(
                    f"Derivatives must be known up to the tolerance, but at t = {t:.6g} steps are {h:.1e} long. Ask "
                    f"for a larger `tol`."
                )
            lent = LENT * self._saved
            taken = self._collocated.step(block, h, self._rates * (h + lent), lent)
            if taken.ratio <= 1.0:
                break
            self._length, self._since = _shortened(h, taken.ratio, self._vain if before == t else None), 0
            self._vain, before = (h, taken.ratio), t
        self._since += 1
        self._saved = max(self._saved + h - taken.ratio * (h + lent), 0.0)
        if h >= 0.99 * self._length:
            growth = GROWTH if self._since > CALM else NEARER * CLOSER**self._since * self._vain[0] / h
            self._length = h * max(1.0, min(GROWTH, growth, _factor(max(taken.seen - 2.0 * STAGE_ERROR, 0.0))))
        yield (target if h >= span(t, target) else t + h), taken.expansion, taken.course

    def carry_on(self, other: Marching) -> None:
        """Take the length of steps on an earlier space."""
        self._length, self._saved = other._length, other._saved


def _shortened(h: float, ratio: float, before: tuple[float, float] | None) -> float:
    """Return what to try after a step in vain, by the order that two steps in vain from the same time show."""
    order = float(STAGES)
    if before is not None and before[0] > h:
        order = min(order, max(LEAST_ORDER, math.log(before[1] / ratio) / math.log(before[0] / h)))
    return h * min(0.7, max(MOST_SHORTENED, float((2.0 * ratio) ** (-1.0 / order))))


def _factor(ratio: float) -> float:
    """Return by how much the step may change: its error over its length is of order s."""
    factor = min(4.0, max(0.8 * max(ratio, 1e-30) ** (-1.0 / STAGES), 0.125))
    return 1.0 if 1.0 < factor < 1.25 else factor


class Collocated:
    """Single steps."""

    def __init__(self, timed: Timed, duration: float, loss: float) -> None:
        self.timed, self.duration, self._table = timed, duration, radau(STAGES)
        self._stages = Stages(timed)
        self.weight = weight_of(loss)
        self.course = timed.course(np.ones(len(timed.clocks)), np.zeros(len(timed.changing)))
        self._on_step = OnStep([], [], 0.0, 0.0)

    def flow(self, block: FloatArray) -> float:
        """Return the rate of jumps from where p is at time zero."""
        return float(self.timed.generator.exit_rates @ np.abs(block[0]))

    def within(self, t: float, h: float, least: float) -> float:
        """Shorten a step that goes over a time at which a function may jump or bend; one of `least` may: at a charge.

        Such times are known beforehand but for those that functions come back from at once.
        """
        self._on_step = OnStep.of(self.timed, t, h, fitted=h <= least)
        if self._on_step.certified or h <= least:
            return h
        trees = (*self.timed.clocks, *self.timed.changing)
        end = min(reach(tree, t, t + h) for tree in trees)
        shorter = h if end == t + h else max(span(t, end), least)
        self._on_step = OnStep.of(self.timed, t, shorter)
        return shorter

    def step(self, block: FloatArray, h: float, allowed: FloatArray, lent: float = 0.0) -> Taken:
        """Take the step that `within` found, of a block (1 + q, n).

        `allowed` (1 + q,) is the error of each, and that of each probability is allowed for h and `lent`.
        """
        timed, on_step = self.timed, self._on_step
        z = block.T[:, None, :]  # (n, 1, 1 + q)
        values = np.repeat(z, self._table.n_stages, axis=1)  # (n, s, 1 + q)
        noise = _noise(timed, on_step, np.abs(block), h)
        least = np.maximum(allowed, RESIDUAL_NOISE * noise)
        systems = self._stages.factors(on_step, h)
        alone = len(block) == 1  # then each probability counts, and not their sum alone
        solved = least[:1] * (ALONE if alone else 1.0)
        values[:, :, :1] = self._solved(z[:, :, :1], values[:, :, :1], on_step, systems, h, solved, None)
        forced = on_step.forced(timed, self._table.nodes, values[:, :, 0])  # (n, s, q)
        values[:, :, 1:] = self._solved(z[:, :, 1:], values[:, :, 1:], on_step, systems, h, least[1:], forced)
        rest, sizes, sums = self._stages.rest(on_step, z, values, h)
        error, at_ends = self._residual(sizes, sums, on_step, h)
        noise = np.maximum(noise, _noise(timed, on_step, np.abs(values).max(axis=1).T, h))
        rounding = noise + at_ends + 8.0 * UNIT_ROUNDOFF * STAGES * np.abs(block).sum(axis=1)
        hidden = np.minimum(error, RESIDUAL_NOISE * noise)  # of rounding
        occupation = h * np.tensordot(_moduli(STAGES), np.abs(np.concatenate([z, values], axis=1)), (0, 1)).T
        end = np.ascontiguousarray(values[:, -1].T)
        cut = float(np.minimum(end[0], 0.0).sum())
        np.maximum(end[0], 0.0, out=end[0])
        error[0] -= cut
        points = np.concatenate([z[:, :, 0], values[:, :, 0]], axis=1)
        known, ratios = self._known(points, rest, on_step, h, lent)
        expansion = Expansion(end, occupation, error - hidden, rounding + hidden, self._table.n_stages, known)
        ratio = float((error / least).max())
        seen = float((np.maximum(error - RESIDUAL_NOISE * noise, 0.0) / least).max())
        if alone:
            gained = float(end[0, block[0] == 0.0].sum()) / GAINED
            ratio, seen = max(ratios[0], gained ** (STAGES / 2)), ratios[1]
        self.course = on_step.course(timed)
        return Taken(h, expansion, self.course, ratio, seen)

    # ---- the stages

    def _solved(
        self,
        z: FloatArray,
        values: FloatArray,
        on_step: OnStep,
        systems: list[ShiftedSystem],
        h: float,
        allowed: FloatArray,
        forced: FloatArray | None,
    ) -> FloatArray:
        """Solve ``U = z + h (weights ⊗ A) U + h weights F`` for the stages, (n, s, m)."""
        table, best = self._table, np.inf
        if not values.shape[2]:
            return values
        values = values.copy()
        defects = self._stages.defect(on_step, z, values, forced, h)
        for _ in range(STAGE_ITERATIONS):
            defect, residuals = defects()  # (n, s, m), (s, m)
            size = float(((residuals * table.lagrange_integrals[:, None]).sum(axis=0) / allowed).max())
            if size <= STAGE_ERROR or size > 0.5 * best:
                break
            best = size
            self._stages.correct(values, defect, systems)
        return values

    # ---- what they are off

    def _residual(
        self, sizes: FloatArray, sums: FloatArray, on_step: OnStep, h: float
    ) -> tuple[FloatArray, FloatArray]:
        """Return (2) of each vector, and the part of it that does not fall with the step: (1 + q,) each."""
        timed, nodes = self.timed, chebyshev_nodes(len(on_step.tau))
        norms, missed, ends = sums[0], 2.0 * sums[1], 2.0 * sums[2]  # (N, 1 + q)
        missed[:, 1:] += 2.0 * np.tensordot(sizes, on_step.changed(timed, "missed"), (0, 1))
        ends[:, 1:] += 2.0 * np.tensordot(sizes, on_step.changed(timed, "rounding"), (0, 1))
        return h * (nodes.integrals @ (norms + missed)), h * ends.max(axis=0) * nodes.lebesgue

    def _known(
        self, points: FloatArray, rest: FloatArray, on_step: OnStep, h: float, lent: float
    ) -> tuple[Known, tuple[float, float]]:
        """Return what a step adds to what is known of each probability (4), and by how much that is too much.

        `points` of the path of p, (n, 1 + s), and its residual in Chebyshev points, (n, N).
        """
        least, largest = range_of(points)
        fallen, noise, integral = residuals(self.timed, points, rest, on_step, h, largest)
        parts = (split(of_part, least, self.weight) for of_part in (fallen + noise, fallen, noise))
        added, above, below = (Known(integral * of_part.relative, integral * of_part.absolute) for of_part in parts)
        bound = max(RELATIVE * (h + lent) / self.duration, ROUNDING_ADDED * below.cost(self.weight))
        cost = above.cost(self.weight)
        return added, (cost / bound, max(cost - ROUNDING_SHOWN * below.cost(self.weight), 0.0) / bound)


def _noise(timed: Timed, on_step: OnStep, block: FloatArray, h: float) -> FloatArray:
    """Return the rounding of a step of vectors of these moduli, (1 + q, n): of its products, and of its values."""
    generator, course = timed.generator, on_step.course(timed)
    flow = 2.0 * h * block @ on_step.exits(timed) * generator.roundings
    flow[1:] += 2.0 * h * course.sizes @ block[0] * (generator.roundings + 8.0)
    mass = block.sum(axis=1)
    return np.asarray(
        UNIT_ROUNDOFF * (flow + mass) + generator.misjudged(on_step.t, on_step.t + h) * mass, dtype=np.float64
    )


@lru_cache
def _moduli(n_stages: int) -> FloatArray:
    """Return ∫|ℓ_j| over a step for its start and the stages, (1 + s,), rounded up: no ℓ_j changes sign between two."""
    edges = np.concatenate([[0.0], radau(n_stages).nodes])
    x, w = np.polynomial.legendre.leggauss(n_stages)  # exact for degrees up to 2 s - 1
    lengths = np.diff(edges)
    values, _ = radau(n_stages).interpolate((edges[:-1, None] + 0.5 * lengths[:, None] * (1.0 + x)).ravel())
    moduli: FloatArray = np.outer(0.5 * lengths, w).ravel() @ np.abs(values) * ROUNDED_UP
    return moduli
