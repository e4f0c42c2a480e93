"""Axes and figures of all pictures: made without pyplot, in one style for columns of journals."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fsp.distribution import ErrorLedger

# For columns of journals: 9 points, thin lines, nothing that a printer loses.
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "legend.frameon": True,
    "legend.framealpha": 0.75,  # what lies below shows through
    "legend.edgecolor": "none",
    "legend.handlelength": 2.8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": True,
    "axes.formatter.limits": (-4, 5),  # 0.005 as it is: an exponent costs a formula parser
    "lines.linewidth": 1.5,
    "hatch.linewidth": 0.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def styled() -> AbstractContextManager[None]:
    """Return a context in which figures have the style of all pictures."""
    from matplotlib import rc_context

    return rc_context(_STYLE)


def new_figure(width: float, height: float) -> Figure:
    """Return a new figure of so many inches, which a notebook shows."""
    from fsp.output.picture import Picture

    return Picture(figsize=(width, height), dpi=150, layout="constrained")


def new_axes(width: float, height: float) -> Axes:
    """Return the axes of a new figure of so many inches."""
    return new_figure(width, height).add_subplot()


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes are in."""
    figure: Any = axes.figure
    return figure  # type: ignore[no-any-return]


def label_copies(axis: Any, species: str) -> None:
    """Label an axis of copy numbers, at whole numbers."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=7, integer=True, steps=[1, 2, 5, 10]))
    axis.set_label_text(f"{species} (copies)")


def few_ticks(axis: Axes, low: float, high: float) -> None:
    """Label a logarithmic axis from `low` to `high`, less than a factor of 100, at three round numbers."""
    from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter, NullLocator

    if high >= 100.0 * low:
        axis.xaxis.set_minor_formatter(NullFormatter())
        return
    places = [x for x in MaxNLocator(3, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= x <= high]
    axis.xaxis.set_major_locator(FixedLocator(places))
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:.4g}")
    axis.xaxis.set_minor_locator(NullLocator())


def caption(axes: Axes, error: ErrorLedger) -> None:
    """Write the error of the probabilities above axes, behind the errors of what was drawn into them before."""
    before = axes.get_title(loc="right")
    words = f"1-norm {error.summary}"
    if before.startswith("1-norm ") and before != words:
        words = f"{before}, {error.summary.removeprefix('error ')}"
    axes.set_title(words, loc="right", color="0.35", fontsize=8)
