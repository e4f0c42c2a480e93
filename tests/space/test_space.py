"""State spaces: order, index, boxes, closures, growth, limits, and keys that never overflow."""

from __future__ import annotations

import itertools
import tracemalloc
from math import inf, nan

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import NAMES, as_model, closed_networks, networks, open_networks
from space_cases import network, rows_of, starts

from fsp import ArgumentError, StateSpace, StateSpaceError


def sets_of_states(n_species, largest=9, min_size=1):
    return st.sets(st.tuples(*[st.integers(0, largest)] * n_species), min_size=min_size, max_size=40)


# ---- order and index


@given(networks(), st.integers(0, 4))
def test_states_are_sorted_and_index_inverts_them(drawn, steps):
    space = StateSpace.reachable(as_model(drawn), steps=steps)
    rows = rows_of(space)
    assert rows == sorted(set(rows))
    np.testing.assert_array_equal(space.index(space.states), np.arange(len(space)))
    assert all(space.index(row) == i for i, row in enumerate(rows[:5]))


@given(st.integers(1, 4).flatmap(lambda d: st.tuples(sets_of_states(d), sets_of_states(d, 300))))
def test_index_is_minus_one_outside(drawn):
    members, queries = drawn
    rows = sorted(members)
    space = StateSpace.from_states(NAMES[: len(rows[0])], rows[::-1])
    assert rows_of(space) == rows
    asked = sorted(queries) + rows
    expected = [rows.index(q) if q in members else -1 for q in asked]
    assert space.index(asked).tolist() == expected
    assert [q in space for q in asked] == [i >= 0 for i in expected]


@given(
    closed_networks(),
    st.lists(st.sampled_from([-(2**63), -(2**32), -1, 0, 1, 2**16, 2**31, 2**62, 2**63 - 1]), min_size=4, max_size=4),
)
def test_index_of_states_that_cannot_be(drawn, counts):
    model = as_model(drawn)
    space = StateSpace.reachable(model)
    query = tuple(counts[: model.n_species])
    expected = rows_of(space).index(query) if query in rows_of(space) else -1
    assert space.index(query) == expected
    below = space.states - (space.states.max(axis=0) + 1)
    assert (space.index(below) == -1).all()


@pytest.mark.parametrize("value", [0.5, -0.5, nan, inf, -inf, 1e19, -1e300, 2.0**63])
def test_index_of_floats(value):
    space = StateSpace.box(network({"A": 1, "B": 1}, "A -> B"), upper=2)
    assert space.index([[1.0, 2.0], [2.0, 0.0]]).tolist() == [5, 6]
    assert space.index([[1.0, value], [value, 1.0], [1.0, 1.0]]).tolist() == [-1, -1, 4]


def test_index_of_unsigned_and_small_integers():
    space = StateSpace.box(network({"A": 1, "B": 1}, "A -> B"), upper=2)
    assert space.index(np.array([[1, 2], [255, 0]], dtype=np.uint8)).tolist() == [5, -1]
    assert space.index(np.array([[1, 2], [2**64 - 1, 0]], dtype=np.uint64)).tolist() == [5, -1]


@pytest.mark.parametrize("query", [[], 1, [1], [[1, 2, 3]], np.zeros((1, 2, 2), dtype=int)])
def test_index_refuses_other_shapes(query):
    space = StateSpace.box(network({"A": 1, "B": 1}, "A -> B"), upper=2)
    with pytest.raises(StateSpaceError, match=r"must have 2 columns \(A, B\), but has shape"):
        space.index(query)


def test_index_of_no_states():
    space = StateSpace.box(network({"A": 1, "B": 1}, "A -> B"), upper=2)
    assert space.index(np.empty((0, 2), dtype=int)).shape == (0,)
    nothing = StateSpace.from_states(("A", "B"), np.empty((0, 2), dtype=int))
    assert len(nothing) == 0
    assert nothing.index([[0, 0]]).tolist() == [-1]


def test_states_are_read_only():
    space = StateSpace.box(network({"A": 1}, "A -> 0"), upper=2)
    with pytest.raises(ValueError, match="read-only"):
        space.states[0, 0] = 7


# ---- boxes


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=4), st.data())
def test_box_is_the_product_of_ranges(bounds, data):
    names = NAMES[: len(bounds)]
    lower, upper = [b for b, _ in bounds], [b + n for b, n in bounds]
    start = [data.draw(st.integers(low, high)) for low, high in zip(lower, upper, strict=True)]
    model = network(dict(zip(names, start, strict=True)), *(f"0 -> {name}" for name in names))
    space = StateSpace.box(model, upper, lower)
    assert rows_of(space) == list(itertools.product(*(range(a, b + 1) for a, b in zip(lower, upper, strict=True))))
    by_name = StateSpace.box(model, dict(zip(names, upper, strict=True)), dict(zip(names, lower, strict=True)))
    np.testing.assert_array_equal(by_name.states, space.states)
    np.testing.assert_array_equal(space.index(space.states), np.arange(len(space)))


def test_box_fills_missing_bounds_from_conservation_laws():
    model = network({"A": 3, "B": 1, "X": 0}, "A -> B", "B -> A", "0 -> X", "X -> 0")
    space = StateSpace.box(model, {"X": 5})
    assert len(space) == 5 * 5 * 6
    assert space.states.max(axis=0).tolist() == [4, 4, 5]
    dimer = network({"A": 5, "B": 1}, "2 A -> B", "B -> 2 A")
    assert StateSpace.box(dimer, {}).states.max(axis=0).tolist() == [7, 3]
    with pytest.raises(StateSpaceError, match="has none for 'X'"):
        StateSpace.box(model, {"A": 4, "B": 4})


def test_box_holds_states_that_break_the_laws():
    model = network({"A": 2, "B": 0}, "A -> B", "B -> A")
    assert len(StateSpace.box(model, 2)) == 9
    assert len(StateSpace.reachable(model)) == 3


@pytest.mark.parametrize(
    ("upper", "lower", "message"),
    [
        ({"A": 2}, 0, r"must contain the initial state, but A = 3 .* 0\.\.2; widen the bounds of 'A'"),
        (9, {"A": 4}, r"must contain the initial state, but A = 3"),
        (9, 10, r"`lower` must be at most `upper`, but is 10 > 9 for 'A'"),
        ({"C": 9}, 0, r"`upper` must name species \(A, B\), but names 'C'"),
        (9, {"C": 9}, r"`lower` must name species \(A, B\), but names 'C'"),
        ([9], 0, "one bound for each of the 2 species, but has 1"),
        ({"A": -1}, 0, "non-negative integer, but is -1 for 'A'"),
        ({"A": 3.5}, 0, r"non-negative integer, but is 3\.5 for 'A'"),
        ({"A": nan}, 0, "for 'A'"),
        ({"A": "3"}, 0, "'A'"),
        (9.5, 0, "9.5"),
    ],
)
def test_box_refuses_bad_bounds(upper, lower, message):
    model = network({"A": 3, "B": 0}, "A -> B", "0 -> A", "0 -> B")
    with pytest.raises(StateSpaceError, match=message):
        StateSpace.box(model, {"A": 9, "B": 9} | upper if isinstance(upper, dict) else upper, lower)


@pytest.mark.parametrize(
    ("upper", "limit", "message"),
    [
        (
            9_999_999,
            {},
            r"10000000 x 10000000 x 10000000 states must have at most 1,000,000,000 states \(`max_states`\)",
        ),
        (10, {"max_states": 1000}, r"at most 1,000 states \(`max_states`\), but has 1,331"),
        (199, {"max_memory": 10**6}, r"must fit into 1,000,000 bytes \(`max_memory`\), but needs"),
    ],
)
def test_box_states_its_limit_before_it_allocates(upper, limit, message):
    model = network({"A": 0, "B": 0, "C": 0}, "0 -> A", "0 -> B", "0 -> C")
    assert len(StateSpace.box(model, 9, max_states=1000)) == 1000
    tracemalloc.start()
    with pytest.raises(StateSpaceError, match=message):
        StateSpace.box(model, upper, **limit)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


# ---- changing a space


@given(networks(), st.data())
def test_growth_is_the_closure_by_levels(drawn, data):
    model = as_model(drawn)
    members = data.draw(sets_of_states(model.n_species, largest=4))
    space = StateSpace.from_states(model.species, sorted(members))
    for steps in (0, 1, 3):
        grown = space.grow(model, steps)
        assert naive.as_set(grown) == naive.closure(model, members, steps=steps)
        assert rows_of(grown) == sorted(rows_of(grown))
    seeds = data.draw(st.lists(st.integers(0, len(space) - 1), unique=True))
    from_seeds = naive.closure(model, {rows_of(space)[i] for i in seeds}, steps=1)
    assert naive.as_set(space.grow(model, 1, seeds=np.array(seeds, dtype=int))) == members | from_seeds


def test_growth_respects_constraints():
    model = network({"A": 1, "B": 1}, "0 -> A", "0 -> B", "A -> 0", "B -> 0")
    box = StateSpace.box(model, {"A": 3, "B": 2}, {"B": 1})
    assert rows_of(box.grow(model, 3)) == rows_of(box)
    few = StateSpace.reachable(model, "A + B <= 4", steps=1)
    assert len(few) == 5
    assert naive.as_set(few.grow(model, None)) == {(a, b) for a in range(5) for b in range(5 - a)}


def test_growth_keeps_to_its_limit():
    model = network({"A": 0}, "0 -> A")
    space = StateSpace.reachable(model, steps=3)
    assert len(space.grow(model, 6, max_states=10)) == 10
    with pytest.raises(StateSpaceError, match=r"at most 10 \(`max_states`\)"):
        space.grow(model, 7, max_states=10)
    with pytest.raises(StateSpaceError, match="can fire without end"):
        space.grow(model, None)


@given(open_networks(), st.integers(0, 2), st.data())
def test_extend_adds_states_and_their_neighbours(drawn, steps, data):
    model = as_model(drawn)
    space = StateSpace.reachable(model, steps=steps)
    before = naive.as_set(space)
    reached = sorted(naive.closure(model, starts(model), steps=steps + 2))
    states = data.draw(st.lists(st.sampled_from(reached), min_size=1, max_size=8))
    new = set(states) - before
    grown = space.extend(model, np.array(states))
    assert naive.as_set(grown) == before | naive.closure(model, new, steps=1)
    np.testing.assert_array_equal(grown.index(grown.states), np.arange(len(grown)))


@pytest.mark.parametrize("state", [[2, 2], [-1, 3], [3, -1], [0, 0]])
def test_extend_refuses_what_the_network_cannot_be_in(state):
    model = network({"A": 2, "B": 0}, "A -> B", "B -> A")
    space = StateSpace.reachable(model, steps=1)
    with pytest.raises(StateSpaceError, match="must"):
        space.extend(model, np.array([state]))


@given(closed_networks(), st.integers(0, 6))
def test_restriction_by_text_callable_and_mask(drawn, most):
    model = as_model(drawn)
    space = StateSpace.reachable(model)
    expected = [row for row in rows_of(space) if row[0] + row[1] <= most]
    mask = space.states[:, :2].sum(axis=1) <= most
    for condition in (f"A + B <= {most}", lambda x: x["A"] + x["B"] <= most, mask):
        restricted = space.restrict(condition)
        assert rows_of(restricted) == expected
        np.testing.assert_array_equal(restricted.index(restricted.states), np.arange(len(expected)))
    assert (space.restrict(mask).index(space.states[~mask]) == -1).all()


@pytest.mark.parametrize("mask", [np.ones(4, dtype=bool), np.arange(3), np.ones((3, 1), dtype=bool)])
def test_restriction_refuses_other_masks(mask):
    space = StateSpace.box(network({"A": 0}, "0 -> A"), 2)
    with pytest.raises(StateSpaceError, match=r"mask must be bool of shape \(3,\)"):
        space.restrict(mask)


@given(st.integers(1, 4).flatmap(lambda d: st.tuples(sets_of_states(d, 20), sets_of_states(d, 300))))
def test_union_of_spaces_is_the_union_of_sets(drawn):
    first, second = drawn
    names = NAMES[: len(next(iter(first)))]
    a, b = StateSpace.from_states(names, sorted(first)), StateSpace.from_states(names, sorted(second))
    for union in (a.union(b), b | a):
        assert rows_of(union) == sorted(first | second)
        np.testing.assert_array_equal(union.index(union.states), np.arange(len(union)))


def test_union_of_different_species_is_refused():
    a, b = StateSpace.from_states(("A",), [[0]]), StateSpace.from_states(("B",), [[0]])
    with pytest.raises(StateSpaceError, match="same species"):
        a.union(b)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ([[0.5, 1]], "integer array"),
        ([[1, 2, 3]], r"shape \(n, 2\)"),
        ([1, 2], r"shape \(n, 2\)"),
        ([[1, -2]], "must not be negative, but holds -2"),
        ([[0, 2**40]], "at most"),
    ],
)
def test_from_states_refuses_what_is_no_state(states, message):
    with pytest.raises(StateSpaceError, match=message):
        StateSpace.from_states(("A", "B"), states)


@pytest.mark.parametrize("species", [None, {"X": 0}, [1], network({"X": 3}, "X -> 0")])
def test_from_states_refuses_what_is_no_list_of_names(species):
    with pytest.raises(ArgumentError, match=r"`species` must be a list of names, such as model\.species"):
        StateSpace.from_states(species, [[1]])


def test_from_states_merges_repeats():
    assert rows_of(StateSpace.from_states(("A", "B"), [[3, 1], [0, 2], [3, 1]])) == [(0, 2), (3, 1)]
