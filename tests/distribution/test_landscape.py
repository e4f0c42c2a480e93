"""Landscapes: minima, saddles and barriers against exact sums and all ways on small grids."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import fsp
from fsp.distribution.landscape import _neighbours, _ways, landscape_of


def law(p, error=0.0, shape=None):
    """Return a distribution over a line, or a grid of a shape."""
    p = np.asarray(p, dtype=float)
    shape = shape or (len(p),)
    states = np.stack([axis.ravel() for axis in np.indices(shape)], axis=1)
    names = ("X", "Y")[: len(shape)]
    return fsp.Distribution(states, p, names, t=0.0, error=fsp.ErrorLedger(truncation=error))


def test_schloegl_has_the_barriers_of_its_exact_law():
    """By detailed balance π(n + 1)/π(n) is a ratio of rates, exactly."""
    model = fsp.load("tests/models/schloegl_small.ant")
    found = fsp.stationary(model, tol=1e-8).landscape()
    space = fsp.StateSpace.box(model, upper={"X": 900})
    rates = model.propensities(space.states)
    up, down = rates[model.change[:, 0] > 0].sum(axis=0), rates[model.change[:, 0] < 0].sum(axis=0)
    log_pi = np.concatenate([[0.0], np.cumsum(np.log(up[:-1]) - np.log(down[1:]))])
    peaks = [n for n in range(1, 900) if log_pi[n] > max(log_pi[n - 1], log_pi[n + 1])]
    valley = peaks[0] + int(np.argmin(log_pi[peaks[0] : peaks[1]]))
    deep, shallow = sorted(peaks, key=lambda n: -log_pi[n])
    assert [basin.state for basin in found.basins] == [(deep,), (shallow,)]
    basin = found.basins[1]
    assert (basin.saddle, basin.into) == ((valley,), (deep,))
    exact = log_pi[shallow] - log_pi[valley]
    assert basin.barrier.certified
    assert basin.barrier.lower <= exact <= basin.barrier.upper
    assert basin.barrier.width <= 1e-6
    level = -math.log(np.exp(log_pi - log_pi.max()).sum() ** -1) - (log_pi[deep] - log_pi.max())
    assert found.basins[0].level.lower <= level + 1e-12
    assert level <= found.basins[0].level.upper + 1e-12
    assert math.isinf(found.basins[0].barrier.lower)
    assert "barrier" in str(found)


def test_a_ridge_is_passed_where_it_is_lowest():
    """Two hills of probability on a grid, with a wall of 1/1000 and a gap of 1/100 in it, which is the saddle."""
    p = np.full((5, 5), 0.01)
    p[2] = 0.001
    p[2, 3] = 0.008
    p[0, 0], p[4, 4] = 0.3, 0.2
    found = law(p.ravel() / p.sum(), shape=(5, 5)).landscape("X", "Y")
    assert [basin.state for basin in found.basins] == [(0, 0), (4, 4)]
    assert found.basins[1].saddle == (2, 3)
    assert found.basins[1].barrier.lower <= math.log(0.2 / 0.008) <= found.basins[1].barrier.upper
    across = law(p.ravel() / p.sum(), shape=(5, 5)).landscape("X")
    assert [basin.state for basin in across.basins] == [(0,), (4,)]


def test_minima_that_the_error_hides_are_left_out():
    p = np.array([0.3, 0.1, 0.2, 0.19, 0.21]) / 1.0
    assert len(law(p).landscape().basins) == 3
    assert len(law(p, 0.03).landscape().basins) == 2
    assert len(law(p, 0.5).landscape().basins) == 1
    assert len(law(np.ones(6) / 6).landscape().basins) == 1


def test_parts_that_no_stored_way_joins_are_not_compared():
    apart = fsp.Distribution(
        np.array([[0], [9]]), np.array([0.6, 0.3]), ("X",), t=0.0, error=fsp.ErrorLedger(truncation=0.1)
    )
    assert [basin.state for basin in landscape_of(apart).basins] == [(0,)]


def test_what_is_not_stored_may_be_a_way():
    """A valley of 0.001 may be passed at a state that is not stored and has all of the missing tenth."""
    p = np.array([0.5, 0.001, 0.399])
    states, ledger = np.arange(3)[:, None], fsp.ErrorLedger(truncation=0.1)
    stored = fsp.Distribution(states, p, ("X",), t=0.0, error=ledger, state_bounds=np.stack([p, p]))
    (_, shallow) = stored.landscape().basins
    assert shallow.barrier.lower <= math.log(0.399 / 0.1)
    assert shallow.barrier.upper >= math.log(0.399 / 0.001)


@settings(max_examples=60, deadline=None)
@given(
    weights=st.lists(st.integers(1, 9), min_size=9, max_size=9),
    error=st.sampled_from([0.0, 0.01, 0.1]),
    shift=st.lists(st.floats(-1.0, 1.0), min_size=9, max_size=9),
)
def test_barriers_hold_for_all_laws_within_the_error(weights, error, shift):
    """The height between two minima of a law that is as far off as it may be lies in the interval."""
    p = np.array(weights, dtype=float) / sum(weights)
    found = law(p, error, (3, 3)).landscape("X", "Y")
    moved = np.array(shift) - np.mean(shift)
    size = np.abs(moved).sum()
    other = p + (0.99 * error * moved / size if size else 0.0)
    assume((other > 0.0).all())
    edges = _neighbours(np.stack([axis.ravel() for axis in np.indices((3, 3))], axis=1))
    places = {basin.state: 3 * basin.state[0] + basin.state[1] for basin in found.basins}
    for basin in found.basins[1:]:
        ends = places[basin.state], 3 * basin.into[0] + basin.into[1]
        height = math.log(other[ends[0]] / best_way(edges, other, *ends))
        assert basin.barrier.lower <= height + 1e-12
        assert height <= basin.barrier.upper + 1e-12
        assert _ways(edges, p, ends) == best_way(edges, p, *ends)


def best_way(edges, p, start, end):
    """Return the largest minimum of p over ways, by relaxing all edges as often as there are states."""
    best = np.where(np.arange(len(p)) == start, p, 0.0)
    for _ in range(len(p)):
        for a, b in [*edges.tolist(), *edges[:, ::-1].tolist()]:
            best[b] = max(best[b], min(best[a], p[b]))
    return best[end]


def test_neighbours_differ_by_at_most_one():
    states = np.array([[0, 0], [0, 1], [1, 2], [3, 3], [4, 2]])
    pairs = {frozenset(pair) for pair in _neighbours(states).tolist()}
    assert pairs == {frozenset(p) for p in ((0, 1), (1, 2), (3, 4))}


def test_pictures_and_bad_input():
    ends = np.array([float(Fraction(1, 2) ** abs(n - 5)) + 0.5 * 0.5 ** abs(n - 12) for n in range(20)])
    line = law(ends / ends.sum())
    assert len(line.landscape().plot().axes) >= 1
    assert len(line.plot("X", kind="landscape").axes) >= 1
    grid = law(np.outer(ends, ends).ravel() / ends.sum() ** 2, shape=(20, 20))
    assert len(grid.plot(kind="landscape").axes) >= 2
    levels = [basin.level.value for basin in grid.landscape().basins]
    assert all(a <= b for a, b in pairwise(levels))
    with pytest.raises(fsp.ArgumentError, match="one or two names"):
        grid.landscape("X", "Y", "Z")
    with pytest.raises(fsp.ArgumentError):
        grid.landscape("Z")
    with pytest.raises(fsp.ArgumentError, match="not a logarithmic scale"):
        grid.plot(kind="landscape", log=True)
