"""Read counted molecules in single cells: checked, and gathered by time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import check_choice, check_mapping, shown
from fsp.distribution.counts import Condition, Counts
from fsp.errors import ArgumentError
from fsp.inference.cells import columns_of, conditions_in, require_labels
from fsp.inference.count_columns import checked_numbers, require_counts, require_times
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import FloatArray

MOST_SHOWN = 5  # of the values of a column, in messages
MISSING = ("refuse", "drop", "unseen")


def read_counts(
    source: str | Path | Mapping[str, Any],
    *,
    counts: Mapping[str, str],
    time: str = "time",
    where: Mapping[str, Any] | None = None,
    conditions: Mapping[str, str | Mapping[Any, Mapping[str, float]]] | None = None,
    replicate: str | None = None,
    missing: str = "refuse",
    time_unit: str = "",
) -> Counts:
    """Read counted molecules in single cells, a row for each cell.

    Parameters
    ----------
    source
        A file with columns and a header, separated by commas, tabs or semicolons; an ``.h5ad`` file or an AnnData
        object, whose columns are those of ``obs`` and the genes; a pandas DataFrame; or columns by name.
    counts
        The column of each species that was counted, by its name in the model; or of a formula, ``{"A + B": "total"}``.
    time
        The column of the times, in the unit of the model.
    where
        Values that columns must have for a row to count, such as ``{"replica": 1}``.
    conditions
        Columns that say what was done to a cell: a name, whose parameter or initial count the column holds, as in
        ``{"salt": "S"}``; or what each label sets, ``{"strain": {"wild": {}, "mutant": {"k": 0.0}}}``.
    replicate
        A column whose cells are counted apart in print.
    missing
        What becomes of rows without a count or a time, where a field is empty, or says ``NA`` or the like:
        ``"refuse"``; ``"drop"``; or ``"unseen"``: what lacks a count was not seen in that cell, and the other counts of
        it are used.  A time must be there.
    time_unit
        Unit of the times, such as ``"minute"``, which is compared with that of the model; empty for no comparison.

    Returns
    -------
    Counts
        Cells by condition and time; printed, it is a check of what was read.

    Raises
    ------
    ArgumentError
        If a column is missing, no row is left, or a count is negative, not whole, or missing; if a time is negative;
        if a label of a condition says nothing of what it sets; if anndata is needed and not installed.

    References
    ----------
    Z. Fox, B. Munsky, PLoS Comput. Biol. 15 (2019) e1006365, doi:10.1371/journal.pcbi.1006365.

    Examples
    --------
    >>> print(fsp.read_counts({"time": [1, 1, 2], "rna": [0, 3, 4]}, counts={"RNA": "rna"}))
    3 cells at 2 times
    t  cells  mean RNA  most RNA
    1      2       1.5         3
    2      1         4         4
    """
    _check_arguments(counts, time, where, conditions, replicate, missing)
    of_runs = [] if replicate is None else [replicate]
    columns = columns_of(source, [time, *counts.values(), *(where or {}), *(conditions or {}), *of_runs])
    kept = _rows(columns, where or {}, len(columns[time]))
    numbers = np.array(
        [
            checked_numbers(columns[name], name, kept, missing if name != time or missing == "drop" else "refuse")
            for name in (time, *counts.values())
        ]
    )  # (1 + n_observed, n_rows)
    lacking = np.isnan(numbers)
    kept &= ~(lacking.any(axis=0) if missing == "drop" else lacking[0] | lacking[1:].all(axis=0))
    if not kept.any():
        asked = (
            f" where {', '.join(_asked(name, value, columns[name]) for name, value in where.items())}" if where else ""
        )
        raise ArgumentError(f"`source` must have a row with a time and a count{asked}, but has none.")
    require_times(numbers[0], time, kept)
    for name, values in zip(counts.values(), numbers[1:], strict=True):
        require_counts(values, name, kept & ~np.isnan(values))
    labels = np.array([""] * len(kept)) if replicate is None else columns[replicate].astype(str)
    file_conditions = []
    for name in conditions or {}:
        require_labels(columns[name], name, kept)
    for label, settings, rows in conditions_in(columns, conditions or {}, kept):
        patterns, place = np.unique(~lacking[1:, rows], axis=1, return_inverse=True)  # (n_observed, n_patterns)
        for i, seen in enumerate(patterns.T):
            rows_here = np.flatnonzero(rows)[place.reshape(-1) == i]
            names = tuple(name for name, there in zip(counts, seen.tolist(), strict=True) if there)
            group = _gathered(
                names, numbers[0, rows_here], numbers[1:][seen][:, rows_here].T, labels[rows_here], time_unit
            )
            unseen = [name for name in counts if name not in names]
            words = [label, *([f"{', '.join(unseen)} unseen"] if unseen else [])]
            file_conditions.append(Condition(", ".join(filter(None, words)) or "all seen", settings, group))
    if len(file_conditions) == 1 and not file_conditions[0].settings:
        return file_conditions[0].counts
    times = np.unique(np.concatenate([condition.counts.times for condition in file_conditions]))
    return Counts(tuple(counts), times, (), (), tuple(file_conditions), time_unit=time_unit)


def _rows(columns: Mapping[str, NDArray[Any]], where: Mapping[str, Any], n: int) -> NDArray[np.bool_]:
    """Return (n,) whether a row counts: its columns have the values that are asked for."""
    kept = np.ones(n, dtype=np.bool_)
    for name, value in where.items():
        if np.ndim(value) > 0 or isinstance(value, set | frozenset | Mapping) or callable(value):
            raise ArgumentError(
                f"`where` must give one value for each column, but '{name}' is to be {value!r}; give the rows, as in "
                f"table[table['{name}'].isin([...])] of a DataFrame."
            )
        kept &= columns[name] == value
    return kept


def _asked(name: str, value: object, column: NDArray[Any]) -> str:
    """Return what a column was to be, with what it holds where that is something else."""
    held = np.unique(column).tolist() if column.dtype.kind != "O" else []
    others = "" if not held or value in held else f" (it holds {', '.join(map(repr, held[:MOST_SHOWN]))})"
    return f"{name} is {value!r}{others}"


def check_counts(counts: object) -> None:
    """Refuse what is not the answer of `read_counts`, as a table that was not read yet."""
    if not isinstance(counts, Counts):
        raise ArgumentError(
            f"`counts` must be what fsp.read_counts returns, but is a {type(counts).__name__}; read a table with "
            f"fsp.read_counts(table, counts={{'X': 'column'}})."
        )


def _check_arguments(
    counts: Mapping[str, str],
    time: str,
    where: Mapping[str, Any] | None,
    conditions: Mapping[str, Any] | None,
    replicate: str | None,
    missing: str,
) -> None:
    check_choice("missing", missing, MISSING)
    check_mapping("where", where, "{'dose': 2.0}")
    check_mapping("conditions", conditions, "{'dose': 'k'}")
    if not isinstance(time, str):
        raise ArgumentError(f"`time` must be the name of a column, but is {shown(time)}.")
    if not isinstance(replicate, str | None):
        raise ArgumentError(f"`replicate` must be the name of a column, or None, but is {shown(replicate)}.")
    if not isinstance(counts, Mapping) or not counts or not all(isinstance(name, str) for name in counts.values()):
        raise ArgumentError(
            f"`counts` must give the column of each species, such as {{'X': 'rna'}}, but is {counts!r}."
        )


def _gathered(
    observed: tuple[str, ...], times: FloatArray, values: FloatArray, labels: NDArray[Any], time_unit: str
) -> Counts:
    at, place = np.unique(times, return_inverse=True)
    gathered = [np.unique(values[place == i].astype(np.int64), axis=0, return_counts=True) for i in range(len(at))]
    replicates = {
        str(label): np.bincount(place[labels == label], minlength=len(at)) for label in np.unique(labels) if str(label)
    }
    return Counts(
        observed,
        checked_times(at),
        tuple(v for v, _ in gathered),
        tuple(n for _, n in gathered),
        replicates=replicates,
        time_unit=time_unit,
    )
