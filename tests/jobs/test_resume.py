"""Going on from an answer: laws of continuations, files of runs that were stopped, signals to the command."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats
from written_networks import network

import fsp
from fsp.command.main import main
from fsp.jobs.stopping import Stop

BIRTH_DEATH = network({"X": 0}, ("0 -> X", "rate", "k"), ("X -> 0", "rate", "g*X"), parameters={"k": 30.0, "g": 1.0})
ISOMERS = network({"A": 20, "B": 5}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
TOGGLE = network(
    {"U": 10, "V": 2},
    ("0 -> U", "rate", "20/(1 + (V/6)^2)"),
    ("U -> 0", "rate", "U"),
    ("0 -> V", "rate", "18/(1 + (U/6)^2)"),
    ("V -> 0", "rate", "V"),
)
PULSED = network({"X": 3}, ("0 -> X", "rate", "piecewise(9, time > 0.7, 2)"), ("X -> 0", "rate", "X"))
MODELS = {"birth and death": BIRTH_DEATH, "isomers": ISOMERS, "toggle": TOGGLE, "pulsed": PULSED}


def stopping_after(calls):
    """Return a callback that stops the computation when it is called for the `calls`-th time."""
    left = [calls]

    def progress(_):
        left[0] -= 1
        if left[0] <= 0:
            raise KeyboardInterrupt

    return progress


# ---- start


@pytest.mark.parametrize("name", MODELS)
def test_a_continuation_agrees_with_one_run(name):
    model = MODELS[name]
    whole = fsp.transient(model, [0.5, 1.5], 1e-7)
    first = fsp.transient(model, [0.5], 5e-8)
    second = fsp.transient(model, [0.5, 1.5], 1e-7, start=first)
    assert second[0].distance(first[-1]) == 0.0
    assert second[0].error == first[-1].error
    assert first[-1].error.total <= second[-1].error.total <= 1e-7
    assert second[-1].distance(whole[-1]) <= second[-1].error.total + whole[-1].error.total
    assert second.error.certified == whole.error.certified


def test_a_change_of_parameters_agrees_with_the_closed_form():
    first = fsp.transient(BIRTH_DEATH, [1.0], 1e-8)
    second = fsp.transient(BIRTH_DEATH.with_parameters(k=6.0), [1.7, 3.0], 1e-7, start=first)
    for one in second:
        faded = np.exp(-(one.t - 1.0))
        law = stats.poisson(30 * (1 - np.exp(-1.0)) * faded + 6 * (1 - faded))
        x = one.states[:, 0]
        gap = abs(law.pmf(x) - one.probabilities).sum() + 1 - law.pmf(x).sum()
        assert gap <= one.error.total + 1e-13
        assert one.error.total <= 1e-7
    with pytest.raises(fsp.ArgumentError, match="must be of the same model"):
        first.joined(second)


def test_a_stationary_distribution_starts_at_zero_and_is_certified_where_it_was():
    unproved = fsp.Model(  # rates that are functions: nothing is known of them outside the space
        name="birth_death",
        species={"X": 0},
        reactions=[
            fsp.Reaction({"X": 1}, rate=lambda x: 30.0 + 0 * x["X"]),
            fsp.Reaction({"X": -1}, rate=lambda x: 1.0 * x["X"]),
        ],
    )
    on_space = fsp.stationary(unproved, 1e-9, space=fsp.StateSpace.box(unproved, 400))
    for model, forever in ((BIRTH_DEATH, fsp.stationary(BIRTH_DEATH, 1e-9)), (unproved, on_space)):
        later = fsp.transient(model, [2.0], 1e-6, start=forever)
        assert later.times.tolist() == [2.0]
        assert later[0].distance(forever) <= 2e-6
        assert later.error.certified == forever.error.certified == (model is BIRTH_DEATH)


def test_species_may_come_in_another_order():
    first = fsp.transient(ISOMERS, [0.3], 1e-8)[-1]
    swapped = network({"B": 0, "A": 0}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
    later = fsp.transient(swapped, [1.0], 1e-7, start=first)[-1]
    assert later.distance(fsp.transient(ISOMERS, [1.0], 1e-7)[-1]) <= 2e-7
    assert later.closed


def test_many_starting_states_keep_the_bounds_of_a_conservation_law():
    a = np.arange(400)
    spread = fsp.Distribution(np.stack([a, 399 - a], axis=1), np.full(400, 1 / 400), ("A", "B"), t=0.0, error=ledger())
    begun = ISOMERS.starting_in(spread.states, spread.probabilities)
    assert begun.species_bounds.tolist() == [399, 399]
    assert begun.hash == ISOMERS.hash
    later = fsp.transient(ISOMERS, [0.1], 1e-6, start=spread)[-1]
    assert len(later) == 400
    assert later.mass == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("asked", [{"resume": True}, {"save_every": 60.0}, {"save_every": 0.0}])
def test_checkpoints_that_nobody_would_write_are_refused(asked):
    with pytest.raises(fsp.ArgumentError, match=f"`{next(iter(asked))}` must come with `checkpoint`"):
        fsp.transient(ISOMERS, 1.0, **asked)
    with pytest.raises(fsp.ArgumentError, match="`checkpoint` must come with backend='petsc'"):
        fsp.transient(ISOMERS, 1.0, checkpoint="run", **asked)


def ledger(**parts):
    return fsp.ErrorLedger(**parts)


@pytest.mark.parametrize(
    ("start", "times", "tol", "reason"),
    [
        ("earlier", [0.9], 1e-6, "not be earlier than the start, t = 1"),
        ("earlier", [2.0], 1e-10, "`tol` must be larger than the error of `start`"),
        ("other", [2.0], 1e-6, "must be of the species X, but is of A, B"),
        (3.0, [2.0], 1e-6, "must be a Solution or a Distribution"),
    ],
)
def test_what_cannot_be_a_start_is_refused(start, times, tol, reason):
    made = {"earlier": BIRTH_DEATH, "other": ISOMERS}
    begin = fsp.transient(made[start], [1.0], 1e-7) if start in made else start
    if start == "earlier":
        assert begin.error.total > 1e-10
    with pytest.raises(fsp.ArgumentError, match=reason):
        fsp.transient(BIRTH_DEATH, times, tol, start=begin)


def test_joined_solutions_are_one():
    first = fsp.transient(TOGGLE, [0.2, 0.5], 1e-7)
    second = fsp.transient(TOGGLE, [0.5, 1.0], 1e-6, start=first)
    both = first.joined(second)
    assert both.times.tolist() == [0.2, 0.5, 1.0]
    assert both.complete
    assert both.n_matvec == first.n_matvec + second.n_matvec
    with pytest.raises(fsp.ArgumentError, match="must begin where the other ends"):
        second.joined(first)


# ---- interrupts


@pytest.mark.parametrize("calls", [1, 4, 9])
def test_a_stopped_run_goes_on_to_the_same_answer(calls, tmp_path):
    times = [0.0, 0.4, 1.0, 2.0]
    whole = fsp.transient(TOGGLE, times, 1e-6)
    with pytest.raises(fsp.Interrupted) as stop:
        fsp.transient(TOGGLE, times, 1e-6, progress=stopping_after(calls))
    assert isinstance(stop.value, KeyboardInterrupt)
    partial = stop.value.solution
    assert not partial.complete
    assert partial.asked == tuple(times)
    partial.save(tmp_path / "run.h5")
    back = fsp.read(tmp_path / "run.h5")
    assert back.pending == partial.pending
    rest = fsp.transient(TOGGLE, back.pending, 1e-6, start=back)
    both = back.joined(rest)
    assert both.complete
    assert both.times.tolist() == times
    for one, other in zip(both, whole, strict=True):
        assert one.distance(other) <= one.error.total + other.error.total + 1e-14
    assert both.error.total <= 1e-6


def test_a_run_that_is_stopped_again_before_it_moves_loses_nothing():
    times = [0.0, 1.0]
    with pytest.raises(fsp.Interrupted) as stop:
        fsp.transient(BIRTH_DEATH, times, 1e-6, progress=stopping_after(1))
    partial = stop.value.solution
    first, *_ = partial
    at_start = fsp.Solution([first], tol=1e-6, solver="", asked=times)
    assert at_start.pending == (1.0,)
    again = fsp.Solution([first], tol=1e-6, solver="", asked=[1.0])
    assert at_start.joined(again).asked == (0.0, 1.0)


def test_a_ctrl_c_between_steps_leaves_a_consistent_answer(monkeypatch):
    from fsp.projection.transient import Loop

    def move_to(self, space):
        self.budget.drop(0.5)  # half way through
        self.now = replace(self.now, space=None, ledger=self.budget.ledger)
        raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "_move_to", move_to)
    with pytest.raises(fsp.Interrupted, match="stopped at t = ") as stop:
        fsp.transient(BIRTH_DEATH, [2.0], 1e-6)
    reached = stop.value.solution[-1]
    law = stats.poisson(30 * (1 - np.exp(-reached.t)))
    x = reached.states[:, 0]
    assert abs(law.pmf(x) - reached.probabilities).sum() + 1 - law.pmf(x).sum() <= reached.error.total + 1e-13
    assert str(stop.value.solution).endswith("1 times to come")


# ---- the command

SLOW = """
model slow
  make_A: -> A; 30;  lose_A: A -> ; A
  make_B: -> B; 20 + 0.2*A;  lose_B: B -> ; B
  A = 0; B = 0
  substanceOnly species A, B
end
"""
LINE = "fsp: t = "


@pytest.fixture
def slow(tmp_path):
    path = tmp_path / "slow.ant"
    path.write_text(SLOW)
    return path


def begin(*words):
    """Start the command in a process whose progress lines come at once, and which waits a little at each."""
    code = (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background\n"
        "from fsp.command import main, progress\nprogress.SECONDS_BETWEEN_LINES = 0.0\n"
        "call = progress.LineProgress.__call__\n"
        "progress.LineProgress.__call__ = lambda lines, moment: (time.sleep(0.1), call(lines, moment))[1]\nmain.main()"
    )
    command = [sys.executable, "-u", "-c", code, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_at(process, mark, number):
    """Send a signal once a line of progress has come that holds `mark`; return what the process said and its status."""
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("fsp: ") and mark in line:
            process.send_signal(number)
            break
    output, errors = process.communicate(timeout=60)
    return output, "".join(said) + errors, process.returncode


def fsp_command(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_with_what_was_reached(number, status, slow, tmp_path):
    out = tmp_path / "run.h5"
    words = ["transient", slow, "--times", "0,0.1,2,8", "--tol", "1e-7", "--out", out]
    output, errors, code = stop_at(begin(*words), "t = 0.", number)
    assert code == status, errors
    assert not output
    assert f"what was reached is in {out}, and the same command with --resume goes on from there" in errors
    partial = fsp.read(out)
    assert not partial.complete
    assert partial.pending
    assert partial.error.total < 1e-7

    refused = fsp_command(*words[:4], "--tol", "1e-6", "--set", "A=1", "--out", out, "--resume")
    assert refused.exit_code == 2
    assert "but the model and `--tol` differ" in refused.output
    done = fsp_command(*words, "--resume")
    assert done.exit_code == 0, done.output
    whole = fsp.transient(fsp.load(slow), [0, 0.1, 2, 8], 1e-7)
    resumed = fsp.read(out)
    assert resumed.complete
    assert resumed.times.tolist() == whole.times.tolist()
    for one, other in zip(resumed, whole, strict=True):
        assert one.distance(other) <= one.error.total + other.error.total + 1e-14
    assert resumed.error.total <= 1e-7
    again = fsp_command(*words, "--resume")
    assert again.exit_code == 0
    assert again.output.splitlines()[0] == done.output.splitlines()[0]


def test_resume_without_a_file_starts_and_with_another_kind_is_refused(slow, tmp_path):
    out = tmp_path / "run.h5"
    words = ["transient", slow, "--times", "0.1", "--out", out, "--resume"]
    assert fsp_command(*words).exit_code == 0
    refused = fsp_command(*words, "--sweep", "A=0,1")
    assert refused.exit_code == 2
    assert "must find a sweep in --out" in refused.output
    assert fsp_command("transient", slow, "--times", 1, "--resume").exit_code == 2


def test_a_run_from_another_start_is_refused(tmp_path):
    """As it was begun with that of the model, with rest, or with what other counts had come to."""
    model = tmp_path / "model.ant"
    model.write_text("birth: -> X; k\nX -> ; X\nk = 4; X = 0\nsubstanceOnly species X\n")
    for x in (0, 9):
        assert (
            fsp_command("transient", model, "--times", 1, "--set", f"X={x}", "--out", tmp_path / f"{x}.h5").exit_code
            == 0
        )
    starts = ([], ["--start", tmp_path / "0.h5"], ["--start", tmp_path / "9.h5"], ["--start", "stationary"])
    for k, start in enumerate(starts):
        out = tmp_path / f"run-{k}.h5"
        words = ["transient", model, "--resume", "--out", out, "--times"]
        assert fsp_command(*words, "1.5", *start).exit_code == 0
        for other in starts[:k] + starts[k + 1 :]:
            for times in ("1.5", "1.5,2"):
                refused = fsp_command(*words, times, *other)
                assert refused.exit_code == 2
                assert "but `--start` differ" in refused.output
        for times in ("1.5,2", "1.5,2,3"):
            assert fsp_command(*words, times, *start).exit_code == 0
        begin_at = None if k == 0 else "stationary" if k == 3 else fsp.read(start[1])
        for one, other in zip(fsp.read(out), fsp.transient(fsp.load(model), [1.5, 2, 3], start=begin_at), strict=True):
            assert one.distance(other) <= one.error.total + other.error.total


def test_a_kill_loses_at_most_the_time_since_the_last_saving(slow, tmp_path):
    out = tmp_path / "run.h5"
    process = begin("transient", slow, "--times", "0.1,8", "--out", out, "--save-every", "0")
    _, _, code = stop_at(process, "t = 0.", signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert not fsp.read(out).complete
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.endswith(".h5")] == ["run.h5"]


def test_a_stopped_sweep_is_resumed(slow, tmp_path):
    out = tmp_path / "sweep.h5"
    words = ["transient", slow, "--times", "0.3", "--tol", "1e-5", "--sweep", "A=0:3:4", "--processes", 1, "--out", out]
    _, errors, code = stop_at(begin(*words), "1 of 4 points", signal.SIGINT)
    assert code == 130, errors
    assert len(fsp.read(out).solved) < 4
    done = fsp_command(*words, "--resume")
    assert done.exit_code == 0, done.output
    assert fsp.read(out).complete
    assert "t = 0.3, 4 points, error ≤" in done.output


def test_the_command_sweeps(slow, tmp_path):
    words = ["transient", slow, "--times", "0.1,0.2", "--sweep", "A=0,2", "--sweep", "B=1:3:2", "--processes", 1]
    record = json.loads(CliRunner().invoke(main, [*map(str, words), "--json", "--quiet"]).output)
    assert [point["parameters"] for point in record["points"]] == [
        {"A": 0, "B": 1},
        {"A": 0, "B": 3},
        {"A": 2, "B": 1},
        {"A": 2, "B": 3},
    ]
    assert [len(point["times"]) for point in record["points"]] == [2] * 4
    text = fsp_command(*words, "--pairs", "--marginal", "A").output
    assert "t = 0.2, 2 points" in text
    assert "A = 2, B = 3\n" in text
    failed = fsp_command(*words[:4], "--sweep", "A=0,90000", "--max-states", 20000, "--processes", 1)
    assert failed.exit_code == 1
    assert "1 of 2 points failed" in failed.output
    assert fsp_command(*words, "--pairs", "--plot", tmp_path / "a.png").exit_code == 2
    assert "must be NAME=VALUES" in fsp_command(*words[:4], "--sweep", "A").output
    assert "but are of 'q'" in fsp_command(*words[:4], "--sweep", "q=1").output


def test_a_second_signal_ends_at_once():
    code = (
        "import os, signal, time\nfrom fsp.jobs.stopping import Stop\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with Stop() as stop:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    print(stop.signal.name, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(20)\n    print('late')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "SIGINT\n"


def test_a_signal_that_was_ignored_before_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    own = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Stop():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) != signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGINT, own)


def test_a_start_that_has_lost_probability_is_not_closed():
    """What was lost may be anywhere, also where no jump leads from the states that are stored."""
    before = fsp.transient(BIRTH_DEATH, [1.0], 1e-4)
    names = [name for name, value in BIRTH_DEATH.parameters.items() if value]
    assert before.error.truncation > 0.0
    stopped = BIRTH_DEATH.with_parameters({name: 0.0 for name in names})
    (after,) = fsp.transient(stopped, [1.5], 1e-3, start=before)
    assert not after.closed
    assert 30.0 * (1.0 - math.exp(-1.0)) in after.mean_interval()["X"]
