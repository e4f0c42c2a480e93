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


def chained(n, formula="{0}"):
    """Return statements of values that use the one before each."""
    return "; ".join(f"p{i} := {formula.format(f'p{i - 1}')}" for i in range(1, n))


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        (chained(400), "'p399' leads to 399 uses of other values, up to 400 one"),
        (chained(25, "piecewise({0}, {0} >= 0, 2)"), "'p24' leads to 3.36e.07 uses of other values"),
        ("p24 = 1; " + chained(25, "({0} + {0})").replace("; ", ", "), "'p24' leads to 3.36e.07 uses"),
    ],
)
def test_values_that_use_each_other_so_often_that_the_library_hangs(read, statements, said):
    with pytest.raises(ModelError, match=f"that the library follows in seconds, but {said}"):
        read(f"p0 = 1; {statements}; substanceOnly species X = 5; X => ; p1*X", name="a.ant")


def test_values_that_use_each_other_are_read(read):
    text = "p0 = 0.5; {}; substanceOnly species X = 5; X => ; p{}*X; E: at time >= 1: X = X + X + X"
    for n, formula in ((100, "{0}"), (15, "piecewise({0}, {0} >= 0, 2)")):
        assert rates(read(text.format(chained(n, formula), n - 1), name="a.ant"), [4]) == [[2.0]]


def test_names_of_modules_are_their_own(read):
    twice = chained(18, "0.5*({0} + {0})")
    values = (f"p0 = 1; {twice}", f"q0 = 1; {twice.replace('p', 'q')}; p0 := q17")
    modules = "".join(f"model m{k}()\n {statements};\nend\n" for k, statements in enumerate(values))
    text = f"{modules}model m()\n a: m0(); substanceOnly species X = 5; X => ; a.p17*X;\nend\n"
    assert rates(read(text, name="a.ant"), [4]) == [[4.0]]


def test_functions_that_use_each_other_so_often_that_the_library_hangs(read):
    def called(n):
        functions = "".join(f"function f{i}(x) f{i - 1}(x) end\n" for i in range(1, n))
        return f"function f0(x) 2*x end\n{functions}model m()\n substanceOnly species X = 5; X => ; f{n - 1}(X);\nend\n"

    assert rates(read(called(20), name="a.ant"), [4]) == [[8.0]]
    with pytest.raises(ModelError, match=r"at most 60 functions .* but 'f60' is the last of 61"):
        read(called(70), name="a.ant")


@pytest.mark.parametrize("values", ["a := b; b := a", "b = b + 1; a = 1"])
def test_values_that_are_set_by_themselves(read, values):
    with pytest.raises(ModelError, match="Give 'b' a number, or a formula of what does not depend on 'b'"):
        read(f"{values}; substanceOnly species X = 5; X => ; a*X", name="a.ant")


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
