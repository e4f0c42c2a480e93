"""Counted molecules in single cells: read, checked, and gathered by time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.checks import check_choice, check_mapping, shown
from fsp.distribution import formulas
from fsp.distribution.display import Displayed
from fsp.distribution.text import counted, table
from fsp.errors import ArgumentError
from fsp.inference.cells import columns_of, conditions_in, require_labels
from fsp.inference.count_columns import checked_numbers, require_counts, require_times
from fsp.model.times import checked_times

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fsp.arrays import FloatArray, IntArray
    from fsp.inference.instruments import Instrument
    from fsp.model import Model

MOST_SHOWN = 5  # of the values of a column, in messages
MISSING = ("refuse", "drop", "unseen")
# What units of time are called, without the s of the plural.
UNITS = {
    name: letter
    for letter, names in {
        "ms": ("ms", "msec", "millisecond"),
        "s": ("s", "sec", "second"),
        "min": ("m", "min", "minute"),
        "h": ("h", "hr", "hour"),
        "d": ("d", "day"),
    }.items()
    for name in names
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Counts(Displayed):
    """Counts observed in single cells, each cell at one time.

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
    conditions
        The same for each condition, where there are several; `values` and `cells` are then empty.
    replicates
        (n_times,) cells of each replicate, for print.
    time_unit
        Unit of the times; empty where it is not known.
    """

    observed: tuple[str, ...]
    times: FloatArray
    values: tuple[IntArray, ...]
    cells: tuple[IntArray, ...]
    conditions: tuple[Condition, ...] = ()
    replicates: Mapping[str, IntArray] = field(default_factory=dict)
    time_unit: str = ""

    @property
    def groups(self) -> tuple[Condition, ...]:
        """The conditions; one without a label where all cells are of one."""
        return self.conditions or (Condition("", {}, self),)

    def require_unit_of(self, model: Model) -> None:
        """Refuse times in another unit than the model's, where both are known."""
        if self.time_unit and model.time_unit and _unit(self.time_unit) != _unit(model.time_unit):
            raise ArgumentError(
                f"Times of `counts` must be in the unit of '{model.name}', {model.time_unit}, but are in "
                f"{self.time_unit}; convert the column."
            )

    def require_known_to(self, model: Model) -> None:
        """Refuse counts whose name is neither a species of the model nor a formula of some."""
        for text in self.observed:
            try:
                formulas.read_formula(text, model.species, model.observables, 0.0)
            except ArgumentError as error:
                raise ArgumentError(
                    f"`counts` must be of species of '{model.name}', {', '.join(model.species)}, or of formulas of "
                    f"them, but '{text}' was counted: {error} Name what a column counts by a species, such as "
                    f"'{model.species[0]}', or a formula."
                ) from None

    def standing(self, instruments: Sequence[Instrument]) -> Counts:
        """Return the same with the count that stands for each, where an instrument cannot tell some apart."""
        values, cells = [], []
        for counts_there, n in zip(self.values, self.cells, strict=True):
            columns = [
                instrument.standing(column) for instrument, column in zip(instruments, counts_there.T, strict=True)
            ]
            different, place = np.unique(np.stack(columns, axis=1), axis=0, return_inverse=True)
            values.append(different)
            cells.append(np.bincount(place.reshape(-1), n).astype(np.int64))
        return Counts(self.observed, self.times, tuple(values), tuple(cells))

    @property
    def n_cells(self) -> int:
        """Number of all cells."""
        if self.conditions:
            return sum(condition.counts.n_cells for condition in self.conditions)
        return sum(int(cells.sum()) for cells in self.cells)

    def __str__(self) -> str:
        """Return a row for each time: cells, and the mean and the largest of each count; those of each condition."""
        if self.conditions:
            return "\n".join(
                [
                    f"{counted(self.n_cells, 'cell')} in {counted(len(self.conditions), 'condition')}",
                    *map(str, self.conditions),
                ]
            )
        header = [
            "t",
            "cells",
            *(f"mean {name}" for name in self.observed),
            *(f"most {name}" for name in self.observed),
        ]
        rows = []
        for t, values, cells in zip(self.times.tolist(), self.values, self.cells, strict=True):
            means = (cells @ values / cells.sum()).tolist()
            largest = values.max(axis=0).tolist()
            rows.append([f"{t:g}", f"{int(cells.sum()):,}", *(f"{x:.4g}" for x in means), *(f"{x}" for x in largest)])
        header += [f"cells of {name}" for name in self.replicates]
        for i, row in enumerate(rows):
            row += [f"{int(n[i]):,}" for n in self.replicates.values()]
        head = f"{counted(self.n_cells, 'cell')} at {counted(len(self.times), 'time')}"
        return "\n".join([head, *table(header, rows)])


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """Cells that share what was done to them, and what was seen of them."""

    label: str  # what the data call it
    settings: Mapping[str, float]  # parameters and initial counts of the model, by name
    counts: Counts

    def of(self, model: Model) -> Model:
        """Return a model with what the condition sets."""
        unknown = [name for name in self.settings if name not in (*model.parameters, *model.species)]
        if unknown:
            raise ArgumentError(
                f"`conditions` must set parameters, {', '.join(model.parameters)}, or counts at the start, "
                f"{', '.join(model.species)}, of '{model.name}', but '{self.label}' sets '{unknown[0]}'."
            )
        return model.with_values(self.settings) if self.settings else model

    def __str__(self) -> str:
        """Return the label, what it sets, and the cells."""
        given = ", ".join(f"{name} = {value:g}" for name, value in self.settings.items())
        return f"{self.label}{f' ({given})' if given else ''}: {self.counts}"


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


def _unit(text: str) -> str:
    """Return a unit of time by the letter of its name: seconds, minutes, hours and days are written in many ways."""
    word = text.strip().lower()
    return next((UNITS[name] for name in (word, word.removesuffix("s")) if name in UNITS), word)
