"""Networks whose derivatives are known, and distributions by dense exponentials of complex generators."""

from __future__ import annotations

import numpy as np
from scipy.linalg import expm

import fsp


def immigration_death(start=0):
    return fsp.Model(
        species={"X": start},
        parameters={"k": 10.0, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def self_activation(n=2.5):
    return fsp.Model(
        species={"X": 2},
        parameters={"a": 6.0, "K": 4.0, "n": n, "b": 0.8, "g": 1.0},
        reactions=[fsp.Reaction("0 -> X", rate="a*X^n/(K^n + X^n) + b"), fsp.Reaction("X -> 0", mass_action="g")],
    )


def named(plain):
    """Return a network that was drawn, with a parameter for each constant."""
    constants = {f"k{i}": r["mass_action"] for i, r in enumerate(plain["reactions"])}
    reactions = [fsp.Reaction(r["equation"], mass_action=f"k{i}") for i, r in enumerate(plain["reactions"])]
    return fsp.Model(species=plain["species"], parameters=constants, reactions=reactions)


def dense(model, rates, t, top):
    """Return the distribution of one species on 0 … top by a dense exponential; rates (top + 1,) may be complex."""
    A = np.zeros((top + 1, top + 1), dtype=complex)
    for (change,), own in zip(model.change.tolist(), rates, strict=True):
        for x, rate in enumerate(np.broadcast_to(own, top + 1)):
            A[x, x] -= rate
            if 0 <= x + change <= top:
                A[x + change, x] += rate
    p = np.zeros(top + 1)
    p[model.initial_states[0, 0]] = 1.0
    return expm(t * A) @ p
