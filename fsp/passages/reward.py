"""What a network accumulates over a time: `fsp.reward`.

Runs that leave the stored states S are counted up to there (`accumulation`).  With G = 1 - Σ y(t), the probability of
the event L of all others, p - y >= 0 at the start but for a part that weighs at most L0, and R(t) >= 0,

(1) E[R; S] <= E R(t) <= E[R; S] + E[R(t); L], and the same of R²; of a start y that may exceed p, less (C t)^q L0,
    with G + L0 in the place of G;
(2) E[R(t)^q; L] <= (C t)^q G where the rate is at most C at all states;
(3) elsewhere a molecule counts what is accumulated, one made for each firing, or at the rate c: the falling powers
    of its number N have means λ^q, λ = R, and so E[R^q; L] <= E[N^q; L], which is bounded as a part of the law of N
    that weighs at most G (`fsp.moments.bounds`);
(4) a rate that is off by e changes R by at most t e, and R² by at most t e (2 R + t e).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import pairwise
from math import fsum, inf, isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

from fsp import defaults
from fsp.arithmetic import SUM_ROUNDING, half_sums, missing_from
from fsp.bars import barred, callback, silent
from fsp.checks import check_flag
from fsp.distribution import Interval
from fsp.distribution.bounds import ESTIMATED_START, variance
from fsp.distribution.distribution import Provenance
from fsp.distribution.passage import Curve
from fsp.distribution.reward import Reward
from fsp.equilibrium.growth_loop import IMPROVES
from fsp.equilibrium.stationary import stationary
from fsp.errors import ArgumentError, BackendError, ToleranceWarning
from fsp.generator import Generator
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.model import Model
from fsp.model.times import checked_times
from fsp.moments import MomentBounds, moment_bounds
from fsp.moments.drift import ORDERS
from fsp.moments.drift_values import evaluate
from fsp.moments.initial import OVER_LACKING
from fsp.moments.polynomial import degree
from fsp.passages.accumulation import Accumulated, accumulate
from fsp.passages.gain import Accumulation, Gain
from fsp.passages.targets import Targets
from fsp.passages.totals import totals
from fsp.projection.growth import most_states, starting_vector
from fsp.projection.progress import Progress, ProgressCallback
from fsp.projection.start import Start, starting_point, starts_at_rest
from fsp.projection.transient import solve
from fsp.space import StateSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution, Solution
    from fsp.passages.targets import Condition

AT_REST = 0.01  # of the tolerance for the stationary law, whose error counts all the time; chosen
FIRST_SHARE = 1e-2  # of the tolerance for the transient that finds the states; chosen
COLLECTED_TIMES = 16  # times up to the last one at which states are collected, at first; chosen
# As many states of neighbouring times must be the same, of the fewer, so that none between them is missed; so often
# are times put between those that are too far apart.  Chosen.
SHARED, REFINED = 0.5, 12
LARGEST_ACCUMULATED = 1e150  # its square is a double, with room for sums
GROWTH_ROUNDS, GROWTH_STEPS = 6, 4  # of growing, by so many reactions each; chosen


@barred()
def reward(
    model: Model,
    observable: str,
    times: Sequence[float] | FloatArray | float | None = None,
    *,
    firings: bool = False,
    until: Condition | None = None,
    start: Solution | Distribution | str | None = None,
    tol: float = defaults.TOL,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Reward:
    """Find what a network accumulates from the start up to some times: time in a condition, cost, or firings.

    Parameters
    ----------
    model
        The reaction network, with constant propensities.
    observable
        A condition, such as ``"U > V"``, for the time that is spent in it; a formula >= 0 of species, the cost per unit
        of time; with `firings` the name of a reaction.
    times
        Increasing times t >= 0 since the start; None for all that is accumulated before `until`.
    firings
        Whether to count how often the reaction takes place; a burst that makes something counts once, whatever
        its size.
    until
        A condition that ends it, as of `fsp.passage`: what is accumulated up to t or the passage, whichever is first.
    start
        Where runs begin: at the model's initial states, in a distribution, where a solution ends, or ``"stationary"``.
    tol
        Bound of the error of each mean, relative to 1 + its size.
    max_states
        Limit on the number of states.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Reward
        ``.mean``, ``.second_moment`` and ``.variance`` at each time, and of the average over the time ``.average`` and
        ``.average_variance``, as intervals on all states.  Where no bound is known at states that are not stored they
        are estimates, and say so.

    Raises
    ------
    ArgumentError
        If the formula cannot be read or is negative, there is no such reaction, firings are asked for where there are
        events, or another argument is not as above.
    BackendError
        If propensities depend on time, or events happen at known times.
    ConvergenceError
        If the work is too much: times are long where rates are fast.
    StateSpaceError
        If there are too many states.

    Warns
    -----
    ToleranceWarning
        If the bounds of a mean are wider than `tol`.

    References
    ----------
    S. M. Ross, Stochastic Processes, 2nd ed., Wiley 1996, sections 3.6 and 5.8.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(f"{fsp.reward(model, 'X', 1.0).mean[0]:.6f}")  # 3 (1 - exp(-1))
    1.896362
    """
    check_call(model, max_states=max_states, progress=progress)
    check_tolerance(tol)
    if times is None and until is None:
        raise ArgumentError(
            "`times` must be given without `until`: all of a time without an end is not finite; ask for the average of "
            "a long time by `fsp.average_reward`."
        )
    asked = np.array([inf]) if times is None else checked_times(times)
    _require_constant(model)
    check_flag("firings", firings)
    targets = None if until is None else Targets.read(model, until, "`until`")
    stopping = model if targets is None else targets.stopping(model)
    gain = Gain.of_reaction(model, observable) if firings else Gain.of_formula(model, observable)
    limit = max_states or most_states(model)
    first = None if isinstance(start, str) else start
    if starts_at_rest(start):
        first = stationary(model, AT_REST * tol, max_states=limit, progress=callback(progress))
    begin = starting_point(stopping, first, tol)
    report = callback(progress) or silent
    if times is None and targets is not None:
        answer = totals(model, stopping, targets, gain, begin, tol, limit, report)
    else:
        answer = RewardQuestion(stopping, gain, targets, begin, asked, tol, limit, report).on_growing_space()
    width = max(mean.width / (1.0 + mean.upper) if mean.upper < inf else 0.0 for mean in answer.means)
    if width > tol:
        warnings.warn(
            f"The bounds of the mean are {width:.1e} wide, above tol = {tol:.1e}; raise `max_states` or `tol`.",
            ToleranceWarning,
            stacklevel=2,
        )
    curves = (Curve.of(asked, answer.means), Curve.of(asked, answer.squares))
    spread = [spread_of(m, s) for m, s in zip(*curves, strict=True)]
    reasons = sorted({interval.reason for curve in curves for interval in curve if not interval.certified})
    return Reward(
        gain.text,
        firings,
        "" if targets is None else targets.names[0],
        tol,
        *curves,
        Curve.of(asked, spread),
        answer.n_states,
        **Provenance.of(model),
        notes=tuple(f"the bounds are estimates: {reason}" for reason in reasons),
    )


def spread_of(mean: Interval, square: Interval) -> Interval:
    """Return the variance by the mean and the mean of the square; unknown where a square is beyond doubles."""
    value = square.value - mean.value * mean.value
    if not isfinite(value):
        reason = "the mean is infinite" if mean.lower == inf else "its square is beyond doubles"
        return Interval(0.0, inf, nan, certified=False, reason=reason)
    return variance(mean, square, 0.0, max(value, 0.0))


def _require_constant(model: Model) -> None:
    """Refuse a network that is another one at another time."""
    if not model.is_time_dependent and not model.has_timed_events:
        return
    what, reason = "constant propensities", f"those of '{model.name}' depend on time"
    if not model.is_time_dependent:
        names = ", ".join(f"'{event.name}'" for event in model.events)
        what, reason = "a model without events at known times", f"'{model.name}' has {names}"
    raise BackendError(
        f"A reward must be of {what}, but {reason}. The mean of a cost is the integral over time of its mean by "
        f"`fsp.transient`; firings are counted by a species that the reaction makes."
    )


@dataclass(frozen=True, slots=True, eq=False)
class RewardQuestion:
    """A reward that is asked for."""

    model: Model  # stops where the reward ends
    gain: Gain
    targets: Targets | None
    begin: Start
    times: FloatArray
    tol: float
    limit: int
    report: ProgressCallback

    def on_growing_space(self) -> Accumulation:
        """Bound on a space that grows until the means are sharp."""
        space = self._first()
        best = self.bounded(space)
        for _ in range(GROWTH_ROUNDS):
            wide = best.width if best.width < inf else best.missing
            more = space.grow(self.model, GROWTH_STEPS)
            if wide <= self.tol or not len(space) < len(more) <= self.limit:
                break
            space, before = more, wide
            again = self.bounded(space)
            after = again.width if again.width < inf else again.missing
            if after > before:
                break
            best = again
            if after > IMPROVES * before:
                break
        return best

    def _first(self) -> StateSpace:
        """Return the states that a transient needs."""
        begun, last = self.begin.model, float(self.times[-1])
        if not last > 0.0:
            return StateSpace.from_states(self.model.species, begun.initial_states)
        grid = last * np.arange(1, COLLECTED_TIMES + 1) / COLLECTED_TIMES
        extended = begun.starting_in(begun.initial_states, _scaled(begun.initial_probabilities))
        for _ in range(REFINED):
            laws = solve(extended, grid, FIRST_SHARE * self.tol, max_states=self.limit)
            states = [begun.initial_states, *(law.states for law in laws)]
            apart = [not _overlap(self.model.species, *both) for both in pairwise(states)]
            if not any(apart):
                break
            between = 0.5 * (grid + np.concatenate([[0.0], grid[:-1]]))  # (n,)
            grid = np.sort(np.concatenate([grid, between[apart]]))
        together = np.unique(np.concatenate(states), axis=0)
        return StateSpace.from_states(self.model.species, together).grow(self.model, GROWTH_STEPS)

    def bounded(self, space: StateSpace) -> Accumulation:
        """Bound on one space."""
        generator = Generator(self.model, space)
        rates, off = self.gain.rates(self.model, space)
        reached = float(rates.max(initial=0.0)) * max(1.0, float(self.times[-1]))
        if reached > LARGEST_ACCUMULATED:
            raise ArgumentError(
                f"What is accumulated must be at most {LARGEST_ACCUMULATED:.0e}, as its square is bounded too, but "
                f"'{self.gain.text}' may come to {reached:.1e}; divide the formula by a number."
            )
        if self.targets is not None and self.gain.is_rate:
            rates = np.where(self.targets.hold(space.states).any(axis=0), 0.0, rates)
        start = starting_vector(self.begin.model, space)
        closed = not generator.leaks and not self.begin.model.definition.has_tails
        greatest = self.gain.largest if not self.gain.is_rate or not closed else float(rates.max(initial=0.0)) + off
        if greatest == inf and not generator.leaks:
            greatest = self._greatest_of_tails(space)
        self.report(Progress(None, None, len(generator), 0.0, "reward"))
        means, squares, missing = [], [], 0.0
        course = accumulate(generator, start, self.times, rates, self.gain.jumps(self.model, space))
        for t, known in zip(self.times.tolist(), course, strict=True):
            missing = max(0.0, 1.0 - known.mass * (1.0 - known.relative))
            both = self._ends(t, known, missing, greatest, off, positive=closed or self.gain.positive)
            means.append(both[0])
            squares.append(both[1])
        return Accumulation(means, squares, len(generator), missing)

    def _greatest_of_tails(self, space: StateSpace) -> float:
        """Return what a rate is at most where only tails of laws are not stored; infinite where that is not known.

        They have less of each moment, up to the order that is bounded, than all that is lacking would have at the
        largest state that is stored (`fsp.moments.initial`).
        """
        cost = self.gain.cost(self.model) if self.gain.is_rate else None
        if cost is None or 2 * degree(cost) > ORDERS:
            return inf
        return OVER_LACKING * float(evaluate(cost, space.states).max(initial=0.0))

    def _ends(
        self, t: float, known: Accumulated, missing: float, greatest: float, off: float, *, positive: bool
    ) -> tuple[Interval, Interval]:
        """Bound E R and E R²: (1)."""
        y, start = self.begin.model.initial_probabilities, self.begin.error.total
        excess = 0.0 if self.begin.exact else half_sums(start, *missing_from(y))[1]
        relative = known.relative + (start if self.begin.exact else 0.0)
        moments = self._moments(t) if greatest == inf and t > 0.0 and self.begin.exact else None
        size, intervals = greatest * t if t > 0.0 else 0.0, []
        for q, value in ((1, known.mean), (2, known.square)):
            slack = t * off * (1.0 if q == 1 else 2.0 * known.mean * (1.0 + relative) + t * off)  # (4)
            if size < inf:
                beyond, less = size**q * (missing + excess), size**q * excess  # (2)
            else:
                exponents = [*[0] * len(self.model.species), q]
                beyond, less = (
                    inf if moments is None else moments.tail(exponents, missing),
                    inf if excess else 0.0,
                )  # (3)
            low = max(0.0, value * (1.0 - relative) - slack - less)
            high = value * (1.0 + relative) + slack + beyond
            intervals.append(self._interval(low, high * (1.0 + SUM_ROUNDING), value, positive))
        return intervals[0], intervals[1]

    def _interval(self, low: float, high: float, value: float, positive: bool) -> Interval:
        reason = ""
        if not self.begin.error.certified:
            reason = ESTIMATED_START
        elif not high < inf:
            reason = "no bound of what is accumulated beyond the stored states is known"
        elif not positive:
            reason = "the formula may be negative at states that are not stored"
        return Interval(low, high, min(max(value, low), high), certified=not reason, reason=reason)

    def _moments(self, t: float) -> MomentBounds | None:
        return None if self.gain.counted is None else moment_bounds(self.gain.counted, t).bounds


def _overlap(species: tuple[str, ...], first: IntArray, second: IntArray) -> bool:
    """Tell whether the states (m, d) and (n, d) of two times are largely the same."""
    same = np.count_nonzero(StateSpace.from_states(species, first).index(second) >= 0)
    return bool(same >= SHARED * min(len(first), len(second)))


def _scaled(probabilities: FloatArray) -> FloatArray:
    return probabilities / fsum(probabilities.tolist())
