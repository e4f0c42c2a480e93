"""Counts that no jump passes in one direction: where a chain cannot go back, however far a space reaches.

``x_i >= m`` is kept where no reaction that lowers species i has a rate in m <= x_i < m + (how much it lowers it), other
counts being anything; ``x_i <= m`` likewise.  That a rate is zero there is read off its formula: a factor or the pieces
that may hold are zero themselves, and conditions compare whole numbers, in which nothing rounds.  The counts that are
tried are those beside the whole numbers that formulas hold, as switches do, and those of the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fsp.model.functions import ALL_COMPARISONS
from fsp.model.ranges import enclosure
from fsp.model.tree import Call, Expression, Number, Symbol, symbols, walk

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, IntArray
    from fsp.model import Model
    from fsp.model.ranges import Box

MOST_CONDITION_NUMBERS = 64  # whole numbers in conditions on a species, whose neighbours are tried; chosen
LARGEST_EXACT = 2.0**40  # whole numbers whose sums, and those with counts, are exact in double precision
WHOLE_FUNCTIONS = {"+", "-", "neg"}  # functions that make whole numbers of whole numbers


class Barriers:
    """The barriers of one network, as far as they are asked for."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._laws = model.rate_expressions
        self._tried = {} if model.events else {name: self._compared_with(name) for name in model.species}
        self._known: dict[tuple[int, int, int], bool] = {}

    def passed(self, states: IntArray, start: IntArray) -> BoolArray:
        """Tell which states (n, d) are beyond a barrier that a chain from `start` (d,) does not pass, (n,)."""
        beyond = np.zeros(len(states), dtype=np.bool_)
        for i, (begun, numbers) in enumerate(zip(start.tolist(), self._tried.values(), strict=False)):
            tried = {begun, *numbers}
            least = max((m for m in tried if m <= begun and self._is_kept(i, m, -1)), default=0)
            largest = min((m for m in tried if m >= begun and self._is_kept(i, m, 1)), default=np.inf)
            beyond |= (states[:, i] < least) | (states[:, i] > largest)
        return beyond

    def _compared_with(self, name: str) -> list[int]:
        """Return the counts beside whole numbers in conditions on a species."""
        nodes = [node for law in self._laws if law is not None for node in walk(law)]
        conditions = [node for node in nodes if isinstance(node, Call) and node.function in ALL_COMPARISONS]
        parts = [part for condition in conditions if name in symbols(condition) for part in walk(condition)]
        numbers = sorted({int(part.value) for part in parts if isinstance(part, Number) and _is_whole(part)})
        return [n + k for n in numbers[:MOST_CONDITION_NUMBERS] for k in (-1, 0, 1) if n + k >= 0]

    def _is_kept(self, i: int, m: int, sign: int) -> bool:
        """Tell whether no reaction changes species i from ``sign (x_i - m) <= 0`` to beyond."""
        if (i, m, sign) not in self._known:
            self._known[i, m, sign] = self._is_barrier(i, m, sign)
        return self._known[i, m, sign]

    def _is_barrier(self, i: int, m: int, sign: int) -> bool:
        name, steps = self._model.species[i], sign * self._model.change[:, i]
        for law, step in zip(self._laws, steps.tolist(), strict=True):
            if step <= 0:
                continue
            ends = sorted((m, m - sign * (step - 1)))
            box = {s: (0.0, float(n)) for s, n in zip(self._model.species, self._model.species_bounds, strict=True)}
            box[name] = max(0.0, float(ends[0])), float(ends[1])
            if ends[1] >= 0 and (law is None or not _vanishes(law, box)):
                return False
        return True


def _is_whole(tree: Expression) -> bool:
    """Tell whether a formula of whole counts has whole values that are computed exactly."""
    calls = [node for node in walk(tree) if isinstance(node, Call)]
    if len(calls) > 1 or any(call.function not in WHOLE_FUNCTIONS for call in calls):
        return False
    return all(
        isinstance(node, Call | Symbol)
        or (
            isinstance(node, Number)
            and node.value.is_integer()
            and not node.inexact
            and abs(node.value) < LARGEST_EXACT
        )
        for node in walk(tree)
    )


def _vanishes(tree: Expression, box: Box) -> bool:
    """Tell whether a formula is zero in all of a box."""
    if not isinstance(tree, Call):
        return _is_whole(tree) and enclosure(tree, box) == (0.0, 0.0)
    parts = tree.arguments
    if tree.function == "*":
        return any(_vanishes(part, box) for part in parts)
    if tree.function == "/":
        return _vanishes(parts[0], box)
    if tree.function == "piecewise":
        possible = _possible(tree, box)
        return possible is not None and all(_vanishes(part, box) for part in possible)
    if tree.function in WHOLE_FUNCTIONS and all(_vanishes(part, box) for part in parts):
        return True
    return _is_whole(tree) and enclosure(tree, box) == (0.0, 0.0)


def _possible(tree: Call, box: Box) -> list[Expression] | None:
    """Return the pieces that may hold in a box; None where none may be left."""
    possible = []
    for k in range(0, len(tree.arguments) - 1, 2):
        value, condition = tree.arguments[k : k + 2]
        truth = enclosure(condition, box) if _compares_whole(condition) else (0.0, 1.0)
        if truth != (0.0, 0.0):
            possible.append(value)
        if truth == (1.0, 1.0):
            return possible
    return [*possible, tree.arguments[-1]] if len(tree.arguments) % 2 else None


def _compares_whole(condition: Expression) -> bool:
    if not isinstance(condition, Call):
        return False
    if condition.function in ("&&", "||", "!"):
        return all(map(_compares_whole, condition.arguments))
    return condition.function in ALL_COMPARISONS and all(map(_is_whole, condition.arguments))
