"""Conservation laws and bounds that follow from the stoichiometry."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.model.echelon import echelon
from fsp.model.structure import conservation_laws, species_bounds


def laws(*rows):
    return conservation_laws(np.array(rows, dtype=np.int64)).tolist()


def bounds(rows, *states):
    return species_bounds(np.array(rows, dtype=np.int64), np.array(states, dtype=np.int64)).tolist()


def operator_network():
    """Return three operator sites, each free or bound by CI (made and lost) or Cro: 50 reactions."""
    rows = []
    for site in range(3):
        for bound, protein in ((3 + site, 9), (6 + site, 10)):
            row = np.zeros(11, dtype=np.int64)
            row[[site, protein, bound]] = -1, -1, 1
            rows += [row, -row, row, -row, row, -row, row, -row]
    return np.array([*rows, np.eye(11, dtype=np.int64)[9], -np.eye(11, dtype=np.int64)[9]])


def test_textbook_laws():
    assert laws([-1, -1, 1], [1, 1, -1]) == [[1, 0, 1], [0, 1, 1]]  # A + B <-> C
    assert laws([-2, 1], [2, -1]) == [[1, 2]]  # 2 A <-> B
    assert laws([-1, -1, 1, 0], [1, 1, -1, 0], [0, 1, -1, 1]) == [[0, 1, 1, 0], [1, 0, 1, 1]]  # S, E, ES, P
    assert laws([-1, -2, 1, 0], [1, 2, -1, 0], [0, 1, -1, 1]) == [[1, 0, 1, 1], [0, 1, 2, 1]]  # S, E, ES2, P
    assert laws([1], [-1]) == []
    assert laws([0, 1]) == [[1, 0]]  # a species that nothing changes


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 5).flatmap(lambda d: st.lists(st.lists(st.integers(-3, 3), min_size=d, max_size=d), max_size=6)))
def test_the_echelon_form_is_reduced_and_spans_the_rows(rows):
    width = len(rows[0]) if rows else 0
    found, pivots = echelon(rows, width)
    assert pivots == sorted(pivots)
    assert len(pivots) == (np.linalg.matrix_rank(np.array(rows)) if rows else 0)
    for k, row in enumerate(found):
        assert [row[pivot] for pivot in pivots] == [int(j == k) for j in range(len(pivots))]
        assert not any(row[: pivots[k]])
    for row in rows:  # the weights in which a row consists of them stand at the pivots
        parts = [[row[pivot] * n for n in own] for pivot, own in zip(pivots, found, strict=True)]
        assert row == [sum(column) for column in zip(*parts, strict=True)] or not any(row)


def test_rings_of_many_species_have_one_law():
    ring = np.eye(300, dtype=np.int64)
    change = np.roll(ring, 1, axis=1) - ring
    assert conservation_laws(change).tolist() == [[1] * 300]
    assert species_bounds(change, np.ones((1, 300), dtype=np.int64)).tolist() == [300.0] * 300


def test_a_law_of_mixed_sign_is_found():
    assert laws([1, 1]) == [[1, -1]]  # 0 -> A + B keeps A - B
    assert laws([-1, -1], [1, 1]) == [[1, -1]]


def test_phage_lambda_operators():
    network = operator_network()
    found = conservation_laws(network)
    expected = np.zeros((4, 11), dtype=np.int64)
    expected[3, [6, 7, 8, 10]] = 1  # no Cro is made here, so all Cro is free or bound
    for site in range(3):
        expected[site, [site, 3 + site, 6 + site]] = 1
    np.testing.assert_array_equal(found, expected)
    start = np.array([[1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 2]])
    top = species_bounds(network, start)
    assert top[:9].tolist() == [1.0] * 9
    assert top[9] == math.inf
    assert top[10] == 2.0


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda d: st.lists(st.lists(st.integers(-2, 2), min_size=d, max_size=d), min_size=1, max_size=6)
    )
)
def test_laws_are_a_primitive_basis(rows):
    change = np.array(rows, dtype=np.int64)
    found = conservation_laws(change)
    assert not (found @ change.T).any()
    rank = np.linalg.matrix_rank(change)
    assert len(found) == change.shape[1] - rank
    if len(found):
        assert np.linalg.matrix_rank(found) == len(found)
    assert all(math.gcd(*law) == 1 for law in found.tolist())
    np.testing.assert_array_equal(found, conservation_laws(change[::-1]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=3, max_size=3), min_size=1, max_size=4),
    st.lists(st.integers(0, 4), min_size=3, max_size=3),
)
def test_bounds_hold_on_every_walk(rows, start):
    change = np.array(rows, dtype=np.int64)
    top = species_bounds(change, np.array([start]))
    seen, pending = {tuple(start)}, [tuple(start)]
    while pending and len(seen) < 300:
        state = pending.pop(0)
        for step in change:
            target = tuple((np.array(state) + step).tolist())
            if min(target) >= 0 and target not in seen:
                seen.add(target)
                pending.append(target)
    assert (np.array(sorted(seen)) <= top).all()
    if not pending and np.isfinite(top).all():
        assert len(seen) <= np.prod(top + 1)


def test_bounds():
    assert bounds([[-1, -1, 1], [1, 1, -1]], [20, 15, 0]) == [20.0, 15.0, 15.0]
    assert bounds([[-2, 1], [2, -1]], [5, 0]) == [5.0, 2.0]  # whole molecules: floor(5/2)
    assert bounds([[1], [-1]], [0]) == [math.inf]
    assert bounds([[-1]], [7]) == [7.0]
    assert bounds([[0, 0]], [3, 4]) == [3.0, 4.0]
    assert bounds([[-1, 1], [0, -1]], [3, 0]) == [3.0, 3.0]  # no law, but nothing that makes A
    assert bounds([[-1, 1, 0], [0, -1, 1], [1, 0, -1], [-1, -1, 0]], [2, 1, 0]) == [3.0, 3.0, 3.0]
    assert bounds([[-1, 1, 0], [0, -1, 1], [1, 0, -1]], [2, 1, 0]) == [3.0, 3.0, 3.0]  # no reverse, but a way back
    assert bounds([[-1, 1]], [3, 0], [5, 1]) == [5.0, 6.0]


@pytest.mark.parametrize("n", [10, 10**6, 10**9])
def test_large_counts_lose_nothing(n):
    top = bounds([[-1, 1, 0], [0, -1, 1]], [n, 1, 0])
    exact = [n, n + 1, n + 1]
    # the slack of the linear programme may add a molecule in 1e9, and never takes one away
    assert all(true <= bound <= true + (n >= 10**9) for true, bound in zip(exact, top, strict=True))
