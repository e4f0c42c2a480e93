"""Compiled loops over states for the stages of collocation steps.

Blocks are (n, s, m): state, stage or place in time, vector.  A generator that depends on time is CSR with the entries
of each place in time, (nnz, s).  Where there is one vector, loops run over stages or systems, else over vectors.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import Floats2, Floats3, Indices, Ints, kernel


@kernel()
def _product(indptr, indices, entries, u, x, out):
    """Write row x of the product with a block to `out`, (s, m)."""
    n_places, m = out.shape
    out[:, :] = 0.0
    for e in range(indptr[x], indptr[x + 1]):
        y = indices[e]
        if m == 1:
            for i in range(n_places):
                out[i, 0] += entries[e, i] * u[y, i, 0]
        else:
            for i in range(n_places):
                rate = entries[e, i]
                if rate != 0.0:
                    for k in range(m):
                        out[i, k] += rate * u[y, i, k]


@kernel()
def _combined(table, rows, out):
    """Add a table (r, s), given as its transpose, times rows (s, m) to `out`, (r, m)."""
    m = rows.shape[1]
    if m == 1:
        for j in range(len(rows)):
            value = rows[j, 0]
            for i in range(len(out)):
                out[i, 0] += table[j, i] * value
    else:
        for i in range(len(out)):
            for j in range(len(rows)):
                factor = table[j, i]
                for k in range(m):
                    out[i, k] += factor * rows[j, k]


@kernel()
def _take_off(c, d, u, v, real, other):
    """Take complex factors c + i d, (s',), times u + i v, (s', m), off."""
    n_systems, m = u.shape
    for q in range(n_systems):
        e, f = c[q], d[q]
        if e != 0.0 or f != 0.0:
            for k in range(m):
                real[q, k] -= e * u[q, k] - f * v[q, k]
                other[q, k] -= e * v[q, k] + f * u[q, k]


@kernel(fastmath={"contract"})
def defects(
    indptr: Indices,
    indices: Indices,
    entries: Floats2,
    z: Floats2,
    values: Floats3,
    forced: Floats3,
    weights: Floats2,
    inverse: Floats2,
    defect: Floats3,
    sizes: Floats2,
):
    """Write ``z + weights (A U + F) - U`` to `defect`, and moduli of that in slopes, summed over states, to `sizes`.

    `weights` and `inverse` are the transposes of h times the Butcher matrix, and of the inverse of that matrix.
    """
    n, s, m = values.shape
    slopes, rest = np.empty((s, m)), np.empty((s, m))
    sizes[:, :] = 0.0
    for x in range(n):
        _product(indptr, indices, entries, values, x, slopes)
        if len(forced):
            for i in range(s):
                for k in range(m):
                    slopes[i, k] += forced[x, i, k]
        own = defect[x]
        for i in range(s):
            for k in range(m):
                own[i, k] = z[x, k] - values[x, i, k]
        _combined(weights, slopes, own)
        rest[:, :] = 0.0
        _combined(inverse, own, rest)
        for i in range(s):
            for k in range(m):
                sizes[i, k] += abs(rest[i, k])


@kernel(fastmath={"contract"})
def correct(
    defect: Floats3,
    forward: Floats3,
    bands: Floats3,
    imaginary: Floats3,
    order: Ints,
    back: Floats3,
    real: Floats3,
    other: Floats3,
    values: Floats3,
):
    """Add to stages what corrects a defect.

    `forward` (2, s, s') and `back` (2, s', s), the real and imaginary parts of tables that are transposed, lead to the
    coordinates in which systems are apart, and from them; `bands` and `imaginary` (n, 2b + 1, s') hold their factors,
    see `fsp.solvers.band_kernels`; `real` and `other` (n, s', m) are room.
    """
    n, s, m = values.shape
    change = np.empty((s, m))
    n_systems, b = bands.shape[2], bands.shape[1] // 2
    for i in range(n):
        x = order[i]
        real[i] = 0.0
        other[i] = 0.0
        _combined(forward[0], defect[x], real[i])
        _combined(forward[1], defect[x], other[i])
        for k in range(max(0, b - i), b):
            _take_off(bands[i, k], imaginary[i, k], real[i + k - b], other[i + k - b], real[i], other[i])
    for j in range(n):
        i = n - 1 - j
        x = order[i]
        for k in range(b + 1, min(2 * b, b + n - 1 - i) + 1):
            _take_off(bands[i, k], imaginary[i, k], real[i + k - b], other[i + k - b], real[i], other[i])
        for q in range(n_systems):
            c, d = bands[i, b, q], imaginary[i, b, q]
            for k in range(m):
                u, v = real[i, q, k], other[i, q, k]
                real[i, q, k] = c * u - d * v
                other[i, q, k] = c * v + d * u
        change[:, :] = 0.0
        _combined(back[0], real[i], change)
        _combined(back[1], other[i], change)
        for p in range(s):  # added at once: stages that hardly differ from the start are as exact as they can be
            for k in range(m):
                values[x, p, k] += change[p, k]


@kernel(fastmath={"contract"})
def correct_one(
    defect: Floats2,
    forward: Floats3,
    bands: Floats3,
    imaginary: Floats3,
    order: Ints,
    back: Floats3,
    real: Floats2,
    other: Floats2,
    values: Floats2,
):
    """Do as `correct` for one vector: blocks are (n, s) and (n, s')."""
    n, s = values.shape
    n_systems, b = bands.shape[2], bands.shape[1] // 2
    change, c, d = np.empty(s), np.empty(n_systems), np.empty(n_systems)
    for i in range(n):
        x = order[i]
        c[:] = 0.0
        d[:] = 0.0
        for j in range(s):
            size = defect[x, j]
            for q in range(n_systems):
                c[q] += forward[0, j, q] * size
                d[q] += forward[1, j, q] * size
        for k in range(max(0, b - i), b):
            y = i + k - b
            for q in range(n_systems):
                c[q] -= bands[i, k, q] * real[y, q] - imaginary[i, k, q] * other[y, q]
                d[q] -= bands[i, k, q] * other[y, q] + imaginary[i, k, q] * real[y, q]
        for q in range(n_systems):
            real[i, q], other[i, q] = c[q], d[q]
    for j in range(n):
        i = n - 1 - j
        x = order[i]
        for q in range(n_systems):
            c[q], d[q] = real[i, q], other[i, q]
        for k in range(b + 1, min(2 * b, b + n - 1 - i) + 1):
            y = i + k - b
            for q in range(n_systems):
                c[q] -= bands[i, k, q] * real[y, q] - imaginary[i, k, q] * other[y, q]
                d[q] -= bands[i, k, q] * other[y, q] + imaginary[i, k, q] * real[y, q]
        change[:] = 0.0
        for q in range(n_systems):
            u = bands[i, b, q] * c[q] - imaginary[i, b, q] * d[q]
            v = bands[i, b, q] * d[q] + imaginary[i, b, q] * c[q]
            real[i, q] = u
            other[i, q] = v
            for p in range(s):
                change[p] += back[0, q, p] * u + back[1, q, p] * v
        for p in range(s):
            values[x, p] += change[p]


@kernel(fastmath={"contract"})
def rests(
    indptr: Indices,
    indices: Indices,
    entries: Floats2,
    z: Floats2,
    values: Floats3,
    forced: Floats3,
    at: Floats2,
    slope: Floats2,
    off: Floats2,
    u: Floats3,
    rest: Floats2,
    sizes: Floats3,
):
    """Write the residuals of p (n, N), and sums over states (3, N, m): of all residuals, and of |u| times `off` (2, n).

    `at` and `slope` (s, N) are transposed tables of what stages rise by; `u` (n, N, m) is the path.
    """
    n, s, m = values.shape
    n_places = u.shape[1]
    rise, flow, steep = np.empty((s, m)), np.empty((n_places, m)), np.empty((n_places, m))
    sizes[:, :, :] = 0.0
    for x in range(n):
        for i in range(s):
            for k in range(m):
                rise[i, k] = values[x, i, k] - z[x, k]
        steep[:, :] = 0.0
        _combined(at, rise, steep)
        for i in range(n_places):
            for k in range(m):
                u[x, i, k] = z[x, k] + steep[i, k]
                size = abs(u[x, i, k])
                sizes[1, i, k] += off[0, x] * size
                sizes[2, i, k] += off[1, x] * size
    for x in range(n):
        for i in range(s):
            for k in range(m):
                rise[i, k] = values[x, i, k] - z[x, k]
        steep[:, :] = 0.0
        _combined(slope, rise, steep)
        _product(indptr, indices, entries, u, x, flow)
        for i in range(n_places):
            rest[x, i] = steep[i, 0] - flow[i, 0]
            sizes[0, i, 0] += abs(rest[x, i])
            for k in range(1, m):
                sizes[0, i, k] += abs(steep[i, k] - flow[i, k] - forced[x, i, k - 1])
