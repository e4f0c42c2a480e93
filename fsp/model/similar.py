"""Many laws at once: those that differ in names and numbers alone are one program, over an array of all of them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fsp.arrays import FloatArray, IntArray
from fsp.model.program import compiled
from fsp.model.tree import Call, Expression, Number, Symbol


class _Similar(NamedTuple):
    """Laws of one shape."""

    shape: Expression  # the symbols of which stand for counts, x0, x1, …, and numbers, c0, c1, …
    rows: list[int]  # which laws
    counts: list[list[int]]  # for each law the rows of the counts, x0, x1, …
    numbers: list[list[float]]  # likewise c0, c1, …


class Laws:
    """Laws of species, ready to be evaluated at many states; what else a law names has no value."""

    def __init__(self, laws: Iterable[Expression], species: Sequence[str]) -> None:
        self._groups: dict[Expression, _Similar] = {}
        row = {name: j for j, name in enumerate(species)}
        self._many = 0
        for law in laws:
            counts: list[int] = []
            numbers: list[float] = []
            shape = _shape(law, row, counts, numbers)
            group = self._groups.setdefault(shape, _Similar(shape, [], [], []))
            group.rows.append(self._many)
            group.counts.append(counts)
            group.numbers.append(numbers)
            self._many += 1

    def __call__(self, states: IntArray) -> FloatArray:
        """Return the laws at time 0 in states (n, d), (R, n); zero where they are not defined."""
        known = np.concatenate([states.T.astype(np.float64), np.full((1, len(states)), np.nan)])  # (d + 1, n)
        values = np.empty((self._many, len(states)))
        with np.errstate(all="ignore"):
            for group in self._groups.values():
                given = {f"x{k}": known[list(rows)] for k, rows in enumerate(zip(*group.counts, strict=True))}
                given |= {f"c{k}": np.array(c)[:, None] for k, c in enumerate(zip(*group.numbers, strict=True))}
                values[group.rows] = compiled(group.shape)(given, np.float64(0.0))
        values[~np.isfinite(values)] = 0.0
        return values


def _shape(tree: Expression, row: Mapping[str, int], counts: list[int], numbers: list[float]) -> Expression:
    """Return a law in which the order alone tells counts and numbers apart, which are appended.

    It is computed as the law is: the numbers of a product first, and powers by their exponents.
    """
    if isinstance(tree, Symbol):
        counts.append(row.get(tree.name, -1))
        return Symbol(f"x{len(counts) - 1}")
    if isinstance(tree, Number):
        numbers.append(tree.value)
        return Symbol(f"c{len(numbers) - 1}")
    if not isinstance(tree, Call):
        return tree
    arguments = tree.arguments
    if tree.function == "*":
        scalar = math.prod(a.value for a in arguments if isinstance(a, Number))
        arguments = (Number(float(scalar)), *(a for a in arguments if not isinstance(a, Number)))
    exponent = arguments[1:] if tree.function == "^" and isinstance(arguments[1], Number) else ()
    inside = arguments[:1] if exponent else arguments
    return Call(tree.function, (*(_shape(a, row, counts, numbers) for a in inside), *exponent))
