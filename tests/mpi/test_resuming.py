"""A transient on ranks that is stopped goes on from its checkpoint, on any number of ranks, to the same answer."""

from __future__ import annotations

import contextlib

import pytest
from mpi_networks import toggle

import fsp
from fsp.output.locks import locked
from fsp.petsc import Communicator

MODEL = toggle()
TIMES = [0.2, 0.5, 1.0]
TOL = 1e-4


@pytest.fixture
def folder(comm, tmp_path_factory):
    """Give a new folder that all ranks see."""
    return comm.share(lambda: tmp_path_factory.mktemp("shared"))


def solve(comm, **more):
    return fsp.transient(MODEL, TIMES, TOL, backend="petsc", comm=comm, solver="uniformization", **more)


def stop_after(t):
    def progress(now):
        if now.t is not None and now.t > t:
            raise KeyboardInterrupt

    return progress


def assert_solved(found, reference):
    """Both are within their bounds of the truth."""
    assert found.complete
    assert found.times.tolist() == TIMES
    for one, other in zip(found, reference, strict=True):
        assert one.error.total <= TOL
        assert one.distance(other) <= one.error.total + other.error.total


@pytest.mark.parametrize("stop", [0.1, 0.3, 0.7])
def test_a_stopped_run_goes_on(comm, folder, stop):
    with pytest.raises(fsp.Interrupted):
        solve(comm, checkpoint=folder, save_every=0.0, progress=stop_after(stop))
    reached = []
    found = solve(comm, checkpoint=folder, resume=True, save_every=0.0, progress=lambda now: reached.append(now.t))
    assert_solved(found, solve(comm))
    if comm.rank == 0:
        assert min(reached) > 0.5 * stop  # not from the beginning
    assert found.n_matvec > 0
    assert [one.t for one in solve(comm, checkpoint=folder, resume=True)] == TIMES


def test_it_goes_on_on_another_number_of_ranks(comm, folder):
    alone = Communicator(comm.mpi.Split(comm.rank, 0))
    if comm.rank == 0:
        with pytest.raises(fsp.Interrupted):
            solve(alone, checkpoint=folder, save_every=0.0, progress=stop_after(0.6))
    comm.mpi.Barrier()
    assert_solved(solve(comm, checkpoint=folder, resume=True), solve(comm))


def test_a_checkpoint_is_not_written_over(comm, folder):
    solve(comm, checkpoint=folder, save_every=0.0)
    with pytest.raises(fsp.ArgumentError, match="resume"):
        solve(comm, checkpoint=folder)
    with pytest.raises(fsp.ArgumentError, match="tol"):
        fsp.transient(MODEL, TIMES, 1e-3, backend="petsc", comm=comm, checkpoint=folder, resume=True)


def test_two_computations_do_not_share_a_folder(comm, folder):
    with contextlib.ExitStack() as stack:
        if comm.rank == 0:
            stack.enter_context(locked(folder))
        comm.mpi.Barrier()
        with pytest.raises(fsp.ArgumentError, match=r"no other computation is at work, but in .* is process [0-9]+ on"):
            solve(comm, checkpoint=folder)
    comm.mpi.Barrier()
    assert_solved(solve(comm, checkpoint=folder), solve(comm))
    assert comm.share(lambda: not (folder / ".lock").exists())


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        ({"resume": True}, "`resume` must come with `checkpoint`"),
        ({"save_every": 9.0}, "`save_every` must come with `checkpoint`"),
        ({"save_every": -1.0, "checkpoint": "run"}, "`save_every` must be a number of seconds"),
        ({"save_every": float("nan"), "checkpoint": "run"}, "`save_every` must be a number of seconds"),
    ],
)
def test_what_would_be_ignored_is_refused_on_all_ranks(comm, asked, match):
    with pytest.raises(fsp.ArgumentError, match=match):
        solve(comm, **(asked if comm.rank == comm.size - 1 else {}))


@pytest.mark.parametrize("asked", [{"resume": True}, {"save_every": 9.0}, {"checkpoint": "another"}])
def test_ranks_that_ask_for_different_checkpoints_are_refused(comm, folder, asked):
    if comm.size > 1:
        with pytest.raises(fsp.ArgumentError, match="same on all ranks"):
            solve(comm, **{"checkpoint": folder, **(asked if comm.rank else {})})
