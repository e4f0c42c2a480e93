"""Chains on a line: detailed balance gives every state to full accuracy, whatever the rates."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import birth_death
from written_networks import network

import fsp
from fsp.equilibrium import detailed_balance
from fsp.equilibrium.detailed_balance import _products, _stored
from fsp.equilibrium.line import Line
from fsp.equilibrium.tails import _ratio, tail
from fsp.moments.lyapunov import drift_condition


def is_exact(distribution):
    return any("detailed balance" in note for note in distribution.notes)


def chain(births, deaths, start=0, **more):
    return network({"X": start}, ("0 -> X", "rate", births), ("X -> 0", "rate", deaths), **more)


def assert_exact(d, law):
    """The law holds within the bounds of each state and of the whole."""
    assert is_exact(d)
    assert d.error.certified
    assert (d.lower <= law * (1.0 + 1e-13)).all()
    assert (law <= d.upper * (1.0 + 1e-13)).all()
    true = np.abs(d.probabilities - law).sum() + max(0.0, 1.0 - law.sum())
    assert true <= d.error.total + 1e-13
    assert d.error.truncation <= 100.0 * true + 1e-13


@settings(max_examples=20)
@given(birth_death())
def test_random_birth_death_chains(drawn):
    """The closed form, and the null vector within the sum of the bounds."""
    births, deaths, start, tol = drawn
    model = chain(births, deaths, start)
    d = fsp.stationary(model, tol)
    everywhere = np.arange(500)[:, None]
    law = exact.birth_death_stationary(*model.propensities(everywhere))[d.states[:, 0]]
    if is_exact(d):  # else a product form
        assert_exact(d, law)
    solved = fsp.stationary(model, tol, method="gth")
    assert d.error.total <= tol
    assert d.distance(solved) <= d.error.total + solved.error.total


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-10])
@pytest.mark.parametrize("load", [0.1, 0.9, 0.99])
def test_queues(load, tol):
    d = fsp.stationary(chain(load, "piecewise(1, X > 0, 0)"), tol)
    assert_exact(d, (1.0 - load) * load ** d.states[:, 0])


def test_a_valley_costs_no_digits():
    """Two wells with nothing between them: the weights of both are known."""
    model = chain("2 + 600*X^8/(40^8 + X^8)", "5*X", 3)
    d = fsp.stationary(model, 1e-8)
    assert is_exact(d)
    assert d.error.rounding <= 1e-9
    x = np.arange(d.states[:, 0].max() + 1)
    rates = model.propensities(x[:, None])
    logs = np.concatenate([[0.0], np.cumsum(np.log(rates[0, :-1]) - np.log(rates[1, 1:]))])
    valley = np.argmin(logs[:100])
    assert logs[valley] < min(logs[0], logs[120]) - 20.0
    np.testing.assert_allclose(np.log(d.probabilities), logs - logs.max() + np.log(d.probabilities.max()), atol=1e-9)


def test_finite_lines_of_any_direction_and_any_rates():
    """2 A <-> B with a rate that only Python knows."""
    model = network(
        {"A": 61, "B": 0},
        ("2 A -> B", "rate", lambda x: x["A"] * (x["A"] - 1) * 0.001),
        ("B -> 2 A", "mass_action", 3.0),
    )
    d = fsp.stationary(model, 1e-9)
    assert is_exact(d)
    assert d.closed
    solved = fsp.stationary(model, 1e-9, method="gth")
    np.testing.assert_allclose(d.probabilities, solved.probabilities, rtol=1e-11)
    assert d.error.total <= 1e-11


def test_only_what_is_reached_counts():
    """Births stop at 7 and deaths at 3, between which the chain stays."""
    model = chain("piecewise(2, X < 7, 0)", "piecewise(X, X > 3, 0)", 5)
    d = fsp.stationary(model, 1e-9)
    law = np.array([2.0**k / math.factorial(k) for k in range(3, 8)])
    assert d.states[:, 0].tolist() == [3, 4, 5, 6, 7]
    assert_exact(d, law / law.sum())


@pytest.mark.parametrize(
    "model",
    [
        network({"X": 5}, ("X -> 2 X", "rate", "X*piecewise(1, X < 9, 0)"), ("X -> 0", "mass_action", 1.0)),
        chain("piecewise(2, X < 4, 0)", "piecewise(X, X > 4, 0)", 9),
        chain("piecewise(2, X != 5, 0)", "X + 0.1*X/(1 + X)", 9),
        network({"X": 0}, ("0 -> 2 X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.0)),
    ],
)
def test_transient_states_and_other_jumps_go_another_way(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not is_exact(fsp.stationary(model, 1e-6))


def test_several_initial_states_of_one_class():
    model = chain("20/(1 + X/9)", "X", initial={(0,): 0.5, (300,): 0.5})
    d = fsp.stationary(model, 1e-9)
    law = exact.birth_death_stationary(*model.propensities(np.arange(400)[:, None]))
    assert_exact(d, law[d.states[:, 0]])


def test_products_beyond_the_range_of_a_double():
    ratios = np.concatenate([np.full(3000, 0.3), np.full(3100, 1.0 / 0.3)])
    product, mode = _products(ratios)
    assert mode == 6100
    assert product[mode] == 1.0
    assert product[0] == pytest.approx(0.3**100, rel=1e-12)
    assert product[3000] == 0.0


LONG_LINES = [
    (("3*A/(1 + A/400)", "2*B"), 1000),  # one mode inside
    (("3*A", "2*B/(1 + B/50)"), 3000),
    (("A*(1 + 200*B^4/(300^4 + B^4))*0.02", "B"), 900),  # two modes
    (("0.01*A/(1 + A/1e6)", "5*B"), 20_000),  # the mode at an end
]


@pytest.mark.parametrize("tol", [1e-3, 1e-9])
@pytest.mark.parametrize(("rates", "total"), LONG_LINES)
def test_a_window_of_a_long_line_bounds_what_is_left_out(rates, total, tol, monkeypatch):
    """Against all of the line, whose places are few enough here to be stored."""
    model = network({"A": total, "B": 0}, ("A -> B", "rate", rates[0]), ("B -> A", "rate", rates[1]))
    everywhere = fsp.stationary(model, 1e-12)
    assert len(everywhere) == total + 1
    monkeypatch.setattr(detailed_balance, "SHORT_LINE", 100)
    d = fsp.stationary(model, tol)
    assert is_exact(d)
    assert d.error.total <= tol
    law = everywhere.probabilities[d.states[:, 0]]
    assert (d.lower <= law * (1.0 + 1e-11)).all()
    assert (law <= d.upper * (1.0 + 1e-11) + 1e-300).all()
    left_out = 1.0 - law.sum()
    assert left_out <= d.error.truncation + 1e-12
    assert d.error.truncation <= 10.0 * left_out + 1e-12


@settings(max_examples=40)
@given(st.integers(0, 399), st.integers(0, 2), st.sampled_from(LONG_LINES))
def test_tails_are_bounded_from_above(start, scale, case):
    """Sums of the exact ratios beyond any place, on both sides."""
    (births, deaths), total = case
    model = network({"A": total, "B": 0}, ("A -> B", "rate", births), ("B -> A", "rate", deaths))
    line = Line.of(model)
    states = line.states(np.arange(total + 1))
    ratios = line.rates(states[:-1], 1)[0] / line.rates(states[1:], -1)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        above = np.cumprod(ratios[start:]).sum()
        below = np.cumprod(1.0 / ratios[:start][::-1]).sum()
    assert above <= tail(line, start, total, 10**scale) * (1.0 + 1e-12)
    assert below <= tail(line, start, 0, 10**scale) * (1.0 + 1e-12)


class Rates:
    """A line of which the rates, arrays of one dimension, are known; ranges of them are exact."""

    def __init__(self, up, down):
        self.rates = {1: up, -1: down}

    def enclosed_rate(self, first, last, sign):
        assert 0 <= first <= last < len(self.rates[sign])
        part = self.rates[sign][first : last + 1]
        return float(part.min()), float(part.max())


@pytest.mark.parametrize("ratio", [1e-300, 1e-9, 0.5, 0.75, 1.0 - 2.0**-8])
def test_tails_of_constant_rates_are_geometric_sums(ratio):
    """To a part in 10⁹ on a single segment; each of several is charged with the sum without an end."""
    n, exact = 4000, Fraction(ratio) / (1 - Fraction(ratio))
    away, back = np.full(n + 1, 2.0 * ratio), np.full(n + 1, 2.0)
    for start, scale, several in ((0, 8 * n, 1), (2000, 1000, 1 / (1 - Fraction(ratio))), (1000, 100, 20)):
        above = Fraction(tail(Rates(away, back), start, n, scale))
        assert exact * (1 - Fraction(ratio ** (n - start))) <= above <= exact * several * Fraction(1 + 2e-9)
        assert above == Fraction(tail(Rates(back, away), n - start, 0, scale))
        assert tail(Rates(back, away), start, n, scale) == np.inf  # beyond the range of a double
    assert tail(Rates(away, back), n, n, 1) == 0.0
    assert tail(Rates(0.0 * away, back), 0, n, 1) == 0.0  # nothing moves on
    for short in (1, 2, 3):
        truth = sum(Fraction(1 / ratio) ** k for k in range(1, short + 1))
        assert truth <= tail(Rates(back, away), 7, 7 + short, 1) <= truth * Fraction(1 + 2e-9) if ratio > 1e-9 else True


@settings(max_examples=60)
@given(st.integers(1, 60), st.integers(0, 300), st.integers(0, 10**6))
def test_tails_of_any_rates_are_bounded(n, scale, seed):
    """Rates that jump by factors, and are zero here and there, against rational numbers."""
    random = np.random.default_rng(seed)
    up, down = 10.0 ** random.uniform(-2, 1, (2, n + 1)) * (random.random((2, n + 1)) > [[0.1], [0.03]])
    start = int(random.integers(n + 1))
    for end, away, back in ((n, up, down), (0, down, up)):
        sign = 1 if end >= start else -1
        places = np.arange(start, end, sign)
        if len(places) and back[places + sign].all():
            exact = Fraction(away[places].max()) / Fraction(back[places + sign].min())
            assert exact <= Fraction(_ratio(Rates(up, down), start, end, sign)) <= exact * Fraction(1 + 1e-14)
        bound, weight, truth = tail(Rates(up, down), start, end, scale), Fraction(1), Fraction(0)
        for place in range(start, end, sign):
            if not back[place + sign]:
                assert bound == np.inf
                break
            weight *= Fraction(away[place]) / Fraction(back[place + sign])
            truth += weight
        else:
            assert truth <= bound


def test_a_line_of_a_thousand_million_places_is_stored_around_its_mode():
    """The mean follows from the rates, which fall and rise in proportion, to the share of one place."""
    model = network({"A": 10**9, "B": 0}, ("A -> B", "rate", "3*A/(1 + A/1e9)"), ("B -> A", "mass_action", 2.0))
    d = fsp.stationary(model, 1e-6)
    assert is_exact(d)
    assert d.error.total <= 1e-6
    assert len(d) < 300_000
    assert abs(int(d.mode()["A"]) - 5 * 10**8) <= 2
    linear_noise = 1e9 * 1.0 / (2.0 + 3.0 / 1.5**2)  # rate of either way over the sum of the slopes
    assert d.probabilities @ (d.states[:, 0] - 5e8) ** 2 == pytest.approx(linear_noise, rel=1e-4)


def test_what_is_not_stored_holds_the_errors_of_the_weights():
    """A share of weights that are off by 4% may be off by twice that: of the last weight, and of those below it."""

    class Rough(Line):
        def rates(self, states, sign):
            rates, off = super().rates(states, sign)
            return rates, off + 1e-3

    model = chain("9", "X*(1 + X/50)")
    condition = drift_condition(model)
    sharp, rough = (_stored(kind.of(model), 256, condition, 1e-8) for kind in (Line, Rough))
    assert len(sharp.p) == len(rough.p)
    assert rough.off.max() > 0.02
    assert rough.missing >= sharp.missing * (1.0 + rough.off.max()) ** 2
