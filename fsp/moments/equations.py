"""Exact means and second moments of networks whose propensities are affine and constant in time.

The generator maps a falling monomial x^(α) to a polynomial of no higher degree, so that the moments M_α = E x^(α) of
degree up to two obey a linear system of their own, M' = L M.  Its matrix has no negative entry off the diagonal
where every species that a reaction consumes is a factor of its rate: then each moment comes out with a relative
error that is bounded (`exponential`).

References
----------
C. S. Gillespie, Moment-closure approximations for mass-action models, IET Syst. Biol. 3 (2009) 52,
doi:10.1049/iet-syb:20070031.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations_with_replacement

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import FloatArray
from fsp.moments.exponential import exponential
from fsp.moments.initial import InitialMoments
from fsp.moments.polynomial import Exponents, Polynomial, degree, plus, scaled, shifted, times
from fsp.moments.rates import Rate

MOST_MOMENTS = 153  # 16 species with second moments
_FORMULA = 1e-13  # relative: what the coefficients of a formula are off by, folded in floating point


class MomentEquations:
    """The closed equations of the moments of degree up to two.

    `matrix`: (m, m) their generator, 1/time: ``d/dt E x^(α) = Σ_β matrix[α, β] E x^(β)``.
    """

    def __init__(self, monomials: Sequence[Exponents], matrix: FloatArray) -> None:
        self.monomials = tuple(monomials)
        self.matrix = matrix

    def at(self, t: float, initial: InitialMoments) -> dict[Exponents, tuple[float, float]]:
        """Bound the moments at a time."""
        ends = np.array([initial.falling(alpha) for alpha in self.monomials])  # (m, 2)
        lowest, start = ends[:, 0], ends[:, 1]
        if not np.isfinite(start).all():
            return {}
        means, error = self._means(t, start, np.ones(len(start)))
        if np.isfinite(means).all():  # in units of their size there are fewer squarings, and so fewer roundings
            sizes = np.exp2(np.round(np.log2(np.maximum(np.maximum(means, start), 1.0))))
            units = min(np.ones(len(start)), sizes, key=lambda units: self._means(t, start, units)[1])
            means, error = self._means(t, start, units)
            least = means if (lowest == start).all() else self._means(t, lowest, units)[0]
        error += _FORMULA + 4.0 * UNIT_ROUNDOFF * len(start)
        if not np.isfinite(means).all() or error > 1e-3:
            return {}
        low, high = least * (1 - error), means * (1 + error) + 1e-290
        return dict(zip(self.monomials, zip(low.tolist(), high.tolist(), strict=True), strict=True))

    def _means(self, t: float, start: FloatArray, units: FloatArray) -> tuple[FloatArray, float]:
        """Return the moments (m,), computed in units that are powers of two, and their relative error."""
        propagator, error = exponential(self.matrix * units / units[:, None], t)  # (m, m)
        with np.errstate(invalid="ignore"):
            return units * (propagator @ (start / units)), error


def moment_equations(rates: Sequence[Rate], width: int) -> MomentEquations | None:
    """Set up the moment equations."""
    if any(rate.exact is None or degree(rate.exact) > 1 for rate in rates):
        return None
    for order in (2, 1):
        monomials = _monomials(width, order)
        if len(monomials) <= MOST_MOMENTS:
            try:
                matrix = _matrix(monomials, rates)
            except OverflowError:  # a rate is too large for a double
                return None
            if (matrix - np.diag(matrix.diagonal())).min(initial=0.0) >= 0.0:
                return MomentEquations(monomials, matrix)
    return None


def image(function: Polynomial, rates: Sequence[Rate]) -> Polynomial:
    """Apply the generator to a function: ``Σ_k a_k(x) (f(x + ν_k) - f(x))``."""
    parts = []
    touched = {i for alpha in function for i, n in enumerate(alpha) if n}
    for rate in rates:
        if not any(rate.change[i] for i in touched):
            continue
        difference = plus(shifted(function, rate.change), scaled(function, Fraction(-1)))
        law = rate.exact if rate.exact is not None else rate.upper
        parts.append(times(law or {}, difference))
    return plus(*parts)


def _monomials(width: int, degree: int) -> list[Exponents]:
    chosen = [c for n in range(degree + 1) for c in combinations_with_replacement(range(width), n)]
    return [tuple(c.count(i) for i in range(width)) for c in chosen]


def _matrix(monomials: Sequence[Exponents], rates: Sequence[Rate]) -> FloatArray:
    place = {alpha: k for k, alpha in enumerate(monomials)}
    matrix = np.zeros((len(monomials), len(monomials)))
    for alpha, row in place.items():
        for beta, c in image({alpha: Fraction(1)}, rates).items():
            matrix[row, place[beta]] = float(c)
    return matrix
