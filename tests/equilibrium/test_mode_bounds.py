"""Bounds of the slowest eigenvalues against closed forms, on all states, and on spaces that are too small."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from references import MODELS
from written_networks import network

import fsp
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.equilibrium import mode_bounds
from fsp.equilibrium.certificate import roundings
from fsp.moments.complexes import complex_graph, is_detailed_balanced

SHARP = 1e-6  # relative width of an interval


def hold(found, exact, width=SHARP):
    """Require proved rates that are true and sharp."""
    assert all(rate.certified for rate in found.rates), str(found)
    for rate, x in zip(found.rates, exact, strict=True):
        assert rate.lower <= x <= rate.upper
        assert rate.width <= width * x
    assert "≈" not in str(found)


@pytest.mark.parametrize("birth", [3.0, 12.0])
def test_immigration_and_death_has_multiples_of_the_death_rate(birth):
    model = network({"X": 0}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", 0.8))
    hold(fsp.relaxation(model, 3), [0.8, 1.6, 2.4])


def test_an_open_pair_in_detailed_balance_has_sums_of_its_two_rates():
    """0 <-> A <-> B: the rates of a molecule are those of [[-1.5, 1], [0.5, -1]], and their sums those of many."""
    model = network(
        {"A": 9, "B": 0},
        ("0 -> A", "mass_action", 3.0),
        ("A -> 0", "mass_action", 1.0),
        ("A -> B", "mass_action", 0.5),
        ("B -> A", "mass_action", 1.0),
    )
    hold(fsp.relaxation(model, 2), [0.5, 1.0])
    assert "eigenvalue [-0.5000000" in str(fsp.relaxation(model, 1))


def test_closed_isomerisation_and_dimerisation_are_exact():
    model = network({"S": 20, "P": 0}, ("S -> P", "mass_action", 1.0), ("P -> S", "mass_action", 0.3))
    hold(fsp.relaxation(model, 3), [1.3, 2.6, 3.9], 1e-11)
    pairs = network({"A": 6, "D": 0}, ("2 A -> D", "mass_action", 1.0), ("D -> 2 A", "mass_action", 2.0))
    A = fsp.Generator(pairs, fsp.StateSpace.reachable(pairs)).to_csr().toarray()
    hold(fsp.relaxation(pairs, 2), np.sort(-np.linalg.eigvals(A).real)[1:3], 1e-11)


def test_few_states_need_no_detailed_balance():
    """Five molecules around a ring: eigenvalues are sums of those of one, -3 ± i √2 at rates 1, 2, 3."""
    model = network(
        {"A": 5, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 2.0),
        ("C -> A", "mass_action", 3.0),
    )
    found = fsp.relaxation(model, 4)
    hold(found, [3.0, 3.0, 6.0, 6.0], 1e-9)
    turns = np.abs(found.eigenvalues.imag) / np.sqrt(2.0)
    sums = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 2.0], [0.0, 2.0]])  # of -6 and -6 ± 2i √2 any two, in any order
    assert (np.abs(turns[:, None] - sums).min(axis=1) <= found.radii).all()
    assert "off by at most" in str(found)


def test_a_population_that_dies_out_has_a_bounded_decay_rate():
    """Birth, death and competition with 0 absorbing: the decay rate, and that of a quasi-stationary law at it."""
    model = network(
        {"X": 5}, ("X -> 2 X", "mass_action", 1.5), ("X -> 0", "mass_action", 1.0), ("2 X -> X", "mass_action", 0.5)
    )
    n = np.arange(1, 61, dtype=float)
    up, down = 1.5 * n, n + 0.25 * n * (n - 1)
    A = np.diag(-(up + down)) + np.diag(up[:-1], -1) + np.diag(down[1:], 1)
    hold(fsp.relaxation(model, 2), np.sort(-np.linalg.eigvals(A).real)[:2])


def test_deep_wells_are_told_apart():
    found = fsp.relaxation(fsp.load(MODELS / "schloegl_small.ant"), 2)
    assert found.rates[0].certified
    assert found.rates[0].lower > 2.5e-5
    assert found.rates[0].width < 1e-3 * found.rates[0].lower


def test_what_has_no_detailed_balance_and_no_end_is_an_estimate():
    found = fsp.relaxation(fsp.load(MODELS / "telegraph.ant"), 2)
    assert not found.rates[0].certified
    assert "detailed balance" in found.rates[0].reason
    assert np.isinf(found.radii).all()


def test_bounds_hold_on_few_states():
    """On hardly enough states of immigration and death the two ends lie apart, and the truth between them."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 3.0), ("X -> 0", "mass_action", 1.0))
    weight = mode_bounds._weight(model, 6.0)
    n = np.arange(weight.condition.states.max() + 1, 300)[:, None]
    W = [weight.condition.values(n + step) for step in (-1, 0, 1)]
    assert (3.0 * (W[2] - W[1]) + n[:, 0] * (W[0] - W[1]) <= -weight.theta * W[1]).all()
    for more in (0, 3):
        most = int(weight.condition.states.max()) + more
        space = fsp.StateSpace.reachable(model, constraints=[f"X <= {most}"])
        parts = mode_bounds._SymmetricParts.of(fsp.Generator(model, space), weight, np.array([[0]]), absorbed=False)
        above, below = (np.linalg.eigvalsh(part.toarray())[:2] for part in (parts.above, parts.below))
        assert (np.minimum(below, weight.theta) <= [0.0, 1.0]).all()
        assert (above >= [0.0, 1.0]).all()
        assert (above - np.minimum(below, weight.theta) > 1e-8).all()
        low, high = parts.bounds(1, 1.0, weight.theta)
        assert low <= 1.0 <= high
        assert parts.bounds(1, 1.0, 0.5)[0] == 0.5


@pytest.mark.parametrize("least", [0.1, 1.0 / 3.0, 0.7, 6.0])
def test_a_weight_falls_no_faster_than_its_cost_says(least):
    """θ is the cost over the largest factor of the function, which is 1 where no molecule is: in rationals."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 3.0), ("X -> 0", "mass_action", 0.9))
    weight = mode_bounds._weight(model, least)
    factor = weight.condition.function[0,]
    assert Fraction(least) * (1 - Fraction(1e-14)) <= Fraction(weight.theta) * factor <= Fraction(least)


@pytest.mark.parametrize("seed", range(20))
def test_an_eigenvalue_is_bounded_where_its_place_among_the_others_is_sure(seed, monkeypatch):
    """Discs that overlap, around eigenvalues 0, -1, -1.05 and -3: the first two may be in either order."""
    random = np.random.default_rng(seed)
    discs = np.array([0.0, -1.0, -1.05, -3.0]) + 0j, np.array([1e-9, *random.uniform(0.1, 0.3, 3)])
    monkeypatch.setattr(mode_bounds, "all_eigenvalues", lambda matrix, error: discs)
    model = network({"A": 3, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 0.3))
    generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    for value, places in ((-1.0, (0, 1)), (-1.05, (0, 1)), (-3.0, (2,))):
        values = np.full(3, value + 1e-3 * random.random()) + 0j
        found = mode_bounds._of_few(generator, values)
        i = discs[0].tolist().index(value)
        true = abs(Fraction(discs[0][i].real) - Fraction(values[0].real)) + Fraction(discs[1][i])
        for k in range(3):
            if k in places:
                assert true <= Fraction(found[k]) <= true * Fraction(1 + 1e-14)
            else:
                assert found[k] == np.inf


def test_catalysed_ways_count_where_the_catalyst_is_there():
    """Around a ring in detailed balance, D opens two ways that are not."""
    plain = [("A -> B", 1.0), ("B -> A", 2.0), ("B -> C", 1.0), ("C -> B", 2.0), ("C -> A", 4.0), ("A -> C", 1.0)]
    model = network(
        {"A": 2, "B": 0, "C": 0, "D": 1},
        *((way, "mass_action", rate) for way, rate in plain),
        ("A + D -> B + D", "mass_action", 5.0),
        ("B + D -> A + D", "mass_action", 0.5),
    )
    for catalysts in (0, 1):
        drawn = model.with_initial({"D": catalysts})
        graph = complex_graph(drawn, np.any(drawn.initial_states > 0, axis=0))
        assert is_detailed_balanced(graph) is (catalysts == 0)
        assert mode_bounds._in_detailed_balance(drawn, absorbed=False) is (catalysts == 0)
        A = fsp.Generator(drawn, fsp.StateSpace.reachable(drawn)).to_csr().toarray()
        exact = np.sort(-np.linalg.eigvals(A).real)[1:3]
        hold(fsp.relaxation(drawn, 2), exact, 1e-2)


@pytest.mark.parametrize(("birth", "death", "top"), [(3.0, 1.0, 0), (3.0, 1.0, 60), (0.2, 1.0, 5), (40.0, 1.0, 0)])
def test_all_rates_of_a_row_may_be_rounded(birth, death, top):
    """The charge is at least what the relative errors of rates make of a row, by the parts that the row is a sum of."""
    model = network({"X": 0}, ("0 -> X", "mass_action", birth), ("X -> 0", "mass_action", death))
    weight = mode_bounds._weight(model, 6.0)
    space = fsp.StateSpace.reachable(model, constraints=[f"X <= {int(weight.condition.states.max()) + top}"])
    generator = fsp.Generator(model, space)
    parts = mode_bounds._SymmetricParts.of(generator, weight, np.array([[0]]), absorbed=False)
    rows = np.abs(parts.above.toarray()).sum(axis=1)
    back = (parts.above - parts.below).diagonal()
    assert back[-1] > 0.0
    assert parts.charge >= roundings(generator) * (rows + back).max()
    assert parts.charge <= 1000.0 * UNIT_ROUNDOFF * (rows + back).max()
    closed = network({"S": 200, "P": 0}, ("S -> P", "mass_action", birth), ("P -> S", "mass_action", death))
    generator = fsp.Generator(closed, fsp.StateSpace.reachable(closed))
    parts = mode_bounds._SymmetricParts.of(generator, None, closed.initial_states, absorbed=False)
    rows = np.abs(parts.above.toarray()).sum(axis=1)
    assert roundings(generator) * rows.max() <= parts.charge <= 100.0 * UNIT_ROUNDOFF * rows.max()


def test_what_a_count_is_unsure_of_is_in_the_bound(monkeypatch):
    parts = mode_bounds._SymmetricParts("above", "below", 1e-15)
    monkeypatch.setattr(mode_bounds, "negative_pivots", lambda part, at, charge: (int(part == "above") + 1, 0.25))
    low, high = parts.bounds(1, 1.0, 10.0)
    assert 0.75 - 1e-11 <= low <= 0.75
    assert 1.25 <= high <= 1.25 + 1e-11


rates = st.floats(0.1, 10.0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.tuples(rates, rates, rates, rates, rates, rates))
def test_independent_molecules_have_sums_of_the_rates_of_a_single_one(n, k):
    """On a triangle with any rates: j λ + l μ for j + l <= n, of the two eigenvalues λ and μ of a single molecule."""
    ways = (("A", "B"), ("B", "A"), ("B", "C"), ("C", "B"), ("C", "A"), ("A", "C"))
    model = network(
        {"A": n, "B": 0, "C": 0}, *((f"{a} -> {b}", "mass_action", x) for (a, b), x in zip(ways, k, strict=True))
    )
    A = np.zeros((3, 3))
    for (a, b), x in zip(ways, k, strict=True):
        A["ABC".index(b), "ABC".index(a)] += x
        A["ABC".index(a), "ABC".index(a)] -= x
    first, second = sorted(np.linalg.eigvals(A), key=abs)[1:]
    assume(abs(first - second) > 1e-3 * abs(second))  # others are hardly told apart, and may have no bound
    sums = [j * first + i * second for j in range(n + 1) for i in range(n + 1 - j) if j + i]
    exact = sorted(-x.real for x in sums)[:2]
    for rate, x in zip(fsp.relaxation(model, 2).rates, exact, strict=True):
        if rate.certified:
            assert rate.lower - 1e-10 <= x <= rate.upper + 1e-10
            assert rate.width <= 1e-2 * x


def test_a_triangle_is_balanced_where_its_rates_agree_both_ways_round():
    def triangle(last):
        sides = [("A", "B", 2.0), ("B", "A", 1.0), ("B", "C", 3.0), ("C", "B", 1.0), ("C", "A", 0.1), ("A", "C", last)]
        return network({"A": 1, "B": 0, "C": 0}, *((f"{a} -> {b}", "mass_action", k) for a, b, k in sides))

    assert is_detailed_balanced(complex_graph(triangle(0.6)))
    assert not is_detailed_balanced(complex_graph(triangle(0.7)))
    one_way = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0))
    assert not is_detailed_balanced(complex_graph(one_way))


def test_modes_of_one_of_several_classes_are_bounded_by_its_own_jumps():
    """Two classes of a line, to 9 and from 10 on, where deaths are ten times as fast: states of both are listed."""
    model = network(
        {"X": 15},
        ("0 -> X", "rate", "piecewise(1, X < 9, 0, X < 10, 30)"),
        ("X -> 0", "rate", "piecewise(0.01*X, X < 10, 0, X < 11, X)"),
    )
    space = fsp.StateSpace.box(model, upper={"X": 80})
    generator = fsp.Generator(model, space)
    weight = mode_bounds._weight(model, 8.0)
    upper, lower = space.states[10:], space.states[:10]
    parts = [
        mode_bounds._SymmetricParts.of(generator, weight, members, absorbed=False).above.shape[0]
        for members in (upper, lower)
    ]
    assert parts == [71, 10]
    assert mode_bounds._SymmetricParts.of(generator, weight, space.states, absorbed=False) is None
    found = fsp.relaxation(model, 1)
    A = generator.to_csr().toarray()[10:, 10:]
    assert found.rates[0].certified
    assert -np.sort(np.linalg.eigvals(A).real)[-2] in found.rates[0]
