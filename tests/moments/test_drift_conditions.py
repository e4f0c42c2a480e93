"""Drift conditions list every state at which the drift may be above -γ, by sums in rationals over boxes of states."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from written_networks import network

from fsp.moments import polynomial
from fsp.moments.lyapunov import drift_condition

EXACT = {  # propensities in rationals, in the order of the reactions
    "birth and death": (
        {"X": 0},
        [("0 -> X", 7, lambda x: 7), ("X -> 0", 1, lambda x: x)],
    ),
    "a branching process that dies out": (
        {"X": 3},
        [("X -> 2 X", Fraction(1, 2), lambda x: Fraction(x, 2)), ("X -> 0", 1, lambda x: x)],
    ),
    "pairs that meet": (
        {"X": 0},
        [("0 -> X", 40, lambda x: 40), ("2 X -> 0", Fraction(1, 4), lambda x: Fraction(x * (x - 1), 8))],
    ),
    "pairs in and pairs out": (
        {"X": 0},
        [
            ("0 -> 3 X", 5, lambda x: 5),
            ("2 X -> X", Fraction(1, 8), lambda x: Fraction(x * (x - 1), 16)),
            ("X -> 0", Fraction(1, 16), lambda x: Fraction(x, 16)),
        ],
    ),
    "a protein that is made by messages": (
        {"M": 0, "P": 0},
        [
            ("0 -> M", 2, lambda m, p: 2),
            ("M -> 0", 1, lambda m, p: m),
            ("M -> M + P", 3, lambda m, p: 3 * m),
            ("P -> 0", Fraction(1, 2), lambda m, p: Fraction(p, 2)),
        ],
    ),
    "two that annihilate each other": (
        {"A": 0, "B": 0},
        [
            ("0 -> A", 3, lambda a, b: 3),
            ("0 -> B", 2, lambda a, b: 2),
            ("A + B -> 0", 1, lambda a, b: a * b),
            ("A -> 0", Fraction(1, 4), lambda a, b: Fraction(a, 4)),
            ("B -> 0", Fraction(1, 4), lambda a, b: Fraction(b, 4)),
        ],
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_every_state_with_a_drift_above_is_listed(name):
    species, reactions = EXACT[name]
    model = network(species, *((equation, "mass_action", float(c)) for equation, c, _ in reactions))
    condition = drift_condition(model)
    assert condition.elsewhere > 0.0
    assert not condition.centre.any()
    listed = dict(zip(map(tuple, condition.states.tolist()), condition.drifts.tolist(), strict=True))
    top = condition.states.max(axis=0).tolist()
    gamma, changes = Fraction(condition.elsewhere), model.change.tolist()

    def g(x):
        return polynomial.value(condition.function, x)

    for x in product(*(range(n + 6) for n in top)):
        rates = [rate(*x) for _, _, rate in reactions]
        moved = [tuple(n + k for n, k in zip(x, change, strict=True)) for change in changes]
        drift = sum(a * (g(y) - g(x)) for a, y in zip(rates, moved, strict=True) if a)
        if x in listed:
            assert drift <= Fraction(listed[x])
        else:
            assert drift <= -gamma
