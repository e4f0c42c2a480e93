"""Write answers for other programs: CSV, NetCDF, JSON and text, by the suffix of the file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fsp.distribution.distribution import Distribution
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError
from fsp.output.summaries import Answer, columns, csv_of, csv_text, rows_of
from fsp.output.tables import marginals_array

if TYPE_CHECKING:
    from fsp.output.summaries import Asking

SUFFIXES = (".csv", ".nc", ".json", ".txt")
"""Kinds of files; the last two are what the command prints."""


def csv(answer: Answer, species: Sequence[str], asking: Asking | None = None) -> str:
    """Write what `to_pandas` returns as CSV; where `species` are named, a row for each of their counts at each time."""
    if species or isinstance(answer, Distribution):
        names, _ = rows_of(answer)
        return csv_text(
            [*names, *(species or answer.species), "probability", "lower", "upper"], _states(answer, species)
        )
    return csv_of(columns(answer, asking))


def _states(answer: Answer, species: Sequence[str]) -> Iterator[list[Any]]:
    """Yield the index and the counts of each state at each time, its probability and the bounds, None of estimates."""
    for index, joint in rows_of(answer)[1]:
        marginal = joint.marginal(*species) if species else joint
        nothing = [None] * len(marginal)
        known = (marginal.lower.tolist(), marginal.upper.tolist()) if marginal.error.certified else (nothing, nothing)
        for state, p, lower, upper in zip(
            marginal.states.tolist(), marginal.probabilities.tolist(), *known, strict=True
        ):
            yield [*index, *state, p, lower, upper]


def netcdf(answer: Answer, species: Sequence[str]) -> bytes:
    """Write what `to_xarray` returns as NetCDF 3, or where `species` are named, their joint marginal over time."""
    if not species:
        arrays = answer.to_xarray()
    elif isinstance(answer, Sweep):
        raise ArgumentError("`--marginal` of a sweep must be written as .csv, but is to be .nc.")
    else:
        arrays = marginals_array([distribution for _, distribution in rows_of(answer)[1]], species)
    if isinstance(answer, Distribution):
        arrays = arrays.to_dataset()
    # NetCDF 3 has no truth values, and is written by scipy, which is there
    plain = {name: array.astype("int8") for name, array in arrays.data_vars.items() if array.dtype == bool}
    return bytes(arrays.assign(plain).to_netcdf(engine="scipy"))
