"""What a reference expects holds for every law that its error admits, at one time, at two, and of passages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from written_networks import network

import fsp
from fsp.verification import passages, two_times
from fsp.verification.expected import Expected
from fsp.verification.slack import Slack

OFF = 0.04  # the 1-norm error of the reference
N = 1000


def reference(step=1, size=12, chance=0.3):
    """Return a binomial law on every `step`-th count: the others are not stored."""
    states = np.arange(0, size + 1, step)[:, None]
    law = stats.binom.pmf(states[:, 0], size, chance)
    return Expected(states, law / law.sum(), Slack.within(OFF, 1.0, size + 1), N, ("X",))


def admitted(expected, rng):
    """Return laws within the error: half of it is taken from likely states, and put on one state, stored or not."""
    counts = np.arange(20)
    for place in counts.tolist():
        for _ in range(5):
            p = np.zeros(len(counts))
            p[expected.states[:, 0]] = expected.probabilities
            taken = rng.dirichlet(np.ones(len(counts))) * OFF / 2
            taken = np.minimum(taken, p)
            p -= taken
            p[place] += taken.sum()
            yield counts, p


def test_ranks_are_above_the_probability_of_all_that_is_as_improbable(rng):
    expected = reference()
    ranks = expected.rank_of(np.arange(20)[:, None])
    stored = np.append(expected.probabilities, np.zeros(20 - len(expected.probabilities)))
    for _, p in admitted(expected, rng):
        as_improbable = np.array([p[stored <= own].sum() for own in stored])
        assert (as_improbable <= ranks + 1e-12).all()


@pytest.mark.parametrize("centre", [None, 3.6, 0.0, 15.0])
@pytest.mark.parametrize("cut", [1e-6, 0.02])
@pytest.mark.parametrize("step", [1, 3])
def test_laws_of_a_moment_are_above_all_that_the_error_admits(centre, cut, step, rng):
    expected = reference(step)
    moment = expected.moment(centre, cut)
    for counts, p in admitted(expected, rng):
        numbers = moment.of(counts)
        assert p[(counts < moment.low) | (counts > moment.high)].sum() <= moment.beyond + 1e-12
        for law, signed in ((moment.upper, numbers), (moment.lower, -numbers)):
            for value in (*law.values, *signed):
                assert p[signed >= value].sum() <= law.weights[law.values >= value].sum() + 1e-12


def with_error(distribution, error):
    return replace(distribution, error=distribution.error + fsp.ErrorLedger(integration=error))


def test_errors_at_both_times_count_at_two_times(monkeypatch):
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 0.5))
    first = with_error(fsp.transient(model, [0.5], tol=1e-10)[0], 2e-4)
    solve = two_times.transient
    monkeypatch.setattr(two_times, "transient", lambda *args, **more: [with_error(solve(*args, **more)[0], 1e-3)])
    expected, _ = two_times._expected(model, first, 0.7, "A", N)
    assert expected.slack.up + expected.slack.down >= 2e-4 + 1e-3


def test_a_passage_between_two_times_is_off_by_both():
    """The probability of an interval is a difference of two, each of which may be off by its slack."""
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 0.5))
    _, slack, error, certified = passages.passage_law(model, "B >= 8", np.array([0.1, 0.5, 1.0]))
    assert certified
    assert slack.up >= error
    assert slack.down >= error


def test_what_has_passed_stays_passed():
    """A <-> B of one molecule, both at rate 1: B was there once by t with probability 1 - exp(-t)."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1.0))
    times = np.array([0.5, 1.0, 4.0])
    law, slack, _, _ = passages.passage_law(model, "B >= 1", times)
    assert np.abs(law + np.expm1(-times)).max() <= slack.up + 1e-12
