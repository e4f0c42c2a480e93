"""All that is accumulated until a passage, without a limit of time: `fsp.reward` without times.

With S, M and out as in `certificate`, let c >= 0 be the rate, or the sum of the rates a_k of reactions that are
counted, with changes ν_k, and m_1, m_2 the moments of what is accumulated from each state; they are zero in a target.

(1) m_1 >= M⁻¹ c and m_2 >= M⁻¹ (2 c m_1), or M⁻¹ Σ_k a_k(x) (1 + 2 m_1(x + ν_k)): what is accumulated before S is left.
(2) m_q <= H_q, which is α_q + f_q outside S, glued to a solution inside with the same right-hand sides, and H_1 in the
    place of m_1 (`gluing`).  f_1 pays for c; with g that pays for 2 c f_1, or 2 Σ_k a_k(x) f_1(x + ν_k), f_2 is g and
    2 α_1, or 1 + 2 α_1, times f_1.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.distribution import ErrorLedger, Interval
from fsp.distribution.bounds import ESTIMATED_START
from fsp.equilibrium.certificate import roundings
from fsp.equilibrium.growth_loop import IMPROVES, NextSpace, grow_until
from fsp.equilibrium.reachability import Reachability
from fsp.generator import Generator
from fsp.moments.lyapunov import DriftCondition, NoDriftCondition, drift_condition
from fsp.moments.polynomial import plus, scaled, shifted, times
from fsp.passages.average import Average
from fsp.passages.gain import Accumulation
from fsp.passages.gluing import Above, excepting, glued
from fsp.passages.outside import PAID_MARGIN, paying
from fsp.passages.stopped import Stopped
from fsp.passages.systems import exit_system
from fsp.projection.backend import serial
from fsp.projection.growth import Growth
from fsp.projection.progress import Progress, ProgressCallback
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.passages.gain import Gain
    from fsp.passages.systems import ExitSystem
    from fsp.passages.targets import Targets
    from fsp.projection.start import Start
    from fsp.space.base import BaseSpace

PATIENCE = 2  # growths in a row that are of no use, after which growing ends; chosen
UNPROVED_STATES = 20_000  # without a bound, where a larger space only changes an estimate; chosen
NEVER = "the condition may never be met, and nothing is known of what is accumulated then"


def totals(
    model: Model,
    stopping: Model,
    targets: Targets,
    gain: Gain,
    begin: Start,
    tol: float,
    limit: int,
    report: ProgressCallback,
) -> Accumulation:
    """Bound mean and second moment of what is accumulated before a target, from a start of the `stopping` network."""
    model = model.starting_in(begin.model.initial_states, begin.model.initial_probabilities)
    certifier = TotalCertifier(model, begin.model, targets, gain)
    growth = Growth(begin.model, limit, None, stationary=certifier.is_paid)
    judge = _TotalsJudge(begin, gain, targets, tol, certifier, report)
    excepted = certifier.excepted()
    if not growth.affords(len(excepted)):
        certifier.forget(f"a bound needs {len(excepted):,} states")
        excepted = excepted[:0]
    grow_until(growth, growth.with_states(growth.first(), excepted), certifier.attempt, judge)
    return Accumulation([judge.moments[0]], [judge.moments[1]], judge.n_states, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class TotalBounds:
    """What is proved on one space."""

    generator: Generator
    stage: Stopped
    moments: tuple[FloatArray, FloatArray]  # (2, m) of both orders; infinite above where there is no bound
    above: tuple[Above | None, Above | None]
    weight: FloatArray  # (n,) time spent in each state
    leaving: float  # about the probability of leaving the space

    @property
    def p(self) -> FloatArray:
        """What the next space is begun with."""
        return self.weight


class TotalCertifier:
    """Bound what is accumulated on one space after another."""

    def __init__(self, model: Model, stopping: Model, targets: Targets, gain: Gain) -> None:
        self._model, self._stopping, self._targets, self._gain = model, stopping, targets, gain
        self._reach = Reachability(stopping)
        self._first: DriftCondition | None = None  # f_1
        self._second: DriftCondition | None = None  # g
        self.reason = ""  # why there are none
        if not model.is_finite:
            self._pay()

    @property
    def is_paid(self) -> bool:
        """Whether what happens outside is paid for, or there is no outside."""
        return not self.reason

    def forget(self, reason: str) -> None:
        """Do without the functions that pay."""
        self._first, self._second, self.reason = None, None, reason

    def _pay(self) -> None:
        """Find f_1 and g of (2)."""
        try:
            condition = drift_condition(self._model)
        except NoDriftCondition as missing:
            self.reason = str(missing)
            return
        cost = self._gain.cost(self._model)
        first = paying(self._model, condition, cost)
        if cost is None or first is None:
            self.reason = "no function was found that pays for what is accumulated beyond the stored states"
            return
        self._first = self._narrowed(first)
        if self._gain.is_rate:
            products = [times(cost, first.function)]
        else:
            laws = zip(self._gain.reactions, self._gain.costs(self._model), strict=True)
            products = [times(law or {}, _moved(first, self._model.change[k])) for k, law in laws]
        second = paying(self._model, condition, scaled(plus(*products), 2 * (1 + PAID_MARGIN)), first)
        self._second = None if second is None else self._narrowed(second)

    def _narrowed(self, condition: DriftCondition) -> DriftCondition:
        """Return a condition without states that are targets, or not met before one."""
        states = condition.states
        kept = np.logical_not(self._targets.hold(states).any(axis=0))  # (n,)
        kept[kept] = self._reach.possible(states[kept], self._stopping.initial_states)
        narrowed = DriftCondition(
            condition.function,
            states[kept],
            condition.drifts[kept],
            condition.elsewhere,
            condition.centre,
            condition.precision,
        )
        return excepting(narrowed, 0.0)

    def excepted(self) -> IntArray:
        """Return the states that have to be stored, (k, d)."""
        nothing = np.zeros((0, self._model.n_species), dtype=np.int64)
        return np.concatenate([nothing, *(f.states for f in (self._first, self._second) if f is not None)])

    def attempt(self, space: BaseSpace, guess: FloatArray | None) -> TotalBounds:
        """Solve on a space; `guess` is not used."""
        inner, start = serial(space), self._stopping.initial_states
        generator = Generator(self._stopping, inner)
        stage = Stopped.of(generator, self._targets, self._reach.reached(inner, start))
        off = roundings(generator)
        exits = stage.hits.sum(axis=0) + stage.never + stage.outflow
        system = exit_system(stage.matrix, exits, off)
        begun = np.zeros(len(generator))
        begun[places(inner, start)] = self._stopping.initial_probabilities
        weight = np.zeros(len(generator))
        weight[stage.inside] = system.occupation(begun[stage.inside])
        leaving = np.minimum(system.bounds(stage.outflow)[1], 1.0)
        rate, slack = self._gain.rates(self._model, inner)
        size = rate[stage.inside]
        costs = np.maximum(size * (1.0 - off) - slack, 0.0), size * (1.0 + off) + slack
        first = self._bounded(generator, stage, system, costs, leaving, self._first)
        second = self._bounded(
            generator,
            stage,
            system,
            self._next(generator, stage, costs, first),
            leaving,
            None if first[1] is None else self._raised(first[1].alpha),
        )
        out = float(stage.outflow @ weight[stage.inside])
        return TotalBounds(generator, stage, (first[0], second[0]), (first[1], second[1]), weight, out)

    def _bounded(
        self,
        generator: Generator,
        stage: Stopped,
        system: ExitSystem,
        costs: tuple[FloatArray, FloatArray],
        leaving: FloatArray,
        paid: DriftCondition | None,
    ) -> tuple[FloatArray, Above | None]:
        """Return bounds of a mean from each state, (2, m), and what is above it outside: (1), (2)."""
        low = system.bounds(costs[0])[0]
        high, over = np.full(len(stage), inf), None
        if len(stage.trapped) or not np.isfinite(costs[1]).all():
            return np.stack([low, high]), None
        if not len(stage.rates):  # all states are stored
            high = system.bounds(costs[1])[1]
        elif paid is not None and (generator.space.index(paid.states) >= 0).all():
            joined = glued(generator.space, stage, system, costs[1], leaving, Above(paid, 1.0, 0.0))
            if joined is not None:
                high, over = joined
        return np.stack([low, np.maximum(low, high)]), over

    def _next(
        self,
        generator: Generator,
        stage: Stopped,
        costs: tuple[FloatArray, FloatArray],
        first: tuple[FloatArray, Above | None],
    ) -> tuple[FloatArray, FloatArray]:
        """Return bounds of the right-hand sides of the second moment, (m,) each."""
        (low, high), over = first
        if self._gain.is_rate:
            known = bool(np.isfinite(high).all())
            return 2.0 * costs[0] * low, 2.0 * costs[1] * high if known else np.full(len(high), inf)
        inside, off = stage.inside, roundings(generator)
        ends = costs[0].copy(), costs[1].copy()
        states = generator.space.states_at(inside)
        place = np.full(len(generator) + 1, -1)  # the last one stands for states that are not stored
        place[inside] = np.arange(len(inside))
        for k in self._gain.reactions:
            rate, after = self._model.propensity(k, states), states + self._model.change[k]
            fires = rate > 0.0
            stored = generator.space.index(after[fires])
            target = self._targets.hold(after[fires]).any(axis=0)
            here = place[stored]
            above = np.zeros(len(stored)) if over is None else over.values(after[fires]) + over.alpha
            beyond = np.where(target, 0.0, above if over is not None or not generator.leaks else inf)
            ends[0][fires] += 2.0 * rate[fires] * np.where(here >= 0, low[here], 0.0) * (1.0 - off)
            ends[1][fires] += 2.0 * rate[fires] * np.where(here >= 0, high[here], beyond) * (1.0 + off)
        return ends[0] * (1.0 - 16.0 * UNIT_ROUNDOFF), ends[1] * (1.0 + 16.0 * UNIT_ROUNDOFF)

    def _raised(self, alpha: float) -> DriftCondition | None:
        """Return f_2."""
        first, second = self._first, self._second
        if first is None or second is None:
            return None
        factor = 2 * Fraction(alpha) * (1 + PAID_MARGIN) + (0 if self._gain.is_rate else 1)
        function = plus(second.function, scaled(first.function, factor))
        states = np.unique(np.concatenate([first.states, second.states]), axis=0)
        precision = max(first.precision, second.precision)
        return DriftCondition(function, states, np.full(len(states), inf), second.elsewhere, second.centre, precision)


def _moved(condition: DriftCondition, change: IntArray) -> dict[tuple[int, ...], Fraction]:
    """Return a polynomial with coefficients >= 0 above f after a change, in falling powers."""
    return {alpha: c for alpha, c in shifted(condition.function, change.tolist()).items() if c > 0}


class _TotalsJudge:
    """Averages over the start, and ends where the bounds are sharp, or growing does not help."""

    suffices = True

    def __init__(
        self,
        begin: Start,
        gain: Gain,
        targets: Targets,
        tol: float,
        certifier: TotalCertifier,
        report: ProgressCallback,
    ) -> None:
        self._begin, self._gain, self._targets, self._tol = begin, gain, targets, tol
        self._certifier, self._report = certifier, report
        self._average = Average(begin)
        self.moments: tuple[Interval, Interval]
        self.n_states, self._width, self._useless, self._closed = 0, inf, 0, False

    def judge(self, candidate: TotalBounds, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on; None to end."""
        self._closed = not candidate.generator.leaks
        self.moments = self._moment(candidate, 0), self._moment(candidate, 1)
        self.n_states = len(candidate.generator)
        width = max(moment.width / moment.lower if moment.lower > 0.0 else moment.upper for moment in self.moments)
        self._report(Progress(None, None, self.n_states, min(candidate.leaving, 2.0), "reward"))
        self._useless = self._useless + 1 if IMPROVES * self._width < width < inf else 0
        self._width = width
        closed = not len(candidate.stage.rates) or len(candidate.stage.trapped) > 0
        unproved = width == inf and self.n_states > UNPROVED_STATES
        done = width <= self._tol or closed or unproved or self._useless == PATIENCE
        return None if done else NextSpace(ErrorLedger(truncation=min(2.0, candidate.leaving)))

    def _moment(self, candidate: TotalBounds, q: int) -> Interval:
        """Bound a moment from the start."""
        states = self._begin.model.initial_states
        stored = candidate.generator.space.index(states)
        place = np.full(len(candidate.generator), -1)
        place[candidate.stage.inside] = np.arange(len(candidate.stage))
        before, trapped = place[stored] >= 0, np.isin(stored, candidate.stage.trapped)
        ends = np.zeros((2, len(states)))
        ends[:, before] = candidate.moments[q][:, place[stored][before]]
        ends[1, trapped] = inf
        over = candidate.above[q]
        greatest = inf if candidate.generator.leaks else float(candidate.moments[q][1].max(initial=0.0))
        low, high = self._average.bounds(ends, greatest, None if over is None else over.polynomial)
        return self._interval(low, high, of_never=len(candidate.stage.trapped) > 0)

    def _interval(self, low: float, high: float, *, of_never: bool) -> Interval:
        reason = "" if self._begin.error.certified else ESTIMATED_START
        if not isfinite(high):
            reason = NEVER if of_never else self._certifier.reason or "the space is too small for a bound"
        elif not (self._gain.positive or self._closed):
            reason = "the formula may be negative at states that are not stored"
        elif self._closed and self._begin.model.definition.has_tails:
            reason = "counts that a law leaves out are not followed"
        high = max(low, high)
        return Interval(low, high, 0.5 * (low + high) if isfinite(high) else low, certified=not reason, reason=reason)
