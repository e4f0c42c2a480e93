"""Rates that depend on time: the true error is within the bound, and the bound within the tolerance.

The references are closed forms: Poisson and binomial laws whose parameters are integrals of the rates, by quadrature.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from written_networks import network

import fsp
from fsp.errors import ConvergenceError, ModelError
from fsp.model.expression import ONE, evaluate, split_number
from fsp.model.formula import parse
from fsp.projection.growth import starting_vector
from fsp.solvers import LossLimit
from fsp.solvers.base import History, Memory
from fsp.solvers.clocks import chebyshev_nodes, constants_on

tree = partial(parse, what="function of time")
SOLVERS = [fsp.Magnus, fsp.Implicit]
solvers = pytest.mark.parametrize("make", SOLVERS, ids=lambda make: make.__name__)


def march(solver, generator, p, t0, t1, tol):
    """Advance all the way; return states, sinks, error with rounding, and whether all of it is a bound."""
    lost, error, certified, t = np.zeros(generator.n_sinks), 0.0, True, t0
    with solver.open(generator) as propagator:
        while t < t1:
            step = propagator.advance(p, t, t1, tol=tol * (t1 - t) / (t1 - t0))
            assert step.t > t
            p, t, lost = step.p, step.t, lost + step.lost
            error, certified = error + step.error + step.rounding, certified and step.certified
    return p, lost, error, certified


# ---- closed forms


def poisson_mean(k, g, t):
    """Return the solution of m' = k(t) - g(t) m, m(0) = 0."""
    return integrate.solve_ivp(lambda s, m: k(s) - g(s) * m, (0, t), [0.0], rtol=1e-13, atol=1e-14).y[0, -1]


@solvers
@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7, 1e-9])
def test_birth_and_death_with_periodic_rates_is_poisson(make, tol):
    birth, death = "6*(1 + 0.5*sin(3*time))", "X*(1 + 0.4*cos(time))"
    model = network({"X": 0}, ("0 -> X", "rate", birth), ("X -> 0", "rate", death))
    space = fsp.StateSpace.box(model, upper={"X": 50})
    p, _, error, certified = march(make(), fsp.Generator(model, space), starting_vector(model, space), 0.0, 2.0, tol)
    mean = poisson_mean(lambda s: 6 * (1 + 0.5 * math.sin(3 * s)), lambda s: 1 + 0.4 * math.cos(s), 2.0)
    truth = stats.poisson.pmf(np.arange(51), mean)
    assert certified
    assert np.abs(p - truth).sum() <= error + 1e-11
    assert error <= 1.01 * tol


@solvers
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_decay_with_a_rate_that_falls_is_binomial(make, tol):
    model = network({"X": 30}, ("X -> 0", "rate", "X/(1 + time)^2"))
    space = fsp.StateSpace.reachable(model)
    p, _, error, certified = march(make(), fsp.Generator(model, space), starting_vector(model, space), 0.0, 3.0, tol)
    truth = stats.binom.pmf(np.arange(31), 30, math.exp(-(1.0 - 1.0 / 4.0)))
    assert certified
    assert np.abs(p - truth).sum() <= error + 1e-12
    assert error <= 1.01 * tol


@solvers
@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-9])
def test_a_switch_with_periodic_rates(make, tol):
    model = network({"A": 4, "B": 0}, ("A -> B", "rate", "A*exp(sin(time))"), ("B -> A", "rate", "2*B"))
    space = fsp.StateSpace.reachable(model)
    p, _, error, certified = march(make(), fsp.Generator(model, space), starting_vector(model, space), 0.0, 4.0, tol)
    on = integrate.solve_ivp(
        lambda s, y: -math.exp(math.sin(s)) * y + 2 * (1 - y), (0, 4), [1.0], rtol=1e-13, atol=1e-14
    )
    truth = stats.binom.pmf(space.states[:, 0], 4, on.y[0, -1])
    assert certified
    assert np.abs(p - truth).sum() <= error + 1e-11
    assert error <= 1.01 * tol


@solvers
def test_what_leaves_the_space_at_a_rate_that_changes(make):
    model = network({"X": 0}, ("0 -> X", "rate", "2*(1 + sin(time))"))
    space = fsp.StateSpace.box(model, upper={"X": 0})
    p, lost, error, certified = march(make(), fsp.Generator(model, space), np.ones(1), 0.0, 2.0, 1e-8)
    stayed = math.exp(-2.0 * (2.0 + 1.0 - math.cos(2.0)))
    assert certified
    assert abs(p[0] - stayed) + abs(lost.sum() - (1.0 - stayed)) <= error + 1e-12


def test_stiff_rates_that_fall_to_zero_with_a_kink():
    text = "piecewise(500 - 100*time^2.5, 500 - 100*time^2.5 > 0, 0)"
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", "A"), ("B -> A", "rate", f"B*{text}"))
    answer = fsp.transient(model, [4.0], 1e-6, solver="magnus")[-1]
    rate = lambda s: max(500 - 100 * s**2.5, 0.0)  # noqa: E731
    kink = 5.0 ** (1 / 2.5)
    options = {"method": "Radau", "rtol": 1e-10, "atol": 1e-13}
    first = integrate.solve_ivp(lambda s, y: rate(s) * (1 - y) - y, (0, kink), [1.0], **options).y[0, -1]
    on = first * math.exp(-(4.0 - kink))
    assert answer.error.certified
    assert abs(answer.mean()["A"] - on) <= answer.error.total + 1e-8


@pytest.mark.parametrize("text", ["piecewise(8, time < 1.3, 2)", "piecewise(5, sin(5*time) > 0, 0)", "2*floor(2*time)"])
@solvers
def test_rates_that_jump(make, text):
    model = network({"X": 0}, ("0 -> X", "rate", text), ("X -> 0", "mass_action", 1.0))
    answer = fsp.transient(model, [2.0], 1e-7, solver=make())[-1]
    rate = tree(text)
    edges = np.unique(np.concatenate([[0, 1.3, 2.0], np.arange(1, 4) * 0.5, np.arange(1, 4) * np.pi / 5]))
    mean = 0.0
    for a, b in pairwise(edges):
        k = float(evaluate(rate, {}, 0.5 * (a + b)))
        mean = k + (mean - k) * math.exp(-(b - a))
    truth = stats.poisson.pmf(answer.states[:, 0], mean)
    assert answer.error.certified
    assert np.abs(answer.probabilities - truth).sum() + 1.0 - truth.sum() <= answer.error.total + 1e-12
    assert answer.error.total <= 1e-7


@solvers
def test_a_switch_inside_an_advance_is_found_by_the_solver(make):
    model = network({"X": 20}, ("X -> 0", "rate", "X*piecewise(2, time < 0.7, 0.5)"))
    space = fsp.StateSpace.reachable(model)
    p, _, error, certified = march(make(), fsp.Generator(model, space), starting_vector(model, space), 0.0, 2.0, 1e-7)
    truth = stats.binom.pmf(np.arange(21), 20, math.exp(-(2 * 0.7 + 0.5 * 1.3)))
    assert certified
    assert np.abs(p - truth).sum() <= error + 1e-12


def ulps(t, n):
    """Return the number n units in the last place from t."""
    return t + n * math.ulp(t)


@solvers
@settings(max_examples=15, deadline=None)
@given(
    switch=st.floats(1e-3, 30.0),
    off=st.integers(-90, 90),
    shorter=st.integers(0, 8),
    jump=st.sampled_from([(2.0, 0.5), (0.0, 3.0), (0.3, 30.0), (1e12, 0.5)]),
)
def test_steps_of_any_length_pass_a_switch_right_beside_their_start(make, switch, off, shorter, jump):
    before, after = jump
    rate = f"piecewise({before}, time < {switch!r}, {after})"
    model = network({"X": 20}, ("X -> 0", "rate", f"X*{rate}"))
    generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    start, length = ulps(switch, off), 0.1 * switch
    p = starting_vector(model, generator.space)
    with make().open(generator) as propagator:
        propagator.step_length = length * 10.0**-shorter
        step = propagator.advance(p, start, start + length, tol=1e-8)
    assert step.t == start + length
    assert step.certified
    early = max(switch - start, 0.0)
    kept = math.exp(-(before * early + after * (start + length - max(start, switch))))
    truth = stats.binom.pmf(generator.space.states[:, 0], 20, kept)
    assert np.abs(step.p - truth).sum() <= step.error + step.rounding + 1e-14
    assert step.error + step.rounding <= 2e-8 + 1e-11 * switch * abs(before - after)
    assert step.n_matvec < 20_000


@solvers
def test_a_jump_within_the_rounding_of_a_start_is_charged(make):
    switch, start, fast = 1.0, ulps(1.0, -10), 1e13
    model = network({"X": 20}, ("X -> 0", "rate", f"X*piecewise({fast}, time < {switch}, 0.5)"))
    generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    with make().open(generator) as propagator:
        propagator.step_length = 0.01
        step = propagator.advance(starting_vector(model, generator.space), start, 1.1, tol=1e-8)
    late = math.exp(-0.5 * (step.t - switch))
    truth = stats.binom.pmf(generator.space.states[:, 0], 20, math.exp(-fast * (switch - start)) * late)
    assert np.abs(stats.binom.pmf(generator.space.states[:, 0], 20, late) - truth).sum() > 0.1
    assert np.abs(step.p - truth).sum() <= step.error + step.rounding


@solvers
def test_a_pulse_of_which_nothing_is_known_beforehand_is_not_missed(make):
    model = network({"X": 0}, ("0 -> X", "rate", "piecewise(1e6, abs(time - 0.50003) < 0.5e-6, 1)"))
    answer = fsp.transient(model, [1.0], 1e-6, solver=make())[-1]
    truth = stats.poisson.pmf(answer.states[:, 0], 2.0 - 1e-6)
    assert answer.error.certified
    assert np.abs(answer.probabilities - truth).sum() + 1.0 - truth.sum() <= answer.error.total + 1e-10
    assert answer.error.total <= 1e-6


# ---- both solvers

CLOCKS = ["1 + 0.5*sin({})*cos(time)", "exp(-{}*time)", "1/(1 + {}*time)", "sqrt(0.5 + {}*time)", "2^(-time*{})"]


@settings(max_examples=15, deadline=None)
@given(
    clocks=st.lists(st.sampled_from(CLOCKS), min_size=3, max_size=3),
    speeds=st.lists(st.floats(0.1, 3.0), min_size=3, max_size=3),
)
def test_magnus_and_implicit_agree_within_their_bounds(clocks, speeds):
    a, b, c = (clock.format(f"{speed:.3f}") for clock, speed in zip(clocks, speeds, strict=True))
    model = network(
        {"X": 2, "Y": 1},
        ("0 -> X", "rate", f"3*({a})"),
        ("X -> Y", "rate", f"X*({b})"),
        ("X + Y -> 0", "rate", f"X*Y*({c})"),
    )
    space = fsp.StateSpace.box(model, upper={"X": 8, "Y": 6})
    generator, p = fsp.Generator(model, space), starting_vector(model, space)
    found = [march(make(), generator, p, 0.5, 1.7, 1e-6) for make in SOLVERS]
    gap = sum(np.abs(found[0][k] - found[1][k]).sum() for k in (0, 1))
    assert found[0][3]
    assert found[1][3]
    assert gap <= found[0][2] + found[1][2]


@solvers
def test_callables_that_take_the_time_are_estimates(make):
    model = network({"X": 5}, ("X -> 0", "rate", lambda x, t: x["X"] * (1 + 0.1 * t)))
    if make is fsp.Magnus:
        with pytest.raises(fsp.BackendError, match="solver='implicit'"):
            fsp.transient(model, [1.0], solver="magnus")
    else:
        assert not fsp.transient(model, [1.0])[-1].error.certified


@pytest.mark.parametrize("rate", ["time^-0.5", "-ln(time)", "1/time", "A*time^-2"])
def test_rates_that_are_infinite_at_the_start_are_refused(rate):
    model = network({"A": 1}, ("A -> 2 A", "rate", rate))
    with pytest.raises(ModelError, match=r"must be finite and non-negative, but is inf in state .* at t = 0"):
        fsp.transient(model, [0.5])


@pytest.mark.parametrize("solver", ["magnus", "implicit"])
def test_a_rate_without_bound_on_the_way_is_an_error_with_a_name(solver):
    """No step leads there, or the shortest one meets a rate that is infinite; no state space grows after it."""
    model = network({"A": 1}, ("0 -> A", "rate", "abs(time - 1)^-0.5"))
    with pytest.raises(
        (ConvergenceError, ModelError), match=r"found no step at t = 1|'r1' must be finite .* inf .* t = 1"
    ):
        fsp.transient(model, [2.0], 1e-3, solver=solver)


def test_auto_certifies_rates_that_depend_on_time():
    model = network({"X": 0}, ("0 -> X", "rate", "20*sin(time)^2"), ("X -> 0", "mass_action", 1.0))
    assert fsp.transient(model, [3.0], 1e-6)[-1].error.certified


@solvers
def test_functions_without_a_bound_are_estimates(make):
    model = network({"X": 5}, ("X -> 0", "rate", "X*(2 + arctan(time))"))
    answer = fsp.transient(model, [1.0], 1e-6, solver=make())[-1]
    integral = float(mpmath.quad(lambda s: 2 + mpmath.atan(s), [0, 1]))
    truth = stats.binom.pmf(answer.states[:, 0], 5, math.exp(-integral))
    assert not answer.error.certified
    assert np.abs(answer.probabilities - truth).sum() <= answer.error.total


def distance_in_four_states(rate, tol, solver):
    """Return the answer for three molecules that go one after the other, and how far from the equations it is."""
    law, start, end = parse(rate, what="rate"), 3, 4.0
    answer = fsp.transient(network({"X": start}, ("X -> 0", "rate", rate)), [end], tol, solver=solver)[-1]
    counts = {"X": np.arange(start + 1.0)}

    def slope(t, p):
        rates = evaluate(law, counts, t) * p
        return np.append(rates[1:], 0.0) - rates

    p = np.eye(start + 1)[start]
    for kinks in pairwise([0.0, 1.0, 2.0, 3.0, end]):
        p = integrate.solve_ivp(slope, kinks, p, method="DOP853", rtol=1e-13, atol=1e-15).y[:, -1]
    found = np.array([answer.probability({"X": k}).value for k in range(start + 1)])
    return answer, np.abs(found - p).sum()


@solvers
@pytest.mark.parametrize("rate", ["min(X, time)", "X/(1 + time*X)", "2*X - X*sin(3*time)"])
def test_rates_in_which_time_is_no_factor_have_a_bound(make, rate):
    answer, distance = distance_in_four_states(rate, 1e-8, make())
    assert answer.error.certified
    assert distance <= answer.error.total + 1e-11
    assert answer.error.total <= 1e-8


@pytest.mark.parametrize("rate", ["min(X, time)", "max(X - time, 0) + 0.1*X"])
@pytest.mark.parametrize("tol", [1e-4, 1e-6, 1e-10])
def test_an_estimate_sees_kinks_right_after_the_start_of_a_step(monkeypatch, tol, rate):
    monkeypatch.setattr("fsp.model.factors._MOST_COUNTS", 0)
    answer, distance = distance_in_four_states(rate, tol, fsp.Implicit(tol=tol))
    assert not answer.error.certified
    assert distance <= answer.error.total + 1e-11
    assert answer.error.total <= tol


def test_the_loss_limit_holds_while_rates_change():
    model = network({"X": 0}, ("0 -> X", "rate", "8*(1 + 0.5*sin(time))"), ("X -> 0", "mass_action", 1.0))
    space = fsp.StateSpace.box(model, upper={"X": 12})
    limit = LossLimit(1e-4, 1e-5)
    with fsp.Magnus().open(fsp.Generator(model, space)) as propagator:
        p, t, lost = starting_vector(model, space), 0.0, 0.0
        for _ in range(200):
            left = LossLimit(limit.at(t) - lost, limit.rate)
            step = propagator.advance(p, t, 20.0, tol=1e-6, limit=left)
            p, t, lost = step.p, step.t, lost + step.lost.sum()
            if step.rejected is not None:
                break
    assert 0.0 < t < 20.0
    assert lost <= limit.at(t)
    assert step.rejected.shape == p.shape


def test_a_solution_goes_on_in_a_larger_space_from_what_is_known_of_it():
    birth = "8*(1 + 0.5*sin(time))"
    model = network({"X": 0}, ("0 -> X", "rate", birth), ("X -> 0", "mass_action", 1.0))
    small, large = (fsp.StateSpace.box(model, upper={"X": n}) for n in (14, 60))
    p, tol = starting_vector(model, small), 1e-7
    with fsp.Magnus().open(fsp.Generator(model, small)) as propagator:
        assert propagator.history is None
        step = propagator.advance(p, 0.0, 5.0, tol=tol, limit=LossLimit(1e-6, 1e-6))
        history = propagator.history.carried(lambda values: small.carry(values, large))
    assert step.rejected is not None
    # It is the solution at its times, but for what left the small space, and beyond the time that was accepted.
    assert history.start + history.s > step.t
    for z, values in zip(chebyshev_nodes(len(history.values)).z, history.values, strict=True):
        t = history.start + 0.5 * (1.0 + z) * history.s
        mean = poisson_mean(lambda s: 8 * (1 + 0.5 * math.sin(s)), lambda s: 1.0, t) if t > 0.0 else 0.0
        assert np.abs(values - stats.poisson.pmf(np.arange(61), mean)).sum() <= 1e-3
    found = []
    for known in (history, None):
        with fsp.Magnus().open(fsp.Generator(model, large)) as propagator:
            propagator.step_length = 0.3
            if known is not None:
                propagator.history = known
            found.append(propagator.advance(small.carry(step.p, large), step.t, step.t + 0.3, tol=tol))
    warm, cold = found
    assert np.abs(warm.p - cold.p).sum() <= warm.error + cold.error + warm.rounding + cold.rounding
    assert warm.error <= tol
    assert warm.n_matvec < cold.n_matvec


def test_a_history_that_is_wrong_costs_products_and_no_accuracy():
    model = network({"X": 0}, ("0 -> X", "rate", "6*(1 + 0.5*sin(3*time))"), ("X -> 0", "mass_action", 1.0))
    space = fsp.StateSpace.box(model, upper={"X": 50})
    wrong = History(0.0, 1.0, np.random.default_rng(5).random((6, 51)))
    with fsp.Magnus().open(fsp.Generator(model, space)) as propagator:
        propagator.history = wrong
        step = propagator.advance(starting_vector(model, space), 0.0, 1.0, tol=1e-7)
    mean = poisson_mean(lambda s: 6 * (1 + 0.5 * math.sin(3 * s)), lambda s: 1.0, 1.0)
    assert np.abs(step.p - stats.poisson.pmf(np.arange(51), mean)).sum() <= step.error + step.rounding + 1e-11
    assert step.error <= 1e-7


def test_a_memory_of_another_time_is_a_length_of_steps_alone():
    model = network({"X": 0}, ("0 -> X", "rate", "6*(1 + 0.5*sin(3*time))"), ("X -> 0", "mass_action", 1.0))
    space = fsp.StateSpace.box(model, upper={"X": 50})
    generator, solver = fsp.Generator(model, space), fsp.Magnus()
    with solver.open(generator) as propagator:
        step = propagator.advance(starting_vector(model, space), 0.0, 0.5, tol=1e-7)
        memory = propagator.memory
    assert memory.history is not None
    found = []
    for known in (memory, Memory(memory.step_length)):
        with solver.open(generator) as propagator:
            propagator.memory = known
            found.append(propagator.advance(step.p, 2.0, 2.5, tol=1e-7))
    assert found[0].n_matvec == found[1].n_matvec
    np.testing.assert_array_equal(found[0].p, found[1].p)


# ---- rates that stay as they are


def test_rates_that_are_held_are_treated_by_solvers_for_constant_rates():
    model = network({"X": 0}, ("0 -> X", "rate", "piecewise(8, time < 1, 2)"), ("X -> 0", "mass_action", 1.0))
    solution = fsp.transient(model, [3.0], 1e-7)
    answer = solution[-1]
    assert solution.solver.startswith(("Uniformization", "Krylov", "Chebyshev", "Rational"))
    mean = 2.0 + (8.0 * (1.0 - math.exp(-1.0)) - 2.0) * math.exp(-2.0)
    truth = stats.poisson.pmf(answer.states[:, 0], mean)
    assert answer.error.certified
    assert np.abs(answer.probabilities - truth).sum() + 1.0 - truth.sum() <= answer.error.total + 1e-12
    assert answer.error.total <= 1e-7


def test_rates_that_change_again_are_not_held_any_more():
    birth = "piecewise(8, time < 1, 8*time)"
    model = network({"X": 0}, ("0 -> X", "rate", birth), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="depend on time"):
        fsp.transient(model, [3.0], solver="krylov")
    answer = fsp.transient(model, [3.0], 1e-7)[-1]
    mean = poisson_mean(lambda s: 8 * max(s, 1.0), lambda s: 1.0, 3.0)
    truth = stats.poisson.pmf(answer.states[:, 0], mean)
    assert np.abs(answer.probabilities - truth).sum() + 1.0 - truth.sum() <= answer.error.total + 1e-9


@pytest.mark.parametrize(
    ("text", "start", "end", "value"),
    [
        ("piecewise(8, time < 1.3, 2)", 0.0, 1.3, 8.0),
        ("piecewise(8, time < 1.3, 2)", 1.3, 9.0, 2.0),
        ("max(0, 1 - time)", 1.0, 7.0, 0.0),
        ("piecewise(8, time < 1.3, 2)", 0.0, 2.0, None),
        ("piecewise(1, time > 1, time > 1.000001, 2, 1)", 0.0, 2.0, None),
        ("piecewise(3, time < 1, time)", 0.5, 1.5, None),
        ("1 + 1e-13*sin(time)", 0.0, 1.0, None),
        ("1 + 1e-17*sin(time)", 0.0, 1.0, None),
        ("exp(-time)", 0.0, 1.0, None),
    ],
)
def test_what_is_constant_is_told_from_what_changes(text, start, end, value):
    found = constants_on([tree("2"), tree(text)], start, end)
    if value is None:
        assert found is None
    else:
        np.testing.assert_array_equal(found, [2.0, value])


def test_a_generator_that_is_held_is_the_one_of_its_time():
    model = network({"X": 3}, ("0 -> X", "rate", "2*exp(-time)"), ("X -> 0", "rate", "X*max(0, time - 1)"))
    space = fsp.StateSpace.box(model, upper={"X": 6})
    generator = fsp.Generator(model, space)
    for t in (0.5, 2.0):
        then = generator.at(t)
        held = generator.held(np.array([float(evaluate(clock, {}, t)) for clock in generator.clocks]))
        assert held.is_constant
        assert not then.is_constant
        assert held.at(7.0) is held
        np.testing.assert_array_equal(held.with_sinks.toarray(), then.with_sinks.toarray())
        np.testing.assert_array_equal(held.exit_rates, then.exit_rates)
        assert held.sink_names == then.sink_names


# ---- structure of the generator in time


def test_a_generator_is_the_sum_of_its_parts():
    model = network(
        {"X": 3, "Y": 1},
        ("0 -> X", "rate", "2*exp(-time)"),
        ("X -> Y", "rate", "5*X*exp(-time) + 0.5*X"),
        ("X + Y -> 0", "rate", "X*Y/(4*(1 + time))"),
    )
    space = fsp.StateSpace.box(model, upper={"X": 6, "Y": 5})
    generator = fsp.Generator(model, space)
    assert generator.is_scalable
    assert len(generator.clocks) == 3  # 1, exp(-time), 1/(1 + time)
    for t in (0.0, 0.7, 3.0):
        fresh = fsp.Generator(model, space, t)
        weights = [float(evaluate(clock, {}, t)) for clock in generator.clocks]
        total = sum(w * generator.part(k).with_sinks.toarray() for k, w in enumerate(weights))
        for other in (generator.at(t), generator.with_clocks(np.array(weights))):
            np.testing.assert_allclose(other.with_sinks.toarray(), fresh.with_sinks.toarray(), rtol=1e-14)
            np.testing.assert_allclose(other.exit_rates, fresh.exit_rates, rtol=1e-14)
        np.testing.assert_allclose(total, fresh.with_sinks.toarray(), rtol=1e-13, atol=1e-13)


def test_numbers_are_split_from_functions_of_time():
    number, rest = split_number(tree("3*exp(-time)/(2*4)"))
    assert number == 0.375
    assert rest == tree("exp(-time)")
    assert split_number(tree("2*3")) == (6.0, ONE)
