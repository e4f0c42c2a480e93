"""Compiled kernels of the integrators: products of the closed chain fused with what each method does to them."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from fsp.compilation import njit
from fsp.generator.closed_kernels import multiply
from fsp.generator.kernels import DOTS, RECURRENCE, REORDERED, STEP

CLOSED = 1e-14  # of the norm of a vector: of what is left of it, rounding may be all
NARROW = 1e-140  # 2-norm whose square may underflow: the 1-norm takes its place
FEW_ROWS = 8  # of a basis that a vector is made orthogonal to in one round
BLOCK = 2048  # entries that stay in the nearest cache while vectors are combined


@njit(cache=True)
def weighted_powers(A, scale, v, w, total, weights, first, mean, k_end, steady, settled):
    """Accumulate ``Σ_k weight_k Pᵏ v`` with ``P = I + scale A`` up to power `k_end`.

    weights[j] belongs to power first + j.  The powers are written to w and v in turn.  Stops where they have
    settled: the rest of the sum differs from (rest of the weights) * v by at most
    ``‖Pv - v‖₁ Σ_{j>k} (j - k) weight_j <= steady``, as P does not expand the 1-norm; `settled` holds the sums of the
    weights above each power and of their first moments, (2, len(weights)).  Returns the power reached and the 1-norm of
    the last difference.
    """
    change = np.inf
    for k in range(k_end):
        weight = weights[k - first] if k >= first else 0.0
        change = multiply(A, STEP, v, v, w, total, scale, 0.0, 0.0, weight, 0.0)[0]
        v, w = w, v
        if change * moment_above(settled, first, mean, k) <= steady:
            return k + 1, change
    return k_end, change


@njit(cache=True)
def chebyshev(A, scale, v, w, total, weights, hit, x, tol, largest_spread, norms):
    """Continue ``φ_{k+1} = 2 P φ_k - φ_{k-1}`` from φ_1 in v and φ_0 in w until the expansion meets `tol`.

    Adds ``weights[k] φ_k`` to the total, but for the last where m is even, and writes the 1-norms; stops as well where
    the terms are too large, or at the last weight.  Returns the degree.
    """
    m = 1
    while m + 1 < len(weights):
        error, spread = chebyshev_error(weights, hit, x, norms, m)
        if error <= tol or not spread <= largest_spread * norms[0]:
            break
        # Two terms at once, every other time: `total` is then read and written half as often.
        a, b = (weights[m], weights[m + 1]) if m % 2 == 0 else (0.0, 0.0)
        norms[m + 1] = multiply(A, RECURRENCE, v, v, w, total, 2.0 * scale, 2.0, -1.0, a, b)[0]
        v, w = w, v
        m += 1
    return m


@njit(cache=True)
def chebyshev_error(weights, hit, x, norms, m):
    """Return a bound on the error of the expansion up to degree m - 1 or m, and the sum of the terms' 1-norms."""
    spread = 0.0
    for k in range(m + 1):
        spread += weights[k] * norms[k]
    return x * (hit[m] * norms[m - 1] + hit[m - 1] * norms[m]) + weights[m] * norms[m], spread


@njit(cache=True)
def add_scaled(total, factor, v):
    """Add ``factor v`` to the total."""
    for i in range(len(total)):
        total[i] += factor * v[i]


@njit(cache=True)
def clip(z):
    """Set negative entries to zero, return the sum cut off."""
    cut = 0.0
    for i in range(len(z)):
        if z[i] < 0.0:
            cut -= z[i]
            z[i] = 0.0
    return cut


@njit(cache=True)
def moment_above(settled, first, mean, k):
    """Return ``Σ_{j>k} (j - k) weight_j``."""
    return settled[1, k - first] if k >= first else mean - k


@njit(cache=True, fastmath=REORDERED, inline="always")
def add_rows(V, coefficients, first, end, out, at):
    """Add ``Σ_k coefficients[k] V[k, first:end]`` to ``out[at:]``.

    Four rows at a time, as each look at `out` costs as much as a row; unsigned indices need no check for being
    negative, which would keep the loops from vector registers.
    """
    n, m = np.uint64(end - first), len(coefficients)
    place, start = np.uint64(at), np.uint64(first)
    k = 0
    while k + 4 <= m:
        a, b, c, d = coefficients[k], coefficients[k + 1], coefficients[k + 2], coefficients[k + 3]
        p, q, r, s = V[k], V[k + 1], V[k + 2], V[k + 3]
        for i in range(n):
            x = start + i
            out[place + i] += a * p[x] + b * q[x] + c * r[x] + d * s[x]
        k += 4
    while k < m:
        a, p = coefficients[k], V[k]
        for i in range(n):
            out[place + i] += a * p[start + i]
        k += 1


@njit(cache=True, fastmath=REORDERED, forceinline=True)
def _subtract(w, a, v, b, u):
    """Write ``w -= a v + b u``; return the squared 2-norm of w."""
    square = 0.0
    for i in range(len(w)):
        w[i] -= a * v[i] + b * u[i]
        square += w[i] * w[i]
    return square


@njit(cache=True, fastmath=REORDERED, forceinline=True)
def _subtract_and_dot(V, first, last, w, a, v, b, u):
    """Write ``w -= a v + b u``; return the dot products of w with the rows first..last of V, (last,)."""
    n = len(w)
    coefficients = np.zeros(last)
    for start in range(0, n, BLOCK):
        begin, end = np.uint64(start), np.uint64(min(n, start + BLOCK))
        for i in range(begin, end):
            w[i] -= a * v[i] + b * u[i]
        for k in range(first, last):
            row, total = V[k], 0.0
            for i in range(begin, end):
                total += row[i] * w[i]
            coefficients[k] += total
    return coefficients


@njit(cache=True, fastmath=REORDERED, forceinline=True)
def _take_out(V, first, last, w, coefficients):
    """Subtract multiples of the rows first..last of V from w; return the squared 2-norm of w."""
    n = len(w)
    square = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        add_rows(V[first:last], -coefficients[first:last], start, end, w, start)
        for i in range(np.uint64(start), np.uint64(end)):
            square += w[i] * w[i]
    return square


@njit(cache=True)
def arnoldi(A, V, H, depth, first, size):
    """Extend the Krylov basis from `first` to `size` vectors, each orthogonalised against the last `depth` >= 2.

    Rows of V (size + 1, n); H (size + 1, size) holds ``A V_m = V_m H_m + h v_{m+1} e_mᵀ``, exact for any depth.
    Neighbouring vectors are orthogonal, so the last two are projected out at once.  Returns the number of
    vectors, smaller than `size` where what is left of the last one may be rounding: v_{m+1} stands for it all the same.
    """
    nothing = np.zeros(V.shape[1])
    for j in range(first, size):
        before_last = V[j - 1] if j > 0 else nothing
        w = V[j + 1]
        dots = multiply(A, DOTS, V[j], before_last, w, w, 0.0, 0.0, 0.0, 0.0, 0.0)
        if not orthogonalise(V, H, j, depth, dots, nothing, None):
            return j + 1
    return size


def added(value, operator):
    """Return the sum over the ranks of an operator."""
    return operator.added(value)


@overload(added)
def _of_one_process(value, operator):
    """Compiled, there is one process; what is spread over ranks is orthogonalised by the same code, interpreted."""
    return lambda value, operator: value


@njit(cache=True, nogil=True, forceinline=True)
def orthogonalise(V, H, j, depth, dots, nothing, operator):
    """Turn V[j + 1] = A V[j] into the next basis vector, column j of H; return whether more than rounding is left.

    Whatever is left stays in the relation that H stands for: nothing is set to zero.

    The coefficients of vectors before the last two are found together, before any is subtracted: two passes, however
    many there are.
    """
    w = V[j + 1]
    before_last = V[j - 1] if j > 0 else nothing
    a, b, before = dots
    first, last = max(0, j - depth + 1), j - 1
    if first < last:
        coefficients = added(_subtract_and_dot(V, first, last, w, a, V[j], b, before_last), operator)
        square = added(_take_out(V, first, last, w, coefficients), operator)
        for k in range(first, last):
            H[k, j] = coefficients[k]
    else:
        square = added(_subtract(w, a, V[j], b, before_last), operator)
    H[j, j] = a
    if j > 0:
        H[j - 1, j] = b
    if last - first > FEW_ROWS:  # together they are not found as exactly as one after the other
        coefficients = added(_subtract_and_dot(V, first, j + 1, w, 0.0, V[j], 0.0, before_last), operator)
        square = added(_take_out(V, first, j + 1, w, coefficients), operator)
        for k in range(first, j + 1):
            H[k, j] += coefficients[k]
    norm = np.sqrt(square)
    if norm > NARROW:
        w *= 1.0 / norm
    else:
        norm = added(np.abs(w).sum(), operator)
        if norm > 0.0:
            w /= norm
    H[j + 1, j] = norm
    return norm > CLOSED * np.sqrt(before)


def next_vector(operator, V, H, j, depth, dots, nothing):
    """Do what `orthogonalise` does for vectors of an operator, which may be spread over ranks."""
    if operator.is_spread:
        return orthogonalise.py_func(V, H, j, depth, dots, nothing, operator)
    return orthogonalise(V, H, j, depth, dots, nothing, None)


@njit(cache=True, fastmath=REORDERED, inline="always")
def cut_off(out, first, end):
    """Set negative entries of ``out[first:end]`` to zero, return the sum cut off."""
    cut = 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        cut -= min(out[i], 0.0)
        out[i] = max(out[i], 0.0)
    return cut


@njit(cache=True, fastmath=REORDERED)
def combine(V, coefficients, out):
    """Write ``Σ_j coefficients[j] V[j]`` into `out`, set negative entries to zero, return the sum cut off."""
    n = len(out)
    cut = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        out[start:end] = 0.0
        add_rows(V, coefficients, start, end, out, start)
        cut += cut_off(out, start, end)
    return cut


@njit(cache=True, fastmath=REORDERED)
def combine_both(V, coefficients, out, others, other):
    """Do what `combine` does for two sums at once, since V is long; return what was cut off the first."""
    n = len(out)
    cut = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        out[start:end] = 0.0
        add_rows(V, coefficients, start, end, out, start)
        other[start:end] = 0.0
        add_rows(V, others, start, end, other, start)
        cut += cut_off(out, start, end)
        cut_off(other, start, end)
    return cut


@njit(cache=True, fastmath=REORDERED)
def one_norms(V, first, end, norms):
    """Write the 1-norms of the rows first..end of V into `norms`."""
    n = np.uint64(V.shape[1])
    for j in range(first, end):
        row, total = V[j], 0.0
        for i in range(n):
            total += abs(row[i])
        norms[j] = total
