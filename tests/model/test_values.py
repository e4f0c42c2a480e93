"""Whole numbers: what is within rounding of one counts as it, and nothing becomes zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fsp
from fsp import Event, ModelError, Reaction
from fsp.model.values import nearest_whole

TINY = [1e-9, 1e-10, 1e-24, 5e-324, -1e-12]
DECAY = [Reaction("X -> 0", mass_action=1.0)]


@given(st.integers(1, 2**53), st.integers(-4, 4))
def test_a_count_a_few_roundings_off_is_that_count(n, steps):
    value = float(n)
    for _ in range(abs(steps)):
        value = np.nextafter(value, np.inf if steps > 0 else 0.0)
    found = nearest_whole(np.array([value, -value]))
    assert abs(found[0] - n) <= abs(steps)  # where doubles lie further apart than whole numbers, each is one
    np.testing.assert_array_equal(found, np.round([value, -value]))


@pytest.mark.parametrize("value", [*TINY, 0.4, 1.0 + 1e-8, 1e8 + 0.05, np.nan, np.inf, -np.inf])
def test_what_is_no_count_is_none(value):
    assert np.isnan(nearest_whole(np.array(value)))


def test_zero_is_zero():
    np.testing.assert_array_equal(nearest_whole(np.array([0.0, -0.0])), [0.0, 0.0])


@pytest.mark.parametrize("amount", TINY)
def test_amounts_next_to_zero_are_refused_wherever_they_are_given(amount):
    model = fsp.Model(species={"X": 3}, reactions=DECAY, parameters={"k": amount})
    with pytest.raises(ModelError, match=f"'X' must be a whole number of molecules, 0 or more, but is {amount:.12g}"):
        fsp.Model(species={"X": amount}, reactions=DECAY)
    with pytest.raises(ModelError, match="whole number"):
        fsp.Model(species={"X": "3*k"}, reactions=DECAY, parameters={"k": amount})
    with pytest.raises(ModelError, match="whole number"):
        fsp.Model(species=["X"], initial={(amount,): 1.0}, reactions=DECAY)
    with pytest.raises(ModelError, match="whole number"):
        model.with_initial(X=amount)
    with pytest.raises(ModelError, match="whole number"):
        model.with_values({"X": amount})


@pytest.mark.parametrize("condition", ["time >= 0.5", "X <= 2"])
def test_events_make_no_count_zero(condition):
    event = Event(condition, {"X": "1e-10*X"})
    with pytest.raises(ModelError, match="whole number of molecules"):
        fsp.transient(fsp.Model(species={"X": 3}, reactions=DECAY, events=[event]), [1.0])


BEYOND = 10**400  # a whole number of Python, and no double
FALL = fsp.Model(species={"X": 3}, parameters={"k": 1.0}, reactions=[Reaction("X -> 0", rate="k*X")])
DOORS = {
    "parameter": (lambda: fsp.Model(species={"X": 3}, parameters={"k": BEYOND}, reactions=DECAY), "'k' must be finite"),
    "value": (lambda: FALL.with_parameters(k=BEYOND), "'k' must be finite"),
    "count": (lambda: FALL.with_initial(X=BEYOND), "Initial count of 'X' must be finite"),
    "rate": (lambda: Reaction("X -> 0", rate=BEYOND), "`rate` of .* must be a formula or a callable"),
    "constant": (lambda: Reaction("X -> 0", mass_action=BEYOND), "`mass_action` of .* must be a number"),
    "times": (lambda: fsp.transient(FALL, [BEYOND]), "`times` must be numbers"),
    "bound": (lambda: fsp.StateSpace.box(FALL, upper={"X": BEYOND}), "`upper` must be a non-negative integer"),
    "level": (lambda: fsp.transient(FALL, [0.0])[-1].quantile("X", BEYOND), "`level` must be between 0 and 1"),
    "sweep": (lambda: fsp.sweep(FALL, {"k": [BEYOND]}, [1.0]), "Values of 'k' must be numbers"),
    "cells": (lambda: fsp.read_counts({"time": [1], "x": [BEYOND]}, counts={"X": "x"}), "'x' must hold numbers"),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_whole_numbers_beyond_doubles_are_refused(door):
    ask, said = DOORS[door]
    with pytest.raises(fsp.FSPError, match=said):
        ask()


def test_limits_may_be_any_whole_number():
    assert len(fsp.transient(FALL, [1.0], max_states=BEYOND, max_memory=BEYOND)[-1]) == 4
