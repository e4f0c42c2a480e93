"""Exponentials of small matrices on doubling grids, and integrals of residuals along them."""

from __future__ import annotations

import math
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg

from fsp.solvers import small_exponential


def triangular(rng, n, scale):
    G = np.triu(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)), 1)
    return scale * (G - np.diag(rng.uniform(0.1, 3.0, n)))


@pytest.mark.parametrize("h", [1e-3, 1.0, 40.0])
def test_doublings_are_exponentials(rng, h):
    G = triangular(rng, 6, 1.0)
    powers = small_exponential.doublings(G, h)
    for i, power in enumerate(powers):
        truth = linalg.expm(h * 2.0 ** (i + 1 - len(powers)) * G)
        np.testing.assert_allclose(power, truth, atol=1e-12 * max(1.0, np.abs(truth).max()))


def test_doublings_keep_slow_modes_exactly():
    """Modes of rates 1e-3 and 1e9: squaring alone would spoil the slow one by 1e-6."""
    G = np.array([[-1e-3, 2.0], [0.0, -1e9]], dtype=complex)
    end = small_exponential.doublings(G, 10.0)[-1]
    assert end[0, 0].real == pytest.approx(math.exp(-1e-2), rel=1e-15)
    assert end[0, 1].real == pytest.approx(2.0 / 1e9 * math.exp(-1e-2), rel=1e-9)


def test_doublings_without_end_say_so():
    assert not np.isfinite(small_exponential.doublings(np.full((2, 2), np.inf, dtype=complex), 1.0)[-1]).any()


@pytest.mark.parametrize("h", [1e-2, 3.0])
def test_follow_is_the_exponential_on_a_grid_that_doubles(rng, h):
    G, start = triangular(rng, 5, 2.0), rng.normal(size=5) + 0j
    times, path = small_exponential.follow(small_exponential.doublings(G, h), start, h)
    assert times[0] == 0.0
    assert times[-1] == h
    steps = np.diff(times)
    assert (steps > 0.0).all()
    assert (steps[1:] <= times[1:-1] * (1.0 + 1e-12)).all()
    assert (steps[-8:] <= h / 16 * (1.0 + 1e-12)).all()
    for s, u in zip(times, path.T, strict=True):
        np.testing.assert_allclose(u, linalg.expm(s * G) @ start, atol=1e-11)


def small_problem(G, gamma=1.0, h=1.0):
    """Return the modes, the doublings, the path and its times of a small exponential."""
    modes = small_exponential.SchurForm(np.linalg.inv(np.eye(len(G)) - gamma * G), gamma)
    powers = small_exponential.doublings(modes.G, h)
    times, path = small_exponential.follow(powers, modes.start, h)
    return modes, powers, path, times


@pytest.mark.parametrize("turns", [8, 16, 24, 64, 100.3])
def test_integrals_see_an_oscillation_that_vanishes_at_every_point_of_the_grid(turns):
    """g is a sine with zeros at all points of the last octaves: nothing that is sampled sees it."""
    speed = 2.0 * np.pi * turns
    G = np.array([[0.0, -speed], [speed, 0.0]])
    modes, powers, path, times = small_problem(G)
    amplitudes = np.abs(np.eye(2) - G) @ np.ones(2)  # of the entries of (I - G) u
    fine = np.linspace(0.0, 1.0, 200_001)
    u = np.array([np.cos(speed * fine), np.sin(speed * fine)])
    for weights, most in ((np.array([0.0, 1.0]), 1.12), (np.array([1.0, 0.0]), 3.0), (np.array([1e-3, 1.0]), 1.16)):
        truth = integrate.cumulative_trapezoid(weights @ np.abs((np.eye(2) - G) @ u), fine, initial=0.0)
        bounds = small_exponential.residual_integrals(modes, powers, path, times, weights)
        assert (bounds >= np.interp(times, fine, truth) - 1e-7 * amplitudes.max()).all()
        assert bounds[-1] <= most * truth[-1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 9),
    stiffness=st.floats(0.0, 5.0),
    turn=st.floats(0.0, 3.0),
    weight=st.floats(-16.0, 0.0),
)
def test_integrals_of_random_stiff_chains_are_bounds(seed, n, stiffness, turn, weight):
    rng = np.random.default_rng(seed)
    G = 10.0 ** rng.uniform(-1.0, stiffness, (n, n)) * (rng.random((n, n)) < 0.6)
    G += 10.0**stiffness * np.roll(np.eye(n), 1, axis=0) * turn  # a cycle: complex modes
    G -= np.diag(G.sum(axis=0))
    modes, powers, path, times = small_problem(G)
    weights = np.append(10.0**weight * rng.random(n - 1), 1.0)
    bounds = small_exponential.residual_integrals(modes, powers, path, times, weights)
    inverse, total, u, slack = np.eye(n) - G, 0.0, np.eye(n)[0], 0.0
    for cell, (a, b) in enumerate(pairwise(times)):
        parts = 33
        step = linalg.expm((b - a) / (parts - 1) * G)
        fine = [u := step @ u for _ in range(parts - 1)]
        values = np.abs(inverse @ np.array(fine).T)  # (n, parts - 1)
        middle = weights @ values  # a sum without its largest term is below the integral, but for the kinks
        total += max(float(middle.sum() - middle.max()), 0.0) * (b - a) / (parts - 1) * 0.97
        slack += (b - a) * 1e-13 * float(np.abs(inverse).sum())
        assert total <= bounds[cell + 1] + slack


def test_factors_bound_rows_that_vanish_where_a_cell_begins(rng):
    """What a row comes to within a cell is all of it, if it is zero at the start of the cell."""
    n, d = 5, 1.0
    G = np.triu(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    G *= 0.4 / np.linalg.norm(G, 1) / d
    x = rng.normal(size=n) + 1j * rng.normal(size=n)
    rows = rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))
    rows -= np.outer(rows @ x / (x.conj() @ x), x.conj())
    slope = np.linalg.norm(rows, 2) * G
    factors = small_exponential.gramian_factors(G, [linalg.expm(d * G)], d, np.zeros(n, complex), rows, slope)
    for length, factor in zip((d, 2.0 * d), factors, strict=True):
        fine = np.linspace(0.0, length, 401)
        squares = [np.linalg.norm(rows @ linalg.expm(s * G) @ x) ** 2 for s in fine]
        assert np.linalg.norm(factor @ x) ** 2 >= integrate.trapezoid(squares, fine) * (1.0 - 1e-4) > 0.0


def gramian(G, rows, length):
    """Return ``∫₀^length exp(sG)ᴴ rowsᴴ rows exp(sG) ds``, from the exponential of a block matrix (Van Loan)."""
    n = len(G)
    block = np.block([[-G.conj().T, rows.conj().T @ rows], [np.zeros((n, n)), G]])
    corner = linalg.expm(block * length)
    return corner[n:, n:].conj().T @ corner[:n, n:]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 6),
    m=st.integers(0, 4),
    size=st.sampled_from([1e-9, 1e-3, 0.1, 0.5]),
    d=st.sampled_from([1e-3, 1.0, 30.0]),
)
def test_squares_of_factors_are_gramians_or_more(seed, n, m, size, d):
    """Of the row exactly; of the other rows at least, and no more where nothing moves on the first cell."""
    rng = np.random.default_rng(seed)
    G = np.triu(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    G *= size / np.linalg.norm(G, 1) / d
    row, *rows = rng.normal(size=(m + 1, n)) + 1j * rng.normal(size=(m + 1, n))
    rows = np.array(rows).reshape(m, n)
    slope = np.linalg.norm(rows, 2) * G if m else 0.0 * G
    powers = [linalg.expm(2**i * d * G) for i in range(3)]
    factors = list(small_exponential.gramian_factors(G, powers, d, row, rows, slope))
    assert len(factors) == 4
    for i, factor in enumerate(factors):
        of_row, of_rows = (gramian(G, part, 2**i * d) for part in (row[None], rows))
        scale = np.linalg.norm(of_row + of_rows, 2)
        assert np.array_equal(factor, np.triu(factor))
        over = factor.conj().T @ factor - of_row - of_rows
        assert np.linalg.eigvalsh(over).min() >= -1e-13 * scale
        if m == 0:
            assert np.linalg.norm(over, 2) <= 1e-13 * scale
        if size <= 1e-3:
            raised = small_exponential.SLOPE_SHARE + 60.0 * size
            assert np.linalg.norm(over, 2) <= raised * np.linalg.norm(of_rows, 2) + 1e-13 * scale


def test_integrals_of_a_stiff_chain_against_forty_digits():
    """Rates from 1e-3 to 1e7, and a last entry that is small beside the others."""
    G = np.diag([-1e7, -1e4, -30.0, -1.0, -1e-3]) + np.diag([1e7, 1e4, 30.0, 1.0], -1)
    modes, powers, path, times = small_problem(G, gamma=0.03)
    bounds = small_exponential.residual_integrals(modes, powers, path, times, np.array([1e-15] * 4 + [1.0]))
    with mpmath.workdps(40):
        exact = mpmath.matrix(G.tolist())
        inverse = mpmath.eye(5) - mpmath.mpf(0.03) * exact
        total, parts = mpmath.mpf(0), 6
        u, previous, step = mpmath.matrix([1, 0, 0, 0, 0]), 0.0, None
        for cell, (a, b) in enumerate(pairwise(times)):
            if b - a != previous:
                previous, step = b - a, mpmath.expm(exact * (mpmath.mpf(b - a) / parts))
            values = [abs((inverse * u)[4])]
            for _ in range(parts):
                u = step * u
                values.append(abs((inverse * u)[4]))
            total += mpmath.mpf(b - a) / parts * (sum(values) - (values[0] + values[-1]) / 2)
            assert total <= bounds[cell + 1] * 1.01 + 1e-12
        assert bounds[-1] <= 1.5 * total + 1e-10


def test_integrals_take_the_larger_end_of_each_cell():
    times = np.array([0.0, 1.0, 3.0, 4.0, 6.0])
    for values in (np.exp(-times), np.exp(times)):
        exact_ones = np.abs(values - 1.0)
        assert (small_exponential.integrals(values, times) >= exact_ones * (1.0 - 1e-12)).all()
    # A peak at a point counts in the cells that it ends and in those beside them, on both sides.
    for peak, sums in ((1, [0, 1, 3, 4, 4]), (2, [0, 1, 3, 4, 6]), (3, [0, 0, 2, 3, 5])):
        assert small_exponential.integrals(np.eye(5)[peak], times).tolist() == sums
