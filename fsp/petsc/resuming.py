"""Transients on ranks that write checkpoints, and go on from them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from fsp.distribution.continuation import Continuation, Request
from fsp.errors import ArgumentError, Interrupted
from fsp.output.locks import locked
from fsp.petsc.checkpoint import Checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fsp.distribution import Solution
    from fsp.model import Model
    from fsp.petsc.comm import Communicator

SECONDS_BETWEEN = 60.0  # checkpoints: chosen, so that a killed job loses a minute


def solve_with_checkpoints(
    solve: Callable[..., Solution],
    model: Model,
    times: list[float],
    tol: float,
    *,
    comm: Communicator,
    folder: str | Path,
    resume: bool,
    every: float | None,
) -> Solution:
    """Solve on ranks, with a checkpoint now and then, and from the one that is there with `resume`.

    `solve` does it: called with the times that are left, and ``start`` and ``checkpoint`` as that of the loop; `every`
    are the seconds between checkpoints, None for a minute, and a run that is stopped on all ranks writes a last one.
    An ArgumentError says where the checkpoint in the folder is of another computation, or is damaged, or is there
    without `resume`, or where another one writes there.
    """
    with _held(folder, comm):
        asked = Request.of(model, times, tol)
        store = Checkpoint(folder, comm, asked)
        saved = store.read()
        if saved is not None and not resume:
            raise ArgumentError(
                f"`checkpoint` must be a folder without one, but '{folder}' holds one up to t = {saved[-1].t:.6g}: go "
                f"on from it with --resume (resume=True), or take another folder."
            )
        continued = Continuation(asked, saved)
        last_time = monotonic()

        def write_if_due(reached: Callable[[], Solution]) -> None:
            """Write a checkpoint where one is due; called on all ranks where progress is reported."""
            nonlocal last_time
            if comm.share(lambda: monotonic() - last_time >= (SECONDS_BETWEEN if every is None else every)):
                store.write(continued.completed(reached()))
                last_time = monotonic()

        try:
            return continued.run(lambda left, start: solve(left, start=start, checkpoint=write_if_due))
        except Interrupted as stop:  # of all ranks
            if stop.solution is not None:
                store.write(stop.solution)
            raise


@contextmanager
def _held(folder: str | Path, comm: Communicator) -> Iterator[None]:
    """Hold the lock on a folder, in which two computations would remove each other's parts.  Collective."""
    with ExitStack() as stack:
        with comm.agree():
            if comm.rank == 0:
                stack.enter_context(locked(Path(folder), "checkpoint", "computation"))
        yield


def can_go_on(folder: Path, comm: Communicator, asked: Request) -> bool:
    """Tell whether a folder holds a whole checkpoint of a computation, the same on all ranks.  Collective."""
    try:
        return Checkpoint(folder, comm, asked).read() is not None
    except ArgumentError:  # of another one, or damaged
        return False
