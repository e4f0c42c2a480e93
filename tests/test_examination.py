"""The examination itself: its reference against closed forms, its judge against wrong answers, and a minute's worth."""

from __future__ import annotations

import dataclasses
import warnings

import exact
import hanging_cases
import mpmath
import numpy as np
import pytest
from examination import (
    adjoints,
    broken,
    crew,
    dense,
    formulas,
    in_time,
    inputs,
    judging,
    mixtures,
    networks,
    rational,
    report,
    samples,
    sanitized,
    scripts,
)
from examination.judging import Judge, Question
from examination.reference import Reference, TooLargeError
from scipy import stats

import fsp
from fsp.compilation.kernel import Kernel
from fsp.generator.block_kernels import add_products

BIRTH_DEATH = {
    "species": {"A": 3},
    "parameters": {"k": 4.0},
    "reactions": [{"equation": "0 -> A", "mass_action": "k"}, {"equation": "A -> 0", "mass_action": 1.0}],
    "times": [0.5, 1.0],
    "upper": {"A": 50},
}


def network(reactions, species, times=(1.0,), upper=None, **more):
    """Return a description; reactions are pairs of an equation and a constant or a formula."""
    laws = [
        {"equation": equation, "rate" if isinstance(law, str) else "mass_action": law} for equation, law in reactions
    ]
    upper = upper or dict.fromkeys(species, sum(species.values()))
    return {"species": species, "parameters": {}, "reactions": laws, "times": list(times), "upper": upper, **more}


def solved(description):
    """Return the reference, and the last distribution."""
    reference = Reference(description, description["upper"])
    return reference, reference.transient(description["times"])[-1]


def by_state(reference, p):
    """Return the probabilities in the order of the states of one species."""
    order = np.argsort(reference.states[:, 0])
    return reference.states[order, 0], p[order].astype(float)


# ---- the reference


def test_formulas_keep_digits_that_cancel_and_agree_in_both_ways():
    tree = formulas.parse("1e14*(1 - exp(-1e-14*A)) + piecewise(2, A > 1 && A < 5, 0) - -A^2/4")
    assert formulas.names(tree) == {"A"}
    digits = formulas.in_digits(tree, {"A": 2})
    assert float(digits) == pytest.approx(2.0 - 2e-14 + 2.0 + 1.0, rel=1e-15)
    on_arrays = formulas.on_arrays(
        formulas.parse("min(A, 3)*tanh(A)/ln(A)"), {"A": np.array([2.0, 9.0], np.longdouble)}
    )
    assert on_arrays.astype(float) == pytest.approx([2 * np.tanh(2) / np.log(2), 3 * np.tanh(9) / np.log(9)], rel=1e-15)


def test_reference_gives_immigration_and_death():
    reference, answer = solved(BIRTH_DEATH)
    n, p = by_state(reference, answer.p)
    right = exact.immigration_death(n, 1.0, birth=4.0, death=1.0, start=3)
    assert np.abs(p - right).sum() + answer.outside < 1e-15
    n, p = by_state(reference, reference.stationary())
    assert np.abs(p - exact.poisson(n, 4.0)).sum() < 1e-15
    assert reference.gaps()["whole"] == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("t", [1e-9, 1.0, 1e4, 1e9])
def test_reference_agrees_with_many_digits_on_stiff_chains(t):
    rates = [1e6, 2e-3, 1e-4, 30.0]
    changes = [("A -> B", rates[0]), ("B -> A", rates[1]), ("B -> C", rates[2]), ("C -> A", rates[3])]
    reference, answer = solved(network(changes, {"A": 1, "B": 0, "C": 0}, [t]))
    order = [reference.place[x] for x in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    with mpmath.workdps(60):
        a = mpmath.zeros(3)
        for (i, j), rate in zip([(1, 0), (0, 1), (2, 1), (0, 2)], rates, strict=True):
            a[i, j] += mpmath.mpf(rate)
            a[j, j] -= mpmath.mpf(rate)
        right = _by_modes(a, mpmath.mpf(t))
        gap = sum(abs(mpmath.mpf(str(answer.p[i])) - right[j]) for j, i in enumerate(order))
    assert float(gap) <= answer.slack < 1e-15


def _by_modes(a, t):
    values, left, right = mpmath.eig(a, left=True, right=True)
    found = []
    for i in range(3):
        terms = [
            mpmath.exp(values[m] * t)
            * right[i, m]
            * left[m, 0]
            / mpmath.fsum(left[m, k] * right[k, m] for k in range(3))
            for m in range(3)
        ]
        found.append(mpmath.re(mpmath.fsum(terms)))
    return found


def test_reference_gives_classes_and_their_weights():
    changes = [("S -> P", 1e-9), ("S -> Q", 3e-9), ("P -> R", 2e6), ("R -> P", 1e6)]
    reference = Reference(network(changes, {"S": 1, "P": 0, "Q": 0, "R": 0}), dict.fromkeys("SPQR", 1))
    p = reference.stationary()
    right = {(0, 1, 0, 0): 0.25 / 3, (0, 0, 0, 1): 0.5 / 3, (0, 0, 1, 0): 0.75}
    assert all(float(p[reference.place[x]]) == pytest.approx(value, rel=1e-15) for x, value in right.items())


def test_reference_gives_detailed_balance_of_many_molecules():
    states, right = exact.dimerization(total=30, forward=1e-5, backward=2e3)
    changes = [("2 A -> B", 1e-5), ("B -> 2 A", 2e3)]
    reference = Reference(network(changes, {"A": 30, "B": 0}), {"A": 30, "B": 15})
    found = np.array([float(reference.stationary()[reference.place[tuple(x)]]) for x in states.tolist()])
    assert found == pytest.approx(right, rel=1e-13)


def test_reference_gives_rates_of_the_time():
    changes = [("0 -> A", "3*(1 + sin(2*time))"), ("A -> 0", 1.0)]
    reference, answer = solved(network(changes, {"A": 0}, [1.5], {"A": 45}, fastest=4.0))
    with mpmath.workdps(30):
        mean = mpmath.quad(lambda s: 3 * (1 + mpmath.sin(2 * s)) * mpmath.exp(s - mpmath.mpf(1.5)), [0, 1.5])
    n, p = by_state(reference, answer.p)
    assert np.abs(p - exact.poisson(n, float(mean))).sum() < 2e-15
    assert answer.slack < 1e-14


def test_reference_gives_rates_that_switch_and_events():
    switched = network(
        [("0 -> A", "piecewise(4, time < 0.3, 1)"), ("A -> 0", 1.0)],
        {"A": 0}, [1.0], {"A": 40}, switches=[0.3], steps=True,
        events=[{"at": 0.6, "assignments": {"A": "0"}}],
    )  # fmt: skip
    reference, answer = solved(switched)
    n, p = by_state(reference, answer.p)
    assert np.abs(p - exact.poisson(n, -np.expm1(-0.4))).sum() < 1e-15
    emptied = network(
        [("0 -> A", 2.0)], {"A": 0}, [1.0], {"A": 4}, events=[{"trigger": "A >= 3", "assignments": {"A": "0"}}]
    )
    reference, answer = solved(emptied)
    counts = exact.poisson(np.arange(60), 2.0)
    assert [float(answer.p[reference.place[i,]]) for i in range(3)] == pytest.approx(
        [counts[i::3].sum() for i in range(3)], rel=1e-14
    )


def test_reference_counts_what_leaves_its_box():
    _, answer = solved({**BIRTH_DEATH, "upper": {"A": 6}})
    assert float(answer.p.sum()) + answer.outside == pytest.approx(1.0, abs=1e-17)
    assert answer.outside > 0.01


def test_reference_refuses_what_takes_too_long():
    with pytest.raises(TooLargeError):
        Reference(BIRTH_DEATH, {"A": 10**6})


# ---- the judge


@pytest.mark.parametrize("kind", networks.KINDS)
def test_networks_repeat_and_are_models(kind):
    assert networks.draw(kind, 3) == networks.draw(kind, 3) != networks.draw(kind, 4)
    assert judging.as_model(networks.draw(kind, 3)).n_reactions > 0


TRANSIENT = Question("transient", "uniformization", 1e-6)


def verdict(monkeypatch, spoil, question=TRANSIENT, name="transient"):
    """Return the record of a question whose answer is spoilt."""
    original = getattr(fsp, name)
    monkeypatch.setattr(fsp, name, lambda *args, **kwargs: spoil(original(*args, **kwargs)))
    return Judge(BIRTH_DEATH).ask(question)


def changed(solution, **fields):
    """Return a solution whose last distribution has other fields."""
    return [*solution[:-1], dataclasses.replace(solution[-1], **fields)]


def test_right_answer_is_good(monkeypatch):
    assert verdict(monkeypatch, lambda solution: solution)["verdict"] == "good"


def test_bound_that_is_too_small_is_broken(monkeypatch):
    def spoil(solution):
        gap = judging.distance(solution[-1], *Judge(BIRTH_DEATH).truth.transients[:1], truth)
        return changed(solution, error=fsp.ErrorLedger(truncation=0.9 * gap))

    truth = Judge(BIRTH_DEATH).truth.transients[1][-1]
    record = verdict(monkeypatch, spoil)
    assert record["verdict"] == "broken"
    assert record["distance"] == pytest.approx(record["bound"] / 0.9, rel=1e-6)


def test_probability_in_the_wrong_place_is_broken(monkeypatch):
    def spoil(solution):
        p = solution[-1].probabilities.copy()
        p[1], p[2] = p[1] - 1e-5, p[2] + 1e-5
        return changed(solution, probabilities=p)

    assert verdict(monkeypatch, spoil)["distance"] == pytest.approx(2e-5, rel=0.01)
    assert verdict(monkeypatch, spoil)["verdict"] == "broken"


@pytest.mark.parametrize("name", ["probability", "mean_interval", "variance_interval", "upper"])
def test_interval_that_misses_what_is_right_is_broken(monkeypatch, name):
    wrong = fsp.Interval(0.0, 1e-3, 0.0, certified=True)
    answers = {
        "probability": lambda self, event: wrong,
        "mean_interval": lambda self: {"A": wrong},
        "variance_interval": lambda self: {"A": wrong},
        "upper": property(lambda self: np.zeros(len(self))),
    }
    monkeypatch.setattr(fsp.Distribution, name, answers[name])
    record = Judge(BIRTH_DEATH).ask(TRANSIENT)
    assert record["verdict"] == "broken"
    assert "is not in" in record["message"]


def test_bound_above_the_tolerance_must_be_said(monkeypatch):
    record = verdict(monkeypatch, lambda solution: changed(solution, error=fsp.ErrorLedger(truncation=1e-3)))
    assert record["verdict"] == "broken"
    assert "nothing says so" in record["message"]


def test_estimate_is_none_of_a_bound_but_must_not_mislead(monkeypatch):
    def estimate(solution, p=None):
        fields = {} if p is None else {"probabilities": p}
        return changed(solution, error=fsp.ErrorLedger(truncation=1e-7, certified=False), **fields)

    assert verdict(monkeypatch, estimate)["verdict"] == "estimate"
    moved = verdict(monkeypatch, lambda solution: estimate(solution, np.roll(solution[-1].probabilities, 1)))
    assert moved["verdict"] == "estimate missed"


def test_errors_and_warnings_that_are_not_of_the_package_leak(monkeypatch):
    def fail(solution):
        raise ZeroDivisionError("by nothing")

    def warn(solution):
        warnings.warn("overflow", RuntimeWarning, stacklevel=1)
        return solution

    assert verdict(monkeypatch, fail)["verdict"] == "leak"
    monkeypatch.undo()
    assert "RuntimeWarning: overflow" in verdict(monkeypatch, warn)["message"]


def test_refusal_is_told_from_one_that_a_box_contradicts(monkeypatch):
    original = fsp.transient

    def refuse(*args, space=None, **kwargs):
        if space is None:
            raise fsp.StateSpaceError("The space must be small, but is not.")
        return original(*args, space=space, **kwargs)

    monkeypatch.setattr(fsp, "transient", refuse)
    assert Judge(BIRTH_DEATH).ask(TRANSIENT)["verdict"] == "refused, a box answers"
    assert Judge(BIRTH_DEATH).ask(Question("transient", "auto", 1e-15))["verdict"] == "refused"


def test_wrong_gap_is_broken(monkeypatch):
    def spoil(found):
        return dataclasses.replace(found, eigenvalues=0.5 * found.eigenvalues)

    question = Question("relaxation", "auto", 1e-10)
    assert Judge(BIRTH_DEATH).ask(question)["verdict"] == "good"
    assert verdict(monkeypatch, spoil, question, "relaxation")["verdict"] == "broken"


def test_failure_is_written_as_a_script_that_runs(monkeypatch, tmp_path, capsys):
    record = verdict(monkeypatch, lambda solution: changed(solution, error=fsp.ErrorLedger(truncation=1e-12)))
    monkeypatch.undo()
    path = scripts.write(tmp_path, "open", 0, BIRTH_DEATH, record)
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {})
    printed = capsys.readouterr().out
    assert float(printed.split()[-3]) == pytest.approx(record["distance"], rel=1e-6)
    for kind in networks.KINDS:  # whatever a description has can be written
        compile(scripts.text(kind, 1, networks.draw(kind, 1), record), kind, "exec")


# ---- the crew


def test_crew_goes_on_after_cases_that_hang_and_die(monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE", 100.0)  # so that the limit of the CPU comes first
    cases = iter(["works", "hangs", "dies", "fails"])
    found = {case.key: case for case in crew.run(hanging_cases.hanging, cases, jobs=2, limit=1.0)}
    verdicts = {key: [record["verdict"] for record in case.records] for key, case in found.items()}
    assert verdicts["works"] == ["good", "good", "good"]
    assert verdicts["hangs"] == ["good", "stall", "good"]
    assert verdicts["dies"] == ["good", "leak", "good"]
    assert "SIGKILL" in found["dies"].records[1]["message"]
    assert "of the examination" in found["fails"].note["left_out"]


def test_crew_loses_patience_with_a_case_that_sleeps(monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE", 8.0)  # a worker that starts on a busy machine must not exhaust it
    (case,) = crew.run(hanging_cases.hanging, iter(["sleeps"]), jobs=1, limit=1.0)
    assert [record["verdict"] for record in case.records] == ["good", "stall", "good"]


def test_report_counts_what_failed_and_how_loose_bounds_are():
    base = {"door": "transient", "solver": "auto", "tol": 1e-6, "cpu": 0.1}
    good = [{**base, "verdict": "good", "distance": 1e-8, "bound": ratio * 1e-8} for ratio in (2.0, 3.0, 4.0)]
    bad = {**base, "verdict": "broken", "distance": 1e-3, "bound": 1e-8, "message": "bound 1e-08, but 0.001"}
    case = {"kind": "open", "seed": 0, "note": {"states": 3}, "records": [*good, bad]}
    text = report.markdown([case])
    assert "| open | 1 | 4 | 3 | 1 | 3 | 3.8 |" in text
    assert "- 1 of open: bound #, but #" in text
    assert report.failures([case]) == {"broken": 1}


# ---- passages


def test_chains_have_their_rational_numbers():
    verdicts = [
        record["verdict"]
        for seed in range(6)
        for word, record in rational.examine(("chains", seed), 0)
        if word == "answer"
    ]
    assert set(verdicts) <= {judging.GOOD, rational.NONE}
    assert verdicts.count(judging.GOOD) >= 15


def test_rational_numbers_outside_an_interval_are_broken():
    case = rational.Case(rational.draw("chains", 0))
    (interval, exact), *_ = case.ask("mean")
    assert rational.judged([(interval, exact)])["verdict"] == judging.GOOD
    off = dataclasses.replace(interval, lower=interval.upper, upper=2.0 * interval.upper)
    assert "is not in" in rational.judged([(off, exact)])["message"]
    guessed = dataclasses.replace(interval, certified=False, reason="a guess")
    assert rational.judged([(guessed, exact)])["message"] == "no proof: a guess"
    assert rational.judged(None) == {"verdict": rational.NONE}


@pytest.mark.parametrize("kind", samples.KINDS)
def test_samples_pass_as_the_law_says(kind):
    report = samples.compared(kind, 1, runs=3000, alpha=1e-4)
    assert report.passed, report


def test_samples_of_another_target_fail(monkeypatch):
    network = samples.draw("immigration", 1)
    passages = samples.sampled({**network, "target": "X >= 13"}, 3000, 1)
    model = judging.as_model(network)
    assert samples.verify_passages(model, network["target"], passages, network["until"]).verdict == "fail"


def test_passages_that_fail_are_written_as_scripts():
    for drawn, kind, call in (
        (rational.draw, "chains", rational.Case(rational.draw("chains", 0)).call("rate")),
        (samples.draw, "driven", "fsp.passage(model, 'P >= 18', [1.0]).cdf"),
    ):
        record = {"door": "rate", "solver": "auto", "tol": 1e-6, "verdict": "broken", "call": call}
        exec(compile(scripts.text(kind, 0, drawn(kind, 0), record), kind, "exec"), {})


# ---- inputs


@pytest.mark.parametrize(
    ("code", "expected", "found"),
    [
        ("raise fsp.ModelError('The model must be good, but is not.')", "refused", "refused"),
        ("raise fsp.ModelError('')", "refused", "leak"),
        ("raise ValueError('not ours')", "refused", "leak"),
        ("import warnings; warnings.warn('overflow', RuntimeWarning); answer = 3", "either", "leak"),
        ("import os; os.kill(os.getpid(), 11)", "either", "leak"),
        ("answer = len(b'x' * (192 << 20))", "either", "leak"),
        ("while True: pass", "either", "stall"),
        ("answer = 3", "refused", "broken"),
        ("answer = 'differs in t'", "either", "broken"),
        ("raise fsp.ModelError('It must be refused, but is right.')", "right", "broken"),
        ("answer = 3", "either", "good"),
    ],
)
def test_inputs_are_judged(monkeypatch, code, expected, found):
    monkeypatch.setattr(inputs, "SECONDS", 3)
    monkeypatch.setattr(inputs, "MEMORY", 160 << 20)  # in CPU seconds that suffice wherever pages are slow to come
    given = broken.Input("made", expected, python=code)
    outcome = inputs.run(given)
    assert inputs.judge(given, outcome)[0] == found, outcome


def test_memory_of_an_input_counts_beyond_what_is_held_not_beyond_an_earlier_peak():
    peak = len(b"x" * (400 << 20))
    outcome = inputs.run(broken.Input("made", "either", python=f"answer = len(b'x' * ({peak} - (100 << 20)))"))
    assert 280 << 20 < outcome.memory < 420 << 20  # with modules that the process is the first to import


def test_command_is_judged_by_status_and_by_its_answer():
    given = broken.Input("made", "right", ("model.ant", broken.ANTIMONY.encode()), tuple(broken.SOLVE))
    outcome = inputs.run(given)
    assert inputs.judge(given, outcome) == ("good", "")
    other = broken.Input(
        "made", "right", ("model.ant", broken.ANTIMONY.replace("3", "4").encode()), tuple(broken.SOLVE)
    )
    assert "right is" in inputs.judge(other, inputs.run(other))[1]
    refused = dataclasses.replace(given, expected="refused")
    assert inputs.judge(refused, outcome) == ("broken", "made: accepted")
    undocumented = dataclasses.replace(outcome, status=9)
    assert "undocumented" in inputs.judge(given, undocumented)[1] or "status 9" in inputs.judge(given, undocumented)[1]


# ---- a minute's worth


def first_that_is_solved(kind):
    """Return a judge of a network that the reference can solve, and its questions."""
    for seed in range(1, 9):
        judge = Judge(networks.draw(kind, seed))
        try:
            return judge, judge.questions(seed)
        except TooLargeError:
            continue
    return pytest.fail("The reference must solve a network of each kind, but solves none.")


@pytest.mark.parametrize("kind", networks.KINDS)
def test_random_networks_have_true_bounds(kind):
    judge, asked = first_that_is_solved(kind)
    chosen = np.random.default_rng(len(kind)).permutation(len(asked))[:7]
    failed = []
    for i in sorted(chosen):
        try:
            record = judge.ask(asked[i])
        except TooLargeError:
            continue
        if record["verdict"] in judging.FAILURES:
            failed.append(record)
    assert not failed


@pytest.mark.parametrize("form", broken.FORMATS)
def test_broken_inputs_end_in_a_named_error_or_a_right_answer(form):
    for seed in (1, 2):
        given = broken.draw(form, seed)
        verdict, message = inputs.judge(given, inputs.run(given))
        assert verdict in ("good", "refused"), message


@pytest.mark.skipif(np.lib.NumpyVersion(np.__version__) < "2.0.0", reason="numpy 1 adds np.uint64 and int to a float")
def test_kernels_as_python_refuse_places_outside_of_arrays(monkeypatch):
    monkeypatch.setattr(Kernel, "__call__", sanitized._as_python)
    indices, out = np.arange(4), np.zeros(4)
    rest = (np.ones(4), 2.0, np.arange(4.0), out, np.zeros(1, int), np.ones(1, int))
    add_products(np.arange(5), indices, *rest)
    np.testing.assert_array_equal(out, 2.0 * np.arange(4.0))
    indices[-1] = 5
    with pytest.raises(IndexError):
        add_products(np.arange(5), indices, *rest)


def test_what_is_missing_to_check_memory_is_said(monkeypatch, capsys):
    monkeypatch.setattr(sanitized, "_clang", lambda: None)
    monkeypatch.setattr(sanitized, "_tests", lambda tests, more: 0)
    assert sanitized.run([]) == 1
    assert "pip install ziglang" in capsys.readouterr().err


# ---- gradients and mixtures


def test_dense_chains_have_the_closed_form_of_immigration_and_death():
    network = {
        "species": {"X": 0},
        "parameters": {"k": 4.0, "g": 0.7},
        "reactions": [{"equation": "0 -> X", "rate": "k"}, {"equation": "X -> 0", "rate": "g*X"}],
        "box": [40],
    }
    chain, t = dense.Chain(network), 1.3
    n, decay = np.arange(41), np.exp(-0.7 * t)
    mean = 4.0 / 0.7 * (1.0 - decay)
    law = stats.poisson(mean).pmf(n)
    slope = -4.0 / 0.49 * (1.0 - decay) + 4.0 / 0.7 * t * decay  # of the mean by g
    np.testing.assert_allclose(chain.law(network["parameters"], t), law, rtol=1e-10, atol=1e-16)
    np.testing.assert_allclose(chain.slope(network["parameters"], "g", t), slope * law * (n / mean - 1.0), atol=1e-13)


@pytest.mark.parametrize("kind", adjoints.KINDS)
def test_gradients_hold_complex_steps(kind):
    answers = [record for seed in range(3) for word, record in adjoints.examine((kind, seed), 0) if word == "answer"]
    each = 2 if kind in in_time.KINDS else 3  # of means in time the adjoint knows nothing
    assert [record["verdict"] for record in answers].count(judging.GOOD) >= 3 * each - 1
    assert {record["verdict"] for record in answers} <= {judging.GOOD, adjoints.NONE}


def test_chains_in_time_have_the_law_of_rates_that_switch_or_rest():
    network = {
        "species": {"X": 0},
        "parameters": {"k": 4.0, "g": 0.7},
        "reactions": [{"equation": "0 -> X", "rate": "k"}, {"equation": "X -> 0", "rate": "g*X"}],
        "box": [40],
    }
    n, t, at = np.arange(41), 1.3, 0.5
    made = 4.0 / 0.7 * -np.expm1(-0.7 * at), 1.5 * 4.0 / 0.7 * -np.expm1(-0.7 * (t - at))
    kept = np.exp(-0.7 * (t - at))
    wave = 4.0 * 0.4 * (0.7 * np.sin(2.0 * t) - 2.0 * np.cos(2.0 * t) + 2.0 * np.exp(-0.7 * t)) / (0.49 + 4.0)
    for clock, mean in (
        ({"kind": "switched", "at": at, "factor": 1.5}, made[0] * kept + made[1]),
        ({"kind": "rest", "at": at, "factor": 1.5}, 4.0 / 0.7 * kept + made[1]),
        ({"kind": "waves", "size": 0.4, "speed": 2.0}, 4.0 / 0.7 * -np.expm1(-0.7 * t) + wave),
    ):
        chain = in_time.TimedChain({**network, "clock": clock})
        law = stats.poisson(mean).pmf(n)
        np.testing.assert_allclose(np.real(chain.law(network["parameters"], t)), law, atol=1e-10)
        slope = mean / 4.0 * law * (n / mean - 1.0)  # by k, which the mean is a multiple of
        np.testing.assert_allclose(chain.slope(network["parameters"], "k", t), slope, atol=1e-10)


def test_derivatives_outside_their_interval_are_broken():
    case = adjoints.Case(adjoints.draw("gene", 0))
    (interval, exact), *_ = case.ask("mean")
    off = dataclasses.replace(interval, lower=interval.lower + 1e-6, upper=interval.upper + 1e-6)
    assert adjoints.judged([(interval, exact)])["verdict"] == judging.GOOD
    assert adjoints.judged([(interval, exact), (off, exact)])["verdict"] == judging.BROKEN
    guessed = dataclasses.replace(interval, certified=False, reason="a guess")
    assert adjoints.judged([(guessed, exact)])["verdict"] == adjoints.ESTIMATE


@pytest.mark.parametrize("kind", mixtures.KINDS)
def test_mixtures_hold_their_quadrature(kind):
    answers = [record for word, record in mixtures.examine((kind, 2), 0) if word == "answer"]
    assert [record["verdict"] for record in answers] == [judging.GOOD] * 2


def test_a_mixture_beyond_its_bound_is_broken():
    network = mixtures.draw("linear", 2)
    moved = {**network, "cv": 0.9 * network["cv"]}  # of the reference
    law = {network["varied"]: getattr(fsp, network["law"])(network["parameters"][network["varied"]], network["cv"])}
    at = fsp.mixture(judging.as_model(network), law, network["times"], 1e-6)[-1]
    assert mixtures.judged(network, dense.Chain(network), at)["verdict"] == judging.GOOD
    assert mixtures.judged(moved, dense.Chain(network), at)["verdict"] == judging.BROKEN
