"""Compiled kernels of the integrators: products of the closed chain fused with what each method does to them."""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, Floats2, Int32s, Ints, Sums, kernel
from fsp.generator.closed_kernels import multiply
from fsp.generator.kernels import DOTS, RECURRENCE, REORDERED, STEP, Slices

CLOSED = 1e-14  # of the norm of a vector: of what is left of it, rounding may be all
NARROW = 1e-140  # 2-norm whose square may underflow: the 1-norm takes its place
SURE = 1e-2  # of the square of a vector: what is left of it is known from dot products to twelve digits
FEW_ROWS = 8  # of a basis that a vector is made orthogonal to in one round
BLOCK = 2048  # entries that stay in the nearest cache while vectors are combined


@kernel()
def moment_above(settled: Floats2, first: I8, mean: F8, k: I8):
    """Return ``Σ_{j>k} (j - k) weight_j``."""
    return settled[1, k - first] if k >= first else mean - k


@kernel()
def weighted_powers(
    A: Slices,
    scale: F8,
    v: Floats,
    w: Floats,
    total: Floats,
    weights: Floats,
    first: I8,
    mean: F8,
    k_end: I8,
    steady: F8,
    settled: Floats2,
):
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


@kernel()
def horner(indptr: Ints, indices: Int32s, data: Floats, weights: Floats, first: I8, Z: Floats2):
    """Return ``Σ_k weights[k] P^(first + k) Z`` for a CSR matrix P (N, N) and few columns Z (N, m), by Horner."""
    total = weights[-1] * Z
    product = np.empty_like(total)
    for k in range(len(weights) - 2, -first - 1, -1):
        for i in range(len(Z)):
            row = product[i]
            row[:] = 0.0
            for entry in range(indptr[i], indptr[i + 1]):
                value, source = data[entry], total[indices[entry]]
                for j in range(len(row)):
                    row[j] += value * source[j]
            if k >= 0:
                for j in range(len(row)):
                    row[j] += weights[k] * Z[i, j]
        total, product = product, total
    return total


@kernel()
def chebyshev_error(weights: Floats, hit: Floats, x: F8, norms: Floats, m: I8):
    """Return a bound on the error of the expansion up to degree m - 1 or m, and the sum of the terms' 1-norms."""
    spread = 0.0
    for k in range(m + 1):
        spread += weights[k] * norms[k]
    return x * (hit[m] * norms[m - 1] + hit[m - 1] * norms[m]) + weights[m] * norms[m], spread


@kernel()
def chebyshev(
    A: Slices,
    scale: F8,
    v: Floats,
    w: Floats,
    total: Floats,
    weights: Floats,
    hit: Floats,
    x: F8,
    tol: F8,
    largest_spread: F8,
    norms: Floats,
):
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


@kernel()
def add_scaled(total: Floats, factor: F8, v: Floats):
    """Add ``factor v`` to the total."""
    for i in range(len(total)):
        total[i] += factor * v[i]


@kernel()
def clip(z: Floats):
    """Set negative entries to zero, return the sum cut off."""
    cut = 0.0
    for i in range(len(z)):
        if z[i] < 0.0:
            cut -= z[i]
            z[i] = 0.0
    return cut


@kernel(fastmath=REORDERED, inline="always")
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


@kernel(fastmath=REORDERED)
def _subtract(w: Floats, a: F8, v: Floats, b: F8, u: Floats):
    """Write ``w -= a v + b u``; return the squared 2-norm of w."""
    square = 0.0
    for i in range(len(w)):
        w[i] -= a * v[i] + b * u[i]
        square += w[i] * w[i]
    return square


@kernel(fastmath=REORDERED)
def _subtract_scaled(w: Floats, a: F8, v: Floats, b: F8, u: Floats, scale: F8):
    """Write ``w = scale (w - a v - b u)``; return the squared 2-norm of w."""
    square = 0.0
    for i in range(len(w)):
        w[i] = scale * (w[i] - (a * v[i] + b * u[i]))
        square += w[i] * w[i]
    return square


@kernel(fastmath=REORDERED)
def _subtract_and_dot(V: Floats2, first: I8, last: I8, w: Floats, a: F8, v: Floats, b: F8, u: Floats):
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


@kernel(fastmath=REORDERED)
def _take_out(V: Floats2, first: I8, last: I8, w: Floats, coefficients: Floats):
    """Subtract multiples of the rows first..last of V from w; return the squared 2-norm of w."""
    n = len(w)
    square = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        add_rows(V[first:last], -coefficients[first:last], start, end, w, start)
        for i in range(np.uint64(start), np.uint64(end)):
            square += w[i] * w[i]
    return square


@kernel(inline="always")
def of_one_process(value):
    """Return what others would add to: compiled code runs where vectors are not spread over ranks."""
    return value


@kernel(forceinline=True)
def orthogonalise(V, H, j, depth, dots, squares, nothing, added):
    """Turn V[j + 1] = A V[j] into the next basis vector, column j of H; return whether more than rounding is left.

    Whatever is left stays in the relation that H stands for: nothing is set to zero.  Rows of V may be longer than the
    vectors, (n,) as `nothing`; `added` returns the sum over the ranks.

    The coefficients of vectors before the last two are found together, before any is subtracted: two passes, however
    many there are.  Without such vectors one pass does, as what is left of w, which two orthogonal ones are taken out
    of, has the square ``w·w - (w·v)²/v·v - (w·u)²/u·u``.  Its norm is then 1 up to what the difference cancels:
    `squares` (size + 1,) holds the squared 2-norms of the vectors, so that this does not add up.
    """
    n = len(nothing)
    v, w = V[j, :n], V[j + 1, :n]
    before_last = V[j - 1, :n] if j > 0 else nothing
    dot_v, dot_u, before = dots
    a, b = dot_v / squares[j], dot_u / squares[j - 1] if j > 0 else 0.0
    H[j, j] = a
    if j > 0:
        H[j - 1, j] = b
    first, last = max(0, j - depth + 1), j - 1
    if first < last:
        coefficients = added(_subtract_and_dot(V, first, last, w, a, v, b, before_last))
        square = added(_take_out(V, first, last, w, coefficients))
        for k in range(first, last):
            H[k, j] = coefficients[k]
    else:
        left = before - a * dot_v - b * dot_u
        if left > max(SURE * before, NARROW * NARROW):
            norm = np.sqrt(left)
            H[j + 1, j] = norm
            squares[j + 1] = added(_subtract_scaled(w, a, v, b, before_last, 1.0 / norm))
            return True
        square = added(_subtract(w, a, v, b, before_last))
    if last - first > FEW_ROWS:  # together they are not found as exactly as one after the other
        coefficients = added(_subtract_and_dot(V, first, j + 1, w, 0.0, v, 0.0, before_last))
        square = added(_take_out(V, first, j + 1, w, coefficients))
        for k in range(first, j + 1):
            H[k, j] += coefficients[k]
    norm = np.sqrt(square)
    if norm > NARROW:
        w *= 1.0 / norm
    else:
        norm = added(np.abs(w).sum())
        if norm > 0.0:
            w /= norm
    H[j + 1, j], squares[j + 1] = norm, 1.0
    return norm > CLOSED * np.sqrt(before)


@kernel(nogil=True)
def orthogonalise_here(V: Floats2, H: Floats2, j: I8, depth: I8, dots: Sums, squares: Floats, nothing: Floats):
    """Do what `orthogonalise` does where no vector is spread over ranks."""
    return orthogonalise(V, H, j, depth, dots, squares, nothing, of_one_process)


@kernel()
def arnoldi(A: Slices, V: Floats2, H: Floats2, squares: Floats, depth: I8, first: I8, size: I8):
    """Extend the Krylov basis from `first` to `size` vectors, each orthogonalised against the last `depth` >= 2.

    Rows of V (size + 1, n), whose squared 2-norms are `squares` (size + 1,); H (size + 1, size) holds
    ``A V_m = V_m H_m + h v_{m+1} e_mᵀ``, exact for any depth.  Neighbouring vectors are orthogonal, so the last two
    are projected out at once.  Returns the number of vectors, smaller than `size` where what is left of the last one
    may be rounding: v_{m+1} stands for it all the same.
    """
    nothing = np.zeros(V.shape[1])
    for j in range(first, size):
        before_last = V[j - 1] if j > 0 else nothing
        w = V[j + 1]
        dots = multiply(A, DOTS, V[j], before_last, w, w, 0.0, 0.0, 0.0, 0.0, 0.0)
        if not orthogonalise(V, H, j, depth, dots, squares, nothing, of_one_process):
            return j + 1
    return size


def next_vector(operator, V, H, j, depth, dots, squares, nothing):
    """Do what `orthogonalise` does for vectors of an operator, which may be spread over ranks."""
    if operator.is_spread:
        return orthogonalise.function(V, H, j, depth, dots, squares, nothing, operator.added)
    return orthogonalise_here(V, H, j, depth, dots, squares, nothing)


@kernel(fastmath=REORDERED, inline="always")
def cut_off(out, first, end):
    """Set negative entries of ``out[first:end]`` to zero, return the sum cut off."""
    cut = 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        cut -= min(out[i], 0.0)
        out[i] = max(out[i], 0.0)
    return cut


@kernel(fastmath=REORDERED)
def combine(V: Floats2, coefficients: Floats, out: Floats):
    """Write ``Σ_j coefficients[j] V[j]`` into `out`, set negative entries to zero, return the sum cut off."""
    n = len(out)
    cut = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        out[start:end] = 0.0
        add_rows(V, coefficients, start, end, out, start)
        cut += cut_off(out, start, end)
    return cut


@kernel(fastmath=REORDERED)
def combine_both(V: Floats2, coefficients: Floats, out: Floats, others: Floats, other: Floats):
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


@kernel(fastmath=REORDERED)
def one_norms(V: Floats2, first: I8, end: I8, norms: Floats):
    """Write the 1-norms of the rows first..end of V into `norms`."""
    n = np.uint64(V.shape[1])
    for j in range(first, end):
        row, total = V[j], 0.0
        for i in range(n):
            total += abs(row[i])
        norms[j] = total
