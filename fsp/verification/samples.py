"""What a simulator gave: runs, histograms, or means and standard deviations, checked.

`Runs` know which counts belong to one trajectory, `Histograms` the counts of each species at each time alone, and
`Summary` their means and standard deviations.  Reading them from files is in `fsp.verification.reading`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.model.times import checked_times, is_near
from fsp.verification.tallies import tally

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Independent runs, each at the same times.

    Parameters
    ----------
    counts
        (n_runs, n_times, n_species) whole numbers >= 0.
    times
        (n_times,) increasing times.
    species
        (n_species,) names.

    Raises
    ------
    ArgumentError
        If the array does not fit, or holds what is no copy number.

    Examples
    --------
    >>> fsp.Runs([[[3], [5]], [[2], [7]]], [1.0, 2.0], ["X"]).counts.shape
    (2, 2, 1)
    """

    counts: IntArray
    times: FloatArray
    species: tuple[str, ...]

    def __post_init__(self) -> None:
        times, species = checked_times(self.times), tuple(self.species)
        counts = np.asarray(self.counts)
        shape = f"(runs, {len(times)} times, {len(species)} species)"
        if counts.ndim == 2 and len(species) == 1:
            counts = counts[:, :, None]
        if counts.ndim != 3 or counts.shape[1:] != (len(times), len(species)) or len(counts) == 0:
            raise ArgumentError(f"`samples` must be of shape {shape}, but are of shape {counts.shape}.")
        counts = whole_counts(counts, lambda at: f"{species[at[2]]} in run {at[0]} at t = {times[at[1]]:.8g}")
        object.__setattr__(self, "counts", counts)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "species", species)

    @property
    def n(self) -> int:
        """Number of runs."""
        return len(self.counts)

    def joint(self, k: int) -> tuple[IntArray, FloatArray]:
        """Return the distinct states at time number `k`, (m, n_species), and how many runs are in each, (m,)."""
        return tally(self.counts[:, k])

    def of(self, k: int, species: str) -> tuple[IntArray, FloatArray]:
        """Return the distinct counts of a species at time number `k`, and how many runs have each."""
        return tally(self.counts[:, k, self.species.index(species)])

    def select(self, times: FloatArray, species: Sequence[str]) -> Runs:
        """Return some times and species, in the order that is asked for."""
        columns = _columns(self.species, species)
        return Runs(self.counts[:, _places(self.times, times)][:, :, columns], times, tuple(species))


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """How many runs had each count, for each time and species alone.

    Parameters
    ----------
    cells
        For each time and species (its number, its name) the distinct counts and how many runs had each.
    times
        (n_times,) increasing times.
    species
        Names.

    Raises
    ------
    ArgumentError
        If numbers of runs differ from time to time, or a count or a number is not whole.

    Examples
    --------
    >>> fsp.Histograms({(0, "X"): ([0, 1, 2], [50, 30, 20])}, [1.0], ["X"]).n
    100
    """

    cells: dict[tuple[int, str], tuple[IntArray, FloatArray]]
    times: FloatArray
    species: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "times", checked_times(self.times))
        totals = set()
        for (k, name), (values, numbers) in self.cells.items():
            place = f"{name} at t = {self.times[k]:.8g}"
            values = whole_counts(np.asarray(values), lambda at, place=place: place)
            numbers = whole_counts(
                np.asarray(numbers), lambda at, place=place: f"the number of runs of {place}"
            ).astype(float)
            order = np.argsort(values)
            self.cells[k, name] = values[order], numbers[order]
            totals.add(float(numbers.sum()))
        if len(totals) != 1 or min(totals) < 1:
            raise ArgumentError(
                f"Histograms must be of the same number of runs at all times, but these are of {sorted(totals)}."
            )
        if missing := [
            (k, name) for k in range(len(self.times)) for name in self.species if (k, name) not in self.cells
        ]:
            k, name = missing[0]
            raise ArgumentError(
                f"`samples` must have all species at all times, but lack {name} at t = {self.times[k]}."
            )

    @property
    def n(self) -> int:
        """Number of runs."""
        return int(next(iter(self.cells.values()))[1].sum())

    def of(self, k: int, species: str) -> tuple[IntArray, FloatArray]:
        """Return the distinct counts of a species at time number `k`, and how many runs have each."""
        return self.cells[k, species]

    def select(self, times: FloatArray, species: Sequence[str]) -> Histograms:
        """Return some times and species."""
        _columns(self.species, species)
        places = _places(self.times, times)
        cells = {(new, name): self.cells[int(old), name] for new, old in enumerate(places) for name in species}
        return Histograms(cells, times, tuple(species))


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Means and standard deviations of independent runs.

    Parameters
    ----------
    mean
        (n_times, n_species) means of the runs.
    std
        (n_times, n_species) standard deviations, with ``runs - 1`` in the denominator.
    n
        Number of runs.
    times
        (n_times,) increasing times.
    species
        Names.

    Raises
    ------
    ArgumentError
        If arrays do not fit together, or a number is missing or negative.

    Examples
    --------
    >>> fsp.Summary([[9.5], [9.9]], [[3.1], [3.2]], 1000, [1.0, 2.0], ["X"]).n
    1000
    """

    mean: FloatArray
    std: FloatArray
    n: int
    times: FloatArray
    species: tuple[str, ...]

    def __post_init__(self) -> None:
        times, species = checked_times(self.times), tuple(self.species)
        if not self.n >= 2:
            raise ArgumentError(f"`runs` must be at least 2 for means and standard deviations, but is {self.n}.")
        for name in ("mean", "std"):
            numbers = np.asarray(getattr(self, name), dtype=float)
            if numbers.shape != (len(times), len(species)):
                wanted = (len(times), len(species))
                raise ArgumentError(f"`{name}` must be of shape {wanted}, but is of shape {numbers.shape}.")
            if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
                raise ArgumentError(f"`{name}` must be finite and not negative, but holds {numbers.min()}.")
            object.__setattr__(self, name, numbers)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "species", species)

    def select(self, times: FloatArray, species: Sequence[str]) -> Summary:
        """Return some times and species."""
        rows, columns = _places(self.times, times), _columns(self.species, species)
        return Summary(self.mean[rows][:, columns], self.std[rows][:, columns], self.n, times, tuple(species))


@dataclass(frozen=True, slots=True, eq=False)
class Planned:
    """Runs that nobody has made yet: how many, at which times, of which species."""

    n: int
    times: FloatArray  # (n_times,)
    species: tuple[str, ...]


Samples = Runs | Histograms | Summary


def whole_counts(numbers: Any, place: Any) -> IntArray:
    """Return numbers as integers, or raise an ArgumentError that names the first that is no copy number."""
    if np.issubdtype(numbers.dtype, np.integer) or numbers.dtype == np.bool_:
        bad, why = numbers < 0, "not be negative"
    elif np.issubdtype(numbers.dtype, np.floating):
        bad, why = (
            ~(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.round(numbers)) & (numbers < 2**53)),
            ("be whole numbers >= 0"),
        )
    else:
        raise ArgumentError(f"`samples` must be numbers, but are of type {numbers.dtype}.")
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        value = numbers[at]
        raise ArgumentError(
            f"Copy numbers must {why}, but {int(bad.sum()):,} are not: {place(at)} is {value}. If these are "
            f"concentrations, multiply them by the volume."
        )
    return np.ascontiguousarray(numbers, dtype=np.int64)


def _columns(have: Sequence[str], wanted: Sequence[str]) -> list[int]:
    missing = [name for name in wanted if name not in have]
    if missing:
        raise ArgumentError(
            f"`samples` must have the species {', '.join(wanted)}, but lack {', '.join(missing)}: they have "
            f"{', '.join(have)}. Name those that are to be verified in `species`."
        )
    return [list(have).index(name) for name in wanted]


def _places(have: FloatArray, wanted: FloatArray) -> IntArray:
    gaps = np.abs(have[None, :] - np.asarray(wanted)[:, None])
    places = gaps.argmin(axis=1)
    far = ~is_near(have[places], np.asarray(wanted), float(max(have[-1], wanted[-1])))
    if far.any():
        raise ArgumentError(
            f"`samples` must have the time {wanted[int(np.argmax(far))]:.8g}, but have {have[:10].tolist()}"
            f"{' ...' if len(have) > 10 else ''}."
        )
    return np.asarray(places)
