"""Functions that lie above a mean at all states, glued of a solution inside a space and a drift condition outside it.

With S, M and out as in `certificate`, let c >= 0 be a rate, and f >= 0 a function that tends to infinity, with

(1) Σ_i a_i(x) (f(x + ν_i) - f(x)) <= -c(x)        at all states that are not excepted, which are finitely many.

Put H = α + f outside S, and inside the smaller of that and of

(2) v = M⁻¹ (c + out (α + f)),

with α so large that v is the smaller one where (1) fails.  Then (1) holds for H at all states before the end of the
chain, so that H is at least the mean of the integral of c up to the end, by Dynkin's formula.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fsp.equilibrium.certificate import SUM_SLACK, lifted
from fsp.moments.polynomial import plus, scaled

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.moments.lyapunov import DriftCondition
    from fsp.moments.polynomial import Polynomial
    from fsp.passages.stopped import Stopped
    from fsp.passages.systems import ExitSystem
    from fsp.space import StateSpace


@dataclass(frozen=True, slots=True, eq=False)
class Above:
    """``H = α + scale f`` at states that are not stored."""

    condition: DriftCondition  # f, with the states at which (1) fails
    scale: float
    alpha: float

    def values(self, states: IntArray) -> FloatArray:
        """Return ``scale f``, (m,), rounded up."""
        return self.condition.values(states) * (self.scale * (1.0 + self.slack))

    @property
    def slack(self) -> float:
        """Relative error of `values`, before they are rounded up."""
        return max(SUM_SLACK, 2.0 * self.condition.precision)

    @property
    def polynomial(self) -> Polynomial | None:
        """H in falling powers of the counts; None where it has another centre."""
        if self.condition.centre.any():
            return None
        width = len(self.condition.centre)
        return plus(scaled(self.condition.function, Fraction(self.scale)), {(0,) * width: Fraction(self.alpha)})


def glued(
    space: StateSpace, stage: Stopped, system: ExitSystem, cost: FloatArray, leaving: FloatArray, over: Above
) -> tuple[FloatArray, Above] | None:
    """Return H inside, (m,), and outside: (2); None where the space is too small.

    `cost` (m,) is c before the end, and `leaving` (m,) bounds the probability of leaving the space.
    """
    solved = system.bounds(cost + stage.leaking(over.values(stage.states)))[1]
    within = over.values(space.states_at(stage.inside))
    core = _places(space, stage, over.condition)
    lost = leaving * (1.0 + SUM_SLACK)
    alpha = lifted(solved[core], lost[core], within[core] * (1.0 - 3.0 * over.slack))
    if alpha is None:
        return None
    solved = solved + alpha * lost
    return np.minimum(solved, (alpha + within) * (1.0 + SUM_SLACK)), replace(over, alpha=alpha)


def excepting(condition: DriftCondition, level: float) -> DriftCondition:
    """Return a condition that excepts the states whose drift is above `level`."""
    kept = condition.drifts > level
    return replace(condition, states=condition.states[kept], drifts=condition.drifts[kept])


def _places(space: StateSpace, stage: Stopped, condition: DriftCondition) -> IntArray:
    """Return the places in `stage` of excepted states."""
    place = np.full(len(space), -1)
    place[stage.inside] = np.arange(len(stage))
    stored = space.index(condition.states)
    places: IntArray = place[stored[stored >= 0]]
    return places[places >= 0]
