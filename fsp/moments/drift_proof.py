"""Proofs that the drift of a function is negative outside a region of states.

A g lies below a polynomial whose coefficients in falling powers are not positive, all in rationals.  The region is all
counts of a simplex or a box; where the polynomial does not settle it on the whole, it is proved on each half-space
x_i >= m_i, with bounds of the rates that hold there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.errors import ModelError
from fsp.model import Model
from fsp.moments.dissipation import without_bounded
from fsp.moments.drift_values import NO_COST, Drifts
from fsp.moments.polynomial import Polynomial, falling, plus, scaled, shifted, times
from fsp.moments.rates import FOLDING, Rate, rates

_UPWARD_SHARE = Fraction(1, 10)  # of the largest drift upwards that the drift elsewhere is to reach
_FARTHEST = 1 << 40  # counts of a half-space that are tried: 40 doublings, beyond what any region can list


@dataclass(frozen=True, slots=True)
class Proof:
    """A g <= -γ outside a region, ``counts <= caps`` and ``slopes·x <= cut``."""

    function: Polynomial
    image: Polynomial | None  # A g lies below on all states; None where that is not known
    caps: tuple[int, ...]
    slopes: tuple[float, ...]
    cut: float
    elsewhere: Fraction

    @property
    def size(self) -> float:
        """About how many states the region has."""
        box = math.prod(float(cap) + 1.0 for cap in self.caps)
        cut = [c * (cap + 1.0) for c, cap in zip(self.slopes, self.caps, strict=True) if c > 0.0]
        return box / math.factorial(len(cut)) if cut else box


class Prover:
    """Prove that drifts are negative far out, for a network with infinitely many states.

    With a `cost` c >= 0, A g + c takes the place of A g.
    """

    def __init__(self, model: Model, cost: Polynomial = NO_COST) -> None:
        self._model, self._cost, self._drifts = model, cost, Drifts(model, cost)
        self._largest = model.species_bounds  # (d,)
        self.free = [int(i) for i in np.flatnonzero(np.isinf(self._largest))]
        self.rates = rates(model, 0.0, self._largest)

    def prove(self, function: Polynomial) -> Proof | None:
        """Prove that the drift is negative outside a region; None where that does not succeed."""
        image = self.image(function, None)
        first = self._region(function, image, Fraction(0))
        if first is None:
            return None
        # -γ, a share of the largest drift upwards, so that few states more than needed are excepted
        highest = Fraction(max(self._highest(first), 0.0))
        return self._region(function, image, max(_UPWARD_SHARE * highest, first.elsewhere / 2)) or first

    def _highest(self, proof: Proof) -> float:
        """Estimate the largest drift, which only chooses γ, from states all over the region."""
        generator = np.random.default_rng(0)
        sample = np.stack([generator.integers(0, min(cap, 1 << 30) + 1, 4000) for cap in proof.caps], axis=1)
        sample = np.concatenate([sample, sample // 8, np.zeros((1, len(proof.caps)), dtype=np.int64)])
        for i in self.free:
            axis = np.zeros((65, len(proof.caps)), dtype=np.int64)
            axis[:, i] = np.linspace(0, min(proof.caps[i], 1 << 60), 65)
            sample = np.concatenate([sample, axis])
        sample = sample[self._drifts.allowed(sample)]
        if not len(sample):
            return 0.0
        try:
            return float(self._drifts.at(proof.function, sample).max())
        except ModelError:
            return 0.0

    def image(self, function: Polynomial, lowest: Sequence[int] | None) -> Polynomial | None:
        """Bound A g from above on x >= lowest, a polynomial of x - lowest; None where a rate has no bound."""
        rates_there = self.rates if lowest is None else rates(self._model, 0.0, self._largest, lowest)
        local = function if lowest is None else shifted(function, lowest)
        cost = self._cost if lowest is None else shifted(self._cost, lowest)
        parts: list[Polynomial] = [scaled(cost, 1 + FOLDING)]
        for rate in rates_there:
            difference = plus(shifted(local, rate.change), scaled(local, Fraction(-1)))
            gain, loss = _signed(difference, 1), _signed(difference, -1)
            above = None if rate.upper is None else _signed(rate.upper, 1)
            if gain and above is None:
                return None
            if rate.exact is not None:
                parts.append(scaled(times(rate.exact, gain), 1 + FOLDING))
                parts.append(scaled(times(rate.exact, loss), FOLDING - 1))
            else:
                parts.append(scaled(times(above or {}, gain), 1 + FOLDING))
                parts.append(scaled(times(_lower(rate), loss), FOLDING - 1))
        return without_bounded(plus(*parts), self._largest)

    def _region(self, function: Polynomial, image: Polynomial | None, least: Fraction) -> Proof | None:
        """Return a region outside which A g <= -γ, γ > 0 and at least `least`."""
        falls = [alpha for alpha, c in (image or {}).items() if c < 0]
        if image is not None and _settled(image) and all(any(is_power(a, i) for a in falls) for i in self.free):
            return self._simplex(function, image, least)
        caps = self._bounded_caps()
        reached = []
        for i in self.free:
            level = self._level(function, i, least)
            if level is None:
                return None
            caps[i] = level[0] - 1
            reached.append(level[1])
        return Proof(function, image, tuple(caps), (0.0,) * len(caps), 0.0, min(reached))

    def _bounded_caps(self) -> list[int]:
        return [0 if math.isinf(n) else int(n) for n in self._largest]

    def _simplex(self, function: Polynomial, image: Polynomial, least: Fraction) -> Proof:
        """Return where a polynomial with negative coefficients but for the constant is above -γ."""
        width = len(self._largest)
        constant = image.get((0,) * width, Fraction(0))
        lowest = min(-c for alpha, c in image.items() if c < 0)  # the drift at the first counts, where there is no gain
        gamma = max(least, lowest / 2 if constant <= 0 else constant / 1000)
        caps = self._bounded_caps()
        for i in self.free:
            caps[i] = min(_last_above(image, alpha, constant + gamma, i) for alpha in image if is_power(alpha, i))
        units = [tuple(int(j == i) for j in range(width)) for i in range(width)]
        slopes = [-float(image.get(unit, Fraction(0))) for unit in units]
        return Proof(function, image, tuple(caps), tuple(slopes), float(constant + gamma) * SLIGHTLY_UP, gamma)

    def _level(self, function: Polynomial, i: int, least: Fraction) -> tuple[int, Fraction] | None:
        """Return the least m for which x_i >= m is proved to have a drift below -γ, and γ."""
        low, high = 0, 1
        best = self._below(function, i, high, least)
        while best is None:
            low, high = high, 2 * high
            if high > _FARTHEST:
                return None
            best = self._below(function, i, high, least)
        while high - low > max(1, high >> 5):
            middle = (low + high) // 2
            level = self._below(function, i, middle, least)
            if level is None:
                low = middle
            else:
                high, best = middle, level
        return high, best

    def _below(self, function: Polynomial, i: int, level: int, least: Fraction) -> Fraction | None:
        """Return γ > `least` where A g <= -γ is proved on x_i >= level."""
        lowest = [level * (j == i) for j in range(len(self._largest))]
        image = self.image(function, lowest)
        if image is None or not _settled(image):
            return None
        gamma = -image.get((0,) * len(lowest), Fraction(0))
        return gamma if gamma > 0 and gamma >= least else None


def _signed(polynomial: Polynomial, sign: int) -> Polynomial:
    """Return the terms of one sign, with positive coefficients."""
    return {alpha: abs(c) for alpha, c in polynomial.items() if c * sign > 0}


def _lower(rate: Rate) -> Polynomial:
    """Return the lower bound of a rate where it is seen not to be negative, else zero."""
    return rate.lower if all(c >= 0 for c in rate.lower.values()) else {}


def _settled(image: Polynomial) -> bool:
    """Return whether no coefficient but the constant is positive."""
    return all(c <= 0 or not any(alpha) for alpha, c in image.items())


def is_power(alpha: Sequence[int], i: int) -> bool:
    """Return whether a monomial is a power of species i alone."""
    return alpha[i] > 0 and sum(alpha) == alpha[i]


def _last_above(image: Polynomial, alpha: Sequence[int], limit: Fraction, i: int) -> int:
    """Return the last count of species i at which ``limit + c x^(n) > 0``, c < 0 the coefficient of its power."""
    low, high = 0, 1
    while limit + image[tuple(alpha)] * falling(high, alpha[i]) > 0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if limit + image[tuple(alpha)] * falling(middle, alpha[i]) > 0:
            low = middle
        else:
            high = middle
    return low
