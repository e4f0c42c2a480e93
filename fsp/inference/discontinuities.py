"""What happens at single times of a run: rates that switch, and events that set counts.

Let an event set counts at t* (`fsp.inference.count_maps`), M be what it does to p, and t* move with θ_k.  With the
generators A of just before and A' of just after it,

(1)  s_k(t* + 0)  =  M s_k(t* - 0)  +  ∂_k t* (M A - A' M) p(t* - 0),
(2)  ‖(M A - A' M) m‖₁  <=  2 Σ_x a(x) m(x) + 2 Σ_x a'(x) (M m)(x),        a = Σ_r a_r ,

m being what the stored p lacks.  Where rates switch at t* and move with it, `fsp.inference.moving` has added (A - A') p
before, which M takes along, so that A' stands in the place of A here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.errors import ModelError
from fsp.inference.clock_terms import terms_of
from fsp.inference.count_maps import Carrying, image
from fsp.inference.envelopes import size, times_line
from fsp.inference.moving import Moving, require_smooth
from fsp.model.expression import evaluate
from fsp.model.tree import ZERO
from fsp.model.triggers import same_time
from fsp.moments import PendingBounds, moment_bounds
from fsp.moments.carried import Carried
from fsp.moments.dissipation import without_bounded

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.account import Account, DerivativeJump
    from fsp.inference.count_maps import CountMap, Image
    from fsp.inference.envelopes import Bounds
    from fsp.inference.problem import Problem
    from fsp.model import Model
    from fsp.moments.polynomial import Polynomial
    from fsp.space import StateSpace

    Above = list[tuple[float, Polynomial | None]]
    On = tuple[StateSpace, FloatArray]  # a space, and what is on it, (n,)

# Of a flow of probability: the rates of both sides, and sums over the jumps that meet in a state.
FLOW_ROUNDING = 1e-14


class Discontinuities:
    """The discontinuities of a run."""

    def __init__(self, problem: Problem) -> None:
        model, slopes = problem.model, problem.slopes
        require_smooth(model, slopes, problem.times.tolist())
        require_between(slopes.maps, slopes.names, problem.times)
        self.moving = Moving.of(model, slopes, problem.duration, problem.bounds.largest)
        self._ahead = [event for event in slopes.maps if event.t <= problem.duration]
        require_apart(self._ahead, self.moving, slopes.names)
        self._problem = problem
        self._since: tuple[float, Carried | None] | None = None  # the last event, and moments known after it

    @property
    def next(self) -> CountMap | None:
        """The next event that sets counts."""
        return self._ahead[0] if self._ahead else None

    def moments(self, t: float) -> PendingBounds | None:
        """Return bounds of moments at a time.

        A stationary start with constant rates has them at all times, until counts are set.
        """
        model, spread = self._problem.model, self._problem.beginning.spread
        if self._since is not None:
            since, known = self._since
            return None if known is None or model.is_time_dependent else moment_bounds(model, t - since, initial=known)
        if not spread:
            return moment_bounds(model, t)
        return None if model.is_time_dependent else moment_bounds(model, inf)

    def fire(self, space: StateSpace, block: FloatArray) -> Fired:
        """Return what the next event makes of a block (rows, n) on a space."""
        event = self._ahead.pop(0)
        known = self.moments(event.t)
        self._since = event.t, None if known is None else Carried(known, event.firing)
        late = self.moving.passed(event.t)
        return Fired(event, late, image(event, space.states, block), (space, block[0]), self._problem)


class Fired:
    """What an event has made of a block."""

    def __init__(self, event: CountMap, late: float, set_to: Image, before: On, problem: Problem) -> None:
        self.image, self._event, self._before, self._problem = set_to, event, before, problem
        self._late = late  # when rates are those of after it

    def enter(self, space: StateSpace, block: FloatArray, account: Account) -> None:
        """Enter it on a space that holds all it leads to; add to a block (rows, n) there what (1) adds."""
        event, problem = self._event, self._problem
        carrying = Carrying(event, problem.model.species, problem.bounds.largest)
        after = space, block[0]
        shifted = _shift(event, self._late, problem.model, self._before, after, carrying, problem.bounds)
        of_before = list(shifted.jumps(account, shifted.before))  # in moments of after the event, which are not mapped
        account.map(self.image, carrying, self._before[0].states)
        for jump in (*of_before, *shifted.jumps(account, shifted.after)):
            account.enter(jump)
        block[1 : 1 + len(event.speeds)] += np.outer(event.speeds, shifted.change)


def require_between(maps: Sequence[CountMap], names: Sequence[str], times: FloatArray) -> None:
    """Refuse times at which an event that a parameter moves sets counts."""
    for event in maps:
        for name, speed in zip(names, event.speeds.tolist(), strict=True):
            if speed and same_time(times, event.t).any():
                raise ModelError(
                    f"A distribution must change smoothly with '{name}', but '{event.name}' sets counts just at "
                    f"t = {event.t:.6g}, which an earlier one changes and a later one does not; ask for a time beside "
                    f"it, or leave '{name}' out."
                )


def require_apart(maps: Sequence[CountMap], moving: Moving, names: Sequence[str]) -> None:
    """Refuse rates that switch just when counts are set, where a parameter moves one and not the other."""
    for event in maps:
        for k, speed in enumerate(event.speeds.tolist()):
            if not moving.goes_with(event.t, k, speed):
                raise ModelError(
                    f"Rates must not switch just when counts are set where '{names[k]}' moves one and not the other, "
                    f"but do at t = {event.t:.6g}, with '{event.name}'; give them different times, or leave "
                    f"'{names[k]}' out."
                )


class TermError(NamedTuple):
    """What one of the two terms of (1) may be off, for each unit of ∂_k t*."""

    left: FloatArray  # what leaves the space by it, and Σ u of that for each gauge, (1 + n_gauges,)
    rounding: FloatArray  # the same of its rounding
    spoiled: FloatArray  # the same of rounding of p, for each unit of that
    above: list[Above]  # above what it is, and above Σ u of that, for what p lacks


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What (1) adds to a derivative for each unit of ∂_k t*, and what that may be off."""

    speeds: FloatArray  # ∂_k t*, (q,)
    change: FloatArray  # (n_after,)
    before: TermError | None = None  # M A p
    after: TermError | None = None  # A' M p

    def jumps(self, account: Account, side: TermError | None) -> Iterator[DerivativeJump]:
        """Yield one of the terms, while what p lacks is that of before the event or that of after it, (2)."""
        for k, speed in enumerate(np.abs(self.speeds).tolist()):
            if speed and side is not None:
                off = side.rounding + side.spoiled * account.off
                rates = [[(speed * factor, polynomial) for factor, polynomial in above] for above in side.above]
                moments = (side.left + off)[1:] * speed
                of_gauges = list(zip(moments.tolist(), rates[1:], strict=True))
                left, fastest = speed * float(side.left[0]), speed * float(side.spoiled[0])
                yield account.jumped(k, left, speed * float(off[0]), rates[0], fastest, of_gauges)


def _shift(event: CountMap, late: float, model: Model, p: On, after: On, carrying: Carrying, bounds: Bounds) -> Shift:
    """Return (M A - A' M) p, of p before the event and after it; nothing where no parameter moves it.

    The space after it must hold what the event makes of the states before; rates are those of a time just after it.
    """
    change = np.zeros(len(after[1]))
    if not event.speeds.any():
        return Shift(event.speeds, change)
    followed = [bounds.followed[i] for i in bounds.of_errors]

    def side(
        flow: _ProbabilityFlow, ways: tuple[IntArray, FloatArray], sign: float, above: list[Above], lost: float
    ) -> TermError:
        """Add flows (N,) to states (N, d); `lost` is what random numbers lack of them."""
        to, flows = ways
        index, sizes = after[0].index(to), np.abs(flows)
        u = np.concatenate([np.ones((1, len(to))), *(gauge.powers(to)[1:2] for gauge in followed)])  # (1 + n_gauges, N)
        np.add.at(change, index[index >= 0], sign * flows[index >= 0])
        left = u[:, index < 0] @ sizes[index < 0] + lost * u.max(axis=1, initial=0.0)
        spoiled = 2.0 * flow.fastest * u.max(axis=1, initial=0.0)
        return TermError(left * SLIGHTLY_UP, FLOW_ROUNDING * (u @ sizes), spoiled, above)

    flow, later = _flow(model, *p, late), _flow(model, *after, late)
    ways, sources, weights = event.firing.ways(flow.to)
    pushed = flow.flows[sources] * weights
    lost = float(np.abs(flow.flows).sum() - np.abs(pushed).sum()) if event.firing.rules.draws else 0.0
    first = [carrying.lines(gauge) for gauge in followed]
    then = [(0.0, gauge.weights) for gauge in followed]
    before = side(flow, (ways, pushed), 1.0, flow_polynomials(model, bounds, first, late), max(lost, 0.0))
    return Shift(
        event.speeds,
        change,
        before,
        side(later, (later.to, later.flows), -1.0, flow_polynomials(model, bounds, then, late), 0.0),
    )


def flow_polynomials(model: Model, bounds: Bounds, lines: Sequence[tuple[float, FloatArray]], t: float) -> list[Above]:
    """Return polynomials, and by what they are multiplied, above twice the exit rate at a time.

    And, for lines ``b + c·x``, above ``Σ_r a_r (2 (b + c·x) + max(c·ν, 0))``, which is infinite where b is.
    """
    above: list[Above] = [[] for _ in range(1 + len(lines))]
    for law, change in zip(model.rate_expressions, bounds.change, strict=True):
        for clock, tree in terms_of(model, law or ZERO):
            factor, polynomial = abs(float(evaluate(clock, {}, t))) * SLIGHTLY_UP, size(model, tree, bounds.largest)
            above[0].append((2.0 * factor, polynomial))
            for j, (b, c) in enumerate(lines, 1):
                line = None if polynomial is None or not b < inf else times_line(polynomial, b, c, change)
                above[j].append((factor, None if line is None else without_bounded(line, bounds.largest)))
    return above


class _ProbabilityFlow(NamedTuple):
    """What a generator makes of probabilities."""

    flows: FloatArray  # (N,)
    to: IntArray  # the states that they go to, (N, d)
    fastest: float  # the largest exit rate


def _flow(model: Model, space: StateSpace, p: FloatArray, t: float) -> _ProbabilityFlow:
    states = space.states
    rates = model.propensities(states, t)  # (R, n)
    flow = rates * p
    moved = np.concatenate([flow.reshape(-1), -flow.sum(axis=0)])
    targets = np.concatenate([*(states + change for change in model.change), states])
    there = moved != 0.0
    return _ProbabilityFlow(moved[there], targets[there], float(rates.sum(axis=0).max(initial=0.0)))
