"""What is accumulated over a time against closed forms, dense exponentials and the counter that it stands for."""

from __future__ import annotations

import json
import math
import warnings

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from random_networks import as_model, closed_networks
from scipy.integrate import trapezoid
from scipy.linalg import expm
from scipy.stats import norm
from written_networks import network

import fsp
from fsp.command.main import main
from fsp.passages import accumulation
from fsp.passages.reward import Gain, RewardQuestion, spread_of
from fsp.projection.start import starting_point

TIMES = np.array([0.0, 0.5, 2.0, 6.0])
ROUNDED = 1e-9  # error of the dense algebra, relative to what it is made of


def hold(curve, exact, width=1e-6):
    exact = np.asarray(exact, dtype=float)
    assert curve.certified, curve.reason
    assert (curve.lower <= exact * (1.0 + 1e-14)).all(), (curve.lower, exact)
    assert (exact * (1.0 - 1e-14) <= curve.upper).all(), (curve.upper, exact)
    assert (curve.upper - curve.lower <= width * (1.0 + exact)).all()
    assert ((curve.lower <= curve.value) & (curve.value <= curve.upper)).all()


def immigration_death(start=0):
    return network({"X": start}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 1.0))


def test_decays_are_binomial_and_lifetimes_add():
    """Of n molecules with rate 1: firings are binomial; the sum of lifetimes min(T, t) has n times their moments."""
    model = network({"X": 3}, ("X -> 0", "mass_action", 1.0))
    name = model.reactions[0].name
    gone = 1.0 - np.exp(-TIMES)
    fired = fsp.reward(model, name, TIMES, firings=True)
    hold(fired.mean, 3.0 * gone)
    hold(fired.variance, 3.0 * gone * (1.0 - gone))
    lived = fsp.reward(model, "X", TIMES)
    hold(lived.mean, 3.0 * gone)
    square = 2.0 * (gone - TIMES * np.exp(-TIMES))
    hold(lived.variance, 3.0 * (square - gone**2))


def test_births_are_poisson_and_their_stay_is_an_integral():
    model = immigration_death()
    births = fsp.reward(model, model.reactions[0].name, TIMES, firings=True)
    hold(births.mean, 9.0 * TIMES)
    hold(births.variance, 9.0 * TIMES, 1e-4)
    hold(births.second_moment, 9.0 * TIMES + 81.0 * TIMES**2)
    # each birth at s adds min(lifetime, t - s): a shot noise, with Campbell's theorem
    stay = fsp.reward(model, "X", TIMES)
    hold(stay.mean, 9.0 * (TIMES - 1.0 + np.exp(-TIMES)))
    hold(stay.variance, 18.0 * (TIMES - 2.0 + (2.0 + TIMES) * np.exp(-TIMES)), 1e-4)


def test_a_law_that_travels_far_is_followed():
    """From no molecules to 400: states of all times between are stored."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 400.0), ("X -> 0", "mass_action", 1.0))
    times = np.array([1.0, 6.0])
    found = fsp.reward(model, "X", times)
    hold(found.mean, 400.0 * (times - 1.0 + np.exp(-times)))
    hold(fsp.reward(model, "X >= 0", times).mean, times)


def test_a_telegraph_spends_its_time_and_forgets():
    """Var ∫ 1{A} = 2 s (1 - s) (t/q - (1 - exp(-q t))/q²) at rest, with q = k + l and the share s."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 0.3), ("B -> A", "mass_action", 0.7))
    start = fsp.Model(species=["A", "B"], initial={(1, 0): 0.7, (0, 1): 0.3}, reactions=model.reactions)
    times = TIMES[1:]
    found = fsp.reward(start, "A > 0", times)
    hold(found.mean, 0.7 * times)
    spread = 2.0 * 0.7 * 0.3 * (times - 1.0 + np.exp(-times))
    hold(found.variance, spread)
    hold(found.average, 0.7 * np.ones(3))
    hold(found.average_variance, spread / times**2)
    rest = fsp.reward(model, "A > 0", times, start="stationary")
    hold(rest.average, 0.7 * np.ones(3))
    hold(rest.variance, spread, 1e-5)
    with pytest.raises(fsp.ArgumentError, match="must be positive and finite for an average"):
        fsp.reward(start, "A > 0", TIMES).average.value.sum()
    with pytest.raises(fsp.ArgumentError, match="must be positive and finite for an average"):
        fsp.reward(start, "A > 0", 0.0).average_variance.value.sum()


def test_what_is_accumulated_until_a_passage_is_the_passage():
    """The time before V > U is min(T, t), and the firings before extinction are the number there was."""
    model = network({"X": 4}, ("X -> 0", "mass_action", 1.0))
    waited = fsp.reward(model, "X >= 0", [2.0, 40.0], until="X <= 2")
    law = 1.0 - (4.0 * np.exp(-3.0 * 2.0) - 3.0 * np.exp(-4.0 * 2.0))  # of exp(4) + exp(3) by t = 2
    assert 0.0 < law < 1.0
    exact = 4.0 / 3.0 * (1.0 - math.exp(-6.0)) - 3.0 / 4.0 * (1.0 - math.exp(-8.0))
    hold(waited.mean, [exact, 0.25 + 1.0 / 3.0])
    assert waited.variance[1].value == pytest.approx(1.0 / 16.0 + 1.0 / 9.0)
    hold(fsp.reward(model, model.reactions[0].name, [40.0], firings=True, until="X <= 2").mean, [2.0])
    hold(fsp.reward(model, "X", [5.0], until="X <= 4").mean, [0.0])


def test_a_network_that_does_nothing_waits():
    model = network({"X": 3}, ("X -> 0", "mass_action", 0.0))
    hold(fsp.reward(model, "X", [2.0]).mean, [6.0])
    hold(fsp.reward(model, "X", [2.0]).second_moment, [36.0])


@settings(max_examples=12, deadline=None)
@given(described=closed_networks())
def test_random_networks_agree_with_dense_exponentials(described):
    """The blocks of exp of [[A, 0], [C, A]] and of a third one hold the integrals; firings by their jumps."""
    model = as_model(described)
    space = fsp.StateSpace.reachable(model)
    assume(len(space) <= 40)
    A = fsp.Generator(model, space).to_csr().toarray()
    n = len(space)
    p = np.zeros(n)
    p[space.index(model.initial_states)[0]] = 1.0
    rate = model.propensity(0, space.states)
    B = np.zeros((n, n))
    target = space.index(space.states + model.change[0])
    B[target[target >= 0], np.flatnonzero(target >= 0)] = rate[target >= 0]
    count = space.states[:, 0].astype(float)
    for text, firings, jump, c in (
        (model.species[0], False, np.diag(count), count),
        (model.reactions[0].name, True, B, rate),
    ):
        found = fsp.reward(model, text, [0.7, 2.0], firings=firings)
        K = np.zeros((2 * n + 2, 2 * n + 2))
        K[:n, :n] = K[n : 2 * n, n : 2 * n] = A
        K[n : 2 * n, :n] = jump
        K[2 * n, :n], K[2 * n + 1, n : 2 * n] = c, 2.0 * c
        K[2 * n + 1, :n] = c if firings else 0.0
        for k, t in enumerate((0.7, 2.0)):
            mean, square = (expm(t * K) @ np.concatenate([p, np.zeros(n + 2)]))[-2:]
            slack = ROUNDED * (1.0 + square)
            assert found.mean.certified
            assert found.mean.lower[k] - slack <= mean <= found.mean.upper[k] + slack
            assert found.second_moment.lower[k] - slack <= square <= found.second_moment.upper[k] + slack


def test_what_leaves_few_states_is_in_the_bounds():
    """On a space that is too small the truth stays within wide bounds: of a condition, of a count, and of firings."""
    model = immigration_death()
    for text, firings, exact in (
        ("X >= 0", False, 1.0),
        ("X", False, 9.0 * math.exp(-1.0)),
        (model.reactions[0].name, True, 9.0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)
            assert exact in fsp.reward(model, text, 1.0, firings=firings, tol=0.5).mean[0]
        space = fsp.StateSpace.box(model, upper={"X": 9})
        gain = Gain.of_reaction(model, text) if firings else Gain.of_formula(model, text)
        times = np.array([1.0])
        begin = starting_point(model, None, 0.5)
        small = RewardQuestion(model, gain, None, begin, times, 0.5, 1000, lambda progress: None).bounded(space)
        assert exact in small.means[0]
        assert small.means[0].certified
        assert small.means[0].value < exact - 1e-3
        assert small.missing > 1e-2
        generator = fsp.Generator(model, fsp.StateSpace.box(model, upper={"X": 12}))
        start = np.eye(13)[0]
        (known,) = accumulation.accumulate(generator, start, np.array([1.0]), np.ones(13), None)
        assert known.mass < 1.0 - 1e-2
        assert known.mean < 1.0  # runs that left no longer count
        assert known.mean + (1.0 - known.mass) >= 1.0


def test_starts_with_an_error_widen_what_is_bounded():
    model = immigration_death()
    start = fsp.transient(model, [1.0], tol=1e-4)[-1]
    m = 9.0 * (1.0 - np.exp(-1.0 - np.linspace(0.0, 1.0, 2001)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        found = fsp.reward(model, "X > 0", 1.0, start=start, tol=1e-3)
        exact = float(trapezoid(1.0 - np.exp(-m), dx=1.0 / 2000.0))
        assert found.mean[0].certified
        assert found.mean[0].lower <= exact + 1e-7
        assert exact - 1e-7 <= found.mean[0].upper
        unbounded = fsp.reward(model, "X", 1.0, start=start, tol=1e-3)
    assert not unbounded.mean[0].certified
    assert "estimate" in str(unbounded)
    assert unbounded.mean[0].value == pytest.approx(float(m.mean()), rel=1e-2)


def test_samples_agree():
    """The time in a condition over 2,000 runs of the reference sampler, looked at often."""
    model = immigration_death()
    grid = np.linspace(0.0, 2.0, 201)
    states = fsp.ssa(model, grid, 2000, seed=5)[:, :, 0]  # (runs, times)
    spent = 0.01 * (states[:, 1:] > 5).sum(axis=1)
    found = fsp.reward(model, "X > 5", 2.0)
    far = norm.isf(1e-6) * math.sqrt(found.variance[0].value / 2000)
    assert abs(spent.mean() - found.mean[0].value) <= far + 0.01
    assert spent.var() == pytest.approx(found.variance[0].value, rel=0.2)


def test_a_variance_whose_square_is_beyond_doubles_is_unknown():
    """Where a condition is reached after 1e200 units of time, the mean of the square is no double."""
    late = fsp.Interval(1e100, math.inf, 1e200, certified=False)
    spread = spread_of(late, fsp.Interval(1e200, math.inf, math.inf, certified=False))
    assert (spread.lower, spread.upper, spread.certified) == (0.0, math.inf, False)
    assert spread.reason == "its square is beyond doubles"
    known = spread_of(fsp.Interval(2.0, 2.0, 2.0, certified=True), fsp.Interval(5.0, 5.0, 5.0, certified=True))
    assert known.lower <= 1.0 <= known.upper <= 1.0 + 1e-12


def test_bad_questions_are_refused():
    model = immigration_death()
    for call, message in (
        (lambda: fsp.reward(model, "Z", 1.0), "needs 'Z'"),
        (lambda: fsp.reward(model, "X - 5", 1.0), "must not be negative"),
        (lambda: fsp.reward(model, "birth", 1.0, firings=True), "must be a reaction with `firings`"),
        (lambda: fsp.reward(model, 3, 1.0), "must be a formula"),
        (lambda: fsp.reward(model, "X", [2.0, 1.0]), "must increase"),
        (lambda: fsp.reward(model, "X", 1.0, tol=0.0), "`tol` must"),
        (lambda: fsp.reward(model, "X", 1.0, until="X + 1"), "`until` must be a condition"),
        (lambda: fsp.reward(model, "X", 1.0, start=3.0), "`start` must be"),
        (lambda: fsp.reward(model, "X", 1.0, start="rest"), "`start` must be a distribution, 'stationary' or None"),
    ):
        with pytest.raises(fsp.ArgumentError, match=message):
            call()
    timed = network({"X": 5}, ("0 -> X", "rate", "1 + sin(time)"), ("X -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match="constant propensities, but those of 'model' depend on time"):
        fsp.reward(timed, "X", 1.0)
    for scale in ("1e300", "1e160"):
        with pytest.raises(fsp.ArgumentError, match=rf"'{scale}\*X' may come to .*; divide the formula by a number"):
            fsp.reward(model, f"{scale}*X", 1.0)
    dosed = fsp.Model(
        species={"X": 5},
        reactions=model.reactions,
        events=[fsp.Event("time >= 1", {"X": 0}, name="dose")],
    )
    with pytest.raises(fsp.BackendError, match="without events at known times, but 'model' has 'dose'"):
        fsp.reward(dosed, "X", 1.0)
    with pytest.raises(fsp.ConvergenceError, match="ask for earlier times"):
        fsp.reward(network({"X": 1, "Y": 0}, ("X -> Y", "mass_action", 1e6), ("Y -> X", "mass_action", 1e6)), "X", 1e6)


def test_the_command_prints_it(tmp_path):
    path = tmp_path / "m.ant"
    path.write_text("model m()\n species X; X = 0\n birth: => X; 9\n X => ; X\nend\n")
    words = ["reward", str(path), "--times", "1,2", "--counts", "as-is", "--quiet"]
    shown = CliRunner().invoke(main, [*words, "--of", "X > 5", "--until", "X > 8"])
    assert shown.exit_code == 0, shown.output
    assert "integral of X > 5 over time until X > 8" in shown.output
    record = json.loads(CliRunner().invoke(main, [*words, "--firings", "birth", "--json"]).output)
    assert record["mean"][1]["lower"] <= 18.0 <= record["mean"][1]["upper"]
    assert CliRunner().invoke(main, words).exit_code == 2
    assert "<" in fsp.reward(fsp.load(path), "X", 1.0)._repr_html_()


def drawn(law="poisson(5)"):
    return fsp.Model(species={"X": law}, reactions=[fsp.Reaction("X -> 0", mass_action=0.1)])


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_counts_that_the_law_of_a_start_leaves_out_may_have_all_that_is_accumulated():
    """The mean of exp(3 X) is exp(5 (e³ - 1)) at first, 2e41; the largest count that is kept is 36."""
    found = fsp.reward(drawn(), "exp(3*X)", 1e-9)
    assert not found.mean.certified
    assert not fsp.reward(drawn(), "exp(3*X)", until="X == 0").mean.certified
    late = fsp.reward(drawn(), "X*piecewise(1, X > 40, 0)", 1e-9).mean
    assert late.upper > 1e-9 * mean_above(40, 5.0) > 0.0


def mean_above(count, mean):
    return sum(n * math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(count + 1, count + 60))


def test_moments_of_a_start_that_is_drawn_have_their_bounds():
    kept = -10.0 * math.expm1(-0.2)  # the time that a molecule has, 1/time 0.1, up to 2
    hold(fsp.reward(drawn(), "X", [2.0]).mean, [5.0 * kept])
    counted = fsp.reward(drawn("binomial(9, 0.5)"), "exp(3*X)", [1e-9]).mean
    assert counted.certified
    assert counted.upper == pytest.approx(1e-9 * (0.5 + 0.5 * math.exp(3.0)) ** 9, rel=1e-7)


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_sizes_that_the_law_of_bursts_leaves_out_are_not_followed():
    """The mean of exp(X/2) is infinite, as 3/4 of exp(1/2) is more than one."""
    reactions = [fsp.Reaction("E -> X", mass_action=1.0, burst="geometric(3)"), fsp.Reaction("X -> 0", mass_action=1.0)]
    model = fsp.Model(species={"E": 1, "X": 0}, reactions=reactions)
    assert not fsp.reward(model, "exp(0.5*X)", 1.0).mean.certified
    assert not fsp.reward(model, "exp(0.5*X)", until="E + X == 0").mean.certified
