"""Hold mixtures over a parameter against Gauss-Legendre rules of dense exponentials.

A rate constant of each random network, or the constant of a saturating rate, has a gamma or log-normal law among cells,
its coefficient of variation drawn from 0.05 to 0.8; the distribution is asked for at two times, at tolerances from 1e-1
to 1e-6.  In kinds "at rest" each cell is in its own stationary distribution.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import pairwise
from time import process_time
from typing import Any

import numpy as np
from examination.dense import Chain, small_network, top_of
from examination.judging import BROKEN, GOOD, as_model
from examination.networks import Network
from scipy import stats

import fsp

RESTING = {"linear at rest": "linear", "saturating at rest": "saturating", "gene at rest": "gene"}
KINDS = ("linear", "saturating", "pairs", "gene", *RESTING)
NONE, ESTIMATE = "no reference", "estimate"
NODES, PANELS = 16, 8  # of a panel, and panels between the quantiles
QUANTILE = 1e-11  # of the law that is left out at each end
BEYOND = 1e-9  # of the reference in the 1-norm: the ends, two rules that must agree to a tenth of it, rounding
EDGE = 3  # counts below the largest of the box, whose probability tells that it is too small at rest
RARE, LARGEST = 1e-10, 110  # probability of a parameter for which the box is too small, and its largest count
VARIED = {"linear": ("k", "g"), "saturating": ("k", "g", "a"), "pairs": ("k", "b"), "gene": ("a", "k")}
VARIED |= {"linear at rest": ("k", "g"), "saturating at rest": ("k", "g"), "gene at rest": ("a", "k")}


def draw(kind: str, seed: int) -> Network:
    """Return the network of a seed, the law of a parameter, and what is asked."""
    rng = np.random.default_rng([*kind.encode(), seed])
    network = small_network(rng, RESTING.get(kind, kind))
    name = str(rng.choice(VARIED[kind]))
    drawn = {
        **network,
        "varied": name,
        "law": str(rng.choice(["Gamma", "LogNormal"])),
        "cv": float(f"{rng.uniform(0.05, 0.6):.3g}"),
        "rest": kind in RESTING,
        "times": sorted(float(f"{t:.3g}") for t in rng.uniform(0.1, 2.0, 2)),
        "tol": float(f"{10.0 ** -rng.uniform(1.0, 6.0):.2g}"),
    }
    k, g, last = network["parameters"]["k"], network["parameters"]["g"], drawn["times"][-1]
    births = k if name != "k" else float(frozen(drawn).isf(RARE))  # as many as there may be, of which some are left
    kept = last if name == "g" else -np.expm1(-g * last) / g
    if kind in RESTING:
        kept = 1.0 / (g if name != "g" else float(frozen(drawn).ppf(RARE)))
    return {**drawn, "box": [*network["box"][:-1], min(LARGEST, top_of(births * kept))]}


def frozen(network: Network) -> Any:
    """Return the law of the parameter as scipy has it."""
    mean, cv = network["parameters"][network["varied"]], network["cv"]
    if network["law"] == "Gamma":
        return stats.gamma(1.0 / cv**2, scale=mean * cv**2)
    sigma = np.sqrt(np.log1p(cv**2))
    return stats.lognorm(sigma, scale=mean * np.exp(-0.5 * sigma**2))


def exact(network: Network, chain: Chain, t: float, panels: int) -> np.ndarray:
    """Return the mixture at a time, (n,), by a rule of some panels in the logarithm of the parameter."""
    law = frozen(network)
    ends = np.log([law.ppf(QUANTILE), law.isf(QUANTILE)])
    edges, (x, w) = np.linspace(*ends, panels + 1), np.polynomial.legendre.leggauss(NODES)
    total = np.zeros(len(chain.states))
    for low, high in pairwise(edges):
        for u, weight in zip(0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * w, strict=True):
            value = float(np.exp(u))
            values = {**network["parameters"], network["varied"]: value}
            p = chain.rest(values) if network["rest"] else chain.law(values, t)
            total += weight * value * float(law.pdf(value)) * np.real(p)
    return total


def judged(network: Network, chain: Chain, at: fsp.Distribution) -> dict[str, Any]:
    """Return the verdict on a distribution."""
    right = exact(network, chain, at.t, PANELS)
    rough = exact(network, chain, at.t, PANELS // 2)
    beyond = right[chain.states[:, -1] >= network["box"][-1] - EDGE].sum() if network["rest"] else 1.0 - right.sum()
    if np.abs(right - rough).sum() > 0.1 * BEYOND or beyond > BEYOND:
        return {"verdict": NONE}
    ours = chain.on_box(at.states, at.probabilities)
    distance = float(np.abs(ours[:-1] - right).sum() + ours[-1])
    if not at.error.certified:
        return {"verdict": ESTIMATE, "message": "no bound"}
    if distance > at.error.total + BEYOND:
        return {"verdict": BROKEN, "message": f"{distance!r} off, with a bound of {at.error.total!r}"}
    return {"verdict": GOOD, "bound": at.error.total, "distance": max(0.0, distance - BEYOND)}


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Ask for the mixture at each time, from one on."""
    network = draw(*key)
    chain, model = Chain(network), as_model(network)
    yield "note", {"states": len(chain.states)}
    mean = network["parameters"][network["varied"]]
    laws = {network["varied"]: getattr(fsp, network["law"])(mean, network["cv"])}
    start = "stationary" if network["rest"] else None
    call = f"fsp.mixture(model, {laws!r}, {network['times']}, {network['tol']}, start={start!r})"
    answer: fsp.Solution | None = None
    for place in range(first, len(network["times"])):
        asked = {"door": "mixture", "solver": network["law"], "tol": network["tol"]}
        yield "ask", asked
        begun = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)  # what misses its tolerance has to hold as well
            answer = answer or fsp.mixture(model, laws, network["times"], network["tol"], start=start)
        cpu = process_time() - begun
        yield "answer", {**asked, "cpu": cpu, "call": call, **judged(network, chain, answer[place])}
