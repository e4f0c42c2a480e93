"""Answers as HTML for notebooks: tables where an answer has rows, and else what is printed of it."""

from __future__ import annotations

from functools import singledispatch

from fsp import markup
from fsp.distribution.distribution import Distribution
from fsp.distribution.information import FisherInformation
from fsp.distribution.passage import Passage
from fsp.distribution.relaxation import Relaxation
from fsp.distribution.sensitivity import Sensitivities, Sensitivity
from fsp.distribution.solution import Solution, columns
from fsp.distribution.sweep import Sweep
from fsp.distribution.text import counted, round_up, spread, when

_MOST_ROWS = 40  # of a table: half from either end; chosen


@singledispatch
def html(answer: object) -> str:
    """Return an answer as HTML: what is printed, where nothing else is said of its kind."""
    return markup.lines(str(answer))


@html.register
def _(distribution: Distribution) -> str:
    means, stds, skews = distribution.mean(), distribution.std(), distribution.skewness()
    levels = [0.05, 0.5, 0.95]
    rows = [
        [
            name,
            spread(means[name], stds[name]),
            *map(str, distribution.quantile(name, levels).tolist()),
            f"{skews[name]:.3g}",
        ]
        for name in distribution.species
    ]
    name, at = distribution.model_name or "distribution", when(distribution.t, distribution.time_unit)
    head = f"{name}, {at}: {len(distribution):,} states, {distribution.error.summary}"
    parts = [markup.table(["", "mean ± std", "5 %", "median", "95 %", "skewness"], rows)]
    return markup.block(
        head, *parts, markup.text(str(distribution.error)), *_notes([*distribution.notes, *distribution._remarks()])
    )


@html.register
def _(solution: Solution) -> str:
    header, rows = columns(solution)
    head = f"{solution.model_name or 'model'}: {counted(len(solution), 'time')}, {solution.error.summary}"
    work = f"solver: {solution.method}, {solution.n_matvec:,} products"
    return markup.block(head, markup.table(header, _some(rows)), markup.text(work), *_notes(solution.remarks()))


@html.register
def _(sweep: Sweep) -> str:
    header, rows = sweep._columns()
    last = sweep[sweep.solved[0]][-1].t
    head = f"{sweep.model_name or 'model'}: {counted(len(sweep), 'point')}, {when(last, sweep.time_unit)}"
    failed = [f"failed: {sweep.label(i)}: {reason}" for i, reason in sorted(sweep.failures.items())]
    return markup.block(f"{head}, {sweep.error.summary}", markup.table(header, _some(rows)), *_notes(failed))


@html.register
def _(relaxation: Relaxation) -> str:
    about = ["" if sure else "≈ " for sure in relaxation.settled]
    rows = [
        [str(k + 1), relaxation.shown(k), f"{about[k]}{time:.6g}", f"{residual:.1e}"]
        for k, (time, residual) in enumerate(zip(relaxation.times, relaxation.residuals, strict=True))
    ]
    kind = "spectral gap" if relaxation.quasi_stationary is None else "decay rate"
    head = f"relaxation: {relaxation.n_states:,} states, {kind} {about[0]}{relaxation.gap:.4g}"
    table = markup.table(["mode", "eigenvalue", "relaxation time", "residual"], rows)
    return markup.block(head, table, *_notes(relaxation.notes))


@html.register
def _(sensitivity: Sensitivity) -> str:
    by = "log " if sensitivity.log else ""
    means = [sensitivity.mean(name) for name in sensitivity.species]
    rows = [
        [f"∂/∂{by}{name}", *(str(mean[name]) for mean in means), f"{error.sign} {round_up(error.total)}"]
        for name, error in zip(sensitivity.parameters, sensitivity.errors, strict=True)
    ]
    head = f"sensitivity, {when(sensitivity.t, sensitivity.distribution.time_unit)}: {len(sensitivity.states):,} states"
    header = ["", *(f"∂⟨{name}⟩" for name in sensitivity.species), "error"]
    return markup.block(head, markup.table(header, rows), *_notes([sensitivity.reason] if sensitivity.reason else []))


@html.register
def _(several: Sensitivities) -> str:
    return "".join(html(answer) for answer in several)


@html.register
def _(fim: FisherInformation) -> str:
    names = [f"log {name}" if fim.log else name for name in fim.parameters]
    low, high = fim.lower, fim.upper
    cells = [fim._cells(k, low[k], high[k]) for k in range(len(names))]
    if fim.certified:
        values = fim.matrix.tolist()
        cells = [[f"{x:.6g}, in {cell}" for x, cell in zip(*of, strict=True)] for of in zip(values, cells, strict=True)]
    rows = [[name, *row] for name, row in zip(names, cells, strict=True)]
    told = ", ".join(f"{value}{' (hidden by its error)' if not value.lower else ''}" for value in fim.eigenvalues())
    return markup.block("Fisher information", markup.table(["", *names], rows), markup.text(f"eigenvalues {told}"))


@html.register
def _(passage: Passage) -> str:
    head, *others = str(passage).splitlines()
    if passage.law is None:
        return markup.block(head, *map(markup.text, others))
    unit = f" [{passage.time_unit}]" if passage.time_unit else ""
    named = dict(zip(passage.targets, passage.first, strict=True)) if len(passage.targets) > 1 else {}
    rows = [
        [f"{t:.8g}", str(interval), *(str(list(curve)[k]) for curve in named.values())]
        for k, (t, interval) in enumerate(zip(passage.times.tolist(), passage.cdf, strict=True))
    ]
    words = [line for line in others if not line.startswith("  by t = ")]
    table = markup.table([f"t{unit}", "passed", *named], _some(rows))
    return markup.block(head, *map(markup.text, words), table)


def _some(rows: list[list[str]]) -> list[list[str]]:
    """Return rows of a table, without those in the middle where there are too many."""
    if len(rows) <= _MOST_ROWS:
        return rows
    left = f"… {len(rows) - _MOST_ROWS:,} more"
    return [*rows[: _MOST_ROWS // 2], [left, *[""] * (len(rows[0]) - 1)], *rows[-(_MOST_ROWS // 2) :]]


def _notes(notes: list[str] | tuple[str, ...]) -> list[str]:
    return [markup.text(f"note: {note}") for note in notes]
