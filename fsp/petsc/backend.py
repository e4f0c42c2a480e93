"""What the loop works with on many ranks: see `fsp.projection.backend`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fsp.errors import ArgumentError, BackendError
from fsp.petsc.comm import Communicator
from fsp.petsc.distribution import Distribution
from fsp.petsc.generator import Generator
from fsp.petsc.mfn import MFN
from fsp.petsc.space import StateSpace
from fsp.petsc.ts import TS
from fsp.projection.backend import Backend
from fsp.solvers import SOLVERS

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.solvers import Solver
    from fsp.space.base import BaseSpace

RANK_SOLVERS: dict[str, type[Solver]] = {
    **{name: kind for name, kind in SOLVERS.items() if kind.on_ranks},
    **{kind.name(): kind for kind in (MFN, TS)},
}


class Ranks(Backend):
    """A group of ranks: a communicator of mpi4py, petsc4py or this package; None for all ranks."""

    comm: Communicator
    solvers = RANK_SOLVERS
    automatic = tuple(name for name, kind in RANK_SOLVERS.items() if kind.is_reproducible)

    def __init__(self, comm: Any = None) -> None:
        self.comm = Communicator.of(comm)

    def check_solver(self, solver: str | Solver) -> None:
        """Raise a BackendError for a solver that works in one process alone."""
        kind = SOLVERS.get(solver) if isinstance(solver, str) else type(solver)
        if kind is not None and not getattr(kind, "on_ranks", True):
            raise BackendError(
                f"`solver` must work on vectors that are spread over ranks with backend='petsc', but '{kind.name()}' "
                f"factorises the matrix in one process; use {', '.join(self.solvers)}, or backend='serial'."
            )

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> StateSpace:
        """Return the states that a network reaches."""
        return StateSpace.reachable(model, steps=steps, max_states=max_states, comm=self.comm)

    def generator(self, model: Model, space: BaseSpace, t: float = 0.0) -> Generator:
        """Return the generator of a space at a time."""
        return Generator(model, spread(space), t)

    def distribution(self, space: BaseSpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer."""
        return Distribution(spread(space), p, **rest)


def spread(space: BaseSpace) -> StateSpace:
    """Return a space that is spread over ranks as what it is; raise an ArgumentError for any other."""
    if not isinstance(space, StateSpace):
        raise ArgumentError(f"`space` must be a fsp.petsc.StateSpace with backend='petsc', but is {space!r}.")
    return space
