"""Moment closures: exact where a law is what they assume, orders in the volume, failures that are said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.approximation.closures import CLOSURES, _Equations, _in_ordinary, _splits, log_normal_moment
from fsp.approximation.scaling import ScaledNetwork

PAIRS = network({"A": 20, "B": 0}, ("2 A -> B", "mass_action", 0.05), ("B -> 2 A", "mass_action", 0.3))
HUNT = network({"Prey": 20, "Pred": 30}, ("Prey -> 2 Prey", "mass_action", 1.0),
               ("Prey + Pred -> 2 Pred", "mass_action", 0.02), ("Pred -> 0", "mass_action", 0.6))  # fmt: skip


@pytest.mark.parametrize("closure", CLOSURES)
def test_linear_networks_need_none(closure):
    model = network({"M": 2, "P": 0}, ("0 -> M", "mass_action", 4.0), ("M -> 0", "mass_action", 1.0),
                    ("M -> M + P", "mass_action", 2.0), ("P -> 0", "mass_action", 0.5))  # fmt: skip
    found, exact = fsp.moment_closure(model, [0.0, 0.5, 3.0], closure), fsp.linear_noise(model, [0.0, 0.5, 3.0])
    np.testing.assert_allclose(found.means, exact.mean(), atol=1e-7)
    np.testing.assert_allclose(found.covariances, exact.covariance(), atol=1e-6)
    settled, steady = fsp.moment_closure(model, None, closure), fsp.linear_noise(model)
    np.testing.assert_allclose(settled.means, steady.mean(), rtol=1e-7)
    np.testing.assert_allclose(settled.covariances, steady.covariance(), rtol=1e-6)


@pytest.mark.parametrize("closure", CLOSURES)
@pytest.mark.parametrize("rate", [10.0, 60.0, 1e4])
def test_immigration_and_death_in_closed_form(closure, rate):
    """Variances are differences of numbers that are 10,000 times as large."""
    model = network({"X": 50}, ("0 -> X", "mass_action", rate), ("X -> 0", "mass_action", 1.0))
    found, left = fsp.moment_closure(model, 1.0, closure), math.exp(-1.0)
    born = rate * (1 - left)
    assert found.means[0, 0] == pytest.approx(born + 50 * left, rel=1e-11)
    assert found.covariances[0, 0, 0] == pytest.approx(born + 50 * left * (1 - left), rel=1e-9)


@pytest.mark.parametrize("order", [2, 3])
def test_the_poisson_closure_is_exact_for_a_poisson_law(order):
    """Complex balanced at 10: x of X -> 2 X against pairs."""
    model = network({"X": 4}, ("0 -> X", "mass_action", 10.0), ("X -> 0", "mass_action", 1.0),
                    ("X -> 2 X", "mass_action", 0.5), ("2 X -> X", "mass_action", 0.1))  # fmt: skip
    found = fsp.moment_closure(model, None, "poisson", order)
    assert found.means.item() == pytest.approx(10.0, rel=1e-8)
    assert found.covariances.item() == pytest.approx(10.0, rel=1e-7)


def test_errors_fall_with_the_volume_as_the_order_says():
    """Cumulants of order n of a concentration are of order V^(1-n): what is left out shows in that power."""
    own, gaps = ScaledNetwork(PAIRS), {name: [] for name in CLOSURES}
    for V in (2, 4, 8):
        model = own.model_in(V)
        exact = fsp.transient(model, 1.0, 1e-10)[-1]
        for name, gap in gaps.items():
            found = fsp.moment_closure(model, 1.0, name)
            mean, variance = found.means[0, 1] - exact.mean()["B"], found.covariances[0, 1, 1] - exact.variance()["B"]
            gap.append([abs(mean) / V, abs(variance) / V**2])
    for name, gap in gaps.items():
        order = 3.0 if name == "zero-cumulant" else 2.0
        np.testing.assert_allclose(np.diff(np.log(gap), axis=0) / np.log(2), -order, atol=0.15, err_msg=name)


def test_moments_of_a_log_normal_law():
    mu, sigma = np.array([1.2, 0.4]), np.array([[0.3, 0.1], [0.1, 0.2]])

    def moment(*alpha):
        a = np.array(alpha)
        return math.exp(a @ mu + 0.5 * a @ sigma @ a)

    raw = {alpha: moment(*alpha) for alpha in [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]}
    for alpha in [(3, 0), (2, 1), (1, 2), (0, 4), (2, 2)]:
        assert log_normal_moment(alpha, raw) == pytest.approx(moment(*alpha), rel=1e-12)


def test_moments_of_a_normal_law_and_of_poisson_laws():
    equations = _Equations(PAIRS, "normal", 2)
    raw = {(0, 0): 1.0, (1, 0): 3.0, (0, 1): 2.0, (2, 0): 9 + 1.5, (1, 1): 6 + 0.4, (0, 2): 4 + 0.8}
    assert equations._closed(dict(raw))[3, 0] == pytest.approx(3**3 + 3 * 3 * 1.5)
    assert equations._closed(dict(raw))[2, 1] == pytest.approx(9 * 2 + 1.5 * 2 + 2 * 3 * 0.4)
    poisson = {(0, 0): 1.0, (1, 0): 3.0, (0, 1): 2.0, (2, 0): 12.0, (1, 1): 6.0, (0, 2): 6.0}
    found = _Equations(PAIRS, "poisson", 2)._closed(poisson)
    assert found[3, 0] == pytest.approx(27 + 27 + 3)
    assert found[1, 2] == pytest.approx(3.0 * 6.0)


def test_conversions_of_moments():
    assert _in_ordinary((3,)) == pytest.approx({(3,): 1.0, (2,): -3.0, (1,): 2.0, (0,): 0.0})
    assert _splits((2,)) == [(1, (1,), (1,)), (1, (2,), (0,))]
    assert _splits((3,))[-1] == (1, (3,), (0,))


def test_failures_are_said():
    found = fsp.moment_closure(HUNT, [1.0, 20.0], "zero-cumulant")
    assert "becomes negative at t = 1" in found.failure
    assert np.isfinite(found.means[0]).all()
    assert np.isnan(found.means[1]).all()
    assert "failed: the" in str(found)
    for reaction in ("X -> 2 X", "2 X -> 3 X"):  # growth without end, and in finite time
        assert fsp.moment_closure(network({"X": 4}, (reaction, "mass_action", 1.0))).failure


@pytest.mark.parametrize(("closure", "order"), [("gauss", None), ("normal", 3), ("zero-cumulant", 1), ("poisson", 9)])
def test_arguments_are_checked(closure, order):
    with pytest.raises(fsp.ArgumentError, match=r"`closure` must be one of|`order` of the"):
        fsp.moment_closure(PAIRS, 1.0, closure, order)


def test_rates_must_be_polynomials():
    with pytest.raises(fsp.ModelError, match="Rate of 'r1' must be a polynomial"):
        fsp.moment_closure(network({"X": 4}, ("X -> 0", "rate", "X/(1 + X)")), 1.0)
    with pytest.raises(fsp.ModelError, match="Rate of 'r1' must be a polynomial"):
        fsp.moment_closure(network({"X": 4}, ("X -> 0", "rate", "X*exp(-time)")), 1.0)
