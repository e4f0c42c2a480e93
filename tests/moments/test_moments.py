"""Bounds of moments: each inequality is checked where it must hold, and the exact numbers lie in the intervals."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from moment_cases import load
from references import MODELS
from written_networks import network

import fsp
from fsp.moments import bounds, moment_bounds
from fsp.output.records import answer_record


def references(name):
    return json.loads((MODELS / f"{name}.reference.json").read_text())["references"]


# ---- answers


def law(probabilities):
    x = np.arange(len(probabilities))
    mean = float(x @ probabilities)
    return mean, float(x**2 @ probabilities) - mean**2


def test_intervals_hold_the_closed_forms():
    model = network({"X": 3}, ("0 -> X", "mass_action", 20.0), ("X -> 0", "mass_action", 1.0))
    mean, variance = law(exact.immigration_death(np.arange(120), 1.5, birth=20.0, death=1.0, start=3))
    for tol in (1e-2, 1e-6):
        d = fsp.transient(model, [1.5], tol)[0]
        assert mean in d.mean_interval()["X"]
        assert variance in d.variance_interval()["X"]
        assert d.mean_interval()["X"].width < 1e-9 * mean


def test_intervals_hold_without_the_moment_equations():
    """The same law, its birth written so that the propensity is not seen to be constant."""
    model = network(
        {"X": 3}, ("0 -> X", "rate", "20*(2 + X^2)/(1 + X^2) - 20/(1 + X^2)"), ("X -> 0", "mass_action", 1.0)
    )
    mean, variance = law(exact.immigration_death(np.arange(120), 1.5, birth=20.0, death=1.0, start=3))
    widths = []
    for tol in (1e-2, 1e-4, 1e-6):
        for solver in ("uniformization", "krylov"):
            d = fsp.transient(model, [1.5], tol, solver=solver)[0]
            assert not len(moment_bounds(model, 1.5).bounds.means)
            found = d.mean_interval()["X"]
            assert found.certified
            assert mean in found
            assert variance in d.variance_interval()["X"]
            assert found.width <= 500 * d.error.total
        widths.append(found.width)
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize(("birth", "death", "tol"), [(1.0, 0.6, 1e-3), (0.5, 1.0, 1e-5)])
def test_intervals_hold_for_a_growing_population(birth, death, tol):
    model = network({"X": 5}, ("X -> 2 X", "mass_action", birth), ("X -> 0", "mass_action", death))
    mean, variance = law(exact.linear_birth_death(np.arange(3000), 2.0, birth=birth, death=death, start=5))
    d = fsp.transient(model, [2.0], tol)[0]
    assert mean in d.mean_interval()["X"]
    assert variance in d.variance_interval()["X"]
    norms = moment_bounds(model, 2.0).bounds.norms[0]
    x = np.arange(3000.0)
    p = exact.linear_birth_death(np.arange(3000), 2.0, birth=birth, death=death, start=5)
    for q in (1, 2, 4, 8):
        assert float(p @ x**q) ** (1 / q) <= norms[q - 1] * (1 + 1e-9)


@pytest.mark.parametrize("name", ["toggle_hill", "telegraph", "pap_pili", "phage_lambda", "birth_death_poisson"])
def test_intervals_hold_the_references(name):
    model = load(name)
    stored = [r for r in references(name) if r["t"] != "stationary"]
    solution = fsp.transient(model, sorted({float(r["t"]) for r in stored}), 1e-5)
    for reference in stored:
        d = solution.at(float(reference["t"]))
        means, variances = d.mean_interval(), d.variance_interval()
        for species, mean in reference["mean"].items():
            slack = 1e-9 * (1 + mean)  # the reference's own error
            found = means[species]
            assert found.certified
            assert found.lower - slack <= mean <= found.upper + slack
            assert found.width <= 1e-3 * (1 + mean)
            variance = reference["variance"][species]
            assert variances[species].lower - slack <= variance <= variances[species].upper + slack
            assert variances[species].certified


@pytest.mark.parametrize(("name", "t"), [("schloegl", 4), ("lotka_volterra", 2), ("goutsias", 100), ("toggle2", 30)])
def test_moments_of_the_references_are_below_the_drift_bounds(name, t):
    reference = next(r for r in references(name) if r["t"] == t)
    known = moment_bounds(load(name), t).bounds
    for i, species in enumerate(known.species):
        if species not in reference["mean"]:
            continue
        alpha = tuple(int(i == j) for j in range(len(known.species)))
        mean, variance = reference["mean"][species], reference["variance"][species]
        assert mean <= known.tail(alpha, 1.0)
        assert mean**2 + variance <= known.tail(tuple(2 * n for n in alpha), 1.0)
        assert known.tail(alpha, 1e-6) < 0.02


@pytest.mark.parametrize("t", [1e4, 1e5])
def test_the_counter_behind_a_bottleneck_is_not_lost(t):
    """A space that a loose tolerance is content with puts the mean of C near zero, where it is 5 or 484."""
    model = load("bottleneck")
    reference = next(r for r in references("bottleneck") if r["t"] == t)
    d = fsp.transient(model, [t], 0.2)[0]
    mean = d.mean_interval()["C"]
    assert mean.certified
    assert reference["mean"]["C"] in mean
    assert reference["variance"]["C"] in d.variance_interval()["C"]
    assert d.mean()["C"] < 0.9 * mean.lower
    assert mean.width < 1e-6 * mean.upper
    assert "mean of C as printed is wrong" in str(d)
    record = answer_record(d)["times"][0]["mean_interval"]
    assert record["C"] == [mean.lower, mean.upper]
    alone = d.marginal("C", "A").expectation("C")
    assert alone.certified
    assert (alone.lower, alone.upper) == (mean.lower, mean.upper)


def test_the_counter_is_bounded_without_moment_equations_too():
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "rate", "1e-6*A"),
        ("B -> B + C", "rate", "0.1*B*B"),  # the same, for one molecule, but not affine
        ("C -> C", "rate", "0"),
    )
    with pytest.warns(fsp.ToleranceWarning):
        d = fsp.transient(model, [1e4], 1e-6, space=fsp.StateSpace.box(model, upper={"A": 1, "B": 1, "C": 0}))[0]
    found = d.expectation("C")
    assert d.mean()["C"] == 0.0
    assert found.certified
    assert 4.983374916805357 in found
    assert "mean of C is only known to lie in" in str(d)


def test_polynomials_and_other_formulas_are_bounded():
    model = load("toggle_hill")
    loose, tight = fsp.transient(model, [5.0], 1e-4)[0], fsp.transient(model, [5.0], 1e-9)[0]
    for formula in ("U*V", "(U - V)^2", "U^3 - 4*U*V", "sqrt(U*V)", "U/(1 + V)", "max(U, V)", "exp(-U)", "abs(U-V)"):
        wide, narrow = loose.expectation(formula), tight.expectation(formula)
        assert wide.certified
        assert narrow.certified
        assert wide.lower <= narrow.upper
        assert narrow.lower <= wide.upper
        assert narrow.width <= 0.1 * wide.width
        assert narrow.value in wide
    found = loose.expectation("exp(U)")
    assert not found.certified
    assert "no polynomial is known" in found.reason


def test_intervals_keep_within_what_counts_can_be():
    d = fsp.transient(load("toggle2"), [1.0], 0.3)[0]
    for name, found in d.mean_interval().items():
        assert found.lower >= 0.0
        assert str(found).find("-") < 0
        assert not name.startswith(("Gene", "bGene")) or found.upper <= 1.0


def test_what_cannot_be_bounded_says_why():
    explosive = network(
        {"X": 1, "Y": 0},
        ("2 X -> 3 X", "mass_action", 0.001),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "mass_action", 1.0),
    )
    d = fsp.transient(explosive, [1.0], 1e-6)[0]
    found = d.expectation("X")
    assert not found.certified
    assert "r1" in found.reason
    assert d.mean_interval()["Y"].certified
    assert not d.variance_interval()["X"].certified
    assert "mean of X is not certified" in str(d)
    model = network({"X": 1}, ("0 -> X", "rate", lambda x: 1.0 + 0 * x["X"]), ("X -> 0", "mass_action", 1.0))
    reason = fsp.transient(model, [1.0])[0].expectation("X").reason
    assert "no polynomial bounds the rate of r1" in reason


def test_estimates_stay_estimates():
    model = network({"X": 0}, ("0 -> X", "rate", "3*(1 + sin(time))/(1 + X)"), ("X -> 0", "mass_action", 1.0))
    bound = fsp.transient(model, [1.0], 1e-6)[0]
    assert bound.expectation("X").certified
    d = replace(bound, error=replace(bound.error, certified=False))
    assert not d.expectation("X").certified
    assert d.expectation("X").reason == "the error is an estimate, not a bound"
    assert "note" not in str(d)


def test_ordinary_answers_print_no_remarks():
    for name, t in (("toggle_hill", 5.0), ("telegraph", 1.0), ("mrna_decay", 1.0)):
        solution = fsp.transient(load(name), [t], 1e-6)
        assert "note" not in str(solution)
        assert "note" not in str(solution[0])


def test_other_initial_states_may_be_given():
    model = network({"A": 5, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1.0))
    found = moment_bounds(
        model, 2.0, initial_states=np.array([[1, 0], [3, 0]]), initial_probabilities=np.array([0.5, 0.5])
    ).bounds
    assert found.largest.tolist() == [3, 3]
    low, high = found.mean({(1, 0): Fraction(1), (0, 1): Fraction(1)})
    assert low <= 2.0 <= high
    assert high - low < 1e-9


# ---- what is computed once, kept and passed on


def test_times_share_the_search(monkeypatch):
    model = load("toggle_hill")
    searched = []
    certify = bounds._certify
    monkeypatch.setattr(bounds, "_certify", lambda *a: searched.append(a[1]) or certify(*a))
    solution = fsp.transient(model, [1.5, 2.0, 2.5, 3.0, 3.9], 1e-4)
    assert not searched  # nothing before it is asked for
    for d in solution:
        d.mean_interval()
    assert searched == [4.0]


def test_bounds_survive_files_and_pickles(tmp_path):
    model = load("toggle_hill")
    solution = fsp.transient(model, [1.0, 5.0], 1e-4)
    solution.save(tmp_path / "run.h5")
    back = fsp.read(tmp_path / "run.h5")
    for d, kept in zip(solution, back, strict=True):
        for copy in (kept, pickle.loads(pickle.dumps(d))):
            assert copy.mean_interval() == d.mean_interval()
            assert copy.variance_interval() == d.variance_interval()
            assert copy.marginal("V").expectation("V^2") == d.marginal("V").expectation("V^2")
    single = fsp.transient(load("bottleneck"), [1e4], 0.2)[0].marginal("C")
    single.save(tmp_path / "one.h5")
    assert fsp.read(tmp_path / "one.h5").expectation("C") == single.expectation("C")
    pair = solution[1].marginal("V", "U")
    assert pair.expectation("U*V").upper == pytest.approx(solution[1].expectation("U*V").upper, rel=1e-9)


def test_files_without_bounds_are_read(tmp_path):
    model = load("toggle_hill")
    d = fsp.transient(model, [1.0], 1e-4)[0]
    bare = fsp.Distribution(d.states, d.probabilities, d.species, t=d.t, error=d.error)
    assert bare.moments is None
    assert not bare.expectation("U").certified
    assert not bare.variance_interval()["U"].certified
    bare.save(tmp_path / "bare.h5")
    assert fsp.read(tmp_path / "bare.h5").moments is None


@given(st.integers(0, 2**20))
@settings(max_examples=15)
def test_random_open_networks_hold_their_means(seed):
    """A loose and a tight answer: their intervals have the exact mean in common."""
    rng = np.random.default_rng(seed)
    k = rng.choice([0.2, 0.5, 1.0, 2.0], 5)
    model = network(
        {"X": int(rng.integers(0, 4)), "Y": 0},
        ("0 -> X", "mass_action", float(k[0])),
        ("X -> X + Y", "mass_action", float(k[1])),
        ("X + Y -> Y", "mass_action", float(k[2])),
        ("2 Y -> Y", "mass_action", float(k[3])),
        ("Y -> 0", "mass_action", float(k[4])),
    )
    loose, tight = fsp.transient(model, [2.0], 1e-2)[0], fsp.transient(model, [2.0], 1e-9)[0]
    assume(loose.error.certified)
    for name in model.species:
        wide, narrow = loose.mean_interval()[name], tight.mean_interval()[name]
        assert wide.certified
        assert narrow.certified
        assert narrow.width < 1e-4
        assert wide.lower <= narrow.lower + 1e-9
        assert narrow.upper <= wide.upper + 1e-9
        broad, slim = loose.variance_interval()[name], tight.variance_interval()[name]
        assert broad.lower <= slim.upper
        assert slim.lower <= broad.upper


def test_moments_of_many_molecules_keep_their_digits():
    """A thousand molecules made per unit of time: in units of their size, moments take few squarings."""
    model = fsp.Model(
        species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=1000.0), fsp.Reaction("X -> 0", mass_action=0.1)]
    )
    mean = 1e4 * -np.expm1(-5.0)
    bounds = moment_bounds(model, 50.0).bounds
    for value, (low, high) in zip((1.0, mean, mean**2), bounds.means, strict=True):
        assert low <= value * (1 + 1e-15)
        assert high >= value * (1 - 1e-15)
        assert high - low < 1e-11 * value


@pytest.mark.parametrize(
    "reactions", [[fsp.Reaction("0 -> X", rate=1.0)], [fsp.Reaction("2 X -> 4 X", rate="1 - 1/(1 + X)")]]
)
def test_what_is_made_and_never_lost_has_no_limit(reactions):
    model = fsp.Model(species={"X": 2}, reactions=reactions)
    assert np.isinf(moment_bounds(model, np.inf).bounds.norms).all()
