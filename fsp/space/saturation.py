"""Reachable sets by whole runs.

Where every rate is positive on boxes of counts and every constraint is a linear inequality, a reaction maps an interval
of a fiber, all at once, to an interval of another; reactions along the fiber are followed to their end at once.  So
the work rises with the number of runs, not of states.  (Saturation, after G. Ciardo, G. Lüttgen, R. Siminiceanu, TACAS
2001, with intervals in place of decision diagrams.)  Other networks are closed state by state, see `fsp.space.closure`.
"""

from __future__ import annotations

from math import isfinite, lcm
from typing import TYPE_CHECKING

import numpy as np

from fsp.arrays import IntArray
from fsp.model.expression import depends_on_time, evaluate, tabulated
from fsp.space import saturation_kernels
from fsp.space.inequalities import Inequality
from fsp.space.runs import KeyRuns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.model.expression import Product
    from fsp.space.constraints import Constraint
    from fsp.space.encoding import Encoding
    from fsp.space.limits import Limit

EVERY_FIBER = 2**62  # above all keys of one word, see `fsp.space.encoding.WORD_BITS`
MORE = "more can be reached"
LARGEST_TABLE = 10_000_000  # counts of a species that are looked at one by one


_Firing = tuple[int, IntArray, IntArray]  # a reaction, and lowest and highest counts at which it can happen


class Firings(saturation_kernels.Ways):
    """The ways in which the reactions of a network fire, as the arrays that the kernel takes."""

    __slots__ = ()

    @classmethod
    def of(cls, model: Model, encoding: Encoding, constraints: Sequence[Constraint]) -> Firings | None:
        """Return the firings of a network, None where its closure cannot be found by whole runs."""
        conditions = [condition for constraint in constraints for condition in constraint.linear or ()]
        if encoding.n_words > 1 or not encoding.kept or any(constraint.linear is None for constraint in constraints):
            return None
        top = _top(model, encoding, conditions)
        firings = None if top is None else _firings(model, top)
        if top is None or firings is None:
            return None
        rows = [_box(encoding, lowest, highest, top) for _, lowest, highest in firings]
        weights, bounds = _stack(encoding, rows)
        unit = np.eye(len(top), dtype=np.int64)
        below = [Inequality(row, int(count)) for row, count in zip(unit, top, strict=True)]
        limits, limit_bounds = _inequalities(encoding, [*conditions, *below])
        changes = model.change[[k for k, _, _ in firings]][:, list(encoding.kept)]
        return cls(
            np.array(encoding.shift),
            np.array(encoding.bits),
            np.ascontiguousarray(changes.reshape(len(firings), len(encoding.kept))),
            np.cumsum([0, *(len(lengths) for _, lengths in rows)]),
            weights,
            bounds,
            limits,
            limit_bounds,
        )

    def close(
        self, runs: KeyRuns, max_states: int, *, n_done: int = 0, first: int = 0, end: int = EVERY_FIBER
    ) -> tuple[bool, KeyRuns, int]:
        """Return whether all states were found, their runs, sorted, and the number of states in the range.

        See `fsp.space.saturation_kernels.saturate`; `runs` need not be sorted.
        """
        closed, keys, lengths, size = saturation_kernels.saturate(
            runs.keys[:, 0], runs.lengths, n_done, first, end, self, max_states
        )
        order = np.argsort(keys)
        return bool(closed), KeyRuns.of_lengths(keys[order][:, None], lengths[order]), int(size)


def saturate(
    model: Model, encoding: Encoding, initial: KeyRuns, constraints: Sequence[Constraint], limit: Limit
) -> KeyRuns | None:
    """Return the closure of `initial` under all reactions, or None where it cannot be found by whole runs."""
    firings = Firings.of(model, encoding, constraints)
    if firings is None:
        return None
    closed, runs, size = firings.close(initial, limit.states)
    limit.require(size, MORE)
    return runs if closed else None


def _top(model: Model, encoding: Encoding, conditions: list[Inequality]) -> IntArray | None:
    """Return an upper bound of each species, None where one has none or a bound is larger than tables can be."""
    top = model.species_bounds.copy()
    for condition in conditions:
        if (condition.weights >= 0).all():
            for s in np.flatnonzero(condition.weights):
                top[s] = min(top[s], condition.bound // int(condition.weights[s]))
    margins = np.abs(model.change).max(axis=0)
    if not np.isfinite(top).all() or (top > LARGEST_TABLE).any() or (top < 0).any():
        return None
    bounds: IntArray = top.astype(np.int64)
    return bounds if (bounds + margins <= encoding.capacity).all() else None


def _firings(model: Model, top: IntArray) -> list[_Firing] | None:
    """Return boxes whose union is where each reaction can happen; None where there are none, or a rate is no rate."""
    firings: list[_Firing] = []
    for k in np.flatnonzero(model.change.any(axis=1)).tolist():
        boxes = _boxes(model, k, top)
        least = np.maximum(0, -model.change[k])
        if boxes is None or any((lowest < least).any() for lowest, _ in boxes):
            return None
        firings += [(k, lowest, highest) for lowest, highest in boxes]
    return firings


def _boxes(model: Model, k: int, top: IntArray) -> list[tuple[IntArray, IntArray]] | None:
    """Return the boxes, lowest and highest counts, in which a term of a rate is positive, or may be at some time."""
    products = model.factorised(k)
    if products is None:
        return None
    boxes = []
    for product in products:
        timed = depends_on_time(product.scalar)
        scale = 1.0 if timed else float(evaluate(product.scalar, {}, 0.0))
        box = _supports(model, product, top)
        if box is None or not (scale >= 0.0 and isfinite(scale)):
            return None
        if timed:  # clocks may be taken for positive everywhere, counts must not become negative
            box = np.maximum(box[0], -model.change[k]), box[1]
        if scale > 0.0 and (box[0] <= box[1]).all():
            boxes.append(box)
    return boxes


def _supports(model: Model, product: Product, top: IntArray) -> tuple[IntArray, IntArray] | None:
    """Return the box in which a product is positive, None where it is none."""
    lowest, highest = np.zeros_like(top), top.copy()
    for name, tree in product.factors.items():
        s = model.species.index(name)
        support = _support(tabulated(tree, name, 0, int(top[s])))
        if support is None:
            return None
        lowest[s], highest[s] = support
    return lowest, highest


def _support(values: FloatArray) -> tuple[int, int] | None:
    """Return first and last count of a positive factor; None where they are no interval or a value is no rate."""
    if not (values.min() >= 0.0 and np.isfinite(values).all()):
        return None
    positive = np.flatnonzero(values > 0.0)
    if not len(positive):
        return 1, 0
    first, last = int(positive[0]), int(positive[-1])
    return (first, last) if len(positive) == last - first + 1 else None


def _box(encoding: Encoding, lowest: IntArray, highest: IntArray, top: IntArray) -> tuple[IntArray, IntArray]:
    """Return the box as inequalities of the kept species."""
    unit = np.eye(len(top), dtype=np.int64)
    above = [Inequality(-unit[s], -int(lowest[s])) for s in np.flatnonzero(lowest > 0)]
    below = [Inequality(unit[s], int(highest[s])) for s in np.flatnonzero(highest < top)]
    return _inequalities(encoding, above + below)


def _inequalities(encoding: Encoding, conditions: list[Inequality]) -> tuple[IntArray, IntArray]:
    """Write inequalities in the kept species: dependent ones are affine functions of those."""
    weights, bounds = [], []
    for condition in conditions:
        # divisor x = constant + weights · kept, so multiply by the divisors
        scale = lcm(*(law.divisor for law in encoding.dependences))
        row, bound = scale * condition.weights, scale * condition.bound
        for law in encoding.dependences:
            factor = int(row[law.species]) // law.divisor
            row, bound = row + factor * law.weights, bound - factor * law.constant
            row[law.species] = 0
        weights.append(row[list(encoding.kept)])
        bounds.append(bound)
    n = len(encoding.kept)
    return np.array(weights, dtype=np.int64).reshape(-1, n), np.array(bounds, dtype=np.int64)


def _stack(encoding: Encoding, rows: list[tuple[IntArray, IntArray]]) -> tuple[IntArray, IntArray]:
    empty = np.zeros((0, len(encoding.kept)), dtype=np.int64)
    weights = np.concatenate([empty, *(w for w, _ in rows)])
    return weights, np.concatenate([np.zeros(0, dtype=np.int64), *(b for _, b in rows)])
