"""State spaces: order, index, boxes, closures, growth, limits, and keys that never overflow."""

from __future__ import annotations

import itertools
import tracemalloc
from math import comb, inf, nan

import naive
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import NAMES, as_model, closed_networks, networks, open_networks
from references import MODELS

import fsp
from fsp import Model, Reaction, StateSpace, StateSpaceError
from fsp.space import closure
from fsp.space import space as of_space
from fsp.space.closure import KeySet, sort_keys
from fsp.space.constraints import as_constraints
from fsp.space.encoding import build_encoding
from fsp.space.runs import KeyRuns

FAR = [0, 2**15 - 3, 2**16 - 2, 2**20 - 3, 2**30, 2**31 - 40]  # close below the widths of bit fields


def network(species, *equations):
    return Model(species=species, reactions=[Reaction(equation, mass_action=1.0) for equation in equations])


def starts(model):
    return [tuple(row) for row in model.initial_states.tolist()]


def rows_of(space):
    return [tuple(row) for row in space.states.tolist()]


def attempt(make):
    """Return what `make` makes and no text, or nothing and the text of its refusal."""
    try:
        return make(), ""
    except StateSpaceError as error:
        return None, str(error)


@st.composite
def jumping_networks(draw):
    """Draw 1–3 species and 1–4 reactions that change copy numbers by up to 40 at once."""
    names = NAMES[: draw(st.integers(1, 3))]
    counts = st.sampled_from([0, 0, 1, 2, 3, 7, 40])
    used = st.lists(st.integers(0, 2), min_size=len(names), max_size=len(names))
    made = st.lists(counts, min_size=len(names), max_size=len(names))

    def side(numbers):
        return " + ".join(f"{n} {name}" for n, name in zip(numbers, names, strict=True) if n)

    pairs = draw(st.lists(st.tuples(used, made), min_size=1, max_size=4))
    start = draw(st.lists(st.integers(0, 5), min_size=len(names), max_size=len(names)))
    return network(dict(zip(names, start, strict=True)), *(f"{side(a)} -> {side(b)}" for a, b in pairs))


def sets_of_states(n_species, largest=9, min_size=1):
    return st.sets(st.tuples(*[st.integers(0, largest)] * n_species), min_size=min_size, max_size=40)


# ---- order and index --------------------------------------------------------------------------------------


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


# ---- boxes ------------------------------------------------------------------------------------------------


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


# ---- closures ---------------------------------------------------------------------------------------------


@given(networks(), st.integers(0, 9))
def test_reachable_is_the_closure(drawn, most):
    model = as_model(drawn)
    most = max(most, int(model.initial_states.sum()))
    text = " + ".join(model.species) + f" <= {most}"
    expected = naive.closure(model, starts(model), allowed=lambda x: sum(x) <= most)
    assert naive.as_set(StateSpace.reachable(model, text)) == expected

    def few(x):
        return sum(x[name] for name in model.species) <= most

    np.testing.assert_array_equal(
        StateSpace.reachable(model, few).states, StateSpace.reachable(model, [text, few]).states
    )
    if model.is_finite:
        assert naive.as_set(StateSpace.reachable(model)) == naive.closure(model, starts(model))


@given(networks(), st.integers(0, 5))
def test_steps_are_levels_of_the_closure(drawn, steps):
    model = as_model(drawn)
    found = naive.as_set(StateSpace.reachable(model, steps=steps))
    assert found == naive.closure(model, starts(model), steps=steps)


@pytest.mark.parametrize(("n_species", "molecules"), [(2, 50), (3, 30), (4, 20), (6, 9)])
def test_conversions_reach_the_simplex(n_species, molecules):
    names = "ABCDEF"[:n_species]
    cycle = [f"{a} -> {b}" for a, b in zip(names, names[1:] + names[0], strict=True)]
    space = StateSpace.reachable(network(dict.fromkeys(names, 0) | {"A": molecules}, *cycle))
    assert len(space) == comb(molecules + n_species - 1, n_species - 1)
    assert (space.states.sum(axis=1) == molecules).all()
    assert space.encoding.kept == tuple(range(n_species - 1))


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("closed_isomerization", 51),
        ("mrna_decay", 101),
        ("homodimerization", 20 + 1),
        ("bimolecular", 15 + 1),
        ("futile_cycle", 1071),
        ("michaelis_menten", 101 * 102 // 2),  # ES + P <= 100
        ("enzyme", 101 * 201 - 101 * 100 // 2),  # C <= 100, C + P <= 200
        ("sir", 991 * 1001 - 990 * 991 // 2),  # S <= 990, I + R = 1000 - S
    ],
)
def test_field_models_have_as_many_states_as_they_must(name, count):
    space = StateSpace.reachable(fsp.load(MODELS / f"{name}.ant"))
    assert len(space) == count
    spot = np.linspace(0, count - 1, 1000).astype(int)
    np.testing.assert_array_equal(space.index(space.states[spot]), spot)


def test_eleven_species_in_an_operator():
    model = fsp.load(MODELS / "phage_lambda.ant")
    space = StateSpace.reachable(model, ["CI2 <= 3", "Cro2 <= 3"], max_states=27 * 16)
    found, frontier = set(starts(model)), starts(model)
    while frontier:
        enabled = model.propensities(frontier) > 0
        targets = {
            tuple((np.array(x) + model.change[k]).tolist())
            for j, x in enumerate(frontier)
            for k in np.flatnonzero(enabled[:, j])
        }
        frontier = sorted(y for y in targets - found if max(y[9:]) <= 3)
        found |= set(frontier)
    assert naive.as_set(space) == found
    assert len(np.unique(space.states[:, :9], axis=0)) == 27


def test_absorbing_structure_makes_a_closure_finite():
    decay = network({"A": 7, "B": 0}, "A -> 3 B", "B -> 0")
    assert len(StateSpace.reachable(decay)) == sum(3 * (7 - a) + 1 for a in range(8))
    saturated = Model(species={"X": 0}, reactions=[Reaction("0 -> X", rate="max(0, 9 - X)")])
    assert len(StateSpace.reachable(saturated)) == 10


@pytest.mark.parametrize(
    ("equation", "rate", "start", "count"),
    [
        ("X -> 2 X", "X*(1 - X/10)", 3, 8),  # logistic: negative above 10, which is never reached
        ("0 -> X", "abs(X - 5)", 0, 6),  # zero at 5 alone
        ("0 -> X", lambda x: np.array([2.0, 1.0, 3.0, 0.0])[x["X"].astype(int)], 0, 4),  # a table
    ],
)
def test_rates_that_stop_at_a_state_make_a_closure_finite(equation, rate, start, count):
    model = Model(species={"X": start}, reactions=[Reaction(equation, rate=rate, name="birth")])
    assert len(StateSpace.reachable(model)) == count


@pytest.mark.parametrize(
    ("species", "equations", "guilty"),
    [
        ({"X": 0}, ["X -> 0", "0 -> X"], "r2"),
        ({"X": 1}, ["X -> 2 X"], "r1"),
        ({"X": 0, "Y": 0}, ["0 -> X", "X -> 0", "X -> X + Y"], "r1"),
        ({"G": 1, "M": 0}, ["G -> G + 5 M"], "r1"),
        ({"G": 0, "H": 1, "M": 0}, ["H -> G", "G -> G + M"], "r2"),  # enabled only after another
    ],
)
def test_infinite_closure_is_refused_at_once(species, equations, guilty):
    with pytest.raises(StateSpaceError, match=rf"reaction '{guilty}' can fire without end .*give constraints such as"):
        StateSpace.reachable(network(species, *equations))


def test_infinite_closure_that_no_single_reaction_shows_stops_at_the_limit():
    model = network({"A": 1, "B": 0}, "A -> B", "B -> 2 A")
    with pytest.raises(StateSpaceError, match=r"at most 500 \(`max_states`\)"):
        StateSpace.reachable(model, max_states=500)


def test_reaction_that_never_happens_does_no_harm():
    model = network({"A": 2, "B": 0, "C": 0, "X": 0}, "A -> B", "C -> C + X")
    assert rows_of(StateSpace.reachable(model)) == [(0, 2, 0, 0), (1, 1, 0, 0), (2, 0, 0, 0)]


def test_time_dependent_reactions_count_as_enabled():
    model = Model(
        species={"X": 0, "Y": 2},
        reactions=[Reaction("0 -> X", rate="max(0, sin(time))"), Reaction("Y -> 0", rate="Y*time")],
    )
    assert rows_of(StateSpace.reachable(model, "X <= 3")) == list(itertools.product(range(4), range(3)))
    with pytest.raises(StateSpaceError, match="'r1' can fire without end"):
        StateSpace.reachable(model)


def test_reachable_keeps_to_its_limits():
    model = network({"A": 99, "B": 0}, "A -> B", "B -> A")
    assert len(StateSpace.reachable(model, max_states=100)) == 100
    with pytest.raises(StateSpaceError, match=r"at most 99 \(`max_states`\)"):
        StateSpace.reachable(model, max_states=99)
    with pytest.raises(StateSpaceError, match="max_memory"):
        StateSpace.reachable(model, max_memory=1000)


@pytest.mark.parametrize(
    ("constraint", "message"),
    [
        ("A + C <= 3", r"about species \(A, B\), but 'A \+ C <= 3' names 'C'"),
        ("A > 5", r"Every initial state must fulfil the constraints, but \[2, 0\] breaks 'A > 5'"),
        (3, "must be text such as .* or a callable, but is 3"),
        (lambda x: [True, False, True], r"one bool for each state, shape \(1,\), but .* returned shape \(3,\)"),
    ],
)
def test_bad_constraints_are_refused(constraint, message):
    with pytest.raises(StateSpaceError, match=message):
        StateSpace.reachable(network({"A": 2, "B": 0}, "A -> B"), [constraint])


def test_every_initial_state_is_a_start():
    model = Model(
        species=["A", "B"],
        reactions=[Reaction("A -> B", mass_action=1.0)],
        initial={(2, 0): 0.5, (0, 1): 0.25, (5, 1): 0.25},
    )
    expected = naive.closure(model, [(2, 0), (0, 1), (5, 1)])
    assert naive.as_set(StateSpace.reachable(model)) == expected
    with pytest.raises(StateSpaceError, match=r"\[5, 1\] breaks"):
        StateSpace.reachable(model, "A <= 4")


# ---- changing a space -------------------------------------------------------------------------------------


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


def test_from_states_merges_repeats():
    assert rows_of(StateSpace.from_states(("A", "B"), [[3, 1], [0, 2], [3, 1]])) == [(0, 2), (3, 1)]


# ---- keys -------------------------------------------------------------------------------------------------


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


# ---- closure by whole runs --------------------------------------------------------------------------------


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
        ("A <= 2.5", None),
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


# ---- kernels ----------------------------------------------------------------------------------------------


def sorted_keys(rng, n, n_words, top=60):
    rows = np.unique(rng.integers(0, top, (n, n_words)), axis=0)
    return rows.astype(np.int64)


@pytest.mark.parametrize("n_words", [1, 2, 3])
@pytest.mark.parametrize("n", [0, 1, 50, 2000])
def test_locate_against_numpy(rng, n, n_words):
    keys = sorted_keys(rng, n, n_words)
    queries = rng.integers(-5, 65, (500, n_words))
    equal = (keys[None] == queries[:, None]).all(axis=2)
    expected = np.where(equal.any(axis=1), equal.argmax(axis=1), -1) if len(keys) else np.full(500, -1)
    np.testing.assert_array_equal(KeyRuns.of_keys(keys).locate(queries), expected)


@pytest.mark.parametrize("n_words", [1, 2, 3])
@pytest.mark.parametrize("n", [1, 50, 2000])
def test_runs_are_the_keys(rng, n, n_words):
    keys = sorted_keys(rng, n, n_words)
    runs = KeyRuns.of_keys(keys)
    assert len(runs) == len(keys)
    np.testing.assert_array_equal(runs.expand(), keys)
    some = rng.integers(0, len(keys), 30)
    np.testing.assert_array_equal(runs.take(some), keys[some])
    np.testing.assert_array_equal(runs.last_keys(), keys[runs.starts[1:] - 1])
    # no run continues the one before
    after = runs.last_keys()[:-1].copy()
    after[:, -1] += 1
    assert (after != runs.keys[1:]).any(axis=1).all()


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_selections_and_unions_of_runs(rng, n_words):
    keys = sorted_keys(rng, 1500, n_words)
    for share in (0.0, 0.1, 0.5, 0.97, 1.0):
        kept = rng.random(len(keys)) < share
        one, other = KeyRuns.of_keys(keys).select(kept), KeyRuns.of_keys(keys).select(rng.random(len(keys)) < 0.5)
        np.testing.assert_array_equal(one.expand(), keys[kept])
        both = one.union(other)
        expected = np.unique(np.concatenate([one.expand(), other.expand()]), axis=0)
        np.testing.assert_array_equal(both.expand(), expected)
        assert len(both.keys) == len(KeyRuns.of_keys(expected).keys)


@settings(max_examples=100)
@given(
    st.integers(1, 3).flatmap(
        lambda w: st.lists(st.lists(st.tuples(*[st.integers(0, 40)] * w), min_size=1, max_size=60), max_size=6)
    )
)
def test_key_set_is_a_set(batches):
    n_words = len(batches[0][0]) if batches else 1
    keys, expected = KeySet(n_words), set()
    for batch in batches:
        keys.add(np.array(batch, dtype=np.int64))
        expected |= set(batch)
        assert keys.count == len(expected)


@pytest.mark.parametrize("n_words", [1, 2, 3])
def test_key_set_expands_into_what_is_new(rng, n_words):
    keys, expected = KeySet(n_words), set()
    for size in (10, 3000, 400, 1):  # beyond the first table: it must be rebuilt on the way
        frontier = rng.integers(0, 2**40, (size, n_words)) // 2**28
        shifts = rng.integers(0, 3, (4, n_words))
        enabled = rng.random((4, size)) < 0.7
        fresh = keys.expand(frontier, enabled, shifts)
        targets = {tuple(row) for r in range(4) for row in (frontier + shifts[r])[enabled[r]].tolist()}
        assert sorted(map(tuple, fresh.tolist())) == sorted(targets - expected)
        expected |= targets
        assert keys.count == len(expected)


# ---- carrying values --------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_a_closure_in_blocks_is_the_same(monkeypatch, block):
    model = fsp.load(MODELS / "enzyme.ant")
    whole = StateSpace.reachable(model, steps=12)
    monkeypatch.setattr(closure, "BLOCK", block)
    np.testing.assert_array_equal(StateSpace.reachable(model, steps=12).states, whole.states)
