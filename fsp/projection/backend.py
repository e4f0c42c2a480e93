"""What the loop works with: spaces, generators, solvers and answers of one process, or of many ranks.

The loop is the same for both; a backend makes what differs.  That of many ranks is `fsp.petsc.backend`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from fsp.distribution import Distribution
from fsp.generator import Generator
from fsp.solvers import SOLVERS
from fsp.space import StateSpace
from fsp.space.alone import ALONE

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.solvers import Solver


class Backend(Protocol):
    """What makes the parts of a computation.

    Attributes
    ----------
    comm
        The ranks, see `fsp.space.alone`.
    solvers
        Solvers by name.
    automatic
        The names of those that are chosen by the work that they promise.
    """

    @property
    def comm(self) -> Any: ...  # noqa: D102 - above

    @property
    def solvers(self) -> Mapping[str, type[Solver]]: ...  # noqa: D102 - above

    @property
    def automatic(self) -> Collection[str]: ...  # noqa: D102 - above

    def check_solver(self, solver: str | Solver) -> None:
        """Raise a BackendError where a solver cannot work here."""
        ...

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> StateSpace:
        """Return the states that a network reaches, see `fsp.StateSpace.reachable`."""
        ...

    def generator(self, model: Model, space: StateSpace, t: float) -> Generator:
        """Return the generator of a space at a time."""
        ...

    def distribution(self, space: StateSpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer: probabilities (n,) of the states of a space, and the rest as for `Distribution`."""
        ...


class Serial:
    """One process."""

    comm = ALONE
    solvers: Mapping[str, type[Solver]] = SOLVERS
    automatic: Collection[str] = SOLVERS

    def check_solver(self, solver: str | Solver) -> None:
        """Accept all; the solver itself refuses what it cannot do."""

    def reachable(self, model: Model, *, steps: int | None = None, max_states: int) -> StateSpace:
        """Return the states that a network reaches."""
        return StateSpace.reachable(model, steps=steps, max_states=max_states)

    def generator(self, model: Model, space: StateSpace, t: float) -> Generator:
        """Return the generator of a space at a time."""
        return Generator(model, space, t)

    def distribution(self, space: StateSpace, p: FloatArray, **rest: Any) -> Distribution:
        """Return the answer."""
        return Distribution(space.states, p, space.species, **rest)


SERIAL = Serial()
