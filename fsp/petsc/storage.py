"""Write answers that are spread over ranks: the files of the serial package, through one rank that never holds it all.

The first rank has the file open; the others send it their rows, one rank after the other, in pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution import storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fsp.distribution import Solution
    from fsp.petsc.comm import Communicator
    from fsp.petsc.distribution import Distribution

PIECE = 2**18  # rows that are sent at once


def save(answer: Solution | Any, path: str | Path) -> None:
    """Write a solution or a distribution, whole or not at all; `fsp.read` reads it.

    Parameters
    ----------
    answer
        What to write, of distributions that are spread over ranks.
    path
        Where to, on the machine of the first rank.

    Raises
    ------
    ArgumentError
        If the folder does not exist.
    """
    distributions: Any = [answer] if hasattr(answer, "space") else list(answer)
    comm: Communicator = distributions[0].comm
    comm.together("save")
    error: Exception | None = None
    sent = _Sender(comm, distributions)
    if comm.rank == 0:
        try:
            storage.save(answer, path, sent.write)
        except Exception as raised:  # the other ranks are still sending
            error = raised
    sent.finish()
    comm.raise_together(error)


class _Sender:
    """The rows of all distributions, in the order in which a file holds them."""

    def __init__(self, comm: Communicator, distributions: list[Distribution]) -> None:
        self._comm = comm
        self._kinds = {one.space: np.min_scalar_type(int(one.space.top.max())) for one in distributions}
        self._due: list[tuple[str, Distribution]] = []
        for i, one in enumerate(distributions):
            if not (i and one.shares_states_with(distributions[i - 1])):
                self._due.append(("states", one))
            self._due.append(("probabilities", one))

    def write(self, group: Any, name: str, distribution: Any) -> None:
        """Make a dataset of the rows of all ranks; on the first rank."""
        pieces = self._pieces(*self._due.pop(0))
        n, kind = len(distribution), np.dtype(np.float64)
        shape: tuple[int, ...] = (n,)
        if name == "states":
            kind = self._kinds[distribution.space]
            shape = (n, len(distribution.species))
        try:
            dataset, place = group.create_dataset(name, shape, kind, chunks=True, **storage.FILTERS), 0
            for rows in pieces:
                dataset[place : place + len(rows)] = rows
                place += len(rows)
        finally:
            for _ in pieces:  # what comes after an error is taken from the others all the same
                pass

    def finish(self) -> None:
        """Send, or take, what has not been."""
        for name, distribution in self._due:
            for _ in self._pieces(name, distribution):
                pass

    def _pieces(self, name: str, distribution: Distribution) -> Iterator[Any]:
        """Give the rows of all ranks on the first rank; send them on the others, and give nothing."""
        mpi, starts = self._comm.mpi, distribution.space.ranges.starts
        own = getattr(distribution, name)
        if self._comm.rank == 0:
            yield own
            for rank in range(1, self._comm.size):
                for first in range(0, int(starts[rank + 1] - starts[rank]), PIECE):
                    n = min(PIECE, int(starts[rank + 1] - starts[rank]) - first)
                    rows = np.empty((n, *own.shape[1:]), own.dtype)
                    mpi.Recv(rows, source=rank)
                    yield rows
            return
        for first in range(0, len(own), PIECE):
            mpi.Ssend(np.ascontiguousarray(own[first : first + PIECE]), dest=0)
