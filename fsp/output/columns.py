"""Read tables of text: a header, and columns of numbers or of words."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file of columns with a header; columns of numbers become arrays of floats."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            sample = file.read(4096)
            file.seek(0)
            separator = _separator(sample, path)
            rows = csv.reader(_lines(file, separator), delimiter=separator)
            header = [name.strip().strip('"') for name in next(rows)]
            _require_different(header, path)
            cells = [_of_length(row, len(header), path, rows.line_num) for row in rows if row]
    except UnicodeDecodeError:
        raise ArgumentError(f"'{path}' must be text in UTF-8, but is not.") from None
    except csv.Error as error:
        raise ArgumentError(f"'{path}' must be a table, but line {rows.line_num} is none: {error}.") from None
    if not cells:
        raise ArgumentError(f"'{path}' must have a row of values at least, but has a header only.")
    columns: list[Sequence[str]] = list(zip(*cells, strict=True))
    return {name: _numbers(cells) for name, cells in zip(header, columns, strict=True)}


def _separator(sample: str, path: Path) -> str:
    """Return what separates the columns of a file, by its first line."""
    if not sample.strip():
        raise ArgumentError(f"'{path}' must be a table, but is empty.")
    first = sample.partition("\n")[0].lstrip("# ").strip()
    separator = next((mark for mark in (",", "\t", ";") if mark in first), " ")
    if separator == " " and len(first.split()) < 2:
        raise ArgumentError(f"'{path}' must have columns with a header, but begins with '{sample[:40]}'.")
    return separator


def _lines(file: Iterable[str], separator: str) -> Iterator[str]:
    """Yield the lines of a file, with one blank between columns that blanks separate, and no # before the header."""
    for number, line in enumerate(file):
        text = line.lstrip("# ") if number == 0 else line
        yield " ".join(text.split()) + "\n" if separator == " " else text


def _require_different(header: Sequence[str], path: Path) -> None:
    """Refuse two columns of one name; several without a name are those that spreadsheets leave at the end."""
    twice = next((name for i, name in enumerate(header) if name and name in header[:i]), None)
    if twice is not None:
        raise ArgumentError(f"'{path}' must have columns of different names, but has '{twice}' twice.")


def _of_length(row: list[str], n: int, path: Path, line: int) -> list[str]:
    if len(row) != n:
        raise ArgumentError(
            f"'{path}' must have rows of {n} cells, as many cells as its header, but line {line} has {len(row)}."
        )
    return row


def _numbers(cells: Sequence[str]) -> NDArray[Any]:
    try:
        return np.array([cell or "nan" for cell in cells], dtype=float)
    except ValueError:
        return np.array([cell.strip() for cell in cells])
