"""The command: the words, what it prints and writes, and its exit status."""

from __future__ import annotations

import io
import json
import os
import re
import resource
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from written_networks import BIRTH_DEATH

import fsp
from fsp import quantities
from fsp.command import progress
from fsp.command.main import main
from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.projection import Progress, SweepProgress


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "birth_death.ant"
    path.write_text(BIRTH_DEATH)
    return str(path)


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def answer(error, t=1.0):
    n = np.arange(40)
    return Distribution(n[:, None], stats.poisson.pmf(n, 9), ("X",), t=t, error=error)


# ---- answers


def test_transient_prints_a_row_for_each_time(model):
    done = run("transient", model, "--times", "0:2:3")
    assert done.exit_code == 0, done.stderr
    header, *rows, work = done.stdout.splitlines()
    assert header.split() == ["t", "states", "X", "error"]
    assert [row.split()[0] for row in rows] == ["0", "1", "2"]
    assert all("≤" in row for row in rows)
    assert ["±" in row for row in rows] == [False, True, True]  # at the start X is 0
    assert "products" in work
    mean = float(rows[2].split()[2])
    assert mean == pytest.approx(10 * (1 - np.exp(-2)), rel=1e-4)


def test_json_has_every_digit_and_the_marginals(model):
    done = run("transient", model, "--times", "1,2", "--times", 4, "--json", "--marginal", "X", "--tol", 1e-8)
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert [one["t"] for one in record["times"]] == [1, 2, 4]
    for one in record["times"]:
        rate = 10 * (1 - np.exp(-one["t"]))
        assert one["mean"]["X"] == pytest.approx(rate, rel=1e-6)
        exact = stats.poisson.pmf(one["marginals"]["X"]["copies"], rate)
        gap = np.abs(exact - one["marginals"]["X"]["probability"]).sum() + 1 - exact.sum()
        assert gap <= one["error"]["total"] + 1e-14
        assert one["error"]["certified"]
        assert one["error"]["total"] <= 1e-8
    assert record["statistics"]["n_matvec"] >= 0
    assert record["species"] == ["X"]


def test_files_are_written(model, tmp_path):
    out, picture = tmp_path / "run.h5", tmp_path / "run.png"
    done = run("transient", model, "--times", "0:1:3", "--out", out, "--plot", picture)
    assert done.exit_code == 0, done.stderr
    assert fsp.read(out).times.tolist() == [0, 0.5, 1]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_function_of_the_users_choice_is_checked(model):
    done = run("stationary", model, "--lyapunov", "2*X + X^2")
    assert done.exit_code == 0, done.stderr
    assert "error ≤" in done.stdout
    refused = run("stationary", model, "--lyapunov", "1/X")
    assert refused.exit_code == 2
    assert "`--lyapunov`" in refused.stderr


def test_stationary_prints_its_bound(model, tmp_path):
    done = run("stationary", model, "--marginal", "X", "--out", tmp_path / "pi.h5")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("stationary: ")
    assert "error ≤" in done.stdout
    assert f"10  {stats.poisson.pmf(10, 10):.6f}" in " ".join(done.stdout.split()).replace(" ", "  ")
    assert fsp.read(tmp_path / "pi.h5").mean()["X"] == pytest.approx(10, rel=1e-4)


def test_settings_change_parameters_and_counts(model):
    done = run("transient", model, "--times", 0.5, "--set", "k=0", "--set", "X=8", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["times"][0]["mean"]["X"] == pytest.approx(8 * np.exp(-0.5), rel=1e-5)


def test_info_describes_the_model(model):
    done = run("info", model)
    assert done.exit_code == 0, done.stderr
    assert "birth_death" in done.stdout
    assert "deficiency 0, weakly reversible; complex balanced" in done.stdout
    record = json.loads(run("info", model, "--set", "k=3", "--json").stdout)
    assert record["parameters"]["k"] == 3
    assert record["reactions"][1]["change"] == {"X": -1}
    assert record["mass_action"]["deficiency"] == 0
    assert record["finite"] is False
    assert record["bounds"] == {"X": None}  # JSON has no infinity


def test_version_and_help():
    assert fsp.__version__ in run("--version").stdout
    for words in (["--help"], ["transient", "--help"], ["stationary", "-h"]):
        text = run(*words).stdout
        assert "Exit status:" in text
        assert "7  solved, but the error is above" in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom fsp.command.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'numba', 'h5py', 'matplotlib', 'rich', 'libsbml', 'antimony'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- exit status


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "Missing option"),
        (["--times", "0:1"], "must be like 0:30:31"),
        (["--times", "0:1:1"], "must be like 0:30:31"),
        (["--times", "soon"], "must be a number, but is 'soon'"),
        (["--times", "2,1"], "times"),
        (["--times", "1e-400"], "must be 0 or a number that a double can hold, but is '1e-400'"),
        (["--times", "1_0"], "must be a number, but is '1_0'"),
        (["--times", "\u0661"], "must be a number"),  # a digit of another alphabet
        (["--times", "1e400"], "must be finite"),
        (["--times", "nan"], "must be finite"),
        (["--times", "1", "--set", "k=2.5e-400"], "`--set k` must be 0 or a number that a double can hold"),
        (["--times", "1", "--event", "2 > 1"], "must be a condition on counts"),
        (["--times", "1", "--tol", "0"], "tol"),
        (["--times", "1", "--solver", "magic"], "magic"),
        (["--times", "1", "--set", "k"], "must be NAME=VALUE"),
        (["--times", "1", "--set", "k=fast"], "must be a number"),
        (["--times", "1", "--max-memory", "lots"], "must be a size such as 8GiB"),
        (["--times", "1", "--marginal", "Y"], "must be one of X, but is 'Y'"),
        (["--times", "1", "--plot", "a.bmp"], "must end in one of .png"),
        (["--times", "1", "--plot", "nowhere/a.png"], "in a folder that exists"),
        (["--times", "1", "--out", "nowhere/a.h5"], "in a folder that exists"),
        (["--times", "1", "--out", "."], "must be a file in a folder"),
    ],
)
def test_wrong_usage_is_2(model, words, reason):
    done = run("transient", model, *words)
    assert done.exit_code == 2
    assert reason in done.stderr
    assert not done.stdout


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_files_are_checked_before_solving(model, option, monkeypatch):
    monkeypatch.setattr(fsp, "transient", lambda *a, **k: pytest.fail("solved first"))
    assert run("transient", model, "--times", 1, option, "nowhere/a.png").exit_code == 2


@pytest.fixture
def nothing_solved(monkeypatch):
    for task in ("transient", "stationary", "sweep"):
        monkeypatch.setattr(fsp, task, lambda *a, **k: pytest.fail("solved first"))


@pytest.mark.usefixtures("nothing_solved")
@pytest.mark.parametrize(
    "task", [["transient", "--times", 1], ["stationary"], ["transient", "--times", 1, "--sweep", "k=1,2"]]
)
def test_a_command_replaces_nothing_that_is_not_its_own(task, model, tmp_path):
    notes, before = tmp_path / "notes.png", Path(model).read_text()
    notes.write_text("mine")
    asked = [task[0], model, *task[1:]]
    for option in ["--out"] if "--sweep" in task else ["--out", "--plot"]:
        done = run(*asked, option, notes)
        assert done.exit_code == 2
        assert f"`{option}` must be a new file, or one that fsp wrote, but '{notes}' is neither." in done.stderr
    os.mkfifo(tmp_path / "pipe")
    for words in (["--out", model], ["--out", model, "--overwrite"], ["--out", tmp_path / "pipe", "--overwrite"]):
        assert run(*asked, *words).exit_code == 2
    assert notes.read_text() == "mine"
    assert Path(model).read_text() == before


@pytest.mark.usefixtures("nothing_solved")
@pytest.mark.parametrize("name", ["run.csv", "run.CSV", "run.json", "run.png", "run.html", "a b.nc"])
@pytest.mark.parametrize(
    "task", [["transient", "--times", 1], ["stationary"], ["fisher", "--parameters", "k", "--times", 1]]
)
def test_hdf5_is_not_written_under_the_name_of_another_kind(task, name, model, tmp_path):
    out = tmp_path / name
    done = run(task[0], model, *task[1:], "--out", out, "--overwrite")
    assert done.exit_code == 2
    assert f"`--out` must not end in {out.suffix.lower()}, since it is HDF5, but is '{out}'." in done.stderr
    assert f"Give --out {shlex.quote(str(out.with_suffix('.h5')))}; then fsp " in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    "asked",
    [
        ["passage", "--to", "X > 12"],
        ["reward", "--of", "X", "--times", 1],
        ["correlation", "--of", "X", "--lags", 1],
        ["committor", "--from", "X < 5", "--to", "X > 12"],
    ],
)
def test_bounds_above_the_tolerance_end_with_7(asked, model):
    for tol, status in (("1e-3", 0), ("1e-16", 7)):
        done = run(asked[0], model, *asked[1:], "--tol", tol, "--quiet")
        assert done.exit_code == status, done.output
        assert ("wide, above" in done.stderr) == (status == 7)


def test_an_answer_that_is_no_bound_ends_with_7(model):
    done = run("reward", model, "--of", "exp(X)", "--times", 1, "--tol", "1e-3", "--quiet")
    assert done.exit_code == 7
    assert "≈" in done.stdout


def test_what_a_command_wrote_it_replaces(model, tmp_path):
    out, picture = tmp_path / "run.h5", tmp_path / "run.png"
    out.write_text("mine")
    words = ["transient", model, "--times", "0,1", "--out", out, "--plot", picture]
    assert run(*words).exit_code == 2
    assert run(*words, "--overwrite").exit_code == 0
    written = out.stat().st_mtime_ns, picture.stat().st_mtime_ns
    assert run(*words).exit_code == 0
    assert out.stat().st_mtime_ns > written[0]
    assert picture.stat().st_mtime_ns > written[1]


@pytest.mark.usefixtures("nothing_solved")
def test_what_would_have_to_be_computed_again_is_not_replaced(model, tmp_path):
    n = np.arange(3)[:, None]
    times = [fsp.Distribution(n, [0.2, 0.3, 0.5], ("X",), t=t, error=fsp.ErrorLedger()) for t in (1.0, 2.0)]
    sweep, stopped, stationary = (tmp_path / name for name in ("sweep.h5", "stopped.h5", "stationary.h5"))
    one = Solution(times, tol=1e-3, solver="")
    fsp.Sweep(["k"], np.array([[1.0]]), [one], shape=[1]).save(sweep)
    Solution(times, tol=1e-3, solver="", asked=[1.0, 3.0]).save(stopped)
    fsp.Distribution(n, [0.2, 0.3, 0.5], ("X",), t=None, error=fsp.ErrorLedger()).save(stationary)
    transient = ["transient", model, "--times", 1, "--out"]
    for words, reason in [
        ([*transient, sweep], "or one of a solution, but '.*' holds a sweep"),
        ([*transient, stationary], "or one of a solution, but '.*' holds a distribution"),
        ([*transient, stopped], "holds what was reached by a run that was stopped. Go on from it with --resume"),
        ([*transient, sweep, "--sweep", "k=1,2"], "holds a sweep. Go on from it with --resume, or replace it with"),
    ]:
        done = run(*words)
        assert done.exit_code == 2
        assert re.search(reason, done.stderr)


@pytest.mark.usefixtures("nothing_solved")
def test_files_are_tried_before_solving(model, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        done = run("transient", model, "--times", 1, "--out", tmp_path / "a.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.exit_code == 1
    assert "`--out` must be a file that can be written" in done.stderr
    assert not list(tmp_path.glob("*a.h5*"))


@pytest.mark.parametrize("text", [None, "model broken", "X -> Y; k*Z*\n", ""])
def test_bad_model_is_3(tmp_path, text):
    path = tmp_path / "model.ant"
    if text is not None:
        path.write_text(text)
    done = run("info", path)
    assert done.exit_code == 3
    assert done.stderr.startswith("fsp: error: ")
    assert "Traceback" not in done.stderr


def test_unknown_parameter_is_3(model):
    assert run("info", model, "--set", "speed=3").exit_code == 3


def test_limit_on_states_is_4(model):
    done = run("transient", model, "--times", 5, "--max-states", 4)
    assert done.exit_code == 4
    assert done.stderr.startswith("fsp: error: ")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (fsp.ConvergenceError("stopped"), 5),
        (fsp.BackendError("missing"), 6),
        (fsp.StateSpaceError("too large"), 4),
        (MemoryError(), 4),
        (fsp.FSPError("other"), 1),
    ],
)
def test_failures_have_their_status(model, monkeypatch, error, code):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(fsp, "transient", fail)
    done = run("transient", model, "--times", 1)
    assert done.exit_code == code
    assert done.stderr.startswith(f"fsp: error: {str(error) or 'memory is exhausted'}")
    assert run("transient", model, "--times", 1, "--debug").exception is error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ErrorLedger(truncation=1e-3), "exceeds"),
        (ErrorLedger(truncation=1e-9, certified=False), "an estimate, not a bound"),
    ],
)
def test_an_answer_above_the_tolerance_is_printed_and_7(model, monkeypatch, error, words):
    def solve(*arguments, **options):
        if error.certified:
            warnings.warn("the bound exceeds tol", fsp.ToleranceWarning, stacklevel=2)
        return Solution([answer(error)], tol=1e-6, solver="by hand")

    monkeypatch.setattr(fsp, "transient", solve)
    done = run("transient", model, "--times", 1)
    assert done.exit_code == 7
    assert f"fsp: warning: {'the bound' if error.certified else 'this error is'}" in done.stderr
    assert words in done.stderr
    assert f"{error.sign} 1.0e-0" in done.stdout


@pytest.mark.parametrize(("total", "code"), [(1e-7, 0), (1e-3, 7)])
def test_stationary_status_judges_the_estimate(model, monkeypatch, total, code):
    found = answer(ErrorLedger(truncation=total, certified=False), t=None)
    monkeypatch.setattr(fsp, "stationary", lambda *a, **k: found)
    assert run("stationary", model).exit_code == code


def test_a_file_that_cannot_be_written_is_1(model, monkeypatch, tmp_path):
    def fail(self, path):
        raise OSError("No space left on device")

    monkeypatch.setattr(Solution, "save", fail)
    done = run("transient", model, "--times", 1, "--out", tmp_path / "a.h5")
    assert done.exit_code == 1
    assert "No space left" in done.stderr
    assert "≤" in done.stdout  # the answer is printed before


# ---- sizes, limits, progress


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 * 2**30), ("500MB", 500_000_000), ("1.5k", 1500), ("12", 12), ("2 TiB", 2**41)],
)
def test_sizes(text, size):
    assert quantities.size(text, "--max-memory") == size


def test_only_given_limits_are_passed_on(model, monkeypatch):
    seen = []

    def solve(network, times, tol, **options):
        seen.append((list(times), sorted(options)))
        return Solution([answer(ErrorLedger())], tol=1e-6, solver="")

    monkeypatch.setattr(fsp, "transient", solve)
    run("transient", model, "--times", "0:30:4", "--quiet")
    run("transient", model, "--times", 1, "--max-memory", "1GiB", "--max-states", 9)
    assert seen[0] == ([0, 10, 20, 30], ["progress", "solver", "start"])
    assert seen[1] == ([1], ["max_memory", "max_states", "progress", "solver", "start"])


def test_plain_progress_is_rare(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    lines = progress.LineProgress()
    for step in range(100):
        now[0] = 0.2 * step
        lines(Progress(step / 10, 10.0, 1000 + step, 1e-9, "krylov"))
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 3
    assert printed[0] == "fsp: t = 2.5 of 10, 1,025 states, error 1.0e-09, krylov, 5 s"


@pytest.mark.parametrize("t", [0.5, None])
def test_progress_on_a_terminal(t, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "150")
    with progress.shown_progress(False) as report:
        report(Progress(t, None if t is None else 1.0, 4321, 1e-9, "growing"))
    assert "4,321 states, error 1.0e-09" in terminal.getvalue()


def test_progress_of_a_sweep_counts_points(capsys):
    progress.LineProgress(0.0)(SweepProgress(3, 12, 1, 4321, 2e-7, "k = 2"))
    line = "fsp: 3 of 12 points (1 failed), last k = 2, up to 4,321 states, error 2.0e-07, 0 s\n"
    assert capsys.readouterr().err == line
    assert SweepProgress(3, 12, 1, 4321, 2e-7, "").share == (3, 12)


def test_quiet_has_no_progress():
    with progress.shown_progress(True) as report:
        assert report is None
