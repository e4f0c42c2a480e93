"""How a stationary distribution answers to a change of its rates, with a bound over all states.

Let y be stored, m = π - y, and B the derivative of A by a parameter, ``∂a_r`` in place of a_r.  The derivative
s of π obeys ``A s = -B π``, Σ s = 0.  For any h on finitely many states let ``r = A h + B y``, over all states.  With T
the time at which the chain first meets a state z, and H >= E_x T as in `fsp.equilibrium.certificate`,

(1)  s - h  =  o + c π,  where o is the occupation before T that starts from ``r + B m``;
(2)  Σ |o|  <=  Σ_{x≠z} |r(x)| H(x) + Σ_x |m(x)| Σ_r |∂a_r(x)| (H(x) + H(x + ν_r));
(3)  Σ |s - h|  <=  2 Σ |o| + |Σ h| .

(1): A of both sides is the same at all states but z, and so there too, as both sums are zero; π alone, of what has a
sum, is taken to nothing.  The sum of (1) is -Σ h, which gives c.  Outside the space ``H = scale (α + g/γ)``, m = π
there, and moments of π bound its part of (2).  Inside, |m(x)| has a bound for each state and one for all together, so
that the largest sum takes the states with the largest weights first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse

from fsp.arithmetic import ROUNDED_UP, SLIGHTLY_UP, SUM_ROUNDING, UNIT_ROUNDOFF, dot
from fsp.bars import silent
from fsp.chains.classes import closed_classes
from fsp.equilibrium.bounded import example
from fsp.equilibrium.certificate import (
    Certificate,
    boundary_of,
    certify,
    hitting_times,
    rate_outside,
    roundings,
    stopped_at,
)
from fsp.equilibrium.certified import StationaryCertifier
from fsp.equilibrium.stationary import stationary
from fsp.errors import ModelError, ToleranceWarning
from fsp.generator import Generator
from fsp.moments import moment_bounds
from fsp.moments.lyapunov import NoDriftCondition, drift_condition
from fsp.moments.polynomial import plus, scaled, shifted, times
from fsp.space import StateSpace
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.chains.hitting_times import StoppedChain
    from fsp.distribution import Distribution
    from fsp.model import Model
    from fsp.moments.bounds import MomentBounds
    from fsp.moments.lyapunov import DriftCondition
    from fsp.moments.polynomial import Polynomial
    from fsp.projection.progress import ProgressCallback

ELIMINATED = 5_000  # states, up to which each probability is bounded up to a part of itself: a fraction of a second
# Of all probability, as what is lost and as relative rounding, from which on such bounds are of no use.
USEFUL_BELOW = 0.1
NO_SLOPE = 1e-300  # of a rate: smaller ones are of rates that are taken for zero since doubles end there
MOST_EXCEPTED = 100_000  # states that are added to those of the law; chosen, not measured


class Changes(NamedTuple):
    """What parameters change of one reaction's rate."""

    values: FloatArray  # ∂_k a_r at the stored states, (q, n)
    off: FloatArray  # bounds of their errors, (q, n)
    above: Sequence[Polynomial | None]  # above |∂_k a_r| at all states, (q); None where none is known


@dataclass(frozen=True, slots=True, eq=False)
class StoredLaw:
    """A stationary distribution on stored states, with what is known of the rest."""

    model: Model
    distribution: Distribution
    space: StateSpace
    y: FloatArray  # (n,)
    apart: FloatArray  # bounds of |m|, (n,)
    total: float  # bound of Σ |m| over all states
    outside: float  # of the probability of what is not stored
    closed: bool  # whether all states that may be reached are stored
    proved: bool
    condition: DriftCondition | None  # whose excepted states are stored

    @classmethod
    def of(
        cls,
        model: Model,
        tol: float,
        max_states: int | None = None,
        max_memory: int | None = None,
        *,
        below: bool = False,
        report: ProgressCallback = silent,
    ) -> StoredLaw:
        """Solve; a ModelError where the chain may end in several classes.  With `below` y <= π."""
        with warnings.catch_warnings():  # what is reached counts, whether it is as little as was asked for or not
            warnings.simplefilter("ignore", ToleranceWarning)
            answer = stationary(model, tol, max_states=max_states, max_memory=max_memory, progress=report)
        condition = _condition(model)
        excepted = StationaryCertifier(model, condition, "auto", tol).excepted()
        states = [answer.states, excepted] if len(excepted) <= MOST_EXCEPTED else [answer.states]
        space = StateSpace.from_states(model.species, np.concatenate(states))
        order, n = space.index(answer.states), len(space)
        p, low, high = np.zeros(n), np.zeros(n), np.ones(n)
        p[order] = answer.probabilities
        low[order], high[order] = (answer.probabilities,) * 2 if answer.state_bounds is None else answer.state_bounds
        proved = answer.error.certified and answer.state_bounds is not None
        generator = Generator(model, space)
        if _has_several_ends(generator, p):
            raise ModelError(
                "A derivative of a stationary distribution must be of a chain that ends in one class of states, but "
                f"that of '{model.name}' may end in several."
            )
        total, outside = answer.error.total, answer.error.total
        sharp = _sharp(generator, p, condition) if proved else None
        if sharp is not None:
            low, high, outside = np.maximum(low, sharp.lower), np.minimum(high, sharp.upper), 2.0 * sharp.truncation
            if _apart(sharp.p, low, high).sum() < _apart(p, low, high).sum():
                total = min(total + float(np.abs(sharp.p - p).sum()) * (1.0 + SUM_ROUNDING), sharp.total)
                p = sharp.p
        y = low if below else p
        apart = _apart(y, low, high)
        total = float(np.abs(p - y).sum()) + total * ROUNDED_UP + SUM_ROUNDING
        outside = (
            0.0 if answer.closed else min(outside, answer.error.total) * ROUNDED_UP + SUM_ROUNDING * (sharp is None)
        )
        return cls(model, answer, space, y, apart, total, outside, answer.closed, proved, condition)

    def largest_sum(self, weights: FloatArray) -> float:
        """Bound Σ weights |m| over the stored states, (n,) weights >= 0."""
        order = np.argsort(-weights)
        taken = np.minimum(np.cumsum(self.apart[order]), self.total)  # of |m|, up to each
        return float(dot(np.diff(taken, prepend=0.0), weights[order])) * (1.0 + SUM_ROUNDING)

    def moments(self, powers: Callable[[IntArray], FloatArray], weights: FloatArray, orders: IntArray) -> FloatArray:
        """Bound Σ |m| u^q for u = w·x and orders q, (n_orders,); `powers` returns u^q of states."""
        inside: FloatArray = np.array([self.largest_sum(moment) for moment in powers(self.space.states)])
        return inside + self.moments_outside(weights, orders)

    def moments_outside(self, weights: FloatArray, orders: IntArray) -> FloatArray:
        """Bound the same sums over what is not stored, (n_orders,)."""
        if self.closed:
            return np.zeros(len(orders))
        known, mass = moment_bounds(self.model, np.inf).bounds, self.outside
        means: FloatArray = np.array([_outside(known, weights, int(q), mass) for q in orders])
        return means


def _outside(known: MomentBounds, weights: FloatArray, q: int, mass: float) -> float:
    """Bound Σ u^q over what is not stored, by Minkowski's inequality."""
    if not q:
        return mass
    parts = [w * known.tail(_unit(len(weights), i, q), mass) ** (1.0 / q) for i, w in enumerate(weights) if w]
    return float(sum(parts)) ** q * SLIGHTLY_UP


def _unit(width: int, i: int, q: int) -> tuple[int, ...]:
    return tuple(q if j == i else 0 for j in range(width))


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """Derivatives of a stationary distribution."""

    derivatives: FloatArray  # h, (q, n)
    errors: FloatArray  # (3), (q,)
    proved: bool
    heights: Heights | None = None  # where they were needed
    estimates: FloatArray | None = None  # of the errors where they are infinite; None where there are none


def respond(law: StoredLaw, changes: Sequence[Changes]) -> Response:
    """Return the derivatives of a stationary distribution; `changes` of each reaction.

    A ModelError where a parameter opens a way to states that are not come to.
    """
    q, n = changes[0].values.shape
    _refuse_new_ways(law, changes)
    if n == 1 and law.closed:
        return Response(np.zeros((q, n)), np.zeros(q), law.proved)
    generator = Generator(law.model, law.space)
    heights = Heights.of(generator, int(np.argmax(law.y)), law.condition)
    targets = [law.space.states + change for change in law.model.change]
    at_targets = [heights.at(states) for states in targets]  # (n,) each
    derivatives, errors, estimates = np.zeros((q, n)), np.zeros(q), np.zeros(q)
    for k in range(q):
        derivatives[k], errors[k], estimates[k] = _of_parameter(law, generator, heights, changes, k, at_targets)
    return Response(derivatives, errors, law.proved and heights.proved, heights, estimates)


def _refuse_new_ways(law: StoredLaw, changes: Sequence[Changes]) -> None:
    """Refuse rates that are zero, while their derivatives lead out of the stored states: there H is not known."""
    states, model = law.space.states, law.model
    index, rates = successors(law.space, model.change), model.propensities(states)
    for r, (place, of_change) in enumerate(zip(index, changes, strict=True)):
        opened = (place < 0) & (rates[r] <= 0.0) & (np.abs(of_change.values) > NO_SLOPE).any(axis=0)
        if opened.any():
            i = int(np.argmax(opened))
            raise ModelError(
                f"A derivative of a stationary distribution must be by parameters that open no new ways, but the rate "
                f"of '{model.reactions[r].name}' is zero in state ({example(law.space, i)}), its derivative is not, "
                f"and states that the chain does not come to lie behind it; choose values with which the rate is "
                f"positive, or leave that reaction out."
            )


def _of_parameter(
    law: StoredLaw,
    generator: Generator,
    heights: Heights,
    changes: Sequence[Changes],
    k: int,
    at_targets: Sequence[FloatArray],
) -> tuple[FloatArray, float, float]:
    """Return the derivative by one parameter, its bound (3), and an estimate in place of an infinite one.

    The estimate takes what is off of the law, or its own estimate, for states where a parameter changes the most.
    """
    space, y, H, matrix = law.space, law.y, heights.inside, generator.to_csr()
    index = successors(space, law.model.change)
    B = matrix_of([of_change.values[k] for of_change in changes], index, len(y))
    source = B @ y
    h = heights.occupation(source)
    h = h - float(h.sum()) / float(y.sum()) * y
    of_rates = roundings(generator) + 8.0 * UNIT_ROUNDOFF
    rest = np.abs(matrix @ h + source) + of_rates * (abs(matrix) @ np.abs(h) + abs(B) @ y)
    rest[heights.z] = 0.0
    total = float(rest @ H) + heights.leaked(np.abs(h))  # (2): r, inside and out of the space
    of_lacking = np.zeros(len(y))
    for of_change, place, above in zip(changes, index, at_targets, strict=True):
        size = np.abs(of_change.values[k]) + of_change.off[k]
        total += float((size * above)[place < 0] @ y[place < 0]) + float((of_change.off[k] * (H + above)) @ y)
        of_lacking += size * (H + above)
    total += law.largest_sum(of_lacking)  # (2): m, inside
    beyond = 0.0 if law.closed else heights.beyond(law, [of_change.above[k] for of_change in changes])
    size_of_h, sum_of_h = float(np.abs(h).sum()), abs(float(h.sum()))

    def error(rest: float) -> float:
        return (2.0 * (total + rest) + sum_of_h) * ROUNDED_UP + SUM_ROUNDING * size_of_h

    return h, error(beyond), error(law.total * float(of_lacking.max()))


def matrix_of(values: Sequence[FloatArray], index: IntArray, n: int) -> Any:
    """Return B of the rates `values` (n,) of jumps to `index` (R, n), negative for those out of the space: (n, n)."""
    every = np.arange(n)
    rows = [np.concatenate([place[place >= 0], every]) for place in index]
    columns = [np.concatenate([every[place >= 0], every]) for place in index]
    entries = [np.concatenate([value[place >= 0], -value]) for value, place in zip(values, index, strict=True)]
    where = np.concatenate(rows), np.concatenate(columns)
    return sparse.coo_array((np.concatenate(entries), where), shape=(n, n)).tocsr()


@dataclass(frozen=True, slots=True, eq=False)
class Heights:
    """The function H, and solutions of the chain that is stopped at z; an estimate where H is none."""

    generator: Generator
    z: int
    system: StoppedChain
    inside: FloatArray  # H, (n,)
    condition: DriftCondition | None
    gamma: float
    lift: float
    scale: float
    proved: bool

    @classmethod
    def of(cls, generator: Generator, z: int, condition: DriftCondition | None) -> Heights:
        """Look for H."""
        gamma = rate_outside(condition, generator) if condition is not None else 1.0
        known = not generator.n_sinks or (condition is not None and gamma > 0.0)
        boundary = boundary_of(generator, condition if known else None)
        for eliminate in (False, True):
            try:
                system = stopped_at(generator, z, eliminate)
            except RuntimeError:
                continue
            times = hitting_times(generator, system, boundary, z) if known else None
            if times is not None:
                fast = stopped_at(generator, z, eliminate=False) if eliminate else system
                return cls(generator, z, fast, times.inside, condition, gamma, times.lift, times.scale, True)
        system = _estimated(generator, z)
        return cls(generator, z, system, system.solve_adjoint(np.ones(len(generator))), None, 1.0, 0.0, 1.0, False)

    def at(self, states: IntArray) -> FloatArray:
        """Return H at states (n, d), zero where a count would be negative."""
        values = np.zeros(len(states))
        possible = (states >= 0).all(axis=1)
        place = np.full(len(states), -1)
        place[possible] = self.generator.space.index(states[possible])
        values[place >= 0] = self.inside[place[place >= 0]]
        out = possible & (place < 0)
        values[out] = float(self.inside.max())
        if self.condition is not None and out.any():
            values[out] = self.scale * (self.lift + self.condition.values(states[out]) / self.gamma)
        return values

    def occupation(self, source: FloatArray) -> FloatArray:
        """Return the occupation before z is met, (n,), from sources of either sign."""
        return self.system.solve(np.maximum(source, 0.0)) - self.system.solve(np.maximum(-source, 0.0))

    def leaked(self, size: FloatArray) -> float:
        """Return Σ a(x) size(x) H at the targets of jumps out of the space."""
        total = 0.0
        for leak in self.generator.leaks:
            targets = self.generator.space.states_at(leak.sources) + leak.change
            total += float((leak.rates * size[leak.sources]) @ self.at(targets))
        return total

    def beyond(self, law: StoredLaw, above: Sequence[Polynomial | None]) -> float:
        """Bound the part of (2) of states that are not stored, with polynomials `above` |∂a_r|."""
        H = self._outside()
        if H is None:
            return np.inf
        known, total = moment_bounds(law.model, np.inf).bounds, 0.0
        for size, change in zip(above, law.model.change.tolist(), strict=True):
            if size is None:
                return np.inf
            for alpha, c in times(size, plus(H, _positive(shifted(H, change)))).items():
                total += float(c) * known.tail(alpha, law.outside) * SLIGHTLY_UP
        return total

    def _outside(self) -> Polynomial | None:
        """Return a polynomial without negative coefficients above H out of the space; None where there is none."""
        if self.condition is None or self.condition.centre.any():
            return None
        function = self.condition.function
        if any(c < 0 for c in function.values()):
            return None
        constant = {(0,) * self.generator.model.n_species: Fraction(self.scale * self.lift)}
        return plus(scaled(function, Fraction(self.scale / self.gamma)), constant)


def _positive(polynomial: Polynomial) -> Polynomial:
    return {alpha: c for alpha, c in polynomial.items() if c > 0}


def _apart(y: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return how far probabilities between bounds may be from y, (n,)."""
    return np.maximum(np.maximum(high - y, y - low), 0.0)


def _has_several_ends(generator: Generator, p: FloatArray) -> bool:
    """Tell whether several classes are closed, though some may leak, that do not lead to each other outside.

    Classes that leak count where they hold some of the probabilities `p` (n,): others may be beyond reach.
    """
    leak_rates = generator.leak_rates
    closed = closed_classes((generator.to_csr() + sparse.diags_array(leak_rates)).tocsr())
    apart = StationaryCertifier(generator.model, None, "auto", 1.0).separate(generator, closed).members
    return sum(bool(p[members].any() or not leak_rates[members].any()) for members in apart) > 1


def _sharp(generator: Generator, p: FloatArray, condition: DriftCondition | None) -> Certificate | None:
    """Bound each probability up to a part of itself; None where that is not known, or takes long.

    What is not stored is at most what is lost over c, by (3) of `fsp.equilibrium.certificate`: twice that.
    """
    if len(generator) > ELIMINATED:
        return None
    certificate = certify(generator, int(np.argmax(p)), condition, eliminate=True)
    return (
        certificate
        if certificate is not None and max(certificate.truncation, certificate.rounding) < USEFUL_BELOW
        else None
    )


def _condition(model: Model) -> DriftCondition | None:
    """Return a drift condition of a network with infinitely many states; None where none is found."""
    try:
        return None if model.is_finite else drift_condition(model)
    except NoDriftCondition:
        return None


def _estimated(generator: Generator, z: int) -> StoppedChain:
    try:
        return stopped_at(generator, z, eliminate=False)
    except RuntimeError:
        raise ModelError(
            f"A derivative of a stationary distribution must be of a chain that comes back to its most probable state, "
            f"but that of '{generator.model.name}' has states that do not lead there."
        ) from None
