"""Ranges of single numbers hold for every distribution within the 1-norm error, and are no wider than it makes them.

The exact p lives on the stored states and on two that are not stored; y has what rounding and solvers made of it.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

import fsp
from fsp.arithmetic import SUM_ROUNDING
from fsp.distribution import bounds
from fsp.distribution.ledger import Interval
from fsp.moments.envelope_rules import Envelope

N, AWAY = 9, 2  # states that are stored, and that are not
SIZES = [0.0, 1e-12, 1e-3, 0.2]
ROUNDED = 1e-13  # more than sums of a few numbers are rounded


def pairs(rng, size, away=AWAY):
    """Yield (exact (N + away,), stored (N,), 1-norm distance): spread, and concentrated where it matters most."""
    for trial in range(40):
        p = rng.dirichlet(np.ones(N + away))
        y = p[:N].copy()
        if trial % 2:  # all that is lost in one place, all that is won in another
            first, second = rng.choice(N, 2, replace=False)
            moved = min(size / 2, y[first])
            y[first] -= moved
            y[second] += moved * rng.choice([0.0, 1.0])
        else:
            y *= 1.0 + size * rng.uniform(-1.0, 0.0, N)
        yield p, y, float(np.abs(p[:N] - y).sum() + p[N:].sum())


def ledger(error):
    return fsp.ErrorLedger(integration=error)


@pytest.mark.parametrize("size", SIZES)
def test_events(size, rng):
    for p, y, error in pairs(rng, size):
        for _ in range(10):
            mask = rng.random(N) < 0.5
            found = bounds.event(y, mask, ledger(error))
            inside = float(p[:N][mask].sum())
            for outside in (0.0, float(p[N:].sum())):  # states that are not stored may be in the event
                assert found.lower - ROUNDED <= inside + outside <= found.upper + ROUNDED
            assert 0.0 <= found.lower <= found.value <= found.upper <= 1.0
            assert found.value == min(max(float(y[mask].sum()), found.lower), found.upper)
            assert found.width <= error + 2.0 * ROUNDED
            assert found.certified


def test_events_are_sharp_and_rounded_outwards():
    y = np.array([0.5, 0.25, 0.25])
    lower, upper = bounds.event(y, np.array([True, False, False]), ledger(0.0))
    assert lower < 0.5 < upper
    assert upper - lower <= 4.0 * SUM_ROUNDING
    for mask, certain in ((np.ones(3, bool), 1.0), (np.zeros(3, bool), 0.0)):
        found = bounds.event(y, mask, ledger(1e-3))
        assert certain in found
        assert found.width <= 5e-4 + ROUNDED


@pytest.mark.parametrize("size", SIZES)
def test_single_states(size, rng):
    for p, y, error in pairs(rng, size):
        lower, upper = bounds.single_states(y, float(y.sum()), ledger(error))
        assert (lower - ROUNDED <= p[:N]).all()
        assert (p[:N] <= upper + ROUNDED).all()
        assert (lower >= 0.0).all()
        assert (upper <= 1.0).all()
        assert (upper - lower <= error + 2.0 * ROUNDED).all()
        for k in range(N):
            one = bounds.single_state(float(lower[k]), float(upper[k]), float(y[k]), ledger(error))
            assert tuple(one) == (lower[k], upper[k])
            assert one.value == min(max(y[k], lower[k]), upper[k])


def test_ends_that_crossed_by_rounding_are_one():
    crossed = bounds.single_state(0.3, 0.2, 0.25, ledger(0.0))
    assert (crossed.lower, crossed.upper, crossed.value) == (0.3, 0.3, 0.3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shift", [0.0, -4.0, -20.0, 3.0])
def test_means_where_all_states_are_stored(size, shift, rng):
    values = np.arange(N) + shift
    for p, y, error in pairs(rng, size, away=0):
        found = bounds.closed_mean(y, values, ledger(error))
        mean = float(p @ values)
        spread = float(np.ptp(values))
        slack = ROUNDED * (1.0 + np.abs(values).max())
        assert found.lower - slack <= mean <= found.upper + slack
        assert values.min() <= found.lower <= found.value <= found.upper <= values.max()
        assert found.width <= error * spread + 2.0 * slack
        assert found.value == min(max(bounds.stored_mean(y, values), found.lower), found.upper)
        assert bounds.stored_mean(y, values) == pytest.approx(y @ values / y.sum())


def test_means_of_functions_that_nothing_bounds():
    found = bounds.unbounded_mean(np.array([0.5, 0.25]), np.array([1.0, 4.0]))
    assert (found.lower, found.upper, found.value, found.certified) == (-np.inf, np.inf, 2.0, False)


class Tails:
    """What a model would say of moments, from the exact distribution: the most that a part of it can have."""

    reason = "no reason"

    def __init__(self, p, known=None):
        self.p, self.known = p, known

    def tail(self, alpha, weight):
        values = np.array([math.prod(x - k for k in range(alpha[0])) for x in range(len(self.p))], dtype=float)
        total = 0.0
        for k in np.argsort(-values):
            part = min(weight, self.p[k])
            total, weight = total + part * values[k], weight - part
        return total

    def mean(self, polynomial):
        return self.known


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (1, -4), (-2, 3), (1, -20), (-1, 0)])
@pytest.mark.parametrize("most", [0, 1])
def test_means_where_polynomials_bound_the_tail(size, slope, offset, most, rng):
    """``slope x + offset``, or ``max(slope x + offset, 0)``: far out they may have probability that is not stored."""
    line = {(Fraction(1),): Fraction(slope), (Fraction(0),): Fraction(offset)}
    line = {powers: c for powers, c in line.items() if c}
    enclosing = Envelope({}, {powers: c for powers, c in line.items() if c > 0}) if most else Envelope(line, line)
    x = np.arange(N + AWAY)
    values = np.maximum(slope * x + offset, 0.0) if most else slope * x + float(offset)
    for p, y, error in pairs(rng, size):
        found = bounds.tail_mean(y, values[:N], ledger(error), enclosing, Tails(p), 0.0)
        mean, scale = float(p @ values), 1.0 + np.abs(values).max()
        assert found.certified
        assert found.value == min(max(bounds.stored_mean(y, values[:N]), found.lower), found.upper)
        assert found.lower - ROUNDED * scale <= mean <= found.upper + ROUNDED * scale
        assert found.lower <= found.value <= found.upper
        # all that was lost or won may be where the function is largest
        assert found.width <= 4.0 * error * (abs(slope) * (N + AWAY) + abs(offset)) + 2.0 * ROUNDED * scale


def test_means_that_no_polynomial_bounds_are_open():
    y, values = np.array([0.5, 0.5]), np.array([1.0, 3.0])
    for enclosing in (Envelope(None, {}), Envelope({}, None)):
        found = bounds.tail_mean(y, values, ledger(0.0), enclosing, Tails(y), 0.0)
        assert (found.certified, found.value, found.reason) == (False, 2.0, bounds.UNBOUNDED_FORMULA)
        assert not np.isfinite(found.lower)
        assert not np.isfinite(found.upper)


def test_equations_narrow_an_interval():
    line = {(Fraction(1),): Fraction(1)}
    interval = Interval(1.0, 4.0, 2.0, certified=True)
    found = [
        (bounds.with_equations(interval, Envelope(line, line), Tails(None, known)), expected)
        for known, expected in (((2.5, 3.0), (2.5, 3.0)), ((0.0, 1.5), (1.0, 1.5)), ((3.5, 9.0), (3.5, 4.0)))
    ]
    for interval, expected in found:
        assert tuple(interval) == expected
        assert interval.value == min(max(2.0, expected[0]), expected[1])
    apart = bounds.with_equations(interval, Envelope(line, line), Tails(None, (5.0, 6.0)))
    assert tuple(apart) == (5.0, 6.0)  # what does not agree cannot both be a bound: the equations are
    open_ = bounds.with_equations(
        bounds.unbounded_mean(np.ones(1), np.ones(1)), Envelope(line, line), Tails(None, (5.0, 6.0))
    )
    assert (*open_, open_.certified) == (5.0, 6.0, True)
    assert bounds.with_equations(interval, Envelope({}, line), Tails(None, (2.0, 3.0))) is interval
    assert bounds.with_equations(interval, Envelope(line, line), Tails(None, None)) is interval


@pytest.mark.parametrize("off", [0.0, 1e-9, 0.1, 3.0])
@pytest.mark.parametrize("centre", [4.0, 0.0, 9.0])
def test_variances(off, centre, rng):
    for _ in range(40):
        p, x = rng.dirichlet(np.ones(N)), np.arange(N)
        mean, square = float(p @ x), float(p @ (x - centre) ** 2)
        ends = [sorted(rng.uniform(-off, off, 2)) for _ in range(2)]
        about = Interval(mean + min(ends[0][0], 0.0), mean + max(ends[0][1], 0.0), mean, certified=True)
        spread = Interval(square + min(ends[1][0], 0.0), square + max(ends[1][1], 0.0), square, certified=True)
        exact = float(p @ (x - mean) ** 2)
        found = bounds.variance(about, spread, centre, exact)
        assert found.lower - 1e-12 <= exact <= found.upper + 1e-12
        assert 0.0 <= found.lower <= found.upper
        assert found.value == min(max(exact, found.lower), found.upper)
        farthest = max(abs(about.lower - centre), abs(about.upper - centre))
        assert found.width <= spread.width + 2.0 * farthest * about.width + 1e-12 * (1.0 + farthest**2)
        assert found.certified


def test_a_variance_of_which_an_end_is_not_known_is_open():
    nothing = Interval(-np.inf, np.inf, 2.0, certified=False, reason="why")
    found = bounds.variance(nothing, Interval(0.0, 1.0, 0.5, certified=True), 2.0, 0.5)
    assert (found.lower, found.upper, found.value) == (0.0, np.inf, 0.5)
    assert (found.certified, found.reason) == (False, "why")
    found = bounds.variance(Interval(1.0, 2.0, 1.5, certified=True), nothing, 2.0, 0.5)
    assert (found.certified, found.reason) == (False, "why")


@pytest.mark.parametrize("size", SIZES)
def test_quantiles(size, rng):
    for p, y, error in pairs(rng, size, away=3):
        counts = np.array([1, 2, 3, 5, 6, 8, 9, 10, 11])  # those that are not stored lie below, between and above
        known = np.append(counts, [0, 4, 12])
        order = np.argsort(known)
        level = float(rng.choice([0.05, 0.5, 0.95, rng.uniform(0.01, 0.99)]))
        exact = known[order][np.searchsorted(np.cumsum(p[order]), level)]
        stored = int(counts[min(np.searchsorted(np.cumsum(y) / y.sum(), level), N - 1)])
        found = bounds.quantile((y, counts.astype(float)), level, stored, ledger(error + ROUNDED))
        assert found.lower <= exact <= found.upper
        assert found.certified


def test_quantiles_without_error_are_known():
    y = np.array([0.5, 0.25, 0.25])
    counts = np.array([0.0, 2.0, 3.0])
    for level, exact in ((0.4, 0), (0.6, 2), (0.7, 2), (0.9, 3)):
        assert tuple(bounds.quantile((y, counts), level, exact, ledger(0.0))) == (exact, exact)
    assert math.isinf(bounds.quantile((0.9 * y, counts), 0.95, 3, ledger(0.1)).upper)


def rounded_up(number):
    """Return the least double that is at least a rational."""
    return float(number) if Fraction(float(number)) >= number else math.nextafter(float(number), math.inf)


def farthest(rng, lost_at, trials=200):
    """Yield y (N,), the ledger of its error, and by how much an event may exactly gain and lose, as rationals.

    The stored state `lost_at`, or any, loses what one state gains; what is missing of 1 is added to that.
    """
    for trial in range(trials):
        y = rng.dirichlet(np.ones(N)) * rng.choice([1.0, 1.0 - 1e-12, 0.99, 1e-3])
        least = y.min() if lost_at is None else y[lost_at]
        lost = Fraction(float(least * rng.choice([1e-14, 1e-6, 0.5]))) if trial % 4 else Fraction(0)
        gained = lost + 1 - sum(map(Fraction, y.tolist()))
        if gained < 0:  # rounded: more than 1 is stored, and lost
            gained, lost = Fraction(0), lost - gained
        yield y, ledger(rounded_up(gained + lost)), gained, lost


def exactly(numbers):
    return sum(map(Fraction, np.asarray(numbers, dtype=float).tolist()), Fraction(0))


def test_events_hold_in_exact_arithmetic(rng):
    for y, error, gained, lost in farthest(rng, None):
        mask = rng.random(N) < 0.5
        if not 0 < mask.sum() < N:
            continue
        found = bounds.event(y, mask, error)
        assert Fraction(found.upper) >= exactly(y[mask]) + gained
        assert Fraction(found.lower) <= exactly(y[mask]) - lost


@pytest.mark.parametrize("n", [N, 60])
def test_events_and_quantiles_of_sums_that_were_rounded_hold_in_exact_arithmetic(n, rng):
    """Of marginals: each y was summed, with a relative error of `SUM_ROUNDING`, here upwards in an event alone."""
    counts = np.arange(1.0, n + 1.0)
    for _ in range(200):
        y, k = rng.dirichlet(np.ones(n)), int(rng.integers(n // 2, n - 1))
        mask = counts <= k + 1
        for sign in (1, -1):
            exact = [
                Fraction(a) * (1 + (sign if here else -sign) * Fraction(SUM_ROUNDING))
                for a, here in zip(y, mask, strict=True)
            ]
            inside, missing = sum(exact[: k + 1]), 1 - sum(exact)
            error = abs(missing) + Fraction(1, 10**12)
            gained, lost = (error + missing) / 2, (error - missing) / 2
            found = bounds.event(y, mask, ledger(rounded_up(error)))
            if sign > 0:
                assert Fraction(found.upper) >= inside + gained
                level = math.nextafter(float(inside + gained), 0.0)
                assert bounds.quantile((y, counts), level, k, ledger(rounded_up(error))).lower <= counts[k]
            else:
                assert Fraction(found.lower) <= inside - lost
                level = math.nextafter(float(inside - lost), 1.0)
                assert bounds.quantile((y, counts), level, k, ledger(rounded_up(error))).upper >= counts[k + 1]


def test_single_states_hold_in_exact_arithmetic(rng):
    for y, error, gained, lost in farthest(rng, None):
        lower, upper = bounds.single_states(y, float(y.sum()), error)
        for k in range(N):
            assert Fraction(upper[k]) >= Fraction(y[k]) + gained
            assert Fraction(lower[k]) <= Fraction(y[k]) - lost
        assert gained + lost <= Fraction(bounds.half_width(float(y.sum()), error)) <= error.total + ROUNDED


def test_quantiles_hold_in_exact_arithmetic(rng):
    """What is gained lies below all stored counts, or above them, as what is lost does on the other side."""
    counts = np.arange(1.0, N + 1.0)
    for y, error, gained, lost in farthest(rng, 0):
        cumulated = [exactly(y[: k + 1]) for k in range(N)]
        k = int(rng.integers(0, N - 1))
        level = float(cumulated[k] + gained)
        level = math.nextafter(level, 0.0) if Fraction(level) > cumulated[k] + gained else level
        if 0.0 < level < 1.0:  # F(k) = y + gained reaches it
            found = bounds.quantile((y, counts), level, int(counts[k]), error)
            assert found.lower <= counts[k]
            for value in (-1, int(counts[k]), 2 * N):
                found = bounds.quantile((y, counts), level, value, error)
                assert found.value == min(max(value, found.lower), found.upper)
        level = math.nextafter(float(cumulated[k] - lost), 1.0)
        if Fraction(level) > cumulated[k] - lost and level < 1.0:  # F(k) = y - lost does not
            found = bounds.quantile((y, counts), level, int(counts[k]), error)
            assert found.upper >= counts[k + 1]
            assert found.lower <= found.value <= found.upper
        level = float(gained)
        level = math.nextafter(level, 0.0) if Fraction(level) > gained else level
        if 0.0 < level < 1.0:  # what is gained alone reaches it, below
            assert bounds.quantile((y, counts), level, int(counts[0]), error).lower == 0.0


def test_a_quantile_that_no_stored_count_reaches_is_the_last_one_or_beyond():
    y, counts = np.array([0.5, 0.25, 0.125]), np.array([0.0, 2.0, 7.0])
    found = bounds.quantile((y, counts), 0.999, 7, ledger(0.125))
    assert (found.lower, found.upper) == (7.0, math.inf)


@pytest.mark.parametrize("offset", [0.0, -3.7, -30.0, 1e6])
def test_means_on_all_states_hold_in_exact_arithmetic(offset, rng):
    values = rng.uniform(0.0, 9.0, N) + offset
    high, low = int(values.argmax()), int(values.argmin())
    for place, away in ((low, high), (high, low)):  # lost at one, gained at the other
        for y, error, gained, lost in farthest(rng, place):
            mean = sum(Fraction(a) * Fraction(b) for a, b in zip(y.tolist(), values.tolist(), strict=True))
            mean += gained * Fraction(values[away]) - lost * Fraction(values[place])
            found = bounds.closed_mean(y, values, error)
            assert Fraction(found.lower) <= mean <= Fraction(found.upper)


class NoTail:
    """A model by which the part of a distribution that weighs w has at most w times `most` of each moment."""

    reason = ""

    def __init__(self, most):
        self.most = most

    def tail(self, alpha, weight):
        return weight * self.most

    def mean(self, polynomial):
        return None


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (1, -20), (-1, 0), (-3, 40)])
def test_means_with_a_tail_lose_at_most_what_is_stored_too_much(slope, offset, rng):
    """Where more than 1 is stored, p lacks it at the state of the greatest or the least value: nothing is gained."""
    line = {(Fraction(1),): Fraction(slope), (Fraction(0),): Fraction(offset)}
    line = {powers: c for powers, c in line.items() if c}
    x = np.arange(N)
    values = slope * x + float(offset)
    for place in (int(values.argmax()), int(values.argmin())):
        for _ in range(50):
            p = rng.dirichlet(np.ones(N))
            y = p.copy()
            y[place] += (more := float(rng.choice([0.25, 1e-3, 1e-9])))
            lost = exactly(y) - 1
            exact = sum(Fraction(a) * Fraction(b) for a, b in zip(y.tolist(), values.tolist(), strict=True))
            mean = exact - lost * Fraction(values[place])
            for most in (1e9, 1.0):  # of the moments of all of p: far above, and where it decides nothing
                error = ledger(rounded_up(lost))
                found = bounds.tail_mean(y, values, error, Envelope(line, line), NoTail(most * (N - 1)), 0.0)
                assert Fraction(found.lower) <= mean <= Fraction(found.upper) or most == 1.0
                if most == 1e9:
                    assert found.width <= more * (np.abs(values).max() + max(values.max(), -values.min())) + 1e-3


def test_means_without_a_polynomial_are_open_at_both_ends():
    y, values = np.array([0.5, 0.5]), np.array([1.0, 3.0])
    found = bounds.tail_mean(y, values, ledger(0.0), Envelope(None, {}), Tails(y), 0.0)
    assert tuple(found) == (-math.inf, math.inf)


def test_tails_hold_in_exact_arithmetic(rng):
    for _ in range(100):
        polynomial = {(k,): Fraction(int(rng.integers(1, 9)), int(rng.integers(1, 9))) for k in range(3)}
        weight, most = float(rng.uniform()), float(rng.uniform(0.0, 9.0))
        exact = sum(polynomial.values()) * Fraction(NoTail(most).tail((0,), weight))
        assert Fraction(bounds._tail(polynomial, NoTail(most), weight)) >= exact
        assert bounds._tail({(1,): Fraction(1)}, NoTail(most), weight) == weight * most  # nothing to round
        third = {(1,): Fraction(1, 3)}
        assert Fraction(bounds._tail(third, NoTail(most), weight)) >= Fraction(1, 3) * Fraction(weight * most)


def test_variances_hold_in_exact_arithmetic(rng):
    for _ in range(400):
        centre = float(rng.choice([0.0, 0.1, 7.3]))
        mean = centre + float(rng.uniform(-1.0, 1.0)) * float(rng.choice([1.0, 1e3]))
        moved = Fraction(mean) - Fraction(centre)
        square = math.nextafter(float(moved**2), math.inf) * (1.0 + float(rng.choice([0.0, 1e-15, 1.0])))
        exact = Fraction(square) - moved**2
        known = (Interval(end, end, end, certified=True) for end in (mean, square))
        found = bounds.variance(*known, centre, 0.0)
        assert Fraction(found.lower) <= exact <= Fraction(found.upper)
