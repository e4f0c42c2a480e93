"""Gaussian elimination over the rationals, with whole rows: each is a primitive vector, so that numbers stay small.

Rows are dictionaries of the weights that are not zero, since stoichiometries are mostly zeros.  A row is added to an
echelon form by cancelling its first weight with the row that has its pivot there, until there is none.

References
----------
E. H. Bareiss, Math. Comp. 22 (1968) 565, doi:10.1090/S0025-5718-1968-0226829-0 (elimination without fractions).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from fsp.time_limit import check_time_limit

Row = dict[int, int]


class Echelon:
    """An echelon form with pivots left of column `width`, to which rows are added."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows: dict[int, Row] = {}  # by pivot

    @property
    def rank(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def add(self, row: Sequence[int | Fraction]) -> bool:
        """Add a row; return whether it is independent of those before."""
        return self.add_row(_integers(row))

    def add_row(self, left: Row) -> bool:
        """Add a whole row without common divisor as `add` does."""
        while left:
            check_time_limit()
            column = min(left)
            if column >= self._width:
                return False
            if column not in self._rows:
                self._rows[column] = left
                return True
            left = _without(left, column, self._rows[column])
        return False

    def reduced(self) -> dict[int, Row]:
        """Return the rows of the reduced form, each a multiple of its own, by ascending pivots."""
        rows: dict[int, Row] = {}
        for pivot in sorted(self._rows, reverse=True):
            check_time_limit()
            row = self._rows[pivot]
            for column in sorted(row.keys() & rows.keys()):
                row = _without(row, column, rows[column])
            rows[pivot] = row
        return dict(sorted(rows.items()))


def echelon(rows: Iterable[Sequence[int | Fraction]], width: int) -> tuple[list[list[Fraction]], list[int]]:
    """Return the reduced row echelon form over the rationals, and its pivot columns, which are less than `width`."""
    given, form = list(rows), Echelon(width)
    for row in given:
        form.add(row)
    reduced_rows, columns = form.reduced(), range(len(given[0]) if given else 0)
    return [[Fraction(row.get(j, 0), row[pivot]) for j in columns] for pivot, row in reduced_rows.items()], list(
        reduced_rows
    )


def _integers(row: Sequence[int | Fraction]) -> Row:
    """Return the primitive whole multiple of a row."""
    common = math.lcm(*(n.denominator for n in row if n))
    return _primitive({j: int(n * common) for j, n in enumerate(row) if n})


def _without(row: Row, column: int, other: Row) -> Row:
    """Cancel a column of a row with another one."""
    shared = math.gcd(row[column], other[column])
    multiple, factor = other[column] // shared, row[column] // shared
    made = {j: multiple * n for j, n in row.items()}
    for j, n in other.items():
        left = made.get(j, 0) - factor * n
        if left:
            made[j] = left
        else:
            del made[j]
    return _primitive(made)


def _primitive(row: Row) -> Row:
    divisor = math.gcd(*row.values())
    return {j: n // divisor for j, n in row.items()} if divisor > 1 else row
