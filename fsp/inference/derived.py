"""The derivatives of a generator on a space: products with a block of vectors, and what leaves by them.

For a parameter θ_k the matrix ∂_k A has ``∂_k a_r(x)`` at x + ν_r and minus that at x, for each reaction r.  It
takes a vector v to one of 1-norm at most ``2 Σ_x D_k(x) |v(x)|``, where ``D_k = Σ_r |∂_k a_r|``.

The score S_k of a path is the derivative of the logarithm of its density: it jumps by ``∂_k a_r / a_r`` where r takes
place, and falls by Σ_r ∂_k a_r per unit of time.  With ``v_k(x) = E[S_k² ; X = x]`` and the gains G_k, which have
``(∂_k a_r)² / a_r`` at x + ν_r,

    s_k(x) = E[S_k ; X = x],        v_k' = A v_k + 2 (∂_k A) s_k + G_k p .
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.arithmetic import SLIGHTLY_UP
from fsp.equilibrium.response import NO_SLOPE
from fsp.errors import ModelError
from fsp.generator.block_kernels import add_products
from fsp.inference.parameters import Derivatives, require_finite
from fsp.model.accuracy import errors
from fsp.model.tree import ZERO

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.model import Model
    from fsp.moments.part_moments import Gauge


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """The jumps of one reaction that leave the space."""

    sources: IntArray  # the states that they leave from, (m,)
    rates: FloatArray  # (m,), 1/time
    slopes: FloatArray  # |∂_k a_r|, (q, m)
    powers: tuple[FloatArray, ...]  # of each gauge, where they lead to, (n_orders, m)
    reaction: str = ""  # its name; none where rates depend on time, and may be zero for now


def refuse_new_ways(edges: Sequence[Edge]) -> None:
    """Refuse to grow along rates that are zero while their derivatives are not: no reaction step leads there."""
    for edge in edges:
        if edge.reaction and not edge.rates.any() and (edge.slopes > NO_SLOPE).any():
            raise ModelError(
                f"The rate of '{edge.reaction}' must not be zero where its derivative by a parameter leads to new "
                f"states, but is; choose values with which it is positive, or leave that reaction out."
            )


@dataclass(slots=True, eq=False)
class RateChangeBounds:
    """Upper bounds of what parameters change of the rates in a step, and what leaves the space by it."""

    sizes: FloatArray  # D_k(x), (q, n), 1/time
    errors: FloatArray  # what ∂_k A may be off, (q, n)
    squares: FloatArray  # Σ_r (∂_k a_r)² / a_r, rounded up, (q, n), 1/time
    square_errors: FloatArray
    powers: list[FloatArray]  # of each gauge, (n_orders, n) each
    edges: list[Edge]
    heights: FloatArray  # of the functions of time by which parameters change rates, (n_changing,); one for constants
    exposures: FloatArray | None = None  # (5) of `fsp.inference.account`, (q,); None for no more than the sizes say

    def exposure(self, h: float) -> FloatArray:
        """Bound ∫ Σ D_k |r| over a step, for Σ |r| <= 1: (q,)."""
        return h * self.sizes.max(axis=1) if self.exposures is None else self.exposures

    @classmethod
    def nothing(cls, q: int, powers: list[FloatArray], n: int) -> RateChangeBounds:
        """Return what is known where no parameter changes anything, on n states."""
        sizes, errors, squares, square_errors = (np.zeros((q, n)) for _ in range(4))
        return cls(sizes, errors, squares, square_errors, powers, [], np.ones(1))


class Derived:
    """A generator and its derivatives by q parameters, and products with blocks of vectors."""

    def __init__(
        self,
        generator: Generator,
        slopes: Derivatives,
        followed: Sequence[Gauge],
        *,
        scores: bool = False,
        widened: float = 1.0,
    ) -> None:
        self.generator = generator
        # Λ, rounded up: I + A/Λ has no negative entry; any number where nothing happens
        self.rate = widened * generator.largest_exit_rate * SLIGHTLY_UP or 1.0
        self._n, self._q = len(generator), len(slopes.names)
        self._scores = scores
        self._block = generator.operator.block(1 + (2 if scores else 1) * self._q)
        self._states = generator.space.states
        self.course = RateChangeBounds.nothing(self._q, [gauge.powers(self._states) for gauge in followed], self._n)
        parts = [self._of_reaction(r, slopes, followed) for r in range(generator.model.n_reactions)]
        present = [part for part in parts if part is not None]
        self._matrix = self._assembled([part[:2] for part in present], with_losses=True)
        if scores:
            self._gains = self._assembled([part[1:][::-1] for part in present], with_losses=False)
            self._each = [self._matrix[k * self._n : (k + 1) * self._n] for k in range(self._q)]
        counts = np.diff(self._matrix.indptr)
        self.roundings = int(counts.max(initial=0)) + 4  # operations behind an entry of a product with ∂_k A / Λ

    # ---- products

    def enter(self, vectors: FloatArray) -> FloatArray:
        """Return vectors (m, n) of the space as a block of the operator, (size,), see `fsp.generator.blocks`."""
        return self._block.enter(vectors.T)

    def leave(self, block: FloatArray) -> FloatArray:
        """Return the vectors of a block in the order of the space, (m, n)."""
        return np.ascontiguousarray(self._block.leave(block).T)

    def room(self, *shape: int) -> FloatArray:
        """Return room for blocks, (*shape, size), zeros."""
        return self._block.zeros(*shape)

    def step(self, block: FloatArray, out: FloatArray) -> None:
        """Write ``(I + 𝔸/Λ)`` times a block to `out`.

        𝔸 is the generator of p and its derivatives together: A on each of them, and ∂_k A from p to the k-th; with
        scores, of their squares too.  The vectors of the block are 1 + q, or 1 + 2q.
        """
        q, scale = self._q, 1.0 / self.rate
        self._block.advance(block, out, scale)
        if not q:
            return
        p = np.ascontiguousarray(self._block.vector(block, 0))
        self._add(self._matrix, scale, p, out, slice(1, 1 + q))
        if self._scores:
            self._add(self._gains, scale, p, out, slice(1 + q, 1 + 2 * q))
            for k, moved in enumerate(self._each):
                feeding = np.ascontiguousarray(self._block.vector(block, 1 + k))
                self._add(moved, 2.0 * scale, feeding, out, slice(1 + q + k, 2 + q + k))

    def _add(self, matrix: Any, scale: float, v: FloatArray, out: FloatArray, to: slice) -> None:
        """Add `scale` times matrices, one below the other, times v to vectors of a block."""
        places, steps = self._block.places[to], self._block.steps[to]
        add_products(matrix.indptr, matrix.indices, matrix.data, scale, v, out, places, steps)

    # ---- what is made of a reaction

    def _of_reaction(self, r: int, slopes: Derivatives, followed: Sequence[Gauge]) -> tuple[Any, ...] | None:
        """Take note of what leaves by a reaction; return values (q, n), targets (n,), and squares (q, n)."""
        model, states = self.generator.model, self._states
        values, off = slopes_on(model, states, r, slopes)
        targets = states + model.change[r]
        index = self.generator.space.index(targets)
        if ((targets < 0).any(axis=1) & (values != 0.0).any(axis=0)).any():
            raise ModelError(
                f"The rate of '{model.reactions[r].name}' must stay zero where a count would become negative, but its "
                f"derivative is not."
            )
        sizes = np.abs(values) + off
        self.course.sizes += sizes
        self.course.errors += off
        outside = np.flatnonzero(index < 0)
        rates = model.propensity(r, states[outside])
        leaves = (rates > 0.0) | sizes[:, outside].any(axis=0)
        outside, rates = outside[leaves], rates[leaves]
        if len(outside):
            powers = tuple(gauge.powers(targets[outside]) for gauge in followed)
            self.course.edges.append(Edge(outside, rates, sizes[:, outside], powers, str(model.reactions[r].name)))
        if not values.any():
            return None
        return values, index, self._squared(r, values, off) if self._scores else values

    def _squared(self, r: int, values: FloatArray, off: FloatArray) -> FloatArray:
        """Return (∂_k a_r)² / a_r, (q, n)."""
        model = self.generator.model
        rates = model.propensity(r, self._states)  # (n,)
        if (values[:, rates == 0.0] != 0.0).any():
            raise ModelError(
                f"The rate of '{model.reactions[r].name}' must not vanish where its derivative does not: such a "
                f"parameter would be known exactly."
            )
        divisor = np.where(rates > 0.0, rates, 1.0)
        squares: FloatArray = values**2 / divisor
        above = (np.abs(values) + off) ** 2 / divisor * SLIGHTLY_UP
        self.course.squares += above
        self.course.square_errors += above - squares
        return squares

    def _assembled(self, parts: Sequence[tuple[Any, ...]], *, with_losses: bool) -> Any:
        """Return all ∂_k A, or what they gain, one below the other: (q n, n) CSR; `parts`: values and targets."""
        n = self._n
        numbers = self._block.zeros()
        self._block.vector(numbers, 0)[:] = np.arange(n)
        place = self._block.leave(numbers)[:, 0].astype(np.int64)  # in the order of the operator, (n,)
        rows, columns, entries = [np.empty(0, dtype=np.int64)] * 2 + [np.empty(0)]
        for values, index in parts:
            inside = index >= 0
            for k, row in enumerate(values):
                moved = inside & (row != 0.0)
                lost = (row != 0.0) & with_losses
                rows = np.concatenate([rows, k * n + place[index[moved]], k * n + place[lost]])
                columns = np.concatenate([columns, place[moved], place[lost]])
                entries = np.concatenate([entries, row[moved], -row[lost]])
        matrix = sparse.coo_array((entries, (rows, columns)), shape=(self._q * n, n)).tocsr()
        matrix.indptr = matrix.indptr.astype(np.int64)
        return matrix


def slopes_on(model: Model, states: IntArray, r: int, slopes: Derivatives) -> tuple[FloatArray, FloatArray]:
    """Return ∂_k a_r in states (n, d), and what it may be off: (q, n) each."""
    columns = {name: states[:, s].astype(np.float64) for s, name in enumerate(model.species)}
    values, off = np.zeros((len(slopes.names), len(states))), np.zeros((len(slopes.names), len(states)))
    for k, trees in enumerate(slopes.trees):
        if trees[r] != ZERO:
            values[k], off[k] = errors(trees[r], columns, 0.0)
    require_finite(values + off, slopes.names, str(model.reactions[r].name), columns)
    return values, off
