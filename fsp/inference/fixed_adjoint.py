"""Gradients of a log-likelihood on fixed states, back from the cells, and products with second derivatives.

``∂_k log L = Σ_r Σ_x ∂_k a_r(x) ∫ y_x (λ(x + ν_r) - λ(x)) ds`` with the weights ``Σ_z n_z T(z | x)/y_z`` that come in
at each time, by `fsp.inference.backward`: two products with P and one with Pᵀ for each term of the series, however many
parameters there are.  None of it has a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import block_array, csr_array

from fsp.inference.backward import Products, UniformizedChain, backward, forward

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.fixed_space import FixedSpace


class FixedAdjoint:
    """The chain at some parameters (q,), passed forward through some times, and what can be taken back."""

    def __init__(
        self, space: FixedSpace, theta: FloatArray, times: Sequence[float], tail: float, max_work: float
    ) -> None:
        self._space, self._theta, self._times, self._tail = space, theta, times, tail
        self._chain = space.chain(theta, times, max_work)
        self._path = forward(self._chain, space.start, times, tail)
        sums = np.array(self._path.at)[None]  # (1, n_times, n + 1)
        lost = tail * len(self._path.stretches)
        terms = self._path.products + 2 * len(self._path.stretches)
        self.transients = space.transients(sums, terms, lost)

    def gradient(self, weights: FloatArray) -> FloatArray:
        """Return the derivatives, (q,), by the logarithms of parameters, of what has weights (n_times, n)."""
        products = self._taken_back(weights)
        slopes = self._space.slopes(self._theta)  # (q, R, n)
        moved = products.moved[self._chain.change_of, :, 0] - products.stayed[:, 0]  # (R, n)
        return np.asarray(np.einsum("krx,rx->k", slopes, moved))

    def curvature(
        self, weights: FloatArray, direction: FloatArray, changes: Callable[[FloatArray], FloatArray]
    ) -> FloatArray:
        """Return the second derivatives along a direction (q,) times it, (q,): forward over the adjoint.

        `changes` returns what the weights (n_times, n) change by, given what probabilities (n_times, n) do.  P and what
        it changes by, dP, make one matrix ``[[P, 0], [dP, P]]`` that takes (z, dz) forward and (dv, v) back.
        """
        chain, n = self._chain, len(self._chain)
        dP = self._space.changed(self._theta, direction, chain.rate)
        both = csr_array(block_array([[chain.P, None], [dP, chain.P]]))
        places = np.full((len(chain.targets), 1), n)
        targets = np.concatenate([chain.targets, places, chain.targets + n + 1], axis=1)
        doubled = UniformizedChain(both, csr_array(both.T), chain.rate, targets, chain.change_of)
        start = np.concatenate([self._space.start, np.zeros(n + 1)])
        path = forward(doubled, start, self._times, self._tail)
        change = changes(np.array([y[n + 1 : -1] for y in path.at]))  # (n_times, n)
        block = np.zeros((len(weights), 2 * (n + 1), 1))
        block[:, :n, 0], block[:, n + 1 : -1, 0] = change, weights
        products = backward(doubled, path, lambda i: block[i], lambda stretch: np.zeros(1))
        gained = (products.moved[chain.change_of] - products.stayed)[:, :, 0]  # (R, 2 n + 1)
        plain = self._taken_back(weights)
        moved = plain.moved[chain.change_of, :, 0] - plain.stayed[:, 0]
        slopes, bends = self._space.slopes(self._theta), self._space.bends(self._theta, direction)
        along = np.einsum("krx,rx->k", slopes, gained[:, :n] + gained[:, n + 1 :])
        return np.asarray(along + np.einsum("krx,rx->k", bends, moved))

    def _taken_back(self, weights: FloatArray) -> Products:
        block = np.zeros((*weights.shape[:1], weights.shape[1] + 1, 1))
        block[:, :-1, 0] = weights
        return backward(self._chain, self._path, lambda i: block[i], lambda stretch: np.zeros(1))
