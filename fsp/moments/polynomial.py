"""Polynomials of copy numbers with exact coefficients, in falling powers.

A falling power x^(n) = x (x - 1) … (x - n + 1) is zero or positive at every count, so that a polynomial whose
coefficients in falling powers are not negative is not negative on any state.  Mass action is a single such
monomial.  All arithmetic is in rationals: signs are decided, not estimated.

    x^(m) x^(n) = Σ_k C(m, k) C(n, k) k! x^(m+n-k),      (x + s)^(m) = Σ_j C(m, j) s^(m-j) x^(j)

References
----------
R. L. Graham, D. E. Knuth, O. Patashnik, Concrete Mathematics, sections 2.6 and 5.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import comb, factorial, prod
from typing import Any, TypeVar

from fsp.time_limit import check_time_limit

K = TypeVar("K", bound=tuple[Any, ...])  # exponents, whole or not
Exponents = tuple[int, ...]
Polynomial = Mapping[Exponents, Fraction]
"""Coefficient of each falling monomial; zero coefficients are left out."""


def collect(terms: Iterable[tuple[K, Fraction]]) -> dict[K, Fraction]:
    """Add up the coefficients of equal monomials."""
    total: dict[K, Fraction] = {}
    for exponents, coefficient in terms:
        check_time_limit()
        total[exponents] = total.get(exponents, Fraction(0)) + coefficient
    return {exponents: coefficient for exponents, coefficient in total.items() if coefficient}


def linear(weights: Sequence[Fraction]) -> dict[Exponents, Fraction]:
    """Return w·x for weights (d,)."""
    return collect((tuple(int(j == i) for j in range(len(weights))), w) for i, w in enumerate(weights))


def scaled(polynomial: Mapping[K, Fraction], factor: Fraction) -> dict[K, Fraction]:
    """Return a multiple of a polynomial."""
    return {exponents: factor * c for exponents, c in polynomial.items()} if factor else {}


def plus(*polynomials: Mapping[K, Fraction]) -> dict[K, Fraction]:
    """Return the sum of polynomials."""
    return collect(term for polynomial in polynomials for term in polynomial.items())


def times(left: Polynomial, right: Polynomial) -> dict[Exponents, Fraction]:
    """Return the product of two polynomials."""
    return collect(
        (exponents, a * b * weight)
        for alpha, a in left.items()
        for beta, b in right.items()
        for exponents, weight in _monomials(alpha, beta)
    )


def power(base: Polynomial, n: int, width: int) -> dict[Exponents, Fraction]:
    """Return a whole power of a polynomial in `width` variables."""
    result = {(0,) * width: Fraction(1)}
    for _ in range(n):
        result = times(result, base)
    return result


def shifted(polynomial: Polynomial, steps: Iterable[int]) -> dict[Exponents, Fraction]:
    """Return x -> f(x + steps)."""
    moved = tuple(int(s) for s in steps)
    return collect(
        (exponents, c * weight)
        for alpha, c in polynomial.items()
        for exponents, weight in _spread([_shift(n, s) for n, s in zip(alpha, moved, strict=True)])
    )


def from_power(exponents: Exponents) -> dict[Exponents, Fraction]:
    """Return the product of ordinary powers of the variables."""
    rows = [[(k, _stirling(n, k)) for k in range(n + 1)] for n in exponents]
    return collect((alpha, Fraction(weight)) for alpha, weight in _spread(rows))


def degree(polynomial: Polynomial) -> int:
    """Return the degree; 0 for the zero polynomial."""
    return max((sum(exponents) for exponents in polynomial), default=0)


def value(polynomial: Polynomial, state: Iterable[int]) -> Fraction:
    """Evaluate at one state, exactly."""
    x = tuple(int(n) for n in state)
    values = (c * prod(map(falling, x, alpha)) for alpha, c in polynomial.items())
    return sum(values, Fraction(0))


def falling(x: int, n: int) -> int:
    """Return x (x - 1) … (x - n + 1)."""
    return prod(range(x - n + 1, x + 1))


@lru_cache(maxsize=65536)
def _monomials(alpha: Exponents, beta: Exponents) -> tuple[tuple[Exponents, int], ...]:
    rows = [
        [(m + n - k, comb(m, k) * comb(n, k) * factorial(k)) for k in range(min(m, n) + 1)]
        for m, n in zip(alpha, beta, strict=True)
    ]
    return tuple(_spread(rows))


def _spread(rows: list[list[tuple[int, int]]]) -> Iterable[tuple[Exponents, int]]:
    for chosen in product(*rows):
        yield tuple(n for n, _ in chosen), prod(weight for _, weight in chosen)


def _shift(n: int, step: int) -> list[tuple[int, int]]:
    if not step:
        return [(n, 1)]
    return [(j, comb(n, j) * falling(step, n - j)) for j in range(n + 1)]


@lru_cache(maxsize=4096)
def _stirling(n: int, k: int) -> int:
    """Stirling number of the second kind."""
    if n == k:
        return 1
    return 0 if k == 0 or k > n else k * _stirling(n - 1, k) + _stirling(n - 1, k - 1)
