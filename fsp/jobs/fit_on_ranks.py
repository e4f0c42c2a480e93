"""Fits on many ranks: starts, and then profiles, are dealt out in turn; the first rank makes the answer of them.

Each rank holds all cells and the states of its own ascents.  The best summit is made on the first rank and is the same
on all; a fit does not depend on the number of ranks, but for the states that an ascent finds there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fsp.inference.search import ascents, curve
from fsp.petsc.comm import Communicator
from fsp.projection.watch import stop_requested

if TYPE_CHECKING:
    from fsp.distribution.fit import Fit
    from fsp.inference.search import Search


STOP = 1  # the tag of messages of a rank that was stopped; no other message of the package has one


def fitted_on_ranks(search: Search, comm: Any, *, profiles: bool) -> Fit:
    """Make the starts of a search and its profiles on all ranks; return the fit on each of them.  Collective."""
    world = Communicator.of(comm)
    made, is_stopped = _dealt(world, search.left, lambda todo: ascents(search, todo))
    with world.agree():  # progress is reported, where a stop may be asked for
        for index, summit, error in made:
            search.enter(index, summit, error, tells=not is_stopped)
        if is_stopped:
            raise KeyboardInterrupt
    summit = world.share(search.polished)
    names = search.task.objective.names if profiles else ()
    evaluate, task = search.watched, search.task
    curves, is_stopped = _dealt(
        world, range(len(names)), lambda todo: ((k, curve(evaluate, task, summit, k)) for k in todo)
    )
    if is_stopped:
        raise KeyboardInterrupt
    by_name = {names[k]: curve for k, curve in curves}
    return world.share(lambda: search.made_of(summit, by_name))


def _dealt(world: Communicator, todo: Any, make: Callable[[list[int]], Iterator[Any]]) -> tuple[list[Any], bool]:
    """Return what all ranks make of their share of numbers, in order, and whether any was stopped before its end."""
    mine: list[Any] = []
    is_stopped = False
    others = [rank for rank in range(world.size) if rank != world.rank]
    with world.agree(), _hearing(world):
        try:
            for item in make(list(todo)[world.rank :: world.size]):
                mine.append(item)
        except KeyboardInterrupt:
            is_stopped = True
            for request in [world.mpi.isend(None, other, tag=STOP) for other in others]:
                request.wait()  # a message of a few bytes needs no receiver
    for _ in range(world.sum(int(is_stopped)) - int(is_stopped)):
        world.mpi.recv(tag=STOP)  # else it would stop the next fit
    parts = world.mpi.allgather(mine)
    return sorted((item for part in parts for item in part), key=lambda item: item[0]), world.any(is_stopped)


@contextmanager
def _hearing(world: Communicator) -> Iterator[None]:
    """Stop the work of this rank at its next evaluation where another one was stopped."""
    earlier = stop_requested.get()
    token = stop_requested.set(lambda: earlier() or bool(world.mpi.Iprobe(tag=STOP)))
    try:
        yield
    finally:
        stop_requested.reset(token)
