"""Integrators keep their contract (tests/solver_contract.py), and each does what its own mathematics says."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from itertools import pairwise

import exact
import mpmath
import numpy as np
import pytest
import solver_contract
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, linalg, sparse, special
from solver_contract import CHAINS, advance
from written_networks import network

import fsp
from fsp.generator import generator as of_generator
from fsp.generator import operator as of_operator
from fsp.generator.operator import RunOperator
from fsp.generator.slices import of_rows
from fsp.projection.growth import starting_vector
from fsp.solvers import (
    NO_LIMIT,
    SOLVERS,
    Advance,
    Chooser,
    LossLimit,
    base,
    chebyshev,
    kernels,
    krylov,
    linear,
    rational,
    small_exponential,
    small_exponential_kernels,
)
from fsp.solvers.collocation import radau
from fsp.solvers.poisson import poisson_window

UNIT = 2.0**-53


box, reachable = fsp.StateSpace.box, fsp.StateSpace.reachable
NAMES = list(SOLVERS.values())
SETTINGS = {
    **{name: make() for name, make in SOLVERS.items()},
    "krylov-small": fsp.Krylov(dimension=6),
    "krylov-full": fsp.Krylov(dimension=20, orthogonalization=20),
    "rational-small": fsp.Rational(dimension=12),
    "implicit-3": fsp.Implicit(stages=3),
    "implicit-11": fsp.Implicit(stages=11),
}
solvers = pytest.mark.parametrize("solver", SETTINGS.values(), ids=SETTINGS.keys())
classes = pytest.mark.parametrize("make", NAMES, ids=lambda make: make.__name__)
chains = pytest.mark.parametrize("chain", CHAINS)
corners = pytest.mark.parametrize("corner", solver_contract.CORNERS, ids=lambda corner: corner.__name__)
bind = solver_contract.Binder()


# ---- the contract -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "tol"),
    [
        (name, tol)
        for name, solver in SETTINGS.items()
        for tol in solver_contract.tolerances(type(solver))
        if (name, tol) != ("implicit-3", 1e-11)
    ],
)
@chains
def test_true_error_is_within_the_reported_bound(name, tol, chain):
    solver_contract.true_error_is_within_the_reported_bound(bind, chain, SETTINGS[name], tol)


@solvers
@chains
def test_probabilities_are_not_negative_and_mass_is_kept(solver, chain):
    tol = solver_contract.tolerances(type(solver))[1]
    solver_contract.probabilities_are_not_negative_and_mass_is_kept(bind, chain, solver, tol)


@classes
@chains
def test_two_halves_are_the_whole(make, chain):
    solver_contract.two_halves_are_the_whole(bind, chain, make(), solver_contract.tolerances(make)[1])


@solvers
@pytest.mark.parametrize("limit", solver_contract.LIMITS, ids=str)
@pytest.mark.parametrize("chain", solver_contract.LEAKY)
def test_the_loss_limit_is_kept_at_the_time_reached(solver, limit, chain):
    tol = solver_contract.tolerances(type(solver))[1]
    solver_contract.the_loss_limit_is_kept_at_the_time_reached(bind, chain, solver, limit, tol)


@classes
@corners
def test_corners_of_the_contract(make, corner):
    corner(bind, make, 1e-9 if make().certified else solver_contract.tolerances(make)[1])


@pytest.mark.parametrize("fast", [1e3, 1e6])
def test_stiff_switch(fast):
    """A ⇌ B at rates 1 and `fast`: two time scales, one closed form."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", fast))
    space = reachable(model)
    with fsp.Implicit(tol=1e-10).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 100.0)
    b = -math.expm1(-(1.0 + fast) * 100.0) / (1.0 + fast)
    found = dict(zip(map(tuple, space.states.tolist()), step.p, strict=True))
    assert abs(found[0, 1] - b) + abs(found[1, 0] - (1.0 - b)) <= step.error + step.rounding
    assert step.error <= 1.5e-10
    assert step.n_matvec < 5000  # explicit methods need 100 * fast


def test_implicit_meets_slow_and_fast_in_one_chain():
    """A ⇌ B fast, B → C slow: C fills at the slow rate times the share of B."""
    fast, slow = 1e5, 1.0
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", fast),
        ("B -> A", "mass_action", fast),
        ("B -> C", "mass_action", slow),
    )
    space = reachable(model)
    with fsp.Implicit(tol=1e-9).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 2.0)
    with mpmath.workdps(40):
        A = mpmath.matrix([[-fast, fast, 0], [fast, -fast - slow, 0], [0, slow, 0]])
        truth = mpmath.expm(A * 2) * mpmath.matrix([1, 0, 0])
    gap = sum(abs(float(truth[int(np.argmax(s))]) - q) for s, q in zip(space.states, step.p, strict=True))
    assert gap <= step.error + step.rounding


def test_a_tolerance_below_rounding_is_charged_and_not_crawled_to():
    """Rounding of A u, at 1e7 per unit of time, hides residuals below 1e-9: what can be seen is charged, soon."""
    model = network({"A": 1, "B": 0}, ("A -> B", "mass_action", 1e7), ("B -> A", "mass_action", 2e7))
    space = reachable(model)
    with fsp.Implicit(tol=1e-13).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 10.0)
    assert step.n_matvec < 10_000
    found = dict(zip(space.states[:, 0].tolist(), step.p, strict=True))
    assert abs(found[1] - 2.0 / 3.0) + abs(found[0] - 1.0 / 3.0) <= step.error + step.rounding
    assert 1e-13 < step.error + step.rounding < 1e-5


# ---- solver values ----------------------------------------------------------------------------------------


@classes
def test_a_solver_is_a_frozen_value(make):
    solver = make(tol=1e-5)
    assert solver == make(tol=1e-5)
    assert hash(solver) == hash(make(tol=1e-5))
    assert repr(solver).startswith(f"{make.__name__}(tol=1e-05")
    with pytest.raises((FrozenInstanceError, AttributeError)):
        solver.tol = 1.0


@pytest.mark.parametrize(
    ("make", "options", "name"),
    [
        *((make, {"tol": tol}, "tol") for make in NAMES for tol in (0.0, -1e-6, math.nan)),
        (fsp.Krylov, {"dimension": 1}, "dimension"),
        (fsp.Krylov, {"dimension": -5}, "dimension"),
        (fsp.Krylov, {"orthogonalization": 1}, "orthogonalization"),
        (fsp.Implicit, {"stages": 1}, "stages"),
        (fsp.Implicit, {"stages": 12}, "stages"),
    ],
)
def test_bad_parameters_are_refused(make, options, name):
    with pytest.raises(fsp.ArgumentError, match=f"`{name}`.*{next(iter(options.values()))}"):
        make(**options)


@pytest.mark.parametrize("make", [fsp.Uniformization, fsp.Krylov])
def test_time_in_a_rate_is_refused_by_those_who_cannot_treat_it(make):
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"))
    generator = fsp.Generator(model, box(model, upper={"X": 9}))
    with pytest.raises(fsp.BackendError, match=r"depend on time.*solver='implicit'"), make().open(generator):
        pass


def test_every_solver_has_a_name():
    known = {"uniformization", "krylov", "chebyshev", "rational", "squaring", "implicit", "magnus"}
    assert known <= set(SOLVERS)
    assert all(SOLVERS[name]().certified for name in known)
    for name, make in SOLVERS.items():
        assert make.__name__.lower() == make.name() == name
        assert getattr(fsp, make.__name__) is make
        assert make.__name__ in fsp.__all__


def test_auto_says_what_it_takes_and_why():
    bound = bind("immigration")
    choice = Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0)
    assert type(choice.solver) in NAMES
    assert choice.solver.tol == 1e-7
    assert choice.reason.startswith("auto: ")
    assert all(name in choice.reason for name in ("uniformization", "krylov", "chebyshev", "rational", "squaring"))


def test_auto_takes_the_rational_solver_where_the_chain_is_stiff():
    model = network({"A": 600, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 1e7))
    generator = fsp.Generator(model, reachable(model))
    assert isinstance(Chooser("auto", 1e-7, SOLVERS).choose(generator, 100.0).solver, fsp.Rational)
    assert not isinstance(Chooser("auto", 1e-7, SOLVERS).choose(generator, 1e-9).solver, fsp.Rational)


def test_auto_takes_the_implicit_solver_where_rates_depend_on_time():
    model = network({"X": 0}, ("0 -> X", "rate", "1 + sin(time)"))
    generator = fsp.Generator(model, box(model, upper={"X": 9}))
    choice = Chooser("auto", 1e-7, SOLVERS).choose(generator, 1.0)
    assert isinstance(choice.solver, fsp.Implicit)
    assert "time" in choice.reason


# ---- propensities that depend on time ---------------------------------------------------------------------


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
@pytest.mark.parametrize("t", [0.7, 4.0])
def test_inhomogeneous_immigration_is_poisson(tol, t):
    """0 → X at k(t) = 3 (1 + sin 2t), X → 0 at rate 1: Poisson, mean m' = k − m, for any k."""
    model = network({"X": 0}, ("0 -> X", "rate", "3*(1 + sin(2*time))"), ("X -> 0", "mass_action", 1.0))
    space = box(model, upper={"X": 40})
    with fsp.Implicit(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, t)
    mean = 3 * (-math.expm1(-t)) + 3 * (math.sin(2 * t) - 2 * math.cos(2 * t) + 2 * math.exp(-t)) / 5
    gap = np.abs(step.p - exact.poisson(np.arange(41), mean)).sum()
    assert gap <= 10.0 * tol  # the error is sampled, not bounded
    assert step.error <= 1.5 * tol


def test_inhomogeneous_switch():
    """A → B at 1 + cos t, B → A at 1 − cos t: a' = 1 − cos t − 2a."""
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", "A*(1 + cos(time))"), ("B -> A", "rate", "B*(1 - cos(time))"))
    space = reachable(model)
    with fsp.Implicit(tol=1e-9).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 3.0)
    a = 0.5 - (2 * math.cos(3.0) + math.sin(3.0)) / 5 + 0.9 * math.exp(-6.0)
    found = dict(zip(map(tuple, space.states.tolist()), step.p, strict=True))
    assert abs(found[1, 0] - a) + abs(found[0, 1] - 1 + a) <= 1e-8


def test_the_clock_of_a_rate_starts_where_the_advance_does():
    """A → B at 2t from t = 1 to 2: exp(−(4 − 1))."""
    model = network({"A": 1, "B": 0}, ("A -> B", "rate", "2*time*A"))
    space = reachable(model)
    with fsp.Implicit(tol=1e-10).open(fsp.Generator(model, space, 1.0)) as propagator:
        step = advance(propagator, starting_vector(model, space), 1.0, 2.0)
    assert step.p[space.index([1, 0])] == pytest.approx(math.exp(-3.0), abs=1e-9)


# ---- uniformization ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tail", [1e-3, 1e-16])
@pytest.mark.parametrize("mean", [0.1, 1.0, 10.0, 1e3, 1e5])
def test_poisson_weights_are_exact_and_lie_below_the_law(mean, tail):
    first, weights = poisson_window(mean, tail)
    rounding = 4 * UNIT * (len(weights) + 10)
    assert weights.sum() == pytest.approx(1.0 - tail, rel=rounding)
    with mpmath.workdps(40):
        for j in np.unique(np.linspace(0, len(weights) - 1, 40).astype(int)):
            k = first + int(j)
            truth = mpmath.exp(-mpmath.mpf(mean) + k * mpmath.log(mpmath.mpf(mean)) - mpmath.loggamma(k + 1))
            ratio = float(mpmath.mpf(float(weights[j])) / truth) if truth > 1e-300 else 1.0
            assert 1.0 - tail - rounding <= ratio <= 1.0 + rounding


@pytest.mark.parametrize("tail", [1e-6, 1e-16])
@pytest.mark.parametrize("mean", [0.0, 1e-12, 0.1, 745.0, 1e4, 1e7])
def test_poisson_weights_do_not_overflow(mean, tail):
    first, weights = poisson_window(mean, tail)
    assert np.isfinite(weights).all()
    assert (weights >= 0.0).all()
    assert weights.sum() == pytest.approx(1.0 - tail, abs=1e-12)
    assert first <= mean <= first + len(weights)
    assert len(weights) <= 25.0 * math.sqrt(mean) + 60.0


def test_uniformization_needs_about_as_many_products_as_jumps():
    bound = bind("gene")
    jumps = float(bound.generator.exit_rates.max()) * bound.t
    with fsp.Uniformization(tol=1e-8).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t)
    assert jumps <= step.n_matvec <= jumps + 8.0 * math.sqrt(jumps) + 20.0


def test_uniformization_lies_below_the_truth():
    bound = bind("gene")
    with fsp.Uniformization(tol=1e-5).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t)
    gap = bound.flow(bound.p, bound.t)[: len(bound.p)] - step.p
    assert gap.min() >= -step.rounding - bound.slack(bound.t)
    assert 0.0 < gap.sum() <= step.error + step.rounding + bound.slack(bound.t)


def test_uniformization_stops_where_the_powers_have_settled():
    """A ⇌ B of 20 molecules for 1e5 relaxation times: binomial, after few of the 2 million products."""
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 0.6), ("B -> A", "mass_action", 0.4))
    space = reachable(model)
    generator = fsp.Generator(model, space)
    with fsp.Uniformization(tol=1e-9).open(generator) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, 1e5)
    assert step.t == 1e5
    assert step.n_matvec < 0.01 * generator.exit_rates.max() * 1e5
    truth = exact.isomerization(space.states[:, 1], np.inf, forward=0.6, backward=0.4, start_a=20)
    assert np.abs(step.p - truth).sum() <= step.error + step.rounding + 1e-14
    assert step.error <= 1.5e-9


@pytest.mark.parametrize(("t", "tol"), [(10.0, 0.5), (20.0, 1e-2), (30.0, 1e-6)])
def test_settling_before_the_first_weight_is_paid_for(t, tol):
    """One jump at rate 1 into an absorbing state: the powers settle at once, but e^(−t) have not jumped."""
    model = network({"X": 1}, ("X -> 0", "mass_action", 1.0))
    space = reachable(model)
    with fsp.Uniformization(tol=tol).open(fsp.Generator(model, space)) as propagator:
        step = advance(propagator, starting_vector(model, space), 0.0, t)
    found = dict(zip(space.states[:, 0].tolist(), step.p, strict=True))
    gap = abs(found[1] - math.exp(-t)) + abs(found[0] + math.expm1(-t))
    assert gap <= step.error + step.rounding + 1e-16


# ---- forms of the operator --------------------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [0, 1000])
@pytest.mark.parametrize("make", [fsp.Uniformization, fsp.Krylov, fsp.Chebyshev])
@chains
def test_runs_and_rows_give_the_same_answer(make, chain, compiled, monkeypatch):
    """The loops in compiled code on rows and on runs and the loop over products are the same method."""
    bound = bind(chain)
    with make().open(bound.generator) as propagator:
        rows = advance(propagator, bound.p, 0.0, bound.t, 1e-8)
    monkeypatch.setattr(of_generator, "RUN_STATES", 0)
    monkeypatch.setattr(of_generator, "SHORT", 0.0)
    monkeypatch.setattr(of_operator, "COMPILED_STATES", compiled)
    generator = fsp.Generator(bound.generator.model, bound.generator.space)
    assert isinstance(generator.operator, RunOperator)
    assert (generator.operator.compiled is None) == (compiled == 0)
    with make().open(generator) as propagator:
        runs = advance(propagator, bound.p, 0.0, bound.t, 1e-8)
    gap = np.abs(rows.p - runs.p).sum() + np.abs(rows.lost - runs.lost).sum()
    assert gap <= rows.error + rows.rounding + runs.error + runs.rounding
    assert abs(rows.n_matvec - runs.n_matvec) <= 1
    assert runs.error <= 1e-8


@pytest.mark.parametrize("limit", [NO_LIMIT, LossLimit(1e-5, 0.0)])
def test_a_krylov_basis_ends_where_the_step_does(limit, monkeypatch):
    model = network({"X": 0, "Y": 0}, ("0 -> X", "mass_action", 8.0), ("X -> Y", "mass_action", 1.0))
    generator = fsp.Generator(model, box(model, upper=(8, 8)))
    p = starting_vector(model, generator.space)
    steps = []
    for work in (np.inf, 0.0):
        monkeypatch.setattr(krylov, "LOOK_WORK", work)
        with fsp.Krylov(1e-9).open(generator) as propagator:
            steps.append(propagator.advance(p, 0.0, 0.25, limit=limit))
    whole, looked = steps
    assert looked.n_matvec <= 0.7 * whole.n_matvec
    assert (looked.rejected is None) == (limit is NO_LIMIT)
    truth = linalg.expm(looked.t * generator.with_sinks.toarray())[: len(p), : len(p)] @ p
    assert np.abs(looked.p - truth).sum() <= looked.error + looked.rounding
    assert looked.lost.sum() <= limit.at(looked.t)


@pytest.mark.parametrize("make", [fsp.Uniformization, fsp.Krylov, fsp.Chebyshev])
def test_long_steps_say_how_far_they_are(make, monkeypatch):
    monkeypatch.setattr(of_generator, "RUN_STATES", 0)
    monkeypatch.setattr(of_generator, "SHORT", 0.0)
    monkeypatch.setattr(of_operator, "COMPILED_STATES", 0)
    monkeypatch.setattr(base, "REPORT_WORK", 1.0)
    bound = bind("immigration")
    generator = fsp.Generator(bound.generator.model, bound.generator.space)
    heard = []
    with make().open(generator) as propagator:
        step = propagator.advance(bound.p, 0.5, 0.5 + bound.t, tol=1e-8, pulse=heard.append)
    assert len(heard) >= 0.5 * step.n_matvec > 1
    assert all(0.5 <= t <= 0.5 + bound.t for t in heard)


def test_auto_takes_no_basis_that_does_not_fit():
    bound = bind("immigration")
    assert "krylov" in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(krylov, "BASIS_BYTES", 100)
        assert "krylov" not in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason


@pytest.mark.parametrize("x", [1e-3, 0.5, 16.0, 700.0, 2e4])
def test_chebyshev_weights_are_bessel_functions(x):
    weights, hit = chebyshev._weights(x, 5000)
    k = np.arange(len(weights))
    expected = special.ive(k, x)
    np.testing.assert_allclose(weights, np.where(k == 0, 1.0, 2.0) * expected, rtol=1e-9, atol=1e-300)
    assert hit[0] == pytest.approx(1.0, rel=1e-12)
    assert (np.diff(hit) <= 0.0).all()
    # the integral of e^{-u} I_k(u) over [0, x] is at most x h_k(x)
    for order in (0, 1, len(k) // 3):
        integral, _ = integrate.quad(lambda u, order=order: special.ive(order, u), 0.0, x, limit=400)
        assert integral <= x * hit[order] * (1.0 + 1e-9)


@pytest.mark.parametrize("degree", [19, 0])
def test_a_chebyshev_degree_that_is_too_small_is_refused(degree):
    with pytest.raises(fsp.ArgumentError, match=rf"degree.*20.*{degree}"):
        fsp.Chebyshev(degree=degree)


# ---- kernels ----------------------------------------------------------------------------------------------


def random_generator(rng, n):
    A = sparse.lil_array(np.where(rng.random((n, n)) < 0.2, rng.random((n, n)), 0.0))
    A.setdiag(0.0)
    A = A.tocsr()
    A = (A - sparse.diags_array(A.sum(axis=0))).tocsr()
    A.sort_indices()
    return A


@pytest.mark.parametrize("depth", [2, 4, 12])
def test_arnoldi_relation_holds_for_any_depth(rng, depth):
    n, m = 60, 12
    A = random_generator(rng, n)
    V, H = np.empty((m + 1, n)), np.zeros((m + 1, m))
    V[0] = rng.random(n)
    V[0] /= np.linalg.norm(V[0])
    assert kernels.arnoldi(of_rows(A), V, H, depth, 0, m) == m
    scale = np.abs(A.toarray()).sum(axis=0).max()
    np.testing.assert_allclose(A @ V[:m].T, V.T @ H, atol=1e-13 * scale)
    np.testing.assert_allclose(np.linalg.norm(V, axis=1), 1.0, rtol=1e-13)
    assert not np.tril(H, -2).any()
    overlap = V @ V.T - np.eye(m + 1)
    near = np.abs(np.subtract.outer(np.arange(m + 1), np.arange(m + 1))) < depth
    assert np.abs(overlap[near]).max() < 1e-10


def test_arnoldi_stops_at_an_invariant_subspace():
    A = sparse.csr_array(np.array([[-1.0, 0.0, 0.0], [1.0, -2.0, 0.0], [0.0, 2.0, 0.0]]))
    for start, size in [([0.0, 0.0, 1.0], 1), ([0.0, 1.0, 0.0], 2), ([1.0, 0.0, 0.0], 3)]:
        V, H = np.zeros((4, 3)), np.zeros((4, 3))
        V[0] = start
        m = kernels.arnoldi(of_rows(A), V, H, 3, 0, 3)
        assert m == size
        assert H[m, m - 1] == 0.0


@pytest.mark.parametrize("horizon", [0.01, 1.0, 15.0])
def test_flow_follows_the_small_exponential(rng, horizon):
    m = 8
    H = np.zeros((m + 1, m))
    H[:m] = np.triu(rng.normal(size=(m, m)), -1) - 4.0 * np.eye(m)
    far, norms, leak = 1e300, np.ones(m + 1), np.zeros(m)
    followed = small_exponential_kernels.flow(H, m, m, horizon, math.ulp(9.0), norms, leak, 1.0, far, far, 0.0)
    s, u, substeps, growth, s_kept, kept, error = followed
    assert s == s_kept == horizon
    truth = linalg.expm(horizon * H[:m])[:, 0]
    np.testing.assert_allclose(u, truth, atol=1e-13 * growth)
    np.testing.assert_array_equal(u, kept)
    assert substeps == max(
        1, math.ceil(horizon * np.abs(H).sum(axis=0).max() / small_exponential_kernels.SUBSTEP * (1.0 - 1e-9))
    )
    modulus, _ = integrate.quad(lambda r: abs(linalg.expm(r * H[:m])[m - 1, 0]), 0.0, horizon, limit=200)
    assert modulus * (1.0 - 1e-6) <= error
    assert error <= 10.0 * modulus + 1e-18 * m


def test_flow_ends_before_the_error_or_the_loss_is_too_large():
    m = 4
    H = np.zeros((m + 1, m))
    H[:m] = np.diag(np.full(m, -1.0)) + np.diag(np.full(m - 1, 1.0), -1)  # u_j(s) = e^(−s) s^j / j!
    norms, leak = np.ones(m + 1), np.array([0.0, 0.0, 1.0, 0.0])
    s, *_, error = small_exponential_kernels.flow(H, m, m, 50.0, math.ulp(50.0), norms, leak, 1.0, 1e-6, 1e300, 0.0)
    assert 0.0 < s < 50.0
    assert 0.0 < error <= 1e-6 * s
    s, _, _, _, s_kept, kept, _ = small_exponential_kernels.flow(
        H, m, m, 50.0, math.ulp(50.0), norms, leak, 0.0, 1e-6, 1e-3, 0.0
    )
    assert s_kept < s
    assert leak @ kept <= 1e-3
    np.testing.assert_allclose(kept, [math.exp(-s_kept) * s_kept**j / math.factorial(j) for j in range(m)], atol=1e-13)


def test_combine_cuts_negative_entries_and_says_how_much(rng):
    V, c = rng.normal(size=(3, 5000)), np.array([1.0, -0.5, 0.25])
    out = np.empty(5000)
    cut = kernels.combine(V, c, out)
    np.testing.assert_allclose(out, np.maximum(c @ V, 0.0), atol=1e-14)
    assert cut == pytest.approx(np.maximum(-(c @ V), 0.0).sum(), rel=1e-12)
    d, both, other = np.array([-0.5, 0.5, 2.0]), np.empty(5000), np.empty(5000)
    assert kernels.combine_both(V, c, both, d, other) == pytest.approx(cut, rel=1e-12)
    np.testing.assert_allclose(both, out, atol=1e-14)
    np.testing.assert_allclose(other, np.maximum(d @ V, 0.0), atol=1e-14)


# ---- Radau IIA --------------------------------------------------------------------------------------------

stages = pytest.mark.parametrize("s", [2, 3, 5, 7, 11])


def stability(table, z):
    """R(z) = 1 + z bᵀ (I − z W)⁻¹ 1; the last row of W is b."""
    s = table.n_stages
    return 1.0 + z * table.weights[-1] @ np.linalg.solve(np.eye(s) - z * table.weights, np.ones(s))


@stages
def test_radau_tables_are_exact_to_rounding(s):
    """The weights that a step uses are the integrals of the basis on its nodes: the residual would not see an error."""
    table = radau(s)
    with mpmath.workdps(40):
        nodes = [mpmath.mpf(float(c)) for c in table.nodes]
        for j in range(s):
            others = [c for i, c in enumerate(nodes) if i != j]
            basis = [mpmath.mpf(1)]  # coefficients, the constant first
            for c in others:
                basis = [a - c * b for a, b in zip([0, *basis], [*basis, 0], strict=True)]
            scale = mpmath.fprod(nodes[j] - c for c in others)
            for i, c in enumerate(nodes):
                truth = mpmath.fsum(b * c ** (k + 1) / (k + 1) for k, b in enumerate(basis)) / scale
                assert float(table.weights[i, j]) == pytest.approx(float(truth), abs=1e-15)
            assert float(table.leading[j + 1]) == pytest.approx(float(1 / (scale * nodes[j])), rel=1e-13)


@stages
def test_radau_order_conditions(s):
    table = radau(s)
    c, W = table.nodes, table.weights
    assert table.n_stages == s
    assert c[-1] == 1.0
    assert (np.diff(c) > 0.0).all()
    assert c[0] > 0.0
    for k in range(1, 2 * s):  # quadrature of order 2s − 1
        assert W[-1] @ c ** (k - 1) == pytest.approx(1.0 / k, abs=1e-11)
    for k in range(1, s + 1):  # stages of order s
        np.testing.assert_allclose(W @ c ** (k - 1), c**k / k, atol=1e-11)
    decoupled = table.vectors @ np.diag(table.eigenvalues) @ table.inverse
    np.testing.assert_allclose(decoupled, W, atol=1e-10)


@pytest.mark.parametrize(("s", "nodes"), [(2, [1 / 3, 1]), (3, [(4 - 6**0.5) / 10, (4 + 6**0.5) / 10, 1])])
def test_radau_nodes_are_those_of_the_book(s, nodes):
    np.testing.assert_allclose(radau(s).nodes, nodes, rtol=1e-14)


@stages
def test_radau_is_l_stable(s):
    table = radau(s)
    assert 1.0 - table.weights[-1] @ np.linalg.solve(table.weights, np.ones(s)) == pytest.approx(0.0, abs=1e-9)
    assert (table.eigenvalues.real > 0.0).all()
    axis = np.concatenate([-1j * np.logspace(-2, 4, 60), 1j * np.logspace(-2, 4, 60)])
    assert max(abs(stability(table, z)) for z in axis) <= 1.0 + 1e-9
    assert abs(stability(table, -1e8)) < 1e-6


@stages
def test_radau_approximates_the_exponential_to_its_order(s):
    z = -1.0 - 0.5j
    constant = math.factorial(s) * math.factorial(s - 1) / (2 * math.factorial(2 * s - 1) * math.factorial(2 * s))
    for scale in (1.0, 0.5):
        gap = abs(stability(radau(s), scale * z) - np.exp(scale * z))
        assert gap <= 8.0 * constant * abs(scale * z) ** (2 * s) + 1e-13


@stages
def test_radau_integrals_of_the_basis(s):
    table = radau(s)
    c = table.nodes

    def modulus(others, scale):
        edges = np.concatenate([[0.0], np.sort(others), [1.0]])
        parts = [
            integrate.quad(lambda x: abs(np.prod(x - others)) / scale, a, b, epsabs=1e-14)[0]
            for a, b in pairwise(edges)
        ]
        return sum(parts)

    for j in range(s):
        others = np.delete(c, j)
        found = modulus(others, abs(np.prod(c[j] - others)))
        assert table.lagrange_integrals[j] == pytest.approx(found, abs=1e-9)
    assert table.node_integral == pytest.approx(modulus(c, 1.0), rel=1e-6, abs=1e-14)


@stages
def test_radau_interpolation_is_exact_for_polynomials(s):
    table = radau(s)
    points = np.concatenate([[0.0], table.nodes])
    tau = np.linspace(0.0, 1.0, 9)
    values, slopes = table.interpolate(tau)
    for k in range(s + 1):
        np.testing.assert_allclose(values @ points**k, tau**k, atol=1e-9)
        np.testing.assert_allclose(slopes @ points**k, k * tau ** max(k - 1, 0), atol=1e-8)
        assert table.leading @ points**k == pytest.approx(float(k == s), abs=1e-7)


@pytest.mark.parametrize("noise", [0.0, 1e-4], ids=["stages solved", "stages perturbed"])
@pytest.mark.parametrize("s", [2, 3, 5, 7])
def test_residual_of_the_collocation_polynomial(rng, s, noise):
    """The integral of ‖u′/h − A u‖₁ is what the tables say: equal where the stages are solved, a bound where not."""
    table, n, h = radau(s), 9, 0.8
    A = random_generator(rng, n).toarray()
    p = rng.random(n)
    p /= p.sum()
    system = np.eye(s * n) - h * np.kron(table.weights, A)
    U = np.linalg.solve(system, np.tile(p, s)).reshape(s, n)
    U += noise * rng.normal(size=U.shape)
    values = np.vstack([p, U])  # (s + 1, n)

    at, slope = table.interpolate(table.nodes)
    rho = slope @ values / h - at @ values @ A.T  # (s, n)
    norms = np.abs(rho).sum(axis=1)
    assert (norms.max() < 1e-9) == (noise == 0.0)
    bound = h * (norms @ table.lagrange_integrals + np.abs(A @ (table.leading @ values)).sum() * table.node_integral)

    edges = np.concatenate([[0.0], table.nodes])
    x, w = np.polynomial.legendre.leggauss(40)
    integral = 0.0
    for a, b in pairwise(edges):
        at, slope = table.interpolate(0.5 * (a + b) + 0.5 * (b - a) * x)
        residual = slope @ values / h - at @ values @ A.T
        integral += h * 0.5 * (b - a) * float(w @ np.abs(residual).sum(axis=1))
    assert integral <= bound * (1.0 + 1e-6) + 1e-12
    if noise == 0.0:
        assert integral == pytest.approx(bound, rel=1e-3, abs=1e-9)
    else:
        assert bound <= 5.0 * integral


# ---- rational ---------------------------------------------------------------------------------------------


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
        step = propagator.advance(p, 0.0, 2e9, most=500)
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


@pytest.mark.parametrize(
    ("bounds", "width"),
    [({"X": 60, "Y": 3}, 4), ({"X": 3, "Y": 60}, 8), ({"X": 60, "Y": 60}, None)],
    ids=["states in order", "states out of order", "a wide square"],
)
@pytest.mark.parametrize("shift", [0.3, 0.2 + 0.5j], ids=["real", "complex"])
def test_shifted_systems_are_solved_in_a_band_where_there_is_one(bounds, width, shift):
    model = network(
        {"X": 2, "Y": 1},
        ("0 -> X", "rate", "30/(1 + Y^2)"),
        ("X -> 0", "mass_action", 1.0),
        ("0 -> Y", "rate", "8/(1 + X)"),
        ("Y -> 0", "mass_action", 0.7),
    )
    matrix = fsp.Generator(model, fsp.StateSpace.box(model, upper=bounds)).to_csr()
    band = linear.Band.of(matrix)
    if width is None:
        assert band is None
    else:
        assert band.width <= width
        assert sorted(band.order.tolist()) == list(range(matrix.shape[0]))
    rng = np.random.default_rng(7)
    x = rng.normal(size=matrix.shape[0]) * (1.0 if isinstance(shift, float) else 1.0 + 1.0j)
    solved = linear.ShiftedSystem(matrix, shift, band).solve(x - shift * (matrix @ x))
    np.testing.assert_allclose(solved, x, rtol=0.0, atol=1e-12 * np.abs(x).max())


def triangular(rng, n, scale):
    G = np.triu(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)), 1)
    return scale * (G - np.diag(rng.uniform(0.1, 3.0, n)))


@pytest.mark.parametrize("h", [1e-3, 1.0, 40.0])
def test_doublings_are_exponentials(rng, h):
    G = triangular(rng, 6, 1.0)
    powers = small_exponential.doublings(G, h)
    for i, power in enumerate(powers):
        truth = linalg.expm(h * 2.0 ** (i + 1 - len(powers)) * G)
        np.testing.assert_allclose(power, truth, atol=1e-12 * max(1.0, np.abs(truth).max()))


def test_doublings_keep_slow_modes_exactly():
    """Modes of rates 1e-3 and 1e9: squaring alone would spoil the slow one by 1e-6."""
    G = np.array([[-1e-3, 2.0], [0.0, -1e9]], dtype=complex)
    end = small_exponential.doublings(G, 10.0)[-1]
    assert end[0, 0].real == pytest.approx(math.exp(-1e-2), rel=1e-15)
    assert end[0, 1].real == pytest.approx(2.0 / 1e9 * math.exp(-1e-2), rel=1e-9)


def test_doublings_without_end_say_so():
    assert not np.isfinite(small_exponential.doublings(np.full((2, 2), np.inf, dtype=complex), 1.0)[-1]).any()


@pytest.mark.parametrize("h", [1e-2, 3.0])
def test_follow_is_the_exponential_on_a_grid_that_doubles(rng, h):
    G, start = triangular(rng, 5, 2.0), rng.normal(size=5) + 0j
    times, path = small_exponential.follow(small_exponential.doublings(G, h), start, h)
    assert times[0] == 0.0
    assert times[-1] == h
    steps = np.diff(times)
    assert (steps > 0.0).all()
    assert (steps[1:] <= times[1:-1] * (1.0 + 1e-12)).all()
    assert (steps[-8:] <= h / 16 * (1.0 + 1e-12)).all()
    for s, u in zip(times, path.T, strict=True):
        np.testing.assert_allclose(u, linalg.expm(s * G) @ start, atol=1e-11)


def rational_step(name="immigration", dimension=12, h=0.7):
    bound = bind(name)
    basis = rational._Basis(rational._System(bound.generator), (0.0, None), bound.p, dimension)
    basis.gamma, basis._solver = basis.system.pole_for(h, last=False)
    while not basis.complete:
        basis.extend()
    return bound, basis, rational._Path(basis, h, 1.0)


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


def small_problem(G, gamma=1.0, h=1.0):
    """Return the modes, the doublings, the path and its times of a small exponential."""
    modes = small_exponential.Modes(np.linalg.inv(np.eye(len(G)) - gamma * G), gamma)
    powers = small_exponential.doublings(modes.G, h)
    times, path = small_exponential.follow(powers, modes.start, h)
    return modes, powers, path, times


@pytest.mark.parametrize("turns", [8, 16, 24, 64, 100.3])
def test_integrals_see_an_oscillation_that_vanishes_at_every_point_of_the_grid(turns):
    """g is a sine with zeros at all points of the last octaves: nothing that is sampled sees it."""
    speed = 2.0 * np.pi * turns
    G = np.array([[0.0, -speed], [speed, 0.0]])
    modes, powers, path, times = small_problem(G)
    amplitudes = np.abs(np.eye(2) - G) @ np.ones(2)  # of the entries of (I - G) u
    fine = np.linspace(0.0, 1.0, 200_001)
    u = np.array([np.cos(speed * fine), np.sin(speed * fine)])
    for weights, most in ((np.array([0.0, 1.0]), 1.12), (np.array([1.0, 0.0]), 3.0), (np.array([1e-3, 1.0]), 1.16)):
        truth = integrate.cumulative_trapezoid(weights @ np.abs((np.eye(2) - G) @ u), fine, initial=0.0)
        bounds = small_exponential.residual_integrals(modes, powers, path, times, weights)
        assert (bounds >= np.interp(times, fine, truth) - 1e-7 * amplitudes.max()).all()
        assert bounds[-1] <= most * truth[-1]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(2, 9),
    stiffness=st.floats(0.0, 5.0),
    turn=st.floats(0.0, 3.0),
    weight=st.floats(-16.0, 0.0),
)
def test_integrals_of_random_stiff_chains_are_bounds(seed, n, stiffness, turn, weight):
    rng = np.random.default_rng(seed)
    G = 10.0 ** rng.uniform(-1.0, stiffness, (n, n)) * (rng.random((n, n)) < 0.6)
    G += 10.0**stiffness * np.roll(np.eye(n), 1, axis=0) * turn  # a cycle: complex modes
    G -= np.diag(G.sum(axis=0))
    modes, powers, path, times = small_problem(G)
    weights = np.append(10.0**weight * rng.random(n - 1), 1.0)
    bounds = small_exponential.residual_integrals(modes, powers, path, times, weights)
    inverse, total, u, slack = np.eye(n) - G, 0.0, np.eye(n)[0], 0.0
    for cell, (a, b) in enumerate(pairwise(times)):
        parts = 33
        step = linalg.expm((b - a) / (parts - 1) * G)
        fine = [u := step @ u for _ in range(parts - 1)]
        values = np.abs(inverse @ np.array(fine).T)  # (n, parts - 1)
        middle = weights @ values  # a sum without its largest term is below the integral, but for the kinks
        total += max(float(middle.sum() - middle.max()), 0.0) * (b - a) / (parts - 1) * 0.97
        slack += (b - a) * 1e-13 * float(np.abs(inverse).sum())
        assert total <= bounds[cell + 1] + slack


def test_factors_bound_rows_that_vanish_where_a_cell_begins(rng):
    """What a row comes to within a cell is all of it, if it is zero at the start of the cell."""
    n, d = 5, 1.0
    G = np.triu(rng.normal(size=(n, n)) + 1j * rng.normal(size=(n, n)))
    G *= 0.4 / np.linalg.norm(G, 1) / d
    x = rng.normal(size=n) + 1j * rng.normal(size=n)
    rows = rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))
    rows -= np.outer(rows @ x / (x.conj() @ x), x.conj())
    slope = np.linalg.norm(rows, 2) * G
    factors = small_exponential.gramian_factors(G, [linalg.expm(d * G)], d, np.zeros(n, complex), rows, slope)
    for length, factor in zip((d, 2.0 * d), factors, strict=True):
        fine = np.linspace(0.0, length, 401)
        squares = [np.linalg.norm(rows @ linalg.expm(s * G) @ x) ** 2 for s in fine]
        assert np.linalg.norm(factor @ x) ** 2 >= integrate.trapezoid(squares, fine) * (1.0 - 1e-4) > 0.0


def test_integrals_of_a_stiff_chain_against_forty_digits():
    """Rates from 1e-3 to 1e7, and a last entry that is small beside the others."""
    G = np.diag([-1e7, -1e4, -30.0, -1.0, -1e-3]) + np.diag([1e7, 1e4, 30.0, 1.0], -1)
    modes, powers, path, times = small_problem(G, gamma=0.03)
    bounds = small_exponential.residual_integrals(modes, powers, path, times, np.array([1e-15] * 4 + [1.0]))
    with mpmath.workdps(40):
        exact = mpmath.matrix(G.tolist())
        inverse = mpmath.eye(5) - mpmath.mpf(0.03) * exact
        total, parts = mpmath.mpf(0), 6
        u, previous, step = mpmath.matrix([1, 0, 0, 0, 0]), 0.0, None
        for cell, (a, b) in enumerate(pairwise(times)):
            if b - a != previous:
                previous, step = b - a, mpmath.expm(exact * (mpmath.mpf(b - a) / parts))
            values = [abs((inverse * u)[4])]
            for _ in range(parts):
                u = step * u
                values.append(abs((inverse * u)[4]))
            total += mpmath.mpf(b - a) / parts * (sum(values) - (values[0] + values[-1]) / 2)
            assert total <= bounds[cell + 1] * 1.01 + 1e-12
        assert bounds[-1] <= 1.5 * total + 1e-10


def test_integrals_take_the_larger_end_of_each_cell():
    times = np.array([0.0, 1.0, 3.0, 4.0, 6.0])
    for values in (np.exp(-times), np.exp(times)):
        exact_ones = np.abs(values - 1.0)
        assert (small_exponential.integrals(values, times) >= exact_ones * (1.0 - 1e-12)).all()
    # A peak between two points is seen by its neighbours.
    assert small_exponential.integrals(np.array([0.0, 1.0, 0.0, 0.0, 0.0]), times)[3] >= 3.0


def test_what_a_rational_step_clips_is_in_its_error(monkeypatch):
    clip = kernels.clip
    monkeypatch.setattr(kernels, "clip", lambda z: clip(z) + 0.25)
    bound = bind("immigration")
    with fsp.Rational(1e-6).open(bound.generator) as propagator:
        assert propagator.advance(bound.p, 0.0, 0.1).error >= 0.25


# ---- what auto learns -------------------------------------------------------------------------------------


def test_auto_stays_where_a_change_would_gain_little_and_leaves_where_it_learns_better():
    model = network({"A": 400, "B": 0}, ("A -> B", "mass_action", 1.0), ("B -> A", "mass_action", 50.0))
    generator = fsp.Generator(model, reachable(model))
    chooser = Chooser("auto", 1e-7, SOLVERS)
    first = chooser.choose(generator, 10.0)
    assert chooser.choose(generator, 10.0, first) is first
    products = int(50 * generator.largest_exit_rate * 10.0)
    for _ in range(8):  # it needs fifty times as many as any would
        chooser.advanced(first.solver, generator, Advance(None, None, 0.0, products, 10.0, 0.0), 10.0)
    later = chooser.choose(generator, 10.0, first)
    assert type(later.solver) is not type(first.solver)


def test_what_auto_learnt_fades_while_another_solver_works():
    chooser = Chooser("auto", 1e-7, SOLVERS)
    generator = bind("immigration").generator
    time = 1_000.0 / generator.largest_exit_rate
    chooser.advanced(fsp.Uniformization(), generator, Advance(None, None, 0.0, 5_000, time, 0.0), time)
    held = [chooser._factor["uniformization"]]
    for _ in range(20):
        chooser.advanced(fsp.Krylov(), generator, Advance(None, None, 0.0, 375, time, 0.0), time)
        held.append(chooser._factor["uniformization"])
    assert held[0] > 3.0
    assert held == sorted(held, reverse=True)
    assert held[-1] == pytest.approx(1.0, abs=0.3)
    assert chooser._factor["krylov"] == pytest.approx(1.0, abs=1e-9)


def test_auto_takes_no_chebyshev_where_steps_are_cut_short():
    bound = bind("immigration")
    assert "chebyshev" in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0).reason
    assert "chebyshev" not in Chooser("auto", 1e-7, SOLVERS).choose(bound.generator, 1.0, growing=True).reason
