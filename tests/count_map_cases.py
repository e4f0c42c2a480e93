"""Networks with events that set counts at known times, and their laws by dense exponentials of complex parameters."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm
from scipy.stats import binom

import fsp

N = 50  # counts of the dense reference: above them lies less than 1e-16
STEP = 1e-30  # of complex steps
VALUES = {"k": 5.0, "g": 1.0, "s": 0.7}


def network(events, **values):
    """Return immigration and death from 3 molecules, with some events."""
    return fsp.Model(
        species={"X": 3},
        parameters={**VALUES, "n": 4.0, **values},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
        events=events,
    )


def generator(k, g):
    counts = np.arange(N)
    up = np.where(counts < N - 1, k, 0.0)
    return np.diag(up[:-1], -1) + np.diag(g * counts[1:], 1) - np.diag(up + g * counts)


def moved(f):
    """Return the matrix of a map of counts."""
    matrix = np.zeros((N, N))
    for x in range(N):
        matrix[min(f(x), N - 1), x] = 1.0
    return matrix


def thinned():
    counts = np.arange(N)
    return binom.pmf(counts[:, None], counts[None], 0.5)


def law(t, maps, start=None, *, k, g, s):
    """Return the law at a time; `maps` are times, matrices and by how much k is multiplied."""
    p, now = np.eye(N)[3] if start is None else start(k, g), 0.0
    for at, matrix, factor in maps(s):
        if np.real(at) > t:
            break
        p, now, k = matrix @ expm(generator(k, g) * (at - now)) @ p, at, factor * k
    return expm(generator(k, g) * (t - now)) @ p


def at_rest(k, g):
    """Return the stationary distribution before all events, also at complex rates."""
    weights = np.cumprod(np.append(1.0, k / (g * np.arange(1.0, N))))
    return weights / weights.sum()


def exact(name, *args):
    return law(*args, **{**VALUES, name: VALUES[name] + STEP * 1j}).imag / STEP


CASES = {
    "reset": ([fsp.Event("time >= s", {"X": 0})], lambda s: [(s, moved(lambda x: 0), 1.0)]),
    "dose": ([fsp.Event("time >= s", {"X": "X + n"})], lambda s: [(s, moved(lambda x: x + 4), 1.0)]),
    "division": (
        [fsp.Event("time >= s", {"X": "floor(X/2)"}), fsp.Event("time > 2*s", {"X": "X + 1"})],
        lambda s: [(s, moved(lambda x: x // 2), 1.0), (2.0 * s, moved(lambda x: x + 1), 1.0)],
    ),
    "binomial division": ([fsp.Event("time >= s", {"X": "binomial(X, 0.5)"})], lambda s: [(s, thinned(), 1.0)]),
    "counts and a parameter": (
        [fsp.Event("time >= s", {"X": "floor(X/2)", "k": "3*k"})],
        lambda s: [(s, moved(lambda x: x // 2), 3.0)],
    ),
}
