"""Conditions that are computed in worker processes: the same to the last bit, and the same errors."""

from __future__ import annotations

import json
import multiprocessing

import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death

import fsp
from fsp import crew
from fsp.command.main import main
from fsp.crew import Outcome, dealt, in_order

DOSES = {"low": 4.0, "middle": 7.0, "high": 10.0}
TABLE = {
    "time": [1.0, 2.0] * 30,
    "n": np.random.default_rng(3).poisson(np.repeat([3.0, 5.0, 7.0], 20)),
    "dose": np.repeat(list(DOSES.values()), 20),
}


def counts():
    return fsp.read_counts(TABLE, counts={"X": "n"}, conditions={"dose": "k"})


def forced():
    """Return a network whose rates depend on time: its gradient begins with what the value met."""
    rate = "k*(1 + sin(time)/2)"
    reactions = [fsp.Reaction("0 -> X", rate=rate), fsp.Reaction("X -> 0", mass_action="g")]
    return fsp.Model(species={"X": 0}, parameters={"k": 10.0, "g": 1.0}, reactions=reactions)


@pytest.mark.parametrize("model", [immigration_death(), forced()], ids=["constant", "in time"])
def test_answers_do_not_depend_on_processes_by_a_bit(model):
    alone, together = (fsp.likelihood(model, counts(), processes=n) for n in (1, 2))
    assert together.value == alone.value
    assert list(together.by_condition) == list(alone.by_condition)
    for label, part in alone.by_condition.items():
        assert together.by_condition[label].by_time == part.by_time
        assert together.by_condition[label].by_cell == part.by_cell
    slopes = alone.gradient(["g"], processes=1)
    assert slopes["g"].certified
    assert together.gradient(["g"], processes=2) == slopes
    total = part_sum(part.value for part in alone.by_condition.values())
    assert alone.value == total


def part_sum(intervals):
    """Return the sum in the order of conditions."""
    total = next(intervals)
    for interval in intervals:
        total = total + interval
    return total


def test_the_error_of_a_worker_is_the_error_without():
    said = []
    for n in (1, 2):
        with pytest.raises(fsp.StateSpaceError) as caught:
            fsp.likelihood(immigration_death(), counts(), max_states=20, processes=n)
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "20" in said[0]


def test_the_first_condition_that_fails_is_the_one_that_is_told_of():
    ended = []

    def outcomes():
        try:
            yield Outcome(1, None, fsp.StateSpaceError("the second"))
            yield Outcome(0, None, fsp.StateSpaceError("the first"))
            yield Outcome(2, "never asked for")
        finally:
            ended.append(True)

    with pytest.raises(fsp.StateSpaceError, match="the first"):
        list(in_order(outcomes()))
    assert ended == [True]


def test_answers_are_in_order_however_they_come():
    outcomes = (Outcome(i, f"answer {i}") for i in (2, 0, 3, 1))
    assert list(in_order(outcomes)) == [f"answer {i}" for i in range(4)]


def twice(item, first):
    """Work for a worker: say in which process it was done."""
    return 2 * item, multiprocessing.parent_process() is not None


def here(items):
    for index, item in items:
        yield Outcome(index, twice(item, True))


def nothing():
    pass


def places(work=twice, *, asked, n=5):
    """Return for each item whether it was worked on elsewhere, with two workers; the answers must be right."""
    found = list(in_order(dealt([(i, 10 * i) for i in range(n)], 2, here, work, nothing, asked=asked)))
    assert [value for value, _ in found] == [20 * i for i in range(n)]
    return [away for _, away in found]


def test_little_work_stays_here_and_workers_are_had_for_the_asking(monkeypatch):
    assert places(asked=False) == [False] * 5
    assert places(asked=True, n=1) == [False]
    assert places(asked=True, n=2) == [True] * 2
    monkeypatch.setattr(crew, "START_SECONDS", 0.0)
    assert places(asked=False) == [False, True, True, True, True]


def test_one_item_that_is_left_is_no_work_to_share(monkeypatch):
    monkeypatch.setattr(crew, "START_SECONDS", 1e-12)
    assert places(asked=False, n=2) == [False, False]


def test_what_cannot_be_sent_is_worked_on_here(monkeypatch):
    monkeypatch.setattr(crew, "START_SECONDS", 0.0)
    assert places(lambda item, first: None, asked=True) == [False] * 5
    monkeypatch.setattr(crew.Crew, "runs_script", True)
    assert places(asked=False) == [False] * 5


def test_a_callable_of_the_caller_is_an_instrument_in_any_number_of_processes():
    seen = {"X": lambda m, x: (m == x).astype(float)}
    found = fsp.likelihood(immigration_death(), counts(), instrument=seen, processes=2)
    assert found.value == fsp.likelihood(immigration_death(), counts(), instrument=seen, processes=1).value


def test_a_callback_that_stops_ends_the_workers():
    told = []

    def stop(moment):
        told.append(moment.status)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fsp.likelihood(immigration_death(), counts(), processes=2, progress=stop)
    assert told[0].endswith("of 3 conditions")
    assert "states" not in told[0]
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("processes", [0, -1, 1.5, True, "two"])
def test_a_number_of_processes_is_a_whole_one(processes):
    with pytest.raises(fsp.ArgumentError, match="`processes` must be a whole number"):
        fsp.likelihood(immigration_death(), counts(), processes=processes)
    found = fsp.likelihood(immigration_death(), counts())
    with pytest.raises(fsp.ArgumentError, match="`processes` must be a whole number"):
        found.gradient(["g"], processes=processes)


def test_the_command_says_the_same_with_two_processes(tmp_path):
    rows = zip(*TABLE.values(), strict=True)
    table = tmp_path / "cells.csv"
    table.write_text("time,n,dose\n" + "\n".join(",".join(map(str, row)) for row in rows))
    model = tmp_path / "model.ant"
    model.write_text("model death()\n species X\n X = 0; k = 10; g = 1\n -> X; k\n X -> ; g*X\nend\n")
    words = ["likelihood", model, "--data", table, "--observe", "X=n", "--condition", "dose=k", "--gradient", "g"]
    said = []
    for n in ("1", "2"):
        run = CliRunner().invoke(main, [*map(str, words), "--json", "--quiet", "--processes", n])
        assert run.exit_code == 0, run.output
        said.append(json.loads(run.stdout))
    assert said[0] == said[1]
    assert len(said[0]["conditions"]) == 3
