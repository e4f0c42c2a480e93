"""Polynomials enclose rate laws."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from moment_cases import far_out

import fsp
from fsp.distribution.formulas import read_formula
from fsp.model.expression import evaluate
from fsp.moments import polynomial
from fsp.moments.envelope import envelope
from fsp.moments.lyapunov import drift_condition
from fsp.moments.terms import exponential, in_falling_powers, number_power

FORMULAS = [
    "3*U*(U-1)/2", "50/(1+(V/15)^3)", "U/(10+U)", "U^2.5/(3^2.5+U^2.5)*V", "U*V^2/(4+V)", "U^0.5", "sqrt(U*V)",
    "(U+V)^1.7", "exp(-U/3)*V", "max(U, 3-V)", "min(U*V, 20)", "piecewise(U, U > V, V^2)", "abs(U-V)", "2^-1*U",
    "U/(1+time)", "(1-exp(-0.3*time))*U", "(1+sin(time))*V", "floor(U/3)", "ceil(V/4)*U", "U*(1-U/30)", "1/(2+U)^2",
    "(3+U)/(1+2*U)",
    "tanh(U)*3", "(U > 3)*V", "(0.5*U)^1.5", "-U*V + 3",
    "piecewise(U*(U-1), U > V, 3*U - V, U == V, 5)", "piecewise(U, U != V && !(U < 3 || V == 4), 2*U + 1)",
    "min(U*(U-1), V, 7)", "max(U - V, 2*U)",
]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_polynomials_enclose_a_formula(formula, rng):
    horizon = 5.0
    tree = read_formula(formula, ("U", "V"), {}, 0.0)
    found = envelope(tree, ("U", "V"), horizon)
    assert found.upper is not None
    assert found.lower is not None
    above, below = in_falling_powers(found.upper, upper=True), in_falling_powers(found.lower, upper=False)
    for x in far_out(rng, np.array([np.inf, np.inf]), 200):
        for t in rng.uniform(0, horizon, 3):
            value = float(evaluate(tree, {"U": float(x[0]), "V": float(x[1])}, t))
            slack = 1e-12 * (1 + abs(value))
            assert float(polynomial.value(below, x)) <= value + slack
            assert value <= float(polynomial.value(above, x)) + slack


def test_a_root_is_no_polynomial():
    tree = read_formula("sqrt(U)", ("U",), {}, 0.0)
    assert envelope(tree, ("U",)).polynomial is None
    assert envelope(read_formula("U^2", ("U",), {}, 0.0), ("U",)).polynomial == {(2,): 1, (1,): 1}


@pytest.mark.parametrize("base", ["1/3", "2", "7/5", "1/1000"])
@pytest.mark.parametrize("n", ["1/2", "3", "17/10", "200", "400"])
def test_powers_of_numbers_are_rounded_to_their_side(base, n):
    base, n = Fraction(base), Fraction(n)
    below, above = (number_power(base, n, side) for side in (-1, 1))
    with mpmath.workdps(60):
        exact = mpmath.power(mpmath.mpf(base.numerator) / base.denominator, mpmath.mpf(n.numerator) / n.denominator)
        assert mpmath.mpf(below.numerator) / below.denominator <= exact * (1 + mpmath.mpf(10) ** -50)
        assert exact * (1 - mpmath.mpf(10) ** -50) <= mpmath.mpf(above.numerator) / above.denominator


@pytest.mark.parametrize("x", ["-900", "-3", "0", "1/7", "650"])
def test_exponentials_of_numbers_are_rounded_to_their_side(x):
    x = Fraction(x)
    below, above = (exponential(x, side) for side in (-1, 1))
    with mpmath.workdps(60):
        exact = mpmath.exp(mpmath.mpf(x.numerator) / x.denominator)
        assert mpmath.mpf(below.numerator) / below.denominator <= exact
        assert exact <= mpmath.mpf(above.numerator) / above.denominator


@pytest.mark.parametrize("upper", [True, False])
def test_broken_powers_are_bounded_by_whole_ones_of_either_sign(upper):
    terms = {(Fraction(3, 2),): Fraction(2), (Fraction(5, 2),): Fraction(-1), (Fraction(1, 2),): Fraction(-3)}
    bound = in_falling_powers(terms, upper=upper)
    for x in range(40):
        value = sum(float(c) * x ** float(powers[0]) for powers, c in terms.items())
        gap = float(polynomial.value(bound, (x,))) - value
        assert gap >= -1e-9 if upper else gap <= 1e-9


@pytest.mark.parametrize(
    ("condition", "lowest", "holds"),
    [
        ("U > 10", 10, None), ("U > 10", 11, True), ("U <= 10", 11, False), ("U == 10", 11, False),
        ("U == 10", 10, None), ("U != 10", 11, True), ("U == U", 0, True), ("U != U + 1", 0, True),
        ("!(U == 10)", 11, True), ("U > 10 && V >= 0", 11, True), ("U > 10 && V > 0", 11, None),
        ("U < 10 && V > 0", 11, False), ("U > 10 || V > 5", 11, True), ("U < 10 || V > 5", 11, None),
        ("U < 10 || U == 3", 11, False), ("0.1*U > 1", 10, None), ("0.1*U > 1", 11, True),
        ("0.1*U + V > 1", 10, None), ("exp(0*V)*0.1*U > 1", 10, None), ("U*(1 + 0.1) > 11", 10, None),
    ],
)  # fmt: skip
def test_conditions_are_settled_where_they_hold_on_all_states(condition, lowest, holds):
    """Numbers are the decimals that they print as: a tenth of 10 is 1, and not above it."""
    tree = read_formula(f"piecewise(U, {condition}, 0)", ("U", "V"), {}, 0.0)
    found = envelope(tree, ("U", "V"), lowest=(lowest, 0))
    count = {(1, 0): 1, (0, 0): lowest} if lowest else {(1, 0): 1}
    assert found.polynomial == {True: count, False: {}, None: None}[holds]


def test_drifts_are_proved_beyond_switches():
    """A loss that begins above 400, and one that stops at one count, hold a chain all the same."""
    for loss in ("piecewise(X, X > 400, 0)", "piecewise(0, X == 30, X)", "piecewise(X, X != 30 && X > 3, X/2)"):
        reactions = [fsp.Reaction("0 -> X", rate="10"), fsp.Reaction("X -> 0", rate=loss)]
        condition = drift_condition(fsp.Model(species={"X": 0}, reactions=reactions))
        x = np.arange(600)
        listed = set(condition.states.ravel().tolist())
        rates = fsp.Model(species={"X": 0}, reactions=reactions).propensities(x[:, None])
        drift = rates[0] - rates[1]
        assert {int(n) for n in x[drift > -condition.elsewhere * (1 - 1e-9)]} <= listed
