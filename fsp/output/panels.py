"""Panels of pictures: marginals, joint heat maps, courses over time, each drawn into axes that are there.

Curves differ in colour (Okabe and Ito's, which colour-blind readers tell apart), line style and marker, bars in
hatching; heat maps use viridis, which prints well in grey.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arrays import FloatArray
from fsp.distribution import Distribution, Solution
from fsp.distribution.text import is_same_time, when
from fsp.errors import ArgumentError
from fsp.output.axes import figure_of, label_copies
from fsp.output.axis_ranges import BEYOND_AXIS, LEFT_OUT_LINEAR, limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# As many as colours, so that curves differ in print.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
_HATCHES = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")
POINT_MASS = 0.999
"""A time with more in one state, such as the start, is left out beside others: it would flatten them."""
_MOST_CURVES = 5  # in a panel: more cannot be told apart; chosen
MOST_COLOURED_SPECIES = len(COLOURS)
_MOST_BARS = 5
"""Up to this number of copies, bars; above it curves."""
_MOST_MARKERS = 40  # more run into each other at the width of a panel
BAND_LEVELS = (0.05, 0.5, 0.95)
_ATOM = 4.0  # times all other probabilities: where one is larger, the axis follows the others; chosen
_USUAL = 0.75  # of the times have no peak above it: where others tower over it, colours end there; chosen
_DECADES = 8
"""A logarithmic scale shows this many decades below its largest value."""


def draw_marginals(
    axes: Axes, distributions: Sequence[Distribution], species: str, log: bool, name: str | None = None
) -> None:
    """Draw the distribution of a species at some times; an atom that would flatten the rest is cut off and labelled.

    What the axes show already stays in sight, and curves differ from those that have a label there.
    """
    times = [
        distribution for distribution in distributions if distribution.probabilities.max() < POINT_MASS
    ] or distributions
    shown = [times[i].marginal(species) for i in spread_evenly(len(times), _MOST_CURVES)]
    low, high = limits(shown, BEYOND_AXIS if log else LEFT_OUT_LINEAR)
    few = high - low < _MOST_BARS
    seen = (axes.get_xlim(), axes.get_ylim()) if axes.has_data() else None
    before = len(axes.get_legend_handles_labels()[1])
    for i, marginal in enumerate(shown):
        t = when(marginal.t, marginal.time_unit)
        label = t if name is None else name if len(shown) == 1 else f"{name}, {t}"
        style = (before + i) % MOST_COLOURED_SPECIES
        if few:
            _bars(axes, marginal, style, (i, len(shown)), label)
        else:
            _curve(axes, marginal, style, label, marked=high - low < _MOST_MARKERS)
    label_copies(axes.xaxis, species)
    axes.set_xlim(low - 0.5, high + 0.5)
    axes.set_ylabel("probability")
    _scale(axes, shown, species, log, few, before)
    if seen is not None:
        _keep_in_sight(axes, *seen)
    if before + len(shown) > 1:
        axes.legend()
        axes.set_title("", loc="left")
    else:
        axes.set_title(when(shown[0].t, shown[0].time_unit), loc="left")


def _scale(axes: Axes, shown: Sequence[Distribution], species: str, log: bool, few: bool, before: int) -> None:
    """Let the axis of probabilities end above all that is shown, or above what an atom would flatten."""
    highest = max(float(marginal.probabilities.max()) for marginal in shown)
    top = max(_beside_atoms(marginal.probabilities) for marginal in shown)
    if log:
        axes.set_yscale("log")
        axes.set_ylim(highest * 10.0**-_DECADES, highest * 2)
    elif few or top == highest:
        axes.set_ylim(0.0, highest * 1.06)
    else:
        axes.set_ylim(0.0, top * 1.3)
        _label_atoms(axes, shown, species, top, before)


def _keep_in_sight(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Widen the limits of axes to earlier ones."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    axes.set_xlim(min(left, x[0]), max(right, x[1]))
    axes.set_ylim(min(bottom, y[0]) if y[0] > 0.0 else bottom, max(top, y[1]))


def _beside_atoms(p: FloatArray) -> float:
    """Return the largest probability, or the second one where the largest would flatten all others."""
    highest, second = float(p.max()), float(np.sort(p.ravel())[-2:][0])
    return highest if highest <= _ATOM * second or second == 0.0 else second


def _label_atoms(axes: Axes, shown: Sequence[Distribution], species: str, top: float, before: int) -> None:
    """Write the probabilities that the axis cuts off, beside an arrow at its upper end."""
    high = [(i, marginal) for i, marginal in enumerate(shown) if marginal.probabilities.max() > top]
    for line, (i, marginal) in enumerate(high):
        place = int(np.argmax(marginal.probabilities))
        count, p = int(marginal.states[place, 0]), float(marginal.probabilities[place])
        colour = COLOURS[(before + i) % MOST_COLOURED_SPECIES]
        axes.plot([count], [top * 1.26], marker="^", color=colour, markersize=5, linestyle="none")
        axes.annotate(
            f"P({species} = {count}) = {p:.3g}",
            (count, top * (1.24 - 0.1 * line)),
            xytext=(8, -3),
            textcoords="offset points",
            fontsize=8,
            color=colour,
        )


def _bars(axes: Axes, marginal: Distribution, i: int, place: tuple[int, int], label: str) -> None:
    k, n = place
    width = 0.8 / n
    axes.bar(
        marginal.states[:, 0] + (k - (n - 1) / 2) * width,
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
        linestyle=LINES[i],
        marker=_MARKERS[i] if marked else None,
        markersize=3.0,
        label=label,
    )


def draw_joint(axes: Axes, distribution: Distribution, log: bool, *, bar: bool = True) -> None:
    """Draw the part of a joint distribution that its marginals' axes show, with a bar of colours."""
    first, second = distribution.species
    ranges = [
        limits([distribution.marginal(name)], BEYOND_AXIS if log else LEFT_OUT_LINEAR) for name in (first, second)
    ]
    window = _window(distribution, ranges)
    edges = [np.arange(low, high + 2) - 0.5 for low, high in ranges]
    _map(axes, (edges[0], edges[1]), window, float(window.max()), log, bar=bar)
    label_copies(axes.xaxis, first)
    label_copies(axes.yaxis, second)
    if bar:
        axes.set_title(when(distribution.t, distribution.time_unit), loc="left")


def draw_heat(axes: Axes, solution: Solution, species: str, log: bool) -> None:
    """Draw the distribution of a species over time, as colours."""
    alone = [marginal.marginal(species) for marginal in solution]
    low, high = limits(alone, BEYOND_AXIS if log else LEFT_OUT_LINEAR)
    window = np.stack([_window(marginal, [(low, high)]) for marginal in alone])  # (n_times, n_counts)
    spread = [row for row in window if row.max() < POINT_MASS]
    times = solution.times
    between = 0.5 * (times[1:] + times[:-1])
    edges = np.concatenate([times[:1], between, times[-1:]])
    peaks = [float(row.max()) if log else _beside_atoms(row) for row in spread] or [1.0]
    usual = float(np.quantile(peaks, _USUAL))
    highest = max(peaks) if log or max(peaks) <= _ATOM * usual else usual
    _map(axes, (edges, np.arange(low, high + 2) - 0.5), window, highest, log, bar=True)
    axes.set_xlabel(f"time ({solution.time_unit})" if solution.time_unit else "time")
    label_copies(axes.yaxis, species)


def _map(axes: Axes, edges: tuple[Any, Any], window: FloatArray, highest: float, log: bool, *, bar: bool) -> None:
    """Draw probabilities (n, m) as colours up to `highest`."""
    from matplotlib.colors import LogNorm, Normalize

    norm = LogNorm(highest * 10.0**-_DECADES, highest, clip=True) if log else Normalize(0.0, highest)
    mesh = axes.pcolormesh(*edges, window.T, norm=norm, cmap="viridis", rasterized=True)
    if bar:
        beyond = "min" if log else "max" if window.max() > highest else "neither"
        colours = figure_of(axes).colorbar(mesh, ax=axes, pad=0.02, extend=beyond)
        colours.set_label("probability")
        colours.ax.spines["outline"].set_visible(False)


def draw_courses(axes: Axes, solution: Solution, names: Sequence[str], *, band: str = "quantiles") -> None:
    """Draw the mean of species over time, in a band of ``"quantiles"``, 5 to 95 %, or of one ``"std"``."""
    means, times = solution.mean(), solution.times
    for i, name in enumerate(names):
        style: dict[str, Any] = {"color": COLOURS[i], "linestyle": LINES[i]}
        if band == "std":
            std = solution.std()[name]
            edges = np.maximum(means[name] - std, 0.0), means[name] + std
        else:
            low, median, high = np.array([distribution.quantile(name, BAND_LEVELS) for distribution in solution]).T
            edges = low, high
        axes.fill_between(times, *edges, color=COLOURS[i], alpha=0.16, linewidth=0)
        for edge in edges:
            axes.plot(times, edge, linewidth=0.5, alpha=0.7, **style)
        if band != "std" and len(names) == 1:
            axes.plot(times, median, color="0.25", linestyle=":", linewidth=1.0)
        every = max(1, len(times) // 12)
        axes.plot(times, means[name], marker=_MARKERS[i], markersize=3.5, markevery=every, label=name, **style)
    axes.set_xlabel(f"time ({solution.time_unit})" if solution.time_unit else "time")
    what = "mean ± std" if band == "std" else "mean, 5 to 95 %"
    axes.set_ylabel(f"{names[0] if len(names) == 1 else what} (copies)")
    if len(names) == 1:
        axes.set_title(what if band == "std" else "mean, median (dots), 5 to 95 %", loc="left")
    else:
        axes.legend()
    low, high = axes.get_ylim()
    axes.set_ylim(bottom=low if low > 0.5 * high else 0.0)
    if len(times) > 1:
        axes.set_xlim(times[0], times[-1])


def spread_evenly(n: int, limit: int) -> list[int]:
    """Choose at most so many of n indices, evenly, the first and the last among them."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, limit))})


def _window(distribution: Distribution, ranges: Sequence[tuple[int, int]]) -> FloatArray:
    """Spread the part of a joint distribution that lies within ranges over a dense array."""
    low, high = np.array(ranges).T
    inside = ((distribution.states >= low) & (distribution.states <= high)).all(axis=1)  # (n,)
    window = np.zeros(high - low + 1)
    window[tuple((distribution.states[inside] - low).T)] = distribution.probabilities[inside]
    return window


def chosen(known: Sequence[str], species: Sequence[str]) -> tuple[str, ...]:
    """Return the species that are drawn: those that are named, or the first that fit."""
    unknown = [name for name in species if name not in known]
    if unknown:
        raise ArgumentError(f"Species must be one of {', '.join(known)}, but is '{unknown[0]}'.")
    if len(species) > MOST_COLOURED_SPECIES:
        raise ArgumentError(f"`species` must be at most {MOST_COLOURED_SPECIES} to plot, but are {len(species)}.")
    return tuple(species) or tuple(known[:MOST_COLOURED_SPECIES])


def place_of(times: Sequence[float], t: float) -> int:
    """Return which of some times one is."""
    places = [k for k, time in enumerate(times) if is_same_time(time, t)]
    if not places:
        raise ArgumentError(f"`t` must be one of {', '.join(f'{time:.8g}' for time in times)}, but is {t:.12g}.")
    return places[0]
