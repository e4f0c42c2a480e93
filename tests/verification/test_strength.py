"""What a pass is worth: what the tests would have found, and what a pass is refused for."""

from __future__ import annotations

import numpy as np
import pytest
from written_sbml import apply, compartment, parameter, reaction, sbml, species

import fsp
from fsp.errors import ArgumentError
from fsp.quantities import share
from fsp.verification.battery import Battery
from fsp.verification.power import knobs
from fsp.verification.strength import _repeats, held_to
from fsp.verification.verdict import Detectable

MODEL = fsp.Model(
    species={"X": 30},
    parameters={"k": 1.0},
    reactions=[fsp.Reaction("X -> 0", rate="k*X")],
)
PULSE = fsp.Model(
    species={"X": 30},
    parameters={"k": 1.0},
    reactions=[fsp.Reaction("X -> 0", rate="k*X")],
    events=[fsp.Event("time >= 0.5", {"X": "X + 3"}, name="pulse"), fsp.Event("time >= 9", {"X": 0}, name="late")],
)


def decays(rng, n, times):
    x, earlier, counts = np.full(n, 30), 0.0, []
    for t in times:
        x = rng.binomial(x, np.exp(earlier - t))
        counts.append(x[:, None])
        earlier = t
    return np.stack(counts, axis=1)


def test_a_pass_of_one_run_says_that_it_says_little(rng):
    report = fsp.verify(MODEL, decays(rng, 1, [0.5]), [0.5])
    assert report.passed
    assert "This pass says little: errors of" in str(report)
    assert "runs that repeat would not be found: there is 1 run only" in str(report)
    many = fsp.verify(MODEL, decays(rng, 3000, [0.5]), [0.5])
    assert many.passed
    assert many.notes == ()


def test_a_pass_is_held_to_the_error_that_is_required(rng):
    counts = decays(rng, 400, [0.5, 1.0])
    reached = fsp.verify(MODEL, counts, [0.5, 1.0]).reached
    assert 0.01 < reached < 0.2
    assert fsp.verify(MODEL, counts, [0.5, 1.0], require=1.5 * reached, power=None).passed
    report = fsp.verify(MODEL, counts, [0.5, 1.0], require=0.5 * reached)
    assert (report.verdict, report.exit_code) == ("undecided", 2)
    assert f"errors of {100 * reached:.2g} % of 'k' are found, not of" in report.undecided
    with pytest.raises(ArgumentError, match="`require`"):
        fsp.verify(MODEL, counts, [0.5, 1.0], require=0.0)


def judged(found):
    """Return a report that passes, in which errors of this size are found."""
    parts = {"model_name": "m", "model_hash": "", "n": 9, "times": (1.0,), "species": ("X",), "alpha": 1e-3}
    return fsp.Report(**parts, tests=(), error=0.0, detectable=(Detectable("k", 1.0, found, found, 0.9, "mean"),))


@pytest.mark.parametrize(("found", "require", "verdict"), [(0.1, 0.2, "pass"), (0.2, 0.1, "undecided")])
def test_what_is_required_decides(found, require, verdict):
    assert held_to(judged(found), require).verdict == verdict


def test_a_report_whose_pass_says_little_has_a_note():
    assert [bool(held_to(judged(found), None).notes) for found in (0.4, 0.6, np.inf)] == [False, True, True]


@pytest.mark.parametrize(("top", "found"), [(0, False), (400, True)])
def test_repeats_are_found_where_two_runs_are_seldom_alike(top, found):
    states = np.arange(top + 1)[:, None]
    one = fsp.Distribution(states, np.full(top + 1, 1 / (top + 1)), ["X"], t=1.0, error=fsp.ErrorLedger())
    runs = fsp.Runs(np.zeros((300, 1, 1), dtype=int), [1.0], ("X",))
    assert _repeats(runs, Battery((one,), 300), 1e-5).found == found


def test_shares_are_written_as_numbers_or_per_cent():
    assert share("5%", "x") == share("0.05", "x") == pytest.approx(0.05)
    for wrong in ("0", "-1%", "five"):
        with pytest.raises(ArgumentError, match="`x`"):
            share(wrong, "x")


def test_the_number_of_repeats_that_is_printed_is_found(rng):
    counts = decays(rng, 400, [0.2, 0.5, 1.0])
    report = fsp.verify(MODEL, counts, [0.2, 0.5, 1.0], diagnosis=False)
    repeats = next(one for one in report.sought if one.name == "repeats")
    assert repeats.found
    number = int(repeats.text.split()[0])
    assert 2 <= number < 100
    counts[200 : 200 + number + 10] = counts[: number + 10]
    found = fsp.verify(MODEL, counts, [0.2, 0.5, 1.0], diagnosis=False, power=None)
    assert "repeats" in {test.kind for test in found.rejected}


def test_repeats_that_coarse_output_cannot_show_are_said_not_to_be_found():
    counts = np.zeros((300, 1, 1), dtype=int)
    report = fsp.verify(MODEL, counts, [25.0], diagnosis=False)
    assert [one.found for one in report.sought] == [False]
    assert "two right runs are alike with probability up to 1" in report.sought[0].text


def test_events_that_would_be_missed_are_told_from_those_that_would_not(rng):
    counts = fsp.ssa(PULSE, [0.25, 1.0], 500, seed=3)
    report = fsp.verify(PULSE, counts, [0.25, 1.0])
    events = {one.text: one.found for one in report.sought if one.name == "event"}
    assert events == {"event 'pulse' missing would be found": True, "event 'late' missing would not be found": False}


def test_rates_that_depend_on_no_parameter_have_a_power_of_their_own():
    reactions = [fsp.Reaction("0 -> X", rate="k", name="make"), fsp.Reaction("X -> 0", rate="0.5*X", name="lose")]
    model = fsp.Model(species={"X": 4}, parameters={"k": 3.0, "spare": 1.0}, reactions=reactions)
    assert [name for name, _, _ in knobs(model)] == ["k", "rate of lose"]
    states = np.array([[6]])
    changed = {name: make(1.5).propensities(states)[:, 0].tolist() for name, _, make in knobs(model)}
    assert changed == {"k": [4.5, 3.0], "rate of lose": [3.0, 4.5]}


def test_a_size_that_changes_initial_counts_has_a_power(tmp_path):
    path = tmp_path / "size.xml"
    path.write_text(
        sbml(
            Compartments=[compartment(size="2")],
            Species=[species("A", 6, only="false", kind="initialConcentration")],
            Parameters=[parameter("k", "1")],
            Reactions=[reaction("join", ["A", "A"], [], apply("times", "k", "A", "A", "cell"))],
        )
    )
    model = fsp.load(path, mass_action=True)
    report = fsp.verify(model, fsp.ssa(model, [0.05, 0.1], 800, seed=2), [0.05, 0.1])
    power = {one.parameter: one.relative for one in report.detectable}
    assert set(power) == {"k", "cell"}
    assert max(power.values()) < 0.5
