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
