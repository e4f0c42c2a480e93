"""One thread at a time in libsbml and antimony, which keep models and the last error for the whole process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # a process that is forked while another thread reads would find the lock taken for ever
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)


def one_at_a_time(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function, which may call others of the kind, wait until no other thread is in one."""

    @functools.wraps(function)
    def alone(*arguments: P.args, **options: P.kwargs) -> R:
        with _LOCK:
            return function(*arguments, **options)

    return alone
