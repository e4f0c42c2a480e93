"""Networks whose law is known in closed form at a time, and how far an answer is from it."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import exact
import numpy as np
from written_networks import network

import fsp


@dataclass(frozen=True)
class Case:
    """A model, a time, and its exact law at any states (n, d); `digits` is how well the law itself is known."""

    model: fsp.Model
    t: float
    law: object
    digits: float = 1e-13


def immigration_death(start, t=1.7):
    model = network({"X": start}, ("0 -> X", "mass_action", 9.0), ("X -> 0", "mass_action", 0.8))
    return Case(model, t, lambda x: exact.immigration_death(x[:, 0], t, birth=9.0, death=0.8, start=start))


def linear_birth_death():
    rates = {"birth": 0.7, "death": 0.9, "start": 6, "immigration": 0.5}
    model = network(
        {"X": 6}, ("X -> 2 X", "mass_action", 0.7), ("X -> 0", "mass_action", 0.9), ("0 -> X", "mass_action", 0.5)
    )
    return Case(model, 1.5, lambda x: exact.linear_birth_death(x[:, 0], 1.5, **rates))


def yule():
    model = network({"X": 2}, ("X -> 2 X", "mass_action", 1.0))
    return Case(model, 1.2, lambda x: exact.linear_birth_death(x[:, 0], 1.2, birth=1.0, death=0.0, start=2))


def isomerization():
    model = network({"A": 25, "B": 5}, ("A -> B", "mass_action", 1.3), ("B -> A", "mass_action", 0.4))
    law = {"forward": 1.3, "backward": 0.4, "start_a": 25, "start_b": 5}
    return Case(model, 0.9, lambda x: exact.isomerization(x[:, 1], 0.9, **law) * (x.sum(axis=1) == 30))


def decay():
    model = network({"M": 60}, ("M -> 0", "mass_action", 1.0))
    return Case(model, 2.0, lambda x: exact.decay(x[:, 0], 2.0, rate=1.0, start=60))


def pair_decay():
    """2 X → 0 from 11: a chain of one-way steps 11 → 9 → … → 1."""
    model = network({"X": 11}, ("2 X -> 0", "mass_action", 0.1))
    rates = [0.05 * x * (x - 1) for x in range(11, 0, -2)]
    stages = dict(zip(range(11, 0, -2), exact.death_chain(1.3, rates=rates), strict=True))
    return Case(model, 1.3, lambda x: np.array([stages.get(n, 0.0) for n in x[:, 0].tolist()]))


def queue():
    model = network({"X": 3}, ("0 -> X", "mass_action", 2.0), ("X -> 0", "rate", "piecewise(3, X > 0, 0)"))
    return Case(model, 2.0, lambda x: exact.queue(x[:, 0], 2.0, arrival=2.0, service=3.0, start=3))


def bursts():
    rates = (1.0, 0.5, 0.25, 0.125)
    model = network(
        {"P": 4},
        *((f"0 -> {k + 1} P", "mass_action", rate) for k, rate in enumerate(rates)),
        ("P -> 0", "mass_action", 1),
    )
    return Case(model, 1.5, lambda x: exact.finite_bursts(x[:, 0], 1.5, rates=rates, death=1.0, start=4))


def open_chain():
    """0 → A → B → C → 0, and A and B are made and lost as well."""
    model = network(
        {"A": 2, "B": 1, "C": 0},
        ("0 -> A", "mass_action", 2.0),
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 0.7),
        ("C -> A", "mass_action", 0.3),
        ("C -> 0", "mass_action", 0.9),
        ("B -> 0", "mass_action", 0.2),
    )
    rates = {
        "start": [2, 1, 0],
        "conversion": [[0, 1.0, 0], [0, 0, 0.7], [0.3, 0, 0]],
        "birth": [2.0, 0, 0],
        "death": [0, 0.2, 0.9],
    }

    def law(x):
        return exact.monomolecular(x.max(axis=0), 1.1, **rates)[tuple(x.T)]

    return Case(model, 1.1, law)


def closed_chain():
    model = network(
        {"A": 8, "B": 0, "C": 3},
        ("A -> B", "mass_action", 1.0),
        ("B -> C", "mass_action", 0.5),
        ("C -> A", "mass_action", 0.25),
    )
    rates = {"start": [8, 0, 3], "conversion": [[0, 1.0, 0], [0, 0, 0.5], [0.25, 0, 0]]}
    return Case(model, 2.0, lambda x: exact.monomolecular([11, 11, 11], 2.0, **rates)[tuple(x.T)])


TELEGRAPH = {"on": 0.35, "off": 0.85, "make": 6.0, "death": 1.0}


def telegraph():
    model = network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", 0.35),
        ("On -> Off", "mass_action", 0.85),
        ("On -> On + M", "mass_action", 6.0),
        ("M -> 0", "mass_action", 1.0),
    )
    table = exact.telegraph(np.arange(80), 1.5, **TELEGRAPH)
    return Case(model, 1.5, lambda x: table[x[:, 1], x[:, 2]], digits=1e-12)


CASES = {
    "immigration-death from 0": immigration_death(0),
    "immigration-death from 30": immigration_death(30),
    "linear birth-death": linear_birth_death(),
    "Yule": yule(),
    "isomerization": isomerization(),
    "decay": decay(),
    "pair decay": pair_decay(),
    "queue": queue(),
    "bursts": bursts(),
    "open chain": open_chain(),
    "closed chain": closed_chain(),
    "telegraph": telegraph(),
}
FINITE = {"isomerization", "decay", "pair decay", "closed chain"}


def solve(case, tol, **options):
    """Solve to `case.t`; a bound above `tol` must be the fault of rounding and be said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        solution = fsp.transient(case.model, [case.t], tol, **options)
    d = solution[-1]
    if d.error.total > tol:
        assert [w.category for w in caught] == [fsp.ToleranceWarning]
        assert d.error.total - d.error.rounding <= tol
    else:
        assert caught == []
    return d


def errors(case, d):
    """Return the true 1-norm error over all states, and its part outside the stored ones."""
    law = case.law(d.states)
    outside = max(0.0, 1.0 - math.fsum(law))
    return math.fsum(np.abs(law - d.probabilities)) + outside, outside
