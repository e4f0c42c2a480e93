"""Fits and posteriors of simulated cells: ``python ci/fits.py [SETS]``, a section of docs/benchmarks.md.

Coverage: how often intervals of 95 % hold the parameters that made the data.  Birth and death of one species, observed
in independent cells at three times; each set of data is simulated by `fsp.ssa` and fitted, and its intervals are looked
at, those by profiles and those by the Fisher information.
"""

from __future__ import annotations

import sys
from time import process_time

import numpy as np
from adaptive import table
from scipy.stats import lognorm

import fsp

TIMES, CELLS = [0.5, 1.0, 3.0], 40  # at each time
TRUE = {"k": 10.0, "g": 1.0}
RANGES = {"k": (1.0, 100.0), "g": (0.1, 10.0)}
GENE = {"on": 0.5, "off": 1.0, "make": 20.0, "lose": 1.0}
GENE_TIMES, GENE_CELLS = [1.0, 2.0, 4.0, 8.0], 16  # at each time: 64 cells
POINTS, LONG = 2**15, 2**17


def birth_death():
    return fsp.Model(
        species={"X": 0},
        parameters=TRUE,
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def gene():
    return fsp.Model(
        species={"G": 0, "M": 0},
        parameters=GENE,
        reactions=[
            fsp.Reaction("0 -> G", rate="on*(1 - G)"),
            fsp.Reaction("G -> 0", mass_action="off"),
            fsp.Reaction("G -> G + M", mass_action="make"),
            fsp.Reaction("M -> 0", mass_action="lose"),
        ],
    )


def drawn(model, times, cells, species, seed):
    """Return counts of cells, each observed once."""
    runs = fsp.ssa(model, times, runs=cells * len(times), seed=seed)
    place = model.species.index(species)
    values = np.concatenate([runs[i * cells : (i + 1) * cells, i, place] for i in range(len(times))])
    return fsp.read_counts({"time": np.repeat(times, cells), "x": values}, counts={species: "x"})


def coverage(sets):
    """Return rows: how many of so many intervals hold the truth, and CPU seconds of a fit."""
    begun, held = process_time(), {}
    for seed in range(sets):
        cells = drawn(birth_death(), TIMES, CELLS, "X", seed)
        fit = fsp.fit(birth_death(), cells, RANGES, starts=1, processes=1)
        for method in ("profile", "fisher"):
            for name, interval in fit.intervals(method=method).items():
                held[method, name] = held.get((method, name), 0) + (interval.lower <= TRUE[name] <= interval.upper)
    seconds = (process_time() - begun) / sets
    return [
        f"| {method} | {name} | {n} of {sets} | {n / sets:.1%} | {seconds:.2f} |" for (method, name), n in held.items()
    ]


def fitted():
    """Return a row: five starts of four parameters within factors of 1e5, with profiles."""
    cells = drawn(gene(), GENE_TIMES, GENE_CELLS, "M", 3)
    begun = process_time()
    fit = fsp.fit(gene(), cells, {name: (1e-2, 1e3) for name in GENE}, processes=1)
    seconds = process_time() - begun
    return [f"| {fit.likelihood} | {fit.likelihood.width:.0e} | {fit.agreeing} of {len(fit.starts)} | {seconds:.1f} |"]


def posterior():
    """Return rows: means by so many points beside those of a long run."""
    cells = drawn(gene(), GENE_TIMES, GENE_CELLS, "M", 3)
    priors = {name: lognorm(0.3, scale=value) for name, value in GENE.items()}
    rows, runs = [], []
    for points, seed in ((POINTS, 0), (LONG, 1)):
        density = fsp.Posterior(gene(), cells, priors)
        begun = process_time()
        runs.append((density.integrate(points, seed=seed), process_time() - begun, density.evaluations))
    (short, seconds, evaluations), (long, _, _) = runs
    for name, mean in short.mean().items():
        known = long.mean()[name]
        off = abs(mean.value / known.value - 1.0)
        error = 0.25 * mean.width / mean.value
        rows.append(
            f"| {name} | {mean.value:.4f} | {error:.2%} | {known.value:.4f} | {off:.2%} | {short.effective[0]:,.0f} | "
            f"{seconds:.0f} | {1e3 * seconds / evaluations:.2f} |"
        )
    return rows


def report(sets=200):
    """Return the section."""
    return "\n\n".join(
        [
            table("| intervals by | parameter | hold it | share | CPU s a fit |", coverage(sets)),
            "A gene with two states, 64 cells, four parameters within factors of 10⁵, five starts, with profiles.",
            table("| log-likelihood | width | starts that agree | CPU s |", fitted()),
            f"Its posterior with lognormal priors of width 0.3: {POINTS:,} points by `Posterior.integrate`, beside "
            f"{LONG:,} with other random numbers.",
            table(
                "| parameter | mean | standard error | of the long run | apart | worth draws | CPU s | ms for one |",
                posterior(),
            ),
        ]
    )


if __name__ == "__main__":
    print(report(*map(int, sys.argv[1:])))
