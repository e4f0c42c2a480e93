"""Hold gradients by the adjoint against complex steps of dense exponentials.

Of each random network: the derivatives of the probability of an event, of a mean, and of the log-likelihood of a few
cells, by all parameters, at tolerances from 1e-2 to 1e-8; of those whose rates depend on time, or that begin at rest,
of the event and the cells, whose adjoints are others (`examination.in_time`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from time import process_time
from typing import Any

import numpy as np
from examination import in_time
from examination.dense import OUTSIDE, Chain, small_network
from examination.judging import BROKEN, GOOD, as_model
from examination.networks import Network

import fsp

KINDS = ("linear", "saturating", "pairs", "gene", *in_time.KINDS)
ASKED = ("event", "mean", "likelihood")
BEYOND = 1e-11  # of the reference: its rounding, and what lies outside its box, relative to 1 + its size
CELLS = 5  # of a likelihood
NONE, ESTIMATE = "no reference", "estimate"


def draw(kind: str, seed: int) -> Network:
    """Return the network of a seed, and what is asked of it."""
    rng = np.random.default_rng([*kind.encode(), seed])
    network = in_time.drawn(kind, rng) if kind in in_time.KINDS else small_network(rng, kind)
    mean = max(1.0, network["parameters"]["k"] / network["parameters"]["g"])
    return {
        **network,
        "time": float(f"{rng.uniform(0.1, 3.0):.3g}"),
        "above": int(rng.integers(0, int(1.5 * mean) + 2)),
        "tol": float(f"{10.0 ** -rng.uniform(2.0, 8.0):.2g}"),
        "drawn": int(rng.integers(2**31)),
    }


class Case:
    """One network: intervals of the package, each with what is right."""

    def __init__(self, network: Network) -> None:
        clock = network.get("clock", {})
        self.network, self.chain = network, in_time.TimedChain(network) if clock else Chain(network)
        self.model = as_model(in_time.with_clock(network) if clock else network)
        self.start = "stationary" if clock.get("kind") == "rest" else None
        self.asked = [what for what in ASKED if what != "mean" or not clock]
        self.slack = in_time.ROUGH if clock.get("kind") == "waves" else BEYOND
        self.t, self.tol = network["time"], network["tol"]
        self.names = list(network["parameters"])
        self.counts = self.chain.states[:, -1]  # of X

    @cached_property
    def law(self) -> np.ndarray:
        """The distribution."""
        return np.real(self.chain.law(self.network["parameters"], self.t))

    @cached_property
    def slopes(self) -> dict[str, np.ndarray]:
        """Its derivatives by the parameters."""
        return {name: self.chain.slope(self.network["parameters"], name, self.t) for name in self.names}

    @cached_property
    def cells(self) -> np.ndarray:
        """Counts of X in a few cells, drawn from the law."""
        rng = np.random.default_rng(self.network["drawn"])
        law = np.maximum(self.law, 0.0)
        return rng.choice(self.counts, size=CELLS, p=law / law.sum())

    def ask(self, what: str) -> list[tuple[fsp.Interval, float]] | None:
        """Return the derivatives as intervals, with the right ones; None where the box is no reference."""
        if 1.0 - self.law.sum() > OUTSIDE:
            return None
        if what == "likelihood":
            data = {"time": [self.t] * CELLS, "n": self.cells.tolist()}
            counts = fsp.read_counts(data, counts={"X": "n"})
            ours = fsp.likelihood(self.model, counts, width=max(self.tol, 1e-6), start=self.start).gradient(self.names)
            seen = [self.counts == n for n in self.cells]
            theta = self.network["parameters"]  # the gradient is by their logarithms
            exact = {
                k: theta[k] * sum(float(s[x].sum() / self.law[x].sum()) for x in seen) for k, s in self.slopes.items()
            }
        else:
            of = "X" if what == "mean" else f"X > {self.network['above']}"
            f = self.counts if what == "mean" else self.counts > self.network["above"]
            ours = fsp.gradient(self.model, of, self.t, self.names, log=False, tol=self.tol, start=self.start)
            exact = {name: float(slope @ f) for name, slope in self.slopes.items()}
        return [(ours[name], exact[name]) for name in self.names]

    def call(self, what: str) -> str:
        """Return the call that is examined, as text."""
        start = f", start={self.start!r}" if self.start else ""
        if what == "likelihood":
            cells = f"cells of X at t = {self.t}: {self.cells.tolist()}"
            return f"fsp.likelihood(model, {cells}{start}).gradient({self.names})"
        of = "X" if what == "mean" else f"X > {self.network['above']}"
        return f"fsp.gradient(model, {of!r}, {self.t}, {self.names}, log=False, tol={self.tol}{start})"


def judged(pairs: list[tuple[fsp.Interval, float]] | None, beyond: float = BEYOND) -> dict[str, Any]:
    """Return the verdict on intervals, and the bound and the distance of the one that is off most."""
    if pairs is None:
        return {"verdict": NONE}
    worst: dict[str, Any] = {"verdict": GOOD, "distance": -1.0}
    for interval, exact in pairs:
        if not interval.certified:
            return {"verdict": ESTIMATE, "solved": len(pairs), "message": interval.reason}
        slack = beyond * (1.0 + abs(exact))
        if not interval.lower - slack <= exact <= interval.upper + slack:
            message = f"{exact!r} is not in [{interval.lower!r}, {interval.upper!r}]"
            return {"verdict": BROKEN, "solved": len(pairs), "message": message}
        distance = max(0.0, abs(interval.value - exact) - slack)
        if distance > worst["distance"]:
            worst |= {"distance": distance, "bound": 0.5 * interval.width}
    return {**worst, "solved": len(pairs)}


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Ask everything of one network, from a question on."""
    case = Case(draw(*key))
    yield "note", {"states": len(case.counts)}
    for what in case.asked[first:]:
        asked = {"door": what, "solver": "adjoint", "tol": case.tol}
        yield "ask", asked
        begun = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)  # wide intervals have to hold as well
            verdict = judged(case.ask(what), case.slack)
        yield "answer", {**asked, "cpu": process_time() - begun, "call": case.call(what), **verdict}
