"""Derivatives of a distribution by parameters, with a bound of the error of each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fsp.arithmetic import SUM_ROUNDING, half_sums, sum_down, sum_up
from fsp.checks import check_choice
from fsp.distribution import doors, formulas
from fsp.distribution.display import Displayed, Saved
from fsp.distribution.distribution import Distribution
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.text import round_up, table, when
from fsp.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from fsp.arrays import FloatArray, IntArray

UNSTORED = "nothing bounds what states that are not stored contribute"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Sensitivity(Displayed):
    """A distribution and its derivatives by parameters, at one time.

    Parameters
    ----------
    distribution
        The distribution, with its own error.
    parameters
        Names of the q parameters.
    derivatives
        (q, n) derivatives of the probability of each state.
    errors
        Bound, or estimate, of the 1-norm distance of each derivative to the exact one, over all states.
    mean_errors
        (q, d) bounds of how far the derivatives of means may be off; infinite where there is none.
    log
        Whether derivatives are by the logarithms of the parameters.
    reason
        Why errors are estimates; empty where they are bounds.

    Examples
    --------
    >>> s = fsp.sensitivity(model, [10.0], ["k"])  # doctest: +SKIP
    >>> s[-1].error("k").total, s[-1].mean("X")["k"]  # doctest: +SKIP
    """

    distribution: Distribution
    parameters: tuple[str, ...]
    derivatives: FloatArray
    errors: tuple[ErrorLedger, ...]
    mean_errors: FloatArray
    log: bool
    reason: str = ""

    @property
    def t(self) -> float:
        """The time."""
        return float(self.distribution.t or 0.0)

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species."""
        return self.distribution.species

    @property
    def states(self) -> IntArray:
        """(n, d) copy numbers."""
        return self.distribution.states

    @property
    def probabilities(self) -> FloatArray:
        """(n,) probabilities."""
        return self.distribution.probabilities

    def derivative(self, parameter: str) -> FloatArray:
        """Return the derivative of each probability.

        Parameters
        ----------
        parameter
            One of `parameters`.

        Returns
        -------
        ndarray
            (n,), by the parameter or its logarithm; of states that are not stored it is taken for zero.

        Raises
        ------
        ArgumentError
            If the name is another one.
        """
        derivative: FloatArray = self.derivatives[self._index(parameter)]
        return derivative

    def error(self, parameter: str) -> ErrorLedger:
        """Return the error of a derivative in the 1-norm, as `derivative` takes its parameter."""
        return self.errors[self._index(parameter)]

    def mean(self, species: str) -> dict[str, Interval]:
        """Bound the derivative of a mean by each parameter.

        Parameters
        ----------
        species
            A name.

        Returns
        -------
        dict
            An interval for each parameter; not certified where states that are not stored may contribute anything.

        Raises
        ------
        ArgumentError
            If the name is unknown.
        """
        check_choice("species", species, self.species)
        column = self.species.index(species)
        weighted = self.derivatives * self.states[:, column]  # (q, n)
        means = {}
        for k, name in enumerate(self.parameters):
            value, off = float(weighted[k].sum()), float(self.mean_errors[k, column])
            off += SUM_ROUNDING * float(np.abs(weighted[k]).sum())
            certified = self.errors[k].certified and math.isfinite(off)
            reason = "" if certified else self.reason or UNSTORED
            means[name] = Interval.around(value, off, certified, reason)
        return means

    def probability(self, event: str) -> dict[str, Interval]:
        """Bound the derivative of the probability of an event by each parameter.

        All derivatives add up to zero over all states, so that what h lacks to that is known: of s - h the positive
        part weighs at most (ε - Σ h)/2, and the negative one at most (ε + Σ h)/2.

        Parameters
        ----------
        event
            A condition such as ``"U > 40 && V < 10"``.

        Returns
        -------
        dict
            An interval for each parameter, certified where `error` is.

        Raises
        ------
        ArgumentError
            If the condition cannot be read, or is not a condition.
        """
        distribution = self.distribution
        mask = formulas.values_on(self.states, event, self.species, distribution.observables, distribution.t)
        if mask.dtype != np.bool_:
            raise ArgumentError(f"`event` must be a condition on counts, such as 'U > 40', but '{event}' is a number.")
        derivatives = {}
        for k, name in enumerate(self.parameters):
            derivative, error = self.derivatives[k], self.errors[k]
            slack = SUM_ROUNDING * float(np.abs(derivative).sum())
            gained, lost = half_sums(error.total, -math.fsum(derivative.tolist()), slack)
            value = float(derivative[mask].sum())
            reason = "" if error.certified else self.reason
            ends = sum_down(value, -lost, -slack), sum_up(value, gained, slack)
            derivatives[name] = Interval(*ends, value, error.certified, reason)
        return derivatives

    def plot(self, *species: str, ax: Axes | None = None) -> Any:
        """Draw the derivative of each species' distribution by each parameter.

        Parameters
        ----------
        species
            The names; the first six where none is given.
        ax
            Axes of matplotlib to draw a single species into.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, or `ax`.

        Raises
        ------
        ArgumentError
            If a species is unknown, or there are more than six parameters.
        """
        return doors.derivatives_at(self, species, ax)

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        means = {name: self.mean(name) for name in self.species}
        return {
            "t": self.t,
            "n_states": len(self.states),
            "errors": {
                name: {**error.terms, "total": error.total, "certified": error.certified}
                for name, error in zip(self.parameters, self.errors, strict=True)
            },
            "means": {
                name: {parameter: interval.record() for parameter, interval in intervals.items()}
                for name, intervals in means.items()
            },
        }

    def _index(self, parameter: str) -> int:
        if parameter not in self.parameters:
            known = ", ".join(self.parameters)
            raise ArgumentError(f"`parameter` must be one of {known}, but is '{parameter}'.")
        return self.parameters.index(parameter)

    def __str__(self) -> str:
        """Return the distribution, and a row for each parameter: its error and the derivatives of all means."""
        by = "log " if self.log else ""
        header = ["", "error", *(f"∂⟨{name}⟩" for name in self.species)]
        means = [self.mean(s) for s in self.species]
        rows = [
            [f"∂/∂{by}{name}", f"{error.sign} {round_up(error.total)}", *(str(mean[name]) for mean in means)]
            for name, error in zip(self.parameters, self.errors, strict=True)
        ]
        head = f"{when(self.t, self.distribution.time_unit)}: {len(self.states):,} states, {self.distribution.error}"
        notes = [f"  note: {self.reason}"] if self.reason else []
        return "\n".join([head, *(f"  {line}" for line in table(header, rows)), *notes])


class Sensitivities(Displayed, Saved, Sequence[Sensitivity]):
    """Sensitivities at several times, as `fsp.sensitivity` returns them: ``s[-1]`` is that of the last one.

    Parameters
    ----------
    values
        One for each time.
    statistics
        Work and sizes: ``products`` with blocks of p and its derivatives, ``growths``, ``largest_space``.
    """

    def __init__(self, values: Sequence[Sensitivity], statistics: Mapping[str, int]) -> None:
        self._values = tuple(values)
        self.statistics = dict(statistics)

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> Sensitivity: ...
    @overload
    def __getitem__(self, index: slice) -> Sensitivities: ...
    def __getitem__(self, index: int | slice) -> Sensitivity | Sensitivities:
        if isinstance(index, slice):
            return Sensitivities(self._values[index], self.statistics)
        return self._values[index]

    @property
    def times(self) -> FloatArray:
        """(n_times,) times."""
        return np.array([value.t for value in self])

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        return self._values[0].parameters

    @property
    def certified(self) -> bool:
        """Whether every error is a bound."""
        return all(error.certified for value in self for error in value.errors)

    def plot(self, *species: str, ax: Axes | None = None) -> Any:
        """Draw the derivatives of means over time, in bands of their bounds; at a single time those of distributions.

        Parameters
        ----------
        species
            The names; the first six where none is given.
        ax
            Axes of matplotlib to draw a single species into.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, or `ax`.

        Raises
        ------
        ArgumentError
            If a species is unknown, or there are more than six parameters.
        """
        return self[0].plot(*species, ax=ax) if len(self) == 1 else doors.derivatives_of_means(self, species, ax)

    def record(self) -> dict[str, Any]:
        """Return what JSON holds."""
        return {
            "log": self[-1].log,
            "parameters": list(self.parameters),
            "statistics": self.statistics,
            "times": [value.record() for value in self],
        }

    def __str__(self) -> str:
        return "\n".join(str(value) for value in self)
