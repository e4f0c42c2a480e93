"""Rates that are not defined out of reach: each question about a gene by one count and by two that are conserved."""

from __future__ import annotations

import numpy as np
import pytest

import fsp

VALUES = {"on": 0.3, "off": 0.5, "k": 4.0, "d": 1.0, "kp": 2.0, "dp": 0.5}
PROTEIN = [
    fsp.Reaction("G -> G + R", mass_action="k"),
    fsp.Reaction("R -> 0", mass_action="d"),
    fsp.Reaction("R -> R + P", mass_action="kp"),
    fsp.Reaction("P -> 0", mass_action="dp"),
]
CELLS = fsp.read_counts({"time": np.repeat([2.0, 5.0], 4), "P": [0, 3, 8, 12, 1, 5, 2, 30]}, counts={"P": "P"})
FEW_CELLS = fsp.read_counts({"time": [2.0, 2.0], "P": [0, 8]}, counts={"P": "P"})
EXTRINSIC = {"k": fsp.Gamma(mean=4.0, cv=0.3)}


def gene():
    """Return a gene that is on or off, G = 1 or 0, with a rate below zero at G = 2."""
    switch = [fsp.Reaction("0 -> G", rate="on*(1 - G)"), fsp.Reaction("G -> 0", mass_action="off")]
    return fsp.Model(species={"G": 0, "R": 0, "P": 0}, parameters=VALUES, reactions=[*switch, *PROTEIN])


def conserved():
    """Return the same gene, with a count of genes that are off."""
    switch = [fsp.Reaction("F -> G", mass_action="on"), fsp.Reaction("G -> F", mass_action="off")]
    return fsp.Model(species={"F": 1, "G": 0, "R": 0, "P": 0}, parameters=VALUES, reactions=[*switch, *PROTEIN])


def _sensitivity(model):
    return fsp.sensitivity(model, 5.0, ["on", "k"], tol=1e-6)[-1].mean("P")["on"]


def _fisher(model):
    return fsp.fisher(model, [5.0], ["on", "k"], observe="P", tol=1e-6).trace()


def _fit(model):
    fit = fsp.fit(model, CELLS, {"k": (1.0, 10.0)}, starts=1, intervals="fisher", processes=1)
    return fit.likelihood


def _mixture(model):
    return fsp.mixture(model, EXTRINSIC, [5.0], tol=1e-2)[-1].probability("P > 3")


def _extrinsic(model):
    return fsp.likelihood(model, FEW_CELLS, extrinsic=EXTRINSIC, width=0.1).value


QUESTIONS = {
    "sensitivity": _sensitivity,
    "gradient": lambda model: fsp.gradient(model, "P > 3", 5.0, ["on"], tol=1e-4)["on"],
    "fisher": _fisher,
    "likelihood": lambda model: fsp.likelihood(model, CELLS).value,
    "gradient of a likelihood": lambda model: fsp.likelihood(model, CELLS, width=0.1).gradient(["on"])["on"],
    "fit": _fit,
    "mixture": _mixture,
    "likelihood of a mixture": _extrinsic,
    "reward": lambda model: fsp.reward(model, "P", [5.0], tol=1e-2).mean[-1],
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_gene_by_one_count_has_the_answers_of_a_gene_by_two(question):
    alone, expected = (QUESTIONS[question](model) for model in (gene(), conserved()))
    assert alone.lower <= expected.upper
    assert expected.lower <= alone.upper
    assert alone.upper - alone.lower <= 0.1
