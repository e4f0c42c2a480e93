"""Metastable sets against chains whose sets are known, and rates between them against the spectral gap."""

from __future__ import annotations

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.distribution.metastable import MetastableSet


def test_a_switch_has_two_sets_whose_rates_make_the_gap():
    """With cores, both rate constants add up to the gap but for a share of the way between them."""
    model = network(
        {"U": 0, "V": 0},
        ("0 -> U", "rate", "1 + 19/(1 + (V/5)^3)"),
        ("0 -> V", "rate", "1 + 19/(1 + (U/5)^3)"),
        ("U -> 0", "mass_action", 1.0),
        ("V -> 0", "mass_action", 1.0),
    )
    relaxation = fsp.relaxation(model, 3)
    sets = relaxation.metastable()
    assert len(sets) == 2
    assert [found.probability for found in sets] == pytest.approx([0.5, 0.5], abs=0.05)
    tops = {tuple(int(part.split("=")[1]) for part in found.name.split(", ")) for found in sets}
    assert {(b, a) for a, b in tops} == tops
    first, second = relaxation.metastable(core=0.95)
    assert len(first.states) < len(sets[0].states)
    low, high = (np.array([0, 20, 400]), np.array([20, 0, 400]))
    for found in (first, second):
        assert found({"U": low, "V": high}).sum() == 1
        assert not found({"U": low, "V": high})[2]
    ways = fsp.committor(model, first, second, tol=1e-4)
    back = fsp.committor(model, second, first, tol=1e-4)
    assert ways.rate.certified
    assert ways.rate_constant.value + back.rate_constant.value == pytest.approx(relaxation.gap, rel=0.05)
    assert fsp.passage(model, first, orders=1).mean().certified
    assert "around" in str(first)


def test_three_sets_are_told_apart():
    """Three pairs of places, fast within and slow between them in a row."""
    names = "ABCDEF"
    fast = [(a, b) for a, b in ("AB", "BA", "CD", "DC", "EF", "FE")]
    slow = [(a, b) for a, b in ("BC", "CB", "DE", "ED")]
    model = network(
        dict.fromkeys(names, 0) | {"A": 1},
        *((f"{a} -> {b}", "mass_action", 1.0) for a, b in fast),
        *((f"{a} -> {b}", "mass_action", 1e-4) for a, b in slow),
    )
    sets = fsp.relaxation(model, 4).metastable()
    where = {frozenset(names[k] for k in np.flatnonzero(found.states.any(axis=0))) for found in sets}
    assert where == {frozenset("AB"), frozenset("CD"), frozenset("EF")}
    assert [found.probability for found in sets] == pytest.approx([1 / 3] * 3)


def test_a_set_holds_its_states_and_no_others():
    ends = MetastableSet("X=0", ("X",), np.array([[0], [2]]), 1.0)
    assert ends({"X": np.array([0.0, 1.0, 2.0, 3.0, 9.0])}).tolist() == [True, False, True, False, False]


def test_bad_questions_are_refused():
    pair = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("B -> C", "mass_action", 2.0))
    with pytest.raises(fsp.BackendError, match="not absorbed"):
        fsp.relaxation(pair, 2).metastable()
    ring = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 1.0),
        ("C -> A", "mass_action", 1.0),
    )
    turning = fsp.relaxation(ring, 2)
    with pytest.raises(fsp.ArgumentError, match="must be real"):
        turning.metastable(2)
    with pytest.raises(fsp.ArgumentError, match="`n_sets` must be 2 to 3"):
        turning.metastable(5)
    with pytest.raises(fsp.ArgumentError, match="`core` must be"):
        turning.metastable(2, core=0.2)
    with pytest.raises(fsp.ArgumentError, match="one mode only"):
        fsp.relaxation(ring, 1).metastable()
