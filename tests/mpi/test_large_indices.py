"""More states than 32 bits count: spaces of a few thousand long runs, and small ones that begin at a large index."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from mpi_networks import toggle

from fsp.errors import BackendError, StateSpaceError
from fsp.petsc import Generator, StateSpace, systems
from fsp.petsc import environment as of_environment
from fsp.petsc.key_ranges import Ranges, balanced_counts

FAR = 2**33  # index of the first state
EXTENTS = 3_000, 1_000_000
N = 3_000_000_000


@pytest.fixture
def wide(monkeypatch):
    """Let PETSc count with 64 bits, and keep the matrices that it would make."""
    made = []

    class Matrix:
        def createAIJ(self, sizes, csr, comm):  # noqa: N802 - PETSc's name
            made.append((sizes, csr))
            return self

        assemble = destroy = lambda self: None

    here = of_environment.load()
    known = {name: getattr(here, name) for name in ("MPI", "SLEPc")}
    fake = SimpleNamespace(
        PETSc=SimpleNamespace(Mat=Matrix), index_type=np.int64, largest_index=np.iinfo(np.int64).max, **known
    )
    monkeypatch.setattr(of_environment, "load", lambda: fake)
    monkeypatch.setattr(systems, "load", lambda: fake)
    return made


def large_box(comm):
    return StateSpace.box(toggle(), [n - 1 for n in EXTENTS], comm=comm)


def moved(space, by):
    """Let a space begin at a large index, as if other ranks held the states before."""
    space.ranges = Ranges(space.ranges.firsts, space.ranges.starts + by)
    return space


def test_states_are_numbered_with_64_bits(comm, wide, rng):
    space = large_box(comm)
    assert len(space) == N > 2**31
    assert space.first == comm.rank * N // comm.size
    assert comm.sum(space.n_local) == N
    assert space.ranges.starts.dtype == np.int64
    states = rng.integers(0, EXTENTS, (200, 2))
    index = space.index(states)
    assert (index == states[:, 0] * EXTENTS[1] + states[:, 1]).all()
    assert index.max() > 2**31
    own = np.array([0, space.n_local // 2, space.n_local - 1])
    assert (space.index(space.states_at(own)) == own + space.first).all()


def test_shares_of_many_states_are_equal(comm):
    """All are on the last rank, which gives the others theirs."""
    starts = np.array([0] * comm.size + [10 * FAR + 7])
    counts = balanced_counts(comm, starts)
    assert counts.sum() == (10 * FAR + 7 if comm.rank == comm.size - 1 else 0)
    if comm.rank == comm.size - 1:
        assert counts.max() - counts.min() <= 1


def test_halos_and_columns_of_matrices_are_numbered_with_64_bits(comm, wide, rng):
    model, upper = toggle(), {"U": 12, "V": 15}
    near = Generator(model, StateSpace.box(model, upper, comm=comm))
    far = Generator(model, moved(StateSpace.box(model, upper, comm=comm), FAR))
    p = rng.random((comm.size, far.n_local))[comm.rank]
    assert far @ p == pytest.approx(near @ p, rel=1e-12, abs=1e-12)  # by runs in place of rows
    assert (far.halo.global_index == near.halo.global_index + FAR).all()
    for generator in (near, far):
        with generator.aij():
            pass
        with generator.closed_aij():
            pass
    small, small_closed, large, large_closed = wide
    for (_, one), (sizes, other) in ((small, large), (small_closed, large_closed)):
        assert [part.dtype for part in other] == [np.int64, np.int64, np.float64]
        assert (one[0] == other[0]).all()
        assert (one[1] + FAR == other[1]).all()
        assert (one[2] == other[2]).all()
        assert sizes[1][1] > FAR


def test_what_cannot_be_counted_is_refused_before_it_is_made(comm):
    most = of_environment.load().largest_index
    if most < N:
        with pytest.raises(StateSpaceError, match=r"2,147,483,646.*64-bit indices"):
            StateSpace.box(toggle(), [n - 1 for n in EXTENTS], comm=comm, max_states=10**12)
    model = toggle()
    space = moved(StateSpace.box(model, 9, comm=comm), most - 100)  # each state has an index, but not each sink
    generator = Generator(model, space)
    with pytest.raises(BackendError, match=r"columns.*64-bit indices"), generator.closed_aij():
        pass
