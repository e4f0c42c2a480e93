"""Account of the errors of p and its derivatives: the inequalities behind `fsp.sensitivity`.

Let y <= p be stored, m = p - y >= 0 what it lacks, h_k the computed derivatives and e_k = s_k - h_k their errors.
With ``s_k' = A s_k + (∂_k A) p`` and the residuals ρ of the paths, inside the space and out of it,

    m' = A m + ρ_0,        e_k' = A e_k + (∂_k A) m + ρ_k .

A does not expand the 1-norm, and of its moments what drift conditions say (`fsp.moments.part_moments`).  So, with w the
rate out of the space by A and w_k that by |∂_k A|, and for any function V = u^q >= 0,

(1)  d/dt Σ m V      <=  Σ m A V  +  Σ_x y Σ_out a V(x + ν)
(2)  d/dt ‖e_k‖₁     <=  Σ w |h_k| + Σ w_k y + 2 Σ_x D_k m ,                                  D_k = Σ_r |∂_k a_r|
(3)  d/dt Σ |e_k| V  <=  Σ |e_k| A V + Σ_out (a |h_k| + |∂_k a| y) V(x + ν) + Σ_r Σ_x |∂_k a_r| m (V(x) + V(x + ν_r))

apart from integration, rounding and pruning, which count where they happen, at most at the largest V of the space.
What integration and rounding make y differ by, r, stays in the space, where A lets it go.  With e the least exit rate
in a step, D = D_k, and V = D/e on any set F of states, 0 elsewhere,

(5)  ∫ Σ D |r|  <=  (Σ |r| at its beginning + ∫ Σ |ρ_0|) (max V + h max C),     C = D [not in F] + Σ_y a(x → y) V(y),

as d/dt Σ |r| V <= Σ |r| (C - D) + Σ |ρ_0| V: what is fast to go has little time to spoil anything.

The squares of scores (`fsp.inference.derived`) are only restricted by a space, to paths that stay, so that the computed
v_k is a lower bound but for integration and rounding, while over all states and paths

(4)  Σ_x v_k(x)  =  ∫ E[Σ_r (∂_k a_r)² / a_r] ds ,

whose upper bound is again an integral over the occupation and a moment of m.

D_k lies below a polynomial (`fsp.moments.envelope`), so that the last terms of (2) and (3) are moments of m.
Integrals of y and |h_k| are at most the occupation of `fsp.inference.expansion`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP, SUM_ROUNDING, dot
from fsp.distribution import ErrorLedger
from fsp.moments.part_moments import Gauge, PartMoments, mean_over, moment_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.inference.beginning import Beginning
    from fsp.inference.count_maps import Carrying, Image
    from fsp.inference.derived import Edge, RateChangeBounds
    from fsp.inference.envelopes import Bounds
    from fsp.inference.expansion import Expansion
    from fsp.moments.part_moments import Moment
    from fsp.moments.polynomial import Polynomial

UNBOUNDED_CHANGE = "no polynomial is known to bound what a parameter changes on states that are not stored"


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Squares of scores at one time."""

    stored: FloatArray  # v_k of paths that stayed, (q, n)
    off: FloatArray  # what its sums may be off, (q,)
    information: FloatArray  # upper bounds of Σ_x v_k over all paths, (4), (q,)
    certified: bool


@dataclass(eq=False)
class Squares:
    """What is known of the squares of scores."""

    bounds: tuple[Polynomial | None, ...]  # above Σ_r (∂_k a_r)² / a_r
    information: FloatArray  # (q,) the right side of (4), and that of the start
    off: FloatArray  # (q,) integration and rounding of v_k

    def charge(
        self, course: RateChangeBounds, step: Expansion, h: float, spoiled: Spoiled, moment: Moment, *, closed: bool
    ) -> None:
        """Enter what a step does, (4)."""
        q = len(self.off)
        self.off += step.integration[1 + q :] + step.rounding[1 + q :]
        self.off += h * (4.0 * course.sizes.max(axis=1) * spoiled.derivatives)
        self.off += h * course.squares.max(axis=1) * spoiled.y
        self.off += 4.0 * (course.errors * step.occupation[1 : 1 + q]).sum(axis=1)
        self.off += course.square_errors @ step.occupation[0]
        self.information += dot(course.squares, step.occupation[0]) * (1.0 + SUM_ROUNDING)
        for k, polynomial in enumerate(self.bounds):
            beyond = inf if polynomial is None else mean_over(polynomial, moment)
            largest = float(course.squares[k].max())
            self.information[k] += min(beyond, largest * spoiled.mass) if closed else beyond


class Spoiled(NamedTuple):
    """What is passed on in a step: by rounding of y and of derivatives at its beginning, and by what y lacks."""

    y: float
    derivatives: FloatArray  # (q,)
    mass: float  # ∫ Σ m


class DerivativeJump(NamedTuple):
    """What a jump of a derivative at one time may be off."""

    parameter: int
    ledger: ErrorLedger
    fed: list[FloatArray]  # its moments of orders 0 and 1, of each gauge


class DerivativeErrors:
    """What the derivatives are off, (2) and (3)."""

    def __init__(self, bounds: Bounds, beginning: Beginning) -> None:
        self.bounds = bounds
        kind, proved = "rounding" if beginning.at_its_best else "truncation", beginning.proof.of_errors
        self.ledgers = [ErrorLedger(**{kind: float(e)}, certified=proved and isfinite(e)) for e in beginning.errors]
        self.begun = beginning.bounds  # of what they were off at the beginning, (q,)
        self.remnants = np.zeros(len(self.ledgers))  # (q,) part of truncation: the last term of (2), and all of jumps
        self.gauges = [_truncated(bounds.followed[i]) for i in bounds.of_errors]
        above = [_first(beginning, gauge) for gauge in self.gauges]  # (q,) each
        self.parts = [
            PartMoments(self.gauges, [np.array([float(e), values[k]]) for values in above])
            for k, e in enumerate(beginning.errors)
        ]
        self.polynomials = [
            [bounds.remnant(k), *(bounds.remnant(k, gauge) for gauge in self.gauges)] for k in range(len(self.ledgers))
        ]

    def charge(
        self,
        k: int,
        left: float,
        off: tuple[float, float],
        remnants: tuple[list[float], bool],
        sources: Sequence[FloatArray],
    ) -> list[FloatArray]:
        """Enter a step of one of them: what left, integration and rounding; return what feeds its moments."""
        errors, bounded = remnants
        self.remnants[k] += errors[0]
        self.ledgers[k] += ErrorLedger(
            truncation=left + errors[0], integration=off[0], rounding=off[1], certified=bounded
        )
        return [source + np.array([errors[0], more]) for source, more in zip(sources, errors[1:], strict=True)]

    def remnant(
        self, k: int, moment: Moment, course: RateChangeBounds, mass: float, *, closed: bool
    ) -> tuple[list[float], bool]:
        """Bound the last terms of (2), and of (3) for each gauge; an estimate where there is no bound."""
        bounds = [_above(polynomial, course.heights.tolist(), moment) for polynomial in self.polynomials[k]]
        on_space = 2.0 * float(course.sizes[k].max()) * mass
        if closed:
            bounds[0] = min(bounds[0], on_space)
        return (bounds, True) if isfinite(bounds[0]) else ([on_space, *bounds[1:]], False)

    def means(self) -> FloatArray:
        """Bound ``Σ_x x_i |e_k|``: (q, d)."""
        largest = self.bounds.largest
        bounds = np.full((len(self.ledgers), len(largest)), inf)
        for k, ledger in enumerate(self.ledgers):
            bounded = np.isfinite(largest)
            bounds[k, bounded] = largest[bounded] * ledger.total
            for gauge, moments in zip(self.gauges, self.parts[k].moments, strict=True):
                bounds[k, gauge.species] = min(bounds[k, gauge.species], float(moments[1]))
        return bounds


class Account:
    """What has been charged so far."""

    def __init__(self, bounds: Bounds, beginning: Beginning) -> None:
        self.bounds = bounds
        self.lacking = beginning.lacking  # at the beginning
        begun = {"truncation": beginning.lacking, "rounding": beginning.rounding}
        self.y = ErrorLedger(**begun, certified=beginning.proof.of_law)
        self.slopes = DerivativeErrors(bounds, beginning)
        scores = beginning.scores
        self.squares = Squares(bounds.squares, scores.information.copy(), scores.off.copy())
        self.relative = beginning.known.relative  # rounding of each probability, where products keep it relative
        self.absolute = beginning.known.absolute  # what a probability may be off beside
        self.unplaced = beginning.lacking  # part of truncation: what a start or an event does not place in any space
        self._inside = 0.0  # integration that counts as rounding does, by (5)
        self.closed = beginning.closed  # whether nothing has left the space, so that m lives on it
        self._m = PartMoments(bounds.followed, [beginning.moments.of_p(gauge) for gauge in bounds.followed])

    @property
    def lost(self) -> float:
        """Σ m, rounding apart."""
        return self.y.truncation + self.y.pruning + self.y.integration

    @property
    def off(self) -> float:
        """Σ |r| of (5)."""
        return self.y.rounding + self._inside

    @property
    def gone(self) -> float:
        """Σ q of `fsp.inference.statewise`."""
        return (self.y.truncation + self.y.pruning) * (1.0 + 2.0 * self.relative)

    def leaving(self, course: RateChangeBounds, step: Expansion) -> FloatArray:
        """Return what leaves the space in a step, of y and of each derivative, the first terms of (1) and (2)."""
        left = np.zeros(1 + len(self.slopes.ledgers))
        for edge in course.edges:
            left += _edge(step, edge).sum(axis=1)
        return left

    def charge(self, course: RateChangeBounds, step: Expansion, h: float) -> None:
        """Enter a step of length h, (1) to (4)."""
        followed, q = self.bounds.followed, len(self.slopes.ledgers)
        passed = self.off
        if step.known is not None:
            self._inside += step.integration[0]
        fed = [np.zeros((1 + q, len(gauge.orders))) for gauge in followed]
        left = np.zeros(1 + q)
        for edge in course.edges:
            flow = _edge(step, edge)  # (1 + q, m)
            left += flow.sum(axis=1)
            for fed_moments, powers in zip(fed, edge.powers, strict=True):
                fed_moments += flow @ powers.T
        self.closed &= not left.any()
        rounding = step.rounding[: 1 + q].copy()
        spoiling = passed + (step.integration[0] + step.rounding[0] if step.known is not None else 0.0)
        rounding[1:] += 2.0 * course.exposure(h) * spoiling + 2.0 * course.errors @ step.occupation[0]
        inside = step.integration[: 1 + q].copy()
        inside[0] -= step.integration[0] * (step.known is not None)
        inside[1:] += rounding[1:]
        for fed_moments, powers in zip(fed, course.powers, strict=True):
            fed_moments += inside[:, None] * powers.max(axis=1)
        moves = [gauge.moved(h) for gauge in followed]
        mass = h * (max(self.lost + step.integration[0] - self._inside, 0.0) + left[0]) * SLIGHTLY_UP
        moment = moment_of(followed, self._m.advance(moves, [fed_moments[0] for fed_moments in fed], h), mass)
        self.y += ErrorLedger(truncation=left[0], integration=step.integration[0], rounding=rounding[0])
        if len(step.end) > 1 + q:
            earlier = np.array([ledger.integration + ledger.rounding for ledger in self.slopes.ledgers])
            earlier = earlier + self.slopes.begun
            self.squares.charge(course, step, h, Spoiled(passed, earlier, mass), moment, closed=self.closed)
        # M has nothing above its diagonal: its first two orders go on by themselves
        low = [tuple(move[:2, :2] for move in moves[place]) for place in self.bounds.of_errors]
        for k in range(q):
            remnants = self.slopes.remnant(k, moment, course, mass, closed=self.closed)
            sources = [fed[place][1 + k, :2] for place in self.bounds.of_errors]
            off = float(step.integration[1 + k]), float(rounding[1 + k])
            own_fed = self.slopes.charge(k, float(left[1 + k]), off, remnants, sources)
            self.slopes.parts[k].advance(low, own_fed, h)

    def jumped(
        self,
        k: int,
        lost: float,
        off: float,
        rates: Sequence[tuple[float, Polynomial | None]],
        fastest: float,
        of_gauges: Sequence[tuple[float, Sequence[tuple[float, Polynomial | None]]]] = (),
    ) -> DerivativeJump:
        """Return what a derivative jumps by at one time: what left, rounding, and that of what p lacks.

        The last is at most the mean, over what p lacks, of polynomials times factors, `rates`; where nothing bounds
        that, `fastest`, its largest value on stored states, makes an estimate.  `of_gauges` says the same of moments:
        both of the first, and what the last is at most the mean of.
        """
        lacking = max(self.lost - self._inside, 0.0)
        moment = moment_of(self.bounds.followed, self._m.moments, lacking)

        def mean(parts: Sequence[tuple[float, Polynomial | None]]) -> float:
            if lacking == 0.0:
                return 0.0
            return sum(inf if above is None else factor * mean_over(above, moment) for factor, above in parts)

        beyond = mean(rates)
        bounded = isfinite(beyond)
        ledger = ErrorLedger(
            truncation=lost + (beyond if bounded else fastest * lacking), rounding=off, certified=bounded
        )
        unknown = 0.0 if lost + beyond == 0.0 else inf  # Σ |e_k| u
        known = [stored + mean(parts) for stored, parts in of_gauges] or [unknown] * len(self.slopes.gauges)
        return DerivativeJump(k, ledger, [np.array([lost + off + beyond, of_gauge]) for of_gauge in known])

    def enter(self, jump: DerivativeJump) -> None:
        """Enter what a derivative jumped by."""
        k, ledger, fed = jump
        self.slopes.remnants[k] += ledger.truncation  # a larger space comes too late for what has jumped out
        self.slopes.ledgers[k] += ledger
        self.slopes.parts[k].feed(fed)

    def map(self, image: Image, carrying: Carrying, states: IntArray) -> None:
        """Enter an event that sets counts in some states (n, d), (3) of `fsp.inference.count_maps`."""
        q, followed, slopes = len(self.slopes.ledgers), self.bounds.followed, self.slopes
        mass = max(self.lost - self._inside, 0.0)
        moment, fed = moment_of(followed, self._m.moments, mass), carrying.fed(image, followed, states)
        before = zip(followed, self._m.moments, strict=True)
        self._m.moments = [carrying.moments(gauge, moments, moment, mass) for gauge, moments in before]
        self._m.feed([moments[0] for moments in fed])
        self.y += ErrorLedger(truncation=float(image.lost[0]), rounding=float(image.rounding[0]))
        self.unplaced += float(image.lost[0])
        self.relative += image.relative
        self.closed &= not image.lost.any()
        for k, part in enumerate(slopes.parts):
            total = slopes.ledgers[k].total
            moment = moment_of(slopes.gauges, part.moments, total)
            carried = zip(slopes.gauges, part.moments, strict=True)
            part.moments = [carrying.moments(gauge, moments, moment, total) for gauge, moments in carried]
            part.feed([fed[place][1 + k, :2] for place in self.bounds.of_errors])
            slopes.remnants[k] += image.lost[1 + k]
            slopes.ledgers[k] += ErrorLedger(truncation=float(image.lost[1 + k]), rounding=float(image.rounding[1 + k]))
        if len(image.rounding) > 1 + q:
            self.squares.off += image.rounding[1 + q :]

    def scores(self, stored: FloatArray) -> Scores:
        """Return what is known of the squares of scores, `stored` (q, n)."""
        squares = self.squares
        information, off = squares.information.copy(), squares.off.copy()
        return Scores(stored, off, information, bool(np.isfinite(information).all()))

    def drop(self, course: RateChangeBounds, block: FloatArray, kept: BoolArray) -> None:
        """Enter states that are dropped with what they hold; squares of scores are only restricted."""
        gone = np.abs(block[: 1 + len(self.slopes.ledgers), ~kept])  # (1 + q, n_gone)
        mass = gone.sum(axis=1)
        self.closed &= not mass.any()
        fed = [gone @ powers[:, ~kept].T for powers in course.powers]
        self.y += ErrorLedger(pruning=float(mass[0]))
        self._m.feed([moments[0] for moments in fed])
        for k, part in enumerate(self.slopes.parts):
            self.slopes.ledgers[k] += ErrorLedger(pruning=float(mass[1 + k]))
            part.feed([fed[place][1 + k, :2] for place in self.bounds.of_errors])


def _first(beginning: Beginning, gauge: Gauge) -> FloatArray:
    """Bound Σ |e_k| u at the beginning, (q,); infinite where nothing is known of what is off."""
    if beginning.moments.of_derivatives is not None:
        return beginning.moments.of_derivatives(gauge)
    return np.where(beginning.errors > 0.0, inf, 0.0)


def _above(polynomials: Sequence[Polynomial | None], heights: Sequence[float], moment: Moment) -> float:
    """Bound the mean of a sum of polynomials times functions of time that are at most `heights`."""
    means = [inf if p is None else h * mean_over(p, moment) for p, h in zip(polynomials, heights, strict=True) if h]
    return sum(means)


def _edge(step: Expansion, edge: Edge) -> FloatArray:
    """Return what leaves by the jumps of one reaction, of y and of each derivative: (1 + q, m)."""
    flow = step.occupation[: 1 + len(edge.slopes), edge.sources] * edge.rates
    flow[1:] += edge.slopes * step.occupation[0, edge.sources]
    return flow


def _truncated(gauge: Gauge) -> Gauge:
    """Return a gauge in the orders 0 and 1."""
    return Gauge(gauge.species, gauge.weights, gauge.orders[:2], gauge.matrix[:2, :2])
