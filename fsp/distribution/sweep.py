"""The solutions of one model at several parameter values, labelled by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fsp.arrays import FloatArray
from fsp.distribution import doors
from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import ErrorLedger
from fsp.distribution.series import Numbers, Series
from fsp.distribution.solution import Solution, cells, heads
from fsp.distribution.text import table, tables, when
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PENDING = "not computed yet"


class Sweep(Series[Solution]):
    """Solutions at many points, each a choice of parameters and initial counts: of a transient, or stationary ones.

    A sequence: ``sweep[0]``, ``len(sweep)``, ``for solution in sweep``, in the order in which the points were given,
    the last parameter fastest.

    Parameters
    ----------
    names
        Names of the parameters and species that were varied.
    points
        (n_points, n_names) values.
    solutions
        One for each point; None where there is none.  One that lacks times counts as pending.
    shape
        Number of values of each name where all were combined, and one number where they were taken in pairs.
    failures
        Why a point has no solution, by its index.

    Attributes
    ----------
    solved : tuple of int
        Indices of the points that have a solution.
    pending : tuple of int
        Indices of the points that were not computed yet, where the sweep was stopped.
    begun : dict of int to Solution
        Solutions of points that lack times, by their indices: where a sweep that went on to later times was
        stopped, or failed at them.

    Raises
    ------
    ArgumentError
        If lengths do not fit, or no point has a solution.
    """

    def __init__(
        self,
        names: Sequence[str],
        points: FloatArray,
        solutions: Sequence[Solution | None],
        *,
        shape: Sequence[int],
        failures: Mapping[int, str] | None = None,
    ) -> None:
        self.names = tuple(names)
        self.points = np.asarray(points, dtype=float)
        self.shape = tuple(int(n) for n in shape)
        self.failures = dict(failures or {})
        self._solutions = tuple(None if s is None or not s.complete else s for s in solutions)
        self.begun = {i: s for i, s in enumerate(solutions) if s is not None and not s.complete}
        self.solved = tuple(i for i, solution in enumerate(self._solutions) if solution is not None)
        self.pending = tuple(i for i in range(len(self)) if self._solutions[i] is None and i not in self.failures)
        if self.points.shape != (len(self._solutions), len(self.names)) or np.prod(self.shape) != len(self.points):
            raise ArgumentError(
                f"`points` must have a row for each of {len(self._solutions)} solutions and a column for each of "
                f"{len(self.names)} names, but has shape {self.points.shape} for {self.shape}."
            )
        if not self.solved:
            raise ArgumentError("A sweep must have a point with a solution, but has none.")

    # ---- points

    def __len__(self) -> int:
        return len(self._solutions)

    @overload
    def __getitem__(self, index: int) -> Solution: ...
    @overload
    def __getitem__(self, index: slice) -> list[Solution]: ...
    def __getitem__(self, index: int | slice) -> Solution | list[Solution]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        solution = self._solutions[index]
        if solution is None:
            place = range(len(self))[index]
            raise ArgumentError(
                f"A point must be solved to be looked at, but {self.label(place)} is not: "
                f"{self.failures.get(place, PENDING)}."
            )
        return solution

    @property
    def parameters(self) -> dict[str, FloatArray]:
        """The (n_points,) values of each name."""
        return {name: self.points[:, i] for i, name in enumerate(self.names)}

    def label(self, index: int) -> str:
        """Return a point as text, ``k = 2, g = 1``."""
        return ", ".join(f"{name} = {value:.8g}" for name, value in zip(self.names, self.points[index], strict=True))

    def at(self, mapping: Mapping[str, float] | None = None, /, **values: float) -> Solution:
        """Return the solution at a point.

        Parameters
        ----------
        mapping
            Values by name, for names that are no Python identifiers such as ``r.k``.
        **values
            Values by name; names that have one value in the whole sweep may be left out.

        Returns
        -------
        Solution
            The one there.

        Raises
        ------
        ArgumentError
            If a name is not one of the sweep's, no point has these values, several have, or it has no solution.
        """
        given = {**(mapping or {}), **values}
        unknown = [name for name in given if name not in self.names]
        if unknown:
            raise ArgumentError(f"A point must be given by {', '.join(self.names)}, but is by '{unknown[0]}'.")
        chosen = np.ones(len(self), dtype=np.bool_)
        for name, value in given.items():
            chosen &= np.isclose(self.parameters[name], value, rtol=1e-12, atol=0.0)
        if chosen.sum() != 1:
            wanted = ", ".join(f"{name} = {value:g}" for name, value in given.items())
            raise ArgumentError(
                f"A point must be one of {len(self)} of the sweep, but {chosen.sum()} have {wanted or 'no conditions'}."
            )
        return self[int(np.argmax(chosen))]

    # ---- what all have in common

    @property
    def _first(self) -> Distribution:
        return self[self.solved[0]][0]

    @property
    def times(self) -> FloatArray:
        """The (n_times,) times; NaN where it is of stationary distributions."""
        return self[self.solved[0]].times

    @property
    def tol(self) -> float:
        """The tolerance that was asked for at every point."""
        return self[self.solved[0]].tol

    @property
    def error(self) -> ErrorLedger:
        """The largest error of all points; an estimate where one of them is an estimate."""
        errors = [self[i].error for i in self.solved]
        return max(errors, key=lambda error: (not error.certified, error.total))

    @property
    def n_matvec(self) -> int:
        """Number of products of the generator with a vector, at all points together."""
        return sum(self[i].n_matvec for i in self.solved)

    def plot(self, *species: str, ax: Axes | None = None) -> Any:
        """Draw the means at the last time over one name that was varied, or as maps over two.

        Parameters
        ----------
        species
            The names that are drawn; the first six where none is given.
        ax
            Axes of matplotlib to draw a single species into.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, or `ax`.

        Raises
        ------
        ArgumentError
            If a species is unknown, or more than two names were varied, or some in pairs.
        """
        return doors.draw(self, species, {"ax": ax})

    # ---- text

    def table(self, width: int | None = None) -> str:
        """Write a row for each point: parameters, states, mean ± std of each species at the last time, error.

        Parameters
        ----------
        width
            Number of characters that fit; where rows are longer, there are several tables, one below the other.

        Returns
        -------
        str
            The lines.
        """
        header, rows = self._columns()
        if width is None:
            return "\n".join(table(header, rows))
        return "\n".join("\n".join(part) for part in tables(header, rows, width, fixed=len(self.names)))

    def _columns(self) -> tuple[list[str], list[list[str]]]:
        """Return the header and the rows of the table."""
        return [*self.names, *heads(self.species)], [self._row(i) for i in range(len(self))]

    def _row(self, i: int) -> list[str]:
        values = [f"{value:.8g}" for value in self.points[i]]
        solution = self._solutions[i]
        if solution is None:
            *others, _ = heads(self.species)
            return [*values, *("-" for _ in others), "failed" if i in self.failures else "to come"]
        return [*values, *cells(solution[-1])]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int | None = None) -> str:
        """Write the table for so many characters, the largest error, and the points that failed or are to come."""
        last = self[self.solved[0]][-1].t
        head = f"{when(last, self.time_unit)}, {len(self):,} points, {self.error.summary}"
        failed = [f"failed: {self.label(i)}: {reason}" for i, reason in sorted(self.failures.items())]
        left = [f"incomplete: {len(self.pending)} points to come"] if self.pending else []
        return "\n".join([self.table(width), head, *failed, *left])

    def __repr__(self) -> str:
        return (
            f"<Sweep of {self.model_name or 'model'} over {', '.join(self.names)}: {len(self)} points, "
            f"{self.error.summary}>"
        )

    def _of_each(self, numbers: Numbers) -> dict[str, FloatArray]:
        missing = dict.fromkeys(self.species, np.full(len(self.times), np.nan))
        rows = [missing if solution is None else solution._of_each(numbers) for solution in self._solutions]
        return {name: np.array([row[name] for row in rows]) for name in self.species}
