"""Relaxation: eigenvalues of closed form, modes that are biorthogonal, and their checks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from random_networks import as_model, open_networks
from written_networks import network

import fsp
from fsp.cli import main
from fsp.projection import relaxation as module
from fsp.projection.growth import starting_vector
from fsp.projection.structure import close_leaks

MODELS = Path(__file__).parent / "models"


def immigration_death(birth=12.0, death=0.8):
    return network({"X": 0}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", death))


@pytest.mark.parametrize("birth", [3.0, 12.0, 400.0])
def test_a_linear_chain_has_multiples_of_its_death_rate(birth):
    """Charlier polynomials: λ_k = -k γ, and the left mode of the first is x - mean."""
    found = fsp.relaxation(immigration_death(birth), 4, 1e-12)
    np.testing.assert_allclose(found.eigenvalues.real, [-0.8, -1.6, -2.4, -3.2], rtol=1e-5)
    np.testing.assert_array_equal(found.eigenvalues.imag, 0.0)
    assert found.gap == pytest.approx(0.8, rel=1e-7)
    np.testing.assert_allclose(found.times, 1.0 / (0.8 * np.arange(1, 5)), rtol=1e-5)
    line = found.states[:, 0] - birth / 0.8
    inside = found.stationary > 1e-6
    mode = found.left[inside, 0].real
    np.testing.assert_allclose(mode / mode[0], line[inside] / line[inside][0], atol=1e-4)


@pytest.mark.parametrize(("on", "off"), [(0.05, 0.1), (8.0, 11.0)])
def test_the_telegraph_has_two_ladders(on, off):
    """λ = -k γ - j (on + off) with j = 0 or 1."""
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", on),
        ("On -> Off", "mass_action", off),
        ("On -> On + M", "mass_action", 12.0),
        ("M -> 0", "mass_action", 1.0),
    )
    ladder = np.sort([k + j * (on + off) for k in range(6) for j in (0, 1) if k + j])[:3]
    found = fsp.relaxation(model, 3, 1e-11)
    np.testing.assert_allclose(-found.eigenvalues.real, ladder, rtol=1e-4)


def test_cycles_have_complex_pairs():
    """One molecule around a ring of three: λ = -3/2 ± i √3/2."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 1.0),
        ("C -> A", "mass_action", 1.0),
    )
    found = fsp.relaxation(model, 2)
    np.testing.assert_allclose(found.eigenvalues.real, -1.5, rtol=1e-12)
    np.testing.assert_allclose(np.sort(found.eigenvalues.imag), [-np.sqrt(0.75), np.sqrt(0.75)], rtol=1e-12)
    assert "i, relaxation time" in str(found)


@pytest.mark.parametrize(("name", "gap"), [("toggle_hill", 3.657e-5), ("schloegl_small", 2.55e-5)])
def test_switches_relax_slowly_and_their_first_mode_tells_the_wells(name, gap):
    found = fsp.relaxation(fsp.load(MODELS / f"{name}.ant"), 3)
    assert found.gap == pytest.approx(gap, rel=2e-3)
    assert -found.eigenvalues[1].real > 1e3 * gap
    # Two wells: the first left mode has one value on each, and nearly all probability at the two.
    mode = found.left[:, 0].real
    weights = found.stationary
    sides = [(mode[side], weights[side]) for side in (mode > 0.0, mode < 0.0)]
    spread = [np.average((m - np.average(m, weights=w)) ** 2, weights=w) for m, w in sides]
    assert max(spread) < 0.01 * (mode.max() - mode.min()) ** 2


@pytest.mark.parametrize("name", ["toggle_hill", "telegraph", "enzyme"])
def test_modes_are_biorthogonal_and_orthogonal_to_the_stationary_pair(name):
    if name == "enzyme":
        model = network({"S": 20, "P": 0}, ("S -> P", "mass_action", 1.0), ("P -> S", "mass_action", 0.3))
    else:
        model = fsp.load(MODELS / f"{name}.ant")
    found = fsp.relaxation(model, 3)
    np.testing.assert_allclose(found.left.T @ found.right, np.eye(3), atol=1e-6)
    np.testing.assert_allclose(found.left.T @ found.stationary, 0.0, atol=1e-7)
    np.testing.assert_allclose(np.abs(found.left).max(axis=0), 1.0, rtol=1e-9)
    assert (np.diff(found.eigenvalues.real) <= 0.0).all()


@settings(max_examples=10)
@given(open_networks())
def test_arnoldi_finds_what_dense_eigenvalues_are(drawn):
    model = as_model(drawn)
    space = fsp.StateSpace.from_states(model.species, fsp.stationary(model, 1e-4).states)
    found = fsp.relaxation(model, 2, space=space)
    if len(found.states) > 900:
        return
    generator = fsp.Generator(model, space)
    members = space.index(found.states)
    closed = close_leaks(generator.to_csr(), generator.leak_rates, starting_vector(model, space))
    matrix = closed.toarray()[np.ix_(members, members)]
    every = np.linalg.eigvals(matrix)
    every = every[np.argsort(np.abs(every))][1:3]
    np.testing.assert_allclose(np.sort(np.abs(found.eigenvalues)), np.abs(every), rtol=1e-5)


def test_an_answer_decays_at_the_gap():
    """Late deviations from the stationary distribution shrink by exp(-gap t)."""
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", 0.02),
        ("On -> Off", "mass_action", 0.03),
        ("On -> On + M", "mass_action", 8.0),
        ("M -> 0", "mass_action", 1.0),
    )
    gap = fsp.relaxation(model, 1).gap
    rest = fsp.stationary(model, 1e-9)
    first, second = (d.distance(rest) for d in fsp.transient(model, [60.0, 100.0], 1e-9))
    assert np.log(first / second) / 40.0 == pytest.approx(gap, rel=1e-4)


def test_a_wrong_pair_is_refused(monkeypatch):
    right = module.slowest

    def disturbed(matrix, p, n_modes):
        values, modes, left = right(matrix, p, n_modes)
        return 1.01 * values, modes, left

    monkeypatch.setattr(module, "slowest", disturbed)
    with pytest.raises(fsp.ConvergenceError, match="residual"):
        fsp.relaxation(immigration_death())


def test_an_eigenvalue_that_rounding_hides_is_refused():
    model = network(
        {"A": 1, "B": 0, "X": 0},
        ("A -> B", "mass_action", 1e-15),
        ("B -> A", "mass_action", 1e-15),
        ("0 -> X", "rate", "4 + 4*A"),
        ("X -> 0", "mass_action", 1.0),
    )
    with pytest.raises(fsp.ConvergenceError, match="told from zero"):
        fsp.relaxation(model)


def test_several_closed_classes_are_refused():
    model = network({"A": 1, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    with pytest.raises(fsp.StateSpaceError, match="closed class"):
        fsp.relaxation(model, 1)


@pytest.mark.parametrize("n_modes", [0, -1, 1.5, 10**6])
def test_bad_numbers_of_modes_are_refused(n_modes):
    with pytest.raises(fsp.ArgumentError, match="`n_modes`"):
        fsp.relaxation(immigration_death(), n_modes)


def test_the_command_prints_modes():
    example = Path(__file__).parents[1] / "examples" / "toggle_switch.ant"
    shown = CliRunner().invoke(main, ["relaxation", str(example), "--modes", "2"])
    assert shown.exit_code == 0
    assert shown.output.count("relaxation time") == 2
    record = json.loads(CliRunner().invoke(main, ["relaxation", str(example), "--modes", "2", "--json"]).output)
    assert len(record["times"]) == 2
    assert record["times"][0] == pytest.approx(-1.0 / record["eigenvalues"][0][0])
