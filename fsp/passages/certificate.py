"""Bounds of passages on all states: which target is reached first, whether any, and moments of the time.

Let S be stored states in which no target holds, T the time of the passage, M the matrix of `systems`, out(x) the rate
at which S is left for other states without a target, and ℓ = M⁻¹ out the probability of that.  For x in S,

(1) M⁻¹ r_j <= P_x(target j first) <= M⁻¹ r_j + M⁻¹ (out b), with r_j the rate into target j and b(y) <= 1 a bound of
    the probability of ever coming from y to a target (`escapes`); of coming to none, at least the probability of states
    that lead to none and M⁻¹ (out (1 - b)), and at most that and ℓ;
(2) m_k >= M⁻¹ (k m'_{k-1}) where m_k(x) = E_x T^k and m_{k-1} >= m'_{k-1}, m_0 = 1: what is done before S is left.

Upper bounds need a function f_k >= 0 that tends to infinity, with

(3) Σ_i a_i(x) (f_k(x + ν_i) - f_k(x)) <= -k H_{k-1}(x)

at all states but finitely many: for k = 1 a drift condition g of the network, divided by its rate γ, with H_0 = 1, and
beyond it a multiple of ``(α_1 + g/γ)^k``.  Targets only help: f_k >= 0 = T there.  Then

(4) H_k = α_k + f_k outside S, glued to a solution inside with the cost k H_{k-1} (`gluing`), is at least m_k, and T is
    finite.

References
----------
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import factorial
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.equilibrium.certificate import LARGEST_RATE_ERROR, rate_outside, roundings
from fsp.equilibrium.reachability import Reachability
from fsp.generator import Generator
from fsp.moments.lyapunov import costly_condition
from fsp.moments.polynomial import power, scaled
from fsp.passages.escapes import Escapes
from fsp.passages.gluing import Above, excepting, glued
from fsp.passages.outside import PAID_MARGIN
from fsp.passages.stopped import Stopped
from fsp.passages.systems import exit_system
from fsp.projection.backend import serial
from fsp.space.places import places

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.passages.systems import ExitSystem
    from fsp.passages.targets import Targets
    from fsp.space.base import BaseSpace

NARROW_MOMENT = 0.01  # relative width of a moment from which on a proof of (3) for the next one is worth its time
NEAR_ALPHA = 0.05  # relative change of α_{k-1} for which (3) is not proved anew


@dataclass(frozen=True, slots=True, eq=False)
class PassageBounds:
    """What is proved on one space; bounds are arrays (2, …, m) over the states before a target."""

    generator: Generator
    stage: Stopped
    hits: FloatArray  # (2, n_targets, m)
    never: FloatArray  # (2, m)
    leaving: FloatArray  # (2, m)
    moments: tuple[FloatArray, ...]  # (2, m) for each order; infinite above where there is no bound
    above: tuple[Above | None, ...]  # one for each order
    conditional: FloatArray  # (2, n_targets, m) of E[T; target j first]
    weight: FloatArray  # (n,) time spent in each state of the space
    wanted: IntArray  # states that a bound of a higher moment needs, (k, d)

    @property
    def p(self) -> FloatArray:
        """What the next space is begun with."""
        return self.weight


class PassageCertifier:
    """Bound the passages of one model on one space after another.

    `model` is the network, `stopping` the one that stays where a target holds, with the states of the start.
    """

    def __init__(
        self, model: Model, stopping: Model, targets: Targets, condition: DriftCondition | None, orders: int
    ) -> None:
        self._model, self._stopping, self._targets, self._orders = model, stopping, targets, orders
        self._reach = Reachability(stopping)
        self._condition = None if condition is None else self._narrowed(condition)
        self._escapes = Escapes(model, targets, may_escape=condition is None)
        self._powers: dict[int, tuple[float, DriftCondition | None]] = {}

    def takes_forever(self, bounds: PassageBounds) -> bool:
        """Tell whether the mean time is proved to be infinite, from where the space is left."""
        met = bounds.weight[bounds.stage.inside][bounds.stage.sources] > 0.0
        return self._condition is None and self._escapes.takes_forever(bounds.stage.states[met])

    @property
    def condition(self) -> DriftCondition | None:
        """The drift condition, without states that are not met before a target."""
        return self._condition

    def attempt(self, space: BaseSpace, guess: FloatArray | None) -> PassageBounds:
        """Solve on a space; `guess` is not used."""
        local = serial(space)
        start = self._stopping.initial_states
        generator = Generator(self._stopping, local)
        stage = Stopped.of(generator, self._targets, self._reach.reached(local, start))
        rounded = roundings(generator)
        exits = stage.hits.sum(axis=0) + stage.never + stage.outflow
        system = exit_system(stage.matrix, exits, rounded)
        weight, begun = np.zeros(len(generator)), np.zeros(len(generator))
        begun[places(local, start)] = self._stopping.initial_probabilities
        weight[stage.inside] = system.occupation(begun[stage.inside])
        leaving = np.minimum(np.stack(system.bounds(stage.outflow)), 1.0)
        back = self._escapes.returning(stage.states)  # (k,)
        returning = system.bounds(stage.leaking(back))[1]
        hits = np.stack([_first(system, row, row, returning) for row in stage.hits], axis=1)
        never = _first(system, stage.never + stage.leaking(1.0 - back), stage.never, leaving[1])
        moments, above, wanted = self._moments(generator, stage, system, leaving[1], begun[stage.inside])
        targets = hits.swapaxes(0, 1)  # (n_targets, 2, m)
        parts = [self._conditional(system, target, stage, moments[0], above[0]) for target in targets]
        conditional = np.stack(parts, axis=1)
        return PassageBounds(generator, stage, hits, never, leaving, moments, above, conditional, weight, wanted)

    # ---- moments

    def _moments(
        self, generator: Generator, stage: Stopped, system: ExitSystem, leaving: FloatArray, begun: FloatArray
    ) -> tuple[tuple[FloatArray, ...], tuple[Above | None, ...], IntArray]:
        moments: list[FloatArray] = []
        above: list[Above | None] = []
        wanted = np.zeros((0, len(self._targets.species)), dtype=np.int64)
        low, high = np.ones(len(stage)), np.ones(len(stage))
        known = roundings(generator) < LARGEST_RATE_ERROR and not len(stage.trapped)
        for k in range(1, self._orders + 1):
            low, inner = system.bounds(k * low)[0], high
            over = self._above(k, generator, above) if known else None
            high = np.full(len(stage), np.inf)
            if over is not None and not len(over[1]):
                joined = glued(generator.space, stage, system, k * inner, leaving, over[0])
                over = None if joined is None else (joined[1], over[1])
                high = high if joined is None else joined[0]
            elif known and not len(stage.rates) and np.isfinite(inner).all():  # all states are stored
                high = system.bounds(k * inner)[1]
            wanted = wanted if over is None else np.concatenate([wanted, over[1]])
            above.append(None if over is None or len(over[1]) else over[0])
            known = known and self._is_near(low, high, begun)
            moments.append(np.stack([low, np.maximum(low, high)]))
        return tuple(moments), tuple(above), wanted

    def _is_near(self, low: FloatArray, high: FloatArray, begun: FloatArray) -> bool:
        """Tell whether bounds (m,) of a moment from each state are near enough for the next one, in the mean."""
        if not np.isfinite(high).all():
            return False
        return float(begun @ (high - low)) <= NARROW_MOMENT * float(begun @ high)

    def _above(self, k: int, generator: Generator, before: list[Above | None]) -> tuple[Above, IntArray] | None:
        """Return f_k, and excepted states that are not stored, (n, d); None where there is no f_k."""
        condition = self._condition
        if condition is None:
            return None
        gamma = rate_outside(condition, generator)
        if not gamma > 0.0:
            return None
        if k == 1:
            kept = excepting(condition, -gamma)
            return Above(kept, (1.0 + 4.0 * UNIT_ROUNDOFF) / gamma, 0.0), kept.states[:0]
        raised = self._power(k, before)
        if raised is None:
            return None
        return Above(raised, 1.0, 0.0), raised.states[generator.space.index(raised.states) < 0]

    def _power(self, k: int, before: list[Above | None]) -> DriftCondition | None:
        """Prove (3) for k >= 2; the proof is kept as long as α_{k-1} stays below the one that it was made for."""
        first, last = before[0], before[k - 2]
        if first is None or last is None or first.polynomial is None:
            return None
        made_for, known = self._powers.get(k, (-1.0, None))
        if last.alpha <= made_for <= last.alpha * (1.0 + 2.0 * NEAR_ALPHA) + NEAR_ALPHA:
            return known
        alpha = last.alpha * (1.0 + NEAR_ALPHA)
        width = len(self._targets.species)
        inner = replace(last, alpha=alpha).polynomial or {}
        function = power(first.polynomial, k, width)
        condition = costly_condition(
            self._model, scaled(function, Fraction(factorial(k), 2)), scaled(inner, k * (1 + PAID_MARGIN))
        )
        condition = None if condition is None else excepting(self._narrowed(condition), 0.0)
        self._powers[k] = alpha, condition
        return condition

    def _conditional(
        self,
        system: ExitSystem,
        reached: FloatArray,
        stage: Stopped,
        mean: FloatArray,
        over: Above | None,
    ) -> FloatArray:
        """Bound E[T; the target is reached first], (2, m): (2) and (4) with `reached` (2, m) in place of 1."""
        low = system.bounds(reached[0])[0]
        if not np.isfinite(mean[1]).all():
            return np.stack([low, np.full(len(stage), np.inf)])
        right = reached[1] if over is None else reached[1] + stage.leaking(over.values(stage.states) + over.alpha)
        high = system.bounds(right)[1]
        return np.stack([low, np.maximum(low, np.minimum(high, mean[1]))])

    # ---- states that are excepted

    def _narrowed(self, condition: DriftCondition) -> DriftCondition:
        """Return a condition without states that are targets, or not met before one."""
        states = condition.states
        kept = np.logical_not(self._targets.hold(states).any(axis=0))  # (n,)
        kept[kept] = self._reach.possible(states[kept], self._stopping.initial_states)
        return replace(condition, states=states[kept], drifts=condition.drifts[kept])


def _first(system: ExitSystem, surely: FloatArray, rates: FloatArray, besides: FloatArray) -> FloatArray:
    """Bound the probability that the chain ends in one way, (2, m): (1).

    It does so at the rates `rates` (m,) inside and with a probability of at most `besides` (m,) from outside, and at
    least at the rates `surely` (m,).
    """
    low, high = system.bounds(surely)[0], system.bounds(rates)[1]
    return np.stack([np.minimum(low, 1.0), np.minimum(high + besides, 1.0)])
