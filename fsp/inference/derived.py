"""The derivatives of a generator on a space: products with a block of vectors, and what leaves by them.

For a parameter θ_k the matrix ∂_k A has ``∂_k a_r(x)`` at x + ν_r and minus that at x, for each reaction r.  It
takes a vector v to one of 1-norm at most ``2 Σ_x D_k(x) |v(x)|``, where ``D_k = Σ_r |∂_k a_r|``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.errors import ModelError
from fsp.model.accuracy import errors
from fsp.model.tree import ZERO

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.inference.parameters import Derivatives
    from fsp.moments.parts import Gauge


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """The jumps of one reaction that leave the space."""

    sources: IntArray  # the states that they leave from, (m,)
    rates: FloatArray  # (m,), 1/time
    slopes: FloatArray  # |∂_k a_r|, (q, m)
    powers: tuple[FloatArray, ...]  # of each gauge, where they lead to, (n_orders, m)


class Derived:
    """A generator and its derivatives by q parameters; blocks of vectors are (m, n), in the order of its operator."""

    def __init__(self, generator: Generator, slopes: Derivatives, followed: Sequence[Gauge]) -> None:
        self.generator = generator
        self.rate = generator.largest_exit_rate * (1.0 + 1e-12)  # Λ, rounded up: I + A/Λ has no negative entry
        self._operator = generator.operator
        self._n, self._q = len(generator), len(slopes.names)
        self.edges: list[Edge] = []
        self.sizes = np.zeros((self._q, self._n))  # D_k(x), 1/time
        self.errors = np.zeros((self._q, self._n))  # what these may be off
        self._states = generator.space.states
        self.powers = [gauge.powers(self._states) for gauge in followed]  # (n_orders, n) each
        parts = [self._of_reaction(r, slopes, followed) for r in range(generator.model.n_reactions)]
        self._matrix = self._assembled([part for part in parts if part is not None])
        counts = np.diff(self._matrix.indptr)
        self.roundings = int(counts.max(initial=0)) + 4  # operations behind an entry of a product with ∂_k A / Λ

    # ---- products

    def enter(self, block: FloatArray) -> FloatArray:
        """Return vectors (m, n) of the space in the order of the operator."""
        return np.array([self._operator.enter(v)[: self._n] for v in block])

    def leave(self, block: FloatArray) -> FloatArray:
        """Return vectors (m, n) in the order of the space."""
        padded = np.zeros(self._operator.size)
        rows = []
        for v in block:
            padded[: self._n] = v
            rows.append(self._operator.leave(padded).copy())
        return np.array(rows)

    def step(self, block: FloatArray, out: FloatArray, total: FloatArray, weight: float) -> None:
        """Write ``(I + 𝔸/Λ)`` times a block (1 + q, n) to `out`, and add `weight` times the block to `total`.

        𝔸 is the generator of p and its derivatives together: A on each of them, and ∂_k A from p to the k-th.
        """
        scale = 1.0 / self.rate
        for v, image, own in zip(block, out, total, strict=True):
            self._operator.step(v, image, own, scale, weight)
        out[1:] += scale * (self._matrix @ block[0]).reshape(self._q, self._n)

    # ---- what is made of a reaction

    def _of_reaction(self, r: int, slopes: Derivatives, followed: Sequence[Gauge]) -> tuple[Any, ...] | None:
        """Take note of what leaves by a reaction; return values (q, n) and targets (n,), -1 outside."""
        model, states = self.generator.model, self._states
        values, off = self._slopes_at(r, slopes)
        targets = states + model.change[r]
        index = self.generator.space.index(targets)
        if ((targets < 0).any(axis=1) & (values != 0.0).any(axis=0)).any():
            raise ModelError(
                f"The rate of '{model.reactions[r].name}' must stay zero where a count would become negative, but its "
                f"derivative is not."
            )
        sizes = np.abs(values) + off
        self.sizes += sizes
        self.errors += off
        outside = np.flatnonzero(index < 0)
        rates = model.propensity(r, states[outside])
        leaves = (rates > 0.0) | sizes[:, outside].any(axis=0)
        outside, rates = outside[leaves], rates[leaves]
        if len(outside):
            powers = tuple(gauge.powers(targets[outside]) for gauge in followed)
            self.edges.append(Edge(outside, rates, sizes[:, outside], powers))
        return (values, index) if values.any() else None

    def _slopes_at(self, r: int, slopes: Derivatives) -> tuple[FloatArray, FloatArray]:
        """Return ∂_k a_r in all states and what it may be off, (q, n) each."""
        model = self.generator.model
        columns = {name: self._states[:, s].astype(np.float64) for s, name in enumerate(model.species)}
        values, off = np.zeros((self._q, self._n)), np.zeros((self._q, self._n))
        for k, trees in enumerate(slopes.trees):
            if trees[r] != ZERO:
                values[k], off[k] = errors(trees[r], columns, 0.0)
        if not (np.isfinite(values).all() and np.isfinite(off).all()):
            place = int(np.argmin(np.isfinite(values + off).all(axis=0)))
            state = dict(zip(model.species, self._states[place].tolist(), strict=True))
            raise ModelError(
                f"The derivative of the rate of '{model.reactions[r].name}' must be finite, but is not in state "
                f"{state}."
            )
        return values, off

    def _assembled(self, parts: Sequence[tuple[Any, ...]]) -> Any:
        """Return all ∂_k A, one below the other: (q n, n) CSR."""
        n = self._n
        place = self._operator.leave(np.arange(self._operator.size, dtype=np.float64)).astype(np.int64)  # (n,)
        rows, columns, entries = [np.empty(0, dtype=np.int64)] * 2 + [np.empty(0)]
        for values, index in parts:
            inside = index >= 0
            for k, own in enumerate(values):
                moved = inside & (own != 0.0)
                rows = np.concatenate([rows, k * n + place[index[moved]], k * n + place[own != 0.0]])
                columns = np.concatenate([columns, place[moved], place[own != 0.0]])
                entries = np.concatenate([entries, own[moved], -own[own != 0.0]])
        return sparse.coo_array((entries, (rows, columns)), shape=(self._q * n, n)).tocsr()
