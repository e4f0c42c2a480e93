"""What bounds of passages hang on, state by state: functions that fall, in rationals, and parts of a mean."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.moments.lyapunov import drift_condition
from fsp.passages.certificate import PassageCertifier
from fsp.passages.targets import Targets

DEATHS = 0.75
MODEL = network({"X": 9}, ("0 -> X", "mass_action", 6.5), ("X -> 0", "mass_action", DEATHS))


def certifier(model, targets, orders=2):
    read = Targets.read(model, targets)
    return PassageCertifier(model, read.stopping(model), read, drift_condition(model), orders)


def value(polynomial, x):
    """Return a polynomial of one count in falling powers, in rationals."""
    return sum(Fraction(c) * math.prod(x - k for k in range(n)) for (n,), c in polynomial.items())


def drift(polynomial, x, births=6.5):
    up, down = value(polynomial, x + 1), value(polynomial, max(x - 1, 0))
    here = value(polynomial, x)
    return Fraction(births) * (up - here) + Fraction(DEATHS) * x * (down - here)


@pytest.mark.parametrize("target", ["X == 0", "X > 25"])
def test_the_function_of_the_mean_falls_by_one_where_it_is_not_excepted(target):
    bounds = certifier(MODEL, target)
    generator = fsp.Generator(MODEL, fsp.StateSpace.box(MODEL, {"X": 60}))
    above, missing = bounds._above(1, generator, [])
    assert not len(missing)
    excepted = above.condition.states[:, 0].tolist()
    held = {x for x in range(300) if (x == 0 if target == "X == 0" else x > 25)}
    for x in set(range(300)) - held - set(excepted):
        assert Fraction(above.scale) * drift(above.condition.function, x) <= -1
    assert len(excepted) < 60
    for x, rounded in enumerate(above.values(np.arange(300)[:, None])):
        exact = Fraction(above.scale) * value(above.condition.function, x)
        assert exact <= Fraction(rounded) <= exact * Fraction(1 + 1e-13)


@pytest.mark.parametrize("births", [6.5, 11.2, 300.0])
def test_the_function_of_a_second_moment_pays_for_the_first(births):
    """Inequality (3) with the α that was reached, also where the proof was made for another one."""
    model = network({"X": 9}, ("0 -> X", "mass_action", births), ("X -> 0", "mass_action", DEATHS))
    bounds = certifier(model, "X == 0")
    generator = fsp.Generator(model, fsp.StateSpace.box(model, {"X": 900}))
    first, _ = bounds._above(1, generator, [])
    for alpha in (1.0, 1.02, 1.05, 1.3, 0.9, 1000.0, 1040.0, 1090.0):
        reached = replace(first, alpha=alpha)
        condition = bounds._power(2, [reached])
        excepted = condition.states[:, 0].tolist()
        for x in set(range(1, 100 + 2 * int(births))) - set(excepted):
            cost = 2 * (Fraction(alpha) + Fraction(first.scale) * value(first.condition.function, x))
            assert drift(condition.function, x, births) <= -cost
        assert len(excepted) < 100 + births / 0.5


def two_ends(top):
    """Return the bounds of a walk of A between 0 and 5, beside a count Y that leaves the space, and its exact law."""
    model = network(
        {"A": 2, "Y": 6},
        ("0 -> A", "mass_action", 0.8),
        ("A -> 0", "mass_action", 0.5),
        ("0 -> Y", "mass_action", 6.0),
        ("Y -> 0", "mass_action", 1.0),
    )
    found = certifier(model, {"low": "A == 0", "high": "A >= 5"}).attempt(
        fsp.StateSpace.box(model, {"A": 5, "Y": top}), None
    )
    a = np.arange(1, 5)
    M = np.diag(0.8 + 0.5 * a) - np.diag(np.full(3, 0.8), 1) - np.diag(0.5 * a[1:], -1)  # rows are where one begins
    first = np.linalg.solve(M, np.stack([0.5 * (a == 1), 0.8 * (a == 4)], axis=1))  # (4, 2)
    times = np.linalg.solve(M, np.column_stack([first, np.ones(4)]))  # of low, of high, of both
    second = np.linalg.solve(M, 2.0 * times[:, 2])
    at = found.generator.space.states_at(found.stage.inside)[:, 0] - 1
    return found, first[at].T, times[at].T, second[at]


@pytest.mark.parametrize("top", [9, 12, 16, 40])
def test_parts_of_a_mean_are_bounded_where_the_space_is_left(top):
    found, first, times, second = two_ends(top)
    tiny = 1e-12
    for j in (0, 1):
        assert (found.hits[0, j] <= first[j] + tiny).all()
        assert (first[j] <= found.hits[1, j] + tiny).all()
        assert (found.conditional[0, j] <= times[j] + tiny).all()
        assert (times[j] <= found.conditional[1, j] + tiny).all()
    for bound, truth in zip(found.moments, (times[2], second), strict=True):
        assert (bound[0] <= truth + tiny).all()
        assert (truth <= bound[1] + tiny).all()
    if top == 40:
        assert (found.conditional[1] - found.conditional[0]).min() <= 1e-6
    else:
        assert found.stage.outflow.any()
        assert np.isfinite(found.conditional).all()


@pytest.mark.parametrize("trap", [0.25, 3.0, 40.0])
def test_ways_into_traps_are_ways_out(trap):
    """S waits for a target, beside a trap: shares are those of the rates."""
    model = network(
        {"S": 1, "U": 0, "T": 0, "D": 0},
        ("S -> T", "mass_action", 2.0),
        ("S -> U", "mass_action", 1.0),
        ("U -> S", "mass_action", 0.5),
        ("S -> D", "mass_action", trap),
    )
    read = Targets.read(model, "T == 1")
    bounds = PassageCertifier(model, read.stopping(model), read, None, 1)
    found = bounds.attempt(fsp.StateSpace.reachable(model), None)
    share = Fraction(2) / (2 + Fraction(trap))  # U comes back
    for low, high, exact in ((*found.hits[:, 0], share), (*found.never, 1 - share)):
        assert (low <= exact).all()
        assert (exact <= high).all()
        assert np.allclose(low, high, rtol=1e-12)
