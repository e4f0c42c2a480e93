"""The distributions of one model at several times, in the order in which they were asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, overload

import numpy as np

from fsp.arrays import FloatArray
from fsp.checks import LARGEST_WHOLE, shown
from fsp.distribution import doors
from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import ErrorLedger
from fsp.distribution.series import Numbers, Series
from fsp.distribution.text import index_text, is_same_time, round_up, spread, table, when
from fsp.errors import ArgumentError
from fsp.model.fingerprint import why_different


class Solution(Series[Distribution]):
    """Distributions of one model at increasing times; a point of a stationary sweep has one, without a time.

    A sequence: ``solution[-1]``, ``len(solution)``, ``for dist in solution``; a slice is a `Solution`.

    Parameters
    ----------
    distributions
        One for each time, times increasing, all of the same model.
    tol
        The tolerance that was asked for.
    solver
        Which solver was used, and why.
    model_text
        Description of the model, kept in files.
    options
        How the solution was asked for.
    statistics
        Work and sizes: ``n_matvec``, ``n_states``, ``growths``, ``seconds``, ...
    asked
        Times that were asked for, where the computation was stopped before the last of them; the last distribution
        is then the one to go on from, at a time that need not have been asked for.

    Raises
    ------
    ArgumentError
        If there is no distribution, times do not increase, or models differ.

    Examples
    --------
    >>> model = fsp.Model(species={"X": 9}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
    >>> solution = fsp.transient(model, [1.0, 2.0])
    >>> solution.times, f"{solution.at(2.0).mean()['X']:.4f}"  # 9 exp(-2)
    (array([1., 2.]), '1.2180')
    """

    def __init__(
        self,
        distributions: Sequence[Distribution],
        *,
        tol: float,
        solver: str,
        model_text: str = "",
        options: Mapping[str, str | float | int] | None = None,
        statistics: Mapping[str, float] | None = None,
        asked: Sequence[float] = (),
    ) -> None:
        self._distributions = tuple(distributions)
        _check(self._distributions)
        self.tol = float(tol)
        self.solver = solver
        self.model_text = model_text
        self.options = dict(options or {})
        self.statistics = dict(statistics or {})
        last = self._distributions[-1].t
        self.pending = tuple(float(t) for t in asked if last is not None and t > last)
        reached = [distribution.t for distribution in self if distribution.t is not None]
        self.asked = tuple(float(t) for t in (asked if self.pending else reached))

    def __len__(self) -> int:
        return len(self._distributions)

    @overload
    def __getitem__(self, index: int) -> Distribution: ...
    @overload
    def __getitem__(self, index: slice) -> Solution: ...
    def __getitem__(self, index: int | slice) -> Distribution | Solution:
        if not isinstance(index, slice):
            return self._distributions[index]
        return self._of(self._distributions[index])

    def going_on(self, later: Sequence[float]) -> Solution:
        """Return the same, asked for later times as well, which are pending."""
        return self._of(self._distributions, asked=(*self.asked, *later))

    def _of(self, distributions: Sequence[Distribution], asked: Sequence[float] = ()) -> Solution:
        """Return a solution of some of the distributions."""
        return Solution(
            distributions,
            asked=asked,
            tol=self.tol,
            solver=self.solver,
            model_text=self.model_text,
            options=self.options,
            statistics=self.statistics,
        )

    @property
    def _first(self) -> Distribution:
        return self._distributions[0]

    @property
    def times(self) -> FloatArray:
        """The (n_times,) times; NaN of a stationary distribution."""
        return np.array([distribution.t for distribution in self], dtype=float)

    @property
    def errors(self) -> list[ErrorLedger]:
        """The error at each time."""
        return [distribution.error for distribution in self]

    @property
    def error(self) -> ErrorLedger:
        """The largest error of all times; an estimate where one of them is an estimate."""
        return max(self.errors, key=lambda error: (not error.certified, error.total))

    @property
    def n_matvec(self) -> int:
        """Number of products of the generator with a vector."""
        return int(self.statistics.get("n_matvec", 0))

    @property
    def method(self) -> str:
        """Name of the last solver, and whether it was asked for or chosen; `solver` has its numbers and the reason."""
        name = self.solver.partition("(")[0].strip().lower()
        ways = {"(asked for)": " (as asked)", "(auto: ": " (chosen)"}
        return name + next((way for words, way in ways.items() if words in self.solver), "")

    def at(self, t: float) -> Distribution:
        """Return the distribution at a time that was asked for.

        Parameters
        ----------
        t
            One of `times`; there is no interpolation, which would have an error of its own.

        Returns
        -------
        Distribution
            The one at this time.

        Raises
        ------
        ArgumentError
            If there is none at this time.
        """
        times = self.times
        if isinstance(t, int) and abs(t) > LARGEST_WHOLE:
            raise ArgumentError(f"`t` must be one of the times that were asked for, but is {shown(t)}.")
        nearest = int(np.argmin(np.abs(times - t)))
        if not is_same_time(float(times[nearest]), t):
            raise ArgumentError(
                f"`t` must be one of the times that were asked for, but is {t:.12g}: the nearest is "
                f"{times[nearest]:.12g}. Add it to `times` and solve again."
            )
        return self[nearest]

    def selected(self, times: Sequence[float]) -> Solution:
        """Return the solution at some of its times; see `at`.

        Parameters
        ----------
        times
            Some of `times`, increasing.

        Returns
        -------
        Solution
            The distributions there.

        Raises
        ------
        ArgumentError
            If there is none at one of the times, or they do not increase.
        """
        return self._of([self.at(t) for t in times])

    def joined(self, later: Solution) -> Solution:
        """Return this solution and its continuation as one.

        Parameters
        ----------
        later
            What ``fsp.transient(model, times, start=self)`` gave: of the same model, from the last time of this one on.

        Returns
        -------
        Solution
            All times of both, with the tolerance of the later one; numbers of products and seconds are added.

        Raises
        ------
        ArgumentError
            If models differ, as where a parameter was changed in between, or `later` does not begin at the end.
        """
        if (self.species, self.model_hash) != (later.species, later.model_hash):
            raise ArgumentError(
                f"`later` must be of the same model, but is of another one, or of other parameters."
                f"{why_different(self.model_hash, later.model_hash)}"
            )
        end, begin = float(self.times[-1]), float(later.times[0])
        if begin < end:
            raise ArgumentError(f"`later` must begin where the other ends, t = {end:.12g}, but has t = {begin:.12g}.")
        kept = [distribution for distribution in self if distribution.t in self.asked and distribution.t != begin]
        asked = {t for t in self.asked if t <= end} | set(later.asked)
        options = {**later.options, "start": self.options.get("start")}  # it begins where the first one does
        return Solution(
            [*kept, *later],
            tol=later.tol,
            solver=later.solver,
            model_text=later.model_text or self.model_text,
            options={name: said for name, said in options.items() if said is not None},
            statistics=together(self.statistics, later.statistics),
            asked=sorted(asked),
        )

    def plot(self, *species: str, **options: Any) -> Any:
        """Draw courses over time, marginals, and the joint distribution at the last time.

        Parameters
        ----------
        species
            The names that are drawn; the first six where none is given.
        **options
            ``kind``, in place of ``"overview"``: ``"courses"``, means and quantiles over time; ``"heat"``, the
            distribution of one species, time against count; ``"marginals"`` of one species at some times; ``"joint"``
            of two and ``"corner"`` of several at the last time.  ``log=True`` for logarithmic scales.  ``ax``, axes of
            matplotlib to draw into: courses, or another kind of one panel.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, which a notebook shows and ``figure.savefig("file.png")`` writes; or `ax`, where it was given.

        Raises
        ------
        ArgumentError
            If a species or a kind is unknown.
        """
        usual = "overview" if options.get("ax") is None else "courses"
        return doors.draw(self, species, {"kind": usual, **options})

    def table(self, width: int | None = None) -> str:
        """Write a row for each time: states, mean ± std of each species, error.

        Parameters
        ----------
        width
            Number of characters that fit; where rows are longer, the species are written below each other.

        Returns
        -------
        str
            The lines.
        """
        lines = table(*columns(self))
        if width is None or len(lines[0]) <= width:
            return "\n".join(lines)
        return "\n".join(_block(distribution) for distribution in self)

    def remarks(self) -> list[str]:
        """Return the notes of all times, remarks on means that mislead or have no bound, and the times to come."""
        notes = dict.fromkeys(note for distribution in self for note in distribution.notes)
        last = when(self[-1].t, self.time_unit)
        left = [f"stopped at {last}, {len(self.pending)} times to come"] if self.pending else []
        return [*notes, *(f"{remark} ({last})" for remark in self[-1]._remarks()), *left]

    def __str__(self) -> str:
        lines = [self.table(), f"solver: {self.method}", *(f"note: {note}" for note in self.remarks())]
        return "\n".join(lines)

    def __repr__(self) -> str:
        left = f", {len(self.pending)} to come" if self.pending else ""
        return (
            f"<Solution of {self.model_name or 'model'}: {', '.join(self.species)} at {len(self)} times "
            f"up to {when(self[-1].t, self.time_unit)}{left}, {self.error.summary}>"
        )

    def _of_each(self, numbers: Numbers) -> dict[str, FloatArray]:
        rows = [numbers(distribution) for distribution in self]
        return {name: np.array([row[name] for row in rows]) for name in self.species}


def heads(species: Sequence[str]) -> list[str]:
    """Return the names of the columns that a distribution has in a table."""
    return ["states", *species, "error"]


def cells(distribution: Distribution) -> list[str]:
    """Return the row of a distribution in a table, a cell for each of its `heads`; species as mean ± std."""
    means, stds, error = distribution.mean(), distribution.std(), distribution.error
    spreads = [spread(means[name], stds[name]) for name in distribution.species]
    return [f"{len(distribution):,}", *spreads, f"{error.sign} {round_up(error.total)}"]


def columns(solution: Solution) -> tuple[list[str], list[list[str]]]:
    """Return the header and the rows of the table of a solution."""
    header = [f"t [{solution.time_unit}]" if solution.time_unit else "t", *heads(solution.species)]
    return header, [[index_text(distribution.t), *cells(distribution)] for distribution in solution]


def _block(distribution: Distribution) -> str:
    means, stds, error = distribution.mean(), distribution.std(), distribution.error
    width = max(map(len, distribution.species))
    rows = [f"  {name:<{width}}  {spread(means[name], stds[name])}" for name in distribution.species]
    head = f"{when(distribution.t, distribution.time_unit)}: {len(distribution):,} states, {error.summary}"
    return "\n".join([head, *rows])


def _check(distributions: Sequence[Distribution]) -> None:
    if not distributions:
        raise ArgumentError("`distributions` must be at least one, but there is none.")
    times = [distribution.t for distribution in distributions if len(distributions) > 1 or distribution.t is not None]
    for earlier, later in zip([None, *times][: len(times)], times, strict=True):
        if later is None or (earlier is not None and not earlier < later):
            raise ArgumentError(f"Times of a solution must increase, but are {times}.")
    first = distributions[0]
    for other in distributions:
        if (other.species, other.model_hash) != (first.species, first.model_hash):
            raise ArgumentError("`distributions` must belong to one model, but they differ.")


def together(first: Mapping[str, float], later: Mapping[str, float]) -> dict[str, float]:
    """Add what two computations took; of their largest spaces, take the larger."""
    both = {**first, **later}
    for name in first.keys() & later.keys():
        pair = first[name], later[name]
        both[name] = max(pair) if name.startswith("largest") else sum(pair)
    return both
