"""Dense chains on boxes: generators from formulas that Python itself evaluates, complex numbers in them as well.

They share nothing with the package but the text of the rates, which is plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from examination.networks import Network
from scipy.linalg import expm

OUTSIDE = 3e-13  # probability outside the box of a reference that counts
STEP = 1e-30  # imaginary part of a parameter


def small_network(rng: np.random.Generator, kind: str) -> Network:
    """Return a network of one or two species with few molecules, its rates as formulas, and a box around it."""
    k, g, a, b = (float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}") for low, high in RANGES)
    loses = _reaction("X -> 0", "g*X")
    if kind == "gene":
        return {
            "species": {"G": int(rng.integers(2)), "X": int(rng.integers(4))},
            "parameters": {"k": k, "g": g, "a": a, "b": b},
            "reactions": [
                _reaction("0 -> G", "a*(1 - G)"),
                _reaction("G -> 0", "b*G"),
                _reaction("0 -> X", "k*G"),
                loses,
            ],
            "box": [1, top_of(k / g)],
        }
    births = {"saturating": "k*a/(a + X)", "pairs": "k", "linear": "k"}[kind]
    more = {"saturating": {"a": 4.0 * a}, "pairs": {"b": 0.2 * b}, "linear": {}}[kind]
    pairs = [_reaction("2 X -> 0", "b*X*(X - 1)/2")] if kind == "pairs" else []
    return {
        "species": {"X": int(rng.integers(6))},
        "parameters": {"k": k, "g": g, **more},
        "reactions": [_reaction("0 -> X", births), loses, *pairs],
        "box": [top_of(k / g)],
    }


RANGES = ((0.5, 8.0), (0.5, 2.0), (0.3, 3.0), (0.3, 3.0))  # of k, g, a and b


def _reaction(equation: str, rate: str) -> dict[str, Any]:
    return {"equation": equation, "rate": rate}


def top_of(mean: float) -> int:
    """Return a count that a Poisson law of a mean, and a few molecules at the start, do not pass."""
    return int(np.ceil(mean + 9.0 * np.sqrt(mean) + 22.0))


class Chain:
    """A network on its box."""

    def __init__(self, network: Network) -> None:
        self.names = list(network["species"])
        axes = [np.arange(top + 1) for top in network["box"]]
        self.states = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(axes))  # (n, d)
        self._place = {tuple(x): i for i, x in enumerate(self.states.tolist())}
        self._start = self._place[tuple(network["species"].values())]
        self._reactions = []  # rate, and the place of the state that each one leads to, -1 outside
        for reaction in network["reactions"]:
            after = (self.states + _change(reaction["equation"], self.names)).tolist()
            targets = np.array([self._place.get(tuple(x), -1) for x in after])
            self._reactions.append((compile(reaction["rate"], "rate", "eval"), targets))
        self._columns = {name: self.states[:, i].astype(float) for i, name in enumerate(self.names)}

    def generator(self, values: Mapping[str, complex]) -> np.ndarray:
        """Return the generator, whose columns lose what leaves the box."""
        n = len(self.states)
        every = np.arange(n)
        A = np.zeros((n, n), dtype=complex if any(map(np.iscomplex, values.values())) else float)
        for rate, targets in self._reactions:
            a = np.broadcast_to(eval(rate, {"__builtins__": {}}, {**values, **self._columns}), n)
            A[every, every] -= a
            inside = targets >= 0
            A[targets[inside], every[inside]] += a[inside]
        return A

    def law(self, values: Mapping[str, complex], t: float) -> np.ndarray:
        """Return the distribution at a time, (n,), complex where a value is."""
        law: np.ndarray = expm(t * self.generator(values))[:, self._start]
        return law

    def rest(self, values: Mapping[str, complex]) -> np.ndarray:
        """Return the stationary distribution on the box, (n,), without the jumps out of it."""
        A = self.generator(values)
        A -= np.diag(A.sum(axis=0))
        A[0] = 1.0
        rest: np.ndarray = np.linalg.solve(A, np.eye(len(A))[0])
        return rest

    def slope(self, values: Mapping[str, complex], name: str, t: float) -> np.ndarray:
        """Return the derivative of the distribution by a parameter, (n,)."""
        moved = self.law({**values, name: values[name] + 1j * STEP}, t)
        return np.asarray(np.imag(moved) / STEP)

    def on_box(self, states: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return values at some states as those of the box, (n,), and the sum of what is beyond it behind, (n + 1,)."""
        spread = np.zeros(len(self.states) + 1)
        places = [self._place.get(tuple(x), len(self.states)) for x in states.tolist()]
        np.add.at(spread, places, values)
        return spread


def _change(equation: str, names: Sequence[str]) -> list[int]:
    """Return what a reaction makes on balance, of sides such as '2 X'."""
    change = dict.fromkeys(names, 0)
    for sign, side in zip((-1, 1), equation.split("->"), strict=True):
        for term in side.split("+"):
            words = term.split()
            if words[-1] != "0":
                change[words[-1]] += sign * (int(words[0]) if len(words) > 1 else 1)
    return list(change.values())
