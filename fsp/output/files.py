"""Write files whole or not at all.

A file is written beside its place under a name of its own, flushed to the disk, and moved there by one rename: whoever
looks finds the old file or the new one.  SIGINT and SIGTERM are held back meanwhile.  What a killed process leaves is
removed by the next one that writes to the same place: a file that is being written is locked by its writer, and the
system frees the locks of the dead.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import FrameType

from fsp.errors import ArgumentError, OutputError
from fsp.output.locks import lock

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_TRIED = 4096  # bytes that are written to see whether a disk takes any
_TEMPORARY = r"\.[0-9a-f]{8}\.tmp"


def place_of(path: str | Path, what: str = "path") -> Path:
    """Return where a file is to be written, through links."""
    given = _absolute(path, what)
    try:
        place = given.resolve()  # through links: what they point to is replaced
        in_folder = place.parent.is_dir()
        is_there = in_folder and place.exists()
        mode = place.stat().st_mode if is_there else stat.S_IFREG
    except (OSError, RuntimeError, ValueError) as error:  # too long, a circle of links, a null byte
        raise ArgumentError(
            f"`{what}` must be a file that can be written, but {str(path)!r} is not: {error}."
        ) from None
    if not in_folder:
        raise ArgumentError(f"`{what}` must lie in a folder that exists, but '{place.parent}' does not.")
    if stat.S_ISDIR(mode):
        raise ArgumentError(f"`{what}` must be a file in a folder that exists, but '{path}' is a folder.")
    if not stat.S_ISREG(mode):
        raise ArgumentError(f"`{what}` must be a regular file, or a new one, but '{path}' is a device or a pipe.")
    if is_there and not os.access(place, os.W_OK):
        raise ArgumentError(f"`{what}` must be a file that may be written, but '{path}' is protected against that.")
    return place


def _absolute(path: str | Path, what: str) -> Path:
    """Return the absolute path; where the working folder is gone, say so."""
    try:
        return Path(path).absolute()
    except FileNotFoundError:
        raise ArgumentError(
            f"`{what}` must be a file that can be written, but '{path}' is not: the working folder does not exist any "
            f"more. Change to another one (cd), or give the path from the root."
        ) from None


@contextmanager
def replacing(path: str | Path) -> Iterator[FileIO]:
    """Give a file to write to; what was at `path` is replaced once the block has ended and the disk holds it all."""
    place = place_of(path)
    with held_signals():
        try:
            with _temporary(place) as file:
                yield file
                os.fsync(file.fileno())
                os.replace(file.name, place)
            _flush_folder(place.parent)
        except OSError as error:
            raise OutputError(
                f"'{path}' must be written whole, but cannot be: {error.strerror or error}. What was there before is "
                f"unchanged. Make room there, or write to another place."
            ) from error


def write(path: str | Path, content: bytes | str) -> None:
    """Write a file, whole or not at all; texts in UTF-8.  What `replacing` raises."""
    with replacing(path) as file:
        put(file, content.encode() if isinstance(content, str) else content)


def try_writing(path: str | Path, what: str = "path") -> None:
    """Write a page beside a file, and take it away again, so that what fails does so now and not after hours."""
    place = place_of(path, what)
    with held_signals():
        try:
            with _temporary(place) as file:
                put(file, bytes(_TRIED))
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"`{what}` must be a file that can be written, but '{path}' is not: {error.strerror or error}. "
                f"Make room there, or choose another place."
            ) from error


def put(file: FileIO, content: bytes | memoryview) -> None:
    """Write all of it, however little the system takes at once."""
    left = memoryview(content)
    while left.nbytes:
        left = left[file.write(left) :]


def is_left_over(name: str, of: str) -> bool:
    """Tell whether a file bears the name of one that was being written, in place of the one whose name matches `of`."""
    return re.fullmatch(rf"\.(?:{of}){_TEMPORARY}", name) is not None


@contextmanager
def held_signals() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back until the block has ended, in the main thread; others are not interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def notice(number: int, frame: FrameType | None) -> None:
        came.append(number)

    before = {signal_number: signal.getsignal(signal_number) for signal_number in SIGNALS}
    heard = [signal_number for signal_number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    for signal_number in heard:
        signal.signal(signal_number, notice)
    try:
        yield
    finally:
        for signal_number in heard:
            signal.signal(signal_number, before[signal_number])
        for number in came:
            signal.raise_signal(number)


@contextmanager
def _temporary(place: Path) -> Iterator[FileIO]:
    """Give a new file beside `place`, with its permissions; it is gone afterwards, unless it was moved away."""
    _clear(place)
    file = _created(place)
    try:
        if place.exists():
            os.chmod(file.name, stat.S_IMODE(place.stat().st_mode))
        yield file
    finally:
        file.close()
        with suppress(OSError):
            os.unlink(file.name)


def _created(place: Path) -> FileIO:
    """Make a file and lock it; anew where it was taken for a left-over before it was locked."""
    while True:
        file = FileIO(place.with_name(f".{place.name}.{secrets.token_hex(4)}.tmp"), "x+")
        lock(file)
        if os.path.exists(file.name):
            return file
        file.close()


def _clear(place: Path) -> None:
    """Remove what processes that were killed while they wrote to `place` have left."""
    for entry in os.scandir(place.parent):
        if is_left_over(entry.name, re.escape(place.name)):
            with suppress(OSError), FileIO(entry.path, "r+") as file:
                if lock(file):  # without locks it stays
                    os.unlink(entry.path)


def _flush_folder(folder: Path) -> None:
    """Wait until a rename is on the disk, where the system can tell."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
