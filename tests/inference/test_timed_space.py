"""Searches where rates depend on time or cells begin at rest: estimates of probabilities and of their derivatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.stats import poisson

import fsp
from fsp.inference import quick_steps
from fsp.inference.instruments import Exact
from fsp.inference.part import Part
from fsp.inference.problem import Limits
from fsp.inference.timed_space import TimedLaws, TimedSpace, _null_vector
from fsp.space import StateSpace

VALUES = {"a": 0.7, "b": 1.3, "k": 9.0, "k2": 3.0, "s": 0.9, "g": 1.1}
TIMES = [0.0, 0.4, 0.8, 2.0, 5.0]
TOP = 40


def pulsed():
    """Return a gene whose product is made at another rate from a time on."""
    return fsp.Model(
        species={"G": 0, "M": 0},
        parameters=VALUES,
        reactions=[
            fsp.Reaction("0 -> G", rate="a*(1 - G)"),
            fsp.Reaction("G -> 0", mass_action="b"),
            fsp.Reaction("G -> G + M", rate="piecewise(k, time < s, k2)*G"),
            fsp.Reaction("M -> 0", mass_action="g"),
        ],
    )


def space_of(model, top):
    return StateSpace.box(model, upper={"G": 1, "M": top})


def dense(values, rate, top):
    """Return the generator of the gene where its product is made at a rate, with the order of the box."""
    n = top + 1
    A = np.zeros((2 * n, 2 * n), dtype=complex)

    def add(source, target, speed):
        A[source, source] -= speed
        if target is not None:
            A[target, source] += speed

    for m in range(n):
        add(m, n + m, values["a"])
        add(n + m, m, values["b"])
        add(n + m, n + m + 1 if m < top else None, rate)
        for g in (0, n):
            if m:
                add(g + m, g + m - 1, values["g"] * m)
    return A


def exactly(values, start, top=TOP):
    """Return probabilities (n_times, n) by exponentials of dense matrices, of complex parameters too."""
    before, after = (dense(values, values[name], top) for name in ("k", "k2"))
    p = np.zeros(len(before), dtype=complex)
    p[0] = 1.0
    if start is not None:  # what leaves the box is 1e-16
        p = np.linalg.solve(before + np.ones_like(before), np.ones(len(before)))
    s, found = values["s"], []
    for t in TIMES:
        found.append(expm(before * t) @ p if t < s.real else expm(after * (t - s)) @ expm(before * s) @ p)
    return np.array(found)


@pytest.mark.parametrize("start", [None, "stationary"])
def test_derivatives_are_those_of_exponentials_of_complex_parameters(start):
    model, names = pulsed(), tuple(VALUES)
    kept = TimedSpace(model, TimedLaws(names, start), space_of(model, TOP))
    found = kept.at(np.array(list(VALUES.values())), TIMES, 1e-14, math.inf)
    known = exactly({name: complex(value) for name, value in VALUES.items()}, start).real
    np.testing.assert_allclose(found.probabilities[0], known, atol=2e-8)
    step = 1e-30
    for k, (name, value) in enumerate(VALUES.items()):
        moved = {n: complex(v) for n, v in VALUES.items()} | {name: value * (1.0 + 1j * step)}
        slopes = exactly(moved, start).imag / step
        np.testing.assert_allclose(found.slopes[k], slopes, atol=2e-6, err_msg=name)
    alone = kept.values_at(np.array(list(VALUES.values())), TIMES, 1e-14, math.inf)
    np.testing.assert_allclose(alone.probabilities, found.probabilities, atol=1e-8)
    loose = kept.at(np.array(list(VALUES.values())), TIMES, math.inf, math.inf)
    np.testing.assert_allclose(loose.probabilities, found.probabilities, atol=1e-5)
    np.testing.assert_allclose(loose.slopes, found.slopes, atol=1e-3)


def test_what_leaves_the_states_is_counted():
    model, names = pulsed(), tuple(VALUES)
    for start in (None, "stationary"):
        small = TimedSpace(model, TimedLaws(names, start), space_of(model, 9))
        found = small.values_at(np.array(list(VALUES.values())), TIMES, 1e-14, math.inf)
        gone = found.probabilities[0, 0].sum() - found.probabilities[0].sum(axis=1)
        assert gone[-1] > 1e-4
        begun = found.lacking[0, 0]
        np.testing.assert_allclose(found.lacking[0] - begun, gone, rtol=1e-3, atol=1e-9)
        assert (begun > 1e-4) == (start is not None)  # at rest some would be outside


def counted(seed=3, cells=150):
    """Return counts of a pulsed gene, each cell observed once."""
    times = [0.4, 0.8, 2.0, 5.0]
    runs = fsp.ssa(pulsed(), times, runs=cells * len(times), seed=seed)
    values = np.concatenate([runs[i * cells : (i + 1) * cells, i, 1] for i in range(len(times))])
    return fsp.read_counts({"time": np.repeat(times, cells), "m": values}, counts={"M": "m"})


@pytest.mark.parametrize("start", [None, "stationary"])
def test_values_of_a_search_lie_in_the_certified_interval(start):
    model, names, counts = pulsed(), list(VALUES), counted()
    part = Part(model, TimedLaws(tuple(names), start), names, counts, [Exact()], Limits())
    for factor in (1.0, 1.3, 0.7):
        theta = np.array(list(VALUES.values())) * np.array([factor, 1.0, factor, 1.0, 1.0, 1.0])
        changed = model.with_parameters(dict(zip(names, theta.tolist(), strict=True)))
        known = fsp.likelihood(changed, counts, start=start, width=1e-4)
        point = part.at(theta, 1e-3)
        assert known.value.lower - 1e-6 * counts.n_cells <= point.value <= known.value.upper + 1e-6 * counts.n_cells
        assert 0.0 <= point.gap <= 1e-3
        for name, slope, bounds in zip(names, point.gradient, known.gradient(names).values(), strict=True):
            assert bounds.lower - 1e-3 <= slope <= bounds.upper + 1e-3, name
        far = part.at(theta, math.inf)
        assert far.value == pytest.approx(point.value, abs=1e-4 * counts.n_cells)
    assert part.spaces <= 3


def test_a_fit_to_simulated_cells_finds_their_parameters():
    model, counts = pulsed(), counted(cells=400)
    ranges = {name: (VALUES[name] / 4.0, VALUES[name] * 4.0) for name in ("k", "k2", "g", "s")}
    found = fsp.fit(model, counts, ranges, starts=3, intervals="fisher", processes=1)
    assert found.agreeing == 3
    spread = np.sqrt(np.diag(found.covariance))
    truth = np.array([VALUES[name] for name in ranges])
    assert (np.abs(np.log(found.estimates.values / truth)) <= 4.0 * spread).all()
    assert spread.max() < 0.3
    assert any("≈" in note and "within the interval" in note for note in found.notes)
    assert max(start.value for start in found.starts) == found.likelihood.value  # certified, at each end
    known = fsp.likelihood(found.model, counts)
    assert found.likelihood.value == pytest.approx(known.value.value, abs=known.value.width)


def test_numbers_of_instruments_may_be_free_where_rates_depend_on_time():
    # counts seen of a Poisson law of mean k t exp(-t) are one of mean c k t exp(-t)
    reactions = [fsp.Reaction("0 -> X", rate="k*exp(-time)"), fsp.Reaction("X -> 0", mass_action="g")]
    fading = fsp.Model(species={"X": 0}, parameters={"k": 10.0, "g": 1.0, "c": 0.5}, reactions=reactions)
    counts = fsp.read_counts({"time": [0.5] * 4, "x": [2, 1, 1, 2]}, counts={"X": "x"})
    part = Part(
        fading, TimedLaws(("k",), None), ["k", "c"], counts, [fsp.Binomial("c")], Limits()
    )  # as fsp.fit makes it
    point = part.at(np.array([10.0, 0.5]), 1e-6)
    mean = 0.5 * 10.0 * 0.5 * math.exp(-0.5)
    assert point.value == pytest.approx(poisson.logpmf([2, 1, 1, 2], mean).sum(), abs=1e-5)
    np.testing.assert_allclose(point.gradient, 6.0 - 4.0 * mean, atol=1e-4)  # the same of both: the product counts
    np.testing.assert_allclose(point.information, 4.0 * mean, rtol=1e-4)
    found = fsp.fit(fading, counts, {"c": (0.1, 1.0)}, instrument=fsp.Binomial("c"), starts=1, intervals="fisher")
    assert found.parameters["c"] == pytest.approx(1.5 / (10.0 * 0.5 * math.exp(-0.5)), rel=1e-3)


def test_steps_that_lead_nowhere_end(monkeypatch):
    monkeypatch.setattr(quick_steps, "MOST_QUICK_STEPS", 3)
    model = pulsed()
    kept = TimedSpace(model, TimedLaws(("k",), None), space_of(model, TOP))
    with pytest.raises(fsp.ConvergenceError, match="within reach of 3 steps"):
        kept.values_at(np.array([9.0]), TIMES, 1e-14, math.inf)


def test_two_sets_of_states_that_are_never_left_have_no_single_law():
    model = pulsed()
    kept = TimedSpace(model, TimedLaws(("k",), "stationary"), space_of(model, 5))
    matrix = kept._jumps.matrix(np.zeros(kept._jumps.n_entries))
    with pytest.raises(fsp.ModelError, match="12 sets of states are never left"):
        _null_vector(matrix)
