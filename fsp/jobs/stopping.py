"""Stop a computation at a clean point, keep what it has reached now and then, and go on from there."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from contextvars import Token
from pathlib import Path
from time import monotonic
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import fsp
from fsp.distribution.continuation import Continuation, Request
from fsp.model.times import checked_times
from fsp.projection.start import begins
from fsp.projection.watch import stop_requested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution, Solution
    from fsp.model import Model
    from fsp.projection.progress import Progress, SweepProgress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """Hold the first SIGINT or SIGTERM back until the computation comes to a clean point; the second ends at once.

    A context; it acts only in the main thread, and on no signal that the process was started to ignore.
    """

    def __init__(self, *, tell: bool = True) -> None:
        self._tell = tell
        self.signal: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._token: Token[Callable[[], bool]] | None = None

    def __enter__(self) -> Stop:
        self._token = stop_requested.set(lambda: self.signal is not None)
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
            self._before = {number: signal.signal(number, self._notice) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, _: TracebackType | None) -> None:
        if self._token is not None:
            stop_requested.reset(self._token)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _notice(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.signal = signal.Signals(number)
        if self._tell:
            sys.stderr.write(f"fsp: {self.signal.name}: stopping at the next step; once more stops at once\n")


class Keeper:
    """A progress callback that stops where a signal came, and saves what was reached now and then."""

    def __init__(self, stop: Stop, report: Callable[[Any], None] | None, out: Path | None, every: float | None) -> None:
        self._stop, self._report = stop, report
        self._out = out if every is not None else None
        self._every = every or 0.0
        self._saved = monotonic()

    def __call__(self, progress: Progress | SweepProgress) -> None:
        """Pass `progress` on; raise a KeyboardInterrupt if a signal has come."""
        if self._report is not None:
            self._report(progress)
        if self._stop.signal is not None:
            raise KeyboardInterrupt
        if self._out is not None and progress.reached is not None and monotonic() - self._saved >= self._every:
            progress.reached().save(self._out)
            self._saved = monotonic()


def transient_from(
    earlier: Solution | None,
    model: Model,
    times: Sequence[float] | FloatArray,
    tol: float,
    *,
    progress: Callable[[Any], None] | None = None,
    start: Solution | Distribution | str | None = None,
    **options: Any,
) -> Solution:
    """Return `fsp.transient` of all times, of which `earlier`, which was stopped or is shorter, may have the first."""
    continued = Continuation(Request.of(model, checked_times(times).tolist(), tol, begins(start)), earlier)
    progress = continued.telling(progress)

    def solve(left: Sequence[float], begun: Solution | None) -> Solution:
        return fsp.transient(model, left, tol, start=start if begun is None else begun, progress=progress, **options)

    return continued.run(solve)
