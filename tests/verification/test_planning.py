"""Plans keep what they promise: mistakes of the size are found as often as said, and not with many fewer runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from misread_files import FILES, TIMES
from wrong_readers import Reader

import fsp
from fsp.command.main import main
from fsp.errors import ArgumentError
from fsp.verification.battery import Battery
from fsp.verification.misreadings import MISREADINGS, OTHERS
from fsp.verification.planning import SampleSize, candidates, number_of_tests, plan, recommended, rounded
from fsp.verification.samples import Planned

DECAY = fsp.Model(species={"X": 30}, parameters={"k": 1.0}, reactions=[fsp.Reaction("X -> 0", rate="k*X")])
ROUNDED, LATE = OTHERS["integer"], OTHERS["late"]
PULSE = fsp.Model(
    species={"X": 30},
    parameters={"k": 1.0, "spare": 2.0},
    reactions=[fsp.Reaction("X -> 0", rate="k*X")],
    events=[fsp.Event("time >= 0.5", {"X": "X + 3"}, name="pulse"), fsp.Event("time >= 9", {"X": 0}, name="late")],
)


def decays(rng, n, times, k=1.0):
    x, earlier, counts = np.full(n, 30), 0.0, []
    for t in times:
        x = rng.binomial(x, np.exp(k * (earlier - t)))
        counts.append(x[:, None])
        earlier = t
    return np.stack(counts, axis=1)


def test_what_is_planned_is_enough_and_half_of_it_is_not(rng):
    found = plan(DECAY, 2.0, require=0.05)
    assert found.exit_code == 0
    for runs, verdict in ((found.runs, "pass"), (found.runs // 2, "undecided")):
        report = fsp.verify(DECAY, decays(rng, runs, found.times), found.times, require=0.05, diagnosis=False)
        assert report.verdict == verdict, str(report)


def test_the_number_of_runs_is_raised_until_it_is_enough():
    found = plan(DECAY, 2.0, require=0.05)
    study = SampleSize(DECAY, ("X",), 0.05, found.alpha, found.power, 10_000, None, lambda line: None)
    raised = study.runs(np.array(found.times), 400.0, found.needs)
    assert 0.9 * found.runs < raised["runs"] < 1.3 * found.runs
    assert max(one.relative for one in raised["detectable"]) <= 0.05


@pytest.mark.parametrize("wrong", [1.05, 0.95])
def test_mistakes_of_the_size_are_found_as_often_as_promised(rng, wrong):
    """Of 60 wrong samplers 90 % fail, less four standard deviations of their number."""
    found = plan(DECAY, 2.0, require=0.05)
    battery = Battery(tuple(fsp.transient(DECAY, found.times, tol=1e-10)), found.runs)
    failed = 0
    for _ in range(60):
        runs = fsp.Runs(decays(rng, found.runs, found.times, wrong), found.times, ("X",))
        failed += min(test.adjusted for test in battery.run(runs)) <= found.alpha
    assert failed >= 60 * 0.9 - 4 * np.sqrt(60 * 0.9 * 0.1)


@pytest.mark.parametrize(("species", "times"), [("A", 1), ("A", 4), ("A, B", 2), ("A, B, C, D", 3)])
def test_all_tests_of_a_report_are_counted(species, times):
    """Every species and every time varies, so that each test there is is made."""
    names = species.split(", ")
    reactions = [fsp.Reaction(f"{name} -> 0", mass_action=0.3 + 0.1 * k) for k, name in enumerate(names)]
    model = fsp.Model(species=dict.fromkeys(names, 3), reactions=reactions)
    at = np.arange(1.0, times + 1.0)
    report = fsp.verify(model, fsp.ssa(model, at, 40, seed=1), at, power=None, diagnosis=False)
    assert len(report.tests) == number_of_tests(Planned(40, at, model.species))


def test_times_are_added_until_one_leaves_nearly_as_many_runs():
    far = np.inf
    assert recommended(np.array([[100.0, far, 900.0, 95.0], [far, 100.0, 900.0, far]])) == [1, 3]
    assert recommended(np.array([[9.0, 2.0, 8.0, 8.0], [9.0, 8.0, 2.0, 8.0], [9.0, 8.0, 8.0, 2.0]])) == [1, 2, 3]
    assert recommended(np.array([[5.0, 4.0, 4.9]])) == [1, 2]  # two at least
    assert recommended(np.array([[5.0]])) == [0]


def test_events_are_planned_for_and_what_changes_nothing_is_said():
    found = plan(PULSE, [0.25, 1.0, 2.0], require=0.1)
    needs = {one.mistake: one for one in found.needs}
    assert set(needs) == {"k + 10 %", "k - 10 %", "event 'pulse' missing"}
    assert needs["event 'pulse' missing"].time >= 0.5
    assert "event 'late' missing: changes nothing at these times" in found.notes
    assert "event 'pulse' missing would be found" in str(found)


def test_mistakes_of_reading_the_file_are_told_and_not_planned_for(tmp_path):
    path = tmp_path / "channels.xml"
    path.write_text(FILES["channels"])
    found = plan(path, TIMES, require=0.2)
    read = {one.mistake: one.runs for one in found.needs if not one.required}
    assert read.keys() == {MISREADINGS["event"][0], MISREADINGS["reversible"][0], *OTHERS.values()}
    assert read[ROUNDED] > found.runs > read[MISREADINGS["event"][0]]
    assert f"{ROUNDED}  " in str(found)
    model = fsp.load(path)
    assert plan(model, TIMES, file=path, require=0.2) == found
    assert {one.required for one in plan(model, TIMES, require=0.2).needs} == {True}


@pytest.mark.parametrize(("share", "fails"), [(1.3, True), (0.2, False)])
def test_a_wrong_reader_is_found_with_about_as_many_runs_as_planned(tmp_path, share, fails):
    path = tmp_path / "channels.xml"
    path.write_text(FILES["channels"])
    needs = {one.mistake: one for one in plan(path, TIMES, require=0.3).needs}
    runs = int(share * needs[LATE].runs)
    report = fsp.verify(path, simulator=Reader("late"), times=TIMES, runs=runs, power=None, diagnosis=False)
    assert (report.verdict == "fail") == fails


def test_more_runs_than_may_be_made_are_not_recommended():
    found = plan(DECAY, 2.0, require=0.05, max_runs=300)
    assert (found.runs, found.exit_code) == (None, 2)
    assert "takes about" in found.undecided
    record = json.loads(found.to_json())
    assert record["runs"] is None
    assert record["needs"][0]["runs"] > 300
    unseen = fsp.Model(species={"X": 3}, parameters={"k": 1e-30}, reactions=[fsp.Reaction("X -> 0", rate="k*X")])
    assert "no rate constant is known to be seen" in plan(unseen, 1.0).undecided


def test_candidates_end_with_the_last_time_and_leave_out_the_start():
    assert candidates(32.0).tolist() == [1, 2, 4, 8, 12, 16, 24, 32]
    assert candidates([0.0, 1.0, 3.0]).tolist() == [1, 3]
    with pytest.raises(ArgumentError, match="after the start"):
        candidates([0.0])
    assert [rounded(x) for x in (100.0, 101.0, 999.0, 1234.0, 20.0)] == [100, 110, 1000, 1300, 20]


@pytest.mark.parametrize(
    ("wrong", "named"), [({"require": 1.5}, "require"), ({"power": 0.2}, "power"), ({"max_runs": 3}, "max_runs")]
)
def test_what_cannot_be_planned_is_refused(wrong, named):
    with pytest.raises(ArgumentError, match=f"`{named}` must"):
        plan(DECAY, 2.0, **wrong)


def test_the_command_prints_what_to_run_next(tmp_path):
    model = tmp_path / "decay.ant"
    model.write_text("model decay; compartment c = 1; substanceOnly species A in c; k = 1; r: A => ; k*A; A = 30; end")
    asked = ["verify", str(model), "--plan", "--times", "2", "--require", "10%", "--quiet"]
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == 0, found.output
    expected = plan(fsp.load(model), 2.0, require=0.1)
    assert f"runs: {expected.runs}\n" in found.output
    times = ",".join(map(repr, expected.times))
    assert f"--simulator NAME --times {times} --runs {expected.runs} --require 0.1" in found.output
    assert json.loads(CliRunner().invoke(main, [*asked, "--json"]).output)["runs"] == expected.runs
    read = ["--set", "k=2", "--counts", "omega=1", "--species", "A", "--alpha", "0.01"]
    then = CliRunner().invoke(main, [*asked, *read]).output.splitlines()[-1]
    assert f"{model} --simulator NAME {' '.join(read)} --times" in then
    assert CliRunner().invoke(main, [*asked, "--max-runs", "100"]).exit_code == 2
    for wrong, named in (
        (["--simulator", "copasi"], "simulator"),
        (["--runs", "9"], "runs"),
        (["--out", "a.xml"], "out"),
    ):
        refused = CliRunner().invoke(main, [*asked, *wrong])
        assert refused.exit_code == 2
        assert f"`--{named}` must be left out with --plan" in refused.output
    assert "`--times` must give" in CliRunner().invoke(main, ["verify", str(model), "--plan"]).output
