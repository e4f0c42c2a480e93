"""`fsp show`, `plot` and `export`, and what is asked of answers on the command line."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import math
import os
import re

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from written_networks import BIRTH_DEATH

import fsp
from fsp.command.completion import ModelFile
from fsp.command.main import main

RATES = {t: 10 * (1 - math.exp(-t)) for t in (1.0, 2.0, 4.0)}  # X is Poisson


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model, a run at the first two times, a sweep and a stationary distribution."""
    folder = tmp_path_factory.mktemp("files")
    (folder / "model.ant").write_text(BIRTH_DEATH)
    network = fsp.load(folder / "model.ant")
    fsp.transient(network, [1.0, 2.0]).save(folder / "run.h5")
    fsp.sweep(network, {"k": [5.0, 10.0]}, [1.0, 2.0], processes=1).save(folder / "sweep.h5")
    fsp.stationary(network).save(folder / "pi.h5")
    return folder


def run(*words):
    columns = os.environ.get("COLUMNS", "120")
    return CliRunner(env={"COLUMNS": columns}).invoke(main, [str(word) for word in words])


def printed(*words):
    done = run(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words):
    done = run(*words)
    assert done.exit_code == 2, done.output
    (line,) = done.output.splitlines()
    return line


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


QUESTIONS = ("--event", "X > 5", "--expect", "X^2", "--quantile", "X=0.05,0.5")


def test_answers_of_a_poisson_process_are_within_their_bounds(folder):
    record = json.loads(printed("transient", folder / "model.ant", "--times", "1,2", *QUESTIONS, "--json", "--quiet"))
    for time in record["times"]:
        law = stats.poisson(RATES[time["t"]])
        event, square = time["events"]["X > 5"], time["expectations"]["X^2"]
        assert event["lower"] <= law.sf(5) <= event["upper"]
        assert event["certified"]
        assert square["lower"] <= law.var() + law.mean() ** 2 <= square["upper"]
        for quantile in time["quantiles"]["X"]:
            assert quantile["lower"] == quantile["upper"] == law.ppf(quantile["level"])


def test_a_file_answers_as_the_run_did(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # one table, however many digits an interval has
    asked = printed("transient", folder / "model.ant", "--times", "1,2", *QUESTIONS, "--csv", "--quiet")
    kept = printed("show", folder / "run.h5", *QUESTIONS, "--csv")
    assert asked == kept
    shown = printed("show", folder / "run.h5", *QUESTIONS)
    header, first, *_ = shown.split("\n\n")[1].splitlines()
    assert re.split("  +", header.strip()) == ["t", "P(X > 5)", "E(X^2)", "Q(X, 0.05)", "Q(X, 0.5)"]
    lower, upper = map(float, re.search(r"\[(.*?), (.*?)\]", first).groups())
    assert lower <= stats.poisson.sf(5, RATES[1.0]) <= upper


def test_probabilities_of_a_sweep_and_of_a_stationary_law(folder):
    table = printed("show", folder / "sweep.h5", "--event", "X > 5").split("\n\n")[1]
    assert [line.split()[0] for line in table.splitlines()] == ["k", "5", "10"]
    lines = printed("stationary", folder / "model.ant", "--event", "X > 5", "--quiet")
    lower, upper = map(float, re.search(r"stationary +\[(.*?), (.*?)\]", lines).groups())
    assert lower <= stats.poisson.sf(5, 10) <= upper


def test_stationary_laws_are_swept(folder, tmp_path):
    out = tmp_path / "pi.h5"
    words = ["stationary", folder / "model.ant", "--sweep", "k=5,10", "--out", out, "--quiet"]
    first, second = rows(printed(*words, "--event", "X > 5", "--csv"))
    for row, k in ((first, 5), (second, 10)):
        assert float(row["P(X > 5) lower"]) <= stats.poisson.sf(5, k) <= float(row["P(X > 5) upper"])
        assert (row["k"], row["t"]) == (f"{k:.1f}", "")
    assert printed("show", out, "--csv") == printed(*words, "--resume", "--csv")
    assert "holds a sweep" in refused(*words)
    printed("view", out)
    printed("plot", out, "--to", tmp_path / "pi.svg")
    for wrong, what in (
        (["--resume"], "`--resume` must come with --sweep"),
        (["--pairs"], "`--pairs` must come with --sweep"),
        (["--sweep", "k=1,2", "--resume"], "`--out` must name the file"),
        (["--sweep", "k=1,2", "--event", "X > time"], "must not use time"),
    ):
        assert what in refused("stationary", folder / "model.ant", *wrong)


def test_what_is_no_bound_is_told_from_what_is(folder):
    shown = printed("show", folder / "run.h5", "--expect", "1/(X+1)", "--expect", "2^X")
    note = [line for line in shown.splitlines() if line.startswith("note: E(2^X)")]
    assert note
    assert "≈" in shown
    (row, _) = rows(printed("show", folder / "run.h5", "--expect", "2^X", "--csv"))
    assert row["E(2^X) lower"] == row["E(2^X) upper"] == ""


def test_csv_has_every_digit(folder):
    dist = fsp.read(folder / "run.h5")[1]
    row = rows(printed("show", folder / "run.h5", "--csv", "--times", 2))[0]
    assert float(row["mean_X"]) == dist.mean()["X"]
    assert float(row["error"]) == dist.error.total
    (k, _), *_ = [list(one.items())[:2] for one in rows(printed("show", folder / "sweep.h5", "--csv"))]
    assert k == ("k", "5.0")


def test_longer_times_go_on_from_a_complete_run(folder, tmp_path):
    out = tmp_path / "run.h5"
    fsp.read(folder / "run.h5").save(out)
    products = fsp.read(out).n_matvec
    done = run("transient", folder / "model.ant", "--times", "1,2,4", "--out", out, "--resume", "--quiet")
    assert done.exit_code == 0, done.output
    longer = fsp.read(out)
    assert longer.times.tolist() == [1, 2, 4]
    assert longer.complete
    assert longer.n_matvec >= products
    assert longer[-1].cdf("X", 9).lower <= stats.poisson.cdf(9, RATES[4.0]) <= longer[-1].cdf("X", 9).upper
    assert np.array_equal(longer[0].probabilities, fsp.read(folder / "run.h5")[0].probabilities)
    for times in ("1,3,4", "1", "1.5,2,4"):
        line = refused("transient", folder / "model.ant", "--times", times, "--out", out, "--resume", "--quiet")
        assert "`--times` differ" in line


def test_a_run_starts_where_a_file_ends(folder):
    words = ["--times", 4, "--start", folder / "run.h5", "--json", "--quiet"]
    (time,) = json.loads(printed("transient", folder / "model.ant", *words))["times"]
    lower, upper = time["mean_interval"]["X"]
    assert lower <= RATES[4.0] <= upper
    assert "must not be earlier than the start" in refused("transient", folder / "model.ant", *words[:1], 1, *words[2:])
    assert "holds a sweep" in refused("transient", folder / "model.ant", *words[:3], folder / "sweep.h5")
    assert "is not there" in refused("transient", folder / "model.ant", *words[:3], folder / "nowhere.h5")
    points = json.loads(printed("transient", folder / "model.ant", *words, "--sweep", "k=1,2"))["points"]
    alone = json.loads(printed("transient", folder / "model.ant", *words, "--set", "k=2"))["times"]
    assert points[1]["times"][0]["mean"]["X"] == pytest.approx(alone[0]["mean"]["X"], rel=1e-6)
    rest = json.loads(printed("transient", folder / "model.ant", *words[:2], "--start", "stationary", *words[4:]))
    assert rest["times"][0]["t"] == 4.0


def test_states_and_marginals_are_exported(folder, tmp_path):
    to = tmp_path / "states.csv"
    printed("export", folder / "run.h5", "--to", to, "--states")
    table = rows(to.read_text())
    for t, rate in ((1.0, RATES[1.0]), (2.0, RATES[2.0])):
        for row in (row for row in table if float(row["t"]) == t):
            assert float(row["lower"]) <= stats.poisson.pmf(int(row["X"]), rate) <= float(row["upper"])
        assert sum(float(row["probability"]) for row in table if float(row["t"]) == t) == pytest.approx(1, abs=1e-6)
    printed("export", folder / "run.h5", "--to", tmp_path / "marginal.csv", "--marginal", "X")
    assert [row["X"] for row in rows((tmp_path / "marginal.csv").read_text())] == [row["X"] for row in table]
    assert "neither" in refused("export", folder / "run.h5", "--to", to)
    printed("export", folder / "run.h5", "--to", to, "--overwrite")


def test_other_forms_are_exported(folder, tmp_path):
    xarray = pytest.importorskip("xarray")
    run_, dist = fsp.read(folder / "run.h5"), fsp.read(folder / "pi.h5")
    for name, words in {"a": ["run"], "b": ["sweep"], "c": ["pi"], "d": ["run", "--marginal", "X"]}.items():
        printed("export", folder / f"{words[0]}.h5", "--to", tmp_path / f"{name}.nc", *words[1:])
    with xarray.open_dataset(tmp_path / "a.nc") as arrays:
        assert arrays["mean"].sel(t=2.0, species="X").item() == run_[1].mean()["X"]
    with xarray.open_dataset(tmp_path / "b.nc") as arrays:
        assert arrays["mean"].shape == (2, 2, 1)
    with xarray.open_dataset(tmp_path / "c.nc") as arrays:
        assert np.array_equal(arrays["probability"].values, dist.pmf)
    with xarray.open_dataset(tmp_path / "d.nc") as arrays:
        held = arrays["probability"].sel(t=1.0, X=run_[0].states[:, 0])
        assert np.array_equal(held.values, run_[0].probabilities)
    printed("export", folder / "run.h5", "--to", tmp_path / "run.txt")
    assert (tmp_path / "run.txt").read_text().split()[:4] == ["t", "states", "X", "error"]
    printed("export", folder / "run.h5", "--to", tmp_path / "run.json", "--event", "X > 5")
    assert json.loads((tmp_path / "run.json").read_text())["times"][0]["events"]


def test_pictures_of_files(folder, tmp_path):
    printed("plot", folder / "run.h5", "--out", tmp_path / "run.svg", "--log", "--species", "X", "--times", "1,2")
    assert b"<svg" in (tmp_path / "run.svg").read_bytes()
    printed("plot", folder / "sweep.h5", "--to", tmp_path / "sweep.png")
    printed("plot", folder / "run.h5", "--to", tmp_path / "heat.png", "--kind", "heat", "--species", "X")
    words = ["--times", "1", "--sweep", "k=1,2", "--plot", tmp_path / "new.pdf", "--quiet"]
    printed("transient", folder / "model.ant", *words)
    for name in ("sweep.png", "heat.png", "new.pdf"):
        assert (tmp_path / name).stat().st_size > 5_000


REFUSED = [
    (["show", "run.h5", "--event", "X + 1"], "`--event` must be a condition .* 'X \\+ 1' is a number"),
    (["show", "run.h5", "--event", "Y > 1"], "`--event`: .* needs 'Y'"),
    (["show", "pi.h5", "--event", "X > time"], "`--event`: .* must not use time"),
    (["show", "run.h5", "--quantile", "X=1.5"], "`--quantile X` must have levels between 0 and 1, but has 1.5"),
    (["show", "run.h5", "--quantile", "Y=0.5"], "`--quantile` must be of one of X, but is of 'Y'"),
    (["show", "run.h5", "--quantile", "0.5"], "`--quantile` must be SPECIES=LEVELS"),
    (["show", "run.h5", "--json", "--csv"], "One of `--json` and `--csv`"),
    (["show", "run.h5", "--csv", "--marginal", "X"], "`--marginal` must come without --csv"),
    (["show", "pi.h5", "--times", "1"], "`--times` must come with a solution, but .* distribution"),
    (["show", "run.h5", "--times", "3"], "`t` must be one of the times"),
    (["show", "none.h5"], "'.*none.h5' is not there"),
    (["plot", "run.h5", "--to", "run.gif"], "`--to` must end in one of .png"),
    (["plot", "run.h5", "--to", "run.png", "--species", "Y"], "`--species` must be one of X, but is 'Y'"),
    (["plot", "run.h5", "--to", "run.png", "--kind", "heat"], "must be one name for kind = heat"),
    (["plot", "sweep.h5", "--to", "run.png", "--log"], "A sweep must be drawn otherwise"),
    (
        ["stationary", "model.ant", "--plot", "new.png", "--kind", "heat", "--species", "X"],
        "not a picture of this kind",
    ),
    (["export", "run.h5", "--to", "run.xls"], "`--to` must end in one of .csv"),
    (["export", "run.h5", "--to", "run.h5.csv", "--states", "--marginal", "X"], "`--states` must come without"),
    (["export", "run.h5", "--to", "new.nc", "--event", "X > 1"], "must have a place, but a .nc file has none"),
    (["export", "sweep.h5", "--to", "new.nc", "--marginal", "X"], "of a sweep must be written as .csv"),
    (["transient", "model.ant", "--times", "1", "--log"], "`--log` must come with --plot"),
    (["transient", "model.ant", "--times", "1", "--species", "X"], "`--species` must come with --plot"),
    (["transient", "model.ant", "--times", "1", "--quiet", "--progress"], "One of `--quiet` and `--progress`"),
]


@pytest.mark.parametrize(("words", "what"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_what_does_not_apply_is_refused(folder, words, what):
    with contextlib.chdir(folder):
        line = refused(*words)
    assert re.search(what, line)


def test_a_constant_is_a_number_alone(tmp_path):
    (tmp_path / "closed.ant").write_text(
        "X -> Y; k*X; k = 1; X = 10; Y = 0; Z = 10; Z -> Z; k\nsubstanceOnly species X"
    )
    line = printed("transient", tmp_path / "closed.ant", "--times", 0, "--quiet").splitlines()[1]
    assert "±" not in line


def test_help_fits_into_80_columns():
    for command in main.commands:
        body = printed(command, "--help").split("Exit status")[0]
        assert max(map(len, body.splitlines())) <= 80, command


@pytest.mark.parametrize("width", [60, 80])
def test_lines_are_as_wide_as_the_terminal(folder, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    many = [word for level in range(1, 10) for word in ("--event", f"X > {level}")]
    for words in (["run.h5", "--verbose"], ["sweep.h5"]):
        lines = printed("show", folder / words[0], *words[1:], *many, "--marginal", "X").splitlines()
        assert max(map(len, lines)) <= width


def test_models_and_solvers_are_completed(folder, monkeypatch):
    from click.shell_completion import ShellComplete

    monkeypatch.chdir(folder)
    complete = ShellComplete(main, {}, "fsp", "_FSP_COMPLETE")

    def words(args, incomplete):
        return [item.value for item in complete.get_completions(args, incomplete)]

    assert words(["transient"], "m") == ["model.ant"]
    assert words(["transient"], f"{folder}/m") == [f"{folder}/model.ant"]
    assert words(["info"], "r") == []
    assert words(["transient", "model.ant", "--solver"], "k") == ["krylov"]
    assert "show" in words([], "s")
    (folder / "inner").mkdir(exist_ok=True)
    (folder / "inner" / "other.xml").touch()
    assert [item.value for item in ModelFile().shell_complete(None, None, "inn")] == ["inner/other.xml"]


@pytest.mark.parametrize("words", [["show"], ["plot", "--to", "a.png"], ["export", "--to", "a.csv"], ["view"]])
def test_what_is_no_file_of_fsp_is_said_of_the_argument(folder, words):
    assert "`RUN` must be an intact HDF5 file of fsp" in refused(words[0], folder / "model.ant", *words[1:])
