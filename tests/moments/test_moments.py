"""Bounds of moments: each inequality is checked where it must hold, and the exact numbers lie in the intervals."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from fractions import Fraction
from math import comb

import exact
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from random_networks import as_model, networks
from references import MODELS
from scipy.linalg import expm
from written_networks import network

import fsp
from fsp.distribution.formulas import read_formula
from fsp.model.expression import evaluate
from fsp.moments import MomentBounds, bounds, moment_bounds, polynomial
from fsp.moments.bounds import _certificates
from fsp.moments.dissipation import OrderBound, highest, order_bound
from fsp.moments.drift import PowerBound, power_bound
from fsp.moments.envelope import envelope
from fsp.moments.equations import moment_equations
from fsp.moments.exponential import exponential
from fsp.moments.initial import KnownDistribution
from fsp.moments.rates import rates
from fsp.moments.terms import in_falling_powers
from fsp.output.records import answer_record

CHECKED = 200  # states at which an inequality is tried


def load(name):
    return fsp.load(MODELS / f"{name}.ant")


def references(name):
    return json.loads((MODELS / f"{name}.reference.json").read_text())["references"]


def far_out(rng, largest, most=3000):
    """Draw states near the origin and far out, within the largest counts."""
    size = np.exp(rng.uniform(0, np.log(most), (CHECKED, len(largest))))
    drawn = np.minimum(rng.integers(0, size.astype(int) + 1), np.where(np.isfinite(largest), largest, most))
    return drawn.astype(np.int64)


def certificates(model, t):
    return _certificates(model, t, model.species_bounds, model.initial_probabilities @ model.initial_states)


def image(model, states, function, t=0.0):
    """Σ_k a_k(x) (f(x + ν_k) - f(x)), in floating point, and the sum of its absolute terms."""
    a = model.propensities(states, t)  # (R, n)
    terms = [a[k] * (function(states + model.change[k]) - function(states)) for k in range(model.n_reactions)]
    sizes = [a[k] * (function(states + model.change[k]) + function(states)) for k in range(model.n_reactions)]
    return np.sum(terms, axis=0), np.sum(sizes, axis=0)


# ---- polynomials

POLYNOMIALS = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 3)), st.integers(-5, 5).map(Fraction), min_size=1, max_size=4
)
COUNTS = st.tuples(st.integers(0, 9), st.integers(0, 9))


@given(POLYNOMIALS, POLYNOMIALS, COUNTS, st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
def test_polynomials_in_falling_powers_are_a_ring(f, g, x, step):
    at = polynomial.value
    assert at(polynomial.times(f, g), x) == at(f, x) * at(g, x)
    assert at(polynomial.plus(f, g), x) == at(f, x) + at(g, x)
    moved = tuple(a + b for a, b in zip(x, step, strict=True))
    if min(moved) >= 0:
        assert at(polynomial.shifted(f, step), x) == at(f, moved)
    assert at(polynomial.from_power((3, 2)), x) == x[0] ** 3 * x[1] ** 2


@given(POLYNOMIALS)
def test_the_highest_value_of_a_polynomial_is_not_exceeded(f):
    top = highest(f, 2)
    if top is not None:
        assert all(polynomial.value(f, (x, y)) <= top for x in range(0, 200, 7) for y in range(0, 200, 7))
        assert all(polynomial.value(f, (x, y)) <= top for x in range(8) for y in range(8))


FORMULAS = [
    "3*U*(U-1)/2", "50/(1+(V/15)^3)", "U/(10+U)", "U^2.5/(3^2.5+U^2.5)*V", "U*V^2/(4+V)", "U^0.5", "sqrt(U*V)",
    "(U+V)^1.7", "exp(-U/3)*V", "max(U, 3-V)", "min(U*V, 20)", "piecewise(U, U > V, V^2)", "abs(U-V)", "2^-1*U",
    "U/(1+time)", "(1-exp(-0.3*time))*U", "(1+sin(time))*V", "floor(U/3)", "ceil(V/4)*U", "U*(1-U/30)", "1/(2+U)^2",
    "(3+U)/(1+2*U)",
    "tanh(U)*3", "(U > 3)*V", "(0.5*U)^1.5", "-U*V + 3",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_polynomials_enclose_a_formula(formula, rng):
    horizon = 5.0
    tree = read_formula(formula, ("U", "V"), {}, 0.0)
    found = envelope(tree, ("U", "V"), horizon)
    assert found.upper is not None
    assert found.lower is not None
    above, below = in_falling_powers(found.upper, upper=True), in_falling_powers(found.lower, upper=False)
    for x in far_out(rng, np.array([np.inf, np.inf]), 200):
        for t in rng.uniform(0, horizon, 3):
            value = float(evaluate(tree, {"U": float(x[0]), "V": float(x[1])}, t))
            slack = 1e-12 * (1 + abs(value))
            assert float(polynomial.value(below, x)) <= value + slack
            assert value <= float(polynomial.value(above, x)) + slack


def test_a_root_is_no_polynomial():
    tree = read_formula("sqrt(U)", ("U",), {}, 0.0)
    assert envelope(tree, ("U",)).polynomial is None
    assert envelope(read_formula("U^2", ("U",), {}, 0.0), ("U",)).polynomial == {(2,): 1, (1,): 1}


# ---- the exponential and the moment equations


def test_the_exponential_keeps_the_relative_accuracy_of_every_entry(rng):
    for n, t in ((3, 0.3), (6, 2.0), (8, 20.0)):
        matrix = rng.uniform(0, 1, (n, n)) * (rng.uniform(size=(n, n)) < 0.4)
        np.fill_diagonal(matrix, -rng.uniform(0, 3, n))
        found, error = exponential(matrix, t)
        assert error < 1e-9
        np.testing.assert_allclose(found, expm(matrix * t), rtol=1e-11 + error, atol=1e-300)
    found, error = exponential(np.array([[-1e4, 0.0], [1e-6, 0.0]]), 1e3)  # what scipy's loses: e^-1e7, 1e-10
    assert found[1, 0] == pytest.approx(1e-10, rel=2 * error)


CONSTANTS = st.sampled_from([0.1, 0.3, 1.0, 2.0])


@st.composite
def affine_networks(draw):
    """Draw births, conversions, catalysis, deaths, all of order at most one."""
    n = draw(st.integers(1, 3))
    names = "ABC"[:n]
    lines = [(f"0 -> {draw(st.integers(1, 3))} {names[0]}", "mass_action", draw(CONSTANTS))]
    for i, name in enumerate(names):
        lines.append((f"{name} -> 0", "mass_action", draw(CONSTANTS)))
        other = names[(i + 1) % n]
        kind = draw(st.sampled_from(["none", "convert", "make"]))
        if kind == "convert" and n > 1:
            lines.append((f"{name} -> {other}", "mass_action", draw(CONSTANTS)))
        if kind == "make" and i < n - 1:
            lines.append((f"{name} -> {name} + {other}", "mass_action", draw(CONSTANTS)))
    start = {name: draw(st.integers(0, 3)) for name in names}
    return network(start, *lines)


@settings(max_examples=12)
@given(affine_networks(), st.sampled_from([0.2, 1.5]))
def test_moment_equations_agree_with_a_tight_solution(model, t):
    d = fsp.transient(model, [t], 1e-10)[0]
    largest = model.species_bounds
    equations = moment_equations(rates(model, t, largest), model.n_species)
    assert equations is not None
    found = equations.at(t, KnownDistribution(model.initial_states, model.initial_probabilities))
    x = d.states.astype(float)
    for alpha, (low, high) in found.items():
        factors = [x[:, i] - k for i, n in enumerate(alpha) for k in range(n)]
        values = np.prod([np.ones(len(x)), *factors], axis=0)
        stored = float(values @ d.probabilities)
        assert high - low <= 1e-9 * (1 + high)
        assert stored - 1e-9 * (1 + stored) <= high
        assert low <= stored + 1e-6 * (1 + stored)
    for interval in (*d.mean_interval().values(), *d.variance_interval().values()):
        assert interval.certified
        assert interval.width < 1e-6


def test_networks_without_closed_equations_are_left_to_the_drift():
    for name in ("toggle_hill", "schloegl", "hog1", "robertson"):
        model = load(name)
        assert moment_equations(rates(model, 1.0, model.species_bounds), model.n_species) is None


# ---- drift conditions


def check_conditions(model, t, rng):
    """Try the inequalities that the certificates state at states far out; return how many were tried."""
    states = far_out(rng, model.species_bounds)
    found = certificates(model, t)
    tried = 0
    for condition in (c for own in found.drift for c in own):
        w = np.array([float(x) for x in condition.weights])
        orders = [condition.order] if isinstance(condition, OrderBound) else [1, 2, 3, 5]
        for q in orders:
            if isinstance(condition, PowerBound) and q > 1 + len(condition.spreads):
                continue
            left, size = image(model, states, lambda x, w=w, q=q: (x @ w) ** q, t)
            right = claimed(condition, q, states @ w)
            assert (left <= right + 1e-11 * (size + np.abs(right)) + 1e-12).all(), (model.describe(), condition, q)
            tried += 1
    return tried


def claimed(condition, q, u):
    """What a certificate says that A u^q is at most."""
    rate, source = float(condition.rate), float(condition.source)
    if isinstance(condition, OrderBound):
        return rate * u**q + source
    total = q * (rate * u**q + source * u ** (q - 1))
    for j, (slope, constant) in enumerate(condition.spreads[: q - 1], start=2):
        total = total + comb(q, j) * (float(slope) * u ** (q - j + 1) + float(constant) * u ** (q - j))
    return total


@settings(max_examples=40)
@given(networks(), st.integers(0, 10**6))
def test_drift_conditions_hold_far_out(drawn, seed):
    model = as_model(drawn)
    open_ended = np.isinf(model.species_bounds).any()
    tried = check_conditions(model, 2.0, np.random.default_rng(seed))
    assert (tried > 0) == open_ended  # every open network here has a bound


@pytest.mark.parametrize(
    "name", ["toggle_hill", "toggle2", "goutsias", "lotka_volterra", "schloegl", "phage_lambda", "repressilator"]
)
def test_drift_conditions_of_known_models_hold(name, rng):
    assert check_conditions(load(name), 10.0, rng) > 0


@pytest.mark.parametrize("t", [0.0, 1.0, 8.0])
def test_drift_conditions_hold_at_every_time(t, rng):
    model = network(
        {"X": 0, "Y": 0},
        ("0 -> X", "rate", "3*(1 + sin(time))"),
        ("X -> X + Y", "rate", "X*exp(-time/5)"),
        ("X -> 0", "mass_action", 1.0),
        ("Y -> 0", "rate", "Y*(0.2 + 0.1*cos(time))"),
    )
    found = certificates(model, 8.0)
    states = far_out(rng, model.species_bounds)
    assert all(found.drift)
    for condition in (c for own in found.drift for c in own):
        w = np.array([float(x) for x in condition.weights])
        left, size = image(model, states, lambda x, w=w: x @ w, t)
        assert (left <= claimed(condition, 1, states @ w) + 1e-11 * size).all()


def test_drift_conditions_hold_where_losses_saturate(rng):
    model = network(
        {"X": 4, "Y": 0},
        ("0 -> X", "mass_action", 5.0),
        ("X -> Y", "rate", "10*X/(5 + X)"),
        ("Y -> 0", "rate", "Y - Y/(2 + Y)"),
        ("X + Y -> X", "rate", "0.1*X*Y/(1 + Y)"),
    )
    assert check_conditions(model, 2.0, rng) > 0
    assert check_conditions(model, 50.0, rng) > 0


COMPETING = {
    "gain of degree two behind a loss of degree three": network(
        {"X": 5, "Y": 0, "Z": 0},
        ("2 X -> 3 X", "mass_action", 0.1),
        ("3 X -> 2 X", "mass_action", 0.05),
        ("X -> X + Y", "mass_action", 1.0),
        ("Y -> 2 Z", "mass_action", 4.0),
        ("Z -> 0", "mass_action", 1.0),
        ("X -> 0", "mass_action", 0.5),
    ),
    "logistic": network(
        {"X": 5, "Y": 1},
        ("X -> 2 X", "mass_action", 1.0),
        ("2 X -> X", "mass_action", 0.05),
        ("X + Y -> 2 Y", "mass_action", 0.1),
        ("Y -> 0", "mass_action", 1.0),
    ),
    "mutual": network(
        {"X": 5, "Y": 1},
        ("X + Y -> X + 2 Y", "mass_action", 0.1),
        ("3 Y -> Y", "mass_action", 0.3),
        ("3 X -> X", "mass_action", 0.3),
        ("0 -> X", "mass_action", 1.0),
    ),
}


@pytest.mark.parametrize("name", COMPETING)
def test_gains_of_high_degree_are_bounded_by_losses_of_higher(name, rng):
    model = COMPETING[name]
    assert check_conditions(model, 20.0, rng) > 0
    known = moment_bounds(model, 20.0).bounds
    assert not known.reason
    assert (known.norms[:, 1] < 200.0).all()  # e^20 without the losses


def test_weights_that_a_fast_reaction_raises_have_no_bound():
    model = network({"X": 2}, ("2 X -> 3 X", "mass_action", 0.1), ("X -> 0", "mass_action", 1.0))
    found = rates(model, 1.0, model.species_bounds)
    assert power_bound((Fraction(1),), found, 0.0, model.species_bounds) is None
    lowered = network({"X": 2}, ("2 X -> X", "mass_action", 0.1), ("0 -> X", "mass_action", 1.0))
    assert power_bound((Fraction(1),), rates(lowered, 1.0, lowered.species_bounds), 0.0, np.array([np.inf]))


def test_a_loss_of_high_degree_bounds_a_gain():
    """2X -> 3X is faster than linear: only 3X -> 2X keeps it down."""
    model = load("schloegl")
    found = rates(model, 4.0, model.species_bounds)
    one = order_bound((Fraction(1),), 2, found, -1.0, model.species_bounds)
    assert one is not None
    x = np.arange(3000)[:, None]
    left, size = image(model, x, lambda x: x[:, 0].astype(float) ** 2)
    right = claimed(one, 2, x[:, 0].astype(float))
    assert (left <= right + 1e-12 * size).all()
    assert (right - left).min() <= 0.15 * one.source  # and not by much


# ---- Hölder


@given(st.integers(0, 10**6), st.floats(1e-9, 1.0), st.sampled_from([(1, 0), (2, 0), (1, 1), (2, 1)]))
def test_a_part_of_a_distribution_has_no_more_than_the_tail_bound(seed, weight, alpha):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 200, (60, 2)).astype(float)
    p = rng.dirichlet(np.full(60, 0.3))
    norms = np.array([[float(p @ x[:, i] ** q) ** (1 / q) for q in range(1, 25)] for i in range(2)])
    known = MomentBounds(("U", "V"), np.full(2, np.inf), norms, np.zeros((0, 2), int), np.zeros((0, 2)))
    values = x[:, 0] ** alpha[0] * x[:, 1] ** alpha[1]
    order = np.argsort(-values)  # the worst part: the largest values first
    part = np.diff(np.minimum(np.cumsum(p[order]), weight), prepend=0.0)
    assert part @ values[order] <= known.tail(alpha, weight) * (1 + 1e-12)
    boxed = MomentBounds(("U", "V"), np.array([np.inf, 199.0]), norms, np.zeros((0, 2), int), np.zeros((0, 2)))
    assert part @ values[order] <= boxed.tail(alpha, weight) * (1 + 1e-12)


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
