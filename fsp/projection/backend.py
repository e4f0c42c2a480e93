"""What the loop works with: spaces, generators, solvers and answers of one process, or of many ranks.

The loop is the same for both; a backend makes what differs.  That of many ranks is `fsp.petsc.backend`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fsp.distribution import Distribution
from fsp.errors import ArgumentError
from fsp.generator import Generator
from fsp.solvers import SOLVERS
from fsp.space import StateSpace
from fsp.space.communicator import SINGLE_PROCESS

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.protocol import AnyGenerator
    from fsp.model import Model
    from fsp.solvers import Solver
    from fsp.space.communicator import AnyCommunicator
    from fsp.space.protocol import AnySpace


class Backend(Protocol):
    """Makes the parts of a computation; vectors are those of this process's own states, (n,)."""

    @property
    def comm(self) -> AnyCommunicator:
        """The processes that it runs on."""
        ...

    @property
    def solvers(self) -> Mapping[str, type[Solver]]:
        """Solvers by name."""
        ...

    @property
    def automatic(self) -> Collection[str]:
        """The names of those that are chosen by the work that they promise."""
        ...

    def check_solver(self, solver: str | Solver) -> None:
        """Raise a BackendError where a solver cannot work here."""
        ...

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> AnySpace:
        """Return the states that a network reaches, see `fsp.StateSpace.reachable`."""
        ...

    def generator(self, model: Model, space: AnySpace, t: float = 0.0) -> AnyGenerator:
        """Return the generator of a space at a time; raise an ArgumentError for a space of another backend."""
        ...

    def distribution(self, space: AnySpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer: probabilities (n,) of the states of a space, and the rest as for `Distribution`."""
        ...


class Serial:
    """One process."""

    comm = SINGLE_PROCESS
    solvers: Mapping[str, type[Solver]] = SOLVERS
    automatic: Collection[str] = SOLVERS

    def check_solver(self, solver: str | Solver) -> None:
        """Accept all; the solver itself refuses what it cannot do."""

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> StateSpace:
        """Return the states that a network reaches."""
        return StateSpace.reachable(model, steps=steps, max_states=max_states)

    def generator(self, model: Model, space: AnySpace, t: float = 0.0) -> Generator:
        """Return the generator of a space at a time."""
        return Generator(model, serial(space), t)

    def distribution(self, space: AnySpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer."""
        return Distribution(space.states, p, space.species, **rest)


SERIAL = Serial()


def serial(space: AnySpace) -> StateSpace:
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
