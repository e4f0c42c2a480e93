"""Distances of laws that are known exactly hold their own rounding."""

from __future__ import annotations

from fractions import Fraction

import fsp
from fsp.approximation.distances import l1, wasserstein


def uniform(first):
    """Ten counts of probability 0.1, at time zero: without an error."""
    decay = [fsp.Reaction("X -> 0", rate="X")]
    model = fsp.Model(species={"X": 0}, initial={(first + i,): 0.1 for i in range(10)}, reactions=decay)
    return fsp.transient(model, [0.0], 1e-6)[-1]


def test_distances_of_exact_laws_hold_their_rounding():
    first, second = uniform(0), uniform(3)
    assert first.error.total == 0.0
    apart, moved = l1(first, second), wasserstein(first, second)
    assert apart.certified
    assert moved.certified
    assert Fraction(apart.lower) <= 6 * Fraction(0.1) <= Fraction(apart.upper)
    assert moved.lower <= 3.0 <= moved.upper
    assert apart.upper - apart.lower <= 1e-12
    assert moved.upper - moved.lower <= 1e-11
