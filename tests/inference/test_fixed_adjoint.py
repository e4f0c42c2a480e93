"""Gradients on fixed states, back from the cells: those that go forward, and what fits and posteriors make of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from inference_cases import immigration_death, self_activation
from scipy.stats import lognorm

import fsp
from fsp.inference.objective import Objective
from fsp.inference.priors import posterior_priors
from fsp.inference.problem import Limits

AT = {"time": [0.5, 0.5, 0.5, 2.0, 2.0, 2.0], "n": [3, 5, 6, 8, 9, 11], "dose": [1.0, 1.0, 2.0, 1.0, 2.0, 2.0]}


def objective(model, names, instrument=None, **more):
    counts = fsp.read_counts(AT, counts={"X": "n"}, **more)
    priors = tuple(posterior_priors({name: (1e-3, 1e3) for name in names}).values())
    return Objective.of(model, counts, names, priors, instrument, Limits())


def captured():
    """Return immigration and death with a capture probability that is a parameter."""
    model = immigration_death()
    parameters = dict(model.parameters, c=0.6)
    reactions = [fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")]
    return fsp.Model(species={"X": 0}, parameters=parameters, reactions=reactions)


@pytest.mark.parametrize(
    ("model", "names", "instrument", "more"),
    [
        (immigration_death(), ["k"], None, {}),
        (immigration_death(), ["g", "k"], None, {}),
        (self_activation(), ["a", "K", "n", "b", "g"], None, {}),
        (immigration_death(), ["k", "g"], fsp.Normal(1.5), {}),
        (captured(), ["k", "c", "g"], fsp.Binomial("c"), {}),
        (captured(), ["c"], fsp.Binomial("c"), {}),
        (captured(), ["k", "g"], None, {"conditions": {"dose": "c"}}),
    ],
)
def test_gradients_back_from_the_cells_are_those_that_go_forward(model, names, instrument, more):
    of_all = objective(model, names, instrument, **more)
    u = np.log([model.parameters[name] for name in names]) + 0.1
    forward, back = of_all.at(u, 1e-2), of_all.at(u, 1e-2, informed=False)
    np.testing.assert_allclose(back.gradient, forward.gradient, rtol=1e-9, atol=1e-9)
    assert back.value == pytest.approx(forward.value, rel=1e-9)
    assert back.gap <= 1e-2
    assert np.isnan(back.information).all()


@pytest.mark.parametrize("names", [["k"], ["e"], ["k", "e", "g"], ["h", "g", "c0"]])
def test_gradients_by_what_a_capture_probability_is_made_of_are_differences(names):
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 9.0, "g": 1.0, "e": 0.7, "h": 0.9, "c0": 0.8, "c": "c0*sqrt(e)*h"},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", rate="g*h^2*X")],
    )
    of_all = objective(model, names, fsp.Binomial("c"))
    u = np.log([model.parameters[name] for name in names])
    steps = 1e-5 * np.eye(len(names))
    differences = [(of_all.at(u + e, 1e-9).value - of_all.at(u - e, 1e-9).value) / 2e-5 for e in steps]
    for informed in (True, False):
        np.testing.assert_allclose(of_all.at(u, 1e-9, informed=informed).gradient, differences, atol=1e-6)
    counts = fsp.read_counts(AT, counts={"X": "n"})
    exact = fsp.likelihood(model, counts, width=1e-9, instrument=fsp.Binomial("c")).value
    assert of_all.at(u, 1e-9).value == pytest.approx(exact.value + of_all.prior_at(u), abs=1e-8)


def test_a_fit_finds_what_a_capture_probability_is_made_of():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 9.0, "g": 1.0, "e": 0.7, "c": "0.8*e^2"},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    counts = fsp.read_counts({"time": [50.0] * 6, "n": [3, 5, 6, 4, 2, 4]}, counts={"X": "n"})
    fit = fsp.fit(model, counts, {"e": (0.1, 1.0)}, instrument=fsp.Binomial("c"), starts=1, intervals="fisher")
    assert fit.parameters["e"] == pytest.approx(math.sqrt(4.0 / (9.0 * 0.8)), rel=1e-3)  # a Poisson law of mean 9 c


def test_gradients_of_posteriors_are_differences_of_their_values():
    model = self_activation()
    counts = fsp.read_counts(AT, counts={"X": "n"})
    posterior = fsp.Posterior(model, counts, {"a": (1, 100), "K": lognorm(1.0), "g": (0.1, 10)}, width=1e-9)
    u = np.log([7.0, 3.0, 0.9])
    value, gradient = posterior.value_and_gradient(u)
    assert value == pytest.approx(posterior(u), abs=1e-8)
    for k in range(3):
        step = 1e-4 * np.eye(3)[k]
        slope = (posterior(u + step) - posterior(u - step)) / 2e-4
        assert gradient[k] == pytest.approx(slope, abs=1e-5)


def test_an_impossible_cell_has_no_gradient():
    model = fsp.Model(
        species={"X": 6}, parameters={"g": 1.0}, reactions=[fsp.Reaction("2 X -> 0", mass_action="g")], name="decay"
    )
    counts = fsp.read_counts({"time": [1.0], "n": [5]}, counts={"X": "n"})  # counts stay even
    posterior = fsp.Posterior(model, counts, {"g": (0.1, 10)})
    value, gradient = posterior.value_and_gradient(np.zeros(1))
    assert value == -math.inf
    assert not gradient.any()


@pytest.mark.parametrize(
    ("model", "names", "instrument"),
    [
        (immigration_death(), ["g", "k"], None),
        (self_activation(), ["a", "K", "b", "g"], None),
        (immigration_death(), ["k", "g"], fsp.Normal(1.5)),
    ],
)
def test_second_derivatives_are_differences_of_gradients(model, names, instrument):
    of_all, step = objective(model, names, instrument), 1e-4
    u = np.log([model.parameters[name] for name in names]) + 0.1
    observed = of_all.observed(u, 1e-6)
    for k, unit in enumerate(np.eye(len(names))):
        ends = [of_all.at(u + sign * step * unit, 1e-6, informed=False).gradient for sign in (1.0, -1.0)]
        np.testing.assert_allclose(observed[k], (ends[1] - ends[0]) / (2.0 * step), rtol=1e-5, atol=1e-5)


def test_observed_information_of_a_poisson_law_is_its_number_of_molecules(tmp_path):
    """log L = Σ n log m - m with m ~ k: minus the second derivative by log k is Σ m, at the summit Σ n."""
    counts = fsp.read_counts(AT, counts={"X": "n"})
    fit = fsp.fit(immigration_death(), counts, {"k": (1, 1e3)}, starts=1, processes=1, intervals="observed")
    assert fit.method == "observed"
    assert fit.estimates.observed[0, 0] == pytest.approx(42.0, rel=1e-4)
    interval = fit.intervals(method="observed")["k"]
    assert math.log(interval.upper / interval.value) == pytest.approx(1.959964 / math.sqrt(42.0), rel=1e-3)
    fit.save(tmp_path / "fit.h5")
    again = fsp.read(tmp_path / "fit.h5")
    assert again.intervals(method="observed") == fit.intervals(method="observed")
    expected = fsp.fit(immigration_death(), counts, {"k": (1, 1e3)}, starts=1, processes=1, intervals="fisher")
    with pytest.raises(fsp.ArgumentError, match="intervals='observed'"):
        expected.intervals(method="observed")


def test_second_derivatives_are_refused_where_they_are_not_known():
    counts = fsp.read_counts(AT, counts={"X": "n"})
    given = {"starts": 1, "processes": 1, "intervals": "observed"}
    with pytest.raises(fsp.BackendError, match="'c' of an instrument is free"):
        fsp.fit(captured(), counts, {"k": (1, 1e3), "c": (0.1, 1)}, instrument=fsp.Binomial("c"), **given)
    with pytest.raises(fsp.ModelError, match="no second derivative"):
        fsp.fit(self_activation(), counts, {"K": (1, 10), "n": (1, 4)}, **given)
    with pytest.raises(fsp.BackendError, match="begin at rest"):
        fsp.fit(immigration_death(), counts, {"k": (1, 1e3)}, start="stationary", **given)
