"""An end that no rank waits for: where one has failed, or is at the end of its program, the others hear of it."""

from __future__ import annotations

import atexit
import sys
import time
import traceback
import zlib
from functools import cache
from math import inf
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fsp.petsc.environment import load
from fsp.petsc.flags import say_unused

if TYPE_CHECKING:
    from collections.abc import Callable

GRACE = 10.0  # seconds in which all ranks must fail, or one ends the others
NAP = 1e-4  # seconds between looks at whether the others are there
THE_END, A_FAILURE = "the end of the program", "an error"  # where a rank may be that is in no question


@cache
def watch_exceptions() -> None:
    """See to it that no rank waits for one that has ended: an exception that nobody catches ends all, and once."""
    world = load().MPI.COMM_WORLD
    if world.Get_rank() == 0:
        atexit.register(say_unused)
    if world.Get_size() > 1:
        atexit.register(_end_together)
        sys.excepthook = lambda kind, error, trace: end_all(
            world, "".join(traceback.format_exception(kind, error, trace)).rstrip(), error
        )


def _end_together() -> None:
    """Meet the other ranks at the end; where one asks something of this rank instead, it ends all."""
    if compare(load().MPI.COMM_WORLD, THE_END, lambda seconds: None) is not None:
        wait_for_the_end()


def compare(mpi: Any, what: str, waiting: Callable[[float], None]) -> list[str] | None:
    """Return None when all ranks have come with the same, else what each has come with.

    `waiting` is called with the seconds that have passed until all are here.
    """
    mark = zlib.crc32(what.encode())
    local, extremes = np.array([mark, -mark]), np.empty(2, dtype=np.int64)  # `local` must outlive the request
    request = mpi.Iallreduce(local, extremes, op=load().MPI.MAX)
    since = time.monotonic()
    while not request.Test():
        waiting(time.monotonic() - since)
        time.sleep(NAP)
    if extremes[0] == -extremes[1]:
        return None
    asked: list[str] = mpi.allgather(what)
    return asked


def wait_for_the_end() -> NoReturn:
    """Wait until another rank, which knows what is wrong, has ended this one."""
    while True:
        time.sleep(1.0)


def end_all(mpi: Any, message: str, error: BaseException) -> None:
    """Print a message about an error once and return where all ranks come here; else print it and end the others."""
    meet(mpi, message)
    messages = mpi.allgather((message, getattr(error, "agreed", False)))
    if mpi.Get_rank() == 0:
        texts = list(dict.fromkeys(text for text, _ in messages))
        if all(agreed for _, agreed in messages):
            texts = [max(texts, key=len)]  # that of a rank on which it arose says where from
        print("\n".join(texts), file=sys.stderr, flush=True)
    mpi.Barrier()  # mpirun ends all ranks when the first has failed: not before the message is out


def meet(mpi: Any, message: str | None) -> None:
    """Return when all ranks are here; print a message and end all where this one has failed and others do not come.

    `message` is None where this rank has not failed, and waits as long as it takes.
    """

    def end(seconds: float = inf) -> None:
        if message is not None and seconds > GRACE:
            place = f"rank {mpi.Get_rank()} of {mpi.Get_size()}"
            print(f"{message}\n({place}; it ends the others)", file=sys.stderr, flush=True)
            mpi.Abort(1)

    if compare(mpi, A_FAILURE, end) is not None:
        end()
        wait_for_the_end()
