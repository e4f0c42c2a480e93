"""Verification: p-values hold for exact samplers, wrong ones are caught, bad input is named."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

import fsp
from fsp.output.replace import is_marked
from fsp.verification import p_values
from fsp.verification.battery import Battery
from fsp.verification.binning import grow
from fsp.verification.other_solvers import Moments
from fsp.verification.passages import passage_law, verify_passages
from fsp.verification.reading import read_samples
from fsp.verification.report import WRITERS
from fsp.verification.slack import ScalarLaw, Slack
from fsp.verification.two_times import _expected

TIMES = [0.5, 1.0, 2.0]
TOTAL = 30


def isomerization(forth=1.0, back=0.5):
    return fsp.Model(
        name="isomerization",
        species={"A": TOTAL, "B": 0},
        parameters={"forth": forth, "back": back},
        reactions=[
            fsp.Reaction("A -> B", mass_action="forth", name="forth"),
            fsp.Reaction("B -> A", mass_action="back", name="back"),
        ],
    )


def isomerization_runs(rng, n, times=TIMES, forth=1.0, back=0.5):
    """Sample exactly: each molecule goes its own way, so the next count is a sum of two binomial ones."""
    counts = np.zeros((n, len(times), 2), dtype=int)
    a, earlier, rate = np.full(n, TOTAL), 0.0, forth + back
    for k, t in enumerate(times):
        gone = -np.expm1(-rate * (t - earlier))
        a = rng.binomial(a, 1 - forth / rate * gone) + rng.binomial(TOTAL - a, back / rate * gone)
        counts[:, k], earlier = np.stack([a, TOTAL - a], axis=1), t
    return counts


@pytest.fixture(scope="module")
def reference():
    return tuple(fsp.transient(isomerization(), TIMES, tol=1e-9))


def runs_of(counts, times=TIMES):
    return fsp.Runs(counts, np.array(times), ("A", "B"))


# ---- statistics


@pytest.mark.parametrize("n", [3, 40, 1000])
@pytest.mark.parametrize("z", [0.5, 2.0, 5.0])
def test_tail_of_a_mean_is_a_bound_of_the_exact_tail(n, z):
    size, chance = 12, 0.3
    x = np.arange(size + 1.0)
    law = ScalarLaw.largest(x, stats.binom.pmf(x, size, chance), Slack())
    least = int(np.ceil(n * size * chance + z * np.sqrt(n * size * chance * (1 - chance))))
    exact = stats.binom.sf(least - 1, n * size, chance)
    bound = p_values.mean_at_least(law, n, least / n)
    assert bound >= exact * (1 - 1e-9)
    if n == 1000:
        assert bound <= 2 * exact


def test_largest_law_is_above_all_that_the_slack_admits(rng):
    values, slack = np.arange(6.0), Slack(0.05, 0.03)
    masses = rng.dirichlet(np.ones(6)) * 0.98
    law = ScalarLaw.largest(values, masses, slack)
    assert law.weights.sum() == pytest.approx(1)
    for place in range(6):  # all slack in one state
        other = masses.copy()
        other[place] += 0.05
        assert all(law.weights[values > v].sum() >= min(1, other[values > v].sum()) - 1e-12 for v in values)


@pytest.mark.parametrize("mass", [0.999, 1.0, 1.0009])
def test_the_slack_of_a_reference_is_what_its_error_allows(mass):
    """Its probability may exceed one by its error: an event may then have all of that too much."""
    q = np.array([0.5, 0.3, 0.2]) * mass
    d = fsp.Distribution(np.arange(3)[:, None], q, ["X"], t=1.0, error=fsp.ErrorLedger(integration=1e-3))
    slack = Slack.of(d)
    low, high = slack.interval(q)
    assert slack.up == pytest.approx((1e-3 + 1.0 - mass) / 2, abs=1e-13)
    assert slack.down == pytest.approx((1e-3 - 1.0 + mass) / 2, abs=1e-13)
    for place in range(3):  # all of the error in one state, and the mass right
        for sign in (1.0, -1.0):
            p = q[place] + (1.0 - mass) / 2 + sign * 5e-4
            assert low[place] <= p <= high[place]
            assert p in d.probability({"X": place})


def test_binomial_p_values_hold_for_all_probabilities_between_the_ends():
    n, counts = 25, np.arange(26)
    p = p_values.binomial(counts, np.full(26, n), np.full(26, 0.3), np.full(26, 0.4))
    for chance in (0.3, 0.34, 0.4):
        pmf = stats.binom.pmf(counts, n, chance)
        assert all(pmf[p <= level].sum() <= level + 1e-12 for level in p)


def test_holm():
    assert p_values.holm(np.array([0.04, 0.01, 0.5])) == pytest.approx([0.08, 0.03, 0.5])


def test_splits_of_a_tree_partition_all_runs(rng):
    states = np.stack(np.meshgrid(np.arange(12), np.arange(9), indexing="ij"), axis=-1).reshape(-1, 2)
    probabilities = rng.dirichlet(np.ones(len(states)))
    tree = grow(states, probabilities, 1000, 20)
    masses = tree.masses(states, probabilities)
    assert len(masses) == 19
    assert masses[0].sum() == pytest.approx(1)
    for number, split in enumerate(tree.splits[1:], start=1):
        assert masses[number].sum() == pytest.approx(masses[split.parent, 0 if split.is_left else 1])
    assert masses.min() * 1000 >= 5
    far = tree.masses(np.array([[500, 500]]), np.array([3.0]))
    assert far[0].sum() == 3


# ---- exact samplers pass


def test_p_values_hold_for_an_exact_sampler(reference, rng):
    battery, repeats = Battery(reference, 150), 150
    found = [battery.run(runs_of(isomerization_runs(rng, 150))) for _ in range(repeats)]
    p = np.array([[test.p for test in tests] for tests in found])  # (repeats, n_tests)
    for level in (0.5, 0.1, 0.02):
        allowed = stats.binom.isf(1e-7, repeats, level)
        assert ((p <= level).sum(axis=0) <= allowed).all()
    kinds = {test.kind for test in found[0]}
    assert kinds == {"support", "joint", "marginal", "band", "mean", "variance", "repeats", "memory", "serial"}
    family = np.array([min(test.adjusted for test in tests) for tests in found])
    assert (family <= 0.1).sum() <= stats.binom.isf(1e-7, repeats, 0.1)


def test_a_reference_that_is_off_by_its_error_raises_no_alarm(rng):
    true = fsp.transient(isomerization(), [1.0], tol=1e-10)[0]
    wrong = true.probabilities.copy()
    top = int(np.argmax(wrong))
    wrong[top] -= 0.1
    moved = fsp.Distribution(
        np.vstack([true.states, [[200, 0]]]),
        np.append(wrong, 0.1),
        true.species,
        t=1.0,
        error=fsp.ErrorLedger(truncation=0.2),
    )
    tests = Battery((moved,), 20_000).run(runs_of(isomerization_runs(rng, 20_000, [1.0]), [1.0]))
    assert min(test.adjusted for test in tests) > 1e-3
    without = fsp.Distribution(
        moved.states, moved.probabilities, true.species, t=1.0, error=fsp.ErrorLedger(truncation=1e-6)
    )
    tests = Battery((without,), 20_000).run(runs_of(isomerization_runs(rng, 20_000, [1.0]), [1.0]))
    assert min(test.adjusted for test in tests) < 1e-10


def test_verify_passes_an_exact_sampler_at_all_sizes(rng):
    for n in (1, 20, 3000):
        report = fsp.verify(isomerization(), isomerization_runs(rng, n), TIMES)
        assert report.passed
        assert report.exit_code == 0
        assert report.n == n


# ---- wrong samplers fail


def rejected_kinds(report):
    return {test.kind for test in report.rejected}


def test_a_wrong_rate_is_caught_and_said_where(rng):
    report = fsp.verify(isomerization(), isomerization_runs(rng, 2000, forth=1.1), TIMES)
    assert report.verdict == "fail"
    assert {"mean", "marginal", "joint", "band"} <= rejected_kinds(report)
    assert "expected" in report.rejected[0].where
    assert report.exit_code == 1


def test_a_state_that_cannot_be_is_caught_in_one_run(rng):
    counts = isomerization_runs(rng, 500)
    counts[7, 1] = 31, 0
    report = fsp.verify(isomerization(), counts, TIMES)
    assert rejected_kinds(report) == {"support"}
    assert "A = 31" in report.rejected[0].where


def test_a_spread_of_the_right_mean_is_caught(rng):
    counts = isomerization_runs(rng, 4000)
    counts[::2] = counts[1::2]  # each run twice: means vary more, and neighbours are equal
    report = fsp.verify(isomerization(), counts, TIMES)
    assert {"repeats", "serial", "memory"} <= rejected_kinds(report)


def test_blocks_that_repeat_are_caught(rng):
    counts = isomerization_runs(rng, 400)
    report = fsp.verify(isomerization(), np.concatenate([counts, counts]), TIMES)
    assert "repeats" in rejected_kinds(report)
    assert "run i + 400" in next(test.where for test in report.rejected if test.kind == "repeats")


def test_seeds_reused_in_any_order_are_caught(rng):
    counts = isomerization_runs(rng, 200)[rng.integers(0, 200, 1000)]
    assert "memory" in rejected_kinds(fsp.verify(isomerization(), counts, TIMES))


def test_a_joint_distribution_with_the_right_marginals_is_caught(rng):
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        reactions=[
            fsp.Reaction("0 -> X + Y", rate=6.0),
            fsp.Reaction("X -> 0", mass_action=1.0),
            fsp.Reaction("Y -> 0", mass_action=1.0),
        ],
    )
    dist = fsp.transient(model, [1.0], tol=1e-8)[0]
    place = rng.choice(len(dist), size=5000, p=dist.probabilities / dist.mass)
    counts = dist.states[place][:, None, :].copy()
    assert fsp.verify(model, counts, [1.0]).passed
    counts[:, 0, 1] = rng.permutation(counts[:, 0, 1])
    assert rejected_kinds(fsp.verify(model, counts, [1.0])) - {"support"} == {"joint"}


def test_times_that_are_sampled_each_by_itself_are_caught(rng):
    counts = isomerization_runs(rng, 2000, [0.5, 0.7])
    assert fsp.verify(isomerization(), counts, [0.5, 0.7]).passed
    counts[:, 1] = rng.permutation(counts[:, 1])
    report = fsp.verify(isomerization(), counts, [0.5, 0.7])
    assert rejected_kinds(report) == {"two-time"}
    assert [finding.name for finding in report.explanations] == ["two-time"]


def test_the_law_at_two_times_is_that_of_independent_molecules():
    model = isomerization()
    first = fsp.transient(model, [0.5], tol=1e-10)[0]
    expected, median = _expected(model, first, 0.7, "A", 1000)
    a = np.arange(TOTAL + 1)
    start, forth, back = (stats.binom.pmf(a, TOTAL, _stay(0.5)), _stay(0.2), _return(0.2))
    for half in (0, 1):
        held = (a > median) == half
        law = sum(
            start[x] * np.convolve(stats.binom.pmf(a, x, forth), stats.binom.pmf(a, TOTAL - x, back))[: TOTAL + 1]
            for x in a[held]
        )
        own = expected.states[:, 0] == half
        gaps = law[expected.states[own, 1]] - expected.probabilities[own]
        assert np.abs(gaps).max() <= expected.slack.up + 1e-12


def _stay(t):
    return (0.5 + np.exp(-1.5 * t)) / 1.5


def _return(t):
    return 0.5 * -np.expm1(-1.5 * t) / 1.5


# ---- histograms and summaries


def test_summaries_are_tested_as_the_runs_are(rng):
    for forth, verdict in ((1.0, "pass"), (1.1, "fail")):
        counts = isomerization_runs(rng, 5000, forth=forth)
        summary = fsp.Summary(counts.mean(axis=0), counts.std(axis=0, ddof=1), 5000, TIMES, ("A", "B"))
        report = fsp.verify(isomerization(), summary)
        assert report.verdict == verdict
        assert {test.kind for test in report.tests} == {"mean", "variance"}
    narrow = fsp.Summary(counts.mean(axis=0), counts.std(axis=0) * 0.9, 5000, TIMES, ("A", "B"))
    assert "variance" in rejected_kinds(fsp.verify(isomerization(), narrow))


def test_the_suites_statistics_are_reported_by_name(rng):
    counts = isomerization_runs(rng, 1000, [1.0])
    dist = fsp.transient(isomerization(), [1.0], tol=1e-9)[0]
    report = fsp.verify(isomerization(), counts, [1.0])
    z = next(test.statistic for test in report.tests if test.kind == "mean")
    y = next(test.statistic for test in report.tests if test.kind == "variance")
    assert z == pytest.approx(np.sqrt(1000) * (counts[:, 0, 0].mean() - dist.mean()["A"]) / dist.std()["A"])
    assert y == pytest.approx(np.sqrt(500) * (counts[:, 0, 0].var(ddof=1) / dist.variance()["A"] - 1))
    assert "|Z|" in str(report)


# ---- first passage


def test_passage_times_of_a_pure_birth_are_gamma(rng):
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> X", rate=3.0)])
    times = np.array([0.5, 1.0, 2.0])
    law, slack, _, _ = passage_law(model, "X >= 4", times)
    assert np.abs(law - stats.gamma.cdf(times, 4, scale=1 / 3)).max() <= slack.up + 1e-12
    passages = rng.gamma(4, 1 / 3, 3000)
    passages[passages > 2] = np.nan
    assert verify_passages(model, "X >= 4", passages, 2.0).passed
    assert verify_passages(model, "X >= 4", passages * 1.1, 2.0).verdict == "fail"
    assert verify_passages(model, "X >= 5", passages, 2.0).verdict == "fail"
    for given, until in (([-1.0], 2.0), ([], 2.0), ([1.0], 0.0)):
        with pytest.raises(fsp.ArgumentError):
            verify_passages(model, "X >= 4", given, until)
    with pytest.raises(fsp.ArgumentError, match="a number"):
        verify_passages(model, "X + 4", passages, 2.0)


# ---- other solvers


def test_answers_of_solvers_are_held_to_what_they_claim():
    model = isomerization()
    good = fsp.transient(model, TIMES, tol=1e-5)
    assert fsp.verify(model, good, claimed=1e-5).passed
    for one, factor, verdict in ((good[-1], 0.999, "fail"), (good[-1], 1 - 1e-7, "pass")):
        scaled = replace(one, probabilities=one.probabilities * factor, error=fsp.ErrorLedger(integration=1e-5))
        report = fsp.verify(model, scaled)
        assert report.verdict == verdict
        assert ("1-norm" in str(report)) == (verdict == "fail")
    exact = replace(good[-1], error=fsp.ErrorLedger())
    assert fsp.verify(model, exact, claimed=1e-14).verdict != "pass"


def test_moments_of_solvers_are_held_to_what_they_claim():
    model = isomerization()
    a = np.array([TOTAL * _stay(t) for t in TIMES])
    variance = np.array([TOTAL * _stay(t) * (1 - _stay(t)) for t in TIMES])
    mean, std = np.stack([a, TOTAL - a], axis=1), np.sqrt(np.stack([variance, variance], axis=1))
    assert fsp.verify(model, Moments(mean, std, TIMES, ("A", "B")), claimed=1e-6).passed
    for wrong in (Moments(mean * (1 + 1e-4), std, TIMES, ("A", "B")), Moments(mean, std * 1.001, TIMES, ("A", "B"))):
        assert fsp.verify(model, wrong, claimed=1e-6).verdict == "fail"
    with pytest.raises(fsp.ArgumentError, match="`claimed`"):
        fsp.verify(model, Moments(mean, std, TIMES, ("A", "B")))


# ---- reading


@pytest.fixture
def files(tmp_path, rng):
    """Write the same runs in all forms."""
    import h5py
    import pandas

    counts = isomerization_runs(rng, 12)
    rows = [(run, t, *counts[run, k]) for run in range(12) for k, t in enumerate(TIMES)]
    wide = pandas.DataFrame(rows, columns=["run", "time", "A", "B"])
    wide.sample(frac=1, random_state=1).to_csv(tmp_path / "wide.csv", index=False)
    wide.drop(columns="run").to_csv(tmp_path / "restarts.csv", index=False)
    wide.melt(["run", "time"], var_name="species").to_csv(tmp_path / "long.csv", index=False)
    wide.to_csv(tmp_path / "tabs.tsv", index=False, sep="\t")
    (tmp_path / "blanks.dat").write_text(wide.to_string(index=False))
    off = wide.assign(time=wide.time * (1 + 1e-15 * (wide.run % 3)))
    off.to_csv(tmp_path / "rounded.csv", index=False)
    (tmp_path / "runs").mkdir()
    for run in range(12):
        own = wide[wide.run == run].drop(columns="run")
        own.to_csv(tmp_path / "runs" / f"{run:02}.csv", index=False)
        lines = ["#          time           A           B", *(f"  {t:.8e}  {a:.8e}  {b:.8e}" for t, a, b in own.values)]
        (tmp_path / "runs").with_name(f"{run:02}.gdat").write_text("\n".join(lines) + "\n")
    with h5py.File(tmp_path / "runs.h5", "w") as file:
        file["samples"], file["time"] = counts, TIMES
        file["species"] = ["A", "B"]
    return tmp_path, counts, wide


@pytest.mark.parametrize(
    "name",
    [
        "wide.csv",
        "restarts.csv",
        "long.csv",
        "tabs.tsv",
        "blanks.dat",
        "rounded.csv",
        "runs",
        "runs/*.csv",
        "*.gdat",
        "runs.h5",
    ],
)
def test_all_forms_hold_the_same_runs(files, name):
    folder, counts, _ = files
    found = read_samples(folder / name, ("A", "B"))
    np.testing.assert_array_equal(found.counts, counts)
    np.testing.assert_array_equal(found.times, TIMES)


def test_tables_and_labelled_arrays_hold_the_same_runs(files):
    import xarray

    _, counts, wide = files
    labels = xarray.DataArray(counts, dims=("run", "time", "species"), coords={"time": TIMES, "species": ["A", "B"]})
    for given in (wide, labels, labels.transpose("time", "species", "run"), labels.to_dataset("species")):
        np.testing.assert_array_equal(read_samples(given, ("A", "B")).counts, counts)
    swapped = read_samples(wide, ("B", "A"), [2.0])
    np.testing.assert_array_equal(swapped.counts, counts[:, 2:, ::-1])


def test_histograms_and_tables_of_means_are_read(tmp_path):
    (tmp_path / "histogram.csv").write_text("time,species,value,count\n1,A,3,10\n1,A,4,20\n")
    values, numbers = read_samples(tmp_path / "histogram.csv", ("A",)).of(0, "A")
    assert (values.tolist(), numbers.tolist()) == ([3, 4], [10, 20])
    (tmp_path / "means.csv").write_text("time,species,mean,sd,runs\n1,A,3.5,1.2,100\n2,A,4.5,1.5,100\n")
    found = read_samples(tmp_path / "means.csv", ("A",))
    assert (found.mean[:, 0].tolist(), found.std[:, 0].tolist(), found.n) == ([3.5, 4.5], [1.2, 1.5], 100)
    (tmp_path / "suite.csv").write_text("time,A-mean,A-sd\n0,100,0\n1,90,9\n")
    found = read_samples(tmp_path / "suite.csv", ("A",), runs=1000)
    assert (found.mean[:, 0].tolist(), found.n) == ([100, 90], 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run,time,A\n1,1,3\n", "lacks B"),
        ("run,A,B\n1,1,3\n", "column 'time'"),
        ("run,time,A,B\n1,1,3.5,2\n", "A in run 1 at t = 1 is 3.5"),
        ("run,time,A,B\n1,1,-3,2\n", "A in run 1 at t = 1 is -3"),
        ("seed,time,A,B\nx7,1,1,2\nx9,1,1,2.5\n", "B in run x9 at t = 1 is 2.5"),
        ("time 1 A B\n", "header only"),
        ("run,time,A,B\n1,1,,2\n", "Column 'A'"),
        ("run,time,A,B\n1,1,x,2\n", "Column 'A'"),
        ("run,time,A,B\n1,1,1,2\n1,1,1,2\n", "each time once"),
        ("run,time,A,B\n1,1,1,2\n1,2,1,2\n2,1,1,2\n", "each time once"),
        ("run,time,[A],[B]\n1,1,1,2\n", "concentration"),
        ("run,time,A,B\n1,1,1\n", "rows of 4 cells"),
        ("run,time,A,B\n1,1,1,2\n1,2,1\n", "as many cells"),
        ("hello\n", "columns with a header"),
    ],
)
def test_bad_tables_are_refused_by_name(tmp_path, text, message):
    path = tmp_path / "runs.csv"
    path.write_text(text)
    with pytest.raises(fsp.ArgumentError, match=message.replace("[", r"\[")):
        read_samples(path, ("A", "B"))


def test_a_run_that_is_a_file_is_named(tmp_path):
    for name, count in (("a.csv", 1), ("b.csv", 1.5)):
        (tmp_path / name).write_text(f"time,A\n1,{count}\n")
    with pytest.raises(fsp.ArgumentError, match=r"A in run b\.csv at t = 1 is 1.5"):
        read_samples(tmp_path, ("A",))


def test_trajectories_by_name_are_runs():
    runs = [{"time": np.array([0.5, 1.0]), "A": np.array([3.0, k]), "other": 1} for k in range(3)]
    np.testing.assert_array_equal(read_samples(runs, ("A",)).counts[:, 1, 0], [0, 1, 2])
    with pytest.raises(fsp.ArgumentError, match="Run 1 must have 'time'"):
        read_samples([runs[0], {"A": np.array([1.0])}], ("A",))


def test_short_times_are_not_taken_for_the_same():
    counts = np.arange(4).reshape(1, 4, 1)
    runs = fsp.Runs(counts, [0.0, 1e-12, 2e-12, 3e-12], ("A",))
    assert runs.select(np.array([2e-12]), ("A",)).counts.tolist() == [[[2]]]
    with pytest.raises(fsp.ArgumentError, match=r"must have the time 1\.5e-12"):
        runs.select(np.array([1.5e-12]), ("A",))


def test_bad_arrays_are_refused_by_name():
    model, good = isomerization(), np.ones((5, 3, 2), dtype=int)
    cases = [
        (dict(samples=good[:, :2]), "of shape"),
        (dict(samples=good * np.nan), "whole numbers"),
        (dict(samples=good, times=[2, 1, 3]), "must increase"),
        (dict(samples=good, times=None), "`times` must be given"),
        (dict(samples=good, alpha=2), "`alpha`"),
        (dict(samples=good, species=["A", "C"]), "has 'C'"),
        (dict(samples="nowhere.csv"), "does not"),
    ]
    for given, message in cases:
        with pytest.raises(fsp.ArgumentError, match=message):
            fsp.verify(model, **({"times": TIMES} | given))


# ---- reports


def test_reports_are_read_back(rng, tmp_path):
    report = fsp.verify(isomerization(), isomerization_runs(rng, 500, forth=1.3), TIMES, simulator="a & b < c")
    report.save(tmp_path / "report.json")
    record = json.loads((tmp_path / "report.json").read_text())
    assert record["verdict"] == "fail"
    assert sum(test["rejected"] for test in record["tests"]) == len(report.rejected)
    report.save(tmp_path / "report.xml")
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure")) == len(report.rejected)
    assert int(suite.get("tests")) == len(report.tests)
    for suffix in WRITERS:
        report.save(tmp_path / f"report{suffix}")
        assert is_marked(tmp_path / f"report{suffix}")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<svg") == page.count("</svg>") == 2
    assert "a &amp; b &lt; c" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    ).replace("https://matplotlib.org", "")  # names in the pictures' metadata
    with pytest.raises(fsp.ArgumentError, match=r"\.json"):
        report.save(tmp_path / "report.docx")


def test_reports_carry_what_reproduces_them(rng):
    class Sampler:
        name = "sampler"

        def sample(self, model, times, runs, seed):
            return isomerization_runs(rng, runs, times)

    report = fsp.verify(isomerization(), simulator=Sampler(), times=TIMES, runs=30, seed=17, power=None)
    assert report.origin.keys() == {"seed", "command", "date", "machine", "versions"}
    assert report.origin["seed"] == "17"
    assert json.loads(report.to_json())["origin"] == report.origin
    assert f"fsp {fsp.__version__}" in report.origin["versions"]
    for text in report.origin.values():
        assert text in str(report)


def test_all_rejected_tests_and_repeated_runs_are_shown(rng):
    counts = isomerization_runs(rng, 300, forth=1.5)
    counts[200:260] = counts[20:80]
    report = fsp.verify(isomerization(), counts, TIMES, power=None, diagnosis=False)
    assert len(report.rejected) > 10
    page = report.to_html()
    assert all(f"<td>{test.name}</td>" in page for test in report.rejected)
    assert f"<summary>{len(report.rejected) - 10} more</summary>" in page
    assert set(range(200, 260)) <= {later for _, later in report.repeated}
    assert all(first < later and (counts[first] == counts[later]).all() for first, later in report.repeated)
    first, later = report.repeated[0]
    assert f"Runs that repeat an earlier one: {later} = {first}, " in str(report)
    right = fsp.verify(isomerization(), isomerization_runs(rng, 300), TIMES, power=None, diagnosis=False)
    assert right.repeated == []


def test_pictures_are_of_differences_where_counts_vary(rng):
    from fsp.verification.page import _marginals, _p_values

    times = [0.0, *TIMES]
    counts = np.concatenate([np.tile([[[TOTAL, 0]]], (2000, 1, 1)), isomerization_runs(rng, 2000)], axis=1)
    report = fsp.verify(isomerization(), counts, times, power=None)
    drawn = _marginals(report, report.samples)
    titles = [axis.get_title() for axis in drawn.axes if axis.get_title()]
    assert titles == [f"t = {t:g}" for t in TIMES]
    assert {axis.get_xlabel() for axis in drawn.axes} == {"count of A", "count of B"}
    gaps = np.concatenate([patch.get_data().values for axis in drawn.axes for patch in axis.patches])
    assert np.abs(gaps).max() < 5
    seen = np.concatenate([line.get_ydata() for line in _p_values(report).axes[0].lines[:-1]])
    assert sorted(seen) == sorted(test.adjusted for test in report.tests)


def test_an_estimate_fails_nobody(rng):
    report = fsp.verify(isomerization(), isomerization_runs(rng, 500, forth=1.3), TIMES)
    doubtful = fsp.Report(
        **{name: getattr(report, name) for name in report.__dataclass_fields__} | {"certified": False}
    )
    assert doubtful.verdict == "undecided"
    assert doubtful.exit_code == 2
    assert ElementTree.fromstring(doubtful.to_junit()).get("failures") == "0"
