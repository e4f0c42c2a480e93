"""Derivatives of rate laws as trees, and those of all laws of a network up to the third order as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement, permutations

import numpy as np

from fsp.arrays import FloatArray
from fsp.errors import ModelError
from fsp.model.program import Program, compiled
from fsp.model.tree import ONE, ZERO, Call, Expression, Number, call, symbols

NEAR_ZERO = 1e-12  # least concentration at which a derivative is taken: some of y^1.5 have none at zero

Pairs = list[tuple[Expression, Expression]]  # arguments of a function, each with its derivative


def derivative(tree: Expression, name: str) -> Expression:
    """Differentiate a rate law by one symbol.

    Parameters
    ----------
    tree
        The law.
    name
        The symbol.

    Returns
    -------
    Expression
        The derivative; ``ZERO`` where the symbol does not occur.

    Raises
    ------
    ModelError
        If a function of the symbol is not smooth, or has no derivative that is known here.

    Examples
    --------
    >>> from fsp.model.expression import Number, Symbol, call
    >>> derivative(call("*", Number(3.0), Symbol("X")), "X")
    Number(value=3.0, error=0.0)
    """
    if name not in symbols(tree):
        return ZERO
    if not isinstance(tree, Call):
        return ONE
    rule = _RULES.get(tree.function)
    if rule is None:
        raise ModelError(
            f"A rate must be a smooth function of '{name}' to be expanded, but has `{tree.function}`, of which no "
            f"derivative is known."
        )
    return rule([(a, derivative(a, name)) for a in tree.arguments])


def plus(*parts: Expression) -> Expression:
    """Add trees, leaving out zeros."""
    kept = [part for part in parts if part != ZERO]
    return call("+", *kept) if len(kept) > 1 else kept[0] if kept else ZERO


def times(*factors: Expression) -> Expression:
    """Multiply trees; zero where a factor is."""
    return ZERO if ZERO in factors else call("*", *factors)


def _negated(a: Expression) -> Expression:
    return times(Number(-1.0), a)


def _product(pairs: Pairs) -> Expression:
    others = [[a for j, (a, _) in enumerate(pairs) if j != i] for i in range(len(pairs))]
    return plus(*(times(slope, *rest) for (_, slope), rest in zip(pairs, others, strict=True)))


def _quotient(pairs: Pairs) -> Expression:
    (top, rise), (bottom, slope) = pairs
    squared = call("^", bottom, Number(2.0))
    first = ZERO if rise == ZERO else call("/", rise, bottom)
    return plus(first, ZERO if slope == ZERO else _negated(call("/", times(top, slope), squared)))


def _power(pairs: Pairs) -> Expression:
    (base, slope), (exponent, rise) = pairs
    lower = call("^", base, call("-", exponent, ONE))
    growth = ZERO if rise == ZERO else times(call("^", base, exponent), call("ln", base), rise)
    return plus(times(exponent, lower, slope), growth)


def _chain(outer: Callable[[Expression], Expression]) -> Callable[[Pairs], Expression]:
    """Return the rule of a function of one argument with the derivative `outer`."""
    return lambda pairs: times(outer(pairs[0][0]), pairs[0][1])


def _over(a: Expression) -> Expression:
    return call("/", ONE, a)


# rules of differentiation, by the function:
_RULES: dict[str, Callable[[Pairs], Expression]] = {
    "+": lambda pairs: plus(*(slope for _, slope in pairs)),
    "-": lambda pairs: plus(pairs[0][1], _negated(pairs[1][1])),
    "neg": lambda pairs: _negated(pairs[0][1]),
    "*": _product,
    "/": _quotient,
    "^": _power,
    "exp": _chain(lambda a: call("exp", a)),
    "ln": _chain(_over),
    "log10": _chain(lambda a: call("/", Number(1.0 / np.log(10.0)), a)),
    "sqrt": _chain(lambda a: call("/", Number(0.5), call("sqrt", a))),
    "sin": _chain(lambda a: call("cos", a)),
    "cos": _chain(lambda a: _negated(call("sin", a))),
    "tanh": _chain(lambda a: call("-", ONE, call("^", call("tanh", a), Number(2.0)))),
}


class Tensors:
    """The derivatives of several laws, ready to evaluate.

    Parameters
    ----------
    laws
        R laws of concentrations and time.
    species
        (d,) names.
    order
        Highest derivative, at most three.

    Raises
    ------
    ModelError
        If a law is not smooth.
    """

    def __init__(self, laws: Sequence[Expression], species: Sequence[str], order: int) -> None:
        self._species = tuple(species)
        self._order = order
        self._parts: list[list[tuple[int, tuple[int, ...], Program]]] = [[] for _ in range(order + 1)]
        for k, law in enumerate(laws):
            self._add(k, law)
        self._n_laws = len(laws)

    def _add(self, k: int, law: Expression) -> None:
        own = [i for i, name in enumerate(self._species) if name in symbols(law)]
        trees: dict[tuple[int, ...], Expression] = {(): law}
        for n in range(1, self._order + 1):
            for index in combinations_with_replacement(own, n):
                trees[index] = derivative(trees[index[:-1]], self._species[index[-1]])
        for index, tree in trees.items():
            if tree != ZERO:
                self._parts[len(index)].append((k, index, compiled(tree)))

    def __call__(self, y: FloatArray, t: float) -> list[FloatArray]:
        """Return the values (R,), and their derivatives (R, d), (R, d, d), … at the concentrations y (d,)."""
        d, found = len(self._species), []
        with np.errstate(all="ignore"):
            for n, parts in enumerate(self._parts):
                values = dict(zip(self._species, np.maximum(y, NEAR_ZERO if n else 0.0), strict=True))
                tensor = np.zeros((self._n_laws, *(d,) * n))
                for k, index, program in parts:
                    value = float(program(values, t))
                    for place in set(permutations(index)):
                        tensor[(k, *place)] = value
                found.append(tensor)
        return found
