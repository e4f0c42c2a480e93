"""Fits against closed forms, kept spaces against `fsp.likelihood`, and what is refused."""

from __future__ import annotations

import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death
from matplotlib.figure import Figure
from scipy.stats import chi2, lognorm, poisson

import fsp
from fsp.command.main import main
from fsp.distribution.fit import quantile
from fsp.inference import search
from fsp.inference.ascent import polish
from fsp.inference.objective import Objective
from fsp.inference.priors import priors_of
from fsp.inference.problem import Limits
from fsp.inference.profiles import ROOT_REACHED
from fsp.output.fit_page import _profile

FREE = {"k": (1.0, 100.0), "g": (0.1, 10.0)}


def telegraph():
    return fsp.Model(
        species={"G": 0, "M": 0},
        parameters={"a": 0.5, "b": 1.0, "k": 20.0, "g": 1.0, "c": 0.6},
        reactions=[
            fsp.Reaction("0 -> G", rate="a*(1 - G)"),
            fsp.Reaction("G -> 0", mass_action="b"),
            fsp.Reaction("G -> G + M", mass_action="k"),
            fsp.Reaction("M -> 0", mass_action="g"),
        ],
    )


def drawn(model, times, cells, species, seed=1):
    """Return counts of `cells` cells at each time, each cell observed once."""
    runs = fsp.ssa(model, times, runs=cells * len(times), seed=seed)
    place = model.species.index(species)
    values = np.concatenate([runs[i * cells : (i + 1) * cells, i, place] for i in range(len(times))])
    return fsp.read_counts({"time": np.repeat(times, cells), "x": values}, counts={species: "x"})


def objective(model, counts, ranges, **more):
    more = {"priors": None, "instrument": None} | more
    return Objective.of(model, counts, tuple(ranges), priors_of(ranges, more["priors"]), more["instrument"], Limits())


@pytest.fixture(scope="module")
def cells():
    return drawn(immigration_death(), [0.5, 1.0, 2.0], 100, "X")


@pytest.fixture(scope="module")
def fitted(cells):
    return fsp.fit(immigration_death(), cells, FREE, processes=1)


# ---- what is evaluated


@pytest.mark.parametrize("instrument", [None, fsp.Binomial(0.6), fsp.Poisson(1.5), fsp.Bins([0, 2, 5, 9])])
def test_values_and_gradients_on_a_kept_space_are_those_of_the_likelihood(instrument):
    model, times, names = telegraph(), [1.0, 3.0], ["a", "b", "k", "g"]
    counts = drawn(model, times, 12, "M")
    kept = objective(model, counts, {name: (1e-2, 1e2) for name in names}, instrument=instrument)
    theta = np.array([model.parameters[name] for name in names])
    for factor in (1.0, 2.5, 0.8):
        there = theta * np.array([1.0, 1.0, factor, 1.0])
        point = kept.at(np.log(there), 1e-3)
        changed = model.with_parameters(dict(zip(names, there.tolist(), strict=True)))
        known = fsp.likelihood(changed, counts, width=1e-3, instrument=instrument)
        assert known.value.lower <= point.value + point.gap
        assert point.value <= known.value.upper
        assert 0.0 <= point.gap <= 1e-3
        for slope, bounds in zip(point.gradient, known.gradient(names).values(), strict=True):
            assert bounds.lower - 1e-6 <= slope <= bounds.upper + 1e-6  # no bound of its own: spaces lose 1e-8
    assert kept.parts[0].spaces <= 3


def test_many_parameters_at_once_are_each_by_itself():
    model, names = telegraph(), ["a", "b", "k", "g"]
    kept = objective(model, drawn(model, [1.0, 3.0], 12, "M"), {name: (1e-2, 1e2) for name in names})
    centre = np.log([model.parameters[name] for name in names])
    u = centre + 0.3 * np.random.default_rng(2).standard_normal((70, 4))  # two batches
    values, gaps = kept.at_many(u, 1e-3)
    assert (gaps <= 1e-3).all()
    for k in (0, 31, 69):
        assert abs(kept.at(u[k], 1e-3).value - values[k]) <= 1e-3


def test_information_is_that_of_fisher(cells):
    kept = objective(immigration_death(), cells, FREE)
    F = kept.at(np.log([10.0, 1.0]), 1e-3).information
    known = fsp.fisher(immigration_death(), cells.times, ["k", "g"], cells=[100, 100, 100])
    assert (known.lower - 1e-6 * F.max() <= F).all()
    assert (known.upper + 1e-6 * F.max() >= F).all()


def test_far_from_an_optimum_the_space_stays_and_values_are_lower_bounds(cells):
    kept = objective(immigration_death(), cells, FREE)
    kept.at(np.log([10.0, 1.0]), math.inf)
    states = len(kept.parts[0]._known[0])
    point = kept.at(np.log([60.0, 3.0]), math.inf)  # many leave at 30 molecules, and would come back
    assert len(kept.parts[0]._known[0]) == states
    mean = 20.0 * (1.0 - np.exp(-3.0 * cells.times))
    exact = sum(
        n @ poisson.logpmf(z[:, 0], m) for z, n, m in zip(cells.values, cells.cells, mean.tolist(), strict=True)
    )
    assert point.value <= exact <= point.value + point.gap


def test_a_capture_probability_may_be_free():
    model = telegraph()
    counts = drawn(model, [3.0], 30, "M")
    kept = objective(model, counts, {"k": (1.0, 100.0), "c": (0.1, 1.0)}, instrument=fsp.Binomial("c"))
    step, u = 1e-5, np.log([20.0, 0.6])
    point = kept.at(u, 1e-6)
    for k in range(2):
        e = step * np.eye(2)[k]
        difference = (kept.at(u + e, 1e-6).value - kept.at(u - e, 1e-6).value) / (2.0 * step)
        assert abs(point.gradient[k] - difference) <= 1e-4 * (1.0 + abs(difference))
    assert np.linalg.eigvalsh(point.information)[0] > 0.0
    known = fsp.likelihood(model, counts, instrument=fsp.Binomial(0.6))
    assert known.value.lower <= point.value + point.gap
    assert point.value <= known.value.upper


# ---- what is found


def test_one_rate_constant_has_its_closed_form(cells):
    # a Poisson law of mean k s(t): k̂ = Σ counts / Σ s, information about log k: the sum of the means
    found = fsp.fit(immigration_death(), cells, {"k": (1.0, 100.0)}, starts=2, processes=1)
    s = 1.0 - np.exp(-cells.times)
    total = sum(float(n @ z[:, 0]) for z, n in zip(cells.values, cells.cells, strict=True))
    k = total / (100.0 * s.sum())
    assert found.parameters["k"] == pytest.approx(k, rel=1e-4)  # GAIN and 1/√information make it 3e-5
    assert found.estimates.information[0, 0] == pytest.approx(100.0 * k * s.sum(), rel=1e-6)

    def drop(value):
        return 2.0 * (total * math.log(k / value) + 100.0 * s.sum() * (value - k))

    own = found.intervals()["k"]
    for end in (own.lower, own.upper):
        assert math.sqrt(drop(end)) == pytest.approx(quantile(0.95), abs=ROOT_REACHED / 4)
    narrow = found.intervals(0.5)["k"]
    assert math.sqrt(drop(narrow.upper)) == pytest.approx(quantile(0.5), abs=ROOT_REACHED / 4)
    by_fisher = found.intervals(method="fisher")["k"]
    assert by_fisher.upper == pytest.approx(k * math.exp(quantile(0.95) / math.sqrt(100.0 * k * s.sum())), rel=1e-4)


def test_the_summit_is_level_and_all_starts_agree(fitted, cells):
    gradient = fsp.likelihood(fitted.model, cells).gradient(["k", "g"])
    g = np.array([own.value for own in gradient.values()])
    assert 0.5 * g @ fitted.covariance @ g <= 2e-6  # what a step still promises
    assert fitted.agreeing == len(fitted.starts) == 5
    assert fitted.likelihood.certified
    assert fitted.likelihood.width <= 1e-2
    assert fitted.notes == ()


def test_profiles_lie_above_what_is_fixed_and_below_the_summit(fitted, cells):
    for name, (values, heights) in fitted.estimates.profiles.items():
        assert (np.diff(values) > 0.0).all()
        assert heights.max() <= fitted.likelihood.upper + 1e-6
        end = fitted.model.with_parameters({name: float(values[0])})  # the other one stays at the estimate
        assert fsp.likelihood(end, cells).value.lower <= heights[0] + 1e-6


def test_a_prior_moves_the_estimate_by_its_slope(cells):
    law = lognorm(0.02, scale=12.0)
    found = fsp.fit(immigration_death(), cells, {"k": (1.0, 100.0)}, priors={"k": law}, starts=1, processes=1)
    s = 1.0 - np.exp(-cells.times)
    total = sum(float(n @ z[:, 0]) for z, n in zip(cells.values, cells.cells, strict=True))
    k, step = found.parameters["k"], 1e-4
    density = (law.logpdf(k * math.exp(step)) - law.logpdf(k * math.exp(-step))) / (2.0 * step)
    promised = (total - 100.0 * k * s.sum() + density) ** 2 / (2.0 * found.estimates.information[0, 0])
    assert promised <= 2e-6
    assert k > 11.0


def test_what_the_data_do_not_tell_is_said_in_words():
    model = immigration_death()
    stationary = drawn(model, [8.0], 60, "X")  # a Poisson law of mean k/g alone
    found = fsp.fit(model, stationary, FREE, starts=2, intervals="fisher", processes=1)
    assert any("do not tell k^0.71 * g^0.71" in note for note in found.notes)
    assert found.parameters["k"] / found.parameters["g"] == pytest.approx(10.0, rel=0.2)
    bound = fsp.fit(model, stationary, {"k": (1.0, 5.0)}, starts=2, intervals="fisher", processes=1)
    assert any("k is at its upper bound, 5" in note for note in bound.notes)


def test_conditions_share_parameters_and_have_their_own_settings():
    model = immigration_death()
    low, high = (
        drawn(model.with_parameters(k=4.0), [1.0], 40, "X"),
        drawn(model.with_parameters(k=16.0), [1.0], 40, "X"),
    )
    rows = [
        (dose, int(z[0]))
        for dose, counts in ((4.0, low), (16.0, high))
        for z, n in zip(counts.values[0], counts.cells[0], strict=True)
        for _ in range(int(n))
    ]
    table = {"time": [1.0] * len(rows), "x": [x for _, x in rows], "dose": [d for d, _ in rows]}
    counts = fsp.read_counts(table, counts={"X": "x"}, conditions={"dose": "k"})
    assert counts.n_cells == 80
    assert "dose 4 (k = 4): 40 cells" in str(counts)
    found = fsp.fit(model, counts, {"g": (0.1, 10.0)}, starts=2, processes=1)
    total = fsp.likelihood(found.model, counts)
    alone = [fsp.likelihood(found.model.with_parameters(k=k), own).value for k, own in ((4.0, low), (16.0, high))]
    assert total.value.lower <= sum(own.upper for own in alone)
    assert total.value.upper >= sum(own.lower for own in alone)
    assert abs(total.gradient(["g"])["g"].value) <= 0.1
    assert found.parameters["g"] == pytest.approx(1.0, rel=0.4)


def test_fits_are_compared_by_their_criteria(fitted, cells):
    small = fsp.fit(immigration_death(), cells, {"k": (1.0, 100.0)}, starts=1, intervals="fisher", processes=1)
    found = fitted.compare(small)
    statistic = 2.0 * (fitted.likelihood.value - small.likelihood.value)
    assert found.statistic == pytest.approx(statistic)
    assert found.p_value == pytest.approx(chi2.sf(statistic, 1))
    assert small.compare(fitted).statistic == pytest.approx(statistic)
    assert fitted.aic == pytest.approx(4.0 - 2.0 * fitted.likelihood.value)
    assert fitted.bic == pytest.approx(2.0 * math.log(300) - 2.0 * fitted.likelihood.value)
    assert "p = " in str(found)


def test_fits_are_compared_by_the_function_that_compares_networks(fitted):
    assert str(fsp.compare(fitted, fitted)) == str(fitted.compare(fitted))
    with pytest.raises(fsp.ArgumentError, match="`other` must be a fit as well"):
        fsp.compare(fitted, immigration_death())
    with pytest.raises(fsp.ArgumentError, match="`model` must be a fit as well"):
        fsp.compare(immigration_death(), fitted)
    with pytest.raises(fsp.ArgumentError, match="`times` must be left out where fits are compared"):
        fsp.compare(fitted, fitted, [1.0])
    with pytest.raises(fsp.ArgumentError, match=r"`times` must be increasing times, .* but were left out"):
        fsp.compare(immigration_death(), immigration_death())


# ---- what is kept


def test_a_fit_is_read_as_it_was_written(fitted, tmp_path):
    fitted.save(tmp_path / "fit.h5")
    read = fsp.read(tmp_path / "fit.h5")
    assert str(read) == repr(read) == str(fitted)
    assert read.intervals(0.9) == fitted.intervals(0.9)
    assert [start.evaluations for start in read.starts] == [start.evaluations for start in fitted.starts]
    assert all(start.evaluations > 1 for start in fitted.starts)
    assert [panel.t for panel in read.panels] == [0.5, 1.0, 2.0]
    for ours, theirs in zip(read.panels, fitted.panels, strict=True):
        np.testing.assert_array_equal(ours.residuals, theirs.residuals)
    with pytest.raises(fsp.ArgumentError, match="which keeps none; use model"):
        read.model  # noqa: B018


def test_a_fit_with_a_start_that_failed_is_read_as_it_was_written(fitted, tmp_path):
    failed = replace(fitted.starts[0], value=math.nan, note="no room")
    replace(fitted, starts=(*fitted.starts, failed)).save(tmp_path / "fit.h5")
    *others, last = fsp.read(tmp_path / "fit.h5").starts
    assert [start.value for start in others] == [start.value for start in fitted.starts]
    assert math.isnan(last.value)
    assert (last.note, last.begin.tolist()) == ("no room", failed.begin.tolist())


def test_the_command_prints_and_draws_a_file_of_a_fit(fitted, tmp_path):
    fitted.save(tmp_path / "fit.h5")
    shown = CliRunner().invoke(main, ["show", str(tmp_path / "fit.h5")])
    assert (shown.exit_code, shown.output) == (0, f"{fitted}\n")
    asked = CliRunner().invoke(main, ["show", str(tmp_path / "fit.h5"), "--event", "X > 1"])
    assert asked.exit_code != 0
    assert "without options where a file holds a fit" in asked.output
    viewed = CliRunner().invoke(main, ["view", str(tmp_path / "fit.h5")])
    assert viewed.exit_code == 0
    assert (tmp_path / "fit.html").read_text(encoding="utf-8").count("<svg") == 4


def test_the_profile_that_is_drawn_goes_through_its_points_and_never_above_the_summit(fitted):
    figure = Figure()
    axis = figure.add_subplot()
    _profile(axis, (fitted, "k"))
    curve, points = (line.get_xydata() for line in axis.lines[:2])
    summit = points[:, 1].argmax()
    np.testing.assert_allclose(np.interp(points[:, 0], *curve.T), points[:, 1], atol=0.01)
    assert curve[:, 1].max() <= 0.0
    between = np.diff(curve[curve[:, 0] <= points[summit, 0], 1])
    assert (between > 0.0).all()
    assert np.median(np.diff(between)) < -1e-6  # bent, as a parabola, and no triangle
    figure.draw_without_rendering()
    assert 1 <= len([text for text in axis.get_xticklabels() if text.get_text()]) <= 5


def test_the_page_has_all_pictures_and_needs_nothing_beside_it(fitted, tmp_path):
    fitted.report(tmp_path / "fit.html")
    text = (tmp_path / "fit.html").read_text(encoding="utf-8")
    assert text.count("<svg") == 4
    assert "Residuals" in text
    assert "src=" not in text


def test_a_fit_that_is_stopped_goes_on_with_the_starts_that_are_left(fitted, cells):
    def stop(moment):
        if moment.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(fsp.Interrupted, match="stopped after 3 of 5 starts") as stopped:
        fsp.fit(immigration_death(), cells, FREE, processes=1, progress=stop)
    partial = stopped.value.solution
    assert not partial.complete
    assert str(partial).splitlines()[3].split()[2:4] == ["…", "…"]  # intervals are made in the end
    assert len(partial.starts) == 3
    made = []
    found = fsp.fit(
        immigration_death(), cells, FREE, processes=1, resume=partial, progress=lambda moment: made.append(moment.done)
    )
    assert min(made) == 3
    assert found.parameters == pytest.approx(fitted.parameters, rel=1e-4)
    with pytest.raises(fsp.ArgumentError, match="same model, cells and options"):
        fsp.fit(immigration_death(), cells, FREE, seed=1, resume=partial)


def test_starts_and_profiles_in_workers_end_where_they_end_here(fitted, cells):
    found = fsp.fit(immigration_death(), cells, FREE, starts=2, processes=2)
    assert found.parameters == pytest.approx(fitted.parameters, rel=1e-4)
    assert found.agreeing == 2
    for name, interval in fitted.intervals().items():  # and so do profiles
        ends = found.intervals()[name]
        assert (ends.lower, ends.upper) == pytest.approx((interval.lower, interval.upper), rel=1e-3)


def test_a_fixed_parameter_stays_and_the_others_follow(cells):
    kept = objective(immigration_death(), cells, FREE)
    low, high = np.log([1.0, 0.1]), np.log([100.0, 10.0])
    summit = polish(kept.at, np.log([12.0, 1.0]), low, high, 1e-3, 0)
    assert summit.u[0] == math.log(12.0)
    assert abs(summit.point.gradient[1]) ** 2 / summit.point.information[1, 1] <= 4e-6


# ---- what is refused


@pytest.mark.parametrize(
    ("free", "more", "words"),
    [
        ({"q": (1, 2)}, {}, "must be parameters of the model, k, g, but one is 'q'"),
        ({"k": (0, 2)}, {}, "Bounds of 'k' must be positive and increasing"),
        ({"k": 3}, {}, "Bounds of 'k' must be two numbers"),
        ({}, {}, "must give bounds by name"),
        ({"k": (1, 2)}, {"starts": 0}, "`starts` must be a whole number of 1 or more"),
        ({"k": (1, 2)}, {"seed": -1}, "`seed` must be a whole number"),
        ({"k": (1, 2)}, {"level": 95}, "`level` must be a probability"),
        ({"k": (1, 2)}, {"intervals": "bootstrap"}, "`intervals` must be one of profile, fisher"),
        ({"k": (1, 2)}, {"priors": {"g": lognorm(1)}}, "`priors` must be of free parameters"),
        ({"k": (1, 2)}, {"priors": {"k": 3}}, "must be a frozen continuous distribution"),
        ({"k": (1, 2)}, {"instrument": fsp.Binomial("c")}, "`capture` must be a number or one of"),
    ],
)
def test_bad_arguments_have_each_their_own_error(cells, free, more, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.fit(immigration_death(), cells, free, **more)


def test_events_that_set_counts_are_refused_where_parameters_differ_among_cells(cells):
    made = [fsp.Reaction("0 -> X", rate="k")]
    reset = fsp.Event("time >= 1", {"X": "0"})
    eventful = fsp.Model(species={"X": 0}, parameters={"k": 1.0, "m": 2.0}, reactions=made, events=[reset])
    with pytest.raises(fsp.BackendError, match="sets the count of 'X'"):
        fsp.fit(eventful, cells, {"m": (1, 9)}, extrinsic={"k": fsp.Gamma("m", 0.2)})


def test_parameters_of_the_start_have_their_closed_form():
    # a Poisson law of mean k exp(-t), where k is the mean of the start
    reactions = [fsp.Reaction("X -> 0", mass_action="g")]
    begun = fsp.Model(species={"X": "poisson(k)"}, parameters={"k": 10.0, "g": 1.0}, reactions=reactions)
    counts = fsp.read_counts({"time": [1.0, 1.0, 1.0], "x": [3, 5, 3]}, counts={"X": "x"})
    found = fsp.fit(begun, counts, {"k": (1.0, 100.0)}, starts=1, intervals="fisher", processes=1)
    assert found.parameters["k"] == pytest.approx(11.0 / 3.0 * math.e, rel=1e-3)
    assert found.estimates.information[0, 0] == pytest.approx(11.0, rel=1e-3)


def test_rates_that_depend_on_time_have_their_closed_form():
    # a Poisson law of mean k t exp(-t) where g = 1
    reactions = [fsp.Reaction("0 -> X", rate="k*exp(-time)"), fsp.Reaction("X -> 0", mass_action="g")]
    fading = fsp.Model(species={"X": 0}, parameters={"k": 10.0, "g": 1.0}, reactions=reactions)
    counts = fsp.read_counts({"time": [0.5] * 4, "x": [2, 3, 3, 5]}, counts={"X": "x"})
    kept = objective(fading, counts, {"k": (1.0, 100.0)})
    mean = 10.0 * 0.5 * math.exp(-0.5)
    point = kept.at(np.log([10.0]), 1e-4)
    assert point.value == pytest.approx(poisson.logpmf([2, 3, 3, 5], mean).sum(), abs=1e-6)  # estimated
    assert 0.0 <= point.gap <= 1e-4
    assert point.gradient[0] == pytest.approx(13.0 - 4.0 * mean, abs=1e-6)
    assert point.information[0, 0] == pytest.approx(4.0 * mean, rel=1e-5)
    (law,) = kept.parts[0].predicted(np.array([10.0]), 1e-4)
    np.testing.assert_allclose(law["X"][:8], poisson.pmf(np.arange(8), mean), atol=1e-5)
    posterior = fsp.Posterior(fading, counts, {"k": (1.0, 100.0)}, width=1e-4)
    values = posterior(np.log([[8.0], [12.0]]))
    known = 13.0 * math.log(1.5) - 4.0 * 4.0 * 0.5 * math.exp(-0.5)
    assert values[1] - values[0] == pytest.approx(known, abs=2e-4)


def test_cells_that_begin_at_rest_have_their_closed_form():
    model = immigration_death()  # a Poisson law of mean k/g at all times
    counts = fsp.read_counts({"time": [0.0, 0.0, 1.0, 1.0], "x": [8, 11, 9, 13]}, counts={"X": "x"})
    found = fsp.fit(model, counts, {"k": (1.0, 100.0)}, start="stationary", starts=1, intervals="fisher", processes=1)
    assert found.parameters["k"] == pytest.approx(41.0 / 4.0, rel=1e-3)
    with pytest.raises(fsp.ArgumentError, match="`start` must"):
        fsp.fit(model, counts, {"k": (1.0, 100.0)}, start="rest")


def test_a_cell_without_probability_is_named():
    death = fsp.Model(species={"X": 4}, parameters={"g": 1.0}, reactions=[fsp.Reaction("2 X -> 0", mass_action="g")])
    counts = fsp.read_counts({"time": [1.0, 1.0], "x": [2, 3]}, counts={"X": "x"})  # counts stay even
    with pytest.raises(fsp.ArgumentError, match="a cell with X = 3 at t = 1 has no probability"):
        fsp.fit(death, counts, {"g": (0.1, 10.0)}, starts=2, processes=1)


def test_counts_beyond_what_the_network_conserves_are_refused_before_the_search():
    model = fsp.Model(
        species={"Off": 1, "On": 0},
        parameters={"on": 1.0, "off": 2.0},
        reactions=[fsp.Reaction("Off -> On", mass_action="on"), fsp.Reaction("On -> Off", mass_action="off")],
    )
    counts = fsp.read_counts({"time": [1.0, 1.0, 2.0], "x": [0, 1, 2]}, counts={"On": "x"})
    with pytest.raises(fsp.ArgumentError, match="On = 2 at t = 2 is not, as there are at most 1 of it; leave it out"):
        fsp.fit(model, counts, {"on": (0.1, 10.0)})
    seen = fsp.fit(model, counts, {"on": (0.1, 10.0)}, instrument=fsp.Poisson(0.3), starts=1, intervals="fisher")
    assert seen.likelihood.certified


def test_data_of_an_unknown_species_are_refused():
    counts = fsp.read_counts({"time": [1.0], "x": [2]}, counts={"Y": "x"})
    with pytest.raises(fsp.ArgumentError, match=r"must be of species of .* but 'Y' was counted"):
        fsp.fit(immigration_death(), counts, FREE)
    halves = fsp.read_counts({"time": [1.0], "x": [2]}, counts={"X/2": "x"})
    with pytest.raises(fsp.ArgumentError, match="must be of what is a count in every state, but 'X/2' is not"):
        fsp.fit(immigration_death(), halves, FREE)


def test_times_in_another_unit_are_refused(cells):
    model = fsp.Model(
        species={"X": 0}, parameters={"k": 1.0}, reactions=[fsp.Reaction("0 -> X", rate="k")], time_unit="min"
    )
    counts = fsp.read_counts({"time": [1.0], "x": [2]}, counts={"X": "x"}, time_unit="hours")
    with pytest.raises(fsp.ArgumentError, match="unit of 'model', min, but are in hours"):
        fsp.fit(model, counts, {"k": (0.1, 10.0)})
    short = fsp.read_counts({"time": [1.0], "x": [2]}, counts={"X": "x"}, time_unit="ms")
    with pytest.raises(fsp.ArgumentError, match="min, but are in ms"):
        fsp.likelihood(model, short)
    same = fsp.read_counts({"time": [1.0], "x": [2]}, counts={"X": "x"}, time_unit="minutes")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fsp.fit(model, same, {"k": (0.1, 10.0)}, starts=1).parameters["k"] == pytest.approx(2.0, rel=2e-3)


def test_instruments_are_taken_where_cells_begin_at_rest():
    model = immigration_death()  # a Poisson law of mean 0.5 k/g at all times
    counts = fsp.read_counts({"time": [1.0] * 60, "x": np.arange(60) % 7 + 2}, counts={"X": "x"})
    fitted = fsp.fit(
        model, counts, {"k": (1.0, 100.0)}, instrument=fsp.Binomial(0.5), start="stationary", starts=1, processes=1
    )
    assert fitted.parameters["k"] == pytest.approx(np.mean(np.arange(60) % 7 + 2) / 0.5, rel=1e-3)
    panel = fitted.panels[0]
    np.testing.assert_allclose(
        panel.probabilities[:10], poisson.pmf(np.arange(10), 0.5 * fitted.parameters["k"]), atol=1e-5
    )


def test_functions_without_a_name_are_instruments_of_several_starts(fitted, cells):
    found = fsp.fit(
        immigration_death(),
        cells,
        FREE,
        instrument=lambda m, x: (m == x).astype(float),
        starts=3,
        processes=2,
        intervals="fisher",
    )
    assert found.parameters == pytest.approx(fitted.parameters, rel=1e-4)


def test_instruments_by_name_hold_where_their_species_was_seen():
    model = fsp.Model(
        species={"A": 0, "B": 0},
        parameters={"a": 3.0, "b": 2.0},
        reactions=[fsp.Reaction("0 -> A", rate="a"), fsp.Reaction("0 -> B", rate="b")],
    )
    table = {"time": [1.0] * 4, "a": [1, 2, 3, math.nan], "b": [2, 4, math.nan, 1]}
    counts = fsp.read_counts(table, counts={"A": "a", "B": "b"}, missing="unseen")
    found = fsp.fit(
        model,
        counts,
        {"a": (0.1, 20.0), "b": (0.1, 20.0)},
        instrument={"A": fsp.Binomial(0.5)},
        starts=1,
        processes=1,
        intervals="fisher",
    )
    assert found.parameters == pytest.approx({"a": 4.0, "b": 7.0 / 3.0}, rel=1e-3)  # means of Poisson laws


def test_starts_are_called_not_converged_by_what_polishing_makes_of_them(monkeypatch):
    plain = immigration_death()
    cells = fsp.read_counts({"time": [1.0] * 4, "n": [5, 7, 6, 8]}, counts={plain.species[0]: "n"})
    name = next(iter(plain.parameters))
    bounds = {name: (0.2 * plain.parameters[name], 5.0 * plain.parameters[name])}
    climb = search.ascend
    monkeypatch.setattr(search, "ascend", lambda *given: replace(climb(*given), converged=False))
    fitted = fsp.fit(plain, cells, bounds, starts=2, intervals="fisher", processes=1)
    assert [start.note for start in fitted.starts] == ["", ""]
    finish = search.polish
    monkeypatch.setattr(search, "polish", lambda *given, **more: replace(finish(*given, **more), converged=False))
    fitted = fsp.fit(plain, cells, bounds, starts=2, intervals="fisher", processes=1)
    assert [start.note for start in fitted.starts] == ["not converged"] * 2
