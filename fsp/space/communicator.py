"""The processes that hold a state space: one, or the ranks of `fsp.petsc.Communicator`."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol


class AnyCommunicator(Protocol):
    """What the loop uses of a group of processes, each of which holds a part of every vector."""

    @property
    def rank(self) -> int:
        """The number of this process."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def sum(self, value: Any) -> Any:
        """Return the sum over all, of a number or of an array entry by entry."""
        ...

    def max(self, value: Any) -> Any:
        """Return the maximum over all, of a number or of an array entry by entry."""
        ...

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is true on any."""
        ...

    def require_same(self, value: Any, what: str) -> None:
        """Raise an ArgumentError unless all have an equal `value`."""
        ...

    def together(self, what: str) -> None:
        """Return when all ask `what`."""
        ...

    def agree(self) -> AbstractContextManager[None]:
        """Raise on all what the block raises on any."""
        ...


class SingleProcess:
    """The only process of a serial run: what it has is all that there is."""

    rank, size = 0, 1

    def sum(self, value: Any) -> Any:
        """Return `value`."""
        return value

    max = sum

    def any(self, flag: bool) -> bool:
        """Return `flag`."""
        return flag

    def require_same(self, value: Any, what: str) -> None:
        """Do nothing."""

    def together(self, what: str) -> None:
        """Do nothing."""

    def agree(self) -> AbstractContextManager[None]:
        """Let the block raise."""
        return nullcontext()


SINGLE_PROCESS = SingleProcess()
