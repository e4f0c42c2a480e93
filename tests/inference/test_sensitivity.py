"""Derivatives by parameters: closed forms within their bounds, dense exponentials, and what is refused."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import dense, immigration_death, named, self_activation
from random_networks import open_networks
from scipy import stats

import fsp
from fsp.command.main import main
from fsp.inference.derived import Derived
from fsp.inference.envelopes import Bounds
from fsp.inference.parameters import derivatives
from fsp.moments.part_moments import PartMoments, gauges


def distance(found, name, states, exact):
    """Return the 1-norm of what a derivative is off, on states (m, d) outside of which there is next to nothing."""
    place = {state: i for i, state in enumerate(map(tuple, states))}
    assert all(tuple(state) in place for state in found.states.tolist())
    full = np.zeros(len(states))
    full[[place[tuple(state)] for state in found.states.tolist()]] = found.derivative(name)
    return float(np.abs(full - exact).sum())


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
@pytest.mark.parametrize("log", [True, False])
def test_immigration_and_death_have_the_derivatives_of_a_poisson_law(tol, log):
    solved = fsp.sensitivity(immigration_death(), [0.5, 2.0], ["k", "g"], log=log, tol=tol)
    x = np.arange(200)
    for found in solved:
        mean = 10.0 * -math.expm1(-found.t)
        slopes = {"k": mean / 10.0, "g": -mean + 10.0 * found.t * math.exp(-found.t)}
        for name, slope in slopes.items():
            scaled = slope * (10.0 if log and name == "k" else 1.0)
            exact = stats.poisson.pmf(x, mean) * (x / mean - 1.0) * scaled
            error = found.error(name)
            assert error.certified
            assert error.total <= tol
            assert distance(found, name, x[:, None].tolist(), exact) <= error.total + 1e-14
            assert scaled in found.mean("X")[name]
            inside = found.probability("X > 8")[name]
            assert inside.certified
            assert exact[x > 8].sum() in inside


def test_bounds_are_close_to_what_they_bound():
    """On three states, where nearly all of the error is what leaves them."""
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 0.1, "g": 0.05},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    found = fsp.sensitivity(model, [0.3], ["k"], log=False, tol=1e-3)[-1]
    x = np.arange(60)
    mean = -2.0 * math.expm1(-0.05 * 0.3)
    exact = stats.poisson.pmf(x, mean) * (x / mean - 1.0) * mean / 0.1
    off = distance(found, "k", x[:, None].tolist(), exact)
    assert len(found.states) == 3
    assert off <= found.error("k").total <= 1.05 * off


def test_isomerization_has_the_derivative_of_a_binomial_law():
    model = fsp.Model(
        species={"A": 20, "B": 0},
        parameters={"f": 1.3, "b": 0.4},
        reactions=[fsp.Reaction("A -> B", mass_action="f"), fsp.Reaction("B -> A", mass_action="b")],
    )
    found = fsp.sensitivity(model, [0.9], ["f", "b"], log=False, tol=1e-6)[-1]
    both, t = 1.7, 0.9
    decay = math.exp(-both * t)
    q = 1.3 / both * (1.0 - decay)
    slopes = {"f": (0.4 / both**2) * (1 - decay) + 1.3 / both * t * decay, "b": 0.0}
    slopes["b"] = -1.3 / both**2 * (1 - decay) + 1.3 / both * t * decay
    b = np.arange(21)
    law = stats.binom.pmf(b, 20, q) * (b / q - (20 - b) / (1 - q))
    for name, slope in slopes.items():
        exact = law * slope
        assert distance(found, name, [(20 - n, n) for n in b.tolist()], exact) <= found.error(name).total + 1e-14
        assert 20 * slope in found.mean("B")[name]


@pytest.mark.parametrize("name", ["a", "K", "n", "b", "g"])
def test_parameters_inside_laws_have_exact_derivatives(name):
    model, x = self_activation(2.0), np.arange(60)
    v = {**model.parameters, name: model.parameters[name] + 1e-30j}
    counts = np.maximum(x, 1e-300).astype(complex)
    rates = [v["a"] * counts ** v["n"] / (v["K"] ** v["n"] + counts ** v["n"]) + v["b"], v["g"] * x]
    exact = dense(model, rates, 1.0, 59).imag / 1e-30
    found = fsp.sensitivity(model, [1.0], [name], log=False, tol=1e-7)[-1]
    error = found.error(name)
    assert error.certified
    assert "≈" not in str(found)
    assert distance(found, name, x[:, None].tolist(), exact) <= error.total + 1e-13


@pytest.mark.parametrize("n", [2.0, 2.3])
@pytest.mark.parametrize("name", ["K", "n"])
def test_repression_as_a_quotient_of_a_count_has_bounds(name, n):
    rates = [fsp.Reaction("0 -> X", rate="9/(1 + (X/K)^n)"), fsp.Reaction("X -> 0", mass_action=1.0)]
    model, x = fsp.Model(species={"X": 2}, parameters={"K": 4.0, "n": n}, reactions=rates), np.arange(60)
    v = {**model.parameters, name: model.parameters[name] * (1.0 + 1e-30j)}
    u = np.where(x > 0, (np.maximum(x, 1) / v["K"]) ** v["n"], 0.0)
    exact = dense(model, [9.0 / (1.0 + u), 1.0 * x], 1.5, 59).imag / 1e-30
    found = fsp.sensitivity(model, [1.5], [name], tol=1e-7)[-1]
    assert found.error(name).certified
    assert distance(found, name, x[:, None].tolist(), exact) <= found.error(name).total + 1e-13


def test_an_error_that_nothing_bounds_is_an_estimate():
    law = "9/(1 + (X/K)^2.5 + (Y/3)^1.5)"  # powers of two counts, none of which is above the other
    reactions = [fsp.Reaction("0 -> X", rate=law), fsp.Reaction("0 -> Y", rate=2.0)]
    reactions += [fsp.Reaction(f"{name} -> 0", mass_action=1.0) for name in "XY"]
    model = fsp.Model(
        species={"X": 2, "Y": 3}, parameters={"K": 4.0}, reactions=[fsp.Reaction("0 -> Y", rate=2.0), *reactions]
    )
    with pytest.warns(fsp.ToleranceWarning, match="The error of a derivative is an estimate"):
        found = fsp.sensitivity(model, [0.5], ["K"])[-1]
    assert not found.error("K").certified
    assert "≈" in str(found)


@settings(max_examples=12, deadline=None)
@given(
    plain=open_networks().filter(lambda plain: len(plain["species"]) == 1),
    t=st.sampled_from([0.3, 1.0]),
    tol=st.sampled_from([1e-1, 1e-3, 1e-6]),
    log=st.booleans(),
)
def test_bounds_hold_on_random_networks(plain, t, tol, log):
    model = named(plain)
    names = list(model.parameters)[:3]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        found = fsp.sensitivity(model, [t], names, log=log, tol=tol)[-1]
    top = 40
    rates = model.propensities(np.arange(top + 1)[:, None])
    for k, name in enumerate(names):
        factors = [1.0 + (1e-30j if r == k else 0.0) for r in range(model.n_reactions)]
        p = dense(model, [f * own for f, own in zip(factors, rates, strict=True)], t, top)
        if 1.0 - p.real.sum() > 1e-9 or found.states.max() > top:
            return  # the box is no reference
        exact = p.imag / 1e-30 / (1.0 if log else model.parameters[name])
        beyond = 2e-7 / (1.0 if log else model.parameters[name])  # of the reference
        assert distance(found, name, [(x,) for x in range(top + 1)], exact) <= found.error(name).total + beyond
        mean = found.mean("A")[name]
        assert mean.certified
        assert mean.lower - 1e-6 <= float(exact @ np.arange(top + 1)) <= mean.upper + 1e-6


def test_all_derivatives_are_held_by_the_space():
    """Far into the tail of p, where a derivative by a rate is large, it is not cut off."""
    model = immigration_death()
    found = fsp.sensitivity(model, [1.0], ["k"], tol=1e-9)[-1]
    alone = fsp.transient(model, [1.0], tol=1e-9)[-1]
    assert abs(found.derivative("k").sum()) <= found.error("k").total
    assert found.states.max() >= alone.states[alone.probabilities > 1e-9].max()


@pytest.mark.parametrize("at", [50.0, 0.0])
def test_a_lost_part_is_followed_by_its_moments(at):
    """What is fed at one count into X → 0 with 0 → X of 10 has, after a time, at most the moments of (1)."""
    model = immigration_death()
    followed = gauges(model, 2.0, 2)
    part = PartMoments(followed)
    mass, h = 1e-3, 0.5
    fed = [mass * at**gauge.orders for gauge in followed]
    part.feed(fed)
    integrals = part.advance([gauge.moved(h) for gauge in followed], [np.zeros_like(f) for f in fed], h)
    mean = mass * (at * math.exp(-h) + 10.0 * -math.expm1(-h))
    gathered = mass * (at * -math.expm1(-h) + 10.0 * (h + math.expm1(-h)))
    reached = [g.moment(m, 1) for g, m in zip(followed, part.moments, strict=True)]
    summed = [g.moment(i, 1) for g, i in zip(followed, integrals, strict=True)]
    assert mean <= min(reached) <= 2.0 * mean
    assert gathered <= min(summed) <= 2.0 * gathered


def test_polynomials_lie_above_the_derivatives_on_all_states():
    model = self_activation(2.0)
    slopes = derivatives(model, ["a", "K", "b", "g"], log=True)
    bounds = Bounds.of(model, slopes, 1.0)
    x = np.arange(3000)
    laws = {"a": 6.0 * x**2 / (16.0 + x**2), "K": 2 * 16.0 * 6.0 * x**2 / (16.0 + x**2) ** 2, "b": 0.8, "g": x}
    for k, law in enumerate(laws.values()):
        (remnant,) = bounds.remnant(k)
        above = sum(float(c) * x ** alpha[0] for alpha, c in remnant.items())
        assert (above >= 2.0 * law * (1.0 - 1e-12)).all()


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"parameters": ["q"]}, "parameters of the model"),
        ({"parameters": ["k", "k"]}, "different names"),
        ({"parameters": []}, "different names"),
        ({"times": [-1.0]}, "`times`"),
        ({"tol": 2.0}, "`tol`"),
    ],
)
def test_wrong_arguments_are_refused(changed, match):
    given = {"times": [1.0], "parameters": ["k"], **changed}
    with pytest.raises(fsp.ArgumentError, match=match):
        fsp.sensitivity(immigration_death(), given.pop("times"), given.pop("parameters"), **given)


def one(parameters, *reactions, start=0):
    return fsp.Model(species={"X": start}, parameters=parameters, reactions=list(reactions))


@pytest.mark.parametrize(
    ("model", "error", "match"),
    [
        (
            one({"k": 1.0, "idle": 2.0}, fsp.Reaction("0 -> X", rate="k")),
            fsp.ArgumentError,
            "no rate depends on 'idle'",
        ),
        (one({"idle": 0.0}, fsp.Reaction("0 -> X", rate="1 + idle")), fsp.ArgumentError, "positive with log=True"),
        (one({"k": 1.0, "idle": "2*k"}, fsp.Reaction("0 -> X", rate="idle")), fsp.ArgumentError, "is a formula"),
        (
            one({"idle": 2.0}, fsp.Reaction("0 -> X", rate="idle"), start="idle"),
            fsp.ArgumentError,
            "the start",
        ),
        (one({"idle": 2.0}, fsp.Reaction("0 -> X", rate="idle/(1 + X + time)")), fsp.BackendError, "depend on time"),
        (one({"idle": 2.0}, fsp.Reaction("0 -> X", rate=lambda idle: idle)), fsp.ModelError, "callable"),
        (one({"idle": 2.0}, fsp.Reaction("0 -> X", rate="floor(idle)")), fsp.ModelError, "smooth"),
    ],
)
def test_what_has_no_derivative_is_refused(model, error, match):
    with pytest.raises(error, match=match):
        fsp.sensitivity(model, [1.0], ["idle"])


def test_formulas_of_parameters_are_differentiated_through():
    model = one({"k": 2.0, "twice": "k^2"}, fsp.Reaction("0 -> X", rate="twice"))
    found = fsp.sensitivity(model, [1.0], ["k"], log=False)[-1]
    assert 4.0 in found.mean("X")["k"]


def test_random_starts_are_charged():
    model = one({"g": 1.0}, fsp.Reaction("X -> 0", mass_action="g"), start="poisson(5)")
    found = fsp.sensitivity(model, [1.0], ["g"], tol=1e-6)[-1]
    assert found.error("g").certified
    assert -5.0 * math.exp(-1.0) in found.mean("X")["g"]


def test_blocks_are_taken_in_the_order_of_the_operator():
    """10,000 states are kept as runs of another order than theirs."""
    model = fsp.Model(
        species={"U": 0, "V": 0},
        parameters={"a": 30.0, "d": 1.0},
        reactions=[
            fsp.Reaction("0 -> U", rate="a/(1 + V)"),
            fsp.Reaction("0 -> V", rate="a/(1 + U)"),
            fsp.Reaction("U -> 0", mass_action="d"),
            fsp.Reaction("V -> 0", mass_action="d"),
        ],
    )
    generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"U": 79, "V": 124}))
    derived = Derived(generator, derivatives(model, ["a", "d"], log=True), ())
    block = np.random.default_rng(3).random((3, len(generator)))
    entered = derived.enter(block)
    image = derived.room()
    derived.step(entered, image)
    A = generator.to_csr()
    of_a = fsp.Generator(model.with_parameters(d=1e-300), generator.space).to_csr()
    of_d = fsp.Generator(model.with_parameters(a=1e-300), generator.space).to_csr()
    expected = block + (A @ block.T).T / derived.rate
    expected[1:] += np.array([of_a @ block[0], of_d @ block[0]]) / derived.rate
    np.testing.assert_allclose(derived.leave(image), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(derived.leave(entered), block)


def test_the_command_prints_errors_and_means(tmp_path):
    path = tmp_path / "model.ant"
    path.write_text("k = 10; g = 1; X = 0; species X; -> X; k; X -> ; g*X", encoding="utf-8")
    run = CliRunner().invoke(main, ["sensitivity", str(path), "--parameters", "k,g", "--times", "0.5,2", "--json"])
    record = json.loads(run.stdout)
    last = record["times"][-1]
    assert run.exit_code == 0
    assert last["errors"]["k"]["total"] <= 1e-6
    mean = last["means"]["X"]["k"]
    assert mean["lower"] <= -10.0 * math.expm1(-2.0) <= mean["upper"]
    shown = CliRunner().invoke(main, ["sensitivity", str(path), "--parameters", "k", "--times", "1", "--linear"])
    assert "∂/∂k" in shown.stdout


def test_what_a_run_cannot_do_is_said():
    with pytest.raises(fsp.StateSpaceError, match="max_states"):
        fsp.sensitivity(immigration_death(), [2.0], ["k"], max_states=5)
    with pytest.raises(fsp.ConvergenceError, match="max_work"):
        fsp.sensitivity(immigration_death(), [2.0], ["k"], max_work=10.0)
    with pytest.warns(fsp.ToleranceWarning, match="rounding"):
        fsp.sensitivity(immigration_death(), [2.0], ["k"], tol=1e-13)


def test_values_are_sequences_that_print():
    solved = fsp.sensitivity(immigration_death(), [0.0, 0.5], "k")
    assert solved.times.tolist() == [0.0, 0.5]
    assert solved.parameters == ("k",)
    assert not solved[0].derivative("k").any()
    assert len(solved[:1]) == 1
    assert "∂/∂log k" in str(solved)
    with pytest.raises(fsp.ArgumentError, match="`parameter` must be one of k"):
        solved[-1].error("g")
    with pytest.raises(fsp.ArgumentError, match="`species`"):
        solved[-1].mean("Y")
    with pytest.raises(fsp.ArgumentError, match="condition"):
        solved[-1].probability("X + 1")


def test_a_parameter_moves_an_observable_and_events_of_it():
    """P(k X >= 3) jumps at k = 3: the derivative of P(3 X >= 3) is not that of it."""
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 3.0, "g": 1.0, "made": "k*X", "more": "X + 1"},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    by_k, by_g = (fsp.sensitivity(model, [1.0], [name])[-1] for name in "kg")
    with pytest.raises(fsp.ArgumentError, match="must use only X, more, but 'made >= 3' needs 'made'"):
        by_k.probability("made >= 3")
    assert by_k.probability("more > 1") == by_k.probability("X > 0")
    assert by_g.probability("made >= 3") == by_g.probability("X > 0")
