"""Shifted systems are solved as dense linear algebra solves them."""

from __future__ import annotations

import numpy as np
import pytest
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
