"""Rate laws as sums of products of powers of amounts, c A^n, or of numbers of tuples, c A (A − 1) … (A − n + 1)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from fsp.arrays import FloatArray
from fsp.model.definition import Definition, resolve
from fsp.model.factors import factorise, tabulated
from fsp.model.kept_values import KeptValue, kept_value
from fsp.model.tree import ONE, Call, Expression, Number, Symbol, call, substitute, symbols, walk

LARGEST_TOLD_POWER = 6  # that is told from other functions of a count
_ARITHMETIC = frozenset("+-*/^")  # what makes a power at eight counts one at all
_NEAR_COUNTS = 1024  # counts at which a law with switches is held against a power; further ones at powers of two
_SAME = 1e-12  # relative difference of values of a power: a few roundings


@dataclass(frozen=True, slots=True)
class AmountPower:
    """A factor of a law that depends on one amount: as written, or c times a power or a number of tuples."""

    tree: Expression
    scalar: Expression = ONE  # c
    n: int | None = None  # None where it is neither
    in_tuples: bool = False  # A (A - 1) … of n factors; of n = 1 both are the same


@dataclass(frozen=True, slots=True)
class PowerProduct:
    """One product of a law: what depends on no amount, times a power of each of some."""

    scalar: Expression
    powers: dict[str, AmountPower]

    @property
    def order(self) -> int | None:
        """The sum of all powers; None where a factor is none."""
        known = [power.n for power in self.powers.values() if power.n is not None]
        return sum(known) if len(known) == len(self.powers) else None


def terms_of(law: object, species: Collection[str], values: Mapping[str, Expression]) -> list[PowerProduct] | None:
    """Write a law as a sum of products; None where it is none.  `values`: parameters as trees of species and time."""
    products = factorise(law, species) if isinstance(law, Expression) else None
    if products is None:
        return None
    return [
        PowerProduct(p.scalar, {name: _power(tree, name, values) for name, tree in p.factors.items()}) for p in products
    ]


def kept_powers(
    law: Expression, name: str, species: Collection[str], values: Mapping[str, Expression]
) -> Iterator[KeptValue]:
    """Yield what is assumed of the powers of amounts in a law, `name` its reaction, that are formulas of parameters."""
    for exponent in _exponents(law, species):
        yield from kept_value(f"The power in the law of '{name}'", exponent, values)


def has_changing_power(law: Expression, definition: Definition) -> bool:
    """Tell whether an event changes the power of an amount in a law."""
    changed = {name for event in definition.events for name in event.assignments} - definition.species.keys()
    if not changed:
        return False
    values = resolve(definition.parameters, without=changed)
    exponents = _exponents(substitute(law, values), definition.species)
    return any(not changed.isdisjoint(symbols(exponent)) for exponent in exponents)


def _exponents(law: Expression, species: Collection[str]) -> Iterator[Expression]:
    for node in walk(law):
        if isinstance(node, Call) and node.function == "^" and not symbols(node.arguments[0]).isdisjoint(species):
            yield node.arguments[1]


def _power(tree: Expression, name: str, values: Mapping[str, Expression]) -> AmountPower:
    """Return what a function of one amount is."""
    resolved = substitute(tree, values)
    counts = np.arange(1.0, LARGEST_TOLD_POWER + 3.0)
    table = tabulated(resolved, name, 1, LARGEST_TOLD_POWER + 2)
    if any(isinstance(node, Call) and node.function not in _ARITHMETIC for node in walk(resolved)):
        counts, table = _widely(resolved, name)
    for n in range(1, LARGEST_TOLD_POWER + 1):
        for in_tuples, shape in ((False, counts**n), (True, _tuples(counts, n))):
            if _is_multiple(table, shape):
                scalar = call("/", substitute(tree, {name: Number(float(n))}), Number(float(shape[n - 1])))
                return AmountPower(tree, scalar, n, in_tuples)
    return AmountPower(tree)


def _widely(tree: Expression, name: str) -> tuple[FloatArray, FloatArray]:
    """Return counts, also those beside the numbers of a tree, with its values there: a switch may be anywhere."""
    numbers = [
        abs(node.value) for node in walk(tree) if isinstance(node, Number) and _NEAR_COUNTS < abs(node.value) < 2.0**50
    ]
    beside = {int(number) + k for number in numbers for k in (-1, 0, 1, 2)}
    far = sorted(beside | {2**k for k in range(11, 50, 3)})
    tables = [tabulated(tree, name, 1, _NEAR_COUNTS), *(tabulated(tree, name, count, count) for count in far)]
    return np.array([*range(1, _NEAR_COUNTS + 1), *far], dtype=float), np.concatenate(tables)


def _tuples(counts: FloatArray, n: int) -> FloatArray:
    tuples: FloatArray = np.prod([counts - k for k in range(n)], axis=0)
    return tuples


def _is_multiple(table: FloatArray, shape: FloatArray) -> bool:
    last = table[-1] / shape[-1]
    return bool(np.isfinite(last) and last != 0.0 and np.allclose(table, last * shape, rtol=_SAME, atol=0.0))


def written(scalar: Expression, name: str, n: int, in_tuples: bool) -> Expression:
    """Return c A^n, or c A (A - 1) …."""
    if in_tuples:
        return call("*", scalar, *(call("-", Symbol(name), Number(float(k))) for k in range(n)))
    return call("*", scalar, call("^", Symbol(name), Number(float(n))))


def product(scalar: Expression, factors: Iterable[Expression]) -> Expression:
    """Return a product without factors that are one."""
    return call("*", ONE, scalar, *factors)


def total(terms: list[Expression]) -> Expression:
    """Return a sum."""
    return call("+", *terms) if len(terms) > 1 else terms[0]


def scaled(term: PowerProduct, scale: Expression) -> Expression | None:
    """Return s κ ∏ c_i (N_i/s)^(n_i) = κ s^(1 − Σ n_i) ∏ c_i N_i^(n_i) as a tree of counts N; tuples stay tuples.

    None where a factor is no power.
    """
    if term.order is None:
        return None
    factor = ONE if term.order == 1 else call("^", scale, Number(1.0 - term.order))
    scalars = [term.scalar, *(power.scalar for power in term.powers.values()), factor]
    counts = [written(ONE, name, power.n or 0, power.in_tuples) for name, power in term.powers.items()]
    return product(ONE, [*(s for s in scalars if s != ONE), *counts])
