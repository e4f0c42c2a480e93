"""First passages against closed forms: laws, means, which target is reached first, and what is never reached."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import as_model, open_networks
from scipy import sparse
from scipy.linalg import expm
from scipy.stats import binom
from written_networks import network

import fsp
from fsp.command.main import main
from fsp.moments.lyapunov import drift_condition
from fsp.passages import systems
from fsp.passages.average import Average
from fsp.passages.certificate import PassageCertifier
from fsp.passages.targets import Targets
from fsp.projection.start import starting_point

SHARP = 1e-6  # relative width that is asked for


def birth_death_chain(up, down, start, end):
    """Return E T and E T² of the passage of a chain on the counts from `start` up to `end`: nothing is subtracted.

    The mean time from n to n + 1 is t = (1 + down t')/up, with t' that from n - 1; of the second moments likewise.
    """
    first = second = mean = square = 0
    for n in range(end):
        a, b = up(n), down(n)
        before, before_square = first, second
        first = (1 + b * before) / a
        second = (2 * first + b * (before_square + 2 * before * first)) / a
        if n >= start:
            square += second + 2 * mean * first
            mean += first
    return mean, square


def immigration_death(birth="2", death="1", start=0):
    return network({"X": start}, ("0 -> X", "mass_action", float(birth)), ("X -> 0", "mass_action", float(death)))


def schloegl(volume):
    a, b, k, d = 0.03 / volume, 1e-4 / volume**2, 200.0 * volume, 3.5
    model = network(
        {"X": 0},
        ("2 X -> 3 X", "mass_action", a),
        ("3 X -> 2 X", "mass_action", b),
        ("0 -> X", "mass_action", k),
        ("X -> 0", "mass_action", d),
    )
    return model, lambda n: a * n * (n - 1) / 2 + k, lambda n: b * n * (n - 1) * (n - 2) / 6 + d * n


def queue(arrivals=1.0, services=1.5, start=1):
    return network(
        {"X": start}, ("0 -> X", "mass_action", arrivals), ("X -> 0", "rate", f"piecewise({services}, X > 0, 0)")
    )


def linear_birth_death(birth, death, start=1):
    return network({"X": start}, ("X -> 2 X", "mass_action", birth), ("X -> 0", "mass_action", death))


def holds(interval, exact, width=SHARP):
    """Require a proof that is sharp and true."""
    assert interval.certified, interval
    assert interval.lower <= exact <= interval.upper, (interval, exact)
    assert interval.width <= width * max(abs(exact), 1e-300)


def test_decay_ends_by_its_closed_law():
    times = np.array([0.0, 0.3, 1.0, 4.0])
    found = fsp.passage(network({"X": 3}, ("X -> 0", "mass_action", 1.0)), "X == 0", times, tol=1e-9)
    exact, density = (1 - np.exp(-times)) ** 3, 3 * np.exp(-times) * (1 - np.exp(-times)) ** 2
    assert (found.cdf.lower <= exact).all()
    assert (exact <= found.cdf.upper).all()
    assert (found.cdf.upper - found.cdf.lower <= 2e-9).all()
    assert (found.survival.lower <= 1 - exact).all()
    assert (1 - exact <= found.survival.upper).all()
    assert found.density.certified
    assert (found.density.lower <= density).all()
    assert (density <= found.density.upper).all()
    assert (found.density.upper - found.density.lower < 1e-7).all()
    holds(found.mean(), 1 + 1 / 2 + 1 / 3)
    holds(found.variance(), 1 + 1 / 4 + 1 / 9)
    holds(found.probability(), 1.0)
    half = found.quantile(0.5)
    assert (half.lower, half.upper) == (1.0, 4.0)
    assert not found.quantile(1 - 1e-6).certified


@pytest.mark.parametrize("end", [1, 5, 14, 20, 25])
def test_means_of_seventeen_decades_have_all_their_digits(end):
    mean, square = birth_death_chain(lambda n: Fraction(2), lambda n: n, 0, end)
    found = fsp.passage(immigration_death(), f"X >= {end}")
    holds(found.mean(), mean, 1e-11)
    holds(found.moment(2), square, 1e-11)


@pytest.mark.parametrize(("volume", "end"), [(1, 20), (1, 500), (2, 1000)])
def test_schloegl_switches_as_sums_say(volume, end):
    model, up, down = schloegl(volume)
    mean, _ = birth_death_chain(up, down, 0, end)
    holds(fsp.passage(model, f"X >= {end}", orders=1).mean(), mean, 1e-9)


def test_busy_period_of_a_queue_on_infinitely_many_states():
    """Moments of the busy period of M/M/1: 1/(m - l), 2 m/(m - l)³, 6 m (m + l)/(m - l)⁵."""
    found = fsp.passage(queue(), "X == 0", orders=3)
    holds(found.mean(), 2.0)
    holds(found.moment(2), 24.0)
    holds(found.moment(3), 6 * 1.5 * 2.5 / 0.5**5)
    start = fsp.passage(queue(start=7), "X == 0", orders=1)
    holds(start.mean(), 14.0)
    place = np.flatnonzero(start.states[:, 0] == 3)[0]
    assert start.mean_from[0, place] <= 6.0 <= start.mean_from[1, place]


def test_gambler_is_ruined_or_wins():
    found = fsp.passage(
        network({"X": 5}, ("X -> 2 X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.2)),
        {"win": "X >= 40", "ruin": "X == 0"},
        [1.0, 5.0],
    )
    win = (Fraction("1.2") ** 5 - 1) / (Fraction("1.2") ** 40 - 1)
    holds(found.probability("win"), win, 1e-9)
    holds(found.probability("ruin"), 1 - win, 1e-9)
    holds(found.probability(), 1.0)
    whole = sum(found.mean(name).value * found.probability(name).value for name in found.targets)
    assert whole == pytest.approx(found.mean().value, rel=1e-9)
    both = found.first[0].lower + found.first[1].lower
    assert (both <= found.cdf.upper).all()
    assert (found.cdf.lower <= found.first[0].upper + found.first[1].upper).all()
    assert "win first with probability" in str(found)
    committor = (1.2 ** found.states[:, 0] - 1) / (1.2**40 - 1)
    low, high = found.first_from[:, 0]
    assert (low <= committor * (1 + 1e-12)).all()
    assert (committor <= high * (1 + 1e-12)).all()
    assert (high - low <= SHARP * committor).all()


def test_extinction_is_sure_possible_or_takes_forever():
    holds(fsp.passage(linear_birth_death(1.0, 1.2), "X == 0").mean(), math.log(1.2 / 0.2))
    growing = fsp.passage(linear_birth_death(1.2, 1.0, start=3), "X == 0")
    holds(growing.probability(), Fraction(10, 12) ** 3)
    holds(growing.never, 1 - Fraction(10, 12) ** 3)
    assert tuple(growing.mean()) == (math.inf, math.inf)
    assert growing.mean().certified
    critical = fsp.passage(linear_birth_death(1.0, 1.0), "X == 0")
    assert critical.never.lower == 0.0
    assert critical.mean().lower == math.inf
    assert critical.mean().certified


def test_unknown_means_say_that_they_are():
    """An immigrant now and then, so that the count comes back, after a mean time that no linear function bounds."""
    model = network({"X": 2, "Y": 0}, ("2 X -> 3 X", "mass_action", 1e-3), ("X -> 0", "mass_action", 1.0))
    found = fsp.passage(model, "X == 0", orders=1, max_states=300)
    mean = found.mean()
    assert mean.upper == math.inf
    assert not mean.certified or mean.lower == math.inf


def test_what_is_ever_reached_is_the_rest_of_what_never_is():
    model = network({"X": 1, "Y": 0}, ("X -> 0", "mass_action", 1.0), ("X -> Y", "mass_action", 2.0))
    found = fsp.passage(model, {"one": "Y == 1", "two": "Y == 2"})
    assert found.probability().value == pytest.approx(2 / 3, abs=1e-12)
    wide = replace(found, never=fsp.Interval(0.2, 0.4, 0.3, certified=True)).probability()
    assert wide.certified
    assert 0.6 - 1e-15 <= wide.lower <= 0.6
    assert 0.8 <= wide.upper <= 0.8 + 1e-15


def test_what_is_trapped_or_cannot_come_is_told_exactly():
    fork = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    found = fsp.passage(fork, "B > 0")
    holds(found.probability(), 0.25)
    holds(found.never, 0.75)
    assert found.mean().lower == math.inf
    apart = network(
        {"A": 1, "B": 0},
        ("0 -> B", "mass_action", 0.1),
        ("B -> 0", "mass_action", 0.05),
        ("A -> 0", "mass_action", 0.1),
    )
    no_way = fsp.passage(apart, "A >= 2")
    assert tuple(no_way.probability()) == (0.0, 0.0)
    assert no_way.never.lower > 1 - 1e-9
    assert no_way.mean().lower == math.inf
    down = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    never = fsp.passage(down, "X > 5", [1.0])
    assert tuple(never.probability()) == (0.0, 0.0)
    assert never.cdf.lower[0] == 0.0
    at_once = fsp.passage(down, "X > 2", [1.0])
    assert tuple(at_once.mean()) == (0.0, 0.0)
    assert tuple(at_once.probability()) == (1.0, 1.0)


def test_a_switch_of_rate_1e_10_has_its_digits():
    model = network(
        {"A": 1, "B": 0, "M": 0},
        ("A -> B", "mass_action", 1e-10),
        ("B -> A", "mass_action", 1.0),
        ("A -> A + M", "mass_action", 3.0),
        ("M -> 0", "mass_action", 1.0),
    )
    found = fsp.passage(model, "B > 0")
    holds(found.mean(), 1e10, 1e-9)
    holds(found.moment(2), 2e20, 1e-9)


def test_starts_are_averaged():
    """From the stationary law the mean is Σ π m, in which counts at and above the target have passed at once."""
    model = immigration_death("9", "1")
    means = [float(birth_death_chain(lambda n: 9.0, lambda n: n, x, 20)[0]) for x in range(20)]
    pi = np.exp(-9.0) * np.cumprod(np.concatenate([[1.0], 9.0 / np.arange(1, 20)]))
    exact = float(pi @ means)
    found = fsp.passage(model, "X >= 20", [1.0], start="stationary", orders=1)
    holds(found.mean(), exact)
    later = fsp.transient(model, [2.0], tol=1e-9)
    poisson = 9.0 * -math.expm1(-2.0)
    law = np.exp(-poisson) * np.cumprod(np.concatenate([[1.0], poisson / np.arange(1, 20)]))
    gone_on = fsp.passage(model, "X >= 20", [1.0], start=later, orders=1)
    holds(gone_on.mean(), float(law @ means))
    low = fsp.passage(model, "X == 0", start="stationary", orders=1)
    assert low.mean().certified


def test_a_network_that_starts_in_a_distribution_passes_from_it():
    model = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    begun = model.starting_in(np.array([[1], [2]]), np.array([0.5, 0.5]))
    holds(fsp.passage(begun, "X == 0").mean(), 1.25)


def test_starts_with_an_error_leave_room_for_it():
    """A law with half of its mass unknown may as well have it where the passage takes longest, or at the target."""
    model = immigration_death("9", "1")
    ledger = fsp.ErrorLedger(truncation=0.5)
    half = fsp.Distribution(np.array([[9]]), np.array([0.5]), ("X",), t=0.0, error=ledger)
    question = fsp.passage(model, "X >= 20", start=half, tol=0.6, orders=1)
    means = [float(birth_death_chain(lambda n: 9.0, lambda n: n, x, 20)[0]) for x in range(20)]
    assert question.mean().lower <= 0.5 * means[9]
    assert question.mean().reason == "no moments of the start are known"
    kept = fsp.Distribution(np.array([[9]]), np.array([0.5]), ("X",), t=0.0, error=ledger, closed=True)
    start = starting_point(Targets.read(model, "X >= 20").stopping(model), kept, 0.6)
    average = Average(start)
    low, high = average.bounds(np.array([[3.0], [4.0]]), 10.0)
    assert low <= 1.5
    assert high >= 2.0 + 5.0


def test_an_estimated_start_has_estimated_passages():
    model = immigration_death("9", "1")
    guessed = fsp.ErrorLedger(truncation=1e-9, certified=False)
    start = fsp.Distribution(np.array([[9]]), np.array([1.0 - 1e-10]), ("X",), t=0.0, error=guessed)
    found = fsp.passage(model, {"up": "X >= 20", "down": "X == 0"}, [1.0], start=start)
    assert not found.cdf.certified
    assert not found.probability("up").certified
    assert not found.probability().certified
    assert not found.mean().certified


def test_laws_where_rates_depend_on_time():
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    times = np.array([0.5, 2.0, 5.0])
    found = fsp.passage(model, "X >= 1", times)
    exact = 1 - np.exp(-(times + 1 - np.cos(times)))
    assert found.cdf.certified
    assert (found.cdf.lower <= exact).all()
    assert (exact <= found.cdf.upper).all()
    assert not found.probability().certified
    with pytest.raises(fsp.BackendError, match="depend on time"):
        found.mean()


@pytest.mark.parametrize(
    ("rate", "integral"),
    [
        ("1 + sin(time)", lambda t: t + 1 - np.cos(t)),
        ("time", lambda t: t**2 / 2),
        ("piecewise(2, time < 1, 0.5)", lambda t: np.minimum(2 * t, 1.5 + 0.5 * t)),
    ],
)
def test_hazards_of_the_time_have_their_law(rate, integral):
    """One molecule at a hazard k(t), both ways: it has passed with probability 1 - exp(-∫k)."""
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", f"A*({rate})"), ("B -> A", "rate", f"B*({rate})"))
    times = np.array([0.5, 1.0, 1.5, 3.0])
    law, exact = fsp.passage(model, "B > 0", times).cdf, -np.expm1(-integral(times))
    assert (law.lower <= exact).all()
    assert (exact <= law.upper).all()
    assert (law.upper - law.lower <= SHARP).all()


def test_the_law_alone_is_that_beside_moments():
    """Without moments nothing is asked of a space of its own, and what is not known says so."""
    model = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    alone, both = (fsp.passage(model, "X == 0", [0.5, 2.0], orders=n) for n in (0, 1))
    for curves in zip((alone.cdf, alone.density), (both.cdf, both.density), strict=True):
        np.testing.assert_array_equal(curves[0].upper, curves[1].upper)
        np.testing.assert_array_equal(curves[0].lower, curves[1].lower)
    with pytest.raises(fsp.BackendError, match="`orders=`"):
        alone.mean()
    assert not alone.never.certified
    assert "nan" not in str(alone)


def test_events_that_add_counts_pass():
    """Immigration N(t) at rate 1, and five molecules more from t = 1 on, which may lead to a target or beyond it."""
    model = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", mass_action=1.0)],
        events=[fsp.Event("time >= 1", {"X": "X + 5"})],
    )
    times = np.array([0.5, 1.5, 3.0])
    fewer = {n: np.exp(-times) * sum(times**k / math.factorial(k) for k in range(n)) for n in (1, 3, 6)}
    never = math.exp(-1.0) * 2.5  # fewer than three at t = 1
    for target, staying in (
        ("X >= 6", np.where(times < 1.0, fewer[6], fewer[1])),
        ("X == 3", np.where(times < 1.0, fewer[3], never)),
    ):
        law = fsp.passage(model, target, times).cdf
        assert law.certified
        assert (law.lower <= 1 - staying).all()
        assert (1 - staying <= law.upper).all()
        assert (law.upper - law.lower <= SHARP).all()


def test_events_do_not_move_what_has_passed():
    reactions = [fsp.Reaction("X -> 0", mass_action=1.0)]
    more = fsp.Model(species={"X": 1}, reactions=reactions, events=[fsp.Event("time >= 1", {"X": "X + 1"})])
    found = fsp.passage(more, "X == 0", [0.5, 1.5, 3.0])
    gone = 1 - np.exp(-1.0)
    exact = [1 - np.exp(-0.5), *(gone + (1 - gone) * (1 - np.exp(-(t - 1))) ** 2 for t in (1.5, 3.0))]
    assert found.cdf.certified
    for interval, p in zip(found.cdf, exact, strict=True):
        assert p in interval
    full = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", mass_action=2.0)], events=[fsp.Event("X >= 3", {"X": "7"})]
    )
    holds(fsp.passage(full, "X == 7").mean(), 1.5)


def test_a_function_is_as_good_as_a_formula():
    model = immigration_death("9", "1")
    by_text, by_call = (fsp.passage(model, target, [1.0]) for target in ("X >= 20", lambda counts: counts["X"] >= 20))
    assert by_call.mean().lower <= by_text.mean().upper
    assert by_text.mean().lower <= by_call.mean().upper
    assert by_call.cdf.upper[0] >= by_text.cdf.lower[0]
    with pytest.raises(fsp.BackendError, match="formulas"):
        _ = by_call.density


def test_any_small_space_leaves_room_for_the_truth():
    """Bounds on a box, whatever it cuts off, hold the busy period of a queue; the larger box has the sharper ones."""
    model = queue(start=2)
    targets = Targets.read(model, "X == 0")
    certifier = PassageCertifier(model, targets.stopping(model), targets, drift_condition(model), 2)
    widths = []
    for top in (3, 6, 20):
        found = certifier.attempt(fsp.StateSpace.box(model, upper={"X": top}), None)
        x = found.generator.space.states_at(found.stage.inside)[:, 0]
        for k, exact in enumerate([2.0 * x, 20.0 * x + (2.0 * x) ** 2]):
            low, high = found.moments[k]
            assert (low <= exact).all()
            assert (exact <= high * (1 + 1e-12)).all()
        widths.append(float((found.moments[0][1] - found.moments[0][0])[0]))
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.0


def test_excepted_states_are_waited_for():
    """Immigration at rate 9 drives low counts up: outside a box the mean is that from there into it, and on to zero."""
    model = immigration_death("9", "1", start=5)
    targets = Targets.read(model, "X == 0")
    certifier = PassageCertifier(model, targets.stopping(model), targets, drift_condition(model), 2)
    down, means = 0.0, []
    for n in range(300, 0, -1):
        down = (1.0 + 9.0 * down) / n
        means.append(down)
    exact = np.cumsum(means[::-1])  # from 1, 2, …
    for top in (20, 24, 40):
        found = certifier.attempt(fsp.StateSpace.box(model, upper={"X": top}), None)
        low, high = found.moments[0]
        assert np.isfinite(high).all()
        assert (low <= exact[: len(low)]).all()
        assert (exact[: len(high)] <= high * (1 + 1e-12)).all()
        beyond = np.arange(top + 1, 100)[:, None]
        over = found.above[0]
        assert (exact[top:99] <= over.alpha + over.values(beyond)).all()


def test_targets_beyond_the_space_are_reached():
    model = immigration_death()
    targets = Targets.read(model, "X >= 4")
    certifier = PassageCertifier(model, targets.stopping(model), targets, None, 1)
    found = certifier.attempt(fsp.StateSpace.box(model, upper={"X": 3}), None)
    assert found.hits[0, 0] == pytest.approx(np.ones(4), abs=1e-12)
    assert found.moments[0][1, 0] == pytest.approx(float(birth_death_chain(lambda n: 2.0, lambda n: n, 0, 4)[0]))


def test_probabilities_on_a_small_space_leave_room_for_the_truth():
    model = linear_birth_death(1.2, 1.0, start=2)
    targets = Targets.read(model, "X == 0")
    certifier = PassageCertifier(model, targets.stopping(model), targets, None, 1)
    for top in (3, 8, 30):
        found = certifier.attempt(fsp.StateSpace.box(model, upper={"X": top}), None)
        x = found.generator.space.states_at(found.stage.inside)[:, 0]
        exact = (1 / 1.2) ** x
        assert (found.hits[0, 0] <= exact).all()
        assert (exact <= found.hits[1, 0]).all()
        assert (found.never[0] <= 1 - exact).all()
        assert (1 - exact <= found.never[1]).all()
        assert found.hits[1, 0, -1] < 1.0
    back = immigration_death("9", "1", start=2)
    certifier = PassageCertifier(back, targets.stopping(back), targets, None, 1)
    found = certifier.attempt(fsp.StateSpace.box(back, upper={"X": 20}), None)
    assert (found.hits[1] == 1.0).all()
    assert (found.never[0] == 0.0).all()


def test_factorised_systems_bound_what_eliminated_ones_give(monkeypatch):
    model = fsp.load("tests/models/toggle_hill.ant").with_initial(U=25, V=5)
    eliminated = fsp.passage(model, "V > U", orders=1)
    monkeypatch.setattr(systems, "ExitTimes", lambda *args: (_ for _ in ()).throw(RuntimeError("too long")))
    factorised = fsp.passage(model, "V > U", orders=1)
    low, high = eliminated.mean()
    assert factorised.mean().certified
    assert factorised.mean().lower <= high
    assert low <= factorised.mean().upper
    assert factorised.mean().width <= SHARP * low


def test_residuals_are_charged():
    """A solver that is off by a thousandth has bounds that say so."""
    matrix = sparse.csr_array(np.array([[-2.0, 1.0], [1.0, -3.0]]))
    system = systems._FactorisedBounds(matrix, 1e-15)
    for side, dense, bounds in (
        (system._integrals, -matrix.toarray().T, system.bounds),
        (system._occupations, -matrix.toarray(), system.occupation_bounds),
    ):
        solve = side._factors.solve
        side._factors = SimpleNamespace(solve=lambda right, which, solve=solve: 0.9 * solve(right, which))
        low, high = bounds(np.array([1.0, 2.0]))
        exact = np.linalg.solve(dense, [1.0, 2.0])
        assert (low <= exact).all()
        assert (exact <= high).all()


@settings(max_examples=30, deadline=None)
@given(
    rates=st.lists(st.sampled_from([0.0, 1e-6, 0.3, 1.0, 40.0]), min_size=6, max_size=6),
    total=st.integers(1, 3),
    t=st.sampled_from([0.1, 2.0]),
)
def test_random_cycles_agree_with_dense_algebra(rates, total, t):
    """A, B and C change into each other; the target is C >= 1, against exponentials and solutions of dense matrices."""
    ways = [("A", "B"), ("B", "A"), ("A", "C"), ("C", "A"), ("B", "C"), ("C", "B")]
    model = network(
        {"A": total, "B": 0, "C": 0},
        *((f"{a} -> {b}", "mass_action", k) for (a, b), k in zip(ways, rates, strict=True)),
    )
    found = fsp.passage(model, "C >= 1", [t])
    n = np.arange(total + 1)  # of B, without C
    generator = np.zeros((total + 1, total + 1))
    for b in n:
        for step, rate in ((1, rates[0] * (total - b)), (-1, rates[1] * b)):
            if rate:
                generator[b + step, b] += rate
                generator[b, b] -= rate
        generator[b, b] -= rates[2] * (total - b) + rates[4] * b
    start = np.eye(total + 1)[0]
    assert 1 - (expm(generator * t) @ start).sum() in widened(found.cdf[0], 1e-12)
    left = rates[2] > 0 or (rates[0] > 0 and rates[4] > 0)
    stays = rates[0] > 0 and rates[2] == 0 and rates[4] == 0
    if not left or stays:
        assert tuple(found.probability()) == (0.0, 0.0)
    elif not (rates[0] > 0 and rates[4] == 0 and rates[1] == 0):  # no trap of all in B
        exact = float(np.linalg.solve(-generator, start).sum()) if np.linalg.cond(generator) < 1e9 else None
        assert found.mean().certified
        assert exact is None or exact in widened(found.mean(), 1e-6 * exact)


@settings(max_examples=15, deadline=None)
@given(described=open_networks(), most=st.integers(2, 5))
def test_laws_and_means_of_random_networks_agree(described, most):
    """The law by uniformization and the mean by elimination share no line: ∫ P(T > t) dt <= E T, t P(T > t) <= E T."""
    model = as_model(described)
    times = np.array([0.1, 0.5, 2.0, 8.0, 30.0])
    found = fsp.passage(model, f"{model.species[0]} >= {most}", times, orders=1, max_states=20_000)
    staying = found.survival
    until = float(np.diff(times, prepend=0.0) @ staying.lower)
    assert until <= found.mean().upper * (1 + 1e-12)
    assert (times * staying.lower <= found.mean().upper * (1 + 1e-12)).all()
    assert found.never.lower <= staying.upper[-1]
    assert found.cdf.lower[-1] <= found.probability().upper


def widened(interval, by):
    return fsp.Interval(interval.lower - by, interval.upper + by, interval.value, certified=True)


def test_bad_questions_are_refused():
    model = immigration_death("9", "1")
    for target, message in (
        ("X + 1", "must be a condition"),
        ("Z > 1", "needs 'Z'"),
        ("X > 1 && time > 2", "depends on time"),
        (3, "must be a formula"),
        ({}, "there is none"),
        ({"a": "X >= 3", "b": "X >= 2 && X < 5"}, "exclude each other"),
    ):
        with pytest.raises(fsp.ArgumentError, match=message):
            fsp.passage(model, target, [1.0])
    with pytest.raises(fsp.ArgumentError, match="`start` must be"):
        fsp.passage(model, "X > 3", start="here")
    with pytest.raises(fsp.ArgumentError, match="`orders` must be"):
        fsp.passage(model, "X > 3", orders=9)
    with pytest.raises(fsp.ArgumentError, match="`times` must be given"):
        fsp.passage(model, "X > 3", orders=0)
    with pytest.raises(fsp.ArgumentError, match="`times` must be given where propensities depend on time"):
        fsp.passage(network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)")), "X > 3")
    dosed = fsp.Model(species={"X": 0}, reactions=model.reactions, events=[fsp.Event("time >= 1", {"X": 0})])
    with pytest.raises(fsp.ArgumentError, match="`times` must be given where events happen at known times"):
        fsp.passage(dosed, "X > 3")
    with pytest.raises(fsp.ArgumentError, match="must increase"):
        fsp.passage(model, "X > 3", [2.0, 1.0])
    found = fsp.passage(model, "X > 3")
    for question, message in (
        (lambda: found.cdf, "`times` must be given"),
        (lambda: found.quantile(2.0), "`q` must be between"),
        (lambda: found.moment(3), "`orders=`"),
        (lambda: found.mean("b"), "must be one of X > 3"),
    ):
        with pytest.raises(fsp.ArgumentError, match=message):
            question()


def test_command_prints_and_draws(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model m()\n species A; A = 1; species B; B = 0\n A -> B; 2*A\nend\n")
    picture = tmp_path / "law.png"
    words = ["passage", str(path), "--to", "B > 0", "--times", "0:1:3", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, [*words, "--plot", str(picture)])
    assert shown.exit_code == 0, shown.output
    assert "mean time" in shown.output
    assert picture.stat().st_size > 1000
    record = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert record["targets"]["B > 0"]["mean"]["lower"] == pytest.approx(0.5, rel=1e-9)
    assert record["cdf"][1]["lower"] <= 1 - math.exp(-1.0) <= record["cdf"][1]["upper"]
    named = ["passage", str(path), "--or", "there=B > 0", "--counts", "as-is", "--quiet"]
    assert "there" in CliRunner().invoke(main, named).output
    neither = CliRunner().invoke(main, ["passage", str(path), "--counts", "as-is"])
    assert neither.exit_code != 0
    late = CliRunner().invoke(main, [*named, "--plot", str(picture), "--overwrite"])
    assert late.exit_code != 0


def test_targets_do_not_depend_on_parameters_that_events_change():
    """X < K, K from 2 to 4 at t = 1: only of K as a species is the target that of the time; X alone falls."""
    event = fsp.Event("time >= 1", {"K": 4})
    given = {"reactions": [fsp.Reaction("X -> 0", mass_action=1.0)], "events": [event]}
    model = fsp.Model(species={"X": 5}, parameters={"K": 2.0, "few": "X < K", "made": "K*X"}, **given)
    for target, name in (("few", "few"), ("made < 8", "made")):
        with pytest.raises(fsp.ArgumentError, match=f"'{name}' depends on 'K', which is assigned by one; make 'K' a"):
            fsp.passage(model, target, [2.0])
    model = fsp.Model(species={"X": 5, "K": 2}, parameters={"few": "X < K"}, **given)
    cdf = fsp.passage(model, "few", [0.5, 2.0]).law.cdf
    exact = binom.cdf([1, 3], 5, np.exp([-0.5, -2.0]))
    assert cdf.certified
    assert (cdf.lower <= exact).all()
    assert (exact <= cdf.upper).all()
