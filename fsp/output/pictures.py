"""Draw answers: marginals, joints, courses over time, heat maps of time against count, corners, sweeps, modes.

Figures are made without pyplot, so nothing is shared between them and no display is needed; notebooks show them, and
`figure.savefig(path)` writes one.  With ``ax=`` all is drawn into axes that are there, which are then returned.
Every picture carries the 1-norm error of the probabilities, which is no error of the means.  Axes end where less than a
ten-thousandth of the probability lies beyond, on logarithmic scales less than a millionth.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.distribution.text import round_up
from fsp.errors import ArgumentError
from fsp.output import files, panels
from fsp.output.axes import caption, figure_of, new_axes, new_figure, styled
from fsp.output.axis_ranges import limits
from fsp.output.panels import COLOURS, LINES
from fsp.output.replace import MARK
from fsp.output.varied import modes as modes
from fsp.output.varied import sweep as sweep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fsp.distribution.passage import Passage

SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".tif", ".tiff", ".eps")
"""Kinds of picture files that matplotlib writes."""


def marginals(
    distributions: Sequence[Distribution],
    species: str,
    *,
    log: bool = False,
    ax: Axes | None = None,
    label: str | None = None,
) -> Any:
    """Draw the distribution of one species at one or several times.

    Where one count, such as zero of a gene that bursts, has far more than all others, the axis follows the others, and
    the probability of the one is written beside it.

    Parameters
    ----------
    distributions
        The times; of more than five, five that are spread evenly are drawn.
    species
        The name.
    log
        Whether the probability axis is logarithmic.
    ax
        Where to draw, beside what is there; a new figure if None.
    label
        What the legend calls it; the time if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`; it leaves out times at which all probability lies in one state, if there are others.

    Raises
    ------
    ArgumentError
        If there is no distribution or no such species.
    """
    if not distributions:
        raise ArgumentError("`distributions` must be at least one, but there is none.")
    with styled():
        axes = ax if ax is not None else new_axes(4.8, 3.2)
        panels.draw_marginals(axes, distributions, species, log, label)
        caption(axes, _largest(distributions))
    return figure_of(axes) if ax is None else ax


def joint(distribution: Distribution, first: str, second: str, *, log: bool = False, ax: Axes | None = None) -> Any:
    """Draw the joint distribution of two species as a heat map.

    Parameters
    ----------
    distribution
        What to draw.
    first, second
        Names of the species on the horizontal and on the vertical axis.
    log
        Whether colours follow the logarithm of the probability, over eight decades.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If a species is unknown, or both are the same.
    """
    with styled():
        axes = ax if ax is not None else new_axes(4.6, 3.6)
        panels.draw_joint(axes, distribution.marginal(first, second), log)
        caption(axes, distribution.error)
    return figure_of(axes) if ax is None else ax


def moments(solution: Solution, *species: str, band: str = "std", ax: Axes | None = None) -> Any:
    """Draw the mean of each species over time in a band.

    Parameters
    ----------
    solution
        What to draw.
    species
        The names; the first six where none is given.
    band
        ``"std"``, one standard deviation on either side, or ``"quantiles"``, from 5 to 95 %, and the median of a single
        species.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If a species or the band is unknown.
    """
    if band not in ("std", "quantiles"):
        raise ArgumentError(f"`band` must be std or quantiles, but is {band!r}.")
    names = panels.chosen(solution.species, species)
    with styled():
        axes = ax if ax is not None else new_axes(4.8, 3.2)
        panels.draw_courses(axes, solution, names, band=band)
        caption(axes, solution.error)
    return figure_of(axes) if ax is None else ax


def heat(solution: Solution, species: str, *, log: bool = False, ax: Axes | None = None) -> Any:
    """Draw the distribution of one species over all times as a heat map, time against count.

    Parameters
    ----------
    solution
        What to draw, at two times at least.
    species
        The name.
    log
        Whether colours follow the logarithm of the probability, over eight decades.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If the species is unknown, or there is one time alone.
    """
    if len(solution) < 2:
        raise ArgumentError("`solution` must have two times at least to be drawn over time, but has one.")
    with styled():
        axes = ax if ax is not None else new_axes(5.2, 3.4)
        panels.draw_heat(axes, solution, species, log)
        caption(axes, solution.error)
    return figure_of(axes) if ax is None else ax


def corner(distribution: Distribution, *species: str, log: bool = False) -> Figure:
    """Draw the marginals of several species, and the joint distributions of all pairs below them.

    Parameters
    ----------
    distribution
        What to draw.
    species
        The names; the first six where none is given.
    log
        Whether probabilities are on logarithmic scales.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        If a species is unknown.
    """
    names = panels.chosen(distribution.species, species)
    n = len(names)
    with styled():
        figure = new_figure(1.9 * n + 0.6, 1.9 * n + 0.6)
        grid = figure.add_gridspec(n, n)
        for i, name in enumerate(names):
            panels.draw_marginals(figure.add_subplot(grid[i, i]), [distribution], name, log)
            for j in range(i):
                pair = distribution.marginal(names[j], name)
                panels.draw_joint(figure.add_subplot(grid[i, j]), pair, log, bar=False)
        figure.suptitle(_headline(distribution, names, distribution.error), fontsize=10)
    return figure


def passage(passage: Passage, *, ax: Axes | None = None) -> Any:
    """Draw the probability that each target of a passage was reached first by each time, in bands of their bounds.

    Parameters
    ----------
    passage
        A passage with times.
    ax
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If the passage was asked for without times.
    """
    curves = list(zip(passage.targets, passage.first, strict=True)) if len(passage.targets) > 1 else []
    with styled():
        curves.insert(0, (" or ".join(passage.targets), passage.cdf))
        axes = ax if ax is not None else new_axes(4.8, 3.2)
        for (name, curve), colour, line in zip(curves, COLOURS, LINES, strict=False):
            axes.fill_between(curve.times, curve.lower, curve.upper, color=colour, alpha=0.3, linewidth=0)
            axes.plot(curve.times, curve.value, color=colour, linestyle=line, label=name)
        axes.set_xlabel(f"time since the start ({passage.time_unit})" if passage.time_unit else "time since the start")
        axes.set_ylabel("probability of having passed")
        axes.set_ylim(bottom=0.0)
        axes.legend()
        width = float((passage.cdf.upper - passage.cdf.lower).max())
        sign = "≤" if passage.cdf.certified else "≈"
        axes.set_title(f"width {sign} {round_up(width)}", loc="right", color="0.35", fontsize=8)
    return figure_of(axes) if ax is None else ax


def overview(answer: Solution | Distribution, species: Sequence[str] = (), *, log: bool = False) -> Figure:
    """Draw all that fits on a page: courses over time, marginals, and a joint heat map at the last time.

    Parameters
    ----------
    answer
        A solution, or a single (stationary) distribution, which has no panels over time.
    species
        The names; the first six where none is given.
    log
        Whether probabilities are drawn on logarithmic scales.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each species, and beside them the heat map of the first two that vary, if there are two.

    Raises
    ------
    ArgumentError
        If a species is unknown.
    """
    times = list(answer) if isinstance(answer, Solution) else [answer]
    names, last = panels.chosen(answer.species, species), times[-1]
    pair = _varying_pair(last, names)
    widths = ([3.0] if len(times) > 1 else []) + [3.0] + ([4.2] if pair else [])
    rows = max(len(names), 2) if pair else len(names)
    with styled():
        figure = new_figure(sum(widths), 2.3 * rows + 0.4)
        grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
        for i, name in enumerate(names):
            if isinstance(answer, Solution) and len(times) > 1:
                panels.draw_courses(figure.add_subplot(grid[i, 0]), answer, [name])
            panel = figure.add_subplot(grid[i, len(widths) - (2 if pair else 1)])
            panels.draw_marginals(panel, times, name, log)
        if pair:
            panels.draw_joint(figure.add_subplot(grid[:2, -1]), last.marginal(*pair), log)
        figure.suptitle(_headline(last, names, _largest(times)), fontsize=10)
    return figure


def write(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all, that says where it comes from."""
    kind = path.suffix.lower().removeprefix(".")
    origin: dict[str, Any] = {
        "png": {"metadata": {"Software": MARK}},
        "jpg": {"pil_kwargs": {"comment": MARK}},
        "jpeg": {"pil_kwargs": {"comment": MARK}},
        "tif": {"pil_kwargs": {"description": MARK}},
        "tiff": {"pil_kwargs": {"description": MARK}},
    }.get(kind, {"metadata": {"Creator": MARK}})
    picture = io.BytesIO()
    figure.savefig(picture, format=kind, **origin)
    files.write(path, picture.getvalue())


# ---- which part of the answer


def _headline(distribution: Distribution, names: Sequence[str], error: ErrorLedger) -> str:
    """Name the model, its error, and how many species are left out."""
    some = f", {len(names)} of {len(distribution.species)} species" if len(names) < len(distribution.species) else ""
    return f"{distribution.model_name or 'model'}: 1-norm {error.summary}{some}"


def _largest(distributions: Sequence[Distribution]) -> ErrorLedger:
    return max((distribution.error for distribution in distributions), key=lambda error: error.total)


def _varying_pair(distribution: Distribution, names: Sequence[str]) -> tuple[str, ...]:
    """Return the first two species that take more than two values, or else two that vary at all."""
    spans = {name: int(np.ptp(limits([distribution.marginal(name)]))) for name in names}
    first = [name for name in names if spans[name] > 1] + [name for name in names if spans[name] == 1]
    pair = tuple(name for name in names if name in first[:2])
    return pair if len(pair) == 2 else ()
