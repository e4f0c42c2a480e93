"""Pictures of the walk from few molecules to many: laws, and errors against the volume."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import analysis
from fsp.checks import check_choice
from fsp.errors import ArgumentError
from fsp.output.axes import figure_of, new_axes, new_figure, styled
from fsp.output.panels import COLOURS, LINES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fsp.arrays import FloatArray
    from fsp.distribution import Distribution

COLUMNS = 3  # of volumes above, and of panels of errors below
EDGE = 1.2  # volumes between the first or last and the frame, as a factor
DECADE = 10.0  # ends of an axis of errors are apart by this factor at least, so that one of its ticks has a number
BEYOND_AXIS = 1e-5  # of the probability, beyond either end of an axis
# that methods are told apart without colours, as by `LINES`:
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
PANEL_KINDS = ("laws", "means", "variances", "distances")  # of panels


def draw(
    comparison: Any,
    species: str | None = None,
    *,
    kind: str = "overview",
    volume: float | None = None,
    ax: Axes | None = None,
) -> Any:
    """Draw what `Approximations.plot` asks for; ``"overview"`` has three volumes above, and the other kinds below."""
    name = comparison.species[0] if species is None else species
    check_choice("species", name, comparison.species)
    check_choice("kind", kind, ("overview", *PANEL_KINDS))
    if kind == "overview" and ax is not None:
        raise ArgumentError(
            f"`kind` must be one of {', '.join(PANEL_KINDS)} for `ax`, but is 'overview', of six panels."
        )
    if volume is not None and (kind != "laws" or volume not in comparison.volumes):
        some = ", ".join(f"{v:g}" for v in comparison.volumes)
        raise ArgumentError(f"`volume` must be one of {some}, for kind='laws', but is {volume!r} for kind={kind!r}.")
    j = comparison.species.index(name)
    with styled():
        if kind == "overview":
            return _overview(comparison, j)
        axes = ax if ax is not None else new_axes(4.8, 3.2)
        if kind == "laws":
            _laws(axes, comparison, 0 if volume is None else comparison.volumes.index(volume), j)
            axes.legend()
        else:
            _against_volumes(axes, comparison, kind, j)
    return figure_of(axes) if ax is None else ax


def _overview(comparison: Any, j: int) -> Figure:
    """Draw all panels of a species."""
    shown = sorted({0, (len(comparison.volumes) - 1) // 2, len(comparison.volumes) - 1})
    figure = new_figure(3.4 * COLUMNS, 6.0)
    grid = figure.add_gridspec(2, COLUMNS)
    for column, v in enumerate(shown):
        _laws(figure.add_subplot(grid[0, column]), comparison, v, j)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(comparison) + 1)
    for column, kind in enumerate(PANEL_KINDS[1:]):
        _against_volumes(figure.add_subplot(grid[1, column]), comparison, kind, j)
    when = "stationary" if comparison.times is None else f"t = {comparison.times[-1]:g}"
    sign = "≤" if comparison.certified else "≈"
    error = f"1-norm error {sign} {comparison.error.max():.1e}"
    figure.suptitle(f"{comparison.model_name}, {when}: master equation ({error})")
    return figure


def _against_volumes(axes: Axes, comparison: Any, kind: str, j: int) -> None:
    """Draw errors or distances of all methods against the volume."""
    for i, (method, approximated) in enumerate(comparison.methods.items()):
        style = {"color": colour(i), "linestyle": LINES[i % len(LINES)], "marker": MARKERS[i % len(MARKERS)]}
        if kind == "distances":
            _distances(axes, np.array(comparison.volumes), approximated.l1[:, -1, j], method, style)
        elif kind == "means" or method != "rate-equations":
            _errors(axes, comparison, method, kind.removesuffix("s"), j, style)
    _finish(axes, comparison, kind, comparison.species[j])


def colour(i: int) -> str:
    """Return the colour of a method."""
    return COLOURS[i % len(COLOURS)]


def _laws(axes: Axes, comparison: Any, v: int, j: int) -> None:
    exact = comparison.laws[v][-1].marginal(comparison.species[j])
    others = [(i, m, approximated.laws.get((v, j))) for i, (m, approximated) in enumerate(comparison.methods.items())]
    drawn = [(i, method, law) for i, method, law in others if law is not None]
    low, high = analysis.middle(exact.states[:, 0], exact.probabilities, BEYOND_AXIS)
    axes.fill_between(*_curve(exact, low, high), step="mid", color="0.8", label="master equation")
    for i, method, law in drawn:
        axes.plot(
            *_curve(law, low, high), color=colour(i), linestyle=LINES[i % len(LINES)], linewidth=1.2, label=method
        )
    axes.set_title(f"V = {comparison.volumes[v]:g}", loc="left")
    axes.set_xlabel(f"{comparison.species[j]} (molecules)")
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


def _errors(axes: Axes, comparison: Any, method: str, of: str, j: int, style: dict[str, Any]) -> None:
    """Draw the errors that stand out of what they may be off by."""
    errors = (comparison.mean_error(method) if of == "mean" else comparison.variance_error(method))[:, -1, j]
    off, order = comparison.unknown(method, of)[:, -1, j], comparison.order(method, of)[-1, j]
    label = method if np.isnan(order) else f"{method}: $V^{{{-order:.2f}}}$"
    seen = errors > off
    if seen.any():
        axes.errorbar(np.array(comparison.volumes)[seen], errors[seen], off[seen], label=label, markersize=4, **style)


def _distances(axes: Axes, volumes: FloatArray, ends: FloatArray, method: str, style: dict[str, Any]) -> None:
    seen = np.isfinite(ends[:, 1]) & (ends[:, 1] > 0.0)
    if seen.any():
        value = ends[seen, 1]
        low = np.minimum(value - ends[seen, 0], 0.99 * value)
        axes.errorbar(volumes[seen], value, (low, ends[seen, 2] - value), label=method, markersize=4, **style)


def _finish(axes: Axes, comparison: Any, kind: str, name: str) -> None:
    """Name a panel, and make its axes logarithmic."""
    titles = {"means": f"error of the mean of {name}/V", "variances": f"error of the variance of {name}/V"}
    axes.set(xlabel="volume V", xscale="log", yscale="log")
    axes.set_title(titles.get(kind, f"1-norm distance, law of {name}"), loc="left")
    axes.set_xticks(comparison.volumes, [f"{v:g}" for v in comparison.volumes])
    axes.set_xticks([], minor=True)
    axes.set_xlim(min(comparison.volumes) / EDGE, max(comparison.volumes) * EDGE)
    low, high = axes.get_ylim()
    missing = max(1.0, DECADE * low / high)
    axes.set_ylim(low / missing**0.5, high * missing**0.5)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)
    else:
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing stands out of\nwhat is known", ha="center", transform=axes.transAxes)
