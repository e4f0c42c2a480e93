"""Ways from a set of states A to another one, B, of a chain at rest: bounds on all states.

Let S be stored states, S° those in neither set, π the stationary law, q⁺(x) the probability of coming to B before A,
q⁻(x) that of having left A last, M = -A on S°, and out(x) the rate at which S is left.  Between visits of A and B the
chain spends in x, per unit of time, ``u(x) = π(x) q⁻(x)`` after A and ``π(x) (1 - q⁻(x))`` after B, so that each of
these comes from the rates s(y) = Σ_{a in A} π(a) a(a, y) at which A, or B, is left for y in S°.  With bounds
π_- <= π <= π_+ of stored states and the transpose Mᵀ, none of whose inverse's entries is negative,

(1) u >= M⁻ᵀ s_-, where only A in S is left, by π_-, and S is not left in between;
(2) u <= M⁻ᵀ (s_+ + R 1_E), as what enters S from outside, at E, does so as often as S is left: R = Σ π out;
(3) u_A <= π_+ - u_B, for the bounds of the other one in (1);
(4) q⁻ = u_A/(u_A + u_B): between the least u_A with the largest u_B, and the reverse;
(5) M⁻¹ r_B <= q⁺ <= M⁻¹ (r_B + out), and q⁺ <= 1 - M⁻¹ r_A, with r_B the rates into B.

The rate is the number of ways from A to B per unit of time: each leaves A once for the last time.

(6) rate >= Σ_{a in A in S} π_-(a) (Σ_y a(a, y) (M⁻¹ r_B)(y) + rate from a into B);
(7) rate <= the same with π_+, and R: a way that leaves a stored state of A comes to B before it leaves S, or leaves S;
    and T, the rate at which A is left where it is not stored.  If A or B is in S, T = 0: then either no such way leaves
    an A outside, or it enters S before B, which R counts.  Else T is at most the mean of all propensities over states
    that are not stored: (2) of `rest`;
(8) there are as many ways from B to A.

References
----------
P. Metzner, Ch. Schütte, E. Vanden-Eijnden, Transition path theory for Markov jump processes, Multiscale Model. Simul. 7
(2009) 1192, doi:10.1137/070699500.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import dot
from fsp.equilibrium.certificate import roundings
from fsp.equilibrium.reachability import entered
from fsp.passages.stationary_law import OnStationaryLaw
from fsp.passages.stopped import Stopped
from fsp.passages.systems import exit_system

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.moments.lyapunov import DriftCondition
    from fsp.passages.stationary_law import StationaryLaw
    from fsp.passages.targets import Targets

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Reactive(OnStationaryLaw):
    """What is proved on one space; arrays of bounds are (2, n)."""

    forward: FloatArray  # of q⁺
    backward: FloatArray  # of q⁻
    after: FloatArray  # of the probability of a state after A
    rate: Bounds
    share: Bounds
    reactive: Bounds

    def currents(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return sources and targets of jumps, (m,), and bounds of their currents, (2, m)."""
        jumps = self.generator.to_csr().tocoo()
        use = (jumps.row != jumps.col) & (self.after[1][jumps.col] > 0.0) & (self.forward[1][jumps.row] > 0.0)
        source, target, rates = jumps.col[use], jumps.row[use], jumps.data[use]
        off = self.rest.off
        bounds = self.after[:, source] * rates * self.forward[:, target] * np.array([[1.0 - off], [1.0 + off]])
        return source.astype(np.int64), target.astype(np.int64), bounds


class ReactivePaths:
    """The equations of ways between two sets, on a space of which the stationary law is known."""

    def __init__(self, rest: StationaryLaw, targets: Targets) -> None:
        generator = rest.generator
        self._rest, self._held = rest, targets.hold(generator.space.states)  # (2, n)
        self._off = rest.off
        self._stage = stage = Stopped.of(generator, targets, np.ones(len(generator), dtype=np.bool_))
        exits = stage.hits.sum(axis=0) + stage.never + stage.outflow
        self._system = exit_system(stage.matrix, exits, roundings(generator)) if len(stage) else None
        self._leaving = rest.mean_above(generator.leak_rates)  # R
        rows = generator.to_csr()[stage.inside]
        sources = [np.flatnonzero(held) for held in self._held]
        laws = (rest.lower * (1.0 - self._off), rest.upper * (1.0 + self._off))
        self._starts = np.array([[rows[:, place] @ law[place] for law in laws] for place in sources])  # (2, 2, m), s

    def solved(self, contained: tuple[bool, bool], outer: DriftCondition | None) -> Reactive:
        """Return all bounds; `contained` says which of the sets are stored, `outer` is f where neither is."""
        rest = self._rest
        killed = np.stack([self._bounds(hits) for hits in self._stage.hits])  # (2, 2, m)
        leaving = self._bounds(self._stage.outflow)[1]
        low = killed[:, 0]
        high = np.minimum(killed[:, 1] + leaving, np.nextafter(1.0 - low[::-1], 2.0))  # (5)
        high = np.clip(high, low, 1.0)
        spent = self._spent()
        begun = (rest.lower * self._held[0], rest.upper * self._held[0])
        after = np.stack([self._everywhere(x, law) for x, law in zip(spent[0], begun, strict=True)])
        visited = [
            float(dot(rest.lower, held)) + float(x.sum()) for held, x in zip(self._held, spent[:, 0], strict=True)
        ]
        on_way = float(dot(spent[0, 0], low[1])), float(dot(spent[0, 1], high[1])) + min(1.0, rest.outside)
        return Reactive(
            rest,
            np.stack([self._everywhere(ends, self._held[1].astype(np.float64)) for ends in (low[1], high[1])]),
            self._backward(spent),
            after,
            self._rate(killed, contained, outer),
            _ordered(self._down(visited[0]), float(np.nextafter(1.0 - self._down(visited[1]), 2.0))),
            _ordered(self._down(on_way[0]), self._up(on_way[1])),
        )

    def _bounds(self, right: FloatArray) -> FloatArray:
        """Return bounds of M⁻¹ b, probabilities, (2, m)."""
        if self._system is None:
            return np.zeros((2, 0))
        return np.minimum(np.stack(self._system.bounds(right)), 1.0)

    def _spent(self) -> FloatArray:
        """Return bounds of the probability of each state of S° after A, and after B, (2, 2, m): (1), (2), (3)."""
        stage, system = self._stage, self._system
        if system is None:
            return np.zeros((2, 2, 0))
        entries = entered(self._rest.generator.model, self._rest.generator.space)[stage.inside]
        spent = np.array(
            [
                [system.occupation_bounds(low)[0], system.occupation_bounds(high + self._leaving * entries)[1]]
                for low, high in self._starts
            ]
        )
        rest = np.nextafter(self._rest.upper[stage.inside] - spent[::-1, 0], 2.0)  # (2, m)
        spent[:, 1] = np.maximum(np.minimum(spent[:, 1], rest), spent[:, 0])
        return spent

    def _backward(self, spent: FloatArray) -> FloatArray:
        """Return bounds of q⁻, (2, n): (4)."""
        (low, high), (other_low, other_high) = spent
        with np.errstate(invalid="ignore"):
            ends = np.array([low / (low + other_high), high / (high + other_low)])
        ends *= np.array([[self._down(1.0)], [self._up(1.0)]])
        known = np.where(np.isnan(ends), np.array([[0.0], [1.0]]), ends)
        held = self._held[0].astype(np.float64)
        backward = np.stack([self._everywhere(np.minimum(x, 1.0), held) for x in known])
        backward[1, self._stage.trapped] = 1.0
        return backward

    def _rate(self, killed: FloatArray, contained: tuple[bool, bool], outer: DriftCondition | None) -> Bounds:
        """Bound the rate, from either side: (6), (7), (8)."""
        if any(kept and not held.any() for kept, held in zip(contained, self._held, strict=True)):
            return 0.0, 0.0
        besides = self._leaving + (0.0 if any(contained) else self._rest.beyond(outer))
        least, upper = [], []
        for j in (0, 1):
            direct = self._stage.into[1 - j] * self._held[j]  # (n,)
            at_rest = dot(self._rest.lower, direct), dot(self._rest.upper, direct)
            ends = [dot(self._starts[j, k], killed[1 - j, k]) + at_rest[k] for k in (0, 1)]
            least.append(self._down(float(ends[0])))
            upper.append(self._up(float(ends[1])))
        return _ordered(max(least), min(upper) + besides, inf)

    def _everywhere(self, values: FloatArray, others: FloatArray) -> FloatArray:
        """Return `values` (m,) at S°, and those of `others` (n,) elsewhere."""
        spread = others.copy()
        spread[self._stage.inside] = values
        return spread

    def _down(self, x: float) -> float:
        return x * (1.0 - self._off)

    def _up(self, x: float) -> float:
        return x * (1.0 + self._off)


def _ordered(low: float, high: float, upper: float = 1.0) -> Bounds:
    return low, max(low, min(high, upper))
