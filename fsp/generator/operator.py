"""The generator as solvers see it: products of the closed chain, fused with what a method does to them.

States are in runs, which take few bytes and are fast where runs are long, and after them come assembled rows: those of
the sinks, or, where runs are short, of all states.  Vectors hold the states, in the order of the runs, and then sinks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, reduce
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fsp.errors import ArgumentError
from fsp.generator import block_kernels, kernels, row_kernels, run_kernels, threads
from fsp.generator.block_kernels import NARROW
from fsp.generator.blocks import Block, panels_of, widths_of, write_panels
from fsp.generator.inner import Inner, every_run
from fsp.generator.matrices import Rows
from fsp.generator.slices import LONG, moved, nbytes, of_rows

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.inner import Ghosts
    from fsp.generator.kernels import Slices

# That outweigh handing them to a thread: two threads take 1.2 to 1.3 of the time for products on runs at 64,000 to
# 92,000 states, 0.9 to 1.2 at 125,000 to 177,000, 0.8 to 1.1 at 250,000, by how busy the machine is; on rows 1.0 to 1.2
# at 40,000, 0.65 at 125,000.
STATES_PER_THREAD, ROWS_PER_THREAD = 80_000, 50_000
COMPILED_STATES = 200_000  # from here on the 5 μs of calls from Python are 2 % of a product at most; measured
# Of a multiply-add where runs are shorter than LONG, and of rows, in units of one where they are longer.  Rows take 2.5
# to 3.5 times as long as long runs.  Ten adaptive transients take the same products with 1.4 to 3, and with 2.5 to 6.
SHORT_WORK, ROW_WORK = 2.0, 4.0

Factors = tuple[float, float, float, float, float]  # alpha, beta, gamma, weight of v, weight of w
Sums = tuple[float, float, float]
NO_FACTORS = (0.0, 0.0, 0.0, 0.0, 0.0)  # of the forms that take none


class ThreadShares(NamedTuple):
    """What threads work on: ranges of runs that read own states alone, of others, of rows, and of runs of panels."""

    inner: list[tuple[int, int]]
    outer: list[tuple[int, int]]
    rows: list[tuple[int, int]]
    panels: list[tuple[int, int]]


class Operator:
    """The closed chain of a generator: `n` states, and with the sinks `size`.

    `slices` are the generator on runs of states, with its sinks, or all of it as rows (`by_rows`).  `order` (n,) is the
    index in the space of the state at each place, None where they are the same.  Where states of other ranks are read,
    `ghosts` brings them, and `sinks` (n_sinks, n) CSR are the rates of the own states into each.  `local` is the range
    of states of the plan that are no ghosts, `inner` the runs that read only those; None for all.  `compact` are the
    slices before their rates were written out, None where they are as they were.
    """

    # What `fsp.generator.closed_kernels.multiply` takes, where solvers should loop over products in compiled code: one
    # thread, and products so short that calls from Python count.
    compiled: Slices | None = None

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
        by_rows: bool = False,
    ) -> None:
        first, end = local or (0, int(slices.starts[-1]))
        n_rows = len(slices.sink_starts) - 1
        self.n = end - first
        self.by_rows = by_rows
        self.size = self.n + sinks.shape[0] if sinks is not None else n_rows if by_rows else self.n + n_rows
        self.slices, self._order, self._ghosts, self._sinks = slices, order, ghosts, sinks
        self._compact = compact or slices
        self._inner = inner or every_run(len(slices.starts) - 1)
        # The own states are numbered from 0.
        self._own_slices = moved(slices, -first) if first and not by_rows else slices
        starts, rows = self._own_slices.starts, np.arange(n_rows + 1)
        self._shares = ThreadShares(
            _shares(starts, self._inner.first, self._inner.end, STATES_PER_THREAD),
            [share for pair in self._inner.others for share in _shares(starts, *pair, STATES_PER_THREAD)],
            _shares(rows, 0, n_rows, ROWS_PER_THREAD) if by_rows else [(0, n_rows)],
            _shares(self._compact.starts, 0, len(self._compact.starts) - 1, STATES_PER_THREAD),
        )
        one_thread = len(self._shares.rows if by_rows else self._shares.inner) == 1
        self.compiled = slices if ghosts is None and one_thread and self.n < COMPILED_STATES else None

    @classmethod
    def of_rows(cls, matrix: Any, n: int, ghosts: Ghosts | None = None, sinks: Any = None) -> Operator:
        """Return the operator of a CSR matrix with a column for each state that is read.

        Its rows are those of the closed chain, or, where there are `ghosts`, of the n own states.
        """
        inner = Inner(0, 0, head=n, tail=n)
        return cls(of_rows(matrix), ghosts=ghosts, local=(0, n), inner=inner, sinks=sinks, by_rows=True)

    @property
    def work(self) -> float:
        """Of a multiply-add, in units of one where runs are long."""
        if self.by_rows:
            return ROW_WORK
        starts = self.slices.starts
        is_short = self.slices.mode == kernels.FUSED and starts[-1] < LONG * (len(starts) - 1)
        return SHORT_WORK if is_short else 1.0

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
        if len(v) > self.n and self._ghosts is not None:  # sinks are fed by all ranks
            return np.stack([self.apply(column) for column in v.T], axis=1)
        ordered = v[: self.n] if self._order is None else v[self._order]
        if ordered.strides[0] != ordered.itemsize:
            ordered = np.ascontiguousarray(ordered)
        columns = image = _images(self, ordered)
        if self._order is not None:
            columns = np.empty_like(image)
            columns[self._order] = image
        if len(v) == self.n:
            return columns
        first = self.n if self.by_rows else 0
        into_sinks = _csr(self.slices, first, first + self.size - self.n, self.n)  # (n_sinks, n)
        return np.concatenate([columns, into_sinks @ ordered])

    @cached_property
    def _square(self) -> Any:
        """The rates between states that are all rows, (n, n) CSR."""
        return _csr(self.slices, 0, self.n, self.n)

    def block(self, m: int) -> Block:
        """Return how blocks of m vectors of the states are kept and multiplied: whoever has many does it by this."""
        return Block(self.n, m, self._widths(m), self._order, self._write_panel)

    def _widths(self, m: int) -> list[int]:
        """Return the widths of the panels that m vectors are kept in; of one where a panel cannot be multiplied."""
        if self._ghosts is None and self.by_rows:
            return [m]
        slices = self._compact
        can = self._ghosts is None and slices.mode != kernels.EXPANDED and slices.origins.shape[1] > 0
        # Panels take several passes over such slices: single products are 1.2 times as fast in memory; measured.
        is_slow = slices.n_plain > block_kernels.MOST_PLAIN and self.n * block_kernels.WIDE > block_kernels.NEAR
        return widths_of(m) if can and not is_slow else [1] * m

    def _write_panel(self, width: int, v: FloatArray, out: FloatArray, scale: float | None) -> None:
        """Write ``A v`` of a panel (n, width), or where a scale is given ``v + scale A v``."""
        if width == 1:
            if scale is None:
                self.product(v, out)
            else:
                self.step(v, out, v, scale, 0.0)
            return
        if self.by_rows:
            out[:] = (self._square @ v.reshape(self.n, width)).reshape(-1)
            if scale is not None:
                out *= scale
                out += v
            return
        write_panels(self._compact, self._shares.panels, [(0, width)], width, v, out, scale)

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
        """Compute one form of the product, see `fsp.generator.run_kernels.product_runs`: of runs, then of rows."""
        if self._ghosts is not None:
            return self._compute_spread(self._ghosts, form, (v, u, w, total), factors)
        A, rest = self._own_slices, (form, v, v, u, w, total, *factors, 0)
        sums = _sum_over(self._shares.inner, lambda first, end: run_kernels.product_runs(A, first, end, *rest))
        in_runs = 0 if self.by_rows else self.n
        if len(w) == in_runs:
            return sums
        vectors = [vector[in_runs:] for vector in (v, u, w, total)]
        return _added(sums, _over_rows(self.slices, self._shares.rows, len(w) - in_runs, form, v, *vectors, *factors))

    def _compute_spread(self, ghosts: Ghosts, form: int, vectors: tuple[FloatArray, ...], factors: Factors) -> Sums:
        """Compute one form on ranks, for the runs that read own states alone while values of others are under way."""
        ghosts.begin(vectors[0])
        v, u, w, total = (vector[: self.n] for vector in vectors)
        A, B, first_state = self._own_slices, self.slices, -int(self._own_slices.starts[0])
        rest = (v, u, w, total, *factors)
        sums = _sum_over(
            self._shares.inner, lambda first, end: run_kernels.product_runs(A, first, end, form, v, *rest, 0)
        )
        x = ghosts.finish(v, self._inner.head, self._inner.tail)
        if self.by_rows:
            sums = _over_rows(B, self._shares.rows, self.n, form, x, *rest)
        else:
            outer = _sum_over(
                self._shares.outer,
                lambda first, end: run_kernels.product_runs(B, first, end, form, x, *rest, first_state),
            )
            sums = _added(sums, outer)
        if len(vectors[2]) > self.n:
            return _over_sinks(ghosts, form, sums, self._sinks @ v, [vector[self.n :] for vector in vectors], factors)
        return sums if form == kernels.PRODUCT else _three(ghosts.added(np.array(sums)))

    @property
    def nbytes(self) -> int:
        """Bytes of the slices and of the sinks."""
        return nbytes(self.slices)


def _images(operator: Operator, vectors: FloatArray) -> FloatArray:
    """Return A times vectors of the states, (n, m): one by one, or in panels where they lie side by side."""
    n, m = vectors.shape
    if operator._ghosts is None and operator.by_rows:
        return np.asarray(operator._square @ vectors)
    is_apart = vectors.strides[0] == vectors.itemsize
    images = np.empty_like(vectors, order="F" if is_apart else "C")
    if not is_apart and m >= NARROW and max(operator._widths(m)) > 1:
        slices, shares = operator._compact, operator._shares.panels
        write_panels(slices, shares, panels_of(m), m, vectors.reshape(-1), images.reshape(-1))
        return images
    for k in range(m):
        image = images[:, k] if is_apart else np.empty(n)
        operator.product(np.ascontiguousarray(vectors[:, k]), image)
        images[:, k] = image
    return images


def _sum_over(shares: list[tuple[int, int]], function: Callable[[int, int], Sums]) -> Sums:
    """Add what a form returns for every share, in their order."""
    sums: Sums = reduce(_added, threads.call_each(function, shares), (0.0, 0.0, 0.0))
    return sums


def _over_rows(A: Slices, shares: list[tuple[int, int]], n_rows: int, *rest: Any) -> Sums:
    """Compute one form for the first `n_rows` rows."""
    return _sum_over(
        shares,
        lambda first, end: row_kernels.product_rows(
            A.sink_starts, A.sink_indices, A.sink_rates, first, min(end, n_rows), *rest
        ),
    )


def _over_sinks(
    ghosts: Ghosts, form: int, sums: Sums, inflow: FloatArray, vectors: list[FloatArray], factors: Factors
) -> Sums:
    """Compute one form for the sinks, which one rank keeps and all feed; return the sums over all ranks.

    Whatever the form, one reduction: all ranks get what flows in and what the sinks hold, and compute the same.
    """
    v, u, w, total = vectors
    before = w if form == kernels.RECURRENCE else np.zeros(len(w))  # no other form reads it
    added = ghosts.added(np.concatenate([sums, inflow, v, u, before]))
    inflow, v_all, u_all, w_all = np.split(added[3:], 4)
    identity = np.arange(len(inflow) + 1)
    total_all = total if ghosts.keeps_sinks else np.zeros(len(inflow))
    rest = (form, inflow, v_all, u_all, w_all, total_all, *factors)
    of_sinks: Sums = row_kernels.product_rows(identity, identity, np.ones(len(inflow)), 0, len(inflow), *rest)
    w[:] = w_all if ghosts.keeps_sinks else 0.0
    return _added(_three(added), of_sinks)


def _csr(A: Slices, first: int, end: int, n: int) -> Any:
    """Return the rows first..end of those that there are, (end - first, n) scipy CSR array."""
    starts = A.sink_starts[first : end + 1]
    entries = slice(int(starts[0]), int(starts[-1]))
    return Rows(A.sink_rates[entries], A.sink_indices[entries], starts - starts[0], (end - first, n)).csr()


def _three(added: FloatArray) -> Sums:
    first, second, third = added[:3].tolist()
    return first, second, third


def _added(left: Sums, right: Sums) -> Sums:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def _shares(starts: IntArray, first: int, end: int, least: int) -> list[tuple[int, int]]:
    """Return the ranges of the runs first..end that threads work on: about equal numbers of states, `least` or more."""
    low, high = int(starts[first]), int(starts[end])
    n_shares = max(1, min(threads.n_threads(), (high - low) // least))
    cuts = np.searchsorted(starts, np.linspace(low, high, n_shares + 1)[1:-1].astype(np.int64)).tolist()
    return [(a, b) for a, b in pairwise([first, *cuts, end]) if a < b]
