"""Quadratic forms and the boxes beyond which their drift is low, by sums in rationals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from written_networks import network

from fsp.moments import polynomial, quadratic
from fsp.moments.drift_proof import Prover

MODELS = {
    "cascade": network(
        {"M": 0, "P": 0},
        ("0 -> M", "mass_action", 3.0),
        ("M -> M + P", "mass_action", 2.0),
        ("M -> 0", "mass_action", 0.5),
        ("P -> 0", "mass_action", 0.4),
    ),
    "conversion": network(
        {"A": 0, "B": 0},
        ("0 -> A", "mass_action", 9.0),
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "mass_action", 0.5),
        ("B -> 0", "mass_action", 0.7),
    ),
    "bursts": network({"X": 0}, ("0 -> 4 X", "mass_action", 2.0), ("X -> 0", "mass_action", 0.5)),
}


def proposed(name):
    """Return the function, its drift, and what a box is made with."""
    prover = Prover(MODELS[name])
    mean, covariance, P = quadratic.propose(prover.rates)
    centre = np.round(mean).astype(np.int64)
    function = quadratic.form(P, centre)
    return function, prover.image(function, None), P, centre, covariance


@pytest.mark.parametrize("name", MODELS)
def test_a_form_is_that_of_the_distance_from_the_centre(name):
    function, _, P, centre, _ = proposed(name)
    for step in product((-2, 0, 3), repeat=len(centre)):
        value = float(polynomial.value(function, (centre + np.array(step)).tolist()))
        assert value == pytest.approx(float(np.array(step) @ P @ np.array(step)), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_beyond_the_box_the_drift_is_as_low_as_is_said(name):
    function, image, P, centre, covariance = proposed(name)
    box = quadratic.enclose(function, image, P, centre, covariance)
    assert box.elsewhere > 0
    ends = zip(box.lower.tolist(), box.upper.tolist(), strict=True)
    for x in product(*(range(max(0, low - 5), high + 6) for low, high in ends)):
        if not ((box.lower <= x) & (x <= box.upper)).all():
            assert polynomial.value(image, x) <= -box.elsewhere


@pytest.mark.parametrize("name", MODELS)
def test_a_level_that_is_too_low_is_seen(name, monkeypatch):
    """The level is computed in floating point, and proved: by less than γ too low it is no level."""
    function, image, P, centre, covariance = proposed(name)
    gamma = quadratic.enclose(function, image, P, centre, covariance).elsewhere
    highest, calls = quadratic._highest, []

    def lower(bordered):
        calls.append(bordered)
        value = highest(bordered)
        return value if len(calls) == 1 else value - 0.5 * float(gamma)  # the first one is that which γ is a share of

    monkeypatch.setattr(quadratic, "_highest", lower)
    assert quadratic.enclose(function, image, P, centre, covariance) is None
