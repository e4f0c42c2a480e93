"""Draw landscapes -ln p of one or two species, with their minima and saddles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.text import round_up
from fsp.output.axes import figure_of, label_copies, new_axes, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import FloatArray
    from fsp.distribution.landscape import Landscape

ABOVE_SADDLE = 6.0  # beyond the highest saddle, or the deepest minimum, up to which a landscape is drawn
LEAST_HEIGHT = 14.0  # above the deepest minimum that is drawn at least: a millionth of its probability


def landscape(landscape: Landscape, *, ax: Axes | None = None) -> Any:
    """Draw -ln p of one species as a curve in a band of its bounds, or of two as a map.

    Parameters
    ----------
    landscape
        The landscape.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.
    """
    deepest = float(landscape.value.min())
    saddles = np.array([basin.saddle for basin in landscape.basins if basin.saddle is not None])
    minima = np.array([basin.state for basin in landscape.basins])
    heights = [basin.level.value + basin.barrier.value for basin in landscape.basins if basin.saddle is not None]
    top = max([deepest + LEAST_HEIGHT, *(height + ABOVE_SADDLE for height in heights)])
    with styled():
        axes = ax if ax is not None else new_axes(4.6, 3.6)
        (_curve if len(landscape.species) == 1 else _map)(axes, landscape, top)
        levels = dict(zip(map(tuple, landscape.states.tolist()), landscape.value.tolist(), strict=True))
        for marked, marker, label in ((minima, "o", "minimum"), (saddles, "X", "saddle")):
            if len(marked):
                y = [levels[tuple(x)] for x in marked.tolist()] if marked.shape[1] == 1 else marked[:, 1]
                axes.plot(marked[:, 0], y, marker, color="#D55E00", markersize=5, label=label, clip_on=False)
        axes.legend()
        barriers = [basin.barrier for basin in landscape.basins if basin.saddle is not None]
        if barriers:
            least = min(barriers, key=lambda barrier: barrier.value)
            sign = "≤" if landscape.certified else "≈"
            text = f"barrier {least.value:.4g}, width {sign} {round_up(least.width)}"
            axes.set_title(text, loc="right", color="0.35", fontsize=8)
    return figure_of(axes) if ax is None else ax


def _curve(axes: Axes, landscape: Landscape, top: float) -> None:
    seen = landscape.value <= top
    x = landscape.states[seen, 0]
    axes.fill_between(
        x, landscape.lower[seen], np.minimum(landscape.upper[seen], top), color="#0072B2", alpha=0.3, linewidth=0
    )
    axes.plot(x, landscape.value[seen], color="#0072B2")
    label_copies(axes.xaxis, landscape.species[0])
    axes.set_ylabel("-ln p")


def _map(axes: Axes, landscape: Landscape, top: float) -> None:
    seen = landscape.value <= top
    states = landscape.states[seen]
    low = states.min(axis=0)
    grid: FloatArray = np.full(np.ptp(states, axis=0) + 1, np.nan)
    grid[tuple((states - low).T)] = landscape.value[seen]
    edges = [np.arange(n + 1) + start - 0.5 for n, start in zip(grid.shape, low.tolist(), strict=True)]
    mesh = axes.pcolormesh(edges[0], edges[1], grid.T, cmap="viridis_r", rasterized=True)
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.set_label("-ln p")
    bar.ax.spines["outline"].set_visible(False)
    label_copies(axes.xaxis, landscape.species[0])
    label_copies(axes.yaxis, landscape.species[1])
