"""Fits on ranks: the same answer on each, and as in one process; errors that all raise."""

from __future__ import annotations

import time

import numpy as np
import pytest

import fsp
from fsp.jobs import fit_on_ranks


def model():
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 5.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def cells():
    at = np.repeat([0.5, 2.0], 30)
    seen = np.random.default_rng(1).poisson(-10.0 * np.expm1(-at))
    return fsp.read_counts({"time": at, "n": seen}, counts={"X": "n"})


FREE = {"k": (1.0, 100.0), "g": (0.1, 10.0)}


def test_fits_on_ranks_are_those_of_one_process(comm, monkeypatch):
    made, ascents = [], fit_on_ranks.ascents
    monkeypatch.setattr(fit_on_ranks, "ascents", lambda search, todo: (made.extend(todo), ascents(search, todo))[1])
    found = fsp.fit(model(), cells(), FREE, starts=4, backend="petsc", comm=comm)
    assert made == list(range(4))[comm.rank :: comm.size]
    comm.require_same(str(found), "The fit")
    monkeypatch.undo()
    alone = fsp.fit(model(), cells(), FREE, starts=4, processes=1)
    assert list(found.parameters.values()) == pytest.approx(list(alone.parameters.values()), rel=1e-4)
    for name, interval in found.intervals().items():
        assert [interval.lower, interval.upper] == pytest.approx([*alone.intervals()[name]], rel=1e-3)
    assert found.agreeing == alone.agreeing == 4
    assert len(found.starts) == 4


def test_what_is_wrong_is_raised_on_all_ranks(comm):
    far = fsp.read_counts({"time": [0.0, 1.0], "n": [3, 5]}, counts={"X": "n"})
    with pytest.raises(fsp.ArgumentError, match="possible under the model"):
        fsp.fit(model(), far, FREE, starts=2, backend="petsc", comm=comm)
    with pytest.raises(fsp.ArgumentError, match="`processes` must be left out"):
        fsp.fit(model(), cells(), FREE, backend="petsc", comm=comm, processes=2)


def test_a_stop_of_one_rank_stops_all_and_not_the_next_fit(comm):
    """The others are at their third evaluation when the last rank is stopped, and then work slowly."""
    seen, guilty = [], comm.size - 1

    def stop_here(moment):
        seen.append(moment)
        if len(seen) == 3 and comm.rank == guilty:
            for other in range(guilty):
                comm.mpi.send(None, other, tag=9)
            raise KeyboardInterrupt
        if len(seen) == 3:
            comm.mpi.recv(source=guilty, tag=9)
        if len(seen) > 3:
            time.sleep(0.05)

    with pytest.raises(fsp.Interrupted, match=r"stopped after 0 of 4 starts"):
        fsp.fit(model(), cells(), FREE, starts=4, backend="petsc", comm=comm, progress=stop_here)
    assert len(seen) < 3 + 20  # a start alone takes more evaluations
    assert fsp.fit(model(), cells(), FREE, starts=2, backend="petsc", comm=comm, intervals="observed").complete
