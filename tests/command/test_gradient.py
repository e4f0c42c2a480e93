"""`fsp gradient`: closed forms in the printed intervals, both ways of asking, the status, and wrong words."""

from __future__ import annotations

import json
import math

import pytest
from click.testing import CliRunner

from fsp.command.main import main

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
