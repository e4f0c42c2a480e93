"""Rate rules that have a closed form become values that depend on time; the others are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from written_sbml import TIME, apply, assign, compartment, event, parameter, rates, reaction, rule, sbml, species

import fsp
from fsp.errors import ModelError

CONSTANTS = {"g": 0.3, "h": 0.7, "c": 2.0, "none": 0.0}


def growing(read, rate, *, more=(), rules=(), events=(), assignments=(), reactions=()):
    """A network whose one reaction takes place at rate V, with V' = rate."""
    return read(
        Species=[species("X", 4)],
        Parameters=[parameter("V", 1.5, "false"), *(parameter(*pair) for pair in CONSTANTS.items()), *more],
        Rules=[rule("rateRule", "V", rate), *rules],
        Reactions=[reaction("r", [], ["X"], "V"), *reactions],
        InitialAssignments=list(assignments),
        **({"Events": list(events)} if events else {}),
    )


def value(model, t):
    return rates(model, [0], t=t)[0][0]


def times(*factors):
    return apply("times", *factors)


@pytest.mark.parametrize(
    ("rate", "derivative"),
    [
        (times("g", "V"), lambda t, v: 0.3 * v),
        ("c", lambda t, v: 2.0),
        (apply("minus", "c", times("h", "V")), lambda t, v: 2.0 - 0.7 * v),
        (apply("divide", apply("minus", "c", "V"), "h"), lambda t, v: (2.0 - v) / 0.7),
        (apply("plus", "c", times("none", "V")), lambda t, v: 2.0),
        (times("g", TIME), lambda t, v: 0.3 * t),
        (times("g", TIME, TIME), lambda t, v: 0.3 * t * t),
        (times(apply("power", TIME, 3), "g"), lambda t, v: 0.3 * t**3),
        (apply("exp", times("g", TIME)), lambda t, v: np.exp(0.3 * t)),
        (times("c", apply("exp", apply("minus", times("h", TIME)))), lambda t, v: 2 * np.exp(-0.7 * t)),
        (apply("plus", 1, apply("sin", apply("plus", times("c", TIME), "g"))), lambda t, v: 1 + np.sin(2 * t + 0.3)),
        (apply("cos", apply("divide", TIME, "c")), lambda t, v: np.cos(t / 2)),
        (apply("exp", times("none", TIME)), lambda t, v: 1.0),
        (times("V", apply("sin", TIME)), lambda t, v: v * np.sin(t)),
        (times("V", apply("minus", "g", times("h", TIME))), lambda t, v: v * (0.3 - 0.7 * t)),
    ],
)
def test_the_closed_form_solves_the_rule(read, rate, derivative):
    model = growing(read, rate)
    moments = np.array([0.0, 0.4, 1.0, 2.3])
    exact = solve_ivp(derivative, (0, 2.3), [1.5], t_eval=moments, rtol=1e-11, atol=1e-12).y[0]
    assert [value(model, t) for t in moments] == pytest.approx(exact, rel=1e-9)
    assert "V.start" in str(model.conversion)


@pytest.mark.parametrize(
    ("rate", "part"),
    [
        (apply("plus", "c", times("none", "V")), "none"),
        (apply("plus", times("none", "h"), times("g", "V")), r"none\*h"),
        (apply("exp", times("none", TIME)), "none"),
    ],
)
def test_a_constant_that_is_zero_where_the_form_depends_on_it_stays_zero(read, rate, part):
    """The form without it would be taken for the one with it."""
    model = growing(read, rate)
    assert value(model.with_parameters(c=3.0, none=0.0), 0.0) == 1.5
    with pytest.raises(ModelError, match=f"rate rule of 'V', {part}, must stay 0, with which the file was read"):
        model.with_parameters(none=0.5)
    with pytest.raises(ModelError, match="must stay 0"):
        growing(lambda **lists: read(**lists, loading={"none": 0.5}), rate)


def test_the_value_at_the_start_is_a_parameter(read):
    model = growing(read, times("g", "V"))
    assert value(model.with_parameters({"V.start": 5.0, "g": 1.0}), 1.0) == pytest.approx(5 * np.e)
    assigned = growing(read, times("g", "V"), assignments=[assign("V", times("c", "h"))])
    assert value(assigned, 1.0) == pytest.approx(1.4 * np.exp(0.3))
    assert value(assigned.with_parameters(c=4.0), 1.0) == pytest.approx(2.8 * np.exp(0.3))


def test_what_is_assigned_at_the_start_holds_the_value_of_the_start(read):
    more = [parameter("once", None, "false"), parameter("always", None, "false")]
    model = read(
        Species=[species("X", 4)],
        Parameters=[parameter("V", 2, "false"), parameter("g", 0.3), *more],
        Rules=[rule("rateRule", "V", times("g", "V")), rule("assignmentRule", "always", times(3, "V"))],
        InitialAssignments=[assign("once", times(3, "V"))],
        Reactions=[reaction("r", [], ["X"], "once"), reaction("s", [], ["X"], "always")],
    )
    assert np.ravel(rates(model, [0], t=1.0)) == pytest.approx([6.0, 6.0 * np.exp(0.3)])


def test_rates_may_follow_each_other_through_assignment_rules(read):
    """V' = g V, W' = twice V with W(0) = 0: W = 2 (V − 1.5)/g."""
    more = [parameter("W", 0, "false"), parameter("twice", None, "false")]
    rules = [rule("rateRule", "W", "twice"), rule("assignmentRule", "twice", times(2, "V"))]
    model = growing(read, times("g", "V"), more=more, rules=rules, reactions=[reaction("s", [], ["X"], "W")])
    exact = 2 * 1.5 * (np.exp(0.6) - 1) / 0.3
    assert value(model, 2.0) == pytest.approx(1.5 * np.exp(0.6))
    assert rates(model, [0], t=2.0)[0][1] == pytest.approx(exact)


def test_an_event_may_halve_what_grows(read):
    model = growing(
        read, apply("plus", "c", times("g", "V")), events=[event(apply("geq", TIME, 2), {"V": times(0.5, "V")})]
    )
    first, second = (p.model(model.initial_states, model.initial_probabilities) for p in model.phases(0, 4))

    def after(v, s):
        return (v + 2 / 0.3) * np.exp(0.3 * s) - 2 / 0.3

    assert value(first, 1.0) == pytest.approx(after(1.5, 1.0))
    assert value(second, 2.0) == pytest.approx(after(1.5, 2.0) / 2)
    assert value(second, 3.0) == pytest.approx(after(after(1.5, 2.0) / 2, 1.0))


def test_molecules_meet_more_seldom_in_a_growing_compartment(read):
    """X + Y → 0 at k/V X Y with V = exp(g t): the law is that of the rate written out by hand."""
    model = read(
        Compartments=[compartment(size="1", extra='constant="false"')],
        Species=[species("X", 3), species("Y", 4)],
        Parameters=[parameter("g", 0.4), parameter("k", 0.3)],
        Rules=[rule("rateRule", "cell", times("g", "cell"))],
        Reactions=[reaction("r", ["X", "Y"], [], apply("divide", times("k", "X", "Y"), "cell"))],
    )
    by_hand = fsp.Model(species={"X": 3, "Y": 4}, reactions=[fsp.Reaction("X + Y -> 0", rate="0.3*exp(-0.4*time)*X*Y")])
    one, two = (fsp.transient(m, [1.5], 1e-8)[-1] for m in (model, by_hand))
    gap = sum(
        abs(p - two.probability(f"X == {x}").value)
        for (x, _), p in zip(one.states.tolist(), one.probabilities, strict=True)
    )
    assert gap <= one.error.total + two.error.total


@pytest.mark.parametrize(
    ("rate", "why"),
    [
        (times("V", "V"), r"closed form .* V\*V"),
        (apply("divide", 1, "V"), "closed form"),
        (apply("tan", TIME), "closed form"),
        (apply("sin", times(TIME, TIME)), "closed form"),
        (apply("plus", TIME, "V"), "closed form"),
        (times("g", "X"), "depends on 'X'"),
    ],
)
def test_other_rate_rules_are_refused(read, rate, why):
    with pytest.raises(ModelError, match=rf"rateRule for 'V' must .*{why}"):
        growing(read, rate)


def test_rates_in_a_circle_and_rates_that_events_change_are_refused(read):
    more = [parameter("W", 1, "false")]
    with pytest.raises(ModelError, match="circle"):
        growing(read, "W", more=more, rules=[rule("rateRule", "W", "V")])
    with pytest.raises(ModelError, match="'W'"):
        growing(read, "W", more=more, events=[event(apply("geq", TIME, 2), {"W": 2})])


def test_rate_rules_alone_are_no_jump_process(read):
    with pytest.raises(ModelError, match=r"rateRule for 'x' .* write reactions"):
        read(Parameters=[parameter("x", 4, "false")], Rules=[rule("rateRule", "x", apply("minus", "x"))])


def test_concentrations_in_a_growing_compartment_are_refused(read):
    with pytest.raises(ModelError, match="compartment 'cell' varies"):
        read(
            sbml(
                Compartments=[compartment(extra='constant="false"')],
                Species=[species("X", 3, only="false")],
                Rules=[rule("rateRule", "cell", "cell")],
                Reactions=[reaction("r", ["X"], [], "X")],
            )
        )
