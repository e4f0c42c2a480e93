"""What the loop, the solvers and growth use of a state space, whether one process holds it or many ranks do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from fsp.arrays import BoolArray, FloatArray, IntArray
    from fsp.model import Model
    from fsp.space.communicator import AnyCommunicator
    from fsp.space.constraints import Constraint, ConstraintLike
    from fsp.space.space import StateSpace


class AnySpace(Protocol):
    """A `fsp.StateSpace` or a `fsp.petsc.StateSpace`.

    Its length is the number of all states; arrays by state, and indices of states, are those of this process's own
    states, `local`, (n,).
    """

    @property
    def comm(self) -> AnyCommunicator: ...

    @property
    def local(self) -> StateSpace: ...

    @property
    def species(self) -> tuple[str, ...]: ...

    @property
    def constraints(self) -> tuple[Constraint, ...]: ...

    @property
    def states(self) -> IntArray: ...

    @property
    def top(self) -> IntArray: ...

    @property
    def bottom(self) -> IntArray: ...

    def __len__(self) -> int: ...

    def states_at(self, indices: IntArray) -> IntArray: ...

    def grow(
        self, model: Model, steps: int | None = 1, *, seeds: IntArray | None = None, max_states: int | None = None
    ) -> Self: ...

    def extend(self, model: Model, states: IntArray, steps: int = 1, *, max_states: int | None = None) -> Self: ...

    def restrict(self, condition: ConstraintLike | BoolArray) -> Self: ...

    def carry(self, values: FloatArray, other: Self) -> FloatArray: ...


if TYPE_CHECKING:
    _SERIAL: type[AnySpace] = StateSpace
