"""Rates near the largest doubles: the right answer, or an error that names the rate and a way out."""

from __future__ import annotations

import numpy as np
import pytest

import fsp
from fsp.solvers import SOLVERS
from fsp.solvers.base import LARGEST_RATE


def two_deaths(rate):
    deaths = [fsp.Reaction(f"{name} -> 0", mass_action="k") for name in "AB"]
    return fsp.Model(species={"A": 1, "B": 1}, parameters={"k": rate}, reactions=deaths)


def births(rate):
    reactions = [fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=1.0)]
    return fsp.Model(species={"X": 0}, parameters={"k": rate}, reactions=reactions)


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_rates_beyond_those_of_a_solver_are_refused_with_two_ways_out(solver):
    with pytest.raises(fsp.ConvergenceError, match=r"one is (2e\+305|inf); .*measure time in a smaller unit"):
        fsp.transient(two_deaths(1e305), [1e-305], solver=solver)
    dist = fsp.transient(two_deaths(1.0), [1.0], solver=solver)[-1]  # the same in that unit
    p = dist.probability("A == 1")
    assert p.lower <= np.exp(-1.0) <= p.upper


@pytest.mark.parametrize("rate", [1e160, 1e300])
def test_squaring_goes_on_where_squares_of_rates_are_no_doubles(rate):
    assert rate > LARGEST_RATE
    with pytest.raises(fsp.ConvergenceError, match="use solver='squaring', for few states"):
        fsp.transient(two_deaths(rate), [1.0 / rate], solver="krylov")
    for solver in ("auto", "squaring"):
        p = fsp.transient(two_deaths(rate), [1.0 / rate], solver=solver)[-1].probability("A == 1")
        assert p.certified
        assert p.lower <= np.exp(-1.0) <= p.upper
        assert p.width < 1e-5


def test_sums_of_rates_that_are_infinite_are_named():
    model = two_deaths(1e308)
    with pytest.raises(fsp.ConvergenceError, match=r"exit rates of up to inf are too large; measure time"):
        fsp.transient(model, [1.0])
    assert fsp.stationary(model).probability("A + B == 0").lower == pytest.approx(1.0)


def test_jumps_without_number_are_refused_by_name():
    with pytest.raises(fsp.ConvergenceError, match=r"must be countable, but are too many; end earlier"):
        fsp.transient(two_deaths(1e300), [1e20], solver="squaring")


def test_a_sweep_over_a_rate_without_bound_names_it():
    with pytest.raises(fsp.FSPError, match=r"At k = 1e\+308: .*measure time in a smaller unit"):
        fsp.sweep(births(1.0), {"k": 1e308}, [1.0])


def test_propensities_that_overflow_name_their_reaction_and_a_way_out():
    with pytest.raises(fsp.ModelError, match=r"'r1' must be finite .* inf in state .*measure time in a smaller unit"):
        fsp.transient(
            fsp.Model(species={"A": 5}, parameters={"k": 1e308}, reactions=[fsp.Reaction("A -> 0", mass_action="k")]),
            [1.0],
        )
