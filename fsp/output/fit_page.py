"""One page of HTML about a fit: estimates, data and model, residuals, profiles, correlations, starts."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.output.axes import few_ticks, styled
from fsp.output.files import write
from fsp.output.html import page_of, panels, svg, table_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fsp.distribution.fit import Fit, Panel

COLUMNS = 4  # pictures side by side
MOST_PANELS = 40  # that are drawn; a page of more is slow to open
DRAWN = 201  # points of a profile
DARK = 0.6  # correlation from which its colour is dark
BY = {"profile": "profile likelihood", "fisher": "Fisher information", "observed": "second derivatives"}
VISIBLE = 1e-4  # of the largest probability, below which the model is not drawn


def write_page(fit: Fit, path: str | Path) -> None:
    """Write the page of a fit, whole or not at all."""
    with styled():
        text = page_of(f"Fit of {', '.join(fit.names)}", [*_head(fit), *_pictures(fit), *_starts(fit)])
    write(path, text)


def _head(fit: Fit) -> list[str]:
    method = fit.method
    intervals = fit.intervals(method=method)
    bounds = zip(fit.estimates.low.tolist(), fit.estimates.high.tolist(), strict=True)
    rows = [
        [name, f"{estimate.value:.5g}", f"{estimate.lower:.5g}", f"{estimate.upper:.5g}", f"{low:g} … {high:g}"]
        for (name, estimate), (low, high) in zip(intervals.items(), bounds, strict=True)
    ]
    header = ["parameter", "estimate", f"{100.0 * fit.level:g} % from", "to", "bounds"]
    return [
        "<h1>Fit</h1>",
        f"<p>Log-likelihood of {fit.n_cells:,} cells: {escape(str(fit.likelihood))} nats; AIC {fit.aic:.2f}, BIC "
        f"{fit.bic:.2f}; {fit.agreeing} of {len(fit.starts)} starts end there.</p>",
        *(f"<p class=bad>{escape(note)}</p>" for note in fit.notes),
        table_of(header, rows),
        f"<p>Intervals are by the {BY[method]}.</p>",
    ]


def _pictures(fit: Fit) -> list[str]:
    parts = []
    if fit.panels:
        drawn = fit.panels[:MOST_PANELS]
        left = f", the first {MOST_PANELS} of {len(fit.panels)}" if len(fit.panels) > MOST_PANELS else ""
        parts += [f"<h2>Data and model{left}</h2>", svg(_grid([_compared] * len(drawn), drawn))]
        parts += ["<h2>Residuals</h2>", svg(_grid([_residuals] * len(drawn), drawn))]
        parts.append(
            "<p>Cells less those expected, in standard deviations of the number of cells with each count; band: two of "
            "them.</p>"
        )
    if fit.estimates.profiles:
        names = list(fit.estimates.profiles)
        parts += ["<h2>Profiles</h2>", svg(_grid([_profile] * len(names), [(fit, name) for name in names]))]
    if len(fit.names) > 1:
        parts += ["<h2>Correlation of the estimates of logarithms</h2>", svg(_correlation(fit))]
    return parts


def _grid(draw: list[Any], items: Any) -> Figure:
    columns = min(COLUMNS, len(items))
    rows = -(-len(items) // columns)
    figure, axes = panels(rows, columns, (2.5 * columns + 0.6, 2.1 * rows + 0.2))
    for axis, draw_item, item in zip(axes.ravel(), draw, items, strict=False):
        draw_item(axis, item)
    for axis in axes.ravel()[len(items) :]:
        axis.set_visible(False)
    return figure


def _title(panel: Panel) -> str:
    return f"{panel.label + ', ' if panel.label else ''}t = {panel.t:.6g}"


def _compared(axis: Any, panel: Panel) -> None:
    """Draw the cells with each count as bars, and the expected ones as a line."""
    n, p = float(panel.cells.sum()), panel.probabilities
    axis.bar(panel.values, panel.cells, width=1.0, color="0.75")
    shown = np.flatnonzero(p > VISIBLE * p.max())
    x = np.arange(shown[0], shown[-1] + 1)
    axis.plot(x, n * p[x], color="#c62828", lw=1.2)
    axis.set(title=_title(panel), xlabel=panel.observed, ylabel="cells")


def _residuals(axis: Any, panel: Panel) -> None:
    shown = max(np.flatnonzero(panel.probabilities > VISIBLE * panel.probabilities.max())[-1], panel.values.max()) + 1
    axis.axhspan(-2.0, 2.0, color="0.9", lw=0)
    axis.bar(np.arange(shown), panel.residuals[:shown], width=0.8, color="#0a3069")
    axis.set(title=_title(panel), xlabel=panel.observed)


def _profile(axis: Any, item: tuple[Fit, str]) -> None:
    fit, name = item
    values, heights = fit.estimates.profiles[name]
    u, r = np.log(values), np.sqrt(2.0 * (heights.max() - heights))
    r[: int(np.argmax(heights))] *= -1.0  # the signed root, in which intervals are sought, is all but straight
    fine = np.linspace(u[0], u[-1], DRAWN)
    axis.plot(np.exp(fine), -0.5 * np.interp(fine, u, r) ** 2, color="#0a3069", lw=1.2)
    axis.plot(values, heights - heights.max(), "o", color="#0a3069", ms=3)
    interval = fit.intervals()[name]
    for end in (interval.lower, interval.upper):
        axis.axvline(end, color="0.6", lw=0.8, ls="--")
    axis.set(xscale="log", xlabel=name, ylabel="log L - largest")
    few_ticks(axis, float(values[0]), float(values[-1]))


def _correlation(fit: Fit) -> Figure:
    q = len(fit.names)
    figure, axes = panels(1, 1, (1.2 + 0.6 * q, 0.9 + 0.5 * q))
    axis, table = axes[0, 0], fit.correlation
    image = axis.imshow(table, vmin=-1.0, vmax=1.0, cmap="RdBu_r")
    axis.set_xticks(range(q), fit.names, rotation=45)
    axis.set_yticks(range(q), fit.names)
    for i in range(q):
        for j in range(q):
            text = "" if math.isnan(table[i, j]) else f"{table[i, j]:.2f}"
            dark = abs(table[i, j]) > DARK
            axis.text(j, i, text, ha="center", va="center", fontsize=7, color="white" if dark else "black")
    figure.colorbar(image)
    return figure


def _starts(fit: Fit) -> list[str]:
    rows = [
        [
            "failed" if math.isnan(start.value) else f"{start.value:.4f}",
            *(f"{x:.4g}" for x in start.begin.tolist()),
            *(f"{x:.4g}" for x in start.end.tolist()),
            str(start.evaluations),
            start.note,
        ]
        for start in sorted(
            fit.starts, key=lambda start_here: math.inf if math.isnan(start_here.value) else -start_here.value
        )
    ]
    ends = [f"{name} {end}" for end in ("from", "to") for name in fit.names]
    header = ["log L and prior", *ends, "evaluations", ""]
    return ["<h2>Starts</h2>", table_of(header, rows), *_origin(fit)]


def _origin(fit: Fit) -> list[str]:
    return [] if fit.fitted is None else ["<h2>Model</h2>", f"<pre>{escape(str(fit.fitted))}</pre>"]
