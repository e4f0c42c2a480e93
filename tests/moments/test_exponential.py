"""Exponentials of matrices without negative entries off the diagonal, entry by entry, against sixty digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.moments.exponential import exponential


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 6),
    t=st.sampled_from([1e-3, 0.4, 1.0, 3.0]),
    filled=st.sampled_from([0.3, 1.0]),
    decades=st.floats(0.0, 2.0),
)
def test_every_entry_is_within_its_relative_error(seed, n, t, filled, decades):
    """Columns of very different sizes: the largest one says how short the series must be."""
    random = np.random.default_rng(seed)
    matrix = random.random((n, n)) * (random.random((n, n)) < filled) * 10.0 ** random.uniform(-decades, decades, n)
    matrix -= np.diag(random.random(n) * 3.0)
    found, off = exponential(matrix, t)
    with mpmath.workdps(60):
        exact = mpmath.expm(mpmath.matrix(matrix.tolist()) * mpmath.mpf(t), method="taylor")
        for i in range(n):
            for j in range(n):
                assert abs(mpmath.mpf(found[i, j]) - exact[i, j]) <= off * exact[i, j]
    assert 0.0 < off <= 1e-9 or decades > 0.0


@pytest.mark.parametrize("n", [1, 4, 7])
def test_the_exponential_of_nothing_is_the_identity(n):
    found, off = exponential(np.zeros((n, n)), 2.0)
    assert np.array_equal(found, np.eye(n))
    assert 0.0 < off < 1e-12


@pytest.mark.parametrize("x", [0.3, 0.49, 0.99, 1.99, 3.98, 7.9])
def test_a_way_there_and_back_has_hyperbolic_functions(x):
    """Just below powers of two, where the series is as long as it may be."""
    found, off = exponential(np.array([[0.0, x], [x, 0.0]]), 1.0)
    with mpmath.workdps(40):
        for entry, exact in ((found[0, 0], mpmath.cosh(x)), (found[0, 1], mpmath.sinh(x))):
            assert abs(mpmath.mpf(entry) - exact) <= off * exact
