"""Cells that differ in a parameter: mixtures of closed forms lie within their bounds, and so do likelihoods."""

from __future__ import annotations

import json
import math

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import immigration_death
from mixture_cases import LAWS, averaged, frozen, negative_binomial
from scipy.linalg import expm
from scipy.stats import poisson

import fsp
from fsp.command.main import main
from fsp.inference import mixing
from fsp.inference.extrinsic import Region
from fsp.inference.problem import Limits
from fsp.inference.quadrature import rule_of

# ---- rules


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(LAWS), st.floats(-2.0, 3.0), st.sampled_from([1e-3, 1e-6, 1e-10]))
def test_rules_integrate_poisson_laws_up_to_their_error(law, power, error):
    duration = 10.0**power
    rule = rule_of(law, duration, error, error)
    mean = law.numbers[0] * duration
    exact = mpmath.mpf(0)
    counts = np.unique([0, int(0.5 * mean), int(mean), int(2.0 * mean)])
    sums = poisson.pmf(counts[:, None], rule.nodes * duration) @ rule.weights  # a part of the 1-norm
    if isinstance(law, fsp.Gamma):
        exact = negative_binomial(mean, law.numbers[1]).pmf(counts)
    else:
        exact = averaged(law, lambda x: poisson.pmf(counts, x[:, None] * duration), 40_000)
    slack = 1e-11 + rule.relative
    assert np.abs(sums - exact).sum() <= rule.error + rule.outside + slack
    assert 1.0 - error - rule.outside - slack <= rule.weights.sum() <= 1.0 + error + slack
    assert (rule.weights > 0.0).all()


def test_longer_times_need_nodes_as_their_square_root():
    few, many = (len(rule_of(LAWS[0], growth, 1e-6, 1e-6)) for growth in (100.0, 10_000.0))
    assert few < 150
    assert 4.0 * few < many < 16.0 * few


@pytest.mark.parametrize("kind", [fsp.Gamma, fsp.LogNormal])
def test_narrow_laws_take_few_nodes(kind):
    """Ellipses as near as a law is narrow, and (3) of its density: 1,657 nodes were taken, or none were found."""
    for cv in (1.1e-4, 1e-3, 1e-2):
        for unit in (1e-290, 1.0, 1e290):
            law = kind(5.0 * unit, cv)
            rule = rule_of(law, 1.0 / unit, 1e-7, 1e-7)
            assert len(rule) < 50
            assert rule.weights.sum() == pytest.approx(1.0, abs=1e-6)
            assert rule.weights @ (rule.nodes / unit) == pytest.approx(5.0, rel=1e-6)


@given(
    st.sampled_from([1.0, 0.9, 0.3, 0.01, 1e-3, 1.5]), st.floats(-8.0, 8.0), st.floats(0.0, 1.4), st.floats(0.0, 1.0)
)
def test_gamma_densities_are_near_their_bounds_on_boxes(cv, place, angle, share):
    """On boxes of real and imaginary parts, whose corners and (3) are the worst."""
    law, size = fsp.Gamma(3.0, cv), min(cv, 1.0)
    near = 3.0 * math.exp(place * size)
    far, height = near * (1.0 + 2.0 * size), near * math.tan(min(angle, 8.0 * size))
    ends = near, far, height, near, math.hypot(far, height), math.atan2(height, near)
    region = Region(*(np.array([x]) for x in ends))
    bound = float(law.above(region)[0])
    a, s = 1.0 / cv**2, 3.0 * cv**2
    x = np.append(np.linspace(near, far, 2001), near + share * (far - near))
    logs = (a - 1.0) * np.log(np.hypot(x, height) / s) - x / s - math.lgamma(a) - math.log(s)
    slack = 1e-9 * (1.0 + a)
    assert logs.max() <= bound + slack
    if a >= 1.0:
        assert bound <= logs.max() + slack + 1e-4


@pytest.mark.parametrize("law", LAWS)
def test_densities_lie_below_their_bounds_in_the_half_plane(law):
    rng = np.random.default_rng(5)
    for _ in range(50):
        corner, size = complex(rng.lognormal(1.0, 1.0), rng.normal()), rng.lognormal(-1.0, 1.0)
        z = corner + size * (rng.random(200) + 1j * rng.random(200))
        ends = z.real.min(), z.real.max(), abs(z.imag).max(), abs(z).min(), abs(z).max(), abs(np.angle(z)).max()
        region = Region(*(np.array([x]) for x in ends))
        mean, cv = law.numbers
        if isinstance(law, fsp.Gamma):
            a, s = 1.0 / cv**2, mean * cv**2
            logs = ((a - 1.0) * np.log(z) - z / s - a * np.log(s) - math.lgamma(a)).real
        else:
            variance = math.log1p(cv**2)
            m = math.log(mean) - 0.5 * variance
            logs = (-np.log(z) - (np.log(z) - m) ** 2 / (2.0 * variance) - 0.5 * np.log(2.0 * np.pi * variance)).real
        assert logs.max() <= float(law.above(region)[0]) + 1e-9 * (1.0 + abs(logs).max())


@pytest.mark.parametrize("law", LAWS)
def test_densities_ends_and_slopes_are_those_of_the_law(law):
    mean, cv = law.numbers
    theta = frozen(law).ppf([0.01, 0.3, 0.9, 0.999])
    density, off = law.density(theta)
    assert density == pytest.approx(frozen(law).pdf(theta), rel=1e-12 + off)
    low, high = law.ends(1e-9)
    assert frozen(law).cdf(low) <= 1e-9
    assert frozen(law).sf(high) <= 1e-9
    h = 1e-5
    for row, change in zip(law.slopes(theta), ((h, 0.0), (0.0, h)), strict=True):
        up, down = (type(law)(mean * math.exp(s * change[0]), cv * math.exp(s * change[1])) for s in (1.0, -1.0))
        numeric = (np.log(up.density(theta)[0]) - np.log(down.density(theta)[0])) / (2.0 * h)
        assert row == pytest.approx(numeric, rel=1e-5, abs=1e-6)


# ---- mixtures


def distance(dist, law):
    """Return the 1-norm between a distribution of one species and a law of counts, tails included."""
    counts = dist.states[:, 0]
    return np.abs(dist.probabilities - law.pmf(counts)).sum() + max(0.0, 1.0 - law.pmf(counts).sum())


@pytest.mark.parametrize(("cv", "tol"), [(0.3, 1e-3), (0.3, 1e-9), (1.0, 1e-5)])
def test_poisson_laws_over_a_gamma_law_are_negative_binomial(cv, tol):
    solution = fsp.mixture(immigration_death(), {"k": fsp.Gamma(10.0, cv)}, [0.5, 2.0], tol)
    for dist in solution:
        exact = negative_binomial(-10.0 * math.expm1(-dist.t), cv)
        away = distance(dist, exact)
        assert dist.error.certified
        assert away <= dist.error.total + 1e-12
        assert dist.error.total <= min(tol, 10.0 * away)
        gone = dist.error.truncation + dist.error.pruning + dist.error.rounding
        assert 1.0 - dist.mass <= gone + dist.error.integration / 3.0 + 1e-14
        assert float(dist.mean()["X"]) == pytest.approx(exact.mean(), rel=50.0 * tol)
    assert "cells differ: k ~ Gamma" in str(solution)
    assert solution.statistics["nodes"] < 200
    assert solution.n_matvec > 0


def test_death_rates_may_differ():
    law = fsp.LogNormal(1.0, 0.4)
    dist = fsp.mixture(immigration_death(), {"g": law}, 1.5, 1e-4)[-1]
    counts = dist.states[:, 0]
    exact = averaged(law, lambda g: poisson.pmf(counts, (-10.0 * np.expm1(-1.5 * g) / g)[:, None]))
    assert np.abs(dist.probabilities - exact).sum() + 1.0 - exact.sum() <= dist.error.total <= 1e-4


def test_two_parameters_differ_independently():
    laws = {"k": fsp.Gamma(10.0, 0.3), "g": fsp.LogNormal(1.0, 0.2)}
    dist = fsp.mixture(immigration_death(), laws, 0.7, 1e-2)[-1]
    counts = dist.states[:, 0]
    exact = averaged(
        laws["g"],
        lambda g: np.array([negative_binomial(-10.0 * math.expm1(-0.7 * x) / x, 0.3).pmf(counts) for x in g.tolist()]),
        300,
    )
    assert np.abs(dist.probabilities - exact).sum() + 1.0 - exact.sum() <= dist.error.total <= 1e-2


def fed(rate):
    """Return immigration and death with another rate of immigration."""
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 10.0, "g": 1.0},
        reactions=[fsp.Reaction({"X": 1}, rate=rate), fsp.Reaction("X -> 0", mass_action="g")],
    )


def gene(rate="k*G + 0.5"):
    return fsp.Model(
        species={"G": 0, "H": 1, "X": 0},
        parameters={"k": 12.0, "g": 1.0},
        reactions=[
            fsp.Reaction("H -> G", mass_action=0.8),
            fsp.Reaction("G -> H", mass_action=1.1),
            fsp.Reaction({"X": 1}, rate=rate),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )


def test_a_gene_with_a_leak_agrees_with_dense_exponentials():
    law, n, t = fsp.Gamma(12.0, 0.4), 70, 1.2
    dist = fsp.mixture(gene(), {"k": law}, t, 1e-5)[-1]
    off, on = np.diag([-0.8, -1.1]) + np.array([[0.0, 1.1], [0.8, 0.0]]), np.diag([0.0, 1.0])
    up = np.eye(n, k=-1) - np.eye(n)
    down = np.diag(np.arange(1.0, n), 1) - np.diag(np.arange(n))
    still = np.kron(off, np.eye(n)) + np.kron(np.eye(2), 0.5 * up + down)
    x = np.linspace(*np.log(frozen(law).ppf([1e-10, 1.0 - 1e-10])), 70)
    weights = frozen(law).pdf(np.exp(x)) * np.exp(x) * (x[1] - x[0])
    exact = sum(w * expm(t * (still + k * np.kron(on, up)))[:, 0] for w, k in zip(weights, np.exp(x), strict=True))
    stored = np.zeros((2, n))
    stored[dist.states[:, 0], dist.states[:, 2]] = dist.probabilities
    assert np.abs(stored.reshape(-1) - exact).sum() <= dist.error.total + 1e-7
    assert dist.error.total <= 1e-5


def test_rates_that_depend_on_time_may_differ():
    dist = fsp.mixture(fed("k*(1 + 0.5*sin(time))"), {"k": fsp.Gamma(10.0, 0.3)}, 1.0, 1e-2)[-1]
    made = 1.0 - math.exp(-1.0) + 0.25 * (math.sin(1.0) - math.cos(1.0) + math.exp(-1.0))  # ∫ (1 + sin(s)/2) e^(s-1) ds
    assert distance(dist, negative_binomial(10.0 * made, 0.3)) <= dist.error.total <= 1e-2


@pytest.mark.parametrize(
    ("rate", "law", "tol"),
    [
        ("8*k/(k + X)", fsp.LogNormal(5.0, 0.3), 1e-5),
        ("8*k^2/(k^2 + X^2)", fsp.LogNormal(5.0, 0.3), 1e-4),
        ("8*X^4/(k^4 + X^4) + 1", fsp.Gamma(2.0, 0.5), 1e-3),
        ("8/(1 + k^1.5)", fsp.Gamma(2.0, 0.5), 1e-5),
    ],
)
def test_hill_constants_may_differ(rate, law, tol):
    n, t = 45, 1.0
    dist = fsp.mixture(fed(rate), {"k": law}, t, tol)[-1]
    x, down = np.arange(n), np.diag(np.arange(1.0, n), 1) - np.diag(np.arange(n))
    up = np.eye(n, k=-1) - np.eye(n)
    program = compile(rate.replace("^", "**"), "rate", "eval")

    def laws(values):
        births = [np.broadcast_to(eval(program, {"k": k, "X": x}), n) for k in values.tolist()]
        return np.array([expm(t * (up * b + down))[:, 0] for b in births])

    exact = averaged(law, laws, 120)
    stored = np.zeros(n)
    stored[dist.states[:, 0]] = dist.probabilities
    assert dist.error.certified
    away = np.abs(stored - exact).sum()
    assert away <= dist.error.total + 1e-9
    assert dist.error.total <= min(tol, 10.0 * away)


def test_hill_constants_have_likelihoods_and_limits():
    model, law = fed("8*k/(k + X)"), {"k": fsp.LogNormal(5.0, 0.3)}
    counts = fsp.read_counts({"time": [0.5, 0.5], "n": [2, 4]}, counts={"X": "n"})
    found = fsp.likelihood(model, counts, extrinsic=law, width=1e-6)
    dist = fsp.mixture(model, law, 0.5, 1e-9)[-1]
    exact = sum(math.log(dist.probability(f"X == {n}").value) for n in (2, 4))
    assert found.value.lower - 1e-6 <= exact <= found.value.upper + 1e-6
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        found.gradient(["g"])
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        fsp.fit(model, counts, {"g": (0.5, 2.0)}, extrinsic=law)
    crowded = fsp.Model(
        species={"X": 60, "Y": 60},
        parameters={"k": 5.0},
        reactions=[fsp.Reaction("X + Y -> 0", rate="X*Y*k/(k + X + Y)")],
    )
    with pytest.raises(fsp.BackendError, match="at most 2,000 counts"):
        fsp.mixture(crowded, law, 0.1)


def test_boxes_of_rules_hold_all_runs(monkeypatch):
    used = []

    def watched(law, growth, error, outside):
        used.append(growth.linear)
        return rule_of(law, growth, error, outside)

    monkeypatch.setattr(mixing, "rule_of", watched)
    monkeypatch.setattr(mixing, "WIDER", 0.5)
    own = mixing.Mixing(immigration_death(), {"g": fsp.Gamma(1.0, 0.3)}, np.array([1.0]), Limits())
    own.rules({"g": (0.3, 3.0)}, mixing.LossShares.of(1e-2))
    monkeypatch.setattr(mixing, "WIDER", 1.0)
    reached = own.reached(1e-2)[-1]
    assert used[-1] >= reached.distribution.states.max()
    monkeypatch.setattr(mixing, "WIDER", 0.5)
    with pytest.raises(fsp.ConvergenceError, match="one box"):
        mixing.Mixing(immigration_death(), {"g": fsp.Gamma(1.0, 0.3)}, np.array([1.0]), Limits()).reached(1e-2)


# ---- likelihoods


def cells(n=60, cv=0.4, largest=0):
    at = np.repeat([0.5, 2.0], n)
    rng = np.random.default_rng(2)
    seen = rng.poisson(-rng.gamma(1.0 / cv**2, 10.0 * cv**2, 2 * n) * np.expm1(-at))
    seen[-1] = max(seen[-1], largest)
    return at, seen


@pytest.mark.parametrize("largest", [0, 45])
def test_likelihoods_hold_those_of_negative_binomial_laws(largest):
    at, seen = cells(largest=largest)
    counts = fsp.read_counts({"time": at, "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(immigration_death(), counts, extrinsic={"k": fsp.Gamma("k", 0.4)}, width=1e-2)
    each = negative_binomial(-10.0 * np.expm1(-at), 0.4).logpmf(seen)
    slack = 1e-11 * np.abs(each).sum()
    assert found.value.certified
    assert found.value.width <= 1e-2
    assert found.value.lower - slack <= each.sum() <= found.value.upper + slack


def test_conditions_have_laws_too():
    at, seen = cells(20)
    table = {"time": at, "n": seen, "rate": np.where(np.arange(40) % 2, 10.0, 12.0)}
    counts = fsp.read_counts(table, counts={"X": "n"}, conditions={"rate": "k"})
    found = fsp.likelihood(immigration_death(), counts, extrinsic={"k": fsp.Gamma("k", 0.4)})
    exact = negative_binomial(-table["rate"] * np.expm1(-at), 0.4).logpmf(seen).sum()
    assert found.value.lower - 1e-9 <= exact <= found.value.upper + 1e-9


# ---- refusals, and the command


@pytest.mark.parametrize(
    ("laws", "text"),
    [
        ({}, "`extrinsic` must give the law"),
        ({"q": fsp.Gamma(1.0, 0.3)}, "known|parameters of the model, k, g, but is of 'q'"),
        ({"k": 3.0}, r"must be fsp\.Gamma\(mean, cv\)"),
        ({"k": fsp.Gamma("mu", 0.3)}, "one is 'mu'"),
    ],
)
def test_laws_that_are_none_are_refused(laws, text):
    with pytest.raises(fsp.ArgumentError, match=text):
        fsp.mixture(immigration_death(), laws, 1.0)


@pytest.mark.parametrize("numbers", [(0.0, 0.3), (math.nan, 0.3), (1.0, 0.0), (1.0, 50.0), (1.0, "")])
def test_numbers_of_laws_are_checked(numbers):
    for kind in (fsp.Gamma, fsp.LogNormal):
        with pytest.raises(fsp.ArgumentError, match="must be a number"):
            kind(*numbers)


def test_what_has_no_rule_is_refused():
    law, model = {"k": fsp.Gamma(1.0, 0.3)}, immigration_death()
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        fsp.mixture(fed("10*exp(-k)"), law, 1.0)
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        fsp.mixture(fed("10*2^k"), law, 1.0)
    with pytest.raises(fsp.BackendError, match="depends on 'k' otherwise"):
        fsp.mixture(fed("10/(1 + k*time)"), law, 1.0)
    with pytest.raises(fsp.BackendError, match="write it as two reactions"):
        fsp.mixture(fed("100 - k"), law, 1.0)
    with pytest.raises(fsp.BackendError, match="bounded multiples of 'k'"):
        fsp.mixture(fed("k*(X + 1)/(X - 0.5)^2"), law, 1.0)
    with pytest.raises(fsp.ModelError, match="callable"):
        fsp.mixture(fed(lambda x: 0.0 * x["X"] + 1.0), law, 1.0)
    with pytest.raises(fsp.ArgumentError, match="initial counts"):
        fsp.mixture(model.with_initial(X="poisson(k)"), law, 1.0)
    dosed = fsp.Model(
        species={"X": 0},
        parameters={"k": 10.0},
        reactions=[fsp.Reaction("0 -> X", rate="k")],
        events=[fsp.Event("time >= 1", {"X": 0})],
    )
    with pytest.raises(fsp.BackendError, match="sets the count of 'X'"):
        fsp.mixture(dosed, law, 2.0)
    with pytest.raises(fsp.ConvergenceError, match="nodes together"):
        fsp.mixture(model, {"k": fsp.Gamma(10.0, 2.0), "g": fsp.Gamma(1.0, 2.0)}, 1.0, 1e-2)


def test_likelihoods_are_refused_with_what_they_take():
    """They begin with a loss of their own, which neither a `tol` nor a `width` moves: laws that vary less help."""
    counts = fsp.read_counts({"time": [1.0, 1.0], "n": [3, 4]}, counts={"X": "n"})
    laws = {"k": fsp.Gamma(10.0, 2.0), "g": fsp.Gamma(1.0, 2.0)}
    with pytest.raises(fsp.ConvergenceError, match=r"nodes together.*let fewer parameters differ, or those less") as no:
        fsp.likelihood(immigration_death(), counts, extrinsic=laws, width=10.0)
    assert "tol" not in str(no.value)
    less = fsp.likelihood(immigration_death(), counts, extrinsic={"k": fsp.Gamma(10.0, 0.1), "g": fsp.Gamma(1.0, 0.1)})
    assert less.value.certified
    assert less.value.width <= 0.01


def test_the_command_solves_cells_that_differ(tmp_path):
    (tmp_path / "bd.ant").write_text("species X; X = 0; k = 10; g = 1; cv = 0.3; R1: -> X; k; R2: X -> ; g*X;")
    words = ["transient", str(tmp_path / "bd.ant"), "--times", "2", "--extrinsic", "k=gamma(k,cv)", "--tol", "1e-4"]
    made = CliRunner().invoke(main, [*words, "--json", "--quiet"])
    assert made.exit_code == 0, made.output
    record = json.loads(made.stdout)
    assert record["options"]["extrinsic"] == "k ~ Gamma(mean=10.0, cv=0.3)"
    for more, text in ((["--sweep", "g=1,2"], "--sweep"), (["--extrinsic", "g=normal(1,2)"], "NAME=LAW")):
        wrong = CliRunner().invoke(main, [*words, *more])
        assert wrong.exit_code == 2
        assert text in wrong.stderr


# ---- observables


def observed():
    """Return a network with observables that a parameter enters, and one that none does."""
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 3.0, "c": 2.0, "seen": "c*X", "made": "k*X", "more": "X + 1"},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )


@pytest.mark.parametrize("start", [None, "stationary"])
def test_observables_that_differ_among_cells_are_not_asked_about(start):
    """The value at one node, or that of the model, is none of them."""
    law = {"k": fsp.Gamma(3.0, 0.3)}
    dist = fsp.mixture(observed(), law, [1.0], 1e-2, start=start)[0]
    assert set(dist.observables) == {"seen", "more"}
    assert dist.notes[1:] == ("made depends on k, which differs, and cannot be asked about",)
    assert dist.probability("seen > 4") == dist.probability("more > 3") == dist.probability("X > 2")
    with pytest.raises(fsp.ArgumentError, match="must use only X, seen, more, but 'made > 4' needs 'made'"):
        dist.probability("made > 4")
    counts = {name: fsp.read_counts({"time": [1.0], "n": [6]}, counts={name: "n"}) for name in ("made", "seen", "X")}
    with pytest.raises(fsp.ArgumentError, match="`extrinsic` must not change what is counted, but 'made' depends on"):
        fsp.likelihood(observed(), counts["made"], extrinsic=law, start=start)
    found = fsp.likelihood(observed(), counts["seen"], extrinsic=law, start=start, width=0.1)  # that is X = 3
    assert found.value.lower <= math.log(dist.probability("X == 3").upper)
    assert found.value.upper >= math.log(dist.probability("X == 3").lower)


def test_what_is_counted_stays_as_it_is_in_a_search():
    """A fit looks at states by the formula of the model, whatever the values that it tries."""
    model, law = observed(), {"k": fsp.Gamma("k", 0.3)}

    def cells(text):
        return fsp.read_counts({"time": [1.0, 2.0], "n": [2, 4]}, counts={text: "n"})

    with pytest.raises(fsp.ArgumentError, match="`free` must not change what is counted, but 'made' depends on 'k'"):
        fsp.fit(model, cells("made"), {"k": (1, 10)}, starts=1)
    with pytest.raises(fsp.ArgumentError, match="`extrinsic` must not change what is counted, but 'made' depends"):
        fsp.Posterior(
            model.with_parameters({"c": 1.0}), cells("made"), {"c": (1, 10)}, extrinsic={"k": fsp.Gamma("c", 0.3)}
        )
    with pytest.raises(fsp.ArgumentError, match=r"of what does not change with time .* but 'X\*time' does"):
        fsp.fit(model, cells("X*time"), {"k": (1, 10)}, starts=1)
    fsp.Posterior(model, cells("seen"), {"k": (1, 10)}, extrinsic=law)
