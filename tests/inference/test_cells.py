"""Tables of cells: conditions, replicates, counts that are missing, AnnData."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death
from scipy.stats import poisson

import fsp
from fsp.command.main import main

TABLE = {
    "time": [1.0, 1.0, 1.0, 2.0],
    "x": [3, 5, 4, 9],
    "dose": [1.0, 2.0, 2.0, 2.0],
    "strain": ["wild", "wild", "mutant", "mutant"],
    "replica": [1, 2, 1, 1],
}


def test_columns_of_numbers_and_of_words_make_conditions():
    meaning = {"dose": "k", "strain": {"wild": {}, "mutant": {"g": 0.5}}}
    counts = fsp.read_counts(TABLE, counts={"X": "x"}, conditions=meaning)
    found = {own.label: (own.settings, own.counts.n_cells) for own in counts.conditions}
    assert found == {
        "dose 1, strain wild": ({"k": 1.0}, 1),
        "dose 2, strain mutant": ({"k": 2.0, "g": 0.5}, 2),
        "dose 2, strain wild": ({"k": 2.0}, 1),
    }
    assert counts.n_cells == 4
    np.testing.assert_array_equal(counts.times, [1.0, 2.0])
    total = fsp.likelihood(immigration_death(), counts)
    assert set(total.by_condition) == set(found)
    alone = fsp.likelihood(
        immigration_death().with_parameters(k=2.0, g=0.5),
        fsp.read_counts({"time": [1, 2], "x": [4, 9]}, counts={"X": "x"}),
    )
    own = total.by_condition["dose 2, strain mutant"]
    assert own.value.lower <= alone.value.upper
    assert alone.value.lower <= own.value.upper
    assert total.value.width <= 1e-2


def test_replicates_are_counted_apart_in_print():
    counts = fsp.read_counts(TABLE, counts={"X": "x"}, replicate="replica")
    header, first, second = str(counts).splitlines()[1:]
    assert header.endswith("cells of 1  cells of 2")
    assert first.split()[-2:] == ["2", "1"]
    assert second.split()[-2:] == ["1", "0"]


@pytest.mark.parametrize("word", ["", "NA", " n/a", "NaN", "None", "null", "-"])
def test_words_for_nothing_are_counts_that_are_missing(word, tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text(f"time,x,y\n1,3,1\n1,{word},2\n2,9,\n")  # an empty field beside it, as R and pandas write both
    assert fsp.read_counts(path, counts={"X": "x"}, missing="drop").n_cells == 2
    assert fsp.read_counts(path, counts={"X": "x", "Y": "y"}, missing="unseen").n_cells == 3
    held = {"time": [1, 1], "x": np.array([3, word or None], dtype=object)}
    assert fsp.read_counts(held, counts={"X": "x"}, missing="drop").n_cells == 1
    with pytest.raises(fsp.ArgumentError, match="lacks 1, the first in row 2; leave such rows out"):
        fsp.read_counts(path, counts={"X": "x"})


def test_times_before_the_start_are_refused_by_their_row():
    with pytest.raises(fsp.ArgumentError, match=r"Column 't' must hold times since the start, .* has -0.5 in row 2; "):
        fsp.read_counts({"t": [0.0, -0.5, 1.0], "x": [0, 1, 2]}, counts={"X": "x"}, time="t")
    shifted = fsp.read_counts({"t": [0.5, 0.0, 1.5], "x": [0, 1, 2]}, counts={"X": "x"}, time="t")
    np.testing.assert_array_equal(shifted.times, [0.0, 0.5, 1.5])


def test_a_condition_of_what_no_model_has_is_refused_by_its_label():
    counts = fsp.read_counts(TABLE, counts={"X": "x"}, conditions={"dose": "salt"})
    for ask in (fsp.likelihood, lambda model, counts: fsp.fit(model, counts, {"k": (1.0, 9.0)})):
        with pytest.raises(fsp.ArgumentError, match=r"or counts at the start, X, .* but 'dose 1' sets 'salt'"):
            ask(immigration_death(), counts)
    begun = fsp.read_counts({"time": [0, 0], "x": [1, 2], "n": [1, 2]}, counts={"X": "x"}, conditions={"n": "X"})
    assert 0.0 in fsp.likelihood(immigration_death(), begun).value


def test_what_is_missing_in_a_cell_is_summed_over():
    model = fsp.Model(
        species={"A": 0, "B": 0},
        parameters={"k": 2.0, "l": 3.0},
        reactions=[fsp.Reaction("0 -> A", rate="k"), fsp.Reaction("0 -> B", rate="l")],
    )
    table = {"time": [1.0, 1.0, 1.0], "a": [1, np.nan, 2], "b": [2, 4, np.nan]}
    counts = fsp.read_counts(table, counts={"A": "a", "B": "b"}, missing="unseen")
    assert {own.counts.observed for own in counts.conditions} == {("A", "B"), ("A",), ("B",)}
    exact = poisson.logpmf([1, 2], 2.0).sum() + poisson.logpmf([2, 4], 3.0).sum()  # A and B are independent
    assert exact in fsp.likelihood(model, counts).value
    with pytest.raises(fsp.ArgumentError, match="lacks 1, the first in row 2"):
        fsp.read_counts(table, counts={"A": "a", "B": "b"})
    assert fsp.read_counts(table, counts={"A": "a", "B": "b"}, missing="drop").n_cells == 1


def test_objects_of_anndata_are_read_by_gene_and_by_column():
    class Cells:
        """As much of AnnData as is asked of it."""

        def __init__(self):
            self.obs = {"time": [1.0, 1.0, 2.0], "batch": ["a", "b", "a"]}
            self.var_names = ("rna", "other")
            self.X = np.array([[1, 0], [2, 0], [5, 1]])

        def __getitem__(self, key):
            return SimpleNamespace(X=self.X[key[0], self.var_names.index(key[1])][:, None])

    counts = fsp.read_counts(Cells(), counts={"X": "rna"}, where={"batch": "a"})
    assert [values[:, 0].tolist() for values in counts.values] == [[1], [5]]
    with pytest.raises(fsp.ArgumentError, match="must have 'none' among its genes"):
        fsp.read_counts(Cells(), counts={"X": "none"})


def test_files_of_anndata_need_it_or_are_read(tmp_path):
    place = tmp_path / "cells.h5ad"
    try:
        import anndata
    except ImportError:
        place.write_bytes(b"none")
        with pytest.raises(fsp.ArgumentError, match=r"pip install 'fsp-cme\[cells\]'"):
            fsp.read_counts(place, counts={"X": "rna"})
        return
    import pandas as pd

    made = anndata.AnnData(
        np.array([[1.0], [4.0]]),
        obs=pd.DataFrame({"time": [1.0, 2.0]}, index=["a", "b"]),
        var=pd.DataFrame(index=["rna"]),
    )
    made.write_h5ad(place)
    assert fsp.read_counts(place, counts={"X": "rna"}).n_cells == 2
    place.write_bytes(b"none")
    with pytest.raises(fsp.ArgumentError, match="must be a file of AnnData"):
        fsp.read_counts(place, counts={"X": "rna"})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"conditions": {"strain": {"wild": {}}}}, "must say what each label sets, wild, but lacks 'mutant'"),
        ({"conditions": {"strain": "k"}}, "must hold values of 'k', but holds 'mutant'"),
        ({"conditions": {"none": "k"}}, "must have a column 'none'"),
        ({"conditions": {"dose": 3}}, "must name a parameter or give labels"),
        ({"replicate": "none"}, "must have a column 'none'"),
        ({"missing": "guess"}, "must be one of refuse, drop, unseen"),
    ],
)
def test_bad_conditions_have_each_their_own_error(given, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.read_counts(TABLE, counts={"X": "x"}, **given)


# ---- the command


@pytest.fixture
def files(tmp_path):
    (tmp_path / "model.ant").write_text("model m\n  -> X; k\n  X -> ; g*X\n  X = 0; k = 10; g = 1\nend\n")
    rng = np.random.default_rng(3)
    rows = [f"{t},{x}" for t in (0.5, 2.0) for x in rng.poisson(10.0 * (1.0 - np.exp(-t)), 60)]
    (tmp_path / "cells.csv").write_text("\n".join(["time,rna", *rows]))
    return tmp_path


def run(folder, *words):
    given = [str(folder / "model.ant"), "--data", str(folder / "cells.csv"), "--observe", "X=rna"]
    return CliRunner().invoke(main, ["fit", *given, *words], catch_exceptions=False)


def test_the_command_prints_and_writes_what_the_function_finds(files):
    words = ["--free", "k=1:100,g=0.1:10", "--starts", "2", "--intervals", "fisher", "--processes", "1", "--quiet"]
    found = run(files, *words, "--out", str(files / "fit.h5"), "--report", str(files / "fit.html"))
    assert found.exit_code == 0
    assert "120 cells at 2 times" in found.output
    fit = fsp.read(files / "fit.h5")
    assert str(fit) in found.output
    assert (files / "fit.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    again = run(files, *words, "--json")
    assert f'"k": {fit.parameters["k"]}' in again.output


def test_instruments_of_the_command_are_those_of_the_function(files):
    counts = fsp.read_counts(files / "cells.csv", counts={"X": "rna"})
    model = immigration_death()
    laws = {
        "binomial(0.9)": fsp.Binomial(0.9),
        "Poisson(1)": fsp.Poisson(1.0),
        "normal( 2 )": fsp.Normal(2.0),
        "bins(0, 5,9)": fsp.Bins([0, 5, 9]),
    }
    data = ["--data", str(files / "cells.csv"), "--observe", "X=rna"]
    for text, instrument in laws.items():
        found = CliRunner().invoke(main, ["likelihood", str(files / "model.ant"), *data, "--instrument", f"X={text}"])
        assert str(fsp.likelihood(model, counts, instrument=instrument).value) in found.output
        asked = ["--parameters", "k,g", "--times", "1,2", "--observe", "X", "--instrument", f"X={text}"]
        shown = CliRunner().invoke(main, ["fisher", str(files / "model.ant"), *asked])
        assert str(fsp.fisher(model, [1.0, 2.0], ["k", "g"], instrument=instrument)) in shown.output
    for text, said in (
        ("normal(x)", "a number above 0"),
        ("normal(1, 2)", "numbers in its law"),
        ("gauss(1)", "NAME=LAW, with a law"),
        ("poisson(-1)", "mean of 0 or more"),
    ):
        found = CliRunner().invoke(main, ["likelihood", str(files / "model.ant"), *data, "--instrument", f"X={text}"])
        assert found.exit_code != 0
        assert said in found.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--free", "k"], "must give bounds"),
        (["--free", "k=3"], "must be NAME=LOW:HIGH"),
        (["--free", "k=1:2", "--resume"], "must come with --out"),
        (["--free", "k=1:2", "--out", "cells.csv"], "`--out` must"),
    ],
)
def test_bad_words_are_refused_by_their_option(files, words, said):
    found = run(files, *[str(files / word) if word.endswith(".csv") else word for word in words])
    assert found.exit_code == 2
    assert said in found.output


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"x": [3, float("inf"), 4, 9]}, "whole numbers of 0 or more and less than .* has inf in row 2"),
        ({"x": [3, 1e300, 4, 9]}, "less than 9,007,199,254,740,992, but has 1e.300 in row 2"),
        ({"x": ["3", "4", "many", "9"]}, "must hold numbers, but has 'many' in row 3.$"),
        ({"x": ["3", "4", "NA", "9"]}, "in each row, but lacks 1, the first in row 3; .* missing='drop'"),
        ({"time": ["1", "1", "1,5", "2"]}, "has '1,5' in row 3; write 1.5, with a point"),
        ({"x": ["3", "1,000", "4", "9"]}, "has '1,000' in row 2; write 1000, without commas, or 1.000, with a point"),
        ({"x": ["3", "1,000,000", "4", "9"]}, "row 2; write 1000000, without commas.$"),
        ({"x": [3, 5 + 1j, 4, 9]}, "'x' must hold numbers, but holds complex ones"),
        (
            {"time": np.array([1, 2, 3, 4], dtype="M8[s]")},
            "'time' must hold numbers, but holds dates; give the time since",
        ),
        ({"time": np.array([1, 2, 3, 4], dtype="m8[ns]")}, "'time' must hold numbers, but holds durations, whose unit"),
        ({"x": [3, 5, 4]}, "of one length, but 'time' holds 4 values and 'x' 3"),
        ({"x": [[3, 5], [4, 9], [1, 1], [2, 2]]}, r"'x' must hold a value for each cell, but has the shape \(4, 2\)"),
        ({"x": [[3, 5], [4], [1, 1], [2, 2]]}, "'x' must hold a value for each cell, but holds rows"),
        ({"time": 1.0}, "'time' must hold a value for each cell"),
        ({"dose": [1.0, float("nan"), 2.0, 2.0]}, "'dose' must say the condition of each cell, .* in row 2"),
    ],
)
def test_columns_that_are_none_are_refused_with_their_row(changed, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.read_counts(TABLE | changed, counts={"X": "x"}, conditions={"dose": "k"})


@pytest.mark.parametrize("several", [["a", "b"], ("a",), {"a", "b"}, np.array(["a", "b"]), lambda value: value == "a"])
def test_rows_are_chosen_by_one_value_of_a_column(several):
    table = {"t": [0, 0, 0], "x": [1, 2, 3], "rep": np.array(["a", "b", "c"])}
    with pytest.raises(fsp.ArgumentError, match="`where` must give one value for each column, but 'rep' is to be"):
        fsp.read_counts(table, counts={"X": "x"}, time="t", where={"rep": several})


@pytest.mark.parametrize("column", [["1_0", "2"], np.array(["1_0", "2"]), np.array(["1_0", 2], dtype=object)])
def test_numbers_that_only_python_reads_are_refused(column):
    with pytest.raises(fsp.ArgumentError, match="Column 'x' must hold numbers, but has '1_0' in row 1"):
        fsp.read_counts({"time": [0, 0], "x": column}, counts={"X": "x"})


def test_what_a_column_holds_instead_is_said(tmp_path):
    with pytest.raises(fsp.ArgumentError, match=r"where dose is '1' \(it holds 1.0, 2.0\), but has none"):
        fsp.read_counts(TABLE, counts={"X": "x"}, where={"dose": "1"})
    with pytest.raises(fsp.ArgumentError, match=r"must be a file that exists, but .* is a folder"):
        fsp.read_counts(tmp_path, counts={"X": "x"})


def test_conditions_without_a_label_are_refused_in_words_too():
    labels = {"strain": ["wild", "", "mutant", "mutant"]}
    with pytest.raises(fsp.ArgumentError, match="'strain' must say the condition of each cell"):
        fsp.read_counts(TABLE | labels, counts={"X": "x"}, conditions={"strain": {"wild": {}, "mutant": {}, "": {}}})
    kept = fsp.read_counts(
        TABLE | labels, counts={"X": "x"}, where={"dose": 1.0}, conditions={"strain": {"wild": {}}}
    )  # the row is left out
    assert kept.n_cells == 1


def test_files_with_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text("time,x,x,,\n1,2,3,,\n", encoding="utf-8")
    with pytest.raises(fsp.ArgumentError, match="different names, but has 'x' twice"):
        fsp.read_counts(path, counts={"X": "x"})
    path.write_text("time,x,,\n1,2,,\n", encoding="utf-8")
    assert str(fsp.read_counts(path, counts={"X": "x"})).startswith("1 cell at 1 time\n")


def test_tables_that_were_not_read_are_told_how(tmp_path):
    model = immigration_death()
    for asked in (fsp.likelihood, lambda *a: fsp.fit(*a, {"k": (1, 10)}), lambda *a: fsp.Posterior(*a, {"k": (1, 10)})):
        with pytest.raises(fsp.ArgumentError, match=r"is a dict; read a table with fsp.read_counts"):
            asked(model, TABLE)
