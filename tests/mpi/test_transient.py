"""Transient distributions on ranks: the same loop, the same solvers, the same answers as in serial."""

from __future__ import annotations

import warnings

import exact_cases
import numpy as np
import pytest
from mpi_networks import toggle

import fsp
from fsp import Model, Reaction
from fsp.petsc import MFN, TS, Generator, StateSpace
from fsp.projection.growth import starting_vector
from fsp.solvers.base import LossLimit

ROUNDING = 1e-12  # of the sums, whose order depends on the number of ranks: as a 1-norm
OWN = {"uniformization": fsp.Uniformization, "krylov": fsp.Krylov, "chebyshev": fsp.Chebyshev}
PETSC = {
    "mfn": MFN,
    "mfn, krylov": lambda tol=1e-8: MFN(tol, "krylov"),
    "ts": TS,
    "ts, bdf": lambda tol=1e-5: TS(tol, "bdf"),
    "ts, rosw": lambda tol=1e-5: TS(tol, "rosw"),
}
TIMED = Model(
    species={"A": 3, "B": 2},
    reactions=[
        Reaction("0 -> A", rate="5 * (1 + 0.5 * sin(time))"),
        Reaction("A -> B", mass_action=1.0),
        Reaction("B -> 0", rate="B * (1 + 0.3 * cos(2 * time))"),
    ],
)


def on_ranks(model, times, tol, comm, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        return fsp.transient(model, times, tol, backend="petsc", comm=comm.mpi, **options)


def serial(model, times, tol, comm, **options):
    """Solve in serial, on the first rank alone."""
    return comm.share(lambda: fsp.transient(model, times, tol, **options))


def whole(distribution):
    """Return the whole distribution, on all ranks."""
    return distribution.comm.mpi.bcast(distribution.gathered())


def assert_same(solution, expected):
    """Hold a solution against the serial one: states and counts, and probabilities to rounding."""
    assert solution.n_matvec == expected.n_matvec
    assert solution.times.tolist() == expected.times.tolist()
    for one, other in zip(solution, expected, strict=True):
        gathered = whole(one)
        assert (gathered.states == other.states).all()
        assert np.abs(gathered.probabilities - other.probabilities).sum() <= ROUNDING
        assert one.error.total == pytest.approx(other.error.total, rel=1e-6, abs=ROUNDING)
        assert one.closed == other.closed
        assert one.mean() == pytest.approx(other.mean(), rel=1e-10)


# ---- the loop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["uniformization", "chebyshev"])
@pytest.mark.parametrize("name", ["open chain", "isomerization", "bursts"])
def test_the_adaptive_loop_gives_the_serial_states(comm, name, solver):
    case = exact_cases.CASES[name]
    times = [0.4 * case.t, case.t]
    solution = on_ranks(case.model, times, 1e-6, comm, solver=solver)
    assert_same(solution, serial(case.model, times, 1e-6, comm, solver=solver))


@pytest.mark.parametrize("solver", ["uniformization", "chebyshev"])
def test_pruned_spaces_are_the_serial_ones(comm, solver):
    model = Model(
        species={"X": 400}, reactions=[Reaction("X -> 0", mass_action=1.0), Reaction("0 -> X", mass_action=5)]
    )
    solution = on_ranks(model, [0.5, 3.0], 1e-6, comm, solver=solver)
    expected = serial(model, [0.5, 3.0], 1e-6, comm, solver=solver)
    assert expected.statistics["growths"] > 0
    assert len(expected[-1]) < expected.statistics["largest_space"]
    assert_same(solution, expected)


@pytest.mark.parametrize("solver", [*OWN, "auto"])
def test_a_fixed_space(comm, solver):
    model, upper = toggle(), {"U": 90, "V": 95}  # products on runs
    solution = on_ranks(model, [0.3, 1.0], 1e-6, comm, solver=solver, space=StateSpace.box(model, upper, comm=comm))
    if solver == "auto":
        assert solution.solver.startswith(("Uniformization", "Chebyshev"))
        solver = solution.solver.partition("(")[0].lower()
    expected = serial(model, [0.3, 1.0], 1e-6, comm, solver=solver, space=fsp.StateSpace.box(model, upper))
    for one, other in zip(solution, expected, strict=True):
        gathered = whole(one)
        assert (gathered.states == other.states).all()
        gap = np.abs(gathered.probabilities - other.probabilities).sum()
        # A Krylov basis hangs on the last digits of sums, so that its error is another one.
        assert gap <= ROUNDING + (one.error.integration + other.error.integration if solver == "krylov" else 0.0)


@pytest.mark.parametrize("solver", ["krylov", "mfn"])
@pytest.mark.parametrize("name", ["immigration-death from 30", "linear birth-death", "closed chain", "telegraph"])
def test_the_true_error_is_within_the_bound(comm, name, solver):
    case = exact_cases.CASES[name]
    last = on_ranks(case.model, [case.t], 1e-5, comm, solver=solver)[-1]
    gathered = whole(last)
    error, outside = exact_cases.errors(case, gathered)
    assert last.error.certified == (solver == "krylov")
    assert error <= last.error.total + case.digits
    assert last.error.total <= 1e-5
    assert outside <= last.error.truncation + last.error.pruning + case.digits


def test_rates_that_depend_on_time(comm):
    solution = on_ranks(TIMED, [0.5, 2.0], 1e-4, comm)
    expected = serial(TIMED, [0.5, 2.0], 1e-4, comm, solver="magnus")
    assert solution.solver.startswith("Magnus")
    assert solution.error.certified
    for one, other in zip(solution, expected, strict=True):
        assert one.error.total <= 1e-4
        assert whole(one).distance(other) <= one.error.total + other.error.total


def test_going_on_from_a_distribution_that_is_spread(comm):
    case = exact_cases.CASES["open chain"]
    first = on_ranks(case.model, [0.4 * case.t], 1e-7, comm)
    last = on_ranks(case.model, [case.t], 1e-6, comm, start=first)[-1]
    error, _ = exact_cases.errors(case, whole(last))
    assert error <= last.error.total <= 1e-6
    again = on_ranks(case.model, [case.t], 1e-6, comm, start=whole(first[-1]))[-1]
    assert exact_cases.errors(case, whole(again))[0] <= again.error.total <= 1e-6
    small = StateSpace.reachable(case.model, steps=1, comm=comm)
    with pytest.raises(fsp.StateSpaceError, match="must contain the states of `start`"):
        on_ranks(case.model, [case.t], 1e-6, comm, start=first, space=small)


# ---- stops and errors -------------------------------------------------------------------------------------


def test_progress_is_told_to_the_first_rank_and_can_stop_all(comm):
    model, moments = toggle(), []

    def progress(moment):
        moments.append(moment)
        if moment.t > 0.1:
            raise KeyboardInterrupt

    with pytest.raises(fsp.Interrupted) as caught:
        on_ranks(model, [5.0], 1e-6, comm, progress=progress if comm.rank == 0 else None)
    assert bool(moments) == (comm.rank == 0)
    reached = caught.value.solution
    assert 0.0 < reached[-1].t < 5.0
    rest = on_ranks(model, [5.0], 1e-5, comm, start=reached)
    expected = serial(model, [5.0], 1e-6, comm)
    gap = whole(rest[-1]).distance(expected[-1])
    assert gap <= rest.error.total + expected.error.total


def test_an_error_of_the_callback_reaches_all(comm):
    def progress(moment):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        on_ranks(toggle(), [5.0], 1e-6, comm, progress=progress)


@pytest.mark.parametrize("times", [[-1.0], [2.0, 1.0]])
def test_bad_input_on_one_rank_is_refused_on_all(comm, times):
    mine = times if comm.rank == comm.size - 1 else [1.0]
    with pytest.raises(fsp.ArgumentError, match="`times` must"):
        on_ranks(toggle(), mine, 1e-6, comm)


def test_problems_that_differ_are_refused(comm):
    if comm.size > 1:
        with pytest.raises(fsp.ArgumentError, match="same on all ranks"):
            on_ranks(toggle(), [1.0 + comm.rank], 1e-6, comm)


@pytest.mark.parametrize("solver", ["rational", fsp.Implicit()])
def test_solvers_of_one_process_are_refused_by_name(comm, solver):
    with pytest.raises(fsp.BackendError, match="backend='serial'"):
        on_ranks(toggle(), [1.0], 1e-6, comm, solver=solver)


def test_unknown_names_are_refused_with_the_known_ones(comm):
    with pytest.raises(fsp.ArgumentError, match="uniformization, krylov, chebyshev, magnus, mfn, ts"):
        on_ranks(toggle(), [1.0], 1e-6, comm, solver="euler")


# ---- the contract of solvers ------------------------------------------------------------------------------


def bound_to(name, comm):
    """Return a generator on a small fixed space, its start, and the exact vector of the closed chain at a time."""
    if name == "leaky":
        model = Model(
            species={"X": 2}, reactions=[Reaction("0 -> X", mass_action=4.0), Reaction("X -> 0", mass_action=1)]
        )
        make = lambda kind, **more: kind.box(model, {"X": 12}, **more)  # noqa: E731
    else:
        model = exact_cases.CASES["isomerization"].model
        make = lambda kind, **more: kind.reachable(model, **more)  # noqa: E731
    space = make(StateSpace, comm=comm)
    whole_space = make(fsp.StateSpace)
    whole_generator = fsp.Generator(model, whole_space)
    with fsp.Uniformization(1e-14).open(whole_generator) as propagator:
        truth = propagator.advance(starting_vector(model, whole_space), 0.0, 1.5)
    return Generator(model, space), starting_vector(model, space), truth


def gap_to(truth, step, generator):
    space = generator.space
    own = truth.p[space.first : space.first + space.n_local]
    return space.comm.sum(float(np.abs(step.p - own).sum())) + float(np.abs(step.lost - truth.lost).sum())


def advance(propagator, p, t0, t1, tol):
    """Advance to t1 in as many calls as it takes; return the vector, what was lost, the error, and the last step."""
    t, lost, error = t0, 0.0, 0.0
    while t < t1:
        step = propagator.advance(p, t, t1, tol=tol * (t1 - t) / (t1 - t0))
        p, t, lost, error = step.p, step.t, lost + step.lost, error + step.error + step.rounding
    return fsp.solvers.Advance(p, lost, error, 0, t, 0.0)


@pytest.mark.parametrize("chain", ["leaky", "closed"])
@pytest.mark.parametrize(
    ("make", "tol"),
    [(kind, tol) for kind in {**OWN, **PETSC} for tol in ((1e-2, 1e-3) if kind.startswith("ts") else (1e-3, 1e-6))],
)
def test_solvers_keep_their_tolerance(comm, make, tol, chain):
    generator, p, truth = bound_to(chain, comm)
    with {**OWN, **PETSC}[make]().open(generator) as propagator:
        step = advance(propagator, p, 0.0, 1.5, tol)
    assert step.t == 1.5
    assert (step.p >= 0.0).all()
    assert (step.lost >= 0.0).all()
    assert gap_to(truth, step, generator) <= step.error + 1e-13
    assert step.error <= 1.5 * tol
    mass = comm.sum(float(step.p.sum())) + float(np.sum(step.lost))
    assert abs(mass - 1.0) <= step.error + 1e-13


@pytest.mark.parametrize("make", {**OWN, **PETSC})
def test_solvers_stop_where_too_much_would_be_lost(comm, make):
    generator, p, _ = bound_to("leaky", comm)
    limit = LossLimit(1e-3, 0.0)
    with {**OWN, **PETSC}[make]().open(generator) as propagator:
        step = propagator.advance(p, 0.0, 20.0, tol=1e-2, limit=limit)
    assert 0.0 <= step.t < 20.0
    assert step.rejected is not None
    assert step.lost.sum() <= limit.at(step.t) + step.error
    assert comm.sum(float(generator.leak_rates @ step.rejected)) > 0.0  # it says where to grow


@pytest.mark.parametrize("make", PETSC)
def test_corners(comm, make):
    model = Model(
        species={"X": 3}, reactions=[Reaction("0 -> X", mass_action=0.0), Reaction("X -> 0", mass_action=0.0)]
    )
    space = StateSpace.box(model, 5, comm=comm)
    with PETSC[make]().open(Generator(model, space)) as propagator:
        step = propagator.advance(starting_vector(model, space), 0.0, 7.0)
    assert (step.p == starting_vector(model, space)).all()
    generator, p, _ = bound_to("leaky", comm)
    with PETSC[make]().open(generator) as propagator:
        step = propagator.advance(0.0 * p, 0.0, 1.0)
        assert step.lost.sum() == comm.sum(float(step.p.sum())) == 0.0


def test_ts_follows_rates_that_depend_on_time(comm):
    solution = on_ranks(TIMED, [1.0], 1e-2, comm, solver=TS(1e-3))
    expected = serial(TIMED, [1.0], 1e-4, comm, solver="magnus")
    assert not solution.error.certified
    assert whole(solution[-1]).distance(expected[-1]) <= solution.error.total + expected.error.total


def test_solvers_of_petsc_are_values_and_need_ranks(comm):
    assert MFN(1e-5, options={"mfn_ncv": 20}) == MFN(1e-5, options={"mfn_ncv": 20})
    assert hash(TS(1e-5, options={"ts_type": "bdf"})) != hash(TS(1e-5))
    model = toggle()
    with pytest.raises(fsp.BackendError, match="backend='petsc'"):
        MFN().open(fsp.Generator(model, fsp.StateSpace.box(model, 3))).__enter__()
    for bad in (lambda: MFN(0.0), lambda: MFN(kind="taylor"), lambda: MFN(dimension=1), lambda: TS(kind="euler")):
        with pytest.raises(fsp.ArgumentError):
            bad()


def test_options_are_there_during_the_call_alone(comm):
    from fsp.petsc.environment import load

    generator, p, truth = bound_to("leaky", comm)
    with MFN(options={"mfn_type": "krylov", "mfn_ncv": 5}).open(generator) as propagator:
        step = advance(propagator, p, 0.0, 1.5, 1e-5)
    assert gap_to(truth, step, generator) <= step.error
    assert not load().PETSc.Options().hasName("fsp_mfn_type")


def test_a_vector_of_another_mass_is_refused(comm, monkeypatch):
    from fsp.petsc import mfn

    generator, p, _ = bound_to("closed", comm)
    original = mfn.values_of
    monkeypatch.setattr(mfn, "values_of", lambda x: 0.5 * original(x))
    with MFN().open(generator) as propagator, pytest.raises(fsp.ConvergenceError, match="must keep the mass"):
        propagator.advance(p, 0.0, 1.0, tol=1e-6)
