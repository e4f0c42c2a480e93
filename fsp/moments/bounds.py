"""What is known about the moments of a chain at one time, apart from any computed distribution.

Three sources, each of which holds for the exact distribution p: the largest counts that stoichiometry allows; upper
bounds of (E x_i^q)^(1/q) from drift conditions (`drift`, `dissipation`); lower and upper bounds of the means and
second moments of affine networks (`equations`).  With Hölder's inequality the second source bounds what little
probability can do to a mean: for a part r of p, 0 <= r <= p, that weighs at most g,

    Σ x^α r <= min_q  g^(1-1/q)  Π_i (E x_i^(|α|q))^(α_i/(|α|q)).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, UNIT_ROUNDOFF
from fsp.arrays import FloatArray, IntArray
from fsp.model import Model
from fsp.moments.burst_tails import with_tails
from fsp.moments.dissipation import OrderBound, order_bound
from fsp.moments.drift import ORDERS, PowerBound, Weights, exact_weights, linear_weights, power_bound
from fsp.moments.equations import MomentEquations, moment_equations
from fsp.moments.initial import InitialMoments, KnownDistribution
from fsp.moments.network_text import network_text
from fsp.moments.polynomial import Polynomial
from fsp.moments.rates import Rate, affine_parts, rates, reasons

_MOST_EXACT = 2.0**53  # whole numbers up to here are doubles
_ORDERS_ONE, _ORDERS_MORE = 12, 4  # of single moments, for one unbounded species and for several
_EVALUATED = 4  # of the conditions that bound all moments, those with the lowest means
_MOST_SLOPES = 4  # rates of decay and of growth that are tried, spread over those of the network; chosen, not measured
_FORGOTTEN = 30.0  # times of decay after which a start is forgotten
_MOST_PROGRAMMES = 24  # for all unbounded species and each kind of slope, so that large networks take no longer


@dataclass(frozen=True, eq=False)
class MomentBounds:
    """Bounds of moments of the exact distribution at one time.

    Parameters
    ----------
    species
        (d,) names.
    largest
        (d,) largest counts; infinite where stoichiometry sets no limit.
    norms
        (d, k) upper bounds of (E x_i^q)^(1/q) for q = 1 … k; infinite where there is none.
    monomials
        (m, d) exponents of the falling monomials whose means are known, none for networks that are not affine.
    means
        (m, 2) lower and upper bounds of these means.
    reason
        Why some of the norms are infinite; empty where none is.
    """

    species: tuple[str, ...]
    largest: FloatArray
    norms: FloatArray
    monomials: IntArray
    means: FloatArray
    reason: str = ""

    def tail(self, exponents: Sequence[int], weight: float) -> float:
        """Bound the mean of a monomial over a part of the distribution.

        Parameters
        ----------
        exponents
            (d,) powers of the monomial.
        weight
            What the part weighs at most; 1 for the whole distribution.

        Returns
        -------
        float
            The bound of ``Σ x^α r``; infinite where there is none.
        """
        bounded = [i for i, n in enumerate(exponents) if n and math.isfinite(self.largest[i])]
        factor = math.prod(float(self.largest[i]) ** exponents[i] for i in bounded)
        free = [(i, n) for i, n in enumerate(exponents) if n and i not in bounded]
        total = sum(n for _, n in free)
        if not total:
            is_exact = weight == 1.0 and factor <= _MOST_EXACT
            return factor * weight * (1.0 if is_exact else SLIGHTLY_UP)
        orders = self.norms.shape[1] // total
        q = np.arange(1, orders + 1)  # (orders,)
        with np.errstate(invalid="ignore", over="ignore"):
            products = np.prod([self.norms[i, total * q - 1] ** n for i, n in free], axis=0)  # (orders,)
            tails = np.where(np.isfinite(products), products * weight ** (1.0 - 1.0 / q), np.inf)
        return factor * float(tails.min(initial=np.inf)) * SLIGHTLY_UP

    def mean(self, polynomial: Polynomial) -> tuple[float, float] | None:
        """Bound the mean of a polynomial by the moment equations.

        Parameters
        ----------
        polynomial
            In falling powers.

        Returns
        -------
        tuple of float, or None
            Lower and upper bound; None where a monomial is not known.
        """
        known = {tuple(row): k for k, row in enumerate(self.monomials.tolist())}
        if any(alpha not in known for alpha in polynomial):
            return None
        low = high = 0.0
        for alpha, c in polynomial.items():
            ends = [float(c) * float(end) for end in self.means[known[alpha]]]
            size = 4.0 * UNIT_ROUNDOFF * len(polynomial) * max(map(abs, ends))
            low, high = low + min(ends) - size, high + max(ends) + size
        return low, high

    def select(self, columns: Sequence[int]) -> MomentBounds:
        """Return the bounds of some of the species, in the order of `columns`."""
        chosen = list(columns)
        others = [i for i in range(len(self.species)) if i not in chosen]
        kept = ~self.monomials[:, others].any(axis=1)  # (m,)
        return MomentBounds(
            tuple(self.species[i] for i in chosen),
            self.largest[chosen],
            self.norms[chosen],
            self.monomials[kept][:, chosen],
            self.means[kept],
            self.reason,
        )


class PendingBounds:
    """Moment bounds that are computed when they are asked for."""

    def __init__(self, model: Model, t: float, initial: InitialMoments, columns: Sequence[int]) -> None:
        self._model, self._t, self._initial, self._columns = model, t, initial, tuple(columns)
        self._bounds: MomentBounds | None = None

    @property
    def bounds(self) -> MomentBounds:
        """The bounds; computed once."""
        if self._bounds is None:
            self._bounds = self._make().select(self._columns)
        return self._bounds

    def _make(self) -> MomentBounds:
        """Compute the bounds of all species."""
        return _at(self._model, self._t, self._initial)

    def network(self, t: float) -> str:
        """Write the network whose bounds at time `t` after its own start these are; empty where there is none."""
        model, start = self._model, self._initial
        if not isinstance(start, KnownDistribution) or start.lacking or model.start_lacks or model.events:
            return ""
        if self._t != t or self._columns != tuple(range(model.n_species)):
            return ""
        same = np.array_equal(start.states, model.initial_states)
        return network_text(model) if same and np.array_equal(start.probabilities, model.initial_probabilities) else ""

    @property
    def is_computed(self) -> bool:
        """Whether they were asked for before."""
        return self._bounds is not None

    def select(self, columns: Sequence[int]) -> PendingBounds | MomentBounds:
        """Return the bounds of some of the species."""
        if self._bounds is not None:
            return self._bounds.select(columns)
        chosen = [self._columns[i] for i in columns]
        return PendingBounds(self._model, self._t, self._initial, chosen)

    def __reduce__(self) -> tuple[Any, ...]:
        """Stay pending in another process where the model goes there too, as one that is written in formulas does."""
        goes_along = isinstance(self._initial, KnownDistribution) and not any(
            map(callable, self._model.definition.laws)
        )
        if self._bounds is None and goes_along:
            return PendingBounds, (self._model, self._t, self._initial, self._columns)
        return _same, (self.bounds,)


def _same(bounds: MomentBounds) -> MomentBounds:
    return bounds


def moment_bounds(
    model: Model,
    t: float,
    *,
    initial_states: IntArray | None = None,
    initial_probabilities: FloatArray | None = None,
    initial: InitialMoments | None = None,
) -> PendingBounds:
    """Bound the moments of a model at a time.

    Nothing is computed before the bounds are used, and what does not depend on the time only once for a model.

    Parameters
    ----------
    model
        The reaction network.
    t
        Time since the start, in the model's unit; infinite for the stationary distribution that the chain tends to.
    initial_states, initial_probabilities
        (n, d) states and (n,) probabilities at time 0; by default the model's.
    initial
        What else is known of the distribution at time 0, in their place.

    Returns
    -------
    PendingBounds
        Its `bounds` are the `MomentBounds`.
    """
    model.require_untimed("Bounds of moments")
    states = model.initial_states if initial_states is None else np.asarray(initial_states)
    weights = model.initial_probabilities if initial_probabilities is None else np.asarray(initial_probabilities)
    lacking = model.start_lacks if initial_states is None else 0.0
    known = initial or KnownDistribution(states, weights, lacking)
    return PendingBounds(model, float(t), known, range(model.n_species))


def drift_conditions(
    model: Model, horizon: float, initial: InitialMoments
) -> tuple[tuple[PowerBound | OrderBound, ...], ...]:
    """Return the conditions found for each species that has no largest count, which hold up to a time at least."""
    return _certificates(model, horizon, initial.largest(model), initial.means()).drift


# ---- what does not depend on the time


class _Certificates(NamedTuple):
    """Drift conditions of each species, the moment equations, and why there is nothing where there is nothing."""

    drift: tuple[tuple[PowerBound | OrderBound, ...], ...]
    equations: MomentEquations | None
    reason: str


_CACHE: WeakKeyDictionary[Model, dict[tuple[float, bytes], _Certificates]] = WeakKeyDictionary()


def _at(model: Model, t: float, initial: InitialMoments) -> MomentBounds:
    largest = initial.largest(model)  # (d,)
    certificates = _certificates(model, t, largest, initial.means())
    norms = np.array([_norms(bounds, t, initial) for bounds in certificates.drift])  # (d, ORDERS)
    exact = {} if certificates.equations is None or math.isinf(t) else certificates.equations.at(t, initial)
    monomials = np.array(list(exact), dtype=np.int64).reshape(-1, model.n_species)
    means = np.array(list(exact.values()), dtype=float).reshape(-1, 2)
    open_ended = np.isinf(norms[:, 0]) & np.isinf(largest)
    names = ", ".join(np.array(model.species)[open_ended])
    reason = f"the tail of {names} is not bounded: {certificates.reason}" if open_ended.any() else ""
    return MomentBounds(model.species, largest, norms, monomials, means, reason)


def _norms(bounds: Sequence[PowerBound | OrderBound], t: float, initial: InitialMoments) -> FloatArray:
    powers = [bound for bound in bounds if isinstance(bound, PowerBound)]
    powers.sort(key=lambda bound: bound.mean(t, initial))
    chosen: list[PowerBound | OrderBound] = [*powers[:_EVALUATED]]
    chosen += [bound for bound in bounds if isinstance(bound, OrderBound)]
    known_norms = np.full((1 + len(chosen), ORDERS), np.inf)
    for row, bound in enumerate(chosen, start=1):
        norms = bound.norms(t, initial)
        known_norms[row, : len(norms)] = norms
    best = known_norms.min(axis=0)  # (ORDERS,)
    lowered: FloatArray = np.minimum.accumulate(best[::-1])[::-1]  # a norm is at most the next one
    return lowered


def _certificates(model: Model, t: float, largest: FloatArray, start: FloatArray) -> _Certificates:
    """Return the drift conditions made for times up to the next power of four; they hold at any time before it."""
    if math.isinf(t):  # nothing depends on time: the horizon only says what to look for
        horizon = _FORGOTTEN / (min(_slopes(rates(model, 0.0, largest), -1), default=_FORGOTTEN))
    else:
        horizon = 4.0 ** math.ceil(math.log(t, 4.0) - 1e-9) if t > 0 else 1.0
        horizon = max(horizon, t)
    known = _CACHE.setdefault(model, {})
    key = t if math.isinf(t) else horizon, largest.tobytes()
    if key not in known:
        known[key] = _certify(model, horizon, largest, start, math.isinf(t))
    return known[key]


def _certify(model: Model, horizon: float, largest: FloatArray, start: FloatArray, settled: bool) -> _Certificates:
    rates_known = rates(model, horizon, largest)
    search = _DriftSearch(with_tails(model, rates_known), horizon, largest, start, settled, {})
    drift = tuple(tuple(search.conditions(i)) for i in range(model.n_species))
    return _Certificates(drift, moment_equations(rates_known, model.n_species), reasons(rates_known))


class _DriftSearch(NamedTuple):
    """Look for drift conditions."""

    rates: Sequence[Rate]
    horizon: float
    largest: FloatArray
    start: FloatArray
    settled: bool  # whether bounds for t → ∞ are wanted
    known: dict[tuple[Weights, int, float], OrderBound | None]  # by weights, order and growth: species share them

    def conditions(self, target: int) -> Iterator[PowerBound | OrderBound]:
        """Yield conditions that bound a species which stoichiometry does not."""
        if math.isfinite(self.largest[target]):
            return
        tame = False
        for growth in self._growths():
            bound = self._power_bound(target, growth)
            if bound is not None:
                slow = bound.rate < 0 if self.settled else bound.rate * Fraction(self.horizon) <= 3
                tame |= bool(bound.spreads) and slow
                yield bound
        if not tame and any(rate.superlinear for rate in self.rates):
            yield from self._order_bounds(target)

    def _growths(self) -> list[float]:
        """Choose the values of a to try: rates of decay, rates of growth, and what the horizon resolves."""
        losses, gains = _slopes(self.rates, -1), _slopes(self.rates, 1)
        limit = min(_MOST_SLOPES, _MOST_PROGRAMMES // int(np.isinf(self.largest).sum()))
        chosen = {0.0, 1.0 / self.horizon}
        if limit > 1:
            chosen |= {-1.0 / self.horizon, 3.0 / self.horizon}
            chosen |= set(_few({x for x in gains if x * self.horizon < 200.0}, limit))
        return sorted(chosen | {-x for x in _few(losses, max(1, limit))})

    def _power_bound(self, target: int, growth: float) -> PowerBound | None:
        rough = linear_weights(self.rates, target, growth, self.horizon, self.start, self.largest)
        weights = None if rough is None else exact_weights(rough, self.rates, target)
        return None if weights is None else power_bound(weights, self.rates, growth, self.largest)

    def _order_bounds(self, target: int) -> Iterator[OrderBound]:
        free = np.flatnonzero(np.isinf(self.largest))
        width = range(len(self.largest))
        ones = tuple(Fraction(int(i in free)) for i in width)
        unit = tuple(Fraction(int(i == target)) for i in width)
        for weights in dict.fromkeys([unit, ones, self._slow_weights(target) or unit]):
            for order in range(1, 1 + (_ORDERS_ONE if len(free) == 1 else _ORDERS_MORE)):
                for growth in (-10.0 / self.horizon, -1.0 / self.horizon, 1.0 / self.horizon, 10.0 / self.horizon):
                    key = weights, order, growth
                    if key not in self.known:
                        self.known[key] = order_bound(weights, order, self.rates, growth, self.largest)
                    bound = self.known[key]
                    if bound is not None:
                        yield bound

    def _slow_weights(self, target: int) -> Weights | None:
        """Return weights that do for the reactions of degree one."""
        slow = [rate for rate in self.rates if not rate.superlinear]
        rough = linear_weights(slow, target, 1.0 / self.horizon, self.horizon, self.start, self.largest)
        return None if rough is None else exact_weights(rough, slow, target)


def _slopes(rates: Sequence[Rate], sign: int) -> set[float]:
    """Return the rates at which single molecules are made (sign 1) or lost (-1), by affine rates, 1/time."""
    known: set[float] = set()
    for rate in rates:
        if rate.superlinear:
            continue
        _, slopes = affine_parts(rate.upper or {}, len(rate.change))
        known |= {
            abs(step) * float(c) for step, c in zip(rate.change, slopes, strict=True) if step * sign > 0 and c > 0
        }
    return known


def _few(values: set[float], limit: int) -> list[float]:
    ordered = sorted(values)
    if len(ordered) <= limit:
        return ordered
    return [ordered[round(k)] for k in np.linspace(0, len(ordered) - 1, limit)]
