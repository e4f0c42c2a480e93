"""Processes that are started by this one, as workers."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ProcessPoolExecutor


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


def end_with_parent() -> None:
    """End this process with the one that started it, however that ends: an initializer of workers."""
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    from multiprocessing import parent_process

    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def terminate(pool: ProcessPoolExecutor) -> None:
    """Send SIGTERM to the processes of a pool."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()
