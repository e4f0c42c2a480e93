"""Draw distributions: marginals, joint heat maps, means with standard deviations, and all three together.

Figures are made without pyplot, so nothing is shared between them and no display is needed;
`figure.savefig(path)` writes one, and `write` does so whole or not at all.  Curves differ in colour (Okabe and Ito's,
which colour-blind readers tell apart), line style and marker, bars in hatching; heat maps use viridis, which prints
well in grey.  Every picture carries the 1-norm error of the probabilities, which is no error of the means.  Axes end
where less than a millionth of the probability lies beyond.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arrays import FloatArray
from fsp.distribution import Distribution, ErrorLedger, Solution
from fsp.distribution.text import round_up, when
from fsp.errors import ArgumentError
from fsp.output import files
from fsp.output.axes import caption, figure_of, label_copies, new_axes, styled
from fsp.output.ranges import limits
from fsp.output.replace import MARK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fsp.distribution.passage import Passage

SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".tif", ".tiff", ".eps")
"""Kinds of picture files that matplotlib writes."""

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# As many as colours, so that curves differ in print.
_LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")
_POINT_MASS = 0.999
"""A time with more in one state, such as the start, is left out beside others: it would flatten them."""
_MOST_CURVES = 5  # in a panel: more cannot be told apart; chosen
_MOST_SPECIES = len(COLOURS)
_MOST_BARS = 5
"""Up to this number of copies, bars; above it curves."""
_MOST_MARKERS = 40  # more run into each other at the width of a panel
_DECADES = 8
"""A logarithmic scale shows this many decades below its largest value."""


def marginals(
    distributions: Sequence[Distribution], species: str, *, log: bool = False, axes: Axes | None = None
) -> Figure:
    """Draw the distribution of one species at one or several times.

    Parameters
    ----------
    distributions
        The times; of more than five, five that are spread evenly are drawn.
    species
        The name.
    log
        Whether the probability axis is logarithmic.
    axes
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The picture; it leaves out times at which all probability lies in one state, if there are others.

    Raises
    ------
    ArgumentError
        If there is no distribution or no such species.
    """
    if not distributions:
        raise ArgumentError("`distributions` must be at least one, but there is none.")
    with styled():
        axes = axes if axes is not None else new_axes(4.8, 3.2)
        _draw_marginals(axes, distributions, species, log)
        caption(axes, _largest(distributions))
    return figure_of(axes)


def joint(
    distribution: Distribution, first: str, second: str, *, log: bool = False, axes: Axes | None = None
) -> Figure:
    """Draw the joint distribution of two species as a heat map.

    Parameters
    ----------
    distribution
        What to draw.
    first, second
        Names of the species on the horizontal and on the vertical axis.
    log
        Whether colours follow the logarithm of the probability, over eight decades.
    axes
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        If a species is unknown, or both are the same.
    """
    with styled():
        axes = axes if axes is not None else new_axes(4.6, 3.6)
        _draw_joint(axes, distribution.marginal(first, second), log)
        caption(axes, distribution.error)
    return figure_of(axes)


def moments(solution: Solution, *species: str, axes: Axes | None = None) -> Figure:
    """Draw the mean of each species over time in a band of one standard deviation on either side.

    Parameters
    ----------
    solution
        What to draw.
    species
        The names; the first six where none is given.
    axes
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        If a species is unknown.
    """
    names = _names(solution, species)
    with styled():
        axes = axes if axes is not None else new_axes(4.8, 3.2)
        _draw_moments(axes, solution, names)
        caption(axes, solution.error)
    return figure_of(axes)


def passage(found: Passage, *, axes: Axes | None = None) -> Figure:
    """Draw the probability that each target of a passage was reached first by each time, in bands of their bounds.

    Parameters
    ----------
    found
        A passage with times.
    axes
        Where to draw; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        If the passage was asked for without times.
    """
    curves = list(zip(found.targets, found.first, strict=True)) if len(found.targets) > 1 else []
    with styled():
        curves.insert(0, (" or ".join(found.targets), found.cdf))
        axes = axes if axes is not None else new_axes(4.8, 3.2)
        for i, (name, curve) in enumerate(curves[:_MOST_CURVES]):
            axes.fill_between(curve.times, curve.lower, curve.upper, color=COLOURS[i], alpha=0.3, linewidth=0)
            axes.plot(curve.times, curve.value, color=COLOURS[i], linestyle=_LINES[i], label=name)
        axes.set_xlabel(f"time since the start ({found.time_unit})" if found.time_unit else "time since the start")
        axes.set_ylabel("probability of having passed")
        axes.set_ylim(bottom=0.0)
        axes.legend()
        width = float((found.cdf.upper - found.cdf.lower).max())
        sign = "≤" if found.cdf.certified else "≈"
        axes.set_title(f"width {sign} {round_up(width)}", loc="right", color="0.35", fontsize=8)
    return figure_of(axes)


def overview(answer: Solution | Distribution, species: Sequence[str] = (), *, log: bool = False) -> Figure:
    """Draw all that fits on a page: means over time, marginals, and a joint heat map at the last time.

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
    from matplotlib.figure import Figure

    times = list(answer) if isinstance(answer, Solution) else [answer]
    names, last = _names(answer, species), times[-1]
    pair = _varying_pair(last, names)
    widths = ([3.0] if len(times) > 1 else []) + [3.0] + ([4.2] if pair else [])
    rows = max(len(names), 2) if pair else len(names)
    with styled():
        figure = Figure(figsize=(sum(widths), 2.3 * rows + 0.4), dpi=150, layout="constrained")
        grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
        for i, name in enumerate(names):
            if isinstance(answer, Solution) and len(times) > 1:
                _draw_moments(figure.add_subplot(grid[i, 0]), answer, [name])
            panel = figure.add_subplot(grid[i, len(widths) - (2 if pair else 1)])
            _draw_marginals(panel, times, name, log)
        if pair:
            _draw_joint(figure.add_subplot(grid[:2, -1]), last.marginal(*pair), log)
        figure.suptitle(f"{last.model_name or 'model'}: 1-norm {_largest(times).summary}", fontsize=10)
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


# ---- panels


def _draw_marginals(axes: Axes, distributions: Sequence[Distribution], species: str, log: bool) -> None:
    times = [one for one in distributions if one.probabilities.max() < _POINT_MASS] or distributions
    shown = [times[i].marginal(species) for i in _spread(len(times), _MOST_CURVES)]
    low, high = limits(shown)
    for i, marginal in enumerate(shown):
        label = when(marginal.t, marginal.time_unit)
        if high - low < _MOST_BARS:
            _bars(axes, marginal, i, len(shown), label)
        else:
            _curve(axes, marginal, i, label, marked=high - low < _MOST_MARKERS)
    label_copies(axes.xaxis, species)
    axes.set_xlim(low - 0.5, high + 0.5)
    axes.set_ylabel("probability")
    most = max(float(marginal.probabilities.max()) for marginal in shown)
    if log:
        axes.set_yscale("log")
        axes.set_ylim(most * 10.0**-_DECADES, most * 2)
    else:
        axes.set_ylim(0.0, most * 1.06)
    if len(shown) > 1:
        axes.legend()
    else:
        axes.set_title(when(shown[0].t, shown[0].time_unit), loc="left")


def _bars(axes: Axes, marginal: Distribution, i: int, n: int, label: str) -> None:
    width = 0.8 / n
    axes.bar(
        marginal.states[:, 0] + (i - (n - 1) / 2) * width,
        marginal.probabilities,
        width,
        color=COLOURS[i],
        hatch=_HATCHES[i],
        edgecolor="white",
        linewidth=0.5,
        label=label,
    )


def _curve(axes: Axes, marginal: Distribution, i: int, label: str, marked: bool) -> None:
    (copies,) = marginal._dense[1]
    axes.plot(
        copies,
        marginal.pmf,
        color=COLOURS[i],
        linestyle=_LINES[i],
        marker=_MARKERS[i] if marked else None,
        markersize=3.0,
        label=label,
    )


def _draw_joint(axes: Axes, distribution: Distribution, log: bool) -> None:
    """Draw the part of a joint distribution that its marginals' axes show."""
    from matplotlib.colors import LogNorm, Normalize

    first, second = distribution.species
    ranges = [limits([distribution.marginal(name)]) for name in (first, second)]
    window = _window(distribution, ranges)
    most = float(window.max())
    norm = LogNorm(most * 10.0**-_DECADES, most, clip=True) if log else Normalize(0.0, most)
    edges = [np.arange(low, high + 2) - 0.5 for low, high in ranges]
    mesh = axes.pcolormesh(*edges, window.T, norm=norm, cmap="viridis", rasterized=True)
    bar = figure_of(axes).colorbar(mesh, ax=axes, pad=0.02, extend="min" if log else "neither")
    bar.set_label("probability")
    bar.ax.spines["outline"].set_visible(False)
    label_copies(axes.xaxis, first)
    label_copies(axes.yaxis, second)
    axes.set_title(when(distribution.t, distribution.time_unit), loc="left")


def _draw_moments(axes: Axes, solution: Solution, names: Sequence[str]) -> None:
    means, stds, times = solution.mean(), solution.std(), solution.times
    for i, name in enumerate(names):
        mean, std, colour = means[name], stds[name], COLOURS[i]
        style: dict[str, Any] = {"color": colour, "linestyle": _LINES[i]}
        edges = np.maximum(mean - std, 0.0), mean + std
        axes.fill_between(times, *edges, color=colour, alpha=0.16, linewidth=0)
        for edge in edges:
            axes.plot(times, edge, linewidth=0.5, alpha=0.7, **style)
        every = max(1, len(times) // 12)
        axes.plot(times, mean, marker=_MARKERS[i], markersize=3.5, markevery=every, label=name, **style)
    axes.set_xlabel(f"time ({solution.time_unit})" if solution.time_unit else "time")
    axes.set_ylabel(f"{names[0] if len(names) == 1 else 'mean ± std'} (copies)")
    if len(names) == 1:
        axes.set_title("mean ± std", loc="left")
    else:
        axes.legend()
    low, high = axes.get_ylim()
    axes.set_ylim(bottom=low if low > 0.5 * high else 0.0)
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])


# ---- which part of the answer


def _names(answer: Solution | Distribution, species: Sequence[str]) -> tuple[str, ...]:
    unknown = [name for name in species if name not in answer.species]
    if unknown:
        raise ArgumentError(f"Species must be one of {', '.join(answer.species)}, but is '{unknown[0]}'.")
    if len(species) > _MOST_SPECIES:
        raise ArgumentError(f"`species` must be at most {_MOST_SPECIES} to plot, but are {len(species)}.")
    return tuple(species) or answer.species[:_MOST_SPECIES]


def _largest(distributions: Sequence[Distribution]) -> ErrorLedger:
    return max((distribution.error for distribution in distributions), key=lambda error: error.total)


def _spread(n: int, most: int) -> list[int]:
    """Choose at most so many of n indices, evenly, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})


def _varying_pair(distribution: Distribution, names: Sequence[str]) -> tuple[str, ...]:
    """Return the first two species that take more than two values, or else two that vary at all."""
    spans = {name: int(np.ptp(limits([distribution.marginal(name)]))) for name in names}
    first = [name for name in names if spans[name] > 1] + [name for name in names if spans[name] == 1]
    pair = tuple(name for name in names if name in first[:2])
    return pair if len(pair) == 2 else ()


def _window(distribution: Distribution, ranges: Sequence[tuple[int, int]]) -> FloatArray:
    """Spread the part of a joint distribution that lies within ranges over a dense array."""
    low, high = np.array(ranges).T
    inside = ((distribution.states >= low) & (distribution.states <= high)).all(axis=1)  # (n,)
    window = np.zeros(high - low + 1)
    window[tuple((distribution.states[inside] - low).T)] = distribution.probabilities[inside]
    return window
