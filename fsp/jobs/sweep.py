"""Transients at many parameter values: neighbours share their states, processors share the points."""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from math import inf
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from fsp import defaults
from fsp.bars import shown
from fsp.checks import as_numbers, check_choice, check_flag, check_whole
from fsp.crew import START_SECONDS, Chain, Crew, Outcome
from fsp.distribution import Distribution, Solution, Sweep
from fsp.distribution.continuation import Request, require_same
from fsp.errors import ArgumentError, FSPError, Interrupted, ToleranceWarning
from fsp.generator.threads import n_processors
from fsp.jobs.workers import Along, SweepTask, chains, one_by_one
from fsp.model.arguments import check_call, check_tolerance
from fsp.model.times import checked_times
from fsp.output.files import try_writing
from fsp.projection.progress import SweepProgress
from fsp.projection.start import worth_keeping
from fsp.quantities import MOST_NUMBERS

if TYPE_CHECKING:
    from fsp.arrays import FloatArray
    from fsp.model import Model
    from fsp.projection.progress import SweepCallback

ERRORS = ("raise", "keep")
_LIMITS = ("max_states", "max_memory", "max_work")


def sweep(
    model: Model,
    values: Mapping[str, Sequence[float] | FloatArray | float],
    times: Sequence[float] | FloatArray | float | None = None,
    tol: float = defaults.TOL,
    *,
    pairs: bool = False,
    processes: int | None = None,
    errors: str = "raise",
    out: str | Path | None = None,
    resume: Sweep | None = None,
    progress: SweepCallback | bool | None = None,
    **options: Any,
) -> Sweep:
    """Solve the chemical master equation at many values of parameters and initial counts.

    Parameters
    ----------
    model
        The reaction network.
    values
        Values of each parameter, or initial counts of each species, by name; all combinations are solved.
    times, tol
        As for `transient`, at every point; without times, the stationary distributions are found.
    pairs
        Take the first values of all names together, then the second ones, and so on.
    processes
        Number of worker processes; by default one for each processor, where the work is worth their start.
    errors
        ``"raise"`` the first error of a point, or ``"keep"`` them in ``failures`` and go on.
    out
        Write the sweep to this HDF5 file, at the end or when it is stopped.
    resume
        A sweep of the same points that was stopped, or had the first of the times alone: what it has is not computed
        again.
    progress
        True for a bar; or a function that is called with a `SweepProgress` now and then, and may raise
        KeyboardInterrupt.
    **options
        Further options of `transient`: ``start``, where all points begin (``"stationary"``: each in its own stationary
        distribution), ``solver``, ``max_states``, ``max_memory`` (of each process), ``max_work`` (of each point); or of
        `stationary`: ``method``, ``lyapunov``, ``max_states``, ``max_memory``.

    Returns
    -------
    Sweep
        A solution for each point.

    Raises
    ------
    ArgumentError
        If a name is neither a parameter nor a species, or an argument is not as above.
    OutputError
        If `out` cannot be written; that is tried before anything is solved.
    FSPError
        The first error of a point, which is named, with ``errors="raise"``; or of the last one if all fail.
    Interrupted
        On Ctrl-C, or where `progress` raised a KeyboardInterrupt; its ``solution`` is the sweep of what is done.

    Warns
    -----
    ToleranceWarning
        If the bound on the error of a point exceeds `tol`.

    Examples
    --------
    >>> arrivals, decay = fsp.Reaction("0 -> X", rate="k"), fsp.Reaction("X -> 0", mass_action=1.0)
    >>> model = fsp.Model(species={"X": 0}, parameters={"k": 1.0}, reactions=[arrivals, decay])
    >>> swept = fsp.sweep(model, {"k": [5.0, 10.0]}, times=[2.0], processes=1)
    >>> print(np.round(swept.mean()["X"][:, -1], 4))  # k (1 - exp(-2))
    [4.3233 8.6466]
    """
    check_call(model, progress=progress, **{name: options[name] for name in _LIMITS if name in options})
    _check_options(options, errors, processes, stationary=times is None)
    names, points, shape = _points(model, values, pairs)
    _check_start(options.get("start"), names, model)
    check_tolerance(tol)
    if not isinstance(resume, Sweep | None):
        raise ArgumentError(f"`resume` must be a sweep, as `fsp.read` returns, but is {resume!r}.")
    if out is not None:
        try_writing(out, "out")
    task = SweepTask(model, names, np.zeros(0) if times is None else checked_times(times), tol, options)
    with shown(progress) as report:
        solved = _solved(_Board(task, points, shape, resume, errors, report), processes, out)
    if out is not None:
        solved.save(out)
    _warn_if_above(solved, tol)
    return solved


def _solved(board: _Board, processes: int | None, out: str | Path | None) -> Sweep:
    """Solve all points; on Ctrl-C what is done is saved, and raised."""
    try:
        for outcome in _outcomes(board, processes):
            board.enter(outcome)
    except KeyboardInterrupt as stop:
        partial = board.sweep() if board.any else None
        if out is not None and partial is not None:
            partial.save(out)
        raise Interrupted(f"stopped after {board.done} of {board.total} points", partial) from stop
    return board.sweep()


def _check_options(options: Mapping[str, Any], errors: str, processes: int | None, *, stationary: bool) -> None:
    known = ("method", "lyapunov", *_LIMITS[:2]) if stationary else ("solver", "start", *_LIMITS)
    unknown = sorted(options.keys() - {*known})
    if unknown:
        without = " without `times`" if stationary else ""
        raise ArgumentError(
            f"Further options of `sweep`{without} must be of {', '.join(known)}, but there is '{unknown[0]}'."
        )
    check_choice("errors", errors, ERRORS)
    if processes is not None:
        check_whole("processes", processes, 1)


def _check_start(start: object, names: Sequence[str], model: Model) -> None:
    """Refuse a start that is none, and initial counts beside one."""
    if start is None:
        return
    if not isinstance(start, Solution | Distribution) and start != "stationary":
        raise ArgumentError(f"`start` must be a Solution, a Distribution or 'stationary', but is {start!r}.")
    counts = [name for name in names if name in model.species]
    if counts:
        raise ArgumentError(f"`values` must be of parameters where there is a `start`, but are of '{counts[0]}'.")


# ---- points


def _points(
    model: Model, values: Mapping[str, Sequence[float] | FloatArray | float], pairs: bool
) -> tuple[tuple[str, ...], FloatArray, tuple[int, ...]]:
    """Return names, points (n, k), and the number of values of each name, or of all together."""
    if not isinstance(values, Mapping):
        raise ArgumentError(f"`values` must be a mapping, such as {{'k': [1, 2, 4]}}, but is {values!r}.")
    known = [*model.parameters, *model.species]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise ArgumentError(f"`values` must be of {', '.join(known)}, but are of '{unknown[0]}'.")
    if not values:
        raise ArgumentError("`values` must hold a name with its values, but is empty.")
    return tuple(values), *combined(values, pairs)


def combined(
    values: Mapping[str, Sequence[float] | FloatArray | float], pairs: bool
) -> tuple[FloatArray, tuple[int, ...]]:
    """Combine the values of several names.

    Returns (n, n_names) values, the last name fastest, and the number of values of each name, or of all together.
    """
    check_flag("pairs", pairs)
    lists = [_numbers(name, given) for name, given in values.items()]
    lengths = tuple(len(list_of_values) for list_of_values in lists)
    n_points = lengths[0] if pairs else math.prod(lengths)
    if n_points > MOST_NUMBERS:
        raise ArgumentError(f"`values` must give at most {MOST_NUMBERS:,} points, but give {n_points:,}.")
    if not pairs:
        for name, numbers in zip(values, lists, strict=True):
            _refuse_repeated(f"Values of '{name}'", numbers)
        return np.array(list(product(*lists))), lengths
    if len(set(lengths)) > 1:
        counts = ", ".join(f"{n} of '{name}'" for name, n in zip(values, lengths, strict=True))
        raise ArgumentError(f"`values` must be equally many to be paired, but there are {counts}.")
    _refuse_repeated(f"Pairs of '{', '.join(values)}'", [*zip(*lists, strict=True)])
    return np.array(lists).T, lengths[:1]


def _refuse_repeated(what: str, points: Sequence[Any]) -> None:
    """Refuse points that are there twice."""
    seen: set[Any] = set()
    for point in points:
        if point in seen:
            raise ArgumentError(f"{what} must differ, but {point} is there several times.")
        seen.add(point)


def _numbers(name: str, given: Sequence[float] | FloatArray | float) -> list[float]:
    numbers = np.atleast_1d(as_numbers(f"Values of '{name}'", given))
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ArgumentError(f"Values of '{name}' must be a list of finite numbers, but are {given!r}.")
    return list(map(float, numbers))


def _snake(shape: Sequence[int]) -> list[int]:
    """Return the indices of a grid in an order in which one coordinate changes by one from each to the next."""
    order = [0]
    for n in shape:
        rows = [list(range(n)) if i % 2 == 0 else list(range(n))[::-1] for i in range(len(order))]
        order = [index * n + j for index, row in zip(order, rows, strict=True) for j in row]
    return order


# ---- the work


class _Board:
    """What is done of a sweep."""

    def __init__(
        self,
        task: SweepTask,
        points: FloatArray,
        shape: Sequence[int],
        resume: Sweep | None,
        errors: str,
        progress: SweepCallback | None,
    ) -> None:
        self._task, self._points, self._shape = task, points, shape
        self._errors, self._progress = errors, progress
        self._solutions: list[Solution | None] = [None] * len(points)
        self._begun: dict[int, Solution] = {}  # what goes on to later times
        self._failures: dict[int, str] = {}
        self._last = ""
        if resume is not None:
            self._take_over(resume)

    @property
    def done(self) -> int:
        """Number of points that were tried."""
        return sum(solution is not None for solution in self._solutions) + len(self._failures)

    @property
    def total(self) -> int:
        """Number of all points."""
        return len(self._points)

    @property
    def any(self) -> bool:
        """Whether a point has a solution."""
        return any(solution is not None for solution in self._solutions)

    def left(self) -> tuple[list[Chain], SweepTask]:
        """Return the points to solve in chains, and the task with the states that these go on from."""
        todo, begun = [], {}
        for chain in chains(_snake(self._shape)):
            k = next((k for k, i in enumerate(chain) if not self._is_done(i)), len(chain))
            points = [(i, self._points[i].tolist()) for i in chain[k:] if not self._is_done(i)]
            before = self._solutions[chain[k - 1]] if k else None
            if points:
                todo.append(points)
            if points and before is not None:
                begun[tuple(points[0][1])] = worth_keeping(before)
        earlier = {tuple(self._points[i].tolist()): solution for i, solution in self._begun.items()}
        return todo, replace(self._task, begun=begun, earlier=earlier)

    def _is_done(self, i: int) -> bool:
        return self._solutions[i] is not None or i in self._failures

    def enter(self, outcome: Outcome) -> None:
        """Take note of a point that is done."""
        self._last = self._label(outcome.index)
        if outcome.error is not None:
            reason = str(outcome.error) or type(outcome.error).__name__
            only = not self.any and self.done == len(self._solutions) - 1
            if self._errors == "raise" or only:
                kind = type(outcome.error) if isinstance(outcome.error, FSPError) else FSPError
                raise kind(f"At {self._last}: {reason}") from outcome.error
            self._failures[outcome.index] = reason
        else:
            self._begun.pop(outcome.index, None)
        self._solutions[outcome.index] = outcome.value
        self.report()

    def report(self, progress: object = None) -> None:
        """Say how far it is; also while a point is solved, so that the caller can stop it."""
        if self._progress is None:
            return
        solved = [solution for solution in self._solutions if solution is not None]
        largest = max((len(solution[-1]) for solution in solved), default=0)
        error = max((solution.error.total for solution in solved), default=0.0)
        counts = self.done, len(self._solutions), len(self._failures)
        self._progress(SweepProgress(*counts, largest, error, self._last, self.sweep if self.any else None))

    def sweep(self) -> Sweep:
        """Return what is done."""
        known = [self._begun.get(i, solution) for i, solution in enumerate(self._solutions)]
        return Sweep(self._task.names, self._points, known, shape=self._shape, failures=self._failures)

    def _label(self, index: int) -> str:
        values = zip(self._task.names, self._points[index].tolist(), strict=True)
        return ", ".join(f"{name} = {value:.8g}" for name, value in values)

    def _take_over(self, earlier: Sweep) -> None:
        """Keep the solutions of a sweep that was stopped, or had fewer times, if it is this one."""
        same = earlier.names == self._task.names and np.array_equal(earlier.points, self._points)
        i = earlier.solved[0]
        begun = Request.by(earlier[i])
        model = self._task.at(self._points[i].tolist()).hash if same else begun.model
        asked = Request(model, tuple(self._task.times.tolist()), self._task.tol, self._task.begins)
        require_same(
            "sweep",
            [
                *([] if same else ["the points"]),
                *([] if asked.extends(begun) else asked.differences(begun)),
            ],
            more="" if asked.times[: len(begun.times)] == begun.times else "; after its times others may follow",
            why=asked.why(begun) if same else "",
        )
        for i, solution in [*((i, earlier[i]) for i in earlier.solved), *earlier.begun.items()]:
            later = asked.times[len(solution.asked) :]
            there = solution.going_on(later) if later else solution
            if there.complete:
                self._solutions[i] = there
            else:
                self._begun[i] = there


def _outcomes(board: _Board, processes: int | None) -> Iterator[Outcome]:
    """Solve the points: those that chains begin with here, and the others in workers where these are worth their start.

    Which chains there are, and what they start from, does not depend on the workers.
    """
    todo, task = board.left()
    if not todo:
        return
    started, seconds = perf_counter(), inf  # of the shortest point: others may have had kernels to compile
    for outcome in one_by_one(task, todo[:1], board.report):
        seconds = min(seconds, perf_counter() - started)
        yield outcome
        started = perf_counter()
    todo, task = board.left()
    workers = n_processors() if processes is None else processes
    gain = seconds * sum(map(len, todo)) * (1.0 - 1.0 / workers)
    crew = None
    if todo and workers > 1 and (processes is not None or gain >= START_SECONDS):
        crew = _crew(task, workers, processes)
    yield from one_by_one(task, todo, board.report) if crew is None else crew.solve(todo, board.report)


def _crew(task: SweepTask, workers: int, processes: int | None) -> Crew | None:
    """Return worker processes; None where the model does not go through pickle and they were not asked for."""
    try:
        return Crew(Along(task), workers)
    except (AttributeError, TypeError, pickle.PicklingError) as error:
        if processes is None:
            return None
        raise ArgumentError(
            f"A model must go through pickle to be solved in {processes} processes, but this one does not "
            f"({error}); use formulas or functions of a module as rates, or processes=1."
        ) from error


def _warn_if_above(sweep: Sweep, tol: float) -> None:
    above = [i for i in sweep.solved if sweep[i].error.total > tol]
    if above:
        worst = max(above, key=lambda i: sweep[i].error.total)
        warnings.warn(
            f"The error bound {sweep[worst].error.total:.1e} at {sweep.label(worst)} exceeds tol = {tol:.1e}, and so "
            f"do those of {len(above) - 1} other points; ask for a larger `tol`.",
            ToleranceWarning,
            stacklevel=3,
        )
