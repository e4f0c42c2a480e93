"""Solve the points of a sweep, or the jobs of a batch, in this process or in several.

Points are cut into chains of neighbours, which begin with points of a first chain, of long steps.  Along a chain each
point starts from the states that the one before it needed, which spares most of the growths.  A chain is solved by one
worker, from its beginning, so that the answer depends neither on how many workers there are nor on which is free first.
A worker that dies takes one point with it, and is replaced.
"""

from __future__ import annotations

import pickle
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from fsp.distribution import Solution
from fsp.doors import named_start, stationary
from fsp.errors import FSPError
from fsp.projection.start import begins, worth_keeping
from fsp.projection.transient import solve
from fsp.spawning import end_with_parent, plain_start, terminate

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model

CHAINS = 8  # to be aimed at: enough for workers to end at about the same time, few enough to be begun by one process
SHORTEST_CHAIN, LONGEST_CHAIN = 4, 16  # points, so that spaces are handed on, and progress shows; chosen
START_SECONDS = 4.0  # of a worker, until it is worth its start
TICK = 0.2  # seconds between looks at what the caller wants


@dataclass(frozen=True)
class SweepTask:
    """What all points of a sweep have in common."""

    model: Model
    names: tuple[str, ...]  # what is varied: parameters, and species for their initial counts
    times: FloatArray  # none for stationary distributions
    tol: float
    options: Mapping[str, Any]
    # states that are known to be needed, by the values of points that chains go on with, (n, n_species)
    begun: Mapping[tuple[float, ...], IntArray] = field(default_factory=dict)
    # solutions that go on to later times, by the values of their points
    earlier: Mapping[tuple[float, ...], Solution] = field(default_factory=dict)

    def at(self, values: Sequence[float]) -> Model:
        """Return the model at a point."""
        return self.model.with_values(dict(zip(self.names, values, strict=True)))

    def solve(self, values: Sequence[float], hint: IntArray | None, **more: Any) -> Solution:
        """Return the solution at a point; `hint` are states that a neighbour needed, None at the first of a chain."""
        if not len(self.times):
            answer = stationary(self.at(values), self.tol, **self.options, **more)
            return Solution([answer], tol=self.tol, solver=f"stationary ({self.options.get('method', 'auto')})")
        hint = self.begun.get(tuple(values)) if hint is None else hint
        options, model = dict(self.options), self.at(values)
        if isinstance(options.get("start"), str):
            limits = {name: options.get(name) for name in ("max_states", "max_memory")}
            options["start"] = named_start(model, options["start"], self.tol, **limits)
        earlier = self.earlier.get(tuple(values))
        if earlier is not None:
            rest = solve(model, earlier.pending, self.tol, hint=hint, **options | {"start": earlier}, **more)
            return earlier.joined(rest)
        return solve(model, self.times, self.tol, hint=hint, begins=self.begins, **options, **more)

    @cached_property
    def begins(self) -> str:
        """Where all points begin, in a word."""
        return begins(self.options.get("start"))


class Along:
    """Solves points of a chain, each from the states that the one before it needed."""

    def __init__(self, task: SweepTask) -> None:
        self._task = task
        self._hint: IntArray | None = None

    def __call__(self, values: Sequence[float], first: bool) -> Solution:
        """Return the solution at a point, which may be the `first` of its chain."""
        solution = self._task.solve(values, None if first else self._hint)
        self._hint = worth_keeping(solution)
        return solution


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item that is done: what came of it, or the error that it ended in."""

    index: int
    value: Any
    error: Exception | None = None


Chain = list[tuple[int, Any]]  # numbers of items, and what is known of them: values of points


def chains(order: Sequence[int]) -> list[list[int]]:
    """Cut points into chains, each of which begins with a point of the first: how depends on nothing but their number.

    The first chain goes through the points in long steps, and the others from each of these to the next.
    """
    n = len(order)
    length = min(max(-(-n // CHAINS), SHORTEST_CHAIN), LONGEST_CHAIN, max(2, n // 2))
    return [list(order[::length]), *(list(order[i : i + length]) for i in range(0, n, length))]


# ---- in this process


def one_by_one(task: SweepTask, todo: Sequence[Chain], progress: Callable[[Any], None]) -> Iterator[Outcome]:
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
    """Worker processes, each with a chain of its own."""

    def __init__(self, work: Callable[[Any, bool], Any], workers: int) -> None:
        self._content = pickle.dumps(work)
        self._workers = workers
        self._waiting: Iterator[Chain] = iter(())
        self._pools: list[ProcessPoolExecutor] = []
        self._running: dict[Future[Any], tuple[ProcessPoolExecutor, deque[Any]]] = {}

    def solve(self, todo: Iterable[Chain], tick: Callable[[], None]) -> Iterator[Outcome]:
        """Go through the chains, each taken when a worker is free for it.

        `tick` is called a few times a second; it may raise KeyboardInterrupt, which ends the workers.
        """
        self._waiting = iter(todo)
        ended = False
        try:
            for chain in islice(self._waiting, self._workers):
                self._send(self._pool(), deque(chain), first=True)
            while self._running:
                done, _ = wait(self._running, timeout=TICK, return_when=FIRST_COMPLETED)
                tick()
                for future in done:
                    yield self._take(future)
            ended = True
        finally:
            self._stop(wait=ended)

    def wind_down(self) -> None:
        """Begin nothing more, and send SIGTERM to the workers, which end what they do at a clean point or at once."""
        self._waiting = iter(())
        for _, chain in self._running.values():
            while len(chain) > 1:
                chain.pop()
        self._terminate()

    def _terminate(self) -> None:
        for pool in self._pools:
            terminate(pool)

    def _pool(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=_prepare, initargs=(self._content,))
        self._pools.append(pool)
        return pool

    def _send(self, pool: ProcessPoolExecutor, chain: deque[Any], *, first: bool) -> None:
        with plain_start(self._content):
            try:
                future = pool.submit(_do, chain[0][1], first)
            except BrokenProcessPool:  # it died while it had nothing to do
                self._pools.remove(pool)
                pool = self._pool()
                future = pool.submit(_do, chain[0][1], True)
        self._running[future] = (pool, chain)

    def _take(self, future: Future[Any]) -> Outcome:
        """Return what became of an item, and give its worker the next one."""
        pool, chain = self._running.pop(future)
        index, _ = chain.popleft()
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._pools.remove(pool)
            pool, error = self._pool(), FSPError("the process that solved it was killed, perhaps for want of memory")
            first = True
        else:
            first = False
        if not chain:
            chain, first = deque(next(self._waiting, ())), True
        if chain:
            self._send(pool, chain, first=first)
        if error is not None and not isinstance(error, FSPError | MemoryError):
            raise error
        return Outcome(index, None if error else future.result(), error if isinstance(error, Exception) else None)

    def _stop(self, *, wait: bool) -> None:
        """End the workers; unless told to `wait`, in the middle of what they do."""
        if not wait:
            self._terminate()
        for pool in self._pools:
            pool.shutdown(wait=True, cancel_futures=True)


_work: Callable[[Any, bool], Any] | None = None


def _prepare(content: bytes) -> None:
    """Get ready in a worker."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    _work = pickle.loads(content)


def _do(item: Any, first: bool) -> Any:
    """Do in a worker what is to be done with an item."""
    if _work is None:
        raise RuntimeError("a worker must be prepared")
    return _work(item, first)
