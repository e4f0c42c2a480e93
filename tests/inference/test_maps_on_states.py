"""Fits through events that set counts: estimates against dense exponentials and Poisson laws, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from count_map_cases import CASES, VALUES, N, exact, law, network

import fsp
from fsp.inference.instruments import Exact
from fsp.inference.part import Part
from fsp.inference.problem import Limits
from fsp.inference.timed_events import taken_apart
from fsp.inference.timed_space import TimedLaws, TimedSpace
from fsp.space import StateSpace

TIMES = [0.5, 1.0, 2.0]
THETA = np.array(list(VALUES.values()))


@pytest.mark.parametrize("case", CASES)
def test_estimates_through_maps_of_counts_are_those_of_dense_exponentials(case):
    events, maps = CASES[case]
    plain, settings = taken_apart(network(events))
    kept = TimedSpace(plain, TimedLaws(tuple(VALUES), None, settings), StateSpace.box(plain, upper={"X": N - 1}))
    found = kept.at(THETA, TIMES, 1e-14, math.inf)
    alone = kept.values_at(THETA, TIMES, 1e-14, math.inf)
    np.testing.assert_allclose(alone.probabilities, found.probabilities, atol=1e-8)
    for i, t in enumerate(TIMES):
        np.testing.assert_allclose(found.probabilities[0, i], law(t, maps, **VALUES).real, atol=2e-8)
        for k, (name, value) in enumerate(VALUES.items()):
            np.testing.assert_allclose(found.slopes[k, i], value * exact(name, t, maps), atol=2e-6, err_msg=name)


def test_cells_at_rest_rest_until_the_first_event_alone():
    plain, settings = taken_apart(network([fsp.Event("time >= 1", {"X": 0})]))
    laws = TimedLaws(("k", "g"), "stationary", settings)
    found = TimedSpace(plain, laws, StateSpace.box(plain, upper={"X": 40})).values_at(THETA[:2], [0.9, 1.5], 1e-14, 1e9)
    means = found.probabilities[0] @ np.arange(41)
    np.testing.assert_allclose(means, [5.0, -5.0 * math.expm1(-0.5)], atol=1e-6)


def test_a_cell_at_the_time_of_an_event_is_after_it_and_before_it_with_a_strict_comparison():
    for sign, mean in ((">=", 0.0), (">", 5.0 - 2.0 * math.exp(-0.3))):
        plain, settings = taken_apart(network([fsp.Event(f"time {sign} 0.3", {"X": 0})]))
        kept = TimedSpace(plain, TimedLaws(("k",), None, settings), StateSpace.box(plain, upper={"X": 40}))
        for t in (0.3, 0.1 + 0.2):  # 0.30000000000000004
            found = kept.values_at(THETA[:1], [t], 1e-14, math.inf)
            assert found.probabilities[0, 0] @ np.arange(41) == pytest.approx(mean, abs=1e-6)


def test_what_an_event_takes_out_of_the_states_is_counted():
    plain, settings = taken_apart(network([fsp.Event("time >= 1", {"X": "X + 30"})]))
    kept = TimedSpace(plain, TimedLaws(("k",), None, settings), StateSpace.box(plain, upper={"X": 35}))
    found = kept.values_at(THETA[:1], [0.9, 1.1], 1e-14, math.inf)
    assert found.lacking[0, 0] < 1e-9
    assert found.lacking[0, 1] == pytest.approx(1.0 - found.probabilities[0, 1].sum(), rel=1e-6)
    assert found.lacking[0, 1] > 0.1


def dosed(**values):
    """Return immigration and death with a dose of 40 that is gone before cells are looked at, and a division."""
    return fsp.Model(
        species={"X": 0},
        parameters={"k": 6.0, "g": 1.0, "s": 1.4, "n": 40, "t": 3.0, **values},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
        events=[fsp.Event("time >= s", {"X": "X + n"}), fsp.Event("time >= t", {"X": "binomial(X, 0.5)"})],
    )


def cells_of(model, times, cells, seed):
    """Return counts of simulated cells, each looked at once."""
    runs = fsp.ssa(model, times, runs=cells * len(times), seed=seed)
    seen = np.concatenate([runs[i * cells : (i + 1) * cells, i, 0] for i in range(len(times))])
    return fsp.read_counts({"time": np.repeat(times, cells), "n": seen}, counts={"X": "n"})


def test_a_division_keeps_a_poisson_law_whose_estimate_is_known():
    model, times, cells = dosed(n=0), [1.0, 2.0, 3.5], 80
    counts = cells_of(model, times, cells, 5)
    share = np.array([-math.expm1(-t) for t in times])  # means over k
    share[2] = -math.expm1(-0.5) - 0.5 * math.exp(-0.5) * math.expm1(-3.0)
    seen = sum(float(n @ z[:, 0]) for n, z in zip(counts.cells, counts.values, strict=True))
    fit = fsp.fit(model, counts, {"k": (1.0, 30.0)}, starts=1, processes=1, intervals="fisher")
    assert fit.parameters["k"] == pytest.approx(seen / (cells * share.sum()), rel=1e-4)
    sd = 1.0 / math.sqrt(seen)  # of the logarithm: the information of Poisson laws is their mean
    interval = fit.intervals(method="fisher")["k"]
    assert math.log(interval.upper / interval.lower) == pytest.approx(2.0 * 1.959964 * sd, rel=1e-3)


def test_rates_and_the_time_of_a_dose_are_recovered_and_the_likelihood_is_certified():
    model = dosed()
    counts = cells_of(model, [1.0, 2.0, 5.0], 100, 2)
    fit = fsp.fit(model, counts, {"k": (1.0, 30.0), "g": (0.2, 5.0), "s": (1.1, 1.9)}, starts=2, processes=1)
    for name, interval in fit.intervals().items():
        assert interval.lower <= model.parameters[name] <= interval.upper
        assert interval.upper / interval.lower < 2.0
    assert fit.likelihood.certified
    known = fsp.likelihood(fit.model, counts)
    assert known.value.lower - 1e-9 <= fit.likelihood.value <= known.value.upper + 1e-9
    assert max(abs(slope.value) for slope in known.gradient(["k", "g", "s"]).values()) < 0.1


def test_states_between_the_times_of_cells_are_kept():
    plain, settings = taken_apart(dosed(s=2.0, t=30.0))
    counts = fsp.read_counts({"time": [1.0, 12.0], "n": [4, 7]}, counts={"X": "n"})
    part = Part(plain, TimedLaws(("k",), None, settings), ["k"], counts, [Exact()], Limits())
    point = part.at(np.array([6.0]), math.inf)
    assert point.gap < 1e-6
    assert part.spaces == 1
    assert len(part._known[0]) < 130


def test_doses_may_differ_between_conditions():
    table = {"time": [1.0, 1.0, 1.0, 1.0], "n": [6, 9, 14, 12], "dose": [0, 0, 8, 8]}
    counts = fsp.read_counts(table, counts={"X": "n"}, conditions={"dose": "n"})
    model = dosed(n=4, s=1.0 - 1e-12)  # right before cells are looked at: a shifted Poisson law
    fit = fsp.fit(model, counts, {"k": (1.0, 30.0)}, starts=1, processes=1, intervals="fisher")
    assert fit.parameters["k"] == pytest.approx((15.0 + 10.0) / (4.0 * -math.expm1(-1.0)), rel=1e-4)


@pytest.mark.parametrize(
    ("free", "error", "text"),
    [
        ({"s": (0.5, 1.9)}, fsp.ArgumentError, "past a time of cells.*between 0.5 and 1.9.*at t = 1"),
        ({"s": (1.2, 2.0)}, fsp.ArgumentError, "past a time of cells"),
        ({"t": (2.1, 4.0), "s": (2.2, 3.5)}, fsp.ArgumentError, "'e1' and 'e2' may take place at one time"),
        ({"n": (10, 80)}, fsp.ArgumentError, "depends on 'n': a whole number has no"),
    ],
)
def test_what_makes_the_likelihood_jump_is_refused(free, error, text):
    counts = fsp.read_counts({"time": [1.0, 2.0, 5.0], "n": [4, 7, 9]}, counts={"X": "n"})
    with pytest.raises(error, match=text):
        fsp.fit(dosed(), counts, free, starts=1, processes=1, intervals="fisher")


def test_events_at_formulas_of_parameters_must_stay_after_the_start_and_may_cross_others_that_they_do_not_touch():
    model = fsp.Model(
        species={"X": 0, "Y": 0},
        parameters={"k": 6.0, "s": 1.4, "u": 0.2},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("0 -> Y", rate="k")],
        events=[fsp.Event("time >= s - u", {"X": 0}), fsp.Event("time >= 1.5", {"Y": "Y + 2"})],
    )
    counts = fsp.read_counts({"time": [2.0] * 4, "n": [4, 3, 5, 4]}, counts={"X": "n"})
    with pytest.raises(fsp.ArgumentError, match=r"keep events after the start, but 'e1' may be at -0\.4"):
        fsp.fit(model, counts, {"s": (0.5, 1.8), "u": (0.1, 0.9)})
    fit = fsp.fit(model, counts, {"s": (1.3, 1.9)}, starts=1, processes=1, intervals="fisher")
    assert fit.parameters["s"] == pytest.approx(2.0 - 4.0 / 6.0 + 0.2, rel=1e-3)


def test_second_derivatives_are_not_asked_through_events():
    counts = fsp.read_counts({"time": [1.0], "n": [4]}, counts={"X": "n"})
    with pytest.raises(fsp.BackendError, match="events set counts"):
        fsp.fit(dosed(), counts, {"k": (1.0, 30.0)}, intervals="observed")
