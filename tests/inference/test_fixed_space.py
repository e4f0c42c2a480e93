"""Probabilities on fixed states: what they lack is charged, and one vector or many give the same on any states."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fsp
from fsp.inference.fixed_space import MOST_DIAGONALS, FixedSpace
from fsp.inference.free_laws import FreeLaws

TIMES = [0.4, 1.5]


def immigration_death(start):
    return fsp.Model(
        species={"X": start},
        parameters={"k": 6.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def counts_up_to(model, top):
    return fsp.StateSpace.from_states(model.species, np.arange(top + 1)[:, None])


def fixed(model, names, space):
    return FixedSpace(model, FreeLaws.of(model, names), space)


@pytest.mark.parametrize("tail", [1e-2, 1e-14])
@pytest.mark.parametrize("top", [14, 40])
@pytest.mark.parametrize("start", [2, "poisson(2)"])
def test_what_lower_bounds_lack_is_charged(start, top, tail):
    """Of a Poisson start, whose law stays one: what is left out of it, out of the states, and out of the series."""
    model = immigration_death(start)
    found = fixed(model, ["k", "g"], counts_up_to(model, top)).values_at(np.array([5.0, 0.8]), TIMES, tail, 1e9)
    y, noise = found.probabilities[0], found.relative
    lost = 1.0 - y.sum(axis=1)
    assert (lost <= found.lacking[0] + noise).all()
    assert (found.lacking[0] >= model.start_lacks).all()
    assert (found.lacking[0] <= 2.0 * (lost + tail) + noise).all()
    if isinstance(start, str):
        for t, row in zip(TIMES, y, strict=True):
            mean = 2.0 * np.exp(-0.8 * t) + 5.0 / 0.8 * -np.expm1(-0.8 * t)
            exact = stats.poisson.pmf(np.arange(top + 1), mean)
            assert (row <= exact * (1.0 + noise + 1e-12)).all()
            assert np.abs(exact - row).sum() <= found.lacking[0].max() + noise


def test_starts_outside_of_the_states_are_lacking():
    model = immigration_death("poisson(9)")
    space = counts_up_to(model, 9)
    found = fixed(model, ["k"], space).values_at(np.array([6.0]), [1e-9], 1e-14, 1e9)
    assert found.lacking[0, 0] == pytest.approx(stats.poisson.sf(9, 9.0), rel=1e-6)


@pytest.mark.parametrize("few", [True, False])
def test_one_vector_or_many_on_any_states(few):
    """Boxes have a diagonal for each reaction, and triangles one for each row."""
    model = fsp.Model(
        species={"A": 1, "B": 0},
        parameters={"k": 3.0, "c": 1.0, "g": 0.7},
        reactions=[
            fsp.Reaction("0 -> A", rate="k"),
            fsp.Reaction("A -> B", mass_action="c"),
            fsp.Reaction("B -> 0", mass_action="g"),
        ],
    )
    box = fsp.StateSpace.box(model, upper=dict.fromkeys("AB", 9 if few else 25))
    triangle = box.states[box.states.sum(axis=1) <= 25]
    states = fixed(model, ["k", "g"], box if few else fsp.StateSpace.from_states(model.species, triangle))
    assert (len(states._diagonals._offsets) <= MOST_DIAGONALS) == few
    theta = np.array([[2.0, 0.5], [4.0, 0.9], [3.0, 2.0]])
    many = states.at_many(theta, TIMES, 1e-14, 1e9)
    with_slopes, slopes = states.slopes_at_many(theta, TIMES, 1e-14, 1e9)
    np.testing.assert_allclose(with_slopes.probabilities, many.probabilities, rtol=1e-12, atol=1e-300)
    for p, vector in enumerate(theta):
        single = states.at(vector, TIMES, 1e-14, 1e9)
        np.testing.assert_allclose(many.probabilities[p], single.probabilities[0], rtol=1e-11, atol=1e-300)
        np.testing.assert_allclose(many.lacking[p], single.lacking[0], rtol=1e-7, atol=1e-13)
        np.testing.assert_allclose(slopes[p], single.slopes, rtol=1e-9, atol=1e-13)
        values = states.values_at(vector, TIMES, 1e-14, 1e9)
        np.testing.assert_allclose(values.probabilities, single.probabilities, rtol=1e-12, atol=1e-300)


def test_rates_that_become_negative_are_refused_by_name():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 2.0, "a": 0.01},
        reactions=[fsp.Reaction("0 -> X", rate="k - a*X", name="feed"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    states = fixed(model, ["a"], counts_up_to(model, 20))
    with pytest.raises(fsp.ModelError, match=r"'feed' .* in state \{'X': 11\}"):
        states.at_many(np.array([[0.05], [0.19], [0.06]]), TIMES, 1e-14, 1e9)
