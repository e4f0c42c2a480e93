"""Compiled kernels for matrices whose entries lie near the diagonal.

Row i of a band of half-width b holds the columns i-b..i+b.  There is no pivoting: the matrices are dominated by their
diagonals in every column, so that elimination lets no entry grow beyond twice the largest (Higham, Accuracy and
Stability of Numerical Algorithms, 2002, theorem 9.9).
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import Ints, Numbers, Numbers2, kernel
from fsp.generator.kernels import REORDERED


@kernel(fastmath=REORDERED)
def factorise(band: Numbers2):
    """Overwrite a band (n, 2b + 1) by its factors: L below the diagonal, 1/U on it, U above."""
    n, b = len(band), band.shape[1] // 2
    for k in range(n):
        inverse = 1.0 / band[k, b]
        band[k, b] = inverse
        for i in range(k + 1, min(n, k + b + 1)):
            place = b + k - i
            factor = band[i, place]
            if factor == 0.0:
                continue
            factor *= inverse
            band[i, place] = factor
            for j in range(1, b + 1):
                band[i, place + j] -= factor * band[k, b + j]


@kernel()
def substitute(band: Numbers2, order: Ints, rhs: Numbers, padded: Numbers, x: Numbers):
    """Write the solution for a right-hand side (n,) to x.

    Row i of the band, of half-width b >= 1, is row ``order[i]`` of the system; `padded` (n + 2b,) is room for the
    vector between zeros.

    Each entry needs the one before it, so time goes by the latency from one to the next: that one comes last, from a
    register, and nothing else is reordered.  Unsigned indices are not looked at for being negative.
    """
    n, b = np.uint64(len(band)), np.uint64(band.shape[1] // 2)
    one = np.uint64(1)
    padded[:b] = 0.0
    padded[n + b :] = 0.0
    entry = 0.0
    for i in range(n):
        row = band[i]
        total = rhs[order[i]]
        for k in range(b - one):
            total -= row[k] * padded[i + k]
        entry = total - row[b - one] * entry
        padded[i + b] = entry
    entry = 0.0
    for j in range(n):
        i = n - one - j
        row = band[i]
        total = padded[i + b]
        for k in range(one + one, b + one):
            total -= row[b + k] * padded[i + b + k]
        entry = (total - row[b + one] * entry) * row[b]
        padded[i + b] = entry
        x[order[i]] = entry
