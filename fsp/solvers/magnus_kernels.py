"""Compiled kernels of `Magnus`: a Krylov space with polynomial forcing, and what is read off its small exponential."""

from __future__ import annotations

import numpy as np

from fsp.compilation import njit
from fsp.generator.kernels import REORDERED
from fsp.solvers.kernels import BLOCK, add_rows, diagonals, largest_column, taylor_term

MOST_TERMS = 60  # of a Taylor step of the small exponential
STRIDE = 3.0  # ‖H‖ times a Taylor step


@njit(cache=True, fastmath=REORDERED)
def force(W, J, scale, n, v, u, w):
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


@njit(cache=True, fastmath=REORDERED)
def add_mixed(V, coefficients, out):
    """Add ``Σ_j coefficients[i, j] V[j]`` to out[i], for all i in one pass over V."""
    n = out.shape[1]
    for start in range(0, n, BLOCK):
        end = min(n, start + BLOCK)
        for i in range(len(out)):
            add_rows(V, coefficients[i], start, end, out[i], start)


@njit(cache=True, fastmath=REORDERED)
def residual_norms(changes, theta, W, modes, norms):
    """Write ``‖Σ_l theta[l, i] changes[l, i] - Σ_k modes[i, k] W[k]‖₁`` to norms[i]."""
    n_parts, count, n = changes.shape
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


@njit(cache=True, fastmath=REORDERED)
def weighted_norms(V, n, weights, norms):
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


@njit(cache=True, forceinline=True)
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
        largest = taylor_term(bands, term, step / k, image)
        term, image = image, term
        terms[k, :] = term[1 : m + 1]
        if largest <= 1e-19 * scale:
            return k + 1
    return MOST_TERMS


@njit(cache=True)
def at_nodes(H, m, depth, nodes, out):
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
        out[i, :] = u


@njit(cache=True)
def shifted(coefficients, x, scale, out):
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


@njit(cache=True)
def interpolation_error(H, m, depth, s, factors, interpolants, weights, outputs, targets, sizes, hopeless):
    """Bound what polynomials miss of functions ``factor(z) u_j((1 + z) s/2)``, z in [-1, 1], u(s) = exp(s H) e_1.

    Taylor steps of u, times the factor, less the interpolant, are polynomials in the place within the step, and the
    integral of the modulus of one is at most that of the moduli of its terms.

    Parameters
    ----------
    factors
        Coefficients in z of the factors, (L, d + 1).
    interpolants
        Coefficients in z of the interpolant of each product, (L, m, N).
    weights
        Of the modulus of each error, (L, m).
    outputs, targets
        Functions ``outputs @ u``, (p, m), that should be the polynomials with coefficients `targets`, (p, N).
    sizes
        Weights of the modulus of each of their errors, (p,).
    hopeless
        Result above which only its size is of interest, and no more than a part of the step is looked at.

    Returns
    -------
    float
        ``Σ_l Σ_j weights[l, j] ∫ |factor_l u_j - interpolant_lj| dz / 2``, and the same of the outputs.
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
