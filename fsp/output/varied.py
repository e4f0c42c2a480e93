"""Draw what is no distribution over time: means over the values of a sweep, and the modes of relaxation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.errors import ArgumentError
from fsp.output import panels
from fsp.output.axes import caption, figure_of, label_copies, new_figure, styled
from fsp.output.panels import COLOURS, LINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import FloatArray
    from fsp.distribution.relaxation import Relaxation
    from fsp.distribution.sweep import Sweep

_MOST_MODES = 4  # on a page; chosen
LEAST_MOVED = 1e-3  # of the most that a mode moves: axes end where less is moved; chosen


def sweep(swept: Sweep, *species: str, t: float | None = None, ax: Axes | None = None) -> Any:
    """Draw the means of species over one value that was varied, with one standard deviation, or as maps over two.

    Parameters
    ----------
    swept
        What to draw: one or two names, all combinations of whose values were solved.
    species
        The names; the first six where none is given, and one alone where `ax` is given.
    t
        One of its times; the last one if None.
    ax
        Where to draw a single species; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If a species or the time is unknown, or more than two names were varied.
    """
    names = panels.chosen(swept.species, species)
    if len(swept.shape) > 2 or len(swept.shape) != len(swept.names):
        raise ArgumentError(
            f"A sweep must be over one or two names, in all combinations, to be drawn, but is over "
            f"{', '.join(swept.names)} with {' x '.join(map(str, swept.shape))} points; draw some of it, as "
            f"sweep.at(...).plot()."
        )
    if ax is not None and len(names) != 1:
        raise ArgumentError(f"`species` must be one name for `ax`, but are {', '.join(names)}.")
    time = swept.times.shape[0] - 1 if t is None else panels.place_of(swept.times.tolist(), t)
    draw = _draw_map if len(swept.shape) == 2 else _draw_line
    with styled():
        figure = new_figure(4.8, 2.6 * len(names) + 0.4) if ax is None else figure_of(ax)
        for i, name in enumerate(names):
            axes = figure.add_subplot(len(names), 1, i + 1) if ax is None else ax
            draw(axes, swept, name, (swept.mean()[name][:, time], swept.std()[name][:, time]), i)
            if i == 0:
                caption(axes, swept.error)
    return figure if ax is None else ax


def _draw_line(axes: Any, swept: Sweep, name: str, spread: tuple[FloatArray, FloatArray], i: int) -> None:
    mean, std = spread
    values = swept.points[:, 0]
    order = np.argsort(values)
    x, mean, std = values[order], mean[order], std[order]
    axes.fill_between(x, np.maximum(mean - std, 0.0), mean + std, color=COLOURS[i], alpha=0.16, linewidth=0)
    axes.plot(x, mean, color=COLOURS[i], linestyle=LINES[i], marker="o", markersize=3.0)
    axes.set_xlabel(swept.names[0])
    axes.set_ylabel(f"{name} (copies)")
    axes.set_title("mean ± std", loc="left")


def _draw_map(axes: Any, swept: Sweep, name: str, spread: tuple[FloatArray, FloatArray], i: int) -> None:
    first, second = (np.unique(swept.points[:, k]) for k in (0, 1))
    places = np.searchsorted(first, swept.points[:, 0]), np.searchsorted(second, swept.points[:, 1])
    table = np.full((len(first), len(second)), np.nan)  # what has no solution stays white
    table[places] = spread[0]
    mesh = axes.pcolormesh(first, second, table.T, cmap="viridis", shading="nearest", rasterized=True)
    bar = figure_of(axes).colorbar(mesh, ax=axes, pad=0.02)
    bar.set_label(f"mean of {name} (copies)")
    bar.ax.spines["outline"].set_visible(False)
    axes.set_xlabel(swept.names[0])
    axes.set_ylabel(swept.names[1])


def modes(relaxation: Relaxation, *species: str, mode: int | None = None, ax: Axes | None = None) -> Any:
    """Draw the slowest modes: how much probability each moves, summed over all species but one.

    Parameters
    ----------
    relaxation
        What to draw.
    species
        The names; the first six where none is given, and one alone where `ax` is given.
    mode
        The number of a mode, 1 the slowest; the first four if None, and the slowest alone where `ax` is given.
    ax
        Where to draw one species in one mode, beside what is there; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        A row for each mode, and a panel for each species, or `ax`; of complex modes the real part.

    Raises
    ------
    ArgumentError
        If a species or the mode is unknown.
    """
    names = panels.chosen(relaxation.species, species)
    known = len(relaxation.eigenvalues)
    if mode is not None and not (isinstance(mode, int) and 1 <= mode <= known):
        raise ArgumentError(f"`mode` must be a number from 1, the slowest, to {known}, but is {mode!r}.")
    shown = range(min(known, _MOST_MODES)) if mode is None else [mode - 1]
    if ax is not None:
        if len(names) != 1:
            raise ArgumentError(f"`species` must be one name for `ax`, but are {', '.join(names)}.")
        with styled():
            _draw_mode(ax, relaxation, names[0], shown[0])
        return ax
    with styled():
        figure = new_figure(max(2.6 * len(names), 3.2) + 0.4, 1.9 * len(shown) + 0.4)
        grid = figure.add_gridspec(len(shown), len(names))
        for row, k in enumerate(shown):
            for j, name in enumerate(names):
                _draw_mode(figure.add_subplot(grid[row, j]), relaxation, name, k, is_named=j == 0)
    return figure


def _draw_mode(axes: Axes, relaxation: Relaxation, name: str, k: int, *, is_named: bool = True) -> None:
    """Draw one mode over one species, in the next colour of the axes."""
    counts = relaxation.states[:, relaxation.species.index(name)]
    moved = np.bincount(counts, relaxation.right[:, k].real)
    seen = np.flatnonzero(np.abs(moved) > LEAST_MOVED * np.abs(moved).max(initial=0.0))
    title = f"mode {k + 1}: relaxation time {relaxation.times[k]:.4g}"
    before = [line for line in axes.lines if str(line.get_label()).startswith("mode ")]
    colour, style = COLOURS[len(before) % len(COLOURS)], LINES[len(before) % len(LINES)]
    if not before:
        axes.axhline(0.0, color="0.8", linewidth=0.8)
    axes.fill_between(np.arange(len(moved)), moved, color=colour, alpha=0.25, step="mid", linewidth=0)
    axes.step(np.arange(len(moved)), moved, color=colour, linestyle=style, where="mid", linewidth=1.0, label=title)
    if len(seen):
        low, high = axes.get_xlim() if before else (np.inf, -np.inf)
        axes.set_xlim(min(low, seen[0] - 0.5), max(high, seen[-1] + 0.5))
    label_copies(axes.xaxis, name)
    if before:
        axes.set_title("", loc="left")
        axes.legend()
    elif is_named:
        axes.set_ylabel("moved")
        axes.set_title(title, loc="left")
