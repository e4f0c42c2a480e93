"""Moments of a part of a distribution that is fed bit by bit: what a truncation lost, and what became of it.

Let m >= 0 be a finite measure that the chain moves and that sources feed, ``m' = A m + μ``.  For the functions u^q,
q = 0 … Q, of a drift condition (`drift`, `dissipation`) ``A u^q <= Σ_j M_qj u^j`` with a matrix M >= 0 off its
diagonal.  With L_q(t) >= Σ_x u(x)^q m(x), and F_q what is fed in a time h, Σ_x u^q μ,

(1)  L(t + h)      <=  e^{hM} L(t) + e^{hM⁺} F,
(2)  ∫ L(s) ds     <=  ∫_0^h e^{sM} ds L(t) + h e^{hM⁺} F,

where M⁺ has no negative diagonal: what is fed at s has grown by e^{(h-s)M} <= e^{hM⁺}.  As in `drift`, u^q along e^{sM}
is a non-negative supermartingale from each state, so (1) holds for the infinite chain.

Species have weight one in their own conditions, x_i <= u.  Where A u^q is known for one order q alone, the orders
between follow from Hölder's inequality, and those of several species from the arithmetic and geometric means:

(3)  Σ u^d m <= (Σ u^q m)^(d/q) (Σ m)^(1-d/q),      Π_i x_i^(α_i) <= Σ_i α_i/|α| x_i^|α|.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.arrays import FloatArray, IntArray
from fsp.model import Model
from fsp.moments.bounds import drift_conditions
from fsp.moments.dissipation import OrderBound
from fsp.moments.drift import PowerBound
from fsp.moments.exponential import exponential
from fsp.moments.initial import KnownDistribution
from fsp.moments.polynomial import Polynomial

_FOLLOWED = 2  # conditions of each species that are followed: those with the lowest means, late and early


@dataclass(frozen=True, eq=False)
class Gauge:
    """A function u = w·x that bounds one species, the orders q in which it is known, and the matrix M of these."""

    species: int  # index of the species i with x_i <= u
    weights: FloatArray  # (d,) w
    orders: IntArray  # (n_orders,) 0 and others
    matrix: FloatArray  # (n_orders, n_orders) M, 1/time

    def powers(self, states: IntArray) -> FloatArray:
        """Return u^q, rounded up, of states (n, d): (n_orders, n)."""
        u = states @ self.weights  # (n,)
        powers: FloatArray = np.array([u**q for q in self.orders.tolist()]) * SLIGHTLY_UP
        return powers

    def moved(self, h: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return e^{hM}, ∫ e^{sM} ds and e^{hM⁺}, rounded up; infinite where rounding hides them."""
        n = len(self.orders)
        zero, unit = np.zeros((n, n)), np.eye(n)
        clipped = np.where(unit > 0.0, np.maximum(self.matrix, 0.0), self.matrix)
        try:
            both, error = exponential(np.block([[self.matrix, zero], [unit, zero]]), h)
            upward, more = exponential(clipped, h)
        except OverflowError:
            error = more = 1.0
            both, upward = np.zeros((2 * n, 2 * n)), zero
        if max(error, more) > 0.1:
            return np.full((n, n), inf), np.full((n, n), inf), np.full((n, n), inf)
        factor = (1.0 + error) * SLIGHTLY_UP * both
        return factor[:n, :n], factor[n:, :n], (1.0 + more) * SLIGHTLY_UP * upward

    def moment(self, moments: FloatArray, degree: int) -> float:
        """Bound Σ u^degree m by the moments (n_orders,), (3); infinite where no order is as high."""
        places = np.flatnonzero(self.orders >= degree)
        if not len(places):
            return inf
        q, above, mass = int(self.orders[places[0]]), float(moments[places[0]]), float(moments[0])
        if q == degree or not mass > 0.0:
            return above
        return float(above ** (degree / q) * mass ** (1.0 - degree / q) * SLIGHTLY_UP)


@dataclass(frozen=True, slots=True, eq=False)
class _Wider(KnownDistribution):
    """A distribution from which events lead to larger counts."""

    top: FloatArray | None = None  # (d,)

    def largest(self, model: Model) -> FloatArray:
        """Return the largest counts."""
        return KnownDistribution.largest(self, model) if self.top is None else self.top


def gauges(model: Model, horizon: float, order: int, largest: FloatArray | None = None) -> tuple[Gauge, ...]:
    """Return functions that bound the moments up to an order of each species without a largest count.

    `largest` (d,) are the largest counts where they are not those of the network alone.
    """
    initial = _Wider(model.initial_states, model.initial_probabilities, model.start_lacks, largest)
    gauges: list[Gauge] = []
    for i, conditions in enumerate(drift_conditions(model, horizon, initial)):
        powers = [c for c in conditions if isinstance(c, PowerBound) and (len(c.spreads) + 1 >= order or order == 1)]
        chosen = [min(powers, key=lambda c: c.mean(t, initial)) for t in (horizon, 0.1 * horizon) if powers]
        some, n = np.arange(order + 1), order + 1
        gauges += [Gauge(i, _floats(c.weights), some, c.matrix()[:n, :n]) for c in dict.fromkeys(chosen)]
        if not powers:
            orders = [c for c in conditions if isinstance(c, OrderBound) and c.order >= order and c.weights[i] == 1]
            orders.sort(key=lambda c: (c.order, c.norms(horizon, initial)[c.order - 1]))
            for c in orders[:_FOLLOWED]:
                matrix = np.array([[0.0, 0.0], [c.source, c.rate]])
                gauges.append(Gauge(i, _floats(c.weights), np.array([0, c.order]), matrix))
    return tuple(gauges)


def _floats(weights: Sequence[object]) -> FloatArray:
    return np.array([float(w) for w in weights])  # type: ignore[arg-type]


class PartMoments:
    """Follow the moments of one part; `moments` of each gauge, (n_orders,)."""

    def __init__(self, followed: Sequence[Gauge], start: Sequence[FloatArray] = ()) -> None:
        self._gauges = tuple(followed)
        self.moments = list(start) or [np.zeros(len(g.orders)) for g in self._gauges]

    def feed(self, fed: Sequence[FloatArray]) -> None:
        """Add, at this time, what sources hold of each gauge, (n_orders,) each."""
        self.moments = [(moment + more) * SLIGHTLY_UP for moment, more in zip(self.moments, fed, strict=True)]

    def advance(self, moves: Sequence[tuple[FloatArray, ...]], fed: Sequence[FloatArray], h: float) -> list[FloatArray]:
        """Go on for a time h, in which `fed` came in; return bounds of the integrals of the moments, (1) and (2).

        `moves`: what `Gauge.moved` returns, of each.
        """
        integrals, after = [], []
        for (move, gathered, upward), moments, more in zip(moves, self.moments, fed, strict=True):
            grown = _applied(upward, more)
            after.append(_applied(move, moments) + grown)
            integrals.append((_applied(gathered, moments) + h * grown) * SLIGHTLY_UP)
        self.moments = after
        return integrals


def _applied(matrix: FloatArray, moments: FloatArray) -> FloatArray:
    """Return a product of bounds, infinite where one of something that is not zero is."""
    if not moments.any():
        return np.zeros(len(moments))
    with np.errstate(invalid="ignore"):
        product: FloatArray = np.nan_to_num(matrix @ moments, nan=inf, posinf=inf)
    return product


Moment = Callable[[int, int], float]  # bounds Σ x_i^n m for a species i and an order n


def moment_of(followed: Sequence[Gauge], moments: Sequence[FloatArray], mass: float) -> Moment:
    """Return what bounds the moments of single species, `mass` being that of the part."""

    def moment(species: int, order: int) -> float:
        if not order:
            return mass
        values = [g.moment(m, order) for g, m in zip(followed, moments, strict=True) if g.species == species]
        return min(values, default=inf if mass > 0.0 else 0.0)

    return moment


def mean_over(polynomial: Polynomial, moment: Moment) -> float:
    """Bound Σ f m for a polynomial f of ordinary powers without negative coefficients, by (3)."""
    total = 0.0
    for alpha, c in polynomial.items():
        degree = sum(alpha)
        shares = [n / degree * moment(i, degree) for i, n in enumerate(alpha) if n] or [moment(0, 0)]
        total += float(c) * sum(shares) * SLIGHTLY_UP
    return total
