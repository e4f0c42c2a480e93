"""Ends of chains that never come back: found without a look at each count, and only where they are sure."""

from __future__ import annotations

import pytest
from written_networks import network

import fsp
from fsp.equilibrium import one_way

MANY = 1_000_000_000


def end_of(model):
    """Return the state that all starts end in; None where none is found."""
    found = one_way.one_way(model)
    return None if found is None else found.generator.space.states.tolist()[0]


def looked_at(monkeypatch):
    """Return a list to which the number of states is added whose rates are evaluated."""
    counts = []
    stops = one_way._Ends._stops

    def counted(self, states):
        counts.append(len(states))
        return stops(self, states)

    monkeypatch.setattr(one_way._Ends, "_stops", counted)
    return counts


@pytest.mark.parametrize("change", ["A -> B", "2 A -> B", "2 A -> 3 B"])
@pytest.mark.parametrize("n", [12, 12_191_211])
def test_a_chain_of_one_change_ends_in_one_state(change, n):
    """However many molecules, no state is stored but the last."""
    model = network({"A": n, "B": 0}, (change, "mass_action", 1.3e-7), (change, "rate", "0.1*A*(A - 1)"))
    d = fsp.stationary(model)
    taken, made = (int(part.split()[0]) if " " in part else 1 for part in change.split(" -> "))
    left = n % taken if taken > 1 else 0
    assert d.probability({"A": left, "B": n // taken * made}).lower >= 1.0 - 1e-12
    assert len(d) == 1
    assert d.error.certified


@pytest.mark.parametrize(
    ("rate", "end"),
    [
        ("A", 0),
        ("A*(A > 1234567)", 1234567),
        ("A^2.5/(1e9 + A^2.5)", 0),
        ("(A - 77)*(A > 77)", 77),
        ("0.5*A*(A >= 3)", 2),
        ("1e9 - B", 0),
    ],
)
def test_a_billion_molecules_are_not_counted_down(monkeypatch, rate, end):
    counts = looked_at(monkeypatch)
    assert end_of(network({"A": MANY, "B": 0}, ("A -> B", "rate", rate))) == [end, MANY - end]
    assert sum(counts) <= 2 * one_way.ROWS


def test_what_rounding_may_have_made_positive_is_no_way_on():
    """1 - exp(-A) is at least 0.63, but only errors on the counts themselves say so: they are looked at in blocks."""
    assert end_of(network({"A": 100_000, "B": 0}, ("A -> B", "rate", "1 - exp(-A)"))) == [0, 100_000]
    uncertain = network({"A": 100, "B": 0}, ("A -> B", "rate", "A*(0.1 + 0.2 - 0.3 + 0*A)"))
    assert end_of(uncertain) is None


def test_a_way_too_long_to_look_at_has_no_end(monkeypatch):
    monkeypatch.setattr(one_way, "MOST_ROWS", 200_000)
    assert end_of(network({"A": 190_000, "B": 0}, ("A -> B", "rate", "1 - exp(-A)"))) == [0, 190_000]
    assert end_of(network({"A": 210_000, "B": 0}, ("A -> B", "rate", "1 - exp(-A)"))) is None


@pytest.mark.parametrize(
    ("species", "reactions", "end"),
    [
        ({"A": MANY, "B": 0, "C": 0}, ["A -> B", "B -> C"], [0, 0, MANY]),
        ({"A": MANY + 1}, ["2 A -> 0", "4 A -> 0"], [1]),
        ({"A": MANY, "B": 7}, ["A -> 2 B", "B -> 0", "A + B -> 0"], [0, 0]),
        ({"A": 40, "B": 0, "C": 1}, ["A + C -> B + C", "2 B -> 0", "B -> 0"], [0, 0, 1]),
    ],
)
def test_several_changes_that_never_come_back_end_where_nothing_happens(monkeypatch, species, reactions, end):
    counts = looked_at(monkeypatch)
    assert end_of(network(species, *((text, "mass_action", 0.3) for text in reactions))) == end
    assert sum(counts) < 100


@pytest.mark.parametrize(
    ("species", "reactions"),
    [
        ({"A": 5, "B": 0}, ["2 A -> B", "3 A -> B"]),  # ends with one of A, or none
        ({"A": 5, "B": 0}, ["A -> B", "B -> A"]),  # comes back
        ({"A": 5, "B": 0, "C": 0}, ["A -> B", "B -> C", "C -> A"]),
        ({"A": 5, "B": 0}, ["A -> B", "A -> 0"]),  # ends in any number of B
        ({"A": 5}, ["A -> 2 A"]),  # has no end
    ],
)
def test_no_end_is_claimed_where_there_is_none_or_are_several(species, reactions):
    assert end_of(network(species, *((text, "mass_action", 0.3) for text in reactions))) is None


def test_a_state_without_a_way_out_is_no_end_where_others_come_back():
    """Five and four of A follow each other for ever; one of A, which nothing leaves, is never there."""
    down = ("A -> B", "rate", "A*(A > 4) + A*(A < 4)*(A > 1)")
    assert end_of(network({"A": 5, "B": 0}, down, ("B -> A", "rate", "B*(A == 4) + B*(A == 0)"))) is None
    assert end_of(network({"A": 3, "B": 2}, down)) == [1, 4]


def test_ends_of_one_way_that_differ_are_not_taken_for_one():
    model = fsp.Model(
        species=("A", "B"),
        reactions=[fsp.Reaction("2 A -> B", mass_action=1.0)],
        initial={(5, 0): 0.25, (4, 0): 0.75},
    )
    d = fsp.stationary(model)
    assert d.probability({"A": 1, "B": 2}).lower == pytest.approx(0.25, abs=1e-12)
    assert d.probability({"A": 0, "B": 2}).lower == pytest.approx(0.75, abs=1e-12)
