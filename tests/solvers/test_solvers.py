"""Integrators keep their contract (tests/solver_contract.py), and each does what its own mathematics says."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import solver_contract
from solver_cases import NAMES, bind, box
from solver_contract import CHAINS, advance
from written_networks import network

import fsp
from fsp.generator import generator as of_generator
from fsp.generator import operator as of_operator
from fsp.solvers import SOLVERS, base

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


# ---- the contract


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


# ---- solver values


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


# ---- forms of the operator


@pytest.mark.parametrize("compiled", [0, 1000])
@pytest.mark.parametrize("make", [fsp.Uniformization, fsp.Krylov, fsp.Chebyshev])
@chains
def test_runs_and_rows_give_the_same_answer(make, chain, compiled, monkeypatch):
    """The loops in compiled code on rows and on runs and the loop over products are the same method."""
    bound = bind(chain)
    monkeypatch.setattr(of_generator, "are_rows_faster", lambda *_: True)
    by_rows = fsp.Generator(bound.generator.model, bound.generator.space)
    assert by_rows.operator.by_rows
    with make().open(by_rows) as propagator:
        rows = advance(propagator, bound.p, 0.0, bound.t, 1e-8)
    monkeypatch.setattr(of_generator, "are_rows_faster", lambda *_: False)
    monkeypatch.setattr(of_operator, "COMPILED_STATES", compiled)
    generator = fsp.Generator(bound.generator.model, bound.generator.space)
    assert not generator.operator.by_rows
    assert (generator.operator.compiled is None) == (compiled == 0)
    with make().open(generator) as propagator:
        runs = advance(propagator, bound.p, 0.0, bound.t, 1e-8)
    gap = np.abs(rows.p - runs.p).sum() + np.abs(rows.lost - runs.lost).sum()
    assert gap <= rows.error + rows.rounding + runs.error + runs.rounding
    assert abs(rows.n_matvec - runs.n_matvec) <= 1
    assert runs.error <= 1e-8


@pytest.mark.parametrize("make", [fsp.Uniformization, fsp.Krylov, fsp.Chebyshev])
def test_long_steps_say_how_far_they_are(make, monkeypatch):
    monkeypatch.setattr(of_generator, "are_rows_faster", lambda *_: False)
    monkeypatch.setattr(of_operator, "COMPILED_STATES", 0)
    monkeypatch.setattr(base, "REPORT_WORK", 1.0)
    bound = bind("immigration")
    generator = fsp.Generator(bound.generator.model, bound.generator.space)
    heard = []
    with make().open(generator) as propagator:
        step = propagator.advance(bound.p, 0.5, 0.5 + bound.t, tol=1e-8, pulse=heard.append)
    assert len(heard) >= 0.5 * step.n_matvec > 1
    assert all(0.5 <= t <= 0.5 + bound.t for t in heard)


@pytest.mark.parametrize(
    "solver", ["auto", "uniformization", "krylov", "chebyshev", "rational", "squaring", "implicit"]
)
@pytest.mark.parametrize("rate", [2.0**-1022, 2.0**-1040, 2.0**-1074])
def test_rates_near_the_least_double_solve(solver, rate):
    """3 molecules decay as a binomial law of exp(-k t); 1/k is more than doubles hold."""
    model = fsp.Model(species={"X": 3}, reactions=[fsp.Reaction("X -> 0", mass_action=rate)])
    for t in (1.0, *([2.0**990] if solver in ("auto", "uniformization") else [])):  # others meet subnormal tolerances
        answer = fsp.transient(model, t, 1e-6, solver=solver)[-1]
        kept = np.exp(-rate * t)
        law = {3: kept**3, 2: 3 * kept**2 * (1 - kept), 1: 3 * kept * (1 - kept) ** 2, 0: (1 - kept) ** 3}
        held = dict(zip(answer.states[:, 0].tolist(), answer.probabilities.tolist(), strict=True))
        assert sum(abs(held.get(x, 0.0) - p) for x, p in law.items()) <= answer.error.total <= 1e-6
