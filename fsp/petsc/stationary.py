"""Stationary distributions on spaces that are spread over ranks; mirrors `fsp.equilibrium.stationary`.

The same steps: leaks closed, closed classes, a null vector of each, weighted by the probability of ending in it; on a
given space, or on one that grows until the answer settles.  The error is an estimate throughout.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fsp.distribution import ErrorLedger
from fsp.equilibrium.stationary import NEGLIGIBLE, gaining, refuse_accumulation
from fsp.errors import ArgumentError, BackendError, ToleranceWarning
from fsp.petsc.backend import Ranks
from fsp.petsc.classes import absorption, close_leaks
from fsp.petsc.comm import Communicator
from fsp.petsc.distribution import Distribution
from fsp.petsc.generator import Generator
from fsp.petsc.null_vectors import METHODS, NullVector, Problem, null_vector
from fsp.petsc.options import Options
from fsp.petsc.space import StateSpace
from fsp.petsc.systems import block, solution
from fsp.projection.growth import MAX_STATES, Growth, check_tolerance, starting_vector
from fsp.projection.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fsp.arrays import BoolArray, FloatArray
    from fsp.model import Model
    from fsp.petsc.classes import ClosedChain
    from fsp.projection.progress import ProgressCallback

SHARE = 0.1  # of the tolerance for the error of null vectors
GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True, eq=False)
class Solved:
    """The answer on one space; arrays are this rank's parts.

    Parameters
    ----------
    generator
        Of the space.
    p
        Probabilities, of mass 1 less what was lost, (n_local,).
    occupation
        Mean times in transient states, (n_local,).
    lost
        Probability of leaving the space before a closed class is reached.
    error
        Of the null vectors, weighted.
    notes
        What is to be said about it.
    """

    generator: Generator
    p: FloatArray
    occupation: FloatArray
    lost: float
    error: float
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """How null vectors are found; `place` is that of `fsp.petsc.null_vectors.Problem`."""

    method: str
    target: float
    options: Options
    place: FloatArray = field(default_factory=lambda: np.empty(0))


def stationary(
    model: Model,
    tol: float = 1e-6,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    comm: Any = None,
    options: Mapping[str, Any] | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
) -> Distribution:
    """Return the stationary distribution, spread over ranks; see `fsp.stationary`.  Collective.

    Parameters
    ----------
    model, tol, max_states, max_memory
        As of `fsp.stationary`.
    space
        A `fsp.petsc.StateSpace`, with a reflecting boundary; by default a space that grows.
    method
        ``"direct"``: inverse iteration with MUMPS.  ``"iterative"``: GMRES with incomplete factors.  ``"eigen"``:
        SLEPc's EPS.  ``"auto"``: by the number of states, and the next one where the checks fail.
    comm
        The ranks; None for all, or those of `space`.
    options
        Options of PETSc and SLEPc, such as ``{"ksp_type": "bcgs"}``; those named ``-fsp_...`` on the command line
        of the program are added.
    progress
        Called on every rank.

    Raises
    ------
    ArgumentError
        If an argument is wrong, or `space` is not spread over `comm`.
    StateSpaceError
        If the estimate does not meet `tol` within the limits, or probability escapes to infinity.
    ConvergenceError
        If a null vector cannot be computed.
    BackendError
        If propensities depend on time.
    """
    ranks = Communicator.of(comm if comm is not None or space is None else getattr(space, "comm", None))
    ranks.together("fsp.stationary")
    with ranks.agree():
        _check(model, tol, space, method, ranks)
    settings = Settings(method, SHARE * tol, Options(ranks, options))
    if space is not None:
        return _on_fixed_space(model, space, tol, settings)
    limit = MAX_STATES * ranks.size if max_states is None else max_states
    growth = Growth(model, limit, max_memory, stationary=True, backend=cast("Any", Ranks(ranks)))
    return _on_growing_space(model, tol, ranks, settings, growth, progress)


def _check(model: Model, tol: float, space: Any, method: str, ranks: Communicator) -> None:
    if model.is_time_dependent:
        raise BackendError(
            "A stationary distribution must have constant propensities, but this network's depend on time."
        )
    check_tolerance(tol)
    if method not in ("auto", *METHODS):
        raise ArgumentError(f"`method` must be one of {', '.join(['auto', *METHODS])}, but is {method!r}.")
    if space is not None and not isinstance(space, StateSpace):
        raise ArgumentError(f"`space` must be a fsp.petsc.StateSpace with backend='petsc', but is {space!r}.")
    if space is not None and space.comm.size != ranks.size:
        raise ArgumentError(f"`comm` must have the {space.comm.size} ranks of `space`, but has {ranks.size}.")


def _on_fixed_space(model: Model, space: StateSpace, tol: float, settings: Settings) -> Distribution:
    solved = _solve(model, space, settings, None)
    generator, comm = solved.generator, space.comm
    outflow, slowest = comm.sum(np.array([generator.leak_rates @ solved.p, generator.exit_rates @ solved.p]))
    missing = 2.0 * outflow / max(slowest, 1e-300) + 2.0 * solved.lost
    if gaining(model, cast("Any", space), solved.p) is not None:
        missing = 2.0
    found = _distribution(model, solved, min(2.0, float(missing)))
    with comm.agree():  # a warning may be an error
        if found.error.total > tol and comm.rank == 0:
            warnings.warn(
                f"The estimated error {found.error.total:.1e} exceeds tol = {tol:.1e}; give a larger `space` or none.",
                ToleranceWarning,
                stacklevel=4,
            )
    return found


def _on_growing_space(
    model: Model,
    tol: float,
    ranks: Communicator,
    settings: Settings,
    growth: Growth,
    progress: ProgressCallback | None,
) -> Distribution:
    """Grow the space as `fsp.stationary` does."""
    space: Any = growth.first()
    solved = _solve(model, space, settings, None)
    change, confirming = 2.0, False
    while solved.generator.n_sinks:
        refuse_accumulation(model, space, solved.p, growth.count)
        weight, generator = solved.p + solved.occupation, cast("Any", solved.generator)
        ledger = ErrorLedger(truncation=change, integration=solved.error, certified=False)
        grown: Any = growth.grow(space, generator, weight, None, ledger, everywhere=confirming)
        before = space.carry(solved.p, grown)
        space, solved = grown, _solve(model, grown, settings, before)
        change = float(ranks.sum(float(np.abs(solved.p - before).sum()))) + 2.0 * solved.lost
        if progress is not None:
            with ranks.agree():
                progress(Progress(None, None, len(space), change + solved.error, "stationary"))
        settled = change + solved.error <= tol
        if settled and confirming:
            break
        confirming = settled
    return _distribution(model, solved, change if solved.generator.n_sinks else 0.0)


def _solve(model: Model, space: StateSpace, settings: Settings, guess: FloatArray | None) -> Solved:
    generator = Generator(model, space)
    start = starting_vector(model, cast("Any", space))
    chain = close_leaks(generator, start)
    settings = replace(settings, place=_place(space))
    p, error, notes = np.zeros(space.n_local), 0.0, []
    with chain.matrix() as matrix:
        end = absorption(chain, matrix, start, lambda a, b: solution(space.comm, a, b, settings.options))
        for number, weight in enumerate(end.weights.tolist()):
            if weight <= NEGLIGIBLE:
                continue
            members = chain.number == number
            found = _in_class(chain, matrix, members, settings, guess)
            p[members] = weight * found.p
            error += weight * found.error
            notes.append(
                f"closed class of {int(chain.sizes[number]):,} states around ({_example(space, members)}), probability "
                f"{weight:.6g}"
            )
    return Solved(generator, p, end.occupation, end.lost, error, tuple(notes) if len(notes) > 1 else ())


def _in_class(
    chain: ClosedChain, matrix: Any, members: BoolArray, settings: Settings, guess: FloatArray | None
) -> NullVector:
    """Return the stationary vector of one closed class, whose states are a mask of this rank's."""
    comm = chain.comm
    if guess is not None:
        mass = float(comm.sum(float(guess[members].sum())))
        guess = guess[members] / mass if mass > 0.0 else None

    def find(of_class: Any) -> NullVector:
        place = settings.place[members]
        return null_vector(Problem(comm, of_class, place, settings.target, settings.options), settings.method, guess)

    if comm.all(bool(members.all())):
        return find(matrix)
    with block(comm, matrix, members) as of_class:
        return find(of_class)


def _place(space: StateSpace) -> FloatArray:
    """Return a sum of scaled counts that differs from species to species, (n_local,)."""
    weights = 0.5 + np.arange(1, len(space.species) + 1) * GOLDEN % 1.0
    place: FloatArray = (space.states - space.bottom) @ (weights / np.maximum(space.top - space.bottom, 1))
    return place


def _example(space: StateSpace, members: BoolArray) -> str:
    """Return the first state for which a mask of this rank's states is true on any rank."""
    own = space.states_at(np.flatnonzero(members)[:1]).tolist()
    state = next(state for states in space.comm.mpi.allgather(own) for state in states)
    return ", ".join(f"{s}={x}" for s, x in zip(space.species, state, strict=True))


def _distribution(model: Model, solved: Solved, truncation: float) -> Distribution:
    lost = solved.generator.rate_errors.lost
    return Distribution(
        solved.generator.space,
        solved.p,
        t=None,
        error=ErrorLedger(truncation=truncation, integration=solved.error, rounding=lost, certified=False),
        closed=solved.generator.n_sinks == 0,
        model_name=model.name,
        model_hash=model.hash,
        time_unit=model.time_unit,
        observables=model.observables,
        notes=solved.notes,
    )
