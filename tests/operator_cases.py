"""Networks and spaces of all kinds for the products of generators."""

from __future__ import annotations

import numpy as np
from written_networks import network

from fsp import Model, Reaction, StateSpace
from fsp.generator.kernels import FUSED
from fsp.generator.operator import Operator
from fsp.generator.slices import slices_of

HILL = Model(
    name="hill",
    species={"U": 3, "V": 2},
    reactions=[
        Reaction("0 -> U", rate="5 + 30/(1 + (V/4)^2)"),
        Reaction("0 -> V", rate="2 + 20/(1 + (U/3)^2.5)"),
        Reaction("U -> 0", mass_action=0.7),
        Reaction("V -> 0", mass_action=1.3),
    ],
)
ENZYME = network(
    {"S": 9, "E": 7, "C": 0, "P": 0},
    ("S + E -> C", "mass_action", 0.3),
    ("C -> S + E", "mass_action", 1.0),
    ("C -> P + E", "mass_action", 0.4),
)
PAIRS = network(
    {"A": 4, "B": 2, "D": 1},
    ("2 A -> D", "mass_action", 0.5),
    ("D -> 2 A", "mass_action", 2.0),
    ("A + B -> 2 B", "mass_action", 0.25),
    ("B -> A", "mass_action", 1.5),
    ("0 -> 3 B", "mass_action", 0.75),
    ("B + D -> D", "mass_action", 0.1),
)
MIXED = Model(  # rates that do not factorise: of two species, of all, of one that is fixed along a run, of a callable
    name="mixed",
    species={"X": 2, "Y": 3, "Z": 4},
    reactions=[
        Reaction("0 -> X", rate="3/(1 + Y + Z)"),
        Reaction("X -> 0", rate="X/(1 + X + Y + Z)"),
        Reaction("0 -> Y", rate="1/(1 + X*Y) + 0.5"),
        Reaction("Y -> 0", rate=lambda x: 0.2 * x["Y"] * (1.0 + np.minimum(x["X"], x["Z"]))),
        Reaction("X + Z -> Y", rate="X*Z*(X + 2*Z)"),
        Reaction("Y -> X + Z", rate="0.3*Y + 0.1*Y*Z"),
        Reaction("0 -> Z", rate="2"),
        Reaction("Z -> 0", rate="Z"),
    ],
)
NETWORKS = {"hill": HILL, "enzyme": ENZYME, "pairs": PAIRS, "mixed": MIXED}


def spaces(model, rng):
    """Spaces of all kinds: whole, simplex, with holes, disconnected, sparse, one state."""
    top = {s: 11 for s in model.species}
    box = StateSpace.box(model, top)
    yield box
    yield box.restrict(box.states.sum(axis=1) <= 14)
    for share in (0.98, 0.7, 0.1):
        yield box.restrict(rng.random(len(box)) < share)
    yield box.restrict((box.states[:, -1] < 4) | (box.states[:, -1] > 6))
    if model is ENZYME:
        yield StateSpace.reachable(model)
    yield StateSpace.from_states(model.species, box.states[:1])
    yield StateSpace.from_states(model.species, [[40] * len(model.species), [0] * len(model.species)])


def on_runs(plan, sinks=None, order=None, *, mode=FUSED):
    return Operator(slices_of(plan, mode, sinks), order)


def close(actual, expected, size):
    assert (np.abs(actual - expected) <= 2e-14 * (size + 1e-300)).all()


TIMED = network(
    {"X": 3, "Y": 1, "Z": 2},
    ("0 -> X", "rate", "2*exp(-time)"),
    ("X -> Y", "rate", "5*X*exp(-time) + 0.5*X"),
    ("X + Y -> Z", "rate", "X*Y/(4*(1 + time))"),
    ("Z -> X", "rate", "3*Z"),
    ("Y -> 0", "rate", "Y"),
)
