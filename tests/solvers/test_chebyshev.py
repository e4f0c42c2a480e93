"""Weights of the Chebyshev solver are Bessel functions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special
from written_networks import network

import fsp
from fsp.solvers import chebyshev


@pytest.mark.parametrize("x", [1e-300, 1e-70, 1e-3, 0.5, 16.0, 700.0, 2e4])
def test_chebyshev_weights_are_bessel_functions(x):
    weights, hit = chebyshev._weights(x, 5000)
    k = np.arange(len(weights))
    expected = special.ive(k, x)
    np.testing.assert_allclose(weights, np.where(k == 0, 1.0, 2.0) * expected, rtol=1e-9, atol=1e-300)
    assert hit[0] == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(hit) <= 0.0).all()
    # the integral of e^{-u} I_k(u) over [0, x] is at most x h_k(x)
    for order in (0, 1, len(k) // 3):
        integral, _ = integrate.quad(lambda u, order=order: special.ive(order, u), 0.0, x, limit=400)
        assert integral <= x * hit[order] * (1.0 + 1e-9)


@pytest.mark.parametrize("t", [3e-308, 1e-300, 1e-70])
def test_chebyshev_takes_steps_of_any_length(t):
    model = network({"A": 3, "B": 0}, ("A -> B", "mass_action", 2.0), ("B -> A", "mass_action", 1.0))
    d = fsp.transient(model, [t, 1.0], solver="chebyshev")[0]
    assert d.probability({"A": 3}).lower <= 1.0 - 6.0 * t <= d.probability({"A": 3}).upper
    assert d.probability({"A": 2}).upper >= 6.0 * t
    assert d.error.total <= 1e-14


@pytest.mark.parametrize("degree", [19, 0])
def test_a_chebyshev_degree_that_is_too_small_is_refused(degree):
    with pytest.raises(fsp.ArgumentError, match=rf"degree.*20.*{degree}"):
        fsp.Chebyshev(degree=degree)
