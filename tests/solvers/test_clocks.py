"""Functions of time on one step: fits, the reach of a bound, and interpolation in Chebyshev points."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from scipy import integrate

from fsp.model.formula import parse
from fsp.solvers.clocks import chebyshev_nodes, clock_on, reach

tree = partial(parse, what="function of time")


@pytest.mark.parametrize("text", ["floor(time) + atan(time)", "abs(sin(time))*atan(time)"])
def test_a_fit_over_a_switch_is_an_estimate(text):
    assert not clock_on(tree(text), 2.9, 3.2).certified


def test_the_reach_ends_at_the_switch():
    assert reach(tree("piecewise(1, sin(time) > 0, 0)"), 2.9, 3.2) == pytest.approx(math.pi, abs=1e-9)
    assert reach(tree("floor(time)"), 2.9, 3.2) == pytest.approx(3.0, abs=1e-9)
    assert reach(tree("exp(time)"), 2.9, 3.2) == 3.2
    assert reach(tree("arctan(time)"), 2.9, 3.2) == 3.2  # not covered


@pytest.mark.parametrize("n", [2, 6, 9, 13])
def test_interpolation_in_chebyshev_points(n):
    nodes = chebyshev_nodes(n)
    power = nodes.z ** (n - 1)
    z = np.linspace(-1, 1, 33)
    at = np.polynomial.polynomial.polyval(z, nodes.to_powers @ power)
    np.testing.assert_allclose(at, z ** (n - 1), atol=1e-11)
    by_modes = np.polynomial.chebyshev.chebval(z, nodes.to_modes @ power)
    np.testing.assert_allclose(by_modes, z ** (n - 1), atol=1e-12)
    fine = np.linspace(-1, 1, 40_001)
    moduli = np.abs(np.vander(fine, n, increasing=True) @ nodes.to_powers)
    np.testing.assert_allclose(integrate.trapezoid(moduli, fine, axis=0) / 2, nodes.integrals, rtol=1e-6)
