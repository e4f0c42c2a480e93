"""Verification: wrong simulators are caught at the printed power, and what is wrong with them is named."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

import fsp
from fsp.command.main import main
from fsp.verification import variants
from fsp.verification.battery import Battery
from fsp.verification.diagnosis import SampleLikelihood, _apart
from fsp.verification.discarded import DiscardRule, VisitedChain
from fsp.verification.hypotheses import Hypothesis, after_jump, families, tau_leaping
from fsp.verification.independence import first_repeat
from fsp.verification.samples import Runs
from fsp.verification.verdict import Detectable, Finding, p_is, percent
from fsp.verification.verify import refuse_what_does_not_apply

TIMES = np.array([0.2, 0.4, 0.6, 0.8])


def dimers(square="P*(P-1)/2"):
    """Return production, dimerisation and decay; `square` is the number of pairs."""
    return fsp.Model(
        name="dimers",
        species={"P": 10, "D": 0},
        parameters={"make": 20.0, "pair": 0.06, "lose": 0.7},
        reactions=[
            fsp.Reaction("0 -> P", rate="make", name="making"),
            fsp.Reaction("2 P -> D", rate=f"pair*{square}", name="pairing"),
            fsp.Reaction("D -> 0", mass_action="lose", name="losing"),
        ],
    )


def direct_method(model, times, runs, rng, *, late=False):
    """Sample exactly, all runs at once; with `late` the state after the first jump past an output time is written."""
    x = np.repeat(model.initial_states, runs, axis=0)
    clock, counts = np.zeros(runs), np.zeros((runs, len(times), model.n_species), dtype=int)
    active = np.arange(runs)
    while len(active):
        rates = model.propensities(x[active])  # (n_reactions, n)
        total = rates.sum(axis=0)
        later = clock[active] + rng.exponential(size=len(active)) / np.maximum(total, 1e-300)
        choice = (np.cumsum(rates, axis=0) < rng.uniform(size=len(active)) * total).sum(axis=0)
        after = x[active] + model.change[choice]
        for k, t in enumerate(times):
            passed = (clock[active] <= t) & (t < later)
            counts[active[passed], k] = (after if late else x[active])[passed]
        x[active], clock[active] = after, later
        active = active[later <= times[-1]]
    return counts


class Sampler:
    """A simulator, right where its model is."""

    name = "sampler"

    def __init__(self, wrong=None):
        self.wrong = wrong

    def sample(self, model, times, runs, seed):
        return direct_method(self.wrong or model, times, runs, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def solution():
    return fsp.transient(dimers(), TIMES, tol=1e-9)


def test_the_direct_method_of_these_tests_passes(rng):
    report = fsp.verify(dimers(), direct_method(dimers(), TIMES, 3000, rng), TIMES, power=None)
    assert report.passed, str(report)


# ---- power


@pytest.mark.parametrize("place", [0, 1, 2])
def test_errors_of_the_printed_size_are_found_with_the_printed_probability(solution, rng, place):
    model, n, repeats = dimers(), 400, 25
    report = fsp.verify(model, direct_method(model, TIMES, n, rng), TIMES)
    one = report.detectable[place]
    assert one.parameter == ("make", "pair", "lose")[place]
    battery = Battery(tuple(solution), n)
    for factor in (1 + one.increase, 1 - one.decrease):
        wrong = model.with_parameters({one.parameter: one.value * factor})
        found = 0
        for _ in range(repeats):
            tests = battery.run(fsp.Runs(direct_method(wrong, TIMES, n, rng), TIMES, model.species))
            found += min(test.adjusted for test in tests) <= 1e-3
        assert found >= stats.binom.ppf(1e-5, repeats, 0.9)
        halved = model.with_parameters({one.parameter: one.value * (1 + (factor - 1) / 4)})
        tests = battery.run(fsp.Runs(direct_method(halved, TIMES, n, rng), TIMES, model.species))
        assert min(test.adjusted for test in tests) > 1e-6


def test_four_times_the_runs_find_half_the_error(rng):
    model = dimers()
    few, many = (fsp.verify(model, direct_method(model, TIMES, n, rng), TIMES).detectable for n in (1000, 4000))
    for one, other in zip(few, many, strict=True):
        assert one.relative / other.relative == pytest.approx(2, rel=0.15)


def test_reactions_without_parameters_are_named(rng):
    model = fsp.Model(species={"X": 20}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0, name="decay")])
    report = fsp.verify(model, direct_method(model, TIMES, 500, rng), TIMES)
    assert [one.parameter for one in report.detectable] == ["rate of decay"]


# ---- diagnosis


def explained(counts, model=None, times=TIMES):
    report = fsp.verify(model or dimers(), counts, times, power=None)
    assert report.verdict == "fail"
    assert report.explanations, str(report)
    return report.explanations[0]


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (dimers("P*P/2 * piecewise(0, P < 2, 1)"), "square"),
        (dimers("P*(P-1)"), "pairs-twice"),
        (dimers("P*(P-1)/4"), "pairs-half"),
        (variants.scaled(dimers(), {2: 0.0}), "missing"),
    ],
    ids=["square", "twice", "half", "missing"],
)
def test_wrong_propensities_are_named(wrong, name, rng):
    assert explained(direct_method(wrong, TIMES, 20_000, rng)).name == name


def test_a_wrong_constant_is_named_and_measured(rng):
    found = explained(direct_method(dimers().with_parameters(make=22.0), TIMES, 5000, rng))
    assert found.name == "rate"
    assert "'making'" in found.text
    assert float(found.text.split(" is ")[1].split()[0]) == pytest.approx(1.1, abs=0.02)


def test_concentrations_taken_as_amounts_are_named(rng):
    found = explained(direct_method(variants.in_volume(dimers(), 0.8), TIMES, 5000, rng))
    assert found.name == "volume"
    assert float(found.text.split()[-1]) == pytest.approx(1.25, abs=0.04)


def test_outputs_that_are_off_by_one_are_named(rng):
    model = dimers()
    grid = np.append(TIMES, 1.0)
    assert explained(direct_method(model, grid, 1000, rng)[:, 1:]).name == "index-after"
    assert explained(direct_method(model, np.append(0.0, TIMES), 1000, rng)[:, :-1]).name == "index-before"
    assert explained(direct_method(model, TIMES, 1500, rng, late=True)).name == "after-jump"


@pytest.mark.parametrize(("change", "words"), [((1, 0), "P too many"), ((-1, 0), "P too few"), ((0, 1), "D too many")])
def test_starts_that_are_off_by_one_are_named(change, words, rng):
    model = dimers()
    begun = model.starting_in(model.initial_states + np.array(change), model.initial_probabilities)
    found = explained(direct_method(begun, TIMES, 2000, rng))
    assert (found.name, found.text) == ("start", f"runs start with one {words}")


def births_and_deaths(start=5):
    """Return a species that is made and lost, and may come back from 0."""
    reactions = [fsp.Reaction("0 -> X", rate=5.0), fsp.Reaction("X -> 0", mass_action=1.0)]
    return fsp.Model(species={"X": start}, reactions=reactions)


def branching():
    """Return a species that dies out for ever."""
    reactions = [fsp.Reaction("X -> 2 X", mass_action=1.0), fsp.Reaction("X -> 0", mass_action=1.0)]
    return fsp.Model(species={"X": 4}, reactions=reactions)


LEFT_OUT_TIMES = [0.5, 1.0, 2.0]


@pytest.mark.parametrize("when", ["at any time", "at an output time", "at the last output time"])
def test_runs_that_are_left_out_for_large_counts_are_named(when, rng):
    grid = np.linspace(0, 2, 401)[1:]
    counts = direct_method(births_and_deaths(), grid, 4000, rng)[:, :, 0]
    outputs = counts[:, [99, 199, 399]]
    judged = {"at any time": counts, "at an output time": outputs, "at the last output time": outputs[:, -1:]}[when]
    found = explained(outputs[(judged <= 8).all(axis=1)][:, :, None], births_and_deaths(), LEFT_OUT_TIMES)
    assert (found.name, found.text) == ("discarded", f"runs with X > 8 {when} are left out")


def test_runs_that_are_left_out_where_they_die_out_are_named(rng):
    """A run that died out stays so, and when it is judged does not matter: one rule has one name."""
    counts = direct_method(branching(), LEFT_OUT_TIMES, 3000, rng)
    report = fsp.verify(branching(), counts[counts[:, -1, 0] > 0], LEFT_OUT_TIMES, power=None)
    assert [finding.text for finding in report.explanations] == ["runs with X = 0 at any time are left out"]


def test_the_law_of_runs_that_are_left_out_is_that_of_a_small_chain_by_hand():
    """One molecule that lives with probability e^-t: those that live at 2 were there at 1."""
    model = fsp.Model(species={"X": 2}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    chain = VisitedChain.of(model, np.array([1.0, 2.0]))
    first, last = chain.law(DiscardRule(0, 1, above=False, when="last"))
    alive, later = np.exp(-1.0), np.exp(-2.0)
    both = alive**2 * (1 - (1 - alive) ** 2)  # two at 1, and one at least at 2
    one = 2 * alive * (1 - alive) * alive
    assert first.probabilities[first.states[:, 0] == 2] == pytest.approx(both / (both + one), abs=1e-9)
    assert last.probabilities[last.states[:, 0] == 2] == pytest.approx(later**2 / (1 - (1 - later) ** 2), abs=1e-9)


@pytest.mark.parametrize("model", [births_and_deaths(), branching(), dimers()], ids=["births", "branching", "dimers"])
def test_of_right_runs_neither_start_nor_choice_is_named(model, rng):
    """Nor where another mistake was made: a rate that is off does not look like either."""
    counts = direct_method(model, LEFT_OUT_TIMES, 3000, rng)
    assert not fsp.verify(model, counts, LEFT_OUT_TIMES, power=None).findings
    fast = direct_method(variants.scaled(model, {0: 1.4}), LEFT_OUT_TIMES, 3000, rng)
    found = fsp.verify(model, fast, LEFT_OUT_TIMES, power=None).explanations
    assert found[0].name not in ("start", "discarded")


def test_truncated_counts_are_named(rng):
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=40.0)])
    counts = rng.poisson(40 * TIMES, size=(2000, len(TIMES)))[:, :, None]
    assert explained(np.minimum(counts, 31), model).name == "capped"
    assert explained(counts % 32, model).name == "wrapped"


def test_what_marginals_alone_reject_is_named():
    """Of several species the joint distribution has few cells in each, and none where counts of one end."""
    rng = np.random.default_rng(5)  # a joint test at these samples must pass
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        reactions=[fsp.Reaction("0 -> X", rate=3.0), fsp.Reaction("0 -> Y", rate=16.0)],
    )
    counts = rng.poisson(np.array([3.0, 16.0]), size=(4000, 1, 2))
    report = fsp.verify(model, np.minimum(counts, 25), [1.0], power=None)
    assert {test.kind for test in report.rejected} == {"marginal"}
    assert [finding.name for finding in report.explanations] == ["capped"]


def test_tau_leaping_is_named(solution, rng):
    found = tau_leaping(dimers(), TIMES, 0.1, tuple(solution))
    counts = np.stack([one.states[rng.choice(len(one), 4000, p=one.probabilities)] for one in found], axis=1)
    report = fsp.verify(dimers(), counts, TIMES, power=None)
    names = [finding.name for finding in report.explanations]
    assert "tau-leaping" in names


def test_seeds_that_are_used_again_are_named(rng):
    counts = direct_method(dimers(), TIMES, 150, rng)[rng.integers(0, 150, 1500)]
    assert explained(counts).name == "seeds"


@pytest.mark.parametrize("blocks", [[0, 1, 0, 1, 0], [0, 0, 1, 1]])
def test_blocks_that_repeat_are_named_though_right_runs_are_often_alike(rng, blocks):
    """Of few states the first of equal runs are no sample: those that were made before the first repeat are one."""
    model = fsp.Model(species={"X": 6}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    made = direct_method(model, TIMES, 400, rng).reshape(2, 200, len(TIMES), 1)
    report = fsp.verify(model, np.concatenate([made[number] for number in blocks]), TIMES, power=None)
    assert report.verdict == "fail"
    assert [finding.name for finding in report.explanations] == ["seeds"]


def test_the_first_runs_that_repeat_are_left_out(rng):
    """Where the runs before the first repeat fail too, seeds alone explain nothing."""
    model = fsp.Model(species={"X": 6}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    begun = np.minimum(direct_method(model, TIMES, 400, rng) + 1, 6)
    runs = Runs(np.concatenate([begun, begun]), np.array(TIMES), ("X",))
    battery = Battery(tuple(fsp.transient(model, TIMES, 1e-9)), runs.n)
    assert first_repeat(runs, battery, 1e-3) == 400
    assert first_repeat(Runs(begun, runs.times, ("X",)), battery, 1e-3) is None
    report = fsp.verify(model, runs.counts, TIMES, power=None)
    assert "seeds" not in [finding.name for finding in report.explanations]


def test_a_wrong_mean_is_no_dependence_between_runs(rng):
    model = fsp.Model(species={"X": 30}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    noise = rng.normal(size=900)
    related = noise.copy()
    for i in range(1, 900):
        related[i] = 0.3 * related[i - 1] + np.sqrt(1 - 0.3**2) * noise[i]
    for normal, depend in ((noise, False), (related, True)):
        counts = stats.binom.ppf(stats.norm.cdf(normal), 30, 0.55)[:, None, None]
        report = fsp.verify(model, counts, [1.0], power=None)
        assert "serial" in {test.kind for test in report.rejected}
        assert ("dependence" in [finding.name for finding in report.findings]) == depend


def test_nothing_left_is_no_limit_of_counts():
    report = fsp.verify(dimers(), np.zeros((300, len(TIMES), 2), dtype=int), TIMES, power=None)
    assert report.verdict == "fail"
    assert not {"capped", "wrapped"} & {finding.name for finding in report.findings}


def test_outputs_that_begin_with_the_start_are_named(rng):
    model = fsp.Model(species={"X": 30}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    late = direct_method(model, [0.0, 1.0, 1.3], 400, rng)
    report = fsp.verify(model, late, [1.0, 1.3, 1.6], power=None)
    assert report.explanations[0].name == "index-before"


def test_a_finding_without_a_law_has_no_likelihood():
    assert str(Finding("reader", "the file is misread", 0.0, True)) == "the file is misread (fits)"
    assert str(Finding("rate", "r", 3.0, False)) == "r (does not fit, log-likelihood +3.0)"


def test_sizes_and_p_values_are_written_as_people_do():
    assert [percent(size) for size in (0.0284, 1.5, 14.72)] == ["2.8 %", "150 %", "1,500 %"]
    assert [p_is(p) for p in (0.02, 0.0)] == ["p = 0.02", "p < 1e-300"]
    assert str(Detectable("k", 0.1, 1.5, np.inf, 0.9, "mean")) == "k = 0.1: +150 %, none downwards"


def test_two_times_are_told_in_words(rng):
    counts = direct_method(dimers(), TIMES, 400, rng)
    for k in (1, 2, 3):
        rng.shuffle(counts[:, k])
    report = fsp.verify(dimers(), counts, TIMES, power=None)
    where = next(test.where for test in report.rejected if test.kind == "two-time")
    assert re.fullmatch(r"[PD] <= \d+( at t = [\d.]+)?( where [PD] (<=|>) \d+.*)?: .* runs, expected .*", where), where


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"require": 5}, "at most 0.99, such as 0.05 for 5 %, but is 5"),
        ({"require": "5%"}, "`require` must be a number"),
        ({"until_detectable": 5.0}, "`until_detectable` must be a number"),
        ({"runs": 0}, "`runs` must be a whole number of 1 or more, but is 0"),
        ({"runs": 2.5}, "`runs` must be a whole number"),
        ({"species": "PD"}, "`species` must be a list of names"),
        ({"power": "x"}, "`power` must be a probability"),
        ({"simulator": 3}, r"object with `name` and `sample\(model, times, runs, seed\)`, but is 3"),
    ],
)
def test_arguments_of_another_kind_are_refused(given, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.verify(dimers(), times=TIMES, **{"simulator": "fsp", **given})


def test_after_jump_is_one_step_of_the_embedded_chain():
    reactions = [fsp.Reaction("X -> 0", mass_action=3.0), fsp.Reaction("0 -> X", rate="2*X")]
    model = fsp.Model(species={"X": 2}, reactions=reactions)
    start = fsp.Distribution(np.array([[0], [1], [2]]), [0.5, 0.3, 0.2], ("X",), t=0.0, error=fsp.ErrorLedger())
    moved = after_jump(model, start)
    expected = {0: 0.5 + 0.3 * 0.6, 1: 0.2 * 0.6, 2: 0.3 * 0.4, 3: 0.2 * 0.4}
    assert dict(zip(moved.states[:, 0].tolist(), moved.probabilities.tolist(), strict=True)) == pytest.approx(expected)


# ---- sequential


def test_runs_are_taken_until_an_error_is_detectable():
    lines = []
    report = fsp.verify(
        dimers(),
        simulator=Sampler(),
        times=TIMES,
        until_detectable=0.3,
        runs=500,
        progress=lambda moment: lines.append(moment.status),
    )
    assert report.passed
    assert max(one.relative for one in report.detectable) <= 0.3
    assert report.n in (1000, 2000, 4000)
    assert report.level < report.alpha
    assert any("look 2" in line for line in lines)


def test_a_wrong_simulator_fails_early_and_a_limit_leaves_it_undecided():
    wrong = Sampler(dimers().with_parameters(make=40.0))
    report = fsp.verify(dimers(), simulator=wrong, times=TIMES, until_detectable=0.01, diagnosis=False)
    assert (report.verdict, report.n) == ("fail", 1000)
    report = fsp.verify(dimers(), simulator=Sampler(), times=TIMES, until_detectable=0.01, max_runs=2000)
    assert (report.verdict, report.n, report.exit_code) == ("undecided", 2000, 2)
    assert "not of 1 %" in str(report)


def test_a_simulator_that_gives_something_else_is_refused():
    class Odd(Sampler):
        def sample(self, model, times, runs, seed):
            return super().sample(model, times, runs - 1, seed)

    with pytest.raises(fsp.ArgumentError, match="must give 50 runs, but gave 49"):
        fsp.verify(dimers(), simulator=Odd(), times=TIMES, runs=50)
    with pytest.raises(fsp.ArgumentError, match="`times`"):
        fsp.verify(dimers(), simulator=Sampler())
    with pytest.raises(fsp.ArgumentError, match="`samples` or `simulator`"):
        fsp.verify(dimers())
    with pytest.raises(fsp.ArgumentError, match="`until_detectable`"):
        fsp.verify(dimers(), simulator=Sampler(), times=TIMES, until_detectable=0.0)


@pytest.mark.parametrize(
    ("samples", "given"),
    [
        ("runs", {"claimed": 1e-3}),
        ("runs", {"seed": 2}),
        ("runs", {"max_runs": 10}),
        ("runs", {"until_detectable": 0.1}),
        ("runs", {"runs": 3}),
        ("answer", {"file": "model.xml"}),
        ("answer", {"runs": 3}),
        ("answer", {"seed": 2}),
        ("answer", {"tol": 1e-6}),
        ("answer", {"species": ["P"]}),
        ("answer", {"times": TIMES}),
        ("simulator", {"claimed": 1e-3}),
        ("simulator", {"max_runs": 10}),
    ],
)
def test_arguments_that_do_not_apply_are_refused(solution, samples, given):
    of = {
        "runs": {"samples": np.zeros((3, 4, 2), dtype=int), "times": TIMES},
        "answer": {"samples": solution},
        "simulator": {"simulator": Sampler(), "times": TIMES},
    }
    with pytest.raises(fsp.ArgumentError, match=f"`{min(given)}`"):
        fsp.verify(dimers(), **of[samples], **given)


def test_some_species_of_a_simulator_are_looked_at():
    report = fsp.verify(dimers(), simulator=Sampler(), times=TIMES, runs=200, species=["D"], power=None)
    assert report.species == ("D",)
    assert report.passed


def test_what_does_not_apply_is_named():
    given = dict.fromkeys(("runs", "until_detectable", "max_runs"))
    refuse_what_does_not_apply(given, np.zeros(3))
    with pytest.raises(fsp.ArgumentError, match="must go with a simulator that is asked, but is given with samples"):
        refuse_what_does_not_apply({**given, "seed": 1}, np.zeros(3))


# ---- the command

ANTIMONY = """model decay
  compartment cell = 1;
  substanceOnly species X in cell;
  losing: X => ; k*X;
  X = 20; k = 1;
end
"""


@pytest.fixture
def folder(tmp_path, rng):
    (tmp_path / "decay.ant").write_text(ANTIMONY)
    for name, k in (("good", 1.0), ("bad", 1.3)):
        x = np.full(800, 20)
        rows, earlier = [], 0.0
        for t in (0.5, 1.0):
            x, earlier = rng.binomial(x, np.exp(-k * (t - earlier))), t
            rows += [f"{run},{t},{count}" for run, count in enumerate(x)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["run,time,X", *rows]) + "\n")
    return tmp_path


def run(*words):
    return CliRunner().invoke(main, ["verify", *map(str, words)])


def test_the_command_passes_and_fails_by_its_exit_status(folder):
    good = run(folder / "decay.ant", "--samples", folder / "good.csv", "--out", folder / "report.xml", "--quiet")
    assert good.exit_code == 0, good.output
    assert "PASS" in good.output
    assert ElementTree.parse(folder / "report.xml").getroot().get("failures") == "0"
    words = "--samples", folder / "bad.csv", "--json", "--quiet", "--no-power"
    bad = run(folder / "decay.ant", *words, "--out", folder / "report.html")
    assert bad.exit_code == 1
    record = json.loads(bad.stdout)
    assert record["findings"][0]["fits"]
    assert "losing" in record["findings"][0]["text"]
    assert "FAIL" in (folder / "report.html").read_text()
    one = run(folder / "decay.ant", "--samples", folder / "bad.csv", "--set", "k=1.3", "--quiet", "--times", "1")
    assert one.exit_code == 0, one.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "One of `--samples`"),
        (("--samples", "none.csv"), "does not"),
        (("--samples", "good.csv", "--out", "report.docx"), "`--out`"),
        (("--samples", "good.csv", "--species", "Y"), "'Y'"),
        (("--samples", "good.csv", "--times", "0.7"), "t"),
        (("--samples", "good.csv", "--until-detectable", "0.1"), "`--until-detectable` must go with a simulator"),
        (("--samples", "good.csv", "--seed", "3"), "`--seed` must go with a simulator"),
        (("--samples", "good.csv", "--runs", "3"), "`--runs` must be left out"),
        (("--simulator", "fsp", "--times", "1", "--max-runs", "5"), "`--max-runs` must go with `--until-detectable`"),
        (("--samples", "good.csv", "--alpha", "3"), "`--alpha`"),
        (("--samples", "good.csv", "--simulator", "fsp"), "several are"),
        (("--simulator", "fsp", "--command", "x {model} {seed} {out}"), "both are"),
        (("--samples", "good.csv", "--processes", "2"), "`--processes` must come with"),
        (("--simulator", "fsp", "--timeout", "2"), "`--timeout` must come with"),
        (("--simulator", "fsp", "--option", "method=x"), "'method'"),
    ],
)
def test_the_command_refuses_by_status_2(folder, words, message, monkeypatch):
    monkeypatch.chdir(folder)
    found = run("decay.ant", *words, "--quiet")
    assert found.exit_code == 2
    assert message in found.output


BOTH_WAYS = fsp.Model(
    species={"A": 20, "B": 0},
    reactions=[fsp.Reaction("A -> B", mass_action=1.0, name="forth"), fsp.Reaction("B -> A", mass_action=0.3)],
)


@pytest.mark.parametrize(("times", "few"), [([0.5], False), ([0.5, 4.0], True)])
def test_how_many_runs_tell_mistakes_apart_is_said(times, few):
    """One number of A at one time fits one rate that is off, or all; the equilibrium tells them apart."""
    wrong = fsp.Model(
        species={"A": 20, "B": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.3), fsp.Reaction("B -> A", mass_action=0.3)],
    )
    report = fsp.verify(BOTH_WAYS, fsp.ssa(wrong, times, 200, seed=2), times, power=None)
    assert {"rate", "time-scale"} <= {one.name for one in report.findings}
    if few:
        assert report.explanations[0].name == "rate"
        assert "1,000,000 runs" not in str(report)
        return
    assert report.explanations[0].runs is None
    assert "more than 1,000,000 runs tell the best two apart at these times" in str(report)


def test_numbers_that_are_fitted_are_free_when_mistakes_are_told_apart():
    """At one time a factor of one rate gives the number of A that another factor of all rates gives."""
    runs = fsp.Runs(fsp.ssa(BOTH_WAYS, [0.5], 200, seed=2), [0.5], ("A", "B"))
    likelihood = SampleLikelihood.of(Battery(tuple(fsp.transient(BOTH_WAYS, [0.5], 1e-9)), 200), runs)
    origins, ranked = {}, []
    for family, number in ((one, 1.3) for one in families(BOTH_WAYS) if "'forth'" in one.text or "all" in one.text):
        law = tuple(fsp.transient(family.model(number), [0.5], 1e-9))
        mistake = Hypothesis(family.name, family.text, lambda law=law: law, free=1)
        origins[mistake] = family
        ranked.append((mistake, likelihood.masses(law)))
    assert len(ranked) == 2
    assert _apart(ranked, {}, runs.times, likelihood, 1e-3) < 10_000
    assert _apart(ranked, origins, runs.times, likelihood, 1e-3) is None


def test_a_finding_about_the_reader_hides_no_number_of_runs():
    laws = [Finding(name, name, gain, True, 700) for name, gain in (("rate", 9.0), ("time-scale", 8.0))]
    parts = {"model_name": "m", "model_hash": "", "n": 9, "times": (1.0,), "species": ("X",), "alpha": 1e-3}
    found = fsp.Report(**parts, tests=(), error=0.0, findings=(Finding("reader", "misread", 0.0, True), *laws))
    assert "about 700 runs tell the best two apart" in str(found)
    assert fsp.Report(**parts, tests=(), error=0.0, findings=tuple(laws[:1])).apart == ""


def test_it_is_said_where_no_mistake_gains(rng):
    """Half of the runs are right, and the other half at the mean: no law that is tried is so narrow."""
    right = np.bincount(rng.binomial(30, np.exp(-1.0), 400))
    right[11] += 400
    counts = {"time": 1.0, "species": "X", "value": np.arange(len(right)), "count": right}
    decay = fsp.Model(species={"X": 30}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    report = fsp.verify(decay, pd.DataFrame(counts), power=None)
    assert report.verdict == "fail"
    assert report.findings == ()
    assert "None of the mistakes that were tried makes these samples more likely" in str(report)
