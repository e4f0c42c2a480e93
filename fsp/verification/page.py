"""One page of HTML for a report: tables, and pictures as SVG inside it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.output.html import page_of, panels, svg, table_of
from fsp.verification.samples import Summary
from fsp.verification.slack import Slack
from fsp.verification.test import TEST_KINDS
from fsp.verification.verdict import Verdict, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution import Distribution
    from fsp.verification.samples import Histograms, Runs

_UNFOLDED = 10  # rejected tests before the rest is folded
SMALLEST_DRAWN = 1e-30  # p-value, of the picture
MOST_DRAWN_TIMES, MOST_DRAWN_SPECIES = 4, 6  # that are drawn
_COLOURS = {"pass": "#1a7f37", "fail": "#c62828", "undecided": "#9a6700"}


def page(report: Verdict) -> str:
    """Return the page."""
    name = escape(report.model_name or "model")
    who = escape(report.simulator or "samples")
    verdict = f'<span class="verdict" style="background:{_COLOURS[report.verdict]}">{report.verdict.upper()}</span>'
    sign = "≤" if report.certified else "≈"
    parts = [
        f"<h1>{verdict} {who}: {name}</h1>",
        f"<p>{report.n:,} runs, {len(report.times)} times, {len(report.tests):,} tests. An exact simulator fails with "
        f"probability ≤ {report.alpha:g}. The error of the reference is {sign} {report.error:.1e}.</p>",
        *([f"<p>The simulator was given {escape(report.given)}.</p>"] if report.given else []),
        *([f"<p>Not decided: {escape(report.undecided)}</p>"] if report.undecided else []),
        *_findings(report),
        "<h2>Tests</h2>",
        _kinds(report),
        _rejected(report),
        *_power(report),
        *_pictures(report),
        *(f"<p>{escape(note)}</p>" for note in report.notes),
        *_origin(report),
    ]
    plain = report.simulator or "samples", report.model_name or "model"
    return page_of(f"{report.verdict}: {plain[0]}, {plain[1]}", parts)


def _origin(report: Verdict) -> list[str]:
    rows = [[name, text] for name, text in report.origin.items()]
    return ["<h2>How it was made</h2>", table_of(["", ""], rows)] if rows else []


def _kinds(report: Verdict) -> str:
    rows, bad = [], []
    for kind, meaning in TEST_KINDS.items():
        tests = [test for test in report.tests if test.kind == kind]
        if tests:
            worst = min(tests, key=lambda test: test.p)
            rejected = sum(map(report.rejects, tests))
            rows.append([kind, meaning, f"{len(tests)}", f"{rejected}", number(worst.p), number(worst.adjusted)])
            bad.append(rejected > 0)
    return table_of(["test", "looks at", "number", "rejected", "smallest p", "adjusted"], rows, bad)


def _rejected(report: Verdict) -> str:
    rows = [[test.name, number(test.p), number(test.adjusted), test.where] for test in report.rejected]
    if not rows:
        return "<p>No test rejects.</p>"
    header = ["rejected", "p", "adjusted", "where"]
    more = f"<details><summary>{len(rows) - _UNFOLDED:,} more</summary>{table_of(header, rows[_UNFOLDED:])}</details>"
    return table_of(header, rows[:_UNFOLDED]) + (more if len(rows) > _UNFOLDED else "")


def _findings(report: Verdict) -> list[str]:
    if not report.findings:
        return []
    rows = [[f.text, "fits" if f.fits else "does not fit", f"{f.log_likelihood:+,.1f}"] for f in report.findings[:10]]
    table = table_of(["hypothesis", "", "log-likelihood"], rows, [f.fits for f in report.findings[:10]])
    return ["<h2>What may be wrong</h2>", table]


def _power(report: Verdict) -> list[str]:
    more = [f"<p>{escape(str(change))}</p>" for change in report.sought]
    if not report.detectable:
        return more
    rows = [[change.parameter, f"{change.value:.6g}", *change.changes, change.by] for change in report.detectable]
    head = f"<h2>Smallest errors that are found with probability {report.detectable[0].power:g}</h2>"
    return [head, table_of(["parameter", "value", "upwards", "downwards", "by"], rows), *more]


def _pictures(report: Verdict) -> list[str]:
    pictures = ["<h2>p-values</h2>", svg(_p_values(report))]
    if report.samples is not None and not isinstance(report.samples, Summary):
        pictures += ["<h2>Sampled less expected</h2>", svg(_marginals(report, report.samples))]
        pictures.append(
            "<p>Runs in a bin less those expected, in units of the standard deviation of that number; band: where 99 % "
            "of the numbers of runs of an exact simulator lie.</p>"
        )
    return pictures


def _p_values(report: Verdict) -> Figure:
    """Draw the adjusted p-value of each test over time, which is compared with the level."""
    figure, axes = panels(1, 1, (9.0, 3.4))
    axis = axes[0, 0]
    for kind in TEST_KINDS:
        tests = [test for test in report.tests if test.kind == kind]
        if tests:
            times = [report.times[-1] if test.time is None else test.time for test in tests]
            axis.semilogy(times, [max(test.adjusted, SMALLEST_DRAWN) for test in tests], ".", label=kind, alpha=0.7)
    axis.axhline(report.level or report.alpha, color="#c62828", lw=1, label="level")
    axis.set(xlabel="time", ylabel="adjusted p, as in the table")
    axis.legend(ncols=2, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def _marginals(report: Verdict, samples: Runs | Histograms) -> Figure:
    """Draw the differences of some species at some times, of those at which a count varies."""
    worst = {name: [t.p for t in report.tests if name in t.species] for name in report.species}
    species = sorted(report.species, key=lambda name: min(worst[name], default=1.0))[:MOST_DRAWN_SPECIES]
    varied = [k for k in range(len(report.times)) if any(_varies(report, k, name) for name in species)] or [0]
    numbers = np.array(varied)[np.unique(np.linspace(0, len(varied) - 1, MOST_DRAWN_TIMES).round().astype(int))]
    figure, axes = panels(len(species), len(numbers), (2.6 * len(numbers) + 0.6, 2.2 * len(species)))
    for row, name in enumerate(species):
        for column, k in enumerate(numbers):
            _one_marginal(axes[row, column], report.battery.reference[int(k)].marginal(name), *samples.of(int(k), name))
            if row == 0:
                axes[row, column].set_title(f"t = {report.times[k]:.6g}", fontsize="small")
            axes[row, column].set_xlabel(f"count of {name}", fontsize="small")
        axes[row, 0].set_ylabel("difference / spread", fontsize="small")
    return figure


def _varies(report: Verdict, k: int, species: str) -> bool:
    """Return whether more than one count of a species is expected at a time, as is not at the start."""
    marginal = report.battery.reference[k].marginal(species)
    return int((marginal.probabilities > 0.0).sum()) > 1


def _one_marginal(axis: Any, dist: Distribution, values: IntArray, runs: FloatArray) -> None:
    """Draw how the numbers of runs differ from those expected, in bins of equal width where there are many counts."""
    from scipy import stats

    n = float(runs.sum())
    x, p = dist.states[:, 0], dist.probabilities
    visible = p > 1e-4 * p.max()
    low, high = min(x[visible].min(), values.min()), max(x[visible].max(), values.max()) + 1
    edges = np.arange(low, high + (width := max(1, (high - low) // 50)), width)
    if len(edges) < 2:
        edges = np.array([low, low + 1])
    expected = np.histogram(x, edges, weights=p)[0]
    lower, upper = Slack.of(dist).interval(expected)
    spread = np.sqrt(np.maximum(n * expected * (1.0 - np.minimum(expected, 1.0)), 1.0))  # (bins,), of one run at least
    bottom, top = (np.asarray(stats.binom.ppf(level, n, ends)) for level, ends in ((0.005, lower), (0.995, upper)))
    band = [(ends - n * expected) / spread for ends in (bottom, top)]
    axis.fill_between(edges, *(np.append(ends, ends[-1:]) for ends in band), step="post", color="#9ec5fe", lw=0)
    gaps = (np.histogram(values, edges, weights=runs)[0] - n * expected) / spread
    axis.stairs(gaps, edges, color="#c62828", lw=1)
    axis.axhline(0.0, color="#0a3069", lw=0.8)
    axis.tick_params(labelsize="small")
