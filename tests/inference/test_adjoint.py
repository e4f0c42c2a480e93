"""Gradients by the adjoint: closed forms within their bounds, dense exponentials, forward ones, and the cost."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import dense, immigration_death, named, self_activation
from random_networks import networks
from scipy.stats import poisson

import fsp
from fsp.inference.adjoint import Adjoint, Weights
from fsp.inference.adjoint_space import states_of
from fsp.inference.distributions import distributions
from fsp.inference.envelopes import Bounds
from fsp.inference.gradient import height_of
from fsp.inference.instruments import instruments_of
from fsp.inference.parameters import derivatives
from fsp.inference.problem import Limits
from fsp.inference.score import weights_of
from fsp.model.formula import parse

T, X = 2.0, np.arange(300)
MEAN = -10.0 * math.expm1(-T)
SLOPES = {"k": MEAN, "g": -MEAN + 10.0 * T * math.exp(-T)}  # of the mean, by logarithms
LAW = poisson.pmf(X, MEAN)
BY_MEAN = LAW * (X / MEAN - 1.0)


def adjoint(model, names, space, times=(T,), tail=1e-18):
    slopes = derivatives(model, names, log=True)
    return Adjoint(model, slopes, Bounds.of(model, slopes, times[-1]), fsp.Generator(model, space), list(times), tail)


@pytest.mark.parametrize("tol", [1e-2, 1e-6, 1e-8])
@pytest.mark.parametrize(
    ("formula", "values"),
    [("X > 8", X > 8), ("X > 30", X > 30), ("X", X), ("3 - X", 3 - X), ("min(X, 5)", X.clip(0, 5))],
)
def test_gradients_hold_those_of_a_poisson_law(formula, values, tol):
    found = fsp.gradient(immigration_death(), formula, T, ["k", "g"], tol=tol)
    for name, own in found.items():
        exact = float(BY_MEAN @ values) * SLOPES[name]
        assert own.certified
        assert own.width <= 2.0 * tol
        assert own.lower - 1e-12 <= exact <= own.upper + 1e-12


@pytest.mark.parametrize("top", [9, 14, 20])
@pytest.mark.parametrize("name", ["k", "g"])
def test_on_a_small_space_the_bound_is_above_the_error_and_near_it(top, name):
    """Of what leaves the states: nothing else is off there."""
    model = immigration_death()
    own = adjoint(model, [name], fsp.StateSpace.box(model, upper={"X": top}))
    event = (np.arange(top + 1) > 7).astype(float)
    found = own.gradient([Weights(event, 0.0 * event, own.level(1.0))], signed=False)
    exact = float(BY_MEAN[X > 7].sum()) * SLOPES[name]
    assert abs(found.values[0] - exact) <= found.off[0]
    assert found.off[0] <= 60.0 * abs(found.values[0] - exact)


@pytest.mark.parametrize(
    ("top", "tail", "near"), [(9, 1e-18, 60.0), (16, 1e-18, 60.0), (60, 1e-2, 300.0), (60, 1e-4, 300.0)]
)
@pytest.mark.parametrize("asked", [(0.0, 1.0), (1.0, 0.0), (1e-3, 5.0), (5.0, 1e-3)])
def test_what_is_asked_later_is_what_is_charged_earlier(top, tail, near, asked):
    """Events of different weights at two times, on a space that is left, or by series that are cut short."""
    model, event = immigration_death(), (np.arange(top + 1) > 7).astype(float)
    own = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": top}), times=(0.75 * T, T), tail=tail)
    found = own.gradient([Weights(w * event, 0.0 * event, own.level(w)) for w in asked], signed=False)
    exact = 0.0
    for weight, t in zip(asked, (0.75 * T, T), strict=True):
        mean = -10.0 * math.expm1(-t)
        exact += weight * float(poisson.pmf(X, mean)[X > 7] @ (X[X > 7] - mean))  # by the logarithm of k
    assert abs(found.values[0] - exact) <= found.off[0]
    assert found.off[0] <= near * abs(found.values[0] - exact)
    # nothing that is asked at another time makes the charge for one smaller
    for weight, t in zip(asked, (0.75 * T, T), strict=True):
        single = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": top}), times=(t,), tail=tail)
        alone = single.gradient([Weights(weight * event, 0.0 * event, own.level(weight))], signed=False)
        assert found.off[0] >= 0.7 * alone.off[0]


def one_molecule(steps, parameters):
    """Return a molecule that becomes one thing after another."""
    names = list(dict.fromkeys(name for step in steps for name in step[:2]))
    reactions = [fsp.Reaction(f"{a} -> {b}", mass_action=k) for a, b, k in steps]
    species = {name: int(i == 0) for i, name in enumerate(names)}
    return fsp.Model(species=species, parameters=parameters, reactions=reactions)


def without(model, lost):
    """Return its states but those in which the molecule is one of `lost`."""
    states = np.eye(len(model.species), dtype=np.int64)
    return fsp.StateSpace.from_states(model.species, states[[name not in lost for name in model.species]])


def test_what_is_lost_later_is_charged_by_psi():
    """A -> B -> C without C, asked for C: all of the derivative by the first rate is error, and all of that is by Ψ."""
    model = one_molecule([("A", "B", "k"), ("B", "C", "g")], {"k": 1.0, "g": 1.0})
    t = 0.1
    own = adjoint(model, ["k"], without(model, "C"), (t,))
    found = own.gradient([Weights(np.zeros(2), np.zeros(2), own.level(1.0))], signed=False)
    exact = 0.5 * t**2 * math.exp(-t)  # of 1 - (1 + t) exp(-t), where k = g; half of it by k
    assert found.values[0] == 0.0
    assert exact <= found.off[0] <= 1.4 * exact


def test_what_was_lost_before_is_charged_by_its_moments():
    """A -> B -> C -> D without C and D, asked for D: the last rate changes nothing on stored states."""
    model = one_molecule([("A", "B", "a"), ("B", "C", "b"), ("C", "D", "k")], {"a": 1.0, "b": 1.0, "k": 1.0})
    t = 0.2
    own = adjoint(model, ["k"], without(model, "CD"), (t,))
    found = own.gradient([Weights(np.zeros(2), np.zeros(2), own.level(1.0))], signed=False)
    exact = math.exp(-t) * t**3 / 6.0  # ∫ of what is C, times the chance of becoming D later by this rate alone
    assert found.values[0] == 0.0
    assert exact <= found.off[0] <= 4.0 * exact  # what is lost by the end counts from the beginning


def test_weights_of_cells_are_as_uncertain_as_their_probabilities():
    """Z is reached by A, stored, and by L, which is not: half of the cells' probability is lost, and not by Ψ."""
    steps = [("O", "A", "a"), ("O", "B", "b"), ("A", "Z", "k"), ("B", "L", "c"), ("L", "Z", "d")]
    model = one_molecule(steps, {"a": 1.0, "b": 1.0, "k": 0.01, "c": 0.05, "d": 1.0})
    counts = fsp.read_counts({"time": [1.0], "n": [1]}, counts={"Z": "n"})
    own = adjoint(model, ["k"], without(model, "L"), (1.0,))
    asked = weights_of(own, model, counts, 0, instruments_of(None, ("Z",)))
    found = own.gradient([asked], signed=False)
    whole = fsp.likelihood(model, counts).gradient(["k"])["k"]
    assert found.values[0] - whole.value > 0.3
    assert found.values[0] - whole.value <= found.off[0]


@pytest.mark.parametrize("start", [0, 9, 60])
def test_heights_are_above_means_from_all_states_at_all_times(start):
    model = immigration_death()
    own = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": 5}))
    height = height_of(model, parse("2*X + 1", what="formula"), own, T, model.species_bounds)
    at_most = height[0] + sum(
        c * gauge.powers(np.array([[start]]))[1, 0] for c, gauge in zip(height[1:], own.gauges, strict=True)
    )
    for t in (0.0, 0.4, T):
        assert 2.0 * (10.0 + (start - 10.0) * math.exp(-t)) + 1.0 <= at_most


def test_means_of_what_was_lost_have_a_bound_too():
    model = immigration_death()
    own = adjoint(model, ["k", "g"], fsp.StateSpace.box(model, upper={"X": 20}))
    x = np.arange(21.0)
    upward = own.gauges[0].moved(T)[2]
    height = own.level(0.0)
    height[:2] = upward[1, :2]
    found = own.gradient([Weights(x, 0.0 * x, height)], signed=True)
    errors = np.abs(found.values - [SLOPES["k"], SLOPES["g"]])
    assert (errors <= found.off).all()
    assert (found.off <= 100.0 * errors).all()


def cells(largest, n=60, times=(0.5, 2.0)):
    at = np.repeat(times, n)
    mean = -10.0 * np.expm1(-at)
    seen = np.random.default_rng(7).poisson(mean)
    seen[-1] = max(seen[-1], largest)
    return at, seen, mean


@pytest.mark.parametrize("largest", [0, 45, 70])
@pytest.mark.parametrize("capture", [None, 0.5])
def test_scores_of_cells_are_known_however_improbable_they_are(largest, capture):
    """One of them has a probability of 1e-39."""
    at, seen, mean = cells(largest)
    counts = fsp.read_counts({"time": at, "n": seen}, counts={"X": "n"})
    instrument = capture and fsp.Binomial(capture)
    found = fsp.likelihood(immigration_death(), counts, instrument=instrument)
    assert found.least < (1e-3, 1e-17, 1e-38)[(0, 45, 70).index(largest)] ** (1.0 if capture is None else 1.5) * 1e2
    score = seen / mean - (1.0 if capture is None else capture)
    exact = {"k": float(score @ mean), "g": float(score @ (-mean + 10.0 * at * np.exp(-at)))}
    for name, own in found.gradient(["k", "g"], method="adjoint").items():
        assert own.certified
        assert own.lower - 1e-10 <= exact[name] <= own.upper + 1e-10
        assert own.width <= 1e-3 * max(abs(exact[name]), math.sqrt(120))


def test_cells_that_are_not_known_well_widen_the_interval():
    """On states that lose a thousandth, the weights n/p of the cells are off as much as their probabilities."""
    model, at, seen = immigration_death(), T, 14
    exact = (seen / MEAN - 1.0) * SLOPES["k"]
    counts = fsp.read_counts({"time": [at], "n": [seen]}, counts={"X": "n"})
    for top in (15, 17, 22):
        own = adjoint(model, ["k"], fsp.StateSpace.box(model, upper={"X": top}))
        asked = weights_of(own, model, counts, 0, instruments_of(None, ("X",)))
        found = own.gradient([asked], signed=False)
        assert abs(found.values[0] - exact) <= found.off[0]
        assert np.isfinite(found.off[0])


@pytest.mark.parametrize("n", [2.0, 3.0])
def test_parameters_inside_laws_have_the_derivatives_of_dense_exponentials(n):
    model, times, top = self_activation(n), (0.7, 1.6), 60
    names = ["a", "K", "n", "b", "g"]
    counts = fsp.read_counts({"time": [0.7, 0.7, 1.6, 1.6, 1.6], "n": [2, 5, 3, 9, 30]}, counts={"X": "n"})
    found = fsp.likelihood(model, counts).gradient(names)
    x, step = np.arange(top + 1.0), 1e-20
    for name, own in found.items():
        v = {**model.parameters, name: model.parameters[name] * complex(1.0, step)}
        rates = v["a"] * x ** v["n"] / (v["K"] ** v["n"] + x ** v["n"]) + v["b"], v["g"] * x
        law = [dense(model, rates, t, top) for t in times]
        exact = (
            sum((law[i][z].imag / step) / law[i][z].real for i, z in [(0, 2), (0, 5), (1, 3), (1, 9)])
            + law[1][30].imag / step / law[1][30].real
        )
        assert own.certified
        assert own.value == pytest.approx(exact, rel=1e-6)
        assert own.lower - 1e-6 <= exact <= own.upper + 1e-6  # of expm, at the cell of probability 1e-9
        event = fsp.gradient(model, "X > 6", 1.6, [name])[name]
        assert event.certified
        assert event.lower - 1e-10 <= float(law[1][7:].imag.sum()) / step <= event.upper + 1e-10


@settings(max_examples=25, deadline=None)
@given(plain=networks(), t=st.sampled_from([0.3, 1.0]))
def test_both_ways_agree_within_their_bounds(plain, t):
    model = named(plain)
    names, first = list(model.parameters), model.species[0]
    tol = 1e-6
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        forward = fsp.sensitivity(model, [t], names, tol=tol)[-1]
        for formula, other in (
            (f"{first} > 1", forward.probability(f"{first} > 1")),
            (first, forward.mean(first)),
        ):
            for name, own in fsp.gradient(model, formula, t, names, tol=tol).items():
                assert own.lower <= other[name].upper + 1e-14
                assert own.upper >= other[name].lower - 1e-14
                assert own.width <= 2.0 * tol or not own.certified


def test_laws_of_the_start_have_derivatives():
    """A Poisson law that decays: mean m e^{-gt}."""
    model = fsp.Model(
        species={"X": "poisson(m)"},
        parameters={"m": 5.0, "g": 0.7},
        reactions=[fsp.Reaction("X -> 0", mass_action="g")],
    )
    mean = 5.0 * math.exp(-0.7 * T)
    for t, exact in ((T, {"m": mean, "g": -0.7 * T * mean}), (0.0, {"m": 5.0, "g": 0.0})):
        now = 5.0 * math.exp(-0.7 * t)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)
            found = fsp.gradient(model, "X > 2", t, ["m", "g"])
        for name, own in found.items():
            assert own.lower <= poisson.pmf(2, now) * exact[name] <= own.upper
            assert own.certified


def test_states_that_probability_moves_away_from_stay():
    """Of 80 molecules a third are left at the last time; the way from there to here is part of the gradient."""
    model = fsp.Model(
        species={"X": 80, "Y": 0},
        parameters={"g": 1.0, "k": 5.0},
        reactions=[fsp.Reaction("X -> 0", mass_action="g"), fsp.Reaction("0 -> Y", rate="k")],
    )
    found = fsp.gradient(model, "X", 1.0, ["g"], tol=1e-4)["g"]
    assert found.lower <= -80.0 * math.exp(-1.0) <= found.upper
    times = np.array([1.0])
    assert states_of(model, times, 1e-12, Limits()).states[:, 0].max() == 80
    assert distributions(model, times, 1e-12, Limits())[-1].distribution.states[:, 0].max() < 80


def many(q):
    """Return a gene whose mRNA is made and lost by many reactions, q parameters in all."""
    half = (q - 1) // 2
    made = {f"a{i}": 12.0 / half for i in range(half)}
    lost = {f"b{i}": 1.0 / (q - half) for i in range(q - half)}
    reactions = [fsp.Reaction("0 -> X", rate=name) for name in made]
    reactions += [fsp.Reaction("X -> 0", mass_action=name) for name in lost]
    return fsp.Model(species={"X": 0}, parameters=made | lost, reactions=reactions)


def test_thirty_parameters_take_as_many_products_as_three():
    products = []
    for q in (3, 30):
        model = many(q)
        own = adjoint(model, list(model.parameters), fsp.StateSpace.box(model, upper={"X": 60}))
        event = (np.arange(61) > 12).astype(float)
        found = own.gradient([Weights(event, 0.0 * event, own.level(1.0))], signed=False)
        assert len(found.values) == q
        products.append(found.products)
    assert 0 < products[1] <= 1.5 * products[0]


def test_many_parameters_share_what_few_have():
    model = many(7)
    found = fsp.gradient(model, "X > 12", T, list(model.parameters), tol=1e-8)
    mean = -12.0 * math.expm1(-T)
    steep = poisson.pmf(12, mean)
    assert sum(found[f"a{i}"].value for i in range(3)) == pytest.approx(mean * steep, rel=1e-9)
    assert sum(found[f"b{i}"].value for i in range(4)) == pytest.approx(
        steep * (-mean + 12.0 * T * math.exp(-T)), rel=1e-9
    )


def test_what_has_no_bound_is_an_estimate():
    with pytest.warns(fsp.ToleranceWarning, match="nothing bounds the formula"):
        found = fsp.gradient(immigration_death(), "X*X", T, ["k"])["k"]
    assert not found.certified
    assert found.value == pytest.approx(float(BY_MEAN @ X**2) * SLOPES["k"], rel=1e-6)
    with pytest.warns(fsp.ToleranceWarning, match="above the tolerance"):
        fsp.gradient(immigration_death(), "X > 3", T, ["k"], tol=1e-18)


def pulsed():
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 10.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + sin(time))"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def test_rates_of_time_and_stationary_starts_are_taken_forward():
    at_rest = fsp.gradient(immigration_death(), "X > 8", 1.0, ["k"], start="stationary")["k"]
    assert at_rest.lower <= 10.0 * poisson.pmf(8, 10.0) <= at_rest.upper
    mean = 10.0 * (-math.expm1(-T) + 0.5 * (math.sin(T) - math.cos(T) + math.exp(-T)))
    assert mean in fsp.gradient(pulsed(), "X", T, ["k"])["k"]
    with pytest.raises(fsp.ArgumentError, match="condition or a species"):
        fsp.gradient(pulsed(), "2*X", T, ["k"])


@pytest.mark.parametrize(
    ("given", "changed", "kind", "match"),
    [
        (immigration_death, {"method": "backward"}, fsp.ArgumentError, "auto, adjoint, forward"),
        (pulsed, {"method": "adjoint", "formula": "2*X"}, fsp.BackendError, "rates that depend on time"),
        (immigration_death, {"formula": "Y > 2"}, fsp.ArgumentError, "needs 'Y'"),
        (immigration_death, {"formula": 3}, fsp.ArgumentError, "must be a text"),
        (immigration_death, {"formula": "1/X"}, fsp.ArgumentError, "finite in every state"),
        (immigration_death, {"parameters": ["z"]}, fsp.ArgumentError, "one is 'z'"),
        (immigration_death, {"time": -1.0}, fsp.ArgumentError, "time"),
    ],
)
def test_what_cannot_be_asked_is_refused(given, changed, kind, match):
    with pytest.raises(kind, match=match):
        fsp.gradient(**{"model": given(), "formula": "X > 8", "time": T, "parameters": ["k"], **changed})


def test_parameters_that_change_an_observable_are_refused():
    text = "model m; species X = 0; k = 20; s = 3; Y := s*X; Z := Y + 1; J1: -> X; k*s; J2: X -> ; X; end"
    model = fsp.loads(text)
    counts = fsp.read_counts({"time": [0.5], "n": [60]}, counts={"Y": "n"})
    for ask in (
        lambda: fsp.gradient(model, "Y", 0.5, ["s"]),
        lambda: fsp.gradient(model, "Z > 30", 0.5, "s"),
        lambda: fsp.fisher(model, [0.5], ["k", "s"], observe="Y"),
        lambda: fsp.likelihood(model, counts, width=0.1).gradient(["s"]),
    ):
        with pytest.raises(fsp.ArgumentError, match=r"must not change what is asked, but '[YZ]' depends on 's'"):
            ask()
    exact = 180.0 * -math.expm1(-0.5)  # the mean of 3 X
    assert fsp.gradient(model, "Y", 0.5, ["k"])["k"].value == pytest.approx(exact, rel=1e-6)
