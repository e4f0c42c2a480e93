"""The tests of one set of samples: what a summary lacks, what a reference leaves open, and how they are named."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import fsp
from fsp.verification import p_values
from fsp.verification.battery import Battery, adjusted
from fsp.verification.expected import RARE
from fsp.verification.test import Test

N = 20  # runs, so few that n - 1 and n differ


def law(probabilities, error=0.0, species=("X",)):
    """Return a distribution on counts 0, 1, … of the first species, the others being zero."""
    states = np.zeros((len(probabilities), len(species)), dtype=np.int64)
    states[:, 0] = np.arange(len(probabilities))
    ledger = fsp.ErrorLedger(truncation=error)
    return fsp.Distribution(states, np.asarray(probabilities, dtype=float), species, t=1.0, error=ledger)


def by_kind(reference, samples):
    """Return the tests of samples at one time, by their kinds and species."""
    return {(test.kind, test.species): test for test in Battery((reference,), samples.n).run(samples)}


def runs(counts, species=("X",)):
    """Return samples of (n,) counts of the first species, the others being zero."""
    values = np.zeros((len(counts), 1, len(species)), dtype=np.int64)
    values[:, 0, 0] = counts
    return fsp.Runs(values, np.array([1.0]), species)


def summary(mean, std, n=N):
    return fsp.Summary(np.array([[mean]]), np.array([[std]]), n, [1.0], ("X",))


@pytest.mark.parametrize("error", [0.0, 2e-3])
def test_a_summary_has_the_spread_of_its_runs_about_the_exact_mean(rng, error):
    """Mean and standard deviation give the sum of squares; a run may be where the summary does not tell it."""
    reference = law(stats.binom.pmf(np.arange(13), 12, 0.4) * (1.0 - error / 2), error)
    counts = rng.binomial(12, 0.5, N)
    found = by_kind(reference, summary(counts.mean(), counts.std(ddof=1)))
    expected = Battery((reference,), N).marginal(0, "X")
    for kind, centre, values in (
        ("mean", None, counts),
        ("variance", expected.mean, np.square(counts - expected.mean)),
    ):
        moment = expected.moment(centre, expected.slack.up)
        exact = moment.p_value(N, float(values.mean())) + N * moment.beyond
        assert 1e-12 < found[kind, ("X",)].p < 1.0
        assert found[kind, ("X",)].p == pytest.approx(exact, rel=1e-9)


def test_a_run_where_the_reference_lacks_probability_is_no_alarm_in_a_summary():
    """It lacks 1e-3, so that one of 20 runs is a million away with a probability of 2 % or less."""
    reference = law(stats.binom.pmf(np.arange(13), 12, 0.4) * (1.0 - 1e-3), 1e-3)
    counts = np.append(np.full(N - 1, 5), 10**6)
    found = by_kind(reference, summary(counts.mean(), counts.std(ddof=1)))
    for kind in ("mean", "variance"):
        assert -np.expm1(N * np.log1p(-1e-3)) <= found[kind, ("X",)].p <= 0.05


def test_a_count_that_cannot_vary_is_held_to_its_value():
    reference = law([0.0, 0.0, 0.0, 1.0])
    assert {test.p for test in by_kind(reference, summary(3.0, 0.0)).values()} == {1.0}
    for mean, std in ((2.0, 0.0), (3.25, 0.25)):
        found = by_kind(reference, summary(mean, std))
        assert min(test.p for test in found.values()) < 1e-6
    varied = law(stats.binom.pmf(np.arange(13), 12, 0.5))
    assert by_kind(varied, summary(0.0, 0.0))["mean", ("X",)].p < 1e-6  # each run at the least of many counts


def test_runs_in_states_that_are_not_stored_are_as_many_as_the_error_allows():
    """Of 1000 runs 10 may be where the reference lacks a hundredth, 50 may not."""
    reference = law(stats.binom.pmf(np.arange(13), 12, 0.4) * (1.0 - 1e-2), 1e-2)
    for far, alarms in ((10, False), (50, True)):
        counts = np.append(np.full(1000 - far, 5), np.full(far, 40))
        test = by_kind(reference, runs(counts))["support", ("X",)]
        assert test.statistic == far
        assert test.p == pytest.approx(min(1.0, 2 * stats.binom.sf(far - 1, 1000, 1e-2 + RARE / 1000)), rel=1e-6)
        assert (test.p < 1e-10) == alarms
        assert f"{far} runs in states of probability below" in test.where


def test_tests_bear_the_species_that_they_look_at(rng):
    """Those of all species together bear none; of a single species there is no joint test."""
    two = by_kind(law(stats.binom.pmf(np.arange(9), 8, 0.5), species=("X", "Y")), runs(rng.binomial(8, 0.5, 50), "XY"))
    assert {kind for kind, species in two if species == ()} >= {"support", "joint"}
    for name in "XY":
        assert {kind for kind, species in two if species == (name,)} >= {"marginal", "band", "mean", "variance"}
    one = by_kind(law(stats.binom.pmf(np.arange(9), 8, 0.5)), runs(rng.binomial(8, 0.5, 50)))
    assert {kind for kind, species in one if species == ("X",)} >= {"support", "marginal", "band", "mean", "variance"}
    assert "joint" not in {kind for kind, _ in one}


@pytest.mark.parametrize("size", [1, 8])
def test_cells_are_one_more_than_splits_and_their_statistic_is_that_of_fisher(rng, size):
    reference = law(stats.binom.pmf(np.arange(size + 1), size, 0.5))
    counts = rng.binomial(size, 0.5, 400)
    test = by_kind(reference, runs(counts))["marginal", ("X",)]
    expected = Battery((reference,), 400).marginal(0, "X")
    assert test.cells == len(expected.cells.splits) + 1
    assert (test.cells == 2) == (size == 1)
    assert test.p == pytest.approx(stats.chi2.sf(test.statistic, 2 * (test.cells - 1)), rel=1e-9)


def test_the_band_is_as_far_as_the_law_leaves_no_room():
    """Runs that are all at zero, where the law puts a half and its error leaves 0.1 open."""
    reference = law([0.45, 0.45], 0.2)
    test = by_kind(reference, runs(np.zeros(30, dtype=int)))["band", ("X",)]
    slack = Battery((reference,), 30).marginal(0, "X").slack.up
    assert test.statistic == pytest.approx(1.0 - 0.45 - slack)
    assert test.p == p_values.band(30, test.statistic)


def test_adjusted_values_are_those_of_holm_in_their_order():
    tests = adjusted([Test("mean", 1.0, ("X",), 0.0, p) for p in (0.04, 0.01, 0.5)])
    assert [test.p for test in tests] == [0.04, 0.01, 0.5]
    assert [test.adjusted for test in tests] == pytest.approx([0.08, 0.03, 0.5])
