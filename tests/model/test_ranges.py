"""Enclosures of rate laws: of computed values at counts, and of functions of time; the table of functions has all."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fsp.model.formula import parse
from fsp.model.functions import FUNCTIONS
from fsp.model.infix import to_text
from fsp.model.program import evaluate
from fsp.model.ranges import enclosure, last_count, points
from fsp.model.roundoff import RULES
from fsp.model.taylor import polynomial

LAWS = [
    "2*X - 3*Y + 1",
    "X*(Y - 4)/(X + 2)",
    "abs(X - Y)",
    "floor(X/3) - ceil(-Y/2)",
    "min(X, Y, 5) - max(2, X - Y)",
    "X < Y && Y <= 7",
    "X > Y || !(Y >= 3)",
    "(X == 3) + (Y != 4)",
    "X - Y > 0",
]
PIECES = ["piecewise(X - Y, X < 3, 2*Y)", "piecewise(X, Y > 9, -X, X + Y >= 8, 7)", "sqrt(X) - exp(-Y)"]
BOXES = [((0, 3), (0, 9)), ((2, 2), (4, 4)), ((3, 8), (5, 7)), ((0, 0), (2, 9))]


@pytest.mark.parametrize("text", LAWS)
@pytest.mark.parametrize("box", BOXES)
def test_an_enclosure_holds_every_value_in_its_box(text, box):
    tree = parse(text, what="law")
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.arange(a, b + 1.0) for a, b in box), indexing="ij"))
    values = np.asarray(evaluate(tree, {"X": x, "Y": y})) * 1.0
    low, high = enclosure(tree, {"X": tuple(map(float, box[0])), "Y": tuple(map(float, box[1]))})
    assert low <= values.min()
    assert values.max() <= high
    if len(x) == 1:  # at a point it is the value
        assert low == high == values[0]


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("1/(3 + X)", 0.0, 1.0 / 3.0),
        ("X/(3 + X)", 0.0, math.inf),
        ("-2/(1 + X^2)", -2.0, 0.0),
        ("9/(9 + X^2.5)", 0.0, 1.0),
        ("(1 + X)^-2", 0.0, 1.0),
        ("1/X", -math.inf, math.inf),
    ],
)
def test_an_enclosure_has_ends_where_counts_have_none(text, low, high):
    least, largest = enclosure(parse(text, what="law"), {"X": (0.0, math.inf)})
    assert least == pytest.approx(low, rel=1e-12, abs=1e-300)
    assert largest == pytest.approx(high, rel=1e-12)


@pytest.mark.parametrize("text", PIECES)
@pytest.mark.parametrize("box", BOXES)
def test_an_enclosure_of_pieces_holds_those_that_may_be_taken(text, box):
    tree = parse(text, what="law")
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.arange(a, b + 1.0) for a, b in box), indexing="ij"))
    values = np.asarray(evaluate(tree, {"X": x, "Y": y})) * 1.0
    low, high = enclosure(tree, {"X": tuple(map(float, box[0])), "Y": tuple(map(float, box[1]))})
    assert low <= values.min()
    assert values.max() <= high
    if len(x) == 1 and "exp" not in text:
        assert low == high == values[0]


@pytest.mark.parametrize("text", ["X^2*Y^0.5", "X^2.7/(9^2.7 + X^2.7) - Y^3", "(X + 1)^-2 + 3^Y", "(X/9)^300 + Y^0"])
@pytest.mark.parametrize("box", BOXES)
def test_an_enclosure_of_powers_is_close(text, box):
    tree = parse(text, what="law")
    x, y = (grid.ravel() for grid in np.meshgrid(*(np.arange(a, b + 1.0) for a, b in box), indexing="ij"))
    values = np.asarray(evaluate(tree, {"X": x, "Y": y}))
    low, high = enclosure(tree, {"X": tuple(map(float, box[0])), "Y": tuple(map(float, box[1]))})
    assert low <= values.min()
    assert values.max() <= high
    if len(x) == 1 and "3^Y" not in text:
        assert high - low <= 1e-12 * (1.0 + abs(values[0]))


@pytest.mark.parametrize("text", LAWS[5:])
def test_the_points_of_a_condition_are_all_that_hold(text):
    tree = parse(text, what="law")
    box = {"X": (0.0, 8.0), "Y": (0.0, 9.0)}
    found = set(points(tree, ["X", "Y"], box, lambda _: True, 1000, "it"))
    all_points = [(x, y) for x in range(9) for y in range(10)]
    assert found == {(x, y) for x, y in all_points if evaluate(tree, {"X": float(x), "Y": float(y)})}


def test_the_last_count_is_where_a_rate_ends():
    assert last_count(parse("X*(X < 5)", what="law"), "X") == 4
    assert last_count(parse("max(0, 12 - X)", what="law"), "X") == 11
    assert last_count(parse("X", what="law"), "X") is None
    assert last_count(parse("(time > 2)*X*(X < 5)", what="law"), "X") == 4  # at all times


@pytest.mark.parametrize(
    "text",
    ["implies(time < 9, time > 1)", "xor(time > 1, time > 7)", "!(time > 9) && time > 1", "(time != 9)*time"],
)
def test_logic_of_functions_of_time_is_that_of_numbers(text):
    tree = parse(text, what="law")
    found = polynomial(tree, 2.0, 4.0, 3)
    assert found is not None
    for t in (2.0, 2.7, 4.0):
        assert abs(found.at(t) - evaluate(tree, {}, t)) <= found.remainder + 1e-15 * abs(found.at(t))


def test_every_function_is_read_written_and_rounded():
    assert set(FUNCTIONS) == set(RULES)
    for name, row in FUNCTIONS.items():
        assert row.ast or name in ("neg", "sqrt", "log10")  # libsbml writes them as other nodes
        many = 2 if row.sign and row.limit > 1 else max(row.fewest, 1)
        inside = f"X{row.sign}Y" if row.sign and many == 2 else f"{row.sign}X" if row.sign and many == 1 else ""
        text = inside or f"{name}({', '.join('XYZ'[:many])})"
        tree = parse(text, what="law")
        assert parse(to_text(tree), what="law") == tree
