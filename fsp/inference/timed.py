"""The derivatives of a generator on a space where rates depend on time: sums of functions of time times matrices.

    A(t) = Σ_l g_l(t) A_l,        ∂_k A(t) = Σ_c b_c(t) B_kc .

On a step the functions lie below numbers, and so do the sizes of what parameters change, and the rates out of the
space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from fsp.arithmetic import ROUNDED_UP
from fsp.errors import BackendError, ModelError
from fsp.inference.clock_terms import changing_of, split, terms_of
from fsp.inference.derived import Edge, RateChangeBounds
from fsp.model.accuracy import ORDINARY, errors
from fsp.model.common_parts import with_common_parts

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator import Generator
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.part_moments import Gauge

FAST = (0.0, 0.1)  # of the largest exit rate, beyond which states are fast; a rate of one in a step at least; chosen
SCALE_ERROR = 2.0 * ORDINARY  # relative: of numbers that are taken out of a tree, and of the product with them


@dataclass(frozen=True, slots=True, eq=False)
class Timed:
    """A generator in parts, and its derivatives in parts, in the order of the space."""

    generator: Generator
    clocks: tuple[Expression, ...]  # g, the first is one
    parts: list[Any]  # A_l, (n, n) CSR
    moduli: list[Any]  # |A_l|
    exits: FloatArray  # exit rates of each A_l, (n_clocks, n)
    changing: tuple[Expression, ...]  # b
    changes: list[tuple[IntArray, Any]]  # of each b the k that it changes, and their B_kc one below the other, CSR
    sizes: FloatArray  # Σ_r |∂_k a_r| / |b_c|, (n_changing, q, n)
    errors: FloatArray  # what these may be off, (n_changing, q, n)
    powers: list[FloatArray]  # of each gauge, (n_orders, n)
    edges: list[tuple[IntArray, FloatArray, FloatArray, tuple[FloatArray, ...]]]  # sources, rates, slopes, powers
    terms: list[tuple[int, int, FloatArray, FloatArray]]  # r, number of b, ∂_k a_r / b and what it may be off (q, n)

    @classmethod
    def of(cls, generator: Generator, slopes: Derivatives, followed: Sequence[Gauge]) -> Timed:
        """Take a generator and the derivatives of its rates apart."""
        model, states = generator.model, generator.space.states
        if not generator.is_scalable or any(
            model.factorised(r) is None for r in np.flatnonzero(model.time_dependent).tolist()
        ):
            raise BackendError(
                "Rates must be sums of products of a function of time and functions of single species for derivatives, "
                f"but '{model.name}' has others."
            )
        laws = [[terms_of(model, tree) for tree in row] for row in slopes.trees]  # by parameter and reaction
        changing = changing_of(model, slopes)
        q, n = len(slopes.names), len(states)
        values = np.zeros((model.n_reactions, len(changing), q, n))
        off = np.zeros_like(values)
        for k, row in enumerate(laws):
            for r, terms in enumerate(row):
                for clock, tree in terms:
                    value, error = _on(model, tree, states)
                    place = r, changing.index(clock), k
                    values[place] += value
                    off[place] += error
        targets = [states + change for change in model.change]
        index = [generator.space.index(row) for row in targets]
        changes = [_matrix(values[:, c], index) for c in range(len(changing))]
        sizes = np.abs(values) + off  # (R, n_changing, q, n)
        edges = []
        for r, place in enumerate(index):
            rates = _rates(generator, r)
            leaves = (place < 0) & (targets[r] >= 0).all(axis=1) & (rates.any(axis=0) | sizes[r].any(axis=(0, 1)))
            sources = np.flatnonzero(leaves)
            if len(sources):
                powers = tuple(gauge.powers(targets[r][sources]) for gauge in followed)
                edges.append((sources, rates[:, sources], sizes[r][:, :, sources], powers))
        parts = [generator.part(index) for index in range(len(generator.clocks))]
        matrices = [part.to_csr() for part in parts]
        trees = with_common_parts((*generator.clocks, *changing))
        return cls(
            generator,
            trees[: len(parts)],
            matrices,
            [abs(row) for row in matrices],
            np.array([part.exit_rates for part in parts]),
            trees[len(parts) :],
            [_present(change, q) for change in changes],
            sizes.sum(axis=0),
            off.sum(axis=0),
            [gauge.powers(states) for gauge in followed],
            edges,
            [(r, c, values[r, c], off[r, c]) for r, c in np.argwhere((np.abs(values) + off).any(axis=(2, 3))).tolist()],
        )

    def exposures(self, sizes: FloatArray, heights: FloatArray, least: FloatArray, h: float) -> FloatArray:
        """Return (5) of `fsp.inference.account`, (q,): F are the states that are left faster than some rate.

        `sizes` D, (q, n); `heights` and `least` bound the functions of time g, (n_clocks,).
        """
        exits = np.maximum(least @ self.exits, 0.0)  # (n,): at least, as those of each A_l are not negative
        bounds: FloatArray = h * sizes.max(axis=1)
        for share in FAST:
            fast = exits >= max(1.0 / h, share * float(exits.max()))
            V = np.where(fast, sizes / np.maximum(exits, 1e-300), 0.0)  # (q, n)
            C = np.where(fast, 0.0, sizes)
            for g, part in zip(heights.tolist(), self.parts, strict=True):
                C += g * ((part.T @ V.T).T - part.diagonal() * V)
            bounds = np.minimum(bounds, V.max(axis=1) + h * np.maximum(C, 0.0).max(axis=1))
        return bounds * ROUNDED_UP

    def course(self, heights: FloatArray, changing: FloatArray) -> RateChangeBounds:
        """Return what holds on a step, where g and b are at most these, (n_clocks,) and (n_changing,)."""
        _, q, n = self.sizes.shape
        edges = [
            Edge(sources, heights @ rates, np.tensordot(changing, slopes, 1), powers)
            for sources, rates, slopes, powers in self.edges
        ]
        nothing = np.zeros((q, n))
        sizes, off = (np.tensordot(changing, sizes_of, 1) for sizes_of in (self.sizes, self.errors))
        return RateChangeBounds(sizes, off, nothing, nothing, self.powers, edges, changing)


def _on(model: Model, tree: Expression, states: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return a function of the state, and what it may be off, (n,) each."""
    columns = {name: states[:, s].astype(np.float64) for s, name in enumerate(model.species)}
    values = (
        np.broadcast_to(np.asarray(column, dtype=np.float64), len(states)) for column in errors(tree, columns, 0.0)
    )
    value, off = values
    if not (np.isfinite(value).all() and np.isfinite(off).all()):
        raise ModelError(f"The derivative of a rate must be finite, but one of '{model.name}' is not in some state.")
    return value, off + SCALE_ERROR * np.abs(value)


def _rates(generator: Generator, r: int) -> FloatArray:
    """Return a propensity in parts, above it, (n_clocks, n)."""
    model, states = generator.model, generator.space.states
    rates = np.zeros((len(generator.clocks), len(states)))
    if not model.time_dependent[r]:
        rates[0] = model.propensity(r, states) * (1.0 + SCALE_ERROR)
        return rates
    for product in model.factorised(r) or ():
        clock, tree = split(product)
        value, off = _on(model, tree, states)
        rates[generator.clocks.index(clock)] += np.abs(value) + off
    return rates


def _present(change: Any, q: int) -> tuple[IntArray, Any]:
    """Return which of q matrices, one below the other, are not zero, and those alone."""
    counts = np.diff(change.indptr).reshape(q, change.shape[1])
    there = counts.any(axis=1)
    return np.flatnonzero(there), change[np.repeat(there, counts.shape[1])]


def _matrix(values: FloatArray, index: Sequence[IntArray]) -> Any:
    """Return the matrices of rates (R, q, n) of jumps to `index`, all q one below the other, (q n, n) CSR."""
    _, q, n = values.shape
    every = np.arange(n)
    rows, columns, entries = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for value, place in zip(values, index, strict=True):
        for k in range(q):
            gained, lost = (place >= 0) & (value[k] != 0.0), value[k] != 0.0
            rows += [k * n + place[gained], k * n + every[lost]]
            columns += [every[gained], every[lost]]
            entries += [value[k][gained], -value[k][lost]]
    where = np.concatenate(rows), np.concatenate(columns)
    return sparse.coo_array((np.concatenate(entries), where), shape=(q * n, n)).tocsr()
