"""Certified stationary distributions: bounds hold for every state, every event, every space, and are sharp."""

from __future__ import annotations

import math
import warnings
from fractions import Fraction

import exact
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import as_model, birth_death, open_networks
from references import MODELS
from scipy import sparse
from stationary_cases import CASES, true_error
from written_networks import network

import fsp
from fsp.chains.hitting_times import Eliminated
from fsp.equilibrium.certificate import certify, rate_outside
from fsp.model.echelon import echelon
from fsp.model.structure import producible, same_lattice
from fsp.moments.lyapunov import NoDriftCondition, drift_condition

KNOWN = 1e-13  # relative error of the closed forms
TANDEM = network(
    {"X": 0, "Y": 0},
    ("0 -> X", "mass_action", 1.0),
    ("X -> Y", "rate", "piecewise(2, X > 0, 0)"),
    ("Y -> 0", "rate", "piecewise(3, Y > 0, 0)"),
)


def assert_bounded(d, law):
    """Every state lies between its bounds, and so do events."""
    assert d.error.certified
    assert (d.lower <= law * (1.0 + KNOWN)).all()
    assert (law <= d.upper * (1.0 + KNOWN)).all()
    assert (d.lower <= d.upper).all()


# ---- laws in closed form


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("tol", [1e-3, 1e-7, 1e-11])
def test_every_state_lies_in_its_interval_and_the_bound_is_sharp(name, tol):
    case = CASES[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)  # where rounding forbids 1e-11
        d = fsp.stationary(case.model, tol, method="gth")  # and no product form
    law = case.law(d.states)
    assert_bounded(d, law)
    true = true_error(case, d)
    assert true <= d.error.total + KNOWN
    assert d.error.total <= max(100.0 * true, tol, 1e-10)
    assert d.error.total - d.error.rounding <= tol


@pytest.mark.parametrize("name", CASES)
def test_means_lie_in_their_intervals(name):
    case = CASES[name]
    d = fsp.stationary(case.model, 1e-7)
    wide = fsp.stationary(case.model, 1e-11) if name != "queue" else d
    law = case.law(wide.states)
    for i, (species, interval) in enumerate(d.mean_interval().items()):
        mean = math.fsum(wide.states[:, i] * law)
        assert interval.lower <= mean + 1e-9
        assert mean <= interval.upper + 1e-9
        if name != "queue":  # whose drift is not linear in the count
            assert interval.certified, species
            assert interval.width <= 1e-3


def test_a_slow_tail():
    """M/M/1 at 90 % load: the tail falls by a tenth a step."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 2.7), ("X -> 0", "rate", "piecewise(3, X > 0, 0)"))
    d = fsp.stationary(model, 1e-6, method="gth")
    law = exact.queue(d.states[:, 0], np.inf, arrival=2.7, service=3.0)
    assert_bounded(d, law)
    true = np.abs(d.probabilities - law).sum() + 1.0 - law.sum()
    assert true <= d.error.total <= 1e-6


def test_queues_in_series_with_a_function_that_the_user_gives():
    with pytest.raises(NoDriftCondition):
        drift_condition(TANDEM)
    estimated = fsp.stationary(TANDEM, 1e-4)
    assert not estimated.error.certified
    assert any("`lyapunov`" in note for note in estimated.notes)
    d = fsp.stationary(TANDEM, 1e-6, lyapunov="5*X + 2*Y")
    x, y = d.states.T
    assert_bounded(d, 0.5 * 0.5**x * (2 / 3) * (1 / 3) ** y)
    assert d.error.total <= 1e-6


@pytest.mark.parametrize("text", ["X - Y", "X*Y", "X", "Z + X", "exp(X) + Y", "X + Y + time", "X +"])
def test_functions_that_cannot_serve_are_refused(text):
    with pytest.raises(fsp.ArgumentError, match="lyapunov"):
        fsp.stationary(TANDEM, 1e-3, lyapunov=text)


@settings(max_examples=25)
@given(birth_death())
def test_random_birth_death_chains(drawn):
    births, deaths, start, tol = drawn
    model = network({"X": start}, ("0 -> X", "rate", births), ("X -> 0", "rate", deaths))
    d = fsp.stationary(model, tol, method="gth")  # and no detailed balance
    everywhere = np.arange(500)[:, None]
    rates = model.propensities(everywhere)
    law = exact.birth_death_stationary(rates[0], rates[1])
    assert_bounded(d, law[d.states[:, 0]])
    inside = np.zeros(len(law))
    inside[d.states[:, 0]] = d.probabilities
    assert np.abs(law - inside).sum() <= d.error.total + KNOWN
    assert d.error.total <= tol


# ---- any space


@pytest.mark.parametrize("name", ["immigration-death", "two-stage product", "telegraph, slow", "pairs", "Schloegl"])
@pytest.mark.parametrize("top", [12, 17, 25, 40])
@pytest.mark.parametrize("eliminate", [False, True])
def test_the_bound_holds_on_any_space_and_around_any_state(name, top, eliminate):
    case = CASES[name]
    condition = drift_condition(case.model)
    model = case.model
    names = np.array(model.species)[model.species_bounds > 99]
    space = fsp.StateSpace.box(model, dict.fromkeys(names.tolist(), top))
    laws = model.conservation_laws
    kept = (space.states @ laws.T == model.initial_states @ laws.T).all(axis=1)
    generator = fsp.Generator(model, space.restrict(kept))
    law = case.law(generator.space.states)
    proved = 0
    for z in np.random.default_rng(top).integers(0, len(generator), 6).tolist():
        found = certify(generator, z, condition, eliminate=eliminate)
        if found is None:
            continue
        proved += 1
        assert (found.lower <= law * (1.0 + KNOWN)).all()
        assert (law <= found.upper * (1.0 + KNOWN)).all()
        true = np.abs(law - found.p).sum() + max(0.0, 1.0 - law.sum())
        assert true <= found.total + KNOWN
    assert proved or rate_outside(condition, generator) <= 0.0 or top < 20


def test_nothing_is_proved_where_an_excepted_state_is_missing():
    model = CASES["immigration-death"].model
    condition = drift_condition(model)
    space = fsp.StateSpace.reachable(model, ["X <= 40"])
    generator = fsp.Generator(model, space.restrict(space.states[:, 0] != 8))
    assert rate_outside(condition, generator) <= 0.0
    assert certify(generator, 12, condition) is None


@settings(max_examples=12)
@given(open_networks())
def test_two_tolerances_agree_within_their_bounds(drawn):
    model = as_model(drawn)
    rough, fine = fsp.stationary(model, 1e-3), fsp.stationary(model, 1e-8)
    assert rough.error.certified
    assert fine.error.certified
    assert rough.distance(fine) <= rough.error.total + fine.error.total


# ---- the literature


def test_the_exclusive_switch_beats_the_published_bounds():
    """Published: probability outside 2.7e-7, total state-wise width 3.7e-4."""
    model = fsp.load(MODELS / "exclusive_switch.ant")
    d = fsp.stationary(model, 2.7e-7)
    assert d.error.certified
    assert len(d) <= 16_780  # what a Lyapunov set alone needs for 0.1
    fine = fsp.stationary(model, 1e-10)
    reference = dict(zip(map(tuple, fine.states.tolist()), fine.probabilities.tolist(), strict=True))
    law = np.array([reference.get(tuple(x), 0.0) for x in d.states.tolist()])
    assert (d.lower <= law + fine.error.total).all()
    assert (law <= d.upper + fine.error.total).all()
    assert (d.upper - d.lower).sum() <= 3.7e-4


# ---- classes


def test_an_unreachable_closed_class_does_not_count():
    """X never comes down to zero, where it would stay."""
    model = network({"X": 3}, ("X -> 2 X", "mass_action", 2.0), ("2 X -> X", "mass_action", 0.5))
    d = fsp.stationary(model, 1e-8)
    law = exact.poisson(d.states[:, 0], 8.0) / -math.expm1(-8.0)
    assert d.states[:, 0].min() == 1
    assert_bounded(d, law)


def test_parities_keep_their_weights_and_bounds():
    model = network(
        {"X": 0}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0), initial={(0,): 0.3, (5,): 0.7}
    )
    d = fsp.stationary(model, 1e-8, method="gth")
    x = d.states[:, 0]
    even, odd = math.cosh(4.0) * math.exp(-4.0), math.sinh(4.0) * math.exp(-4.0)
    assert_bounded(d, exact.poisson(x, 4.0) * np.where(x % 2 == 0, 0.3 / even, 0.7 / odd))


def test_a_choice_between_two_infinite_classes():
    model = network(
        {"G": 1, "A": 0, "B": 0, "X": 0},
        ("G -> A", "mass_action", 1.0),
        ("G -> B", "mass_action", 3.0),
        ("A -> A + X", "mass_action", 5.0),
        ("B -> B + X", "mass_action", 20.0),
        ("X -> 0", "mass_action", 1.0),
    )
    d = fsp.stationary(model, 1e-7)
    _, a, b, x = d.states.T
    assert_bounded(d, 0.25 * a * exact.poisson(x, 5.0) + 0.75 * b * exact.poisson(x, 20.0))
    assert d.error.total <= 1e-7
    assert len(d.notes) == 2


def switch(on, off, make, death):
    return network(
        {"Off": 1, "On": 0, "M": 0},
        ("Off -> On", "mass_action", on),
        ("On -> Off", "mass_action", off),
        ("On -> On + M", "mass_action", make),
        ("M -> 0", "mass_action", death),
    )


@pytest.mark.parametrize("slow", [1e-2, 1e-6, 1e-10])
def test_rates_over_twelve_orders_of_magnitude_and_more(slow):
    """Rounding does not grow with the times between switches."""
    d = fsp.stationary(switch(slow, 2 * slow, 1e6, 1e5), 1e-6)
    top = d.states[:, 2].max() + 1
    law = exact.telegraph_stationary(np.arange(top), on=slow, off=2 * slow, make=1e6, death=1e5)
    assert_bounded(d, law[d.states[:, 1], d.states[:, 2]])
    assert d.error.total <= 1e-6


def exactly(rates, z):
    """Return the stationary vector over its value at z, and mean times to z, of a dense chain, in rationals."""
    n = len(rates)
    a = [[Fraction(rates[i, j]) if i != j else Fraction(0) for j in range(n)] for i in range(n)]
    exits = [sum(a[i][j] for i in range(n)) for j in range(n)]
    others = [k for k in range(n) if k != z]
    rows = [[(exits[j] if i == j else -a[i][j]) for j in others] + [a[i][z]] for i in others]
    y = [row[-1] for row in echelon(rows, n - 1)[0]]
    rows = [[(exits[j] if i == j else -a[i][j]) for i in others] + [Fraction(1)] for j in others]
    h = [row[-1] for row in echelon(rows, n - 1)[0]]
    return others, y, h


@settings(max_examples=15)
@given(st.integers(2, 7), st.integers(0, 10**6))
def test_eliminations_are_as_accurate_as_they_say_whatever_the_rates(n, seed):
    """Entry by entry, against rationals, for rates over forty orders of magnitude."""
    random = np.random.default_rng(seed)
    rates = 10.0 ** random.uniform(-20, 20, (n, n))
    np.fill_diagonal(rates, 0.0)
    z = int(random.integers(n))
    system = Eliminated(sparse.csr_array(rates - np.diag(rates.sum(axis=0))), np.zeros(n), z, 0.0)
    others, y, h = exactly(rates, z)
    sources = rates[:, z].copy()
    assert system.relative < 1e-12
    for found, true in ((system.solve(sources)[others], y), (system.solve_adjoint(np.ones(n))[others], h)):
        off = [abs(Fraction(float(x)) / t - 1) for x, t in zip(found, true, strict=True)]
        assert max(off) <= system.relative


def test_what_is_not_accurate_is_refused():
    rates = np.array([[-1e-200, 1.0], [1e-200, -1.0]])
    with pytest.raises(RuntimeError, match="far apart"):
        Eliminated(sparse.csr_array(rates), np.zeros(2), 1, 0.0)
    with pytest.raises(RuntimeError, match="does not lead"):
        Eliminated(sparse.csr_array(np.array([[0.0, 1.0], [0.0, -1.0]])), np.zeros(2), 1, 0.0)


@pytest.mark.parametrize(
    "reactions",
    [
        (("X -> 2 X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.0)),
        (("0 -> X", "mass_action", 1.0), ("X -> 2 X", "mass_action", 1.0), ("X -> 0", "mass_action", 1.0)),
    ],
)
def test_growth_at_criticality_is_refused(reactions):
    with pytest.raises(fsp.StateSpaceError, match=r"falls below .* after an infinite mean time"):
        fsp.stationary(network({"X": 3}, *reactions), 1e-6)


def test_the_bound_reached_is_reported_where_the_states_are_limited():
    model = CASES["two-stage product"].model
    with pytest.warns(fsp.ToleranceWarning, match="exceeds tol"):
        d = fsp.stationary(model, 1e-10, max_states=400)
    assert d.error.certified
    assert len(d) <= 400
    assert 1e-10 < d.error.total < 1e-2
    assert true_error(CASES["two-stage product"], d) <= d.error.total


def test_lattices_and_species_that_never_come():
    change = np.array([[2, 0], [-2, 1]])
    steps = np.array([[2, 0], [1, 0], [0, 1], [0, 2], [-2, 1], [1, 1]])
    assert same_lattice(change, steps).tolist() == [True, False, True, True, True, False]
    needs = np.array([[True, False, False], [False, True, False]])
    change = np.array([[0, 1, 0], [0, 0, 1]])
    assert producible(change, needs, np.array([True, False, False])).tolist() == [True, True, True]
    assert producible(change, needs, np.array([False, False, True])).tolist() == [False, False, True]


# ---- the answer


def test_bounds_of_states_are_saved_and_used(tmp_path):
    case = CASES["two-stage product"]
    d = fsp.stationary(case.model, 1e-4)
    again = fsp.read(_saved(d, tmp_path))
    np.testing.assert_array_equal(again.lower, d.lower)
    np.testing.assert_array_equal(again.upper, d.upper)
    place = d.mode()
    single = d.probability(place)
    (index,) = np.flatnonzero((d.states == list(place.values())).all(axis=1))
    assert single.certified
    assert single.lower == d.lower[index]
    assert single.upper == d.upper[index]
    assert single.width < d.error.total
    assert case.law(d.states[[index]])[0] in single


def _saved(d, folder):
    d.save(folder / "stationary.h5")
    return folder / "stationary.h5"


def test_bounds_of_states_follow_from_the_error_where_nothing_else_is_known():
    d = fsp.transient(CASES["immigration-death"].model, [1.0], 1e-4)[0]
    assert (d.lower <= d.probabilities).all()
    assert (d.probabilities <= d.upper).all()
    assert (d.upper - d.lower).max() <= d.error.total + 1e-12


@pytest.mark.parametrize("wrong", [np.zeros((2, 1)), np.array([[0.2, 0.3], [0.1, 0.4]])])
def test_bounds_that_do_not_fit_are_refused(wrong):
    with pytest.raises(fsp.ArgumentError, match="state_bounds"):
        fsp.Distribution(
            np.array([[0], [1]]), np.array([0.5, 0.5]), ("X",), t=None, error=fsp.ErrorLedger(), state_bounds=wrong
        )


def test_finite_networks_are_enumerated_and_certified():
    """Of the futile cycle only a few hundred of its 1,071 states hold much: without the others nothing is proved."""
    model = fsp.load(MODELS / "futile_cycle.ant")
    d = fsp.stationary(model, 1e-6)
    assert d.error.certified
    assert d.error.total <= 1e-10
    assert len(d) == len(fsp.StateSpace.reachable(model))
    assert d.distance(fsp.transient(model, [200.0], 1e-6)[-1]) <= 2e-6
    # A substrate that is used up: irreversible, but nothing escapes.
    used_up = fsp.stationary(fsp.load(MODELS / "enzyme.ant"), 1e-6)
    assert used_up.error.certified
    assert used_up.probability("S == 0").lower >= 1.0 - 1e-10


@pytest.mark.parametrize("rare", [3e-15, 2e-16])
def test_a_class_that_is_too_improbable_to_be_solved_keeps_its_upper_bound(rare):
    model = fsp.Model(
        species={"A": 1, "B": 0, "C": 0},
        reactions=[fsp.Reaction("A -> B", mass_action=1.0), fsp.Reaction("A -> C", mass_action=rare)],
    )
    d = fsp.stationary(model, 1e-6)
    place = d.states.tolist().index([0, 0, 1])
    assert d.lower[place] <= rare / (1.0 + rare) <= d.upper[place] <= rare + 1e-13
    assert rare <= d.error.total <= 1e-13
    assert d.error.certified


def test_the_bound_is_no_smaller_than_the_mass_that_is_missing():
    """A gate that hardly opens: all but rounding is known, and rounding is scaled off the mass."""
    model = network(
        {"off": 1, "on": 0, "X": 0},
        ("off -> on", "mass_action", 4e-8),
        ("on -> off", "mass_action", 0.6),
        ("on -> on + X", "mass_action", 0.8),
        ("X -> 0", "mass_action", 1.0),
    )
    d = fsp.stationary(model, 1e-12)
    assert 1.0 - math.fsum(d.probabilities) <= d.error.total <= 1e-13


def test_states_before_a_pocket_may_hold_what_is_lost_into_it():
    """A rare class goes round 10,001 states, of which two are stored: of these one leads to the other only."""
    n = 10_000
    model = network(
        {"S": 1, "A": 0, "C": 0, "B": 0, "X": 0, "Y": n},
        ("S -> A", "mass_action", 1.0),
        ("S -> C", "mass_action", 1.0),
        ("S -> B", "mass_action", 1e-7),
        ({"Y": -1, "X": 1}, "rate", "B*piecewise(1e-6, X == 0, piecewise(1, Y >= 1, 0))"),
        ({"Y": n, "X": -n}, "rate", f"B*piecewise(1, X == {n}, 0)"),
        ("B -> A", "rate", "B*piecewise(1, X == 3.5, 0)"),  # never, which is not looked for
    )
    d = fsp.stationary(model, 1e-6, max_states=1000)  # fewer than all
    waiting = d.probability({"S": 0, "A": 0, "C": 0, "B": 1, "X": 0, "Y": n})
    assert d.error.certified
    assert len(d) < 100
    assert 5e-8 / (1.0 + 0.01) * (1.0 - 1e-6) in waiting  # 10⁶ of the 1.01 · 10⁶ s of a round


def test_classes_that_no_reaction_leaves_are_not_taken_for_pockets():
    """S becomes P or Q for good, and P makes X: by the lattice alone the classes would lead to each other."""
    model = network(
        {"S": 2, "P": 0, "Q": 0, "X": 0},
        ("S -> P", "mass_action", 3.0),
        ("S -> Q", "mass_action", 1.0),
        ("P -> P + X", "mass_action", 0.2),
        ("X -> 0", "mass_action", 1.5),
    )
    d = fsp.stationary(model, 1e-8)
    assert d.error.certified
    for n, weight in enumerate((1 / 16, 6 / 16, 9 / 16)):
        assert weight in d.probability(f"P == {n}")
