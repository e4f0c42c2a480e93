"""Concentrations to counts: laws keep their values at the same concentrations, and mass action counts tuples."""

from __future__ import annotations

import math
import re
import warnings
from contextlib import nullcontext

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.linalg import expm
from written_sbml import apply, compartment, parameter, reaction, reference, species

import fsp
from fsp.command.main import main
from fsp.errors import ArgumentError, ModelError, ModelWarning
from fsp.formats.counts import read_counts

AVOGADRO = 6.02214076e23

# Pairs that meet in a vessel of V litres, in moles per litre, and what the molecules of A become.
MOLES = """model pairs
  unit substance = 1 mole; unit volume = 1 litre; unit time_unit = 1 second;
  compartment v = {volume}; species A in v, D in v;
  meet: 2 A => D; v*k*A*A;
  A = {start}; D = 0; k = 4e5;
end
"""
CONCENTRATIONS = """model mixed
  compartment cell = 1; species A in cell, B in cell, E in cell, C in cell;
  bind: A + E => C; cell*k1*A*E;
  part: C => A + E; cell*k2*C;
  pair: 2 B => A; cell*k3*B^2;
  make: => B; cell*v/(K + A^2);
  A = 0.6; B = 0.25; E = 0.3; C = 0; k1 = 8; k2 = 0.3; k3 = 0.4; v = 2; K = 0.7;
end
"""


@pytest.fixture
def load(tmp_path):
    def loading(text, **asked):
        file = tmp_path / "model.ant"
        file.write_text(text)
        return fsp.load(file, **asked)

    return loading


def test_moles_in_a_small_vessel_are_counted_by_avogadros_number(load):
    """The mean of A is that of a chain written down here, A -> A - 2 at k/(N_A V) A (A - 1)."""
    model = load(MOLES.format(volume=2e-15, start=3e-8))
    start = round(3e-8 * 2e-15 * AVOGADRO)
    assert model.initial_states.tolist() == [[start, 0]]
    counts = np.arange(start, -1, -2)
    rates = 4e5 / (AVOGADRO * 2e-15) * counts * (counts - 1.0)
    chain = np.diag(-rates) + np.diag(rates[:-1], -1)
    mean = counts @ expm(2.0 * chain)[:, 0]
    assert fsp.transient(model, [2.0], 1e-9)[-1].mean()["A"] == pytest.approx(mean, rel=1e-7)
    assert "36.1328, rounded to 36" in str(model.conversion)


def test_a_volume_that_is_the_files_changes_nothing(load):
    text = MOLES.format(volume=2e-15, start=3e-8)
    own, asked = load(text), load(text, counts="volume=2fL")
    states = own.initial_states - [[4, 0]]
    np.testing.assert_allclose(own.propensities(states), asked.propensities(states), rtol=1e-13)
    np.testing.assert_array_equal(own.initial_states, asked.initial_states)


@settings(max_examples=25)
@given(
    omega=st.sampled_from([2.1, 2.5, 20.0, 1e3]),
    state=st.tuples(*[st.integers(0, 60)] * 4),
)
def test_propensities_are_laws_at_the_same_concentrations(tmp_path_factory, omega, state):
    """Ω law(N/Ω); pairs of B at k/Ω N (N - 1)."""
    file = tmp_path_factory.mktemp("models") / "mixed.ant"
    file.write_text(CONCENTRATIONS)
    model = fsp.load(file, counts=f"omega={omega}")
    a, _, e, c = (n / omega for n in state)
    pairs = 0.4 * state[1] * (state[1] - 1) / omega
    expected = [omega * 8 * a * e, omega * 0.3 * c, pairs, omega * 2 / (0.7 + a * a)]
    np.testing.assert_allclose(model.propensities([state])[:, 0], expected, rtol=1e-12)


def test_a_law_that_counts_pairs_already_does_so_in_any_volume(load):
    text = CONCENTRATIONS.replace("k3*B^2", "k3*B*(B - 1/cell)")
    model = load(text, counts="omega=20")
    state = [3, 7, 1, 2]
    np.testing.assert_allclose(
        model.propensities([state]), load(CONCENTRATIONS, counts="omega=20").propensities([state]), rtol=1e-12
    )


def test_values_are_set_before_a_file_is_judged(load):
    """0.6, 0.25 and 0.3 in a compartment of 20 are 12, 5 and 6; in one of 1 they are no counts."""
    with pytest.raises(ModelError, match=r"'A' must be a whole number .* is 0\.6; .*counts='omega=100'"):
        load(CONCENTRATIONS, mass_action=True)
    assert load(CONCENTRATIONS, mass_action=True, cell=20).initial_states.tolist() == [[12, 5, 6, 0]]
    assert load(CONCENTRATIONS, counts="omega=10", E=7).initial_states.tolist() == [[6, 3, 7, 0]]


def test_amounts_that_are_rounded_to_none_are_said(load):
    """Else a start of 0.3 molecules is a quiet zero."""
    with pytest.warns(ModelWarning, match=r"B \(0\.25\), E \(0\.3\) would start .* rounded to none; rounding='mean'"):
        assert load(CONCENTRATIONS, counts="omega=1").initial_states.tolist() == [[1, 0, 0, 0]]
    assert load(CONCENTRATIONS, counts="omega=1", rounding="mean").initial_probabilities.sum() == pytest.approx(1.0)


def test_species_in_different_units_are_not_converted_as_one(read):
    """5 items beside 1 zeptomole, which are 602 molecules: no one number of molecules is in a unit of both."""
    amounts = [
        species("A", 5, extra='substanceUnits="item"'),
        species("B", 1, extra='substanceUnits="mole"'),
    ]
    lists = {"Species": amounts, "Reactions": [reaction("r", ["A"], [], "A")]}
    with pytest.warns(ModelWarning, match="in different units of substance by the file"):
        assert read(**lists).initial_states.tolist() == [[5, 1]]
    for counts in ("omega=602", "volume=1fL"):
        with pytest.raises(ModelError, match=r"in one unit of substance to be converted, but are in several"):
            read(**lists, loading={"counts": counts})


def test_rounding_keeps_the_mean_or_takes_the_nearest(load):
    asked = {"counts": "omega=10.3"}
    means = np.array([6.18, 2.575, 3.09, 0.0])
    nearest = load(CONCENTRATIONS, **asked)
    assert nearest.initial_states.tolist() == [[6, 3, 3, 0]]
    both = load(CONCENTRATIONS, rounding="mean", **asked)
    assert len(both.initial_states) == 8
    np.testing.assert_allclose(both.initial_probabilities @ both.initial_states, means, rtol=1e-13)
    spread = load(CONCENTRATIONS, rounding="poisson", **asked)
    np.testing.assert_allclose(spread.initial_probabilities @ spread.initial_states, means, rtol=1e-12)
    centred = spread.initial_states - means
    np.testing.assert_allclose(spread.initial_probabilities @ centred**2, means, rtol=1e-10)
    assert 1.0 - 1e-12 < spread.initial_probabilities.sum() < 1.0  # tails are charged, not shared out
    with pytest.raises(ModelError, match=r"at most 100,000 states, but rounding='poisson' spreads it over"):
        load(CONCENTRATIONS, counts="omega=3000.1", rounding="poisson")


def test_events_and_rules_are_in_the_units_of_the_file(load):
    text = """model dose
      compartment v = 2; species A in v; T := A + 1;
      lose: A => ; v*k*A*T;
      A = 0.35; k = 0.1;
      E: at (time >= 1): A = A + 0.5;
    end
    """
    model = load(text, counts="omega=10")
    np.testing.assert_allclose(model.propensities([[7], [4]])[0], [20 * 0.1 * 0.35 * 1.35, 20 * 0.1 * 0.2 * 1.2])
    still = load(text, counts="omega=10", k=0.0)
    assert fsp.transient(still, [2.0])[-1].mean()["A"] == 17.0


DIVISION = """model division
  compartment v = {size}; species A in v, B in v;
  make: => A; k*v; turn: A => B; q*A*v;
  A = 0.6; B = 0.4; k = 0.3; q = 0.7;
  at (time >= 2): A = {assigned};
end
"""


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("p", [0.5, 0.25])
def test_molecules_are_drawn_at_division_where_amounts_are_converted(load, size, p):
    """The law after division is the one before, thinned: each molecule stays with probability p."""
    model = load(DIVISION.format(size=size, assigned=f"binomial(A, {p})"), counts="omega=25")
    assert "A ~ binomial(A, " in model.describe()
    before = load(DIVISION.format(size=size, assigned="A"), counts="omega=25")
    whole, half = (fsp.transient(one, [2.0], 1e-9)[-1].marginal("A") for one in (before, model))
    n = np.arange(len(whole.pmf))[:, None]
    k = np.arange(len(half.pmf))[None, :]
    divided = np.asarray(whole.pmf) @ stats.binom.pmf(k, n, p)
    assert np.abs(divided - half.pmf).sum() <= whole.error.total + half.error.total + 1e-12


@pytest.mark.parametrize(
    ("assigned", "hint", "counts"),
    [
        ("A/2", "; A = binomial", {14: 7, 15: 8}),
        ("A + 0.1", "; A = binomial", {14: 17, 3: 6}),
        ("0.1", "", {14: 3, 3: 3}),
    ],
)
def test_counts_that_events_assign_in_parts_are_rounded_and_said(load, assigned, hint, counts):
    text = DIVISION.format(size=1, assigned=assigned)
    with pytest.warns(ModelWarning, match=f"'_E0' assigns whole molecules, the nearest number, to A{hint}"):
        model = load(text, counts="omega=25")
    for before, after in counts.items():
        at_event = fsp.transient(model.with_initial(A=before, B=0).with_parameters(k=0.0, q=0.0), [2.0], 1e-9)[-1]
        assert at_event.mean()["A"] == pytest.approx(after, abs=1e-9)


def test_draws_of_other_numbers_than_molecules_are_refused_where_amounts_are_converted(load):
    with pytest.raises(ModelError, match=r"must draw a number of molecules .* by binomial or poisson or geometric"):
        load(DIVISION.format(size=1, assigned="bernoulli(0.5)"), counts="omega=25")


def test_units_that_are_not_followed_are_said(read):
    """Sixty moles are sixty molecules, as some tools write them, with a warning."""
    lists = {
        "Species": [species("X", 60)],
        "Reactions": [reaction("r", ["X"], law="X")],
        "attributes": 'substanceUnits="mole"',
    }
    with pytest.warns(ModelWarning, match=r"species are in mole by the file, and are counted in molecules here"):
        model = read(**lists)
    assert model.initial_states.tolist() == [[60]]
    assert "mole" in model.describe()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(**{**lists, "attributes": 'substanceUnits="item"'})
    with pytest.raises(ModelError, match=r"at most 9,007,199,254,740,992, but 3\.6\d*e\+25 molecules"):
        read(**{**lists, "Species": [species("X", 60.5)]})


@pytest.mark.parametrize(("unit", "molecules"), [("nmole", 1e-9), ("millimole", 1e-3)])
def test_parts_of_a_mole(read, unit, molecules):
    scale = round(math.log10(molecules))
    definition = (
        f'<unitDefinition id="{unit}"><listOfUnits><unit kind="mole" exponent="1" scale="{scale}" multiplier="1"/>'
        "</listOfUnits></unitDefinition>"
    )
    amount = 41.2 / (molecules * AVOGADRO)
    model = read(
        UnitDefinitions=[definition],
        attributes=f'substanceUnits="{unit}"',
        Species=[species("X", amount)],
        Reactions=[reaction("r", ["X"], law="X")],
    )
    assert model.initial_states.tolist() == [[41]]


def test_a_volume_without_units_says_what_it_takes_for_granted(read):
    lists = {
        "Compartments": [compartment("cell", 1)],
        "attributes": 'volumeUnits="litre"',
        "Species": [species("X", 1e-7, only="false", kind="initialConcentration"), species("Y", only="false")],
        "Parameters": [parameter("k", 3)],
        "Reactions": [reaction("r", [reference("X", 2)], ["Y"], law=apply("times", "cell", "k", "X", "X"))],
    }
    with pytest.warns(ModelWarning, match="amounts were taken for moles"):
        model = read(loading={"counts": "volume=1fL"}, **lists)
    count = AVOGADRO * 1e-15 * 1e-7
    assert model.initial_states[0, 0] == round(count)
    per_pair = 3 / (AVOGADRO * 1e-15)
    np.testing.assert_allclose(model.propensities([[5, 0]]), [[per_pair * 20]], rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "value"),
    [("volume=1fL", 1e-15), ("volume= 2.5 pl", 2.5e-12), ("volume=1um^3", 1e-15), ("volume=3 µm3", 3e-15),
     ("volume=1e-3nL", 1e-12), ("omega=100", 100.0)],
)  # fmt: skip
def test_volumes_and_sizes(text, value):
    assert read_counts(text).value == pytest.approx(value, rel=1e-14)


@pytest.mark.parametrize("text", ["", "moles", "omega", "omega=0", "omega=-3", "volume=1km", 3])
def test_what_is_no_way_to_count(load, text):
    with pytest.raises(ArgumentError, match=r"`counts` must be auto, as-is, volume=1fL or omega=100, but is"):
        load(CONCENTRATIONS, counts=text)


@pytest.mark.parametrize(
    ("number", "litres", "written"),
    [("2e-15", 2e-15, "2fL"), ("0.5", 0.5, "500mL"), ("1e-20", 1e-20, "0.01aL"), ("3", 3.0, "3L")],
)
def test_a_volume_without_its_unit_is_asked_for(load, number, litres, written):
    """What is offered is that volume, in litres or in cubic metres."""
    with pytest.raises(ArgumentError, match=rf"with its unit.*volume={re.escape(number)}.*volume={written}") as caught:
        load(CONCENTRATIONS, counts=f"volume={number}")
    offered = re.findall(r"volume=\S+(?:L|m\^3)", str(caught.value))
    assert [read_counts(one).value for one in offered] == pytest.approx([litres, 1e3 * litres], rel=1e-12)


def test_what_counts_items_is_offered_what_fits(read):
    """The nearest number, or the mean; a volume is for moles."""
    for unit, asked in (("item", "unit of substance is item.*omega=1'"), ("", "counts='volume=1fL'")):
        text = f'substanceUnits="{unit}"' if unit else ""
        held = species("X", amount="3.5", extra=text)
        lists = {"Species": [held], "Reactions": [reaction("J", ["X"], [], "X")]}
        with pytest.raises(ModelError, match=asked) as caught:
            read(**lists)
        assert ("volume=" in str(caught.value)) == (unit == "")
        assert read(**lists, loading={"counts": "omega=1"}).initial_states.tolist() == [[4]]


def test_the_command_converts_and_says_so(tmp_path):
    file = tmp_path / "mixed.ant"
    file.write_text(CONCENTRATIONS)
    refused = CliRunner().invoke(main, ["info", str(file)])
    assert refused.exit_code == 3
    assert "--counts omega=100" in refused.output
    done = CliRunner().invoke(main, ["info", str(file), "--counts", "omega=100"])
    assert done.exit_code == 0
    assert "an amount of 1 is 100 molecules (omega=100)" in done.stdout
    out = tmp_path / "run.h5"
    CliRunner().invoke(
        main, ["transient", str(file), "--counts", "omega=10", "--times", "0.1", "--tol", "1e-3", "--out", str(out)]
    )
    assert "an amount of 1 is 10 molecules" in fsp.read(out).model_text


@pytest.mark.parametrize("limit", [20, 3000])
def test_a_law_that_is_a_power_up_to_a_switch_keeps_its_switch(load, limit):
    """Eight small counts do not tell A from piecewise(A, A < 20, 0)."""
    text = f"""model cut
      compartment c = 1; substanceOnly species A in c; lose: A => ; k*piecewise(A, A < {limit}, 0); A = 8; k = 0.5;
    end"""
    model = load(text, counts="omega=10")
    states = np.array([[10 * limit - 1], [10 * limit], [20 * limit]])
    assert model.propensities(states)[0] == pytest.approx([0.5 * (10 * limit - 1), 0.0, 0.0], rel=1e-12)


@pytest.mark.parametrize(
    ("assigned", "added"),
    [("B = B + 0.1", 6), ("B = 0.123 + B", 7), ("B = B - -0.1", 6), ("B = B + A - A + 0.1", None)],
)
@pytest.mark.parametrize("kind", ["species", "substanceOnly species"])
def test_what_the_state_triggers_adds_a_number_of_molecules(load, kind, assigned, added):
    """B has no bound, and so an event by the state may add to it and no more."""
    text = f"""model m
      compartment c = 2; {kind} A in c, B in c; => A; 3*c; => B; 2*c; lose: A => ; c*A; A = 0.55; B = 0;
      E: at (A > 1.25): {assigned};
    end"""
    molecules = 30 if kind == "species" else 60  # in a unit: 2*0.1*30 = 6
    asked = {"counts": f"omega={molecules}"}
    if added is None:
        with pytest.raises(ModelError, match="finite number of changes"):
            load(text, **asked)
        return
    said = pytest.warns(ModelWarning, match="whole molecules") if "0.123" in assigned else nullcontext()
    with said:
        model = load(text, **asked)
    by_event = {r.change["B"] for r in model.reactions if " with " in r.name}
    assert by_event == {added}


@pytest.mark.parametrize("asked", [{"counts": "omega=10"}, {"mass_action": True}])
def test_a_power_that_was_counted_keeps_its_exponent(tmp_path, asked):
    """A law that counts tuples is another one with another power; one that is evaluated as it stands follows it."""
    file = tmp_path / "model.ant"
    amount = 1.5 if "counts" in asked else 15
    file.write_text(
        f"compartment c = 1; species A in c; pairs: 2 A => ; k*c*A^n; hill: A => ; c*k*A^m/(1 + A^m); A = {amount}; "
        "k = 1; n = 2; m = 2"
    )
    model, unit = fsp.load(file, **asked), 10 if "counts" in asked else 1
    higher = model.with_parameters(m=3, k=2).propensities(np.array([[4]])).ravel()
    assert higher == pytest.approx([2 * 12 / unit, 2 * unit * (4 / unit) ** 3 / (1 + (4 / unit) ** 3)], rel=1e-12)
    with pytest.raises(ModelError, match="The power in the law of 'pairs', n, must stay 2, with which the file was"):
        model.with_parameters(n=3)
    with pytest.raises(ModelError, match="fewer than 2 A"):  # a power that is read as it is then, and is none of two
        fsp.load(file, **asked, n=3)


def test_a_power_that_an_event_changes_is_followed(tmp_path):
    """A law in which it changes is evaluated at the amounts, whatever its power is at the start."""
    file = tmp_path / "model.ant"
    text = "r: {} => ; {}; A = {}; k = 1; n = 4; m := n/2; at (time >= 1): n = 6"
    head = "compartment c = 1; species A in c; "
    file.write_text(head + text.format("A", "k*c*A^m", 1.5))
    converted = fsp.load(file, counts="omega=10")
    file.write_text("compartment c = 1; substanceOnly species A in c; " + text.format("A", "10*k*(A/10)^m", 15))
    for found, exact in zip(*(fsp.transient(m, [0.5, 3.0]) for m in (converted, fsp.load(file))), strict=True):
        assert found.distance(exact) < 1e-5
    for amount, asked in ((1.5, {"counts": "omega=10"}), (15, {"mass_action": True})):
        file.write_text(head + text.format("2 A", "k*c*A^m", amount))
        with pytest.raises(ModelError, match=r"fewer than 2 A, .* multiply its law by piecewise\(1, A"):
            fsp.load(file, **asked)


def test_a_volume_that_an_event_changes_counts_nothing(tmp_path):
    """The molecules in an amount stay when the cell grows, and what is advised counts so."""
    file = tmp_path / "model.ant"
    file.write_text(
        "unit substance = mole; unit volume = litre; compartment c = 1; substanceOnly species A in c; "
        "r: A => ; k*A*A/c; A = 1.5e-7; k = 1e6; at (time >= 1): c = size; size = 2"
    )
    with pytest.raises(ModelError, match="event '_E0' changes 'c', by which the volume counts them") as refused:
        fsp.load(file, counts="volume=1fL")
    way = str(refused.value).partition("counts='")[2].partition("'")[0]
    assert way == "omega=602214076"
    growing, steady = fsp.load(file, counts=way), fsp.load(file, counts=way, size=1)
    a, b = (fsp.transient(model, [3.0])[-1] for model in (growing, steady))
    assert a.mean_interval()["A"].lower > b.mean_interval()["A"].upper  # molecules meet more seldom
    plain = steady.propensities(np.array([[50]]))
    assert plain == pytest.approx(np.array([[50 * 50 * 1e6 / 602214076]]), rel=1e-12)
