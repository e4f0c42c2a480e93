"""Polynomials below and above each propensity, and what is left of them when bounded species are at their bounds.

Where stoichiometry bounds a species by n, x_i^(k) <= n^(k): terms lose factors of bounded species, so that
``k x (x - 1) gene`` is a bound of degree two in x alone.  A rate that is affine after that can raise a moment
only as fast as the moment itself; one that is not may only lower the function whose mean is bounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

import numpy as np

from fsp.arrays import FloatArray
from fsp.model import Model
from fsp.moments.envelope import envelope
from fsp.moments.polynomial import Exponents, Polynomial, collect, degree, falling
from fsp.moments.terms import in_falling_powers
from fsp.time_limit import check_time_limit

FOLDING = Fraction(1, 10**12)  # relative, for numbers that formulas fold in floating point


@dataclass(frozen=True, slots=True)
class Rate:
    """Bounds of one propensity on all reachable states."""

    name: str
    change: tuple[int, ...]  # (d,) net change of each species
    upper: Polynomial | None  # polynomial above; None where none was found
    lower: Polynomial  # polynomial below, affine; zero where none was found
    exact: Polynomial | None  # the polynomial that the propensity is; None where it is none, or depends on time

    @property
    def superlinear(self) -> bool:
        """Whether the upper bound is of degree two or more, or there is none."""
        return self.upper is None or degree(self.upper) > 1


def rates(model: Model, horizon: float, largest: FloatArray, lowest: Sequence[int] | None = None) -> tuple[Rate, ...]:
    """Bound the propensities of a model up to a time.

    `largest`: (d,) largest counts; infinite where there are none; `lowest`: (d,) counts m: bounds hold at x >= m, as
    polynomials of x - m; by default zero.
    """
    return tuple(_rate(model, k, horizon, largest, lowest) for k in range(model.n_reactions))


def _rate(model: Model, k: int, horizon: float, largest: FloatArray, lowest: Sequence[int] | None) -> Rate:
    check_time_limit()
    name, change = str(model.reactions[k].name), tuple(map(int, model.change[k]))
    law = model.rate_expressions[k]
    if law is None:
        return Rate(name, change, None, {}, None)
    enclosure = envelope(law, model.species, horizon, lowest)
    upper = None if enclosure.upper is None else in_falling_powers(enclosure.upper, upper=True)
    below = {} if enclosure.lower is None else in_falling_powers(enclosure.lower, upper=False)
    exact = None if model.time_dependent[k] else enclosure.polynomial
    above = None if upper is None else _without_bounded(upper, largest)
    return Rate(name, change, above, _affine_below(below, largest), exact)


def _without_bounded(upper: Polynomial, largest: FloatArray) -> dict[Exponents, Fraction]:
    """Return an upper bound from which bounded species are gone, but for terms that are one of them alone."""
    return collect(
        (alpha, c) if sum(alpha) <= 1 else reduced(alpha, c, largest)
        for alpha, c in upper.items()
        if c > 0 or sum(alpha) <= 1
    )


def reduced(alpha: Exponents, c: Fraction, largest: FloatArray, *, keep_one: bool = True) -> tuple[Exponents, Fraction]:
    """Bound a term from above by putting bounded species at their largest counts.

    `largest`: (d,) largest counts, infinite where there are none.
    """
    bounded = [i for i, n in enumerate(alpha) if n and np.isfinite(largest[i])]
    kept = [0 if i in bounded else n for i, n in enumerate(alpha)]
    factor = prod(falling(int(largest[i]), alpha[i]) for i in bounded)
    if keep_one and bounded and not sum(kept):  # x_i^(k) <= (n - 1)^(k-1) x_i
        first = bounded[0]
        kept[first] = 1
        factor = falling(int(largest[first]) - 1, alpha[first] - 1)
        factor *= prod(falling(int(largest[i]), alpha[i]) for i in bounded[1:])
    return tuple(kept), c * factor


def _affine_below(lower: Polynomial, largest: FloatArray) -> dict[Exponents, Fraction]:
    """Return an affine lower bound of a rate, at least zero where there is none."""
    below = []
    for alpha, c in lower.items():
        if c > 0 and sum(alpha) > 1:
            continue
        term = reduced(alpha, c, largest) if sum(alpha) > 1 else (alpha, c)
        if sum(term[0]) > 1:
            return {}
        below.append(term)
    return collect(below)


def affine_parts(polynomial: Polynomial, width: int) -> tuple[Fraction, list[Fraction]]:
    """Return the constant and the (d,) linear coefficients of an affine polynomial; others are refused."""
    if degree(polynomial) > 1:
        raise ValueError(f"`polynomial` must be affine, but has degree {degree(polynomial)}.")
    linear = [Fraction(0)] * width
    constant = Fraction(0)
    for alpha, c in polynomial.items():
        if sum(alpha):
            linear[alpha.index(1)] = c
        else:
            constant = c
    return constant, linear


def reasons(rates: Sequence[Rate]) -> str:
    """Name the reactions that stand in the way of a bound."""
    unknown = [rate.name for rate in rates if rate.upper is None]
    if unknown:
        return f"no polynomial bounds the rate of {', '.join(unknown[:3])}"
    fast = [rate.name for rate in rates if rate.superlinear]
    return f"no drift bound was found against {', '.join(fast[:3])}" if fast else "no drift bound was found"
