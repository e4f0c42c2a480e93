"""Means over a start hold the exact ones, with all that sums of many states round."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from written_networks import network

from fsp.passages.average import Average
from fsp.projection.start import starting_point


@pytest.mark.parametrize("value", [0.1, 1.0 / 3.0])
def test_a_mean_over_many_equal_states_holds_the_exact_one(value):
    n = 60_000
    model = network({"X": 0}, ("X -> 0", "mass_action", 1.0), initial={(k,): 1.0 / n for k in range(n)})
    average = Average(starting_point(model, None, 1e-6))
    low, high = average.bounds(np.full((2, n), value), 1.0)
    y = model.initial_probabilities
    exact = sum(map(Fraction, y.tolist())) * Fraction(value)
    assert Fraction(low) <= exact <= Fraction(high)
    assert high - low <= 1e-10
