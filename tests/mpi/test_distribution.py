"""Distributed distributions: every number is the serial one."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.distribution import ErrorLedger
from fsp.moments import moment_bounds
from fsp.petsc import Distribution, StateSpace

MODEL = fsp.Model(
    species={"U": 3, "V": 0},
    reactions=[
        fsp.Reaction("0 -> U", rate="4"),
        fsp.Reaction("U -> V", mass_action=1.0),
        fsp.Reaction("V -> 0", mass_action=0.5),
    ],
)
REL = 1e-12


def pair(comm, *, upper=(23, 17), seed=0, **more):
    """Return a distributed and a serial distribution of random probabilities on a box."""
    space = StateSpace.box(MODEL, upper, comm=comm)
    p = np.random.default_rng(seed).random(len(space))
    p *= 0.999 / p.sum()
    fields = {"t": 2.0, "error": ErrorLedger(truncation=2e-3), "moments": moment_bounds(MODEL, 2.0), **more}
    mine = slice(space.first, space.first + space.n_local)
    states = fsp.StateSpace.box(MODEL, upper).states
    return Distribution(space, p[mine], **fields), fsp.Distribution(states, p, MODEL.species, **fields)


def assert_close(found, expected):
    assert found.certified == expected.certified
    assert [*found, found.value] == pytest.approx([*expected, expected.value], rel=REL, abs=1e-12)


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize("with_moments", [False, True])
def test_every_number_is_the_serial_one(comm, closed, with_moments):
    more = {"closed": closed} | ({} if with_moments else {"moments": None})
    spread, serial = pair(comm, **more)
    assert len(spread) == len(serial)
    for name in ("mean", "variance", "std", "fano", "cv", "skewness"):
        assert getattr(spread, name)() == pytest.approx(getattr(serial, name)(), rel=REL)
    for name in ("mean_interval", "variance_interval"):
        for species, interval in getattr(serial, name)().items():
            assert_close(getattr(spread, name)()[species], interval)
    for formula in ("U*V", "U - 3*V", "U > 3", "exp(-V)"):
        assert_close(spread.expectation(formula), serial.expectation(formula))
    for event in ("U + V < 9", {"U": 3}, {"U": 2, "V": 5}):
        assert_close(spread.probability(event), serial.probability(event))
    assert spread.covariance() == pytest.approx(serial.covariance(), rel=REL)
    assert spread.moment(U=2, V=1) == pytest.approx(serial.moment(U=2, V=1), rel=REL)
    assert spread.quantile("V", 0.9) == serial.quantile("V", 0.9)
    assert spread.mode() == serial.mode()
    assert spread.modes("V").tolist() == serial.modes("V").tolist()
    assert_close(spread.cdf("V", 3), serial.cdf("V", 3))
    assert spread.conditional("U > 3").pmf == pytest.approx(serial.conditional("U > 3").pmf, rel=REL)
    drawn = spread.sample(20, seed=3)
    assert all(np.array_equal(drawn, other) for other in comm.mpi.allgather(drawn))
    assert spread.entropy() == pytest.approx(serial.entropy(), rel=REL)
    assert spread.pmf == pytest.approx(serial.pmf, rel=REL)
    assert str(spread) == str(serial)


def test_one_rank_may_ask_for_what_is_printed(comm):
    spread, serial = pair(comm)
    if comm.rank == comm.size - 1:
        assert str(spread) == str(serial)
        assert spread.mean_interval().keys() == spread.variance_interval().keys() == serial.mean().keys()
        assert (spread.std(), len(spread)) == (pytest.approx(serial.std(), rel=REL), len(serial))


def test_different_questions_are_refused_on_all_ranks(comm):
    spread, serial = pair(comm)
    ask = (lambda: spread.quantile("U", 0.5)) if comm.rank else (lambda: spread.probability("U > 3"))
    if comm.size > 1:
        with pytest.raises(fsp.ArgumentError, match=r"rank 0 is in Distribution.probability.* rank 1 in .*quantile"):
            ask()
        with pytest.raises(fsp.ArgumentError, match=r"probability\('U > 3'\) and rank 1 in .*probability\('U > 4'\)"):
            spread.probability(f"U > {4 if comm.rank else 3}")
        with pytest.raises(fsp.ArgumentError, match=r"marginal\('U'\) and rank 1 in .*marginal\('V'\)"):
            spread.marginal("V" if comm.rank else "U")
        with pytest.raises(fsp.ArgumentError, match=r"probability\(\{'U': 3\}\) and rank 1 in .*'U': 4"):
            spread.probability({"U": 4 if comm.rank else 3})
    assert spread.quantile("V", 0.9) == serial.quantile("V", 0.9)  # they go on together


def test_marginals_are_serial_and_the_same_everywhere(comm):
    spread, serial = pair(comm)
    for names in (["U"], ["V"], ["V", "U"]):
        found, expected = spread.marginal(*names), serial.marginal(*names)
        assert (found.states == expected.states).all()
        assert found.probabilities == pytest.approx(expected.probabilities, rel=REL)
        assert found.error.total >= spread.error.total
        assert len(set(comm.mpi.allgather(found.probabilities.tobytes()))) == 1


def test_gathered_is_the_serial_one_on_the_first_rank(comm):
    spread, serial = pair(comm)
    found = spread.gathered()
    assert (found is None) == (comm.rank > 0)
    if found is not None:
        assert (found.states == serial.states).all()
        assert (found.probabilities == serial.probabilities).all()


@pytest.mark.parametrize("kind", ["l1", "tv", "hellinger"])
def test_distances_of_overlapping_spaces(comm, kind):
    (one, first), (other, second) = pair(comm), pair(comm, upper=(17, 23), seed=1)
    assert one.distance(other, kind) == pytest.approx(first.distance(second, kind), rel=REL)
    assert one.distance(one, kind) == 0.0


def test_fewer_states_than_ranks(comm):
    space = StateSpace.box(MODEL, (3, 0), lower=(3, 0), comm=comm)
    one = Distribution(space, np.ones(space.n_local), t=0.0, error=ErrorLedger())
    assert len(one) == 1
    assert one.mean() == {"U": 3.0, "V": 0.0}
    assert one.mode() == {"U": 3, "V": 0}
    assert one.probability("U == 3").value == 1.0


def test_a_count_is_certain_where_all_states_have_it(comm):
    space = StateSpace.box(MODEL, (3, 4), lower=(3, 0), comm=comm)
    inside = (space.states[:, 1] == 1) | (space.states[:, 1] == 4)
    spread = Distribution(space, np.where(inside, 0.5, 0.0), t=0.0, error=ErrorLedger())
    serial = spread.marginal("U", "V")
    for name, mean, variance in (("U", 3.0, 0.0), ("V", 2.5, 2.25)):
        for law in (spread, serial):
            assert mean in law.mean_interval()[name]
            assert variance in law.variance_interval()[name]
        assert (spread.variance_interval()[name].width == 0.0) == (name == "U")
        assert (spread.expectation(f"7 - 2*{name}").width == 0.0) == (name == "U")


@pytest.mark.parametrize("names", [(), ("U",), ("V", "U")])
def test_landscapes_are_those_of_all_ranks(comm, names):
    spread, serial = pair(comm, error=ErrorLedger(truncation=1e-6))
    found, expected = spread.landscape(*names), serial.landscape(*names)
    assert (found.states == expected.states).all()
    assert len(found.basins) == len(expected.basins) > 1
    for basin, other in zip(found.basins, expected.basins, strict=True):
        assert (basin.state, basin.saddle, basin.into) == (other.state, other.saddle, other.into)
        assert_close(basin.level, other.level)


def test_what_is_wrong_on_one_rank_is_said_on_all(comm):
    space = StateSpace.box(MODEL, (9, 9), comm=comm)
    p = np.full(space.n_local, 1.0 / len(space))
    if comm.rank == comm.size - 1:
        p[0] = np.nan
    with pytest.raises(fsp.FSPError, match="finite"):
        Distribution(space, p, t=0.0, error=ErrorLedger())
    spread, _ = pair(comm)
    with pytest.raises(fsp.FSPError, match="finite"):
        spread.expectation("1/(U - 23)")  # states of the last rank
    with pytest.raises(fsp.FSPError, match="Z"):
        spread.marginal("Z")
