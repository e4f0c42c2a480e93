"""Where reactions may fire: never where a rate is zero at all times, at all states and times where it is not."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from written_networks import network

import fsp
from fsp.model.firing import enabled, may_fire

GENE = {"G": 0}
# Laws of a gene that is on, G = 1, or off: each is zero at all times where it is on, and not a rate where G > 1.
SWITCHED_ON = [
    "2*(1 - G)*exp(-time)",
    "exp(-0.3*time)*(0.1*(1 - G))/(1 + time)",
    "2*(1 - G)*(time > 3)",
    "(1 - G)*piecewise(1, time < 2, 0.2)",
    "piecewise(2*(1 - G), time < 2, 0.5*(1 - G))",
    "piecewise(2*(1 - G)/time, time > 1, 0)",
    "(1 - G)*(1 + sin(time))",
    "(1 - G)*exp(-time) + 0.3*(1 - G)*time",
    "0.1*exp(-time) - 0.1*G*exp(-time)",
    "min(1 - G, time)",
    "(1 - G)*min(time, 2)",
    "-(G - 1)*time",
]
CALLABLES = [
    lambda x, t: 2 * (1 - x["G"]) * np.exp(-t),
    lambda x, t: 2 * (1 - x["G"]) * t**2,
    lambda x, t: (1 - x["G"]) * t / (1 + t),
]


def gene(rate, off="0.5*G"):
    return network(GENE, ("0 -> G", "rate", rate), ("G -> 0", "rate", off))


@pytest.mark.parametrize("law", SWITCHED_ON)
def test_a_reaction_does_not_fire_where_its_rate_is_zero_at_all_times(law):
    model = gene(law)
    assert may_fire(model, 0, np.array([[0], [1], [2]])).tolist() == [True, False, True]
    assert fsp.StateSpace.reachable(model).states.tolist() == [[0], [1]]
    assert fsp.StateSpace.reachable(model, "G <= 9").states.tolist() == [[0], [1]]  # by whole runs, or not
    assert fsp.Generator(model, fsp.StateSpace.reachable(model), 1.5).sinks.sum() <= 1e-16  # terms that cancel round


@pytest.mark.parametrize(
    "law",
    [
        "(1 - G)*exp(-time) + 1e-9*time",  # not zero
        "exp(-time) - 0.3*G*exp(-time) - 0.7*G*exp(-2*time)",  # zero at one time
        "max(1 - G, time - 5)",  # zero up to t = 5
        "0.1*time + 0.2*time - 0.3000000001*G*time",
        "piecewise(1 - G, time < 3, 1)",
        "abs(time - 2)",
    ],
)
def test_a_rate_that_is_zero_at_some_times_only_may_fire(law):
    assert may_fire(gene(law), 0, np.array([[0], [1]])).all()


TIMES = ["exp(-time)", "time", "1 + sin(time)", "(time > 2)", "piecewise(0, time < 1, 2)", "max(0, sin(time))"]
STATES = ["A", "B", "(2 - A)", "(A - B)", "max(A - 1, 0)", "(A > 1)", "0.1*A*B", "(3 - B)*A", "1"]
LAWS = st.recursive(
    st.builds("{}*{}".format, st.sampled_from(STATES), st.sampled_from(TIMES)),
    lambda laws: st.one_of(
        st.builds("({} + {})".format, laws, laws),
        st.builds("({} - {})".format, laws, laws),
        st.builds("{}*{}".format, st.sampled_from(STATES), laws),
        st.builds("({})/(1 + time)".format, laws),
        st.builds("piecewise({}, time < {}, {})".format, laws, st.sampled_from(["1", "A", "B - 1"]), laws),
        st.builds("min({}, {})".format, laws, laws),
    ),
    max_leaves=4,
)


@settings(deadline=None, max_examples=150)
@given(LAWS)
def test_what_never_fires_has_the_rate_zero_at_every_time(law):
    model = network({"A": 1, "B": 1}, ("0 -> A", "rate", law))
    states = np.stack(np.meshgrid(range(4), range(4), indexing="ij"), axis=-1).reshape(-1, 2)
    fires = may_fire(model, 0, states)
    times = np.concatenate([[0.0], np.linspace(0.07, 9.0, 60), [1.0, 2.0, 1e3]])
    rates = np.array([model.propensity(0, states, t, checked=False) for t in times])  # (n_times, n)
    never = np.abs(rates[:, ~fires])
    assert never.max(initial=0.0) <= 1e-12 * (1.0 + np.abs(rates).max())  # terms that cancel are rounded


@pytest.mark.parametrize("law", [*SWITCHED_ON[:4], *CALLABLES])
def test_a_promoter_that_follows_the_time_is_solved(law):
    """p' = a(t) (1 - p) - b p, whose solution is an integral."""
    model = gene(law)
    off = np.array([[0]])

    def on(t):
        return float(model.propensity(0, off, t)[0])

    def grown(t):
        return quad(on, 0.0, t, points=[p for p in (2.0, 3.0) if p < t] or None, epsabs=1e-12, limit=200)[0]

    for at in fsp.transient(model, [1.0, 5.0], tol=1e-6):
        t = at.t
        exact = quad(
            lambda s, t=t: on(s) * exp(grown(s) - grown(t) - 0.5 * (t - s)),
            0.0,
            t,
            points=[1.9, 2.0, 3.0],
            epsabs=1e-11,
        )[0]
        assert at.states.tolist() == [[0], [1]]
        assert abs(at.probabilities[1] - exact) <= at.error.total + 1e-9
        assert at.error.total < 1e-5


def test_a_callable_is_followed_where_it_fires_between_the_times_at_which_it_is_asked():
    """It is expected to do nothing, its sinks see that it does."""
    bump = "max(0, 0.04 - (time - 3.3)^2)"
    hidden = network(GENE, ("0 -> G", "rate", lambda x, t: 300.0 * max(0.0, 0.04 - (t - 3.3) ** 2) * (1.0 - x["G"])))
    assert not enabled(hidden, 0, np.array([[0], [1]])).any()
    assert enabled(hidden, 0, np.array([[0], [1]]), 3.3).tolist() == [True, False]
    assert may_fire(hidden, 0, np.array([[0], [1]])).all()
    known = network(GENE, ("0 -> G", "rate", f"300*{bump}*(1 - G)"))
    space = fsp.StateSpace.reachable(hidden)
    assert space.states.tolist() == [[0]]
    times = np.linspace(0.2, 5.0, 25)
    expected = fsp.transient(known, times, tol=1e-6)[-1]
    with pytest.warns(fsp.errors.ToleranceWarning, match="exceeds tol"):
        kept = fsp.transient(hidden, times, tol=1e-4, space=space)[-1]
    assert 0.9 < expected.mean()["G"] <= kept.error.truncation + kept.error.total  # all of it left, and was counted
    grown = fsp.transient(hidden, times, tol=1e-4)[-1]
    assert abs(grown.mean()["G"] - expected.mean()["G"]) <= grown.error.total + expected.error.total


def test_a_callable_that_cannot_be_asked_at_a_time_is_asked_at_others():
    model = gene(lambda x, t: (1 - x["G"]) / t)
    with pytest.raises(fsp.ModelError, match="r1' must be computable, but raised ZeroDivisionError"):
        enabled(gene(lambda x, t: x["G"] * (1 // int(0 * t))), 0, np.array([[1]]))
    assert enabled(gene(lambda x, t: (1 - x["G"]) * (1 / t)), 0, np.array([[0], [1]])).tolist() == [True, False]
    with pytest.raises(fsp.ModelError, match=r"is inf in state \{'G': 0\} at t = 0"):
        fsp.transient(model, [1.0])


@pytest.mark.parametrize(
    ("hidden", "law"),
    [
        (lambda x, t: 2 * np.maximum(1 - x["G"], 0) * (t > 3), "2*(1 - G)*(time > 3)"),
        (lambda x, t: 2 * (1 - x["G"]) * (t < np.pi), f"2*(1 - G)*(time < {np.pi})"),
        (lambda x, t: 2 * (1 - x["G"]) * (t > 1), "2*(1 - G)*(time > 1)"),
    ],
)
@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_a_callable_that_jumps_is_an_estimate(hidden, law, tol):
    guessed = fsp.transient(gene(hidden), [1.0, 5.0], tol=tol)
    known = fsp.transient(gene(law), [1.0, 5.0], tol=1e-10)
    for guess, truth in zip(guessed, known, strict=True):
        assert guess.states.tolist() == [[0], [1]]
        assert not guess.error.certified
        assert abs(guess.mean()["G"] - truth.mean()["G"]) <= guess.error.total + truth.error.total <= 2 * tol


@pytest.mark.parametrize("rate", [lambda t: 1.0 + 1e6 * (t > 3), lambda t: np.floor(1e13 * t) % 2])
def test_a_callable_that_jumps_is_refused_by_name_where_no_step_is_found(rate):
    """One that flows too fast for the moment of a jump, and one that jumps everywhere."""
    model = gene(lambda x, t: (1 - x["G"]) * rate(t))
    with pytest.raises(fsp.ConvergenceError, match=r"implicit stopped at t = .*write the rate of 'r1' as a formula"):
        fsp.transient(model, [1.0, 5.0], tol=1e-8)


def test_many_counts_in_a_law_of_time_are_taken_to_fire():
    model = network({"A": 0, "B": 0}, ("0 -> A", "rate", "max(A*time - B, 0)"))
    states = np.stack(np.meshgrid(range(80), range(80), indexing="ij"), axis=-1).reshape(-1, 2)
    fires = may_fire(model, 0, states)
    assert not fires[:80].any()  # no A
    assert fires[80:].all()


@pytest.mark.parametrize("law", ["2*(1 - G)*exp(-time)", "2*(1 - G)*(time > 1)"])
@pytest.mark.parametrize("question", ["passage", "sensitivity", "likelihood", "ssa"])
def test_other_questions_take_it_too(law, question):
    bounded = law.replace("(1 - G)", "max(1 - G, 0)")
    times = [0.5, 2.0]
    if question == "passage":
        values = [fsp.passage(gene(rate), "G > 0", times=times, tol=1e-4).cdf[-1] for rate in (law, bounded)]
        assert values[0].lower <= values[1].upper
        assert values[1].lower <= values[0].upper
    elif question == "sensitivity":
        for rate in (law, bounded):
            model = fsp.Model(
                species=GENE,
                parameters={"off": 0.5},
                reactions=[fsp.Reaction("0 -> G", rate=rate), fsp.Reaction("G -> 0", mass_action="off")],
            )
            assert fsp.sensitivity(model, times, ["off"], tol=1e-3)[-1].error("off").total < 1e-2
    elif question == "likelihood":
        counts = fsp.read_counts({"time": [2.0, 2.0], "G": [0, 1]}, time="time", counts={"G": "G"})
        values = [fsp.likelihood(gene(rate), counts).value for rate in (law, bounded)]
        assert values[0].lower <= values[1].upper
        assert values[1].lower <= values[0].upper
    else:
        runs = fsp.ssa(gene(law), times, runs=400, seed=1)
        assert set(np.unique(runs)) == {0, 1}
