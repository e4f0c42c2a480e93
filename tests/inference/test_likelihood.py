"""Counts in cells: what is read, and log-likelihoods of closed forms within their intervals."""

from __future__ import annotations

import json
import math
import warnings

import mpmath
import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death
from scipy.special import ndtr
from scipy.stats import binom, poisson

import fsp
from fsp.command.main import main
from fsp.inference import likelihood as likelihoods
from fsp.inference.observation import _bounds


def cells(n=60, largest=0, times=(0.5, 2.0)):
    """Return times, counts and means of cells drawn from immigration and death, one of them with a `largest` count."""
    at = np.repeat(times, n)
    mean = -10.0 * np.expm1(-at)
    seen = np.random.default_rng(7).poisson(mean)
    seen[-1] = max(seen[-1], largest)
    return at, seen, mean


def read(at, seen):
    return fsp.read_counts({"time": at, "n": seen}, counts={"X": "n"})


@pytest.mark.parametrize("width", [1e-1, 1e-4])
@pytest.mark.parametrize("largest", [0, 40, 70])
def test_intervals_hold_the_log_likelihood_of_poisson_laws(width, largest):
    at, seen, mean = cells(largest=largest)
    found = fsp.likelihood(immigration_death(), read(at, seen), width=width)
    each = poisson.logpmf(seen, mean)
    slack = 1e-11 * np.abs(each).sum()  # of the reference
    assert found.value.certified
    assert found.value.width <= width
    assert found.value.lower - slack <= each.sum() <= found.value.upper + slack
    for t, own, values, each_cell in zip((0.5, 2.0), found.by_time, found.counts.values, found.by_cell, strict=True):
        means = -10.0 * np.expm1(-t)
        for (x,), cell in zip(values.tolist(), each_cell, strict=True):
            exactly = float(poisson.logpmf(x, means))
            assert cell.lower - 1e-11 * abs(exactly) <= exactly <= cell.upper + 1e-11 * abs(exactly)
        assert own.lower - slack <= each[at == t].sum() <= own.upper + slack
    assert found.least == pytest.approx(math.exp(each.min()), rel=1e-3)
    assert "log-likelihood of 120 cells" in str(found)


def test_what_cells_contribute_is_known_each():
    counts = fsp.read_counts({"time": [0, 0, 1], "n": [0, 3, 4], "k": [5, 5, 5]}, counts={"X": "n"})
    found = fsp.likelihood(immigration_death(), counts)
    (nothing, impossible), (other,) = found.by_cell
    assert 0.0 in nothing
    assert (impossible.lower, impossible.upper) == (-math.inf, -math.inf)
    assert other.width < 1e-2
    assert found.least == 0.0
    table = {"time": [1.0, 1.0], "n": [0, 3], "k": [5.0, 10.0]}
    parts = fsp.likelihood(immigration_death(), fsp.read_counts(table, counts={"X": "n"}, conditions={"k": "k"}))
    assert parts.by_cell == ()
    for k, n, part in zip((5.0, 10.0), (0, 3), parts.by_condition.values(), strict=True):
        assert float(poisson.logpmf(n, -k * math.expm1(-1.0))) in part.by_cell[0][0]
    assert parts.least == min(part.least for part in parts.by_condition.values())


@pytest.mark.parametrize("method", ["adjoint", "forward"])
def test_gradients_hold_those_of_poisson_laws(method):
    at, seen, mean = cells()
    score = seen / mean - 1.0
    exact = {"k": float(score @ mean), "g": float(score @ (-mean + 10.0 * at * np.exp(-at)))}
    for name, own in fsp.likelihood(immigration_death(), read(at, seen)).gradient(["k", "g"], method=method).items():
        assert own.certified
        assert exact[name] in own
        assert own.width <= 1e-2 * max(1.0, abs(exact[name]))


def test_a_cell_that_rounding_hides_makes_a_forward_gradient_an_estimate():
    at, seen, mean = cells(largest=45)
    found = fsp.likelihood(immigration_death(), read(at, seen)).gradient(["k"], method="forward")["k"]
    assert not found.certified
    assert found.value == pytest.approx(float((seen / mean - 1.0) @ mean), rel=1e-6)


def noisy(seen, mean, deviation):
    """Return the log-likelihood of Poisson laws that are seen with rounded normal noise."""
    x = np.arange(100)
    upper = ndtr((seen[:, None] + 0.5 - x) / deviation)
    lower = np.where(seen[:, None] == 0, 0.0, ndtr((seen[:, None] - 0.5 - x) / deviation))
    return np.log(((upper - lower) * poisson.pmf(x, mean[:, None])).sum(axis=1)).sum()


def test_normal_noise_has_its_probabilities_far_out_too():
    table = fsp.Normal(0.7).table(25, 3)
    with mpmath.workdps(50):
        for m, x in ((0, 0), (3, 3), (0, 3), (9, 2), (25, 1)):
            upper, lower = (
                mpmath.erfc((m + half - x) / (mpmath.sqrt(2) * mpmath.mpf(0.7))) / 2 for half in (0.5, -0.5)
            )
            exact = float(1 - upper if m == 0 else lower - upper)
            assert table.values[m, x] == pytest.approx(exact, rel=table.relative, abs=table.absolute)
    assert table.relative < 1e-11
    np.testing.assert_allclose(fsp.Normal(0.7).table(40, 5).values.sum(axis=0), 1.0, rtol=1e-12)


def test_matrices_and_functions_are_instruments():
    at, seen, mean = cells()
    law = binom.pmf(np.arange(60)[:, None], np.arange(60), 0.3)
    exact = poisson.logpmf(seen, 0.3 * mean).sum()
    for instrument in (law, {"X": law}, lambda m, x: binom.pmf(m, x, 0.3)):
        found = fsp.likelihood(immigration_death(), read(at, seen), instrument=instrument, width=1e-3).value
        assert found.width <= 1e-3
        assert found.lower - 1e-8 <= exact <= found.upper + 1e-8


def test_instruments_make_known_laws_of_poisson_laws():
    at, seen, mean = cells(largest=25)
    upto = [poisson.cdf(n, mean) for n in (4, 9)]
    bins = np.where(seen < 5, upto[0], np.where(seen < 10, upto[1] - upto[0], 1.0 - upto[1]))
    cases = {
        fsp.Binomial(0.3): poisson.logpmf(seen, 0.3 * mean).sum(),
        fsp.Binomial(1.0): poisson.logpmf(seen, mean).sum(),
        fsp.Poisson(2.5): poisson.logpmf(seen, mean + 2.5).sum(),
        fsp.Poisson(0): poisson.logpmf(seen, mean).sum(),
        fsp.Bins((0, 5, 10)): np.log(bins).sum(),
        fsp.Normal(1.5): noisy(seen, mean, 1.5),
    }
    for instrument, exact in cases.items():
        found = fsp.likelihood(immigration_death(), read(at, seen), instrument=instrument, width=1e-3)
        assert found.value.width <= 1e-3
        assert found.value.lower - 1e-8 <= exact <= found.value.upper + 1e-8
        named = fsp.likelihood(immigration_death(), read(at, seen), instrument={"X": instrument}, width=1e-3)
        assert named.value == found.value


def test_counts_of_one_bin_are_one_observation():
    at, seen, _ = cells()
    first = fsp.likelihood(immigration_death(), read(at, seen // 5 * 5), instrument=fsp.Bins((5, 10, 15, 20)))
    second = fsp.likelihood(immigration_death(), read(at, seen), instrument=fsp.Bins((5, 10, 15, 20)))
    assert first.value == second.value


def test_a_cell_without_probability_is_named():
    model = fsp.Model(species={"X": 0}, reactions=[fsp.Reaction("0 -> 2 X", mass_action=1.0)])
    counts = read(np.array([1.0, 1.0]), np.array([2, 3]))
    found = fsp.likelihood(model, counts)
    assert found.value.lower == -math.inf
    assert found.value.upper < -100.0
    assert ["X = 3 at t = 1" in text for text in found.impossible] == [True]
    with pytest.raises(fsp.ArgumentError, match="X = 3"):
        found.gradient(["k"])


def test_several_species_and_sums_are_read_from_their_columns(tmp_path):
    path = tmp_path / "cells.tsv"
    rows = ["t\ta\tboth\tbatch", "1\t2\t3\tone", "1\t1\t4\tone", "1\t5\t5\ttwo", "2\t0\t1\tone"]
    path.write_text("\n".join(rows), encoding="utf-8")
    found = fsp.read_counts(path, time="t", counts={"A": "a", "A + B": "both"}, where={"batch": "one"})
    assert found.observed == ("A", "A + B")
    assert found.times.tolist() == [1.0, 2.0]
    assert [own.tolist() for own in found.values] == [[[1, 4], [2, 3]], [[0, 1]]]
    assert found.n_cells == 3
    assert "3 cells at 2 times" in str(found)
    model = fsp.Model(
        species={"A": 0, "B": 0}, reactions=[fsp.Reaction("0 -> A", rate="2"), fsp.Reaction("0 -> B", rate="1")]
    )
    law = [(1, 1, 3), (1, 2, 1), (2, 0, 1)]  # time, A, B
    exact = sum(poisson.logpmf(a, 2.0 * t) + poisson.logpmf(b, t) for t, a, b in law)
    assert exact in fsp.likelihood(model, found).value


def test_pandas_tables_are_read():
    pandas = pytest.importorskip("pandas")
    at, seen, _ = cells(5)
    found = fsp.read_counts(pandas.DataFrame({"time": at, "n": seen}), counts={"X": "n"})
    assert found.n_cells == 10


@pytest.mark.parametrize(
    ("columns", "changed", "match"),
    [
        ({"n": [1, -2]}, {}, "has -2 in row 2"),
        ({"n": [0.5, 1]}, {}, "has 0.5 in row 1"),
        ({"n": [1, np.nan]}, {}, "the first in row 2"),
        ({"n": ["one", "two"]}, {}, "must hold numbers"),
        ({"n": [1, 2], "time": [-1.0, 1.0]}, {}, "not negative"),
        ({"n": [1, 2]}, {"counts": {"X": "rna"}}, "a column 'rna'"),
        ({"n": [1, 2]}, {"counts": {}}, "the column of each species"),
        ({"n": [1, 2]}, {"where": {"n": 7}}, "has none"),
        ({"n": [1, 2]}, {"missing": "zero"}, "refuse, drop"),
    ],
)
def test_wrong_data_are_refused(columns, changed, match):
    with pytest.raises(fsp.ArgumentError, match=match):
        fsp.read_counts({"time": [1.0, 1.0], **columns}, **{"counts": {"X": "n"}, **changed})


def test_missing_rows_can_be_dropped_and_files_must_exist():
    given = {"time": [1.0, 1.0, 2.0], "n": [1, np.nan, 3]}
    assert fsp.read_counts(given, counts={"X": "n"}, missing="drop").n_cells == 2
    with pytest.raises(fsp.ArgumentError, match="exists"):
        fsp.read_counts("nowhere.csv", counts={"X": "n"})
    with pytest.raises(fsp.ArgumentError, match="columns by name"):
        fsp.read_counts(3, counts={"X": "n"})


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"width": 0.0}, "`width`"),
        ({"instrument": 0.3}, "`instrument`"),
        ({"instrument": {"Y": fsp.Poisson(1.0)}}, "`instrument`"),
    ],
)
def test_wrong_arguments_are_refused(changed, match):
    with pytest.raises(fsp.ArgumentError, match=match):
        fsp.likelihood(immigration_death(), read([1.0], [2]), **changed)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(fsp.FSPError, match="Y"):
        fsp.likelihood(immigration_death(), fsp.read_counts({"time": [1.0], "n": [2]}, counts={"Y": "n"}))
    with pytest.raises(fsp.ArgumentError, match="count in every state"):
        fsp.likelihood(immigration_death(), fsp.read_counts({"time": [1.0], "n": [2]}, counts={"X/2": "n"}))
    with pytest.raises(fsp.ArgumentError, match="read_counts"):
        fsp.likelihood(immigration_death(), [1, 2])
    for wrong in (lambda: fsp.Binomial(0.0), lambda: fsp.Poisson(-1.0), lambda: fsp.Bins([3, 1])):
        with pytest.raises(fsp.ArgumentError):
            wrong()


def test_the_command_prints_what_it_read_and_the_interval(tmp_path):
    model, table = tmp_path / "model.ant", tmp_path / "cells.csv"
    model.write_text("k = 10; g = 1; X = 0; species X; -> X; k; X -> ; g*X", encoding="utf-8")
    at, seen, mean = cells(5)
    rows = [f"{t},{n},1" for t, n in zip(at, seen, strict=True)]
    table.write_text("\n".join(["time,rna,replica", *rows, "1,3,2"]), encoding="utf-8")
    given = ["likelihood", str(model), "--data", str(table), "--observe", "X=rna", "--where", "replica=1"]
    run = CliRunner().invoke(main, [*given, "--gradient", "k", "--json"])
    record = json.loads(run.stdout)
    assert run.exit_code == 0
    assert record["cells"] == 10
    exact = float(poisson.logpmf(seen, mean).sum())
    assert record["log_likelihood"]["lower"] - 1e-9 <= exact <= record["log_likelihood"]["upper"] + 1e-9
    assert record["gradient"]["k"]["certified"]
    assert "10 cells at 2 times" in CliRunner().invoke(main, given).stdout


def test_probabilities_of_the_least_size_overflow_nothing():
    """Cells of probability 1e-310: where nothing is lacking the gap is nothing, whatever it is over."""
    y, n = np.array([[1e-310], [1e-310]]), np.array([3])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = _bounds(y, n, np.array([0.0, 1e-311]), 1e-15)
    assert low == pytest.approx(np.full(2, 3.0 * math.log(1e-310)), rel=1e-12)
    assert 0.0 <= high[0] - low[0] <= 1e-11  # rounding of the logarithms
    assert high[1] - low[1] == pytest.approx(3.0 * math.log1p(0.1), rel=1e-6)


def test_counts_that_no_table_could_hold_have_a_likelihood_or_a_limit():
    counts = read(np.ones(2), np.array([3, 10**9]))  # ones at 10⁹ times 28 places are 200 GB
    found = fsp.likelihood(immigration_death(), counts)
    assert found.value.lower == -math.inf
    assert "X = 1000000000" in found.impossible[0]
    with pytest.raises(fsp.StateSpaceError, match=r"counts up to 1,000,000,000 .* is a count, or a number"):
        fsp.likelihood(immigration_death(), counts, instrument=fsp.Binomial(0.5))


def test_many_cells_without_probability_are_a_few_lines():
    model = fsp.Model(
        species={"X": 2}, parameters={"g": 1.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")], name="decay"
    )
    found = fsp.likelihood(model, read(np.ones(9), np.arange(2, 11)))
    assert len(found.impossible) == 8
    assert str(found).count("a cell with") == 4
    assert "so have 4 other counts" in str(found)
    at_start = fsp.likelihood(model, read([0.0], [1]))
    assert at_start.impossible == ("a cell with X = 1 at t = 0 has the probability zero",)


def test_counts_of_an_unknown_species_are_refused_by_name():
    counts = fsp.read_counts({"time": [1.0], "n": [2]}, counts={"Y": "n"})
    with pytest.raises(fsp.ArgumentError, match=r"`counts` must be of species of '.*', X, .* but 'Y' was counted"):
        fsp.likelihood(immigration_death(), counts)


@pytest.mark.parametrize("there", [1000, 2000, 2080, 3000])
def test_molecules_that_are_all_missed_have_a_bound_below_what_doubles_hold(there):
    """0 of x molecules are seen with probability 0.7^x, which is 5e-324 in products of doubles from x = 2088 on."""
    model = fsp.Model(species={"X": there}, parameters={"g": 0.0}, reactions=[fsp.Reaction("X -> 0", mass_action="g")])
    found = fsp.likelihood(model, read(np.ones(1), np.zeros(1, dtype=int)), instrument=fsp.Binomial(0.3)).value
    assert found.lower <= there * math.log(0.7) <= found.upper


def test_parameters_both_of_rates_and_of_instruments_are_refused():
    parameters = {"k": 20.0, "s": 3.0, "c": "0.1*s", "d": 0.3}
    reactions = [fsp.Reaction("0 -> X", rate="k*s*d"), fsp.Reaction("X -> 0", mass_action=1.0)]
    model = fsp.Model(species={"X": 0}, parameters=parameters, reactions=reactions)
    counts = fsp.read_counts({"time": [0.5], "n": [2]}, counts={"X": "n"})
    for extrinsic in (None, {"k": fsp.Gamma("k", 0.2)}):
        by_formula, by_name = (
            fsp.likelihood(model, counts, instrument=fsp.Binomial(number), extrinsic=extrinsic, width=0.1)
            for number in ("c", "d")
        )
        with pytest.raises(fsp.ArgumentError, match="'s' is in the formula of its 'c'"):
            by_formula.gradient("s")
        with pytest.raises(fsp.ArgumentError, match="must not be of the instrument here, but 'd' is its number"):
            by_name.gradient(["k", "d"])
        assert extrinsic or by_name.gradient(["s"])["s"].certified
    with pytest.raises(fsp.ArgumentError, match="'s' is in the formula of its 'c'"):
        fsp.fisher(model, [0.5], ["s"], instrument=fsp.Binomial("c"))


@pytest.mark.parametrize(("largest", "runs"), [(40, 3), (60, 4), (90, 12)])
def test_cells_that_rounding_hides_in_a_law_at_rest_are_bounded_as_well_as_can_be(monkeypatch, largest, runs):
    """The law is known up to 2e-13: less loss makes no interval narrower, and spaces do not grow for ever."""
    losses, distributions = [], likelihoods.distributions

    def counting(model, times, loss, *more):
        losses.append(loss)
        return distributions(model, times, loss, *more)

    monkeypatch.setattr(likelihoods, "distributions", counting)
    seen = [3, 4, 5, largest]
    found = fsp.likelihood(immigration_death(), read([1.5] * 4, seen), start="stationary", max_work=1e9)
    assert found.value.certified
    assert found.value.lower - 1e-9 <= poisson.logpmf(seen, 10.0).sum() <= found.value.upper + 1e-9
    assert len(losses) <= runs
    assert bool(found.impossible) == (found.value.lower == -math.inf) == (largest == 90)
