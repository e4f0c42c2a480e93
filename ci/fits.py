"""Fits and posteriors of simulated cells: ``python ci/fits.py [SETS]``, a section of docs/benchmarks.md.

Coverage: how often intervals of 95 % hold the parameters that made the data.  Birth and death of one species, observed
in independent cells at three times; each set of data is simulated by `fsp.ssa` and fitted, and its intervals are looked
at, those by profiles and those by the Fisher information.

Also what a mixture of cells that differ and a gradient back from one number take, in products with vectors.
"""

from __future__ import annotations

import math
import sys
from contextlib import contextmanager
from time import process_time
from unittest import mock

import numpy as np
from adaptive import table
from references import MODELS
from scipy.stats import lognorm, nbinom

import fsp
from fsp.inference import gradient as gradients_of
from fsp.inference.adjoint import Adjoint

TIMES, CELLS = [0.5, 1.0, 3.0], 40  # at each time
TRUE = {"k": 10.0, "g": 1.0}
RANGES = {"k": (1.0, 100.0), "g": (0.1, 10.0)}
GENE = {"on": 0.5, "off": 1.0, "make": 20.0, "lose": 1.0}
GENE_TIMES, GENE_CELLS = [1.0, 2.0, 4.0, 8.0], 16  # at each time: 64 cells
POINTS, LONG = 2**15, 2**17
VARIATION, MIXED_TIME = 0.3, 2.0  # of k among cells, and when they are looked at
REST_TIME, REST_CELLS = 50.0, 100  # at which cells are as good as at rest, and how many are simulated


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


def mixtures():
    """Return rows: the law of cells whose k differs, with the distance to a negative binomial law where it is one."""
    rows = []
    for name, model, parameter, tol in (
        ("birth and death", birth_death(), "k", 1e-4),
        ("birth and death", birth_death(), "k", 1e-8),
        ("a gene with two states", gene(), "make", 1e-4),
    ):
        law = {parameter: fsp.Gamma(model.parameters[parameter], VARIATION)}
        begun = process_time()
        solved = fsp.mixture(model, law, [MIXED_TIME], tol=tol)
        seconds, work, dist = process_time() - begun, solved.statistics, solved[-1]
        known = _off(dist, -math.expm1(-TRUE["g"] * MIXED_TIME)) if parameter == "k" else "not known"
        rows.append(
            f"| {name} | {tol:.0e} | {work['nodes']:,} | {work['n_matvec']:,} | {work['n_states']:,} | "
            f"{dist.error.total:.1e} | {known} | {seconds:.2f} |"
        )
    return rows


def mixtures_at_rest():
    """Return rows: the same of cells that each are at rest, with the log-likelihood of some of them."""
    rows = []
    for name, model, parameter, species, tol in (
        ("birth and death", birth_death(), "k", "X", 1e-4),
        ("birth and death", birth_death(), "k", "X", 1e-8),
        ("a gene with two states", gene(), "make", "M", 1e-4),
    ):
        law = {parameter: fsp.Gamma(model.parameters[parameter], VARIATION)}
        begun = process_time()
        solved = fsp.mixture(model, law, [0.0], tol=tol, start="stationary")
        seconds, work, dist = process_time() - begun, solved.statistics, solved[-1]
        known = _off(dist, 1.0) if parameter == "k" else "not known"
        cells = drawn(model, [REST_TIME], REST_CELLS, species, 5)
        begun = process_time()
        likelihood = fsp.likelihood(model, cells, extrinsic=law, start="stationary", width=tol)
        rows.append(
            f"| {name} | {tol:.0e} | {work['nodes']:,} | {work['n_states']:,} | {dist.error.total:.1e} | {known} | "
            f"{seconds:.2f} | {likelihood.value.width:.1e} | {process_time() - begun:.2f} |"
        )
    return rows


def _off(dist, reached):
    """Return the distance to birth and death with a gamma law of k, of a mean of k/g times what is `reached` of it.

    It must be in the bound.
    """
    shape, mean = VARIATION**-2, TRUE["k"] / TRUE["g"] * reached
    exact = nbinom.pmf(dist.states[:, 0], shape, shape / (shape + mean))
    off = float(np.abs(dist.probabilities - exact).sum() + abs(1.0 - exact.sum()))
    if off > dist.error.total:
        raise SystemExit(f"ci/fits.py: a mixture is off by {off:.1e}, above its bound {dist.error.total:.1e}")
    return f"{off:.1e}"


def gradients():
    """Return rows: derivatives of the probability of an event, back from it and forward with all probabilities."""
    toggle = fsp.load(MODELS / "toggle2d.ant")
    cases = (
        ("toggle2d", toggle, "U > V", 10.0, ["a1"]),
        ("toggle2d", toggle, "U > V", 10.0, ["a1", "d1", "a2", "d2"]),
        ("a gene with two states", gene(), "M > 8", 8.0, list(GENE)),
    )
    return [_gradient_row(*case) for case in cases]


def _gradient_row(name, model, event, t, parameters):
    """Return what both ways take; their intervals must meet."""
    measured = {}
    for method in ("adjoint", "forward"):
        begun = process_time()
        with counted() as products:
            slopes = fsp.gradient(model, event, t, parameters, method=method)
        measured[method] = slopes, sum(products), process_time() - begun
    (back, few, short), (forward, many, long) = measured.values()
    if any(back[p].lower > forward[p].upper or forward[p].lower > back[p].upper for p in parameters):
        raise SystemExit(f"ci/fits.py: intervals of the derivatives of '{name}' do not meet")
    widest = max(interval.width for interval in back.values())
    return (
        f"| {name}: {event} at t = {t:g} | {len(parameters)} | {0.5 * widest:.1e} | {few:,} | {short:.2f} | "
        f"{many:,} | {1 + len(parameters)} | {long:.2f} |"
    )


@contextmanager
def counted():
    """Count products: those of passes back from one number, and blocks of all runs forward."""
    products, back, forward = [], Adjoint.gradient, gradients_of.sensitivity

    def counting_back(adjoint, *args, **options):
        answer = back(adjoint, *args, **options)
        products.append(answer.products)
        return answer

    def counting_forward(*args, **options):
        answer = forward(*args, **options)
        products.append(answer.statistics["products"])
        return answer

    with (
        mock.patch.object(Adjoint, "gradient", counting_back),
        mock.patch.object(gradients_of, "sensitivity", counting_forward),
    ):
        yield products


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
            f"Cells that differ: a gamma law of one rate constant with a coefficient of variation of {VARIATION}, at "
            f"t = {MIXED_TIME:g}, by `fsp.mixture`; the truth of the first two rows is a negative binomial law.",
            table(
                "| model | tolerance | nodes | products | states | bound | true error | CPU s |",
                mixtures(),
            ),
            f'The same law of cells that each are at rest, by `start="stationary"`, and the log-likelihood of '
            f"{REST_CELLS} cells, whose width is asked to be the tolerance.",
            table(
                "| model | tolerance | nodes | states | bound | true error | CPU s | width in nats | CPU s |",
                mixtures_at_rest(),
            ),
            "Derivatives of the probability of an event, tolerance 1e-6, by `fsp.gradient`: back from the event, and "
            "forward with those of all probabilities, in blocks of a vector for p and for each parameter.",
            table(
                "| event | parameters | half width | products back | CPU s | "
                "products of blocks forward | vectors in one | CPU s |",
                gradients(),
            ),
        ]
    )


if __name__ == "__main__":
    print(report(*map(int, sys.argv[1:])))
