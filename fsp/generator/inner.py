"""What own states read of other ranks, and which own runs read none: those are computed while values are under way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fsp.space.runs import KeyRuns, precede

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.generator.kernels import Plan


@dataclass(frozen=True, slots=True)
class Inner:
    """A range of runs that read own states alone."""

    first: int  # the range
    end: int
    others: tuple[tuple[int, int], ...] = ()  # the ranges of the other own runs
    head: int = 0  # of the own states, those others read only states before `head` and from `tail` on
    tail: int = 0


def every_run(n_runs: int) -> Inner:
    """Return all runs of a plan whose states are all own."""
    return Inner(0, n_runs)


def inner_runs(plan: Plan, first: int, end: int) -> Inner:
    """Return the longest range of runs of the own states, first..end of a plan, that read no others.

    A run may read others where its keys, moved back by a change, leave the range of the own keys.
    """
    low, high = np.searchsorted(plan.starts, (first, end)).tolist()
    if low == high:
        return Inner(low, low)
    rank_runs = KeyRuns(plan.keys[low:high], plan.starts[low : high + 1] - first)
    keys, last = rank_runs.keys, rank_runs.last_keys()
    beyond = last[-1].copy()
    beyond[-1] += 1
    reads_others = np.zeros(high - low, dtype=np.bool_)
    for shift in plan.shifts:
        reads_others |= precede(keys - shift, keys[0]) | ~precede(last - shift, beyond)
    bounds = np.concatenate([[-1], np.flatnonzero(reads_others), [high - low]])
    k = int(np.argmax(np.diff(bounds)))
    begin, stop = int(bounds[k]) + 1, int(bounds[k + 1])
    steps = [0 * keys[0], *plan.shifts]
    head = max(rank_runs.below(last[begin - 1] - shift) + 1 for shift in steps) if begin else 0
    tail = min(rank_runs.below(keys[stop] - shift) for shift in steps) if stop < high - low else end - first
    others = tuple(pair for pair in ((low, low + begin), (low + stop, high)) if pair[0] < pair[1])
    return Inner(low + begin, low + stop, others, min(head, end - first), max(tail, min(head, end - first)))


class Ghosts(Protocol):
    """The states of other ranks that an operator of own states reads."""

    first: int  # how many of them come before the own states in the order of the plan
    keeps_sinks: bool  # whether this rank keeps what the sinks hold; in the vectors of the others it is zero

    def begin(self, v: FloatArray) -> None:
        """Start to bring them, and to give away own ones, with which `v` begins, (n,) or (size,)."""

    def finish(self, v: FloatArray, head: int, tail: int) -> FloatArray:
        """Return the values of all states of the plan: of the own ones those before `head` and from `tail` on."""

    def added(self, value: Any) -> Any:
        """Return the sum over all ranks, of a number or of an array entry by entry."""
