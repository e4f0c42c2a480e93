"""States that a space must hold are found in it, or named."""

from __future__ import annotations

import numpy as np
import pytest
from written_networks import network

import fsp
from fsp.inference.adjoint import Adjoint
from fsp.inference.envelopes import Bounds
from fsp.inference.parameters import derivatives
from fsp.space.places import places

BOX = fsp.StateSpace.from_states(["X", "Y"], [[0, 0], [0, 2], [1, 0], [4, 3]])


def test_places_are_those_of_the_states():
    order = [3, 0, 2]
    assert places(BOX, BOX.states[order]).tolist() == order


def test_a_state_that_is_missing_is_named():
    with pytest.raises(fsp.StateSpaceError, match=r"lacks \{'X': 0, 'Y': 1\}"):
        places(BOX, np.array([[0, 2], [0, 1], [9, 9]]))


def test_an_adjoint_needs_all_states_of_the_start():
    """Each that is not there would be taken for the sink."""
    model = network({"X": 0}, ("0 -> X", "rate", "k"), parameters={"k": 2.0}).starting_in(
        np.array([[0], [7], [9]]), np.array([0.5, 0.25, 0.25])
    )
    slopes = derivatives(model, ["k"], log=False)
    bounds = Bounds.of(model, slopes, 1.0)
    space = fsp.StateSpace.from_states(["X"], [[0], [1], [9]])
    with pytest.raises(fsp.StateSpaceError, match=r"lacks \{'X': 7\}"):
        Adjoint(model, slopes, bounds, fsp.Generator(model, space), [1.0], 1e-9)
