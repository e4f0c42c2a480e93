"""Read samples: arrays, tables, and files of the forms that simulators write.

Tables have a column for time and either a column for each species (wide) or the columns ``species`` and ``value``
(long), and a column for the run unless time starts anew with each run or each run has a file.  With a column
``count`` they are histograms, with ``mean`` and ``sd`` (or ``X-mean``, ``X-sd`` for each species X, as in the SBML
stochastic suite) summaries.  Columns are separated by commas, tabs, semicolons or blanks, and a header may begin with
``#``, as BioNetGen's does; times that differ by their rounding are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.model.times import checked_times, is_near
from fsp.output.columns import read_columns
from fsp.verification.samples import Histograms, Runs, Samples, Summary, whole_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Table = dict[str, NDArray[Any]]

TABLES = (".csv", ".tsv", ".gdat", ".dat", ".txt")
"""Ends of names of the files in a folder that are read."""

_ALIASES = {
    "run": ("run", "runs", "trajectory", "replicate", "simulation", "sample", "realization", "seed"),
    "time": ("time", "t", "times", "# time"),
    "species": ("species", "variable", "name"),
    "value": ("value", "copies", "amount", "copy_number"),
    "count": ("count", "counts", "frequency", "number"),
    "mean": ("mean",),
    "sd": ("sd", "std"),
    "n": ("runs", "n"),
}


def read_samples(given: Any, species: Sequence[str], times: Any = None, runs: int | None = None) -> Samples:
    """Return samples of any accepted form, checked.

    Parameters
    ----------
    given
        `Runs`, `Histograms` or `Summary`; an array (runs, times, species), for which `times` is needed; a pandas
        DataFrame or an xarray object; or a path, or several of them, to CSV, HDF5 or NetCDF.
    species
        Names of the species that are looked for, in the order of an array's last axis.
    times
        The times of an array, or those of a table that are wanted.
    runs
        Number of runs of a table of means, where it does not say.

    Returns
    -------
    Runs, Histograms or Summary
        The samples, of these species and times.

    Raises
    ------
    ArgumentError
        If they cannot be read, lack something, or hold what is no copy number.

    Examples
    --------
    >>> from fsp.verification import read_samples
    >>> read_samples([[[3], [5]], [[2], [7]]], ["X"], times=[1.0, 2.0]).n
    2
    """
    samples = _read(given, species, times, runs)
    return samples.select(samples.times if times is None else checked_times(times), species)


def _read(given: Any, species: Sequence[str], times: Any, runs: int | None) -> Samples:
    if isinstance(given, Runs | Histograms | Summary):
        return given
    if isinstance(given, str | Path):
        return _file(Path(given), species, runs)
    if hasattr(given, "columns"):
        return from_table({str(name): np.asarray(given[name]) for name in given.columns}, species, runs, "the table")
    if hasattr(given, "dims"):
        return _labelled(given, species)
    if isinstance(given, Sequence) and given and isinstance(given[0], str | Path | Mapping):
        return _of_runs(given, species)
    return _array(given, species, times)


def _of_runs(given: Sequence[Any], species: Sequence[str]) -> Runs:
    """Read runs that are a file each, or a mapping each."""
    if isinstance(given[0], Mapping):
        return _mappings(given, species)
    return _each_a_run([Path(path) for path in given], species)


def _array(given: Any, species: Sequence[str], times: Any) -> Runs:
    if times is None:
        raise ArgumentError("`times` must be given with an array of samples, but are missing.")
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ArgumentError(f"`samples` must be an array of shape (runs, times, species), but {error}.") from None
    return Runs(array, times, tuple(species))


def _mappings(given: Sequence[Mapping[str, Any]], species: Sequence[str]) -> Runs:
    """Read runs that are mappings of names to arrays, as the trajectories of GillesPy2's results are."""
    tables = [
        {name: np.asarray(run_table[name]) for name in run_table if name in (*species, "time")} for run_table in given
    ]
    names = set(tables[0])
    for number, table in enumerate(tables):
        if "time" not in table or table.keys() != names:
            raise ArgumentError(f"Run {number} must have 'time' and the species of run 0, but has {', '.join(table)}.")
        table["run"] = np.full(len(table["time"]), number)
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    samples = from_table(joined, species, None, "`samples`")
    if not isinstance(samples, Runs):
        raise ArgumentError("`samples` must be runs, but are histograms or a summary.")
    return samples


def _file(path: Path, species: Sequence[str], runs: int | None) -> Samples:
    if path.is_dir() or any(letter in path.name for letter in "*?"):
        folder, pattern = (path, "*") if path.is_dir() else (path.parent, path.name)
        files = sorted(file for file in folder.glob(pattern) if not path.is_dir() or file.suffix.lower() in TABLES)
        if not files:
            raise ArgumentError(f"`samples` must be files that exist, but there is none like '{folder / pattern}'.")
        return _each_a_run(files, species)
    if not path.is_file():
        raise ArgumentError(f"`samples` must be a file that exists, but '{path}' does not.")
    if path.suffix.lower() in (".h5", ".hdf5", ".nc", ".nc4"):
        return _hdf5(path, species)
    return from_table(read_columns(path), species, runs, f"'{path}'")


def _each_a_run(files: Sequence[Path], species: Sequence[str]) -> Runs:
    tables: list[Table] = []
    for number, path in enumerate(files):
        if not path.is_file():
            raise ArgumentError(f"`samples` must be files that exist, but '{path}' does not.")
        table = read_columns(path)
        table["run"] = np.full(len(next(iter(table.values()))), f"{number:09} {path.name}")
        if tables and set(table) != set(tables[0]):
            raise ArgumentError(f"All files must have the same columns, but '{path}' has {', '.join(table)}.")
        tables.append(table)
    joined = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    samples = from_table(joined, species, None, f"'{files[0]}'")
    if not isinstance(samples, Runs):
        raise ArgumentError(f"Several files must be a run each, but '{files[0]}' is a histogram or a summary.")
    return samples


def from_table(table: Table, species: Sequence[str], runs: int | None, what: str) -> Samples:
    """Return the samples of a table."""
    lowered = {name.lower(): name for name in table}
    role = {
        part: lowered[alias]
        for part, aliases in reversed(_ALIASES.items())
        if (alias := next((a for a in aliases if a in lowered and lowered[a] not in species), None))
    }
    if "time" not in role:
        raise ArgumentError(f"{what} must have a column 'time', but has {', '.join(table)}.")
    columns = {part: table[name] for part, name in role.items()}
    columns["time"] = _merged(_checked_numbers(columns["time"], what, "time"))
    if any(f"{name}-mean" in table for name in species):
        return _suite_summary(table, columns["time"], species, runs, what)
    if "species" not in role:
        return _wide(table, columns, species, what)
    if "mean" in role:
        return _long_summary(columns, runs, what)
    if "value" in role and "count" in role:
        return _histograms(columns)
    if "value" not in role:
        raise ArgumentError(f"{what} must have a column 'value', 'count' or 'mean', but has {', '.join(table)}.")
    return _long(columns, what)


def _merged(times: NDArray[Any]) -> NDArray[Any]:
    """Return times in which those that differ by their rounding are equal."""
    different, place = np.unique(times, return_inverse=True)
    if not len(different):
        return times
    new = np.append(True, ~is_near(different[1:], different[:-1], float(np.abs(different).max())))
    return np.asarray(different[new][(np.cumsum(new) - 1)[place.reshape(-1)]])


def _wide(table: Table, columns: Table, species: Sequence[str], what: str) -> Runs:
    missing = [name for name in species if name not in table]
    if missing:
        bracketed = f" '[{missing[0]}]' would be a concentration: write amounts." if f"[{missing[0]}]" in table else ""
        raise ArgumentError(
            f"{what} must have a column for each of {', '.join(species)}, but lacks {', '.join(missing)}: it has "
            f"{', '.join(table)}.{bracketed} Name those that are to be verified in `species`."
        )
    time = _checked_numbers(columns["time"], what, "time")
    run = columns["run"] if "run" in columns else np.cumsum(np.diff(time, prepend=-np.inf) <= 0)
    values = np.stack([_checked_numbers(table[name], what, name) for name in species], axis=1)  # (rows, n_species)
    return _fold(run, time, values, tuple(species), what)


def _fold(run: NDArray[Any], time: NDArray[Any], values: NDArray[Any], species: tuple[str, ...], what: str) -> Runs:
    """Sort rows into (runs, times, species); each run must have each time once."""
    times = np.unique(time)
    names, number = np.unique(run, return_inverse=True)
    cell = number.reshape(-1) * len(times) + np.searchsorted(times, time)
    order = np.argsort(cell, kind="stable")
    wanted = len(names) * len(times)
    if len(cell) != wanted or not np.array_equal(cell[order], np.arange(wanted)):
        present = np.bincount(cell, minlength=wanted)
        at = int(np.argmax(present != 1))
        raise ArgumentError(
            f"{what} must have each time once in each run, but has run {_named(names[at // len(times)])} at "
            f"t = {times[at % len(times)]:.8g} {present[at]} times."
        )
    counts = values[order].reshape(len(names), len(times), len(species))
    whole_counts(counts, lambda at: f"{species[at[2]]} in run {_named(names[at[0]])} at t = {times[at[1]]:.8g}")
    return Runs(counts, times, species)


def _named(run: Any) -> str:
    """Write a run as its file does: a number, a text, or the name of its own file."""
    if isinstance(run, float | np.floating):
        return f"{run:.17g}"
    return str(run)[10:] if _OF_A_FILE.match(str(run)) else str(run)


_OF_A_FILE = re.compile(r"\d{9} ")


def _long(columns: Table, what: str) -> Runs:
    species = tuple(dict.fromkeys(str(name) for name in columns["species"].tolist()))
    time, value = (_checked_numbers(columns[part], what, part) for part in ("time", "value"))
    if "run" not in columns:
        raise ArgumentError(f"{what} must have a column 'run', but has none.")
    parts = []
    for name in species:
        rows = columns["species"] == name
        parts.append(_fold(columns["run"][rows], time[rows], value[rows, None], (name,), what))
    if any(part.counts.shape != parts[0].counts.shape for part in parts):
        raise ArgumentError(f"{what} must have all species in each run at each time, but does not.")
    return Runs(np.concatenate([part.counts for part in parts], axis=2), parts[0].times, species)


def _histograms(columns: Table) -> Histograms:
    time, names = columns["time"], columns["species"]
    times, species = np.unique(time), tuple(dict.fromkeys(str(name) for name in names.tolist()))
    cells = {}
    for k, t in enumerate(times):
        for name in species:
            rows = (time == t) & (names == name)
            if rows.any():
                cells[k, name] = columns["value"][rows], columns["count"][rows]
    return Histograms(cells, times, species)


def _long_summary(columns: Table, runs: int | None, what: str) -> Summary:
    times, species = np.unique(columns["time"]), tuple(dict.fromkeys(str(s) for s in columns["species"].tolist()))
    if "sd" not in columns:
        raise ArgumentError(f"{what} must have a column 'sd' beside 'mean', but has none.")
    mean, std = (np.full((len(times), len(species)), np.nan) for _ in range(2))
    place = np.searchsorted(times, columns["time"]), np.array([species.index(str(s)) for s in columns["species"]])
    mean[place], std[place] = columns["mean"], columns["sd"]
    return Summary(mean, std, _runs_of(columns, runs, what), times, species)


def _suite_summary(table: Table, time: NDArray[Any], species: Sequence[str], runs: int | None, what: str) -> Summary:
    have = [name for name in species if f"{name}-mean" in table and f"{name}-sd" in table]
    mean, std = (np.stack([table[f"{name}-{kind}"] for name in have], axis=1) for kind in ("mean", "sd"))
    return Summary(mean, std, _runs_of({}, runs, what), time, tuple(have))


def _runs_of(columns: Table, runs: int | None, what: str) -> int:
    if runs is not None:
        return int(runs)
    if "n" not in columns or len(np.unique(columns["n"])) != 1:
        raise ArgumentError(f"`runs` must say of how many runs the means in {what} are, but is missing.")
    return int(columns["n"][0])


def _checked_numbers(column: NDArray[Any], what: str, name: str) -> NDArray[Any]:
    if not np.issubdtype(column.dtype, np.number) or not np.isfinite(column).all():
        numeric = np.issubdtype(column.dtype, np.number)
        row = int(np.argmin(np.isfinite(column))) if numeric else 0
        raise ArgumentError(f"Column '{name}' of {what} must be numbers, but row {row + 1} has '{column[row]}'.")
    return column


def _hdf5(path: Path, species: Sequence[str]) -> Runs:
    """Read the dataset ``samples`` (runs, times, species), or one (runs, times) for each species; and ``time``."""
    import h5py

    try:
        with h5py.File(path) as file:
            held = {name: np.asarray(part) for name, part in file.items() if hasattr(part, "shape")}
            listed = [name.decode() if isinstance(name, bytes) else str(name) for name in file.attrs.get("species", ())]
    except OSError as error:
        raise ArgumentError(f"'{path}' must be an HDF5 or NetCDF-4 file, but {error}.") from None
    if "species" in held:
        listed = [name.decode() if isinstance(name, bytes) else str(name) for name in held["species"].tolist()]
    time = next((held[name] for name in ("time", "times", "t") if name in held), None)
    if time is None:
        raise ArgumentError(f"'{path}' must hold a dataset 'time', but holds {', '.join(held) or 'none'}.")
    whole_array = next(
        (held[name] for name in ("samples", "counts", "__xarray_dataarray_variable__") if name in held), None
    )
    if whole_array is not None:
        return Runs(whole_array, time, tuple(listed or species))
    return _stacked(held, time, species, f"'{path}'")


def _stacked(held: Mapping[str, Any], time: Any, species: Sequence[str], what: str) -> Runs:
    missing = [name for name in species if name not in held]
    if missing:
        raise ArgumentError(f"{what} must hold 'samples' or each species, but lacks {', '.join(missing)}.")
    return Runs(np.stack([np.asarray(held[name]) for name in species], axis=2), time, tuple(species))


def _labelled(given: Any, species: Sequence[str]) -> Runs:
    """Read an xarray Dataset with a variable for each species, or a DataArray with a dimension ``species``."""
    need = {"run", "time"}
    if not need <= set(given.dims) or not (hasattr(given, "data_vars") or "species" in given.dims):
        raise ArgumentError(
            f"Labelled samples must have the dimensions run, time and species, but have "
            f"{', '.join(map(str, given.dims))}."
        )
    time = np.asarray(given["time"])
    if hasattr(given, "data_vars"):
        held = {name: given[name].transpose("run", "time") for name in species if name in given.data_vars}
        return _stacked(held, time, species, "The data set")
    names = tuple(str(name) for name in np.asarray(given["species"]))
    return Runs(np.asarray(given.transpose("run", "time", "species")), time, names)
