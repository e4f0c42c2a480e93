"""Hand distributions over to pandas and xarray, which are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.sweep import Sweep
from fsp.errors import BackendError
from fsp.output.summaries import columns

if TYPE_CHECKING:
    import pandas
    import xarray

    from fsp.distribution.distribution import Distribution
    from fsp.distribution.solution import Solution


def distribution_table(distribution: Distribution) -> pandas.DataFrame:
    """Make a table with a row for each state."""
    columns = {name: distribution.states[:, i] for i, name in enumerate(distribution.species)}
    frame = _optional("pandas").DataFrame({**columns, "probability": distribution.probabilities})
    frame.attrs.update(_attributes(distribution))
    return frame  # type: ignore[no-any-return]


def distribution_array(distribution: Distribution) -> xarray.DataArray:
    """Make a dense labelled array."""
    pmf, axes = distribution._dense
    return _optional("xarray").DataArray(  # type: ignore[no-any-return]
        pmf.copy(),
        dims=distribution.species,
        coords=dict(zip(distribution.species, axes, strict=True)),
        name="probability",
        attrs=_attributes(distribution),
    )


def marginals_array(distributions: Sequence[Distribution], species: Sequence[str]) -> xarray.Dataset:
    """Make a dense labelled array of the joint marginal of species at several times, and the errors."""
    xarray = _optional("xarray")
    arrays = [distribution.marginal(*species).to_xarray() for distribution in distributions]
    times = xarray.DataArray([distribution.t for distribution in distributions], dims="t", name="t")
    how = {"coords": "minimal", "compat": "override", "combine_attrs": "drop"}
    joined = xarray.concat(arrays, times, join="outer", fill_value=0.0, **how)
    errors = ("t", [distribution.error.total for distribution in distributions])
    certified = ("t", [distribution.error.certified for distribution in distributions])
    first = distributions[0]
    return xarray.Dataset(  # type: ignore[no-any-return]
        {"probability": joined, "error": errors, "certified": certified},
        attrs={"model": first.model_name, "time_unit": first.time_unit},
    )


def series_table(series: Solution | Sweep) -> pandas.DataFrame:
    """Make a table with a row for each time, and point of a sweep."""
    names = [*series.names, "t"] if isinstance(series, Sweep) else "t"
    return _optional("pandas").DataFrame(columns(series)).set_index(names)  # type: ignore[no-any-return]


def series_dataset(series: Solution | Sweep) -> xarray.Dataset:
    """Make labelled arrays over time and species, and what was varied."""
    return _sweep_dataset(series) if isinstance(series, Sweep) else _solution_dataset(series)


def _solution_dataset(solution: Solution) -> xarray.Dataset:
    """Make labelled arrays over time and species."""
    xarray = _optional("xarray")
    means, stds = solution.mean(), solution.std()
    return xarray.Dataset(  # type: ignore[no-any-return]
        {
            "mean": (("species", "t"), [means[name] for name in solution.species]),
            "std": (("species", "t"), [stds[name] for name in solution.species]),
            "error": ("t", [error.total for error in solution.errors]),
            "certified": ("t", [error.certified for error in solution.errors]),
            "n_states": ("t", [len(distribution) for distribution in solution]),
        },
        coords={"t": solution.times, "species": list(solution.species)},
        attrs={"model": solution.model_name, "time_unit": solution.time_unit, "tol": solution.tol},
    ).transpose("t", "species")


def _sweep_dataset(sweep: Sweep) -> xarray.Dataset:
    """Make labelled arrays over what was varied, time and species."""
    names, shape = sweep.names, sweep.shape
    dims, grid = (names, shape) if len(shape) == len(names) else (("point",), (len(sweep),))
    coordinates: dict[str, Any] = {"t": sweep.times, "species": list(sweep.species)}
    for k, name in enumerate(names):
        values = sweep.points[:, k].reshape(grid)
        along = values if dims != names else np.moveaxis(values, k, 0).reshape(shape[k], -1)[:, 0]
        coordinates[name] = along if dims == names else (dims, along)
    errors = np.full((len(sweep), len(sweep.times)), np.nan)
    for i in sweep.solved:
        errors[i] = [error.total for error in sweep[i].errors]
    moments = {"mean": sweep.mean(), "std": sweep.std()}
    stacked = {name: np.stack([of[s] for s in sweep.species], axis=-1) for name, of in moments.items()}
    arrays = {name: ((*dims, "t", "species"), of.reshape(*grid, *of.shape[1:])) for name, of in stacked.items()}
    return _optional("xarray").Dataset(  # type: ignore[no-any-return]
        {**arrays, "error": ((*dims, "t"), errors.reshape(*grid, -1))},
        coords=coordinates,
        attrs={"model": sweep.model_name, "time_unit": sweep.time_unit, "tol": sweep.tol},
    )


def _attributes(distribution: Distribution) -> dict[str, Any]:
    error = distribution.error
    return {
        "t": "stationary" if distribution.t is None else distribution.t,
        "time_unit": distribution.time_unit,
        "model": distribution.model_name,
        "error": error.total,
        "certified": int(error.certified),
    }


def _optional(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise BackendError(f"`{name}` must be installed for this, but is not: pip install {name}.") from error
