"""Compiled kernels of the assembled form: CSR arrays of the closed chain, with the sinks as its last rows."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, Indices, Ints, kernel
from fsp.generator.kernels import DOTS, PRODUCT, STEP

LONG_ROW = 16  # entries that are added in four sums, as those of sinks are, since one waits for each; chosen


@kernel(inline="always")
def _row(indptr, indices, values, i, x):
    total = 0.0
    # Unsigned: indices need no check for negative ones.
    first, end = np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])
    if end - first >= np.uint64(LONG_ROW):
        a, b, c = 0.0, 0.0, 0.0
        one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
        while first + four <= end:
            total += values[first] * x[np.uint64(indices[first])]
            a += values[first + one] * x[np.uint64(indices[first + one])]
            b += values[first + two] * x[np.uint64(indices[first + two])]
            c += values[first + three] * x[np.uint64(indices[first + three])]
            first += four
        total = (total + a) + (b + c)
    for e in range(first, end):
        total += values[e] * x[np.uint64(indices[e])]
    return total


@kernel(nogil=True)
def product_rows(
    indptr: Ints,
    indices: Indices,
    values: Floats,
    first: I8,
    end: I8,
    form: I8,
    x: Floats,
    v: Floats,
    u: Floats,
    w: Floats,
    total: Floats,
    alpha: F8,
    beta: F8,
    gamma: F8,
    weight_v: F8,
    weight_w: F8,
):
    """Compute ``A x`` for the rows first..end, and what a form makes of it: see `run_kernels.product_runs`.

    v, u, w and total begin at row 0 of the matrix: v is x itself, or, where the rows are the sinks, what follows the
    states in it.
    """
    p, q, r = 0.0, 0.0, 0.0
    if form == PRODUCT:
        for i in range(np.uint64(first), np.uint64(end)):
            w[i] = _row(indptr, indices, values, i, x)
    elif form == STEP:
        for i in range(np.uint64(first), np.uint64(end)):
            difference = alpha * _row(indptr, indices, values, i, x)
            w[i] = v[i] + difference
            p += abs(difference)
        if weight_v != 0.0:
            for i in range(np.uint64(first), np.uint64(end)):
                total[i] += weight_v * v[i]
    elif form == DOTS:
        for i in range(np.uint64(first), np.uint64(end)):
            image = _row(indptr, indices, values, i, x)
            w[i] = image
            p += image * v[i]
            q += image * u[i]
            r += image * image
    else:
        for i in range(np.uint64(first), np.uint64(end)):
            following = alpha * _row(indptr, indices, values, i, x) + beta * v[i] + gamma * w[i]
            w[i] = following
            p += abs(following)
        if weight_v != 0.0 or weight_w != 0.0:
            for i in range(np.uint64(first), np.uint64(end)):
                total[i] += weight_v * v[i] + weight_w * w[i]
    return p, q, r
