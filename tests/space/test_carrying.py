"""Values are carried from space to space with their states."""

from __future__ import annotations

import numpy as np
import pytest
from space_cases import network

from fsp import StateSpace
from fsp.space.encoding import build_encoding
from fsp.space.runs import KeyRuns


def carried_by_dictionary(values, space, other):
    known = dict(zip(map(tuple, space.states.tolist()), values.tolist(), strict=True))
    return np.array([known.get(tuple(row), 0.0) for row in other.states.tolist()])


@pytest.mark.parametrize(
    ("species", "top"),
    [({"X": 0}, [40]), ({"X": 0, "Y": 0}, [6, 9]), ({"A": 0, "B": 0, "C": 0, "D": 0}, [2**30, 2, 2**29, 30])],
    ids=["one word", "two species", "several words"],
)
def test_values_are_carried_to_their_states(species, top, rng):
    for _ in range(40):
        # counts from a few places, so that runs overlap in part, touch, and leave gaps
        places = [np.unique(np.append(rng.integers(0, high + 1, 12), [0, high])) for high in top]
        rows = [
            np.stack([rng.choice(place, size) for place in places], axis=1) for size in rng.integers(1, 120, size=2)
        ]
        a, b = (StateSpace.from_states(list(species), np.concatenate([row, row[:3]])) for row in rows)
        joined = a | b
        values = rng.random(len(a)) + 0.1
        for other in (a, b, joined):
            np.testing.assert_array_equal(a.carry(values, other), carried_by_dictionary(values, a, other))
        back = joined.carry(a.carry(values, joined), a)
        np.testing.assert_array_equal(back, values)


def test_values_are_carried_under_a_conservation_law_and_into_wider_fields(rng):
    model = network({"A": 30, "B": 0, "C": 0}, "A -> B", "B -> C")
    whole = StateSpace.reachable(model)
    for share in (0.1, 0.5, 0.9):
        a, b = (whole.restrict(rng.random(len(whole)) < share) for _ in range(2))
        values = rng.random(len(a)) + 0.1
        wider = b.encoded(build_encoding(np.full(3, 5e5), np.ones(3, dtype=np.int64)))
        for other in (b, wider, whole):
            np.testing.assert_array_equal(a.carry(values, other), carried_by_dictionary(values, a, other))


def test_runs_are_carried_word_by_word():
    """Keys that agree in their last word only are not the same state."""
    a = KeyRuns.of_keys(np.array([[0, 5], [0, 6], [1, 5], [2, 7]]))
    b = KeyRuns.of_keys(np.array([[0, 6], [0, 7], [1, 4], [1, 5], [1, 6], [2, 6]]))
    np.testing.assert_array_equal(a.carry(np.array([1.0, 2.0, 3.0, 4.0]), b), [2.0, 0.0, 0.0, 3.0, 0.0, 0.0])


def test_states_at_indices_are_those_of_the_list(rng):
    model = network({"A": 20, "B": 0, "C": 0}, "A -> B", "B -> C")
    whole = StateSpace.reachable(model)
    part = whole.restrict(rng.random(len(whole)) < 0.4)
    for space in (whole, part):
        indices = rng.integers(0, len(space), 50)
        np.testing.assert_array_equal(space.states_at(indices), space.states[indices])
        np.testing.assert_array_equal(space.states_at(np.empty(0, dtype=np.int64)), space.states[:0])
