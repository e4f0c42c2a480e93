"""Interval arithmetic on numbers and on truncated Taylor series.

A series holds the first Taylor coefficients ``f^(k)(τ)/k!``, each as an interval for all τ of a step: an array (n, 2).
Results of floating point are widened by a relative slack that exceeds their rounding (`fsp.model.series_kernels`).

References
----------
R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to Interval Analysis, SIAM 2009, doi:10.1137/1.9780898717716.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.model import series_kernels
from fsp.model.series_kernels import SLACK, TINY

if TYPE_CHECKING:
    from fsp.arrays import FloatArray

Interval = tuple[float, float]
Series: TypeAlias = "FloatArray"

FUNCTION_SLACK = 2e-15  # after an elementary function
ZERO_EXACTLY: Interval = (0.0, 0.0)  # exactly: what it multiplies is not widened
ONE_EXACTLY: Interval = (1.0, 1.0)  # exactly: the slope of the time


class NoBound(Exception):  # noqa: N818 - control flow of its users
    """Interval arithmetic does not bound the function on the step."""


# ---- arithmetic of intervals ------------------------------------------------------------------------------


def at_first(a: Series) -> Interval:
    """Return the first coefficient: an interval that holds the values."""
    return a.item(0), a.item(1)


def _widened(low: float, high: float, slack: float = SLACK) -> Interval:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NoBound
    return low - slack * abs(low) - TINY, high + slack * abs(high) + TINY


def _increasing(f: Callable[[float], float], a: Interval) -> Interval:
    return _widened(f(a[0]), f(a[1]), FUNCTION_SLACK)


# ---- arithmetic of series ---------------------------------------------------------------------------------


def series_of(first: Interval, n: int, slope: Interval = ZERO_EXACTLY) -> Series:
    """Return the series that begins with two coefficients, and has no others."""
    series = np.zeros((n, 2))
    series[0] = first
    if n > 1:
        series[1] = slope
    return series


def constant_series(value: float, n: int, error: float = 0.0) -> Series:
    """Return the series of a constant that is known to `error`, and to rounding where it is not whole."""
    if not math.isfinite(value):
        raise NoBound
    exact = value == int(value) and not error
    return series_of((value, value) if exact else _widened(value - error, value + error), n)


def added(a: Series, b: Series) -> Series:
    """Return a sum."""
    return _made(series_kernels.add, np.empty_like(a), a, b)


def negated(a: Series) -> Series:
    """Return the series with the other sign."""
    negative = np.empty_like(a)
    np.negative(a[:, ::-1], out=negative)
    return negative


def subtracted(a: Series, b: Series) -> Series:
    """Return a difference."""
    return added(a, negated(b))


def multiplied(a: Series, b: Series) -> Series:
    """Return a product."""
    return _made(series_kernels.multiply, np.empty_like(a), a, b)


def divided(a: Series, b: Series) -> Series:
    """Return a quotient."""
    return _made(series_kernels.divide, np.empty_like(a), a, b)


def scaled(a: Series, factor: float) -> Series:
    """Return a multiple."""
    return _made(series_kernels.scale, np.empty_like(a), a, factor)


def exponential(a: Series) -> Series:
    """Return exp a."""
    return _made(series_kernels.exponential, series_of(_increasing(math.exp, at_first(a)), len(a)), a)


def lessened_exponential(a: Series) -> Series:
    """Return exp(a) - 1, with all its digits where a is small."""
    low, high = at_first(a)
    result = exponential(a)
    result[0] = _widened(math.expm1(low), math.expm1(high), FUNCTION_SLACK)
    return result


def logarithm(a: Series) -> Series:
    """Return ln a."""
    if a[0, 0] <= 0.0:
        raise NoBound
    low, high = map(math.log, at_first(a))
    first = low - FUNCTION_SLACK * (1.0 + abs(low)), high + FUNCTION_SLACK * (1.0 + abs(high))
    return _made(series_kernels.logarithm, series_of(first, len(a)), a)


def power(a: Series, exponent: float) -> Series:
    """Return aʳ: by products where r is a small whole number, else for positive a."""
    if exponent == int(exponent) and 0 <= exponent <= 8:
        return reduce(multiplied, [a] * int(exponent), constant_series(1.0, len(a)))
    if exponent == int(exponent) and -8 <= exponent < 0:
        return divided(constant_series(1.0, len(a)), power(a, -exponent))
    if exponent > 0.0 and not a.any():
        return a
    low, high = at_first(a)
    if low <= 0.0:
        return _power_from_zero(a, exponent)
    first = _increasing(lambda x: x**exponent, (low, high) if exponent > 0.0 else (high, low))
    return _made(series_kernels.power, series_of(first, len(a)), a, exponent)


def _power_from_zero(a: Series, exponent: float) -> Series:
    """Return aʳ for a that reaches down to zero, of at most as many terms as have a bound there.

    Where a is negative its power is not defined; what rounding puts below zero is cut off.
    """
    high = a.item(1)
    if not (high > 0.0 and exponent >= len(a) - 1):
        raise NoBound
    rise = a.copy()
    rise[0] = ZERO_EXACTLY
    total = constant_series(0.0, len(a))
    for k in reversed(range(len(a))):  # Horner: Σ_k (r over k) a₀^(r - k) rise^k
        power = ONE_EXACTLY if exponent == k else _increasing(lambda x, k=k: x ** (exponent - k), (0.0, high))  # type: ignore[misc]
        factor = math.prod((exponent - i) / (i + 1) for i in range(k))
        factors = _widened(factor, factor, (k + 1) * SLACK)  # three roundings for each i
        term = multiplied(series_of(power, len(a)), series_of(factors, len(a)))
        total = added(multiplied(total, rise), term)
    return total


def _sine(a: Interval) -> Interval:
    """Return the range of the sine; the tops at π/2 + 2πk are found from the ends."""
    low, high = math.sin(a[0]), math.sin(a[1])
    turns = 2.0 * math.pi

    def passes(phase: float) -> bool:
        slack = 1e-15 * max(abs(a[0]), abs(a[1]), 1.0)
        return math.floor((a[1] + slack - phase) / turns) > math.floor((a[0] - slack - phase) / turns)

    top = 1.0 if passes(0.5 * math.pi) else max(low, high)
    bottom = -1.0 if passes(-0.5 * math.pi) else min(low, high)
    slack = 4.0 * UNIT_ROUNDOFF * (1.0 + max(abs(a[0]), abs(a[1])))
    return bottom - slack, top + slack


def _cosine(a: Interval) -> Interval:
    slack = 2.0 * UNIT_ROUNDOFF * (2.0 + max(abs(a[0]), abs(a[1])))
    return _sine((a[0] + 0.5 * math.pi - slack, a[1] + 0.5 * math.pi + slack))


def sine_and_cosine(a: Series) -> tuple[Series, Series]:
    """Return sin a and cos a, which are each other's slopes."""
    first = at_first(a)
    sine, cosine = series_of(_sine(first), len(a)), series_of(_cosine(first), len(a))
    return _made(series_kernels.sine_and_cosine, sine, a, cosine), cosine


def tangent(a: Series) -> Series:
    """Return tan a."""
    return divided(*sine_and_cosine(a))


def hyperbolic(sign: float) -> Callable[[Series], Series]:
    """Return the rule of cosh, or of sinh with the sign -1."""

    def of(a: Series) -> Series:
        return scaled(added(exponential(a), scaled(exponential(negated(a)), sign)), 0.5)

    return of


def hyperbolic_tangent(a: Series) -> Series:
    """Return tanh, whose slope is ``1 - tanh²``: no exponential overflows where it is flat."""
    return _made(series_kernels.hyperbolic_tangent, series_of(_increasing(math.tanh, at_first(a)), len(a)), a)


def common_logarithm(a: Series) -> Series:
    """Return log10 a."""
    return scaled(logarithm(a), 1.0 / math.log(10.0))


def _made(rule: Callable[..., bool], out: Series, *arguments: Series | float) -> Series:
    """Return what a kernel writes to `out`, its last argument."""
    if not rule(*arguments, out):
        raise NoBound
    return out
