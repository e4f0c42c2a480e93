"""The reference sampler: its laws against the solver, its random numbers against numpy's, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from references import MODELS

import fsp
from fsp.model.formula import parse
from fsp.model.program import evaluate
from fsp.sampling import kernels as kernels
from fsp.sampling.programs import Programs

FALSE_ALARM = 1e-6  # of each comparison; seeds are fixed, so a comparison that holds once holds always


def birth_death(birth="10", death="X", **more):
    reactions = [fsp.Reaction("0 -> X", rate=birth), fsp.Reaction("X -> 0", rate=death)]
    return fsp.Model(species={"X": 0}, reactions=reactions, **more)


def check_laws(model, times, runs, seed, **more):
    """Compare each empirical distribution function with the solver's, by the bound of Dvoretzky, Kiefer and Wolfowitz.

    Massart's constant makes it hold for any number of runs: P(sup |F_n - F| > x) <= 2 exp(-2 n x²).
    """
    sampled = fsp.ssa(model, times, runs, seed=seed, **more)
    solution = fsp.transient(model, times, 1e-6)
    band = np.sqrt(np.log(2 / FALSE_ALARM) / (2 * runs))
    for k, d in enumerate(solution):
        for j, name in enumerate(model.species):
            one = d.marginal(name)
            grid = np.arange(max(one.states.max(), sampled[:, k, j].max()) + 1)
            exact = np.zeros(len(grid))
            exact[one.states[:, 0]] = one.probabilities
            found = np.bincount(sampled[:, k, j], minlength=len(grid)) / runs
            distance = np.abs(np.cumsum(found) - np.cumsum(exact)).max()
            assert distance <= band + d.error.total, (name, d.t)
    return sampled


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("homodimerization", [0.5, 2]),
        ("bursty_expression", [1]),
        ("telegraph", [1, 4]),
        ("pap_pili", [10]),
        ("phage_lambda", [30]),
        ("toggle_hill", [5]),
        ("michaelis_menten", [1]),
        ("bimolecular", [0.5]),
    ],
)
def test_marginals_are_those_of_the_master_equation(name, times):
    check_laws(fsp.load(MODELS / f"{name}.ant"), times, 20_000 if name != "michaelis_menten" else 2000, seed=1)


@pytest.mark.parametrize(
    "birth",
    ["20*(1 + sin(3*time))", "piecewise(30, time < 0.3, 2)", "max(0, 40*(1 - 2*time))", "5*exp(-time)*(1 + X/(1 + X))"],
)
def test_rates_that_depend_on_time_are_thinned_exactly(birth):
    check_laws(birth_death(birth), [0.2, 0.7, 1.5], 20_000, seed=2)


@pytest.mark.parametrize("rate", ["(X - 5)*(time - 3)", "(5 - X)*(3 - time)", "(0 - 1)*(X - 5)*(3 - time)"])
def test_rates_whose_factors_are_both_negative_fire(rate):
    """Each of five places is taken by t with probability ``1 - exp(-(3 t - t²/2))``."""
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("-> X", rate=rate)])
    t, runs = 0.2, 2000
    taken = fsp.ssa(model, [t], runs=runs, seed=1)[:, 0, 0].mean() / 5.0
    p = 1.0 - np.exp(-(3.0 * t - t**2 / 2.0))
    assert abs(taken - p) <= 5.0 * np.sqrt(p * (1.0 - p) / (5.0 * runs))


def test_a_rate_that_becomes_negative_is_refused():
    model = fsp.Model(species={"X": 500}, reactions=[fsp.Reaction("X -> ", rate="X*(1 - time)")])
    assert fsp.ssa(model, [0.9], runs=5, seed=1).min() > 0
    with pytest.raises(fsp.ModelError, match="must be finite and non-negative, but is -"):
        fsp.ssa(model, [2.0], runs=5, seed=1)


def test_joint_law_at_one_time():
    model = fsp.load(MODELS / "toggle_hill.ant")
    runs = 20_000
    sampled, d = fsp.ssa(model, 1.0, runs, seed=3)[:, 0], fsp.transient(model, 1.0, 1e-7)[-1]
    rows = {tuple(x): i for i, x in enumerate(d.states.tolist())}
    counts = np.bincount([rows[tuple(x)] for x in sampled.tolist()], minlength=len(rows))
    expected = runs * d.probabilities
    big = expected >= 20
    chi = ((counts - expected)[big] ** 2 / expected[big]).sum()
    n = big.sum()
    assert abs(chi - n) < 5.5 * np.sqrt(2 * n + (1 / expected[big]).sum())


def test_starts_in_a_distribution():
    reactions = [fsp.Reaction("A -> 0", mass_action=1.0)]
    model = fsp.Model(species=["A"], reactions=reactions, initial={(3,): 0.25, (9,): 0.75})
    sampled = check_laws(model, [0.5], 20_000, seed=4)
    assert sampled.max() == 9
    start = fsp.ssa(model, [0.0], 20_000, seed=4)[:, 0, 0]
    assert abs((start == 3).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 20_000)


def test_callables_are_sampled_in_step():
    model = birth_death()
    slow = fsp.Model(
        species={"X": 0},
        reactions=[fsp.Reaction("0 -> X", rate=lambda x: 10.0 + 0.0 * x["X"]), fsp.Reaction("X -> 0", rate="X")],
    )
    assert fsp.ssa(slow, [0.0, 1.0], 100, seed=5)[:, 0].max() == 0
    check_laws(slow, [0.3, 1.0], 20_000, seed=5)
    check_laws(model, [0.3, 1.0], 20_000, seed=5)


def test_runs_depend_on_the_seed_and_their_number_alone():
    model = fsp.load(MODELS / "telegraph.ant")
    few, many = fsp.ssa(model, [1, 4], 70, seed=6), fsp.ssa(model, [1, 4], 300, seed=6, threads=2)
    np.testing.assert_array_equal(few, many[:70])
    assert (fsp.ssa(model, [1, 4], 70, seed=7) != few).any()
    assert (fsp.ssa(model, [1, 4], 70) != fsp.ssa(model, [1, 4], 70)).any()
    seen = []
    fsp.ssa(model, [1], 300, seed=6, progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (300, 300)


def test_random_words_are_numpys_philox():
    key = np.random.SeedSequence(8).generate_state(2, np.uint64)
    counter, words = np.array([2**64 - 2, 0, 5, 0], dtype=np.uint64), np.empty(4, np.uint64)
    reference = np.random.Philox(counter=counter, key=key)
    for _ in range(4):
        kernels.refill(counter, key, words)
        np.testing.assert_array_equal(words, reference.random_raw(4))


@pytest.mark.parametrize(
    "text",
    [
        "x^2.5 - 3*y/(1 + x) + -x", "piecewise(1, x > 2 && y < 3, 7, x == 1, time)", "min(x, y, 3) + max(x, 2*y)",
        "1 < x < y", "!(x > 1) || xor(x > 2, y > 2)", "quotient(x, 3) + rem(y, 4)", "factorial(x)", "root(3, x)",
        "log(3, 1 + x) + log10(1 + y) + ln(2 + x)", "sec(x) + arcsec(2 + x) + coth(1 + y) + arccsch(3 + y)",
        "floor(x/2) + ceil(y/3) + abs(x - y) + sqrt(x) + exp(-y)", "tanh(x) + sinh(0.1*y) + arctan(x)",
        "(x > 1) + (y != 2) + implies(x > 1, y > 1)", "piecewise(x, x > y, y)", "max(x) + min(y)",
        "piecewise(1, x > 3, 2, x > 1, 3, y > 2, 4)", "piecewise(1, x > 3, 2, x > 1)",
    ],
)  # fmt: skip
def test_programs_have_the_values_of_the_trees(text):
    tree = parse(text, what="f")
    programs = Programs({"x": 0, "y": 1, "time": 2})
    place = programs.add(tree)
    code, numbers = programs.arrays()
    for x in range(6):
        for y in range(6):
            found = kernels.value(code, *place, numbers, np.array([x, y, 0.7]), np.empty(programs.depth))
            expected = float(evaluate(tree, {"x": np.float64(x), "y": np.float64(y)}, 0.7))
            assert found == pytest.approx(expected, rel=1e-13, abs=1e-13, nan_ok=True), (x, y)


def test_absorbed_runs_stay():
    model = fsp.load(MODELS / "mrna_decay.ant")
    sampled = fsp.ssa(model, [0.0, 1.0, 1e6, 1e9], 50, seed=9)
    assert (sampled[:, 0] == 100).all()
    assert (sampled[:, 2:] == 0).all()


def test_counts_far_above_any_space():
    model = fsp.Model(species={"X": 10**12}, reactions=[fsp.Reaction("X -> 0", rate="1")])
    lost = 10**12 - fsp.ssa(model, 100.0, 2000, seed=10)[:, 0, 0]
    assert abs(lost.mean() - 100) < 5 * np.sqrt(100 / 2000)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (birth_death(birth="5 - 2*X"), fsp.ModelError, "must be finite and non-negative"),
        (birth_death(death="3"), fsp.ModelError, "would make 'X' negative"),
        (birth_death(birth="40/(4 - X)"), fsp.ModelError, "must be finite and non-negative"),
        (birth_death(birth="1 + X^2"), fsp.FSPError, "at most 1,000 jumps"),
        (birth_death(birth="1/(1 + X + time)"), fsp.ModelError, "sum of products"),
        (birth_death(birth="1/abs(time - 0.5)"), fsp.ModelError, "no bound"),
    ],
)
def test_what_is_no_jump_process_is_refused(model, error, words):
    with pytest.raises(error, match=words):
        fsp.ssa(model, 10.0, 20, seed=11, max_jumps=1000)


@pytest.mark.parametrize(
    "wrong", [{"runs": 0}, {"runs": 1.5}, {"seed": -1}, {"threads": 0}, {"times": [2.0, 1.0]}, {"max_jumps": 0}]
)
def test_arguments_are_checked(wrong):
    with pytest.raises(fsp.ArgumentError):
        fsp.ssa(birth_death(), **({"times": [1.0], "runs": 3} | wrong))


def test_events_at_known_times_map_the_runs():
    halved = fsp.Event("time >= 2", {"X": "floor(X/2)"})
    faster = fsp.Event("time >= 3", {"k": "4*k"})
    model = birth_death("k", events=[halved, faster], parameters={"k": 5.0})
    times = [1, 2, 2.5, 3, 4]
    sampled = check_laws(model, times, 4000, seed=5)
    np.testing.assert_array_equal(sampled, fsp.ssa(model, times, 4000, seed=5, threads=2))
    assert sampled[:, 4].mean() > 2.0 * sampled[:, 3].mean()


def test_events_of_the_state_and_of_rates_in_time():
    full = fsp.Event("X >= 12", {"X": "3"})
    emptied = fsp.Event("time >= 1.5", {"X": "0"})
    model = birth_death("10*(1 + sin(3*time))", events=[full, emptied])
    sampled = check_laws(model, [1, 1.5, 2], 3000, seed=6)
    assert sampled.max() < 12
    assert not sampled[:, 1].any()
    done = []
    fsp.ssa(model, [1, 2], 100, seed=6, progress=lambda k, n: done.append((k, n)))
    assert done[-1] == (100, 100)
    assert done == sorted(done)


def test_events_at_known_times_and_callables_are_refused():
    model = fsp.Model(
        species={"X": 3},
        reactions=[fsp.Reaction({"X": -1}, rate=lambda x: 1.0 * x["X"])],
        events=[fsp.Event("time >= 1", {"X": "5"})],
    )
    with pytest.raises(fsp.ModelError, match="callable rates"):
        fsp.ssa(model, [2.0], 10)
