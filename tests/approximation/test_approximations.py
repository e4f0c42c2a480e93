"""Approximations: exact where theory says so, and errors that fall as theory says with the volume."""

from __future__ import annotations

import inspect
import json
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from random_networks import as_model, networks
from scipy.stats import binom, norm
from written_networks import network

import fsp
from fsp import analysis
from fsp.approximation.approximated import THEORY, Approximated
from fsp.approximation.approximations import _moments
from fsp.approximation.derivatives import Tensors
from fsp.approximation.distances import l1, sliced, wasserstein
from fsp.approximation.normal import joint_normal_law, normal_law
from fsp.approximation.scaling import ScaledNetwork
from fsp.command.main import main
from fsp.distribution import Interval
from fsp.model.formula import parse
from fsp.model.program import evaluate

formula = partial(parse, what="A formula")

DIMER = fsp.Model(
    species={"A": 20, "B": 0},
    reactions=[fsp.Reaction("2 A -> B", rate="0.05*A*(A - 1)/2"), fsp.Reaction("B -> 2 A", mass_action=0.3)],
)


INSIDE = DIMER.with_initial(A=12, B=4)


def test_linear_networks_have_exact_moments():
    reactions = [fsp.Reaction("0 -> M", mass_action=4.0), fsp.Reaction("M -> 0", rate="M"),
                 fsp.Reaction("M -> M + P", rate="2*M"), fsp.Reaction("P -> 0", mass_action=0.5)]  # fmt: skip
    model = fsp.Model(species={"M": 2, "P": 0}, reactions=reactions)
    found = fsp.approximations(model, [0.0, 0.5, 1.0], volumes=[1, 2.5], tol=1e-9, methods=["linear-noise", "normal"])
    for own in found.values():
        np.testing.assert_allclose(own.mean, found.cme_mean, atol=1e-5)
        np.testing.assert_allclose(own.variance, found.cme_variance, atol=1e-4)
    assert (found.mean_bounds[..., 0] <= found.cme_mean + 1e-6).all()
    assert (found.cme_mean <= found.mean_bounds[..., 1] + 1e-6).all()
    assert np.ptp(found.mean_bounds, axis=-1).max() < 1e-4


def test_errors_fall_as_theory_says():
    methods = ["rate-equations", "linear-noise", "next-order", "normal", "zero-cumulant", "poisson", "log-normal"]
    found = fsp.approximations(DIMER, [1.0, 2.0], volumes=[2, 4, 8], methods=methods)
    for name in methods:
        for of, power in zip(("mean", "variance"), THEORY[name], strict=True):
            if power is not None:
                np.testing.assert_allclose(found.order(name, of), power, atol=0.2, err_msg=f"{of} of {name}")
    assert (np.diff(found["linear-noise"].l1[:, :, 1, 1], axis=0) < 0).all()  # B; the counts of A are even


def test_fokker_planck_falls_as_theory_says_and_is_exact_to_a_higher_order_in_balance():
    found = fsp.approximations(INSIDE, None, volumes=[2, 4, 8], methods=["fokker-planck", "linear-noise"], tol=1e-9)
    assert found.times is None
    np.testing.assert_allclose(found.order("fokker-planck"), 3.0, atol=0.25)
    np.testing.assert_allclose(found.order("linear-noise"), 1.0, atol=0.1)
    own = found["fokker-planck"]
    assert (own.joint[:, 0, 0] <= own.joint[:, 0, 1]).all()
    assert (own.joint[:, 0, 1] <= own.joint[:, 0, 2]).all()
    assert (own.l1[..., 1] <= own.joint[..., None, 1] + 1e-12).all()  # a marginal is never farther
    assert "stationary" in str(found)


def test_distances_are_certified_intervals():
    """Of two laws that are stored with an error each, which the intervals cover."""
    k = np.arange(41)
    a, b = binom(40, 0.3).pmf(k), binom(40, 0.35).pmf(k)
    shift = 1e-3 * (np.arange(41) == 8)

    def stored(p, error):
        return fsp.Distribution(k[:, None], p, ("X",), t=1.0, error=fsp.ErrorLedger(truncation=error), closed=True)

    p, q = stored(a - shift, 1e-3), stored(b, 0.0)
    for found, exact in ((l1(p, q), np.abs(a - b).sum()), (wasserstein(p, q), 40 * 0.05)):
        assert found.certified
        assert found.lower <= exact <= found.upper
        assert found.lower < found.value < found.upper
        assert abs(found.value - exact) > 1e-5
    assert l1(p, q).width == pytest.approx(2e-3)
    assert wasserstein(p, q).width == pytest.approx(2 * 40 * 1e-3)
    assert not wasserstein(q, p, 0.01).certified
    law = normal_law(3.0, 4.0, "X", 1.0)
    assert law.mass == pytest.approx(1.0, abs=1e-15)
    assert law.pmf[0] == pytest.approx(norm.cdf(0.5, 3.0, 2.0))
    assert normal_law(3.2, 0.0, "X", None).probability({"X": 3}).value == 1.0


def test_joint_normal_laws_have_their_moments_and_obey_conservation_laws():
    free = network({"A": 30, "B": 30}, ("0 -> A", "mass_action", 1.0), ("0 -> B", "mass_action", 1.0))
    mean, covariance = np.array([40.0, 50.5]), np.array([[30.0, 12.0], [12.0, 20.0]])
    law = joint_normal_law(mean, covariance, free, 1.0)
    np.testing.assert_allclose(list(law.mean().values()), mean, rtol=1e-6)
    np.testing.assert_allclose(analysis.covariance(law.states, law.probabilities), covariance, rtol=1e-6)
    noise = fsp.linear_noise(DIMER, 1.0)
    law = joint_normal_law(noise.mean()[0], noise.covariance()[0], DIMER, 1.0)
    assert (law.states @ [1, 2] == 20).all()
    assert law.mean()["B"] == pytest.approx(noise.mean()[0, 1], abs=0.02)
    assert joint_normal_law(mean, np.array([[1.0, 1.0], [1.0, 1.0]]), free, 1.0) is None  # on a line of its own
    assert joint_normal_law(mean, np.array([[1.0, 2.0], [2.0, 1.0]]), free, 1.0) is None  # no covariance
    assert joint_normal_law(mean, 1e9 * np.eye(2), free, 1.0) is None  # too many counts
    assert joint_normal_law(mean, np.zeros((2, 2)), free, 0.0).states.tolist() == [[40, 50]]


def test_joint_distances_of_all_methods_with_a_law():
    """Of B: A keeps its parity in a joint law; marginals of normal laws are by differences."""
    methods = ["linear-noise", "next-order", "fokker-planck", "normal", "zero-cumulant", "poisson"]
    found = fsp.approximations(INSIDE, [0.5], volumes=[2], methods=methods)
    for name in methods[:-1]:
        own = found[name]
        assert own.l1[0, 0, 1, 1] <= own.joint[0, 0, 1] + 0.02
        assert own.wasserstein[0, 0, 1, 1] <= own.joint_wasserstein[0, 0] + 0.02
    assert ">= " in str(found)
    assert found.record()["joint"]["normal"]["l1"][0][0][1] == found["normal"].joint[0, 0, 1]
    assert np.isnan(found["poisson"].joint).all()  # this closure does not keep A + 2 B
    assert "no joint law at V = 2" in " ".join(found["poisson"].notes)


@pytest.mark.parametrize("d", [2, 3])
def test_the_sliced_distance_is_that_of_a_shift_at_most(d):
    states = np.stack(np.meshgrid(*[np.arange(4)] * d), axis=-1).reshape(-1, d)
    p, names = np.full(len(states), 1.0 / len(states)), tuple("ABC"[:d])
    shift = np.arange(d) + 1
    near, far = (fsp.Distribution(x, p, names, t=1.0, error=fsp.ErrorLedger()) for x in (states, states + shift))
    length = np.linalg.norm(shift)
    assert sliced(near, far) == pytest.approx(length, rel=1e-12)
    assert sliced(near, near) == 0.0


def test_fitted_orders_are_of_concentrations_that_stand_out():
    volumes, shape = np.array([1.0, 2.0, 4.0]), (3, 1, 1)
    own, exact = Approximated.empty("normal", shape), (5 * volumes).reshape(shape)
    own.mean[:], own.variance[:] = exact + 0.1 / volumes.reshape(shape), exact + 0.3
    own.mean_off[:], own.variance_off[:] = 0.0, np.array([0.0, 0.0, 1.0]).reshape(shape)
    tight = np.repeat(exact[..., None], 2, axis=-1)
    found = fsp.Approximations("m", (1.0, 2.0, 4.0), (1.0,), ("X",), exact, exact, tight, tight,
                               np.zeros((3, 1)), True, (), {"normal": own})  # fmt: skip
    assert found.order("normal").item() == pytest.approx(2.0)
    assert found.order("normal", "variance").item() == pytest.approx(2.0)
    own.mean_off[:] = 1.0
    assert np.isnan(found.order("normal")).all()


def test_formulas_that_are_mass_action_scale_as_mass_action():
    plain = fsp.Model(
        species={"A": 20, "B": 0},
        reactions=[fsp.Reaction("2 A -> B", mass_action=0.05), fsp.Reaction("B -> 2 A", mass_action=0.3)],
    )
    one, other = (fsp.approximations(m, 1.0, volumes=[3]) for m in (DIMER, plain))
    for name in one:
        for part in ("mean", "variance", "l1", "wasserstein"):
            np.testing.assert_allclose(getattr(one[name], part), getattr(other[name], part), rtol=1e-6, atol=1e-9)


def test_other_formulas_are_scaled_by_density():
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="20/(1 + X/10)"), fsp.Reaction("X -> 0", rate="X")]
    )
    twice = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="40/(1 + X/20)"), fsp.Reaction("X -> 0", rate="X")]
    )
    found = fsp.approximations(model, 1.0, volumes=[2])
    d = fsp.transient(twice, 1.0, 1e-8)[-1]
    np.testing.assert_allclose(found.cme_mean[0, 0], d.probabilities @ d.states, rtol=1e-6)


def test_constants_that_depend_on_time():
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate="5*exp(-time)"), fsp.Reaction("X -> 0", rate="X")]
    )
    found = fsp.approximations(model, 1.0, volumes=[1, 3])
    np.testing.assert_allclose(found["rate-equations"].mean[:, 0, 0], np.array([1, 3]) * 5 * np.exp(-1), rtol=1e-6)
    np.testing.assert_allclose(found.cme_mean, found["rate-equations"].mean, rtol=1e-5)


def test_sampled_paths_have_no_order():
    found = fsp.approximations(INSIDE, [0.5], volumes=[4, 8], methods=["langevin"], runs=1000, seed=1, steps=100)
    own = found["langevin"]
    assert (np.abs(own.mean - found.cme_mean) < 5 * own.mean_off + 0.1).all()
    assert np.isnan(found.order("langevin")).all()
    assert (own.wasserstein[..., 0] < own.wasserstein[..., 1]).all()


def test_it_prints_and_tabulates():
    found = fsp.approximations(DIMER, [1.0], volumes=[1, 2])
    assert len(found.table()) == 12
    text = str(found)
    assert "rate-equations: means A V^-1.01, B V^-1.01 (V^-1)" in text
    assert json.loads(json.dumps(found.record()))["model"] == "model"
    assert list(found) == ["rate-equations", "linear-noise", "next-order"]


def test_methods_that_fail_say_so(monkeypatch):
    monkeypatch.setattr("fsp.approximation.closures.MOST_EVALUATIONS", 5)
    found = fsp.approximations(DIMER, 1.0, [1], methods=["linear-noise", "normal"])
    assert np.isnan(found["normal"].mean).all()
    assert np.isfinite(found["linear-noise"].mean).all()
    assert "normal: failed at V = 1: the moments change ever faster" in str(found)


@pytest.mark.parametrize(
    "wrong",
    [{"volumes": []}, {"volumes": [-1]}, {"volumes": [0.123]}, {"methods": []}, {"methods": ["euler"]},
     {"methods": "normal"}, {"methods": ["langevin"], "runs": 1}, {"methods": ["fokker-planck"], "spacing": 0.3},
     {"methods": ["fokker-planck"], "spacing": 1}, {"methods": ["fokker-planck"], "scheme": "upwind"},
     {"methods": ["langevin"], "variant": "complex"}, {"progress": 3}],
)  # fmt: skip
def test_arguments_are_checked_before_anything_is_solved(monkeypatch, wrong):
    monkeypatch.setattr("fsp.approximation.approximations.transient", None)
    with pytest.raises(fsp.ArgumentError):
        fsp.approximations(DIMER, 1.0, **wrong)


def test_hops_variants_and_progress_are_passed_on():
    near = DIMER.with_initial(A=4, B=0)
    seen, usual = [], {"volumes": [1], "methods": ["fokker-planck", "langevin"], "runs": 100, "steps": 10}
    one = fsp.approximations(near, 0.5, progress=seen.append, **usual)
    other = fsp.approximations(near, 0.5, scheme="scharfetter-gummel", variant="reflected", **usual)
    for name in one:
        assert (one[name].variance != other[name].variance).all()
    np.testing.assert_array_equal(one["langevin"].mean, fsp.approximations(near, 0.5, **usual)["langevin"].mean)
    assert {moment.message.split(",")[1].strip() for moment in seen} == {"master equation", "fokker-planck"}
    assert all(moment.message.startswith("V = 1, ") for moment in seen)


def test_paths_are_not_stationary():
    with pytest.raises(fsp.ArgumentError, match=r"`times` must be times >= 0 for 'langevin'.*`fsp.relaxation`"):
        fsp.approximations(DIMER, None, methods=["langevin"])


def test_what_cannot_be_approximated_is_refused():
    by_code = fsp.Model(species={"X": 1}, reactions=[fsp.Reaction("X -> 0", rate=lambda x: x["X"], name="decay")])
    with pytest.raises(fsp.ModelError, match="'decay' must be a formula"):
        fsp.approximations(by_code, 1.0)
    spread = fsp.Model(species=["X"], reactions=[fsp.Reaction("X -> 0", rate="X")], initial={(1,): 0.5, (2,): 0.5})
    with pytest.raises(fsp.ModelError, match="one state"):
        fsp.approximations(spread, 1.0)


# ---- two networks


FULL = network({"S": 40, "E": 5, "C": 0, "P": 0}, ("S + E -> C", "mass_action", 1.0),
               ("C -> S + E", "mass_action", 20.0), ("C -> E + P", "mass_action", 1.0), name="full")  # fmt: skip
SHORT = network({"S": 40, "P": 0}, ("S -> P", "rate", "5*S/(21 + S)"), name="short")


def test_a_reduction_is_held_against_the_network_that_it_stands_for():
    found = fsp.compare(FULL, SHORT, [1.0, 4.0], ["P"])
    exact = [fsp.transient(m, [1.0, 4.0], 1e-6) for m in (FULL, SHORT)]
    for k in range(2):
        gap = exact[0][k].marginal("P").distance(exact[1][k].marginal("P"))
        assert found.l1[k]["P"].certified
        assert gap in found.l1[k]["P"]
        assert 0.01 < gap < 0.2
    assert fsp.compare(FULL, SHORT, 1.0).species == ("S", "P")
    assert "full and short: distributions of P" in str(found)
    faster = network({"S": 40, "E": 5, "C": 0, "P": 0}, ("S + E -> C", "mass_action", 10.0),
                     ("C -> S + E", "mass_action", 209.0), ("C -> E + P", "mass_action", 1.0))  # fmt: skip
    better = fsp.compare(faster, SHORT, [4.0], ["P"])
    assert better.l1[0]["P"].upper < found.l1[1]["P"].lower + 0.01


def test_a_network_is_no_farther_than_nothing_from_itself():
    found = fsp.compare(SHORT, SHORT, [1.0])
    assert found.joint[0].lower == 0.0
    assert found.wasserstein[0]["P"].lower == 0.0
    with pytest.raises(fsp.ArgumentError, match="which share S, P, but are E"):
        fsp.compare(FULL, SHORT, 1.0, ["E"])


@pytest.mark.parametrize("rate", ["20*(X < 100)", "piecewise(1, X < 60, 2)*X", "0.1*X*(X - 1)*(X >= 60)", "min(X, 5)"])
def test_conditions_on_the_state_are_refused_by_name(rate):
    model = network({"X": 90}, ("X -> 0", "rate", rate))
    with pytest.raises(fsp.ModelError, match=r"Rate of 'r1' must be smooth in the counts.* of X"):
        fsp.approximations(model, 0.2, volumes=[1])


def test_conditions_on_time_are_not():
    model = network({"X": 90}, ("X -> 0", "rate", "X*(time < 1)"))
    found = fsp.approximations(model, 2.0, volumes=[1])
    assert found["rate-equations"].mean[0, 0, 0] == pytest.approx(90 * np.exp(-1), rel=1e-7)


def test_events_are_refused():
    model = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", mass_action=5.0)],
        events=[fsp.Event("X >= 8", {"X": "0"}, name="reset")],
    )
    with pytest.raises(fsp.ModelError, match=r"no events.*'reset'"):
        fsp.approximations(model, 1.0)


def test_powers_that_are_no_whole_numbers_may_start_at_zero():
    model = network({"X": 0}, ("0 -> X", "rate", "2 + 20*X^2.5/(10^2.5 + X^2.5)"), ("X -> 0", "mass_action", 1.0))
    found = fsp.approximations(model, 2.0, volumes=[4, 8, 16])
    assert found.order("rate-equations")[0, 0] == pytest.approx(1.0, abs=0.2)


# ---- volumes

LAWS = [  # written as; in a volume V; mean rate of concentrations
    ("0.3*A*(A - 1)/2", "0.3*A*(A - 1)/2/V", "0.15*A^2"),
    ("0.15*A^2 - 0.15*A", "0.15*A*(A - 1)/V", "0.15*A^2"),  # in ordinary powers
    ("0.1*A*(A - 1)/2 + 0.2*A*B", "(0.1*A*(A - 1)/2 + 0.2*A*B)/V", "0.05*A^2 + 0.2*A*B"),
    ("0.1*A*(A - 1)*(A - 2)/6 + 3*A", "0.1*A*(A - 1)*(A - 2)/6/V^2 + 3*A", "0.1*A^3/6 + 3*A"),
    ("exp(-time)*A*(A - 1)", "exp(-time)*A*(A - 1)/V", "exp(-time)*A^2"),
    ("A^2", "A^2/V", "A^2"),  # a density
    ("A*(20 - A)", "A*(20 - A/V)", "A*(20 - A)"),
    ("5*A/(3 + B)", "5*A/(3 + B/V)", "5*A/(3 + B)"),
    ("7 + 2*A", "7*V + 2*A", "7 + 2*A"),
]


@pytest.mark.parametrize(("law", "scaled", "limit"), LAWS)
def test_volumes_are_scaled_exactly(law, scaled, limit):
    net = ScaledNetwork(network({"A": 4, "B": 2}, ("A -> B", "rate", law), ("B -> A", "mass_action", 1.0)))
    states = np.array([[a, b] for a in range(19) for b in range(7)])
    counts = {"A": states[:, 0].astype(float), "B": states[:, 1].astype(float)}
    for V in (1.0, 2.0, 3.5, 1e4):
        found = evaluate(net.model_in(V).rate_expressions[0], counts, 0.3)
        np.testing.assert_allclose(found, evaluate(formula(scaled), counts | {"V": V}, 0.3), rtol=1e-12)
    np.testing.assert_allclose(
        evaluate(net.scalings[0].macroscopic, counts, 0.3), evaluate(formula(limit), counts, 0.3), rtol=1e-12
    )


@pytest.mark.parametrize("law", [law for law, _, _ in LAWS])
def test_rates_of_concentrations_have_the_right_next_order(law):
    """a_V(V y)/V - f - g/V falls as V⁻²."""
    net = ScaledNetwork(network({"A": 4, "B": 2}, ("A -> B", "rate", law), ("B -> A", "mass_action", 1.0)))
    own, y = net.scalings[0], {"A": 7.3, "B": 2.9}
    gaps = []
    for V in (1e3, 1e4):
        rate = evaluate(net.model_in(V).rate_expressions[0], {n: V * v for n, v in y.items()}, 0.3) / V
        gaps.append(abs(rate - evaluate(own.macroscopic, y, 0.3) - evaluate(own.correction, y, 0.3) / V))
    assert gaps[1] <= gaps[0] / 50 + 1e-11


@settings(max_examples=30)
@given(networks())
def test_random_networks_are_scaled_by_their_orders(drawn):
    model = as_model(drawn)
    scaled = ScaledNetwork(model).model_in(3.0)
    states = np.random.default_rng(0).integers(0, 7, (40, model.n_species))
    orders = np.array([reaction.order for reaction in model.reactions])
    expected = model.propensities(states) * 3.0 ** (1 - orders)[:, None]
    np.testing.assert_allclose(scaled.propensities(states), expected, rtol=1e-13)
    assert (scaled.initial_states == 3 * model.initial_states).all()


# ---- derivatives and linear noise


@pytest.mark.parametrize(
    "law",
    ["3*X^2.5/(2 + X^2.5)", "exp(-X/5)*sqrt(X + Y)", "X*Y*(X - 1)", "ln(1 + X) - log10(Y + 2)", "tanh(X/4)", "X^Y",
     "-(X - Y)/(1 + X)^3", "sin(X)*cos(Y)"],
)  # fmt: skip
def test_derivatives_are_those_of_differences(law):
    tensors, h = Tensors([formula(law)], ["X", "Y"], 3), 1e-5
    y = np.array([2.3, 1.7])
    found = tensors(y, 0.0)
    for i, step in enumerate(h * np.eye(2)):
        above, below = tensors(y + step, 0.0), tensors(y - step, 0.0)
        for n in range(3):
            np.testing.assert_allclose(found[n + 1][..., i], (above[n] - below[n]) / (2 * h), rtol=2e-6, atol=1e-8)


def test_functions_without_a_derivative_are_named():
    model = network({"X": 3}, ("X -> 0", "rate", "1 + arcsinh(X)*X"))
    with pytest.raises(fsp.ModelError, match="arcsinh"):
        fsp.linear_noise(model)


def test_the_next_order_of_linear_noise():
    """Errors of mean concentrations fall as V⁻¹ and V⁻², those of their variances as V⁻² and V⁻³."""
    model = network({"X": 5}, ("0 -> X", "mass_action", 10.0), ("2 X -> 0", "mass_action", 0.5))
    network_, noise, volumes = ScaledNetwork(model), fsp.linear_noise(model, 2.0), (2, 4, 8)
    gaps = {(what, corrected): [] for what in ("mean", "variance") for corrected in (False, True)}
    for V in volumes:
        exact = fsp.transient(network_.model_in(V), 2.0, 1e-11)[-1]
        for corrected in (False, True):
            mean, covariance = noise.mean(V, corrected=corrected), noise.covariance(V, corrected=corrected)
            gaps["mean", corrected].append(abs(exact.mean()["X"] - mean[0, 0]) / V)
            gaps["variance", corrected].append(abs(exact.variance()["X"] - covariance[0, 0, 0]) / V**2)
    expected = {("mean", False): 1, ("mean", True): 2, ("variance", False): 2, ("variance", True): 3}
    for key, order in expected.items():
        slopes = np.diff(np.log(gaps[key])) / np.log(2)
        np.testing.assert_allclose(slopes, -order, atol=0.1, err_msg=str(key))


def test_the_steady_state_is_where_the_expansion_in_time_ends():
    noise, late = fsp.linear_noise(DIMER), fsp.linear_noise(DIMER, 60.0)
    for name in ("concentrations", "noise", "mean_correction", "covariance_correction"):
        np.testing.assert_allclose(getattr(noise, name), getattr(late, name), rtol=1e-7, atol=1e-8)
    # A + 2 B is conserved: by every order
    np.testing.assert_allclose(noise.mean(3, corrected=True) @ [1, 2], 60.0, rtol=1e-12)
    np.testing.assert_allclose([1, 2] @ noise.covariance(corrected=True)[0] @ [1, 2], 0.0, atol=1e-12)


def test_the_spectrum_of_an_ornstein_uhlenbeck_process():
    model = network({"X": 0}, ("0 -> X", "mass_action", 20.0), ("X -> 0", "mass_action", 2.0))
    frequencies = np.linspace(-40, 40, 9)
    found = fsp.linear_noise(model).spectrum(frequencies, volume=3)[:, 0]
    np.testing.assert_allclose(found, 3 * 40.0 / (frequencies**2 + 4.0), rtol=1e-10)
    with pytest.raises(fsp.ArgumentError, match="steady state"):
        fsp.linear_noise(model, 1.0).spectrum([1.0])


def test_spectra_integrate_to_variances():
    noise = fsp.linear_noise(DIMER)
    w = np.tan(np.linspace(-np.pi / 2, np.pi / 2, 4001)[1:-1])  # ∫ dω = ∫ (1 + ω²) du
    integral = ((1 + w**2)[:, None] * noise.spectrum(w)).sum(axis=0) * np.pi / 4000 / (2 * np.pi)
    np.testing.assert_allclose(integral, np.diag(noise.noise[0]), rtol=1e-3)


def test_a_steady_state_must_be_reached():
    model = network({"X": 1}, ("0 -> X", "mass_action", 1.0))
    with pytest.raises(fsp.ConvergenceError, match="stable steady state"):
        fsp.linear_noise(model)
    timed = network({"X": 1}, ("0 -> X", "rate", "exp(-time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.ModelError, match="must be constant"):
        fsp.linear_noise(timed)


def test_no_room_bears_the_name_of_a_public_function():
    """An import of the room would take the function's place."""
    rooms = {path.stem for path in Path(fsp.__file__).parent.iterdir()}
    assert not rooms & {name for name in fsp.__all__ if name.islower()}


# ---- pictures and the command


def test_the_picture_shows_laws_and_errors():
    from matplotlib.figure import Figure

    found = fsp.approximations(DIMER, [1.0], volumes=[1, 2, 4, 8])
    figure = found.plot()
    assert [axes.get_title("left") for axes in figure.axes][:3] == ["V = 1", "V = 2", "V = 8"]
    legends = [text.get_text() for text in figure.axes[3].get_legend().get_texts()]
    assert legends == ["rate-equations: $V^{-1.01}$", "linear-noise: $V^{-1.01}$", "next-order: $V^{-2.01}$"]
    low, high = figure.axes[5].get_ylim()
    assert high >= 9.99 * low
    with pytest.raises(fsp.ArgumentError, match="one of A, B"):
        found.plot("C")
    assert figure._repr_png_()[:4] == b"\x89PNG"  # a notebook shows it, and completes names of methods
    assert found._ipython_key_completions_() == ["rate-equations", "linear-noise", "next-order"]
    axes = Figure().subplots(2, 2).ravel()
    for ax, options in zip(
        axes, ({}, {"kind": "means"}, {"kind": "variances"}, {"kind": "laws", "volume": 2}), strict=True
    ):
        assert found.plot("B", ax=ax, **options) is ax
        assert ax.lines or ax.texts
    assert [ax.get_title("left") for ax in axes[[0, 3]]] == ["1-norm distance, law of B", "V = 2"]
    assert len(found.plot(kind="laws").axes) == 1
    with pytest.raises(fsp.ArgumentError, match=r"`volume` must be one of 1, 2, 4, 8, .* but is 3"):
        found.plot(kind="laws", volume=3)
    with pytest.raises(fsp.ArgumentError, match="for `ax`, but is 'overview'"):
        found.plot(kind="overview", ax=axes[0])
    with pytest.raises(fsp.ArgumentError, match="but is 'heat'"):
        found.plot(kind="heat")


def test_the_command(tmp_path):
    file = tmp_path / "pairs.ant"
    file.write_text("species A, B; 2A => B; 0.05*A*(A-1)/2; B => 2A; 0.3*B; A = 20; B = 0")
    out, picture = tmp_path / "found.json", tmp_path / "found.png"
    words = ["approximations", str(file), "--volumes", "1,2", "--method", "linear-noise", "--method", "fokker-planck"]
    result = CliRunner().invoke(main, [*words, "--out", str(out), "--plot", str(picture), "--species", "B"])
    assert result.exit_code == 0, result.output
    assert "stationary" in result.output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    record = json.loads(out.read_text())
    assert {row["method"] for row in record["rows"]} == {"linear-noise", "fokker-planck"}
    assert CliRunner().invoke(main, [*words, "--plot", "picture.doc"]).exit_code == 2
    for wrong in (["--method", "euler"], ["--species", "C"], ["--scheme", "upwind", "--method", "fokker-planck"]):
        result = CliRunner().invoke(main, ["approximations", str(file), *wrong])
        assert result.exit_code == 2
        assert "must be" in result.output


def test_defaults_of_the_command_are_those_of_python():
    own = {parameter.name: parameter.default for parameter in main.commands["approximations"].params}
    defaults = {name: p.default for name, p in inspect.signature(fsp.approximations).parameters.items()}
    for name in ("methods", "tol", "spacing", "scheme", "runs", "steps", "variant", "seed"):
        assert own[name] == defaults[name]
    assert tuple(map(float, own["volumes"].split(","))) == defaults["volumes"]


# ---- what a user tried


def test_exact_methods_have_no_order_to_fit():
    chain = network({"X": 0, "Y": 0}, ("0 -> X", "mass_action", 5.0), ("X -> Y", "mass_action", 1.0),
                    ("Y -> 0", "mass_action", 1.0))  # fmt: skip
    found = fsp.approximations(chain, 1.0, [1, 2, 4], methods=["linear-noise"], tol=1e-6)
    assert np.isnan(found.order("linear-noise")).all()
    assert "linear-noise: means X -, Y - (V^-1); variances X -, Y - (V^-2)" in str(found)
    assert [text.get_text() for text in found.plot().axes[3].texts] == ["nothing stands out of\nwhat is known"]
    assert (found.mean_bounds[..., 0] <= found.cme_mean).all()
    assert (found.cme_mean <= found.mean_bounds[..., 1]).all()


def test_means_lie_in_their_bounds():
    law = SimpleNamespace(mean=lambda: {"X": 2.0}, mean_interval=lambda: {"X": Interval(2.1, 2.2, 2.1, True, "")})
    values, bounds = _moments([[law]], "mean")
    assert values.tolist() == [[[2.1]]]
    assert bounds.tolist() == [[[[2.1, 2.2]]]]


def test_rate_equations_that_run_away_end_in_an_error():
    with pytest.raises(fsp.ConvergenceError, match="runs away to infinity"):
        fsp.linear_noise(network({"X": 2}, ("2 X -> 3 X", "mass_action", 1.0)), 1.0)


@pytest.mark.parametrize("equation", ["2 X -> 0", "2 X -> X", "3 X -> X"])
def test_a_state_that_is_approached_like_a_power_of_time_is_no_stable_steady_state(equation):
    with pytest.raises(fsp.ConvergenceError, match="must reach a stable steady state"):
        fsp.linear_noise(network({"X": 1}, (equation, "mass_action", 1.0)), None)


@pytest.mark.parametrize("volumes", [2, "abc", [], [0.0], [1, float("inf")]])
def test_volumes_that_are_none_are_refused(volumes):
    model = network({"X": 0}, ("0 -> X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.ArgumentError, match="`volumes` must be positive numbers"):
        fsp.approximations(model, 1.0, volumes)


def test_linear_noise_prints_a_row_for_each_time_and_species():
    """Of births at 5 and deaths at 1 from 5: φ stays, C = 5 (1 - e^-2t), and nothing is to be corrected."""
    reactions = [fsp.Reaction("0 -> X", rate=5.0), fsp.Reaction("X -> 0", mass_action=1.0)]
    model = fsp.Model(name="births", species={"X": 5}, reactions=reactions)
    head, titles, start, later = str(fsp.linear_noise(model, [0.0, 1.0])).splitlines()
    assert head == "births: linear noise"
    assert titles.split() == ["t", "species", "φ", "m", "C", "C₁"]
    assert start.split() == ["0", "X", "5", "0", "0", "0"]
    assert later.split() == ["1", "X", "5", "0", f"{5 * (1 - np.exp(-2)):.6g}", "0"]
    head, _, rest = str(fsp.linear_noise(model)).splitlines()
    assert head == "births: linear noise at the steady state"
    assert rest.split()[:3] == ["inf", "X", "5"]
    assert float(rest.split()[4]) == pytest.approx(5.0)
