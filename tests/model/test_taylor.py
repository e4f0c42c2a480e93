"""Taylor polynomials of functions of time lie within their remainders."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsp.model.expression import evaluate
from fsp.model.formula import parse
from fsp.model.intervals import power
from fsp.model.switches import switch_times
from fsp.model.taylor import constant, polynomial
from fsp.solvers.clocks import clock_on

tree = partial(parse, what="function of time")
FUNCTIONS = [
    ("1/(6e8*2^(time/2100))", 100.0, 106.0),
    ("sin(3*time) + 1.5", 1.0, 1.4),
    ("exp(-time)*time^2.5", 0.5, 0.8),
    ("(1 - exp(-0.3*time))*exp(-2*time)", 1e-9, 0.1),
    ("time^3.1", 0.0, 0.5),
    ("tanh(time - 3) + cosh(time/9)", 2.0, 2.3),
    ("log10(1 + time) + ln(2 + time^2)", 0.0, 0.5),
    ("sqrt(1 + time)/(2 + cos(time))", 1.0, 2.0),
    ("abs(time - 3) + max(time, 1) + min(2, time)", 3.0, 4.0),
    ("piecewise(exp(time), time < 1, 7)", 0.5, 1.0),
    ("floor(time/0.3) + tan(time/9)", 0.3, 0.6),
    ("time^-3 + (2 + time)^(1/(1 + time))", 1.0, 1.5),
]


@pytest.mark.parametrize(("text", "start", "end"), FUNCTIONS)
@pytest.mark.parametrize("degree", [0, 2, 5])
def test_the_remainder_is_above_the_true_one(text, start, end, degree):
    function = tree(text)
    found = polynomial(function, start, end, degree)
    if found is None:
        assert (text, degree) == ("time^3.1", 5)  # its derivatives are infinite at zero
        return
    inside = np.linspace(start, end, 2003)[1:-1]
    values = np.array([float(evaluate(function, {}, t)) for t in inside])
    missed = max(abs(found.at(t) - value) for t, value in zip(inside, values, strict=True))
    assert missed <= found.remainder + 4e-16 * np.abs(values).max()
    assert found.remainder <= 60.0 * 10.0**degree * missed + 1e-12 * np.abs(values).max()


@pytest.mark.parametrize(("text", "start", "end"), FUNCTIONS)
def test_a_constant_is_as_far_from_all_values_as_it_says(text, start, end):
    function = tree(text)
    found = constant(function, start, end)
    values = np.array([float(evaluate(function, {}, t)) for t in np.linspace(start, end, 2003)[1:-1]])
    assert np.abs(values - found.coefficients[0]).max() <= found.remainder


@settings(max_examples=200, deadline=None)
@given(
    start=st.floats(0.0, 10.0),
    length=st.floats(-9.0, 1.0).map(lambda exponent: 10.0**exponent),
    places=st.lists(st.tuples(st.floats(-15.0, -0.5), st.booleans()), min_size=1, max_size=4),
    values=st.lists(st.sampled_from([0.0, 1.0, 2.5, 1e4, 1e9]), min_size=5, max_size=5),
)
def test_the_remainder_covers_the_integral_over_switches_near_the_ends(start, length, places, values):
    end = start + length
    switches = sorted(start + length * 10.0**x if first else end - length * 10.0**x for x, first in places)
    branches = "".join(f"{v}, time < {s!r}, " for v, s in zip(values, switches, strict=False))
    found = polynomial(tree(f"piecewise({branches}{values[len(switches)]})"), start, end, 0)
    if found is None:
        return
    edges = np.clip([start, *switches, end], start, end)
    distances = np.abs(np.array(values[: len(switches) + 1]) - found.coefficients[0])
    assert distances @ np.diff(edges) <= found.remainder * (end - start) * (1.0 + 1e-12)


@pytest.mark.parametrize("text", ["piecewise(1, sin(time) > 0, 0)", "floor(time)", "abs(sin(time))", "1/(time - 3.05)"])
def test_there_is_no_bound_over_a_switch_or_a_pole(text):
    assert polynomial(tree(text), 2.9, 3.2, 3) is None


@pytest.mark.parametrize(
    "text", ["piecewise(1, sin(time) > 0, 0)", "piecewise(7, time > 4, 2, time > 3, 9)", "max(time, 3)"]
)
def test_a_constant_over_a_switch_holds_both_sides(text):
    clock = clock_on(tree(text), 2.9, 3.2)
    values = [float(evaluate(tree(text), {}, t)) for t in np.linspace(2.9, 3.2, 301)]
    assert clock.certified
    assert max(abs(value - clock.at(0.0)) for value in values) <= clock.remainder


def test_what_an_exponential_lacks_to_one_keeps_its_digits():
    law = tree("1 - exp(-0.004*time)")
    found = polynomial(law, 1e-6, 1.1e-6, 5)
    exact = -np.expm1(-0.004 * 1.05e-6)
    assert abs(found.at(1.05e-6) - exact) <= found.remainder <= 1e-13 * exact


def test_a_switch_inside_of_which_another_one_stands_is_followed_up_to_its_time():
    """The rate falls to zero some time after the pulse began; what is compared with 1 holds a switch itself."""
    rise = "(exp(time - 1) - 1)*exp((1 - time)/9)"
    pulse = f"piecewise({rise}, time > 1, 0)"
    function, smooth = tree(f"piecewise(5*(1 - {pulse}), {pulse} < 1, 0)"), tree(f"5*(1 - {rise})")
    (_, switch) = switch_times([function], 2.5)
    assert float(evaluate(smooth, {}, switch)) == pytest.approx(0.0, abs=1e-14)
    before, after = polynomial(function, 1.4, switch, 8), polynomial(function, switch, 2.0, 8)
    for t in np.linspace(1.4, switch, 50)[1:-1].tolist():
        assert abs(before.at(t) - float(evaluate(smooth, {}, t))) <= before.remainder + 1e-14
    assert before.remainder < 1e-9
    assert not any(after.coefficients)
    assert after.remainder < 1e-20


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.sampled_from([0.0, 1.0, -3.0, 1e-9, 1e9, 0.1]), min_size=5, max_size=9),
    exponent=st.sampled_from([1 / 3, 1.1, 10 / 9, 2.5, -0.7, 9.3, 2 / 3]),
)
def test_coefficients_of_powers_are_those_of_rationals(numbers, exponent):
    """Σ_i (r i - (k - i)) a_i b_(k - i) = k a_0 b_k: factors may cancel, as 3 times a third less 1 does."""
    a = [Fraction(x) for x in [2.0, *numbers]]
    found = power(np.repeat(np.array([2.0, *numbers])[:, None], 2, axis=1), exponent)
    r, b = Fraction(exponent), [Fraction(1)]  # in units of the first coefficient
    for k in range(1, len(a)):
        b.append(sum((r * i - (k - i)) * a[i] * b[k - i] for i in range(1, k + 1)) / (k * a[0]))
    first = [Fraction(x) for x in found[0].tolist()]
    for (low, high), exact in zip(found.tolist(), b, strict=True):
        ends = sorted(exact * x for x in first)
        assert low <= ends[0]
        assert ends[1] <= high
