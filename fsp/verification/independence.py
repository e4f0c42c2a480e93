"""Whether runs are independent of each other, and their times of each other but through the state.

`repeats`.  Two independent runs are in the same state at time t with the probability Σ p(x)², so at all times with at
most the smallest of these, κ.  Runs i and i + L of disjoint pairs are independent pairs: the number of equal ones is at
most binomial.  All lags L are looked at, so a worker that repeats the block of another is found.

`memory`.  Given the state of a run at one time, what it did before tells nothing of what it does after.  Among the runs
with the same state there, futures are exchangeable: looked at one by one, the next future is any of the remaining ones
with equal chance.  We bet that it is that of an earlier run with the same past; the capital, a martingale of mean one,
exceeds 1/a with probability at most a (Ville).  Seeds that are reused in any order win such bets.

`serial`.  With h(x) the bounded deviation of a count from its mean, E exp(θ h(x_i) h(x_{i+1})) given run i is known:
again a bet with a capital of mean one, for a few θ of both signs.

References
----------
G. Shafer, J. R. Stat. Soc. A 184 (2021) 407, doi:10.1111/rssa.12647.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from fsp.verification import p_values
from fsp.verification.tallies import first_of, numbered
from fsp.verification.test import Test

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fsp.arrays import FloatArray, IntArray
    from fsp.verification.expected import Expected, Reference
    from fsp.verification.samples import Runs

_STAKES = np.array([0.3, 1.0, 2.5])  # θ of the bets on repeats of pasts: chosen, any are valid
_MOST_PAIRS = 2_000_000  # of equal runs that are kept: 32 MB
FEWEST = 10  # runs, for fewer of which no dependence could be seen


def independence_tests(runs: Runs, expected_of: Reference, *, markov: bool) -> Iterator[Test]:
    """Return the tests of independence that these runs allow."""
    if runs.n < FEWEST:
        return
    labels = numbered(runs.counts.reshape(runs.n, -1))
    chance = min(coincidence(expected_of.joint(k, runs.species)) for k in range(len(runs.times)))
    if chance < 1:
        yield _repeats(labels, chance)
    if markov and len(runs.times) >= 3:
        yield _memory(runs.counts)
    last = len(runs.times) - 1
    for i, name in enumerate(runs.species):
        expected = expected_of.marginal(last, name)
        if expected.spread[0] > 0:
            yield _serial(expected, runs.counts[:, last, i], float(runs.times[last]))


def coincidence(expected: Expected) -> float:
    """Bound the probability that two runs are in the same state: Σ p² <= Σ q² + up (2 max q + up)."""
    q = expected.probabilities
    up = expected.slack.up
    return min(1.0, float(q @ q) + up * (2 * float(q.max()) + up))


def first_repeat(runs: Runs, expected_of: Reference, level: float) -> int | None:
    """Return the smallest lag at which runs repeat more often than right ones do; the runs before it are independent.

    The first runs are kept by their number alone: to keep the first of each set of equal ones would leave those of
    states that are often reached out too often.
    """
    labels = numbered(runs.counts.reshape(runs.n, -1))
    chance = min(coincidence(expected_of.joint(k, runs.species)) for k in range(len(runs.times)))
    counts, pairs = _at_lags(labels)
    p = _tails(counts, pairs, chance)
    repeating = np.flatnonzero(p * len(p) <= level)
    return int(repeating[0]) // 2 + 1 if len(repeating) else None


def _at_lags(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return how many pairs are equal, and how many there are, at each lag, which has two sets of disjoint pairs."""
    n = len(labels)
    first, lag = _equal_pairs(labels)
    parity = (first // lag) % 2
    counts = np.bincount(2 * lag + parity, minlength=2 * n)[2:]  # (2 (n - 1),) from lag 1 on
    lags = np.arange(1, n)
    blocks, rest = np.divmod(n - lags, 2 * lags)
    even = blocks * lags + np.minimum(rest, lags)
    return counts, np.stack([even, n - lags - even], axis=1).reshape(-1)


def _tails(counts: IntArray, pairs: IntArray, chance: float) -> FloatArray:
    """Return p-values of the numbers of equal pairs: 1 where there are none, as at most lags of many runs."""
    p = np.ones(len(counts))
    some = np.flatnonzero(counts > 0)
    p[some] = p_values.at_least(counts[some], pairs[some], chance)
    return p


def _repeats(labels: IntArray, chance: float) -> Test:
    """Test the numbers of equal runs at each lag."""
    counts, pairs = _at_lags(labels)
    p = _tails(counts, pairs, chance)
    worst = int(np.argmin(p))
    where = f"run i equals run i + {worst // 2 + 1} in {counts[worst]:,} of {pairs[worst]:,} pairs, expected at most "
    where += f"{chance * pairs[worst]:.3g}"
    return Test("repeats", None, (), float(counts[worst]), min(1.0, float(p[worst]) * len(p)), where=where)


def _equal_pairs(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first run and the lag of pairs of equal runs: of all, or of those next to each other if many."""
    order = np.argsort(labels, kind="stable")
    firsts, lags = [], []
    total, step = 0, 1
    while step < len(labels):
        same = labels[order[step:]] == labels[order[:-step]]
        if not same.any() or total + int(same.sum()) > _MOST_PAIRS:
            break
        firsts.append(order[:-step][same])
        lags.append((order[step:] - order[:-step])[same])
        total += int(same.sum())
        step += 1
    if not firsts:
        return np.zeros(0, dtype=np.int64), np.ones(0, dtype=np.int64)
    return np.concatenate(firsts), np.concatenate(lags)


def _memory(counts: IntArray) -> Test:
    """Bet that a future is that of an earlier run with the same past and the same state in the middle."""
    n, times, _ = counts.shape
    middle = times // 2
    here = numbered(counts[:, middle])
    past = numbered(np.column_stack([here, counts[:, :middle].reshape(n, -1)]))
    future = numbered(np.column_stack([here, counts[:, middle + 1 :].reshape(n, -1)]))
    left = np.bincount(here)  # runs of each state that were not looked at yet
    remaining = np.bincount(future)  # futures not looked at yet
    told: dict[int, int] = {}
    chances, wins = [], []
    for state, before, after in zip(here.tolist(), past.tolist(), future.tolist(), strict=True):
        guess = told.get(before)
        if guess is not None and 0 < remaining[guess] < left[state]:
            chances.append(remaining[guess] / left[state])
            wins.append(after == guess)
        told[before] = after
        left[state] -= 1
        remaining[after] -= 1
    chance, won = np.array(chances), np.array(wins, dtype=float)
    gains = np.array([(stake * won - np.log1p(chance * np.expm1(stake))).sum() for stake in _STAKES])
    capital = float(special.logsumexp(gains) - np.log(len(_STAKES)))
    where = f"{won.sum():,.0f} of {len(won):,} futures were those of an earlier run with the same past, expected "
    where += f"{chance.sum():,.1f}"
    return Test("memory", None, (), capital, float(np.exp(min(0.0, -capital))), where=where)


def _serial(expected: Expected, values: IntArray, t: float) -> Test:
    """Bet on products of neighbours' deviations from the mean, cut off at four standard deviations."""
    sigma, _ = expected.spread

    def deviation(x: IntArray) -> FloatArray:
        return np.asarray(np.clip((x - expected.mean) / sigma, -4.0, 4.0))

    law = deviation(expected.states[:, 0])
    place = numbered(values)
    grid, h = values[first_of(place)], deviation(values)
    base = 2.0 / np.sqrt(max(len(values), 16))
    stakes = np.array([-1.0, 1.0]) * np.array([[0.5], [1.0], [2.0], [8.0]]) * base
    stakes = np.clip(stakes.reshape(-1), -0.5, 0.5)
    gains = []
    for stake in stakes:
        exponents = stake * deviation(grid)[:, None] * law[None, :]  # (values, states)
        largest = abs(stake * deviation(grid)) * 4.0
        known = np.log(np.exp(exponents) @ expected.probabilities + expected.slack.up * np.exp(largest))
        gains.append(float((stake * h[:-1] * h[1:]).sum() - known[place[:-1]].sum()))
    capital = float(special.logsumexp(gains) - np.log(len(gains)))
    correlation = float(np.mean(h[:-1] * h[1:]))
    where = f"{expected.names[0]}: correlation with the next run {correlation:+.4f}, by the expected mean and variance"
    return Test("serial", t, expected.names, capital, float(np.exp(min(0.0, -capital))), where=where)
