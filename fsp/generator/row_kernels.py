"""Compiled kernels of the assembled form: CSR arrays of the closed chain, with the sinks as its last rows."""

from __future__ import annotations

from numba import njit

from fsp.generator.kernels import DOTS, PRODUCT, REORDERED, STEP


@njit(cache=True, nogil=True, fastmath=REORDERED)
def product_rows(indptr, indices, values, first, end, form, v, u, w, total, alpha, beta, gamma, weight_v, weight_w):
    """Compute ``A v`` for the rows first..end, and what a form makes of it: see `fsp.generator.kernels.product`."""
    x, y, z = 0.0, 0.0, 0.0
    for i in range(first, end):
        image = 0.0
        for e in range(indptr[i], indptr[i + 1]):
            image += values[e] * v[indices[e]]
        if form == PRODUCT:
            w[i] = image
        elif form == STEP:
            difference = alpha * image
            w[i] = v[i] + difference
            x += abs(difference)
            total[i] += weight_v * v[i]
        elif form == DOTS:
            w[i] = image
            x += image * v[i]
            y += image * u[i]
            z += image * image
        else:
            following = alpha * image + beta * v[i] + gamma * w[i]
            w[i] = following
            x += abs(following)
            total[i] += weight_v * v[i] + weight_w * following
    return x, y, z


@njit(cache=True)
def product_sinks(indptr, states, rates, v, out):
    """Write the flow into each sink to `out`."""
    for k in range(len(out)):
        flow = 0.0
        for e in range(indptr[k], indptr[k + 1]):
            flow += rates[e] * v[states[e]]
        out[k] = flow
