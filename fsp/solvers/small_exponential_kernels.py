"""Compiled kernels for the exponential of a small Hessenberg matrix: ``u(s) = exp(sH) e_1``, followed by Taylor steps.

The terms of a step bound what is integrated along it: the residual of a Krylov space, and what interpolation misses.
"""

from __future__ import annotations

import numpy as np

from fsp.compilation.kernel import F8, I8, Floats, Floats2, Floats3, kernel
from fsp.generator.kernels import REORDERED

CRUMB = 1e-9  # of a step: what would be left of the way after it is taken with it
LARGEST_SPREAD = 1e3  # of Σ|u_j|‖v_j‖₁ over its start: beyond, cancellation costs more digits than a step is worth
SUBSTEP_ROUNDINGS = 2.0  # of the sum of a substep's terms, beside those of the terms; 0.8 were measured at most
SUBSTEP = 1.5  # of the small exponential, times the norm of its matrix: longer, its Taylor terms would cancel
BROKEN = 10.0  # times the loss that is allowed, beyond which a step goes no further
MOST_TERMS = 60  # of a Taylor step of the small exponential
# What the Taylor terms that a substep leaves out may add: of the error that is allowed, and of u; chosen
NEGLIGIBLE, ROUGHEST = 1e-3, 1e-10
STRIDE = 3.0  # ‖H‖ times a Taylor step


@kernel()
def largest_column(H, m):
    """Return the 1-norm of the upper Hessenberg matrix H[:m, :m]."""
    size = 0.0
    for j in range(m):
        column = 0.0
        for i in range(min(m, j + 2)):
            column += abs(H[i, j])
        size = max(size, column)
    return size


@kernel()
def diagonals(H, m, depth):
    """Return the diagonals of H[:m, :m] from the one below the main one on, row i at column i + 1 of a padded array."""
    bands = np.zeros((max(min(depth, m), 2) + 1, m))
    for k in range(len(bands)):
        for i in range(m):
            if 0 <= i + k - 1 < m:
                bands[k, i] = H[i, i + k - 1]
    return bands


@kernel(fastmath=REORDERED, forceinline=True, noalias=True)
def taylor_term(bands, x, factor, y, total):
    """Write ``factor H x`` to y, and add it to the total if there is one; return its 1-norm.

    x and y are padded: entry i stands at i + 1.
    """
    m = bands.shape[1]
    below, on, above = bands[0], bands[1], bands[2]
    further, norm = len(bands) > 3, 0.0
    # Unsigned indices need no check for negative ones, which would keep the loops from vector registers.
    for i in range(np.uint64(m)):
        value = factor * (below[i] * x[i] + on[i] * x[i + np.uint64(1)] + above[i] * x[i + np.uint64(2)])
        y[i + np.uint64(1)] = value
        norm += abs(value)
        if total is not None:
            total[i] += value
    if further:
        norm = 0.0
        for k in range(3, len(bands)):
            for i in range(m - k + 1):
                more = factor * bands[k, i] * x[i + k]
                y[i + 1] += more
                if total is not None:
                    total[i] += more
        for i in range(1, m + 1):
            norm += abs(y[i])
    return norm


@kernel()
def whole(length: F8, tick: F8):
    """Return a length, rounded down to a whole number of ticks."""
    return np.floor(length / tick) * tick


@kernel()
def flow(
    H: Floats2,
    m: I8,
    depth: I8,
    horizon: F8,
    tick: F8,
    norms: Floats,
    leak: Floats,
    residual_norm: F8,
    error_rate: F8,
    loss_offset: F8,
    loss_rate: F8,
    stride: F8 = SUBSTEP,
):
    """Follow u(s) = exp(s H) e_1 from 0 until the error or the horizon stops it.

    The residual of the Krylov approximation is ``residual_norm * u_m(s)`` in the 1-norm; on each substep δ its
    integral is bounded by the Taylor terms, ``∫|u_m| <= Σ_k |(Hᵏ u)_m| δ^(k+1) / (k+1)!``.  The march ends
    before that integral passes ``error_rate * s``.  `leak` @ u is the probability in the sinks: the last
    time at which it kept below ``loss_offset + loss_rate * s`` is returned as well.  `stride` is ‖H‖ times a substep.
    Substeps are whole numbers of `tick`, but for the last one, which ends at the horizon.

    Returns s, u(s), the number of substeps, growth of Σ|u_j| norms_j, s_kept, u(s_kept), error_kept.
    """
    bands = diagonals(H, m, depth)
    size = largest_column(H, m)
    delta = horizon if size == 0.0 else min(horizon, whole(stride / size, tick))
    u = np.zeros(m)
    u[0] = 1.0
    largest_norm = 0.0
    for i in range(m):
        largest_norm = max(largest_norm, norms[i])
    term, image = np.zeros(m + 2), np.zeros(m + 2)
    trial = np.empty(m)
    kept = u.copy()
    s, error, s_kept, error_kept, growth = 0.0, 0.0, 0.0, 0.0, norms[0]
    within = True
    substeps = 0
    for _ in range(100000):
        is_last = horizon - s <= delta * (1.0 + CRUMB)
        step = horizon - s if is_last else delta
        if step <= 0.0:
            break
        scale = 0.0
        for i in range(m):
            term[i + 1] = u[i]
            trial[i] = u[i]
            scale = max(scale, abs(u[i]))
        integral = abs(u[m - 1]) * step
        enough = NEGLIGIBLE * error_rate * step / (largest_norm + residual_norm * step)
        norm = 0.0
        for k in range(1, MOST_TERMS):
            norm = taylor_term(bands, term, step / k, image, trial)
            term, image = image, term
            integral += abs(term[m]) * step / (k + 1)
            if norm <= max(min(enough, ROUGHEST * scale), 1e-18 * scale) and k + 1 >= 2.0 * step * size:
                break
        ratio = step * size / (k + 1)
        dropped = norm * ratio / (1.0 - ratio)  # the terms that follow, in the 1-norm
        total = error + residual_norm * (integral + dropped * step) + largest_norm * dropped
        spread = 0.0
        for i in range(m):
            spread += norms[i] * abs(trial[i])
        if (total > error_rate * (s + step) and residual_norm > 0.0) or spread > LARGEST_SPREAD * norms[0]:
            if s > 0.0:
                break
            delta = whole(0.25 * step, tick)
            continue
        s = horizon if is_last else s + step
        substeps += 1
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
        elif s >= 2.0 * s_kept and lost > BROKEN * (loss_offset + loss_rate * s):
            break  # far enough to see where the space must grow
    return s, u, substeps, growth, s_kept, kept, error_kept


@kernel(forceinline=True)
def _taylor(bands, u, step, terms):
    """Write the terms ``(step H)^k u / k!`` to the rows of `terms`; return how many there are."""
    m = len(u)
    term, image = np.zeros(m + 2), np.zeros(m + 2)
    scale = 0.0
    for i in range(m):
        terms[0, i] = u[i]
        term[i + 1] = u[i]
        scale = max(scale, abs(u[i]))
    for k in range(1, MOST_TERMS):
        norm = taylor_term(bands, term, step / k, image, None)
        term, image = image, term
        for i in range(m):
            terms[k, i] = term[i + 1]
        if norm <= 1e-19 * scale:
            return k + 1
    return MOST_TERMS


@kernel()
def at_nodes(H: Floats2, m: I8, depth: I8, nodes: Floats, out: Floats2):
    """Write ``exp(s H) e_1`` to out[i] for every s = nodes[i], ascending."""
    size, bands = largest_column(H, m), diagonals(H, m, depth)
    terms = np.empty((MOST_TERMS, m))
    u = np.zeros(m)
    u[0] = 1.0
    s = 0.0
    for i in range(len(nodes)):
        steps = int(np.ceil((nodes[i] - s) * size / STRIDE))
        for _ in range(steps):
            count = _taylor(bands, u, (nodes[i] - s) / steps, terms)
            for j in range(m):
                total = 0.0
                for k in range(count - 1, -1, -1):
                    total += terms[k, j]
                u[j] = total
        s = nodes[i]
        for j in range(m):
            out[i, j] = u[j]


@kernel()
def shifted(coefficients: Floats, x: F8, scale: F8, out: Floats):
    """Write to `out` the coefficients in y of the polynomial Σ_k coefficients[k] z^k at z = x + scale y."""
    n = len(coefficients)
    for k in range(n):
        out[k] = coefficients[k]
    for i in range(n - 1):  # Taylor shift by repeated synthetic division
        for k in range(n - 2, i - 1, -1):
            out[k] += x * out[k + 1]
    power = 1.0
    for k in range(n):
        out[k] *= power
        power *= scale


@kernel()
def interpolation_error(
    H: Floats2,
    m: I8,
    depth: I8,
    s: F8,
    factors: Floats2,
    interpolants: Floats3,
    weights: Floats2,
    outputs: Floats2,
    targets: Floats2,
    sizes: Floats,
    hopeless: F8,
):
    """Bound what polynomials miss of functions ``factor(z) u_j((1 + z) s/2)``, z in [-1, 1], u(s) = exp(s H) e_1.

    Taylor steps of u, times the factor, less the interpolant, are polynomials in the place within the step, and the
    integral of the modulus of one is at most that of the moduli of its terms.

    `factors` (L, d + 1) and `interpolants` (L, m, N) are coefficients in z, `weights` (L, m) those of the errors;
    beside them ``outputs @ u``, (p, m), should be polynomials with coefficients `targets`, (p, N), weighted by `sizes`.
    Returns ``Σ_l Σ_j weights[l, j] ∫ |factor_l u_j - interpolant_lj| dz / 2``, and the same of the outputs.  Where that
    is above `hopeless` only its size is of interest, and no more than a part of the step is looked at.
    """
    size, bands = largest_column(H, m), diagonals(H, m, depth)
    steps = max(1, int(np.ceil(s * size / STRIDE)))
    h = 1.0 / steps
    terms = np.empty((MOST_TERMS, m))
    u = np.zeros(m)
    u[0] = 1.0
    n_factors, d = factors.shape
    N = interpolants.shape[2]
    factor, polynomial, product = np.empty(d), np.empty(N), np.empty(MOST_TERMS + d)
    total = 0.0
    for step in range(steps):
        z = 2.0 * step * h - 1.0
        count = _taylor(bands, u, h * s, terms)
        for c in range(n_factors):
            shifted(factors[c], z, 2.0 * h, factor)
            for j in range(m):
                if weights[c, j] == 0.0:
                    continue
                shifted(interpolants[c, j], z, 2.0 * h, polynomial)
                length = max(count + d - 1, N)
                for k in range(length):
                    product[k] = -polynomial[k] if k < N else 0.0
                for a in range(d):
                    for k in range(count):
                        product[a + k] += factor[a] * terms[k, j]
                missed = 0.0
                for k in range(length):
                    missed += abs(product[k]) / (k + 1)
                total += weights[c, j] * missed * h
        for i in range(len(outputs)):
            shifted(targets[i], z, 2.0 * h, polynomial)
            missed = 0.0
            for k in range(max(count, N)):
                value = 0.0
                if k < count:
                    for j in range(m):
                        value += outputs[i, j] * terms[k, j]
                missed += abs(value - (polynomial[k] if k < N else 0.0)) / (k + 1)
            total += sizes[i] * missed * h
        for j in range(m):
            value = 0.0
            for k in range(count - 1, -1, -1):
                value += terms[k, j]
            u[j] = value
        if total > hopeless:
            return total * steps / (step + 1)
    return total
