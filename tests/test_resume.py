"""Going on from an answer: laws of continuations, files of runs that were stopped, signals to the command."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from written_networks import network

import fsp

BIRTH_DEATH = network({"X": 0}, ("0 -> X", "rate", "k"), ("X -> 0", "rate", "g*X"), parameters={"k": 30.0, "g": 1.0})
ISOMERS = network({"A": 20, "B": 5}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
TOGGLE = network(
    {"U": 10, "V": 2},
    ("0 -> U", "rate", "20/(1 + (V/6)^2)"),
    ("U -> 0", "rate", "U"),
    ("0 -> V", "rate", "18/(1 + (U/6)^2)"),
    ("V -> 0", "rate", "V"),
)
PULSED = network({"X": 3}, ("0 -> X", "rate", "piecewise(9, time > 0.7, 2)"), ("X -> 0", "rate", "X"))
MODELS = {"birth and death": BIRTH_DEATH, "isomers": ISOMERS, "toggle": TOGGLE, "pulsed": PULSED}


def stopping_after(calls):
    """Return a callback that stops the computation when it is called for the `calls`-th time."""
    left = [calls]

    def progress(_):
        left[0] -= 1
        if left[0] <= 0:
            raise KeyboardInterrupt

    return progress


# ---- start


@pytest.mark.parametrize("name", MODELS)
def test_a_continuation_agrees_with_one_run(name):
    model = MODELS[name]
    whole = fsp.transient(model, [0.5, 1.5], 1e-7)
    first = fsp.transient(model, [0.5], 5e-8)
    second = fsp.transient(model, [0.5, 1.5], 1e-7, start=first)
    assert second[0].distance(first[-1]) == 0.0
    assert second[0].error == first[-1].error
    assert first[-1].error.total <= second[-1].error.total <= 1e-7
    assert second[-1].distance(whole[-1]) <= second[-1].error.total + whole[-1].error.total
    assert second.error.certified == whole.error.certified


def test_a_change_of_parameters_agrees_with_the_closed_form():
    first = fsp.transient(BIRTH_DEATH, [1.0], 1e-8)
    second = fsp.transient(BIRTH_DEATH.with_parameters(k=6.0), [1.7, 3.0], 1e-7, start=first)
    for one in second:
        faded = np.exp(-(one.t - 1.0))
        law = stats.poisson(30 * (1 - np.exp(-1.0)) * faded + 6 * (1 - faded))
        x = one.states[:, 0]
        gap = abs(law.pmf(x) - one.probabilities).sum() + 1 - law.pmf(x).sum()
        assert gap <= one.error.total + 1e-13
        assert one.error.total <= 1e-7
    with pytest.raises(fsp.ArgumentError, match="must be of the same model"):
        first.joined(second)


def test_a_stationary_distribution_starts_at_zero_and_stays_uncertified():
    forever = fsp.stationary(BIRTH_DEATH, 1e-9)
    later = fsp.transient(BIRTH_DEATH, [2.0], 1e-6, start=forever)
    assert later.times.tolist() == [2.0]
    assert later[0].distance(forever) <= 2e-6
    assert not later.error.certified


def test_species_may_come_in_another_order():
    first = fsp.transient(ISOMERS, [0.3], 1e-8)[-1]
    swapped = network({"B": 0, "A": 0}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
    later = fsp.transient(swapped, [1.0], 1e-7, start=first)[-1]
    assert later.distance(fsp.transient(ISOMERS, [1.0], 1e-7)[-1]) <= 2e-7
    assert later.closed


def test_many_starting_states_keep_the_bounds_of_a_conservation_law():
    a = np.arange(400)
    spread = fsp.Distribution(np.stack([a, 399 - a], axis=1), np.full(400, 1 / 400), ("A", "B"), t=0.0, error=ledger())
    begun = ISOMERS.starting_in(spread.states, spread.probabilities)
    assert begun.species_bounds.tolist() == [399, 399]
    assert begun.hash == ISOMERS.hash
    later = fsp.transient(ISOMERS, [0.1], 1e-6, start=spread)[-1]
    assert len(later) == 400
    assert later.mass == pytest.approx(1.0, abs=1e-6)


def ledger(**parts):
    return fsp.ErrorLedger(**parts)


@pytest.mark.parametrize(
    ("start", "times", "tol", "reason"),
    [
        ("earlier", [0.9], 1e-6, "not be earlier than the start, t = 1"),
        ("earlier", [2.0], 1e-9, "`tol` must be larger than the error of `start`"),
        ("other", [2.0], 1e-6, "must be of the species X, but is of A, B"),
        (3.0, [2.0], 1e-6, "must be a Solution or a Distribution"),
    ],
)
def test_what_cannot_be_a_start_is_refused(start, times, tol, reason):
    made = {"earlier": BIRTH_DEATH, "other": ISOMERS}
    begin = fsp.transient(made[start], [1.0], 1e-7) if start in made else start
    if start == "earlier":
        assert begin.error.total > 1e-9
    with pytest.raises(fsp.ArgumentError, match=reason):
        fsp.transient(BIRTH_DEATH, times, tol, start=begin)


def test_joined_solutions_are_one():
    first = fsp.transient(TOGGLE, [0.2, 0.5], 1e-7)
    second = fsp.transient(TOGGLE, [0.5, 1.0], 1e-6, start=first)
    both = first.joined(second)
    assert both.times.tolist() == [0.2, 0.5, 1.0]
    assert both.complete
    assert both.n_matvec == first.n_matvec + second.n_matvec
    with pytest.raises(fsp.ArgumentError, match="must begin where the other ends"):
        second.joined(first)


# ---- interrupts


@pytest.mark.parametrize("calls", [1, 4, 9])
def test_a_stopped_run_goes_on_to_the_same_answer(calls, tmp_path):
    times = [0.0, 0.4, 1.0, 2.0]
    whole = fsp.transient(TOGGLE, times, 1e-6)
    with pytest.raises(fsp.Interrupted) as stop:
        fsp.transient(TOGGLE, times, 1e-6, progress=stopping_after(calls))
    assert isinstance(stop.value, KeyboardInterrupt)
    partial = stop.value.solution
    assert not partial.complete
    assert partial.asked == tuple(times)
    partial.save(tmp_path / "run.h5")
    back = fsp.read(tmp_path / "run.h5")
    assert back.pending == partial.pending
    rest = fsp.transient(TOGGLE, back.pending, 1e-6, start=back)
    both = back.joined(rest)
    assert both.complete
    assert both.times.tolist() == times
    for one, other in zip(both, whole, strict=True):
        assert one.distance(other) <= one.error.total + other.error.total + 1e-14
    assert both.error.total <= 1e-6


def test_a_run_that_is_stopped_again_before_it_moves_loses_nothing():
    times = [0.0, 1.0]
    with pytest.raises(fsp.Interrupted) as stop:
        fsp.transient(BIRTH_DEATH, times, 1e-6, progress=stopping_after(1))
    partial = stop.value.solution
    first, *_ = partial
    at_start = fsp.Solution([first], tol=1e-6, solver="", asked=times)
    assert at_start.pending == (1.0,)
    again = fsp.Solution([first], tol=1e-6, solver="", asked=[1.0])
    assert at_start.joined(again).asked == (0.0, 1.0)


def test_a_ctrl_c_between_steps_leaves_a_consistent_answer(monkeypatch):
    from fsp.projection.march import _March

    original = _March._grow

    def grow(self, rejected):
        if self.counts["growths"] == 3:
            self.space = None  # half way through
            raise KeyboardInterrupt
        return original(self, rejected)

    monkeypatch.setattr(_March, "_grow", grow)
    with pytest.raises(fsp.Interrupted, match="stopped at t = ") as stop:
        fsp.transient(BIRTH_DEATH, [2.0], 1e-6)
    reached = stop.value.solution[-1]
    law = stats.poisson(30 * (1 - np.exp(-reached.t)))
    x = reached.states[:, 0]
    assert abs(law.pmf(x) - reached.probabilities).sum() + 1 - law.pmf(x).sum() <= reached.error.total + 1e-13
    assert str(stop.value.solution).endswith("1 times to come")
