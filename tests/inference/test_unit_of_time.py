"""Units of time far from the network's: the same answers while products keep their digits, and a refusal beyond."""

from __future__ import annotations

import math

import numpy as np
import pytest

import fsp
from fsp.inference.fixed_space import FixedSpace
from fsp.inference.free_laws import FreeLaws
from fsp.inference.quadrature import middle_of, rule_of
from fsp.inference.unit_of_time import LARGEST, LATEST_CHANGING

SEEN = [0, 5, 20, 30]
NUMBERS = np.array([math.lgamma(n + 1.0) for n in SEEN])


def network(unit, rate="k"):
    """Return a network with rates in 1/unit."""
    return fsp.Model(
        species={"X": 0},
        parameters={"k": unit, "g": unit},
        reactions=[
            fsp.Reaction("0 -> X", rate=rate.replace("unit", repr(unit))),
            fsp.Reaction("X -> 0", mass_action="g"),
        ],
    )


def cells(t):
    return fsp.read_counts({"time": [t] * len(SEEN), "n": SEEN}, counts={"X": "n"})


@pytest.mark.parametrize("unit", [1e-139, 1.0, 1e138])
def test_improbable_cells_have_their_bounds_in_any_unit(unit):
    found = fsp.likelihood(network(unit), cells(1.0 / unit))
    mean = -math.expm1(-1.0)
    exact = -mean + np.array(SEEN) * math.log(mean) - NUMBERS
    for logarithm, interval in zip(exact, found.by_cell[0], strict=True):
        assert interval.certified
        assert interval.lower <= logarithm <= interval.upper
        assert interval.width <= 1e-5
    slope = found.gradient(["k"])["k"]
    assert slope.lower <= np.sum(np.array(SEEN) - mean) <= slope.upper


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (1e-290, r"Times must be at most 1e\+140 .* but one is 1e\+290; measure time in a larger unit"),
        (1e290, r"Exit rates must be at most 1e\+140 .* measure time in a smaller unit"),
    ],
)
def test_where_products_underflow_nothing_is_bounded(unit, text):
    """Of 30 molecules the probability was 1e-58, certified, in place of 2e-39: u T is 5e-34."""
    model, t = network(unit), 1.0 / unit
    for ask in (
        lambda: fsp.likelihood(model, cells(t)),
        lambda: fsp.sensitivity(model, [t], ["k"]),
        lambda: fsp.gradient(model, "X > 3", t, ["k"]),
        lambda: fsp.fisher(model, [t], ["k"]),
        lambda: fsp.mixture(model, {"k": fsp.Gamma(unit, 0.1)}, [t]),
        lambda: fsp.Posterior(model, cells(t), {"k": (0.5 * unit, 2.0 * unit)})(np.log([unit])),
    ):
        with pytest.raises(fsp.ConvergenceError, match=text):
            ask()


def test_parameters_of_a_search_may_leave_the_unit():
    """Its states were found at others."""
    model = network(1.0)
    fixed = FixedSpace(model, FreeLaws.of(model, ["k", "g"]), fsp.StateSpace.box(model, upper={"X": 20}))
    assert fixed.values_at(np.array([1e130, 1e130]), [1e-130], 1e-14, 1e9).lacking.max() < 1e-10
    with pytest.raises(fsp.ConvergenceError, match=r"Exit rates must be at most 1e\+140"):
        fixed.values_at(np.array([1e150, 1e150]), [1e-150], 1e-14, 1e9)


def test_functions_of_time_are_powers_of_it():
    rate = "k*exp(-unit*time)"
    late = 10.0 / LATEST_CHANGING
    mean = math.exp(-1.0)
    found = fsp.likelihood(network(late, rate), cells(0.05 / late)).by_cell[0][0]
    small = 0.05 * math.exp(-0.05)
    assert found.lower <= -small <= found.upper
    with pytest.raises(fsp.ConvergenceError, match=r"at most 1e\+20 .*, and rates depend on time, but one is 1e\+24"):
        fsp.likelihood(network(1e-24, rate), cells(1e24))
    with pytest.raises(fsp.ConvergenceError, match="and rates depend on time"):
        fsp.gradient(network(1e-24, rate), "X > 0", 1e24, ["k"])
    with pytest.raises(fsp.ConvergenceError, match="and rates depend on time"):
        fsp.fit(network(1e-24, rate), cells(1e24), {"k": (1e-25, 1e-23)}, starts=1)
    quick = fsp.likelihood(network(1e100, rate), fsp.read_counts({"time": [1e-100], "n": [0]}, counts={"X": "n"}))
    assert quick.value.lower <= -mean <= quick.value.upper
    assert LARGEST > LATEST_CHANGING


@pytest.mark.parametrize("unit", [1e-290, 1.0, 1e290])
def test_middles_of_pieces_are_those_of_any_unit(unit):
    assert middle_of(unit, 100.0 * unit) == pytest.approx(10.0 * unit, rel=1e-14)
    assert middle_of(unit, 2.0 * unit) == 1.5 * unit
    rule = rule_of(fsp.Gamma(5.0 * unit, 1.0), 3.0 / unit, 1e-4, 1e-4)
    assert len(rule) == len(rule_of(fsp.Gamma(5.0, 1.0), 3.0, 1e-4, 1e-4))
