"""Moment equations, and the exponential that solves them with relative accuracy."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moment_cases import load
from scipy.linalg import expm
from written_networks import network

import fsp
from fsp.moments.equations import moment_equations
from fsp.moments.exponential import exponential
from fsp.moments.initial import KnownDistribution
from fsp.moments.rates import Rate, rates


def test_the_exponential_keeps_the_relative_accuracy_of_every_entry(rng):
    for n, t in ((3, 0.3), (6, 2.0), (8, 20.0)):
        matrix = rng.uniform(0, 1, (n, n)) * (rng.uniform(size=(n, n)) < 0.4)
        np.fill_diagonal(matrix, -rng.uniform(0, 3, n))
        found, error = exponential(matrix, t)
        assert error < 1e-9
        np.testing.assert_allclose(found, expm(matrix * t), rtol=1e-11 + error, atol=1e-300)
    found, error = exponential(np.array([[-1e4, 0.0], [1e-6, 0.0]]), 1e3)  # what scipy's loses: e^-1e7, 1e-10
    assert found[1, 0] == pytest.approx(1e-10, rel=2 * error)


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("size", [0.4, 3.0, 40.0, 600.0])
def test_the_error_of_the_exponential_is_a_bound_for_every_entry(n, size, rng):
    """Held against forty digits: little series alone, and many squarings, each of which doubles what there was."""
    for trial in range(6):
        matrix = rng.uniform(0, size / n, (n, n))
        if trial % 2:
            np.fill_diagonal(matrix, -rng.uniform(0.5 * size, size, n))
        found, error = exponential(matrix, 1.0)
        with mpmath.workdps(40):
            exact = mpmath.expm(mpmath.matrix(matrix.tolist()))
            for i, j in np.ndindex(n, n):
                assert abs(found[i, j] - exact[i, j]) <= error * exact[i, j]


CONSTANTS = st.sampled_from([0.1, 0.3, 1.0, 2.0])


@st.composite
def affine_networks(draw):
    """Draw births, conversions, catalysis, deaths, all of order at most one."""
    n = draw(st.integers(1, 3))
    names = "ABC"[:n]
    lines = [(f"0 -> {draw(st.integers(1, 3))} {names[0]}", "mass_action", draw(CONSTANTS))]
    for i, name in enumerate(names):
        lines.append((f"{name} -> 0", "mass_action", draw(CONSTANTS)))
        other = names[(i + 1) % n]
        kind = draw(st.sampled_from(["none", "convert", "make"]))
        if kind == "convert" and n > 1:
            lines.append((f"{name} -> {other}", "mass_action", draw(CONSTANTS)))
        if kind == "make" and i < n - 1:
            lines.append((f"{name} -> {name} + {other}", "mass_action", draw(CONSTANTS)))
    start = {name: draw(st.integers(0, 3)) for name in names}
    return network(start, *lines)


@settings(max_examples=12)
@given(affine_networks(), st.sampled_from([0.2, 1.5]))
def test_moment_equations_agree_with_a_tight_solution(model, t):
    d = fsp.transient(model, [t], 1e-10)[0]
    largest = model.species_bounds
    equations = moment_equations(rates(model, t, largest), model.n_species)
    assert equations is not None
    found = equations.at(t, KnownDistribution(model.initial_states, model.initial_probabilities))
    x = d.states.astype(float)
    for alpha, (low, high) in found.items():
        factors = [x[:, i] - k for i, n in enumerate(alpha) for k in range(n)]
        values = np.prod([np.ones(len(x)), *factors], axis=0)
        stored = float(values @ d.probabilities)
        assert high - low <= 1e-9 * (1 + high)
        assert stored - 1e-9 * (1 + stored) <= high
        assert low <= stored + 1e-6 * (1 + stored)
    for interval in (*d.mean_interval().values(), *d.variance_interval().values()):
        assert interval.certified
        assert interval.width < 1e-6


def test_networks_without_closed_equations_are_left_to_the_drift():
    for name in ("toggle_hill", "schloegl", "hog1", "robertson"):
        model = load(name)
        assert moment_equations(rates(model, 1.0, model.species_bounds), model.n_species) is None


def test_equations_in_which_moments_cancel_are_left_to_the_drift():
    """X is consumed at rate Y, which X is no factor of: d E X/dt = - E Y loses the relative accuracy."""
    taken = Rate("taken", (-1, 0), {(0, 1): Fraction(1)}, {}, {(0, 1): Fraction(1)})
    made = Rate("made", (1, 0), {(0, 1): Fraction(1)}, {}, {(0, 1): Fraction(1)})
    assert moment_equations([taken], 2) is None
    assert moment_equations([made], 2) is not None


@pytest.mark.parametrize("t", [0.0, 0.3, 2.0])
def test_moments_of_a_range_of_starts_lie_between_those_of_its_ends(t):
    """X dies at rate 1 from 3 or 7: its mean lies between ``3 exp(-t)`` and ``7 exp(-t)``, whoever starts where."""
    model = network({"X": 5}, ("X -> 0", "mass_action", 1.0))
    equations = moment_equations(rates(model, t, model.species_bounds), 1)

    class Range:
        def falling(self, alpha):
            return tuple(math.prod(x - k for k in range(alpha[0])) for x in (3.0, 7.0))

    low, high = equations.at(t, Range())[(1,)]
    assert low <= 3.0 * math.exp(-t) * (1 + 1e-12)
    assert high >= 7.0 * math.exp(-t) * (1 - 1e-12)
    assert high - low <= 4.0 * math.exp(-t) * (1 + 1e-9)
