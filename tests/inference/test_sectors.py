"""Values of laws at complex parameters lie in the sectors that enclose them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fsp
from fsp.inference.sectors import Sector, is_enclosed, sector

LAWS = (
    "3*z",
    "z^2.5*X",
    "z/(1 + z)",
    "X^2/(z^2 + X^2)",
    "1/(z^0.5 + 2*X/z)",
    "(z + 1)*(z + X)/(z^3 + 1)",
    "z*(z + 0.1)",
    "z + 2/z",
)
COUNTS = np.array([0.0, 1.0, 3.0, 7.0])


def law_of(text):
    reaction = fsp.Reaction({"X": 1}, rate=text)
    model = fsp.Model(species={"X": 1}, parameters={"z": 1.0}, reactions=[reaction])
    return model.definition.laws[0]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(LAWS), st.floats(-1.0, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 1.3), st.integers(0, 10**6))
def test_sectors_hold_the_values_of_laws(text, size, spread, angle, seed):
    least, rng = 10.0**size, np.random.default_rng(seed)
    largest = least * 10.0**spread
    z = rng.uniform(least, largest, 200) * np.exp(1j * rng.uniform(-angle, angle, 200))
    given_ = {"z": Sector(*(np.array([[x]]) for x in (least, largest, angle)))}
    found = sector(law_of(text), given_, {"X": COUNTS[:, None]})
    values = eval(text.replace("^", "**"), {"z": z, "X": COUNTS[:, None]}) + 0.0 * COUNTS[:, None]
    known = np.broadcast_to(np.isfinite(found.largest), values.shape)
    slack = 1e-12 * np.abs(values)
    assert (np.abs(values) <= found.largest + slack)[known].all()
    assert (np.abs(values) >= found.least - slack)[known].all()
    inside = np.minimum(np.broadcast_to(found.angle, values.shape), np.pi)
    assert (np.abs(np.angle(values)) <= inside + 1e-9)[known & (np.abs(values) > 0.0)].all()
    assert (np.abs(values) - values.real <= found.missed() + slack)[known].all()


def test_laws_near_their_poles_are_unbounded():
    for text, angle in (("X^4/(z^4 + X^4)", 0.4), ("1/(1 + z)", 1.6), ("(z^4 + 1)^0.5", 0.4)):
        near = {"z": Sector(*(np.array([[x]]) for x in (0.9, 1.1, angle)))}
        assert np.isinf(sector(law_of(text), near, {"X": COUNTS[:, None]}).missed()).any()


@pytest.mark.parametrize("text", ["exp(z)", "2^z", "1 - z", "z*time/(1 + z)", "piecewise(z, X > 1, z^2)"])
def test_other_laws_are_not_enclosed(text):
    assert not is_enclosed(law_of(text), frozenset(["z"]))
