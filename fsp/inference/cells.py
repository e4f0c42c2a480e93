"""Tables of cells: their columns from files, data frames and AnnData, and the conditions that columns tell of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.output.columns import read_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

Columns = dict[str, "NDArray[Any]"]


def columns_of(source: str | Path | Mapping[str, Any], wanted: Sequence[str]) -> Columns:
    """Return the columns of a table that are wanted; refuse one without them."""
    if isinstance(source, str | Path):
        path = Path(source)
        try:
            is_file, is_folder = path.is_file(), path.is_dir()
        except OSError:  # of a name that is too long
            is_file = is_folder = False
        if not is_file:
            problem = "is a folder" if is_folder else "does not"
            raise ArgumentError(f"`source` must be a file that exists, but '{path}' {problem}.")
        if path.suffix.lower() == ".h5ad":
            return _of_annotated(_read_annotated(path), wanted)
        return _chosen(read_columns(path), wanted)
    if hasattr(source, "obs") and hasattr(source, "var_names"):
        return _of_annotated(source, wanted)
    names = getattr(source, "columns", source)
    try:
        columns = {str(name): _column(source[name], str(name)) for name in names}
    except (TypeError, KeyError, IndexError):
        raise ArgumentError(f"`source` must be a file, a DataFrame or columns by name, but is {source!r}.") from None
    return _chosen(columns, wanted)


def _column(values: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(values)
    except ValueError:
        raise ArgumentError(f"Column '{name}' must hold a value for each cell, but holds rows of values.") from None


def _chosen(columns: Columns, wanted: Sequence[str]) -> Columns:
    lacking = [name for name in wanted if name not in columns]
    if lacking:
        raise ArgumentError(f"`source` must have a column '{lacking[0]}', but has {', '.join(columns)}.")
    n = columns[wanted[0]].shape
    for name in wanted:
        shape = columns[name].shape
        if len(shape) != 1:
            more = ", that is, several of that name" if len(shape) == 2 else ""
            raise ArgumentError(f"Column '{name}' must hold a value for each cell, but has the shape {shape}{more}.")
        if shape != n:
            raise ArgumentError(
                f"Columns must be of one length, but '{wanted[0]}' holds {n[0]:,} values and '{name}' {shape[0]:,}."
            )
    return columns


def _read_annotated(path: Path) -> Any:
    try:
        import anndata
    except ImportError:
        raise ArgumentError(
            f"'{path}' needs anndata to be read, which is not installed: pip install 'fsp-cme[cells]'."
        ) from None
    try:
        return anndata.read_h5ad(path)
    except Exception as error:  # of h5py and anndata, of many kinds
        raise ArgumentError(f"`source` must be a file of AnnData, but '{path}' cannot be read: {error}.") from error


def _of_annotated(cells: Any, wanted: Sequence[str]) -> Columns:
    """Return columns of ``obs`` and of genes."""
    columns: Columns = {}
    for name in wanted:
        if name in cells.obs:
            columns[name] = np.asarray(cells.obs[name])
        elif name in cells.var_names:
            values = cells[:, name].X
            columns[name] = np.asarray(values.toarray() if hasattr(values, "toarray") else values).reshape(-1)
        else:
            raise ArgumentError(
                f"`source` must have '{name}' among its genes or the columns of obs, {', '.join(map(str, cells.obs))}, "
                f"but has not."
            )
    return columns


def require_labels(column: NDArray[Any], name: str, kept: NDArray[np.bool_]) -> None:
    """Refuse cells that are kept and whose condition is not said."""
    empty = kept & np.array([value is None or value in ("", "nan") or value != value for value in column.tolist()])
    if empty.any():
        raise ArgumentError(
            f"Column '{name}' must say the condition of each cell, but lacks {int(empty.sum())}, the first in row "
            f"{int(np.argmax(empty)) + 1}; give it a label, or leave such rows out with where=."
        )


def conditions_in(
    columns: Columns, given: Mapping[str, str | Mapping[Any, Mapping[str, float]]], kept: NDArray[np.bool_]
) -> Iterator[tuple[str, dict[str, float], NDArray[np.bool_]]]:
    """Yield each condition of the rows that are kept: its label, what it sets, and its rows (n,)."""
    choices = []
    for name, meaning in given.items():
        column = columns[name]
        labels = np.unique(column[kept]).tolist()
        choices.append([(name, label, _settings(name, label, meaning)) for label in labels])
    for combination in product(*choices):
        rows = kept.copy()
        settings: dict[str, float] = {}
        for name, label, sets in combination:
            rows &= columns[name] == label
            settings |= sets
        if rows.any():
            yield ", ".join(f"{name} {_word(label)}" for name, label, _ in combination), settings, rows


def _settings(name: str, label: Any, meaning: str | Mapping[Any, Mapping[str, float]]) -> dict[str, float]:
    """Return what a label of a column sets."""
    if isinstance(meaning, str):
        try:
            return {meaning: float(label)}
        except ValueError:
            raise ArgumentError(f"Column '{name}' must hold values of '{meaning}', but holds '{label}'.") from None
    if not isinstance(meaning, Mapping):
        raise ArgumentError(f"The condition '{name}' must name a parameter or give labels, but is {meaning!r}.")
    if label not in meaning:
        raise ArgumentError(
            f"The condition '{name}' must say what each label sets, {', '.join(map(str, meaning))}, but lacks "
            f"'{_word(label)}'."
        )
    return dict(meaning[label])


def _word(label: Any) -> str:
    return f"{label:g}" if isinstance(label, float) else str(label)
