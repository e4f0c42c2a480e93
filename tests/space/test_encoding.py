"""Keys keep order and add up, whatever the size of counts and changes."""

from __future__ import annotations

import itertools
from math import inf

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import as_model, closed_networks, networks
from space_cases import jumping_networks, network, rows_of, starts

from fsp import Model, Reaction, StateSpace, StateSpaceError
from fsp.space.closure import sort_keys
from fsp.space.encoding import build_encoding

FAR = [0, 2**15 - 3, 2**16 - 2, 2**20 - 3, 2**30, 2**31 - 40]  # close below the widths of bit fields


def attempt(make):
    """Return what `make` makes and no text, or nothing and the text of its refusal."""
    try:
        return make(), ""
    except StateSpaceError as error:
        return None, str(error)


@given(networks(), st.lists(st.sampled_from(FAR), min_size=4, max_size=4), st.integers(0, 4))
def test_large_counts_give_the_same_spaces_or_are_refused(drawn, offsets, steps):
    """Fields of every width, keys of several words, widening in the middle of a closure."""
    far = {name: x + offset for (name, x), offset in zip(drawn["species"].items(), offsets, strict=False)}
    model = as_model(drawn | {"species": far})
    expected = naive.closure(model, starts(model), steps=steps)
    space, refusal = attempt(lambda: StateSpace.reachable(model, steps=steps))
    if refusal:
        assert "copy number must be at most" in refusal
        assert max(map(max, expected)) + 6 >= 2**31
        return
    assert naive.as_set(space) == expected
    np.testing.assert_array_equal(space.index(space.states), np.arange(len(space)))


@given(jumping_networks())
def test_large_changes_do_not_run_into_the_neighbouring_field(model):
    expected = naive.closure(model, starts(model), allowed=lambda x: max(x) <= 25)
    constraints = [f"{name} <= 25" for name in model.species]
    assert naive.as_set(StateSpace.reachable(model, constraints, max_states=26**3)) == expected


@pytest.mark.parametrize("kind", ["reachable", "box", "from_states", "union"])
@given(model=jumping_networks(), steps=st.integers(0, 3))
def test_any_space_grows_by_large_changes(kind, model, steps):
    box = StateSpace.box(model, 6)
    space = {
        "reachable": lambda: StateSpace.reachable(model, steps=1),
        "box": lambda: box,
        "from_states": lambda: StateSpace.from_states(model.species, box.states),
        "union": lambda: box | StateSpace.reachable(model, steps=1),
    }[kind]()
    top = 6 if kind == "box" else 10**9
    expected = naive.closure(model, naive.as_set(space), steps=steps, allowed=lambda x: max(x) <= top)
    assert naive.as_set(space.grow(model, steps)) == expected


@given(closed_networks(), st.lists(st.integers(0, 4), min_size=4, max_size=4))
def test_starts_with_different_conserved_sums_share_a_space(drawn, other):
    model = as_model(drawn)
    first = starts(model)[0]
    second = tuple(other[: model.n_species])
    both = Model(
        species=list(model.species),
        reactions=[Reaction(**reaction) for reaction in drawn["reactions"]],
        initial={first: 0.5, second: 0.5} if first != second else {first: 1.0},
    )
    apart = StateSpace.reachable(model) | StateSpace.reachable(
        model.with_initial(dict(zip(model.species, second, strict=True)))
    )
    space = StateSpace.reachable(both)
    np.testing.assert_array_equal(space.states, apart.states)
    np.testing.assert_array_equal(space.index(apart.states), np.arange(len(apart)))


def test_many_species_need_several_words():
    names = [f"S{i}" for i in range(9)]
    model = network(dict.fromkeys(names, 0), *(f"0 -> {name}" for name in names))
    space = StateSpace.reachable(model, [f"{name} <= 1" for name in names], max_states=512)
    assert space.encoding.n_words > 1
    assert rows_of(space) == list(itertools.product(range(2), repeat=9))
    np.testing.assert_array_equal(space.index(space.states), np.arange(512))
    outside = space.states.copy()
    outside[:, 4] += 2
    assert (space.index(outside) == -1).all()


def test_conserved_species_have_no_field():
    dimer = network({"A": 5, "B": 1, "X": 0}, "2 A -> B", "B -> 2 A", "0 -> X")
    space = StateSpace.reachable(dimer, "X <= 2")
    assert space.encoding.kept == (0, 2)
    assert naive.as_set(space) == {(7 - 2 * b, b, x) for b in range(4) for x in range(3)}
    assert space.index([[7, 0, 0], [6, 0, 0], [6, 1, 0], [5, 1, 2], [5, 2, 2]]).tolist() == [9, -1, -1, 8, -1]


def test_closure_widens_its_fields_beside_a_conserved_species():
    start = 2**20 - 4
    model = network({"G": 1, "H": 0, "X": start, "Y": 0, "Z": 0}, "G -> H", "H -> G", "0 -> X", "0 -> Y", "0 -> Z")
    space = StateSpace.reachable(model, ["Y <= 1", "Z <= 1", f"X <= {start + 9}"])
    assert len(space) == 2 * 2 * 2 * 10
    assert space.states[:, 2].max() == start + 9


@pytest.mark.parametrize("kind", ["box", "from_states"])
def test_widening_keeps_states_that_break_the_laws(kind):
    """A space may hold more than the network reaches from its start: no law may be used to shrink its keys."""
    model = network({"G": 1, "H": 0, "M": 0}, "G -> H", "H -> G", "0 -> 50 M")
    members = set(itertools.product(range(2), range(2), range(3)))
    space = StateSpace.box(model, {"G": 1, "H": 1, "M": 2})
    if kind == "from_states":
        space = StateSpace.from_states(model.species, sorted(members))
    expected = naive.closure(model, members, steps=2, allowed=lambda x: x[2] <= 2 or kind != "box")
    if kind == "box":
        expected = {x for x in expected if max(x[:2]) <= 1}
    assert naive.as_set(space.grow(model, 2)) == expected


@pytest.mark.parametrize("count", [2**31 - 2, 2**31, 2**33 + 1, 2**40])
def test_counts_beyond_the_widest_field_are_right_or_refused(count):
    model = network({"X": count, "Y": 0}, "X -> Y", "0 -> Y", "0 -> X")
    box = {"upper": {"X": count, "Y": 0}, "lower": {"X": count}}
    for make in (lambda: StateSpace.reachable(model, steps=0), lambda: StateSpace.box(model, **box)):
        space, refusal = attempt(make)
        if refusal:
            assert count >= 2**31 - 2
            assert "must be at most 2,147,483,64" in refusal
        else:
            assert rows_of(space) == [(count, 0)]
            assert space.index([count, 0]) == 0


def test_growth_beyond_the_widest_field_is_refused():
    model = network({"X": 2**31 - 20}, "0 -> X")
    assert StateSpace.reachable(model, steps=10).states.max() == 2**31 - 10
    with pytest.raises(StateSpaceError, match="must be at most 2,147,483,6"):
        StateSpace.reachable(model, steps=30)


@pytest.mark.parametrize("born", [10**9, 2**31, 4 * 10**9])
def test_huge_changes_are_right_or_refused(born):
    model = network({"A": 2, "B": 1}, f"0 -> {born} A", "A -> B")
    space, refusal = attempt(lambda: StateSpace.reachable(model, steps=2))
    if refusal:
        assert "-" not in refusal  # a limit below zero says nothing to anyone
    else:
        assert naive.as_set(space) == naive.closure(model, starts(model), steps=2)


@st.composite
def encodings(draw):
    """Draw an encoding and states that it holds."""
    n = draw(st.integers(1, 7))
    bounds = draw(st.lists(st.sampled_from([0, 1, 5, 100, 2**15, 2**20, 2**30, inf]), min_size=n, max_size=n))
    margins = draw(st.lists(st.integers(0, 1000), min_size=n, max_size=n))
    encoding = build_encoding(
        np.array(bounds, dtype=float), np.array(margins, dtype=np.int64), wide=draw(st.booleans())
    )
    state = st.tuples(*[st.integers(0, int(top)) for top in encoding.capacity - np.array(margins)])
    return encoding, margins, np.array(draw(st.lists(state, min_size=1, max_size=20)), dtype=np.int64)


@given(encodings(), st.data())
def test_keys_keep_order_and_add_up(drawn, data):
    encoding, margins, states = drawn
    keys = encoding.encode(states)
    assert keys.min() >= 0
    np.testing.assert_array_equal(encoding.decode(keys), states)
    in_order = [tuple(row) for row in encoding.decode(sort_keys(keys)).tolist()]
    assert in_order == sorted(map(tuple, states.tolist()))
    change = np.array([data.draw(st.integers(-m, m)) for m in margins], dtype=np.int64)
    targets = states + change
    legal = (targets >= 0).all(axis=1)
    np.testing.assert_array_equal(encoding.decode(keys[legal] + encoding.shift_of(change)), targets[legal])
    # A jump that leads below zero must not meet the key of a state.
    wrapped = keys[~legal] + encoding.shift_of(change)
    assert not {tuple(k) for k in wrapped.tolist()} & {tuple(k) for k in keys.tolist()}
