"""Arithmetic of intervals keeps the value with its ends, and decides what holds for all of an interval alone."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsp.distribution.ledger import Interval
from fsp.errors import ArgumentError


def interval(lower, upper, value, certified=True):
    return Interval(lower, upper, value, certified, "" if certified else "open")


def test_values_follow_their_intervals():
    a, b = interval(1.0, 3.0, 1.5), interval(-4.0, 2.0, -1.0)
    assert (-a).value == -1.5
    assert (a + b).value == (b + a).value == 0.5
    assert (a - b).value == 2.5
    assert (2.0 - a).value == 0.5
    assert (a * b).value == -1.5


def test_a_value_that_its_own_arithmetic_takes_beyond_the_ends_is_at_the_nearer_one():
    wide = interval(0.0, 1.0, 1.0)
    for value, expected in ((5.0, 2.0), (-5.0, 0.0), (0.5, 0.5)):
        made = wide._with(wide, (0.0, 2.0), value)
        assert made.value == pytest.approx(expected, rel=1e-12, abs=1e-300)
        assert made.lower <= made.value <= made.upper


def test_what_an_interval_contradicts_is_false_and_what_it_holds_in_part_is_refused():
    a = interval(1.0, 2.0, 1.5)
    assert a <= 2.0
    assert a >= 1.0
    assert not a <= 0.5
    assert not a >= 2.5
    assert not a < 1.0
    assert not a > 2.0
    for undecided in (lambda: a <= 1.0, lambda: a >= 2.0, lambda: a < 2.0, lambda: a > 1.0, lambda: a <= 1.5):
        with pytest.raises(ArgumentError, match="must be decided, but is not"):
            undecided()


@given(st.floats(-1e6, 1e6), st.floats(0.0, 1e9))
def test_an_interval_around_a_value_holds_all_that_is_so_near(value, off):
    lower, upper = Interval.around(value, off, certified=True)
    assert Fraction(lower) <= Fraction(value) - Fraction(off)
    assert Fraction(value) + Fraction(off) <= Fraction(upper)


def test_the_width_is_the_distance_of_the_ends():
    assert interval(1.0, 3.5, 2.0).width == 2.5
    assert math.isinf(interval(0.0, math.inf, 2.0, certified=False).width)
    with pytest.raises(ArgumentError, match="must be at most `upper`"):
        interval(2.0, 1.0, 1.5)
