"""Progress that shows itself, for ``progress=True``: a bar in a notebook, a line on standard error elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import Any, ParamSpec, Protocol, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")
_C = TypeVar("_C")

_BETWEEN = 0.1  # seconds: faster than anyone reads; chosen
_WIDTH = 24  # characters of the bar of a line


class BarState(Protocol):
    """What a computation says of itself: how far it is and how far it goes, and a line of words."""

    @property
    def share(self) -> tuple[float, float | None]:  # noqa: D102
        ...

    @property
    def status(self) -> str:  # noqa: D102
        ...


StateCallback = Callable[[BarState], None]


@dataclass(frozen=True, slots=True)
class Count:
    """A moment of a computation that counts what is done."""

    done: int
    total: int
    kind: str

    @property
    def share(self) -> tuple[float, float | None]:
        """How many are done, and how many there are."""
        return self.done, self.total

    @property
    def status(self) -> str:
        """How many are done, in words."""
        return f"{self.done:,} of {self.total:,} {self.kind}"


@dataclass(frozen=True, slots=True)
class Stage:
    """A moment of a computation that comes to another part of its work."""

    status: str

    @property
    def share(self) -> tuple[float, float | None]:
        """Nothing says how far it goes."""
        return 0.0, None


@dataclass(frozen=True, slots=True)
class Course:
    """A moment of a computation that follows time, to its end; None where nothing says how far it goes."""

    t: float
    end: float | None

    @property
    def share(self) -> tuple[float, float | None]:
        """How far it is, and how far it goes."""
        return self.t, self.end

    @property
    def status(self) -> str:
        """How far it is, in words."""
        return f"t = {self.t:.4g}" + ("" if self.end is None else f" of {self.end:.4g}")


def silent(*moment: object) -> None:
    """Hear how far it is, and say nothing: the callback of those that nobody asked."""


def barred(counts: str | None = None) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Give a function a bar where its argument `progress` is True; `counts`: what it counts, as done of all."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        @wraps(function)
        def with_bar(*args: _P.args, **options: _P.kwargs) -> _R:
            if not isinstance(options.get("progress"), bool):
                return function(*args, **options)
            with shown(bool(options["progress"])) as report:
                options["progress"] = report
                if report is not None and counts is not None:
                    options["progress"] = lambda done, total: report(Count(done, total, counts))
                return function(*args, **options)

        return with_bar

    return decorate


def callback(progress: _C | bool | None) -> _C | None:
    """Return the argument `progress` of a function that `barred` decorates: there it is no bool any more."""
    return None if isinstance(progress, bool) else progress


@contextmanager
def shown(progress: Callable[[Any], None] | bool | None) -> Iterator[Callable[[Any], None] | None]:
    """Give the callback that was asked for: the function itself, a bar for True, None for none."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield None
    else:
        bar = Bar(_notebook_handle() or _write_line)
        finished = False
        try:
            yield bar
            finished = True
        finally:
            bar.close(finished)


class Bar:
    """Shows how far it is, a few times a second; `show` takes the share that is done, None where unknown, and words."""

    def __init__(self, show: Callable[[float | None, str, bool], None]) -> None:
        self._show = show
        self._start, self._last = time.monotonic(), 0.0
        self._moment: BarState | None = None

    def __call__(self, moment: BarState) -> None:
        """Show a moment of a computation."""
        self._moment = moment
        now = time.monotonic()
        if now - self._last >= _BETWEEN:
            self._last = now
            self._tell(ends=False)

    def close(self, finished: bool) -> None:
        """Show the last moment, and end; the bar is full if all was done."""
        self._tell(ends=True, finished=finished)

    def _tell(self, *, ends: bool, finished: bool = False) -> None:
        if self._moment is not None:
            reached, end = self._moment.share
            done = 1.0 if finished else None if not end else min(1.0, reached / end)
            self._show(done, f"{self._moment.status}, {time.monotonic() - self._start:.1f} s", ends)


def _notebook_handle() -> Callable[[float | None, str, bool], None] | None:
    """Return what shows a bar in the notebook that runs this, None where there is none."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is None or type(shell).__name__ != "ZMQInteractiveShell":
        return None
    from IPython.display import HTML, display  # type: ignore[import-not-found,unused-ignore]

    handle = display(HTML(""), display_id=True)

    def show(done: float | None, words: str, ends: bool) -> None:
        handle.update(HTML(bar_html(done, words)))

    return show


def bar_html(done: float | None, words: str) -> str:
    """Return a bar as HTML; one that moves where nothing says how much is done."""
    value = "" if done is None else f' value="{done:.4f}"'
    return f'<div><progress max="1"{value} style="width:16em;vertical-align:middle"></progress> {escape(words)}</div>'


def _write_line(done: float | None, words: str, ends: bool) -> None:
    full = _WIDTH if done is None else round(_WIDTH * done)
    bar = ("?" if done is None else "#") * full + "." * (_WIDTH - full)
    last = "\n" if ends else ""
    sys.stderr.write(f"\r\x1b[K[{bar}] {words}{last}" if sys.stderr.isatty() else f"[{bar}] {words}\n" if ends else "")
    sys.stderr.flush()
