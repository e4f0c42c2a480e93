"""Events that set parameters at known times: derivatives by their times and values, and likelihoods."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, poisson

import fsp
from fsp.inference.timed_events import written_into_rates

VALUES = {"k": 8.0, "s": 0.7, "k2": 1.0, "s2": 1.2, "g": 1.0}
EVENTS = (fsp.Event("time >= s", {"k": "2*k2"}), fsp.Event("s2 < time", {"k": "3*k"}))


def switched(events=EVENTS, **values):
    """Return immigration and death whose immigration is k, then 2 k2 from s on, and three times that from s2 on."""
    return fsp.Model(
        species={"X": 0},
        parameters={**VALUES, **values},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
        events=events,
    )


def mean(t, k, s, k2, s2, g):
    """Return the mean of the Poisson law at a time after s2."""
    parts = ((k, 0.0, s), (2.0 * k2, s, s2), (6.0 * k2, s2, t))
    return sum(rate / g * (math.exp(-g * (t - b)) - math.exp(-g * (t - a))) for rate, a, b in parts)


def slope(name, t=2.0, step=1e-6):
    up, down = ({**VALUES, name: VALUES[name] + sign * step} for sign in (1.0, -1.0))
    return (mean(t, **up) - mean(t, **down)) / (2.0 * step)


def test_derivatives_by_times_and_values_of_events_are_those_of_poisson_laws():
    found = fsp.sensitivity(switched(), [2.0], list(VALUES), log=False, tol=1e-5)[-1]
    counts, m = found.states[:, 0], mean(2.0, **VALUES)
    law = poisson.pmf(counts, m)
    for name, error in zip(found.parameters, found.errors, strict=True):
        exact = slope(name) * (np.concatenate([[0.0], law[:-1]]) - law)  # of a Poisson law
        assert counts[0] == 0
        assert error.certified
        assert np.abs(found.derivative(name) - exact).sum() <= error.total + 1e-8
        assert error.total <= 1e-5


def test_written_rates_are_the_same_chain():
    with_events, without = (
        fsp.transient(model, 2.0, 1e-9)[-1] for model in (switched(), written_into_rates(switched()))
    )
    assert with_events.distance(without) <= with_events.error.total + without.error.total + 1e-12
    assert without.mean()["X"] == pytest.approx(mean(2.0, **VALUES), abs=1e-6)


def test_formulas_of_what_is_set_follow_it():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 2.0, "twice": "2*k"},
        reactions=[fsp.Reaction("0 -> X", rate="twice")],
        events=[fsp.Event("time >= 1", {"k": 5.0})],
    )
    dist = fsp.transient(written_into_rates(model), 1.5, 1e-8)[-1]
    assert np.abs(dist.probabilities - poisson.pmf(dist.states[:, 0], 4.0 + 5.0)).sum() <= 1e-7


def test_events_read_formulas_of_what_they_set_as_it_is_then():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 2.0, "c": 3.0, "more": "c*k", "t1": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + k)")],
        events=[fsp.Event("time >= t1", {"k": "more"})],
    )
    (found,) = fsp.sensitivity(model, [1.5], ["c", "t1"], log=False, tol=1e-6)
    counts, m = found.states[:, 0], 6.0 + 0.5 * 42.0
    law = poisson.pmf(counts, m)
    for name, by in {"c": 0.5 * (1.0 + 2.0 * 6.0) * 2.0, "t1": 6.0 - 42.0}.items():
        exact = by * (np.concatenate([[0.0], law[:-1]]) - law)
        assert np.abs(found.derivative(name) - exact).sum() <= found.error(name).total


def test_times_that_move_with_what_events_set_are_refused():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 2.0, "q": 1.0, "late": "2*q"},
        reactions=[fsp.Reaction("0 -> X", rate="k")],
        events=[
            fsp.Event("time >= 1", {"q": 5.0}),
            fsp.Event("time >= late", {"k": 9.0}),
            fsp.Event("time >= 5", {"k": 7.0}),
        ],
    )
    with pytest.raises(fsp.BackendError, match="must be 'time >= t'"):
        written_into_rates(model)


def test_likelihoods_and_fits_go_through_events():
    at = np.array([0.5] * 20 + [2.0] * 20)
    rng = np.random.default_rng(3)
    means = {0.5: -8.0 * math.expm1(-0.5), 2.0: mean(2.0, **VALUES)}
    seen = rng.poisson([means[t] for t in at.tolist()])
    counts = fsp.read_counts({"time": at, "n": seen}, counts={"X": "n"})
    exact = poisson.logpmf(seen, [means[t] for t in at.tolist()]).sum()
    value = fsp.likelihood(switched(), counts).value
    assert value.lower - 1e-9 <= exact <= value.upper + 1e-9
    gradient = fsp.likelihood(switched(), counts).gradient(["s"])["s"]
    late = seen[at == 2.0]
    score = VALUES["s"] * slope("s") * float((late / means[2.0] - 1.0).sum())
    assert gradient.lower - 1e-5 <= score <= gradient.upper + 1e-5
    fit = fsp.fit(switched(EVENTS[:1]), counts, {"k2": (0.1, 30.0)}, starts=1, intervals="fisher")
    m = 8.0 * (math.exp(-1.3) - math.exp(-2.0))  # of what was made before s
    best = (late.mean() - m) / (2.0 * -math.expm1(-1.3))
    assert fit.parameters["k2"] == pytest.approx(best, rel=1e-2)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (fsp.Event("X >= 3", {"X": "0"}), "triggered by the count of 'X'"),
        (fsp.Event("time >= 1", {"k": 2.0}, priority=1.0), "has a priority"),
        (fsp.Event("time >= 1 && time < 2", {"k": 2.0}), "must be 'time >= t'"),
        (fsp.Event("time >= k2", {"k2": 2.0}), "must be 'time >= t'"),
        (fsp.Event("time >= 0", {"k": 2.0}), "is 0; write"),
    ],
)
def test_events_that_do_more_are_refused(event, text):
    with pytest.raises(fsp.BackendError, match=text):
        fsp.sensitivity(switched([event]), [2.0], ["g"])


def test_events_of_one_time_are_refused():
    with pytest.raises(fsp.BackendError, match="different times"):
        fsp.sensitivity(switched(s2=0.7), [2.0], ["g"])


def dosed(*events):
    return fsp.Model(
        species={"X": 0, "Y": 0},
        parameters={"k": 2.0, "twice": "2*k", "s": 0.3, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> X", rate="twice"), fsp.Reaction("X -> 0", mass_action="g"),
            fsp.Reaction("Y -> 0", mass_action="g"),
        ],
        events=events,
    )  # fmt: skip


@pytest.mark.parametrize("second", ["time >= 0.3", "time >= 3*0.1", "3*0.1 <= time"])
def test_events_of_one_time_that_do_not_meet_are_one(second):
    """What the chain makes of them at once, whichever time is the earlier one by the rounding of a formula."""
    model = dosed(fsp.Event("time >= 0.3", {"k": 5.0}), fsp.Event(second, {"X": "X + 3"}))
    counts = fsp.read_counts({"time": [1.0] * 3, "n": [4, 6, 9]}, counts={"X": "n"})
    law = fsp.transient(model, 1.0, 1e-10)[-1].marginal("X").pmf
    found = fsp.likelihood(model, counts)
    exact = sum(math.log(law[n]) for n in (4, 6, 9))
    assert found.value.lower - 1e-7 <= exact <= found.value.upper + 1e-7
    raised, lowered = (
        fsp.likelihood(dosed(fsp.Event("time >= 0.3", {"k": 5.0, "X": "X + 3"})).with_parameters(g=g), counts).value
        for g in (math.exp(1e-3), math.exp(-1e-3))
    )
    slope = found.gradient(["g"])["g"]
    assert slope.value == pytest.approx((raised.value - lowered.value) / 2e-3, abs=1e-3)


@pytest.mark.parametrize(
    "events",
    [
        (fsp.Event("time >= 0.3", {"X": "X + 3"}), fsp.Event("time >= 3*0.1", {"X": "2*X"})),
        (fsp.Event("time >= 0.3", {"X": "X + 3"}), fsp.Event("time >= 3*0.1", {"Y": "X"})),
        (fsp.Event("time >= 0.3", {"k": 5.0}), fsp.Event("time >= 3*0.1", {"X": "X + twice"})),  # by a formula
        (fsp.Event("time > 0.3", {"X": "X + 3"}), fsp.Event("time >= 3*0.1", {"Y": "9"})),  # after the other
        (fsp.Event("time >= s", {"X": "X + 3"}), fsp.Event("time >= 0.3", {"Y": "9"})),  # moved by s
    ],
)
def test_events_of_one_time_that_meet_are_refused(events):
    with pytest.raises(fsp.BackendError, match=r"both take place at 0\.3; write what they set into one event"):
        written_into_rates(dosed(*events))


# ---- what is asked for, where events change it


def counted(tmp_path, text):
    file = tmp_path / "cells.csv"
    file.write_text("time,seen\n0.5,3\n2.0,1\n")
    return fsp.read_counts(file, time="time", counts={text: "seen"})


@pytest.fixture
def watched():
    """Return deaths of five, an observable K X and a share that is seen; both K and it change at t = 1."""
    return fsp.Model(
        species={"X": 5},
        parameters={"g": 1.0, "K": 2.0, "seen": 0.9, "made": "K*X", "more": "X + 1"},
        reactions=[fsp.Reaction("X -> 0", mass_action="g")],
        events=[fsp.Event("time >= 1", {"K": 4.0, "seen": 0.5})],
    )


def test_observables_that_events_change_are_left_out(watched):
    """That of the start, 2 X, would be taken for 4 X after the event."""
    mixed = fsp.mixture(watched, {"g": fsp.Gamma(1.0, 0.1)}, [2.0])[-1]
    assert "made depends on K, which an event assigns, and cannot be asked about" in mixed.notes
    solved = fsp.sensitivity(watched, [2.0], ["g"])[-1].distribution
    for distribution in (mixed, solved):
        assert set(distribution.observables) == {"more"}
    mean = fsp.transient(watched, [2.0])[-1].expectation("made")
    assert mean.lower <= 20.0 * math.exp(-2.0) <= mean.upper


def test_what_is_asked_does_not_depend_on_what_events_change(watched, tmp_path):
    made = counted(tmp_path, "made")
    questions = [
        lambda: fsp.gradient(watched, "made", 2.0, ["g"]),
        lambda: fsp.fisher(watched, [2.0], ["g"], observe="made"),
        lambda: fsp.likelihood(watched, made),
        lambda: fsp.fit(watched, made, {"g": (0.5, 2.0)}),
    ]
    for question in questions:
        with pytest.raises(fsp.ArgumentError, match="'made' depends on 'K', which is assigned by one; make 'K' a spec"):
            question()


def test_instruments_do_not_change_by_events(watched, tmp_path):
    instrument, counts = fsp.Binomial("seen"), counted(tmp_path, "X")
    questions = [
        lambda: fsp.likelihood(watched, counts, instrument=instrument),
        lambda: fsp.fit(watched, counts, {"g": (0.5, 2.0)}, instrument=instrument),
        lambda: fsp.Posterior(watched, counts, {"g": (0.5, 2.0)}, instrument=instrument),
        lambda: fsp.fisher(watched, [2.0], ["g"], instrument=instrument),
    ]
    for question in questions:
        with pytest.raises(fsp.ArgumentError, match=r"`instrument` must not depend .* 'seen' is assigned by one; give"):
            question()
    exact = math.log(binom.pmf(3, 5, 0.9 * math.exp(-0.5)) * binom.pmf(1, 5, 0.9 * math.exp(-2.0)))
    value = fsp.likelihood(watched, counts, instrument=fsp.Binomial(0.9)).value
    assert value.lower <= exact <= value.upper
