"""Compiled interval arithmetic on truncated Taylor series.

A series is an array (n, 2) of the ends of intervals.  Ends are widened by a relative slack that exceeds their rounding;
what is exactly zero is not, and multiplies nothing.  Kernels return whether all ends are finite.  They are compiled
without reordering and without fused multiply-adds, on which the slack counts.

The sum of n products of intervals is off by the roundings of n products and n sums of moduli that add up to `size`.
Each has the relative error u = 2**-53, so that ``(n + 1) u size (1 + (n + 1) u)`` is enough (Higham, Accuracy and
Stability of Numerical Algorithms, 2002, section 3.1), and the smallest numbers, where products underflow.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, Floats2, kernel

SLACK = 4e-16  # relative widening after an operation: more than the roundings of its few steps
HALF_UNIT = 1.2e-16  # relative: of one rounding, and its like of higher order
TINY = 5e-324  # the smallest number: what underflows is off by less


@kernel()
def _widened(low, high):
    return low - SLACK * abs(low) - TINY, high + SLACK * abs(high) + TINY


@kernel()
def _is_zero(a):
    return a[0] == 0.0 and a[1] == 0.0


@kernel()
def _plus(a, b):
    if _is_zero(a):
        return b
    if _is_zero(b):
        return a
    return _widened(a[0] + b[0], a[1] + b[1])


@kernel()
def _times(a, b):
    if _is_zero(a) or _is_zero(b):
        return 0.0, 0.0
    p, q, r, s = a[0] * b[0], a[0] * b[1], a[1] * b[0], a[1] * b[1]
    return _widened(min(min(p, q), min(r, s)), max(max(p, q), max(r, s)))


@kernel()
def _over(a, k):
    if _is_zero(a):
        return 0.0, 0.0
    return _widened(a[0] / k, a[1] / k)


@kernel()
def _row(a, i):
    return a[i, 0], a[i, 1]


@kernel()
def _dot(a, i, b, j, n):
    """Return the sum of n products, of a from i on by b from j back."""
    low = 0.0
    high = 0.0
    size = 0.0
    terms = 0
    for k in range(n):
        p, q = a[i + k, 0], a[i + k, 1]
        r, s = b[j - k, 0], b[j - k, 1]
        if (p == 0.0 and q == 0.0) or (r == 0.0 and s == 0.0):
            continue
        terms += 1
        if p >= 0.0 and r >= 0.0:
            least, largest = p * r, q * s
        else:
            c, d, e, f = p * r, p * s, q * r, q * s
            least, largest = min(min(c, d), min(e, f)), max(max(c, d), max(e, f))
        low += least
        high += largest
        size += max(-least, largest)
    if terms == 0:
        return 0.0, 0.0
    if not size < np.inf:
        return -np.inf, np.inf
    slack = (terms + 1) * HALF_UNIT * size + terms * TINY
    return low - slack, high + slack


@kernel()
def _finite(a):
    finite = True
    for k in range(len(a)):
        finite &= abs(a[k, 0]) < np.inf and abs(a[k, 1]) < np.inf
    return finite


@kernel()
def _along(a):
    """Return i a_i."""
    along = np.zeros((len(a), 2))
    for i in range(1, len(a)):
        along[i, 0], along[i, 1] = _times(_row(a, i), (float(i), float(i)))
    return along


@kernel()
def add(a: Floats2, b: Floats2, out: Floats2):
    """Write a sum to `out`."""
    for k in range(len(a)):
        out[k, 0], out[k, 1] = _plus(_row(a, k), _row(b, k))
    return _finite(out)


@kernel()
def scale(a: Floats2, factor: F8, out: Floats2):
    """Write a multiple to `out`."""
    for k in range(len(a)):
        out[k, 0], out[k, 1] = _times(_row(a, k), (factor, factor))
    return _finite(out)


@kernel()
def multiply(a: Floats2, b: Floats2, out: Floats2):
    """Write a product to `out`."""
    for k in range(len(a)):
        out[k, 0], out[k, 1] = _dot(a, 0, b, k, k + 1)
    return _finite(out)


@kernel()
def divide(a: Floats2, b: Floats2, out: Floats2):
    """Write a quotient to `out`; the divisor may not hold zero at first."""
    if b[0, 0] <= 0.0 <= b[0, 1]:
        return False
    inverse = _widened(1.0 / b[0, 1], 1.0 / b[0, 0])
    for k in range(len(a)):
        rest = _dot(b, 1, out, k - 1, k)
        out[k, 0], out[k, 1] = _times(_plus(_row(a, k), (-rest[1], -rest[0])), inverse)
    return _finite(out)


@kernel()
def exponential(a: Floats2, out: Floats2):
    """Write exp a to `out` after its first coefficient."""
    along = _along(a)
    for k in range(1, len(a)):
        out[k, 0], out[k, 1] = _over(_dot(along, 1, out, k - 1, k), k)
    return _finite(out)


@kernel()
def logarithm(a: Floats2, out: Floats2):
    """Write ln a to `out` after its first coefficient; a is positive at first."""
    inverse = _widened(1.0 / a[0, 1], 1.0 / a[0, 0])
    along = np.zeros_like(out)
    for k in range(1, len(a)):
        rest = _over(_dot(along, 1, a, k - 1, k - 1), k)
        out[k, 0], out[k, 1] = _times(_plus(_row(a, k), (-rest[1], -rest[0])), inverse)
        along[k, 0], along[k, 1] = _times(_row(out, k), (float(k), float(k)))
    return _finite(out)


@kernel()
def power(a: Floats2, exponent: F8, out: Floats2):
    """Write a power to `out` after its first coefficient; a is positive at first.

    Factors r i - (k - i) are off by the rounding of r i, which does not shrink where they cancel.
    """
    inverse = _widened(1.0 / a[0, 1], 1.0 / a[0, 0])
    terms = np.zeros_like(out)
    for k in range(1, len(a)):
        for i in range(1, k + 1):
            factor = exponent * i - (k - i)
            off = HALF_UNIT * (abs(exponent) * i + abs(factor))
            terms[i, 0], terms[i, 1] = _times(_row(a, i), (factor - off, factor + off))
        rest = _over(_dot(terms, 1, out, k - 1, k), k)
        out[k, 0], out[k, 1] = _times(rest, inverse)
    return _finite(out)


@kernel()
def sine_and_cosine(a: Floats2, cosine: Floats2, sine: Floats2):
    """Write sin a and cos a after their first coefficients."""
    along = _along(a)
    for k in range(1, len(a)):
        sine[k, 0], sine[k, 1] = _over(_dot(along, 1, cosine, k - 1, k), k)
        fall = _over(_dot(along, 1, sine, k - 1, k), k)
        cosine[k, 0], cosine[k, 1] = -fall[1], -fall[0]
    return _finite(sine) and _finite(cosine)


@kernel()
def hyperbolic_tangent(a: Floats2, out: Floats2):
    """Write tanh a to `out` after its first coefficient; its slope is ``1 - tanh²``, between 0 and 1."""
    along, slope = _along(a), np.zeros_like(out)
    square = _dot(out, 0, out, 0, 1)
    first = _plus((1.0, 1.0), (-square[1], -square[0]))
    slope[0, 0], slope[0, 1] = max(first[0], 0.0), min(max(first[1], 0.0), 1.0)
    for k in range(1, len(a)):
        out[k, 0], out[k, 1] = _over(_dot(along, 1, slope, k - 1, k), k)
        square = _dot(out, 0, out, k, k + 1)
        slope[k, 0], slope[k, 1] = -square[1], -square[0]
    return _finite(out)
