"""Induction: a gene is switched on harder or softer, and off again; a sweep and a change of parameters.

From an empty start under rate k for a time, then without it, the copy number is Poisson at every moment, of mean
k/g (1 - exp(-g T)) exp(-g (t - T)) for t after the switch at T.
"""

import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import poisson

import fsp


def gap(dist, mean):
    """1-norm distance to the Poisson law over all states."""
    law = poisson(mean).pmf(dist.states[:, 0])
    return abs(law - dist.probabilities).sum() + 1 - law.sum()


def test_induction_sweep():
    model = fsp.Model(
        name="induction",
        species={"X": 0},
        parameters={"k": 10.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )
    sweep = fsp.sweep(model, {"k": [10, 20, 40], "g": [1, 2]}, times=[1.0], tol=1e-7)
    print(sweep)
    for (k, g), on in zip(sweep.points, sweep, strict=True):
        mean = k / g * -np.expm1(-g)
        assert gap(on[-1], mean) <= on.error.total + 1e-13
        off = fsp.transient(model.with_parameters(k=0, g=g), times=[1.5, 3.0], tol=1e-6, start=on)
        for dist in off:
            assert gap(dist, mean * np.exp(-g * (dist.t - 1.0))) <= dist.error.total + 1e-13

    with tempfile.TemporaryDirectory() as folder:
        sweep.save(Path(folder) / "sweep.h5")
        again = fsp.read(Path(folder) / "sweep.h5")
    assert again.at(k=20, g=2).mean()["X"] == sweep.at(k=20, g=2).mean()["X"]


if __name__ == "__main__":
    test_induction_sweep()
