"""Polynomials above formulas on all counts, by intervals on cells and powers beyond them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.model.expression import evaluate
from fsp.model.formula import parse
from fsp.moments.ranges_on_counts import FIRST_POWER, size_on_counts

COUNTS = np.unique(np.concatenate([np.arange(12), np.geomspace(12, 1e13, 60).astype(np.int64)]))
SPECIES = ("X", "Y")

numbers = st.sampled_from([0.3, 1.0, 2.0, 2.5, 7.0, 40.0, 3000.0])
exponents = st.sampled_from([0.5, 1.0, 1.7, 2.0, 3.3, 4.0])


def saturating(parts):
    name, k, n = parts
    u = f"({name}/{k})^{n}"
    return st.sampled_from(
        [
            f"1/(1 + {u})",
            f"{u}/(1 + {u})",
            f"{n}*{u}/(1 + {u})^2",
            f"piecewise({u}*ln({name}/{k}), {name} > 0, 0)/(1 + {u})^2",
            f"exp(-{name}/{k})",
            f"ln(1 + {u})",
            f"abs({name} - {k})",
            f"sqrt({name} + {k})",
            f"piecewise({name}, {name} <= {k}, {k}, {name} >= 2*{k}, 1)",
            name,
        ]
    )


factors = st.tuples(st.sampled_from(SPECIES), numbers, exponents).flatmap(saturating)
formulas = st.one_of(
    factors,
    st.tuples(factors, factors).map(lambda f: f"({f[0]})*({f[1]})"),
    st.tuples(factors, factors).map(lambda f: f"({f[0]}) - 2*({f[1]})"),
    st.tuples(factors, factors).map(lambda f: f"({f[0]})/(1 + {f[1]})"),
)


def value_of(text):
    """Return the formula (n, n) at all pairs of `COUNTS`."""
    x, y = np.meshgrid(COUNTS.astype(float), COUNTS.astype(float), indexing="ij")
    with np.errstate(all="ignore"):
        return np.broadcast_to(evaluate(parse(text, what="a test"), {"X": x, "Y": y}), x.shape)


def at_counts(terms):
    """Return the terms (n, n) at all pairs of `COUNTS`."""
    x, y = np.meshgrid(COUNTS.astype(float), COUNTS.astype(float), indexing="ij")
    powers = {alpha: [float(a) for a in alpha] for alpha in terms}
    return sum((float(c) * x ** powers[alpha][0] * y ** powers[alpha][1] for alpha, c in terms.items()), 0.0 * x)


@settings(max_examples=60, deadline=None)
@given(formulas)
def test_formulas_lie_below_their_terms_on_all_counts(text):
    terms = size_on_counts(parse(text, what="a test"), SPECIES)
    if terms is None:  # no formula of a species, or a sum of powers of both that no power bounds
        return
    assert all(c > 0 for c in terms.values())
    sizes = np.abs(value_of(text))
    assert (sizes <= at_counts(terms) * (1.0 + 1e-9)).all()


@pytest.mark.parametrize(("constant", "n"), [(6.0, 2.5), (300.0, 2.0), (20000.0, 1.3)])
def test_derivatives_of_hill_functions_have_bounds_near_their_largest_values(constant, n):
    u = f"(X/{constant})^{n}"
    ((powers, c),) = size_on_counts(parse(f"3*{n}*{u}/(1 + {u})^2", what="a test"), SPECIES).items()
    assert powers == (0, 0)
    assert 3.0 * n / 4.0 <= float(c) <= 1.5 * 3.0 * n / 4.0  # largest where u = 1
    u = f"(X/{constant})^{n}"
    by_exponent = f"3*piecewise({u}*ln(X/{constant}), X > 0, 0)/(1 + {u})^2"
    ((powers, c),) = size_on_counts(parse(by_exponent, what="a test"), SPECIES).items()
    assert powers == (0, 0)
    v = np.linspace(-10.0, 10.0, 20001)  # ln u
    largest = float((3.0 / n * np.abs(v) / (4.0 * np.cosh(v / 2.0) ** 2)).max())
    assert largest * 0.99 <= float(c) <= 1.7 * largest


def test_other_species_keep_their_powers():
    terms = size_on_counts(parse("4*Y*(X/6)^2/(1 + (X/6)^2)^2", what="a test"), SPECIES)
    ((powers, c),) = terms.items()
    assert powers == (0, 1)
    assert 1.0 <= float(c) <= 1.6


def test_a_score_is_zero_where_its_reaction_does_not_take_place():
    law, slope = (parse(text, what="a test") for text in ("X^2/(9 + X^2)", "-18*X^2/(9 + X^2)^2"))
    ((powers, c),) = size_on_counts(slope, SPECIES, law).items()
    x = np.arange(1, 500.0)
    largest = float((324.0 * x**2 / (9.0 + x**2) ** 3).max())
    assert powers == (0, 0)
    assert largest <= float(c) <= 1.01 * largest
    assert size_on_counts(parse("1/(1 + X)", what="a test"), SPECIES, law) is None  # infinite at X = 0


@pytest.mark.parametrize("text", ["exp(X)", "1/X", "1/(X - 3)", "ln(X)", "X^(Y/9)", "sin(X)", "X*time", "3"])
def test_nothing_is_said_of_what_has_no_bound(text):
    assert size_on_counts(parse(text, what="a test"), SPECIES) is None


def test_many_species_are_too_many_cells():
    names = tuple("ABCDEFG")
    assert size_on_counts(parse("A/(1 + B + C + D + E + F + G)", what="a test"), names) is None


@pytest.mark.parametrize("law", ["(X + 1e9)/X", "ln(X)", "ln(X)^2/sqrt(X)", "(X - 1e9)*Y/X"])
def test_beyond_the_cells_powers_are_above_formulas_that_vanish_before(law):
    text = f"piecewise({law}, X > {2.0 * FIRST_POWER:.0f}, 0)"
    counts = FIRST_POWER * np.array([2.01, 4.0, 1e3, 1e9])
    terms = size_on_counts(parse(text, what="a test"), SPECIES)
    sizes = np.abs(evaluate(parse(law, what="a test"), {"X": counts, "Y": np.full(4, 3.0)}))
    assert (sizes <= sum(float(c) * counts ** float(a) * 3.0 ** float(b) for (a, b), c in terms.items())).all()


def test_powers_take_over_where_the_inequality_of_logarithms_holds():
    assert math.exp(8.0) < FIRST_POWER
