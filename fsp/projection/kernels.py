"""Compiled kernel of the GTH elimination."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def eliminate(rates):
    """GTH: reduce the states from the last to the first, then substitute back; rates[i, j] from j to i."""
    n = len(rates)
    for k in range(n - 1, 0, -1):
        out = 0.0
        for i in range(k):
            out += rates[i, k]
        for j in range(k):
            share = rates[k, j] / out
            rates[k, j] = share
            if share > 0.0:
                for i in range(k):
                    rates[i, j] += rates[i, k] * share
    p = np.zeros(n)
    p[0] = 1.0
    for k in range(1, n):
        for j in range(k):
            p[k] += rates[k, j] * p[j]
        if p[k] > 1e100:
            p[: k + 1] /= p[k]
    return p
