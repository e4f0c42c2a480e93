"""Polynomials below and above each rate hold in every state that stoichiometry allows."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from references import MODELS
from written_networks import network

import fsp
from fsp.moments import polynomial
from fsp.moments.rates import affine_parts, rates, reduced

FORMULAS = [
    "A*B", "A*(A-1)*B", "5*A - A*B", "A*(6-A)*G", "3 + A*A*G - A*B*G", "G*(1-G) + A", "A*A - A", "2*A*B*G",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_bounds_of_rates_hold_where_species_are_bounded(formula):
    """A + B = 6 and G ≤ 1, so that terms lose their factors; Z is not bounded."""
    model = network(
        {"A": 4, "B": 2, "G": 1, "H": 0, "Z": 0},
        ("A -> B", "mass_action", 1.0),
        ("B -> A", "mass_action", 1.0),
        ("G -> H", "mass_action", 1.0),
        ("H -> G", "mass_action", 1.0),
        ("0 -> Z", "rate", f"({formula})*Z + Z*Z + 30"),
    )
    (own,) = (rate for rate, reaction in zip(found_rates(model), model.reactions, strict=True) if "Z" in str(reaction))
    states = np.array([(a, 6 - a, g, 1 - g, z) for a in range(7) for g in range(2) for z in (0, 1, 2, 7, 40)])
    check(own, states, model.propensities(states)[-1])


def found_rates(model):
    return rates(model, 1.0, model.species_bounds)


def check(rate, states, values):
    for x, value in zip(states.tolist(), values.tolist(), strict=True):
        if value < 0.0:  # no propensity, but the enclosure of the formula holds all the same
            continue
        slack = 1e-9 * (1.0 + value)
        assert rate.upper is None or value <= float(polynomial.value(rate.upper, x)) + slack
        assert float(polynomial.value(rate.lower, x)) <= value + slack


@pytest.mark.parametrize("name", ["toggle_hill", "schloegl", "enzyme", "michaelis_menten", "hog1", "phage_lambda"])
def test_bounds_of_rates_of_models_hold(name, rng):
    model = fsp.load(MODELS / f"{name}.ant")
    space = fsp.StateSpace.reachable(model, steps=6)
    states = space.states[rng.integers(0, len(space), 300)]
    for rate, values in zip(found_rates(model), model.propensities(states), strict=True):
        check(rate, states, values)


@pytest.mark.parametrize("alpha", [(1, 1), (2, 0), (3, 2), (0, 2)])
@pytest.mark.parametrize("keep_one", [True, False])
def test_a_reduced_term_is_above_the_term(alpha, keep_one):
    largest = np.array([5.0, 4.0])
    beta, c = reduced(alpha, Fraction(3), largest, keep_one=keep_one)
    for x in ((a, b) for a in range(6) for b in range(5)):
        assert polynomial.value({alpha: Fraction(3)}, x) <= polynomial.value({beta: c}, x)


def test_parts_of_what_is_not_affine_are_refused():
    assert affine_parts({(0, 0): Fraction(2), (0, 1): Fraction(5)}, 2) == (2, [0, 5])
    with pytest.raises(ValueError, match="degree 2"):
        affine_parts({(1, 1): Fraction(1)}, 2)
