"""Files and checkpoints of distributed answers: what is written on any number of ranks reads the same on any other."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from mpi_networks import toggle

import fsp
from fsp.distribution import ErrorLedger
from fsp.distribution.continuation import Request
from fsp.petsc import Distribution, StateSpace
from fsp.petsc.checkpoint import INDEX, Checkpoint

MODEL = toggle(D=1)
ASKED = Request("x", (1.0, 2.5), 1e-6)


def law(space, t):
    """Return a distribution that depends on states and time only, whatever the number of ranks."""
    p = 1e-4 * np.exp(-0.1 * np.abs(space.states - [20.0, 7.0, 1.0]).sum(axis=1) / (1.0 + t))
    return Distribution(space, p, t=t, error=ErrorLedger(truncation=0.99), model_hash="x", observables={"S": "U + V"})


def spaces(comm):
    large = StateSpace.reachable(MODEL, ["U <= 60", "V <= 40"], comm=comm)
    return large, large.restrict("U + V < 70")


def so_far(*distributions, **counts):
    """Return what a computation has reached."""
    return fsp.Solution(distributions, tol=ASKED.tol, solver="", statistics=counts, asked=ASKED.times)


@pytest.fixture
def folder(comm, tmp_path_factory):
    """Give a new folder that all ranks see."""
    return comm.share(lambda: tmp_path_factory.mktemp("shared"))


def test_a_file_is_that_of_the_serial_package(comm, folder):
    large, small = spaces(comm)
    answer = fsp.Solution([law(large, 1.0), law(large, 2.0), law(small, 3.0)], tol=1e-2, solver="none")
    answer.save(folder / "run.h5")
    read = comm.share(lambda: fsp.read(folder / "run.h5"))
    assert isinstance(read, fsp.Solution)
    for one, serial in zip(answer, read, strict=True):
        first = one.space.first
        mine = slice(first, first + one.space.n_local)
        assert len(serial) == len(one)
        assert (serial.states[mine] == one.states).all()
        assert (serial.probabilities[mine] == one.probabilities).all()
        assert serial.error == one.error
        assert (serial.t, serial.species, serial.observables) == (one.t, one.species, one.observables)
    with pytest.raises(fsp.FSPError, match="folder"):
        answer.save(folder / "nowhere" / "run.h5")
    assert comm.share(lambda: [path.name for path in folder.iterdir()]) == ["run.h5"]


def test_a_file_that_cannot_be_written_is_an_error_of_all_ranks(comm, folder, monkeypatch):
    from fsp.output import sink

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sink, "put", full)
    with pytest.raises(OSError, match="No space left"):
        law(spaces(comm)[0], 1.0).save(folder / "run.h5")
    assert comm.share(lambda: list(folder.iterdir())) == []


def assert_same(found, expected):
    """Hold two distributions against each other, rank by rank, though their spaces differ in nothing but origin."""
    assert len(found) == len(expected)
    assert (found.states == expected.states).all()
    assert (found.probabilities == expected.probabilities).all()
    assert (found.t, found.error, found.species, found.model_hash) == (
        expected.t,
        expected.error,
        expected.species,
        expected.model_hash,
    )
    assert found.observables == expected.observables


def test_a_checkpoint_comes_back(comm, folder):
    large, small = spaces(comm)
    writer = Checkpoint(folder, comm, ASKED)
    assert writer.read() is None
    writer.write(so_far(law(large, 1.0), law(small, 1.5), n_matvec=12))
    writer.write(so_far(law(large, 1.0), law(large, 2.0), n_matvec=34))
    saved = Checkpoint(folder, comm, ASKED).read()
    assert saved.statistics == {"n_matvec": 34}
    assert_same(saved[0], law(large, 1.0))
    assert_same(saved[-1], law(large, 2.0))
    names = comm.share(lambda: sorted(path.name for path in folder.iterdir()))
    assert len(names) == 1 + 2 * comm.size  # nothing is left of what no index names
    reader = Checkpoint(folder, comm, ASKED)
    saved = reader.read()
    reader.write(so_far(saved[0], law(small, 2.25)))
    assert_same(Checkpoint(folder, comm, ASKED).read()[0], law(large, 1.0))


def test_a_checkpoint_of_another_number_of_ranks(comm, folder):
    """The parts of a group of one rank are read by all ranks, and those of all ranks by the first one alone."""
    from fsp.petsc import Communicator

    alone = Communicator(comm.mpi.Split(comm.rank, 0))
    if comm.rank == 0:
        space = spaces(alone)[0]
        Checkpoint(folder / "of one", alone, ASKED).write(so_far(law(space, 2.0)))
    comm.mpi.Barrier()
    assert_same(Checkpoint(folder / "of one", comm, ASKED).read()[-1], law(spaces(comm)[0], 2.0))
    Checkpoint(folder / "of all", comm, ASKED).write(so_far(law(spaces(comm)[0], 2.0)))
    if comm.rank == 0:
        assert_same(Checkpoint(folder / "of all", alone, ASKED).read()[-1], law(spaces(alone)[0], 2.0))
    comm.mpi.Barrier()


def test_another_computation_is_refused(comm, folder):
    Checkpoint(folder, comm, ASKED).write(so_far(law(spaces(comm)[0], 2.0)))
    with pytest.raises(fsp.ArgumentError, match=r"tol = 1e-06, not 0\.001"):
        Checkpoint(folder, comm, replace(ASKED, tol=1e-3)).read()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "removed", "index", "digit", "empty"])
def test_damage_is_seen(comm, folder, damage):
    Checkpoint(folder, comm, ASKED).write(so_far(law(spaces(comm)[0], 2.0)))

    def harm():
        index = json.loads((folder / INDEX).read_text())
        part = folder / index["last"]["parts"][-1]["file"]
        content = part.read_bytes()
        if damage == "truncated":
            part.write_bytes(content[:-8])
        elif damage == "flipped":
            part.write_bytes(content[:-8] + bytes(8))
        elif damage == "removed":
            part.unlink()
        elif damage == "digit":  # an index that reads well, of a smaller error
            index["last"]["error"]["truncation"] *= 0.5
            (folder / INDEX).write_text(json.dumps(index))
        else:
            (folder / INDEX).write_text((folder / INDEX).read_text()[:-20] if damage == "index" else "")

    comm.share(harm)
    with pytest.raises(fsp.ArgumentError, match=r"(?s)`checkpoint` must.*Begin anew"):
        Checkpoint(folder, comm, ASKED).read()


@pytest.mark.parametrize("guilty", ["first", "last"])
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(comm, folder, monkeypatch, guilty):
    """As where the disk is full, on one rank, or a rank is killed: parts without an index count for nothing."""
    from fsp.output import files

    large, small = spaces(comm)
    writer = Checkpoint(folder, comm, ASKED)
    writer.write(so_far(law(large, 1.0), n_matvec=1))
    put = files.put

    def full(file, content):
        if comm.rank == (0 if guilty == "first" else comm.size - 1):
            put(file, content[: len(content) // 2])
            raise OSError(28, "No space left on device", file.name)
        put(file, content)

    monkeypatch.setattr(files, "put", full)
    with pytest.raises(fsp.OutputError, match="No space left"):
        writer.write(so_far(law(small, 2.0), n_matvec=2))
    monkeypatch.undo()
    saved = Checkpoint(folder, comm, ASKED).read()
    assert saved.statistics == {"n_matvec": 1}
    assert_same(saved[-1], law(large, 1.0))
    writer.write(so_far(law(small, 2.0), n_matvec=3))
    assert_same(Checkpoint(folder, comm, ASKED).read()[-1], law(small, 2.0))
