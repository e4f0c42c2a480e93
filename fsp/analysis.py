"""Reduce a distribution to numbers: pure functions of (states, probabilities).

A distribution is a pair ``states`` (n, d) of distinct integer rows and ``probabilities`` (n,), y >= 0, whose
mass m = sum(y) may be below one (what is missing was lost by the truncation).  With w = y / m:

    mean = sum w x,   covariance = sum w (x - mean)(x - mean)^T,   moment = sum w prod x_i^k_i,
    entropy = - sum w ln w,   quantile(q) = min {x : sum_{z <= x} w(z) >= q}.

Distances compare y itself, not w, on the union of the two sets of states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.checks import check_choice
from fsp.errors import ArgumentError

DENSE_LIMIT = 2**27
"""Largest number of cells that :func:`dense` makes (1 GiB of probabilities)."""


def sort_states(states: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray]:
    """Sort states lexicographically, the last species fastest."""
    falls, equal = _steps(states)
    if falls.any():
        order = np.lexsort(states.T[::-1])
        states, probabilities = states[order], probabilities[order]
        _, equal = _steps(states)
    if equal.any():
        state = states[int(np.argmax(equal))].tolist()
        raise ArgumentError(f"`states` must be distinct, but {state} occurs more than once.")
    return states, probabilities


def _steps(states: IntArray) -> tuple[BoolArray, BoolArray]:
    """Say for each pair of consecutive rows whether the second is smaller, and whether it is the same."""
    equal = np.ones(len(states) - 1, dtype=bool)  # (n - 1,)
    falls = np.zeros(len(states) - 1, dtype=bool)  # (n - 1,)
    for column in states.T:
        falls |= equal & (column[1:] < column[:-1])
        equal &= column[1:] == column[:-1]
    return falls, equal


def marginal(states: IntArray, probabilities: FloatArray) -> tuple[IntArray, FloatArray, int]:
    """Add up the probabilities of equal rows.

    Rows may repeat.  Returns (m, d) distinct rows in lexicographic order, (m,) sums, and the largest number of terms in
    one sum, which bounds its relative rounding.
    """
    low = states.min(axis=0)  # (d,)
    shape = [int(high) - int(least) + 1 for high, least in zip(states.max(axis=0), low, strict=True)]
    if _cells(shape) >= 2**62:  # keys would overflow
        rows, places = np.unique(states, axis=0, return_inverse=True)
        sums, terms = _sums(places.reshape(-1), probabilities)
        return rows, sums, int(terms.max())
    keys = np.ravel_multi_index(tuple((states - low).T), shape)  # (n,)
    if _cells(shape) <= 4 * len(states) + 1024:  # a slot for each cell is quicker than sorting
        sums, terms = _sums(keys, probabilities)
        kept = np.flatnonzero(terms)
        sums = sums[kept]
    else:
        kept, places = np.unique(keys, return_inverse=True)
        sums, terms = _sums(places, probabilities)
    rows = np.stack(np.unravel_index(kept, shape), axis=1) + low  # (m, d)
    return rows, sums, int(terms.max())


def _sums(places: IntArray, probabilities: FloatArray) -> tuple[FloatArray, IntArray]:
    """Add up the probabilities of each place, and count them."""
    sums = np.bincount(places, weights=probabilities)
    return sums.astype(float, copy=False), np.bincount(places)


def dense(states: IntArray, probabilities: FloatArray) -> tuple[FloatArray, tuple[IntArray, ...]]:
    """Spread a distribution over the smallest box that holds its states."""
    low, high = states.min(axis=0), states.max(axis=0)  # (d,)
    shape = [int(b) - int(a) + 1 for a, b in zip(low, high, strict=True)]
    if _cells(shape) > DENSE_LIMIT:
        raise ArgumentError(
            f"A dense array must have at most {DENSE_LIMIT:,} cells, but the box of these states is "
            f"{' x '.join(map(str, shape))}. Take a marginal over fewer species, or use `states`."
        )
    pmf = np.zeros(shape)
    pmf[tuple((states - low).T)] = probabilities
    return pmf, tuple(np.arange(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))


def _cells(shape: Sequence[int]) -> int:
    """Count the cells of a box, in Python integers, which do not overflow."""
    cells = 1
    for length in shape:
        cells *= length
    return cells


def mean(states: IntArray, probabilities: FloatArray) -> FloatArray:
    """Average each species over the stored probability.

    Returns (d,) means in copies.
    """
    mass = probabilities.sum()
    return np.array([(probabilities * column).sum() / mass for column in states.T])


def variance(states: IntArray, probabilities: FloatArray) -> FloatArray:
    """Average the squared distance to the mean, for each species.

    Returns (d,) variances in copies squared.
    """
    mass, centre = probabilities.sum(), mean(states, probabilities)
    return np.array([(probabilities * (x - m) ** 2).sum() / mass for x, m in zip(states.T, centre, strict=True)])


def covariance(states: IntArray, probabilities: FloatArray) -> FloatArray:
    """Average the products of distances to the mean.

    Returns (d, d) covariances in copies squared.
    """
    centred = (states - mean(states, probabilities)).T  # (d, n)
    return np.asarray((centred * probabilities) @ centred.T / probabilities.sum())


def moment(states: IntArray, probabilities: FloatArray, orders: Sequence[int]) -> float:
    """Average the product of powers ``prod x_i ** orders[i]`` (a raw moment).

    `states`: (n, d) copy numbers. `probabilities`: (n,) probabilities. `orders`: (d,) powers.
    """
    powers = probabilities.copy()
    for column, order in zip(states.T, orders, strict=True):
        if order:
            powers *= column.astype(float) ** order
    return float(powers.sum() / probabilities.sum())


def ratio(numerators: FloatArray, denominators: FloatArray) -> FloatArray:
    """Divide (d,) numbers; nan where the denominator is 0."""
    return np.asarray(np.divide(numerators, denominators, np.full(len(numerators), np.nan), where=denominators > 0))


def skewness(states: IntArray, probabilities: FloatArray) -> FloatArray:
    """Compute ``E (X - m)³ / σ³`` of each species, (d,); nan where σ is 0."""
    share = probabilities / probabilities.sum()
    off = states - mean(states, probabilities)  # (n, d)
    return ratio(share @ off**3, variance(states, probabilities) ** 1.5)


def quantile(values: IntArray, probabilities: FloatArray, levels: FloatArray | float) -> IntArray:
    """Find the smallest copy numbers up to which the shares `levels` of the stored probability lie.

    `values`: (n,) copy numbers in ascending order.
    """
    values, probabilities = values[probabilities > 0], probabilities[probabilities > 0]
    cumulated = np.cumsum(probabilities) / probabilities.sum()
    slack = 2.0 * len(values) * UNIT_ROUNDOFF  # a sum that should equal a level may fall short by rounding
    places = np.searchsorted(cumulated, levels - slack)
    return np.asarray(values[np.minimum(places, len(values) - 1)])


def middle(values: IntArray, probabilities: FloatArray, left_out: float) -> tuple[int, int]:
    """Find the range of copies that leaves out at most the share `left_out` at either end; `values` ascend, (n,)."""
    low = quantile(values, probabilities, left_out)
    return int(low), -int(quantile(-values[::-1], probabilities[::-1], left_out))


def peaks(values: IntArray, probabilities: FloatArray, hidden: float) -> IntArray:
    """Find the counts of local maxima that rise from the valleys around them by more than `hidden`.

    `values`: (n,) copy numbers in ascending order; counts in gaps have probability 0.
    """
    from scipy.signal import find_peaks

    pmf, (counts,) = dense(values[:, None], probabilities)
    padded = np.concatenate([[0.0], pmf, [0.0]])
    return np.asarray(counts[find_peaks(padded, prominence=max(hidden, np.finfo(float).tiny))[0] - 1])


def mode(states: IntArray, probabilities: FloatArray) -> IntArray:
    """Find the most likely state, the first in lexicographic order where several are equally likely."""
    return np.asarray(states[int(np.argmax(probabilities))])


def entropy(probabilities: FloatArray) -> float:
    """Compute the Shannon entropy of the stored probability in nats."""
    share = probabilities[probabilities > 0] / probabilities.sum()
    return max(0.0, float(-(share * np.log(share)).sum()))


def align(
    states: IntArray, probabilities: FloatArray, other_states: IntArray, other_probabilities: FloatArray
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Put two distributions on the union of their states, with zeros where one of them has no state."""
    both = np.concatenate([states, other_states])  # (n + m, d)
    first = np.concatenate([probabilities, np.zeros(len(other_states))])
    second = np.concatenate([np.zeros(len(states)), other_probabilities])
    union, p, _ = marginal(both, first)
    _, q, _ = marginal(both, second)
    return union, p, q


def _l1(states: IntArray, p: FloatArray, q: FloatArray) -> float:
    return float(np.abs(p - q).sum())


def _total_variation(states: IntArray, p: FloatArray, q: FloatArray) -> float:
    return 0.5 * _l1(states, p, q)


def _hellinger(states: IntArray, p: FloatArray, q: FloatArray) -> float:
    return float(np.sqrt(0.5 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum()))


def _kolmogorov(states: IntArray, p: FloatArray, q: FloatArray) -> float:
    _one_species(states, "kolmogorov")
    return float(np.abs(np.cumsum(p - q)).max())


def _wasserstein(states: IntArray, p: FloatArray, q: FloatArray) -> float:
    _one_species(states, "wasserstein")
    gap = np.abs(np.cumsum(p / p.sum() - q / q.sum()))  # (n,): it needs equal masses
    return float((gap[:-1] * np.diff(states[:, 0])).sum())


def _one_species(states: IntArray, kind: str) -> None:
    if states.shape[1] != 1:
        raise ArgumentError(
            f"`kind='{kind}'` must be used with one species, but there are {states.shape[1]}. Take a marginal first."
        )


DISTANCES: dict[str, Callable[[IntArray, FloatArray, FloatArray], float]] = {
    "l1": _l1,
    "tv": _total_variation,
    "hellinger": _hellinger,
    "kolmogorov": _kolmogorov,
    "wasserstein": _wasserstein,
}


def distance(
    states: IntArray,
    probabilities: FloatArray,
    other_states: IntArray,
    other_probabilities: FloatArray,
    kind: str = "l1",
) -> float:
    """Measure how far apart two distributions over the same species are.

    `kind` is a key of `DISTANCES`; ``hellinger`` is at most 1, ``wasserstein`` in copies.
    """
    check_choice("kind", kind, DISTANCES)
    return DISTANCES[kind](*align(states, probabilities, other_states, other_probabilities))
