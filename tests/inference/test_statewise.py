"""What is known of each probability: ranges of polynomials, ε and η, and Poisson laws down to their tails."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import special, stats

import fsp
from fsp.inference.cell_probabilities import contribution
from fsp.inference.distributions import distributions
from fsp.inference.instruments import Exact
from fsp.inference.problem import Limits
from fsp.inference.statewise import Known, range_of, split
from fsp.solvers.collocation import radau

sizes = st.floats(0.0, 1.0) | st.sampled_from([0.0, 1e-15, 1e-8])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(sizes, sizes), min_size=1, max_size=8), st.sampled_from([1e-12, 1e-3, 0.5]))
@example([(1.0, 5e-324)], 1e-12)
def test_no_other_split_costs_less(states, weight):
    """Of all ε, 0 and the ratios r/m among them, between which the cost is linear."""
    r, m = np.array(states).T
    found = split(r, m, weight)
    assert found.absolute == pytest.approx(float(np.maximum(r - found.relative * m, 0.0).sum()))
    ratios = [a / b for a, b in zip(r.tolist(), m.tolist(), strict=True) if b > 0.0]
    for ratio in [0.0, *filter(math.isfinite, ratios)]:
        other = Known(ratio, float(np.maximum(r - ratio * m, 0.0).sum()))
        assert found.cost(weight) <= other.cost(weight) * (1.0 + 1e-9) + 1e-300


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1.0, 1.0), min_size=8, max_size=8), st.sampled_from([0.0, 1.0, 3.0]))
def test_a_polynomial_lies_between_its_least_and_largest_value(values, shift):
    points = np.array([values]) + shift
    least, largest = range_of(points)
    table, _ = radau(7).interpolate(np.linspace(0.0, 1.0, 201))
    path = table @ points[0]
    assert 0.0 <= least[0] <= max(float(path.min()), 0.0)
    assert float(np.abs(path).max()) <= largest[0]


@pytest.mark.parametrize("stages", [7, 12])
@pytest.mark.parametrize("value", [1.0, 0.1, 1 / 3, 1e-300])
def test_what_stays_lies_in_its_range_and_next_to_nothing_else_does(stages, value):
    """All coefficients are the value, so that rounding alone decides."""
    least, largest = range_of(np.full((1, 1 + stages), value))
    assert value * (1.0 - 1e-9) <= least[0] <= value <= largest[0] <= value * (1.0 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(sizes, sizes, sizes), min_size=1, max_size=8), st.sampled_from([1e-12, 1e-3, 0.5]))
@example([(1.0, 5e-324, 0.5), (0.5, 1.0, 1.0)], 1e-12)
def test_what_is_left_of_each_state_is_counted_as_often_as_it_weighs(states, weight):
    """Of each η a product and a difference are rounded, by u r each, and of the sum of n of them n operations more."""
    found = split(*np.array(states).T[:2], weight, np.array(states)[:, 2])
    exact = [[Fraction(x) for x in state] for state in states]
    rest = [max(r - Fraction(found.relative) * m, Fraction()) for r, m, _ in exact]
    u, least = Fraction(1, 2**53), Fraction(1, 2**1074)  # what is subnormal is rounded by less than the least number
    off = (len(states) + 3) * (u * sum(by * r for r, _, by in exact) + least)  # 3: the terms of second order among them
    assert abs(Fraction(found.absolute) - sum(by * x for x, (_, _, by) in zip(rest, exact, strict=True))) <= off
    assert abs(Fraction(found.largest) - max(rest)) <= 3 * u * max(r for r, _, _ in exact) + least


def test_what_is_too_small_for_a_ratio_is_left():
    """Its ratio is above the largest number; the other state is known as a part of itself."""
    assert split(np.array([1.0, 0.5]), np.array([5e-324, 1.0]), 1e-3) == Known(0.5, 1.0, 1.0)


def test_an_exponential_has_a_range_of_its_ends():
    points = np.exp(-3.0 * np.concatenate([[0.0], radau(7).nodes]))[None, :]
    least, largest = range_of(points)
    assert least[0] == pytest.approx(math.exp(-3.0), rel=1e-6)
    assert largest[0] == pytest.approx(1.0, rel=1e-6)


def pulsed(rate="k*time*exp(-time)", death="1 + sin(time)^2"):
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 20.0},
        reactions=[fsp.Reaction("0 -> X", rate=rate), fsp.Reaction("X -> 0", rate=f"({death})*X")],
    )


def mean_of(t, death=lambda s: s + 0.5 * s - 0.25 * math.sin(2.0 * s)):
    """The mean of `pulsed`, by Gauss-Legendre quadrature: the second argument is the integral of the death rate."""
    x, w = np.polynomial.legendre.leggauss(60)
    at = 0.5 * t * (x + 1.0)
    return 0.5 * t * sum(b * 20.0 * s * math.exp(-s - death(t) + death(s)) for s, b in zip(at.tolist(), w, strict=True))


@pytest.mark.parametrize("loss", [1e-6, 1e-12])
def test_each_probability_is_known_as_a_part_of_itself(loss):
    for own in distributions(pulsed(), np.array([0.3, 1.0, 3.0]), loss, Limits()):
        exact = stats.poisson.pmf(own.distribution.states[:, 0], mean_of(own.distribution.t))
        y = own.distribution.probabilities
        rounding = 1e-12 * exact  # of the exact numbers
        assert (exact >= (1.0 - own.relative) * y - own.absolute - rounding).all()
        assert (exact <= (1.0 + 2.0 * own.relative) * y + own.absolute + own.lacking + rounding).all()
        assert own.relative <= 1e-6
        assert own.absolute <= loss


@pytest.mark.parametrize("loss", [1e-2, 1e-12])
def test_a_stationary_start_is_known_as_a_part_of_itself(loss):
    """A gene that switches makes a Poisson law of a beta-distributed mean, whose tail is a confluent function."""
    on, off, make = 0.7, 1.3, 25.0
    model = fsp.Model(
        species={"R": 1, "G": 0, "X": 0},
        parameters={"on": on, "off": off, "make": make},
        reactions=[
            fsp.Reaction("R -> G", rate="on*R*(1 + max(0, time - 1))"),
            fsp.Reaction("G -> R", mass_action="off"),
            fsp.Reaction("G -> G + X", mass_action="make"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    (found,) = distributions(model, np.array([0.0]), loss, Limits(), "stationary")
    counts = found.distribution.states[:, 2]
    y = np.bincount(counts, found.distribution.probabilities)
    n = np.arange(len(y))
    exact = stats.poisson.pmf(n, make) * special.hyp1f1(off, on + off + n, make)
    exact *= np.exp(special.gammaln(on + n) - special.gammaln(on))
    exact *= np.exp(special.gammaln(on + off) - special.gammaln(on + off + n))
    rounding = 1e-12 * exact
    assert (exact >= (1.0 - found.relative) * y - found.absolute - rounding).all()
    assert (exact <= (1.0 + 2.0 * found.relative) * y + found.absolute + found.lacking + rounding).all()
    assert found.relative <= max(1e-9, loss)
    assert found.absolute + found.lacking <= loss


def test_cells_of_tiny_probabilities_have_likelihoods_where_rates_change():
    """The least is 3e-12, a hundred times the rounding of steps in the 1-norm: a relative one is far less."""
    seen = [2, 5, 22]
    counts = fsp.read_counts({"time": [1.0, 1.0, 1.0], "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(pulsed(), counts, width=1e-3)
    assert stats.poisson.logpmf(seen, mean_of(1.0)).sum() in found.value
    assert found.value.width <= 1e-3
    assert found.least < 1e-11


def test_what_all_cells_may_lack_together_is_lacked_where_it_costs_most():
    counts = fsp.read_counts({"time": [1.0] * 6, "n": [0, 1, 1, 2, 6, 6]}, counts={"X": "n"})
    (known,) = distributions(pulsed(), np.array([1.0]), 1e-9, Limits())
    y = known.distribution.probabilities[counts.values[0][:, 0]]
    n, lacking = counts.cells[0], 0.1 * float(y.min())
    interval = contribution(replace(known, absolute=lacking), counts, 0, (Exact(),)).together
    ends = [float(n @ np.log(y + sign * lacking * own)) for own in np.eye(len(y)) for sign in (1.0, -1.0)]
    assert interval.lower <= min(ends) <= interval.lower + 1e-6
    assert max(ends) <= interval.upper <= max(ends) + 0.1 * (max(ends) - min(ends))
