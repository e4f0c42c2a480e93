"""Those who watch a computation are told, may keep what was reached, and may stop it; without them nothing is made."""

from __future__ import annotations

import pytest

import fsp
from fsp.projection.watch import Watch
from fsp.space.communicator import Processes


def unwanted():
    raise AssertionError("nobody asked for it")


def test_nothing_is_made_where_nobody_watches():
    Watch(Processes(), None, None).report(unwanted, unwanted)


def test_progress_is_told_and_what_was_reached_is_not_made_for_it():
    told = []
    Watch(Processes(), told.append, None).report(lambda: "moment", unwanted)
    assert told == ["moment"]


def test_a_checkpoint_gets_what_was_reached_without_any_progress():
    kept = []
    Watch(Processes(), None, lambda reached: kept.append(reached())).report(unwanted, lambda: "solution")
    assert kept == ["solution"]


def test_a_request_to_stop_stops_before_anything_is_kept():
    def stop(_):
        raise KeyboardInterrupt("enough")

    with pytest.raises(KeyboardInterrupt, match="enough"):
        Watch(Processes(), stop, lambda reached: unwanted()).report(lambda: None, unwanted)


class Ranks(Processes):
    """The second of two ranks; the first one is told to stop, or not."""

    rank, size = 1, 2

    def __init__(self, stopped):
        self.answers = iter([True, stopped])  # is anybody watching; does anybody stop

    def any(self, flag):
        elsewhere = next(self.answers)
        return flag or elsewhere


def test_what_the_first_rank_is_told_stops_the_others():
    Watch(Ranks(False), unwanted, None).report(unwanted, unwanted)  # progress is told on the first rank
    with pytest.raises(KeyboardInterrupt):
        Watch(Ranks(True), None, None).report(unwanted, unwanted)


def test_a_stopped_transient_says_so():
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", mass_action=3.0)])

    def stop(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fsp.transient(model, [1.0], progress=stop)
