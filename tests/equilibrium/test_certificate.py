"""The functions that a stationary certificate hangs on, held against rational numbers."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stationary_cases import CASES

import fsp
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.chains.hitting_times import Factorised
from fsp.equilibrium import certificate
from fsp.equilibrium.certificate import (
    SUM_SLACK,
    Boundary,
    _drift,
    boundary_of,
    certify,
    hitting_times,
    lifted,
    rate_outside,
    roundings,
    stopped_at,
)
from fsp.model.echelon import echelon
from fsp.moments.lyapunov import _LyapunovSearch, drift_condition

rationals = np.vectorize(Fraction, otypes=[object])


def ring(random, n, decades):
    """Return the generator of n states in a ring, with a way back at each and rates over some decades, that leaks."""
    rates = (10.0 ** random.uniform(-decades, decades, (2, n))).tolist()
    steps = [(1, rates[0]), (-1, rates[1])]
    species = {f"S{i}": int(i == 0) for i in range(n)}
    reactions = [
        fsp.Reaction(f"S{i} -> S{(i + step) % n}", mass_action=rate[i]) for step, rate in steps for i in range(n)
    ]
    reactions.append(fsp.Reaction("S1 -> S1 + X", mass_action=rates[0][2]))
    model = fsp.Model(species=species | {"X": 0}, reactions=reactions)
    return fsp.Generator(model, fsp.StateSpace.reachable(model, ["X == 0"]))


def drifts(generator, boundary, here, inside, beyond):
    """Return ``-Σ a(x) (f(target) - f(x))`` and ``Σ a(x) (|f(target)| + |f(x)|)``, rationals of (n,), jump by jump."""
    drift, size = [[Fraction(0)] * len(here) for _ in range(2)]
    matrix = generator.to_csr().tocoo()
    jumps = [
        (a, x, inside[target]) for target, x, a in zip(matrix.row, matrix.col, matrix.data, strict=True) if target != x
    ]
    jumps += zip(boundary.rates, boundary.sources, beyond, strict=True)
    for rate, x, value in jumps:
        step = Fraction(rate) * (Fraction(value) - Fraction(here[x]))
        drift[x] -= step
        size[x] += Fraction(rate) * (abs(Fraction(value)) + abs(Fraction(here[x])))
    return np.array(drift), np.array(size)


@settings(max_examples=40)
@given(st.integers(3, 6), st.integers(0, 10**6))
def test_a_drift_is_no_larger_than_it_is(n, seed):
    """Also where what jumps inside and what jumps out cancel to the last digits."""
    random = np.random.default_rng(seed)
    generator = ring(random, n, 3)
    (leak,) = generator.leaks
    here, inside = 10.0 ** random.uniform(-3, 8, (2, len(generator)))
    boundary = Boundary(leak.sources, leak.rates, np.ones(1), here, leak.sources, 0.0)
    exact, _ = drifts(generator, boundary, here, inside, np.zeros(1))
    (x,) = leak.sources
    # the value beyond at which the drift at x is about 1e-12 of its parts
    without = exact[x] - Fraction(leak.rates[0]) * Fraction(here[x])
    beyond = np.array([float(-without / Fraction(leak.rates[0]) * (1 - Fraction(random.uniform(0.0, 1e-14))))]) * -1.0
    exact, size = drifts(generator, boundary, here, inside, beyond)
    found = [_drift(generator, boundary, here, inside, beyond, chosen) for chosen in np.eye(len(generator), dtype=bool)]
    assert (exact - Fraction(1, 10**13) * size <= rationals(found)).all()
    assert (rationals(found) <= exact).all()
    everywhere = np.ones(len(generator), dtype=bool)
    assert _drift(generator, boundary, here, inside, beyond, everywhere) == min(found)


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_a_lift_is_what_is_needed_and_hardly_more(n, seed):
    random = np.random.default_rng(seed)
    solved, outer = 10.0 ** random.uniform(-3, 6, (2, n))
    leaving = 1.0 - 10.0 ** random.uniform(-9, 0, n)  # nearer to one, rounding hides the room that is left
    alpha = lifted(solved, leaving, outer)
    v, q, w = rationals(solved), rationals(leaving), rationals(outer)
    needed = max(0, *((v - w) / (1 - q)))
    assert (v + Fraction(alpha) * q <= Fraction(alpha) + w).all()
    assert needed <= alpha <= needed * Fraction(1 + 2e-6)
    assert lifted(solved, np.append(leaving[1:], 1.0), outer) is None  # from there nothing comes back


@settings(max_examples=100)
@given(st.integers(1, 3), st.floats(-16.0, -8.0), st.integers(0, 10**6))
def test_a_lift_whose_room_is_rounded_away_is_none(n, near, seed):
    random = np.random.default_rng(seed)
    solved, outer = 10.0 ** random.uniform(-3, 6, (2, n))
    leaving = 1.0 - 10.0 ** np.full(n, near)
    alpha = lifted(solved, leaving, outer)
    if alpha is not None:
        room = (Fraction(alpha) + rationals(outer)) * (1 - Fraction(UNIT_ROUNDOFF))  # of which 4 roundings are left
        assert (rationals(solved) + Fraction(alpha) * rationals(leaving) <= room).all()


def mean_times(generator, z):
    """Return mean times to z or out of the space, and probabilities of leaving first, rationals of (n,); 0 at z."""
    matrix = generator.to_csr().toarray()
    n = len(matrix)
    leaks = [Fraction(0)] * n
    for leak in generator.leaks:
        for x, rate in zip(leak.sources, leak.rates, strict=True):
            leaks[x] += Fraction(rate)
    others = [x for x in range(n) if x != z]
    exits = [sum(Fraction(matrix[i, j]) for i in range(n) if i != j) + leaks[j] for j in range(n)]
    solutions = []
    for right in ([Fraction(1)] * n, leaks):
        rows = [[exits[x] if i == x else -Fraction(matrix[i, x]) for i in others] + [right[x]] for x in others]
        solution = dict(zip(others, (row[-1] for row in echelon(rows, n - 1)[0]), strict=True))
        solutions.append([solution.get(x, Fraction(0)) for x in range(n)])
    return map(np.array, solutions)


@settings(max_examples=25)
@given(st.integers(3, 6), st.integers(0, 10**6))
def test_mean_times_are_above_the_exact_ones_whatever_the_rates(n, seed):
    random = np.random.default_rng(seed)
    generator = ring(random, n, 4)
    (leak,) = generator.leaks
    z = int(random.integers(n))
    beyond = np.array([10.0 ** random.uniform(-3, 3)])
    for eliminate in (False, True):
        boundary = Boundary(leak.sources, leak.rates, beyond, np.full(n, np.inf), leak.sources[:0], 0.0)
        times = hitting_times(generator, stopped_at(generator, z, eliminate), boundary, z)
        if times is None:
            assert not eliminate
            continue
        mean, leaving = mean_times(generator, z)
        exact = mean + leaving * Fraction(beyond[0])
        assert (rationals(times.inside) * (1 + Fraction(SUM_SLACK)) >= exact).all()
        assert (rationals(times.leaving) >= leaving * (1 - Fraction(SUM_SLACK))).all()
        assert times.beyond[0] >= beyond[0]
        if eliminate:
            assert (times.inside <= exact.astype(float) * (1.0 + 1e-6) + 1e-200).all()
            assert (times.leaving <= leaving.astype(float) * (1.0 + 1e-6) + 1e-200).all()


def height(condition, state):
    """Return the function of a drift condition at a state, in rationals."""
    total = Fraction(0)
    for alpha, c in condition.function.items():
        parts = zip((state - condition.centre).tolist(), alpha, strict=True)
        total += Fraction(c) * math.prod(x - k for x, n in parts for k in range(n))
    return total


def boxed(name, top):
    """Return the generator of a case in a box, and its jumps out with the heights of its drift condition."""
    model = CASES[name].model
    names = np.array(model.species)[model.species_bounds > 99]
    space = fsp.StateSpace.box(model, dict.fromkeys(names.tolist(), top))
    laws = model.conservation_laws
    kept = (space.states @ laws.T == model.initial_states @ laws.T).all(axis=1)
    generator = fsp.Generator(model, space.restrict(kept))
    condition = drift_condition(model)
    assert rate_outside(condition, generator) > 0.0
    return generator, boundary_of(generator, condition)


INFINITE = ["immigration-death", "two-stage product", "telegraph, slow", "pairs", "Schloegl"]


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.parametrize("top", [25, 40])
def test_the_outer_function_falls_at_all_states_that_are_not_excepted(name, top):
    generator, boundary = boxed(name, top)
    drift, size = drifts(generator, boundary, boundary.within, boundary.within, boundary.beyond)
    falls = drift + Fraction(boundary.slack) * size >= 1
    excepted = np.zeros(len(generator), dtype=bool)
    excepted[boundary.excepted] = True
    assert (falls | excepted).all()


@pytest.mark.parametrize("name", INFINITE)
@pytest.mark.parametrize("top", [25, 40])
@pytest.mark.parametrize("eliminate", [False, True])
def test_the_glued_function_falls_at_all_stored_states(name, top, eliminate):
    """Inequality (1), in rational numbers, by single jumps; around states of any probability."""
    generator, boundary = boxed(name, top)
    for z in np.random.default_rng(top).integers(0, len(generator), 3).tolist():
        system = stopped_at(generator, z, eliminate)
        times = hitting_times(generator, system, boundary, z)
        if times is None:
            continue
        drift, size = drifts(generator, boundary, times.inside, times.inside, times.beyond)
        room = boundary.slack
        if eliminate:  # the exact function lies below, so near
            room += 2.0 * (system.relative + boundary.slack + roundings(generator))
        others = np.arange(len(generator)) != z
        assert (drift + Fraction(room) * size >= 1)[others].all()
        assert name != "immigration-death" or (times.leaving[others] < 1.0).any()  # else nothing is proved of it


@pytest.mark.parametrize("name", ["two-stage product", "immigration-death"])
def test_heights_are_those_of_the_function_within_the_slack(name):
    """A quadratic form around the mean is a difference of larger terms, whose roundings its precision counts."""
    model = CASES[name].model
    (quadratic,) = _LyapunovSearch(model).quadratic()
    space = fsp.StateSpace.box(model, dict.fromkeys(model.species, 60))
    generator = fsp.Generator(model, space)
    for condition in (drift_condition(model), quadratic):
        boundary = boundary_of(generator, condition)
        gamma = Fraction(rate_outside(condition, generator))
        assert boundary.slack >= 2.0 * condition.precision
        for state, within in list(zip(space.states, boundary.within, strict=True))[::7]:
            exact = height(condition, state) / gamma
            assert abs(Fraction(within) - exact) <= Fraction(boundary.slack) * exact


@pytest.mark.parametrize("name", [name for name in INFINITE if name != "pairs"])
@pytest.mark.parametrize("eliminate", [False, True])
def test_the_outer_function_is_rounded_up(name, eliminate):
    """At targets of jumps out; at stored states the inner one is smaller."""
    generator, boundary = boxed(name, 40)
    condition = drift_condition(CASES[name].model)
    gamma = Fraction(rate_outside(condition, generator))
    targets = np.concatenate([generator.space.states_at(leak.sources) + leak.change for leak in generator.leaks])
    for z in np.random.default_rng(7).integers(0, len(generator), 3).tolist():
        times = hitting_times(generator, stopped_at(generator, z, eliminate), boundary, z)
        if times is None:
            continue
        outside = times.scale * (times.lift + condition.values(targets) / float(gamma))
        assert (outside >= times.beyond * (1.0 - 8.0 * UNIT_ROUNDOFF)).all()
        scale = Fraction(times.scale) / (1 + Fraction(boundary.slack)) * (1 - Fraction(8 * UNIT_ROUNDOFF))
        for state, beyond in zip(targets, times.beyond, strict=True):
            assert Fraction(beyond) >= scale * (Fraction(times.lift) + height(condition, state) / gamma)


CARELESS = {
    "exact": lambda y, random: y,
    "any way": lambda y, random: y * (1.0 + 1e-7 * random.uniform(-1.0, 1.0, len(y))),
    "all too large": lambda y, random: y * (1.0 + 1e-5),
    "all too small": lambda y, random: y * (1.0 - 1e-5),
    "rare ones": lambda y, random: np.where(y < 1e-6 * y.max(), y * random.uniform(0.5, 1.5, len(y)), y),
    "a rare one": lambda y, random: np.where(y == y[y > 1e-8 * y.max()].min(), 3.0 * y, y),
}


@pytest.mark.parametrize("name", [name for name in INFINITE if name != "pairs"])
@pytest.mark.parametrize("how", CARELESS)
@pytest.mark.parametrize("by", [1, 2])
def test_bounds_hold_however_well_the_equations_were_solved(name, how, by, monkeypatch):
    """Inequality (2) holds for any y, and all that follows from it: y, or what bounds single states, is taken wrong."""
    calls, random = [], np.random.default_rng(3)

    class Careless(Factorised):
        def _refined(self, matrix, right, side):
            if side == "N":
                calls.append(side)
            solution = super()._refined(matrix, right, side)
            return CARELESS[how](solution, random) if len(calls) == by and side == "N" else solution

    monkeypatch.setattr(certificate, "Factorised", Careless)
    case, (generator, _) = CASES[name], boxed(name, 40)
    condition, law = drift_condition(case.model), case.law(generator.space.states)
    for z in np.argsort(-law)[[0, 1, 30]].tolist():
        calls.clear()
        found = certificate.certify(generator, z, condition)
        assert len(calls) == 2
        assert (found.lower <= law * (1.0 + 1e-13)).all()
        assert (law <= found.upper * (1.0 + 1e-13)).all()
        missed = np.abs(law - found.p).sum() + max(0.0, 1.0 - law.sum())
        assert missed <= found.total + 1e-13
        if how == "exact":
            assert (found.upper - found.lower).sum() <= 3.0 * found.total + 1e-7


def test_errors_of_rates_are_part_of_all_roundings():
    """A formula whose value may be off by more than its last digits, as it is a small difference."""
    birth = fsp.Reaction("0 -> X", rate="exp(0.1*X) - 0.999999")
    model = fsp.Model(species={"X": 0}, reactions=[birth, fsp.Reaction("X -> 0", mass_action=1.0)])
    generator = fsp.Generator(model, fsp.StateSpace.box(model, {"X": 30}))
    sums = UNIT_ROUNDOFF * (generator.operations + model.n_reactions)  # a product for each jump, and their sum
    worst = generator.rate_errors.worst
    assert worst > 1e-12
    assert sums + worst <= roundings(generator) <= sums + worst + 8.0 * UNIT_ROUNDOFF


@pytest.mark.parametrize(("n", "valley", "told"), [(240, 112, False), (20, 3, True)])
def test_times_that_no_double_holds_are_no_heights(n, valley, told):
    """Out of a valley 10^336 deep: what is not finite is no function that falls."""
    up = f"piecewise(0, Z == 0, piecewise(1, X < {valley}, 1000))"
    down = f"piecewise(0, X == 0, piecewise(1000, X <= {valley}, 1))"
    reactions = [fsp.Reaction("Z -> X", rate=up), fsp.Reaction("X -> Z", rate=down)]
    model = fsp.Model(species={"X": 0, "Z": n}, reactions=reactions)
    generator = fsp.Generator(model, fsp.StateSpace.reachable(model))
    z = int(np.argmax(generator.space.states[:, 0]))
    system = stopped_at(generator, z, eliminate=False)
    assert (hitting_times(generator, system, boundary_of(generator, None), z) is not None) is told
    assert (certify(generator, z, None) is not None) is told
