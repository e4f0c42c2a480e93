"""Compiled kernels of the assembled form: CSR arrays of the closed chain, with the sinks as its last rows."""

from __future__ import annotations

import numpy as np
from numba import njit

from fsp.generator.kernels import DOTS, PRODUCT, STEP


@njit(cache=True, inline="always")
def _row(indptr, indices, values, i, v):
    total = 0.0
    # Unsigned: indices need no check for negative ones.
    for e in range(np.uint64(indptr[i]), np.uint64(indptr[i + np.uint64(1)])):
        total += values[e] * v[np.uint64(indices[e])]
    return total


@njit(cache=True, nogil=True)
def product_rows(indptr, indices, values, first, end, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
    """Compute ``A v`` for the rows first..end, and what a form makes of it: see `fsp.generator.kernels.product`."""
    x, y, z = 0.0, 0.0, 0.0
    if form == PRODUCT:
        for i in range(np.uint64(first), np.uint64(end)):
            w[i] = _row(indptr, indices, values, i, v)
    elif form == STEP:
        for i in range(np.uint64(first), np.uint64(end)):
            difference = alpha * _row(indptr, indices, values, i, v)
            w[i] = v[i] + difference
            x += abs(difference)
        if weight_v != 0.0:
            for i in range(np.uint64(first), np.uint64(end)):
                total[i] += weight_v * v[i]
    elif form == DOTS:
        for i in range(np.uint64(first), np.uint64(end)):
            image = _row(indptr, indices, values, i, v)
            w[i] = image
            x += image * v[i]
            y += image * u[i]
            z += image * image
    else:
        for i in range(np.uint64(first), np.uint64(end)):
            following = alpha * _row(indptr, indices, values, i, v) + beta * v[i] + gamma * w[i]
            w[i] = following
            x += abs(following)
        if weight_v != 0.0 or weight_w != 0.0:
            for i in range(np.uint64(first), np.uint64(end)):
                total[i] += weight_v * v[i] + weight_w * w[i]
    return x, y, z


@njit(cache=True)
def product_sinks(indptr, states, rates, v, out):
    """Write the flow into each sink to `out`."""
    for k in range(len(out)):
        flow = 0.0
        for e in range(indptr[k], indptr[k + 1]):
            flow += rates[e] * v[states[e]]
        out[k] = flow
