"""Polynomials above the modulus of a formula on all counts, by intervals on a grid of cells and powers beyond it.

Each species has cells: single counts, then intervals whose ends have a constant ratio, and all x >= N.  Where species
i of a set T have x_i >= N, a part f of the tree is enclosed by a multiple of powers with exact exponents α,

(1)  f = x^α v,  low <= v <= high,   x^α = Π_{i in T} x_i^α_i,

with an interval [low, high] for each cell of the other species.  Products and quotients add and subtract exponents, and

(2)  x^α v + x^β w = x^γ (x^(α-γ) v + x^(β-γ) w),  γ = max(α, β),   0 < x^(α-γ) <= N^(α-γ),

(3)  0 <= ln x <= x^ε ln(N) / N^ε   for x >= N >= exp(1/ε).

With whole p_i >= α_i for all T, |f| <= c Π x_i^p_i, the product over species with x_i > 0, where c is the largest of
max |v| / Π a_i^p_i over cells that begin at a_i; cells in which other species are 0 have other c.

References
----------
R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to Interval Analysis, SIAM 2009, doi:10.1137/1.9780898717716.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from fsp.model.tree import Call, Expression, Number, Symbol, symbols

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray
    from fsp.moments.terms import Terms

FIRST_POWER = 2.0**26  # N, from which powers take over: chosen; constants of saturation are some thousands at most
LOG_POWER = Fraction(1, 8)  # ε of (3), in which N > exp(8); laws saturate by larger powers
MOST_GRID_CELLS = 2**15  # of all species together, of which a tree of fifty nodes takes 30 ms
FEWEST_GRID_CELLS = 8  # cells of a species, below which intervals are too wide to help; chosen
RANGE_SLACK = 1e-14  # relative, of sums, products and quotients of doubles: many times their rounding
POWER_SLACK = 1e-12  # relative, of powers up to N^8 and of exponentials; of logarithms absolute as well
UNDERFLOWN = 1e-290  # added to products that do not vanish exactly: more than what underflow takes
_LARGEST_POWER = 8  # of a base that may be negative, which is multiplied out; chosen


@dataclass(frozen=True, slots=True, eq=False)
class _PowerRange:
    """What a part of the tree is where some species are large, (1); infinite ends where nothing is known."""

    powers: tuple[Fraction, ...]  # (n_large,) α
    low: FloatArray  # (n_cells,)
    high: FloatArray

    @property
    def is_zero(self) -> BoolArray:
        """(n_cells,) where it vanishes, exactly."""
        zero: BoolArray = (self.low == 0.0) & (self.high == 0.0)
        return zero


def _widened(
    powers: tuple[Fraction, ...],
    low: FloatArray,
    high: FloatArray,
    slack: float = RANGE_SLACK,
    rest: FloatArray | float = 0.0,
) -> _PowerRange:
    """Return a part whose ends are rounded outwards; what is no number is not known."""
    with np.errstate(invalid="ignore"):
        low, high = low - slack * np.abs(low) - rest, high + slack * np.abs(high) + rest
    unknown = ~(low <= high)
    return _PowerRange(powers, np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high))


@dataclass(frozen=True, slots=True, eq=False)
class _CountGrid:
    """A grid of cells of some species, while others are large."""

    first: Mapping[str, FloatArray]  # (n_cells,) least count of each species that is not large
    last: Mapping[str, FloatArray]
    large: tuple[str, ...]

    @classmethod
    def of(cls, names: Sequence[str], large: tuple[str, ...]) -> _CountGrid:
        """Make the cells; `names` are those of all species."""
        each = min(2**8, int(MOST_GRID_CELLS ** (1.0 / len(names))))
        points = each // 2
        ends = np.geomspace(points, FIRST_POWER, each - points + 1)
        first = np.concatenate([np.arange(points), ends[:-1] * (1.0 - RANGE_SLACK)])
        last = np.concatenate([np.arange(points), ends[1:] * (1.0 + RANGE_SLACK)])  # neighbours overlap
        small = [name for name in names if name not in large]
        places = np.indices((each,) * len(small)).reshape(len(small), each ** len(small))  # (n_small, n_cells)
        bounds = zip(small, places, strict=True)
        taken = {name: (first[place], last[place]) for name, place in bounds}
        return cls({n: low for n, (low, _) in taken.items()}, {n: high for n, (_, high) in taken.items()}, large)

    @property
    def shape(self) -> int:
        """Number of cells."""
        return next((len(values) for values in self.first.values()), 1)

    def number(self, value: float, off: float = 0.0) -> _PowerRange:
        """Return a number."""
        return _widened(
            self.none, np.full(self.shape, value - off), np.full(self.shape, value + off), RANGE_SLACK if off else 0.0
        )

    @property
    def unknown(self) -> _PowerRange:
        """Return a part of which nothing is known."""
        return self.number(math.nan)

    @property
    def none(self) -> tuple[Fraction, ...]:
        """Exponents of what does not grow."""
        return (Fraction(0),) * len(self.large)

    def of_tree(self, tree: Expression) -> _PowerRange:
        """Enclose a tree, (1)."""
        if isinstance(tree, Number):
            return self.number(tree.value, tree.inexact)
        if isinstance(tree, Symbol):
            if tree.name in self.large:
                return _PowerRange(
                    tuple(Fraction(int(name == tree.name)) for name in self.large), *np.ones((2, self.shape))
                )
            return _PowerRange(self.none, self.first[tree.name], self.last[tree.name])
        if not isinstance(tree, Call):
            return self.unknown
        if tree.function == "^":
            return self.power(self.of_tree(tree.arguments[0]), tree.arguments[1])
        if tree.function == "piecewise":
            return self.choice([self.of_tree(a) for a in tree.arguments[::2]], tree.arguments[1::2])
        rule = _RULES.get(tree.function)
        return self.unknown if rule is None else rule(self, [self.of_tree(a) for a in tree.arguments])

    # ---- arithmetic

    def scaled(self, part: _PowerRange, powers: tuple[Fraction, ...]) -> _PowerRange:
        """Return a part as a multiple of larger powers, (2)."""
        if part.powers == powers:
            return part
        largest = _size([a - g for a, g in zip(part.powers, powers, strict=True)])
        return _widened(powers, np.minimum(part.low * largest, 0.0), np.maximum(part.high * largest, 0.0))

    def together(self, parts: Sequence[_PowerRange]) -> list[_PowerRange]:
        """Return parts as multiples of the same powers."""
        powers = tuple(max(p) for p in zip(*(part.powers for part in parts), strict=True))
        return [self.scaled(part, powers) for part in parts]

    def total(self, parts: Sequence[_PowerRange]) -> _PowerRange:
        """Enclose a sum, (2)."""
        result, *others = self.together(parts)
        for part in others:
            with np.errstate(invalid="ignore"):
                result = _widened(part.powers, result.low + part.low, result.high + part.high)
        return result

    def product(self, parts: Sequence[_PowerRange]) -> _PowerRange:
        """Enclose a product."""
        result, *others = parts
        for part in others:
            powers = tuple(a + b for a, b in zip(result.powers, part.powers, strict=True))
            with np.errstate(over="ignore", invalid="ignore"):
                ends = np.array([x * y for x in (result.low, result.high) for y in (part.low, part.high)])
            vanishes = (result.is_zero & _is_known(part)) | (part.is_zero & _is_known(result))
            result = _widened(powers, ends.min(axis=0), ends.max(axis=0), rest=np.where(vanishes, 0.0, UNDERFLOWN))
        return result

    def quotient(self, parts: Sequence[_PowerRange]) -> _PowerRange:
        """Enclose a quotient; nothing is known where the divisor may vanish."""
        top, bottom = parts
        with np.errstate(divide="ignore", over="ignore"):
            ends = 1.0 / bottom.high, 1.0 / bottom.low
        apart = (bottom.low > 0.0) | (bottom.high < 0.0)
        low, high = (np.where(apart, end, np.nan) for end in ends)
        return self.product([top, _widened(tuple(-a for a in bottom.powers), low, high)])

    def power(self, base: _PowerRange, exponent: Expression) -> _PowerRange:
        """Enclose a power whose exponent is a number."""
        n = exponent.fraction if isinstance(exponent, Number) else None
        if n is None:
            return self.unknown
        if n.denominator == 1 and 0 < n <= _LARGEST_POWER and (base.low < 0.0).any():
            return self.product([base] * int(n))
        good = (base.low > 0.0) if n < 0 else (base.low >= 0.0)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            ends = np.where(good, np.array([base.low, base.high]) ** float(n), np.nan)  # (2, n_cells)
        rest = np.where(base.is_zero, 0.0, UNDERFLOWN)
        return _widened(tuple(n * a for a in base.powers), ends.min(axis=0), ends.max(axis=0), POWER_SLACK, rest)

    def exponential(self, parts: Sequence[_PowerRange]) -> _PowerRange:
        """Enclose an exponential: of x^α v between those of 0 and N^α v, or of 0 and infinity."""
        (part,) = parts
        largest = math.inf if any(a > 0 for a in part.powers) else _size(part.powers)
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = part.low, part.high
            if part.powers != self.none:
                low, high = np.where(low < 0.0, low * largest, 0.0), np.where(high > 0.0, high * largest, 0.0)
            return _widened(self.none, np.exp(low), np.exp(high), POWER_SLACK, UNDERFLOWN)

    def logarithm(self, parts: Sequence[_PowerRange]) -> _PowerRange:
        """Enclose a logarithm, by (3)."""
        (part,) = parts
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = np.where(part.low > 0.0, np.log([part.low, part.high]), np.nan)  # (2, n_cells)
        terms = [_widened(self.none, ends[0], ends[1], POWER_SLACK, POWER_SLACK)]
        for i, a in enumerate(part.powers):
            largest = np.full(self.shape, float(a) * math.log(FIRST_POWER) * _size([-LOG_POWER]))
            raised = tuple(LOG_POWER if i == j else Fraction(0) for j in range(len(self.large)))
            terms.append(_widened(raised, np.minimum(largest, 0.0), np.maximum(largest, 0.0), POWER_SLACK))
        return self.total(terms)

    # ---- choices

    def choice(self, parts: Sequence[_PowerRange], conditions: Sequence[Expression]) -> _PowerRange:
        """Enclose what is one of several values, by the conditions that are settled in each cell."""
        parts = self.together(parts)
        low, high = np.full(self.shape, np.inf), np.full(self.shape, -np.inf)
        open_there = np.ones(self.shape, dtype=np.bool_)
        for k, part in enumerate(parts):
            holds, fails = self.truth(conditions[k]) if k < len(conditions) else (open_there, ~open_there)
            possible = open_there & ~fails
            low = np.where(possible, np.minimum(low, part.low), low)
            high = np.where(possible, np.maximum(high, part.high), high)
            open_there = open_there & ~holds
        return _widened(parts[0].powers, np.where(open_there, np.nan, low), high, 0.0)

    def truth(self, condition: Expression) -> tuple[BoolArray, BoolArray]:
        """Return (n_cells,) where a condition certainly holds, and where it certainly does not."""
        never = np.zeros(self.shape, dtype=np.bool_)
        if not isinstance(condition, Call) or condition.function not in _SIGNS or len(condition.arguments) != 2:
            return never, never
        gap = self.total([self.of_tree(condition.arguments[0]), _negated(self, [self.of_tree(condition.arguments[1])])])
        return _SIGNS[condition.function](gap)


def _size(powers: Sequence[Fraction]) -> float:
    """Return N^α, rounded up."""
    return float(FIRST_POWER ** float(sum(powers)) * (1.0 + POWER_SLACK))


def _is_known(part: _PowerRange) -> BoolArray:
    known: BoolArray = np.isfinite(part.low) & np.isfinite(part.high)
    return known


def _negated(_: _CountGrid, parts: Sequence[_PowerRange]) -> _PowerRange:
    return _PowerRange(parts[0].powers, -parts[0].high, -parts[0].low)


def _absolute(_: _CountGrid, parts: Sequence[_PowerRange]) -> _PowerRange:
    (part,) = parts
    least = np.maximum(np.maximum(part.low, -part.high), 0.0)
    return _PowerRange(part.powers, least, np.maximum(np.abs(part.low), np.abs(part.high)))


_Rule = Callable[[_CountGrid, Sequence[_PowerRange]], _PowerRange]
_RULES: Mapping[str, _Rule] = {
    "+": _CountGrid.total,
    "-": lambda cells, parts: cells.total([parts[0], _negated(cells, parts[1:])]),
    "neg": _negated,
    "abs": _absolute,
    "*": _CountGrid.product,
    "/": _CountGrid.quotient,
    "sqrt": lambda cells, parts: cells.power(parts[0], Number(0.5)),
    "exp": _CountGrid.exponential,
    "ln": _CountGrid.logarithm,
}
_SIGNS: Mapping[str, Callable[[_PowerRange], tuple[BoolArray, BoolArray]]] = {
    ">": lambda gap: (gap.low > 0.0, gap.high <= 0.0),
    ">=": lambda gap: (gap.low >= 0.0, gap.high < 0.0),
    "<": lambda gap: (gap.high < 0.0, gap.low >= 0.0),
    "<=": lambda gap: (gap.high <= 0.0, gap.low > 0.0),
}


def size_on_counts(tree: Expression, species: Sequence[str], divisor: Expression | None = None) -> Terms | None:
    """Return terms without negative coefficients above the modulus of a tree; None where none are found.

    With a `divisor` they are above tree²/divisor, which is zero where both vanish.
    """
    trees = [tree] if divisor is None else [tree, divisor]
    used = frozenset().union(*map(symbols, trees))
    names = [name for name in species if name in used]
    if not names or len(names) < len(used) or MOST_GRID_CELLS ** (1.0 / len(names)) < FEWEST_GRID_CELLS:
        return None
    ranges = []
    for large in _subsets(names):
        cells = _CountGrid.of(names, large)
        part = cells.of_tree(tree)
        if divisor is not None:
            part = _score(cells, part, cells.of_tree(divisor))
        if not _is_known(part).all():
            return None
        ranges.append((cells, part))
    return _polynomial(ranges, names, species)


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for n in range(len(names) + 1):
        yield from combinations(names, n)


def _score(cells: _CountGrid, part: _PowerRange, divisor: _PowerRange) -> _PowerRange:
    """Enclose part²/divisor; a reaction whose rate vanishes with its derivative tells nothing."""
    top = _absolute(cells, [part])
    ratio = cells.quotient([cells.product([top, top]), divisor])
    idle = part.is_zero & divisor.is_zero
    return _PowerRange(ratio.powers, np.where(idle, 0.0, ratio.low), np.where(idle, 0.0, ratio.high))


def _polynomial(
    ranges: Sequence[tuple[_CountGrid, _PowerRange]], names: Sequence[str], species: Sequence[str]
) -> Terms:
    """Return the sum of c Π x_i^p_i over sets of species that are not 0."""
    degrees = dict.fromkeys(names, 0)
    for cells, part in ranges:
        for name, a in zip(cells.large, part.powers, strict=True):
            degrees[name] = max(degrees[name], math.ceil(a))
    terms: dict[tuple[Fraction, ...], Fraction] = {}
    for cells, part in ranges:
        size = np.maximum(np.abs(part.low), np.abs(part.high))  # (n_cells,)
        size = size * _size([a - degrees[name] for name, a in zip(cells.large, part.powers, strict=True)])
        present = {name: np.ones(cells.shape, dtype=np.bool_) for name in cells.large}
        for name, first in cells.first.items():
            present[name] = first > 0.0
            size = size / np.where(present[name], first, 1.0) ** degrees[name]
        for there in _subsets([name for name in names if degrees[name]]):
            chosen = np.ones(cells.shape, dtype=np.bool_)
            for name in names:
                chosen &= present[name] == (name in there) if degrees[name] else True
            powers = tuple(Fraction(degrees.get(name, 0) if name in there else 0) for name in species)
            c = Fraction(float(size[chosen].max(initial=0.0)) * (1.0 + POWER_SLACK))
            terms[powers] = max(terms.get(powers, Fraction(0)), c)
    return {powers: c for powers, c in terms.items() if c}
