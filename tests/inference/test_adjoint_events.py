"""Gradients back through events that set counts: dense exponentials, closed forms, forward ones, and the cost."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from count_map_cases import CASES, VALUES, N, at_rest, exact, law, network
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from random_networks import open_networks
from scipy.stats import poisson

import fsp
from fsp.inference.adjoint import Adjoint, Weights
from fsp.inference.count_maps import largest_of
from fsp.inference.differentiated import differentiated
from fsp.inference.envelopes import Bounds
from fsp.inference.gradient import height_of
from fsp.inference.problem import Limits
from fsp.inference.score import by_forward
from fsp.inference.stationary_start import stationary
from fsp.model.formula import parse

CONSTANT = [case for case in CASES if case != "counts and a parameter"]
X = np.arange(N)


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("case", CONSTANT)
def test_gradients_back_through_events_are_those_of_dense_exponentials(case, tol):
    events, maps = CASES[case]
    model = network(events)
    for formula, values in (("X > 4", X > 4), ("3 - X", 3 - X), ("min(X, 6)", X.clip(0, 6))):
        for t in (0.5, 2.0):
            found = fsp.gradient(model, formula, t, list(VALUES), log=False, tol=tol, method="adjoint")
            for name, own in found.items():
                assert own.certified
                assert own.width <= 2.0 * tol
                assert own.lower - 1e-11 <= exact(name, t, maps) @ values <= own.upper + 1e-11


@pytest.mark.parametrize("tol", [1e-3, 1e-8])
@pytest.mark.parametrize("case", CONSTANT)
def test_gradients_of_cells_at_rest_before_the_events_are_those_of_dense_exponentials(case, tol):
    """The derivative of the stationary law comes back through the events too."""
    events, maps = CASES[case]
    for formula, values in (("X > 4", X > 4), ("min(X, 6)", X.clip(0, 6))):
        for t in (0.5, 2.0):
            found = fsp.gradient(
                network(events), formula, t, list(VALUES), log=False, tol=tol, method="adjoint", start="stationary"
            )
            for name, own in found.items():
                assert own.certified
                assert own.width <= 2.0 * tol
                assert own.lower - 1e-11 <= exact(name, t, maps, at_rest) @ values <= own.upper + 1e-11


@pytest.mark.parametrize(("loss", "more"), [(1e-2, 0.0), (1e-2, 0.7), (1e-5, 0.0)])
def test_bounds_at_rest_are_above_the_errors_where_much_of_the_law_is_lacking(loss, more):
    """A law to a hundredth, or one that is too large by some of what it may be off.

    What it lacks, and what its derivatives are off, counts from before the event on.
    """
    events, maps = CASES["binomial division"]
    names, above = list(VALUES), X > 4
    plain, slopes = differentiated(network(events), names, log=False)
    begun = stationary(plain, slopes, loss, Limits())
    begun = replace(begun, probabilities=begun.probabilities * (1.0 + more * begun.moments.each.relative))
    space = fsp.StateSpace.from_states(["X"], begun.states)
    known = Bounds.of(plain, slopes, 2.0, largest_of(plain, slopes.maps))
    own = Adjoint(plain, slopes, known, fsp.Generator(plain, space), [0.5, 2.0], 1e-18, beginning=begun)
    f = above[space.states[:, 0]].astype(float)
    found = own.gradient([Weights(f, 0.0 * f, own.level(1.0))] * 2, signed=False)
    errors = [
        abs(found.values[k] - sum(exact(name, t, maps, at_rest) @ above for t in (0.5, 2.0)))
        for k, name in enumerate(names)
    ]
    assert max(errors) > 1e-2 * loss
    assert (found.off >= np.array(errors) - 1e-12).all()
    for i, t in enumerate((0.5, 2.0)):
        p = law(t, maps, at_rest, **VALUES).real[space.states[:, 0]]
        assert (own.probabilities(i) <= p * (1.0 + own.relative) + own.absolute(i) + 1e-15).all()
        assert (p - own.probabilities(i)).clip(0.0).sum() <= own.lacks(i) + 1e-12


@pytest.mark.parametrize("t", [1e-3, 0.69, 2.0])
def test_what_is_known_of_states_at_rest_is_above_the_means_from_them(t):
    """(5) of `fsp.inference.adjoint`, by dense exponentials: soon after the start most is in what the law lacks."""
    events, maps = CASES["dose"]
    plain, slopes = differentiated(network(events), list(VALUES), log=False)
    begun, given = stationary(plain, slopes, 1e-2, Limits()), []

    def watched(space, inside, outside, mean):
        given.append((space.states[:, 0], inside, outside, mean))
        return begun.moments.weighted(space, inside, outside, mean)

    known = replace(begun, moments=begun.moments._replace(weighted=watched))
    space, bounds = fsp.StateSpace.from_states(["X"], begun.states), Bounds.of(plain, slopes, t)
    own = Adjoint(plain, slopes, bounds, fsp.Generator(plain, space), [t], 1e-18, beginning=known)
    f = (space.states[:, 0] > 4).astype(float)
    own.gradient([Weights(f, 0.0 * f, own.level(1.0))], signed=False)
    ((states, inside, outside, mean),) = given
    means = np.array([law(t, maps, lambda k, g, x=x: np.eye(N)[x], **VALUES) @ (X > 4) for x in range(N)])
    assert (means[states] <= inside + 1e-12).all()
    assert means.max() <= outside + 1e-12
    exactly = at_rest(VALUES["k"], VALUES["g"]) @ means
    assert exactly <= mean <= exactly + 10.0 * begun.lacking + own.lacks(0)


def test_scores_of_cells_at_rest_come_back_through_events():
    """Also where derivatives of probabilities, taken forward, are not known well enough for the least of them."""
    events, maps = CASES["binomial division"]
    seen = [3, 4, 5, 21]
    counts = fsp.read_counts({"time": [1.5] * 4, "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(network(events), counts, start="stationary").gradient(list(VALUES))
    p = law(1.5, maps, at_rest, **VALUES).real
    for name, own in found.items():
        score = VALUES[name] * float((exact(name, 1.5, maps, at_rest) / p)[seen].sum())
        assert own.certified
        assert own.lower - 1e-8 <= score <= own.upper + 1e-8
        assert own.width <= 2e-2 * abs(own.value)


def test_means_of_cells_at_rest_go_forward_through_events():
    events, maps = CASES["dose"]
    with pytest.warns(fsp.ToleranceWarning, match="A derivative is an estimate"):
        found = fsp.gradient(network(events), "X", 1.0, ["k"], log=False, start="stationary")["k"]
    assert found.value == pytest.approx(exact("k", 1.0, maps, at_rest) @ X, rel=1e-6)


def adjoint(model, names, top, times, **bounds):
    plain, slopes = differentiated(model, names, log=False)
    largest = largest_of(plain, slopes.maps)
    space = fsp.StateSpace.box(plain, upper=dict.fromkeys(plain.species, top) | bounds)
    known = Bounds.of(plain, slopes, times[-1], largest)
    since = times[-1] - max(event.t for event in slopes.maps)
    own = Adjoint(plain, slopes, known, fsp.Generator(plain, space), list(times), 1e-18)
    return own, lambda text: height_of(plain, parse(text, what="formula"), own, since, largest)


@pytest.mark.parametrize("top", [7, 12, 16])
@pytest.mark.parametrize("case", CONSTANT)
def test_on_small_spaces_bounds_are_above_the_errors_and_near_them(case, top):
    events, maps = CASES[case]
    times, names, x = (0.5, 2.0), list(VALUES), np.arange(top + 1.0)
    own, height = adjoint(network(events), names, top, times)
    above = (x > 4).astype(float)
    for f, of_all, highest in ((above, X > 4, own.level(1.0)), (x, X, height("X"))):
        found = own.gradient([Weights(f, 0.0 * f, highest)] * 2, signed=f is x)
        for k, name in enumerate(names):
            error = abs(found.values[k] - sum(exact(name, t, maps) @ of_all for t in times))
            assert error <= found.off[k] + 1e-12
            assert found.off[k] <= (4000.0 if name == "s" else 100.0) * error + 1e-9
    for i, t in enumerate(times):
        p = law(t, maps, **VALUES).real
        assert (own.probabilities(i) <= p[: top + 1] * (1.0 + own.relative) + 1e-15).all()
        assert 1.0 - own.probabilities(i).sum() <= own.lacks(i) + 1e-12


def test_what_an_event_takes_out_of_the_states_is_charged_by_psi():
    """O -> A, and an event that makes Z of A without Z: all of the derivative is error, and all of that is by Ψ."""
    k, s = 1.0, 0.5
    model = fsp.Model(
        species={"O": 1, "A": 0, "Z": 0},
        parameters={"k": k, "s": s},
        reactions=[fsp.Reaction("O -> A", mass_action="k")],
        events=[fsp.Event("time >= s", {"A": 0, "Z": "Z + A"})],
    )
    own, _ = adjoint(model, ["k", "s"], 1, (0.501,), Z=0)
    n = len(own.space)
    found = own.gradient([Weights(np.zeros(n), np.zeros(n), own.level(1.0))], signed=False)
    assert not found.values.any()
    assert own.lacks(0) == pytest.approx(-math.expm1(-k * s))
    assert s * math.exp(-k * s) <= found.off[0] <= 2.0 * s * math.exp(-k * s)  # of 1 - exp(-k s)
    assert found.off[1] >= k * math.exp(-k * s)


def test_what_was_lost_before_an_event_is_charged_by_its_moments_where_its_time_moves():
    """O -> L -> B without L and B, and an event that makes Z of B: its time matters by what is L alone."""
    k, g, s = 3.0, 0.5, 2.0
    model = fsp.Model(
        species={"O": 1, "L": 0, "B": 0, "Z": 0},
        parameters={"k": k, "g": g, "s": s},
        reactions=[fsp.Reaction("O -> L", mass_action="k"), fsp.Reaction("L -> B", mass_action="g")],
        events=[fsp.Event("time >= s", {"B": 0, "Z": "Z + B"})],
    )
    own, _ = adjoint(model, ["s"], 1, (2.1,), L=0, B=0)
    f = own.space.states[:, 3].astype(float)
    found = own.gradient([Weights(f, 0.0 * f, own.level(1.0))], signed=False)
    truth = g * k / (k - g) * (math.exp(-g * s) - math.exp(-k * s))
    assert abs(found.values[0]) < 0.1 * truth
    assert truth - found.values[0] <= found.off[0] <= 60.0 * truth


@pytest.mark.parametrize(("effect", "times", "added"), [("X + 4", 1.0, 4.0), ("floor(X/2)", 0.5, 0.0), ("0", 0.0, 0.0)])
def test_heights_are_above_means_from_all_states_through_events(effect, times, added):
    """They are near those of long-lived molecules, that decay at a rate of 1e-6."""
    model = network([fsp.Event("time >= s", {"X": effect})], g=1e-6)
    own, height = adjoint(model, ["k"], 5, (2.0,))
    before = own.later([Weights(np.zeros(6), np.zeros(6), height("X"))])[0]
    for x in (0, 9, 60):
        at_most = before[0] + before[1:] @ [gauge.powers(np.array([[x]]))[1, 0] for gauge in own.gauges]
        for start in (0.0, 0.3, 0.7):
            mean = times * (x + 5.0 * (0.7 - start)) + added + 5.0 * 1.3 - 0.5 * (times == 0.5)
            assert mean <= at_most * (1.0 + 1e-4)
            assert at_most <= mean + 5.0 + (times != 1.0) * x


def test_a_division_by_chance_keeps_a_poisson_law():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 20.0, "g": 0.5, "t": 1.5},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
        events=[fsp.Event("time >= t", {"X": "binomial(X, 0.5)"})],
    )
    end, k, g, t = 4.0, 20.0, 0.5, 1.5
    left, grown = math.exp(-g * (end - t)), 1.0 - math.exp(-g * t)
    mean = k / g * (1.0 - left + 0.5 * left * grown)
    slopes = {
        "k": mean,
        "g": -mean + k * ((end - t) * left * (1.0 - 0.5 * grown) + 0.5 * left * t * math.exp(-g * t)),
        "t": k * t * left * (-1.0 + 0.5 * grown + 0.5 * math.exp(-g * t)),
    }
    counts = np.arange(300)
    tail = float(poisson.pmf(counts, mean)[counts > 30] @ (counts[counts > 30] / mean - 1.0))
    for formula, of_mean in (("X > 30", tail), ("X", 1.0)):
        for name, own in fsp.gradient(model, formula, end, list(slopes), tol=1e-7, method="adjoint").items():
            assert own.certified
            assert own.lower - 1e-11 <= slopes[name] * of_mean <= own.upper + 1e-11


@pytest.mark.parametrize("case", CONSTANT)
def test_scores_of_cells_come_back_through_events(case):
    events, maps = CASES[case]
    model, names, seen = network(events), list(VALUES), [3, 4, 2, 5, 6, 21]
    counts = fsp.read_counts({"time": [0.5] * 3 + [1.5] * 3, "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(model, counts).gradient(names, method="adjoint")
    for name, own in found.items():
        score = 0.0
        for t, some in ((0.5, seen[:3]), (1.5, seen[3:])):
            p, slope = law(t, maps, **VALUES).real, exact(name, t, maps)
            score += VALUES[name] * float((slope / p)[some].sum())
        assert own.certified
        assert own.lower - 1e-8 <= score <= own.upper + 1e-8
        assert own.width <= (4e-3 if case == "binomial division" else 1e-6) * abs(
            own.value
        )  # of probabilities of 1e-10


def test_the_state_at_the_time_of_an_event_is_that_after_it_and_before_it_with_a_strict_comparison():
    for sign, slope in ((">=", 0.0), (">", -math.expm1(-0.3))):
        model = network([fsp.Event(f"time {sign} 0.3", {"X": 0})])
        for t in (0.3, 0.1 + 0.2):  # 0.30000000000000004
            found = fsp.gradient(model, "X", t, ["k"], log=False, method="adjoint")["k"]
            assert found.lower - 1e-12 <= slope <= found.upper + 1e-12


EFFECTS = ("0", "X + 3", "floor(X/2)", "binomial(X, 0.4)", "2*X", "poisson(1.5)", "min(X, 2)")


@settings(max_examples=4, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(
    drawn=open_networks(),
    effects=st.lists(st.sampled_from(EFFECTS), min_size=1, max_size=2),
    apart=st.floats(0.1, 0.3),
)
def test_gradients_back_and_forward_agree_within_their_bounds(drawn, effects, apart):
    """On random networks with random events, whose times move too."""
    reactions = [fsp.Reaction(r["equation"], mass_action=f"k{i}") for i, r in enumerate(drawn["reactions"])]
    rates = {f"k{i}": r["mass_action"] for i, r in enumerate(drawn["reactions"])}
    species = list(drawn["species"])
    events = [
        fsp.Event(f"time >= {j + 1}*s", {species[j % len(species)]: text.replace("X", species[j % len(species)])})
        for j, text in enumerate(effects)
    ]
    model = fsp.Model(species=drawn["species"], parameters={**rates, "s": apart}, reactions=reactions, events=events)
    names = [*list(rates)[:3], "s"]
    condition = f"{species[0]} > 1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        back, ahead = (
            fsp.gradient(model, condition, 0.7, names, tol=1e-3, method=method, max_states=20_000)
            for method in ("adjoint", "forward")
        )
    assume(any(own.certified for own in back.values()))
    for name in names:
        if back[name].certified and ahead[name].certified:
            assert back[name].lower <= ahead[name].upper + 1e-12
            assert ahead[name].lower <= back[name].upper + 1e-12


def test_states_that_a_dose_leads_to_are_stored():
    own = fsp.gradient(network([fsp.Event("time >= s", {"X": "X + 40"})]), "X > 30", 1.0, ["k"], method="adjoint")["k"]
    assert own.certified
    assert own.width <= 2e-6


def test_scores_forward_are_those_back():
    events, _ = CASES["binomial division"]
    model, names = network(events), list(VALUES)
    counts = fsp.read_counts({"time": [1.5] * 4, "n": [2, 4, 3, 6]}, counts={"X": "n"})
    answer = fsp.likelihood(model, counts)
    back = answer.gradient(names)
    ahead = by_forward(model, answer.counts, answer.instruments, names, answer.least, Limits(), None)
    for name in names:
        assert back[name].lower <= ahead[name].upper
        assert ahead[name].lower <= back[name].upper
        assert back[name].width < 1e-2


def test_the_number_of_products_does_not_grow_with_parameters():
    found = []
    for many in (2, 12):
        rates = {f"k{i}": 1.0 + 0.01 * i for i in range(many)}
        model = fsp.Model(
            species={"X": 0},
            parameters={**rates, "s": 0.5},
            reactions=[*(fsp.Reaction("0 -> X", rate=name) for name in rates), fsp.Reaction("X -> 0", mass_action=1.0)],
            events=[fsp.Event("time >= s", {"X": "binomial(X, 0.5)"})],
        )
        own, _ = adjoint(model, [*rates, "s"], 40, (1.0,))
        f = np.ones(41)
        found.append(own.gradient([Weights(f, 0.0 * f, own.level(1.0))], signed=False).products / own.chain.rate)
    assert found[1] == pytest.approx(found[0], rel=0.25)


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        (lambda m: fsp.gradient(m, "X", 1.0, ["k"], method="adjoint", start="stationary"), "largest value"),
        (
            lambda m: fsp.gradient(
                network(CASES["counts and a parameter"][0]), "X > 3", 1.0, ["k"], method="adjoint", start="stationary"
            ),
            "no events that set counts",
        ),
        (lambda m: fsp.gradient(m, "X > 3", 0.7, ["s"], method="adjoint"), "sets counts just at t = 0.7"),
        (lambda m: fsp.gradient(m, "X > 3", 1.0, ["n"], method="adjoint"), "a whole number has no derivative"),
    ],
)
def test_what_does_not_come_back_is_refused(ask, text):
    with pytest.raises(fsp.FSPError, match=text):
        ask(network(CASES["dose"][0]))
