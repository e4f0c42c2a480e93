"""Fits on many ranks: starts, and then profiles, are dealt out in turn; the first rank makes the answer of them.

Each rank holds all cells and the states of its own ascents.  The best summit is made on the first rank and is the same
on all; a fit does not depend on the number of ranks, but for the states that an ascent finds there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from fsp.inference.search import ascents, curve
from fsp.petsc.comm import Communicator

if TYPE_CHECKING:
    from fsp.distribution.fit import Fit
    from fsp.inference.search import Search


def fitted_on_ranks(search: Search, comm: Any, *, profiles: bool) -> Fit:
    """Make the starts of a search and its profiles on all ranks; return the fit on each of them.  Collective."""
    world = Communicator.of(comm)
    for index, summit, error in _dealt(world, search.left, lambda todo: list(ascents(search, todo))):
        search.enter(index, summit, error)
    summit = world.share(search.polished)
    names = search.task.objective.names if profiles else ()
    evaluate, task = search.watched, search.task
    curves = _dealt(world, range(len(names)), lambda todo: [(k, curve(evaluate, task, summit, k)) for k in todo])
    by_name = {names[k]: curve for k, curve in curves}
    return world.share(lambda: search.made_of(summit, by_name))


def _dealt(world: Communicator, todo: Any, make: Callable[[list[int]], list[Any]]) -> Iterator[Any]:
    """Yield what all ranks make of their share of numbers, in order, on each of them."""
    mine: list[Any] = []
    with world.agree():
        mine = make(list(todo)[world.rank :: world.size])
    parts = world.mpi.allgather(mine)
    yield from sorted((item for part in parts for item in part), key=lambda item: item[0])
