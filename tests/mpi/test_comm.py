"""Agreement, sums and exchanges."""

from __future__ import annotations

import numpy as np
import pytest

from fsp.errors import ArgumentError, FSPError, ModelError
from fsp.petsc import comm as of_comm


def raise_where(comm, here, error):
    with comm.agree():
        if here:
            raise error


def test_what_one_rank_raises_all_raise(comm):
    guilty = comm.size - 1
    with pytest.raises(ModelError, match="bad rate") as caught:
        raise_where(comm, comm.rank == guilty, ModelError("bad rate"))
    assert (f"on rank {guilty} of {comm.size}" in str(caught.value)) == (comm.size > 1)
    with comm.agree():
        pass


def test_an_interrupt_of_one_rank_comes_to_all(comm):
    with pytest.raises(KeyboardInterrupt):
        raise_where(comm, comm.rank == comm.size - 1, KeyboardInterrupt())
    with comm.agree():
        pass


def test_what_all_ranks_raise_names_none(comm):
    with pytest.raises(ModelError) as caught:
        raise_where(comm, True, ModelError("bad rate"))
    assert str(caught.value) == "bad rate"


def test_errors_of_foreign_classes_reach_all_ranks(comm):
    class OwnError(Exception):  # cannot be pickled
        pass

    with pytest.raises(FSPError, match="strange"):
        raise_where(comm, comm.rank == 0, OwnError("strange"))


def test_numbers_are_reduced(comm):
    assert comm.sum(comm.rank + 1) == comm.size * (comm.size + 1) // 2
    assert comm.max(float(comm.rank)) == comm.size - 1.0
    assert comm.min(np.array([comm.rank, 5])).tolist() == [0, 5]
    assert comm.any(comm.rank == 0)
    assert comm.all(comm.rank == 0) == (comm.size == 1)
    assert comm.starts(comm.rank).tolist() == [0, *np.cumsum(np.arange(comm.size)).tolist()]


@pytest.mark.parametrize("operation", ["sum", "max", "min"])
@pytest.mark.parametrize("guilty", [0, -1])
@pytest.mark.parametrize(("own", "other"), [(1, 1.0), (np.zeros(3, int), np.full(3, -2.5)), (0.0, True)])
def test_numbers_of_different_types_are_refused_on_all_ranks(comm, operation, guilty, own, other):
    """Of nothing numpy counts in integers: MPI would take the bits of one for the other."""
    if comm.size > 1:
        with pytest.raises(TypeError, match="numbers of one type"):
            getattr(comm, operation)(own if comm.rank == guilty % comm.size else other)
    with pytest.raises(TypeError, match="integers or floats"):
        getattr(comm, operation)(1j)


def test_reduced_numbers_keep_type_and_shape(comm):
    for value in (3, 2.5, np.arange(6).reshape(2, 3), np.zeros((0, 2)), np.float32(0.5), np.arange(4.0)[::2], 2**62):
        found = comm.max(value)
        assert np.shape(found) == np.shape(value)
        assert np.asarray(found).dtype.kind == np.asarray(value).dtype.kind
        assert (np.asarray(found) == value).all()


def test_what_the_first_rank_makes_is_shared(comm):
    assert comm.share(lambda: {"made by": comm.rank}) == {"made by": 0}
    with pytest.raises(ModelError, match="no file"):
        comm.share(lambda: (_ for _ in ()).throw(ModelError("no file")))


def test_different_values_are_refused(comm):
    comm.require_same("model", "The model")
    if comm.size > 1:
        with pytest.raises(ArgumentError, match="same on all ranks"):
            comm.require_same(comm.rank, "The model")


@pytest.mark.parametrize("largest", [2**31 - 1, 30])
@pytest.mark.parametrize("width", [None, 1, 3])
def test_rows_arrive_in_order(comm, rng, monkeypatch, largest, width):
    monkeypatch.setattr(of_comm, "LARGEST_MESSAGE", largest)
    counts = rng.integers(0, 20, (comm.size, comm.size))  # from, to
    shape = () if width is None else (width,)
    rows = [
        [rng.integers(0, 1000, (counts[source, target], *shape)) for target in range(comm.size)]
        for source in range(comm.size)
    ]
    received, incoming = comm.exchange(np.concatenate(rows[comm.rank]), counts[comm.rank])
    assert (received == np.concatenate([of_rank[comm.rank] for of_rank in rows])).all()
    assert (incoming == counts[:, comm.rank]).all()
