"""From counts to rates: cells of a gene with two states are simulated, written as a table, and its rates estimated."""

import tempfile
from pathlib import Path

import numpy as np

import fsp

TRUE = {"on": 0.6, "off": 1.0, "make": 15.0}
TIMES, CELLS = [1.0, 3.0, 8.0], 150  # cells at each time, each of which is observed once


def gene():
    return fsp.Model(
        name="gene",
        species={"G": 0, "RNA": 0},
        parameters={**TRUE, "lose": 1.0},
        reactions=[
            fsp.Reaction("0 -> G", rate="on*(1 - G)"),
            fsp.Reaction("G -> 0", mass_action="off"),
            fsp.Reaction("G -> G + RNA", mass_action="make"),
            fsp.Reaction("RNA -> 0", mass_action="lose"),
        ],
    )


def write_cells(path):
    """Write a table with a row for each cell: its time, and its molecules of RNA."""
    runs = fsp.ssa(gene(), TIMES, runs=CELLS * len(TIMES), seed=5)
    rows = [f"{t},{n}" for i, t in enumerate(TIMES) for n in runs[i * CELLS : (i + 1) * CELLS, i, 1]]
    path.write_text("\n".join(["time,rna", *rows]), encoding="utf-8")


def test_counts_to_rates():
    with tempfile.TemporaryDirectory() as folder:
        write_cells(Path(folder) / "cells.csv")
        counts = fsp.read_counts(Path(folder) / "cells.csv", counts={"RNA": "rna"})
        print(counts)
        fit = fsp.fit(gene(), counts, {"on": (0.05, 5), "off": (0.05, 10), "make": (2, 100)}, starts=2, processes=1)
        print(fit)
        fit.report(Path(folder) / "fit.html")
    for name, interval in fit.intervals(0.95).items():
        assert interval.lower <= TRUE[name] <= interval.upper  # so with this seed; in 95 of 100 of them
    assert fit.likelihood.certified
    assert fit.agreeing == 2

    residuals = np.concatenate([panel.residuals[panel.values] for panel in fit.panels])
    assert (np.abs(residuals) < 5.0).all()  # the model fits its own data

    # a gene that is always on makes a Poisson law, which is no model of these cells
    plain = fsp.Model(
        species={"RNA": 0},
        parameters={"make": 5.0, "lose": 1.0},
        reactions=[fsp.Reaction("0 -> RNA", rate="make"), fsp.Reaction("RNA -> 0", mass_action="lose")],
    )
    poisson = fsp.fit(plain, counts, {"make": (0.1, 100)}, starts=1, intervals="fisher", processes=1)
    print(fit.compare(poisson))
    assert fit.aic < poisson.aic - 100.0

    plan = fsp.design(fit.model, TIMES, list(TRUE), cells=450, observe="RNA")
    print(plan)
    assert plan.gain >= 1.0


if __name__ == "__main__":
    test_counts_to_rates()
