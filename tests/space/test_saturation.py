"""Closure by whole runs finds what the search finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from space_cases import jumping_networks, network

from fsp import Model, Reaction, StateSpace, StateSpaceError
from fsp.space import space as of_space
from fsp.space.constraints import as_constraints


@given(jumping_networks(), st.data())
def test_saturation_finds_what_the_search_finds(model, data):
    weights = data.draw(st.lists(st.integers(1, 3), min_size=model.n_species, max_size=model.n_species))
    bound = data.draw(st.integers(0, 40)) + int((model.initial_states @ np.array(weights)).max())
    total = " + ".join(f"{w}*{name}" for w, name in zip(weights, model.species, strict=True))
    conditions = [f"{total} <= {bound}"]
    if data.draw(st.booleans()):
        name = data.draw(st.sampled_from(model.species))
        conditions.append(f"2*{name} < {2 * bound - 1} && {name} >= 0")
    assume(all(c.holds(model.initial_states).all() for c in as_constraints(conditions, model.species)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(of_space, "saturate", lambda *_: None)
        searched = StateSpace.reachable(model, conditions)
    saturated = StateSpace.reachable(model, conditions)
    np.testing.assert_array_equal(saturated.states, searched.states)
    assert len(saturated.runs.keys) == len(searched.runs.keys)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A + 2*B <= 7", [([1, 2], 7)]),
        ("A < 3 && B >= 2", [([1, 0], 2), ([0, -1], -2)]),
        ("3 > A - B", [([1, -1], 2)]),
        ("A == 2*(B + 1)", [([1, -2], 2), ([-1, 2], -2)]),
        ("1 <= A <= 5", [([-1, 0], -1), ([1, 0], 5)]),
        ("A*B <= 5", None),
        ("A <= 2.5", [([2, 0], 5)]),
        ("A <= 3 || B <= 3", None),
        ("max(A, B) <= 3", None),
    ],
)
def test_linear_conditions_are_known(text, expected):
    (constraint,) = as_constraints(text, ("A", "B"))
    if expected is None:
        assert constraint.linear is None
        return
    assert [(one.weights.tolist(), one.bound) for one in constraint.linear] == expected
    states = np.array([[a, b] for a in range(9) for b in range(9)])
    inside = np.all([states @ one.weights <= one.bound for one in constraint.linear], axis=0)
    np.testing.assert_array_equal(inside, constraint.holds(states))


def test_rates_that_vanish_inside_are_closed_by_the_search():
    """The support of a factor is no interval: counts 3 and above are reached only by the other reaction."""
    model = Model(
        species={"X": 0, "Y": 1},
        reactions=[
            Reaction("0 -> X", rate="(X - 2)^2"),
            Reaction("Y -> 0", mass_action=1.0),
        ],
    )
    space = StateSpace.reachable(model, ["X + Y <= 9"])
    assert space.states[:, 0].max() == 2


def test_saturation_of_many_states_is_a_list_of_runs():
    model = network({"A": 0, "B": 0, "C": 0}, "0 -> A", "A -> B", "B -> C", "C -> 0")
    space = StateSpace.reachable(model, ["A + B + C <= 800"])
    assert len(space) == 803 * 802 * 801 // 6
    assert len(space.runs.keys) == 802 * 801 // 2
    place = 802 * 801 // 2 + 800 + 799 + 797  # states with A = 0, then those with A = 1 and B < 2
    assert space.index([[0, 0, 0], [800, 0, 0], [1, 2, 797], [1, 2, 798]]).tolist() == [0, len(space) - 1, place, -1]


def test_a_closure_beyond_the_limit_is_refused():
    model = network({"A": 0, "B": 0}, "0 -> A", "A -> B", "B -> 0")
    with pytest.raises(StateSpaceError, match=r"at most 1,000 \(`max_states`\)"):
        StateSpace.reachable(model, ["A + B <= 100"], max_states=1000)
