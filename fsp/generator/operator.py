"""The generator as solvers see it: products of the closed chain, in the order in which its runs lie."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.generator import kernels, threads
from fsp.generator.plan import shape_of

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.kernels import Plan

FUSED_STATES = 200_000  # below, the time to compile a pass for the network's own number of slots is not won back
STATES_PER_THREAD = 50_000


class Operator:
    """The closed chain: the states of a space in the order of its runs, then the sinks.

    Parameters
    ----------
    plan
        The operator.
    order
        Index in the space of the state at each place, (n,); None where they are the same.

    Attributes
    ----------
    size : int
        Number of states and sinks.
    """

    def __init__(self, plan: Plan, order: IntArray | None = None) -> None:
        self.plan = plan
        self._order = order
        self.n = int(plan.starts[-1])
        self.size = self.n + len(plan.sink_starts) - 1
        self.shape: tuple[Any, ...] = shape_of(plan) if self.n >= FUSED_STATES and not len(plan.indptr) else ()
        n_shares = max(1, min(threads.n_threads(), self.n // STATES_PER_THREAD))
        cuts = np.searchsorted(plan.starts, np.linspace(0, self.n, n_shares + 1)[1:-1].astype(np.int64))
        edges = [0, *cuts.tolist(), len(plan.starts) - 1]
        self.shares = [(a, b) for a, b in pairwise(edges) if a < b]

    def enter(self, p: FloatArray) -> FloatArray:
        """Return the vector of the closed chain, (size,), for probabilities in the order of the space, (n,)."""
        z = np.zeros(self.size)
        z[: self.n] = p if self._order is None else p[self._order]
        return z

    def leave(self, z: FloatArray) -> FloatArray:
        """Return the states' part of a vector of the closed chain in the order of the space, (n,)."""
        if self._order is None:
            return z[: self.n]
        p = np.empty(self.n)
        p[self._order] = z[: self.n]
        return p

    def apply(self, p: FloatArray) -> FloatArray:
        """Return ``A p`` in the order of the space: for (n,), for the closed chain (size,), or by columns (n, m)."""
        v = np.asarray(p, dtype=np.float64)
        if v.ndim == 2:
            return np.stack([self.apply(column) for column in v.T], axis=1)
        if v.shape not in ((self.n,), (self.size,)):
            raise ArgumentError(f"A vector must have shape ({self.n},), but has {v.shape}.")
        v = np.ascontiguousarray(v)
        out = np.empty_like(v)
        if self._order is None:
            self.product(v, out)
            return out
        moved, image = v.copy(), np.empty_like(v)
        moved[: self.n] = v[self._order]
        self.product(moved, image)
        out[self._order] = image[: self.n]
        out[self.n :] = image[self.n :]
        return out

    __matmul__ = apply

    @property
    def alone(self) -> bool:
        """Whether one thread and the general kernel do all the work: solvers then loop in compiled code."""
        return len(self.shares) == 1 and not self.shape

    def product(self, v: FloatArray, out: FloatArray) -> None:
        """Write ``A v`` to `out`: of the closed chain for (size,), of the states alone for (n,)."""
        self._each(kernels.PRODUCT, v, v, out, v, 0.0, 0.0, 0.0, 0.0, 0.0)

    def step(self, v: FloatArray, w: FloatArray, total: FloatArray, scale: float, weight: float) -> float:
        """Write ``w = v + scale A v``, add ``weight v`` to `total`; return ``‖w - v‖₁``."""
        return sum(x for x, _, _ in self._each(kernels.STEP, v, v, w, total, scale, 0.0, 0.0, weight, 0.0))

    def product_and_dots(self, v: FloatArray, u: FloatArray, w: FloatArray) -> tuple[float, float, float]:
        """Write ``w = A v``; return the dot products of w with v, u and w."""
        x, y, z = np.sum(self._each(kernels.DOTS, v, u, w, v, 0.0, 0.0, 0.0, 0.0, 0.0), axis=0).tolist()
        return x, y, z

    def recur(
        self,
        v: FloatArray,
        w: FloatArray,
        total: FloatArray,
        factors: tuple[float, float, float],
        weights: tuple[float, float],
    ) -> float:
        """Write ``w = α A v + β v + γ w`` for factors (α, β, γ), add `weights` times v and w to `total`; return ``‖w‖₁``."""
        return sum(x for x, _, _ in self._each(kernels.RECURRENCE, v, v, w, total, *factors, *weights))

    def _each(self, *arguments: Any) -> list[tuple[float, float, float]]:
        """Call the kernel for each thread's share of the runs."""
        plan, shape = self.plan, self.shape
        if len(self.shares) == 1:
            return [kernels.product(plan, shape, 0, len(plan.starts) - 1, *arguments)]
        return threads.call_each(lambda first, end: kernels.product(plan, shape, first, end, *arguments), self.shares)

    def each_slice(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call ``function(first, end, *arguments)`` for each thread's share of the entries of a vector."""
        edges = np.linspace(0, self.size, len(self.shares) + 1).astype(np.int64).tolist()
        return threads.call_each(lambda first, end: function(first, end, *arguments), list(pairwise(edges)))

    @property
    def nbytes(self) -> int:
        """Bytes that the operator takes."""
        return sum(part.nbytes for part in self.plan if isinstance(part, np.ndarray))
