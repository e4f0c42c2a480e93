"""CPU time that goes into what is only printed: intervals, laws and bounds may take far longer than the answer.

A `TimeLimit` is a number of seconds.  What is made within it is made by ``time_limit.within(make)``, which returns None
once they are spent; loops that may be long call `check_time_limit`, which costs nothing outside of `within`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

PRINTING = 1.0  # seconds of CPU for all that is printed at once; chosen: nobody waits longer for a remark


class _SpentError(Exception):
    """There is no time left; never leaves this module."""


class TimeLimit:
    """Seconds of CPU of this thread, as `clock` reads them, that all calls of `within` share."""

    def __init__(self, seconds: float = PRINTING, clock: Callable[[], float] = time.thread_time) -> None:
        self.seconds = seconds
        self._clock = clock
        self._spent = 0.0
        self._since = 0.0
        self.is_over = False  # whether something was left out

    def within(self, make: Callable[[], T]) -> T | None:
        """Return what `make` returns, or None where there is no time left for it."""
        self._since = self._clock()
        token = _ACTIVE.set(self)
        try:
            return make()
        except _SpentError:
            self.is_over = True
            return None
        finally:
            _ACTIVE.reset(token)
            self._spent += self._clock() - self._since

    def check(self) -> None:
        """End what is being made, if the time is over."""
        if self._spent + self._clock() - self._since > self.seconds:
            raise _SpentError

    def left_out(self, what: str, where: str) -> str:
        """Return the line that says what is not printed, and where it is found."""
        return f"{what} not computed within {self.seconds:g} s of printing: {where}"


_ACTIVE: ContextVar[TimeLimit | None] = ContextVar("time_limit", default=None)


def check_time_limit() -> None:
    """End what is being made for printing, if its time is over."""
    active = _ACTIVE.get()
    if active is not None:
        active.check()
