"""How a command ends: errors become a line and an exit status, and one of many ranks prints."""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import click

from fsp.command.wording import in_options, options_of_command
from fsp.errors import ArgumentError, BackendError, ConvergenceError, FSPError, ModelError, StateSpaceError
from fsp.launcher import n_ranks_started, rank_started

# As `EPILOG` says.
_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (ModelError, 3),
    (StateSpaceError, 4),
    (MemoryError, 4),
    (ConvergenceError, 5),
    (BackendError, 6),
    (ArgumentError, 2),
    (KeyboardInterrupt, 128 + signal.SIGINT),
)
ABOVE_TOLERANCE = 7  # exit status, as `EPILOG` says
STOPPED = "fsp: stopped"  # the line of a command that ends without an answer, as it was asked to
EPILOG = """\b
Exit status:
  0  solved; the error bound (stationary: or the estimate) meets the tolerance
  1  a file could not be written, or another failure
  2  wrong usage
  3  the model, or its file, is wrong
  4  a limit on states or memory was reached before the tolerance
  5  no convergence
  6  a backend is missing, or cannot treat the model
  7  solved, but the error is above the tolerance, or is not a bound
  130, 143  stopped by SIGINT (Ctrl-C) or SIGTERM; with --out, what was reached is saved
"""


def guarded(command: Callable[..., int], other: int = 1) -> Callable[..., None]:
    """Give `command` the option --debug; turn its errors into a line and an exit status, `other` where it has none."""

    @click.option("--debug", is_flag=True, help="Show the traceback of an error.")
    @functools.wraps(command)
    def guarded(*, debug: bool, **options: Any) -> None:
        try:
            _refuse_ranks(command.__name__, options)
            code = command(**options)
        except (FSPError, OSError, MemoryError) as error:
            if debug:
                raise
            click.echo(in_options(error_line(error), options_of_command()), err=True)
            code = code_of(error, other)
        except KeyboardInterrupt as stop:
            click.echo(STOPPED, err=True)
            code = code_of(stop)
        raise SystemExit(code)

    return guarded


judged = functools.partial(guarded, other=2)  # where 1 is a verdict


def _refuse_ranks(command: str, options: Mapping[str, Any]) -> None:
    """Refuse a command of which every rank would do the whole, and write the same files."""
    if command == "batch" or options.get("backend", "serial") != "serial" or n_ranks_started() == 1:
        return
    if rank_started():
        raise SystemExit(0)  # the first rank says it, and its status is that of mpirun
    way = "give --backend petsc, or " if "backend" in options else ""
    raise ArgumentError(
        f"`fsp {command}` must be started once, but {n_ranks_started()} ranks were, each of which would do all of it; "
        f"{way}start it without mpirun or srun."
    )


def error_line(error: BaseException) -> str:
    """Write an error as a line."""
    if isinstance(error, MemoryError):
        return "fsp: error: memory is exhausted; --max-memory and --max-states stop before it is"
    return f"fsp: error: {str(error) or type(error).__name__}"


def code_of(error: BaseException, other: int = 1) -> int:
    """Return the exit status of an error; `other` where its kind has none."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), other)


@contextmanager
def printing_if(prints: bool) -> Iterator[None]:
    """Print nothing unless this process is the one that `prints`."""
    if prints:
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        yield
