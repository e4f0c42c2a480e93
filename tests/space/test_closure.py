"""The reachable states of a network: all of them, none else, within the limits."""

from __future__ import annotations

import itertools
from math import comb

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_networks import as_model, networks
from references import MODELS
from space_cases import network, rows_of, starts

import fsp
from fsp import Model, Reaction, StateSpace, StateSpaceError
from fsp.space import closure


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


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_a_closure_in_blocks_is_the_same(monkeypatch, block):
    model = fsp.load(MODELS / "enzyme.ant")
    whole = StateSpace.reachable(model, steps=12)
    monkeypatch.setattr(closure, "JUMPS_AT_ONCE", block)
    np.testing.assert_array_equal(StateSpace.reachable(model, steps=12).states, whole.states)
