"""Fits of cells that differ: means and variations of laws among the estimates, against closed forms."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import self_activation
from scipy.optimize import minimize
from scipy.stats import nbinom

import fsp
from fsp.command.main import main
from fsp.inference import mixed_space
from fsp.inference.fixed_space import FixedSpace
from fsp.inference.free_laws import FreeLaws
from fsp.inference.objective import Objective
from fsp.inference.priors import priors_of
from fsp.inference.problem import Limits
from fsp.inference.quadrature import rule_of

RANGES = {"k": (0.4, 40.0), "g": (0.1, 10.0), "cv": (0.05, 2.0)}
LAW = {"k": fsp.Gamma("k", "cv")}


def varying(k=2.8, g=0.8, cv=0.25):
    """Return immigration and death with a coefficient of variation among its parameters."""
    return fsp.Model(
        species={"X": 0},
        parameters={"k": k, "g": g, "cv": cv},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def table(n=100, cv=0.4):
    at = np.repeat([0.3, 1.0, 3.0], n)
    rng = np.random.default_rng(4)
    return {"time": at, "n": rng.poisson(-rng.gamma(1.0 / cv**2, 4.0 * cv**2, 3 * n) * np.expm1(-at))}


def log_likelihood(cells, u):
    """Return that of negative binomial laws at logarithms of k, g and cv."""
    k, g, cv = np.exp(u)
    mean = -k / g * np.expm1(-g * cells["time"])
    return float(nbinom.logpmf(cells["n"], 1.0 / cv**2, 1.0 / (1.0 + mean * cv**2)).sum())


def differences(function, u, step):
    return np.array([(function(u + step * e) - function(u - step * e)) / (2.0 * step) for e in np.eye(len(u))])


def objective(laws, cells, ranges=RANGES):
    counts = fsp.read_counts(cells, counts={"X": "n"})
    return Objective.of(varying(), counts, tuple(ranges), priors_of(ranges, None), None, Limits(), extrinsic=laws)


def test_values_and_gradients_are_those_of_negative_binomial_laws():
    cells, u = table(), np.log([3.6, 0.9, 0.3])
    point = objective(LAW, cells).at(u, 1e-4)
    exact = log_likelihood(cells, u)
    slack = 1e-11 * abs(exact)
    assert point.value - slack <= exact <= point.value + point.gap + slack
    assert point.gap <= 1e-4
    numeric = differences(lambda v: log_likelihood(cells, v), u, 1e-5)
    assert point.gradient == pytest.approx(numeric, rel=1e-4, abs=1e-4)
    assert np.linalg.eigvalsh(point.information).min() > 0.0


def test_gradients_by_log_normal_laws_are_those_of_values():
    own, u = objective({"k": fsp.LogNormal("k", "cv")}, table(30)), np.log([3.6, 0.9, 0.3])
    point = own.at(u, 1e-2)
    numeric = differences(lambda v: own.at(v, 1e-2).value, u, 1e-3)
    assert point.gradient == pytest.approx(numeric, rel=1e-3, abs=5e-2)
    values, gaps = own.at_many(np.array([u, u + 0.1]), 1e-2)
    assert abs(values[0] - point.value) <= gaps[0] + point.gap + 1e-9


def test_death_rates_may_differ_where_others_are_free():
    own, u = (
        objective({"g": fsp.Gamma(1.0, "cv")}, table(20), {"k": (0.4, 40.0), "cv": (0.05, 2.0)}),
        np.log([3.6, 0.3]),
    )
    numeric = differences(lambda v: own.at(v, 1e-2).value, u, 1e-3)
    assert own.at(u, 1e-2).gradient == pytest.approx(numeric, rel=1e-3, abs=5e-2)


def test_fits_find_the_largest_likelihood_and_the_variation():
    cells = table()
    found = fsp.fit(
        varying(), fsp.read_counts(cells, counts={"X": "n"}), RANGES, extrinsic=LAW, starts=1, intervals="fisher"
    )
    best = minimize(lambda u: -log_likelihood(cells, u), np.log([4.0, 1.0, 0.4]), method="Nelder-Mead", tol=1e-9)
    assert list(found.parameters.values()) == pytest.approx(np.exp(best.x), rel=1e-3)
    assert found.likelihood.lower - 1e-6 <= -best.fun <= found.likelihood.upper + 1e-4
    low, high = found.intervals(method="fisher")["cv"]
    assert low < 0.4 < high
    assert found.model.parameters["cv"] == pytest.approx(found.parameters["cv"])


def test_posteriors_take_laws():
    cells = table(10)
    counts = fsp.read_counts(cells, counts={"X": "n"})
    posterior = fsp.Posterior(varying(g=1.0), counts, {"k": (0.4, 40.0), "cv": (0.05, 2.0)}, extrinsic=LAW)
    u = np.log([[3.6, 0.3], [4.4, 0.5]])
    known = [log_likelihood(cells, [row[0], 0.0, row[1]]) for row in u]
    found = posterior(u)
    assert found[1] - found[0] == pytest.approx(known[1] - known[0], abs=0.02)


@pytest.mark.parametrize("names", [("a", "K"), ("g",)])
def test_many_vectors_have_the_derivatives_of_each(names):
    model = self_activation()
    space = fsp.StateSpace.box(model, upper={"X": 14})
    fixed = FixedSpace(model, FreeLaws.of(model, names), space)
    theta = np.exp(np.random.default_rng(1).normal(0.0, 0.3, (3, len(names)))) * [model.parameters[n] for n in names]
    found, slopes = fixed.slopes_at_many(theta, [0.4, 1.5], 1e-14, 1e9)
    for p, own in enumerate(theta):
        each = fixed.at(own, [0.4, 1.5], 1e-14, 1e9)
        assert found.probabilities[p] == pytest.approx(each.probabilities[0], rel=1e-10)
        assert slopes[p] == pytest.approx(each.slopes, rel=1e-9, abs=1e-13)
        assert found.lacking[p] == pytest.approx(each.lacking[0], rel=1e-8)
        lost = 1.0 - found.probabilities[p].sum(axis=1)
        assert (lost <= found.lacking[p] + 1e-13).all()
        assert lost.max() > 1e-5


def test_parameters_that_a_law_says_are_not_free():
    cells = fsp.read_counts(table(5), counts={"X": "n"})
    with pytest.raises(fsp.ArgumentError, match=r"fsp\.Gamma\('k', 0\.3\)"):
        fsp.fit(varying(), cells, {"k": (1.0, 9.0)}, extrinsic={"k": fsp.Gamma(5.0, 0.3)})
    with pytest.raises(fsp.ArgumentError, match="no rate depends on 'cv'"):
        fsp.fit(varying(), cells, {"cv": (0.1, 0.9)}, extrinsic={"k": fsp.Gamma("k", 0.3)})
    with pytest.raises(fsp.ArgumentError, match="`start` must be left out"):
        fsp.fit(varying(), cells, {"k": (1.0, 9.0)}, extrinsic=LAW, start="stationary")


def test_the_command_fits_laws(tmp_path):
    cells = table(15)
    rows = [f"{t},{n}" for t, n in zip(cells["time"], cells["n"], strict=True)]
    (tmp_path / "cells.csv").write_text("\n".join(["time,n", *rows]))
    (tmp_path / "bd.ant").write_text("species X; X = 0; k = 4; g = 1; cv = 0.3; R1: -> X; k; R2: X -> ; g*X;")
    words = ["fit", str(tmp_path / "bd.ant"), "--data", str(tmp_path / "cells.csv"), "--observe", "X=n", "--free"]
    more = ["k=0.4:40,cv=0.05:2", "--extrinsic", "k=gamma(k,cv)", "--starts", "1", "--intervals", "fisher"]
    made = CliRunner().invoke(main, [*words, *more, "--json", "--quiet", "--report", str(tmp_path / "fit.html")])
    assert made.exit_code == 0, made.output
    record = json.loads(made.stdout)
    assert set(record["parameters"]) == {"k", "cv"}
    value = log_likelihood(cells, np.log([record["parameters"]["k"], 1.0, record["parameters"]["cv"]]))
    assert record["log_likelihood"]["lower"] - 1e-6 <= value <= record["log_likelihood"]["upper"] + 1e-6
    assert "cv" in (tmp_path / "fit.html").read_text()
    assert math.isfinite(record["aic"])


def test_rules_know_free_growth(monkeypatch):
    """A rate that is the product of a free parameter and one that differs grows by what the free one is."""
    used = []

    def watched(law, growth, error, outside):
        used.append(growth.linear)
        return rule_of(law, growth, error, outside)

    monkeypatch.setattr(mixed_space, "rule_of", watched)
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 2.0, "e": 1.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*e"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    cells = fsp.read_counts({"time": [1.5], "n": [3]}, counts={"X": "n"})
    priors = priors_of({"k": (1.0, 9.0)}, None)
    own = Objective.of(model, cells, ("k",), priors, None, Limits(), extrinsic={"e": fsp.Gamma(1.0, 0.3)})
    own.at(np.log([5.0]), 1e-3)
    assert used[-1] >= 1.5 * 5.0
