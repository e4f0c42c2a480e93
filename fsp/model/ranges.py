"""Where a condition on counts may hold: whole points of some species in a box, found by enclosing its value.

Every operation is enclosed by the values at the ends, in the same floating point in which it is evaluated at a point;
rounding is monotone, so no point is missed.  What is not treated may be anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import pairwise

from fsp.errors import ModelError
from fsp.model.tree import Call, Expression, Number, Symbol

Range = tuple[float, float]
Box = dict[str, Range]

ANYTHING: Range = (-math.inf, math.inf)
UNKNOWN: Range = (0.0, 1.0)  # of a truth value
TOO_FAR = 2.0**31  # counts up to which an end is looked for: more do not fit the keys of states


def enclosure(tree: Expression, box: Mapping[str, Range]) -> Range:
    """Enclose the values of a tree."""
    if isinstance(tree, Number):
        return tree.value, tree.value
    if isinstance(tree, Symbol):
        return box.get(tree.name, (0.0, math.inf))
    if not isinstance(tree, Call):
        return ANYTHING
    rule = _RULES.get(tree.function)
    if rule is None:
        return ANYTHING
    low, high = rule([enclosure(a, box) for a in tree.arguments])
    return ANYTHING if math.isnan(low) or math.isnan(high) else (low, high)


def _sum(parts: Sequence[Range]) -> Range:
    return reduce(lambda a, b: (a[0] + b[0], a[1] + b[1]), parts, (0.0, 0.0))


def _difference(parts: Sequence[Range]) -> Range:
    (a, b), (c, d) = parts
    return a - d, b - c


def _product(parts: Sequence[Range]) -> Range:
    def times(left: Range, right: Range) -> Range:
        corners = [0.0 if 0.0 in (x, y) else x * y for x in left for y in right]
        return min(corners), max(corners)

    return reduce(times, parts, (1.0, 1.0))


def _quotient(parts: Sequence[Range]) -> Range:
    top, bottom = parts
    if bottom[0] <= 0.0 <= bottom[1] or math.inf in map(abs, bottom):
        return ANYTHING
    corners = [x / y for x in top for y in bottom]
    return min(corners), max(corners)


def _rounded(function: Callable[[float], int]) -> Callable[[Sequence[Range]], Range]:
    return lambda parts: tuple(x if math.isinf(x) else float(function(x)) for x in parts[0])  # type: ignore[return-value]


def _absolute(parts: Sequence[Range]) -> Range:
    ((low, high),) = parts
    least = 0.0 if low <= 0.0 <= high else min(abs(low), abs(high))
    return least, max(abs(low), abs(high))


def _chain(always: Callable[[Range, Range], bool], never: Callable[[Range, Range], bool]) -> Callable[..., Range]:
    def compared(parts: Sequence[Range]) -> Range:
        pairs = list(pairwise(parts))
        if any(never(a, b) for a, b in pairs):
            return 0.0, 0.0
        return (1.0, 1.0) if all(always(a, b) for a, b in pairs) else UNKNOWN

    return compared


def _same(a: Range, b: Range) -> bool:
    return a[0] == a[1] == b[0] == b[1]


def _apart(a: Range, b: Range) -> bool:
    return a[1] < b[0] or b[1] < a[0]


def _truth(part: Range) -> Range:
    if part == (0.0, 0.0):
        return 0.0, 0.0
    return (1.0, 1.0) if part[0] > 0.0 or part[1] < 0.0 else UNKNOWN


def _all(parts: Sequence[Range]) -> Range:
    truths = [_truth(p) for p in parts]
    return min((t[0] for t in truths), default=1.0), min((t[1] for t in truths), default=1.0)


def _any(parts: Sequence[Range]) -> Range:
    truths = [_truth(p) for p in parts]
    return max((t[0] for t in truths), default=0.0), max((t[1] for t in truths), default=0.0)


def _not(parts: Sequence[Range]) -> Range:
    low, high = _truth(parts[0])
    return 1.0 - high, 1.0 - low


_RULES: dict[str, Callable[[Sequence[Range]], Range]] = {
    "+": _sum,
    "-": _difference,
    "neg": lambda parts: (-parts[0][1], -parts[0][0]),
    "*": _product,
    "/": _quotient,
    "abs": _absolute,
    "floor": _rounded(math.floor),
    "ceil": _rounded(math.ceil),
    "min": lambda parts: (min(p[0] for p in parts), min(p[1] for p in parts)),
    "max": lambda parts: (max(p[0] for p in parts), max(p[1] for p in parts)),
    "<": _chain(lambda a, b: a[1] < b[0], lambda a, b: a[0] >= b[1]),
    "<=": _chain(lambda a, b: a[1] <= b[0], lambda a, b: a[0] > b[1]),
    ">": _chain(lambda a, b: a[0] > b[1], lambda a, b: a[1] <= b[0]),
    ">=": _chain(lambda a, b: a[0] >= b[1], lambda a, b: a[1] < b[0]),
    "==": _chain(_same, _apart),
    "!=": _chain(_apart, _same),
    "&&": _all,
    "||": _any,
    "!": _not,
}


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
    tree: Expression, names: Sequence[str], box: Box, possible: Callable[[Box], bool], most: int, what: str
) -> Iterator[tuple[int, ...]]:
    """Yield the counts of some species with which a condition may hold."""
    pending, found = [dict(box)], 0
    while pending:
        part = pending.pop()
        if enclosure(tree, part) == (0.0, 0.0) or not possible(part):
            continue
        open_ended = [name for name in names if part[name][0] < part[name][1]]
        if not open_ended:
            found += 1
            if found > most:
                raise ModelError(f"{what} must lead to at most {most:,} different changes, but to more of {names[0]}.")
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
