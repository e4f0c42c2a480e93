"""Events that set counts: derivatives through them against complex steps of dense exponentials, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from count_map_cases import CASES, VALUES, N, exact, law, network
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

import fsp
from fsp.inference.account import Account
from fsp.inference.count_maps import Carrying, count_maps, largest_of
from fsp.inference.timed_events import taken_apart
from fsp.moments.part_moments import Gauge, moment_of


def check(answers, names, maps, start=None):
    for answer in answers:
        counts = answer.states[:, 0]
        for name in names:
            truth, stored = exact(name, answer.t, maps, start), np.zeros(N)
            inside = counts < N
            stored[counts[inside]] = answer.derivative(name)[inside]
            error = answer.error(name)
            assert error.certified
            assert np.abs(stored - truth).sum() <= error.total + 1e-12
            mean = answer.mean("X")[name]
            assert not mean.certified or mean.lower - 1e-10 <= truth @ np.arange(N) <= mean.upper + 1e-10


@pytest.mark.parametrize("tol", [1e-5, 1e-8])
@pytest.mark.parametrize("case", CASES)
def test_derivatives_through_maps_of_counts_are_those_of_dense_exponentials(case, tol):
    events, maps = CASES[case]
    found = fsp.sensitivity(network(events), [0.5, 1.0, 2.0], list(VALUES), log=False, tol=tol)
    check(found, VALUES, maps)
    assert max(error.total for answer in found for error in answer.errors) <= tol
    if case != "counts and a parameter":
        assert all(mean.certified for answer in found for mean in answer.mean("X").values())


@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_what_a_wash_out_stops_is_a_poisson_law_whose_derivative_is_known(tol):
    model = fsp.Model(
        species={"G": 1, "X": 0},
        parameters={"k": 20.0, "s": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*G")],
        events=[fsp.Event("time >= s", {"G": 0})],
    )
    (found,) = fsp.sensitivity(model, [1.5], ["s"], log=False, tol=tol)
    counts = found.states[:, 1]
    truth = 20.0 * (poisson.pmf(np.arange(-1, 199), 20.0) - poisson.pmf(np.arange(200), 20.0))
    stored = np.zeros(200)
    np.add.at(stored, counts, found.derivative("s"))
    assert np.abs(stored - truth).sum() <= found.error("s").total
    assert found.mean("X")["s"].lower <= 20.0 <= found.mean("X")["s"].upper


@pytest.mark.parametrize("condition", ["time < s", "time <= s", "time/5 <= s/5", "5*time < 5*s"])
def test_rates_that_stop_where_counts_are_washed_out_leave_nothing_that_moves(condition):
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 3.0, "s": 3.0 / 7.0},  # of which a fifth is that of the next number too
        reactions=[fsp.Reaction("0 -> X", rate=f"piecewise(k, {condition}, 0)")],
        events=[fsp.Event("time >= s", {"X": 0})],
    )
    (found,) = fsp.sensitivity(model, [1.0], ["s"], log=False)
    assert np.abs(found.derivative("s")).sum() <= found.error("s").total


def test_what_a_derivative_jumps_by_is_not_mapped_once_more(monkeypatch):
    entered, accounts = [], []

    def enter(account, jump, entering=Account.enter):
        entered.append(jump)
        accounts.append(account)
        entering(account, jump)

    monkeypatch.setattr(Account, "enter", enter)
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        parameters={"k": 5.0, "s": 0.7},
        reactions=[fsp.Reaction("0 -> Y", rate="k")],
        events=[fsp.Event("time >= s", {"X": "Y", "Y": 0})],
    )
    fsp.sensitivity(model, [0.7 + 1e-9], ["s"], log=False, tol=1e-2)
    fed = np.sum([jump.fed for jump in entered], axis=0)  # (n_gauges, 2)
    known = np.array(accounts[-1].slopes.parts[0].moments)
    assert (fed > 0.0).all()
    assert np.isfinite(fed).all()
    assert (known * (1.0 + 1e-6) >= fed).all()


def test_a_stationary_start_is_followed_through_events():
    def poisson(k, g):
        counts = np.arange(N)
        return np.exp(counts * np.log(k / g) - np.cumsum(np.log(np.maximum(counts, 1))) - k / g)

    events, maps = CASES["division"]
    found = fsp.sensitivity(network(events), [0.5, 1.0], list(VALUES), log=False, tol=1e-5, start="stationary")
    check(found, VALUES, maps, poisson)


def test_the_state_at_the_time_of_an_event_is_that_after_it_and_before_it_with_a_strict_comparison():
    for sign, mean in ((">=", 0.0), (">", 5.0 - 2.0 * math.exp(-0.3))):
        model = network([fsp.Event(f"time {sign} 0.3", {"X": 0})])
        for t in (0.3, 0.1 + 0.2):  # 0.30000000000000004
            (found,) = fsp.sensitivity(model, [t], ["k"], log=False)
            assert found.distribution.mean()["X"] == pytest.approx(mean, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(
    kept=st.integers(0, 2),
    added=st.integers(0, 3),
    other=st.integers(0, 2),
    masses=st.lists(st.floats(0.0, 1.0), min_size=6, max_size=6),
)
def test_moments_carried_through_an_event_are_bounds(kept, added, other, masses):
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("0 -> Y", rate="k")],
        events=[fsp.Event("time >= 1", {"X": f"{kept}*X + {other}*Y + {added}"})],
    )
    plain, parts = taken_apart(model)
    (event,) = count_maps(plain, parts, ())
    states, m = np.array([[0, 0], [1, 0], [0, 4], [3, 2], [9, 1], [2, 8]]), np.array(masses)
    orders = np.array([0, 1, 2, 3])
    gauges = [Gauge(i, np.array(w), orders, np.zeros((4, 4))) for i, w in enumerate([[1.0, 0.5], [0.0, 1.0]])]
    before = [gauge.powers(states) @ m for gauge in gauges]
    carrying = Carrying(event, model.species, np.full(2, math.inf))
    moment = moment_of(gauges, before, float(m.sum()))
    for gauge, moments in zip(gauges, before, strict=True):
        bound = carrying.moments(gauge, moments, moment, float(m.sum()))
        truth = (event.firing.apply(states) @ gauge.weights) ** orders[:, None] @ m
        assert (truth <= bound * (1.0 + 1e-12)).all()


def test_largest_counts_are_those_before_and_after_events():
    model = fsp.Model(
        species={"A": 2, "B": 1},
        parameters={"k": 1.0},
        reactions=[fsp.Reaction("A -> B", mass_action="k"), fsp.Reaction("B -> A", mass_action=2.0)],
        events=[fsp.Event("time >= 1", {"A": "A + 2"}), fsp.Event("time >= 2", {"A": 0, "B": 0})],
    )
    plain, parts = taken_apart(model)
    assert largest_of(plain, count_maps(plain, parts, ())).tolist() == [8.0, 8.0]  # A up to 5, and B up to 3
    (found,) = fsp.sensitivity(model, [1.5], ["k"], log=False)
    inside = found.states.sum(axis=1) == 5
    assert np.abs(found.derivative("k")[~inside]).sum() <= found.error("k").total
    assert found.mean("A")["k"].certified


def test_fisher_information_likelihoods_and_gradients_go_through_maps_of_counts():
    events, maps = CASES["division"]
    model, names = network(events), list(VALUES)
    p = law(1.5, maps, **VALUES).real
    slopes = np.array([exact(name, 1.5, maps) for name in names])
    truth = (slopes / p) @ slopes.T
    fim = fsp.fisher(model, [1.5], ["k", "g"], log=False)
    assert fim.certified
    assert (fim.lower <= truth[:2, :2] + 1e-12).all()
    assert (truth[:2, :2] <= fim.upper + 1e-12).all()
    with pytest.warns(fsp.ToleranceWarning, match="is an estimate"):
        estimate = fsp.fisher(model, [1.5], names, log=False)
    assert not estimate.certified
    assert np.allclose(estimate.matrix, truth, rtol=1e-5)
    for formula, of in (("X > 4", np.arange(N) > 4), ("X", np.arange(N))):
        for name, interval in fsp.gradient(model, formula, 1.5, names, log=False).items():
            assert interval.lower - 1e-10 <= slopes[names.index(name)] @ of <= interval.upper + 1e-10
    seen = [3, 4, 2, 5, 6, 3]
    likelihood = fsp.likelihood(model, fsp.read_counts({"time": [1.5] * 6, "n": seen}, counts={"X": "n"}))
    assert likelihood.value.lower - 1e-9 <= np.log(p[seen]).sum() <= likelihood.value.upper + 1e-9
    for name, interval in likelihood.gradient(names).items():
        score = VALUES[name] * float((slopes[names.index(name)] / p)[seen].sum())
        assert interval.certified
        assert interval.lower - 1e-9 <= score <= interval.upper + 1e-9


def with_switch():
    return fsp.Model(
        species={"X": 3},
        parameters=VALUES,
        reactions=[fsp.Reaction("0 -> X", rate="piecewise(k, time < 0.7, 2*k)")],
        events=[fsp.Event("time >= s", {"X": 0})],
    )


def with_switches():
    return fsp.Model(
        species={"X": 5},
        parameters={"k": 2.0, "s": 0.7},
        reactions=[
            fsp.Reaction("0 -> X", rate="piecewise(k, time < s, 2*k)"),
            fsp.Reaction("X -> 0", rate="piecewise(X, time < 0.7, 0)"),
        ],
        events=[fsp.Event("time >= s", {"X": 0})],
    )


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        (lambda m: fsp.sensitivity(m, [0.7], ["s"]), fsp.ModelError, "sets counts just at t = 0.7"),
        (lambda m: fsp.sensitivity(m, [1.0], ["n"]), fsp.ArgumentError, "depends on 'n': a whole number has no"),
        (lambda m: fsp.sensitivity(with_switch(), [1.0], ["s"]), fsp.ModelError, "must not switch just when counts"),
        (lambda m: fsp.sensitivity(with_switches(), [1.0], ["s"]), fsp.ModelError, "must not switch just when counts"),
        (lambda m: fsp.mixture(m, {"k": fsp.Gamma(5.0, 0.2)}, [1.0]), fsp.BackendError, "sets the count of 'X'"),
    ],
)
def test_what_has_no_derivative_or_no_bound_is_refused(ask, error, text):
    with pytest.raises(error, match=text):
        ask(network(CASES["dose"][0]))
