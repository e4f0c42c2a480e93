"""Trees whose equal parts are one object each, and whose constant parts are numbers, so that each is looked at once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from fsp.model.accuracy import errors
from fsp.model.tree import Call, Expression, Number


def with_common_parts(trees: Sequence[Expression]) -> tuple[Expression, ...]:
    """Return trees of the same functions of time; those with symbols stay as they are where these stand."""
    known: dict[Hashable, tuple[Expression, bool]] = {}
    return tuple(_common(tree, known)[0] for tree in trees)


def _common(tree: Expression, known: dict[Hashable, tuple[Expression, bool]]) -> tuple[Expression, bool]:
    """Return a tree made of known parts, and whether it is constant."""
    if not isinstance(tree, Call):
        key: Hashable = (type(tree).__name__, repr(tree))
        return known.setdefault(key, (tree, isinstance(tree, Number)))
    arguments, constant = zip(*(_common(argument, known) for argument in tree.arguments), strict=True)
    key = (tree.function, *map(id, arguments))
    if key not in known:
        known[key] = _made(Call(tree.function, arguments), constant=all(constant))
    return known[key]


def _made(tree: Call, *, constant: bool) -> tuple[Expression, bool]:
    if not constant:
        return tree, False
    value, error = (float(end) for end in errors(tree, {}, 0.0))
    return (Number(value, error), True) if error < float("inf") else (tree, False)
