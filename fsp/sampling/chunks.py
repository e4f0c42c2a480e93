"""Runs in chunks on a pool, a few at a time: what is asked for next waits until something has ended.

So an interrupt finds at most `at_once` chunks to end, however many runs there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from time import perf_counter
from typing import TypeVar

T = TypeVar("T")

CHUNK_SECONDS = 0.2  # that a chunk is to take, where it may have any size, as progress is reported after each; chosen
LARGEST_GROWTH = 4  # times the last chunk is the next at most: the first is one run, which may be short by chance


def in_chunks(
    submit: Callable[[int, int], Future[T]], runs: int, at_once: int, size: int | None = None
) -> Iterator[tuple[int, int, T]]:
    """Submit runs `first` to `last` (excluded) at a time, and yield both with what came of it, as chunks end.

    Chunks have a `size`, or where it is None that of `CHUNK_SECONDS` of work.  Where some fail, the error of the first
    of them is raised: chunks are submitted in their order, so it does not depend on which ended first.
    """
    begun, running, now = 0, dict[Future[T], tuple[int, int, float]](), size or 1
    while begun < runs or running:
        while begun < runs and len(running) < at_once:
            last = min(begun + now, runs)
            running[submit(begun, last)] = begun, last, perf_counter()
            begun = last
        ended, _ = wait(running, return_when=FIRST_COMPLETED)
        if any(future.exception() is not None for future in ended):
            for future in running:
                future.result()
        for future in ended:
            first, last, since = running.pop(future)
            if size is None:
                share = CHUNK_SECONDS / max(perf_counter() - since, 1e-9)  # a clock may stand still
                now = max(1, int((last - first) * min(LARGEST_GROWTH, share)))
            yield first, last, future.result()
