"""Verify real simulators on benchmark models, and print the table of `docs/simulators.md`.

    python ci/simulators.py [--runs 2000] [--seed 1] [--only roadrunner copasi ...] [--models NAME ...]

Needs `pip install -e .[verify]`.  Each marginal at each time is compared with the certified solution by an exact bound
on the distance of distribution functions (Dvoretzky-Kiefer-Wolfowitz with Massart's constant, from which a p-value
follows for any number of runs); p-values are multiplied by the number of marginals of the model (Bonferroni).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

import fsp
from fsp.sampling.packages import PACKAGES, version
from fsp.sampling.simulators import open_simulator
from fsp.verification.statistics import band

MODELS = Path(__file__).resolve().parents[1] / "tests" / "models"
TIMES = {
    "bimolecular": [0.5, 2],
    "birth_death_poisson": [0.5, 2],
    "bottleneck": [1e4],
    "bursty_expression": [0.5, 1],
    "closed_isomerization": [0.2, 1],
    "futile_cycle": [0.01],
    "gene_expression_2stage": [1, 5],
    "homodimerization": [0.5, 2],
    "mrna_decay": [1, 5],
    "pap_pili": [10],
    "phage_lambda": [30],
    "telegraph": [1, 4],
    "toggle_hill": [5],
}


def p_value(sampled, solution):
    """Return the smallest adjusted p-value, and the species and time that it belongs to."""
    found = []
    n = len(sampled)
    for k, d in enumerate(solution):
        for j, name in enumerate(d.species):
            one = d.marginal(name)
            top = max(one.states.max(), sampled[:, k, j].max(), 0) + 1
            exact = np.zeros(top)
            exact[one.states[:, 0]] = one.probabilities
            counts = np.bincount(np.maximum(sampled[:, k, j], 0), minlength=top) / n
            distance = np.abs(np.cumsum(counts) - np.cumsum(exact)).max() - d.error.total
            found.append((band(n, distance), f"{name}, t = {d.t:g}"))
    p, where = min(found)
    return min(1.0, p * len(found)), where


def main():
    """Print one row for each simulator and model; exit with 1 where one differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=["fsp", *PACKAGES])
    parser.add_argument("--models", nargs="*", default=list(TIMES))
    given = parser.parse_args()
    differs = False
    solutions = {name: fsp.transient(fsp.load(MODELS / f"{name}.ant"), TIMES[name], 1e-7) for name in given.models}
    print("| simulator | version | model | runs | p-value | smallest at | seconds |\n|---|---|---|---|---|---|---|")
    for name in given.only:
        simulator = open_simulator(name)
        for model in given.models:
            begin = perf_counter()
            try:
                sampled = simulator.sample(MODELS / f"{model}.ant", TIMES[model], given.runs, given.seed)
                p, where = p_value(sampled, solutions[model])
                verdict = f"{p:.2g} | {where}"
                differs |= p < 1e-3
            except fsp.FSPError as error:
                verdict = f"error | {str(error).splitlines()[0][:150]}"
            made = fsp.__version__ if name == "fsp" else version(name)
            seconds = perf_counter() - begin
            print(f"| {name} | {made} | {model} | {given.runs:,} | {verdict} | {seconds:.1f} |", flush=True)
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
