"""`fsp gradient`: closed forms in the printed intervals, both ways of asking, the status, and wrong words."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner

import fsp
from fsp.command.main import main
from fsp.distribution.gradients import Gradients

POISSON = "k = 10; g = 1; X = 0; species X; -> X; k; X -> ; g*X"


@pytest.fixture
def ask(tmp_path):
    path = tmp_path / "model.ant"
    path.write_text(POISSON, encoding="utf-8")

    def asking(*words):
        return CliRunner().invoke(main, ["gradient", str(path), *words])

    return asking


def slopes(t):
    """Return the derivatives of the mean 10 (1 - exp(-t)) of X by k and g."""
    mean = -10.0 * math.expm1(-t)
    return {"k": mean / 10.0, "g": -mean + 10.0 * t * math.exp(-t)}


@pytest.mark.parametrize("linear", [True, False])
def test_each_time_has_intervals_that_hold_the_derivatives_of_a_poisson_law(ask, linear):
    words = ["--of", "X", "--parameters", "k,g", "--times", "0:2:3", "--json", "--tol", "1e-5"]
    run = ask(*words, *["--linear"] * linear)
    record = json.loads(run.stdout)
    assert run.exit_code == 0
    assert (record["of"], record["log"], record["tol"]) == ("X", not linear, 1e-5)
    assert [of_time["t"] for of_time in record["times"]] == [0.0, 1.0, 2.0]
    for of_time in record["times"]:
        for name, exact in slopes(of_time["t"]).items():
            interval = of_time["gradient"][name]
            scaled = exact * (1.0 if linear or name == "g" else 10.0)
            assert interval["certified"]
            assert interval["lower"] - 1e-15 <= scaled <= interval["upper"] + 1e-15
            assert interval["upper"] - interval["lower"] <= 2e-5


def test_a_mean_of_large_values_is_told_what_brings_it_within_a_tolerance(ask):
    """No tolerance is 1 or more, so that a larger one is no way out; the formula over a number has derivatives so."""
    words = ["--parameters", "k", "--times", "1", "--tol", "1e-4"]
    run = ask("--of", "1e200*X", *words)
    assert run.exit_code == 7
    assert "above the tolerance 1.0e-04. Divide the formula by a number, which divides derivatives." in run.stderr
    assert ask("--of", "1e200*X/1e200", *words).exit_code == 0


def test_the_text_names_the_event_and_each_parameter(ask):
    run = ask("--of", "X > 8", "--parameters", "g,k", "--times", "2")
    lines = run.stdout.splitlines()
    assert run.exit_code == 0
    assert lines[0] == "t = 2: derivatives of X > 8"
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["∂/∂log g", "∂/∂log k"]
    mean = -10.0 * math.expm1(-2.0)
    by_k = mean * math.exp(-mean) * mean**8 / math.factorial(8)
    low, high = map(float, lines[2].split("[")[1].rstrip("]").split(","))
    assert low <= by_k <= high


def test_a_start_in_the_stationary_law_does_not_move(ask):
    """The law has the mean k/g = 10 at all times, so the derivative of P(X > 8) by log k is 10 p(8)."""
    run = ask("--of", "X > 8", "--parameters", "k", "--times", "0.5", "--start", "stationary", "--json")
    (of_time,) = json.loads(run.stdout)["times"]
    exact = math.exp(-10.0) * 10.0**9 / math.factorial(8)
    assert run.exit_code == 0
    assert of_time["gradient"]["k"]["lower"] <= exact <= of_time["gradient"]["k"]["upper"]


def test_an_estimate_has_status_7(ask):
    run = ask("--of", "X^2", "--parameters", "k", "--times", "1")
    assert run.exit_code == 7
    assert "≈" in run.stdout


def test_what_is_kept_is_what_was_printed(ask, tmp_path):
    words = ["--of", "X > 8", "--parameters", "k,g", "--times", "1,2", "--out", str(tmp_path / "kept.h5")]
    printed, record = ask(*words), ask(*words, "--json")
    shown = CliRunner().invoke(main, ["show", str(tmp_path / "kept.h5")])
    again = CliRunner().invoke(main, ["show", str(tmp_path / "kept.h5"), "--json"])
    assert [run.exit_code for run in (printed, record, shown, again)] == [0] * 4
    assert shown.stdout == printed.stdout
    assert again.stdout == record.stdout
    network = fsp.load(tmp_path / "model.ant")
    assert fsp.read(tmp_path / "kept.h5").by_time == tuple(
        fsp.gradient(network, "X > 8", t, ["k", "g"]) for t in (1, 2)
    )


def test_a_file_of_another_kind_is_not_replaced(ask, tmp_path):
    words = ["--of", "X", "--parameters", "k", "--times", "1", "--out", str(tmp_path / "kept.h5")]
    fsp.transient(fsp.load(tmp_path / "model.ant"), [1.0], 1e-3).save(tmp_path / "kept.h5")
    refused = ask(*words)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert ask(*words, "--overwrite").exit_code == 0
    assert str(fsp.read(tmp_path / "kept.h5")) == ask(*words[:-2]).stdout.rstrip()


def test_an_interval_that_is_wider_than_asked_for_is_not_met():
    narrow, wide = (fsp.Interval.around(1.0, w, True, "") for w in (1e-6, 2e-6))
    for intervals, is_met in (((narrow, narrow), True), ((narrow, wide), False)):
        by_time = tuple({"k": interval} for interval in intervals)
        assert Gradients("X", np.array([1.0, 2.0]), by_time, log=True, tol=1.1e-6).is_met == is_met


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--of", "Y > 1", "--parameters", "k", "--times", "1"], "must use only X"),
        (["--of", "X > 1", "--parameters", "h", "--times", "1"], "'h'"),
        (["--of", "X > 1", "--parameters", "k", "--times", "-1"], "`--times`"),
        (["--of", "X > 1", "--parameters", "k", "--times", "1", "--tol", "0"], "`--tol`"),
        (["--parameters", "k", "--times", "1"], "--of"),
    ],
)
def test_wrong_words_are_refused(ask, words, said):
    run = ask(*words)
    assert run.exit_code == 2
    assert said in run.stderr
