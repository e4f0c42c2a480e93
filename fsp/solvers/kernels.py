"""Compiled kernels of the integrators: products of the closed chain fused with what each method does to them."""

from __future__ import annotations

import numpy as np
from numba import njit

from fsp.generator.kernels import REORDERED, add_sinks, next_batch, workspace, write_runs

LARGEST_SPREAD = 1e3  # of Σ|u_j|‖v_j‖₁ over its start: beyond, cancellation costs more digits than a step is worth
BLOCK = 2048  # entries that stay in the nearest cache while vectors are combined


@njit(cache=True, nogil=True, fastmath=REORDERED)
def weighted_powers(plan, shape, first, end, scale, v, w, total, weights, first_power, mean, k, k_end, steady, settled):
    """Accumulate ``Σ_k weight_k Pᵏ v`` with ``P = I + scale A`` from power `k` to `k_end`, for runs first..end.

    weights[j] belongs to power first_power + j.  The powers are written to w and v in turn.  Stops where they have
    settled: the rest of the sum differs from (rest of the weights) * v by at most
    ``‖Pv - v‖₁ Σ_{j>k} (j - k) weight_j <= steady``, as P does not expand the 1-norm; `settled` holds the sums of the
    weights above each power and of their first moments, (2, len(weights)).  A part of the runs can only take one power.

    Returns
    -------
    k, change
        The power reached and the 1-norm of the last difference on these runs.
    """
    starts = plan.starts
    n = starts[-1]
    work = workspace(plan)
    change = 0.0
    while k < k_end:
        weight = weights[k - first_power] if k >= first_power else 0.0
        change = 0.0
        r = first
        while r < end:
            stop = next_batch(starts, r, end)
            write_runs(plan, shape, r, stop, work, v, w, starts[r])
            change += _step_and_weigh(v, w, total, scale, weight, starts[r], starts[stop])
            r = stop
        if end == len(starts) - 1:
            add_sinks(plan.sink_starts, plan.sink_states, plan.sink_rates, v, 1.0, w[n:])
            change += _step_and_weigh(v, w, total, scale, weight, n, len(v))
        k += 1
        v, w = w, v
        if change * moment_above(settled, weights, first_power, mean, k - 1) <= steady:
            break
    return k, change


@njit(cache=True)
def moment_above(settled, weights, first_power, mean, k):
    """Return ``Σ_{j>k} (j - k) weight_j``."""
    return settled[1, k - first_power] if k >= first_power else mean - k


@njit(cache=True, fastmath=REORDERED)
def _step_and_weigh(v, w, total, scale, weight, first, end):
    """Turn ``w = A v`` into ``(I + scale A) v``, add ``weight v`` to the total, return the 1-norm of the change."""
    change = 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        difference = scale * w[i]
        w[i] = v[i] + difference
        change += abs(difference)
    if weight > 0.0:
        for i in range(np.uint64(first), np.uint64(end)):
            total[i] += weight * v[i]
    return change


@njit(cache=True, nogil=True, fastmath=REORDERED)
def product_and_dots(plan, shape, first, end, v, u, w):
    """Write ``w = A v`` on runs first..end; return the dot products of w with v, u and w there."""
    starts = plan.starts
    n = starts[-1]
    work = workspace(plan)
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    r = first
    while r < end:
        stop = next_batch(starts, r, end)
        write_runs(plan, shape, r, stop, work, v, w, starts[r])
        a, b, c = _dots(v, u, w, starts[r], starts[stop])
        dot_v, dot_u, dot_w = dot_v + a, dot_u + b, dot_w + c
        r = stop
    if end == len(starts) - 1:
        add_sinks(plan.sink_starts, plan.sink_states, plan.sink_rates, v, 1.0, w[n:])
        a, b, c = _dots(v, u, w, n, len(v))
        dot_v, dot_u, dot_w = dot_v + a, dot_u + b, dot_w + c
    return dot_v, dot_u, dot_w


@njit(cache=True, fastmath=REORDERED)
def _dots(v, u, w, first, end):
    dot_v, dot_u, dot_w = 0.0, 0.0, 0.0
    for i in range(np.uint64(first), np.uint64(end)):
        dot_v += w[i] * v[i]
        dot_u += w[i] * u[i]
        dot_w += w[i] * w[i]
    return dot_v, dot_u, dot_w


@njit(cache=True, fastmath=REORDERED)
def _subtract(w, a, v, b, u):
    """Write ``w -= a v + b u``; return the squared 2-norm of w."""
    square = 0.0
    for i in range(len(w)):
        w[i] -= a * v[i] + b * u[i]
        square += w[i] * w[i]
    return square


@njit(cache=True, fastmath=REORDERED)
def _dot(v, w):
    total = 0.0
    for i in range(len(w)):
        total += v[i] * w[i]
    return total


@njit(cache=True)
def arnoldi(plan, shape, V, H, depth, size):
    """Extend the Krylov basis from V[0] to `size` vectors, each orthogonalised against the last `depth` >= 2.

    Rows of V (size + 1, n); H (size + 1, size) holds ``A V_m = V_m H_m + h v_{m+1} e_mᵀ``, exact for any depth.
    Neighbouring vectors are orthogonal, so the last two are projected out at once.  Returns the number of
    vectors, smaller than `size` where the basis is invariant.
    """
    nothing = np.zeros(V.shape[1])
    for j in range(size):
        before_last = V[j - 1] if j > 0 else nothing
        dots = product_and_dots(plan, shape, 0, len(plan.starts) - 1, V[j], before_last, V[j + 1])
        if not orthogonalise(V, H, j, depth, dots, nothing):
            return j + 1
    return size


@njit(cache=True, nogil=True)
def orthogonalise(V, H, j, depth, dots, nothing):
    """Turn V[j + 1] = A V[j] into the next basis vector, column j of H; return whether there is one."""
    w = V[j + 1]
    before_last = V[j - 1] if j > 0 else nothing
    a, b, before = dots
    square = _subtract(w, a, V[j], b, before_last)
    H[j, j] = a
    if j > 0:
        H[j - 1, j] = b
    for previous in range(j - 2, max(-1, j - depth), -1):
        H[previous, j] = _dot(V[previous], w)
        square = _subtract(w, H[previous, j], V[previous], 0.0, nothing)
    norm = np.sqrt(square)
    if norm <= 1e-14 * np.sqrt(before) or norm == 0.0:
        H[j + 1, j] = 0.0
        return False
    H[j + 1, j] = norm
    inverse = 1.0 / norm
    for i in range(len(w)):
        w[i] *= inverse
    return True


@njit(cache=True)
def _multiply_banded(H, m, depth, x, y):
    """Write H[:m, :m] x into y: H is upper Hessenberg with `depth` diagonals on and above the main one."""
    for i in range(m):
        total = 0.0
        for j in range(max(0, i - 1), min(m, i + depth)):
            total += H[i, j] * x[j]
        y[i] = total


@njit(cache=True)
def flow(H, m, depth, horizon, norms, leak, residual_norm, error_rate, loss_offset, loss_rate):
    """Follow u(s) = exp(s H) e_1 from 0 until the error or the horizon stops it.

    The residual of the Krylov approximation is ``residual_norm * u_m(s)`` in the 1-norm; on each substep δ its
    integral is bounded by the Taylor terms, ``∫|u_m| <= Σ_k |(Hᵏ u)_m| δ^(k+1) / (k+1)!``.  The march ends
    before that integral passes ``error_rate * s``.  `leak` @ u is the probability in the sinks: the last
    time at which it kept below ``loss_offset + loss_rate * s`` is returned as well.

    Returns s, u(s), error, growth of Σ|u_j| norms_j, s_kept, u(s_kept), error_kept.
    """
    size = 0.0
    for j in range(m):
        column = 0.0
        for i in range(min(m, j + 2)):
            column += abs(H[i, j])
        size = max(size, column)
    delta = horizon if size == 0.0 else min(horizon, 0.5 / size)
    u = np.zeros(m)
    u[0] = 1.0
    term = np.empty(m)
    image = np.empty(m)
    trial = np.empty(m)
    kept = u.copy()
    s, error, s_kept, error_kept, growth = 0.0, 0.0, 0.0, 0.0, norms[0]
    within = True
    for _ in range(100000):
        step = min(delta, horizon - s)
        if step <= 1e-14 * horizon:
            break
        for i in range(m):
            term[i] = u[i]
            trial[i] = u[i]
        integral = abs(u[m - 1]) * step
        scale = 0.0
        for i in range(m):
            scale = max(scale, abs(u[i]))
        for k in range(1, 40):
            _multiply_banded(H, m, depth, term, image)
            largest = 0.0
            for i in range(m):
                term[i] = image[i] * (step / k)
                trial[i] += term[i]
                largest = max(largest, abs(term[i]))
            integral += abs(term[m - 1]) * step / (k + 1)
            if largest <= 1e-18 * scale:
                break
        total = error + residual_norm * integral
        spread = 0.0
        for i in range(m):
            spread += norms[i] * abs(trial[i])
        if (total > error_rate * (s + step) and residual_norm > 0.0) or spread > LARGEST_SPREAD * norms[0]:
            if s > 0.0:
                break
            delta *= 0.25
            continue
        s += step
        error = total
        lost = 0.0
        for i in range(m):
            u[i] = trial[i]
            lost += leak[i] * u[i]
        growth = max(growth, spread)
        within = within and lost <= loss_offset + loss_rate * s
        if within:
            s_kept, error_kept = s, error
            for i in range(m):
                kept[i] = u[i]
    return s, u, error, growth, s_kept, kept, error_kept


@njit(cache=True, fastmath=REORDERED)
def combine(V, coefficients, out):
    """Write ``Σ_j coefficients[j] V[j]`` into `out`, set negative entries to zero, return the sum cut off."""
    n = len(out)
    cut = 0.0
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        for i in range(start, end):
            out[i] = 0.0
        for j in range(len(coefficients)):
            c = coefficients[j]
            for i in range(start, end):
                out[i] += c * V[j, i]
        for i in range(start, end):
            if out[i] < 0.0:
                cut -= out[i]
                out[i] = 0.0
    return cut


@njit(cache=True, fastmath=REORDERED)
def one_norms(V, rows, norms):
    """Write the 1-norms of the first `rows` rows of V into `norms`."""
    for j in range(rows):
        total = 0.0
        for i in range(V.shape[1]):
            total += abs(V[j, i])
        norms[j] = total
