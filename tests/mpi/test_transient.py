"""Transient distributions on ranks: the same loop, the same solvers, the same answers as in serial."""

from __future__ import annotations

import warnings

import exact_cases
import numpy as np
import pytest
from mpi_networks import toggle

import fsp
from fsp import Model, Reaction
from fsp.petsc import TS, StateSpace

ROUNDING = 1e-12  # of the sums, whose order depends on the number of ranks: as a 1-norm
OWN = {"uniformization": fsp.Uniformization, "krylov": fsp.Krylov, "chebyshev": fsp.Chebyshev}
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
        species={"X": 1000}, reactions=[Reaction("X -> 0", mass_action=1.0), Reaction("0 -> X", mass_action=5)]
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


@pytest.mark.parametrize(
    ("name", "solver"),
    [
        *((name, "auto") for name in exact_cases.CASES),
        *((name, solver) for name in ("linear birth-death", "closed chain") for solver in ("krylov", "mfn")),
    ],
)
def test_the_true_error_is_within_the_bound(comm, name, solver):
    case = exact_cases.CASES[name]
    last = on_ranks(case.model, [case.t], 1e-5, comm, solver=solver)[-1]
    gathered = whole(last)
    error, outside = exact_cases.errors(case, gathered)
    assert last.error.certified == (solver != "mfn")
    assert error <= last.error.total + case.digits
    assert last.error.total <= 1e-5
    assert outside <= last.error.truncation + last.error.pruning + last.error.integration + case.digits


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


def test_ts_follows_rates_that_depend_on_time(comm):
    solution = on_ranks(TIMED, [1.0], 1e-2, comm, solver=TS(1e-3))
    expected = serial(TIMED, [1.0], 1e-4, comm, solver="magnus")
    assert not solution.error.certified
    assert whole(solution[-1]).distance(expected[-1]) <= solution.error.total + expected.error.total


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
        start = fsp.transient(toggle(), [0.1 + 0.1 * comm.rank], 1e-8)
        with pytest.raises(fsp.ArgumentError, match="same on all ranks"):
            on_ranks(toggle(), [1.0], 1e-6, comm, start=start)


@pytest.mark.parametrize("solver", ["rational", fsp.Implicit()])
def test_solvers_of_one_process_are_refused_by_name(comm, solver):
    with pytest.raises(fsp.BackendError, match="backend='serial'"):
        on_ranks(toggle(), [1.0], 1e-6, comm, solver=solver)


def test_unknown_names_are_refused_with_the_known_ones(comm):
    with pytest.raises(fsp.ArgumentError, match="uniformization, krylov, chebyshev, magnus, mfn, ts"):
        on_ranks(toggle(), [1.0], 1e-6, comm, solver="euler")
