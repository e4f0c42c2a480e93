"""A probability distribution over copy numbers, together with its error.

The stored probabilities y >= 0 have a mass of at most one (what is missing left the stored states) and lie
within ``error.total`` of the exact distribution in the 1-norm.  `probability` turns that into a range that
holds.  Moments, quantiles, the mode and the entropy are those of y divided by its mass; the 1-norm error does
not bound them, since little probability far away can move a mean by much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from fsp import analysis
from fsp.arithmetic import SUM_ROUNDING, UNIT_ROUNDOFF
from fsp.arrays import FloatArray, IntArray
from fsp.checks import as_numbers
from fsp.distribution import bounds, doors
from fsp.distribution.checks import check, check_bounds, check_time, read_only
from fsp.distribution.display import Displayed
from fsp.distribution.intervals import Intervals
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.mean_notes import mean_notes
from fsp.distribution.text import spread, when
from fsp.errors import ArgumentError
from fsp.moments import MomentBounds, PendingBounds
from fsp.time_limit import TimeLimit

if TYPE_CHECKING:
    import pandas
    import xarray

    from fsp.model import Model


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Provenance:
    """The model that an answer belongs to, and what its solver remarks."""

    model_name: str = ""
    model_hash: str = ""
    time_unit: str = ""
    observables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def _of_model(self) -> dict[str, str]:
        """Return what records of all answers begin with."""
        return {"model_name": self.model_name, "model_hash": self.model_hash, "time_unit": self.time_unit}

    @staticmethod
    def of(model: Model) -> dict[str, Any]:
        """Return what an answer is told of its model."""
        return {"model_name": model.name, "model_hash": model.hash, "time_unit": model.time_unit}


@dataclass(frozen=True, eq=False, repr=False)
class Distribution(Displayed, Intervals, Provenance):
    """Probabilities of states at one time, or in the stationary regime.

    Parameters
    ----------
    states
        (n, d) copy numbers, distinct; sorted lexicographically here if they are not.
    probabilities
        (n,) non-negative probabilities.
    species
        (d,) names, in the order of the columns of `states`.
    t
        The time in `time_unit`; None for a stationary distribution.
    error
        Bound, or estimate, of the 1-norm distance to the exact distribution.
    closed
        True if every state that the chain can reach is stored; the means of any function are then bounded.
    model_name, model_hash, time_unit
        What the distribution belongs to.
    observables
        Formulas in the species that may be used by name in `probability` and `expectation`.
    notes
        Remarks of the solver that belong to the answer.
    moments
        What the model says about moments of the exact distribution, from `fsp.moments.moment_bounds`.
    state_bounds
        (2, n) lower and upper bounds of the probability of each state, where more is known than `error` says.

    Raises
    ------
    ArgumentError
        If arrays do not fit together, states repeat, or probabilities have no mass or more than one.
    """

    states: IntArray
    probabilities: FloatArray
    species: tuple[str, ...]
    _: KW_ONLY
    t: float | None
    error: ErrorLedger
    closed: bool = False
    moments: MomentBounds | PendingBounds | None = None
    state_bounds: FloatArray | None = None

    def __post_init__(self) -> None:
        states = np.asarray(self.states)
        probabilities = np.ascontiguousarray(self.probabilities, dtype=np.float64)
        species = tuple(self.species)
        check(states, probabilities, species, self.error)
        check_bounds(self.state_bounds, states, probabilities)
        states, probabilities = analysis.sort_states(states.astype(np.int64, copy=False), probabilities)
        checked = {
            "states": read_only(states),
            "probabilities": read_only(probabilities),
            "species": species,
            "t": check_time(self.t),
            "closed": bool(self.closed),
            "observables": dict(self.observables),
            "notes": tuple(self.notes),
            "state_bounds": None if self.state_bounds is None else read_only(np.asarray(self.state_bounds)),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.states)

    def shares_states_with(self, other: Distribution) -> bool:
        """Tell whether another distribution has the same states."""
        return self.states is other.states or np.array_equal(self.states, other.states)

    def marginal(self, *species: str) -> Distribution:
        """Sum over all other species.

        Parameters
        ----------
        species
            The names that are kept, in this order.

        Returns
        -------
        Distribution
            Its 1-norm error is at most that of the joint distribution; the rounding of the sums is added.

        Raises
        ------
        ArgumentError
            If no name is given, or one is unknown or given twice.
        """
        if not species or len(set(species)) < len(species):
            raise ArgumentError(f"`species` must be one or more different names, but is {species}.")
        columns = [self._column(name) for name in species]
        states, probabilities, terms = analysis.marginal(self.states[:, columns], self.probabilities)
        rounding = ErrorLedger(rounding=(terms - 1) * UNIT_ROUNDOFF * self.mass)
        return replace(
            self,
            states=states,
            probabilities=probabilities,
            species=species,
            error=self.error + rounding,
            moments=None if self.moments is None else self.moments.select(columns),
            state_bounds=None,  # states that are not stored count in a marginal
        )

    def conditional(self, event: str | Mapping[str, int]) -> Distribution:
        """Return the distribution given that an event holds.

        With y stored for p, ``‖p(·|E) - y(·|E)‖₁ <= ‖(p - y) 1_E‖₁ / y(E) + p(E) |1/p(E) - 1/y(E)| <= 2 ε / y(E)``.

        Parameters
        ----------
        event
            A condition such as ``"U > 40"``, or copy numbers, as in `probability`.

        Returns
        -------
        Distribution
            The states in which the event holds, with a mass of one.

        Raises
        ------
        ArgumentError
            If the condition cannot be read, or its probability is not above the error.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": 2}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
        >>> fsp.transient(model, [1.0])[-1].conditional("X > 0").states.ravel()
        array([1, 2])
        """
        inside = self._event(event)
        mass = float(self.probabilities[inside].sum())
        if not mass > self.error.total:  # else nothing is known: two laws are at most 2 apart
            raise ArgumentError(
                f"`event` must have a probability above the error, but '{event}' has {self.probability(event)} and "
                f"{self.error.summary}; lower `tol`."
            )
        share = self.probabilities[inside] / mass
        terms = {name: 2.0 * (1.0 + 2.0 * SUM_ROUNDING) * term / mass for name, term in self.error.terms.items()}
        terms["rounding"] += 4.0 * SUM_ROUNDING  # of `mass`, of the sum of `share`, and of two divisions
        return replace(
            self,
            states=self.states[inside],
            probabilities=share / max(1.0, float(share.sum())),
            error=ErrorLedger(**terms, certified=self.error.certified),
            moments=None,  # those of the model are of all states
            state_bounds=None,
        )

    @overload
    def cdf(self, species: str, count: float) -> Interval: ...

    @overload
    def cdf(self, species: str, count: Sequence[float]) -> list[Interval]: ...

    def cdf(self, species: str, count: float | Sequence[float]) -> Interval | list[Interval]:
        """Bound the probability that a species has at most so many copies.

        Parameters
        ----------
        species
            The name.
        count
            Copies; several give a list.

        Returns
        -------
        Interval or list of Interval
            As `probability` gives them.

        Raises
        ------
        ArgumentError
            If the species is unknown.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": 2}, reactions=[fsp.Reaction("X -> 0", mass_action=1.0)])
        >>> print(f"{fsp.transient(model, [1.0])[-1].cdf('X', 1):.6f}")
        0.864665
        """
        return self._tails(species, count, np.less_equal)

    @overload
    def sf(self, species: str, count: float) -> Interval: ...

    @overload
    def sf(self, species: str, count: Sequence[float]) -> list[Interval]: ...

    def sf(self, species: str, count: float | Sequence[float]) -> Interval | list[Interval]:
        """Bound the probability that a species has more than so many copies; see `cdf`."""
        return self._tails(species, count, np.greater)

    def quantile_interval(self, species: str, level: float) -> Interval:
        """Bound a quantile of the exact marginal distribution of a species.

        Parameters
        ----------
        species
            The name.
        level
            Between 0 and 1; 0.5 for the median.

        Returns
        -------
        Interval
            Copies, certified where `error` is; its value is that of `quantile`, and its upper end is infinite where
            more probability than 1 - level may be missing.

        Raises
        ------
        ArgumentError
            If the species is unknown, or the level is outside [0, 1].

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": "poisson(10)"}, reactions=[fsp.Reaction("X -> 0", mass_action=0.0)])
        >>> print(fsp.transient(model, [0.0])[-1].quantile_interval("X", 0.95))
        [15, 15]
        """
        value, alone = self.quantile(species, level), self.marginal(species)  # whose error has the rounding of sums
        return bounds.quantile((alone.probabilities, alone.states[:, 0].astype(np.float64)), level, value, alone.error)

    def modes(self, species: str) -> IntArray:
        """Find the counts at which the marginal probability of a species has a maximum that its error does not hide.

        Parameters
        ----------
        species
            The name.

        Returns
        -------
        numpy.ndarray
            (n_modes,) counts in ascending order: local maxima of the stored probability that rise from the valleys
            around them by more than the error of a single probability allows to be nothing.

        Raises
        ------
        ArgumentError
            If the species is unknown.

        Examples
        --------
        >>> import fsp
        >>> model = fsp.Model(species={"X": "poisson(4.5)"}, reactions=[fsp.Reaction("X -> 0", mass_action=0.0)])
        >>> fsp.transient(model, [0.0])[-1].modes("X")
        array([4])
        """
        alone = self.marginal(species)
        hidden = bounds.half_width(alone.mass, alone.error)
        return analysis.peaks(alone.states[:, 0], alone.probabilities, hidden)

    def _tails(self, species: str, count: float | Sequence[float], side: np.ufunc) -> Interval | list[Interval]:
        """Bound the probability of one side of each count."""
        alone, values = self.marginal(species), np.atleast_1d(as_numbers("`count`", count))
        masks = [side(alone.states[:, 0], value) for value in values]
        tail_bounds = [bounds.event(alone.probabilities, mask, alone.error) for mask in masks]
        return tail_bounds if np.ndim(count) else tail_bounds[0]

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table with a row for each state: the species and ``probability``."""
        return doors.table(self)

    def to_xarray(self) -> xarray.DataArray:
        """Return `pmf` with a labelled axis for each species."""
        return doors.array(self)

    def plot(self, *species: str, **options: Any) -> Any:
        """Draw the marginal of one species, the joint distribution of two as a heat map, or several in pairs.

        Parameters
        ----------
        species
            The names; all, or the first six, where none is given.
        **options
            ``log=True`` for logarithmic scales; ``ax``, axes of matplotlib to draw one or two species into, beside
            what they show, and ``label``, what the legend calls a single species there;
            ``kind="overview"`` for all that fits on a page.

        Returns
        -------
        matplotlib.figure.Figure or matplotlib.axes.Axes
            The picture, which a notebook shows and ``figure.savefig("file.png")`` writes; or `ax`, where it was given.

        Raises
        ------
        ArgumentError
            If a species is unknown, or an option is not one of these.
        """
        names = species or self.species
        kind = {1: "marginals", 2: "joint"}.get(len(names), "corner")
        return doors.draw(self, species if len(names) > 2 else names, {"kind": kind, **options})

    def save(self, path: str | Path) -> None:
        """Write an HDF5 file, whole or not at all.

        Parameters
        ----------
        path
            Where to; a file that is there is replaced once the new one is complete, whoever wrote it.

        Raises
        ------
        ArgumentError
            If the folder does not exist, or something is there that is no file.
        OutputError
            If it cannot be written; what was there before is unchanged.
        """
        self._save(self, path)

    @staticmethod
    def _save(answer: Any, path: str | Path) -> None:
        """Write an answer of distributions of this kind."""
        doors.save(answer, path)

    def __str__(self) -> str:
        head = f"{when(self.t, self.time_unit)}: {len(self):,} states, {self.error}"
        width = max(map(len, self.species))
        means, stds = self.mean(), self.std()
        rows = [f"  {name:<{width}}  {spread(means[name], stds[name])}" for name in self.species]
        return "\n".join([head, *rows, *(f"  note: {note}" for note in (*self.notes, *self._remarks()))])

    def __repr__(self) -> str:
        species, place = ", ".join(self.species), when(self.t, self.time_unit)
        return f"<Distribution of {species}: {place}, {len(self):,} states, {self.error.summary}>"

    def _remarks(self) -> list[str]:
        """Say where printed means mislead; nothing where the error is an estimate, which the printed ``≈`` says."""
        if self.moments is None or not self.error.certified:
            return []
        time_limit = TimeLimit()
        intervals = time_limit.within(self.mean_interval)
        if intervals is None:
            return [time_limit.left_out("intervals of the means", "dist.mean_interval()")]
        return mean_notes(self.mean(), intervals)
