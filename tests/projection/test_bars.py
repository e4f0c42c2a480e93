"""Progress that shows itself: a bar in a notebook, a line on a terminal."""

from __future__ import annotations

import io
import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

import fsp
from fsp.projection import Progress, SweepProgress, bars

MODEL = fsp.Model(
    species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=20.0), fsp.Reaction("X -> 0", mass_action=1.0)]
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
    assert re.match(r"\[\?+\] .*states", capsys.readouterr().err)
    fsp.sweep(MODEL, {"X": [0, 1]}, [1.0], processes=1, progress=True)
    assert "2 of 2 points" in capsys.readouterr().err
    fsp.passage(MODEL, "X > 3", [1.0], progress=True)
    assert capsys.readouterr().err
    for nothing in (False, None):
        fsp.transient(MODEL, [1.0], progress=nothing)
    assert capsys.readouterr().err == ""


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
    assert 'value="0.2500"' in shown[0]
    assert "k = &lt;2&gt;" in shown[0]


def test_a_function_is_called_itself():
    with bars.shown(print) as report:
        assert report is print
