"""Derivatives of rate laws where counts are zero, against complex steps; what has none is refused by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fsp
from fsp.inference.free_laws import FreeLaws
from fsp.model.derivatives import derivative
from fsp.model.expression import evaluate
from fsp.model.infix import to_text

COUNTS = np.arange(5.0)
LAWS = [
    "k*X^n",
    "k*(X/K)^n",
    "k*(K*X)^n",
    "k*(X/K)^n/(1 + (X/K)^n)",
    "k*X^n/(K^n + X^n)",
    "k/(1 + (X/K)^n)",
    "k*(X/(K + X))^n",
    "k*(X*n/K)^(n/2)",
    "k*(K*sqrt(X/K))^n",
    "k*((X/K)^0.5*(K + X))^n",
    "k*sqrt(K*X)^n",
    "k*exp(-n*(X/K)^0.3)",
    "k*exp(ln(K*X))*n",
]
VALUES = {"k": 2.0, "K": 3.0}


def network(law, n, start=0):
    return fsp.Model(
        species={"X": start, "Y": 0},
        parameters={**VALUES, "n": n},
        reactions=[
            fsp.Reaction("0 -> X", rate="1"),
            fsp.Reaction("X -> 0", mass_action=1.0),
            fsp.Reaction("0 -> Y", rate=law, name="made"),
            fsp.Reaction("Y -> 0", mass_action=2.0),
        ],
    )


@pytest.mark.parametrize("n", [0.25, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("law", LAWS)
def test_powers_of_products_have_their_derivatives_where_a_count_is_zero(law, n):
    tree = network(law, n).definition.laws[2]
    for name in ("k", "K", "n"):
        given = {**VALUES, "n": n}
        moved = {**given, name: given[name] + 1e-30j}
        exact = evaluate(tree, {"X": np.maximum(COUNTS, 1e-300).astype(complex), **moved}).imag / 1e-30
        with np.errstate(all="ignore"):
            found = np.broadcast_to(evaluate(derivative(tree, name), {"X": COUNTS, **given}), COUNTS.shape)
        assert found == pytest.approx(exact, rel=1e-11, abs=1e-14), (law, name, to_text(derivative(tree, name)))


@pytest.mark.parametrize("law", ["k*(X/K)^n/(1 + (X/K)^n)", "k*(X/K)^n", "k*sqrt(K*X)"])
def test_laws_that_begin_at_a_zero_are_differentiated_within_their_bounds(law):
    model, h = network(law, 0.5), 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        found = fsp.sensitivity(model, [0.7], ["k", "K"], log=False, tol=1e-8)[-1]
    for name in ("k", "K"):
        sides = [
            fsp.transient(model.with_parameters({name: VALUES[name] + step}), [0.7], tol=1e-11)[-1] for step in (-h, h)
        ]
        values = [dict(zip(map(tuple, side.states.tolist()), side.probabilities, strict=True)) for side in sides]
        slopes = dict(zip(map(tuple, found.states.tolist()), found.derivative(name), strict=True))
        states = set(slopes).union(*values)
        quotient = {x: (values[1].get(x, 0.0) - values[0].get(x, 0.0)) / (2.0 * h) for x in states}
        distance = sum(abs(slopes.get(x, 0.0) - quotient[x]) for x in states)
        assert distance <= found.error(name).total + h**2  # the quotient is off by h²/6 of a third derivative


def test_parameters_in_powers_are_fitted_where_counts_are_zero():
    model = network("k*(X/K)^n", 0.5)
    seen = {"time": [1.0] * 8, "n": [0, 1, 2, 0, 1, 0, 3, 1]}
    cells = fsp.read_counts(seen, counts={"Y": "n"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        matrix = fsp.fisher(model, [1.0], ["k", "n"]).matrix
    assert np.isfinite(matrix).all()
    fitted = fsp.fit(model, cells, {"k": (0.4, 9.0), "n": (0.1, 2.5)}, starts=1, intervals="fisher", processes=1)
    assert all(np.isfinite(value) for value in fitted.parameters.values())


def test_what_has_no_derivative_is_refused_by_reaction_state_and_parameter():
    law = "k*(X/K + Y)^0.5"
    words = r"rate of 'made' by 'K' .* in state \{'X': 0, 'Y': 0\}. Add a small number"
    with pytest.raises(fsp.ModelError, match=words):
        fsp.sensitivity(network(law, 1.0), [0.5], ["k", "K"], tol=1e-3)
    with pytest.raises(fsp.ModelError, match=words):
        FreeLaws.of(network(law, 1.0), ["k", "K"]).slopes_at({"X": COUNTS, "Y": 0.0 * COUNTS}, np.array([2.0, 3.0]))
    cells = fsp.read_counts({"time": [1.0] * 3, "n": [0, 1, 2]}, counts={"Y": "n"})
    with pytest.raises(fsp.ModelError, match=words):
        fsp.fit(network(law, 1.0), cells, {"K": (1.0, 9.0)}, starts=1, processes=1)
    way_out = network("k*(X/K + Y + 1e-9)^0.5", 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        assert np.isfinite(fsp.sensitivity(way_out, [0.5], ["K"], tol=1e-3)[-1].derivative("K")).all()
        assert fsp.sensitivity(network(law, 1.0), [0.5], ["k"], tol=1e-3)[-1].error("k").total <= 1e-3
