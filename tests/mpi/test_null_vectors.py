"""Stationary distributions on ranks: closed forms, the serial answers, several classes, and solvers that lie."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from mpi_networks import random_network, toggle
from scipy import stats
from stationary_cases import CASES
from written_networks import network

import fsp
from fsp.petsc import Generator, StateSpace, classes, flags, null_vectors, relaxation, systems
from fsp.petsc.environment import load

METHODS = ["direct", "iterative", "eigen"]
NAMES = ["immigration-death", "binding", "telegraph, slow", "Schloegl", "two-stage product"]


def on_ranks(comm, model, tol=1e-8, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        return fsp.stationary(model, tol, backend="petsc", comm=comm, **more)


def serial(model, tol=1e-8, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", fsp.ToleranceWarning)
        return fsp.stationary(model, tol, **more)


def part(d):
    """Return this rank's place in the whole."""
    return slice(d.space.first, d.space.first + d.space.n_local)


def total(comm, values):
    return comm.sum(float(np.sum(values)))


def true_error(comm, law, d):
    exact = law(d.states) if len(d.states) else np.zeros(0)
    return total(comm, np.abs(exact - d.probabilities)) + max(0.0, 1.0 - total(comm, exact))


@pytest.mark.parametrize(
    ("name", "method"),
    [*((name, "auto") for name in CASES), *((name, method) for name in NAMES for method in METHODS)],
)
def test_true_error_and_estimate_are_within_the_tolerance(comm, name, method):
    case = CASES[name]
    d = on_ranks(comm, case.model, 1e-8, method=method)
    assert true_error(comm, case.law, d) <= d.error.total <= 1e-8
    assert not d.error.certified
    assert d.notes == ()
    assert d.mass == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_a_box_gives_the_serial_answer_state_for_state(comm, method):
    model, upper = toggle(), {"U": 45, "V": 20}
    expected = serial(model, space=fsp.StateSpace.box(model, upper), method="gth")
    d = on_ranks(comm, model, 1e-11, space=StateSpace.box(model, upper, comm=comm), method=method)
    assert np.abs(d.probabilities - expected.probabilities[part(d)]).max(initial=0.0) <= 1e-12
    assert d.error.truncation == pytest.approx(expected.error.truncation, rel=1e-6)
    assert total(comm, np.abs(d.probabilities - expected.probabilities[part(d)])) <= d.error.integration


@pytest.mark.parametrize("seed", range(16))
def test_classes_traps_and_ways_into_them_are_the_serial_ones(comm, seed):
    """In boxes jumps by two make classes, one-way jumps transient states, and boundaries pockets."""
    rng = np.random.default_rng(seed)
    model, _ = random_network(rng)
    upper = rng.integers(2, 6, len(model.species))
    expected = serial(model, space=fsp.StateSpace.box(model, upper))
    d = on_ranks(comm, model, space=StateSpace.box(model, upper, comm=comm))
    assert total(comm, np.abs(d.probabilities - expected.probabilities[part(d)])) <= 1e-9
    told = {note for note in expected.notes if not note.startswith("the error is an estimate")}
    assert set(d.notes) == told
    if not expected.error.certified:  # where serial proves a bound, that is another number
        assert d.error.truncation == pytest.approx(expected.error.truncation, rel=1e-6, abs=1e-12)


def test_classes_are_weighted_by_absorption(comm):
    model = network({"A": 20, "B": 0, "C": 0}, ("A -> B", "mass_action", 1.0), ("A -> C", "mass_action", 3.0))
    d, expected = on_ranks(comm, model), serial(model)
    assert len(d.notes) == 21
    assert set(d.notes) == set(expected.notes)
    space = fsp.StateSpace.reachable(model)
    weights = dict(zip(map(tuple, expected.states.tolist()), expected.probabilities.tolist(), strict=True))
    assert len(d) == len(space) == len(weights)
    assert d.probabilities == pytest.approx([weights[tuple(x)] for x in d.states.tolist()], abs=1e-12)


def test_parities_are_weighted_by_the_start(comm):
    model = network(
        {"X": 0}, ("0 -> 2 X", "mass_action", 8.0), ("2 X -> 0", "mass_action", 1.0), initial={(0,): 0.3, (5,): 0.7}
    )
    d = on_ranks(comm, model, 1e-9)
    assert total(comm, d.probabilities[d.states[:, 0] % 2 == 0]) == pytest.approx(0.3, abs=1e-9)
    assert len(d.notes) == 2


def test_too_many_parts_are_refused_with_the_way_out(comm, monkeypatch):
    monkeypatch.setattr(classes, "MOST_GATHERED", 5)
    model = network({"A": 20, "B": 0}, ("A -> B", "mass_action", 1.0))
    with pytest.raises(fsp.StateSpaceError, match=r"at most 5 parts.*backend='serial'"):
        on_ranks(comm, model, space=StateSpace.reachable(model, comm=comm))


def test_probability_that_escapes_is_refused(comm):
    gone = network({"X": 0, "Y": 0}, ("0 -> X", "mass_action", 1.0), ("X -> Y", "mass_action", 1.0))
    with pytest.raises(fsp.StateSpaceError, match="escapes"):
        on_ranks(comm, gone)


# ---- solvers that lie ------------------------------------------------------------------------------------------


def wrong_mode(solver, b, rtol=0.0):
    """Say that nothing need be corrected."""
    return np.zeros_like(b)


def too_little(solver, b, rtol=0.0):
    """Correct one state in three."""
    found = ORIGINAL(solver, b, rtol)
    found[::3] = 0.0
    return found


ORIGINAL = systems.LinearSolver.solve


@pytest.mark.parametrize("lie", [wrong_mode, too_little])
@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_a_solver_that_lies_is_found_out(comm, monkeypatch, lie, method):
    monkeypatch.setattr(systems.LinearSolver, "solve", lie)
    model = toggle()
    space = StateSpace.box(model, 30, comm=comm)
    with pytest.raises(fsp.ConvergenceError, match=r"residual|negative|sum"):
        on_ranks(comm, model, space=space, method=method)


def test_an_eigensolver_that_returns_another_mode_is_found_out(comm, monkeypatch):
    model = toggle()
    space = StateSpace.box(model, 30, comm=comm)

    def another(problem, inner):
        return -problem.place

    monkeypatch.setattr(null_vectors, "_eigenvector", another)
    monkeypatch.setattr(systems.LinearSolver, "solve", wrong_mode)
    with pytest.raises(fsp.ConvergenceError):
        on_ranks(comm, model, space=space, method="eigen")


def test_the_next_method_is_tried(comm, monkeypatch):
    """The biconjugate gradients of PETSc call themselves converged on singular systems, and are not."""
    model = toggle()
    expected = serial(model, space=fsp.StateSpace.box(model, 40))
    monkeypatch.setattr(null_vectors, "_order", lambda n: ("iterative", "direct"))

    def lie_unless_direct(solver, b, rtol=0.0):
        return ORIGINAL(solver, b, rtol) if solver._ksp.getType() == "preonly" else np.ones_like(b)

    monkeypatch.setattr(systems.LinearSolver, "solve", lie_unless_direct)
    d = on_ranks(comm, model, space=StateSpace.box(model, 40, comm=comm))
    assert total(comm, np.abs(d.probabilities - expected.probabilities[part(d)])) <= 1e-11


def test_what_a_residual_hides_is_estimated(comm):
    """Two wells with rare jumps between them: the error is 10⁴ times the residual."""
    model = network(
        {"X": 0},
        ("0 -> X", "rate", "3 + 32 * X^6 / (15^6 + X^6)"),
        ("X -> 0", "mass_action", 1.0),
    )
    expected = serial(model, space=fsp.StateSpace.box(model, 80), method="gth")
    d = on_ranks(comm, model, 1e-4, space=StateSpace.box(model, 80, comm=comm), method="iterative")
    assert total(comm, np.abs(d.probabilities - expected.probabilities[part(d)])) <= d.error.integration


# ---- options ---------------------------------------------------------------------------------------------------


def test_options_are_set_only_during_the_call(comm, monkeypatch):
    database = load().PETSc.Options()
    assert not [name for name in database.getAll() if name.startswith("fsp_")]  # none is left of the tests above
    database.setValue("fsp_ksp_gmres_restart", 17)
    before = database.getAll()
    model = toggle()
    space = StateSpace.box(model, 20, comm=comm)
    seen = []

    def look(solver, b, rtol=0.0):
        seen.append((solver._ksp.getType(), database.getAll()["fsp_ksp_gmres_restart"]))
        return ORIGINAL(solver, b, rtol)

    monkeypatch.setattr(systems.LinearSolver, "solve", look)
    monkeypatch.setattr("sys.argv", ["program", "-fsp_ksp_type", "fgmres", "--other", "-1"])
    on_ranks(comm, model, space=space, method="iterative", options={"-fsp_ksp_gmres_restart": 11})
    assert set(seen) == {("fgmres", "11")}
    assert database.getAll() == before
    with pytest.raises(fsp.ConvergenceError):
        on_ranks(comm, model, space=space, method="iterative", options={"ksp_type": "no_such_type"})
    assert database.getAll() == before
    database.delValue("fsp_ksp_gmres_restart")


def test_options_are_read_from_arguments():
    arguments = ["x.ant", "-fsp_ksp_rtol", "-1e-3", "-fsp_ksp_monitor", "-fsp_eps_type", "jd", "--tol", "1"]
    assert flags.from_arguments(arguments) == {"ksp_rtol": "-1e-3", "ksp_monitor": "", "eps_type": "jd"}
    assert flags.without_options(arguments) == ["x.ant", "--tol", "1"]


def test_wrong_arguments_are_refused(comm):
    model = toggle()
    for more, match in [
        ({"options": {"speed": 1}}, "`options`.*speed"),
        ({"method": "gth"}, "`method`.*direct, iterative, eigen"),
        ({"space": fsp.StateSpace.box(model, 5)}, "`space`"),
    ]:
        with pytest.raises(fsp.ArgumentError, match=match):
            on_ranks(comm, model, **more)
    if comm.size > 1:
        with pytest.raises(fsp.ArgumentError, match="same on all ranks"):
            on_ranks(comm, model, options={"ksp_rtol": comm.rank})


# ---- relaxation ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["direct", "iterative"])
def test_relaxation_of_immigration_and_death(comm, method):
    """Eigenvalues are multiples of the death rate."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 5.0), ("X -> 0", "mass_action", 0.7))
    modes = relaxation(Generator(model, StateSpace.box(model, 80, comm=comm)), 3, method=method)
    assert isinstance(modes, fsp.Relaxation)
    assert modes.eigenvalues == pytest.approx([-0.7, -1.4, -2.1], rel=1e-6)
    assert modes.times[0] == pytest.approx(1 / 0.7, rel=1e-6)
    assert "spectral gap ≈ 0.7" in str(modes)
    law = stats.poisson(5 / 0.7)
    x = modes.states[:, 0]
    slowest = law.pmf(x) * (x - 5 / 0.7)  # of the linear function x, as a deviation
    assert np.abs(modes.right[:, 0].imag).max(initial=0.0) <= 1e-9
    inside = modes.right[:, 0].real
    scale = comm.sum(float(inside @ slowest)) / comm.sum(float(slowest @ slowest))
    assert comm.sum(float(np.abs(inside - scale * slowest).sum())) <= 1e-5
    assert comm.sum(float(np.abs(inside).sum())) == pytest.approx(1.0, rel=1e-12)


def test_relaxation_of_a_model_is_that_of_one_process(comm):
    """The space grows on ranks too, and jumps out of it lead back to the most probable state."""
    model = network({"X": 0}, ("0 -> X", "mass_action", 5.0), ("X -> 0", "mass_action", 0.7))
    modes = fsp.relaxation(model, 2, 1e-8, backend="petsc", comm=comm)
    expected = fsp.relaxation(model, 2, 1e-8)
    for found in (modes, expected):
        assert (np.abs(found.eigenvalues - [-0.7, -1.4]) <= found.errors + 1e-12).all()
        assert (found.errors <= 1e-5).all()
    assert total(comm, len(modes.states)) == modes.n_states
    assert any("estimate" in note for note in modes.notes)
    space = StateSpace.box(model, 60, comm=comm)
    on_space = fsp.relaxation(model, 2, backend="petsc", comm=comm, space=space)
    assert on_space.eigenvalues == pytest.approx(relaxation(Generator(model, space), 2).eigenvalues, rel=1e-9)


def test_relaxation_of_several_or_absorbing_classes_is_refused(comm):
    absorbed = network({"A": 5}, ("A -> 0", "mass_action", 1.0))
    with pytest.raises(fsp.BackendError, match=r"absorbed.*backend='serial'"):
        fsp.relaxation(absorbed, 1, 1e-8, backend="petsc", comm=comm)
    rings = [(f"{x} -> {y}", "mass_action", 1.0) for x, y in ("BC", "CB", "DE", "ED")]
    choice = network(
        {"A": 1, "B": 0, "C": 0, "D": 0, "E": 0}, ("A -> B", "mass_action", 1.0), ("A -> D", "mass_action", 2.0), *rings
    )
    with pytest.raises(fsp.StateSpaceError, match="one closed class, but 2"):
        fsp.relaxation(choice, 1, 1e-8, backend="petsc", comm=comm)


@pytest.mark.parametrize("kind", ["gd", "jd"])
def test_davidson_methods_are_refused_with_the_way_out(comm, kind):
    model, options = toggle(), {"eps_type": kind}
    space = StateSpace.box(model, 20, comm=comm)
    with pytest.raises(fsp.ArgumentError, match=f"`eps_type`.*'{kind}'.*method='iterative'"):
        on_ranks(comm, model, space=space, method="eigen", options=options)
    with pytest.raises(fsp.ArgumentError, match=f"`eps_type`.*'{kind}'.*method='iterative'"):
        relaxation(Generator(model, space), 1, options=options)


@pytest.mark.parametrize("kind", ["krylovschur", "arnoldi", "subspace"])
def test_other_eigensolvers_are_taken(comm, kind):
    model = network({"X": 0}, ("0 -> X", "mass_action", 5.0), ("X -> 0", "mass_action", 0.7))
    space = StateSpace.box(model, 60, comm=comm)
    modes = relaxation(Generator(model, space), 2, options={"eps_type": kind})
    assert modes.eigenvalues == pytest.approx([-0.7, -1.4], rel=1e-6)


def test_relaxation_in_cycles_and_in_several_classes(comm):
    cycle = network(
        {"A": 1, "B": 0, "C": 0, "N": 0},
        ("A -> B", "mass_action", 2.0),
        ("B -> C", "mass_action", 2.0),
        ("C -> A", "mass_action", 2.0),
    )
    twice = StateSpace.from_states(
        cycle.species, [[*row, n] for row in np.eye(3, dtype=int).tolist() for n in (0, 1)], comm=comm
    )
    modes = relaxation(Generator(cycle, twice), 4)
    found = sorted(modes.eigenvalues, key=lambda value: value.imag)
    assert found == pytest.approx([complex(-3.0, sign * np.sqrt(3.0)) for sign in (-1, -1, 1, 1)], rel=1e-7)
    with pytest.raises(fsp.ArgumentError, match="`n`"):
        relaxation(Generator(cycle, twice), 6)


def test_ranks_that_ask_different_things_are_refused_on_all(comm):
    last = comm.rank == comm.size - 1
    laws = [network({"X": 0}, ("0 -> X", "rate", rate), ("X -> 0", "mass_action", 1.0)) for rate in ("5", "6")]
    generator = Generator(laws[0], StateSpace.box(laws[0], 30, comm=comm))
    questions = (
        lambda: on_ranks(comm, laws[last], 1e-6),
        lambda: on_ranks(comm, laws[0], 1e-5 if last else 1e-6),
        lambda: on_ranks(comm, laws[0], 1e-6, method="direct" if last else "iterative"),
        lambda: fsp.relaxation(laws[0], 2 if last else 1, backend="petsc", comm=comm.mpi),
        lambda: relaxation(generator, 2 if last else 1),
    )
    for ask in questions if comm.size > 1 else ():
        with pytest.raises(fsp.ArgumentError, match="same on all ranks"):
            ask()


def test_modes_of_some_ranks_are_not_drawn(comm):
    model = network({"X": 0}, ("0 -> X", "mass_action", 5.0), ("X -> 0", "mass_action", 0.7))
    modes = fsp.relaxation(model, 1, backend="petsc", comm=comm.mpi)
    if comm.size == 1:
        assert modes.plot().axes
    else:
        with pytest.raises(fsp.BackendError, match=r"states are, but .* are here"):
            modes.plot()


def test_a_gate_that_opens_for_good_is_open(comm):
    """The class that it leads to leaks, and does not lead back to the start."""
    model = network(
        {"A": 1, "B": 0, "C": 0},
        ("A -> B", "mass_action", 1e-8),
        ("B -> B + C", "mass_action", 20.0),
        ("C -> 0", "mass_action", 1.0),
    )
    d = on_ranks(comm, model, 1e-8)
    law = stats.poisson.pmf(d.states[:, 2], 20.0) * d.states[:, 1]
    assert total(comm, np.abs(d.probabilities - law)) <= d.error.total <= 1e-8


def test_whole_spaces_confirm_and_modes_that_rounding_hides_are_refused(comm):
    isomers = network({"A": 9, "B": 0}, ("A -> B", "mass_action", 0.5), ("B -> A", "mass_action", 1.0))
    modes = relaxation(Generator(isomers, StateSpace.reachable(isomers, comm=comm)), 2)
    assert modes.eigenvalues == pytest.approx([-1.5, -3.0], rel=1e-9)
    assert "spectral gap 1.5" in str(modes)
    gate = network(
        {"A": 1, "B": 0, "X": 0},
        ("A -> B", "mass_action", 1e-15),
        ("B -> A", "mass_action", 1e-15),
        ("0 -> X", "rate", "4 + 4*A"),
        ("X -> 0", "mass_action", 1.0),
    )
    with pytest.raises(fsp.ConvergenceError, match="told from zero"):
        relaxation(Generator(gate, StateSpace.box(gate, {"A": 1, "B": 1, "X": 30}, comm=comm)), 1)
