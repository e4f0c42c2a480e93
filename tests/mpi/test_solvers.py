"""Solvers on ranks keep the contract of tests/solver_contract.py: ours, and those of PETSc and SLEPc."""

from __future__ import annotations

import numpy as np
import pytest
import solver_contract
from mpi_networks import toggle
from solver_contract import CHAINS, Binder, advance

import fsp
from fsp.petsc import MFN, TS, mfn, ts

KINDS = {
    "uniformization": fsp.Uniformization,
    "krylov": fsp.Krylov,
    "chebyshev": fsp.Chebyshev,
    "magnus": fsp.Magnus,
    "mfn": MFN,
    "mfn, krylov": lambda tol: MFN(tol, "krylov", dimension=20),  # fewer than states: it restarts
    "ts": TS,
    "ts, bdf": lambda tol: TS(tol, "bdf"),
    "ts, rosw": lambda tol: TS(tol, "rosw"),
}
SERIAL = ("uniformization", "krylov", "chebyshev", "magnus")
kinds = pytest.mark.parametrize("kind", KINDS)
corners = pytest.mark.parametrize("corner", solver_contract.CORNERS, ids=lambda corner: corner.__name__)


def tolerances(kind):
    """Return a loose and a tight tolerance: low orders take many steps for many digits."""
    if kind.startswith("ts"):
        return 1e-2, 1e-2 if kind == "ts, rosw" else 1e-3
    return (1e-3, 1e-6) if kind.startswith("mfn") else (1e-3, 1e-9)


def chains_of(kind):
    """Return the chains that it is tried on: all, but for those that take long."""
    return ["immigration", "isomerization"] if kind.startswith("ts") else list(CHAINS)


cases = pytest.mark.parametrize(("kind", "chain"), [(kind, chain) for kind in KINDS for chain in chains_of(kind)])
limited = pytest.mark.parametrize(
    ("kind", "chain", "limit"),
    [
        (kind, chain, limit)
        for kind in KINDS
        for chain in solver_contract.LEAKY
        for limit in solver_contract.LIMITS
        if chain in chains_of(kind) and not (kind.startswith("ts") and limit.offset == 0.0)
    ],
)
tight_and_loose = pytest.mark.parametrize("which", [0, 1], ids=["loose", "tight"])


@pytest.fixture
def bind(comm):
    return Binder(comm)


@cases
@tight_and_loose
def test_true_error_is_within_the_reported_one(bind, kind, chain, which):
    tol = tolerances(kind)[which]
    solver_contract.true_error_is_within_the_reported_bound(bind, chain, KINDS[kind](tol), tol)


@cases
def test_probabilities_are_not_negative_and_mass_is_kept(bind, kind, chain):
    tol = tolerances(kind)[0]
    solver_contract.probabilities_are_not_negative_and_mass_is_kept(bind, chain, KINDS[kind](tol), tol)


@cases
def test_two_halves_are_the_whole(bind, kind, chain):
    tol = tolerances(kind)[0]
    solver_contract.two_halves_are_the_whole(bind, chain, KINDS[kind](tol), tol)


@limited
def test_the_loss_limit_is_kept_at_the_time_reached(bind, kind, chain, limit):
    tol = tolerances(kind)[0]
    solver_contract.the_loss_limit_is_kept_at_the_time_reached(bind, chain, KINDS[kind](tol), limit, tol)


@kinds
@corners
def test_corners_of_the_contract(bind, kind, corner):
    loose, tight = tolerances(kind)
    corner(bind, KINDS[kind], loose if kind.startswith("ts") else tight)


# ---- those of PETSc and SLEPc -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in SERIAL])
def test_solvers_of_petsc_estimate_their_error(kind):
    assert not KINDS[kind](1e-3).certified


def test_solvers_of_petsc_are_values_and_need_ranks():
    assert MFN(1e-5, options={"mfn_ncv": 20}) == MFN(1e-5, options={"mfn_ncv": 20})
    assert hash(TS(1e-5, options={"ts_type": "bdf"})) != hash(TS(1e-5))
    model = toggle()
    with pytest.raises(fsp.BackendError, match="backend='petsc'"):
        MFN().open(fsp.Generator(model, fsp.StateSpace.box(model, 3))).__enter__()
    for bad in (lambda: MFN(0.0), lambda: MFN(kind="taylor"), lambda: MFN(dimension=1), lambda: TS(kind="euler")):
        with pytest.raises(fsp.ArgumentError):
            bad()


def test_options_are_there_during_the_call_alone(bind):
    from fsp.petsc.environment import load

    bound = bind("immigration")
    with MFN(options={"mfn_type": "krylov", "mfn_ncv": 5}).open(bound.generator) as propagator:
        step = advance(propagator, bound.p, 0.0, bound.t, 1e-5)
    assert bound.true_error(step, bound.t) <= step.error
    assert not load().PETSc.Options().hasName("fsp_mfn_type")


def test_a_vector_of_another_mass_is_refused(bind, monkeypatch):
    bound, original = bind("isomerization"), mfn.values_of
    monkeypatch.setattr(mfn, "values_of", lambda x: 0.5 * original(x))
    with MFN().open(bound.generator) as propagator, pytest.raises(fsp.ConvergenceError, match="must keep the mass"):
        propagator.advance(bound.p, 0.0, 1.0, tol=1e-6)


@pytest.mark.parametrize("kind", ["mfn", "ts"])
def test_a_vector_that_is_not_finite_is_refused(bind, monkeypatch, kind):
    module, bound = {"mfn": mfn, "ts": ts}[kind], bind("isomerization")
    original = module.values_of

    def spoilt(x):
        values = original(x)
        values[:1] = np.nan
        return values

    monkeypatch.setattr(module, "values_of", spoilt)
    with KINDS[kind](1e-3).open(bound.generator) as propagator, pytest.raises(fsp.ConvergenceError):
        propagator.advance(bound.p, 0.0, 1.0, tol=1e-3)


@pytest.mark.parametrize("solver", [MFN(options={"mfn_type": "euler"}), TS(options={"ts_type": "euler'"})])
def test_options_that_petsc_does_not_know_are_an_error_of_ours(bind, solver):
    bound = bind("isomerization")
    with solver.open(bound.generator) as propagator, pytest.raises(fsp.ConvergenceError, match="PETSc"):
        propagator.advance(bound.p, 0.0, 1.0, tol=1e-3)
