"""Threads for the kernels, which release the interpreter's lock.

Work is cut in fixed shares and what they return is added in their order, so that results repeat for a given number.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor


def n_threads() -> int:
    """Return how many threads to use: ``OMP_NUM_THREADS``, else as many as there are processors to run on."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    return n_processors()


def n_processors() -> int:
    """Return how many processors this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call_each(function: Callable[..., Any], shares: list[tuple[int, int]]) -> list[Any]:
    """Call ``function(first, end)`` for every share, the first in this thread; return what they return, in order."""
    if len(shares) <= 1:
        return [function(*share) for share in shares]
    others = [_pool(len(shares) - 1, os.getpid()).submit(function, *share) for share in shares[1:]]
    return [function(*shares[0]), *(other.result() for other in others)]


@lru_cache(maxsize=4)
def _pool(n: int, process: int) -> ThreadPoolExecutor:
    """Return a pool of `n` threads of this process: a fork inherits none."""
    from concurrent.futures import ThreadPoolExecutor  # here, as small networks take one thread

    return ThreadPoolExecutor(n, thread_name_prefix="fsp")
