"""The field's benchmark models: each loads, and where a reference is stored the answers agree within both bounds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from references import MODELS, error_of, gaps, references

import fsp

TOL = 1e-6
FILES = sorted(MODELS.glob("*.ant"))

# Which references are compared, with the seconds that each model takes on one core, together 14.  Left out: goutsias,
# lotka_volterra, repressilator and sir, of 200,000 states and more; the stationary law of gene_expression, of 400,000;
# hog1 at 180 s, in eight species; the late times of michaelis_menten, robertson and toggle_gardner, which are stiff.
COMPARED = {
    "bimolecular": [0.5, 2, "stationary"],  # 0.1
    "birth_death": [10],  # 0.5
    "birth_death_poisson": [0.5, 2.0, "stationary"],  # 0.1
    "bottleneck": [10000.0, 100000.0],  # 2.0
    "bursty_expression": [1.0, "stationary"],  # 0.1
    "closed_isomerization": [0.2, 1.0, "stationary"],  # 0.1
    "futile_cycle": [0.01, 1, "stationary"],  # 0.6
    "gene_expression_2stage": [1, 5, "stationary"],  # 0.4
    "homodimerization": [0.5, 2, "stationary"],  # 0.1
    "michaelis_menten": [1],  # 6.2
    "mrna_decay": [1, 5],  # 0.1
    "pap_pili": [10, 100],  # 1.2
    "phage_lambda": [30],  # 0.5
    "robertson": [1.0],  # 0.8
    "schloegl": [4, 20, "stationary"],  # 6
    "telegraph": [1, 4, 1.0, 4.0, "stationary"],  # 0.3
    "toggle2": [30, "stationary"],  # 6
    "toggle_gardner": [1],  # 4.0
    "toggle_hill": [5, 20, "stationary"],  # 2
}


def selected():
    for name, times in COMPARED.items():
        seen = set()
        for k, reference in enumerate(references(name)):
            if reference["t"] in times and reference.get("states", 0) < 100_000 and "runs" not in reference:
                label = f"{name}-{reference['t']}-{reference.get('method', 'uniformization').split()[0]}"
                yield pytest.param(name, k, id=label if label not in seen else f"{label}-{k}")
                seen.add(label)


@pytest.fixture(scope="module")
def answers():
    """Solve each model once for all of its transient times, and once for its stationary law."""
    solved = {}

    def answer(name, t):
        model = fsp.load(MODELS / f"{name}.ant")
        if t == "stationary":
            return solved.setdefault((name, t), fsp.stationary(model, TOL))
        if name not in solved:
            times = sorted({float(x) for x in COMPARED[name] if x != "stationary"})
            solved[name] = fsp.transient(model, times, TOL)
        return solved[name].at(float(t))

    return answer


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_model_loads(path):
    model = fsp.load(path)
    assert model.n_species > 0
    assert model.n_reactions > 0
    assert model.name
    assert model.describe()
    rates = model.propensities(model.initial_states, 0.0)
    assert rates.shape == (model.n_reactions, len(model.initial_states))
    assert np.isfinite(rates).all()


@pytest.mark.parametrize("name", sorted(path.name.split(".")[0] for path in MODELS.glob("*.reference.json")))
def test_the_model_is_that_of_its_reference(name):
    stored = json.loads((MODELS / f"{name}.reference.json").read_text())
    model = fsp.load(MODELS / f"{name}.ant")
    assert list(model.species) == stored["species"]
    assert model.n_reactions == stored.get("n_reactions", model.n_reactions)
    start = dict(zip(model.species, model.initial_states[0].tolist(), strict=True))
    assert start == stored["initial_state"]


def test_the_table_names_models_that_exist():
    assert {path.stem for path in FILES} >= set(COMPARED)
    for name, times in COMPARED.items():
        assert {reference["t"] for reference in references(name)} >= set(times)


@pytest.mark.parametrize(("name", "k"), list(selected()))
def test_the_answer_agrees_with_the_reference(answers, name, k):
    values = references(name)[k]
    d = answers(name, values["t"])
    both = d.error.total + error_of(values)
    assert d.error.total <= TOL
    assert d.error.certified or values["t"] == "stationary"  # futile_cycle: no drift condition
    found = gaps(d, values)
    assert found
    assert {what: gap for what, gap in found.items() if gap > both} == {}


@pytest.mark.parametrize(("name", "k"), list(selected()))
def test_the_means_agree_with_the_reference(answers, name, k):
    """A 1-norm error bounds the mean on states that are stored; beyond them the tail is taken to be as short."""
    values = references(name)[k]
    d = answers(name, values["t"])
    both = d.error.total + error_of(values)
    means, variances = d.mean(), d.variance()
    for species, mean in values["mean"].items():
        reach = float(d.states[:, d.species.index(species)].max()) + 1.0
        assert abs(means[species] - mean) <= 2.0 * both * reach + 1e-9 * abs(mean)
        assert abs(variances[species] - values["variance"][species]) <= 8.0 * both * reach**2 + 1e-9 * mean**2


def test_the_exchange_symmetry_of_the_toggle_is_kept(answers):
    """toggle_hill is symmetric in U and V, and starts on the diagonal."""
    d = answers("toggle_hill", 5)
    swapped = d.marginal("V", "U")
    mirrored = fsp.Distribution(
        swapped.states, swapped.probabilities, ("U", "V"), t=d.t, error=d.error, model_name=d.model_name
    )
    assert d.distance(mirrored) <= 2.0 * d.error.total


def test_a_time_dependent_model_is_answered_with_a_bound():
    """hog1: the gene's four states, of 3200/s at first, at an early time."""
    model = fsp.load(MODELS / "hog1.ant")
    d = fsp.transient(model, [0.1], TOL)[0]
    assert model.is_time_dependent
    assert d.error.certified
    assert d.error.total <= TOL
    assert sum(d.mean()[gene] for gene in ("G0", "G1", "G2", "G3")) == pytest.approx(1.0, abs=1e-9)
