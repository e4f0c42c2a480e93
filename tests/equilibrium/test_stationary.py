"""Stationary distributions against closed forms: the true error is within the tolerance, and the estimate is honest."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from random_networks import as_model, open_networks
from stationary_cases import CASES, ESCAPING, FINITE, immigration_death, true_error
from written_networks import network

import fsp

METHODS = ["gth", "direct", "iterative", "multilevel", "local"]
cases = pytest.mark.parametrize("name", CASES)


@cases
@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-10])
def test_true_error_and_estimate_are_within_the_tolerance(name, tol):
    case = CASES[name]
    d = fsp.stationary(case.model, tol)
    assert true_error(case, d) <= tol
    assert d.error.total <= tol
    assert 1.0 - d.error.total - 1e-13 <= d.mass <= 1.0 + d.error.rounding
    assert (d.probabilities >= 0.0).all()


@cases
def test_the_answer_is_stationary_and_certified(name):
    d = fsp.stationary(CASES[name].model, 1e-6)
    assert d.t is None
    assert "stationary" in str(d)
    assert d.error.certified
    assert "≤" in str(d.error)
    assert "≈" not in str(d.error)
    assert d.closed == (name in FINITE)
    assert all("exact but for rounding" in note for note in d.notes)  # one class: nothing else to remark


@pytest.mark.parametrize("name", ["Schloegl", "telegraph, slow", "binding", "two-stage product", "pairs"])
def test_methods_agree(name):
    case = CASES[name]
    answers = [fsp.stationary(case.model, 1e-8, method=method) for method in METHODS]
    for d in answers:
        assert true_error(case, d) <= 1e-8
        assert d.distance(answers[0]) <= d.error.total + answers[0].error.total + 1e-12


def test_gth_has_relative_accuracy_far_out_in_the_tail():
    case = immigration_death(birth=5.0, death=1.0)
    space = fsp.StateSpace.box(case.model, upper={"X": 60})
    d = fsp.stationary(case.model, 1e-8, space=space, method="gth")
    np.testing.assert_allclose(d.probabilities, case.law(d.states), rtol=1e-12)  # down to 1e-42


@settings(max_examples=12)
@given(open_networks())
def test_a_long_transient_ends_in_the_stationary_distribution(drawn):
    """Every species decays at 0.05 or more, so that e^(−400 · 0.05) is left of the start."""
    model = as_model(drawn)
    late = fsp.transient(model, [400.0], 1e-6)[0]
    rest = fsp.stationary(model, 1e-7)
    assert late.distance(rest) <= late.error.total + rest.error.total + 1e-6


# ---- networks without a stationary distribution


@pytest.mark.parametrize("name", ESCAPING)
def test_probability_that_escapes_is_refused_early(name):
    """Of the last two a part dies out and the rest never comes back: (1/2)³ and less than 1 end at zero."""

    def stop_when_large(progress):
        if progress.n_states > 1_000:
            pytest.fail(f"no refusal before {progress.n_states} states")

    with pytest.raises(fsp.StateSpaceError):
        fsp.stationary(ESCAPING[name], 1e-6, progress=stop_when_large)


@pytest.mark.parametrize("name", ["pure birth", "queue at its capacity", "overloaded queue", "explosive"])
def test_the_refusal_names_the_reaction(name):
    with pytest.raises(fsp.StateSpaceError, match=r"'r1'"):
        fsp.stationary(ESCAPING[name], 1e-6)


# ---- fixed spaces


def test_a_fixed_space_reflects():
    """Detailed balance: the reflected chain has the law conditioned on the box."""
    case = immigration_death()
    space = fsp.StateSpace.box(case.model, upper={"X": 18})
    with pytest.warns(fsp.ToleranceWarning, match="larger `space`"):
        d = fsp.stationary(case.model, 1e-6, space=space)
    law = case.law(d.states)
    np.testing.assert_allclose(d.probabilities, law / law.sum(), atol=1e-13)
    assert d.error.certified
    assert true_error(case, d) <= d.error.total <= 10.0 * true_error(case, d)
    assert len(d) == 19
    every = case.law(d.states)
    assert (d.lower <= every * (1 + 1e-13)).all()
    assert (every <= d.upper * (1 + 1e-13)).all()


def test_a_fixed_space_that_is_too_small_for_a_bound_says_so():
    case = immigration_death()  # its drift is negative from 16 on
    with pytest.warns(fsp.ToleranceWarning, match="estimated error"):
        d = fsp.stationary(case.model, 1e-6, space=fsp.StateSpace.box(case.model, upper={"X": 9}))
    assert not d.error.certified
    assert any("too small" in note for note in d.notes)


def test_a_boundary_that_only_holds_back_growth_is_no_answer():
    """Without it there is no stationary distribution: the estimate is as large as an error can be."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 3.0))
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.stationary(model, space=fsp.StateSpace.box(model, upper={"X": 20}))
    assert d.error.total >= 2.0
    assert not d.error.certified


def test_a_fixed_space_that_is_large_enough():
    case = immigration_death()
    space = fsp.StateSpace.box(case.model, upper={"X": 80})
    d = fsp.stationary(case.model, 1e-8, space=space)
    assert true_error(case, d) <= d.error.total <= 1e-8
    assert d.error.certified
    assert all(interval.certified for interval in d.mean_interval().values())


def test_a_fixed_space_makes_a_truncated_queue_of_any_load():
    """M/M/1/K with arrivals faster than service: geometric on 0 … K."""
    model = ESCAPING["overloaded queue"]
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.stationary(model, space=fsp.StateSpace.box(model, upper={"X": 30}))
    law = 1.2 ** d.states[:, 0]
    np.testing.assert_allclose(d.probabilities, law / law.sum(), rtol=1e-10)


def test_a_fixed_space_without_the_initial_state_is_refused():
    case = immigration_death()
    with pytest.raises(fsp.StateSpaceError, match=r"initial states.*'X': 0"):
        fsp.stationary(case.model, space=fsp.StateSpace.from_states(["X"], [[3], [4]]))


# ---- bad input, progress


def test_time_in_a_rate_is_refused():
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="time"):
        fsp.stationary(model)


@pytest.mark.parametrize("tol", [0.0, -1.0, 1.0, math.nan])
def test_bad_tolerances_are_refused(tol):
    with pytest.raises(fsp.ArgumentError, match=f"`tol`.*{tol}"):
        fsp.stationary(immigration_death().model, tol)


@pytest.mark.parametrize("method", ["GTH", "power", "", None])
def test_an_unknown_method_is_refused_with_the_names(method):
    with pytest.raises(fsp.ArgumentError, match=r"`method`.*auto, gth, direct, iterative, multilevel, local"):
        fsp.stationary(immigration_death().model, method=method)


def test_the_limit_on_states_is_named():
    model = network({"X": 0}, ("0 -> X", "mass_action", 1e4), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 500 states \(`max_states`\)"):
        fsp.stationary(model, max_states=500)


def test_a_propensity_that_is_none_is_refused_where_the_space_grows_to_it():
    model = network({"X": 0}, ("0 -> X", "rate", "9.5 - X"), ("X -> 0", "mass_action", 0.1))
    with pytest.raises(fsp.ModelError, match=r"r1.*'X': 10"):
        fsp.stationary(model)


def test_progress_reports_every_space():
    seen = []
    d = fsp.stationary(CASES["telegraph, slow"].model, 1e-6, progress=seen.append)
    assert len(seen) > 1
    assert all(p.t is None and p.t_end is None for p in seen)
    assert [p.n_states for p in seen] == sorted(p.n_states for p in seen)
    assert seen[-1].n_states == len(d)
    assert seen[-1].error <= 1e-6


@pytest.mark.parametrize("method", ["gth", "multilevel"])
def test_times_of_return_that_no_double_holds_leave_an_estimate(method):
    """A valley 10^336 deep: mean times before the likely side is met are infinite in double precision."""
    model = fsp.Model(
        species={"X": 0, "Z": 240},
        reactions=[
            fsp.Reaction("Z -> X", rate="piecewise(0, Z == 0, piecewise(1, X < 112, 1000))"),
            fsp.Reaction("X -> Z", rate="piecewise(0, X == 0, piecewise(1000, X <= 112, 1))"),
        ],
    )
    dist = fsp.stationary(model, method=method)
    assert not dist.error.certified
    assert any("rounding hides" in note for note in dist.notes)
    exact = fsp.stationary(model)
    assert np.abs(dist.probabilities - exact.probabilities).sum() <= 1e-9
