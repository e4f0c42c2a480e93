"""The processes that hold a state space: one, or the ranks of `fsp.petsc.Communicator`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Processes:
    """A group of processes, each of which holds a part of every vector: here the only one of a serial run."""

    rank: int = 0
    """The number of this process."""
    size: int = 1
    """How many there are."""

    def sum(self, value: Any) -> Any:
        """Return the sum over all, of a number or of an array entry by entry."""
        return value

    def max(self, value: Any) -> Any:
        """Return the maximum over all, of a number or of an array entry by entry."""
        return value

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is true on any."""
        return flag

    def require_same(self, value: Any, what: str) -> None:
        """Raise an ArgumentError unless all have an equal `value`."""

    def together(self, what: str) -> None:
        """Return when all ask `what`."""

    def agree(self) -> AbstractContextManager[None]:
        """Raise on all what the block raises on any."""
        return nullcontext()


SINGLE_PROCESS = Processes()
