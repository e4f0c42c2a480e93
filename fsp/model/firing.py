"""Where reactions may fire: a jump that is known never to happen leads to no state, and needs no sink.

A law without time fires where its computed propensity is positive.  A law of time fires wherever it leaves all counts
non-negative, but in states in which it is zero at all times t >= 0:

(1) it is a product, or a quotient whose numerator has a factor, and a factor without time is computed as zero there:
    so is then the rate that is computed at any time, and what rounding hides of it is charged as that of a law without
    time is (`fsp.generator.rate_errors`);
(2) it is a sum of terms that are zero there;
(3) with the counts put in, its enclosure at all times (`fsp.model.ranges`) is {0}, or those of all branches that may
    hold are, or it is a sum whose terms cancel exactly: numbers times the same functions of time, where the numbers add
    up to zero in rational arithmetic.

A callable of time cannot be looked into.  It may fire at any time (`may_fire`), so that a space has sinks for all it
might do; it is expected to fire (`enabled`) where it is positive at one of the times at which it is asked, and what it
does at others flows into those sinks, is counted, and is followed from there.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from fsp.errors import ModelError
from fsp.model.program import compiled
from fsp.model.ranges import enclosure
from fsp.model.tree import ONE, ZERO, Call, Expression, Number, call, depends_on_time, substitute, symbols

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model.network import Network

Columns = dict[str, "FloatArray"]

# Times at which a callable is asked: the first, and those of all scales between a thousandth and a thousand.
ASKED_TIMES = (0.0, *(2.0 ** np.arange(-10, 11)).tolist())
MANY_COUNTS = 4096  # combinations of counts that are put into a law one by one: 0.2 s; with more it is taken to fire


def may_fire(model: Network, k: int, states: IntArray) -> BoolArray:
    """Tell in which states (n, n_species) a reaction may fire at some time, (n,): in others it certainly does not."""
    if not model.time_dependent[k]:
        return model.propensity(k, states) > 0.0
    possible: BoolArray = (states + model.change[k] >= 0).all(axis=1)
    law = model.rate_expressions[k]
    if law is None or not possible.any():
        return possible
    columns = {name: states[:, s].astype(np.float64) for s, name in enumerate(model.species) if name in symbols(law)}
    with np.errstate(all="ignore"):
        return possible & ~_zeros(law)(columns, len(states))


def enabled(model: Network, k: int, states: IntArray, t: float | None = None) -> BoolArray:
    """Tell in which states (n, n_species) a reaction is to be followed, (n,); `t`: one more time to ask a callable."""
    fires = may_fire(model, k, states)
    if model.time_dependent[k] and model.rate_expressions[k] is None:
        possible = np.flatnonzero(fires)
        fires[possible] = _seen_to_fire(model, k, states[possible], ASKED_TIMES if t is None else (t, *ASKED_TIMES))
    return fires


def _seen_to_fire(model: Network, k: int, states: IntArray, times: tuple[float, ...]) -> BoolArray:
    """Tell where a callable is positive at one of some times, or never said to be zero, (n,)."""
    positive, zero = np.zeros((2, len(states)), dtype=np.bool_)
    refused: ModelError | None = None
    for t in times if len(states) else ():
        try:
            rates = model.propensity(k, states, t, checked=False)
        except ModelError as error:  # such as a division by the time when it is zero
            refused = error
            continue
        positive |= rates > 0.0
        zero |= rates == 0.0
        if positive.all():
            break
    if refused is not None and not (positive | zero).any():
        raise refused
    return positive | ~zero


@lru_cache(maxsize=4096)
def _zeros(tree: Expression) -> Callable[[Columns, int], BoolArray]:
    """Return a function (columns, n) -> where a tree is zero at all times, (n,)."""
    if not depends_on_time(tree):
        program = compiled(tree)
        return lambda columns, n: np.broadcast_to(np.asarray(program(columns, 0.0)) == 0.0, n)
    if isinstance(tree, Call) and tree.function == "*":  # (1)
        factors = [_zeros(factor) for factor in tree.arguments]
        return lambda columns, n: np.logical_or.reduce([factor(columns, n) for factor in factors])
    if isinstance(tree, Call) and tree.function in ("/", "neg"):
        return _zeros(tree.arguments[0])
    if not symbols(tree):
        never = _is_nothing(tree)
        return lambda columns, n: np.full(n, never)
    rest = _CountByCount(tree)
    if isinstance(tree, Call) and tree.function == "+" and not any(map(_is_signed, tree.arguments)):  # (2)
        terms = [_zeros(term) for term in tree.arguments]
        return lambda columns, n: np.logical_and.reduce([term(columns, n) for term in terms])
    return rest


def _is_signed(tree: Expression) -> bool:
    """Return whether a term may be the negative of another."""
    if isinstance(tree, Number):
        return tree.value < 0.0
    if isinstance(tree, Call) and tree.function in ("+", "*", "/"):
        return any(map(_is_signed, tree.arguments))
    return isinstance(tree, Call) and tree.function in ("-", "neg")


class _CountByCount:
    """A tree in which time and counts do not come apart, looked at with the counts put in."""

    def __init__(self, tree: Expression) -> None:
        self._tree, self._names = tree, sorted(symbols(tree))
        self._known: dict[tuple[float, ...], bool] = {}

    def __call__(self, columns: Columns, n: int) -> BoolArray:
        """Tell where it is zero at all times, (n,): (3)."""
        counts, place = np.unique(
            np.stack([columns[name] for name in self._names], axis=1), axis=0, return_inverse=True
        )
        zero = np.array([self._at(tuple(row)) for row in counts.tolist()], dtype=np.bool_)
        at_each: BoolArray = zero[place.reshape(-1)]
        return at_each

    def _at(self, counts: tuple[float, ...]) -> bool:
        if counts not in self._known:
            if len(self._known) >= MANY_COUNTS:
                return False
            numbers: dict[str, Expression] = dict(zip(self._names, map(Number, counts), strict=True))
            self._known[counts] = _is_nothing(substitute(self._tree, numbers))
        return self._known[counts]


def _is_nothing(tree: Expression) -> bool:
    """Return whether a function of time is zero at all times: (3)."""
    if enclosure(tree, {}) == (0.0, 0.0):
        return True
    if not isinstance(tree, Call):
        return False
    if tree.function == "*":
        return any(map(_is_nothing, tree.arguments))
    if tree.function in ("/", "neg"):
        return _is_nothing(tree.arguments[0])
    if tree.function == "piecewise":
        return len(tree.arguments) % 2 == 1 and all(map(_is_nothing, _possible(tree)))
    return tree.function in ("+", "-") and _cancels(tree)


def _possible(tree: Call) -> Iterator[Expression]:
    """Yield the branches of a piecewise function of time that may hold at some time."""
    for value, condition in zip(tree.arguments[::2], tree.arguments[1::2], strict=False):
        if enclosure(condition, {}) != (0.0, 0.0):
            yield value
    yield tree.arguments[-1]


def _cancels(tree: Expression) -> bool:
    """Return whether the terms of a sum cancel, or are zero."""
    sums: dict[Expression, Expression] = {}
    for number, clock in _terms(tree):
        sums[clock] = call("+", sums.get(clock, ZERO), number)
    return all(
        (isinstance(number, Number) and number.value == 0.0 and not number.error) or _is_nothing(clock)
        for clock, number in sums.items()
    )


def _terms(tree: Expression, sign: float = 1.0) -> Iterator[tuple[Expression, Expression]]:
    """Yield the terms of a sum, each a number and the function of time that it multiplies."""
    if isinstance(tree, Call) and tree.function == "+":
        for term in tree.arguments:
            yield from _terms(term, sign)
    elif isinstance(tree, Call) and tree.function == "-":
        yield from _terms(tree.arguments[0], sign)
        yield from _terms(tree.arguments[1], -sign)
    elif isinstance(tree, Call) and tree.function == "neg":
        yield from _terms(tree.arguments[0], -sign)
    else:
        factors = tree.arguments if isinstance(tree, Call) and tree.function == "*" else (tree,)
        numbers = [factor for factor in factors if isinstance(factor, Number)]
        yield (
            call("*", Number(sign), *numbers),
            call("*", ONE, *(factor for factor in factors if not isinstance(factor, Number))),
        )
