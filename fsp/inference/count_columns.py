"""Columns of a table of cells as numbers: fields where one lacks, counts and times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import FloatArray

MOST_COUNT = 2**53  # floats hold every whole number up to this one, and no fraction from a half of it on
_THOUSANDS = re.compile(r"\s*[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?\s*")
# Words that tables have where a number lacks, R's and those of spreadsheets and of pandas: chosen.
_LACKING = {"", "na", "n/a", "#n/a", "n.a.", "<na>", "nan", "none", "null", "-", ".", "?"}
_OTHER_NUMBERS = {
    "c": "complex ones",
    "M": "dates; give the time since one of them, as in (date - date.min()).dt.total_seconds()",
    "m": "durations, whose unit it does not say; give numbers, as in duration.dt.total_seconds()",
}


def checked_numbers(column: NDArray[Any], name: str, kept: NDArray[np.bool_], missing: str) -> FloatArray:
    """Return a column (n,) of a table as numbers, NaN where one lacks; refuse what is none."""
    if column.dtype.kind in _OTHER_NUMBERS:
        raise ArgumentError(f"Column '{name}' must hold numbers, but holds {_OTHER_NUMBERS[column.dtype.kind]}.")
    if column.dtype.kind in "UO":
        column = np.array([np.nan if _lacks(word) else word for word in column.tolist()], dtype=object)
    try:
        if column.dtype.kind == "O" and not all(_is_number(word) for word in column.tolist()):
            raise ValueError
        values = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        row, word = next((i, word_here) for i, word_here in enumerate(column.tolist()) if not _is_number(word_here))
        raise ArgumentError(
            f"Column '{name}' must hold numbers, but has {word!r} in row {row + 1}{_way_to_write(word)}."
        ) from None
    empty = np.isnan(values) & kept
    if missing == "refuse" and empty.any():
        row = int(np.argmax(empty)) + 1
        raise ArgumentError(
            f"Column '{name}' must have a number in each row, but lacks {int(empty.sum())}, the first in row {row}; "
            f"leave such rows out with missing='drop'."
        )
    return values


def _way_to_write(word: object) -> str:
    """Return how to write a number with commas, decimal ones or those between thousands."""
    ways = []
    if isinstance(word, str) and _THOUSANDS.fullmatch(word):
        ways.append(f"{word.replace(',', '')}, without commas")
    if isinstance(word, str) and "," in word and _is_number(word.replace(",", ".", 1)):
        ways.append(f"{word.replace(',', '.', 1)}, with a point")
    return f"; write {', or '.join(ways)}" if ways else ""


def require_times(values: FloatArray, name: str, kept: NDArray[np.bool_]) -> None:
    """Refuse times (n,) before the start in rows that are kept."""
    wrong = kept & ~((values >= 0.0) & np.isfinite(values))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ArgumentError(
            f"Column '{name}' must hold times since the start, finite and not negative, but has {values[row]:g} in row "
            f"{row + 1}; leave such rows out, or shift all times so that cells begin at 0."
        )


def require_counts(values: FloatArray, name: str, kept: NDArray[np.bool_]) -> None:
    """Refuse what is no count (n,) in rows that are kept."""
    wrong = kept & ~((values >= 0.0) & (values < MOST_COUNT) & (values == np.floor(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ArgumentError(
            f"Column '{name}' must hold counts, whole numbers of 0 or more{_largest(values[row])}, but has "
            f"{values[row]:g} in row {row + 1}."
        )


def _largest(value: float) -> str:
    """Return in words what bounds counts, where a value is above it."""
    return f" and less than {MOST_COUNT:,}" if value >= MOST_COUNT else ""


def _lacks(word: Any) -> bool:
    """Whether a field says that there is no number."""
    return not isinstance(word, int | float) and str(word).strip().lower() in _LACKING


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return not (isinstance(value, str) and "_" in value)  # Python reads 1_0 as 10
