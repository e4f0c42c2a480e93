"""Account of what p and its derivatives are off: the inequalities behind `fsp.sensitivity`.

Let y <= p be stored, m = p - y >= 0 what it lacks, h_k the computed derivatives and e_k = s_k - h_k their errors.
With ``s_k' = A s_k + (∂_k A) p`` and the residuals ρ of the paths, inside the space and out of it,

    m' = A m + ρ_0,        e_k' = A e_k + (∂_k A) m + ρ_k .

A does not expand the 1-norm, and of its moments what drift conditions say (`fsp.moments.parts`).  So, with w the rate
out of the space by A and w_k that by |∂_k A|, and for any function V = u^q >= 0,

(1)  d/dt Σ m V      <=  Σ m A V  +  Σ_x y Σ_out a V(x + ν)
(2)  d/dt ‖e_k‖₁     <=  Σ w |h_k| + Σ w_k y + 2 Σ_x D_k m ,                                  D_k = Σ_r |∂_k a_r|
(3)  d/dt Σ |e_k| V  <=  Σ |e_k| A V + Σ_out (a |h_k| + |∂_k a| y) V(x + ν) + Σ_r Σ_x |∂_k a_r| m (V(x) + V(x + ν_r))

apart from integration, rounding and pruning, which count where they happen, at most at the largest V of the space.
The squares of scores (`fsp.inference.derived`) are only restricted by a space, to paths that stay, so that the computed
v_k is a lower bound but for integration and rounding, while over all states and paths

(4)  Σ_x v_k(x)  =  ∫ E[Σ_r (∂_k a_r)² / a_r] ds ,

whose upper bound is again an integral over the occupation and a moment of m.

D_k lies below a polynomial (`fsp.moments.envelope`), so that the last terms of (2) and (3) are moments of m.
Integrals of y and |h_k| are at most the occupation of `fsp.inference.expansion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, isfinite
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SUM_ROUNDING
from fsp.distribution import ErrorLedger
from fsp.model.tree import ZERO, Number, call
from fsp.moments.dissipation import without_bounded
from fsp.moments.envelope import envelope
from fsp.moments.parts import Gauge, Part, gauges, mean_over, moment_of
from fsp.moments.polynomial import Polynomial, collect, degree
from fsp.moments.terms import in_falling_powers

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.inference.derived import Derived
    from fsp.inference.expansion import Expansion
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.model.tree import Expression

MOST_ORDER = 6  # of the moments that are followed; chosen, not measured
OPEN = "no polynomial is known to bound what a parameter changes on states that are not stored"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Squares of scores at one time."""

    stored: FloatArray  # v_k of paths that stayed, (q, n)
    off: FloatArray  # what its sums may be off, (q,)
    whole: FloatArray  # upper bounds of Σ_x v_k over all paths, (4), (q,)
    certified: bool


@dataclass(frozen=True, eq=False)
class Bounds:
    """What bounds the derivatives of a model on all of its states, and the gauges that are followed."""

    sizes: tuple[tuple[Polynomial | None, ...], ...]  # above |∂_k a_r|, of unbounded species, by k and r
    squares: tuple[Polynomial | None, ...]  # above Σ_r (∂_k a_r)² / a_r
    followed: tuple[Gauge, ...]  # of m
    of_errors: tuple[int, ...]  # which of them are followed for e_k as well, in the orders 0 and 1
    largest: FloatArray  # (d,) largest counts
    change: FloatArray  # (n_reactions, d)

    @classmethod
    def of(cls, model: Model, slopes: Derivatives, horizon: float) -> Bounds:
        """Look for them."""
        largest = model.species_bounds
        sizes = tuple(tuple(_size(model, tree, largest) for tree in trees) for trees in slopes.trees)
        squares = tuple(_square(model, slopes, k, sizes[k], largest) for k in range(len(sizes)))
        most = max((degree(p) for own in (*sizes, squares) for p in own if p is not None), default=0)
        followed = gauges(model, horizon, min(most + 1, MOST_ORDER))
        of_errors = tuple(i for i, gauge in enumerate(followed) if gauge.orders[1] == 1)
        return cls(sizes, squares, followed, of_errors, largest, model.change.astype(np.float64))

    def remnant(self, k: int, gauge: Gauge | None = None) -> Polynomial | None:
        """Return a polynomial above ``Σ_r |∂_k a_r| (V(x) + V(x + ν_r))`` with V = 1, or V = u of a gauge."""
        parts: list[tuple[tuple[int, ...], Fraction]] = []
        width = self.change.shape[1]
        for r, size in enumerate(self.sizes[k]):
            if size is None:
                return None
            terms = {(0,) * width: Fraction(2)} if gauge is None else _twice(gauge, self.change[r])
            parts += [
                (tuple(i + j for i, j in zip(a, b, strict=True)), c * d)
                for a, c in size.items()
                for b, d in terms.items()
            ]
        return without_bounded(collect(parts), self.largest)


def _twice(gauge: Gauge, change: FloatArray) -> Polynomial:
    """Return 2 u(x) + max(u(ν), 0)."""
    width = len(change)
    step = max(0.0, float(gauge.weights @ change)) * (1.0 + 1e-12)
    terms = [(tuple(int(i == j) for j in range(width)), Fraction(2.0 * float(w))) for i, w in enumerate(gauge.weights)]
    return collect([*terms, ((0,) * width, Fraction(step))])


def _size(model: Model, tree: Expression, largest: FloatArray) -> Polynomial | None:
    """Return a polynomial without negative coefficients above the modulus of a tree; None where none is known."""
    if tree == ZERO:
        return {}
    found = envelope(tree, model.species)
    if found.upper is None or found.lower is None:
        return None
    above = in_falling_powers(found.upper, upper=True)
    below = in_falling_powers({powers: -c for powers, c in found.lower.items()}, upper=True)
    joined = {alpha: max(above.get(alpha, Fraction(0)), below.get(alpha, Fraction(0))) for alpha in {*above, *below}}
    return without_bounded({alpha: c for alpha, c in joined.items() if c > 0}, largest)


def _square(
    model: Model, slopes: Derivatives, k: int, sizes: Sequence[Polynomial | None], largest: FloatArray
) -> Polynomial | None:
    """Return a polynomial above Σ_r (∂_k a_r)² / a_r: of laws θ f that is |∂_k a_r|, over θ without logarithm."""
    parts: list[tuple[tuple[int, ...], Fraction]] = []
    for tree, law, own, linear in zip(
        slopes.trees[k], model.rate_expressions, sizes, slopes.proportional[k], strict=True
    ):
        if tree == ZERO or law is None:
            continue
        found = own if linear else _size(model, call("/", call("^", tree, Number(2.0)), law), largest)
        if found is None:
            return None
        value = Fraction(1) if slopes.log or not linear else 1 / abs(Fraction(model.parameters[slopes.names[k]]))
        parts += [(alpha, c * value * Fraction(1.0 + 1e-12)) for alpha, c in found.items()]
    return collect(parts)


@dataclass(eq=False)
class Account:
    """What has been charged so far."""

    bounds: Bounds
    n_parameters: int
    lacking: float  # what y lacks at the beginning
    start: Sequence[FloatArray]  # its moments, of each gauge
    rounding: float  # of the start
    y: ErrorLedger = field(init=False)
    derivatives: list[ErrorLedger] = field(init=False)
    remnants: FloatArray = field(init=False)  # (q,) part of truncation: the last term of (2)
    squares: FloatArray = field(init=False)  # (q,) the right side of (4)
    squares_off: FloatArray = field(init=False)  # (q,) integration and rounding of v_k
    relative: float = 0.0  # rounding of each probability, where products keep it relative
    absolute: float = field(init=False)  # what a probability may be off beside
    closed: bool = True  # whether nothing has left the space, so that m lives on it

    def __post_init__(self) -> None:
        self.absolute = self.rounding
        self.y = ErrorLedger(truncation=self.lacking, rounding=self.rounding)
        self.derivatives = [ErrorLedger() for _ in range(self.n_parameters)]
        self.remnants = np.zeros(self.n_parameters)
        self.squares, self.squares_off = np.zeros(self.n_parameters), np.zeros(self.n_parameters)
        self._m = Part(self.bounds.followed, [own.copy() for own in self.start])
        self._gauges = [_truncated(self.bounds.followed[i]) for i in self.bounds.of_errors]
        self._e = [Part(self._gauges) for _ in range(self.n_parameters)]
        self._polynomials = [self._all_remnants(k) for k in range(self.n_parameters)]

    def _all_remnants(self, k: int) -> list[Polynomial | None]:
        return [self.bounds.remnant(k), *(self.bounds.remnant(k, gauge) for gauge in self._gauges)]

    def leaving(self, derived: Derived, step: Expansion) -> FloatArray:
        """Return what leaves the space in a step, of y and of each derivative, the first terms of (1) and (2)."""
        left = np.zeros(1 + self.n_parameters)
        for edge in derived.edges:
            left += _edge(step, edge.sources, edge.rates, edge.slopes).sum(axis=1)
        return left

    def charge(self, derived: Derived, step: Expansion, h: float, passed: float) -> None:
        """Enter a step of length h, (1) to (3); `passed` bounds the rounding of y at its beginning."""
        followed, q = self.bounds.followed, self.n_parameters
        fed = [np.zeros((1 + q, len(gauge.orders))) for gauge in followed]
        left = np.zeros(1 + q)
        for edge in derived.edges:
            flow = _edge(step, edge.sources, edge.rates, edge.slopes)  # (1 + q, m)
            left += flow.sum(axis=1)
            for own, powers in zip(fed, edge.powers, strict=True):
                own += flow @ powers.T
        self.closed &= not left.any()
        rounding = step.rounding[: 1 + q].copy()
        rounding[1:] += 2.0 * derived.sizes.max(axis=1) * h * passed + 2.0 * derived.errors @ step.occupation[0]
        inside = step.integration[: 1 + q].copy()
        inside[1:] += rounding[1:]
        for own, powers in zip(fed, derived.powers, strict=True):
            own += inside[:, None] * powers.max(axis=1)
        moves = [gauge.moved(h) for gauge in followed]
        lacking = self.y.truncation + self.y.pruning + self.y.integration
        integrals = self._m.advance(moves, [own[0] for own in fed], h)
        self.y += ErrorLedger(truncation=left[0], integration=step.integration[0], rounding=rounding[0])
        mass = h * (lacking + left[0] + step.integration[0]) * (1.0 + 1e-12)
        if len(step.end) > 1 + q:
            self._charge_scores(derived, step, h, passed, integrals, mass)
        for k in range(q):
            remnants, bounded = self._remnants(k, derived, integrals, mass)
            self.remnants[k] += remnants[0]
            self.derivatives[k] += ErrorLedger(
                truncation=left[1 + k] + remnants[0],
                integration=step.integration[1 + k],
                rounding=rounding[1 + k],
                certified=bounded,
            )
            self._go_on(k, fed, remnants, h, moves)

    def _charge_scores(
        self,
        derived: Derived,
        step: Expansion,
        h: float,
        passed: float,
        integrals: Sequence[FloatArray],
        mass: float,
    ) -> None:
        """Enter what a step does to the squares of scores, (4)."""
        q = self.n_parameters
        earlier = np.array([ledger.integration + ledger.rounding for ledger in self.derivatives])
        self.squares_off += step.integration[1 + q :] + step.rounding[1 + q :]
        self.squares_off += h * (4.0 * derived.sizes.max(axis=1) * earlier + derived.squares.max(axis=1) * passed)
        self.squares_off += 4.0 * (derived.errors * step.occupation[1 : 1 + q]).sum(axis=1)
        self.squares_off += derived.square_errors @ step.occupation[0]
        self.squares += derived.squares @ step.occupation[0] * (1.0 + SUM_ROUNDING)
        moment = moment_of(self.bounds.followed, integrals, mass)
        for k, polynomial in enumerate(self.bounds.squares):
            beyond = inf if polynomial is None else mean_over(polynomial, moment)
            self.squares[k] += min(beyond, float(derived.squares[k].max()) * mass) if self.closed else beyond

    def scores(self, stored: FloatArray) -> Scores:
        """Return what is known of the squares of scores, `stored` (q, n)."""
        return Scores(stored, self.squares_off.copy(), self.squares.copy(), bool(np.isfinite(self.squares).all()))

    def _remnants(
        self, k: int, derived: Derived, integrals: Sequence[FloatArray], mass: float
    ) -> tuple[list[float], bool]:
        """Bound the last terms of (2), and of (3) for each gauge; an estimate where there is no bound."""
        moment = moment_of(self.bounds.followed, integrals, mass)
        found = [inf if p is None else mean_over(p, moment) for p in self._polynomials[k]]
        on_space = 2.0 * float(derived.sizes[k].max()) * mass
        if self.closed:
            found[0] = min(found[0], on_space)
        if isfinite(found[0]):
            return found, True
        return [on_space, *found[1:]], False

    def _go_on(
        self,
        k: int,
        fed: Sequence[FloatArray],
        remnants: Sequence[float],
        h: float,
        moves: Sequence[tuple[FloatArray, ...]],
    ) -> None:
        own = []
        for place, remnant in zip(self.bounds.of_errors, remnants[1:], strict=True):
            own.append(fed[place][1 + k, :2] + np.array([remnants[0], remnant]))
        # M has nothing above its diagonal: its first two orders go on by themselves
        low = [tuple(move[:2, :2] for move in moves[place]) for place in self.bounds.of_errors]
        self._e[k].advance(low, own, h)

    def drop(self, derived: Derived, block: FloatArray, kept: BoolArray) -> None:
        """Enter states that are dropped with what they hold; squares of scores are only restricted."""
        gone = np.abs(block[: 1 + self.n_parameters, ~kept])  # (1 + q, n_gone)
        mass = gone.sum(axis=1)
        self.closed &= not mass.any()
        fed = [gone @ powers[:, ~kept].T for powers in derived.powers]
        self.y += ErrorLedger(pruning=float(mass[0]))
        self._m.feed([own[0] for own in fed])
        for k in range(self.n_parameters):
            self.derivatives[k] += ErrorLedger(pruning=float(mass[1 + k]))
            self._e[k].feed([fed[place][1 + k, :2] for place in self.bounds.of_errors])

    def mean_errors(self) -> FloatArray:
        """Bound ``Σ_x x_i |e_k|``: (q, d)."""
        found = np.full((self.n_parameters, len(self.bounds.largest)), inf)
        for k, ledger in enumerate(self.derivatives):
            bounded = np.isfinite(self.bounds.largest)
            found[k, bounded] = self.bounds.largest[bounded] * ledger.total
            for gauge, moments in zip(self._gauges, self._e[k].moments, strict=True):
                found[k, gauge.species] = min(found[k, gauge.species], float(moments[1]))
        return found


def _edge(step: Expansion, sources: IntArray, rates: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return what leaves by the jumps of one reaction, of y and of each derivative: (1 + q, m)."""
    flow = step.occupation[: 1 + len(slopes), sources] * rates
    flow[1:] += slopes * step.occupation[0, sources]
    return flow


def _truncated(gauge: Gauge) -> Gauge:
    """Return a gauge in the orders 0 and 1."""
    return Gauge(gauge.species, gauge.weights, gauge.orders[:2], gauge.matrix[:2, :2])
