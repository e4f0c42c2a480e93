"""The page that shows an answer: what it holds are the probabilities and their bounds, and a browser draws it."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from math import exp

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

import fsp
from fsp.command.main import main
from fsp.distribution import Distribution, ErrorLedger, Solution, Sweep
from fsp.output import page as pages
from fsp.output.page import page


def isomerization(t, n=30):
    """Return A -> B after a time: B is binomial, A is the rest."""
    b = np.arange(n + 1)
    p = stats.binom.pmf(b, n, 1 - exp(-t))
    error = ErrorLedger(integration=1e-9)
    return Distribution(
        np.stack([n - b, b], axis=1), p / max(1, p.sum()), ("A", "B"), t=t, error=error, model_name="<b>"
    )


def solution(*times):
    return Solution([isomerization(t) for t in times], tol=1e-6, solver="by hand")


def held(text):
    """Return what a page holds."""
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


def unpacked(item, kind, n_times):
    axes = item["axes"] if "axes" in item else [item["axis"]]
    table = np.frombuffer(base64.b64decode(item["data"]), kind)
    return axes, table.reshape(n_times, *(axis["n"] for axis in axes))


def test_marginals_are_those_of_the_answer_within_their_bounds():
    (run,) = held(page(solution(0.5, 1.0)))["runs"]
    (axis,), table = unpacked(run["marginals"]["B"], "<f8", 2)
    counts = axis["low"] + np.arange(axis["n"])
    for k, t in enumerate((0.5, 1.0)):
        exact = stats.binom.pmf(counts, 30, 1 - exp(-t))
        assert np.all(exact >= table[k] - run["down"][k])
        assert np.all(exact <= table[k] + run["up"][k])
        assert run["up"][k] + run["down"][k] == pytest.approx(1e-9, rel=1e-3)
        assert 1 - table[k].sum() <= 2.1e-6
    assert run["mean"]["A"] == pytest.approx([30 * exp(-0.5), 30 * exp(-1)])


def test_joints_are_sums_of_cells():
    (run,) = held(page(solution(0.5, 1.0)))["runs"]
    axes, table = unpacked(run["joints"][0], "<f4", 2)
    first, second = np.nonzero(table[1])
    assert np.all(axes[0]["low"] + first + axes[1]["low"] + second == 30)
    assert table[1].sum() == pytest.approx(1, abs=1e-5)


def test_wide_ranges_are_in_cells_of_several_copies(monkeypatch):
    monkeypatch.setattr(pages, "_MOST_BARS", 7)
    (run,) = held(page(solution(1.0)))["runs"]
    (axis,), table = unpacked(run["marginals"]["B"], "<f8", 1)
    assert axis["n"] <= 7
    ends = axis["low"] + axis["width"] * np.arange(axis["n"] + 1) - 1
    exact = np.diff(stats.binom.cdf(ends, 30, 1 - exp(-1.0)))
    assert table[0] == pytest.approx(exact, abs=2e-6)


def test_sweeps_have_a_run_for_each_point_and_single_distributions_no_time():
    points = np.array([[1.0], [2.0], [3.0]])
    swept = Sweep(["k"], points, [solution(1.0), None, solution(3.0)], shape=[3], failures={1: "failed"})
    assert [run["label"] for run in held(page(swept))["runs"]] == ["k = 1", "k = 3"]
    alone = Distribution([[0], [1]], [0.5, 0.5], ["X"], t=None, error=ErrorLedger(certified=False))
    record = held(page(alone))
    assert record["runs"][0]["times"] == [None]
    assert record["runs"][0]["certified"] == [False]
    assert record["pairs"] == []


def test_no_name_is_read_as_html():
    text = page(solution(1.0))
    assert "<b>" not in text
    assert "<title>&lt;b&gt;</title>" in text
    named = isomerization(1.0)
    named = Distribution(named.states, named.probabilities, ("</script>", "B"), t=1.0, error=named.error)
    assert held(page(named))["species"] == ["</script>", "B"]


def test_pages_of_too_many_joints_are_refused(monkeypatch):
    monkeypatch.setattr(pages, "_MOST_CELLS", 100)
    with pytest.raises(fsp.ArgumentError, match="at most 1 joint distributions, but would have 2"):
        page(solution(0.5, 1.0))


def test_the_command_writes_it_beside_the_run(tmp_path):
    solution(0.5, 1.0).save(tmp_path / "run.h5")
    for words in ([], ["--out", str(tmp_path / "other.html"), "--times", "1"], []):  # its own page is replaced
        done = CliRunner().invoke(main, ["view", str(tmp_path / "run.h5"), *words])
        assert done.exit_code == 0, done.output
    assert held((tmp_path / "run.html").read_text())["runs"][0]["times"] == [0.5, 1.0]
    assert held((tmp_path / "other.html").read_text())["runs"][0]["times"] == [1.0]
    (tmp_path / "mine.html").write_text("mine")
    for words, what in ((["--out", "mine.html"], "neither"), (["--to", "run.txt"], "must end in one of .html")):
        done = CliRunner().invoke(main, ["view", str(tmp_path / "run.h5"), words[0], str(tmp_path / words[1])])
        assert done.exit_code == 2
        assert what in done.output


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="there is no browser")
def test_a_browser_draws_it(tmp_path):
    (tmp_path / "run.html").write_text(page(solution(0.5, 1.0)))
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom"]
    done = subprocess.run(
        [BROWSER, *words, f"--user-data-dir={tmp_path}/profile", (tmp_path / "run.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    (run,) = held(done.stdout)["runs"]
    assert done.stdout.count("<rect") == run["marginals"]["A"]["axis"]["n"]
    assert "t = 1: 31 states, 1-norm error ≤ 1.0e-09" in done.stdout
    assert "A and B at t = 1" in done.stdout
    assert f"{30 * exp(-1):.6g}" in done.stdout  # the table of means
