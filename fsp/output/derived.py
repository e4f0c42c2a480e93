"""Draw derivatives by parameters: of means over time, and of how a distribution at one time moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.distribution.text import round_up, when
from fsp.errors import ArgumentError
from fsp.output import panels
from fsp.output.axes import figure_of, label_copies, new_figure, styled
from fsp.output.panels import COLOURS, LINES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from fsp.distribution.ledger import ErrorLedger
    from fsp.distribution.sensitivity import Sensitivities, Sensitivity

SEEN = 1e-3  # of the largest derivative: counts beyond the last one above it are not shown; chosen


def derivatives_of_means(sensitivities: Sensitivities, *species: str, ax: Axes | None = None) -> Any:
    """Draw the derivative of the mean of each species by each parameter over time, in the band of its bounds.

    Parameters
    ----------
    sensitivities
        What to draw, at two times at least, by up to six parameters.
    species
        The names; the first six where none is given, and one alone where `ax` is given.
    ax
        Where to draw a single species; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If a species is unknown, or there are too many parameters.
    """
    with styled():
        for axes, name in (chosen := _Panels(sensitivities[-1], species, ax)):
            for k, parameter in enumerate(sensitivities.parameters):
                bounds = [sensitivity.mean(name)[parameter] for sensitivity in sensitivities]
                value, lower, upper = np.array([(b.value, b.lower, b.upper) for b in bounds]).T  # (n_times,) each
                finite = np.isfinite(lower) & np.isfinite(upper)
                axes.fill_between(
                    sensitivities.times, lower, upper, where=finite, color=COLOURS[k], alpha=0.3, linewidth=0
                )
                axes.plot(
                    sensitivities.times,
                    value,
                    color=COLOURS[k],
                    linestyle=LINES[k],
                    label=_by(sensitivities[-1], parameter),
                )
            unit = sensitivities[-1].distribution.time_unit
            axes.set_xlabel(f"time ({unit})" if unit else "time")
            axes.set_ylabel(f"derivative of the mean of {name}")
    return chosen.finished([error for sensitivity in sensitivities for error in sensitivity.errors])


def derivatives_at(sensitivity: Sensitivity, *species: str, ax: Axes | None = None) -> Any:
    """Draw the derivative of each species' distribution by each parameter, over its counts.

    Parameters
    ----------
    sensitivity
        What to draw, by up to six parameters.
    species
        The names; the first six where none is given, and one alone where `ax` is given.
    ax
        Where to draw a single species; a new figure if None.

    Returns
    -------
    matplotlib.figure.Figure or matplotlib.axes.Axes
        The picture, or `ax`.

    Raises
    ------
    ArgumentError
        If a species is unknown, or there are too many parameters.
    """
    with styled():
        for axes, name in (chosen := _Panels(sensitivity, species, ax)):
            counts = sensitivity.states[:, sensitivity.species.index(name)]
            moved = np.array([np.bincount(counts, slope) for slope in sensitivity.derivatives])  # (q, n_counts)
            for k, parameter in enumerate(sensitivity.parameters):
                style = {"color": COLOURS[k], "linestyle": LINES[k], "label": _by(sensitivity, parameter)}
                axes.plot(np.arange(moved.shape[1]), moved[k], **style)
            seen = np.flatnonzero((np.abs(moved) > SEEN * np.abs(moved).max()).any(axis=0))
            if len(seen):
                axes.set_xlim(seen[0] - 0.5, seen[-1] + 0.5)
            label_copies(axes.xaxis, name)
            axes.set_ylabel("derivative of the probability")
            if name == chosen.names[0]:
                axes.set_title(when(sensitivity.t, sensitivity.distribution.time_unit), loc="left")
    return chosen.finished(sensitivity.errors)


def _by(sensitivity: Sensitivity, parameter: str) -> str:
    return f"by {'log ' if sensitivity.log else ''}{parameter}"


class _Panels:
    """A panel for each species, below one another; or the axes that are given."""

    def __init__(self, sensitivity: Sensitivity, species: Sequence[str], ax: Axes | None) -> None:
        if len(sensitivity.parameters) > len(COLOURS):
            raise ArgumentError(
                f"`parameters` must be at most {len(COLOURS)} to plot, but are {len(sensitivity.parameters)}."
            )
        self.names = panels.chosen(sensitivity.species, species)
        if ax is not None and len(self.names) != 1:
            raise ArgumentError(f"`species` must be one name for `ax`, but are {', '.join(self.names)}.")
        n = len(self.names)
        self._given = ax
        figure = None if ax is not None else new_figure(4.8, 2.6 * n + 0.4)
        self._axes: list[Any] = [ax] if figure is None else [figure.add_subplot(n, 1, i + 1) for i in range(n)]

    def __iter__(self) -> Any:
        for axes, name in zip(self._axes, self.names, strict=True):
            axes.axhline(0.0, color="0.8", linewidth=0.8)
            yield axes, name

    def finished(self, errors: Sequence[ErrorLedger]) -> Any:
        """Name curves and their largest error; return the picture."""
        first = self._axes[0]
        first.legend()
        sign = "≤" if all(error.certified for error in errors) else "≈"
        words = f"1-norm error of derivatives {sign} {round_up(max(error.total for error in errors))}"
        first.set_title(words, loc="right", color="0.35", fontsize=8)
        return figure_of(first) if self._given is None else self._given
