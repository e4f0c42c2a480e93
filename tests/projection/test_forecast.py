"""Runs whose end is out of reach: refused by the work that lies ahead, and never where they would get there."""

from __future__ import annotations

import warnings
from math import inf

import exact
import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.errors import ArgumentError, ConvergenceError
from fsp.moments import moment_bounds
from fsp.projection.forecast import FIRST_LOOK, Forecast
from fsp.projection.growth import MAX_STATES, Growth, bytes_per_state, most_states
from fsp.solvers import SOLVERS, Chooser
from fsp.solvers.base import LossLimit

DECAY = network({"A": 1_000_000}, ("A -> 0", "mass_action", 1.0))


def looks(forecast, times, means, *, changed=inf, known=None, rising=1.0):
    """Return what is foreseen at each of `times`, between which work doubles."""
    ahead, work = [], 0.0
    for t, mean in zip(times, means, strict=True):
        more = work if work else FIRST_LOOK
        work += more
        assert forecast.worked(more, 1)
        ahead.append(forecast.look(t, np.array([mean]), changed, known, rising))
    return ahead


def test_a_space_that_moves_is_refused_by_the_way_that_is_left():
    known = moment_bounds(DECAY, 1.0)
    ahead = looks(Forecast(0.0, 1.0, 1e13), [1e-6, 2e-6, 4e-6], [1e6 - 1, 1e6 - 2, 1e6 - 4], known=known)
    assert ahead[0] == 0.0
    way = 1e6 * (1.0 - np.exp(-1.0)) - 4.0
    assert ahead[2] == pytest.approx(way * 2.0 * FIRST_LOOK / 2.0, rel=1e-6)


def test_nothing_is_foreseen_while_steps_still_lengthen():
    times = [1e-9, 4e-9, 16e-9, 64e-9]
    assert not any(looks(Forecast(0.0, 1.0, 1e12), times, [5.0] * 4, changed=-inf))


def test_nothing_is_foreseen_of_a_space_that_moves_where_its_end_is_not_known():
    assert not any(looks(Forecast(0.0, 1.0, 1e13), [1e-6, 2e-6, 4e-6], [9.0, 8.0, 6.0]))


def test_at_rest_the_time_that_is_left_says_nothing_of_a_space_that_moved():
    """All the way is behind, however long the time."""
    model = network({"A": 0}, ("0 -> A", "mass_action", 100.0), ("A -> 0", "mass_action", 1.0))
    known = moment_bounds(model, 1e9)
    assert not any(looks(Forecast(0.0, 1e9, 1e12), [10.0, 20.0, 40.0], [99.9, 99.99, 100.0], known=known))


def test_a_space_that_stays_is_refused_by_the_time_that_is_left():
    forecast = Forecast(0.0, 1e6, 1e12)
    ahead = looks(forecast, [1.0, 2.0, 4.0], [5.0] * 3, changed=-inf)
    assert forecast.unchanged
    assert ahead[2] == pytest.approx((1e6 - 4.0) * FIRST_LOOK, rel=1e-12)


def test_the_less_hope_there_is_the_sooner_a_space_that_stays_is_refused():
    ahead = [looks(Forecast(0.0, end, 5e13), [1.0, 2.0], [5.0] * 2, changed=-inf)[1] for end in (1e5, 1e9)]
    assert ahead[0] == 0.0 < ahead[1]


def test_where_rates_rise_the_time_counts_as_many_times():
    times, means = [1e-6, 2e-6, 4e-6], [9.0, 8.0, 6.0]
    few = Forecast(0.0, 1.0, 1e16)
    assert not any(looks(few, times, means, rising=5.0))  # and nothing is believed of a space that moves
    ahead = looks(few := Forecast(0.0, 1.0, 1e16), times, means, rising=1e4)
    assert ahead[0] == 0.0
    assert ahead[2] == pytest.approx((1.0 - 4e-6) * 1e4 * FIRST_LOOK / 1e-6, rel=1e-9)
    assert "as its rates rise t = 1 is" in str(few.refusal(4e-6, ahead[2], "Magnus"))


@pytest.mark.parametrize("solver", ["magnus", "auto"])
@pytest.mark.parametrize(("end", "left"), [(1.0, "is out of reach"), (3e-5, r"is \S+ away, \S+ products")])
def test_rates_that_grow_without_end_are_refused_and_the_way_out_works(solver, end, left, monkeypatch):
    monkeypatch.setattr("fsp.projection.forecast.FIRST_LOOK", 1e8)
    model = network({"A": 0}, ("0 -> A", "rate", "10*exp(1e6*time)"), ("A -> 0", "mass_action", 1.0))
    with pytest.raises(ConvergenceError, match=f"`max_work`.* as its rates rise t = {end:g} {left}; end earlier, or"):
        fsp.transient(model, [end], solver=solver)
    last = fsp.transient(model, [1e-6], solver=solver)[-1]
    mean = 1e-5 * (np.e - 1.0)  # that of births; deaths are 1e-6 of them
    assert last.expectation("A").value == pytest.approx(mean, rel=1e-4)


def test_small_exponentials_of_long_steps_count_as_work(monkeypatch):
    """On few states most of the work of Magnus is that of the small exponential, and not that of products."""
    monkeypatch.setattr("fsp.solvers.base.REPORT_WORK", 1e9)
    model = network({"A": 0}, ("0 -> A", "mass_action", 10.0), ("A -> 0", "mass_action", 1.0))
    space = fsp.StateSpace.box(model, upper={"A": 60})
    start = np.eye(len(space))[0]
    with fsp.Magnus().open(fsp.Generator(model, space)) as propagator:
        step = propagator.advance(start, 0.0, 1e5, tol=1e-6, limit=LossLimit(1.0))
    assert step.t < 1e5
    assert step.beside > 10.0 * step.n_matvec * propagator.generator.work
    with pytest.raises(ConvergenceError, match=r"Magnus was at .* use solver='auto'"):
        fsp.transient(model, [1e12], solver="magnus")
    assert fsp.transient(model, [1e12])[-1].error.total < 1e-6


def test_more_jumps_than_doubles_count_are_refused_with_the_way_out():
    model = network({"A": 0}, ("0 -> A", "mass_action", 1e10), ("A -> 0", "mass_action", 1e9))
    with pytest.raises(ConvergenceError, match=r"jumps until then are too many .* end earlier, or ask for `fsp.statio"):
        fsp.transient(model, [1e300])
    assert fsp.stationary(model).error.total < 1e-6


@pytest.mark.parametrize("solver", ["rational", "auto"])
@pytest.mark.parametrize("end", [1e30, 1e100, 1e300])
def test_where_no_digit_is_left_the_way_out_is_to_end_earlier(solver, end):
    model = network({"A": 0}, ("0 -> A", "mass_action", 10.0), ("A -> 0", "mass_action", 1.0))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            assert fsp.transient(model, [end], solver=solver)[-1].error.total > 1.0
            message, *more = [str(warning.message) for warning in said]
            assert not more
        except ConvergenceError as error:
            message = str(error)
    assert "end earlier, or ask for `fsp.stationary`" in message
    assert fsp.stationary(model).error.total < 1e-6


def test_work_that_is_not_known_is_left_out():
    assert not Forecast(0.0, 1.0, 1e12).worked(inf, 1)


def test_a_decay_out_of_reach_is_refused_soon(monkeypatch):
    monkeypatch.setattr("fsp.projection.forecast.FIRST_LOOK", 1e8)
    with pytest.raises(ConvergenceError, match=r"`max_work`.* and at its pace t = 1 is .*; end earlier, or raise"):
        fsp.transient(DECAY, [1.0], max_work=2e10)


def test_births_at_a_huge_rate_are_refused_soon():
    model = network({"A": 0}, ("0 -> A", "mass_action", 1e18), ("A -> 0", "mass_action", 1.0))
    with pytest.raises(ConvergenceError, match="max_work"):
        fsp.transient(model, [1.0])


def test_a_long_rest_after_a_way_is_no_reason_to_refuse(monkeypatch):
    monkeypatch.setattr("fsp.projection.forecast.FIRST_LOOK", 1e7)
    model = network({"A": 0}, ("0 -> A", "mass_action", 500.0), ("A -> 0", "mass_action", 1.0))
    last = fsp.transient(model, [1e5], 1e-5, max_work=2e9)[-1]
    gap = exact.poisson(last.states[:, 0], 500.0) - last.probabilities
    assert np.abs(gap).sum() <= last.error.total <= 1e-5


STIFF = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 5.0), ("2 A -> A + B", "mass_action", 1e9))


def test_steps_without_end_on_a_box_are_refused_and_the_way_out_works(monkeypatch):
    monkeypatch.setattr("fsp.projection.forecast.FIRST_LOOK", 1e7)
    monkeypatch.setattr("fsp.solvers.base.REPORT_WORK", 2e7)
    space = fsp.StateSpace.box(STIFF, upper={"A": 8, "B": 8})
    with pytest.raises(ConvergenceError, match=r"Uniformization was at .* use solver='auto', or raise `max_work`"):
        fsp.transient(STIFF, [40.0], space=space, solver="uniformization", max_work=1e11)
    assert fsp.transient(STIFF, [40.0], space=space, max_work=1e11)[-1].error.total <= 1e-6


def test_a_solver_that_gets_nowhere_on_a_few_states_returns_soon():
    """A product there costs a call, and not the dozen multiply-adds that it does."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 5.0), ("B -> A", "mass_action", 1e9))
    with fsp.Uniformization().open(fsp.Generator(model, fsp.StateSpace.reachable(model))) as propagator:
        assert propagator.products_of_a_report <= 2e7


def test_auto_tries_another_solver_before_it_refuses(monkeypatch):
    refused = []

    def look(self, t, mean, changed, known, rising):
        self.unchanged = True
        refused.append(t)
        return 1e99 if len(refused) == 1 else 0.0

    monkeypatch.setattr(Forecast, "worked", lambda self, work, products: True)
    monkeypatch.setattr(Forecast, "look", look)
    monkeypatch.setattr(Forecast, "refusal", lambda self, t, ahead, solver: ConvergenceError(f"{solver}: max_work"))
    model = network({"A": 0}, ("0 -> A", "mass_action", 30.0), ("A -> 0", "mass_action", 3.0))
    assert fsp.transient(model, [50.0])[-1].error.total <= 1e-6
    assert len(refused) > 1


def test_auto_says_what_each_solver_came_to_where_none_is_left():
    model = network({"A": 4, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 3.0))
    generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    chooser = Chooser("auto", 1e-7, SOLVERS)
    for name, kind in SOLVERS.items():
        chooser.give_way(kind(), 0.5, ConvergenceError(f"{name} is too slow"))
    with pytest.raises(ConvergenceError, match=r"must get to the end, but none did: .*implicit stopped at t = 0.5"):
        chooser.choose(generator, 10.0)


def test_memory_and_the_default_limit_know_of_states_of_many_species():
    few = network({"A": 1}, ("A -> 0", "mass_action", 1.0))
    names = [f"S{i}" for i in range(200)]
    ring = [(f"{a} -> {b}", "mass_action", 1.0) for a, b in zip(names, names[1:] + names[:1], strict=True)]
    many = network(dict.fromkeys(names, 1), *ring)
    assert most_states(few) == MAX_STATES
    assert bytes_per_state(many) > 2 * 8 * (many.n_species + many.n_reactions)  # counts and rates of a state, twice
    assert most_states(many) * bytes_per_state(many) <= MAX_STATES * bytes_per_state(few)
    assert Growth(many, MAX_STATES, 10**9).limit * bytes_per_state(many) <= 10**9


@pytest.mark.parametrize("limit", [0.0, -1.0, "1e9", float("nan")])
def test_a_limit_on_work_that_is_none_is_refused(limit):
    with pytest.raises(ArgumentError, match="`max_work` must be a number of multiply-adds"):
        fsp.transient(STIFF, [1.0], max_work=limit)
