"""Transients on ranks that write checkpoints, and go on from them."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from fsp.distribution import Solution
from fsp.distribution.solution import together
from fsp.errors import ArgumentError
from fsp.petsc.checkpoint import Checkpoint, Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fsp.model import Model
    from fsp.petsc.comm import Communicator

    Reached = Callable[[], Solution]

SECONDS_BETWEEN = 60.0


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
    """Solve on ranks, with a checkpoint now and then.

    Parameters
    ----------
    solve
        `fsp.projection.transient.solve`, to be called with the times that are left, ``start`` and ``checkpoint``.
    model, times, tol
        The computation.
    comm
        The ranks.
    folder
        Where checkpoints are.
    resume
        Whether to go on from the one that is there, if there is one.
    every
        Seconds between checkpoints; None for a minute.

    Returns
    -------
    Solution
        All times, those before the checkpoint too.

    Raises
    ------
    ArgumentError
        If the checkpoint in the folder is of another computation, or is damaged, or is there without `resume`.
    """
    store = Checkpoint(folder, comm, _identity(model, times, tol))
    saved = store.read()
    if saved is not None and not resume:
        raise ArgumentError(
            f"`checkpoint` must be a folder without one, but '{folder}' holds one up to t = {saved.last.t:.6g}: go on "
            f"from it with --resume (resume=True), or take another folder."
        )
    before = None if saved is None else _solution_of(saved, times, tol)
    if before is not None and before.complete:
        return before
    writer = _Writer(store, comm, SECONDS_BETWEEN if every is None else every, saved, times)
    left = [t for t in times if before is None or t > before.times[-1]]
    later = solve(left, start=None if saved is None else saved.last, checkpoint=writer)
    return later if before is None else before.joined(later)


def can_go_on(folder: Path, comm: Communicator, model: Model, times: Sequence[float], tol: float) -> bool:
    """Tell whether a folder holds a whole checkpoint of a computation, the same on all ranks.  Collective."""
    try:
        return Checkpoint(folder, comm, _identity(model, times, tol)).read() is not None
    except ArgumentError:  # of another one, or damaged
        return False


def _identity(model: Model, times: Sequence[float], tol: float) -> dict[str, Any]:
    """Return what a computation shares with one that goes on from it."""
    return {"model": model.hash, "times": list(times), "tol": tol}


class _Writer:
    """Writes a checkpoint where one is due; called on all ranks where progress is reported."""

    def __init__(
        self, store: Checkpoint, comm: Communicator, every: float, saved: Saved | None, times: list[float]
    ) -> None:
        self._store, self._comm, self._every = store, comm, every
        self._before = [] if saved is None else _asked_for(saved, times)
        self._counts = {} if saved is None else saved.counts
        self._last = monotonic()

    def __call__(self, reached: Reached) -> None:
        if not self._comm.share(lambda: monotonic() - self._last >= self._every):
            return
        so_far = reached()
        *passed, last = list[Any](so_far)
        self._store.write([*self._before, *passed], last, together(self._counts, so_far.statistics))
        self._last = monotonic()


def _asked_for(saved: Saved, times: list[float]) -> list[Any]:
    last = [saved.last] if saved.last.t in times and all(one.t != saved.last.t for one in saved.reached) else []
    return [*saved.reached, *last]


def _solution_of(saved: Saved, times: list[float], tol: float) -> Solution:
    """Return what a checkpoint holds as a solution that is not complete, unless the last time was reached."""
    done = [one for one in saved.reached if one.t != saved.last.t]
    return Solution([*done, saved.last], tol=tol, solver="checkpoint", statistics=saved.counts, asked=times)
