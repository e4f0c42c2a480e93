"""Progress that shows itself: a bar in a notebook, a line on a terminal."""

from __future__ import annotations

import contextlib
import inspect
import io
import pickle
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

import fsp
from fsp import bars
from fsp.command.main import main
from fsp.command.progress import LineProgress
from fsp.errors import ArgumentError
from fsp.projection import Progress, SweepProgress

MODEL = fsp.Model(
    species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=20.0), fsp.Reaction("X -> 0", mass_action=1.0)]
)
MODEL_K = fsp.Model(
    species={"X": 0},
    parameters={"k": 5.0},
    reactions=[fsp.Reaction("0 -> X", mass_action="k"), fsp.Reaction("X -> 0", mass_action=1.0)],
)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def every_moment(monkeypatch):
    monkeypatch.setattr(bars, "_BETWEEN", 0.0)


def test_a_terminal_has_one_line_that_fills(monkeypatch, every_moment):
    monkeypatch.setattr(sys, "stderr", Terminal())
    with bars.shown(True) as report:
        for t in (0.0, 5.0, 10.0):
            report(Progress(t, 10.0, 77, 1e-9, "<Krylov>"))
    lines = sys.stderr.getvalue().split("\r\x1b[K")[1:]
    assert [line[1:].split("]")[0].count("#") for line in lines] == [0, 12, 24, 24]
    assert all("77 states, error 1.0e-09, <Krylov>" in line for line in lines)
    assert [line.endswith("\n") for line in lines] == [False, False, False, True]


def test_a_log_has_one_line_in_the_end(capsys):
    fsp.transient(MODEL, [1.0], progress=True)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[####")
    assert "t = 1 of 1" in line
    fsp.stationary(MODEL, progress=True)
    assert re.match(r"\[#+\] .*states", capsys.readouterr().err)
    fsp.sweep(MODEL, {"X": [0, 1]}, [1.0], processes=1, progress=True)
    assert "2 of 2 points" in capsys.readouterr().err
    fsp.passage(MODEL, "X > 3", [1.0], progress=True)
    assert capsys.readouterr().err
    for nothing in (False, None):
        fsp.transient(MODEL, [1.0], progress=nothing)
    assert capsys.readouterr().err == ""


def test_every_function_that_reports_has_a_bar(capsys):
    cells = fsp.read_counts({"time": [1.0, 1.0], "X": [5, 7]}, counts={"X": "X"})
    chain = fsp.Model(
        species={"X": 0},
        parameters={"k": 5.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(X < 9)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    calls = {
        "states": lambda: fsp.committor(chain, "X == 0", "X == 9", progress=True),
        "states, error": lambda: fsp.correlation(chain, "X", [1.0], progress=True),
        "2 of 2 starts": lambda: fsp.fit(MODEL_K, cells, {"k": (1, 100)}, starts=2, processes=1, progress=True),
        "t = 1 of 1": lambda: fsp.fokker_planck(MODEL_K, [1.0], tol=1e-6, progress=True),
        "V = 2": lambda: fsp.approximations(MODEL_K, [1.0], [1, 2], methods=["linear-noise"], progress=True),
        "100 of 100 runs": lambda: fsp.ssa(MODEL, [1.0], 100, seed=1, progress=True),
        "400 of 400 steps": lambda: fsp.langevin(MODEL, [0.5, 1.0], 10, seed=1, progress=True),
        "t = 3 of 3": lambda: fsp.sensitivity(MODEL_K, [1.0, 3.0], ["k"], tol=1e-3, progress=True),
        "t = 2 of 2": lambda: fsp.fisher(MODEL_K, [1.0, 2.0], ["k"], tol=1e-3, progress=True),
        "t = 4 of 4, ": lambda: fsp.linear_noise(MODEL_K, [1.0, 4.0], progress=True),
        "] t = 5 of 5, ": lambda: fsp.moment_closure(MODEL_K, [1.0, 5.0], progress=True),
        "] t = ": lambda: fsp.moment_closure(MODEL_K, progress=True),
        "104 of 104 points": lambda: fsp.Posterior(MODEL_K, cells, {"k": (1, 100)}).integrate(64, progress=True),
        "losses below 1e-07": lambda: fsp.likelihood(MODEL_K, cells, progress=True),
        "weak, ": lambda: fsp.design(
            MODEL_K, [1.0], ["k"], conditions={"strong": {}, "weak": {"X": 2}}, tol=1e-3, progress=True
        ),
        "modes": lambda: fsp.relaxation(chain, 1, progress=True),
        "model, ": lambda: fsp.compare(MODEL, MODEL_K, 1.0, progress=True),
        "error 0.0e+00, reward": lambda: fsp.reward(MODEL, "X > 3", [2.0], progress=True),
        "detectable errors": lambda: fsp.verify(MODEL, fsp.ssa(MODEL, [1.0], 50, seed=1), [1.0], progress=True),
        "runs": lambda: fsp.verification.plan(MODEL_K, 1.0, require=0.5, progress=True),
    }
    for words, call in calls.items():
        call()
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
    told = []
    fsp.ssa(MODEL, [1.0], 100, seed=1, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (100, 100)
    assert capsys.readouterr().err == ""
    with pytest.raises(ArgumentError, match=r"`progress` must be a function .*, True for a bar"):
        fsp.ssa(MODEL, [1.0], 100, progress=3)


def test_equations_say_the_time_and_may_be_stopped():
    def stop(moment):
        if moment.share[0] > 1.0:
            raise KeyboardInterrupt

    for solve in (fsp.linear_noise, fsp.moment_closure):
        for times in ([3.0], None):
            seen = []
            solve(MODEL_K, times, progress=seen.append)
            reached = [moment.share[0] for moment in seen]
            assert {moment.share[1] for moment in seen} == {3.0 if times else None}
            assert max(reached) >= 3.0
            with pytest.raises(KeyboardInterrupt):
                solve(MODEL_K, times, progress=stop)
        with pytest.raises(ArgumentError, match="True for a bar"):
            solve(MODEL_K, [1.0], progress=3)


def test_whatever_solves_says_how_far_it_is():
    quick = {"load", "loads", "read", "read_counts"}  # nothing is solved
    functions = {name for name in fsp.__all__ if inspect.isfunction(getattr(fsp, name))}
    for name in functions - quick:
        assert "progress" in inspect.signature(getattr(fsp, name)).parameters, name
    for name, command in main.commands.items():
        options = {option.name for option in command.params}
        assert ("progress" in options) == ("quiet" in options) or name == "batch", name


def test_a_log_has_every_stage_and_a_line_now_and_then(capsys):
    lines = LineProgress(every=3600.0)
    for moment in (Progress(1.0, 2.0, 7, 0.0, ""), bars.Stage("what may be wrong"), Progress(2.0, 2.0, 7, 0.0, "")):
        lines(moment)
    assert capsys.readouterr().err == "fsp: what may be wrong\n"


def test_progress_of_runs_that_begin_anew(capsys):
    told = []
    cells = fsp.read_counts({"time": [1.0] * 3, "X": [5, 7, 40]}, counts={"X": "X"})
    found = fsp.likelihood(MODEL_K, cells, width=1e-6, progress=lambda moment: told.append(moment))
    assert len({moment.message for moment in told}) > 1  # smaller losses
    assert all(moment.t <= moment.t_end == 1.0 for moment in told)
    n = len(told)
    pickle.loads(pickle.dumps(found)).gradient(["k"])  # which holds nobody who was told
    assert len(told) == n
    found.gradient(["k"], progress=told.append)
    assert len(told) > n
    with pytest.raises(ArgumentError, match="`progress` must be a function"):
        fsp.sensitivity(MODEL_K, [1.0], ["k"], progress="yes")


def test_a_notebook_has_a_bar(monkeypatch, every_moment):
    shown = []

    class ZMQInteractiveShell:
        pass

    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = ZMQInteractiveShell
    display.HTML = str
    display.display = lambda what, display_id: SimpleNamespace(update=shown.append)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with bars.shown(True) as report:
        report(SweepProgress(1, 4, 0, 12, 1e-7, "k = <2>"))
    assert len(shown) == 2
    assert 'value="1.0000"' in shown[1]
    with contextlib.suppress(KeyboardInterrupt), bars.shown(True) as report:
        report(Progress(None, None, 12, 1e-7, "stationary"))
        raise KeyboardInterrupt
    assert "value" not in shown[-1]  # it did not end
    assert 'value="0.2500"' in shown[0]
    assert "k = &lt;2&gt;" in shown[0]


def test_a_function_is_called_itself():
    with bars.shown(print) as report:
        assert report is print
