"""Bounds of moments of a network that a file holds are those of the model that was solved, by species and time."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.moments import moment_bounds
from fsp.moments.network_text import network_text, read_network
from fsp.moments.stored import StoredBounds
from fsp.time_limit import TimeLimit

# Of two species with different means, so that one cannot stand for the other.
MODEL = network(
    {"A": 0, "B": 3},
    ("0 -> A", "mass_action", 2.0),
    ("A -> 0", "mass_action", 1.0),
    ("A -> A + B", "mass_action", 5.0),
    ("B -> 0", "mass_action", 0.5),
)


def of_file(t, columns=(0, 1)):
    return StoredBounds(network_text(MODEL), MODEL.hash, t, columns)


def same(found, exact):
    arrays = ("largest", "norms", "monomials", "means")
    assert found.species == exact.species
    assert all(np.array_equal(getattr(found, name), getattr(exact, name)) for name in arrays)


@pytest.mark.parametrize("t", [0.25, 3.0, np.inf])
@pytest.mark.parametrize("columns", [(0, 1), (1, 0), (1,)])
def test_bounds_are_those_of_the_model(t, columns):
    exact = moment_bounds(MODEL, t).bounds.select(columns)
    same(of_file(t, columns).bounds, exact)
    same(pickle.loads(pickle.dumps(of_file(t, columns))).bounds, exact)


@pytest.mark.parametrize("is_computed", [False, True])
def test_species_of_species_are_chosen_by_their_places(is_computed):
    stored = of_file(1.0, (1, 0))
    if is_computed:
        assert stored.bounds is stored.bounds
    chosen = stored.select([1])
    assert isinstance(chosen, StoredBounds) == (not is_computed)
    same(getattr(chosen, "bounds", chosen), moment_bounds(MODEL, 1.0).bounds.select([0]))


def test_another_network_has_no_bounds():
    text = network_text(MODEL)
    for wrong in (text.replace('"2', '"3'), text.replace("[[0, 3]", "[[1, 3]")):
        assert wrong != text
        assert read_network(wrong, MODEL.hash) is None
        found = StoredBounds(wrong, MODEL.hash, 1.0, [1]).bounds
        assert found.species == ("B",)
        assert np.isinf(found.norms).all()
        assert np.isinf(found.largest).all()
        assert "read as another one" in found.reason
    assert read_network("{}" + text, MODEL.hash) is None
    assert network_text(fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate=lambda x: x["X"])])) == ""


def test_the_network_is_handed_on_for_its_time_and_all_species_alone():
    assert of_file(2.0).network(2.0) == network_text(MODEL)
    assert of_file(2.0).network(1.0) == ""
    assert of_file(2.0, (1,)).network(2.0) == of_file(2.0, (1, 0)).network(2.0) == ""


@pytest.mark.parametrize("species", [("B",), ("B", "A")])
def test_a_marginal_that_is_read_and_saved_keeps_no_bounds_of_another_species(tmp_path, monkeypatch, species):
    """Nothing is computed as it is saved, as of networks that take long; what is saved of a part is said to lack it."""
    monkeypatch.setattr(TimeLimit, "within", lambda self, make: None)
    (d,) = fsp.transient(MODEL, [1.0], 1e-4)
    d.save(tmp_path / "joint.h5")
    fsp.read(tmp_path / "joint.h5").marginal(*species).save(tmp_path / "marginal.h5")
    back, exact = fsp.read(tmp_path / "marginal.h5"), d.mean_interval()
    assert any("bounds of moments are not in this file" in note for note in back.notes)
    for name, interval in back.mean_interval().items():
        assert interval.lower <= exact[name].lower <= exact[name].upper <= interval.upper
