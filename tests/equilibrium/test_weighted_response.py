"""Weighted errors of the derivatives of stationary distributions: the functions that bound them, on all states."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.equilibrium.response import Heights, StoredLaw
from fsp.equilibrium.weighted_response import _above_costs


def gene(slow):
    """Return a gene that switches slowly, so that its reference state is far from half of all states."""
    return fsp.Model(
        species={"G": 1, "S": 0, "X": 0},
        reactions=[
            fsp.Reaction("G -> S", mass_action=slow),
            fsp.Reaction("S -> G", mass_action=slow),
            fsp.Reaction("0 -> X", rate="5 + 3*G"),
            fsp.Reaction("X -> 0", mass_action=1.0),
        ],
    )


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("tol", [1e-2, 1e-6])
@pytest.mark.parametrize("slow", [1e-4, 1.0])
def test_costs_before_the_reference_state_are_bounded_on_all_states(slow, tol, share):
    """V, which is H sup λ where nothing is stored, falls by λ at least in the mean, at all states but the reference."""
    model, highest = gene(slow), 3.0
    law = StoredLaw.of(model, tol)
    generator = fsp.Generator(model, law.space)
    heights = Heights.of(generator, int(np.argmax(law.y)), law.condition)
    costs = np.full(len(law.space), highest)
    costs[::2] *= share
    V = _above_costs(generator, heights, costs, highest)
    assert V is not None
    n = 2 * len(law.space)
    wide = fsp.StateSpace.from_states(model.species, [[g, 1 - g, x] for g in (0, 1) for x in range(n)])
    inside = law.space.index(wide.states)
    at = np.where(inside >= 0, V[inside], highest * heights.at(wide.states))
    above = np.where(inside >= 0, costs[inside], highest)
    drift = fsp.Generator(model, wide).to_csr().T @ at
    ends = (inside == heights.z) | (wide.states[:, 2] == n - 1)
    assert heights.proved
    assert (drift <= -above * (1.0 - 1e-9))[~ends].all()
