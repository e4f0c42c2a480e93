"""Linear programmes: optima beside those of scipy, duality, and silence on standard output."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from fsp.linear_programmes import LinearProgramme

TOLERANCE = 1e-6  # of HiGHS, of what is of size one


@st.composite
def programmes(draw):
    """Return limits, rows and costs, small whole numbers all of them."""
    n, m, k = draw(st.integers(1, 4)), draw(st.integers(0, 3)), draw(st.integers(0, 2))
    numbers = st.integers(-3, 3).map(float)

    def table(*shape):
        size = int(np.prod(shape))
        return np.array(draw(st.lists(numbers, min_size=size, max_size=size))).reshape(shape)

    limit = st.tuples(st.sampled_from([None, -1.0, 0.0]), st.sampled_from([None, 2.0, 5.0]))
    limits = draw(st.lists(limit, min_size=n, max_size=n))
    return limits, table(m, n), table(m), table(k, n), table(k), [table(n), table(n)]


@given(programmes())
def test_optima_are_those_of_scipy(programme):
    limits, above, below, equal, right, costs = programme
    solved = LinearProgramme(limits, above, below, equal, right)
    for cost in costs:  # one after the other
        best = solved.minimum(cost)
        peer = linprog(cost, A_ub=above, b_ub=below, A_eq=equal, b_eq=right, bounds=limits)
        assert (best is None) == (peer.status != 0)
        if best is None:
            continue
        assert best.value == pytest.approx(peer.fun, abs=TOLERANCE)
        assert best.value == pytest.approx(cost @ best.x, abs=TOLERANCE)
        assert (above @ best.x <= below + TOLERANCE).all()
        assert equal @ best.x == pytest.approx(right, abs=TOLERANCE)
        for x, (low, high) in zip(best.x, limits, strict=True):
            assert low is None or x >= low - TOLERANCE
            assert high is None or x <= high + TOLERANCE


def test_values_of_dual_programmes_meet():
    rng = np.random.default_rng(7)
    table, below, cost = rng.uniform(0.1, 1.0, (5, 3)), rng.uniform(1.0, 2.0, 5), rng.uniform(1.0, 2.0, 3)
    most = LinearProgramme([(0.0, None)] * 3, above=table, below=below).minimum(-cost)
    least = LinearProgramme([(0.0, None)] * 5, above=-table.T, below=-cost).minimum(below)
    assert -most.value == pytest.approx(least.value, rel=1e-9)


def test_nothing_is_printed(capfd):
    LinearProgramme([(0.0, 1.0)]).minimum(np.ones(1))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("number", "side"), [(np.inf, 1.0), (1.0, np.nan)])
def test_numbers_that_are_none_have_no_optimum(number, side):
    """HiGHS takes no such programme, and would end the process where costs of its unknowns are set all the same."""
    programme = LinearProgramme([(0.0, None)] * 3, above=np.array([[1.0, number, 0.0]]), below=np.array([side]))
    assert programme.minimum(np.ones(3)) is None
    assert programme.minimum() is None
