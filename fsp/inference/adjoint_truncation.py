"""What an adjoint with bounds loses: what leaves the stored states, and the moments of what they lack.

The numbers (2) to (4) are those of `fsp.inference.adjoint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF
from fsp.inference.derived import slopes_on
from fsp.inference.discontinuities import flow_polynomials
from fsp.moments.part_moments import PartMoments, mean_over, moment_of

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.inference.backward import SeriesStretch, UniformizedChain
    from fsp.inference.envelopes import Bounds
    from fsp.inference.parameters import Derivatives
    from fsp.inference.stored_maps import StoredMap
    from fsp.model import Model
    from fsp.moments.part_moments import Gauge, Moment
    from fsp.moments.polynomial import Polynomial

LACKS, LACKS_OF_SUMS = 4.0, 8.0  # times ε: above 2 and above 6 of (4)


class _Outflow:
    """What leaves the stored states, and how high H is there and beyond them."""

    def __init__(
        self, model: Model, slopes: Derivatives, bounds: Bounds, generator: Generator, chain: UniformizedChain
    ) -> None:
        states = generator.space.states
        self.edges = list[tuple[Any, Any, Any]]()  # sources (m,), rates (m,), powers of each gauge where they lead to
        led = []
        for r, change in enumerate(model.change):
            sources = np.flatnonzero(chain.targets[chain.change_of[r]] == len(states))
            changed, wrong = slopes_on(model, states[sources], r, slopes)  # (q, m) each
            rates = model.propensity(r, states[sources])
            leads = (rates > 0.0) | (np.abs(changed) + wrong).any(axis=0)
            sources, rates = sources[leads], rates[leads]
            led.append(states[sources] + change)
            self.edges.append((sources, rates, [gauge.powers(led[-1]) for gauge in bounds.followed]))
        self.sources = np.unique(np.concatenate([sources for sources, *_ in self.edges]))
        self.largest = [gauge.powers(states).max(axis=1) for gauge in bounds.followed]
        chosen, self.rate = [bounds.followed[i] for i in bounds.of_errors], chain.rate
        self.flows = list[Any]()  # polynomials above Σ_r a_r (V(x) + V(x + ν_r)), V = 1 or u of errors
        if any(event.speeds.any() for event in slopes.maps):
            self.flows = flow_polynomials(model, bounds, [(0.0, gauge.weights) for gauge in chosen], 0.0)
        self.highest = _highest(chosen, states), _highest(chosen, np.concatenate(led))


class AdjointTruncation:
    """What y lacks, m, and the integrals of the second term of (3) over each stretch."""

    def __init__(
        self,
        model: Model,
        slopes: Derivatives,
        bounds: Bounds,
        generator: Generator,
        chain: UniformizedChain,
        tail: float,
    ) -> None:
        self.generator, self.tail = generator, tail
        self._boundary = _Outflow(model, slopes, bounds, generator, chain)
        self._followed = bounds.followed
        gauges = (None, *(bounds.followed[i] for i in bounds.of_errors))
        self._polynomials = [[_only(bounds.remnant(k, gauge)) for gauge in gauges] for k in range(len(slopes.names))]
        self._part, self._mass, self._closed = PartMoments(self._followed), 0.0, True
        self._stretches: list[tuple[SeriesStretch, float, FloatArray]] = []  # with ∫ Σ m, and by polynomials
        self._moved = lru_cache(lambda h: [gauge.moved(h) for gauge in bounds.followed])
        self.flows: dict[int, tuple[FloatArray, FloatArray]] = {}  # by number of an event: before and after it

    @property
    def highest(self) -> tuple[FloatArray, FloatArray]:
        """The largest 1 and u of stored states, and of those that they are left to, (1 + n_gauges,) each."""
        return self._boundary.highest

    def begin(self, mass: float, moments: list[FloatArray]) -> None:
        """Take note of what is lacking at the beginning."""
        self._mass, self._closed = mass, mass == 0.0 and not len(self._boundary.sources)
        self._part.feed(moments)

    def within(self, h: float) -> float:
        """Bound what y lacks on stored states after a time h, or may be off since rates are: (4)."""
        return LACKS * self.tail + self.generator.misjudged(0.0, h)

    def enter(self, stretch: SeriesStretch, powers: FloatArray) -> None:
        """Follow it over a stretch."""
        weights, h = stretch.weights, stretch.length
        stays = np.clip(1.0 - np.cumsum(weights), 0.0, 1.0) + self.tail + 4.0 * len(weights) * UNIT_ROUNDOFF
        boundary, within = self._boundary, self.within(h)
        occupation = np.zeros(powers.shape[1])  # ∫ y ds, rounded up, where it is needed
        occupation[boundary.sources] = stays @ powers[:, boundary.sources] / boundary.rate * ROUNDED_UP
        fed, left = [within * largest for largest in boundary.largest], 0.0
        for sources, rates, gauged in boundary.edges:
            flow = occupation[sources] * rates
            left += float(flow.sum())
            fed = [sums + (above @ flow) * ROUNDED_UP for sums, above in zip(fed, gauged, strict=True)]
        self._mass = (self._mass + left + within) * ROUNDED_UP
        mass = h * self._mass
        moment = moment_of(self._followed, self._part.advance(self._moved(h), fed, h), mass)
        beyond = [[_above(polynomial, moment) for polynomial in row] for row in self._polynomials]
        self._stretches.append((stretch, mass, np.array(beyond)))

    def map(self, number: int, stored: StoredMap, y: FloatArray) -> None:
        """Follow it through an event, before which y (n,) is stored."""
        before = self._flow()
        left, moments = stored.lost(y)
        moment = moment_of(self._followed, self._part.moments, self._mass)
        carried = zip(self._followed, self._part.moments, strict=True)
        self._part.moments = [stored.carrying.moments(gauge, known, moment, self._mass) for gauge, known in carried]
        self._part.feed(moments)
        self._mass = (self._mass + left) * ROUNDED_UP
        self._closed &= left == 0.0
        self.flows[number] = before, self._flow()

    def _flow(self) -> FloatArray:
        """Bound Σ m Σ_r a_r (V(x) + V(x + ν_r)) at this time, (1 + n_gauges,); nothing where no event moves."""
        if not self._mass:
            return np.zeros(len(self._boundary.flows))
        moment = moment_of(self._followed, self._part.moments, self._mass)
        beyond = np.array([sum(factor * _above(p, moment) for factor, p in parts) for parts in self._boundary.flows])
        on_space = 2.0 * self._mass * self.generator.largest_exit_rate * self.highest[0][: len(beyond)]
        return np.minimum(beyond, on_space) if self._closed else beyond

    def charge(self, later: FloatArray, largest: FloatArray, *, signed: bool) -> FloatArray:
        """Return the second term of (3), and the last of (4), (q,).

        `later` are the heights before each time, (n_times, 1 + n_gauges), and `largest` the largest D_k, (q,).
        """
        total = np.zeros(len(largest))
        for stretch, mass, beyond in self._stretches:
            on_space = 2.0 * mass * np.outer(largest, self.highest[0])  # (q, 1 + n_gauges)
            charges = np.minimum(beyond, on_space) if self._closed else beyond
            charges = charges * (1.0 if signed else np.array([0.5, *[1.0] * len(later[0][1:])]))
            heights = later[stretch.time]
            used = heights != 0.0
            total += charges[:, used] @ heights[used]
            total += LACKS_OF_SUMS * self.tail * stretch.length * float(heights @ self.highest[0]) * largest
        return total


def _only(polynomials: Sequence[Polynomial | None]) -> Polynomial | None:
    """Return the polynomial of constant rates."""
    (polynomial,) = polynomials
    return polynomial


def _above(polynomial: Polynomial | None, moment: Moment) -> float:
    return inf if polynomial is None else mean_over(polynomial, moment)


def _highest(gauges: Sequence[Gauge], states: IntArray) -> FloatArray:
    """Return the largest 1 and u of states (n, d), (1 + n_gauges,); zeros where there are none."""
    if not len(states):
        return np.zeros(1 + len(gauges))
    return np.array([1.0, *(float(gauge.powers(states)[1].max()) for gauge in gauges)])
