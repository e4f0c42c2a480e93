"""Distinct counts of many runs, and how many runs have each: in pieces, between which an interrupt is heard.

Sorting ten million numbers, or rows of them, at once takes seconds, in which the interpreter hears nothing.  Of runs
that are alike, as most are, what the pieces hold together is short, so that pieces are faster too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray

SORTED_AT_ONCE = 500_000  # numbers, which are sorted in less than a tenth of a second


def numbered(rows: IntArray) -> IntArray:
    """Return a number from 0 on for each of the `rows`, (n, d) or (n,), in their order; the same for equal ones."""
    first, *others = rows.reshape(len(rows), -1).T
    numbers = _places(first)
    for column in others:
        place = _places(column)
        numbers = _places(numbers * (int(place.max(initial=0)) + 1) + place)  # at most n², below 2⁶³
    return numbers


def tally(rows: IntArray) -> tuple[IntArray, FloatArray]:
    """Return the distinct `rows`, (m, d) or (m,), in their order, and how many there are of each, (m,)."""
    numbers = numbered(rows)
    return rows[first_of(numbers)], np.bincount(numbers).astype(float)


def first_of(numbers: IntArray) -> IntArray:
    """Return where each of the numbers 0 to m - 1 stands first."""
    first = np.full(int(numbers.max(initial=-1)) + 1, len(numbers))
    np.minimum.at(first, numbers, np.arange(len(numbers)))
    return first


def _places(values: IntArray) -> IntArray:
    """Return the place of each value among the distinct ones in their order, (n,)."""
    pieces = [values[i : i + SORTED_AT_ONCE] for i in range(0, len(values), SORTED_AT_ONCE)] or [values]
    distinct = np.unique(np.concatenate([np.unique(piece) for piece in pieces]))
    return np.concatenate([np.searchsorted(distinct, piece) for piece in pieces])
