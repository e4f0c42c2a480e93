"""Where a condition on counts may hold: whole points of some species in a box, found by enclosing its value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from fsp.errors import ModelError
from fsp.model.functions import FUNCTIONS
from fsp.model.spans import ANYTHING, Range
from fsp.model.tree import Call, Expression, Number, Symbol, Time

Box = dict[str, Range]

TOO_FAR = 2.0**31  # counts up to which an end is looked for: more do not fit the keys of states


def enclosure(tree: Expression, box: Mapping[str, Range]) -> Range:
    """Enclose the values of a tree, at all times."""
    if isinstance(tree, Number):
        return tree.value, tree.value
    if isinstance(tree, Symbol):
        return box.get(tree.name, (0.0, math.inf))
    if isinstance(tree, Time):
        return 0.0, math.inf
    if not isinstance(tree, Call):
        return ANYTHING
    rule = FUNCTIONS[tree.function].span
    if rule is None:
        return ANYTHING
    low, high = rule([enclosure(a, box) for a in tree.arguments])
    return ANYTHING if math.isnan(low) or math.isnan(high) else (low, high)


def last_count(tree: Expression, name: str) -> int | None:
    """Return the last count of a species at which a rate may be other than zero."""
    low, high = -1.0, 1.0
    while enclosure(tree, {name: (high, math.inf)}) != (0.0, 0.0):
        low, high = high, 2.0 * high
        if high > TOO_FAR:
            return None
    while high - low > 1.0:
        middle = (low + high) // 2
        low, high = (low, middle) if enclosure(tree, {name: (middle, math.inf)}) == (0.0, 0.0) else (middle, high)
    return int(low)


def points(
    tree: Expression, names: Sequence[str], box: Box, possible: Callable[[Box], bool], limit: int, what: str
) -> Iterator[tuple[int, ...]]:
    """Yield the counts of some species with which a condition may hold."""
    pending, n_points = [dict(box)], 0
    while pending:
        part = pending.pop()
        if enclosure(tree, part) == (0.0, 0.0) or not possible(part):
            continue
        open_ended = [name for name in names if part[name][0] < part[name][1]]
        if not open_ended:
            n_points += 1
            if n_points > limit:
                raise ModelError(f"{what} must lead to at most {limit:,} different changes, but to more of {names[0]}.")
            yield tuple(int(part[name][0]) for name in names)
            continue
        name = max(open_ended, key=lambda name: part[name][1] - part[name][0])
        pending += _halves(part, name, what)


def _halves(part: Box, name: str, what: str) -> list[Box]:
    low, high = part[name]
    if math.isinf(high) and low > TOO_FAR:
        raise ModelError(
            f"{what} must be a finite number of changes of the state, but '{name}' may have any count then, for all "
            f"that is known; assign an increment such as '{name} + 1', or keep '{name}' below a bound by a "
            f"conservation law or a condition in the trigger."
        )
    middle = max(2.0 * low, 7.0) if math.isinf(high) else (low + high) // 2
    return [{**part, name: (low, middle)}, {**part, name: (middle + 1.0, high)}]
