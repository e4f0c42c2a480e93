"""Shifted systems are solved as dense linear algebra solves them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from written_networks import network

import fsp
from fsp.solvers import linear


@pytest.mark.parametrize(
    ("bounds", "width"),
    [({"X": 60, "Y": 3}, 4), ({"X": 3, "Y": 60}, 8), ({"X": 60, "Y": 60}, None)],
    ids=["states in order", "states out of order", "a wide square"],
)
@pytest.mark.parametrize("shift", [0.3, 0.2 + 0.5j], ids=["real", "complex"])
def test_shifted_systems_are_solved_in_a_band_where_there_is_one(bounds, width, shift):
    model = network(
        {"X": 2, "Y": 1},
        ("0 -> X", "rate", "30/(1 + Y^2)"),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "rate", "8/(1 + X)"),
        ("Y -> 0", "mass_action", 0.7),
    )
    matrix = fsp.Generator(model, fsp.StateSpace.box(model, upper=bounds)).to_csr()
    band = linear.Band.of(matrix)
    if width is None:
        assert band is None
    else:
        assert band.width <= width
        assert sorted(band.order.tolist()) == list(range(matrix.shape[0]))
    rng = np.random.default_rng(7)
    x = rng.normal(size=matrix.shape[0]) * (1.0 if isinstance(shift, float) else 1.0 + 1.0j)
    solved = linear.ShiftedSystem(matrix, shift, band).solve(x - shift * (matrix @ x))
    np.testing.assert_allclose(solved, x, rtol=0.0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("columns", [1, 5])
def test_a_shuffled_strip_is_brought_into_a_band(columns):
    """Of 90 rows: its neighbours are at most 2 columns + 1 places away in the order of Cuthill and McKee."""
    n = 90 * columns
    row, column = np.divmod(np.arange(n), columns)
    near = np.abs(np.subtract.outer(row, row)) + np.abs(np.subtract.outer(column, column)) <= 1
    order = np.random.default_rng(5).permutation(n)
    matrix = sparse.csr_array(near[order][:, order].astype(float))
    band = linear.Band.of(matrix)
    assert band.width <= 2 * columns + 1
    assert sorted(band.order.tolist()) == list(range(n))
    np.testing.assert_array_equal(band.order[band.rows], np.repeat(np.arange(n), np.diff(matrix.indptr)))
    np.testing.assert_array_equal(band.order[band.columns], matrix.indices)


@pytest.mark.parametrize("n", [50, 2**16 + 20], ids=["numbers of 16 bits", "more states"])
def test_columns_of_a_shifted_matrix_are_ascending_and_have_a_diagonal(n):
    """Every third state has no entry on the diagonal."""
    rng = np.random.default_rng(6)
    rows, columns = rng.integers(0, n, (2, 3 * n))
    kept = (rows != columns) | (rows % 3 > 0)
    values = rng.random(kept.sum())
    matrix = sparse.csr_array((values, (rows[kept], columns[kept])), shape=(n, n))
    shifted = linear._shifted(matrix, 0.25)
    expected = (sparse.eye_array(n) - 0.25 * matrix).tocsc()
    expected.sort_indices()
    np.testing.assert_array_equal(shifted.indptr, expected.indptr)
    np.testing.assert_array_equal(shifted.indices, expected.indices)
    np.testing.assert_array_equal(shifted.data, expected.data)
