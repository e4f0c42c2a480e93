"""Batches on groups of ranks: the same files as in one process, and failures that stay where they are."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.distribution import ErrorLedger
from fsp.jobs.batch import SUMMARY, solve_batch
from fsp.jobs.rank_groups import CHECKPOINTS, solve_in_groups
from fsp.petsc import Distribution, StateSpace, resuming
from fsp.petsc.checkpoint import INDEX

MODEL = """
model isomerization
  forth: A -> B; k*A
  back: B -> A; g*B
  k = 1; g = 2
  A = 6; B = 1
  substanceOnly species A, B
end
"""
JOBS = """
[[jobs]]
model = "isomerization.ant"
times = [0.5, 1]
sweep = { k = [1, 2, 3], A = [4, 20] }
"""
NAMES = [f"isomerization-k={k}-A={a}" for k in (1, 2, 3) for a in (4, 20)]


@pytest.fixture
def folder(comm, tmp_path_factory):
    """Give a new folder that all ranks see."""

    def make():
        place = tmp_path_factory.mktemp("batch")
        (place / "isomerization.ant").write_text(MODEL)
        (place / "manifest.toml").write_text(JOBS)
        return place

    return comm.share(make)


def statuses(found):
    return {row.job.name: row.status for row in found.rows}


def read_alike(comm, one, other):
    """Read two files on the first rank; return whether they hold the same, and their largest difference."""

    def read():
        differences = [
            float(np.abs(a.probabilities - b.probabilities).max())
            for a, b in zip(fsp.read(one), fsp.read(other), strict=True)
            if np.array_equal(a.states, b.states)
        ]
        return len(differences) == len(fsp.read(one)), max(differences, default=1.0)

    return comm.share(read)


def test_ranks_share_the_jobs(comm, folder):
    found = solve_in_groups(folder / "manifest.toml", folder / "out", comm=comm)
    assert statuses(found) == dict.fromkeys(NAMES, "solved")
    comm.require_same(str(found), "What became of the jobs")
    comm.share(lambda: solve_batch(folder / "manifest.toml", folder / "serial"))
    for name in NAMES:
        assert read_alike(comm, folder / "out" / f"{name}.h5", folder / "serial" / f"{name}.h5") == (True, 0.0)
    assert comm.share(lambda: sorted(path.name for path in (folder / "out").iterdir())) == sorted(
        [SUMMARY, *(f"{name}.h5" for name in NAMES)]
    )


def test_what_is_complete_is_kept(comm, folder):
    solve_in_groups(folder / "manifest.toml", folder / "out", comm=comm)
    comm.share((folder / "out" / f"{NAMES[3]}.h5").unlink)
    found = solve_in_groups(folder / "manifest.toml", folder / "out", resume=True, comm=comm)
    assert statuses(found) == {**dict.fromkeys(NAMES, "kept"), NAMES[3]: "solved"}


def law(model, times, tol, *, backend, comm, checkpoint, resume):
    """Stand in for a distributed transient: a uniform distribution over the reachable set."""
    assert backend == "petsc"
    assert checkpoint.parent.name == CHECKPOINTS
    assert not resume
    if model.parameters["k"] == 2:
        raise fsp.ConvergenceError("not with k = 2")
    space = StateSpace.reachable(model, comm=comm)
    p = np.full(space.n_local, 1.0 / len(space))
    return fsp.Solution(
        [Distribution(space, p, t=t, error=ErrorLedger(), model_hash=model.hash) for t in times], tol=tol, solver="none"
    )


def test_a_group_solves_a_job_together(comm, folder, monkeypatch):
    monkeypatch.setattr(fsp, "transient", law, raising=False)
    groups = [1, comm.size] if comm.size > 1 else [1]
    for ranks in groups:
        comm.share(lambda: (folder / "manifest.toml").write_text('backend = "petsc"\n' + JOBS))
        out = folder / f"out-{ranks}"
        found = solve_in_groups(folder / "manifest.toml", out, ranks, comm=comm)
        assert statuses(found) == {name: "failed" if "k=2" in name else "solved" for name in NAMES}
        assert all(row.reason == "not with k = 2" for row in found.failures)
        assert [row.n_states for row in found.rows if row.n_states] == [6, 22, 6, 22]
    for name in NAMES:
        if "k=2" not in name:
            files = [folder / f"out-{ranks}" / f"{name}.h5" for ranks in (groups[0], groups[-1])]
            assert read_alike(comm, *files) == (True, 0.0)


def test_distributed_answers_are_the_serial_ones(comm, folder):
    comm.share(lambda: (folder / "manifest.toml").write_text('backend = "petsc"\n' + JOBS))
    found = solve_in_groups(folder / "manifest.toml", folder / "out", comm.size, comm=comm)
    assert statuses(found) == dict.fromkeys(NAMES, "solved")
    comm.share(lambda: (folder / "manifest.toml").write_text(JOBS))
    comm.share(lambda: solve_batch(folder / "manifest.toml", folder / "serial"))
    for name in NAMES:
        same, difference = read_alike(comm, folder / "out" / f"{name}.h5", folder / "serial" / f"{name}.h5")
        assert same
        assert difference <= 1e-12


def test_a_job_that_was_broken_off_goes_on_inside(comm, folder, monkeypatch):
    comm.share(lambda: (folder / "manifest.toml").write_text('backend = "petsc"\n' + JOBS))
    monkeypatch.setattr(resuming, "SECONDS_BETWEEN", 0.0)
    solve, first, ends = fsp.transient, {}, [0.6]

    def watched(*given, checkpoint, **options):
        def progress(now):
            if now.t > ends[-1]:
                raise RuntimeError("broken off")
            first.setdefault(checkpoint.name, now.t)

        return solve(*given, checkpoint=checkpoint, progress=progress, **options)

    monkeypatch.setattr(fsp, "transient", watched)
    found = solve_in_groups(folder / "manifest.toml", folder / "out", comm.size, comm=comm)
    assert statuses(found) == dict.fromkeys(NAMES, "failed")
    damaged, of_another, *whole = NAMES
    checkpoints = folder / "out" / CHECKPOINTS

    def harm():
        (checkpoints / damaged / INDEX).write_text("{}")
        (checkpoints / of_another / INDEX).write_bytes((checkpoints / whole[0] / INDEX).read_bytes())
        return sorted(path.name for path in checkpoints.iterdir())

    assert comm.share(harm) == sorted(NAMES)
    begun = dict(first)
    first.clear()
    ends.append(2.0)
    found = solve_in_groups(folder / "manifest.toml", folder / "out", comm.size, resume=True, comm=comm)
    assert statuses(found) == dict.fromkeys(NAMES, "solved")
    if comm.rank == 0:
        assert min(first[name] for name in whole) > 0.5 >= begun[damaged] == first[damaged]
        assert first[of_another] == begun[of_another]
        assert not checkpoints.exists()
    comm.share(lambda: (folder / "manifest.toml").write_text(JOBS))
    monkeypatch.undo()
    comm.share(lambda: solve_batch(folder / "manifest.toml", folder / "serial"))
    for name in NAMES:
        same, difference = read_alike(comm, folder / "out" / f"{name}.h5", folder / "serial" / f"{name}.h5")
        assert same
        assert difference <= 1e-6


def test_what_does_not_fit_is_refused_by_all(comm, folder):
    with pytest.raises(fsp.ArgumentError, match="must divide the number of ranks"):
        solve_in_groups(folder / "manifest.toml", folder / "out", comm.size + 1, comm=comm)
    comm.share(lambda: (folder / "manifest.toml").write_text(JOBS + "tolerance = 1\n"))
    with pytest.raises(fsp.ArgumentError, match="job 1: tolerance"):
        solve_in_groups(folder / "manifest.toml", folder / "out", comm=comm)
    if comm.size > 1:
        comm.share(lambda: (folder / "manifest.toml").write_text('backend = "serial"\n' + JOBS))
        with pytest.raises(fsp.ArgumentError, match="`backend` must be 'petsc' for a job on"):
            solve_in_groups(folder / "manifest.toml", folder / "out", comm.size, comm=comm)
