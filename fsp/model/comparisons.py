"""Comparisons of formulas on states: one place decides them, as the decimals that are written say.

0.1*3 > 0.3 holds in doubles.  A comparison of polynomials of counts is therefore multiplied by the denominators of its
decimals: ``0.1*X > 0.3`` becomes ``X > 3``, whole numbers, whose sums and products are exact up to 2⁵³.  What is left,
such as ``X/(X + Y) > 0.3``, is computed with a bound of its rounding, and settled by fractions within it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np

from fsp.errors import ModelError
from fsp.model.accuracy import of_comparison, settled
from fsp.model.functions import ALL_COMPARISONS
from fsp.model.infix import to_text
from fsp.model.program import evaluate, is_truth
from fsp.model.roundoff import LARGEST_WHOLE
from fsp.model.tree import ZERO, Call, Expression, Number, Symbol, call, depends_on_time, is_condition, walk

LARGEST_COEFFICIENT = 2**31  # of a coefficient: its products with counts stay below 2**53, up to four million of them
MOST_PRODUCT_TERMS = 200  # of a polynomial that is multiplied out
LARGEST_COUNT_POWER = 8  # of counts, as in products of them
MOST_SETTLED = 100_000  # states at which fractions decide, some 10 µs each (chosen)

Form = dict[tuple[str, ...], Fraction]  # coefficients of products of counts, whose names are sorted


def in_whole_numbers(tree: Expression) -> Expression:
    """Return a tree whose comparisons of polynomials with decimals are the same comparisons in whole numbers."""
    if not isinstance(tree, Call) or not any(isinstance(n, Call) and _has_condition(n) for n in walk(tree)):
        return tree
    return _rewritten(tree)


def condition_in_whole_numbers(tree: Expression) -> Expression:
    """Return the same of a tree that is read as a condition, which a number is where it is not zero."""
    return _as_condition(in_whole_numbers(tree))


def decided(
    tree: Expression,
    values: Mapping[str, Any],
    t: float,
    what: str,
    *,
    others: Collection[str] = (),
    agree: bool = False,
) -> Any:
    """Evaluate a condition on counts, as the decimals that it is written in say.

    `values`: counts by name, (n,) each, and numbers, whose names are in `others`; `agree`: refuse too where doubles
    say otherwise, as rates do that are made of the condition.  Returns truth values, (n,) or one.  A `ModelError` names
    a state in which nothing tells.
    """
    inner, holds = tree, dict(values)
    tops = _Largest(values, others)
    for k, node in enumerate(_open(tree, tops)):
        name = f"comparison {k}"  # no identifier: it cannot be the name of anything else
        holds[name] = _settled(node, values, t, what, agree)
        inner = _replaced(inner, node, Call("!=", (Symbol(name), ZERO)))
    return evaluate(inner, holds, t)


class _Largest(dict[str, float]):
    """The largest count in each column, where it is asked for; infinite in columns of what is no count."""

    def __init__(self, values: Mapping[str, Any], others: Collection[str]) -> None:
        self._values, self._others = values, others

    def __missing__(self, name: str) -> float:
        self[name] = math.inf if name in self._others else float(np.max(self._values[name], initial=0.0))
        return self[name]


def _has_condition(node: Call) -> bool:
    return node.function in ALL_COMPARISONS or any(is_condition(node.function, k) for k in range(len(node.arguments)))


def _rewritten(tree: Expression) -> Expression:
    if not isinstance(tree, Call):
        return tree
    parts = [_rewritten(a) for a in tree.arguments]
    parts = [_as_condition(a) if is_condition(tree.function, k) else a for k, a in enumerate(parts)]
    same = all(a is b for a, b in zip(parts, tree.arguments, strict=True))
    node = tree if same else call(tree.function, *parts)
    return _compared(node) if isinstance(node, Call) and node.function in ALL_COMPARISONS else node


def _as_condition(tree: Expression) -> Expression:
    """Return a number that is read as a condition as a comparison, where it may be rounded."""
    if not isinstance(tree, Call) or is_truth(tree):
        return tree
    node = Call("!=", (tree, ZERO))
    compared = _compared(node)
    return tree if compared is node else compared


def _compared(node: Call) -> Expression:
    if len(node.arguments) < 2 or all(map(_is_whole, node.arguments)):
        return node
    pairs = [_in_whole_numbers(node.function, left, right) for left, right in pairwise(node.arguments)]
    known = [pair for pair in pairs if pair is not None]
    if len(known) < len(pairs):
        return node
    return known[0] if len(known) == 1 else call("&&", *known)


def _is_whole(tree: Expression) -> bool:
    """Tell whether a tree is made of whole numbers by sums, differences and products."""
    if isinstance(tree, Number):
        return tree.value.is_integer() and not tree.error
    if isinstance(tree, Call):
        return tree.function in ("+", "-", "neg", "*") and all(map(_is_whole, tree.arguments))
    return isinstance(tree, Symbol)


def _in_whole_numbers(function: str, left: Expression, right: Expression) -> Expression | None:
    """Return a comparison times the denominators of its numbers; None where it is none of polynomials."""
    a, b = _form(left), _form(right)
    if a is None or b is None:
        return None
    difference = _plus(a, b, Fraction(-1))
    if difference.keys() <= {()}:  # it is the same in all states, and stays a condition
        return None
    denominator = math.lcm(*(c.denominator for c in difference.values()))
    coefficients = {names: int(c * denominator) for names, c in difference.items()}
    common = math.gcd(*coefficients.values())
    coefficients = {names: c // common for names, c in coefficients.items()}
    if max(map(abs, coefficients.values())) >= LARGEST_COEFFICIENT:
        return None
    sides = ({n: c for n, c in coefficients.items() if c > 0}, {n: -c for n, c in coefficients.items() if c < 0})
    return Call(function, tuple(map(_sum, sides)))


def _sum(form: Mapping[tuple[str, ...], int]) -> Expression:
    terms = [call("*", *([Number(float(c))] if c != 1 or not names else []), *map(Symbol, names)) for names, c in
             form.items()]  # fmt: skip
    return call("+", *terms) if len(terms) != 1 else terms[0]


def _form(tree: Expression) -> Form | None:
    """Return a tree as a polynomial of its symbols with exact coefficients; None where it is none, or a long one."""
    if isinstance(tree, Number):
        return None if tree.fraction is None else _nonzero({(): tree.fraction})
    if isinstance(tree, Symbol):
        return {(tree.name,): Fraction(1)}
    if not isinstance(tree, Call):
        return None
    parts = [_form(a) for a in tree.arguments]
    known = [part for part in parts if part is not None]
    return _applied(tree.function, known) if parts and len(known) == len(parts) else None


def _applied(function: str, parts: Sequence[Form]) -> Form | None:
    total = parts[0]
    if function == "neg":
        return _times(total, {(): Fraction(-1)})
    for part in parts[1:]:
        joined = _joined(function, total, part)
        if joined is None or len(joined) > MOST_PRODUCT_TERMS:
            return None
        total = joined
    return total


def _joined(function: str, left: Form, right: Form) -> Form | None:
    """Return a function of two polynomials; None where it is no polynomial."""
    if function in ("+", "-"):
        return _plus(left, right, Fraction(1 if function == "+" else -1))
    if function == "*":
        return _times(left, right)
    number = right.get((), Fraction(0)) if right.keys() <= {()} else Fraction(0)
    if function == "/" and number:
        return _times(left, {(): 1 / number})
    if function == "^" and number.denominator == 1 and 1 <= number <= LARGEST_COUNT_POWER:
        return reduce(_times, [left] * int(number))
    return None


def _plus(left: Form, right: Form, factor: Fraction) -> Form:
    total = dict(left)
    for names, c in right.items():
        total[names] = total.get(names, Fraction(0)) + factor * c
    return _nonzero(total)


def _times(left: Form, right: Form) -> Form:
    total: Form = {}
    for names, c in left.items():
        for others, d in right.items():
            key = tuple(sorted((*names, *others)))
            total[key] = total.get(key, Fraction(0)) + c * d
    return _nonzero(total)


def _nonzero(form: Form) -> Form:
    return {names: c for names, c in form.items() if c}


# ---- what whole numbers do not decide ---------------------------------------------------------------------------


def _open(tree: Expression, tops: Mapping[str, float]) -> Iterator[Call]:
    """Yield the outermost comparisons of two formulas without time in which something may be rounded."""
    if not isinstance(tree, Call):
        return
    if tree.function not in ALL_COMPARISONS:
        for argument in tree.arguments:
            yield from _open(argument, tops)
    elif len(tree.arguments) == 2 and not depends_on_time(tree) and not all(_is_exact(a, tops) for a in tree.arguments):
        yield tree


def _is_exact(tree: Expression, tops: Mapping[str, float]) -> bool:
    """Tell whether all steps of a tree are whole numbers up to 2⁵³ at counts up to `tops`."""
    return _is_whole(tree) and _reach(tree, tops) <= LARGEST_WHOLE


def _reach(tree: Expression, tops: Mapping[str, float]) -> float:
    """Return a bound of the sizes of all steps of sums and products: that of their sizes."""
    if isinstance(tree, Number):
        return abs(tree.value)
    if isinstance(tree, Symbol):
        return max(1.0, tops[tree.name])
    parts = [_reach(a, tops) for a in tree.arguments] if isinstance(tree, Call) else []
    return math.prod(parts) if isinstance(tree, Call) and tree.function == "*" else sum(parts)


def _settled(node: Call, values: Mapping[str, Any], t: float, what: str, agree: bool) -> Any:
    pair = of_comparison(node, values, t)
    if not np.any(pair[1]):
        return pair[0]
    if np.count_nonzero(pair[1]) > MOST_SETTLED:
        raise _undecided(node, values, pair[1], what)
    result = settled(node, values, pair)
    unclear = result.unsettled | (result.computed != result.exact) if agree else result.unsettled
    if unclear.any():
        raise _undecided(node, values, unclear, what)
    return result.exact


def _undecided(node: Call, values: Mapping[str, Any], unclear: Any, what: str) -> ModelError:
    columns = np.broadcast_arrays(*values.values(), unclear)
    row = int(np.flatnonzero(columns[-1])[0])
    used = {name: column.flat[row] for name, column in zip(values, columns[:-1], strict=True)}
    state = ", ".join(f"{name} = {x:.12g}" for name, x in used.items() if Symbol(name) in walk(node))
    return ModelError(
        f"{what} must be decided in every state, but '{to_text(node)}' compares numbers that are equal within their "
        f"rounding at {state}; compare whole numbers of molecules, or move the bound off that state."
    )


def _replaced(tree: Expression, node: Call, by: Call) -> Expression:
    if tree is node:  # trees that print alike are equal, and may differ in their exact numbers
        return by
    if not isinstance(tree, Call):
        return tree
    return Call(tree.function, tuple(_replaced(a, node, by) for a in tree.arguments))
