"""The only process of a serial run, in the place of a group of ranks: what it has is all that there is."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any


class Alone:
    """One process, with what the loop uses of `fsp.petsc.Communicator`."""

    rank, size = 0, 1

    def sum(self, value: Any) -> Any:
        """Return the sum over all ranks."""
        return value

    def max(self, value: Any) -> Any:
        """Return the maximum over all ranks."""
        return value

    def any(self, flag: bool) -> bool:
        """Tell whether `flag` is true on any rank."""
        return flag

    def require_same(self, value: Any, what: str) -> None:
        """Raise an ArgumentError unless all ranks have an equal `value`."""

    def together(self, what: str) -> None:
        """Return when all ranks ask `what`."""

    def agree(self) -> AbstractContextManager[None]:
        """Raise on every rank what the block raises on any."""
        return nullcontext()


ALONE = Alone()
