"""The log-likelihood of the cells of one condition, for many parameters in turn, on a space that is kept.

A space serves as long as what it loses leaves the log-likelihood known up to the width that is asked for, by (1) of
`fsp.inference.likelihood`; else it is found anew where the parameters are, with some states more than are needed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import BackendError, ConvergenceError, ModelError, StateSpaceError
from fsp.inference.affine_rates import AffineRates
from fsp.inference.count_maps import count_maps
from fsp.inference.distributions import distributions
from fsp.inference.fixed_adjoint import FixedAdjoint
from fsp.inference.fixed_space import FixedSpace, Transients
from fsp.inference.instrument_numbers import InstrumentNumbers
from fsp.inference.mixed_space import MixedSpace
from fsp.inference.mixing import Mixing
from fsp.inference.observation import Observation
from fsp.inference.problem import Limits, Reached
from fsp.inference.timed_space import TimedLaws, TimedSpace
from fsp.projection.forecast import MOST_WORK
from fsp.space import StateSpace

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.distribution.counts import Counts
    from fsp.inference.extrinsic import ParameterLaw
    from fsp.inference.free_laws import FreeLaws
    from fsp.inference.instruments import Instrument
    from fsp.model import Model
    from fsp.space.base import BaseSpace

FIRST_LOSS = 1e-8  # of probability, for the first space of some parameters
FIRST_TIMED = 1e-12  # the same where rates are read at each time: there less loss takes a few states more
LESS = 1e-4  # times the loss, where a space does not do
MOST_SPACES = 10  # at one point, before a cell is taken to be impossible: the last loses 1e-44
NEIGHBOUR_REACTIONS = 3  # reactions beyond the states that are needed, so that neighbours need no other space
KEPT_SPACE_RATIO = 2.0  # of a space that is kept, over those needed at the last parameters
LEAST_TAIL = 1e-14  # of the Poisson weights, and less where a cell is improbable
# What a space may take that is sought far from an optimum, and what an evaluation may there: seconds; chosen.
FAR_STATES, FAR_WORK, FAR_SEARCH = 50_000, 3e8, 2e7
RUNGS = 4  # spaces that are kept for many parameters, so that a few wide laws do not slow all others; chosen
Kept = FixedSpace | MixedSpace | TimedSpace
Rung = tuple[Kept, Observation]
UNIFORM = 64  # parameter vectors that are advanced together: their vectors stay in the cache; chosen


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """A log-likelihood at some parameters, in nats, with derivatives by their logarithms."""

    value: float  # a lower bound, minus infinity where a cell has no probability
    gap: float  # to an upper bound
    gradient: FloatArray  # (q,)
    information: FloatArray  # (q, q), expected Fisher information; NaN where it was not asked for

    def __add__(self, other: Point) -> Point:
        return Point(
            self.value + other.value,
            self.gap + other.gap,
            self.gradient + other.gradient,
            self.information + other.information,
        )


class Part:
    """The cells of one condition, and the space on which their probabilities are computed."""

    def __init__(
        self,
        model: Model,
        laws: FreeLaws | TimedLaws,
        names: Sequence[str],
        counts: Counts,
        instruments: Sequence[Instrument],
        limits: Limits,
        extrinsic: Mapping[str, ParameterLaw] | None = None,
    ) -> None:
        self.model, self.counts = model, counts
        self._laws, self._names, self._limits = laws, tuple(names), limits
        self._extrinsic, self._instruments = extrinsic, InstrumentNumbers(model, names, instruments)
        self._columns = [self._names.index(name) for name in (names if extrinsic else laws.names)]
        self._space: Kept | None = None
        self._observation: Observation | None = None
        self._ladder: list[Rung] = []  # by size
        self.spaces = 0  # that were found

    @property
    def _max_work(self) -> float:
        return MOST_WORK if self._limits.max_work is None else self._limits.max_work

    @property
    def estimated(self) -> bool:
        """Whether probabilities are known to a tolerance that is estimated, and not from below."""
        return isinstance(self._laws, TimedLaws)

    def values(self, theta: FloatArray) -> dict[str, float]:
        """Return parameters (q,) by name."""
        return dict(zip(self._names, theta.tolist(), strict=True))

    def at(self, theta: FloatArray, width: float, *, informed: bool = True) -> Point:
        """Return the log-likelihood and its derivatives at parameters (q,), with the information where it is asked for.

        With an infinite width the space stays as long as no cell is outside, and the value is a lower bound.
        """
        if not informed and self._extrinsic is None and not self.estimated:
            return self._by_adjoint(theta, width)
        times = self.counts.times.tolist()

        near = math.isfinite(width)
        work = self._max_work if near else min(self._max_work, FAR_WORK)

        def computed(space: Kept, tail: float) -> Transients:
            return space.at(theta[self._columns], times, tail if near or not self.estimated else math.inf, work)

        transients, observation = self._within(theta, width, computed)
        low, high = observation.log_likelihood(transients, [self.values(theta)])
        q = len(theta)
        gradient, information = np.zeros(q), np.zeros((q, q))
        if math.isfinite(low[0]):
            gradient, information = observation.scores(transients, self.values(theta), self._columns)
        return Point(float(low[0]), float(_gaps(low, high)[0]), gradient, information)

    def _by_adjoint(self, theta: FloatArray, width: float) -> Point:
        """Return the log-likelihood and its gradient, taken back from the cells."""
        q, values = len(theta), self.values(theta)
        adjoint, transients, observation = self._passed(theta, width)
        low, high = observation.log_likelihood(transients, [values])
        gradient = np.zeros(q)
        if math.isfinite(low[0]):
            gradient[self._columns] = adjoint.gradient(observation.weights(transients, values))
            gradient += observation.slopes(transients, values)
        return Point(float(low[0]), float(_gaps(low, high)[0]), gradient, np.full((q, q), math.nan))

    def _passed(self, theta: FloatArray, width: float) -> tuple[FixedAdjoint, Transients, Observation]:
        """Return what goes back from the cells on a space that does for these parameters."""
        times = self.counts.times.tolist()
        work = self._max_work if math.isfinite(width) else min(self._max_work, FAR_WORK)
        adjoints: list[FixedAdjoint] = []

        def computed(space: Kept, tail: float) -> Transients:
            if not isinstance(space, FixedSpace):
                raise ValueError("mixtures are not taken back from the cells")
            adjoints[:] = [FixedAdjoint(space, theta[self._columns], times, tail, work)]
            return adjoints[0].transients

        transients, observation = self._within(theta, width, computed)
        return adjoints[0], transients, observation

    def require_curvature(self) -> None:
        """Refuse second derivatives where they are not known."""
        if isinstance(self._laws, TimedLaws):
            raise BackendError(
                "`intervals` must be 'profile' or 'fisher' where propensities depend on time, events set counts, or "
                "cells begin at rest or by a free parameter, but is 'observed'."
            )
        told = [name for name in self._names if name in self._instruments.names]
        if self._extrinsic is not None or told:
            what = f"'{told[0]}' of an instrument is free" if told else "parameters differ among cells"
            raise BackendError(f"`intervals` must be 'profile' or 'fisher' where {what}, but is 'observed'.")
        try:
            for name in self._laws.names:
                self._laws.bends(name)
        except ModelError as error:
            raise ModelError(
                f"`intervals` must be 'profile' or 'fisher' where a law has no second derivative, but is 'observed': "
                f"{error}"
            ) from error

    def observed(self, theta: FloatArray, width: float) -> FloatArray:
        """Return minus the second derivatives of the log-likelihood by logarithms of parameters, (q, q)."""
        adjoint, transients, observation = self._passed(theta, width)
        values, q = self.values(theta), len(theta)
        weights, observed = observation.weights(transients, values), np.zeros((q, q))
        for k, direction in zip(self._columns, np.eye(len(self._columns)), strict=True):

            def changes(dy: FloatArray) -> FloatArray:
                return observation.weight_changes(transients, values, dy)

            observed[self._columns, k] = -adjoint.curvature(weights, direction, changes)
        return 0.5 * (observed + observed.T)

    def at_many(self, theta: FloatArray, width: float, floor: float = -math.inf) -> tuple[FloatArray, FloatArray]:
        """Return log-likelihoods and gaps, (P,) each, at many parameter vectors (P, q).

        What is known to be below `floor` need not be known any better.
        """
        low, high = np.empty(len(theta)), np.empty(len(theta))
        order = np.argsort([self._speed(values) for values in theta])  # those of like speed take as many terms
        for begin in range(0, len(theta), UNIFORM):
            chosen = order[begin : begin + UNIFORM]
            low[chosen], high[chosen] = self._some(theta[chosen], width, floor)
        return low, _gaps(low, high)

    def _some(self, theta: FloatArray, width: float, floor: float) -> tuple[FloatArray, FloatArray]:
        """Return bounds of log-likelihoods, (P,) each: on the smallest space that does for each."""
        if not self._ladder:
            self._find(theta[len(theta) // 2], _first_loss(self._laws), self._limits)
        low, high = np.full(len(theta), -math.inf), np.full(len(theta), math.inf)
        left = np.arange(len(theta))

        def rise(rungs: Sequence[Rung]) -> None:
            nonlocal left
            for rung in rungs:
                if len(left):
                    low[left], high[left] = self._batch(rung, theta[left])
                    left = left[~_known_enough(low[left], high[left], width, floor)]

        rise(self._ladder)
        while len(left):
            spaces, p, left = self.spaces, int(left[0]), left[1:]
            try:
                transients, observation = self._within(theta[p], width, self._alone(theta[p]), floor)
                bounds = observation.log_likelihood(transients, [self.values(theta[p])])
                low[p], high[p] = (float(end[0]) for end in bounds)
            except (StateSpaceError, ConvergenceError):  # no space does for it
                low[p] = -math.inf
            if self.spaces > spaces:
                rise([self._known])
        return low, high

    def _batch(self, rung: Rung, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        space, observation = rung
        times = self.counts.times.tolist()
        transients = space.at_many(theta[:, self._columns], times, LEAST_TAIL, self._max_work)
        return observation.log_likelihood(transients, [self.values(each) for each in theta])

    def _alone(self, theta: FloatArray) -> Callable[[Kept, float], Transients]:
        """Return what computes probabilities at one parameter vector (q,), without derivatives."""
        times = self.counts.times.tolist()
        return lambda space, tail: space.values_at(theta[self._columns], times, tail, self._max_work)

    def _speed(self, theta: FloatArray) -> float:
        """Return a number that grows with the largest exit rate."""
        return float(np.max(theta[self._columns], initial=0.0))

    # ---- spaces

    def _within(
        self,
        theta: FloatArray,
        width: float,
        computed: Callable[[Kept, float], Transients],
        floor: float = -math.inf,
    ) -> tuple[Transients, Observation]:
        """Return what is computed on a space that does for these parameters: the one there is, or a new one."""
        loss, tail, near = _first_loss(self._laws), LEAST_TAIL, math.isfinite(width)
        limits, kept = self._limits if near else self._far, self._space is not None
        if not kept:
            self._find(theta, loss, limits)
        for _ in range(MOST_SPACES):
            space, observation = self._known
            transients = computed(space, tail)
            low, high = observation.log_likelihood(transients, [self.values(theta)])
            if (_gaps(low, high)[0] <= width and math.isfinite(low[0])) or (kept and not near) or high[0] < floor:
                return transients, observation
            loss, tail = LESS * loss, LESS * tail
            self._find(theta, loss, limits)
        if not near:  # another start may find a space on which all cells have a probability
            self._space = None
        return transients, observation

    @property
    def _known(self) -> Rung:
        """The space there is, with what is observed on it."""
        if self._space is None or self._observation is None:
            raise ValueError("a space must be found")
        return self._space, self._observation

    @property
    def _far(self) -> Limits:
        """What may be taken far from an optimum."""
        states, work = self._limits.max_states or FAR_STATES, self._max_work
        return replace(self._limits, max_states=min(states, FAR_STATES), max_work=min(work, FAR_SEARCH))

    def _find(self, theta: FloatArray, loss: float, limits: Limits) -> None:
        """Find a space for these parameters; the one there is is kept as a part of it unless it is far too large."""
        model = self.model.with_parameters(
            {name: v for name, v in self.values(theta).items() if self._extrinsic or name in self._laws.names}
        )
        times = self.counts.times
        spaces: list[BaseSpace] = []  # on the way, where states between the times of cells may be others
        if self._extrinsic:
            reached = Mixing(model, self._extrinsic, times, limits).reached(loss)
        else:
            reached = _reached(model, self._laws, times, loss, limits, spaces)
        met = [*(answer.distribution.states for answer in reached), *(space.states for space in spaces)]
        states = np.unique(np.concatenate([*met, model.initial_states]), axis=0)
        space = StateSpace.from_states(model.species, states)
        space = StateSpace.from_states(model.species, space.grow(model, NEIGHBOUR_REACTIONS).states)
        if self._space is not None:
            joined = space.union(self._space.space)
            if len(joined) <= KEPT_SPACE_RATIO * len(space) or loss < _first_loss(self._laws):
                space = joined
        observation = Observation(model, self.counts, space, self._instruments)
        self._space, self._observation = self._on(space), observation
        self.spaces += 1
        self._ladder = sorted([*self._ladder, self._known], key=lambda rung: len(rung[0]))
        if len(self._ladder) > RUNGS:  # the one whose neighbour below is closest in size does least
            sizes = np.array([len(rung[0]) for rung in self._ladder])
            del self._ladder[int(np.argmin(sizes[1:] / sizes[:-1]))]

    def _on(self, space: StateSpace) -> Kept:
        if isinstance(self._laws, TimedLaws):
            return TimedSpace(self.model, self._laws, space)
        if not self._extrinsic:
            return FixedSpace(self.model, self._laws, space)
        affine = AffineRates.of(self.model, tuple(self._extrinsic), self._names)
        return MixedSpace(self.model, self._laws, space, self._names, self._extrinsic, affine)

    # ---- for reports

    def predicted(self, theta: FloatArray, width: float) -> list[Mapping[str, FloatArray]]:
        """Return for each time the probabilities of the counts 0, 1, … of each thing that was observed."""
        transients, observation = self._within(theta, width, self._alone(theta))
        return observation.marginals(transients, self.values(theta))


def _reached(
    model: Model,
    laws: FreeLaws | TimedLaws,
    times: FloatArray,
    loss: float,
    limits: Limits,
    spaces: list[BaseSpace],
) -> list[Reached]:
    """Return what is known at some times; append the spaces on the way, where events set counts."""
    if not isinstance(laws, TimedLaws):
        return distributions(model, times, loss, limits)
    maps = count_maps(model, [setting.at(model) for setting in laws.settings], ())
    watch = spaces.append if maps else None
    return distributions(model, times, loss, limits, laws.start, watch, maps=maps)


def _first_loss(laws: FreeLaws | TimedLaws) -> float:
    return FIRST_TIMED if isinstance(laws, TimedLaws) else FIRST_LOSS


def _known_enough(low: FloatArray, high: FloatArray, width: float, floor: float) -> BoolArray:
    return (_gaps(low, high) <= width) | (high < floor)


def _gaps(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return how far bounds are apart; infinite where the lower one is."""
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(low), high - low, math.inf)
