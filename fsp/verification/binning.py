"""Merge states to cells of enough expected runs, by splits in two along one species.

The root is all states.  The cell with the most probability is split at the median of the species that varies most in
it, until there are enough cells or a half would have too few expected runs.  Given the runs that reach a split, those
that go left are binomial: `statistics.fisher` combines the splits.  Cells are given by thresholds, so that runs in
states that the reference does not store have their place too.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fsp.verification import p_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fsp.arrays import FloatArray, IntArray
    from fsp.verification.slack import Slack

LEAST_RUNS = 5.0  # expected runs of a cell


@dataclass(frozen=True, slots=True)
class Split:
    """A cell that is split: runs with ``x[axis] <= threshold`` go left."""

    parent: int  # the split above, or -1
    is_left: bool  # on which side of the parent
    axis: int
    threshold: int


@dataclass(frozen=True, slots=True)
class Cells:
    """Cells by splits, each after its parent."""

    splits: tuple[Split, ...]

    def masses(self, states: IntArray, weights: FloatArray) -> FloatArray:
        """Return (n_splits, 2): the weight of the states that go left and right at each split.

        `states`: (n, d) copy numbers. `weights`: (n,) probabilities, or numbers of runs.
        """
        masses = np.zeros((len(self.splits), 2))
        sides: list[tuple[IntArray, IntArray]] = []
        for number, split in enumerate(self.splits):
            held = sides[split.parent][0 if split.is_left else 1] if split.parent >= 0 else np.arange(len(states))
            left = states[held, split.axis] <= split.threshold
            sides.append((held[left], held[~left]))
            masses[number] = weights[held[left]].sum(), weights[held[~left]].sum()
        return masses

    def p_values(self, expected: FloatArray, slack: Slack, seen: FloatArray) -> FloatArray:
        """Return the (n_splits,) p-value of each split, valid given those of the splits before it.

        `expected`: (n_splits, 2) probabilities of the reference. `seen`: (n_splits, 2) numbers of runs.
        """
        low, high = slack.interval(expected)  # (n_splits, 2) each
        with np.errstate(invalid="ignore", divide="ignore"):
            least = np.nan_to_num(low[:, 0] / (low[:, 0] + high[:, 1]), nan=0.0)
            highest = np.nan_to_num(high[:, 0] / (high[:, 0] + low[:, 1]), nan=1.0)
        return p_values.binomial(seen[:, 0], seen.sum(axis=1), least, highest)

    def describe(self, number: int, names: Sequence[str]) -> str:
        """Write the left half of a split as a condition, such as ``X <= 12 where Y > 3``."""
        split = self.splits[number]
        head = f"{names[split.axis]} <= {split.threshold}"
        bounds: dict[tuple[int, bool], int] = {}
        while split.parent >= 0:
            below, split = split.is_left, self.splits[split.parent]
            bounds.setdefault((split.axis, below), split.threshold)
        parts = [f"{names[axis]} {'<=' if below else '>'} {at}" for (axis, below), at in reversed(bounds.items())]
        return f"{head} where {' and '.join(parts)}" if parts else head


def grow(states: IntArray, probabilities: FloatArray, n: int, cells: int) -> Cells:
    """Return the splits for a law and a number of runs.

    `states`: (m, d) copy numbers. `probabilities`: (m,) their probabilities.
    """
    held = np.flatnonzero(probabilities > 0)
    scale = np.sqrt(_variances(states[held], probabilities[held]))  # (d,)
    waiting = [(-float(probabilities.sum()), 0, held, -1, True)]
    splits: list[Split] = []
    ticket = 1
    while waiting and len(splits) < cells - 1:
        _, _, held, parent, is_left = heapq.heappop(waiting)
        cuts = _cut(states[held], probabilities[held], scale, LEAST_RUNS / n)
        if cuts is None:
            continue
        axis, threshold = cuts
        splits.append(Split(parent, is_left, axis, threshold))
        left = states[held, axis] <= threshold
        for part, side in ((held[left], True), (held[~left], False)):
            heapq.heappush(waiting, (-float(probabilities[part].sum()), ticket, part, len(splits) - 1, side))
            ticket += 1
    return Cells(tuple(splits))


def _variances(states: IntArray, weights: FloatArray) -> FloatArray:
    total = weights.sum()
    means = weights @ states / total
    return np.asarray(weights @ np.square(states - means) / total)


def _cut(states: IntArray, weights: FloatArray, scale: FloatArray, least: float) -> tuple[int, int] | None:
    """Return axis and threshold that halve a cell, None where a half would be too improbable."""
    if len(states) < 2:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.nan_to_num(_variances(states, weights) / np.square(scale))  # (d,)
    for axis in np.argsort(-share, kind="stable"):
        grid, places = np.unique(states[:, axis], return_inverse=True)
        if len(grid) < 2:
            continue
        below = np.cumsum(np.bincount(places.reshape(-1), weights=weights))  # (len(grid),)
        smaller = np.minimum(below, below[-1] - below)[:-1]
        best = int(np.argmax(smaller))
        if smaller[best] >= least:
            return int(axis), int(grid[best])
    return None
