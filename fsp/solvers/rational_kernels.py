"""Compiled kernel of `Rational`: the residual of a solve."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, Floats, Int32s, Ints, kernel
from fsp.generator.kernels import REORDERED


@kernel(fastmath=REORDERED)
def residual(
    indptr: Ints,
    indices: Int32s,
    values: Floats,
    sink_indptr: Ints,
    sink_indices: Int32s,
    sink_values: Floats,
    exit_rates: Floats,
    gamma: F8,
    v: Floats,
    w: Floats,
):
    """Complete the solution w of ``(I - γA) w = v``, whose states are given, by its sinks; measure it.

    The generator (n, n) and the rates into the sinks are CSR arrays.  Returns ``‖v - (I - γA) w‖₁``, and the sum of the
    terms of ``(I - γA) w`` in absolute value, which is what rounds.
    """
    n = len(indptr) - 1
    left, terms = 0.0, 0.0
    for i in range(n):
        image = 0.0
        for k in range(np.uint64(indptr[i]), np.uint64(indptr[i + 1])):
            image += values[k] * w[np.uint64(indices[k])]
        left += abs(v[i] - (w[i] - gamma * image))
        terms += abs(w[i]) * (1.0 + 2.0 * gamma * exit_rates[i])
    for i in range(len(sink_indptr) - 1):
        image = 0.0
        for k in range(sink_indptr[i], sink_indptr[i + 1]):
            image += sink_values[k] * w[sink_indices[k]]
        w[n + i] = v[n + i] + gamma * image
        left += abs(v[n + i] - (w[n + i] - gamma * image))
        terms += abs(w[n + i])
    return left, terms
