"""Ascents: where they end, and how soon, where the information is not what the second derivatives are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fsp.inference import ascent
from fsp.inference.ascent import GAIN, NEAR_NATS, UnreachableError, ascend, polish
from fsp.inference.part import Point

LOW, HIGH = np.full(3, -4.0), np.full(3, 4.0)


class Hill:
    """A quartic hill, whose information is a part of minus its second derivatives."""

    def __init__(self, told, top=(0.5, -0.3, 0.2)):
        self.told, self.top = told, np.array(top)
        self.H = np.array([[9.0, 4.0, 0.5], [4.0, 5.0, 1.0], [0.5, 1.0, 2.0]])

    def __call__(self, u, width, *, informed=True):
        x = u - self.top
        value = -0.5 * x @ self.H @ x - 0.1 * (x**4).sum()
        gradient = -self.H @ x - 0.4 * x**3
        curvature = self.H + 1.2 * np.diag(x**2)
        return Point(float(value), 0.0, gradient, np.diag(self.told * np.diag(curvature)))


@pytest.mark.parametrize("told", [0.5, 1.0, 4.0])
def test_a_secant_makes_up_for_information_that_is_wrong(told):
    hill = Hill(told)
    found = polish(hill, np.array([1.5, 1.0, -1.0]), LOW, HIGH, 1e-2)
    assert found.converged
    assert hill(found.u, 1e-2).value > -2.0 * GAIN
    assert found.evaluations <= 22
    again = polish(hill, found.u + 0.1, LOW, HIGH, 1e-2, lacking=found.lacking)
    assert again.evaluations < found.evaluations  # what is known of the curvature is not learnt twice


def test_ends_at_bounds_and_with_a_fixed_parameter_are_the_largest_there():
    hill = Hill(1.5, top=(0.5, 6.0, 0.2))
    found = ascend(hill, np.zeros(3), LOW, HIGH)
    assert found.converged
    assert found.u[1] == pytest.approx(4.0)
    free = hill(found.u, 1e-2).gradient
    assert np.abs(free[[0, 2]]).max() < 0.1
    assert free[1] > 0.0
    fixed = polish(hill, np.array([0.0, 1.0, 0.0]), LOW, HIGH, 1e-2, fixed=1)
    assert fixed.u[1] == 1.0
    assert np.abs(hill(fixed.u, 1e-2).gradient[[0, 2]]).max() < 1e-2


def test_a_start_without_a_value_is_moved_or_refused():
    hill = Hill(1.0)

    def cut(u, width, *, informed=True):
        return hill(u, width) if u[0] < 1.0 else Point(-np.inf, np.inf, np.zeros(3), np.zeros((3, 3)))

    found = ascend(cut, np.array([3.0, 0.0, 0.0]), LOW, HIGH, np.zeros(3))
    assert found.point.value == pytest.approx(0.0, abs=2e-3)
    with pytest.raises(UnreachableError):
        ascend(cut, np.array([3.0, 0.0, 0.0]), LOW, HIGH)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("off", "converged"), [(0.1, True), (50.0, False)])
def test_an_end_where_no_step_gains_has_converged_if_little_is_promised_in_any_unit(scale, off, converged):
    hill = Hill(1.0)

    def estimated(u, width, *, informed=True):
        """Return values whose gradient is that of another place, from which `off` times `NEAR_NATS` is promised."""
        x = hill.top + (u - hill.top) / scale
        move = np.sqrt(2.0 * off * NEAR_NATS / hill.H[0, 0]) * np.eye(3)[0]
        other = hill(x + move, width)
        return Point(hill(x, width).value, 0.0, other.gradient / scale, hill.H / scale**2)

    low, high = hill.top - 4.0 * scale, hill.top + 4.0 * scale
    found = polish(estimated, hill.top, low, high, 1e-2)
    assert found.point.value > -NEAR_NATS
    assert found.converged is converged


def test_an_end_at_the_last_step_has_converged_if_little_is_promised(monkeypatch):
    hill = Hill(1.0)
    monkeypatch.setattr(ascent, "MOST_SCORINGS", 1)
    informed = lambda u, width, *, informed=True: replace(hill(u, width), information=hill.H)  # noqa: E731
    assert polish(informed, hill.top + 0.05, LOW, HIGH, 1e-2).converged
    assert not polish(hill, hill.top + 1.0, LOW, HIGH, 1e-2).converged
