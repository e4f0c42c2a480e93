"""Events that set counts at known times: what they make of p and its derivatives.

Let an event take each state x to M x at t*, or to several states with probabilities, where no parameter that is asked
about changes M.  Then p goes to M p and each derivative s_k to M s_k, and what the move of t* adds to it is the matter
of `fsp.inference.discontinuities`.  M does not expand the 1-norm, so that what p lacks, m, and what is off of s_k go on
as M m and M e_k.

Counts after it are at most ``b + B x``, b and B without negative numbers (`fsp.moments.carried`), so that by
Minkowski's inequality for the measure m, for u = w·x with w >= 0,

(1)  (Σ M m u^q)^(1/q)  <=  w·b (Σ m)^(1/q) + Σ_i (wB)_i (Σ m x_i^q)^(1/q),

and where ``w·b = 0`` and ``wB <= w``, as where counts are set to zero or halved, ``Σ M m u^q <= Σ m u^q``.
Of random numbers lower bounds of the probabilities are known: what they lack counts as what leaves the space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF
from fsp.errors import ArgumentError
from fsp.model import Event
from fsp.model.definition import resolve
from fsp.model.derivatives import derivative
from fsp.model.event_execution import Rules
from fsp.model.event_maps import START, Firing
from fsp.model.expression import evaluate
from fsp.model.switches import switch_times
from fsp.model.tree import Number, Time, call, substitute, symbols
from fsp.model.triggers import TimePoint, same_time
from fsp.moments.carried import images, largest_after

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.timed_events import Setting
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.part_moments import Gauge, Moment
    from fsp.moments.polynomial import Polynomial
    from fsp.space import StateSpace

    Above = list[tuple[float, Polynomial | None]]
    On = tuple[StateSpace, FloatArray]  # a space, and what is on it, (n,)


@dataclass(frozen=True, slots=True, eq=False)
class CountMap:
    """What an event makes of counts at a time, and how that time moves with parameters."""

    name: str
    t: float
    firing: Firing
    later: bool  # whether it takes place right after that time
    speeds: FloatArray  # ∂_k t*, (q,)


def count_maps(
    model: Model, settings: Sequence[Setting], names: Sequence[str], *, log: bool = True
) -> tuple[CountMap, ...]:
    """Return what events make of counts, in the order of their times; refuse parameters that change it."""
    constants = resolve(model.definition.parameters)
    given = {name: constants[name] for name in names if name in constants}
    maps = []
    for setting in settings:
        _require_unchanged(model, setting, names)
        t, formulas = (
            _switch_at(model, setting.moment),
            {name: substitute(tree, constants) for name, tree in setting.assignments.items()},
        )
        draws = {name: draw.with_values(constants) for name, draw in setting.draws.items()}
        event = Event(call(">=", Time(), Number(t)), formulas, name=setting.name, draws=draws)
        firing = Firing(Rules([event], model.species, ()), START, TimePoint(t), ())
        speeds = []
        for name in names:
            others = resolve(model.definition.parameters, without=[name])
            slope = substitute(derivative(substitute(setting.time, others), name), given)
            speed = float(evaluate(slope, {}))
            speeds.append(speed * model.parameters[name] if log and speed else speed)
        maps.append(CountMap(setting.name, t, firing, setting.later, np.array(speeds, dtype=np.float64)))
    return tuple(maps)


def _switch_at(model: Model, t: float) -> float:
    """Return the time at which rates switch that a time is but for rounding, else the time itself."""
    times = switch_times(model.rate_expressions, 2.0 * t) if model.is_time_dependent else np.empty(0)
    return float(next(iter(times[same_time(times, t)]), t))


def names_in(model: Model, settings: Sequence[Setting], names: Sequence[str]) -> tuple[str, ...]:
    """Return which parameters such events depend on."""
    held = []
    for name in ([names] if isinstance(names, str) else names) if settings else ():
        others = resolve(model.definition.parameters, without=[name])
        trees = [tree for setting in settings for tree in (setting.time, *_assigned(setting))]
        held += [name] if any(name in symbols(substitute(tree, others)) for tree in trees) else []
    return tuple(held)


def _assigned(setting: Setting) -> list[Expression]:
    return [*setting.assignments.values(), *(tree for draw in setting.draws.values() for tree in draw.arguments)]


def _require_unchanged(model: Model, setting: Setting, names: Sequence[str]) -> None:
    for name in names:
        others = resolve(model.definition.parameters, without=[name])
        if any(name in symbols(substitute(tree, others)) for tree in _assigned(setting)):
            raise ArgumentError(
                f"`parameters` must not change what an event makes of counts, but what '{setting.name}' sets depends "
                f"on '{name}': a whole number has no derivative. Leave '{name}' out; the time of an event may be asked "
                f"about."
            )


def asked_at(maps: Sequence[CountMap], times: FloatArray) -> FloatArray:
    """Return times that are asked for, those that are meant to be times of events being these."""
    asked = times.copy()
    for event in maps:
        nearest = int(np.argmin(np.abs(times - event.t)))
        if same_time(times[nearest], event.t):
            asked[nearest] = event.t
    return asked


def largest_of(model: Model, maps: Sequence[CountMap]) -> FloatArray:
    """Return the largest counts before and after all of the events, (d,)."""
    largest = now = model.species_bounds
    for event in maps:
        now = largest_after(now, event.firing, model)
        largest = np.maximum(largest, now)
    return largest


class Image(NamedTuple):
    """What an event makes of a block on a space."""

    states: IntArray  # (n, d), in order
    block: FloatArray  # (rows, n)
    lost: FloatArray  # what probabilities of random numbers lack, of each row in the 1-norm
    rounding: FloatArray  # of each row, in the 1-norm
    relative: float  # of each entry of p: its rounding


def image(event: CountMap, states: IntArray, block: FloatArray) -> Image:
    """Map vectors (rows, n) of a space with some states (n, d)."""
    after, sources, weights = event.firing.ways(states)
    there, place = np.unique(after, axis=0, return_inverse=True)
    matrix = sparse.coo_array((weights, (place.reshape(-1), sources)), shape=(len(there), len(states))).tocsr()
    terms = float(np.diff(matrix.indptr).max(initial=0) + 2) * UNIT_ROUNDOFF
    sizes = np.abs(block)
    norms = sizes.sum(axis=1)
    lacking = 1.0 - np.bincount(sources, weights, minlength=len(states)) if event.firing.rules.draws else 0.0 * sizes[0]
    lost = sizes @ np.maximum(lacking, 0.0) * SLIGHTLY_UP
    return Image(there, np.asarray((matrix @ block.T).T), lost, terms * norms, terms)


class Carrying:
    """How moments of a part are carried over, (1)."""

    def __init__(self, event: CountMap, species: tuple[str, ...], largest: FloatArray) -> None:
        self._b, self._B = images(event.firing, species)
        self._largest = largest

    def lines(self, gauge: Gauge) -> tuple[float, FloatArray]:
        """Return b and c with u at most ``b + c·x`` after the event."""
        w = np.maximum(gauge.weights, 0.0)
        return float(w[w > 0.0] @ self._b[w > 0.0]), w @ self._B

    def moments(self, gauge: Gauge, before: FloatArray, moment: Moment, mass: float) -> FloatArray:
        """Bound the moments (n_orders,) of a gauge by those before; `moment` is of the part, whose mass is given."""
        b, slopes = self.lines(gauge)
        if b == 0.0 and (slopes <= gauge.weights).all():
            return before
        after = before.copy()
        for j, q in enumerate(gauge.orders.tolist()):
            if q and mass > 0.0:
                norm = b * mass ** (1.0 / q)
                for i in np.flatnonzero(slopes).tolist():
                    bounded = self._largest[i] ** q * mass
                    norm += slopes[i] * min(moment(i, q), bounded) ** (1.0 / q)
                after[j] = norm**q * SLIGHTLY_UP
        return after

    def fed(self, image: Image, followed: Sequence[Gauge], states: IntArray) -> list[FloatArray]:
        """Bound the moments of each gauge, (rows, n_orders), of what is lost and rounded; `states` are those before."""
        fed = []
        for gauge in followed:
            b, slopes = self.lines(gauge)
            u = (b + float((states @ slopes).max(initial=0.0))) * SLIGHTLY_UP
            highest = np.array([u**q if q else 1.0 for q in gauge.orders.tolist()])
            rounded = np.outer(image.rounding, gauge.powers(image.states).max(axis=1))
            lost = image.lost[:, None] * np.where(image.lost[:, None] > 0.0, highest, 0.0)
            fed.append((rounded + lost) * SLIGHTLY_UP)
        return fed
