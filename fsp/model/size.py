"""How large a formula may be once functions and parameters are put in.

Definitions that use each other can stand for more terms than any memory holds, and what walks over trees
calls itself once a level.  A tree that is too deep is written flat where that says the same: sums, products,
`piecewise` in the last place of `piecewise`, and `min`, `max`, `and`, `or` of their own kind.  Only the order in
which sums and products are rounded changes.
"""

from __future__ import annotations

from collections.abc import Iterator

from fsp.errors import ModelError
from fsp.model.tree import ONE, Call, Expression, call

MOST_PARTS = 100_000  # numbers, names and functions of a formula: above it, passes over the tree take seconds
MOST_LEVELS = 100  # Python allows 1,000 calls within each other, and what walks over trees takes up to five a level

_ASSOCIATIVE = {"+": "+", "-": "+", "neg": "+", "*": "*", "/": "*", "min": "min", "max": "max", "&&": "&&", "||": "||"}


def bounded(tree: Expression, what: str) -> Expression:
    """Return a tree that is not too deep, or refuse it."""
    if _is_small(tree):
        return tree
    parts, levels = extent(tree)
    if parts > MOST_PARTS:
        raise ModelError(
            f"{what} must have at most {MOST_PARTS:,} numbers, names and functions once functions and parameters are "
            f"put in, but has {min(parts, 10**300):.2g}."
        )
    if levels > MOST_LEVELS:
        tree = _flat(tree)
        levels = extent(tree)[1]
    if levels > MOST_LEVELS:
        raise ModelError(f"{what} must nest at most {MOST_LEVELS} levels deep, but nests {levels} deep.")
    return tree


def _is_small(tree: Expression) -> bool:
    """Tell, in less time than `extent`, that a tree is far below both limits; most are."""
    pending = [tree]
    for _ in range(MOST_LEVELS):
        if not pending:
            return True
        node = pending.pop()
        if isinstance(node, Call):
            pending.extend(node.arguments)
    return False


def extent(tree: Expression) -> tuple[int, int]:
    """Return the number of nodes of a tree, shared ones counted at each place, and the number of its levels."""
    extents: dict[int, tuple[int, int]] = {}
    for node in _children_first(tree):
        inside = [extents[id(child)] for child in _children(node)]
        extents[id(node)] = (
            1 + sum(parts for parts, _ in inside),
            1 + max((levels for _, levels in inside), default=0),
        )
    return extents[id(tree)]


def _children(node: Expression) -> tuple[Expression, ...]:
    return node.arguments if isinstance(node, Call) else ()


def _children_first(tree: Expression) -> Iterator[Expression]:
    """Yield every node once, children before parents, however often it is shared and however deep it lies."""
    seen: set[int] = set()
    pending = [(tree, False)]
    while pending:
        node, ready = pending.pop()
        if ready:
            yield node
        elif id(node) not in seen:
            seen.add(id(node))
            pending.append((node, True))
            pending.extend((child, False) for child in _children(node))


def _flat(tree: Expression) -> Expression:
    nodes = list(_children_first(tree))
    tops = {id(tree)} | {
        id(child) for node in nodes for k, child in enumerate(_children(node)) if not _takes_in(node, k)
    }
    made: dict[int, Expression] = {}
    for node in nodes:
        if id(node) in tops:
            made[id(node)] = _merged(node, made) if isinstance(node, Call) else node
    return made[id(tree)]


def _takes_in(node: Expression, k: int) -> bool:
    """Return whether argument k of a call is of its own kind, so that its arguments can be those of the call."""
    argument = _children(node)[k]
    if not isinstance(node, Call) or not isinstance(argument, Call):
        return False
    if node.function == "piecewise":
        return argument.function == "piecewise" and len(node.arguments) % 2 == 1 and k == len(node.arguments) - 1
    return node.function in _ASSOCIATIVE and _ASSOCIATIVE[node.function] == _ASSOCIATIVE.get(argument.function)


def _merged(top: Call, made: dict[int, Expression]) -> Expression:
    """Return a call that takes in all calls of its kind below it; `made` has what they are applied to."""
    if not any(_takes_in(top, k) for k in range(len(top.arguments))):
        return call(top.function, *(made[id(argument)] for argument in top.arguments))
    inverse = _reciprocal if top.function in ("*", "/") else _negative
    operands: list[Expression] = []
    pending: list[tuple[Expression, bool, bool]] = [(top, True, False)]  # is it taken in, is it inverted?
    while pending:
        node, is_open, inverted = pending.pop()
        if not isinstance(node, Call) or not is_open:
            operands.append(inverse(made[id(node)]) if inverted else made[id(node)])
            continue
        last = len(node.arguments) - 1
        pending.extend(
            (node.arguments[k], _takes_in(node, k), inverted ^ (node.function in ("-", "neg", "/") and k == last))
            for k in reversed(range(last + 1))
        )
    return call(_ASSOCIATIVE.get(top.function, top.function), *operands)


def _negative(tree: Expression) -> Expression:
    return call("neg", tree)


def _reciprocal(tree: Expression) -> Expression:
    return call("/", ONE, tree)
