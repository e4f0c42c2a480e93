"""Stationary distributions on spaces that are spread over ranks: see `fsp.equilibrium.estimate`.

The error is an estimate throughout.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.equilibrium.estimate import ClosedClass, Estimate, check_arguments, converged_answer, weighted
from fsp.errors import ArgumentError, ToleranceWarning
from fsp.model.fingerprint import comparable
from fsp.petsc.backend import Ranks, spread
from fsp.petsc.classes import absorption, close_leaks
from fsp.petsc.comm import Communicator
from fsp.petsc.distribution import Distribution
from fsp.petsc.generator import Generator
from fsp.petsc.null_vectors import METHODS, NullVectorProblem, null_vector
from fsp.petsc.options import Options
from fsp.petsc.systems import solution
from fsp.projection.backend import of_model
from fsp.projection.growth import Growth, most_states, starting_vector

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fsp.arrays import BoolArray, FloatArray
    from fsp.chains.null_vectors import NullVector
    from fsp.model import Model
    from fsp.petsc.classes import ClosedChain
    from fsp.petsc.space import StateSpace
    from fsp.projection.progress import ProgressCallback
    from fsp.space.base import BaseSpace

NULL_VECTOR_SHARE = 0.1  # of the tolerance for the error of null vectors; chosen, not measured
GOLDEN = 0.6180339887498949  # ratio whose multiples are spread evenly over an interval


@dataclass(frozen=True, slots=True)
class Settings:
    """How null vectors are found."""

    method: str
    target: float
    options: Options


def stationary(
    model: Model,
    tol: float = defaults.TOL,
    *,
    space: StateSpace | None = None,
    method: str = "auto",
    comm: Any = None,
    options: Mapping[str, Any] | None = None,
    max_states: int | None = None,
    max_memory: int | None = None,
    progress: ProgressCallback | None = None,
) -> Distribution:
    """Do the work of `fsp.stationary` on ranks, the communicator `comm`, or those of `space`.  Collective."""
    ranks = Communicator.of(comm if comm is not None or space is None else getattr(space, "comm", None))
    ranks.together("fsp.stationary")
    with ranks.agree():
        check_arguments(model, tol, method, METHODS)
        _check_space(space, ranks)
    asked = comparable(model.hash), tol, method, space is None, max_states, max_memory
    ranks.require_same(asked, "The problem")
    solve = partial(_solve, model, Settings(method, NULL_VECTOR_SHARE * tol, Options(ranks, options)))
    if space is not None:
        return _on_fixed_space(solve(space, None), tol)
    limit = most_states(model) * ranks.size if max_states is None else max_states
    growth = Growth(model, limit, max_memory, stationary=True, backend=Ranks(ranks))
    estimate, change = converged_answer(model, growth, tol, solve, progress)
    return _distribution(estimate, change)


def _check_space(space: Any, ranks: Communicator) -> None:
    if space is not None and spread(space).comm.size != ranks.size:
        raise ArgumentError(f"`comm` must have the {space.comm.size} ranks of `space`, but has {ranks.size}.")


def _on_fixed_space(estimate: Estimate, tol: float) -> Distribution:
    answer = _distribution(estimate, estimate.suppressed())
    comm = answer.space.comm
    with comm.agree():  # a warning may be an error
        if answer.error.total > tol and comm.rank == 0:
            warnings.warn(
                f"The estimated error {answer.error.total:.1e} exceeds tol = {tol:.1e}; give a larger `space` or none.",
                ToleranceWarning,
                stacklevel=4,
            )
    return answer


def _solve(model: Model, settings: Settings, space: BaseSpace, guess: FloatArray | None) -> Estimate:
    space = spread(space)
    generator = Generator(model, space)
    start = starting_vector(model, space)
    chain = close_leaks(generator, start)
    with chain.matrix() as matrix:
        end = absorption(chain, matrix, start, lambda a, b: solution(space.comm, a, b, settings.options))
        return weighted(generator, end, _unsolved(space, chain, matrix, settings), guess)


def _unsolved(space: StateSpace, chain: ClosedChain, matrix: Any, settings: Settings) -> Iterator[ClosedClass]:
    place = _place(space)
    for number, size in enumerate(chain.sizes.tolist()):
        members = chain.number == number
        solve = partial(_in_class, chain, matrix, members, settings, place[members])
        yield ClosedClass(members, int(size), _example(space, members), solve)


def _in_class(
    chain: ClosedChain,
    matrix: Any,
    members: BoolArray,
    settings: Settings,
    place: FloatArray,
    guess: FloatArray | None,
) -> NullVector:
    """Return the stationary vector of one closed class, whose states are a mask of this rank's."""
    with chain.part(matrix, members) as of_class:
        problem = NullVectorProblem(chain.comm, of_class, place, settings.target, settings.options)
        return null_vector(problem, settings.method, guess)


def _place(space: StateSpace) -> FloatArray:
    """Return a sum of scaled counts that differs from species to species, (n_local,)."""
    weights = 0.5 + np.arange(1, len(space.species) + 1) * GOLDEN % 1.0
    place: FloatArray = (space.states - space.bottom) @ (weights / np.maximum(space.top - space.bottom, 1))
    return place


def _example(space: StateSpace, members: BoolArray) -> str:
    """Return the first state for which a mask of this rank's states is true on any rank."""
    example = space.states_at(np.flatnonzero(members)[:1]).tolist()
    state = next(state for states in space.comm.mpi.allgather(example) for state in states)
    return ", ".join(f"{s}={x}" for s, x in zip(space.species, state, strict=True))


def _distribution(estimate: Estimate, truncation: float) -> Distribution:
    generator = estimate.generator
    return Distribution(
        spread(generator.space),
        estimate.p,
        t=None,
        error=estimate.ledger(truncation),
        closed=generator.n_sinks == 0 and not generator.model.definition.has_tails,
        notes=estimate.notes,
        **of_model(generator.model),
    )
