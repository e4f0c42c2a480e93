"""When a condition is first fulfilled: `fsp.passage`.

The law comes from the network that stays where a target holds (`targets`), solved as any transient: what is lost bounds
its error.  Probabilities of reaching targets at all, and moments of the time, come from linear systems on a space that
grows until their bounds meet the tolerance (`certificate`).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.bars import shown, silent
from fsp.distribution import Distribution, ErrorLedger, Interval, Solution, bounds
from fsp.distribution.distribution import Provenance
from fsp.distribution.passage import Curve, FromEach, Passage, PassageLaw
from fsp.equilibrium.certified import SPARE
from fsp.equilibrium.growth_loop import IMPROVES, NextSpace, grow_until
from fsp.equilibrium.stationary import stationary
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.passages.certificate import PassageBounds, PassageCertifier
from fsp.passages.start_bounds import OF_THE_START, StartBounds
from fsp.passages.targets import Targets
from fsp.projection.growth import Growth, most_states
from fsp.projection.progress import Progress, ProgressCallback
from fsp.projection.start import Start, starting_point, starts_at_rest
from fsp.projection.transient import solve

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.passages.targets import Condition

STATIONARY = 0.1  # share of the tolerance for the stationary law that a passage starts from
HOPELESS_STATES, HOPELESS = 100_000, 0.5  # from so many that share leaves before a target is reached; chosen
UNPROVED_STATES = 20_000  # without a drift condition, where a larger space only changes an estimate; chosen


def passage(
    model: Model,
    target: Condition | Mapping[str, Condition],
    times: Sequence[float] | FloatArray | float | None = None,
    *,
    start: Solution | Distribution | str | None = None,
    tol: float = defaults.TOL,
    orders: int = 2,
    max_states: int | None = None,
    progress: ProgressCallback | bool | None = None,
) -> Passage:
    """Find when a network first fulfils a condition, or which of several it fulfils first.

    Parameters
    ----------
    model
        The reaction network.
    target
        A condition: a formula of species such as ``"V > U"``, or a function that takes the counts of each species by
        name, (n,) floats, and returns (n,) booleans.  Several of them by name exclude each other, and the first that is
        reached counts.
    times
        Increasing times >= 0 since the start, at which the law of the time is wanted.
    start
        Where runs begin: at the model's initial states; a distribution, or the last one of a solution; ``"stationary"``
        for the stationary law of the network without targets.  A start in a target has passed at time 0.
    tol
        Bound of the error of each probability, absolute, and of the mean and its powers, relative.
    orders
        Moments of the time that are bounded, 1 to 4; 0 for the law at `times` alone, which costs about as much as the
        plain transient.
    max_states
        Limit on the number of states.
    progress
        True for a bar; or a function that is called with a `Progress` now and then.

    Returns
    -------
    Passage
        Law, probabilities and moments as intervals.  Where the mean cannot be bounded on infinitely many states its
        interval says why, and its value is an estimate.

    Raises
    ------
    ArgumentError
        If a target is no condition, or depends on a parameter that events change, two of them hold in one state, or
        another argument is not as above.
    StateSpaceError
        If the tolerance of the law cannot be met within the limits.
    ConvergenceError
        If linear systems have no solution in double precision.

    Warns
    -----
    ToleranceWarning
        If the bounds are wider than `tol`.

    References
    ----------
    W. Feller, An Introduction to Probability Theory and Its Applications I, Wiley 1968, ch. XIV.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> print(fsp.passage(model, "X == 0").mean())
    [1.83333333333324, 1.83333333333347]
    """
    check_call(model, max_states=max_states, progress=progress)
    check_tolerance(tol)
    if isinstance(orders, bool) or not isinstance(orders, int) or not 0 <= orders <= 4:
        raise ArgumentError(f"`orders` must be a number from 0 to 4, but is {orders!r}.")
    with shown(progress) as report:
        question = _PassageQuestion.ask(model, target, start, tol, max_states, report)
        if times is None and (question.timed or not orders):
            raise ArgumentError(f"`times` must be given where {question.law_alone}, but are missing.")
        asked = np.zeros(0) if times is None else checked_times(times)
        solution = None if times is None else question.solved(asked)
        answer = question.on_growing_space(orders) if orders and not question.timed else None
        return question.answer(asked, solution, answer)


def law(model: Model, target: Condition, times: FloatArray, tol: float) -> PassageLaw:
    """Return the law of a passage from the initial states, at times (n,), and nothing else of it."""
    question = _PassageQuestion.ask(model, target, None, tol, None, None)
    return question.law(times, question.solved(times))


@dataclass(frozen=True, slots=True, eq=False)
class _PassageQuestion:
    """A passage that is asked for."""

    model: Model  # with the states of the start
    stopping: Model
    targets: Targets
    start: Solution | Distribution | None
    begin: Start  # of `stopping`
    tol: float
    max_states: int
    report: ProgressCallback

    @classmethod
    def ask(
        cls,
        model: Model,
        target: Condition | Mapping[str, Condition],
        start: Solution | Distribution | str | None,
        tol: float,
        max_states: int | None,
        progress: ProgressCallback | None,
    ) -> _PassageQuestion:
        """Read what is asked for."""
        targets = Targets.read(model, target)
        limit = max_states or most_states(model)
        first = None if isinstance(start, str) else start
        if starts_at_rest(start):
            first = stationary(model, STATIONARY * tol, max_states=limit, progress=progress)
        stopping = targets.stopping(model)
        begin = starting_point(stopping, first, tol)
        if first is not None:
            model = model.starting_in(begin.model.initial_states, begin.model.initial_probabilities)
        targets.hold(begin.model.initial_states)
        return cls(model, stopping, targets, first, begin, tol, limit, progress or silent)

    @property
    def timed(self) -> bool:
        """Whether propensities depend on time, or events happen at known times."""
        return self.model.is_time_dependent or self.model.has_timed_events

    @property
    def law_alone(self) -> str:
        """Why nothing but the law at times is known."""
        if self.model.is_time_dependent:
            return "propensities depend on time"
        return "events happen at known times" if self.timed else "`orders` is 0"

    def solved(self, times: FloatArray) -> Solution:
        """Return the network that stays where a target holds, at times since the start."""
        return solve(
            self.stopping,
            self.begin.t + times,
            self.tol,
            start=self.start,
            max_states=self.max_states,
            progress=self.report,
        )

    def on_growing_space(self, orders: int) -> _PassageJudge:
        """Bound probabilities and moments on a space that grows until the tolerance is met."""
        condition, reason = None, ""
        if not self.model.is_finite:
            try:
                condition = drift_condition(self.model)
            except NoDriftCondition as missing:
                reason = str(missing)
        growth = Growth(self.begin.model, self.max_states, None, stationary=not reason)
        certifier = PassageCertifier(self.model, self.begin.model, self.targets, condition, orders)
        judge = _PassageJudge(self, growth, certifier, reason)
        grow_until(growth, growth.with_states(growth.first(), judge.excepted()), certifier.attempt, judge)
        if judge.width > self.tol and not judge.reason:
            warnings.warn(
                f"The bounds of the passage are {judge.width:.1e} wide, above tol = {self.tol:.1e}; raise `max_states` "
                f"or `tol`.",
                ToleranceWarning,
                stacklevel=4,
            )
        judge.conclude()
        return judge

    def answer(self, times: FloatArray, solution: Solution | None, judge: _PassageJudge | None) -> Passage:
        """Put everything together."""
        model = self.model
        n = len(self.targets.names)
        states = np.zeros((0, model.n_species), dtype=np.int64)  # (m, d)
        mean_from, first_from = np.zeros((2, 0)), np.zeros((2, n, 0))
        unknown = Interval(0.0, 1.0, nan, certified=False, reason=self.law_alone)
        facts: dict[str, Any] = {"reached": (unknown,) * n, "never": unknown, "moments": (), "conditional": ()}
        if judge is not None and judge.bounds is not None:
            facts, stage = judge.facts, judge.bounds.stage
            states = judge.bounds.generator.space.states_at(stage.inside)
            mean_from, first_from = judge.bounds.moments[0], judge.bounds.hits
        return Passage(
            targets=self.targets.names,
            species=model.species,
            tol=self.tol,
            from_each=FromEach(states, mean_from, first_from),
            law=None if solution is None else self.law(times, solution),
            **Provenance.of(model),
            **facts,
        )

    def law(self, times: FloatArray, solution: Solution) -> PassageLaw:
        """Read the law off the network that stays where a target holds."""
        rows: list[list[Interval]] = []
        for distribution in solution:
            held = self.targets.hold(distribution.states)  # (n_targets, n)
            masks = [held.any(axis=0), *held] if len(held) > 1 else [*held]
            rows.append([bounds.event(distribution.probabilities, mask, distribution.error) for mask in masks])
        of_all, *first = (Curve.of(times, list(column)).rising() for column in zip(*rows, strict=True))
        return PassageLaw(of_all, tuple(first or [of_all]), solution, self.targets.inflow(self.model))


class _PassageJudge:
    """Keeps what is proved, and tells whether a larger space is wanted."""

    def __init__(self, question: _PassageQuestion, growth: Growth, certifier: PassageCertifier, reason: str) -> None:
        self._question, self._growth, self._certifier = question, growth, certifier
        self.reason = reason  # why there is no drift condition
        self.bounds: PassageBounds | None = None
        self.facts: dict[str, Any] = {}
        self.width = inf
        self._useless = 0

    @property
    def suffices(self) -> bool:
        """Whether anything is known."""
        return self.bounds is not None

    def excepted(self) -> IntArray:
        """Return the states that have to be stored; none where they are too many."""
        condition = self._certifier.condition
        if condition is None:
            return np.zeros((0, self._question.model.n_species), dtype=np.int64)
        states = condition.states[condition.drifts > -SPARE * condition.elsewhere]
        if self._growth.affords(len(states)):
            return states
        self.reason = f"the drift condition needs {len(states):,} states"
        return states[:0]

    def judge(self, candidate: PassageBounds, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        answers = StartBounds(candidate, self._question.targets, self._question.begin, self.reason)
        self.bounds, self.facts, last = candidate, answers.facts, self.width
        if any(moment.reason == OF_THE_START for moment in self.facts["moments"]):  # which no larger space tells
            self.reason = OF_THE_START
        self.width = self._widest()
        error = ErrorLedger(truncation=min(2.0, answers.leaving))
        self._question.report(Progress(None, None, len(candidate.generator), error.total, "passage"))
        n_wanted = len(candidate.wanted)
        if n_wanted and self._growth.affords(len(candidate.generator) + n_wanted):
            return NextSpace(error, space=self._growth.with_states(candidate.generator.space, candidate.wanted))
        self._useless = self._useless + 1 if IMPROVES * last < self.width < 1.0 else 0
        closed = not len(candidate.stage.rates) or answers.leaving <= UNIT_ROUNDOFF  # as far as doubles tell
        n = len(candidate.generator)
        given_up = n > UNPROVED_STATES if self.reason else n > HOPELESS_STATES and answers.leaving > HOPELESS
        done = self.width <= self._question.tol or closed or given_up or self._useless == 2
        return None if done else NextSpace(error)

    def conclude(self) -> None:
        """Say that the mean is infinite where that is proved and the probability of that is not."""
        unknown = self.facts["moments"] and not self.facts["moments"][0].certified
        if unknown and self.bounds is not None and self._certifier.takes_forever(self.bounds):
            certified = self.facts["never"].certified
            self.facts["moments"] = (Interval(inf, inf, inf, certified),) * len(self.facts["moments"])

    def _widest(self) -> float:
        """Return the largest width of what is asked for, of moments relative to them."""
        widths = [interval.width for interval in self.facts["reached"]]
        if not self.reason:
            widths += [_relative(interval) for interval in self.facts["moments"]]
        return float(max(widths))


def _relative(interval: Interval) -> float:
    if interval.lower == inf:
        return 0.0
    return interval.width / interval.lower if interval.lower > 0.0 else interval.upper
