"""A page of HTML that shows an answer by itself: times behind a slider, marginals, joints, numbers with their errors.

Everything is in the one file: no server, no network.  `page.html` holds what draws; here is what it draws: for each
time the marginals of all species and the joints of pairs, in cells of several copies where there would be too many, and
by how much the probability of any cell may lie above and below what is stored.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, half_sums, missing_from
from fsp.distribution.solution import Solution
from fsp.distribution.sweep import Sweep
from fsp.errors import ArgumentError
from fsp.output.axis_ranges import BEYOND_AXIS, limits
from fsp.output.records import to_json
from fsp.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.distribution.distribution import Distribution
    from fsp.output.summaries import Answer

TEMPLATE = Path(__file__).with_name("page.html")
_MOST_BARS = 300  # of a marginal: more are narrower than a point of a phone
_MOST_CELLS = 1_500_000  # of all joints, 8 MB of the file; chosen
_LARGEST_SIDE = 120  # of a joint, in cells: as many as a phone shows
_LEAST_SIDE = 8  # fewer cells show nothing; chosen
_MOST_JOINT_SPECIES = 6  # of whose pairs joints are drawn; chosen
_BAND_LEVELS = (0.05, 0.5, 0.95)  # of the band over time, and its line


@dataclass(frozen=True, slots=True)
class _Axis:
    """Cells along a species: `n` of `width` copies each, from `low` on."""

    low: int
    width: int
    n: int

    @classmethod
    def over(cls, ends: tuple[int, int], limit: int) -> _Axis:
        """Return at most so many cells that cover a range of counts, both ends included."""
        width = -(-(ends[1] - ends[0] + 1) // limit)
        return cls(ends[0], width, -(-(ends[1] - ends[0] + 1) // width))

    def cells(self, counts: IntArray) -> IntArray:
        """Return the cell of each count; -1 and n, and beyond, outside."""
        return (counts - self.low) // self.width

    def record(self) -> dict[str, int]:
        return {"low": self.low, "width": self.width, "n": self.n}


def page(answer: Answer) -> str:
    """Return the text of the page; of a sweep, which must not be too large for one file, points are chosen from."""
    runs = _runs(answer)
    species = answer.species
    first = runs[0][1][0]
    n_times = sum(len(times) for _, times in runs)
    pairs = list(combinations(species[:_MOST_JOINT_SPECIES], 2))
    side = _side(n_times * len(pairs))
    record = {
        "model": first.model_name or "model",
        "unit": first.time_unit,
        "species": list(species),
        "pairs": [list(pair) for pair in pairs],
        "levels": list(_BAND_LEVELS),
        "leftOut": BEYOND_AXIS,
        "parameters": list(answer.names) if isinstance(answer, Sweep) else [],
        "runs": [_run_record(label, times, species, pairs, side) for label, times in runs],
    }
    text = TEMPLATE.read_text(encoding="utf-8")
    data = to_json(record, indent=None).replace("<", "\\u003c")  # no name ends the script that holds them
    for place, content in {
        "{{version}}": __version__,
        "{{title}}": escape(str(record["model"])),
        "{{data}}": data,
    }.items():
        text = text.replace(place, content)
    return text


def _runs(answer: Answer) -> list[tuple[str, Sequence[Distribution]]]:
    if isinstance(answer, Sweep):
        return [(answer.label(i), list(answer[i])) for i in answer.solved]
    return [("", list(answer) if isinstance(answer, Solution) else [answer])]


def _side(n_maps: int) -> int:
    """Return how many cells a joint may have along each side, so that all fit into the file."""
    if not n_maps:
        return _LARGEST_SIDE
    side = min(_LARGEST_SIDE, int((_MOST_CELLS / n_maps) ** 0.5))
    if side < _LEAST_SIDE:
        raise ArgumentError(
            f"A page must show at most {_MOST_CELLS // _LEAST_SIDE**2:,} joint distributions, but would have "
            f"{n_maps:,}. Choose some times with `--times`, or draw a sweep with `fsp plot`."
        )
    return side


def _run_record(
    label: str, times: Sequence[Distribution], species: Sequence[str], pairs: Sequence[tuple[str, str]], side: int
) -> dict[str, Any]:
    """Collect what is drawn of one solution."""
    alone = {name: [distribution.marginal(name) for distribution in times] for name in species}
    ends = {name: limits(alone[name]) for name in species}
    quantiles = [
        {name: distribution.quantile(name, _BAND_LEVELS).tolist() for name in species} for distribution in times
    ]
    moments = [(distribution.mean(), distribution.std()) for distribution in times]
    offs = [_offs(distribution) for distribution in times]
    return {
        "label": label,
        "times": [distribution.t for distribution in times],
        "states": [len(distribution) for distribution in times],
        "error": [str(distribution.error) for distribution in times],
        "certified": [distribution.error.certified for distribution in times],
        "down": [down for down, _ in offs],
        "up": [up for _, up in offs],
        "mean": {name: [mean[name] for mean, _ in moments] for name in species},
        "std": {name: [std[name] for _, std in moments] for name in species},
        "quantiles": {name: [row[name] for row in quantiles] for name in species},
        "marginals": {name: _marginals(alone[name], _Axis.over(ends[name], _MOST_BARS)) for name in species},
        "joints": [_joints(times, pair, [_Axis.over(ends[name], side) for name in pair]) for pair in pairs],
    }


def _offs(distribution: Distribution) -> tuple[float, float]:
    """Return by how much the probability of any event may lie below and above what is stored of it."""
    above, below = half_sums(distribution.error.total, *missing_from(distribution.probabilities, SUM_ROUNDING))
    return below + SUM_ROUNDING, above + SUM_ROUNDING  # the sum of a cell's probabilities is rounded


def _marginals(alone: Sequence[Distribution], axis: _Axis) -> dict[str, Any]:
    """Collect the marginals of a species, (n_times, n) doubles."""
    table = np.stack([_binned(marginal, [axis]) for marginal in alone])
    return {"axis": axis.record(), "data": _packed(table.astype("<f8"))}


def _joints(times: Sequence[Distribution], pair: tuple[str, str], axes: list[_Axis]) -> dict[str, Any]:
    """Collect the joints of two species, (n_times, n, m) floats."""
    table = np.stack([_binned(distribution.marginal(*pair), axes) for distribution in times])
    return {"axes": [axis.record() for axis in axes], "data": _packed(table.astype("<f4"))}


def _binned(distribution: Distribution, axes: Sequence[_Axis]) -> FloatArray:
    """Sum the probabilities of cells; what lies outside of the axes is left out."""
    cells = np.stack([axis.cells(distribution.states[:, k]) for k, axis in enumerate(axes)])  # (d, n)
    shape = tuple(axis.n for axis in axes)
    inside = ((cells >= 0) & (cells < np.array(shape)[:, None])).all(axis=0)  # (n,)
    places = np.ravel_multi_index(tuple(cells[:, inside]), shape)
    sums = np.bincount(places, distribution.probabilities[inside], int(np.prod(shape)))
    return np.asarray(sums.reshape(shape), dtype=np.float64)


def _packed(table: FloatArray) -> str:
    return base64.b64encode(table.tobytes()).decode()
