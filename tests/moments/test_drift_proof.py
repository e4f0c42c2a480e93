"""Regions outside which a drift is proved."""

from __future__ import annotations

from fractions import Fraction

import pytest
from written_networks import network

from fsp.moments.drift_proof import Prover
from fsp.moments.drift_values import NO_COST

MODEL = network(
    {"X": 0, "Y": 0},
    ("0 -> X", "mass_action", 3.0),
    ("X -> 0", "mass_action", 1.0),
    ("0 -> Y", "mass_action", 2.0),
    ("Y -> 0", "mass_action", 0.1),
)


@pytest.mark.parametrize("levels", [((5, Fraction(1)), (7, Fraction(1, 10))), ((5, Fraction(1, 10)), (7, Fraction(1)))])
def test_outside_a_box_the_drift_is_what_each_of_its_sides_shows(levels, monkeypatch):
    """A state may be beyond any one of the sides, so that the least of what they show is proved."""
    prover = Prover(MODEL, NO_COST)
    monkeypatch.setattr(prover, "_level", lambda function, i, least: levels[i])
    proof = prover._region({(1, 0): Fraction(1), (0, 1): Fraction(1)}, None, Fraction(1, 100))
    assert proof.elsewhere == Fraction(1, 10)
    assert proof.caps == (4, 6)  # from these levels on
