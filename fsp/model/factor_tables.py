"""Products of one-species factors as tables over counts, with their errors: what all spaces of a network share.

A factor is looked at over a whole range of counts, 0 … 2ⁿ - 1, of which a space takes its own: spaces grow by little,
and what is known of a range serves the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fsp.arrays import FloatArray
from fsp.model.accuracy import Accuracy, errors, of_scale, of_values, structural
from fsp.model.factors import Product, split_number, tabulated
from fsp.model.tree import Expression, folding_errors

FEWEST_KEPT = 2**8  # counts of a range that is kept for the next space
MOST_KEPT = 2**15  # counts above it are computed when asked for: 256 KiB a factor were chosen as the most to keep


class Tabulated(NamedTuple):
    """A factor over the counts of a space."""

    values: FloatArray  # (n_counts,)
    least: float  # their extremes; not a number where a value is none
    largest: float
    accuracy: Accuracy


class _CountRange(NamedTuple):
    """A factor over a range of counts: its values, (n_counts,), and their relative error, or else the error of each."""

    values: FloatArray
    relative: float | None
    error: FloatArray


class Factor:
    """What depends on one species, `name`, in a product."""

    def __init__(self, tree: Expression, name: str) -> None:
        self._tree, self._name = tree, name
        self._kept: _CountRange | None = None
        self._last: tuple[int, int, Tabulated] | None = None

    def over(self, bottom: int, top: int) -> Tabulated:
        """Return the factor at the counts from `bottom` to `top`."""
        last = self._last
        if last is None or last[:2] != (bottom, top):
            last = self._last = (bottom, top, self._tabulated(bottom, top))
        return last[2]

    def _tabulated(self, bottom: int, top: int) -> Tabulated:
        values, relative, error = self._range(bottom, top)
        least, largest = float(values.min()), float(values.max())
        if relative is None:
            return Tabulated(values, least, largest, of_values(values, error))
        return Tabulated(values, least, largest, Accuracy.of_relative(relative, max(abs(least), abs(largest))))

    def _range(self, bottom: int, top: int) -> _CountRange:
        if top >= MOST_KEPT:
            return self._computed(bottom, top)
        size, kept = max(FEWEST_KEPT, 2 ** top.bit_length()), self._kept
        if kept is None or len(kept.values) != size:
            kept = self._kept = self._computed(0, size - 1)
        values, relative, error = kept
        return _CountRange(values[bottom : top + 1], relative, error[bottom : top + 1])

    def _computed(self, bottom: int, top: int) -> _CountRange:
        values, relative = tabulated(self._tree, self._name, bottom, top), structural(self._tree, max(1.0, top))
        if relative is not None:
            return _CountRange(values, relative, values[:0])
        counts = np.arange(bottom, top + 1, dtype=np.float64)
        error = errors(self._tree, {self._name: counts}, 0.0)[1]
        return _CountRange(values, None, np.broadcast_to(error, counts.shape))


class ProductTables(NamedTuple):
    """One product of a law, its factors ready to be tabulated."""

    scale: float  # what depends on no species, but for the clock
    clock: Expression  # what depends on time
    accuracy: Accuracy  # of the scale
    factors: dict[int, Factor]  # by the index of their species


def product_tables(
    products: Sequence[Product], index: Mapping[str, int], known: dict[tuple[object, ...], Factor]
) -> tuple[ProductTables, ...]:
    """Return the products of a law; factors that are in several laws are one, of those that are `known`."""
    tables = []
    for product in products:
        factors = {}
        for name, tree in product.factors.items():
            factors[index[name]] = known.setdefault((tree, folding_errors(tree)), Factor(tree, name))
        scale, clock = split_number(product.scalar)
        tables.append(ProductTables(scale, clock, of_scale(product.scalar), factors))
    return tuple(tables)
