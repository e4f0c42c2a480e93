"""Write a rate law as a sum of products of one-species factors, f(x) g(y) … + ….

A sum that depends on one species only is a factor as it stands; other sums are multiplied out.  Sums
of several products in which a sign is negative are left alone: the tree may be exactly 0 where its
terms, each rounded, leave a negative remainder, and a propensity must not.

Where the time does not come out as a factor, as in min(x, t), and the species have few counts, the tree is
Σ_n [x = n] f(n, t).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import product

import numpy as np

from fsp.arrays import FloatArray
from fsp.model.program import evaluate
from fsp.model.ranges import enclosure
from fsp.model.tree import ONE, Call, Expression, Number, Symbol, call, depends_on_time, joined, substitute, symbols

_MOST_LAW_TERMS = 64  # of a law multiplied out, beyond which its values are stored instead; chosen, not measured
_MOST_COUNTS = 32  # with which time does not come out as a factor, each a function of its own; chosen
_LARGEST_EXPANSION = 4  # (x + y)^n is multiplied out up to this n


@dataclass(frozen=True, slots=True)
class Product:
    """One term of a factorised rate law."""

    scalar: Expression = ONE  # what depends on no species; may hold parameters and time
    # by species: a tree that depends on that species only, and not on time
    factors: dict[str, Expression] = field(default_factory=dict)


class _NotFactorised(Exception):  # noqa: N818 - control flow inside this module only
    """The tree is not a short sum of products."""


def factorise(
    expr: Expression, species: Collection[str], counts: Mapping[str, range] | None = None
) -> tuple[Product, ...] | None:
    """Write a tree as a sum of products of one-species factors; it may be one on the given `counts` alone."""
    try:
        return tuple(_terms(expr, dict.fromkeys(species, range(0)) | dict(counts or {})))
    except _NotFactorised:
        return None


def tabulated(factor: Expression, name: str, bottom: int, top: int) -> FloatArray:
    """Return a factor at the counts `bottom` to `top` of its one species, (top - bottom + 1,)."""
    counts = np.arange(bottom, top + 1, dtype=np.float64)
    return np.broadcast_to(np.asarray(evaluate(factor, {name: counts}), dtype=np.float64), counts.shape)


def split_number(scalar: Expression) -> tuple[float, Expression]:
    """Write a tree without species as a number times a tree: terms that differ by a number share their tree."""
    if not depends_on_time(scalar):
        return float(evaluate(scalar, {})), ONE
    if isinstance(scalar, Call) and scalar.function == "*":
        pieces = [split_number(a) for a in scalar.arguments]
        return math.prod(number for number, _ in pieces), call("*", ONE, *(rest for _, rest in pieces))
    if isinstance(scalar, Call) and scalar.function == "/":
        (above, top), (below, bottom) = (split_number(a) for a in scalar.arguments)
        if below != 0.0:
            return above / below, call("/", top, bottom)
    return 1.0, scalar


def _terms(expr: Expression, species: Mapping[str, range]) -> list[Product]:
    try:
        return _at_all_counts(expr, species)
    except _NotFactorised:
        if not depends_on_time(expr):
            raise
        return _count_by_count(expr, species)


def _count_by_count(expr: Expression, species: Mapping[str, range]) -> list[Product]:
    """Return a function of time for each of the counts of the species of a tree."""
    variables = sorted(symbols(expr).intersection(species))
    if not 0 < math.prod(len(species[name]) for name in variables) <= _MOST_COUNTS:
        raise _NotFactorised
    factors = []
    for counts in product(*(map(float, species[name]) for name in variables)):
        numbers = {name: Number(n) for name, n in zip(variables, counts, strict=True)}
        clock = substitute(expr, numbers)
        if enclosure(clock, {}) != (0.0, 0.0):
            there = {name: Call("==", (Symbol(name), number)) for name, number in numbers.items()}
            factors.append(Product(clock, {name: call("*", ONE, holds) for name, holds in there.items()}))
    return factors


def _at_all_counts(expr: Expression, species: Mapping[str, range]) -> list[Product]:
    variables = symbols(expr).intersection(species)
    if not variables:
        return [Product(expr)]
    if isinstance(expr, Call) and expr.function in ("*", "/"):
        return _quotient(expr, species)
    if len(variables) == 1 and not depends_on_time(expr):
        return [_one_species(expr, next(iter(variables)))]
    if not isinstance(expr, Call):
        raise _NotFactorised
    if expr.function == "+":
        return _sum(expr.arguments, species)
    if expr.function == "^":
        return _power(expr.arguments[0], expr.arguments[1], species)
    raise _NotFactorised


def _one_species(expr: Expression, name: str) -> Product:
    return Product(ONE, {name: expr})


def _times(left: Product, right: Product) -> Product:
    factors = dict(left.factors)
    for name, factor in right.factors.items():
        factors[name] = call("*", factors[name], factor) if name in factors else factor
    return Product(call("*", left.scalar, right.scalar), factors)


def _expanded(left: list[Product], right: list[Product]) -> list[Product]:
    if len(left) * len(right) > _MOST_LAW_TERMS:
        raise _NotFactorised
    return [_times(a, b) for a in left for b in right]


def _quotient(expr: Call, species: Mapping[str, range]) -> list[Product]:
    if expr.function == "*":
        return _product([_terms(a, species) for a in expr.arguments])
    top, bottom = expr.arguments
    below = _terms(bottom, species)
    if len(below) != 1:
        raise _NotFactorised
    return _expanded(_terms(top, species), [_inverse(below[0])])


def _product(sums: list[list[Product]]) -> list[Product]:
    """Multiply sums out; where each is one term, in one go, since a law may have thousands of factors."""
    if any(len(terms) != 1 for terms in sums):
        return reduce(_expanded, sums, [Product()])
    factors: dict[str, list[list[Expression]]] = {}
    for (term,) in sums:
        for name, factor in term.factors.items():
            factors.setdefault(name, []).append([factor])
    scalar = joined("*", [[term.scalar] for (term,) in sums])
    return [Product(scalar, {name: joined("*", groups) for name, groups in factors.items()})]


def _inverse(term: Product) -> Product:
    factors = {name: call("/", ONE, factor) for name, factor in term.factors.items()}
    return Product(call("/", ONE, term.scalar), factors)


def _sum(arguments: tuple[Expression, ...], species: Mapping[str, range]) -> list[Product]:
    """Collect the terms of a sum by the one species that they depend on; multiply the others out."""
    groups: dict[frozenset[str] | int, list[Expression]] = {}
    for k, argument in enumerate(arguments):
        variables = symbols(argument).intersection(species)
        alone = len(variables) <= 1 and not (variables and depends_on_time(argument))
        groups.setdefault(variables if alone else k, []).append(argument)
    products = [p for group in groups.values() for p in _terms(call("+", *group), species)]
    if len(products) > _MOST_LAW_TERMS or any(_may_be_negative(p) for p in products):
        raise _NotFactorised
    return products


def _may_be_negative(product: Product) -> bool:
    """Return whether a product has a negative number, or a difference, as a factor."""
    return any(map(_is_signed, [product.scalar, *product.factors.values()]))


def _is_signed(tree: Expression) -> bool:
    if isinstance(tree, Number):
        return tree.value < 0
    if isinstance(tree, Call) and tree.function in ("*", "/"):
        # x (x - 1) is a number of pairs, although x - 1 is a difference
        return any(map(_is_signed, tree.arguments)) and not _counts_tuples(tree)
    if isinstance(tree, Call) and tree.function == "+":
        return any(map(_is_signed, tree.arguments))
    return isinstance(tree, Call) and tree.function in ("-", "neg")


def _counts_tuples(tree: Call) -> bool:
    """Return whether a product is x (x - 1) … (x - n), with other factors that are not signed."""
    signed = [a for a in tree.arguments if _is_signed(a)]
    steps = {call("-", a, Number(float(k))) for a in tree.arguments for k in range(1, len(signed) + 1)}
    return tree.function == "*" and set(signed) <= steps and len(set(signed)) == len(signed)


def _power(base: Expression, exponent: Expression, species: Mapping[str, range]) -> list[Product]:
    if symbols(exponent) or not isinstance(exponent, Number):
        raise _NotFactorised
    terms, n = _terms(base, species), exponent.value
    if len(terms) > 1:
        if n != int(n) or not 1 <= n <= _LARGEST_EXPANSION:
            raise _NotFactorised
        return reduce(_expanded, [terms] * int(n))
    (only,) = terms
    if n != int(n) and not _is_non_negative(only):
        raise _NotFactorised  # (f g)^n = f^n g^n needs f, g >= 0 unless n is whole
    factors = {name: call("^", factor, exponent) for name, factor in only.factors.items()}
    return [Product(call("^", only.scalar, exponent), factors)]


def _is_non_negative(product: Product) -> bool:
    scalar = product.scalar
    positive = isinstance(scalar, Number) and scalar.value >= 0 and math.isfinite(scalar.value)
    return positive and all(isinstance(factor, Symbol) for factor in product.factors.values())
