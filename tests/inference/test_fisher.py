"""Fisher information: closed forms and dense sums within the intervals, and what errors hide."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import dense, immigration_death, named
from random_networks import open_networks
from scipy.stats import binom, nbinom, norm, poisson

import fsp
from fsp.command.main import main
from fsp.distribution.information import CellScores, FisherInformation
from fsp.inference.fisher import _bounded, _PathInformation


def poisson_information(times, cells):
    """Return F of immigration and death from nothing, about log k and log g: a sum of matrices of rank one."""
    found = np.zeros((2, 2))
    for t, n in zip(times, cells, strict=True):
        mean = -10.0 * math.expm1(-t)
        slopes = np.array([mean, -mean + 10.0 * t * math.exp(-t)])
        found += n * np.outer(slopes, slopes) / mean
    return found


def inside(found, exact, beyond=0.0):
    return bool(((found.lower - beyond <= exact) & (exact <= found.upper + beyond)).all())


@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-8])
def test_immigration_and_death_have_the_information_of_poisson_laws(tol):
    times, cells = [0.4, 1.0, 2.0], [300.0, 0.0, 200.0]
    found = fsp.fisher(immigration_death(), times, ["k", "g"], cells=cells, tol=tol)
    exact = poisson_information(times, cells)
    assert found.certified
    assert inside(found, exact)
    for own, value in zip(found.eigenvalues(), np.linalg.eigvalsh(exact), strict=True):
        assert value in own
    assert np.linalg.det(exact) in found.determinant()
    assert np.trace(exact) in found.trace()
    if tol == 1e-8:
        assert found.hidden == 0
        assert (found.upper - found.lower).max() <= 1e-5 * np.abs(exact).max()


def test_what_cannot_be_told_apart_is_hidden_by_the_error():
    found = fsp.fisher(immigration_death(), [2.0], ["k", "g"])
    assert found.hidden == 1
    assert found.eigenvalues()[0].lower == 0.0
    assert found.eigenvalues()[0].upper < 1e-5
    assert found.determinant().lower == 0.0
    assert "hidden by its error" in str(found)
    assert "1 of 2 known to 1 %:" in str(found)


@pytest.mark.parametrize("seed", range(40))
def test_eigenvalues_are_held_beside_a_parameter_of_which_nothing_is_known(seed):
    """Whose error is so large that its rounding is more than the others tell."""
    rng = np.random.default_rng(seed)
    q = int(rng.integers(2, 5))
    slopes = rng.normal(size=(q, q))
    exact = slopes @ slopes.T
    above, below = (10.0 ** rng.uniform(-3.0, 25.0, q) * rng.integers(0, 2, q) for _ in range(2))
    found = FisherInformation(tuple("abcd"[:q]), exact, above, np.diag(below), np.full((q, q), 1e30), log=True)
    for interval, value in zip(found.eigenvalues(), np.linalg.eigvalsh(exact), strict=True):
        assert interval.lower <= value + 1e-12 * np.abs(exact).max()
        assert value - 1e-12 * np.abs(exact).max() <= interval.upper


def graded_experiment(rng, q, m, error, unseen):
    """Return what cells tell at two times of scores of sizes 1 to 1e-5 in hidden directions, and the eigenvalues of F.

    Stored are all outcomes but the `unseen` last, probabilities that are too small by up to 1e-8 of themselves, and
    derivatives that are off by up to `error` in the 1-norm, towards more information in the direction that has least.
    """
    directions = np.linalg.qr(rng.normal(size=(q, q)))[0]
    sizes, parts, roots, cells = 10.0 ** np.linspace(-5.0, 0.0, q), [], [], np.array([30.0, 70.0])
    for n in cells.tolist():
        p = rng.dirichlet(np.ones(m))
        u = directions @ (sizes[:, None] * rng.normal(size=(q, m)))  # scores, (q, m)
        roots.append(np.sqrt(n * p) * u)
        off = directions[:, :1] * np.sign(directions[:, 0] @ u) / m
        h, y = p * u + error * off, p * (1.0 - 1e-8 * rng.random(m))
        left = np.s_[: m - unseen]
        scores, lacking = (h / y)[:, left], float(p.sum() - y[left].sum())
        U, E = np.abs(scores).max(axis=1), np.full(q, error)
        below = U[:, None] * E + E[:, None] * U + np.outer(U, U) * lacking
        C, more = scores @ h[:, left].T, (p * u**2).sum(axis=1)  # of what is not stored at most all that there is
        cell = CellScores(scores, y[left], E, lacking)
        parts.append(FisherInformation(tuple("abcdef"[:q]), C, more, below, np.full((q, q), 1e30), True, cell))
    exact = np.linalg.svd(np.concatenate(roots, axis=1), compute_uv=False)[::-1] ** 2
    return FisherInformation.summed(parts, cells), exact


@pytest.mark.parametrize("seed", range(20))
def test_eigenvalues_of_very_different_sizes_are_held(seed):
    found, exact = graded_experiment(np.random.default_rng(seed), 5, 30, 1e-9, 5 * (seed % 2))
    for interval, value in zip(found.eigenvalues(), exact, strict=True):
        assert interval.lower <= value * (1.0 + 1e-9) + 1e-15
        assert value <= interval.upper * (1.0 + 1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_what_rounding_of_y_and_h_may_add_is_held_in_all_directions(seed):
    """Of derivatives of which one is hardly rounded, and another by much of what it tells."""
    rng = np.random.default_rng(seed)
    q, m, rho = 3, 6, 1e-9
    y, noise = rng.dirichlet(np.full(m, 3.0)), 10.0 ** rng.uniform(-9.0, -3.0, q)
    h = 10.0 ** rng.uniform(-4.0, 0.0, (q, 1)) * rng.normal(size=(q, m))
    known = _PathInformation(np.zeros(q), np.zeros(q), noise, np.zeros(q), 0.0, rho)
    found = _bounded(y, h, np.zeros((q, m)), np.ones(m, dtype=bool), known)
    for _ in range(200):
        z, signs = rng.integers(m), rng.choice([-1.0, 1.0], q)
        e, f = np.zeros((q, m)), np.zeros(m)
        e[:, z], f[z] = signs * noise, rho
        rise = (h + e) / (y - f) @ (h + e).T - h / y @ h.T
        assert (np.abs(rise) <= np.sqrt(np.outer(found.above, found.above)) + 1e-15).all()
        c = rng.normal(size=q) / (np.abs(h).max(axis=1) + noise)
        assert c @ rise @ c <= (np.abs(c) @ np.sqrt(found.above)) ** 2 + 1e-12


def test_small_eigenvalues_are_known_where_errors_are_smaller_than_their_roots():
    """1e-10 of the largest, with derivatives known to 1e-9."""
    rng = np.random.default_rng(7)
    q, m = 4, 40
    p, u = (
        rng.dirichlet(np.ones(m)),
        np.linalg.qr(rng.normal(size=(q, q)))[0]
        @ (10.0 ** np.linspace(-5.0, 0.0, q)[:, None] * rng.normal(size=(q, m))),
    )
    U, E = np.abs(u).max(axis=1), np.full(q, 1e-9)
    below, off = U[:, None] * E + E[:, None] * U, np.full((q, q), 1e-6)
    cell = CellScores(u, p, E, 0.0)
    part = FisherInformation(tuple("abcd"), (p * u) @ u.T, np.full(q, np.inf), below, off, True, cell)
    values = FisherInformation.summed([part], [1.0]).eigenvalues()
    exact = np.linalg.svd(np.sqrt(p) * u, compute_uv=False)[::-1] ** 2
    lower = np.array([value.lower for value in values])
    assert (lower <= exact * (1.0 + 1e-9)).all()
    assert (lower >= 0.99 * exact).all()
    text = str(FisherInformation.summed([part], [1.0]))
    assert "4 of 4 known to 1 % from below" in text


def test_information_by_parameters_is_that_by_logarithms_over_their_squares():
    by_log = fsp.fisher(immigration_death(), [1.0], ["k", "g"])
    plain = fsp.fisher(immigration_death(), [1.0], ["k", "g"], log=False)
    scale = np.array([10.0, 1.0])
    exact = poisson_information([1.0], [1.0]) / np.outer(scale, scale)
    assert inside(plain, exact)
    np.testing.assert_allclose(plain.matrix, by_log.matrix / np.outer(scale, scale), atol=1e-6)


@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@settings(max_examples=6, deadline=None)
@given(plain=open_networks().filter(lambda plain: len(plain["species"]) == 1), t=st.sampled_from([0.3, 1.0]))
def test_intervals_hold_on_random_networks(tol, plain, t):
    model = named(plain)
    names = list(model.parameters)[:2]
    top = 40
    rates = model.propensities(np.arange(top + 1)[:, None])
    found = fsp.fisher(model, [t], names, tol=tol)
    derivatives = []
    for k in range(len(names)):
        factors = [1.0 + (1e-30j if r == k else 0.0) for r in range(model.n_reactions)]
        p = dense(model, [f * own for f, own in zip(factors, rates, strict=True)], t, top)
        derivatives.append(p.imag / 1e-30)
    probable = p.real > 1e-14  # what is less probable tells less than the slack
    s = np.array(derivatives)[:, probable]
    if 1.0 - p.real.sum() > 1e-10:
        return  # the box is no reference
    assert found.certified
    assert inside(found, s @ (s / p.real[probable]).T, beyond=1e-6)


def two_genes():
    return fsp.Model(
        species={"A": 0, "B": 0},
        parameters={"a": 3.0, "b": 2.0, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> A", rate="a"),
            fsp.Reaction("0 -> B", rate="b"),
            fsp.Reaction("A -> 0", mass_action="g"),
            fsp.Reaction("B -> 0", mass_action="g"),
        ],
    )


def test_sums_and_single_species_tell_what_their_poisson_laws_tell():
    share = -math.expm1(-1.0)
    means = np.array([3.0, 2.0]) * share  # also the derivatives by log a and log b
    cases = {
        None: np.diag(means),
        "A": np.diag([means[0], 0.0]),
        "A + B": np.outer(means, means) / means.sum(),
        ("A", "B"): np.diag(means),
    }
    for observe, exact in cases.items():
        found = fsp.fisher(two_genes(), [1.0], ["a", "b"], observe=observe, tol=1e-7)
        assert inside(found, exact)
        assert np.abs(found.matrix - exact).max() < 1e-4


@pytest.mark.parametrize("basal", [0.8, 0.0])
def test_parameters_inside_saturating_laws_have_intervals(basal):
    n = 2.3
    parameters = {"a": 6.0, "K": 4.0, "n": n, "g": 1.0}
    birth = fsp.Reaction("0 -> X", rate=f"a*X^n/(K^n + X^n) + {basal}")  # without it, none takes place at X = 0
    model = fsp.Model(
        species={"X": 5}, parameters=parameters, reactions=[birth, fsp.Reaction("X -> 0", mass_action="g")]
    )
    x, scores = np.arange(60.0), []
    for name in parameters:
        v = {**parameters, name: parameters[name] * (1.0 + 1e-30j)}
        power = np.where(x > 0.0, np.maximum(x, 1.0).astype(complex) ** v["n"], 0.0)
        law = dense(model, [v["a"] * power / (v["K"] ** v["n"] + power) + basal, v["g"] * x], 1.0, 59)
        scores.append(law.imag / 1e-30)
    p, s = law.real, np.array(scores)
    known = p > 1e-200
    found = fsp.fisher(model, [1.0], list(parameters))
    assert found.certified
    assert inside(found, (s[:, known] / p[known]) @ s[:, known].T)
    assert (found.upper - found.lower).max() <= 1e-5 * found.matrix.max()


def test_more_cells_and_what_is_not_bounded():
    one = fsp.fisher(immigration_death(), [1.0], ["k"])
    many = fsp.fisher(immigration_death(), [1.0], ["k"], cells=50)
    np.testing.assert_allclose(many.matrix, 50.0 * one.matrix, rtol=1e-12)
    law = "9/(1 + (X/K)^2.5 + (Y/3)^1.5)"
    reactions = [fsp.Reaction("0 -> X", rate=law), fsp.Reaction("0 -> Y", rate=2.0)]
    reactions += [fsp.Reaction(f"{name} -> 0", mass_action=1.0) for name in "XY"]
    both = fsp.Model(
        species={"X": 2, "Y": 3}, parameters={"K": 4.0}, reactions=[fsp.Reaction("0 -> Y", rate=2.0), *reactions]
    )
    with pytest.warns(fsp.ToleranceWarning, match="estimate"):
        found = fsp.fisher(both, [0.5], ["K"])
    assert not found.certified
    assert "≈" in str(found)
    assert math.isinf(found.determinant().upper)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"cells": [1, 2]}, "`cells`"),
        ({"cells": -1}, "`cells`"),
        ({"cells": "many"}, "`cells`"),
        ({"cells": 1e300}, r"`cells` must be a number from 0 to 1e\+15, or one for each .*, but is 1e\+300"),
        ({"cells": 0}, "`cells` must be more than 0 at one time at least, but is 0"),
        ({"cells": [0.0]}, "`cells` must be more than 0"),
        ({"observe": ()}, "`observe`"),
    ],
)
def test_wrong_arguments_are_refused(changed, match):
    with pytest.raises(fsp.ArgumentError, match=match):
        fsp.fisher(immigration_death(), [1.0], ["k"], **changed)


def test_the_command_prints_intervals(tmp_path):
    path = tmp_path / "model.ant"
    path.write_text("k = 10; g = 1; X = 0; species X; -> X; k; X -> ; g*X", encoding="utf-8")
    given = ["fisher", str(path), "--parameters", "k,g", "--times", "0.5,2", "--cells", "100,50", "--observe", "X"]
    run = CliRunner().invoke(main, [*given, "--json"])
    record = json.loads(run.stdout)
    exact = poisson_information([0.5, 2.0], [100.0, 50.0])
    assert run.exit_code == 0
    assert ((np.array(record["lower"]) <= exact) & (exact <= np.array(record["upper"]))).all()
    assert "eigenvalues" in CliRunner().invoke(main, given).stdout


def lumped(T, t=1.0, top=80):
    """Return the information of immigration and death, k = 10 and g = 1, seen by a matrix T (m, top)."""
    mean = -10.0 * math.expm1(-t)
    slopes = np.array([mean, 10.0 * t * math.exp(-t) - mean])  # of the mean, by log k and log g
    x = np.arange(top)
    p = poisson.pmf(x, mean)
    y, h = T @ p, np.outer(slopes / mean, (x - mean) * p) @ T.T
    seen = y > 1e-300
    return (h[:, seen] / y[seen]) @ h[:, seen].T


def normal_noise(deviation, m, x):
    """Return P(m | x) of rounded normal noise, from scipy's distribution functions."""
    upper, lower = norm.cdf((m + 0.5 - x) / deviation), norm.cdf((m - 0.5 - x) / deviation)
    return upper - np.where(m == 0, 0.0, lower)


M, X = np.arange(300)[:, None], np.arange(80)


@pytest.mark.parametrize(
    ("instrument", "T"),
    [
        (fsp.Binomial(0.3), binom.pmf(M, X, 0.3)),
        (fsp.Poisson(2.0), poisson.pmf(M - X, 2.0)),
        (fsp.Bins([0, 5, 10]), np.array([X < 5, (X >= 5) & (X < 10), X >= 10]).astype(float)),
        (fsp.Normal(1.5), normal_noise(1.5, M, X)),
        (fsp.Normal(0.05), np.eye(300, 80)),
        (lambda m, x: nbinom.pmf(m, 1 + x, 0.7), nbinom.pmf(M, 1 + X, 0.7)),
        (nbinom.pmf(M, 1 + X, 0.7), nbinom.pmf(M, 1 + X, 0.7)),
    ],
    ids=["binomial", "poisson", "bins", "normal", "sharp", "function", "matrix"],
)
@pytest.mark.parametrize("tol", [1e-3, 1e-8])
def test_what_instruments_leave_of_a_poisson_law_is_held(instrument, T, tol):
    found = fsp.fisher(immigration_death(), [1.0], ["k", "g"], instrument=instrument, tol=tol)
    assert found.certified
    assert inside(found, lumped(T))
    if tol == 1e-8:
        assert (found.upper - found.lower).max() < 1e-4


def test_instruments_of_several_species_are_independent_of_each_other():
    share = -math.expm1(-1.0)
    exact = np.diag([3.0 * share * 0.4, 2.0 * share])  # Poisson laws, one of them thinned
    for instrument in ({"A": fsp.Binomial(0.4)}, {"A": fsp.Binomial(0.4), "B": fsp.Normal(0.01)}):
        for observe in (None, ("A", "B")):
            found = fsp.fisher(two_genes(), [1.0], ["a", "b"], observe=observe, instrument=instrument, tol=1e-7)
            assert inside(found, exact)
            assert (found.upper - found.lower).max() < 1e-3


def test_designs_see_what_instruments_leave():
    sharp, dull = (
        fsp.design(immigration_death(), [0.5, 5.0], ["k", "g"], cells=100, instrument=own)
        for own in (None, fsp.Binomial(0.3))
    )
    assert np.linalg.det(dull.information.matrix) < 0.5 * np.linalg.det(sharp.information.matrix)


@pytest.mark.parametrize(
    ("instrument", "words"),
    [
        (0.3, "must be an instrument, such as fsp.Binomial"),
        ("binomial", "must be an instrument, such as"),
        (fsp.Binomial, "a matrix or a function, but is <class"),
        ([[1.0, 0.0], [1.0]], "must be an instrument, such as"),
        (lambda m: m, "must be a function of counts seen, .* takes 1 positional argument"),
        (lambda m, x: np.ones(3), "that returns .* but fails for m = "),
        ({"Y": fsp.Poisson(1.0)}, "must be of what is observed, X"),
        (np.eye(5), "must have a column for each count .* has 5 and needs"),
        (2.0 * np.eye(200), "at most 1, but the least is 0 and the largest sum 2"),
        (lambda m, x: -1.0 + 0.0 * m * x, "the least is -1"),
        (fsp.Binomial("g"), "must not be both of rates and of the instrument, but 'g' is"),
    ],
)
def test_instruments_that_are_none_are_refused(instrument, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.fisher(immigration_death(), [1.0], ["k", "g"], instrument=instrument)
    with pytest.raises(fsp.ArgumentError, match="of counts where there is an instrument"):
        fsp.fisher(immigration_death(), [1.0], ["k"], observe="X/2", instrument=fsp.Poisson(1.0))


def captured(c=0.3, **parameters):
    """Return two genes of the same kind, with a capture probability and whatever else there is."""
    return fsp.Model(
        species={"A": 0, "B": 0},
        parameters={"k": 4.0, "g": 1.0, "c": c, **parameters},
        reactions=[
            fsp.Reaction("0 -> A", rate="k"),
            fsp.Reaction("A -> 0", mass_action="g"),
            fsp.Reaction("0 -> B", rate="k"),
            fsp.Reaction("B -> 0", mass_action="g"),
        ],
    )


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
def test_capture_probabilities_are_told_as_thinned_poisson_laws_tell_them(log, tol):
    mean, c, k = -4.0 * math.expm1(-1.5), 0.3, 4.0
    scale = np.array([1.0, 1.0]) if log else np.array([1.0 / c, 1.0 / k])
    cases = (  # means of what tells (c, k), by what is seen of each gene
        ("A", {"A": fsp.Binomial("c")}, (c * mean, c * mean, c * mean)),
        (["A", "B"], fsp.Binomial("c"), (2.0 * c * mean, 2.0 * c * mean, 2.0 * c * mean)),
        (["A", "B"], {"A": fsp.Binomial("c")}, (c * mean, c * mean, (1.0 + c) * mean)),
        ("A + B", fsp.Binomial("c"), (2.0 * c * mean, 2.0 * c * mean, 2.0 * c * mean)),
    )
    for observe, instrument, (of_c, both, of_k) in cases:
        exact = np.array([[of_c, both], [both, of_k]]) * np.outer(scale, scale)
        for names, chosen in ((["c", "k"], [0, 1]), (["k", "c"], [1, 0]), (["c"], [0])):
            found = fsp.fisher(captured(), [1.5], names, observe=observe, instrument=instrument, log=log, tol=tol)
            right, slack = exact[np.ix_(chosen, chosen)], 1e-9 * scale.max() ** 2
            assert found.certified
            assert found.parameters == tuple(names)
            assert (found.lower - slack <= right).all()
            assert (right <= found.upper + slack).all()
            assert (found.upper - found.lower).max() <= 20.0 * tol * scale.max() ** 2


def test_numbers_of_instruments_that_nothing_tells_are_refused():
    for model, words in (
        (captured(1.0), "must be below 1 where it is told by cells"),
        (captured(half=0.5).with_parameters({"c": 1.0}), "must be below 1"),
    ):
        with pytest.raises(fsp.ArgumentError, match=words):
            fsp.fisher(model, [1.0], ["c"], instrument=fsp.Binomial("c"))
    with pytest.raises(fsp.ArgumentError, match="'d' is a formula"):
        fsp.fisher(captured(d="c/2"), [1.0], ["d"], instrument=fsp.Binomial("d"))
    with pytest.raises(fsp.ArgumentError, match="no rate depends on 'c'"):
        fsp.fisher(captured(), [1.0], ["c"], instrument=fsp.Binomial(0.3))


def test_numbers_of_instruments_are_of_any_kind_and_have_limits():
    for instrument in (fsp.Normal(np.float32(1.5)), fsp.Poisson(np.int64(2)), fsp.Binomial(np.float64(0.5))):
        assert fsp.fisher(immigration_death(), [1.0], ["k"], instrument=instrument).certified
    with pytest.raises(fsp.ArgumentError, match="`deviation` must be a number above 0"):
        fsp.Normal(0.0)
    with pytest.raises(fsp.StateSpaceError, match="a number of the instrument, wrong"):
        fsp.fisher(immigration_death(), [1.0], ["k"], instrument=fsp.Normal(1e9))


def test_answers_show_themselves_at_a_prompt():
    model = immigration_death()
    counts = fsp.read_counts({"time": [1.0], "n": [2]}, counts={"X": "n"})
    slopes = fsp.sensitivity(model, [1.0], ["k"])
    answers = (counts, slopes, slopes[-1], fsp.fisher(model, [1.0], ["k"]), fsp.likelihood(model, counts))
    for answer in answers:
        assert repr(answer) == str(answer)
    assert repr(fsp.Posterior(model, counts, {"k": (1, 10)})) == "<Posterior of k: 1 cell, 0 evaluations>"
