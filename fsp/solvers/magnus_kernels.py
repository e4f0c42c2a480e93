"""Compiled kernels of `Magnus`: the forcing, its residual, and norms of a basis."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, Floats2, Floats3, kernel
from fsp.generator.kernels import REORDERED
from fsp.solvers.kernels import BLOCK, add_rows


@kernel(fastmath=REORDERED)
def force(W: Floats2, J: Floats2, scale: F8, n: I8, v: Floats, u: Floats, w: Floats):
    """Add the forcing ``scale W x`` to the states ``w[:n]`` of an augmented vector, write ``J x``.

    x follows the states of v.

    Returns the dot products of w with v, u and w.
    """
    p = len(J)
    for k in range(p):
        total = 0.0
        for i in range(p):
            total += J[k, i] * v[n + i]
        w[n + k] = total
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    x = scale * v[n:]
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        add_rows(W, x, start, end, w, start)
        for i in range(np.uint64(start), np.uint64(end)):
            dot_v += w[i] * v[i]
            dot_u += w[i] * u[i]
            dot_w += w[i] * w[i]
    for i in range(n, n + p):
        dot_v += w[i] * v[i]
        dot_u += w[i] * u[i]
        dot_w += w[i] * w[i]
    return dot_v, dot_u, dot_w


@kernel(fastmath=REORDERED)
def add_mixed(V: Floats2, coefficients: Floats2, out: Floats2):
    """Add ``Σ_j coefficients[i, j] V[j]`` to out[i], for all i in one pass over V."""
    n = out.shape[1]
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        for i in range(len(out)):
            add_rows(V, coefficients[i], start, end, out[i], start)


@kernel(fastmath=REORDERED)
def residual_norms(changes: Floats3, theta: Floats2, W: Floats2, modes: Floats2, norms: Floats):
    """Write ``‖Σ_l theta[l, i] changes[l, i] - Σ_k modes[i, k] W[k]‖₁`` to norms[i]."""
    n_parts, count, n = len(theta), len(norms), changes.shape[2]
    residual = np.empty(BLOCK)
    norms[:] = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        for i in range(count):
            residual[:] = 0.0
            for part in range(n_parts):
                add_rows(changes[part, i : i + 1], theta[part, i : i + 1], start, end, residual, 0)
            add_rows(W, -modes[i], start, end, residual, 0)
            total = 0.0
            for x in range(np.uint64(end - start)):
                total += abs(residual[x])
            norms[i] += total


@kernel(fastmath=REORDERED)
def weighted_norms(V: Floats2, n: I8, weights: Floats2, norms: Floats2):
    """Write ``Σ_x |V[j, x]|`` to norms[0, j] and ``Σ_x weights[l, x] |V[j, x]|`` to norms[l + 1, j], over x < n."""
    length = np.uint64(n)
    for j in range(len(V)):
        row, total = V[j], 0.0
        for x in range(length):
            total += abs(row[x])
        norms[0, j] = total
        for c in range(len(weights)):
            weight, total = weights[c], 0.0
            for x in range(length):
                total += weight[x] * abs(row[x])
            norms[c + 1, j] = total
