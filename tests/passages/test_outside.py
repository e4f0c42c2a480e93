"""What is known beyond the stored states: functions that pay for jumps there, and all states of a set."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import prod

import numpy as np
import pytest
from inference_cases import immigration_death
from written_networks import network

import fsp
from fsp.moments.lyapunov import drift_condition
from fsp.moments.polynomial import plus, scaled
from fsp.passages.observables import Observable
from fsp.passages.outside import all_jumps, members, paying
from fsp.passages.spectrum import Spectra
from fsp.passages.targets import Targets

NETWORKS = {
    "immigration and death": immigration_death,
    "two stages": lambda: network(
        {"M": 0, "P": 0},
        ("0 -> M", "mass_action", 2.0), ("M -> 0", "mass_action", 1.0),
        ("M -> M + P", "mass_action", 3.0), ("P -> 0", "mass_action", 1.0),
    ),
    "pairs": lambda: network(
        {"X": 0}, ("0 -> X", "mass_action", 40.0), ("X -> 0", "mass_action", 0.1), ("2 X -> 0", "mass_action", 0.5)
    ),
}  # fmt: skip


def exact(polynomial, state):
    """Return the value of a polynomial in falling powers at a state."""
    return sum(
        Fraction(c) * prod(x - k for x, n in zip(state, alpha, strict=True) for k in range(n))
        for alpha, c in polynomial.items()
    )


def excess(model, condition, cost, state):
    """Return ``A f + cost`` at a state, but for the rounding of the propensities."""
    rates = [Fraction(rate) for rate in model.propensities([state])[:, 0].tolist()]
    jumps = [[x + dx for x, dx in zip(state, change, strict=True)] for change in model.change.tolist()]
    now = exact(condition.function, state)
    drift = sum(a * (exact(condition.function, after) - now) for a, after in zip(rates, jumps, strict=True) if a)
    return drift + exact(cost, state)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("factor", [1, 10**4])
def test_what_pays_for_jumps_does_so_at_every_state_that_is_not_excepted(name, factor):
    model = NETWORKS[name]()
    cost = scaled(all_jumps(model), Fraction(factor))
    condition = drift_condition(model)
    first = paying(model, condition, cost)
    assert first is not None
    second = paying(model, condition, plus(cost, first.function), first)
    sizes = [*range(12), 20, 50, 200, 1000, 10_000]
    states = np.stack([axis.ravel() for axis in np.meshgrid(*[sizes] * model.n_species)], axis=1)
    for paid, what in ((first, cost), (second, plus(cost, first.function))):
        assert paid is not None
        excepted = set(map(tuple, paid.states.tolist()))
        beyond = [state for state in states.tolist() if tuple(state) not in excepted]
        assert len(beyond) > 2
        for state in beyond:
            assert excess(model, paid, what, state) <= Fraction(-paid.elsewhere) * Fraction(999, 1000)


@pytest.mark.parametrize("observed", ["X", "X^2"])
def test_what_pays_for_excursions_pays_for_both_observables_and_for_what_comes_after(observed):
    """The costs are 1, |a| and |b| at least, and that times the first function."""
    model = NETWORKS["pairs"]()
    first, second = (Observable.read(model, text, "observable") for text in (observed, "X > 3"))
    pair = replace(first, middle=40.0), second
    costs, later = Spectra(model, pair, None, None, drift_condition(model), 1e-6).paid
    for paid, after in ((costs, {(0,): Fraction(1)}), (later, costs.function)):
        excepted = set(paid.states[:, 0].tolist())
        for x in {0, 1, 5, 30, 100, 1000, 10**4, 10**6} - excepted:
            least = 1 + sum(abs(Fraction(float(seen.values(np.array([[x]]))[0]))) for seen in pair)
            assert excess(model, paid, scaled(after, least), [x]) <= 0


def test_jumps_lie_below_the_polynomial_of_all_of_them():
    model = NETWORKS["pairs"]()
    above = all_jumps(model)
    for x in (0, 1, 2, 7, 1000):
        assert Fraction(float(model.propensities([[x]]).sum())) * (1 - Fraction(1, 10**12)) <= exact(above, [x])


def test_members_are_all_states_of_a_set_that_may_be_reached():
    model = fsp.Model(
        species={"A": 4, "B": 0, "C": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("B -> A", mass_action=1.0)],
    )
    met = members(model, Targets.read(model, {"even": "A == 0 || A == 2", "many": "A > 2"}), 0)
    assert sorted(map(tuple, met.tolist())) == [(0, 4, 0), (2, 2, 0)]
    endless = immigration_death()
    assert members(endless, Targets.read(endless, "X > 3"), 0) is None
