"""The gradient of a log-likelihood on fixed states, back from the cells, without a bound.

``∂_k log L = Σ_r Σ_x ∂_k a_r(x) ∫ y_x (λ(x + ν_r) - λ(x)) ds`` with the weights ``Σ_z n_z T(z | x)/y_z`` that come in
at each time, by `fsp.inference.backward`: two products with P and one with Pᵀ for each term of the series, however many
parameters there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fsp.inference.backward import Products, backward, forward

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.fixed_space import FixedSpace


class FixedAdjoint:
    """The chain at some parameters (q,), passed forward through some times, and what can be taken back."""

    def __init__(
        self, space: FixedSpace, theta: FloatArray, times: Sequence[float], tail: float, max_work: float
    ) -> None:
        self._space, self._theta = space, theta
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

    def _taken_back(self, weights: FloatArray) -> Products:
        block = np.zeros((*weights.shape[:1], weights.shape[1] + 1, 1))
        block[:, :-1, 0] = weights
        return backward(self._chain, self._path, lambda i: block[i], lambda stretch: np.zeros(1))
