"""Where a chain is driven back to: functions whose drift is negative outside a finite set of states.

For g >= 0 that tends to infinity, let A g(x) = Σ_k a_k(x) (g(x + ν_k) - g(x)) be its drift.  A `DriftCondition` says
that A g <= -γ at all states but finitely many, which it lists with their drifts.  Outside a finite region that is
proved: A g lies below a polynomial whose coefficients in falling powers are not positive, all in rationals.  The
region is all counts of a simplex or a box; where the polynomial does not settle it on the whole, it is proved on each
half-space x_i >= m_i, with bounds of the rates that hold there.  Inside, drifts are computed from the rates themselves.

References
----------
S. P. Meyn, R. L. Tweedie, Stability of Markovian processes III, Adv. Appl. Probab. 25 (1993) 518, doi:10.2307/1427522.
T. Dayar, H. Hermanns, D. Spieler, V. Wolf, Bounding the equilibrium distribution of Markov population models, Numer.
Linear Algebra Appl. 18 (2011) 931, doi:10.1002/nla.795.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import FloatArray, IntArray
from fsp.errors import ArgumentError, ModelError
from fsp.model import Model
from fsp.model.expression import depends_on_time, symbols
from fsp.model.formula import parse
from fsp.moments import quadratic
from fsp.moments.dissipation import without_bounded
from fsp.moments.drift import exact_weights, linear_weights
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import Polynomial, collect, falling, plus, scaled, shifted, times
from fsp.moments.rates import Rate, affine_parts, rates, reasons

_MARGIN = Fraction(1, 10**12)  # relative, for coefficients that formulas fold in floating point
_ROUNDINGS = 64 * UNIT_ROUNDOFF  # relative error of a rate times a difference, far more than it has
_SHARE = Fraction(1, 10)  # of the largest drift upwards that the drift elsewhere is to reach
_REGION = 20_000_000  # states in which drifts are computed
_MANY = 10_000  # excepted states, beyond which a quadratic function is tried
_LISTED = 5_000_000  # states that a condition may list
_BLOCK = 1 << 17
_FARTHEST = 1 << 40
_SLOPES = (1.0, 0.5, 0.1)  # of a rate of decay


@dataclass(frozen=True, eq=False)
class DriftCondition:
    """A function g >= 0 with ``A g <= -elsewhere`` at all states but the listed ones."""

    # g in falling powers of x - centre: without negative coefficients and with a power of each species that has no
    # largest count, or a positive definite quadratic form
    function: Polynomial
    states: IntArray  # (n, d) the states that are excepted
    drifts: FloatArray  # (n,) upper bounds of A g there, 1/time
    elsewhere: float  # γ > 0, 1/time
    centre: IntArray  # (d,) whole numbers
    precision: float = 1e-14  # relative error of `values`

    def values(self, states: IntArray) -> FloatArray:
        """Return g at states (m, d)."""
        return np.maximum(evaluate(self.function, states - self.centre), 0.0)


@dataclass(frozen=True, slots=True)
class _Proof:
    """A g <= -γ outside a region, ``counts <= caps`` and ``slopes·x <= most``."""

    function: Polynomial
    image: Polynomial | None  # A g lies below on all states; None where that is not known
    caps: tuple[int, ...]
    slopes: tuple[float, ...]
    most: float
    elsewhere: Fraction

    @property
    def size(self) -> float:
        """About how many states the region has."""
        box = math.prod(float(cap) + 1.0 for cap in self.caps)
        cut = [c * (cap + 1.0) for c, cap in zip(self.slopes, self.caps, strict=True) if c > 0.0]
        return box / math.factorial(len(cut)) if cut else box


class NoDriftCondition(Exception):  # noqa: N818 - says why, to a caller that has something else to offer
    """No function was found or none of the right kind given."""


def drift_condition(model: Model, lyapunov: str | None = None) -> DriftCondition:
    """Find a function whose drift is negative outside a finite set."""
    search = _Search(model)
    if model.is_finite:
        raise NoDriftCondition("all states have to be stored where there are finitely many")
    functions = search.candidates() if lyapunov is None else [search.read(lyapunov)]
    proofs = [proof for proof in map(search.prove, functions) if proof is not None]
    found: list[DriftCondition] = []
    for proof in sorted(proofs, key=lambda proof: proof.size)[:3]:
        condition = search.listed(proof)
        if condition is not None:
            found.append(condition)
    if lyapunov is None and min((len(condition.states) for condition in found), default=0) > _MANY:
        found += search.quadratic()
    if found:
        return min(found, key=lambda condition: len(condition.states))
    given = f"the drift of '{lyapunov}' could not be shown to be negative outside a finite set"
    raise NoDriftCondition(given if lyapunov is not None else reasons(search.rates))


class _Search:
    """Propose functions and prove their drifts."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._largest = model.species_bounds  # (d,)
        self._free = [int(i) for i in np.flatnonzero(np.isinf(self._largest))]
        self.rates = rates(model, 0.0, self._largest)

    def candidates(self) -> list[Polynomial]:
        """Return linear functions by linear programmes, and the sum of the unbounded species."""
        functions = []
        for chosen in (self.rates, [rate for rate in self.rates if not rate.superlinear]):
            for slope in self._slopes():
                rough = linear_weights(
                    chosen, self._free, -slope, 1.0 / slope, np.zeros(len(self._largest)), self._largest
                )
                weights = None if rough is None else exact_weights(rough, chosen, self._free[0])
                if weights is not None and all(weights[i] > 0 for i in self._free):
                    functions.append(weights)
        functions.append(tuple(Fraction(int(i in self._free)) for i in range(len(self._largest))))
        return [_linear(weights) for weights in dict.fromkeys(functions)]

    def _slopes(self) -> list[float]:
        """Return rates of decay to ask for, 1/time."""
        losses = set()
        for rate in self.rates:
            if not rate.superlinear:
                _, slopes = affine_parts(rate.upper or {}, len(self._largest))
                losses |= {float(c) for step, c in zip(rate.change, slopes, strict=True) if step < 0 and c > 0}
        least = sorted(losses)[:2]
        return sorted({share * loss for loss in least for share in _SLOPES}, reverse=True)

    def read(self, lyapunov: str) -> Polynomial:
        """Read a function that a user gives."""
        try:
            tree = parse(lyapunov, what="lyapunov")
        except ModelError as error:
            raise ArgumentError(str(error)) from error
        unknown = sorted(symbols(tree) - set(self._model.species))
        if unknown or depends_on_time(tree):
            raise ArgumentError(
                f"`lyapunov` must be a formula of {', '.join(self._model.species)}, but is '{lyapunov}'."
            )
        function = envelope(tree, self._model.species).polynomial
        if function is None or any(c < 0 for c in function.values()):
            raise ArgumentError(
                f"`lyapunov` must be a polynomial without negative terms, such as 'U^2 + 3*V', but is '{lyapunov}'."
            )
        for i in self._free:
            if not any(_is_power(alpha, i) for alpha in function):
                raise ArgumentError(
                    f"`lyapunov` must grow with every species that has no largest count, but '{lyapunov}' has no power "
                    f"of {self._model.species[i]} alone."
                )
        return function

    # ---- outside a region: a proof

    def prove(self, function: Polynomial) -> _Proof | None:
        """Prove that the drift is negative outside a region; None where that does not succeed."""
        image = self._image(function, None)
        first = self._region(function, image, Fraction(0))
        if first is None:
            return None
        # -γ, a share of the largest drift upwards, so that few states more than needed are excepted
        highest = Fraction(max(self._highest(first), 0.0))
        return self._region(function, image, max(_SHARE * highest, first.elsewhere / 2)) or first

    def _highest(self, proof: _Proof) -> float:
        """Estimate the largest drift, which only chooses γ, from states all over the region."""
        generator = np.random.default_rng(0)
        sample = np.stack([generator.integers(0, min(cap, 1 << 30) + 1, 4000) for cap in proof.caps], axis=1)
        sample = np.concatenate([sample, sample // 8, np.zeros((1, len(proof.caps)), dtype=np.int64)])
        for i in self._free:
            axis = np.zeros((65, len(proof.caps)), dtype=np.int64)
            axis[:, i] = np.linspace(0, proof.caps[i], 65)
            sample = np.concatenate([sample, axis])
        sample = sample[self._allowed(sample)]
        if not len(sample):
            return 0.0
        try:
            return float(self._drifts(proof.function, sample).max())
        except ModelError:
            return 0.0

    def _image(self, function: Polynomial, lowest: Sequence[int] | None) -> Polynomial | None:
        """Bound A g from above on x >= lowest, a polynomial of x - lowest; None where a rate has no bound."""
        own = self.rates if lowest is None else rates(self._model, 0.0, self._largest, lowest)
        local = function if lowest is None else shifted(function, lowest)
        parts: list[Polynomial] = []
        for rate in own:
            difference = plus(shifted(local, rate.change), scaled(local, Fraction(-1)))
            gain, loss = _signed(difference, 1), _signed(difference, -1)
            above = _upper(rate)
            if gain and above is None:
                return None
            if rate.exact is not None:
                parts.append(scaled(times(rate.exact, gain), 1 + _MARGIN))
                parts.append(scaled(times(rate.exact, loss), _MARGIN - 1))
            else:
                parts.append(scaled(times(above or {}, gain), 1 + _MARGIN))
                parts.append(scaled(times(_lower(rate), loss), _MARGIN - 1))
        return without_bounded(plus(*parts), self._largest)

    def _region(self, function: Polynomial, image: Polynomial | None, least: Fraction) -> _Proof | None:
        """Return a region outside which A g <= -γ, γ > 0 and at least `least`."""
        if image is not None and _settled(image) and all(_has_power(image, i) for i in self._free):
            return self._simplex(function, image, least)
        caps = self._bounded_caps()
        reached = []
        for i in self._free:
            level = self._level(function, i, least)
            if level is None:
                return None
            caps[i] = level[0] - 1
            reached.append(level[1])
        return _Proof(function, image, tuple(caps), (0.0,) * len(caps), 0.0, min(reached))

    def _bounded_caps(self) -> list[int]:
        return [0 if math.isinf(n) else int(n) for n in self._largest]

    def _simplex(self, function: Polynomial, image: Polynomial, least: Fraction) -> _Proof:
        """Return where a polynomial with negative coefficients but for the constant is above -γ."""
        width = len(self._largest)
        constant = image.get((0,) * width, Fraction(0))
        lowest = min(-c for alpha, c in image.items() if c < 0)  # the drift at the first counts, where there is no gain
        gamma = max(least, lowest / 2 if constant <= 0 else constant / 1000)
        caps = self._bounded_caps()
        for i in self._free:
            caps[i] = min(_last_above(image, alpha, constant + gamma, i) for alpha in image if _is_power(alpha, i))
        units = [tuple(int(j == i) for j in range(width)) for i in range(width)]
        slopes = [-float(image.get(unit, Fraction(0))) for unit in units]
        return _Proof(function, image, tuple(caps), tuple(slopes), float(constant + gamma) * (1 + 1e-12), gamma)

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
            found = self._below(function, i, middle, least)
            if found is None:
                low = middle
            else:
                high, best = middle, found
        return high, best

    def _below(self, function: Polynomial, i: int, level: int, least: Fraction) -> Fraction | None:
        """Return γ > `least` where A g <= -γ is proved on x_i >= level."""
        lowest = [level * (j == i) for j in range(len(self._largest))]
        image = self._image(function, lowest)
        if image is None or not _settled(image):
            return None
        gamma = -image.get((0,) * len(lowest), Fraction(0))
        return gamma if gamma > 0 and gamma >= least else None

    # ---- inside: numbers

    def listed(self, proof: _Proof) -> DriftCondition | None:
        """Compute the drifts inside the region; None where it is too large, or has states without rates."""
        states = _lattice(proof.caps, proof.slopes, proof.most)
        if states is None:
            return None
        kept, drifts = [], []
        gamma = float(proof.elsewhere) * (1 - 1e-12)
        for block in np.array_split(states, len(states) // _BLOCK + 1):
            chosen = block[self._allowed(block)]
            if proof.image is not None:  # most states of a box are settled by the polynomial
                size = evaluate({alpha: abs(c) for alpha, c in proof.image.items()}, chosen)
                chosen = chosen[evaluate(proof.image, chosen) > -gamma - 1e-12 * size]
            try:
                own = self._drifts(proof.function, chosen)
            except ModelError:
                return None
            above = own > -gamma
            kept.append(chosen[above])
            drifts.append(own[above])
        listed = np.concatenate(kept)
        if len(listed) > _LISTED:
            return None
        nowhere = np.zeros(len(proof.caps), dtype=np.int64)
        return DriftCondition(proof.function, listed, np.concatenate(drifts), gamma, nowhere)

    def quadratic(self) -> list[DriftCondition]:
        """Return a condition with a quadratic form where all propensities are affine and no species is bounded."""
        proposed = quadratic.propose(self.rates) if len(self._free) == len(self._largest) else None
        if proposed is None:
            return []
        mean, covariance, P = proposed
        centre = np.round(mean).astype(np.int64)
        function = quadratic.form(P, centre)
        image = self._image(function, None)
        proof = None if image is None else quadratic.enclose(function, image, P, centre, covariance)
        if image is None or proof is None:
            return []
        box, gamma = proof
        if math.prod((box.upper - box.lower + 1.0).tolist()) > _REGION:
            return []
        sides = [np.arange(low, high + 1) for low, high in zip(box.lower, box.upper, strict=True)]
        states = np.stack([axis.ravel() for axis in np.meshgrid(*sides, indexing="ij")], axis=1)
        drifts = self._drifts(function, states)
        above = drifts > -float(gamma) * (1 - 1e-12)
        local = shifted(function, centre.tolist())
        elsewhere = float(gamma) * (1 - 1e-12)
        return [DriftCondition(local, states[above], drifts[above], elsewhere, centre, box.precision)]

    def _allowed(self, states: IntArray) -> np.ndarray:
        """Tell which states keep the conservation laws; where several values are started from, all may."""
        allowed = np.ones(len(states), dtype=np.bool_)
        for law in self._model.conservation_laws:
            kept = np.unique(self._model.initial_states @ law)
            allowed &= np.isin(states @ law, kept)
        return allowed

    def _drifts(self, function: Polynomial, states: IntArray) -> FloatArray:
        """Bound A g from above by its value and the rounding of it, (n,)."""
        propensities = self._model.propensities(states)  # (R, n)
        errors = self._model.propensity_errors(states)  # (R, n)
        total = np.zeros(len(states))
        for own, error, change in zip(propensities, errors, self._model.change.tolist(), strict=True):
            difference = plus(shifted(function, change), scaled(function, Fraction(-1)))
            size = evaluate({alpha: abs(c) for alpha, c in difference.items()}, states)
            total += own * evaluate(difference, states)
            total += (own * _ROUNDINGS * (1 + len(propensities)) + error) * size
        return total


def evaluate(polynomial: Polynomial, states: IntArray) -> FloatArray:
    """Evaluate a polynomial in falling powers on many states.

    `states`: (n, d) counts; returns (n,) values; relative to the sum of the sizes of the terms the error is a few
    roundings for each term.
    """
    total = np.zeros(len(states))
    for alpha, c in polynomial.items():
        factors = [(states[:, i] - k).astype(np.float64) for i, n in enumerate(alpha) for k in range(n)]
        total += reduce(np.multiply, factors, np.full(len(states), float(c)))
    return total


def _lattice(caps: Sequence[int], slopes: Sequence[float], most: float) -> IntArray | None:
    """Return all counts up to `caps` with ``slopes·x <= most``, (n, d); None where they are too many."""
    states = np.zeros((1, 0), dtype=np.int64)
    used = np.zeros(1)
    for cap, slope in zip(caps, slopes, strict=True):
        last = np.full(len(states), float(cap))
        if slope > 0.0:
            last = np.minimum(last, np.floor((most - used) / slope + 1e-9))
        count = last.astype(np.int64) + 1
        if count.sum() > _REGION:
            return None
        row = np.repeat(np.arange(len(states)), count)
        own = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        states = np.concatenate([states[row], own[:, None]], axis=1)
        used = used[row] + max(slope, 0.0) * own
    return states


def _linear(weights: Sequence[Fraction]) -> Polynomial:
    return collect((tuple(int(j == i) for j in range(len(weights))), w) for i, w in enumerate(weights))


def _signed(polynomial: Polynomial, sign: int) -> Polynomial:
    """Return the terms of one sign, with positive coefficients."""
    return {alpha: abs(c) for alpha, c in polynomial.items() if c * sign > 0}


def _upper(rate: Rate) -> Polynomial | None:
    return None if rate.upper is None else _signed(rate.upper, 1)


def _lower(rate: Rate) -> Polynomial:
    """Return the lower bound of a rate where it is seen not to be negative, else zero."""
    return rate.lower if all(c >= 0 for c in rate.lower.values()) else {}


def _settled(image: Polynomial) -> bool:
    """Return whether no coefficient but the constant is positive."""
    return all(c <= 0 or not any(alpha) for alpha, c in image.items())


def _is_power(alpha: Sequence[int], i: int) -> bool:
    return alpha[i] > 0 and sum(alpha) == alpha[i]


def _has_power(image: Polynomial, i: int) -> bool:
    return any(c < 0 and _is_power(alpha, i) for alpha, c in image.items())


def _last_above(image: Polynomial, alpha: Sequence[int], most: Fraction, i: int) -> int:
    """Return the last count of species i at which ``most + c x^(n) > 0``, c < 0 the coefficient of its power."""
    low, high = 0, 1
    while most + image[tuple(alpha)] * falling(high, alpha[i]) > 0:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if most + image[tuple(alpha)] * falling(middle, alpha[i]) > 0:
            low = middle
        else:
            high = middle
    return low
