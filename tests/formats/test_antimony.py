"""What Antimony models mean."""

from __future__ import annotations

import pytest
from written_sbml import ANTIMONY, GOOD, apply, compartment, event, rates, reaction, sbml, species

import fsp
from fsp.errors import ModelError


@pytest.mark.parametrize("name", ["decay.ant", "decay.txt", "decay"])
def test_antimony(read, name):
    model = read(ANTIMONY, name=name)
    assert (model.name, model.species) == ("decay", ("X",))
    assert rates(model, [3]) == [[6.0]]


def test_antimony_species_are_concentrations_unless_told_otherwise(read):
    text = ANTIMONY.replace("substanceOnly ", "").replace("cell = 1", "cell = 2").replace("X = 7", "X = 3.5")
    model = read(text, name="decay.ant")
    assert model.initial_states.tolist() == [[7]]
    assert rates(model, [3]) == [[3.0]]


def test_antimony_submodels_are_flattened(read):
    text = ANTIMONY + "model two()\n  a: decay();\n  b: decay();\n  b.k = 3;\nend\n"
    model = read(text, name="two.ant")
    assert model.n_reactions == 2
    assert sorted(rates(model, [1, 1])[0]) == [2.0, 3.0]


def test_sbml_is_known_by_its_content(read):
    assert read(sbml(**GOOD), name="model").species == ("X",)


def test_malformed_antimony(read):
    with pytest.raises(ModelError, match=r"bad\.ant.*line 3"):
        read("model m()\n  X = 1;\n  a: X => => ; k\nend", name="bad.ant")


def test_antimony_names_are_ascii_and_texts_need_not_be(read):
    assert read(ANTIMONY.replace("end", 'X is "protéine"; // étude\nend'), name="a.ant").species == ("X",)
    with pytest.raises(ModelError, match="'λ' in line 5"):
        read(ANTIMONY.replace("death: X => ; k*X", "death: X => ; k*λ"), name="a.ant")


def test_antimony_files_that_import_themselves(read, tmp_path):
    (tmp_path / "b.ant").write_text('import "c.ant"\n')
    (tmp_path / "c.ant").write_text('// import "a.ant"\n/* import "a.ant" */ import "b.ant"\n')
    with pytest.raises(ModelError, match=r"b\.ant -> c\.ant -> b\.ant is a circle"):
        read('import "b.ant"\n' + ANTIMONY, name="a.ant")


@pytest.mark.parametrize("law", ["+".join(["X"] * 20_000), "exp(" * 600 + "X" + ")" * 600])
def test_antimony_statements_of_any_length(read, law):
    with pytest.raises(ModelError, match=r"in line 5 has|deep"):
        read(ANTIMONY.replace("k*X", law), name="a.ant")


def test_antimony_sums_and_products_of_many_terms(read):
    terms = " + ".join(["X"] * 600 + ["k*X"] * 300)
    assert rates(read(ANTIMONY.replace("k*X", terms), name="a.ant"), [3]) == [[3600.0]]


def test_antimony_events(read):
    model = read(ANTIMONY.replace("end", "E: at time > 3, t0=false, priority=2: X = 1;\nend"), name="a.ant")
    (found,) = model.events
    assert (found.name, found.initial_value, found.persistent, found.rank) == ("E", False, True, 2.0)
    assert model.has_timed_events
    with pytest.raises(ModelError, match="has a delay"):
        read(ANTIMONY.replace("end", "at 2 after time > 3: X = 1;\nend"), name="a.ant")


def test_events_count_molecules(read):
    """A concentration that is assigned becomes a number; a trigger compares the concentration."""
    one = event(apply("geq", "X", 3), {"X": 0.5}, flags='initialValue="false" persistent="false"', values="false")
    model = read(
        Compartments=[compartment(size="2")],
        Species=[species("X", 0, only="false")],
        Reactions=[reaction("r", [], ["X"], 1)],
        Events=[one],
    )
    (found,) = model.events
    assert (found.initial_value, found.persistent, found.use_trigger_values) == (False, False, False)
    assert model.change.tolist() == [[1], [-4]]  # at 6 molecules one is left
    assert model.propensities([[4], [5]]).tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("number", ["1e400", "1e-400", "1e-310", "0x10", "1_000", "1d3"])
@pytest.mark.parametrize("place", ["k = 2", "k*X"])
def test_antimony_numbers_are_read_in_full(read, number, place):
    """The library reads 1e400 as 1 of the unit e400, and 0x10 as 0 of the unit x10."""
    text = ANTIMONY.replace(place, place.replace("2", number).replace("k*X", f"{number}*X"))
    with pytest.raises(ModelError, match=rf"must have numbers .*, but has {number}"):
        read(text, name="a.ant")


@pytest.mark.parametrize("number", ["3 per_second", "3ps; unit ps = 1/second", "3second", "3.0e0", ".3e1"])
def test_antimony_numbers_may_have_units(read, number):
    assert rates(read(ANTIMONY.replace("k = 2", f"k = {number}"), name="a.ant"), [2]) == [[6.0]]


@pytest.mark.parametrize("word", ["gene", "DNA", "event", "in"])
def test_names_that_are_words_of_antimony_are_refused_with_another(word):
    text = "model {0}; species X; X = 1; r: X => ; k*X; k = 1; end"
    with pytest.raises(fsp.ModelError, match=f"'{word}' is a word of Antimony's own: .* such as '{word}_'"):
        fsp.loads(text.format(word))
    assert fsp.loads(text.format(f"{word}_")).name == f"{word}_"
