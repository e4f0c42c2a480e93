"""Say whether a command may replace a file: never what it reads, and nothing else that fsp did not write, unasked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from fsp.errors import ArgumentError
from fsp.output.files import place_of, try_writing
from fsp.version import __version__

IsOwn: TypeAlias = Callable[[Path], bool]

MARK = f"written by fsp {__version__}"
"""What a file says of its origin where its kind has a place for it."""
_MARKS = (
    b"written by fsp ",
    b'<meta name="generator" content="fsp ',
    b'<testsuite name="fsp verify ',
    b'{\n  "fsp": "',
    b"case,model,verdict,",
    b"job,status,file,model,",
)
_END_BYTES = 2**16  # bytes at either end of a file in which such words are


def is_marked(path: Path) -> bool:
    """Tell whether a file says that fsp wrote it."""
    try:
        with path.open("rb") as file:
            ends = file.read(_END_BYTES)
            file.seek(max(_END_BYTES, os.fstat(file.fileno()).st_size - _END_BYTES))
            ends += file.read(_END_BYTES)
    except OSError:  # what cannot be read is not known to be ours
        return False
    return any(mark in ends for mark in _MARKS)


@dataclass(frozen=True, slots=True)
class Output:
    """A file that an option of a command names, if it is given."""

    option: str
    path: Path | None
    suffixes: tuple[str, ...] = ()  # it must end in one of these, where there are any
    is_own: IsOwn = is_marked  # whether a file may be replaced by it


def require_outputs(*outputs: Output, inputs: Iterable[str | Path] = (), overwrite: bool) -> None:
    """Refuse files that a command must not or cannot write, before it does its work."""
    known = list(inputs)
    seen: set[Path] = set()
    for option, path, suffixes, is_own in ((o.option, o.path, o.suffixes, o.is_own) for o in outputs):
        if path is None:
            continue
        if suffixes and path.suffix.lower() not in suffixes:
            raise ArgumentError(f"`{option}` must end in one of {', '.join(suffixes)}, but is '{path}'.")
        require_replaceable(path, option, inputs=known, overwrite=overwrite, is_own=is_own)
        if (place := place_of(path, option)) in seen:
            raise ArgumentError(f"`{option}` must be another file for each output, but is '{path}' twice.")
        seen.add(place)
        try_writing(path, option)


def require_replaceable(
    path: Path,
    option: str,
    *,
    inputs: Iterable[str | Path] = (),
    overwrite: bool = False,
    is_own: IsOwn = is_marked,
) -> None:
    """Refuse a file that a command must not replace."""
    place = place_of(path, option)
    if not place.exists():
        return
    for other in inputs:
        if os.path.exists(other) and os.path.samefile(place, other):
            raise ArgumentError(
                f"`{option}` must be another file than those that are read, but is '{other}'. Choose another name."
            )
    if not overwrite and not is_own(place):
        raise ArgumentError(
            f"`{option}` must be a new file, or one that fsp wrote, but '{path}' is neither. Choose another name, or "
            f"replace it with --overwrite."
        )
