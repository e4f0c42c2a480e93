"""Gradients of log-likelihoods of cells that differ: closed forms and dense exponentials lie within their intervals."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from inference_cases import immigration_death
from mixture_cases import LAWS, averaged, frozen, negative_binomial
from scipy.linalg import expm
from scipy.special import gammaln, xlogy

import fsp
from fsp.inference.adjoint import Adjoint, SideBySide, Weights
from fsp.inference.derived import slopes_on
from fsp.inference.mixed_gradient import MixedAdjoint, roots_of, stored_bounds
from fsp.inference.mixed_scores import score_squares
from fsp.inference.mixed_slopes import SlopeShifts, slopes_of
from fsp.inference.mixing import LossShares, Mixing
from fsp.inference.parameters import derivatives
from fsp.inference.problem import Limits

STEP = 1e-30  # of complex steps


def births_and_deaths(cv=0.4, **parameters):
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 5.0, "g": 1.0, "cv": cv, **parameters},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def counted(times, seen):
    return fsp.read_counts({"time": times, "n": seen}, counts={"X": "n"})


def slopes_of_negative_binomial(times, seen, k, g, cv):
    """Return the derivatives of the log-likelihood of births and deaths by log k, log g and log cv."""
    mean = k * -np.expm1(-g * times) / g
    by_mean = (seen - mean) / (1.0 + mean * cv**2)  # ∂/∂log mean
    by_g = (g * times * np.exp(-g * times) / -np.expm1(-g * times) - 1.0) * by_mean
    h = 1e-4

    def whole(size):
        r = 1.0 / size**2
        return gammaln(seen + r) - gammaln(r) - xlogy(r + seen, r + mean) + xlogy(r, r)

    by_cv = (whole(cv * math.exp(h)) - whole(cv * math.exp(-h))) / (2.0 * h)
    return {"k": by_mean.sum(), "g": by_g.sum(), "cv": by_cv.sum()}


TIMES, SEEN = np.array([0.3, 0.3, 0.3, 1.0, 1.0, 1.0]), np.array([0, 1, 4, 2, 3, 7])


def assert_holds(intervals, exact, slack):
    for name, value in exact.items():
        assert intervals[name].certified
        assert intervals[name].lower - slack <= value <= intervals[name].upper + slack, name


def test_gradients_hold_those_of_negative_binomial_laws():
    ll = fsp.likelihood(births_and_deaths(), counted(TIMES, SEEN), extrinsic={"k": fsp.Gamma("k", "cv")})
    found = ll.gradient(["g", "cv", "k"])
    assert list(found) == ["g", "cv", "k"]
    exact = slopes_of_negative_binomial(TIMES, SEEN, 5.0, 1.0, 0.4)
    assert_holds(found, exact, 1e-7)
    assert max(interval.width for interval in found.values()) < 2e-4 * math.sqrt(len(SEEN))


@pytest.mark.parametrize("loss", [0.3, 1e-2])
@pytest.mark.parametrize("least", [5, 12, 20])
def test_what_laws_leave_out_is_charged(monkeypatch, loss, least):
    monkeypatch.setattr("fsp.inference.mixing.OF_TAILS", 0.9)  # nearly all is lost by laws
    monkeypatch.setattr("fsp.inference.mixing.OF_RULES", 1e-6)
    monkeypatch.setattr("fsp.inference.mixing.OF_RUNS", 1e-6)
    model, laws, times = births_and_deaths(), {"k": fsp.Gamma("k", "cv")}, np.array([1.0])
    asked = slopes_of(model, ["k"], laws)
    mixing = Mixing(model, laws, times, Limits())
    rules, patches = mixing.looked_at(loss, 8)
    adjoint = MixedAdjoint(asked, mixing, rules, patches, loss, roots_of(model, asked, mixing))
    f = (adjoint.space.states[:, 0] >= least).astype(float)
    found = adjoint.gradient([Weights(f, np.zeros(len(f)), adjoint.level(1.0))], signed=False)
    mean, h = -5.0 * math.expm1(-1.0), 1e-5
    up, down = (negative_binomial(mean * math.exp(s * h), 0.4).sf(least - 1) for s in (1.0, -1.0))
    assert abs(found.values[0] - (up - down) / (2.0 * h)) <= found.off[0]


def test_death_rates_may_differ_and_conditions_are_added():
    law, t, seen = fsp.LogNormal(1.0, 0.4), 0.8, np.array([0, 2, 3])
    table = {"time": [t] * 6, "n": [*seen, *seen], "rate": [5.0] * 3 + [6.0] * 3}
    counts = fsp.read_counts(table, counts={"X": "n"}, conditions={"rate": "r"})
    model = births_and_deaths(r=5.0).with_parameters({"r": 5.0})
    model = fsp.Model(
        species={"X": 0},
        parameters=model.parameters,
        reactions=[fsp.Reaction("0 -> X", rate="r"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    found = fsp.likelihood(model, counts, extrinsic={"g": law}).gradient(["r"])

    def laws(rate):
        def values(g):
            mean = rate * -np.expm1(-g * t) / g
            p = np.exp(seen * np.log(mean)[:, None] - mean[:, None] - gammaln(seen + 1.0))
            return np.concatenate([p, p * (seen - mean[:, None])], axis=1)

        p = averaged(law, values)
        return (p[3:] / p[:3]).sum()

    assert_holds(found, {"r": laws(5.0) + laws(6.0)}, 1e-7)


def test_a_gene_with_a_leak_agrees_with_dense_exponentials():
    law, n, t, seen = fsp.Gamma(6.0, 0.3), 40, 0.7, np.array([0, 1, 5])
    model = fsp.Model(
        species={"G": 0, "H": 1, "X": 0},
        parameters={"k": 6.0, "on": 0.8, "b": 0.5},
        reactions=[
            fsp.Reaction("H -> G", mass_action="on"),
            fsp.Reaction("G -> H", mass_action=1.1),
            fsp.Reaction("0 -> X", rate="k*G + b"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )
    found = fsp.likelihood(model, counted([t] * 3, seen), extrinsic={"k": law}).gradient(["on", "b"])
    up, down = np.eye(n, k=-1) - np.eye(n), np.diag(np.arange(1.0, n), 1) - np.diag(np.arange(n))
    x = np.linspace(*np.log(frozen(law).ppf([1e-12, 1.0 - 1e-12])), 60)
    weights = frozen(law).pdf(np.exp(x)) * np.exp(x) * (x[1] - x[0])

    def summed(on, b):
        gene = np.array([[-on, 1.1], [on, -1.1]])
        still = np.kron(gene, np.eye(n)) + np.kron(np.eye(2), b * up + down)
        of_k = np.kron(np.diag([0.0, 1.0]), up)
        p = sum(w * expm(t * (still + k * of_k))[:, 0] for w, k in zip(weights, np.exp(x), strict=True))
        return np.log(p.reshape(2, n).sum(axis=0)[seen]).sum()

    exact = {
        name: summed(*values).imag / STEP
        for name, values in (("on", (0.8 + 0.8j * STEP, 0.5)), ("b", (0.8, 0.5 + 0.5j * STEP)))
    }
    assert_holds(found, exact, 1e-6)


def two_stages(**parameters):
    return fsp.Model(
        species={"M": 0, "X": 0},
        parameters={"k": 2.0, "g": 1.0, "kp": 3.0, "gp": 0.5, **parameters},
        reactions=[
            fsp.Reaction("0 -> M", rate="k"),
            fsp.Reaction("M -> 0", mass_action="g"),
            fsp.Reaction("M -> M + X", mass_action="kp"),
            fsp.Reaction("X -> 0", mass_action="gp"),
        ],
    )


def test_squares_of_scores_lie_above_mean_numbers_of_jumps():
    t = 1.5
    mean = 2.0 * (t - 1.0 + math.exp(-t))  # ∫ E M
    exact = {"k": 2.0 * t, "g": mean, "kp": 3.0 * mean}
    for name, cv in (("k", 0.3), ("kp", 0.3), ("k", 1.0)):
        law = fsp.LogNormal({"k": 2.0, "kp": 3.0}[name], cv)
        others = [other for other in exact if other != name]
        found = score_squares(two_stages(), {name: law}, others, t, np.zeros(2))
        numbers = np.array([exact[other] for other in others])
        assert (found >= numbers).all()
        assert (found <= 1.001 * numbers).all()
    assert score_squares(two_stages(), {"g": fsp.Gamma(1.0, 0.3)}, ["k"], t, np.array([2.0]))[0] >= 2.0 * t + 2.0


def test_adjoints_side_by_side_say_what_each_says_alone():
    times, space = [0.4, 0.4, 1.1], fsp.StateSpace.box(two_stages(), upper={"M": 9, "X": 14})
    models = [two_stages(k=value) for value in (0.5, 1.5, 4.0)]
    generators = [fsp.Generator(model, space) for model in models]
    f = (space.states[:, 1] >= 3).astype(float)
    asked = [Weights(f * scale, 0.01 * f, np.array([scale])) for scale in (1.0, 2.0, 5.0)]
    fastest = max(generator.largest_exit_rate for generator in generators)
    adjoints = []
    for model, generator, exit_rate in zip(models * 2, generators * 2, [fastest] * 3 + [None] * 3, strict=True):
        slopes = derivatives(model, ["k", "g", "gp"], log=True)
        bounds = stored_bounds(space, model, slopes)
        adjoints.append(Adjoint(model, slopes, bounds, generator, times, 1e-16, exit_rate=exit_rate))
    together = SideBySide(adjoints[:3], 1e-16).gradients(asked, signed=False)
    for adjoint, alone, found in zip(adjoints[:3], adjoints[3:], together, strict=True):
        assert np.abs(adjoint.probabilities(2) - alone.probabilities(2)).max() < 1e-14
        expected = alone.gradient(asked, signed=False)
        assert found.values == pytest.approx(expected.values, rel=1e-11)
        assert found.off == pytest.approx(expected.off, rel=1e-6)


def test_nodes_of_little_weight_may_lose_more_and_all_lose_what_runs_may():
    weights = np.array([1e-30, 1e-9, 0.1, 0.6, 0.3])
    shares = LossShares.of(1e-6)
    lost = np.array([shares.of_node(weight, len(weights)) for weight in weights])
    assert (np.diff(lost[:4]) <= 0.0).all()
    assert lost[0] > 1e3 * lost[3]
    assert shares.runs / 2.0 <= weights @ lost <= shares.runs * (1.0 + 1e-12)


def test_nodes_that_are_rounded_are_charged(monkeypatch):
    off, points, rules_of = 1e-9, Mixing.points, Mixing.rules

    def shifted(self, rules):
        for values, weight in points(self, rules):
            yield {name: value * (1.0 + off) for name, value in values.items()}, weight

    def charged(self, *shares):
        return [replace(rule, moved=off) for rule in rules_of(self, *shares)]

    model, law, times = births_and_deaths(), {"k": fsp.Gamma("k", 0.4)}, np.array([1.0])

    def known():
        (answer,) = Mixing(model, law, times, Limits()).reached(1e-12)
        dist = answer.distribution
        exact = negative_binomial(-5.0 * math.expm1(-1.0), 0.4).pmf(dist.states[:, 0])
        above = dist.probabilities * (1.0 - answer.relative) - exact
        return np.abs(dist.probabilities - exact).sum() / dist.error.total, above.sum() <= answer.absolute + 1e-13

    monkeypatch.setattr(Mixing, "points", shifted)
    assert known()[0] > 10.0  # without the charge
    monkeypatch.setattr(Mixing, "rules", charged)
    assert known()[0] < 1.0
    assert known()[1]
    found = fsp.likelihood(model, counted([1.0] * 2, [0, 7]), extrinsic=law).gradient(["g"])
    assert_holds(found, {"g": slopes_of_negative_binomial(np.ones(2), np.array([0, 7]), 5.0, 1.0, 0.4)["g"]}, 1e-9)


def test_derivatives_are_off_by_those_of_what_nodes_multiply():
    model = fsp.Model(
        species={"X": 3},
        parameters={"k": 2.0, "K": 4.0, "b": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="(b + k)*K/(K + X)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    space, off = fsp.StateSpace.box(model, upper={"X": 12}), 1e-6
    shifts = SlopeShifts(model, {"k": fsp.Gamma(2.0, 0.3)}, ["K", "b"]).at({"k": 3.0}, {"k": off}, space)
    at = [model.with_parameters({"k": k}) for k in (3.0, 3.0 * (1.0 + off))]
    before, after = (slopes_on(m, space.states, 0, derivatives(m, ["K", "b"], log=True))[0] for m in at)
    assert shifts[0] == pytest.approx(np.abs(after - before), rel=1e-4, abs=1e-12)
    assert (shifts[0][1] == 0.0).all()


def test_a_leak_beside_a_rate_that_saturates_agrees_with_dense_exponentials():
    law, n, t, seen = fsp.Gamma(6.0, 0.3), 40, 0.7, np.array([0, 1, 5])
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 6.0, "K": 3.0, "b": 0.5},
        reactions=[fsp.Reaction("0 -> X", rate="b + k*K/(K + X)"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    ll = fsp.likelihood(model, counted([t] * 3, seen), extrinsic={"k": law})
    x = np.linspace(*np.log(frozen(law).ppf([1e-12, 1.0 - 1e-12])), 60)
    weights, counts = frozen(law).pdf(np.exp(x)) * np.exp(x) * (x[1] - x[0]), np.arange(n)

    def summed(K, b):
        total = 0.0
        for w, k in zip(weights, np.exp(x), strict=True):
            births = b + k * K / (K + counts)
            A = np.diag(births[:-1], -1) + np.diag(np.arange(1.0, n), 1) - np.diag(births + counts)
            total = total + w * expm(t * A)[seen, 0]
        return np.log(total).sum()

    assert ll.value.lower - 1e-9 <= summed(3.0, 0.5) <= ll.value.upper + 1e-9
    exact = {
        "K": 3.0 * summed(3.0 + 1j * STEP, 0.5).imag / STEP,
        "b": 0.5 * summed(3.0, 0.5 + 1j * STEP).imag / STEP,
    }
    assert_holds(ll.gradient(["K", "b"]), exact, 1e-6)


def test_patches_hold_each_node_once():
    laws = {"k": fsp.Gamma(2.0, 0.1), "gp": fsp.LogNormal(0.5, 0.05)}
    mixing = Mixing(two_stages(), laws, np.array([0.2]), Limits())
    rules, patches = mixing.looked_at(1e-3, 6)
    values = [tuple(at.values()) for patch in patches for at, _ in patch.points]
    assert len(values) == len(set(values)) == len(rules[0]) * len(rules[1])
    assert set(values) == {(k, gp) for k in rules[0].nodes for gp in rules[1].nodes}
    assert math.fsum(weight for patch in patches for _, weight in patch.points) == pytest.approx(1.0, abs=1e-3)


def test_squares_of_scores_of_laws_that_saturate_lie_above_jumps():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 6.0, "K": 3.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*K^2/(K^2 + X^2)")],
    )
    t, n = 0.3, 40
    (square,) = score_squares(model, {"k": fsp.Gamma(6.0, 1e-3)}, ["K"], t, np.zeros(1))
    births, x = 6.0 * 9.0 / (9.0 + np.arange(n) ** 2), np.arange(n)
    A = np.diag(births[:-1], -1) - np.diag(births)
    slopes = births * 2.0 * x**2 / (9.0 + x**2)  # by log K
    middle = expm(0.5 * t * A)[:, 0] @ (slopes**2 / births) * t
    assert middle <= square <= 4.0 * 6.0 * t * 1.001  # |∂ log a| <= 2


def test_what_grows_by_what_differs_is_an_estimate():
    model = fsp.Model(
        species={"X": 2},
        parameters={"k": 0.5, "b": 1.0},
        reactions=[fsp.Reaction("X -> 2 X", mass_action="k"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    law, counts = fsp.Gamma("k", 0.2), counted([0.3, 0.3], [2, 3])
    found = fsp.likelihood(model, counts, extrinsic={"k": law}).gradient(["k"])
    assert found["k"].certified  # of the law
    model = fsp.Model(
        species={"X": 2},
        parameters={"k": 0.5, "g": 1.0},
        reactions=[fsp.Reaction("X -> 2 X", mass_action="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    (interval,) = fsp.likelihood(model, counts, extrinsic={"k": law}).gradient(["g"]).values()
    assert not interval.certified
    assert "scores of paths" in interval.reason
    ends = [
        fsp.likelihood(model.with_parameters({"g": math.exp(h)}), counts, extrinsic={"k": law}, width=1e-7).value.value
        for h in (1e-3, -1e-3)
    ]
    assert interval.value == pytest.approx((ends[0] - ends[1]) / 2e-3, rel=1e-4)


@pytest.mark.parametrize("law", LAWS)
def test_scores_of_laws_lie_within_their_bounds(law):
    theta = frozen(law).ppf(np.linspace(1e-4, 1.0 - 1e-4, 40_001))
    mass = np.full(len(theta), 1.0 / len(theta))
    squares = (law.slopes(theta) ** 2) @ mass
    assert (squares <= law.slope_squares() * (1.0 + 1e-3)).all()
    assert (law.slope_squares() <= 3.0 * squares).all()
    sizes = law.slope_sizes(theta, np.abs(np.log(theta)))
    assert (np.abs(law.slopes(theta)) <= sizes).all()
    for order in (1, 2, 3):
        exact = frozen(law).moment(order) / frozen(law).moment(1) ** order
        assert law.moment(order) == pytest.approx(exact, rel=1e-6)


# ---- refusals


def test_parameters_that_differ_and_rates_in_time_are_refused():
    counts = counted([0.5], [2])
    ll = fsp.likelihood(immigration_death(), counts, extrinsic={"k": fsp.Gamma(10.0, 0.4)})
    with pytest.raises(fsp.ArgumentError, match=r"'k' differs among them; let a parameter be"):
        ll.gradient(["k"])
    with pytest.raises(fsp.ArgumentError, match="no rate depends on 'cv'"):
        fsp.likelihood(births_and_deaths(), counts, extrinsic={"k": fsp.Gamma(10.0, 0.4)}).gradient(["cv"])
    with pytest.raises(fsp.BackendError, match="`method` must be 'adjoint'"):
        ll.gradient(["g"], method="forward")
    model = births_and_deaths(mu="2*m", m=2.5)
    ll = fsp.likelihood(model, counts, extrinsic={"k": fsp.Gamma("mu", 0.4)})
    with pytest.raises(fsp.ArgumentError, match="'mu' is a formula"):
        ll.gradient(["m"])
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 5.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + 0.5*sin(time))"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    ll = fsp.likelihood(model, counted([0.02], [0]), extrinsic={"k": fsp.Gamma("k", 0.2)}, width=0.1)
    with pytest.raises(fsp.BackendError, match="rates must not depend on time"):
        ll.gradient(["k"])
