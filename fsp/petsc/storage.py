"""Write answers that are spread over ranks: the files of the serial package, through one rank that never holds it all.

The first rank has the file open; the others send it their rows, one rank after the other, in pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.output import storage
from fsp.output.files import held_signals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fsp.petsc.comm import Communicator
    from fsp.petsc.statistics import SpreadStatistics


def save(answer: Any, path: str | Path) -> None:
    """Write a solution or a distribution, whole or not at all; `fsp.read` reads it."""
    distributions: Any = [answer] if hasattr(answer, "space") else list(answer)
    comm: Communicator = distributions[0].comm
    comm.together("save")
    error: Exception | None = None
    sent = _Sender(comm, distributions)
    with held_signals():  # a rank that ended now would leave the others waiting
        if comm.rank == 0:
            try:
                storage.save(answer, path, sent.rows)
            except Exception as raised:  # the other ranks are still sending
                error = raised
        sent.finish()
        comm.raise_together(error)


class _Sender:
    """The rows of all distributions, in the order in which a file holds them."""

    def __init__(self, comm: Communicator, distributions: list[SpreadStatistics]) -> None:
        self._comm = comm
        self._kinds = {
            distribution.space: np.min_scalar_type(int(distribution.space.top.max())) for distribution in distributions
        }
        self._due: list[tuple[str, SpreadStatistics]] = []
        self._under_way: Iterator[Any] = iter(())
        for i, distribution in enumerate(distributions):
            if not (i and distribution.shares_states_with(distributions[i - 1])):
                self._due.append(("states", distribution))
            self._due.append(("probabilities", distribution))

    def rows(self, name: str, distribution: Any) -> storage.Rows:
        """Give the rows of all ranks; on the first rank."""
        self._under_way = self._pieces(*self._due.pop(0))
        if name == "states":
            return (len(distribution), len(distribution.species)), self._kinds[distribution.space], self._under_way
        return (len(distribution),), np.dtype(np.float64), self._under_way

    def finish(self) -> None:
        """Send, or take, what has not been; also after an error, since the other ranks send all the same."""
        for pieces in (self._under_way, *(self._pieces(name, distribution) for name, distribution in self._due)):
            for _ in pieces:
                pass

    def _pieces(self, name: str, distribution: SpreadStatistics) -> Iterator[Any]:
        """Give the rows of all ranks on the first rank; send them on the others, and give nothing."""
        mpi, starts = self._comm.mpi, distribution.space.ranges.starts
        local = getattr(distribution, name)
        if self._comm.rank == 0:
            yield local
            for rank in range(1, self._comm.size):
                for first in range(0, int(starts[rank + 1] - starts[rank]), storage.PIECE):
                    n = min(storage.PIECE, int(starts[rank + 1] - starts[rank]) - first)
                    rows = np.empty((n, *local.shape[1:]), local.dtype)
                    mpi.Recv(rows, source=rank)
                    yield rows
            return
        for first in range(0, len(local), storage.PIECE):
            mpi.Ssend(np.ascontiguousarray(local[first : first + storage.PIECE]), dest=0)
