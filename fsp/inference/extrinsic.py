"""Laws of a rate constant among cells (extrinsic noise): gamma and log-normal, by mean and coefficient of variation.

Their densities ρ are analytic in the right half plane, where with z = x + iv

(1)  gamma, shape a = 1/cv², scale s = mean cv²:  log|ρ(z)| = (a - 1) log|z| - x/s - a log s - log Γ(a) ,
(2)  log-normal, σ² = log(1 + cv²), m = log(mean) - σ²/2:
     log|ρ(z)| = -log|z| - ((log|z| - m)² - (arg z)²)/(2 σ²) - log(σ √(2π)) ,

which `above` bounds on sets of z by the ends of x, |v|, |z| and arg z.  For a >= 1 and |v| <= V (1) is largest at
|v| = V, and there, as its derivative by x is ``(a - 1) x/(x² + V²) - 1/s``, at an end of x or where

(3)  x = (m + (m² - 4 V²)^½)/2,    m = (a - 1) s .

References
----------
M. B. Elowitz, A. J. Levine, E. D. Siggia, P. S. Swain, Stochastic gene expression in a single cell, Science 297 (2002)
1183, doi:10.1126/science.1070919.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from scipy.special import digamma, gammainc, gammaincc, gammainccinv, gammaincinv, gammaln, ndtr, ndtri, polygamma

from fsp.arithmetic import ROUNDED_UP, UNIT_ROUNDOFF
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model

# Of each term of a logarithm of a density, those of scipy's logarithms among them: at most 4, measured.
DENSITY_ROUNDINGS = 16.0
TAIL_OFF = 1.0 + 1e-6  # above tails that scipy computes; measured against mpmath, they are off by less than 1e-9
TRIGAMMA_OFF = 1e-12  # above a times what scipy's trigamma is off, which is below 2 for such a
LEAST_DIVISOR = 1e-300  # in place of zero, where the quotient is only compared with one
OUTWARD = 1.02  # by which an end is moved outwards until the tail is as small as it should be
VARIATIONS = (1e-4, 10.0)  # coefficients of variation: rounding of densities grows as 1/cv², their range as 1 + cv²


class Region(NamedTuple):
    """Sets of z, (n,) each, by the ends of what a density depends on."""

    real: FloatArray  # the least real part, above 0
    furthest: FloatArray  # the largest real part
    height: FloatArray  # the largest modulus of an imaginary part
    least: FloatArray  # of |z|
    largest: FloatArray  # of |z|
    angle: FloatArray  # the largest |arg z|


@dataclass(frozen=True, slots=True)
class ParameterLaw(ABC):
    """A law of a positive parameter among cells."""

    mean: float | str
    cv: float | str

    def __post_init__(self) -> None:
        _check("mean", self.mean, 0.0, math.inf)
        _check("cv", self.cv, *VARIATIONS)

    @property
    def depends(self) -> tuple[str, ...]:
        """Parameters of the model by which the law is given."""
        return tuple(value for value in (self.mean, self.cv) if isinstance(value, str))

    def at(self, values: Mapping[str, float]) -> Self:
        """Return the law with numbers in place of parameters."""
        unknown = [name for name in self.depends if name not in values]
        if unknown:
            raise ArgumentError(
                f"`mean` and `cv` must be numbers or parameters of the model, {', '.join(values) or 'none'}, but one "
                f"is '{unknown[0]}'."
            )
        mean, cv = (values[value] if isinstance(value, str) else value for value in (self.mean, self.cv))
        return replace(self, mean=float(mean), cv=float(cv))

    @property
    def numbers(self) -> tuple[float, float]:
        """Mean and coefficient of variation."""
        return float(self.mean), float(self.cv)

    @abstractmethod
    def terms(self, theta: FloatArray) -> FloatArray:
        """Return numbers (k, n) whose sum is the logarithm of the density at θ (n,)."""

    @abstractmethod
    def above(self, region: Region) -> FloatArray:
        """Bound the logarithm of the modulus of the density on regions, (n,), by (1) or (2)."""

    @abstractmethod
    def ends(self, tail: float) -> tuple[float, float]:
        """Return numbers below and above which the law has at most `tail` each."""

    @abstractmethod
    def slopes(self, theta: FloatArray) -> FloatArray:
        """Return the derivatives (2, n) of the logarithm of the density by those of mean and cv."""

    @abstractmethod
    def slope_sizes(self, size: FloatArray, logs: FloatArray) -> FloatArray:
        """Bound the sums of the moduli of their terms where |z| and |log z| are at most as given, (n,): (2, n)."""

    @abstractmethod
    def slope_squares(self) -> FloatArray:
        """Bound the means of their squares over the law, (2,)."""

    @abstractmethod
    def moment(self, order: int) -> float:
        """Return E θ^order / (E θ)^order."""

    @abstractmethod
    def sensitivity(self, theta: FloatArray) -> float:
        """Return by how many times the rounding of its terms the logarithm of a density may be off."""

    def density(self, theta: FloatArray) -> tuple[FloatArray, float]:
        """Return the density at θ (n,), and its relative rounding."""
        terms = self.terms(theta)
        off = (
            DENSITY_ROUNDINGS * UNIT_ROUNDOFF * (1.0 + float(np.abs(terms).sum(axis=0).max()) + self.sensitivity(theta))
        )
        return np.exp(terms.sum(axis=0)), off


@dataclass(frozen=True, slots=True)
class Gamma(ParameterLaw):
    """A parameter has a gamma law among cells: shape 1/cv², scale mean cv².

    Parameters
    ----------
    mean
        Its mean, above 0, in the unit of the parameter; or the name of a parameter of the model whose value it is, as
        that of the parameter itself.
    cv
        Its coefficient of variation, the standard deviation over the mean, between 1e-4 and 10; or the name of a
        parameter, which `fsp.fit` may estimate.

    Raises
    ------
    ArgumentError
        If they are no such numbers.

    References
    ----------
    M. B. Elowitz et al., Science 297 (2002) 1183, doi:10.1126/science.1070919.

    Examples
    --------
    >>> fsp.mixture(model, {"k": fsp.Gamma(10.0, 0.3)}, times=[1.0])  # doctest: +SKIP
    """

    @property
    def _shape(self) -> tuple[float, float]:
        mean, cv = self.numbers
        return 1.0 / cv**2, mean * cv**2

    def terms(self, theta: FloatArray) -> FloatArray:
        """Return the terms of (1)."""
        a, s = self._shape
        constants = [np.full(len(theta), value) for value in (-float(gammaln(a)), -math.log(s))]
        return np.array([(a - 1.0) * np.log(theta / s), -theta / s, *constants])

    def sensitivity(self, theta: FloatArray) -> float:
        """Return what the rounding of shape and scale makes of the terms."""
        a, s = self._shape
        return float((a * (2.0 + np.abs(np.log(theta / s))) + theta / s).max()) + a * abs(float(digamma(a)))

    def above(self, region: Region) -> FloatArray:
        """Bound (1)."""
        a, s = self._shape
        constant = float(gammaln(a)) + math.log(s)
        if a < 1.0:
            return np.asarray((a - 1.0) * np.log(region.least / s) - region.real / s - constant)
        m = (a - 1.0) * s
        with np.errstate(over="ignore"):
            apart = 2.0 * region.height / max(m, LEAST_DIVISOR)  # 2 V/m
            top = 0.5 * m * (1.0 + np.sqrt(np.maximum(1.0 - apart**2, 0.0)))  # (3)
        x = np.array([region.real, np.clip(top, region.real, region.furthest), region.furthest])  # (3, n)
        return np.asarray(((a - 1.0) * np.log(np.hypot(x, region.height) / s) - x / s).max(axis=0) - constant)

    def ends(self, tail: float) -> tuple[float, float]:
        """Return ends by the incomplete gamma functions."""
        a, s = self._shape
        low, high = max(float(gammaincinv(a, tail)), 1e-300 / min(s, 1.0)), float(gammainccinv(a, tail))
        while TAIL_OFF * float(gammainc(a, low)) > tail:
            low /= OUTWARD
        while TAIL_OFF * float(gammaincc(a, high)) > tail:
            high *= OUTWARD
        return low * s, high * s

    def slopes(self, theta: FloatArray) -> FloatArray:
        """Return the derivatives by a = 1/cv² and s = mean cv², with ∂a/∂log cv = -2 a and ∂s/∂log cv = 2 s."""
        a, s = self._shape
        by_scale = theta / s - a  # s ∂/∂s
        by_shape = np.log(theta / s) - float(digamma(a))
        return np.array([by_scale, 2.0 * by_scale - 2.0 * a * by_shape])

    def slope_sizes(self, size: FloatArray, logs: FloatArray) -> FloatArray:
        """Add up the moduli of their terms, log z and log s one by one."""
        a, s = self._shape
        by_scale = size / s + a
        by_shape = logs + abs(math.log(s)) + abs(float(digamma(a))) + 1.0  # and as the logarithm of a rounded quotient
        return np.array([by_scale, 2.0 * by_scale + 2.0 * a * by_shape])

    def slope_squares(self) -> FloatArray:
        """Return a, the variance of θ/s, and 4 a (a ψ'(a) - 1), with ψ'(a) that of log θ and their covariance 1."""
        a, _ = self._shape
        return np.array([a, 4.0 * a * (a * float(polygamma(1, a)) - 1.0 + TRIGAMMA_OFF)]) * ROUNDED_UP

    def moment(self, order: int) -> float:
        """Return Π_j (1 + j cv²)."""
        cv = self.numbers[1]
        return math.prod(1.0 + j * cv**2 for j in range(order)) * ROUNDED_UP


@dataclass(frozen=True, slots=True)
class LogNormal(ParameterLaw):
    """The logarithm of a parameter has a normal law among cells.

    Parameters
    ----------
    mean
        Mean of the parameter itself, above 0, in its unit; or the name of a parameter of the model whose value it is,
        as that of the parameter itself.
    cv
        Its coefficient of variation, the standard deviation over the mean, between 1e-4 and 10; or the name of a
        parameter, which `fsp.fit` may estimate.

    Raises
    ------
    ArgumentError
        If they are no such numbers.

    References
    ----------
    M. B. Elowitz et al., Science 297 (2002) 1183, doi:10.1126/science.1070919.

    Examples
    --------
    >>> fsp.mixture(model, {"k": fsp.LogNormal(10.0, 0.3)}, times=[1.0])  # doctest: +SKIP
    """

    @property
    def _normal(self) -> tuple[float, float]:
        mean, cv = self.numbers
        variance = math.log1p(cv**2)
        return math.log(mean) - 0.5 * variance, math.sqrt(variance)

    def terms(self, theta: FloatArray) -> FloatArray:
        """Return the terms of (2) on the real line."""
        m, sigma = self._normal
        x = np.log(theta)
        return np.array(
            [-x, -0.5 * ((x - m) / sigma) ** 2, np.full(len(x), -math.log(sigma * math.sqrt(2.0 * math.pi)))]
        )

    def sensitivity(self, theta: FloatArray) -> float:
        """Return what the rounding of log θ and m makes of the square."""
        m, sigma = self._normal
        x = np.log(theta)
        return float((np.abs(x - m) / sigma**2 * (1.0 + np.abs(x) + abs(m))).max())

    def above(self, region: Region) -> FloatArray:
        """Bound (2), which is concave in log|z| with its maximum at m - σ²."""
        m, sigma = self._normal
        x = np.clip(m - sigma**2, np.log(region.least), np.log(region.largest))
        square = (x - m) ** 2 - region.angle**2
        return np.asarray(-x - square / (2.0 * sigma**2) - math.log(sigma * math.sqrt(2.0 * math.pi)))

    def ends(self, tail: float) -> tuple[float, float]:
        """Return ends by quantiles of the normal law."""
        m, sigma = self._normal
        z = -float(ndtri(tail))
        while TAIL_OFF * float(ndtr(-z)) > tail:
            z *= OUTWARD
        return math.exp(m - z * sigma), math.exp(m + z * sigma)

    def slopes(self, theta: FloatArray) -> FloatArray:
        """Return the derivatives by m and σ, with ∂σ²/∂log cv = 2 cv²/(1 + cv²) and ∂m/∂log cv half of it, negative."""
        m, sigma = self._normal
        cv = self.numbers[1]
        z = (np.log(theta) - m) / sigma
        change = 2.0 * cv**2 / (1.0 + cv**2)  # of σ²
        by_mean = z / sigma
        return np.array([by_mean, -0.5 * change * by_mean + change * (z**2 - 1.0) / (2.0 * sigma**2)])

    def slope_sizes(self, size: FloatArray, logs: FloatArray) -> FloatArray:
        """Add up the moduli of their terms, log z and m one by one."""
        m, sigma = self._normal
        cv = self.numbers[1]
        z = (logs + abs(m) + 1.0) / sigma
        change = 2.0 * cv**2 / (1.0 + cv**2)
        return np.array([z / sigma, 0.5 * change * z / sigma + change * (z**2 + 1.0) / (2.0 * sigma**2)])

    def slope_squares(self) -> FloatArray:
        """Return E z²/σ², and by (u + v)² <= 2 u² + 2 v² with E (z² - 1)² = 2."""
        _, sigma = self._normal
        cv = self.numbers[1]
        change = 2.0 * cv**2 / (1.0 + cv**2)
        squares = np.array([1.0 / sigma**2, 0.5 * change**2 / sigma**2 + change**2 / sigma**4])
        return squares * ROUNDED_UP

    def moment(self, order: int) -> float:
        """Return (1 + cv²)^(order (order - 1)/2)."""
        return float((1.0 + self.numbers[1] ** 2) ** (0.5 * order * (order - 1))) * ROUNDED_UP


def laws_of(given: object, model: Model) -> dict[str, ParameterLaw]:
    """Return laws by parameter; refuse what is none."""
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(
            f"`extrinsic` must give the law of a parameter by name, such as {{'k': fsp.LogNormal(10, 0.3)}}, but is "
            f"{given!r}."
        )
    for name, law in given.items():
        if name not in model.parameters:
            known = ", ".join(model.parameters) or "none"
            raise ArgumentError(f"`extrinsic` must be of parameters of the model, {known}, but is of '{name}'.")
        if not isinstance(law, ParameterLaw):
            raise ArgumentError(
                f"The law of '{name}' in `extrinsic` must be fsp.Gamma(mean, cv) or fsp.LogNormal(mean, cv), but is "
                f"{law!r}."
            )
        law.at(model.parameters)
    return dict(given)


def require_no_start(start: str | None) -> None:
    """Refuse a stationary start of cells that differ in a search."""
    if start is not None:
        raise ArgumentError(
            f"`start` must be left out of a search where parameters differ among cells, but is {start!r}, each cell "
            f"beginning in a stationary distribution of its own; fsp.mixture and fsp.likelihood take it. Let cells "
            f"begin in counts, and give the data a time after which they have settled."
        )


def _check(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, str) and value:
        return
    if not isinstance(value, int | float) or isinstance(value, bool) or not low < value < high:
        bounds = f"between {low:g} and {high:g}" if math.isfinite(high) else f"above {low:g}"
        raise ArgumentError(f"`{name}` must be a number {bounds}, or the name of a parameter, but is {value!r}.")
