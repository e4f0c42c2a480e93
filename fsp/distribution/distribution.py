"""A probability distribution over copy numbers, together with its error.

The stored probabilities y >= 0 have a mass of at most one (what is missing left the stored states) and lie
within ``error.total`` of the exact distribution in the 1-norm.  `probability` turns that into a range that
holds.  Moments, quantiles, the mode and the entropy are those of y divided by its mass; the 1-norm error does
not bound them, since little probability far away can move a mean by much.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fsp import analysis
from fsp.arithmetic import UNIT_ROUNDOFF
from fsp.arrays import BoolArray, FloatArray, IntArray
from fsp.distribution import bounds, doors, formulas
from fsp.distribution.checks import check, check_bounds, check_time, read_only
from fsp.distribution.ledger import ErrorLedger, Interval
from fsp.distribution.mean_notes import mean_notes
from fsp.distribution.text import spread, when
from fsp.errors import ArgumentError
from fsp.model.expression import Expression, Number, Symbol, call
from fsp.moments import MomentBounds, PendingBounds
from fsp.moments.envelope import envelope
from fsp.moments.envelope_rules import Envelope

if TYPE_CHECKING:
    import pandas
    import xarray
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Distribution:
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
    model_name: str = ""
    model_hash: str = ""
    time_unit: str = ""
    observables: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    moments: MomentBounds | PendingBounds | None = None
    state_bounds: FloatArray | None = None
    _points_off: ClassVar[float] = 0.0  # relative rounding of the probabilities that `_points_of` gives

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

    @property
    def mass(self) -> float:
        """Sum of the stored probabilities."""
        return float(self.probabilities.sum())

    def shares_states_with(self, other: Distribution) -> bool:
        """Tell whether another distribution has the same states."""
        return self.states is other.states or np.array_equal(self.states, other.states)

    @property
    def lower(self) -> FloatArray:
        """(n,) lower bounds of the probability of each state, certified where `error` is."""
        own = bounds.single_states(self.probabilities, self.mass, self.error)[0]
        return own if self.state_bounds is None else np.maximum(own, self.state_bounds[0])

    @property
    def upper(self) -> FloatArray:
        """(n,) upper bounds of the probability of each state, certified where `error` is."""
        own = bounds.single_states(self.probabilities, self.mass, self.error)[1]
        return own if self.state_bounds is None else np.minimum(own, self.state_bounds[1])

    def probability(self, event: str | Mapping[str, int]) -> Interval:
        """Bound the probability of an event.

        Parameters
        ----------
        event
            A condition such as ``"U > 40 && V < 10"``, or copy numbers such as ``{"U": 3, "V": 4}``, where
            species that are not named may have any.

        Returns
        -------
        Interval
            Certified where `error` is.

        Raises
        ------
        ArgumentError
            If the condition cannot be read, or is not a condition.
        """
        mask = self._mask(event) if isinstance(event, Mapping) else self._observe(event)
        if mask.dtype != np.bool_:
            raise ArgumentError(f"`event` must be a condition such as 'U > 40', but '{event}' is a number.")
        if (
            self.state_bounds is not None
            and isinstance(event, Mapping)
            and len(event) == len(self.species)
            and mask.any()
        ):
            place = int(np.argmax(mask))
            ends = float(self.lower[place]), float(self.upper[place])
            return bounds.single_state(*ends, float(self.probabilities[place]), self.error)
        return bounds.event(*self._parts_of(mask), self.error)

    def expectation(self, formula: str) -> Interval:
        """Bound the mean of a function of the state, where the error of the probabilities bounds it.

        Parameters
        ----------
        formula
            A formula of species and observables, such as ``"U*V"``.

        Returns
        -------
        Interval
            Certified where `error` is, and `formula` is a condition, or all reachable states are stored
            (`closed`), or `moments` bounds its tail; and for polynomials of degree two of affine networks.  Else
            its value is the mean over the stored probability, and it says why.

        Raises
        ------
        ArgumentError
            If the formula cannot be read, or is not finite in a stored state.
        """
        values = self._observe(formula)
        if values.dtype == np.bool_:
            return bounds.event(*self._parts_of(values), self.error)
        self._require_finite(formula, values)
        return self._bounded_mean(self._read(formula), self._points_of(values))

    def mean_interval(self) -> dict[str, Interval]:
        """Bound the mean copy number of each species.

        Returns
        -------
        dict
            An interval for each species; see `expectation`.
        """
        return {name: self._mean_of(name) for name in self.species}

    def variance_interval(self) -> dict[str, Interval]:
        """Bound the variance of each species.

        Returns
        -------
        dict
            An interval for each species, certified where those of the mean and of the squared deviation are.
        """
        variances = self.variance()
        return {name: self._variance_of(name, variances[name]) for name in self.species}

    def _mean_of(self, name: str) -> Interval:
        return self._bounded_mean(Symbol(name), self._points_about(name, 0.0, 1))

    def _variance_of(self, name: str, value: float) -> Interval:
        centre = float(round(self.mean()[name]))
        square = call("^", call("-", Symbol(name), Number(centre)), Number(2.0))
        spread_about = self._bounded_mean(square, self._points_about(name, centre, 2), not_negative=True)
        return bounds.variance(self._mean_of(name), spread_about, centre, value)

    @cached_property
    def _moment_bounds(self) -> MomentBounds | None:
        return self.moments.bounds if isinstance(self.moments, PendingBounds) else self.moments

    def _bounded_mean(self, formula: Expression, points: bounds.Points, *, not_negative: bool = False) -> Interval:
        """Bound the mean of a function by all that is known: stored states, tails, moment equations."""
        moments = self._moment_bounds
        probabilities, values = points
        if moments is None and not self.closed:
            return bounds.unbounded_mean(probabilities, values)
        if moments is None:
            return bounds.closed_mean(probabilities, values, self.error)
        enclosing = envelope(formula, self.species, self.t or 0.0)
        if self.closed:
            found = bounds.closed_mean(probabilities, values, self.error)
        else:
            floor = Envelope({}, enclosing.upper) if not_negative else enclosing
            found = bounds.tail_mean(probabilities, values, self.error, floor, moments, self._points_off)
        return bounds.with_equations(found, enclosing, moments)

    def _parts_of(self, mask: BoolArray) -> tuple[FloatArray, BoolArray]:
        """Return probabilities and the mask of an event, of all states or of as many as have the same sums."""
        return self.probabilities, mask

    def _points_of(self, values: FloatArray) -> bounds.Points:
        """Return probabilities and values, of all states or of as many as have the same sums and extremes."""
        return self.probabilities, values

    def _points_about(self, name: str, centre: float, power: int) -> bounds.Points:
        """Return the points of a power of the distance of a count from a centre."""
        distance = self.states[:, self._column(name)] - centre  # (n,)
        return self._points_of(np.asarray(distance**power, dtype=np.float64))

    def _require_finite(self, formula: str, values: FloatArray) -> None:
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(values)))
            raise ArgumentError(
                f"`formula` must be finite in every state, but '{formula}' is {values[place]} "
                f"in state {self._state(self.states[place])}."
            )

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

    @cached_property
    def _dense(self) -> tuple[FloatArray, tuple[IntArray, ...]]:
        return analysis.dense(self.states, self.probabilities)

    @property
    def pmf(self) -> FloatArray:
        """Probabilities as a dense array: one axis for each species, over `support`."""
        return self._dense[0]

    @property
    def support(self) -> IntArray | tuple[IntArray, ...]:
        """Copy numbers along the axis of `pmf`, without gaps; a tuple of them for several species."""
        axes = self._dense[1]
        return axes[0] if len(axes) == 1 else axes

    @cached_property
    def _means(self) -> FloatArray:
        return analysis.mean(self.states, self.probabilities)

    @cached_property
    def _variances(self) -> FloatArray:
        return analysis.variance(self.states, self.probabilities)

    def mean(self) -> dict[str, float]:
        """Return the mean copy number of each species, of the stored probability divided by its mass."""
        return self._by_species(self._means)

    def variance(self) -> dict[str, float]:
        """Return the variance of each species, of the stored probability divided by its mass."""
        return self._by_species(self._variances)

    def std(self) -> dict[str, float]:
        """Return the standard deviation of each species, of the stored probability divided by its mass."""
        return self._by_species(np.sqrt(self._variances))

    def covariance(self) -> FloatArray:
        """Return the (d, d) covariance matrix of the stored probability divided by its mass."""
        return analysis.covariance(self.states, self.probabilities)

    def moment(self, species: str | None = None, order: int = 1, /, **orders: int) -> float:
        """Compute a raw moment of the stored probability divided by its mass.

        Parameters
        ----------
        species, order
            One species and its power: ``moment("U", 2)`` is the mean of U².
        **orders
            Powers by name: ``moment(U=2, V=1)`` is the mean of U² V.

        Returns
        -------
        float
            The moment.

        Raises
        ------
        ArgumentError
            If no species is named, one is unknown, or an order is not a non-negative integer.
        """
        powers = dict(orders) if species is None else {species: order, **orders}
        if not powers:
            raise ArgumentError("`moment` must be given a species, as in moment('U', 2) or moment(U=2, V=1).")
        row = [0] * len(self.species)
        for name, power in powers.items():
            if isinstance(power, bool) or not isinstance(power, int | np.integer) or power < 0:
                raise ArgumentError(f"Order of '{name}' must be a non-negative integer, but is {power!r}.")
            row[self._column(name)] = int(power)
        return analysis.moment(self.states, self.probabilities, row)

    def quantile(self, species: str, level: float) -> int:
        """Find the smallest copy number up to which the share `level` of the stored probability lies.

        Parameters
        ----------
        species
            The name.
        level
            Between 0 and 1; 0.5 gives the median.

        Returns
        -------
        int
            The quantile in copies.

        Raises
        ------
        ArgumentError
            If the species is unknown, or the level is outside [0, 1].
        """
        if not 0 <= level <= 1:
            raise ArgumentError(f"`level` must be between 0 and 1, but is {level}.")
        column = self.states[:, [self._column(species)]]  # (n, 1)
        values, probabilities, _ = analysis.marginal(column, self.probabilities)
        return analysis.quantile(values[:, 0], probabilities, level)

    def mode(self) -> dict[str, int]:
        """Return the most likely state, the first in lexicographic order of several."""
        return self._state(analysis.mode(self.states, self.probabilities))

    def entropy(self) -> float:
        """Return the Shannon entropy in nats of the stored probability divided by its mass."""
        return analysis.entropy(self.probabilities)

    def distance(self, other: Distribution, kind: str = "l1") -> float:
        """Measure the distance between the stored probabilities of two distributions.

        For ``l1`` it differs from that of the exact distributions by at most the sum of the two errors.

        Parameters
        ----------
        other
            A distribution over the same species, in any order.
        kind
            ``l1``, ``tv``, ``hellinger``, or, for one species, ``kolmogorov`` or ``wasserstein``.

        Returns
        -------
        float
            The distance.

        Raises
        ------
        ArgumentError
            If the species differ, or `kind` is unknown or needs one species.
        """
        if sorted(self.species) != sorted(other.species):
            raise ArgumentError(f"`other` must have the species {self.species}, but has {other.species}.")
        columns = [other._column(name) for name in self.species]
        return analysis.distance(self.states, self.probabilities, other.states[:, columns], other.probabilities, kind)

    def to_pandas(self) -> pandas.DataFrame:
        """Return a table with a row for each state: the species and ``probability``."""
        return doors.table(self)

    def to_xarray(self) -> xarray.DataArray:
        """Return `pmf` with a labelled axis for each species."""
        return doors.array(self)

    def plot(self, *species: str, **options: Any) -> Figure:
        """Draw the marginal of one species, or the joint distribution of two as a heat map.

        Parameters
        ----------
        species
            One or two names; may be left out where there are no more.
        **options
            Passed to `fsp.plot.marginals` or `fsp.plot.joint`, for instance ``log=True``.

        Returns
        -------
        matplotlib.figure.Figure
            The picture; ``figure.savefig("file.png")`` writes it.

        """
        return doors.plot(self, species or self.species, options)

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
        return mean_notes(self.mean(), self.mean_interval())

    def _column(self, name: str) -> int:
        if name not in self.species:
            raise ArgumentError(f"Species must be one of {', '.join(self.species)}, but is '{name}'.")
        return self.species.index(name)

    def _by_species(self, numbers: FloatArray) -> dict[str, float]:
        return dict(zip(self.species, numbers.tolist(), strict=True))

    def _state(self, row: IntArray) -> dict[str, int]:
        return dict(zip(self.species, row.tolist(), strict=True))

    def _observe(self, formula: str) -> NDArray[Any]:
        return formulas.values_on(self.states, formula, self.species, self.observables, self.t)

    def _read(self, formula: str) -> Expression:
        return formulas.read_formula(formula, self.species, self.observables, self.t)

    def _mask(self, counts: Mapping[str, int]) -> NDArray[Any]:
        mask = np.ones(len(self.states), dtype=bool)
        for name, count in counts.items():
            if isinstance(count, bool) or not isinstance(count, int | np.integer):
                raise ArgumentError(f"`event` must give whole copy numbers, but '{name}' is {count!r}.")
            mask &= self.states[:, self._column(name)] == count
        return mask
