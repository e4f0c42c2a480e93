"""Progress on standard error: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

import click

from fsp.bars import Stage
from fsp.command.exits import ABOVE_TOLERANCE
from fsp.errors import ArgumentError, ToleranceWarning

if TYPE_CHECKING:
    from fsp.bars import BarState

    Report: TypeAlias = Callable[[BarState], None]

SECONDS_BETWEEN_LINES = 5.0  # chosen: a log of an hour stays below a thousand lines
_WARNED = "fsp.tolerance"  # of click's notes on a command: a warning of its tolerance was written
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
            context = click.get_current_context(silent=True)
            if context is not None and any(issubclass(warning.category, ToleranceWarning) for warning in caught):
                context.meta[_WARNED] = True


def status_of_answer(*, certified: bool = True) -> int:
    """Return the exit status of an answer: it must be a bound, and no warning have said that it is above `tol`."""
    return 0 if certified and not click.get_current_context().meta.get(_WARNED, False) else ABOVE_TOLERANCE


@contextmanager
def reporting(quiet: bool, progress: bool) -> Iterator[Report | None]:
    """Give a callback for progress, and write warnings when the block has ended."""
    with warnings_as_lines(), shown_progress(quiet, progress) as report:
        yield report


@contextmanager
def shown_progress(quiet: bool, progress: bool = False) -> Iterator[Report | None]:
    """Give a callback: a bar on a terminal, a line every five seconds elsewhere, with --progress every second."""
    if quiet and progress:
        raise ArgumentError("One of `--quiet` and `--progress` must be given, but both are.")
    if quiet:
        yield None
    elif not sys.stderr.isatty():
        yield LineProgress(SECONDS_ASKED_FOR if progress else SECONDS_BETWEEN_LINES)
    else:
        from rich import console
        from rich import progress as parts

        columns = (
            parts.SpinnerColumn(),
            parts.BarColumn(24),
            parts.TextColumn("{task.description}", markup=False),
            parts.TimeElapsedColumn(),
            parts.TextColumn("left"),
            parts.TimeRemainingColumn(),
        )
        with parts.Progress(*columns, console=console.Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)

            def report(moment: BarState) -> None:
                reached, end = moment.share
                bar.update(task, completed=reached, total=end, description=moment.status)

            yield report


class LineProgress:
    """Print progress as plain lines: every stage of the work, and one line in so many seconds between."""

    def __init__(self, every: float = SECONDS_BETWEEN_LINES) -> None:
        self.start = self.last = time.monotonic()
        self._every = every

    def __call__(self, moment: BarState) -> None:
        """Print a stage, and all else if the last line is some seconds old."""
        now = time.monotonic()
        if isinstance(moment, Stage):
            click.echo(f"fsp: {moment.status}", err=True)
        elif now - self.last >= self._every:
            self.last = now
            click.echo(f"fsp: {moment.status}, {now - self.start:.0f} s", err=True)
