"""What an adjoint needs of a forward path: products with it over time, and what it loses; see `timed_adjoint`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fsp.arithmetic import ROUNDED_UP, dot
from fsp.inference.on_step import STAGES, height
from fsp.inference.statewise import split
from fsp.moments.part_moments import PartMoments, mean_over, moment_of
from fsp.solvers.collocation import radau
from fsp.space.space import successors

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.beginning import Beginning
    from fsp.inference.envelopes import Bounds
    from fsp.inference.timed import Timed
    from fsp.inference.timed_steps import VectorOnStep
    from fsp.model import Model
    from fsp.moments.part_moments import Moment
    from fsp.space import StateSpace

GAUSS_NODES = 20  # of Gauss: exact for degrees up to 39; those of u, l and a function of time are 2 · 12 + 13
# Of a product, relative to the largest values of its factors: rounding of interpolation, with a Lebesgue constant of 10
# and sums of 13 terms each, and of 20 nodes, is 2e-14.
CONTRACTION_ROUNDING = 1e-13
# Of probability: of states that count with ζ of (6) of `timed_adjoint`, about what has left in all; chosen.
UNSEEN_PROBABILITY = 1e-19
RATIO_FACTOR = 2.0  # times a ratio of u: that of y, at most (1.1 u + g)/(0.9 u - g) where u >= 4 G
SERIES_TERMS = 12  # of a series; with at most half a jump in a step, the next is 1e-12 of the first


class Sums(NamedTuple):
    """Integrals over time of each state, for a reaction and its functions of time b, (n_rows, n_b) each."""

    products: FloatArray  # ∫ b u (l(x + ν) - l(x))
    errors: FloatArray  # what bounds their errors
    sizes: FloatArray  # ∫ |b| u (l(x + ν) + l(x) + 2 κ), at most


@dataclass(frozen=True, slots=True, eq=False)
class _ReactionSlopes:
    """What parameters change of a reaction's rate."""

    number: int
    rows: IntArray  # states where they do, (n_rows,)
    clocks: IntArray  # functions of time, (n_b,)
    values: FloatArray  # ∂_k a over them, (n_b, q, n_rows)
    off: FloatArray  # what these may be off


@dataclass(frozen=True, slots=True, eq=False)
class Contraction:
    """Products of ∂_k A with paths."""

    targets: IntArray  # where each reaction leads, n for what leaves, (R, n)
    largest: FloatArray  # max_x D_k over each function of time, (n_changing, q)
    reactions: list[_ReactionSlopes]
    tops: FloatArray  # max_x |∂_k a_r| over each function of time, (R, n_changing, q)

    @classmethod
    def of(cls, model: Model, space: StateSpace, timed: Timed) -> Contraction:
        """Take the derivatives of a generator apart by reactions."""
        n, (n_changing, q, _) = len(space), timed.sizes.shape
        index = successors(space, model.change)
        tops = np.zeros((model.n_reactions, n_changing, q))
        by_reaction: dict[int, list[tuple[int, FloatArray, FloatArray]]] = {}
        for r, c, values, off in timed.terms:
            by_reaction.setdefault(r, []).append((c, values, off))
            tops[r, c] = (np.abs(values) + off).max(axis=1, initial=0.0)
        reactions = []
        for r, terms in by_reaction.items():
            values, off = np.array([v for _, v, _ in terms]), np.array([e for _, _, e in terms])
            rows = np.flatnonzero((np.abs(values) + off).any(axis=(0, 1)))
            reactions.append(
                _ReactionSlopes(r, rows, np.array([c for c, *_ in terms]), values[:, :, rows], off[:, :, rows])
            )
        return cls(np.where(index < 0, n, index), timed.sizes.max(axis=2, initial=0.0), reactions, tops)

    def empty(self) -> list[Sums]:
        """Return integrals of nothing."""
        return [Sums(*(np.zeros((len(r.rows), len(r.clocks))) for _ in range(3))) for r in self.reactions]

    def add(
        self,
        sums: list[Sums],
        forward: VectorOnStep,
        back: VectorOnStep,
        part: tuple[float, float],
        off: float,
        floor: float,
    ) -> None:
        """Add the part of time that two steps have in common; `off` is E + Ê of (4)."""
        first, last = part
        x, w = _gauss()
        t, w = first + 0.5 * (last - first) * (1.0 + x), 0.5 * (last - first) * w
        u = forward.points @ _values((t - forward.start) / forward.length).T  # (n, GAUSS_NODES)
        l = back.points @ _values((back.start + back.length - t) / back.length).T  # noqa: E741 - as in (1)
        l, largest = np.append(l, np.zeros((1, GAUSS_NODES)), axis=0), np.append(back.largest, 0.0)  # noqa: E741
        middle = back.start + 0.5 * back.length
        clocks = back.on_step.changing
        b = np.array([clock.middle + np.polynomial.polynomial.polyval(t - middle, clock.change) for clock in clocks])
        heights = heights_of(back)
        wrong = (off + CONTRACTION_ROUNDING) * heights + np.array([clock.remainder for clock in clocks])
        for reaction, total in zip(self.reactions, sums, strict=True):
            rows, chosen = reaction.rows, reaction.clocks
            to = self.targets[reaction.number, rows]
            product = u[rows] * (l[to] - l[rows])  # (n_rows, GAUSS_NODES)
            np.add(total.products, product @ (w * b[chosen]).T, out=total.products)
            size = forward.largest[rows] * (largest[to] + largest[rows] + 2.0 * floor) * (last - first) * ROUNDED_UP
            np.add(total.errors, np.outer(size, wrong[chosen]), out=total.errors)
            np.add(total.sizes, np.outer(size, heights[chosen]), out=total.sizes)

    def gathered(self, sums: list[Sums]) -> tuple[FloatArray, FloatArray]:
        """Return what all of them come to, and what bounds its error, (q,) each."""
        q = self.largest.shape[1]
        values, errors = np.zeros(q), np.zeros(q)
        for reaction, total in zip(self.reactions, sums, strict=True):
            values += dot(reaction.values, total.products.T[:, None]).sum(axis=0)
            errors += np.einsum("bkx,xb->k", np.abs(reaction.values) + reaction.off, total.errors)
            errors += np.einsum("bkx,xb->k", reaction.off, total.sizes)
        return values, errors

    def comes(self, r: int, flow: FloatArray, u: FloatArray, absolute: float) -> tuple[float, FloatArray, float]:
        """Return what a flow (n,) by a reaction, with itself where it starts, is of u at most, and ζ, as in (6).

        ζ is what comes to each state, (n,), and what leaves J.
        """
        n = len(u)
        sums: FloatArray = np.bincount(self.targets[r], weights=flow, minlength=n + 1).astype(np.float64)
        sums[:n] += flow
        least = np.where(u >= max(4.0 * absolute, UNSEEN_PROBABILITY), u, 0.0)
        epsilon = split(sums[:n], least, max(absolute, UNSEEN_PROBABILITY)).relative
        return epsilon, np.maximum(sums[:n] - epsilon * least, 0.0), float(sums[n])


class Lost(NamedTuple):
    """What (6) is on a step of y: (R,) each."""

    ratios: FloatArray
    rest: FloatArray
    begun: FloatArray  # ζ before (7), and what leaves at once
    moments: list[FloatArray]  # ∫ Σ m u^q on the step, of each gauge, (n_orders,)
    time: float  # ∫ Σ m on it


class Truncation:
    """What y loses, and the moments of that."""

    def __init__(self, bounds: Bounds, timed: Timed, contraction: Contraction, beginning: Beginning) -> None:
        self._bounds, self._timed, self._contraction = bounds, timed, contraction
        of_gauge = beginning.moments.of_lacking or beginning.moments.of_p
        self._part = PartMoments(bounds.followed, [of_gauge(gauge) for gauge in bounds.followed])
        self._absolute = 0.0
        self._moving = [r.number for r in contraction.reactions]
        self.mass = beginning.lacking  # Σ m, but for what g of (2) leaves by
        self.steps: list[Lost] = []
        self._largest = [
            np.max([powers.max(axis=1), *(edge[3][i].max(axis=1, initial=0.0) for edge in timed.edges)], axis=0)
            for i, powers in enumerate(timed.powers)
        ]

    @property
    def gone(self) -> float:
        """Bound what has left J in all."""
        return (self.mass + self._absolute) * ROUNDED_UP

    def moment(self) -> Moment:
        """Return bounds of the moments of what has left by now."""
        return moment_of(self._bounds.followed, self._part.moments, self.gone)

    def enter(self, piece: VectorOnStep) -> None:
        """Follow it over a step."""
        h, followed = piece.length, self._bounds.followed
        self._absolute = piece.off.absolute
        heights = np.array([height(clock, h) for clock in piece.on_step.clocks])
        occupation = h * (1.0 + piece.off.relative) * piece.largest * ROUNDED_UP  # (n,)
        fed = [self._absolute * largest for largest in self._largest]
        for sources, rates, _, powers in self._timed.edges:
            flow = (heights @ rates) * occupation[sources]
            self.mass += float(flow.sum()) * ROUNDED_UP
            fed = [sums + (above @ flow) * ROUNDED_UP for sums, above in zip(fed, powers, strict=True)]
        moved = self._part.advance([gauge.moved(h) for gauge in followed], fed, h)
        ratios, rest, begun = np.zeros((3, len(self._contraction.targets)))
        for reaction in self._contraction.reactions:
            flow = np.zeros(len(piece.largest))
            flow[reaction.rows] = piece.largest[reaction.rows]
            r = reaction.number
            ratio, zeta, left = self._contraction.comes(r, flow, piece.least, self._absolute)
            later, zeta_left = self._later(zeta, piece, heights)
            ratios[r], rest[r], begun[r] = ratio + later, zeta_left + left, float(zeta.sum()) + left
        leaves = 2.0 * self._absolute
        parts = (RATIO_FACTOR * ratios + 1.0, RATIO_FACTOR * rest + leaves, RATIO_FACTOR * begun + leaves)
        self.steps.append(Lost(*parts, list(moved), h * self.gone * ROUNDED_UP))

    def _later(self, zeta: FloatArray, piece: VectorOnStep, heights: FloatArray) -> tuple[float, float]:
        """Return what ζ is of y when a step ends, at most, and the sum of what is more and of what leaves on the step.

        That is (7) of `timed_adjoint`.
        """
        h, total = piece.length, float(zeta.sum())
        jumps = h * float((heights @ self._timed.exits).max(initial=0.0))
        if total <= UNSEEN_PROBABILITY or jumps > 0.5:
            return 0.0, total
        moved, term = zeta.copy(), zeta
        for k in range(1, SERIES_TERMS):
            flow = sum(g * (part @ term) for g, part in zip(heights.tolist(), self._timed.moduli, strict=True))
            term = h / k * np.asarray(flow)
            moved += term
        missed = 2.0 * float(term.sum()) * 2.0 * jumps / SERIES_TERMS
        left = sum(float((heights @ rates) @ moved[sources]) for sources, rates, *_ in self._timed.edges)
        end = np.maximum(piece.points[:, -1], 0.0)
        known = split(moved * ROUNDED_UP, np.where(end >= 4.0 * piece.off.absolute, end, 0.0), UNSEEN_PROBABILITY)
        return known.relative, known.absolute + (missed + h * left) * ROUNDED_UP

    def beyond(self, weights: FloatArray) -> FloatArray:
        """Bound ∫ Σ_x m D_k, (q,), weighted by functions of time that are at most `weights`, (n_steps, n_changing)."""
        total = np.zeros(self._timed.sizes.shape[1])
        if self.gone == 0.0 or not self.steps:
            return total
        by_gauge = [np.array(moments) for moments in zip(*(step.moments for step in self.steps), strict=True)]
        times = np.array([step.time for step in self.steps])
        for c in np.flatnonzero(weights.any(axis=0)).tolist():
            weight = weights[:, c]
            moment = moment_of(self._bounds.followed, [weight @ moments for moments in by_gauge], float(weight @ times))
            for k in range(len(total)):
                polynomial = self._bounds.remnant(k)[c]
                total[k] += 0.5 * (np.inf if polynomial is None else mean_over(polynomial, moment))
        return total * ROUNDED_UP


def heights_of(piece: VectorOnStep) -> FloatArray:
    """Bound the functions of time by which parameters change rates, (n_changing,)."""
    return np.array([height(clock, piece.length) for clock in piece.on_step.changing])


@lru_cache
def _gauss() -> tuple[FloatArray, FloatArray]:
    """Return nodes from -1 to 1 and weights, (GAUSS_NODES,) each."""
    return np.polynomial.legendre.leggauss(GAUSS_NODES)


@lru_cache
def _to_modes() -> FloatArray:
    """Return what gives Chebyshev coefficients of values where a step begins and at its stages, (1 + s, 1 + s)."""
    points = np.concatenate([[0.0], radau(STAGES).nodes])
    return np.asarray(np.linalg.inv(np.polynomial.chebyshev.chebvander(2.0 * points - 1.0, STAGES)))


def _values(tau: FloatArray) -> FloatArray:
    """Return what gives values at shares of a step, (N, 1 + s)."""
    return np.asarray(np.polynomial.chebyshev.chebvander(2.0 * tau - 1.0, STAGES) @ _to_modes())
