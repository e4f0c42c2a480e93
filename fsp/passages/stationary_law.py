"""The stationary law of a network, state by state, on one space after another: what rare ways through it are made of.

Bounds of single states come from `fsp.equilibrium.certificate`, without a subtraction, so that they are relative
however improbable a state is.  In its terms ``c π = y + m + e`` with p = y/S, S = 1 + lost, ``truncation = lost/S``,
``c >= 1 - off``, Σ m <= lost, and where nothing is subtracted ``|e| <= off y`` with ``rounding >= 2 off/S``.  Hence

(1) π <= p S (1 + off)/(1 - off) + m/(1 - off) at stored states, and m/(1 - off) weighs at most ``2 truncation`` where
    truncation and rounding are at most 0.1; so does what is not stored, as y and e are zero there;
(2) Σ_{x not in S} π(x) c(x) <= Σ_{x in S} π(x) Σ_{y not in S} a(x, y) f(y) for f >= 0 with a drift of at most -c at all
    states that are not stored: f(y) bounds the mean of the integral of c before the chain that starts in y is back
    (Dynkin's formula), and at rest each such excursion begins with a jump out of S.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF, dot
from fsp.equilibrium.certificate import SUM_SLACK, certify, roundings
from fsp.equilibrium.certified import StationaryCertifier
from fsp.projection.backend import serial

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.equilibrium.certificate import Certificate
    from fsp.generator import Generator
    from fsp.model import Model
    from fsp.moments.lyapunov import DriftCondition
    from fsp.space.base import BaseSpace

ROUGH = 0.1  # tolerance of a stationary law that is solved without a subtraction afterwards
SMALL_ERROR = 0.1  # bound of truncation and rounding in (1)


@dataclass(frozen=True, slots=True, eq=False)
class StationaryLaw:
    """What is known of the stationary law on a space."""

    generator: Generator
    p: FloatArray  # (n,) about the probabilities
    lower: FloatArray  # (n,) bounds of them
    upper: FloatArray
    outside: float  # bound of the probability of states that are not stored
    near: FloatArray | None = None  # (n,), such that π <= near + m with m >= 0, whose sum is at most `outside`: (1)
    certified: bool = True
    reason: str = ""

    @property
    def weight(self) -> FloatArray:
        """Where probability flows out from, (n,)."""
        return self.p

    @property
    def off(self) -> float:
        """Relative rounding of rates, and of sums of products with them."""
        return SUM_SLACK + roundings(self.generator)

    def mean_above(self, values: FloatArray) -> float:
        """Bound Σ π(x) values(x) over stored states, of `values` (n,) >= 0."""
        mean = float(dot(self.upper, values))
        if self.near is not None:
            mean = min(mean, float(dot(self.near, values)) + self.outside * float(values.max(initial=0.0)))
        return mean * (1.0 + self.off)

    def beyond(self, paid: DriftCondition | None) -> float:
        """Bound the mean of a cost over states that are not stored, by a function that pays for it: (2)."""
        generator = self.generator
        if not generator.leaks:
            return 0.0
        if paid is None or (generator.space.index(paid.states) < 0).any():
            return inf
        flux = np.zeros(len(generator))
        for leak in generator.leaks:
            above = paid.values(generator.space.states_at(leak.sources) + leak.change)  # (k,)
            flux += np.bincount(leak.sources, leak.rates * above, len(generator))
        return self.mean_above(flux) * (1.0 + 2.0 * paid.precision)


@dataclass(frozen=True, slots=True, eq=False)
class OnStationaryLaw:
    """What follows from the stationary law on a space: a candidate of the loop that grows it."""

    rest: StationaryLaw

    @property
    def generator(self) -> Generator:
        """The generator on the space."""
        return self.rest.generator

    @property
    def p(self) -> FloatArray:
        """The stationary vector, (n,), with which the next space is begun."""
        return self.rest.p

    @property
    def weight(self) -> FloatArray:
        """Where probability flows out from, (n,)."""
        return self.rest.weight


class StationaryLawCertifier:
    """Bound the stationary law of one network on one space after another."""

    def __init__(self, model: Model, condition: DriftCondition | None) -> None:
        self._certifier = StationaryCertifier(model, condition, "auto", ROUGH)

    def excepted(self, paid: Sequence[DriftCondition | None], *more: IntArray | None) -> IntArray:
        """Return states that have to be stored, (k, d): those that drift conditions except, and `more`."""
        others = [condition.states for condition in paid if condition is not None]
        return np.concatenate([self._certifier.excepted(), *others, *(states for states in more if states is not None)])

    def attempt(self, space: BaseSpace, guess: FloatArray | None) -> StationaryLaw:
        """Solve on those states of a space that may be reached; `guess` (n,) is the stationary law so far."""
        bounded = self._certifier.attempt(space, guess)
        generator, outside = bounded.generator, bounded.error.total
        lower, upper = bounded.lower, bounded.upper
        near: FloatArray | None = None
        sharp = certify(generator, int(np.argmax(bounded.p)), self._certifier.condition, eliminate=True)
        if sharp is not None:
            lower, upper = np.maximum(lower, sharp.lower), np.minimum(upper, sharp.upper)
            if max(sharp.truncation, sharp.rounding) < SMALL_ERROR:
                outside, near = min(outside, 2.0 * sharp.truncation), sharp.p * _excess(sharp)
        return StationaryLaw(generator, bounded.p, lower, np.maximum(lower, upper), min(outside, 1.0), near)


def met(paid: DriftCondition | None, space: BaseSpace, generator: Generator) -> DriftCondition | None:
    """Return a condition without states of `space` that turned out not to be reached: those the generator lacks."""
    if paid is None:
        return None
    kept = (serial(space).index(paid.states) < 0) | (generator.space.index(paid.states) >= 0)
    return replace(paid, states=paid.states[kept], drifts=paid.drifts[kept])


def _excess(sharp: Certificate) -> float:
    """Return the factor of p in (1)."""
    scale = 1.0 / (1.0 - sharp.truncation)
    off = 0.5 * sharp.rounding * scale
    return scale * (1.0 + off) / (1.0 - off) * (1.0 + 8.0 * UNIT_ROUNDOFF)
