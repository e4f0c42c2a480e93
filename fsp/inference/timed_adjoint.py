"""Gradients by the adjoint where rates depend on time or the start is stationary: elementwise, by collocation.

As in `fsp.inference.adjoint`, λ(x, t) >= 0 is the mean, from x at t, of what is asked at later times, and

(1)  ∂_k E  =  ∫ Σ_x p Σ_r ∂_k a_r (λ(x + ν_r) - λ(x)) dt  +  Σ_x λ(x, 0) ∂_k p(x, 0)
              +  Σ_switches ∂_k t* Σ_x (a⁻ - a⁺) p (λ(x + ν) - λ(x)) ,

the last of `fsp.inference.moving`.  On the stored states J let y be what stays there, y' = A_J y, and λ_J what is asked
of it, -λ_J' = A_Jᵀ λ_J.  Both are known for each state by `fsp.inference.timed_steps`, of paths u and l,

(2)  |y - u|  <=  E u + g,  Σ g <= G,        |λ_J - l|  <=  Ê (l + κ) + ĝ,  Σ_x y ĝ <= Ĝ,  ĝ <= ĝ* ,

where at a time at which f with f - γ <= the true weights <= f + γ comes in,

(3)  Ê (l + κ) + γ  <=  (Ê + ε) (l + f + κ) + max(γ - Ê f - ε (l + f + κ), 0)

for any ε >= 0, the last of which goes into ĝ.

So (1) of y and λ_J differs from that of u and l by no more than, with D_k = Σ_r |∂_k a_r|,

(4)  ∫ (E + Ê + E Ê) Σ_x u Σ_r |∂_k a_r| (l(x + ν_r) + l(x) + 2 κ)  +  G ∫ max_x D_k 2 (max l + κ) (1 + Ê) ,

of which each u and l counts with its largest value on a step.  What leaves J, δ in all, adds, with H >= λ, to (1)

(5)  H ( Σ_x s_k(x) φ(x, 0) + ∫ Σ_x y Σ_r |∂_k a_r| (φ(x + ν_r) + φ(x)) )  +  H ∫ Σ_x m D_k ,

with φ <= 1 the probability to leave from x on, and m = p - y.  The first is what leaves of a part Q of y,
``Q' = A_J Q + Σ_r |∂_k a_r| y (δ_{x + ν_r} + δ_x)``.  As Q <= K y + ζ, by comparison, with

(6)  K' = max over x with u(x) >= 4 G of Σ_r (|∂_k a_r| y)(x - ν_r) / y(x) + D_k ,

and ζ fed by what comes to other states, that is at most ``H (K δ + Σ ζ)``: δ is tiny, and K is not large.  Where rates
have just begun states may be empty that ζ comes to, and are not when a step of h ends: with N >= A but for its diagonal

(7)  ζ(h)  <=  Σ_j (h N)^j / j!  ζ ,

of what is fed to ζ in all, at most, and what of it is no more than a multiple of y(h) goes over into K; what leaves J
on the way is added.  ĝ counts as H φ does, with which it is ``ψ = H φ + ĝ``: where a step leaves η of a state unknown,
beside a part of it, ``-ĝ' = A_Jᵀ ĝ + λ η``, which expands no maximum, so that by ``y' = A_J y``

(8)  Σ_x y ψ  <=  H δ + Ĝ,   Ĝ = Σ_steps Σ_x y η ,        ψ  <=  H + ĝ*,   ĝ* = Σ_steps max η .

What ĝ gains between the time at which ζ is fed and that to which (7) moves it counts with Σ ζ.  So l may be off by much
where y is next to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import ROUNDED_UP, SUM_ROUNDING, UNIT_ROUNDOFF, dot
from fsp.bars import silent
from fsp.generator import Generator
from fsp.inference.adjoint import Gradient, Weights
from fsp.inference.moving import Moving, require_smooth
from fsp.inference.on_step import STAGES
from fsp.inference.path_ahead import PathAhead
from fsp.inference.statewise import Known, split
from fsp.inference.timed import Timed
from fsp.inference.timed_contraction import (
    CONTRACTION_ROUNDING,
    RATIO_FACTOR,
    UNSEEN_PROBABILITY,
    Contraction,
    Lost,
    Truncation,
    heights_of,
)
from fsp.inference.timed_steps import FixedSteps, Off, VectorOnStep, without_changes
from fsp.moments.part_moments import Moment
from fsp.projection.progress import Progress
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.beginning import Beginning
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.projection.progress import ProgressCallback
    from fsp.space import StateSpace

# Σ y λ of all states whose λ is not known as a part of itself, over what is asked in all.  In Σ y D ψ ε counts with the
# mean of a rate, Ĝ with the largest one: of the STL1 model these are 1e3 apart.  With zero 585 steps are tried, so 500.
WEIGHT_BACK = 1e-6
WEIGHT = 1e-8  # probability of all states that are not known as a part of themselves, see `statewise.split`; chosen
# Of E and of Ê that steps may add in all by their length, and each beside, beside rounding, which adds 2e-9 and 3e-9 to
# those of the STL1 model: 549 steps are tried, without the second 625.
TARGET, EACH = 1e-8, 1e-10
KAPPA_FLOOR = 1e-12  # κ over the largest weight, at least
LOST_MORE = 3.0  # times G: what has left, for which states are worth to be added; chosen
TOO_MUCH = 0.1  # of E or Ê, from which on nothing is known; below it, second orders are a tenth of the first
SECOND = 1.2  # times a bound of first order: (1 + E)(1 + Ê) at most


class TimedAdjoint:
    """A network on fixed states up to some times, where rates may depend on time."""

    def __init__(
        self,
        model: Model,
        slopes: Derivatives,
        bounds: Bounds,
        space: StateSpace,
        times: Sequence[float],
        beginning: Beginning,
        report: ProgressCallback = silent,
    ) -> None:
        self.space, self._times, self._report = space, list(times), report
        self.gauges = [bounds.followed[i] for i in bounds.of_errors]
        self._timed = Timed.of(Generator(model, space), slopes, bounds.followed)
        require_smooth(model, slopes, times)
        self._moving = Moving.of(model, slopes, times[-1])
        self._contraction = Contraction.of(model, space, self._timed)
        stops = self._moving.times
        inner = stops[(stops > 0.0) & (stops < times[-1])]
        self._breaks = np.union1d(np.union1d(inner, [0.0]), times).tolist()
        self._beginning, self._truncation = beginning, Truncation(bounds, self._timed, self._contraction, beginning)
        self.pieces: list[VectorOnStep] = []
        # By time: u, what it is off, and what has left, with its moments.
        self._at: dict[float, tuple[FloatArray, Off, float, Moment]] = {}
        self._forward()

    def _forward(self) -> None:
        begun, n = self._beginning, len(self.space)
        steps = FixedSteps(
            without_changes(self._timed), back=False, floor=0.0, weight=WEIGHT, target=self._target, each=EACH
        )
        z = np.zeros(n)
        z[places(self.space, begun.states)] = begun.probabilities
        off = Off(begun.moments.each.relative, begun.moments.each.absolute, np.zeros(n))
        self._at[0.0] = z, off, begun.lacking, self._truncation.moment()
        for first, last in zip(self._breaks, self._breaks[1:], strict=False):
            fresh = self.jumps_at(first) and (first > 0.0 or not begun.spread)
            for piece, end, after in steps.through(z, off, first, last, fresh=fresh):
                self.pieces.append(piece)
                self._truncation.enter(piece)
                z, off = end, after
            self._at[last] = z, off, self._truncation.mass, self._truncation.moment()
            self._say(last, "")

    @property
    def _target(self) -> float:
        return TARGET / max(self._times[-1], 1e-300)

    @property
    def relative(self) -> float:
        """Bound what probabilities may be off, relative to themselves."""
        return max(self._off(t)[0] for t in self._breaks)

    def jumps_at(self, t: float) -> bool:
        """Tell whether rates may jump or bend at a time, or the run begins."""
        return t == 0.0 or t in self._moving.times

    def _say(self, t: float, note: str) -> None:
        self._report(Progress(t, self._times[-1], len(self.space), self._truncation.mass, note))

    def _off(self, t: float) -> tuple[float, float]:
        """Return E and G of (2) at a time, B among them."""
        z, off, *_ = self._at[t]
        fast = split(off.fast, z, WEIGHT)
        return (off.relative + fast.relative) * ROUNDED_UP, (off.absolute + fast.absolute) * ROUNDED_UP

    def probabilities(self, i: int) -> FloatArray:
        """Return probabilities, up to `relative` and what they lack, of time i, (n,)."""
        return self._at[self._times[i]][0]

    def lacks(self, i: int) -> float:
        """Bound what they lack at time i, all together."""
        return (self._at[self._times[i]][2] + self.absolute(i)) * ROUNDED_UP

    def absolute(self, i: int) -> float:
        """Bound what they may be too large at time i, all together, beside what is relative."""
        return self._off(self._times[i])[1]

    @property
    def is_open(self) -> bool:
        """Whether more has left the stored states than steps leave unknown."""
        return self._truncation.gone > LOST_MORE * self._off(self._times[-1])[1] + UNSEEN_PROBABILITY

    def level(self, highest: float) -> FloatArray:
        """Return a height that is the same on all states, (1 + n_gauges,)."""
        return np.array([highest, *[0.0] * len(self.gauges)])

    # ---- backwards

    def gradient(self, asked: Sequence[Weights], *, signed: bool) -> Gradient:
        """Return the derivatives of the sum over all times of what is asked, (1), and what they are off, (4) and (5).

        Heights must be constants; infinite are those of derivatives of which nothing is known.
        """
        known = all(np.isfinite(weights.height).all() and not weights.height[1:].any() for weights in asked)
        if not known:
            nothing = self.level(0.0)
            asked = [weights._replace(off=0.0 * weights.values, height=nothing) for weights in asked]
        mean = sum(float(weights.values @ self.probabilities(i)) for i, weights in enumerate(asked))
        largest = max(float(weights.values.max(initial=0.0)) for weights in asked)
        backward = _Backward(self, asked, max(mean, KAPPA_FLOOR * largest, 1e-300))
        values, off = backward.gradient()
        worst = max(self.relative, backward.worst, *(piece.off.relative for piece in self.pieces))
        certified = known and worst < TOO_MUCH and self._beginning.proof.of_errors
        off = np.where(np.isfinite(off), off * (1.0 + worst) ** 2, inf) if certified else np.full(len(off), inf)
        return Gradient(values, off, len(self.pieces) * STAGES)


class _Backward:
    """One pass back from what is asked."""

    def __init__(self, adjoint: TimedAdjoint, asked: Sequence[Weights], floor: float) -> None:
        self._of, self._floor = adjoint, floor
        self._asked = dict(zip(adjoint._times, asked, strict=True))
        q = adjoint._timed.sizes.shape[1]
        self.off = Off(0.0, 0.0, np.zeros(len(adjoint.space)))
        self._l = np.zeros(len(adjoint.space))
        self._values, self._errors = np.zeros(q), np.zeros(q)
        self._sums = adjoint._contraction.empty()
        self._height, self._escaping = 0.0, 0.0  # H, and H δ of (5)
        self.worst = 0.0  # Ê at most
        E, G = adjoint._off(0.0)
        alone = ((1.0 + E) * adjoint.probabilities(0) + G) * ROUNDED_UP
        self._path = PathAhead(adjoint.pieces, alone, len(adjoint._timed.changing))

    def gradient(self) -> tuple[FloatArray, FloatArray]:
        """Return (1), and what bounds its error, (q,) each."""
        of = self._of
        steps = FixedSteps(
            of._timed,
            back=True,
            floor=self._floor,
            weight=self._weight,
            target=of._target,
            each=EACH,
            by=self._path.above,
        )
        breaks = of._breaks[::-1]
        for last, first in zip(breaks, [*breaks[1:], None], strict=True):
            fresh = last in self._asked or of.jumps_at(last)
            self._take_in(last)
            self._jump(last)
            if first is None:
                break
            for piece, end, off in steps.through(self._l, self.off, last, first, fresh=fresh):
                self._path.meet(piece, self.off.largest)
                self._l, self.off = end, off
                self._contract(piece)
            of._say(of._times[-1] - first, "back from the end")
        self._begin()
        values, errors = of._contraction.gathered(self._sums)
        beyond = of._truncation.beyond(self._path.weights)
        self.worst = max(self.worst, self.off.relative)
        return self._values + values, self._errors + errors + beyond

    def _take_in(self, t: float) -> None:
        """Take in what is asked at a time, (3)."""
        weights = self._asked.get(t)
        if weights is None:
            return
        off = self.off
        above = self._l + weights.values + self._floor
        excess = np.maximum(weights.off - off.relative * weights.values, 0.0)
        more = split(excess, above, self._weight, self._path.above(t, t))
        self._l = self._l + weights.values
        self.off = off._replace(
            relative=off.relative + more.relative * ROUNDED_UP + 2.0 * UNIT_ROUNDOFF,
            absolute=off.absolute + more.absolute * ROUNDED_UP,
            largest=off.largest + more.largest * ROUNDED_UP,
        )
        self._height += float(weights.height[0])
        self._escaping += float(weights.height[0]) * self._of.lacks(self._of._times.index(t))

    @property
    def _weight(self) -> float:
        return WEIGHT_BACK * self._floor

    def _contract(self, piece: VectorOnStep) -> None:
        """Add a step's part of (1), (4) and (5)."""
        of, self.worst = self._of, max(self.worst, piece.off.relative)
        heights = heights_of(piece)  # (n_changing,)
        largest = float(piece.largest.max(initial=0.0)) + self._floor
        for j, (first, last) in self._path.common(piece):
            forward = of.pieces[j]
            self._path.weigh(j, self._height * heights)
            off = forward.off.relative + piece.off.relative
            of._contraction.add(self._sums, forward, piece, (first, last), off, self._floor)
            steepest = heights @ of._contraction.largest * (last - first)  # (q,)
            self._errors += 2.0 * largest * forward.off.absolute * steepest
            lately = self._path.lately(j, piece.off.largest)
            self._lose(of._truncation.steps[j], heights * (last - first), piece.off, lately)

    def _lose(self, lost: Lost, heights: FloatArray, off: Known, lately: float) -> None:
        """Add (5) of a part of a step, by (6); ∫ of functions of time are at most `heights`, (n_changing,)."""
        mass, height = self._unknown(off)
        steepest = np.einsum("c,rck->rk", heights, self._of._contraction.tops)  # (R, q)
        self._errors += (lost.ratios * mass + lost.rest * height + lost.begun * lately) @ steepest * ROUNDED_UP

    def _unknown(self, off: Off | Known) -> tuple[float, float]:
        """Return Σ y ψ and ψ of a state at most, of (5) and (8)."""
        return self._escaping + off.absolute, self._height + off.largest

    def _jump(self, t: float) -> None:
        """Add what switches do that move with parameters."""
        of = self._of
        if not of._moving.moves.get(t):
            return
        z, *_, moment = of._at[t]
        E, G = of._off(t)
        relative, mass, height = self._known(t)
        relative += E
        for move in of._moving.moves[t]:
            flow, noise = of._moving.flow(move, t, of.space.states)  # (n,) each, by probability
            to = np.append(self._l, 0.0)[of._contraction.targets[move.reaction]]
            sums = (to + self._l + 2.0 * self._floor) * z
            self._values[move.parameter] += float(dot(flow * z, to - self._l))
            error = float(np.abs(flow) @ sums) * (relative + CONTRACTION_ROUNDING) + float(noise @ sums)
            steepest = float((np.abs(flow) + noise).max(initial=0.0))
            error += 2.0 * steepest * (float(self._l.max(initial=0.0)) + self._floor) * G
            ratio, zeta, left = of._contraction.comes(move.reaction, (np.abs(flow) + noise) * z, z, G)
            rest = float(zeta.sum()) + left
            error += (RATIO_FACTOR * ratio + steepest) * mass + (RATIO_FACTOR * rest + 2.0 * steepest * G) * height
            if of._truncation.gone > 0.0:
                error += self._height * of._moving.beyond(move, t, moment)
            self._errors[move.parameter] += error * ROUNDED_UP

    def _known(self, t: float) -> tuple[float, float, float]:
        """Return Ê, Σ y ψ and ψ of a state at most, at a time, B among them."""
        off = self.off
        fast = split(off.fast, self._l + self._floor, self._weight, self._path.above(t, t))
        mass, height = self._unknown(off)
        return off.relative + fast.relative, mass + fast.absolute, height + fast.largest

    def _begin(self) -> None:
        """Add what the start changes."""
        of, begun = self._of, self._of._beginning
        h, place = begun.derivatives, places(of.space, begun.states)  # (q, n_start), (n_start,)
        if not len(h) or not (h.any() or begun.errors.any()):
            return
        l = self._l[place]  # noqa: E741 - as in (1)
        relative, mass, height = self._known(0.0)
        relative += SUM_ROUNDING
        self._values += dot(h, l)
        self._errors += np.abs(h) @ (l + self._floor) * relative + self._of_start(relative, mass, height)
        u = begun.probabilities
        _, G = of._off(0.0)
        good = u >= max(4.0 * G, UNSEEN_PROBABILITY)
        K = (np.abs(h)[:, good] / u[good]).max(axis=1, initial=0.0) * RATIO_FACTOR
        self._errors += K * mass + np.abs(h)[:, ~good].sum(axis=1) * height

    def _of_start(self, relative: float, mass: float, height: float) -> FloatArray:
        """Bound Σ λ of what the derivatives of the start are off, (q,); Σ y ψ is known."""
        of, begun, H = self._of, self._of._beginning, self._height
        if begun.moments.weighted is None:
            return H * begun.errors
        u, (_, G) = of._at[0.0][0], of._off(0.0)
        unknown = np.where(
            u >= max(4.0 * G, UNSEEN_PROBABILITY), RATIO_FACTOR * mass / np.maximum(u, UNSEEN_PROBABILITY), height
        )
        inside = np.minimum((1.0 + relative) * (self._l + self._floor) + np.minimum(unknown, height), H)
        mean = float(u @ inside) * SECOND + H * (of._truncation.gone + G)
        return begun.moments.weighted(of.space, inside, H, mean)
