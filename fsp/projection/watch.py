"""Those who watch a computation: progress is reported to them, checkpoints are made, and they may stop it."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

from fsp.bars import silent
from fsp.errors import Interrupted

if TYPE_CHECKING:
    from fsp.distribution import Solution
    from fsp.projection.progress import Progress, ProgressCallback
    from fsp.space.communicator import Processes

Checkpoint: TypeAlias = "Callable[[Callable[[], Solution]], None]"
stop_requested: ContextVar[Callable[[], bool]] = ContextVar("stop_requested", default=lambda: False)
"""Tells whether this process was asked to stop, as by a signal, which may come to a rank that reports no progress."""


class Watch:
    """Report to the first rank's `progress` and to all ranks' `checkpoint`; any rank may have one.  Collective."""

    def __init__(self, comm: Processes, progress: ProgressCallback | None, checkpoint: Checkpoint | None) -> None:
        self._comm, self._checkpoint = comm, checkpoint
        self._progress = None if progress is silent else progress
        self._is_on = comm.any(self._progress is not None or checkpoint is not None)
        self._stops_all = False

    def report(self, moment: Callable[[], Progress], reached: Callable[[], Solution]) -> None:
        """Say how far it is; a request to stop, on any rank, stops all."""
        if not self._is_on:
            return
        stop = None
        with self._comm.agree():
            try:
                if self._progress is not None and self._comm.rank == 0:
                    self._progress(moment())
                if stop_requested.get()():
                    raise KeyboardInterrupt
            except KeyboardInterrupt as request:
                stop = request
        if self._comm.any(stop is not None):
            self._stops_all = True
            raise stop or KeyboardInterrupt
        if self._checkpoint is not None:
            self._checkpoint(reached)

    def interrupted(self, stop: KeyboardInterrupt, message: str, reached: Callable[[], Solution]) -> KeyboardInterrupt:
        """Return the error that ends a run: `stop` itself where it came to one of several ranks alone.

        What was reached is brought together by all of them; the others are elsewhere.
        """
        return stop if self._comm.size > 1 and not self._stops_all else Interrupted(message, reached())
