"""Answers from a stationary start: closed forms, what stays as it is, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from inference_cases import immigration_death
from scipy import stats

import fsp
from fsp.command.main import main


def telegraph():
    return fsp.Model(
        species={"G": 0, "M": 0},
        parameters={"on": 0.7, "off": 1.1, "k": 6.0, "g": 1.0},
        reactions=[
            fsp.Reaction("G -> 2 G", rate="on*(1 - G)"),
            fsp.Reaction("G -> 0", mass_action="off"),
            fsp.Reaction("0 -> M", rate="k*G"),
            fsp.Reaction("M -> 0", mass_action="g"),
        ],
    )


def complex_step(model, name, space):
    """Return the derivative of the stationary law on a space, where next to nothing is outside, by log of a rate."""
    A = fsp.Generator(model, space).to_csr().toarray()
    twice = model.with_parameters({name: 2.0 * model.parameters[name]})
    changed = A + 1e-30j * (fsp.Generator(twice, space).to_csr().toarray() - A)
    changed -= np.diag(changed.sum(axis=0))  # nothing leaves
    system = np.vstack([changed[:-1], np.ones(len(space))])
    found = np.linalg.solve(system, np.eye(len(space))[-1])
    return found.real, found.imag / 1e-30


@pytest.mark.parametrize("name", ["on", "off", "k", "g"])
def test_a_gene_that_switches_has_the_derivatives_of_dense_null_vectors(name):
    model = telegraph()
    space = fsp.StateSpace.box(model, upper={"G": 1, "M": 70})
    p, s = complex_step(model, name, space)
    for found in fsp.sensitivity(model, [0.0, 0.7], [name], start="stationary", tol=1e-5):
        index = space.index(found.states)
        full, law = np.zeros(len(space)), np.zeros(len(space))
        full[index], law[index] = found.derivative(name), found.probabilities
        error = found.error(name)
        assert error.certified
        assert error.total <= 1e-5
        assert np.abs(full - s).sum() <= error.total + 1e-10
        assert np.abs(law - p).sum() <= found.distribution.error.total + 1e-12


def test_immigration_and_death_stay_poisson_laws():
    x = np.arange(200)
    exact = stats.poisson.pmf(x, 10.0) * (x - 10.0)
    for found in fsp.sensitivity(immigration_death(), [0.0, 0.3, 3.0], ["k", "g"], start="stationary"):
        for name, sign in (("k", 1.0), ("g", -1.0)):
            full = np.zeros(len(x))
            full[found.states[:, 0]] = found.derivative(name)
            assert np.abs(full - sign * exact).sum() <= found.error(name).total + 1e-13
            assert sign * exact[x > 12].sum() in found.probability("X > 12")[name]


def test_information_about_a_stationary_start():
    """On 21 states all is bounded: a binomial law of the odds f/b; on all counts the matrix is a lower bound."""
    model = fsp.Model(
        species={"A": 20, "B": 0},
        parameters={"f": 1.3, "b": 0.4},
        reactions=[fsp.Reaction("A -> B", mass_action="f"), fsp.Reaction("B -> A", mass_action="b")],
    )
    q = 1.3 / 1.7
    exact = 20.0 * q * (1.0 - q) * np.array([[1.0, -1.0], [-1.0, 1.0]])
    for times in ([0.0], [1.5]):
        found = fsp.fisher(model, times, ["f", "b"], start="stationary")
        assert found.certified
        assert ((found.lower <= exact) & (exact <= found.upper)).all()
        assert (found.upper - found.lower).max() < 1e-5
    with pytest.warns(fsp.ToleranceWarning, match="estimate"):
        found = fsp.fisher(immigration_death(), [0.5], ["k"], start="stationary")
    assert not found.certified
    assert 10.0 - 1e-2 < found.lower[0, 0] <= 10.0
    assert found.upper[0, 0] == np.inf
    assert found.matrix[0, 0] == pytest.approx(10.0, rel=1e-4)
    assert 9.99 < found.eigenvalues()[0].lower <= 10.0


def test_cells_of_a_stationary_start_are_those_of_a_poisson_law():
    seen = np.array([3, 8, 10, 11, 15, 22])
    counts = fsp.read_counts({"time": np.repeat([0.0, 2.0], 3), "n": seen}, counts={"X": "n"})
    found = fsp.likelihood(immigration_death(), counts, start="stationary")
    exact = stats.poisson.logpmf(seen, 10.0).sum()
    assert found.value.width <= 1e-2
    assert exact in found.value
    slope = found.gradient(["k"])["k"]
    assert slope.certified
    assert (seen - 10.0).sum() in slope


def test_transients_start_in_the_stationary_law_of_the_first_rates():
    model = fsp.Model(
        species={"X": 0},
        parameters={"k": 10.0},
        reactions=[fsp.Reaction("0 -> X", rate="k*(1 + min(time, 1))"), fsp.Reaction("X -> 0", mass_action=1.0)],
    )
    solution = fsp.transient(model, [0.0, 2.0], start="stationary")
    x = np.arange(120)
    for dist, mean in zip(solution, (10.0, 20.0 - 10.0 * (np.e - 1.0) / np.e**2), strict=True):
        full = np.zeros(len(x))
        full[dist.states[:, 0]] = dist.probabilities
        assert np.abs(full - stats.poisson.pmf(x, mean)).sum() <= dist.error.total + 1e-12


def test_other_starts_are_refused():
    for call in (
        lambda: fsp.sensitivity(immigration_death(), [1.0], ["k"], start="poisson"),
        lambda: fsp.transient(immigration_death(), [1.0], start="poisson"),
    ):
        with pytest.raises(fsp.ArgumentError, match="'stationary'"):
            call()


def test_the_command_starts_in_the_stationary_law(tmp_path):
    path = tmp_path / "model.ant"
    path.write_text("f = 2; b = 1; A = 5; B = 0; species A, B; A -> B; f*A; B -> A; b*B", encoding="utf-8")
    given = [str(path), "--parameters", "f", "--times", "0,1", "--start", "stationary", "--json"]
    run = CliRunner().invoke(main, ["sensitivity", *given])
    record = json.loads(run.stdout)
    assert run.exit_code == 0
    for own in record["times"]:
        mean = own["means"]["B"]["f"]
        assert mean["lower"] <= 5.0 * 2.0 / 9.0 <= mean["upper"]
    fisher = json.loads(CliRunner().invoke(main, ["fisher", *given]).stdout)
    assert fisher["trace"]["certified"]
    assert fisher["trace"]["lower"] <= 2.0 * 5.0 * 2.0 / 9.0 <= fisher["trace"]["upper"]


def test_where_nothing_bounds_the_derivatives_of_the_start_those_of_laws_are_estimates():
    model = fsp.Model(
        species={"G": 1, "X": 1},
        parameters={"k": 7.0, "g": 1.2},
        reactions=[
            fsp.Reaction("0 -> G", rate="2.5*(1 - G)"),  # seen to be bounded by no polynomial
            fsp.Reaction("G -> 0", mass_action=0.5),
            fsp.Reaction("0 -> X", rate="k*G"),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )
    with pytest.warns(fsp.ToleranceWarning, match="is an estimate"):
        (answer,) = fsp.sensitivity(model, [0.5], ["k", "g"], start="stationary", tol=1e-6)
    mean = 7.0 * 2.5 / 3.0 / 1.2
    for name, exact in (("k", mean), ("g", -mean)):
        assert not answer.error(name).certified
        assert answer.derivative(name) @ answer.states[:, 1] == pytest.approx(exact, rel=1e-5)


def without_drift_bound():
    return fsp.Model(
        species={"X": 5, "Y": 0},
        parameters={"k": 3.0, "g": 0.3},
        reactions=[
            fsp.Reaction("0 -> X", rate="k*(1 + Y)/(1 + X^0.5)"),
            fsp.Reaction("X -> 0", rate="g*X^1.3"),
            fsp.Reaction("0 -> Y", rate="0.3"),
            fsp.Reaction("Y -> 0", rate="Y"),
        ],
    )


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_what_a_law_that_is_not_proved_tells_is_an_estimate_that_is_not_zero():
    model = without_drift_bound()
    space = fsp.StateSpace.box(model, upper={"X": 60, "Y": 15})
    p, s = complex_step(model, "k", space)
    for found in fsp.sensitivity(model, [0.0, 0.5], ["k"], start="stationary", tol=1e-4):
        index = space.index(found.states)
        full, law = np.zeros(len(space)), np.zeros(len(space))
        full[index[index >= 0]] = found.derivative("k")[index >= 0]
        law[index[index >= 0]] = found.probabilities[index >= 0]
        error = found.error("k")
        assert not error.certified
        assert not found.distribution.error.certified
        assert 0.0 < error.total < 1e-2
        assert np.abs(full - s).sum() <= error.total
        assert np.abs(law - p).sum() <= found.distribution.error.total
        assert not found.mean("X")["k"].certified
        assert not found.distribution.probability("X > 3").certified


@pytest.mark.filterwarnings("ignore::fsp.ToleranceWarning")
def test_a_likelihood_of_a_law_that_is_not_proved_is_no_bound(tmp_path):
    (tmp_path / "cells.csv").write_text("time,X\n0,3\n0,5\n0.5,4\n")
    counts = fsp.read_counts(tmp_path / "cells.csv", time="time", counts={"X": "X"})
    answer = fsp.likelihood(without_drift_bound(), counts, start="stationary")
    assert not answer.value.certified
    assert not any(interval.certified for interval in answer.by_time)
    assert not any(interval.certified for cells in answer.by_cell for interval in cells)
    assert "estimate" in answer.value.reason
    assert fsp.likelihood(telegraph(), counts_of(tmp_path), start="stationary").value.certified


def counts_of(folder):
    (folder / "genes.csv").write_text("time,M\n0,3\n0.5,4\n")
    return fsp.read_counts(folder / "genes.csv", time="time", counts={"M": "M"})


def test_a_gradient_from_a_start_that_is_not_proved_is_as_good_as_rounding_leaves_it():
    """Its derivatives are not known up to what is asked for first, and the call takes no tolerance."""
    model = fsp.Model(
        species={"X": 0, "Y": 1},
        parameters={"k": 8.0, "g": 1.0},
        reactions=[
            fsp.Reaction("0 -> X", rate="k"),
            fsp.Reaction("X -> 0", rate="g*X*(1 + 0.5*cos(X*Y))"),
            fsp.Reaction("0 -> Y", rate="1"),
            fsp.Reaction("Y -> 0", rate="Y*sqrt(Y)/(1 + 0.1*X)"),
        ],
    )
    counts = fsp.read_counts({"time": [0.5, 1.0], "n": [4, 9]}, counts={"X": "n"})
    slope = fsp.likelihood(model, counts, start="stationary").gradient(["k", "g"])["k"]
    up, down = (
        fsp.likelihood(model.with_parameters(k=8.0 * np.exp(step)), counts, start="stationary").value.value
        for step in (1e-3, -1e-3)
    )
    assert not slope.certified
    assert slope.value == pytest.approx((up - down) / 2e-3, abs=1e-3)
