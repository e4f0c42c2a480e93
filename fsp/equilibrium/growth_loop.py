"""The one loop of what is asked of a chain at rest: grow a space until the answer on it will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fsp.errors import ConvergenceError, StateSpaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fsp.arrays import FloatArray
    from fsp.distribution import ErrorLedger
    from fsp.projection.growth import Growth


class Candidate(Protocol):
    """An answer on one space; vectors are those of this process's own states, (n,)."""

    @property
    def generator(self) -> Any:
        """The generator on the space, of one process or of ranks."""

    @property
    def p(self) -> FloatArray:
        """The stationary vector, (n,), with which the next space is begun."""

    @property
    def weight(self) -> FloatArray:
        """Where probability flows out from, (n,)."""


IMPROVES = 0.9  # of a width: growths that leave more are of no use; chosen
C = TypeVar("C", bound=Candidate)
C_in = TypeVar("C_in", bound=Candidate, contravariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class NextSpace:
    """How to go on from a space that does not do."""

    error: ErrorLedger  # so far, for what is said where the limits are reached
    everywhere: bool = False  # grow from every state that leaks, whatever its weight
    space: Any = None  # to take, in place of one that has grown


class Criterion(Protocol[C_in]):
    """Judges one candidate after another."""

    @property
    def suffices(self) -> bool:
        """Whether what was seen will do where the space cannot grow."""

    def judge(self, candidate: C_in, guess: FloatArray | None) -> NextSpace | None:
        """Return how to go on, None to end; `guess` (n,) is the last answer on this space, None for the first."""


def grow_until(growth: Growth, space: Any, solve: Callable[[Any, FloatArray | None], C], criterion: Criterion[C]) -> C:
    """Solve on one space after another, beginning with `space`; return the last candidate.

    Errors of a growth, or of what is solved after it, end it where what was seen suffices.
    """
    candidate, guess = solve(space, None), None
    while (step := criterion.judge(candidate, guess)) is not None:
        before = candidate.generator.space
        try:
            space = step.space
            if space is None:
                generator, weight = candidate.generator, candidate.weight
                space = growth.grow(before, generator, weight, None, step.error, everywhere=step.everywhere)
            following = before.carry(candidate.p, space)
            candidate, guess = solve(space, following), following
        except (StateSpaceError, ConvergenceError):
            if not criterion.suffices:
                raise
            break
    return candidate
