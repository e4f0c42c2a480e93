"""Progress on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import click

if TYPE_CHECKING:
    from fsp.projection import Progress, SweepProgress

    Report: TypeAlias = Callable[[Progress | SweepProgress], None]

_SECONDS_BETWEEN_LINES = 5.0  # chosen: a log of an hour stays below a thousand lines
SECONDS_ASKED_FOR = 1.0  # between lines with --progress; chosen


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Write the warnings of a block when it has ended, a line each."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        try:
            yield
        finally:
            for warning in caught:
                click.echo(f"fsp: warning: {warning.message}", err=True)


@contextmanager
def shown_progress(quiet: bool, every: float | None = None) -> Iterator[Report | None]:
    """Give a callback: a bar on a terminal, a line every so many seconds elsewhere, None when quiet."""
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield Lines(every)
    else:
        from rich import console, progress

        columns = (
            progress.SpinnerColumn(),
            progress.BarColumn(24),
            progress.TextColumn("{task.description}", markup=False),
            progress.TimeElapsedColumn(),
            progress.TextColumn("left"),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)

            def report(moment: Progress | SweepProgress) -> None:
                reached, end = moment.share
                bar.update(task, completed=reached, total=end, description=moment.status)

            yield report


class Lines:
    """Print progress as plain lines, at most one every so many seconds, or every five."""

    def __init__(self, every: float | None = None) -> None:
        self.start = self.last = time.monotonic()
        self._every = every

    def __call__(self, progress: Progress | SweepProgress) -> None:
        """Print, if the last line is some seconds old."""
        now = time.monotonic()
        if now - self.last >= (_SECONDS_BETWEEN_LINES if self._every is None else self._every):
            self.last = now
            click.echo(f"fsp: {progress.status}, {now - self.start:.0f} s", err=True)
