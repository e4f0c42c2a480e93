"""Blocks of vectors that are multiplied together: the rates of a state are read once for up to eight of them.

The vectors lie in panels, which keep them state by state, (n, width) each, one panel after the other in a flat array.
An operator chooses the widths and multiplies a panel (`Operator.block`); what a panel has beyond the vectors is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from fsp.generator import block_kernels, threads
from fsp.generator.block_kernels import CACHED, MOST_PLAIN, MOST_TABLE, NARROW, PREFETCHED, STREAMED, WIDE

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.generator.kernels import Slices

# Bytes of a line of the caches, at which arrays begin: else every other register is read from two lines.
CACHE_LINE = 64
NEAR_BATCH = 2**15  # numbers of vectors side by side, several panels of which stay in the second cache
FEW_VECTORS = 2  # vectors that are as fast one after the other as in a panel; measured

# Writes ``A v`` of a panel of some width, or where a scale is given ``v + scale A v``.
Write = Callable[[int, "FloatArray", "FloatArray", float | None], None]


def widths_of(m: int) -> list[int]:
    """Return the widths of the panels that m vectors are best kept in."""
    n_wide, rest = divmod(m, WIDE)
    if rest <= FEW_VECTORS:
        return [WIDE] * n_wide + [1] * rest
    return [WIDE] * n_wide + [NARROW if rest <= NARROW else WIDE]


def panels_of(m: int) -> list[tuple[int, int]]:
    """Return the first vectors and the widths of panels of m vectors side by side, which overlap where m is odd."""
    panels, first = [], 0
    while first < m:
        width = WIDE if m >= WIDE and m - first > NARROW else NARROW
        panels.append((min(first, m - width), width))
        first += width
    return panels


def way_to_write(slices: Slices, width: int, stride: int, out: FloatArray) -> int:
    """Return how a panel of these slices is written to `out`; past the caches where each line is written once."""
    if width != WIDE or out.size <= block_kernels.NEAR:
        return CACHED
    n_table = slices.origins.shape[1] - slices.n_plain
    is_one_pass = slices.n_plain <= MOST_PLAIN and n_table <= MOST_TABLE and slices.loss_places.shape[1] <= 1
    once = is_one_pass and stride == width
    return STREAMED if once and out.ctypes.data % CACHE_LINE == 0 else PREFETCHED


def write_panels(
    slices: Slices,
    shares: list[tuple[int, int]],
    panels: list[tuple[int, int]],
    m: int,
    v: FloatArray,
    out: FloatArray,
    scale: float | None = None,
) -> None:
    """Write ``A v``, or where a scale is given ``v + scale A v``, panel by panel of some runs, while these are near.

    `v` and `out` are m vectors whose values of a state touch, (n, m) in one row, `panels` the first vectors and the
    widths of theirs, and `shares` the runs of each thread.
    """
    starts, factors = slices.starts, (1.0, 0.0) if scale is None else (scale, 1.0)
    ways = [way_to_write(slices, width, m, out) for _, width in panels]

    def share(first: int, end: int) -> None:
        cuts, size = [first, end], int(starts[end] - starts[first]) * m
        if len(panels) > 1 and size > NEAR_BATCH:
            cuts = np.searchsorted(starts, np.linspace(starts[first], starts[end], size // NEAR_BATCH + 2)).tolist()
        for low, high in pairwise(cuts):
            for (begin, width), way in zip(panels, ways, strict=True):
                block_kernels.write_panel(slices, low, high, width, m, way, v[begin:], out[begin:], *factors)

    threads.call_each(share, shares)


class Block:
    """How m vectors of an operator's n states lie in a flat array, and products with them.

    The value of vector k in the state at place i of the operator's order is at ``places[k] + i steps[k]``.
    """

    def __init__(self, n: int, m: int, widths: Sequence[int], order: IntArray | None, write: Write) -> None:
        self.n, self.m, self._order, self._write = n, m, order, write
        ends = np.cumsum([0, *widths])
        self._panels = [(int(first), int(end)) for first, end in pairwise(ends)]
        self.size = n * int(ends[-1])
        panel = np.searchsorted(ends, np.arange(m), side="right") - 1
        self.steps = np.asarray(widths, dtype=np.int64)[panel]  # (m,)
        self.places = n * ends[panel] + np.arange(m) - ends[panel]  # (m,)

    def zeros(self, *shape: int) -> FloatArray:
        """Return room for blocks, (*shape, size)."""
        n_bytes = 8 * int(np.prod(shape, dtype=np.int64)) * self.size
        room = np.zeros(n_bytes + CACHE_LINE, dtype=np.uint8)
        first = -room.ctypes.data % CACHE_LINE
        block: FloatArray = room[first : first + n_bytes].view(np.float64).reshape(*shape, self.size)
        return block

    def vector(self, block: FloatArray, k: int) -> FloatArray:
        """Return a view of vector k of a block in the operator's order, (n,)."""
        place, step = int(self.places[k]), int(self.steps[k])
        return block[place : place + self.n * step : step]

    def enter(self, columns: FloatArray) -> FloatArray:
        """Return a block, (size,), of vectors in the order of the space, (n, m); a view where they lie right."""
        if self._order is None and self._panels == [(0, self.m)] and columns.flags.c_contiguous:
            return columns.reshape(-1)
        block, ordered = self.zeros(), columns if self._order is None else columns[self._order]
        for first, end in self._panels:
            self._panel(block, first, end)[:, : self.m - first] = ordered[:, first:end]
        return block

    def leave(self, block: FloatArray) -> FloatArray:
        """Return the vectors of a block in the order of the space, (n, m); a view where they lie right."""
        panels = [self._panel(block, first, end)[:, : self.m - first] for first, end in self._panels]
        vectors = panels[0] if len(panels) == 1 else np.concatenate(panels, axis=1)
        if self._order is None:
            return vectors
        columns = np.empty_like(vectors)
        columns[self._order] = vectors
        return columns

    def product(self, v: FloatArray, out: FloatArray) -> None:
        """Write A times each vector of a block to `out`."""
        self._multiply(v, out, None)

    def advance(self, v: FloatArray, out: FloatArray, scale: float) -> None:
        """Write ``v + scale A v`` for each vector v of a block to `out`."""
        self._multiply(v, out, scale)

    def _multiply(self, v: FloatArray, out: FloatArray, scale: float | None) -> None:
        for first, end in self._panels:
            panel = slice(self.n * first, self.n * end)
            self._write(end - first, v[panel], out[panel], scale)

    def _panel(self, block: FloatArray, first: int, end: int) -> FloatArray:
        return block[self.n * first : self.n * end].reshape(self.n, end - first)
