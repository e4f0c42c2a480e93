"""Answers show themselves in a notebook: every class has HTML, which is well formed, escaped, and says the numbers."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import fsp
from fsp.distribution import Distribution, ErrorLedger, Solution, Sweep
from fsp.distribution.display import Displayed

MODEL = fsp.Model(
    name="birth & death",
    species={"X": 2, "Y": 0},
    parameters={"k": 3.0},
    reactions=[
        fsp.Reaction("0 -> X", rate="k"),
        fsp.Reaction("X -> Y", mass_action=1.0),
        fsp.Reaction("2 Y -> 0", mass_action=0.5),
    ],
    time_unit="s",
)
VOID = {"br", "meta", "hr", "img"}


class Balance(HTMLParser):
    """Collects the text; refuses elements that are not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.text = [], []

    def handle_starttag(self, tag, attributes):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def shown(value):
    """Return the text that a notebook shows."""
    reader = Balance()
    reader.feed(value._repr_html_())
    reader.close()
    assert not reader.open
    return "|".join(reader.text)


@pytest.fixture(scope="module")
def solution():
    return fsp.transient(MODEL, [0.5, 1.0])


def test_models_show_reactions_as_equations():
    text = shown(MODEL)
    assert "birth & death: 2 species, 3 reactions, time in s" in text
    assert "∅ → X|k|" in text
    assert "X → Y" in text
    assert "2 Y → ∅" in text
    assert "k|3" in text
    event = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=1)], events=[fsp.Event("time >= 2", {"X": "5"})]
    )
    assert "at time >= 2: X = 5" in shown(event)


def test_answers_say_their_numbers_and_errors(solution):
    one = solution[-1]
    assert one.error.summary in shown(one)
    assert f"{one.mean()['X']:.6g} ± " in shown(one)
    assert f"|{one.quantile('X', 0.95)}|" in shown(one)
    assert all(f"|{one.t:.8g}|" in shown(solution) for one in solution)
    assert solution.error.summary in shown(solution)


def test_long_tables_are_cut_in_the_middle():
    ones = [Distribution([[0], [1]], [0.5, 0.5], ["X"], t=t, error=ErrorLedger()) for t in np.arange(1.0, 101.0)]
    text = shown(Solution(ones, tol=1e-6, solver="by hand"))
    assert "|… 60 more|" in text
    assert "|20|2|" in text
    assert "|21|2|" not in text
    assert "|100|2|" in text


def test_sweeps_relaxation_and_questions(solution):
    swept = fsp.sweep(MODEL, {"k": [1.0, 2.0]}, [1.0], processes=1)
    assert "k|states|X|Y|error" in shown(swept)
    some = Sweep(["k"], np.array([[1.0], [2.0]]), [solution, None], shape=[2], failures={1: "no <way>"})
    assert "failed: k = 2: no <way>" in shown(some)
    named = Distribution([[0], [1]], [0.5, 0.5], ["<X>"], t=1.0, error=ErrorLedger())
    assert "|<X>|" in shown(named)
    closed = fsp.Model(
        species={"A": 3, "B": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> A", mass_action=1.0)],
    )
    modes = fsp.relaxation(closed, 1)
    assert "|eigenvalue|" in shown(modes)
    assert f"|{modes.shown(0)}|" in shown(modes)
    law = fsp.passage(closed, "B > 0", times=[1.0])
    assert f"|1|{next(iter(law.cdf))}" in shown(law)
    one = solution[-1].probability("X > 1")
    assert str(one) in shown(one)


def test_derivatives_and_information():
    derived = fsp.sensitivity(MODEL, [1.0], ["k"], tol=1e-4)
    assert "∂⟨X⟩" in shown(derived)
    assert str(derived[-1].mean("X")["k"]) in shown(derived[-1])
    fim = fsp.fisher(MODEL, [1.0], ["k"], cells=10, tol=1e-4)
    assert f"{fim.matrix[0, 0]:.6g}, in {fim._cells(0, fim.lower[0], fim.upper[0])[0]}" in shown(fim)
    hidden = replace(fim, above=np.full(1, np.inf))
    assert f"|≈ {fim.matrix[0, 0]:.6g} (uncertified)" in shown(hidden)
    assert "eigenvalues" in shown(fim)


def test_reports_are_pages_in_a_frame():
    report = fsp.verify(MODEL, fsp.ssa(MODEL, [1.0], 50, seed=1), [1.0])
    text = report._repr_html_()
    assert text.startswith("<iframe srcdoc=")
    assert text.count('"') == 4  # all of the page is inside


def test_every_public_answer_shows_itself():
    names = [
        *(
            "Model",
            "Distribution",
            "Solution",
            "Sweep",
            "Report",
            "Relaxation",
            "Sensitivity",
            "Sensitivities",
            "Passage",
        ),
        *("FisherInformation", "Likelihood", "Counts", "Interval", "ErrorLedger", "Approximations", "Comparison"),
        *("FokkerPlanck", "Langevin", "LinearNoise", "MomentClosure"),
        *("Committor", "Correlation", "Fit", "FitComparison", "Draws"),
    ]
    assert [name for name in names if not hasattr(getattr(fsp, name), "_repr_html_")] == []


def test_what_prints_itself_shows_so_at_a_prompt():
    """A class of values says what it prints, and not the numbers that it is made of; short ones are their fields."""
    for name in fsp.__all__:
        getattr(fsp, name)  # public names are imported where they are used
    shown, open_ = set(), [Displayed]
    while open_:
        cls = open_.pop()
        open_ += cls.__subclasses__()
        shown.add(cls)
    fields = {
        cls.__name__ for cls in shown if getattr(cls, "__dataclass_params__", None) and cls.__dataclass_params__.repr
    }
    assert len(shown) > 20
    assert fields == {"ErrorLedger", "Interval"}
