"""The generator as solvers see it: products of the closed chain, fused with what a method does to them.

Two forms of one operator: runs, which take few bytes and are fast where runs are long, and assembled rows.  Vectors
hold the states, in the order of the runs, and after them the sinks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.generator import block_kernels, kernels, row_kernels, run_kernels, threads
from fsp.generator.blocks import Block, widths_of
from fsp.generator.inner import every_run
from fsp.generator.matrices import Rows
from fsp.generator.slices import moved, nbytes, of_rows

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.inner import Ghosts, Inner
    from fsp.generator.kernels import Slices

STATES_PER_THREAD = 50_000  # whose product outweighs handing it to a thread; chosen, not measured
COMPILED_STATES = 200_000  # from here on a call from Python costs nothing beside a product
PASSES_WORK = 2.0  # of a multiply-add, in units of one where all slices are added in one pass
ROW_WORK = 4.0  # the same of rows: within the ratios of products in docs/benchmarks.md

Factors = tuple[float, float, float, float, float]  # alpha, beta, gamma, weight of v, weight of w
Sums = tuple[float, float, float]
NO_FACTORS = (0.0, 0.0, 0.0, 0.0, 0.0)  # of the forms that take none


class Operator:
    """The closed chain of a generator: `n` states, and with the sinks `size`.

    `order` (n,) is the index in the space of the state at each place, None where they are the same.  Where states of
    other ranks are read, `ghosts` brings them, and `sinks` (n_sinks, n) CSR are the rates of the own states into each.
    """

    # What `fsp.generator.closed_kernels.multiply` takes, where solvers should loop over products in compiled code: one
    # thread, and products so short that calls from Python count.
    compiled: Slices | None = None
    work: float  # of a multiply-add, in units of one where all slices of a run are added in one pass
    _shares: list[tuple[int, int]]

    def __init__(
        self, n: int, size: int, order: IntArray | None, ghosts: Ghosts | None = None, sinks: Any = None
    ) -> None:
        self.n = n
        self.size = size
        self._order = order
        self._ghosts = ghosts
        self._sinks = sinks

    # ---- vectors ------------------------------------------------------------------------------------------

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
        if v.ndim == 2 and len(v) in (self.n, self.size):
            return self._apply_columns(v)
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

    def _apply_columns(self, v: FloatArray) -> FloatArray:
        """Return ``A v`` for columns in the order of the space, of the states, (n, m), or of the closed chain."""
        m = v.shape[1]
        if len(v) > self.n and self._ghosts is not None:  # sinks are fed by all ranks
            return np.stack([self.apply(column) for column in v.T], axis=1)
        way = self.block(m)
        block, image = way.enter(np.ascontiguousarray(v[: self.n])), way.zeros()
        way.product(block, image)
        columns = way.leave(image)
        if len(v) == self.n:
            return columns
        ordered = v[: self.n] if self._order is None else v[self._order]
        return np.concatenate([columns, self._into_sinks @ ordered])

    @property
    def _into_sinks(self) -> Any:
        """The rates into the sinks of an operator without ghosts, (n_sinks, n) CSR, in its order."""
        raise NotImplementedError

    def block(self, m: int) -> Block:
        """Return how blocks of m vectors of the states are kept and multiplied: whoever has many does it by this."""
        return Block(self.n, m, self._widths(m), self._order, self._write_panel)

    def _widths(self, m: int) -> list[int]:
        """Return the widths of the panels that m vectors are kept in."""
        return [1] * m

    def _write_panel(self, width: int, v: FloatArray, out: FloatArray, scale: float | None) -> None:
        """Write ``A v`` of a panel (n, width), or where a scale is given ``v + scale A v``; here of one vector."""
        if scale is None:
            self.product(v, out)
        else:
            self.step(v, out, v, scale, 0.0)

    # ---- sums ---------------------------------------------------------------------------------------------

    @property
    def is_spread(self) -> bool:
        """Whether vectors are spread over ranks, so that sums over them must be `added`."""
        return self._ghosts is not None

    def added(self, value: Any) -> Any:
        """Return the sum over all ranks of what a solver summed itself, a number or an array entry by entry."""
        return value if self._ghosts is None else self._ghosts.added(value)

    # ---- products -----------------------------------------------------------------------------------------

    def product(self, v: FloatArray, out: FloatArray) -> None:
        """Write ``A v`` to `out`: of the closed chain for (size,), of the states alone for (n,)."""
        self._compute(kernels.PRODUCT, v, v, out, v, NO_FACTORS)

    def step(self, v: FloatArray, w: FloatArray, total: FloatArray, scale: float, weight: float) -> float:
        """Write ``w = v + scale A v``, add ``weight v`` to `total`; return ``‖w - v‖₁``."""
        return self._compute(kernels.STEP, v, v, w, total, (scale, 0.0, 0.0, weight, 0.0))[0]

    def product_and_dots(self, v: FloatArray, u: FloatArray, w: FloatArray) -> tuple[float, float, float]:
        """Write ``w = A v``; return the dot products of w with v, u and w."""
        return self._compute(kernels.DOTS, v, u, w, v, NO_FACTORS)

    def recur(
        self,
        v: FloatArray,
        w: FloatArray,
        total: FloatArray,
        factors: tuple[float, float, float],
        weights: tuple[float, float],
    ) -> float:
        """Write ``w = α A v + β v + γ w``, factors (α, β, γ), add weighted v and w to `total`; return ``‖w‖₁``."""
        return self._compute(kernels.RECURRENCE, v, v, w, total, (*factors, *weights))[0]

    def _compute(
        self, form: int, v: FloatArray, u: FloatArray, w: FloatArray, total: FloatArray, factors: Factors
    ) -> Sums:
        """Compute one form of the product, see `fsp.generator.run_kernels.product_runs`."""
        if self._ghosts is None:
            return self._compute_own(form, v, u, w, total, factors)
        self._ghosts.begin(v)
        n = self.n
        sums = self._compute_own(form, v[:n], u[:n], w[:n], total[:n], factors)
        if len(w) == n:
            return sums if form == kernels.PRODUCT else _three(self._ghosts.added(np.array(sums)))
        return self._compute_sinks(self._ghosts, form, sums, (v, u, w, total), factors)

    def _compute_sinks(
        self, ghosts: Ghosts, form: int, sums: Sums, vectors: tuple[FloatArray, ...], factors: Factors
    ) -> Sums:
        """Compute one form for the sinks, which one rank keeps and all feed; return the sums over all ranks.

        Whatever the form, one reduction: all ranks get what flows in and what the sinks hold, and compute the same.
        """
        v, u, w, total = (vector[self.n :] for vector in vectors)
        before = w if form == kernels.RECURRENCE else np.zeros(len(w))  # no other form reads it
        added = ghosts.added(np.concatenate([sums, self._sinks @ vectors[0][: self.n], v, u, before]))
        inflow, v_all, u_all, w_all = np.split(added[3:], 4)
        identity = np.arange(len(inflow) + 1)
        total_all = total if ghosts.keeps_sinks else np.zeros(len(inflow))
        rest = (form, inflow, v_all, u_all, w_all, total_all, *factors)
        of_sinks: Sums = row_kernels.product_rows(identity, identity, np.ones(len(inflow)), 0, len(inflow), *rest)
        w[:] = w_all if ghosts.keeps_sinks else 0.0
        return _added(_three(added), of_sinks)

    def _compute_own(
        self, form: int, v: FloatArray, u: FloatArray, w: FloatArray, total: FloatArray, factors: Factors
    ) -> Sums:
        """Compute one form for the own states, while values of others are under way."""
        raise NotImplementedError

    @property
    def nbytes(self) -> int:
        """Bytes that the operator takes."""
        raise NotImplementedError

    @property
    def _loops_compiled(self) -> bool:
        return self._ghosts is None and len(self._shares) == 1 and self.n < COMPILED_STATES


class RunOperator(Operator):
    """The operator on runs of states: `slices` are the generator with its sinks, in the order of the runs.

    `own` is the range of states of the plan that are not `ghosts`, `inner` the runs that read only those; None for all.
    `compact` are the slices before their rates were written out, None where they are as they were.
    """

    def __init__(
        self,
        slices: Slices,
        order: IntArray | None = None,
        *,
        ghosts: Ghosts | None = None,
        local: tuple[int, int] | None = None,
        inner: Inner | None = None,
        sinks: Any = None,
        compact: Slices | None = None,
    ) -> None:
        first, end = local or (0, int(slices.starts[-1]))
        n = end - first
        super().__init__(
            n, n + (len(slices.sink_starts) - 1 if sinks is None else sinks.shape[0]), order, ghosts, sinks
        )
        self.slices = slices
        self.work = PASSES_WORK if slices.mode == kernels.SEPARATE else 1.0
        self._first = first
        self._inner = inner or every_run(len(slices.starts) - 1)
        # The own states are numbered from 0.
        self._own_slices = moved(slices, -first) if first else slices
        starts = self._own_slices.starts
        self._shares = _shares(starts, self._inner.first, self._inner.end)
        self._outer_shares = [share for pair in self._inner.others for share in _shares(starts, *pair)]
        self.compiled = slices if self._loops_compiled else None
        self._compact = compact or slices

    def _widths(self, m: int) -> list[int]:
        """Return the widths of the panels that m vectors are kept in; of one where a panel cannot be multiplied."""
        slices = self._compact
        in_one = self._ghosts is None and len(slices.starts) - 1 == self._inner.end
        can = in_one and slices.mode != kernels.EXPANDED and slices.origins.shape[1] > 0
        return widths_of(m) if can else [1] * m

    def _write_panel(self, width: int, v: FloatArray, out: FloatArray, scale: float | None) -> None:
        """Write ``A v`` of a panel (n, width), or where a scale is given ``v + scale A v``."""
        if width == 1:
            super()._write_panel(width, v, out, scale)
            return
        factors = (1.0, 0.0) if scale is None else (scale, 1.0)

        def share(first: int, end: int) -> None:
            block_kernels.write_panel(self._compact, first, end, width, v, out, *factors)

        threads.call_each(share, self._shares)

    @property
    def _into_sinks(self) -> Any:
        A = self.slices
        return Rows(A.sink_rates, A.sink_indices, A.sink_starts, (len(A.sink_starts) - 1, self.n)).csr()

    def _compute_own(
        self, form: int, v: FloatArray, u: FloatArray, w: FloatArray, total: FloatArray, factors: Factors
    ) -> Sums:
        def inner(first: int, end: int) -> Sums:
            A, rest = self._own_slices, (*factors, 0)
            sums: Sums = run_kernels.product_runs(A, first, end, form, v, v, u, w, total, *rest)
            return sums

        sums = _sum_over(self._shares, inner)
        if self._ghosts is not None:
            x = self._ghosts.finish(v, self._inner.head, self._inner.tail)

            def outer(first: int, end: int) -> Sums:
                A, rest = self.slices, (*factors, self._first)
                sums: Sums = run_kernels.product_runs(A, first, end, form, x, v, u, w, total, *rest)
                return sums

            sums = _added(sums, _sum_over(self._outer_shares, outer))
        if len(w) == self.n:
            return sums
        # The own states alone feed the sinks.
        of_sinks: Sums = run_kernels.product_sinks(self.slices, self.n, form, v, u, w, total, *factors)
        return _added(sums, of_sinks)

    @property
    def nbytes(self) -> int:
        """Bytes of the slices and of the sinks."""
        return nbytes(self.slices)


class RowOperator(Operator):
    """The operator as a CSR matrix with a column for each state that is read: without ghosts, of the closed chain."""

    work = ROW_WORK

    def __init__(self, matrix: Any, n: int, ghosts: Ghosts | None = None, sinks: Any = None) -> None:
        super().__init__(n, matrix.shape[0] + (0 if sinks is None else sinks.shape[0]), None, ghosts, sinks)
        self.matrix = matrix
        self._shares = _shares(np.arange(matrix.shape[0] + 1), 0, matrix.shape[0])
        self._rows = of_rows(matrix)
        self.compiled = self._rows if self._loops_compiled else None

    def _widths(self, m: int) -> list[int]:
        """Return the widths of the panels that m vectors are kept in."""
        return [m] if self._ghosts is None else [1] * m

    def _write_panel(self, width: int, v: FloatArray, out: FloatArray, scale: float | None) -> None:
        """Write ``A v`` of a panel (n, width), or where a scale is given ``v + scale A v``."""
        if width == 1:
            super()._write_panel(width, v, out, scale)
            return
        out[:] = (self._square @ v.reshape(self.n, width)).reshape(-1)
        if scale is not None:
            out *= scale
            out += v

    @cached_property
    def _square(self) -> Any:
        return self._part(0, self.n)

    @property
    def _into_sinks(self) -> Any:
        return self._part(self.n, self.size)

    def _part(self, first: int, end: int) -> Any:
        """Return the rows first..end of the closed chain, (end - first, n) CSR."""
        starts = self.matrix.indptr[first : end + 1]
        entries = slice(int(starts[0]), int(starts[-1]))
        rows = Rows(self.matrix.data[entries], self.matrix.indices[entries], starts - starts[0], (end - first, self.n))
        return rows.csr()

    def _compute_own(
        self, form: int, v: FloatArray, u: FloatArray, w: FloatArray, total: FloatArray, factors: Factors
    ) -> Sums:
        A, n_rows = self._rows, len(w)
        x = v if self._ghosts is None else self._ghosts.finish(v, self.n, self.n)

        def share(first: int, end: int) -> Sums:
            rest = (form, x, v, u, w, total, *factors)
            sums: Sums = row_kernels.product_rows(
                A.sink_starts, A.sink_indices, A.sink_rates, first, min(end, n_rows), *rest
            )
            return sums

        return _sum_over(self._shares, share)

    @property
    def nbytes(self) -> int:
        """Bytes of the matrix."""
        return int(self.matrix.data.nbytes + self.matrix.indices.nbytes + self.matrix.indptr.nbytes)


def _sum_over(shares: list[tuple[int, int]], function: Callable[[int, int], Sums]) -> Sums:
    """Add what a form returns for every share, in their order."""
    sums: Sums = reduce(_added, threads.call_each(function, shares), (0.0, 0.0, 0.0))
    return sums


def _three(added: FloatArray) -> Sums:
    first, second, third = added[:3].tolist()
    return first, second, third


def _added(left: Sums, right: Sums) -> Sums:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def _shares(starts: IntArray, first: int, end: int) -> list[tuple[int, int]]:
    """Return the ranges of the runs first..end that threads work on: about equal numbers of states."""
    low, high = int(starts[first]), int(starts[end])
    n_shares = max(1, min(threads.n_threads(), (high - low) // STATES_PER_THREAD))
    cuts = np.searchsorted(starts, np.linspace(low, high, n_shares + 1)[1:-1].astype(np.int64)).tolist()
    return [(a, b) for a, b in pairwise([first, *cuts, end]) if a < b]
