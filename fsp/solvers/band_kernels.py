"""Compiled kernels for matrices whose entries lie near the diagonal.

Row i of a band of half-width b holds the columns i-b..i+b.  There is no pivoting: the matrices are dominated by their
diagonals in every column, so that elimination lets no entry grow beyond twice the largest (Higham, Accuracy and
Stability of Numerical Algorithms, 2002, theorem 9.9).
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import Int32s, Ints, Numbers, Numbers2, kernel
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


@kernel()
def cuthill_mckee(indptr: Ints, indices: Int32s, starts: Ints, rows: Int32s, by_degree: Ints, degrees: Ints):
    """Return the order of Cuthill and McKee of a pattern (n, n), of its CSR arrays and its CSC arrays.

    After each state come its neighbours, those of few neighbours first; `by_degree` (n,) are all states in that order.
    """
    n = len(by_degree)
    order = np.empty(n, np.int64)
    seen = np.zeros(n, np.bool_)
    count = 0
    for root in by_degree:
        if seen[root]:
            continue
        seen[root] = True
        order[count] = root
        k = count
        count += 1
        while k < count:
            i = order[k]
            k += 1
            first = count
            for side in range(2):
                begin, end = (indptr[i], indptr[i + 1]) if side == 0 else (starts[i], starts[i + 1])
                for e in range(begin, end):
                    j = indices[e] if side == 0 else rows[e]
                    if seen[j]:
                        continue
                    seen[j] = True
                    place = count
                    while place > first and degrees[order[place - 1]] > degrees[j]:
                        order[place] = order[place - 1]
                        place -= 1
                    order[place] = j
                    count += 1
    return order
