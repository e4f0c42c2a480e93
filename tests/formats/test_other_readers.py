"""Propensities are libRoadRunner's rates, and converted counts COPASI's particle numbers, where those are installed."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture
def rates(monkeypatch):
    monkeypatch.syspath_prepend(TESTS.parent / "ci")
    return pytest.importorskip("rates")


def test_propensities_of_the_files_here_are_libroadrunners_rates(rates):
    pytest.importorskip("roadrunner")
    found = {}
    for path, text in rates.documents([TESTS / "models", TESTS / "stochastic_suite"]):
        try:
            found[path] = rates.difference(text)
        except rates.FSPError:
            continue
    assert len(found) >= 40
    assert max(found.values()) <= rates.LARGEST_DIFFERENCE


NANOMOLES = "unit substance = 1e-9 mole; unit volume = 1e-3 litre;"


@pytest.mark.parametrize(
    ("counts", "units", "a", "c"),
    [
        ("as-is", NANOMOLES, 5e12, 7),
        ("as-is", "", 5e12, 7),
        ("omega=50", NANOMOLES, 3.21e11, 0.34),
        ("omega=50", "", 3.21e11, 0.34),
        ("volume=2fL", NANOMOLES, 0.5, 3e-12),
        ("volume=2fL", "", 1e-6, 1.5e-18),
    ],
)
def test_counts_that_are_asked_for_are_copasis_particle_numbers(rates, tmp_path, counts, units, a, c):
    pytest.importorskip("basico")
    text = f"""model m
      {units} compartment v = 2e-12, w = 4e-12; species A in v, B in v; substanceOnly species C in w;
      J: A + C => B; k*A*C; A = {a!r}; B = 0; C = {c!r}; k = 1;
    end"""
    (tmp_path / "m.ant").write_text(text)
    ((_, sbml),) = rates.documents([tmp_path])
    assert rates.loaded(sbml, counts).initial_states.sum() > 0
    assert rates.particles(sbml, counts) <= rates.HALF


def test_moles_become_copasis_particle_numbers(rates, tmp_path):
    pytest.importorskip("basico")
    text = """model m
      unit substance = 1e-9 mole; unit volume = 1 litre; unit time_unit = 1 second;
      compartment v = 2e-12; species A in v, B in v; J: A => B; v*k*A; A = {a}; B = 0.5; k = 1;
    end"""
    for a in (0.1, 2.5, 40.25):
        (tmp_path / f"{a}.ant").write_text(text.format(a=a))
    found = [rates.particles(text) for _, text in rates.documents([tmp_path])]
    assert len(found) == 3
    assert max(found) <= rates.HALF
