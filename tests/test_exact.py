"""The closed forms of `exact`, against dense matrix exponentials and null vectors of truncated generators.

Nothing here knows of `fsp`: what the package is tested against is itself tested by other means.
"""

from __future__ import annotations

import exact
import mpmath
import numpy as np
import pytest
from scipy import linalg

ISOMER = {"forward": 1.3, "backward": 0.4}
TELEGRAPH = {"on": 0.35, "off": 0.85, "make": 6.0, "death": 1.0}
GENE = {"bind": 0.15, "unbind": 0.6, "make_free": 7.0, "make_bound": 1.5, "death": 1.0}


def generator(upper, reactions):
    """Assemble dp/dt = A p on a box, exit rates in full; a reaction is (change, rate(*x))."""
    shape = np.asarray(upper) + 1
    x = np.indices(shape).reshape(len(shape), -1)  # (d, n)
    A = np.zeros((x.shape[1], x.shape[1]))
    here = np.arange(x.shape[1])
    for change, rate in reactions:
        a = np.broadcast_to(rate(*x), here.shape).astype(float)
        y = x + np.reshape(change, (-1, 1))
        A[here, here] -= a
        inside = ((y >= 0) & (y < shape[:, None])).all(axis=0)
        A[np.ravel_multi_index(y[:, inside], shape), here[inside]] += a[inside]
    return A, x.T


def transient(upper, reactions, start, t):
    A, states = generator(upper, reactions)
    p0 = (states == start).all(axis=1).astype(float)
    return (linalg.expm(A * t) @ p0).reshape(np.asarray(upper) + 1)


def stationary(upper, reactions, start):
    """Give the null vector on the class of `start`, where jumps out of the box do not happen."""
    A, states = generator(upper, reactions)
    np.fill_diagonal(A, 0.0)
    reached = (states == start).all(axis=1)
    while True:
        more = reached | ((A[:, reached] > 0).any(axis=1))
        if (more == reached).all():
            break
        reached = more
    A = A[np.ix_(reached, reached)]
    A -= np.diag(A.sum(axis=0))
    A[-1] = 1.0
    p = np.zeros(len(states))
    p[reached] = linalg.solve(A, np.eye(len(A))[-1])
    return p.reshape(np.asarray(upper) + 1)


def close(found, expected, atol=2e-13):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def agree_in_digits(found, expected):
    """Allow a few roundings of the exponent: 4e-14 in the bulk, 1e-12 where it is 1e-42."""
    np.testing.assert_array_less(abs(found / expected - 1), 1e-14 * (4 - np.log(expected)))


@pytest.mark.parametrize("mean", [1e-3, 0.9, 37.2, 1000.0, 2.5e4])
def test_poisson_digits(mean):
    n = np.unique(np.linspace(max(mean - 20 * mean**0.5, 0), mean + 20 * mean**0.5 + 20, 60).astype(int))
    with mpmath.workdps(40):
        m = mpmath.mpf(mean)
        expected = [float(mpmath.exp(k * mpmath.log(m) - m - mpmath.loggamma(k + 1))) for k in n.tolist()]
    agree_in_digits(exact.poisson(n, mean), np.array(expected))


@pytest.mark.parametrize(("trials", "p"), [(1, 0.3), (20, 1e-9), (100, 0.5), (1000, 0.985), (20000, 0.2)])
def test_binomial_digits(trials, p):
    middle, width = trials * p, 20 * (trials * p * (1 - p)) ** 0.5 + 5
    k = np.unique(np.clip(np.linspace(middle - width, middle + width, 70), 0, trials).astype(int))
    with mpmath.workdps(40):
        x, y = mpmath.mpf(p), 1 - mpmath.mpf(p)
        expected = [float(mpmath.binomial(trials, i) * x**i * y ** (trials - i)) for i in k.tolist()]
    agree_in_digits(exact.binomial(k, trials, p, float(y)), np.array(expected))


@pytest.mark.parametrize(("r", "p"), [(0.02, 0.1), (3.0, 0.4), (55.5, 0.9)])
def test_negative_binomial_digits(r, p):
    n = np.arange(120)
    with mpmath.workdps(40):
        s, x = mpmath.mpf(r), mpmath.mpf(p)
        expected = [float(mpmath.rf(s, k) / mpmath.factorial(k) * x**s * (1 - x) ** k) for k in n.tolist()]
    agree_in_digits(exact.negative_binomial(n, r, p), np.array(expected))


def test_edges_of_the_elementary_laws():
    assert exact.binomial(np.arange(-1, 4), 2, 0.0).tolist() == [0, 1, 0, 0, 0]
    assert exact.binomial(np.arange(-1, 4), 2, 1.0).tolist() == [0, 0, 0, 1, 0]
    assert exact.binomial(np.arange(3), 0, 0.3).tolist() == [1, 0, 0]
    assert exact.poisson([-1, 0, 1], 0.0).tolist() == [0, 1, 0]
    assert exact.negative_binomial([-1, 0, 1], 0.0, 0.5).tolist() == [0, 1, 0]


def test_decay():
    expected = transient([30], [([-1], lambda x: 0.7 * x)], [30], 1.1)
    close(exact.decay(np.arange(31), 1.1, rate=0.7, start=30), expected)


def test_death_chain_is_homodimer_loss():
    expected = transient([21], [([-2], lambda x: 0.03 * x * (x - 1) / 2)], [21], 1.7)
    pairs = np.arange(21, 0, -2)
    close(exact.death_chain(1.7, rates=0.03 * pairs * (pairs - 1) / 2), expected[pairs])


@pytest.mark.parametrize("start", [0, 25])
def test_immigration_death(start):
    reactions = [([1], lambda x: 6.0), ([-1], lambda x: 0.8 * x)]
    n = np.arange(70)
    rates = {"birth": 6.0, "death": 0.8, "start": start}
    close(exact.immigration_death(n, 0.9, **rates), transient([69], reactions, [start], 0.9))
    close(exact.immigration_death(n, np.inf, **rates), stationary([69], reactions, [start]))


@pytest.mark.parametrize("immigration", [0.0, 1.7])
@pytest.mark.parametrize(("birth", "death"), [(0.3, 0.9), (0.8, 0.5), (0.6, 0.6)])
def test_linear_birth_death(birth, death, immigration):
    reactions = [([1], lambda x: birth * x + immigration), ([-1], lambda x: death * x)]
    found = exact.linear_birth_death(np.arange(200), 1.2, birth=birth, death=death, start=6, immigration=immigration)
    close(found, transient([199], reactions, [6], 1.2))


def test_bursts():
    sizes = 0.6 * 0.4 ** np.arange(1, 60)  # geometric on 0, 1, 2, …, of mean 2/3
    n = np.arange(60)
    reactions = [([-1], lambda x: x), *(([k + 1], lambda x, a=a: 3 * a) for k, a in enumerate(sizes))]
    found = exact.finite_bursts(n, 0.8, rates=3 * sizes, death=1.0, start=5)
    close(found, transient([59], reactions, [5], 0.8))
    forever = exact.finite_bursts(n, np.inf, rates=3 * sizes, death=1.0, start=5)
    close(forever, exact.bursty_expression(n, frequency=3.0, mean_burst=2 / 3, death=1.0), atol=1e-14)


@pytest.mark.parametrize("death", [0.0, 0.7])
def test_pair_annihilation(death):
    reactions = [([1], lambda x: 5.0), ([-2], lambda x: 0.4 * x * (x - 1) / 2), ([-1], lambda x: death * x)]
    found = exact.pair_annihilation(np.arange(50), birth=5.0, pair=0.4, death=death)
    close(found, stationary([49], reactions, [0]))


def test_schloegl_has_two_modes():
    rates = {"c1": 0.12, "c2": 0.0103, "c3": 8.0, "c4": 1.55}
    reactions = [
        ([1], lambda x: 0.12 * x * (x - 1) / 2 + 8),
        ([-1], lambda x: 0.0103 * x * (x - 1) * (x - 2) / 6 + 1.55 * x),
    ]
    found = exact.schloegl(120, **rates)
    close(found, stationary([120], reactions, [0]), atol=1e-12)


def test_feedback():
    reactions = [([1], lambda x: 20 / (1 + (x / 6) ** 2.5)), ([-1], lambda x: x)]
    found = exact.feedback(60, birth=20.0, death=1.0, threshold=6.0, hill=2.5)
    close(found, stationary([60], reactions, [0]))


@pytest.mark.parametrize("start", [0, 4])
def test_queue(start):
    reactions = [([1], lambda x: 0.8), ([-1], lambda x: 1.0 * (x >= 1))]
    n = np.arange(60)
    close(exact.queue(n, 3.0, arrival=0.8, service=1.0, start=start), transient([59], reactions, [start], 3.0))
    assert exact.queue(n, np.inf, arrival=0.8, service=1.0)[:2].tolist() == pytest.approx([0.2, 0.16])


def test_isomerization():
    reactions = [([-1, 1], lambda a, b: 1.3 * a), ([1, -1], lambda a, b: 0.4 * b)]
    n = np.arange(16)
    expected = transient([15, 15], reactions, [11, 4], 0.6)[::-1].diagonal()
    close(exact.isomerization(n, 0.6, **ISOMER, start_a=11, start_b=4), expected)
    K = ISOMER["forward"] / ISOMER["backward"]
    forever = exact.isomerization(n, np.inf, **ISOMER, start_a=11, start_b=4)
    close(forever, exact.binomial(n, 15, K / (1 + K)), atol=1e-14)


def test_open_monomolecular_chain():
    """Seven births would be needed to leave the box: probability 1e-13."""
    reactions = [
        ([1, 0, 0], lambda a, b, c: 0.1), ([-1, 1, 0], lambda a, b, c: 1.1 * a),
        ([1, -1, 0], lambda a, b, c: 0.3 * b), ([0, -1, 1], lambda a, b, c: 0.9 * b),
        ([0, 0, -1], lambda a, b, c: 1.6 * c),
    ]  # fmt: skip
    found = exact.monomolecular(
        [8, 8, 8],
        0.5,
        start=[2, 0, 1],
        conversion=[[0, 1.1, 0], [0.3, 0, 0.9], [0, 0, 0]],
        birth=[0.1, 0, 0],
        death=[0, 0, 1.6],
    )
    close(found, transient([8, 8, 8], reactions, [2, 0, 1], 0.5), atol=5e-13)


def test_closed_monomolecular_chain():
    reactions = [([-1, 1, 0], lambda a, b, c: 1.1 * a), ([0, -1, 1], lambda a, b, c: 0.9 * b)]
    conversion = [[0, 1.1, 0], [0, 0, 0.9], [0, 0, 0]]
    found = exact.monomolecular([7, 7, 7], 0.5, start=[5, 2, 0], conversion=conversion)
    close(found, transient([7, 7, 7], reactions, [5, 2, 0], 0.5))


@pytest.mark.parametrize("total", [20, 21])
def test_dimerization(total):
    reactions = [([-2, 1], lambda a, b: 0.2 * a * (a - 1) / 2), ([2, -1], lambda a, b: 0.5 * b)]
    states, p = exact.dimerization(total=total, forward=0.2, backward=0.5)
    close(p, stationary([total, total // 2], reactions, [total, 0])[tuple(states.T)])


def test_binding():
    reactions = [([-1, -1, 1], lambda a, b, c: 0.2 * a * b), ([1, 1, -1], lambda a, b, c: 0.5 * c)]
    states, p = exact.binding(total_a=7, total_b=5, forward=0.2, backward=0.5)
    close(p, stationary([7, 5, 5], reactions, [7, 5, 0])[tuple(states.T)])


def telegraph_reactions(on, off, make, death):
    return [
        ([1, 0], lambda g, m: on * (1 - g)), ([-1, 0], lambda g, m: off * g),
        ([0, 1], lambda g, m: make * g), ([0, -1], lambda g, m: death * m),
    ]  # fmt: skip


def test_stationary_telegraph():
    found = exact.telegraph_stationary(np.arange(50), **TELEGRAPH)
    close(found, stationary([1, 49], telegraph_reactions(**TELEGRAPH), [0, 0]))


@pytest.mark.parametrize(("start", "start_on"), [(0, False), (0, True), (7, True)])
def test_transient_telegraph(start, start_on):
    found = exact.telegraph(np.arange(50), 0.9, **TELEGRAPH, start=start, start_on=start_on)
    close(found, transient([1, 49], telegraph_reactions(**TELEGRAPH), [int(start_on), start], 0.9))
    later = exact.telegraph(np.arange(50), 80.0, **TELEGRAPH, start=start, start_on=start_on)
    close(later, exact.telegraph_stationary(np.arange(50), **TELEGRAPH), atol=1e-15)


@pytest.mark.parametrize("lose_bound", [0.0, 0.25])
def test_self_regulating_gene(lose_bound):
    rates = GENE | {"lose_bound": lose_bound}
    reactions = [
        ([0, 1], lambda g, m: np.where(g, rates["make_bound"], rates["make_free"])),
        ([0, -1], lambda g, m: rates["death"] * m),
        ([1, -1], lambda g, m: rates["bind"] * (1 - g) * m),
        ([-1, 1], lambda g, m: rates["unbind"] * g),
        ([-1, 0], lambda g, m: lose_bound * g),
    ]
    found = exact.self_regulating_gene(np.arange(60), **rates)
    close(found, stationary([1, 59], reactions, [0, 0]))
