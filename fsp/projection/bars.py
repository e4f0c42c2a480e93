"""Progress that shows itself, for ``progress=True``: a bar in a notebook, a line on standard error elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from fsp.projection.progress import Progress, SweepProgress

_BETWEEN = 0.1  # seconds: faster than anyone reads; chosen
_WIDTH = 24  # characters of the bar of a line


@contextmanager
def shown(progress: Callable[[Any], None] | bool | None) -> Iterator[Callable[[Any], None] | None]:
    """Give the callback that was asked for: the function itself, a bar for True, None for none."""
    if not isinstance(progress, bool):
        yield progress
    elif not progress:
        yield None
    else:
        bar = Bar(_notebook_handle() or _write_line)
        try:
            yield bar
        finally:
            bar.close()


class Bar:
    """Shows how far it is, a few times a second; `show` takes the share that is done, None where unknown, and words."""

    def __init__(self, show: Callable[[float | None, str, bool], None]) -> None:
        self._show = show
        self._start, self._last = time.monotonic(), 0.0
        self._moment: Progress | SweepProgress | None = None

    def __call__(self, moment: Progress | SweepProgress) -> None:
        """Show a moment of a computation."""
        self._moment = moment
        now = time.monotonic()
        if now - self._last >= _BETWEEN:
            self._last = now
            self._tell(ends=False)

    def close(self) -> None:
        """Show the last moment, and end."""
        self._tell(ends=True)

    def _tell(self, *, ends: bool) -> None:
        if self._moment is not None:
            reached, end = share(self._moment)
            done = None if not end else min(1.0, reached / end)
            self._show(done, f"{status(self._moment)}, {time.monotonic() - self._start:.1f} s", ends)


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


def share(progress: Progress | SweepProgress) -> tuple[float, float | None]:
    """Return how far it is, and how far it goes."""
    if isinstance(progress, Progress):
        return progress.t or 0.0, progress.t_end
    return progress.done, progress.total


def status(progress: Progress | SweepProgress) -> str:
    """Say in a line how far it is."""
    if isinstance(progress, SweepProgress):
        failed = f" ({progress.failed} failed)" if progress.failed else ""
        last = f", last {progress.message}" if progress.message else ""
        head = f"{progress.done} of {progress.total} {progress.kind}{failed}{last}"
        if not progress.n_states:
            return head
        return f"{head}, up to {progress.n_states:,} states, error {progress.error:.1e}"
    reached = "" if progress.t is None else f"t = {progress.t:.4g} of {progress.t_end:.4g}, "
    message = f", {progress.message}" if progress.message else ""
    return f"{reached}{progress.n_states:,} states, error {progress.error:.1e}{message}"
