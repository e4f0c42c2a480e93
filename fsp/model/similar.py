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
    places: list[list[int]]  # of the counts x0, x1, … the rows, for each law
    constants: dict[str, FloatArray]  # c0, c1, …, (n_laws, 1) each


class CompiledLaws:
    """Laws of species, ready to be evaluated at many states; what else a law names has no value."""

    def __init__(self, laws: Iterable[Expression], species: Sequence[str]) -> None:
        programs: dict[Expression, list[tuple[int, list[int], list[float]]]] = {}
        row = {name: j for j, name in enumerate(species)}
        self._many = self.work = 0  # laws; symbols and numbers that a call goes through
        for law in laws:
            counts: list[int] = []
            numbers: list[float] = []
            programs.setdefault(_shape(law, row, counts, numbers), []).append((self._many, counts, numbers))
            self._many += 1
        self._groups = []
        for shape, members in programs.items():
            rows, places, values = zip(*members, strict=True)
            constants = {f"c{k}": np.array(c)[:, None] for k, c in enumerate(zip(*values, strict=True))}
            self._groups.append(_Similar(shape, list(rows), list(map(list, zip(*places, strict=True))), constants))
            self.work += len(places[0]) + len(constants)

    def __call__(self, states: IntArray) -> FloatArray:
        """Return the laws at time 0 in states (n, d), (R, n); zero where they are not defined."""
        known = np.concatenate([states.T.astype(np.float64), np.full((1, len(states)), np.nan)])  # (d + 1, n)
        values = np.empty((self._many, len(states)))
        with np.errstate(all="ignore"):
            for group in self._groups:
                given = {f"x{k}": known[rows] for k, rows in enumerate(group.places)}
                values[group.rows] = compiled(group.shape)(given | group.constants, np.float64(0.0))
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
