"""Solve the points of a sweep, in this process or in several.

Points are cut into chains of neighbours, which begin with points of a first chain, of long steps.  Along a chain each
point starts from the states that the one before it needed, which spares most of the growths.  A chain is solved by one
worker, from its beginning, so that the answer depends neither on how many workers there are nor on which is free first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fsp.crew import Chain, Outcome
from fsp.distribution import Solution
from fsp.doors import named_start, stationary
from fsp.errors import FSPError
from fsp.projection.start import begins, worth_keeping
from fsp.projection.transient import solve

if TYPE_CHECKING:
    from fsp.arrays import FloatArray, IntArray
    from fsp.model import Model

CHAINS = 8  # to be aimed at: enough for workers to end at about the same time, few enough to be begun by one process
SHORTEST_CHAIN, LONGEST_CHAIN = 4, 16  # points, so that spaces are handed on, and progress shows; chosen


@dataclass(frozen=True)
class SweepTask:
    """What all points of a sweep have in common."""

    model: Model
    names: tuple[str, ...]  # what is varied: parameters, and species for their initial counts
    times: FloatArray  # none for stationary distributions
    tol: float
    options: Mapping[str, Any]
    # states that are known to be needed, by the values of points that chains go on with, (n, n_species)
    begun: Mapping[tuple[float, ...], IntArray] = field(default_factory=dict)
    # solutions that go on to later times, by the values of their points
    earlier: Mapping[tuple[float, ...], Solution] = field(default_factory=dict)

    def at(self, values: Sequence[float]) -> Model:
        """Return the model at a point."""
        return self.model.with_values(dict(zip(self.names, values, strict=True)))

    def solve(self, values: Sequence[float], hint: IntArray | None, **more: Any) -> Solution:
        """Return the solution at a point; `hint` are states that a neighbour needed, None at the first of a chain."""
        if not len(self.times):
            answer = stationary(self.at(values), self.tol, **self.options, **more)
            return Solution([answer], tol=self.tol, solver=f"stationary ({self.options.get('method', 'auto')})")
        hint = self.begun.get(tuple(values)) if hint is None else hint
        options, model = dict(self.options), self.at(values)
        if isinstance(options.get("start"), str):
            limits = {name: options.get(name) for name in ("max_states", "max_memory")}
            options["start"] = named_start(model, options["start"], self.tol, **limits)
        earlier = self.earlier.get(tuple(values))
        if earlier is not None:
            rest = solve(model, earlier.pending, self.tol, hint=hint, **options | {"start": earlier}, **more)
            return earlier.joined(rest)
        return solve(model, self.times, self.tol, hint=hint, begins=self.begins, **options, **more)

    @cached_property
    def begins(self) -> str:
        """Where all points begin, in a word."""
        return begins(self.options.get("start"))


class Along:
    """Solves points of a chain, each from the states that the one before it needed."""

    def __init__(self, task: SweepTask) -> None:
        self._task = task
        self._hint: IntArray | None = None

    def __call__(self, values: Sequence[float], first: bool) -> Solution:
        """Return the solution at a point, which may be the `first` of its chain."""
        solution = self._task.solve(values, None if first else self._hint)
        self._hint = worth_keeping(solution)
        return solution


def chains(order: Sequence[int]) -> list[list[int]]:
    """Cut points into chains, each of which begins with a point of the first: how depends on nothing but their number.

    The first chain goes through the points in long steps, and the others from each of these to the next.
    """
    n = len(order)
    length = min(max(-(-n // CHAINS), SHORTEST_CHAIN), LONGEST_CHAIN, max(2, n // 2))
    return [list(order[::length]), *(list(order[i : i + length]) for i in range(0, n, length))]


def one_by_one(task: SweepTask, todo: Sequence[Chain], progress: Callable[[Any], None]) -> Iterator[Outcome]:
    """Solve the chains here; `progress` hears of every point while it is solved."""
    for chain in todo:
        hint = None
        for index, values in chain:
            try:
                solution = task.solve(values, hint, progress=progress)
            except (FSPError, MemoryError) as error:
                yield Outcome(index, None, error)
                continue
            hint = worth_keeping(solution)
            yield Outcome(index, solution)
