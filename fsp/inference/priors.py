"""Prior densities of parameters: intervals of their logarithms, and frozen distributions of scipy.stats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fsp.errors import ArgumentError

# Of a logarithm, for differences of log densities: errors of 1e-8 and 1e-16/1e-8 in the two derivatives.
DIFFERENCE_STEP = 1e-4


class LogDensity(NamedTuple):
    """The logarithm of a density, and its derivatives by the logarithm of the parameter."""

    value: float
    slope: float
    curvature: float


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is known of a positive parameter beforehand: the range of its logarithm u, and a density."""

    low: float  # of u
    high: float
    law: Any = None  # a frozen distribution of the parameter; without one its logarithm is uniform
    by_log: bool = False  # whether densities are those of u, and not those of the parameter

    @property
    def range(self) -> tuple[float, float]:
        """Bounds of the parameter."""
        return math.exp(self.low), math.exp(self.high)

    def of(self, u: float) -> LogDensity:
        """Return the log density where the logarithm of the parameter is u; without a law, zero."""
        if self.law is None:
            return LogDensity(0.0, 0.0, 0.0)
        below, here, above = (self._value(x) for x in (u - DIFFERENCE_STEP, u, u + DIFFERENCE_STEP))
        return LogDensity(
            here, (above - below) / (2.0 * DIFFERENCE_STEP), (above - 2.0 * here + below) / DIFFERENCE_STEP**2
        )

    def value(self, u: float) -> float:
        """Return the log density of u, minus infinity outside the range."""
        if not self.low <= u <= self.high:
            return -math.inf
        if self.law is None:
            return -math.log(self.high - self.low) if self.high > self.low else 0.0
        return self._value(u)

    def _value(self, u: float) -> float:
        density = float(self.law.logpdf(math.exp(u)))
        return density + u if self.by_log else density


def ranged(free: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    """Return the bounds of free parameters; refuse what are none."""
    if not isinstance(free, Mapping) or not free:
        raise ArgumentError(f"`free` must give bounds by name, such as {{'k': (1, 1000)}}, but is {free!r}.")
    return {str(name): _pair(given, f"Bounds of '{name}'") for name, given in free.items()}


def _pair(given: Any, what: str) -> tuple[float, float]:
    try:
        low, high = (float(x) for x in given)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{what} must be two numbers, such as (1, 1000), but are {given!r}.") from None
    if not 0.0 < low < high < math.inf:
        raise ArgumentError(f"{what} must be positive and increasing, such as (1, 1000), but are {given!r}.")
    return low, high


def priors_of(ranges: Mapping[str, tuple[float, float]], laws: Mapping[str, Any] | None) -> tuple[Prior, ...]:
    """Return the priors of a fit: bounds, and densities of the parameters where they are given."""
    laws = laws or {}
    unknown = [name for name in laws if name not in ranges]
    if unknown:
        raise ArgumentError(f"`priors` must be of free parameters, {', '.join(ranges)}, but one is of '{unknown[0]}'.")
    for name, law in laws.items():
        _require_law(law, name)
    return tuple(Prior(math.log(a), math.log(b), laws.get(name)) for name, (a, b) in ranges.items())


def posterior_priors(given: Mapping[str, Any]) -> dict[str, Prior]:
    """Return the priors of a posterior: (low, high) of a parameter with a uniform logarithm, or distributions."""
    if not isinstance(given, Mapping) or not given:
        raise ArgumentError(f"`priors` must give one by name, such as {{'k': (1, 1000)}}, but are {given!r}.")
    priors = {}
    for name, law in given.items():
        if hasattr(law, "logpdf"):
            low, high = (float(x) for x in law.support())
            if not high > 0.0:
                raise ArgumentError(
                    f"The prior of '{name}' must allow positive values, but its support is {low:g} to {high:g}."
                )
            priors[str(name)] = Prior(math.log(max(low, 1e-300)), math.log(min(high, 1e300)), law, by_log=True)
        else:
            low, high = _pair(given[name], f"The prior of '{name}'")
            priors[str(name)] = Prior(math.log(low), math.log(high), None, by_log=True)
    return priors


def _require_law(law: Any, name: str) -> None:
    if not hasattr(law, "logpdf"):
        raise ArgumentError(
            f"The prior of '{name}' must be a frozen continuous distribution, such as scipy.stats.lognorm(1), but is "
            f"{law!r}."
        )
