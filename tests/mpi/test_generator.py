"""Distributed generators: rows, products, sinks and matrices are the serial ones."""

from __future__ import annotations

import numpy as np
import pytest
from mpi_networks import chain, random_network, toggle

import fsp
from fsp import Model, Reaction
from fsp.generator.inner import inner_runs
from fsp.generator.operator import Operator
from fsp.generator.slices import slices_of
from fsp.petsc import Generator, StateSpace

SEEDS = range(25)
UNIT = 2.0**-53


def pair(model, comm, make):
    """Return the distributed and the serial generator."""
    return (
        Generator(model, make(StateSpace, {"comm": comm})),
        fsp.Generator(model, make(fsp.StateSpace, {})),
    )


def on_runs(generator):
    """Return the operator on runs, slice by slice."""
    plan, own = generator.local.plans[0], generator.halo.owned
    slices, inner = slices_of(plan, sinks=generator.sinks), inner_runs(plan, *own)
    return Operator(slices, ghosts=generator.halo, local=own, inner=inner)


def assert_same(generator, serial, rng):
    """Hold what this rank has against the serial generator: to the rounding of a row's sum."""
    space = generator.space
    mine = slice(space.first, space.first + space.n_local)
    p = rng.random(len(serial))
    room = 4 * serial.roundings * UNIT
    sizes = abs(serial.to_csr()) @ p
    assert (np.abs(generator @ p[mine] - (serial @ p)[mine]) <= room * sizes[mine]).all()
    sizes = abs(serial.to_csr().T) @ p
    assert (np.abs(generator.T @ p[mine] - (serial.T @ p)[mine]) <= room * sizes[mine]).all()
    if generator.comm.size > 1:
        by_runs = on_runs(generator)
        sizes_by_row = abs(serial.to_csr()) @ p
        assert (np.abs(by_runs @ p[mine] - (serial @ p)[mine]) <= room * sizes_by_row[mine]).all()
    assert generator.exit_rates == pytest.approx(serial.exit_rates[mine], rel=room)
    assert generator.largest_exit_rate == pytest.approx(serial.largest_exit_rate, rel=room)
    assert generator.sink_names == serial.sink_names
    assert generator.sinks.toarray() == pytest.approx(serial.sinks.toarray()[:, mine], rel=room)
    assert generator.leak_rates == pytest.approx(serial.leak_rates[mine], rel=room)
    assert len(generator.leaks) == len(serial.leaks)
    for leak, of_all in zip(generator.leaks, serial.leaks, strict=True):
        own = (of_all.sources >= mine.start) & (of_all.sources < mine.stop)
        assert (leak.change == of_all.change).all()
        assert leak.reactions == of_all.reactions
        assert (leak.sources == of_all.sources[own] - mine.start).all()
        assert leak.rates == pytest.approx(of_all.rates[own], rel=room)
    with generator.aij() as assembled, generator.shell() as shell:
        x, y = assembled.createVecs()
        x.array[:] = p[mine]
        for matrix in (assembled, shell):
            matrix.mult(x, y)
            assert (np.abs(y.array - (serial @ p)[mine]) <= room * (abs(serial.to_csr()) @ p)[mine]).all()
            matrix.multTranspose(x, y)
            assert (np.abs(y.array - (serial.T @ p)[mine]) <= room * sizes[mine]).all()
            assert -matrix.getDiagonal().array == pytest.approx(serial.exit_rates[mine], rel=room)
        assert assembled.getSize() == (len(serial), len(serial))
        x.destroy()
        y.destroy()


@pytest.mark.parametrize("seed", SEEDS)
def test_random_networks(comm, seed):
    rng = np.random.default_rng(seed)
    model, constraints = random_network(rng)
    steps = None if seed % 2 else 5
    pairs = pair(model, comm, lambda kind, more: kind.reachable(model, constraints, steps=steps, **more))
    assert_same(*pairs, rng)


def test_long_runs(comm, rng):
    model = toggle()
    assert_same(*pair(model, comm, lambda kind, more: kind.box(model, {"U": 140, "V": 250}, **more)), rng)


def test_a_space_with_holes(comm, rng):
    model = toggle()

    def make(kind, more):
        return kind.box(model, {"U": 60, "V": 300}, **more).restrict("(U + 3 * V) % 7 != 0 && U * V <= 5000")

    assert_same(*pair(model, comm, make), rng)


def test_fewer_states_than_ranks(comm, rng):
    model = Model(species={"A": 1, "B": 0}, reactions=[Reaction("A -> B", mass_action=2.0)])
    assert_same(*pair(model, comm, lambda kind, more: kind.reachable(model, **more)), rng)


def test_keys_of_several_words(comm, rng):
    model = chain(9)
    assert_same(*pair(model, comm, lambda kind, more: kind.reachable(model, steps=8, **more)), rng)


@pytest.mark.parametrize("rate", ["(1 + sin(time)) * A + B * exp(-time)", "A * B / (1 + time * A)"])
def test_rates_that_depend_on_time(comm, rng, rate):
    model = Model(
        species={"A": 3, "B": 2},
        reactions=[
            Reaction("0 -> A", mass_action=1.0),
            Reaction("0 -> B", rate="2 + cos(time)"),
            Reaction("A -> 0", mass_action=0.5),
            Reaction("A + B -> B", rate=f"({rate}) * (A >= 1)"),
        ],
    )
    generator, serial = pair(model, comm, lambda kind, more: kind.box(model, {"A": 20, "B": 15}, **more))
    assert generator.is_scalable == serial.is_scalable
    for t in (0.0, 0.7):
        assert_same(generator.at(t), serial.at(t), rng)
    if serial.is_scalable:
        p = rng.random(len(serial))
        mine = slice(generator.space.first, generator.space.first + generator.n_local)
        for index in range(len(serial.clocks)):
            expected = serial.part(index) @ p
            assert generator.part(index) @ p[mine] == pytest.approx(expected[mine], rel=1e-13, abs=1e-12)


def test_forms_of_the_product_are_sums_over_all_ranks(comm, rng):
    model = toggle()
    generator, serial = pair(model, comm, lambda kind, more: kind.box(model, {"U": 100, "V": 300}, **more))
    mine = slice(generator.space.first, generator.space.first + generator.n_local)
    one, all_ = generator.operator, serial.operator
    v, u, w, total = (rng.random(len(serial)) for _ in range(4))

    def vectors(operator, *parts):
        return [operator.enter(part) for part in parts]

    V, U, W, total_ = vectors(all_, v, u, w, total)
    a, b, c, d = vectors(one, v[mine], u[mine], w[mine], total[mine])
    assert one.step(a, c, d, 0.01, 0.5) == pytest.approx(all_.step(V, W, total_, 0.01, 0.5), rel=1e-12)
    assert c[: one.n] == pytest.approx(W[: all_.n][mine], rel=1e-12)
    assert d[: one.n] == pytest.approx(total_[: all_.n][mine], rel=1e-12)
    assert comm.sum(c[one.n :]) == pytest.approx(W[all_.n :], rel=1e-12)
    dots = one.product_and_dots(a, b, c)
    assert dots == pytest.approx(all_.product_and_dots(V, U, W), rel=1e-11)
    assert c[: one.n] == pytest.approx(W[: all_.n][mine], rel=1e-11, abs=1e-9)
    assert one.recur(a, c, d, (0.1, 2.0, -1.0), (0.5, 0.2)) == pytest.approx(
        all_.recur(V, W, total_, (0.1, 2.0, -1.0), (0.5, 0.2)), rel=1e-11
    )
    assert c[: one.n] == pytest.approx(W[: all_.n][mine], rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("n", [4, 12])
def test_the_halo_of_a_box_is_a_slab_on_either_side(comm, n):
    """The count that the model of scaling in docs/mpi.md starts from."""
    chains = [Reaction(text, mass_action=1.0) for name in "ABC" for text in (f"0 -> {name}", f"{name} -> 0")]
    model = Model(species=dict.fromkeys("ABC", 0), reactions=chains)
    generator = Generator(model, StateSpace.box(model, n - 1, comm=comm))
    sides = (comm.rank > 0) + (comm.rank + 1 < comm.size)
    assert generator.n_local >= n * n
    assert generator.halo.n_received == sides * n * n
