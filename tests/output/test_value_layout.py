"""Files of derivatives, gradients, Fisher matrices, designs and log-likelihoods: what is read is what was written."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import fields, is_dataclass, replace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death
from written_networks import BIRTH_DEATH

import fsp
from fsp.command.main import main
from fsp.distribution.gradients import Gradients
from fsp.distribution.information import CellScores
from fsp.output.notebook import html
from fsp.output.storage import HEAD_BYTES, kept
from fsp.output.value_layout import KINDS, LAYOUTS

SEEN = {"time": [1, 1, 2, 2.0], "x": [5, 7, 6, 8], "k": [10.0, 10.0, 5.0, 5.0], "plate": list("aabb")}


@pytest.fixture(scope="module")
def values():
    """A value of each kind, and of what may be left out of it."""
    network = immigration_death()
    fading = fsp.Model(species={"X": 3}, parameters={"g": 1.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")])
    counts = fsp.read_counts(SEEN, counts={"X": "x"}, replicate="plate", time_unit="min")
    conditions = fsp.read_counts(SEEN, counts={"X": "x"}, conditions={"k": "k"})
    impossible = fsp.read_counts({"time": [1.0, 2.0], "x": [4, 1]}, counts={"X": "x"})
    slopes = fsp.gradient(network, "X > 3", 1.0, ["k", "g"])
    information = fsp.fisher(network, [1.0, 2.0], ["k", "g"], cells=100)
    scores = CellScores(np.array([[0.1, 0.3], [1 / 3, -7.0]]), np.array([0.5, 0.25]), np.array([1e-9, 5e-324]), 0.1)
    return {
        "derivatives": fsp.sensitivity(network, [1.0, 2.0, 2.5], ["k", "g"]),
        "of the same states": fsp.sensitivity(fading, [1.0, 2.0], ["g"], log=False),
        "gradients": Gradients(
            "X > 3", np.array([1.0, 2.0]), (slopes, {"g": replace(slopes["g"], lower=-math.inf)}), log=False, tol=1 / 3
        ),
        "information": information,
        "scores": replace(information, scores=scores, graded=None, above=np.array([math.inf, 0.0])),
        "design": fsp.design(network, [0.5, 1.0, 2.0], ["k", "g"], cells=100, conditions={"a": {}, "b": {"X": 5}}),
        "likelihood": fsp.likelihood(network, counts),
        "conditions": fsp.likelihood(network, conditions),
        "impossible": fsp.likelihood(fading, impossible),
    }


NAMES = (
    "derivatives",
    "of the same states",
    "gradients",
    "information",
    "scores",
    "design",
    "likelihood",
    "conditions",
    "impossible",
)


def same(a, b):
    """Whether two values hold the same to the last bit, in the fields that are kept."""
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, fsp.Sensitivities):
        return len(a) == len(b) and a.statistics == b.statistics and all(map(same, a, b))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    rows = [row for made, row in LAYOUTS.items() if isinstance(a, made)]
    if rows:
        return all(same(getattr(a, name), getattr(b, name)) for name in rows[0])
    if isinstance(a, fsp.Distribution):
        names = ("states", "probabilities", "species", "t", "error", "notes", "observables", "model_hash")
        return all(same(getattr(a, name), getattr(b, name)) for name in names)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize("name", NAMES)
def test_what_is_read_is_what_was_written(values, name, tmp_path):
    value = values[name]
    value.save(tmp_path / "a.h5")
    read = fsp.read(tmp_path / "a.h5")
    assert same(value, read)
    assert str(read) == str(value)
    assert read.record() == value.record()
    assert kept(tmp_path / "a.h5").kind in KINDS
    read.save(tmp_path / "again.h5")
    assert same(value, fsp.read(tmp_path / "again.h5"))


def test_each_field_of_a_value_is_kept():
    for made, row in LAYOUTS.items():
        if is_dataclass(made):
            assert {field.name for field in fields(made)} == row.keys()


def test_what_is_computed_of_a_value_that_was_read_is_the_same(values, tmp_path):
    derivatives, information, likelihood = (values[name] for name in ("derivatives", "information", "likelihood"))
    for i, value in enumerate((derivatives, information, likelihood)):
        value.save(tmp_path / f"{i}.h5")
    of_file = [fsp.read(tmp_path / f"{i}.h5") for i in range(3)]
    assert of_file[0][1].probability("X > 5") == derivatives[1].probability("X > 5")
    assert of_file[0][-1].distribution.mean_interval() == derivatives[-1].distribution.mean_interval()
    assert of_file[1].eigenvalues() == information.eigenvalues()
    assert of_file[2].by_cell == likelihood.by_cell
    assert fsp.likelihood(immigration_death(), of_file[2].counts).value == likelihood.value
    with pytest.raises(fsp.ArgumentError, match=r"which keeps no model; use fsp\.likelihood\(model"):
        of_file[2].gradient(["k"])


def test_times_with_the_same_states_share_them(values, tmp_path):
    values["of the same states"].save(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        first, last = (file[f"values/0000{i}/distribution/times/00000/states"] for i in range(2))
        assert first == last


# ---- damage


def sealed(path):
    """Give a file that was changed the checksum of what it has become."""
    content = path.read_bytes()
    line = content.split(b"\n")[0]
    digest = hashlib.sha256(content[HEAD_BYTES:]).hexdigest().encode()
    path.write_bytes((line[: -len(digest)] + digest + b"\n").ljust(HEAD_BYTES, b"\0") + content[HEAD_BYTES:])


def put(file, name, data, **how):
    del file[name]
    file.create_dataset(name, data=data, **how)


CRAFTED = {
    "shape": ("information", lambda f: put(f, "below", np.ones((2, 3))), r"/below must have the shape \(2, 2\)"),
    "gap": ("information", lambda f: put(f, "above", [np.nan, 1.0]), "/above must be numbers"),
    "parts": ("derivatives", lambda f: f["values/00001/errors"].__delitem__("00001"), "must hold 2 parts, but holds 1"),
    "missing": ("design", lambda f: f.__delitem__("information"), "/information must be there"),
    "labels": (
        "conditions",
        lambda f: put(f, "by_condition/labels", ["a"], dtype=h5py.string_dtype()),
        "must hold 1 parts, but holds 2",
    ),
    "fractions": ("design", lambda f: put(f, "cells", f["cells"][()] + 0.5), "/cells must be integers"),
    "times": ("likelihood", lambda f: f["by_time"].__delitem__("00001"), "must hold 2 parts, but holds 1"),
    "texts": (
        "design",
        lambda f: put(f, "conditions", ["a"], dtype=h5py.string_dtype()),
        r"must have the shape \(1, 3\), but has \(2, 3\)",
    ),
    "solution": (
        "derivatives",
        lambda f: f["values/00000/distribution"].attrs.update(kind="x"),
        "must be solution or distribution",
    ),
    "negative": ("derivatives", lambda f: f["values/00000/errors/00000"].attrs.update(rounding=-1.0), "non-negative"),
}


@pytest.mark.parametrize("kind", CRAFTED)
def test_what_no_value_is_is_refused_by_name(kind, values, tmp_path):
    name, change, words = CRAFTED[kind]
    path = tmp_path / "run.h5"
    values[name].save(path)
    with h5py.File(path, "r+") as file:
        change(file)
    sealed(path)
    with pytest.raises(fsp.ArgumentError, match=rf"(?s)run\.h5' cannot be read: .*{words}"):
        fsp.read(path)


def test_a_flipped_bit_is_noticed(values, tmp_path):
    path = tmp_path / "run.h5"
    values["information"].save(path)
    content = path.read_bytes()
    for place in range(HEAD_BYTES, len(content), 499):
        changed = bytearray(content)
        changed[place] ^= 8
        path.write_bytes(changed)
        with pytest.raises(fsp.ArgumentError, match="cannot be read"):
            fsp.read(path)


def test_a_failure_leaves_the_old_file(values, tmp_path):
    path = tmp_path / "run.h5"
    values["design"].save(path)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        replace(values["design"], gain=None).save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.h5"]


# ---- the command


@pytest.fixture
def folder(tmp_path):
    """A folder with a model and a table of cells."""
    (tmp_path / "model.ant").write_text(BIRTH_DEATH)
    (tmp_path / "cells.csv").write_text("time,x\n1,5\n1,7\n2,6\n")
    return tmp_path


def run(*words):
    return CliRunner(env={"COLUMNS": "120"}).invoke(main, [str(word) for word in words])


TASKS = {
    "sensitivity": ("sensitivity", ["--parameters", "k", "--times", "1,2"]),
    "fisher": ("Fisher matrix", ["--parameters", "k", "--times", "1,2"]),
    "design": ("design", ["--parameters", "k", "--times", "1,2"]),
    "likelihood": ("likelihood", ["--data", "cells.csv", "--observe", "X=x"]),
}


@pytest.mark.parametrize("task", TASKS)
def test_a_command_writes_what_it_prints(task, folder, monkeypatch):
    monkeypatch.chdir(folder)
    kind, words = TASKS[task]
    command = [task, "model.ant", *words, "--out", "a.h5"]
    done = run(*command, "--json")
    assert done.exit_code == 0, done.output
    assert kept(folder / "a.h5").kind == kind
    record = fsp.read("a.h5").record()
    assert {name: json.loads(done.stdout)[name] for name in record} == json.loads(json.dumps(record))
    shown = run("show", "a.h5", "--json")
    assert json.loads(shown.stdout) == {"fsp": fsp.__version__, **json.loads(json.dumps(record))}
    text = run("show", "a.h5").stdout
    assert text == f"{fsp.read('a.h5')}\n"
    assert text in run(*command).stdout  # which replaces its own file
    for to, wanted in (("a.json", shown.stdout), ("a.txt", text)):
        exported = run("export", "a.h5", "--to", to)
        assert exported.exit_code == 0, exported.output
        assert (folder / to).read_text(encoding="utf-8") == wanted


@pytest.mark.parametrize("task", TASKS)
def test_a_file_of_another_kind_is_not_replaced(task, folder, monkeypatch):
    monkeypatch.chdir(folder)
    kind, words = TASKS[task]
    other = "transient" if task != "likelihood" else "sensitivity"
    made = run(other, "model.ant", *TASKS.get(other, (kind, ["--times", "1"]))[1], "--out", "a.h5")
    assert made.exit_code == 0, made.output
    (folder / "mine.h5").write_text("mine")
    for path, said in (("a.h5", f"one of a {kind}, but 'a.h5' holds a "), ("mine.h5", "or one that fsp wrote, but")):
        before = (folder / path).read_bytes()
        done = run(task, "model.ant", *words, "--out", path)
        assert done.exit_code == 2
        assert said in done.output
        assert (folder / path).read_bytes() == before
    replaced = run(task, "model.ant", *words, "--out", "a.h5", "--overwrite")
    assert replaced.exit_code == 0, replaced.output
    assert kept(folder / "a.h5").kind == kind
    back = run("transient", "model.ant", "--times", "1", "--out", "a.h5")
    assert f"one of a solution, but 'a.h5' holds a {kind}" in back.output


def test_a_likelihood_never_replaces_its_table(folder, monkeypatch):
    monkeypatch.chdir(folder)
    words = ("likelihood", "model.ant", "--data", "cells.csv", "--observe", "X=x", "--out", "cells.csv", "--overwrite")
    assert "must be another file than those that are read" in run(*words).output


def test_what_is_asked_of_distributions_is_refused(values, folder):
    values["design"].save(folder / "a.h5")
    for words in (["--event", "X > 1"], ["--times", "1"], ["--csv"]):
        done = run("show", folder / "a.h5", *words)
        assert done.exit_code == 2
        assert "must come without options other than --json where a file holds a design" in done.output
    for words in (["plot", "--to", folder / "a.png"], ["export", "--to", folder / "a.csv"], ["view", "--times", "1"]):
        done = run(words[0], folder / "a.h5", *words[1:])
        assert done.exit_code == 2
        assert "holds a design; fsp show prints it, and fsp view writes a page of it" in done.output


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_what_a_notebook_does(name, values, folder):
    answer = values[name]
    answer.save(folder / "a.h5")
    done = run("view", folder / "a.h5", "--to", folder / "a.html", "--overwrite")
    assert done.exit_code == 0, done.output
    page = (folder / "a.html").read_text(encoding="utf-8")
    assert html(answer) in page
    assert ("<svg" in page) == isinstance(answer, fsp.Sensitivities)


def test_derivatives_in_a_file_are_drawn(values, folder):
    values["derivatives"].save(folder / "a.h5")
    done = run("plot", folder / "a.h5", "--to", folder / "a.svg", "--species", "X")
    assert done.exit_code == 0, done.output
    assert (folder / "a.svg").read_text(encoding="utf-8").count("log k") >= 1
    for words, said in (
        (["--kind", "heat"], "must come without --times, --kind and --log"),
        (["--times", "1"], "must come without --times, --kind and --log"),
        (["--species", "Q"], "must be one of X, but is 'Q'"),
    ):
        done = run("plot", folder / "a.h5", "--to", folder / "b.svg", *words)
        assert done.exit_code == 2
        assert said in done.output
