"""Products on runs against the matrix, in all forms, on spaces with holes, pieces and one state."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import ENZYME, HILL, MIXED, NETWORKS, PAIRS, TIMED, close, on_runs, spaces
from written_networks import network

from fsp import Generator, StateSpace
from fsp.compilation.lanes import LANES
from fsp.generator import generator as of_generator
from fsp.generator import layout, operator, run_kernels
from fsp.generator import slices as of_slices
from fsp.generator.closed_kernels import multiply
from fsp.generator.expanded_kernels import MOST_SLOTS
from fsp.generator.kernels import EXPANDED, FUSED, PRODUCT
from fsp.generator.operator import Operator
from fsp.generator.slice_kernels import count_joined
from fsp.generator.slices import slices_of


def check_forms(op, matrix, rng):
    """All forms of a product are what they say."""
    size = abs(matrix)
    v, u, w, total = rng.standard_normal((4, op.size))
    image, scale = matrix @ v, size @ np.abs(v)
    out = np.full(op.size, np.nan)
    op.product(v, out)
    close(out, image, scale)
    out[:] = np.nan
    dots = op.product_and_dots(v, u, out)
    close(out, image, scale)
    for found, other in zip(dots, (v, u, out), strict=True):
        assert abs(found - out @ other) <= 1e-13 * (np.abs(out) @ np.abs(other))
    out[:], sums = np.nan, total.copy()
    change = op.step(v, out, sums, 0.125, 0.75)
    close(out, v + 0.125 * image, np.abs(v) + scale)
    close(sums, total + 0.75 * v, np.abs(total) + np.abs(v))
    assert abs(change - np.abs(0.125 * image).sum()) <= 1e-13 * scale.sum()
    following, sums = w.copy(), total.copy()
    norm = op.recur(v, following, sums, (0.5, 2.0, -1.0), (0.25, -3.0))
    expected = 0.5 * image + 2.0 * v - w
    close(following, expected, scale + 2.0 * np.abs(v) + np.abs(w))
    close(sums, total + 0.25 * v - 3.0 * following, np.abs(total) + np.abs(v) + 3.0 * np.abs(following))
    assert abs(norm - np.abs(following).sum()) <= 1e-13 * np.abs(following).sum()


@pytest.mark.parametrize("mode", [FUSED, EXPANDED])
@pytest.mark.parametrize("name", NETWORKS)
def test_all_forms_on_all_spaces(rng, name, mode):
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        check_forms(on_runs(generator.plans[0], generator.sinks, mode=mode), generator.with_sinks, rng)
        check_forms(on_runs(generator.plans[1], mode=mode), generator.to_csr().T.tocsr(), rng)
        check_forms(Operator.of_rows(generator.with_sinks, len(space)), generator.with_sinks, rng)


def multiplied(A, form, v, u, w, total, factors):
    return multiply(A, form, v, u, w, total, *factors)


@pytest.mark.parametrize("mode", [FUSED, EXPANDED])
def test_compiled_loops_see_the_closed_chain_in_all_forms(rng, mode):
    for space in spaces(PAIRS, rng):
        generator = Generator(PAIRS, space)
        rows = Operator.of_rows(generator.with_sinks, len(space))
        for op in (on_runs(generator.plans[0], generator.sinks, mode=mode), rows):
            A = op.compiled
            op._compute = lambda form, v, u, w, total, factors, A=A: multiplied(A, form, v, u, w, total, factors)
            check_forms(op, generator.with_sinks, rng)


def test_clocks_weigh_the_slices_of_the_parts(rng, monkeypatch):
    monkeypatch.setattr(of_generator, "are_rows_faster", lambda *_: False)
    monkeypatch.setattr(of_slices, "EXPANDED_BYTES", 0)
    box = StateSpace.box(TIMED, 9)
    for share in (1.0, 0.6):  # with holes, one change leads into a run from several
        generator = Generator(TIMED, box.restrict(rng.random(len(box)) < share))
        assert len(generator.clocks) == 3
        parts = [generator.part(k) for k in range(3)]
        for other in (generator.at(0.7), generator.with_clocks(np.array([1.0, 0.25, 2.0])), *parts):
            assert not other.operator.by_rows
            check_forms(other.operator, other.with_sinks, rng)
        whole = generator.operator.slices.scales.shape[1]
        assert all(part.operator.slices.scales.shape[1] < whole for part in parts)  # of the part's own rates alone


def test_written_out_rates_follow_the_clocks(rng, monkeypatch):
    monkeypatch.setattr(of_generator, "are_rows_faster", lambda *_: False)
    box = StateSpace.box(TIMED, 9)
    for share in (1.0, 0.6):
        generator = Generator(TIMED, box.restrict(rng.random(len(box)) < share))
        for other in (generator, generator.at(0.7), generator.with_clocks(np.array([1.0, 0.25, 2.0]))):
            assert other.operator.slices.mode == EXPANDED
            check_forms(other.operator, other.with_sinks, rng)


def test_products_take_the_form_that_is_fastest(monkeypatch):
    """Rows on short runs, written-out rates near the ends of runs or without a loop, else slices with tables."""
    decaying = network({"A": 0, "B": 0}, ("0 -> A", "rate", "3"), ("B -> A", "mass_action", 1.0))
    busy = network({"A": 0, "B": 0}, *((f"A + B -> {end}", "mass_action", 0.1) for end in ("0", "A", "B")))
    for model, upper, form in (
        (HILL, {"U": 60, "V": 60}, FUSED),
        (HILL, {"U": 60, "V": 15}, EXPANDED),  # two of 16 states are at ends
        (HILL, {"U": 60, "V": 4}, EXPANDED),  # runs of five states, which are joined
        (decaying, {"A": 60, "B": 60}, FUSED),
        (busy, {"A": 60, "B": 60}, EXPANDED),  # three slices with a table
    ):
        generator = Generator(model, StateSpace.box(model, upper))
        op = generator.operator
        assert not op.by_rows
        assert op.slices.mode == form, (model.name, upper)
    box = StateSpace.box(HILL, 60)
    assert Generator(HILL, box.restrict(np.random.default_rng(1).random(len(box)) < 0.4)).operator.by_rows
    monkeypatch.setattr(of_slices, "EXPANDED_BYTES", 0)  # nothing stays in the caches
    assert Generator(busy, StateSpace.box(busy, 60)).operator.slices.mode == FUSED
    assert not Generator(HILL, StateSpace.box(HILL, {"U": 60, "V": 4})).operator.by_rows
    assert Generator(HILL, StateSpace.box(HILL, {"U": 60, "V": 2})).operator.by_rows


def plane(size):
    """States along two of three species with one count of the third, which runs last: runs of one state."""
    first, second = np.divmod(np.arange(size * size), size)
    return np.stack([first, second, np.full(size * size, 3)], axis=1)


def test_runs_are_joined_where_all_slices_read_on(rng, monkeypatch):
    """States of a plane are read along another species; the plan knows how many runs that leaves."""
    space = StateSpace.from_states(MIXED.species, plane(20))
    slices = Generator(MIXED, space).operator.slices
    assert slices.mode == EXPANDED
    assert len(slices.starts) - 1 < 20  # of 400
    for longest in (7, layout.PIECE):
        monkeypatch.setattr(of_slices, "PIECE", longest)
        for model in NETWORKS.values():
            planes = [StateSpace.from_states(model.species, plane(6))] if len(model.species) == 3 else []
            for space in [*spaces(model, rng), *planes]:
                generator = Generator(model, space)
                check_forms(on_runs(generator.plans[0], generator.sinks, mode=EXPANDED), generator.with_sinks, rng)
                for plan in generator.plans:
                    apart, joined = np.diff(plan.starts), np.diff(slices_of(plan, EXPANDED).starts)
                    assert joined.sum() == len(space)
                    assert joined.max() <= max(longest, apart.max())  # a batch of states has room for it
                    assert len(joined) == count_joined(plan, longest)
                    ranks = slices_of(plan, EXPANDED, held=(0, len(space)))  # ranks count runs of the plan
                    np.testing.assert_array_equal(ranks.starts, plan.starts)


def test_runs_are_written_to_whole_registers_inside_a_range_alone(rng):
    """What is written behind a run is overwritten; behind the last one of a range nothing is, as threads meet there."""
    generator = Generator(MIXED, StateSpace.reachable(MIXED, ["X + Y + Z <= 9"]))
    slices = slices_of(generator.plans[0], EXPANDED)
    lengths, n = np.diff(slices.starts), len(generator)
    wide = -(-lengths // LANES) * LANES
    assert slices.origins.shape[1] > MOST_SLOTS  # several passes
    assert ((slices.high == lengths) | (slices.high == wide)).all()
    assert (slices.high > lengths).sum() > len(lengths) // 4
    assert len(slices.more) > len(slices_of(generator.plans[0]).more)  # slices that a pass would read outside
    assert (slices.origins >= 0).all()
    assert (slices.origins + slices.high[:, None] <= n).all()
    v, out = np.full(n + 2 * 64, np.nan)[64:-64], np.full(n, np.nan)  # nothing outside is read
    v[:] = rng.random(n)
    for first in reversed(range(0, len(lengths), 7)):  # backwards: what a range writes beyond its end would stay
        run_kernels.product_runs(slices, first, min(first + 7, len(lengths)), PRODUCT, v, v, v, out, v, *[0.0] * 5, 0)
    close(out, generator.to_csr() @ v, abs(generator.to_csr()) @ v)


@pytest.mark.parametrize("n_table", range(4))
@pytest.mark.parametrize("n_plain", range(8))
def test_every_number_of_slices_on_runs_of_many_registers(rng, n_plain, n_table):
    """A loop is compiled for each small number of slices, another one takes any; runs end within a register."""
    plain = [(f"0 -> {k} A", "rate", f"{k} + 0.5*A") for k in range(1, n_plain + 1)]  # the same along a run
    table = [(f"B -> B + {k} A + B", "rate", f"{k}*B/(3 + B)") for k in range(1, n_table + 1)]
    lost = ("A + B -> 2 A + 2 B", "mass_action", 0.3)  # has a table whose scalar is a count, in the exit rate as well
    for further in ([], [lost]):
        reactions = [*plain, *table, *further] or [("0 -> B", "rate", "2")]
        model = network({"A": 1, "B": 1}, *reactions)
        box = StateSpace.box(model, {"A": 9, "B": 44})
        for space in (box, box.restrict(4 * box.states[:, 0] + box.states[:, 1] <= 43)):
            generator = Generator(model, space)
            op = on_runs(generator.plans[0], generator.sinks)
            if n_plain + n_table > 0 and not further:
                assert (op.slices.n_plain, op.slices.scales.shape[1]) == (n_plain, n_plain + n_table)
            check_forms(op, generator.with_sinks, rng)
            check_forms(on_runs(generator.plans[1]), generator.to_csr().T.tocsr(), rng)


@pytest.mark.parametrize("model", [HILL, PAIRS, MIXED], ids=["hill", "pairs", "mixed"])
def test_registers_stay_inside_of_a_range(rng, model):
    """Threads meet there; what is not read as a whole register is read state by state."""
    *others, last = model.species
    generator = Generator(model, StateSpace.box(model, dict.fromkeys(others, 4) | {last: 21}))
    slices, n = slices_of(generator.plans[0]), len(generator)
    v, out = np.full(n + 2 * 64, np.nan)[64:-64], np.full(n, np.nan)  # nothing outside is read
    v[:] = rng.random(n)
    for first in reversed(range(len(slices.starts) - 1)):  # backwards: what a range writes beyond its end would stay
        run_kernels.product_runs(slices, first, first + 1, PRODUCT, v, v, v, out, v, *[0.0] * 5, 0)
    close(out, generator.to_csr() @ v, abs(generator.to_csr()) @ v)


@pytest.mark.parametrize("name", NETWORKS)
def test_long_runs_in_pieces(rng, name, monkeypatch):
    monkeypatch.setattr(layout, "PIECE", 3)
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        assert generator.plans[0].starts[-1] == len(space)
        assert np.diff(generator.plans[0].starts).max() <= 3
        check_forms(on_runs(generator.plans[0], generator.sinks), generator.with_sinks, rng)


@pytest.mark.parametrize("name", NETWORKS)
def test_several_threads(rng, name, monkeypatch):
    monkeypatch.setattr(operator.threads, "n_threads", lambda: 3)
    monkeypatch.setattr(operator, "STATES_PER_THREAD", 10)
    monkeypatch.setattr(operator, "ROWS_PER_THREAD", 10)
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        for op in (
            on_runs(generator.plans[0], generator.sinks),
            on_runs(generator.plans[0], generator.sinks, mode=EXPANDED),
            Operator.of_rows(generator.with_sinks, len(space)),
        ):
            check_forms(op, generator.with_sinks, rng)
            v, first, second = rng.random(op.size), np.empty(op.size), np.empty(op.size)
            assert op.product_and_dots(v, v, first) == op.product_and_dots(v, v, second)  # repeats to the last digit
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", NETWORKS)
def test_runs_along_another_species(rng, name):
    model = NETWORKS[name]
    for space in spaces(model, rng):
        generator = Generator(model, space)
        for species in space.encoding.kept[:-1]:
            turned = layout.turned(generator._family.layout.space, species)
            plan, _ = operator_plans(generator, turned)
            op = on_runs(plan, generator.sinks[:, turned.order].tocsr(), turned.order)
            v = rng.standard_normal(op.size)
            scale = abs(generator.with_sinks) @ np.abs(v)
            close(op.apply(v), generator.with_sinks @ v, scale)
            np.testing.assert_array_equal(op.leave(op.enter(v[: op.n])), v[: op.n])


def operator_plans(generator, turned):
    from fsp.generator.plan import build

    return build(generator.model, turned, generator._family.jumps, generator.t)[:2]


def test_the_species_that_makes_runs_longest_runs_last():
    model = network(
        {"M": 0, "G": 1},
        ("G -> G + M", "mass_action", 20.0),
        ("M -> 0", "mass_action", 1.0),
        ("G -> 0", "mass_action", 0.1),
        ("0 -> G", "mass_action", 0.1),
    )
    space = StateSpace.box(model, {"M": 9999, "G": 1})
    generator = Generator(model, space)
    found = layout.longest_runs(generator._family.layout.space)
    assert found.order is not None
    assert found.mean_length > 3000
    v = np.random.default_rng(0).random(len(space))
    assert not generator.operator.by_rows
    close(generator @ v, generator.to_csr() @ v, abs(generator.to_csr()) @ v)


def test_long_runs_stay_as_they_are():
    space = StateSpace.box(HILL, {"U": 400, "V": 60})
    assert layout.longest_runs(space).order is None


@given(st.integers(0, 2**31), st.floats(0.05, 1.0))
def test_random_sets_of_a_network_with_laws(seed, share):
    rng = np.random.default_rng(seed)
    whole = StateSpace.reachable(ENZYME)
    space = whole.restrict(rng.random(len(whole)) < share)
    if not len(space):
        return
    generator = Generator(ENZYME, space)
    v = rng.standard_normal(len(space) + generator.n_sinks)
    op = on_runs(generator.plans[0], generator.sinks, mode=FUSED)
    close(op.apply(v), generator.with_sinks @ v, abs(generator.with_sinks) @ np.abs(v))


def test_huge_changes():
    model = network(
        {"X": 0, "Y": 0},
        ("0 -> 1000000 X", "mass_action", 2.0),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "mass_action", 1.0),
    )
    states = [[x + d, y] for x in (0, 10**6, 2 * 10**6) for d in range(4) for y in range(12)]
    generator = Generator(model, StateSpace.from_states(model.species, states))
    check_forms(on_runs(generator.plans[0], generator.sinks), generator.with_sinks, np.random.default_rng(1))


def state_by_state(model, space):
    """The matrix of a generator, dense, from the rates in every state."""
    rates = model.propensities(space.states)
    matrix = -np.diag(rates.sum(axis=0))
    for change, own in zip(model.change, rates, strict=True):
        target = space.index(space.states + change)
        inside = np.flatnonzero(target >= 0)
        np.add.at(matrix, (target[inside], inside), own[inside])
    return matrix


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("low", [False, True])
def test_tables_cover_no_more_than_the_counts_of_states(rng, name, low):
    """Around 10⁸ molecules, and with a few besides: rates are right, and no table begins at zero."""
    model = NETWORKS[name]
    near = np.indices((4,) * model.n_species).reshape(model.n_species, -1).T
    states = np.concatenate([near, near + 10**8]) if low else near + 10**8
    space = StateSpace.from_states(model.species, states)
    tracemalloc.start()
    generator = Generator(model, space)
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert max(held, most) < 20_000_000
    np.testing.assert_allclose(generator.to_csr().toarray(), state_by_state(model, space), rtol=1e-13)
    check_forms(on_runs(generator.plans[0], generator.sinks), generator.with_sinks, rng)
    check_forms(on_runs(generator.plans[1]), generator.to_csr().T.tocsr(), rng)


def test_tables_run_backwards_from_high_counts(rng):
    """S is tied to P by a law, and falls along a run."""
    model = network({"S": 10**8, "P": 3}, ("S -> P", "mass_action", 1e-8), ("P -> S", "mass_action", 1.0))
    space = StateSpace.reachable(model, steps=40)
    generator = Generator(model, space)
    np.testing.assert_allclose(generator.to_csr().toarray(), state_by_state(model, space), rtol=1e-13)
    check_forms(on_runs(generator.plans[0], generator.sinks), generator.with_sinks, rng)


def test_the_operator_of_factorised_rates_is_small():
    space = StateSpace.box(HILL, 999)
    generator = Generator(HILL, space)
    square = generator.to_csr()
    matrix_bytes = square.data.nbytes + square.indices.nbytes + square.indptr.nbytes
    assert not generator.operator.by_rows
    assert generator.nbytes < 0.01 * matrix_bytes


def test_a_vector_of_another_shape_is_refused():
    generator = Generator(HILL, StateSpace.box(HILL, 4))
    for shape in ((24,), (26, 3), (5, 5, 1)):
        with pytest.raises(ValueError, match=r"shape \(25,\)"):
            generator @ np.zeros(shape)
