"""The rational solver: digits of slow modes, its steps, its factorisations, and its residual."""

from __future__ import annotations

import math
from itertools import pairwise

import exact
import mpmath
import numpy as np
import pytest
from scipy import integrate, linalg, special
from solver_cases import bind, box, reachable
from solver_contract import advance
from written_networks import network

import fsp
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.projection.growth import starting_vector
from fsp.solvers import LossLimit, kernels, rational


@pytest.mark.parametrize("tol", [1e-4, 1e-10])
@pytest.mark.parametrize(("fast", "t"), [(1e2, 0.03), (4e5, 18.0), (1e8, 50.0), (1e9, 1e-3)])
@pytest.mark.parametrize("n", [1, 44])
def test_rational_keeps_the_digits_of_slow_modes_beside_fast_ones(n, fast, t, tol):
    """A ⇌ B at rates 8e-4 and `fast`: squaring the small exponential would spoil `fast` · t roundings."""
    model = network({"A": n, "B": 0}, ("A -> B", "mass_action", 8e-4), ("B -> A", "mass_action", fast))
    space = reachable(model)
    with fsp.Rational(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, t)
    truth = exact.isomerization(space.states[:, 1], t, forward=8e-4, backward=fast, start_a=n)
    assert np.abs(truth - step.p).sum() <= step.error + step.rounding + 1e-15
    assert step.error + step.rounding <= 1.5 * tol + 1e-11


@pytest.mark.parametrize("first", [1e-15, 1e-9, 1e-3])
@pytest.mark.parametrize("forward", [1.0, 1e-15])
def test_rational_takes_another_pole_after_a_time_that_is_much_shorter(forward, first):
    """The step to 1 is a last one, shorter than it might be; a pole of the first would cost it 1/`first` roundings."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", forward))
    for d in fsp.transient(model, [first, 1.0], solver="rational"):
        left, stays = math.exp(-forward * d.t), d.probability({"A": 1})
        assert stays.lower <= left <= stays.upper
        assert d.error.total <= 1e-12


@pytest.mark.parametrize("tol", [1e-15, 1e-9])
@pytest.mark.parametrize(
    ("model", "end"),
    [
        (network({"A": 7, "B": 3}, ("A -> B", "mass_action", 1.9), ("A + B -> 2 A", "mass_action", 1.06)), (0, 10)),
        (
            network(
                {"A": 1, "B": 4, "C": 4},
                ("A -> B", "mass_action", 0.95),
                ("A + B -> 2 A", "mass_action", 1.6),
                ("2 C -> A + C", "mass_action", 0.1),
                ("2 A -> 2 C", "mass_action", 0.06),
            ),
            (0, 8, 1),
        ),
    ],
    ids=["epidemic", "epidemic that returns"],
)
def test_rational_ends_in_few_steps_long_after_all_has_come_to_rest(model, end, tol):
    """A tolerance below its own rounding: what the solves leave of the fast vectors must not weigh the slow one."""
    space = reachable(model)
    p = starting_vector(model, space)
    with fsp.Rational(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = propagator.advance(p, 0.0, 2e9, max_products=500)
    p[:] = 0.0
    p[space.index(np.array([end]))] = 1.0
    assert step.t == 2e9
    assert np.abs(step.p - p).sum() <= step.error + step.rounding


LADDER_CHAIN = network(
    {"A": 3, "B": 0, "C": 0},
    ("A -> B", "mass_action", 1e-3),
    ("B -> A", "mass_action", 2e6),
    ("B -> C", "mass_action", 4e7),
    ("C -> B", "mass_action", 0.3),
)


@pytest.mark.parametrize("tol", [1e-3, 1e-9])
@pytest.mark.parametrize("t", [1e-7, 1e-2, 1e3])
def test_rational_on_rates_over_ten_orders_of_magnitude(t, tol):
    space = reachable(LADDER_CHAIN)
    generator = fsp.Generator(LADDER_CHAIN, space)
    p = starting_vector(LADDER_CHAIN, space)
    with fsp.Rational(tol=tol).open(generator) as propagator:
        step = advance(propagator, p, 0.0, t)
    with mpmath.workdps(50):
        A = mpmath.matrix(generator.to_csr().toarray().tolist())
        for j in range(len(p)):  # columns that sum to zero exactly
            A[j, j] -= mpmath.fsum(A[i, j] for i in range(len(p)))
        truth = np.array([float(x) for x in mpmath.expm(A * t) * mpmath.matrix(p.tolist())])
    assert np.abs(truth - step.p).sum() <= step.error + step.rounding + 1e-14
    assert step.error + step.rounding <= 1.5 * tol + 1e-11


def leaking_stiff_chain():
    """A ⇌ B fast, B → B + X slow, X cut off at 4: all of it leaks in the end."""
    model = network(
        {"A": 1, "B": 0, "X": 0},
        ("A -> B", "mass_action", 1e6),
        ("B -> A", "mass_action", 1e6),
        ("B -> B + X", "mass_action", 1.0),
    )
    space = box(model, upper={"A": 1, "B": 1, "X": 4})
    return fsp.Generator(model, space), starting_vector(model, space)


@pytest.mark.parametrize("limit", [LossLimit(1e-9, 0.0), LossLimit(0.0, 1e-5), LossLimit(1e-3, 1e-4)], ids=str)
def test_rational_stops_a_stiff_chain_where_it_would_lose_too_much(limit):
    generator, p = leaking_stiff_chain()
    with fsp.Rational(tol=1e-10).open(generator) as propagator:
        step = advance(propagator, p, 0.0, 100.0, limit=limit)
    assert 0.0 < step.t < 100.0
    assert step.lost.sum() <= limit.at(step.t) + step.error + step.rounding
    assert step.lost.sum() >= 0.3 * limit.at(step.t)  # not long before
    # Half of a Poisson process of rate 1: the chain is in B half of the time.
    assert step.lost.sum() == pytest.approx(special.gammainc(5, 0.5 * step.t), rel=1e-3)
    last = np.array([row[2] == 4 for row in generator.space.states.tolist()])
    assert step.rejected[last].sum() > step.p[last].sum()  # from a later time, where more waits to leave


def test_rational_factorises_as_often_as_its_time_doubles(monkeypatch):
    made = []

    class Counted(rational.ShiftedSystem):
        def __init__(self, matrix, shift, band):
            made.append(shift)
            super().__init__(matrix, shift, band)

    monkeypatch.setattr(rational, "ShiftedSystem", Counted)
    model = network({"A": 30, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1e7))
    space = reachable(model)
    generator = fsp.Generator(model, space)
    counts = []
    for t in (1e-6, 1e-2, 1e4):
        made.clear()
        with fsp.Rational(tol=1e-8).open(generator) as propagator:
            step = advance(propagator, starting_vector(model, space), 0.0, t)
        counts.append(len(made))
        assert step.n_matvec <= 60 * (len(made) + 2)
    assert counts[2] <= math.log(1e4 / 1e-6, rational.LENGTHEN) + 6
    assert all(math.log2(shift) == int(math.log2(shift)) for shift in made)


def test_what_rational_solves_leave_is_in_the_error(monkeypatch):
    class Careless(rational.ShiftedSystem):
        def solve(self, b):
            return super().solve(b) * (1.0 + 1e-7 * np.cos(np.arange(len(b))))

    monkeypatch.setattr(rational, "ShiftedSystem", Careless)
    model = network({"A": 30, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1e4))
    space = reachable(model)
    generator, p = fsp.Generator(model, space), starting_vector(model, space)
    with fsp.Rational(tol=1e-3).open(generator) as propagator:
        step = advance(propagator, p, 0.0, 0.01)
    with fsp.Uniformization(tol=1e-12).open(generator) as propagator:
        exact_step = advance(propagator, p, 0.0, 0.01)
    missed = np.abs(step.p - exact_step.p).sum()
    assert 1e-9 < missed <= step.error + step.rounding + exact_step.error + exact_step.rounding


def rational_step(name="immigration", dimension=12, h=0.7):
    bound = bind(name)
    basis = rational._Basis(rational._ShiftedSystems(bound.generator), (0.0, None), bound.p, dimension)
    basis.gamma, basis._solver = basis.system.pole_for(h, last=False)
    while not basis.complete:
        basis.extend()
    return bound, basis, rational._ExponentialPath(basis, h, 1.0)


@pytest.mark.parametrize("dimension", [6, 9, 14])
def test_the_weights_of_a_rational_step_are_its_residual(dimension):
    """‖y′ − A y‖₁ from y itself is what (β/γ) w·|g| says: equal where the solves are exact, never more."""
    bound, basis, path = rational_step(dimension=dimension)
    H, V = basis.square, basis._V[: basis.size]
    G = (np.eye(basis.size) - np.linalg.inv(H)) / basis.gamma
    weights = basis.weights()
    for u in path.u.T[::7]:
        residual = basis.beta * (V.T @ (G @ u) - bound.closed @ (V.T @ u))
        charged = basis.beta / basis.gamma * float(weights @ np.abs(np.linalg.solve(H, u)))
        assert np.abs(residual).sum() == pytest.approx(charged, rel=1e-5, abs=1e-11)


@pytest.mark.parametrize("dimension", [6, 10])
@pytest.mark.parametrize("chain", ["immigration", "cycle", "gene"])
def test_the_error_of_a_rational_step_covers_the_integral_of_its_residual(chain, dimension):
    _, basis, path = rational_step(chain, dimension)
    H = basis.square
    G = (np.eye(basis.size) - np.linalg.inv(H)) / basis.gamma
    weights, total = basis.weights(), 0.0
    for i, (a, b) in enumerate(pairwise(path.times)):
        fine = np.array([np.abs(np.linalg.solve(H, linalg.expm(s * G)[:, 0])) for s in np.linspace(a, b, 17)])
        total += basis.beta / basis.gamma * integrate.trapezoid(fine @ weights, dx=(b - a) / 16)
        assert total <= path.errors[i + 1] * (1.0 + 1e-3) + 1e-13
    assert path.errors[-1] <= 1.5 * total + 1e-12


@pytest.mark.parametrize("h", [1e-3, 0.7, 30.0])
@pytest.mark.parametrize("dimension", [6, 10, 20])
@pytest.mark.parametrize("chain", ["immigration", "cycle", "gene"])
def test_the_rounding_of_a_rational_step_holds_that_of_each_of_its_sums(chain, dimension, h):
    """Of the solves, whose residuals round as they are taken, and of the sum over the basis at the end."""
    _, basis, path = rational_step(chain, dimension, h)
    H, n = basis.square, basis.size
    norms = np.abs(basis._V[:n]).sum(axis=1)
    np.testing.assert_allclose(basis.norms[:n], norms, rtol=1e-12)
    g = np.abs(np.linalg.solve(H, path.u))
    at_points = basis.terms[:n] @ g * basis.beta / basis.gamma
    solves = integrate.cumulative_trapezoid(at_points, path.times, initial=0.0) * (basis.system.roundings + n)
    sums = n * basis.beta * (norms @ np.abs(path.u))
    assert (path.roundings >= UNIT_ROUNDOFF * (0.99 * solves + sums)).all()
    assert (np.diff(path.roundings) >= 0.0).all()


def test_what_a_rational_step_clips_is_in_its_error(monkeypatch):
    clip = kernels.clip
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    bound = bind("immigration")
    with fsp.Rational(1e-6).open(bound.generator) as propagator:
        assert propagator.advance(bound.p, 0.0, 0.1).error >= 0.25
