"""Counted molecules in single cells: read, checked, and gathered by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.shown import Shown
from fsp.distribution.text import table
from fsp.errors import ArgumentError
from fsp.model.times import checked_times
from fsp.output.columns import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.instruments import Instrument

Columns = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True, eq=False)
class Counts(Shown):
    """Counts of what was observed in cells, each cell at one time.

    Parameters
    ----------
    observed
        Species, or formulas such as ``"A + B"``, that were counted.
    times
        (n_times,) increasing times.
    values
        For each time the (m, n_observed) different counts.
    cells
        For each time the (m,) numbers of cells that had them.
    """

    observed: tuple[str, ...]
    times: FloatArray
    values: tuple[IntArray, ...]
    cells: tuple[IntArray, ...]

    def standing(self, instruments: Sequence[Instrument]) -> Counts:
        """Return the same with the count that stands for each, where an instrument cannot tell some apart."""
        values, cells = [], []
        for own, n in zip(self.values, self.cells, strict=True):
            columns = [instrument.standing(column) for instrument, column in zip(instruments, own.T, strict=True)]
            different, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
            values.append(different)
            cells.append(np.bincount(place.reshape(-1), n).astype(np.int64))
        return Counts(self.observed, self.times, tuple(values), tuple(cells))

    @property
    def n_cells(self) -> int:
        """Number of all cells."""
        return sum(int(own.sum()) for own in self.cells)

    def __str__(self) -> str:
        """Return a row for each time: cells, and the mean and the largest of each count."""
        header = [
            "t",
            "cells",
            *(f"mean {name}" for name in self.observed),
            *(f"most {name}" for name in self.observed),
        ]
        rows = []
        for t, values, cells in zip(self.times.tolist(), self.values, self.cells, strict=True):
            means = (cells @ values / cells.sum()).tolist()
            most = values.max(axis=0).tolist()
            rows.append([f"{t:g}", f"{int(cells.sum()):,}", *(f"{x:.4g}" for x in means), *(f"{x}" for x in most)])
        return "\n".join([f"{self.n_cells:,} cells at {len(self.times)} times", *table(header, rows)])


def read_counts(
    source: str | Path | Mapping[str, Any],
    *,
    counts: Mapping[str, str],
    time: str = "time",
    where: Mapping[str, Any] | None = None,
    missing: str = "refuse",
) -> Counts:
    """Read counted molecules in single cells, a row for each cell.

    Parameters
    ----------
    source
        A file with columns and a header, separated by commas, tabs or semicolons; a pandas DataFrame; or columns by
        name.
    counts
        The column of each species that was counted, by its name in the model; or of a formula, ``{"A + B": "total"}``.
    time
        The column of the times, in the unit of the model.
    where
        Values that columns must have for a row to count, such as ``{"replica": 1}``.
    missing
        What becomes of rows without a count or a time: ``"refuse"`` or ``"drop"``.

    Returns
    -------
    Counts
        Cells by time; printed, it is a check of what was read.

    Raises
    ------
    ArgumentError
        If a column is missing, no row is left, or a count is negative, not whole, or missing; if a time is negative.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> fsp.read_counts("cells.csv", counts={"RNA": "rna_total"}, where={"replica": 1})  # doctest: +SKIP
    """
    columns = _columns_of(source)
    if missing not in ("refuse", "drop"):
        raise ArgumentError(f"`missing` must be one of refuse, drop, but is {missing!r}.")
    if not isinstance(counts, Mapping) or not counts:
        raise ArgumentError(
            f"`counts` must give the column of each species, such as {{'X': 'rna'}}, but is {counts!r}."
        )
    wanted = [time, *counts.values(), *(where or {})]
    lacking = [name for name in wanted if name not in columns]
    if lacking:
        raise ArgumentError(f"`source` must have a column '{lacking[0]}', but has {', '.join(columns)}.")
    kept = np.ones(len(columns[time]), dtype=np.bool_)
    for name, value in (where or {}).items():
        kept &= columns[name] == value
    numbers = [_numbers(columns[name], name, kept, missing) for name in (time, *counts.values())]
    if missing == "drop":
        kept &= ~np.isnan(np.array(numbers)).any(axis=0)
    if not kept.any():
        raise ArgumentError(f"`source` must have a cell where {dict(where or {})}, but has none.")
    for name, own in zip(counts.values(), numbers[1:], strict=True):
        _check_counts(own, name, kept)
    return _gathered(tuple(counts), numbers[0][kept], np.stack(numbers[1:], axis=1)[kept])


def _columns_of(source: str | Path | Mapping[str, Any]) -> Columns:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.is_file():
            raise ArgumentError(f"`source` must be a file that exists, but '{path}' does not.")
        return read_columns(path)
    names = getattr(source, "columns", source)
    try:
        return {str(name): np.asarray(source[name]) for name in names}
    except (TypeError, KeyError, IndexError):
        raise ArgumentError(f"`source` must be a file, a DataFrame or columns by name, but is {source!r}.") from None


def _numbers(column: NDArray[Any], name: str, kept: NDArray[np.bool_], missing: str) -> FloatArray:
    try:
        values = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"Column '{name}' must hold numbers, but holds {column[kept][:1].tolist()}.") from None
    empty = np.isnan(values) & kept
    if missing == "refuse" and empty.any():
        row = int(np.argmax(empty)) + 1
        raise ArgumentError(
            f"Column '{name}' must have a number in each row, but lacks {int(empty.sum())}, the first in row {row}; "
            f"leave such rows out with missing='drop'."
        )
    return values


def _check_counts(values: FloatArray, name: str, kept: NDArray[np.bool_]) -> None:
    wrong = kept & ~((values >= 0.0) & (values == np.floor(values)))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ArgumentError(
            f"Column '{name}' must hold counts, whole numbers of 0 or more, but has {values[row]:g} in row {row + 1}."
        )


def _gathered(observed: tuple[str, ...], times: FloatArray, values: FloatArray) -> Counts:
    at, place = np.unique(times, return_inverse=True)
    gathered = [np.unique(values[place == i].astype(np.int64), axis=0, return_counts=True) for i in range(len(at))]
    return Counts(observed, checked_times(at), tuple(v for v, _ in gathered), tuple(n for _, n in gathered))
