"""The STL1 model of SSIT and its counted cells: ``FSP_STL1_CELLS=cells.csv python ci/osmotic_stress.py``.

A gene of yeast with four states makes mRNA in osmotic stress: a signal switches a fast rate off and on again, and cells
begin in the stationary law (B. Munsky's group, SSIT, example 7, with its parameters there).  Rows about cells need the
counts of SSIT's `filtered_data_2M_NaCl_Step.csv` as a table with columns `time` and `rna_total`; they are left out
without.  The row of a fit, which takes some minutes on two cores, is made where `FSP_STL1_FIT` is set as well.
"""

from __future__ import annotations

import math
import os
import resource
import warnings
from time import perf_counter

import numpy as np
from adaptive import table, timed

import fsp
from fsp.inference.objective import Objective
from fsp.inference.priors import priors_of
from fsp.inference.problem import Limits

NOTE = (
    "The STL1 model of SSIT (four states of a gene, a signal that switches a rate of 1.9·10⁵ a minute off and on, "
    "stationary start, 18 parameters, 16 times to 55 min) and its 13,227 cells: the table is made where "
    "`FSP_STL1_CELLS` names the file of counts.  Two independent integrations give a log-likelihood of -29879.3406.  "
    "SSIT's is uncertain by 130 nats at its tolerance, and the smallest eigenvalue of its Fisher matrix is off by a "
    "factor of 500 or more."
)
TIMES = [0, 1, 2, 4, 6, 8, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]  # minutes
FREE = {"t0": 3.17, "k12": 78.0, "k21o": 1.92e5, "k21i": 3200.0, "k23": 0.402, "k34": 7.8, "k32": 1.62, "k43": 2.28}
FREE |= {"dr": 0.294, "kr1": 4.68e-2, "kr2": 0.72, "kr3": 59.4, "kr4": 3.24}
SIGNAL = {"r1": 4.14e-3, "r2": 0.426, "A": 9.3e9, "M": 6.4e-4, "n": 3.1}
ENTERED = "piecewise((1 - exp(-r1*(time - t0)))*exp(-r2*(time - t0)), time > t0, 0)"
TOL = 1e-4  # of derivatives
CELLS = 1000  # at each time
FACTOR = 3.0  # of the bounds of a fit, about SSIT's values
STARTS, PROCESSES = 5, 2


def model():
    """Return the network; minutes."""
    signal = f"k21i*A*({ENTERED}/(1 + {ENTERED}/M))^n"
    steps = {"G1 -> G2": "k12", "G2 -> G3": "k23", "G3 -> G2": "k32", "G3 -> G4": "k34", "G4 -> G3": "k43"}
    reactions = [fsp.Reaction(text, mass_action=rate) for text, rate in steps.items()]
    reactions += [fsp.Reaction(f"G{i} -> G{i} + RNA", mass_action=f"kr{i}") for i in (1, 2, 3, 4)]
    reactions += [
        fsp.Reaction("G2 -> G1", rate=f"piecewise(k21o*(1 - {signal}), {signal} < 1, 0)*G2"),
        fsp.Reaction("RNA -> 0", mass_action="dr"),
    ]
    species = {"G1": 1, "G2": 0, "G3": 0, "G4": 0, "RNA": 0}
    return fsp.Model(name="stl1", species=species, parameters=FREE | SIGNAL, reactions=reactions, time_unit="min")


def derivatives(network, names):
    """Return a row: all derivatives at all times."""
    answer, seconds = timed(lambda: fsp.sensitivity(network, TIMES, names, tol=TOL, start="stationary"))
    worst = max(answer[-1].error(name).total for name in names)
    asked = f"{len(names)} derivatives of all probabilities, tolerance {TOL:.0e}"
    return f"| {asked} | bounds of {worst:.0e} at most | {seconds:.1f} |"


def information(network, names):
    """Return a row: what mRNA counts tell."""
    ask = {"cells": CELLS, "observe": "RNA", "start": "stationary", "tol": 1e-6}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)  # nothing bounds the matrix from above
        answer, seconds = timed(lambda: fsp.fisher(network, TIMES, names, **ask))
    lower = [value.lower for value in answer.eigenvalues()]
    known = [low / value for low, value in zip(lower, np.linalg.eigvalsh(answer.matrix), strict=True) if low > 0.0]
    within = sum(share > 0.99 for share in known)
    return (
        f"| Fisher matrix of {CELLS} cells at each time, from below | {within} of {len(lower)} eigenvalues within 1 %, "
        f"{len(lower) - len(known)} hidden | {seconds:.1f} |"
    )


def cells(network, names, path):
    """Return rows about counted cells: log-likelihood, gradient."""
    counts = fsp.read_counts(path, counts={"RNA": "rna_total"}, time="time")
    likelihood, seconds = timed(lambda: fsp.likelihood(network, counts, start="stationary"))
    rows = [f"| log-likelihood of {counts.n_cells:,} cells | {likelihood.value} | {seconds:.1f} |"]
    slopes, seconds = timed(lambda: likelihood.gradient(names))
    widths = sorted(0.5 * slope.width / abs(slope.value) for slope in slopes.values())
    within = sum(width <= 0.01 for width in widths)
    known = f"half widths of {widths[0]:.0e} to {widths[-1]:.0e} of the value, {within} within 1 %"
    rows.append(f"| its gradient, {len(names)} parameters | {known} | {seconds:.1f} |")
    return [*rows, *searches(network, counts), *([fitted(network, counts)] if "FSP_STL1_FIT" in os.environ else [])]


def ranges():
    """Return the bounds of a fit."""
    return {name: (value / FACTOR, value * FACTOR) for name, value in FREE.items()}


def searches(network, counts):
    """Return rows of what a fit takes at each point: far from an optimum, and near it, on a space that is kept."""
    objective = Objective.of(network, counts, list(FREE), priors_of(ranges(), None), None, Limits(), "stationary")
    u, rows = np.log(list(FREE.values())), []
    objective.at(u, math.inf)  # finds the space
    for where, width in (("far from", math.inf), ("near", 1e-2)):
        point, seconds = timed(lambda width=width: objective.at(u, width))
        asked = f"a value with derivatives by {len(u)} parameters of a fit, {where} an optimum"
        rows.append(f"| {asked} | ≈ {point.value:.6f} | {seconds:.2f} |")
    return rows


def fitted(network, counts):
    """Return the row of a fit."""
    options = {"start": "stationary", "starts": STARTS, "intervals": "fisher", "processes": PROCESSES}
    begun, wall = used(), perf_counter()
    fit = fsp.fit(network, counts, ranges(), **options)
    wall, spent = perf_counter() - wall, used() - begun
    where = f"within a factor of {FACTOR:g} of SSIT's values"
    asked = f"fit of {len(FREE)} parameters {where}, {STARTS} starts, {PROCESSES} processes"
    evaluations = ", ".join(str(start.evaluations) for start in fit.starts)
    known = f"{fit.likelihood}, {fit.agreeing} of {STARTS} starts end there, after {evaluations} evaluations"
    return f"| {asked} | {known} | {spent:.0f}, {wall:.0f} s of time |"


def used():
    """Return CPU seconds of this process and of those that it waited for."""
    return sum(resource.getrusage(who).ru_utime for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def report():
    """Return the section."""
    network, names, path = model(), [*FREE, *SIGNAL], os.environ.get("FSP_STL1_CELLS")
    fsp.likelihood(network, fsp.read_counts({"time": [0.0], "n": [1]}, counts={"RNA": "n"}), start="stationary")
    rows = [derivatives(network, names), information(network, names)]
    return table("| work | answer | CPU s |", [*rows, *(cells(network, names, path) if path else [])])


if __name__ == "__main__":
    print(report())
