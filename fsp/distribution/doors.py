"""Tables, pictures and files of a value: the one place where an arrow points back, to the writers in `fsp/output/`.

Methods such as ``dist.plot()`` and ``solution.save()`` go through here; the contracts name it as their exception.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fsp.errors import ArgumentError

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.axes import Axes

    from fsp.distribution.committor import ReactiveFlux
    from fsp.distribution.correlation import Correlation
    from fsp.distribution.display import Saved
    from fsp.distribution.distribution import Distribution
    from fsp.distribution.fit import Fit
    from fsp.distribution.landscape import Landscape
    from fsp.distribution.passage import Passage
    from fsp.distribution.relaxation import Relaxation
    from fsp.distribution.sensitivity import Sensitivities, Sensitivity
    from fsp.distribution.solution import Solution
    from fsp.distribution.sweep import Sweep

    Savable: TypeAlias = Distribution | Solution | Sweep | Saved


def save(answer: Savable, path: str | Path) -> None:
    """Write an HDF5 file, whole or not at all."""
    from fsp.output.storage import save

    save(answer, path)


def draw(answer: Distribution | Solution | Sweep, species: tuple[str, ...], options: dict[str, Any]) -> Any:
    """Draw an answer."""
    from fsp.output.drawing import draw

    unknown = sorted(options.keys() - {"kind", "log", "ax", "label"})
    if unknown:
        raise ArgumentError(f"Options of `plot` must be of kind, log, ax, label, but there is '{unknown[0]}'.")
    return draw(answer, species, **options)


def fit_report(fit: Fit, path: str | Path) -> None:
    """Write a page about a fit."""
    from fsp.output.fit_page import write_page

    write_page(fit, path)


def passage(passage: Passage, ax: Axes | None) -> Any:
    """Draw the law of a first passage."""
    from fsp.output import pictures

    return pictures.passage(passage, ax=ax)


def derivatives_of_means(sensitivities: Sensitivities, species: tuple[str, ...], ax: Axes | None) -> Any:
    """Draw derivatives of means over time."""
    from fsp.output.derived import derivatives_of_means

    return derivatives_of_means(sensitivities, *species, ax=ax)


def derivatives_at(sensitivity: Sensitivity, species: tuple[str, ...], ax: Axes | None) -> Any:
    """Draw derivatives of distributions at one time."""
    from fsp.output.derived import derivatives_at

    return derivatives_at(sensitivity, *species, ax=ax)


def reactive_flux(flux: ReactiveFlux, species: tuple[str, ...], ax: Axes | None) -> Any:
    """Draw a reactive current over two species."""
    from fsp.output import dynamics

    if len(species) != 2:
        raise ArgumentError(f"`species` must be two names to plot a current, but are {', '.join(species)}.")
    return dynamics.reactive_flux(flux, *species, ax=ax)


def landscape(shape: Landscape, ax: Axes | None) -> Any:
    """Draw a landscape."""
    from fsp.output.landscapes import landscape

    return landscape(shape, ax=ax)


def correlation(correlation: Correlation, ax: Axes | None) -> Any:
    """Draw a correlation against the lag."""
    from fsp.output import dynamics

    return dynamics.correlation(correlation, ax=ax)


def modes(relaxation: Relaxation, species: tuple[str, ...], mode: int | None, ax: Axes | None) -> Any:
    """Draw the modes of relaxation."""
    from fsp.output import varied

    return varied.modes(relaxation, *species, mode=mode, ax=ax)


def html(answer: object) -> str:
    """Return an answer as HTML for a notebook."""
    from fsp.output.notebook import html

    return html(answer)


def table(distribution: Distribution) -> pandas.DataFrame:
    """Make a row for each state."""
    from fsp.output.tables import distribution_table

    return distribution_table(distribution)


def array(distribution: Distribution) -> xarray.DataArray:
    """Make an axis for each species."""
    from fsp.output.tables import distribution_array

    return distribution_array(distribution)


def table_of_times(series: Any) -> pandas.DataFrame:
    """Make a row for each time, and point."""
    from fsp.output.tables import series_table

    return series_table(series)


def arrays_of_times(series: Any) -> xarray.Dataset:
    """Label moments by time and species, and parameters."""
    from fsp.output.tables import series_dataset

    return series_dataset(series)
