"""Times at which rates switch and that depend on parameters: what a derivative jumps by there.

Where the rate of a reaction r is a⁻ before t* and a⁺ after it, and t* moves with θ_k,

(1)  s_k(t* + 0)  =  s_k(t* - 0)  +  ∂_k t*  Σ_x (a⁻(x) - a⁺(x)) p(x) (δ_{x+ν} - δ_x),

with ``∂_k t* = -∂_k c / ∂_t c`` where ``c(t, θ) = 0`` defines t*.  Where the rate only bends, that is rounding.  All
comparisons of the rate that change at t* must move alike, or a part of a⁻ - a⁺ does not; others are refused.  At t*
itself p has two derivatives, those of an earlier and of a later switch: a time that is asked for may not be one.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import inf, nextafter
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ModelError
from fsp.inference.clock_terms import terms_of
from fsp.inference.envelopes import size
from fsp.model.expression import evaluate
from fsp.model.functions import COMPARISONS
from fsp.model.switches import switch_times
from fsp.model.tree import ZERO, Call, call, depends_on_time, symbols, walk
from fsp.model.triggers import same_time
from fsp.moments.part_moments import mean_over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.account import Account
    from fsp.inference.parameters import Derivatives, MovingSwitch
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.part_moments import Moment
    from fsp.moments.polynomial import Polynomial
    from fsp.space import StateSpace

# Of the largest rate that is met: 100 roundings, of its value and of the place of the switch.
SWITCH_ROUNDING = 1e-14
SAME_SPEED = 1e-12  # relative: speeds of switches that are the same but for rounding
EQUAL_NUMBERS = 32  # numbers on which both sides of a comparison may be equal: less than 100 roundings
RATE_TIMES = 64  # times at which the largest rate is looked for; chosen, not measured


@dataclass(frozen=True, slots=True, eq=False)
class Move:
    """A switch that moves with a parameter."""

    parameter: int
    reaction: int
    speed: float  # ∂_k t*
    after: float  # the first time at which the comparison is on its other side: ``time > s`` does not hold at s yet


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """All times at which rates jump or bend, and what moves with parameters."""

    model: Model
    times: FloatArray
    moves: dict[float, list[Move]]
    # for each rate that moves its functions of time, each with a polynomial above what it multiplies
    above: dict[int, list[tuple[Expression, Polynomial | None]]]

    @classmethod
    def of(cls, model: Model, slopes: Derivatives, end: float, largest: FloatArray | None = None) -> Moving:
        """Look for them up to a time; `largest` (d,) are the largest counts where events set some."""
        if not model.is_time_dependent:
            return cls(model, np.empty(0), {}, {})
        moves: dict[float, list[Move]] = {}
        for k, row in enumerate(slopes.switches):
            speeds: dict[tuple[float, int], list[tuple[float, float]]] = {}
            for switch in row:
                for t in _roots(switch, end):
                    speeds.setdefault((t, switch.reaction), []).append(
                        (_speed(switch, t, model), _after(switch.gap, t))
                    )
            for (t, r), values in speeds.items():
                _require_alike(model, slopes.names[k], r, t, [speed for speed, _ in values])
                moves.setdefault(t, []).append(Move(k, r, values[0][0], max(after for _, after in values)))
        trees = [*model.rate_expressions, *(tree for row in slopes.trees for tree in row)]
        above = {
            move.reaction: [
                (clock, size(model, tree, model.species_bounds if largest is None else largest))
                for clock, tree in terms_of(model, model.rate_expressions[move.reaction] or ZERO)
            ]
            for row in moves.values()
            for move in row
        }
        return cls(model, np.union1d(switch_times(trees, end), list(moves)), moves, above)

    def flow(self, move: Move, t: float, states: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return ``∂_k t* (a⁻ - a⁺)`` of a switch in states, (1), and its rounding, (n,) each."""
        return self._change(move, t, states), self._rounding(move, t, states)

    def _rounding(self, move: Move, t: float, states: IntArray) -> FloatArray:
        return SWITCH_ROUNDING * abs(move.speed) * self._largest(move.reaction, states, t)

    def beyond(self, move: Move, t: float, moment: Moment) -> float:
        """Bound the mean of twice that over what a moment is of."""
        return sum(
            inf if above is None else factor * mean_over(above, moment) for factor, above in self._factors(move, t)
        )

    def _factors(self, move: Move, t: float) -> list[tuple[float, Polynomial | None]]:
        """Return polynomials, and by what they are multiplied, above twice what a switch changes."""
        return [
            (2.0 * abs(move.speed) * _step(clock, t, move.after), above) for clock, above in self.above[move.reaction]
        ]

    def pass_by(self, t: float, space: StateSpace, block: FloatArray, account: Account) -> None:
        """Change the derivatives of a block (1 + q, n) in place where something moves at a time, (1)."""
        for move in self.moves.get(t, ()):
            states = space.states
            change, index = self._change(move, t, states), space.index(states + self.model.change[move.reaction])
            rounding = self._rounding(move, t, states)
            flow = _jumped(block[1 + move.parameter], change * block[0], index)
            inside = index >= 0
            largest = 2.0 * float(np.abs(change).max())
            jump = account.jumped(
                move.parameter,
                float(np.abs(flow[~inside]).sum()),
                2.0 * float(rounding @ np.abs(block[0])) + largest * account.off,
                self._factors(move, t),
                largest,
            )
            account.enter(jump)

    def goes_with(self, event: float, parameter: int, speed: float) -> bool:
        """Tell whether all rates that switch or bend at the time of an event move as it does with a parameter."""
        near = self.times[same_time(self.times, event)]
        speeds = {move.reaction: move.speed for move in self.moves.get(event, ()) if move.parameter == parameter}
        laws = enumerate(self.model.rate_expressions if len(near) else ())
        switching = [r for r, law in laws if same_time(switch_times([law], 2.0 * event), event).any()]
        alike = all(abs(speed - speeds.get(r, 0.0)) <= SAME_SPEED * abs(speed) for r in {*switching, *speeds})
        return alike and (not speed or bool((near == event).all()))

    def passed(self, t: float) -> float:
        """Return the first time after one at which all that moves at it is on its other side."""
        return max([nextafter(t, inf), *(move.after for move in self.moves.get(t, ()))])

    def move(self, t: float, space: StateSpace, block: FloatArray) -> None:
        """Change the derivatives of a block (1 + q, n) in place where something moves at a time, without a bound."""
        for move in self.moves.get(t, ()):
            states = space.states
            index = space.index(states + self.model.change[move.reaction])
            _jumped(block[1 + move.parameter], self._change(move, t, states) * block[0], index)

    def _change(self, move: Move, t: float, states: IntArray) -> FloatArray:
        """Return ∂_k t* (a⁻ - a⁺) of states, (n,)."""
        before, after = (self.model.propensity(move.reaction, states, at) for at in (nextafter(t, 0.0), move.after))
        change: FloatArray = move.speed * (before - after)
        return change

    def _largest(self, reaction: int, states: IntArray, t: float) -> FloatArray:
        """Return about the largest rates from the start to some time later, (n,)."""
        times = np.linspace(0.0, 2.0 * t, RATE_TIMES)
        values: FloatArray = np.max([self.model.propensity(reaction, states, at) for at in times.tolist()], axis=0)
        return values


def require_smooth(model: Model, slopes: Derivatives, times: Sequence[float]) -> None:
    """Refuse times at which a rate jumps by a switch that moves with a parameter."""
    for name, row in zip(slopes.names, slopes.switches, strict=True):
        for switch in row:
            law = model.rate_expressions[switch.reaction] or ZERO
            for t in times:
                if t > 0.0 and _passes(switch.gap, t) and any(_jumps(clock, t) for clock, _ in terms_of(model, law)):
                    raise ModelError(
                        f"A distribution must change smoothly with '{name}', but the rate of "
                        f"'{model.reactions[switch.reaction].name}' jumps just at t = {t:.6g}, which an earlier switch "
                        f"changes and a later one does not; ask for a time beside it, or leave '{name}' out."
                    )


def _passes(gap: Expression, t: float) -> bool:
    """Return whether a function of time is on different sides of zero just before and just after a time."""
    before, after = (np.sign(evaluate(gap, {}, at)) for at in (nextafter(t, 0.0), nextafter(t, inf)))
    return bool(before != after)


def _jumps(clock: Expression, t: float) -> bool:
    """Return whether a function of time jumps at a time, by more than rounding."""
    before, after = (float(evaluate(clock, {}, at)) for at in (nextafter(t, 0.0), nextafter(t, inf)))
    return abs(before - after) > SWITCH_ROUNDING * max(abs(before), abs(after))


def _jumped(row: FloatArray, flow: FloatArray, index: IntArray) -> FloatArray:
    """Add the jump (1) of a flow (n,) to a derivative, in place, and return the flow; `index`: where jumps lead."""
    inside = index >= 0
    row -= flow
    np.add.at(row, index[inside], flow[inside])
    return flow


def _step(clock: Expression, t: float, later: float) -> float:
    """Return by how much a function of time changes at a time, with what it may be off."""
    before, after = (float(evaluate(clock, {}, at)) for at in (nextafter(t, 0.0), later))
    largest = max(abs(float(evaluate(clock, {}, at))) for at in np.linspace(0.0, 2.0 * t, RATE_TIMES).tolist())
    return abs(before - after) + SWITCH_ROUNDING * max(largest, abs(before), abs(after))


def _roots(switch: MovingSwitch, end: float) -> list[float]:
    """Return the times at which the gap changes its sign; it may hold functions that switch themselves."""
    roots = switch_times([call(">", switch.gap, ZERO)], end).tolist()
    return [t for t in roots if _changes(switch.gap, t)]


def _changes(gap: Expression, t: float) -> bool:
    """Return whether a function of time changes its sign at a time."""
    before, after = (np.sign(evaluate(gap, {}, at)) for at in (nextafter(t, 0.0), _after(gap, t)))
    return bool(before != after)


def _after(gap: Expression, t: float) -> float:
    """Return the first number from a time on where a function of time is not zero."""
    later = t
    for _ in range(EQUAL_NUMBERS):
        if evaluate(gap, {}, later) != 0.0:
            return later
        later = nextafter(later, inf)
    raise ModelError(f"A time at which a rate switches must be sharp, but the sides are equal for long at t = {t:.6g}.")


def _require_alike(model: Model, name: str, reaction: int, t: float, speeds: list[float]) -> None:
    """Refuse a rate whose comparisons that change at a time do not all move alike with a parameter, (1)."""
    gaps = [
        call("-", left, right)
        for node in walk(model.rate_expressions[reaction] or ZERO)
        if isinstance(node, Call) and node.function in COMPARISONS and not symbols(node)
        for left, right in pairwise(node.arguments)
    ]
    together = sum(_changes(gap, t) for gap in gaps if depends_on_time(gap))
    if together > len(speeds) or not np.allclose(speeds, speeds[0], rtol=SAME_SPEED, atol=0.0):
        raise ModelError(
            f"Switches of a rate at one time must move alike with '{name}', but those of "
            f"'{model.reactions[reaction].name}' at t = {t:.6g} do not; give them different times, or write the rate "
            f"as two reactions."
        )


def _speed(switch: MovingSwitch, t: float, model: Model) -> float:
    slope, speed = (float(evaluate(tree, {}, t)) for tree in (switch.slope, switch.speed))
    if not speed:
        raise ModelError(
            f"A time at which the rate of '{model.reactions[switch.reaction].name}' switches must move smoothly with a "
            f"parameter, but that at t = {t:.6g} does not."
        )
    return -slope / speed
