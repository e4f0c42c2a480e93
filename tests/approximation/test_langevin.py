"""Langevin paths: the order of the method, closed forms, and the density of the Fokker-Planck equation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.polynomial import Polynomial
from written_networks import network

import fsp
from fsp.approximation.langevin import WeakTrapezoidal

BIRTHS = network({"X": 10}, ("0 -> X", "mass_action", 10.0), ("X -> 0", "mass_action", 1.0))
PAIRS = network({"X": 20}, ("0 -> X", "mass_action", 30.0), ("2 X -> 0", "mass_action", 0.1))


def image(f):
    """Apply the generator of the Langevin equation of PAIRS, x > 1, to a polynomial."""
    x = Polynomial([0, 1])
    pairs = 0.05 * x * (x - 1)
    return (30 - 2 * pairs) * f.deriv() + 0.5 * (30 + 4 * pairs) * f.deriv(2)


@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_weak_order_is_two(power):
    """The mean after one step, by quadrature over its normal numbers, is off by the cube of its length."""
    points, weights = np.polynomial.hermite_e.hermegauss(8)
    nodes = np.array(list(itertools.product(points, repeat=4))).T  # (4, n)
    w = np.prod(list(itertools.product(weights / weights.sum(), repeat=4)), axis=1)
    f, gaps = Polynomial([0, 1]) ** power, []
    for length in (0.01, 0.005):
        x = WeakTrapezoidal(PAIRS).step(np.full((1, len(w)), 20.0), 0.0, length / 2, nodes[:2], nodes[2:])[0]
        exact = sum(
            length**k / math.factorial(k) * g for k, g in enumerate([f(20.0), image(f)(20.0), image(image(f))(20.0)])
        )
        gaps.append(abs(w @ x**power - exact))
    assert math.log2(gaps[0] / gaps[1]) == pytest.approx(3.0, abs=0.15)


def test_means_and_deviations_of_a_linear_network():
    found = fsp.langevin(BIRTHS, [0.5, 2.0], 5000, seed=3, steps=200)
    exact = fsp.linear_noise(BIRTHS, [0.5, 2.0])
    sd = np.sqrt(exact.covariance()[:, :, 0])
    assert (np.abs(found.mean() - exact.mean()) < 5 * found.standard_error() + 2e-3).all()
    assert (np.abs(found.std() / sd - 1) < 5 / np.sqrt(2 * 5000) + 2e-3).all()
    assert (found.mean_error < 1e-3).all()


def test_steps_that_are_too_long_are_seen():
    short, long = (fsp.langevin(PAIRS, 1.0, 4000, seed=1, steps=n) for n in (200, 16))
    assert long.mean_error[0, 0] > 5 * short.mean_error[0, 0]
    gap = abs(long.mean() - fsp.langevin(PAIRS, 1.0, 20_000, seed=2, steps=100).mean()).item()
    noise = 4 * math.hypot(long.standard_error().item(), long.standard_error().item() / math.sqrt(5))
    assert gap < 4 * long.mean_error.item() + noise


def test_the_density_is_that_of_the_fokker_planck_equation():
    """Largest distance of distribution functions, by the inequality of Dvoretzky, Kiefer and Wolfowitz."""
    runs = 10_000
    found = fsp.langevin(BIRTHS.with_initial(X=2), 1.5, runs, seed=5, steps=200, variant="reflected").distribution()
    law = fsp.fokker_planck(BIRTHS.with_initial(X=2), 1.5)
    allowed = math.sqrt(math.log(2 / 1e-6) / (2 * runs)) + law.mesh[0] + 2e-3
    assert found.distance(law[-1], "kolmogorov") < allowed
    assert found.distance(law[-1]) < 3 * found.error.total


def test_variants():
    model = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    clipped, reflected = (fsp.langevin(model, [0.5, 3.0], 2000, seed=1, variant=v) for v in ("clipped", "reflected"))
    assert clipped.samples.min() < 0.0 <= reflected.samples.min()
    again = fsp.langevin(model, [0.5, 3.0], 2000, seed=1)
    np.testing.assert_array_equal(again.samples, clipped.samples)
    assert "2,000 clipped paths, 400 steps of order 2" in str(again)
    dimer = network({"A": 20, "B": 4}, ("2 A -> B", "mass_action", 0.05), ("B -> 2 A", "mass_action", 0.3))
    np.testing.assert_allclose(fsp.langevin(dimer, 1.0, 500, seed=1).samples[0] @ [1, 2], 28.0, rtol=1e-12)


def test_rates_that_depend_on_time_and_first_distributions():
    reactions = [fsp.Reaction("0 -> X", rate="40*exp(-time)"), fsp.Reaction("X -> 0", rate="X")]
    model = fsp.Model(species=["X"], reactions=reactions, initial={(30,): 0.5, (50,): 0.5})
    found = fsp.langevin(model, [0.0, 1.0], 5000, seed=2, steps=100)
    expected = [40.0, (40 + 40) * math.exp(-1)]
    assert (np.abs(found.mean()[:, 0] - expected) < 5 * found.standard_error()[:, 0] + 5e-3).all()


@pytest.mark.parametrize("wrong", [{"runs": 1}, {"runs": 2.5}, {"steps": 1}, {"variant": "complex"}])
def test_arguments_are_checked(wrong):
    with pytest.raises(fsp.ArgumentError, match="must be"):
        fsp.langevin(BIRTHS, 1.0, **wrong)


def test_paths_that_explode_are_told():
    model = network({"X": 50}, ("2 X -> 3 X", "mass_action", 1.0))
    with pytest.raises(fsp.ConvergenceError, match="must stay finite"):
        fsp.langevin(model, 5.0, 10, seed=1)
