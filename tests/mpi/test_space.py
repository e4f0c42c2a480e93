"""Distributed spaces: the ranks' states, one after the other, are the serial space."""

from __future__ import annotations

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from mpi_networks import chain, random_network, toggle

import fsp
from fsp import Model, Reaction, StateSpaceError
from fsp.petsc import StateSpace
from fsp.petsc import closure as of_closure
from fsp.petsc import environment as of_environment
from fsp.petsc import saturation as of_saturation
from fsp.petsc import space as of_space
from fsp.projection.thresholds import Thresholds
from fsp.space.saturation import Firings

SEEDS = range(25)


def assert_same(space, serial):
    """Hold the part of this rank against the serial space."""
    part = serial.states[space.first : space.first + space.n_local]
    assert len(space) == len(serial) == space.comm.sum(space.n_local)
    assert (space.states == part).all()
    assert (space.top == serial.top).all()
    assert (space.bottom == serial.bottom).all()
    counts = np.diff(space.ranges.starts)
    assert counts[space.comm.rank] == space.n_local
    assert counts.max() - counts.min() <= max(1, 0.05 * counts.mean())


@pytest.mark.parametrize("seed", SEEDS)
def test_reachable_sets_are_the_serial_ones(comm, seed):
    rng = np.random.default_rng(seed)
    model, constraints = random_network(rng)
    steps = None if seed % 2 else int(rng.integers(0, 6))
    assert_same(
        StateSpace.reachable(model, constraints, steps=steps, comm=comm),
        fsp.StateSpace.reachable(model, constraints, steps=steps),
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_both_ways_to_close_a_set_find_the_same(comm, seed, monkeypatch):
    rng = np.random.default_rng(100 + seed)
    model, constraints = random_network(rng)
    serial = fsp.StateSpace.reachable(model, constraints)
    monkeypatch.setattr(of_saturation, "FIRST_STATES", int(rng.integers(1, 40)))
    assert_same(StateSpace.reachable(model, constraints, comm=comm), serial)
    monkeypatch.setattr(of_space, "saturate", lambda *_: None)
    monkeypatch.setattr(of_closure, "SPREAD_FROM", int(rng.integers(1, 40)))
    assert_same(StateSpace.reachable(model, constraints, comm=comm), serial)


def test_fibers_are_spread_while_they_are_found(comm, monkeypatch):
    most = []
    close = Firings.close

    def watched(*arguments, **more):
        found, runs, size = close(*arguments, **more)
        most.append(size)
        return found, runs, size

    monkeypatch.setattr(Firings, "close", watched)
    monkeypatch.setattr(of_saturation, "FIRST_STATES", 500)
    space = StateSpace.reachable(toggle(), ["U <= 299", "V <= 99"], comm=comm)
    assert_same(space, fsp.StateSpace.box(toggle(), {"U": 299, "V": 99}))
    if comm.size > 1:
        assert comm.max(max(most)) < 1.5 * len(space) / comm.size
        assert len(most) < 40


@pytest.mark.parametrize("seed", SEEDS)
def test_growth_and_restriction_are_the_serial_ones(comm, seed):
    rng = np.random.default_rng(seed)
    model, constraints = random_network(rng)
    space = StateSpace.reachable(model, constraints, steps=4, comm=comm)
    serial = fsp.StateSpace.reachable(model, constraints, steps=4)
    kept = rng.random(len(serial)) < 0.7
    chosen = rng.random(len(serial)) < 0.3
    far = rng.choice(fsp.StateSpace.reachable(model, constraints, steps=12).states, 5)
    mine = slice(space.first, space.first + space.n_local)
    pruned, serial_pruned = space.restrict(kept[mine]), serial.restrict(kept)
    assert_same(pruned, serial_pruned)
    assert_same(
        space.grow(model, 2, seeds=np.flatnonzero(chosen[mine])), serial.grow(model, 2, seeds=np.flatnonzero(chosen))
    )
    assert_same(pruned.grow(model, 1), serial_pruned.grow(model, 1))
    grown, serial_grown = pruned.extend(model, far[comm.rank :: comm.size], 2), serial_pruned.extend(model, far, 2)
    assert_same(grown, serial_grown)
    values = rng.random(len(serial))
    for other, serial_other in ((pruned, serial_pruned), (grown, serial_grown)):
        carried = serial.carry(values, serial_other)
        assert (space.carry(values[mine], other) == carried[other.first : other.first + other.n_local]).all()
    queries = rng.integers(-1, 12, (7 + comm.rank, len(model.species)))
    assert (grown.index(queries) == serial_grown.index(queries)).all()


@pytest.mark.parametrize("upper", [{"U": 70, "V": 41}, {"U": 0, "V": 5}, {"U": 1, "V": 0}])
def test_boxes_are_the_serial_ones(comm, upper):
    model = toggle()
    assert_same(StateSpace.box(model, upper, comm=comm), fsp.StateSpace.box(model, upper))
    lower = {"U": 0, "V": 0}
    assert [c.label for c in StateSpace.box(model, upper, lower, comm=comm).constraints] == [
        c.label for c in fsp.StateSpace.box(model, upper, lower).constraints
    ]


def test_states_in_any_order_are_sorted_to_ranks(comm, rng):
    states = rng.integers(0, 40, (3000, 3))
    parts = np.array_split(states, comm.size)
    assert_same(StateSpace.from_states("ABC", parts[comm.rank], comm=comm), fsp.StateSpace.from_states("ABC", states))


@pytest.mark.parametrize("counts", [2**15 - 3, 2**30, 2**31 - 200])
def test_fields_are_widened_on_all_ranks(comm, counts):
    model = Model(
        species={"A": counts, "B": 0, "C": 5, "D": 1},
        reactions=[
            Reaction("A -> A + 3 B", mass_action=1.0),
            Reaction("C -> 20 A", mass_action=1.0),
            Reaction("D -> 2 D", mass_action=1.0),
        ],
    )
    assert_same(StateSpace.reachable(model, steps=7, comm=comm), fsp.StateSpace.reachable(model, steps=7))


def test_keys_of_several_words(comm, rng):
    model = chain(9)
    serial = fsp.StateSpace.reachable(model, steps=12)
    space = StateSpace.reachable(model, steps=12, comm=comm)
    assert space.encoding.n_words > 1
    assert_same(space, serial)
    assert (space.index(serial.states[::7]) == np.arange(0, len(serial), 7)).all()


def test_limits_are_kept(comm):
    model = toggle()
    with pytest.raises(StateSpaceError, match="`max_states`"):
        StateSpace.reachable(model, ["U <= 50", "V <= 50"], max_states=1000, comm=comm)
    with pytest.raises(StateSpaceError, match="without end"):
        StateSpace.reachable(model, comm=comm)
    with pytest.raises(StateSpaceError, match="must contain the initial state"):
        StateSpace.box(model, 5, {"U": 1}, comm=comm)


def test_more_states_than_indices_are_refused(comm, monkeypatch):
    monkeypatch.setattr(of_environment, "load", lambda: SimpleNamespace(largest_index=1000))
    with pytest.raises(StateSpaceError, match="64-bit"):
        StateSpace.box(toggle(), 99, comm=comm, max_states=10**9)
    with pytest.raises(StateSpaceError, match="at most 1,000"):
        StateSpace.reachable(toggle(), ["U <= 50", "V <= 50"], comm=comm)


def test_an_error_in_a_constraint_of_one_rank_reaches_all(comm):
    def strange(x):
        if comm.rank == comm.size - 1 and x["U"].size and x["U"].max(initial=0) > 30:
            raise ValueError("too large for me")
        return x["U"] + x["V"] <= 60

    with pytest.raises(ValueError, match="too large for me"):
        StateSpace.reachable(toggle(), strange, comm=comm)


def test_no_rank_holds_the_whole_space(comm, monkeypatch):
    monkeypatch.setattr(of_space, "saturate", lambda *_: None)  # which needs little memory in any case

    def peak(group):
        tracemalloc.start()
        StateSpace.reachable(toggle(), ["U <= 399", "V <= 399"], comm=group)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    alone = peak(type(comm)(of_environment.load().MPI.COMM_SELF))
    together = comm.max(peak(comm))
    assert together <= (1.0 if comm.size == 1 else 1.35 / comm.size) * alone * 1.1


def test_levels_of_values_that_some_ranks_have_none_of(comm):
    """Probability leaves a space through the states of some ranks alone."""
    values = np.array([1e-3, 2e-3, 0.5, 0.5])
    levels = Thresholds(values if comm.rank == comm.size - 1 else values[:0], comm)
    assert (levels.numbers == [0.0, 1.0, 2.0, 4.0]).all()
    assert levels.masses == pytest.approx([0.0, 1e-3, 3e-3, 1.003], rel=1e-15)
