"""Steps of one vector on fixed states where rates change, forward or back in time, each entry known for itself.

Let u be the collocation polynomial of a step, of ``v' = M v`` with ``M = A(t)``, or ``M = A(t)ᵀ`` back in time, and
``|u' - M u| <= λ(τ) S``, entry by entry, as in (4) of `fsp.inference.collocation`.  M has no negative entries but in
its diagonal -e(x, t).  With a constant κ >= 0 that obeys ``κ' >= M κ`` (κ = 0 forward), and with F any states that are
left at rates of at least e_F(x), and at least e_* all of them, let

(1)  |v - u|  <=  E (u + κ) + B + g ,

at the beginning of the step, where B lives on F.  It holds on all of the step, by comparison, with

(2)  B(τ) = B_0 exp(-e_* τ) + b on F,    b = S min(max λ/e_F, ∫λ),
(3)  E  ->  E + (1 + E) ε,    Σ g -> Σ g + Σ_x max(C - ε (u + κ), 0),
     C(x) = ∫λ S(x) [x not in F] + Σ_{y in F, y ≠ x} M_xy (h b(y) + B_0(y) min(1/e_*, h)),

for any ε >= 0, as ``-M B >= e B - Σ_{y in F} M_xy B(y)``, ``B' = -e_* B_0 exp(-e_* τ)``, and b may as well be S ∫λ up
to τ.  So what is wrong with a state that is left at once counts by the time it has: the rounding of flows of 10⁵ a
minute does not spoil the others.  Where B_0 lives on states that are not in F it goes over into E and g.  ε is chosen
by `fsp.inference.statewise.split`.  As forward M does not expand sums, (3) adds up g.  Back it may add up w g, with
w(x) >= y(x, t) on all of the step for a path y >= 0 that goes forward, ``y' = Mᵀ y``: then Σ y g changes by what g is
fed with times y.  The largest g changes by the largest C - ε (u + κ) at most, as M expands no maximum then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import diags_array

from fsp.arithmetic import ROUNDED_UP
from fsp.errors import ConvergenceError
from fsp.inference.on_step import CLOCK_DEGREE, STAGES, Ahead, OnStep, height, lowest
from fsp.inference.stages import Stages, residuals
from fsp.inference.statewise import Known, range_of, split
from fsp.model.taylor import Parts
from fsp.solvers.clocks import Clock, chebyshev_nodes, constants_on, reach
from fsp.solvers.collocation import in_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsp.arrays import BoolArray, FloatArray
    from fsp.inference.timed import Timed

# Jumps in the time ahead, and share of the largest exit rate: states of F have both at least; and back by how much they
# are faster than all others: where none are, half of what the STL1 model is off would come by B of states that are
# hardly faster.  Forward B takes what is wrong where a state is still empty, which is little of what it holds later.
FAST_JUMPS, FAST_SHARE, APART = 100.0, 0.1, 5.0
ROUNDING_SHOWN, ROUNDING_ADDED = 0.5, 2.0  # times a bound of it: what a step shows about, and may add; chosen
SHORTEST_STEP = 1e-13  # of the time: a shorter step would not know better on which side of a switch it lies
GROWTH, SAFETY, SHRUNK = 4.0, 0.8, 0.15  # of steps: at most, of the step that would just do, at least; chosen
# After a step in vain each accepted one lets the next grow by so much more, as what a step shows below rounding says
# nothing: with GROWTH at once 1,098 steps of the STL1 model were tried in place of 895.
CLOSER = 1.1
# After a step shortened by its rounding, which says nothing of longer ones, the next may be so much longer; of a step
# that is too long, at least.  Chosen.
DOUBLED, LEAST_PART = 2.0, 1e-3
# Of the profile in a step: rounding that is worth a shorter step, and by which power of the step it must fall, later
# and after a jump, when all that comes into empty states is rounding of what it came from.  Chosen.
TOLERATED, ORDERS = 1e-10, (1.5, 0.15)
MOST_STEPS = 4_000  # in all; chosen
FIRST_JUMPS = 10.0  # of the fastest state in the first step after vectors or rates have jumped; chosen


@dataclass(frozen=True, slots=True, eq=False)
class VectorOnStep:
    """A vector on one step."""

    start: float  # of the step, in time, wherever it comes from
    length: float
    points: FloatArray  # where it comes from, and at the stages, (n, 1 + s)
    largest: FloatArray  # of its modulus, (n,)
    least: FloatArray  # at least zero, (n,)
    off: Known  # E, Σ w g and the largest g of (1) on all of the step, B among them
    on_step: OnStep  # functions of time, by time


class Off(NamedTuple):
    """What a vector is off, (1)."""

    relative: float  # E
    absolute: float  # Σ w g
    fast: FloatArray  # B, (n,)
    largest: float = 0.0  # g of a single state


class _StepError(NamedTuple):
    """What a step adds to E and g: by rounding, and by what falls with the step."""

    rounding: Known
    truncation: Known


class _Way:
    """How far steps from a time to another are."""

    def __init__(self, first: float, last: float, order: float) -> None:
        self.t, self._first, self.last = first, first, last
        self._end = last  # or just before it, where a function is not known up to it
        # Of the last step that was tried its rounding and length; and the order of rounding from which on shorter steps
        # have less of it, and are not only more.
        self._rounding, self._tried, self._order = np.inf, 0.0, order
        self.beside = 0.0  # a step that is tried again once the shortest one has left a switch behind

    @property
    def left(self) -> float:
        """How long the next step may be."""
        return abs(self._end - self.t)

    def is_at_an_end(self, h: float, least: float) -> bool:
        """Tell whether a step comes as near to an end as a switch may lie, whose place is known to rounding only."""
        return abs(self.t - self._first) < least or abs(self.last - self.t) - h < least

    def go_on(self, h: float, *, back: bool) -> None:
        """Go on by a step."""
        self.t = self._end if h >= self.left else (self.t - h if back else self.t + h)
        self._end = self.last if self.t == self._end else self._end
        self._order, self.beside = ORDERS[False], 0.0

    def shortened(self, rounding: float, h: float) -> float:
        """Return by how much a step of much rounding is shortened; zero where that would not serve."""
        before, tried, self._rounding, self._tried = self._rounding, self._tried, rounding, h
        if rounding <= TOLERATED:
            return 0.0
        if not tried or before <= 0.0:
            return 0.5
        order = math.log(rounding / before) / math.log(h / tried) if h != tried else 0.0
        if not order > self._order:  # shorter steps would be more, and have as much of it together
            return 0.0
        return float(np.clip((0.5 * TOLERATED / rounding) ** (1.0 / order), LEAST_PART, 0.5))

    def beside_switch(self, h: float, least: float) -> float:
        """Return what to try after a step on which some function is unknown, zero where no switch at its ends is why.

        A switch where steps begin, or end, is a singularity of derivatives: the shortest step goes over it.
        """
        if self.t == self._first and not self.beside:
            self.beside = h
            return least
        if h >= self.left and self._end == self.last:
            self._end -= math.copysign(0.5 * least, self.last - self._first)
            return h
        return 0.0


@dataclass(slots=True)
class _StepControl:
    """What the next step is chosen by."""

    fast: BoolArray  # F of the last one, (n,)
    length: float = 0.0
    growth: float = GROWTH  # at most
    taken: int = 0  # steps in all
    constants: FloatArray | None = None  # functions of time where these steps go, if they are constant


class FixedSteps:
    """Steps in one direction of time.

    `floor` is κ, `weight` that of `split`, and `by` bounds w from a time to another, (n,).
    """

    def __init__(
        self,
        timed: Timed,
        *,
        back: bool,
        floor: float,
        weight: float,
        target: float,
        each: float,
        by: Callable[[float, float], FloatArray] | None = None,
    ) -> None:
        self._by_time, self._ahead = without_changes(timed), Ahead(timed.changing)
        self._back, self.floor, self._weight = back, floor, weight
        self._target, self._each = target, each  # of ε by time, and by step
        self._by = by
        transposed = replace(
            timed, parts=[part.T.tocsr() for part in timed.parts], moduli=[part.T.tocsr() for part in timed.moduli]
        )
        self.timed = transposed if back else timed
        self._stages = Stages(self.timed)
        self._apart = [(part - diags_array(part.diagonal())).tocsr() for part in self.timed.moduli]
        self._pace = _StepControl(np.zeros(len(timed.generator), dtype=np.bool_))

    # ---- the march

    def through(
        self, z: FloatArray, off: Off, first: float, last: float, *, fresh: bool
    ) -> Iterator[tuple[VectorOnStep, FloatArray, Off]]:
        """Go from a time to another, with no switch between; yield pieces, ends, and what these are off."""
        way = _Way(first, last, ORDERS[fresh])
        self._pace.constants = constants_on(self._by_time.clocks, min(first, last), max(first, last))
        if fresh or self._pace.length == 0.0:
            self._pace.length, self._pace.growth = self._first(first, way.left), GROWTH
        while way.t != last:
            t, left = way.t, way.left
            asked = left if self._pace.length >= left else min(self._pace.length, 0.5 * left)
            steady = None if way.is_at_an_end(asked, self._least(first, abs(last))) else self._steady(t, asked)
            on_step, h, known = (steady, asked, Parts()) if steady else self._within(t, asked, left)
            fast = self._fast_states(on_step, h, left)
            points = self._stages.solved(z, self._directed(on_step), h)
            piece, seen, after = self._judged(points, on_step, h, fast, off)
            if self._is_in_vain(way, seen, h):
                continue
            long = h > self._least(t, left)
            if self._back:
                changing = self._ahead.on(on_step.t, h, last, known, fitted=not long)
                piece = replace(piece, on_step=replace(on_step, changing=changing))
            if not piece.on_step.certified and long:
                shorter = way.beside_switch(h, self._least(t, left))
                self._pace.length, self._pace.growth = (shorter, self._pace.growth) if shorter else (0.25 * h, CLOSER)
                continue
            self._take(way, h, asked, self._ratio(seen, h))
            self._pace.fast, z, off = fast, np.maximum(points[:, -1], 0.0), after
            yield piece, z, off

    def _is_in_vain(self, way: _Way, seen: _StepError, h: float) -> bool:
        """Tell whether a step adds too much, and choose a shorter one."""
        ratio, rounding = self._ratio(seen, h), self._cost(seen.rounding)
        part = way.shortened(rounding, h)
        if not (ratio > 1.0 or part) or h <= SHORTEST_STEP * max(abs(way.t), abs(way.last)):
            return False
        if ratio > 1.0:
            self._pace.length, self._pace.growth = h * max(SHRUNK, min(0.7, _factor(ratio))), CLOSER
        else:
            self._pace.length, self._pace.growth = h * part, DOUBLED
        return True

    def _take(self, way: _Way, h: float, asked: float, ratio: float) -> None:
        """Go on by a step, and choose the next one."""
        self._pace.taken += 1
        if self._pace.taken > MOST_STEPS:
            raise ConvergenceError(f"Steps must be {MOST_STEPS:,} at most, but are more.")
        length = h * min(self._pace.growth, max(1.0, _factor(ratio)))
        self._pace.length = max(self._pace.length if h < asked else 0.0, length, way.beside)
        self._pace.growth = min(GROWTH, CLOSER * self._pace.growth)
        way.go_on(h, back=self._back)

    def _first(self, t: float, left: float) -> float:
        """Return a step in which the fastest state is left about once, where that is less than there is left."""
        exits = OnStep.of(self._by_time, *self._placed(t, min(left, 1e-9 * (abs(t) + left)))).exits(self._by_time)
        return min(left, FIRST_JUMPS / max(float(exits.max(initial=0.0)), 1e-300))

    def _placed(self, t: float, h: float) -> tuple[float, float]:
        return (t - h if self._back else t), h

    @staticmethod
    def _least(t: float, left: float) -> float:
        """Return how long a step is taken as it is."""
        return SHORTEST_STEP * (abs(t) + left)

    def _within(self, t: float, h: float, left: float) -> tuple[OnStep, float, Parts]:
        """Return the functions of time by which vectors change on a step, and what is known of their parts.

        The step is shortened where one is not known to be smooth.
        """
        least = self._least(t, left)
        while True:
            known = Parts()
            on_step = OnStep.of(self._by_time, *self._placed(t, h), known, fitted=h <= least)
            if on_step.certified or h <= least:
                return on_step, h, known
            if self._back:
                h = max(0.25 * h, least)
            else:
                end = min(reach(tree, t, t + h) for tree in self._by_time.clocks)
                h = max(end - t, least) if end < t + h else max(0.25 * h, least)

    def _steady(self, t: float, h: float) -> OnStep | None:
        """Return functions of time that are constant, None where one is not."""
        constants = self._pace.constants
        if constants is None:
            return None
        first = np.eye(1, CLOCK_DEGREE + 1)[0]
        clocks = [Clock(max(c, 0.0), min(c, 0.0) * first, 0.0, True) for c in constants.tolist()]
        return OnStep(clocks, [], *self._placed(t, h))

    def _directed(self, on_step: OnStep) -> OnStep:
        return mirrored(on_step) if self._back else on_step

    def _ratio(self, seen: _StepError, h: float) -> float:
        """Return what the step adds that is no rounding, over what it may."""
        truncation, rounding = self._cost(seen.truncation), self._cost(seen.rounding)
        allowed = max(self._target * h + self._each, ROUNDING_ADDED * rounding, 1e-300)
        return max(truncation - ROUNDING_SHOWN * rounding, 0.0) / allowed

    def _cost(self, known: Known) -> float:
        return known.cost(self._weight) if self._weight else known.relative

    # ---- what a step is off

    def _judged(
        self, points: FloatArray, on_step: OnStep, h: float, fast: BoolArray, off: Off
    ) -> tuple[VectorOnStep, _StepError, Off]:
        """Return the step, what it adds, and what the vector is off at its end, (2) and (3)."""
        least, largest = range_of(points)
        directed = self._directed(on_step)
        fallen, noise, integral = residuals(self.timed, points, _rest(self.timed, points, directed, h), directed, h)
        rates = np.where(fast, self._slowest(on_step, h) * (1.0 - 1e-12), 1.0)  # e_F, one elsewhere
        profile, by = least + self.floor, None if self._by is None else self._by(on_step.t, on_step.t + h)
        begun = np.where(fast, off.fast, 0.0)
        settled = split(off.fast - begun, profile, self._weight, by)  # B_0 that is not on F
        slowest = float(rates[fast].min()) if fast.any() else 0.0  # e_*
        held = begun * min(1.0 / max(slowest, 1e-300), h)
        peak = chebyshev_nodes(len(directed.tau)).lebesgue * h / integral  # max λ over its mean
        flow = _StepFlow(self._apart, np.array([height(clock, h) for clock in on_step.clocks]), fast, rates, h, peak)
        added, rounding, truncation = (
            split(flow.charged(r * integral, kept), profile, self._weight, by)
            for r, kept in ((fallen + noise, held), (noise, 0.0 * held), (fallen, 0.0 * held))
        )
        sources = flow.kept((fallen + noise) * integral)
        bounded = split(begun + sources, profile, self._weight, by)  # B on the step
        relative = off.relative + settled.relative
        relative += (1.0 + relative) * added.relative * ROUNDED_UP + self._misjudged(on_step, largest, profile)
        absolute = off.absolute + (settled.absolute + added.absolute) * ROUNDED_UP
        largest_rest = off.largest + (settled.largest + added.largest) * ROUNDED_UP
        after = Off(relative, absolute, (begun * np.exp(-h * slowest) + sources) * ROUNDED_UP, largest_rest)
        on_it = Known(relative + bounded.relative, absolute + bounded.absolute, largest_rest + bounded.largest)
        piece = VectorOnStep(on_step.t, h, points, largest, least, on_it, on_step)
        return piece, _StepError(rounding, truncation), after

    def _slowest(self, on_step: OnStep, h: float) -> FloatArray:
        """Return the exit rates at least, (n,)."""
        lows = np.array([lowest(clock, h) for clock in on_step.clocks])
        return np.asarray(np.maximum(lows @ self.timed.exits, 0.0), dtype=np.float64)

    def _fast_states(self, on_step: OnStep, h: float, left: float) -> BoolArray:
        """Return F, (n,): a state stays in it while it is one of the fastest, however little time is left.

        Else rounding of flows of 10⁵ a minute counts in full on short steps before a switch.
        """
        slowest = self._slowest(on_step, h)
        fastest = slowest >= FAST_SHARE * max(float(slowest.max(initial=0.0)), 1e-300)
        rest = slowest[~fastest]
        if self._back and float(slowest[fastest].min(initial=np.inf)) < APART * float(rest.max(initial=0.0)):
            return np.zeros(len(slowest), dtype=np.bool_)
        return np.asarray(fastest & (self._pace.fast | (slowest >= FAST_JUMPS / left)), dtype=np.bool_)

    def _misjudged(self, on_step: OnStep, largest: FloatArray, profile: FloatArray) -> float:
        """Bound, as a part of the profile, what comes of rates whose formulas are off by more than their rounding."""
        wrong = self.timed.generator.misjudged(on_step.t, on_step.t + on_step.h)
        return (
            wrong * float(largest.max(initial=0.0)) / max(float(profile.min(initial=np.inf)), 1e-300) if wrong else 0.0
        )


class _StepFlow(NamedTuple):
    """What goes between states in a step."""

    apart: list[Any]  # |A_l| but for the diagonal
    heights: FloatArray  # of g_l, (n_clocks,)
    fast: BoolArray  # F
    rates: FloatArray  # e_F
    h: float
    peak: float  # the largest λ over its mean

    def kept(self, sources: FloatArray) -> FloatArray:
        """Return b of (2), (n,), of sources ∫λ S."""
        return np.where(self.fast, sources * np.minimum(self.peak / (self.rates * self.h), 1.0), 0.0)

    def charged(self, sources: FloatArray, held: FloatArray) -> FloatArray:
        """Return C of (3), (n,), of sources ∫λ S and of what is left of B_0."""
        from_fast = self.h * self.kept(sources) + held
        charged = np.where(self.fast, 0.0, sources)
        for g, part in zip(self.heights.tolist(), self.apart, strict=True):
            charged += g * (part @ from_fast)
        return charged


def _rest(timed: Timed, points: FloatArray, on_step: OnStep, h: float) -> FloatArray:
    """Return the residual of a path in Chebyshev points, but for remainders, (n, N)."""
    tau = on_step.tau
    at, slope = in_nodes(STAGES, len(tau))
    rise = points[:, 1:] - points[:, :1]  # the slopes of a constant are zero: taken so, little cancels
    u = points[:, :1] + rise @ at[:, 1:].T  # (n, N)
    return np.asarray(rise @ slope[:, 1:].T / h - on_step.products(timed, tau, u[:, :, None])[:, :, 0])


def without_changes(timed: Timed) -> Timed:
    """Return what vectors alone need."""
    return replace(timed, changing=(), changes=[])


def mirrored(on_step: OnStep) -> OnStep:
    """Return the functions of time of a step that is gone through backwards."""
    sign = (-1.0) ** np.arange(len(on_step.clocks[0].change))

    def turned(clocks: list[Clock]) -> list[Clock]:
        return [replace(clock, change=clock.change * sign[: len(clock.change)]) for clock in clocks]

    return replace(on_step, clocks=turned(on_step.clocks), changing=turned(on_step.changing))


def _factor(ratio: float) -> float:
    """Return by how much the step may change: its error over its length is of order s."""
    return SAFETY * float(max(ratio, 1e-30) ** (-1.0 / STAGES))
