"""Polynomials above what parameters change of the rates, on all states, and the gauges that follow what is lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from fsp.arithmetic import SLIGHTLY_UP
from fsp.inference.clock_terms import changing_of, terms_of
from fsp.model.tree import ZERO, Number, call
from fsp.moments.dissipation import without_bounded
from fsp.moments.envelope import envelope
from fsp.moments.part_moments import Gauge, gauges
from fsp.moments.polynomial import Polynomial, collect, degree
from fsp.moments.ranges_on_counts import size_on_counts
from fsp.moments.terms import in_falling_powers

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.inference.parameters import Derivatives
    from fsp.model import Model
    from fsp.model.tree import Expression
    from fsp.moments.terms import Terms

MOST_ORDER = 6  # of the moments that are followed; chosen, not measured


@dataclass(frozen=True, eq=False)
class Bounds:
    """What bounds the derivatives of a model on all of its states, and the gauges that are followed."""

    # above |∂_k a_r| over its function of time, of unbounded species, by that function, k and r
    sizes: tuple[tuple[tuple[Polynomial | None, ...], ...], ...]
    squares: tuple[Polynomial | None, ...]  # above Σ_r (∂_k a_r)² / a_r
    followed: tuple[Gauge, ...]  # of m
    of_errors: tuple[int, ...]  # which of them are followed for e_k as well, in the orders 0 and 1
    largest: FloatArray  # (d,) largest counts
    change: FloatArray  # (n_reactions, d)

    @classmethod
    def of(cls, model: Model, slopes: Derivatives, horizon: float, largest: FloatArray | None = None) -> Bounds:
        """Look for them; `largest` (d,) are the largest counts where events set some."""
        known_largest, largest = largest, model.species_bounds if largest is None else largest
        changing = changing_of(model, slopes)
        sizes = tuple(
            tuple(tuple(_size_of(model, tree, clock, largest) for tree in trees) for trees in slopes.trees)
            for clock in changing
        )
        squares: tuple[Polynomial | None, ...] = tuple(None for _ in slopes.trees)
        if not model.is_time_dependent:
            squares = tuple(_square(model, slopes, k, sizes[0][k], largest) for k in range(len(slopes.trees)))
        known = [*(p for of_clock in sizes for polynomial in of_clock for p in polynomial), *squares]
        highest = max((degree(p) for p in known if p is not None), default=0)
        followed = gauges(model, horizon, min(highest + 1, MOST_ORDER), known_largest)
        of_errors = tuple(i for i, gauge in enumerate(followed) if gauge.orders[1] == 1)
        return cls(sizes, squares, followed, of_errors, largest, model.change.astype(np.float64))

    def remnant(self, k: int, gauge: Gauge | None = None) -> list[Polynomial | None]:
        """Return polynomials above ``Σ_r |∂_k a_r| (V(x) + V(x + ν_r))`` with V = 1, or V = u of a gauge.

        There is one for each function of time, without that.
        """
        return [self._remnant(of_clock[k], gauge) for of_clock in self.sizes]

    def _remnant(self, sizes: Sequence[Polynomial | None], gauge: Gauge | None) -> Polynomial | None:
        parts: list[tuple[tuple[int, ...], Fraction]] = []
        width = self.change.shape[1]
        for r, size in enumerate(sizes):
            if size is None:
                return None
            terms = {(0,) * width: Fraction(2)} if gauge is None else _twice(gauge.weights, self.change[r])
            parts += _product(size, terms).items()
        return without_bounded(collect(parts), self.largest)


def _twice(weights: FloatArray, change: FloatArray, constant: float = 0.0) -> Polynomial:
    """Return 2 (b + w·x) + max(w·ν, 0)."""
    width = len(change)
    step = (2.0 * constant + max(0.0, float(weights @ change))) * SLIGHTLY_UP
    terms = [(tuple(int(i == j) for j in range(width)), Fraction(2.0 * float(w))) for i, w in enumerate(weights)]
    return collect([*terms, ((0,) * width, Fraction(step))])


def times_line(size: Polynomial, constant: float, weights: FloatArray, change: FloatArray) -> Polynomial:
    """Return a polynomial times ``2 (b + w·x) + max(w·ν, 0)``."""
    return _product(size, _twice(weights, change, constant))


def _product(a: Polynomial, b: Polynomial) -> Polynomial:
    return collect(
        (tuple(i + j for i, j in zip(alpha, beta, strict=True)), c * d)
        for alpha, c in a.items()
        for beta, d in b.items()
    )


def _size_of(model: Model, tree: Expression, clock: Expression, largest: FloatArray) -> Polynomial | None:
    """Return what is above the part of a derivative that one function of time multiplies."""
    polynomials = [size(model, rest, largest) for function, rest in terms_of(model, tree) if function == clock]
    known = [part for part in polynomials if part is not None]
    return None if len(known) < len(polynomials) else collect([term for part in known for term in part.items()])


def size(model: Model, tree: Expression, largest: FloatArray, horizon: float = 0.0) -> Polynomial | None:
    """Return a polynomial without negative coefficients above the modulus of a tree; None where none is known."""
    if tree == ZERO:
        return {}
    bound = envelope(tree, model.species, horizon)
    if bound.upper is None or bound.lower is None:
        return _whole(size_on_counts(tree, model.species), largest)
    above = in_falling_powers(bound.upper, upper=True)
    below = in_falling_powers({powers: -c for powers, c in bound.lower.items()}, upper=True)
    joined = {alpha: max(above.get(alpha, Fraction(0)), below.get(alpha, Fraction(0))) for alpha in {*above, *below}}
    return without_bounded({alpha: c for alpha, c in joined.items() if c > 0}, largest)


def _whole(terms: Terms | None, largest: FloatArray) -> Polynomial | None:
    """Return terms in falling powers."""
    return None if terms is None else without_bounded(in_falling_powers(terms, upper=True), largest)


def _square(
    model: Model, slopes: Derivatives, k: int, sizes: Sequence[Polynomial | None], largest: FloatArray
) -> Polynomial | None:
    """Return a polynomial above Σ_r (∂_k a_r)² / a_r: of laws θ f that is |∂_k a_r|, over θ without logarithm."""
    parts: list[tuple[tuple[int, ...], Fraction]] = []
    for tree, law, row, linear in zip(
        slopes.trees[k], model.rate_expressions, sizes, slopes.proportional[k], strict=True
    ):
        if tree == ZERO or law is None:
            continue
        bound = row if linear else size(model, call("/", call("^", tree, Number(2.0)), law), largest)
        if bound is None:
            bound = _whole(size_on_counts(tree, model.species, law), largest)
        if bound is None:
            return None
        value = Fraction(1) if slopes.log or not linear else 1 / abs(Fraction(model.parameters[slopes.names[k]]))
        parts += [(alpha, c * value * Fraction(SLIGHTLY_UP)) for alpha, c in bound.items()]
    return collect(parts)
