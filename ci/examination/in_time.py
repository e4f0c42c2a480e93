"""Networks whose rate constant k depends on time, or that begin at rest, and their laws by dense exponentials.

k is multiplied by a factor from a time on (`switched`), or by 1 + a sin(w t) (`waves`); networks at rest (`rest`)
begin in the stationary distribution of their first rates, and switch then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from examination.dense import Chain, small_network
from examination.networks import Network
from scipy.integrate import solve_ivp
from scipy.linalg import expm

KINDS = ("switched", "waves", "rest")
BASES = ("linear", "saturating", "gene")
ROUGH = 1e-9  # of laws by Runge and Kutta, relative to 1 + their size; two tolerances differ by a tenth of it


def drawn(kind: str, rng: np.random.Generator) -> dict[str, Any]:
    """Return a network, and how its k depends on time."""
    network = small_network(rng, str(rng.choice(BASES)))
    low, high = (float(f"{x:.3g}") for x in (rng.uniform(0.1, 1.5), rng.uniform(0.2, 1.8)))
    clock = {"kind": kind, "at": low, "factor": high}
    if kind == "waves":
        clock = {"kind": kind, "size": float(f"{rng.uniform(0.1, 0.9):.3g}"), "speed": float(f"{4.0 * low:.3g}")}
    return {**network, "clock": clock, "box": [*network["box"][:-1], 2 * network["box"][-1]]}


def with_clock(network: Network) -> Network:
    """Return the network with k as a formula of the time, as the package reads it."""
    clock = network["clock"]
    factor = f"(k*piecewise(1, time < {clock.get('at')}, {clock.get('factor')}))"
    if clock["kind"] == "waves":
        factor = f"(k*(1 + {clock['size']}*sin({clock['speed']}*time)))"
    reactions = [{**r, "rate": re.sub(r"\bk\b", factor, r["rate"])} for r in network["reactions"]]
    return {**network, "reactions": reactions}


class TimedChain(Chain):
    """A network on its box, whose k depends on time."""

    def __init__(self, network: Network) -> None:
        super().__init__(network)
        self._clock = network["clock"]

    def law(self, values: Mapping[str, complex], t: float) -> np.ndarray:
        """Return the distribution at a time, (n,), complex where a value is."""
        first, clock = self._first(values), self._clock
        if clock["kind"] == "waves":
            return self._waves(values, first, t)
        later = self.generator({**values, "k": values["k"] * clock["factor"]})
        law: np.ndarray = expm(min(t, clock["at"]) * self.generator(values)) @ first
        return expm((t - clock["at"]) * later) @ law if t > clock["at"] else law

    def _first(self, values: Mapping[str, complex]) -> np.ndarray:
        """Return where the network begins."""
        first = np.zeros(len(self.states), dtype=complex)
        first[self._start] = 1.0
        if self._clock["kind"] != "rest":
            return first
        A = self.generator(values)
        A[-1] = 1.0  # in place of the balance of the state that has least
        return np.linalg.solve(A, np.eye(len(A))[-1])

    def _waves(self, values: Mapping[str, complex], first: np.ndarray, t: float) -> np.ndarray:
        """Return the law by the rule of Dormand and Prince: generators are linear in k, complex steps go along."""
        resting = self.generator({**values, "k": 0.0})
        per_k = self.generator({**values, "k": 1.0}) - resting
        size, speed = self._clock["size"], self._clock["speed"]

        def change(s: float, p: np.ndarray) -> np.ndarray:
            # the imaginary parts are 1e-30 of the real ones, and are made as large for the choice of steps
            p = p[: len(first)] + 1j * _SMALL * p[len(first) :]
            image = resting @ p + values["k"] * (1.0 + size * np.sin(speed * s)) * (per_k @ p)
            return np.concatenate([image.real, image.imag / _SMALL])

        begun = np.concatenate([first.real, first.imag / _SMALL])
        path = solve_ivp(change, (0.0, t), begun, "DOP853", rtol=1e-12, atol=1e-15)
        return path.y[: len(first), -1] + 1j * _SMALL * path.y[len(first) :, -1]


_SMALL = 1e-30  # the imaginary part of a parameter, as in `examination.dense`
