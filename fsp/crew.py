"""Work that is dealt out to worker processes, or done in this one where that is as fast.

Items are in chains, each of which a worker goes through from its beginning, so that the answer depends neither on how
many workers there are nor on which is free first.  A worker that dies takes one item with it, and is replaced.
"""

from __future__ import annotations

import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from time import perf_counter
from typing import Any

from fsp.errors import FSPError
from fsp.spawning import end_with_parent, plain_start, terminate

START_SECONDS = 4.0  # of a worker, until it is worth its start
TICK = 0.2  # seconds between looks at what the caller wants


@dataclass(frozen=True, slots=True)
class Outcome:
    """An item that is done: what came of it, or the error that it ended in."""

    index: int
    value: Any
    error: Exception | None = None


Chain = list[tuple[int, Any]]  # numbers of items, and what is known of them: values of points
Items = Sequence[tuple[int, Any]]  # the same, of which each is a chain


class Crew:
    """Worker processes, each with a chain of its own."""

    def __init__(self, work: Callable[[Any, bool], Any], workers: int) -> None:
        self._content = pickle.dumps(work)
        self._workers = workers
        self._waiting: Iterator[Chain] = iter(())
        self._pools: list[ProcessPoolExecutor] = []
        self._running: dict[Future[Any], tuple[ProcessPoolExecutor, deque[Any]]] = {}

    @property
    def runs_script(self) -> bool:
        """Whether workers run the caller's script, which defines a part of their work."""
        return b"__main__" in self._content

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


def dealt(
    left: Items,
    workers: int,
    here: Callable[[Items], Iterator[Outcome]],
    away: Callable[[Any, bool], Any],
    tick: Callable[[], None],
    *,
    asked: bool,
) -> Generator[Outcome, None, None]:
    """Work on items in as many workers as were `asked` for; else the first here, the others where it takes less time.

    What pickle does not take, such as a function without a name, is worked on here; so is what the caller's script
    defines, unless workers were asked for: they would run that script.
    """
    if not asked or workers == 1 or len(left) < 2:
        begun = perf_counter()
        yield from here(left[:1])
        left = left[1:]
        rounds = -(-len(left) // workers)  # of the others in workers
        gain = (perf_counter() - begun) * (len(left) - rounds)
        if not left or workers == 1 or (not asked and gain < START_SECONDS):
            yield from here(left)
            return
    try:
        crew = Crew(away, min(workers, len(left)))
    except (pickle.PicklingError, AttributeError, TypeError):
        crew = None
    if crew is None or (crew.runs_script and not asked):
        yield from here(left)
    else:
        yield from crew.solve([[item] for item in left], tick)


def in_order(outcomes: Generator[Outcome, None, None]) -> Iterator[Any]:
    """Yield what came of items 0, 1, … in this order; raise the error of the first that failed, and end the others."""
    done, n = dict[int, Outcome](), 0
    with closing(outcomes):
        for outcome in outcomes:
            done[outcome.index] = outcome
            while n in done:
                following = done.pop(n)
                if following.error is not None:
                    raise following.error
                yield following.value
                n += 1
