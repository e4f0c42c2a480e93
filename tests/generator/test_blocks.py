"""Products with blocks of vectors against single products and the matrix, however the vectors lie."""

from __future__ import annotations

import numpy as np
import pytest
from operator_cases import NETWORKS, TIMED, close, on_runs, spaces
from written_networks import network

from fsp import Generator, StateSpace
from fsp.generator import block_kernels, blocks, layout, operator
from fsp.generator.block_kernels import add_products
from fsp.generator.kernels import EXPANDED
from fsp.generator.operator import Operator

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 16, 19, 32)


def check_block(op, matrix, m, rng):
    """Both forms of a product with m vectors are what they say, and what a panel has beyond them stays zero."""
    n, block = op.n, op.block(m)
    columns = rng.standard_normal((n, m))
    size = abs(matrix) @ np.abs(columns)
    v, image = block.enter(columns), block.zeros()
    np.testing.assert_array_equal(block.leave(v), columns)
    for k in range(m):
        np.testing.assert_array_equal(op.leave(np.append(block.vector(v, k), np.zeros(op.size - n))), columns[:, k])
    image[:] = np.nan
    block.product(v, image)
    close(block.leave(image), matrix @ columns, size)
    image[:] = np.nan
    block.advance(v, image, 0.125)
    close(block.leave(image), columns + 0.125 * (matrix @ columns), size + np.abs(columns))
    assert np.isfinite(image).all()
    assert np.count_nonzero(image) <= n * m
    return block


def widest(block):
    return int(block.steps.max())


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks_of_all_widths_on_all_spaces(rng, name):
    model = NETWORKS[name]
    for k, space in enumerate(spaces(model, rng)):
        generator = Generator(model, space)
        square = generator.to_csr()
        for m in WIDTHS[k % 3 :: 3]:
            op = on_runs(generator.plans[0], generator.sinks)
            assert widest(check_block(op, square, m, rng)) == (8 if m > 4 else 4 if m > 2 else 1)
            check_block(on_runs(generator.plans[1]), square.T.tocsr(), m, rng)
            assert widest(check_block(Operator.of_rows(generator.with_sinks, len(space)), square, m, rng)) == m


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("order", ["C", "F"])
def test_columns_are_multiplied_as_they_lie(rng, monkeypatch, name, order):
    """Panels overlap where they do not fit, follow each other in batches of runs, and leave other columns alone."""
    model = NETWORKS[name]
    for k, space in enumerate(spaces(model, rng)):
        generator = Generator(model, space)
        monkeypatch.setattr(blocks, "NEAR_BATCH", (2**15, 64)[k % 2])
        monkeypatch.setattr(block_kernels, "NEAR", (2**18, 0)[k % 2])
        for op, matrix in ((generator.operator, generator.to_csr()), (generator.T, generator.to_csr().T.tocsr())):
            for m in WIDTHS[k % 3 :: 3]:
                columns = np.asarray(rng.standard_normal((len(space), m)), order=order)
                given = columns.copy()
                close(op @ columns, matrix @ columns, abs(matrix) @ np.abs(columns))
                np.testing.assert_array_equal(columns, given)
        closed = rng.standard_normal((generator.operator.size, 6))
        close(generator.operator @ closed, generator.with_sinks @ closed, abs(generator.with_sinks) @ np.abs(closed))


def test_panels_cover_all_vectors_and_no_others():
    for m in range(block_kernels.NARROW, 70):
        places = [range(begin, begin + width) for begin, width in blocks.panels_of(m)]
        assert set().union(*places) == set(range(m))
        assert sum(map(len, places)) <= m + 3


def test_generators_multiply_blocks_by_the_slices_before_their_rates_are_written_out(rng):
    for name, top in (("hill", 15), ("pairs", 14), ("mixed", 39)):
        model = NETWORKS[name]
        generator = Generator(model, StateSpace.box(model, dict.fromkeys(model.species, 9) | {model.species[-1]: top}))
        for op, matrix in ((generator.operator, generator.to_csr()), (generator.T, generator.to_csr().T.tocsr())):
            assert op.slices.mode == EXPANDED
            assert widest(check_block(op, matrix, 8, rng)) == 8


def test_threads_share_the_runs_of_blocks_and_the_joined_runs_of_vectors(rng, monkeypatch):
    monkeypatch.setattr(operator.threads, "n_threads", lambda: 3)
    monkeypatch.setattr(operator, "STATES_PER_THREAD", 20)
    generator = Generator(NETWORKS["hill"], StateSpace.box(NETWORKS["hill"], {"U": 30, "V": 6}))
    op = generator.operator
    assert len(op.slices.starts) < 5  # of 31 runs
    assert widest(check_block(op, generator.to_csr(), 8, rng)) == 8


def test_blocks_follow_the_clocks(rng):
    box = StateSpace.box(TIMED, 9)
    generator = Generator(TIMED, box)
    for other in (generator.at(0.7), generator.with_clocks(np.array([1.0, 0.25, 2.0])), generator.part(1)):
        assert widest(check_block(other.operator, other.to_csr(), 5, rng)) == 8


def test_panels_in_memory_are_multiplied_in_one_pass_or_not_at_all(rng, monkeypatch):
    bursts = [(f"0 -> {k} A", "rate", f"{k} + 0.5*A") for k in range(1, block_kernels.MOST_PLAIN + 2)]
    many = network({"A": 1, "B": 1}, *bursts, ("B -> 0", "mass_action", 2.0))
    for model, width in ((many, 1), (NETWORKS["hill"], 8)):
        generator = Generator(model, StateSpace.box(model, 11))
        op = on_runs(generator.plans[0], generator.sinks)
        assert (op.slices.n_plain > block_kernels.MOST_PLAIN) == (width == 1)
        assert widest(check_block(op, generator.to_csr(), 8, rng)) == 8
        with monkeypatch.context() as patched:
            patched.setattr(block_kernels, "NEAR", 0)
            assert widest(check_block(op, generator.to_csr(), 8, rng)) == width


@pytest.mark.parametrize("name", NETWORKS)
def test_panels_in_memory_are_those_in_the_caches(rng, monkeypatch, name):
    monkeypatch.setattr(block_kernels, "NEAR", 0)
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        op = on_runs(generator.plans[0], generator.sinks)
        if len(op.slices.more) == 0 and op.slices.n_plain <= block_kernels.MOST_PLAIN:
            check_block(op, generator.to_csr(), 8, rng)


def test_panels_are_written_past_the_caches_where_they_begin_at_a_line(rng, monkeypatch):
    monkeypatch.setattr(block_kernels, "NEAR", 0)
    model = NETWORKS["hill"]
    generator = Generator(model, StateSpace.box(model, dict.fromkeys(model.species, 9)))
    op = on_runs(generator.plans[0], generator.sinks)
    block = op.block(8)
    columns, image = rng.standard_normal((op.n, 8)), np.empty(op.n * 8 + 1)[1:]
    begins = -image.ctypes.data % blocks.CACHE_LINE // 8
    assert blocks.way_to_write(op.slices, 8, 8, block.zeros()) == block_kernels.STREAMED
    assert blocks.way_to_write(op.slices, 8, 16, block.zeros()) == block_kernels.PREFETCHED
    if begins:
        assert blocks.way_to_write(op.slices, 8, 8, image) == block_kernels.PREFETCHED
    block.product(block.enter(columns), image)
    close(block.leave(image), generator.to_csr() @ columns, abs(generator.to_csr()) @ np.abs(columns))


def test_blocks_are_taken_in_the_order_of_the_space(rng):
    model = network(
        {"M": 0, "G": 1},
        ("G -> G + M", "mass_action", 20.0),
        ("M -> 0", "mass_action", 1.0),
        ("G -> 0", "mass_action", 0.1),
        ("0 -> G", "mass_action", 0.1),
    )
    generator = Generator(model, StateSpace.box(model, {"M": 5999, "G": 1}))
    assert generator.operator._order is not None
    for m in (4, 6, 9):
        check_block(generator.operator, generator.to_csr(), m, rng)
        columns = rng.random((len(generator), m))
        close(generator @ columns, generator.to_csr() @ columns, abs(generator.to_csr()) @ columns)


@pytest.mark.parametrize("name", NETWORKS)
def test_columns_of_the_closed_chain(rng, name):
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        closed = generator.with_sinks
        for op in (on_runs(generator.plans[0], generator.sinks), Operator.of_rows(closed, len(space))):
            for m in (1, 2, 6):
                columns = rng.random((op.size, m))
                close(op.apply(columns), closed @ columns, abs(closed) @ columns)


def test_threads_share_the_runs_of_a_block(rng, monkeypatch):
    monkeypatch.setattr(operator.threads, "n_threads", lambda: 3)
    monkeypatch.setattr(operator, "STATES_PER_THREAD", 10)
    for model in NETWORKS.values():
        generator = Generator(model, StateSpace.box(model, 11))
        op = on_runs(generator.plans[0], generator.sinks)
        assert len(op._shares.inner) == 3
        check_block(op, generator.to_csr(), 9, rng)


def test_runs_in_pieces(rng, monkeypatch):
    monkeypatch.setattr(layout, "PIECE", 3)
    for model in NETWORKS.values():
        generator = Generator(model, StateSpace.box(model, 9))
        check_block(on_runs(generator.plans[0]), generator.to_csr(), 8, rng)


def test_blocks_begin_at_lines_of_the_caches():
    block = Generator(NETWORKS["hill"], StateSpace.box(NETWORKS["hill"], 12)).operator.block(3)
    room = block.zeros(5)
    assert room.shape == (5, 4 * 169)  # a column more than vectors
    assert room.ctypes.data % blocks.CACHE_LINE == 0
    assert not room.any()


def test_matrices_are_added_to_vectors_of_a_block(rng):
    op = Generator(NETWORKS["hill"], StateSpace.box(NETWORKS["hill"], 12)).operator
    n, block = op.n, op.block(9)  # the last is by itself
    dense = rng.standard_normal((2, n, n)) * (rng.random((2, n, n)) < 0.05)
    columns, x = rng.standard_normal((n, 9)), rng.standard_normal(n)
    indptr = np.concatenate([[0], np.cumsum((dense != 0.0).sum(axis=2))]).astype(np.int64)
    indices = np.nonzero(dense.reshape(2 * n, n))[1].astype(np.int32)
    v, to = block.enter(columns), [3, 8]
    add_products(indptr, indices, dense[dense != 0.0], 0.5, x, v, block.places[to], block.steps[to])
    columns[:, to] += 0.5 * (dense @ x).T
    close(block.leave(v), columns, np.abs(columns) + 10.0)
