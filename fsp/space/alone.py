"""The only process of a serial run, in the place of a group of ranks: what it has is all that there is."""

from __future__ import annotations

from typing import Any


class Alone:
    """One process, with the reductions of `fsp.petsc.Communicator`."""

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


ALONE = Alone()
