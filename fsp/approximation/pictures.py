"""One picture of the walk from few molecules to many: laws above, errors against the volume below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import analysis
from fsp.errors import ArgumentError
from fsp.output.panels import COLOURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution

COLUMNS = 3  # of volumes above, and of panels of errors below
EDGE = 1.2  # volumes between the first or last and the frame, as a factor
DECADE = 10.0  # ends of an axis of errors are apart by this factor at least, so that one of its ticks has a number
LEFT_OUT = 1e-5  # of the probability, beyond either end of an axis
# that methods are told apart without colours:
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (3, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
# small type, no frame, texts that can be edited:
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def overview(found: Any, species: str | None = None) -> Figure:
    """Draw the law of one species at the last time in up to three volumes, and the errors against the volume.

    Parameters
    ----------
    found
        What to draw.
    species
        The name; the first by default.

    Returns
    -------
    matplotlib.figure.Figure
        Above, laws; below, errors of mean concentrations and of their variances that stand out of what they may be off
        by, which is drawn as bars, and 1-norm distances with their intervals.

    Raises
    ------
    ArgumentError
        If there is no such species.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    name = found.species[0] if species is None else species
    if name not in found.species:
        raise ArgumentError(f"`species` must be one of {', '.join(found.species)}, but is '{name}'.")
    j = found.species.index(name)
    shown = sorted({0, (len(found.volumes) - 1) // 2, len(found.volumes) - 1})
    with rc_context(_STYLE):
        figure = Figure(figsize=(3.4 * COLUMNS, 6.0), dpi=150, layout="constrained")
        grid = figure.add_gridspec(2, COLUMNS)
        for column, v in enumerate(shown):
            _laws(figure.add_subplot(grid[0, column]), found, v, j)
        figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(found) + 1)
        below = [figure.add_subplot(grid[1, column]) for column in range(COLUMNS)]
        scale = np.array(found.volumes)
        for i, (method, own) in enumerate(found.methods.items()):
            style = {"color": colour(i), "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
            _errors(below[0], found, method, "mean", j, style)
            if method != "rate-equations":
                _errors(below[1], found, method, "variance", j, style)
            _distances(below[2], scale, own.l1[:, -1, j], method, style)
        _finish(below, found, name)
        when = "stationary" if found.times is None else f"t = {found.times[-1]:g}"
        sign = "≤" if found.certified else "≈"
        figure.suptitle(f"{found.model_name}, {when}: master equation (1-norm error {sign} {found.error.max():.1e})")
    return figure


def colour(i: int) -> str:
    """Return the colour of a method."""
    return COLOURS[i % len(COLOURS)]


def _laws(axes: Axes, found: Any, v: int, j: int) -> None:
    exact = found.laws[v][-1].marginal(found.species[j])
    others = [(i, m, own.laws.get((v, j))) for i, (m, own) in enumerate(found.methods.items())]
    drawn = [(i, method, law) for i, method, law in others if law is not None]
    low, high = analysis.middle(exact.states[:, 0], exact.probabilities, LEFT_OUT)
    axes.fill_between(*_curve(exact, low, high), step="mid", color="0.8", label="master equation")
    for i, method, law in drawn:
        axes.plot(
            *_curve(law, low, high), color=colour(i), linestyle=LINES[i % len(LINES)], linewidth=1.2, label=method
        )
    axes.set_title(f"V = {found.volumes[v]:g}", loc="left")
    axes.set_xlabel(f"{found.species[j]} (molecules)")
    axes.set_ylabel("probability")
    axes.set_xlim(low - 0.5, high + 0.5)
    axes.set_ylim(bottom=0.0)


def _curve(law: Distribution, low: int, high: int) -> tuple[FloatArray, FloatArray]:
    """Return counts and probabilities, zero where nothing is stored."""
    counts = np.arange(low, high + 1)
    inside = (law.states[:, 0] >= low) & (law.states[:, 0] <= high)
    p = np.zeros(len(counts))
    p[law.states[inside, 0] - low] = law.probabilities[inside]
    return counts.astype(np.float64), p


def _errors(axes: Axes, found: Any, method: str, of: str, j: int, style: dict[str, Any]) -> None:
    """Draw the errors that stand out of what they may be off by."""
    errors = (found.mean_error(method) if of == "mean" else found.variance_error(method))[:, -1, j]
    off, order = found.unknown(method, of)[:, -1, j], found.order(method, of)[-1, j]
    label = method if np.isnan(order) else f"{method}: $V^{{{-order:.2f}}}$"
    seen = errors > off
    if seen.any():
        axes.errorbar(np.array(found.volumes)[seen], errors[seen], off[seen], label=label, markersize=4, **style)


def _distances(axes: Axes, volumes: FloatArray, ends: FloatArray, method: str, style: dict[str, Any]) -> None:
    seen = np.isfinite(ends[:, 1]) & (ends[:, 1] > 0.0)
    if seen.any():
        value = ends[seen, 1]
        low = np.minimum(value - ends[seen, 0], 0.99 * value)
        axes.errorbar(volumes[seen], value, (low, ends[seen, 2] - value), label=method, markersize=4, **style)


def _finish(panels: list[Axes], found: Any, name: str) -> None:
    titles = (f"error of the mean of {name}/V", f"error of the variance of {name}/V", f"1-norm distance, law of {name}")
    for axes, title in zip(panels, titles, strict=True):
        axes.set(xlabel="volume V", xscale="log", yscale="log")
        axes.set_title(title, loc="left")
        axes.set_xticks(found.volumes, [f"{v:g}" for v in found.volumes])
        axes.xaxis.minorticks_off()
        axes.set_xlim(found.volumes[0] / EDGE, found.volumes[-1] * EDGE)
        low, high = axes.get_ylim()
        missing = max(1.0, DECADE * low / high)
        axes.set_ylim(low / missing**0.5, high * missing**0.5)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
        else:
            axes.set_yticks([])
            axes.text(0.5, 0.5, "nothing stands out of\nwhat is known", ha="center", transform=axes.transAxes)
