"""Posteriors whose moments are known, gradients by differences, and what samplers need."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from inference_cases import immigration_death
from scipy.stats import gamma, lognorm, norm

import fsp

COUNTS = {"time": [0.5, 0.5, 1.0, 1.0, 2.0, 2.0], "x": [3, 6, 5, 8, 11, 7]}


def gamma_posterior(**more):
    """Return the posterior of k under a gamma prior, which is a gamma law, and that law."""
    shape, scale = 3.0, 4.0
    counts = fsp.read_counts(COUNTS, counts={"X": "x"})
    s = float((1.0 - np.exp(-np.array(COUNTS["time"]))).sum())
    exact = gamma(shape + sum(COUNTS["x"]), scale=1.0 / (1.0 / scale + s))
    return fsp.Posterior(immigration_death(), counts, {"k": gamma(shape, scale=scale)}, **more), exact


def test_density_is_that_of_a_gamma_law():
    posterior, exact = gamma_posterior(width=1e-6)
    u = np.log([5.0, 8.0, 11.0, 15.0])
    own = posterior(u[:, None])
    known = exact.logpdf(np.exp(u)) + u
    np.testing.assert_allclose(own - own[0], known - known[0], atol=4e-6)
    assert isinstance(posterior(u[:1]), float)


def test_gradients_are_those_of_the_values():
    counts = fsp.read_counts(COUNTS, counts={"X": "x"})
    priors = {"k": lognorm(0.5, scale=9.0), "g": (0.1, 10.0)}
    posterior = fsp.Posterior(immigration_death(), counts, priors, width=1e-7)
    u, step = np.log([9.0, 1.1]), 1e-4
    value, gradient = posterior.value_and_gradient(u)
    assert abs(value - posterior(u)) <= 2e-7
    for k in range(2):
        e = step * np.eye(2)[k]
        assert abs((posterior(u + e) - posterior(u - e)) / (2.0 * step) - gradient[k]) <= 2e-3
    np.testing.assert_array_equal(posterior.gradient(u), gradient)


def test_outside_the_priors_there_is_nothing():
    counts = fsp.read_counts(COUNTS, counts={"X": "x"})
    posterior = fsp.Posterior(immigration_death(), counts, {"k": (1.0, 100.0), "g": (0.5, 2.0)})
    values = posterior(np.log([[10.0, 0.4], [10.0, 1.0], [200.0, 1.0]]))
    assert np.isinf(values).tolist() == [True, False, True]
    assert posterior.value_and_gradient(np.log([10.0, 0.4]))[0] == -math.inf


def test_means_by_integration_are_those_of_the_gamma_law():
    posterior, exact = gamma_posterior()
    draws = posterior.integrate(4096)
    mean = draws.mean()["k"]
    assert abs(mean.value - exact.mean()) <= 2.0 * mean.width  # eight standard errors
    assert mean.width <= 2e-3 * exact.mean()
    assert draws.std()["k"] == pytest.approx(exact.std(), rel=0.02)
    assert draws.interval(0.9)["k"] == pytest.approx(exact.interval(0.9), rel=0.02)
    assert draws.effective[0] >= 2000
    assert "4,096 draws" in str(draws)


def test_two_parameters_keep_the_ratio_that_the_data_tell():
    counts = fsp.read_counts({"time": [6.0] * 40, "x": [10] * 20 + [9] * 10 + [11] * 10}, counts={"X": "x"})
    posterior = fsp.Posterior(immigration_death(), counts, {"k": (1.0, 100.0), "g": (0.3, 10.0)})
    draws = posterior.integrate(1024)
    ratio = np.log(draws.values[..., 0] / draws.values[..., 1])
    mean = float((draws.weights * ratio).sum())
    spread = math.sqrt(float((draws.weights * (ratio - mean) ** 2).sum()))
    assert mean == pytest.approx(math.log(10.0), abs=0.1)
    assert spread == pytest.approx(1.0 / math.sqrt(400.0), rel=0.2)
    assert draws.std(log=True)["k"] >= 5.0 * spread  # itself it is hardly known


def test_samples_of_emcee_are_those_of_the_gamma_law():
    pytest.importorskip("emcee")
    posterior, exact = gamma_posterior()
    seen = []
    draws = posterior.sample(300, seed=3, progress=lambda step, steps: seen.append((step, steps)))
    mean = draws.mean()["k"]
    assert abs(mean.value - exact.mean()) <= 2.5 * mean.width
    assert draws.std()["k"] == pytest.approx(exact.std(), rel=0.2)
    assert seen[-1] == (300, 300)
    np.testing.assert_array_equal(posterior.sample(8, seed=3).values, posterior.sample(8, seed=3).values)


def test_without_emcee_it_is_said_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "emcee", None)
    posterior, _ = gamma_posterior()
    with pytest.raises(fsp.ArgumentError, match=r"pip install 'fsp-cme\[posterior\]'"):
        posterior.sample()


def test_a_posterior_goes_to_other_processes():
    posterior, _ = gamma_posterior()
    u = np.log([9.0])
    assert pickle.loads(pickle.dumps(posterior))(u) == pytest.approx(posterior(u), abs=1e-2)


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        ({}, "must give one by name"),
        ({"k": 3.0}, "prior of 'k' must be two numbers"),
        ({"k": (2.0, 1.0)}, "must be positive and increasing"),
        ({"q": (1.0, 2.0)}, "must be of parameters of the model, k, g, but one is of 'q'"),
        ({"k": norm(-10.0, 1.0)}, None),  # may be positive
    ],
)
def test_bad_priors_have_each_their_own_error(priors, words):
    counts = fsp.read_counts(COUNTS, counts={"X": "x"})
    if words is None:
        assert math.isfinite(fsp.Posterior(immigration_death(), counts, priors)(np.log([0.5])))
        return
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.Posterior(immigration_death(), counts, priors)


def test_bad_arguments_are_refused():
    posterior, _ = gamma_posterior()
    with pytest.raises(fsp.ArgumentError, match="`u` must be logarithms of k, but has shape"):
        posterior(np.zeros((2, 3)))
    with pytest.raises(fsp.ArgumentError, match="`points` must be a whole number of 64 or more"):
        posterior.integrate(10)
    with pytest.raises(fsp.ArgumentError, match="must be what fsp"):
        fsp.Posterior(immigration_death(), [1], {"k": (1, 2)})
