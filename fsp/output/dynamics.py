"""Draw what happens at rest: how probability flows from one set of states to another, and what is correlated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.text import round_up
from fsp.errors import ArgumentError
from fsp.output.axes import figure_of, label_copies, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.distribution.committor import ReactiveFlux
    from fsp.distribution.correlation import Correlation

MOST_ARROWS = 24  # along an axis: more cannot be told apart; chosen
FAINT = 1e-3  # of the longest current: shorter ones are left out


def reactive_flux(flux: ReactiveFlux, first: str, second: str, *, ax: Axes | None = None) -> Any:
    """Draw a reactive current over two species: arrows where it goes, colour how strong it is.

    Parameters
    ----------
    flux
        The current.
    first, second
        Names of the species on the horizontal and on the vertical axis.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`; cells of several states show the sum of their vectors.

    Raises
    ------
    ArgumentError
        If a species is unknown, both are the same, or there is no current.
    """
    if first == second:
        raise ArgumentError(f"`species` must be two different names, but both are {first}.")
    counts, vectors = flux.along(first, second)
    size = np.hypot(*vectors.T)
    if not size.any():
        raise ArgumentError("`flux` must have a current to plot, but there is no way from A to B.")
    seen = counts[size > FAINT * size.max()]
    low, cell = seen.min(axis=0), np.maximum(np.ptp(seen, axis=0) // MOST_ARROWS + 1, 1)
    cells, place = np.unique((counts - low) // cell, axis=0, return_inverse=True)
    summed = np.stack([np.bincount(place.ravel(), v, len(cells)) for v in vectors.T], axis=1)  # (k, 2)
    strength = np.hypot(*summed.T)
    shown = strength > FAINT * strength.max()
    x, y = ((cells[shown] + 0.5) * cell + low - 0.5).T
    directions = summed[shown] / cell  # in cells, so that arrows are as long on either axis
    u, v = (directions / np.hypot(*directions.T)[:, None] * cell).T
    with styled():
        axes = ax if ax is not None else new_axes(4.6, 3.6)
        arrows = axes.quiver(x, y, u, v, strength[shown], angles="xy", scale_units="xy", scale=1.1, cmap="viridis")
        bar = axes.figure.colorbar(arrows, ax=axes)
        bar.set_label("copies moved per time")
        bar.ax.spines["outline"].set_visible(False)
        label_copies(axes.xaxis, first)
        label_copies(axes.yaxis, second)
        axes.set_title("reactive current", loc="left")
    return figure_of(axes) if ax is None else ax


def correlation(correlation: Correlation, *, ax: Axes | None = None) -> Any:
    """Draw correlation coefficients against the lag, in a band of their bounds.

    Parameters
    ----------
    correlation
        The correlation.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.
    """
    curve = correlation.correlation
    first, second = correlation.pair
    with styled():
        axes = ax if ax is not None else new_axes(4.8, 3.2)
        axes.fill_between(curve.times, curve.lower, curve.upper, alpha=0.3, linewidth=0)
        axes.plot(curve.times, curve.value)
        axes.axhline(0.0, color="0.7", linewidth=0.5)
        axes.set_xlabel(f"lag ({correlation.time_unit})" if correlation.time_unit else "lag")
        axes.set_ylabel("correlation" if first == second else f"correlation with {second}")
        axes.set_title(first, loc="left")
        width = float((curve.upper - curve.lower).max())
        sign = "≤" if curve.certified else "≈"
        axes.set_title(f"width {sign} {round_up(width)}", loc="right", color="0.35", fontsize=8)
    return figure_of(axes) if ax is None else ax
