"""What is only printed has a budget of CPU time, and says what it left out; clocks are counters here."""

from __future__ import annotations

import itertools

import pytest
from written_networks import network

import fsp
from fsp.equilibrium.bounded import class_notes
from fsp.model.structure import conservation_laws
from fsp.moments.complexes import structure_text
from fsp.time_limit import TimeLimit, check_time_limit


def counting(seconds):
    """Return a time_limit whose clock moves by one whenever it is read."""
    ticks = itertools.count()
    return TimeLimit(seconds, clock=lambda: next(ticks))


def endless():
    for n in itertools.count():
        check_time_limit()
        if n > 1000:
            pytest.fail("nothing ended what is made")


def test_what_takes_longer_is_not_made():
    assert counting(5).within(endless) is None
    assert counting(5).within(lambda: 3) == 3
    assert "not computed within 5 s" in counting(5).left_out("bounds", "there")


def test_nothing_is_ended_outside():
    check_time_limit()
    counting(0).within(lambda: 3)
    check_time_limit()


def test_seconds_are_shared():
    def quick():
        check_time_limit()
        return 3

    time_limit = counting(5)
    assert time_limit.within(endless) is None
    assert time_limit.within(quick) is None
    assert counting(5).within(quick) == 3


def test_what_was_ended_is_not_taken_for_an_answer():
    """Bounds that were not made for want of time are made when they are asked for."""
    model = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("B -> C", "mass_action", 1.0))
    text = model.describe(counting(0))
    assert "model.conservation_laws" in text
    assert "model.species_bounds" in text
    assert "A + B + C = 1" in model.describe()
    assert "A <= 1" in model.describe()
    assert "not computed" in structure_text(model, counting(0))


def test_intervals_of_means_are_left_out_and_said(monkeypatch):
    model = network({"A": 0}, ("0 -> A", "mass_action", 1.0), ("2 A -> 0", "mass_action", 1.0))
    d = fsp.transient(model, [0.1], 1e-3)[-1]
    monkeypatch.setattr("fsp.distribution.distribution.TimeLimit", lambda: counting(1))
    assert "dist.mean_interval()" in str(d)
    assert d.mean_interval()["A"].certified
    monkeypatch.setattr("fsp.distribution.distribution.TimeLimit", lambda: counting(10**9))
    assert "dist.mean_interval()" not in str(d)


def test_many_closed_classes_are_one_line():
    classes = [(f"closed class around (A={k})", (k + 1) / 45150) for k in range(300)]
    assert class_notes(classes[:1]) == ()
    assert len(class_notes(classes[:5])) == 5
    (line,) = class_notes(classes)
    assert "300 closed classes" in line
    assert "A=299" in line


def test_directions_are_reduced_once():
    """A reaction, its reverse and its multiples are one condition."""
    change = network(
        {"A": 4, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "rate", "B"),
        ("2 A -> 2 B", "rate", "A*(A-1)"),
    ).change
    assert conservation_laws(change).tolist() == [[0, 0, 1], [1, 1, 0]]
