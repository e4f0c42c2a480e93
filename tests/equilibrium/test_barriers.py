"""Barriers keep chains from states that no search of a large space comes to either."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_networks import network

import fsp
from fsp.chains.classes import reached
from fsp.equilibrium.barriers import Barriers

UP, DOWN, HIGH = 6, 5, 24  # counts at which switches act, and more than any jump leads to from below 12

COMPARED = [f"X {sign} {n}" for sign in ("==", "!=", "<", ">=") for n in (UP, DOWN)]
JOINED = [f"X > {UP} && Y < 2", f"X == {UP} || X == {DOWN}", f"!(X >= {UP})"]
CONDITIONS = [*COMPARED, *JOINED, f"X - 1 > {DOWN}", f"X/2 > {DOWN}", f"X + Y == {UP}"]
LAWS = ["piecewise(0, {0}, 2)", "piecewise(X, {0}, 0)", "piecewise(0, {0}, X*(X - 1))", "({0})*X", "X*Y", "3"]
CHANGES = ["0 -> X", "X -> 0", "0 -> 2 X", "2 X -> 0", "X -> Y", "Y -> X", "0 -> Y", "Y -> 0"]


@st.composite
def switched(draw):
    """Draw a network of two species whose rates switch."""
    reactions = []
    for change in draw(st.lists(st.sampled_from(CHANGES), min_size=1, max_size=5, unique=True)):
        law = draw(st.sampled_from(LAWS)).format(draw(st.sampled_from(CONDITIONS)))
        needs = {"X -> 0": "X > 0", "2 X -> 0": "X > 1", "X -> Y": "X > 0", "Y -> X": "Y > 0", "Y -> 0": "Y > 0"}
        reactions.append((change, "rate", f"piecewise({law}, {needs[change]}, 0)" if change in needs else law))
    return network({"X": draw(st.integers(0, 11)), "Y": draw(st.integers(0, 3))}, *reactions)


@given(switched())
@settings(max_examples=150, deadline=None)
def test_no_state_beyond_a_barrier_is_reached(model):
    space = fsp.StateSpace.box(model, upper={"X": HIGH, "Y": 6})
    first = (space.states == model.initial_states[0]).all(axis=1)
    come_to = reached(fsp.Generator(model, space).to_csr(), first)
    assert not Barriers(model).passed(space.states[come_to], model.initial_states[0]).any()


@pytest.mark.parametrize(
    ("law", "start", "beyond"),
    [
        ("piecewise(0, X == 30, X)", 35, np.arange(30)),
        ("piecewise(X, X > 30, 0)", 35, np.arange(30)),
        ("piecewise(X, X != 30, 0)", 30, np.arange(30)),
        ("piecewise(X*(X - 30), X >= 30, 0)", 31, np.arange(30)),
        ("piecewise(X, 3*X > 90, 0)", 35, np.arange(0)),  # products of whole numbers may round
        ("piecewise(X, X > 29.5, 0)", 29, np.arange(0)),  # so may numbers that are not whole
    ],
)
def test_switches_are_barriers_where_rates_are_zero_by_form(law, start, beyond):
    model = network({"X": start}, ("0 -> X", "mass_action", 1.0), ("X -> 0", "rate", law))
    states = np.arange(60)[:, None]
    np.testing.assert_array_equal(np.flatnonzero(Barriers(model).passed(states, np.array([start]))), beyond)


def test_jumps_over_a_switch_pass_it():
    """Pairs go from 31 to 29 where single molecules stop at 30."""
    laws = [("X -> 0", "rate", "piecewise(0, X == 30, X)"), ("2 X -> 0", "mass_action", 1.0)]
    model = network({"X": 35}, ("0 -> X", "mass_action", 1.0), *laws)
    assert not Barriers(model).passed(np.arange(60)[:, None], np.array([35])).any()


def test_callables_are_no_barriers():
    model = network({"X": 35}, ("0 -> X", "rate", "1"), ("X -> 0", "rate", lambda x: np.where(x["X"] == 30, 0.0, 1.0)))
    assert not Barriers(model).passed(np.arange(60)[:, None], np.array([35])).any()
