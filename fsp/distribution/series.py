"""What the distributions of one model have in common, at several times or at several points."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from fsp.distribution import doors
from fsp.distribution.display import Displayed

if TYPE_CHECKING:
    import pandas
    import xarray

    from fsp.arrays import FloatArray
    from fsp.distribution.distribution import Distribution

T_co = TypeVar("T_co", covariant=True)
Numbers = Callable[["Distribution"], Mapping[str, float]]  # of each species


class Series(Displayed, Sequence[T_co]):
    """Distributions of one model, or series of them, in order."""

    pending: tuple[float, ...]

    @property
    @abstractmethod
    def _first(self) -> Distribution:
        """A distribution that knows the model."""

    @abstractmethod
    def _of_each(self, numbers: Numbers) -> dict[str, FloatArray]:
        """Return these numbers of all distributions, an array for each species."""

    @property
    def complete(self) -> bool:
        """Whether nothing that was asked for is still to come."""
        return not self.pending

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species."""
        return self._first.species

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._first.model_name

    @property
    def model_hash(self) -> str:
        """Hash of the model."""
        return self._first.model_hash

    @property
    def time_unit(self) -> str:
        """Unit of the times; empty where the model has none."""
        return self._first.time_unit

    def mean(self) -> dict[str, FloatArray]:
        """Return the means of each species; see `Distribution.mean`.

        Returns
        -------
        dict
            (n_times,) of a solution; (n_points, n_times) of a sweep, NaN where a point has no solution.
        """
        return self._of_each(lambda distribution: distribution.mean())

    def variance(self) -> dict[str, FloatArray]:
        """Return the variances of each species, of the shape of `mean`; see `Distribution.variance`."""
        return self._of_each(lambda distribution: distribution.variance())

    def std(self) -> dict[str, FloatArray]:
        """Return the standard deviations of each species, of the shape of `mean`; see `Distribution.std`."""
        return self._of_each(lambda distribution: distribution.std())

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table with a row for each time (and point): states, mean and std of each species, error."""
        return doors.table_of_times(self)

    def to_xarray(self) -> xarray.Dataset:
        """Return mean, std and error as arrays labelled by time and species, and by the parameters of a sweep.

        Values that were taken in pairs have one dimension, ``point``.
        """
        return doors.arrays_of_times(self)

    def save(self, path: str | Path) -> None:
        """Write one HDF5 file, whole or not at all; see `Distribution.save`.

        Parameters
        ----------
        path
            Where to; a file that is there is replaced once the new one is complete, whoever wrote it.

        Raises
        ------
        ArgumentError
            If the folder does not exist, or something is there that is no file.
        OutputError
            If it cannot be written; what was there before is unchanged.
        """
        self._first._save(self, path)
