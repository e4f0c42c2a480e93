"""Designs against closed forms, against random weights, and what is refused."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from inference_cases import immigration_death

import fsp
from fsp.command.main import main
from fsp.inference.criteria import CRITERIA, optimal_weights

TIMES = [0.2, 0.5, 1.0, 2.0, 8.0]


def amount(criterion, M):
    values = np.linalg.eigvalsh(M)
    return {"D": values.prod() ** (1 / len(M)), "A": 1.0 / (1.0 / values).sum(), "E": values[0]}[criterion]


@pytest.mark.parametrize("criterion", ["D", "A", "E"])
def test_no_other_shares_are_better_than_is_said(criterion):
    plan = fsp.design(immigration_death(), TIMES, ["k", "g"], criterion=criterion)
    F = np.array([fsp.fisher(immigration_death(), [t], ["k", "g"]).matrix for t in TIMES])
    best = amount(criterion, np.tensordot(plan.weights[0], F, 1))
    assert plan.below <= 1e-4
    for w in np.random.default_rng(1).dirichlet(np.full(5, 0.3), 400):
        assert amount(criterion, np.tensordot(w, F, 1)) <= best * (1.0 + plan.below + 1e-9)
    assert plan.gain == pytest.approx(best / amount(criterion, F.mean(axis=0)), rel=1e-9)
    assert plan.cells.sum() == 1000
    known = fsp.fisher(immigration_death(), TIMES, ["k", "g"], cells=plan.cells[0])
    np.testing.assert_allclose(plan.information.matrix, known.matrix, rtol=1e-9)


def test_two_parameters_of_poisson_laws_take_two_times_half_of_the_cells_each():
    # each cell tells one direction, so that det M is the product of the two shares: an old result
    plan = fsp.design(immigration_death(), TIMES, ["k", "g"], cells=101)
    assert sorted(plan.cells[0].tolist())[-2:] == [50, 51]
    mean, slope = 10.0 * (1.0 - np.exp(-np.array(TIMES))), 10.0 * np.array(TIMES) * np.exp(-np.array(TIMES))
    u = np.stack([np.ones(5), -1.0 + slope / mean])  # of log k and log g
    det = [[mean[i] * mean[j] * (u[0, i] * u[1, j] - u[0, j] * u[1, i]) ** 2 for j in range(5)] for i in range(5)]
    i, j = np.unravel_index(np.argmax(det), (5, 5))
    assert set(np.flatnonzero(plan.cells[0]).tolist()) == {int(i), int(j)}


def test_parameters_of_interest_have_the_least_variance_with_the_others_unknown():
    model = immigration_death()
    conditions = {"empty": {"X": 0}, "full": {"X": 30}}
    plan = fsp.design(model, [0.5, 1.0, 4.0], ["k", "g"], criterion="Ds", interest="g", conditions=conditions)
    assert plan.cells.shape == (2, 3)
    variance = np.linalg.inv(plan.information.matrix)[1, 1]
    for other in ("D", "A"):
        another = fsp.design(model, [0.5, 1.0, 4.0], ["k", "g"], criterion=other, conditions=conditions)
        assert variance < 0.99 * np.linalg.inv(another.information.matrix)[1, 1]
    assert "full" in str(plan)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(3, 8), st.sampled_from(sorted(CRITERIA)))
def test_the_bound_of_the_equivalence_theorem_closes(seed, q, n, criterion):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((n, q, 2 * q))
    F = scores @ scores.transpose(0, 2, 1)
    weights, gap = optimal_weights(criterion, F, [0])
    assert weights.sum() == pytest.approx(1.0)
    value = CRITERIA[criterion](np.tensordot(weights, F, 1), F, [0]).value
    assert gap <= 2e-4 * max(1.0, abs(value))
    for w in rng.dirichlet(np.ones(n), 20):
        assert CRITERIA[criterion](np.tensordot(w, F, 1), F, [0]).value <= value + gap + 1e-9 * abs(value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"criterion": "G"}, "`criterion` must be one of D, Ds, A, E"),
        ({"cells": 0}, "`cells` must be a whole number of 1 or more"),
        ({"criterion": "Ds"}, "`interest` must come with criterion='Ds'"),
        ({"interest": "k"}, "`interest` must come with criterion='Ds'"),
        ({"criterion": "Ds", "interest": "q"}, "`interest` must be some of k, g"),
        ({"conditions": {"low": {"k": 1.0}}}, "must not set what is to be told, but one sets 'k'"),
        ({"conditions": []}, "`conditions` must say what each sets"),
    ],
)
def test_bad_arguments_have_each_their_own_error(more, words):
    with pytest.raises(fsp.ArgumentError, match=words):
        fsp.design(immigration_death(), TIMES, ["k", "g"], **more)


def test_what_no_cell_tells_is_said():
    with pytest.raises(fsp.ArgumentError, match="no cell tells"):
        fsp.design(immigration_death(), [1.0], ["k", "g"])


def test_the_command_prints_the_plan(tmp_path):
    model = tmp_path / "model.ant"
    model.write_text("k = 10; g = 1; X = 0; species X; -> X; k; X -> ; g*X", encoding="utf-8")
    words = ["design", str(model), "--parameters", "k,g", "--times", "0.5,2,8", "--cells", "90"]
    run = CliRunner().invoke(main, [*words, "--condition", "a:X=0", "--condition", "b:X=20", "--json"])
    assert run.exit_code == 0
    record = json.loads(run.stdout)
    assert np.sum(record["cells"]) == 90
    assert record["conditions"] == ["a", "b"]
    assert math.isfinite(record["gain"])
    assert "D-optimal" in CliRunner().invoke(main, words).stdout
    assert CliRunner().invoke(main, [*words, "--condition", "X=3"]).exit_code == 2


def test_a_design_is_for_one_parameter_at_least():
    reactions = [fsp.Reaction("X -> 0", mass_action="g")]
    model = fsp.Model(species={"X": 2}, parameters={"g": 1.0}, reactions=reactions)
    with pytest.raises(fsp.ArgumentError, match=r"`parameters` must be one or more different names, but are \[\]"):
        fsp.design(model, [1.0, 2.0], [], cells=10)
