"""Read tables of text: a header, and columns of numbers or of words."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

# How files begin that are no text, what they are, and how a table is made of each.
_UNPACK = "unpack it"
_OF_PANDAS = "give the DataFrame that pandas reads of it"
_BINARY = {
    b"\x1f\x8b": ("compressed by gzip", _UNPACK),
    b"BZh": ("compressed by bzip2", _UNPACK),
    b"\xfd7zXZ": ("compressed by xz", _UNPACK),
    b"PK\x03\x04": ("a zip archive or a workbook", "unpack it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("a workbook", "save the sheet as CSV"),
    b"PAR1": ("in the format of Parquet", _OF_PANDAS),
    b"\x89HDF": ("in the format of HDF5", _OF_PANDAS),
    b"\xff\xfe": ("in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
    b"\xfe\xff": ("in UTF-16", "convert it: iconv -f UTF-16 -t UTF-8"),
}
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOLD = re.compile(r"sep=(.|\\t)")  # the first line by which Excel is told the separator
_SAMPLE = 4096  # characters in which the first line is looked for: chosen, as the longest header that was met has 900
_SHOWN_CHARACTERS = 40  # characters of a first line, in messages


def read_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Read a file of columns with a header; columns of numbers become arrays of floats."""
    _refuse_binary(path)
    skipped = start = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            separator, skipped = _beginning(file.read(_SAMPLE), path)
            file.seek(0)
            lines = _lines(islice(file, skipped, None), separator, path)
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
            header = [name.strip().strip('"') for name in next(rows)]
            _require_different(header, path)
            cells = []
            start = rows.line_num
            for row in rows:
                if row:
                    cells.append(_of_length(row, len(header), path, rows.line_num + skipped))
                start = rows.line_num
    except UnicodeDecodeError:
        raise ArgumentError(
            f"'{path}' must be text in UTF-8, but is not; convert it: iconv -f ENCODING -t UTF-8."
        ) from None
    except csv.Error as error:
        if rows.line_num > start + 1 or str(error) == "unexpected end of data":
            raise ArgumentError(
                f"'{path}' must end each quotation that it begins, but does not from line {start + skipped + 1} on."
            ) from None
        raise ArgumentError(f"'{path}' must be a table, but line {rows.line_num + skipped} is none: {error}.") from None
    if not cells:
        raise ArgumentError(f"'{path}' must have a row of values at least, but has a header only.")
    columns: list[Sequence[str]] = list(zip(*cells, strict=True))
    return {name: _numbers(cells) for name, cells in zip(header, columns, strict=True)}


def _refuse_binary(path: Path) -> None:
    with path.open("rb") as file:
        data = file.read(max(map(len, _BINARY)))
    for mark, (what, way) in _BINARY.items():
        if data.startswith(mark):
            raise ArgumentError(f"'{path}' must be a table of text in UTF-8, but is {what}; {way}.")


def _beginning(sample: str, path: Path) -> tuple[str, int]:
    """Return what separates the columns of a file, by its first line with text, and the number of lines above it."""
    if not sample.strip():
        raise ArgumentError(f"'{path}' must be a table, but is empty.")
    lines = _LINE_END.split(sample)
    above = next(i for i, line in enumerate(lines) if line.strip())
    first = lines[above].lstrip("# ").strip()
    told = _TOLD.fullmatch(first)
    if told:
        return "\t" if told[1] == "\\t" else told[1], above + 1
    separator = next((mark for mark in (",", "\t", ";") if mark in first), " ")
    if separator == " " and len(first.split()) < 2:
        raise ArgumentError(
            f"'{path}' must have columns with a header, between commas, tabs, semicolons or blanks, but begins with "
            f"{first[:_SHOWN_CHARACTERS]!r}."
        )
    below = [line for line in lines[above + 1 : -1] if line.strip()]  # without the last, which the sample may cut
    if lines[above].startswith("#") and below and '"' not in sample:
        _refuse_comment(first, below[0], separator, path)
    return separator, above


def _refuse_comment(first: str, second: str, separator: str, path: Path) -> None:
    """Refuse a first line after a # that is no header of the second one."""
    widths = [len(line.split() if separator == " " else line.split(separator)) for line in (first, second)]
    if second.startswith("#") or widths[0] != widths[1]:
        raise ArgumentError(
            f"'{path}' must begin with the header of its columns, but begins with the comment "
            f"{first[:_SHOWN_CHARACTERS]!r}; remove the lines above the header."
        )


def _lines(file: Iterable[str], separator: str, path: Path) -> Iterator[str]:
    """Yield the lines of a file, with one blank between columns that blanks separate, and no # before the header."""
    for number, line in enumerate(file):
        if "\0" in line:
            raise ArgumentError(f"'{path}' must be a table of text, but holds the character of number 0.")
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
    if any("_" in cell for cell in cells):  # Python's float reads 1_0 as 10
        return np.array([cell.strip() for cell in cells])
    try:
        return np.array([cell or "nan" for cell in cells], dtype=float)
    except ValueError:
        return np.array([cell.strip() for cell in cells])
