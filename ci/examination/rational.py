"""Hold passages, totals, committors, rates and spectra of random chains against exact rational algebra.

Each case is three species that change into each other at rates drawn over eight decades, of which some are missing,
and up to four molecules.  Means, what is accumulated before a passage, committors of all states, rates, and spectra at
frequency zero are solved for in rational numbers, so that each must lie in its interval without any slack.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from time import process_time
from typing import Any

import numpy as np
from examination.judging import BROKEN, GOOD, as_model
from examination.networks import Network

import fsp
from fsp.chains.classes import closed_classes

KINDS = ("chains",)
DECADES = (-4.0, 4.0)  # of rates
MISSING = 0.25  # share of the reactions
WAYS = (("A", "B"), ("B", "A"), ("A", "C"), ("C", "A"), ("B", "C"), ("C", "B"))
ASKED = ("mean", "total", "committor", "spectrum", "rate")
SPECTRUM_TOL = 1e-4  # of the correlation, which is not looked at
NONE = "no reference"


def draw(kind: str, seed: int) -> Network:
    """Return the network of a seed."""
    rng = np.random.default_rng([*kind.encode(), seed])
    constants = 10.0 ** rng.uniform(*DECADES, len(WAYS)) * (rng.random(len(WAYS)) > MISSING)
    present = [(way, float(k)) for way, k in zip(WAYS, constants, strict=True) if k > 0.0]
    present = present or [(WAYS[0], 1.0)]
    total = int(rng.integers(1, 5))
    return {
        "species": {"A": total, "B": 0, "C": 0},
        "parameters": {},
        "reactions": [{"equation": f"{a} -> {b}", "mass_action": k} for (a, b), k in present],
        "goal": int(rng.integers(1, total + 1)),  # of the molecules of C
        "between": int(rng.integers(0, total)),  # molecules: more of A are one set, more of C, else, another
    }


def solved(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Return the solution of linear equations; None where there is none, or more than one."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    n = len(rows)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        for i in range(n):
            if i != k and rows[i][k]:
                factor = rows[i][k] / rows[k][k]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [rows[k][n] / rows[k][k] for k in range(n)]


class Exact:
    """The chain of a model in rational numbers."""

    def __init__(self, model: fsp.Model, network: Network) -> None:
        self.states = fsp.StateSpace.reachable(model).states.tolist()
        self.start = self.states.index(model.initial_states[0].tolist())
        place = {tuple(x): k for k, x in enumerate(self.states)}
        n = len(self.states)
        self.jumps = [[Fraction(0)] * n for _ in range(n)]  # [from][to]
        for reaction, change in zip(network["reactions"], model.change.tolist(), strict=True):
            source = change.index(-1)
            for k, x in enumerate(self.states):
                if x[source]:
                    target = place[tuple(a + b for a, b in zip(x, change, strict=True))]
                    self.jumps[k][target] += Fraction(reaction["mass_action"]) * x[source]

    def before(self, ends: list[int], right: dict[int, Fraction]) -> dict[int, Fraction] | None:
        """Return h with -A h = right before `ends`, where h is what `right` says; None where the equations fail."""
        inside = [k for k in range(len(self.states)) if k not in ends]
        matrix = [[(sum(self.jumps[i]) if i == j else Fraction(0)) - self.jumps[i][j] for j in inside] for i in inside]
        b = [right.get(i, Fraction(0)) + sum(self.jumps[i][e] * right.get(e, 0) for e in ends) for i in inside]
        values = solved(matrix, b)
        return None if values is None else dict(zip(inside, values, strict=True))

    @cached_property
    def stationary(self) -> list[Fraction] | None:
        """The stationary law π; None where it is not unique."""
        n = len(self.states)
        matrix = [[self.jumps[j][i] - (sum(self.jumps[i]) if i == j else 0) for j in range(n)] for i in range(n)]
        return solved([*matrix[1:], [Fraction(1)] * n], [*[Fraction(0)] * (n - 1), Fraction(1)])

    def power(self, pi: list[Fraction]) -> Fraction | None:
        """Return the spectrum of the first count at frequency zero, 2 Σ π (a - E a) g with -A g = a - E a before 0."""
        counts = [Fraction(x[0]) for x in self.states]
        mean = sum(p * n for p, n in zip(pi, counts, strict=True))
        g = self.before([0], {i: n - mean for i, n in enumerate(counts) if i})
        return None if g is None else 2 * sum(pi[i] * (counts[i] - mean) * value for i, value in g.items())


Pair = tuple[fsp.Interval, Fraction]


class Case:
    """One chain: what the package says of it, each beside what is right."""

    def __init__(self, network: Network) -> None:
        self.model = as_model(network)
        self.exact = Exact(self.model, network)
        self.goal, k = network["goal"], network["between"]
        self.between = f"A > {k}", f"A <= {k} && C > {k}"
        counts = list(enumerate(self.exact.states))
        self.ends = [i for i, x in counts if x[2] >= self.goal]
        self.first = [i for i, x in counts if x[0] > k]
        self.second = [i for i, x in counts if x[0] <= k and x[2] > k]

    def ask(self, what: str) -> list[Pair] | None:
        """Return intervals with the exact numbers; None where there is no such number."""
        pairs: list[Pair] | None = getattr(self, f"_{what}")()
        return pairs

    def _mean(self) -> list[Pair] | None:
        exact = self._accumulated([1] * len(self.exact.states))
        law = fsp.passage(self.model, f"C >= {self.goal}", orders=1)  # whatever it is, it must be answered
        return None if exact is None else [(law.mean(), exact)]

    def _total(self) -> list[Pair] | None:
        exact = self._accumulated([x[0] for x in self.exact.states])
        if exact is None:
            return None
        return [(fsp.reward(self.model, "A", until=f"C >= {self.goal}").mean[0], exact)]

    def _accumulated(self, per_time: list[int]) -> Fraction | None:
        right = {i: Fraction(n) for i, n in enumerate(per_time) if i not in self.ends}
        values = self.exact.before(self.ends, right) if self.ends else None
        return None if values is None else values.get(self.exact.start)

    @cached_property
    def _committors(self) -> dict[int, Fraction] | None:
        generator = fsp.Generator(self.model, fsp.StateSpace.reachable(self.model)).to_csr()
        if not self.first or not self.second or len(closed_classes(generator).members) != 1:
            return None
        return self.exact.before(self.first + self.second, {i: Fraction(1) for i in self.second})

    @cached_property
    def _ways(self) -> fsp.Committor:
        return fsp.committor(self.model, *self.between)

    def _committor(self) -> list[Pair] | None:
        q = self._committors
        return None if q is None else [(self._ways.q(self.exact.states[i]), value) for i, value in q.items()]

    def _spectrum(self) -> list[Pair] | None:
        pi = self.exact.stationary
        power = None if pi is None else self.exact.power(pi)
        if power is None:
            return None
        return [(fsp.correlation(self.model, "A", [0.0], tol=SPECTRUM_TOL).spectrum(0.0)[0], power)]

    def _rate(self) -> list[Pair] | None:
        q, pi = self._committors, self.exact.stationary
        if q is None or pi is None:
            return None
        ahead = {i: Fraction(0) for i in self.first} | {i: Fraction(1) for i in self.second} | q
        jumps = self.exact.jumps
        return [(self._ways.rate, sum(pi[i] * a * ahead[j] for i in self.first for j, a in enumerate(jumps[i])))]

    def call(self, what: str) -> str:
        """Return the call that is examined, as text."""
        sets = ", ".join(map(repr, self.between))
        return {
            "mean": f"fsp.passage(model, 'C >= {self.goal}', orders=1).mean()",
            "total": f"fsp.reward(model, 'A', until='C >= {self.goal}').mean[0]",
            "committor": f"fsp.committor(model, {sets}).forward",
            "spectrum": f"fsp.correlation(model, 'A', [0.0], tol={SPECTRUM_TOL}).spectrum(0.0)[0]",
            "rate": f"fsp.committor(model, {sets}).rate",
        }[what]


def judged(pairs: list[Pair] | None) -> dict[str, Any]:
    """Return the verdict on intervals: each must be proved, and hold its exact number without slack."""
    if pairs is None:
        return {"verdict": NONE}
    for interval, exact in pairs:
        if not (interval.certified and interval.lower <= exact <= interval.upper):
            message = f"{float(exact)!r} is not in [{interval.lower!r}, {interval.upper!r}]"
            return {"verdict": BROKEN, "message": message if interval.certified else f"no proof: {interval.reason}"}
    return {"verdict": GOOD}


def examine(key: tuple[str, int], first: int) -> Iterator[tuple[str, Any]]:
    """Ask everything of one chain, from a question on."""
    case = Case(draw(*key))
    yield "note", {"states": len(case.exact.states)}
    for what in ASKED[first:]:
        asked = {"door": what, "solver": "auto", "tol": SPECTRUM_TOL if what == "spectrum" else 1e-6}
        yield "ask", asked
        begun = process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fsp.ToleranceWarning)  # wide intervals have to hold as well
            verdict = judged(case.ask(what))
        yield "answer", {**asked, "cpu": process_time() - begun, "call": case.call(what), **verdict}
