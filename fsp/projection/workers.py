"""Solve the points of a sweep, in this process or in several.

Points are cut into chains of neighbours.  Along a chain each point starts from the states that the one before it
needed, which spares most of the growths; a chain is solved by one worker, from its beginning, so that the answer does
not depend on which worker is free first.  A worker that dies takes one point with it, and is replaced.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fsp.errors import FSPError
from fsp.projection.march import solve
from fsp.projection.start import worth_keeping

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Solution
    from fsp.model import Model

LONGEST_CHAIN = 16
CHAINS_PER_WORKER = 2  # so that the workers end at about the same time
START_SECONDS = 4.0  # of a worker, until it is worth its start
TICK = 0.2  # seconds between looks at what the caller wants


@dataclass(frozen=True, slots=True)
class Task:
    """What all points of a sweep have in common.

    Parameters
    ----------
    model
        The network.
    names
        What is varied: parameters, and species for their initial counts.
    times, tol, options
        As for `fsp.transient`.
    """

    model: Model
    names: tuple[str, ...]
    times: FloatArray
    tol: float
    options: Mapping[str, Any]

    def at(self, values: Sequence[float]) -> Model:
        """Return the model at a point."""
        return self.model.with_values(dict(zip(self.names, values, strict=True)))

    def solve(self, values: Sequence[float], hint: IntArray | None, **more: Any) -> Solution:
        """Return the solution at a point; `hint` are states that a neighbour needed."""
        return solve(self.at(values), self.times, self.tol, hint=hint, **self.options, **more)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A point that is done: its solution, or the error that it ended in."""

    index: int
    solution: Solution | None
    error: Exception | None = None


Chain = list[tuple[int, list[float]]]  # indices and values of points


def chains(order: Sequence[int], points: FloatArray, workers: int) -> list[Chain]:
    """Cut the points, in `order`, into chains for so many workers."""
    length = max(1, min(LONGEST_CHAIN, -(-len(order) // (CHAINS_PER_WORKER * workers if workers > 1 else 1))))
    pieces = [order[i : i + length] for i in range(0, len(order), length)]
    return [[(i, points[i].tolist()) for i in piece] for piece in pieces]


# ---- in this process


def one_by_one(task: Task, todo: Sequence[Chain], progress: Callable[[Any], None]) -> Iterator[Outcome]:
    """Solve the chains here; `progress` hears of every point while it is solved."""
    for chain in todo:
        hint = None
        for index, values in chain:
            try:
                solution = task.solve(values, hint, progress=progress)
            except (FSPError, MemoryError) as error:
                yield Outcome(index, None, error)
                continue
            hint = worth_keeping(solution)
            yield Outcome(index, solution)


# ---- in several


class Crew:
    """Worker processes, each with a chain of its own.

    Parameters
    ----------
    task
        What to solve; it must go through pickle.
    workers
        How many.

    Raises
    ------
    Exception
        Whatever pickle raises of a model that it cannot take, such as one with a lambda.
    """

    def __init__(self, task: Task, workers: int) -> None:
        self._content = pickle.dumps(task)
        self._workers = workers
        self._pools: list[ProcessPoolExecutor] = []
        self._running: dict[Future[Any], tuple[ProcessPoolExecutor, deque[Any]]] = {}

    def solve(self, todo: Sequence[Chain], tick: Callable[[], None]) -> Iterator[Outcome]:
        """Solve the chains; call `tick` a few times a second, which may raise KeyboardInterrupt."""
        waiting = deque(deque(chain) for chain in todo)
        ended = False
        try:
            for _ in range(min(self._workers, len(waiting))):
                self._send(self._pool(), waiting.popleft(), first=True)
            while self._running:
                done, _ = wait(self._running, timeout=TICK, return_when=FIRST_COMPLETED)
                tick()
                for future in done:
                    yield self._take(future, waiting)
            ended = True
        finally:
            self._stop(wait=ended)

    def _pool(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare, initargs=(self._content,))
        self._pools.append(pool)
        return pool

    def _send(self, pool: ProcessPoolExecutor, chain: deque[Any], *, first: bool) -> None:
        with plain_start(self._content):
            try:
                future = pool.submit(_solve_point, chain[0][1], first)
            except BrokenProcessPool:  # it died while it had nothing to do
                self._pools.remove(pool)
                pool = self._pool()
                future = pool.submit(_solve_point, chain[0][1], True)
        self._running[future] = (pool, chain)

    def _take(self, future: Future[Any], waiting: deque[deque[Any]]) -> Outcome:
        """Return what became of a point, and give its worker the next one."""
        pool, chain = self._running.pop(future)
        index, _ = chain.popleft()
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._pools.remove(pool)
            pool, error = self._pool(), FSPError("the process that solved it was killed, perhaps for want of memory")
            first = True
        else:
            first = False
        if not chain and waiting:
            chain, first = waiting.popleft(), True
        if chain:
            self._send(pool, chain, first=first)
        if error is not None and not isinstance(error, FSPError | MemoryError):
            raise error
        return Outcome(index, None if error else future.result(), error if isinstance(error, Exception) else None)

    def _stop(self, *, wait: bool) -> None:
        """End the workers; unless told to `wait`, in the middle of what they do."""
        for pool in self._pools:
            processes = list((getattr(pool, "_processes", None) or {}).values())
            if not wait:
                for process in processes:
                    process.terminate()
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def plain_start(content: bytes) -> Iterator[None]:
    """Start processes on one thread each, and without the caller's script unless the model needs it.

    A spawned process imports the main script once more, which a script that does not guard its calls by
    ``if __name__ == "__main__"`` would have to expect, and which a notebook cannot give.  Ctrl-C reaches all processes
    of a terminal: it is blocked while they start, which they inherit, so that the caller alone decides.
    """
    masks = hasattr(signal, "pthread_sigmask")
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else None
    threads, main = os.environ.get("OMP_NUM_THREADS"), sys.modules["__main__"]
    os.environ["OMP_NUM_THREADS"] = "1"
    if b"__main__" not in content:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        if threads is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = threads
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


_task: Task | None = None
_hint: IntArray | None = None


def _prepare(content: bytes) -> None:
    """Get ready in a worker."""
    global _task
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow_parent, daemon=True).start()
    _task = pickle.loads(content)


def _follow_parent() -> None:
    """End with the process that started this one, however that ends."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _solve_point(values: list[float], first: bool) -> Solution:
    """Solve a point in a worker, with the states of the one before unless it is the `first` of its chain."""
    global _hint
    if _task is None:
        raise RuntimeError("a worker must be prepared")
    solution = _task.solve(values, None if first else _hint)
    _hint = worth_keeping(solution)
    return solution
