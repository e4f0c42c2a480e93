"""Generators against the master equation: written out by hand, and by loops over states."""

from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import naive
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from random_networks import as_model, closed_networks, networks

from fsp import Generator, Model, ModelError, Reaction, StateSpace, StateSpaceError
from fsp.generator.operator import Operator
from fsp.generator.slices import slices_of

ROUNDING = 1e-13  # relative: a column is a sum of a few products


def network(species, *reactions):
    """Return a mass-action network of reactions given as (equation, constant)."""
    return Model(species=species, reactions=[Reaction(e, mass_action=c) for e, c in reactions])


def dense(generator):
    return generator.to_csr().toarray()


def rows_of(space):
    return [tuple(row) for row in space.states.tolist()]


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=ROUNDING, atol=ROUNDING * max(1.0, np.abs(expected).max()))


def assert_is_generator(generator):
    """Check what holds for every generator, whatever the network and the space."""
    n, n_sinks = len(generator), generator.n_sinks
    square, sinks, closed = generator.to_csr(), generator.sinks, generator.with_sinks
    assert generator.shape == square.shape == (n, n)
    assert sinks.shape == (n_sinks, n)
    assert len(generator.sink_names) == n_sinks == len(set(generator.sink_names))
    assert closed.shape == (n + n_sinks, n + n_sinks)
    assert generator.nnz == closed.nnz == square.nnz + sinks.nnz
    # columns, with the sinks, sum to zero
    scale = max(1.0, generator.exit_rates.max())
    np.testing.assert_allclose(np.asarray(closed.sum(axis=0)).ravel(), 0.0, atol=ROUNDING * scale)
    # what enters a sink stays there
    whole = closed.toarray()
    assert not whole[:, n:].any()
    np.testing.assert_array_equal(whole[:n, :n], square.toarray())
    np.testing.assert_array_equal(whole[n:, :n], sinks.toarray())
    # signs, and the diagonal
    np.testing.assert_array_equal(square.diagonal(), -generator.exit_rates)
    off = square.toarray()
    np.fill_diagonal(off, 0.0)
    assert off.min(initial=0.0) >= 0.0
    assert sinks.data.min(initial=0.0) >= 0.0
    # sorted, without repeats, 32 bits
    for matrix in (square, closed):
        assert matrix.indices.dtype == matrix.indptr.dtype == np.int32
        for i in range(n):
            assert (np.diff(matrix.indices[matrix.indptr[i] : matrix.indptr[i + 1]]) > 0).all()
    assert generator.roundings >= np.diff(square.indptr).max()
    assert generator.work >= generator.nnz
    assert_is_the_operator_of_its_matrix(generator)
    assert_leaks_are_the_sinks(generator)


def assert_is_the_operator_of_its_matrix(generator):
    """The products, of every form, are those of the matrix, to rounding."""
    rng = np.random.default_rng(len(generator))
    v = rng.standard_normal((len(generator) + generator.n_sinks, 3))
    square, closed = generator.to_csr(), generator.with_sinks
    n = len(generator)
    assert_close_by_row(generator @ v[:n, 0], square, v[:n, 0])
    assert_close_by_row((generator @ v[:n])[:, 2], square, v[:n, 2])
    assert_close_by_row(generator.T @ v[:n, 1], square.T.tocsr(), v[:n, 1])
    assert_close_by_row(generator.operator.apply(v[:, 0]), closed, v[:, 0])
    assert_close_by_row(Operator(slices_of(generator.plans[0], sinks=generator.sinks)).apply(v[:, 0]), closed, v[:, 0])
    rows, columns, values = generator.to_coo()
    np.testing.assert_array_equal(np.diff(square.indptr), np.bincount(rows, minlength=n))
    np.testing.assert_array_equal(columns, square.indices)
    np.testing.assert_array_equal(values, square.data)
    np.testing.assert_array_equal(generator.largest_exit_rate, generator.exit_rates.max())


def assert_close_by_row(actual, matrix, v):
    """Compare a product with that of a matrix, each entry on the scale of what it is summed from."""
    expected, size = matrix @ v, abs(matrix) @ np.abs(v)
    assert (np.abs(actual - expected) <= 1e-14 * size).all()


def assert_leaks_are_the_sinks(generator):
    space, total = generator.space, np.zeros(len(generator))
    for leak in generator.leaks:
        assert len(np.unique(leak.sources)) == len(leak.sources) == len(leak.rates) > 0
        assert all((generator.model.change[k] == leak.change).all() for k in leak.reactions)
        targets = space.states[leak.sources] + leak.change
        assert targets.min() >= 0
        assert (space.index(targets) == -1).all()
        np.add.at(total, leak.sources, leak.rates)
    assert_close(generator.leak_rates, np.asarray(generator.sinks.sum(axis=0)).ravel())
    assert_close(generator.leak_rates, total)


# ---- written out by hand ----------------------------------------------------------------------------------


def test_degradation():
    """dP(n)/dt = k (n+1) P(n+1) - k n P(n)."""
    k, top = 0.7, 12
    generator = Generator(network({"X": top}, ("X -> 0", k)), StateSpace.box(network({"X": top}, ("X -> 0", k)), top))
    p = np.random.default_rng(1).random(top + 1)
    expected = [k * (n + 1) * (p[n + 1] if n < top else 0.0) - k * n * p[n] for n in range(top + 1)]
    assert_close(generator @ p, expected)
    assert generator.sink_names == ()
    assert generator.nnz == 2 * top + 1
    assert_is_generator(generator)


def test_zeroth_order():
    """dP(n)/dt = k P(n-1) - k P(n); what leaves the last state is lost."""
    k, top = 3.0, 6
    model = network({"X": 0}, ("0 -> X", k))
    generator = Generator(model, StateSpace.box(model, top))
    expected = np.diag(np.full(top, k), -1) - k * np.eye(top + 1)
    np.testing.assert_array_equal(dense(generator), expected)
    np.testing.assert_array_equal(generator.exit_rates, np.full(top + 1, k))
    assert generator.sink_names == ("X <= 6",)
    np.testing.assert_array_equal(generator.sinks.toarray(), [[0, 0, 0, 0, 0, 0, k]])
    assert_is_generator(generator)


def test_first_order_conversion():
    """dP(a)/dt = f (a+1) P(a+1) + r (N-a+1) P(a-1) - (f a + r (N-a)) P(a)."""
    f, r, total = 2.0, 0.5, 9
    model = network({"A": total, "B": 0}, ("A -> B", f), ("B -> A", r))
    generator = Generator(model, StateSpace.reachable(model))
    p = np.concatenate([[0.0], np.random.default_rng(2).random(total + 1), [0.0]])  # p[a + 1] belongs to a
    expected = [
        f * (a + 1) * p[a + 2] + r * (total - a + 1) * p[a] - (f * a + r * (total - a)) * p[a + 1]
        for a in range(total + 1)
    ]
    assert_close(generator @ p[1:-1], expected)
    assert_is_generator(generator)


def test_bimolecular():
    """dP(a,b,c)/dt = k (a+1) (b+1) P(a+1,b+1,c-1) - k a b P(a,b,c)."""
    k = 0.3
    model = network({"A": 4, "B": 3, "C": 1}, ("A + B -> C", k))
    space = StateSpace.box(model, [4, 3, 4])
    generator = Generator(model, space)
    p = np.random.default_rng(3).random((5, 4, 5))
    expected = np.zeros_like(p)
    for a, b, c in np.ndindex(p.shape):
        expected[a, b, c] = -k * a * b * p[a, b, c]
        if a < 4 and b < 3 and c > 0:
            expected[a, b, c] += k * (a + 1) * (b + 1) * p[a + 1, b + 1, c - 1]
    assert_close(generator @ p.ravel(), expected.ravel())
    assert generator.sink_names == ("C <= 4",)
    lost = [k * a * b if c == 4 else 0.0 for a, b, c in np.ndindex(p.shape)]
    assert_close(generator.sinks.toarray(), [lost])
    assert_is_generator(generator)


def test_homodimer():
    """dP(x)/dt = c (x+2) (x+1) / 2 P(x+2) - c x (x-1) / 2 P(x)."""
    c, top = 1.5, 11
    model = network({"X": top}, ("2 X -> 0", c))
    space = StateSpace.box(model, top)
    generator = Generator(model, space)
    p = np.concatenate([np.random.default_rng(4).random(top + 1), [0.0, 0.0]])
    expected = [c * (x + 2) * (x + 1) / 2 * p[x + 2] - c * x * (x - 1) / 2 * p[x] for x in range(top + 1)]
    assert_close(generator @ p[: top + 1], expected)
    assert generator.exit_rates[:4].tolist() == [0.0, 0.0, c, 3 * c]
    assert_is_generator(generator)


def test_termolecular_autocatalysis():
    """dP(x)/dt = c (x-1)(x-2)(x-3) / 6 P(x-1) - c x (x-1) (x-2) / 6 P(x)."""
    c, top = 0.25, 8
    model = network({"X": 4}, ("3 X -> 4 X", c))
    generator = Generator(model, StateSpace.box(model, top))
    p = np.random.default_rng(5).random(top + 1)
    expected = [-c * x * (x - 1) * (x - 2) / 6 * p[x] for x in range(top + 1)]
    for x in range(1, top + 1):
        expected[x] += c * (x - 1) * (x - 2) * (x - 3) / 6 * p[x - 1]
    assert_close(generator @ p, expected)
    assert_is_generator(generator)


# ---- the general formula ----------------------------------------------------------------------------------


def constants_of(drawn):
    return [reaction["mass_action"] for reaction in drawn["reactions"]]


def assert_is_the_master_equation(model, space, constants):
    generator = Generator(model, space)
    matrix, leaving = naive.generator(model, rows_of(space), constants)
    assert_close(dense(generator), matrix)
    assert_close(generator.leak_rates, leaving)
    assert_close(generator.exit_rates, -_full_exit(model, rows_of(space), constants))
    assert_is_generator(generator)


def _full_exit(model, rows, constants):
    moving = [k for k in range(model.n_reactions) if model.change[k].any()]
    return np.array([-sum(naive.rate(model, k, x, constants[k]) for k in moving) for x in rows])


@given(networks(), st.integers(0, 3))
def test_general_formula_on_reachable_spaces(drawn, steps):
    model = as_model(drawn)
    assert_is_the_master_equation(model, StateSpace.reachable(model, steps=steps), constants_of(drawn))


@given(networks(), st.data())
def test_general_formula_on_any_set_of_states(drawn, data):
    """With holes, in pieces, of one state."""
    model = as_model(drawn)
    state = st.tuples(*[st.integers(0, 6)] * model.n_species)
    members = data.draw(st.sets(state, min_size=1, max_size=40))
    space = StateSpace.from_states(model.species, sorted(members))
    assert_is_the_master_equation(model, space, constants_of(drawn))


@given(networks(), st.lists(st.integers(0, 2), min_size=4, max_size=4), st.integers(0, 5))
def test_general_formula_on_restricted_boxes(drawn, extra, most):
    model = as_model(drawn)
    start = model.initial_states[0]
    upper = start + np.array(extra[: model.n_species])
    box = StateSpace.box(model, upper.tolist(), np.maximum(start - 1, 0).tolist())
    assert_is_the_master_equation(model, box, constants_of(drawn))
    pieces = box.restrict(box.states[:, 0] != most)
    assume(len(pieces))
    assert_is_the_master_equation(model, pieces, constants_of(drawn))


@given(closed_networks())
def test_closed_networks_lose_nothing(drawn):
    model = as_model(drawn)
    generator = Generator(model, StateSpace.reachable(model))
    assert generator.n_sinks == 0
    assert generator.leaks == ()
    assert not generator.leak_rates.any()
    assert_is_generator(generator)


@pytest.mark.parametrize("kind", ["reachable", "box", "from_states", "union", "grown"])
@pytest.mark.parametrize("burst", [1, 2, 3, 4, 7, 50])
def test_bursts_that_pass_the_edge_of_a_field(kind, burst):
    reactions = [("0 -> A", 1.0), (f"0 -> {burst} B", 2.0), ("B -> 0", 0.5), (f"{min(burst, 3)} B -> A", 0.1)]
    model = network({"A": 0, "B": 0}, *reactions)
    box = StateSpace.box(model, {"A": 3, "B": 5})
    space = {
        "reachable": lambda: StateSpace.reachable(model, ["A <= 3", "B <= 5"]),
        "box": lambda: box,
        "from_states": lambda: StateSpace.from_states(model.species, box.states),
        "union": lambda: box.restrict("A <= 1") | box.restrict("A >= 1"),
        "grown": lambda: StateSpace.from_states(model.species, [[0, 5], [1, 0]]).grow(model, 2),
    }[kind]()
    assert_is_the_master_equation(model, space, [c for _, c in reactions])


def test_several_words_of_keys():
    names = [f"S{i}" for i in range(7)]
    reactions = [(f"0 -> {name}", 1.0 + i) for i, name in enumerate(names)]
    reactions += [(f"{a} -> {b}", 0.1) for a, b in pairwise(names)]
    model = network(dict.fromkeys(names, 0), *reactions)
    space = StateSpace.reachable(model, [f"{name} <= 1" for name in names])
    assert space.encoding.n_words > 1
    assert_is_the_master_equation(model, space, [c for _, c in reactions])


@pytest.mark.parametrize("equation", ["B -> 0", "0 -> B", "A + B -> 0", "2 A -> 3 B"])
def test_network_that_breaks_the_laws_of_the_space(equation):
    """The space of one network serves another: where the keys leave a species out, this must not go unseen."""
    closed = network({"A": 2, "B": 1}, ("A -> B", 1.0), ("B -> A", 2.0))
    other = network({"A": 2, "B": 1}, ("A -> B", 1.0), ("B -> A", 2.0), (equation, 0.5))
    space = StateSpace.reachable(closed)
    try:
        generator = Generator(other, space)
    except StateSpaceError:
        return
    matrix, leaving = naive.generator(other, rows_of(space), [1.0, 2.0, 0.5])
    assert_close(dense(generator), matrix)
    assert_close(generator.leak_rates, leaving)


def test_reactions_with_equal_change_are_merged():
    model = network({"X": 1}, ("X -> 2 X", 0.5), ("0 -> X", 2.0), ("2 X -> 3 X", 0.1), ("X -> 0", 1.0))
    generator = Generator(model, StateSpace.box(model, 4))
    assert generator.to_csr().nnz == 5 + 2 * 4
    up = [2.0 + 0.5 * x + 0.1 * x * (x - 1) / 2 for x in range(5)]
    assert_close(np.diag(dense(generator), -1), up[:4])
    (leak,) = generator.leaks
    assert leak.reactions == (0, 1, 2)
    assert leak.sources.tolist() == [4]
    assert_close(leak.rates, up[4:])
    assert_is_generator(generator)


def test_reactions_without_change_are_ignored():
    model = network({"A": 2, "B": 1}, ("A + B -> B + A", 5.0), ("A -> B", 1.0))
    plain = network({"A": 2, "B": 1}, ("A -> B", 1.0))
    generator = Generator(model, StateSpace.reachable(model))
    np.testing.assert_array_equal(dense(generator), dense(Generator(plain, StateSpace.reachable(plain))))
    still = network({"A": 2}, ("A -> A", 5.0))
    frozen = Generator(still, StateSpace.reachable(still))
    assert dense(frozen).tolist() == [[0.0]]
    assert_is_generator(frozen)


def test_one_state_and_absorbing_states():
    model = network({"X": 0}, ("X -> 0", 1.0))
    generator = Generator(model, StateSpace.reachable(model))
    assert dense(generator).tolist() == [[0.0]]
    birth = network({"X": 3}, ("0 -> X", 2.0))
    single = Generator(birth, StateSpace.reachable(birth, steps=0))
    assert dense(single).tolist() == [[-2.0]]
    assert single.sinks.toarray().tolist() == [[2.0]]
    for one in (generator, single):
        assert_is_generator(one)


def test_hundreds_of_runs_may_lead_into_one():
    """Every other state of one fiber leads into a fiber without holes: more sources than rows expect at first."""
    model = network({"Y": 1, "X": 0}, ("Y -> 0", 2.0), ("X -> 0", 0.5))
    space = StateSpace.from_states(("Y", "X"), [[0, x] for x in range(600)] + [[1, 2 * x] for x in range(300)])
    assert_is_the_master_equation(model, space, [2.0, 0.5])


@given(networks(), st.integers(1, 3))
def test_operator_is_its_matrix(drawn, columns):
    model = as_model(drawn)
    generator = Generator(model, StateSpace.reachable(model, steps=2))
    p = np.random.default_rng(len(generator)).random((len(generator), columns))
    np.testing.assert_array_equal((generator @ p)[:, -1], generator @ p[:, -1].copy())
    assert_is_the_operator_of_its_matrix(generator)
    assert_close((generator @ p[:, 0]).sum() + (generator.sinks @ p[:, 0]).sum(), 0.0)


# ---- sinks ------------------------------------------------------------------------------------------------


def test_one_sink_for_each_boundary():
    model = network({"A": 1, "B": 1}, ("0 -> A", 1.0), ("0 -> B", 2.0), ("A -> 0", 3.0), ("B -> 0", 4.0))
    generator = Generator(model, StateSpace.box(model, {"A": 2, "B": 3}, {"B": 1}))
    sinks = dict(zip(generator.sink_names, generator.sinks.toarray().reshape(-1, 3, 3), strict=True))
    expected = {name: np.zeros((3, 3)) for name in ("A <= 2", "B <= 3", "B >= 1")}
    expected["A <= 2"][2, :] = 1.0
    expected["B <= 3"][:, 2] = 2.0
    expected["B >= 1"][:, 0] = 4.0
    assert sinks.keys() == expected.keys()
    for name, rates in expected.items():
        assert_close(sinks[name], rates)
    assert_is_generator(generator)


def test_a_jump_is_counted_once_where_it_breaks_several_constraints():
    model = network({"A": 0, "B": 0}, ("0 -> A + B", 1.0), ("0 -> A", 2.0))

    def few(x):
        return x["A"] + x["B"] <= 3

    generator = Generator(model, StateSpace.reachable(model, ["A <= 1", few, "B <= 1"]))
    assert rows_of(generator.space) == [(0, 0), (1, 0), (1, 1)]
    assert set(generator.sink_names) == {"A <= 1"}
    assert_close(generator.sinks.toarray(), [[0.0, 3.0, 3.0]])
    wider = Generator(model, StateSpace.reachable(model, [few, "A <= 2"]))
    flux = dict(zip(wider.sink_names, wider.sinks.toarray(), strict=True))
    assert flux.keys() == {"few", "A <= 2"}
    assert rows_of(wider.space) == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert_close(flux["few"], [0.0, 0.0, 1.0, 1.0, 3.0])
    assert_close(flux["A <= 2"], [0.0, 0.0, 0.0, 2.0, 0.0])
    assert_is_generator(wider)


def test_jumps_through_no_constraint_are_named_by_their_reactions():
    model = Model(
        species={"X": 0},
        reactions=[
            Reaction("0 -> X", mass_action=1.0, name="birth"),
            Reaction("X -> 2 X", mass_action=1.0, name="split"),
            Reaction("0 -> 2 X", mass_action=1.0, name="burst"),
        ],
    )
    generator = Generator(model, StateSpace.from_states(("X",), [[0], [1], [4]]))
    flux = dict(zip(generator.sink_names, generator.sinks.toarray(), strict=True))
    assert flux.keys() == {"reaction birth, split", "reaction burst"}
    assert_close(flux["reaction birth, split"], [0.0, 2.0, 5.0])
    assert_close(flux["reaction burst"], [1.0, 1.0, 1.0])
    assert_is_generator(generator)


# ---- time -------------------------------------------------------------------------------------------------


def pulsed():
    return Model(
        species={"X": 0, "Y": 1},
        parameters={"k": 3.0},
        reactions=[
            Reaction("0 -> X", rate="k*max(0, sin(time))", name="pulse"),
            Reaction("0 -> X", mass_action=0.25, name="leak"),
            Reaction("X -> 0", mass_action=1.0, name="death"),
            Reaction("Y -> X", rate="Y*time", name="turn"),
            Reaction("X -> Y", rate=lambda x, t: x["X"] * t**2, name="back"),
        ],
    )


@pytest.mark.parametrize("t", [0.0, 0.5, 2.0, 4.0])
def test_generator_at_a_time(t):
    model = pulsed()
    space = StateSpace.box(model, {"X": 3, "Y": 2})
    start = Generator(model, space)
    generator = start.at(t)
    assert generator.t == t
    rows = rows_of(space)
    expected = np.zeros((len(rows), len(rows)))
    for j, (x, y) in enumerate(rows):
        birth = 3.0 * max(0.0, np.sin(t)) + 0.25
        jumps = [((x + 1, y), birth), ((x - 1, y), x), ((x + 1, y - 1), y * t), ((x - 1, y + 1), x * t * t)]
        for target, rate in jumps:
            expected[j, j] -= rate
            if target in rows:
                expected[rows.index(target), j] += rate
    assert_close(dense(generator), expected)
    assert_is_generator(generator)
    # another time, the same pattern: solvers add such matrices
    np.testing.assert_array_equal(generator.with_sinks.indices, start.with_sinks.indices)
    np.testing.assert_array_equal(generator.with_sinks.indptr, start.with_sinks.indptr)
    assert generator.sink_names == start.sink_names == ("X <= 3", "Y <= 2")
    fresh = Generator(model, space, t)
    np.testing.assert_array_equal(fresh.with_sinks.toarray(), generator.with_sinks.toarray())
    np.testing.assert_array_equal(generator.at(0.0).with_sinks.data, start.with_sinks.data)


def test_generator_at_the_same_time_is_itself():
    constant = network({"X": 1}, ("X -> 0", 1.0))
    generator = Generator(constant, StateSpace.reachable(constant))
    assert generator.at(7.0) is generator
    timed = Generator(pulsed(), StateSpace.box(pulsed(), 2), 1.5)
    assert timed.at(1.5) is timed


def test_faults_at_a_later_time_are_found():
    model = Model(species={"X": 1}, reactions=[Reaction("X -> 0", rate="X*(1 - time)", name="death")])
    generator = Generator(model, StateSpace.reachable(model))
    with pytest.raises(ModelError, match=r"'death' must be finite and non-negative, but is -1 .*'X': 1.* at t = 2"):
        generator.at(2.0)


# ---- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equation", "rate", "message"),
    [
        ("0 -> X", "X - 2.5", r"'bad' must be finite and non-negative, but is -2\.5 in state .*'X': 0"),
        ("0 -> X", "1/(X - 3)", r"'bad' must be finite and non-negative, but is -0\.333333 in state .*'X': 0"),
        ("0 -> X", "1/(3 - X)^2", r"'bad' must be finite and non-negative, but is inf in state .*'X': 3"),
        ("0 -> X", "(X - 3)/(X - 3)", r"'bad' must be finite and non-negative, but is nan in state .*'X': 3"),
        ("0 -> X", lambda x: np.where(x["X"] == 2, nan, 1.0), r"'bad' .* but is nan in state .*'X': 2"),
        ("0 -> X", lambda x: np.where(x["X"] == 2, inf, 1.0), r"'bad' .* but is inf in state .*'X': 2"),
        ("X -> 0", "1", r"'bad' must be 0 where .* 'X' negative, but is 1 in state .*'X': 0"),
        ("2 X -> 0", "X", r"'bad' must be 0 where .* 'X' negative, but is 1 in state .*'X': 1"),
        ({"X": -3}, lambda x: x["X"] > 1, r"'bad' must be 0 where .* 'X' negative, but is 1 in state .*'X': 2"),
    ],
)
def test_impossible_propensities_are_refused(equation, rate, message):
    model = Model(species={"X": 4, "Y": 0}, reactions=[Reaction(equation, rate=rate, name="bad")])
    with pytest.raises(ModelError, match=message):
        Generator(model, StateSpace.from_states(("X", "Y"), [[x, 0] for x in range(5)]))


def test_faults_outside_the_space_do_no_harm():
    model = Model(species={"X": 1}, reactions=[Reaction("0 -> X", rate="4 - X", name="birth")])
    assert dense(Generator(model, StateSpace.reachable(model, steps=2))).diagonal().tolist() == [-3.0, -2.0, -1.0]


def test_space_of_other_species_is_refused():
    model = network({"A": 1, "B": 1}, ("A -> B", 1.0))
    for species in (("B", "A"), ("A",), ("A", "B", "C")):
        space = StateSpace.from_states(species, [[1] * len(species)])
        with pytest.raises(StateSpaceError, match=r"must be of the model's species \('A', 'B'\), but is of"):
            Generator(model, space)


def test_empty_space_is_refused():
    model = network({"A": 1}, ("A -> 0", 1.0))
    space = StateSpace.from_states(("A",), np.empty((0, 1), dtype=int))
    with pytest.raises(StateSpaceError, match="must have at least one state, but is empty"):
        Generator(model, space)
