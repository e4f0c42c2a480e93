"""Equations of a chain that leaves its states: factorisations agree with eliminations, with no solve in vain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import diags_array

from fsp.chains.hitting_times import ExitTimes
from fsp.passages.systems import _EliminatedBounds, _FactorisedBounds

OFF = 1e-14  # relative error of rates


class Counting:
    """Factors that count how often they solve."""

    def __init__(self, factors):
        self._factors, self.solved = factors, 0

    def solve(self, right, side):
        self.solved += 1
        return self._factors.solve(right, side)


@pytest.mark.parametrize("n", [5, 400])
def test_factorisations_agree_with_eliminations_and_refine_no_more_than_is_needed(n):
    up, down = 3.0 + np.arange(n) % 4, 1.0 + 0.002 * np.arange(n)  # a ladder that is left at its upper end
    down[0] = 0.0
    A = diags_array([down[1:], -(up + down), up[:-1]], offsets=[1, 0, -1]).tocsr()
    exits = np.where(np.arange(n) == n - 1, up, 0.0)
    exact = _EliminatedBounds(ExitTimes(A, exits, OFF), OFF)
    fast = _FactorisedBounds(A, OFF)
    fast._integrals._factors = counting = Counting(fast._factors)
    for right in (np.ones(n), exits):
        low, high = fast.bounds(right)
        sharp_low, sharp_high = exact.bounds(right)
        assert (low <= sharp_high).all()
        assert (sharp_low <= high).all()
        assert (high - low <= 1e-9 * high.max()).all()
    assert counting.solved <= 4  # two each, of three with all refinements


class Endless:
    """A chain that stays in its second state for longer than a double holds."""

    relative, tiny = 1e-14, 1e-300

    def solve_adjoint(self, right):
        return right * np.array([1.0, np.inf])


def test_times_that_no_double_holds_are_not_infinite_from_below():
    low, high = _EliminatedBounds(Endless(), OFF).bounds(np.ones(2))
    assert 1.0 - 1e-12 <= low[0] <= 1.0 <= high[0] <= 1.0 + 1e-12
    assert (low[1], high[1]) == (0.0, np.inf)
