"""Interval arithmetic on numbers and on truncated Taylor series.

A series holds the first Taylor coefficients ``f^(k)(τ)/k!``, each as an interval for all τ of a step.  Results of
floating point are widened by a relative slack that exceeds their rounding.

References
----------
R. E. Moore, R. B. Kearfott, M. J. Cloud, Introduction to Interval Analysis, SIAM 2009, doi:10.1137/1.9780898717716.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce

Interval = tuple[float, float]
Series = list[Interval]

SLACK = 4e-16  # relative widening after an operation: more than the roundings of its few steps
HALF_UNIT = 1.2e-16  # relative: of one rounding, and its like of higher order
FUNCTION_SLACK = 2e-15  # after an elementary function
ZERO: Interval = (0.0, 0.0)  # exactly: what it multiplies is not widened
ONE: Interval = (1.0, 1.0)  # exactly: the slope of the time


class NoBound(Exception):  # noqa: N818 - control flow of its users
    """Interval arithmetic does not bound the function on the step."""


# ---- arithmetic of intervals ------------------------------------------------------------------------------


def _widened(low: float, high: float, slack: float = SLACK) -> Interval:
    if not (math.isfinite(low) and math.isfinite(high)):
        raise NoBound
    tiny = 5e-324
    return low - slack * abs(low) - tiny, high + slack * abs(high) + tiny


def _plus(a: Interval, b: Interval) -> Interval:
    if a == ZERO or b == ZERO:
        return b if a == ZERO else a
    return _widened(a[0] + b[0], a[1] + b[1])


def _minus(a: Interval) -> Interval:
    return -a[1], -a[0]


def _times(a: Interval, b: Interval) -> Interval:
    if a == ZERO or b == ZERO:
        return ZERO
    products = (a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1])
    return _widened(min(products), max(products))


def _inverse(a: Interval) -> Interval:
    if a[0] <= 0.0 <= a[1]:
        raise NoBound
    return _widened(1.0 / a[1], 1.0 / a[0])


def _increasing(f: Callable[[float], float], a: Interval) -> Interval:
    return _widened(f(a[0]), f(a[1]), FUNCTION_SLACK)


def _dot(a: Series, b: Series) -> Interval:
    """Return Σ a_i b_i: the slack of n products and n sums is one of the sum of their moduli."""
    low = high = size = 0.0
    n = 0
    for (p, q), (r, s) in zip(a, b, strict=False):
        if (p == 0.0 and q == 0.0) or (r == 0.0 and s == 0.0):
            continue
        n += 1
        if p >= 0.0 and r >= 0.0:
            least, most = p * r, q * s
        else:
            products = p * r, p * s, q * r, q * s
            least, most = min(products), max(products)
        low += least
        high += most
        size += max(-least, most)
    if not n:
        return ZERO
    if not size < math.inf:
        raise NoBound
    slack = (n + 1) * HALF_UNIT * size + n * 5e-324
    return low - slack, high + slack


def _scaled(a: Interval, factor: float) -> Interval:
    return _times(a, (factor, factor))


def _over(a: Interval, k: int) -> Interval:
    if a == ZERO:
        return ZERO
    return _widened(a[0] / k, a[1] / k)


# ---- arithmetic of series ---------------------------------------------------------------------------------


def constant_series(value: float, n: int, error: float = 0.0) -> Series:
    """Return the series of a constant that is known to `error`, and to rounding where it is not whole."""
    if not math.isfinite(value):
        raise NoBound
    exact = value == int(value) and not error
    return [(value, value) if exact else _widened(value - error, value + error), *([ZERO] * (n - 1))]


def added(a: Series, b: Series) -> Series:
    """Return a sum."""
    return [_plus(x, y) for x, y in zip(a, b, strict=True)]


def negated(a: Series) -> Series:
    """Return the series with the other sign."""
    return [_minus(x) for x in a]


def subtracted(a: Series, b: Series) -> Series:
    """Return a difference."""
    return added(a, negated(b))


def multiplied(a: Series, b: Series) -> Series:
    """Return a product."""
    return [_dot(a[: k + 1], b[k::-1]) for k in range(len(a))]


def divided(a: Series, b: Series) -> Series:
    """Return a quotient."""
    inverse = _inverse(b[0])
    quotient: Series = []
    for k in range(len(a)):
        rest = _dot(b[1 : k + 1], quotient[::-1])
        quotient.append(_times(_plus(a[k], _minus(rest)), inverse))
    return quotient


def _along(a: Series) -> Series:
    """Return i a_i from i = 1 on."""
    return [_scaled(x, float(i)) for i, x in enumerate(a[1:], 1)]


def exponential(a: Series) -> Series:
    """Return exp a."""
    result, along = [_increasing(math.exp, a[0])], _along(a)
    for k in range(1, len(a)):
        result.append(_over(_dot(along, result[::-1]), k))
    return result


def lessened_exponential(a: Series) -> Series:
    """Return exp(a) - 1, with all its digits where a is small."""
    low, high = math.expm1(a[0][0]), math.expm1(a[0][1])
    return [_widened(low, high, FUNCTION_SLACK), *exponential(a)[1:]]


def logarithm(a: Series) -> Series:
    """Return ln a."""
    if a[0][0] <= 0.0:
        raise NoBound
    low, high = math.log(a[0][0]), math.log(a[0][1])
    result = [(low - FUNCTION_SLACK * (1.0 + abs(low)), high + FUNCTION_SLACK * (1.0 + abs(high)))]
    inverse = _inverse(a[0])
    for k in range(1, len(a)):
        terms = _dot(_along(result), a[k - 1 : 0 : -1])
        result.append(_times(_plus(a[k], _minus(_over(terms, k))), inverse))
    return result


def power(a: Series, exponent: float) -> Series:
    """Return aʳ: by products where r is a small whole number, else for positive a."""
    if exponent == int(exponent) and 0 <= exponent <= 8:
        return reduce(multiplied, [a] * int(exponent), constant_series(1.0, len(a)))
    if exponent == int(exponent) and -8 <= exponent < 0:
        return divided(constant_series(1.0, len(a)), power(a, -exponent))
    if a[0] == ZERO and all(x == ZERO for x in a) and exponent > 0.0:
        return a
    if a[0][0] <= 0.0:
        return _power_from_zero(a, exponent)
    result = [_increasing(lambda x: x**exponent, a[0]) if exponent > 0.0 else _falling_power(a[0], exponent)]
    if len(a) == 1:
        return result
    inverse = _inverse(a[0])
    for k in range(1, len(a)):
        factors = [exponent * i - (k - i) for i in range(1, k + 1)]
        terms = [_scaled(x, factor) for x, factor in zip(a[1:], factors, strict=False)]
        result.append(_times(_over(_dot(terms, result[::-1]), k), inverse))
    return result


def _power_from_zero(a: Series, exponent: float) -> Series:
    """Return aʳ for a that reaches down to zero, of at most as many terms as have a bound there.

    Where a is negative its power is not defined; what rounding puts below zero is cut off.
    """
    if not (a[0][1] > 0.0 and exponent >= len(a) - 1):
        raise NoBound
    base = (0.0, a[0][1])
    rise = [ZERO, *a[1:]]
    total = constant_series(0.0, len(a))
    factor = [math.prod((exponent - i) / (i + 1) for i in range(k)) for k in range(len(a))]
    for k in reversed(range(len(a))):  # Horner: Σ_k (r over k) a₀^(r - k) rise^k
        power = ONE if exponent == k else _increasing(lambda x, k=k: x ** (exponent - k), base)  # type: ignore[misc]
        total = added(multiplied(total, rise), [_scaled(power, factor[k]), *([ZERO] * (len(a) - 1))])
    return total


def _falling_power(a: Interval, exponent: float) -> Interval:
    return _widened(a[1] ** exponent, a[0] ** exponent, FUNCTION_SLACK)


def _sine(a: Interval) -> Interval:
    """Return the range of the sine; the tops at π/2 + 2πk are found from the ends."""
    low, high = math.sin(a[0]), math.sin(a[1])
    turns = 2.0 * math.pi

    def passes(phase: float) -> bool:
        slack = 1e-15 * max(abs(a[0]), abs(a[1]), 1.0)
        return math.floor((a[1] + slack - phase) / turns) > math.floor((a[0] - slack - phase) / turns)

    top = 1.0 if passes(0.5 * math.pi) else max(low, high)
    bottom = -1.0 if passes(-0.5 * math.pi) else min(low, high)
    slack = 4e-16 * (1.0 + max(abs(a[0]), abs(a[1])))
    return bottom - slack, top + slack


def _cosine(a: Interval) -> Interval:
    slack = 2e-16 * (2.0 + max(abs(a[0]), abs(a[1])))
    return _sine((a[0] + 0.5 * math.pi - slack, a[1] + 0.5 * math.pi + slack))


def sine_and_cosine(a: Series) -> tuple[Series, Series]:
    """Return sin a and cos a, which are each other's slopes."""
    sine, cosine, along = [_sine(a[0])], [_cosine(a[0])], _along(a)
    for k in range(1, len(a)):
        sine.append(_over(_dot(along, cosine[k - 1 :: -1]), k))
        cosine.append(_minus(_over(_dot(along, sine[k - 1 :: -1]), k)))
    return sine, cosine


def tangent(a: Series) -> Series:
    """Return tan a."""
    return divided(*sine_and_cosine(a))


def hyperbolic(sign: float) -> Callable[[Series], Series]:
    """Return the rule of cosh, or of sinh with the sign -1."""

    def of(a: Series) -> Series:
        up, down = exponential(a), exponential(negated(a))
        return [_scaled(x, 0.5) for x in added(up, [_scaled(y, sign) for y in down])]

    return of


def hyperbolic_tangent(a: Series) -> Series:
    """Return tanh, whose slope is ``1 - tanh²``: no exponential overflows where it is flat."""
    result, along = [_increasing(math.tanh, a[0])], _along(a)
    for k in range(1, len(a)):
        slope = subtracted(constant_series(1.0, k), multiplied(result, result))
        slope[0] = (max(slope[0][0], 0.0), min(max(slope[0][1], 0.0), 1.0))
        result.append(_over(_dot(along, slope[::-1]), k))
    return result


def common_logarithm(a: Series) -> Series:
    """Return log10 a."""
    return [_scaled(x, 1.0 / math.log(10.0)) for x in logarithm(a)]
