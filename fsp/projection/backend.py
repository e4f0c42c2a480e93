"""What the loop works with: spaces, generators, solvers and answers of one process, or of many ranks.

The loop is the same for both; a backend makes what differs.  That of many ranks is `fsp.petsc.backend`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from fsp.distribution import Distribution
from fsp.errors import ArgumentError
from fsp.generator import Generator
from fsp.solvers import SOLVERS
from fsp.space import StateSpace
from fsp.space.communicator import SINGLE_PROCESS, Processes

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.base import BaseGenerator
    from fsp.model import Model
    from fsp.solvers import Solver
    from fsp.space.base import BaseSpace


class Backend:
    """Makes the parts of a computation, here in one process; vectors are those of this process's own states, (n,)."""

    comm: Processes = SINGLE_PROCESS
    """The processes that it runs on."""
    solvers: Mapping[str, type[Solver]] = SOLVERS
    """Solvers by name."""
    automatic: Collection[str] = SOLVERS
    """The names of those that are chosen by the work that they promise."""

    def check_solver(self, solver: str | Solver) -> None:
        """Raise a BackendError where a solver cannot work here; in one process the solver itself says so."""

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> BaseSpace:
        """Return the states that a network reaches, see `fsp.StateSpace.reachable`."""
        return StateSpace.reachable(model, steps=steps, max_states=max_states)

    def generator(self, model: Model, space: BaseSpace, t: float = 0.0) -> BaseGenerator:
        """Return the generator of a space at a time; raise an ArgumentError for a space of another backend."""
        return Generator(model, serial(space), t)

    def distribution(self, space: BaseSpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer: probabilities (n,) of the states of a space, and the rest as for `Distribution`."""
        return Distribution(space.states, p, space.species, **rest)


SERIAL = Backend()


def serial(space: BaseSpace) -> StateSpace:
    """Return a space of one process as what it is; raise an ArgumentError for any other."""
    if not isinstance(space, StateSpace):
        raise ArgumentError(f"`space` must be a fsp.StateSpace with backend='serial', but is {space!r}.")
    return space


def of_model(model: Model) -> dict[str, Any]:
    """Return what a `Distribution` knows of its model."""
    return {
        "model_name": model.name,
        "model_hash": model.hash,
        "time_unit": model.time_unit,
        "observables": model.observables,
    }
