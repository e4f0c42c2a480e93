"""Comparisons on states are those of the decimals that are written: against fractions, wherever they are made."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fsp
from fsp.model.comparisons import decided, in_whole_numbers
from fsp.model.formula import parse
from fsp.model.infix import to_text

COMPARE = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip
X, Y = (a.ravel() for a in np.mgrid[0:25, 0:12])
COLUMNS = {"X": X.astype(float), "Y": Y.astype(float)}
digits = st.integers(-999, 999).filter(bool)
places = st.integers(0, 4)


def number(n, p):
    return f"({n}e-{p})", Fraction(n, 10**p)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(COMPARE)), *[digits, places] * 3, st.integers(0, 24), st.integers(0, 11))
def test_linear_comparisons_are_those_of_fractions(sign, a, p, b, q, c, r, x, y):
    (ta, fa), (tb, fb), (tc, fc) = number(a, p), number(b, q), number(c, r)
    bound = fa * x + fb * y / fc  # met in a state, so that doubles may be on either side
    text = f"{ta}*X + {tb}*Y/{tc} {sign} {ta}*{x} + {tb}*{y}/{tc}"
    holds = np.broadcast_to(decided(in_whole_numbers(parse(text, what="f")), COLUMNS, 0.0, "f"), X.shape)
    exact = [COMPARE[sign](fa * int(i) + fb * int(j) / fc, bound) for i, j in zip(X, Y, strict=True)]
    assert holds.tolist() == exact


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("0.1*X/(X + Y) > 0.03", lambda x, y: x + y > 0 and Fraction(x, x + y) > Fraction(3, 10)),
        ("0.7*X*Y == 0.1*X*X*Y", lambda x, y: 7 * x * y == x * x * y),
        ("Y/X >= 1.1", lambda x, y: (x == 0 and y > 0) or (x > 0 and Fraction(y, x) >= Fraction(11, 10))),
        ("min(0.1*X, 0.3) + 0.1*Y > 0.6", lambda x, y: min(x, 3) + y > 6),
        ("0.1 < 0.1*X - 0.2 <= 0.7", lambda x, y: 3 < x <= 9),
        ("(0.1*X - 0.3) && Y", lambda x, y: x != 3 and y != 0),
    ],
)
def test_other_comparisons_are_those_of_fractions(text, law):
    holds = decided(in_whole_numbers(parse(text, what="f")), COLUMNS, 0.0, "f")
    assert holds.tolist() == [law(int(i), int(j)) for i, j in zip(X, Y, strict=True)]


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("X + 2*Y <= 30", "X + 2*Y <= 30"),
        ("0.1*X > 0.3", "X > 3"),
        ("0.1*X > 0.1 + 0.2", "X > 3"),
        ("X/2 >= 1.5", "X >= 3"),
        ("k*X > 0.3", "10*X*k > 3"),
        ("0.25*X > time", "0.25*X > time"),
    ],
)
def test_polynomials_are_compared_in_whole_numbers(text, whole):
    assert to_text(in_whole_numbers(parse(text, what="f"))) == whole


def test_probabilities_passages_rates_events_and_constraints_agree():
    decay = fsp.Model(species={"X": 5}, reactions=[fsp.Reaction("X -> ", mass_action=1.0)])
    d = fsp.transient(decay, [1.0])[-1]
    three, more = (d.probability(event).value for event in ("X == 3", "X > 3"))
    assert d.probability("0.1*X > 0.3").value == more
    assert d.probability("0.1*X >= 0.3").value == pytest.approx(three + more, abs=1e-15)
    assert d.conditional("0.1*X > 0.3").states.min() == 4
    assert d.probability("0.1*X > 0.1*3*time").value == more
    ends = [fsp.passage(decay, text, [1.0]).probability() for text in ("0.1*X <= 0.3", "X <= 3")]
    assert ends[0] == ends[1]
    space = fsp.StateSpace.reachable(decay, constraints="0.1*X > 0.3")
    assert sorted(space.states[:, 0].tolist()) == [4, 5]
    stays = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> ", rate="piecewise(X, 0.1*X > 0.3, 0)")])
    assert fsp.transient(stays, [1.0])[-1].probabilities.tolist() == [1.0]
    assert not stays.propensities(np.array([[3]])).any()
    event = fsp.Event("0.1*X <= 0.3", {"X": "0"})
    fired = fsp.Model(species={"X": 5}, reactions=[fsp.Reaction("X -> ", mass_action=1.0)], events=[event])
    assert set(fsp.transient(fired, [1.0])[-1].states[:, 0].tolist()) == {0, 4, 5}


def test_what_nothing_decides_is_refused_by_its_state():
    decay = fsp.Model(species={"X": 5}, reactions=[fsp.Reaction("X -> ", mass_action=1.0)])
    d = fsp.transient(decay, [1.0])[-1]
    with pytest.raises(fsp.ArgumentError, match=r"sqrt.* must be decided in every state.* at X = 2; compare whole"):
        d.probability("sqrt(2)*X > 2*sqrt(2)")
    assert d.probability("sqrt(2)*X > 3").value == d.probability("X > 2").value
