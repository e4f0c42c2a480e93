"""Correlations after a start against closed forms, dense exponentials, and starts that are known but for an error."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from random_networks import as_model, closed_networks
from scipy.linalg import expm
from scipy.stats import poisson
from written_networks import network

import fsp
from fsp.command.main import main

LAGS = np.array([0.0, 0.5, 2.0])
ROUNDED = 1e-9  # error of the dense algebra, relative to what it is made of


def immigration_death(start=0):
    return network({"X": start}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))


def hold(curve, exact, width=2e-6):
    assert curve.certified, curve.reason
    assert (curve.lower <= exact + 1e-14).all(), (curve.lower, exact)
    assert (exact - 1e-14 <= curve.upper).all(), (curve.upper, exact)
    assert (curve.upper - curve.lower <= width).all()


@pytest.mark.parametrize("time", [0.2, 0.7, 3.0])
def test_immigration_and_death_on_its_way_to_rest(time):
    """From no molecules the law at t is Poisson's with mean m (1 - exp(-t)); Cov(X(t), X(t + τ)) = E X(t) exp(-τ)."""
    mean = 9.0 * (1.0 - math.exp(-time))
    start = fsp.transient(immigration_death(), [time], tol=1e-10)
    found = fsp.correlation(immigration_death(), "X", LAGS, start=start)
    hold(found.covariance, mean * np.exp(-LAGS), 2e-5)
    later = 9.0 * (1.0 - np.exp(-time - LAGS))
    hold(found.correlation, mean * np.exp(-LAGS) / np.sqrt(mean * later))
    assert mean in found.means[0]
    n = np.arange(200)
    law = poisson.pmf(n, mean)
    crossed = fsp.correlation(immigration_death(), "X > 4", LAGS, with_="X", start=start)
    hold(crossed.covariance, (law @ ((n > 4) * n) - law[5:].sum() * mean) * np.exp(-LAGS), 2e-5)


def test_two_starts_remember_which_they_were():
    model = fsp.Model(species=["X"], initial={(0,): 0.5, (10,): 0.5}, reactions=immigration_death().reactions)
    hold(fsp.correlation(model, "X", LAGS, start=None).covariance, 25.0 * np.exp(-LAGS), 2e-5)
    drawn = immigration_death("poisson(5)")
    hold(fsp.correlation(drawn, "X", LAGS, start=None).covariance, 5.0 * np.exp(-LAGS), 2e-5)


def test_a_single_start_is_correlated_with_nothing():
    found = fsp.correlation(immigration_death(3), "X", LAGS, start=None)
    hold(found.covariance, 0.0, 1e-11)
    assert not found.correlation.certified
    assert "a variance may be zero" in str(found)
    with pytest.raises(fsp.BackendError, match="at rest"):
        found.spectrum(1.0)


def test_from_the_stationary_law_it_is_that_at_rest():
    rest = fsp.correlation(immigration_death(), "X", LAGS)
    started = fsp.correlation(immigration_death(), "X", LAGS, start=fsp.stationary(immigration_death(), tol=1e-9))
    assert (rest.correlation.lower <= started.correlation.upper).all()
    assert (started.correlation.lower <= rest.correlation.upper).all()
    hold(started.correlation, np.exp(-LAGS), 1e-5)


def test_rates_may_depend_on_time_from_the_beginning():
    """X decays with rate 1 + sin t: Cov(X(0), X(τ)) = Var X(0) exp(-∫ rate)."""
    model = fsp.Model(
        species=["X"], initial={(0,): 0.5, (4,): 0.5}, reactions=[fsp.Reaction("X -> 0", rate="X*(1 + sin(time))")]
    )
    found = fsp.correlation(model, "X", LAGS, start=None)
    hold(found.covariance, 4.0 * np.exp(-(LAGS + 1.0 - np.cos(LAGS))), 2e-5)
    with pytest.raises(fsp.BackendError, match="at time 0 where rates"):
        fsp.correlation(model, "X", LAGS, start=fsp.transient(model, [0.5], tol=1e-9))


def test_what_has_no_bound_beyond_is_an_estimate():
    found = fsp.correlation(immigration_death(), "exp(X/9)", LAGS, start=fsp.transient(immigration_death(), [1.0]))
    assert not found.covariance.certified
    assert not found.correlation.certified
    assert "estimate" in str(found)


@settings(max_examples=10, deadline=None)
@given(described=closed_networks())
def test_what_the_start_lacks_is_in_the_bounds(described):
    """Random closed networks after a law of which up to a twentieth is left out, against dense algebra."""
    model = as_model(described)
    space = fsp.StateSpace.reachable(model)
    assume(2 < len(space) <= 60)
    A = fsp.Generator(model, space).to_csr().toarray()
    p = np.maximum(expm(0.5 * A)[:, space.index(model.initial_states)[0]], 0.0)
    order = np.argsort(p)
    kept = np.sort(order[np.cumsum(p[order]) > 0.05])
    law = fsp.transient(model, [0.5], tol=1e-9)[-1]
    error = fsp.ErrorLedger(truncation=float(1.0 - p[kept].sum()) + 1e-12)
    start = fsp.Distribution(
        space.states[kept], p[kept], model.species, t=0.5, error=error, moments=law.moments, closed=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        found = fsp.correlation(model, model.species[0], LAGS, with_=model.species[1], start=start, tol=0.5)
    a, b = space.states[:, 0].astype(float), space.states[:, 1].astype(float)
    for k, lag in enumerate(LAGS):
        later = expm(lag * A)
        exact = b @ later @ (a * p) - (a @ p) * (b @ later @ p)
        assert found.covariance.certified
        assert found.covariance.lower[k] <= exact + ROUNDED
        assert exact <= found.covariance.upper[k] + ROUNDED


def test_starts_that_are_none_are_refused():
    for start, message in (("beginning", "`start` must be"), (3.0, "`start` must be"), (fsp, "`start` must be")):
        with pytest.raises(fsp.ArgumentError, match=message):
            fsp.correlation(immigration_death(), "X", LAGS, start=start)
    with pytest.raises(fsp.ArgumentError, match="larger than the error of `start`"):
        fsp.correlation(immigration_death(), "X", LAGS, start=fsp.transient(immigration_death(), [1.0], tol=1e-3))


def test_the_command_looks_after_some_time(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model m()\n species X; X = 0\n => X; 9\n X => ; X\nend\n")
    words = ["correlation", str(path), "--of", "X", "--lags", "0,1", "--counts", "as-is", "--quiet", "--at", "0.7"]
    record = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    mean = 9.0 * (1.0 - math.exp(-0.7))
    assert record["means"][0]["value"] == pytest.approx(mean)
    assert record["covariance"][1]["lower"] <= mean * math.exp(-1.0) <= record["covariance"][1]["upper"]
    refused = CliRunner().invoke(main, [*words, "--spectrum", "1"])
    assert refused.exit_code == 2
    assert "--at" in refused.stderr


def test_observables_have_the_parameters_of_their_times():
    """X dies from 2 or 8, K is 3 from the start on and 5 from t = 1 on: Cov = 3 K(t) 9 exp(-t)."""
    model = fsp.Model(
        species={"X": 0},
        initial={(2,): 0.5, (8,): 0.5},
        parameters={"K": 1.0, "made": "K*X"},
        reactions=[fsp.Reaction("X -> 0", mass_action=1.0)],
        events=[fsp.Event("time >= 0", {"K": 3.0}, initial_value=False), fsp.Event("time >= 1", {"K": 5.0})],
    )
    found = fsp.correlation(model, "made", LAGS, start=None)
    hold(found.covariance, 27.0 * np.exp(-LAGS) * np.array([3.0, 3.0, 5.0]), 1e-3)
