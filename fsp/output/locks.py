"""Locks on files and folders, which end with the process that holds them, however that ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import gethostname
from typing import IO, Any

from fsp.errors import ArgumentError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def lock(file: IO[Any]) -> bool | None:
    """Lock a file until it is closed; return whether nobody else had, None where the system has no such locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system has none
        return None
    return True


@contextmanager
def locked(folder: Path, option: str = "--out", kind: str = "batch") -> Iterator[None]:
    """Hold the lock on the folder of a batch, or of another kind of work, and make the folder.

    Systems without locks let everybody in.  `option` is what the folder was given by.
    """
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise not_writable(folder, error, option) from None
    with file:
        held = lock(file)
        if held is False or (held and not _is_there(file, path)):
            file.seek(0)
            raise ArgumentError(
                f"`{option}` must be a folder in which no other {kind} is at work, but in '{folder}' is "
                f"{file.read().strip() or 'one'}; wait for it, stop it, or give another folder."
            )
        try:
            file.truncate(0)
            os.write(file.fileno(), f"process {os.getpid()} on {gethostname()}".encode())
        except OSError as error:  # the disk is full
            raise not_writable(folder, error, option) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _is_there(file: IO[Any], path: Path) -> bool:
    """Tell whether a file is the one at `path`, and not one that was just given up."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())


def not_writable(folder: Path, error: OSError, option: str = "--out") -> ArgumentError:
    """Return the error about a folder in which files cannot be made."""
    return ArgumentError(f"`{option}` must be a folder that can be written to, but '{folder}' is not: {error}.")
